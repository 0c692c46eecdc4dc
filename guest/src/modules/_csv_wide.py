"""`csv` with delimiters, quotes and escapes beyond ASCII, which RustPython's takes for bytes.

Each such character changes places with a control character, in what is read and in what comes of it: the parser sees ASCII.
"""

import _csv
import csv

_STAND_INS = {"delimiter": "\x1f", "quotechar": "\x1e", "escapechar": "\x1d"}


def _swaps(dialect, options):
    """The options with ASCII in the place of wide characters, and the table that swaps both; None if there are none."""
    if isinstance(dialect, str):
        dialect = _csv.get_dialect(dialect)
    delimiter = options.get("delimiter")
    if isinstance(delimiter, str) and len(delimiter) != 1:
        raise TypeError('"delimiter" must be a 1-character string')
    options, table = dict(options), {}
    for name, stand_in in _STAND_INS.items():
        wide = options.get(name, getattr(dialect, name, None))
        if isinstance(wide, str) and len(wide) == 1 and not wide.isascii():
            table[ord(wide)], table[ord(stand_in)] = stand_in, wide
            options[name] = stand_in
    return (options, table) if table else None


class _Reader:
    def __init__(self, lines, table, dialect, options):
        self._table = table
        self._reader = _reader((line.translate(table) for line in lines), dialect, **options)

    def __iter__(self):
        return self

    def __next__(self):
        fields = next(self._reader)
        return [field.translate(self._table) if isinstance(field, str) else field for field in fields]

    @property
    def line_num(self):
        return self._reader.line_num

    @property
    def dialect(self):
        return self._reader.dialect


class _Swapping:
    def __init__(self, file, table):
        self._write, self._table = file.write, table

    def write(self, text):
        return self._write(text.translate(self._table))


class _Writer:
    def __init__(self, file, table, dialect, options):
        self._table = table
        self._writer = _writer(_Swapping(file, table), dialect, **options)

    def writerow(self, row):
        return self._writer.writerow([
            field if isinstance(field, (int, float, type(None))) else str(field).translate(self._table) for field in row
        ])

    def writerows(self, rows):
        for row in rows:
            self.writerow(row)

    @property
    def dialect(self):
        return self._writer.dialect


def reader(iterable, /, dialect="excel", **options):
    swaps = _swaps(dialect, options)
    if swaps is None:
        return _reader(iterable, dialect, **options)
    options, table = swaps
    return _Reader(iter(iterable), table, _plain(dialect), options)


def writer(fileobj, /, dialect="excel", **options):
    swaps = _swaps(dialect, options)
    if swaps is None:
        return _writer(fileobj, dialect, **options)
    options, table = swaps
    return _Writer(fileobj, table, _plain(dialect), options)


def _plain(dialect):
    """A dialect whose wide characters are given by options."""
    if isinstance(dialect, str):
        return dialect
    names = "delimiter quotechar escapechar doublequote skipinitialspace lineterminator quoting strict".split()
    values = {name: getattr(dialect, name) for name in names if hasattr(dialect, name)}
    for name, stand_in in _STAND_INS.items():
        if isinstance(values.get(name), str) and not values[name].isascii():
            values[name] = stand_in
    return type("Dialect", (csv.Dialect,), values)


_reader, _writer = _csv.reader, _csv.writer
reader.__doc__, writer.__doc__ = _reader.__doc__, _writer.__doc__
for _module in (_csv, csv):
    _module.reader, _module.writer = reader, writer
