//! What a policy tells a tool: `[tools.NAME.config]`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wardian::{Policy, ToolDefinitionError};

/// The longest secret, in bytes.
const SECRET_BYTES: u64 = 64 << 10;

/// A tool can't be made of what a policy tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{key}: {why}", at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default())]
#[non_exhaustive]
pub struct ConfigError {
    /// The key: `tools.send_email.config.from`.
    pub key: String,
    /// Where it stands: file and line.
    pub at: Option<String>,
    /// What is wrong.
    pub why: String,
}

impl ConfigError {
    /// `key` of `tool`, or the nearest that is in the file, is wrong.
    pub(crate) fn new(policy: &Policy, tool: &str, key: &str, why: impl Into<String>) -> Self {
        let table = format!("tools.{tool}.config");
        let key = match key {
            "" => table,
            key => format!("{table}.{key}"),
        };
        let mut shorter = Some(key.as_str());
        let at = std::iter::from_fn(|| {
            let this = shorter?;
            shorter = this.rfind(['.', '[']).and_then(|end| this.get(..end));
            Some(this)
        })
        .find_map(|key| policy.location(key));
        Self {
            at: at.map(ToString::to_string),
            key,
            why: why.into(),
        }
    }

    pub(crate) fn declared(error: ToolDefinitionError) -> Self {
        Self {
            key: format!("tools.{}", error.tool),
            at: None,
            why: error.why,
        }
    }
}

/// What `policy` tells `tool`, as the tool's own type.
pub(crate) fn read<T: DeserializeOwned>(policy: &Policy, tool: &str) -> Result<T, ConfigError> {
    let config = policy.tools().get(tool).map(|rules| rules.config.clone());
    let config = Value::Object(config.unwrap_or_default());
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let key = if path == "." { "" } else { &path };
        ConfigError::new(policy, tool, key, error.inner().to_string())
    })
}

/// A path of a policy's, relative to the file in which it stands.
pub(crate) fn path(policy: &Policy, tool: &str, path: &Path) -> PathBuf {
    let file = policy.location(&format!("tools.{tool}"));
    let directory = file.and_then(|at| at.file.parent());
    directory.unwrap_or(Path::new("")).join(path)
}

/// Where a key or a password is: in a variable of the environment, or in a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretSource {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "path" }`; the line end at its end does not belong to it.
    File(PathBuf),
}

impl SecretSource {
    /// Reads it. `key` is what it is in the configuration of `tool`.
    pub(crate) fn read(
        &self,
        policy: &Policy,
        tool: &str,
        key: &str,
    ) -> Result<Secret, ConfigError> {
        let wrong = |why: String| ConfigError::new(policy, tool, key, why);
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| {
                wrong(format!(
                    "the environment has no variable {name:?} that is text"
                ))
            })?,
            Self::File(file) => {
                let file = path(policy, tool, file);
                let cannot = |error| wrong(format!("cannot read {}: {error}", file.display()));
                let mut text = String::new();
                let open = File::open(&file).map_err(cannot)?;
                open.take(SECRET_BYTES)
                    .read_to_string(&mut text)
                    .map_err(cannot)?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
        };
        match text.is_empty() {
            true => Err(wrong("the secret is empty".to_owned())),
            false => Ok(Secret(text)),
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
