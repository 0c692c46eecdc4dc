# Strings that grow piece by piece, of every width, while others hold on to what they were.
def grow(piece, n):
    s = ""
    for i in range(n):
        s += piece
    return s


for piece in ("x", "é", "€", "😀", "ab", "\x00"):
    s = grow(piece, 3000)
    print(len(s), s == piece * 3000, hash(s) == hash(piece * 3000), s[1000:1003], s.count(piece), s.isascii())


def mixed():
    s, kept, lengths = "", [], []
    for i in range(400):
        s += chr(33 + i % 90) if i % 7 else "ü€😀"[i % 3]
        if i % 50 == 0:
            kept.append(s)
            lengths.append({s: i}[s])
    return s, kept, lengths


s, kept, lengths = mixed()
print(len(s), [len(each) for each in kept], lengths, all(s.startswith(each) for each in kept), hash(s) == hash("".join(list(s))))


def aliases():
    a = b = "start"
    out = []
    for i in range(5):
        a += "x"
        out.append((a, b))
        b = a
        b += "y"
    return out


print(aliases())


def surrogates():
    s = "a"
    for i in range(4):
        s += "\ud83d"
        s += "\ude00"
    return len(s), ascii(s)


print(surrogates())


class Text(str):
    def __add__(self, other):
        return "mine"


def changing(first, second):
    out = []
    for s in (first, second, first):
        for i in range(5):
            s += "z"
        out.append(s)
    return out


print(changing("a", Text("b")), changing("", "q" * 600)[1][-7:])


def slow_if_quadratic(n):
    s = "é"
    for i in range(n):
        s += "0123456789"
    return len(s)


print(slow_if_quadratic(200000))
