//! `wardian bench`: what this machine does with it, for deciding how large a machine has to be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use procfs::process::Process;
use serde_json::{Value, json};
use wardian::audit::{Chain, Draft, Sink};
use wardian::{
    Limits, Log, Policy, Runtime, Sandbox,
    policy::{Allowance, Profile},
};
use wardian_bench::KERNELS;

use crate::args::BenchArgs;
use crate::exit::Exit;
use crate::output::{columns, print, print_json, progress};

/// Scripts whose starts are timed.
const STARTS: [(&str, &str); 3] = [
    ("empty script", ""),
    ("print(\"hi\")", HELLO),
    ("uncaught exception", "1/0"),
];
const HELLO: &str = "print(\"hi\")";

/// The count of timed runs of each script, and of those before them.
const RUNS: usize = 2_000;
const WARM_UP: usize = 200;

/// The time for which every processor is kept busy.
const LOAD: Duration = Duration::from_secs(3);

/// The count of sandboxes that are alive when their memory is measured, and the time that each is
/// given for it.
const LIVE: usize = 200;
const ALIVE: &str = "print('alive')\nimport time\ntime.sleep(1e6)";
const SETTLE_TIME: Duration = Duration::from_millis(500);

/// Writes to so many pages, by counting references to every object, that all memory of the run is
/// thrown away: so the pages of the next one are its own.
const MANY_PAGES: &str = "import gc\ngc.get_objects()";

/// The count of runs of each kernel.
const TURNS: usize = 9;

