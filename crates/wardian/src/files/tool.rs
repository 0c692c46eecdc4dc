//! Files for tools: through the same guard, the same handles and the same limits as a script's own.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_policy::{GuestPath, Limit};
use wasmtime_wasi::p1::types::{Errno, Error, Fdflags, Filetype, Lookupflags, Oflags, Rights};

use super::operation::{self, Failure, IO_BYTES, Place, Room};
use super::{Asked, FileGuard, OpenFile, Result, blocking};
use crate::session::Session;
use crate::{FileOperation, Gate, ToolError};

/// The files of one run in granted directories, for a tool that it has called: a path becomes a
/// handle here, and nowhere else.
pub struct Files {
    guard: FileGuard,
}

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
    pub(crate) fn new(gate: &Gate, session: Arc<Session>) -> Self {
        let (policy, grants) = (gate.shared_policy().clone(), gate.grants().clone());
        Self {
            guard: FileGuard::new(policy, grants, session),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it may not be read, is not there, or is larger than `max_file_size`.
    pub async fn read(mut self, path: &str) -> std::result::Result<Vec<u8>, ToolError> {
        let asked = asked(path)?;
        let read = self.guard.read_whole(asked).await;
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
    /// [`ToolError`] if it may not be read, is not there, or has more than `most` entries.
    pub async fn list(
        mut self,
        path: &str,
        most: usize,
    ) -> std::result::Result<Vec<DirectoryEntry>, ToolError> {
        let directory = asked(path)?;
        let names = self.guard.names(directory, most).await;
        let names = names.map_err(|error| failure(path, error))?;
        if names.len() > most {
            let why = format!("{} has more than {most} entries", path.escape_debug());
            return Err(ToolError::failed(why));
        }
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

    async fn read_whole(&mut self, asked: Asked) -> Result<Vec<u8>> {
        let (rights, none) = (Rights::FD_READ, Fdflags::empty());
        let open = self.opened(asked, Oflags::empty(), rights, none).await?;
        let (path, most) = (open.path.clone(), self.session.quota.file_bytes);
        let read = blocking(move || {
            let mut bytes = Vec::new();
            loop {
                let piece = operation::read(&open.file, IO_BYTES, Place::Current)?;
                if piece.is_empty() {
                    return Ok(bytes);
                }
                bytes.extend(piece);
                // It has grown since it was opened.
                if bytes.len() as u64 > most {
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
            let (mut written, mut counted) = (0, 0);
            while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
                let place = if append { Place::End } else { Place::Current };
                let room = Room {
                    bytes_left: room.bytes_left.saturating_sub(counted),
                    ..room
                };
                match operation::write(&open.file, rest, place, room) {
                    Ok((more, count)) => {
                        written += more;
                        counted += count;
                    }
                    Err(failure) => return (counted, Err(failure)),
                }
            }
            (counted, Ok(written as u64))
        });
        let (counted, written) = writing.await?;
        self.session.quota.wrote(counted);
        self.done(FileOperation::Write, &path, written).await
    }

    async fn names(&mut self, asked: Asked, most: usize) -> Result<Vec<String>> {
        let path = asked.path.clone();
        let (rights, none) = (Rights::FD_READ, Fdflags::empty());
        let follow = Lookupflags::SYMLINK_FOLLOW;
        self.open(asked, follow, Oflags::DIRECTORY, rights, none)
            .await?;
        let listing = self.list(&path).await?;
        let names = blocking(move || listing.names(most)).await?;
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
            return ToolError::Refused {
                resource: path.to_string(),
                rule: "allowed_paths".to_owned(),
                reason: format!("{path} may not be reached so"),
                told: None,
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
