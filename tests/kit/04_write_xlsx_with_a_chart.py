import csv
import datetime
import xlsxwriter

workbook = xlsxwriter.Workbook("report.xlsx")
workbook.set_properties({"title": "Sales", "created": datetime.datetime(2026, 1, 1)})
sheet = workbook.add_worksheet("Sales")
bold = workbook.add_format({"bold": True, "bg_color": "#DDEEFF"})
money = workbook.add_format({"num_format": "#,##0.00"})
sheet.write_row(0, 0, ["date", "region", "units", "revenue"], bold)
with open("sales.csv") as f:
    for i, row in enumerate(csv.DictReader(f), start=1):
        sheet.write_datetime(i, 0, datetime.datetime.fromisoformat(row["date"]),
                             workbook.add_format({"num_format": "yyyy-mm-dd"}) if i == 1 else None)
        sheet.write(i, 1, row["region"])
        sheet.write(i, 2, int(row["units"]))
        sheet.write(i, 3, int(row["units"]) * float(row["price"]), money)
sheet.write(i + 1, 1, "Total", bold)
sheet.write_formula(i + 1, 3, f"=SUM(D2:D{i + 1})", money, 12345.5)
sheet.set_column(0, 3, 14)
sheet.autofilter(0, 0, i, 3)
chart = workbook.add_chart({"type": "column"})
chart.add_series({"values": f"=Sales!$D$2:$D${i + 1}"})
sheet.insert_chart("F2", chart)
workbook.close()

import zipfile
with zipfile.ZipFile("report.xlsx") as z:
    for info in z.infolist():
        print(info.filename, info.file_size, f"{info.CRC:08x}")
