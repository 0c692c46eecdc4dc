//! Crate: rustpython-vm 0.6.0
//! File: src/vm/mod.rs
//! Item: VirtualMachine::check_recursive_call = 32e7ff3158f97846
//! Test: tests/python/deep_recursion.py
//!
//! Reason: the message of a RecursionError ended in a space.
//!
//! Upstream: The message of RecursionError ends in a space
//!
//! `check_recursive_call("")` formats "maximum recursion depth exceeded {_where}".

impl VirtualMachine {
    fn check_recursive_call(&self, _where: &str) -> PyResult<()> {
        if self.recursion_depth.get() < self.recursion_limit.get() {
            return Ok(());
        }
        let message = format!("maximum recursion depth exceeded {_where}");
        Err(self.new_recursion_error(message.trim_end()))
    }
}
