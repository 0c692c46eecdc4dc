import csv
from collections import defaultdict
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
sales = [120, 135, 128, 150, 162, 158]

plt.figure(figsize=(10, 6))
plt.plot(months, sales, marker="o", linestyle="-", color="b", label="Sales")
plt.title("Monthly Sales", fontsize=14, fontweight="bold")
plt.xlabel("Month")
plt.ylabel("Sales (USD)")
plt.grid(True, linestyle="--", alpha=0.7)
plt.legend()
plt.tight_layout()
plt.savefig("sales.png", dpi=150, bbox_inches="tight")
plt.close()
print("saved")
