//! Sessions, forks and snapshots, in the hands of people who should not have them. Each of these
//! tries first what has to work.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use wardian::policy::{Allowance, Limit, Profile};
use wardian::session::{DirectoryStore, SessionOptions, Sessions, SessionsOptions, Snapshot};
use wardian::{Error, Log, Policy, Sandbox, Session, audit};
use wardian_testkit::runtime;

use super::{Result, computing, ensure, sandbox, text};
use crate::test_bed::TestBed;

/// The value of a call that has to work.
fn call(session: &Session, source: &str) -> Result<Value> {
    let outcome = session.run_blocking(source).map_err(text)?;
    match &outcome.value {
        Some(wardian::outcome::Value::Json(value)) => Ok(value.clone()),
        _ => Err(format!("{source:?} did not work: {}", outcome.verdict)),
    }
}

fn new_session() -> Result<Session> {
    Ok(sandbox()?.session(SessionOptions::default()))
}

/// Everything that Python shows of its memory. The mark itself is in no container.
const LOOK: &str = "
import gc
def look():
    mark, kinds = ''.join(reversed('ENO-TNANET')), (list, dict, tuple, set)
    things = (thing for thing in gc.get_objects() if isinstance(thing, kinds))
    return sum(mark in repr(thing) for thing in things)
look()";

/// Two tenants whose sessions take turns in memory, and in files.
pub(super) fn suspended() -> Result {
    let directory = tempfile::tempdir().map_err(text)?;
    let mut options = SessionsOptions::default();
    options.max_live = 1;
    options.store = Arc::new(DirectoryStore::new(directory.path()).map_err(text)?);
    let sessions = Sessions::new(sandbox()?, options).map_err(text)?;
    let [one, two] = [sessions.open(), sessions.open()];
    let run = |id: &str, source: &str| -> Result<Value> {
        let outcome = sessions.run(id, source).wait().map_err(text)?;
        Ok(outcome.json().get("value").cloned().unwrap_or_default())
    };
    run(
        &one,
        "kept = ['TENANT-' + 'ONE'] * 100\nsecrets = {str(i): 'TENANT-' + 'ONE' for i in range(1000)}",
    )?;
    run(&two, "kept = 'nothing'")?;
    for round in 0..3 {
        ensure(
            run(&two, LOOK)? == json!(0),
            "a session sees what another one has",
        )?;
        let own = run(&one, "len(secrets), kept[0]")?;
        ensure(
            own == json!([1000, "TENANT-ONE"]),
            format!("round {round}: the state is {own}"),
        )?;
    }
    let seen = run(&one, LOOK)?;
    ensure(
        seen != json!(0),
        "the look finds nothing where there is something",
    )?;
    for id in [
        "",
        "../etc/passwd",
        "00000000-0000-0000-0000-000000000000",
        &one.to_uppercase()[1..],
    ] {
        let ended = sessions.run(id, "1").wait();
        ensure(
            matches!(ended, Err(Error::NoSession { .. })),
            format!("{id:?} is a session"),
        )?;
    }
    sessions.close(&one).wait().map_err(text)?;
    let left = std::fs::read_dir(directory.path()).map_err(text)?;
    let left =
        left.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    ensure(
        !left.into_iter().any(|name| name.contains(&one)),
        "a closed session has left a file",
    )
}

/// Forks of one state, which draw the same numbers only where a script has given the seed.
pub(super) fn forked_randomness() -> Result {
    let session = new_session()?;
    call(
        &session,
        "import os, random, secrets, tempfile, uuid\nown, seeded = random.Random(), random.Random(5)\n\
         random.gauss(0, 1), own.gauss(0, 1), next(tempfile._get_candidate_names())\n1",
    )?;
    let snapshot = session.snapshot().wait().map_err(text)?;
    let draw = "[random.random(), random.gauss(0, 1), own.random(), own.gauss(0, 1), str(uuid.uuid4()), \
                str(uuid.uuid1()), secrets.token_hex(9), os.urandom(9).hex(), next(tempfile._get_candidate_names())]";
    let mut drawn = vec![call(&session, draw)?];
    let mut seeded = vec![call(&session, "seeded.random()")?];
    for _ in 0..4 {
        let forks = [
            session.fork().wait().map_err(text)?,
            snapshot
                .start(session.sandbox(), SessionOptions::default())
                .wait()
                .map_err(text)?,
        ];
        for fork in forks {
            drawn.push(call(&fork, draw)?);
            if seeded.len() < 2 {
                seeded.push(call(&fork, "seeded.random()")?);
            }
        }
    }
    ensure(
        seeded.iter().all(Value::is_f64),
        "a seeded generator gives no number",
    )?;
    let mut all: Vec<_> = drawn
        .iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(Value::to_string)
        .collect();
    let count = all.len();
    all.sort();
    all.dedup();
    ensure(
        count == 9 * 9 && all.len() == count,
        "two forks have drawn the same",
    )
}

