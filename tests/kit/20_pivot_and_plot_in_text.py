import csv
from collections import defaultdict

pivot = defaultdict(lambda: defaultdict(int))
with open("sales.csv") as f:
    for row in csv.DictReader(f):
        pivot[row["region"]][row["date"][:7]] += int(row["units"])
months = sorted({m for row in pivot.values() for m in row})
print("region".ljust(8) + "".join(m[5:].rjust(5) for m in months))
for region, row in sorted(pivot.items()):
    print(region.ljust(8) + "".join(f"{row[m]:5d}" for m in months))
totals = {m: sum(row[m] for row in pivot.values()) for m in months}
peak = max(totals.values())
for month, total in totals.items():
    bar = "█" * (total * 40 // peak) + "▏▎▍▌▋▊▉"[(total * 40 * 7 // peak) % 7]
    print(f"{month} {bar} {total} ({total / peak:.0%})")
