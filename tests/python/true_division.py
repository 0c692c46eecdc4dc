print(576460752303423488 / 12009599006321323, 10 ** 25 / 3, (2 ** 64 + 1) / 3)
from fractions import Fraction
import statistics, random
print(float(Fraction(576460752303423488, 12009599006321323)), statistics.harmonic_mean([40, 60]))
r = random.Random(1)
bad = 0
for _ in range(300):
    xs = [r.uniform(0, 100) for _ in range(r.randint(2, 12))]
    print(statistics.mean(xs), statistics.pvariance(xs), statistics.stdev(xs), statistics.fmean(xs), statistics.median(xs))
