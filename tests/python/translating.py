# str.translate with tables of every kind.
text = "Hello, Wörld! 😀 abc äöü ABC \x00\x7f\x80\xff" * 3
for table in (
    str.maketrans("abc", "xyz"),
    str.maketrans("abcö", "xyzO", "l!"),
    str.maketrans({"H": "hh", "ö": None, "😀": ":)", 65: 66, "B": "€"}),
    {},
    {ord("l"): "", ord("W"): 0x1F600},
    dict.fromkeys(range(128)),
):
    print(ascii(text.translate(table)))


class Upper(dict):
    def __missing__(self, key):
        return chr(key).upper()


class Sequence:
    def __getitem__(self, key):
        if key > 200:
            raise LookupError
        return key + 1


print(ascii(text.translate(Upper({97: "!"}))), ascii(text.translate(Sequence())))
print(ascii("abc".translate([str(i) for i in range(98)])))
for bad in ({97: 1.5}, {97: 0x110000}, {97: -1}):
    try:
        print("xa".translate(bad))
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
print(len(("the quick brown fox " * 50000).translate(str.maketrans("aeiou", "AEIOU"))))
plain = "the quick brown fox, 1234"
for table in (str.maketrans("aeiou1", "AEIOU9"), str.maketrans("q", "ä"), str.maketrans("", "", "aeiou"), str.maketrans({"x": "ks"}), {ord("q"): 300}):
    print(ascii(plain.translate(table)), ascii(str.translate("", table)))
