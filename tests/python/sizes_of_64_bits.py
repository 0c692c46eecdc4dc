import random, itertools, array, struct, math
def t(f):
    try: return f()
    except Exception as e: return f"{type(e).__name__}: {e}"
big = 10 ** 10
print(t(lambda: len(range(3_000_000_000))), t(lambda: range(big)[-1]), t(lambda: big - 1 in range(big)), t(lambda: list(range(big, big + 3))), t(lambda: range(big).index(5 * 10 ** 9)), t(lambda: range(0, big, 7)[10 ** 9]), t(lambda: range(big)[5:][0]))
random.seed(1); print(t(lambda: random.sample(range(big), 3)), t(lambda: random.choice(range(big))), t(lambda: random.randrange(10 ** 20)), t(lambda: random.randint(1, big)))
print(t(lambda: "abc"[:big]), t(lambda: [1, 2][-big:big]), t(lambda: "abc".find("c", 0, big)), t(lambda: [1, 2].index(2, 0, 2 ** 62)), t(lambda: list(itertools.islice("abc", big))), t(lambda: list(itertools.islice(itertools.count(big), 2))), t(lambda: list(enumerate("a", big))), t(lambda: "a,b".split(",", big)), t(lambda: "aa".replace("a", "b", big)), t(lambda: list(zip(range(2), itertools.repeat(1, big)))), t(lambda: [0] * 0 * big), t(lambda: "" * big))
print(array.array("l").itemsize, struct.calcsize("l"), struct.calcsize("P"), struct.calcsize("@iql"), t(lambda: struct.pack("l", 2 ** 40)), t(lambda: array.array("l", [2 ** 40])), t(lambda: array.array("L", [1]).tobytes()))
print(t(lambda: math.comb(big, 2)), t(lambda: math.perm(big, 2)), t(lambda: 2 ** 40 >> big), t(lambda: (1).__lshift__(40)), hash(2 ** 61 - 1), hash(2 ** 40), hash(1.5), hash((1, 2)) != 0, hash(10 ** 20), t(lambda: round(1.5, big)), t(lambda: f"{1.5:.{3}f}"))
import sys; print(sys.maxsize, sys.hash_info.width)
best = sys.maxsize
for cost in (5_000_000_000, 7_200_000_000):
    if cost < best: best = cost
print(best)
print(hash(()), hash((1, 2)), hash((0.5, (3,))), hash((-1,)), hash(frozenset({1, 2, 3})), hash(2**70), hash(1.5))
