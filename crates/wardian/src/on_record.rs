//! What the audit log has of one session, which changes as records are written: a record can be on its way, on a
//! thread that waits for a disk, when nobody waits for it any more.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, TryLockError};

use wardian_audit::{Data, Entry, Event, Log};

use crate::session::lock;

/// An event, and what scripts and tools have said of it.
pub(crate) type Said = (Event, Data);

/// Writes the records of one session.
pub(crate) struct OnRecord {
    log: Log,
    run: String,
    agent: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: bool,
    /// It has an end, or will not start any more.
    over: bool,
    /// Calls that have started, each with the record of its end if it does not come to one.
    calls: BTreeMap<u64, Said>,
}

impl OnRecord {
    pub(crate) fn new(log: Log, run: &str, agent: &str) -> Self {
        Self {
            log,
            run: run.to_owned(),
            agent: agent.to_owned(),
            state: Mutex::default(),
        }
    }

    /// Whether writing may have to wait.
    pub(crate) fn waits(&self) -> bool {
        self.log.waits()
    }

    /// Has it an end? Not while a record is on its way.
    pub(crate) fn is_over(&self) -> bool {
        match self.state.try_lock() {
            Ok(state) => state.over,
            Err(TryLockError::Poisoned(state)) => state.into_inner().over,
            Err(TryLockError::WouldBlock) => false,
        }
    }

    /// Writes a record, and returns its length in bytes. `unfinished` is for the start of a call: the record of its end, if it does not come
    /// to one.
    pub(crate) fn note(&self, said: Said, unfinished: Option<Said>) -> io::Result<u64> {
        self.write(&mut lock(&self.state), said, unfinished)
    }

    /// Writes its last records, after the ends of calls that have not come to one.
    pub(crate) fn end(&self, last: Vec<Said>) -> io::Result<()> {
        self.write_last(&mut lock(&self.state), last)
    }

    /// The same if it has started; if its start is on its way, that is not written any more.
    pub(crate) fn abandon(&self, last: Vec<Said>) -> io::Result<()> {
        let mut state = lock(&self.state);
        match state.started {
            true => self.write_last(&mut state, last),
            false => {
                state.over = true;
                Ok(())
            }
        }
    }

    fn write_last(&self, state: &mut State, last: Vec<Said>) -> io::Result<()> {
        let calls = state.calls.clone().into_values();
        calls
            .chain(last)
            .try_for_each(|said| self.write(state, said, None).map(drop))
    }

    /// Nothing is written after the end.
    fn write(
        &self,
        state: &mut State,
        (event, data): Said,
        unfinished: Option<Said>,
    ) -> io::Result<u64> {
        if state.over {
            return Err(io::Error::other("the run is over"));
        }
        let entry = Entry {
            run: &self.run,
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
