//! Snapshots: the state of a session as data, to be kept, moved and started from.

mod error;
mod form;
mod pages;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use wardian_abi::Globals;
use wardian_engine::{FrozenMemory, SavedMemory};
use wardian_policy::{Action, Limit, Limits, Policy};

pub use self::error::SnapshotError;
pub(super) use self::form::ImageHead;
use self::form::{Build, Head, MAX_BYTES, Packed};
use super::budget::Times;
use super::store::replace_file;
use super::{Kept, Origin, Progress, Session, SessionOptions, SessionUsage};
use crate::files::{SavedHandle, WorkFiles};
use crate::run::{self, Running};
use crate::threads::{FILES, Unfinished};
use crate::{Error, Runtime, Sandbox};

/// The state of a session at one moment: its memory, its open files by their paths, what it has
/// used. Made by [`Session::snapshot`]. Clones share it.
///
/// As bytes it is versioned, compressed with zstd, and closed by a SHA-256, or by an HMAC-SHA256 of
/// the host's key. Only the build that has written it reads it.
///
/// ```
/// use wardian::session::{SessionOptions, Snapshot};
/// use wardian::{Policy, Runtime, Sandbox};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let session = sandbox.session(SessionOptions::default());
/// let squares = "def squares():\n    for n in range(10): yield n * n\nnumbers = squares()";
/// session.run_blocking(squares)?;
/// session.run_blocking("next(numbers), next(numbers)")?;
/// let bytes = session.snapshot().wait()?.to_bytes();
/// assert!(bytes.len() < 256 << 10);
///
/// // Here, or in another process.
/// let again = Snapshot::from_bytes(&bytes)?.start(&sandbox, SessionOptions::default()).wait()?;
/// assert_eq!(again.run_blocking("next(numbers)")?.json()["value"], 4);
/// # Ok::<(), wardian::Error>(())
/// ```
///
/// # Security
///
/// A snapshot is data, and nothing in it is believed: what it can do when it goes on is what any
/// hostile script can do, because the policy, the limits, the gate and the open directories are
/// not in it. Whoever reads one sees everything that the session knows: inputs, results, secrets
/// that a tool has told it.
#[derive(Clone)]
pub struct Snapshot {
    packed: Arc<Packed>,
    /// The memory, once it was unpacked.
    contents: Arc<OnceLock<FrozenMemory>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("sha256", &self.sha256())
            .field("session", &self.session_id())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Packs the state of a session.
    pub(super) async fn pack(
        session: &Session,
        kept: &Kept,
        contents: FrozenMemory,
    ) -> Result<Self, Error> {
        let Progress { usage, times } = *session.progress.lock();
        let authority = session.sandbox.gate().authority();
        let (work, work_bytes) = match &kept.files.work {
            Some(work) => work.save(),
            None => Default::default(),
        };
        let head = Head {
            build: Build::this(),
            session: session.id().to_owned(),
            parent: kept.parent.clone(),
            policy: authority.policy.canonical(),
            begins: kept.begins,
            usage,
            times,
            files: kept.save_files(),
            work,
            memory_bytes: contents.size() as u64,
            pages: 0,
            image: None,
            is_signed: false,
            since: None,
        };
        let memory = contents.clone();
        let packed = FILES
            .run(move || Packed::new(head, &memory, &work_bytes))
            .await;
        let packed = packed.map_err(no_thread)??;
        Ok(Self {
            packed: Arc::new(packed),
            contents: Arc::new(contents.into()),
        })
    }

