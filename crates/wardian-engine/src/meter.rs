//! The meter: where the guest counts its fuel down, gets the next portion, and other runs have
//! their turn. A run that is over its limit or its time stops here.
//!
//! A build with the feature `wasmtime-fuel` has wasmtime count instead, for comparison.

use std::future::Future;

use wardian_abi::fuel;
use wasmtime::{Caller, Extern, Global, Instance, Linker, Store, Val};

use crate::fuel::PORTION;
use crate::host::Host;
use crate::state::State;

/// Set if wasmtime counts, instead of the guest.
const BY_WASMTIME: bool = cfg!(feature = "wasmtime-fuel");

/// Reads and sets the guest's counter.
pub(crate) struct FuelMeter(Option<Global>);

impl FuelMeter {
    /// Gives a new instance its first fuel.
    pub(crate) fn new<H: Host>(
        store: &mut Store<State<H>>,
        instance: Instance,
    ) -> wasmtime::Result<Self> {
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
        let first = fuel.refill(0, bill)?;
        global.set(store, Val::I64(first))?;
        Ok(Self(Some(global)))
    }

    /// Gives the guest its last fuel: when that is used up, it gets no more.
    pub(crate) fn give_last<H: Host>(&self, store: &mut Store<State<H>>) -> wasmtime::Result<()> {
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

    /// Returns the fuel that the run has used, at most its limit.
    pub(crate) fn used<H: Host>(&self, store: &mut Store<State<H>>) -> u64 {
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
pub(crate) fn add_to_linker<H: Host>(linker: &mut Linker<State<H>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(fuel::MODULE, fuel::FUNCTION, refuel)?;
    Ok(())
}

/// Gives the guest its next portion, after others had their turn.
fn refuel<H: Host>(
    mut caller: Caller<'_, State<H>>,
    (): (),
) -> Box<dyn Future<Output = wasmtime::Result<()>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Global(global)) = caller.get_export(fuel::EXPORT) else {
            return Err(wasmtime::format_err!("the guest exports no fuel"));
        };
        let left = global.get(&mut caller).i64().unwrap_or_default();
        let state = caller.data_mut();
        state.memory.note_refuel();
        let (fuel, bill) = state.fuel_and_bill();
        let more = fuel.refill(left, bill)?;
        global.set(&mut caller, Val::I64(more))?;
        // `yield_now` queues this task behind wake-ups from other threads; waking it at once would
        // put it ahead of them.
        tokio::task::yield_now().await;
        Ok(())
    })
}
