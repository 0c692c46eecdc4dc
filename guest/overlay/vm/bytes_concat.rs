//! Crate: rustpython-vm 0.6.0
//! File: src/bytes_inner.rs
//! Item: PyBytesInner::concat, kept as concat_buffer = 667ffead6bcedf00
//! Test: tests/python/messages.py
//!
//! Reason: `b"a" + "b"` said "a bytes-like object is required, not 'str'".
//!
//! Upstream: The message of `bytes + str` differs from CPython's
//!
//! It is "can't concat str to bytes" in CPython, which names both sides.

impl PyBytesInner {
    pub fn concat(&self, other: &PyObject, vm: &VirtualMachine) -> PyResult<Vec<u8>> {
        if other.class().slots.as_buffer.load().is_none() {
            let class = other.class().name().to_owned();
            return Err(vm.new_type_error(format!("can't concat {class} to bytes")));
        }
        self.concat_buffer(other, vm)
    }
}
