//! Sessions: what lasts from call to call, and what is undone.

use std::time::Duration;

use indoc::indoc;
use serde_json::{Value as Json, json};
use wardian::audit::verify;
use wardian::policy::Allowance::AtMost;
use wardian::policy::{Access, Grant, Limit, Permission};
use wardian::session::{OnLimit, SessionOptions};
use wardian::{Error, Limits, Log, Outcome, Policy, Sandbox, Session, Verdict};
use wardian_testkit::runtime;

use crate::{little_fuel, unscreened};

pub(crate) fn session_under(policy: Policy) -> Session {
    let sandbox = Sandbox::new(runtime(), policy).unwrap();
    sandbox.session(SessionOptions::default())
}

fn executor() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

pub(crate) fn session() -> Session {
    session_under(unscreened().with_limits(little_fuel()))
}

/// Runs a call that must complete, and returns its value.
#[track_caller]
pub(crate) fn call(session: &Session, source: &str) -> Json {
    let outcome = session.run_blocking(source).unwrap();
    assert_eq!(outcome.verdict, Verdict::Completed, "{source}: {outcome:?}");
    outcome.json()["value"].clone()
}

#[track_caller]
pub(crate) fn stopped_by(session: &Session, source: &str) -> &'static str {
    session.run_blocking(source).unwrap().verdict.ending()
}

