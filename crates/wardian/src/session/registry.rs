//! Many sessions: some live, the others in a store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;
use wardian_policy::{Allowance, Limit};

use super::budget::nanos;
use super::store::{MemoryStore, SessionStore};
use super::{Session, SessionOptions, SessionUsage, SnapshotError, SnapshotForm};
use crate::ledger::EventSender;
use crate::run::{RunEvents, Running};
use crate::threads::FILES;
use crate::{Error, Outcome, Sandbox, Script};

/// Settings of [`Sessions`].
#[derive(Clone)]
#[non_exhaustive]
pub struct SessionsOptions {
    /// The most sessions that are in memory at once. 100 by default. Those that are in the middle
    /// of a call are never suspended: while more calls are in flight, there are more.
    pub max_live: usize,
    /// The place for the others. In this process's memory by default.
    pub store: Arc<dyn SessionStore>,
    /// Settings of each session.
    pub session: SessionOptions,
    /// The key that what is stored is signed with. None by default: whoever can write to the store
    /// can then change the state of sessions, though not what they may do.
    pub key: Option<Arc<[u8]>>,
}

impl Default for SessionsOptions {
    fn default() -> Self {
        Self {
            max_live: 100,
            store: Arc::new(MemoryStore::default()),
            session: SessionOptions::default(),
            key: None,
        }
    }
}

impl fmt::Debug for SessionsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsOptions")
            .field("max_live", &self.max_live)
            .field("session", &self.session)
            .field("is_signed", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

/// The sessions of one sandbox, found by their ids. At most so many are in memory; those that were
/// used least recently are suspended to a store, and the next call brings them back. Those that
/// have come to `limits.session.age` or `limits.session.idle` are closed.
///
/// ```
/// use wardian::session::{Sessions, SessionsOptions};
/// use wardian::{Policy, Runtime, Sandbox};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let mut options = SessionsOptions::default();
/// options.max_live = 1;
/// let sessions = Sessions::new(sandbox, options)?;
/// let (ada, bob) = (sessions.open(), sessions.open());
/// sessions.run(&ada, "rows = [1, 2, 3]").wait()?;
/// sessions.run(&bob, "rows = []").wait()?; // ada's session is suspended
/// assert_eq!(sessions.run(&ada, "len(rows)").wait()?.json()["value"], 3);
/// # Ok::<(), wardian::Error>(())
/// ```
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

struct Inner {
    sandbox: Sandbox,
    options: SessionsOptions,
    known: Mutex<BTreeMap<Uuid, Known>>,
}

/// A session that is known.
#[derive(Clone)]
struct Known {
    /// Locked while it is brought back, called or suspended. `None` while it is in the store.
    live: Arc<tokio::sync::Mutex<Option<Session>>>,
    /// The time of its last call, or when this registry began.
    last_used: Instant,
    usage: SessionUsage,
    lost_call: Option<u32>,
}

impl Known {
    fn new(session: Option<Session>) -> Self {
        Self {
            last_used: Instant::now(),
            live: Arc::new(tokio::sync::Mutex::new(session)),
            usage: SessionUsage::default(),
            lost_call: None,
        }
    }
}

/// A session, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: String,
    /// Set if it is in memory.
    pub is_live: bool,
    /// The time since its last call, or since this registry began.
    pub idle: Duration,
    /// Resources that its calls have used, as far as this process knows.
    pub usage: SessionUsage,
    /// The number of a call that was in flight when the process before ended. What it did to the
    /// state is lost.
    pub lost_call: Option<u32>,
}

impl Sessions {
    /// The sessions that are in the store, and those that are opened.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Io`] if the store can't be listed.
    pub fn new(sandbox: Sandbox, options: SessionsOptions) -> Result<Self, Error> {
        let stored = options.store.list().map_err(SnapshotError::Io)?;
        let known = stored.into_iter().map(|(id, lost_call)| {
            let known = Known {
                lost_call,
                ..Known::new(None)
            };
            (id, known)
        });
        Ok(Self(Arc::new(Inner {
            sandbox,
            known: Mutex::new(known.collect()),
            options,
        })))
    }

