//! Hostile and benign runs, mixed at random from a seed, for as long as one likes: what a process
//! that does this holds on to is for another process to look at.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wardian::audit::{Chain, Draft, Sink, verify};
use wardian::session::{Image, Sessions, SessionsOptions};
use wardian::{Error, Log, Outcome, Policy, Runtime, Sandbox, Script, Tool, policy::Profile};

use crate::Suite;
use crate::program::Program;
use crate::row::{FUEL, Kind, rows};
use crate::test_bed::{AttemptResult, SetupError, TestBed, narrow, source};
use wardian_testkit::runtime;

/// The wall clock of each run.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The time that a call waits for its tool.
const TOOL_WAIT: Duration = Duration::from_millis(50);

/// The count of runs that share a sandbox and a log, before these are dropped.
const ROUND: usize = 100;

/// The name of a round's log, in its directory.
const LOG: &str = "audit.jsonl";

/// The kinds of runs, by how often each is played.
const MIX: [(SoakStep, u32); 7] = [
    (SoakStep::Benign, 35),
    (SoakStep::Session, 12),
    (SoakStep::Hostile, 23),
    (SoakStep::GivenUp, 10),
    (SoakStep::Tool, 10),
    (SoakStep::SystemCalls, 6),
    (SoakStep::FullDisk, 4),
];

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SoakStep {
    /// A script that has to have its value.
    Benign,
    /// A payload of the suite.
    Hostile,
    /// A script that nobody waits for any more, at a random moment.
    GivenUp,
    /// Tools that hang, panic or reply too much.
    Tool,
    /// A random program of the hostile guest.
    SystemCalls,
    /// A run whose log is on a full disk.
    FullDisk,
    /// A call of a session, which may have to be brought back, or of a fork.
    Session,
    /// A look at what many runs have left: the canary, what is granted for reading, the log.
    Round,
}

/// One run of a soak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SoakRun {
    /// The kind of run.
    pub what: SoakStep,
    /// The ending.
    pub ending: String,
    /// When it began, in milliseconds of the system's monotonic clock.
    pub began_ms: i64,
    /// When it was over, and looked at.
    pub over_ms: i64,
    /// The time after its limit at which it ended, in milliseconds.
    pub late_ms: u64,
    /// Findings: everything that must not be.
    pub findings: Vec<String>,
}

/// Scripts, and their values.
const BENIGN: [(&str, &str); 6] = [
    ("6 * 7", "42"),
    ("print('x' * 1000)\nlen('ab')", "2"),
    (
        "import json\njson.loads(json.dumps({'a': [1, 2.5]}))",
        r#"{"a":[1,2.5]}"#,
    ),
    (
        "class A:\n    def f(self): return sum(i * i for i in range(300))\nA().f()",
        "8955050",
    ),
    (
        "try: 1 / 0\nexcept ZeroDivisionError as e: s = str(e)\ns",
        r#""division by zero""#,
    ),
    (
        "import re\nre.findall('b+', 'abbb' * 50)[:2]",
        r#"["bbb","bbb"]"#,
    ),
];

/// Scripts that call tools that misbehave.
const TOOLS: [&str; 4] = [
    "tools.probe_slow(text='x')",
    "tools.probe_panic()",
    "tools.probe_huge()",
    "tools.probe_echo(text='x' * 10000)",
];

/// Scripts that are given up while they compute, wait, print, allocate, or before they start.
const GIVEN_UP: [&str; 5] = [
    "1",
    "while True: pass",
    "import time\ntime.sleep(1)",
    "print('x' * 10**6)",
    "[str(i) for i in range(10**5)]",
];

