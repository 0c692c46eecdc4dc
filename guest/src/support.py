"""What the guest needs of Python itself. Runs once, when the snapshot is made."""

import importlib.machinery, sys, types


class _OwnModules:
    """Finds the modules that are ours, as long as nobody has imported them."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, origin="frozen") if name in own_modules else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        exec(compile(own_modules[name], f"<frozen {name}>", "exec"), module.__dict__)


# Before the finder that looks for files.
sys.meta_path.insert(0, _OwnModules())

# What models import most is in the snapshot already; an import of it costs a look-up.
import abc, argparse, array, ast, base64, bisect, builtins, calendar, cmath, collections, collections.abc
import configparser, contextlib, copy, csv, dataclasses, datetime, decimal, difflib, enum, fnmatch
import fractions, functools, glob, graphlib, hashlib, heapq, hmac, html, importlib, inspect, io, itertools
import json, keyword, linecache, locale, logging, math, numbers, operator, os, pathlib, pickle
import pprint, queue, random, re, secrets, shlex, statistics, string, struct, sys, tempfile
import textwrap, threading, time, timeit, traceback, types, typing, unicodedata, unittest
import urllib.parse, uuid, warnings, weakref, zlib, zoneinfo
import _imp, _random, _thread, gc

collect = gc.collect
_begin_randomness = _random._begin
del _random._begin

source_lines = linecache.cache
_update_lines = linecache.updatecache


def _update_lines_of_scripts(filename, module_globals=None):
    # The interpreter's own modules have no source here: no file is looked for.
    return [] if _imp.is_frozen(filename) else _update_lines(filename, module_globals)


linecache.updatecache = _update_lines_of_scripts

# Whether the host has time zones is looked up once: here, where there is nobody who would be refused.
datetime.date.today()

# Modules are found without a path: nothing is where CPython's would be.
sys.path.clear()

# What this file is called in tracebacks, from which it is left out.
_OURS = (lambda: 0).__code__.co_filename


import pwd, pyexpat, _absent, _csv_wide, _display, _threads

finish, started_threads = _threads.finish, _threads._started


_display.show = show
builtins.display, show_result = _display.display, _display.show_result


def _import(name, absent):
    """Imports a module without those that it names and that are not here."""
    known = {missing: sys.modules.get(missing) for missing in absent}
    for missing in absent:
        stub = types.ModuleType(missing)
        stub.__getattr__ = lambda attribute: 0
        sys.modules[missing] = stub
    if "socket" in absent:
        sys.modules["socket"].socket = object
    if "ssl" in absent:
        sys.modules["ssl"].SSLError = sys.modules["ssl"].CertificateError = OSError
    try:
        return importlib.import_module(name)
    finally:
        for missing, module in known.items():
            if module is None:
                del sys.modules[missing]
            else:
                sys.modules[missing] = module


asyncio = _import("asyncio", ["fcntl", "socket", "ssl", "subprocess"])
_import("logging.handlers", ["socket"])
_import("logging.config", ["socket", "socketserver"])
_import("xml.sax.saxutils", ["urllib.request"])
_import("xml.sax.expatreader", ["urllib.request"])


class _EventLoop(asyncio.base_events.BaseEventLoop):
    """Timers, tasks and futures: there is nothing else to wait for in here."""

    class _Selector:
        def select(self, timeout=None):
            if _Calls.waiting:
                _Calls.deliver(timeout)
                return ()
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
# There are no signals either: nothing for asyncio.run() to catch.
asyncio.runners.signal = types.SimpleNamespace(
    SIGINT=None, getsignal=lambda number: None, default_int_handler=_EventLoop
)

# One function, so that it shows whether a script has set another.
sys.excepthook = sys.__excepthook__

def _chmod(path, mode, *, dir_fd=None, follow_symlinks=True):
    """Changes nothing: files here have no modes. Raises OSError for a path that is not there."""
    os.stat(path)


def _access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    """Tells if there is something at a path: files here have no modes."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _get_inheritable(fd, /):
    """Tells if other processes get a file: there are none."""
    os.fstat(fd)
    return False


def _set_inheritable(fd, inheritable, /):
    """Changes nothing."""
    os.fstat(fd)


