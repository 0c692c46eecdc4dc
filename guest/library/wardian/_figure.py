"""Figures, with the names that matplotlib has for them: `wardian.plot` and `matplotlib.pyplot` draw with these.

A figure is described as JSON, from which `_wardian_plot` makes SVG, PNG and the data of the charts.
"""

import base64, datetime, json, math

import _wardian_plot as _native

from wardian._values import (
    absent, as_day, as_list, as_number, as_numbers, bin_edges, check_lengths, color, colors_of, count_bins,
    CYCLE, each, finite, formatted, is_one, on_scale, quantile, read_dash, read_format, read_marker,
    read_options, shown_label,
)

_LOCATIONS = [
    "best", "upper right", "upper left", "lower left", "lower right", "right", "center left", "center right",
    "lower center", "upper center", "center",
]
# A picture is shown in the forms that are no longer than this.
_SHOWN = 512 * 1024
# Some functions here have an option of that name.
_range = range


class Artist:
    """Something that is drawn, and can be changed until it is."""

    def __init__(self, mark, part=None):
        self._mark, self._part = mark, part if part is not None else mark

    def get_label(self):
        return self._mark.get("label") or self._mark.get("name") or ""

    def set_label(self, label):
        self._mark["label"] = str(label)

    def get_color(self):
        return self._part.get("color")

    def set_color(self, value):
        self._part["color"] = color(value)

    set_facecolor = set_color

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent(name, [name for name in dir(self) if name[0] != "_"])


class Line2D(Artist):
    pass


class Rectangle(Artist):
    """A bar."""

    def __init__(self, mark, bar):
        super().__init__(mark, bar)
        self._flat = mark["horizontal"]

    def get_height(self):
        return self._part["thickness"] if self._flat else self._part["length"]

    def get_width(self):
        return self._part["length"] if self._flat else self._part["thickness"]

    def get_x(self):
        return self._part["base"] if self._flat else self._part["at"] - self._part["thickness"] / 2

    def get_y(self):
        return self._part["at"] - self._part["thickness"] / 2 if self._flat else self._part["base"]


class Box(Artist):
    def set_facecolor(self, value):
        self._part["color"] = color(value)
        self._mark["filled"] = True


class BarContainer(list):
    """The bars of one call."""

    def __init__(self, mark):
        super().__init__(Rectangle(mark, bar) for bar in mark["bars"])
        self._mark = mark
        self.patches = list(self)


class _Axis:
    def __init__(self):
        self.label, self.scale, self.names, self.limits = "", "linear", [], [None, None]
        self.ticks = self.tick_labels = self.turn = None
        self.grid = self.inverted = False

    def places(self, values):
        """Places of values: numbers as they are, dates by their days, texts by the order in which they come."""
        values = as_list(values)
        if any(isinstance(value, str) for value in values):
            if self.scale != "category" and self.scale != "linear":
                raise TypeError(f"texts and values of another kind on one axis: {values[0]!r}")
            self.scale = "category"
            numbers = {name: number for number, name in enumerate(self.names)}
            for value in values:
                name = str(value)
                if name not in numbers:
                    numbers[name] = len(self.names)
                    self.names.append(name)
            return [float(numbers[str(value)]) for value in values]
        if any(isinstance(value, datetime.date) for value in values):
            self.scale = "date"
            return [None if value is None else as_day(value) for value in values]
        return as_numbers(values)

    def place(self, value):
        (place,) = self.places([value])
        return place

    def set_limits(self, low=None, high=None):
        if high is None and low is not None and not is_one(low):
            low, high = low
        low, high = (None if end is None else self.place(end) for end in (low, high))
        if low is not None and high is not None and low > high:
            low, high, self.inverted = high, low, True
        self.limits = [self.limits[0] if low is None else low, self.limits[1] if high is None else high]

    def set_ticks(self, ticks=None, labels=None, rotation=None):
        if ticks is not None:
            self.ticks = self.places(ticks)
            self.tick_labels = None
        if labels is not None:
            self.tick_labels = [str(label) for label in labels]
            if self.ticks is None:
                self.ticks = [float(number) for number in range(len(self.tick_labels))]
        if rotation is not None:
            self.turn = {"vertical": 90.0, "horizontal": 0.0}.get(rotation, rotation)
            self.turn = float(self.turn)

    def set_scale(self, scale):
        if scale not in ("linear", "log"):
            raise absent(f"The scale {scale!r}", ["'linear'", "'log'"])
        self.scale = scale

    def set_major_formatter(self, formatter):
        raise absent("set_major_formatter", ["set_ticks with labels"])


