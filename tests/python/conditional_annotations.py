# The set that the interpreter keeps of a module's annotations is a name like others.
for value in ("0", "{}", "[]", "''", "object()", "frozenset()"):
    for left in ("__conditional_annotations__", "globals()['__conditional_annotations__']"):
        try:
            exec(f"{left} = {value}\nx: int", {})
            print("no error")
        except TypeError as error:
            print("TypeError")
space = {}
exec("if 1:\n    x: int\nelse:\n    y: str", space)
print(space["__annotate__"](1))
