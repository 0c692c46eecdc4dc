"""A small stand-in for matplotlib.pyplot: figures, charts and what is asked of them most.

What is not there raises NotImplementedError, with what there is.
"""

from wardian._figure import Axes, Figure
from wardian._values import absent as _absent

from matplotlib import rcParams

_figures = {}
_current = []


def figure(num=None, figsize=None, dpi=None, facecolor=None, **options):
    """Makes a figure the current one: the one of a number, or a new one."""
    if num is None or num not in _figures:
        num = max([number for number in _figures if isinstance(number, int)], default=0) + 1 if num is None else num
        _figures[num] = Figure(
            figsize or rcParams["figure.figsize"], dpi or rcParams["figure.dpi"],
            facecolor or rcParams["figure.facecolor"], **options,
        )
        _figures[num].number = num
    _make_current(_figures[num])
    return _figures[num]


def _make_current(figure, axes=None):
    _current[:] = [figure, axes]


def gcf():
    """The current figure; a new one if there is none."""
    return _current[0] if _current else figure()


def gca():
    """The current chart; a new one if there is none."""
    current = gcf()
    if _current[1] not in current.axes:
        _current[1] = current.gca()
    return _current[1]


def sca(axes):
    """Makes a chart the current one."""
    _make_current(axes.figure, axes)


def subplots(nrows=1, ncols=1, *, sharex=False, sharey=False, squeeze=True, **options):
    """Makes a figure of charts in rows and columns."""
    made = figure(**options)
    axes = made.subplots(nrows, ncols, sharex=sharex, sharey=sharey, squeeze=squeeze)
    _make_current(made, made.axes[0])
    return made, axes


def subplot(*place, **options):
    """Makes a chart of the current figure the current one: `subplot(rows, columns, number)`, `subplot(221)`."""
    axes = gcf().add_subplot(*place, **options)
    _make_current(axes.figure, axes)
    return axes


def show(*args, **options):
    """Shows all figures, and closes them."""
    for shown in list(_figures.values()):
        shown.show()
    close("all")


def close(what=None):
    """Closes the current figure, one of a number, or "all"."""
    if what == "all":
        _figures.clear()
        _current.clear()
        return
    if what is None:
        what = _current[0] if _current else None
    for number, known in list(_figures.items()):
        if what in (known, number):
            del _figures[number]
            if _current and _current[0] is known:
                _current.clear()


def savefig(file, **options):
    """Writes the current figure to a file."""
    gcf().savefig(file, **options)


def _of_figure(name):
    method = getattr(Figure, name)

    def call(*args, **options):
        return method(gcf(), *args, **options)

    return _named(call, name, method)


def _of_axes(name, method=None):
    method = getattr(Axes, method or name)

    def call(*args, **options):
        return method(gca(), *args, **options)

    return _named(call, name, method)


def _named(call, name, method):
    call.__name__ = call.__qualname__ = name
    call.__doc__ = method.__doc__
    return call


for _name in ("suptitle", "tight_layout", "subplots_adjust", "clf"):
    globals()[_name] = _of_figure(_name)
for _name in (
    "plot", "scatter", "bar", "barh", "bar_label", "hist", "pie", "boxplot", "fill_between", "axhline", "axvline", "axhspan",
    "axvspan", "text", "annotate", "legend", "grid", "tick_params", "axis", "cla",
):
    globals()[_name] = _of_axes(_name)
for _name in ("title", "xlabel", "ylabel", "xscale", "yscale"):
    globals()[_name] = _of_axes(_name, f"set_{_name}")


def xticks(ticks=None, labels=None, **options):
    """Sets where ticks are, what they say, and how they are turned."""
    gca().set_xticks(ticks, labels, **options)


def yticks(ticks=None, labels=None, **options):
    """Sets where ticks are, what they say, and how they are turned."""
    gca().set_yticks(ticks, labels, **options)


def xlim(*ends, **options):
    """Sets where the chart begins and ends."""
    gca().set_xlim(*ends, **options)


def ylim(*ends, **options):
    """Sets where the chart begins and ends."""
    gca().set_ylim(*ends, **options)


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    there = [name for name in globals() if name[0] != "_" and name not in ("rcParams", "Figure", "Axes")]
    raise _absent(f"matplotlib.pyplot.{name}", sorted(there))
