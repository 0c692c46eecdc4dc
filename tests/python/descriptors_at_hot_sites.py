# One site of code, run hundreds of times, over classes whose attributes change what they are half-way.
class Checked:
    """Has `__set__` alone, as validators do."""

    def __set_name__(self, owner, name):
        self.name = name

    def __set__(self, instance, value):
        if value < 0:
            raise ValueError(self.name)
        instance.__dict__[self.name] = value * 2


class Account:
    balance = Checked()

    def __init__(self, balance):
        self.balance = balance


stored = []
for i in range(300):
    stored.append(Account(i).balance)
try:
    Account(-1)
except ValueError as error:
    print("refused", error)
print(stored[:4], stored[-2:], stored == [i * 2 for i in range(300)])


class Late:
    """Becomes a descriptor when it has been in use."""


class Holder:
    value = Late()

    def __init__(self):
        self.value = 1


def store_and_load(holder):
    holder.value = 5
    return holder.value


holder = Holder()
before = [store_and_load(holder) for _ in range(300)]
Late.__get__ = lambda self, instance, owner: "got"
Late.__set__ = lambda self, instance, value: log.append(value)
log = []
after = [store_and_load(holder) for _ in range(300)]
print(set(before), set(after), len(log), set(log))


class Meta(type):
    pass


class Plain(metaclass=Meta):
    mark = 1


def load_of_class(cls):
    return cls.mark


first = [load_of_class(Plain) for _ in range(300)]
Meta.mark = property(lambda cls: "from the metaclass")
second = [load_of_class(Plain) for _ in range(300)]
print(set(first), set(second))


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class Dict:
    def __init__(self, a):
        self.a = a


class Property:
    def __init__(self, a):
        self._a = a

    @property
    def a(self):
        return ("property", self._a)


class Dynamic:
    def __init__(self, a):
        self.hidden = a

    def __getattr__(self, name):
        return (name, self.hidden)


class Everything:
    def __init__(self, a):
        object.__setattr__(self, "a", a)

    def __getattribute__(self, name):
        return (name, "everything")


def load(thing):
    return thing.a


kinds = [Slots, Dict, Property, Dynamic, Everything]
for first in kinds:
    for second in kinds:
        seen = [load(first(1)) for _ in range(100)] + [load(second(2)) for _ in range(100)]
        print(first.__name__, second.__name__, sorted(set(map(repr, seen))))


class Changing:
    pass


def call(thing):
    return thing.method()


thing, results = Changing(), []
Changing.method = lambda self: "function"
results += [call(thing) for _ in range(100)]
Changing.method = staticmethod(lambda: "static")
results += [call(thing) for _ in range(100)]
Changing.method = classmethod(lambda cls: cls.__name__)
results += [call(thing) for _ in range(100)]
thing.method = lambda: "own"
results += [call(thing) for _ in range(100)]
Changing.method = property(lambda self: lambda: "property")
results += [call(thing) for _ in range(100)]
del Changing.method
results += [call(thing) for _ in range(100)]
print([(name, results.count(name)) for name in dict.fromkeys(results)])
