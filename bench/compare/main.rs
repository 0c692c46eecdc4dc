//! `just bench compare`: the same snippets in Wardian and in what people would use instead, by
//! turns; a table and a plot for `docs/`, which nobody edits by hand.
//!
//! Every snippet runs in a fresh sandbox, and is timed from before there is one until its output is
//! here.

#![expect(clippy::print_stderr, reason = "a command")]

mod peers;
mod plot;

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use wardian::{Log, Policy, Runtime, Sandbox};

use crate::peers::{PEERS, Peer, Peers};

/// Snippets that show how long a start takes.
const STARTS: [(&str, &str); 2] = [
    ("start: print(\"hi\")", "print(\"hi\")"),
    ("start: uncaught exception", "1/0"),
];

/// The count of runs of each snippet in each engine.
const TURNS: usize = 15;

/// The count of first runs that are not timed.
const WARM_UP: usize = 2;

/// The count of runs in one engine before it is another's turn, of snippets that show a start: what
/// starts thousands of times a second finds caches as it has left them. The median of these is one
/// run.
const STARTS_A_TURN: usize = 21;

#[derive(Parser)]
struct Args {
    /// A Python that the peers support, 3.12 or later. They are installed beside it unless it has
    /// them.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Directory of the table and the plot.
    #[arg(long)]
    docs: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A snippet, and how long it took: Wardian, and then the peers.
struct Row {
    name: &'static str,
    /// Medians, in milliseconds; why not, of those that can't run it.
    ms: Vec<Result<f64, String>>,
}

impl Row {
    fn is_start(&self) -> bool {
        self.name.starts_with("start")
    }

    /// Returns how much longer a peer took than Wardian.
    fn ratio(&self, engine: usize) -> Option<f64> {
        let ms = |engine: usize| self.ms.get(engine)?.as_ref().ok();
        Some(ms(engine)? / ms(0)?)
    }
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> io::Result<()> {
    let mut peers = Peers::start(&args.python)?;
    let runtime = Runtime::new().map_err(io::Error::other)?;
    let sandbox = Sandbox::new(&runtime, Policy::computing()).map_err(io::Error::other)?;
    let mut rows = Vec::new();
    let starts = STARTS.map(|(name, code)| (name, code, STARTS_A_TURN));
    let kernels = wardian_bench::KERNELS.map(|(name, code)| (name, code, 1));
    for (name, code, times) in starts.into_iter().chain(kernels) {
        eprintln!("{name}");
        let mut turns: Vec<Vec<Result<f64, String>>> = vec![Vec::new(); PEERS.len() + 1];
        for _ in 0..WARM_UP + TURNS {
            let mut turn = vec![middle(times, || ours(&sandbox, code))?];
            for peer in &PEERS {
                turn.push(middle(times, || peers.run(peer.name, code))?);
            }
            for (times, time) in turns.iter_mut().zip(turn) {
                times.push(time);
            }
        }
        rows.push(Row {
            name,
            ms: turns
                .into_iter()
                .map(|times| median(times.into_iter().skip(WARM_UP)))
                .collect(),
        });
    }
    let mut names = vec![concat!("Wardian ", env!("CARGO_PKG_VERSION")).to_owned()];
    let named = |peer: &Peer| format!("{} {}", peer.title, peers.version(peer.name));
    names.extend(PEERS.iter().map(named));
    fs::create_dir_all(&args.docs)?;
    let page = page(&names, &rows).map_err(io::Error::other)?;
    fs::write(args.docs.join("compare.md"), page)?;
    plot::draw(&args.docs.join("compare.svg"), &names, &rows)
        .map_err(|error| io::Error::other(error.to_string()))
}

fn ours(sandbox: &Sandbox, code: &str) -> io::Result<Result<f64, String>> {
    let started = Instant::now();
    // Its record is made, and kept in memory.
    let sandbox = sandbox
        .clone()
        .with_audit(Log::memory().0)
        .map_err(io::Error::other)?;
    let outcome = sandbox.run_blocking(code).map_err(io::Error::other)?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let ended = outcome.verdict.ending();
    Ok(match ended {
        "completed" | "raised" => Ok(ms),
        _ => Err(outcome.stderr.text().into_owned()),
    })
}

/// The median of so many runs.
fn middle(
    times: usize,
    mut run: impl FnMut() -> io::Result<Result<f64, String>>,
) -> io::Result<Result<f64, String>> {
    let runs: io::Result<Vec<_>> = (0..times).map(|_| run()).collect();
    Ok(median(runs?))
}

/// The median; an error, if there is one.
fn median(times: impl IntoIterator<Item = Result<f64, String>>) -> Result<f64, String> {
    let mut times: Vec<_> = times.into_iter().collect::<Result<_, _>>()?;
    times.sort_by(f64::total_cmp);
    times
        .get(times.len() / 2)
        .copied()
        .ok_or_else(|| "it has not run".to_owned())
}

/// The geometric mean of how much longer a peer takes than Wardian, of the snippets of a kind that
/// it runs.
fn mean(rows: &[Row], engine: usize, start: bool) -> Option<f64> {
    let ratios: Vec<f64> = rows
        .iter()
        .filter(|row| row.is_start() == start)
        .filter_map(|row| row.ratio(engine))
        .collect();
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (logarithms / ratios.len() as f64).exp())
}

fn page(names: &[String], rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    writeln!(page, "# Compared\n")?;
    writeln!(
        page,
        "Written by `just bench compare` on {} processors; do not edit. Medians of {TURNS} runs by turns, in \
         ms, and how many times Wardian's that \
         is; of starts, the median of {STARTS_A_TURN} in a row is one run. A run is everything from before \
         there is a sandbox until its output is there.\n",
        std::thread::available_parallelism().map_or(1, usize::from)
    )?;
    writeln!(page, "![The same as bars](compare.svg)\n")?;
    writeln!(page, "| | {} |", names.join(" | "))?;
    writeln!(page, "|---|{}", "--:|".repeat(names.len()))?;
    let mut notes = Vec::new();
    for row in rows {
        write!(page, "| {} |", row.name)?;
        for (engine, ms) in row.ms.iter().enumerate() {
            match (ms, row.ratio(engine)) {
                (Ok(ms), _) if engine == 0 => write!(page, " {ms:.3} |")?,
                (Ok(ms), Some(ratio)) => write!(page, " {ms:.3} ({ratio:.2}) |")?,
                (Ok(ms), None) => write!(page, " {ms:.3} |")?,
                (Err(error), _) => {
                    notes.push((row.name, engine, error));
                    write!(page, " can't [{}] |", notes.len())?;
                }
            }
        }
        writeln!(page)?;
    }
    for (name, start) in [
        ("starts, geometric mean", true),
        ("computing, geometric mean", false),
    ] {
        write!(page, "| {name} |")?;
        for engine in 0..names.len() {
            match mean(rows, engine, start) {
                Some(mean) => write!(page, " ({mean:.2}) |")?,
                None => write!(page, " |")?,
            }
        }
        writeln!(page)?;
    }
    writeln!(page)?;
    for (at, (row, engine, error)) in notes.into_iter().enumerate() {
        let first = error
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default();
        let name = names.get(engine).map_or("", String::as_str);
        writeln!(
            page,
            "[{}] {row} in {name}: `{}`\n",
            at + 1,
            first.replace('`', "'")
        )?;
    }
    writeln!(page, "What each of them isolates:\n")?;
    writeln!(page, "- **Wardian**: {}", peers::OURS)?;
    for peer in &PEERS {
        writeln!(page, "- **{}**: {}", peer.title, peer.isolates)?;
    }
    Ok(page)
}
