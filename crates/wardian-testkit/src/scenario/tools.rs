//! `tools.toml`: what the tools of a scenario answer.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wardian::{Action, ToolError};

use crate::Fixture;

/// What tools answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Tools {
    #[serde(default)]
    approve: bool,
    #[serde(flatten)]
    answers: BTreeMap<String, Answer>,
}

/// What one tool answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    action: Option<String>,
    arguments: Option<Vec<String>>,
    answer: Option<String>,
    fails: Option<String>,
}

impl Tools {
    /// The fixture, with tools that answer so.
    pub(super) fn answer_in(self, mut fixture: Fixture) -> Result<Fixture, String> {
        for (name, answer) in self.answers {
            let (declared, answer) = answer.into_double(&name)?;
            fixture = match declared {
                Some((action, arguments)) => {
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    fixture
                        .with_double(&name, action, &arguments, move |_| answer.clone())
                        .map_err(|error| error.to_string())?
                }
                None => fixture.answering(&name, move |_| answer.clone()),
            };
        }
        Ok(match self.approve {
            true => fixture.approving(),
            false => fixture,
        })
    }
}

/// Which action and arguments a double has, if it is of a tool of the host's own.
type Declared = Option<(Action, Vec<String>)>;

impl Answer {
    fn into_double(self, name: &str) -> Result<(Declared, Result<Value, ToolError>), String> {
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
