def f(*args, **options): return args, options

print(f(a=1  # for now
))
print(f(1, a=2,  # for b in c
        b=3  # for the rest
        ))
print(f(a=[n for n in range(3)],  # for all
        b="# for",  # for "quotes
        c={k: k for k in "ab"}))
for source in ("f(a=n for n in range(3))", "f(a=1  # for\n for n in range(3))", "f(a=(n for n in 'x'))", "f(a=1 # x"):
    try: compile(source, "x", "exec"); print("compiled")
    except SyntaxError as error: print(error.msg)
