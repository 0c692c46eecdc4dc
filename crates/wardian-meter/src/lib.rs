//! Counts fuel in WebAssembly.
//!
//! [`meter`] rewrites a module so that it counts down a global as it works, and calls the host when
//! that falls below zero. The host then stops it, or lets others run and gives it more.
//!
//! # Where it counts
//!
//! Fuel is there to bound work, and an exact count of instructions is not needed for that. Work
//! goes on without end only around a cycle: of a loop, or of the call graph. So there is a check
//!
//! - in the header of every loop,
//! - at the start of some functions, so many that no cycle of calls is without one.
//!
//! A function without a check is *bounded*: but for its loops, which pay for themselves, it takes
//! no longer than its longest path, with those of the bounded functions that it calls. Its price is
//! a part of its caller's. If that path is long, the function has a check all the same, so that a
//! caller who hardly ever calls it does not pay for it.
//!
//! A check takes off what the code up to the next one costs: an instruction costs 1, and where code
//! branches, every usual branch is as likely as the others. So a unit of fuel is an instruction on
//! average, on Python code within a third. It is never more than [`MOST_PER_FUEL`]: a check takes
//! off at least the longest path divided by that. Copies and fills of memory are paid for by the
//! byte, at once.
//!
//! What a check takes off is a constant. So the fuel that a run uses is a function of the path that
//! it takes through the code, hence of its inputs.
//!
//! # Calls through a table
//!
//! Any function in a table can be called wherever one of its type is: the call graph has all these
//! edges. Rust code is full of cycles of that kind through its panics, which format a message by
//! such calls. But what panics does not return; so the functions that never return are given checks
//! first, which cost nothing where nothing panics.
//!
//! # What holds this up
//!
//! [`verify`] reads a module that was metered, with none of the above at hand, and finds every loop
//! and every cycle of calls that has no check, and everything that touches the global in another
//! way. The build of the guest calls it for every artifact.

#![forbid(unsafe_code)]

mod calls;
mod cost;
mod read;
mod verify;
mod write;

pub use cost::MOST_PER_FUEL;
pub use verify::verify;
pub use write::{Metered, meter};

/// The source that decides what [`meter`] writes: for telling whether something metered is up to
/// date.
pub const SOURCE: &str = concat!(
    include_str!("lib.rs"),
    include_str!("calls.rs"),
    include_str!("cost.rs"),
    include_str!("read.rs"),
    include_str!("write.rs"),
);

/// A copy or fill of at most so many bytes, if their number is a constant, is an instruction like
/// others: wasmtime makes it without a call.
const SHORT_COPY: i32 = 128;
