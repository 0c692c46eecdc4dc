//! Reports become outcomes again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use wardian_abi::Value;
use wardian_engine::Output;
use wardian_policy::Limit;

use super::from_outcome::{NANOS_PER_MS, name_with_unit};
use super::{Ending, FileReport, RefusalReport, Report, StreamReport, UsageReport, VERSION};
use crate::files::OutputFile;
use crate::ledger::{Attempt, Refusal, Refusals};
use crate::run::{Outcome, Usage, Verdict};

/// A reason for which a report is not that of an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is in another version of the form.
    #[error("`version` is {0}; this program reads version {VERSION}")]
    Version(u32),
    /// It is of something else than a run.
    #[error("`verdict` is {0:?}, which no run comes to: {error}", error = .1.as_deref().unwrap_or_default())]
    NoRun(Ending, Option<String>),
    /// A field lacks what the verdict needs, or holds what can't be.
    #[error("`{0}` does not fit the verdict, or is malformed")]
    Field(&'static str),
    /// Two fields say different things, or one says something that the verdict does not have.
    #[error("the fields of the report contradict each other")]
    Contradiction,
}

/// Reads back what [`Report::from`] has written, and nothing else: a report that an outcome would
/// not have is refused.
impl TryFrom<Report> for Outcome {
    type Error = ReportError;

    fn try_from(report: Report) -> Result<Self, ReportError> {
        if report.version != VERSION {
            return Err(ReportError::Version(report.version));
        }
        let refusals = report.refusals.iter().map(read_refusal);
        let files = report.files.iter().map(read_file);
        let outcome = Self {
            run_id: report.run_id.clone().ok_or(ReportError::Field("run_id"))?,
            verdict: read_verdict(&report)?,
            value: read_value(&report),
            stdout: read_stream("streams.stdout", &report.output, &report.streams.stdout)?,
            stderr: read_stream("streams.stderr", &report.stderr, &report.streams.stderr)?,
            displays: report.displays.clone(),
            displays_omitted: report.displays_omitted,
            files: files.collect::<Result<_, _>>()?,
            usage: (&report.usage).into(),
            refusals: Refusals {
                first: refusals.collect::<Result<_, _>>()?,
                count: report.refusal_count,
            },
            advice: report.advice.clone(),
            source: report
                .source_sha256
                .clone()
                .ok_or(ReportError::Field("source_sha256"))?,
        };
        if Report::from(&outcome) == report {
            Ok(outcome)
        } else {
            Err(ReportError::Contradiction)
        }
    }
}

fn read_file(file: &FileReport) -> Result<OutputFile, ReportError> {
    let bytes = STANDARD.decode(&file.base64);
    let bytes = bytes.map_err(|_| ReportError::Field("files.base64"))?;
    Ok(OutputFile::new(&file.name, bytes))
}

fn read_verdict(report: &Report) -> Result<Verdict, ReportError> {
    let missing = |field| move || ReportError::Field(field);
    Ok(match report.verdict {
        Ending::Completed => Verdict::Completed,
        Ending::Raised => {
            let raised = report.exception.clone();
            Verdict::Raised(raised.ok_or_else(missing("exception"))?)
        }
        Ending::Exited => Verdict::Exited {
            status: report.exit_status.ok_or_else(missing("exit_status"))?,
        },
        Ending::Rejected => Verdict::Rejected {
            violations: report.violations.clone(),
        },
        Ending::Denied => {
            let denial = report.denial.as_ref().ok_or_else(missing("denial"))?;
            Verdict::Denied {
                action: denial.action.clone(),
                rule: denial.rule.clone(),
                location: denial.location.as_ref().map(Into::into),
                reason: denial.reason.clone(),
            }
        }
        Ending::Limit => {
            let limit = report.limit.as_ref().ok_or_else(missing("limit"))?;
            let mut limits = Limit::ALL.into_iter();
            let named = limits.find(|known| name_with_unit(*known) == limit.name);
            Verdict::Limit {
                limit: named.ok_or_else(missing("limit.name"))?,
                used: limit.used,
                allowed: limit.allowed,
                line: limit.line,
            }
        }
        Ending::Crashed => Verdict::Crashed {
            trap: report.crash.ok_or_else(missing("crash"))?,
        },
        Ending::Interrupted | Ending::Usage | Ending::Policy | Ending::Failed => {
            return Err(ReportError::NoRun(report.verdict, report.error.clone()));
        }
    })
}

fn read_value(report: &Report) -> Option<Value> {
    if let Some(reason) = &report.value_error {
        return Some(Value::Opaque {
            repr: report.value_repr.clone(),
            reason: reason.clone(),
        });
    }
    let has_value = report.verdict == Ending::Completed || report.value != Json::Null;
    has_value.then(|| Value::Json(report.value.clone()))
}

fn read_stream(
    field: &'static str,
    text: &str,
    stream: &StreamReport,
) -> Result<Output, ReportError> {
    let bytes = match &stream.base64 {
        None => text.as_bytes().to_vec(),
        Some(base64) => STANDARD
            .decode(base64)
            .map_err(|_| ReportError::Field(field))?,
    };
    let mut output = Output::default();
    output.bytes = bytes;
    output.truncated = stream.truncated;
    output.written = stream.written_bytes;
    Ok(output)
}

fn read_refusal(report: &RefusalReport) -> Result<Refusal, ReportError> {
    let resource = report.resource.clone();
    let attempt = match (report.operation, &report.tool) {
        (Some(operation), None) => Attempt::File {
            operation,
            path: resource,
            to: report.to.clone(),
        },
        (None, Some(tool)) => Attempt::Tool {
            tool: tool.clone(),
            resource,
        },
        _ => return Err(ReportError::Field("refusals.operation")),
    };
    Ok(Refusal {
        attempt,
        rule: report.rule.clone(),
        location: report.location.as_ref().map(Into::into),
        reason: report.reason.clone(),
    })
}

impl From<&UsageReport> for Usage {
    fn from(report: &UsageReport) -> Self {
        Self {
            fuel: report.fuel,
            memory_peak_bytes: report.memory_peak_bytes,
            wall: Duration::from_nanos((report.wall_ms * NANOS_PER_MS).round() as u64),
            tool_calls: report.tool_calls,
            bytes_written: report.bytes_written,
            files_created: report.files_created,
        }
    }
}
