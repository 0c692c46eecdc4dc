"""Values as figures take them: numbers, dates, colours, markers, formats, and the options of functions."""

import datetime, math
from bisect import bisect_right

import _wardian_plot as _native

CYCLE = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
_VIRIDIS = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"]
_MARKERS = ["o", ".", "s", "^", "v", "D", "x", "+", "*"]
_DASHES = {
    "-": "solid", "solid": "solid", "--": "dashed", "dashed": "dashed", ":": "dotted", "dotted": "dotted",
    "-.": "mixed", "dashdot": "mixed", "": None, " ": None, "none": None, "None": None, None: "solid",
}
# What changes the look alone, and is left as it is.
_LOOKS = {
    "fontsize", "size", "fontweight", "weight", "fontfamily", "family", "fontstyle", "style", "fontdict", "pad", "labelpad",
    "zorder", "shadow", "frameon", "framealpha", "fancybox", "ncol", "ncols", "markerscale", "antialiased", "textprops",
    "bbox", "which", "capsize", "ecolor", "markeredgecolor", "markeredgewidth", "mec", "mew", "labelsize", "title_fontsize",
}
_SHORT = {
    "c": "color", "lw": "linewidth", "ls": "linestyle", "ms": "markersize", "ec": "edgecolor", "fc": "facecolor",
    "mfc": "markerfacecolor", "horizontalalignment": "ha", "verticalalignment": "va", "linewidths": "linewidth",
    "edgecolors": "edgecolor", "facecolors": "facecolor",
}
_EPOCH = datetime.datetime(1970, 1, 1)
# Some functions here have an option of that name.
_range = range


def absent(what, there):
    """The error for something of matplotlib that is not here."""
    there = ", ".join(there) or "none"
    return NotImplementedError(f"{what} is not there: this is a small stand-in for matplotlib. There are: {there}")


def read_options(function, given, **known):
    """Reads options by their names, with what they are otherwise."""
    for name, value in given.items():
        name = _SHORT.get(name, name)
        if name in known:
            known[name] = value
        elif name not in _LOOKS:
            raise absent(f"The option {name} of {function}()", sorted(known))
    return known


def color(value, alpha=None, otherwise=None):
    """A colour as `#rrggbbaa`: of a name, of `C0` to `C9`, of `#rrggbb`, of three or four numbers from 0 to 1."""
    value = otherwise if value is None else value
    if isinstance(value, (tuple, list)) and len(value) in (3, 4):
        value = "#" + "".join(f"{round(255 * min(max(float(part), 0), 1)):02x}" for part in value)
    text = str(value)
    if len(text) > 1 and text[0] == "C" and text[1:].isdigit():
        text = CYCLE[int(text[1:]) % len(CYCLE)]
    found = _native.color(text)
    if found is None:
        raise ValueError(f"{value!r} is not a valid value for color: a name, '#rrggbb' or numbers from 0 to 1 are")
    if alpha is not None and text not in ("none", "None"):
        opacity = int(found[7:], 16) * min(max(float(alpha), 0), 1)
        found = f"{found[:7]}{round(opacity):02x}"
    return found


def is_one(value):
    return isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")


def as_list(values):
    return [values] if is_one(values) else list(values)


def as_number(value):
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def as_numbers(values):
    return [as_number(value) for value in as_list(values)]


def finite(values):
    return [value for value in as_numbers(values) if value is not None]