#[test]
fn everything_that_python_has_goes_on() {
    let session = session();
    call(
        &session,
        indoc! {"
            import asyncio, random, math as m
            class Counter:
                total = 0
                def add(self, n):
                    self.total += n
                    return self.total
            def numbers():
                n = 0
                while True:
                    n += 1
                    yield n
            def adder(n):
                return lambda x: x + n
            counter, source, plus = Counter(), numbers(), adder(40)
            counter.add(2), next(source), next(source)
            random.seed(1)
            drawn = [random.random() for _ in range(3)]
            again = random.Random(1)
            async def late():
                await asyncio.sleep(0.01)
                return 'late'
            async def begin():
                global task
                task = asyncio.create_task(late())
            await begin()
        "},
    );
    for (source, expected) in [
        ("counter.add(3)", json!(5)),
        ("next(source)", json!(3)),
        ("plus(2)", json!(42)),
        ("m.floor(m.pi)", json!(3)),
        ("isinstance(counter, Counter)", json!(true)),
        ("[again.random() for _ in range(3)] == drawn", json!(true)),
        ("random.random() == again.random()", json!(true)),
        ("await task", json!("late")),
        ("counter.add(1)", json!(6)),
    ] {
        assert_eq!(call(&session, source), expected, "{source}");
    }
}

#[test]
fn calls_are_numbered_and_their_lines_are_shown_later() {
    let session = session();
    call(&session, "def f(x):\n    return 1 / x");
    assert_eq!(stopped_by(&session, "while True: pass"), "fuel");
    let outcome = session.run_blocking("y = 0\nf(y)").unwrap();
    let Verdict::Raised(raised) = &outcome.verdict else {
        panic!("{outcome:?}")
    };
    assert_eq!(raised.line, Some(2));
    let expected = indoc! {r#"
        Traceback (most recent call last):
          File "<call 3>", line 2, in <module>
            f(y)
            ~^^^
          File "<call 1>", line 2, in f
            return 1 / x
                   ~~^~~
        ZeroDivisionError: division by zero
    "#};
    assert_eq!(raised.traceback, expected);
    // An exception is state: what was done before it stays.
    assert_eq!(call(&session, "y"), 0);
}

/// Everything that can stop a call, and the state after it.
#[test]
fn a_call_that_is_stopped_is_undone() {
    let limits = little_fuel()
        .with_fuel(AtMost(500_000_000))
        .unwrap()
        .with(Limit::Timeout, AtMost(2_000_000_000))
        .unwrap()
        .with(Limit::Memory, AtMost(96 << 20))
        .unwrap();
    let session = session_under(unscreened().with_limits(limits));
    call(&session, "state, log = {'n': 1}, []\nimport json");
    for (source, ending) in [
        ("while True: state['n'] += 1", "fuel"),
        ("state.clear()\nimport time\ntime.sleep(60)", "time"),
        (
            "log.append('x')\nwhile True: log.append(bytearray(1 << 20))",
            "memory",
        ),
        ("del state, log\nimport os\nos._exit(3)", "exited"),
        ("state['n'] = 2\nimport ctypes_is_not_here", "raised"),
        ("json.dumps = None\nwhile True: pass", "fuel"),
    ] {
        assert_eq!(stopped_by(&session, source), ending, "{source}");
        let expected = if ending == "raised" { 2 } else { 1 };
        let now = call(&session, "[state['n'], log, json.dumps(1)]");
        assert_eq!(now, json!([expected, [], "1"]), "{source}");
        call(&session, "state['n'] = 1");
    }
    // A rejected source changes nothing either, and a first call can be undone.
    let strict = session_under(Policy::computing().with_limits(little_fuel()));
    assert_eq!(stopped_by(&strict, "x = 1\nwhile True: pass"), "fuel");
    assert_eq!(stopped_by(&strict, "import socket"), "rejected");
    assert_eq!(stopped_by(&strict, "x"), "raised");
    assert_eq!(call(&strict, "x = 2\nx"), 2);
}

#[test]
fn a_call_that_nobody_waits_for_is_undone() {
    let session = session();
    call(&session, "n = 0");
    let executor = executor();
    for wait in [0, 1, 3, 10] {
        executor.block_on(async {
            let run = session.run("n = 1\nimport time\ntime.sleep(10)\nn = 2");
            let ended = tokio::time::timeout(Duration::from_millis(wait), run).await;
            assert!(ended.is_err());
        });
        assert_eq!(call(&session, "n"), 0);
    }
}

#[test]
fn files_stay_open_and_their_positions_are_undone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("lines.txt"),
        "one\ntwo\nthree\nfour\n",
    )
    .unwrap();
    let grant = Grant::new("/data", directory.path(), Access::READ_WRITE).unwrap();
    let policy = unscreened()
        .with_permissions(Permission::READ_FILE)
        .with_permissions(Permission::WRITE_FILE)
        .with_limits(little_fuel())
        .with_grant(grant)
        .unwrap();
    let session = session_under(policy);
    call(
        &session,
        "f = open('/data/lines.txt', 'rb', buffering=0)\nout = open('/data/out', 'w')",
    );
    assert_eq!(call(&session, "f.read(4).decode()"), "one\n");
    assert_eq!(stopped_by(&session, "f.read(4)\nwhile True: pass"), "fuel");
    assert_eq!(call(&session, "f.read(4).decode()"), "two\n");
    // One that was closed is open again, one that was opened is not.
    assert_eq!(
        stopped_by(
            &session,
            "f.close()\nout.close()\ng = open('/data/lines.txt')\nwhile True: pass"
        ),
        "fuel"
    );
    assert_eq!(call(&session, "f.read(6).decode()"), "three\n");
    assert_eq!(
        call(
            &session,
            "out.write('kept')\nout.close()\nopen('/data/out').read()"
        ),
        "kept"
    );
    assert_eq!(call(&session, "f.fileno()"), call(&session, "f.fileno()"));
}

/// Dropped at any moment, also while a thread reads for it.
#[test]
fn positions_are_undone_whenever_a_call_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("numbers"), "0123456789").unwrap();
    let grant = Grant::new("/data", directory.path(), Access::READ_WRITE).unwrap();
    let policy = unscreened()
        .with_permissions(Permission::READ_FILE | Permission::WRITE_FILE)
        .with_grant(grant)
        .unwrap();
    let session = session_under(policy);
    call(
        &session,
        "f = open('/data/numbers', 'r+b', buffering=0)\nf.seek(4)",
    );
    let executor = executor();
    for wait in (0..60).map(|n| 500 + n * 70) {
        executor.block_on(async {
            let run = session.run("while True: f.seek(0), f.read(3), f.seek(1, 1), f.write(b'4')");
            let ended = tokio::time::timeout(Duration::from_micros(wait), run).await;
            assert!(ended.is_err());
        });
        assert_eq!(call(&session, "f.tell()"), 4);
    }
}

