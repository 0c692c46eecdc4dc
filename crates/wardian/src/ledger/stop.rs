//! The reasons to end a run that lie on the host's side of a call.

use wardian_policy::Limit;

use crate::Error;

/// A reason for which a run has to stop where it is.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    /// A record could not be written.
    #[error("the audit log can't be written: {0}")]
    Audit(String),
    /// A limit that can't be caught.
    #[error("stopped at the limit of {limit}: {max}")]
    Limit {
        /// The limit.
        limit: Limit,
        /// The amount that is allowed.
        max: u64,
    },
    /// The host is short of something.
    #[error("{0}")]
    Host(String),
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Audit(reason) => Self::Audit(reason),
            // A limit is a verdict; only a bug would bring it here.
            Stop::Limit { .. } | Stop::Host(_) => Self::Host(stop.to_string()),
        }
    }
}
