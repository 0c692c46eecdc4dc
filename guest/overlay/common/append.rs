//! Crate: rustpython-common 0.6.0
//! File: src/str.rs
//! Test: tests/python/appending.py
//!
//! Reason: `vm/append.rs` needs it.
//!
//! Upstream: see `vm/append.rs`.

impl StrData {
    /// Appends `other`, which has no surrogates, in the same buffer if it can grow. What is known of both is known of the
    /// result, so that nothing is read twice.
    pub fn append(&mut self, other: &Wtf8, kind: StrKind, chars: usize) {
        let kind = self.kind | kind;
        let chars = self.char_len() + chars;
        let mut data = Wtf8Buf::from_box(core::mem::take(&mut self.data));
        data.reserve_exact(other.len());
        data.push_wtf8(other);
        // SAFETY: the kind is that of both, the length their sum.
        *self = unsafe { Self::new_with_char_len(data.into_box(), kind, chars) };
    }
}
