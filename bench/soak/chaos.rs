//! Chaos for a process: it is stopped, and its clock steps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use wardian_attack::SoakRun;

/// The frequency, in looks, at which the process is stopped, and its clock steps.
const STOPS: f64 = 0.1;
const STEPS: f64 = 0.05;

/// The file in which libfaketime reads how far the clock is off.
const OFFSET: &str = "clock";

/// Debian's libfaketime.
fn libfaketime() -> Option<PathBuf> {
    let machines = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut places = machines.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    places.find(|path| path.exists())
}

/// Puts the clock of a process that is to be started into our hands: what tells the time of day,
/// not what measures time.
pub(crate) fn prepare(command: &mut Command, dir: &Path) -> io::Result<()> {
    if let Some(library) = libfaketime() {
        fs::write(dir.join(OFFSET), "+0")?;
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", dir.join(OFFSET))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("NO_FAKE_STAT", "1");
    }
    Ok(())
}

/// The chaos of one process.
pub(crate) struct Chaos {
    process: Option<Pid>,
    rng: StdRng,
    clock: Option<PathBuf>,
    steps: usize,
    /// From when until when it was stopped, in milliseconds of the monotonic clock.
    stopped: Vec<(i64, i64)>,
}

impl Chaos {
    pub(crate) fn new(worker: &Child, seed: u64, dir: &Path) -> Self {
        let id = i32::try_from(worker.id()).ok();
        Self {
            process: id.and_then(Pid::from_raw),
            rng: StdRng::seed_from_u64(seed),
            clock: Some(dir.join(OFFSET)).filter(|file| file.exists()),
            steps: 0,
            stopped: Vec::new(),
        }
    }

    /// Perhaps stops the process for a while; perhaps has its clock step, by up to a day.
    pub(crate) fn disturb(&mut self) -> io::Result<()> {
        if let Some(process) = self.process
            && self.rng.random_bool(STOPS)
        {
            let pause = Duration::from_millis(self.rng.random_range(10..1_500));
            let from = now_ms();
            // It may have ended.
            if kill_process(process, Signal::STOP).is_ok() {
                thread::sleep(pause);
                let _ = kill_process(process, Signal::CONT);
                self.stopped.push((from, now_ms()));
            }
        }
        if let Some(clock) = &self.clock
            && self.rng.random_bool(STEPS)
        {
            let offset = self.rng.random_range(-86_400..86_400);
            fs::write(clock, format!("{offset:+}"))?;
            self.steps += 1;
        }
        Ok(())
    }

    /// Returns the lateness of a run, without the time in which its process was stopped.
    pub(crate) fn late_ms(&self, run: &SoakRun) -> u64 {
        let within = |(from, to): &(i64, i64)| {
            let overlap = *to.min(&run.over_ms) - *from.max(&run.began_ms);
            u64::try_from(overlap).unwrap_or(0)
        };
        run.late_ms
            .saturating_sub(self.stopped.iter().map(within).sum())
    }

    pub(crate) fn stops(&self) -> usize {
        self.stopped.len()
    }

    pub(crate) fn clock_steps(&self) -> Option<usize> {
        self.clock.as_ref().map(|_| self.steps)
    }
}

fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}
