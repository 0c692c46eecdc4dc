import random
import matplotlib.pyplot as plt

random.seed(42)
data = [random.gauss(50, 10) for _ in range(1000)]
counts, edges, patches = plt.hist(data, bins=20, color="skyblue", edgecolor="black", alpha=0.7, label="scores")
mean = sum(data) / len(data)
plt.axvline(mean, color="red", linestyle="dashed", linewidth=2, label=f"Mean: {mean:.2f}")
plt.title("Distribution of Scores")
plt.xlabel("Score")
plt.ylabel("Frequency")
plt.legend()
plt.savefig("histogram.png")
print([int(count) for count in counts], [round(float(edge), 6) for edge in edges], len(patches))
counts, edges, _ = plt.hist(data, bins=[20, 40, 60, 80], density=True)
print([round(float(count), 9) for count in counts], [int(edge) for edge in edges])
