//! The reasons for which an operation on a file is not done.

use std::io;

use rustix::io::Errno;
use wardian_engine as engine;
use wardian_policy::{Decision, Limit};

use crate::ledger::Stop;

/// A reason for which an operation on a file is not done.
#[derive(Debug)]
pub(crate) enum FileError {
    /// It was denied.
    Denied(Denial),
    /// A limit of the run would be exceeded.
    Limit(Limit),
    /// The system's answer.
    Io(io::Error),
    /// The run ends.
    Stop(Stop),
}

/// A denied operation.
#[derive(Debug)]
pub(crate) struct Denial {
    /// The key of the policy that decided.
    pub(crate) rule: String,
    /// The reason, in one sentence.
    pub(crate) reason: String,
    /// Set if a script sees nothing at the path, as programs expect that try a file and go on
    /// without.
    pub(crate) hidden: bool,
}

impl FileError {
    /// The denial of a decision.
    pub(super) fn denied(decision: &Decision<'_>, hidden: bool) -> Self {
        Self::Denied(Denial {
            rule: decision.rule(),
            reason: decision.to_string(),
            hidden,
        })
    }
}

pub(super) type Result<T> = std::result::Result<T, FileError>;

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<Stop> for FileError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<FileError> for engine::FileError {
    fn from(error: FileError) -> Self {
        Self::Io(match error {
            FileError::Denied(Denial { hidden: true, .. }) => Errno::NOENT.into(),
            FileError::Denied(_) => Errno::ACCESS.into(),
            FileError::Limit(Limit::FileSize) => Errno::FBIG.into(),
            FileError::Limit(Limit::OpenFiles) => Errno::MFILE.into(),
            FileError::Limit(_) => Errno::NOSPC.into(),
            FileError::Io(error) => error,
            FileError::Stop(stop) => return Self::Stop(Box::new(stop)),
        })
    }
}

/// A reason for which an operation that was allowed has failed beneath its directory.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system's answer.
    Io(io::Error),
    /// A limit of the run would be exceeded.
    Limit(Limit),
    /// It is neither a regular file nor a directory.
    Special,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Limit(limit) => write!(f, "it is beyond {limit}"),
            Self::Special => f.write_str("it is neither a file nor a directory"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}
