import builtins
import sys

kept = builtins.__import__
heard = []


class Quiet:
    def __del__(self):
        raise ValueError("in __del__")


sys.unraisablehook = lambda unraisable: heard.append(unraisable.exc_type.__name__)
builtins.__import__ = lambda *args: None
quiet = Quiet()
del quiet
builtins.__import__ = kept
print(heard)

del sys.unraisablehook
quiet = Quiet()
del quiet
print("goes on")
