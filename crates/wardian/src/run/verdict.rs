//! The verdict on a run: by what the guest says, or by what has stopped it.

use std::time::Duration;

use wardian_abi::{Reply, Report, Value};
use wardian_audit::{Data, Event};
use wardian_engine as engine;
use wardian_engine::Exit;
use wardian_policy::{Allowance, Limit, Limits};

use super::request::max_value_depth;
use super::{Outcome, SourceHash, Trap, Verdict};
use crate::Error;
use crate::ledger::{Entry, RunContext, Stop, data};

/// Reads what the guest says of how it ended, of the source that it was given.
pub(super) fn judge_reply(
    reply: &[u8],
    hash: &mut SourceHash,
    limits: &Limits,
) -> (Verdict, Option<Value>) {
    let value_bytes = limits.get(Limit::Value).or_max();
    let Ok(reply) = Reply::read(reply, &hash.given, value_bytes, max_value_depth(limits)) else {
        return (Verdict::Crashed { trap: Trap::Report }, None);
    };
    hash.run = Some(hash.given.clone());
    match reply {
        Report::Completed { value } => (Verdict::Completed, Some(value)),
        Report::Raised(raised) => (Verdict::Raised(raised), None),
        Report::Exited { status } => (Verdict::Exited { status }, None),
    }
}

/// Returns the verdict on a guest that was stopped.
///
/// # Errors
///
/// If that is the host's fault.
pub(super) fn judge_exit(exit: Exit, limits: &Limits) -> Result<Verdict, Error> {
    let trap = match exit {
        Exit::Exited { status } => return Ok(Verdict::Exited { status }),
        Exit::OutOfFuel => {
            let fuel = limits.fuel().or_max().into();
            return Ok(limit_hit(Limit::Fuel, fuel, fuel));
        }
        Exit::OutOfMemory { asked_bytes } => {
            let max = limits.memory_bytes().into();
            return Ok(limit_hit(Limit::Memory, asked_bytes as u128, max));
        }
        Exit::Stopped(cause) => match cause.downcast::<Stop>() {
            Ok(stop) => match *stop {
                Stop::Limit { limit, max } => return Ok(limit_hit(limit, max.into(), max.into())),
                stop => return Err(stop.into()),
            },
            Err(_) => Trap::SystemCall,
        },
        Exit::Malformed => Trap::Report,
        Exit::Trap(engine::Trap::Unreachable) => Trap::Panic,
        Exit::Trap(engine::Trap::StackOverflow) => Trap::StackOverflow,
        Exit::Trap(engine::Trap::OutOfBounds) => Trap::OutOfBounds,
        Exit::Trap(engine::Trap::HostCall) => Trap::SystemCall,
        _ => Trap::Other,
    };
    Ok(Verdict::Crashed { trap })
}

/// Returns the verdict on a run that was stopped at its time limit.
pub(super) fn time_up(used: Duration, limits: &Limits) -> Verdict {
    let allowed = match limits.timeout() {
        Allowance::AtMost(timeout) => timeout,
        Allowance::Unlimited => Duration::MAX,
    };
    limit_hit(Limit::Timeout, used.as_millis(), allowed.as_millis())
}

fn limit_hit(limit: Limit, used: u128, allowed: u128) -> Verdict {
    let fit = |amount| u64::try_from(amount).unwrap_or(u64::MAX);
    Verdict::Limit {
        limit,
        used: fit(used),
        allowed: fit(allowed),
        line: None,
    }
}

/// Makes the last records of a run.
pub(super) fn last_records(outcome: &Outcome, context: &RunContext) -> Vec<Entry> {
    let verdict = &outcome.verdict;
    let mut last = Vec::new();
    match verdict {
        Verdict::Rejected { violations } => {
            let shown = violations
                .iter()
                .map(|found| format!("{}:{}: {}", found.line, found.column, found.message));
            let data = data(|data| data.violations = shown.collect());
            let violations = violations.len() as u64;
            last.push((Event::Rejected { violations }, data));
        }
        Verdict::Limit {
            limit,
            used,
            allowed,
            line,
        } => {
            let event = Event::Limit {
                limit: limit.key().to_owned(),
                used: *used,
                max: *allowed,
                line: *line,
            };
            last.push((event, Data::default()));
        }
        _ => {}
    }
    let status = match verdict {
        Verdict::Exited { status } => Some(*status),
        _ => None,
    };
    let error = match verdict {
        Verdict::Raised(_) | Verdict::Denied { .. } | Verdict::Crashed { .. } => {
            Some(verdict.to_string())
        }
        _ => None,
    };
    let end = context.finished(verdict.name(), status, outcome.usage.fuel);
    last.push((end, data(|data| data.error = error)));
    last
}
