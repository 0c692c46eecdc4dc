//! The writer of one run's audit records. It knows which calls are in flight, so that a run that is
//! abandoned while a record is being written still gets its last records.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wardian_audit::{Data, Event, Log, SessionCall};
use wardian_policy::{Limit, Limits};

use super::{EventSender, Meter, Stop};
use crate::threads::{LOGS, Unfinished};

/// The longest wait for an audit log. One that does not answer can't be written.
const AUDIT_WAIT: Duration = Duration::from_secs(5);

/// The part of the log's limit that is set aside for a record before it is written, in bytes: more
/// than any takes.
const RECORD_BYTES: u64 = 256 << 10;

/// An event, and what scripts and tools have said of it.
pub(crate) type Entry = (Event, Data);

/// The name of a run on its records.
#[derive(Clone)]
pub(crate) struct RunName {
    /// The id of this run, and of no other.
    pub(crate) id: String,
    /// The call of a session that the run is.
    pub(crate) session: Option<SessionCall>,
}

impl From<String> for RunName {
    fn from(id: String) -> Self {
        Self { id, session: None }
    }
}

/// Writes the records of a run, within its limits, and tells whoever follows it. Writes nothing
/// where there is no log.
pub(crate) struct Recorder {
    log: Option<Arc<RunLog>>,
    events: EventSender,
    /// Set once the log could not take a record: an end can't be written either.
    broken: AtomicBool,
    max_records: u64,
    records: AtomicU64,
    /// Bytes of the records.
    bytes: Meter,
}

impl Recorder {
    pub(crate) fn new(
        log: Option<Log>,
        events: EventSender,
        run: RunName,
        agent: &str,
        limits: &Limits,
    ) -> Self {
        Self {
            events,
            log: log.map(|log| Arc::new(RunLog::new(log, run, agent))),
            broken: AtomicBool::new(false),
            max_records: limits.get(Limit::Records).or_max(),
            records: AtomicU64::new(0),
            bytes: Meter::new(limits.get(Limit::RecordBytes).or_max()),
        }
    }

    /// Returns whether there is a log, or somebody who follows the run.
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some() || self.events.is_on()
    }

    /// Returns whether the run is a call of a session.
    pub(crate) fn is_of_session(&self) -> bool {
        let log = self.log.as_ref();
        log.is_some_and(|log| log.run.session.is_some())
    }

    /// Records something that the script has caused.
    ///
    /// # Errors
    ///
    /// If that fails, or there is too much of it. Then it must not be done.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), Stop> {
        self.record_start(entry, None).await
    }

    /// Records the start of a call; `unfinished` is the record of its end if it does not come to
    /// one.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub(crate) async fn record_start(
        &self,
        entry: Entry,
        unfinished: Option<Entry>,
    ) -> Result<(), Stop> {
        let event = self.events.event_of(&entry);
        if self.log.is_some() {
            self.record_in_log(entry, unfinished).await?;
        }
        if let Some(event) = event {
            self.events.send(event).await;
        }
        Ok(())
    }

    async fn record_in_log(&self, entry: Entry, unfinished: Option<Entry>) -> Result<(), Stop> {
        let stop = |limit, max| Stop::Limit { limit, max };
        let count = self.records.fetch_add(1, Ordering::Relaxed);
        if count >= self.max_records {
            return Err(stop(Limit::Records, self.max_records));
        }
        let max = self.bytes.max();
        let taken = self.bytes.take(RECORD_BYTES.min(max), RECORD_BYTES);
        let taken = taken.ok_or(stop(Limit::RecordBytes, max))?;
        self.write(move |log| {
            let written = log.record(entry, unfinished)?;
            taken.settle(written);
            Ok(())
        })
        .await
    }

    /// Records that the run starts, which counts against no limit.
    pub(crate) async fn begin(&self, started: Entry) -> Result<(), Stop> {
        self.write(move |log| log.record(started, None).map(drop))
            .await
    }

    /// Writes the last records, after the ends of calls that have not come to one.
    pub(crate) async fn end(&self, last: Vec<Entry>) -> Result<(), Stop> {
        self.write(move |log| log.end(last)).await
    }

    /// Writes the last records of a run that nobody waits for, if it has started and has no end.
    pub(crate) fn abandon(&self, last: Vec<Entry>) {
        let Some(log) = self.log.clone() else {
            return;
        };
        if log.is_over() || self.broken.load(Ordering::Relaxed) {
            return;
        }
        let may_block = log.may_block();
        // There is nobody left to tell of a failure.
        let abandon = move || drop(log.abandon(last));
        if may_block {
            // Not on this thread, which a sink that hangs would hold.
            drop(LOGS.spawn(abandon));
        } else {
            abandon();
        }
    }

    /// Writes to the log, if there is one.
    async fn write(
        &self,
        write: impl FnOnce(&RunLog) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Stop> {
        let Some(log) = self.log.clone() else {
            return Ok(());
        };
        let written = if log.may_block() {
            // The run's clock goes on while a disk is waited for, and so does this one.
            let writing = LOGS.run(move || write(&log));
            match tokio::time::timeout(AUDIT_WAIT, writing).await {
                Ok(Ok(written)) => written.map_err(|error| error.to_string()),
                Ok(Err(Unfinished::Panicked)) => Err("its sink panicked".to_owned()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("its sink did not answer for {AUDIT_WAIT:?}")),
            }
        } else {
            write(&log).map_err(|error| error.to_string())
        };
        written.map_err(|reason| {
            self.broken.store(true, Ordering::Relaxed);
            Stop::Audit(reason)
        })
    }
}

