# `_decimal`: exceptions, contexts and constants around the numbers of `_mpdecimal`.
import collections, contextvars, numbers
from collections.abc import MutableMapping as _MutableMapping

import _mpdecimal
from _mpdecimal import MAX_EMAX, MAX_PREC, MIN_EMIN, MIN_ETINY, Decimal

__version__ = "1.70"
__libmpdec_version__ = "2.5.1"
HAVE_THREADS = HAVE_CONTEXTVAR = True
IEEE_CONTEXT_MAX_BITS = 512

globals().update((name, name) for name in _mpdecimal.ROUNDINGS)


class DecimalException(ArithmeticError):
    __module__ = "decimal"


def _condition(name, *bases):
    return type(name, bases or (DecimalException,), {"__module__": "decimal"})


Clamped = _condition("Clamped")
Rounded = _condition("Rounded")
Inexact = _condition("Inexact")
Subnormal = _condition("Subnormal")
Overflow = _condition("Overflow", Inexact, Rounded)
Underflow = _condition("Underflow", Inexact, Rounded, Subnormal)
DivisionByZero = _condition("DivisionByZero", DecimalException, ZeroDivisionError)
FloatOperation = _condition("FloatOperation", DecimalException, TypeError)
InvalidOperation = _condition("InvalidOperation")
ConversionSyntax = _condition("ConversionSyntax", InvalidOperation)
DivisionImpossible = _condition("DivisionImpossible", InvalidOperation)
DivisionUndefined = _condition("DivisionUndefined", InvalidOperation, ZeroDivisionError)
InvalidContext = _condition("InvalidContext", InvalidOperation)

# The signals, each with its bits in a status.
_SIGNALS = {globals()[name]: bits for name, bits in _mpdecimal.SIGNALS}

# The order in which a context shows them.
_SHOWN = (
    Clamped, InvalidOperation, DivisionByZero, Inexact, FloatOperation, Overflow, Rounded, Subnormal, Underflow,
)


def _raise(signal, causes):
    raise globals()[signal]([globals()[cause] for cause in causes])


class SignalDict(_MutableMapping):
    """The flags or the traps of a context."""

    __module__ = "decimal"

    def __init__(self, context, index):
        self._context, self._index = context, index

    def _bits(self):
        return self._context._get()[self._index]

    def __getitem__(self, signal):
        return bool(self._bits() & self._of(signal))

    def __setitem__(self, signal, value):
        bits = self._of(signal)
        self._context._set(self._index, self._bits() | bits if value else self._bits() & ~bits)

    def _of(self, signal):
        try:
            return _SIGNALS[signal]
        except (KeyError, TypeError):
            raise KeyError("invalid error flag") from None

    def __delitem__(self, signal):
        raise ValueError("signal keys cannot be deleted")

    def __iter__(self):
        return iter(_SIGNALS)

    def __len__(self):
        return len(_SIGNALS)

    def __eq__(self, other):
        if isinstance(other, SignalDict):
            return dict(self) == dict(other)
        return dict(self) == other if isinstance(other, dict) else NotImplemented

    def copy(self):
        return dict(self)

    def __repr__(self):
        return "{" + ", ".join(f"<class 'decimal.{name.__name__}'>:{self[name]}" for name in _SIGNALS) + "}"


def _bits(signals):
    """The status of a list of signals, or of a dict of all of them."""
    if isinstance(signals, SignalDict):
        return signals._bits()
    if isinstance(signals, dict):
        if set(signals) != set(_SIGNALS):
            raise KeyError("invalid error flag" if set(signals) - set(_SIGNALS) else "missing signals")
        signals = [signal for signal, value in signals.items() if value]
    elif not isinstance(signals, list):
        raise TypeError("argument must be a signal dict")
    bits = 0
    for signal in signals:
        if signal not in _SIGNALS:
            raise TypeError("values for signals are listed by their classes")
        bits |= _SIGNALS[signal]
    return bits


def _integer(index, name, low, high, bounds):
    """A property of a context whose value is an integer."""
    message = f"valid {'values' if high == 1 else 'range'} for {name} {'are' if high == 1 else 'is'} [{bounds}]"

    def get(self):
        return self._get()[index]

    def set(self, value):
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
        if not low <= value <= high:
            raise ValueError(message)
        self._set(index, int(value))

    return property(get, set)


def _signals(index):
    def set(self, value):
        self._set(index, _bits(value))

    return property(lambda self: SignalDict(self, index), set)