def _umask(mask, /):
    before, _umask.mask = _umask.mask, mask & 0o777
    return before


_umask.mask = 0o022


def _times():
    return os.times_result(time.process_time(), 0.0, 0.0, 0.0, time.monotonic())


def _uname():
    return os.uname_result("WASI", "wardian", "0.1", "0", "wasm32")


os.times_result = collections.namedtuple(
    "times_result", "user system children_user children_system elapsed", module="posix"
)
os.uname_result = collections.namedtuple("uname_result", "sysname nodename release version machine", module="posix")
for _name, _function in {
    "access": _access, "chmod": _chmod, "get_inheritable": _get_inheritable, "set_inheritable": _set_inheritable,
    "times": _times, "umask": _umask, "uname": _uname,
    "getuid": lambda: 1000, "geteuid": lambda: 1000, "getgid": lambda: 1000, "getegid": lambda: 1000,
}.items():
    _function.__name__ = _function.__qualname__ = _name
    _function.__module__ = "posix"
    setattr(os, _name, _function)

# As on 64 bits, on which scripts are written: the guest takes any size up to this one (`overlay/vm/int_sizes.rs`).
sys.maxsize = 2**63 - 1

def _load_time_zone(key):
    data = time_zone(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return io.BytesIO(data)


zoneinfo._common.load_tzdata = _load_time_zone
zoneinfo.available_timezones = zoneinfo._tzpath.available_timezones = lambda: set(time_zones)
zoneinfo.reset_tzpath(to=())

# Nobody tells a guest how long it was on a processor: as long as it has been running.
time.process_time = time.thread_time = time.perf_counter
time.process_time_ns = time.thread_time_ns = time.perf_counter_ns

# RustPython has no time zone on wasm, not even UTC.
time.tzname, time.timezone, time.altzone, time.daylight = ("UTC", "UTC"), 0, 0, 0


def _help(thing=None):
    """Prints what a function, a class or a module is."""
    if isinstance(thing, types.ModuleType):
        functions = [getattr(thing, name) for name in dir(thing) if not name.startswith("_")]
        return print(f"Help on module {thing.__name__}:\n\n{thing.__doc__}\n", *map(_described, functions), sep="\n")
    kind = "class" if isinstance(thing, type) else "function" if callable(thing) else f"{type(thing).__name__} object"
    name, module = getattr(thing, "__name__", ""), getattr(thing, "__module__", None) or "builtins"
    print(f"Help on {kind} {name} in module {module}:\n\n{_described(thing)}")


def _described(thing):
    try:
        signature = str(inspect.signature(thing))
    except (TypeError, ValueError):
        signature = "(...)" if callable(thing) else ""
    name = getattr(thing, "__name__", None) or type(thing).__name__
    doc = inspect.getdoc(thing) or ""
    return f"{name}{signature}\n{textwrap.indent(doc, '    ')}\n"


def _quit(code=None):
    """Ends the script, as sys.exit() does."""
    raise SystemExit(code)


_quit.__name__ = _quit.__qualname__ = "quit"
builtins.quit = builtins.exit = _quit

# Python's own needs pydoc, which is a web server among other things.
builtins.help = _help


class ToolError(Exception):
    """A tool that was called has failed."""


ToolError.__module__ = "wardian"


class _Calls:
    """The calls of tools: how they are made, and those that a coroutine waits for."""

    waiting = {}
    errors = dict(
        PermissionError=PermissionError, TypeError=TypeError, ValueError=ValueError, ToolError=ToolError,
        TimeoutError=TimeoutError,
    )

    def begin(name, args):
        while not (number := _Calls.start(name, args)):
            _Calls.deliver(None)
        return number

    def deliver(timeout):
        ended = _Calls.wait(0, timeout)
        if ended is not None:
            number, error, value = ended
            future = _Calls.waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_result((error, value))

    def result(error, value):
        if error is not None:
            raise _Calls.errors[error](value)
        return value

    def call(name, args):
        _, error, value = _Calls.wait(_Calls.begin(name, args), None)
        if error is not None:
            raise _Calls.errors[error](value)
        return value

    async def call_async(name, args):
        number = _Calls.begin(name, args)
        _Calls.waiting[number] = future = asyncio.get_running_loop().create_future()
        return _Calls.result(*await future)


class _Tools(types.ModuleType):
    """A module of functions, each made when it is first asked for."""

    def __init__(self, name, doc, prefix, call):
        super().__init__(name, doc)
        self.__dict__.update(__all__=[], __path__=[], _specs={}, _prefix=prefix, _call=call)

    def __getattr__(self, name):
        if name not in self._specs:
            raise AttributeError(f"no tool is called {name!r} here", name=name, obj=self)
        _, parameters, names, returns, doc, shapes = self._specs[name]
        args = ", ".join(f"{name!r}: {name}" for name in names)
        source = f"{self._prefix} {name}({parameters}) -> {returns}:\n    return _call({name!r}, {{{args}}})"
        if self._prefix.startswith("async"):
            source = source.replace("return _call", "return await _call")
        space = dict(__name__=self.__name__, _call=self._call, Any=typing.Any, Literal=typing.Literal)
        space.update((shape, dict) for shape in shapes)
        exec(compile(source, _OURS, "exec"), space)
        function = self.__dict__[name] = space[name]
        function.__doc__ = doc
        return function

    def __dir__(self):
        return list(self._specs)


def _modules_of_tools():
    wardian = types.ModuleType("wardian", "What the host offers: tools, to be called or awaited.")
    tools = _Tools("wardian.tools", "The tools that this script may call.", "def", _Calls.call)
    aio = _Tools("wardian.aio", "The same tools, to be awaited: several work at once.", "async def", _Calls.call_async)
    wardian.__dict__.update(tools=tools, aio=aio, ToolError=ToolError, display=_display.display, __path__=[])
    for module in (wardian, tools, aio):
        sys.modules[module.__name__] = module
    return tools, aio


_modules = _modules_of_tools()


def offer_tools(specs, start, wait):
    _Calls.start, _Calls.wait = start, wait
    for module in _modules:
        module._specs.update((spec[0], spec) for spec in specs)
        module.__all__[:] = module._specs


def _read_timedelta(text):
    days, seconds = text.removesuffix("s").split("d ")
    seconds, microseconds = seconds.split(".")
    return datetime.timedelta(int(days), int(seconds), int(microseconds))


# How values that JSON lacks are written, by their type. Not those of subclasses, which would run their code.
_WRITERS = {
    bytes: lambda value: ("$bytes", base64.b64encode(value).decode()),
    bytearray: lambda value: ("$bytes", base64.b64encode(value).decode()),
    datetime.date: lambda value: ("$date", value.isoformat()),
    datetime.time: lambda value: ("$time", value.isoformat()),
    datetime.datetime: lambda value: ("$datetime", value.isoformat()),
    datetime.timedelta: lambda value: (
        "$timedelta", f"{value.days}d {value.seconds}.{value.microseconds:06}s"
    ),
    decimal.Decimal: lambda value: ("$decimal", str(value)),
    uuid.UUID: lambda value: ("$uuid", str(value)),
}

# And how they are read, by their tag.
_READERS = {
    "$bytes": base64.b64decode, "$date": datetime.date.fromisoformat, "$time": datetime.time.fromisoformat,
    "$datetime": datetime.datetime.fromisoformat, "$decimal": decimal.Decimal, "$float": float, "$int": int,
    "$timedelta": _read_timedelta, "$uuid": uuid.UUID,
}


def write_exact(value):
    writer = _WRITERS.get(type(value))
    return writer and writer(value)


def read_exact(tag, text):
    return _READERS[tag](text)


_session_loop = []


def run_coroutine(coroutine, is_call):
    """Runs a coroutine to its end. In a session, tasks that wait for something go on in later calls."""
    if not is_call:
        return asyncio.run(coroutine)
    if not _session_loop or _session_loop[0].is_closed():
        _session_loop[:] = [_EventLoop()]
    (loop,) = _session_loop
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


def freeze():
    collect()
    gc.freeze()


_packages = []


def thaw(args, env, begins, work, packages):
    """Makes fresh what the snapshot froze: randomness, the start of the clocks, the environment."""
    if begins:
        _begin_randomness()
        logging._startTime = time.time_ns()
    if work is not None and work not in sys.path:
        os.chdir(work)
        sys.path.insert(0, work)
    if packages is not None and not _packages:
        sys.path.append(packages)
        _packages.append(f"{packages}/")
    sys.argv[1:] = args
    if env:
        os.environ.update(env)


class _Finder:
    """Finds the modules that a script brings along, after those of Python."""

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        _, file, is_package = self.modules[name]
        return importlib.machinery.ModuleSpec(name, self, origin=file, is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        code, module.__file__, _ = self.modules[module.__name__]
        exec(code, module.__dict__)


def offer_modules(modules):
    sys.meta_path.append(_Finder(modules))


def _origin(globals):
    """Where the module that has these globals comes from; None if no module has them."""
    module = sys.modules.get(globals.get("__name__"))
    if getattr(module, "__dict__", None) is not globals:
        return None
    return getattr(getattr(module, "__spec__", None), "origin", None)


def _is_own(globals):
    """Are these the globals of a module that came with the interpreter?"""
    return _origin(globals) in ("frozen", "built-in")


def _is_library(globals):
    """Are these the globals of a module of the interpreter's or of a package of the policy's?"""
    origin = _origin(globals)
    return origin in ("frozen", "built-in") or isinstance(origin, str) and origin.startswith(tuple(_packages))


# What functions that are written in Rust import when they are called: as if by their caller.
_OF_NATIVE_FUNCTIONS = frozenset(
    "_contextvars _frozen_importlib_external _pycodecs _strptime _warnings annotationlib codecs copy copyreg "
    "encodings functools importlib._bootstrap_external importlib.machinery io linecache locale marshal re "
    "string.templatelib traceback typing warnings zipimport".split()
)


def _view(name, module, parts, view):
    """A module of which only parts are allowed: they are what a script sees of it."""

    class View(types.ModuleType):
        def __getattr__(self, attribute):
            if attribute not in parts:
                raise AttributeError(f"module '{name}' has no attribute '{attribute}' here: of '{name}', scripts may use "
                                     f"{', '.join(parts)}")
            value = getattr(module, attribute)
            return view(f"{name}.{attribute}", value) if isinstance(value, types.ModuleType) else value

        def __setattr__(self, attribute, value):
            if attribute in parts:
                return setattr(module, attribute, value)
            super().__setattr__(attribute, value)

        def __dir__(self):
            return parts

    shown = View(name, module.__doc__)
    shown.__all__ = parts
    return shown


def _exists(name):
    """Is there a module of that name, as far as can be told without asking the host for files?"""
    top = name.partition(".")[0]
    return top in sys.builtin_module_names or top in sys.modules or _imp.is_frozen(top)


_builtins_import, _import_module, _frame, _views = builtins.__import__, importlib.import_module, sys._getframe, {}


def _view_of(name, module):
    """The module as a script may see it."""
    if name not in _views:
        parts = allowed_parts(name)
        _views[name] = module if parts is None else _view(name, module, parts, _view_of)
    return _views[name]


def _check_import(name, fromlist=()):
    # The script itself, as pickle asks for it.
    why = None if name == "__main__" else import_refusal(name)
    parts = [part for part in fromlist or () if isinstance(part, str)]
    if why is not None:
        # A module that is not allowed may hold something that is.
        if parts and "*" not in parts and all(import_refusal(f"{name}.{part}") is None for part in parts):
            why = None
    else:
        refusals = (import_refusal(f"{name}.{part}") for part in parts if part != "*")
        why = next((each for each in refusals if each is not None), None)
    # What is not there says so itself.
    if why is not None and _exists(name):
        raise ModuleNotFoundError(why, name=name)


def _guarded_import(name, globals=None, locals=None, fromlist=(), level=0):
    asked = isinstance(name, str) and (globals is None or name not in _OF_NATIVE_FUNCTIONS)
    if not asked or _is_library(_frame(1).f_globals if globals is None else globals):
        return _builtins_import(name, globals, locals, fromlist, level)
    _check_import("." * level + name, fromlist)
    module = _builtins_import(name, globals, locals, fromlist, level)
    if level == 0 and not fromlist:
        return _view_of(name.partition(".")[0], module)
    return _view_of(name, module) if level == 0 and "*" in fromlist else module


def _guarded_import_module(name, package=None):
    if isinstance(name, str) and not _is_library(_frame(1).f_globals):
        _check_import(name)
        return _view_of(name, _import_module(name, package))
    return _import_module(name, package)


_guarded_import.__name__, _guarded_import_module.__name__ = "__import__", "import_module"


def guard_imports():
    """Asks about every import of the script's own code, whichever way it is made."""
    builtins.__import__, importlib.import_module = _guarded_import, _guarded_import_module


def _format_frames_once(stack):
    """Formatting a frame parses its line. A deep recursion has a thousand of the same."""
    format_frame, known = stack.format_frame_summary, {}

    def format_known(frame, **options):
        key = frame.filename, frame.name, frame.lineno, frame.colno, frame.end_lineno, frame.end_colno
        if key not in known:
            known[key] = format_frame(frame, **options)
        return known[key]

    stack.format_frame_summary = format_known


# Of these, `traceback` says more than their message.
_EXPLAINED = SyntaxError, ImportError, NameError, AttributeError, BaseExceptionGroup


def _format_plainly(exception, kept, script, carets):
    """The frames as `traceback` formats them; None if it is not a line for each, and no more to say."""
    chained = exception.__cause__ or exception.__context__ and not exception.__suppress_context__
    if not kept or len(kept) > 20 or chained or isinstance(exception, _EXPLAINED) or hasattr(exception, "__notes__"):
        return None
    rows, lines, before = [], source_lines[script][2], None
    for entry in kept:
        frame, code = entry.tb_frame, entry.tb_frame.f_code
        positions = next(itertools.islice(code.co_positions(), entry.tb_lasti // 2, None))
        number, last, start, end = positions
        here = code.co_filename, number, code.co_name
        if None in positions or number != last or here == before:
            return None
        before = here
        rows.append(f'  File "{code.co_filename}", line {number}, in {code.co_name}\n')
        if code.co_filename == script:
            line = lines[number - 1].rstrip()
            shown = line.lstrip(" \t")
            if not shown or not line.isascii():
                return None
            indented = len(line) - len(shown)
            rows.append(f"    {shown}\n")
            marks = carets(shown, max(0, start - indented), max(0, end - indented))
            if marks:
                rows.append(f"    {marks}\n")
        elif not _is_own(frame.f_globals):
            return None
    return "".join(rows)


def describe(exception, script, carets):
    """The type, message, traceback and line of an uncaught exception."""
    cls = type(exception)
    entries, kept, entry = [], [], exception.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    files = [entry.tb_frame.f_code.co_filename for entry in entries]
    line = None
    if script in files:
        # What stands before the script's first frame has called it: an event loop.
        start = files.index(script)
        kept = [entry for entry, file in zip(entries[start:], files[start:]) if file != _OURS]
        for entry, following in zip(kept, kept[1:] + [None]):
            entry.tb_next = following
        exception.__traceback__ = kept[0]
        line = [entry.tb_lineno for entry, file in zip(entries, files) if file == script][-1]
    if isinstance(exception, SyntaxError) and exception.filename == script:
        line = exception.lineno
    name = cls.__qualname__
    if cls.__module__ not in ("builtins", "__main__"):
        name = f"{cls.__module__}.{name}"
    try:
        message = str(exception)
    except Exception:
        message = "<exception str() failed>"
    try:
        rows = _format_plainly(exception, kept, script, carets)
    except Exception:
        rows = None
    if rows is not None:
        text = f"Traceback (most recent call last):\n{rows}{name}{': ' if message else ''}{message}\n"
        return name, message, text, line
    formatted = traceback.TracebackException(cls, exception, exception.__traceback__)
    if isinstance(exception, NameError) and exception.name in ("tools", "aio"):
        # What looks most like it is something else.
        formatted._str = f"{message}. Did you forget `from wardian import {exception.name}`?"
    _format_frames_once(formatted.stack)
    text = "".join(formatted.format())
    return name, message, text, line
