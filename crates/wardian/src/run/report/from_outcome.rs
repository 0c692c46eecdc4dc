//! Outcomes become reports.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wardian_abi::Value;
use wardian_engine::Output;
use wardian_policy::{Limit, Problem};

use super::{
    DenialReport, Ending, FileReport, LimitReport, ProblemReport, RefusalReport, Report,
    StreamReport, StreamsReport, UsageReport,
};
use crate::files::OutputFile;
use crate::ledger::{Attempt, Refusal};
use crate::run::{Outcome, Verdict};

/// Nanoseconds in a millisecond.
pub(super) const NANOS_PER_MS: f64 = 1e6;

impl From<&Outcome> for Report {
    fn from(outcome: &Outcome) -> Self {
        let verdict = &outcome.verdict;
        let error = (!outcome.success()).then(|| verdict.to_string());
        let mut report = Self {
            run_id: Some(outcome.run_id.clone()),
            success: outcome.success(),
            error,
            refusals: outcome.refusals.first.iter().map(Into::into).collect(),
            refusal_count: outcome.refusals.count,
            advice: outcome.advice.clone(),
            displays: outcome.displays.clone(),
            displays_omitted: outcome.displays_omitted,
            files: outcome.files.iter().map(Into::into).collect(),
            usage: UsageReport {
                fuel: outcome.usage.fuel,
                memory_peak_bytes: outcome.usage.memory_peak_bytes,
                wall_ms: outcome.usage.wall.as_nanos() as f64 / NANOS_PER_MS,
                tool_calls: outcome.usage.tool_calls,
                bytes_written: outcome.usage.bytes_written,
                files_created: outcome.usage.files_created,
            },
            source_sha256: Some(outcome.source.clone()),
            ..Self::without_outcome(Ending::Completed, "")
        };
        report.set_output(&outcome.stdout, &outcome.stderr);
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
                report.exception = Some(raised.clone());
                Ending::Raised
            }
            Verdict::Exited { status } => {
                report.exit_status = Some(*status);
                Ending::Exited
            }
            Verdict::Rejected { violations } => {
                report.violations.clone_from(violations);
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

impl From<&OutputFile> for FileReport {
    fn from(file: &OutputFile) -> Self {
        Self {
            name: file.name.clone(),
            size_bytes: file.bytes.len() as u64,
            sha256: file.sha256.clone(),
            base64: STANDARD.encode(&file.bytes),
        }
    }
}

impl Report {
    /// Sets what is known of both streams.
    pub fn set_output(&mut self, stdout: &Output, stderr: &Output) {
        self.output = stdout.text().into_owned();
        self.stderr = stderr.text().into_owned();
        self.streams = StreamsReport {
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
    }
}

/// Returns a limit's name with the unit of its amounts, unless that is a count.
pub(super) fn name_with_unit(limit: Limit) -> String {
    let name = limit.short_name();
    match limit {
        Limit::Timeout | Limit::SessionTime => format!("{name}_ms"),
        Limit::Memory | Limit::SessionMemory => format!("{name}_bytes"),
        _ => name.to_owned(),
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
            } => (Some(*operation), None, path, to.clone()),
            Attempt::Tool { tool, resource } => (None, Some(tool.clone()), resource, None),
        };
        Self {
            operation,
            tool,
            resource: resource.clone(),
            to,
            rule: refusal.rule.clone(),
            location: refusal.location.as_ref().map(Into::into),
            reason: refusal.reason.clone(),
        }
    }
}

impl From<&Output> for StreamReport {
    fn from(output: &Output) -> Self {
        let is_text = std::str::from_utf8(&output.bytes).is_ok();
        Self {
            written_bytes: output.written,
            truncated: output.truncated,
            base64: (!is_text).then(|| STANDARD.encode(&output.bytes)),
        }
    }
}
