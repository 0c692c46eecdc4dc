//! `wardian audit`: reads a log back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde_json::json;
use wardian::audit::{Event, Record, VerifyError, records, verify};

use crate::args::{AuditCommand, AuditRecords};
use crate::display::Escaper;
use crate::exit::{self, Exit, Usage};
use crate::output::{columns, print, print_json, remark};

/// How many of the most refused resources a summary names.
const TOP: usize = 10;

pub(crate) fn run(command: AuditCommand) -> Result<Exit> {
    match command {
        AuditCommand::Show(records) => show(&records),
        AuditCommand::Verify { file, head, json } => check(&file, head.as_deref(), json),
        AuditCommand::Summary(records) => summary(&records),
    }
}

fn open(file: &Path) -> Result<BufReader<File>> {
    let cannot = |error| Usage(format!("cannot read {}: {error}", file.display()));
    Ok(BufReader::new(File::open(file).map_err(cannot)?))
}

/// Verifies a log, and does what `take` does with every record that the filter lets through, up to the first line that is
/// not as it was written.
fn each(wanted: &AuditRecords, mut take: impl FnMut(Record) -> Result<()>) -> Result<Exit> {
    let now = SystemTime::now();
    let since = wanted
        .since
        .as_deref()
        .map(|text| since(text, now))
        .transpose()?;
    let verified = verify(open(&wanted.file)?);
    let intact = match &verified {
        Ok(verified) => verified.records,
        Err(VerifyError::Broken(broken)) => broken.intact,
        Err(_) => 0,
    };
    let intact = usize::try_from(intact).unwrap_or(usize::MAX);
    for record in records(open(&wanted.file)?).take(intact) {
        let record = record?;
        if passes(&record, wanted, since) {
            take(record)?;
        }
    }
    match verified {
        Ok(_) => Ok(Exit::SUCCESS),
        Err(error) => {
            remark(
                "the log is not as it was written; what is shown are the records before the first line that is not",
            );
            broken(&wanted.file, &error.into())
        }
    }
}

/// A point in time, or how long ago it was.
fn since(text: &str, now: SystemTime) -> Result<SystemTime> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    humantime::parse_rfc3339_weak(text).map_err(|_| {
        let why = format!(
            "--since {text:?} is no time; write `2026-11-23T12:00:00Z`, or `1h` for an hour ago"
        );
        Usage(why).into()
    })
}

fn passes(record: &Record, wanted: &AuditRecords, since: Option<SystemTime>) -> bool {
    let AuditRecords {
        denied,
        agent,
        tool,
        ..
    } = wanted;
    let is_denied =
        || record.event.allowed() == Some(false) || matches!(record.event, Event::Limit { .. });
    let is_late = |since| humantime::parse_rfc3339(&record.ts).is_ok_and(|at| at >= since);
    (!denied || is_denied())
        && agent.as_ref().is_none_or(|agent| *agent == record.agent)
        && tool
            .as_deref()
            .is_none_or(|tool| tool_of(record) == Some(tool))
        && since.is_none_or(is_late)
}

fn tool_of(record: &Record) -> Option<&str> {
    match &record.event {
        Event::ToolStarted { tool, .. } => Some(tool),
        Event::ToolFinished { tool, .. } => tool.as_deref().or(record.data.tool.as_deref()),
        _ => None,
    }
}

fn show(wanted: &AuditRecords) -> Result<Exit> {
    let out = AutoStream::auto(std::io::stdout().lock());
    let mut out = BufWriter::new(out);
    let mut day = String::new();
    let ended = each(wanted, |record| {
        let written = match wanted.json {
            true => writeln!(out, "{}", serde_json::to_string(&record)?),
            false => line(&mut out, &record, &mut day),
        };
        written.map_err(exit::cannot_write)
    });
    out.flush().map_err(exit::cannot_write)?;
    ended
}

/// One record of the timeline.
fn line(out: &mut impl Write, record: &Record, day: &mut String) -> std::io::Result<()> {
    let (date, time) = record.ts.split_once('T').unwrap_or(("", &record.ts));
    if date != day {
        let gap = if day.is_empty() { "" } else { "\n" };
        let bold = Style::new().bold();
        writeln!(out, "{gap}{bold}{date} (UTC){bold:#}")?;
        date.clone_into(day);
    }
    let shown = Shown::of(record);
    let time = time.get(..12).unwrap_or(time);
    // The end of a run's name is its random part.
    let run = record
        .run
        .get(record.run.len().saturating_sub(6)..)
        .unwrap_or(&record.run);
    let (dim, style) = (Style::new().dimmed(), shown.style);
    let what = fit(&shown.what, 13);
    let on = fit(&shown.on, 44);
    let note = plain(&shown.note);
    let rest = format!("{:>11}  {note}", shown.duration);
    let (decision, rest) = match rest.trim_end() {
        "" => (shown.decision, ""),
        rest => (fit(&shown.decision, 8), rest),
    };
    writeln!(
        out,
        "{time}  {dim}{run}{dim:#}  {what}  {on}  {style}{decision}{style:#}{rest}"
    )
}

