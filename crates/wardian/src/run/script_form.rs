//! The JSON form of a script.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Script;

/// The version of this form.
const VERSION: u32 = 1;

/// A script with everything that is handed to it. Only the source is required.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Script")]
pub(crate) struct ScriptForm {
    /// The version of this form: 1, which is also taken where it is absent.
    #[serde(default = "version")]
    version: u32,
    /// Python source.
    source: String,
    /// Its name on the audit log: that of its file, for instance.
    #[serde(default)]
    name: Option<String>,
    /// The sources of modules that it brings along, by the names under which it imports them:
    /// `helper`, `package.part`. Packages that a dotted name goes through are there too.
    #[serde(default)]
    modules: BTreeMap<String, String>,
    /// `sys.argv[1:]`.
    #[serde(default)]
    args: Vec<String>,
    /// Global variables that are set before it starts. A value that JSON lacks is an object whose
    /// only key is a tag: `{"$float": "nan"}`, `{"$bytes": "AAEC"}`, `{"$decimal": "1.50"}`. A
    /// plain object that looks like one is written as `{"$object": {…}}`.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Variables in `os.environ`.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Standard input, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    /// Standard input in base64; not both of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin_base64: Option<String>,
    /// Files that are put into the working directory before it starts, in base64, by their paths in
    /// it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
    /// Set if the value is for a person: it comes back as its `repr`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    interactive: bool,
}

fn version() -> u32 {
    VERSION
}

/// A reason for which a form is not that of a script.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptFormError {
    #[error("`version` is {0}; this program reads version {VERSION}")]
    Version(u32),
    #[error("`stdin` and `stdin_base64` are both there; leave one out")]
    TwoInputs,
    #[error("`stdin_base64` is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("`files` has under {name:?} what is not base64: {error}")]
    File {
        name: String,
        error: base64::DecodeError,
    },
}

impl TryFrom<ScriptForm> for Script {
    type Error = ScriptFormError;

    fn try_from(form: ScriptForm) -> Result<Self, ScriptFormError> {
        if form.version != VERSION {
            return Err(ScriptFormError::Version(form.version));
        }
        let stdin = match (form.stdin, form.stdin_base64) {
            (text, None) => text.unwrap_or_default().into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64)?,
            (Some(_), Some(_)) => return Err(ScriptFormError::TwoInputs),
        };
        let files = form
            .files
            .into_iter()
            .map(|(name, base64)| match STANDARD.decode(base64) {
                Ok(bytes) => Ok((name, bytes)),
                Err(error) => Err(ScriptFormError::File { name, error }),
            });
        let script = Self {
            files: files.collect::<Result<_, _>>()?,
            source: form.source,
            name: form.name,
            args: form.args,
            inputs: form.inputs,
            env: form.env,
            stdin,
            interactive: form.interactive,
            ..Self::default()
        };
        let modules = form.modules.into_iter();
        Ok(modules.fold(script, |script, (name, source)| script.module(name, source)))
    }
}

impl From<Script> for ScriptForm {
    fn from(script: Script) -> Self {
        let modules = script.modules.into_iter();
        let (stdin, stdin_base64) = match String::from_utf8(script.stdin) {
            Ok(text) => ((!text.is_empty()).then_some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self {
            version: VERSION,
            source: script.source,
            name: script.name,
            modules: modules
                .map(|(name, module)| (name, module.source))
                .collect(),
            args: script.args,
            inputs: script.inputs,
            env: script.env,
            stdin,
            stdin_base64,
            files: script
                .files
                .into_iter()
                .map(|(name, bytes)| (name, STANDARD.encode(bytes)))
                .collect(),
            interactive: script.interactive,
        }
    }
}
