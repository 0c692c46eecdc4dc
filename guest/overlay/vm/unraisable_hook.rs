//! Crate: rustpython-vm 0.6.0
//! File: src/vm/mod.rs
//! Item: VirtualMachine::run_unraisable = ed97839c00a57980
//! Test: tests/python/unraisable.py
//!
//! Reason: an exception in `__del__` crashed the interpreter where `__import__` gives a view of `sys`.
//!
//! Upstream: An exception that can't be raised imports `sys` through `builtins.__import__`, and unwraps what it gets
//!
//! `run_unraisable` calls `builtins.__import__`, which any code can replace, and panics if `unraisablehook` is not in what
//! comes back. CPython asks its own `sys`, and writes by itself where the hook is missing.

impl VirtualMachine {
    pub fn run_unraisable(&self, e: PyBaseExceptionRef, msg: Option<String>, object: PyObjectRef) {
        if self.state.finalizing.load(Ordering::Acquire) {
            self.write_unraisable_to_stderr(&e, msg.as_deref(), &object);
            return;
        }
        let Ok(hook) = self.sys_module.get_attr("unraisablehook", self) else {
            self.write_unraisable_to_stderr(&e, msg.as_deref(), &object);
            return;
        };
        let exc_type = e.class().to_owned();
        let exc_traceback = e.traceback().to_pyobject(self);
        let args = stdlib::sys::UnraisableHookArgsData {
            exc_type,
            exc_value: e.into(),
            exc_traceback,
            err_msg: self.new_pyobj(msg),
            object,
        };
        if let Err(e) = hook.call((args,), self) {
            self.write_unraisable_to_stderr(&e, None, &hook);
        }
    }
}
