//! The host–guest ABI: exports, imports and JSON messages.
//!
//! Types and names, what both sides must work out alike, and how the host reads what the guest
//! says: it trusts nothing of it. It checks the length and range of a report before parsing, and
//! the depth and size of the value after.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

pub mod exact;
mod names;
mod read;

pub use names::NameSet;
pub use read::{Malformed, is_mime_type, strict_json};

/// The version of this interface. Host and guest refuse to talk across versions.
pub const VERSION: u32 = 10;

/// The name of a script in tracebacks, in `sys.argv[0]` and in `linecache`.
pub const SCRIPT_NAME: &str = "<snippet>";

/// The longest report that a guest may hand over, in bytes. A value of 1 MiB and a traceback
/// of [`TRACEBACK_BYTES`], escaped as JSON at worst sixfold, stay below it.
pub const REPORT_BYTES: u32 = 8 << 20;

/// The longest [`Display`] that a guest may hand over, in bytes of JSON.
pub const DISPLAY_BYTES: u32 = 8 << 20;

/// The most forms that a [`Display`] has.
pub const DISPLAY_FORMS: usize = 32;

/// The longest traceback, exception message or `repr` in a report, in bytes. What is longer
/// loses its middle.
pub const TRACEBACK_BYTES: usize = 64 << 10;

/// The names of the guest's exports.
pub mod export {
    /// The guest's linear memory.
    pub const MEMORY: &str = "memory";
    /// `() -> ()`: brings the interpreter up. Called once, when the snapshot is made.
    pub const INITIALIZE: &str = "wardian_initialize";
    /// `(len: i32) -> i32`: the address of a buffer of `len` bytes, or 0 if there is no
    /// memory for it.
    pub const ALLOCATE: &str = "wardian_allocate";
    /// `() -> i64`: reads the source of the request in the buffer by its rules, and keeps it for
    /// [`RUN`]; returns a [`Screening`](super::Screening) as [`RUN`] returns its report.
    pub const SCREEN: &str = "wardian_screen";
    /// `() -> i64`: runs what was screened, or else the request in the buffer; returns the
    /// address of a [`Reply`](super::Reply) in the upper half, its length in the lower.
    pub const RUN: &str = "wardian_run";
    /// `() -> i32`: the line of the script that is running, from 1; 0 if it is not known. Called
    /// when the guest has been stopped in the middle of something, so it only looks.
    pub const LINE: &str = "wardian_line";
    /// `() -> i64`: the [`Globals`](super::Globals) of a session.
    pub const GLOBALS: &str = "wardian_globals";
    /// `() -> ()`: collects garbage of a session, which runs finalizers of the script's.
    pub const COLLECT: &str = "wardian_collect";
    /// `() -> ()`: lets go of objects that are kept so that their memory is used again.
    pub const RELEASE: &str = "wardian_release";
    /// `() -> ()`: writes zeros over memory that is free. The host lets the memory not grow
    /// meanwhile: all that can be allocated is then memory that was free.
    pub const SCRUB: &str = "wardian_scrub";
    /// `() -> i64`: a JSON array with the names of every module that can be imported.
    pub const MODULES: &str = "wardian_modules";
}

/// The counting of a guest's fuel. `wardian-meter` writes this into its module.
pub mod fuel {
    /// The exported global that holds the rest, an `i64`; at first 0.
    pub const EXPORT: &str = "wardian_fuel";
    /// The module that [`FUNCTION`] is imported from.
    pub const MODULE: &str = "wardian";
    /// `() -> ()`: called when less than nothing is left. It stops the guest, or gives it more.
    pub const FUNCTION: &str = "refuel";
}

/// The guest's one import that is not WASI's: `(operation: i32, a: i32, b: i32) -> i64`. All of its
/// operations but [`SHOW`](tool::SHOW) are about tools.
pub mod tool {
    /// The module that it is imported from.
    pub const MODULE: &str = "wardian";
    /// Its name.
    pub const FUNCTION: &str = "tool";

