# The numbers, names and texts of errors are those of Linux.
import errno
import os

for name in "EPERM ENOENT EINTR EIO EBADF EAGAIN ENOMEM EACCES EEXIST EXDEV ENOTDIR EISDIR EINVAL EMFILE EFBIG ENOSPC EROFS EPIPE ENAMETOOLONG ENOTEMPTY ELOOP ENOSYS ETIMEDOUT ECONNREFUSED".split():
    number = getattr(errno, name)
    print(name, number, errno.errorcode[number], os.strerror(number), type(OSError(number, "text")).__name__)
print(os.strerror(0), "|", os.strerror(9999))


def t(what):
    try:
        print(what())
    except OSError as error:
        print(type(error).__name__, error.errno, error.strerror, error.filename, "|", error)


os.chdir("/tmp")
t(lambda: open("missing.txt"))
t(lambda: open("/tmp"))
t(lambda: os.listdir("missing"))
os.mkdir("d")
open("d/f", "w").close()
t(lambda: os.mkdir("d"))
t(lambda: os.rmdir("d"))
t(lambda: os.listdir("d/f"))
t(lambda: open("d/f/g"))
t(lambda: os.rename("missing", "other"))
t(lambda: os.close(99))
t(lambda: open("x" * 300))
os.chmod("d/f", 0o600)
print(os.access("d/f", os.F_OK), os.access("missing", os.R_OK), os.umask(0o077) == os.umask(0o022) or "umask")
import shutil
print(shutil.copy("d/f", "copy"), sorted(os.listdir(".")))
os.remove("copy")
shutil.rmtree("d")
