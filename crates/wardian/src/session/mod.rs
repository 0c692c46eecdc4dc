//! Sessions: state that lasts from one call to the next.
//!
//! No instance of the guest lives between calls. A call gets an instance whose memory starts as the
//! last call left it; what it writes is kept when it has come to rest, and dropped when it was
//! stopped. So a call that was stopped is undone without anything being copied back.

mod budget;
mod image;
mod registry;
mod snapshot;
mod store;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use wardian_abi::SessionCall;
use wardian_audit as audit;
use wardian_engine::{FrozenMemory, SavedMemory};

pub(crate) use self::budget::CallBudget;
pub use self::budget::SessionUsage;
use self::budget::Times;
pub use self::image::{BuiltImage, Image, ImagePackage};
pub(crate) use self::image::{load_image, open_image};
pub use self::registry::{SessionInfo, Sessions, SessionsOptions};
pub use self::snapshot::{Snapshot, SnapshotError, SnapshotForm};
pub use self::store::{DirectoryStore, MemoryStore, SessionStore};
use crate::files::{FilesBefore, OpenFiles, SavedHandle, WorkFiles};
use crate::ledger::EventSender;
use crate::run::{self, CallState, CallWork, RunEvents, RunFrom, Running, Start};
use crate::{Error, Outcome, Sandbox, Script, Verdict};
pub use wardian_abi::{Global, Globals};

/// Settings of a [`Session`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The time that a call waits for the one before it to end. 10 s by default.
    pub turn_wait: Duration,
    /// The consequence of a call that is stopped. [`OnLimit::Undo`] by default.
    pub on_limit: OnLimit,
    /// The most calls that [`Session::undo`] can step back over. 0 by default. The state before
    /// each is kept for that, as far as it differs: up to `limits.session.memory` for each.
    pub undo_depth: usize,
    /// Set if a [`Snapshot`] may start under a policy that grants more than the one that it was
    /// made under. Not set by default.
    pub allow_wider_policy: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            turn_wait: Duration::from_secs(10),
            on_limit: OnLimit::default(),
            undo_depth: 0,
            allow_wider_policy: false,
        }
    }
}

/// The consequence of a call that is stopped: by a limit, by a crash, by `os._exit()`, or because
/// its future was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnLimit {
    /// The session goes on as it was before the call. Nothing is kept for that but the state
    /// itself, which [`Limit::SessionMemory`](crate::policy::Limit::SessionMemory) bounds.
    #[default]
    Undo,
    /// The session ends: the next call is [`Error::SessionEnded`].
    End,
}

/// An interpreter that lasts: each call of [`run`](Self::run) goes on where the last one left off.
/// Made by [`Sandbox::session`](crate::Sandbox::session). Clones are the same session.
///
/// Every limit of the policy holds for each call as it does for a run, and those of
/// `[limits.session]` for all calls together. A call that is stopped, by a limit, by a crash, by
/// `os._exit()` or because its future was dropped, is undone: variables, modules, open files and
/// their positions are as before the call. What it printed is in its outcome; what it wrote to
/// files and what its tools did stays done. An exception of Python's is no such end: what was done
/// before it stays.
///
/// ```
/// use wardian::{Policy, Runtime, Sandbox, session::SessionOptions};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let session = sandbox.session(SessionOptions::default());
/// session.run_blocking("import math\nradius = 2")?;
/// session.run_blocking("radius = 3\nwhile True: pass")?; // stopped by a limit, and undone
/// let outcome = session.run_blocking("math.floor(math.pi * radius ** 2)")?;
/// assert_eq!(outcome.json()["value"], 12);
/// # Ok::<(), wardian::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    id: Arc<str>,
    sandbox: Sandbox,
    options: SessionOptions,
    state: Arc<tokio::sync::Mutex<State>>,
    progress: Arc<Mutex<Progress>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The part of a session that can be looked at while a call is in flight.
#[derive(Debug, Clone, Copy)]
struct Progress {
    usage: SessionUsage,
    times: Times,
}

/// The state of a session between its calls; the reason for which there is none any more.
type State = Result<Kept, String>;

/// The things that one call leaves to the next.
struct Kept {
    memory: SavedMemory,
    files: OpenFiles,
    /// Files that the next call has to open again.
    reopen: Vec<SavedHandle>,
    /// Set if randomness begins with the next call.
    begins: bool,
    /// Set while a call is in flight, and after one that nobody waited for.
    unsettled: Option<FilesBefore>,
    /// SHA-256 of the snapshot that was made last, or that this started from.
    parent: Option<String>,
    /// The states before the last calls, the oldest first.
    history: VecDeque<Earlier>,
}

