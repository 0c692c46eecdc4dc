//! Crate: rustpython-vm 0.6.0
//! File: src/vm/vm_new.rs
//! Item: VirtualMachine::new_unbound_local_error, kept as new_unbound_local_error_of = 334db9b80089f4e3
//! Test: tests/python/unbound_names.py
//!
//! Reason: the message was that of Python 3.10.
//!
//! Upstream: UnboundLocalError has the message of Python 3.10
//!
//! Since 3.11 it is "cannot access local variable 'x' where it is not associated with a value". Seven places in `frame.rs`
//! have "local variable 'x' referenced before assignment".

impl VirtualMachine {
    pub fn new_unbound_local_error(&self, msg: impl Into<Wtf8Buf>) -> PyBaseExceptionRef {
        let message = msg.into().to_string();
        let name = message.strip_suffix(" referenced before assignment");
        self.new_unbound_local_error_of(match name {
            Some(name) => format!("cannot access {name} where it is not associated with a value"),
            None => message,
        })
    }
}
