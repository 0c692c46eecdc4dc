//! The file guard: every wish of a script for a file comes here, and goes on only if the policy
//! allows it.
//!
//! A script sees one tree. Its root and the directories that lead to granted ones exist only
//! here; a granted directory is a handle that [`Grants`] opened. A path becomes a normalised
//! [`GuestPath`] first, is decided on as that, and only then resolved, beneath the handle. What
//! is outside of every grant is refused before any file system is asked, so whether it exists
//! does not show.

mod access;
mod listing;
mod operation;
mod quota;
mod record;
mod stat;
mod tool;
mod wasi;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use wardian_policy::{Access, Action, GuestPath, Limit, PathError, Policy};
use wasmtime_wasi::p1::types::{Errno, Error, Filestat, Lookupflags};
use wiggle::{GuestMemory, GuestPtr};

use self::listing::Listing;
use self::operation::Failure;
pub(crate) use self::operation::real_path;
pub(crate) use self::quota::Quota;
pub(crate) use self::tool::Held;
pub use self::tool::{DirectoryEntry, Files};
pub(crate) use self::wasi::{WASI_MODULE, Wasi, random_get, trap};
use crate::FileOperation;
use crate::grants::Grants;
use crate::session::{Session, Stop};
use crate::threads::{FILES, Unfinished};

type Result<T> = std::result::Result<T, Error>;

/// The descriptor of the root, the first after the standard streams: where C libraries look for
/// the directories that they were given.
const ROOT: u32 = 3;

/// What the files of one run are, and may become.
pub(crate) struct FileGuard {
    policy: Arc<Policy>,
    grants: Arc<Grants>,
    open: BTreeMap<u32, Open>,
    session: Arc<Session>,
}

/// Something that a script has open.
enum Open {
    /// A directory is a name: what is opened relative to it is decided on as a whole path.
    Directory {
        path: GuestPath,
        listing: Option<Listing>,
    },
    File(Arc<OpenFile>),
}

impl Open {
    fn directory(path: GuestPath) -> Self {
        let listing = None;
        Self::Directory { path, listing }
    }
}

struct OpenFile {
    file: File,
    path: GuestPath,
    access: Access,
    append: bool,
    device: u64,
}

/// Something beneath a granted directory that may be touched.
struct Target {
    dir: Arc<Dir>,
    /// Relative to the directory; `.` for itself.
    path: PathBuf,
    /// The grant's number, from 1.
    device: u64,
}

impl Target {
    fn is_root(&self) -> bool {
        self.path == Path::new(".")
    }
}

/// A path as a script gave it.
struct Asked {
    path: GuestPath,
    /// It ended with a slash, or with `/.`: only a directory will do.
    directory: bool,
}

impl FileGuard {
    pub(crate) fn new(policy: Arc<Policy>, grants: Arc<Grants>, session: Arc<Session>) -> Self {
        let root = Open::directory(GuestPath::root());
        Self {
            policy,
            grants,
            open: BTreeMap::from([(ROOT, root)]),
            session,
        }
    }

    /// Reads a path out of the guest, relative to one of its directories.
    fn asked(&self, memory: &GuestMemory<'_>, dir: u32, path: GuestPtr<str>) -> Result<Asked> {
        let base = match self.open.get(&dir) {
            Some(Open::Directory { path, .. }) => path,
            Some(Open::File(_)) => return Err(Errno::Notdir.into()),
            None => return Err(Errno::Badf.into()),
        };
        // Twice what any path can have, so that its own error is the one that is seen.
        if path.len() > 8192 {
            return Err(Errno::Nametoolong.into());
        }
        let text = memory.as_cow_str(path)?;
        let joined = match text.starts_with('/') {
            true => GuestPath::new(text.as_bytes()),
            false => base.join(&text),
        };
        let path = joined.map_err(|error| match error {
            PathError::TooLong => Errno::Nametoolong,
            PathError::NotUtf8 => Errno::Ilseq,
            _ => Errno::Inval,
        })?;
        let directory = matches!(text.rsplit('/').next(), Some("" | "." | ".."));
        Ok(Asked { path, directory })
    }

    /// The one question: may this be done here? Every answer is recorded.
    async fn permit(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        actions: &[Action],
    ) -> Result<Target> {
        let policy = self.policy.clone();
        let decision = actions
            .iter()
            .map(|action| policy.check_path(*action, path.clone()))
            // The first refusal decides.
            .reduce(|first, next| if first.allowed() { next } else { first })
            .ok_or(Errno::Inval)?;
        self.session.decided(operation, path, &decision).await?;
        if let Some(target) = self.target(&decision) {
            return Ok(target);
        }
        // Whether something is there does not show: for a script that looks, there is nothing, as programs expect that
        // try a file and go on without.
        let only_looks = actions.iter().all(|action| *action == Action::ReadFile);
        Err(match only_looks && !policy.shows(path) {
            true => Errno::Noent.into(),
            false => Errno::Acces.into(),
        })
    }