class Axes:
    """A chart, and the methods that draw on it."""

    def __init__(self, figure, row=0, column=0):
        self.figure = figure
        self._row, self._column = row, column
        self.cla()

    def cla(self):
        """Empties the chart."""
        self._title, self._legend, self._framed = "", None, True
        self._x, self._y = _Axis(), _Axis()
        self._marks, self._next = [], 0

    clear = cla

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent(f"Axes.{name}", [name for name in dir(Axes) if name[0] != "_"])

    def _color(self, value, alpha=None):
        if value is None:
            value = CYCLE[self._next % len(CYCLE)]
            self._next += 1
        return color(value, alpha)

    def _add(self, kind, **mark):
        self._marks.append(mark := {"kind": kind, **mark})
        return mark

    # What is drawn.

    def plot(self, *args, **options):
        """Draws lines: `plot(y)`, `plot(x, y)`, `plot(x, y, "r--o")`, and several of them."""
        known = read_options(
            "plot", options, color=None, linestyle=None, linewidth=1.5, marker=None, markersize=6, alpha=None, label=None,
            markerfacecolor=None,
        )
        args, lines = list(args), []
        while args:
            x, y, look = None, args.pop(0), ""
            if args and not isinstance(args[0], str):
                x, y = y, args.pop(0)
            if args and isinstance(args[0], str):
                look = args.pop(0)
            y = self._y.places(y)
            x = [float(number) for number in range(len(y))] if x is None else self._x.places(x)
            check_lengths("plot", x, y)
            named, marker, dash = read_format(look)
            marker = read_marker(known["marker"]) or marker
            if known["linestyle"] is not None:
                dash = read_dash(known["linestyle"])
            elif dash is None and not (look and marker):
                dash = "solid"
            drawn = self._color(known["color"] if known["color"] is not None else named, known["alpha"])
            pen = {"color": drawn, "width": float(known["linewidth"]), "dash": dash} if dash else None
            face = known["markerfacecolor"]
            mark = self._add(
                "line", x=x, y=y, label=shown_label(known["label"]), pen=pen, marker=marker, size=float(known["markersize"]),
                color=drawn if face is None else color(face, known["alpha"]),
            )
            lines.append(Line2D(mark))
        return lines

    def scatter(self, x, y, s=None, c=None, **options):
        """Draws a marker at each point. `s` are areas, `c` is a colour, colours, or numbers on a scale of colours."""
        known = read_options(
            "scatter", options, color=None, marker="o", alpha=None, label=None, cmap="viridis", edgecolor=None, linewidth=None
        )
        x, y = self._x.places(x), self._y.places(y)
        check_lengths("scatter", x, y)
        c = known["color"] if c is None else c
        alpha = known["alpha"]
        if c is not None and not is_one(c) and len(c) == len(x) and all(isinstance(part, (int, float)) for part in c):
            if known["cmap"] not in ("viridis", None):
                raise absent(f"cmap={known['cmap']!r}", ["'viridis'"])
            colors = on_scale(c, alpha)
        elif c is None:
            colors = [self._color(None, alpha)]
        else:
            colors = colors_of(c, max(len(x), 1), alpha, None)
        sizes = [math.sqrt(max(size, 0)) for size in finite(36 if s is None else s)]
        marker = read_marker(known["marker"]) or "o"
        return Artist(self._add("scatter", x=x, y=y, label=shown_label(known["label"]), marker=marker, sizes=sizes, colors=colors))

    def bar(self, x, height, width=0.8, bottom=None, **options):
        """Draws bars that stand."""
        return self._bars("bar", False, x, height, width, bottom, options, "yerr")

    def barh(self, y, width, height=0.8, left=None, **options):
        """Draws bars that lie."""
        return self._bars("barh", True, y, width, height, left, options, "xerr")

    def _bars(self, function, horizontal, at, lengths, thickness, bases, options, error):
        known = read_options(
            function, options, color=None, edgecolor=None, linewidth=1.0, alpha=None, label=None, align="center",
            tick_label=None, **{error: None},
        )
        across, along = (self._y, self._x) if horizontal else (self._x, self._y)
        names = [str(name) for name in as_list(at)]
        at, lengths = across.places(at), as_numbers(lengths)
        if len(lengths) == 1:
            lengths *= len(at)
        check_lengths(function, at, lengths)
        count = len(at)
        thickness = [float(one) for one in each(thickness, count, function, "the width")]
        bases = [as_number(base) or 0.0 for base in each(0 if bases is None else bases, count, function, "the base")]
        errors = [as_number(one) or 0.0 for one in each(known[error] or 0, count, function, error)]
        if known["color"] is None:
            colors = [self._color(None, known["alpha"])] * count
        else:
            colors = colors_of(known["color"], count, known["alpha"], None)
        if known["align"] == "edge":
            at = [place + width / 2 for place, width in zip(at, thickness)]
        if known["tick_label"] is not None:
            names = [str(name) for name in as_list(known["tick_label"])]
            across.set_ticks(list(at), names)
        edge = known["edgecolor"]
        edge = None if edge is None else {"color": color(edge, known["alpha"]), "width": float(known["linewidth"])}
        label = known["label"]
        if label is not None and not is_one(label):
            names, label = [str(name) for name in label], None
        if len(names) != count:
            raise ValueError(f"{function}: there are {len(names)} names for {count} bars")
        bars = [
            dict(at=at, name=name, length=length, base=base, thickness=width, error=error, color=drawn)
            for at, name, length, base, width, error, drawn
            in zip(at, names, lengths, bases, thickness, errors, colors) if at is not None
        ]
        return BarContainer(self._add("bars", bars=bars, horizontal=horizontal, label=shown_label(label), edge=edge))

    def bar_label(self, container, labels=None, fmt="%g", label_type="edge", padding=0, **options):
        """Writes the length of each bar at its end, or in its middle."""
        known = read_options("bar_label", options, color="black", rotation=0)
        flat = container._mark["horizontal"]
        for number, bar in enumerate(container._mark["bars"]):
            length = bar["length"] or 0.0
            words = formatted(fmt, length) if labels is None else labels[number]
            along = bar["base"] + (length / 2 if label_type == "center" else length)
            aside = "middle" if label_type == "center" else "start" if flat else "end"
            place = (along, bar["at"]) if flat else (bar["at"], along)
            ways = (aside, "middle") if flat else ("middle", aside)
            self._text(*place, f" {words}" if flat else words, known["color"], 10, *ways, known["rotation"])

    def hist(self, x, bins=10, range=None, density=False, **options):
        """Draws how many values there are in each bin; returns the numbers, the edges and the bars."""
        known = read_options(
            "hist", options, color=None, edgecolor=None, linewidth=1.0, alpha=None, label=None, orientation="vertical",
            rwidth=None, histtype="bar", cumulative=False,
        )
        if known["histtype"] != "bar":
            raise absent(f"histtype={known['histtype']!r}", ["'bar'"])
        x = as_list(x)
        groups = [finite(group) for group in x] if x and not is_one(x[0]) else [finite(x)]
        edges = bin_edges([value for group in groups for value in group], bins, range)
        labels = as_list(known["label"]) if known["label"] is not None else [None]
        colors = known["color"] if isinstance(known["color"], list) else [known["color"]]
        flat = known["orientation"] == "horizontal"
        tallies, containers = [], []
        for number, group in enumerate(groups):
            counts = [float(count) for count in count_bins(group, edges)]
            if density:
                whole = sum(counts) or 1.0
                counts = [count / whole / (high - low) for count, low, high in zip(counts, edges, edges[1:])]
            if known["cumulative"]:
                counts = [sum(counts[: place + 1]) for place in _range(len(counts))]
            drawn = self._color(colors[number % len(colors)], known["alpha"])
            edge = known["edgecolor"]
            edge = None if edge is None else {"color": color(edge), "width": float(known["linewidth"])}
            bars = []
            for count, low, high in zip(counts, edges, edges[1:]):
                width = (high - low) / len(groups)
                part = 1.0 if known["rwidth"] is None and len(groups) == 1 else float(known["rwidth"] or 0.9)
                bars.append(dict(
                    at=low + width * (number + 0.5), name=f"{low:g} to {high:g}", length=count, base=0.0,
                    thickness=width * part, error=0.0, color=drawn,
                ))
            label = shown_label(labels[number] if number < len(labels) else None)
            containers.append(BarContainer(self._add("bars", bars=bars, horizontal=flat, label=label, edge=edge)))
            tallies.append(counts)
        return (tallies[0], edges, containers[0]) if len(groups) == 1 else (tallies, edges, containers)

    def pie(self, x, explode=None, labels=None, colors=None, autopct=None, **options):
        """Draws shares of a whole."""
        known = read_options(
            "pie", options, startangle=0, counterclock=True, wedgeprops=None, radius=1, normalize=True, pctdistance=0.6,
            labeldistance=1.1,
        )
        values = [value or 0.0 for value in as_numbers(x)]
        if any(value < 0 for value in values):
            raise ValueError("Wedge sizes 'x' must be non negative values")
        total = sum(values) or 1.0
        count = len(values)
        names = [""] * count if labels is None else [str(name) for name in each(labels, count, "pie", "labels")]
        apart = [float(far) for far in each(explode or 0, count, "pie", "explode")]
        drawn = colors_of(colors, count, None, None) if colors is not None else [color(f"C{number}") for number in range(count)]
        notes = ["" if autopct is None else formatted(autopct, 100 * value / total) for value in values]
        shares = [
            dict(value=value, label=name, name=name, note=note, color=drawn, apart=far)
            for value, name, note, drawn, far in zip(values, names, notes, drawn, apart)
        ]
        width = (known["wedgeprops"] or {}).get("width")
        self._framed = False
        mark = self._add(
            "pie", shares=shares, start=float(known["startangle"]), clockwise=not known["counterclock"],
            hole=0.0 if width is None else max(0.0, 1.0 - float(width)),
        )
        parts = tuple([Artist(mark, share) for share in shares] for _ in range(3))
        return parts if autopct is not None else parts[:2]

    def boxplot(self, x, vert=True, labels=None, patch_artist=False, showfliers=True, **options):
        """Draws the quartiles of groups of numbers: whiskers reach to 1.5 times the distance of the quartiles."""
        known = read_options(
            "boxplot", options, tick_labels=None, orientation="vertical" if vert else "horizontal", widths=None, whis=1.5,
            positions=None, showmeans=False, boxprops=None, medianprops=None, meanline=False,
        )
        x = list(x.values()) if isinstance(x, dict) else as_list(x)
        groups = [finite(group) for group in x] if x and not is_one(x[0]) else [finite(x)]
        count = len(groups)
        labels = known["tick_labels"] if labels is None else labels
        names = [str(number + 1) for number in range(count)] if labels is None else [str(name) for name in labels]
        if len(names) != count:
            raise ValueError(f"boxplot: there are {len(names)} labels for {count} groups")
        places = finite(known["positions"]) if known["positions"] is not None else [number + 1.0 for number in range(count)]
        face = (known["boxprops"] or {}).get("facecolor", "C0")
        boxes = []
        for place, name, group in zip(places, names, groups):
            group.sort()
            if not group:
                continue
            first, median, third = (quantile(group, part) for part in (0.25, 0.5, 0.75))
            reach = float(known["whis"]) * (third - first)
            inside = [value for value in group if first - reach <= value <= third + reach] or [median]
            boxes.append(dict(
                at=place, label=name, low=min(inside[0], first), first=first, median=median, third=third,
                high=max(inside[-1], third), color=color(face),
                outliers=[value for value in group if not first - reach <= value <= third + reach],
            ))
        flat = known["orientation"] == "horizontal"
        width = 0.5 if known["widths"] is None else finite(known["widths"])[0]
        mark = self._add(
            "boxes", groups=boxes, thickness=width, horizontal=flat, filled=bool(patch_artist), outliers=bool(showfliers)
        )
        (self._y if flat else self._x).set_ticks(places, names)
        parts = [Box(mark, box) for box in boxes]
        return {part: list(parts) for part in ("boxes", "medians", "whiskers", "caps", "fliers", "means")}

    def fill_between(self, x, y1, y2=0, where=None, **options):
        """Fills what is between two lines."""
        known = read_options("fill_between", options, color=None, facecolor=None, alpha=None, label=None, interpolate=False)
        x = self._x.places(x)
        lows, highs = (as_numbers(each(line, len(x), "fill_between", "a line")) for line in (y2, y1))
        if where is not None:
            shown = [bool(one) for one in each(where, len(x), "fill_between", "where")]
        else:
            shown = [True] * len(x)
        drawn = self._color(known["color"] if known["color"] is not None else known["facecolor"], known["alpha"])
        areas, run = [], []
        for is_shown, *point in [*zip(shown, x, lows, highs), (False, None, None, None)]:
            if is_shown and None not in point:
                run.append(point)
            elif run:
                x, low, high = (list(values) for values in zip(*run))
                areas.append(self._add(
                    "area", x=x, low=low, high=high, color=drawn, label="" if areas else shown_label(known["label"])
                ))
                run = []
        return Artist(areas[0] if areas else {"color": drawn})

    def axhline(self, y=0, **options):
        """Draws a line from the left to the right."""
        return self._rule("axhline", True, self._y.place(y), options)

    def axvline(self, x=0, **options):
        """Draws a line from the bottom to the top."""
        return self._rule("axvline", False, self._x.place(x), options)

    def _rule(self, function, horizontal, at, options):
        known = read_options(function, options, color=None, linestyle="-", linewidth=1.5, alpha=None, label=None)
        pen = {
            "color": self._color(known["color"], known["alpha"]), "width": float(known["linewidth"]),
            "dash": read_dash(known["linestyle"]) or "solid",
        }
        return Artist(self._add("rule", at=at, horizontal=horizontal, label=shown_label(known["label"]), pen=pen))

    def axhspan(self, ymin, ymax, **options):
        """Fills from the left to the right."""
        return self._span("axhspan", True, self._y.places([ymin, ymax]), options)

    def axvspan(self, xmin, xmax, **options):
        """Fills from the bottom to the top."""
        return self._span("axvspan", False, self._x.places([xmin, xmax]), options)

    def _span(self, function, horizontal, ends, options):
        known = read_options(function, options, color=None, facecolor=None, alpha=None, label=None)
        drawn = self._color(known["color"] if known["color"] is not None else known["facecolor"], known["alpha"])
        mark = {"from": ends[0], "to": ends[1]}
        return Artist(self._add("span", **mark, horizontal=horizontal, label=shown_label(known["label"]), color=drawn))

    def text(self, x, y, s, **options):
        """Writes a text at a place of the data."""
        known = read_options("text", options, color="black", ha="left", va="baseline", rotation=0, alpha=None)
        ha = {"left": "start", "center": "middle", "right": "end"}[known["ha"]]
        va = {"top": "start", "center": "middle"}.get(known["va"], "end")
        turn = {"vertical": 90, "horizontal": 0}.get(known["rotation"], known["rotation"])
        drawn = color(known["color"], known["alpha"])
        size = options.get("fontsize", options.get("size", 10))
        return self._text(self._x.place(x), self._y.place(y), s, drawn, size, ha, va, turn)

    def annotate(self, text, xy, xytext=None, **options):
        """Writes a text at a place, without an arrow."""
        if "arrowprops" in options or options.pop("textcoords", "data") not in ("data", "offset points"):
            raise absent("An arrow of annotate()", ["annotate(text, xy)", "text(x, y, text)"])
        return self.text(*xy, text, **options)

    def _text(self, x, y, words, drawn, size, ha, va, turn):
        size = float(size) if isinstance(size, (int, float)) else 10.0
        return Artist(self._add(
            "text", x=x, y=y, text=str(words), color=color(drawn), size=size, horizontal=ha, vertical=va, turn=float(turn)
        ))

    # What is around it.

    def set_title(self, label, **options):
        """Sets the title."""
        read_options("set_title", options, color=None, loc="center", y=None)
        self._title = str(label)

    def get_title(self):
        return self._title

    def set_xlabel(self, label, **options):
        """Sets the label below."""
        read_options("set_xlabel", options, color=None, loc=None)
        self._x.label = str(label)

    def set_ylabel(self, label, **options):
        """Sets the label at the left."""
        read_options("set_ylabel", options, color=None, loc=None, rotation=None)
        self._y.label = str(label)

    def legend(self, *args, **options):
        """Shows the labels: `legend()`, `legend(labels)`, `legend(things, labels)`."""
        known = read_options("legend", options, loc="best", title="", labels=None, handles=None, bbox_to_anchor=None)
        handles, labels = known["handles"], known["labels"]
        if len(args) == 1:
            (labels,) = args
        elif len(args) == 2:
            handles, labels = args
        if labels is not None:
            self._name(handles, [str(label) for label in labels])
        location = known["loc"]
        if isinstance(location, int):
            location = _LOCATIONS[location] if 0 <= location < len(_LOCATIONS) else location
        if location not in _LOCATIONS:
            raise absent(f"loc={location!r}", map(repr, _LOCATIONS))
        outside = known["bbox_to_anchor"] is not None and known["bbox_to_anchor"][0] >= 1
        location = "outside" if outside else "center right" if location == "right" else location
        self._legend = {"location": location, "title": str(known["title"] or "")}

    def _name(self, handles, labels):
        if handles is not None:
            for handle, label in zip(handles, labels):
                mark = handle[0]._mark if isinstance(handle, list) and handle else handle._mark
                mark["label"] = label
            return
        for mark in self._marks:
            for part in mark["shares"] if mark["kind"] == "pie" else [mark]:
                key = "name" if mark["kind"] == "pie" else "label"
                if key in part and labels:
                    part[key] = labels.pop(0)

    def grid(self, visible=True, axis="both", **options):
        """Shows lines at the ticks."""
        read_options("grid", options, color=None, linestyle=None, linewidth=None, alpha=None)
        for name, one in (("x", self._x), ("y", self._y)):
            if axis in (name, "both"):
                one.grid = visible is None or bool(visible)

    def set_axisbelow(self, below):
        """Nothing to do: lines of the grid are below."""

    def set_xticks(self, ticks, labels=None, **options):
        """Sets where ticks are, and what they say."""
        known = read_options("set_xticks", options, rotation=None, ha=None, minor=False)
        self._x.set_ticks(ticks, labels, known["rotation"])

    def set_yticks(self, ticks, labels=None, **options):
        """Sets where ticks are, and what they say."""
        known = read_options("set_yticks", options, rotation=None, ha=None, minor=False)
        self._y.set_ticks(ticks, labels, known["rotation"])

    def set_xticklabels(self, labels, **options):
        """Sets what ticks say."""
        known = read_options("set_xticklabels", options, rotation=None, ha=None)
        self._x.set_ticks(None, labels, known["rotation"])

    def set_yticklabels(self, labels, **options):
        """Sets what ticks say."""
        known = read_options("set_yticklabels", options, rotation=None, ha=None)
        self._y.set_ticks(None, labels, known["rotation"])

    def tick_params(self, axis="both", **options):
        """Turns the labels of ticks."""
        known = read_options("tick_params", options, rotation=None, labelrotation=None)
        turn = known["labelrotation"] if known["rotation"] is None else known["rotation"]
        for name, one in (("x", self._x), ("y", self._y)):
            if axis in (name, "both"):
                one.set_ticks(rotation=turn)

    def set_xlim(self, left=None, right=None, **options):
        """Sets where the chart begins and ends."""
        known = read_options("set_xlim", options, xmin=None, xmax=None)
        self._x.set_limits(known["xmin"] if left is None else left, known["xmax"] if right is None else right)

    def set_ylim(self, bottom=None, top=None, **options):
        """Sets where the chart begins and ends."""
        known = read_options("set_ylim", options, ymin=None, ymax=None)
        self._y.set_limits(known["ymin"] if bottom is None else bottom, known["ymax"] if top is None else top)

    def set_xscale(self, scale, **options):
        """Sets the scale: "linear" or "log"."""
        read_options("set_xscale", options)
        self._x.set_scale(scale)

    def set_yscale(self, scale, **options):
        """Sets the scale: "linear" or "log"."""
        read_options("set_yscale", options)
        self._y.set_scale(scale)

    def invert_xaxis(self):
        """Lets values fall to the right."""
        self._x.inverted = not self._x.inverted

    def invert_yaxis(self):
        """Lets values fall to the top."""
        self._y.inverted = not self._y.inverted

    def axis(self, what="on"):
        """Shows or hides the frame; "equal" is for pies, which are round."""
        if what in ("off", False):
            self._framed = False
        elif what in ("on", True, "auto", "tight"):
            self._framed = True
        elif what not in ("equal", "scaled") or any(mark["kind"] != "pie" for mark in self._marks):
            raise absent(f"axis({what!r})", ["'on'", "'off'", "'equal' for a pie"])

    def set_aspect(self, aspect):
        """Nothing to do for "auto", and for "equal" of a pie."""
        if aspect != "auto":
            self.axis(aspect)

    def set(self, **properties):
        """Sets several at once: `set(title="…", xlabel="…")`."""
        for name, value in properties.items():
            getattr(self, f"set_{name}")(value)

    def get_figure(self):
        return self.figure

    def _described(self):
        axes = dict(row=self._row, column=self._column, title=self._title, x=vars(self._x), y=vars(self._y))
        return dict(axes, marks=self._marks, legend=self._legend, framed=self._framed)


