//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/float.rs
//! Item: float_pow = ac98ecd512c2dff7
//! Test: tests/python/const_fold.py
//!
//! Reason: `0.0 ** -0.0` raised ZeroDivisionError, `(-0.0) ** 0.1` was complex.
//!
//! Upstream: Powers of zeros and infinities differ from CPython's
//!
//! `float_pow` asks for the sign bit where CPython compares with zero. `0.0 ** -0.0` is 1.0 in CPython and raises here,
//! `(-0.0) ** 0.1` is 0.0 and is complex here, `0.0 ** -inf` is inf and raises here, `(-inf) ** 0.5` is inf and is complex
//! here. With exponents that are integers but for less than `f64::EPSILON`, `(-2.0) ** 1e-17` is complex in CPython.
//! The error of an overflow is `OverflowError(34, 'Numerical result out of range')` there.

pub(crate) fn float_pow(v1: f64, v2: f64, vm: &VirtualMachine) -> PyResult {
    let are_finite = v1.is_finite() && v2.is_finite();
    if v1 == 0.0 && v2 < 0.0 && are_finite {
        return Err(vm.new_zero_division_error("zero to a negative power"));
    }
    if v1 < 0.0 && are_finite && v2 != v2.floor() {
        let [base, exponent] = [v1, v2].map(|real| Complex64::new(real, 0.0));
        return Ok(super::complex::complex_pow(base, exponent, vm)?.to_pyobject(vm));
    }
    let power = v1.powf(v2);
    if power.is_infinite() && are_finite {
        let args = vec![
            vm.ctx.new_int(34).into(),
            vm.ctx.new_str("Numerical result out of range").into(),
        ];
        return Err(vm.new_exception(vm.ctx.exceptions.overflow_error.to_owned(), args));
    }
    Ok(power.to_pyobject(vm))
}
