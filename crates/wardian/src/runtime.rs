//! The runtime: the engine, shared by everything in the process, and the slots of those who use it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wardian_engine::{Engine, EngineError, Guest, GuestKind, artifacts};

use crate::host::RunHost;
use crate::threads::{LOGS, Once};
use crate::{Error, executor};

/// The most runs that there are at once. Each takes address space of about 4 GiB.
const MAX_RUNS: usize = 1_000;

/// The engine with the guest loaded. There is one in a process.
struct Machine {
    engine: Engine,
    python: Guest<RunHost>,
    /// The context in which timers can be made, whatever executor a run is polled on.
    timers: &'static Handle,
}

impl Machine {
    fn get() -> Result<&'static Self, Error> {
        static MACHINE: Once<Machine> = Once::new();
        MACHINE.get_or_try(Self::new)
    }

    fn new() -> Result<Self, Error> {
        let timers = executor::timers()?;
        let failed = |error: EngineError| Error::Engine(error.to_string());
        let engine = Engine::new().map_err(failed)?;
        Ok(Self {
            python: engine.load(GuestKind::Python).map_err(failed)?,
            engine,
            timers,
        })
    }
}

/// Runs Python, several scripts at a time. Cheap to clone; clones share their slots.
///
/// All runtimes of a process share one engine, which is set up by the first of them in a few
/// milliseconds and stays until the process ends.
#[derive(Clone)]
pub struct Runtime {
    machine: &'static Machine,
    guest: &'static Guest<RunHost>,
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

    /// Returns a builder for a runtime with other settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder {
            concurrent_runs: 200,
            admission_wait: Duration::from_secs(10),
        }
    }

    /// The same runtime, whose scripts are not Python but programs of an adversarial guest: for
    /// testing what stands between guests and this host. `wardian-attack` writes such programs.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if this machine can't run them.
    #[cfg(feature = "hostile")]
    pub fn hostile(mut self) -> Result<Self, Error> {
        static HOSTILE: Once<Guest<RunHost>> = Once::new();
        self.guest = HOSTILE
            .get_or_try(|| self.machine.engine.load(GuestKind::Hostile))
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(self)
    }

    pub(crate) fn engine(&self) -> &'static Engine {
        &self.machine.engine
    }

    pub(crate) fn guest(&self) -> &'static Guest<RunHost> {
        self.guest
    }

    pub(crate) fn timers(&self) -> &'static Handle {
        self.machine.timers
    }

    /// Waits for a free slot, in the context of [`timers`](Self::timers).
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

    /// Counts the pages of memory that were restored after runs, in this process so far: those that
    /// runs had written to. They are most of what it costs to start fresh. A run that has written
    /// to more than 512 is not counted: all of its memory is thrown away instead.
    pub fn pages_restored(&self) -> u64 {
        self.machine.engine.pages_restored()
    }

    /// Compares the memory of every run with the interpreter's snapshot, byte by byte, before the
    /// run starts: for finding out whether anything was left from an earlier run. [`Error::Host`]
    /// if so. Takes some 10 ms for each run, and holds for all runtimes of the process from here
    /// on.
    #[cfg(feature = "testing")]
    pub fn verify_memory(&self) {
        self.machine.engine.verify_memory();
    }

    /// Waits until the last records of runs that were abandoned are written, at most for
    /// `max_wait`. Returns whether they are. For a process that is about to end: dropping a run
    /// does not wait for its log.
    pub fn settle(max_wait: Duration) -> bool {
        LOGS.settle(max_wait)
    }

    /// Checks that this process may have the address space that a run takes, without starting
    /// anything: for a program that starts threads of its own before. [`new`](Self::new) checks it
    /// too.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if it may have less than 4 GiB.
    pub fn check_host() -> Result<(), Error> {
        executor::check_address_space().map_err(|error| Error::Engine(error.to_string()))
    }

    /// Returns the versions and hashes of the parts of this build.
    pub fn versions() -> Versions {
        Versions {
            wardian: env!("CARGO_PKG_VERSION"),
            wasmtime: artifacts::WASMTIME_VERSION,
            rustpython: artifacts::RUSTPYTHON_VERSION,
            module_sha256: artifacts::MODULE_SHA256,
            image_sha256: artifacts::IMAGE_SHA256,
            code_sha256: artifacts::CODE_SHA256,
        }
    }
}

/// The parts of a build.
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
}

impl RuntimeBuilder {
    /// Sets the most runs that there are at once, 1 to 1,000.
    ///
    /// Each takes what its script uses: some 2 MiB, and up to its memory limit.
    pub fn concurrent_runs(mut self, runs: usize) -> Self {
        self.concurrent_runs = runs.clamp(1, MAX_RUNS);
        self
    }

    /// Sets the time that a run waits for a free slot before it is [`Error::Busy`].
    pub fn admission_wait(mut self, wait: Duration) -> Self {
        self.admission_wait = wait;
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] if this machine can't run the guest.
    pub fn build(self) -> Result<Runtime, Error> {
        let machine = Machine::get()?;
        Ok(Runtime {
            machine,
            guest: &machine.python,
            slots: Arc::new(Semaphore::new(self.concurrent_runs)),
            slot_count: self.concurrent_runs,
            admission_wait: self.admission_wait,
        })
    }
}
