//! Mappings that stay for runs to come.

use parking_lot::{Mutex, MutexGuard};

/// The most mappings of a kind that stay.
const MAX_POOLED: usize = 64;

/// A free list of reset mappings. Callers reset one *before* they return it, so the lock is held
/// for a push or a pop only.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    /// Takes the mapping that was returned last, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.all().pop()
    }

    /// Returns a mapping to the list, unless there are many.
    pub(super) fn put(&self, mapping: T) {
        let mut all = self.all();
        if all.len() < MAX_POOLED {
            all.push(mapping);
        }
    }

    pub(super) fn all(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock()
    }
}
