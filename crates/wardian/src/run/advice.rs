//! Advice about an outcome, in one sentence each. Each is true of the policy that the run had: who
//! does what it says gets further.

use std::collections::BTreeSet;

use wardian_abi::{Raised, SourceRule, Violation};
use wardian_audit::FileOperation;
use wardian_policy::{Action, Limit, Policy, Profile, is_identifier};

use super::{Outcome, Verdict};
use crate::ledger::{Attempt, Refusal};
use crate::modules::modules;

const CHARTS: &str = "`wardian.plot` and `matplotlib.pyplot` draw charts";
const SHEETS: &str = "`wardian.sheets` reads and writes spreadsheets";

/// Modules that people import and that are not here: what there is instead.
const INSTEAD: &[(&str, &str)] = &[
    ("aiohttp", "http"),
    ("bs4", "`html.parser` and `re` read HTML"),
    ("ctypes", "there is no native code"),
    (
        "dateutil",
        "`datetime` and `zoneinfo` read and compute dates",
    ),
    ("httpx", "http"),
    ("multiprocessing", "a script has one processor"),
    ("numpy", "`math`, `statistics`, `array` and lists compute"),
    ("openpyxl", SHEETS),
    (
        "os",
        "`open()` and `pathlib` reach the files in granted directories",
    ),
    (
        "pandas",
        "`csv`, `json`, `statistics` and `collections` read and count",
    ),
    ("plotly", CHARTS),
    ("psycopg", "database"),
    ("psycopg2", "database"),
    ("requests", "http"),
    ("scipy", "`math`, `statistics` and `fractions` compute"),
    ("seaborn", CHARTS),
    (
        "shutil",
        "`open()` and `pathlib` reach the files in granted directories",
    ),
    ("signal", "limits stop a script"),
    ("smtplib", "mail"),
    ("socket", "http"),
    ("sqlite3", "database"),
    ("ssl", "http"),
    ("subprocess", "a script starts no processes"),
    (
        "sys",
        "`print` writes, `input` variables are set by the host",
    ),
    (
        "threading",
        "`asyncio` has several calls of tools at work at once",
    ),
    ("toml", "`tomllib` reads TOML"),
    ("urllib", "http"),
    ("http", "http"),
    ("xlrd", SHEETS),
    ("xlsxwriter", SHEETS),
    ("yaml", "`json` and `tomllib` read settings"),
];

