//! Loads the guest's machine code from where the kernel mapped it. The one file with `unsafe`.
//!
//! The code stands page-aligned in this executable's read-only data, and wasmtime runs it in
//! place: nothing is copied, nothing is written anywhere, and the pages are shared with every
//! other process that runs the same executable. A sealed memory file would cost a copy of
//! 60 MB in every process (about 25 ms), a cache on disk a directory to write and to trust.
//! Only the bytes that were linked in can be loaded; there is no path by which others could be.

#![expect(
    unsafe_code,
    reason = "machine code is trusted because this executable carries it"
)]

use std::ptr::NonNull;

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::{CustomCodeMemory, Engine, Module};

/// Makes a module of the guest's code.
///
/// At most one may exist in a process: wasmtime registers code by its address.
pub(crate) fn load(engine: &Engine) -> wasmtime::Result<Module> {
    // SAFETY: the bytes are what wasmtime's `precompile_module` returned in the build script of
    // `wardian-guest`. They are static, and in a mapping that is never writable.
    unsafe { Module::deserialize_raw(engine, NonNull::from(wardian_guest::CODE)) }
}

/// Makes the code executable where it stands.
pub(crate) struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, code: *const u8, len: usize) -> wasmtime::Result<()> {
        let flags = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: the pages hold the guest's code and, because the code's section is aligned to
        // pages on both ends, nothing else. They stay readable and do not become writable.
        unsafe { mprotect(code.cast_mut().cast(), len, flags) }?;
        Ok(())
    }

    fn unpublish_executable(&self, _code: *const u8, _len: usize) -> wasmtime::Result<()> {
        // The code is part of the executable and stays as it is until the process ends.
        Ok(())
    }
}
