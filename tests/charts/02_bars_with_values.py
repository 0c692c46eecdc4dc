import matplotlib.pyplot as plt

categories = ["North", "South", "East", "West"]
values = [23.5, 17, 35.25, 29]
fig, ax = plt.subplots(figsize=(8, 5))
bars = ax.bar(categories, values, color=["#4C72B0", "#DD8452", "#55A868", "#C44E52"], edgecolor="black")
for bar in bars:
    height = bar.get_height()
    ax.text(bar.get_x() + bar.get_width() / 2, height + 0.5, f"{height:.1f}", ha="center", va="bottom", fontsize=10)
    print(round(bar.get_x(), 2), bar.get_width(), float(height))
ax.set_title("Revenue by Region")
ax.set_xlabel("Region")
ax.set_ylabel("Revenue ($M)")
ax.set_ylim(0, max(values) * 1.15)
plt.xticks(rotation=45, ha="right")
plt.tight_layout()
plt.savefig("bars.svg")
plt.show()
