//! Counters of a run: files, bytes, calls of tools, memory of the host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wardian_policy::{Limit, Limits};

use super::{Account, Meter, Stop};

/// The counters of a run, each with its limit.
pub(crate) struct Meters {
    /// The largest size of a file, in bytes.
    pub(crate) max_file_bytes: u64,
    /// The most files and directories that are open at once.
    pub(crate) max_open_files: usize,
    /// The most bytes of JSON that arguments take, and that a reply takes.
    pub(crate) max_tool_bytes: usize,
    /// The longest time that a call waits for its tool.
    pub(crate) tool_wait: Duration,
    /// Bytes written to files, and bytes by which they grew.
    pub(crate) written: Meter,
    /// Files, directories and links that were created.
    pub(crate) created: Meter,
    /// Memory of the host that calls have reserved.
    pub(crate) account: Account,
    max_calls: u64,
    calls: AtomicU64,
    calls_of: Mutex<BTreeMap<String, u64>>,
}

impl Meters {
    pub(crate) fn new(limits: &Limits) -> Self {
        let max = |limit| limits.get(limit).or_max();
        let max_size = |limit| usize::try_from(max(limit)).unwrap_or(usize::MAX);
        Self {
            max_file_bytes: max(Limit::FileSize),
            max_open_files: max_size(Limit::OpenFiles),
            max_tool_bytes: max_size(Limit::ToolBytes),
            tool_wait: Duration::from_nanos(max(Limit::ToolWait)),
            written: Meter::new(max(Limit::BytesWritten)),
            created: Meter::new(max(Limit::FilesCreated)),
            account: Account::new(max(Limit::HostMemory)),
            max_calls: max(Limit::ToolCalls),
            calls: AtomicU64::new(0),
            calls_of: Mutex::default(),
        }
    }

    /// Counts a call. Returns its number, from 1.
    pub(crate) fn count_call(&self) -> Result<u64, Stop> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call > self.max_calls {
            return Err(Stop::Limit {
                limit: Limit::ToolCalls,
                max: self.max_calls,
            });
        }
        Ok(call)
    }

    /// Returns the count of calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Counts a call of one tool. Returns its number among those of the tool.
    pub(crate) fn count_call_of(&self, tool: &str) -> u64 {
        let mut calls = self.calls_of.lock();
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
}
