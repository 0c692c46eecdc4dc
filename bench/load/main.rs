//! `just bench load`: many sandboxes, many runs, short ones beside long ones.
//!
//! - how much memory a live sandbox takes, with a thousand of them, and a suspended session;
//! - how many fresh runs a second all processors do;
//! - how long short runs take that come at random, beside long ones, at 80 % of that work;
//! - whether memory grows over a million runs.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use procfs::process::Process;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use tokio::sync::mpsc;
use wardian::session::{Sessions, SessionsOptions};
use wardian::{Limits, Policy, Runtime, Sandbox, policy::Allowance};

const SHORT: &str = "print(\"hi\")";

/// Some hundred milliseconds of computing.
const LONG: &str = "s = 0\nfor i in range(100_000): s += i * i % 7";

const ALIVE: &str = "print('alive')\nimport time\ntime.sleep(1e6)";

/// A small session.
const SMALL: &str = "import json\nrows = [{'n': n, 'name': f'row {n}'} for n in range(100)]";

/// The time for which throughput and load are measured.
const MEASURED: Duration = Duration::from_secs(10);

const SEED: u64 = 1;

#[derive(Parser)]
struct Args {
    /// Count of sandboxes that are alive at once.
    #[arg(long, default_value_t = 1_000)]
    sandboxes: usize,
    /// Count of sessions that are suspended at once.
    #[arg(long, default_value_t = 300)]
    sessions: usize,
    /// Part of all processors' work that is asked for.
    #[arg(long, default_value_t = 0.8)]
    load: f64,
    /// Part of that for long runs.
    #[arg(long, default_value_t = 0.2)]
    long: f64,
    /// Count of runs that show that memory does not grow.
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct LoadResult {
    processors: usize,
    sandboxes: usize,
    bytes_per_sandbox: u64,
    sessions: usize,
    bytes_per_suspended_session: u64,
    runs_per_second: f64,
    idle: Percentiles,
    loaded: Percentiles,
    short_runs: usize,
    long_runs: u64,
    /// The part of all processors' time that this took.
    busy: f64,
    runs: u64,
    /// Resident memory as the million runs begin, and after each tenth of them.
    resident_bytes: Vec<u64>,
}

/// Of the time that short runs take, in milliseconds.
#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    worst: f64,
}

impl Percentiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: f64| {
            let last = times.len().saturating_sub(1) as f64;
            let time = times.get((part * last) as usize).copied();
            time.unwrap_or_default().as_secs_f64() * 1e3
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            worst: at(1.0),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()?;
    eprintln!("{} sandboxes alive", args.sandboxes);
    let bytes_per_sandbox = alive(&executor, args.sandboxes)?;
    let runtime = Runtime::new()?;
    let sandbox = Sandbox::new(&runtime, Policy::computing())?;
    eprintln!("{} sessions suspended", args.sessions);
    let bytes_per_suspended_session = suspended(&sandbox, args.sessions)?;
    eprintln!("one run after the other");
    let idle = one_by_one(&sandbox)?;
    eprintln!("every processor busy");
    let runs_per_second = throughput(&executor, &sandbox, processors, MEASURED, u64::MAX)?;
    eprintln!(
        "{:.0} % load, {:.0} % of it long runs",
        args.load * 100.0,
        args.long * 100.0
    );
    let long = one(&sandbox, LONG)?.as_secs_f64();
    // What a short run costs when it comes from outside, with all that makes it come.
    let (trial, _, busy) = under_load(&executor, &sandbox, runs_per_second / 2.0, 1e-3)?;
    let short = busy * processors as f64 * MEASURED.as_secs_f64() / trial.len() as f64;
    let rate = |part: f64, each: f64| processors as f64 * args.load * part / each;
    let (short_rate, long_rate) = (rate(1.0 - args.long, short), rate(args.long, long));
    let (loaded, long_runs, busy) = under_load(&executor, &sandbox, short_rate, long_rate)?;
    eprintln!("{} runs", args.runs);
    let mut resident_bytes = vec![resident()?];
    for _ in 0..10 {
        throughput(
            &executor,
            &sandbox,
            processors,
            Duration::MAX,
            args.runs / 10,
        )?;
        resident_bytes.push(resident()?);
    }
    let found = LoadResult {
        processors,
        sandboxes: args.sandboxes,
        bytes_per_sandbox,
        sessions: args.sessions,
        bytes_per_suspended_session,
        runs_per_second,
        idle,
        short_runs: loaded.len(),
        loaded: Percentiles::of(loaded),
        long_runs,
        busy,
        runs: args.runs,
        resident_bytes,
    };
    if args.json {
        println!("{}", serde_json::to_string(&found)?)
    } else {
        found.print()
    }
    Ok(())
}

impl LoadResult {
    fn print(&self) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "{:>10.2} MiB  for each of {} live sandboxes",
            mib(self.bytes_per_sandbox),
            self.sandboxes
        );
        println!(
            "{:>10.3} MiB  for each of {} suspended sessions",
            mib(self.bytes_per_suspended_session),
            self.sessions
        );
        println!(
            "{:>10.0}      fresh runs a second on {} processors",
            self.runs_per_second, self.processors
        );
        for (when, times) in [("one by one", &self.idle), ("under load", &self.loaded)] {
            println!(
                "{:>10.3} ms   p50 of short runs {when}; p99 {:.3}, {:.1} times that; worst {:.3}",
                times.p50,
                times.p99,
                times.p99 / times.p50,
                times.worst
            );
        }
        println!(
            "{:>10}      short runs under load, beside {} long ones: processors busy for {:.0} % of the time",
            self.short_runs,
            self.long_runs,
            self.busy * 100.0
        );
        let resident: Vec<_> = self
            .resident_bytes
            .iter()
            .map(|bytes| format!("{:.1}", mib(*bytes)))
            .collect();
        println!(
            "{:>10}      runs; MiB resident at the start and after each tenth: {}",
            self.runs,
            resident.join(" ")
        );
    }
}

