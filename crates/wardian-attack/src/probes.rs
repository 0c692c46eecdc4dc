//! Tools of the suite's own, for hostile code to call. They know what must not have come through
//! the gate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardian::{
    Call, Policy, Tool, ToolError,
    policy::{Action, Constraint, ToolRules},
    tool::ToolDefinitionError,
};

/// The secret that some of the tools know and nobody else may.
pub(crate) const SECRET: &str = "probe-secret-5f2d11c0a9";

/// The findings of the tools.
#[derive(Clone, Default)]
pub(crate) struct Probes(Arc<Mutex<Vec<String>>>);

/// The arguments of most.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Text {
    /// Any text.
    text: String,
    /// Any number.
    #[serde(default)]
    count: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Path {
    /// A path.
    path: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

impl Probes {
    /// Lists what should not have happened.
    pub(crate) fn findings(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn wrong(&self, what: impl Into<String>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.push(what.into());
    }

    /// The policy, in which they can be called as far as it otherwise allows what they do.
    pub(crate) fn grant(policy: Policy) -> Policy {
        let mut once = ToolRules::default();
        once.max_calls = Some(1);
        let mut args = ToolRules::default();
        let yes = Constraint::OneOf(vec![json!("yes")]);
        args.args.insert("text".to_owned(), yes);
        let mut approved = ToolRules::default();
        approved.approval = true;
        let granted = [
            ("probe_once", once),
            ("probe_args", args),
            ("probe_approved", approved),
        ];
        let policy = [
            "probe_echo",
            "probe_path",
            "probe_slow",
            "probe_panic",
            "probe_huge",
            "probe_secret",
            "probe_nested",
        ]
        .into_iter()
        .fold(policy, |policy, name| {
            policy.with_tool(name, ToolRules::default())
        });
        let policy = granted.into_iter().fold(policy, |policy, (name, rules)| {
            policy.with_tool(name, rules)
        });
        match lacking(&policy) {
            Some(_) => policy.with_tool("probe_denied", ToolRules::default()),
            None => policy,
        }
    }

    /// The tools themselves.
    pub(crate) fn tools(&self, policy: &Policy) -> Result<Vec<Tool>, ToolDefinitionError> {
        let execute = Action::Execute;
        let never = |why: &'static str| {
            let this = self.clone();
            move |_: Text, _: Call| {
                let this = this.clone();
                async move {
                    this.wrong(why);
                    Ok(())
                }
            }
        };
        let mut tools = vec![
            Tool::new("probe_echo", execute, async |args: Text, _: Call| {
                Ok(json!({ "text": args.text, "count": args.count }))
            })?,
            Tool::new("probe_path", Action::ReadFile, {
                let this = self.clone();
                move |args: Path, call: Call| {
                    let this = this.clone();
                    async move {
                        if !call.policy().check(Action::ReadFile, &args.path).allowed() {
                            this.wrong(format!(
                                "a tool has got {:?}, which the policy refuses",
                                args.path
                            ));
                        }
                        Ok(())
                    }
                }
            })?
            .resource("path")?,
            Tool::new("probe_once", execute, {
                let this = self.clone();
                let runs = Arc::new(Mutex::new(Vec::new()));
                move |_: Text, call: Call| {
                    let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
                    if runs.contains(&call.run_id().to_owned()) {
                        this.wrong("a tool with max_calls = 1 was called twice");
                    }
                    runs.push(call.run_id().to_owned());
                    async { Ok(()) }
                }
            })?,
            Tool::new("probe_args", execute, {
                let this = self.clone();
                move |args: Text, _: Call| {
                    if args.text != "yes" {
                        this.wrong(format!("a tool that takes \"yes\" has got {:?}", args.text));
                    }
                    async { Ok(()) }
                }
            })?,
            Tool::new(
                "probe_approved",
                execute,
                never("a call was made of which nobody has approved"),
            )?,
            Tool::new(
                "probe_hidden",
                execute,
                never("a tool was called that is not granted"),
            )?,
            Tool::new("probe_slow", execute, async |_: Text, _: Call| {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                Ok(())
            })?,
            Tool::new("probe_panic", execute, panics)?.with_secret(SECRET),
            Tool::new("probe_huge", execute, async |_: Nothing, _: Call| {
                Ok("x".repeat(64 << 20))
            })?,
            Tool::new(
                "probe_secret",
                execute,
                async |args: Text, _: Call| match args.count {
                    0 => Ok(format!("the key is {SECRET}")),
                    _ => Err(ToolError::failed(format!("the key {SECRET} is wrong"))),
                },
            )?
            .with_secret(SECRET),
            Tool::new("probe_nested", execute, nested)?,
        ];
        if let Some(action) = lacking(policy) {
            let why = "a tool was called whose permission is not there";
            tools.push(Tool::new("probe_denied", action, never(why))?);
        }
        Ok(tools)
    }
}

#[expect(clippy::panic, reason = "it is what this tool is for")]
async fn panics(_: Nothing, _: Call) -> Result<(), ToolError> {
    panic!("the key is {SECRET}")
}

/// A run within a call.
async fn nested(_: Nothing, _: Call) -> Result<Value, ToolError> {
    let policy = Policy::computing();
    let sandbox = wardian::Sandbox::new(wardian_testkit::runtime(), policy);
    let failed = |error: wardian::Error| ToolError::failed(error.to_string());
    let outcome = sandbox
        .map_err(failed)?
        .run("6 * 7")
        .await
        .map_err(failed)?;
    match outcome.value {
        Some(wardian::outcome::Value::Json(value)) => Ok(value),
        _ => Err(ToolError::failed("no value")),
    }
}

/// An action that the policy does not permit.
fn lacking(policy: &Policy) -> Option<Action> {
    let lacks = |action: &Action| !policy.permissions().contains(action.permission());
    Action::ALL.into_iter().find(lacks)
}