/// Snapshots with changed bytes, some with a hash that fits again.
pub(super) fn edited_snapshots() -> Result {
    let session = new_session()?;
    call(
        &session,
        "import json\nrows = [{'n': i} for i in range(50)]\nlen(rows)",
    )?;
    let bytes = session.snapshot().wait().map_err(text)?.to_bytes();
    let start = |bytes: &[u8]| {
        let snapshot = Snapshot::from_bytes(bytes)?;
        snapshot
            .start(session.sandbox(), SessionOptions::default())
            .wait()
    };
    let whole = start(&bytes).map_err(text)?;
    ensure(
        call(&whole, "len(rows)")? == json!(50),
        "a snapshot does not go on",
    )?;
    let mut rng = StdRng::seed_from_u64(13);
    for round in 0..300 {
        let mut edited = bytes.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..edited.len() - 32);
            if let Some(byte) = edited.get_mut(at) {
                *byte = rng.random();
            }
        }
        match round % 3 {
            0 => edited.truncate(rng.random_range(0..edited.len())),
            1 => {}
            _ => seal(&mut edited),
        }
        let Ok(hostile) = start(&edited) else {
            continue;
        };
        ensure(
            round % 3 == 2 || edited == bytes,
            "an edited snapshot is taken for a whole one",
        )?;
        for source in [
            "json.dumps(rows)",
            "open('/etc/passwd').read()",
            "import os\nos.listdir('/')",
        ] {
            let ended = hostile.run_blocking(source);
            let reached =
                matches!(&ended, Ok(outcome) if outcome.success()) && source.contains("passwd");
            ensure(
                !reached,
                format!("round {round} has reached the host: {ended:?}"),
            )?;
        }
    }
    super::works()
}

/// Puts the hash of the bytes before it at the end.
fn seal(bytes: &mut [u8]) {
    let (sealed, seal) = bytes.split_at_mut(bytes.len().saturating_sub(32));
    let hex = audit::sha256(&*sealed);
    for (i, byte) in seal.iter_mut().enumerate() {
        let digits = hex.get(2 * i..2 * i + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
}

/// State that a session has got under one policy is of no use to it under a narrower one.
pub(super) fn outlived_policy(bed: &TestBed) -> Result {
    let wide = bed
        .fixture()
        .policy()
        .clone()
        .with_source_rules(Profile::Open);
    let gate = bed
        .fixture()
        .gate_under(wide, Log::memory().0)
        .map_err(text)?;
    let sandbox = Sandbox::with_gate(runtime(), gate).map_err(text)?;
    let session = sandbox.session(SessionOptions::default());
    call(
        &session,
        "from wardian import tools, aio\necho, names = tools.probe_echo, dir(tools)\necho(text='x')",
    )?;
    let snapshot = session.snapshot().wait().map_err(text)?;
    let limits = session.sandbox().policy().limits().clone();
    let narrow = Policy::computing()
        .with_source_rules(Profile::Open)
        .with_limits(limits);
    let narrow = Sandbox::new(runtime(), narrow).map_err(text)?;
    let again = snapshot
        .start(&narrow, SessionOptions::default())
        .wait()
        .map_err(text)?;
    for source in [
        "echo(text='x')",
        "tools.probe_echo(text='x')",
        "await aio.probe_echo(text='x')",
        "import wardian\nwardian.tools._call('probe_echo', {'text': 'x'})",
    ] {
        let ended = again.run_blocking(source).map_err(text)?;
        ensure(
            !ended.success(),
            format!("{source} works without a grant: {ended:?}"),
        )?;
    }
    ensure(
        call(&again, "len(names) > 0")? == json!(true),
        "the session did not go on",
    )?;
    // The other way takes a word.
    let snapshot = again.snapshot().wait().map_err(text)?;
    let back = snapshot
        .start(session.sandbox(), SessionOptions::default())
        .wait();
    ensure(
        matches!(back, Err(Error::Snapshot(_))),
        "a narrow session has become a wide one",
    )
}

/// A session that keeps a little more with every call.
pub(super) fn growing() -> Result {
    let limits = computing()?
        .limits()
        .clone()
        .with(Limit::SessionMemory, Allowance::AtMost(32 << 20))
        .and_then(|limits| limits.with(Limit::SessionFuel, Allowance::AtMost(2_000_000_000)))
        .map_err(text)?;
    let sandbox = Sandbox::new(runtime(), computing()?.with_limits(limits)).map_err(text)?;
    let session = sandbox.session(SessionOptions::default());
    call(&session, "kept = []\n1")?;
    let mut endings = Vec::new();
    for _ in 0..20 {
        let outcome = session.run_blocking("kept.append([0] * 800_000)\nlen(kept)");
        endings.push(outcome.map_err(text)?.verdict.ending());
    }
    ensure(endings.first() == Some(&"completed"), "not even one fits")?;
    ensure(
        endings.last() == Some(&"session.memory"),
        format!("it grows on: {endings:?}"),
    )?;
    ensure(
        call(&session, "len(kept)")?.as_u64() < Some(11),
        "it has more than it may",
    )?;
    while session.run_blocking("while True: pass").is_ok() {}
    ensure(
        session.usage().fuel <= 2_000_000_000,
        "it has used more fuel than it may",
    )
}
