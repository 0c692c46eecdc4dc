//! The command line, on the real binary.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

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

fn run(args: &[&str]) -> Output {
    wardian(args).output().unwrap()
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
    check(&["run", "-c", "import sys; sys.exit(-1)"], 255, "", "");
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
        "wardian: stopped at the fuel limit of 50000000 instructions\n",
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
        "wardian: stopped at the time limit of 200ms\n",
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
        (&["run", "/"], "cannot read /: Is a directory"),
        (
            &["run", binary],
            "is not UTF-8: byte 5 is not part of a character",
        ),
        (&["run", "-c", "1", "file.py"], "cannot be used with"),
        (
            &["run", "-c", "1", "--memory", "1MiB"],
            "memory is 1.0 MiB; it can be 64.0 MiB to 2.0 GiB",
        ),
        (
            &["run", "-c", "1", "--timeout", "0s"],
            "timeout is 0s; it can be 1ms to 1day",
        ),
        (
            &["run", "-c", "1", "--timeout", "soon"],
            "for example 500ms, 10s",
        ),
        (
            &["run", "-c", "1", "--fuel", "lots"],
            "for example 1000000, 5e9",
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
        json["verdict"]["limit"],
        json!({"which": "fuel", "used": 50_000_000, "allowed": 50_000_000})
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
fn started(script: &str) -> Child {
    let mut child = wardian(&["run", "--timeout", "60s", "-c", script])
        .spawn()
        .unwrap();
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
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn ctrl_c_stops_the_script() {
    for script in [
        "print(1)\nwhile True: pass",
        "print(1)\nimport time\ntime.sleep(1000)",
    ] {
        let mut child = started(script);
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{script}");
    }
}

/// Nobody reads, so the script's output blocks: limits and Ctrl-C hold all the same.
#[test]
fn a_pipe_that_nobody_reads() {
    let endless = "while True: print('x' * 1000)";
    let mut child = wardian(&["run", "--timeout", "200ms", "-c", endless])
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    let mut child = started(endless);
    std::thread::sleep(std::time::Duration::from_millis(200));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child = started("while True: print('x' * 1000)");
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
        (Some(0), "")
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
    let output = wardian(&["run", "-c", code])
        .env("SECRET", "seen")
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "{} False False\n");
}
