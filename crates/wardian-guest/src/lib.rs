//! The Python guest, ready to run: RustPython on wasm, compiled to machine code for this target,
//! and an image of its memory with the interpreter already up.
//!
//! This crate builds the guest and hands out its bytes; it knows nothing of how they are run.
//! Both stand page-aligned in the executable's read-only data. So a host can run the code where
//! the kernel mapped it, and map the image from the executable's own file, without a copy or a
//! writable directory.

#![forbid(unsafe_code)]

/// The machine code, in wasmtime's format, aligned to a page.
///
/// Only a wasmtime of the version and settings that made it loads it.
pub static CODE: &[u8] = {
    static PAGES: &PageAligned<[u8]> = &PageAligned(*include_bytes!(env!("WARDIAN_GUEST_CODE")));
    &PAGES.0
};

/// The memory of a fresh instance, from address 0: whole pages, aligned to a page.
/// Memory beyond it is zero.
///
/// The module itself has no data segments. Without the image it does nothing but crash.
pub static IMAGE: &[u8] = {
    static PAGES: &PageAligned<[u8]> = &PageAligned(*include_bytes!(env!("WARDIAN_GUEST_IMAGE")));
    &PAGES.0
};

/// The machine code of another guest, which makes the system calls that its source tells it to
/// make: for testing what stands between a guest and the host. Made and aligned as [`CODE`], and
/// starts in the same memory.
#[cfg(feature = "hostile")]
pub static HOSTILE: &[u8] = {
    static PAGES: &PageAligned<[u8]> = &PageAligned(*include_bytes!(env!("WARDIAN_GUEST_HOSTILE")));
    &PAGES.0
};

/// SHA-256 of [`CODE`], in hex.
pub const CODE_SHA256: &str = env!("WARDIAN_GUEST_CODE_SHA256");

/// SHA-256 of [`IMAGE`], in hex.
pub const IMAGE_SHA256: &str = env!("WARDIAN_GUEST_IMAGE_SHA256");

/// SHA-256 of the wasm module that [`CODE`] was compiled from, in hex.
pub const MODULE_SHA256: &str = env!("WARDIAN_GUEST_MODULE_SHA256");

/// SHA-256 of the sources that the guest was built from, in hex.
pub const SOURCES_SHA256: &str = env!("WARDIAN_GUEST_SOURCES_SHA256");

/// The version of RustPython inside.
pub const RUSTPYTHON_VERSION: &str = env!("WARDIAN_GUEST_RUSTPYTHON");

/// The version of wasmtime that compiled [`CODE`], and has to run it.
pub const WASMTIME_VERSION: &str = env!("WARDIAN_GUEST_WASMTIME");

#[repr(C, align(4096))]
struct PageAligned<Bytes: ?Sized>(Bytes);
