//! The command line, on the real binary.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod advice;
mod answers;
mod costs;
mod faults;
mod harness;
mod images;
mod needs_chromium;
mod needs_kit;
mod needs_python3;
mod output;
mod packages;
mod policies;
mod record;
mod screening;
mod sessions;
mod transcripts;
mod usage;
mod work;

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

/// Reads what `run --json` has printed: one line, as docs/schemas/outcome.schema.json says.
#[track_caller]
fn report(stdout: &[u8]) -> Value {
    let json: Value = serde_json::from_slice(stdout).unwrap();
    let schema = include_str!("../../../../docs/schemas/outcome.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let fits = jsonschema::validate(&schema, &json);
    assert!(fits.is_ok(), "{json}: {fits:?}");
    // Nothing is in there that the schema does not know.
    serde_json::from_value::<wardian::wire::Report>(json.clone()).unwrap();
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
