import csv
import math
from collections import Counter
from xml.etree import ElementTree as ET

units = Counter()
with open("sales.csv") as f:
    for row in csv.DictReader(f):
        units[row["region"]] += int(row["units"])
svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox="-110 -110 220 220", width="220", height="220")
total, angle = sum(units.values()), -math.pi / 2
for (name, count), colour in zip(sorted(units.items()), ("#4477aa", "#ee6677", "#228833", "#ccbb44")):
    end = angle + 2 * math.pi * count / total
    x1, y1, x2, y2 = (100 * f(a) for a in (angle, end) for f in (math.cos, math.sin))
    large = int(end - angle > math.pi)
    path = ET.SubElement(svg, "path", fill=colour, d=f"M0 0L{x1:.2f} {y1:.2f}A100 100 0 {large} 1 {x2:.2f} {y2:.2f}Z")
    ET.SubElement(path, "title").text = f"{name}: {count} ({count / total:.1%})"
    angle = end
ET.indent(svg)
ET.ElementTree(svg).write("pie.svg", encoding="unicode")
print(ET.tostring(svg, encoding="unicode")[:400])
