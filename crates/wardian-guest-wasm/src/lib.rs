//! Python as WebAssembly: RustPython with our entry points, linked, and not yet started.
//!
//! It is built from `guest/`, which takes minutes. Where `WARDIAN_GUEST` names a file, that is
//! taken instead: a copy of [`PYTHON`] that somebody has built from the same sources. It is a part
//! of the program as these sources are, and to be had from somebody who is trusted as they are: the
//! build checks only that it says that it is of these sources.

#![forbid(unsafe_code)]

#[path = "../build/files.rs"]
pub mod files;
#[path = "../build/lock.rs"]
pub mod lock;
#[path = "../build/progress.rs"]
pub mod progress;

/// The path of the wasm module, which is there until the target directory is cleaned.
pub const PYTHON: &str = env!("WARDIAN_GUEST_PYTHON");

/// The path of the wasm module of the adversarial guest.
#[cfg(feature = "hostile")]
pub const HOSTILE: &str = env!("WARDIAN_GUEST_HOSTILE");

/// SHA-256 of the sources, in hex.
pub const SOURCES_SHA256: &str = env!("WARDIAN_GUEST_SOURCES_SHA256");

/// The version of RustPython inside.
pub const RUSTPYTHON_VERSION: &str = env!("WARDIAN_GUEST_RUSTPYTHON");

/// The directory for what is made of these modules: `guest` in cargo's target directory.
pub const WORK_DIRECTORY: &str = env!("WARDIAN_GUEST_WORK");