def as_day(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    else:
        value = datetime.datetime.combine(value, datetime.time())
    return (value - _EPOCH) / datetime.timedelta(days=1)


def check_lengths(function, *lists):
    lengths = [len(values) for values in lists]
    if len(set(lengths)) > 1:
        raise ValueError(f"{function}: the values have different lengths: {', '.join(map(str, lengths))}")


def each(values, count, function, name):
    """One value for each, from one for all or from as many."""
    if is_one(values):
        return [values] * count
    values = list(values)
    if len(values) != count:
        raise ValueError(f"{function}: {name} has {len(values)} values for {count}")
    return values


def colors_of(values, count, alpha, otherwise):
    # Three or four numbers are one colour, names are several.
    is_single = values is None or is_one(values) or (
        len(values) in (3, 4) and all(isinstance(part, (int, float)) for part in values)
    )
    values = [values] if is_single else list(values)
    found = [color(value, alpha, otherwise) for value in values]
    return [found[number % len(found)] for number in range(count)] if found else [color(otherwise, alpha)] * count


def quantile(ordered, part):
    """The number below which a part of sorted numbers is, with a straight line between two of them."""
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def bin_edges(values, bins=10, range=None):
    """The ends of the bins of a histogram: of a number of bins, of "auto", or as they are given."""
    if not is_one(bins):
        edges = sorted(finite(bins))
        if len(edges) < 2:
            raise ValueError("bins: two edges at least make a bin")
        return edges
    low, high = range or (min(values, default=0.0), max(values, default=1.0))
    if low == high:
        low, high = low - 0.5, high + 0.5
    if isinstance(bins, str):
        if bins != "auto":
            raise absent(f"bins={bins!r}", ["a number", "edges", "'auto'"])
        ordered = sorted(values)
        bins = math.ceil(math.log2(max(len(values), 1)) + 1)
        spread = quantile(ordered, 0.75) - quantile(ordered, 0.25) if ordered else 0
        if spread > 0:
            bins = max(bins, math.ceil((high - low) / (2 * spread / len(values) ** (1 / 3))))
    bins = int(bins)
    if not 1 <= bins <= 100_000:
        raise ValueError(f"bins: {bins} is not between 1 and 100000")
    return [low + (high - low) * place / bins for place in _range(bins + 1)]


def count_bins(values, edges):
    """Counts the values between each two edges; the last bin has both of its ends."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        if edges[0] <= value <= edges[-1]:
            counts[min(bisect_right(edges, value) - 1, len(counts) - 1)] += 1
    return counts


def shown_label(label):
    # Names that begin so are not shown.
    return "" if label is None or str(label).startswith("_") else str(label)


def read_marker(marker):
    if marker in (None, "", " ", "none", "None"):
        return None
    marker = {"d": "D", "p": "D", "P": "+", "X": "x", "h": "o", "H": "o", ",": ".", "<": "^", ">": "^"}.get(marker, marker)
    if marker not in _MARKERS:
        raise absent(f"marker={marker!r}", map(repr, _MARKERS))
    return marker


def read_dash(style):
    if style not in _DASHES:
        raise absent(f"linestyle={style!r}", ["'-'", "'--'", "':'", "'-.'", "''"])
    return _DASHES[style]


def read_format(text):
    """The colour, the marker and the dashes that a text as "r--o" says."""
    found, left = [None, None, None], text
    for style in ("--", "-.", "-", ":"):
        if style in left:
            found[2], left = read_dash(style), left.replace(style, "", 1)
            break
    if len(left) > 1 and left[0] == "C" and left[1].isdigit():
        found[0], left = left[:2], left[2:]
    for letter in left:
        if letter in "bgrcmykw" and found[0] is None:
            found[0] = letter
        elif found[1] is None:
            found[1] = read_marker(letter)
        else:
            raise ValueError(f"{text!r} is not a valid format: a colour, a marker and a line are, as 'r--o'")
    return found


def formatted(form, value):
    if callable(form):
        return str(form(value))
    return form.format(value) if "{" in form else form % value


def on_scale(values, alpha):
    low, high = min(values, default=0), max(values, default=1)
    colors = []
    for value in values:
        place = (value - low) / ((high - low) or 1) * (len(_VIRIDIS) - 1)
        first = min(int(place), len(_VIRIDIS) - 2)
        one, other = (
            [int(_VIRIDIS[number][start : start + 2], 16) for start in (1, 3, 5)] for number in (first, first + 1)
        )
        colors.append(color([(a + (b - a) * (place - first)) / 255 for a, b in zip(one, other)], alpha))
    return colors
