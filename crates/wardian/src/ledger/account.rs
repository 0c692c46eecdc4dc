//! An account of the host's memory that runs take beside their own: arguments, replies, rows, files
//! on their way.
//!
//! The most that a call can take is reserved before it begins, in one piece, and given back as it
//! turns out: calls wait for each other instead of adding up. There is an account for each run, and
//! one for the process.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The bytes that one permit of a semaphore stands for.
const UNIT: u64 = 1 << 10;

/// The most that all runs of a process reserve at once, in bytes.
pub(crate) const PROCESS_BYTES: u64 = 1 << 30;

static PROCESS: std::sync::LazyLock<Account> =
    std::sync::LazyLock::new(|| Account::new(PROCESS_BYTES));

/// Bytes of the host's memory, of which parts can be reserved.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    free: Arc<Semaphore>,
    units: u32,
}

/// A part of a run's account and of the process's. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    run: OwnedSemaphorePermit,
    process: OwnedSemaphorePermit,
}

/// More than the account holds when nothing is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) max_bytes: u64,
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Account {
    /// An account of `bytes` bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let units = units(bytes).min(u32::MAX >> 4);
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Returns the bytes that are reserved.
    #[cfg(test)]
    fn reserved(&self) -> u64 {
        (self.units as u64 - self.free.available_permits() as u64) * UNIT
    }

    fn fits(&self, bytes: u64) -> Result<u32, TooMuch> {
        let wanted = units(bytes);
        if wanted > self.units.min(PROCESS.units) {
            return Err(TooMuch {
                max_bytes: u64::from(self.units.min(PROCESS.units)) * UNIT,
            });
        }
        Ok(wanted)
    }

    /// Reserves `bytes` bytes if they are free now.
    pub(crate) fn try_reserve(&self, bytes: u64) -> Result<Option<Reservation>, TooMuch> {
        let wanted = self.fits(bytes)?;
        let take = |account: &Self| account.free.clone().try_acquire_many_owned(wanted).ok();
        Ok(take(self).and_then(|run| {
            let process = take(&PROCESS)?;
            Some(Reservation { run, process })
        }))
    }

    /// Waits until `bytes` bytes are free, and reserves them.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, TooMuch> {
        let wanted = self.fits(bytes)?;
        let max_bytes = u64::from(self.units) * UNIT;
        // They are never closed.
        let closed = |_: AcquireError| TooMuch { max_bytes };
        let run = self.free.clone().acquire_many_owned(wanted);
        let run = run.await.map_err(closed)?;
        let process = PROCESS.free.clone().acquire_many_owned(wanted);
        let process = process.await.map_err(closed)?;
        Ok(Reservation { run, process })
    }
}

impl Reservation {
    /// Gives back all but `bytes` bytes.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let keep = units(bytes) as usize;
        for permit in [&mut self.run, &mut self.process] {
            let surplus = permit.num_permits().saturating_sub(keep);
            drop(permit.split(surplus));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_is_reserved_is_given_back() {
        let account = Account::new(10 * UNIT);
        let mut first = account.try_reserve(8 * UNIT).unwrap().unwrap();
        assert!(account.try_reserve(3 * UNIT).unwrap().is_none());
        assert!(account.reserve(3 * UNIT).now_or_never().is_none());
        first.shrink_to(7 * UNIT);
        let second = account.reserve(3 * UNIT).now_or_never().unwrap().unwrap();
        assert_eq!(account.reserved(), 10 * UNIT);
        drop((first, second));
        assert_eq!(account.reserved(), 0);
        let too_much = TooMuch {
            max_bytes: 10 * UNIT,
        };
        assert_eq!(account.try_reserve(11 * UNIT).unwrap_err(), too_much);
    }
}
