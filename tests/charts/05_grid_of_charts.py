import math
import matplotlib.pyplot as plt

x = [i * 0.1 for i in range(100)]
fig, axes = plt.subplots(2, 2, figsize=(12, 8), sharex=True)
functions = {"sin": math.sin, "cos": math.cos, "tanh": math.tanh, "square": lambda v: v * v}
for ax, (name, function) in zip(axes.flatten(), functions.items()):
    ax.plot(x, [function(v) for v in x], label=name)
    ax.set_title(name)
    ax.grid(True)
    ax.legend(loc="upper right")
axes[1, 0].set_xlabel("x")
axes[1][1].set_xlabel("x")
fig.suptitle("Four functions", fontsize=16)
fig.tight_layout()
fig.savefig("grid.png", dpi=100)
print(axes.shape, len(fig.axes))
