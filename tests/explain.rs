//! Explanations of calls are what the gate does with them, for policies and calls that are drawn.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wardian::{
    Gate, Policy, Tool,
    policy::{Action, Permission, Source},
    tool::{Approval, ApprovalRequest, Authorizer, CallError},
};

const PATHS: [&str; 6] = ["/a/x", "/b/x", "/a/../b/x", "/etc/passwd", "a/x", ""];
const URLS: [&str; 6] = [
    "https://api.example.com/v1/x",
    "https://api.example.com/v1/..%2fadmin",
    "https://api.example.com/v2/x",
    "https://evil.example/",
    "http://api.example.com/v1/x",
    "no url",
];

/// The tools: what each does, its arguments, the rules that a policy may have for it.
const TOOLS: [(&str, Action, &[&str], &[&str]); 4] = [
    (
        "read",
        Action::ReadFile,
        &["path"],
        &["args.path = { prefix = \"/a/\" }", "max_calls = 1"],
    ),
    (
        "write",
        Action::WriteFile,
        &["path", "text"],
        &["args.text = { one_of = [\"x\", 1] }", "approval = true"],
    ),
    (
        "fetch",
        Action::HttpRequest,
        &["url", "method"],
        &[
            "args.url = { prefix = \"https://api.example.com/v1/\" }",
            "args.method = { equals = \"GET\" }",
            "max_calls = 0",
        ],
    ),
    (
        "query",
        Action::DbRead,
        &["database", "rows"],
        &[
            "args.rows = { min = 1, max = 10 }",
            "args.database = { one_of = [\"shop\"] }",
        ],
    ),
];

/// A policy as text, given the directory that its own lie in.
fn policy() -> impl Strategy<Value = String> {
    let permissions =
        prop::sample::subsequence(Permission::FULL.names().collect::<Vec<_>>(), 0..=7);
    let paths = prop::sample::subsequence(
        vec![
            "{ path = \"/a\", host = \"DIR/a\" }",
            "{ path = \"/b\", host = \"DIR/b\" }",
        ],
        0..=2,
    );
    let domains = prop::sample::subsequence(vec!["\"api.example.com\"", "\"*.example\""], 0..=2);
    let tools = TOOLS.map(|(name, _, _, rules)| {
        let rules = prop::sample::subsequence(rules.to_vec(), 0..=rules.len());
        (any::<bool>(), rules).prop_map(move |(granted, rules)| {
            if granted {
                format!("[tools.{name}]\n{}\n", rules.join("\n"))
            } else {
                String::new()
            }
        })
    });
    (permissions, paths, domains, tools).prop_map(|(permissions, paths, domains, tools)| {
        format!(
            "version = 1\npermissions = {permissions:?}\nallowed_paths = [{}]\nallowed_domains = [{}]\n{}",
            paths.join(", "),
            domains.join(", "),
            tools.concat()
        )
    })
}

/// A call of a tool, which may not be there, with arguments that may not be its own.
fn call() -> impl Strategy<Value = (String, Map<String, Value>)> {
    let resource = prop_oneof![
        prop::sample::select(PATHS.to_vec()),
        prop::sample::select(URLS.to_vec()),
        prop::sample::select(vec!["shop", "other"]),
    ];
    let other = prop_oneof![
        Just(json!("GET")),
        Just(json!("PUT")),
        Just(json!("x")),
        Just(json!(5)),
        Just(json!(50)),
        Just(json!(null)),
    ];
    let name = prop::sample::select(vec!["read", "write", "fetch", "query", "nosuch"]);
    (name, resource, other, 0..8_u8).prop_map(|(name, resource, other, shape)| {
        let names = TOOLS.iter().find(|(tool, ..)| *tool == name);
        let names = names.map_or(&["x"][..], |(_, _, names, _)| *names);
        let mut args = Map::new();
        for (i, arg) in names.iter().enumerate() {
            let value = if i == 0 {
                json!(resource)
            } else {
                other.clone()
            };
            args.insert((*arg).to_owned(), value);
        }
        match shape {
            0 => drop(args.insert("unknown".to_owned(), json!(1))),
            1 => args.clear(),
            _ => {}
        }
        (name.to_owned(), args)
    })
}

fn tools() -> Vec<Tool> {
    let double = |(name, action, arguments, _): (&str, Action, &[&str], _)| {
        let tool = Tool::mock(name, action, arguments, |_| Ok(json!("done"))).unwrap();
        tool.resource(arguments[0]).unwrap()
    };
    TOOLS.map(double).into()
}

/// Calls a tool through the gate, and returns the exception as `explain` says it, if there is one.
fn called(gate: &Gate, tool: &str, args: &Map<String, Value>) -> Option<String> {
    let error = gate.tool(tool)?.call_blocking(args).err()?;
    let exception = match &error {
        CallError::Denied { .. } => "PermissionError",
        CallError::Type(_) => "TypeError",
        CallError::Value(_) => "ValueError",
        CallError::Failed(_) => "ToolError",
        CallError::TimedOut(_) => "TimeoutError",
        _ => "",
    };
    Some(format!("{exception}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn b_1_what_explain_says_is_what_the_gate_does(text in policy(), (tool, args) in call()) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let text = text.replace("DIR", dir.path().to_str().unwrap());
        let policy = Policy::parse(&Source::text("policy.toml", &text)).unwrap();
        let explained = Authorizer::new(policy.clone(), tools()).unwrap().explain(&tool, &args);
        let gate = Gate::new(policy).unwrap().with_tools(tools()).unwrap();
        let gate = gate.with_approver(Arc::new(|_: ApprovalRequest| async {
            Approval::Approved { by: "the test".to_owned() }
        }));
        // A tool that is not granted can't be had by host code at all.
        match gate.tool(&tool) {
            None => prop_assert!(!explained.allowed && explained.rules[0].rule == "tools", "{text}"),
            Some(_) => {
                let error = called(&gate, &tool, &args);
                prop_assert_eq!(explained.allowed, error.is_none(), "{}\n{:?}", text, explained);
                prop_assert_eq!(explained.error.clone(), error, "{}\n{:?}", text, explained);
            }
        }
        // All rules before the last have held, and the last has decided.
        let held = explained.rules.iter().filter(|rule| rule.holds).count();
        let refused = usize::from(!explained.allowed);
        prop_assert_eq!(held + refused, explained.rules.len(), "{:?}", explained);
        prop_assert_eq!(explained.rules.last().map(|rule| rule.holds), Some(explained.allowed));
    }
}
