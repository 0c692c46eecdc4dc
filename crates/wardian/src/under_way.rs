//! A call whose tool works: until it returns, fails, panics, takes too long, or nobody waits any more.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wardian_audit::{Data, Event, REDACTED};

use crate::account::Reservation;
use crate::call_error::CallError;
use crate::on_record::Said;
use crate::session::{Session, data, micros};
use crate::tool::{Declared, ToolError, Worked};
use crate::{Refusal, Wish};

/// A call whose tool works.
pub(crate) struct Pending {
    under_way: UnderWay,
    /// When the tool began to work: after whoever had to approve of it.
    begun: Instant,
    working: Working<(Result<String, Ended>, Instant)>,
}

/// What is known of such a call.
pub(crate) struct UnderWay {
    pub(crate) call: u64,
    pub(crate) tool: Arc<Declared>,
    pub(crate) rule: String,
    pub(crate) resource: Vec<String>,
    pub(crate) session: Arc<Session>,
    pub(crate) started: Instant,
    /// The host's memory that it takes.
    pub(crate) reservation: Reservation,
}

/// What a tool has returned.
pub(crate) struct Returned {
    /// JSON; with [`exact`](wardian_abi::exact) values if the tool knows them.
    pub(crate) reply: String,
    pub(crate) exact: bool,
    pub(crate) reservation: Reservation,
}

/// Why a tool has returned nothing.
enum Ended {
    Failed(ToolError),
    Panicked(String),
    TimedOut(Duration),
    /// The run has ended before it did.
    Lost,
}

impl Pending {
    /// Waits for the tool, and records what has come of it.
    pub(crate) async fn finish(self) -> Result<Returned, CallError> {
        let Self {
            mut under_way,
            begun,
            mut working,
        } = self;
        let most = under_way.session.tool_wait();
        let left = most.saturating_sub(begun.elapsed());
        let (ended, at) = match timeout(left, &mut working).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => (Err(Ended::Lost), Instant::now()),
            Err(_) => (Err(Ended::TimedOut(most)), Instant::now()),
        };
        let ended = ended.map(|reply| hide(&reply, &under_way.tool.secrets));
        let (event, data) = under_way.end(&ended, at);
        under_way.session.note(event, data).await?;
        let reply = ended.map_err(|ended| under_way.error(ended))?;
        under_way.reservation.shrink_to(reply.len() as u64);
        Ok(Returned {
            reply,
            exact: under_way.tool.exact,
            reservation: under_way.reservation,
        })
    }
}

impl UnderWay {
    /// The record of its end, if it does not come to one.
    pub(crate) fn unfinished(&self) -> Said {
        self.end(&Err(Ended::Lost), self.started)
    }

    /// Lets the tool work: on the caller's thread if it never waits, else on `threads`.
    pub(crate) fn begin(self, threads: &Handle, work: BoxFuture<'static, Worked>) -> Pending {
        let begun = Instant::now();
        let mut working = Box::pin(AssertUnwindSafe(work).catch_unwind().map(|ended| {
            let ended = match ended {
                Ok(returned) => returned.map_err(Ended::Failed),
                Err(panic) => Err(Ended::Panicked(said(&*panic))),
            };
            (ended, Instant::now())
        }));
        let at_once = self.tool.at_once.then(|| (&mut working).now_or_never());
        let working = match at_once.flatten() {
            Some(ended) => Working::Done(Some(ended)),
            None => Working::On(threads.spawn(working)),
        };
        Pending {
            under_way: self,
            begun,
            working,
        }
    }

