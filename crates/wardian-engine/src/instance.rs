//! One instance of the guest: what is put into it, what comes out of it.

use std::future::{Future, poll_fn};
use std::pin::pin;

use wardian_abi::{REPORT_BYTES, export};
use wasmtime::{Memory, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use crate::engine::{Engine, Guest};
use crate::error::{EngineError, Exit, malformed};
use crate::host::Host;
use crate::mapping::{self, MemoryImage, SavedMemory};
use crate::meter::FuelMeter;
use crate::output::Capture;
use crate::state::State;

/// The most bytes that one system call copies between guest and host.
const SYSTEM_CALL_BYTES: usize = 8 << 20;

/// The most handles of wasmtime-wasi's that a run has open: standard streams and timers.
const HANDLES: usize = 80;

/// The limits that the engine itself keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Fuel; `u64::MAX` is without a limit.
    pub fuel: u64,
    /// Linear memory, in bytes.
    pub memory_bytes: usize,
}

/// The standard streams of an instance. Nothing by default: input at its end, output that is lost.
#[derive(Default)]
pub struct Streams {
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Standard output and standard error.
    pub outputs: Option<[Capture; 2]>,
}

/// The memory that an instance starts with.
#[derive(Debug, Clone, Copy)]
pub enum StartMemory<'m> {
    /// That of an interpreter that has run nothing.
    Fresh,
    /// As in an image. What the instance writes to it goes with it.
    Image(&'m MemoryImage),
    /// As an instance before has left it, and as this one leaves it to the next.
    Saved(&'m SavedMemory),
}

impl StartMemory<'_> {
    /// Returns its size in bytes; 0 for that of an interpreter that has run nothing.
    fn size(&self) -> usize {
        match self {
            Self::Fresh => 0,
            Self::Image(image) => image.size(),
            Self::Saved(memory) => memory.contents().size(),
        }
    }
}

/// An instance of a guest, with its host.
pub struct Instance<H: Host> {
    store: Store<State<H>>,
    instance: wasmtime::Instance,
    memory: Memory,
    meter: FuelMeter,
}

impl<H: Host> Instance<H> {
    /// Makes an instance whose memory starts as this.
    ///
    /// # Errors
    ///
    /// If the host has no room for it.
    pub async fn new(
        engine: &Engine,
        guest: &Guest<H>,
        limits: EngineLimits,
        streams: Streams,
        host: H,
        memory: StartMemory<'_>,
    ) -> Result<Self, EngineError> {
        // What is not named here is absent: no variable, no argument, no network. No directory
        // either: files are the host's.
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdin(MemoryInputPipe::new(streams.stdin))
            .allow_blocking_current_thread(false)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if let Some([stdout, stderr]) = streams.outputs {
            wasi.stdout(stdout).stderr(stderr);
        }
        let mut inner = wasi.build_p1();
        wasmtime_wasi::WasiView::ctx(&mut inner)
            .table
            .set_max_capacity(HANDLES);
        let mut state = State::new(inner, host, limits.fuel, limits.memory_bytes);
        state.memory.start_at(memory.size());
        let mut store = Store::new(&engine.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(SYSTEM_CALL_BYTES);
        let instance = {
            let mut instantiate = pin!(guest.0.instantiate_async(&mut store));
            // The memory is asked for while the future is polled, on this thread.
            match memory {
                StartMemory::Fresh => instantiate.await,
                StartMemory::Image(image) => {
                    poll_fn(|task| mapping::lend(image, || instantiate.as_mut().poll(task))).await
                }
                StartMemory::Saved(memory) => {
                    poll_fn(|task| memory.lend(|| instantiate.as_mut().poll(task))).await
                }
            }
        }?;
        let memory = instance
            .get_memory(&mut store, export::MEMORY)
            .ok_or_else(|| EngineError::new("the guest exports no memory"))?;
        let meter = FuelMeter::new(&mut store, instance)?;
        Ok(Self {
            store,
            instance,
            memory,
            meter,
        })
    }

    /// Writes a request into a buffer that the guest allocates.
    ///
    /// # Errors
    ///
    /// [`Exit`] if the guest stops, or has no memory for it.
    pub async fn write_request(&mut self, request: &[u8]) -> Result<(), Exit> {
        let written = self.try_write_request(request).await;
        written.map_err(|error| self.exit(error))
    }

    async fn try_write_request(&mut self, request: &[u8]) -> wasmtime::Result<()> {
        let len = u32::try_from(request.len())?;
        let allocate = self
            .instance
            .get_typed_func::<u32, u32>(&mut self.store, export::ALLOCATE)?;
        let at = allocate.call_async(&mut self.store, len).await?;
        if at == 0 {
            // As when any other allocation fails.
            return Err(wasmtime::Trap::UnreachableCodeReached.into());
        }
        self.memory
            .write(&mut self.store, at as usize, request)
            .map_err(|_| malformed())
    }

    /// Keeps the memory from growing, from here on.
    pub fn keep_memory_size(&mut self) {
        self.store.data_mut().memory.allow(0);
    }

    /// Calls one of the guest's functions that reports nothing.
    ///
    /// # Errors
    ///
    /// [`Exit`] if the guest does not return.
    pub async fn call_silent(&mut self, function: &str) -> Result<(), Exit> {
        let called = async {
            let function = self
                .instance
                .get_typed_func::<(), ()>(&mut self.store, function)?;
            function.call_async(&mut self.store, ()).await
        };
        let called = called.await;
        called.map_err(|error| self.exit(error))
    }

    /// Calls one of the guest's functions. Returns what it reports.
    ///
    /// # Errors
    ///
    /// [`Exit`] if the guest does not return.
    pub async fn call(&mut self, function: &str) -> Result<Vec<u8>, Exit> {
        let called = self.try_call(function).await;
        called.map_err(|error| self.exit(error))
    }

    async fn try_call(&mut self, function: &str) -> wasmtime::Result<Vec<u8>> {
        let function = self
            .instance
            .get_typed_func::<(), u64>(&mut self.store, function)?;
        let report = function.call_async(&mut self.store, ()).await?;
        self.read_report(report).ok_or_else(malformed)
    }

    /// Copies a report out of the guest: its address in the upper half of `report`, its length
    /// in the lower, neither of them to be believed.
    fn read_report(&self, report: u64) -> Option<Vec<u8>> {
        let [at, len] = [(report >> 32) as u32, report as u32];
        if len > REPORT_BYTES {
            return None;
        }
        let at = at as usize;
        self.memory
            .data(&self.store)
            .get(at..at.checked_add(len as usize)?)
            .map(<[u8]>::to_vec)
    }

    fn exit(&self, error: wasmtime::Error) -> Exit {
        Exit::of(error, self.store.data().memory.refused())
    }

    /// Asks for the line of the script that was running when the guest was stopped. It gets a
    /// little fuel for that, and no more: what it says is a number, and nothing else is done with
    /// it.
    pub async fn line(&mut self) -> Option<u32> {
        self.meter.give_last(&mut self.store).ok()?;
        let line = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, export::LINE)
            .ok()?;
        let line = line.call_async(&mut self.store, ()).await.ok()?;
        (line > 0).then_some(line)
    }

    /// Returns the fuel that was used, at most the limit.
    pub fn fuel_used(&mut self) -> u64 {
        self.meter.used(&mut self.store)
    }

    /// Returns the peak of linear memory, in bytes.
    pub fn memory_peak_bytes(&self) -> u64 {
        self.store.data().memory.peak() as u64
    }

    /// Returns the host.
    pub fn host(&mut self) -> &mut H {
        &mut self.store.data_mut().wasi().host
    }
}
