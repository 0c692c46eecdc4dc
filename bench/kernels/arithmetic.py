s = 0
for i in range(400_000):
    s += i * i % 7
s
