//! Reads a log back, and checks that it is as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};

use crate::file::LINE_BYTES;
use crate::record::unseal;
use crate::{Event, Head, Record};

/// The facts of a whole log that verifies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verified {
    /// The count of records.
    pub records: u64,
    /// The head of the chain. That nothing is missing at the end shows when somebody else has
    /// kept this.
    pub head: Head,
    /// The runs that have started and not ended: they go on, or their process died.
    pub open_runs: Vec<String>,
    /// The calls that have started and not ended.
    pub open_calls: Vec<OpenCall>,
}

/// A call of a tool that has started and not ended: what it did is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenCall {
    /// The line that says that it started, from 1.
    pub line: u64,
    /// The run.
    pub run: String,
    /// The number of the call in its run.
    pub call: u64,
    /// The tool.
    pub tool: String,
}

/// The first line of a log that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
#[non_exhaustive]
pub struct Broken {
    /// The line, from 1.
    pub line: u64,
    /// The mistake.
    pub why: String,
    /// The count of records before it that are as they were written.
    pub intact: u64,
}

/// A reason for which a log does not verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not as it was written.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Checks a whole log.
///
/// # Errors
///
/// [`VerifyError`] with the first line that is not as it was written.
pub fn verify(log: impl BufRead) -> Result<Verified, VerifyError> {
    verify_after(log, Head::default())
}

/// Checks a log that goes on where another has ended.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_after(log: impl BufRead, start: Head) -> Result<Verified, VerifyError> {
    let mut head = start;
    let mut verified = Verified::default();
    let mut runs = BTreeSet::new();
    let mut calls = BTreeMap::new();
    for record in records(log) {
        let record = record?;
        let line = verified.records + 1;
        let broken = |why: String| Broken {
            line,
            why,
            intact: line - 1,
        };
        if record.prev != head.hash || record.seq != head.records {
            let why = if record.seq == head.records {
                "it does not follow the record before it".to_owned()
            } else {
                format!(
                    "it is record {}, where record {} belongs: some are missing, or in another order",
                    record.seq, head.records
                )
            };
            return Err(broken(why).into());
        }
        match record.event {
            Event::RunStarted { .. } => drop(runs.insert(record.run)),
            Event::RunFinished { .. } => drop(runs.remove(&record.run)),
            Event::ToolStarted { call, tool, .. } => {
                let open = OpenCall {
                    line,
                    run: record.run.clone(),
                    call,
                    tool,
                };
                calls.insert((record.run, call), open);
            }
            Event::ToolFinished { call, .. } => drop(calls.remove(&(record.run, call))),
            _ => {}
        }
        head = Head {
            records: record.seq + 1,
            hash: record.hash,
        };
        verified.records = line;
    }
    verified.head = head;
    verified.open_runs = runs.into_iter().collect();
    verified.open_calls = calls.into_values().collect();
    verified.open_calls.sort_by_key(|call| call.line);
    Ok(verified)
}

/// The records of a log, each checked by itself: not whether one follows the other.
pub fn records<R: BufRead>(log: R) -> Records<R> {
    Records { log, line: 0 }
}

/// The records of a log, in order. Ends after the first that is broken.
#[derive(Debug)]
pub struct Records<R> {
    log: R,
    line: u64,
}

impl<R: BufRead> Records<R> {
    fn read(&mut self) -> Result<Option<Record>, VerifyError> {
        let mut line = Vec::new();
        let longest = LINE_BYTES + 1;
        let read = self
            .log
            .by_ref()
            .take(longest)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let record = match str::from_utf8(&line) {
            Ok(_) if read as u64 == longest => Err("it is longer than any record"),
            Ok(line) => unseal(line),
            Err(_) => Err("it is not text"),
        };
        record.map(Some).map_err(|why| {
            let broken = Broken {
                line: self.line,
                why: why.to_owned(),
                intact: self.line - 1,
            };
            broken.into()
        })
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.line == u64::MAX {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.line = u64::MAX;
        }
        record.transpose()
    }
}
