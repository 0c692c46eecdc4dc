//! Events of the log, and the data that belongs to each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::redact;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The run. The host has named it.
    pub run: &'a str,
    /// The call of a session that the run is.
    pub session: Option<&'a SessionCall>,
    /// The agent of the policy.
    pub agent: &'a str,
    /// The event, in the host's own words.
    pub event: Event,
    /// The words of a script or a tool.
    pub data: Data,
}

/// A call of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionCall {
    /// The session.
    pub session: String,
    /// The number of the call in it, from 1.
    pub session_call: u32,
}

impl SessionCall {
    /// The call of this number in a session.
    pub fn new(session: impl Into<String>, number: u32) -> Self {
        Self {
            session: session.into(),
            session_call: number,
        }
    }
}

/// An event. Everything in here is the host's own: nothing that a script can choose but the
/// amounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run starts, or host code takes up tools.
    RunStarted {
        /// SHA-256 of the source, in hex; absent where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_sha256: Option<String>,
        /// The host's name for the script: its file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<String>,
        /// SHA-256 of the image that the script starts from, in hex; absent where there is none,
        /// and in a session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_sha256: Option<String>,
        /// The file that the policy was read from, as it was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
        /// The version of Wardian.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// SHA-256 of what the policy grants, in hex.
        policy_sha256: String,
        /// The limits by their keys: amounts, or `unlimited`.
        limits: BTreeMap<String, Value>,
    },
    /// The source breaks rules and is not run. [`Data::violations`] has the first of them.
    Rejected {
        /// The count of violations.
        violations: u64,
    },
    /// A script wants something of a file: [`Data::path`].
    File {
        /// The operation.
        operation: FileOperation,
        /// Set if it is allowed. An allowed operation can still fail.
        allowed: bool,
        /// The key of the policy that decided.
        rule: String,
    },
    /// A tool is about to do what it was called for. Durable before it does.
    ToolStarted {
        /// The number of the call in its run, from 1.
        call: u64,
        /// The tool.
        tool: String,
        /// The action that the tool declares.
        action: String,
        /// Always true: a call that is refused does not start.
        allowed: bool,
        /// The key of the policy that decided.
        rule: String,
        /// The name of whoever approved of it, if somebody had to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<String>,
    },
    /// A call has ended, or was refused.
    ToolFinished {
        /// The number of the call in its run, from 1.
        call: u64,
        /// The tool; absent where there is none of the name in [`Data::tool`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// The action that the tool declares.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
        /// Set if the call was allowed, by the policy before it started and by the tool's own
        /// checks after.
        allowed: bool,
        /// The key of the policy that decided; `arguments` if they are not the tool's.
        rule: String,
        /// Set if the tool has returned.
        success: bool,
        /// The time that it took, in microseconds, approval included.
        duration_us: u64,
        /// The size of its reply, in bytes of JSON.
        reply_bytes: u64,
    },
    /// A limit has stopped the run.
    Limit {
        /// The key of the limit.
        limit: String,
        /// The amount used, or asked for, in the limit's unit.
        used: u64,
        /// The amount that was allowed.
        max: u64,
        /// The line of the script that was running, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    },
    /// A run has ended. Without one, it goes on, or the process died.
    RunFinished {
        /// The verdict's name; `stopped` if the run has not come to one, because nobody waited any
        /// more or the host failed.
        verdict: String,
        /// The status of a script that has exited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<i32>,
        /// From its start, in microseconds.
        duration_us: u64,
        /// Wasm instructions.
        fuel: u64,
        /// Calls of tools, refused ones included.
        tool_calls: u64,
        /// The count of refusals.
        refusals: u64,
    },
}

impl Event {
    /// Its name in a record.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::Rejected { .. } => "rejected",
            Self::File { .. } => "file",
            Self::ToolStarted { .. } => "tool_started",
            Self::ToolFinished { .. } => "tool_finished",
            Self::Limit { .. } => "limit",
            Self::RunFinished { .. } => "run_finished",
        }
    }

    /// Returns whether something was allowed; `None` where nothing was asked for.
    pub const fn allowed(&self) -> Option<bool> {
        match self {
            Self::File { allowed, .. }
            | Self::ToolStarted { allowed, .. }
            | Self::ToolFinished { allowed, .. } => Some(*allowed),
            Self::Rejected { .. } => Some(false),
            Self::RunStarted { .. } | Self::Limit { .. } | Self::RunFinished { .. } => None,
        }
    }

    /// Must it be on the disk before anything else happens?
    pub(crate) const fn is_durable(&self) -> bool {
        matches!(self, Self::ToolStarted { .. } | Self::RunFinished { .. })
    }
}

