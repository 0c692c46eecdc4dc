//! Crate: rustpython-vm 0.6.0
//! File: src/cformat.rs
//! Item: cformat_bytes, kept as cformat_bytes_of = 6b3123858b72eb26
//! Test: tests/python/format_bytes.py
//!
//! Reason: `b"x" % "a"` was `b"x"`: a str was taken for a mapping, of which nothing need be used.
//!
//! Upstream: Formatting bytes takes a str for a mapping
//!
//! `cformat_bytes` leaves tuples, bytes and bytearrays out of what counts as a mapping; CPython leaves out str as well, so that
//! `b"x" % "a"` raises "not all arguments converted during bytes formatting", and `b"%(a)s" % "a"` "format requires a mapping".

pub(crate) fn cformat_bytes(
    vm: &VirtualMachine,
    format: &[u8],
    values: &PyObject,
) -> PyResult<Vec<u8>> {
    if values.fast_isinstance(vm.ctx.types.str_type) {
        let only = vm.ctx.new_tuple(vec![values.to_owned()]);
        return cformat_bytes_of(vm, format, only.as_object());
    }
    cformat_bytes_of(vm, format, values)
}
