//! Crate: rustpython-stdlib 0.6.0
//! File: src/array.rs
//! Item: array::def_array_enum! = 6cf67448260e1b62
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: `array.array("l").itemsize` was 4, and an item of 2⁴⁰ raised OverflowError.
//!
//! Upstream: none; a choice of this guest, to look like the 64-bit Linux that scripts are written on.

mod array {
    def_array_enum!(
        (SignedByte, i8, 'b', "b"),
        (UnsignedByte, u8, 'B', "B"),
        (PyUnicode, WideChar, 'u', "u"),
        (PyUcs4, Ucs4Char, 'w', "w"),
        (SignedShort, raw::c_short, 'h', "h"),
        (UnsignedShort, raw::c_ushort, 'H', "H"),
        (SignedInt, raw::c_int, 'i', "i"),
        (UnsignedInt, raw::c_uint, 'I', "I"),
        (SignedLong, i64, 'l', "l"),
        (UnsignedLong, u64, 'L', "L"),
        (SignedLongLong, raw::c_longlong, 'q', "q"),
        (UnsignedLongLong, raw::c_ulonglong, 'Q', "Q"),
        (Float, f32, 'f', "f"),
        (Double, f64, 'd', "d"),
    );
}
