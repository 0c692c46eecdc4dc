//! Crate: rustpython-vm 0.6.0
//! File: src/stdlib/os.rs
//! Item: _os::strerror = 36b2a63ca0ebd1af
//! Test: tests/python/errno_of_linux.py
//!
//! Reason: as `host_env/errno.rs`.
//!
//! Upstream: none.

mod _os {
    #[pyfunction]
    fn strerror(code: i32) -> String {
        let message = crate::host_env::errno::errors::message(code);
        message.map_or_else(|| format!("Unknown error {code}"), str::to_owned)
    }
}
