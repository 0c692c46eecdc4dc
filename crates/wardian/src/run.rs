//! One run, from the script to its outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wardian_abi::{REPORT_BYTES, Report, ReportedValue, Request, VERSION, export};
use wardian_policy::{Action, Allowance, Limit, Limits, Policy};
use wasmtime::{Instance, Memory, Store};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::audit::Audit;
use crate::files::{AuditFailed, FileGuard, Recorder, Wasi};
use crate::grants::Grants;
use crate::memory::MemoryLimit;
use crate::output::{Capture, Sink};
use crate::runtime::Machine;
use crate::{
    Error, LimitKind, Outcome, Output, Refusals, Runtime, Script, Stream, Trap, Usage, Value,
    Verdict, Violation,
};

/// The most that a script's inputs, arguments and environment take as JSON.
const INPUT_BYTES: usize = 16 << 20;

/// How much fuel a run uses before it lets others run: about a millisecond's worth.
const YIELD_INTERVAL: u64 = 10_000_000;

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
}

impl RunState {
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

/// What all runs of a sandbox share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) runtime: Runtime,
    pub(crate) policy: Arc<Policy>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) audit: Option<Arc<dyn Audit>>,
}

/// Runs `script`.
pub(crate) fn run(setting: Setting, script: Script, sink: Option<Arc<Mutex<Sink>>>) -> Running {
    Running::new(
        setting.runtime.machine(),
        run_admitted(setting, script, sink),
    )
}

async fn run_admitted(
    setting: Setting,
    mut script: Script,
    sink: Option<Arc<Mutex<Sink>>>,
) -> Result<Outcome, Error> {
    script.check()?;
    let Setting {
        runtime,
        policy,
        grants,
        audit,
    } = setting;
    let limits = policy.limits();
    let run_id = uuid::Uuid::now_v7().to_string();
    if let Some(verdict) = refusal(&policy, &script) {
        return Ok(without_a_run(run_id, verdict));
    }
    for (name, value) in policy.env() {
        script
            .env
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    let stdin = MemoryInputPipe::new(std::mem::take(&mut script.stdin));
    let request = request(script, limits)?;
    let _slot = runtime.admit().await?;

    let started = Instant::now();
    let machine = runtime.machine();
    let stdout = limits.get(Limit::Stdout).or_max();
    let stdout = Capture::new(Stream::Stdout, stdout, sink.clone());
    let stderr = Capture::new(Stream::Stderr, limits.get(Limit::Stderr).or_max(), sink);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stdout.clone()).stderr(stderr.clone());
    wasi.stdin(stdin);
    let recorder = Recorder {
        run_id,
        agent: policy.agent().to_owned(),
        audit,
        refusals: Refusals::default(),
    };
    let files = FileGuard::new(policy.clone(), grants, recorder);
    let mut store = store(machine, limits, wasi, files)?;
    let instance = instance(machine, &mut store).await?;

    let ended = match limits.timeout() {
        Allowance::AtMost(timeout) => {
            let call = call(&mut store, &instance, export::RUN, &request);
            tokio::time::timeout_at((started + timeout).into(), call)
                .await
                .ok()
        }
        Allowance::Unlimited => Some(call(&mut store, &instance, export::RUN, &request).await),
    };
    let wall = started.elapsed();
    let (verdict, value) = match ended {
        None => (
            limit(LimitKind::Time, wall.as_millis(), timeout_millis(limits)),
            None,
        ),
        Some(Ok(report)) => judge(&report, limits),
        Some(Err(error)) => match error.downcast::<AuditFailed>() {
            Ok(failed) => return Err(Error::Audit(failed.to_string())),
            Err(error) => (verdict_of(&error, &store.data().memory, limits), None),
        },
    };
    let usage = Usage {
        fuel: fuel_of(limits).saturating_sub(store.get_fuel().unwrap_or_default()),
        memory_peak_bytes: store.data().memory.peak() as u64,
        wall,
        bytes_written: store.data().wasi.files.quota().bytes_written(),
        files_created: store.data().wasi.files.quota().files_created(),
        ..Usage::default()
    };
    let recorder = store.data_mut().wasi.files.recorder();
    Ok(Outcome {
        run_id: std::mem::take(&mut recorder.run_id),
        refusals: std::mem::take(&mut recorder.refusals),
        verdict,
        value,
        stdout: stdout.finish(),
        stderr: stderr.finish(),
        usage,
    })
}