    /// Starts a session that goes on from here, as any number of others do: with an id of its own,
    /// and with other random numbers, as a [fork](Session::fork).
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Wider`] if the sandbox's policy grants more than the one that the snapshot
    /// was made under, and the options do not allow that; [`SnapshotError::File`] if it does not
    /// grant a file that is open; [`SnapshotError::Memory`] if it allows less memory than there is.
    pub fn start(&self, sandbox: &Sandbox, options: SessionOptions) -> Running<Session> {
        self.go_on(sandbox, options, false)
    }

    /// Goes on with the session that the snapshot is of, in another process or after it was closed:
    /// it keeps its id, its age and its random numbers. Of a session that goes on twice, both draw
    /// the same.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn resume(&self, sandbox: &Sandbox, options: SessionOptions) -> Running<Session> {
        self.go_on(sandbox, options, true)
    }

    fn go_on(&self, sandbox: &Sandbox, options: SessionOptions, same: bool) -> Running<Session> {
        let (snapshot, sandbox) = (self.clone(), sandbox.clone());
        let timers = sandbox.runtime().timers();
        let going_on = async move {
            let head = &snapshot.packed.head;
            head.check(sandbox.policy(), &options)?;
            let contents = snapshot.unpack().await?;
            let work = snapshot.load_work(sandbox.policy())?;
            let origin = Origin {
                contents,
                files: head.files.clone(),
                work,
                begins: head.begins || !same,
                progress: Progress {
                    usage: head.usage,
                    times: if same { head.times } else { Times::now() },
                },
                parent: Some(snapshot.sha256().to_owned()),
            };
            let id = same.then_some(head.session.as_str());
            Ok(Session::start_from(origin, sandbox, options, id))
        };
        Running::new(going_on, timers)
    }

    pub(super) async fn unpack(&self) -> Result<FrozenMemory, Error> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents.clone());
        }
        let packed = self.packed.clone();
        let unpacked = FILES.run(move || packed.unpack()).await;
        let contents = unpacked.map_err(no_thread)??;
        Ok(self.contents.get_or_init(|| contents).clone())
    }

    /// Makes the working directory that `policy` gives, with the snapshot's files in it.
    pub(super) fn load_work(&self, policy: &Policy) -> Result<Option<WorkFiles>, SnapshotError> {
        let saved = &self.packed.head.work;
        let Some(work) = WorkFiles::new(policy) else {
            return match saved.first() {
                None => Ok(None),
                Some(first) => Err(SnapshotError::File {
                    path: first.path.clone(),
                    reason: "the policy gives no working directory".to_owned(),
                }),
            };
        };
        if !saved.is_empty() {
            self.packed.load_work(&work)?;
        }
        Ok(Some(work))
    }

    /// Returns the snapshot as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.packed.to_bytes(None)
    }

    /// Reads a snapshot. Its memory is unpacked when it is started, and bounded by the policy then.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says in which way it is none, which build has written it, or that it takes
    /// a [form](SnapshotForm) to read it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        SnapshotForm::default().read(bytes)
    }

    /// Writes the snapshot, as [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Io`] if that fails.
    pub fn write_to(&self, mut to: impl Write) -> Result<(), Error> {
        to.write_all(&self.to_bytes()).map_err(SnapshotError::Io)?;
        Ok(())
    }

    /// Reads a snapshot, as [`from_bytes`](Self::from_bytes), to the end of the input.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes); [`SnapshotError::Io`] if reading fails.
    pub fn read_from(from: impl Read) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let read = from.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(SnapshotError::Io)?;
        Self::from_bytes(&bytes)
    }

    /// Writes the snapshot to a file of its own, for its owner only (0600): beside an older one,
    /// which it replaces when it is on the disk. So there is always the one or the other.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Io`] if that fails. The older file is still there then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let saved = replace_file(path.as_ref(), &self.to_bytes());
        Ok(saved.map_err(SnapshotError::Io)?)
    }

    /// Reads a snapshot from a file.
    ///
    /// # Errors
    ///
    /// As [`read_from`](Self::read_from).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_from(File::open(path).map_err(SnapshotError::Io)?)
    }

    /// Returns the same state as that of another session, which has not begun: what
    /// [`resume`](Self::resume) goes on with has an id and random numbers of its own.
    #[must_use]
    pub fn fork(&self) -> Self {
        let head = Head {
            session: Session::new_id(),
            image: None,
            parent: Some(self.sha256().to_owned()),
            begins: true,
            times: Times::now(),
            ..self.packed.head.clone()
        };
        Self {
            packed: Arc::new(self.packed.with_head(head)),
            contents: self.contents.clone(),
        }
    }

    /// Returns what it was built with, if it is an image.
    pub(super) fn image(&self) -> Option<&ImageHead> {
        self.packed.head.image.as_ref()
    }

    /// Returns the same state as an image.
    pub(super) fn with_image(&self, image: ImageHead) -> Self {
        let head = Head {
            image: Some(image),
            ..self.packed.head.clone()
        };
        Self {
            packed: Arc::new(self.packed.with_head(head)),
            contents: self.contents.clone(),
        }
    }

    /// Lists the global variables, as [`Session::globals`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it can't be unpacked, [`Error::Host`] if the guest does not tell.
    pub fn globals(&self, runtime: &Runtime) -> Running<Globals> {
        let (snapshot, runtime) = (self.clone(), runtime.clone());
        let timers = runtime.timers();
        let listing = async move {
            let memory = SavedMemory::new(snapshot.unpack().await?);
            run::list_globals(&runtime, &Limits::default(), &memory).await
        };
        Running::new(listing, timers)
    }

    /// Returns its SHA-256, in hex: that of all bytes but the last 32.
    pub fn sha256(&self) -> &str {
        &self.packed.sha256
    }

    /// Returns the SHA-256 of the snapshot that the session was saved as or started from before.
    pub fn parent(&self) -> Option<&str> {
        self.packed.head.parent.as_deref()
    }

    /// Returns the id of the session that it was made of.
    pub fn session_id(&self) -> &str {
        &self.packed.head.session
    }

    /// Returns what the session had used.
    pub fn usage(&self) -> SessionUsage {
        self.packed.head.usage
    }

    /// Returns the size of its memory, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.packed.head.memory_bytes
    }

    /// Returns the count of pages of 4 KiB in which that differs from a fresh interpreter's.
    pub fn pages(&self) -> u32 {
        self.packed.head.pages
    }

    /// Lists the paths of the files and directories that are open.
    pub fn open_files(&self) -> impl Iterator<Item = &str> {
        let files = self.packed.head.files.iter();
        files.map(|handle| handle.path.as_str())
    }

    /// Lists the pages in which two snapshots differ: their numbers.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if one of them can't be unpacked.
    pub fn changed_pages(&self, other: &Self) -> Result<Vec<u32>, Error> {
        form::changed_pages(&self.packed, &other.packed).map_err(Into::into)
    }
}

