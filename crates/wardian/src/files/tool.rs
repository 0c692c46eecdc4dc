//! Files for tools: through the same guard, the same handles and the same limits as a script's own.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_policy::{GuestPath, Limit};
use wasmtime_wasi::p1::types::{Errno, Error, Fdflags, Lookupflags, Oflags, Rights};

use super::operation::{self, IO_BYTES, Place};
use super::{Asked, FileGuard, blocking};
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
    pub async fn read(mut self, path: &str) -> Result<Vec<u8>, ToolError> {
        let fd = self
            .open(path, Oflags::empty(), Rights::FD_READ, Fdflags::empty())
            .await?;
        let open = self.guard.file(fd).map_err(|error| failure(path, error))?;
        let most = self.guard.session.quota.file_bytes;
        let reading = blocking(move || {
            let mut bytes = Vec::new();
            loop {
                let piece = operation::read(&open.file, IO_BYTES, Place::Current)?;
                if piece.is_empty() {
                    return Ok(bytes);
                }
                bytes.extend(piece);
                // It has grown since it was opened.
                if bytes.len() as u64 > most {
                    return Err(operation::Failure::Limit(Limit::FileSize));
                }
            }
        });
        let read = reading.await.map_err(|error| failure(path, error))?;
        let path_of = self.guard.path(fd).map_err(|error| failure(path, error))?;
        let done = self.guard.done(FileOperation::Read, &path_of, read).await;
        done.map_err(|error| failure(path, error))
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
    ) -> Result<u64, ToolError> {
        let (flags, fdflags) = match append {
            true => (Oflags::CREAT, Fdflags::APPEND),
            false => (Oflags::CREAT | Oflags::TRUNC, Fdflags::empty()),
        };
        let fd = self.open(path, flags, Rights::FD_WRITE, fdflags).await?;
        let open = self.guard.file(fd).map_err(|error| failure(path, error))?;
        let room = self.guard.room();
        let writing = blocking(move || {
            let (mut written, mut counted) = (0, 0);
            while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
                let place = if append { Place::End } else { Place::Current };
                let room = operation::Room {
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
        let (counted, written) = writing.await.map_err(|error| failure(path, error))?;
        self.guard.session.quota.wrote(counted);
        let path_of = self.guard.path(fd).map_err(|error| failure(path, error))?;
        let done = self
            .guard
            .done(FileOperation::Write, &path_of, written)
            .await;
        done.map_err(|error| failure(path, error))
    }

    /// The entries of a directory, sorted by name; `most` at most.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it may not be read, is not there, or has more entries.
    pub async fn list(mut self, path: &str, most: usize) -> Result<Vec<DirectoryEntry>, ToolError> {
        self.open(path, Oflags::DIRECTORY, Rights::FD_READ, Fdflags::empty())
            .await?;
        let path_of = asked(path)?.path;
        let listing = self
            .guard
            .list(&path_of)
            .await
            .map_err(|error| failure(path, error))?;
        let names = blocking(move || listing.names(most))
            .await
            .map_err(|error| failure(path, error))?;
        let names = self.guard.done(FileOperation::Read, &path_of, names).await;
        let names = names.map_err(|error| failure(path, error))?;
        if names.len() > most {
            return Err(ToolError::failed(format!(
                "{path} has more than {most} entries"
            )));
        }
        let mut entries = Vec::new();
        for name in names {
            let beneath = format!("{}/{name}", path.trim_end_matches('/'));
            // What can't be looked at, a link that leads out for one, is not shown.
            if let Ok(found) = self
                .guard
                .stat(asked(&beneath)?, Lookupflags::empty())
                .await
            {
                entries.push(DirectoryEntry {
                    is_dir: found.filetype == wasmtime_wasi::p1::types::Filetype::Directory,
                    bytes: found.size,
                    name,
                });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    async fn open(
        &mut self,
        path: &str,
        flags: Oflags,
        rights: Rights,
        fdflags: Fdflags,
    ) -> Result<u32, ToolError> {
        let follow = Lookupflags::SYMLINK_FOLLOW;
        let opened = self
            .guard
            .open(asked(path)?, follow, flags, rights, fdflags)
            .await;
        opened.map_err(|error| failure(path, error))
    }
}

fn asked(path: &str) -> Result<Asked, ToolError> {
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
