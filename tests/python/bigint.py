import math, sys
print(2 ** 200, -(3 ** 100), 10 ** 50 // 7, -10 ** 30 % 97, pow(3, 10 ** 20, 10 ** 9 + 7), pow(7, -1, 101), (1 << 100) >> 3, ~(1 << 65), (1 << 70) ^ ((1 << 69) - 1), (2 ** 100).bit_length(), (2 ** 100 - 1).bit_count(), -7 // 2, -7 % 3, divmod(-17, 5), 7 // -2)
print(math.factorial(60), math.comb(200, 100), math.perm(20, 7), math.isqrt(10 ** 41), int("zz", 36), int("0b1011", 0), int("-0x1F", 16), int("１２３"), int(" 42 "), hex(2 ** 70), bin(-10), oct(511))
print((1234567890123456789).to_bytes(9, "big"), int.from_bytes(b"\xff\x00\x10", "little", signed=True), (300).to_bytes(2, "little"))
a, b = 0, 1
for _ in range(1000): a, b = b, a + b
print(a, len(str(a)))
print(sum(int(c) for c in str(2 ** 3000)), len(str(math.factorial(1200))))
try: int("9" * 5000)
except ValueError as e: print("ValueError", str(e)[:70])
try: str(10 ** 5000)
except ValueError as e: print("ValueError", str(e)[:70])
def is_prime(n, k=(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
    if n < 2: return False
    for p in k:
        if n % p == 0: return n == p
    d, r = n - 1, 0
    while d % 2 == 0: d //= 2; r += 1
    for a in k:
        x = pow(a, d, n)
        if x in (1, n - 1): continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1: break
        else: return False
    return True
n = 2 ** 127 - 1
print(is_prime(n), is_prime(2 ** 128 + 1), [p for p in range(10 ** 12, 10 ** 12 + 100) if is_prime(p)])
print(10 ** 25 / 3, 2 ** 1000 / 2 ** 998, (10 ** 30 + 1) / 10 ** 15, float(2 ** 53 + 1), round(12345678901234567890, -5), 576460752303423488 / 12009599006321323, 1e308 * 10, int(1e20), 10 ** -2, 0 ** 0, True + True)
for f in (lambda: 1 / 0, lambda: 2 ** 2000 / 3 * 1.0 ** 0 if False else float(2 ** 2000), lambda: 10 ** 400 / 1, lambda: math.factorial(-1), lambda: math.sqrt(-1), lambda: int("12x"), lambda: float("abc"), lambda: "a" + 1, lambda: [][0], lambda: {}["k"], lambda: None.x, lambda: (1)(2), lambda: 5 % 0, lambda: math.log(0), lambda: chr(-1), lambda: "abc".index("z"), lambda: [].pop(), lambda: next(iter([])), lambda: int(None), lambda: sum(["a"]), lambda: max([]), lambda: "x" * -1 + 5, lambda: {}.popitem(), lambda: [1].remove(2), lambda: len(5), lambda: {[]: 1}, lambda: "%d" % "x", lambda: "{} {}".format(1), lambda: sorted([1, "a"]), lambda: range(1, 2, 0), lambda: (1, 2).append(3), lambda: int([1]), lambda: b"a" + "b", lambda: round("x"), lambda: abs("x"), lambda: open("/nonexistent/file"), lambda: __import__("nope"), lambda: dict([1]), lambda: (lambda a: a)(), lambda: (lambda a: a)(1, b=2), lambda: print(x=1), lambda: int("1", 99), lambda: "abc".foo(), lambda: [1, 2][1.0], lambda: isinstance(1, 1), lambda: 1 < "a", lambda: -"a", lambda: zip(1), lambda: [*1], lambda: {**1}, lambda: "a".join([1])):
    try: f(); print("no error")
    except Exception as e: print(type(e).__name__, "|", e)
