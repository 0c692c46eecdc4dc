//! The engine, shared by everything in the process, and who may use it at once.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wardian_abi::tool;
use wasmtime::{Engine, InstancePre, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1;

use crate::engine_config::engine_config;
use crate::guest::RunState;
use crate::mapping::Code;
use crate::threads::{LOGS, Once};
use crate::{Error, calls, executor, files, fuel, mapping, run};

/// The most runs that there are at once. Each takes address space of about 4 GiB.
const MOST_RUNS: usize = 1_000;

/// The deepest native stack of a run. The guest's own stack in linear memory is 1 MiB, which
/// RustPython watches, and for which this is about four times as much: so most of what nests
/// too deeply is a `RecursionError`, and the rest a trap.
const WASM_STACK_BYTES: usize = 4 << 20;

/// What host functions have of a run's stack, beyond what wasm may use. Exhausting it would
/// abort the process.
const HOST_STACK_BYTES: usize = 1 << 20;

/// The engine with the guest loaded. There is one in a process.
pub(crate) struct Machine {
    engine: Engine,
    guest: InstancePre<RunState>,
    /// Drives timers, and does what may wait for a disk, whatever executor a run is polled on.
    timers: &'static Handle,
}

impl Machine {
    fn get() -> Result<&'static Self, Error> {
        static MACHINE: Once<Machine> = Once::new();
        let unstarted = |error: wasmtime::Error| match error.downcast() {
            Ok(known) => known,
            Err(error) => Error::Engine(format!("{error:#}")),
        };
        MACHINE.get_or_try(Self::new).map_err(unstarted)
    }

    fn new() -> wasmtime::Result<Self> {
        let timers = executor::timers()?;
        let mut config = engine_config();
        config
            .with_custom_code_memory(Some(Arc::new(mapping::InPlace)))
            .with_host_memory(Arc::new(mapping::Memories::new()?))
            .with_host_stack(Arc::new(mapping::Stacks::default()))
            .max_wasm_stack(WASM_STACK_BYTES)
            .async_stack_size(WASM_STACK_BYTES + HOST_STACK_BYTES);
        let engine = Engine::new(&config)?;
        let guest = linked(&engine, Code::Python)?;
        Ok(Self {
            engine,
            guest,
            timers,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The context in which timers can be made.
    pub(crate) fn timers(&self) -> &'static Handle {
        self.timers
    }
}

/// A guest with all that it can call.
fn linked(engine: &Engine, code: Code) -> wasmtime::Result<InstancePre<RunState>> {
    let mut linker = Linker::new(engine);
    wasi_snapshot_preview1::add_to_linker(&mut linker, RunState::wasi)?;
    // wasmtime-wasi's does not let others have their turn, and takes milliseconds for megabytes.
    linker.allow_shadowing(true);
    linker.func_wrap_async(files::WASI_MODULE, "random_get", files::random_get)?;
    linker.allow_shadowing(false);
    linker.func_wrap_async(tool::MODULE, tool::FUNCTION, calls::host_function)?;
    fuel::add_to_linker(&mut linker)?;
    linker.instantiate_pre(&mapping::load(engine, code)?)
}

/// Runs Python, several scripts at a time. Cheap to clone; clones share their slots.
///
/// All runtimes of a process share one engine, which is set up by the first of them in a few
/// milliseconds and stays until the process ends.
#[derive(Clone)]
pub struct Runtime {
    machine: &'static Machine,
    guest: &'static InstancePre<RunState>,
    slots: Arc<Semaphore>,
    slot_count: usize,
    admission_wait: Duration,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("slots", &self.slot_count)
            .field("free", &self.slots.available_permits())
            .field("admission_wait", &self.admission_wait)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime with the defaults of [`RuntimeBuilder`].
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if this machine can't run the guest.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Asks for a runtime with other settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder {
            concurrent_runs: 200,
            admission_wait: Duration::from_secs(10),
            verify_memory: false,
        }
    }

    /// The same runtime, whose scripts are not Python but programs of a guest that plays by no rule: for
    /// testing what stands between guests and this host. `wardian-testkit` writes such programs.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if this machine can't run them.
    #[cfg(feature = "hostile")]
    pub fn hostile(mut self) -> Result<Self, Error> {
        static HOSTILE: Once<InstancePre<RunState>> = Once::new();
        self.guest = HOSTILE
            .get_or_try(|| linked(&self.machine.engine, Code::Hostile))
            .map_err(|error| Error::Engine(format!("{error:#}")))?;
        Ok(self)
    }

    pub(crate) fn machine(&self) -> &'static Machine {
        self.machine
    }

    pub(crate) fn guest(&self) -> &'static InstancePre<RunState> {
        self.guest
    }

    /// Waits for a free slot, in the context of [`Machine::timers`].
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let permit = self.slots.clone().acquire_owned();
        match tokio::time::timeout(self.admission_wait, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Error::Busy {
                slots: self.slot_count,
                waited: self.admission_wait,
            }),
        }
    }

    /// The names of every module that a script can import, sorted.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run).
    pub fn modules(&self) -> Result<Vec<String>, Error> {
        pollster::block_on(run::modules(self.clone()))
    }

    /// How many pages of memory were restored after runs, in this process so far: those that runs had written to. They
    /// are most of what it costs to start fresh. A run that has written to more than 512 is not counted: all
    /// of its memory is thrown away instead.
    pub fn pages_restored() -> u64 {
        mapping::pages_restored()
    }

    /// Waits until the last records of runs that were given up are written, for so long at most. Returns whether that is
    /// so. For a process that is about to end: dropping a run does not wait for its log.
    pub fn settle(most: Duration) -> bool {
        LOGS.settle(most)
    }

    /// Checks that this process may have the address space that a run takes, without starting anything: for a program
    /// that starts threads of its own before. [`new`](Self::new) checks it too.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if it may have less than 4 GiB.
    pub fn check_host() -> Result<(), Error> {
        executor::check_address_space().map_err(|error| Error::Engine(error.to_string()))
    }

    /// What this build is made of.
    pub fn versions() -> Versions {
        Versions {
            wardian: env!("CARGO_PKG_VERSION"),
            wasmtime: wardian_guest::WASMTIME_VERSION,
            rustpython: wardian_guest::RUSTPYTHON_VERSION,
            module_sha256: wardian_guest::MODULE_SHA256,
            image_sha256: wardian_guest::IMAGE_SHA256,
            code_sha256: wardian_guest::CODE_SHA256,
        }
    }
}

