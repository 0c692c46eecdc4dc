//! What is wrong with a policy file.

use std::fmt;

use crate::{Location, Source};

/// Something that is wrong with a policy file, where, and what to do about it.
///
/// Shown as `policy.toml:3:1: permisions: unknown key; did you mean `permissions`?`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Problem {
    /// The file with its text.
    pub source: Source,
    /// Where in it.
    pub at: Location,
    /// The key, in full: `limits.timeout`, `allowed_paths[2].access`. Empty for the file itself.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether the policy can be used all the same: what only the host that scripts run on can know.
    pub is_warning: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location {
            file, line, column, ..
        } = &self.at;
        write!(f, "{}:{line}:{column}: ", file.display())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a policy file, at least one thing, in the order of the file.
///
/// Shown as one line for each.
#[derive(Debug, Clone)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// These problems, in the order of their files; `None` if there is none.
    pub fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by(|a, b| (&a.at.file, a.at.span.start).cmp(&(&b.at.file, b.at.span.start)));
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Returns whether one of them is more than a warning.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| !problem.is_warning)
    }

    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
