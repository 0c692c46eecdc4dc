//! Problems of a policy file.

use std::fmt;

use crate::{Location, Policy, Source};

/// Something that is wrong with a policy file, where, and what to do about it.
///
/// Shown as `policy.toml:3:1: permisions: unknown key; did you mean `permissions`?`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Problem {
    /// The file with its text.
    pub source: Source,
    /// The place in the file.
    pub at: Location,
    /// The key, in full: `limits.timeout`, `allowed_paths[2].access`. Empty for the file itself.
    pub key: String,
    /// The mistake, in one sentence.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
    /// Set if the policy can be used all the same: only the host that scripts run on can know.
    pub is_warning: bool,
}

impl Policy {
    /// Makes a problem of this key, where it or the nearest key above it stands.
    pub fn problem(&self, key: &str, message: impl Into<String>, help: Option<String>) -> Problem {
        self.problem_at(self.nearest_location(key), key, message, help)
    }

    /// Makes a problem of this key, at a place of one of the policy's files.
    pub fn problem_at(
        &self,
        at: Option<&Location>,
        key: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Problem {
        let of = |at: &Location| self.sources.iter().find(|source| source.file == at.file);
        let source = at.and_then(of).or(self.sources.last()).cloned();
        let source = source.unwrap_or_else(|| Source::text(&self.agent, ""));
        Problem {
            at: at.cloned().unwrap_or_else(|| source.location(0..0)),
            source,
            key: key.to_owned(),
            message: message.into(),
            help,
            is_warning: false,
        }
    }
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
pub struct Problems {
    list: Vec<Problem>,
    draft: Option<Box<Policy>>,
}

impl Problems {
    /// These problems, in the order of their files; `None` if there is none.
    pub fn new(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then(|| Self::in_order(sorted(problems), None))
    }

    pub(super) fn in_order(list: Vec<Problem>, draft: Option<Policy>) -> Self {
        Self {
            list,
            draft: draft.map(Box::new),
        }
    }

    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    pub(super) fn into_list(self) -> Vec<Problem> {
        self.list
    }

    /// Returns whether one of them is more than a warning.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|problem| !problem.is_warning)
    }

    /// Returns the policy as far as it could be read: to look for more that is wrong with it, and
    /// for nothing else.
    pub fn draft(&self) -> Option<&Policy> {
        self.draft.as_deref()
    }

    /// The same problems with these, but for those of tools that have one already: they may only
    /// repeat it.
    #[must_use]
    pub fn with(self, more: Vec<Problem>) -> Self {
        let of_tool = |problem: &Problem| {
            let name = problem.key.strip_prefix("tools.")?.split('.').next();
            name.map(ToOwned::to_owned)
        };
        let known: Vec<_> = self.iter().filter_map(of_tool).collect();
        let is_new = |problem: &Problem| of_tool(problem).is_none_or(|tool| !known.contains(&tool));
        let more = more.into_iter().filter(is_new);
        let all = self.list.into_iter().chain(more).collect();
        Self::in_order(sorted(all), None)
    }
}

/// Problems in the order of their files.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (&a.at.file, a.at.span.start).cmp(&(&b.at.file, b.at.span.start)));
    problems
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
