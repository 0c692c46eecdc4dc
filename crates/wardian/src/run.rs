//! One run, from the script to its outcome.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wardian_abi::{
    Malformed, Reply, Report, Request, SCRIPT_NAME, Screening, ToolSpec, VERSION, export,
    source_sha256, tool,
};
use wardian_policy::{Action, Allowance, CodeRules, Limit, Limits, Policy};
use wasmtime_wasi::I32Exit;

use crate::advice::advise;
use crate::calls::Calls;
use crate::executor::OnTimers;
use crate::files::FileGuard;
use crate::guest::{Guest, Streams};
use crate::output::Sink;
use crate::runtime::Machine;
use crate::session::{Going, ScriptRecord, Session, Stop};
use crate::{
    Error, Gate, LimitKind, Outcome, Runtime, Script, SourceHash, Trap, Value, Verdict, Violation,
};

/// The most that a script's inputs, arguments and environment take as JSON.
const INPUT_BYTES: usize = 16 << 20;

/// What all runs of a sandbox share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) runtime: Runtime,
    pub(crate) gate: Gate,
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
    script: Script,
    sink: Option<Arc<Mutex<Sink>>>,
) -> Result<Outcome, Error> {
    script.check()?;
    let Setting { runtime, gate } = setting;
    let mut outcome = Outcome::nothing(source_hash(&script));
    let going = Going(Arc::new(gate.session(outcome.run_id.clone())));
    let session = &going.0;
    let policy = gate.policy();
    let (given, name) = (outcome.source.given.clone(), script.name.clone());
    let record = ScriptRecord {
        sha256: &given,
        name: name.as_deref(),
    };
    if let Some(verdict) = refusal(policy, &script) {
        session
            .begin(policy, gate.policy_sha256(), Some(record))
            .await?;
        outcome.verdict = verdict;
    } else {
        // What does not fit in a request is no run.
        let (request, stdin) = request_and_stdin(script, &gate)?;
        let _slot = runtime.admit().await?;
        session
            .begin(policy, gate.policy_sha256(), Some(record))
            .await?;
        let streams = Streams::new(stdin, policy.limits(), sink);
        run_screened(&runtime, &gate, session, request, streams, &mut outcome).await?;
    }
    outcome.usage.tool_calls = session.calls();
    outcome.usage.bytes_written = session.quota.written.used();
    outcome.usage.files_created = session.quota.created.used();
    outcome.refusals = session.take_refusals();
    outcome.advice = advise(&outcome, policy);
    session.end(&outcome).await?;
    Ok(outcome)
}

/// Screens a script and runs it, in an instance of its own.
async fn run_screened(
    runtime: &Runtime,
    gate: &Gate,
    session: &Arc<Session>,
    request: Vec<u8>,
    streams: Streams,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let policy = gate.shared_policy();
    let limits = policy.limits();
    let rules = policy.code().screening();
    let started = Instant::now();
    let outputs = streams.outputs.clone();
    let files = FileGuard::new(policy.clone(), gate.grants().clone(), session.clone());
    let has_tools = gate.tools().len() > 0;
    let calls = has_tools.then(|| Calls::new(gate.clone(), session.clone()));
    let mut guest = Guest::new(runtime, limits, streams, files, calls).await?;

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
    let ended = within(limits, started, session, work).await;
    let wall = started.elapsed();
    guest.drop_calls();
    (outcome.verdict, outcome.value) = match ended {
        // What is too much for screening is the source's fault.
        None if screening => (unscreened(&time(wall, limits)), None),
        None => (time(wall, limits), None),
        Some(Ok(Ended::Rejected(violations))) => (Verdict::Rejected { violations }, None),
        Some(Ok(Ended::Ran(reply))) => judge(&reply, &mut outcome.source, limits),
        Some(Err(error)) => match error.downcast::<Stop>() {
            Ok(Stop::Limit(which, most)) => (limit(which, most.into(), most.into()), None),
            Ok(stop) => return Err(stop.into()),
            Err(error) => match verdict_of(&error, guest.memory().refused(), limits) {
                verdict if screening => (unscreened(&verdict), None),
                verdict => (verdict, None),
            },
        },
    };
    outcome.usage.fuel = guest.fuel_used();
    if let Verdict::Limit { line, .. } = &mut outcome.verdict {
        *line = guest.line().await;
    }
    outcome.usage.memory_peak_bytes = guest.memory().peak() as u64;
    outcome.usage.wall = wall;
    if let Some([stdout, stderr]) = outputs {
        outcome.stdout = stdout.finish();
        outcome.stderr = stderr.finish();
    }
    Ok(())
}

