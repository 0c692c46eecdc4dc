//! `wardian attack` and `wardian test`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{run, text};

fn attack(args: &[&str]) -> Value {
    let output = run(&[&["attack", "--json", "--jobs", "1"], args].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let unsafe_rows: Vec<_> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["grade"] == "unsafe")
        .collect();
    assert!(unsafe_rows.is_empty(), "{unsafe_rows:#?}");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    report
}

/// Every row that can be tried means something under the suite's own policy, and none is unsafe.
#[test]
fn hostile_code_gets_nothing() {
    let report = attack(&[]);
    for row in report["rows"].as_array().unwrap() {
        let not = row["grade"] == "not_applicable";
        assert_eq!(not, row["attempts"].as_array().unwrap().is_empty(), "{row}");
    }
    assert_eq!(report["rows"].as_array().unwrap().len(), 231);
}

/// The same as the second call of a session, which a call that is stopped leaves as it was.
#[test]
fn hostile_code_gets_nothing_in_sessions() {
    attack(&["--in-sessions"]);
}

/// The classes that a policy decides on, under each example. One of them has packages, which not
/// every machine has: `needs_kit`.
#[test]
fn hostile_code_gets_nothing_under_the_examples() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let files = fs::read_dir(policies).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "toml"))
        .filter(|file| !file.ends_with("interpreter.toml"))
        .collect();
    assert!(files.len() > 5);
    files.iter().for_each(|file| attack_under(file));
}

/// Nothing gets anything under a policy.
pub(crate) fn attack_under(policy: &Path) {
    let policy = policy.to_str().unwrap();
    attack(&["--policy", policy, "--only", "ESC,FS,URL,TOOL,WORK"]);
}

#[test]
fn wrong_usage_of_attack() {
    let output = run(&["attack", "--only", "XYZ"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("XYZ is neither a class of attacks"));
}

/// An attack can be read before it is run, and one that means nothing under a policy says why.
#[test]
fn attacks_are_listed_and_shown() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let readonly = policies.join("readonly.toml");
    let list = |args: &[&str]| {
        let output = run(&[&["attack", "--list", "--json"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let rows: Vec<Value> = text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        rows
    };
    assert_eq!(list(&[]).len(), 231);
    let files = list(&["--only", "FS", "--policy", readonly.to_str().unwrap()]);
    let reason = |id: &str| {
        let row = files.iter().find(|row| row["id"] == id).unwrap();
        row["reason"].as_str().map(str::to_owned)
    };
    // Links that lead out are tried where a directory can only be read, too.
    assert_eq!(reason("FS-07"), None);
    assert!(reason("FS-15").unwrap().contains("for reading and writing"));

    let shown = run(&["attack", "--show", "ESC-01"]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("the object graph") && shown.contains("__subclasses__"));
}

/// The report is one page that loads nothing.
#[test]
fn the_report_is_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    attack(&["--only", "URL-01", "--report", file.to_str().unwrap()]);
    let page = fs::read_to_string(file).unwrap();
    assert!(page.contains("0 of 1 attacks got anything.") && page.contains("URL-01"));
    // With what was tried, on what, where, and by which versions.
    let version = run(&["version", "--json"]);
    let versions: Value = serde_json::from_slice(&version.stdout).unwrap();
    for told in [
        versions["code_sha256"].as_str().unwrap(),
        "api.example.com",
        "the benign twin",
        "Linux",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!page.contains("<script") && !page.contains("src="));
}

#[test]
fn scenarios_say_what_is_not_as_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let directory = dir.path().to_str().unwrap();
    let empty = run(&["test", directory]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(text(&empty.stderr).contains("holds no scenario"));

    fs::create_dir(path("adds")).unwrap();
    fs::write(
        path("policy.toml"),
        "version = 1\npermissions = [\"EXECUTE_CODE\"]\n",
    )
    .unwrap();
    fs::write(path("adds/main.py"), "print(1 + 1)\n").unwrap();
    let without = run(&["test", directory]);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stdout).contains("there is no expect.toml"));

    assert!(run(&["test", directory, "--update"]).status.success());
    assert!(run(&["test", directory]).status.success());

    fs::write(path("adds/main.py"), "print(1 + 2)\n").unwrap();
    let junit = path("junit.xml");
    let wrong = run(&["test", directory, "--junit", junit.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stdout);
    assert!(
        said.contains(r#"stdout should be "2\n", and is "3\n""#),
        "{said}"
    );
    assert!(
        fs::read_to_string(junit)
            .unwrap()
            .contains("failures=\"1\"")
    );
}