impl Suite {
    /// Plays hostile and benign runs at random until `until`, on so many threads, with files in
    /// `dir`, and tells of each.
    ///
    /// # Errors
    ///
    /// If directories or logs can't be made.
    pub fn soak(
        &self,
        seed: u64,
        threads: u64,
        dir: &Path,
        until: Instant,
        told: impl Fn(&SoakRun) + Sync,
    ) -> io::Result<()> {
        let told = &told;
        thread::scope(|scope| {
            let play = |thread| move || self.soak_thread(seed + thread, dir, until, told);
            let threads: Vec<_> = (0..threads).map(|i| scope.spawn(play(i))).collect();
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| io::Error::other("a thread of the soak panicked"))??;
            }
            Ok(())
        })
    }

    fn soak_thread(
        &self,
        seed: u64,
        dir: &Path,
        until: Instant,
        told: &impl Fn(&SoakRun),
    ) -> io::Result<()> {
        let mut rng = StdRng::seed_from_u64(seed);
        while Instant::now() < until {
            let dir = tempfile::tempdir_in(dir)?;
            let mut round = Round::new(self, dir.path()).map_err(io::Error::other)?;
            for _ in 0..ROUND {
                if Instant::now() >= until {
                    break;
                }
                told(&round.play(&mut rng)?);
            }
            told(&round.end()?);
        }
        Ok(())
    }
}

/// The system's monotonic clock, which all processes share.
fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// Runs that share a sandbox and a log.
struct Round {
    policy: Policy,
    tools: Vec<Tool>,
    dir: PathBuf,
    bed: TestBed,
    sandbox: Sandbox,
    /// The same, from an image.
    prepared: Sandbox,
    sessions: Sessions,
    /// The ids of sessions, and how often each has counted.
    counts: Vec<(String, u64)>,
    timers: tokio::runtime::Runtime,
}

/// A call of a session that counts: one more than the calls of it before.
const COUNT: &str = "
n = globals().get('n', 0) + 1
kept = [n] * 1000
if WORK:
    with open(WORK + '/n', 'ab') as f: f.write(bytes(10_000))
    with open(WORK + '/n', 'rb') as f: assert len(f.read()) == n * 10_000
n";

/// A call of a session that is stopped, and so changes nothing.
const SPOIL: &str = "
n, kept = -1, []
if WORK: open(WORK + '/n', 'wb').write(bytes(1_000_000))
while True: pass";

/// The most sessions of a round, and the most of them in memory.
const MAX_SESSIONS: usize = 6;
const MAX_LIVE: usize = 2;

impl Round {
    fn new(suite: &Suite, dir: &Path) -> Result<Self, SetupError> {
        let limits = narrow(suite.policy.limits(), FUEL, TIMEOUT, TOOL_WAIT)?;
        let policy = suite.policy.clone().with_limits(limits);
        let bed = TestBed::new(policy.clone(), &suite.tools, dir)?;
        let log = Log::file(dir.join(LOG))?;
        let sandbox = bed.sandbox(log)?;
        let image = Image::build(&sandbox.clone().with_audit(Log::memory().0)?, None);
        let prepared = sandbox.clone().with_image(&image.wait()?.image)?;
        let mut options = SessionsOptions::default();
        options.max_live = MAX_LIVE;
        Ok(Self {
            policy,
            tools: suite.tools.clone(),
            dir: dir.to_owned(),
            sessions: Sessions::new(prepared.clone(), options)?,
            prepared,
            counts: Vec::new(),
            sandbox,
            bed,
            timers: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?,
        })
    }

    /// Plays something.
    fn play(&mut self, rng: &mut StdRng) -> io::Result<SoakRun> {
        let (what, _) = MIX
            .choose_weighted(rng, |(_, weight)| *weight)
            .copied()
            .map_err(io::Error::other)?;
        self.timed(what, |round| match what {
            SoakStep::Benign => Ok(round.benign(rng)),
            SoakStep::Hostile => Ok(round.hostile(rng)),
            SoakStep::GivenUp => Ok(round.given_up(rng)),
            SoakStep::Tool => Ok(round.tool(rng)),
            SoakStep::SystemCalls => Ok(round.system_calls(rng)),
            SoakStep::FullDisk => round.full_disk(),
            SoakStep::Session => Ok(round.session(rng)),
            SoakStep::Round => round.look(),
        })
    }

