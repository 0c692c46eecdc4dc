//! Small things, each many times: fresh runs, screening, decisions of a policy, metering.
//!
//! `just bench micro`, or `just bench micro start`.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::sync::LazyLock;

use divan::{Bencher, black_box};
use wardian::{
    Limits, Policy, Runtime, Sandbox, Session, load_policy,
    policy::{Access, Action, Allowance, Grant, Limit, Permission, Profile},
    session::{Image, SessionOptions, Snapshot},
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn main() {
    divan::main();
}

/// A script of fifty lines.
const FIFTY: &str = include_str!("fifty.py");

fn run(bencher: Bencher<'_, '_>, profile: Profile, script: &str) {
    let policy = Policy::computing().with_source_rules(profile.source_rules());
    let sandbox = Sandbox::new(&RUNTIME, policy).unwrap();
    bencher.bench_local(|| sandbox.run_blocking(script).unwrap());
}

#[divan::bench(sample_count = 1_000, args = [
    "",
    "print('hi')",
    "1/0",
    "import json, re\nclass A: pass\njson.dumps({'a': re.findall('b+', 'abb')})",
])]
fn start(bencher: Bencher<'_, '_>, script: &str) {
    run(bencher, Profile::Standard, script);
}

/// A sandbox under the example policy with packages; `None` without them, which
/// `policies/interpreter/fetch` gets.
static KIT: LazyLock<Option<Sandbox>> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/interpreter.toml");
    Sandbox::new(&RUNTIME, load_policy(file).unwrap()).ok()
});

/// The same, from an image in which all of them are imported.
static KIT_IMAGE: LazyLock<Option<Sandbox>> = LazyLock::new(|| {
    let plain = KIT.clone()?;
    let built = Image::build(&plain, None).wait().unwrap();
    Some(plain.with_image(&built.image).unwrap())
});

/// Runs from an image of ten packages, beside those from an interpreter that has run nothing.
#[divan::bench(sample_count = 1_000, args = ["", "print('hi')"])]
fn image_start(bencher: Bencher<'_, '_>, script: &str) {
    if let Some(sandbox) = &*KIT_IMAGE {
        bencher.bench_local(|| sandbox.run_blocking(script).unwrap());
    }
}

#[divan::bench(sample_count = 1_000, args = ["", "print('hi')"])]
fn image_start_without(bencher: Bencher<'_, '_>, script: &str) {
    if let Some(sandbox) = &*KIT {
        bencher.bench_local(|| sandbox.run_blocking(script).unwrap());
    }
}

/// Calls of sessions, beside fresh runs of the same.
#[divan::bench(sample_count = 1_000, args = ["", "x = 1", "print('hi')"])]
fn session_call(bencher: Bencher<'_, '_>, script: &str) {
    let session = session();
    bencher.bench_local(|| session.run_blocking(script).unwrap());
}

/// A session that takes any number of calls.
fn session() -> Session {
    let mut limits = Limits::default();
    for limit in Limit::ALL {
        if limit.is_of_session() && limit.bounds().2 {
            limits = limits.with(limit, Allowance::Unlimited).unwrap();
        }
    }
    let policy = Policy::computing().with_limits(limits);
    let sandbox = Sandbox::new(&RUNTIME, policy).unwrap();
    sandbox.session(SessionOptions::default())
}

/// A small session, of which forks and snapshots are made.
const SMALL: &str = "import json, statistics\nrows = [{'n': i, 'name': f'row {i}'} for i in range(100)]\n\
                     class Row:\n    pass\nmean = statistics.mean(row['n'] for row in rows)";

#[divan::bench(sample_count = 500)]
fn session_fork(bencher: Bencher<'_, '_>) {
    let session = session();
    session.run_blocking(SMALL).unwrap();
    bencher.bench_local(|| session.fork().wait().unwrap());
}

/// A fork, and a first call of it.
#[divan::bench(sample_count = 500)]
fn session_fork_and_call(bencher: Bencher<'_, '_>) {
    let session = session();
    session.run_blocking(SMALL).unwrap();
    bencher.bench_local(|| {
        let fork = session.fork().wait().unwrap();
        fork.run_blocking("x = 1").unwrap()
    });
}

#[divan::bench(sample_count = 100)]
fn session_snapshot(bencher: Bencher<'_, '_>) {
    let session = session();
    session.run_blocking(SMALL).unwrap();
    bencher.bench_local(|| session.snapshot().wait().unwrap().to_bytes());
}

/// A small session, and the bytes of its snapshot.
fn saved() -> (Session, Vec<u8>) {
    let session = session();
    session.run_blocking(SMALL).unwrap();
    let bytes = session.snapshot().wait().unwrap().to_bytes();
    (session, bytes)
}

fn resume(session: &Session, bytes: &[u8]) -> Session {
    let snapshot = Snapshot::from_bytes(bytes).unwrap();
    let again = snapshot.start(session.sandbox(), SessionOptions::default());
    again.wait().unwrap()
}

/// From bytes to a session.
#[divan::bench(sample_count = 200)]
fn session_read_and_start(bencher: Bencher<'_, '_>) {
    let (session, bytes) = saved();
    bencher.bench_local(|| resume(&session, &bytes));
}

/// As above, to the end of a first call.
#[divan::bench(sample_count = 200)]
fn session_resume(bencher: Bencher<'_, '_>) {
    let (session, bytes) = saved();
    bencher.bench_local(|| resume(&session, &bytes).run_blocking("x = 1").unwrap());
}

#[divan::bench(args = [Profile::Standard, Profile::Open])]
fn fifty_lines(bencher: Bencher<'_, '_>, profile: Profile) {
    run(bencher, profile, FIFTY);
}

#[divan::bench]
fn validate_fifty_lines(bencher: Bencher<'_, '_>) {
    let sandbox = Sandbox::new(&RUNTIME, Policy::computing()).unwrap();
    bencher.bench_local(|| pollster::block_on(sandbox.screen(FIFTY)).unwrap());
}

/// A policy with 100 directories and 100 domains.
static LARGE: LazyLock<Policy> = LazyLock::new(|| {
    let mut policy = Policy::new(Permission::FULL, Limits::default());
    for i in 0..100 {
        let path = format!("/data/customer-{i}/documents");
        let grant = Grant::new(&path, &path, Access::READ_WRITE).unwrap();
        policy = policy.with_grant(grant).unwrap();
        policy = policy.with_domain(&format!("api-{i}.example.com")).unwrap();
    }
    policy
});

#[divan::bench(args = [
    (Action::ReadFile, "/data/customer-57/documents/2026/report.md"),
    (Action::ReadFile, "/data/customer-57/../../etc/passwd"),
    (Action::HttpRequest, "https://api-57.example.com/v1/orders?id=7"),
    (Action::HttpRequest, "https://api-57.example.com.evil.com/v1"),
    (Action::Execute, ""),
])]
fn decision(bencher: Bencher<'_, '_>, (action, resource): (Action, &str)) {
    LazyLock::force(&LARGE);
    bencher.bench_local(|| LARGE.check(action, black_box(resource)).allowed());
}
