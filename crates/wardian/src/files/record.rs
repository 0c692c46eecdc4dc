//! What is recorded of a wish for a file, and of the answer.

use wardian_audit::Event;
use wardian_policy::{Action, Decision, GuestPath, Limit, Location, Policy};
use wasmtime_wasi::p1::types::Error;

use crate::session::{Session, data};
use crate::{FileOperation, Refusal, Wish};

/// An answer, on its way to the log and the outcome.
struct Answer<'a> {
    operation: FileOperation,
    path: &'a GuestPath,
    to: Option<&'a GuestPath>,
    allowed: bool,
    rule: String,
    location: Option<&'a Location>,
    reason: String,
}

impl Session {
    pub(super) async fn decided(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        decision: &Decision<'_>,
    ) -> Result<(), Error> {
        if !self.is_recorded() && decision.allowed() {
            return Ok(());
        }
        self.answered(answer(operation, path, decision)).await
    }

    /// A decision about two paths, which may each be allowed but lie apart.
    pub(super) async fn between(
        &self,
        operation: FileOperation,
        [from, to]: [&GuestPath; 2],
        decision: &Decision<'_>,
        apart: bool,
    ) -> Result<(), Error> {
        let mut answer = answer(operation, from, decision);
        answer.to = Some(to);
        if apart {
            answer.allowed = false;
            answer.reason = "the two paths are in different granted directories".to_owned();
        }
        self.answered(answer).await
    }

    /// A limit of the run was hit.
    pub(super) async fn limited(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        limit: Limit,
        policy: &Policy,
    ) -> Result<(), Error> {
        let most = limit.show(policy.limits().get(limit));
        self.answered(Answer {
            operation,
            path,
            to: None,
            allowed: false,
            rule: limit.key().to_owned(),
            location: policy.location(limit.key()),
            reason: format!("{limit} is {most}"),
        })
        .await
    }

    /// The path was allowed, what is there is not.
    pub(super) async fn stopped(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        reason: &str,
        policy: &Policy,
    ) -> Result<(), Error> {
        let decision = policy.check_path(Action::ReadFile, path.clone());
        self.answered(Answer {
            allowed: false,
            reason: reason.to_owned(),
            ..answer(operation, path, &decision)
        })
        .await
    }

    /// What no policy allows.
    pub(super) async fn never(
        &self,
        operation: FileOperation,
        path: &GuestPath,
        reason: &str,
    ) -> Result<(), Error> {
        self.answered(Answer {
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

    async fn answered(&self, answer: Answer<'_>) -> Result<(), Error> {
        let [path, to] = [Some(answer.path), answer.to].map(|path| path.map(ToString::to_string));
        let event = Event::File {
            operation: answer.operation,
            allowed: answer.allowed,
            rule: answer.rule.clone(),
        };
        let data = data(|data| {
            data.path.clone_from(&path);
            data.to.clone_from(&to);
            data.error = (!answer.allowed).then(|| answer.reason.clone());
        });
        let noted = self.note(event, data).await;
        noted.map_err(|stop| Error::trap(wasmtime::Error::new(stop)))?;
        if !answer.allowed {
            self.refuse(Refusal {
                wish: Wish::File {
                    operation: answer.operation,
                    path: path.unwrap_or_default(),
                    to,
                },
                rule: answer.rule,
                location: answer.location.cloned(),
                reason: answer.reason,
            });
        }
        Ok(())
    }
}

fn answer<'a>(
    operation: FileOperation,
    path: &'a GuestPath,
    decision: &Decision<'a>,
) -> Answer<'a> {
    Answer {
        operation,
        path,
        to: None,
        allowed: decision.allowed(),
        rule: decision.rule(),
        location: decision.location(),
        reason: decision.to_string(),
    }
}
