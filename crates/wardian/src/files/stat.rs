//! Properties of files.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, FileType, FileTypeExt, Metadata, MetadataExt};
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_engine::{FileKind, Stat};

use super::error::Result;
use super::io::Body;
use super::list::PLACEHOLDER_INODE;
use super::{Beneath, FileGuard, GuestTarget, Handle, Place};

impl FileGuard {
    pub(crate) async fn stat_target(&self, target: GuestTarget, follow: bool) -> Result<Stat> {
        let GuestTarget { path, is_directory } = target;
        if self.children_of_ancestor(&path).is_some() {
            return Ok(ANCESTOR);
        }
        let Beneath {
            place,
            path: beneath,
            device,
        } = self.authorize_stat(&path).await?;
        let waits = place.waits();
        let look = move || match place {
            Place::Directory(dir) => Ok(stat(&metadata(&dir, &beneath, follow)?, device)),
            Place::Work(work) => work.stat(&beneath, device),
        };
        let found = self
            .perform(FileOperation::Stat, &path, waits, look)
            .await?;
        if is_directory && found.kind != FileKind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        Ok(found)
    }

    pub(super) async fn stat_descriptor(&self, fd: u32) -> Result<Stat> {
        if let Some(Handle::Directory { path, .. }) = self.open.table.get(&fd) {
            let target = GuestTarget {
                path: path.clone(),
                is_directory: true,
            };
            return self.stat_target(target, true).await;
        }
        let open = self.file(fd)?;
        let file = open.clone();
        let look = move || match &file.file {
            Body::Host(of) => Ok(stat(&Metadata::from_file(of)?, file.device)),
            Body::Work(of) => Ok(of.stat(file.device)),
        };
        self.perform(FileOperation::Stat, &open.path, open.file.waits(), look)
            .await
    }
}

/// A directory that only leads to granted ones.
const ANCESTOR: Stat = Stat {
    device: 0,
    inode: PLACEHOLDER_INODE,
    kind: FileKind::Directory,
    links: 1,
    bytes: 0,
    accessed: 0,
    modified: 0,
    changed: 0,
};

pub(super) fn metadata(dir: &Dir, path: &Path, follow: bool) -> io::Result<Metadata> {
    if follow {
        dir.metadata(path)
    } else {
        dir.symlink_metadata(path)
    }
}

pub(super) fn kind(kind: FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_block_device() {
        FileKind::BlockDevice
    } else if kind.is_char_device() {
        FileKind::CharacterDevice
    } else {
        FileKind::Other
    }
}

/// The device is the grant's number, not the host's; the inode is the host's, so that a script
/// can tell whether two names are one file.
fn stat(data: &Metadata, device: u64) -> Stat {
    Stat {
        device,
        inode: data.ino(),
        kind: kind(data.file_type()),
        links: data.nlink(),
        bytes: data.len(),
        accessed: nanos(data.atime(), data.atime_nsec()),
        modified: nanos(data.mtime(), data.mtime_nsec()),
        changed: nanos(data.ctime(), data.ctime_nsec()),
    }
}

/// Converts a time to nanoseconds since 1970; one that does not fit is 1970, or the last that fits.
fn nanos(seconds: i64, nanos: i64) -> u64 {
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn any_time_of_the_host_can_be_told() {
        assert_eq!(nanos(1, 5), 1_000_000_005);
        assert_eq!(nanos(-1, 999_999_999), 0);
        assert_eq!(nanos(i64::MIN, 0), 0);
        assert_eq!(nanos(i64::MAX, 999_999_999), u64::MAX);
    }
}
