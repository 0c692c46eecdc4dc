from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
from dateutil import parser, rrule
from dateutil.relativedelta import relativedelta

meeting = datetime(2026, 3, 28, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))
for zone in ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"):
    print(zone, meeting.astimezone(ZoneInfo(zone)).isoformat())
print((meeting + timedelta(days=1)).isoformat(), (meeting + timedelta(days=1)).utcoffset())
print(parser.parse("Thu Sep 25 2003 10:49:41 -0300").isoformat())
print(parser.parse("3rd of May 2001", dayfirst=True))
print(datetime(2024, 1, 31) + relativedelta(months=+1), relativedelta(datetime(2026, 1, 1), datetime(2024, 2, 29)))
days = rrule.rrule(rrule.MONTHLY, count=4, byweekday=rrule.FR(-1), dtstart=datetime(2026, 1, 1))
print([day.strftime("%Y-%m-%d") for day in days])
print(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(timezone.utc))
