# Dicts whose keys come and go.
import collections
import functools

keys = [f"key {number}" for number in range(150)]
rolling = {}
for number in range(300_000):
    key = keys[number % 150]
    rolling[key] = number
    if len(rolling) > 100:
        del rolling[next(iter(rolling))]
print(len(rolling), list(rolling)[:3], list(rolling.values())[-3:], rolling.__sizeof__() < 100_000)

cached = functools.lru_cache(100)(len)
for number in range(300_000):
    cached(keys[number % 150])
print(cached.cache_info())

ordered = collections.OrderedDict()
for number in range(100_000):
    ordered[number % 50] = number
    if len(ordered) > 20:
        ordered.popitem(last=False)
print(list(ordered.items())[:3])

numbers = set()
for number in range(200_000):
    numbers.add(number % 37)
    numbers.discard((number + 5) % 37)
print(sorted(numbers)[:5], len(numbers))
for number in range(1000):
    rolling.pop(keys[number % 150], None)
    rolling.setdefault(keys[number % 149], number)
    if number % 3 == 0:
        rolling.popitem()
print(len(rolling), list(rolling.items())[:4])