/// The figures. Times in milliseconds.
struct Measured {
    starts: Vec<(&'static str, [f64; 2])>,
    processors: usize,
    runs_per_second: f64,
    bytes_per_sandbox: u64,
    kernels: Vec<Kernel>,
}

/// The cost of a script on every machine.
struct Cost {
    name: &'static str,
    fuel: u64,
    /// Pages that it writes to; none if they are too many to be restored.
    pages: Option<u64>,
}

struct Kernel {
    name: &'static str,
    ms: f64,
    fuel: u64,
}

impl Kernel {
    fn fuel_per_second(&self) -> f64 {
        self.fuel as f64 / self.ms * 1e3
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<Exit> {
    if args.costs {
        let costs = costs()?;
        if args.json {
            print_json(&json!({"costs": costs.iter().map(Cost::json).collect::<Vec<_>>()}))?
        } else {
            print(&table(&costs))?
        }
        return Ok(Exit::SUCCESS);
    }
    let bar = progress(STARTS.len() + KERNELS.len() + 2);
    let ended = measure(|what| {
        bar.set_message(what);
        bar.inc(1);
    });
    bar.finish_and_clear();
    let measured = ended?;
    if args.json {
        print_json(&measured.json())?
    } else {
        print(&measured.tables())?
    }
    Ok(Exit::SUCCESS)
}

fn measure(begins: impl Fn(&'static str)) -> Result<Measured> {
    let runtime = Runtime::new()?;
    let sandbox =
        Sandbox::new(&runtime, Policy::computing())?.with_audit(Log::new(LastLine::default()))?;
    let mut starts = Vec::new();
    for (name, script) in STARTS {
        begins(name);
        starts.push((name, percentiles(&sandbox, script)?));
    }
    begins("every processor busy");
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let runs_per_second = throughput(&sandbox, processors)?;
    let mut kernels = Vec::new();
    for (name, source) in KERNELS {
        begins(name);
        kernels.push(kernel(&sandbox, name, source)?);
    }
    begins("memory");
    Ok(Measured {
        starts,
        processors,
        runs_per_second,
        kernels,
        bytes_per_sandbox: memory(&runtime)?,
    })
}

/// Measures what the same scripts take whatever the machine.
fn costs() -> Result<Vec<Cost>> {
    let runtime = Runtime::new()?;
    let sandbox = Sandbox::new(&runtime, Policy::computing())?;
    let unscreened = Policy::computing().with_source_rules(Profile::Open);
    let unscreened = Sandbox::new(&runtime, unscreened)?;
    let cost = |(name, source)| {
        unscreened.run_blocking(MANY_PAGES)?;
        let before = runtime.pages_restored();
        let outcome = sandbox.run_blocking(source)?;
        let pages = runtime.pages_restored() - before;
        Ok(Cost {
            name,
            fuel: outcome.usage.fuel,
            pages: (pages > 0).then_some(pages),
        })
    };
    STARTS.into_iter().chain(KERNELS).map(cost).collect()
}

impl Cost {
    fn json(&self) -> Value {
        json!({"script": self.name, "fuel": self.fuel, "pages": self.pages})
    }
}

fn table(costs: &[Cost]) -> String {
    let mut table = columns(&["script", "fuel", "pages written"]);
    for cost in costs {
        let pages = cost
            .pages
            .map_or("many".to_owned(), |pages| pages.to_string());
        table.add_row([cost.name.to_owned(), cost.fuel.to_string(), pages]);
    }
    format!("{table}\n")
}

/// A log of which only the last line is kept: how many there are does not cost memory.
#[derive(Default)]
struct LastLine(Chain, String);

impl Sink for LastLine {
    fn append(&mut self, draft: &Draft<'_>) -> std::io::Result<()> {
        self.0.append(draft, |line| {
            line.clone_into(&mut self.1);
            Ok(())
        })
    }

    fn may_block(&self) -> bool {
        false
    }
}

/// Measures the time of fresh runs: p50 and p99.
fn percentiles(sandbox: &Sandbox, script: &str) -> Result<[f64; 2]> {
    let mut times = Vec::with_capacity(RUNS);
    for turn in 0..WARM_UP + RUNS {
        let started = Instant::now();
        sandbox.run_blocking(script)?;
        if turn >= WARM_UP {
            times.push(milliseconds(started.elapsed()));
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied();
    Ok([50, 99].map(|percent| at(percent).unwrap_or(f64::NAN)))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Counts the fresh runs a second with so many threads.
fn throughput(sandbox: &Sandbox, threads: usize) -> Result<f64> {
    let runs = AtomicU64::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let busy = || -> Result<(), wardian::Error> {
            while started.elapsed() < LOAD {
                sandbox.run_blocking(HELLO)?;
                runs.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(busy)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().try_for_each(join)
    })?;
    Ok(runs.into_inner() as f64 / started.elapsed().as_secs_f64())
}

fn kernel(sandbox: &Sandbox, name: &'static str, source: &str) -> Result<Kernel> {
    let mut times = Vec::new();
    let mut fuel = 0;
    for _ in 0..TURNS {
        let started = Instant::now();
        let outcome = sandbox.run_blocking(source)?;
        times.push(milliseconds(started.elapsed()));
        ensure!(
            outcome.success(),
            "{name} has ended with {}: {}",
            outcome.verdict.ending(),
            outcome.stderr.text()
        );
        fuel = outcome.usage.fuel;
    }
    times.sort_by(f64::total_cmp);
    let ms = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    Ok(Kernel { name, ms, fuel })
}

/// Measures the memory of one more live sandbox: this process's own and its share of what processes
/// share.
fn memory(runtime: &Runtime) -> Result<u64> {
    let limits = Limits::default().with_timeout(Allowance::Unlimited)?;
    let sandbox = Sandbox::new(runtime, Policy::computing().with_limits(limits))?;
    let executor = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut alive = Vec::new();
    let mut held = Vec::new();
    // The first has what is there once.
    for count in [1, 1 + LIVE] {
        while alive.len() < count {
            alive.push(executor.spawn(sandbox.run(ALIVE)));
        }
        thread::sleep(SETTLE_TIME);
        held.push(proportional_set_size()?);
    }
    alive.iter().for_each(tokio::task::JoinHandle::abort);
    match held[..] {
        [one, all] => Ok(all.saturating_sub(one) / LIVE as u64),
        _ => Ok(0),
    }
}

fn proportional_set_size() -> Result<u64> {
    let maps = Process::myself()?.smaps_rollup()?.memory_map_rollup;
    let map = maps.into_iter().next();
    let map = map.and_then(|map| map.extension.map.get("Pss").copied());
    map.context("this system does not say how much memory a process has")
}

impl Measured {
    fn json(&self) -> Value {
        let starts: Vec<_> = self
            .starts
            .iter()
            .map(|(name, [p50, p99])| json!({"script": name, "p50_ms": p50, "p99_ms": p99}))
            .collect();
        let kernels: Vec<_> = self
            .kernels
            .iter()
            .map(|kernel| {
                json!({
                    "kernel": kernel.name, "ms": kernel.ms, "fuel": kernel.fuel,
                    "fuel_per_second": kernel.fuel_per_second(),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "processors": self.processors,
            "starts": starts,
            "runs_per_second": self.runs_per_second,
            "bytes_per_sandbox": self.bytes_per_sandbox,
            "kernels": kernels,
        })
    }

    fn tables(&self) -> String {
        let mut starts = columns(&["fresh run", "p50", "p99"]);
        for (name, [p50, p99]) in &self.starts {
            starts.add_row([
                (*name).to_owned(),
                format!("{p50:.3} ms"),
                format!("{p99:.3} ms"),
            ]);
        }
        let mut kernels = columns(&["computing", "time", "fuel", "fuel a second"]);
        for kernel in &self.kernels {
            kernels.add_row([
                kernel.name.to_owned(),
                format!("{:.1} ms", kernel.ms),
                format!("{:.1e}", kernel.fuel as f64),
                format!("{:.1e}", kernel.fuel_per_second()),
            ]);
        }
        format!(
            "{starts}\n\n{kernels}\n\n{:.0} fresh runs of print(\"hi\") a second on {} processors\n\
             {:.2} MiB of memory for each live sandbox\n",
            self.runs_per_second,
            self.processors,
            self.bytes_per_sandbox as f64 / f64::from(1 << 20)
        )
    }
}
