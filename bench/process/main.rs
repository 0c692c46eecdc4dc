//! Figures that docs/performance.md quotes: of whole processes, of files and tools in a run, of
//! sizes.
//!
//! `just bench process`, or `just bench process --json`. Times are medians of many; whole processes
//! alternate with `python3 -I -c`, so that a noisy machine is noisy for both.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark"
)]

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use wardian::{
    Call, Gate, Limits, Log, Policy, Runtime, Sandbox, Tool, ToolError,
    policy::{Access, Action, Allowance, Grant, Limit, Permission, ToolRules},
};

fn main() {
    let mut figures = Figures {
        rows: Vec::new(),
        json: std::env::args().any(|arg| arg == "--json"),
    };
    if std::env::args().any(|arg| arg == "tools") {
        return tools(&mut figures, &Runtime::new().unwrap());
    }
    first_run(&mut figures);
    let runtime = Runtime::new().unwrap();
    files(&mut figures, &runtime);
    tools(&mut figures, &runtime);
    processes(&mut figures);
    let size = std::fs::metadata(wardian()).unwrap().len();
    figures.bytes("size of the wardian binary", size);
    if figures.json {
        println!(
            "{}",
            Value::Object(figures.rows.into_iter().collect::<Map<_, _>>())
        );
    }
}

/// The program, which lies in the directory above that of this benchmark.
fn wardian() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("wardian");
    assert!(
        program.is_file(),
        "build it first: cargo build --release -p wardian-cli"
    );
    program
}

struct Figures {
    rows: Vec<(String, Value)>,
    json: bool,
}

impl Figures {
    fn row(&mut self, name: &str, shown: &str, value: Value) {
        if !self.json {
            println!("{name:<46}{shown:>14}");
        }
        self.rows.push((name.to_owned(), value));
    }

    fn time(&mut self, name: &str, time: Duration) {
        let ms = time.as_secs_f64() * 1e3;
        self.row(name, &format!("{ms:.3} ms"), json!({"ms": ms}));
    }

    fn bytes(&mut self, name: &str, bytes: u64) {
        let mib = bytes as f64 / f64::from(1 << 20);
        self.row(name, &format!("{mib:.2} MiB"), json!({"bytes": bytes}));
    }

    fn ratio(&mut self, name: &str, ratio: f64) {
        self.row(name, &format!("{ratio:.2}"), json!({"ratio": ratio}));
    }
}

/// Times `runs` calls, after some that don't count; sorted.
fn sample(warm_up: usize, runs: usize, mut call: impl FnMut()) -> Vec<Duration> {
    let mut time = || {
        let started = Instant::now();
        call();
        started.elapsed()
    };
    (0..warm_up).for_each(|_| _ = time());
    let mut times: Vec<Duration> = (0..runs).map(|_| time()).collect();
    times.sort();
    times
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Files through the guard: opening, reading, writing.
fn files(figures: &mut Figures, runtime: &Runtime) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("data"), vec![b'x'; 8 << 20]).unwrap();
    let files = Permission::READ_FILE | Permission::WRITE_FILE;
    let grant = Grant::new("/d", directory.path(), Access::READ_WRITE).unwrap();
    let policy = Policy::computing()
        .with_permissions(files)
        .with_grant(grant)
        .unwrap();
    let sandbox = Sandbox::new(runtime, policy).unwrap();
    let run = |script: &str| {
        let outcome = sandbox.run_blocking(script).unwrap();
        assert!(outcome.success(), "{}", outcome.stderr.text());
    };
    for (name, script) in [
        ("100 opens", "for _ in range(100): open('/d/data').close()"),
        ("8 MiB read at once", "open('/d/data', 'rb').read()"),
        (
            "8 MiB read by lines of 8 KiB",
            "f = open('/d/data', 'rb', buffering=0)\nwhile f.read(8192): pass",
        ),
        (
            "8 MiB written",
            "open('/d/out', 'wb').write(b'x' * (8 << 20))",
        ),
    ] {
        let times = sample(3, 50, || run(script));
        figures.time(&format!("run with files, {name}"), percentile(&times, 50));
    }
}

/// The argument and the reply of the tool that is timed.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    value: u64,
}

async fn echo(args: Echo, _: Call) -> Result<u64, ToolError> {
    Ok(args.value)
}

