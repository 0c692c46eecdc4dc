//! The calls of one run's guest: in flight, ended, and waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::value::RawValue;
use wardian_abi::{ToolCall, ToolReply, exact, tool};
use wardian_engine::{CallRequest, StopCause, ToolCalls};

use super::budget;
use super::error::{CallError, DeniedCall};
use super::gate::Gate;
use super::pending::{PendingCall, Returned};
use crate::ledger::{Reservation, RunContext};

/// The most bytes that a call takes beside its arguments: names, punctuation.
const FRAME_BYTES: usize = 256;

/// The calls of one run.
pub(crate) struct Calls {
    gate: Gate,
    context: Arc<RunContext>,
    started: u32,
    closed: bool,
    in_flight: FuturesUnordered<BoxFuture<'static, (u32, Result<Returned, CallError>)>>,
    /// Replies that nobody has waited for yet.
    ended: BTreeMap<u32, Reply>,
    /// The reply that was waited for last.
    waited_for: Reply,
}

/// A reply for the guest, and the host's memory that it takes.
#[derive(Default)]
struct Reply {
    bytes: Vec<u8>,
    _reservation: Option<Reservation>,
}

impl Calls {
    pub(crate) fn new(gate: Gate, context: Arc<RunContext>) -> Self {
        Self {
            gate,
            context,
            started: 0,
            closed: false,
            in_flight: FuturesUnordered::new(),
            ended: BTreeMap::new(),
            waited_for: Reply::default(),
        }
    }

    /// Reserves memory for a call. `None` if the guest has to wait for another call first.
    async fn reserve(&mut self, args: &str) -> Option<Result<Reservation, DeniedCall>> {
        let allowed = if self.closed {
            Err(after_the_end())
        } else {
            budget::check_length(&self.context, args.len())
        };
        if let Err(denied) = allowed {
            return Some(Err(denied));
        }
        let bytes = budget::call_bytes(&self.context, args);
        match budget::try_reserve(&self.context, bytes) {
            Ok(Some(reservation)) => Some(Ok(reservation)),
            // Other runs have it. What this run has reserved itself is for its guest to give back.
            Ok(None) if self.in_flight.is_empty() && self.ended.is_empty() => {
                Some(budget::reserve(&self.context, bytes).await)
            }
            Ok(None) => None,
            Err(denied) => Some(Err(denied)),
        }
    }
}

impl ToolCalls for Calls {
    fn max_call_bytes(&self) -> usize {
        self.context.meters.max_tool_bytes + FRAME_BYTES
    }

    async fn start(&mut self, request: CallRequest) -> Result<u32, StopCause> {
        if self.in_flight.len() + self.ended.len() >= tool::MAX_IN_FLIGHT {
            return Ok(0);
        }
        let started = match &request {
            CallRequest::Json(json) => {
                let ToolCall { tool, args } = ToolCall::read(json)?;
                let args = args.get();
                let Some(reserved) = self.reserve(args).await else {
                    return Ok(0);
                };
                let args = reserved.map(|reservation| (args, reservation));
                self.gate.start(&self.context, &tool, args).await
            }
            CallRequest::TooLong(bytes) => {
                let checked = budget::check_length(&self.context, *bytes);
                let denied = checked.err().unwrap_or_else(after_the_end);
                self.gate.start(&self.context, "", Err(denied)).await
            }
        };
        self.started += 1;
        let number = self.started;
        match started {
            Ok(pending) => {
                let finish = |pending: PendingCall| async move { (number, pending.finish().await) };
                self.in_flight.push(Box::pin(finish(pending)));
            }
            Err(error) => drop(self.ended.insert(number, reply(Err(error))?)),
        }
        Ok(number)
    }

    async fn wait(&mut self, number: u32) -> Result<Option<u32>, StopCause> {
        loop {
            let ended = match number {
                0 => self.ended.pop_first(),
                number => self.ended.remove_entry(&number),
            };
            if let Some((number, reply)) = ended {
                self.waited_for = reply;
                return Ok(Some(number));
            }
            let Some((number, ended)) = self.in_flight.next().await else {
                return Ok(None);
            };
            self.ended.insert(number, reply(ended)?);
        }
    }

    fn reply_bytes(&self) -> usize {
        self.waited_for.bytes.len()
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.waited_for).bytes
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

/// A denial because the script has ended: only what it has left behind can still call.
fn after_the_end() -> DeniedCall {
    let error = CallError::Denied {
        message: "the run is over".to_owned(),
        reason: "it was called after the script's end".to_owned(),
    };
    DeniedCall::new("run_finished", error)
}

/// Writes what the guest is told of a call, unless the run ends with it.
fn reply(ended: Result<Returned, CallError>) -> Result<Reply, StopCause> {
    let (reply, reservation) = match ended {
        Ok(Returned {
            reply,
            exact,
            reservation,
        }) => {
            let reply = if exact {
                reply
            } else {
                exact::escape_json(reply)
            };
            let returned = RawValue::from_string(reply).map(ToolReply::Returned)?;
            (returned, Some(reservation))
        }
        Err(error) => {
            let message = error.to_string();
            let error = error.failure()?;
            (ToolReply::Failed { message, error }, None)
        }
    };
    Ok(Reply {
        bytes: serde_json::to_vec(&reply)?,
        _reservation: reservation,
    })
}
