//! `wardian policy`: what a policy says, before anything runs.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Result;
use comfy_table::Table;
use serde_json::{Value, json};
use wardian::{Limit, Location, Names, Policy, PolicyError, load_policy, schema};

use crate::args::PolicyCommand;
use crate::exit::{self, Exit};
use crate::output::{columns, or_none, plain, print, print_json};
use crate::tools;

pub(crate) fn run(command: PolicyCommand) -> Result<Exit> {
    match command {
        PolicyCommand::Check { files, json } => {
            let mut exit = Exit::SUCCESS;
            for file in files {
                if !check(&file, json)? {
                    exit = Exit::USAGE;
                }
            }
            Ok(exit)
        }
        PolicyCommand::Show { file, json } => {
            let policy = match &file {
                Some(file) => load_policy(file)?,
                None => Policy::computing(),
            };
            match json {
                true => print_json(&described(&policy)?)?,
                false => print(&shown(&policy, file.as_deref()))?,
            }
            Ok(Exit::SUCCESS)
        }
        PolicyCommand::Explain {
            file,
            action,
            resource,
            json,
        } => {
            let policy = load_policy(&file)?;
            let decision = policy.check(action, resource.as_bytes());
            let (allowed, rule, reason) =
                (decision.allowed(), decision.rule(), decision.to_string());
            if json {
                print_json(&json!({
                    "allowed": allowed,
                    "action": action.name(),
                    "rule": rule,
                    "file": decision.location().map(|at| at.file.to_string_lossy()),
                    "line": decision.location().map(|at| at.line),
                    "reason": reason,
                }))?;
            } else {
                let word = if allowed { "allowed" } else { "refused" };
                let place = match decision.location() {
                    Some(at) => format!("decided by {rule} at {at}"),
                    None if rule == "resource" => "decided before any rule was asked".to_owned(),
                    None => format!("the policy has no `{rule}`"),
                };
                print(&format!("{word}: {reason}\n  {place}\n"))?;
            }
            Ok(if allowed { Exit::SUCCESS } else { Exit::DENIED })
        }
        PolicyCommand::Diff { a, b, json } => {
            let [a_policy, b_policy] = [load_policy(&a)?, load_policy(&b)?];
            let wider = b_policy.widenings(&a_policy);
            if json {
                let list: Vec<_> = wider
                    .iter()
                    .map(|wider| {
                        let line = wider.at.as_ref().map(|at| at.line);
                        json!({"key": wider.key, "allows": wider.what, "line": line})
                    })
                    .collect();
                print_json(&json!({ "widenings": list }))?;
            } else if wider.is_empty() {
                let (a, b) = (a.display(), b.display());
                print(&format!("{b} allows nothing that {a} does not\n"))?;
            } else {
                let mut table = columns(&["key", "what it allows", "where"]);
                for wider in wider {
                    table.add_row([wider.key, wider.what, place(wider.at.as_ref(), Some(&b))]);
                }
                print(&format!("{}\n", table.trim_fmt()))?;
            }
            Ok(Exit::SUCCESS)
        }
        PolicyCommand::Schema => {
            print(&format!("{:#}\n", schema()))?;
            Ok(Exit::SUCCESS)
        }
    }
}

/// Checks one file; says whether it is right.
fn check(file: &Path, json: bool) -> Result<bool> {
    let checked = load_policy(file);
    // What it tells the tools that are ready; of others only their hosts know.
    let told = checked
        .as_ref()
        .map_or(Ok(()), |policy| wardian_tools::declared(policy).map(drop));
    if json {
        let problems = match &checked {
            Ok(_) => told
                .as_ref()
                .err()
                .into_iter()
                .map(|error| json!({"key": error.key, "message": error.why}))
                .collect(),
            Err(PolicyError::Wrong(problems)) => problems
                .iter()
                .map(|problem| {
                    json!({
                        "file": problem.at.file.to_string_lossy(),
                        "line": problem.at.line,
                        "column": problem.at.column,
                        "key": problem.key,
                        "message": problem.message,
                        "help": problem.help,
                    })
                })
                .collect(),
            Err(error) => vec![json!({"message": error.to_string()})],
        };
        print_json(&json!({
            "file": file.to_string_lossy(),
            "ok": checked.is_ok() && told.is_ok(),
            "sha256": checked.as_ref().ok().map(Policy::sha256),
            "problems": problems,
        }))?;
        return Ok(checked.is_ok() && told.is_ok());
    }
    match checked {
        Ok(_) if let Err(error) = told => {
            exit::report(&error.into());
            Ok(false)
        }
        Ok(policy) => {
            print(&format!(
                "{}: ok, sha256 {}\n",
                file.display(),
                policy.sha256()
            ))?;
            Ok(true)
        }
        Err(error) => {
            exit::report(&error.into());
            Ok(false)
        }
    }
}

