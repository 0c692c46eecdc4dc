# The version says nothing of where and when the interpreter was built.
import platform, re, sys

print(re.match(r"3\.14\.\d", sys.version) is not None)
print(any(word in sys.version + str(sys._git) for word in ("dirty", "heads", "unknown")))
print(isinstance(platform.python_build(), tuple), platform.python_version()[:4])
