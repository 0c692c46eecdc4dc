//! Places in policy files, as reports have them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_policy::Location;

/// A place in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LocationReport {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The first byte that says it.
    pub start: usize,
    /// The byte after the last that does.
    pub end: usize,
}

impl From<&Location> for LocationReport {
    fn from(at: &Location) -> Self {
        Self {
            file: at.file.to_string_lossy().into_owned(),
            line: at.line,
            column: at.column,
            start: at.span.start,
            end: at.span.end,
        }
    }
}

impl From<&LocationReport> for Location {
    fn from(report: &LocationReport) -> Self {
        Self::new(
            &report.file,
            report.start..report.end,
            report.line,
            report.column,
        )
    }
}
