//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/int.rs
//! Item: Py<PyInt>::to_primitive = 2907f2a411f8ecee
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: sizes, counts and bounds above 2³¹ raised OverflowError, because the guest has 32 bits. No container here can
//! be that large, so the largest size there is does what the number asks for; what does not fit 64 bits raises, as in
//! CPython on 64 bits.
//!
//! Upstream: On 32-bit targets, sizes between `isize::MAX` and 2⁶³-1 could be clamped
//!
//! On wasm32, `"a,b".split(",", 10**10)` and `list(islice("abc", 10**10))` raise "Python int too large to convert to Rust
//! isize". Programs written on 64 bits pass such numbers as "no limit" (`sys.maxsize` often). Slices clamp already. It
//! is also the only place where a message of Python's names Rust types: CPython says "C ssize_t", "C int".

impl Py<PyInt> {
    fn to_primitive<I>(&self, reject_negative: bool, vm: &VirtualMachine) -> PyResult<I>
    where
        I: PrimInt + for<'a> TryFrom<&'a BigInt>,
    {
        let value = self.as_bigint();
        if reject_negative && I::min_value() == I::zero() && value.sign() == Sign::Minus {
            return Err(vm.new_value_error("can't convert negative number to unsigned"));
        }
        if let Ok(value) = I::try_from(value) {
            return Ok(value);
        }
        let (is_size, name) = match core::any::type_name::<I>() {
            "isize" => (true, "C ssize_t"),
            "usize" => (true, "C size_t"),
            "i64" => (false, "C long"),
            "u64" => (false, "C unsigned long"),
            "i32" => (false, "C int"),
            "u32" => (false, "C unsigned int"),
            other => (false, other),
        };
        match value.to_i64() {
            Some(value) if is_size && value > 0 => Ok(I::max_value()),
            Some(_) if is_size && I::min_value() != I::zero() => Ok(I::min_value()),
            _ => Err(vm.new_overflow_error(format!("Python int too large to convert to {name}"))),
        }
    }
}
