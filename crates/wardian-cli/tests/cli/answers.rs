//! Commands that explain a policy say what a run does: one decision, one list of problems, one
//! shape of JSON.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use indoc::indoc;
use serde_json::{Value, json};

use crate::{Files, check, example, interrupt, report, run, text, wardian};

/// Explains; returns whether it is allowed, and the last way as JSON.
#[track_caller]
fn explain(policy: &str, question: &[&str]) -> (bool, Value) {
    let output = run(&[&["policy", "explain", "--json", policy], question].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed = json["allowed"].as_bool().unwrap();
    assert_eq!(
        output.status.code(),
        Some(if allowed { 0 } else { 121 }),
        "{json}"
    );
    let ways = json["ways"].as_array().unwrap();
    (allowed, ways.last().unwrap().clone())
}

#[test]
fn b_1_explain_decides_as_the_gate_does() {
    let support = example("support");
    for (question, allowed, rule) in [
        // By the review: the rule on the argument, the tool's recipients, its databases.
        (
            vec!["http_request", "https://api.example.com/v2/x"],
            false,
            "tools.http_request.args.url",
        ),
        (
            vec!["send_email", "bob@example.com"],
            false,
            "tools.send_email.config.recipients",
        ),
        (vec!["db_read", "nosuch"], false, "arguments"),
        (
            vec!["http_request", "https://api.example.com/v1/x"],
            true,
            "tools.http_request.args.url",
        ),
        (
            vec!["send_email", "bob@customers.example.com"],
            true,
            "tools.send_email.approval",
        ),
        (vec!["db_read", "orders"], true, "tools.db_query.config"),
        (
            vec![
                "http_request",
                "url=https://api.example.com/v1/x",
                "method=PUT",
            ],
            false,
            "tools.http_request.args.method",
        ),
        (
            vec![
                "http_request",
                "url=https://api.example.com/v1/x",
                "verb=GET",
            ],
            false,
            "arguments",
        ),
        (
            vec!["http_request", "https://other.example.com/?a=b"],
            false,
            "allowed_domains",
        ),
        (
            vec!["read_file", "/data/x"],
            true,
            "allowed_paths[\"/data\"]",
        ),
        (vec!["write_file", "/data/x"], false, "permissions"),
        (vec!["execute"], true, "permissions"),
    ] {
        let (is_allowed, way) = explain(&support, &question);
        let rules = way["rules"].as_array().unwrap();
        let last = rules.last().unwrap();
        assert_eq!(
            (is_allowed, &last["rule"]),
            (allowed, &json!(rule)),
            "{question:?} {way}"
        );
        assert_eq!(way["error"].is_null(), allowed, "{way}");
    }
    // All rules that were passed, budget, approval, and what the script is told.
    let (_, way) = explain(&support, &["send_email", "bob@customers.example.com"]);
    assert_eq!(
        (&way["max_calls"], &way["approval"]),
        (&json!(3), &json!(true))
    );
    let output = run(&[
        "policy",
        "explain",
        &support,
        "http_request",
        "https://api.example.com/v2/x",
    ]);
    let said = text(&output.stdout);
    for part in [
        "refused: the tool http_request: ",
        "  ok  tools.http_request.max_calls: http_request can be called 20 times in a run (",
        "  no  tools.http_request.args.url: ",
        "the script would see: PermissionError: argument `url`",
    ] {
        assert!(said.contains(part), "{said}\ndoes not say\n{part}");
    }
    // One that does not exist is a refusal, with the nearest that does.
    let output = run(&[
        "policy",
        "explain",
        &support,
        "htp_request",
        "https://api.example.com/v1/",
    ]);
    assert_eq!(output.status.code(), Some(121));
    assert!(
        text(&output.stdout).contains("did you mean http_request?"),
        "{output:?}"
    );
}

#[test]
fn b_2_check_finds_what_run_refuses() {
    let files = Files::new(&[("data/a.csv", "1")]);
    let run_and_check = |text_of_policy: &str, said: &[&str]| {
        let file = files.path("policy.toml");
        fs::write(&file, text_of_policy).unwrap();
        let output = run(&["policy", "check", &file]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text_of_policy}\n{stderr}");
        for said in said {
            assert!(stderr.contains(said), "{stderr}\ndoes not say\n{said}");
        }
        // The same problems, all of them, where the policy is used.
        let used = run(&["run", "--policy", &file, "-c", "1"]);
        assert_eq!((used.status.code(), text(&used.stderr)), (Some(2), stderr));
        output
    };
    let head = "version = 1\npermissions = [\"EXECUTE_CODE\", \"READ_FILE\", \"DATABASE_READ\"]\n";
    for (rest, said) in [
        ("[tools.reed_file]", "did you mean read_file?"),
        (
            "[tools.http_request]",
            "scripts do not see http_request: `permissions` lack NETWORK_ACCESS",
        ),
        (
            "[tools.read_file]\nargs.pat = { equals = \"x\" }",
            "read_file has no argument \"pat\"; it has path",
        ),
        (
            "[tools.db_query.config]\ndatabases.x = { sqlite = \"none.db\" }",
            "none.db, which is not there",
        ),
        (
            "[tools.db_query.config]\ndatabases.x = { postgres = { env = \"WARDIAN_NO_SUCH\" } }",
            "the environment has no variable",
        ),
        (
            "[tools.db_query.config]\ndatabase.x = { sqlite = \"none.db\" }",
            "unknown field `database`",
        ),
        (
            "[source]\nallow_imports = [\"sys\", \"wardian\", \"numpy\", \"mathh\"]",
            "there is no module mathh",
        ),
        (
            indoc! {r#"
                [source]
                allow_imports = ["os"]
                forbid_imports = ["os"]"#},
            "os is allowed as well, by source.allow_imports[0]",
        ),
    ] {
        run_and_check(&format!("{head}{rest}\n"), &[said, "policy.toml:"]);
    }
    for (path, said) in [
        ("nowhere", "there is no such directory; create it first"),
        ("~/data", "is for a shell to expand"),
        ("$HOME/data", "is for a shell to expand"),
        ("data/*.csv", "is for a shell to expand"),
    ] {
        run_and_check(&format!("{head}allowed_paths = [\"{path}\"]\n"), &[said]);
    }
    let no_permission = indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE"]
            allowed_paths = ["data"]
        "#};
    run_and_check(no_permission, &["nothing can be done in /data"]);
    // All at once, whatever is wrong with the text.
    run_and_check(
        &format!(
            "{head}allowed_paths = [\"nowhere\"]\nlimit = 1\n[tools.reed_file]\n[tools.read_file]\nmax_cals = 1\n"
        ),
        &[
            "limit: unknown key",
            "did you mean `max_calls`?",
            "there is no such directory",
            "reed_file is granted",
        ],
    );
    run_and_check(
        &format!(
            "{head}allowed_paths = [\"nowhere\"]\n[source]\nallow_imports = [\"numpy\"]\n[tools.reed_file]\n\
             [tools.http_request]\n"
        ),
        &[
            "there is no such directory",
            "there is no module numpy",
            "reed_file is granted",
            "do not see http_request",
        ],
    );
}

#[test]
fn b_2_what_only_the_host_can_know_is_a_warning_offline() {
    let files = Files::new(&[(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE", "DATABASE_READ"]
            allowed_paths = ["nowhere"]
            [tools.db_query.config]
            databases.x = { postgres = { env = "WARDIAN_NO_SUCH" } }
        "#},
    )]);
    let file = files.path("policy.toml");
    let output = run(&["policy", "check", "--offline", &file]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.matches("warning: ").count(), 2, "{stderr}");
    let output = run(&["policy", "check", "--offline", "--json", &file]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["problems"][1]["warning"]),
        (&json!(true), &json!(true))
    );
    let output = run(&["policy", "check", &file]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).matches("error: ").count(), 2);
}

