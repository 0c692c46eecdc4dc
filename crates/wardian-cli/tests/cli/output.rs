//! Output, its readers, and signals.

use super::*;
use indoc::indoc;

#[test]
fn json_is_one_object() {
    let output = run(&[
        "run",
        "--json",
        "--profile",
        "open",
        "-c",
        indoc! {"
            import sys
            print('out')
            print('err', file=sys.stderr)
            {'a': [1]}"},
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
fn quiet_says_why_a_script_was_stopped_and_nothing_else() {
    let output = run(&["run", "-q", "--fuel", "50e6", "-c", "while True: pass"]);
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
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
        "stopped at the fuel limit",
    );
}

#[test]
fn output_that_is_cut_is_told() {
    let output = run(&["run", "-c", "print('x' * 3_000_000)"]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("stdout was cut at 1 MiB"), "{stderr}");
    assert!(
        stderr.contains("`limits.stdout` in a policy raises the limit"),
        "{stderr}"
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
