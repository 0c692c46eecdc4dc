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

    /// How much the guest is given when this much is left.
    fn more(&mut self, left: i64) -> Result<i64, Trap> {
        let used = self.used(left);
        let rest = self.limit.checked_sub(used).ok_or(Trap::OutOfFuel)?;
        let more = rest.min(PORTION);
        self.given = used.saturating_add(more);
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
        let first = store.data_mut().fuel.more(0)?;
        global.set(store, Val::I64(first))?;
        Ok(Self(Some(global)))
    }

    /// How much fuel the run has used, at most its limit.
    pub(crate) fn used(&self, store: &mut Store<RunState>) -> u64 {
        let limit = store.data().fuel.limit;
        match self.0 {
            Some(global) => {
                let left = global.get(&mut *store).i64().unwrap_or_default();
                store.data().fuel.used(left).min(limit)
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
        let more = caller.data_mut().fuel.more(left)?;
        global.set(&mut caller, Val::I64(more))?;
        // On tokio, after all that waits, wherever it came from: woken at once, this task would stand before what comes
        // from outside of its thread.
        tokio::task::yield_now().await;
        Ok(())
    })
}
