//! `wardian screen`: which rules scripts break, without running them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use wardian::{
    Policy, Runtime, Sandbox, load_policy,
    outcome::Violation,
    policy::{Allowance, Profile},
};

use crate::args::ScreenArgs;
use crate::exit::{self, Exit};
use crate::problems;
use crate::sources::{Files, Sources, source_name};

pub(crate) fn run(args: ScreenArgs) -> Result<Exit> {
    let policy = match (&args.policy, args.profile) {
        (Some(file), _) => {
            let policy = load_policy(file)?;
            Policy::computing()
                .with_source_rules(policy.source_rules().clone())
                .with_packages(policy.packages().clone())?
        }
        (None, profile) => {
            let profile = profile.unwrap_or(Profile::Standard);
            Policy::computing().with_source_rules(profile)
        }
    };
    let sandbox = Sandbox::new(&Runtime::new()?, policy)?;
    let screened = screen_all(&sandbox, &args.files);
    let mut exit = Exit::SUCCESS;
    for (file, screened) in args.files.iter().zip(screened) {
        let name = source_name(Some(file));
        let (sources, violations) = match screened {
            Ok(screened) => screened,
            // One file that can't be read does not keep the others from being told about.
            Err(error) => {
                exit = exit::report(&error);
                continue;
            }
        };
        if !violations.is_empty() && exit == Exit::SUCCESS {
            exit = Exit::REJECTED;
        }
        if args.json {
            let line = json!({
                "file": name,
                "ok": violations.is_empty(),
                "violations": violations,
            });
            crate::output::write(format!("{line}\n").as_bytes())?;
        } else {
            problems::show_source(&sources, &violations);
        }
    }
    Ok(exit)
}

/// The time after which progress is shown.
const PROGRESS_DELAY: Duration = Duration::from_secs(1);

/// Sources, and what is wrong with them.
type Screened = Result<(Sources, Vec<Violation>)>;

/// Checks files on all processors, in any order; the answers are in the order of the files.
fn screen_all(sandbox: &Sandbox, files: &[PathBuf]) -> Vec<Screened> {
    let next = AtomicUsize::new(0);
    // Draws on a terminal only, and not before it is worth it.
    let progress = ProgressBar::new(files.len() as u64).with_style(
        ProgressStyle::with_template("screening {pos}/{len} {wide_bar} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    progress.set_draw_target(ProgressDrawTarget::hidden());
    let started = Instant::now();
    let answers: Mutex<Vec<(usize, Screened)>> = Mutex::default();
    let work = || {
        while let Some((i, file)) = take(&next, files) {
            let answer = screen(sandbox, file);
            if progress.is_hidden() && started.elapsed() > PROGRESS_DELAY {
                progress.set_draw_target(ProgressDrawTarget::stderr());
            }
            progress.inc(1);
            if let Ok(mut answers) = answers.lock() {
                answers.push((i, answer));
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for _ in 1..threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    progress.finish_and_clear();
    let mut answers = answers.into_inner().unwrap_or_default();
    answers.sort_by_key(|(i, _)| *i);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn take<'f>(next: &AtomicUsize, files: &'f [PathBuf]) -> Option<(usize, &'f PathBuf)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    files.get(i).map(|file| (i, file))
}

fn screen(sandbox: &Sandbox, file: &Path) -> Screened {
    let Files { script, sources } = if file.is_dir() {
        Files::of_directory(file, Allowance::Unlimited)?
    } else {
        Files::of_file(file, Allowance::Unlimited)?
    };
    let violations = pollster::block_on(sandbox.screen(script))?;
    Ok((sources, violations))
}
