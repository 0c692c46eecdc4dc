//! Crate: rustpython-vm 0.6.0
//! File: src/buffer.rs
//! Item: FormatType::info, kept as info_on_target = 5bd399a11296863f
//! Test: tests/python/sizes_of_64_bits.py
//!
//! Reason: `struct.calcsize("l")` was 4, and packing 2⁴⁰ as a native long failed.
//!
//! Upstream: none; a choice of this guest, to look like the 64-bit Linux that scripts are written on.

impl FormatType {
    fn info(self, e: Endianness) -> &'static FormatInfo {
        let wide = match (e, self) {
            (Endianness::Native, Self::Long | Self::SSizeT) => Self::LongLong,
            (Endianness::Native, Self::ULong | Self::SizeT | Self::VoidP) => Self::ULongLong,
            _ => self,
        };
        wide.info_on_target(e)
    }
}
