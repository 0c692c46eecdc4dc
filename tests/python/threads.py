# Threads, locks, queues and pools, as far as the order in which threads run does not show.
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

results = []
threads = [threading.Thread(target=lambda n=n: results.append(n * n)) for n in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results), [thread.is_alive() for thread in threads])

tasks, done = queue.Queue(), []


def work():
    while True:
        item = tasks.get()
        if item is None:
            return
        done.append(item * 2)
        tasks.task_done()


workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
for i in range(10):
    tasks.put(i)
tasks.join()
for _ in workers:
    tasks.put(None)
for worker in workers:
    worker.join(5)
print(sorted(done))

ready, told = threading.Event(), []
waiter = threading.Thread(target=lambda: told.append(ready.wait(5)))
waiter.start()
ready.set()
waiter.join()
print(told)

lock, total = threading.Lock(), 0


def add():
    global total
    for _ in range(100):
        with lock:
            total += 1


adders = [threading.Thread(target=add) for _ in range(4)]
[each.start() for each in adders]
[each.join() for each in adders]
print(total, lock.locked())

with ThreadPoolExecutor(max_workers=3) as pool:
    print(list(pool.map(lambda n: n + 1, range(6))))
    futures = [pool.submit(pow, 2, n) for n in range(5)]
    print(sorted(future.result() for future in as_completed(futures)), all(future.done() for future in futures))
    failing = pool.submit(int, "no")
    print(type(failing.exception()).__name__)
    finished, pending = wait([pool.submit(len, "abc")])
    print(len(finished), len(pending))
try:
    pool.submit(len, "x")
except RuntimeError as error:
    print(error)


class Counter(threading.Thread):
    def __init__(self, n):
        super().__init__(name=f"counter-{n}", daemon=True)
        self.n = n

    def run(self):
        self.seen = threading.current_thread().name, sum(range(self.n))


counters = [Counter(n) for n in (3, 4)]
[each.start() for each in counters]
[each.join() for each in counters]
print([each.seen for each in counters], threading.current_thread() is threading.main_thread(), threading.active_count())

local = threading.local()
local.value = "main"
seen = []


def other():
    seen.append(hasattr(local, "value"))
    local.value = "other"


thread = threading.Thread(target=other)
thread.start()
thread.join()
print(seen, local.value)


class Prefilled(threading.local):
    def __init__(self, start):
        self.count = start


print(Prefilled(7).count)


def fails():
    raise ValueError("in a thread")


caught = []
threading.excepthook = lambda args: caught.append((args.exc_type.__name__, str(args.exc_value)))
thread = threading.Thread(target=fails)
thread.start()
thread.join()
print(caught)
timer = threading.Timer(0.01, lambda: caught.append("timer"))
timer.start()
time.sleep(0.05)
timer.join()
print(caught[-1])
results = queue.SimpleQueue()
threading.Thread(target=lambda: results.put("made")).start()
print(results.get(timeout=5))
barrier_free = threading.Semaphore(2)
with barrier_free:
    print(barrier_free.acquire(timeout=1), barrier_free.acquire(blocking=False))
try:
    queue.Queue().get(timeout=0.01)
except queue.Empty:
    print("empty")
print(threading.Lock().acquire(timeout=1), lock.acquire(False), lock.acquire(timeout=0.01))
