import json
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(order=True)
class Order:
    price: float
    customer: str = field(compare=False)
    items: list[str] = field(default_factory=list, compare=False)

    def total(self, tax: float = 0.19) -> float:
        return round(self.price * (1 + tax), 2)


def parse(line: str) -> Order | None:
    match = re.match(r"(\w+):\s*(\d+\.\d+)\s*\[(.*)\]", line)
    if match is None:
        return None
    customer, price, items = match.groups()
    return Order(float(price), customer, [item.strip() for item in items.split(",") if item])


def summarise(lines):
    by_customer = defaultdict(list)
    counts = Counter()
    for line in lines:
        order = parse(line)
        if not order:
            print(f"skipped: {line!r}")
            continue
        by_customer[order.customer].append(order)
        counts.update(order.items)
    return {
        name: {
            "orders": len(orders),
            "total": sum(order.total() for order in orders),
            "mean": math.fsum(order.price for order in orders) / len(orders),
            "largest": max(orders).price,
        }
        for name, orders in sorted(by_customer.items())
    }, counts.most_common(2)


LINES = ["ada: 12.50 [pen, ink]", "bob: 3.00 [pen]", "ada: 99.99 [desk]", "nonsense"]
summary, top = summarise(LINES)
print(json.dumps(summary, indent=2))
print(top)
