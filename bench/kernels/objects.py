class Vector:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)


total = Vector(0, 0)
for i in range(40_000):
    total = total + Vector(i, -i)
[total.x, total.y, sorted([(-i) % 1000 for i in range(20_000)], key=lambda n: n % 10)[-1]]
