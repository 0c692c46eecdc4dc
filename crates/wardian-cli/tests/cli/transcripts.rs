//! Three tasks, done by what the commands print and nothing else: docs/transcripts.md is what they
//! print.
//!
//! `UPDATE_EXPECT=1` writes the page anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use indoc::indoc;
use regex::Regex;

use crate::{Files, wardian};

enum Step {
    /// A thought.
    Say(&'static str),
    /// A command line, after `wardian`.
    Run(&'static str),
    /// A file that one writes.
    Write(&'static str, &'static str),
}

use Step::{Run, Say, Write as Save};

const HEAD: &str = "# Three tasks, by what the commands print\n\n\
    Each was done with no page open, by what the command before had said. A test runs them again and compares: \
    what stands \
    here is what is printed, but for times, names of runs and hashes.\n";

const GRANT: &[Step] = &[
    Say(
        "A colleague's script counts orders and asks an API for a rate. Our policy lets scripts compute.",
    ),
    Save(
        "report.py",
        indoc! {r#"
            from wardian import tools

            orders = open("/data/orders.csv").read().split()
            rate = tools.http_request("https://api.example.com/v1/rate")["body"]
            print(len(orders), "orders at", rate)
        "#},
    ),
    Save(
        "policy.toml",
        "version = 1\npermissions = [\"EXECUTE_CODE\"]\n",
    ),
    Run("run --policy policy.toml --audit audit.jsonl report.py"),
    Say("It says what it lacks and how that is written. The log has the same as lines to add:"),
    Run("policy suggest audit.jsonl"),
    Save(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE"]
            allowed_paths = [{ path = "/data", host = "data", access = "read" }]
        "#},
    ),
    Run("run --policy policy.toml --audit audit.jsonl report.py"),
    Say(
        "The file is read; now there is no tool. So it gets an entry, and the policy is checked before it is used:",
    ),
    Save(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE"]
            allowed_paths = [{ path = "/data", host = "data", access = "read" }]

            [tools.http_request]
            max_calls = 5
        "#},
    ),
    Run("policy check policy.toml"),
    Save(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE", "NETWORK_ACCESS"]
            allowed_paths = [{ path = "/data", host = "data", access = "read" }]

            [tools.http_request]
            max_calls = 5
        "#},
    ),
    Run("policy check policy.toml"),
    Say("Would the call be allowed? Asked without making it:"),
    Run("policy explain policy.toml http_request https://api.example.com/v1/rate"),
    Save(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE", "NETWORK_ACCESS"]
            allowed_paths = [{ path = "/data", host = "data", access = "read" }]
            allowed_domains = ["api.example.com"]

            [tools.http_request]
            max_calls = 5
        "#},
    ),
    Run("policy explain policy.toml http_request https://api.example.com/v1/rate"),
    Say("And with a double in place of the API, which `wardian run --help` says how to have:"),
    Save(
        "tools.toml",
        "[http_request]\nanswer = '{\"status\": 200, \"body\": \"1.07\"}'\n",
    ),
    Run("run --policy policy.toml --doubles tools.toml report.py"),
];

const WHY: &[Step] = &[
    Say("A script of last night has not done its work, and there is its log. What is in there?"),
    Run("audit summary night.jsonl"),
    Say("Something was stopped, and something refused. When, and what?"),
    Run("audit show --refused night.jsonl"),
    Say("The whole of the run that was stopped:"),
    Run("audit show --run LAST night.jsonl"),
    Say(
        "It ran out of fuel, in a line that is named, under a limit whose key is named. The lines that would help:",
    ),
    Run("policy suggest --run LAST night.jsonl"),
];

const SCENARIO: &[Step] = &[
    Say(
        "Our policy should let scripts total the orders, and keep them from other files. `wardian test --help` \
         says that a scenario is a folder with a `main.py`.",
    ),
    Save(
        "policy.toml",
        indoc! {r#"
            version = 1
            permissions = ["EXECUTE_CODE", "READ_FILE"]
            allowed_paths = [{ path = "/data", host = "data", access = "read" }]
        "#},
    ),
    Run("test cases --policy policy.toml"),
    Save(
        "cases/totals/main.py",
        "print(sum(int(n) for n in open(\"/data/orders.csv\")))\n",
    ),
    Save("cases/totals/files/data/orders.csv", "12\n30\n"),
    Save(
        "cases/reads_no_secrets/main.py",
        "open(\"/secrets/key.pem\")\n",
    ),
    Run("test cases"),
    Say(
        "The policy lies beside the folder, and is looked for above it. What comes of the scripts has not been \
         written down:",
    ),
    Run("test cases --update"),
    Run("test cases"),
    Say(
        "What it has written is read before it is kept: the second is refused by the key that should refuse it.",
    ),
    Save(
        "policy.toml",
        "version = 1\npermissions = [\"EXECUTE_CODE\"]\n",
    ),
    Say("And a policy that is changed by mistake is found out:"),
    Run("test cases"),
];

/// The page's part of a task, done in a directory of its own.
fn played(title: &str, files: &Files, steps: &[Step]) -> String {
    let dir = files.0.path();
    let mut page = format!("\n## {title}\n");
    for step in steps {
        match step {
            Say(text) => writeln!(page, "\n{text}").unwrap(),
            Save(name, text) => {
                let path = dir.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
                let kind = name
                    .rsplit('.')
                    .next()
                    .unwrap()
                    .replace("csv", "text")
                    .replace("py", "python");
                write!(page, "\n`{name}`:\n\n```{kind}\n{text}```\n").unwrap();
            }
            Run(line) => {
                let line = line.replace("LAST", &last_run(dir));
                let args: Vec<_> = line.split_whitespace().collect();
                let output = wardian(&args).current_dir(dir).output().unwrap();
                let [stdout, stderr] =
                    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
                let code = output.status.code().unwrap();
                write!(
                    page,
                    "\n```console\n$ wardian {line}; echo $?\n{stdout}{stderr}{code}\n```\n"
                )
                .unwrap();
            }
        }
    }
    page.replace(dir.to_str().unwrap(), "…")
}

/// The end of the last run's name in the log of the night.
fn last_run(dir: &Path) -> String {
    let log = fs::read_to_string(dir.join("night.jsonl")).unwrap_or_default();
    let record = log.lines().last().unwrap_or("{}");
    let record: serde_json::Value = serde_json::from_str(record).unwrap();
    let run = record["run"].as_str().unwrap_or_default().to_owned();
    run.get(run.len().saturating_sub(6)..)
        .unwrap_or_default()
        .to_owned()
}

/// The page without what is another every time.
fn settled(page: &str) -> String {
    let mut page = page.to_owned();
    for (what, with) in [
        (r"\d{4}-\d\d-\d\d \(UTC\)", "2026-11-26 (UTC)"),
        (
            r"\d\d:\d\d:\d\d\.\d{3}  [0-9a-f]{6}",
            "12:00:00.000  5eed01",
        ),
        (r"--run [0-9a-f]{6}", "--run 5eed01"),
        (r" +\d+(\.\d+)? (µs|ms|s)\b", "     1.0 ms"),
        (r"sha256 [0-9a-f]{64}", "sha256 5eed…"),
        (r"[ \t]+\n", "\n"),
    ] {
        page = Regex::new(what)
            .unwrap()
            .replace_all(&page, with)
            .into_owned();
    }
    page
}

#[test]
fn three_tasks_are_done_by_what_is_printed() {
    let orders = [("data/orders.csv", "A-1\nA-2\n")];
    let mut page = HEAD.to_owned();
    page += &played(
        "Grant a directory and an API to a script that was refused",
        &Files::new(&orders),
        GRANT,
    );
    let night = Files::new(&[
        (
            "night.py",
            indoc! {r#"
                total = 0
                try: open("/data/orders.csv")
                except OSError: pass
                while True: total += 1
            "#},
        ),
        (
            "policy.toml",
            indoc! {r#"
                version = 1
                agent = "night"
                permissions = ["EXECUTE_CODE", "READ_FILE"]
                [limits]
                fuel = 50_000_000
            "#},
        ),
    ]);
    let args = [
        "run",
        "-q",
        "--policy",
        "policy.toml",
        "--audit",
        "night.jsonl",
        "night.py",
    ];
    wardian(&args).current_dir(night.0.path()).output().unwrap();
    page += &played("Find out from a log why a run stopped", &night, WHY);
    page += &played(
        "Write a scenario for a policy of one's own",
        &Files::new(&[]),
        SCENARIO,
    );
    let page = settled(&page);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/transcripts.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        written, page,
        "docs/transcripts.md is another; UPDATE_EXPECT=1 writes it"
    );
}