    /// What the caller is told.
    fn error(&self, ended: Ended) -> CallError {
        let name = &self.tool.name;
        match ended {
            Ended::Failed(ToolError::Failed(why)) => CallError::Failed(self.hidden(&why)),
            Ended::Failed(ToolError::TimedOut(why)) => CallError::TimedOut(self.hidden(&why)),
            Ended::Failed(ToolError::Argument { argument, message }) => {
                CallError::Value(self.hidden(&format!("{name}: argument `{argument}`: {message}")))
            }
            Ended::Failed(ToolError::Refused {
                resource,
                rule,
                reason,
                told,
            }) => {
                let reason = self.hidden(&reason);
                self.session.refuse(Refusal {
                    wish: Wish::Tool {
                        tool: name.clone(),
                        resource: self.hidden(&resource),
                    },
                    location: None,
                    rule,
                    reason: reason.clone(),
                });
                match told {
                    Some(message) => CallError::Refused { message, reason },
                    None => CallError::insufficient(name, self.tool.action, reason),
                }
            }
            // What a panic says is for the record alone.
            Ended::Panicked(_) => CallError::Failed(format!("{name} failed unexpectedly")),
            Ended::Lost => CallError::Failed(format!("{name} was stopped")),
            Ended::TimedOut(after) => {
                let after = humantime::format_duration(after);
                CallError::TimedOut(format!("{name} took longer than {after}"))
            }
        }
    }

    fn hidden(&self, text: &str) -> String {
        hide(text, &self.tool.secrets)
    }

    /// What is recorded of the end.
    fn end(&self, ended: &Result<String, Ended>, at: Instant) -> (Event, Data) {
        let mut resource = self.resource.clone();
        let (mut rule, mut allowed) = (self.rule.clone(), true);
        let error = match ended {
            Ok(_) => None,
            Err(Ended::Failed(ToolError::Failed(why) | ToolError::TimedOut(why))) => {
                Some(why.clone())
            }
            Err(Ended::Failed(ToolError::Argument { argument, message })) => {
                Some(format!("argument `{argument}`: {message}"))
            }
            Err(Ended::Failed(ToolError::Refused {
                resource: other,
                rule: decided,
                reason,
                ..
            })) => {
                allowed = false;
                rule.clone_from(decided);
                if !other.is_empty() {
                    resource = vec![self.hidden(other)];
                }
                Some(reason.clone())
            }
            Err(Ended::Panicked(said)) => Some(format!("it panicked: {said}")),
            Err(Ended::TimedOut(_)) => Some("it took too long".to_owned()),
            Err(Ended::Lost) => Some("the run ended before it did".to_owned()),
        };
        let event = Event::ToolFinished {
            call: self.call,
            tool: Some(self.tool.name.clone()),
            action: Some(self.tool.action.to_string()),
            allowed,
            rule,
            success: ended.is_ok(),
            duration_us: micros(at.saturating_duration_since(self.started)),
            reply_bytes: ended.as_ref().map_or(0, |reply| reply.len() as u64),
        };
        let said = data(|data| {
            data.resource = resource;
            data.error = error.map(|error| self.hidden(&error));
        });
        (event, said)
    }
}

/// Work on another thread, which is given up with this; or what it has come to already.
pub(crate) enum Working<T> {
    On(JoinHandle<T>),
    Done(Option<T>),
}

impl<T: Unpin> Future for Working<T> {
    type Output = Result<T, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::On(handle) => handle.poll_unpin(context).map_err(drop),
            Self::Done(ended) => Poll::Ready(ended.take().ok_or(())),
        }
    }
}

impl<T> Drop for Working<T> {
    fn drop(&mut self) {
        if let Self::On(handle) = self {
            handle.abort();
        }
    }
}

/// `text` without the secrets in it, also where they are written as JSON.
pub(crate) fn hide(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
        let escaped = Value::from(secret.as_str()).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != secret && text.contains(escaped) {
            text = text.replace(escaped, REDACTED);
        }
    }
    text
}

pub(crate) fn hide_in(value: &mut Value, secrets: &[String]) {
    match value {
        _ if secrets.is_empty() => {}
        Value::String(text) => *text = hide(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_in(item, secrets)),
        Value::Object(items) => items.values_mut().for_each(|item| hide_in(item, secrets)),
        _ => {}
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}
