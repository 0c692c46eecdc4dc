//! Crate: rustpython-vm 0.6.0
//! File: src/stdlib/builtins.rs
//! Item: builtins::len = 53412c50b5b3b3f4
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: `len(range(3_000_000_000))` raised OverflowError, as did every `__len__` above 2³¹.
//!
//! Upstream: On 32-bit targets, `len` could answer up to 2⁶³-1
//!
//! `len()` converts through `usize`, so `len(range(3 * 10**9))` and `random.sample(range(10**10), 2)` raise on wasm32. The
//! number itself is at hand: `PyRange` computes a `BigInt`, and `__len__` returns an int.

mod builtins {
    #[pyfunction]
    fn len(obj: PyObjectRef, vm: &VirtualMachine) -> PyResult {
        match obj.length(vm) {
            Err(error) if error.fast_isinstance(vm.ctx.exceptions.overflow_error) => {
                len_beyond_size(&obj, error, vm)
            }
            length => Ok(vm.ctx.new_int(length?).into()),
        }
    }

    /// A length that does not fit a size of the guest, but the size of a 64-bit machine.
    fn len_beyond_size(
        obj: &PyObject,
        error: crate::builtins::PyBaseExceptionRef,
        vm: &VirtualMachine,
    ) -> PyResult {
        let length = match obj.downcast_ref::<crate::builtins::PyRange>() {
            Some(range) => vm.ctx.new_bigint(&range.exact_length()),
            None => vm
                .call_special_method(obj, identifier!(vm, __len__), ())?
                .try_index(vm)?,
        };
        match i64::try_from(length.as_bigint()) {
            Ok(0..) => Ok(length.into()),
            _ => Err(error),
        }
    }
}
