//! Files for tools: through the same guard, the same handles and the same limits as a script's own.

use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_engine::{FileKind, OpenOptions};
use wardian_policy::Limit;

use super::budget;
use crate::ToolError;
use crate::files::{Authority, FileError, FileGuard, GuestTarget, OpenFiles};
use crate::ledger::{Reservation, RunContext};

/// The files of one run in granted directories, for a tool that it has called: a path becomes a
/// handle here, and nowhere else.
pub struct Files {
    guard: FileGuard,
    context: Arc<RunContext>,
    reserved: Reserved,
}

/// Memory of the host that a call has reserved beyond what it was admitted with. Given back when
/// the call ends.
pub(crate) type Reserved = Arc<Mutex<Vec<Reservation>>>;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Files {
    pub(super) fn new(
        authority: &Arc<Authority>,
        context: Arc<RunContext>,
        reserved: Reserved,
    ) -> Self {
        Self {
            guard: FileGuard::new(authority.clone(), context.clone(), OpenFiles::new(None)),
            context,
            reserved,
        }
    }

    /// Reads a file. What does not fit into a reply waits for memory of the host, by
    /// `limits.host_memory`.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if reading is denied, the file is not there, is larger than `max_file_size`,
    /// or takes more memory than there is.
    pub async fn read(self, path: &str) -> Result<Vec<u8>, ToolError> {
        self.read_within(path, usize::MAX).await
    }

    /// Reads a file that has at most `max_bytes` bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); if the file is larger.
    pub async fn read_within(mut self, path: &str, max_bytes: usize) -> Result<Vec<u8>, ToolError> {
        let failed = |error| tool_error(path, error);
        let options = OpenOptions {
            read: true,
            follow: true,
            ..OpenOptions::default()
        };
        let opened = self.guard.open_file(target(path)?, options).await;
        let open = opened.map_err(failed)?;
        let size = self.guard.size_of(&open).await.map_err(failed)?;
        if size > max_bytes as u64 {
            let path = path.escape_debug();
            return Err(ToolError::failed(format!(
                "{path} has {size} bytes, more than the {max_bytes} that can be returned"
            )));
        }
        if size > budget::reply_bytes(&self.context) {
            let reserved = budget::reserve(&self.context, size).await;
            let reserved = reserved.map_err(|denied| denied.into_tool_error(path))?;
            self.reserved.lock().push(reserved);
        }
        self.guard.read_to_end(open, size).await.map_err(failed)
    }

    /// Writes a file: a new one, in place of what is there, or at its end. Returns the count of
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if writing is denied, or a limit is hit; then a part may have been written.
    pub async fn write(
        mut self,
        path: &str,
        bytes: Vec<u8>,
        append: bool,
    ) -> Result<u64, ToolError> {
        let failed = |error| tool_error(path, error);
        let options = OpenOptions {
            write: true,
            append,
            create: true,
            truncate: !append,
            follow: true,
            ..OpenOptions::default()
        };
        let opened = self.guard.open_file(target(path)?, options).await;
        let open = opened.map_err(failed)?;
        self.guard.write_all(open, bytes).await.map_err(failed)
    }

    /// Lists a directory, sorted by name. What can't be looked at, a link that leads out
    /// for one, is not among the entries.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if reading is denied, the directory is not there, or has more than `max`
    /// entries, or longer names than a reply can have.
    pub async fn list(mut self, path: &str, max: usize) -> Result<Vec<DirectoryEntry>, ToolError> {
        let max_bytes = self.context.meters.max_tool_bytes;
        let names = self.guard.names(target(path)?, max, max_bytes).await;
        let names = names.map_err(|error| tool_error(path, error))?;
        let too_many = || {
            let path = path.escape_debug();
            ToolError::failed(format!(
                "{path} has more than {max} entries, or {max_bytes} bytes of names"
            ))
        };
        let mut entries = Vec::new();
        for name in names.ok_or_else(too_many)? {
            let beneath = target(&format!("{}/{name}", path.trim_end_matches('/')))?;
            if let Ok(found) = self.guard.stat_target(beneath, false).await {
                entries.push(DirectoryEntry {
                    is_dir: found.kind == FileKind::Directory,
                    bytes: found.bytes,
                    name,
                });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

fn target(path: &str) -> Result<GuestTarget, ToolError> {
    GuestTarget::absolute(path).map_err(|error| ToolError::argument("path", error.to_string()))
}

/// Makes of a failed operation what a tool's caller is told.
fn tool_error(path: &str, error: FileError) -> ToolError {
    let path = path.escape_debug();
    let reason = match error {
        FileError::Denied(denial) => {
            return ToolError::Denied {
                resource: path.to_string(),
                rule: denial.rule,
                message: Some(format!("access to {path} is denied")),
                reason: denial.reason,
            };
        }
        FileError::Limit(Limit::FileSize) => format!("{path} is larger than a file may be here"),
        FileError::Limit(Limit::OpenFiles) => format!("{path}: too many files are open"),
        FileError::Limit(_) => format!("{path}: there is no space left for this run"),
        FileError::Io(error) => match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no {path}"),
            std::io::ErrorKind::IsADirectory => format!("{path} is a directory"),
            std::io::ErrorKind::NotADirectory => format!("{path} is not a directory"),
            std::io::ErrorKind::StorageFull => {
                format!("{path}: there is no space left on the disk")
            }
            kind => format!("{path}: {kind}"),
        },
        // The run ends for it, and says why.
        FileError::Stop(_) => format!("{path}: the operation can't be recorded"),
    };
    ToolError::Failed(reason)
}
