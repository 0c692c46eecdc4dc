from datetime import datetime, timedelta, timezone
try:
    from zoneinfo import ZoneInfo, available_timezones
    ny, tokyo, berlin = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
    m = datetime(2024, 3, 10, 1, 30, tzinfo=ny)
    print(m, m + timedelta(hours=1), (m.astimezone(timezone.utc) + timedelta(hours=1)).astimezone(ny), m.tzname())
    print(datetime(2024, 7, 4, 12, tzinfo=tokyo).astimezone(berlin).isoformat())
    print(datetime(2024, 10, 27, 2, 30, tzinfo=berlin).utcoffset(), datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=berlin).utcoffset())
    print(len(available_timezones()) > 400)
except Exception as e:
    print(type(e).__name__, e)
