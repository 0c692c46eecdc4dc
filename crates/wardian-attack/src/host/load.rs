//! Many runs at once, runs that are given up, and what one leaves to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use wardian::{
    Error, Limits, Log, Outcome, Policy, Runtime, Sandbox, Script, Verdict, policy::Allowance,
};

use super::{Result, computing, ensure, outcome, sandbox, text, value, works};
use crate::test_bed::TestBed;
use wardian_testkit::runtime;

const MARKER: &str = "residue-0b5c5a3f";

/// The limits of a policy, with little time.
fn brief(policy: &Policy) -> Result<Limits> {
    let timeout = Allowance::AtMost(Duration::from_millis(300));
    policy.limits().clone().with_timeout(timeout).map_err(text)
}

/// Fills memory with a marker, in every way that a run ends; then looks for it.
pub(super) fn residue() -> Result {
    let fill = format!(
        "kept = [('{MARKER}' + str(i)) * 100 for i in range(20000)]\nbig = b'{MARKER}' * (1 << 21)\n"
    );
    // Put together, so that the marker is not found in the source itself.
    let (head, tail) = MARKER.split_at(8);
    let look = "m = (head + tail).encode()\nhoard = []\nfound = 0\nfor n in (1 << 24, 1 << 20, 1 << 16):\n    \
                try:\n        while True:\n            b = bytearray(n)\n            \
                found += m in b\n            hoard.append(b)\n    except MemoryError: pass\nfound";
    for end in [
        "",
        "1 / 0",
        "import os; os._exit(0)",
        "while True: pass",
        "def f(): f()\nf()",
        "while True: kept.append(bytearray(1 << 20))",
    ] {
        outcome(format!("{fill}{end}"))?;
        let found = value(Script::new(look).input("head", head).input("tail", tail))?;
        ensure(
            found == json!(0),
            format!("a later run has found what one has left that ended with {end:?}"),
        )?;
    }
    Ok(())
}

/// Leaves everything that Python can keep.
pub(super) fn poisoned() -> Result {
    outcome(
        "import sys, builtins, json, random\nbuiltins.poison = 1\nsys.modules['math'] = None\n\
         json.loads = lambda s: 'poison'\nrandom.seed(1)\nsys.setrecursionlimit(50)\n\
         builtins.len = lambda x: 0\nhoard = []\ntry:\n    while True: hoard.append(bytearray(1 << 20))\n\
         except MemoryError: pass",
    )?;
    let clean = value(
        "import sys, builtins, json, math\n[hasattr(builtins, 'poison'), json.loads('1'), len([1]), \
         sys.getrecursionlimit() > 50, math.floor(1.5)]",
    )?;
    ensure(
        clean == json!([false, 1, 1, true, 1]),
        format!("a later run finds {clean}"),
    )
}

pub(super) fn huge_inputs() -> Result {
    let refused = |script: Script| match sandbox()?.run_blocking(script) {
        Err(Error::InputsTooLarge { .. } | Error::Environment { .. }) => Ok(()),
        other => Err(format!("{other:?}").chars().take(300).collect::<String>()),
    };
    refused(Script::new("1").input("x", "y".repeat(600 << 20)))?;
    refused(Script::new("1").env("X", "y".repeat(200 << 20)))?;
    let keys: serde_json::Map<_, _> = (0..300_000).map(|i| (i.to_string(), json!(i))).collect();
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    for script in [
        Script::new("len(x)").input("x", Value::Object(keys)),
        Script::new("x").input("x", deep),
        Script::new("x").arg("a".repeat(1 << 20)),
        Script::new("import sys; sys.stdin.read(5)").stdin(vec![0xff; 50 << 20]),
    ] {
        sandbox()?.run_blocking(script).map_err(text)?;
    }
    works()
}

/// 400 runs at once on 8 slots, half of them bombs: the others work, and who waits too long is told
/// so.
pub(super) fn crowd() -> Result {
    let few = Runtime::builder()
        .concurrent_runs(8)
        .admission_wait(Duration::from_secs(60))
        .build()
        .map_err(text)?;
    let policy = computing()?;
    let limits = brief(&policy)?;
    let sandbox = Sandbox::new(&few, policy.with_limits(limits)).map_err(text)?;
    let bombs = [
        "while True: pass",
        "a = []\nwhile 1: a.append(bytearray(1 << 20))",
        "def f(): f()\nf()",
        "while 1: print('x' * 10**6)",
    ];
    let runs = (0..400).map(|i| match i % 2 {
        0 => sandbox.run("6 * 7"),
        _ => sandbox.run(bombs.get(i / 2 % bombs.len()).copied().unwrap_or_default()),
    });
    let ended = pollster::block_on(join_all(runs));
    for (i, ended) in ended.into_iter().enumerate() {
        let outcome = ended.map_err(text)?;
        let good = outcome.value == Some(wardian::outcome::Value::Json(json!(42)));
        // A machine that is busy can be too slow for a benign one, and then it is told the limit.
        let timed_out = matches!(outcome.verdict, Verdict::Limit { .. });
        ensure(
            i % 2 == 1 || good || timed_out,
            format!("a benign run among bombs: {}", outcome.verdict),
        )?;
    }
    let impatient = Runtime::builder()
        .concurrent_runs(1)
        .admission_wait(Duration::from_millis(20))
        .build()
        .map_err(text)?;
    let sandbox = Sandbox::new(&impatient, computing()?).map_err(text)?;
    let runs = [
        sandbox.run("import time\ntime.sleep(0.5)"),
        sandbox.run("1"),
    ];
    let ended = pollster::block_on(join_all(runs));
    ensure(
        ended
            .iter()
            .any(|ended| matches!(ended, Err(Error::Busy { .. }))),
        "nobody was told that all slots are busy",
    )
}