    /// `(START, at, len)`: a call, a [`ToolCall`](super::ToolCall) in the `len` bytes at `at`.
    /// Returns its number, from 1; 0 if [`MAX_IN_FLIGHT`] calls have not been waited for.
    pub const START: u32 = 0;
    /// `(WAIT, number, milliseconds)`: waits for the end of a call, of any for number 0. Returns
    /// its number in the upper half, the length of its [`ToolReply`](super::ToolReply) in the
    /// lower; 0 if none has ended in time.
    pub const WAIT: u32 = 1;
    /// `(TAKE, at, len)`: copies the reply that was waited for to `at`. Returns `len`.
    pub const TAKE: u32 = 2;
    /// `(CLOSE, 0, 0)`: the script has ended. What is called from here on is refused.
    pub const CLOSE: u32 = 3;
    /// `(SHOW, at, len)`: shows the [`Display`](super::Display) in the `len` bytes at `at`, at most
    /// [`DISPLAY_BYTES`](super::DISPLAY_BYTES). Returns 0.
    pub const SHOW: u32 = 4;

    /// Milliseconds that have no end.
    pub const FOREVER: u32 = u32::MAX;
    /// The most calls that can have started and were not waited for.
    pub const MAX_IN_FLIGHT: usize = 64;
}

/// A tool that a script can call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Its name, an identifier of Python.
    pub name: String,
    /// Its parameters as they are written in Python: `path: str, limit: int = 10`.
    pub parameters: String,
    /// The names of the parameters.
    pub names: Vec<String>,
    /// The type of its reply, as it is written in Python: `list[str]`.
    pub returns: String,
    /// Its documentation.
    pub doc: String,
    /// The names of types in `parameters` and `returns` that are dicts with known keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name.
    pub tool: String,
    /// Its arguments by name: a JSON object.
    pub args: Box<RawValue>,
}

/// The reply to a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ToolReply {
    /// The tool's reply.
    Returned(Box<RawValue>),
    /// A failure.
    Failed {
        /// The kind of exception in Python.
        error: ToolFailure,
        /// Its message.
        message: String,
    },
}

/// A kind of failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolFailure {
    /// `PermissionError`: it was denied.
    Denied,
    /// `TypeError`: an argument is missing, unknown or of another type.
    Type,
    /// `ValueError`: an argument is of the right type, and wrong.
    Value,
    /// `ToolError`: it has failed.
    Failed,
    /// `TimeoutError`: it took too long.
    Timeout,
}

impl ToolFailure {
    /// The name of the exception in Python.
    pub const fn exception(self) -> &'static str {
        match self {
            Self::Denied => "PermissionError",
            Self::Type => "TypeError",
            Self::Value => "ValueError",
            Self::Failed => "ToolError",
            Self::Timeout => "TimeoutError",
        }
    }
}

/// Something that a script shows: a table, a picture, in every form that it has.
///
/// Nothing in it is to be believed. HTML and SVG can hold scripts: whoever shows them in a page
/// shows them in a frame that may do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Its forms by MIME type, as Jupyter has them: `text/plain`, `text/html`, `image/png`. Text is
    /// as it is, other bytes are in base64, JSON is written as text.
    #[serde(deserialize_with = "read::forms")]
    pub data: BTreeMap<String, String>,
    /// Set if it is the value of the script's last expression.
    pub is_result: bool,
}

impl Display {
    /// Returns the size of its forms, in bytes.
    pub fn size_bytes(&self) -> usize {
        let sizes = self.data.iter().map(|(mime, form)| mime.len() + form.len());
        sizes.sum()
    }
}

/// One script to run, and everything that it is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// Python source.
    pub source: String,
    /// Set if this is a call of a session: what it leaves behind stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<SessionCall>,
    /// `__file__`, if the script has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The working directory, if it has one: it begins there, and imports what lies there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// The directory of packages, if there are any: it imports what lies there, after Python's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<String>,
    /// Modules that it brings along, by the names under which it imports them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, ModuleSource>,
    /// `sys.argv[1:]`.
    pub args: Vec<String>,
    /// Global variables that are set before the script starts.
    pub inputs: Map<String, serde_json::Value>,
    /// The whole of `os.environ`.
    pub env: BTreeMap<String, String>,
    /// The tools that it can call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The rules for the source; `None` for anything.
    #[serde(with = "names")]
    pub rules: Option<ScreenRules>,
    /// The largest value that comes back, in bytes of JSON.
    pub value_bytes: u64,
    /// The deepest nesting of a value that comes back. A scalar has depth 0.
    pub value_depth: u32,
    /// Set if the value is for a person: it comes back as its `repr`, and later calls have it as
    /// `_`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interactive: bool,
}

/// A call of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCall {
    /// Its number in the session, from 1. Calls that were undone have numbers too.
    pub number: u32,
    /// Set if randomness begins here: in the first call of a session, and of a fork of one.
    pub begins: bool,
}

