"""Spreadsheets: XLSX, XLSM, XLSB, XLS and ODS are read, XLSX is written.

    from wardian import sheets
    for row in sheets.records("orders.xlsx"):
        print(row["name"], row["price"])
    sheets.write("report.xlsx", {"Totals": [["region", "revenue"], ["north", 12.5]]})

A cell is None, a bool, an int, a float, a text, or a date, a time or a duration of `datetime`. The value of a formula is
what the program that wrote the file has computed. Nothing is computed here, and no macro runs.
"""

import datetime, numbers

import _wardian_sheets as _native

__all__ = ["names", "read", "records", "write"]

_EPOCH = datetime.datetime(1899, 12, 30)
_DAY = datetime.timedelta(days=1)


def _content(source):
    if isinstance(source, (bytes, bytearray, memoryview)):
        return source
    if hasattr(source, "read"):
        return source.read()
    with open(source, "rb") as opened:
        return opened.read()


def names(source):
    """The names of the sheets of a file: a path, bytes, or something that is open."""
    return _native.names(_content(source))


def read(source, sheet=None):
    """The rows of a sheet, by its name or its number from 0; without one, a dict of all of them by their names.

    Rows begin with the first cell that is not empty, and are all as long as the longest.
    """
    content = _content(source)
    known = _native.names(content)
    if sheet is None:
        return dict(zip(known, _native.read(content, known)))
    return _native.read(content, [_name(sheet, known)])[0]


def _name(sheet, known):
    if isinstance(sheet, int) and -len(known) <= sheet < len(known):
        return known[sheet]
    if sheet not in known:
        raise KeyError(f"there is no sheet {sheet!r}: there are {', '.join(map(repr, known))}")
    return sheet


def records(source, sheet=0):
    """The rows of a sheet as dicts, by the names in its first row."""
    first, *rows = read(source, sheet) or [[]]
    columns = [f"column {number}" if name is None else str(name) for number, name in enumerate(first, 1)]
    return [dict(zip(columns, row)) for row in rows]


def write(target, sheets, header=True):
    """Writes XLSX to a path or to something that is open.

    `sheets` are rows, or a dict of rows by the names of sheets. Rows are lists of cells, or dicts that all have the same
    keys. The first row is bold and stays in sight, unless `header` is false. A text is a text: nothing becomes a formula.
    """
    if not isinstance(sheets, dict):
        sheets = {"Sheet1": sheets}
    content = _native.write([str(name) for name in sheets], [_rows(rows) for rows in sheets.values()], bool(header))
    if hasattr(target, "write"):
        target.write(content)
        return
    with open(target, "wb") as opened:
        opened.write(content)


def _rows(rows):
    rows = list(rows)
    if rows and isinstance(rows[0], dict):
        columns = list(rows[0])
        rows = [columns, *([row.get(name) for name in columns] for row in rows)]
    return [[_cell(value) for value in row] for row in rows]


def _cell(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime.datetime):
        return (value.replace(tzinfo=None) - _EPOCH) / _DAY, "yyyy-mm-dd hh:mm:ss"
    if isinstance(value, datetime.date):
        return (datetime.datetime.combine(value, datetime.time()) - _EPOCH) / _DAY, "yyyy-mm-dd"
    if isinstance(value, datetime.time):
        return (datetime.datetime.combine(_EPOCH, value) - _EPOCH) / _DAY, "hh:mm:ss"
    if isinstance(value, datetime.timedelta):
        return value / _DAY, "[h]:mm:ss"
    # Decimals, fractions.
    return float(value) if isinstance(value, numbers.Number) else value
