//! Policies: permissions, directories, domains, limits, and the files that state them.
//!
//! Pure: no file system, no clock, no environment, no name server. [`Policy::check`] is the one
//! place that decides; whoever enforces asks it.
//!
//! ```
//! use wardian_policy::{Action, Policy, Source};
//!
//! let source = Source::text("policy.toml", r#"
//!     version = 1
//!     permissions = ["READ_FILE"]
//!     allowed_paths = ["/data/faq"]
//! "#);
//! let policy = Policy::parse(&source)?;
//! assert!(policy.check(Action::ReadFile, "/data/faq/guide.md").allowed());
//!
//! let refused = policy.check(Action::ReadFile, "/data/faq/../../etc/passwd");
//! assert!(!refused.allowed());
//! assert_eq!(refused.to_string(), "no entry of allowed_paths holds /etc/passwd");
//! # Ok::<(), wardian_policy::Problems>(())
//! ```

#![forbid(unsafe_code)]

mod action;
mod canonical;
mod decision;
mod domain;
mod file;
mod grant;
mod image;
mod limits;
mod location;
mod names;
mod narrowing;
mod packages;
mod path;
mod permission;
mod policy;
mod source_rules;
mod tool;

pub use action::{Action, UnclearName, UnknownAction};
pub use canonical::{CanonicalError, CanonicalPolicy};
pub use decision::Decision;
pub use domain::{DomainError, DomainRule, UrlError, decoded_url, parse_url};
pub use file::{Base, FILE_BYTES, Problem, Problems, nearest, schema};
pub use grant::{Access, Grant, GrantError, check_host};
pub use image::ImageFile;
pub use limits::{Allowance, Limit, LimitError, Limits, Unit};
pub use location::{Location, Source};
pub use names::{is_env_variable, is_identifier, is_tool_name};
pub use narrowing::{Widening, leaves};
pub use packages::{Packages, Wheel, WheelError};
pub use path::{GuestPath, PathError};
pub use permission::Permission;
pub use policy::Policy;
pub use source_rules::{Profile, SourceRules};
pub use tool::{Constraint, ToolRules};
pub use wardian_abi::{NameSet, ScreenRules};
