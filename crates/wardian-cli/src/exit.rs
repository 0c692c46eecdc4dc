//! Exit codes, in one place: what each means, and which verdict has which.

use std::fmt::Write;
use std::io;
use std::process::{ExitCode, Termination};

use wardian::{
    Error, Verdict,
    policy::{Limit, PolicyError},
    wire::{Ending, Report},
};
use wardian_tools::ConfigError;

use crate::display::Escaper;
use crate::{output, problems};

/// The exit status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    const RAISED: Self = Self(1);
    /// Of `audit`: the log is not as it was written. Of `attack` and `test`: something is not as it
    /// should be.
    pub(crate) const BROKEN: Self = Self(1);
    pub(crate) const USAGE: Self = Self(2);
    pub(crate) const REJECTED: Self = Self(120);
    pub(crate) const DENIED: Self = Self(121);
    const CRASHED: Self = Self(122);
    const FUEL: Self = Self(123);
    pub(crate) const TIME: Self = Self(124);
    const WARDIAN: Self = Self(125);
    const MEMORY: Self = Self(126);
    const TOOL_CALLS: Self = Self(127);
    pub(crate) const HUNG_UP: Self = Self(129);
    pub(crate) const INTERRUPTED: Self = Self(130);
    pub(crate) const CLOSED: Self = Self(141);
    pub(crate) const TERMINATED: Self = Self(143);
}

const MEANINGS: &[(Exit, &str)] = &[
    (Exit::SUCCESS, "the script completed"),
    (Exit::RAISED, "an exception went uncaught"),
    (
        Exit::USAGE,
        "wrong usage, or a policy or file that can't be used",
    ),
    (Exit::REJECTED, "the source breaks a rule, and was not run"),
    (Exit::DENIED, "the policy does not allow it"),
    (Exit::CRASHED, "the interpreter crashed"),
    (Exit::FUEL, "stopped at the fuel limit"),
    (Exit::TIME, "stopped at the time limit"),
    (Exit::WARDIAN, "Wardian's own error"),
    (Exit::MEMORY, "stopped at the memory limit"),
    (
        Exit::TOOL_CALLS,
        "stopped at the limit of tool calls or of audit records",
    ),
    (Exit::HUNG_UP, "the terminal was closed"),
    (Exit::INTERRUPTED, "interrupted with Ctrl-C"),
    (
        Exit::CLOSED,
        "standard output was closed before everything was written",
    ),
    (Exit::TERMINATED, "terminated"),
];

/// The table for `--help`.
pub(crate) fn help() -> String {
    let mut help = String::from("Exit codes:\n");
    for (Exit(code), meaning) in MEANINGS {
        let _ = writeln!(help, "  {code:>3}  {meaning}");
    }
    help.push_str("  A script that calls sys.exit(n) exits with n; --json tells the two apart.");
    help
}

impl From<&Verdict> for Exit {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Completed => Self::SUCCESS,
            Verdict::Raised(_) => Self::RAISED,
            // As the operating system does: the low byte.
            Verdict::Exited { status } => Self(status.to_le_bytes()[0]),
            Verdict::Rejected { .. } => Self::REJECTED,
            Verdict::Denied { .. } => Self::DENIED,
            Verdict::Limit {
                limit: Limit::Fuel | Limit::SessionFuel,
                ..
            } => Self::FUEL,
            Verdict::Limit {
                limit: Limit::Timeout | Limit::SessionTime,
                ..
            } => Self::TIME,
            Verdict::Limit {
                limit: Limit::Memory | Limit::SessionMemory,
                ..
            } => Self::MEMORY,
            Verdict::Limit {
                limit: Limit::ToolCalls | Limit::Records | Limit::RecordBytes,
                ..
            } => Self::TOOL_CALLS,
            Verdict::Crashed { .. } => Self::CRASHED,
            _ => Self::WARDIAN,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0)
    }
}

/// A request that can't be carried out as it was made: the user's to mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Whoever read standard output has gone. Nothing to complain of: they had enough.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct Closed;

/// An error in writing standard output.
pub(crate) fn cannot_write(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Closed.into();
    }
    anyhow::Error::new(error).context("cannot write to standard output")
}

/// Says what went wrong.
pub(crate) fn say(error: &str) {
    // Names of files and what stands in them can come from anybody.
    output::say(&format!(
        "error: {}",
        Escaper::default().push(error.as_bytes())
    ));
}

/// Says what went wrong, and how the process ends for it.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    match error.downcast_ref() {
        Some(PolicyError::Wrong(wrong)) => problems::show(wrong),
        _ if error.is::<Closed>() => {}
        _ => say(&format!("{error:#}")),
    }
    ending(error).0
}

/// Says what went wrong as one JSON object, and how the process ends for it.
pub(crate) fn report_json(error: &anyhow::Error) -> Exit {
    let (exit, ending) = ending(error);
    let mut report = Report::without_outcome(ending, format!("{error:#}"));
    if let Some(PolicyError::Wrong(problems)) = error.downcast_ref() {
        report.problems = problems.iter().map(Into::into).collect();
    }
    if error.is::<Closed>() {
        return exit;
    }
    match output::print_report(&report) {
        Ok(()) => exit,
        Err(error) => self::report(&error),
    }
}

/// Maps an error to an exit code and to its name in JSON.
fn ending(error: &anyhow::Error) -> (Exit, Ending) {
    let of_policy = matches!(
        error.downcast_ref(),
        Some(Error::Grant { .. } | Error::Tool { .. })
    ) || error.is::<PolicyError>()
        || error.is::<ConfigError>();
    if error.is::<Closed>() {
        (Exit::CLOSED, Ending::Interrupted)
    } else if error.is::<Usage>() {
        (Exit::USAGE, Ending::Usage)
    } else if of_policy {
        (Exit::USAGE, Ending::Policy)
    } else {
        (Exit::WARDIAN, Ending::Failed)
    }
}
