//! `wardian audit`: reads a log back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde_json::json;
use wardian::audit::{Event, Head, Record, Verified, VerifyError, records, verify, verify_after};

use crate::args::{AuditCommand, AuditRecords};
use crate::display::Escaper;
use crate::exit::{self, Exit, Usage};
use crate::output::{columns, print, print_json, remark};
use crate::run::is_dash;

/// The most refused resources that a summary names.
const MAX_SUMMARY_ROWS: usize = 10;

pub(crate) fn run(command: AuditCommand) -> Result<Exit> {
    match command {
        AuditCommand::Show { records, follow } => show(&records, follow),
        AuditCommand::Verify { file, head, json } => check(&file, head.as_deref(), json),
        AuditCommand::Summary(records) => summary(&records),
    }
}

/// A log that is read more than once: to verify it, and for its records.
enum Source<'f> {
    File(&'f Path),
    /// Standard input, to its end.
    Stdin(Vec<u8>),
}

impl<'f> Source<'f> {
    fn new(file: &'f Path) -> Result<Self> {
        if !is_dash(file) {
            return Ok(Self::File(file));
        }
        let mut bytes = Vec::new();
        let cannot = |error| Usage(format!("cannot read standard input: {error}"));
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(cannot)?;
        Ok(Self::Stdin(bytes))
    }

    fn open(&self) -> Result<Box<dyn BufRead + '_>> {
        Ok(match self {
            Self::File(file) => Box::new(open(file)?),
            Self::Stdin(bytes) => Box::new(&**bytes),
        })
    }
}

fn open(file: &Path) -> Result<BufReader<File>> {
    let cannot = |error| Usage(format!("cannot read {}: {error}", file.display()));
    Ok(BufReader::new(File::open(file).map_err(cannot)?))
}

/// Counts the records of a log that are as they were written, up to the first that is not.
fn intact(verified: &std::result::Result<Verified, VerifyError>) -> usize {
    let intact = match verified {
        Ok(verified) => verified.records,
        Err(VerifyError::Broken(broken)) => broken.intact,
        Err(_) => 0,
    };
    usize::try_from(intact).unwrap_or(usize::MAX)
}

/// The records that are asked for.
struct Filter<'a> {
    wanted: &'a AuditRecords,
    since: Option<SystemTime>,
}

impl<'a> Filter<'a> {
    fn new(wanted: &'a AuditRecords) -> Result<Self> {
        let now = SystemTime::now();
        let since = wanted.since.as_deref();
        let since = since.map(|text| since_time(text, now)).transpose()?;
        Ok(Self { wanted, since })
    }

    fn passes(&self, record: &Record) -> bool {
        let AuditRecords {
            refused,
            agent,
            tool,
            run,
            ..
        } = self.wanted;
        let is_refused =
            || record.event.allowed() == Some(false) || matches!(record.event, Event::Limit { .. });
        let is_late = |since| humantime::parse_rfc3339(&record.ts).is_ok_and(|at| at >= since);
        (!refused || is_refused())
            && agent.as_ref().is_none_or(|agent| *agent == record.agent)
            && run
                .as_ref()
                .is_none_or(|run| record.run.ends_with(run.as_str()))
            && tool
                .as_deref()
                .is_none_or(|tool| tool_of(record) == Some(tool))
            && self.since.is_none_or(is_late)
    }
}

/// Verifies logs, and does what `take` does with every record that the filter lets through, of each
/// log up to the first line that is not as it was written. Says so if there is none.
pub(crate) fn each(
    wanted: &AuditRecords,
    mut take: impl FnMut(Record) -> Result<()>,
) -> Result<Exit> {
    let filter = Filter::new(wanted)?;
    let (mut exit, mut all, mut passed) = (Exit::SUCCESS, 0_usize, 0_usize);
    for file in &wanted.files {
        let source = Source::new(file)?;
        let verified = verify(source.open()?);
        let intact = intact(&verified);
        all += intact;
        for record in records(source.open()?).take(intact) {
            let record = record?;
            if filter.passes(&record) {
                passed += 1;
                take(record)?;
            }
        }
        if let Err(error) = verified {
            remark(
                "the log is not as it was written; what is shown are the records before the first line that is not",
            );
            exit = broken(file, &error.into())?;
        }
    }
    if passed == 0 {
        remark(&match all {
            0 => "there are no records".to_owned(),
            all => format!("none of the {all} records is what was asked for"),
        });
    }
    Ok(exit)
}