impl SessionCall {
    /// Returns its name in tracebacks and in `linecache`: `<call 3>`.
    pub fn name(self) -> String {
        format!("<call {}>", self.number)
    }
}

/// The global variables of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Globals {
    /// Those that are listed, in the order in which they were made.
    pub globals: Vec<Global>,
    /// The count of others: beyond [`GLOBALS`], or with names of over [`GLOBAL_NAME_BYTES`].
    pub omitted: u32,
}

/// A global variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// The name of its value's type.
    pub type_name: String,
    /// The size of its value in bytes, without what the value refers to.
    pub size_bytes: u64,
}

/// The most global variables that are listed.
pub const GLOBALS: usize = 10_000;

/// The longest name of a variable and of a type that is listed, in bytes.
pub const GLOBAL_NAME_BYTES: usize = 256;

/// A module that a script brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleSource {
    /// Python source.
    pub source: String,
    /// `__file__`, which tracebacks show.
    pub file: String,
    /// Set if other modules can be in it.
    pub is_package: bool,
}

/// SHA-256 of a script with the modules that it brings along, in hex; of the script's own text
/// where it brings none.
pub fn source_sha256(source: &str, modules: &BTreeMap<String, ModuleSource>) -> String {
    if modules.is_empty() {
        return sha256(source);
    }
    let mut all = source.to_owned();
    for (name, module) in modules {
        for part in [name, &module.source] {
            // No text holds its own length in front of what it is followed by.
            all.push_str(&format!("\0{}\0{part}", part.len()));
        }
    }
    sha256(all)
}

/// The rules of screening: what source may import and call.
///
/// A name stands for everything in it: `xml` for `xml.etree` too. Of two names, the longer one
/// decides: `os.path` may be allowed where `os` is forbidden. A name that is both is forbidden.
///
/// Where only parts of a module are allowed, like `sys.maxsize`, the module can be imported and
/// shows these parts alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScreenRules {
    /// The modules that may be imported; `None` for any.
    pub allowed_imports: Option<NameSet>,
    /// The modules that may not.
    pub forbidden_imports: NameSet,
    /// The built-in functions that may not be named.
    pub forbidden_calls: NameSet,
}

impl ScreenRules {
    /// Returns the reason for which a module may not be imported; `None` if it may.
    ///
    /// `__future__` may always be: it is no module but a directive to the compiler.
    pub fn import_refusal(&self, module: &str) -> Option<String> {
        match self.standing(module) {
            Standing::Allowed => None,
            Standing::Forbidden => Some(format!("Forbidden import: {module}")),
            Standing::NotListed if self.allowed_parts(module).next().is_some() => None,
            Standing::NotListed => Some(format!("Not in whitelist: {module}")),
        }
    }

    /// Returns whether all that a script may see of a module are its [allowed
    /// parts](Self::allowed_parts).
    pub fn is_allowed_in_part(&self, module: &str) -> bool {
        self.standing(module) != Standing::Allowed && self.allowed_parts(module).next().is_some()
    }

    /// Lists the names that are allowed in a module, each as far as its next dot.
    pub fn allowed_parts(&self, module: &str) -> impl Iterator<Item = &str> {
        let names = self.allowed_imports.iter().flat_map(NameSet::iter);
        names.filter_map(move |name| {
            let part = name.strip_prefix(module)?.strip_prefix('.')?;
            part.split('.').next()
        })
    }

    fn standing(&self, module: &str) -> Standing {
        let forbidden = longest(&self.forbidden_imports, module);
        let Some(allowed) = &self.allowed_imports else {
            return match forbidden {
                Some(_) => Standing::Forbidden,
                None => Standing::Allowed,
            };
        };
        let allowed = longest(allowed, module);
        if allowed > forbidden || module.split('.').next() == Some("__future__") {
            Standing::Allowed
        } else if forbidden.is_some() {
            Standing::Forbidden
        } else {
            Standing::NotListed
        }
    }
}

/// The standing of a module in the lists of names.
#[derive(PartialEq)]
enum Standing {
    Allowed,
    Forbidden,
    NotListed,
}

/// The length of the longest name in the set that stands for `module`.
fn longest(names: &NameSet, module: &str) -> Option<usize> {
    let ends = module.match_indices('.').map(|(at, _)| at);
    let mut names_of_it = ends.chain([module.len()]);
    names_of_it.rfind(|end| module.get(..*end).is_some_and(|name| names.contains(name)))
}

