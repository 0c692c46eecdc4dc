import csv
from tabulate import tabulate

with open("sales.csv") as f:
    rows = list(csv.DictReader(f))
for fmt in ("github", "grid", "html", "latex", "rounded_outline", "tsv", "pipe"):
    print(tabulate(rows[:4], headers="keys", tablefmt=fmt))
    print()
print(tabulate([["größe", 1.5], ["naïve", -22.25], ["日本", 3]], headers=["word", "n"], floatfmt=".3f", showindex=True))
