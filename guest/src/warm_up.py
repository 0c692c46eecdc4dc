import json
import re


class Shape:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Shape({self.name!r})"


def squares(n):
    for i in range(n):
        yield i * i


def fail():
    raise ValueError("expected")


print("warm", 1, 2.5, [1, "two"], {"k": None}, Shape("round"), sep=" ")
print(sum(squares(10)), sorted({3, 1, 2}, key=lambda n: -n), f"{3.14159:.2f}")
print(json.dumps(json.loads('{"a": [1, 2.0, null, true]}')), re.findall(r"\w+", "some words"))
try:
    fail()
except ValueError as error:
    print(type(error), error)
with open("/nowhere"):
    pass