class Context(_mpdecimal.Context):
    """Bounds and rounding of results, and which conditions raise."""

    __module__ = "decimal"
    __slots__ = ()

    prec = _integer(0, "prec", 1, MAX_PREC, "1, MAX_PREC")
    Emin = _integer(2, "Emin", MIN_EMIN, 0, "MIN_EMIN, 0")
    Emax = _integer(3, "Emax", 0, MAX_EMAX, "0, MAX_EMAX")
    capitals = _integer(4, "capitals", 0, 1, "0, 1")
    clamp = _integer(5, "clamp", 0, 1, "0, 1")
    flags = _signals(6)
    traps = _signals(7)

    rounding = property(lambda self: _mpdecimal.ROUNDINGS[self._get()[1]], _mpdecimal.Context._set_rounding)

    def __init__(
        self, prec=None, rounding=None, Emin=None, Emax=None, capitals=None, clamp=None, flags=None, traps=None,
    ):
        default = globals().get("DefaultContext")
        if default is not None:
            self._take(default)
            self._set(6, 0)
        given = {
            "prec": prec, "rounding": rounding, "Emin": Emin, "Emax": Emax, "capitals": capitals, "clamp": clamp,
            "flags": flags, "traps": traps,
        }
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)

    def __setattr__(self, name, value):
        if not isinstance(getattr(Context, name, None), property):
            raise AttributeError(f"'decimal.Context' object has no attribute '{name}'")
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        raise AttributeError("context attributes cannot be deleted")

    def _take(self, other):
        for index, value in enumerate(other._get()):
            self._set(index, value)

    def copy(self):
        """A context with the same values."""
        copied = Context()
        copied._take(self)
        return copied

    __copy__ = copy

    def clear_flags(self):
        self._set(6, 0)

    def clear_traps(self):
        self._set(7, 0)

    def __reduce__(self):
        signals = [[signal for signal in _SIGNALS if signals[signal]] for signals in (self.flags, self.traps)]
        return Context, (self.prec, self.rounding, self.Emin, self.Emax, self.capitals, self.clamp, *signals)

    def __repr__(self):
        names = [[signal.__name__ for signal in _SHOWN if signals[signal]] for signals in (self.flags, self.traps)]
        flags, traps = (", ".join(listed) for listed in names)
        return (
            f"Context(prec={self.prec}, rounding={self.rounding}, Emin={self.Emin}, Emax={self.Emax}, "
            f"capitals={self.capitals}, clamp={self.clamp}, flags=[{flags}], traps=[{traps}])"
        )


DecimalTuple = collections.namedtuple("DecimalTuple", "sign digits exponent", module="decimal")

DefaultContext = Context()
BasicContext = Context(
    prec=9, rounding="ROUND_HALF_UP", traps=[InvalidOperation, DivisionByZero, Overflow, Underflow, Clamped], flags=[],
)
ExtendedContext = Context(prec=9, traps=[], flags=[])

_current = contextvars.ContextVar("decimal_context")


def getcontext():
    """The context of the thread or task that is running."""
    context = _current.get(None)
    return _new_current() if context is None else context


def _new_current():
    context = DefaultContext.copy()
    context.clear_flags()
    _current.set(context)
    _mpdecimal.changed()
    return context


def setcontext(context, /):
    """Makes a context that of the thread or task that is running."""
    if not isinstance(context, Context):
        raise TypeError("argument must be a context")
    if any(context is template for template in (DefaultContext, BasicContext, ExtendedContext)):
        context = context.copy()
        context.clear_flags()
    _current.set(context)
    _mpdecimal.changed()


class _Local:
    """The manager of a block that has a context of its own."""

    def __init__(self, context):
        self.new = context

    def __enter__(self):
        self.saved = getcontext()
        setcontext(self.new)
        return self.new

    def __exit__(self, *_):
        setcontext(self.saved)


def localcontext(ctx=None, **kwargs):
    """Manages a block that has a copy of a context, with some values changed."""
    if ctx is None:
        ctx = getcontext()
    elif not isinstance(ctx, Context):
        raise TypeError("optional argument must be a context")
    context = ctx.copy()
    for name, value in kwargs.items():
        if name not in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "flags", "traps"):
            raise TypeError(f"'{name}' is an invalid keyword argument for this function")
        if value is not None:
            setattr(context, name, value)
    return _Local(context)


def IEEEContext(bits, /):
    """The context of an interchange format of IEEE 754."""
    if bits <= 0 or bits > IEEE_CONTEXT_MAX_BITS or bits % 32:
        raise ValueError(f"argument must be a multiple of 32, with a maximum of {IEEE_CONTEXT_MAX_BITS}")
    emax = 3 * (1 << bits // 16 + 3)
    return Context(9 * (bits // 32) - 2, "ROUND_HALF_EVEN", 1 - emax, emax, 1, 1, [], [])


numbers.Number.register(Decimal)
_mpdecimal.install(_raise, _current.get, _new_current, DecimalTuple, numbers.Rational)
_own = {"collections", "contextvars", "numbers", "SignalDict"}
__all__ = [name for name in globals() if not name.startswith("_") and name not in _own]
