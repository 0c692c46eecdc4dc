//! The state behind an instance: its system, its memory, its fuel.

use wasmtime_wasi::p1::WasiP1Ctx;

use crate::fuel::{Bill, Fuel};
use crate::host::Host;
use crate::memory::MemoryLimit;
use crate::wasi::Wasi;

/// The state behind an instance.
pub(crate) struct State<H: Host> {
    wasi: Wasi<H>,
    pub(crate) memory: MemoryLimit,
    pub(crate) fuel: Fuel,
}

impl<H: Host> State<H> {
    pub(crate) fn new(inner: WasiP1Ctx, host: H, fuel: u64, memory_bytes: usize) -> Self {
        Self {
            wasi: Wasi::new(inner, host, fuel),
            memory: MemoryLimit::new(memory_bytes),
            fuel: Fuel::new(fuel),
        }
    }

    pub(crate) fn wasi(&mut self) -> &mut Wasi<H> {
        &mut self.wasi
    }

    pub(crate) fn fuel_and_bill(&mut self) -> (&mut Fuel, &mut Bill) {
        (&mut self.fuel, &mut self.wasi.bill)
    }
}
