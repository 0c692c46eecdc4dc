import random
import matplotlib.pyplot as plt

random.seed(0)
n = 60
x = [random.random() for _ in range(n)]
y = [2 * v + random.gauss(0, 0.2) for v in x]
mx, my = sum(x) / n, sum(y) / n
slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
intercept = my - slope * mx
plt.scatter(x, y, s=[20 + 80 * v for v in x], c=y, cmap="viridis", alpha=0.6, edgecolors="none", label="data")
plt.plot([0, 1], [intercept, intercept + slope], "r--", label=f"y = {slope:.2f}x + {intercept:.2f}")
plt.xlim(0, 1)
plt.xlabel("x"); plt.ylabel("y")
plt.title("Fit")
plt.legend()
plt.savefig("scatter.png")
plt.clf()
print(f"{slope:.6f} {intercept:.6f}")
