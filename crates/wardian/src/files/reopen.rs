//! Files that are open between the calls of a session, when the session goes on somewhere else:
//! they are opened again by their paths, behind the same guard as any other.

use std::io::{self, SeekFrom};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use wardian_engine::{OpenOptions, ROOT};
use wardian_policy::Access;

use super::error::Result;
use super::{Denial, FileError, FileGuard, GuestTarget, Handle, OpenFiles};

/// Something that is open, as a snapshot has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedHandle {
    /// Its descriptor.
    pub(crate) fd: u32,
    /// Its path for scripts.
    pub(crate) path: String,
    /// `None` for a directory.
    pub(crate) file: Option<SavedFile>,
}

/// A regular file that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedFile {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) position: u64,
}

impl OpenFiles {
    /// Returns what it takes to open everything again.
    pub(crate) fn save(&self) -> Vec<SavedHandle> {
        let open = self.table.iter().filter(|(fd, _)| **fd != ROOT);
        let saved = open.map(|(fd, handle)| match handle {
            Handle::Directory { path, .. } => SavedHandle {
                fd: *fd,
                path: path.to_string(),
                file: None,
            },
            Handle::File(file) => SavedHandle {
                fd: *fd,
                path: file.path.to_string(),
                file: Some(SavedFile {
                    read: file.access.contains(Access::READ),
                    write: file.access.contains(Access::WRITE),
                    append: file.append,
                    position: file.position().unwrap_or_default(),
                }),
            },
        });
        saved.collect()
    }
}

impl FileGuard {
    /// Opens what was open when a session was saved, under the same descriptors. Nothing is created
    /// or cut.
    pub(crate) async fn reopen(&mut self, saved: &SavedHandle) -> Result<()> {
        let target = GuestTarget::absolute(&saved.path).map_err(|_| Errno::INVAL)?;
        let SavedFile {
            read,
            write,
            append,
            position,
        } = saved.file.unwrap_or(SavedFile {
            read: true,
            write: false,
            append: false,
            position: 0,
        });
        let options = OpenOptions {
            read,
            write,
            append,
            directory: saved.file.is_none(),
            follow: true,
            ..OpenOptions::default()
        };
        let opened = self.open_target(target, options).await?;
        let handle = self.open.table.remove(&opened).ok_or(Errno::BADF)?;
        match (&handle, saved.file) {
            (Handle::File(file), Some(_)) => {
                file.file.seek(SeekFrom::Start(position))?;
            }
            (Handle::Directory { .. }, None) => {}
            (Handle::File(_), None) => return Err(Errno::NOTDIR.into()),
            (Handle::Directory { .. }, Some(_)) => return Err(Errno::ISDIR.into()),
        }
        if saved.fd == ROOT || self.open.table.contains_key(&saved.fd) {
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        }
        self.open.table.insert(saved.fd, handle);
        Ok(())
    }
}

impl FileError {
    /// Returns the reason in words, to follow the file's name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Denied(Denial { reason, .. }) => reason.clone(),
            Self::Limit(limit) => format!("it is beyond {limit}"),
            Self::Io(error) => error.to_string(),
            Self::Stop(stop) => stop.to_string(),
        }
    }
}
