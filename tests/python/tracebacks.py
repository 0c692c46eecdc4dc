import traceback, sys
class AppError(Exception): pass
def load(k): return {"a": 1}[k]
def step(k):
    try: return load(k)
    except KeyError as e:
        raise AppError(f"cannot load {k}") from e
try: step("zz")
except AppError as e:
    e.add_note("while doing the daily import")
    e.add_note("second note")
    print(traceback.format_exc().replace(globals().get("__file__", "<snippet>"), "F"))
    print(traceback.format_exception_only(e), e.__notes__, repr(e.__cause__), e.__traceback__.tb_lineno, [f.name for f in traceback.extract_tb(e.__traceback__)])
try:
    try: 1 / 0
    except ZeroDivisionError: [].x
except AttributeError as e:
    print(repr(e.__context__), e.__suppress_context__, e.name, e.obj)
eg = ExceptionGroup("many", [ValueError("v"), TypeError("t"), ExceptionGroup("inner", [KeyError("k")])])
try: raise eg
except* ValueError as g: print("V", g.exceptions)
except* (TypeError, KeyError) as g: print("T", g.exceptions, g.subgroup(KeyError))
try: raise eg
except ExceptionGroup as e: print("".join(traceback.format_exception(e)).replace(globals().get("__file__", "<snippet>"), "F"))
def deco(f):
    def w(*a): return f(*a)
    return w
@deco
def boom(n):
    x = [1, 2, 3]
    return x[n] + len(x[
        n + 1:])
try: boom(10)
except IndexError: print("".join(traceback.format_exc()).replace(globals().get("__file__", "<snippet>"), "F"))
try: exec("x = (1,\ny = 2")
except SyntaxError as e: print(type(e).__name__, e.msg, e.lineno, e.offset, e.text)
try: int("x" * 50)
except ValueError: t, v, tb = sys.exc_info(); print(t.__name__, str(v), tb is not None)
def rec(n): return rec(n + 1)
try: rec(0)
except RecursionError: print(len(traceback.format_exc().splitlines()) < 40)
try: valeu = 1; value
except NameError as e: print("".join(traceback.format_exception_only(e)))
import math
try: math.sqr(4)
except AttributeError as e: print("".join(traceback.format_exception_only(e)))
