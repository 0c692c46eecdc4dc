//! An in-flight call: from the dispatch to its tool to completion, failure, panic, timeout or
//! cancellation.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wardian_audit::Event;

use super::error::{CallError, ToolError};
use super::secrets::redact;
use super::tool::{Declaration, HandlerFuture};
use crate::ledger::{Attempt, Entry, Refusal, Reservation, RunContext, data, micros};

/// A call whose tool is at work.
pub(super) struct PendingCall {
    call: InFlightCall,
    /// The time at which the tool began to work: after whoever had to approve.
    begun: Instant,
    task: Task<(Result<String, CallFailure>, Instant)>,
}

/// The facts of an in-flight call.
pub(super) struct InFlightCall {
    pub(super) number: u64,
    pub(super) tool: Arc<Declaration>,
    pub(super) rule: String,
    pub(super) resource: Vec<String>,
    pub(super) context: Arc<RunContext>,
    pub(super) started: Instant,
    /// The host's memory that it takes.
    pub(super) reservation: Reservation,
}

/// A tool's reply.
pub(super) struct Returned {
    /// JSON; with [`exact`](wardian_abi::exact) values if the tool knows them.
    pub(super) reply: String,
    pub(super) exact: bool,
    pub(super) reservation: Reservation,
}

/// A reason for which a tool has returned nothing.
enum CallFailure {
    Failed(ToolError),
    Panicked(String),
    TimedOut(Duration),
    /// The run has ended before it did.
    Cancelled,
}

impl PendingCall {
    /// Waits for the tool, and records the end.
    pub(super) async fn finish(self) -> Result<Returned, CallError> {
        let Self {
            mut call,
            begun,
            mut task,
        } = self;
        let max = call.context.meters.tool_wait;
        let left = max.saturating_sub(begun.elapsed());
        let (ended, at) = match timeout(left, &mut task).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => (Err(CallFailure::Cancelled), Instant::now()),
            Err(_) => (Err(CallFailure::TimedOut(max)), Instant::now()),
        };
        let ended = ended.map(|reply| redact(&reply, &call.tool.secrets));
        let record = call.end_record(&ended, at);
        call.context.recorder.record(record).await?;
        let reply = ended.map_err(|failure| call.call_error(failure))?;
        call.reservation.shrink_to(reply.len() as u64);
        Ok(Returned {
            reply,
            exact: call.tool.exact,
            reservation: call.reservation,
        })
    }
}

impl InFlightCall {
    /// Makes the record of its end, for the case that it does not come to one.
    pub(super) fn cancelled_record(&self) -> Entry {
        self.end_record(&Err(CallFailure::Cancelled), self.started)
    }

    /// Dispatches the call: on the caller's thread if the tool never waits, else on `threads`.
    pub(super) fn dispatch(self, threads: &Handle, work: HandlerFuture) -> PendingCall {
        let begun = Instant::now();
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind().map(|ended| {
            let ended = match ended {
                Ok(returned) => returned.map_err(CallFailure::Failed),
                Err(panic) => Err(CallFailure::Panicked(panic_message(&*panic))),
            };
            (ended, Instant::now())
        }));
        let done = self.tool.inline.then(|| (&mut work).now_or_never());
        let task = match done.flatten() {
            Some(ended) => Task::Done(Some(ended)),
            None => Task::Spawned(threads.spawn(work)),
        };
        PendingCall {
            call: self,
            begun,
            task,
        }
    }

    /// Makes of a failure what the caller is told.
    fn call_error(&self, failure: CallFailure) -> CallError {
        let name = &self.tool.name;
        match failure {
            CallFailure::Failed(ToolError::Failed(reason)) => {
                CallError::Failed(self.redact(&reason))
            }
            CallFailure::Failed(ToolError::TimedOut(reason)) => {
                CallError::TimedOut(self.redact(&reason))
            }
            CallFailure::Failed(ToolError::Argument { argument, message }) => {
                CallError::Value(self.redact(&format!("{name}: argument `{argument}`: {message}")))
            }
            CallFailure::Failed(ToolError::Denied {
                resource,
                rule,
                reason,
                message,
            }) => {
                let reason = self.redact(&reason);
                self.context.refusals.push(Refusal {
                    attempt: Attempt::Tool {
                        tool: name.clone(),
                        resource: self.redact(&resource),
                    },
                    location: None,
                    rule,
                    reason: reason.clone(),
                });
                match message {
                    Some(message) => CallError::Denied { message, reason },
                    None => CallError::insufficient(name, self.tool.action, reason),
                }
            }
            // The text of a panic is for the record alone.
            CallFailure::Panicked(_) => CallError::Failed(format!("{name} failed unexpectedly")),
            CallFailure::Cancelled => CallError::Failed(format!("{name} was stopped")),
            CallFailure::TimedOut(after) => {
                let after = humantime::format_duration(after);
                CallError::TimedOut(format!("{name} took longer than {after}"))
            }
        }
    }

    fn redact(&self, text: &str) -> String {
        redact(text, &self.tool.secrets)
    }

    fn end_record(&self, ended: &Result<String, CallFailure>, at: Instant) -> Entry {
        let mut resource = self.resource.clone();
        let (mut rule, mut allowed) = (self.rule.clone(), true);
        let error = match ended {
            Ok(_) => None,
            Err(CallFailure::Failed(ToolError::Failed(reason) | ToolError::TimedOut(reason))) => {
                Some(reason.clone())
            }
            Err(CallFailure::Failed(ToolError::Argument { argument, message })) => {
                Some(format!("argument `{argument}`: {message}"))
            }
            Err(CallFailure::Failed(ToolError::Denied {
                resource: other,
                rule: decided,
                reason,
                ..
            })) => {
                allowed = false;
                rule.clone_from(decided);
                if !other.is_empty() {
                    resource = vec![self.redact(other)];
                }
                Some(reason.clone())
            }
            Err(CallFailure::Panicked(message)) => Some(format!("it panicked: {message}")),
            Err(CallFailure::TimedOut(_)) => Some("it took too long".to_owned()),
            Err(CallFailure::Cancelled) => Some("the run ended before it did".to_owned()),
        };
        let event = Event::ToolFinished {
            call: self.number,
            tool: Some(self.tool.name.clone()),
            action: Some(self.tool.action.to_string()),
            allowed,
            rule,
            success: ended.is_ok(),
            duration_us: micros(at.saturating_duration_since(self.started)),
            reply_bytes: ended.as_ref().map_or(0, |reply| reply.len() as u64),
        };
        let data = data(|data| {
            data.resource = resource;
            data.error = error.map(|error| self.redact(&error));
        });
        (event, data)
    }
}

/// Work on another thread, which is cancelled when this is dropped; or its result.
pub(super) enum Task<T> {
    Spawned(JoinHandle<T>),
    Done(Option<T>),
}

impl<T: Unpin> Future for Task<T> {
    type Output = Result<T, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Spawned(handle) => handle.poll_unpin(context).map_err(drop),
            Self::Done(result) => Poll::Ready(result.take().ok_or(())),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Self::Spawned(handle) = self {
            handle.abort();
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}
