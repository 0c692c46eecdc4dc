//! The words that host and guest exchange: one request in, one report out, both JSON.
//!
//! Types and names only. The host trusts nothing that it reads here: it checks the length
//! and range of a report before parsing, and the depth and size of the value after.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The version of this interface. Host and guest refuse to talk across versions.
pub const VERSION: u32 = 1;

/// What a script is called in tracebacks, in `sys.argv[0]` and in `linecache`.
pub const SCRIPT_NAME: &str = "<snippet>";

/// The longest report that a guest may hand over, in bytes. A value of 1 MiB and a traceback
/// of [`TRACEBACK_BYTES`], escaped as JSON at worst sixfold, stay below it.
pub const REPORT_BYTES: u32 = 8 << 20;

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
    /// `() -> i64`: runs the request in the buffer; returns the report's address in the upper
    /// half, its length in the lower.
    pub const RUN: &str = "wardian_run";
    /// `() -> i64`: a JSON array with the names of every module that can be imported.
    pub const MODULES: &str = "wardian_modules";
}

/// One script to run, and everything that it is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// Python source.
    pub code: String,
    /// `sys.argv[1:]`.
    pub args: Vec<String>,
    /// Global variables that are set before the script starts.
    pub inputs: Map<String, Value>,
    /// The whole of `os.environ`.
    pub env: BTreeMap<String, String>,
    /// The largest value that comes back, in bytes of JSON.
    pub value_bytes: u64,
    /// The deepest nesting of a value that comes back. A scalar has depth 0.
    pub value_depth: u32,
}

/// How a script ended, in the guest's own words.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Report {
    /// It ran to its end.
    Completed {
        /// The value of its final expression; JSON `null` where there is none.
        value: ReportedValue,
    },
    /// An exception went uncaught.
    Raised(Raised),
    /// `SystemExit`, or `sys.exit(code)`.
    Exited {
        /// The exit status: what `sys.exit` was given, 0 for none, 1 for a message.
        code: i32,
    },
}

/// An uncaught exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// The exception's class, with its module unless that is `builtins`.
    pub r#type: String,
    /// `str()` of the exception.
    pub message: String,
    /// What Python prints: the traceback, the source lines, the message.
    pub traceback: String,
    /// The line of the script that raised, or that is wrong in a `SyntaxError`.
    pub line: Option<u32>,
}

/// The value of a script's final expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ReportedValue {
    /// It can be written as JSON. Tuples are arrays.
    Json(Box<RawValue>),
    /// It can't.
    Opaque {
        /// Python's `repr`; absent where the value is too large to ask for one.
        repr: Option<String>,
        /// Why the value is not JSON, in one sentence.
        reason: String,
    },
}
