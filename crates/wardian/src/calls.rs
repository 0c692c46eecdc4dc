//! The guest's import for tools: calls start, are waited for, and their replies taken. Everything
//! that comes from the guest is checked here; what may be called is the gate's business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::value::RawValue;
use tokio::time::timeout;
use wardian_abi::{Malformed, ToolCall, ToolReply, exact, export, tool};
use wasmtime::{Caller, Extern, Memory};

use crate::Gate;
use crate::account::Reservation;
use crate::call_error::{CallError, Refused};
use crate::files::trap;
use crate::fuel::price;
use crate::guest::RunState;
use crate::session::Session;
use crate::under_way::{Pending, Returned};

/// What a call is longer than its arguments by, at most: names, punctuation.
const FRAME_BYTES: usize = 256;

/// The calls of one run.
pub(crate) struct Calls {
    gate: Gate,
    session: Arc<Session>,
    started: u32,
    closed: bool,
    working: FuturesUnordered<BoxFuture<'static, (u32, Result<Returned, CallError>)>>,
    /// Replies that nobody has waited for yet.
    ended: BTreeMap<u32, Reply>,
    /// The reply that was waited for last.
    waited_for: Reply,
}

/// A reply for the guest, and what it takes of the host's memory.
#[derive(Default)]
struct Reply {
    bytes: Vec<u8>,
    _reservation: Option<Reservation>,
}

impl Calls {
    pub(crate) fn new(gate: Gate, session: Arc<Session>) -> Self {
        Self {
            gate,
            session,
            started: 0,
            closed: false,
            working: FuturesUnordered::new(),
            ended: BTreeMap::new(),
            waited_for: Reply::default(),
        }
    }

    /// Starts the call that is written in `request`, which is only a length if it is too long. 0 if the guest has to wait
    /// for another before.
    async fn start(&mut self, request: Result<Vec<u8>, usize>) -> wasmtime::Result<u32> {
        if self.working.len() + self.ended.len() >= tool::UNDER_WAY {
            return Ok(0);
        }
        // Else what has been reserved is for the guest to give back.
        let may_wait = self.working.is_empty() && self.ended.is_empty();
        let started = match &request {
            Ok(request) => {
                let ToolCall { tool, args } = ToolCall::read(request)?;
                let args = args.get();
                let allowed = match self.closed {
                    true => Err(over()),
                    false => self.session.fits(args.len()),
                };
                let reserved = match allowed {
                    Ok(()) => match reserve(&self.session, args, may_wait).await {
                        Some(reserved) => reserved.map(|reservation| (args, reservation)),
                        None => return Ok(0),
                    },
                    Err(refused) => Err(refused),
                };
                self.gate.start(&self.session, &tool, reserved).await
            }
            Err(bytes) => {
                let error = self.session.fits(*bytes).err().unwrap_or_else(over);
                self.gate.start(&self.session, "", Err(error)).await
            }
        };
        self.started += 1;
        let number = self.started;
        match started {
            Ok(pending) => {
                let finish = |pending: Pending| async move { (number, pending.finish().await) };
                self.working.push(Box::pin(finish(pending)));
            }
            Err(error) => drop(self.ended.insert(number, reply(Err(error))?)),
        }
        Ok(number)
    }

    /// Waits for a call, or for any; `None` if there is none.
    async fn wait(&mut self, number: u32) -> wasmtime::Result<Option<u32>> {
        loop {
            let ended = match number {
                0 => self.ended.pop_first(),
                number => self.ended.remove_entry(&number),
            };
            if let Some((number, reply)) = ended {
                self.waited_for = reply;
                return Ok(Some(number));
            }
            let Some((number, ended)) = self.working.next().await else {
                return Ok(None);
            };
            self.ended.insert(number, reply(ended)?);
        }
    }
}

