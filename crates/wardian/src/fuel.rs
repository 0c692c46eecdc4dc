//! Fuel: how much a run may compute, counted down by the guest itself.
//!
//! `wardian-meter` has written the counting into the guest's code. It is given fuel in portions of about a
//! sixth of a millisecond's work, and asks for the next here: that is where other runs have their turn, and where a run that is over
//! its limit or its time stops.
//!
//! A build with the feature `wasmtime-fuel` has wasmtime count instead, for comparison.

use std::future::Future;

use wardian_abi::fuel;
use wasmtime::{Caller, Extern, Global, Instance, Linker, Store, Trap, Val};

use crate::guest::RunState;

/// How much fuel a run uses before it lets others run.
const PORTION: u64 = 2_000_000;

/// Does wasmtime count, instead of the guest?
const BY_WASMTIME: bool = cfg!(feature = "wasmtime-fuel");

/// What calls of the host cost, in fuel: about as much as the guest could compute in the same time.
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

/// What a run owes for calls of the host. The guest's own counter does not know of it until it asks for more fuel.
pub(crate) struct Bill {
    owed: u64,
    /// The most that can be owed: what is left of the run's limit beyond what the guest was given.
    left: u64,
    /// What was owed when other runs last had their turn.
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
    limit: u64,
    /// How much of it the guest was given.
    given: u64,
}

impl Fuel {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, given: 0 }
    }

    /// How much was used, if this much is left of what was given; less than nothing if more was used than given.
    fn used(&self, left: i64) -> u64 {
        self.given.saturating_add_signed(left.saturating_neg())
    }

    /// How much the guest is given when this much is left, after it has paid its bill.
    fn more(&mut self, left: i64, bill: &mut Bill) -> Result<i64, Trap> {
        let used = self.used(left).saturating_add(bill.pay());
        let rest = self.limit.checked_sub(used).ok_or(Trap::OutOfFuel)?;
        let more = rest.min(PORTION);
        self.given = used.saturating_add(more);
        bill.left = rest - more;
        Ok(more as i64)
    }
}

/// Where the guest's fuel is.
pub(crate) struct Gauge(Option<Global>);

impl Gauge {
    /// Gives a new instance its first fuel.
    pub(crate) fn of(store: &mut Store<RunState>, instance: Instance) -> wasmtime::Result<Self> {
        let limit = store.data().fuel.limit;
        if BY_WASMTIME {
            store.set_fuel(limit)?;
            store.fuel_async_yield_interval(Some(PORTION))?;
            return Ok(Self(None));
        }
        let global = instance
            .get_global(&mut *store, fuel::EXPORT)
            .ok_or_else(|| wasmtime::format_err!("the guest exports no fuel"))?;
        let (fuel, bill) = store.data_mut().fuel_and_bill();
        let first = fuel.more(0, bill)?;
        global.set(store, Val::I64(first))?;
        Ok(Self(Some(global)))
    }

    /// Gives the guest its last fuel: when that is used up, it gets no more.
    pub(crate) fn give_last(&self, store: &mut Store<RunState>) -> wasmtime::Result<()> {
        /// For a look at what is there.
        const LAST: u64 = 1_000_000;
        match self.0 {
            Some(global) => {
                store.data_mut().fuel.limit = 0;
                global.set(store, Val::I64(LAST as i64))
            }
            None => store.set_fuel(LAST),
        }
    }

    /// How much fuel the run has used, at most its limit.
    pub(crate) fn used(&self, store: &mut Store<RunState>) -> u64 {
        let limit = store.data().fuel.limit;
        match self.0 {
            Some(global) => {
                let left = global.get(&mut *store).i64().unwrap_or_default();
                let (fuel, bill) = store.data_mut().fuel_and_bill();
                fuel.used(left).saturating_add(bill.owed).min(limit)
            }
            None => limit.saturating_sub(store.get_fuel().unwrap_or_default()),
        }
    }
}

/// Lets guests ask for more fuel.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(fuel::MODULE, fuel::FUNCTION, refuel)?;
    Ok(())
}

/// Gives the guest its next portion, after others had their turn.
fn refuel(
    mut caller: Caller<'_, RunState>,
    (): (),
) -> Box<dyn Future<Output = wasmtime::Result<()>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Global(global)) = caller.get_export(fuel::EXPORT) else {
            return Err(wasmtime::format_err!("the guest exports no fuel"));
        };
        let left = global.get(&mut caller).i64().unwrap_or_default();
        let state = caller.data_mut();
        state.memory().refueled();
        let (fuel, bill) = state.fuel_and_bill();
        let more = fuel.more(left, bill)?;
        global.set(&mut caller, Val::I64(more))?;
        // On tokio, after all that waits, wherever it came from: woken at once, this task would stand before what comes
        // from outside of its thread.
        tokio::task::yield_now().await;
        Ok(())
    })
}
