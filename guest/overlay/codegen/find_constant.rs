//! Crate: rustpython-codegen 0.6.0
//! File: src/ir.rs
//! Item: ConstantPool::find_existing = e0a65b6636127731
//! Test: tests/python/large_literals.py
//!
//! Reason: a literal with 70,000 numbers took more than the fuel of a run: each constant was compared with all before it.
//!
//! Upstream: Compiling a literal takes time with the square of its constants
//!
//! `ConstantPool::find_existing` compares with every constant of the code object. A list of 35,000 different numbers takes
//! four times as long as one of 17,500. CPython looks constants up in a dict.

impl ConstantPool {
    /// A constant that is there already: among the first and the last ones. Two equal ones are no error.
    fn find_existing(&self, constant: &ConstantData) -> Option<usize> {
        const NEAR: usize = 256;
        if Self::constant_contains_nan(constant) {
            return None;
        }
        let is_equal = |index: &usize| {
            let existing = self.constants.get(*index);
            existing.is_some_and(|existing| Self::constant_key_eq(existing, constant))
        };
        let count = self.constants.len();
        let last = count.saturating_sub(NEAR).max(NEAR)..count;
        (0..count.min(NEAR)).chain(last).find(is_equal)
    }
}