#[test]
fn one_call_at_a_time() {
    let mut options = SessionOptions::default();
    options.turn_wait = Duration::from_millis(20);
    let sandbox = Sandbox::new(runtime(), unscreened()).unwrap();
    let session = sandbox.session(options);
    let executor = executor();
    let (first, second) = executor.block_on(async {
        let long = session.run("import time\ntime.sleep(0.2)\nn = 1");
        tokio::join!(long, session.run("n = 2"))
    });
    assert_eq!(first.unwrap().verdict, Verdict::Completed);
    assert!(
        matches!(second, Err(Error::SessionBusy { .. })),
        "{second:?}"
    );
    assert_eq!(call(&session, "n"), 1);
    // A turn that comes in time is taken.
    let turns = executor
        .block_on(async { tokio::join!(session.run("n += 1\nn"), session.run("n += 1\nn")) });
    let values = [turns.0.unwrap(), turns.1.unwrap()]
        .map(|outcome: Outcome| outcome.json()["value"].clone());
    assert_eq!(values, [json!(2), json!(3)]);
}

#[test]
fn sessions_share_nothing() {
    let [one, other] = [session(), session()];
    call(&one, "import random\nx = 1\ndrawn = random.random()");
    assert_eq!(stopped_by(&other, "x"), "raised");
    call(&other, "import random\nx = 2");
    let drawn = call(&one, "drawn");
    assert_ne!(call(&other, "random.random()"), drawn);
    assert_eq!((call(&one, "x"), call(&other, "x")), (json!(1), json!(2)));
    assert_ne!(one.id(), other.id());
}

#[test]
fn limits_hold_for_each_call() {
    let limits = Limits::default().with_fuel(AtMost(200_000_000)).unwrap();
    let session = session_under(unscreened().with_limits(limits));
    call(&session, "total = 0");
    for _ in 0..5 {
        call(&session, "for i in range(20_000): total += 1");
    }
    assert_eq!(call(&session, "total"), 100_000);
    assert_eq!(stopped_by(&session, "while True: total += 1"), "fuel");
    assert_eq!(call(&session, "total"), 100_000);
}

fn with_limit(limit: Limit, amount: u64) -> Session {
    let limits = little_fuel().with(limit, AtMost(amount)).unwrap();
    session_under(unscreened().with_limits(limits))
}

#[track_caller]
fn refused_by(session: &Session, expected: Limit) {
    let refused = session.run_blocking("1");
    let Err(Error::SessionLimit { limit, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*limit, expected);
}

/// Each limit of `[limits.session]`, on the call that comes to it and after.
#[test]
fn limits_bound_the_whole() {
    let session = with_limit(Limit::SessionCalls, 3);
    for _ in 0..3 {
        call(&session, "1");
    }
    refused_by(&session, Limit::SessionCalls);
    assert_eq!(session.usage().calls, 3);

    let session = with_limit(Limit::SessionFuel, 1_000_000_000);
    call(&session, "n = 1\nfor _ in range(100_000): pass");
    let before = session.usage().fuel;
    let outcome = session.run_blocking("n = 2\nwhile True: pass").unwrap();
    let Verdict::Limit {
        limit,
        used,
        allowed,
        ..
    } = outcome.verdict
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (limit, used, allowed),
        (Limit::SessionFuel, 1_000_000_000, 1_000_000_000)
    );
    assert!(before > 1_000_000 && outcome.usage.fuel == allowed - before);
    assert_eq!(outcome.verdict.ending(), "session.fuel");
    refused_by(&session, Limit::SessionFuel);

    let session = with_limit(Limit::SessionTime, 2_000_000_000);
    call(&session, "import time\ntime.sleep(0.1)");
    assert_eq!(stopped_by(&session, "time.sleep(10)"), "session.time");
    refused_by(&session, Limit::SessionTime);

    let session = with_limit(Limit::SessionAge, 1_000_000_000);
    call(&session, "1");
    std::thread::sleep(Duration::from_millis(1_100));
    refused_by(&session, Limit::SessionAge);

    let session = with_limit(Limit::SessionIdle, 1_000_000_000);
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(60));
        call(&session, "1");
    }
    std::thread::sleep(Duration::from_millis(1_100));
    refused_by(&session, Limit::SessionIdle);

    // A call that leaves too much is undone.
    let session = with_limit(Limit::SessionMemory, 16 << 20);
    call(&session, "kept = [b'x' * 1000]");
    let outcome = session
        .run_blocking("kept.append(b'x' * (20 << 20))")
        .unwrap();
    assert_eq!(outcome.verdict.ending(), "session.memory", "{outcome:?}");
    let outcome = session.run_blocking("kept.append([0] * 10**7)").unwrap();
    assert_eq!(outcome.json()["limit"]["name"], "session.memory_bytes");
    assert_eq!(call(&session, "len(kept)"), 1);
}

