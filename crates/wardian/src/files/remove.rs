//! Removal of files, symbolic links and empty directories.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_policy::Action;

use super::beneath::open_parent;
use super::error::Result;
use super::{FileGuard, GuestTarget, Place};

impl FileGuard {
    pub(super) async fn remove_directory_at(&self, target: GuestTarget) -> Result<()> {
        let (operation, path) = (FileOperation::Remove, target.path);
        let beneath = self
            .authorize(operation, &path, &[Action::WriteFile])
            .await?;
        if beneath.is_root() {
            return Err(Errno::BUSY.into());
        }
        let waits = beneath.place.waits();
        self.perform(operation, &path, waits, move || match beneath.place {
            Place::Directory(dir) => {
                let (parent, name) = open_parent(&dir, &beneath.path)?;
                Ok(parent.remove_dir(name)?)
            }
            Place::Work(work) => work.remove_directory(&beneath.path),
        })
        .await
    }

    pub(super) async fn remove_file_at(&self, target: GuestTarget) -> Result<()> {
        let GuestTarget { path, is_directory } = target;
        let operation = FileOperation::Remove;
        let beneath = self
            .authorize(operation, &path, &[Action::WriteFile])
            .await?;
        if beneath.is_root() {
            return Err(Errno::ISDIR.into());
        }
        let waits = beneath.place.waits();
        self.perform(operation, &path, waits, move || match beneath.place {
            Place::Directory(dir) => Ok(remove_file(&dir, &beneath.path, is_directory)?),
            Place::Work(work) => work.remove_file(&beneath.path, is_directory),
        })
        .await
    }
}

/// Removes a file or a symbolic link, never what it leads to. `is_directory`: the path ended with a
/// slash, which only a directory's may.
fn remove_file(dir: &Dir, path: &Path, is_directory: bool) -> io::Result<()> {
    let (parent, name) = open_parent(dir, path)?;
    if is_directory {
        let found = parent.symlink_metadata(name)?;
        let error = if found.is_dir() {
            Errno::ISDIR
        } else {
            Errno::NOTDIR
        };
        return Err(error.into());
    }
    parent.remove_file(name)
}
