"""Variables of a script with annotations, and its docstring."""
import sys

count: int = 1
names: list[str] = ["a"]
later: "Undefined"
for i in range(2):
    inside: dict[str, int] = {"x": i}
if count:
    given: float = 2.5
else:
    never: complex = 1j


class Point:
    x: int = 0
    if count:
        y: str = ""


def function(a: int, b: "str" = "x") -> float:
    local: bytes = b""
    return local


main = sys.modules["__main__"]
print(count, names, inside, given, __doc__)
print(sorted(main.__annotations__), main.__annotations__["names"], main.__annotations__["later"])
print(Point.__annotations__, function.__annotations__, function(1))
scope = {}
exec("z: int = 3", scope)
print(scope["z"])
exec("from __future__ import annotations\nw: Nowhere = 4", scope)
print(scope["w"], scope["__annotations__"])
total: int = sum(x for x in range(4))
print(total)
