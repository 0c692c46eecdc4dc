//! The reasons for which a call does not return: a tool's own, and what its caller is told.

use serde_json::{Value, json};
use wardian_abi::ToolFailure;
use wardian_policy::{Action, Limit, Location};

use super::arguments::ArgumentError;
use crate::ledger::Stop;

/// A wrong declaration of a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tool {tool:?} {reason}")]
pub struct ToolDefinitionError {
    /// The tool's name.
    pub tool: String,
    /// The mistake, to follow the name.
    pub reason: String,
}

/// A handler's reason for not returning. The script sees the texts in here: they should
/// say nothing of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolError {
    /// It has failed: `ToolError` in Python.
    Failed(String),
    /// An argument is wrong in a way that its type does not say: `ValueError`.
    Argument {
        /// The argument.
        argument: String,
        /// The mistake.
        message: String,
    },
    /// It is denied, as has come out only now: a redirect that leads elsewhere, a statement that
    /// writes. `PermissionError`, and a refusal in the record.
    Denied {
        /// The resource; empty for that of the call itself.
        resource: String,
        /// The key of the policy that decides.
        rule: String,
        /// The reason, for the record and the host.
        reason: String,
        /// The message for the script; `None` for the standard one, which names the permission that
        /// the tool requires.
        message: Option<String>,
    },
    /// It took too long by its own measure: `TimeoutError`.
    TimedOut(String),
}

impl ToolError {
    /// A failure, for a reason that the script may know.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }

    /// A wrong argument.
    pub fn argument(argument: &str, message: impl Into<String>) -> Self {
        Self::Argument {
            argument: argument.to_owned(),
            message: message.into(),
        }
    }
}

/// A caller's reason: why its call has not returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was denied. In Python: `PermissionError`.
    #[error("{message}")]
    Denied {
        /// The message for the caller.
        message: String,
        /// The reason, for the host.
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
    #[error("stopped at the limit of {limit}: {max}")]
    Limit {
        /// The limit.
        limit: Limit,
        /// The amount that is allowed.
        max: u64,
    },
    /// It could not be recorded, so it was not made, or its end is not known. Ends a run.
    #[error("the audit log can't be written: {0}")]
    Audit(String),
    /// The host is short of something. Ends a run.
    #[error("the host failed: {0}")]
    Host(String),
}

impl CallError {
    /// A denial because of what the tool does, or to what, in the standard words.
    pub(crate) fn insufficient(name: &str, action: Action, reason: String) -> Self {
        let message = format!("Insufficient permission: {name} requires {action} permission");
        Self::Denied { message, reason }
    }

    /// A denial for a reason that the caller may know.
    pub(crate) fn denied(reason: String) -> Self {
        let message = reason.clone();
        Self::Denied { message, reason }
    }

    /// Returns the reason, for the host.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Denied { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// Shows the exception that a script sees, as a traceback ends with it.
    pub(crate) fn to_python(&self) -> String {
        match self.clone().failure() {
            Ok(failure) => format!("{}: {self}", failure.exception()),
            Err(_) => self.to_string(),
        }
    }

    /// Returns the kind of exception that it is in Python.
    ///
    /// # Errors
    ///
    /// If it ends a run.
    pub(crate) fn failure(self) -> Result<ToolFailure, Stop> {
        Ok(match self {
            Self::Denied { .. } => ToolFailure::Denied,
            Self::Type(_) => ToolFailure::Type,
            Self::Value(_) => ToolFailure::Value,
            Self::Failed(_) => ToolFailure::Failed,
            Self::TimedOut(_) => ToolFailure::Timeout,
            Self::Limit { limit, max } => return Err(Stop::Limit { limit, max }),
            Self::Audit(reason) => return Err(Stop::Audit(reason)),
            Self::Host(reason) => return Err(Stop::Host(reason)),
        })
    }

    /// Returns it as one JSON object: `error` and `allowed`.
    pub fn json(&self) -> Value {
        let allowed = !matches!(self, Self::Denied { .. });
        json!({"error": self.to_string(), "allowed": allowed})
    }
}

impl From<Stop> for CallError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Audit(reason) => Self::Audit(reason),
            Stop::Limit { limit, max } => Self::Limit { limit, max },
            Stop::Host(reason) => Self::Host(reason),
        }
    }
}

/// A call that does not pass the gate.
pub(crate) struct DeniedCall {
    /// The key of the policy that decided; `arguments` if they are not the tool's.
    pub(crate) rule: String,
    pub(crate) location: Option<Location>,
    pub(crate) error: CallError,
}

impl DeniedCall {
    pub(crate) fn new(rule: &str, error: CallError) -> Self {
        Self {
            rule: rule.to_owned(),
            location: None,
            error,
        }
    }

    pub(crate) fn wrong_arguments(
        tool: &str,
        ArgumentError { is_type, message }: ArgumentError,
    ) -> Self {
        let message = format!("{tool}: {message}");
        let error = if is_type {
            CallError::Type(message)
        } else {
            CallError::Value(message)
        };
        Self::new("arguments", error)
    }

    /// Makes of it the error of a tool that has come to it while it works.
    pub(crate) fn into_tool_error(self, resource: &str) -> ToolError {
        let reason = self.error.reason();
        ToolError::Denied {
            resource: resource.to_owned(),
            rule: self.rule,
            message: Some(self.error.to_string()),
            reason,
        }
    }
}
