//! The record: complete, in order, of one piece, and such that a change of it shows. The names of
//! rows are those of the attack catalogue.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indoc::indoc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wardian::audit::{
    Draft, Event, FileSink, Memory, Record, Sink, Sync, VerifyError, records, verify,
};
use wardian::policy::Allowance::AtMost;
use wardian::{
    Call, Error, Limits, Log, Policy, Sandbox, Tool, ToolError, Verdict,
    policy::{Action, Limit, Permission, Profile, ToolRules},
};

use crate::runtime;
use crate::world::World;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Any {
    value: Value,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    pin: Option<String>,
}

async fn echo(args: Any, _: Call) -> Result<Value, ToolError> {
    Ok(args.value)
}

async fn fail(args: Any, _: Call) -> Result<(), ToolError> {
    Err(ToolError::failed(args.value.to_string()))
}

fn tools() -> [Tool; 2] {
    [
        Tool::new("echo", Action::Execute, echo)
            .unwrap()
            .secret_argument("pin")
            .unwrap(),
        Tool::new("fail", Action::Execute, fail).unwrap(),
    ]
}

fn policy() -> Policy {
    Policy::computing()
        .with_tool("echo", ToolRules::default())
        .with_tool("fail", ToolRules::default())
        .with_source_rules(Profile::Open)
}

fn sandbox(log: Log) -> Sandbox {
    Sandbox::new(runtime(), policy())
        .unwrap()
        .with_tools(tools())
        .unwrap()
        .with_audit(log)
        .unwrap()
}

fn recorded(text: &str) -> Vec<Record> {
    verify(text.as_bytes()).unwrap();
    records(text.as_bytes())
        .map(|record| record.unwrap())
        .collect()
}

fn run_recorded(code: &str) -> (Vec<Record>, String) {
    let (log, memory) = Log::memory();
    sandbox(log)
        .run_blocking(format!("from wardian import tools\n{code}"))
        .unwrap();
    (recorded(&memory.text()), memory.text())
}

fn names(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|record| record.event.name()).collect()
}

