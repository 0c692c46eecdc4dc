//! Counters with a limit, of which parts are taken before something is done and settled after: so
//! that two operations at the same time can't go over it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter of an amount that a run may use.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: u64,
    used: AtomicU64,
}

/// A part that was taken. Counts as used as a whole unless it is settled.
#[derive(Debug)]
#[must_use = "what is taken and not settled counts as used"]
pub(crate) struct Taken {
    meter: Meter,
    amount: u64,
}

impl Meter {
    pub(crate) fn new(max: u64) -> Self {
        let used = AtomicU64::new(0);
        Self(Arc::new(Inner { max, used }))
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max
    }

    /// Returns the amount used, taken parts included.
    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes up to `max`, as much as is left; `None` if that is less than `min`.
    pub(crate) fn take(&self, min: u64, max: u64) -> Option<Taken> {
        let mut amount = 0;
        let take = |used: u64| {
            amount = self.0.max.saturating_sub(used).min(max);
            (amount >= min).then(|| used.saturating_add(amount))
        };
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.used.fetch_update(set, get, take).ok()?;
        let meter = self.clone();
        Some(Taken { meter, amount })
    }
}

impl Taken {
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// Gives back what was not used.
    pub(crate) fn settle(self, used: u64) {
        let surplus = self.amount.saturating_sub(used);
        self.meter.0.used.fetch_sub(surplus, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_at_once_does_not_go_over() {
        let meter = Meter::new(10);
        let first = meter.take(1, 6).unwrap();
        let second = meter.take(1, 6).unwrap();
        assert_eq!((first.amount(), second.amount()), (6, 4));
        assert!(meter.take(1, 1).is_none());
        assert_eq!(meter.take(0, 1).unwrap().amount(), 0);
        first.settle(2);
        assert_eq!(meter.used(), 6);
        assert!(meter.take(5, 5).is_none());
        assert_eq!(meter.take(4, 9).unwrap().amount(), 4);
    }
}
