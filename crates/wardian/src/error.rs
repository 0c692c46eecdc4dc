//! Errors of the host or the embedder; a script's failures are verdicts.

use std::time::Duration;

use wardian_policy::{Limit, Location};

use crate::session::SnapshotError;

/// The host's fault, or the caller's. What a script did wrong is a [`Verdict`](crate::Verdict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No slot became free in time. The run has not started.
    #[error(
        "all {slots} slots were busy for {waited:?}; try again later, or allow more runs at once"
    )]
    Busy {
        /// The count of runs that the [`Runtime`](crate::Runtime) has at once.
        slots: usize,
        /// The time that this run waited for one to end.
        waited: Duration,
    },
    /// The host has cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// The call before has not ended in time. This one has not started.
    #[error("another call of the session has not ended within {waited:?}; try again later")]
    SessionBusy {
        /// The time that this call waited for the other one.
        waited: Duration,
    },
    /// The session is of no use any more; a new one has to start.
    #[error("the session has ended: {reason}")]
    SessionEnded {
        /// The reason.
        reason: String,
    },
    /// The session has come to one of its limits: it takes no more calls.
    #[error(
        "the session has come to {limit}, {allowed}; start a new one, or raise the limit in the policy"
    )]
    SessionLimit {
        /// The limit.
        limit: Limit,
        /// The amount that is allowed, as people write it.
        allowed: String,
    },
    /// There is no session of this id: it was closed, has expired, or never was.
    #[error("there is no session {id}: it was closed, has expired, or never was")]
    NoSession {
        /// The id.
        id: String,
    },
    /// A snapshot can't be made, written, read or started.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The script's inputs, arguments and environment are too large together.
    #[error("the script's inputs take {bytes} bytes; at most {max_bytes} are passed on")]
    InputsTooLarge {
        /// Their size as JSON.
        bytes: usize,
        /// The most that is passed on, in bytes.
        max_bytes: usize,
    },
    /// A file can't be put into the script's working directory.
    #[error("file {name:?} can't be put into the working directory: {reason}")]
    WorkFile {
        /// Its name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// An input's name can't be a variable of the script.
    #[error("input {name:?} is not a name that a Python variable can have")]
    InputName {
        /// The name.
        name: String,
    },
    /// A module that a script brings along can't have this name.
    #[error("module {name:?} {reason}")]
    ModuleName {
        /// The name.
        name: String,
        /// The reason, to follow the name.
        reason: &'static str,
    },
    /// A variable of the environment has a name or a value that none can have.
    #[error(
        "environment variable {name:?} can't be set: its name is empty or holds `=`, or there is a NUL"
    )]
    Environment {
        /// The name.
        name: String,
    },
    /// A directory that the policy grants can't be opened, or should not be.
    #[error("cannot grant {host:?}{}: {reason}", place(location.as_ref()))]
    Grant {
        /// The directory.
        host: std::path::PathBuf,
        /// The place of the grant, if the policy was read from a file.
        location: Option<Location>,
        /// The reason, in one sentence.
        reason: String,
    },
    /// A package of the policy can't be used.
    #[error("the package {} {reason}{}", file.display(), place(location.as_ref()))]
    Package {
        /// The wheel or the directory.
        file: std::path::PathBuf,
        /// The place of `[packages]`, if the policy was read from a file.
        location: Option<Location>,
        /// The reason, to follow the file.
        reason: String,
    },
    /// The image of the policy can't be started from.
    #[error("the image {}: {reason}{}", file.display(), place(location.as_ref()))]
    Image {
        /// The image's file.
        file: std::path::PathBuf,
        /// The place of `image`, if the policy was read from a file.
        location: Option<Location>,
        /// The reason.
        reason: String,
    },
    /// A tool that the policy grants is not there, or not as the policy says.
    #[error("the tool {tool:?} {reason}{}", place(location.as_ref()))]
    Tool {
        /// Its name.
        tool: String,
        /// The place in the policy, if it was read from a file.
        location: Option<Location>,
        /// The mistake, to follow the name.
        reason: String,
    },
    /// A record could not be written. The run was stopped.
    #[error("the audit log can't be written: {0}")]
    Audit(String),
    /// This machine can't run the guest: too few threads or descriptors, too little address space
    /// (some GiB are needed), or a processor without SSE4.2 and POPCNT. Can be tried again.
    #[error("the engine did not start: {0}")]
    Engine(String),
    /// The host failed where no script could make it: it is short of threads, or wasmtime failed.
    #[error("the host failed: {0}")]
    Host(String),
}

/// Shows a place in a policy, to follow what stands there.
fn place(location: Option<&Location>) -> String {
    location.map_or_else(String::new, |location| format!(" ({location})"))
}
