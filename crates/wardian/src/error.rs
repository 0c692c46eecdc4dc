//! What can go wrong that is not the script's doing.

use std::time::Duration;

use crate::session::Stop;

/// The host's fault, or the caller's. What a script did wrong is a [`Verdict`](crate::Verdict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No slot became free in time. The run has not started.
    #[error(
        "all {slots} slots were busy for {waited:?}; try again later, or allow more runs at once"
    )]
    Busy {
        /// How many runs the [`Runtime`](crate::Runtime) has going at once.
        slots: usize,
        /// How long this run waited for one to end.
        waited: Duration,
    },
    /// The script's inputs, arguments and environment are too large together.
    #[error("the script's inputs take {bytes} bytes; at most {most} are passed on")]
    InputsTooLarge {
        /// Their size as JSON.
        bytes: usize,
        /// The most that is passed on.
        most: usize,
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
        /// Why not, to follow the name.
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
    #[error("cannot grant {host:?}{}: {reason}", at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default())]
    Grant {
        /// The directory.
        host: std::path::PathBuf,
        /// Where the policy names it: file and line.
        at: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// A tool that the policy grants is not there, or not as the policy says.
    #[error("the tool {tool:?} {why}{}", at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default())]
    Tool {
        /// Its name.
        tool: String,
        /// Where the policy says it: file and line.
        at: Option<String>,
        /// What is wrong.
        why: String,
    },
    /// What was allowed or refused could not be recorded. The run was stopped.
    #[error("the audit can't be written: {0}")]
    Audit(String),
    /// This machine can't run the guest: too few threads or descriptors, too little address space (some GiB are
    /// needed), or a processor without SSE4.2 and POPCNT. Can be tried again.
    #[error("the engine did not start: {0}")]
    Engine(String),
    /// The host failed where no script could make it: it is short of threads, or wasmtime failed.
    #[error("the host failed: {0}")]
    Host(String),
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Audit(why) => Self::Audit(why),
            // A limit is a verdict; only a bug would bring it here.
            Stop::Limit(..) | Stop::Host(_) => Self::Host(stop.to_string()),
        }
    }
}
