import csv
import json
import zipfile
from pathlib import Path

out = Path("out")
out.mkdir()
with open("sales.csv") as f:
    rows = list(csv.DictReader(f))
for region in sorted({row["region"] for row in rows}):
    mine = [row for row in rows if row["region"] == region]
    (out / f"{region.lower()}.json").write_text(json.dumps(mine, indent=2))
with zipfile.ZipFile("results.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for path in sorted(out.glob("*.json")):
        z.writestr(zipfile.ZipInfo(path.name, (2026, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_STORED)
with zipfile.ZipFile("results.zip") as z:
    print(z.testzip(), [(i.filename, i.file_size) for i in z.infolist()])
    z.extract("north.json", "again")
print((Path("again") / "north.json").read_bytes() == (out / "north.json").read_bytes())
