//! Crate: rustpython-vm 0.6.0
//! File: src/vm/vm_ops.rs
//! Item: VirtualMachine::check_repeat_or_overflow_error = b6d02374510f0916
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: as `sequence_repeat.rs`: `"ab" * 10**10` is a MemoryError on 64 bits.
//!
//! Upstream: see `int_sizes.rs`.

impl VirtualMachine {
    pub fn check_repeat_or_overflow_error(&self, length: usize, n: isize) -> PyResult<usize> {
        let n = usize::try_from(n).unwrap_or(0);
        match length.checked_mul(n) {
            Some(bytes) if bytes <= crate::stdlib::sys::MAXSIZE as usize => Ok(n),
            _ => Err(self.new_memory_error("")),
        }
    }
}
