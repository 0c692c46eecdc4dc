//! Tools through the gate: what scripts see of them, what they can do, what stops them. The names
//! of rows are those of the attack catalogue.

mod approval;
mod decisions;
mod host;
mod limits;
mod replies;
mod secrets;
mod signature;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardian::audit::{Event, Memory, Record, records};
use wardian::policy::Allowance::AtMost;
use wardian::{
    Call, Error, Gate, Limits, Log, Outcome, Policy, Sandbox, Tool, ToolError, Verdict,
    policy::{Action, Constraint, Limit, Permission, Profile, Source, ToolRules},
    tool::{Approval, ApprovalRequest, CallError},
};

use crate::runtime;
use crate::world::World;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Any {
    value: Value,
}

/// Greets somebody.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Greet {
    /// Whom.
    name: String,
    /// The count of repetitions.
    #[serde(default = "one")]
    times: u8,
    title: Option<String>,
}

fn one() -> u8 {
    1
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Wait {
    ms: u64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct PathOnly {
    path: String,
}

async fn echo(args: Any, _: Call) -> Result<Value, ToolError> {
    Ok(args.value)
}

async fn greet(args: Greet, _: Call) -> Result<String, ToolError> {
    if args.name.is_empty() {
        return Err(ToolError::argument("name", "is empty"));
    }
    let title = args
        .title
        .map(|title| format!("{title} "))
        .unwrap_or_default();
    Ok(format!("hello {title}{}", args.name).repeat(args.times.into()))
}

async fn sleep(args: Wait, _: Call) -> Result<u64, ToolError> {
    tokio::time::sleep(Duration::from_millis(args.ms)).await;
    Ok(args.ms)
}

/// Blocks, as no handler should.
async fn block(args: Wait, _: Call) -> Result<u64, ToolError> {
    std::thread::sleep(Duration::from_millis(args.ms));
    Ok(args.ms)
}

async fn fail(args: Any, _: Call) -> Result<(), ToolError> {
    Err(ToolError::failed(
        args.value.as_str().unwrap_or("it failed"),
    ))
}

async fn panic(_: Nothing, _: Call) -> Result<(), ToolError> {
    panic!("the host's own business at /srv/secret.rs")
}

async fn big(args: Wait, _: Call) -> Result<String, ToolError> {
    Ok("x".repeat(usize::try_from(args.ms).unwrap()))
}

async fn nested(args: Wait, _: Call) -> Result<Value, ToolError> {
    Ok((0..args.ms).fold(json!(null), |inner, _| json!([inner])))
}

async fn read(args: PathOnly, call: Call) -> Result<String, ToolError> {
    let bytes = call.files().read(&args.path).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn tools() -> Vec<Tool> {
    let run = Action::Execute;
    vec![
        Tool::new("echo", run, echo).unwrap(),
        Tool::new("greet", run, greet).unwrap(),
        Tool::new("sleep", run, sleep).unwrap(),
        Tool::new("block", run, block).unwrap(),
        Tool::new("fail", run, fail).unwrap(),
        Tool::new("panic", run, panic).unwrap(),
        Tool::new("big", run, big).unwrap(),
        Tool::new("nested", run, nested).unwrap(),
        Tool::new("read", Action::ReadFile, read)
            .unwrap()
            .resource("path")
            .unwrap(),
        Tool::new("never", run, echo).unwrap(),
    ]
}

/// Every tool but one, without rules.
fn policy() -> Policy {
    let granted = tools().into_iter().filter(|tool| tool.name() != "never");
    granted.fold(Policy::computing(), |policy, tool| {
        policy.with_tool(tool.name(), ToolRules::default())
    })
}

fn parsed(text: &str) -> Policy {
    let text = format!("version = 1\nagent = \"agent\"\npermissions = [\"EXECUTE_CODE\"]\n{text}");
    Policy::parse(&Source::text("policy.toml", &text)).unwrap()
}

fn sandbox(policy: Policy) -> Sandbox {
    Sandbox::new(runtime(), policy)
        .unwrap()
        .with_tools(tools())
        .unwrap()
}

fn run_under(policy: Policy, code: &str) -> Outcome {
    sandbox(policy)
        .run_blocking(format!("from wardian import aio, tools, ToolError\n{code}"))
        .unwrap()
}

fn run(code: &str) -> Outcome {
    run_under(policy(), code)
}

#[track_caller]
fn value_of(outcome: &Outcome) -> Value {
    assert_eq!(
        outcome.verdict,
        Verdict::Completed,
        "{}",
        outcome.stderr.text()
    );
    outcome.json().get("value").cloned().unwrap_or_default()
}

#[track_caller]
fn value(code: &str) -> Value {
    value_of(&run(code))
}

/// The exception that an expression raises.
#[track_caller]
fn raised(policy: Policy, expression: &str) -> (String, String) {
    let code = format!(
        "try:\n    {expression}\n    ended = ['', '']\nexcept Exception as error:\n    \
         ended = [type(error).__name__, str(error)]\nended"
    );
    let ended = value_of(&run_under(policy, &code));
    serde_json::from_value(ended).unwrap()
}

#[track_caller]
fn raises(expression: &str, kind: &str, message: &str) {
    let raised = raised(policy(), expression);
    assert_eq!(
        (raised.0.as_str(), raised.1.as_str()),
        (kind, message),
        "{expression}"
    );
}

fn recorded(memory: &Memory) -> Vec<Record> {
    wardian::audit::verify(memory.text().as_bytes()).unwrap();
    records(memory.text().as_bytes())
        .map(|record| record.unwrap())
        .collect()
}