fn plain(text: &str) -> String {
    Escaper::default()
        .push(text.as_bytes())
        .replace(['\n', '\t'], " ")
}

/// The text, exactly `width` characters wide; of a long one the start and the end are kept.
fn fit(text: &str, width: usize) -> String {
    let text = plain(text);
    let len = text.chars().count();
    if len <= width {
        return format!("{text:<width$}");
    }
    let head: String = text.chars().take(width / 2).collect();
    let tail: String = text.chars().skip(len - (width - 1 - width / 2)).collect();
    format!("{head}…{tail}")
}

/// What is shown of a record.
struct Shown {
    what: String,
    on: String,
    decision: String,
    style: Style,
    duration: String,
    note: String,
}

impl Shown {
    fn of(record: &Record) -> Self {
        let Record { event, data, .. } = record;
        let none = String::new;
        let error = || data.error.clone().unwrap_or_default();
        let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into()));
        let refused = || ("REFUSED".to_owned(), red);
        let (what, on, (decision, style), duration, note) = match event {
            Event::RunStarted {
                source_sha256,
                policy_sha256,
                ..
            } => {
                let start = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
                let source = source_sha256.as_deref().map_or_else(
                    || "host code".to_owned(),
                    |hash| format!("source {}", start(hash)),
                );
                let on = format!("{source}, policy {}", start(policy_sha256));
                (
                    "run starts".to_owned(),
                    on,
                    (none(), Style::new()),
                    none(),
                    record.agent.clone(),
                )
            }
            Event::Rejected { violations } => {
                let note = data.violations.first().cloned().unwrap_or_default();
                (
                    "screening".to_owned(),
                    format!("{violations} rules broken"),
                    refused(),
                    none(),
                    note,
                )
            }
            Event::File {
                operation,
                allowed,
                rule,
            } => {
                let paths = [&data.path, &data.to].map(|path| path.clone().unwrap_or_default());
                let on = paths.join(" ").trim_end().to_owned();
                let decision = if *allowed {
                    ("allowed".to_owned(), green)
                } else {
                    refused()
                };
                let note = if *allowed {
                    none()
                } else {
                    format!("{rule}: {}", error())
                };
                (
                    format!("file {}", operation.verb()),
                    on,
                    decision,
                    none(),
                    note,
                )
            }
            Event::ToolStarted {
                tool, approved_by, ..
            } => {
                let note = approved_by.as_ref().map(|by| format!("approved by {by}"));
                let started = ("starts".to_owned(), Style::new().dimmed());
                (
                    tool.clone(),
                    data.resource.join(", "),
                    started,
                    none(),
                    note.unwrap_or_default(),
                )
            }
            Event::ToolFinished {
                allowed,
                success,
                rule,
                duration_us,
                reply_bytes,
                ..
            } => {
                let tool = tool_of(record).unwrap_or_default().to_owned();
                let (decision, note) = match (allowed, success) {
                    (false, _) => (refused(), format!("{rule}: {}", error())),
                    (true, true) => (("done".to_owned(), green), format!("{reply_bytes} bytes")),
                    (true, false) => (("failed".to_owned(), yellow), error()),
                };
                (
                    tool,
                    data.resource.join(", "),
                    decision,
                    took(*duration_us),
                    note,
                )
            }
            Event::Limit { limit, used, most } => (
                limit.clone(),
                format!("{used} of {most}"),
                ("STOPPED".to_owned(), red),
                none(),
                none(),
            ),
            Event::RunFinished {
                verdict,
                duration_us,
                tool_calls,
                refusals,
                code,
                ..
            } => {
                let code = code.map(|code| format!(" with {code}")).unwrap_or_default();
                let note = format!("{tool_calls} calls, {refusals} refused");
                let ended = (none(), Style::new());
                (
                    "run ends".to_owned(),
                    format!("{verdict}{code}"),
                    ended,
                    took(*duration_us),
                    note,
                )
            }
            other => (
                other.name().to_owned(),
                none(),
                (none(), Style::new()),
                none(),
                none(),
            ),
        };
        Self {
            what,
            on,
            decision,
            style,
            duration,
            note,
        }
    }
}

fn took(us: u64) -> String {
    match Duration::from_micros(us) {
        time if us < 1_000 => format!("{} µs", time.as_micros()),
        time if us < 1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        time => format!("{:.2} s", time.as_secs_f64()),
    }
}