/// The state before a call.
struct Earlier {
    contents: FrozenMemory,
    files: Vec<SavedHandle>,
    work: Option<WorkFiles>,
    begins: bool,
}

/// The state that a session starts from.
struct Origin {
    contents: FrozenMemory,
    files: Vec<SavedHandle>,
    work: Option<WorkFiles>,
    /// Set if randomness begins anew.
    begins: bool,
    progress: Progress,
    parent: Option<String>,
}

/// The longest wait for a file operation of a call that was stopped.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// The interval at which it is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The handles of an open file while nothing is done with it: in the table, and beside its
/// position.
const OWN_HANDLES: usize = 2;

impl Kept {
    /// Drops what a call has done to the state, unless that was settled. Is done anew by the next
    /// call if this is dropped.
    async fn undo(&mut self) -> Result<(), Error> {
        let Some(before) = &self.unsettled else {
            return Ok(());
        };
        for (file, position) in before.positions() {
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
        self.files.restore_work(before);
        self.memory.discard().map_err(not_kept)?;
        self.unsettled = None;
        Ok(())
    }

    /// Returns what it takes to open all files again.
    fn save_files(&self) -> Vec<SavedHandle> {
        let mut saved = self.files.save();
        saved.extend(self.reopen.iter().cloned());
        saved
    }
}

impl Session {
    pub(crate) fn new(sandbox: Sandbox, options: SessionOptions) -> Self {
        let start = sandbox.start_state();
        let origin = Origin {
            contents: start.map(Start::contents).unwrap_or_default(),
            files: Vec::new(),
            work: match start {
                Some(start) => start.work(),
                None => WorkFiles::new(sandbox.policy()),
            },
            begins: true,
            progress: Progress {
                usage: SessionUsage::default(),
                times: Times::now(),
            },
            parent: start.map(|start| start.sha256.clone()),
        };
        Self::start_from(origin, sandbox, options, None)
    }

    /// Starts a session, with a new id if it is not `id` that goes on.
    fn start_from(
        origin: Origin,
        sandbox: Sandbox,
        options: SessionOptions,
        id: Option<&str>,
    ) -> Self {
        let id = id.map_or_else(Self::new_id, str::to_owned);
        let kept = Kept {
            memory: SavedMemory::new(origin.contents),
            files: OpenFiles::new(origin.work),
            reopen: origin.files,
            begins: origin.begins,
            unsettled: None,
            parent: origin.parent,
            history: VecDeque::new(),
        };
        Self {
            id: id.into(),
            sandbox,
            options,
            state: Arc::new(tokio::sync::Mutex::new(Ok(kept))),
            progress: Arc::new(Mutex::new(origin.progress)),
        }
    }

    fn new_id() -> String {
        uuid::Uuid::now_v7().to_string()
    }

    /// Returns the id of this session, and of no other.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the sandbox that its calls run in.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns whether it has come to its age or its idle time.
    fn is_expired(&self) -> bool {
        let times = self.progress.lock().times;
        times.expired(self.sandbox.policy().limits()).is_some()
    }

    /// Returns whether only a registry has it.
    fn is_nobody_elses(&self) -> bool {
        Arc::strong_count(&self.progress) == 1
    }

    /// Returns what its calls have used so far, those included that were undone, and the clearing
    /// of memory for snapshots. Of a call whose future was dropped, only that it was there.
    pub fn usage(&self) -> SessionUsage {
        self.progress.lock().usage
    }

    /// Runs a script as the next call: it finds the global variables of the calls before, and
    /// leaves its own. Waits for its turn if another call is in flight.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run); [`Error::SessionBusy`] if the call before has not
    /// ended in time, [`Error::SessionLimit`] if nothing is left of what `[limits.session]` allows,
    /// [`Error::SessionEnded`] if the state could not be kept after an earlier call. Of the first
    /// call after a snapshot or a fork also [`SnapshotError::File`], if a file that was open can't
    /// be opened again; nothing has changed then.
    pub fn run(&self, script: impl Into<Script>) -> Running {
        self.run_with(script.into(), EventSender::default())
    }

    /// As [`run`](Self::run), as a stream of events, as [`Sandbox::start`] has it.
    pub fn start(&self, script: impl Into<Script>) -> RunEvents {
        RunEvents::start(|events| self.run_with(script.into(), events))
    }

    pub(super) fn run_with(&self, script: Script, events: EventSender) -> Running {
        let session = self.clone();
        self.running(async move { session.call(script, events).await })
    }

    fn running<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Running<T> {
        Running::new(work, self.sandbox.runtime().timers())
    }

