//! A log: a chain, and where it is written to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::record::Draft;
use crate::{Entry, FileSink, Memory, Sink, StderrSink, Sync};

/// A chain of records. Cheap to clone; clones are the same chain, and can record at once.
#[derive(Clone)]
pub struct Log {
    sink: Arc<Mutex<Box<dyn Sink>>>,
    may_block: bool,
    files: Arc<[PathBuf]>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// A log that is written to `sink`.
    pub fn new(sink: impl Sink) -> Self {
        Self {
            may_block: sink.may_block(),
            files: sink.files().into(),
            sink: Arc::new(Mutex::new(Box::new(sink))),
        }
    }

    /// A log in a file, which it creates or goes on with, synced [before tools](Sync::BeforeTools).
    ///
    /// # Errors
    ///
    /// As [`FileSink::open`].
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        FileSink::open(path, Sync::default()).map(Self::new)
    }

    /// A log in memory, and the lines in it.
    pub fn memory() -> (Self, Memory) {
        let memory = Memory::default();
        (Self::new(memory.clone()), memory)
    }

    /// A log on standard error.
    pub fn stderr() -> Self {
        Self::new(StderrSink::default())
    }

    /// Returns whether recording may have to wait.
    pub fn may_block(&self) -> bool {
        self.may_block
    }

    /// Returns the files that it is written to, by absolute paths.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Appends a record, and returns its length in bytes. When this returns, it has been written:
    /// what it tells of may be done.
    ///
    /// # Errors
    ///
    /// If it could not be written. Then what it tells of must not be done.
    pub fn record(&self, entry: &Entry<'_>) -> io::Result<u64> {
        let draft = Draft::new(entry);
        let broken = |_| io::Error::other("the sink of the audit log panicked");
        let mut sink = self.sink.lock().map_err(broken)?;
        sink.append(&draft)?;
        Ok(draft.written())
    }
}
