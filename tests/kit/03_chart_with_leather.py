import csv
from collections import Counter
import leather

by_product = Counter()
by_month = Counter()
with open("sales.csv") as f:
    for row in csv.DictReader(f):
        by_product[row["product"]] += int(row["units"])
        by_month[int(row["date"][5:7])] += int(row["units"])

chart = leather.Chart("Units by product")
chart.add_columns(sorted(by_product.items()))
chart.to_svg("products.svg")

chart = leather.Chart("Units by month")
chart.add_line(sorted(by_month.items()), name="units")
chart.add_dots([(m, u) for m, u in sorted(by_month.items()) if u > 300], name="busy")
svg = chart.to_svg()
with open("months.svg", "w") as f:
    f.write(svg)
print(len(svg) > 1000, svg.count("<circle"), by_product.most_common(1))
