//! One instance of the guest: what is put into it, what comes out of it.

use std::sync::{Arc, Mutex};

use wardian_abi::{Malformed, REPORT_BYTES, export};
use wardian_policy::{Limit, Limits};
use wasmtime::{Instance, Memory, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;

use crate::calls::Calls;
use crate::files::{FileGuard, Wasi};
use crate::fuel::{Bill, Fuel, Gauge};
use crate::memory::MemoryLimit;
use crate::output::{Capture, Sink};
use crate::{Error, Runtime, Stream};

/// The most that one system call copies between guest and host.
const SYSTEM_CALL_BYTES: usize = 8 << 20;

/// The most random bytes that one system call returns.
const RANDOM_BYTES: u64 = 8 << 20;

/// The most handles of wasmtime-wasi's that a run has open: standard streams and timers.
const HANDLES: usize = 80;

/// What the host knows of a run while it goes on.
pub(crate) struct RunState {
    wasi: Wasi,
    memory: MemoryLimit,
    pub(crate) fuel: Fuel,
    calls: Option<Calls>,
}

impl RunState {
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }

    pub(crate) fn fuel_and_bill(&mut self) -> (&mut Fuel, &mut Bill) {
        (&mut self.fuel, &mut self.wasi.bill)
    }

    pub(crate) fn memory(&mut self) -> &mut MemoryLimit {
        &mut self.memory
    }

    /// Calls of tools; absent where there are none to call.
    pub(crate) fn calls(&mut self) -> Option<&mut Calls> {
        self.calls.as_mut()
    }
}

/// The standard streams of a run.
#[derive(Default)]
pub(crate) struct Streams {
    stdin: Vec<u8>,
    pub(crate) outputs: Option<[Capture; 2]>,
}

impl Streams {
    /// Streams whose outputs are kept within the limits, and passed on to `sink`.
    pub(crate) fn new(stdin: Vec<u8>, limits: &Limits, sink: Option<Arc<Mutex<Sink>>>) -> Self {
        let capture =
            |stream, limit| Capture::new(stream, limits.get(limit).or_max(), sink.clone());
        let stdout = capture(Stream::Stdout, Limit::Stdout);
        let stderr = capture(Stream::Stderr, Limit::Stderr);
        Self {
            stdin,
            outputs: Some([stdout, stderr]),
        }
    }
}

/// A fresh instance, for one run.
pub(crate) struct Guest {
    store: Store<RunState>,
    instance: Instance,
    memory: Memory,
    gauge: Gauge,
}

impl Guest {
    /// A fresh instance. That it can't be had is the host's fault.
    pub(crate) async fn new(
        runtime: &Runtime,
        limits: &Limits,
        streams: Streams,
        files: FileGuard,
        calls: Option<Calls>,
    ) -> Result<Self, Error> {
        // What is not named here is absent: no variable, no argument, no network. No directory
        // either: files are the guard's.
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdin(MemoryInputPipe::new(streams.stdin))
            .allow_blocking_current_thread(false)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_BYTES);
        if let Some([stdout, stderr]) = streams.outputs {
            wasi.stdout(stdout).stderr(stderr);
        }
        let mut inner = wasi.build_p1();
        wasmtime_wasi::WasiView::ctx(&mut inner)
            .table
            .set_max_capacity(HANDLES);
        let memory = MemoryLimit::new(usize::try_from(limits.memory_bytes()).unwrap_or(usize::MAX));
        let fuel = limits.fuel().or_max();
        let wasi = Wasi {
            inner,
            files,
            bill: Bill::new(fuel),
            aborts: false,
        };
        let mut store = Store::new(
            runtime.machine().engine(),
            RunState {
                wasi,
                memory,
                fuel: Fuel::new(fuel),
                calls,
            },
        );
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(SYSTEM_CALL_BYTES);
        let guest = runtime.guest();
        let instance = guest.instantiate_async(&mut store).await.map_err(host)?;
        let memory = instance
            .get_memory(&mut store, export::MEMORY)
            .ok_or_else(|| Error::Host("the guest exports no memory".to_owned()))?;
        let gauge = Gauge::of(&mut store, instance).map_err(host)?;
        Ok(Self {
            store,
            instance,
            memory,
            gauge,
        })
    }

    /// Puts a request into the guest.
    pub(crate) async fn hand_over(&mut self, request: &[u8]) -> wasmtime::Result<()> {
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
            .map_err(|_| wasmtime::Error::new(Malformed))
    }

    /// Calls one of the guest's functions, and returns what it reports.
    pub(crate) async fn call(&mut self, function: &str) -> wasmtime::Result<Vec<u8>> {
        let function = self
            .instance
            .get_typed_func::<(), u64>(&mut self.store, function)?;
        let report = function.call_async(&mut self.store, ()).await?;
        self.receive(report)
            .ok_or_else(|| wasmtime::Error::new(Malformed))
    }

    /// Copies the report out of the guest: its address in the upper half of `report`, its length
    /// in the lower, neither of them to be believed.
    fn receive(&self, report: u64) -> Option<Vec<u8>> {
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

    /// Asks for the line of the script that was running when the guest was stopped. It gets a little fuel for that, and no
    /// more: what it says is a number, and nothing else is done with it.
    pub(crate) async fn line(&mut self) -> Option<u32> {
        self.gauge.give_last(&mut self.store).ok()?;
        let line = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, export::LINE)
            .ok()?;
        let line = line.call_async(&mut self.store, ()).await.ok()?;
        (line > 0).then_some(line)
    }

    pub(crate) fn fuel_used(&mut self) -> u64 {
        self.gauge.used(&mut self.store)
    }

    pub(crate) fn memory(&self) -> &MemoryLimit {
        &self.store.data().memory
    }

    /// Gives up the calls that have not ended.
    pub(crate) fn drop_calls(&mut self) {
        self.store.data_mut().calls = None;
    }
}

fn host(error: wasmtime::Error) -> Error {
    Error::Host(format!("{error:#}"))
}
