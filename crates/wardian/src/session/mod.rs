//! Sessions: state that lasts from one call to the next.
//!
//! No instance of the guest lives between calls. A call gets an instance whose memory starts as the
//! last call left it; what it writes is kept when it has come to rest, and dropped when it was
//! stopped. So a call that was stopped is undone without anything being copied back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard};
use wardian_abi::SessionCall;
use wardian_audit as audit;
use wardian_engine::{SavedMemory, Stream};

use crate::files::OpenFiles;
use crate::run::{self, CallState, Running, SharedSink};
use crate::{Error, Gate, Outcome, Runtime, Script};

/// Settings of a [`Session`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The time that a call waits for the one before it to end. 10 s by default.
    pub turn_wait: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            turn_wait: Duration::from_secs(10),
        }
    }
}

/// An interpreter that lasts: each call of [`run`](Self::run) goes on where the last one left off.
/// Made by [`Sandbox::session`](crate::Sandbox::session). Clones are the same session.
///
/// Every limit of the policy holds for each call as it does for a run. A call that is stopped, by a
/// limit, by a crash, by `os._exit()` or because its future was dropped, is undone: variables,
/// modules, open files and their positions are as before the call. What it printed is in its
/// outcome; what it wrote to files and what its tools did stays done. An exception of Python's is no
/// such end: what was done before it stays.
///
/// ```
/// use wardian::{Policy, Runtime, Sandbox, session::SessionOptions};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let session = sandbox.session(SessionOptions::default())?;
/// session.run_blocking("import math\nradius = 2")?;
/// session.run_blocking("radius = 3\nwhile True: pass")?; // stopped by a limit, and undone
/// let outcome = session.run_blocking("math.floor(math.pi * radius ** 2)")?;
/// assert_eq!(outcome.json()["value"], 12);
/// # Ok::<(), wardian::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    id: Arc<str>,
    runtime: Runtime,
    gate: Gate,
    options: SessionOptions,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The state of a session between its calls.
struct State {
    /// `None` once it could not be kept.
    kept: Option<Kept>,
    /// The count of calls so far.
    calls: u32,
}

/// The things that one call leaves to the next.
struct Kept {
    memory: SavedMemory,
    files: OpenFiles,
    /// Set once a call has left something.
    is_used: bool,
    /// Set while a call is in flight, and after one that nobody waited for.
    unsettled: Option<Positions>,
}

/// The longest wait for a file operation of a call that was stopped.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// The interval at which it is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The handles of an open file while nothing is done with it: in the table, and beside its
/// position.
const OWN_HANDLES: usize = 2;

/// The positions of open files before a call.
type Positions = Vec<(Arc<crate::files::OpenFile>, u64)>;

impl Kept {
    /// Drops what a call has done to the state, unless that was settled. Is done anew by the next
    /// call if this is dropped.
    async fn undo(&mut self) -> Result<(), Error> {
        let Some(positions) = &self.unsettled else {
            return Ok(());
        };
        for (file, position) in positions {
            // An operation of the call can still be waiting for a disk, and moves the position.
            let until = Instant::now() + DISK_WAIT;
            while Arc::strong_count(file) > OWN_HANDLES {
                if Instant::now() > until {
                    return Err(Error::SessionEnded {
                        reason: format!("a file operation did not end within {DISK_WAIT:?}"),
                    });
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            file.restore_position(*position);
        }
        self.memory.discard().map_err(not_kept)?;
        self.unsettled = None;
        Ok(())
    }
}

impl Session {
    pub(crate) fn new(
        runtime: Runtime,
        gate: Gate,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let kept = Kept {
            memory: SavedMemory::new().map_err(not_kept)?,
            files: OpenFiles::default(),
            is_used: false,
            unsettled: None,
        };
        Ok(Self {
            id: uuid::Uuid::now_v7().to_string().into(),
            runtime,
            gate,
            options,
            state: Arc::new(Mutex::new(State {
                kept: Some(kept),
                calls: 0,
            })),
        })
    }

    /// Returns the id of this session, and of no other.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Runs a script as the next call: it finds the global variables of the calls before, and
    /// leaves its own. Waits for its turn if another call is in flight.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run); [`Error::SessionBusy`] if the call before has not
    /// ended in time, [`Error::SessionEnded`] if the state could not be kept after an earlier call.
    pub fn run(&self, script: impl Into<Script>) -> Running {
        self.start(script.into(), None)
    }

    /// As [`run`](Self::run), and passes output on as it is produced, as
    /// [`Sandbox::run_streaming`](crate::Sandbox::run_streaming) does.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_streaming(
        &self,
        script: impl Into<Script>,
        sink: impl FnMut(Stream, &[u8]) + Send + 'static,
    ) -> Running {
        self.start(script.into(), Some(run::share(sink)))
    }

    fn start(&self, script: Script, sink: Option<SharedSink>) -> Running {
        let session = self.clone();
        let timers = self.runtime.timers();
        Running::new(async move { session.call(script, sink).await }, timers)
    }

    /// As [`run`](Self::run), and blocks this thread meanwhile.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking(&self, script: impl Into<Script>) -> Result<Outcome, Error> {
        pollster::block_on(self.run(script))
    }