/// Gives 3,000 runs up at random moments; nothing goes on, and the log has an end of each.
pub(super) fn cancellations() -> Result {
    let (log, memory) = Log::memory();
    let sandbox = sandbox()?.with_audit(log).map_err(text)?;
    let mut rng = StdRng::seed_from_u64(42);
    let scripts = [
        "1",
        "while True: pass",
        "import time\ntime.sleep(1)",
        "print('x' * 10**6)",
        "[str(i) for i in range(10**5)]",
    ];
    let timers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(text)?;
    timers.block_on(async {
        for _ in 0..3_000 {
            let script = scripts.choose(&mut rng).copied().unwrap_or_default();
            let wait = Duration::from_micros(rng.random_range(0..3_000));
            // Dropped where it is.
            let _ = tokio::time::timeout(wait, sandbox.run(script)).await;
        }
    });
    let verified = wardian::audit::verify(memory.text().as_bytes()).map_err(text)?;
    ensure(
        verified.open_runs.is_empty(),
        "a run that was given up has no end on the record",
    )?;
    works()
}

/// The limit of time strikes also where the executor of the host does nothing else, or does not
/// run.
pub(super) fn blocked_executor() -> Result {
    let policy = computing()?;
    let limits = brief(&policy)?
        .with_fuel(Allowance::Unlimited)
        .map_err(text)?;
    let sandbox = Sandbox::new(runtime(), policy.with_limits(limits)).map_err(text)?;
    for script in ["while True: pass", "import time\ntime.sleep(100)"] {
        let started = Instant::now();
        // An executor that has no timers, on this thread.
        struck(pollster::block_on(sandbox.run(script)), started)?;
    }
    // A runtime whose only worker is blocked, while another thread waits for the run.
    let host = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .map_err(text)?;
    let blocker = host.spawn(async { thread::sleep(Duration::from_secs(2)) });
    let started = Instant::now();
    struck(sandbox.run_blocking("while True: pass"), started)?;
    drop(blocker);
    Ok(())
}

/// A limit has ended the run, and not late.
fn struck(ended: std::result::Result<Outcome, Error>, started: Instant) -> Result {
    let verdict = ended.map_err(text)?.verdict;
    let limit = matches!(verdict, Verdict::Limit { .. });
    ensure(limit, format!("no limit struck: {verdict}"))?;
    let in_time = started.elapsed() < Duration::from_secs(10);
    ensure(in_time, "the time limit struck late")
}

/// Reads and writes a path over and over while another run changes what lies there.
const SWAP: &str = "import os
n = 0
while True:
    n += 1
    for a, b in ((WRITE + '/sub', WRITE + '/was'), (WRITE + '/out-dir', WRITE + '/sub'), (WRITE + '/sub', WRITE \
    + '/out-dir'), (WRITE + '/was', WRITE + '/sub')):
        try: os.rename(a, b)
        except OSError: pass
";
const OPEN: &str = "import os
found = []
for _ in range(3000):
    for name in ('canary.txt', 'inner.txt'):
        try:
            with open(WRITE + '/sub/' + name) as f: found.append(f.read())
        except OSError: pass
    try: open(WRITE + '/sub/planted', 'w').close()
    except OSError: pass
sorted(set(found))
";

/// One run swaps a directory for a link that leads out, another opens files beneath it.
pub(super) fn race(bed: &TestBed) -> Result {
    let sandbox = bed.sandbox(Log::memory().0)?;
    let read = race_of(&sandbox, bed, OPEN)?;
    ensure(
        read == json!(["inner"]) || read == json!([]),
        format!("it has read {read}"),
    )
}

/// The same with a tool that is given the path.
pub(super) fn tool_race(bed: &TestBed) -> Result {
    let sandbox = bed.sandbox(Log::memory().0)?;
    let open = "from wardian import tools
found = []
for _ in range(400):
    for name in ('canary.txt', 'inner.txt'):
        try: found.append(str(tools.read_file(path=WRITE + '/sub/' + name)))
        except Exception: pass
sorted({f for f in found if 'canary-' in f})
";
    if !sandbox
        .gate()
        .tools()
        .any(|tool| tool.name() == "read_file")
    {
        return Ok(());
    }
    let read = race_of(&sandbox, bed, open)?;
    ensure(read == json!([]), format!("a tool has read {read}"))
}

fn race_of(sandbox: &Sandbox, bed: &TestBed, open: &str) -> Result<Value> {
    let stop = Arc::new(AtomicBool::new(false));
    let swapping: BoxFuture<'static, _> = sandbox.run(bed.script(SWAP)).boxed();
    let until = stop.clone();
    let swapper = thread::spawn(move || {
        let timers = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .ok()?;
        timers.block_on(async {
            let stopped = async {
                while !until.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            futures_util::future::select(swapping, Box::pin(stopped)).await;
        });
        Some(())
    });
    let outcome = sandbox.run_blocking(bed.script(open));
    stop.store(true, Ordering::Relaxed);
    let _ = swapper.join();
    match outcome.map_err(text)? {
        outcome if outcome.verdict == Verdict::Completed => {
            Ok(outcome.json().get("value").cloned().unwrap_or_default())
        }
        // Stopped at a limit: it has found nothing that could be told.
        outcome if matches!(outcome.verdict, Verdict::Limit { .. }) => Ok(json!([])),
        outcome => Err(outcome.verdict.to_string()),
    }
}
