//! Crate: rustpython-host_env 0.6.0
//! File: src/io.rs
//! Item: is_interrupted_errno = 4eea0ac5df0d91e7
//! Test: tests/python/errno_of_linux.py
//!
//! Reason: as `errno.rs`: the number of an exception is that of Linux. EFBIG of Linux is EINTR of WASI, for which a
//! buffered write tries again for ever.
//!
//! Upstream: none.

pub fn is_interrupted_errno(errno: i32) -> bool {
    errno == crate::errno::errors::EINTR
}
