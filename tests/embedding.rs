//! Wardian inside of a host: many runs at once, any executor, cancellation, panics.

use std::time::Duration;

use indoc::indoc;
use wardian::{
    Error, Limits, Policy, Runtime, Sandbox, Script, Verdict,
    policy::{Allowance, Permission},
};

use crate::{little_fuel, runtime, unscreened};

fn sandbox() -> Sandbox {
    Sandbox::new(runtime(), unscreened()).unwrap()
}

/// A loop that only dropping its future ends.
fn endless() -> Limits {
    Limits::default()
        .with_fuel(Allowance::Unlimited)
        .and_then(|limits| limits.with_timeout(Allowance::Unlimited))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once() {
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(little_fuel())).unwrap();
    let runs: Vec<_> = (0..200)
        .map(|i| {
            let code = if i % 10 == 0 {
                format!("print({i})\nwhile True: pass")
            } else {
                format!("print({i})\n{i} * 2")
            };
            (i, tokio::spawn(sandbox.run(code)))
        })
        .collect();
    for (i, run) in runs {
        let outcome = run.await.unwrap().unwrap();
        assert_eq!(outcome.stdout.text(), format!("{i}\n"));
        if i % 10 == 0 {
            assert!(
                matches!(outcome.verdict, Verdict::Limit { .. }),
                "{i}: {:?}",
                outcome.verdict
            );
        } else {
            assert_eq!(outcome.verdict, Verdict::Completed, "{i}");
            assert_eq!(outcome.json()["value"], i * 2);
        }
    }
}

#[tokio::test]
async fn a_dropped_future_frees_its_slot() {
    let runtime = Runtime::builder()
        .concurrent_runs(1)
        .admission_wait(Duration::from_secs(30))
        .build()
        .unwrap();
    let endless = Sandbox::new(&runtime, unscreened().with_limits(endless())).unwrap();
    for _ in 0..20 {
        let run = endless.run("while True: pass");
        assert!(
            tokio::time::timeout(Duration::from_millis(20), run)
                .await
                .is_err()
        );
        let sleep = endless.run("import time\ntime.sleep(1e6)");
        assert!(
            tokio::time::timeout(Duration::from_millis(20), sleep)
                .await
                .is_err()
        );
    }
    let outcome = Sandbox::new(&runtime, unscreened())
        .unwrap()
        .run("1")
        .await
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Completed);
}

#[tokio::test]
async fn a_panic_beside_a_run_leaks_nothing() {
    let runtime = Runtime::builder().concurrent_runs(1).build().unwrap();
    let sandbox = Sandbox::new(&runtime, unscreened().with_limits(endless())).unwrap();
    let task = tokio::spawn(async move {
        tokio::select! {
            _ = sandbox.run("while True: pass") => {}
            () = tokio::time::sleep(Duration::from_millis(20)) => panic!("expected by this test"),
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    let sandbox = Sandbox::new(&runtime, unscreened()).unwrap();
    assert_eq!(sandbox.run("1").await.unwrap().verdict, Verdict::Completed);
}

#[tokio::test]
async fn busy_after_the_stated_wait() {
    let wait = Duration::from_millis(50);
    let runtime = Runtime::builder()
        .concurrent_runs(1)
        .admission_wait(wait)
        .build()
        .unwrap();
    let sandbox = Sandbox::new(&runtime, unscreened().with_limits(endless())).unwrap();
    let blocker = tokio::spawn(sandbox.run("import time\ntime.sleep(1e6)"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    match sandbox.run("1").await {
        Err(Error::Busy { slots, waited }) => assert_eq!((slots, waited), (1, wait)),
        other => panic!("{other:?}"),
    }
    blocker.abort();
    assert!(blocker.await.unwrap_err().is_cancelled());
    assert_eq!(sandbox.run("1").await.unwrap().verdict, Verdict::Completed);
}

#[test]
fn the_blocking_door_opens_everywhere() {
    let completes = || {
        let outcome = sandbox()
            .run_blocking("import time\ntime.sleep(0.01)")
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Completed);
    };
    completes();
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { completes() });
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async move {
            tokio::spawn(async move { completes() }).await.unwrap();
        });
    std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(completes)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn without_permission_nothing_runs() {
    let policy = Policy::new(
        Permission::FULL - Permission::EXECUTE_CODE,
        Limits::default(),
    );
    let outcome = Sandbox::new(runtime(), policy)
        .unwrap()
        .run_blocking("print(1)")
        .unwrap();
    let Verdict::Denied {
        action,
        rule,
        reason,
        ..
    } = outcome.verdict
    else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(
        (&*action, &*rule, &*reason),
        ("execute", "permissions", "permissions lack EXECUTE_CODE")
    );
    assert_eq!(outcome.stdout.written, 0);
}

#[test]
fn inputs_are_checked() {
    let error = |script| sandbox().run_blocking(script).unwrap_err();
    let script = Script::new("1").input("not a name", 1);
    assert!(matches!(error(script), Error::InputName { name } if name == "not a name"));
    for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "\0")] {
        let script = Script::new("1").env(name, value);
        assert!(matches!(error(script), Error::Environment { .. }), "{name}");
    }
    let script = Script::new("1").input("x", "x".repeat(17 << 20));
    assert!(matches!(error(script), Error::InputsTooLarge { .. }));
    let outcome = sandbox().run_blocking(Script::new("len(x)").input("x", "x".repeat(15 << 20)));
    assert_eq!(outcome.unwrap().json()["value"], 15 << 20);
}

#[test]
fn run_ids_differ() {
    let id = || sandbox().run_blocking("1").unwrap().run_id;
    assert_ne!(id(), id());
}

/// Counts the resources of this process: descriptors, threads, mappings.
fn held() -> [usize; 3] {
    let entries = |path: &str| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count();
    [entries("/proc/self/fd"), entries("/proc/self/task"), maps]
}

/// In a process of its own, because other tests come and go in this one.
#[test]
fn hostile_runs_leave_nothing_behind() {
    const ALONE: &str = "WARDIAN_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "embedding::hostile_runs_leave_nothing_behind",
                "--nocapture",
            ])
            .env(ALONE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let limits = Limits::default()
        .with_fuel(Allowance::AtMost(100_000_000))
        .and_then(|limits| limits.with_timeout(Allowance::AtMost(Duration::from_millis(100))))
        .unwrap();
    let sandbox = Sandbox::new(runtime(), unscreened().with_limits(limits)).unwrap();
    let round = || {
        for code in [
            "print('hi')",
            "1/0",
            "while True: pass",
            "import time\ntime.sleep(9)",
            "x = [0] * 10**10",
            "x = []\nwhile True: x.append('x' * 100000)",
            indoc! {"
                import sys
                sys.setrecursionlimit(10**9)
                def f(): f()
                f()"},
            "import os\nos._exit(1)",
            indoc! {"
                import os
                for i in range(10000):
                  try: os.dup(1)
                  except OSError: pass"},
            "while True: print('x' * 1000)",
        ] {
            sandbox.run_blocking(code).unwrap();
        }
    };
    round();
    let before = held();
    (0..10).for_each(|_| round());
    assert_eq!(held(), before);
}
