//! Opening of files and directories. Nothing is opened that is not a regular file or a directory,
//! and nothing waits for another process.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptionsExt};
use rustix::fs::OFlags;
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_engine::OpenOptions;
use wardian_policy::{Access, Action, Limit};

use super::beneath::{check_beneath, open_parent};
use super::create::count_created;
use super::error::{Failure, Result};
use super::io::Body;
use super::stat::metadata;
use super::{Beneath, FileGuard, GuestTarget, Handle, OpenFile, Place};
use crate::ledger::Meter;

/// The mode of new files, as far as the umask of the host allows: the owner's, and readable for the
/// group.
const FILE_MODE: u32 = 0o640;

/// The result of opening.
pub(super) enum Opened {
    Directory,
    File(Body),
}

impl FileGuard {
    /// Opens a file or a directory. Returns its descriptor.
    pub(super) async fn open_target(
        &mut self,
        target: GuestTarget,
        mut options: OpenOptions,
    ) -> Result<u32> {
        let GuestTarget { path, is_directory } = target;
        options.directory |= is_directory;
        let changes = options.write || options.create || options.truncate;
        options.read |= !changes;
        if !changes && self.children_of_ancestor(&path).is_some() {
            let fd = self.free_descriptor(FileOperation::Read, &path).await?;
            self.open.table.insert(fd, Handle::directory(path));
            return Ok(fd);
        }
        let (operation, actions): (_, &[_]) = match (options.read, changes) {
            (true, true) => (FileOperation::Write, &[Action::ReadFile, Action::WriteFile]),
            (false, true) => (FileOperation::Write, &[Action::WriteFile]),
            (_, false) => (FileOperation::Read, &[Action::ReadFile]),
        };
        let Beneath {
            place,
            path: beneath,
            device,
        } = self.authorize(operation, &path, actions).await?;
        // Before anything is created or cut.
        let fd = self.free_descriptor(operation, &path).await?;
        let meters = &self.context.meters;
        let (created, max_bytes) = (meters.created.clone(), meters.max_file_bytes);
        let waits = place.waits();
        let opening = move || match place {
            Place::Directory(dir) => open(&dir, &beneath, options, max_bytes, &created),
            Place::Work(work) => work.open(&beneath, options, max_bytes, &created),
        };
        let handle = match self.perform(operation, &path, waits, opening).await? {
            Opened::Directory => Handle::directory(path),
            Opened::File(file) => {
                let mut access = Access::empty();
                access.set(Access::READ, options.read);
                access.set(Access::WRITE, options.write);
                Handle::File(Arc::new(OpenFile {
                    file,
                    path,
                    access,
                    append: options.append,
                    device,
                }))
            }
        };
        self.open.table.insert(fd, handle);
        Ok(fd)
    }

    /// Opens a file. Fails if it is a directory.
    pub(crate) async fn open_file(
        &mut self,
        target: GuestTarget,
        options: OpenOptions,
    ) -> Result<Arc<OpenFile>> {
        let fd = self.open_target(target, options).await?;
        self.file(fd)
    }
}

/// Opens a file, which counts if it is created, or finds that it is a directory. A file that is
/// read has at most `max_bytes` bytes.
fn open(
    dir: &Dir,
    path: &Path,
    options: OpenOptions,
    max_bytes: u64,
    created: &Meter,
) -> std::result::Result<Opened, Failure> {
    let changes = options.write || options.create || options.truncate;
    let found = match metadata(dir, path, options.follow) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.create => None,
        found => Some(found?),
    };
    let mut std_options = cap_std::fs::OpenOptions::new();
    std_options
        .read(options.read)
        .write(changes && !options.append)
        .append(options.append)
        .mode(FILE_MODE)
        // In case that it has become a pipe or a terminal since.
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    let Some(found) = found else {
        if options.directory {
            return Err(Errno::ISDIR.into());
        }
        std_options.create_new(true).follow(FollowSymlinks::No);
        let file = count_created(created, || {
            let (parent, name) = open_parent(dir, path)?;
            Ok(parent.open_with(name, &std_options)?.into_std())
        });
        return file.map(|file| Opened::File(Body::Host(file)));
    };
    if options.create && options.exclusive {
        return Err(Errno::EXIST.into());
    }
    if found.is_dir() {
        if changes {
            return Err(Errno::ISDIR.into());
        }
        return Ok(Opened::Directory);
    }
    if options.directory {
        return Err(Errno::NOTDIR.into());
    }
    if found.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    if !found.is_file() {
        return Err(Failure::Special);
    }
    std_options.follow(if options.follow {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    });
    let file = dir.open_with(path, &std_options)?.into_std();
    check_beneath(dir, &file)?;
    let opened = file.metadata()?;
    if !opened.is_file() {
        return Err(Failure::Special);
    }
    if options.truncate {
        file.set_len(0)?;
    } else if options.read && opened.len() > max_bytes {
        return Err(Failure::Limit(Limit::FileSize));
    }
    Ok(Opened::File(Body::Host(file)))
}