/// Reserves memory for a call. `None` if it has to be waited for, and may not be.
async fn reserve(
    session: &Session,
    args: &str,
    may_wait: bool,
) -> Option<Result<Reservation, Refused>> {
    let bytes = session.footprint(args);
    match session.account.try_reserve(bytes) {
        Ok(Some(reservation)) => Some(Ok(reservation)),
        Ok(None) if may_wait => Some(session.reserve(bytes).await),
        Ok(None) => None,
        Err(error) => Some(Err(session.too_much(bytes, error))),
    }
}

/// The script has ended: only what it has left behind can still call.
fn over() -> Refused {
    let error = CallError::Refused {
        message: "the run is over".to_owned(),
        reason: "it was called after the script's end".to_owned(),
    };
    Refused::by("run_finished", error)
}

/// What the guest is told of a call, unless the run ends with it.
fn reply(ended: Result<Returned, CallError>) -> wasmtime::Result<Reply> {
    let (reply, reservation) = match ended {
        Ok(Returned {
            reply,
            exact,
            reservation,
        }) => {
            let reply = match exact {
                true => reply,
                false => exact::escape_json(reply),
            };
            let returned = RawValue::from_string(reply).map(ToolReply::Returned)?;
            (returned, Some(reservation))
        }
        Err(error) => {
            let message = error.to_string();
            let error = error.failure().map_err(wasmtime::Error::new)?;
            (ToolReply::Failed { message, error }, None)
        }
    };
    Ok(Reply {
        bytes: serde_json::to_vec(&reply)?,
        _reservation: reservation,
    })
}

/// The import, for the linker.
pub(crate) fn host_function(
    mut caller: Caller<'_, RunState>,
    (operation, a, b): (u32, u32, u32),
) -> Box<dyn Future<Output = wasmtime::Result<u64>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Memory(memory)) = caller.get_export(export::MEMORY) else {
            return Err(wasmtime::Error::new(Malformed));
        };
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let price = match operation {
            tool::START => price::TOOL,
            _ => price::CALL,
        };
        state.wasi().pay(price).await.map_err(trap)?;
        // A guest that was given no tools has nothing to say here.
        let Some(calls) = state.calls() else {
            return Err(wasmtime::Error::new(Malformed));
        };
        match operation {
            tool::START => {
                let most = calls.session.most_bytes() + FRAME_BYTES;
                let request = match b as usize {
                    len if len > most => Err(len),
                    len => Ok(range(bytes, a, len)?.to_vec()),
                };
                calls.start(request).await.map(u64::from)
            }
            tool::WAIT => {
                let ended = match b {
                    tool::FOREVER => calls.wait(a).await?,
                    milliseconds => {
                        let most = Duration::from_millis(milliseconds.into());
                        timeout(most, calls.wait(a)).await.unwrap_or(Ok(None))?
                    }
                };
                let len = calls.waited_for.bytes.len() as u64;
                Ok(ended.map_or(0, |number| u64::from(number) << 32 | len))
            }
            tool::TAKE => {
                let reply = std::mem::take(&mut calls.waited_for);
                take(memory, caller, a, &reply.bytes, b)
            }
            tool::CLOSE => {
                calls.closed = true;
                Ok(0)
            }
            _ => Err(wasmtime::Error::new(Malformed)),
        }
    })
}

fn range(bytes: &[u8], at: u32, len: usize) -> wasmtime::Result<&[u8]> {
    let at = at as usize;
    let range = at.checked_add(len).and_then(|end| bytes.get(at..end));
    range.ok_or_else(|| wasmtime::Error::new(Malformed))
}

fn take(
    memory: Memory,
    mut caller: Caller<'_, RunState>,
    at: u32,
    reply: &[u8],
    len: u32,
) -> wasmtime::Result<u64> {
    if reply.len() != len as usize {
        return Err(wasmtime::Error::new(Malformed));
    }
    memory
        .write(&mut caller, at as usize, reply)
        .map_err(|_| wasmtime::Error::new(Malformed))?;
    Ok(u64::from(len))
}
