//! What is mapped for a run and stays mapped for runs to come.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many of a kind stay.
const MOST: usize = 64;

/// Memories or stacks that are as good as new. All runs that start or end share them: what takes long is done before.
pub(super) struct Kept<T>(Mutex<Vec<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The one that was given last, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.all().pop()
    }

    /// Keeps one more, unless there are many.
    pub(super) fn give(&self, one: T) {
        let mut all = self.all();
        if all.len() < MOST {
            all.push(one);
        }
    }

    pub(super) fn all(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
