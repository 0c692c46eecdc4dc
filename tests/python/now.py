from datetime import datetime, date
started = datetime.now()
print(started.year >= 2024, date.today() >= date(2024, 1, 1), datetime.strptime("2024-05-01", "%Y-%m-%d").strftime("%d.%m.%Y"))