    /// Looks at what nobody may change, and at the log.
    fn end(mut self) -> io::Result<SoakRun> {
        self.timed(SoakStep::Round, |round| round.look())
    }

    fn timed(
        &mut self,
        what: SoakStep,
        play: impl FnOnce(&mut Self) -> io::Result<AttemptResult>,
    ) -> io::Result<SoakRun> {
        let began_ms = now_ms();
        let result = play(self)?;
        Ok(SoakRun {
            what,
            began_ms,
            over_ms: now_ms(),
            late_ms: result.late_ms,
            ending: result.ending,
            findings: result.findings,
        })
    }

    fn benign(&self, rng: &mut StdRng) -> AttemptResult {
        let (script, value) = BENIGN.choose(rng).copied().unwrap_or_default();
        let sandboxes = [&self.sandbox, &self.prepared];
        let sandbox = sandboxes.choose(rng).copied().unwrap_or(&self.sandbox);
        let started = Instant::now();
        let ended = sandbox.run_blocking(script);
        let late = started.elapsed().saturating_sub(TIMEOUT);
        let Ok(outcome) = ended else {
            return AttemptResult::failed(format!("{script:?}: {ended:?}"));
        };
        let is = outcome.json().get("value").map(Value::to_string);
        let ending = outcome.verdict.ending();
        // On a machine that is stopped, time passes for benign scripts too.
        let wrong = is.as_deref() != Some(value) && ending != "time";
        let wrong = wrong.then(|| format!("{script:?} has come to {}", outcome.json()));
        AttemptResult {
            late_ms: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            ..AttemptResult::plain(ending, wrong.into_iter().collect())
        }
    }

    /// Counts in a session and in a file of its working directory, is stopped in it, forks it,
    /// closes it.
    fn session(&mut self, rng: &mut StdRng) -> AttemptResult {
        let work = self.policy.work().map(ToString::to_string);
        let script = |code| Script::new(code).input("WORK", work.clone());
        let (count_on, spoil) = (script(COUNT), script(SPOIL));
        if self.counts.len() < MAX_SESSIONS {
            self.counts.push((self.sessions.open(), 0));
        }
        let at = rng.random_range(0..self.counts.len());
        let Some((id, count)) = self.counts.get_mut(at) else {
            return AttemptResult::failed("there is no session");
        };
        let expect = |ended: Result<Outcome, Error>, expected: u64| match ended {
            // On a machine that is stopped, time passes for benign scripts too.
            Ok(outcome) if outcome.verdict.ending() == "time" => Ok(false),
            Ok(outcome) if outcome.json().get("value") == Some(&expected.into()) => Ok(true),
            other => Err(format!(
                "a session that should say {expected} has come to {other:?}"
            )),
        };
        let played = match rng.random_range(0..10) {
            0 | 1 => {
                let stopped = self.sessions.run(id, spoil).wait();
                stopped.map(|_| ()).map_err(|error| error.to_string())
            }
            2 => {
                let fork = self.sessions.find(id).wait();
                let fork = fork.and_then(|session| session.fork().wait());
                fork.map_err(|error| error.to_string())
                    .and_then(|fork| expect(fork.run(count_on).wait(), *count + 1).map(|_| ()))
            }
            3 => {
                let closed = self.sessions.close(id).wait();
                self.counts.swap_remove(at);
                closed.map_err(|error| error.to_string())
            }
            _ => expect(self.sessions.run(id, count_on).wait(), *count + 1).map(|has_counted| {
                *count += u64::from(has_counted);
            }),
        };
        AttemptResult::plain("session", played.err().into_iter().collect())
    }

