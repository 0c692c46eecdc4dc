"""Runs snippets in what people use instead of Wardian: a line of JSON for each, and one back.

Every snippet gets a fresh sandbox, and the time is from before there is one until its output is here.
"""

import importlib.metadata
import json
import subprocess
import sys
import time

import eryx
import pydantic_monty

# Made once in a process, as Wardian's `Runtime` is: the compiled interpreter, the pool of workers.
MONTY = pydantic_monty.Monty().__enter__()
eryx.Sandbox()


def run_eryx(code):
    return eryx.Sandbox().execute(code).stdout_text


def run_monty(code):
    with MONTY.checkout() as session:
        printed = pydantic_monty.CollectString()
        session.feed_run(code, print_callback=printed)
        return printed.output


def run_subprocess(code, python=sys.argv[1]):
    run = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, env={})
    if run.returncode != 0:
        raise RuntimeError(run.stderr)
    return run.stdout


PEERS = {"eryx": run_eryx, "monty": run_monty, "subprocess": run_subprocess}


def version(python):
    return subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"], text=True, env={}).strip()


print(
    json.dumps(
        {
            "eryx": importlib.metadata.version("pyeryx"),
            "monty": importlib.metadata.version("pydantic-monty"),
            "subprocess": version(sys.argv[1]),
        }
    ),
    flush=True,
)
for line in sys.stdin:
    wanted = json.loads(line)
    run = PEERS[wanted["peer"]]
    started = time.perf_counter()
    try:
        printed, error = run(wanted["code"]), None
    except Exception as raised:
        printed, error = "", f"{type(raised).__name__}: {raised}".strip()
    print(json.dumps({"ms": (time.perf_counter() - started) * 1e3, "printed": printed, "error": error}), flush=True)
