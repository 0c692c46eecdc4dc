//! Why a call has not returned: what its caller is told, and what the record says.

use serde_json::{Value, json};
use wardian_abi::ToolFailure;
use wardian_policy::{Action, Location};

use crate::arguments::ArgumentError;
use crate::session::Stop;
use crate::{LimitKind, ToolError};

/// Why a call has not returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was refused. In Python: `PermissionError`.
    #[error("{message}")]
    Refused {
        /// What the caller is told.
        message: String,
        /// Why, for the host.
        reason: String,
    },
    /// An argument is missing, unknown or of another type. In Python: `TypeError`.
    #[error("{0}")]
    Type(String),
    /// An argument is wrong. In Python: `ValueError`.
    #[error("{0}")]
    Value(String),
    /// The tool has failed. In Python: `ToolError`.
    #[error("{0}")]
    Failed(String),
    /// It took too long. In Python: `TimeoutError`.
    #[error("{0}")]
    TimedOut(String),
    /// There were too many calls, or records of them. Ends a run.
    #[error("stopped at the limit of {}: {most}", .which.limit())]
    Limit {
        /// Which limit.
        which: LimitKind,
        /// The most that was allowed.
        most: u64,
    },
    /// It could not be recorded, so it was not made, or its end is not known. Ends a run.
    #[error("the audit can't be written: {0}")]
    Audit(String),
    /// The host is short of something. Ends a run.
    #[error("the host failed: {0}")]
    Host(String),
}

impl CallError {
    /// Refused because of what the tool does, or to what. In the recipe's words.
    pub(crate) fn insufficient(name: &str, action: Action, reason: String) -> Self {
        let message = format!("Insufficient permission: {name} requires {action} permission");
        Self::Refused { message, reason }
    }

    /// Refused for a reason that the caller may know.
    pub(crate) fn refused(reason: String) -> Self {
        let message = reason.clone();
        Self::Refused { message, reason }
    }

    /// Why, for the host.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// The exception that a script sees, as a traceback ends with it.
    pub(crate) fn in_python(&self) -> String {
        match self.clone().failure() {
            Ok(failure) => format!("{}: {self}", failure.exception()),
            Err(_) => self.to_string(),
        }
    }

    /// Which exception it is in Python.
    ///
    /// # Errors
    ///
    /// If it ends a run.
    pub(crate) fn failure(self) -> Result<ToolFailure, Stop> {
        Ok(match self {
            Self::Refused { .. } => ToolFailure::Refused,
            Self::Type(_) => ToolFailure::Type,
            Self::Value(_) => ToolFailure::Value,
            Self::Failed(_) => ToolFailure::Failed,
            Self::TimedOut(_) => ToolFailure::Timeout,
            Self::Limit { which, most } => return Err(Stop::Limit(which, most)),
            Self::Audit(why) => return Err(Stop::Audit(why)),
            Self::Host(why) => return Err(Stop::Host(why)),
        })
    }

    /// As one JSON object: `error` and `allowed`, as in the recipe.
    pub fn json(&self) -> Value {
        let allowed = !matches!(self, Self::Refused { .. });
        json!({"error": self.to_string(), "allowed": allowed})
    }
}

impl From<Stop> for CallError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Audit(why) => Self::Audit(why),
            Stop::Limit(which, most) => Self::Limit { which, most },
            Stop::Host(why) => Self::Host(why),
        }
    }
}

/// A call that may not.
pub(crate) struct Refused {
    pub(crate) rule: String,
    pub(crate) location: Option<Location>,
    pub(crate) error: CallError,
}

impl Refused {
    pub(crate) fn by(rule: &str, error: CallError) -> Self {
        Self {
            rule: rule.to_owned(),
            location: None,
            error,
        }
    }

    /// What a tool says that has come to this while it works.
    pub(crate) fn while_working(self, resource: &str) -> ToolError {
        let reason = self.error.reason();
        ToolError::Refused {
            resource: resource.to_owned(),
            rule: self.rule,
            told: Some(self.error.to_string()),
            reason,
        }
    }

    pub(crate) fn arguments(tool: &str, ArgumentError { is_type, message }: ArgumentError) -> Self {
        let message = format!("{tool}: {message}");
        Self::by(
            "arguments",
            match is_type {
                true => CallError::Type(message),
                false => CallError::Value(message),
            },
        )
    }
}
