import random
import matplotlib.pyplot as plt

random.seed(7)
groups = {"a": [random.gauss(0, 1) for _ in range(80)], "b": [random.gauss(1, 2) for _ in range(80)], "c": [5, 1, 2, 3]}
fig, ax = plt.subplots()
box = ax.boxplot(list(groups.values()), tick_labels=list(groups), patch_artist=True, showfliers=True)
for patch, color in zip(box["boxes"], ["lightblue", "lightgreen", "pink"]):
    patch.set_facecolor(color)
ax.set_ylabel("Value")
ax.set_title("Groups")
plt.savefig("boxes.png")
print(sorted(box), len(box["boxes"]), len(box["medians"]))
