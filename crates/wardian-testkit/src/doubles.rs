//! Doubles of tools, as a file says: what each answers. `tools.toml` of a scenario is one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use wardian::{
    Tool, ToolError,
    policy::Action,
    tool::{Approval, ApprovalRequest, Approver, ToolDefinitionError},
};

/// Answers of tools.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Doubles {
    #[serde(default)]
    pub(crate) approve: bool,
    #[serde(flatten)]
    pub(crate) answers: BTreeMap<String, DoubleAnswer>,
}

/// The answer of one tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoubleAnswer {
    action: Option<String>,
    arguments: Option<Vec<String>>,
    answer: Option<String>,
    fails: Option<String>,
}

impl Doubles {
    /// Reads a file of doubles, in TOML.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file, or that it can't be read.
    pub fn load(file: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {}", file.display(), why.trim_end());
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let doubles: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        for (name, answer) in &doubles.answers {
            drop(answer.clone().into_double(name).map_err(wrong)?);
        }
        Ok(doubles)
    }

    /// Returns whether somebody approves of what a policy asks approval for.
    pub fn approve(&self) -> bool {
        self.approve
    }

    /// Somebody who approves of everything.
    pub fn approver() -> Arc<dyn Approver> {
        Arc::new(|_: ApprovalRequest| async {
            Approval::Approved {
                by: "the test".to_owned(),
            }
        })
    }

    /// These tools, of which those that the file names answer as it says; with those of the host's
    /// own that it declares.
    ///
    /// # Errors
    ///
    /// Says which double can't be made.
    pub fn replace(&self, mut tools: Vec<Tool>) -> Result<Vec<Tool>, String> {
        for (name, answer) in &self.answers {
            let (declared, answer) = answer.clone().into_double(name)?;
            let known = tools.iter().position(|tool| tool.name() == name);
            let double = match (declared, known) {
                (Some((action, arguments)), _) => {
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    own_double(name, action, &arguments)
                }
                (None, Some(at)) => Ok(tools.remove(at)),
                // A ready tool that the policy does not grant.
                (None, None) => continue,
            };
            let double = double.map_err(|error| error.to_string())?;
            tools.push(double.with_mock_handler(move |_| answer.clone()));
        }
        Ok(tools)
    }
}

/// A tool of the host's own, without an answer. The first of its arguments names what it acts on.
pub(crate) fn own_double(
    name: &str,
    action: Action,
    arguments: &[&str],
) -> Result<Tool, ToolDefinitionError> {
    let tool = Tool::mock(name, action, arguments, |_| Err(unanswered()))?;
    match arguments.first() {
        Some(first) => tool.resource(first),
        None => Ok(tool),
    }
}

/// Action and arguments of a double, if it is of a tool of the host's own.
type Declared = Option<(Action, Vec<String>)>;

impl DoubleAnswer {
    pub(crate) fn into_double(
        self,
        name: &str,
    ) -> Result<(Declared, Result<Value, ToolError>), String> {
        let answer = match (self.answer, self.fails) {
            (Some(json), None) => Ok(serde_json::from_str(&json)
                .map_err(|error| format!("[{name}] answer is not JSON: {error}"))?),
            (None, Some(why)) => Err(ToolError::failed(why)),
            _ => return Err(format!("[{name}] needs `answer` or `fails`, and not both")),
        };
        let declared = match (self.action, self.arguments) {
            (None, None) => {
                if !wardian_tools::names().any(|ready| ready == name) {
                    return Err(format!(
                        "[{name}] is not a ready tool: say its `action` and its `arguments`"
                    ));
                }
                None
            }
            (Some(action), Some(arguments)) => {
                let action = action.parse().map_err(|_| {
                    format!("[{name}] action = {action:?} is not one: db_read, read_file, …")
                })?;
                Some((action, arguments))
            }
            _ => return Err(format!("[{name}] needs both `action` and `arguments`")),
        };
        Ok((declared, answer))
    }
}

/// The error of a mock that the test does not answer for.
pub(crate) fn unanswered() -> ToolError {
    ToolError::failed("this test has no answer of this tool")
}
