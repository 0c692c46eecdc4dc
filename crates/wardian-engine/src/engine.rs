//! The wasmtime engine with the guest loaded. There can be one in a process: wasmtime registers
//! code by its address.

use std::sync::Arc;

use wardian_abi::tool;
use wardian_engine_config::engine_config;
use wasmtime::{InstancePre, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1;

use crate::error::EngineError;
use crate::host::Host;
use crate::mapping::{self, GuestKind};
use crate::state::State;
use crate::{entropy, meter, tool_import};

/// The deepest native stack of a run. The guest's own stack in linear memory is 1 MiB, which
/// RustPython watches, and for which this is about four times as much: so most of what nests
/// too deeply is a `RecursionError`, and the rest a trap.
const WASM_STACK_BYTES: usize = 4 << 20;

/// The part of a run's stack for host functions, beyond what wasm may use. Exhausting it would
/// abort the process.
const HOST_STACK_BYTES: usize = 1 << 20;

/// A guest with everything that it can call.
pub struct Guest<H: Host>(pub(crate) InstancePre<State<H>>);

/// The engine, which makes instances for one kind of host.
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    memories: mapping::MemoryStatistics,
}

impl Engine {
    /// Sets wasmtime up.
    ///
    /// # Errors
    ///
    /// If the machine can't run the guest: too little address space, a processor without SSE4.2 and
    /// POPCNT.
    pub fn new() -> Result<Self, EngineError> {
        let memories = mapping::Memories::new()?;
        let statistics = memories.statistics();
        let mut config = engine_config();
        config
            .with_custom_code_memory(Some(Arc::new(mapping::InPlace)))
            .with_host_memory(Arc::new(memories))
            .with_host_stack(Arc::new(mapping::Stacks::default()))
            .max_wasm_stack(WASM_STACK_BYTES)
            .async_stack_size(WASM_STACK_BYTES + HOST_STACK_BYTES);
        Ok(Self {
            engine: wasmtime::Engine::new(&config)?,
            memories: statistics,
        })
    }

    /// Loads a guest and links it with what it can call. Once for each guest in a process.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn load<H: Host>(&self, guest: GuestKind) -> Result<Guest<H>, EngineError> {
        let mut linker = Linker::new(&self.engine);
        wasi_snapshot_preview1::add_to_linker(&mut linker, State::wasi)?;
        // wasmtime-wasi's does not let others have their turn, and takes milliseconds for
        // megabytes.
        linker.allow_shadowing(true);
        linker.func_wrap_async(entropy::MODULE, "random_get", entropy::random_get)?;
        linker.allow_shadowing(false);
        linker.func_wrap_async(tool::MODULE, tool::FUNCTION, tool_import::call)?;
        meter::add_to_linker(&mut linker)?;
        let module = mapping::load(&self.engine, guest)?;
        Ok(Guest(linker.instantiate_pre(&module)?))
    }

    /// Counts the pages of memory that were restored after runs so far: those that runs had written
    /// to. They are most of what it costs to start fresh. A run that has written to more than 512
    /// is not counted: all of its memory is thrown away instead.
    pub fn pages_restored(&self) -> u64 {
        self.memories.pages_restored()
    }

    /// Compares each memory with the guest's snapshot, byte by byte, before an instance has it,
    /// from here on. An instance that would not start fresh does not start. Takes some 10 ms each
    /// time.
    pub fn verify_memory(&self) {
        self.memories.verify();
    }
}
