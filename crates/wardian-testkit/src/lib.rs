//! Tests what a policy lets Python do: with scenarios and with assertions.
//!
//! A policy is tried out in a [`Fixture`]: the same rules, limits and profile, but directories
//! that are temporary, and tools that are doubles. So neither tests nor attacks touch what the
//! policy is about.
//!
//! ```
//! use serde_json::json;
//! use wardian::{Policy, policy::{Action, Source}};
//! use wardian_testkit::{Fixture, PolicyChecks};
//!
//! let policy = Policy::parse(&Source::text("policy.toml", r#"
//!     version = 1
//!     permissions = ["EXECUTE_CODE", "READ_FILE", "DATABASE_READ"]
//!     allowed_paths = [{ path = "/data", host = "/srv/data", access = "read" }]
//!     [tools.find_order]
//!     max_calls = 1
//! "#))?;
//!
//! // What the policy says:
//! policy.allows(Action::ReadFile, "/data/x");
//! policy.denies(Action::ReadFile, "/data/../etc/passwd").by_rule("allowed_paths");
//!
//! // What a script gets:
//! let fixture = Fixture::new(policy)?
//!     .with_file("/data/orders.csv", "A-1\nA-2\n")?
//!     .with_double("find_order", Action::DbRead, &["order"], |_| Ok(json!("in the post")))?;
//! let ran = fixture.run("from wardian import tools\ntools.find_order(open('/data/orders.csv').readline())");
//! ran.completed().value(json!("in the post"));
//! assert_eq!(fixture.calls()[0].args, json!({ "order": "A-1\n" }));
//! fixture.run("open('/data/new', 'w')").raised("PermissionError").refused_by("permissions");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A scenario is the same as a folder, for people who write no Rust: [`scenario`]. What hostile
//! code gets under a policy is the subject of `wardian-attack`.

#![forbid(unsafe_code)]

mod canary;
mod checks;
mod doubles;
mod fixture;
mod run_result;
pub mod scenario;

pub use canary::Canary;
pub use checks::{Denied, PolicyChecks};
pub use doubles::Doubles;
pub use fixture::{Fixture, FixtureError, RecordedCall};
pub use run_result::RunResult;

use std::sync::OnceLock;

use wardian::Runtime;

/// The runtime that all tests of a process share, as all runs of a host do.
///
/// # Panics
///
/// If this machine can't run the guest.
#[expect(clippy::panic, reason = "a test without an engine has failed")]
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("{error}"),
    })
}
