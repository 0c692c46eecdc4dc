//! Crate: rustpython-vm 0.6.0
//! File: src/vm/vm_ops.rs
//! Item: VirtualMachine::sequence_repeat = 2e11896438a7e16d
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: as `int_sizes.rs`: `"" * 10**10` raised OverflowError. What does not fit into memory is a MemoryError.
//!
//! Upstream: see `int_sizes.rs`.

impl VirtualMachine {
    fn sequence_repeat(
        &self,
        repeat: fn(PySequence<'_>, isize, &Self) -> PyResult,
        seq: &PyObject,
        n: &PyObject,
    ) -> PyResult {
        let class = n.class();
        let count = n.try_index_opt(self).ok_or_else(|| {
            let name = class.slot_name();
            self.new_type_error(format!(
                "can't multiply sequence by non-int of type '{name}'"
            ))
        })??;
        let count = count.try_to_primitive(self).map_err(|_| {
            let name = class.slot_name();
            self.new_overflow_error(format!("cannot fit '{name}' into an index-sized integer"))
        })?;
        repeat(seq.sequence_unchecked(), count, self)
    }
}
