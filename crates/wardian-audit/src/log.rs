//! A log: a chain, and where it is written to.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::record::seal;
use crate::{Entry, FileSink, Head, Memory, Sink, StderrSink, Sync};

/// A chain of records. Cheap to clone; clones are the same chain, and can record at once.
#[derive(Clone)]
pub struct Log {
    chain: Arc<Mutex<Chain>>,
    waits: bool,
}

struct Chain {
    head: Head,
    sink: Box<dyn Sink>,
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
            waits: sink.waits(),
            chain: Arc::new(Mutex::new(Chain {
                head: Head::default(),
                sink: Box::new(sink),
            })),
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
        Self::new(StderrSink)
    }

    /// Whether recording may have to wait.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Adds a record at the end. When this returns, it has been written: what it tells of may be
    /// done.
    ///
    /// # Errors
    ///
    /// If it could not be written. Then what it tells of must not be done.
    pub fn record(&self, entry: &Entry<'_>) -> io::Result<()> {
        let broken = |_| io::Error::other("the audit log broke while it was written");
        let mut chain = self.chain.lock().map_err(broken)?;
        let Chain { head, sink } = &mut *chain;
        if let Some(elsewhere) = sink.head()? {
            *head = elsewhere;
        }
        let mut next = head.clone();
        let line = seal(entry, &mut next)?;
        sink.append(&line, entry.event.is_durable())?;
        // A line that was not written is not part of the chain.
        *head = next;
        Ok(())
    }
}