/// Says what of `source` breaks the policy's rules, without running it.
pub(crate) fn validate(setting: Setting, script: Script) -> Running<Vec<Violation>> {
    Running::new(setting.runtime.machine(), async move {
        let policy = setting.gate.policy();
        let limits = policy.limits();
        if let Some(violation) = too_long(limits, &script) {
            return Ok(vec![violation]);
        }
        let mut hash = source_hash(&script);
        // Without rules there is still Python's own.
        let rules = CodeRules::default();
        let rules = policy.code().screening().unwrap_or(&rules);
        let tools = setting.gate.specs();
        let request = request(script, Some(rules), tools, limits)?;
        let _slot = setting.runtime.admit().await?;
        let started = Instant::now();
        let (mut guest, session) = blank(&setting.runtime, limits).await?;
        let work = async {
            guest.hand_over(&request).await?;
            screened(&guest.call(export::SCREEN).await?, &mut hash)
        };
        let verdict = match within(limits, started, &session, work).await {
            Some(Ok(violations)) => return Ok(violations),
            Some(Err(error)) => verdict_of(&error, guest.memory().refused(), limits),
            None => time(started.elapsed(), limits),
        };
        Ok(vec![why_unscreened(&verdict)])
    })
}

/// The modules that can be imported.
pub(crate) fn modules(runtime: Runtime) -> Running<Vec<String>> {
    Running::new(runtime.machine(), async move {
        let _slot = runtime.admit().await?;
        let (mut guest, _) = blank(&runtime, &Limits::default()).await?;
        let modules = guest.call(export::MODULES).await;
        let modules = modules.map_err(|error| Error::Host(format!("{error:#}")))?;
        serde_json::from_slice(&modules).map_err(|error| Error::Host(error.to_string()))
    })
}

/// A guest that sees nothing.
async fn blank(runtime: &Runtime, limits: &Limits) -> Result<(Guest, Arc<Session>), Error> {
    let policy = Arc::new(Policy::computing());
    let session = Arc::new(Session::new(String::new(), &policy, None));
    let files = FileGuard::new(policy, Arc::default(), session.clone());
    let guest = Guest::new(runtime, limits, Streams::default(), files, None).await?;
    Ok((guest, session))
}

/// How often a run that waits for somebody's answer looks at its clock.
const LOOK: Duration = Duration::from_millis(50);

/// What comes of `work`, if it ends within the time limit, in which people's time does not count.
async fn within<T>(
    limits: &Limits,
    started: Instant,
    session: &Session,
    work: impl Future<Output = T>,
) -> Option<T> {
    let Allowance::AtMost(timeout) = limits.timeout() else {
        return Some(work.await);
    };
    let mut work = std::pin::pin!(work);
    loop {
        let (asked, is_asking) = session.asked();
        let mut deadline = started + timeout + asked;
        if is_asking {
            deadline = deadline.max(Instant::now() + LOOK);
        }
        if let Ok(done) = tokio::time::timeout_at(deadline.into(), &mut work).await {
            return Some(done);
        }
        let (asked, is_asking) = session.asked();
        if !is_asking && Instant::now() >= started + timeout + asked {
            return None;
        }
    }
}

/// Why a script does not run at all, if it doesn't.
fn refusal(policy: &Policy, script: &Script) -> Option<Verdict> {
    let decision = policy.check(Action::Execute, "");
    if !decision.allowed() {
        return Some(Verdict::Denied {
            action: decision.action().to_string(),
            rule: decision.rule(),
            location: decision.location().cloned(),
            reason: decision.to_string(),
        });
    }
    let violations = vec![too_long(policy.limits(), script)?];
    Some(Verdict::Rejected { violations })
}

fn too_long(limits: &Limits, script: &Script) -> Option<Violation> {
    let most = limits.get(Limit::Source).or_max();
    let modules = script.modules.values().map(|module| module.code.len());
    let bytes = (script.code.len() + modules.sum::<usize>()) as u64;
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
        module: None,
    }
}

