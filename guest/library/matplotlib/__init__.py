"""A small stand-in for matplotlib: `matplotlib.pyplot`, with what is asked of it most. It draws with `wardian.plot`."""

import sys

from wardian._values import absent as _absent

__version__ = "0"


class RcParams(dict):
    """Settings, of which there are few."""

    def __setitem__(self, name, value):
        if name not in self:
            raise _absent(f"rcParams[{name!r}]", map(repr, self))
        super().__setitem__(name, value)

    def update(self, *settings, **more):
        for name, value in dict(*settings, **more).items():
            self[name] = value


rcParams = RcParams({"figure.figsize": (6.4, 4.8), "figure.dpi": 100.0, "figure.facecolor": "white"})


def use(backend, *, force=True):
    """Nothing to do: pictures are made in one way."""


class _Others:
    """Says what there is to whoever imports something else."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("matplotlib.") and name not in ("matplotlib.pyplot",):
            raise _absent(name, ["matplotlib.pyplot"])


sys.meta_path.append(_Others)


def __getattr__(name):
    # An attribute that is missing is looked for as a module.
    if name.startswith("_") or name == "pyplot":
        raise AttributeError(f"module 'matplotlib' has no attribute {name!r}")
    raise _absent(f"matplotlib.{name}", ["pyplot", "rcParams", "use"])
