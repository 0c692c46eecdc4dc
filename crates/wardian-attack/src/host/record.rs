//! The record: text that is not what it seems, secrets, sinks that fail, many writers, tampering.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use wardian::audit::{Draft, Sink, verify};
use wardian::{Error, Log};

use super::{Result, ensure, text};
use crate::Report;
use crate::report::{Attempt, Grade, RowReport, Subject};
use crate::row::rows;
use crate::test_bed::TestBed;

/// Calls a tool of the suite's so often, with these arguments, from the host.
fn recorded(bed: &TestBed, tool: &str, args: &[Value]) -> Result<(String, Vec<Value>)> {
    let (log, memory) = Log::memory();
    let gate = bed.fixture().gate(log).map_err(text)?;
    let tool = gate.tool(tool).ok_or("the tool is not there")?;
    for args in args {
        // What comes of it does not matter here.
        let _ = tool.call_blocking(args);
    }
    drop((tool, gate));
    verify(memory.text().as_bytes()).map_err(text)?;
    Ok((memory.text(), memory.records()))
}

/// Characters that nobody can see, or that turn text around, are escaped.
pub(super) fn invisible(bed: &TestBed) -> Result {
    let args: Vec<_> = [
        "\u{202e}evil",
        "\u{200b}",
        "e\u{301}\u{301}",
        "\u{2066}x\u{2069}",
        "\u{feff}",
    ]
    .map(|text| json!({ "text": text }))
    .into();
    let (log, _) = recorded(bed, "probe_echo", &args)?;
    let deceptive = ['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}'];
    ensure(!log.contains(deceptive), "the log holds what can't be seen")
}

/// Texts that look like secrets are not written.
pub(super) fn secrets(bed: &TestBed) -> Result {
    let secret = "sk-proj-0123456789abcdef0123456789abcdef";
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    let args: Vec<_> = [
        format!("Authorization: Bearer {secret}"),
        format!("https://user:{secret}@host/"),
        format!("https://host/?token={secret}"),
        format!("{{\"api_key\": \"{secret}\"}}"),
        format!("password={secret}"),
        jwt.to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"),
    ]
    .into_iter()
    .map(|text| json!({ "text": text }))
    .collect();
    let (log, _) = recorded(bed, "probe_echo", &args)?;
    for secret in [secret, jwt] {
        ensure(!log.contains(secret), "the log holds a secret")?;
    }
    Ok(())
}

/// A record is bounded, and says how long it was.
pub(super) fn long(bed: &TestBed) -> Result {
    let (log, records) = recorded(bed, "probe_echo", &[json!({ "text": "x".repeat(500_000) })])?;
    ensure(
        log.lines().all(|line| line.len() < 16 << 10),
        "a record is longer than 16 KiB",
    )?;
    let cut = records.iter().any(|record| {
        let data = record.get("data").unwrap_or(record);
        data["args_truncated"] == true && data["args_bytes"].as_u64() > Some(500_000)
    });
    ensure(cut, "no record says that its arguments were cut")
}

/// A log that a script could write to is refused; its twin elsewhere is not.
pub(super) fn within_reach(bed: &TestBed) -> Result {
    let (_, directory) = bed.writable().ok_or("nothing can be written to")?;
    let file = directory.join("audit.jsonl");
    let log = Log::file(&file).map_err(text)?;
    let within = bed.sandbox(log);
    std::fs::remove_file(file).map_err(text)?;
    ensure(
        within.is_err(),
        "a log is kept in a directory that scripts may write to",
    )?;
    let elsewhere = tempfile::tempdir().map_err(text)?;
    let log = Log::file(elsewhere.path().join("audit.jsonl")).map_err(text)?;
    bed.sandbox(log).map(drop).map_err(text)
}

/// A log from which records are gone is not gone on with.
pub(super) fn shrunk() -> Result {
    let dir = tempfile::tempdir().map_err(text)?;
    let file = dir.path().join("audit.jsonl");
    let log = Log::file(&file).map_err(text)?;
    let sandbox = super::sandbox()?.with_audit(log).map_err(text)?;
    sandbox.run_blocking("1").map_err(text)?;
    let whole = std::fs::read_to_string(&file).map_err(text)?;
    sandbox.run_blocking("1").map_err(text)?;
    for left in ["", whole.as_str()] {
        std::fs::write(&file, left).map_err(text)?;
        let ended = sandbox.run_blocking("1");
        ensure(
            matches!(ended, Err(Error::Audit(_))),
            format!(
                "a run is recorded after {} bytes were left: {ended:?}",
                left.len()
            ),
        )?;
    }
    Ok(())
}

/// A sink that fails after so many lines, or never answers.
struct Failing {
    lines: Arc<AtomicU64>,
    good: u64,
    hangs: bool,
}

