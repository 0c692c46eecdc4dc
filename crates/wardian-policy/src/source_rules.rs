//! Rules about source, before it runs: a profile, and the changes of a policy to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_abi::ScreenRules;

/// A named set of rules about source.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Profile {
    /// Ten modules, no `getattr`, no dynamic code.
    Strict,
    /// A wide list of computing modules, no system, no network, no dynamic code.
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

/// The modules that the standard profile forbids: they reach for a system that is not there.
const STANDARD_FORBIDDEN: &[&str] = &["os", "subprocess", "socket", "http", "urllib"];

/// The modules that the standard profile allows beyond the strict one, each group with its reason.
/// A name with a dot is a part of a module: where the module is not allowed as a whole, scripts see
/// only its allowed parts.
///
/// None of it grants anything: what a script can reach is decided by the sandbox, whatever it
/// imports.
const STANDARD: &[(&str, &[&str])] = &[
    (
        "numbers, dates, collections, algorithms: to compute is what the sandbox is for",
        &[
            "__future__",
            "abc",
            "array",
            "bisect",
            "calendar",
            "cmath",
            "colorsys",
            "contextlib",
            "contextvars",
            "copy",
            "copyreg",
            "dataclasses",
            "decimal",
            "enum",
            "fractions",
            "graphlib",
            "heapq",
            "numbers",
            "operator",
            "reprlib",
            "sched",
            "secrets",
            "time",
            "timeit",
            "types",
            "typing",
            "uuid",
            "warnings",
            "weakref",
            "zoneinfo",
        ],
    ),
    (
        "texts and formats, read and written in memory or in granted files",
        &[
            "argparse",
            "base64",
            "binascii",
            "bz2",
            "codecs",
            "configparser",
            "csv",
            "difflib",
            "email",
            "filecmp",
            "fileinput",
            "fnmatch",
            "getopt",
            "gettext",
            "glob",
            "gzip",
            "hashlib",
            "hmac",
            "html",
            "io",
            "ipaddress",
            "locale",
            "lzma",
            "mimetypes",
            "optparse",
            "pathlib",
            "pickle",
            "pickletools",
            "plistlib",
            "pprint",
            "quopri",
            "shlex",
            "shutil",
            "stat",
            "stringprep",
            "struct",
            "tarfile",
            "tempfile",
            "textwrap",
            "tomllib",
            "unicodedata",
            "wave",
            "xml",
            "zipfile",
            "zlib",
        ],
    ),
    (
        "Python about itself: no more than a script can do anyway",
        &[
            "ast",
            "atexit",
            "dis",
            "doctest",
            "errno",
            "gc",
            "getpass",
            "inspect",
            "keyword",
            "linecache",
            "logging",
            "opcode",
            "platform",
            "pyclbr",
            "symtable",
            "tabnanny",
            "token",
            "tokenize",
            "traceback",
            "unittest",
        ],
    ),
    (
        "work at the same time, within the run's one thread",
        &[
            "asyncio",
            "concurrent.futures",
            "queue",
            "selectors",
            "signal",
            "threading",
        ],
    ),
    (
        "texts of addresses and paths; the modules around them stay forbidden",
        &[
            "http.HTTPStatus",
            "http.HTTPMethod",
            "os.path",
            "urllib.error",
            "urllib.parse",
        ],
    ),
    (
        "facts of the interpreter and the script's own streams; not the table of modules, not frames, not traces",
        &[
            "sys.__stderr__",
            "sys.__stdin__",
            "sys.__stdout__",
            "sys.api_version",
            "sys.argv",
            "sys.builtin_module_names",
            "sys.byteorder",
            "sys.copyright",
            "sys.displayhook",
            "sys.exc_info",
            "sys.excepthook",
            "sys.exception",
            "sys.executable",
            "sys.exit",
            "sys.flags",
            "sys.float_info",
            "sys.float_repr_style",
            "sys.get_int_max_str_digits",
            "sys.getdefaultencoding",
            "sys.getfilesystemencoding",
            "sys.getrecursionlimit",
            "sys.getrefcount",
            "sys.getsizeof",
            "sys.hash_info",
            "sys.hexversion",
            "sys.implementation",
            "sys.int_info",
            "sys.intern",
            "sys.is_finalizing",
            "sys.maxsize",
            "sys.maxunicode",
            "sys.orig_argv",
            "sys.path",
            "sys.platform",
            "sys.prefix",
            "sys.set_int_max_str_digits",
            "sys.setrecursionlimit",
            "sys.stderr",
            "sys.stdin",
            "sys.stdlib_module_names",
            "sys.stdout",
            "sys.version",
            "sys.version_info",
            "sys.warnoptions",
        ],
    ),
    (
        "the host's tools, as far as they are granted; charts and spreadsheets, made and read in the guest",
        &["IPython", "matplotlib", "wardian"],
    ),
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

    /// Returns the profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Lists the modules that it allows, in groups, each with the reason; none if it allows any.
    pub fn allowed_modules(self) -> Vec<(&'static str, &'static [&'static str])> {
        let strict = ("what `strict` allows", STRICT_MODULES);
        match self {
            Self::Strict => vec![strict],
            Self::Standard => [&[strict], STANDARD].concat(),
            Self::Open => Vec::new(),
        }
    }

    /// Returns its rules, before a policy changes them.
    pub fn source_rules(self) -> SourceRules {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let allowed = self.allowed_modules().into_iter();
        let allowed =
            allowed.flat_map(|(_, modules)| modules.iter().map(|name| (*name).to_owned()));
        let rules = match self {
            Self::Strict => ScreenRules {
                allowed_imports: Some(allowed.collect()),
                forbidden_imports: set(FORBIDDEN_MODULES),
                forbidden_calls: set(STRICT_CALLS),
            },
            Self::Standard => ScreenRules {
                allowed_imports: Some(allowed.collect()),
                forbidden_imports: set(STANDARD_FORBIDDEN),
                forbidden_calls: set(STANDARD_CALLS),
            },
            Self::Open => ScreenRules::default(),
        };
        SourceRules {
            profile: self,
            rules,
        }
    }
}

/// The rules about source: a profile, and the rules that are in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceRules {
    /// The profile that the rules started from.
    pub profile: Profile,
    /// The profile's rules, with what a policy changed in them.
    pub rules: ScreenRules,
}

impl From<Profile> for SourceRules {
    fn from(profile: Profile) -> Self {
        profile.source_rules()
    }
}

impl SourceRules {
    /// Returns the rules, if there are any: without, source is not screened.
    pub fn screening(&self) -> Option<&ScreenRules> {
        (self.rules != ScreenRules::default()).then_some(&self.rules)
    }

    /// Lists what these rules allow that `base` does not.
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
    use wardian_abi::NameSet;

    use super::*;

    #[test]
    fn profiles_are_ordered_by_what_they_allow() {
        for (i, profile) in Profile::ALL.into_iter().enumerate() {
            assert_eq!(Profile::named(profile.name()), Some(profile));
            for stricter in &Profile::ALL[..=i] {
                let wider = stricter.source_rules().widenings(&profile.source_rules());
                assert!(
                    wider.is_empty(),
                    "{} against {}",
                    stricter.name(),
                    profile.name()
                );
            }
            for wider in &Profile::ALL[i + 1..] {
                assert!(
                    !wider
                        .source_rules()
                        .widenings(&profile.source_rules())
                        .is_empty()
                );
            }
        }
    }

    #[test]
    fn the_strict_profile_is_ten_modules() {
        let rules = Profile::Strict.source_rules().rules;
        let list = |names: &NameSet| names.iter().collect::<Vec<_>>().join(" ");
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
