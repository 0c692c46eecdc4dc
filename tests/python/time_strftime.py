import time
from datetime import datetime, timezone, timedelta
t = time.gmtime(1709211909)
for d in "aAbBcdHIjmMpSUwWxXyYZ%GuVeDFTRnthCklPsz":
    print(d, repr(time.strftime("%" + d, t)), repr(datetime(2024, 2, 29, 13, 5, 9, 7, tzinfo=timezone(timedelta(hours=-3, minutes=-30), "NST")).strftime("%" + d)))
for d in ("%-d", "%-m", "%-H", "%-I", "%-j", "%_d", "%^a", "%#x", "%05Y", "%q", "%", "%%d", "é%Y日", "%:z", "%10d"):
    print(d, repr(time.strftime(d, t)), repr(datetime(2024, 2, 3, 4, 5).strftime(d)))
print(time.strftime("%Y-%m-%d", (2024, 1, 2, 0, 0, 0, 0, 0, 0)), time.asctime(t), time.ctime(1709211909), time.strptime("3 Feb 2024", "%d %b %Y")[:3], time.mktime(t), time.tzname[0], time.timezone, time.localtime(0).tm_zone)
for y in (1, 99, 999, 9999): print(datetime(y, 1, 1).strftime("%Y-%m-%d %y %G"), datetime(y, 1, 1).isoformat())
