import csv
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

wb = Workbook()
ws = wb.active
ws.title = "Data"
with open("sales.csv") as f:
    for row in csv.reader(f):
        ws.append([float(cell) if cell.replace(".", "").isdigit() else cell for cell in row])
for cell in ws[1]:
    cell.font = Font(bold=True)
summary = wb.create_sheet("Summary")
summary["A1"] = "units"
summary["B1"] = f"=SUM(Data!D2:D{ws.max_row})"
wb.save("data.xlsx")

wb = load_workbook("data.xlsx")
ws = wb["Data"]
print(wb.sheetnames, ws.dimensions, wb["Summary"]["B1"].value)
total = 0
for row in ws.iter_rows(min_row=2, values_only=True):
    total += row[3] * row[4]
print(f"{total:.2f}", ws["A1"].font.b, get_column_letter(28))