/// Measures a call of a tool that returns its argument, of ten thousand in one run, and its
/// parts: the guest with the way out and back, the gate with the handler, the audit in
/// memory. And its cost when the handler works on another thread, as those that wait do.
fn tools(figures: &mut Figures, runtime: &Runtime) {
    const CALLS: u32 = 10_000;
    let limits = Limits::default()
        .with(Limit::ToolCalls, Allowance::AtMost(1_000_000))
        .and_then(|limits| limits.with(Limit::Records, Allowance::AtMost(100_000_000)))
        .unwrap();
    let gate = |recorded: bool, at_once: bool| {
        let policy = Policy::computing()
            .with_limits(limits.clone())
            .with_tool("echo", ToolRules::default());
        let tool = Tool::new("echo", Action::Execute, echo).unwrap();
        let tool = if at_once { tool.inline() } else { tool };
        let gate = Gate::new(policy).unwrap().with_tools([tool]).unwrap();
        if recorded {
            gate.with_audit(Log::memory().0).unwrap()
        } else {
            gate
        }
    };
    let script = |function: &str| {
        format!("from wardian import tools\n{function}\nfor i in range({CALLS}): echo(i)")
    };
    let call = script("echo = tools.echo");
    let nothing = script("def echo(value): return value");
    let per_call = |times: &[Duration]| percentile(times, 50) / CALLS;
    let in_guest = |recorded: bool, at_once: bool, script: &str| {
        let times = sample(1, 9, || {
            let sandbox = Sandbox::with_gate(runtime, gate(recorded, at_once)).unwrap();
            let outcome = sandbox.run_blocking(script).unwrap();
            assert!(outcome.success(), "{}", outcome.stderr.text());
        });
        per_call(&times)
    };
    let on_host = || {
        let tool = gate(false, true).tool("echo").unwrap();
        let times = sample(1, 9, || {
            for value in 0..CALLS {
                tool.call_blocking(&Echo {
                    value: value.into(),
                })
                .unwrap();
            }
        });
        per_call(&times)
    };
    let empty = in_guest(false, true, &nothing);
    let whole = in_guest(true, true, &call).saturating_sub(empty);
    let unrecorded = in_guest(false, true, &call).saturating_sub(empty);
    let elsewhere = in_guest(true, false, &call).saturating_sub(empty);
    let host = on_host();
    for (name, time) in [
        ("call of a tool that returns at once", whole),
        (
            "  of it, the audit in memory",
            whole.saturating_sub(unrecorded),
        ),
        ("  of it, the gate and the handler", host),
        (
            "  of it, the guest, out and back",
            unrecorded.saturating_sub(host),
        ),
        ("call of a tool on a thread of its own", elsewhere),
    ] {
        let us = time.as_secs_f64() * 1e6;
        figures.row(name, &format!("{us:.1} µs"), json!({"us": us}));
    }
}

/// A whole process, from before it exists until it is gone.
fn process(program: impl AsRef<OsStr>, args: &[&str]) -> Duration {
    let started = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the program starts").success());
    started.elapsed()
}

/// The first run of a binary that nobody has run yet: a copy, with pages of its own.
fn first_run(figures: &mut Figures) {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("wardian");
    std::fs::copy(wardian(), &copy).unwrap();
    let run = || process(&copy, &["run", "-c", "print('hi')"]);
    figures.time("first run of a new binary, whole process", run());
    let times: Vec<Duration> = (0..9).map(|_| run()).collect();
    figures.time("tenth run of it", times[8]);
}

/// The interpreter itself, not a shim that looks for one.
fn python() -> String {
    let code = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3")
        .args(code)
        .output()
        .expect("python3 is installed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn processes(figures: &mut Figures) {
    let code = "print('hi')";
    let python = python();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..41 {
        ours.push(process(wardian(), &["run", "-c", code]));
        theirs.push(process(&python, &["-I", "-c", code]));
    }
    let mut ratios: Vec<f64> = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ours.sort();
    theirs.sort();
    figures.time(
        "whole process, wardian run -c, median",
        percentile(&ours, 50),
    );
    figures.time(
        "whole process, python3 -I -c, median",
        percentile(&theirs, 50),
    );
    figures.ratio(
        "wardian / python3, median of pairs",
        ratios[ratios.len() / 2],
    );
}
