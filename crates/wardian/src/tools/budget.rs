//! The memory of the host that calls take: what is short enough to pass on, and what has to be
//! reserved.

use tokio::time::timeout;
use wardian_policy::Limit;

use super::arguments;
use super::error::{CallError, DeniedCall};
use crate::ledger::{Reservation, RunContext, TooMuch};

/// Checks that arguments of this length are short enough to pass on.
pub(super) fn check_length(context: &RunContext, bytes: usize) -> Result<(), DeniedCall> {
    let max = context.meters.max_tool_bytes;
    if bytes <= max {
        return Ok(());
    }
    let message = format!("the arguments take {bytes} bytes; at most {max} are passed on");
    let error = CallError::Value(message);
    Err(DeniedCall::new(Limit::ToolBytes.key(), error))
}

/// Returns the most that a reply takes of the host's memory: as the tool's own type, and as JSON.
pub(super) fn reply_bytes(context: &RunContext) -> u64 {
    2 * context.meters.max_tool_bytes as u64
}

/// Returns the most that a call with these arguments takes of the host's memory: their text twice,
/// three times what it is parsed to, and the reply.
pub(super) fn call_bytes(context: &RunContext, json: &str) -> u64 {
    let parsed = arguments::weight(json);
    2 * json.len() as u64 + 3 * parsed + reply_bytes(context)
}

/// Reserves memory of the host for a call, as soon as it is free.
pub(super) async fn reserve(context: &RunContext, bytes: u64) -> Result<Reservation, DeniedCall> {
    let reserving = context.meters.account.reserve(bytes);
    match timeout(context.meters.tool_wait, reserving).await {
        Ok(reserved) => reserved.map_err(|error| never_fits(bytes, error)),
        Err(_) => {
            let message = format!(
                "the call needs {bytes} bytes of the host's memory, which other calls have"
            );
            Err(no_memory(CallError::TimedOut(message)))
        }
    }
}

/// Reserves memory of the host for a call if it is free now; `None` if it is not.
pub(super) fn try_reserve(
    context: &RunContext,
    bytes: u64,
) -> Result<Option<Reservation>, DeniedCall> {
    let reserved = context.meters.account.try_reserve(bytes);
    reserved.map_err(|error| never_fits(bytes, error))
}

fn never_fits(bytes: u64, TooMuch { max_bytes }: TooMuch) -> DeniedCall {
    let message = format!(
        "the call needs {bytes} bytes of the host's memory; {} allows {max_bytes}: pass less at once",
        Limit::HostMemory
    );
    no_memory(CallError::Value(message))
}

fn no_memory(error: CallError) -> DeniedCall {
    DeniedCall::new(Limit::HostMemory.key(), error)
}
