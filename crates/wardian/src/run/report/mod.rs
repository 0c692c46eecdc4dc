//! The JSON form of an outcome: for `wardian run --json`, and for everything that is not Rust.

mod from_outcome;
mod to_outcome;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wardian_abi::{Display, Raised, Violation};
use wardian_audit::FileOperation;

pub use self::to_outcome::ReportError;
use super::{SourceHash, Trap};
use crate::location_report::LocationReport;

/// The version of the JSON form of outcomes.
const VERSION: u32 = 1;

/// Everything that came of a run, or of asking for one: the JSON form of an
/// [`Outcome`](crate::Outcome), and of the reasons for which there is none. Every field is always
/// there, `null` or empty where there is nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Outcome")]
#[non_exhaustive]
pub struct Report {
    /// The version of this form: 1.
    pub version: u32,
    /// Names the run; `null` if none has started.
    pub run_id: Option<String>,
    /// The ending.
    pub verdict: Ending,
    /// True if it completed, or exited with 0.
    pub success: bool,
    /// Standard output, up to the limit.
    pub output: String,
    /// Standard error, up to the limit, with the traceback of an uncaught exception.
    pub stderr: String,
    /// Facts about both streams that their texts do not show.
    pub streams: StreamsReport,
    /// The reason for which there was no success, in one sentence.
    pub error: Option<String>,
    /// The value of the final expression, if it is JSON.
    pub value: Json,
    /// Python's `repr` of a value that is not JSON.
    pub value_repr: Option<String>,
    /// The reason for which the value is not JSON.
    pub value_error: Option<String>,
    /// The exception that went uncaught, for `raised`.
    pub exception: Option<Raised>,
    /// The status that the script asked for, for `exited`.
    pub exit_status: Option<i32>,
    /// The rules about source that it breaks, for `rejected`.
    pub violations: Vec<Violation>,
    /// The denial by the policy, for `denied`.
    pub denial: Option<DenialReport>,
    /// The limit at which it was stopped, for `limit`.
    pub limit: Option<LimitReport>,
    /// The kind of crash, for `crashed`.
    pub crash: Option<Trap>,
    /// Problems of the policy, for `policy`.
    pub problems: Vec<ProblemReport>,
    /// Refusals: the first 32, without repetitions.
    pub refusals: Vec<RefusalReport>,
    /// Count of all refusals.
    pub refusal_count: u64,
    /// Advice about refusals, limits, modules that are missing: a sentence each.
    pub advice: Vec<String>,
    /// The things that it has shown, in order.
    pub displays: Vec<Display>,
    /// Count of things that were left out for the limits.
    pub displays_omitted: u64,
    /// The files in the working directory that it has created or changed, by name.
    pub files: Vec<FileReport>,
    /// Resources that it used.
    pub usage: UsageReport,
    /// SHA-256 of the source, in hex, at each step of its way; `null` if no run has started.
    pub source_sha256: Option<SourceHash>,
}

/// Both streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamsReport {
    /// Standard output.
    pub stdout: StreamReport,
    /// Standard error.
    pub stderr: StreamReport,
}

/// A stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamReport {
    /// The count of bytes that were written, those past the limit included.
    pub written_bytes: u64,
    /// True if the limit has cut some of them off.
    pub truncated: bool,
    /// The bytes in base64, if they are not UTF-8: in the text, U+FFFD stands for what is not.
    pub base64: Option<String>,
}

/// A file that a script has created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileReport {
    /// Its path, relative to the working directory.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Its bytes in base64.
    pub base64: String,
}

/// The ending of a run, or the reason why there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// The script ran to its end.
    Completed,
    /// An exception went uncaught.
    Raised,
    /// `sys.exit()`, `SystemExit`, or `os._exit()`.
    Exited,
    /// The source breaks a rule. It has not run.
    Rejected,
    /// The policy does not allow code to run.
    Denied,
    /// It was stopped at a limit.
    Limit,
    /// The interpreter itself broke.
    Crashed,
    /// Somebody has stopped it: Ctrl-C, a signal.
    Interrupted,
    /// It was asked for in a way that can't be: wrong arguments, a file that can't be read. It has
    /// not run.
    Usage,
    /// The policy can't be used. It has not run.
    Policy,
    /// Wardian or its host has failed, not the script.
    Failed,
}

/// A denial of the run itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DenialReport {
    /// The action that the policy does not allow.
    pub action: String,
    /// The key of the policy that decided.
    pub rule: String,
    /// Its place in the policy's files.
    pub location: Option<LocationReport>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// A limit at which a run was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitReport {
    /// The limit, with its unit: `time_ms`, `fuel`, `memory_bytes`, `tool_calls`, `records`,
    /// `record_bytes`.
    pub name: String,
    /// The key of the policy that sets it: `limits.timeout`.
    pub key: String,
    /// The amount used, or asked for.
    pub used: u64,
    /// The amount allowed.
    pub allowed: u64,
    /// The line of the script that was running, from 1, if it is known.
    pub line: Option<u32>,
}

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProblemReport {
    /// The place; `null` if the file can't be read.
    pub location: Option<LocationReport>,
    /// The key in full: `limits.timeout`. Empty for the file itself.
    pub key: String,
    /// The mistake, in one sentence.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
    /// True if the policy can be used all the same.
    pub is_warning: bool,
}

/// Something that a run wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RefusalReport {
    /// The operation on a file; `null` for a call of a tool.
    pub operation: Option<FileOperation>,
    /// The tool, as the script named it; `null` for a file.
    pub tool: Option<String>,
    /// The path, the URL, the database, the recipient.
    pub resource: String,
    /// The other path of a rename or a link.
    pub to: Option<String>,
    /// The key of the policy that decided: `allowed_paths["/in"]`.
    pub rule: String,
    /// Its place in the policy's files.
    pub location: Option<LocationReport>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// Resources that a run used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UsageReport {
    /// Fuel: WebAssembly instructions, about. The same for the same script and inputs.
    pub fuel: u64,
    /// The most memory, in bytes, the interpreter's own included.
    pub memory_peak_bytes: u64,
    /// From the start to the end, in milliseconds.
    pub wall_ms: f64,
    /// Calls of tools, refused ones included.
    pub tool_calls: u64,
    /// Bytes by which files were written or made to grow.
    pub bytes_written: u64,
    /// Files, directories and links created.
    pub files_created: u64,
}

impl Report {
    /// The report of a run that has not started, or whose outcome is lost.
    pub fn without_outcome(verdict: Ending, error: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            run_id: None,
            verdict,
            success: false,
            output: String::new(),
            stderr: String::new(),
            streams: StreamsReport::default(),
            error: Some(error.into()),
            value: Json::Null,
            value_repr: None,
            value_error: None,
            exception: None,
            exit_status: None,
            violations: Vec::new(),
            denial: None,
            limit: None,
            crash: None,
            problems: Vec::new(),
            refusals: Vec::new(),
            refusal_count: 0,
            advice: Vec::new(),
            displays: Vec::new(),
            displays_omitted: 0,
            files: Vec::new(),
            usage: UsageReport::default(),
            source_sha256: None,
        }
    }
}
