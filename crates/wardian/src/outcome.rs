//! How a run ended, and everything that came of it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardian_abi::{Raised, Value, Violation};

use wardian_policy::{Limit, Location};

use crate::{FileOperation, Output, Report};

/// How a script ended. Exactly one of these is true of every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It ran to its end.
    Completed,
    /// An exception went uncaught.
    Raised(Raised),
    /// `sys.exit()`, `SystemExit`, or `os._exit()`.
    Exited {
        /// The exit status that the script asked for.
        code: i32,
    },
    /// It was refused before it ran.
    Rejected {
        /// Why, in the order of the source.
        violations: Vec<Violation>,
    },
    /// The policy does not allow it to run.
    Denied {
        /// What it would have needed to do.
        action: String,
        /// The key of the policy that decided.
        rule: String,
        /// The place of that key, if the policy was read from a file.
        #[serde(skip)]
        location: Option<Location>,
        /// The reason, in one sentence.
        reason: String,
    },
    /// It was stopped at a limit.
    Limit {
        /// Which one.
        which: LimitKind,
        /// How much it used, or asked for, in the limit's unit.
        used: u64,
        /// How much it was allowed.
        allowed: u64,
        /// The line of the script that was running, from 1, if it is known.
        line: Option<u32>,
    },
    /// The interpreter itself broke. The script saw nothing of the host.
    Crashed {
        /// How.
        trap: Trap,
    },
}

/// A limit of [`Limits`](crate::Limits) that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitKind {
    /// Wall-clock time, in milliseconds.
    Time,
    /// Wasm instructions.
    Fuel,
    /// Linear memory, in bytes.
    Memory,
    /// Calls of tools.
    ToolCalls,
    /// Records in the audit log.
    Records,
    /// Records in the audit log, in bytes.
    RecordBytes,
}

impl LimitKind {
    /// Its name: `time`, `tool_calls`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::ToolCalls => "tool_calls",
            Self::Records => "records",
            Self::RecordBytes => "record_bytes",
        }
    }

    /// Its name with the unit of its amounts, unless that is a count: `time_ms`, `memory_bytes`, `tool_calls`.
    pub const fn name_with_unit(self) -> &'static str {
        match self {
            Self::Time => "time_ms",
            Self::Memory => "memory_bytes",
            kind => kind.name(),
        }
    }

    /// The limit.
    pub const fn limit(self) -> Limit {
        match self {
            Self::Time => Limit::Timeout,
            Self::Fuel => Limit::Fuel,
            Self::Memory => Limit::Memory,
            Self::ToolCalls => Limit::ToolCalls,
            Self::Records => Limit::Records,
            Self::RecordBytes => Limit::RecordBytes,
        }
    }
}

/// How an interpreter broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trap {
    /// Too deeply nested calls of native code in the interpreter.
    StackOverflow,
    /// RustPython panicked.
    Panic,
    /// Memory was touched that is not there.
    OutOfBounds,
    /// A system call asked for more than the host gives.
    SystemCall,
    /// The report of how the run ended is not one.
    Report,
    /// Anything else that WebAssembly stops at.
    Other,
}

/// What a run used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Wasm instructions. The same for the same script and inputs.
    pub fuel: u64,
    /// The most linear memory, in bytes, the interpreter's own included.
    pub memory_peak_bytes: u64,
    /// From the start of the run to its end.
    pub wall: Duration,
    /// Calls of tools, refused ones included.
    pub tool_calls: u64,
    /// Bytes written to files, and bytes by which they were made to grow.
    pub bytes_written: u64,
    /// Files, directories and links created.
    pub files_created: u64,
}

/// SHA-256 of a source, in hex, at each step of its way. Those that are there are the same: a guest
/// that read other bytes than it was given has [`Crashed`](Verdict::Crashed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SourceHash {
    /// What the host was given.
    pub given: String,
    /// What was screened, if anything was.
    pub screened: Option<String>,
    /// What was compiled and run, if it came to that.
    pub run: Option<String>,
}

/// What a run was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refusals {
    /// The first of them, without repetitions, 32 at most.
    pub first: Vec<Refusal>,
    /// How many there were, repetitions included.
    pub count: u64,
}

/// Something that a run wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// What it wanted.
    #[serde(flatten)]
    pub wish: Wish,
    /// The key of the policy that decided: `permissions`, `allowed_paths["/in"]`,
    /// `limits.files_created`, `tools.send_email.max_calls`.
    pub rule: String,
    /// Where that key stands, if the policy was read from a file.
    #[serde(skip)]
    pub location: Option<Location>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// What a run wanted. Every character can stand in what it has named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Wish {
    /// To do something to a file or a directory.
    File {
        /// What.
        operation: FileOperation,
        /// The file, as the script sees it.
        path: String,
        /// The other path of a [`Rename`](FileOperation::Rename) or a
        /// [`Link`](FileOperation::Link).
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// To call a tool.
    Tool {
        /// Its name, as the script gave it.
        tool: String,
        /// What it was to act on.
        resource: String,
    },
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                operation, path, ..
            } => write!(f, "{} {}", operation.verb(), path.escape_debug()),
            Self::Tool { tool, .. } => write!(f, "call {}", tool.escape_debug()),
        }
    }
}

