//! A session of a thousand calls, beside CPython: what each comes to is the same, whatever was
//! stopped in between, and wherever the session has gone on.

use std::path::Path;
use std::time::Duration;

use indoc::{formatdoc, indoc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wardian::session::{Session, SessionOptions, Snapshot};
use wardian::{Sandbox, Verdict};

use super::*;

const CALLS: usize = 1_000;

/// State that the calls work on. `DATA` is the directory.
const BEGIN: &str = indoc! {"
    import asyncio, collections, itertools, random
    class Base:
        made = 0
        def __init__(self):
            type(self).made += 1
        def name(self):
            return 'Base'
    class Counter:
        total = 0
        def add(self, n):
            self.total += n
            return self.total
    def numbers():
        n = 0
        while True:
            n += (yield n) or 1
    def make(k):
        count = 0
        def closure():
            nonlocal count
            count += k
            return count
        return closure
    async def job(k):
        await asyncio.sleep(0)
        return k * 2
    counter, gen, total, table, rng = Counter(), numbers(), 0, {}, random.Random(1)
    log, objs, closures, tasks = [next(gen)], [Base()], [make(1)], []
    f = open(DATA + '/log.txt', 'w')
"};

/// A call that comes to its end, or raises.
fn call(rng: &mut StdRng, n: usize) -> String {
    let k = rng.random_range(1..1000);
    match rng.random_range(0..14) {
        0 => format!("log.append(counter.add({k}))\nlog[-1]"),
        1 => format!("log.append(gen.send({k}))\nlog[-1]"),
        2 => format!("def f{n}(x, k={k}): return x * k + total\nlog.append(f{n}({k}))\nlog[-1]"),
        3 => formatdoc! {"
            class C{n}(type(objs[-1])):
                def name(self): return 'C{n}' + Base.name(self)
            objs.append(C{n}() if len(objs) < 20 else Base())
            del objs[:-25]
            [o.name() for o in objs], C{n}.made, len(C{n}.__mro__)"},
        4 => "try:\n    {}[log]\nexcept TypeError as e: last = 'unhashable' in str(e)\nlast".to_owned(),
        5 => format!("total += {k}\nlog.append(total)\nraise ValueError(total)"),
        6 => format!("closures.append(make({k}))\ndel closures[:-10]\n[c() for c in closures]"),
        7 => format!("tasks.append(asyncio.ensure_future(job({k})))\nawait asyncio.sleep(0)\nlen(tasks)"),
        8 => "got = await tasks.pop(0) if tasks else None\ngot".to_owned(),
        9 => format!("f.write('{k}\\n'); f.flush()\nf.tell()"),
        10 => format!("table[{k}] = table.get({k}, 0) + 1\nsorted(table.items())[-5:]"),
        11 => "rng.randrange(10**6), rng.gauss(0, 1) > 0, rng.choice(log) if log else None".to_owned(),
        12 => "d = collections.deque(log, maxlen=5)\ndel log[:-30]\nlist(d)".to_owned(),
        _ => "[counter.total, log, total, len(table), [o.name() for o in objs], len(tasks), f.tell()]".to_owned(),
    }
}

/// A call that something stops, and that is as if it had never been.
const STOPPED: [&str; 5] = [
    "log.clear(); total = -1\nwhile True: pass",
    "del counter, gen\nimport os\nos._exit(1)",
    "while True: log.append(bytearray(1 << 20))",
    "objs.clear(); closures.clear(); table.clear()\n('x' * 10**5).join(['y'] * 10**5)",
    "next(gen); rng.random(); f.seek(0)\nwhile True: tasks.clear()",
];

fn program(policy: &Path, file: &Path, source: &str) -> Value {
    let [policy, file] = [policy, file].map(|path| path.to_str().unwrap());
    let output = run(&[
        "run",
        "--policy",
        policy,
        "--session",
        file,
        "--json",
        "-c",
        source,
    ]);
    report(&output.stdout)
}

#[test]
fn a_thousand_calls_come_to_what_cpython_says() {
    let directory = tempfile::tempdir().unwrap();
    let [own, file] = ["own", "x.session"].map(|name| directory.path().join(name));
    fs::create_dir(&own).unwrap();
    let policy = directory.path().join("policy.toml");
    let text_of_policy = indoc! {r#"
        version = 1
        permissions = ["READ_FILE", "WRITE_FILE", "EXECUTE_CODE"]
        allowed_paths = [{ path = "/data", host = "own", access = "read_write" }]
        [limits]
        fuel = 2e8
        memory = "96MiB"
        [source]
        profile = "open"
    "#};
    fs::write(&policy, text_of_policy).unwrap();
    let runtime = wardian::Runtime::new().unwrap();
    let loaded = wardian::load_policy(&policy).unwrap();
    let sandbox = Sandbox::new(&runtime, loaded).unwrap();
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut rng = StdRng::seed_from_u64(25);
    let mut session = sandbox.session(SessionOptions::default());
    let begin = |data: &str| format!("DATA = {data:?}\n{BEGIN}");
    assert!(session.run_blocking(begin("/data")).unwrap().success());

    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    let (mut stopped, mut moved) = (0, 0);
    let resume = |snapshot: &Snapshot| -> Session {
        snapshot
            .resume(&sandbox, SessionOptions::default())
            .wait()
            .unwrap()
    };
    for n in 0..CALLS {
        match rng.random_range(0..100) {
            0..5 => {
                let source = STOPPED[rng.random_range(0..STOPPED.len())];
                let outcome = session.run_blocking(source).unwrap();
                assert!(outcome.source.run.is_none(), "{outcome:?}");
                stopped += 1;
            }
            5..10 => {
                let wait = Duration::from_micros(rng.random_range(0..3_000));
                let run =
                    session.run("total, log = -1, []\ngen.close()\nwhile True: counter.add(1)");
                let ended = executor.block_on(async { tokio::time::timeout(wait, run).await });
                stopped += usize::from(ended.is_err());
            }
            10..13 => {
                let bytes = session.snapshot().wait().unwrap().to_bytes();
                session = resume(&Snapshot::from_bytes(&bytes).unwrap());
                moved += 1;
            }
            _ => {}
        }
        let source = call(&mut rng, n);
        let report = if rng.random_ratio(1, 50) {
            // In another process, and back.
            session.snapshot().wait().unwrap().save(&file).unwrap();
            let report = program(&policy, &file, &source);
            session = resume(&Snapshot::load(&file).unwrap());
            moved += 1;
            report
        } else {
            let outcome = session.run_blocking(source.as_str()).unwrap();
            let has_ended = matches!(outcome.verdict, Verdict::Completed | Verdict::Raised(_));
            assert!(has_ended, "{source}: {outcome:?}");
            outcome.json()
        };
        answers.push(match report["exception"]["type"].as_str() {
            Some(name) => json!(name),
            None => report["value"].clone(),
        });
        calls.push(source);
    }
    assert!(stopped > 50 && moved > 30, "{stopped} {moved}");

    let theirs = tempfile::tempdir().unwrap();
    let first = begin(theirs.path().to_str().unwrap());
    let input = serde_json::to_vec(&[vec![first], calls.clone()].concat()).unwrap();
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/needs_python3.py");
    let mut python = Command::new("python3");
    python
        .args(["-I", oracle])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = python.wait_with_output().unwrap();
    writing.join().unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for (n, (answer, expected)) in answers.iter().zip(&expected[1..]).enumerate() {
        assert_eq!(answer, expected, "call {n}: {}", calls[n]);
    }
    let read = |directory: &Path| fs::read_to_string(directory.join("log.txt")).unwrap();
    assert_eq!(read(&own), read(theirs.path()));
}

/// A script that takes as much of everything as it gets.
const FILL: &str = indoc! {"
    import sys
    try:
        with open('full', 'wb', buffering=0) as f:
            while True: f.write(b'x' * 65536)
    except OSError: pass
    for n in range(20): display({'text/html': 'y' * 1_000_000}, raw=True)
    print('z' * 8_000_000)
    print('z' * 8_000_000, file=sys.stderr)
    held = []
    try:
        while True: held.append(bytearray(b'q') * 500_000)
    except MemoryError: del held[:20]
    [[]] * 340_000
"};

/// The peak of a run's memory is within what its policy says that it takes, beside that of a run
/// that takes nothing.
#[test]
fn a_run_takes_no_more_memory_than_its_policy_says() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.toml");
    let text = indoc! {r#"
        version = 1
        permissions = ["EXECUTE_CODE"]
        max_file_size = "64MiB"
        [limits]
        memory = "128MiB"
        [work]
        size = "48MiB"
        [source]
        profile = "open"
    "#};
    fs::write(&file, text).unwrap();
    let policy = wardian::load_policy(&file).unwrap();
    let peak = |script: &str| {
        let measure = "import resource, subprocess, sys\n\
                       done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
                       print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
        let output = Command::new("python3")
            .args([
                "-c",
                measure,
                env!("CARGO_BIN_EXE_wardian"),
                "run",
                "--policy",
            ])
            .arg(&file)
            .args(["-c", script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (code, kib) = text.trim().split_once(' ').unwrap();
        assert_eq!(code, "0", "{script}");
        kib.parse::<u64>().unwrap() * 1024
    };
    let taken = peak(FILL) - peak("1");
    let wardian::policy::Allowance::AtMost(stated) = policy.host_bytes() else {
        panic!("no limit is unlimited")
    };
    assert!(taken < stated, "{taken} of {stated}");
    assert!(
        taken > 120 << 20,
        "the script takes less than it should: {taken}"
    );
}
