//! Tools, approval and the audit log on the command line.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};

use indoc::indoc;
use serde_json::{Value, json};

use crate::{Files, check, example, interrupt, run, text, wardian};

const POLICY: &str = r#"
version = 1
agent = "shop"
permissions = ["EXECUTE_CODE", "READ_FILE", "WRITE_FILE"]
allowed_paths = [{ path = "/data", host = "data" }]
[limits]
tool_calls = 5
[tools.read_file]
max_calls = 3
[tools.list_dir]
[tools.write_file]
approval = true
"#;

const SCRIPT: &str = indoc! {r"
    from wardian import tools
    print(tools.read_file('/data/a.txt'))
    try: tools.read_file('/etc/\x1b]0;x\x07passwd')
    except PermissionError as error: print(error)
    try: tools.write_file('/data/b.txt', 'text')
    except PermissionError as error: print(error)"};

fn files() -> Files {
    let files = Files::new(&[("policy.toml", POLICY), ("script.py", SCRIPT)]);
    fs::create_dir(files.path("data")).unwrap();
    fs::write(files.path("data/a.txt"), "content").unwrap();
    files
}

/// The script, on record in `log`, without a terminal.
fn recorded(files: &Files, log: &str) {
    let (policy, script) = (files.path("policy.toml"), files.path("script.py"));
    let output = Command::new("setsid")
        .args([
            "--wait",
            env!("CARGO_BIN_EXE_wardian"),
            "run",
            "--policy",
            &policy,
            "--audit",
            log,
            &script,
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        indoc! {r"
            content
            read_file: no entry of allowed_paths holds /etc/\u{1b}]0;x\u{7}passwd; allowed_paths has /data
            write_file was not approved: there is no terminal to ask at
        "},
        "{}",
        text(&output.stderr)
    );
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn tools_are_listed() {
    let files = files();
    let policy = files.path("policy.toml");
    let output = run(&["tools", "list", "--policy", &policy]);
    let shown = text(&output.stdout);
    for said in [
        "write_file  write_file  path  approval",
        "read_file   read_file   path  3 calls",
        "Lists a directory",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    let output = run(&["tools", "list", "--policy", &policy, "--stubs"]);
    let stubs = text(&output.stdout).to_owned();
    assert!(
        stubs.contains(
            "def write_file(path: str, content: str, append: bool = False) -> int:\n    \"\"\""
        ),
        "{stubs}"
    );
    // It is Python.
    check(
        &["run", "-c", &format!("{stubs}\nprint('ok')")],
        0,
        "ok\n",
        "",
    );
    let output = run(&["tools", "list", "--policy", &policy, "--json"]);
    let first: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["name"], &first["action"], &first["resource"]),
        (&json!("list_dir"), &json!("read_file"), &json!("path"))
    );
    assert_eq!(first["parameters"]["required"], json!(["path"]));

    check(
        &["tools", "list", "--policy", &example("strict")],
        0,
        "no tool: `[tools.NAME]` in a policy grants one; there are read_file, write_file, list_dir, \
         http_request, db_query, db_execute, send_email\n",
        "",
    );
    let lacking = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE"]
        [tools.write_file]"#};
    let lacking = Files::new(&[("policy.toml", lacking)]);
    check(
        &["tools", "list", "--policy", &lacking.path("policy.toml")],
        2,
        "",
        "scripts do not see write_file: `permissions` lack WRITE_FILE",
    );
    for (text, said) in [
        ("[tools.read_fil]", "policy.toml:9"),
        (
            "[tools.read_file.config]\nx = 1",
            "tools.read_file.config.x: unknown field `x`",
        ),
        (
            "[tools.read_file]\nargs.pth = { equals = 1 }",
            "has no argument \"pth\"; it has path",
        ),
        (
            "[tools.send_email.config]\nserver = \"x\"",
            "missing field `from`",
        ),
    ] {
        let broken = Files::new(&[(
            "policy.toml",
            &format!("version = 1\npermissions = [\"EXECUTE_CODE\"]\n\n\n\n\n\n\n{text}\n"),
        )]);
        check(
            &["tools", "list", "--policy", &broken.path("policy.toml")],
            2,
            "",
            said,
        );
        if said.contains("config") || said.contains("missing") {
            check(
                &["policy", "check", &broken.path("policy.toml")],
                2,
                "",
                said,
            );
        }
        check(
            &["run", "--policy", &broken.path("policy.toml"), "-c", "1"],
            2,
            "",
            said,
        );
    }
}

#[test]
fn a_run_is_recorded_and_read_back() {
    let files = files();
    let log = files.path("audit.jsonl");
    recorded(&files, &log);
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let output = run(&["audit", "show", &log]);
    let shown = text(&output.stdout);
    for said in [
        "run starts     ",
        "read_file      /data/a.txt                                   starts",
        "file read      /data/a.txt                                   allowed",
        "read_file      /data/a.txt                                   done",
        "read_file      /etc/\\x1b]0;x\\x07passwd                       REFUSED",
        "allowed_paths: no entry of allowed_paths holds /etc/\\u{1b}]0;x\\u{7}passwd",
        "write_file     /data/b.txt                                   REFUSED",
        "run ends       completed",
        "3 calls, 2 refused",
    ] {
        assert!(shown.contains(said), "{shown}\ndoes not say\n{said}");
    }
    assert!(!output.stdout.contains(&0x1b), "no colour in a pipe");
    let lines = |args: &[&str]| {
        let output = run(&[&["audit", "show", &log, "--json"], args].concat());
        text(&output.stdout).lines().count()
    };
    assert_eq!(
        (
            lines(&[]),
            lines(&["--denied"]),
            lines(&["--tool", "read_file"]),
            lines(&["--agent", "shop"])
        ),
        (7, 2, 3, 7)
    );
    assert_eq!(
        (
            lines(&["--agent", "other"]),
            lines(&["--since", "1h"]),
            lines(&["--since", "2999-01-01T00:00:00Z"])
        ),
        (0, 7, 0)
    );
    check(
        &["audit", "show", &log, "--since", "yesterday"],
        2,
        "",
        "is no time; write",
    );

    let output = run(&["audit", "summary", &log]);
    let shown = text(&output.stdout);
    for said in [
        "shop   read_file      refused   1",
        "shop   run completed  ended     1",
        "REFUSED MOST  RESOURCE",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    let output = run(&["audit", "summary", &log, "--json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["top_refused"].as_array().unwrap().len(), 2);
    check(
        &["audit", "show", "/no/such"],
        2,
        "",
        "cannot read /no/such",
    );
}

/// For a container whose standard error somebody collects.
#[test]
fn a_run_can_be_recorded_on_standard_error() {
    let output = run(&["run", "--audit", "-", "-c", "print(1)"]);
    assert_eq!(text(&output.stdout), "1\n");
    let records: Vec<Value> = text(&output.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = records.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["run_started", "run_finished"]);
}

#[test]
fn a_log_is_verified() {
    let files = files();
    let log = files.path("audit.jsonl");
    recorded(&files, &log);
    let output = run(&["audit", "verify", &log, "--json"]);
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (
            &verified["ok"],
            &verified["records"],
            &verified["open_runs"]
        ),
        (&json!(true), &json!(7), &json!([]))
    );
    let head = verified["head"].as_str().unwrap().to_owned();
    recorded(&files, &log);
    check(
        &["audit", "verify", &log, "--head", &head],
        0,
        text(&run(&["audit", "verify", &log]).stdout),
        "",
    );
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();

    fs::write(&log, whole.replacen("a.txt", "b.txt", 1)).unwrap();
    check(
        &["audit", "verify", &log],
        1,
        "",
        "line 2: its hash is not that of its text",
    );
    // What is intact is shown all the same.
    let output = run(&["audit", "show", &log]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    fs::write(&log, lines[..3].concat()).unwrap();
    let output = run(&["audit", "verify", &log]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(
        said.contains("has not ended")
            && said.contains("line 2: call 1, of read_file, has started and not ended"),
        "{said}"
    );
    check(
        &["audit", "verify", &log, "--head", &head],
        1,
        "",
        "is missing: the end was cut off",
    );
    fs::write(&log, [&lines[..2], &lines[3..]].concat().concat()).unwrap();
    let output = run(&["audit", "verify", &log, "--json"]);
    let broken: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &broken["line"]),
        (Some(1), &json!(3))
    );
}

#[test]
fn a_log_that_can_not_be_written() {
    let files = files();
    symlink(files.path("data/a.txt"), files.path("link")).unwrap();
    for (log, said) in [
        (files.path("link"), "it is a symbolic link"),
        ("/dev/full".to_owned(), "it is not a regular file"),
        (files.path("data"), "Is a directory"),
        (files.path("script.py"), "its last line can't be added to"),
        (files.path("no/such"), "No such file"),
    ] {
        if let Ok(found) = fs::metadata(&log)
            && found.is_file()
        {
            fs::set_permissions(&log, PermissionsExt::from_mode(0o600)).unwrap();
        }
        check(&["run", "--audit", &log, "-c", "print(1)"], 2, "", said);
    }
    // A disk that is full after the first record.
    let full = format!(
        "trap '' XFSZ; ulimit -f 1; exec \"$0\" run --audit {} -c 'print(1)'",
        files.path("audit.jsonl")
    );
    let output = Command::new("bash")
        .args(["-c", &full, env!("CARGO_BIN_EXE_wardian")])
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(125)), "{output:?}");
    assert!(
        text(&output.stderr).contains("the audit log can't be written"),
        "{output:?}"
    );
    assert_eq!(
        run(&["audit", "verify", &files.path("audit.jsonl")])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn too_many_calls_have_an_exit_code() {
    let files = files();
    let policy = files.path("policy.toml");
    let code = indoc! {"
        from wardian import tools
        for i in range(9):
            try: tools.list_dir('/data')
            except BaseException: pass"};
    check(
        &["run", "--policy", &policy, "-c", code],
        127,
        "",
        "wardian: stopped at the limit of 5 calls of tools, in line 3\n",
    );
}

/// A command at a terminal of its own, and what that has shown.
struct Terminal {
    child: Child,
    screen: String,
}

impl Terminal {
    fn start(command: &str) -> Self {
        let child = Command::new("script")
            .args(["--quiet", "--return", "--command", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = String::new();
        Self { child, screen }
    }

    /// Waits until this has been shown.
    fn see(&mut self, until: &str) {
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut more = [0; 4096];
        while !self.screen.contains(until) {
            let len = stdout.read(&mut more).unwrap();
            assert!(len > 0, "{}", self.screen);
            self.screen.push_str(text(&more[..len]));
        }
    }

    fn keys(&mut self, keys: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// Waits for the command's end, and returns all that was shown.
    fn end(mut self) -> String {
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut self.screen).unwrap();
        self.child.wait().unwrap();
        self.screen
    }
}

/// The person at the terminal is asked, and sees what would be done.
#[test]
fn the_terminal_is_asked() {
    let files = files();
    let (policy, script) = (files.path("policy.toml"), files.path("script.py"));
    for (answer, end, written) in [
        (None, "", true),
        (Some("y\n"), "the terminal said no", false),
        (Some("\n"), "the terminal said no", false),
    ] {
        let log = files.path("audit.jsonl");
        let command = format!(
            "{} run --policy {policy} --audit {log} {script}",
            env!("CARGO_BIN_EXE_wardian")
        );
        let mut terminal = Terminal::start(&command);
        terminal.see(" s left): ");
        let asked = terminal.screen.clone();
        assert!(
            asked.contains("shop wants to call write_file (write_file)"),
            "{asked}"
        );
        assert!(
            asked.contains("  on /data/b.txt\r\n") && asked.contains("  content = \"text\"\r\n"),
            "{asked}"
        );
        // The word that this question asks for.
        let word = asked.rsplit("Type ").next().unwrap();
        let word = format!("{}\n", word.split(' ').next().unwrap());
        let answer = answer.unwrap_or(&word);
        terminal.keys(answer.as_bytes());
        let screen = terminal.end();
        let rest = &screen[asked.len()..];
        assert!(rest.contains(end), "{rest}");
        let file = files.path("data/b.txt");
        assert_eq!(fs::remove_file(file).is_ok(), written, "{answer:?}");
    }
    let shown = run(&[
        "audit",
        "show",
        &files.path("audit.jsonl"),
        "--tool",
        "write_file",
    ]);
    assert!(text(&shown.stdout).contains("approved by the terminal"));
}

/// REVIEW A 17: what was typed before the question, and what a script's own question has harvested,
/// approves of nothing.
#[test]
fn a_17_keys_typed_before_a_question_do_not_answer_it() {
    let script = indoc! {r"
        from wardian import tools
        print('--- wardian asks ---\nType bcdf to approve, Enter to refuse: ', end='', flush=True)
        import time
        time.sleep(1)
        try: tools.write_file('/data/b.txt', 'text')
        except PermissionError as error: print(error)"};
    let files = Files::new(&[("policy.toml", POLICY), ("script.py", script)]);
    fs::create_dir(files.path("data")).unwrap();
    let command = format!(
        "{} run --policy {} {}",
        env!("CARGO_BIN_EXE_wardian"),
        files.path("policy.toml"),
        files.path("script.py")
    );
    let mut terminal = Terminal::start(&command);
    terminal.see("Enter to refuse: ");
    terminal.keys(b"bcdf\ny\nyes\n");
    // It is asked all the same, and its time goes on.
    terminal.see("8 s left): ");
    assert!(
        !fs::exists(files.path("data/b.txt")).unwrap(),
        "{}",
        terminal.screen
    );
    terminal.keys(b"bcdf\n");
    terminal.see("the terminal said no");
    drop(terminal.child.stdin.take());
    let screen = terminal.end();
    assert!(!fs::exists(files.path("data/b.txt")).unwrap(), "{screen}");
}

/// REVIEW A 16: a long argument pushes nothing out of sight, and can be looked at.
#[test]
fn a_16_what_is_approved_is_what_is_shown() {
    let script = "from wardian import tools\ntools.write_file('/data/' + 'b' * 60 + '.txt', 'start' + 'x' * \
                  20_000 + '\\x1b[2Jend')";
    let files = Files::new(&[("policy.toml", POLICY), ("script.py", script)]);
    fs::create_dir(files.path("data")).unwrap();
    let command = format!(
        "stty rows 24 cols 80; {} run --policy {} {}",
        env!("CARGO_BIN_EXE_wardian"),
        files.path("policy.toml"),
        files.path("script.py")
    );
    let mut terminal = Terminal::start(&command);
    terminal.see(" s left): ");
    let screen = terminal.screen.clone();
    // All of it is on a screen of 24 lines of 80.
    let lines: usize = screen
        .lines()
        .map(|line| line.chars().count() / 80 + 1)
        .sum();
    assert!(lines <= 24, "{screen}");
    let path = format!("on /data/{}.txt", "b".repeat(60));
    for shown in [
        &path,
        "write_file",
        "append = false",
        "20012 characters",
        "start",
        "\\x1b[2Jend",
        "sha256",
    ] {
        assert!(screen.contains(shown), "{shown}: {screen}");
    }
    assert!(!screen.contains("\x1b[2J"));
    terminal.keys(b"v\n");
    terminal.see(&"x".repeat(15_000));
    terminal.see("---\r\nType ");
    drop(terminal.child.stdin.take());
    terminal.end();
    assert_eq!(fs::read_dir(files.path("data")).unwrap().count(), 0);
}

/// A run that is interrupted has its end on the record.
#[test]
fn ctrl_c_is_on_the_record() {
    let files = files();
    let log = files.path("audit.jsonl");
    let mut child = wardian(&[
        "run",
        "--audit",
        &log,
        "-c",
        "print('on', flush=True)\nwhile True: pass",
    ])
    .spawn()
    .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let shown = run(&["audit", "show", &log]);
    assert!(
        text(&shown.stdout).contains("run ends       stopped"),
        "{}",
        text(&shown.stdout)
    );
    assert!(text(&run(&["audit", "verify", &log]).stdout).contains("ok, 2 records"));
}

/// A reader that has seen enough.
#[test]
fn a_timeline_can_be_cut_off() {
    let files = files();
    let log = files.path("audit.jsonl");
    for _ in 0..3 {
        recorded(&files, &log);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_wardian"))
        .args(["audit", "show", &log])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(141), "")
    );
}