/// What a build is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Versions {
    /// The version of Wardian.
    pub wardian: &'static str,
    /// The version of wasmtime, the engine.
    pub wasmtime: &'static str,
    /// The version of RustPython, the interpreter.
    pub rustpython: &'static str,
    /// SHA-256 of the interpreter's wasm module, in hex.
    pub module_sha256: &'static str,
    /// SHA-256 of the snapshot of its memory, in hex.
    pub image_sha256: &'static str,
    /// SHA-256 of the machine code that the module was compiled to, in hex.
    pub code_sha256: &'static str,
}

/// Settings of a [`Runtime`].
///
/// By default, 200 runs at once; a run waits up to 10 s for one of the others to end.
#[derive(Debug, Clone)]
#[must_use]
pub struct RuntimeBuilder {
    concurrent_runs: usize,
    admission_wait: Duration,
    verify_memory: bool,
}

impl RuntimeBuilder {
    /// How many runs there are at once, 1 to 1,000.
    ///
    /// Each takes what its script uses: some 2 MiB, and up to its memory limit.
    pub fn concurrent_runs(mut self, runs: usize) -> Self {
        self.concurrent_runs = runs.clamp(1, MOST_RUNS);
        self
    }

    /// How long a run waits for a free slot before it is [`Error::Busy`].
    pub fn admission_wait(mut self, wait: Duration) -> Self {
        self.admission_wait = wait;
        self
    }

    /// Compares the memory of every run with the interpreter's snapshot, byte by byte, before the run starts: for
    /// finding out whether anything was left from an earlier run. [`Error::Host`] if so. Takes some 10 ms for each
    /// run, and holds for all runtimes of the process from here on.
    pub fn verify_memory(mut self) -> Self {
        self.verify_memory = true;
        self
    }

    /// The runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if this machine can't run the guest.
    pub fn build(self) -> Result<Runtime, Error> {
        let machine = Machine::get()?;
        if self.verify_memory {
            mapping::verify();
        }
        Ok(Runtime {
            machine,
            guest: &machine.guest,
            slots: Arc::new(Semaphore::new(self.concurrent_runs)),
            slot_count: self.concurrent_runs,
            admission_wait: self.admission_wait,
        })
    }
}
