//! `wardian policy suggest`: the lines of a policy that would allow what logs say was refused.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};
use wardian::audit::{Event, Record};
use wardian::{
    audit::FileOperation,
    policy::{Action, Limit, Permission, parse_url},
};

use crate::args::AuditRecords;
use crate::audit::each;
use crate::exit::Exit;
use crate::output::{print, print_json, remark};

/// A line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// The table that it belongs to; empty for the top.
    table: String,
    key: String,
    /// As TOML. An entry, if the key is a list.
    value: String,
    is_entry: bool,
    /// The effect of the line.
    grants: String,
}

/// Lines that would allow refusals, and refusals that no line would allow, each with its count.
#[derive(Default)]
struct Suggestions {
    lines: BTreeMap<Line, u64>,
    others: BTreeMap<String, u64>,
}

pub(crate) fn run(wanted: &AuditRecords) -> Result<Exit> {
    let mut suggestions = Suggestions::default();
    let exit = each(wanted, |record| {
        suggestions.read(&record);
        Ok(())
    })?;
    let Suggestions { lines, others } = &suggestions;
    if wanted.json {
        let lines = lines.iter().map(|(line, refusals)| {
            json!({
                "table": line.table, "key": line.key, "value": line.value,
                "grants": line.grants, "refusals": refusals,
            })
        });
        let others = others
            .iter()
            .map(|(reason, refusals)| json!({"reason": reason, "refusals": refusals}));
        print_json(&json!({
            "lines": lines.collect::<Value>(), "unsuggested": others.collect::<Value>(),
        }))?;
    } else if lines.is_empty() {
        remark("no line of a policy would allow more of what is in there");
    } else {
        print(&render(lines))?;
    }
    if !wanted.json {
        for (reason, refusals) in others {
            remark(&format!("no line for {reason} ({})", times(*refusals)));
        }
    }
    Ok(exit)
}

fn times(count: u64) -> String {
    match count {
        1 => "refused once".to_owned(),
        count => format!("refused {count} times"),
    }
}

/// The lines as a policy has them.
fn render(lines: &BTreeMap<Line, u64>) -> String {
    let mut text = String::from(
        "# Lines to add to the policy; entries belong into the lists that are there. Each allows what it says, to\n\
         # every script: add only what the scripts are meant to do.\n",
    );
    let (mut table, mut list) = (String::new(), String::new());
    for (line, refusals) in lines {
        if line.table != table || line.key != list {
            if !list.is_empty() {
                text.push_str("]\n");
            }
            list.clear();
        }
        if line.table != table {
            table.clone_from(&line.table);
            let _ = writeln!(text, "\n[{table}]");
        }
        let note = format!("# {}; {}", line.grants, times(*refusals));
        if !line.is_entry {
            let _ = writeln!(text, "{} = {}  {note}", line.key, line.value);
            continue;
        }
        if list.is_empty() {
            list.clone_from(&line.key);
            let _ = writeln!(text, "{list} = [");
        }
        let _ = writeln!(text, "    {},  {note}", line.value);
    }
    if !list.is_empty() {
        text.push_str("]\n");
    }
    text
}

impl Suggestions {
    fn line(&mut self, table: &str, key: &str, value: String, is_entry: bool, grants: String) {
        let line = Line {
            table: table.to_owned(),
            key: key.to_owned(),
            value,
            is_entry,
            grants,
        };
        *self.lines.entry(line).or_default() += 1;
    }

    fn entry(&mut self, table: &str, key: &str, value: &str, grants: impl Into<String>) {
        self.line(table, key, quoted(value), true, grants.into());
    }

    fn other(&mut self, reason: impl Into<String>) {
        *self.others.entry(reason.into()).or_default() += 1;
    }

    fn permission(&mut self, permission: Permission) {
        for name in permission.names() {
            self.entry("", "permissions", name, what_it_permits(permission));
        }
    }

    fn read(&mut self, record: &Record) {
        let data = &record.data;
        match &record.event {
            Event::File {
                operation,
                allowed: false,
                rule,
            } => {
                let path = data.path.as_deref().unwrap_or_default();
                self.file(*operation, path, rule);
            }
            Event::ToolFinished {
                tool,
                action,
                allowed: false,
                rule,
                ..
            } => {
                let called = tool.as_deref().or(data.tool.as_deref()).unwrap_or_default();
                let action = action.as_deref().and_then(|action| action.parse().ok());
                self.tool(called, action, rule, record);
            }
            Event::Rejected { .. } => {
                for violation in &data.violations {
                    self.source(violation);
                }
            }
            Event::Limit {
                limit, used, max, ..
            } => self.limit(limit, *used, *max),
            _ => {}
        }
    }

    fn file(&mut self, operation: FileOperation, path: &str, rule: &str) {
        let reads = matches!(
            operation,
            FileOperation::Read | FileOperation::Stat | FileOperation::ReadLink
        );
        let (access, permission) = if reads {
            ("read", Permission::READ_FILE)
        } else {
            ("read_write", Permission::READ_FILE | Permission::WRITE_FILE)
        };
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if rule.starts_with("limits.") {
            return self.other(format!("{path}: it is over `{rule}`"));
        }
        if !rule.starts_with("permissions") && !rule.starts_with("allowed_paths") {
            return self.other(format!("{path}: {rule}"));
        }
        if operation == FileOperation::Symlink {
            return self.other(format!("{path}: symbolic links are never made"));
        }
        if directory.is_empty() {
            return self.other(format!(
                "{path}: only directories can be granted; keep the file in one"
            ));
        }
        self.permission(permission);
        let may = if reads {
            "read every file in that directory"
        } else {
            "read, create, change and remove every file in that directory"
        };
        let host = directory.trim_start_matches('/');
        let entry = format!(
            "{{ path = {}, host = {}, access = {access:?} }}",
            quoted(directory),
            quoted(host)
        );
        let grants = format!("{may}, which is `host` relative to the policy");
        self.line("", "allowed_paths", entry, true, grants);
    }

