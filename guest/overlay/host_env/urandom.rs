//! Crate: rustpython-host_env 0.6.0
//! File: src/os.rs
//! Item: urandom = 7562ea13f989864f
//! Test: tests/python/many_random_bytes.py
//!
//! Reason: the host refuses a system call that asks for many bytes at once, and `os.urandom(10_000_000)` ended the run.
//!
//! Upstream: none; a limit of this host.

/// Random bytes, asked for in parts.
pub fn urandom(size: usize) -> io::Result<Vec<u8>> {
    const PART: usize = 1 << 20;
    let mut buffer = vec![0; size];
    for part in buffer.chunks_mut(PART) {
        getrandom::fill(part).map_err(io::Error::from)?;
    }
    Ok(buffer)
}