#[test]
fn bytes_that_a_session_writes_are_limited_in_all() {
    let directory = tempfile::tempdir().unwrap();
    let grant = Grant::new("/data", directory.path(), Access::READ_WRITE).unwrap();
    let limits = little_fuel()
        .with(Limit::SessionBytesWritten, AtMost(1_000))
        .unwrap();
    let policy = unscreened()
        .with_permissions(Permission::READ_FILE | Permission::WRITE_FILE)
        .with_limits(limits)
        .with_grant(grant)
        .unwrap();
    let session = session_under(policy);
    let write = "open('/data/x', 'wb', buffering=0).write(b'x' * 400)";
    assert_eq!(call(&session, write), 400);
    assert_eq!(
        stopped_by(&session, &format!("{write}\nwhile True: pass")),
        "fuel"
    );
    assert_eq!(session.usage().bytes_written, 800);
    assert_eq!(call(&session, write), 200);
    assert_eq!(stopped_by(&session, write), "raised");
    assert_eq!(call(&session, "1 + 1"), 2);
}

#[test]
fn a_session_can_end_with_the_first_call_that_is_stopped() {
    let mut options = SessionOptions::default();
    options.on_limit = OnLimit::End;
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(little_fuel())).unwrap();
    for stopped in ["while True: pass", "import os\nos._exit(0)"] {
        let session = sandbox.session(options.clone());
        call(&session, "x = 1");
        assert_eq!(stopped_by(&session, "1/0"), "raised");
        assert_eq!(call(&session, "x"), 1);
        session.run_blocking(stopped).unwrap();
        let ended = session.run_blocking("x");
        assert!(
            matches!(ended, Err(Error::SessionEnded { .. })),
            "{ended:?}"
        );
        let ended = session.fork().wait();
        assert!(
            matches!(ended, Err(Error::SessionEnded { .. })),
            "{ended:?}"
        );
    }
    let session = sandbox.session(options);
    executor().block_on(async {
        let run = session.run("import time\ntime.sleep(10)");
        let _ = tokio::time::timeout(Duration::from_millis(20), run).await;
    });
    let ended = session.run_blocking("1");
    assert!(
        matches!(ended, Err(Error::SessionEnded { .. })),
        "{ended:?}"
    );
}

