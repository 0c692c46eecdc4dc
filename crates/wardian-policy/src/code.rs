//! What source may look like before it runs: a profile, and what a policy changes in it.

use std::collections::BTreeSet;

use serde::Serialize;

/// A named set of rules about source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Profile {
    /// The recipe's lists, word for word.
    Strict,
    /// The recipe's forbidden modules, a wide list of computing modules, no dynamic code.
    Standard,
    /// No rules. The boundary is WebAssembly, with any profile.
    Open,
}

const FORBIDDEN_MODULES: &[&str] = &[
    "os",
    "sys",
    "subprocess",
    "shutil",
    "socket",
    "http",
    "urllib",
];

const STRICT_MODULES: &[&str] = &[
    "collections",
    "datetime",
    "functools",
    "itertools",
    "json",
    "math",
    "random",
    "re",
    "statistics",
    "string",
];

const STRICT_CALLS: &[&str] = &[
    "__import__",
    "compile",
    "delattr",
    "eval",
    "exec",
    "getattr",
    "globals",
    "locals",
    "setattr",
];

/// What models import to compute, beyond the strict list.
const STANDARD_MODULES: &[&str] = &[
    "__future__",
    "abc",
    "array",
    "ast",
    "asyncio",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "codecs",
    "colorsys",
    "contextlib",
    "contextvars",
    "copy",
    "copyreg",
    "csv",
    "dataclasses",
    "decimal",
    "difflib",
    "enum",
    "fnmatch",
    "fractions",
    "glob",
    "graphlib",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "io",
    "ipaddress",
    "keyword",
    "locale",
    "logging",
    "numbers",
    "operator",
    "pathlib",
    "pprint",
    "secrets",
    "shlex",
    "stat",
    "struct",
    "tempfile",
    "textwrap",
    "time",
    "timeit",
    "token",
    "tokenize",
    "tomllib",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "uuid",
    "warnings",
    "wardian",
    "weakref",
    "zipfile",
    "zlib",
    "zoneinfo",
];

const STANDARD_CALLS: &[&str] = &["__import__", "compile", "eval", "exec"];

impl Profile {
    /// All of them, the strictest first.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Standard, Self::Open];

    /// Its name in a policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Open => "open",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Its rules, before a policy changes them.
    pub fn rules(self) -> CodeRules {
        let set = |names: &[&[&str]]| names.concat().into_iter().map(str::to_owned).collect();
        let (allowed_imports, forbidden_imports, forbidden_calls) = match self {
            Self::Strict => (
                Some(set(&[STRICT_MODULES])),
                set(&[FORBIDDEN_MODULES]),
                set(&[STRICT_CALLS]),
            ),
            Self::Standard => (
                Some(set(&[STRICT_MODULES, STANDARD_MODULES])),
                set(&[FORBIDDEN_MODULES]),
                set(&[STANDARD_CALLS]),
            ),
            Self::Open => (None, set(&[]), set(&[])),
        };
        CodeRules {
            profile: self,
            allowed_imports,
            forbidden_imports,
            forbidden_calls,
        }
    }
}

/// The rules about source that are in effect: a profile's, and what a policy changed in them.
///
/// What is forbidden stays forbidden if it is allowed as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CodeRules {
    /// Where the rules started.
    pub profile: Profile,
    /// The modules that may be imported, with all that is in them; `None` for any.
    pub allowed_imports: Option<BTreeSet<String>>,
    /// The modules that may not.
    pub forbidden_imports: BTreeSet<String>,
    /// The functions that may not be called by name.
    pub forbidden_calls: BTreeSet<String>,
}

impl CodeRules {
    /// What these rules allow that `base` does not.
    pub(crate) fn widenings(&self, base: &Self) -> Vec<String> {
        let mut wider = Vec::new();
        match (&self.allowed_imports, &base.allowed_imports) {
            (None, Some(_)) => wider.push("imports are not restricted to a list".to_owned()),
            (Some(mine), Some(theirs)) => {
                let more = mine
                    .difference(theirs)
                    .filter(|module| !self.forbidden_imports.contains(*module));
                wider.extend(more.map(|module| format!("`{module}` can be imported")));
            }
            (_, None) => {}
        }
        let lifted = base.forbidden_imports.difference(&self.forbidden_imports);
        wider.extend(lifted.map(|module| format!("`{module}` is not forbidden")));
        let lifted = base.forbidden_calls.difference(&self.forbidden_calls);
        wider.extend(lifted.map(|call| format!("`{call}()` is not forbidden")));
        wider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_ordered_by_what_they_allow() {
        for (i, profile) in Profile::ALL.into_iter().enumerate() {
            assert_eq!(Profile::named(profile.name()), Some(profile));
            for stricter in &Profile::ALL[..=i] {
                let wider = stricter.rules().widenings(&profile.rules());
                assert!(
                    wider.is_empty(),
                    "{} against {}",
                    stricter.name(),
                    profile.name()
                );
            }
            for wider in &Profile::ALL[i + 1..] {
                assert!(!wider.rules().widenings(&profile.rules()).is_empty());
            }
        }
    }

    #[test]
    fn the_strict_profile_is_the_recipe() {
        let rules = Profile::Strict.rules();
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            list(&rules.allowed_imports.unwrap()),
            "collections datetime functools itertools json math random re statistics string"
        );
        assert_eq!(
            list(&rules.forbidden_imports),
            "http os shutil socket subprocess sys urllib"
        );
        assert_eq!(
            list(&rules.forbidden_calls),
            "__import__ compile delattr eval exec getattr globals locals setattr"
        );
    }
}
