//! One run, from the script to its outcome.

mod advice;
mod events;
mod future;
mod outcome;
mod report;
mod request;
mod screening;
mod script;
mod script_form;
mod start;
mod verdict;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wardian_abi::{Globals, SessionCall, Violation, export};
use wardian_audit as audit;
use wardian_engine::{
    Capture, EngineLimits, Exit, Instance, MemoryImage, SavedMemory, StartMemory, Stream, Streams,
};
use wardian_policy::{Allowance, Limit, Limits};

pub use self::events::{CancelHandle, RunEvents};
pub use self::future::Running;
pub use self::outcome::{Outcome, SourceHash, Trap, Usage, Verdict};
pub use self::report::{
    DenialReport, Ending, FileReport, LimitReport, ProblemReport, RefusalReport, Report,
    ReportError, StreamReport, StreamsReport, UsageReport,
};
use self::request::write_request;
use self::screening::{check_length, deny, hash_source, read_screening, unscreened};
pub use self::script::{Input, Script};
pub(crate) use self::script_form::ScriptForm;
pub(crate) use self::start::Start;
use self::verdict::{judge_exit, judge_reply, last_records, time_up};
use crate::files::{OpenFiles, SavedHandle, WorkFiles};
use crate::host::RunHost;
use crate::ledger::{ApprovalClock, EndGuard, EventSender, RunContext, RunName, ScriptRecord};
use crate::session::CallBudget;
use crate::{Error, Gate, Runtime};

/// Runs `script`, from the state of an image if there is one.
pub(crate) fn run(
    runtime: Runtime,
    gate: Gate,
    start: Option<Arc<Start>>,
    script: Script,
    events: EventSender,
) -> Running {
    let timers = runtime.timers();
    let running = async move {
        let from = start.as_deref().map_or(RunFrom::Nothing, RunFrom::Image);
        run_script(&runtime, &gate, script, events, from).await
    };
    Running::new(running, timers)
}

/// The state that a script starts from.
pub(crate) enum RunFrom<'f, 's> {
    /// An interpreter that has run nothing.
    Nothing,
    /// That of an image.
    Image(&'f Start),
    /// That of a session.
    Call(&'f mut CallState<'s>),
}

/// The state that a call of a session starts from, and then leaves behind.
pub(crate) struct CallState<'s> {
    pub(crate) name: audit::SessionCall,
    pub(crate) call: SessionCall,
    pub(crate) work: CallWork,
    pub(crate) budget: CallBudget,
    pub(crate) memory: &'s mut SavedMemory,
    pub(crate) files: OpenFiles,
    /// Files that have to be opened again before.
    pub(crate) reopen: &'s [SavedHandle],
    /// Set once the guest has come to rest: what the call has written can stay.
    pub(crate) is_at_rest: bool,
}

/// The work of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallWork {
    /// Runs the script.
    Run,
    /// Runs a part of what an image is made of.
    SetUp,
    /// Collects garbage and clears free memory, instead of running anything.
    Collect,
    /// Clears free memory only, which runs no code of a script's.
    Scrub,
}

