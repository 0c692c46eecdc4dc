//! The file guard. It mediates every file operation of a run: authorizes it against the policy,
//! records the decision, then performs it beneath a granted directory.
//!
//! A script sees one tree. Its root and the directories that lead to granted ones exist only
//! here; a granted directory is a handle that [`Grants`] opened. A path becomes a normalised
//! [`GuestPath`] first, is decided on as that, and only then resolved, beneath the handle. What
//! is outside of every grant is denied before any file system is asked, so whether it exists
//! does not show.
//!
//! One file for each verb; `filesystem.rs` is what the engine sees of them.

mod authority;
mod beneath;
mod create;
mod error;
mod filesystem;
mod grants;
mod io;
mod link;
mod list;
mod open;
mod paths;
mod record;
mod remove;
mod rename;
mod reopen;
mod stat;
mod times;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_engine::ROOT;
use wardian_policy::{Access, Action, Decision, GuestPath, Limit, PathError};

pub(crate) use self::authority::Authority;
use self::beneath::leads_outside;
pub(crate) use self::error::{Denial, FileError};
use self::error::{Failure, Result};
pub(crate) use self::grants::{Grants, home};
use self::list::Listing;
pub(crate) use self::paths::real;
pub(crate) use self::reopen::SavedHandle;
use crate::ledger::{RunContext, Stop};
use crate::threads::FILES;

/// The files of one run: what is open, and what may become so.
pub(crate) struct FileGuard {
    authority: Arc<Authority>,
    context: Arc<RunContext>,
    open: OpenFiles,
}

/// The table of what is open, by descriptors.
#[derive(Clone)]
pub(crate) struct OpenFiles(BTreeMap<u32, Handle>);

impl Default for OpenFiles {
    fn default() -> Self {
        Self(BTreeMap::from([(
            ROOT,
            Handle::directory(GuestPath::root()),
        )]))
    }
}

impl OpenFiles {
    /// Returns the positions of all files.
    pub(crate) fn positions(&self) -> Vec<(Arc<OpenFile>, u64)> {
        let files = self.0.values().filter_map(|handle| match handle {
            Handle::File(file) => Some(file),
            Handle::Directory { .. } => None,
        });
        let positions = files.filter_map(|file| Some((file.clone(), file.position()?)));
        positions.collect()
    }
}

/// Something that is open.
enum Handle {
    /// A directory is a name: what is opened relative to it is decided on as a whole path.
    Directory {
        path: GuestPath,
        listing: Option<Listing>,
    },
    File(Arc<OpenFile>),
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        match self {
            // A listing is begun again where it is asked for.
            Self::Directory { path, .. } => Self::directory(path.clone()),
            Self::File(file) => Self::File(file.clone()),
        }
    }
}

impl Handle {
    fn directory(path: GuestPath) -> Self {
        let listing = None;
        Self::Directory { path, listing }
    }
}

/// A regular file that is open.
pub(crate) struct OpenFile {
    file: File,
    path: GuestPath,
    access: Access,
    append: bool,
    device: u64,
}

/// A path as a script gave it, normalised.
pub(crate) struct GuestTarget {
    pub(crate) path: GuestPath,
    /// Set if it ended with a slash, or with `/.`: only a directory will do.
    pub(crate) is_directory: bool,
}

impl GuestTarget {
    /// Reads an absolute path.
    pub(crate) fn absolute(text: &str) -> std::result::Result<Self, PathError> {
        Ok(Self::from_path(GuestPath::new(text)?, text))
    }

    /// Reads a path that is relative to `base`, unless it is absolute.
    fn relative(base: &GuestPath, text: &str) -> std::result::Result<Self, PathError> {
        if text.starts_with('/') {
            return Self::absolute(text);
        }
        Ok(Self::from_path(base.join(text)?, text))
    }

    fn from_path(path: GuestPath, text: &str) -> Self {
        Self {
            path,
            is_directory: matches!(text.rsplit('/').next(), Some("" | "." | "..")),
        }
    }
}

/// A path beneath a granted directory that may be touched.
struct Beneath {
    dir: Arc<Dir>,
    /// Relative to the directory; `.` for itself.
    path: PathBuf,
    /// The grant's number, from 1.
    device: u64,
}

impl Beneath {
    fn is_root(&self) -> bool {
        self.path == Path::new(".")
    }
}

impl FileGuard {
    pub(crate) fn new(
        authority: Arc<Authority>,
        context: Arc<RunContext>,
        open: OpenFiles,
    ) -> Self {
        Self {
            authority,
            context,
            open,
        }
    }

    /// Takes the table of what is open.
    pub(crate) fn take_open(&mut self) -> OpenFiles {
        std::mem::take(&mut self.open)
    }

    /// Reads a path that is relative to an open directory.
    fn target(&self, dir: u32, path: &str) -> Result<GuestTarget> {
        let base = match self.open.0.get(&dir) {
            Some(Handle::Directory { path, .. }) => path,
            Some(Handle::File(_)) => return Err(Errno::NOTDIR.into()),
            None => return Err(Errno::BADF.into()),
        };
        let target = GuestTarget::relative(base, path).map_err(|error| match error {
            PathError::TooLong => Errno::NAMETOOLONG,
            PathError::NotUtf8 => Errno::ILSEQ,
            _ => Errno::INVAL,
        });
        Ok(target?)
    }

