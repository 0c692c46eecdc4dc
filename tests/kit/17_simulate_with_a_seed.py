import random

rng = random.Random(20260101)
print([rng.randint(1, 6) for _ in range(10)], rng.gauss(0, 1), rng.sample(range(100), 5))
inside = sum(rng.random() ** 2 + rng.random() ** 2 < 1 for _ in range(20000))
print(4 * inside / 20000)
walk, position = [], 0
for _ in range(30):
    position += rng.choice((-1, 1))
    walk.append(position)
print(walk, rng.choices("abc", weights=[5, 3, 1], k=12))
items = list(range(10))
rng.shuffle(items)
print(items, rng.betavariate(2, 5), rng.triangular(1, 5, 2))
