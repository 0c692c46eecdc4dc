//! What may an agent do? Permissions and limits.
//!
//! Pure: no file system, no clock, no environment. The crate decides nothing by itself; the
//! engine asks it.

#![forbid(unsafe_code)]

mod limits;
mod permission;
mod policy;

pub use limits::{Allowance, LimitError, Limits};
pub use permission::Permission;
pub use policy::Policy;