    /// Where an allowed path leads.
    fn target(&self, decision: &wardian_policy::Decision<'_>) -> Option<Target> {
        let (grant, path) = decision.grant()?;
        let directory = self.grants.directory(grant.guest())?;
        let rest = path.within(grant.guest())?;
        Some(Target {
            dir: directory.dir.clone(),
            path: if rest.is_empty() { "." } else { rest }.into(),
            device: directory.number,
        })
    }

    /// May a script look at this, by whatever access it has? Only a refusal is recorded.
    async fn visible(&mut self, path: &GuestPath) -> Result<Target> {
        let policy = self.policy.clone();
        let check = |action| policy.check_path(action, path.clone());
        let reading = check(Action::ReadFile);
        let target = self.target(&reading);
        if let Some(target) = target.or_else(|| self.target(&check(Action::WriteFile))) {
            return Ok(target);
        }
        let operation = FileOperation::Stat;
        self.session.decided(operation, path, &reading).await?;
        Err(Errno::Noent.into())
    }

    async fn stat(&mut self, asked: Asked, flags: Lookupflags) -> Result<Filestat> {
        if self.grants.leading_from(&asked.path).is_some() {
            return Ok(stat::of_leading_directory());
        }
        let Target { dir, path, device } = self.visible(&asked.path).await?;
        let follow = flags.contains(Lookupflags::SYMLINK_FOLLOW);
        let found = blocking(move || operation::stat(&dir, &path, follow)).await?;
        let found = self.done(FileOperation::Stat, &asked.path, found).await?;
        if asked.directory && !found.is_dir() {
            return Err(Errno::Notdir.into());
        }
        Ok(stat::filestat(&found, device))
    }

    /// What came of an operation that was allowed. What the run's limits or the directory's
    /// borders stopped is recorded.
    async fn done<T>(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        result: std::result::Result<T, impl Into<Failure>>,
    ) -> Result<T> {
        match result {
            Ok(done) => Ok(done),
            Err(failure) => Err(self.failed(operation, path, failure.into()).await?.into()),
        }
    }

    /// Why something that was allowed is not done, as the script sees it.
    async fn failed(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        failure: Failure,
    ) -> Result<Errno> {
        Ok(match failure {
            Failure::Limit(limit) => {
                self.session
                    .limited(operation, path, limit, &self.policy)
                    .await?;
                match limit {
                    Limit::FileSize => Errno::Fbig,
                    Limit::OpenFiles => Errno::Mfile,
                    _ => Errno::Nospc,
                }
            }
            Failure::Special => {
                let reason = "it is a device, a pipe or a socket";
                self.session
                    .stopped(operation, path, reason, &self.policy)
                    .await?;
                Errno::Acces
            }
            Failure::Io(error) if leads_outside(&error) => {
                let reason = "a symbolic link leads out of the granted directory";
                self.session
                    .stopped(operation, path, reason, &self.policy)
                    .await?;
                Errno::Acces
            }
            Failure::Io(error) => stat::errno(&error),
        })
    }

    /// Makes room for one more descriptor.
    async fn descriptor(&mut self, operation: FileOperation, path: &GuestPath) -> Result<u32> {
        let count = self.open.keys().filter(|fd| **fd != ROOT).count();
        if count >= self.session.quota.open_files {
            self.done(operation, path, Err(Failure::Limit(Limit::OpenFiles)))
                .await?;
        }
        let free = (ROOT + 1..).find(|fd| !self.open.contains_key(fd));
        free.ok_or(Errno::Mfile.into())
    }

    fn file(&self, fd: u32) -> Result<Arc<OpenFile>> {
        match self.open.get(&fd) {
            Some(Open::File(file)) => Ok(file.clone()),
            Some(Open::Directory { .. }) => Err(Errno::Isdir.into()),
            None => Err(Errno::Badf.into()),
        }
    }

    fn file_for(&self, fd: u32, access: Access) -> Result<Arc<OpenFile>> {
        let file = self.file(fd)?;
        match file.access.contains(access) {
            true => Ok(file),
            false => Err(Errno::Badf.into()),
        }
    }
}

/// cap-std has an error of its own for a path that would leave the directory; every other comes
/// from the system.
fn leads_outside(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.kind() == io::ErrorKind::PermissionDenied
}

/// Does something that may wait for a disk, on a thread that may wait. The run's time goes on
/// meanwhile, and when it is up the run ends without waiting.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let stop = |error: Unfinished| Stop::Host(format!("a file operation: {error}"));
    let done = FILES.run(work).await;
    done.map_err(|error| Error::trap(wasmtime::Error::new(stop(error))))
}
