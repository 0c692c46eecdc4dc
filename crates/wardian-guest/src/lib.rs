//! The Python guest, ready to run: RustPython on wasm, with the interpreter already up,
//! compiled to machine code for this target.
//!
//! This crate builds the guest and hands out its bytes; it knows nothing of how they are run.
//! The bytes stand page-aligned in the executable's read-only data. So a host can run them
//! where the kernel mapped them, without a copy, a file or a writable directory.

#![forbid(unsafe_code)]

/// The machine code of the snapshot, in wasmtime's format, aligned to a page.
///
/// Only a wasmtime of the version and settings that made it loads it.
pub static CODE: &[u8] = {
    static PAGES: &PageAligned<[u8]> = &PageAligned(*include_bytes!(env!("WARDIAN_GUEST_CODE")));
    &PAGES.0
};

/// SHA-256 of [`CODE`], in hex.
pub const CODE_SHA256: &str = env!("WARDIAN_GUEST_CODE_SHA256");

/// SHA-256 of the wasm module that [`CODE`] was compiled from, in hex.
pub const SNAPSHOT_SHA256: &str = env!("WARDIAN_GUEST_SNAPSHOT_SHA256");

/// The version of RustPython inside.
pub const RUSTPYTHON_VERSION: &str = env!("WARDIAN_GUEST_RUSTPYTHON");

#[repr(C, align(4096))]
struct PageAligned<Bytes: ?Sized>(Bytes);
