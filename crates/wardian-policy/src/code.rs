//! What source may look like before it runs: a profile, and what a policy changes in it.

use serde::Serialize;
use wardian_abi::CodeRules;

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
    "argparse",
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
    "configparser",
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
    "inspect",
    "io",
    "ipaddress",
    "keyword",
    "locale",
    "logging",
    "numbers",
    "operator",
    "pathlib",
    "pickle",
    "pprint",
    "queue",
    "reprlib",
    "sched",
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
    "wardian",
    "warnings",
    "weakref",
    "xml",
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
    pub fn code(self) -> Code {
        let set = |names: &[&[&str]]| names.concat().into_iter().map(str::to_owned).collect();
        let rules = match self {
            Self::Strict => CodeRules {
                allowed_imports: Some(set(&[STRICT_MODULES])),
                forbidden_imports: set(&[FORBIDDEN_MODULES]),
                forbidden_calls: set(&[STRICT_CALLS]),
            },
            Self::Standard => CodeRules {
                allowed_imports: Some(set(&[STRICT_MODULES, STANDARD_MODULES])),
                forbidden_imports: set(&[FORBIDDEN_MODULES]),
                forbidden_calls: set(&[STANDARD_CALLS]),
            },
            Self::Open => CodeRules::default(),
        };
        Code {
            profile: self,
            rules,
        }
    }
}

/// What source may look like: a profile, and the rules that are in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Code {
    /// Where the rules started.
    pub profile: Profile,
    /// The profile's rules, with what a policy changed in them.
    #[serde(flatten)]
    pub rules: CodeRules,
}

impl Code {
    /// The rules, if there are any: without, source is not screened.
    pub fn screening(&self) -> Option<&CodeRules> {
        (self.rules != CodeRules::default()).then_some(&self.rules)
    }

    /// What these rules allow that `base` does not.
    pub(crate) fn widenings(&self, base: &Self) -> Vec<String> {
        let (mine, base) = (&self.rules, &base.rules);
        let mut wider = Vec::new();
        match (&mine.allowed_imports, &base.allowed_imports) {
            (None, Some(_)) => wider.push("imports are not restricted to a list".to_owned()),
            (Some(allowed), _) => {
                let more = allowed.iter().filter(|module| {
                    mine.import_refusal(module).is_none() && base.import_refusal(module).is_some()
                });
                wider.extend(more.map(|module| format!("`{module}` can be imported")));
            }
            (None, None) => {}
        }
        // What is in a forbidden module stays forbidden if the module is.
        let lifted = base
            .forbidden_imports
            .iter()
            .filter(|module| mine.import_refusal(module).is_none());
        wider.extend(lifted.map(|module| format!("`{module}` is not forbidden")));
        let lifted = base.forbidden_calls.iter();
        let lifted = lifted.filter(|call| !mine.forbidden_calls.contains(call));
        wider.extend(lifted.map(|call| format!("`{call}()` is not forbidden")));
        wider
    }
}

#[cfg(test)]
mod tests {
    use wardian_abi::Names;

    use super::*;

    #[test]
    fn profiles_are_ordered_by_what_they_allow() {
        for (i, profile) in Profile::ALL.into_iter().enumerate() {
            assert_eq!(Profile::named(profile.name()), Some(profile));
            for stricter in &Profile::ALL[..=i] {
                let wider = stricter.code().widenings(&profile.code());
                assert!(
                    wider.is_empty(),
                    "{} against {}",
                    stricter.name(),
                    profile.name()
                );
            }
            for wider in &Profile::ALL[i + 1..] {
                assert!(!wider.code().widenings(&profile.code()).is_empty());
            }
        }
    }

    #[test]
    fn the_strict_profile_is_the_recipe() {
        let rules = Profile::Strict.code().rules;
        let list = |names: &Names| names.iter().collect::<Vec<_>>().join(" ");
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
