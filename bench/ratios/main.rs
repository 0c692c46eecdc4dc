//! Measures what was slow by a factor, as a ratio to CPython's time.
//!
//! `just bench ratios`. Both run `work.py` in turns, three times; of each piece of work, the best
//! times are compared.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers"
)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use wardian::{
    Limits, Policy, Runtime, Sandbox, Verdict,
    policy::{Allowance, Permission, Profile},
};

const WORK: &str = include_str!("work.py");

const ROUNDS: usize = 3;

#[derive(Parser)]
struct Arguments {
    /// The Python to compare with.
    #[arg(long, default_value = "python3")]
    python: String,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The best time of each piece of work, in milliseconds, by its place and its name.
type Times = BTreeMap<(usize, String), f64>;

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let limits = Limits::default()
        .with_fuel(Allowance::Unlimited)?
        .with_timeout(Allowance::Unlimited)?;
    let policy = Policy::new(Permission::EXECUTE_CODE, limits).with_source_rules(Profile::Open);
    let sandbox = Sandbox::new(&Runtime::new()?, policy)?;
    let (mut ours, mut theirs) = (Times::new(), Times::new());
    for round in 1..=ROUNDS {
        eprint!("\rround {round} of {ROUNDS} ");
        let output = Command::new(&arguments.python)
            .args(["-I", "-c", WORK])
            .output()
            .with_context(|| format!("cannot start {}", arguments.python))?;
        ensure!(output.status.success(), "{} fails", arguments.python);
        take(&mut theirs, &String::from_utf8(output.stdout)?)?;
        let outcome = sandbox.run_blocking(WORK)?;
        let verdict = &outcome.verdict;
        ensure!(*verdict == Verdict::Completed, "the work fails: {verdict}");
        take(&mut ours, &outcome.stdout.text())?;
    }
    eprintln!();
    println!(
        "{:<30}{:>12}{:>12}{:>8}",
        "", "wardian ms", "CPython ms", "ratio"
    );
    for (((_, name), ours), theirs) in ours.iter().zip(theirs.values()) {
        println!("{name:<30}{ours:>12.2}{theirs:>12.2}{:>8.1}", ours / theirs);
    }
    Ok(())
}

fn take(times: &mut Times, printed: &str) -> Result<()> {
    for (place, line) in printed.lines().enumerate() {
        let (name, time) = line.split_once(' ').context("a line without a time")?;
        let time: f64 = time.parse()?;
        let best = times.entry((place, name.to_owned())).or_insert(time);
        *best = best.min(time);
    }
    Ok(())
}
