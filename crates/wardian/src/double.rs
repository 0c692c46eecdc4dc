//! Doubles of tools, for tests: declared, checked and recorded as the tools that they stand for, and
//! answered by the test.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wardian_policy::Action;

use crate::arguments::{self, ArgumentError};
use crate::tool::{Ready, Tool, ToolDefinitionError, ToolError, Work};

impl Tool {
    /// A double of this tool: `answer` is called in place of its handler, with the arguments that the
    /// handler would get, defaults filled in.
    pub fn answered_by(
        self,
        answer: impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Self {
        let (read, answer) = (self.0.read.clone(), Arc::new(answer));
        self.with(|tool| {
            tool.read = Arc::new(move |value| Ok(ready(read(value)?.args, answer.clone())));
        })
    }

    /// A double of a tool whose type is not at hand: it takes these arguments, all of them, each of any
    /// type.
    ///
    /// # Errors
    ///
    /// As [`Tool::new`].
    pub fn double(
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
            "description": "A double of a tool, for tests.",
        });
        let answer = Arc::new(answer);
        let read = move |value: Value, known: &[String]| {
            let (args, _): (Map<String, Value>, Value) = arguments::read(value, known)?;
            match known.iter().find(|name| !args.contains_key(*name)) {
                Some(missing) => Err(ArgumentError {
                    is_type: true,
                    message: format!("missing argument `{missing}`"),
                }),
                None => Ok(ready(args.into(), answer.clone())),
            }
        };
        let schemas = [parameters, json!({})];
        Self::declare(name, action, schemas, Some(arguments), read)
    }
}

/// A call that `answer` answers.
fn ready(
    args: Value,
    answer: Arc<impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static>,
) -> Ready {
    let given = args.clone();
    let work: Work = Box::new(move |call| {
        Box::pin(async move {
            arguments::reply(&answer(given)?, call.reply_bytes()).map_err(ToolError::Failed)
        })
    });
    Ready { args, work }
}
