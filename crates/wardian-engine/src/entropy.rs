//! `random_get` of WASI, as the guest gets it: paid for, and with turns for other runs.

use std::future::Future;

use wardian_abi::export;
use wasmtime::{Caller, Extern};
use wasmtime_wasi::p1::types::{Errno, Error};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use crate::error::malformed;
use crate::fuel::price;
use crate::host::Host;
use crate::state::State;

/// The module from which WASI's functions are imported.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// `random_get`, which lets other runs have their turn.
pub(crate) fn random_get<H: Host>(
    mut caller: Caller<'_, State<H>>,
    (buffer, bytes): (u32, u32),
) -> Box<dyn Future<Output = wasmtime::Result<u32>> + Send + '_> {
    Box::new(async move {
        let Some(Extern::Memory(memory)) = caller.get_export(export::MEMORY) else {
            return Err(malformed());
        };
        let (memory, state) = memory.data_and_store_mut(&mut caller);
        let wasi = state.wasi();
        let price = price::CALL + price::RANDOM_BYTE * u64::from(bytes);
        let got = match wasi.pay(price).await {
            Ok(()) => {
                let mut memory = GuestMemory::Unshared(memory);
                WasiSnapshotPreview1::random_get(wasi, &mut memory, GuestPtr::new(buffer), bytes)
            }
            Err(error) => Err(error),
        };
        let errno = got.map_or_else(Error::downcast, |()| Ok(Errno::Success))?;
        Ok(errno as u32)
    })
}
