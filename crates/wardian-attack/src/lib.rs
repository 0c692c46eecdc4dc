//! Hostile code, tried on a policy: what it gets, and what it does to the host.
//!
//! The [rows](rows) are kinds of attack, each with payloads and with a benign twin that has to
//! work. They run in a [`Fixture`](wardian_testkit::Fixture) of the policy, so that nothing that
//! the policy is about is touched, with less fuel and time where it allows more. Each row runs in a
//! process of its own, so that an abort is seen. After each payload the world is looked at: a
//! canary outside of the granted directories, what is granted for reading only, a socket that
//! nobody may connect to, the record, memory, descriptors, threads and children of the process, and
//! whether the next run works.
//!
//! ```no_run
//! # // A doctest has no process to start again.
//! // tests/attacks.rs
//! use wardian_attack::Suite;
//!
//! #[test]
//! fn hostile_code_gets_nothing() {
//!     let policy = wardian::load_policy("support.toml").unwrap();
//!     Suite::new(policy).run_in_test("hostile_code_gets_nothing").assert_safe();
//! }
//! ```

#![forbid(unsafe_code)]

mod child;
mod host;
mod html;
mod needs;
mod probes;
pub mod program;
mod report;
mod row;
mod server;
#[cfg(feature = "soak")]
mod soak;
mod step;
mod test_bed;
mod watch;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

use wardian::{Policy, Tool};

pub use report::{Attempt, Grade, Report, RowReport, Subject};
pub use row::{Class, Row, classes, rows};
#[cfg(feature = "soak")]
pub use soak::{SoakRun, SoakStep};

use crate::row::POLICY;
use crate::step::Step;

/// Tells a process that it is to try one row: its id, and after a colon the directory for its work.
const CHILD: &str = "WARDIAN_ATTACK_ROW";

/// The interval at which a child is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The most bytes that are kept of a dead child's last words.
const MAX_STDERR_BYTES: usize = 400;

/// Beyond the limits of its runs: to start, to look around, to settle.
const ROW_GRACE: Duration = Duration::from_secs(60);

/// The attacks, for one policy.
#[derive(Debug, Clone)]
pub struct Suite {
    policy: Policy,
    tools: Vec<Tool>,
    only: Vec<String>,
    jobs: usize,
    in_sessions: bool,
    stop: Arc<AtomicBool>,
}

/// A reason for which the suite can't be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// No row has this name.
    #[error(
        "{name} is neither a class of attacks nor one of them; there are {}",
        class_names()
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// Somebody has asked to stop.
    #[error("stopped before the last attack")]
    Stopped,
    /// A process can't be started, or its directory not be made.
    #[error("cannot start an attack: {0}")]
    Process(#[from] io::Error),
}

fn class_names() -> String {
    let names: Vec<_> = classes().iter().map(|class| class.id.as_str()).collect();
    names.join(", ")
}

