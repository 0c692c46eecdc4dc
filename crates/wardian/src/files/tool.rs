//! Files for tools: through the same guard, the same handles and the same limits as a script's own.

use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_policy::{GuestPath, Limit};
use wasmtime_wasi::p1::types::{Errno, Error, Fdflags, Filetype, Lookupflags, Oflags, Rights};

use super::operation::{self, Failure, IO_BYTES, Place};
use super::{Asked, FileGuard, OpenFile, Result, blocking};
use crate::account::Reservation;
use crate::session::{Session, lock};
use crate::{FileOperation, Gate, ToolError};

/// The files of one run in granted directories, for a tool that it has called: a path becomes a
/// handle here, and nowhere else.
pub struct Files {
    guard: FileGuard,
    session: Arc<Session>,
    held: Held,
}

/// What a call has reserved of the host's memory beyond what it was admitted with. Given back when the call ends.
pub(crate) type Held = Arc<Mutex<Vec<Reservation>>>;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Files {
    pub(crate) fn new(gate: &Gate, session: Arc<Session>, held: Held) -> Self {
        let (policy, grants) = (gate.shared_policy().clone(), gate.grants().clone());
        Self {
            guard: FileGuard::new(policy, grants, session.clone()),
            session,
            held,
        }
    }

    /// The bytes of a file. What does not fit into a reply waits for memory of the host, by `limits.host_memory`.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it may not be read, is not there, is larger than `max_file_size`, or takes more memory than there
    /// is.
    pub async fn read(self, path: &str) -> std::result::Result<Vec<u8>, ToolError> {
        self.read_within(path, usize::MAX).await
    }

    /// The bytes of a file that has at most `max` of them.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); if the file is larger.
    pub async fn read_within(
        mut self,
        path: &str,
        max: usize,
    ) -> std::result::Result<Vec<u8>, ToolError> {
        let asked = asked(path)?;
        let opened = self.guard.open_whole(asked).await;
        let (open, size) = opened.map_err(|error| failure(path, error))?;
        let too_large = |size: u64| {
            let path = path.escape_debug();
            ToolError::failed(format!(
                "{path} has {size} bytes, more than the {max} that can be returned"
            ))
        };
        if size > max as u64 {
            return Err(too_large(size));
        }
        if size > self.session.reply_room() {
            let reserved = self.session.reserve(size).await;
            let reserved = reserved.map_err(|refused| refused.while_working(path))?;
            lock(&self.held).push(reserved);
        }
        let read = self.guard.read_whole(open, size).await;
        read.map_err(|error| failure(path, error))
    }

    /// Writes a file: a new one, in place of what is there, or at its end. Returns how many bytes.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it may not be written, or a limit is hit; then a part may have been written.
    pub async fn write(
        mut self,
        path: &str,
        bytes: Vec<u8>,
        append: bool,
    ) -> std::result::Result<u64, ToolError> {
        let asked = asked(path)?;
        let written = self.guard.write_whole(asked, bytes, append).await;
        written.map_err(|error| failure(path, error))
    }

    /// The entries of a directory, sorted by name. What can't be looked at, a link that leads out
    /// for one, is not among them.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it may not be read, is not there, or has more than `most` entries, or longer names than a reply
    /// can have.
    pub async fn list(
        mut self,
        path: &str,
        most: usize,
    ) -> std::result::Result<Vec<DirectoryEntry>, ToolError> {
        let directory = asked(path)?;
        let bytes = self.session.most_bytes();
        let names = self.guard.names(directory, most, bytes).await;
        let names = names.map_err(|error| failure(path, error))?;
        let too_many = || {
            let path = path.escape_debug();
            ToolError::failed(format!(
                "{path} has more than {most} entries, or {bytes} bytes of names"
            ))
        };
        let names = names.ok_or_else(too_many)?;
        let mut entries = Vec::new();
        for name in names {
            let beneath = asked(&format!("{}/{name}", path.trim_end_matches('/')))?;
            if let Ok(found) = self.guard.stat(beneath, Lookupflags::empty()).await {
                entries.push(DirectoryEntry {
                    is_dir: found.filetype == Filetype::Directory,
                    bytes: found.size,
                    name,
                });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

impl FileGuard {
    async fn opened(
        &mut self,
        asked: Asked,
        flags: Oflags,
        rights: Rights,
        fdflags: Fdflags,
    ) -> Result<Arc<OpenFile>> {
        let follow = Lookupflags::SYMLINK_FOLLOW;
        let fd = self.open(asked, follow, flags, rights, fdflags).await?;
        self.file(fd)
    }

    /// A file that is to be read whole, and its size.
    async fn open_whole(&mut self, asked: Asked) -> Result<(Arc<OpenFile>, u64)> {
        let (rights, none) = (Rights::FD_READ, Fdflags::empty());
        let open = self.opened(asked, Oflags::empty(), rights, none).await?;
        let file = open.clone();
        let found = blocking(move || file.file.metadata()).await?;
        let found = self.done(FileOperation::Read, &open.path, found).await?;
        Ok((open, found.len()))
    }

    async fn read_whole(&mut self, open: Arc<OpenFile>, size: u64) -> Result<Vec<u8>> {
        let path = open.path.clone();
        let read = blocking(move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            loop {
                let piece = operation::read(&open.file, IO_BYTES, Place::Current)?;
                if piece.is_empty() {
                    return Ok(bytes);
                }
                bytes.extend(piece);
                // It has grown since it was opened.
                if bytes.len() as u64 > size {
                    return Err(Failure::Limit(Limit::FileSize));
                }
            }
        });
        let read = read.await?;
        self.done(FileOperation::Read, &path, read).await
    }

    async fn write_whole(&mut self, asked: Asked, bytes: Vec<u8>, append: bool) -> Result<u64> {
        let (flags, fdflags) = match append {
            true => (Oflags::CREAT, Fdflags::APPEND),
            false => (Oflags::CREAT | Oflags::TRUNC, Fdflags::empty()),
        };
        let open = self.opened(asked, flags, Rights::FD_WRITE, fdflags).await?;
        let (path, room) = (open.path.clone(), self.room());
        let writing = blocking(move || {
            let mut written = 0;
            while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
                let place = if append { Place::End } else { Place::Current };
                written += operation::write(&open.file, rest, place, &room)?;
            }
            Ok::<_, Failure>(written as u64)
        });
        let written = writing.await?;
        self.done(FileOperation::Write, &path, written).await
    }

    /// The names in a directory; `None` if there are more than `most`, or they are longer than `bytes` together.
    async fn names(
        &mut self,
        asked: Asked,
        most: usize,
        bytes: usize,
    ) -> Result<Option<Vec<String>>> {
        let path = asked.path.clone();
        let (rights, none) = (Rights::FD_READ, Fdflags::empty());
        let follow = Lookupflags::SYMLINK_FOLLOW;
        self.open(asked, follow, Oflags::DIRECTORY, rights, none)
            .await?;
        let listing = self.list(&path).await?;
        let names = blocking(move || listing.names(most, bytes)).await?;
        self.done(FileOperation::Read, &path, names).await
    }
}

fn asked(path: &str) -> std::result::Result<Asked, ToolError> {
    let directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    match GuestPath::new(path) {
        Ok(path) => Ok(Asked { path, directory }),
        Err(error) => Err(ToolError::argument("path", error.to_string())),
    }
}

/// What a tool's caller is told of an error.
fn failure(path: &str, error: Error) -> ToolError {
    let path = path.escape_debug();
    let why = match error.downcast() {
        Ok(Errno::Acces) => {
            let reason = format!("access to {path} is denied");
            return ToolError::Refused {
                resource: path.to_string(),
                rule: "allowed_paths".to_owned(),
                told: Some(reason.clone()),
                reason,
            };
        }
        Ok(Errno::Noent) => format!("there is no {path}"),
        Ok(Errno::Isdir) => format!("{path} is a directory"),
        Ok(Errno::Notdir) => format!("{path} is not a directory"),
        Ok(Errno::Fbig) => format!("{path} is larger than a file may be here"),
        Ok(Errno::Nospc) => format!("{path}: there is no space left for this run"),
        Ok(_) => format!("{path} can't be reached so"),
        // The run ends for it, and says why.
        Err(_) => format!("{path}: it can't be recorded"),
    };
    ToolError::Failed(why)
}
