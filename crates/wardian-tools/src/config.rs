//! Configuration of a tool in a policy: `[tools.NAME.config]`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wardian::{Policy, policy::Location, tool::ToolDefinitionError};

/// The longest secret, in bytes.
const SECRET_BYTES: u64 = 64 << 10;

/// A mistake in a tool's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{key}: {reason}", location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default())]
#[non_exhaustive]
pub struct ConfigError {
    /// The key: `tools.send_email.config.from`.
    pub key: String,
    /// Its place, if the policy was read from a file.
    pub location: Option<Location>,
    /// The mistake, in one sentence.
    pub reason: String,
}

/// One tool's part of a policy.
#[derive(Clone, Copy)]
pub(crate) struct ToolConfig<'p> {
    pub(crate) policy: &'p Policy,
    pub(crate) tool: &'p str,
    /// Set if secrets are read, and not only named.
    pub(crate) with_secrets: bool,
}

impl ToolConfig<'_> {
    /// This key, or the nearest that is in the file, is wrong.
    pub(crate) fn wrong(self, key: &str, reason: impl Into<String>) -> ConfigError {
        let table = format!("tools.{}.config", self.tool);
        let key = match key {
            "" => table,
            key => format!("{table}.{key}"),
        };
        ConfigError {
            location: self.policy.nearest_location(&key).cloned(),
            key,
            reason: reason.into(),
        }
    }

    /// The tool can't be declared so.
    pub(crate) fn undeclared(self, error: ToolDefinitionError) -> ConfigError {
        self.wrong("", error.reason)
    }

    /// Reads the configuration, as the tool's own type.
    pub(crate) fn config<T: DeserializeOwned>(self) -> Result<T, ConfigError> {
        let rules = self.policy.tools().get(self.tool);
        let config = Value::Object(rules.map(|rules| rules.config.clone()).unwrap_or_default());
        serde_path_to_error::deserialize(config).map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." { "" } else { &path };
            self.wrong(key, error.inner().to_string())
        })
    }

    /// A secret, which is `key` of the configuration; nothing in its place if none are read.
    pub(crate) fn secret(self, source: &SecretSource, key: &str) -> Result<Secret, ConfigError> {
        if !self.with_secrets {
            return Ok(Secret(String::new()));
        }
        let text = match source {
            SecretSource::Env(name) => std::env::var(name).map_err(|_| {
                self.wrong(
                    key,
                    format!("the environment has no variable {name:?} that is text"),
                )
            })?,
            SecretSource::File(file) => {
                let cannot =
                    |error| self.wrong(key, format!("cannot read {}: {error}", file.display()));
                let mut text = String::new();
                let open = File::open(file).map_err(cannot)?;
                open.take(SECRET_BYTES + 1)
                    .read_to_string(&mut text)
                    .map_err(cannot)?;
                if text.len() as u64 > SECRET_BYTES {
                    let why = format!("{} is longer than {SECRET_BYTES} bytes", file.display());
                    return Err(self.wrong(key, why));
                }
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
        };
        if text.is_empty() {
            Err(self.wrong(key, "the secret is empty"))
        } else {
            Ok(Secret(text))
        }
    }
}

/// The source of a key or a password: a variable of the environment, or a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretSource {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "path" }`; the line end at its end does not belong to it.
    File(PathBuf),
}

impl SecretSource {
    /// The file that it is in, if it is in one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Env(_) => None,
        }
    }
}

/// A key or a password. It is not shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    #[cfg(feature = "postgres")]
    pub(crate) fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
