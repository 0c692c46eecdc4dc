//! The outcome of a run: its end, and everything that came of it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use wardian_abi::{Display, Raised, Value, Violation};

use wardian_engine::Output;
use wardian_policy::{Limit, Location};

use super::Report;
use crate::files::OutputFile;
use crate::ledger::Refusals;

/// The end of a script. Exactly one of these is true of every run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It ran to its end.
    Completed,
    /// An exception went uncaught.
    Raised(Raised),
    /// `sys.exit()`, `SystemExit`, or `os._exit()`.
    Exited {
        /// The exit status that the script asked for.
        status: i32,
    },
    /// Its source breaks a rule. It has not run.
    Rejected {
        /// The violations, in the order of the source.
        violations: Vec<Violation>,
    },
    /// The policy does not allow it to run.
    Denied {
        /// The action that is not allowed.
        action: String,
        /// The key of the policy that decided.
        rule: String,
        /// The place of that key, if the policy was read from a file.
        location: Option<Location>,
        /// The reason, in one sentence.
        reason: String,
    },
    /// It was stopped at a limit.
    Limit {
        /// The limit: [`Timeout`](Limit::Timeout), [`Fuel`](Limit::Fuel),
        /// [`Memory`](Limit::Memory), [`ToolCalls`](Limit::ToolCalls), [`Records`](Limit::Records)
        /// or [`RecordBytes`](Limit::RecordBytes); of a session's call also
        /// [`SessionFuel`](Limit::SessionFuel), [`SessionTime`](Limit::SessionTime) or
        /// [`SessionMemory`](Limit::SessionMemory).
        limit: Limit,
        /// The amount used, or asked for: milliseconds of time, else in the limit's unit.
        used: u64,
        /// The amount allowed.
        allowed: u64,
        /// The line of the script that was running, from 1, if it is known.
        line: Option<u32>,
    },
    /// The interpreter itself crashed. The script saw nothing of the host.
    Crashed {
        /// The kind of crash.
        trap: Trap,
    },
}

/// A kind of crash.
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

/// The resources that a run used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Wasm instructions. The same for the same script and inputs.
    pub fuel: u64,
    /// The peak of linear memory, in bytes, the interpreter's own included.
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
    /// The hash of the source that the host was given.
    pub given: String,
    /// The hash of the source that was screened, if any was.
    pub screened: Option<String>,
    /// The hash of the source that was compiled and run, if it came to that.
    pub run: Option<String>,
}

/// Everything that came of a run. As JSON it is a [`Report`](crate::wire::Report).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Report")]
#[non_exhaustive]
pub struct Outcome {
    /// The id of this run, and of no other.
    pub run_id: String,
    /// The end.
    pub verdict: Verdict,
    /// The value of the final expression, if the verdict is [`Verdict::Completed`].
    pub value: Option<Value>,
    /// Standard output, whatever the verdict.
    pub stdout: Output,
    /// Standard error, with the traceback of an uncaught exception.
    pub stderr: Output,
    /// The things that it has shown, in order, whatever the verdict: by `display(…)`, and the value
    /// of its final expression if that has other forms than a text.
    pub displays: Vec<Display>,
    /// The count of things that were left out for the limits.
    pub displays_omitted: u64,
    /// The files in the working directory that it has created or changed, by name. Empty if the
    /// call of a session was undone.
    pub files: Vec<OutputFile>,
    /// The resources that it used.
    pub usage: Usage,
    /// The attempts that were denied.
    pub refusals: Refusals,
    /// Advice about refusals, limits, modules that are missing: for people, a sentence each.
    pub advice: Vec<String>,
    /// The source.
    pub source: SourceHash,
}

impl Outcome {
    /// An empty outcome with a fresh run id.
    pub(super) fn new(source: SourceHash) -> Self {
        Self {
            run_id: uuid::Uuid::now_v7().to_string(),
            verdict: Verdict::Completed,
            value: None,
            stdout: Output::default(),
            stderr: Output::default(),
            displays: Vec::new(),
            displays_omitted: 0,
            files: Vec::new(),
            usage: Usage::default(),
            refusals: Refusals::default(),
            advice: Vec::new(),
            source,
        }
    }

    /// Returns whether it completed, or exited with 0.
    pub fn success(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Completed | Verdict::Exited { status: 0 }
        )
    }

    /// Returns the outcome as JSON: a [`Report`](crate::wire::Report).
    pub fn json(&self) -> serde_json::Value {
        // Texts, numbers and lists of them: nothing that JSON does not have.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Report::from(self).serialize(serializer)
    }
}

impl Verdict {
    /// Returns the name: `completed`, `limit`.
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

    /// Returns the name, or that of the limit that it is about: `completed`, `fuel`.
    pub fn ending(&self) -> &'static str {
        match self {
            Self::Limit { limit, .. } => limit.short_name(),
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
            Self::Exited { status } => write!(f, "exited with status {status}"),
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
                limit,
                allowed,
                line,
                ..
            } => {
                let bytes = || bytesize::ByteSize::b(*allowed).display().iec();
                f.write_str("stopped at the ")?;
                match limit {
                    Limit::Timeout => {
                        let allowed = Duration::from_millis(*allowed);
                        write!(f, "time limit of {}", humantime::format_duration(allowed))
                    }
                    Limit::Fuel => write!(f, "fuel limit of {allowed} instructions"),
                    Limit::Memory => write!(f, "memory limit of {}", bytes()),
                    Limit::ToolCalls => write!(f, "limit of {allowed} calls of tools"),
                    Limit::Records => write!(f, "limit of {allowed} audit records"),
                    Limit::RecordBytes => write!(f, "limit of {} of audit records", bytes()),
                    limit => write!(f, "limit {limit} of {allowed}"),
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