/// Everything that came of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Names this run, and no other.
    pub run_id: String,
    /// How it ended.
    pub verdict: Verdict,
    /// The value of the final expression, if the verdict is [`Verdict::Completed`].
    pub value: Option<Value>,
    /// Standard output, whatever the verdict.
    pub stdout: Output,
    /// Standard error, with the traceback of an uncaught exception.
    pub stderr: Output,
    /// What it used.
    pub usage: Usage,
    /// What it was refused.
    pub refusals: Refusals,
    /// Advice about refusals, limits, modules that are missing: for people, a sentence each.
    pub advice: Vec<String>,
    /// Which source it was.
    pub source: SourceHash,
}

impl Outcome {
    /// Of a run that has a name, and has not come to anything yet.
    pub(crate) fn nothing(source: SourceHash) -> Self {
        Self {
            run_id: uuid::Uuid::now_v7().to_string(),
            verdict: Verdict::Completed,
            value: None,
            stdout: Output::default(),
            stderr: Output::default(),
            usage: Usage::default(),
            refusals: Refusals::default(),
            advice: Vec::new(),
            source,
        }
    }

    /// Did it complete, or exit with 0?
    pub fn success(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Completed | Verdict::Exited { code: 0 }
        )
    }

    /// The outcome as JSON: a [`Report`].
    pub fn json(&self) -> serde_json::Value {
        // Texts, numbers and lists of them: nothing that JSON does not have.
        serde_json::to_value(Report::from(self)).unwrap_or_default()
    }
}

impl Verdict {
    /// Its name: `completed`, `limit`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Raised(_) => "raised",
            Self::Exited { .. } => "exited",
            Self::Rejected { .. } => "rejected",
            Self::Denied { .. } => "denied",
            Self::Limit { .. } => "limit",
            Self::Crashed { .. } => "crashed",
        }
    }

    /// Its name, or that of the limit that it is about: `completed`, `fuel`.
    pub const fn ending(&self) -> &'static str {
        match self {
            Self::Limit { which, .. } => which.name(),
            verdict => verdict.name(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Raised(Raised {
                r#type, message, ..
            }) if message.is_empty() => f.write_str(r#type),
            Self::Raised(Raised {
                r#type, message, ..
            }) => write!(f, "{type}: {message}"),
            Self::Exited { code } => write!(f, "exited with status {code}"),
            Self::Rejected { violations } => {
                for (i, violation) in violations.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "\n" };
                    let Violation {
                        line,
                        column,
                        message,
                        module,
                        ..
                    } = violation;
                    let module = module.as_ref().map(|module| format!("{module}, "));
                    let module = module.unwrap_or_default();
                    write!(
                        f,
                        "{separator}{module}line {line}, column {column}: {message}"
                    )?;
                }
                Ok(())
            }
            Self::Denied {
                action,
                location,
                reason,
                ..
            } => {
                write!(f, "not allowed to {action}: {reason}")?;
                match location {
                    Some(at) => write!(f, " ({at})"),
                    None => Ok(()),
                }
            }
            Self::Limit {
                which,
                allowed,
                line,
                ..
            } => {
                let bytes = || bytesize::ByteSize::b(*allowed).display().iec();
                f.write_str("stopped at the ")?;
                match which {
                    LimitKind::Time => {
                        let allowed = Duration::from_millis(*allowed);
                        write!(f, "time limit of {}", humantime::format_duration(allowed))
                    }
                    LimitKind::Fuel => write!(f, "fuel limit of {allowed} instructions"),
                    LimitKind::Memory => write!(f, "memory limit of {}", bytes()),
                    LimitKind::ToolCalls => write!(f, "limit of {allowed} calls of tools"),
                    LimitKind::Records => write!(f, "limit of {allowed} audit records"),
                    LimitKind::RecordBytes => write!(f, "limit of {} of audit records", bytes()),
                }?;
                match line {
                    Some(line) => write!(f, ", in line {line}"),
                    None => Ok(()),
                }
            }
            Self::Crashed { trap } => write!(f, "the interpreter crashed: {trap}"),
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StackOverflow => "native calls nested too deeply",
            Self::Panic => "a panic in RustPython",
            Self::OutOfBounds => "an access outside of memory",
            Self::SystemCall => "a system call asked for too much",
            Self::Report => "its report is malformed",
            Self::Other => "a WebAssembly trap",
        })
    }
}
