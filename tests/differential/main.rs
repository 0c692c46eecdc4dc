//! Compares with CPython: programs are made at random, run by `python3` and in the sandbox, and
//! what they print is compared.
//!
//! `just judge differential SECONDS`. A program is many small pieces that each print one line, so a
//! difference names its piece. A find is written to `target/differential/`, as a program with what
//! CPython prints: what `tests/python/` is made of.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a program for developers"
)]

mod pieces;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wardian::{Policy, Runtime, Sandbox, policy::Profile};

/// The start of each program: each piece is a function that is called, and never ends the others.
const HEAD: &str = "\
def show(number, piece):
    try:
        value = piece()
        text = repr(value)
    except RecursionError:
        text = 'RecursionError'
    except Exception as error:
        text = 'raised ' + type(error).__name__
    print(number, text if len(text) < 2000 else (len(text), text[:500], text[-500:]))
";

/// The count of pieces of a program.
const PIECES: usize = 150;

#[derive(Parser)]
struct Arguments {
    /// Time to go on for, in seconds.
    #[arg(default_value_t = 60)]
    seconds: u64,
    /// Seed of the first program; what is found can be found again by it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The Python to compare with: 3.11 or later.
    #[arg(long, default_value = "python3")]
    python: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = Runtime::new().unwrap();
    let policy = Policy::computing().with_source_rules(Profile::Open);
    let sandbox = Sandbox::new(&runtime, policy).unwrap();
    let ends = Instant::now() + Duration::from_secs(arguments.seconds);
    let (mut seed, mut pieces) = (arguments.seed, 0);
    let mut found = BTreeSet::new();
    while Instant::now() < ends {
        let mut rng = StdRng::seed_from_u64(seed);
        let program: Vec<(&str, String)> = (0..PIECES).map(|_| pieces::piece(&mut rng)).collect();
        let source = render(program.iter().map(|(_, piece)| piece.as_str()));
        let [theirs, ours] = [python(&arguments.python, &source), run(&sandbox, &source)];
        assert!(
            theirs.starts_with("0 "),
            "seed {seed} makes no program that {} runs",
            arguments.python
        );
        pieces += PIECES;
        if theirs != ours {
            for (number, (kind, piece)) in program.iter().enumerate() {
                let line = |text: &str| {
                    let start = format!("{number} ");
                    text.lines()
                        .find(|line| line.starts_with(&start))
                        .map(str::to_owned)
                };
                let [expected, got] = [line(&theirs), line(&ours)];
                if expected == got {
                    continue;
                }
                // One of a kind is enough to look at.
                if found.insert((*kind, piece.len())) {
                    let file = keep(&format!("{kind}_{seed}_{number}"), piece, &arguments.python);
                    let [expected, got] =
                        [expected, got].map(|line| line.unwrap_or_else(|| "nothing".to_owned()));
                    println!(
                        "{}\n  expected {expected}\n  got      {got}",
                        file.display()
                    );
                }
            }
        }
        eprint!("\r{pieces} pieces, {} differ ", found.len());
        seed += 1;
    }
    eprintln!();
    println!(
        "{pieces} pieces in {} s, seeds {} to {}: {} differ",
        arguments.seconds,
        arguments.seed,
        seed - 1,
        found.len()
    );
    if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A program of pieces, each the body of a function.
fn render<'p>(pieces: impl Iterator<Item = &'p str>) -> String {
    let mut source = HEAD.to_owned();
    for (number, piece) in pieces.enumerate() {
        source += "def piece():\n";
        for line in piece.lines() {
            source += &format!("    {line}\n");
        }
        source += &format!("show({number}, piece)\n");
    }
    source
}

fn run(sandbox: &Sandbox, source: &str) -> String {
    let outcome = sandbox.run_blocking(source).unwrap();
    outcome.stdout.text().into_owned()
}

fn python(python: &str, source: &str) -> String {
    let mut child = Command::new(python)
        .args([
            "-I",
            "-c",
            "import sys; exec(compile(sys.stdin.read(), '<snippet>', 'exec'), {})",
        ])
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a find as a program with what CPython prints.
fn keep(name: &str, piece: &str, interpreter: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/differential");
    fs::create_dir_all(&directory).unwrap();
    let source = render([piece].into_iter());
    let file = directory.join(format!("{name}.py"));
    fs::write(&file, &source).unwrap();
    fs::write(file.with_extension("out"), python(interpreter, &source)).unwrap();
    file
}