    fn tool(&mut self, tool: &str, action: Option<Action>, rule: &str, record: &Record) {
        let table = format!("tools.{tool}");
        let resource = record.data.resource.join(", ");
        let args = record.data.args.as_ref().map(|args| &args.args);
        match rule.strip_prefix(&format!("{table}.")) {
            Some("max_calls") => {
                let grants = format!("more calls of {tool} in a run");
                return self.line(&table, "max_calls", "100".to_owned(), false, grants);
            }
            Some("approval") => {
                return self.other(format!("{tool}: nobody has approved of it"));
            }
            Some(part) => {
                let argument = part.strip_prefix("args.");
                let value = argument.and_then(|name| args?.get(name));
                return match (argument, value) {
                    (Some(name), Some(value)) if is_plain(value) => {
                        let entry = format!("{{ one_of = [{value}] }}");
                        let grants =
                            format!("{tool} with this `{name}`, in place of what is there");
                        self.line(&format!("{table}.args"), name, entry, false, grants);
                    }
                    _ => self.other(format!("{tool} on {resource:?}: `{rule}` decides")),
                };
            }
            None => {}
        }
        match rule {
            "permissions" => match action {
                Some(action) => self.permission(action.permission()),
                None => self.other(format!("{tool}: {rule}")),
            },
            "tools" if wardian_tools::names().any(|ready| ready == tool) => {
                let grants = format!("calls of {tool}; `config` says what it reaches");
                self.line(&table, "max_calls", "10".to_owned(), false, grants);
            }
            "tools" => self.other(format!("{tool}: there is no such tool")),
            "allowed_domains" => match parse_url(&resource) {
                Ok(url) => {
                    let origin = url.origin().ascii_serialization();
                    let entry = origin.strip_prefix("https://").unwrap_or(&origin);
                    let grants = format!("requests to every path of {origin}");
                    self.entry("", "allowed_domains", entry, grants);
                }
                Err(_) => self.other(format!("{tool} on {resource:?}: it is no URL")),
            },
            rule if rule.starts_with("allowed_paths") => {
                let operation = match action {
                    Some(Action::WriteFile) => FileOperation::Write,
                    _ => FileOperation::Read,
                };
                self.file(operation, &resource, rule);
            }
            _ => self.other(format!("{tool} on {resource:?}: `{rule}` decides")),
        }
    }

    /// A rule about source that was broken: `1:8: Not in whitelist: numpy`.
    fn source(&mut self, violation: &str) {
        let message = violation.splitn(3, ':').nth(2).unwrap_or_default().trim();
        let (what, name) = message.split_once(": ").unwrap_or_default();
        let name = name.split([';', ' ', '(']).next().unwrap_or_default();
        match what {
            "Forbidden import" | "Not in whitelist" => {
                let grants = format!("`import {name}`, if the interpreter has it");
                self.entry("source", "allow_imports", name, grants);
            }
            "Forbidden call" => {
                self.entry("source", "allow_calls", name, format!("calls of {name}()"));
            }
            _ => self.other(message),
        }
    }

    fn limit(&mut self, key: &str, used: u64, most: u64) {
        let Some(limit) = Limit::ALL.into_iter().find(|limit| limit.key() == key) else {
            return self.other(key);
        };
        // The record has milliseconds, and limits of time are in nanoseconds.
        let unit = match limit {
            Limit::Timeout | Limit::SessionTime => 1_000_000,
            _ => 1,
        };
        let wanted = used.max(most).saturating_mul(2).saturating_mul(unit);
        let amount = limit.show(wardian::policy::Allowance::AtMost(wanted));
        let name = key.strip_prefix("limits.").unwrap_or(key);
        let grants = "twice as much as the run has used".to_owned();
        self.line("limits", name, amount_as_toml(&amount), false, grants);
    }
}

/// Writes an amount as a policy has it: a number as it is, everything else as a text.
fn amount_as_toml(amount: &str) -> String {
    match amount.parse::<f64>() {
        Ok(_) => amount.to_owned(),
        Err(_) => quoted(amount),
    }
}

fn is_plain(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}

/// A text as TOML has it, which takes JSON's strings.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn what_it_permits(permission: Permission) -> &'static str {
    match permission {
        Permission::READ_FILE => "reading in granted directories",
        Permission::WRITE_FILE => "creating, changing and removing in granted directories",
        Permission::EXECUTE_CODE => "running code",
        Permission::NETWORK_ACCESS => "requests to granted domains, through tools",
        Permission::DATABASE_READ => "querying databases, through tools",
        Permission::DATABASE_WRITE => "changing databases, through tools",
        Permission::SEND_EMAIL => "sending mail, through tools",
        _ => "reading and writing in granted directories",
    }
}
