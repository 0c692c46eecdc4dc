//! Crate: rustpython-vm 0.6.0
//! File: src/stdlib/time.rs
//! Item: decl::StructTimeData::new_inner, kept as new_with_sunday_first = 50fe7b4bfc494a23
//! Item: decl::StructTimeData::new_utc = 1a3a66d9d1594619
//! Test: tests/python/time_strftime.py
//!
//! Reason: `time.gmtime().tm_wday` was a day late.
//!
//! Upstream: `tm_wday` of `time.gmtime` counts from Sunday on wasm
//!
//! `StructTimeData::new_inner`, which is for targets that are neither Unix nor Windows, takes `to_sunday_zero_offset()`;
//! Python's weekdays begin on Monday.

mod decl {
    impl StructTimeData {
        fn new_inner(vm: &VirtualMachine, tm: Zoned, isdst: i32) -> Self {
            let weekday = tm.weekday().to_monday_zero_offset();
            Self {
                tm_wday: vm.ctx.new_int(weekday).into(),
                ..Self::new_with_sunday_first(vm, tm, isdst)
            }
        }

        fn new_utc(vm: &VirtualMachine, tm: Zoned) -> Self {
            Self {
                // As on Linux.
                tm_zone: vm.ctx.new_str("GMT").into(),
                ..Self::new_inner(vm, tm, 0)
            }
        }
    }
}
