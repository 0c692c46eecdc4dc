//! Crate: rustpython-vm 0.6.0
//! File: src/exceptions.rs
//! Item: <std::io::Error as ToOSErrorBuilder>::to_os_error_builder = 8193e5b13c52976f
//! Test: tests/python/errno_of_linux.py
//!
//! Reason: as `host_env/errno.rs`, for the errors that the host reports; and "(os error 2)" after each text is Rust's.
//!
//! Upstream: Messages of OSError end in "(os error N)" where there is no `strerror`
//!
//! On wasm32-wasip1, `open("missing")` says "[Errno 44] No such file or directory (os error 44)", because the text is
//! `io::Error`'s own. wasi-libc has `strerror`.

impl ToOSErrorBuilder for std::io::Error {
    fn to_os_error_builder(&self, vm: &VirtualMachine) -> OSErrorBuilder {
        use crate::host_env::errno::errors;

        let errno = errors::from_host(self.raw_os_error().unwrap_or(0));
        let message = match errors::message(errno) {
            Some(message) if errno != 0 => message.to_owned(),
            _ => self.to_string(),
        };
        OSErrorBuilder::with_errno(errno, message, vm)
    }
}
