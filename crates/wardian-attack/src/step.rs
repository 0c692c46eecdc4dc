//! The messages of a child to its parent: a line of JSON each.

use serde::{Deserialize, Serialize};

use crate::test_bed::AttemptResult;

/// A step of a child, as it tells its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The row means nothing under the policy.
    NotApplicable(String),
    /// It begins with this.
    Begin(String),
    /// It has ended so.
    End(AttemptResult),
}
