from abc import ABC, abstractmethod
class A(ABC):
    @abstractmethod
    def run(self): ...
def t(f):
    try: f()
    except Exception as e: print(type(e).__name__, "|", e)
t(A); t(lambda: [1].remove(2)); t(lambda: [1].index("x")); t(lambda: b"a" + "b"); t(lambda: dict([1])); t(lambda: (1).foo); t(lambda: [].nope); t(lambda: {}["k"]); t(lambda: "a" + 1); t(lambda: 1 + "a"); t(lambda: None + 1); t(lambda: len(None)); t(lambda: int("1.5")); t(lambda: [1, 2, 3]["a"]); t(lambda: {"a": 1}.b); t(lambda: (lambda x, y: 0)(1)); t(lambda: (lambda x: 0)(1, 2, 3)); t(lambda: print(1)(2)); t(lambda: "x" in 5); t(lambda: [x for x in 5]); t(lambda: "abc"[10]); t(lambda: (1, 2)[5]); t(lambda: open(5.5)); t(lambda: "%d" % "a"); t(lambda: "{:d}".format("a")); t(lambda: "{:z}".format(1)); t(lambda: float("x")); t(lambda: sorted([1, None])); t(lambda: max([])); t(lambda: sum("ab")); t(lambda: "a".join([1, 2])); t(lambda: dict(a=1)["b"]); t(lambda: next(iter([]))); t(lambda: [].pop()); t(lambda: {}.pop("x")); t(lambda: {1}.remove(5)); t(lambda: set([[]])); t(lambda: range("a")); t(lambda: round("a")); t(lambda: isinstance(1, "int")); t(lambda: object().x); t(lambda: setattr(1, "x", 2)); t(lambda: int([])); t(lambda: str(b"\xff", "utf8")); t(lambda: bytes("a")); t(lambda: chr(1114112)); t(lambda: ord("ab")); t(lambda: 1 / 0); t(lambda: 1.0 // 0); t(lambda: 5 % 0); t(lambda: divmod(1, 0)); t(lambda: 0 ** -1); t(lambda: float(10 ** 400)); t(lambda: [0] * "a"); t(lambda: -"a"); t(lambda: not_defined); t(lambda: __import__("nope")); t(lambda: exec("x = ")); t(lambda: zip([1], [1, 2], strict=True).__next__() and list(zip([1], [1, 2], strict=True))); a, b = 1, 2
try: a, b = [1]
except ValueError as e: print(e)
try: a, b = [1, 2, 3]
except ValueError as e: print(e)
try: a, *b = []
except ValueError as e: print(e)
def g(*, k): pass
t(lambda: g()); t(lambda: g(1)); t(lambda: g(z=1, k=2)); t(lambda: g(**{"k": 1}, **{"k": 2}))
class C:
    def __init__(self, a): self.a = a
    def m(self): return self.missing
t(C); t(lambda: C(1).m()); t(lambda: C(1)(2)); t(lambda: C(1)[0]); t(lambda: len(C(1))); t(lambda: C(1) < C(2)); t(lambda: iter(C(1))); t(lambda: C(1) + 1); t(lambda: hash([])); t(lambda: {[]: 1}); t(lambda: [*C(1)]); t(lambda: C.m())
