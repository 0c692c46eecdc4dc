//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/range.rs
//! Item: PyRange::protocol_length = db275241284cbd88
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: as `length.rs`, which needs the length of a range; and the message named a Rust type.
//!
//! Upstream: see `length.rs`.

impl PyRange {
    fn protocol_length(&self, vm: &VirtualMachine) -> PyResult<usize> {
        self.exact_length()
            .to_isize()
            .map(|length| length as usize)
            .ok_or_else(|| vm.new_overflow_error("Python int too large to convert to C ssize_t"))
    }

    pub(crate) fn exact_length(&self) -> BigInt {
        self.compute_length()
    }
}
