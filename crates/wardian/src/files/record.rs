//! Records of decisions on files.

use wardian_audit::{Event, FileOperation};
use wardian_policy::{Action, Decision, GuestPath, Limit, Location};

use super::{Denial, FileError, FileGuard};
use crate::ledger::{Attempt, Refusal, Stop, data};

/// A decision, on its way to the log and the outcome.
struct Decided<'a> {
    operation: FileOperation,
    path: &'a GuestPath,
    to: Option<&'a GuestPath>,
    allowed: bool,
    rule: String,
    location: Option<&'a Location>,
    reason: String,
}

impl<'a> Decided<'a> {
    fn new(operation: FileOperation, path: &'a GuestPath, decision: &Decision<'a>) -> Self {
        Self {
            operation,
            path,
            to: None,
            allowed: decision.allowed(),
            rule: decision.rule(),
            location: decision.location(),
            reason: decision.to_string(),
        }
    }
}

impl FileGuard {
    /// Records a decision of the policy.
    pub(super) async fn record_decision(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        decision: &Decision<'_>,
    ) -> Result<(), Stop> {
        if !self.context.recorder.is_on() && decision.allowed() {
            return Ok(());
        }
        self.record(Decided::new(operation, path, decision)).await
    }

    /// Records a decision about two paths, which may each be allowed but lie apart.
    pub(super) async fn record_pair(
        &self,
        operation: FileOperation,
        [from, to]: [&GuestPath; 2],
        decision: &Decision<'_>,
        apart: bool,
    ) -> Result<(), Stop> {
        let mut decided = Decided::new(operation, from, decision);
        decided.to = Some(to);
        if apart {
            decided.allowed = false;
            decided.reason = "the two paths are in different granted directories".to_owned();
        }
        self.record(decided).await
    }

    /// Records that a limit of the run was hit.
    pub(super) async fn record_limit(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        limit: Limit,
    ) -> Result<(), Stop> {
        let policy = &self.authority.policy;
        let max = limit.show(policy.limits().get(limit));
        self.record(Decided {
            operation,
            path,
            to: None,
            allowed: false,
            rule: limit.key().to_owned(),
            location: policy.location(limit.key()),
            reason: format!("{limit} is {max}"),
        })
        .await
    }

    /// Records that what lies at an allowed path is denied. Returns the denial.
    pub(super) async fn deny(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        reason: &str,
    ) -> Result<FileError, Stop> {
        let policy = &self.authority.policy;
        let decision = policy.check_path(Action::ReadFile, path.clone());
        let decided = Decided {
            allowed: false,
            reason: reason.to_owned(),
            ..Decided::new(operation, path, &decision)
        };
        self.record_denial(decided).await
    }

    /// Records a denial of what no policy allows. Returns the denial.
    pub(super) async fn deny_always(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        reason: &str,
    ) -> Result<FileError, Stop> {
        self.record_denial(Decided {
            operation,
            path,
            to: None,
            allowed: false,
            rule: "allowed_paths".to_owned(),
            location: None,
            reason: reason.to_owned(),
        })
        .await
    }

    async fn record_denial(&self, decided: Decided<'_>) -> Result<FileError, Stop> {
        let denial = Denial {
            rule: decided.rule.clone(),
            reason: decided.reason.clone(),
            hidden: false,
        };
        self.record(decided).await?;
        Ok(FileError::Denied(denial))
    }

    async fn record(&self, decided: Decided<'_>) -> Result<(), Stop> {
        let [path, to] = [Some(decided.path), decided.to].map(|path| path.map(ToString::to_string));
        let event = Event::File {
            operation: decided.operation,
            allowed: decided.allowed,
            rule: decided.rule.clone(),
        };
        let data = data(|data| {
            data.path.clone_from(&path);
            data.to.clone_from(&to);
            data.error = (!decided.allowed).then(|| decided.reason.clone());
        });
        self.context.recorder.record((event, data)).await?;
        if !decided.allowed {
            self.context.refusals.push(Refusal {
                attempt: Attempt::File {
                    operation: decided.operation,
                    path: path.unwrap_or_default(),
                    to,
                },
                rule: decided.rule,
                location: decided.location.cloned(),
                reason: decided.reason,
            });
        }
        Ok(())
    }
}