    fn hostile(&self, rng: &mut StdRng) -> AttemptResult {
        let python = rows().filter(|row| row.kind == Kind::Python);
        let python: Vec<_> = python.collect();
        let chosen = python
            .choose(rng)
            .and_then(|row| Some((row, row.payloads.choose(rng)?)));
        let code = chosen
            .map(|(row, payload)| source(row, payload))
            .unwrap_or_default();
        let open = rng.random_bool(0.5);
        self.apart(|bed| {
            let policy = bed.fixture().policy().clone();
            let policy = if open {
                policy.with_source_rules(Profile::Open)
            } else {
                policy
            };
            bed.run(runtime(), policy, &code, None)
        })
    }

    fn given_up(&self, rng: &mut StdRng) -> AttemptResult {
        let script = GIVEN_UP.choose(rng).copied().unwrap_or_default();
        let wait = Duration::from_micros(rng.random_range(0..20_000));
        let run = self.sandbox.run(script);
        let ended = self
            .timers
            .block_on(async { tokio::time::timeout(wait, run).await });
        AttemptResult::plain(
            if ended.is_ok() { "sooner" } else { "given up" },
            Vec::new(),
        )
    }

    fn tool(&self, rng: &mut StdRng) -> AttemptResult {
        let call = TOOLS.choose(rng).copied().unwrap_or_default();
        let code = format!("from wardian import tools\ntry: {call}\nexcept Exception: pass");
        self.apart(|bed| {
            let policy = bed.fixture().policy().clone();
            let policy = policy.with_source_rules(Profile::Open);
            bed.run(runtime(), policy, &code, None)
        })
    }

    fn system_calls(&self, rng: &mut StdRng) -> AttemptResult {
        let seed = rng.random();
        self.apart(|bed| {
            let policy = bed.fixture().policy();
            let directories = policy.grants().map(|grant| grant.guest().to_string());
            let directories: Vec<_> = directories.collect();
            let directories: Vec<_> = directories.iter().map(String::as_str).collect();
            bed.hostile(&Program::random(seed, 200, &directories))
        })
    }

    /// Plays something in directories of its own, which hostile code may fill.
    fn apart(&self, play: impl FnOnce(&TestBed) -> AttemptResult) -> AttemptResult {
        let bed = || -> Result<_, SetupError> {
            let dir = tempfile::tempdir_in(&self.dir)?;
            Ok((
                TestBed::new(self.policy.clone(), &self.tools, dir.path())?,
                dir,
            ))
        };
        match bed() {
            Ok((bed, _dir)) => {
                let mut result = play(&bed);
                result.findings.extend(bed.findings());
                result
            }
            Err(error) => AttemptResult::failed(error),
        }
    }

    /// Operations that can't be recorded are not done.
    fn full_disk(&self) -> io::Result<AttemptResult> {
        let full = FullDisk(
            Chain::default(),
            OpenOptions::new().write(true).open("/dev/full")?,
        );
        let sandbox = self.bed.sandbox(Log::new(full)).map_err(io::Error::other)?;
        let ended = sandbox.run_blocking("1");
        let findings = match ended {
            Err(Error::Audit(_)) => Vec::new(),
            other => vec![format!("a run without a record has come to {other:?}")],
        };
        Ok(AttemptResult::plain("not recorded", findings))
    }

    fn look(&self) -> io::Result<AttemptResult> {
        let mut findings = self.bed.findings();
        // Runs that were given up have their ends by then.
        Runtime::settle(SETTLED);
        match verify(BufReader::new(File::open(self.dir.join(LOG))?)) {
            Ok(log) if log.open_runs.is_empty() && log.open_calls.is_empty() => {}
            Ok(log) => findings.push(format!(
                "the log has {} runs without an end",
                log.open_runs.len()
            )),
            Err(error) => findings.push(format!("the log does not hold: {error}")),
        }
        Ok(AttemptResult::plain("looked", findings))
    }
}

/// The time in which the ends of runs that were given up are written, on a busy machine.
const SETTLED: Duration = Duration::from_secs(5);

/// A disk without space, by the kernel's own word.
struct FullDisk(Chain, File);

impl Sink for FullDisk {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        self.0
            .append(draft, |line| self.1.write_all(line.as_bytes()))
    }
}