    /// Opens a session. Returns its id.
    pub fn open(&self) -> String {
        let session = self.0.sandbox.session(self.0.options.session.clone());
        let id = session.id().to_owned();
        if let Ok(uuid) = Uuid::parse_str(&id) {
            self.0.known.lock().insert(uuid, Known::new(Some(session)));
        }
        id
    }

    /// Runs a script as the next call of a session, as [`Session::run`]. Where the store is
    /// durable, the state is saved before this returns: whoever kills the process then loses
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Session::run`]; [`Error::NoSession`] if there is none of this id; what
    /// [`Snapshot::resume`] gives if it can't be brought back, [`SnapshotError::Io`] if it can't be
    /// saved: then it is still in memory.
    pub fn run(&self, id: &str, script: impl Into<Script>) -> Running {
        self.run_with(id, script.into(), EventSender::default())
    }

    /// As [`run`](Self::run), as a stream of events, as [`Sandbox::start`] has it.
    pub fn start(&self, id: &str, script: impl Into<Script>) -> RunEvents {
        RunEvents::start(|events| self.run_with(id, script.into(), events))
    }

    fn run_with(&self, id: &str, script: Script, events: EventSender) -> Running {
        let (sessions, id) = (self.clone(), id.to_owned());
        let timers = self.0.sandbox.runtime().timers();
        Running::new(
            async move { sessions.call(&id, script, events).await },
            timers,
        )
    }

    /// Returns a session, brought back if it is suspended. It is not suspended as long as somebody
    /// has it; its calls are not saved.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn find(&self, id: &str) -> Running<Session> {
        let (sessions, id) = (self.clone(), id.to_owned());
        let timers = self.0.sandbox.runtime().timers();
        let finding = async move {
            let (uuid, known) = sessions.known(&id)?;
            let mut live = known.live.lock_owned().await;
            let session = sessions.bring_back(uuid, &mut live).await?;
            drop(live);
            sessions.make_room().await?;
            Ok(session)
        };
        Running::new(finding, timers)
    }

    /// Closes a session: its state is gone. Waits for a call that is in flight.
    ///
    /// # Errors
    ///
    /// [`Error::NoSession`] if there is none of this id, [`SnapshotError::Io`] if the store does
    /// not remove it.
    pub fn close(&self, id: &str) -> Running<()> {
        let (sessions, id) = (self.clone(), id.to_owned());
        let timers = self.0.sandbox.runtime().timers();
        let closing = async move {
            let (uuid, known) = sessions.known(&id)?;
            known.live.lock_owned().await.take();
            sessions.remove(uuid).await
        };
        Running::new(closing, timers)
    }

    /// Lists the sessions, by their ids.
    pub fn list(&self) -> Vec<SessionInfo> {
        let known = self.0.known.lock();
        let infos = known.iter().map(|(id, known)| SessionInfo {
            id: id.to_string(),
            // One that is locked is in a call.
            is_live: known.live.try_lock().map_or(true, |live| live.is_some()),
            idle: known.last_used.elapsed(),
            usage: known.usage,
            lost_call: known.lost_call,
        });
        infos.collect()
    }

    /// Suspends every session that is not in the middle of a call: for a process that is about to
    /// end.
    ///
    /// # Errors
    ///
    /// As the first that can't be saved; the others are saved all the same.
    pub fn suspend_all(&self) -> Running<()> {
        let sessions = self.clone();
        let timers = self.0.sandbox.runtime().timers();
        Running::new(async move { sessions.suspend_to(0).await }, timers)
    }

    fn known(&self, id: &str) -> Result<(Uuid, Known), Error> {
        let uuid = Uuid::parse_str(id).ok();
        let known = uuid.and_then(|uuid| Some((uuid, self.0.known.lock().get(&uuid)?.clone())));
        known.ok_or_else(|| Error::NoSession { id: id.to_owned() })
    }

    fn update(&self, id: Uuid, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.0.known.lock().get_mut(&id) {
            change(known);
        }
    }

    async fn call(&self, id: &str, script: Script, events: EventSender) -> Result<Outcome, Error> {
        let (uuid, known) = self.known(id)?;
        let wait = self.0.options.session.turn_wait;
        let turn = tokio::time::timeout(wait, known.live.lock_owned());
        let mut live = turn
            .await
            .map_err(|_| Error::SessionBusy { waited: wait })?;
        let session = self.bring_back(uuid, &mut live).await?;
        self.update(uuid, |known| known.last_used = Instant::now());
        let is_durable = self.0.options.store.is_durable();
        if is_durable {
            let call = session.usage().calls.saturating_add(1);
            self.in_store(move |store| store.begin(uuid, call)).await?;
        }
        let ended = session.run_with(script, events).await;
        let usage = session.usage();
        self.update(uuid, |known| {
            (known.usage, known.lost_call) = (usage, None);
        });
        if let Err(Error::SessionLimit { .. } | Error::SessionEnded { .. }) = ended {
            live.take();
            self.remove(uuid).await?;
        } else if is_durable {
            self.save(uuid, &session).await?;
        }
        drop((live, session));
        self.make_room().await?;
        ended
    }

    /// Returns a session, from the store if it is not live.
    async fn bring_back(&self, id: Uuid, live: &mut Option<Session>) -> Result<Session, Error> {
        if let Some(session) = live {
            return Ok(session.clone());
        }
        let stored = self.in_store(move |store| store.load(id)).await?;
        let bytes = stored.ok_or_else(|| Error::NoSession { id: id.to_string() })?;
        let snapshot = self.form().read(&bytes)?;
        let resumed = snapshot.resume(&self.0.sandbox, self.0.options.session.clone());
        Ok(live.insert(resumed.await?).clone())
    }

    async fn save(&self, id: Uuid, session: &Session) -> Result<(), Error> {
        let snapshot = session.snapshot().await?;
        let bytes = self.form().write(&snapshot)?;
        self.in_store(move |store| store.save(id, &bytes)).await
    }

    /// Returns the form of what is stored.
    fn form(&self) -> SnapshotForm<'_> {
        let form = SnapshotForm::default();
        match &self.0.options.key {
            Some(key) => form.signed(key),
            None => form,
        }
    }

    async fn remove(&self, id: Uuid) -> Result<(), Error> {
        self.0.known.lock().remove(&id);
        self.in_store(move |store| store.remove(id)).await
    }

    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn SessionStore) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.0.options.store.clone();
        let done = FILES.run(move || work(&*store)).await;
        let done = done.map_err(|error| Error::Host(format!("the store of sessions: {error}")))?;
        Ok(done.map_err(SnapshotError::Io)?)
    }

    /// Suspends sessions until there are not too many, and closes those that have expired.
    async fn make_room(&self) -> Result<(), Error> {
        self.suspend_to(self.0.options.max_live).await
    }

    async fn suspend_to(&self, max_live: usize) -> Result<(), Error> {
        let mut known: Vec<_> = {
            let known = self.0.known.lock();
            known
                .iter()
                .map(|(id, known)| (*id, known.clone()))
                .collect()
        };
        // What is in a call is live.
        let is_live =
            |(_, known): &(Uuid, Known)| known.live.try_lock().map_or(true, |live| live.is_some());
        let live = known.iter().filter(|known| is_live(known)).count();
        let mut surplus = live.saturating_sub(max_live);
        known.sort_by_key(|(_, known)| known.last_used);
        let idle = self.0.sandbox.policy().limits().get(Limit::SessionIdle);
        let mut done = Ok(());
        for (id, known) in known {
            let Ok(mut slot) = known.live.try_lock_owned() else {
                continue;
            };
            let expired = match &*slot {
                Some(session) => session.is_expired(),
                None => Allowance::AtMost(nanos(known.last_used.elapsed())) > idle,
            };
            if expired {
                slot.take();
                done = done.and(self.remove(id).await);
            } else if surplus > 0
                && let Some(session) = &*slot
                && session.is_nobody_elses()
            {
                let saved = self.save(id, session).await;
                if saved.is_ok() {
                    slot.take();
                    surplus -= 1;
                }
                done = done.and(saved);
            }
        }
        done
    }
}
