//! Tools that are ready to be granted: files, HTTP, databases, mail.
//!
//! Each has a feature, all of them on, and is configured by `[tools.NAME.config]` of a policy. What
//! they may do is the gate's to decide; here it is done, within the bounds that the configuration
//! sets. Keys and passwords are named in the policy, read by the host, and attached by the host.
//!
//! ```
//! use wardian::{Policy, Runtime, Sandbox, policy::Source};
//!
//! let policy = Policy::parse(&Source::text("policy.toml", r#"
//!     version = 1
//!     permissions = ["EXECUTE_CODE", "NETWORK_ACCESS"]
//!     allowed_domains = ["api.example.com"]
//!     [tools.http_request]
//!     max_calls = 20
//! "#))?;
//! let tools = wardian_tools::ready(&policy)?;
//! let sandbox = Sandbox::new(&Runtime::new()?, policy)?.with_tools(tools)?;
//! let outcome = sandbox.run_blocking("from wardian import tools\ntools.http_request('http://169.254.169.254/')")?;
//! assert!(outcome.stderr.text().contains("PermissionError"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

#[cfg_attr(
    not(all(feature = "http", feature = "mail", feature = "sqlite")),
    allow(dead_code, reason = "each tool uses a part of it")
)]
mod config;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mail")]
mod mail;
#[cfg(any(feature = "http", feature = "postgres"))]
mod tls;

use wardian::{Policy, Tool};

use config::ToolConfig;
pub use config::{ConfigError, Secret};
#[cfg(feature = "http")]
pub use http::{Resolver, http_request_with};

/// A maker of a tool, from its configuration.
type ToolFactory = fn(ToolConfig<'_>) -> Result<Tool, ConfigError>;

/// Every ready tool, by name.
const READY: &[(&str, ToolFactory)] = &[
    #[cfg(feature = "files")]
    ("read_file", files::read_file),
    #[cfg(feature = "files")]
    ("write_file", files::write_file),
    #[cfg(feature = "files")]
    ("list_dir", files::list_dir),
    #[cfg(feature = "http")]
    ("http_request", http::http_request),
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    ("db_query", database::db_query),
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    ("db_execute", database::db_execute),
    #[cfg(feature = "mail")]
    ("send_email", mail::send_email),
];

/// The names of the ready tools.
pub fn names() -> impl Iterator<Item = &'static str> {
    READY.iter().map(|(name, _)| *name)
}

/// Those ready tools that `policy` grants, configured as it says. Other tools that it grants are
/// somebody else's.
///
/// # Errors
///
/// [`ConfigError`] if a tool is told something that it does not understand, or a secret can't be
/// read.
///
/// # Security
///
/// Reads the secrets that the policy names, from the environment and from files, and keeps them as
/// long as the tools.
pub fn ready(policy: &Policy) -> Result<Vec<Tool>, ConfigError> {
    build_tools(policy, true).collect()
}

/// The same tools without a secret: enough to check what the policy tells them, to list them, and
/// to put a double in their places.
///
/// # Errors
///
/// As [`ready`], but for secrets.
pub fn declared(policy: &Policy) -> Result<Vec<Tool>, ConfigError> {
    build_tools(policy, false).collect()
}

/// The same tools, and what is wrong with the configurations of the others. `with_secrets`: whether
/// secrets are read, as [`ready`] does, or only named, as for [`declared`].
pub fn check(policy: &Policy, with_secrets: bool) -> (Vec<Tool>, Vec<ConfigError>) {
    let (mut tools, mut errors) = (Vec::new(), Vec::new());
    for made in build_tools(policy, with_secrets) {
        match made {
            Ok(tool) => tools.push(tool),
            Err(error) => errors.push(error),
        }
    }
    (tools, errors)
}

fn build_tools(
    policy: &Policy,
    with_secrets: bool,
) -> impl Iterator<Item = Result<Tool, ConfigError>> {
    let granted = READY
        .iter()
        .filter(|(name, _)| policy.tools().contains_key(*name));
    granted.map(move |(tool, make)| {
        make(ToolConfig {
            policy,
            tool,
            with_secrets,
        })
    })
}
