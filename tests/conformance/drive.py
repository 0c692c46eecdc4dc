# Runs a module of CPython's test suite and says what comes of each test, as it goes.
import _imp
import ast
import errno
import linecache
import os
import sys
import types
import unittest

sys.path.insert(0, "/lib")
os.chdir("/tmp")
import test.support

# All modules here are frozen: without frozen ones, there are none.
_imp._override_frozen_modules_for_tests = lambda override: None

# Files that tests name, though they seldom read them.
ast.__file__, linecache.__file__ = "/lib/ast.py", "/lib/linecache.py"
# The helper for the network wants more errors than WASI has; no test here uses it.
errno.ESHUTDOWN = 108
# Whoever imports the helper that starts other processes may have tests which don't.
test.support.has_subprocess_support = True
import test.support.script_helper

test.support.has_subprocess_support = False
# Here, it is event loops that need no socket.
test.support.has_socket_support = module == "test_asyncgen"
if module == "test_class":
    # What this one imports outside of its tests.
    sys.modules["_testinternalcapi"] = types.SimpleNamespace(has_inline_values=None)


def say(*parts):
    print("\n@@", *(str(part).replace("\n", " ")[:160] for part in parts), sep="\t", flush=True, file=sys.__stdout__)


def why(error):
    message = str(error[1]).strip()
    if message.startswith("Failed to import test module"):
        return message.splitlines()[-1]
    return f"{type(error[1]).__name__}: {message}"


class Result(unittest.TestResult):
    # Of what comes before any test: a class or a module that can't be set up.
    said = False

    def startTest(self, test):
        super().startTest(test)
        self.said = False
        say("start", test.id())

    def end(self, status, test, reason=""):
        if not self.said:
            self.said = True
            say(status, test.id(), reason)

    def addSuccess(self, test):
        self.end("passed", test)

    def addExpectedFailure(self, test, error):
        self.end("passed", test)

    def addFailure(self, test, error):
        self.end("failed", test, why(error))

    def addUnexpectedSuccess(self, test):
        self.end("failed", test, "succeeds where CPython fails")

    def addError(self, test, error):
        needs = "no other processes in the sandbox", "no network in the sandbox"
        self.end("skipped" if any(need in str(error[1]) for need in needs) else "error", test, why(error))

    def addSkip(self, test, reason):
        self.end("skipped", test, reason)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            add = self.addFailure if issubclass(error[0], test.failureException) else self.addError
            add(test, error)


def tests(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests(each)
        else:
            yield each


try:
    found = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}")
except unittest.SkipTest as error:
    say("skipped", f"test.{module}", error)
except BaseException as error:
    say("error", f"test.{module}", f"{type(error).__name__}: {error}")
else:
    seen = set(done)
    # These compare durations, which other work on the machine changes.
    timed = "denial_of_service", "test_process_time", "test_search_anchor_at_beginning", "test_thread_time"
    chosen = (test for test in tests(found) if test.id() not in seen and not any(name in test.id() for name in timed))
    unittest.TestSuite(chosen).run(Result())
say("end")
