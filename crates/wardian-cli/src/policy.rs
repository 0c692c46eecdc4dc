//! `wardian policy`: what a policy says, before anything runs.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use comfy_table::Table;
use serde_json::{Value, json};
use wardian::{
    Policy, load_policy,
    policy::{Access, Allowance, Limit, Location, NameSet, PolicyError, Problems, leaves, schema},
    tool::Authorizer,
};

use crate::args::PolicyCommand;
use crate::exit::{self, Exit};
use crate::explain::explain;
use crate::output::{columns, or_none, plain, print, print_json};
use crate::preflight::{self, Checked, Host};
use crate::prepare::policy_without_file;
use crate::session::size;
use crate::{init, problems, suggest, tools};

pub(crate) fn run(command: PolicyCommand) -> Result<Exit> {
    match command {
        PolicyCommand::Check {
            files,
            offline,
            doubles,
            json,
        } => {
            let host = if offline { Host::Elsewhere } else { Host::Here };
            let doubles = preflight::doubles(doubles.file.as_deref())?;
            let mut exit = Exit::SUCCESS;
            for file in files {
                let checked = preflight::load(&file, host, &doubles);
                if !check(&file, checked, json)? {
                    exit = Exit::USAGE;
                }
            }
            Ok(exit)
        }
        PolicyCommand::Show { file, json } => {
            let policy = match &file {
                Some(file) => load_policy(file)?,
                None => policy_without_file()?,
            };
            if json {
                print_json(&describe(&policy)?)?
            } else {
                print(&render(&policy, file.as_deref()))?
            }
            Ok(Exit::SUCCESS)
        }
        PolicyCommand::Explain {
            file,
            subject,
            rest,
            doubles,
            json,
        } => {
            let doubles = preflight::doubles(doubles.file.as_deref())?;
            let checked = preflight::load(&file, Host::Doubled, &doubles)?;
            let (policy, tools) = checked.usable()?;
            explain(&Authorizer::new(policy, tools)?, &subject, &rest, json)
        }
        PolicyCommand::Diff {
            exit_code,
            a,
            b,
            json,
        } => {
            let [a_policy, b_policy] = [load_policy(&a)?, load_policy(&b)?];
            let wider = b_policy.widenings(&a_policy);
            let exit = if exit_code && !wider.is_empty() {
                Exit::BROKEN
            } else {
                Exit::SUCCESS
            };
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
            Ok(exit)
        }
        PolicyCommand::Init(args) => init::run(args),
        PolicyCommand::Suggest { records } => suggest::run(&records),
        PolicyCommand::Schema => {
            print(&format!("{:#}\n", schema()))?;
            Ok(Exit::SUCCESS)
        }
    }
}

/// Says what is wrong with a file, if anything; returns whether it can be used.
fn check(file: &Path, checked: Result<Checked>, json: bool) -> Result<bool> {
    let (policy, problems) = match checked {
        Ok(checked) => (Some(checked.policy), Problems::new(checked.problems)),
        Err(error) => match error.downcast() {
            Ok(PolicyError::Wrong(problems)) => (None, Some(problems)),
            Ok(error) if json => {
                print_json(&json!({
                    "file": file.to_string_lossy(),
                    "ok": false,
                    "sha256": null,
                    "problems": [{"message": error.to_string(), "warning": false}],
                }))?;
                return Ok(false);
            }
            Ok(error) => {
                exit::report(&error.into());
                return Ok(false);
            }
            Err(error) => return Err(error),
        },
    };
    let is_usable = problems
        .as_ref()
        .is_none_or(|problems| !problems.has_errors());
    if json {
        let problems = problems.iter().flat_map(|problems| problems.iter());
        let problems: Vec<_> = problems
            .map(|problem| {
                json!({
                    "file": problem.at.file.to_string_lossy(),
                    "line": problem.at.line,
                    "column": problem.at.column,
                    "key": problem.key,
                    "message": problem.message,
                    "help": problem.help,
                    "warning": problem.is_warning,
                })
            })
            .collect();
        print_json(&json!({
            "file": file.to_string_lossy(),
            "ok": is_usable,
            "sha256": policy.as_ref().map(Policy::sha256),
            "problems": problems,
        }))?;
        return Ok(is_usable);
    }
    if let Some(problems) = &problems {
        problems::show(problems);
    }
    if let (true, Some(policy)) = (is_usable, &policy) {
        let (file, sha256) = (file.display(), policy.sha256());
        print(&format!("{file}: ok, sha256 {sha256}\n"))?;
    }
    Ok(is_usable)
}

