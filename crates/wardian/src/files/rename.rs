//! Renaming within one granted directory.

use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::io::Errno;
use wardian_audit::FileOperation;

use super::beneath::open_parent;
use super::error::Result;
use super::{FileGuard, GuestTarget, Place};

impl FileGuard {
    pub(super) async fn rename_target(&self, from: GuestTarget, to: GuestTarget) -> Result<()> {
        let operation = FileOperation::Rename;
        let [source, target] = self.authorize_pair(operation, &from.path, &to.path).await?;
        let is_directory = from.is_directory || to.is_directory;
        let (place, from_path, to_path) = (source.place, source.path, target.path);
        self.perform(operation, &from.path, place.waits(), move || match place {
            Place::Directory(dir) => Ok(rename(&dir, &from_path, &to_path, is_directory)?),
            Place::Work(work) => work.rename(&from_path, &to_path, is_directory),
        })
        .await
    }
}

/// Renames within one directory's tree. `is_directory`: either path ended with a slash, which only
/// a directory's may.
fn rename(dir: &Dir, from: &Path, to: &Path, is_directory: bool) -> io::Result<()> {
    let [(from, old), (to, new)] = [open_parent(dir, from)?, open_parent(dir, to)?];
    if is_directory && !from.symlink_metadata(old)?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    from.rename(old, &to, new)
}
