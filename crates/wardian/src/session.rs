//! One run as the gate sees it: its name, what it has used, what it was refused, and its part of
//! the audit log.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wardian_audit::{Data, Entry, Event, Log};
use wardian_policy::{Allowance, Limit, Limits, Policy};

use crate::call_error::{CallError, Refused};
use crate::files::Quota;
use crate::{Error, LimitKind, Outcome, Refusal, Refusals, Verdict};

/// How many refusals an outcome holds.
const REFUSALS: usize = 32;

/// How long a run waits for its audit log. One that does not answer can't be written.
const AUDIT_WAIT: Duration = Duration::from_secs(5);

/// How long a run that nobody waits for any more waits for its log.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Why a run has to stop where it is.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    /// The audit could not take note of something.
    #[error("the audit can't be written: {0}")]
    Audit(String),
    /// A limit that can't be caught.
    #[error("stopped at the limit of {}", .0.limit())]
    Limit(LimitKind, u64),
}

/// One run, or one tool that host code has taken up.
pub(crate) struct Session {
    pub(crate) run_id: String,
    agent: String,
    log: Option<Log>,
    limits: Limits,
    started: Instant,
    records: AtomicU64,
    calls: AtomicU64,
    calls_of: Mutex<BTreeMap<String, u64>>,
    refusals: Mutex<Refusals>,
    pub(crate) quota: Quota,
    on_record: Arc<Mutex<OnRecord>>,
    /// The log could not take a record: an end can't be written either.
    broken: AtomicBool,
}

/// What the log has of a session. It changes while a record is written, and only then: a record can be on its
/// way on another thread when nobody waits for it any more.
#[derive(Default)]
struct OnRecord {
    started: bool,
    /// It has an end, or will not start any more.
    over: bool,
    /// Calls that have started, each with the record of its end if it does not come to one.
    calls: BTreeMap<u64, (Event, Data)>,
}

impl OnRecord {
    /// Writes a record, unless the session is over. `unfinished` is for the start of a call.
    fn write(
        &mut self,
        log: &Log,
        entry: Entry<'_>,
        unfinished: Option<(Event, Data)>,
    ) -> io::Result<()> {
        if self.over {
            return Err(io::Error::other("the run is over"));
        }
        log.record(&entry)?;
        match (entry.event, unfinished) {
            (Event::RunStarted { .. }, _) => self.started = true,
            (Event::RunFinished { .. }, _) => self.over = true,
            (Event::ToolStarted { call, .. }, Some(end)) => drop(self.calls.insert(call, end)),
            (Event::ToolFinished { call, .. }, _) => drop(self.calls.remove(&call)),
            _ => {}
        }
        Ok(())
    }
}

