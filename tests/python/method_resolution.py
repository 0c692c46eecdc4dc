# The order in which classes are asked, for every small hierarchy.
import itertools


def order(cls):
    return "".join(each.__name__ for each in cls.__mro__[:-1])


class A: pass
class B: pass
class C(A): pass
class E(A, B): pass


known = [A, B, C, E]
made = []
for count in (1, 2, 3):
    for bases in itertools.permutations(known, count):
        try:
            made.append(type("D", bases, {"who": lambda self: "D"}))
            print("".join(base.__name__ for base in bases), order(made[-1]))
        except TypeError:
            print("".join(base.__name__ for base in bases), "no order")
for first, second in itertools.product(made[:12], repeat=2):
    try:
        print(order(type("F", (first, second), {})), end=" ")
    except TypeError:
        print("-", end=" ")
print()