#[test]
fn b_3_a_policy_that_can_not_run_is_attacked_by_nothing() {
    let files = Files::new(&[(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE"]
            [tools.nosuch]
        "#},
    )]);
    let file = files.path("policy.toml");
    for command in [
        ["attack", "--only", "ESC-01", "--policy"],
        ["tools", "list", "--stubs", "--policy"],
    ] {
        let args = [&command[..], &[&file]].concat();
        check(&args, 2, "", "nosuch is granted, but there is none");
    }
    check(
        &["policy", "explain", &file, "nosuch"],
        2,
        "",
        "nosuch is granted, but there is none",
    );
}

#[test]
fn b_5_a_scenario_finds_the_policy_of_the_folders_above() {
    let files = Files::new(&[
        (
            "cases/policy.toml",
            "version = 1\npermissions = [\"EXECUTE_CODE\"]\n",
        ),
        ("cases/good/main.py", "print(1)"),
        (
            "cases/good/expect.toml",
            "verdict = \"completed\"\nstdout = \"1\\n\"\n",
        ),
    ]);
    let output = run(&["test", &files.path("cases/good")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Also by a path that has no folder in it.
    let mut command = wardian(&["test", "good"]);
    let output = command.current_dir(files.path("cases")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// Every way in which a run can end, or not begin. That all have the published shape is what `run`
/// checks.
#[test]
fn b_9_json_has_one_shape() {
    let files = Files::new(&[
        ("bad.toml", "version = 1\nlimit = 1\n"),
        ("none.toml", "version = 1\n"),
        (
            "read.toml",
            "version = 1\npermissions = [\"EXECUTE_CODE\", \"READ_FILE\"]\n",
        ),
    ]);
    let [bad, none, read] = ["bad.toml", "none.toml", "read.toml"].map(|name| files.path(name));
    let deep = indoc! {"
        def f():
            return [f]
        t = ()
        for _ in range(300000): t = (t,)
        hash(t)"};
    let fields = |json: &Value| {
        json.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut shape = None;
    for (args, verdict, pointer, value) in [
        (vec!["-c", "6 * 7"], "completed", "/value", json!(42)),
        (
            vec!["-c", "{1: object()}"],
            "completed",
            "/value",
            json!(null),
        ),
        (vec!["-c", "\n1/0"], "raised", "/exception/line", json!(2)),
        (
            vec!["-c", "raise SystemExit(3)"],
            "exited",
            "/exit_status",
            json!(3),
        ),
        (
            vec!["-c", "import os"],
            "rejected",
            "/violations/0/rule",
            json!("import"),
        ),
        (
            vec!["--policy", &none, "-c", "1"],
            "denied",
            "/denial/rule",
            json!("permissions"),
        ),
        (
            vec!["--policy", &read, "-c", "open('/etc/passwd')"],
            "raised",
            "/refusals/0/rule",
            json!("allowed_paths"),
        ),
        (
            vec!["--fuel", "50e6", "-c", "while True: pass"],
            "limit",
            "/limit/name",
            json!("fuel"),
        ),
        (
            vec!["--timeout", "100ms", "-c", "while True: pass"],
            "limit",
            "/limit/allowed",
            json!(100),
        ),
        (vec!["-c", deep], "", "/value", json!(null)),
        (
            vec!["--policy", &bad, "-c", "1"],
            "policy",
            "/problems/0/location/line",
            json!(2),
        ),
        (
            vec!["--policy", "/no/such", "-c", "1"],
            "policy",
            "/problems",
            json!([]),
        ),
        (
            vec!["--fuel", "0", "-c", "1"],
            "usage",
            "/value",
            json!(null),
        ),
        (vec!["--nosuch", "-c", "1"], "usage", "/run_id", json!(null)),
        (vec![], "usage", "/source_sha256", json!(null)),
        (vec!["/no/such.py"], "usage", "/usage/fuel", json!(0)),
        (
            vec!["--input", "x=1", "--input", "x=2", "-c", "1"],
            "usage",
            "/success",
            json!(false),
        ),
    ] {
        let output = run(&[&["run", "--json"], &args[..]].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        if !verdict.is_empty() {
            assert_eq!(json["verdict"], verdict, "{args:?} {json}");
        }
        assert_eq!(json.pointer(pointer), Some(&value), "{args:?} {json}");
        assert_eq!(json["success"], output.status.success(), "{json}");
        assert_eq!(json["error"].is_null(), output.status.success(), "{json}");
        assert_eq!(shape.get_or_insert_with(|| fields(&json)), &fields(&json));
    }
}

/// An interrupted run has the same shape, with what it had printed.
#[test]
fn b_9_an_interruption_is_json_too() {
    let files = Files::new(&[("out/old", "")]);
    let script = indoc! {"
        print('so far')
        open('/o/ready', 'w').close()
        import time
        time.sleep(60)"};
    let out = format!("/o={}", files.path("out"));
    let args = [
        "run",
        "--json",
        "--timeout",
        "60s",
        "--write",
        &out,
        "-c",
        script,
    ];
    let child = wardian(&args).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !Path::new(&files.path("out/ready")).exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let json = report(&output.stdout);
    assert_eq!(
        (&json["verdict"], &json["output"]),
        (&json!("interrupted"), &json!("so far\n"))
    );
}

#[test]
fn b_10_a_policy_is_not_a_script() {
    let files = Files::new(&[("granted", "version = 1\npermissions = [\"EXECUTE_CODE\"]\n")]);
    let granted = files.path("granted");
    for policy in [example("support"), granted] {
        let advice = format!("write `wardian run --policy {policy} SCRIPT`");
        check(&["run", &policy], 2, "", &advice);
        let advice = format!("or `wardian policy check {policy}`");
        check(&["check", &policy], 2, "", &advice);
    }
    check(&["run", "-c", "version = 1"], 0, "", "");
}

#[test]
fn b_11_an_engine_that_does_not_start_is_said_once() {
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 6; exec \"$0\" run -c 1",
            env!("CARGO_BIN_EXE_wardian"),
        ])
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.matches("did not start").count() <= 1, "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn b_12_every_spelling_is_understood_and_one_is_printed() {
    let files = Files::new(&[
        ("data/a", ""),
        (
            "policy.toml",
            indoc! {r#"
                version = 1
                permissions = ["execute", "read_file", "db_read"]
                allowed_paths = ["data"]
            "#},
        ),
    ]);
    let policy = files.path("policy.toml");
    let output = run(&["policy", "show", &policy]);
    assert!(
        text(&output.stdout).contains("READ_FILE, EXECUTE_CODE, DATABASE_READ"),
        "{output:?}"
    );
    for spelling in ["READ_FILE", "read_file", "Read_File"] {
        let (allowed, way) = explain(&policy, &[spelling, "/data/a"]);
        assert!(allowed);
        assert_eq!(way["action"], "read_file");
    }
    let support = example("support");
    for spelling in ["DATABASE_READ", "db_read", "db_query"] {
        let (allowed, way) = explain(&support, &[spelling, "orders"]);
        assert!(allowed, "{way}");
        assert_eq!(
            (&way["tool"], &way["action"]),
            (&json!("db_query"), &json!("db_read"))
        );
    }
}

#[test]
fn b_15_what_a_tool_reaches_is_shown_and_compared() {
    let mail = |server: &str, recipients: &str| {
        format!(
            "version = 1\npermissions = [\"EXECUTE_CODE\", \"SEND_EMAIL\"]\n[tools.send_email.config]\n\
             server = \"{server}\"\n\
             username = \"shop\"\npassword = {{ env = \"SMTP_PASSWORD\" }}\nfrom = \"s@example.com\"\n\
             recipients = [{recipients}]\n"
        )
    };
    let files = Files::new(&[
        ("a.toml", &mail("smtp.example.com", "\"ada@example.com\"")),
        (
            "b.toml",
            &mail(
                "smtp.evil.example",
                "\"ada@example.com\", \"*@evil.example\"",
            ),
        ),
    ]);
    let [a, b] = ["a.toml", "b.toml"].map(|name| files.path(name));
    let output = run(&["policy", "show", &a]);
    let shown = text(&output.stdout);
    for said in [
        "smtp.example.com",
        "ada@example.com",
        "send_email.config.password.env",
        "SMTP_PASSWORD",
        "line 4",
    ] {
        assert!(shown.contains(said), "{shown}\ndoes not say\n{said}");
    }
    let output = run(&["policy", "diff", &a, &b]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    for said in [
        "\"smtp.evil.example\" instead of",
        "\"*@evil.example\", which is new",
        "recipients[1]",
    ] {
        assert!(table.contains(said), "{table}\ndoes not say\n{said}");
    }
    assert_eq!(
        run(&["policy", "diff", "--exit-code", &a, &b])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        run(&["policy", "diff", "--exit-code", &a, &a])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn c_7_logs_answer_questions() {
    let files = Files::new(&[
        (
            "one.py",
            "try: open('/etc/passwd')\nexcept PermissionError: print('no')",
        ),
        ("two.py", "while True: pass"),
        (
            "policy.toml",
            indoc! {r#"
                version = 1
                agent = "tester"
                permissions = ["EXECUTE_CODE", "READ_FILE"]
            "#},
        ),
    ]);
    let [one, two, policy, log, other] = [
        "one.py",
        "two.py",
        "policy.toml",
        "audit.jsonl",
        "other.jsonl",
    ]
    .map(|name| files.path(name));
    run(&["run", "--policy", &policy, "--audit", &log, &one]);
    run(&[
        "run", "--policy", &policy, "--audit", &log, "--fuel", "50e6", &two,
    ]);
    run(&["run", "--policy", &policy, "--audit", &other, &one]);
    let shown = |args: &[&str]| {
        let output = run(&[&["audit", "show"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        (
            text(&output.stdout).to_owned(),
            text(&output.stderr).to_owned(),
        )
    };
    // A run's record names script, policy and version.
    let (all, _) = shown(&[&log]);
    assert!(
        all.contains("one.py") && all.contains("two.py") && all.contains("policy.toml"),
        "{all}"
    );
    let (json, _) = shown(&["--json", &log]);
    let records: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&records[0]["script"], &records[0]["policy"]),
        (&json!(one), &json!(policy))
    );
    // Why did a run stop?
    let stopped = records.last().unwrap()["run"].as_str().unwrap();
    let (of_run, _) = shown(&["--run", &stopped[stopped.len() - 6..], &log]);
    assert!(
        of_run.contains("STOPPED") && of_run.contains("`limits.fuel`"),
        "{of_run}"
    );
    assert!(!of_run.contains("one.py"), "{of_run}");
    let (refused, _) = shown(&["--refused", &log]);
    assert!(
        refused.contains("/etc/passwd") && !refused.contains("run ends"),
        "{refused}"
    );
    let (nothing, said) = shown(&["--agent", "nobody", &log]);
    assert_eq!(nothing, "");
    assert!(
        said.contains("none of the ") && said.contains(" records is what was asked for"),
        "{said}"
    );
    // Several files, and standard input.
    let (both, _) = shown(&["--refused", &log, &other]);
    assert_eq!(both.matches("file read").count(), 2, "{both}");
    let mut command = wardian(&["audit", "show", "--refused", "-"]);
    let output = command
        .stdin(fs::File::open(&log).unwrap())
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), refused);
}

#[test]
fn c_7_a_log_can_be_followed() {
    let files = Files::new(&[]);
    let log = files.path("audit.jsonl");
    run(&["run", "--audit", &log, "-c", "1"]);
    let shown = fs::File::create(files.path("shown")).unwrap();
    let mut child = wardian(&["audit", "show", "--follow", &log])
        .stdout(shown)
        .spawn()
        .unwrap();
    run(&["run", "--audit", &log, "-c", "2"]);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = fs::read_to_string(files.path("shown")).unwrap();
        if shown.matches("run ends").count() == 2 {
            break;
        }
        assert!(Instant::now() < until, "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Not Ctrl-C, which a shell in the background has its children ignore.
    child.kill().unwrap();
    child.wait().unwrap();
    check(
        &["audit", "show", "--follow", &log, &log],
        2,
        "",
        "--follow takes one file",
    );
}

#[test]
fn c_12_tools_of_a_host_are_doubled() {
    let files = Files::new(&[
        (
            "policy.toml",
            indoc! {r#"
                version = 1
                permissions = ["EXECUTE_CODE", "DATABASE_READ"]
                [tools.find_order]
                max_calls = 1
            "#},
        ),
        (
            "tools.toml",
            indoc! {r#"
                [find_order]
                action = "db_read"
                arguments = ["order"]
                answer = '"in the post"'
            "#},
        ),
        ("bad.toml", "[find_order]\naction = \"db_read\"\n"),
        (
            "cases/a/main.py",
            "from wardian import tools\nprint(tools.find_order(order='A-1'))",
        ),
        (
            "cases/a/expect.toml",
            "verdict = \"completed\"\nstdout = \"in the post\\n\"\n",
        ),
    ]);
    let [policy, tools, bad, cases] =
        ["policy.toml", "tools.toml", "bad.toml", "cases"].map(|name| files.path(name));
    let script = "from wardian import tools\nprint(tools.find_order(order='A-1'))";
    let with = ["--policy", &policy, "--doubles", &tools];
    check(
        &[&["run"], &with[..], &["-c", script]].concat(),
        0,
        "in the post\n",
        "",
    );
    let output = run(&[&["tools", "list", "--stubs"], &with[..]].concat());
    assert!(
        text(&output.stdout).contains("def find_order(order: Any)"),
        "{output:?}"
    );
    let output = run(&[&["attack", "--only", "ESC-01"], &with[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = run(&[&["test", &cases], &with[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    check(
        &["policy", "check", &policy],
        2,
        "",
        "find_order is granted, but there is none",
    );
    let output = run(&["policy", "check", "--doubles", &tools, &policy]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    check(
        &["run", "--policy", &policy, "--doubles", &bad, "-c", "1"],
        2,
        "",
        "[find_order] needs `answer` or `fails`, and not both",
    );
}
