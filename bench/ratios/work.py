# Pieces of work that were slow by a factor, each a function whose best time is printed, in milliseconds.
import collections
import difflib
import functools
import hashlib
import time
import xml.etree.ElementTree as ElementTree
from decimal import Decimal

DATA = b"x" * 2_000_000
TEXT = "the quick brown fox jumps over the lazy dog " * 2000
PARTS = [b"ab%d" % number for number in range(100_000)]
VOWELS = str.maketrans("aeiou", "AEIOU")
DOCUMENT = "<r>" + "".join(f"<i id='{number}'><n>name {number}</n></i>" for number in range(5000)) + "</r>"
TREE = ElementTree.fromstring(DOCUMENT)
OLD = [f"line {number % 17} {number}" for number in range(400)]
NEW = [f"line {number % 13} {number + 3}" for number in range(400)]


def append_text():
    text = ""
    for _ in range(100_000):
        text += "x"
    return text


def append_two_texts_on_one_line():
    one = two = ""
    for _ in range(20_000):
        one += "x"; two += "y"
    return one + two


def translate():
    return TEXT.translate(VOWELS)


def count_words():
    counts = {}
    for word in TEXT.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def count_by_counter():
    return collections.Counter(TEXT.split())


def join_bytes():
    return b",".join(PARTS)


def move_to_end():
    numbers = collections.OrderedDict.fromkeys(range(1000))
    for number in range(20_000):
        numbers.move_to_end(number % 1000)


def remember_calls():
    remembered = functools.lru_cache(100)(lambda number: number)
    for number in range(50_000):
        remembered(number % 150)


def diff_lines():
    return list(difflib.unified_diff(OLD, NEW))


def match_texts():
    return difflib.SequenceMatcher(None, "abcd efgh" * 60, "abce fghd" * 60).ratio()


def parse_xml():
    return ElementTree.fromstring(DOCUMENT)


def write_xml():
    return ElementTree.tostring(TREE)


def decimal_sum_of_quotients():
    return sum(Decimal(number) / 7 for number in range(2000))


def decimal_mortgage():
    rate, principal = Decimal("0.045") / 12, Decimal(300_000)
    payment = principal * rate * (1 + rate) ** 360 / ((1 + rate) ** 360 - 1)
    for _ in range(360):
        principal += (principal * rate).quantize(Decimal("0.01")) - payment
    return principal


def decimal_sums():
    total, step = Decimal(0), Decimal("0.1")
    for _ in range(20_000):
        total += step
    return total


def decimal_products():
    total = Decimal(0)
    for number in range(5000):
        total = (total * Decimal("1.0001") + number).quantize(Decimal("0.0001"))
    return total


def decimal_to_text():
    return [str(Decimal(number) / 100) for number in range(5000)]


def decimal_to_format():
    return [f"{Decimal(number) / 100:.2f}" for number in range(5000)]


def decimal_from_text():
    return [Decimal(f"{number}.{number % 100:02d}") for number in range(5000)]


def decimal_sort():
    return sorted(Decimal(number * 7919 % 5000) for number in range(5000))


def decimal_functions():
    return [Decimal(n).sqrt() + Decimal(n).ln() + (Decimal(n) / 1000).exp() for n in range(1, 300)]


def digest(name):
    work = lambda: hashlib.new(name, DATA).hexdigest()
    work.__name__ = name
    return work


def measure(work):
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    print(work.__name__, best * 1000)


for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
    measure(digest(name))
for work in (
    append_text, append_two_texts_on_one_line, translate, count_words, count_by_counter, join_bytes, move_to_end,
    remember_calls, diff_lines, match_texts, parse_xml, write_xml, decimal_sum_of_quotients, decimal_mortgage,
    decimal_sums, decimal_products, decimal_to_text, decimal_to_format, decimal_from_text, decimal_sort,
    decimal_functions,
):
    measure(work)