/// The modules that can be imported.
pub(crate) fn modules(runtime: Runtime) -> Running<Vec<String>> {
    Running::new(runtime.machine(), async move {
        let _slot = runtime.admit().await?;
        let machine = runtime.machine();
        let policy = Arc::new(Policy::computing());
        let recorder = Recorder::default();
        let files = FileGuard::new(policy.clone(), Arc::default(), recorder);
        let mut store = store(machine, policy.limits(), WasiCtxBuilder::new(), files)?;
        let instance = instance(machine, &mut store).await?;
        let report = call(&mut store, &instance, export::MODULES, &[])
            .await
            .map_err(host)?;
        serde_json::from_slice(&report).map_err(|error| Error::Host(error.to_string()))
    })
}

/// Why a script does not run at all, if it doesn't.
fn refusal(policy: &Policy, script: &Script) -> Option<Verdict> {
    let decision = policy.check(Action::Execute, "");
    if !decision.allowed() {
        return Some(Verdict::Denied {
            action: decision.action().to_string(),
            rule: match decision.location() {
                Some(at) => format!("{decision} ({at})"),
                None => decision.to_string(),
            },
        });
    }
    let most = policy.limits().get(Limit::Source).or_max();
    let bytes = script.code.len() as u64;
    if bytes > most {
        return Some(Verdict::Rejected {
            violations: vec![Violation {
                rule: "source_bytes",
                message: format!("the source takes {bytes} bytes; at most {most} are allowed"),
                line: 1,
                column: 1,
            }],
        });
    }
    None
}

fn without_a_run(run_id: String, verdict: Verdict) -> Outcome {
    Outcome {
        run_id,
        verdict,
        value: None,
        stdout: Output::default(),
        stderr: Output::default(),
        usage: Usage::default(),
        refusals: Refusals::default(),
    }
}

/// What the guest is told, as JSON.
fn request(script: Script, limits: &Limits) -> Result<Vec<u8>, Error> {
    // Code that is escaped byte by byte takes six times its size, and is allowed to.
    let most = INPUT_BYTES + script.code.len().saturating_mul(6);
    let request = Request {
        version: VERSION,
        code: script.code,
        args: script.args,
        inputs: script.inputs,
        env: script.env,
        value_bytes: limits.get(Limit::Value).or_max(),
        value_depth: value_depth(limits),
    };
    let json = serde_json::to_vec(&request).map_err(|error| Error::Host(error.to_string()))?;
    let bytes = json.len();
    if bytes > most {
        return Err(Error::InputsTooLarge {
            bytes,
            most: INPUT_BYTES,
        });
    }
    Ok(json)
}

/// The most levels of a value that comes back.
fn value_depth(limits: &Limits) -> u32 {
    u32::try_from(limits.get(Limit::ValueDepth).or_max()).unwrap_or(u32::MAX)
}

fn store(
    machine: &Machine,
    limits: &Limits,
    mut wasi: WasiCtxBuilder,
    files: FileGuard,
) -> Result<Store<RunState>, Error> {
    // What is not named here is absent: no variable, no argument, no network. No directory
    // either: files are the guard's.
    wasi.allow_blocking_current_thread(false)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM_BYTES);
    let mut inner = wasi.build_p1();
    wasmtime_wasi::WasiView::ctx(&mut inner)
        .table
        .set_max_capacity(HANDLES);
    let wasi = Wasi { inner, files };
    let memory = MemoryLimit::new(usize::try_from(limits.memory_bytes()).unwrap_or(usize::MAX));
    let mut store = Store::new(machine.engine(), RunState { wasi, memory });
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(SYSTEM_CALL_BYTES);
    store.set_fuel(fuel_of(limits)).map_err(host)?;
    store
        .fuel_async_yield_interval(Some(YIELD_INTERVAL))
        .map_err(host)?;
    Ok(store)
}

fn fuel_of(limits: &Limits) -> u64 {
    limits.fuel().or_max()
}

fn timeout_millis(limits: &Limits) -> u128 {
    match limits.timeout() {
        Allowance::AtMost(timeout) => timeout.as_millis(),
        Allowance::Unlimited => Duration::MAX.as_millis(),
    }
}

/// A fresh instance of the guest. That it can't be had is the host's fault.
async fn instance(machine: &Machine, store: &mut Store<RunState>) -> Result<Instance, Error> {
    machine.guest().instantiate_async(store).await.map_err(host)
}

/// Hands `request` to an instance, calls `function`, and returns what it reports.
async fn call(
    store: &mut Store<RunState>,
    instance: &Instance,
    function: &str,
    request: &[u8],
) -> wasmtime::Result<Vec<u8>> {
    let memory = instance
        .get_memory(&mut *store, export::MEMORY)
        .ok_or_else(|| wasmtime::Error::msg("the guest exports no memory"))?;
    send(store, instance, memory, request).await?;
    let function = instance.get_typed_func::<(), u64>(&mut *store, function)?;
    let report = function.call_async(&mut *store, ()).await?;
    receive(store, memory, report).ok_or_else(|| wasmtime::Error::new(MalformedReport))
}

