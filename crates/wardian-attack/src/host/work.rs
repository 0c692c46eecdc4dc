//! Working directories of many runs, and of sessions. Each of these tries first what has to work.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use wardian::policy::{Allowance, Limit};
use wardian::session::{SessionOptions, Snapshot};
use wardian::{Error, Outcome, Policy, Sandbox, Script, Session};
use wardian_testkit::runtime;

use super::{Result, computing, ensure, text, value_of};

/// The room of each working directory.
const SIZE: u64 = 1 << 20;

fn policy(size: u64) -> Result<Policy> {
    let policy = computing()?.with_work(Policy::WORK).map_err(text)?;
    let limits = policy.limits().clone();
    let limits = limits.with(Limit::WorkSize, Allowance::AtMost(size));
    Ok(policy.with_limits(limits.map_err(text)?))
}

fn sandbox(size: u64) -> Result<Sandbox> {
    Sandbox::new(runtime(), policy(size)?).map_err(text)
}

fn call(session: &Session, source: &str) -> Result<Value> {
    value_of(&session.run_blocking(source).map_err(text)?)
}

/// Fills the working directory with a byte, and returns how many there are.
const FILL: &str = "
import os
def fill(byte):
    count = 0
    try:
        with open('full', 'wb', buffering=0) as f:
            while True: count += f.write(bytes([byte]) * 65536)
    except OSError: return count
";

/// Runs of a sandbox one after another, sessions of it, and forks see no file of each other.
pub(super) fn of_others() -> Result {
    let sandbox = sandbox(SIZE)?;
    let look =
        "import os\nsorted(os.listdir(WORK) + os.listdir('/tmp'))".replace("WORK", "'/work'");
    let seen = |outcome: Outcome| value_of(&outcome);
    let write = "open('mine', 'w').write('secret')\nopen('/tmp/mine', 'w').write('secret')\n";
    let own = sandbox
        .run_blocking(format!("{write}{look}"))
        .map_err(text)?;
    ensure(
        value_of(&own)? == json!(["mine", "mine"]),
        "a run does not find its own files",
    )?;
    let next = sandbox.run_blocking(look.as_str()).map_err(text)?;
    ensure(seen(next)? == json!([]), "a run finds files of another")?;

    let session = sandbox.session(SessionOptions::default());
    call(&session, write)?;
    let fork = session.fork().wait().map_err(text)?;
    call(
        &fork,
        "open('fork', 'w').write('own')\nopen('mine', 'w').write('changed')",
    )?;
    ensure(
        call(&session, &format!("{look} + [open('mine').read()]"))?
            == json!(["mine", "mine", "secret"]),
        "a session finds what a fork has written",
    )?;
    let other = sandbox.session(SessionOptions::default());
    ensure(
        call(&other, &look)? == json!([]),
        "a session finds files of another",
    )
}

/// Runs in threads, each of which fills its own.
pub(super) fn full_at_once() -> Result {
    let sandbox = Arc::new(sandbox(SIZE)?);
    let play = move |byte: u8| -> Result {
        let code = format!(
            "{FILL}\ncount = fill({byte})\nwith open('full', 'rb') as f: kinds = sorted(set(f.read()))\n[count, kinds]"
        );
        for _ in 0..3 {
            let outcome = sandbox.run_blocking(code.as_str()).map_err(text)?;
            ensure(
                value_of(&outcome)? == json!([SIZE, [byte]]),
                format!("a run that fills its directory has {:?}", outcome.value),
            )?;
            let out: u64 = outcome
                .files
                .iter()
                .map(|file| file.bytes.len() as u64)
                .sum();
            ensure(
                out == SIZE && outcome.files.len() == 1,
                format!("{out} bytes have come out, of {SIZE}"),
            )?;
        }
        Ok(())
    };
    let threads: Vec<_> = (1..=8)
        .map(|byte| {
            let play = play.clone();
            thread::spawn(move || play(byte))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread has panicked")??;
    }
    Ok(())
}

/// A session whose directory is full, saved, brought back where there is room and where there is
/// not, and edited.
pub(super) fn snapshot_of_full() -> Result {
    let session = sandbox(SIZE)?.session(SessionOptions::default());
    call(&session, &format!("{FILL}\nfill(7)"))?;
    let bytes = session.snapshot().wait().map_err(text)?.to_bytes();
    let start = |bytes: &[u8], size: u64| -> Result<std::result::Result<Session, Error>> {
        let snapshot = Snapshot::from_bytes(bytes).map_err(text)?;
        let sandbox = sandbox(size)?;
        Ok(snapshot.start(&sandbox, SessionOptions::default()).wait())
    };
    let back = start(&bytes, SIZE)?.map_err(text)?;
    ensure(
        call(
            &back,
            "[os.path.getsize('full'), set(open('full', 'rb').read()) == {7}, fill(8) ]",
        )? == json!([SIZE, true, SIZE]),
        "a snapshot does not bring the files back",
    )?;
    // A smaller one is no place for them.
    let small = start(&bytes, SIZE / 4)?;
    let small = small.and_then(|session| session.run_blocking("1"));
    ensure(
        matches!(small, Err(Error::Snapshot(_))),
        format!("a directory of a quarter has taken all: {small:?}"),
    )?;
    // Files go in with a script, too.
    let more = Script::new("1").file("more", vec![1; 1000]);
    let more = session.run_blocking(more);
    ensure(
        matches!(more, Err(Error::WorkFile { .. })),
        "a full directory has taken a file",
    )
}
