"""Makes a table and a chart of sales.csv: the revenue of each region, by month."""

import csv
from collections import defaultdict

import leather
from tabulate import tabulate

revenue = defaultdict(lambda: defaultdict(float))
with open("sales.csv", newline="") as file:
    for row in csv.DictReader(file):
        month = int(row["date"][5:7])
        revenue[row["region"]][month] += int(row["units"]) * float(row["price"])

rows = [
    [region, sum(months.values()), max(months, key=months.get), max(months.values())]
    for region, months in sorted(revenue.items())
]
table = tabulate(rows, ["region", "revenue", "best month", "revenue then"], tablefmt="github", floatfmt=",.2f")
print(table)
with open("report.md", "w") as file:
    file.write(f"# Sales of 2025\n\n{table}\n")

chart = leather.Chart("Revenue by month, 2025")
for region, months in sorted(revenue.items()):
    chart.add_line(sorted(months.items()), name=region)
chart.add_x_axis(name="month", ticks=range(1, 13))
chart.to_svg("revenue.svg")
