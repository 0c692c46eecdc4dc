import csv
import io
import re

messy = '''Name;Betrag;Datum
"Müller, Anna";1.234,50 €;03.02.2026
 Smith ;-17,00;
"O’Brien ""Bob""";0,99 €;31.12.2025
;;
'''
dialect = csv.Sniffer().sniff(messy.splitlines()[1], delimiters=";,")
print(repr(dialect.delimiter))
clean = []
for row in csv.DictReader(io.StringIO(messy), delimiter=";"):
    if not any(value and value.strip() for value in row.values()):
        continue
    amount = re.sub(r"[^0-9,-]", "", row["Betrag"]).replace(",", ".")
    day = re.fullmatch(r"(\d\d)\.(\d\d)\.(\d{4})", row["Datum"] or "")
    clean.append({"name": row["Name"].strip(), "amount": float(amount), "date": "-".join(day.groups()[::-1]) if day else None})
print(clean)
with open("clean.csv", "w", newline="", encoding="utf-8-sig") as f:
    writer = csv.DictWriter(f, clean[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(clean)
print(open("clean.csv", "rb").read()[:20])
