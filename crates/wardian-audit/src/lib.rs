//! The record: what agents wanted, what they were allowed and refused, and what came of it.
//!
//! A [`Log`] is a chain of records, one JSON object a line. Each holds the hash of the one before,
//! so that an edit, a deletion, a reordering or a cut shows; [`verify`] finds the first line that
//! is not as it was written.
//!
//! ```
//! use wardian_audit::{Data, Entry, Event, Log, verify};
//!
//! let (log, memory) = Log::memory();
//! let event = Event::Rejected { violations: 1 };
//! log.record(&Entry { run: "r1", session: None, agent: "analyst", event, data: Data::default() })?;
//! let verified = verify(memory.text().as_bytes())?;
//! assert_eq!(verified.records, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What decides and what is done is not known here: only what is written down of it.

#![forbid(unsafe_code)]

mod event;
mod file;
mod log;
mod record;
mod redact;
mod sink;
mod verify;

pub use event::{Args, Data, Entry, Event, FileOperation, SessionCall};
pub use file::{FileSink, Sync};
pub use log::Log;
pub use record::{Draft, Head, Record, VERSION, is_deceptive};
pub use redact::{REDACTED, redact};
pub use sink::{Chain, Memory, Sink, StderrSink, TracingSink};
pub use verify::{Broken, OpenCall, Verified, VerifyError, records, verify, verify_after};
pub use wardian_abi::sha256;
