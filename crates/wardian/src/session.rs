//! One run as the gate sees it: its name, what it has used, what it was refused, and its part of
//! the audit log.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wardian_audit::{Data, Event, Log};
use wardian_policy::{Allowance, Limit, Limits, Policy};

use crate::account::{Account, Reservation, TooMuch};
use crate::arguments;
use crate::call_error::{CallError, Refused};
use crate::files::Quota;
use crate::meter::Meter;
use crate::on_record::{OnRecord, Said};
use crate::threads::{LOGS, Unfinished};
use crate::{Error, LimitKind, Outcome, Refusal, Refusals, Verdict};

/// How many refusals an outcome holds.
const REFUSALS: usize = 32;

/// How long a run waits for its audit log. One that does not answer can't be written.
const AUDIT_WAIT: Duration = Duration::from_secs(5);

/// What is set aside of the log's limit for a record before it is written, in bytes: more than any takes.
const RECORD_BYTES: u64 = 256 << 10;

/// Why a run has to stop where it is.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    /// The audit could not take note of something.
    #[error("the audit can't be written: {0}")]
    Audit(String),
    /// A limit that can't be caught.
    #[error("stopped at the limit of {}", .0.limit())]
    Limit(LimitKind, u64),
    /// The host is short of something.
    #[error("{0}")]
    Host(String),
}

/// A script, as the record names it.
#[derive(Clone, Copy)]
pub(crate) struct ScriptRecord<'s> {
    pub(crate) sha256: &'s str,
    /// The host's name for it.
    pub(crate) name: Option<&'s str>,
}

/// One run, or one tool that host code has taken up.
pub(crate) struct Session {
    pub(crate) run_id: String,
    /// Its part of the log; `None` where nothing is recorded.
    on_record: Option<Arc<OnRecord>>,
    /// The log could not take a record: an end can't be written either.
    broken: AtomicBool,
    limits: Limits,
    started: Instant,
    records: AtomicU64,
    calls: AtomicU64,
    calls_of: Mutex<BTreeMap<String, u64>>,
    refusals: Mutex<Refusals>,
    pub(crate) quota: Quota,
    /// Bytes of its records.
    recorded: Meter,
    /// The host's memory that its calls take.
    pub(crate) account: Account,
    people: People,
}

/// The time that people took to answer, which is not the run's.
#[derive(Default)]
struct People(Mutex<Thinking>);

#[derive(Default)]
struct Thinking {
    /// Questions that are open, and since when.
    open: usize,
    since: Option<Instant>,
    before: Duration,
}

/// A question that somebody has not answered yet.
pub(crate) struct Question<'s>(&'s Session);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut thinking = lock(&self.0.people.0);
        thinking.open = thinking.open.saturating_sub(1);
        if thinking.open == 0
            && let Some(since) = thinking.since.take()
        {
            thinking.before += since.elapsed();
        }
    }
}

impl Session {
    pub(crate) fn new(run_id: String, policy: &Policy, log: Option<Log>) -> Self {
        let on_record = log.map(|log| Arc::new(OnRecord::new(log, &run_id, policy.agent())));
        Self {
            run_id,
            on_record,
            broken: AtomicBool::new(false),
            limits: policy.limits().clone(),
            started: Instant::now(),
            records: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            calls_of: Mutex::default(),
            refusals: Mutex::default(),
            quota: Quota::new(policy.limits()),
            recorded: Meter::new(policy.limits().get(Limit::RecordBytes).or_max()),
            account: Account::new(policy.limits().get(Limit::HostMemory).or_max()),
            people: People::default(),
        }
    }