fn described(policy: &Policy) -> Result<Value> {
    let mut described = serde_json::to_value(policy.meaning())?;
    if let Value::Object(described) = &mut described {
        described.insert("description".to_owned(), policy.description().into());
        described.insert("sha256".to_owned(), policy.sha256().into());
    }
    Ok(described)
}

/// Everything that a policy grants, as tables.
fn shown(policy: &Policy, file: Option<&Path>) -> String {
    let mut text = String::new();
    let mut head = plain();
    let names: Vec<_> = policy.permissions().names().collect();
    let source = file.map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    for (name, value) in [
        ("policy", source),
        ("agent", policy.agent().to_owned()),
        ("description", policy.description().to_owned()),
        ("permissions", or_none(names.join(", "))),
        ("sha256", policy.sha256()),
    ] {
        if !value.is_empty() {
            head.add_row([name.to_owned(), value]);
        }
    }
    let _ = writeln!(text, "{}", head.trim_fmt());

    let mut paths = columns(&["path", "access", "on the host", "where"]);
    for grant in policy.grants() {
        paths.add_row([
            grant.guest().to_string(),
            policy.access(grant).name().replace('_', " and "),
            grant.host().display().to_string(),
            place(grant.location(), file),
        ]);
    }
    section(&mut text, "files", policy.grants().len(), &paths);

    let mut domains = columns(&["domain", "where"]);
    let mut count = 0;
    for domain in policy.domains() {
        domains.add_row([domain.to_string(), place(domain.location(), file)]);
        count += 1;
    }
    section(&mut text, "network", count, &domains);

    let mut limits = columns(&["limit", "at most", "where"]);
    for limit in Limit::ALL {
        limits.add_row([
            limit.key().to_owned(),
            limit.show(policy.limits().get(limit)),
            match policy.location(limit.key()) {
                None => "default".to_owned(),
                at => place(at, file),
            },
        ]);
    }
    section(&mut text, "limits", Limit::ALL.len(), &limits);

    let code = policy.code();
    let list = |names: &Names| or_none(names.iter().collect::<Vec<_>>().join(", "));
    let mut rules = columns(&["source", ""]);
    rules.add_row(["profile", code.profile.name()]);
    let allowed = code.rules.allowed_imports.as_ref();
    rules.add_row([
        "allowed imports".to_owned(),
        allowed.map_or("any".to_owned(), list),
    ]);
    rules.add_row([
        "forbidden imports".to_owned(),
        list(&code.rules.forbidden_imports),
    ]);
    rules.add_row([
        "forbidden calls".to_owned(),
        list(&code.rules.forbidden_calls),
    ]);
    section(&mut text, "source", 4, &rules);

    let mut env = columns(&["variable", "value"]);
    for (name, value) in policy.env() {
        env.add_row([name, value]);
    }
    section(&mut text, "environment", policy.env().len(), &env);

    let mut table = columns(&["tool", "rules", "where"]);
    for name in policy.tools().keys() {
        table.add_row([
            name.clone(),
            or_none(tools::rules(policy, name)),
            place(policy.location(&format!("tools.{name}")), file),
        ]);
    }
    section(&mut text, "tools", policy.tools().len(), &table);
    text
}

/// A table as it is shown, or that there is nothing in it.
fn section(text: &mut String, title: &str, rows: usize, table: &Table) {
    let _ = match rows {
        0 => writeln!(text, "\n {title}: none"),
        _ => writeln!(text, "\n{}", table.trim_fmt()),
    };
}

/// Where something stands: the line, and the file if it is another one.
fn place(at: Option<&Location>, file: Option<&Path>) -> String {
    match at {
        Some(at) if file == Some(&*at.file) => format!("line {}", at.line),
        Some(at) => at.to_string(),
        None => String::new(),
    }
}
