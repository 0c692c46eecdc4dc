//! One run, from the script to its outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wardian_abi::{Reply, Report, ReportedValue, Request, Screening, VERSION, export, sha256};
use wardian_policy::{Action, Allowance, CodeRules, Limit, Limits, Policy};
use wasmtime_wasi::I32Exit;

use crate::audit::Audit;
use crate::files::{AuditFailed, FileGuard, Recorder};
use crate::grants::Grants;
use crate::guest::{Guest, MalformedReport, Streams};
use crate::memory::MemoryLimit;
use crate::output::{Capture, Sink};
use crate::runtime::Machine;
use crate::{
    Error, LimitKind, Outcome, Refusals, Runtime, Script, SourceHash, Stream, Trap, Usage, Value,
    Verdict, Violation,
};

/// The most that a script's inputs, arguments and environment take as JSON.
const INPUT_BYTES: usize = 16 << 20;

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

/// How the guest's part in a run ended.
enum Ended {
    /// Its source was refused.
    Rejected(Vec<Violation>),
    /// It ran. What it replied, as bytes.
    Ran(Vec<u8>),
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
    let mut outcome = Outcome::nothing(source_hash(&script.code));
    if let Some(verdict) = refusal(&policy, &script.code) {
        return Ok(Outcome { verdict, ..outcome });
    }
    for (name, value) in policy.env() {
        let value = || value.clone();
        script.env.entry(name.clone()).or_insert_with(value);
    }
    let stdin = std::mem::take(&mut script.stdin);
    let rules = policy.code().screening();
    let request = request(script, rules, limits)?;
    let _slot = runtime.admit().await?;

    let started = Instant::now();
    let capture = |stream, limit| Capture::new(stream, limits.get(limit).or_max(), sink.clone());
    let stdout = capture(Stream::Stdout, Limit::Stdout);
    let stderr = capture(Stream::Stderr, Limit::Stderr);
    let recorder = Recorder {
        run_id: outcome.run_id.clone(),
        agent: policy.agent().to_owned(),
        audit,
        refusals: Refusals::default(),
    };
    let streams = Streams {
        stdin,
        outputs: Some([stdout.clone(), stderr.clone()]),
    };
    let files = FileGuard::new(policy.clone(), grants, recorder);
    let mut guest = Guest::new(runtime.machine(), limits, streams, files).await?;

    let mut screening = rules.is_some();
    let work = async {
        guest.hand_over(&request).await?;
        if rules.is_some() {
            let found = screened(&guest.call(export::SCREEN).await?, &mut outcome.source)?;
            if !found.is_empty() {
                return Ok(Ended::Rejected(found));
            }
            screening = false;
        }
        guest.call(export::RUN).await.map(Ended::Ran)
    };
    let ended = within(limits, started, work).await;
    let wall = started.elapsed();
    (outcome.verdict, outcome.value) = match ended {
        // What is too much for screening is the source's fault.
        None if screening => (unscreened(&time(wall, limits)), None),
        None => (time(wall, limits), None),
        Some(Ok(Ended::Rejected(violations))) => (Verdict::Rejected { violations }, None),
        Some(Ok(Ended::Ran(reply))) => judge(&reply, &mut outcome.source, limits),
        Some(Err(error)) => match error.downcast::<AuditFailed>() {
            Ok(failed) => return Err(Error::Audit(failed.to_string())),
            Err(error) => match verdict_of(&error, guest.memory(), limits) {
                verdict if screening => (unscreened(&verdict), None),
                verdict => (verdict, None),
            },
        },
    };
    outcome.usage = Usage {
        fuel: guest.fuel_used(),
        memory_peak_bytes: guest.memory().peak() as u64,
        wall,
        bytes_written: guest.files().quota().bytes_written(),
        files_created: guest.files().quota().files_created(),
        ..Usage::default()
    };
    outcome.refusals = std::mem::take(&mut guest.files().recorder().refusals);
    outcome.stdout = stdout.finish();
    outcome.stderr = stderr.finish();
    Ok(outcome)
}

/// Says what of `source` breaks the policy's rules, without running it.
pub(crate) fn validate(setting: Setting, source: String) -> Running<Vec<Violation>> {
    Running::new(setting.runtime.machine(), async move {
        let limits = setting.policy.limits();
        if let Some(violation) = too_long(limits, &source) {
            return Ok(vec![violation]);
        }
        let mut hash = source_hash(&source);
        // Without rules there is still Python's own.
        let rules = CodeRules::default();
        let rules = setting.policy.code().screening().unwrap_or(&rules);
        let request = request(Script::new(source), Some(rules), limits)?;
        let _slot = setting.runtime.admit().await?;
        let started = Instant::now();
        let mut guest = blank(setting.runtime.machine(), limits).await?;
        let work = async {
            guest.hand_over(&request).await?;
            screened(&guest.call(export::SCREEN).await?, &mut hash)
        };
        let verdict = match within(limits, started, work).await {
            Some(Ok(violations)) => return Ok(violations),
            Some(Err(error)) => verdict_of(&error, guest.memory(), limits),
            None => time(started.elapsed(), limits),
        };
        Ok(vec![why_unscreened(&verdict)])
    })
}