    /// Stops the run's clock for as long as somebody is asked.
    pub(crate) fn ask(&self) -> Question<'_> {
        let mut thinking = lock(&self.people.0);
        thinking.open += 1;
        thinking.since.get_or_insert_with(Instant::now);
        Question(self)
    }

    /// Returns how long people took to answer so far, and whether somebody is being asked.
    pub(crate) fn asked(&self) -> (Duration, bool) {
        let thinking = lock(&self.people.0);
        let now = thinking
            .since
            .map_or(Duration::ZERO, |since| since.elapsed());
        (thinking.before + now, thinking.since.is_some())
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.on_record.is_some()
    }

    /// How long a call may wait for its tool.
    pub(crate) fn tool_wait(&self) -> Duration {
        Duration::from_nanos(self.limits.get(Limit::ToolWait).or_max())
    }

    /// The most that the arguments of a call can be, in bytes of JSON.
    pub(crate) fn most_bytes(&self) -> usize {
        let most = self.limits.get(Limit::ToolBytes).or_max();
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Are arguments of this length short enough?
    pub(crate) fn fits(&self, bytes: usize) -> Result<(), Refused> {
        let most = self.most_bytes();
        if bytes <= most {
            return Ok(());
        }
        let message = format!("the arguments take {bytes} bytes; at most {most} are passed on");
        let error = CallError::Value(message);
        Err(Refused::by(Limit::ToolBytes.key(), error))
    }

    /// What a reply can take of the host's memory: as the tool's own type, and as JSON.
    pub(crate) fn reply_room(&self) -> u64 {
        2 * self.most_bytes() as u64
    }

    /// What a call with these arguments can take of the host's memory: their text twice, three times what it is parsed
    /// to, and the reply.
    pub(crate) fn footprint(&self, json: &str) -> u64 {
        let parsed = arguments::weight(json);
        2 * json.len() as u64 + 3 * parsed + self.reply_room()
    }

    /// Reserves memory of the host for a call, as soon as it is free.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, Refused> {
        let reserving = self.account.reserve(bytes);
        match tokio::time::timeout(self.tool_wait(), reserving).await {
            Ok(reserved) => reserved.map_err(|error| self.too_much(bytes, error)),
            Err(_) => {
                let message = format!(
                    "the call needs {bytes} bytes of the host's memory, which other calls have"
                );
                Err(self.no_memory(CallError::TimedOut(message)))
            }
        }
    }

    /// A call that would never get its memory.
    pub(crate) fn too_much(&self, bytes: u64, TooMuch { max_bytes }: TooMuch) -> Refused {
        let message = format!(
            "the call needs {bytes} bytes of the host's memory; {} allows {max_bytes}: pass less at once",
            Limit::HostMemory
        );
        self.no_memory(CallError::Value(message))
    }

    fn no_memory(&self, error: CallError) -> Refused {
        Refused::by(Limit::HostMemory.key(), error)
    }

    /// Takes note of something that the script has caused.
    ///
    /// # Errors
    ///
    /// If that fails, or there is too much of it. Then it must not be done.
    pub(crate) async fn note(&self, event: Event, data: Data) -> Result<(), Stop> {
        self.note_start(event, data, None).await
    }

    /// Takes note of the start of a call; `unfinished` is the record of its end if it does not come to one.
    ///
    /// # Errors
    ///
    /// As [`note`](Self::note).
    pub(crate) async fn note_start(
        &self,
        event: Event,
        data: Data,
        unfinished: Option<Said>,
    ) -> Result<(), Stop> {
        if self.on_record.is_none() {
            return Ok(());
        }
        let most = self.limits.get(Limit::Records).or_max();
        let count = self.records.fetch_add(1, Ordering::Relaxed);
        if count >= most {
            return Err(Stop::Limit(LimitKind::Records, most));
        }
        let max = self.recorded.max();
        let taken = self.recorded.take(RECORD_BYTES.min(max), RECORD_BYTES);
        let taken = taken.ok_or(Stop::Limit(LimitKind::RecordBytes, max))?;
        let write = move |record: &OnRecord| {
            let written = record.note((event, data), unfinished)?;
            taken.settle(written);
            Ok(())
        };
        self.write(write).await
    }

    /// Writes to the log, if there is one.
    async fn write(
        &self,
        write: impl FnOnce(&OnRecord) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Stop> {
        let Some(on_record) = self.on_record.clone() else {
            return Ok(());
        };
        let written = match on_record.waits() {
            false => write(&on_record).map_err(|error| error.to_string()),
            // The clock goes on while a disk is waited for, and an end to the waiting there is.
            true => {
                let writing = LOGS.run(move || write(&on_record));
                match tokio::time::timeout(AUDIT_WAIT, writing).await {
                    Ok(Ok(written)) => written.map_err(|error| error.to_string()),
                    Ok(Err(Unfinished::Panicked)) => Err("its sink panicked".to_owned()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err(format!("its sink did not answer for {AUDIT_WAIT:?}")),
                }
            }
        };
        written.map_err(|why| {
            self.broken.store(true, Ordering::Relaxed);
            Stop::Audit(why)
        })
    }

    /// The run starts.
    pub(crate) async fn begin(
        &self,
        policy: &Policy,
        policy_sha256: &str,
        script: Option<ScriptRecord<'_>>,
    ) -> Result<(), Stop> {
        if self.on_record.is_none() {
            return Ok(());
        }
        let shown = |limit: Limit| match self.limits.get(limit) {
            Allowance::AtMost(amount) => amount.into(),
            Allowance::Unlimited => "unlimited".into(),
        };
        let started = Event::RunStarted {
            source_sha256: script.map(|script| script.sha256.to_owned()),
            script: script.and_then(|script| Some(script.name?.to_owned())),
            policy: policy
                .file()
                .map(|file| file.to_string_lossy().into_owned()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            policy_sha256: policy_sha256.to_owned(),
            limits: Limit::ALL
                .into_iter()
                .map(|limit| (limit.key().to_owned(), shown(limit)))
                .collect(),
        };
        self.write(|record| record.note((started, Data::default()), None).map(drop))
            .await
    }

    /// The run has ended, as its outcome says.
    pub(crate) async fn end(&self, outcome: &Outcome) -> Result<(), Error> {
        let verdict = &outcome.verdict;
        let mut last = Vec::new();
        match verdict {
            Verdict::Rejected { violations } => {
                let shown = violations
                    .iter()
                    .map(|found| format!("{}:{}: {}", found.line, found.column, found.message));
                let data = data(|data| data.violations = shown.collect());
                let violations = violations.len() as u64;
                last.push((Event::Rejected { violations }, data));
            }
            Verdict::Limit {
                which,
                used,
                allowed,
                line,
            } => {
                let event = Event::Limit {
                    limit: which.limit().key().to_owned(),
                    used: *used,
                    most: *allowed,
                    line: *line,
                };
                last.push((event, Data::default()));
            }
            _ => {}
        }
        let code = match verdict {
            Verdict::Exited { code } => Some(*code),
            _ => None,
        };
        let end = self.finished(verdict.name(), code, outcome.usage.fuel);
        last.push((end, why(verdict)));
        self.write(|record| record.end(last))
            .await
            .map_err(Error::from)
    }

    fn finished(&self, verdict: &str, code: Option<i32>, fuel: u64) -> Event {
        Event::RunFinished {
            verdict: verdict.to_owned(),
            code,
            duration_us: micros(self.started.elapsed()),
            fuel,
            tool_calls: self.calls(),
            refusals: lock(&self.refusals).count,
        }
    }

    /// The run has not come to an outcome, or host code has let go of its tool.
    fn abandon(&self) {
        let Some(on_record) = self.on_record.clone() else {
            return;
        };
        if on_record.is_over() || self.broken.load(Ordering::Relaxed) {
            return;
        }
        let last = vec![(self.finished("stopped", None, 0), Data::default())];
        let waits = on_record.waits();
        // There is nobody left to tell of a failure.
        let abandon = move || drop(on_record.abandon(last));
        match waits {
            false => abandon(),
            // Not on this thread, which a sink that hangs would hold.
            true => drop(LOGS.spawn(abandon)),
        }
    }

    /// One more call of a tool: which it is, from 1.
    pub(crate) fn call(&self) -> Result<u64, Stop> {
        let most = self.limits.get(Limit::ToolCalls).or_max();
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        match call > most {
            true => Err(Stop::Limit(LimitKind::ToolCalls, most)),
            false => Ok(call),
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// One more call of this tool: how many there were.
    pub(crate) fn call_of(&self, tool: &str) -> u64 {
        let mut calls = lock(&self.calls_of);
        match calls.get_mut(tool) {
            Some(calls) => {
                *calls += 1;
                *calls
            }
            None => {
                calls.insert(tool.to_owned(), 1);
                1
            }
        }
    }

    /// Keeps what was refused, for the outcome.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let mut refusals = lock(&self.refusals);
        refusals.count += 1;
        let first = &mut refusals.first;
        if first.len() < REFUSALS && !first.contains(&refusal) {
            first.push(refusal);
        }
    }

    pub(crate) fn take_refusals(&self) -> Refusals {
        lock(&self.refusals).clone()
    }
}

/// Whoever goes on with a session. When this is dropped, the session has an end on the record, also
/// if nobody has waited for it; what still works for it does not keep it open.
pub(crate) struct Going(pub(crate) Arc<Session>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What an error says of a run's end.
fn why(verdict: &Verdict) -> Data {
    data(|data| {
        data.error = match verdict {
            Verdict::Raised(_) | Verdict::Denied { .. } | Verdict::Crashed { .. } => {
                Some(verdict.to_string())
            }
            _ => None,
        }
    })
}

/// What a script or a tool has said, in a record.
pub(crate) fn data(fill: impl FnOnce(&mut Data)) -> Data {
    let mut data = Data::default();
    fill(&mut data);
    data
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What a panic has interrupted are counters and lists, each whole at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