/// Advice about an outcome, under the policy that the run had.
pub(crate) fn advise(outcome: &Outcome, policy: &Policy) -> Vec<String> {
    let mut advice = Vec::new();
    match &outcome.verdict {
        Verdict::Rejected { violations } => {
            for module in violations.iter().filter_map(refused_import) {
                advice.push(import(module, policy));
            }
            let mut calls = violations
                .iter()
                .filter(|found| found.rule == SourceRule::Call);
            if calls.next().is_some() {
                advice.push(format!(
                    "the profile `{}` forbids the call; {}",
                    policy.source_rules().profile.name(),
                    looser(policy, "source.allow_calls"),
                ));
            }
            if violations
                .iter()
                .any(|found| found.rule == SourceRule::SourceBytes)
            {
                advice.push(raise("limits.source", None, policy));
            }
        }
        Verdict::Raised(Raised {
            r#type, message, ..
        }) => match (r#type.as_str(), quoted(message)) {
            ("ModuleNotFoundError", Some(module)) => advice.push(import(module, policy)),
            ("ImportError", _) => {
                let module = message.strip_prefix("Not in whitelist: ");
                if let Some(module) = module.filter(|name| is_name(name)) {
                    advice.push(import(module, policy));
                }
            }
            ("AttributeError", Some(tool)) if message.starts_with("no tool is called") => {
                advice.push(format!(
                    "`[tools.{tool}]` in a policy grants the tool, with the permission for what it does"
                ));
            }
            ("NameError", Some("tools" | "aio" | "wardian")) => {
                advice.push(tools(policy));
            }
            ("MemoryError", _) => advice.push(raise("limits.memory", Some("--memory"), policy)),
            _ => {}
        },
        Verdict::Denied { rule, .. } => {
            let at = policy.location(rule).map(|at| format!(" ({at})"));
            let at = at.unwrap_or_default();
            advice.push(format!("add \"EXECUTE_CODE\" to `permissions`{at}"));
        }
        Verdict::Limit { limit, .. } => {
            let flag = match limit {
                Limit::Timeout => Some("--timeout"),
                Limit::Fuel => Some("--fuel"),
                Limit::Memory => Some("--memory"),
                _ => None,
            };
            advice.push(raise(limit.key(), flag, policy));
        }
        _ => {}
    }
    for (output, limit) in [
        (&outcome.stdout, Limit::Stdout),
        (&outcome.stderr, Limit::Stderr),
    ] {
        if output.truncated {
            advice.push(raise(limit.key(), None, policy));
        }
    }
    if outcome.displays_omitted > 0 {
        let limits = policy.limits();
        let is_full = outcome.displays.len() as u64 >= limits.get(Limit::Displays).or_max();
        let limit = if is_full {
            Limit::Displays
        } else {
            Limit::DisplayBytes
        };
        advice.push(raise(limit.key(), None, policy));
    }
    for refusal in &outcome.refusals.first {
        advice.extend(allow(refusal, policy));
    }
    let mut told = BTreeSet::new();
    advice.retain(|line| told.insert(line.clone()));
    advice
}

/// Says which flag raises a limit where no policy sets it, else which key.
fn raise(key: &str, flag: Option<&str>, policy: &Policy) -> String {
    match (policy.file(), flag, policy.location(key)) {
        (None, Some(flag), _) => format!("{flag} raises the limit, or `{key}` in a policy"),
        (None, None, _) => format!("`{key}` in a policy raises the limit"),
        (Some(_), _, Some(at)) => format!("`{key}` raises the limit, at {at}"),
        (Some(file), ..) => format!(
            "`{key}` raises the limit, which {} leaves at its default",
            file.display()
        ),
    }
}

/// Says which flag or key allows more source.
fn looser(policy: &Policy, key: &str) -> String {
    match policy.file() {
        Some(file) => format!("`{key}` in {} changes that", file.display()),
        None => "--profile names another, and `[source]` in a policy changes its lists".to_owned(),
    }
}

/// The module that a rule about source refuses.
fn refused_import(violation: &Violation) -> Option<&str> {
    let refused = violation.message.strip_prefix("Not in whitelist: ");
    let refused = refused.or_else(|| violation.message.strip_prefix("Forbidden import: "));
    refused.filter(|_| violation.rule == SourceRule::Import)
}

/// The name in a message: `No module named 'x.y'`. A script can raise what it likes, so nothing but
/// a name is taken over.
fn quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1).filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.split('.').all(is_identifier)
}

/// Says which flag or key lets a module be imported, or names a substitute.
fn import(module: &str, policy: &Policy) -> String {
    let package = module.split('.').next().unwrap_or(module);
    if ["tools", "aio"].contains(&package) {
        return tools(policy);
    }
    let instead = INSTEAD.iter().find(|(name, _)| *name == package);
    let is_there = modules().any(|there| there == module);
    let what = match instead {
        Some((_, "http")) => tool_for(policy, Action::HttpRequest, "http_request"),
        Some((_, "database")) => tool_for(policy, Action::DbRead, "db_query"),
        Some((_, "mail")) => tool_for(policy, Action::SendEmail, "send_email"),
        Some((_, what)) => (*what).to_owned(),
        None if is_there => String::new(),
        None => {
            let names: Vec<_> = modules().collect();
            match wardian_policy::nearest(package, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "there are Python's standard library, the script's own modules (--module FILE) and a policy's `[packages]`"
                        .to_owned()
                }
            }
        }
    };
    if !is_there {
        return format!("there is no module {module}: {what}");
    }
    let allowed = looser(policy, "source.allow_imports");
    let profile = policy.source_rules().profile.name();
    match (what.is_empty(), policy.source_rules().profile) {
        (true, Profile::Open) => format!("`{module}` is not allowed; {allowed}"),
        (true, _) => format!("the profile `{profile}` does not allow {module}; {allowed}"),
        (false, _) => {
            format!("the profile `{profile}` does not allow {module}: {what}; {allowed}")
        }
    }
}