fn check(file: &Path, head: Option<&str>, json: bool) -> Result<Exit> {
    let verified = match verify(open(file)?) {
        Ok(verified) => verified,
        Err(error) if json => {
            let VerifyError::Broken(broken) = &error else {
                return Err(error.into());
            };
            print_json(
                &json!({"ok": false, "line": broken.line, "why": broken.why, "intact": broken.intact}),
            )?;
            return Ok(Exit::BROKEN);
        }
        Err(error) => return broken(file, &error.into()),
    };
    let kept = match head {
        Some(head) => {
            records(open(file)?).any(|record| record.is_ok_and(|record| record.hash == head))
        }
        None => true,
    };
    let calls = verified.open_calls.iter();
    if json {
        let calls = calls.map(|call| {
            json!({"line": call.line, "run": call.run, "call": call.call, "tool": call.tool})
        });
        print_json(&json!({
            "ok": kept,
            "records": verified.records,
            "head": verified.head.hash,
            "open_runs": verified.open_runs,
            "open_calls": calls.collect::<Vec<_>>(),
        }))?;
    } else if kept {
        print(&format!(
            "{}: ok, {} records\n  head {}\n",
            file.display(),
            verified.records,
            verified.head.hash
        ))?;
        for run in &verified.open_runs {
            print(&format!(
                "  run {run} has not ended: it goes on, or its process died\n"
            ))?;
        }
        for call in calls {
            let (line, tool, number) = (call.line, &call.tool, call.call);
            print(&format!(
                "  line {line}: call {number}, of {tool}, has started and not ended\n"
            ))?;
        }
    } else {
        let why = format!(
            "{}: the record with hash {} is missing: the end was cut off",
            file.display(),
            head.unwrap_or_default()
        );
        exit::say(&why);
    }
    Ok(if kept { Exit::SUCCESS } else { Exit::BROKEN })
}

fn broken(file: &Path, error: &anyhow::Error) -> Result<Exit> {
    exit::say(&format!("{}: {error}", file.display()));
    Ok(Exit::BROKEN)
}

fn summary(wanted: &AuditRecords) -> Result<Exit> {
    let mut counts: BTreeMap<(String, String, &'static str), u64> = BTreeMap::new();
    let mut refused: BTreeMap<(String, String), u64> = BTreeMap::new();
    let exit = each(wanted, |record| {
        let Some((action, decision)) = counted(&record) else {
            return Ok(());
        };
        if decision == "refused" {
            let data = &record.data;
            let resource = data
                .path
                .clone()
                .unwrap_or_else(|| data.resource.join(", "));
            *refused.entry((action.clone(), resource)).or_default() += 1;
        }
        *counts.entry((record.agent, action, decision)).or_default() += 1;
        Ok(())
    })?;
    let mut top: Vec<_> = refused.into_iter().collect();
    top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    top.truncate(TOP);
    if wanted.json {
        let counts: Vec<_> = counts
            .into_iter()
            .map(|((agent, action, decision), count)| {
                json!({"agent": agent, "action": action, "decision": decision, "count": count})
            })
            .collect();
        let top: Vec<_> = top
            .into_iter()
            .map(|((action, resource), count)| {
                json!({"action": action, "resource": resource, "count": count})
            })
            .collect();
        print_json(&json!({"counts": counts, "top_refused": top}))?;
        return Ok(exit);
    }
    let mut table = columns(&["agent", "action", "decision", "count"]);
    for ((agent, action, decision), count) in &counts {
        table.add_row([agent, action, *decision, &count.to_string()]);
    }
    print(&format!("{}\n", table.trim_fmt()))?;
    if !top.is_empty() {
        let mut table = columns(&["refused most", "resource", "count"]);
        for ((action, resource), count) in &top {
            table.add_row([action.clone(), plain(resource), count.to_string()]);
        }
        print(&format!("\n{}\n", table.trim_fmt()))?;
    }
    Ok(exit)
}

/// What a record counts as: an action, and what became of it.
fn counted(record: &Record) -> Option<(String, &'static str)> {
    let answer = |allowed: bool| if allowed { "allowed" } else { "refused" };
    match &record.event {
        Event::File {
            operation, allowed, ..
        } => Some((format!("file {}", operation.verb()), answer(*allowed))),
        Event::ToolFinished {
            action,
            allowed,
            success,
            ..
        } => {
            let action = action.clone().unwrap_or_else(|| "unknown tool".to_owned());
            let failed = *allowed && !success;
            Some((action, if failed { "failed" } else { answer(*allowed) }))
        }
        Event::Rejected { .. } => Some(("screening".to_owned(), "refused")),
        Event::Limit { limit, .. } => Some((limit.clone(), "stopped")),
        Event::RunFinished { verdict, .. } => Some((format!("run {verdict}"), "ended")),
        _ => None,
    }
}