/// Runs a script: a whole program, or a call of a session.
pub(crate) async fn run_script(
    runtime: &Runtime,
    gate: &Gate,
    mut script: Script,
    events: EventSender,
    from: RunFrom<'_, '_>,
) -> Result<Outcome, Error> {
    let (start, mut call) = match from {
        RunFrom::Nothing => (None, None),
        RunFrom::Image(start) => (Some(start), None),
        RunFrom::Call(state) => (None, Some(state)),
    };
    script.check()?;
    let mut outcome = Outcome::new(hash_source(&script));
    let name = RunName {
        id: outcome.run_id.clone(),
        session: call.as_ref().map(|state| state.name.clone()),
    };
    let limits = limits_of(gate, call.as_deref());
    let files = match (&call, start) {
        (Some(state), _) => state.files.clone(),
        (None, Some(start)) => OpenFiles::new(start.work()),
        (None, None) => OpenFiles::new(WorkFiles::new(gate.policy())),
    };
    put_files(&files, std::mem::take(&mut script.files))?;
    let baseline = files.work.as_ref().map(WorkFiles::baseline);
    let guard = EndGuard(Arc::new(gate.new_context(name, &limits, events.clone())));
    let context = &guard.0;
    let authority = gate.authority();
    let policy = gate.policy();
    let (given, name) = (outcome.source.given.clone(), script.name.clone());
    let record = ScriptRecord {
        sha256: &given,
        name: name.as_deref(),
        image_sha256: start.map(|start| &*start.sha256),
    };
    let begin = || context.begin(policy, &authority.policy_sha256, Some(record));
    if let Some(verdict) = deny(policy, &script) {
        begin().await?;
        outcome.verdict = verdict;
    } else {
        // What does not fit in a request is no run.
        let session_call = call.as_ref().map(|state| state.call);
        let (request, stdin) = write_request(script, session_call, gate)?;
        let _slot = runtime.admit().await?;
        begin().await?;
        let streams = capture(stdin, &limits, &events);
        let call = call.as_deref_mut();
        let given = Given {
            request: &request,
            streams,
            files: files.clone(),
            memory: start.map(|start| &*start.memory),
        };
        run_screened(runtime, gate, context, given, call, &mut outcome).await?;
    }
    let stays = call.is_none_or(|state| {
        state.judge(&mut outcome);
        state.is_at_rest
    });
    if let (Some(work), Some(baseline), true) = (&files.work, &baseline, stays) {
        outcome.files = work.changed_since(baseline);
    }
    (outcome.displays, outcome.displays_omitted) = context.displays.take();
    outcome.usage.tool_calls = context.meters.calls();
    outcome.usage.bytes_written = context.meters.written.used();
    outcome.usage.files_created = context.meters.created.used();
    outcome.refusals = context.refusals.get();
    outcome.advice = advice::advise(&outcome, policy);
    let last = last_records(&outcome, context);
    context.recorder.end(last).await?;
    Ok(outcome)
}

/// The guest's part in a run.
enum GuestEnd {
    /// Its source was rejected.
    Rejected(Vec<Violation>),
    /// It ran, and replied these bytes.
    Replied(Vec<u8>),
    /// Its memory was cleared.
    Cleared,
}

impl CallState<'_> {
    /// Finds out whether a limit of the session has stopped the call, or does now.
    fn judge(&mut self, outcome: &mut Outcome) {
        self.budget.name_limit(&mut outcome.verdict);
        if self.is_at_rest
            && let Some(verdict) = self.budget.check_memory(self.memory)
        {
            outcome.verdict = verdict;
            outcome.value = None;
            self.is_at_rest = false;
        }
    }
}

/// Puts a script's files into its working directory.
fn put_files(open: &OpenFiles, files: BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    for (name, bytes) in files {
        let put = match &open.work {
            Some(work) => work.put(&name, &bytes).map_err(|error| error.to_string()),
            None => Err("the policy gives no working directory".to_owned()),
        };
        put.map_err(|reason| Error::WorkFile { name, reason })?;
    }
    Ok(())
}

/// The limits of a run: the policy's, and what is left of a session's.
fn limits_of(gate: &Gate, call: Option<&CallState<'_>>) -> Limits {
    let limits = call.map_or(gate.policy().limits(), |state| &state.budget.limits);
    limits.clone()
}

/// The things that a guest is given.
struct Given<'g> {
    request: &'g [u8],
    streams: Streams,
    files: OpenFiles,
    /// The memory of an image.
    memory: Option<&'g MemoryImage>,
}