/// Measures the memory of one more live sandbox: this process's own and its share of what processes
/// share.
fn alive(executor: &tokio::runtime::Runtime, count: usize) -> Result<u64, Box<dyn Error>> {
    let runtime = Runtime::builder().concurrent_runs(count).build()?;
    let limits = Limits::default().with_timeout(Allowance::Unlimited)?;
    let sandbox = Sandbox::new(&runtime, Policy::computing().with_limits(limits))?;
    let mut alive = vec![executor.spawn(sandbox.run(ALIVE))];
    thread::sleep(Duration::from_secs(1));
    let one = proportional()?;
    while alive.len() < count {
        alive.push(executor.spawn(sandbox.run(ALIVE)));
    }
    thread::sleep(Duration::from_secs(5));
    let all = proportional()?;
    alive.iter().for_each(tokio::task::JoinHandle::abort);
    thread::sleep(Duration::from_secs(1));
    Ok(all.saturating_sub(one) / (count as u64 - 1).max(1))
}

/// Measures the memory of one more session that is suspended to memory.
fn suspended(sandbox: &Sandbox, count: usize) -> Result<u64, Box<dyn Error>> {
    let sessions = Sessions::new(sandbox.clone(), SessionsOptions::default())?;
    let open = |count: usize| {
        for _ in 0..count {
            pollster::block_on(sessions.run(&sessions.open(), SMALL))?;
        }
        sessions.suspend_all().wait()
    };
    open(10)?;
    let few = resident()?;
    open(count)?;
    Ok(resident()?.saturating_sub(few) / count.max(1) as u64)
}

fn one(sandbox: &Sandbox, script: &str) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let outcome = sandbox.run_blocking(script)?;
    if outcome.success() {
        Ok(started.elapsed())
    } else {
        Err(outcome.stderr.text().into())
    }
}

fn one_by_one(sandbox: &Sandbox) -> Result<Percentiles, Box<dyn Error>> {
    for _ in 0..200 {
        one(sandbox, SHORT)?;
    }
    let times = (0..5_000).map(|_| one(sandbox, SHORT));
    Ok(Percentiles::of(times.collect::<Result<_, _>>()?))
}

/// Counts the fresh runs a second, in a time or until there were so many, with enough of them at
/// once to keep all processors busy.
fn throughput(
    executor: &tokio::runtime::Runtime,
    sandbox: &Sandbox,
    processors: usize,
    time: Duration,
    most: u64,
) -> Result<f64, Box<dyn Error>> {
    let runs = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let busy = || {
        let (runs, sandbox) = (runs.clone(), sandbox.clone());
        executor.spawn(async move {
            while started.elapsed() < time && runs.fetch_add(1, Ordering::Relaxed) < most {
                sandbox.run(SHORT).await?;
            }
            Ok::<_, wardian::Error>(())
        })
    };
    let tasks: Vec<_> = (0..2 * processors).map(|_| busy()).collect();
    for task in tasks {
        executor.block_on(task)??;
    }
    let runs = runs.load(Ordering::Relaxed).min(most);
    Ok(runs as f64 / started.elapsed().as_secs_f64())
}

/// Measures short runs, from when they are wanted, if they come at random times, beside long ones
/// that do too; how many of these there were; and for what part of the time all processors were
/// busy.
fn under_load(
    executor: &tokio::runtime::Runtime,
    sandbox: &Sandbox,
    short_rate: f64,
    long_rate: f64,
) -> Result<(Vec<Duration>, u64, f64), Box<dyn Error>> {
    let mut random = StdRng::seed_from_u64(SEED);
    // Times between events that come at random are distributed like this.
    let mut pause =
        |rate: f64| Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / rate);
    let (told, mut times) = mpsc::unbounded_channel();
    let long_runs = Arc::new(AtomicU64::new(0));
    let (started, computed) = (Instant::now(), processor_time()?);
    let (mut next_short, mut next_long) = (pause(short_rate), pause(long_rate));
    while next_short.min(next_long) < MEASURED {
        let wanted = started + next_short.min(next_long);
        thread::sleep(wanted.saturating_duration_since(Instant::now()));
        if next_short < next_long {
            next_short += pause(short_rate);
            let (run, told) = (sandbox.run(SHORT), told.clone());
            executor.spawn(async move {
                if run.await.is_ok_and(|outcome| outcome.success()) {
                    let _ = told.send(wanted.elapsed());
                }
            });
        } else {
            next_long += pause(long_rate);
            let (run, long_runs) = (sandbox.run(LONG), long_runs.clone());
            executor.spawn(async move {
                if run.await.is_ok_and(|outcome| outcome.success()) {
                    long_runs.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    drop(told);
    let mut all = Vec::new();
    while let Some(time) = times.blocking_recv() {
        all.push(time);
    }
    let computed = processor_time()? - computed;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let busy = computed / started.elapsed().as_secs_f64() / processors as f64;
    Ok((all, long_runs.load(Ordering::Relaxed), busy))
}

/// Returns the time that this process has had of processors, in seconds.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let stat = Process::myself()?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let status = Process::myself()?.status()?;
    Ok(status.vmrss.ok_or("the kernel does not say")? << 10)
}

fn proportional() -> Result<u64, Box<dyn Error>> {
    let maps = Process::myself()?.smaps_rollup()?.memory_map_rollup;
    let map = maps.into_iter().next();
    let bytes = map.and_then(|map| map.extension.map.get("Pss").copied());
    bytes.ok_or_else(|| "the kernel does not say".into())
}
