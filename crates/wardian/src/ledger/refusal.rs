//! The attempts of a run that were denied.

use std::fmt;

use parking_lot::Mutex;
use serde::Serialize;
use wardian_audit::FileOperation;
use wardian_policy::Location;

/// The most refusals that an outcome holds.
const MAX_REFUSALS: usize = 32;

/// The attempts of a run that were denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refusals {
    /// The first of them, without repetitions, 32 at most.
    pub first: Vec<Refusal>,
    /// The count of all, repetitions included.
    pub count: u64,
}

/// An attempt that was denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The key of the policy that decided: `permissions`, `allowed_paths["/in"]`,
    /// `limits.files_created`, `tools.send_email.max_calls`.
    pub rule: String,
    /// The place of that key, if the policy was read from a file.
    #[serde(skip)]
    pub location: Option<Location>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// An attempt of a run. Every character can stand in the texts, which the script has chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Attempt {
    /// An operation on a file or a directory.
    File {
        /// The operation.
        operation: FileOperation,
        /// The file, as the script sees it.
        path: String,
        /// The other path of a [`Rename`](FileOperation::Rename) or a
        /// [`Link`](FileOperation::Link).
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// A call of a tool.
    Tool {
        /// Its name, as the script gave it.
        tool: String,
        /// The resource: a path, a URL, a database, a recipient.
        resource: String,
    },
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                operation, path, ..
            } => write!(f, "{} {}", operation.verb(), path.escape_debug()),
            Self::Tool { tool, .. } => write!(f, "call {}", tool.escape_debug()),
        }
    }
}

/// Collects the refusals of a run.
#[derive(Default)]
pub(crate) struct RefusalList(Mutex<Refusals>);

impl RefusalList {
    pub(crate) fn push(&self, refusal: Refusal) {
        let mut refusals = self.0.lock();
        refusals.count += 1;
        let first = &mut refusals.first;
        if first.len() < MAX_REFUSALS && !first.contains(&refusal) {
            first.push(refusal);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().count
    }

    pub(crate) fn get(&self) -> Refusals {
        self.0.lock().clone()
    }
}
