//! Keeps what was refused, and tells the audit what was decided.

use std::sync::Arc;

use wardian_policy::{Action, Decision, GuestPath, Limit, Location, Policy};
use wasmtime_wasi::p1::types::Error;

use crate::audit::{Audit, Event, FileAccess};
use crate::{FileOperation, Refusals};

/// How many refusals an outcome holds.
const REFUSALS: usize = 32;

/// What one run was allowed and refused.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) run_id: String,
    pub(crate) agent: String,
    pub(crate) audit: Option<Arc<dyn Audit>>,
    pub(crate) refusals: Refusals,
}

/// The audit could not take note of something.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AuditFailed(pub(crate) String);

impl Recorder {
    pub(super) fn decided(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        decision: &Decision<'_>,
    ) -> Result<(), Error> {
        if self.audit.is_none() && decision.allowed() {
            return Ok(());
        }
        self.record(answer(operation, path, decision))
    }

    /// A decision about two paths, which may each be allowed but lie apart.
    pub(super) fn between(
        &mut self,
        operation: FileOperation,
        [from, to]: [&GuestPath; 2],
        decision: &Decision<'_>,
        apart: bool,
    ) -> Result<(), Error> {
        let mut access = answer(operation, from, decision);
        access.to = Some(to.to_string());
        if apart {
            access.allowed = false;
            access.reason = "the two paths are in different granted directories".to_owned();
        }
        self.record(access)
    }

    /// A limit of the run was hit.
    pub(super) fn limited(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        limit: Limit,
        policy: &Policy,
    ) -> Result<(), Error> {
        let most = limit.show(policy.limits().get(limit));
        self.refuse(
            operation,
            path,
            limit.key().to_owned(),
            policy.location(limit.key()),
            format!("{limit} is {most}"),
        )
    }

    /// The path was allowed, what is there is not.
    pub(super) fn stopped(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        reason: &str,
        policy: &Policy,
    ) -> Result<(), Error> {
        let decision = policy.check_path(Action::ReadFile, path.clone());
        self.refuse(
            operation,
            path,
            decision.rule(),
            decision.location(),
            reason.to_owned(),
        )
    }

    pub(super) fn refuse(
        &mut self,
        operation: FileOperation,
        path: &GuestPath,
        rule: String,
        location: Option<&Location>,
        reason: String,
    ) -> Result<(), Error> {
        self.record(FileAccess {
            operation,
            path: path.to_string(),
            to: None,
            allowed: false,
            rule,
            location: location.cloned(),
            reason,
        })
    }

    fn record(&mut self, access: FileAccess) -> Result<(), Error> {
        if let Some(audit) = &self.audit {
            let event = Event {
                run_id: &self.run_id,
                agent: &self.agent,
                access: &access,
            };
            let failed = |error: std::io::Error| AuditFailed(error.to_string());
            audit
                .record(&event)
                .map_err(|error| Error::trap(wasmtime::Error::new(failed(error))))?;
        }
        if !access.allowed {
            self.refusals.count += 1;
            let first = &mut self.refusals.first;
            if first.len() < REFUSALS && !first.contains(&access) {
                first.push(access);
            }
        }
        Ok(())
    }
}

fn answer(operation: FileOperation, path: &GuestPath, decision: &Decision<'_>) -> FileAccess {
    FileAccess {
        operation,
        path: path.to_string(),
        to: None,
        allowed: decision.allowed(),
        rule: decision.rule(),
        location: decision.location().cloned(),
        reason: decision.to_string(),
    }
}