    /// As [`run`](Self::run), and blocks this thread meanwhile.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking(&self, script: impl Into<Script>) -> Result<Outcome, Error> {
        self.run(script).wait()
    }

    /// Lists the global variables: names, types and sizes, in the order in which they were made.
    /// No code of a script's runs for that. Names that begin and end with two underscores are left
    /// out. What is said comes from the guest, and is to be believed as much as its output.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); [`Error::Host`] if the guest does not tell.
    pub fn globals(&self) -> Running<Globals> {
        let session = self.clone();
        self.running(async move {
            let mut state = session.turn().await?;
            let kept = settled(&mut state).await?;
            let (runtime, policy) = (session.sandbox.runtime(), session.sandbox.policy());
            kept.unsettled = Some(kept.files.before());
            let listed = run::list_globals(runtime, policy.limits(), &kept.memory).await;
            kept.undo().await?;
            listed
        })
    }

    /// Starts another session from the state of this one, after the calls so far. They share the
    /// pages of memory until one of them writes to them, and no random number: what no script has
    /// given a seed is seeded anew. Files are opened again by their paths, under the same policy,
    /// when the fork's first call begins. What was used so far counts for both.
    ///
    /// Memory that the script has freed is not cleared: a fork is for the same tenant. A
    /// [`Snapshot`] is for others.
    ///
    /// # Errors
    ///
    /// [`Error::SessionBusy`] if a call is in flight and does not end in time,
    /// [`Error::SessionEnded`] if there is no state.
    pub fn fork(&self) -> Running<Self> {
        let session = self.clone();
        self.running(async move {
            let mut state = session.turn().await?;
            let kept = settled(&mut state).await?;
            let progress = *session.progress.lock();
            let origin = Origin {
                contents: kept.memory.freeze().map_err(not_kept)?,
                files: kept.save_files(),
                work: kept.files.work.as_ref().map(WorkFiles::fork),
                begins: true,
                progress: Progress {
                    times: Times::now(),
                    ..progress
                },
                parent: kept.parent.clone(),
            };
            let Self {
                sandbox, options, ..
            } = &session;
            Ok(Self::start_from(
                origin,
                sandbox.clone(),
                options.clone(),
                None,
            ))
        })
    }

    /// Steps back over the last call that has changed the state, as far as
    /// [`undo_depth`](SessionOptions::undo_depth) goes: the state is as before it. Files are opened
    /// again by their paths when the next call begins. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// As [`fork`](Self::fork).
    pub fn undo(&self) -> Running<bool> {
        let session = self.clone();
        self.running(async move {
            let mut state = session.turn().await?;
            let kept = settled(&mut state).await?;
            let Some(earlier) = kept.history.pop_back() else {
                return Ok(false);
            };
            kept.memory = SavedMemory::new(earlier.contents);
            kept.files = OpenFiles::new(earlier.work);
            (kept.reopen, kept.begins) = (earlier.files, earlier.begins);
            Ok(true)
        })
    }

    /// Makes a snapshot of the state after the calls so far. Garbage is collected before, which can
    /// run finalizers of the script's, under the limits of a call; and memory that is free is
    /// cleared. Pieces of what the script has let go of can be left in the unused room of tables
    /// and lists that are in use.
    ///
    /// # Errors
    ///
    /// As [`fork`](Self::fork); [`SnapshotError::NotCleared`] if the guest does not clear its
    /// memory.
    pub fn snapshot(&self) -> Running<Snapshot> {
        let session = self.clone();
        self.running(async move {
            let mut state = session.turn().await?;
            let cleared = session.clear(settled(&mut state).await?).await;
            note_end(&mut state, &cleared);
            cleared?;
            let kept = settled(&mut state).await?;
            let contents = kept.memory.freeze().map_err(not_kept)?;
            let snapshot = Snapshot::pack(&session, kept, contents).await?;
            kept.parent = Some(snapshot.sha256().to_owned());
            Ok(snapshot)
        })
    }

    /// Collects garbage and clears free memory; only clears it where collecting is stopped.
    async fn clear(&self, kept: &mut Kept) -> Result<(), Error> {
        let mut ended = None;
        for work in [CallWork::Collect, CallWork::Scrub] {
            let outcome = self
                .call_with(kept, work, Script::from(""), EventSender::default())
                .await?;
            if outcome.verdict == Verdict::Completed {
                return Ok(());
            }
            ended = Some(outcome.verdict.to_string());
        }
        let reason = ended.unwrap_or_default();
        Err(SnapshotError::NotCleared { reason }.into())
    }