impl Session {
    pub(crate) fn new(run_id: String, policy: &Policy, log: Option<Log>) -> Self {
        Self {
            run_id,
            agent: policy.agent().to_owned(),
            log,
            limits: policy.limits().clone(),
            started: Instant::now(),
            records: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            calls_of: Mutex::default(),
            refusals: Mutex::default(),
            quota: Quota::new(policy.limits()),
            on_record: Arc::default(),
            broken: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.log.is_some()
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
        unfinished: Option<(Event, Data)>,
    ) -> Result<(), Stop> {
        if self.log.is_none() {
            return Ok(());
        }
        let most = self.limits.get(Limit::Records).or_max();
        let count = self.records.fetch_add(1, Ordering::Relaxed);
        if count >= most {
            return Err(Stop::Limit(LimitKind::Records, most));
        }
        self.write(event, data, unfinished).await
    }

    async fn write(
        &self,
        event: Event,
        data: Data,
        unfinished: Option<(Event, Data)>,
    ) -> Result<(), Stop> {
        let written = self.written(event, data, unfinished).await;
        if written.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        written
    }

    async fn written(
        &self,
        event: Event,
        data: Data,
        unfinished: Option<(Event, Data)>,
    ) -> Result<(), Stop> {
        let Some(log) = self.log.clone() else {
            return Ok(());
        };
        let failed = |error: io::Error| Stop::Audit(error.to_string());
        let waits = log.waits();
        let (run, agent) = (self.run_id.clone(), self.agent.clone());
        let on_record = self.on_record.clone();
        let record = move || {
            let (run, agent) = (&run, &agent);
            let entry = Entry {
                run,
                agent,
                event,
                data,
            };
            lock(&on_record).write(&log, entry, unfinished)
        };
        if !waits {
            return record().map_err(failed);
        }
        // The clock goes on while a disk is waited for, and an end to the waiting there is.
        let writing = tokio::task::spawn_blocking(record);
        match tokio::time::timeout(AUDIT_WAIT, writing).await {
            Ok(Ok(written)) => written.map_err(failed),
            Ok(Err(_)) => Err(Stop::Audit("its sink panicked".to_owned())),
            Err(_) => Err(Stop::Audit(format!(
                "its sink did not answer for {AUDIT_WAIT:?}"
            ))),
        }
    }

    /// The run starts.
    pub(crate) async fn begin(
        &self,
        policy_sha256: &str,
        source_sha256: Option<&str>,
    ) -> Result<(), Stop> {
        if self.log.is_none() {
            return Ok(());
        }
        let shown = |limit: Limit| match self.limits.get(limit) {
            Allowance::AtMost(amount) => amount.into(),
            Allowance::Unlimited => "unlimited".into(),
        };
        let started = Event::RunStarted {
            source_sha256: source_sha256.map(ToOwned::to_owned),
            policy_sha256: policy_sha256.to_owned(),
            limits: Limit::ALL
                .into_iter()
                .map(|limit| (limit.key().to_owned(), shown(limit)))
                .collect(),
        };
        self.write(started, Data::default(), None).await
    }

    /// The run has ended, as its outcome says.
    pub(crate) async fn end(&self, outcome: &Outcome) -> Result<(), Error> {
        let ended = async {
            let unfinished = lock(&self.on_record).calls.clone();
            for (event, data) in unfinished.into_values() {
                self.write(event, data, None).await?;
            }
            match &outcome.verdict {
                Verdict::Rejected { violations } => {
                    let shown = violations
                        .iter()
                        .map(|found| format!("{}:{}: {}", found.line, found.column, found.message));
                    let data = data(|data| data.violations = shown.collect());
                    let violations = violations.len() as u64;
                    self.write(Event::Rejected { violations }, data, None)
                        .await?;
                }
                Verdict::Limit {
                    which,
                    used,
                    allowed,
                } => {
                    let event = Event::Limit {
                        limit: which.limit().key().to_owned(),
                        used: *used,
                        most: *allowed,
                    };
                    self.write(event, Data::default(), None).await?;
                }
                _ => {}
            }
            let verdict = &outcome.verdict;
            let code = match verdict {
                Verdict::Exited { code } => Some(*code),
                _ => None,
            };
            let end = self.finished(verdict.name(), code, outcome.usage.fuel);
            self.write(end, why(verdict), None).await
        };
        ended.await.map_err(Error::from)
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
        let Some(log) = self.log.clone() else {
            return;
        };
        // A record may be on its way, to a sink that hangs.
        let over = self
            .on_record
            .try_lock()
            .is_ok_and(|on_record| on_record.over);
        if over || self.broken.load(Ordering::Relaxed) {
            return;
        }
        let end = (self.finished("stopped", None, 0), Data::default());
        let (run, agent, waits) = (self.run_id.clone(), self.agent.clone(), log.waits());
        let on_record = self.on_record.clone();
        let record = move || {
            let mut on_record = lock(&on_record);
            if !on_record.started {
                // Its start, if that is on its way, is not written any more.
                on_record.over = true;
                return;
            }
            let calls = on_record.calls.clone().into_values();
            for (event, data) in calls.chain([end]) {
                let (run, agent) = (&run, &agent);
                let entry = Entry {
                    run,
                    agent,
                    event,
                    data,
                };
                // There is nobody left to tell.
                let _ = on_record.write(&log, entry, None);
            }
        };
        if !waits {
            return record();
        }
        // Not on this thread, which a sink that hangs would hold.
        let (done, written) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            record();
            let _ = done.send(());
        });
        let _ = written.recv_timeout(LAST_WAIT);
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
