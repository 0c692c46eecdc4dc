"""Threads in a guest that has one: a thread that was started runs when another one waits, from its start to its end.

Whoever waits runs the threads that have not run yet, the oldest first, until what it waits for is there. A thread that
waits in its turn does the same. If none is left and a waiter further down has what it waited for, the thread that waits on
top of it is given up, as a daemon is when a program ends; else nobody can ever go on, and the wait raises an error.
"""

import _thread
import _threading_local
import concurrent.futures._base
import concurrent.futures.thread
import itertools
import queue
import threading
import time

_STUCK = (
    "this would wait for ever: the sandbox runs one thread at a time, each to its end, and none is left that could end "
    "the wait"
)
_idents = itertools.count(_thread.get_ident() + 1)
_sleep, _main = time.sleep, _thread.get_ident()

# Threads that have been started and have not run, what is waited for from the outermost thread to this one, and who this is.
_started, _waits, _current = [], [], [_main]


class _GivenUp(SystemExit):
    """Unwinds a thread that can't go on."""


def _run_next():
    """Runs the oldest thread that has not run, if there is one."""
    if not _started:
        return False
    function, args, kwargs, handle, _ = _started.pop(0)
    _current.append(handle.ident)
    try:
        function(*args, **kwargs)
    except SystemExit:
        pass
    except BaseException as error:
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
    finally:
        _current.pop()
        handle._done = True
    return True


def _wait(is_over, timeout):
    """Runs threads until `is_over()`; False if that takes longer than `timeout` seconds, of which -1 has no end."""
    ends = None if timeout == -1 else time.monotonic() + timeout
    _waits.append(is_over)
    try:
        while not is_over():
            if ends is not None and time.monotonic() >= ends:
                return False
            if _run_next():
                continue
            if ends is not None:
                _sleep(max(0, ends - time.monotonic()))
                return is_over()
            if any(wait() for wait in _waits[:-1]):
                raise _GivenUp
            raise RuntimeError(_STUCK)
        return True
    finally:
        _waits.pop()


def _check_timeout(blocking, timeout):
    if not blocking and timeout != -1:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != -1:
        raise ValueError("timeout value must be a non-negative number")


class _Lock:
    """The methods of locks, which are those of the interpreter's own class, so that locks from before are mended too."""

    def acquire(self, blocking=True, timeout=-1):
        _check_timeout(blocking, timeout)
        if self.locked_status and not (blocking and _wait(lambda: not self.locked_status, timeout)):
            return False
        self.locked_status = True
        return True

    def release(self):
        if not self.locked_status:
            raise RuntimeError("release unlocked lock")
        self.locked_status = False

    __enter__ = acquire_lock = acquire
    release_lock = release


class _RLock:
    _owner = None

    def acquire(self, blocking=True, timeout=-1):
        _check_timeout(blocking, timeout)
        if self.locked_count and self._owner != _current[-1]:
            if not (blocking and _wait(lambda: not self.locked_count, timeout)):
                return False
        self._owner = _current[-1]
        self.locked_count += 1
        return True

    def release(self):
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self.locked_count -= 1

    def _is_owned(self):
        return self.locked_count > 0 and self._owner == _current[-1]

    def _release_save(self):
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        state, self.locked_count = self.locked_count, 0
        return state

    def _acquire_restore(self, state):
        self.acquire()
        self.locked_count = state

    __enter__ = acquire


class _ThreadHandle:
    def __init__(self):
        self.ident, self._done = 0, False

    def is_done(self):
        return self._done

    def _set_done(self):
        self._done = True

    def join(self, timeout=None):
        _wait(self.is_done, -1 if timeout is None else max(0, timeout))


def _start(function, args=(), kwargs={}, handle=None, daemon=True):
    handle = handle or _ThreadHandle()
    handle.ident = next(_idents)
    _started.append((function, args, kwargs, handle, daemon))
    return handle


def _start_new_thread(function, args, kwargs={}, /):
    """Start a new thread and return its identifier."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    return _start(function, args, kwargs).ident


def _start_joinable_thread(function, handle=None, daemon=True):
    """Start a new thread and return its handle."""
    return _start(function, handle=handle, daemon=daemon)


def _start_thread(self):
    """Start the thread's activity."""
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    if self._context is None:
        self._context = threading._contextvars.Context()
    threading._limbo[self] = self
    self._ident = _start(self._bootstrap, handle=self._os_thread_handle, daemon=self.daemon).ident
    self._started.set()


def _sleep_and_run(seconds, /):
    """Delay execution for a given number of seconds."""
    if not _started:
        return _sleep(seconds)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and _run_next():
        pass
    _sleep(max(0, ends - time.monotonic()))


def finish():
    """Runs the threads that a program waits for when it ends."""
    while _started:
        _started[:] = [started for started in _started if not started[4]]
        _run_next()


class _ThreadPoolExecutor(concurrent.futures.thread.ThreadPoolExecutor):
    """An executor whose workers are threads of here: one for each piece of work, named as if there were `max_workers`."""

    __module__ = "concurrent.futures.thread"
    __qualname__ = "ThreadPoolExecutor"

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **options):
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, **options)
        self._initializer, self._initargs, self._submitted = initializer, initargs, []

    def submit(self, fn, /, *args, **kwargs):
        if self._broken:
            raise self.BROKEN(self._broken)
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = concurrent.futures._base.Future()
        number = len(self._submitted) % self._max_workers
        name = f"{self._thread_name_prefix}_{number}"
        thread = threading.Thread(target=self._work, args=(future, fn, args, kwargs), name=name, daemon=False)
        self._submitted.append((thread, future))
        thread.start()
        return future

    def _work(self, future, fn, args, kwargs):
        if self._initializer is not None:
            initializer, self._initializer = self._initializer, None
            try:
                initializer(*self._initargs)
            except BaseException:
                self._broken = "A thread initializer failed, the thread pool is not usable anymore"
        if not future.set_running_or_notify_cancel():
            return
        if self._broken:
            return future.set_exception(self.BROKEN(self._broken))
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._shutdown = True
        for thread, future in self._submitted:
            if cancel_futures:
                future.cancel()
            if wait:
                thread.join()


for _module in (_thread, threading):
    _module.get_ident = lambda: _current[-1]
for _class, _methods in ((_thread.LockType, _Lock), (_thread.RLock, _RLock)):
    for _name, _method in vars(_methods).items():
        if not _name.startswith("__") or _name == "__enter__":
            setattr(_class, _name, _method)
_thread._ThreadHandle = threading._ThreadHandle = _ThreadHandle
_thread.start_new_thread = _thread.start_new = _start_new_thread
_thread.start_joinable_thread = threading._start_joinable_thread = _start_joinable_thread
threading.Thread.start = _start_thread
threading.local = _thread._local = _threading_local.local
concurrent.futures.thread.ThreadPoolExecutor = _ThreadPoolExecutor
queue.SimpleQueue = queue._PySimpleQueue
time.sleep = _sleep_and_run