fn describe(policy: &Policy) -> Result<Value> {
    let mut described = serde_json::to_value(policy.canonical())?;
    if let Value::Object(described) = &mut described {
        described.insert("description".to_owned(), policy.description().into());
        described.insert("sha256".to_owned(), policy.sha256().into());
    }
    Ok(described)
}

/// The memory of the host that a run takes at most.
fn take(policy: &Policy) -> String {
    match policy.host_bytes() {
        Allowance::AtMost(bytes) => format!("at most {} of memory", size(bytes)),
        Allowance::Unlimited => "any amount of memory".to_owned(),
    }
}

/// Everything that a policy grants, as tables.
fn render(policy: &Policy, file: Option<&Path>) -> String {
    let mut text = String::new();
    let mut head = plain();
    let names: Vec<_> = policy.permissions().names().collect();
    let source = file.map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    for (name, value) in [
        ("policy", source),
        ("agent", policy.agent().to_owned()),
        ("description", policy.description().to_owned()),
        ("permissions", or_none(names.join(", "))),
        ("a run takes", take(policy)),
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
    for directory in policy.work_directories() {
        paths.add_row([
            directory.to_string(),
            Access::READ_WRITE.name().replace('_', " and "),
            "nowhere: in memory".to_owned(),
            place(policy.location("work"), file),
        ]);
    }
    let count = policy.grants().len() + policy.work_directories().count();
    section(&mut text, "files", count, &paths);

    let packages = policy.packages();
    if !packages.is_empty() {
        let mut table = columns(&["packages from", "sha256"]);
        for wheel in packages.wheels() {
            let file = wheel.file().display().to_string();
            table.add_row([file, wheel.sha256().to_owned()]);
        }
        for directory in packages.directories() {
            table.add_row([directory.display().to_string(), String::new()]);
        }
        section(&mut text, "packages", packages.paths().count(), &table);
    }

    if let Some(image) = policy.image() {
        let mut table = columns(&["starts from", "setup"]);
        let setup = image.setup().map(|setup| setup.display().to_string());
        let file = image.file().display().to_string();
        table.add_row([file, setup.unwrap_or_default()]);
        section(&mut text, "image", 1, &table);
    }

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

    let code = policy.source_rules();
    let list = |names: &NameSet| or_none(names.iter().collect::<Vec<_>>().join(", "));
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

    // What a tool reaches: servers, recipients, databases, where its secrets come from.
    let mut table = columns(&["told to tools", "value", "where"]);
    let mut count = 0;
    for (name, rules) in policy.tools() {
        for (key, value) in leaves(&rules.config) {
            let key = format!("tools.{name}.config.{key}");
            table.add_row([
                key.trim_start_matches("tools.").to_owned(),
                value.to_string(),
                place(policy.nearest_location(&key), file),
            ]);
            count += 1;
        }
    }
    if count > 0 {
        section(&mut text, "told to tools", count, &table);
    }
    text
}

/// A table as it is shown, or that there is nothing in it.
fn section(text: &mut String, title: &str, rows: usize, table: &Table) {
    let _ = match rows {
        0 => writeln!(text, "\n {title}: none"),
        _ => writeln!(text, "\n{}", table.trim_fmt()),
    };
}

/// Shows a place: the line, and the file if it is another one.
fn place(at: Option<&Location>, file: Option<&Path>) -> String {
    match at {
        Some(at) if file == Some(&*at.file) => format!("line {}", at.line),
        Some(at) => at.to_string(),
        None => String::new(),
    }
}
