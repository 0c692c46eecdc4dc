//! The file guard. It mediates every file operation of a run: authorizes it against the policy,
//! records the decision, then performs it beneath a granted directory.
//!
//! A script sees one tree. Its root and the directories that lead to granted ones exist only
//! here; a granted directory is a handle that [`Grants`] opened. A path becomes a normalised
//! [`GuestPath`] first, is decided on as that, and only then resolved, beneath the handle. What
//! is outside of every grant is denied before any file system is asked, so whether it exists
//! does not show.
//!
//! The working directory (`work/`) and packages (`packages/`) are in memory, and the guard stands
//! before them too.
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
mod packages;
mod paths;
mod record;
mod remove;
mod rename;
mod reopen;
mod stat;
mod times;
mod work;

use std::collections::BTreeMap;
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
use self::io::Body;
use self::list::Listing;
pub(crate) use self::packages::Packages;
pub(crate) use self::paths::real;
pub(crate) use self::reopen::SavedHandle;
pub use self::work::OutputFile;
pub(crate) use self::work::{Checkpoint, LoadError, SavedWork, WorkFiles};
use crate::ledger::{RunContext, Stop};
use crate::threads::FILES;

/// The files of one run: what is open, and what may become so.
pub(crate) struct FileGuard {
    authority: Arc<Authority>,
    context: Arc<RunContext>,
    open: OpenFiles,
}

/// The files of a script: those that are open, by descriptors, and its working directory.
#[derive(Clone)]
pub(crate) struct OpenFiles {
    table: BTreeMap<u32, Handle>,
    pub(crate) work: Option<WorkFiles>,
}

/// The part of [`OpenFiles`] that a call changes and that an undo restores.
pub(crate) struct FilesBefore {
    positions: Vec<(Arc<OpenFile>, u64)>,
    work: Option<Checkpoint>,
}

impl OpenFiles {
    /// Nothing but the root is open.
    pub(crate) fn new(work: Option<WorkFiles>) -> Self {
        let root = Handle::directory(GuestPath::root());
        Self {
            table: BTreeMap::from([(ROOT, root)]),
            work,
        }
    }

    fn files(&self) -> impl Iterator<Item = &Arc<OpenFile>> {
        self.table.values().filter_map(|handle| match handle {
            Handle::File(file) => Some(file),
            Handle::Directory { .. } => None,
        })
    }

    /// Notes the positions of all files, and the working directory.
    pub(crate) fn before(&self) -> FilesBefore {
        let positions = self.files().map(|file| (file.clone(), file.position()));
        let positions = positions.filter_map(|(file, position)| Some((file, position?)));
        let open = self.files().filter_map(|file| file.file.work());
        let work = self.work.as_ref().map(|work| work.checkpoint(open));
        FilesBefore {
            positions: positions.collect(),
            work,
        }
    }

    /// Makes the working directory what it was. Positions are each file's own.
    pub(crate) fn restore_work(&self, before: &FilesBefore) {
        if let (Some(work), Some(checkpoint)) = (&self.work, &before.work) {
            work.restore(checkpoint);
        }
    }
}

impl FilesBefore {
    /// The open files, with their positions.
    pub(crate) fn positions(&self) -> &[(Arc<OpenFile>, u64)] {
        &self.positions
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
    file: Body,
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

/// A path that may be touched.
struct Beneath {
    place: Place,
    /// Relative to a granted directory, `.` for itself; absolute in a working directory.
    path: PathBuf,
    /// The grant's number, from 1.
    device: u64,
}

/// The place of a path.
#[derive(Clone)]
enum Place {
    /// A granted directory.
    Directory(Arc<Dir>),
    /// The working directory, or the packages.
    Work(WorkFiles),
}

impl Place {
    /// Returns whether what is done there can wait for a disk.
    fn waits(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// The number of the working directory, where granted directories have theirs.
const WORK_DEVICE: u64 = u32::MAX as u64;

/// The number of the packages.
const PACKAGES_DEVICE: u64 = WORK_DEVICE - 1;

impl Beneath {
    fn is_root(&self) -> bool {
        match &self.place {
            Place::Directory(_) => self.path == Path::new("."),
            Place::Work(work) => work.is_root(&self.path),
        }
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
        std::mem::replace(&mut self.open, OpenFiles::new(None))
    }

    /// Reads a path that is relative to an open directory.
    fn target(&self, dir: u32, path: &str) -> Result<GuestTarget> {
        let base = match self.open.table.get(&dir) {
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
        if let Some(path) = decision.work() {
            return Some(Beneath {
                place: Place::Work(self.open.work.clone()?),
                path: path.as_str().into(),
                device: WORK_DEVICE,
            });
        }
        if let Some(path) = decision.package() {
            let packages = self.authority.packages.as_ref()?;
            return Some(Beneath {
                place: Place::Work(packages.files.clone()),
                path: path.as_str().into(),
                device: PACKAGES_DEVICE,
            });
        }
        let (grant, path) = decision.grant()?;
        let directory = self.authority.grants.directory(grant.guest())?;
        let rest = path.within(grant.guest())?;
        Some(Beneath {
            place: Place::Directory(directory.dir.clone()),
            path: if rest.is_empty() { "." } else { rest }.into(),
            device: directory.number,
        })
    }

    /// Returns the names in a directory that is not granted itself, but leads to granted ones.
    fn children_of_ancestor(&self, path: &GuestPath) -> Option<Vec<String>> {
        let policy = &self.authority.policy;
        let in_memory = policy.work_directories().chain(policy.package_directory());
        let names = in_memory.filter_map(|work| {
            let name = work.within(path)?.split('/').next()?;
            (!name.is_empty()).then(|| name.to_owned())
        });
        let mut names: Vec<_> = names.collect();
        let granted = self.authority.grants.children_of_ancestor(path);
        if names.is_empty() {
            return granted;
        }
        names.extend(granted.into_iter().flatten());
        names.sort();
        names.dedup();
        Some(names)
    }

    /// Performs what was authorized; if that `waits` for a disk, on a thread that may. The run's
    /// time goes on meanwhile, and when it is up the run ends without waiting.
    async fn perform<T: Send + 'static>(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        waits: bool,
        work: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let done = if waits {
            let done = FILES.run(work).await;
            done.map_err(|error| Stop::Host(format!("a file operation: {error}")))?
        } else {
            work()
        };
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
        let count = self.open.table.keys().filter(|fd| **fd != ROOT).count();
        if count >= self.context.meters.max_open_files {
            let limit = Err(Failure::Limit(Limit::OpenFiles));
            self.finish(operation, path, limit).await?;
        }
        let free = (ROOT + 1..).find(|fd| !self.open.table.contains_key(fd));
        Ok(free.ok_or(Errno::MFILE)?)
    }

    /// Returns the path of what is open.
    fn path(&self, fd: u32) -> Result<GuestPath> {
        match self.open.table.get(&fd) {
            Some(Handle::Directory { path, .. }) => Ok(path.clone()),
            Some(Handle::File(file)) => Ok(file.path.clone()),
            None => Err(Errno::BADF.into()),
        }
    }

    /// Returns an open file.
    fn file(&self, fd: u32) -> Result<Arc<OpenFile>> {
        match self.open.table.get(&fd) {
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