    /// Authorizes an operation on a path, by all of these actions. Every decision is recorded.
    async fn authorize(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        actions: &[Action],
    ) -> Result<Beneath> {
        let policy = &self.authority.policy;
        let decision = actions
            .iter()
            .map(|action| policy.check_path(*action, path.clone()))
            // The first denial decides.
            .reduce(|first, next| if first.allowed() { next } else { first })
            .ok_or(Errno::INVAL)?;
        self.record_decision(operation, path, &decision).await?;
        if let Some(beneath) = self.beneath(&decision) {
            return Ok(beneath);
        }
        let only_looks = actions.iter().all(|action| *action == Action::ReadFile);
        let hidden = only_looks && !policy.shows(path);
        Err(FileError::denied(&decision, hidden))
    }

    /// Authorizes a look at a path, by whatever access there is. Only a denial is recorded.
    async fn authorize_stat(&self, path: &GuestPath) -> Result<Beneath> {
        let policy = &self.authority.policy;
        let check = |action| policy.check_path(action, path.clone());
        let reading = check(Action::ReadFile);
        let beneath = self.beneath(&reading);
        if let Some(beneath) = beneath.or_else(|| self.beneath(&check(Action::WriteFile))) {
            return Ok(beneath);
        }
        self.record_decision(FileOperation::Stat, path, &reading)
            .await?;
        Err(FileError::denied(&reading, true))
    }

    /// Authorizes an operation that moves or links from one path to another. Only within one
    /// granted directory: they are as if on different disks, for which programs are prepared.
    async fn authorize_pair(
        &self,
        operation: FileOperation,
        from: &GuestPath,
        to: &GuestPath,
    ) -> Result<[Beneath; 2]> {
        let policy = &self.authority.policy;
        let decisions = [from, to].map(|path| policy.check_path(Action::WriteFile, path.clone()));
        let [source, target] = decisions.each_ref().map(|decision| self.beneath(decision));
        let apart = matches!((&source, &target), (Some(a), Some(b)) if a.device != b.device);
        let [first, second] = &decisions;
        let deciding = if first.allowed() { second } else { first };
        self.record_pair(operation, [from, to], deciding, apart)
            .await?;
        let (Some(source), Some(target)) = (source, target) else {
            return Err(FileError::denied(deciding, false));
        };
        if apart {
            return Err(Errno::XDEV.into());
        }
        if source.is_root() || target.is_root() {
            return Err(Errno::BUSY.into());
        }
        Ok([source, target])
    }

    /// Resolves an allowed path to its granted directory.
    fn beneath(&self, decision: &Decision<'_>) -> Option<Beneath> {
        let (grant, path) = decision.grant()?;
        let directory = self.authority.grants.directory(grant.guest())?;
        let rest = path.within(grant.guest())?;
        Some(Beneath {
            dir: directory.dir.clone(),
            path: if rest.is_empty() { "." } else { rest }.into(),
            device: directory.number,
        })
    }

    /// Returns the names in a directory that is not granted itself, but leads to granted ones.
    fn children_of_ancestor(&self, path: &GuestPath) -> Option<Vec<String>> {
        self.authority.grants.children_of_ancestor(path)
    }

    /// Performs what was authorized, on a thread that may wait for a disk. The run's time goes on
    /// meanwhile, and when it is up the run ends without waiting.
    async fn perform<T: Send + 'static>(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        work: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let done = FILES.run(work).await;
        let done = done.map_err(|error| Stop::Host(format!("a file operation: {error}")))?;
        self.finish(operation, path, done).await
    }

    /// Records what a limit of the run or a border of the directory has stopped.
    async fn finish<T>(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        done: std::result::Result<T, Failure>,
    ) -> Result<T> {
        let failure = match done {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        Err(match failure {
            Failure::Limit(limit) => {
                self.record_limit(operation, path, limit).await?;
                FileError::Limit(limit)
            }
            Failure::Special => {
                let reason = "it is a device, a pipe or a socket";
                self.deny(operation, path, reason).await?
            }
            Failure::Io(error) if leads_outside(&error) => {
                let reason = "a symbolic link leads out of the granted directory";
                self.deny(operation, path, reason).await?
            }
            Failure::Io(error) => FileError::Io(error),
        })
    }

    /// Finds a free descriptor.
    async fn free_descriptor(&self, operation: FileOperation, path: &GuestPath) -> Result<u32> {
        let count = self.open.0.keys().filter(|fd| **fd != ROOT).count();
        if count >= self.context.meters.max_open_files {
            let limit = Err(Failure::Limit(Limit::OpenFiles));
            self.finish(operation, path, limit).await?;
        }
        let free = (ROOT + 1..).find(|fd| !self.open.0.contains_key(fd));
        Ok(free.ok_or(Errno::MFILE)?)
    }

    /// Returns the path of what is open.
    fn path(&self, fd: u32) -> Result<GuestPath> {
        match self.open.0.get(&fd) {
            Some(Handle::Directory { path, .. }) => Ok(path.clone()),
            Some(Handle::File(file)) => Ok(file.path.clone()),
            None => Err(Errno::BADF.into()),
        }
    }

    /// Returns an open file.
    fn file(&self, fd: u32) -> Result<Arc<OpenFile>> {
        match self.open.0.get(&fd) {
            Some(Handle::File(file)) => Ok(file.clone()),
            Some(Handle::Directory { .. }) => Err(Errno::ISDIR.into()),
            None => Err(Errno::BADF.into()),
        }
    }

    /// Returns an open file with this access.
    fn file_for(&self, fd: u32, access: Access) -> Result<Arc<OpenFile>> {
        let file = self.file(fd)?;
        if !file.access.contains(access) {
            return Err(Errno::BADF.into());
        }
        Ok(file)
    }
}
