//! Policies: the examples, mistakes in files, flags.

use super::*;
use indoc::indoc;

#[test]
fn a_customer_service_policy_on_the_command_line() {
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

/// The directory of the examples.
fn examples() -> String {
    format!("{}/../../policies", env!("CARGO_MANIFEST_DIR"))
}

/// Each example says what it allows; here is what of that holds.
#[test]
fn every_example_policy_does_what_it_says() {
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
    let files = fs::read_dir(examples()).unwrap();
    let files = files.filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "toml")
    });
    // One of them has packages, which not every machine has: `needs_kit`.
    assert_eq!(files.count(), allowed.len() + 1);
    for (name, allowed) in allowed {
        check_example(name, allowed);
    }
}

/// An example allows these of everything, runs what it says it does, and is checked.
pub(crate) fn check_example(name: &str, allowed: &[usize]) {
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
    let copied = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.args(["-r", &examples()]).arg(copied.path());
    assert!(copy.status().unwrap().success());
    fs::write(copied.path().join("policies/shared/orders.db"), "").unwrap();
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
    let code = indoc! {"
        import csv, json, pathlib
        totals = {}
        for row in csv.DictReader(open('/data/sales.csv')):
            totals[row['region']] = totals.get(row['region'], 0) + int(row['units'])
        json.dump(totals, open('/results/totals.json', 'w'))
        refused = 0
        for attempt in [
            lambda: open('/results/totals.json'),
            lambda: open('/data/new', 'w'),
            lambda: open('/data/../secret.txt'),
            lambda: open('/secret.txt', 'w'),
            lambda: pathlib.Path('/data/sales.csv').unlink(),
            lambda: list(pathlib.Path('/results').iterdir()),
        ]:
            try: attempt()
            except (PermissionError, FileNotFoundError): refused += 1
        print(sum(totals.values()), refused)"};
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
            indoc! {r#"
                version = 1
                permisions = ["READ_FILE"]
                allowed_paths = ["/data", "/data/tmp"]
            "#},
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
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE"]
            [limits]
            timeout = "5s"
        "#},
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
        "print(open('in/a.txt').read()); open('/o/new.txt', 'w').write('new'); \
         print(open('/o/old.txt').read()); open('/in/b.txt', 'w')",
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
    assert!(
        stderr.contains(
            "wardian: refused to write /in/b.txt: /in/b.txt is in /in, which is granted for \
                             reading only"
        ),
        "{stderr}"
    );
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
        " /work  read and write  nowhere: in memory",
        "network: none",
        "limits.timeout                10s",
        "tools: none",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    let output = run(&["policy", "schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["required"], json!(["version"]));
}

/// A policy that `init` writes grants what its flags say; no file is replaced unasked.
#[test]
fn a_policy_is_written_from_flags() {
    let files = Files::new(&[
        ("data/a.txt", "12"),
        ("x.py", "print(open('/data/a.txt').read())"),
    ]);
    let (policy, data) = (files.path("p.toml"), files.path("data"));
    let init = [
        "policy",
        "init",
        &policy,
        "--read",
        &data,
        "--domain",
        "api.example.com",
    ];
    check(
        &init,
        0,
        &format!(
            "wrote {policy}; next:\n  wardian policy check {policy}\n  wardian run --policy {policy} SCRIPT\n"
        ),
        "",
    );
    assert!(run(&["policy", "check", &policy]).status.success());
    check(
        &["run", "--policy", &policy, &files.path("x.py")],
        0,
        "12\n",
        "",
    );
    check(&init, 2, "", "is there already; --force replaces it");
    check(
        &[&init[..], &["--force", "--database", "x"]].concat(),
        2,
        "",
        "write it as NAME=FILE",
    );
    check(
        &[&init[..], &["--force", "--domain", "*.*"]].concat(),
        2,
        "",
        "allowed_domains",
    );
    let printed = run(&["policy", "init", "-", "--agent", "a\"b"]);
    assert!(text(&printed.stdout).contains("agent = \"a\\\"b\""));
}

#[test]
fn a_circle_of_policies_is_one_mistake() {
    let files = Files::new(&[
        ("self.toml", "version = 1\nextends = \"self.toml\"\n"),
        ("a.toml", "version = 1\nextends = \"b.toml\"\n"),
        ("b.toml", "version = 1\nextends = \"a.toml\"\n"),
    ]);
    for (name, errors) in [("self.toml", 1), ("a.toml", 2)] {
        let output = run(&["policy", "check", &files.path(name)]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("is extended by itself"), "{stderr}");
        assert_eq!(stderr.matches("error:").count(), errors, "{stderr}");
    }
}