/// One reason for which source is rejected. Lines and columns count from 1, columns in characters;
/// the end is that of the text, exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The rule.
    pub rule: SourceRule,
    /// The reason, in one sentence.
    pub message: String,
    /// The line on which it starts.
    pub line: u32,
    /// The column at which it starts.
    pub column: u32,
    /// The line on which it ends.
    pub end_line: u32,
    /// The column at which it ends.
    pub end_column: u32,
    /// The text itself; its start, if it is long.
    pub text: String,
    /// The module that it stands in; `None` for the script itself.
    pub module: Option<String>,
}

/// A rule about source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceRule {
    /// It imports no module that it may not.
    Import,
    /// It names no built-in function that it may not.
    Call,
    /// It is Python.
    Syntax,
    /// It is not nested too deeply to be checked.
    Nesting,
    /// It can be checked within the limits of a run.
    Resources,
    /// It is not longer than the limit.
    SourceBytes,
}

impl SourceRule {
    /// Returns the name: `import`, `source_bytes`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Call => "call",
            Self::Syntax => "syntax",
            Self::Nesting => "nesting",
            Self::Resources => "resources",
            Self::SourceBytes => "source_bytes",
        }
    }
}

/// SHA-256, in hex. Both sides name a source by it.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let digest = Sha256::digest(bytes);
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}

/// The result of screening.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screening {
    /// In the order of the source; the first [`VIOLATIONS`] of them.
    pub violations: Vec<Violation>,
    /// SHA-256 of the bytes that were screened, in hex.
    pub source_sha256: String,
}

/// The most violations that are reported of one source.
pub const VIOLATIONS: usize = 100;

/// The reply of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The end.
    pub report: Report,
    /// SHA-256 of the bytes that were compiled, in hex.
    pub source_sha256: String,
}

/// The end of a script, in the guest's own words; its value as it is written, or as the host reads
/// it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Report<V = ReportedValue> {
    /// It ran to its end.
    Completed {
        /// The value of its final expression; JSON `null` where there is none.
        value: V,
    },
    /// An exception went uncaught.
    Raised(Raised),
    /// `SystemExit`, or `sys.exit(code)`.
    Exited {
        /// The exit status: what `sys.exit` was given, 0 for none, 1 for a message.
        status: i32,
    },
}

/// An uncaught exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// The exception's class, with its module unless that is `builtins`.
    pub r#type: String,
    /// `str()` of the exception.
    pub message: String,
    /// The text that Python prints: the traceback, the source lines, the message.
    pub traceback: String,
    /// The line of the script that raised, or that is wrong in a `SyntaxError`.
    pub line: Option<u32>,
}

/// The value of a script's final expression, as the guest writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ReportedValue {
    /// It can be written as JSON. Tuples are arrays.
    Json(Box<RawValue>),
    /// It can't.
    Opaque {
        /// Python's `repr`; absent where the value is too large to ask for one.
        repr: Option<String>,
        /// The reason for which the value is not JSON, in one sentence.
        reason: String,
    },
}

/// The value of a script's final expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// As JSON; `null` where there is no final expression or it is `None`.
    Json(serde_json::Value),
    /// It can't be written as JSON.
    Opaque {
        /// Python's `repr`; absent where the value is too large to ask for one.
        repr: Option<String>,
        /// The reason.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::ScreenRules;

    #[test]
    fn a_module_stands_for_everything_in_it() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let rules = ScreenRules {
            allowed_imports: Some(set(&["json", "os", "xml.etree"])),
            forbidden_imports: set(&["os.system", "urllib"]),
            forbidden_calls: set(&[]),
        };
        for (module, refusal) in [
            ("json", None),
            ("json.decoder", None),
            ("jsonx", Some("Not in whitelist: jsonx")),
            ("os.path", None),
            ("os.system.x", Some("Forbidden import: os.system.x")),
            ("xml", None),
            ("xml.dom", Some("Not in whitelist: xml.dom")),
            ("xml.etree.ElementTree", None),
            ("urllib", Some("Forbidden import: urllib")),
            ("urllib.parse", Some("Forbidden import: urllib.parse")),
            ("__future__", None),
            ("", Some("Not in whitelist: ")),
        ] {
            assert_eq!(rules.import_refusal(module).as_deref(), refusal);
        }
        assert_eq!(ScreenRules::default().import_refusal("os"), None);
    }
}