impl Sink for Failing {
    fn append(&mut self, _: &Draft<'_>) -> io::Result<()> {
        if self.lines.fetch_add(1, Ordering::Relaxed) < self.good {
            return Ok(());
        }
        if self.hangs {
            thread::sleep(Duration::from_secs(3_600));
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn may_block(&self) -> bool {
        true
    }
}

/// Operations that can't be recorded are not done, and the host is told.
pub(super) fn sinks_that_fail() -> Result {
    let failing = |good, hangs| {
        Log::new(Failing {
            lines: Arc::default(),
            good,
            hangs,
        })
    };
    let full = Log::file("/dev/full");
    ensure(full.is_err(), "a log is kept in what is no file")?;
    for (what, log) in [
        ("a sink that fails", failing(0, false)),
        ("a sink that fails at its second line", failing(1, false)),
        ("a sink that hangs", failing(1, true)),
    ] {
        let started = Instant::now();
        let sandbox = super::sandbox()?.with_audit(log).map_err(text)?;
        let ended = sandbox.run_blocking("open('/etc/passwd')");
        let told = matches!(ended, Err(Error::Audit(_)));
        ensure(told, format!("with {what}: {ended:?}"))?;
        let soon = started.elapsed() < Duration::from_secs(60);
        ensure(soon, format!("{what} holds a run"))?;
    }
    Ok(())
}

/// Many runs at once write one chain.
pub(super) fn one_log(bed: &TestBed) -> Result {
    let (log, memory) = Log::memory();
    let gate = bed.fixture().gate(log).map_err(text)?;
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let Some(tool) = gate.tool("probe_echo") else {
                    return;
                };
                for i in 0..20 {
                    let _ = tool.call_blocking(&json!({ "text": i.to_string() }));
                }
            });
        }
    });
    drop(gate);
    let verified = verify(memory.text().as_bytes()).map_err(text)?;
    ensure(
        verified.records >= 16 * 41,
        format!("{} records of 16 × 20 calls", verified.records),
    )?;
    ensure(
        verified.open_runs.is_empty() && verified.open_calls.is_empty(),
        "something has no end",
    )
}

/// Every line that is changed, removed, doubled or moved shows.
pub(super) fn tampering(bed: &TestBed) -> Result {
    let (log, _) = recorded(
        bed,
        "probe_echo",
        &[json!({"text": "a"}), json!({"text": "b"})],
    )?;
    let lines: Vec<&str> = log.lines().collect();
    let written = |lines: &[&str]| {
        lines
            .iter()
            .flat_map(|line| [*line, "\n"])
            .collect::<String>()
    };
    for at in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(at);
        let mut more = lines.clone();
        more.insert(at, lines.get(at).copied().unwrap_or_default());
        let mut moved = lines.clone();
        moved.swap(at, (at + 1) % lines.len());
        for changed in [more, moved] {
            ensure(
                verify(written(&changed).as_bytes()).is_err(),
                format!("line {} was doubled or moved", at + 1),
            )?;
        }
        // A cut at the end shows against a head that somebody has kept.
        let last = at + 1 == lines.len();
        ensure(
            last || verify(written(&less).as_bytes()).is_err(),
            format!("line {} was removed", at + 1),
        )?;
        let line = lines.get(at).copied().unwrap_or_default();
        for byte in (0..line.len()).step_by(7) {
            let mut changed = log.clone().into_bytes();
            let start: usize = lines.iter().take(at).map(|line| line.len() + 1).sum();
            if let Some(byte) = changed.get_mut(start + byte) {
                *byte ^= 1;
            }
            ensure(
                verify(changed.as_slice()).is_err(),
                format!("byte {byte} of line {} was changed", at + 1),
            )?;
        }
    }
    Ok(())
}

/// Words of hostile code are text in the report of the suite, and nothing else.
pub(super) fn report_html() -> Result {
    let hostile =
        "<script>alert(1)</script><img src=x onerror=alert(1)>\"'></style>](javascript:x)\u{202e}";
    let row = rows().next().ok_or("there is no row")?;
    let mut report = RowReport::left_out(row, hostile);
    report.grade = Grade::Unsafe;
    report.attempts.push(Attempt {
        name: "payload 1".to_owned(),
        source: hostile.to_owned(),
        grade: Grade::Unsafe,
        ending: hostile.to_owned(),
        note: hostile.to_owned(),
        findings: vec![hostile.to_owned()],
    });
    let policy = super::computing()?.with_agent(hostile);
    let report = Report {
        subject: Subject::of(&policy, SystemTime::UNIX_EPOCH),
        rows: vec![report],
        wall_ms: 0,
    };
    let page = report.html();
    for bad in ["<script", "<img", "onerror=alert(1)>", "\u{202e}"] {
        ensure(!page.contains(bad), format!("the page holds {bad:?}"))?;
    }
    Ok(())
}