class Row(list):
    """Charts side by side, or one below the other."""

    def flatten(self):
        return list(self)

    ravel = flatten

    @property
    def flat(self):
        return iter(self)

    @property
    def shape(self):
        return (len(self),)


class Grid:
    """The charts of a figure, in rows and columns."""

    def __init__(self, rows):
        self._rows = rows

    @property
    def shape(self):
        return len(self._rows), len(self._rows[0])

    @property
    def flat(self):
        return iter(self.ravel())

    def ravel(self):
        return [axes for row in self._rows for axes in row]

    flatten = ravel

    def __len__(self):
        return len(self._rows)

    def __iter__(self):
        return iter(self._rows)

    def __getitem__(self, place):
        if isinstance(place, tuple):
            row, column = place
            if isinstance(row, slice):
                return [axes[column] for axes in self._rows[row]]
            return self._rows[row][column]
        return self._rows[place]


class Figure:
    """A picture of one chart or several."""

    def __init__(self, figsize=None, dpi=None, facecolor=None, **options):
        read_options("figure", options, layout=None, constrained_layout=None, tight_layout=None)
        width, height = figsize or (6.4, 4.8)
        self._width, self._height = float(width), float(height)
        if not 0.1 <= self._width <= 200 or not 0.1 <= self._height <= 200:
            raise ValueError(f"figsize: {width} times {height} inches is not between 0.1 and 200 each")
        self.dpi = float(dpi or 100)
        self._title, self._rows, self._columns = "", 1, 1
        self._background = color(facecolor, otherwise="white")
        self._share = [False, False]
        self.axes = []

    def __repr__(self):
        width, height = (round(length * self.dpi) for length in (self._width, self._height))
        return f"<Figure size {width}x{height} with {len(self.axes)} Axes>"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise absent(f"Figure.{name}", [name for name in dir(Figure) if name[0] != "_"])

    def add_subplot(self, *place, **options):
        """Adds a chart: `add_subplot(rows, columns, number)`, `add_subplot(221)`."""
        read_options("add_subplot", options)
        if len(place) == 1 and place[0] >= 100:
            place = [int(digit) for digit in str(place[0])]
        rows, columns, number = place if len(place) == 3 else (1, 1, 1)
        if not 1 <= rows <= 64 or not 1 <= columns <= 64:
            raise ValueError(f"{rows} rows of {columns} charts are not between 1 and 64 each")
        if not isinstance(number, int) or not 1 <= number <= rows * columns:
            raise ValueError(f"num must be an integer with 1 <= num <= {rows * columns}, not {number!r}")
        self._rows, self._columns = max(self._rows, rows), max(self._columns, columns)
        row, column = divmod(number - 1, columns)
        for axes in self.axes:
            if (axes._row, axes._column) == (row, column):
                return axes
        self.axes.append(axes := Axes(self, row, column))
        return axes

    def subplots(self, nrows=1, ncols=1, squeeze=True, sharex=False, sharey=False, **options):
        """Adds charts in rows and columns."""
        read_options("subplots", options)
        self._share = [sharex not in (False, "none"), sharey not in (False, "none")]
        rows = [
            [self.add_subplot(nrows, ncols, row * ncols + column + 1) for column in range(ncols)] for row in range(nrows)
        ]
        if not squeeze:
            return Grid(rows)
        if nrows == ncols == 1:
            return rows[0][0]
        if 1 in (nrows, ncols):
            return Row(axes for row in rows for axes in row)
        return Grid(rows)

    def gca(self):
        """The chart that was added last; one if there is none."""
        return self.axes[-1] if self.axes else self.add_subplot(1, 1, 1)

    def suptitle(self, title, **options):
        """Sets the title of the whole."""
        read_options("suptitle", options, y=None, color=None)
        self._title = str(title)

    def tight_layout(self, **options):
        """Nothing to do: a figure has room for its labels."""

    subplots_adjust = set_tight_layout = tight_layout

    def autofmt_xdate(self, rotation=30, **options):
        """Turns the labels below."""
        for axes in self.axes:
            axes._x.set_ticks(rotation=rotation)

    def set_size_inches(self, width, height=None):
        """Sets the size."""
        width, height = width if height is None else (width, height)
        self._width, self._height = float(width), float(height)

    def clf(self):
        """Takes all charts away."""
        self.axes.clear()
        self._title, self._rows, self._columns = "", 1, 1

    def savefig(self, file, dpi=None, format=None, **options):
        """Writes the figure to a file, as SVG or as PNG, by its name or by `format`."""
        known = read_options(
            "savefig", options, facecolor=None, edgecolor=None, transparent=False, bbox_inches=None, pad_inches=None
        )
        name = getattr(file, "__fspath__", lambda: file)()
        if format is None:
            format = name.rpartition(".")[2].lower() if isinstance(name, str) and "." in name else "png"
        if format not in ("svg", "png"):
            raise absent(f"The format {format!r}", ["'svg'", "'png'"])
        background = self._background
        if known["transparent"]:
            background = None
        elif known["facecolor"] not in (None, "auto"):
            background = color(known["facecolor"])
        described = self._described(background)
        if format == "svg":
            content = _native.svg(described).encode()
        else:
            content = _native.png(described, self.dpi if dpi in (None, "figure") else float(dpi))
        if hasattr(file, "write"):
            file.write(content)
            return
        if isinstance(name, str) and "." not in name.rpartition("/")[2]:
            name = f"{name}.{format}"
        with open(name, "wb") as opened:
            opened.write(content)

    def show(self):
        """Shows the figure: as SVG, as PNG and as the data of its charts, each if it is not too large."""
        from wardian import display

        display(self._repr_mimebundle_(), raw=True)

    def data(self):
        """The data of the charts, as E2B has it: a dict with `type`, `title`, `elements`."""
        return json.loads(_native.data(self._described(None)))

    def _repr_mimebundle_(self, include=None, exclude=None):
        described = self._described(self._background)
        forms = {
            "image/svg+xml": _native.svg(described),
            "image/png": base64.b64encode(_native.png(described, self.dpi)).decode(),
            "e2b/chart": _native.data(described),
        }
        return {"text/plain": repr(self)} | {mime: form for mime, form in forms.items() if len(form) <= _SHOWN}

    def _described(self, background):
        return json.dumps(dict(
            width=72 * self._width, height=72 * self._height, title=self._title, background=background, rows=self._rows,
            columns=self._columns, share=self._share, axes=[axes._described() for axes in self.axes],
        ))