fn source_hash(script: &Script) -> SourceHash {
    SourceHash {
        given: source_sha256(&script.code, &script.modules),
        screened: None,
        run: None,
    }
}

/// What the guest is told, and what it reads from its standard input.
fn request_and_stdin(mut script: Script, gate: &Gate) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let policy = gate.policy();
    for (name, value) in policy.env() {
        let value = || value.clone();
        script.env.entry(name.clone()).or_insert_with(value);
    }
    let stdin = std::mem::take(&mut script.stdin);
    let rules = policy.code().screening();
    let request = request(script, rules, gate.specs(), policy.limits())?;
    Ok((request, stdin))
}

/// What the guest is told, as JSON.
fn request(
    script: Script,
    rules: Option<&CodeRules>,
    tools: Vec<ToolSpec>,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let mut rules = rules.cloned();
    // Whoever may call tools may import them.
    if let Some(allowed) = rules
        .as_mut()
        .and_then(|rules| rules.allowed_imports.as_mut())
        && !tools.is_empty()
    {
        allowed.extend([tool::MODULE.to_owned()]);
    }
    // A module that came along with the script is its own.
    if let Some(allowed) = rules
        .as_mut()
        .and_then(|rules| rules.allowed_imports.as_mut())
        && !script.modules.is_empty()
    {
        allowed.extend(script.modules.keys().cloned());
    }
    // Code that is escaped byte by byte takes six times its size, and is allowed to.
    let modules = script.modules.values().map(|module| module.code.len());
    let source = script.code.len() + modules.sum::<usize>();
    let most = INPUT_BYTES + source.saturating_mul(6);
    let request = Request {
        version: VERSION,
        code: script.code,
        file: script.name.as_deref().and_then(file_name),
        modules: script.modules,
        args: script.args,
        inputs: script.inputs,
        env: script.env,
        tools,
        rules,
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

/// Makes a script's `__file__` of its name, without the directories of the host.
fn file_name(name: &str) -> Option<String> {
    let file = Path::new(name).file_name()?.to_str()?;
    (file != SCRIPT_NAME).then(|| format!("/{file}"))
}

/// The most levels of a value that comes back.
fn value_depth(limits: &Limits) -> u32 {
    u32::try_from(limits.get(Limit::ValueDepth).or_max()).unwrap_or(u32::MAX)
}

/// What the guest has found in the source that it was given.
fn screened(screening: &[u8], hash: &mut SourceHash) -> wasmtime::Result<Vec<Violation>> {
    let screening = Screening::read(screening, &hash.given)?;
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
    let value_bytes = limits.get(Limit::Value).or_max();
    let Ok(report) = Reply::read(reply, &hash.given, value_bytes, value_depth(limits)) else {
        return (Verdict::Crashed { trap: Trap::Report }, None);
    };
    hash.run = Some(hash.given.clone());
    match report {
        Report::Completed { value } => (Verdict::Completed, Some(value)),
        Report::Raised(raised) => (Verdict::Raised(raised), None),
        Report::Exited { code } => (Verdict::Exited { code }, None),
    }
}

/// What stopped the guest from the outside.
fn verdict_of(error: &wasmtime::Error, refused: Option<usize>, limits: &Limits) -> Verdict {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Verdict::Exited { code: exit.0 };
    }
    if error.is::<Malformed>() {
        return Verdict::Crashed { trap: Trap::Report };
    }
    let trap = match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::OutOfFuel) => {
            let fuel = limits.fuel().or_max().into();
            return limit(LimitKind::Fuel, fuel, fuel);
        }
        Some(wasmtime::Trap::UnreachableCodeReached) => match refused {
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
        line: None,
    }
}

/// A run that goes on while it is polled, on any executor.
///
/// While the script computes, it yields about every millisecond. Dropping it stops the script
/// and frees all that the run held.
#[must_use = "a script runs only while its future is polled"]
pub struct Running<T = Outcome>(OnTimers<dyn Future<Output = Result<T, Error>> + Send>);

impl<T> Running<T> {
    fn new(
        machine: &'static Machine,
        inner: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self(OnTimers::new(Box::pin(inner), machine.timers()))
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> std::fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
