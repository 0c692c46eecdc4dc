# Zeros of both signs, from operators between literals and between variables.
import math
from math import copysign


def sign(value):
    return "-" if copysign(1, value) < 0 else "+"


pairs = [(0, -5), (0, 5), (-1, 10**400), (1, 10**400), (1, -10**400), (-0.0, 3), (0.0, -3), (-0.0, -3), (7.0, -7.0)]
for a, b in pairs:
    print(a if abs(a) < 10**9 else "big", b if abs(b) < 10**9 else "big", sign(a / b), a / b)
    if isinstance(a, float) or isinstance(b, float):
        print(sign(a // b), a // b, sign(a % b), a % b, divmod(a, b))
print(0 / -5, -0.0 // 3, 0.0 % -3, -0.0 + 0.0, -0.0 - 0.0, 0.0 * -1, 0 * -1.0, 7.0 % -7.0, -7.0 % 7)
print(-0.0 ** 1, (-0.0) ** 3, (-0.0) ** 2, round(-0.4), round(-0.4, 0), abs(-0.0), -(0.0), +(-0.0))
print(complex(-0.0, -0.0), -0j, 0j * -1, -(0 + 0j), (-0.0 + 0j), 1 - 0j, 1 - 1j * 0, -1j)
