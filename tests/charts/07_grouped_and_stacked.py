import matplotlib.pyplot as plt

quarters = ["Q1", "Q2", "Q3", "Q4"]
first = [20, 35, 30, 35]
second = [25, 32, 34, 20]
x = range(len(quarters))
width = 0.35
fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(12, 5))
rects1 = ax1.bar([i - width / 2 for i in x], first, width, label="2024")
rects2 = ax1.bar([i + width / 2 for i in x], second, width, label="2025", yerr=[1, 2, 1, 2], capsize=3)
ax1.set_xticks(list(x))
ax1.set_xticklabels(quarters)
ax1.bar_label(rects1, padding=3)
ax1.legend()
ax2.bar(quarters, first, label="2024")
ax2.bar(quarters, second, bottom=first, label="2025", color="orange")
ax2.set_title("Stacked")
ax2.legend()
plt.savefig("bars.png")
print([float(r.get_height()) for r in rects1], [round(float(r.get_x()), 3) for r in rects2])