/// The modules that can be imported.
pub(crate) fn modules(runtime: Runtime) -> Running<Vec<String>> {
    Running::new(runtime.machine(), async move {
        let _slot = runtime.admit().await?;
        let mut guest = blank(runtime.machine(), &Limits::default()).await?;
        let modules = guest.call(export::MODULES).await;
        let modules = modules.map_err(|error| Error::Host(format!("{error:#}")))?;
        serde_json::from_slice(&modules).map_err(|error| Error::Host(error.to_string()))
    })
}

/// A guest that sees nothing.
async fn blank(machine: &Machine, limits: &Limits) -> Result<Guest, Error> {
    let policy = Arc::new(Policy::computing());
    let files = FileGuard::new(policy, Arc::default(), Recorder::default());
    Guest::new(machine, limits, Streams::default(), files).await
}

/// What comes of `work`, if it ends within the time limit.
async fn within<T>(limits: &Limits, started: Instant, work: impl Future<Output = T>) -> Option<T> {
    match limits.timeout() {
        Allowance::AtMost(timeout) => tokio::time::timeout_at((started + timeout).into(), work)
            .await
            .ok(),
        Allowance::Unlimited => Some(work.await),
    }
}

/// Why a script does not run at all, if it doesn't.
fn refusal(policy: &Policy, source: &str) -> Option<Verdict> {
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
    let violations = vec![too_long(policy.limits(), source)?];
    Some(Verdict::Rejected { violations })
}

fn too_long(limits: &Limits, source: &str) -> Option<Violation> {
    let most = limits.get(Limit::Source).or_max();
    let bytes = source.len() as u64;
    let message = format!("the source takes {bytes} bytes; at most {most} are allowed");
    (bytes > most).then(|| of_the_whole("source_bytes", message))
}

/// A violation of the source as a whole.
fn of_the_whole(rule: &str, message: String) -> Violation {
    Violation {
        rule: rule.to_owned(),
        message,
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
        text: String::new(),
    }
}

fn source_hash(source: &str) -> SourceHash {
    SourceHash {
        given: sha256(source),
        screened: None,
        run: None,
    }
}

/// What the guest is told, as JSON.
fn request(script: Script, rules: Option<&CodeRules>, limits: &Limits) -> Result<Vec<u8>, Error> {
    // Code that is escaped byte by byte takes six times its size, and is allowed to.
    let most = INPUT_BYTES + script.code.len().saturating_mul(6);
    let request = Request {
        version: VERSION,
        code: script.code,
        args: script.args,
        inputs: script.inputs,
        env: script.env,
        rules: rules.cloned(),
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

/// What the guest has found in the source. It must be the source that it was given.
fn screened(screening: &[u8], hash: &mut SourceHash) -> wasmtime::Result<Vec<Violation>> {
    let screening: Screening =
        serde_json::from_slice(screening).map_err(|_| wasmtime::Error::new(MalformedReport))?;
    if screening.source_sha256 != hash.given {
        return Err(wasmtime::Error::new(MalformedReport));
    }
    hash.screened = Some(screening.source_sha256);
    Ok(screening.violations)
}

/// The source could not be screened to its end: it is refused, whatever stopped that.
fn unscreened(why: &Verdict) -> Verdict {
    Verdict::Rejected {
        violations: vec![why_unscreened(why)],
    }
}

fn why_unscreened(why: &Verdict) -> Violation {
    match why {
        Verdict::Limit { .. } => {
            of_the_whole("resources", format!("Too large to be checked: {why}"))
        }
        // A stack that ran out, or what a parser does when one has.
        _ => of_the_whole("nesting", "Too deeply nested to be checked".to_owned()),
    }
}

/// What the guest says of how it ended, of the source that it was given.
fn judge(reply: &[u8], hash: &mut SourceHash, limits: &Limits) -> (Verdict, Option<Value>) {
    let malformed = (Verdict::Crashed { trap: Trap::Report }, None);
    let Ok(Reply {
        report,
        source_sha256,
    }) = serde_json::from_slice(reply)
    else {
        return malformed;
    };
    if source_sha256 != hash.given {
        return malformed;
    }
    hash.run = Some(source_sha256);
    match report {
        Report::Completed { value } => match checked(value, limits) {
            Some(value) => (Verdict::Completed, Some(value)),
            None => malformed,
        },
        Report::Raised(raised) => (Verdict::Raised(raised), None),
        Report::Exited { code } => (Verdict::Exited { code }, None),
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
            let fuel = limits.fuel().or_max().into();
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

fn time(used: Duration, limits: &Limits) -> Verdict {
    let allowed = match limits.timeout() {
        Allowance::AtMost(timeout) => timeout,
        Allowance::Unlimited => Duration::MAX,
    };
    limit(LimitKind::Time, used.as_millis(), allowed.as_millis())
}

fn limit(which: LimitKind, used: u128, allowed: u128) -> Verdict {
    let fit = |amount| u64::try_from(amount).unwrap_or(u64::MAX);
    Verdict::Limit {
        which,
        used: fit(used),
        allowed: fit(allowed),
    }
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
