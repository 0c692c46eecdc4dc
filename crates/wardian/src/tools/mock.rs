//! Mocks of tools, for tests: declared, checked and recorded as the tools that they stand for, and
//! answered by the test.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wardian_policy::Action;

use super::arguments::{self, ArgumentError};
use super::error::{ToolDefinitionError, ToolError};
use super::tool::{CheckedCall, Tool, Work};

impl Tool {
    /// A mock of this tool: `answer` is called in place of its handler, with the arguments that the
    /// handler would get, defaults filled in.
    pub fn with_mock_handler(
        self,
        answer: impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Self {
        let (read, answer) = (self.0.read.clone(), Arc::new(answer));
        self.with(|tool| {
            tool.read = Arc::new(move |value| Ok(answered(read(value)?.args, answer.clone())));
        })
    }

    /// A mock of a tool whose type is not at hand: it takes these arguments, all of them, each of
    /// any type.
    ///
    /// # Errors
    ///
    /// As [`Tool::new`].
    pub fn mock(
        name: &str,
        action: Action,
        arguments: &[&str],
        answer: impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Result<Self, ToolDefinitionError> {
        let properties: Map<_, _> = arguments
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        let parameters = json!({
            "type": "object", "properties": properties, "required": arguments,
            "description": "A mock of a tool, for tests.",
        });
        let answer = Arc::new(answer);
        let read = move |value: Value, known: &[String]| {
            let (args, _): (Map<String, Value>, Value) = arguments::read(value, known)?;
            match known.iter().find(|name| !args.contains_key(*name)) {
                Some(missing) => Err(ArgumentError {
                    is_type: true,
                    message: format!("missing argument `{missing}`"),
                }),
                None => Ok(answered(args.into(), answer.clone())),
            }
        };
        let schemas = [parameters, json!({})];
        Self::declare(name, action, schemas, Some(arguments), read)
    }
}

/// Makes a call that `answer` answers.
fn answered(
    args: Value,
    answer: Arc<impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static>,
) -> CheckedCall {
    let given = args.clone();
    let work: Work = Box::new(move |call| {
        Box::pin(async move {
            arguments::reply(&answer(given)?, call.reply_bytes()).map_err(ToolError::Failed)
        })
    });
    CheckedCall { args, work }
}
