//! Crate: rustpython-vm 0.6.0
//! File: src/builtins/str.rs
//! Item: PyRef<PyStr>::concat_in_place, kept as concat_by_copying = 9f78aaaf76427beb
//! Test: tests/python/appending.py
//!
//! Reason: `s += x` in a function copied all of `s` each time: 200,000 of them took 8.7 s.
//!
//! Upstream: BINARY_OP_INPLACE_ADD_UNICODE copies the left operand
//!
//! `concat_in_place` builds a new buffer of the sum and then scans all of it again for its kind, so a loop of `s += "x"` is
//! quadratic: 200,000 iterations take 8.7 s, 0.03 s in CPython, which reallocs the string that nobody else holds. With the
//! payload's own buffer grown by `realloc`, and kind and length taken from the operands, it is linear.

impl PyRef<PyStr> {
    pub fn concat_in_place(&mut self, other: &Wtf8, vm: &VirtualMachine) {
        let kind = other.str_kind();
        let are_utf8 = self.kind().is_utf8() && kind.is_utf8();
        if other.is_empty() || !are_utf8 || self.as_object().strong_count() > 1 {
            return self.concat_by_copying(other, vm);
        }
        let chars = if kind.is_ascii() {
            other.len()
        } else {
            other.code_points().count()
        };
        self.hash.store(hash::SENTINEL, atomic::Ordering::Relaxed);
        let payload = (self.payload() as *const PyStr).cast_mut();
        // SAFETY: nobody else has a reference to this object.
        unsafe { (&mut (*payload).data).append(other, kind, chars) };
    }
}