    async fn call(&self, script: Script, sink: Option<SharedSink>) -> Result<Outcome, Error> {
        let mut state = self.turn().await?;
        let state = &mut *state;
        state.calls = state.calls.saturating_add(1);
        let kept = state.kept.as_mut().ok_or_else(|| Error::SessionEnded {
            reason: "an earlier call's state could not be kept".to_owned(),
        })?;
        // What stays of a call that nobody waited for.
        let ended = match kept.undo().await {
            Ok(()) => self.call_with(kept, state.calls, script, sink).await,
            Err(error) => Err(error),
        };
        if let Err(Error::SessionEnded { .. }) = ended {
            state.kept = None;
        }
        ended
    }

    async fn call_with(
        &self,
        kept: &mut Kept,
        number: u32,
        script: Script,
        sink: Option<SharedSink>,
    ) -> Result<Outcome, Error> {
        kept.unsettled = Some(kept.files.positions());
        let mut call = CallState {
            name: audit::SessionCall::new(&*self.id, number),
            call: SessionCall {
                number,
                is_first: !kept.is_used,
            },
            memory: &kept.memory,
            files: kept.files.clone(),
            is_at_rest: false,
        };
        let ended = run::run_script(&self.runtime, &self.gate, script, sink, Some(&mut call)).await;
        let CallState {
            files, is_at_rest, ..
        } = call;
        if is_at_rest && ended.is_ok() {
            kept.memory.commit().map_err(not_kept)?;
            kept.files = files;
            kept.is_used = true;
            kept.unsettled = None;
        } else {
            drop(files);
            kept.undo().await?;
        }
        ended
    }

    /// Waits until no other call is in flight.
    async fn turn(&self) -> Result<OwnedMutexGuard<State>, Error> {
        let wait = self.options.turn_wait;
        let turn = tokio::time::timeout(wait, self.state.clone().lock_owned());
        turn.await.map_err(|_| Error::SessionBusy { waited: wait })
    }
}

/// The error of a state that could not be kept.
fn not_kept(error: std::io::Error) -> Error {
    Error::SessionEnded {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wardian_policy::{Access, Grant, Permission, Policy};

    use super::*;
    use crate::Sandbox;

    #[test]
    fn an_undo_that_is_dropped_is_done_by_the_next_call() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x"), "0123456789").unwrap();
        let grant = Grant::new("/data", directory.path(), Access::READ).unwrap();
        let policy = Policy::computing()
            .with_permissions(Permission::READ_FILE)
            .with_grant(grant)
            .unwrap();
        let sandbox = Sandbox::new(&Runtime::new().unwrap(), policy).unwrap();
        let session = sandbox.session(SessionOptions::default()).unwrap();
        session
            .run_blocking("f = open('/data/x', 'rb', buffering=0)\nf.seek(3)\nn = 0")
            .unwrap();
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let drop_soon = |source: &str| {
            let run = session.run(source);
            let soon = async { tokio::time::timeout(Duration::from_millis(100), run).await };
            assert!(executor.block_on(soon).is_err(), "{source}");
        };
        drop_soon("n = 1\nf.read(2)\nimport time\ntime.sleep(10)");
        // As a file operation that goes on: the undo waits for it, and is dropped meanwhile.
        let busy = session
            .state
            .try_lock()
            .unwrap()
            .kept
            .as_ref()
            .unwrap()
            .files
            .positions();
        drop_soon("n");
        drop(busy);
        let outcome = session.run_blocking("[n, f.tell()]").unwrap();
        assert_eq!(outcome.json()["value"], json!([0, 3]));
    }
}