#[test]
fn variables_are_listed_without_running_code() {
    let session = session();
    assert!(session.globals().wait().unwrap().globals.is_empty());
    call(
        &session,
        indoc! {"
            class Tricky:
                def __sizeof__(self): raise SystemExit
                def __repr__(self): raise SystemExit
                def __eq__(self, other): raise SystemExit
                def __hash__(self): return 7
                __class__ = property(lambda self: 1/0)
            class List(list):
                def __sizeof__(self): return 10**9
            tricky, numbers, text = Tricky(), list(range(1000)), 'x' * 5000
            own = List()
            globals()[Tricky()] = 1
            globals()['n' * 300] = 1
        "},
    );
    let listed = session.globals().wait().unwrap();
    let named: Vec<_> = listed
        .globals
        .iter()
        .map(|global| (global.name.as_str(), global.type_name.as_str()))
        .collect();
    let expected = [
        ("Tricky", "type"),
        ("List", "type"),
        ("tricky", "Tricky"),
        ("numbers", "list"),
        ("text", "str"),
        ("own", "List"),
    ];
    assert_eq!(named, expected);
    assert_eq!(listed.omitted, 2);
    let size = |name: &str| {
        listed
            .globals
            .iter()
            .find(|global| global.name == name)
            .unwrap()
            .size_bytes
    };
    assert!(size("text") > 5_000 && size("numbers") > 4_000 && size("own") < 1_000);
    // It was only a look.
    assert_eq!(call(&session, "len(numbers)"), 1000);
}

/// After everything that can stop a call, the memory is that before it, byte for byte: compared
/// before the next call has it.
#[test]
fn an_undo_leaves_no_byte() {
    runtime().verify_memory();
    let limits = little_fuel()
        .with_fuel(AtMost(300_000_000))
        .unwrap()
        .with(Limit::Timeout, AtMost(2_000_000_000))
        .unwrap()
        .with(Limit::Memory, AtMost(96 << 20))
        .unwrap()
        .with(Limit::Records, AtMost(100))
        .unwrap();
    let (log, _) = Log::memory();
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap();
    let session = sandbox
        .with_audit(log)
        .unwrap()
        .session(SessionOptions::default());
    call(&session, "state, rows = {'n': 1}, list(range(50_000))");
    for (stop, ending) in [
        ("while True: pass", "fuel"),
        ("import time\ntime.sleep(60)", "time"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
        ("while True: print('x' * 1000)", "fuel"),
        ("('x' * 10**5).join(['y'] * 10**5)", "memory"),
        ("import os\nos.urandom(2**31)", "crashed"),
        ("import os\nos._exit(3)", "exited"),
        (
            indoc! {"
            while True:
                try: open('/nowhere/at/all')
                except OSError: pass
        "},
            "records",
        ),
    ] {
        let source = format!("state['n'] += 1\nrows[::100] = [None] * 500\n{stop}");
        assert_eq!(stopped_by(&session, &source), ending, "{stop}");
        assert_eq!(
            call(&session, "state['n'], sum(rows)"),
            json!([1, 1_249_975_000])
        );
    }
    executor().block_on(async {
        for wait in [0, 2, 9] {
            let run = session.run("rows.clear()\nimport time\ntime.sleep(10)");
            let _ = tokio::time::timeout(Duration::from_millis(wait), run).await;
        }
    });
    assert_eq!(call(&session, "sum(rows)"), 1_249_975_000);
}

#[test]
fn every_record_names_the_session_and_the_call() {
    let (log, memory) = Log::memory();
    let sandbox = Sandbox::new(runtime(), unscreened()).unwrap();
    let sandbox = sandbox.with_audit(log).unwrap();
    let session = sandbox.session(SessionOptions::default());
    call(&session, "x = 1");
    session.run_blocking("open('/etc/passwd')").unwrap();
    sandbox.run_blocking("1").unwrap();
    let records = memory.records();
    let names: Vec<_> = records
        .iter()
        .map(|record| (record["session"].as_str(), record["session_call"].as_u64()))
        .collect();
    let id = Some(session.id());
    let expected = [1, 1, 2, 2, 2].map(|call| (id, Some(call)));
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], [(None, None); 2]);
    assert!(verify(memory.text().as_bytes()).is_ok());
}

#[test]
fn calls_that_have_ended_can_be_stepped_back_over() {
    let mut options = SessionOptions::default();
    options.undo_depth = 3;
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(little_fuel())).unwrap();
    let session = sandbox.session(options);
    for n in 0..6 {
        call(&session, &format!("rows = [{n}] * 1000\nclass C{n}: pass"));
    }
    assert_eq!(stopped_by(&session, "while True: pass"), "fuel");
    let undo = || session.undo().wait().unwrap();
    assert!(undo() && undo());
    assert_eq!(
        session
            .fork()
            .wait()
            .unwrap()
            .run_blocking("rows[7]")
            .unwrap()
            .json()["value"],
        3
    );
    assert!(undo() && !undo());
    let names = "[rows[7], sorted(name for name in globals() if name[0] == 'C')]";
    assert_eq!(call(&session, names), json!([2, ["C0", "C1", "C2"]]));
}
