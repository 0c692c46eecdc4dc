//! Images: what one run does to the state that others start from, and files that are no images.

use std::fs;

use serde_json::{Value, json};
use wardian::policy::{ImageFile, Limit};
use wardian::session::{Image, SessionOptions, Snapshot};
use wardian::{Log, Sandbox, Verdict};
use wardian_testkit::runtime;

use super::{Result, computing, ensure, sandbox, text, value_of};

fn build(sandbox: &Sandbox, setup: &str) -> Result<Image> {
    let built = Image::build(sandbox, Some(setup.into())).wait();
    Ok(built.map_err(text)?.image)
}

fn value(sandbox: &Sandbox, script: &str) -> Result<Value> {
    value_of(&sandbox.run_blocking(script).map_err(text)?)
}

/// Runs and sessions that write all over an image's memory, end in any way, and leave it as it was.
pub(super) fn spoiled() -> Result {
    const LOOK: &str =
        "import json\n[sum(map(len, table)), json.dumps([1]), len(blob), blob.count(7)]";
    let plain = sandbox()?;
    let setup =
        "import json\ntable = [[n] * 50 for n in range(5000)]\nblob = bytearray([7]) * (8 << 20)";
    let sandbox = plain
        .clone()
        .with_image(&build(&plain, setup)?)
        .map_err(text)?;
    let expected = json!([250_000, "[1]", 8 << 20, 8 << 20]);
    ensure(
        value(&sandbox, LOOK)? == expected,
        "an image is not what was built",
    )?;
    let session = sandbox.session(SessionOptions::default());
    for evil in [
        "for row in table: row[:] = []\nblob[:] = bytes(len(blob))",
        "import json, builtins\njson.dumps = builtins.len = builtins.print = None\ndel table, blob",
        "blob[:] = bytes(len(blob))\nwhile True: pass",
        "blob += bytes(300 << 20)\nblob.extend(blob)",
        "import os\nblob.clear()\nos._exit(3)",
        "import sys\nsys.modules.clear()\nfor name in list(globals()): del globals()[name]",
    ] {
        sandbox.run_blocking(evil).map_err(text)?;
        session.run_blocking(evil).map_err(text)?;
        ensure(
            value(&sandbox, LOOK)? == expected,
            format!("a run has spoiled the image for the next: {evil}"),
        )?;
    }
    let other = sandbox.session(SessionOptions::default());
    let seen = other.run_blocking(LOOK).map_err(text)?;
    ensure(
        seen.json().get("value") == Some(&expected),
        "a session has spoiled the image for another",
    )
}

/// An image whose setup has put itself in the place of the interpreter's functions: what starts
/// from it is behind the same guard, limits and log.
pub(super) fn tampered() -> Result {
    const SETUP: &str = "
import builtins, importlib, io, os, sys, types
real = io.open
found = []
def reach(*args, **options):
    for path in ('/etc/passwd', '/proc/self/environ', '/work/../etc/passwd'):
        try: found.append(real(path).read())
        except OSError: pass
    return types.ModuleType('none')
builtins.__import__ = importlib.import_module = builtins.open = reach
sys.settrace(lambda *args: reach() and None)
sys.excepthook = sys.unraisablehook = reach
sys.meta_path.insert(0, types.SimpleNamespace(find_spec=lambda *args: reach() and None))
class Late:
    def __del__(self): reach()
late = Late()
sys.setrecursionlimit(10 ** 6)
";
    let plain = sandbox()?;
    let image = build(&plain, SETUP)?;
    let (log, memory) = Log::memory();
    let sandbox = plain
        .with_audit(log)
        .and_then(|sandbox| sandbox.with_image(&image));
    let sandbox = sandbox.map_err(text)?;
    let seen = value(&sandbox, "reach()\nimport json\nlen(found)")?;
    ensure(
        seen == json!(0),
        format!("an image has opened {seen} files of the host"),
    )?;
    let denied = memory.records().iter().any(|record| {
        let path = record.pointer("/data/path").and_then(Value::as_str);
        path == Some("/etc/passwd") && record.get("allowed") == Some(&json!(false))
    });
    ensure(denied, "the log does not tell what an image was refused")?;
    let endless = sandbox.run_blocking("while True: reach()").map_err(text)?;
    ensure(
        matches!(
            endless.verdict,
            Verdict::Limit {
                limit: Limit::Fuel | Limit::Timeout,
                ..
            }
        ),
        format!(
            "a run from an image does not stop at a limit: {}",
            endless.verdict
        ),
    )
}

/// Files that are no images: cut, changed, of a session, of nothing.
pub(super) fn forged() -> Result {
    let directory = tempfile::tempdir().map_err(text)?;
    let file = directory
        .path()
        .canonicalize()
        .map_err(text)?
        .join("app.image");
    let plain = sandbox()?;
    let bytes = build(&plain, "x = 1")?.snapshot().to_bytes();
    let named = ImageFile::new(&file).map_err(text)?;
    let policy = computing()?.with_image(Some(named));
    let start = |bytes: &[u8]| -> Result<Result<Sandbox>> {
        fs::write(&file, bytes).map_err(text)?;
        Ok(Sandbox::new(runtime(), policy.clone()).map_err(text))
    };
    ensure(start(&bytes)?.is_ok(), "an image can't be started from")?;
    let step = (bytes.len() / 200).max(1);
    for at in (0..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
        }
        ensure(
            start(&changed)?.is_err(),
            format!("byte {at} may be anything"),
        )?;
        let cut = bytes.get(..at).unwrap_or_default();
        ensure(start(cut)?.is_err(), format!("it may be cut at byte {at}"))?;
    }
    let session = plain.session(SessionOptions::default());
    let snapshot = session.snapshot().wait().map_err(text)?.to_bytes();
    ensure(
        start(&snapshot)?.is_err(),
        "a session's snapshot is taken for an image",
    )?;
    ensure(Snapshot::from_bytes(&snapshot).is_ok(), "it is no snapshot")
}
