//! Crate: rustpython-vm 0.6.0
//! File: src/stdlib/itertools.rs
//! Item: decl::pyobject_to_opt_usize = 8051ba2e87f7e0d7
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: as `int_sizes.rs`: `islice(x, 10**10)` raised ValueError.
//!
//! Upstream: see `int_sizes.rs`.

mod decl {
    fn pyobject_to_opt_usize(
        obj: &PyObject,
        name: &'static str,
        vm: &VirtualMachine,
    ) -> PyResult<usize> {
        let exceptions = &vm.ctx.exceptions;
        let value = match obj.try_index(vm) {
            Ok(index) => index
                .as_bigint()
                .to_i64()
                .and_then(|value| u64::try_from(value).ok()),
            Err(error)
                if error.fast_isinstance(exceptions.type_error)
                    || error.fast_isinstance(exceptions.overflow_error) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let Some(value) = value else {
            return Err(vm.new_value_error(format!(
                "{name} argument for islice() must be None or an integer: 0 <= x <= sys.maxsize."
            )));
        };
        // No run lives long enough to see the difference.
        Ok(usize::try_from(value).unwrap_or(sys::MAXSIZE as usize))
    }
}
