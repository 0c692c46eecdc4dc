a, b = 0, -5
print(a / b, 0 / -5, False / -2, 0 // -5, -0.0 + 0, 0 * -1.0, a / 5, -a / 5)
def f():
    def g(): return x
    try: g()
    except NameError as e: print(type(e).__name__, e)
    if 0: x = 1
f()
def h():
    try: print(y)
    except NameError as e: print(type(e).__name__, e)
    y = 1
h()
