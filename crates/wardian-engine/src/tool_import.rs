//! The guest's import for tools: calls start, are waited for, and their replies taken; and for what
//! it shows. What comes from the guest is checked here; which call is allowed is the host's
//! business.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use wardian_abi::{Display, export, tool};
use wasmtime::{Caller, Extern, Memory};

use crate::error::{malformed, stop};
use crate::fuel::price;
use crate::host::{CallRequest, Host, ToolCalls};
use crate::state::State;
use crate::wasi::trap;

/// Serves one operation of the import.
pub(crate) fn call<H: Host>(
    mut caller: Caller<'_, State<H>>,
    (operation, a, b): (u32, u32, u32),
) -> Box<dyn Future<Output = wasmtime::Result<u64>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Memory(memory)) = caller.get_export(export::MEMORY) else {
            return Err(malformed());
        };
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let price = match operation {
            tool::START => price::TOOL,
            tool::SHOW => price::CALL + price::BYTE * u64::from(b),
            _ => price::CALL,
        };
        let wasi = state.wasi();
        wasi.pay(price).await.map_err(trap)?;
        if operation == tool::SHOW {
            let display = Display::read(range(bytes, a, b as usize)?);
            wasi.host.show(display.map_err(|_| malformed())?).await;
            return Ok(0);
        }
        // A guest that was given no tools has nothing to say here.
        let calls = wasi.host.tools().ok_or_else(malformed)?;
        match operation {
            tool::START => {
                let len = b as usize;
                let request = if len > calls.max_call_bytes() {
                    CallRequest::TooLong(len)
                } else {
                    CallRequest::Json(range(bytes, a, len)?.to_vec())
                };
                calls.start(request).await.map(u64::from).map_err(stop)
            }
            tool::WAIT => {
                let waited = match b {
                    tool::FOREVER => calls.wait(a).await,
                    milliseconds => {
                        let max = Duration::from_millis(milliseconds.into());
                        timeout(max, calls.wait(a)).await.unwrap_or(Ok(None))
                    }
                };
                let len = calls.reply_bytes() as u64;
                let number = waited.map_err(stop)?;
                Ok(number.map_or(0, |number| u64::from(number) << 32 | len))
            }
            tool::TAKE => {
                let reply = calls.take();
                write_reply(memory, caller, a, &reply, b)
            }
            tool::CLOSE => {
                calls.close();
                Ok(0)
            }
            _ => Err(malformed()),
        }
    })
}

fn range(bytes: &[u8], at: u32, len: usize) -> wasmtime::Result<&[u8]> {
    let at = at as usize;
    let range = at.checked_add(len).and_then(|end| bytes.get(at..end));
    range.ok_or_else(malformed)
}

fn write_reply<H: Host>(
    memory: Memory,
    mut caller: Caller<'_, State<H>>,
    at: u32,
    reply: &[u8],
    len: u32,
) -> wasmtime::Result<u64> {
    if reply.len() != len as usize {
        return Err(malformed());
    }
    memory
        .write(&mut caller, at as usize, reply)
        .map_err(|_| malformed())?;
    Ok(u64::from(len))
}
