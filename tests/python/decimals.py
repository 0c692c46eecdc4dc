from decimal import *
import numbers, statistics, decimal, pickle, copy, math
print(Decimal(1)/7, Decimal("1.10")+2, 3-Decimal("0.5"), Decimal("1.23").quantize(Decimal("0.1")), round(Decimal("2.675"),2), round(Decimal("2.5")))
print(f"{Decimal('1234567.891'):,.2f} {Decimal('0.5'):%} {Decimal('1e10'):.3e} {Decimal('-0.001'):z.2f} {Decimal('12'):>8} {Decimal('12'):08.1f}")
print(repr(Decimal("1E+5")), str(Decimal("-0E-10")), Decimal("NaN123"), Decimal("-Infinity"), Decimal("123e5").to_eng_string())
for f in (lambda: Decimal("abc"), lambda: Decimal(1)/0, lambda: Decimal(0)/0, lambda: Decimal([1]), lambda: Decimal({}), lambda: Decimal(1)+1.5, lambda: int(Decimal("nan")), lambda: int(Decimal("inf")), lambda: Decimal("sNaN")+1, lambda: hash(Decimal("sNaN")), lambda: Decimal(1) < "a", lambda: setattr(getcontext(),"prec",0), lambda: setattr(getcontext(),"rounding","x"), lambda: Decimal(10)**1000000):
    try: print(f())
    except Exception as e: print(type(e).__name__, e)
print(hash(Decimal("1.5"))==hash(1.5), hash(Decimal(10)**30)==hash(10**30), Decimal("0.1")==0.1, Decimal("0.5")==0.5, Decimal(3)==3, 3==Decimal(3), Decimal(1)<2.5, {Decimal("1.0"):1}[1])
print(getcontext()); print(pickle.loads(pickle.dumps(Decimal("1.20"))), copy.deepcopy(Decimal(3)), pickle.loads(pickle.dumps(getcontext())))
with localcontext(prec=5, rounding=ROUND_DOWN) as c:
    print(Decimal(2).sqrt(), Decimal(1).exp(), Decimal(10).ln(), Decimal(50).log10(), Decimal(2)**Decimal("0.5"), c.flags[Inexact])
print(Decimal(2).sqrt(), Decimal(1).exp(), Decimal(10).ln(), Decimal(2)**Decimal("0.5"), Decimal("1.05")**10, pow(Decimal(7),20,13))
print(Decimal(0.1), Decimal.from_float(0.1), Decimal("3.14").as_integer_ratio(), Decimal("-3.14").as_tuple(), int(Decimal("1e3")), float(Decimal("0.1")), math.floor(Decimal("-1.5")), math.ceil(Decimal("1.2")), divmod(Decimal(7),2), Decimal(7)//2, Decimal(-7)%3)
print(sum([Decimal("0.1")]*10), max(Decimal(1),Decimal(2)), sorted([Decimal(3),Decimal("1.5"),2]), Decimal(5).compare(3), Decimal("1.2300").normalize(), isinstance(Decimal(1), numbers.Number))
class D(Decimal):
    def __new__(cls, v, x): r=super().__new__(cls, v); r.x=x; return r
d=D("1.5",3); print(type(d), d.x, type(d+1), d)
from fractions import Fraction
print(Decimal("0.5")==Fraction(1,2), Fraction(Decimal("0.25")), Fraction(1,3) < Decimal("0.5"), statistics.mean([Decimal(1),Decimal(2)]))
print(Decimal("٣"), Decimal(" 1_000.5 "), Decimal((1,(1,2),-1)), Decimal("1e999999999999999999999") if 0 else "")
print(getcontext().traps, BasicContext, ExtendedContext)
