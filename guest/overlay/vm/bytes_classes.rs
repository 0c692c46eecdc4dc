//! Crate: rustpython-vm 0.6.0
//! File: src/bytes_inner.rs
//! Item: PyBytesInner::isalnum = 491b94b580ca77e1
//! Item: PyBytesInner::isalpha = 97ed48d4371bd1b4
//! Test: tests/python/bytes_classes.py
//!
//! Reason: `b"\xff".isalpha()` was True.
//!
//! Upstream: bytes.isalpha and bytes.isalnum take bytes above 127 for Latin-1 letters
//!
//! `b"\xff".isalpha()` is False in CPython, where only ASCII letters count; RustPython asks `char::from(byte).is_alphabetic()`.

impl PyBytesInner {
    pub fn isalnum(&self) -> bool {
        !self.elements.is_empty() && self.elements.iter().all(u8::is_ascii_alphanumeric)
    }

    pub fn isalpha(&self) -> bool {
        !self.elements.is_empty() && self.elements.iter().all(u8::is_ascii_alphabetic)
    }
}