    /// Runs a script as a part of what an image is made of, before there is a call.
    async fn set_up(&self, script: Script) -> Result<Outcome, Error> {
        let mut state = self.turn().await?;
        let kept = settled(&mut state).await?;
        let ended = self
            .call_with(kept, CallWork::SetUp, script, EventSender::default())
            .await;
        note_end(&mut state, &ended);
        ended
    }

    async fn call(&self, script: Script, events: EventSender) -> Result<Outcome, Error> {
        let mut state = self.turn().await?;
        if let Ok(kept) = &*state
            && kept.unsettled.is_some()
        {
            self.end_by(&mut state, "its future was dropped");
        }
        let kept = settled(&mut state).await?;
        let ended = self.call_with(kept, CallWork::Run, script, events).await;
        match &ended {
            Ok(outcome) if is_stopped(outcome) => {
                self.end_by(&mut state, &outcome.verdict.to_string());
            }
            _ => note_end(&mut state, &ended),
        }
        ended
    }

    /// Ends the session after a call that was stopped, if it is to end then.
    fn end_by(&self, state: &mut State, reason: &str) {
        if self.options.on_limit == OnLimit::End {
            *state = Err(format!("a call was stopped: {reason}"));
        }
    }

    async fn call_with(
        &self,
        kept: &mut Kept,
        work: CallWork,
        script: Script,
        events: EventSender,
    ) -> Result<Outcome, Error> {
        let (runtime, gate) = (self.sandbox.runtime(), self.sandbox.gate());
        let Progress { usage, times } = *self.progress.lock();
        let budget = CallBudget::new(gate.policy().limits(), usage, times)?;
        let number = match work {
            CallWork::Run => {
                let mut progress = self.progress.lock();
                progress.usage.calls = progress.usage.calls.saturating_add(1);
                progress.usage.calls
            }
            CallWork::SetUp => 0,
            CallWork::Collect | CallWork::Scrub => usage.calls,
        };
        let earlier = if work == CallWork::Run && self.options.undo_depth > 0 {
            Some(Earlier {
                contents: kept.memory.freeze().map_err(not_kept)?,
                files: kept.save_files(),
                work: kept.files.work.as_ref().map(WorkFiles::fork),
                begins: kept.begins,
            })
        } else {
            None
        };
        kept.unsettled = Some(kept.files.before());
        let mut call = CallState {
            name: audit::SessionCall::new(&*self.id, number),
            call: SessionCall {
                number,
                begins: kept.begins,
            },
            work,
            budget,
            memory: &mut kept.memory,
            files: kept.files.clone(),
            reopen: &kept.reopen,
            is_at_rest: false,
        };
        let from = RunFrom::Call(&mut call);
        let ended = run::run_script(runtime, gate, script, events, from).await;
        let CallState {
            files, is_at_rest, ..
        } = call;
        if let Ok(outcome) = &ended {
            let mut progress = self.progress.lock();
            progress.usage.add(outcome);
            progress.times.use_now();
        }
        if is_at_rest && ended.is_ok() {
            kept.memory.commit().map_err(not_kept)?;
            kept.files = files;
            kept.reopen.clear();
            kept.begins &= work != CallWork::Run;
            kept.unsettled = None;
            kept.history.extend(earlier);
            while kept.history.len() > self.options.undo_depth {
                kept.history.pop_front();
            }
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

/// Returns whether a call was stopped in the middle of what it did.
fn is_stopped(outcome: &Outcome) -> bool {
    match outcome.verdict {
        Verdict::Limit { .. } | Verdict::Crashed { .. } => true,
        // By `os._exit()`.
        Verdict::Exited { .. } => outcome.source.run.is_none(),
        _ => false,
    }
}

/// Notes that there is no state any more, if that is what has gone wrong.
fn note_end<T>(state: &mut State, done: &Result<T, Error>) {
    if let Err(Error::SessionEnded { reason }) = done {
        *state = Err(reason.clone());
    }
}

/// Returns the state, without what stays of a call that nobody waited for.
async fn settled(state: &mut State) -> Result<&mut Kept, Error> {
    if let Ok(kept) = state {
        let undone = kept.undo().await;
        note_end(state, &undone);
    }
    match state {
        Ok(kept) => Ok(kept),
        Err(reason) => Err(Error::SessionEnded {
            reason: reason.clone(),
        }),
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
    use crate::Runtime;

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
        let session = sandbox.session(SessionOptions::default());
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
            .as_ref()
            .unwrap()
            .files
            .before();
        drop_soon("n");
        drop(busy);
        let outcome = session.run_blocking("[n, f.tell()]").unwrap();
        assert_eq!(outcome.json()["value"], json!([0, 3]));
    }
}
