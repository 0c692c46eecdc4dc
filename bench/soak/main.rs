//! `just bench soak 20`: hostile and benign runs for minutes, in a process that is stopped, whose
//! clock steps, whose log's disk is full. Another process, this one, looks at it: memory,
//! descriptors, threads, and how late runs end.
//!
//! Red if something has gone wrong in a run, if what the process holds grows, or if runs end late.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command")]

mod chaos;
mod plot;
mod trend;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use procfs::process::Process;
use serde::Serialize;
use wardian_attack::{SoakRun, SoakStep, Suite};

use crate::chaos::Chaos;
use crate::trend::Trend;

/// The promise: the wall clock at p99.9.
const LATE_MS: u64 = 250;

/// The interval at which the process is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// The count of samples for one point, to see whether resources grow.
const LEAST_OF: usize = 10;

/// The growth of resources that an allocator and a pool of
/// threads do by themselves.
const DRIFT_MIB: f64 = 16.0;
const DRIFT_DESCRIPTORS: f64 = 4.0;
const DRIFT_THREADS: f64 = 4.0;

/// Runs at a time: more than most machines of a developer have processors.
const THREADS: u64 = 4;

/// Tells this program that it is the process that is looked at.
const WORKER: &str = "WARDIAN_SOAK_WORKER";

/// glibc's allocator raises what it keeps of freed memory whenever a large block is freed, up to 64
/// MiB an arena. With this variable set it does not, so what is seen is what is held.
const KEEPS: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "131072");

/// The file for the process's standard error, in its directory.
const STDERR: &str = "stderr";

#[derive(Parser)]
struct Args {
    /// Time, in minutes.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Seed of random choices. Their times differ.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draws what was seen, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The resources of the process at a time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    seconds: f64,
    memory_mib: f64,
    descriptors: f64,
    threads: f64,
}

/// The reports of the process on its runs.
#[derive(Default)]
struct ChildReport {
    runs: BTreeMap<SoakStep, BTreeMap<String, u64>>,
    /// Those that their time limit ended.
    timed_out: Vec<SoakRun>,
    wrong: Vec<String>,
}

/// The findings.
#[derive(Serialize)]
struct Findings {
    minutes: f64,
    seed: u64,
    /// Runs, by what they were and how they ended.
    runs: BTreeMap<SoakStep, BTreeMap<String, u64>>,
    stops: usize,
    /// Absent where nothing can step the clock of a process.
    clock_steps: Option<usize>,
    late_ms: Lateness,
    memory_mib: Trend,
    descriptors: Trend,
    threads: Trend,
    /// Faults that make it red.
    wrong: Vec<String>,
}

/// The lateness of runs that their time limit ended, in milliseconds.
#[derive(Serialize)]
struct Lateness {
    runs: usize,
    p50: u64,
    p999: u64,
    worst: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match std::env::var_os(WORKER) {
        Some(dir) => work(&args, Path::new(&dir)),
        None => watch(&args),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("soak: {error}");
        ExitCode::FAILURE
    })
}

/// Runs, and tells of each run in a line.
fn work(args: &Args, dir: &Path) -> io::Result<ExitCode> {
    let out = Mutex::new(io::stdout());
    let until = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    Suite::built_in().soak(args.seed, THREADS, dir, until, |run| {
        let mut line = serde_json::to_vec(run).unwrap_or_default();
        line.push(b'\n');
        // Whoever does not listen any more has gone.
        let _ = out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line);
    })?;
    Ok(ExitCode::SUCCESS)
}

fn watch(args: &Args) -> io::Result<ExitCode> {
    let dir = tempfile::tempdir()?;
    let mut worker = start(dir.path())?;
    let stdout = worker
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("no output"))?;
    let listener = thread::spawn(move || listen(stdout));
    let mut chaos = Chaos::new(&worker, args.seed, dir.path());
    let started = Instant::now();
    let mut samples = Vec::new();
    let is_seen = io::stderr().is_terminal();
    while worker.try_wait()?.is_none() {
        chaos.disturb()?;
        // It may have ended meanwhile.
        if let Ok(sample) = look(&worker, started) {
            if is_seen {
                eprint!(
                    "\r{:5.0} s of {:.0} {:7.1} MiB {:4} descriptors {:4} threads ",
                    sample.seconds,
                    args.minutes * 60.0,
                    sample.memory_mib,
                    sample.descriptors,
                    sample.threads
                );
            }
            samples.push(sample);
        }
        thread::sleep(SAMPLE);
    }
    if is_seen {
        eprintln!();
    }
    let mut told = listener
        .join()
        .map_err(|_| io::Error::other("the listener has panicked"))?;
    let status = worker.wait()?;
    if !status.success() {
        let said = fs::read_to_string(dir.path().join(STDERR))?;
        let last = said.lines().last().unwrap_or_default();
        told.wrong
            .push(format!("the process ended with {status}: {last}"));
    }
    // Time in which the process was stopped is not its own.
    let late: Vec<u64> = told
        .timed_out
        .iter()
        .map(|run| chaos.late_ms(run))
        .collect();
    let findings = judge(args, told, &samples, &late, &chaos);
    if args.json {
        println!("{}", serde_json::to_string(&findings)?)
    } else {
        println!("{findings}")
    }
    if let Some(file) = &args.plot {
        let drawn = plot::draw(file, &samples, &late, &findings);
        drawn.map_err(|error| io::Error::other(error.to_string()))?;
    }
    Ok(if findings.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts this program as the process that is looked at.
fn start(dir: &Path) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args_os().skip(1))
        .env(WORKER, dir)
        .env(KEEPS.0, KEEPS.1)
        .stdout(Stdio::piped())
        // Tools that panic say so.
        .stderr(File::create(dir.join(STDERR))?);
    chaos::prepare(&mut command, dir)?;
    command.spawn()
}

