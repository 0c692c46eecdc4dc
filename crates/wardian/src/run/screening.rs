//! Screening: the reasons for which a script is rejected before it runs.

use wardian_abi::{Malformed, Screening, SourceRule, Violation, source_sha256};
use wardian_policy::{Action, Limit, Limits, Policy};

use super::{Script, SourceHash, Verdict};

/// Returns the verdict on a script that does not run at all, whatever its source holds.
pub(super) fn deny(policy: &Policy, script: &Script) -> Option<Verdict> {
    let decision = policy.check(Action::Execute, "");
    if !decision.allowed() {
        return Some(Verdict::Denied {
            action: decision.action().to_string(),
            rule: decision.rule(),
            location: decision.location().cloned(),
            reason: decision.to_string(),
        });
    }
    let violations = vec![check_length(policy.limits(), script)?];
    Some(Verdict::Rejected { violations })
}

/// Returns the violation of a script that is too long.
pub(super) fn check_length(limits: &Limits, script: &Script) -> Option<Violation> {
    let max = limits.get(Limit::Source).or_max();
    let bytes = script.source_bytes() as u64;
    let message = format!("the source takes {bytes} bytes; at most {max} are allowed");
    (bytes > max).then(|| whole_source(SourceRule::SourceBytes, message))
}

/// A violation of the source as a whole.
fn whole_source(rule: SourceRule, message: String) -> Violation {
    Violation {
        rule,
        message,
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
        text: String::new(),
        module: None,
    }
}

pub(super) fn hash_source(script: &Script) -> SourceHash {
    SourceHash {
        given: source_sha256(&script.source, &script.modules),
        screened: None,
        run: None,
    }
}

/// Reads what the guest has found in the source that it was given.
pub(super) fn read_screening(
    screening: &[u8],
    hash: &mut SourceHash,
) -> Result<Vec<Violation>, Malformed> {
    let screening = Screening::read(screening, &hash.given)?;
    hash.screened = Some(screening.source_sha256);
    Ok(screening.violations)
}

/// Makes a violation of what has stopped screening: the source is rejected, whatever that was.
pub(super) fn unscreened(stopped_by: &Verdict) -> Violation {
    match stopped_by {
        Verdict::Limit { .. } => whole_source(
            SourceRule::Resources,
            format!("Too large to be checked: {stopped_by}"),
        ),
        // A stack that ran out, or what a parser does when one has.
        _ => whole_source(
            SourceRule::Nesting,
            "Too deeply nested to be checked".to_owned(),
        ),
    }
}
