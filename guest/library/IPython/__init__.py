"""A small stand-in for IPython, for programs that show things: `IPython.display`."""

__version__ = "0"


def get_ipython():
    """There is none: None, as in a plain Python."""
