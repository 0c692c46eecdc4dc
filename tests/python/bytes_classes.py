# The classes of bytes, which know ASCII alone, of all 256.
for kind in ("isalpha", "isalnum", "isdigit", "islower", "isupper", "isspace", "istitle", "isascii"):
    for make in (bytes, bytearray):
        print(kind, make.__name__, [i for i in range(256) if getattr(make([i]), kind)()])
for text in (b"", b"Ab1", b"ab\xe9", b"AB ", b"A\xffb", "é".encode("latin-1"), "ß".encode()):
    print(text, *(getattr(text, kind)() for kind in ("isalpha", "isalnum", "islower", "isupper", "istitle")))
