import re
import textwrap
import unicodedata
from collections import Counter
from difflib import unified_diff, get_close_matches

log = """2026-01-02 10:00:01 ERROR [db] timeout after 30s (id=42)
2026-01-02 10:00:05 INFO  [web] GET /items/7 200 12ms
2026-01-02 10:01:09 ERROR [web] GET /items/9 500 48ms
"""
pattern = re.compile(r"^(?P<date>\S+) (?P<time>\S+) (?P<level>\w+)\s+\[(?P<part>\w+)\] (?P<rest>.*)$", re.M)
records = [m.groupdict() for m in pattern.finditer(log)]
print(Counter(r["level"] for r in records), records[0])
print(re.sub(r"(\d+)ms", lambda m: f"{int(m[1]) / 1000:.3f}s", log))
print(textwrap.fill("The quick brown fox jumps over the lazy dog. " * 3, 40, initial_indent="* ", subsequent_indent="  "))
print("".join(unified_diff(["a\n", "b\n", "c\n"], ["a\n", "x\n", "c\n"], "old", "new")))
print(get_close_matches("pyhton", ["python", "typhoon", "jython"]), unicodedata.normalize("NFKD", "Ångström").encode("ascii", "ignore"))
