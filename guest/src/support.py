"""What the guest needs of Python itself. Runs once, when the snapshot is made."""

# What models import most is in the snapshot already; an import of it costs a look-up.
import abc, argparse, array, ast, base64, bisect, calendar, cmath, collections, collections.abc
import configparser, contextlib, copy, csv, dataclasses, datetime, decimal, difflib, enum, fnmatch
import fractions, functools, glob, graphlib, hashlib, heapq, hmac, html, inspect, io, itertools
import json, keyword, linecache, locale, logging, math, numbers, operator, os, pathlib, pickle
import pprint, queue, random, re, secrets, shlex, statistics, string, struct, sys, tempfile
import textwrap, threading, time, timeit, traceback, types, typing, unicodedata, unittest
import urllib.parse, uuid, warnings, weakref, zlib, zoneinfo
import _thread

source_lines = linecache.cache


def _no_threads(*args, **kwargs):
    raise RuntimeError("can't start new thread")


# RustPython without threads runs a thread's function at once, in the caller: a deadlock for
# whoever waits for one from inside another. Say no instead, as CPython does on WASI.
for _name in ("start_new_thread", "start_new", "start_joinable_thread"):
    if hasattr(_thread, _name):
        setattr(_thread, _name, _no_threads)
threading._start_joinable_thread = _no_threads


def _import_asyncio():
    """Imports asyncio without the modules for sockets and processes that it names."""
    absent = {}
    for name in ("fcntl", "socket", "ssl", "subprocess"):
        module = types.ModuleType(name)
        module.__getattr__ = lambda attribute: 0
        absent[name] = module
    absent["socket"].socket = type("socket", (), {})
    absent["subprocess"].PIPE, absent["subprocess"].STDOUT, absent["subprocess"].DEVNULL = -1, -2, -3
    absent["ssl"].SSLError = absent["ssl"].CertificateError = OSError
    sys.modules.update(absent)
    try:
        import asyncio
    finally:
        for name in absent:
            del sys.modules[name]
    return asyncio


asyncio = _import_asyncio()


class _EventLoop(asyncio.base_events.BaseEventLoop):
    """Timers, tasks and futures: there is nothing else to wait for in here."""

    class _Selector:
        def select(self, timeout=None):
            if timeout is None:
                raise RuntimeError("the event loop waits for something that can't happen")
            if timeout > 0:
                time.sleep(timeout)
            return ()

    def __init__(self):
        super().__init__()
        self._selector = self._Selector()

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def run_in_executor(self, executor, func, *args):
        # There are no threads, so the work is done here and now.
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):
        pass


asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = _EventLoop


def run_coroutine(coroutine):
    return asyncio.run(coroutine)


def thaw(args, env):
    """Makes fresh what the snapshot froze: randomness, the start of the clocks, the environment."""
    random.seed()
    logging._startTime = time.time_ns()
    sys.argv[1:] = args
    if env:
        os.environ.update(env)


def describe(exception, script):
    """The type, message, traceback and line of an uncaught exception."""
    cls = type(exception)
    first = exception.__traceback__
    while first is not None and first.tb_frame.f_code.co_filename != script:
        first = first.tb_next
    if first is not None:
        exception.__traceback__ = first
    line, entry = None, exception.__traceback__
    while entry is not None:
        if entry.tb_frame.f_code.co_filename == script:
            line = entry.tb_lineno
        entry = entry.tb_next
    if isinstance(exception, SyntaxError) and exception.filename == script:
        line = exception.lineno
    name = cls.__qualname__
    if cls.__module__ not in ("builtins", "__main__"):
        name = f"{cls.__module__}.{name}"
    try:
        message = str(exception)
    except Exception:
        message = "<exception str() failed>"
    text = "".join(traceback.TracebackException(cls, exception, exception.__traceback__).format())
    return name, message, text, line
