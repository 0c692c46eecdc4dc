import sys
from functools import lru_cache
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
print(depth(900))
@lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(400))
def forever(n): return forever(n + 1)
try:
    forever(0)
except RecursionError as e:
    print("RecursionError", e)
sys.setrecursionlimit(5000)
print(depth(4000))
class Node:
    def __init__(self, v, nxt): self.v, self.nxt = v, nxt
    def __repr__(self): return f"Node({self.v}, {self.nxt!r})"
n = None
for i in range(150): n = Node(i, n)
print(len(repr(n)))
