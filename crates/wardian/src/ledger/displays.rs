//! The things that a run has shown, up to its limits.

use parking_lot::Mutex;
use wardian_abi::Display;
use wardian_policy::{Limit, Limits};

/// The things that a run has shown.
pub(crate) struct Displays {
    max_count: u64,
    max_bytes: u64,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    kept: Vec<Display>,
    bytes: u64,
    omitted: u64,
}

impl Displays {
    pub(super) fn new(limits: &Limits) -> Self {
        let max = |limit| limits.get(limit).or_max();
        Self {
            max_count: max(Limit::Displays),
            max_bytes: max(Limit::DisplayBytes),
            shown: Mutex::default(),
        }
    }

    /// Keeps one if it fits. Returns whether it does.
    pub(super) fn keep(&self, display: &Display) -> bool {
        let mut shown = self.shown.lock();
        let bytes = shown.bytes.saturating_add(display.size_bytes() as u64);
        let fits = bytes <= self.max_bytes && (shown.kept.len() as u64) < self.max_count;
        if fits {
            shown.bytes = bytes;
            shown.kept.push(display.clone());
        } else {
            shown.omitted += 1;
        }
        fits
    }

    /// Takes what was kept, and the count of what was left out.
    pub(crate) fn take(&self) -> (Vec<Display>, u64) {
        let shown = std::mem::take(&mut *self.shown.lock());
        (shown.kept, shown.omitted)
    }
}
