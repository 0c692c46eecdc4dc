//! The command line, on the real binary.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod advice;
mod answers;
mod browser;
mod costs;
mod faults;
mod harness;
mod record;
mod transcripts;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn wardian(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end. What `run --json` prints is held to the published schema.
fn run(args: &[&str]) -> Output {
    let output = wardian(args).output().unwrap();
    let own: Vec<_> = args.iter().take_while(|arg| **arg != "--").collect();
    if args.first() == Some(&"run") && own.contains(&&"--json") {
        report(&output.stdout);
    }
    output
}

/// Reads what `run --json` has printed: one line, as docs/run.schema.json says.
#[track_caller]
fn report(stdout: &[u8]) -> Value {
    let json: Value = serde_json::from_slice(stdout).unwrap();
    let schema = include_str!("../../../../docs/run.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let fits = jsonschema::validate(&schema, &json);
    assert!(fits.is_ok(), "{json}: {fits:?}");
    // Nothing is in there that the schema does not know.
    serde_json::from_value::<wardian::report::Report>(json.clone()).unwrap();
    json
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs code; expects an exit code and what is on standard output and standard error.
#[track_caller]
fn check(args: &[&str], code: i32, stdout: &str, stderr_holds: &str) {
    let output = run(args);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert_eq!(text(&output.stdout), stdout, "{args:?}");
    assert!(stderr.contains(stderr_holds), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    if stderr_holds.is_empty() {
        assert_eq!(stderr, "", "{args:?}");
    }
}

#[test]
fn every_exit_code() {
    check(&["run", "-c", "print(6*7)"], 0, "42\n", "");
    check(
        &["run", "-c", "print('a'); 1/0"],
        1,
        "a\n",
        "ZeroDivisionError: division by zero\n",
    );
    check(&["run", "-c", "raise SystemExit(3)"], 3, "", "");
    check(&["run", "-c", "raise SystemExit(-1)"], 255, "", "");
    check(
        &["run", "-c", "import os"],
        120,
        "",
        "error: Forbidden import: os\n",
    );
    check(&["run"], 2, "", "Usage:");
    let deep = "t = ()\nfor _ in range(300000): t = (t,)\nhash(t)";
    let output = run(&["run", "-c", deep]);
    assert!(
        matches!(output.status.code(), Some(0 | 1 | 122)),
        "{output:?}"
    );
    let fuel = ["run", "--fuel", "50e6", "-c", "while True: pass"];
    check(
        &fuel,
        123,
        "",
        "wardian: stopped at the fuel limit of 50000000 instructions, in line 1\n",
    );
    let time = [
        "run",
        "--timeout",
        "200ms",
        "-c",
        "import time; time.sleep(60)",
    ];
    check(
        &time,
        124,
        "",
        "wardian: stopped at the time limit of 200ms, in line 1\n",
    );
    let memory = "x = []\nwhile True: x.append('x' * 100000)";
    let output = run(&["run", "--memory", "64MiB", "-c", memory]);
    assert!(matches!(output.status.code(), Some(1 | 126)), "{output:?}");
}

#[test]
fn a_script_that_is_too_large_is_rejected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    let path = file.path().to_str().unwrap();
    check(
        &["run", path],
        120,
        "",
        "the source takes 1048577 bytes; at most 1048576 are allowed",
    );
}

#[test]
fn exit_codes_stand_in_the_help() {
    let output = run(&["run", "--help"]);
    let help = text(&output.stdout);
    for code in [
        "  0  ", "  1  ", "  2  ", "120  ", "121  ", "122  ", "123  ", "124  ", "125  ", "126  ",
        "127  ", "130  ",
    ] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn scripts_come_from_files_arguments_and_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.py");
    fs::write(
        &script,
        "import sys\nprint(sys.argv, x, y, sys.stdin.read())",
    )
    .unwrap();
    let inputs = dir.path().join("inputs.json");
    fs::write(&inputs, r#"{"x": [1], "y": "from the file"}"#).unwrap();
    let data = dir.path().join("data.txt");
    fs::write(&data, "data").unwrap();
    let [script, inputs, data] = [&script, &inputs, &data].map(|path| path.to_str().unwrap());
    check(
        &[
            "run",
            script,
            "--profile",
            "open",
            "--inputs",
            inputs,
            "--input",
            "y=\"typed\"",
            "--stdin",
            data,
            "--",
            "-a",
            "b",
        ],
        0,
        "['<snippet>', '-a', 'b'] [1] typed data\n",
        "",
    );
    let mut child = wardian(&["run", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"print('from stdin')")
        .unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"from stdin\n");
    let mut child = wardian(&["run", "-c", "print(input())", "--stdin", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"typed\n");
}

#[test]
fn wrong_usage_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary.py");
    fs::write(&binary, b"x = '\xff'").unwrap();
    let list = dir.path().join("list.json");
    fs::write(&list, "[1]").unwrap();
    let [binary, list] = [&binary, &list].map(|path| path.to_str().unwrap());
    for (args, message) in [
        (
            &["run", "/no/such.py"][..],
            "cannot read /no/such.py: No such file",
        ),
        (&["run", "/"], "/ has no main.py, which is what is run"),
        (
            &["run", binary],
            "is not UTF-8: byte 5 is not part of a character",
        ),
        (&["run", "-c", "1", "file.py"], "cannot be used with"),
        (
            &["run", "-c", "1", "--memory", "1MiB"],
            "memory is 1 MiB; it can be 64 MiB to 2 GiB",
        ),
        (
            &["run", "-c", "1", "--timeout", "0s"],
            "timeout is 0s; it can be 1ms to 1day",
        ),
        (
            &["run", "-c", "1", "--timeout", "soon"],
            "write a time with its unit: \"500ms\", \"10s\", \"2m\"",
        ),
        (
            &["run", "-c", "1", "--fuel", "lots"],
            "write a whole number: 1000, 1e9",
        ),
        (&["run", "-c", "1", "--input", "x"], "write it as NAME=JSON"),
        (
            &["run", "-c", "1", "--input", "x=abc"],
            "a string needs quotes: x='\"text\"'",
        ),
        (
            &["run", "-c", "1", "--input", "a b=1"],
            "\"a b\" is not a name that a Python variable can have",
        ),
        (
            &["run", "-c", "1", "--inputs", list],
            "is not a JSON object",
        ),
        (&["run", "-", "--stdin", "-"], "can't be both"),
        (&["run", "-c", "1", "--timout", "1s"], "--timeout"),
        (&["rum"], "run"),
    ] {
        check(args, 2, "", message);
    }
}

#[test]
fn json_is_one_object() {
    let output = run(&[
        "run",
        "--json",
        "--profile",
        "open",
        "-c",
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\n{'a': [1]}",
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["success"], json!(true));
    assert_eq!(json["output"], json!("out\n"));
    assert_eq!(json["stderr"], json!("err\n"));
    assert_eq!(json["value"], json!({"a": [1]}));
    let output = run(&["run", "--json", "--fuel", "50e6", "-c", "while True: pass"]);
    assert_eq!(output.status.code(), Some(123));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        json["limit"],
        json!({
            "name": "fuel", "key": "limits.fuel", "used": 50_000_000, "allowed": 50_000_000,
            "line": json["limit"]["line"],
        })
    );
}

#[test]
fn quiet_says_nothing_of_its_own() {
    check(
        &[
            "run",
            "-q",
            "--fuel",
            "50e6",
            "-c",
            "print(1)\nwhile True: pass",
        ],
        123,
        "1\n",
        "",
    );
}

#[test]
fn output_streams() {
    let mut child = wardian(&["run", "-c", "import time\nprint('now')\ntime.sleep(30)"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "now\n");
    assert!(
        child.try_wait().unwrap().is_none(),
        "it sleeps, and its output is here already"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Starts a script that prints once and then goes on for long.
fn started(script: &str, flags: &[&str]) -> Child {
    let args = [&["run", "--timeout", "60s", "-c", script], flags].concat();
    let mut child = wardian(&args).spawn().unwrap();
    let mut byte = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut byte)
        .unwrap();
    child
}

fn interrupt(child: &Child) {
    send(child, "-INT");
}

fn send(child: &Child, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn ctrl_c_stops_the_script() {
    for script in [
        "print(1)\nwhile True: pass",
        "print(1)\nimport time\ntime.sleep(1000)",
    ] {
        let mut child = started(script, &[]);
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{script}");
    }
}

/// REVIEW A 15: nobody reads standard output, or writes standard input to its end: the time limit
/// holds all the same.
#[test]
fn a_15_readers_and_writers_that_do_not_come() {
    let much = "print('x' * 500_000)";
    for args in [
        &["run", "--timeout", "300ms", "-c", much][..],
        &["run", "--timeout", "300ms", "--json", "-c", much],
        &["run", "--timeout", "300ms", "--stdin", "-", "-c", "1"],
        &["run", "--timeout", "300ms", "-"],
    ] {
        let mut child = wardian(args).stdin(Stdio::piped()).spawn().unwrap();
        // Held, so that neither end is closed.
        let held = (child.stdin.take(), child.stdout.take());
        let started = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(124), "{args:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{args:?}");
        drop(held);
    }
    // A slow reader gets everything.
    let mut child = wardian(&["run", "-c", much]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut read = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(
        (read.len(), child.wait().unwrap().code()),
        (500_001, Some(0))
    );
}

/// REVIEW A 15: a run that is told to end has its end on the record.
#[test]
fn a_15_signals_leave_an_end_on_the_record() {
    for (signal, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        let files = Files::new(&[]);
        let log = files.path("audit.jsonl");
        let script = "print(1, flush=True)\nwhile True: pass";
        let mut child = started(script, &["--audit", &log]);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        let verified = run(&["audit", "verify", "--json", &log]);
        let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(
            (&verified["ok"], &verified["open_runs"]),
            (&json!(true), &json!([])),
            "{signal}"
        );
    }
}

/// REVIEW A 28.
#[test]
fn a_28_an_input_is_given_once() {
    check(
        &["run", "--input", "x=1", "--input", "x=2", "-c", "print(x)"],
        2,
        "",
        "--input x is given twice",
    );
}

/// Nobody reads, so the script's output blocks: limits and Ctrl-C hold all the same.
#[test]
fn a_pipe_that_nobody_reads() {
    let endless = "while True: print('x' * 1000)";
    let mut child = wardian(&["run", "--timeout", "200ms", "-c", endless])
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    let mut child = started(endless, &[]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_15_a_closed_pipe_has_a_status_of_its_own_and_no_message() {
    let mut child = started("while True: print('x' * 1000)", &[]);
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), stderr.as_str()),
        (Some(141), "")
    );
}

#[test]
fn a_full_disk_is_an_error() {
    for args in [
        &["run", "-c", "print(1)"][..],
        &["run", "--json", "-c", "1"],
        &["version"],
        &["man"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = wardian(args).stdout(full).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{args:?}: {stderr}");
        assert!(
            stderr.contains("cannot write to standard output: No space left on device"),
            "{stderr}"
        );
    }
}

#[test]
fn version_completions_and_manual() {
    let version = run(&["version"]);
    for part in [
        "wardian",
        "wasmtime      48.",
        "rustpython    0.6.",
        "module",
        "snapshot",
        "machine code",
    ] {
        assert!(text(&version.stdout).contains(part), "{part}");
    }
    let json: Value = serde_json::from_slice(&run(&["version", "--json"]).stdout).unwrap();
    assert_eq!(json["image_sha256"].as_str().unwrap().len(), 64);
    for shell in ["bash", "fish", "zsh"] {
        assert!(
            text(&run(&["completions", shell]).stdout).contains("timeout"),
            "{shell}"
        );
    }
    let manual = run(&["man"]);
    assert!(text(&manual.stdout).contains("timeout"));
}

#[test]
fn nothing_of_this_machine_is_visible() {
    let code =
        "import os\nprint(dict(os.environ), os.path.exists('/etc'), os.path.exists('/proc'))";
    let output = wardian(&["run", "--profile", "open", "-c", code])
        .env("SECRET", "seen")
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "{} False False\n");
}

/// A directory with files in it, and the paths of those.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn example(name: &str) -> String {
    format!("{}/../../policies/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_recipes_example_on_the_command_line() {
    let policy = example("customer_service");
    for (action, resource, code, said) in [
        ("read_file", "/data/faq/guide.md", 0, "allowed: "),
        (
            "write_file",
            "/etc/passwd",
            121,
            "permissions lack WRITE_FILE",
        ),
        ("execute", "", 121, "permissions lack EXECUTE_CODE"),
        (
            "read_file",
            "/data/faq/../../etc/passwd",
            121,
            "holds /etc/passwd",
        ),
        ("read_file", "/data/faqs/x", 121, "holds /data/faqs/x"),
        (
            "http_request",
            "https://api.internal.com/v1",
            0,
            "customer_service.toml:18",
        ),
        (
            "http_request",
            "https://api.internal.com@evil.com/",
            121,
            "a user name or a password",
        ),
        (
            "http_request",
            "https://api.internal.com.evil.com/",
            121,
            "matches https://api.internal.com.evil.com",
        ),
    ] {
        let output = run(&["policy", "explain", &policy, action, resource]);
        assert_eq!(output.status.code(), Some(code), "{action} {resource}");
        assert!(text(&output.stdout).contains(said), "{output:?}");
    }
    check(
        &["run", "--policy", &policy, "-c", "print(1)"],
        121,
        "",
        "not allowed to execute: permissions lack EXECUTE_CODE",
    );
    let output = run(&["policy", "explain", &policy, "chmod", "/x"]);
    assert_eq!(output.status.code(), Some(121));
    assert!(text(&output.stdout).contains("; there are read_file, write_file"));
    let output = run(&["policy", "explain", &policy, "read_file", "/x", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["allowed"], false);
    let rule = &json["ways"][0]["rules"][0];
    assert_eq!(
        (&rule["rule"], &rule["location"]["line"]),
        (&json!("allowed_paths"), &json!(12))
    );
}

/// Each example says what it allows; here is what of that holds.
#[test]
fn every_example_policy_does_what_it_says() {
    let everything = [
        ("read_file", "/data/faq/x"),
        ("read_file", "/data/x"),
        ("read_file", "/shared/x"),
        ("write_file", "/shared/x"),
        ("write_file", "/results/x"),
        ("write_file", "/data/x"),
        ("execute", ""),
        ("http_request", "https://api.internal.com/"),
        ("http_request", "https://api.example.com/"),
        ("http_request", "http://evil.com:8080/"),
        ("http_request", "https://10.0.0.1/"),
        ("db_read", "x"),
        ("db_write", "x"),
        ("send_email", "x"),
        ("read_file", "/etc/passwd"),
        ("write_file", "/etc/passwd"),
    ];
    let allowed: [(&str, &[usize]); 7] = [
        ("strict", &[6]),
        ("customer_service", &[0, 7, 11]),
        ("readonly", &[2, 6, 11]),
        ("standard", &[2, 3, 6, 8, 11]),
        ("full", &[2, 3, 6, 7, 8, 9, 11, 12, 13]),
        ("analyst", &[0, 1, 4, 6]),
        // Its tools have rules of their own.
        ("support", &[0, 1, 6]),
    ];
    let files = fs::read_dir(format!("{}/../../policies", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let files = files.filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "toml")
    });
    assert_eq!(files.count(), allowed.len());
    let copied = tempfile::tempdir().unwrap();
    let policies = format!("{}/../../policies", env!("CARGO_MANIFEST_DIR"));
    let mut copy = Command::new("cp");
    copy.args(["-r", &policies]).arg(copied.path());
    assert!(copy.status().unwrap().success());
    fs::write(copied.path().join("policies/shared/orders.db"), "").unwrap();
    for (name, allowed) in allowed {
        let file = example(name);
        let output = run(&["policy", "check", "--offline", &file]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let ok = format!("{file}: ok, sha256 {}\n", sha256(&file));
        assert_eq!(text(&output.stdout), ok);
        for (i, (action, resource)) in everything.into_iter().enumerate() {
            let code = run(&["policy", "explain", &file, action, resource])
                .status
                .code();
            let expected = if allowed.contains(&i) { 0 } else { 121 };
            assert_eq!(code, Some(expected), "{name}: {action} {resource}");
        }
        // Those that may run code do, in the directories that lie beside them, with the database
        // that one names.
        let code = if allowed.contains(&6) { 0 } else { 121 };
        let there = format!("{}/policies/{name}.toml", copied.path().display());
        let output = wardian(&["run", "--policy", &there, "-c", "print(1)"])
            .envs([("SHOP_API_KEY", "key"), ("SMTP_PASSWORD", "password")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
    }
}

fn sha256(file: &str) -> String {
    let output = run(&["policy", "show", file, "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json.get("sha256")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned()
}

/// The whole of it: megabytes of data in, a result out, nothing else.
#[test]
fn an_analyst_reads_data_and_writes_results() {
    let mut csv = String::from("region,units\n");
    let mut total = 0;
    for i in 0..300_000 {
        csv += &format!("region-{},{}\n", i % 7, i % 100);
        total += i % 100;
    }
    assert!(csv.len() > 3 << 20);
    let policy = fs::read_to_string(example("analyst")).unwrap();
    let files = Files::new(&[
        ("analyst.toml", &policy),
        ("analyst/data/sales.csv", &csv),
        ("analyst/results/keep", ""),
        ("secret.txt", "secret"),
    ]);
    let code = "import csv, json, pathlib\n\
        totals = {}\n\
        for row in csv.DictReader(open('/data/sales.csv')):\n    totals[row['region']] = totals.get(row['region'], 0) + int(row['units'])\n\
        json.dump(totals, open('/results/totals.json', 'w'))\n\
        refused = 0\n\
        for attempt in [lambda: open('/results/totals.json'), lambda: open('/data/new', 'w'), lambda: open('/data/../secret.txt'), lambda: open('/secret.txt', 'w'), lambda: pathlib.Path('/data/sales.csv').unlink(), lambda: list(pathlib.Path('/results').iterdir())]:\n    try: attempt()\n    except (PermissionError, FileNotFoundError): refused += 1\n\
        print(sum(totals.values()), refused)";
    let policy = files.path("analyst.toml");
    let output = run(&["run", "--policy", &policy, "--quiet", "-c", code]);
    assert_eq!(text(&output.stdout), format!("{total} 6\n"), "{output:?}");
    let mut found = Vec::new();
    let mut pending = vec![files.0.path().to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path)
            } else {
                found.push(
                    path.strip_prefix(files.0.path())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                )
            }
        }
    }
    found.sort();
    assert_eq!(
        found,
        [
            "analyst.toml",
            "analyst/data/sales.csv",
            "analyst/results/keep",
            "analyst/results/totals.json",
            "secret.txt"
        ]
    );
    assert_eq!(
        fs::read_to_string(files.path("analyst/data/sales.csv")).unwrap(),
        csv
    );
    let totals: Value =
        serde_json::from_slice(&fs::read(files.path("analyst/results/totals.json")).unwrap())
            .unwrap();
    assert_eq!(totals.as_object().unwrap().len(), 7);
}

#[test]
fn mistakes_in_a_policy_are_shown_where_they_are() {
    let files = Files::new(&[
        (
            "bad.toml",
            "version = 1\npermisions = [\"READ_FILE\"]\nallowed_paths = [\"/data\", \"/data/tmp\"]\n",
        ),
        ("ok.toml", "version = 1\n"),
        (
            "evil.toml",
            "version = 1\n\"\\u001b]0;x\" = 1 # \u{1b}]0;pwned\u{7}\n",
        ),
    ]);
    let [bad, ok, evil] = ["bad.toml", "ok.toml", "evil.toml"].map(|name| files.path(name));
    let output = run(&["policy", "check", &bad, &ok]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    for said in [
        "error: permisions: unknown key\n",
        &format!("{bad}:2:1\n"),
        "2 | permisions = [\"READ_FILE\"]\n  | ^^^^^^^^^^\n",
        "help: did you mean `permissions`?",
        "error: allowed_paths[1]: /data/tmp overlaps /data; grant each directory once",
    ] {
        assert!(stderr.contains(said), "{stderr}\ndoes not say\n{said}");
    }
    assert!(text(&output.stdout).starts_with(&format!("{ok}: ok")));
    let output = run(&["policy", "check", "--json", &bad]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["problems"][0]["line"], 2);
    assert_eq!(json["problems"][1]["key"], "allowed_paths[1]");
    // The same where a policy is used.
    check(
        &["run", "--policy", &bad, "-c", "1"],
        2,
        "",
        "did you mean `permissions`?",
    );
    check(
        &["policy", "show", &files.path("none.toml")],
        2,
        "",
        "there is no such file",
    );
    let output = run(&["policy", "check", &evil]);
    assert!(
        !output.stderr.contains(&0x1b) && !output.stderr.contains(&7),
        "{output:?}"
    );
}

#[test]
fn flags_only_narrow_a_policy() {
    let files = Files::new(&[(
        "policy.toml",
        "version = 1\npermissions = [\"EXECUTE_CODE\"]\n[limits]\ntimeout = \"5s\"\n",
    )]);
    let policy = files.path("policy.toml");
    let with = |flags: &[&str], code: &str| {
        let args = [&["run", "--policy", &policy], flags, &["-c", code]].concat();
        run(&args)
    };
    for (flag, wide) in [
        ("--timeout", "6s"),
        ("--timeout", "unlimited"),
        ("--memory", "257MiB"),
        ("--fuel", "101e9"),
        ("--profile", "open"),
    ] {
        let output = with(&[flag, wide], "1");
        assert_eq!(output.status.code(), Some(2), "{flag} {wide}");
        assert!(
            text(&output.stderr).contains(&format!("{flag} would widen the policy: ")),
            "{output:?}"
        );
    }
    let output = with(
        &["--timeout", "5s", "--memory", "100MiB", "--fuel", "1e9"],
        "print(1)",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = with(&["--timeout", "100ms"], "while True: pass");
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert_eq!(with(&["--read", "/tmp"], "1").status.code(), Some(2));
}

#[test]
fn directories_can_be_granted_by_flags() {
    let files = Files::new(&[("in/a.txt", "a"), ("out/old.txt", "old")]);
    let mut command = wardian(&[
        "run",
        "--read",
        "in",
        "--read",
        "/o=out",
        "--write",
        "/o=out",
        "-c",
        "print(open('in/a.txt').read()); open('/o/new.txt', 'w').write('new'); print(open('/o/old.txt').read()); open('/in/b.txt', 'w')",
    ]);
    let output = command.current_dir(files.0.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "a\nold\n");
    assert_eq!(
        fs::read_to_string(files.path("out/new.txt")).unwrap(),
        "new"
    );
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("wardian: the script may read /in, which is "),
        "{stderr}"
    );
    assert!(
        stderr.contains("wardian: the script may read and write /o, which is "),
        "{stderr}"
    );
    assert!(stderr.contains("wardian: refused to write /in/b.txt: /in/b.txt is in /in, which is granted for reading only"), "{stderr}");
    let home = std::env::home_dir().unwrap();
    for (dir, said) in [
        ("nowhere", "there is no such directory"),
        (home.to_str().unwrap(), "holds the home directory"),
        ("/", "can't be granted as a whole"),
        ("..", "say where the script finds it"),
    ] {
        check(&["run", "--read", dir, "-c", "1"], 2, "", said);
    }
}

#[test]
fn policies_are_compared() {
    let (strict, analyst) = (example("strict"), example("analyst"));
    let output = run(&["policy", "diff", &strict, &analyst]);
    let table = text(&output.stdout);
    for said in [
        "READ_FILE is permitted",
        "/results (",
        "30s instead of 10s",
        "line 24",
    ] {
        assert!(table.contains(said), "{table}");
    }
    let same = format!("{strict} allows nothing that {strict} does not\n");
    check(&["policy", "diff", &strict, &strict], 0, &same, "");
    let output = run(&["policy", "diff", "--json", &analyst, &strict]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        json,
        json!({"widenings": [
            {"key": "limits.files_created", "allows": "1000 instead of 20", "line": null}
        ]})
    );
}

#[test]
fn the_built_in_policy_is_shown() {
    let output = run(&["policy", "show"]);
    let shown = text(&output.stdout);
    for said in [
        "EXECUTE_CODE",
        "files: none",
        "network: none",
        "limits.timeout        10s",
        "tools: none",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    let output = run(&["policy", "schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["required"], json!(["version"]));
}

/// The recipe's two examples, and everything that `check` is for.
#[test]
fn sources_are_checked_without_being_run() {
    let files = Files::new(&[
        (
            "good.py",
            "import math\nprint(math.pi)\nprint(math.sqrt(16))\n",
        ),
        ("bad.py", "import os\nx = eval(input())\nos.system('ls')\n"),
        ("broken.py", "def f(:\n"),
        ("evil.py", "import os # \u{1b}]0;pwned\u{7}\n"),
    ]);
    let [good, bad, broken, evil] =
        ["good.py", "bad.py", "broken.py", "evil.py"].map(|name| files.path(name));
    check(&["check", &good], 0, "", "");
    check(&["run", &good], 0, "3.141592653589793\n4.0\n", "");
    let output = run(&["check", &good, &bad, &broken]);
    assert_eq!(output.status.code(), Some(120));
    let stderr = text(&output.stderr);
    for said in [
        format!("error: Forbidden import: os\n --> {bad}:1:8\n"),
        "1 | import os\n  |        ^^\n".to_owned(),
        format!("error: Forbidden call: eval()\n --> {bad}:2:5\n"),
        format!("error: Syntax error: '(' was never closed\n --> {broken}:1:6\n"),
    ] {
        assert!(stderr.contains(&said), "{stderr}\ndoes not say\n{said}");
    }
    // A run says the same, and what to do about it.
    let output = run(&["run", &bad]);
    assert_eq!(output.status.code(), Some(120));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("error: Forbidden call: eval()\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("wardian: the code profile `standard` forbids the call"),
        "{stderr}"
    );
    check(&["check", "--profile", "open", &bad], 0, "", "");
    check(&["check", "--profile", "strict", &good], 0, "", "");
    check(&["check", &files.path("none.py")], 2, "", "No such file");
    check(&["check", "--profile", "stric", &good], 2, "", "strict");
    check(
        &["check", "--policy", &example("strict"), &bad],
        120,
        "",
        "Forbidden import: os",
    );
    let output = run(&["check", "--json", &good, &bad]);
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["ok"], &lines[1]["ok"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(lines[1]["violations"][0]["text"], "os");
    assert_eq!(lines[1]["violations"][1]["line"], 2);
    let output = run(&["check", &evil]);
    assert!(
        !output.stderr.contains(&0x1b) && !output.stderr.contains(&7),
        "{output:?}"
    );
    let mut child = wardian(&["check", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"import os").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(120));
    assert!(text(&output.stderr).contains(" --> <snippet>:1:8"));
}