/// A form of snapshots as bytes, beside the plain one: signed, or only what has changed since
/// another one.
///
/// ```
/// use wardian::session::{SessionOptions, Snapshot, SnapshotForm};
/// use wardian::{Policy, Runtime, Sandbox};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let session = sandbox.session(SessionOptions::default());
/// session.run_blocking("import json, re; numbers = list(range(100_000))")?;
/// let first = session.snapshot().wait()?;
/// session.run_blocking("n = 1")?;
/// let second = session.snapshot().wait()?;
///
/// let form = SnapshotForm::default().signed(b"a key of the host's").since(&first);
/// let bytes = form.write(&second)?;
/// assert!(bytes.len() < second.to_bytes().len() / 4);
/// assert_eq!(form.read(&bytes)?.sha256(), second.sha256());
/// assert!(Snapshot::from_bytes(&bytes).is_err());
/// # Ok::<(), wardian::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct SnapshotForm<'f> {
    key: Option<&'f [u8]>,
    base: Option<&'f Snapshot>,
}

impl fmt::Debug for SnapshotForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotForm")
            .field("is_signed", &self.key.is_some())
            .field("base", &self.base)
            .finish()
    }
}

impl<'f> SnapshotForm<'f> {
    /// Closes it with an HMAC-SHA256 of this key, in place of a SHA-256: nobody without the key can
    /// make or change one that is read with it.
    #[must_use]
    pub fn signed(self, key: &'f [u8]) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Leaves out what is as in `base`, which it takes to read it again: mostly an earlier snapshot
    /// of the same session. What comes back is the whole, as it was.
    #[must_use]
    pub fn since(self, base: &'f Snapshot) -> Self {
        Self {
            base: Some(base),
            ..self
        }
    }

    /// Returns a snapshot as bytes.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if one of the two can't be unpacked.
    pub fn write(&self, snapshot: &Snapshot) -> Result<Vec<u8>, Error> {
        Ok(match self.base {
            Some(base) => snapshot.packed.since(&base.packed)?.to_bytes(self.key),
            None => snapshot.packed.to_bytes(self.key),
        })
    }

    /// Reads a snapshot: one in this form, or a whole one.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::from_bytes`]; [`SnapshotError::Signature`] if it was not signed with this
    /// key, [`SnapshotError::Base`] if it holds the changes since another one than this form's.
    pub fn read(&self, bytes: &[u8]) -> Result<Snapshot, Error> {
        let packed = Packed::read(bytes, self.key)?;
        let base = self.base.map(|base| &*base.packed);
        Ok(Snapshot {
            packed: Arc::new(packed.whole(base)?),
            contents: Arc::default(),
        })
    }
}

impl Head {
    /// Checks that a session can go on from here under `policy`.
    fn check(&self, policy: &Policy, options: &SessionOptions) -> Result<(), Error> {
        if !options.allow_wider_policy {
            let old = Policy::try_from(self.policy.clone())
                .map_err(|error| SnapshotError::Damaged(format!("its policy: {error}")))?;
            let wider = policy.widenings(&old);
            if !wider.is_empty() {
                let wider = wider.iter().map(ToString::to_string).collect();
                return Err(SnapshotError::Wider { wider }.into());
            }
        }
        let limits = policy.limits();
        for (limit, bytes) in [
            (Limit::Memory, self.memory_bytes),
            (Limit::SessionMemory, u64::from(self.pages) * form::PAGE),
        ] {
            let allowed = limits.get(limit).or_max();
            if bytes > allowed {
                return Err(SnapshotError::Memory {
                    bytes,
                    limit,
                    allowed,
                }
                .into());
            }
        }
        self.files
            .iter()
            .try_for_each(|handle| check_file(handle, policy))
    }
}

/// Checks that a policy grants what is open.
fn check_file(handle: &SavedHandle, policy: &Policy) -> Result<(), Error> {
    let (read, write) = handle
        .file
        .map_or((true, false), |file| (file.read, file.write));
    for (action, wanted) in [(Action::ReadFile, read), (Action::WriteFile, write)] {
        let decision = policy.check(action, &handle.path);
        // A directory that only leads to granted ones can be open too.
        if wanted && !decision.allowed() && handle.file.is_some() {
            return Err(SnapshotError::File {
                path: handle.path.clone(),
                reason: decision.to_string(),
            }
            .into());
        }
    }
    Ok(())
}

/// The error of work that a thread has not done.
fn no_thread(error: Unfinished) -> Error {
    Error::Host(format!("packing a snapshot: {error}"))
}
