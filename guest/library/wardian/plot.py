"""Charts: lines, bars, points, histograms, pies and boxes, as SVG, as PNG, and as data.

    from wardian import plot
    plot.bar({"north": 12, "south": 7}, title="Revenue", y_label="million").save("revenue.svg")

Each function returns a `Chart`, which is shown where it is the last expression, or by `display`. Series have names in a
dict: `plot.line({"2024": [3, 1, 2], "2025": [4, 2, 3]})`. Values are numbers, dates, or texts, which are categories.
"""

import io, json

from wardian._figure import Figure

__all__ = ["Chart", "bar", "box", "histogram", "line", "pie", "scatter"]


class Chart:
    """A chart that is done."""

    def __init__(self, figure):
        self._figure = figure

    def __repr__(self):
        data = self.data()
        return f"<Chart {data['type']} {data['title'] or ''}".rstrip() + ">"

    def svg(self):
        """The picture as SVG, a text."""
        return self._written("svg").decode()

    def png(self, dpi=100):
        """The picture as PNG, with so many pixels for an inch."""
        return self._written("png", dpi=dpi)

    def data(self):
        """The data, in the form of E2B's charts: a dict with `type`, `title`, `elements`, and labels of axes."""
        return self._figure.data()

    def save(self, file):
        """Writes the picture to a file whose name ends with .svg or .png, or the data to one with .json."""
        if str(file).endswith(".json"):
            with open(file, "w") as opened:
                json.dump(self.data(), opened)
        else:
            self._figure.savefig(file)

    def _written(self, format, **options):
        self._figure.savefig(buffer := io.BytesIO(), format=format, **options)
        return buffer.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self._figure._repr_mimebundle_() | {"text/plain": repr(self)}


def _new(title, x_label, y_label, size, grid=None):
    figure = Figure(size)
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if grid:
        axes.grid(axis=grid)
    return figure, axes


def _series(values):
    """Names and values: of a dict of lists, or of one list."""
    return values.items() if isinstance(values, dict) else [(None, values)]


def _done(figure, axes, series):
    if isinstance(series, dict):
        axes.legend()
    return Chart(figure)


def _points(draw, x, y, title, x_label, y_label, size):
    figure, axes = _new(title, x_label, y_label, size, "both")
    x, y = (range(len(next(iter(dict(_series(x)).values()), []))), x) if y is None else (x, y)
    for name, values in _series(y):
        draw(axes)(x, values, label=name)
    return _done(figure, axes, y)


def line(x, y=None, *, title="", x_label="", y_label="", size=(6.4, 4.8)):
    """Draws lines: `line(values)`, `line(x, values)`, `line(x, {"name": values})`. `size` is in inches."""
    return _points(lambda axes: axes.plot, x, y, title, x_label, y_label, size)


def scatter(x, y, *, title="", x_label="", y_label="", size=(6.4, 4.8)):
    """Draws points: `scatter(x, values)`, `scatter(x, {"name": values})`."""
    return _points(lambda axes: axes.scatter, x, y, title, x_label, y_label, size)


def bar(labels, values=None, *, horizontal=False, stacked=False, title="", x_label="", y_label="", size=(6.4, 4.8)):
    """Draws bars: `bar(labels, values)`, `bar({label: value})`, and side by side `bar(labels, {"name": values})`."""
    if values is None:
        labels, values = list(labels), list(labels.values())
    labels = [str(label) for label in labels]
    figure, axes = _new(title, x_label, y_label, size, "x" if horizontal else "y")
    series = [(name, list(lengths)) for name, lengths in _series(values)]
    width = 0.8 if stacked else 0.8 / max(len(series), 1)
    bases = [0.0] * len(labels)
    for number, (name, lengths) in enumerate(series):
        aside = 0.0 if stacked else (number - (len(series) - 1) / 2) * width
        places = [place + aside for place in range(len(labels))]
        draw = axes.barh if horizontal else axes.bar
        bars = draw(places, lengths, width, list(bases) if stacked else None, label=name)
        for bar, label in zip(bars._mark["bars"], labels):
            bar["name"] = label
        if stacked:
            bases = [base + (length or 0) for base, length in zip(bases, lengths)]
    (axes.set_yticks if horizontal else axes.set_xticks)(range(len(labels)), labels)
    return _done(figure, axes, values)


def histogram(values, bins=10, *, title="", x_label="", y_label="", size=(6.4, 4.8)):
    """Draws how many values there are in each bin. `bins` is a number, "auto", or the ends of the bins."""
    figure, axes = _new(title, x_label, y_label, size, "y")
    groups = _series(values)
    axes.hist([list(group) for _, group in groups], bins, label=[name for name, _ in groups], edgecolor="white")
    return _done(figure, axes, values)


def pie(labels, values=None, *, title="", size=(6.4, 4.8)):
    """Draws shares of a whole, with their percents: `pie(labels, values)`, `pie({label: value})`."""
    if values is None:
        labels, values = list(labels), list(labels.values())
    figure, axes = _new(title, "", "", size)
    axes.pie(values, labels=labels, autopct="%1.1f%%", startangle=90, counterclock=False)
    return Chart(figure)


def box(groups, *, title="", x_label="", y_label="", size=(6.4, 4.8)):
    """Draws quartiles, ends and outliers of groups of numbers: `box({"name": values})`."""
    figure, axes = _new(title, x_label, y_label, size, "y")
    groups = dict(enumerate(groups, 1)) if not isinstance(groups, dict) else groups
    axes.boxplot(list(groups.values()), tick_labels=list(groups), patch_artist=True)
    return Chart(figure)
