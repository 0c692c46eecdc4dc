//! `wardian policy explain`: what a policy says of one call or action, rule by rule.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};
use wardian::{
    Tool,
    policy::{Action, nearest},
    tool::{Authorizer, Explanation},
};

use crate::exit::Exit;
use crate::output::{print, print_json};

/// Explains `subject`: a tool, or an action by any of its names, with a resource or with arguments
/// as `NAME=VALUE`.
pub(crate) fn explain(
    authorizer: &Authorizer,
    subject: &str,
    rest: &[String],
    json: bool,
) -> Result<Exit> {
    let explained = ways(authorizer, subject, rest);
    let allowed = explained.iter().any(|way| way.allowed);
    if json {
        print_json(&json!({ "allowed": allowed, "ways": explained }))?;
    } else {
        let shown: Vec<_> = explained.iter().map(show).collect();
        print(&shown.join("\n"))?;
    }
    Ok(if allowed { Exit::SUCCESS } else { Exit::DENIED })
}

/// Explains all that can be meant: a tool, or every way in which a script can do an action.
fn ways(authorizer: &Authorizer, subject: &str, rest: &[String]) -> Vec<Explanation> {
    let action: Option<Action> = subject.parse().ok();
    let tool = authorizer.tool(subject);
    if let Some(args) = tool.and_then(|tool| arguments(tool, rest)) {
        return vec![authorizer.explain(subject, &args)];
    }
    let resource = rest.join(" ");
    let Some(action) = action else {
        let mut explanation = authorizer.explain_resource(subject, &resource);
        if tool.is_none() {
            suggest(authorizer, subject, &mut explanation);
        }
        return vec![explanation];
    };
    let mut ways = Vec::new();
    // What scripts do without a tool.
    if is_direct(Some(action)) {
        ways.push(authorizer.explain_action(action, resource.as_bytes()));
    }
    match tool {
        Some(tool) => ways.push(authorizer.explain_resource(tool.name(), &resource)),
        None => {
            let of_action = authorizer.tools().filter(|tool| tool.action() == action);
            ways.extend(of_action.map(|tool| authorizer.explain_resource(tool.name(), &resource)));
        }
    }
    if ways.is_empty() {
        ways.push(authorizer.explain_action(action, resource.as_bytes()));
    }
    ways
}

/// Returns whether scripts do this without a tool.
fn is_direct(action: Option<Action>) -> bool {
    matches!(
        action,
        Some(Action::ReadFile | Action::WriteFile | Action::Execute)
    )
}

/// Arguments that are written as `NAME=VALUE`; `None` if what is written is a resource.
fn arguments(tool: &Tool, rest: &[String]) -> Option<Map<String, Value>> {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || first == '_')
            && chars.all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    let mut args = Map::new();
    for text in rest {
        let (name, value) = text.split_once('=').filter(|(name, _)| is_name(name))?;
        let schema = tool
            .parameters()
            .get("properties")
            .and_then(|all| all.get(name));
        args.insert(name.to_owned(), value_of(schema, value));
    }
    (!args.is_empty()).then_some(args)
}

/// A value as its argument's type has it: a text may stand without quotes, and so may the only
/// entry of a list.
fn value_of(schema: Option<&Value>, text: &str) -> Value {
    let parsed = serde_json::from_str(text);
    let is = |kind: &str| {
        let found = schema.and_then(|schema| schema.get("type"));
        found.is_some_and(|found| {
            found == kind
                || found
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|one| one == kind))
        })
    };
    match parsed {
        Ok(Value::String(text)) if !is("array") => text.into(),
        Ok(value) if !is("string") && (value.is_array() || !is("array")) => value,
        Ok(value) if is("array") => vec![value].into(),
        _ if is("array") => vec![text].into(),
        _ => text.into(),
    }
}

/// Names the tool or the action that was probably meant.
fn suggest(authorizer: &Authorizer, subject: &str, explanation: &mut Explanation) {
    let tools = authorizer.tools().map(Tool::name);
    let names: Vec<_> = tools.chain(Action::ALL.map(Action::name)).collect();
    let Some(rule) = explanation.rules.last_mut() else {
        return;
    };
    let ready = wardian_tools::names().any(|ready| ready == subject);
    match nearest(subject, &names).filter(|near| *near != subject) {
        _ if ready => {
            let _ = write!(rule.reason, "; `[tools.{subject}]` grants it");
        }
        Some(near) => {
            let _ = write!(rule.reason, "; did you mean {near}?");
        }
        None => {
            let _ = write!(rule.reason, "; there are {}", names.join(", "));
        }
    }
}

fn show(explanation: &Explanation) -> String {
    let Explanation {
        allowed,
        tool,
        action,
        rules,
        max_calls,
        approval,
        error,
        assumed,
        ..
    } = explanation;
    let word = match (allowed, approval) {
        (true, true) => "allowed, once somebody approves",
        (true, false) => "allowed",
        (false, _) => "refused",
    };
    let subject = match (tool, action) {
        (Some(tool), _) => format!("the tool {tool}"),
        (None, Some(Action::ReadFile | Action::WriteFile)) => "a script's own open()".to_owned(),
        (None, Some(Action::Execute)) => "running code".to_owned(),
        (None, action) => {
            action.map_or_else(String::new, |action| format!("any tool that does {action}"))
        }
    };
    let decided = rules.last().map_or("", |rule| rule.reason.as_str());
    let mut text = if *allowed {
        format!("{word}: {subject}\n")
    } else {
        format!("{word}: {subject}: {decided}\n")
    };
    for rule in rules {
        let mark = if rule.holds { "ok" } else { "no" };
        let at = rule.location.as_ref().map(|at| format!(" ({at})"));
        let _ = writeln!(
            text,
            "  {mark}  {}: {}{}",
            rule.rule,
            rule.reason,
            at.unwrap_or_default()
        );
    }
    if let Some(calls) = max_calls {
        let _ = writeln!(text, "  a run can make {calls} such calls");
    }
    if !assumed.is_empty() {
        let _ = writeln!(
            text,
            "  taken for granted: {}",
            Value::from(assumed.clone())
        );
    }
    if *allowed && tool.is_none() && !is_direct(*action) {
        text.push_str(
            "  no tool of the policy does it: scripts need one, as `[tools.NAME]` grants it\n",
        );
    }
    if let Some(error) = error {
        let _ = writeln!(text, "  the script would see: {error}");
    }
    text
}
