import csv
from collections import defaultdict

totals = defaultdict(lambda: [0, 0.0])
with open("sales.csv", newline="", encoding="utf-8") as f:
    for row in csv.DictReader(f):
        entry = totals[(row["region"], row["product"])]
        entry[0] += int(row["units"])
        entry[1] += int(row["units"]) * float(row["price"])

with open("totals.csv", "w", newline="", encoding="utf-8") as f:
    writer = csv.writer(f)
    writer.writerow(["region", "product", "units", "revenue"])
    for (region, product), (units, revenue) in sorted(totals.items()):
        writer.writerow([region, product, units, f"{revenue:.2f}"])

with open("totals.md", "w", encoding="utf-8") as f:
    f.write("| Region | Product | Units | Revenue |\n|---|---|---:|---:|\n")
    for (region, product), (units, revenue) in sorted(totals.items(), key=lambda kv: -kv[1][1]):
        f.write(f"| {region} | {product} | {units} | {revenue:,.2f} |\n")
print(f"{len(totals)} groups, {sum(v[1] for v in totals.values()):,.2f} in total")
