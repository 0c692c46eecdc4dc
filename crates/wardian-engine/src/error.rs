//! The ends of a guest's function that are not its return, and the failures of the host.

use std::fmt;

use wardian_abi::Malformed;
use wasmtime_wasi::I32Exit;

use crate::host::StopCause;

/// A failure of the host: the engine can't be set up, or has no room for an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(String);

impl EngineError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

impl From<std::io::Error> for EngineError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The end of a guest that did not return.
#[derive(Debug)]
#[non_exhaustive]
pub enum Exit {
    /// It called WASI's `proc_exit`.
    Exited {
        /// The status that it gave.
        status: i32,
    },
    /// Its fuel was used up.
    OutOfFuel,
    /// It aborted because its memory could not grow.
    OutOfMemory {
        /// The size that it asked for, in bytes.
        asked_bytes: usize,
    },
    /// It has broken the protocol between guest and host: it is not to be trusted any more.
    Malformed,
    /// It trapped.
    Trap(Trap),
    /// A host function ended it.
    Stopped(StopCause),
}

/// A trap of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// Calls nested too deeply.
    StackOverflow,
    /// It aborted itself: a panic.
    Unreachable,
    /// It touched memory that is not there.
    OutOfBounds,
    /// A host function refused what it was asked for.
    HostCall,
    /// Any other.
    Other,
}

impl Exit {
    /// Reads wasmtime's error. `refused_bytes` is the size to which memory could not grow, if that
    /// was just now.
    pub(crate) fn of(error: wasmtime::Error, refused_bytes: Option<usize>) -> Self {
        let error = match error.downcast::<Stopped>() {
            Ok(Stopped(cause)) if cause.is::<Malformed>() => return Self::Malformed,
            Ok(Stopped(cause)) => return Self::Stopped(cause),
            Err(error) => error,
        };
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exited { status: exit.0 };
        }
        if error.is::<Malformed>() {
            return Self::Malformed;
        }
        Self::Trap(match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::OutOfFuel) => return Self::OutOfFuel,
            Some(wasmtime::Trap::UnreachableCodeReached) => match refused_bytes {
                // The guest aborts when an allocation fails that Python can't raise an error for.
                Some(asked_bytes) => return Self::OutOfMemory { asked_bytes },
                None => Trap::Unreachable,
            },
            Some(wasmtime::Trap::StackOverflow) => Trap::StackOverflow,
            Some(wasmtime::Trap::MemoryOutOfBounds) => Trap::OutOfBounds,
            Some(_) => Trap::Other,
            None => Trap::HostCall,
        })
    }
}

/// A [`StopCause`] on its way through wasmtime.
#[derive(Debug)]
struct Stopped(StopCause);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Stopped {}

/// Wraps a reason to end the run, for wasmtime to carry.
pub(crate) fn stop(cause: StopCause) -> wasmtime::Error {
    wasmtime::Error::new(Stopped(cause))
}

/// An error that says that the guest has broken the protocol.
pub(crate) fn malformed() -> wasmtime::Error {
    wasmtime::Error::new(Malformed)
}