/// The part of a log that belongs to one run.
struct RunLog {
    log: Log,
    run: RunName,
    agent: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: bool,
    /// Set if the run has an end, or will not start any more.
    over: bool,
    /// Calls in flight, each with the record of its end if it does not come to one.
    calls: BTreeMap<u64, Entry>,
}

impl RunLog {
    fn new(log: Log, run: RunName, agent: &str) -> Self {
        Self {
            log,
            run,
            agent: agent.to_owned(),
            state: Mutex::default(),
        }
    }

    fn may_block(&self) -> bool {
        self.log.may_block()
    }

    /// Returns whether the run has an end. It has none while a record is being written.
    fn is_over(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.over)
    }

    /// Writes a record. Returns its length in bytes.
    fn record(&self, entry: Entry, unfinished: Option<Entry>) -> io::Result<u64> {
        self.write(&mut self.state.lock(), entry, unfinished)
    }

    fn end(&self, last: Vec<Entry>) -> io::Result<()> {
        self.write_last(&mut self.state.lock(), last)
    }

    /// As [`end`](Self::end) if the run has started; a start that is being written is not written
    /// any more.
    fn abandon(&self, last: Vec<Entry>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.started {
            return self.write_last(&mut state, last);
        }
        state.over = true;
        Ok(())
    }

    fn write_last(&self, state: &mut State, last: Vec<Entry>) -> io::Result<()> {
        let calls = state.calls.clone().into_values();
        calls
            .chain(last)
            .try_for_each(|entry| self.write(state, entry, None).map(drop))
    }

    /// Writes a record. Nothing is written after the end.
    fn write(
        &self,
        state: &mut State,
        (event, data): Entry,
        unfinished: Option<Entry>,
    ) -> io::Result<u64> {
        if state.over {
            return Err(io::Error::other("the run is over"));
        }
        let entry = wardian_audit::Entry {
            run: &self.run.id,
            session: self.run.session.as_ref(),
            agent: &self.agent,
            event,
            data,
        };
        let written = self.log.record(&entry)?;
        match (entry.event, unfinished) {
            (Event::RunStarted { .. }, _) => state.started = true,
            (Event::RunFinished { .. }, _) => state.over = true,
            (Event::ToolStarted { call, .. }, Some(end)) => drop(state.calls.insert(call, end)),
            (Event::ToolFinished { call, .. }, _) => drop(state.calls.remove(&call)),
            _ => {}
        }
        Ok(written)
    }
}

/// Fills what a script or a tool has said, for a record.
pub(crate) fn data(fill: impl FnOnce(&mut Data)) -> Data {
    let mut data = Data::default();
    fill(&mut data);
    data
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
