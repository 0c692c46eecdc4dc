//! The ledger of a run: what it has used, what it was denied, and its part of the audit log.

mod account;
mod approval_clock;
mod context;
mod displays;
mod events;
mod meter;
mod meters;
mod recorder;
mod refusal;
mod stop;

pub(crate) use account::{Account, Reservation, TooMuch};
pub(crate) use approval_clock::ApprovalClock;
pub(crate) use context::{EndGuard, RunContext, ScriptRecord};
pub(crate) use displays::Displays;
pub(crate) use events::EventSender;
pub use events::RunEvent;
pub(crate) use meter::{Meter, Taken};
pub(crate) use meters::Meters;
pub(crate) use recorder::{Entry, Recorder, RunName, data, micros};
pub(crate) use refusal::RefusalList;
pub use refusal::{Attempt, Refusal, Refusals};
pub(crate) use stop::Stop;