/// The tool that does what a module would be for.
fn tool_for(policy: &Policy, action: Action, ready: &str) -> String {
    let granted =
        policy.tools().contains_key(ready) && policy.permissions().contains(action.permission());
    if granted {
        format!("`from wardian import tools` has tools.{ready}()")
    } else {
        format!("a policy that grants `[tools.{ready}]` has a tool for that")
    }
}

fn tools(policy: &Policy) -> String {
    if !policy.tools().is_empty() {
        "write `from wardian import tools`, or `aio` for those to be awaited".to_owned()
    } else {
        "the policy grants no tool: `[tools.NAME]` in it does, and `from wardian import tools` has it"
                .to_owned()
    }
}

/// Says which flag or line of a policy allows something that was refused, if one does.
fn allow(refusal: &Refusal, policy: &Policy) -> Option<String> {
    match &refusal.attempt {
        Attempt::File {
            operation, path, ..
        } => allow_file(*operation, path, &refusal.rule, policy),
        Attempt::Tool { tool, resource } => allow_call(tool, resource, &refusal.rule),
    }
}

fn allow_call(tool: &str, resource: &str, rule: &str) -> Option<String> {
    if rule == "allowed_domains" {
        let url = wardian_policy::parse_url(resource).ok()?;
        let origin = url.origin().ascii_serialization();
        let entry = origin.strip_prefix("https://").unwrap_or(&origin);
        return Some(format!(
            "to allow requests to {origin}, add \"{entry}\" to `allowed_domains`"
        ));
    }
    // The name of a tool that is granted: another has no rule of its own.
    let part = rule.strip_prefix("tools.")?.strip_prefix(tool)?;
    match part {
        ".max_calls" => Some(format!(
            "to allow more calls of {tool} in a run, raise `{rule}`"
        )),
        ".config.recipients" => Some(format!(
            "to allow mail to {}, add it to `{rule}`",
            resource.escape_debug()
        )),
        part if part.starts_with(".args.") => Some(format!(
            "`{rule}` in the policy says what the argument can be"
        )),
        _ => None,
    }
}

fn allow_file(operation: FileOperation, path: &str, rule: &str, policy: &Policy) -> Option<String> {
    let (verb, flag, access) = match operation {
        // Libraries look for files all the time.
        FileOperation::Stat | FileOperation::Symlink => return None,
        FileOperation::Read | FileOperation::ReadLink => ("read", "--read", "read"),
        _ => ("write", "--write", "read_write"),
    };
    if !(rule == "permissions" || rule.starts_with("allowed_paths")) {
        return None;
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if directory.is_empty() {
        return Some(format!(
            "only directories can be granted: keep {} in one",
            path.escape_debug()
        ));
    }
    let shown = directory.escape_debug();
    Some(match policy.file() {
        None => format!(
            "to let the script {verb} there: {flag} {shown}=DIR, where DIR is on this machine"
        ),
        Some(_) => {
            let permission = match access {
                "read" => "READ_FILE",
                _ => "READ_FILE\", \"WRITE_FILE",
            };
            format!(
                "to let the script {verb} there, `permissions` need \"{permission}\", and `allowed_paths` \
                 {{ path = \"{shown}\", host = \"DIR\", access = \"{access}\" }}"
            )
        }
    })
}