/// Screens a script and runs it, in an instance of its own.
async fn run_screened(
    runtime: &Runtime,
    gate: &Gate,
    context: &Arc<RunContext>,
    given: Given<'_>,
    call: Option<&mut CallState<'_>>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let Given {
        request,
        streams,
        files,
        memory,
    } = given;
    let limits = &limits_of(gate, call.as_deref());
    let work = call.as_ref().map_or(CallWork::Run, |state| state.work);
    let runs = matches!(work, CallWork::Run | CallWork::SetUp);
    let has_rules = runs && gate.policy().source_rules().screening().is_some();
    let started = Instant::now();
    let outputs = streams.outputs.clone();
    let mut host = RunHost::new(gate, context, files);
    if let Some(state) = &call {
        host.reopen(state.reopen).await?;
    }
    let memory = match (&call, memory) {
        (Some(state), _) => StartMemory::Saved(state.memory),
        (None, Some(image)) => StartMemory::Image(image),
        (None, None) => StartMemory::Fresh,
    };
    let mut guest = instantiate(runtime, limits, streams, host, memory).await?;

    let mut screening = has_rules;
    let doing = async {
        match work {
            CallWork::Run | CallWork::SetUp => guest.write_request(request).await?,
            CallWork::Collect | CallWork::Scrub => {
                if work == CallWork::Collect {
                    guest.call_silent(export::COLLECT).await?;
                }
                guest.call_silent(export::RELEASE).await?;
                guest.keep_memory_size();
                guest.call_silent(export::SCRUB).await?;
                return Ok(GuestEnd::Cleared);
            }
        }
        if has_rules {
            let found = guest.call(export::SCREEN).await?;
            let found = read_screening(&found, &mut outcome.source);
            let found = found.map_err(|_| Exit::Malformed)?;
            if !found.is_empty() {
                return Ok(GuestEnd::Rejected(found));
            }
            screening = false;
        }
        guest.call(export::RUN).await.map(GuestEnd::Replied)
    };
    let ended = within_time(limits, started, &context.approvals, doing).await;
    let wall = started.elapsed();
    guest.host().cancel_calls();
    let mut is_cleared = false;
    let stopped_by = match ended {
        Some(Ok(GuestEnd::Cleared)) => {
            is_cleared = true;
            None
        }
        Some(Ok(GuestEnd::Rejected(violations))) => {
            outcome.verdict = Verdict::Rejected { violations };
            None
        }
        Some(Ok(GuestEnd::Replied(reply))) => {
            (outcome.verdict, outcome.value) = judge_reply(&reply, &mut outcome.source, limits);
            None
        }
        Some(Err(exit)) => Some(judge_exit(exit, limits)?),
        None => Some(time_up(wall, limits)),
    };
    if let Some(verdict) = stopped_by {
        // What is too much for screening is the source's fault.
        outcome.verdict = if screening {
            Verdict::Rejected {
                violations: vec![unscreened(&verdict)],
            }
        } else {
            verdict
        };
    }
    outcome.usage.fuel = guest.fuel_used();
    if let Verdict::Limit { line, .. } = &mut outcome.verdict {
        *line = guest.line().await;
    }
    outcome.usage.memory_peak_bytes = guest.memory_peak_bytes();
    outcome.usage.wall = wall;
    if let Some(state) = call {
        state.is_at_rest = is_cleared || outcome.source.run.is_some();
        state.files = guest.host().take_open_files();
    }
    if let Some([stdout, stderr]) = outputs {
        outcome.stdout = stdout.finish().await;
        outcome.stderr = stderr.finish().await;
    }
    Ok(())
}

/// Screens `script` without running it.
pub(crate) fn screen(runtime: Runtime, gate: Gate, script: Script) -> Running<Vec<Violation>> {
    let timers = runtime.timers();
    let screening = async move {
        let policy = gate.policy();
        let limits = policy.limits();
        if let Some(violation) = check_length(limits, &script) {
            return Ok(vec![violation]);
        }
        let mut hash = hash_source(&script);
        let (request, _) = write_request(script, None, &gate)?;
        let _slot = runtime.admit().await?;
        let started = Instant::now();
        let mut guest = instantiate_blank(&runtime, limits).await?;
        let work = async {
            guest.write_request(&request).await?;
            let found = guest.call(export::SCREEN).await?;
            read_screening(&found, &mut hash).map_err(|_| Exit::Malformed)
        };
        let verdict = match within_time(limits, started, &ApprovalClock::default(), work).await {
            Some(Ok(violations)) => return Ok(violations),
            Some(Err(exit)) => judge_exit(exit, limits)?,
            None => time_up(started.elapsed(), limits),
        };
        Ok(vec![unscreened(&verdict)])
    };
    Running::new(screening, timers)
}

