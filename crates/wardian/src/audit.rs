//! Who is told what was allowed and what was refused.

use std::io;

use serde::Serialize;
use wardian_policy::Location;

/// Takes note of what runs are allowed and refused.
///
/// It is told before the thing is done, on the thread that does it.
///
/// # Errors
///
/// If it can't take note, the thing is not done and the run ends with
/// [`Error::Audit`](crate::Error::Audit).
pub trait Audit: Send + Sync + 'static {
    /// Takes note of one event.
    ///
    /// # Errors
    ///
    /// Any, if the event could not be recorded.
    fn record(&self, event: &Event<'_>) -> io::Result<()>;
}

/// Something that a run wanted to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The run, as in [`Outcome::run_id`](crate::Outcome::run_id).
    pub run_id: &'a str,
    /// The agent of the policy.
    pub agent: &'a str,
    /// What it wanted.
    pub access: &'a FileAccess,
}

/// A wish of a script for a file, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileAccess {
    /// What it wanted to do.
    pub operation: FileOperation,
    /// The file or directory, as the script sees it. Every character can stand in it.
    pub path: String,
    /// The other path of a [`Rename`](FileOperation::Rename) or a [`Link`](FileOperation::Link).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether it was allowed. What is allowed can still fail, for instance because there is no
    /// such file.
    pub allowed: bool,
    /// The key of the policy that decided: `permissions`, `allowed_paths["/in"]`,
    /// `max_file_size`, `limits.files_created`.
    pub rule: String,
    /// Where that key stands, if the policy was read from a file.
    #[serde(skip)]
    pub location: Option<Location>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// What a script wants to do to a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileOperation {
    /// Open a file for reading, or list a directory.
    Read,
    /// Open a file for writing, create it if need be, or make it grow.
    Write,
    /// Ask for size, times and kind. Only recorded if it is refused.
    Stat,
    /// Ask where a symbolic link leads.
    ReadLink,
    /// Create a directory.
    MakeDirectory,
    /// Create a symbolic link. Never allowed.
    Symlink,
    /// Create a hard link.
    Link,
    /// Give it another name.
    Rename,
    /// Remove it.
    Remove,
    /// Change its times.
    SetTimes,
}

impl FileOperation {
    /// What it is called, as a verb.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Stat => "look at",
            Self::ReadLink => "read the link",
            Self::MakeDirectory => "create directory",
            Self::Symlink => "create symbolic link",
            Self::Link => "link",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SetTimes => "set the times of",
        }
    }
}
