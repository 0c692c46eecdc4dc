//! Crate: rustpython-host_env 0.6.0
//! File: src/errno.rs
//! Item: errors = 27f3b3cad716c7da
//! Test: tests/python/errno_of_linux.py
//!
//! Reason: the numbers of errors were those of WASI: `[Errno 44]` for a missing file, `[Errno 2]`, which reads as one, for a
//! refused one. Scripts compare with the numbers of Linux, and people know them.
//!
//! Upstream: none; a choice of this guest, to look like the Linux that scripts are written on.

pub mod errors {
    pub use libc::*;

    /// The errors that WASI has, with number and text of Linux.
    macro_rules! errors {
        ($(($name:ident, $number:literal, $message:literal),)*) => {
            $(pub const $name: i32 = $number;)*

            /// The number on Linux of an error of the host.
            pub fn from_host(number: i32) -> i32 {
                match number {
                    // A path that leads out of what is granted.
                    libc::ENOTCAPABLE => EPERM,
                    $(libc::$name => $number,)*
                    other => other,
                }
            }

            /// The text of an error of Linux.
            pub fn message(number: i32) -> Option<&'static str> {
                match number {
                    0 => Some("Success"),
                    $($number => Some($message),)*
                    _ => None,
                }
            }
        };
    }

    errors! {
        (EPERM, 1, "Operation not permitted"),
        (ENOENT, 2, "No such file or directory"),
        (ESRCH, 3, "No such process"),
        (EINTR, 4, "Interrupted system call"),
        (EIO, 5, "Input/output error"),
        (ENXIO, 6, "No such device or address"),
        (E2BIG, 7, "Argument list too long"),
        (ENOEXEC, 8, "Exec format error"),
        (EBADF, 9, "Bad file descriptor"),
        (ECHILD, 10, "No child processes"),
        (EAGAIN, 11, "Resource temporarily unavailable"),
        (ENOMEM, 12, "Cannot allocate memory"),
        (EACCES, 13, "Permission denied"),
        (EFAULT, 14, "Bad address"),
        (EBUSY, 16, "Device or resource busy"),
        (EEXIST, 17, "File exists"),
        (EXDEV, 18, "Invalid cross-device link"),
        (ENODEV, 19, "No such device"),
        (ENOTDIR, 20, "Not a directory"),
        (EISDIR, 21, "Is a directory"),
        (EINVAL, 22, "Invalid argument"),
        (ENFILE, 23, "Too many open files in system"),
        (EMFILE, 24, "Too many open files"),
        (ENOTTY, 25, "Inappropriate ioctl for device"),
        (ETXTBSY, 26, "Text file busy"),
        (EFBIG, 27, "File too large"),
        (ENOSPC, 28, "No space left on device"),
        (ESPIPE, 29, "Illegal seek"),
        (EROFS, 30, "Read-only file system"),
        (EMLINK, 31, "Too many links"),
        (EPIPE, 32, "Broken pipe"),
        (EDOM, 33, "Numerical argument out of domain"),
        (ERANGE, 34, "Numerical result out of range"),
        (EDEADLK, 35, "Resource deadlock avoided"),
        (ENAMETOOLONG, 36, "File name too long"),
        (ENOLCK, 37, "No locks available"),
        (ENOSYS, 38, "Function not implemented"),
        (ENOTEMPTY, 39, "Directory not empty"),
        (ELOOP, 40, "Too many levels of symbolic links"),
        (ENOMSG, 42, "No message of desired type"),
        (EIDRM, 43, "Identifier removed"),
        (ENOLINK, 67, "Link has been severed"),
        (EPROTO, 71, "Protocol error"),
        (EMULTIHOP, 72, "Multihop attempted"),
        (EBADMSG, 74, "Bad message"),
        (EOVERFLOW, 75, "Value too large for defined data type"),
        (EILSEQ, 84, "Invalid or incomplete multibyte or wide character"),
        (ENOTSOCK, 88, "Socket operation on non-socket"),
        (EDESTADDRREQ, 89, "Destination address required"),
        (EMSGSIZE, 90, "Message too long"),
        (EPROTOTYPE, 91, "Protocol wrong type for socket"),
        (ENOPROTOOPT, 92, "Protocol not available"),
        (EPROTONOSUPPORT, 93, "Protocol not supported"),
        (ENOTSUP, 95, "Operation not supported"),
        (EAFNOSUPPORT, 97, "Address family not supported by protocol"),
        (EADDRINUSE, 98, "Address already in use"),
        (EADDRNOTAVAIL, 99, "Cannot assign requested address"),
        (ENETDOWN, 100, "Network is down"),
        (ENETUNREACH, 101, "Network is unreachable"),
        (ENETRESET, 102, "Network dropped connection on reset"),
        (ECONNABORTED, 103, "Software caused connection abort"),
        (ECONNRESET, 104, "Connection reset by peer"),
        (ENOBUFS, 105, "No buffer space available"),
        (EISCONN, 106, "Transport endpoint is already connected"),
        (ENOTCONN, 107, "Transport endpoint is not connected"),
        (ETIMEDOUT, 110, "Connection timed out"),
        (ECONNREFUSED, 111, "Connection refused"),
        (EHOSTUNREACH, 113, "No route to host"),
        (EALREADY, 114, "Operation already in progress"),
        (EINPROGRESS, 115, "Operation now in progress"),
        (ESTALE, 116, "Stale file handle"),
        (EDQUOT, 122, "Disk quota exceeded"),
        (ECANCELED, 125, "Operation canceled"),
        (EOWNERDEAD, 130, "Owner died"),
        (ENOTRECOVERABLE, 131, "State not recoverable"),
    }
    pub const EOPNOTSUPP: i32 = ENOTSUP;
    pub const EWOULDBLOCK: i32 = EAGAIN;
}