impl Suite {
    /// All attacks, on `policy`.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            tools: Vec::new(),
            only: Vec::new(),
            jobs: thread::available_parallelism().map_or(1, usize::from) * 2,
            in_sessions: false,
            stop: Arc::default(),
        }
    }

    /// All attacks, on a policy of the suite's own that grants something of everything, so that
    /// every attack means something.
    ///
    /// # Panics
    ///
    /// Never: the policy is part of this crate, and a test reads it.
    #[expect(clippy::panic, reason = "the policy is part of this crate")]
    pub fn built_in() -> Self {
        match Policy::parse(&wardian::policy::Source::text(
            "attacks/policy.toml",
            POLICY,
        )) {
            Ok(policy) => Self::new(policy),
            Err(problems) => panic!("{problems}"),
        }
    }

    /// The same suite with these tools, as the host has them, in place of doubles. They are called
    /// by hostile code: give them nothing that may not break.
    #[must_use]
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// Only these classes and rows: `ESC`, `FS-07`.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Unknown`] if one of them is not there.
    pub fn only(mut self, only: impl IntoIterator<Item = String>) -> Result<Self, SuiteError> {
        for name in only {
            if !rows().any(|row| row.is_named(&name)) {
                return Err(SuiteError::Unknown { name });
            }
            self.only.push(name);
        }
        Ok(self)
    }

    /// Every script as the second call of a session, and not as a run of its own.
    #[must_use]
    pub fn in_sessions(mut self) -> Self {
        self.in_sessions = true;
        self
    }

    /// So many rows at a time. Twice as many as there are processors, by default: many rows wait
    /// for a time limit.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// When this becomes true, the suite stops, and leaves nothing behind.
    #[must_use]
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Returns the rows that are tried, each with the reason for which it is not applicable, if one
    /// is.
    pub fn rows(&self) -> Vec<(&'static Row, Option<&'static str>)> {
        let reason = |row: &'static Row| match &row.left_out {
            Some(reason) => Some(reason.as_str()),
            None => needs::missing(row, &self.policy),
        };
        let chosen = self.chosen().into_iter();
        chosen.map(|row| (row, reason(row))).collect()
    }

    fn chosen(&self) -> Vec<&'static Row> {
        let is_chosen =
            |row: &&Row| self.only.is_empty() || self.only.iter().any(|only| row.is_named(only));
        rows().filter(is_chosen).collect()
    }

    /// Tries every row, each in a process that `command` makes: this program, started again so that
    /// it comes to this call once more. There the call does not return. `progress` is told of each
    /// row that is done.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Process`] if a process can't be started; [`SuiteError::Stopped`].
    pub fn run(
        &self,
        command: impl Fn() -> Command + Sync,
        progress: impl Fn(&RowReport) + Sync,
    ) -> Result<Report, SuiteError> {
        if let Some(task) = std::env::var_os(CHILD) {
            child::serve(self, &task.to_string_lossy());
        }
        let (started, date) = (Instant::now(), SystemTime::now());
        let chosen = self.chosen();
        let mut queue: Vec<_> = chosen.iter().copied().enumerate().collect();
        queue.sort_by_key(|(_, row)| !row.takes_long());
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while let Some((at, row)) = take(&next, &queue) {
                        let tried = self.row(row, &command);
                        if self.stop.load(Ordering::Relaxed) {
                            break;
                        }
                        match tried {
                            Ok(report) => {
                                progress(&report);
                                lock(&done).push((at, report));
                            }
                            Err(error) => *lock(&failed) = Some(error),
                        }
                    }
                });
            }
        });
        if self.stop.load(Ordering::Relaxed) {
            return Err(SuiteError::Stopped);
        }
        if let Some(error) = lock(&failed).take() {
            return Err(error.into());
        }
        let mut done = std::mem::take(&mut *lock(&done));
        done.sort_by_key(|(at, _)| *at);
        let rows = done.into_iter().map(|(_, report)| report).collect();
        Ok(Report {
            subject: Subject::of(&self.policy, date),
            rows,
            wall_ms: millis(started.elapsed()),
        })
    }

    /// As [`run`](Self::run), in a test of this name, module path included, as `cargo test` prints
    /// it.
    ///
    /// # Panics
    ///
    /// If the suite can't be run.
    #[expect(clippy::panic, reason = "a test that can't run has failed")]
    pub fn run_in_test(&self, test: &str) -> Report {
        let command = || {
            // That of a test binary is there.
            let program = std::env::current_exe().unwrap_or_default();
            let mut command = Command::new(program);
            command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
            command
        };
        match self.run(command, |_| {}) {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Tries one row in a process of its own.
    fn row(&self, row: &'static Row, command: impl Fn() -> Command) -> io::Result<RowReport> {
        if let Some(why) = &row.left_out {
            return Ok(RowReport::left_out(row, why));
        }
        let started = Instant::now();
        let dir = tempfile::Builder::new()
            .prefix("wardian-attack-")
            .tempdir()?;
        let [steps, said] = ["steps", "stderr"].map(|name| dir.path().join(name));
        fs::write(&steps, "")?;
        let mut child = command()
            .env(CHILD, format!("{}:{}", row.id, dir.path().display()))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            // Ctrl-C is this process's to answer.
            .process_group(0)
            .spawn()?;
        let mut looked = read(&steps);
        let mut changed = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait()? {
                break ChildExit::Itself(status);
            }
            let now = read(&steps);
            if now.len() != looked.len() {
                (looked, changed) = (now, Instant::now());
            }
            if changed.elapsed() > ROW_GRACE || self.stop.load(Ordering::Relaxed) {
                child.kill()?;
                child.wait()?;
                break ChildExit::Killed;
            }
            thread::sleep(POLL_INTERVAL);
        };
        let said = fs::read(&said)?;
        let last = said.get(said.len().saturating_sub(MAX_STDERR_BYTES)..);
        let said = String::from_utf8_lossy(last.unwrap_or_default());
        let wall = started.elapsed();
        Ok(report::judge(row, &read(&steps), &ended, &said, wall))
    }
}

/// The end of a child.
enum ChildExit {
    Itself(ExitStatus),
    /// It did nothing any more.
    Killed,
}

/// Reads the steps that a child has written.
fn read(steps: &Path) -> Vec<Step> {
    let text = fs::read_to_string(steps).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn take(next: &AtomicUsize, queue: &[(usize, &'static Row)]) -> Option<(usize, &'static Row)> {
    queue.get(next.fetch_add(1, Ordering::Relaxed)).copied()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