fn listen(stdout: ChildStdout) -> ChildReport {
    let mut told = ChildReport::default();
    for line in BufReader::new(stdout).lines() {
        let run = line.map_err(|error| error.to_string());
        let run = run.and_then(|line| {
            serde_json::from_str::<SoakRun>(&line).map_err(|error| format!("{error}: {line}"))
        });
        match run {
            Ok(run) => {
                let endings = told.runs.entry(run.what).or_default();
                *endings.entry(run.ending.clone()).or_default() += 1;
                let what = run.what;
                let wrong = |finding: &String| format!("{what:?}: {finding}");
                told.wrong.extend(run.findings.iter().map(wrong));
                if run.ending == "time" {
                    told.timed_out.push(run);
                }
            }
            Err(error) => told.wrong.push(error),
        }
    }
    told
}

fn look(worker: &Child, started: Instant) -> procfs::ProcResult<Sample> {
    let process = Process::new(i32::try_from(worker.id()).unwrap_or(0))?;
    let status = process.status()?;
    // A process that has ended has none.
    let resident = status.vmrss.ok_or("it has ended")?;
    Ok(Sample {
        seconds: started.elapsed().as_secs_f64(),
        memory_mib: resident as f64 / 1024.0,
        descriptors: process.fd_count()? as f64,
        threads: status.threads as f64,
    })
}

fn judge(
    args: &Args,
    told: ChildReport,
    samples: &[Sample],
    late: &[u64],
    chaos: &Chaos,
) -> Findings {
    let mut sorted = late.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| {
        let last = sorted.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        sorted.get(index).copied().unwrap_or(0)
    };
    // What scripts use for a moment comes and goes: what stays shows in the least of some samples.
    let trend = |of: fn(&Sample) -> f64| {
        let least = |samples: &[Sample]| {
            let first = samples.first().map_or(0.0, |sample| sample.seconds);
            (first, samples.iter().map(of).fold(f64::MAX, f64::min))
        };
        Trend::of(&samples.chunks(LEAST_OF).map(least).collect::<Vec<_>>())
    };
    let mut findings = Findings {
        minutes: args.minutes,
        seed: args.seed,
        runs: told.runs,
        stops: chaos.stops(),
        clock_steps: chaos.clock_steps(),
        late_ms: Lateness {
            runs: late.len(),
            p50: at(0.5),
            p999: at(0.999),
            worst: at(1.0),
        },
        memory_mib: trend(|sample| sample.memory_mib),
        descriptors: trend(|sample| sample.descriptors),
        threads: trend(|sample| sample.threads),
        wrong: told.wrong,
    };
    let mut wrong = Vec::new();
    if findings.late_ms.p999 > LATE_MS {
        wrong.push(format!(
            "runs end {} ms late at p99.9",
            findings.late_ms.p999
        ));
    }
    for (what, trend, most) in findings.trends() {
        if trend.drift > most {
            wrong.push(format!("{what} have grown by {:.1}", trend.drift));
        }
    }
    if late.is_empty() {
        wrong.push("no run has come to its time limit".to_owned());
    }
    findings.wrong.extend(wrong);
    findings
}

impl Findings {
    /// Lists the resources, and the growth that each may have.
    fn trends(&self) -> [(&'static str, Trend, f64); 3] {
        [
            ("MiB of memory", self.memory_mib, DRIFT_MIB),
            ("descriptors", self.descriptors, DRIFT_DESCRIPTORS),
            ("threads", self.threads, DRIFT_THREADS),
        ]
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, endings) in &self.runs {
            let runs: u64 = endings.values().sum();
            let mut most: Vec<_> = endings.iter().collect();
            most.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let most = most
                .iter()
                .take(6)
                .map(|(ending, count)| format!("{ending} {count}"));
            let what = format!("{what:?}");
            writeln!(
                f,
                "{what:<14}{runs:>8}  {}",
                most.collect::<Vec<_>>().join(", ")
            )?;
        }
        match self.clock_steps {
            Some(steps) => writeln!(f, "{} stops, {steps} steps of the clock", self.stops)?,
            None => writeln!(
                f,
                "{} stops; the clock did not step: no libfaketime",
                self.stops
            )?,
        }
        let Lateness {
            runs,
            p50,
            p999,
            worst,
        } = self.late_ms;
        writeln!(
            f,
            "{runs} runs came to their time limit; late by {p50} ms at p50, {p999} at p99.9, {worst} at worst"
        )?;
        for (what, trend, most) in self.trends() {
            let Trend {
                mean,
                per_hour,
                drift,
            } = trend;
            writeln!(
                f,
                "{what:<14}{mean:>8.1}  {per_hour:+.2} an hour, {drift:+.2} in all, at most {most} allowed"
            )?;
        }
        for wrong in self.wrong.iter().take(20) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        write!(f, "{} findings", self.wrong.len())
    }
}
