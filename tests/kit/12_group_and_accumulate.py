import csv
import io
import itertools
import operator

prices = {"lamp": 24.5, "chair": 79.0, "desk": 249.0}
with open("sales.csv") as f:
    rows = sorted(csv.DictReader(f), key=operator.itemgetter("region", "date"))
buffer = io.StringIO()
writer = csv.DictWriter(buffer, fieldnames=["region", "running", "best"], quoting=csv.QUOTE_NONNUMERIC)
writer.writeheader()
for region, group in itertools.groupby(rows, key=operator.itemgetter("region")):
    group = list(group)
    running = list(itertools.accumulate(int(r["units"]) * prices[r["product"]] for r in group))
    best = max(group, key=lambda r: int(r["units"]))
    writer.writerow({"region": region, "running": running[-1], "best": best["date"] + " " + best["product"]})
print(buffer.getvalue())
