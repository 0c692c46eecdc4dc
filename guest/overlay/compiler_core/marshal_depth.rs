//! Crate: rustpython-compiler-core 0.6.0
//! File: src/marshal.rs
//! Item: MAX_MARSHAL_STACK_DEPTH = 20dbf3940756ad41
//! Test: tests/python/nested_marshal.py
//!
//! Reason: values that are nested as deeply as CPython takes them use more stack than the guest has.
//!
//! Upstream: none; the stack of a native process is larger than the megabyte of this guest.

pub const MAX_MARSHAL_STACK_DEPTH: usize = 1000;
