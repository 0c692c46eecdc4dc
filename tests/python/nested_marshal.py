# Marshalled values that are nested more deeply than there is stack for.
import marshal

for head, tail in ((b")\x01", b""), (b"(\x01\x00\x00\x00", b""), (b"[\x01\x00\x00\x00", b""), (b"{N", b"0"), (b">\x01\x00\x00\x00", b"")):
    for depth in (100, 900, 1_000_000):
        try:
            print(type(marshal.loads(head * depth + b"N" + tail * depth)).__name__)
        except ValueError as error:
            print("ValueError")
value = None
for _ in range(900):
    value = [value]
print(marshal.loads(marshal.dumps(value)) == value)