/// The words of a script or a tool. Every character can stand in them; what looks like a secret is
/// replaced before it is written, and what is long is cut.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Data {
    /// A tool that a script has called and that there is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// A path, as the script sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The other path of a rename or a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The resources of a call: paths, URLs, names of databases, recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// The arguments of a call.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub args: Option<Args>,
    /// The reason for a refusal or a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rules that a source breaks: line, column, message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
}

/// The arguments of a call, as far as they are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Args {
    /// The arguments; the start of their JSON, as a string, if they are long.
    pub args: Value,
    /// The length of the arguments, in bytes of JSON.
    pub args_bytes: u64,
    /// SHA-256 of the JSON of all that is shown of them, in hex, to find the same arguments again.
    /// Not of what was replaced: a short secret could be found by trying.
    pub args_sha256: String,
    /// Set if only the start of the arguments is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub args_truncated: bool,
}

/// The most that is kept of arguments, in bytes of JSON, and of any other text.
const MAX_TEXT_BYTES: usize = 4 << 10;

impl Args {
    /// Keeps what can be kept of `args`, whose JSON had `bytes` bytes. The arguments that are
    /// called `secret` are replaced, and so is everything that looks like a secret.
    pub fn new(args: &Value, bytes: usize, secret: &[String]) -> Self {
        let mut kept = redact::value(args);
        if let Value::Object(kept) = &mut kept {
            for name in secret {
                if let Some(value) = kept.get_mut(name) {
                    *value = redact::REDACTED.into();
                }
            }
        }
        let text = kept.to_string();
        let args_sha256 = wardian_abi::sha256(&text);
        let args_truncated = text.len() > MAX_TEXT_BYTES;
        Self {
            args: if args_truncated {
                start(&text).into()
            } else {
                kept
            },
            args_bytes: bytes as u64,
            args_sha256,
            args_truncated,
        }
    }
}

impl Data {
    /// The same without what looks like a secret, and without the ends of long texts. Arguments
    /// are so already.
    pub(crate) fn kept(mut self) -> Self {
        let text = |text: &mut String| {
            // Not all of a long text is searched, but all of what is kept of it, and what
            // could start there.
            text.truncate(text.floor_char_boundary(4 * MAX_TEXT_BYTES));
            *text = redact::redact(text);
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        };
        let some = [
            &mut self.tool,
            &mut self.path,
            &mut self.to,
            &mut self.error,
        ];
        some.into_iter().flatten().for_each(text);
        for many in [&mut self.resource, &mut self.violations] {
            many.truncate(MAX_LIST_ENTRIES);
            many.iter_mut().for_each(text);
        }
        self
    }
}

/// The most entries that are kept of a list.
const MAX_LIST_ENTRIES: usize = 16;

fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES))
        .unwrap_or(text)
}

/// An operation on a file or a directory.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileOperation {
    /// Open a file for reading, or list a directory.
    Read,
    /// Open a file for writing, create it if need be, or make it grow.
    Write,
    /// Ask for size, times and kind. Only recorded if it is refused.
    Stat,
    /// Ask where a symbolic link leads.
    ReadLink,
    /// Create a directory.
    MakeDirectory,
    /// Create a symbolic link. Never allowed.
    Symlink,
    /// Create a hard link.
    Link,
    /// Give it another name.
    Rename,
    /// Remove it.
    Remove,
    /// Change its times.
    SetTimes,
}

impl FileOperation {
    /// Returns the name, as a verb.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Stat => "look at",
            Self::ReadLink => "read the link",
            Self::MakeDirectory => "create directory",
            Self::Symlink => "create symbolic link",
            Self::Link => "link",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SetTimes => "set the times of",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_bounded_and_found_again() {
        let short = json!({"path": "/in/a"});
        let kept = Args::new(&short, short.to_string().len(), &[]);
        assert_eq!((&kept.args, kept.args_truncated), (&short, false));

        let long = json!({"text": "ö".repeat(1 << 20)});
        let json = long.to_string();
        let kept = Args::new(&long, json.len(), &[]);
        assert!(kept.args_truncated);
        assert!(kept.args.as_str().unwrap().len() <= MAX_TEXT_BYTES);
        assert_eq!(kept.args_bytes, json.len() as u64);
        assert_eq!(kept.args_sha256, wardian_abi::sha256(&json));
    }

    #[test]
    fn declared_secrets_are_not_kept() {
        let args = json!({"pin": 1234, "order": "A-1", "nested": {"Api-Key": ["x"]}});
        let kept = Args::new(&args, 0, &["pin".to_owned()]);
        let shown =
            json!({"pin": "[redacted]", "order": "A-1", "nested": {"Api-Key": "[redacted]"}});
        assert_eq!(kept.args, shown);
        // REVIEW A 20: another pin has the same digest.
        let other = json!({"pin": 4321, "order": "A-1", "nested": {"Api-Key": ["y"]}});
        let other = Args::new(&other, 0, &["pin".to_owned()]);
        assert_eq!(kept.args_sha256, other.args_sha256);
    }
}
