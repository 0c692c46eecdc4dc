//! Source locations in policy files.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a policy file. Shown as `policy.toml:7`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The file, as it was named when it was loaded.
    pub file: Arc<Path>,
    /// The bytes of the file that say it.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Location {
    /// A place in `file`: the bytes in `span`, the first of them at `line` and `column`, both from
    /// 1.
    pub fn new(file: impl AsRef<Path>, span: Range<usize>, line: usize, column: usize) -> Self {
        Self {
            file: file.as_ref().into(),
            span,
            line,
            column,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A policy file's text, and what a path in it is relative to.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the file in messages.
    pub file: Arc<Path>,
    /// Its text.
    pub text: Arc<str>,
    /// Its absolute path with no symbolic link in it. Relative paths in it start in its
    /// directory, and no grant may hold it. `None` for a text that is no file.
    pub path: Option<PathBuf>,
    /// Its absolute path as it was given, links and all: none of the directories that it leads
    /// through may be granted either.
    pub given: Option<PathBuf>,
    /// Finds the real path of an absolute path, links followed; `None` if nothing is there. What a
    /// path of the policy leads to is found once, here, so that `extends` compares places and not
    /// words.
    pub resolve: fn(&Path) -> Option<PathBuf>,
    /// The user's home directory, which no grant may be or hold.
    pub home: Option<PathBuf>,
}

impl Source {
    /// A text that is no file: relative paths in it are refused.
    pub fn text(name: &str, text: &str) -> Self {
        Self {
            file: Path::new(name).into(),
            text: text.into(),
            path: None,
            given: None,
            resolve: |_| None,
            home: None,
        }
    }

    pub(crate) fn location(&self, span: Range<usize>) -> Location {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Location {
            file: self.file.clone(),
            span,
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}