#[test]
fn a_run_is_on_the_record_from_its_start_to_its_end() {
    let (records, _) = run_recorded(indoc! {"
            tools.echo(1)
            try: open('/etc/passwd')
            except OSError: pass"});
    assert_eq!(
        names(&records),
        [
            "run_started",
            "tool_started",
            "tool_finished",
            "file",
            "run_finished"
        ]
    );
    let [
        Record {
            event:
                Event::RunStarted {
                    source_sha256,
                    policy_sha256,
                    limits,
                    ..
                },
            ..
        },
        ..,
    ] = &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!(source_sha256.as_deref().map(str::len), Some(64));
    assert_eq!(*policy_sha256, policy().sha256());
    assert_eq!(limits["limits.timeout"], 10_000_000_000_u64);
    assert!(
        records
            .iter()
            .all(|record| record.agent == "agent" && record.run == records[0].run)
    );
}

/// Row LOG-15: whatever the end is, there is exactly one.
#[test]
fn log_15_every_run_has_one_end() {
    let limits = |limit, amount| Limits::default().with(limit, AtMost(amount)).unwrap();
    let policy = || Policy::computing().with_source_rules(Profile::Open);
    for (policy, code, verdict) in [
        (policy(), "1", "completed"),
        (policy(), "1/0", "raised"),
        (policy(), "import sys; sys.exit(3)", "exited"),
        (policy(), "x = (", "completed"),
        (Policy::computing(), "import os", "rejected"),
        (
            Policy::new(Permission::NONE, Limits::default()),
            "1",
            "denied",
        ),
        (
            policy().with_limits(limits(Limit::Timeout, 200_000_000)),
            "while True: pass",
            "limit",
        ),
        (
            policy().with_limits(limits(Limit::Fuel, 100_000_000)),
            "while True: pass",
            "limit",
        ),
        (
            policy().with_limits(limits(Limit::Memory, 64 << 20)),
            "x = bytearray(10**8)",
            "raised",
        ),
        (
            policy().with_limits(limits(Limit::Source, 3)),
            "1 + 1",
            "rejected",
        ),
    ] {
        let (log, memory) = Log::memory();
        let outcome = Sandbox::new(runtime(), policy)
            .unwrap()
            .with_audit(log)
            .unwrap()
            .run_blocking(code)
            .unwrap();
        let records = recorded(&memory.text());
        let ends: Vec<_> = records
            .iter()
            .filter_map(|record| match &record.event {
                Event::RunFinished { verdict, .. } => Some(verdict.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [outcome.verdict.name()], "{code}");
        if code != "x = (" {
            assert_eq!(ends, [verdict], "{code}");
        }
        assert_eq!(names(&records)[0], "run_started");
    }
    // One that nobody may_block for any more.
    let (log, memory) = Log::memory();
    let endless = sandbox(log).run("while True: pass");
    pollster::block_on(async {
        let polled = futures_util::future::select(endless, futures_util::future::ready(())).await;
        assert!(matches!(polled, futures_util::future::Either::Right(_)));
    });
    let records = recorded(&memory.text());
    assert!(
        matches!(&records[1].event, Event::RunFinished { verdict, .. } if verdict == "stopped"),
        "{records:?}"
    );
}

const HOSTILE: &str = "\\n{\\\"event\\\":\\\"tool_started\\\"}\\r\\x85\\u2028\\u2029\\0\\x1b]0;pwned\\x07\\x1b[2J\\x9b31m\\x7f\\u202e\\u200b\\U000e0041";

/// Rows LOG-01 to LOG-04: whatever a script says, a record is one line of JSON, which no terminal
/// obeys and no reader is deceived by.
#[test]
fn log_01_to_log_04_hostile_text_is_data() {
    let code = format!(
        "bad = \"{HOSTILE}\"\ntools.echo(bad)\ntry: tools.fail(bad)\nexcept Exception: pass\n\
         try: open(bad.replace('\\0', ''))\n\
         except OSError: pass\ntry: tools.__dict__['_call'](bad, {{bad: bad}})\nexcept Exception: pass\n\
         try: tools.echo('\\ud800')\n\
         except Exception: pass\ntools.echo('e' + '\\u0301' * 10**5)\nraise ValueError(bad)"
    );
    let (records, text) = run_recorded(&code);
    assert_eq!(
        names(&records),
        [
            "run_started",
            "tool_started",
            "tool_finished",
            "tool_started",
            "tool_finished",
            "file",
            "tool_finished",
            "tool_started",
            "tool_finished",
            "run_finished",
        ]
    );
    assert_eq!(text.matches('\n').count(), records.len());
    let shown = text.replace('\n', "");
    assert!(!shown.contains(wardian::audit::is_deceptive), "{shown:?}");
    let echoed = records[1].data.args.as_ref().unwrap();
    let first = echoed.args["value"].as_str().unwrap();
    assert!(
        first.starts_with("\n{\"event\":\"tool_started\"}\r\u{85}\u{2028}"),
        "{first:?}"
    );
    // Cut, on a character.
    let long = records[7].data.args.as_ref().unwrap();
    assert!(long.args_truncated && long.args_bytes > 200_000);
}

/// Row LOG-05: what looks like a secret, or is declared to be one, is not written.
#[test]
fn log_05_secrets_are_not_written() {
    let secrets = [
        "sk-abcdefghijklmnop",
        "hunter2secret",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "1234-pin",
        "t0k3nvalue",
        "ghp_0123456789abcdefghijABCD",
    ];
    let code = format!(
        "tools.echo({{'API_KEY': '{0}', 'nested': [{{'Password': '{1}'}}]}})\ntools.echo('Bearer {2}', '{1}', '{3}')\n\
         tools.echo('https://u:{1}@h/?token={4}')\ntools.echo('{{\"secret\": \"{4}\"}}')\ntools.echo({{'{5}': 1}})\n\
         try: tools.fail('{0}')\nexcept Exception: pass\ntry: tools.__dict__['_call']('{0}', {{}})\n\
         except Exception: pass\n\
         try: open('/{0}')\nexcept OSError: pass\nraise ValueError('password={1}')",
        secrets[0], secrets[1], secrets[2], secrets[3], secrets[4], secrets[5]
    );
    let (records, text) = run_recorded(&code);
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} {text}");
    }
    // The same arguments are found again by their hash.
    let hash = |code: &str| {
        run_recorded(code).0[1]
            .data
            .args
            .as_ref()
            .unwrap()
            .args_sha256
            .clone()
    };
    assert_eq!(hash("tools.echo('a', 'x')"), hash("tools.echo('a', 'x')"));
    assert_ne!(hash("tools.echo('a', 'x')"), hash("tools.echo('b', 'x')"));
    // REVIEW A 20: the second is secret, and its hash would give away a short one.
    assert_eq!(hash("tools.echo('a', 'x')"), hash("tools.echo('a', 'y')"));
    assert!(records.len() > 10);
}

/// Row LOG-07: what is long is cut, its length and its hash are kept.
#[test]
fn log_07_what_is_long_is_cut() {
    let (records, text) = run_recorded(indoc! {"
            tools.echo('x' * 1_000_000)
            try: tools.fail('y' * 500_000)
            except Exception: pass"});
    let args = records[1].data.args.as_ref().unwrap();
    assert!(args.args_truncated && args.args_bytes > 1_000_000 && args.args_sha256.len() == 64);
    assert!(
        text.lines().all(|line| line.len() < 16 << 10),
        "{}",
        text.len()
    );
    let Event::ToolFinished { reply_bytes, .. } = records[2].event else {
        panic!()
    };
    assert_eq!(reply_bytes, 1_000_002);
}

/// Row LOG-12: three readers of JSON read the same.
#[test]
fn log_12_numbers_mean_the_same_to_every_reader() {
    let (_, text) = run_recorded(
        "tools.echo([2**53, 2**53 + 1, -2**63, 2**64 - 1, -0.0, 1e308, 5e-324, 0.1, 1.0])",
    );
    let line = text.lines().nth(1).unwrap();
    let expected = "[9007199254740992,\"9007199254740993\",\"-9223372036854775808\",\"18446744073709551615\",-0.0,1e+308,5e-324,0.1,1.0]";
    let serde: Value = serde_json::from_str(line).unwrap();
    assert_eq!(serde["data"]["args"]["value"].to_string(), expected);
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let read = "select json_extract(?1, '$.data.args.value'), json_extract(?1, '$.data.args.value[0]') = \
                9007199254740992, \
                json_extract(?1, '$.data.args.value[5]') = 1e308";
    let sqlite: (String, bool, bool) = connection
        .query_row(read, [line], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(sqlite, (expected.to_owned(), true, true));
    let script = indoc! {"
        import json
        v = json.loads(line)['data']['args']['value']
        v == [2**53, str(2**53 + 1), str(-2**63), str(2**64 - 1), -0.0, 1e308, 5e-324, 0.1, 1.0]"};
    assert_eq!(
        crate::value(wardian::Script::new(script).input("line", line)),
        true
    );
}

/// Row LOG-11: what a script says it is, is in `data`; who it is, is not.
#[test]
fn log_11_nobody_is_somebody_else() {
    let code = "tools.echo({'run': 'other', 'agent': 'root', 'ts': '1970-01-01T00:00:00Z', 'seq': 0, 'event': \
                'run_finished'})";
    let (records, text) = run_recorded(code);
    let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&line["agent"], &line["event"], &line["seq"]),
        (&json!("agent"), &json!("tool_started"), &json!(1))
    );
    assert_eq!(line["run"], json!(records[0].run));
    assert!(
        records
            .windows(2)
            .all(|pair| pair[1].seq == pair[0].seq + 1)
    );
}

/// Row LOG-14.
#[test]
fn log_14_errors_show_nothing_of_the_host() {
    let world = World::new();
    let (log, _) = Log::memory();
    let outcome = world
        .sandbox()
        .with_audit(log)
        .unwrap()
        .run_blocking("open('/etc/passwd')")
        .unwrap();
    let shown = outcome.stderr.text().into_owned();
    assert!(
        !shown.contains(&*world.dir.path().to_string_lossy()) && !shown.contains("allowed_paths"),
        "{shown}"
    );
}

/// Rows LOG-10 and P8: flipping any bit of any byte is found, at the right line.
#[test]
fn log_10_every_change_is_found_at_its_line() {
    let (_, text) = run_recorded("tools.echo('héllo')\ntools.echo({'a': 'A'})");
    let mut line = 1;
    for at in 0..text.len() {
        // What is changed is the line that it belongs to, its end included.
        let mut bytes = text.clone().into_bytes();
        for bit in [0, 5, 7] {
            bytes[at] ^= 1 << bit;
            let Err(VerifyError::Broken(broken)) = verify(&bytes[..]) else {
                panic!("byte {at}, bit {bit}")
            };
            assert_eq!(broken.line, line, "byte {at}, bit {bit}: {}", broken.why);
            bytes[at] ^= 1 << bit;
        }
        if bytes[at] == b'\n' {
            line += 1;
        }
    }
}

/// Row LOG-10: what is taken out, moved, cut or doubled.
#[test]
fn log_10_what_is_missing_is_missed() {
    let (_, text) = run_recorded("for i in range(3): tools.echo(i)");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let broken = |lines: &[&str]| match verify(lines.concat().as_bytes()) {
        Err(VerifyError::Broken(broken)) => Some(broken.line),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(broken(&lines), None);
    for at in 0..lines.len() - 1 {
        let mut without = lines.clone();
        without.remove(at);
        assert_eq!(broken(&without), Some(at as u64 + 1), "without {at}");
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        assert_eq!(broken(&swapped), Some(at as u64 + 1), "swapped {at}");
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        assert_eq!(broken(&doubled), Some(at as u64 + 2), "doubled {at}");
    }
    // The end is missing: the run has none.
    let cut = lines[..lines.len() - 1].concat();
    let verified = verify(cut.as_bytes()).unwrap();
    assert_eq!(
        (verified.open_runs.len(), verified.open_calls.len()),
        (1, 0)
    );
    assert_eq!(broken(&[&cut, &lines[0][..20]]), Some(lines.len() as u64));
    // Rewritten as a whole, it is another log: who has kept the head sees that.
    let head = verify(text.as_bytes()).unwrap().head.hash;
    let (_, other) = run_recorded("1");
    assert_ne!(verify(other.as_bytes()).unwrap().head.hash, head);
}

/// Row LOG-09: 64 runs at once, with tools, one chain.
#[test]
fn log_09_runs_at_once_are_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let log = Log::new(FileSink::open(&file, Sync::Never).unwrap());
    let sandbox = sandbox(log);
    std::thread::scope(|scope| {
        for i in 0..64 {
            let sandbox = sandbox.clone();
            scope.spawn(move || {
                let code =
                    format!("from wardian import tools\nfor i in range(10): tools.echo([{i}, i])");
                assert_eq!(
                    sandbox.run_blocking(code).unwrap().verdict,
                    Verdict::Completed
                );
            });
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    let verified = verify(text.as_bytes()).unwrap();
    assert_eq!((verified.records, verified.open_runs.len()), (64 * 22, 0));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let runs: std::collections::BTreeSet<_> = recorded(&text)
        .into_iter()
        .map(|record| record.run)
        .collect();
    assert_eq!(runs.len(), 64);
}

/// Several processes, or several logs of one, on one file: one chain.
#[test]
fn log_09_a_file_can_have_several_writers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let log = Log::new(FileSink::open(&file, Sync::Never).unwrap());
                for _ in 0..5 {
                    sandbox(log.clone())
                        .run_blocking("from wardian import tools\ntools.echo(1)")
                        .unwrap();
                }
            });
        }
    });
    let verified = verify(fs::read(&file).unwrap().as_slice()).unwrap();
    assert_eq!(verified.records, 8 * 5 * 4);
}

/// Row LOG-09: what is on the record when a process is killed in the middle of a call.
#[test]
fn log_09_a_killed_process_leaves_a_call_without_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    // This test, once more, as the process that is killed.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit::log_09_as_the_process_that_is_killed"])
        .env("WARDIAN_TEST_AUDIT", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let has_started = || fs::read_to_string(&file).is_ok_and(|text| text.contains("\"call\":2"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !has_started() {
        assert!(Instant::now() < deadline, "it never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let verified = verify(text.as_bytes()).unwrap();
    assert_eq!((verified.records, verified.open_runs.len()), (4, 1));
    let [call] = &verified.open_calls[..] else {
        panic!("{verified:?}")
    };
    assert_eq!((call.line, call.call, call.tool.as_str()), (4, 2, "hang"));
    // The next process goes on where that one stopped.
    let log = Log::file(&file).unwrap();
    sandbox(log).run_blocking("1").unwrap();
    assert_eq!(
        verify(fs::read(&file).unwrap().as_slice()).unwrap().records,
        6
    );
}

/// Does nothing unless the test above asks it to.
#[test]
fn log_09_as_the_process_that_is_killed() {
    let Some(file) = std::env::var_os("WARDIAN_TEST_AUDIT") else {
        return;
    };
    let hang = |_: Any, _: Call| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(())
    };
    let hang = Tool::new("hang", Action::Execute, hang).unwrap();
    let limits = Limits::default()
        .with(Limit::Timeout, AtMost(60_000_000_000))
        .unwrap();
    let policy = policy()
        .with_tool("hang", ToolRules::default())
        .with_limits(limits);
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let sandbox = sandbox
        .with_tools(tools().into_iter().chain([hang]))
        .unwrap();
    let sandbox = sandbox
        .with_audit(Log::file(Path::new(&file)).unwrap())
        .unwrap();
    let _ = sandbox.run_blocking("from wardian import tools\ntools.echo(1)\ntools.hang(1)");
}

/// Row LOG-08: what a log can't be.
#[test]
fn log_08_what_is_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("real"), "").unwrap();
    symlink(path("real"), path("link")).unwrap();
    Command::new("mkfifo").arg(path("fifo")).status().unwrap();
    fs::write(path("torn"), "{\"v\":1,\"seq\":0").unwrap();
    fs::write(path("other"), "not a log\n").unwrap();
    fs::write(path("shared"), "").unwrap();
    for (name, mode) in [
        ("real", 0o600),
        ("torn", 0o600),
        ("other", 0o600),
        ("shared", 0o666),
    ] {
        fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    for (name, why) in [
        ("link", "it is a symbolic link; name the file itself"),
        ("fifo", "it is not a regular file"),
        (".", "Is a directory"),
        ("torn", "its last line can't be added to: it is cut off"),
        ("other", "its last line can't be added to: it is cut off"),
        ("shared", "others may write to it"),
        ("no/such", "No such file or directory"),
    ] {
        let error = Log::file(path(name)).unwrap_err().to_string();
        assert!(error.starts_with(why), "{name}: {error}");
    }
    assert!(Log::file("/dev/null").is_err() && Log::file("/dev/full").is_err());
    assert!(Log::file(path("real")).is_ok());
    // Renamed it is the same log; removed it is none.
    let log = Log::file(path("moved")).unwrap();
    sandbox(log.clone()).run_blocking("1").unwrap();
    fs::rename(path("moved"), path("moved.1")).unwrap();
    sandbox(log.clone()).run_blocking("1").unwrap();
    assert_eq!(
        verify(fs::read(path("moved.1")).unwrap().as_slice())
            .unwrap()
            .records,
        4
    );
    fs::remove_file(path("moved.1")).unwrap();
    assert!(matches!(
        sandbox(log).run_blocking("1"),
        Err(Error::Audit(_))
    ));
}

/// Row LOG-08: a disk that is full in the middle of a line leaves none of it.
#[test]
fn log_08_a_full_disk_leaves_a_whole_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    // As a disk that is full: no file of this process may be longer.
    let status = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 4; exec \"$0\" --exact audit::log_08_as_the_process_on_a_full_disk")
        .arg(std::env::current_exe().unwrap())
        .env("WARDIAN_TEST_FULL", &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let verified = verify(fs::read(&file).unwrap().as_slice()).unwrap();
    assert!((3..20).contains(&verified.records), "{verified:?}");
}

/// Does nothing unless the test above asks it to.
#[test]
fn log_08_as_the_process_on_a_full_disk() {
    let Some(file) = std::env::var_os("WARDIAN_TEST_FULL") else {
        return;
    };
    let log = Log::file(Path::new(&file)).unwrap();
    let ended = sandbox(log).run_blocking(indoc! {"
        from wardian import tools
        for i in range(100):
            try: tools.echo(i)
            except BaseException: pass"});
    assert!(matches!(ended, Err(Error::Audit(_))), "{ended:?}");
}

/// Waits for a run for a while, and not to its end.
fn give_up(run: wardian::Running) {
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let given_up = executor.block_on(async {
        tokio::time::timeout(Duration::from_millis(500), run)
            .await
            .is_err()
    });
    assert!(given_up);
}

/// A run that is given up in the middle of a call has an end, and so has the call.
#[test]
fn log_15_a_run_that_is_given_up_in_a_call_has_its_ends() {
    let hang = |_: Any, _: Call| async move {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    };
    let hang = Tool::new("hang", Action::Execute, hang).unwrap();
    let (log, memory) = Log::memory();
    let policy = policy().with_tool("hang", ToolRules::default());
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    let sandbox = sandbox
        .with_tools(tools().into_iter().chain([hang]))
        .unwrap();
    let run = sandbox
        .with_audit(log)
        .unwrap()
        .run("from wardian import tools\ntools.hang(1)");
    give_up(run);
    let records = recorded(&memory.text());
    assert_eq!(
        names(&records),
        [
            "run_started",
            "tool_started",
            "tool_finished",
            "run_finished"
        ]
    );
}

/// A sink that hangs is one that can't be written.
struct Hanging;

impl Sink for Hanging {
    fn append(&mut self, _: &Draft<'_>) -> io::Result<()> {
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn log_08_a_sink_that_hangs_ends_the_run() {
    let ended = sandbox(Log::new(Hanging)).run_blocking("1");
    assert!(
        matches!(&ended, Err(Error::Audit(why)) if why.contains("did not answer")),
        "{ended:?}"
    );
}

/// A sink that panics too.
struct Panicking(u32);

impl Sink for Panicking {
    fn append(&mut self, _: &Draft<'_>) -> io::Result<()> {
        self.0 += 1;
        assert!(self.0 < 2, "a sink of somebody's");
        Ok(())
    }
}

#[test]
fn log_08_a_sink_that_panics_ends_the_run() {
    let ended =
        sandbox(Log::new(Panicking(0))).run_blocking("from wardian import tools\ntools.echo(1)");
    assert!(matches!(&ended, Err(Error::Audit(_))), "{ended:?}");
}

/// A sink that hangs in the middle of a run, which nobody may_block for any more.
#[test]
fn log_08_a_sink_that_hangs_does_not_hold_who_gives_up() {
    struct HangingLater(u32);
    impl Sink for HangingLater {
        fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
            self.0 += 1;
            if self.0 > 1 {
                return Hanging.append(draft);
            }
            Ok(())
        }
    }
    let sandbox = sandbox(Log::new(HangingLater(0)));
    let run = sandbox.run("from wardian import tools\ntools.echo(1)");
    give_up(run);
}

/// A sink that takes its time: a run is given up while its record is on its way.
#[test]
fn log_15_a_run_that_is_given_up_while_it_is_recorded_has_one_end_or_no_start() {
    #[derive(Clone)]
    struct Slow(Memory);
    impl Sink for Slow {
        fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
            std::thread::sleep(Duration::from_millis(20));
            self.0.append(draft)
        }
    }
    let memory = Memory::default();
    let sandbox = sandbox(Log::new(Slow(memory.clone())));
    let timers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    // While it starts, calls, ends; and before its first record has begun.
    for wait in (0..160).step_by(8).map(Duration::from_millis) {
        let run = sandbox.run("from wardian import tools\ntools.echo(1)");
        let _ = timers.block_on(async { tokio::time::timeout(wait, run).await });
    }
    // What is on its way has gone before the next run's end.
    sandbox.run_blocking("1").unwrap();
    let verified = verify(memory.text().as_bytes()).unwrap();
    assert_eq!(verified.open_runs, [""; 0]);
    assert_eq!(verified.open_calls, []);
    let records = recorded(&memory.text());
    let count = |event: &str| {
        names(&records)
            .iter()
            .filter(|name| **name == event)
            .count()
    };
    assert_eq!(count("run_started"), count("run_finished"));
    assert_eq!(count("tool_started"), count("tool_finished"));
}

/// A log goes to several places at once.
#[test]
fn sinks_can_be_paired() {
    let (one, other) = (Memory::default(), Memory::default());
    let log = Log::new((one.clone(), other.clone()));
    sandbox(log).run_blocking("1").unwrap();
    assert_eq!(recorded(&one.text()).len(), 2);
    assert_eq!(one.text(), other.text());
}