/// Lists the global variables of a session, without running code of a script's.
pub(crate) async fn list_globals(
    runtime: &Runtime,
    limits: &Limits,
    memory: &SavedMemory,
) -> Result<Globals, Error> {
    let _slot = runtime.admit().await?;
    let host = RunHost::blank();
    let streams = Streams::default();
    let memory = StartMemory::Saved(memory);
    let mut guest = instantiate(runtime, limits, streams, host, memory).await?;
    let listing = guest.call(export::GLOBALS);
    let listed = within_time(limits, Instant::now(), &ApprovalClock::default(), listing).await;
    let Some(Ok(listed)) = listed else {
        return Err(Error::Host(
            "the session does not tell its variables".to_owned(),
        ));
    };
    Globals::read(&listed)
        .map_err(|_| Error::Host("the session does not tell its variables".to_owned()))
}

impl Runtime {
    /// Lists the names of every module that a script can import, sorted.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run).
    pub fn modules(&self) -> Result<Vec<String>, Error> {
        pollster::block_on(list_modules(self.clone()))
    }
}

fn list_modules(runtime: Runtime) -> Running<Vec<String>> {
    let timers = runtime.timers();
    let listing = async move {
        let _slot = runtime.admit().await?;
        let mut guest = instantiate_blank(&runtime, &Limits::default()).await?;
        let modules = guest.call(export::MODULES).await;
        let modules = modules.map_err(|exit| Error::Host(format!("{exit:?}")))?;
        serde_json::from_slice(&modules).map_err(|error| Error::Host(error.to_string()))
    };
    Running::new(listing, timers)
}

async fn instantiate(
    runtime: &Runtime,
    limits: &Limits,
    streams: Streams,
    host: RunHost,
    memory: StartMemory<'_>,
) -> Result<Instance<RunHost>, Error> {
    let limits = EngineLimits {
        fuel: limits.fuel().or_max(),
        memory_bytes: usize::try_from(limits.memory_bytes()).unwrap_or(usize::MAX),
    };
    let instance = Instance::new(
        runtime.engine(),
        runtime.guest(),
        limits,
        streams,
        host,
        memory,
    )
    .await;
    instance.map_err(|error| Error::Host(error.to_string()))
}

/// Makes an instance that reaches nothing.
async fn instantiate_blank(runtime: &Runtime, limits: &Limits) -> Result<Instance<RunHost>, Error> {
    let (streams, host) = (Streams::default(), RunHost::blank());
    instantiate(runtime, limits, streams, host, StartMemory::Fresh).await
}

/// Makes streams whose outputs are kept within the limits, and passed on as events.
fn capture(stdin: Vec<u8>, limits: &Limits, events: &EventSender) -> Streams {
    let capture = |stream, limit| Capture::new(stream, limits.get(limit).or_max(), events.sink());
    let stdout = capture(Stream::Stdout, Limit::Stdout);
    let stderr = capture(Stream::Stderr, Limit::Stderr);
    Streams {
        stdin,
        outputs: Some([stdout, stderr]),
    }
}

/// The interval at which a run that waits for somebody's answer looks at its clock.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the result of `work` if it ends within the time limit, in which people's time does not
/// count.
async fn within_time<T>(
    limits: &Limits,
    started: Instant,
    approvals: &ApprovalClock,
    work: impl Future<Output = T>,
) -> Option<T> {
    let Allowance::AtMost(timeout) = limits.timeout() else {
        return Some(work.await);
    };
    let mut work = std::pin::pin!(work);
    loop {
        let (asked, is_asking) = approvals.elapsed();
        let mut deadline = started + timeout + asked;
        if is_asking {
            deadline = deadline.max(Instant::now() + POLL_INTERVAL);
        }
        if let Ok(done) = tokio::time::timeout_at(deadline.into(), &mut work).await {
            return Some(done);
        }
        let (asked, is_asking) = approvals.elapsed();
        if !is_asking && Instant::now() >= started + timeout + asked {
            return None;
        }
    }
}
