//! The JSON form of an outcome: for `wardian run --json`, and for everything that is not
//! Rust.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wardian_abi::{Raised, Value, Violation};
use wardian_policy::{Limit, Problem};

use super::{Outcome, SourceHash, Trap, Verdict};
use crate::ledger::{Attempt, Refusal};
use crate::location_report::LocationReport;

/// Everything that came of a run, or of asking for one. Every field is always there, `null` or
/// empty where there is nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Report {
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
    /// True if a limit has cut off output.
    pub truncated: bool,
    /// The reason for which there was no success, in one sentence.
    pub error: Option<String>,
    /// The value of the final expression, if it is JSON.
    pub value: Json,
    /// Python's `repr` of a value that is not JSON.
    pub value_repr: Option<String>,
    /// The reason for which the value is not JSON.
    pub value_error: Option<String>,
    /// The exception that went uncaught, for `raised`.
    pub exception: Option<ExceptionReport>,
    /// The status that the script asked for, for `exited`.
    pub exit_status: Option<i32>,
    /// The rules about source that it breaks, for `rejected`.
    pub violations: Vec<ViolationReport>,
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
    /// Resources that it used.
    pub usage: UsageReport,
    /// SHA-256 of the source, in hex, at each step of its way; `null` if no run has started.
    pub source_sha256: Option<SourceHash>,
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

/// An exception that went uncaught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExceptionReport {
    /// Its class, with its module unless that is `builtins`.
    pub r#type: String,
    /// `str()` of it.
    pub message: String,
    /// The text that Python prints of it.
    pub traceback: String,
    /// The line of the script that raised it, from 1.
    pub line: Option<u32>,
}

/// A rule about source that is broken. Lines and columns count from 1, columns in characters; the
/// end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ViolationReport {
    /// `import`, `call`, `syntax`, `nesting`, `resources`, `source_bytes`.
    pub rule: String,
    /// The mistake, in one sentence.
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
    /// The module that it stands in; `null` for the script itself.
    pub module: Option<String>,
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
    /// The operation on a file, `read` or `write` for instance; `call` for a tool.
    pub operation: String,
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
            run_id: None,
            verdict,
            success: false,
            output: String::new(),
            stderr: String::new(),
            truncated: false,
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
            usage: UsageReport::default(),
            source_sha256: None,
        }
    }

    /// The JSON Schema of reports.
    pub fn schema() -> Json {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        settings
            .into_generator()
            .into_root_schema_for::<Self>()
            .to_value()
    }
}

impl From<&Outcome> for Report {
    fn from(outcome: &Outcome) -> Self {
        let verdict = &outcome.verdict;
        let error = (!outcome.success()).then(|| verdict.to_string());
        let mut report = Self {
            run_id: Some(outcome.run_id.clone()),
            success: outcome.success(),
            error,
            output: outcome.stdout.text().into_owned(),
            stderr: outcome.stderr.text().into_owned(),
            truncated: outcome.stdout.truncated || outcome.stderr.truncated,
            refusals: outcome.refusals.first.iter().map(Into::into).collect(),
            refusal_count: outcome.refusals.count,
            advice: outcome.advice.clone(),
            usage: UsageReport {
                fuel: outcome.usage.fuel,
                memory_peak_bytes: outcome.usage.memory_peak_bytes,
                wall_ms: outcome.usage.wall.as_secs_f64() * 1e3,
                tool_calls: outcome.usage.tool_calls,
                bytes_written: outcome.usage.bytes_written,
                files_created: outcome.usage.files_created,
            },
            source_sha256: Some(outcome.source.clone()),
            ..Self::without_outcome(Ending::Completed, "")
        };
        match &outcome.value {
            Some(Value::Json(value)) => report.value = value.clone(),
            Some(Value::Opaque { repr, reason }) => {
                report.value_repr.clone_from(repr);
                report.value_error = Some(reason.clone());
            }
            None => {}
        }
        report.verdict = match verdict {
            Verdict::Completed => Ending::Completed,
            Verdict::Raised(raised) => {
                report.exception = Some(raised.into());
                Ending::Raised
            }
            Verdict::Exited { status } => {
                report.exit_status = Some(*status);
                Ending::Exited
            }
            Verdict::Rejected { violations } => {
                report.violations = violations.iter().map(Into::into).collect();
                Ending::Rejected
            }
            Verdict::Denied {
                action,
                rule,
                location,
                reason,
            } => {
                report.denial = Some(DenialReport {
                    action: action.clone(),
                    rule: rule.clone(),
                    location: location.as_ref().map(Into::into),
                    reason: reason.clone(),
                });
                Ending::Denied
            }
            Verdict::Limit {
                limit,
                used,
                allowed,
                line,
            } => {
                report.limit = Some(LimitReport {
                    name: name_with_unit(*limit),
                    key: limit.key().to_owned(),
                    used: *used,
                    allowed: *allowed,
                    line: *line,
                });
                Ending::Limit
            }
            Verdict::Crashed { trap } => {
                report.crash = Some(*trap);
                Ending::Crashed
            }
        };
        report
    }
}

/// Returns a limit's name with the unit of its amounts, unless that is a count.
fn name_with_unit(limit: Limit) -> String {
    let name = limit.short_name();
    match limit {
        Limit::Timeout => format!("{name}_ms"),
        Limit::Memory => format!("{name}_bytes"),
        _ => name.to_owned(),
    }
}

impl From<&Raised> for ExceptionReport {
    fn from(raised: &Raised) -> Self {
        Self {
            r#type: raised.r#type.clone(),
            message: raised.message.clone(),
            traceback: raised.traceback.clone(),
            line: raised.line,
        }
    }
}

impl From<&Violation> for ViolationReport {
    fn from(violation: &Violation) -> Self {
        Self {
            rule: violation.rule.clone(),
            message: violation.message.clone(),
            line: violation.line,
            column: violation.column,
            end_line: violation.end_line,
            end_column: violation.end_column,
            text: violation.text.clone(),
            module: violation.module.clone(),
        }
    }
}

impl From<&Problem> for ProblemReport {
    fn from(problem: &Problem) -> Self {
        Self {
            location: Some((&problem.at).into()),
            key: problem.key.clone(),
            message: problem.message.clone(),
            help: problem.help.clone(),
            is_warning: problem.is_warning,
        }
    }
}

impl From<&Refusal> for RefusalReport {
    fn from(refusal: &Refusal) -> Self {
        let (operation, tool, resource, to) = match &refusal.attempt {
            Attempt::File {
                operation,
                path,
                to,
            } => (operation.verb(), None, path, to.clone()),
            Attempt::Tool { tool, resource } => ("call", Some(tool.clone()), resource, None),
        };
        Self {
            operation: operation.to_owned(),
            tool,
            resource: resource.clone(),
            to,
            rule: refusal.rule.clone(),
            location: refusal.location.as_ref().map(Into::into),
            reason: refusal.reason.clone(),
        }
    }
}
