"""Runs the calls of a session as CPython would: reads them from standard input, a JSON list, and prints what each
of those that ask for it (their last expression) comes to, a JSON list."""

import ast, asyncio, json, sys

loop, space, seen = asyncio.new_event_loop(), {"__name__": "__main__"}, []
asyncio.set_event_loop(loop)


def run(code):
    value = eval(code, space)
    return loop.run_until_complete(value) if asyncio.iscoroutine(value) else value


for number, source in enumerate(json.load(sys.stdin)):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    flags, name = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, f"<call {number}>"
    try:
        run(compile(tree, name, "exec", flags))
        value = run(compile(ast.Expression(last.value), name, "eval", flags)) if last else None
    except Exception as error:
        value = type(error).__name__
    # Now: it may change.
    seen.append(json.dumps(value))
print(f"[{', '.join(seen)}]")
