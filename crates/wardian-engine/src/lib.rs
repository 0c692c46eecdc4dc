//! The engine: RustPython compiled to WebAssembly, in wasmtime, inside this process.
//!
//! [`Engine`] loads the guest, [`Instance`] is one fresh copy of it, [`Host`] is everything that
//! the copy can reach. The engine keeps fuel, memory and output within their limits. It knows no
//! policy, no tool and no record.
//!
//! All `unsafe` code of the host is in `mapping/`.

mod engine;
mod entropy;
mod error;
mod fuel;
mod host;
mod instance;
mod mapping;
mod memory;
mod meter;
mod output;
mod state;
mod tool_import;
mod wasi;

pub use engine::{Engine, Guest};
pub use error::{EngineError, Exit, Trap};
pub use host::{
    CallRequest, Entropy, Entry, FileAccess, FileError, FileKind, Filesystem, Host, IO_BYTES, Open,
    OpenOptions, Position, ROOT, Stat, StopCause, SystemEntropy, Times, ToolCalls,
};
pub use instance::{EngineLimits, Instance, StartMemory, Streams};
pub use mapping::{
    FrozenMemory, GuestKind, MemoryImage, MemoryWriter, PAGE_BYTES, Pages, SavedMemory,
};
pub use output::{Capture, Output, Sending, Sink, Stream};

/// Versions and hashes of the guest that is linked in.
pub mod artifacts {
    pub use wardian_guest::{
        CODE_SHA256, IMAGE_SHA256, MODULE_SHA256, RUSTPYTHON_VERSION, WASMTIME_VERSION,
    };
}
