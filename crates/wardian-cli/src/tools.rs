//! `wardian tools`: what a policy lets scripts call.

use anyhow::Result;
use serde_json::json;
use wardian::{Policy, tool::granted_tools};

use crate::args::ToolsCommand;
use crate::exit::Exit;
use crate::output::{columns, print, print_json, remark};
use crate::preflight::{self, Host};

pub(crate) fn run(command: ToolsCommand) -> Result<Exit> {
    let ToolsCommand::List {
        doubles,
        policy,
        stubs,
        json,
    } = command;
    let doubles = preflight::doubles(doubles.file.as_deref())?;
    let (policy, tools) = preflight::load(&policy, Host::Doubled, &doubles)?.usable()?;
    for tool in &tools {
        let lacking = tool.action().permission() - policy.permissions();
        for permission in lacking.names() {
            let name = tool.name();
            remark(&format!(
                "scripts do not see {name}: permissions lack {permission}"
            ));
        }
    }
    let tools = granted_tools(&policy, tools)?;
    if stubs {
        print(STUB_HEAD)?;
        for tool in &tools {
            print(&format!("\n{}", tool.stub()))?;
        }
    } else if json {
        for tool in &tools {
            print_json(&json!({
                "name": tool.name(),
                "description": tool.description(),
                "action": tool.action().name(),
                "resource": tool.resource_argument(),
                "parameters": tool.parameters(),
                "returns": tool.returns(),
                "stub": tool.stub(),
            }))?;
        }
    } else if tools.is_empty() {
        let ready: Vec<_> = wardian_tools::names().collect();
        let ready = ready.join(", ");
        print(&format!(
            "no tool: `[tools.NAME]` in a policy grants one; there are {ready}\n"
        ))?;
    } else {
        let mut table = columns(&["tool", "does", "on", "rules", "what it is"]);
        for tool in &tools {
            table.add_row([
                tool.name().to_owned(),
                tool.action().to_string(),
                tool.resource_argument().unwrap_or_default().to_owned(),
                rules(&policy, tool.name()),
                tool.description().to_owned(),
            ]);
        }
        print(&format!("{}\n", table.trim_fmt()))?;
    }
    Ok(Exit::SUCCESS)
}

/// The text above the functions in a stub file.
const STUB_HEAD: &str = "# from wardian import tools: tools.NAME(...) calls one.\n\
    # from wardian import aio: await aio.NAME(...) is the same; asyncio.gather has several at work at once.\n\
    # Refused: PermissionError. Wrong arguments: TypeError, ValueError. Failed: wardian.ToolError. Late: \
    TimeoutError.\n\
    from typing import Any, Literal, NotRequired, TypedDict\n";

/// Shows a policy's rules for a tool, in a few words.
pub(crate) fn rules(policy: &Policy, tool: &str) -> String {
    let Some(rules) = policy.tools().get(tool) else {
        return String::new();
    };
    let calls = rules.max_calls.map(|calls| format!("{calls} calls"));
    let approval = rules.approval.then(|| "approval".to_owned());
    let args = rules
        .args
        .iter()
        .map(|(arg, constraint)| format!("{arg}: {constraint}"));
    let all: Vec<_> = calls.into_iter().chain(approval).chain(args).collect();
    all.join("; ")
}
