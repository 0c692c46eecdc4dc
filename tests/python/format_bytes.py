# `%` of bytes with what counts as a mapping, and what does not.
class Text(str):
    pass


for form in (b"x", b"%s", b"%d", b"%(a)s", b"%a", b"%%"):
    for values in ("a", Text("a"), b"a", bytearray(b"a"), {b"a": b"b"}, (), ("a",), [1], 5, {}):
        try:
            print(form, repr(values), form % values)
        except Exception as error:
            print(form, repr(values), type(error).__name__, str(error).replace("bytes-like object", "bytes"))
