# One site of code for each operator, run with operands whose types change half-way.
import operator
from decimal import Decimal
from fractions import Fraction


class Number:
    def __init__(self, n):
        self.n = n

    def __add__(self, other):
        return ("add", self.n, other)

    def __radd__(self, other):
        return ("radd", self.n, other)

    def __iadd__(self, other):
        return ("iadd", self.n, other)

    def __eq__(self, other):
        return ("eq", self.n)

    def __lt__(self, other):
        return ("lt", self.n)

    def __getitem__(self, key):
        return ("item", self.n, key)

    def __contains__(self, item):
        return item == self.n

    def __iter__(self):
        return iter((self.n, self.n + 1))

    def __bool__(self):
        return self.n > 3

    def __len__(self):
        return self.n

    __hash__ = None


class Small(int):
    def __add__(self, other):
        return "small"

    def __bool__(self):
        return False


class Text(str):
    def __add__(self, other):
        return "text+"

    def __eq__(self, other):
        return "text="

    __hash__ = str.__hash__


def add(a, b):
    return a + b


def iadd(a, b):
    a += b
    return a


def sub(a, b):
    return a - b


def mul(a, b):
    return a * b


def div(a, b):
    return a / b


def floordiv(a, b):
    return a // b


def mod(a, b):
    return a % b


def power(a, b):
    return a**b


def equal(a, b):
    return a == b


def less(a, b):
    return a < b


def branch(a, b):
    if a == b:
        return "same"
    return "not same"


def less_branch(a, b):
    return "less" if a < b else "not less"


def item(a, b):
    return a[b]


def contains(a, b):
    return b in a


def truth(a, b):
    return "true" if a else "false"


def negate(a, b):
    return not a


def unpack(a, b):
    first, second = a
    return first, second


def loop(a, b):
    return [each for each in a]


def length(a, b):
    return len(a)


def and_or(a, b):
    return (a & b, a | b, a ^ b)


numbers = [(1, 2), (2**70, 3), (1.5, 2.5), (1, 2.5), (True, False), (3, 0), (-7, 2), (1j, 2), ("a", "b"), ("é", "ü"), (Number(3), 4),
           (4, Number(5)), (Small(1), 2), (Text("x"), "y"), ([1], [2]), ((1,), (2,)), (Fraction(1, 2), 2), (Decimal("1.1"), 3),
           (b"a", b"b"), ({1}, {2}), ({1: 2}, {3: 4}), (None, 1), (float("nan"), float("nan")), (0.0, -0.0)]
containers = [([1, 2], 1), ([1, 2], -1), ([1, 2], 5), ((1, 2), 0), ((1, 2), True), ("ab", 1), ("éa", 0), ({1: "x", "k": 2}, 1), ({1: "x"}, 2),
              (Number(1), 0), (b"ab", 1), (range(3), 2), ([1, 2, 3], slice(1, None)), ("abc", slice(None, None, -1)), ({1, 2}, 1),
              (frozenset([1, 2]), 2), (bytearray(b"ab"), 0), (iter([1, 2]), 0), (dict(a=1, b=2), "a"), (Number(9), 9), ([], 0), ("", 0)]


def outcome(function, a, b):
    try:
        return repr(function(a, b))
    except Exception as error:
        return type(error).__name__


def fresh(pairs, index):
    a, b = pairs[index]
    if isinstance(a, list):
        a = list(a)
    elif hasattr(a, "__next__"):
        a = iter([1, 2])
    elif isinstance(a, bytearray):
        a = bytearray(a)
    return a, b


def check(function, pairs):
    # Each answer of a cold copy of the function is what each hot one has to give, whatever it was hot with.
    import types

    def cold():
        code = function.__code__.replace()
        return types.FunctionType(code, function.__globals__)

    expected = [outcome(cold(), *fresh(pairs, i)) for i in range(len(pairs))]
    wrong = 0
    for warm in range(len(pairs)):
        hot = cold()
        for _ in range(40):
            outcome(hot, *fresh(pairs, warm))
        for i in range(len(pairs)):
            for _ in range(3):
                if outcome(hot, *fresh(pairs, i)) != expected[i]:
                    wrong += 1
                    print("wrong", function.__name__, pairs[warm], pairs[i], outcome(hot, *fresh(pairs, i)), expected[i])
    print(function.__name__, wrong, expected)


for function in (add, iadd, sub, mul, div, floordiv, mod, power, equal, less, branch, less_branch, truth, negate, and_or):
    check(function, numbers)
for function in (item, contains, truth, unpack, loop, length):
    check(function, containers)
