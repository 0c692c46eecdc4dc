//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/int.rs
//! Item: inner_truediv, kept as inner_truediv_without_sign = 6226ce4f7e382c25
//! Test: tests/python/zeros_with_signs.py
//!
//! Reason: `0 / -5` was 0.0.
//!
//! Upstream: True division of integers loses the sign of a zero
//!
//! `0 / -5` is -0.0 in CPython, and so is `-1 / 10**400`, where the quotient is too small for a float; RustPython gives 0.0.

fn inner_truediv(i1: &BigInt, i2: &BigInt, vm: &VirtualMachine) -> PyResult {
    let quotient = inner_truediv_without_sign(i1, i2, vm)?;
    let is_negative = (i1.sign() == Sign::Minus) != (i2.sign() == Sign::Minus);
    let is_zero = quotient
        .downcast_ref::<super::PyFloat>()
        .is_some_and(|quotient| quotient.to_f64() == 0.0);
    if is_negative && is_zero {
        return Ok(vm.ctx.new_float(-0.0).into());
    }
    Ok(quotient)
}
