# More random bytes than one system call gives.
import os, random

print(len(os.urandom(20_000_000)), len(random.randbytes(1000)), len(os.urandom(0)))
print(0.99 < sum(os.urandom(1_000_000)) / 127_500_000 < 1.01)
