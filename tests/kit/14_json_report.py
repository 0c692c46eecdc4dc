import csv
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(order=True)
class Product:
    name: str
    units: int = 0
    revenue: Decimal = Decimal(0)
    first: date | None = None
    regions: list[str] = field(default_factory=list)


products: dict[str, Product] = {}
with open("sales.csv") as f:
    for row in csv.DictReader(f):
        p = products.setdefault(row["product"], Product(row["product"]))
        p.units += int(row["units"])
        p.revenue += int(row["units"]) * Decimal(row["price"])
        day = date.fromisoformat(row["date"])
        p.first = min(p.first or day, day)
        if row["region"] not in p.regions:
            p.regions.append(row["region"])
text = json.dumps([asdict(p) for p in sorted(products.values())], default=str, indent=1, ensure_ascii=False)
with open("products.json", "w") as f:
    f.write(text)
print(text)