async fn send(
    store: &mut Store<RunState>,
    instance: &Instance,
    memory: Memory,
    request: &[u8],
) -> wasmtime::Result<()> {
    let len = u32::try_from(request.len())?;
    let allocate = instance.get_typed_func::<u32, u32>(&mut *store, export::ALLOCATE)?;
    let at = allocate.call_async(&mut *store, len).await?;
    if at == 0 {
        // As when any other allocation fails.
        return Err(wasmtime::Trap::UnreachableCodeReached.into());
    }
    memory
        .write(store, at as usize, request)
        .map_err(|_| wasmtime::Error::new(MalformedReport))
}

/// Copies the report out of the guest: its address in the upper half of `report`, its length in
/// the lower, neither of them to be believed.
fn receive(store: &Store<RunState>, memory: Memory, report: u64) -> Option<Vec<u8>> {
    let [at, len] = [(report >> 32) as u32, report as u32];
    if len > REPORT_BYTES {
        return None;
    }
    let at = at as usize;
    memory
        .data(store)
        .get(at..at.checked_add(len as usize)?)
        .map(<[u8]>::to_vec)
}

/// The guest returned something that is not a report.
#[derive(Debug, thiserror::Error)]
#[error("the guest's report is malformed")]
struct MalformedReport;

/// What the guest says of how it ended.
fn judge(report: &[u8], limits: &Limits) -> (Verdict, Option<Value>) {
    match serde_json::from_slice(report) {
        Ok(Report::Completed { value }) => match checked(value, limits) {
            Some(value) => (Verdict::Completed, Some(value)),
            None => (Verdict::Crashed { trap: Trap::Report }, None),
        },
        Ok(Report::Raised(raised)) => (Verdict::Raised(raised), None),
        Ok(Report::Exited { code }) => (Verdict::Exited { code }, None),
        Err(_) => (Verdict::Crashed { trap: Trap::Report }, None),
    }
}

/// The value, if the guest has kept to the limits that it was given.
fn checked(value: ReportedValue, limits: &Limits) -> Option<Value> {
    match value {
        ReportedValue::Json(json) => {
            let value: serde_json::Value = serde_json::from_str(json.get()).ok()?;
            let fits = json.get().len() as u64 <= limits.get(Limit::Value).or_max()
                && depth(&value) <= value_depth(limits);
            fits.then_some(Value::Json(value))
        }
        ReportedValue::Opaque { repr, reason } => Some(Value::Opaque { repr, reason }),
    }
}

/// How deeply a value is nested. The parser has bounded it to 128.
fn depth(value: &serde_json::Value) -> u32 {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What stopped the guest from the outside.
fn verdict_of(error: &wasmtime::Error, memory: &MemoryLimit, limits: &Limits) -> Verdict {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Verdict::Exited { code: exit.0 };
    }
    if error.is::<MalformedReport>() {
        return Verdict::Crashed { trap: Trap::Report };
    }
    let trap = match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::OutOfFuel) => {
            let fuel = fuel_of(limits).into();
            return limit(LimitKind::Fuel, fuel, fuel);
        }
        Some(wasmtime::Trap::UnreachableCodeReached) => match memory.refused() {
            // The guest aborts when an allocation fails that Python can't raise an error for.
            Some(asked) => {
                let allowed = limits.memory_bytes().into();
                return limit(LimitKind::Memory, asked as u128, allowed);
            }
            None => Trap::Panic,
        },
        Some(wasmtime::Trap::StackOverflow) => Trap::StackOverflow,
        Some(wasmtime::Trap::MemoryOutOfBounds) => Trap::OutOfBounds,
        Some(_) => Trap::Other,
        None => Trap::SystemCall,
    };
    Verdict::Crashed { trap }
}

fn limit(which: LimitKind, used: u128, allowed: u128) -> Verdict {
    let fit = |amount| u64::try_from(amount).unwrap_or(u64::MAX);
    Verdict::Limit {
        which,
        used: fit(used),
        allowed: fit(allowed),
    }
}

fn host(error: wasmtime::Error) -> Error {
    Error::Host(format!("{error:#}"))
}

/// A run that goes on while it is polled, on any executor.
///
/// While the script computes, it yields about every millisecond. Dropping it stops the script
/// and frees all that the run held.
#[must_use = "a script runs only while its future is polled"]
pub struct Running<T = Outcome> {
    /// Polled in the context of [`Machine::timers`].
    inner: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
    timers: &'static tokio::runtime::Handle,
}

impl<T> Running<T> {
    fn new(
        machine: &'static Machine,
        inner: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self {
            inner: Box::pin(inner),
            timers: machine.timers(),
        }
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _timers = self.timers.enter();
        self.inner.as_mut().poll(context)
    }
}

impl<T> std::fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
