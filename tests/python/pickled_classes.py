"""Classes whose attributes change while an object of theirs is copied."""
import copyreg


class Name(str):
    pass


class Changing:
    __slotnames__ = [Name("spam")]

    def __getattr__(self, name):
        if name == "spam":
            Changing.__slotnames__[:] = [Name("spam")]
            return 42
        raise AttributeError(name)


print(Changing().__reduce_ex__(2) == (copyreg.__newobj__, (Changing,), (None, {"spam": 42}), None, None))


class Wrong:
    __slotnames__ = [1]


try:
    Wrong().__reduce_ex__(2)
except TypeError:
    print("TypeError")