/// A point in time, or how long ago it was.
fn since_time(text: &str, now: SystemTime) -> Result<SystemTime> {
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

fn tool_of(record: &Record) -> Option<&str> {
    match &record.event {
        Event::ToolStarted { tool, .. } => Some(tool),
        Event::ToolFinished { tool, .. } => tool.as_deref().or(record.data.tool.as_deref()),
        _ => None,
    }
}

fn show(wanted: &AuditRecords, follow: bool) -> Result<Exit> {
    let followed = match (follow, wanted.files.as_slice()) {
        (false, _) => None,
        (true, [file]) if !is_dash(file) => Some(file),
        (true, _) => {
            let why = "--follow takes one file, which is not standard input";
            return Err(Usage(why.to_owned()).into());
        }
    };
    let out = AutoStream::auto(std::io::stdout().lock());
    let mut out = BufWriter::new(out);
    let mut day = String::new();
    let mut shown = |out: &mut BufWriter<_>, record: &Record| {
        let written = if wanted.json {
            writeln!(out, "{}", serde_json::to_string(record)?)
        } else {
            line(out, record, &mut day)
        };
        written.map_err(exit::cannot_write)
    };
    if let Some(file) = followed {
        let filter = Filter::new(wanted)?;
        return follow_log(file, |record| {
            if let Some(record) = record.filter(|record| filter.passes(record)) {
                return shown(&mut out, record);
            }
            out.flush().map_err(exit::cannot_write)
        });
    }
    let ended = each(wanted, |record| shown(&mut out, &record));
    out.flush().map_err(exit::cannot_write)?;
    ended
}

/// Time between two looks at a log that is followed.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Does what `take` does with every record of a log, and with those that are added to it; with
/// nothing after each look. Ends with the first line that does not follow the one before.
fn follow_log(file: &Path, mut take: impl FnMut(Option<&Record>) -> Result<()>) -> Result<Exit> {
    let cannot = |error| Usage(format!("cannot read {}: {error}", file.display()));
    let mut log = File::open(file).map_err(cannot)?;
    let mut head = Head::default();
    let mut added = Vec::new();
    loop {
        let read = log.read_to_end(&mut added).map_err(cannot)?;
        // The last line may be on its way.
        let whole = added
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines: Vec<u8> = added.drain(..whole).collect();
        let verified = verify_after(&*lines, head.clone());
        for record in records(&*lines).take(intact(&verified)) {
            take(Some(&record?))?;
        }
        take(None)?;
        match verified {
            Ok(verified) if verified.records > 0 => head = verified.head,
            Ok(_) => {}
            Err(error) => return broken(file, &error.into()),
        }
        if read == 0 {
            let len = file.metadata().map_err(cannot)?.len();
            let at = log.stream_position().map_err(cannot)?;
            if len < at {
                exit::say(&format!("{}: the log has become shorter", file.display()));
                return Ok(Exit::BROKEN);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
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

/// The cells that are shown of a record.
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
                script,
                policy,
                policy_sha256,
                image_sha256,
                ..
            } => {
                let start = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
                let source = match (script, source_sha256) {
                    (Some(script), _) => script.clone(),
                    (None, Some(hash)) => format!("source {}", start(hash)),
                    (None, None) => "host code".to_owned(),
                };
                let policy = policy.clone().unwrap_or_else(|| start(policy_sha256));
                (
                    "run starts".to_owned(),
                    source,
                    (none(), Style::new()),
                    none(),
                    match image_sha256 {
                        Some(image) => {
                            format!("{}, policy {policy}, image {}", record.agent, start(image))
                        }
                        None => format!("{}, policy {policy}", record.agent),
                    },
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
            Event::Limit {
                limit,
                used,
                max,
                line,
            } => (
                limit.trim_start_matches("limits.").to_owned(),
                format!("{used} of {max}"),
                ("STOPPED".to_owned(), red),
                none(),
                match line {
                    Some(line) => format!("in line {line}; `{limit}` is the limit"),
                    None => format!("`{limit}` is the limit"),
                },
            ),
            Event::RunFinished {
                verdict,
                duration_us,
                tool_calls,
                refusals,
                status,
                ..
            } => {
                let status = status
                    .map(|status| format!(" with {status}"))
                    .unwrap_or_default();
                let note = format!("{tool_calls} calls, {refusals} refused");
                let ended = (none(), Style::new());
                (
                    "run ends".to_owned(),
                    format!("{verdict}{status}"),
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
        let Some((action, decision)) = count_key(&record) else {
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
    top.truncate(MAX_SUMMARY_ROWS);
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

/// Returns what a record counts as: an action, and its result.
fn count_key(record: &Record) -> Option<(String, &'static str)> {
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
