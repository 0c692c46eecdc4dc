import csv
import statistics as st
from collections import defaultdict

groups = defaultdict(list)
with open("sales.csv") as f:
    for row in csv.DictReader(f):
        groups[row["product"]].append(int(row["units"]))
for name, values in sorted(groups.items()):
    q = st.quantiles(values, n=4)
    print(f"{name:<6} n={len(values)} mean={st.mean(values):.3f} sd={st.stdev(values):.3f} median={st.median(values)} q={q}")
lamp, desk = groups["lamp"], groups["desk"]
print(round(st.correlation(lamp, desk), 6), st.linear_regression(lamp, desk))
print(st.NormalDist.from_samples(lamp).cdf(50))
