import json
import re
from collections import Counter

people = [{"id": i, "name": f"user{i % 97}", "tags": ["a", "b", str(i)]} for i in range(3_000)]
text = json.dumps(people)
names = Counter(person["name"] for person in json.loads(text))
[len(names), len(re.findall(r"user(\d+)", text))]
