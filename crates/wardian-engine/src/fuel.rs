//! Fuel: the computing that a run may do, in portions.
//!
//! `wardian-meter` has written the counting into the guest's code. The guest gets fuel in portions
//! of about a sixth of a millisecond's work, and asks for the next in `meter.rs`.

use wasmtime::Trap;

/// The fuel that a run uses before it lets others run.
pub(crate) const PORTION: u64 = 2_000_000;

/// Prices of calls of the host, in fuel: about as much as the guest could compute in the same time.
pub(crate) mod price {
    /// A call that does next to nothing.
    pub(crate) const CALL: u64 = 2_000;
    /// An operation on a file: mostly the way to a thread that may wait, and back.
    pub(crate) const FILE: u64 = 100_000;
    /// A call of a tool: checked, recorded, and done by somebody else.
    pub(crate) const TOOL: u64 = 100_000;
    /// A byte that is copied.
    pub(crate) const BYTE: u64 = 1;
    /// A random byte.
    pub(crate) const RANDOM_BYTE: u64 = 16;
}

/// The debt of a run for calls of the host. The guest's own counter does not know of it until it
/// asks for more fuel.
pub(crate) struct Bill {
    pub(crate) owed: u64,
    /// The most that can be owed: what is left of the run's limit beyond what the guest was given.
    left: u64,
    /// The debt when other runs last had their turn.
    yielded: u64,
}

impl Bill {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            owed: 0,
            left: limit,
            yielded: 0,
        }
    }

    /// Adds a price. Returns whether it is time that others have their turn.
    pub(crate) fn add(&mut self, price: u64) -> Result<bool, wasmtime::Error> {
        self.owed = self.owed.saturating_add(price);
        if self.owed > self.left {
            return Err(Trap::OutOfFuel.into());
        }
        let due = self.owed - self.yielded >= PORTION;
        if due {
            self.yielded = self.owed;
        }
        Ok(due)
    }

    fn pay(&mut self) -> u64 {
        self.yielded = 0;
        std::mem::take(&mut self.owed)
    }
}

/// The fuel of one run.
pub(crate) struct Fuel {
    pub(crate) limit: u64,
    /// The part of it that the guest was given.
    given: u64,
}

impl Fuel {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, given: 0 }
    }

    /// Returns the fuel used, if `left` is left of what was given; less than nothing if more was
    /// used than given.
    pub(crate) fn used(&self, left: i64) -> u64 {
        self.given.saturating_add_signed(left.saturating_neg())
    }

    /// Returns the next portion when `left` is left, after the bill is paid.
    pub(crate) fn refill(&mut self, left: i64, bill: &mut Bill) -> Result<i64, Trap> {
        let used = self.used(left).saturating_add(bill.pay());
        let rest = self.limit.checked_sub(used).ok_or(Trap::OutOfFuel)?;
        let more = rest.min(PORTION);
        self.given = used.saturating_add(more);
        bill.left = rest - more;
        Ok(more as i64)
    }
}
