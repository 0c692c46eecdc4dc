//! Packages that somebody hostile has made. Each of these tries first what has to work.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::{Value, json};
use wardian::audit::{Log, sha256};
use wardian::policy::{Profile, Wheel};
use wardian::{Error, Policy, Sandbox};
use wardian_testkit::runtime;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Result, computing, ensure, text};

/// A wheel of these files, with the metadata of one.
fn wheel(directory: &Path, name: &str, files: &[(&str, &[u8])]) -> Result<Policy> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let metadata: (&str, &[u8]) = ("x-1.dist-info/METADATA", b"Name: x\nVersion: 1\n");
    for (path, bytes) in files.iter().chain([&metadata]) {
        zip.start_file(*path, SimpleFileOptions::default())
            .map_err(text)?;
        zip.write_all(bytes).map_err(text)?;
    }
    let bytes = zip.finish().map_err(text)?.into_inner();
    let file = directory.join(name);
    fs::write(&file, &bytes).map_err(text)?;
    let wheel = Wheel::new(file, &sha256(&bytes)).map_err(text)?;
    computing()?.with_wheel(wheel).map_err(text)
}

/// Wheels with names that lead out, with more than there is room for, with native code.
pub(super) fn hostile_wheels() -> Result {
    let directory = tempfile::tempdir().map_err(text)?;
    let directory = directory.path();
    const PURE: &str = "x-1-py3-none-any.whl";
    let good = wheel(directory, PURE, &[("x.py", b"y = 1")])?;
    let good = Sandbox::new(runtime(), good).map_err(text)?;
    let outcome = good.run_blocking("import x\nx.y").map_err(text)?;
    ensure(outcome.success(), "a wheel can't be imported")?;
    let zeros = vec![0; 257 << 20];
    let hostile: [(&str, &[u8]); 7] = [
        ("../x.py", b""),
        ("/etc/x.py", b""),
        ("a/../../../etc/x.py", b""),
        ("a\\..\\x.py", b""),
        ("x\0.py", b""),
        ("_x.abi3.so", b"\x7fELF"),
        ("zeros", &zeros),
    ];
    for (path, bytes) in hostile {
        let policy = wheel(directory, PURE, &[(path, bytes)])?;
        let made = Sandbox::new(runtime(), policy);
        ensure(
            matches!(made, Err(Error::Package { .. })),
            format!("a wheel with {path:?} has been taken"),
        )?;
    }
    ensure(
        !directory.join("../x.py").exists(),
        "a wheel has written a file of the host",
    )
}

/// A package that takes the place of the guard's functions, of modules and of itself.
pub(super) fn tampering() -> Result {
    const EVIL: &str = "
import builtins, importlib, io, os, sys, types
def harmless(*args, **options): return types.ModuleType('none')
builtins.__import__ = importlib.import_module = harmless
sys.meta_path[:], sys.path[:] = [], ['/']
sys.modules['os'].stat = lambda *args, **options: os.stat_result([0o100644] + [0] * 9)
found = []
for path in ('/etc/passwd', '/proc/self/environ', CANARY, '/packages/../etc/passwd', '/packages/../../etc/passwd'):
    for opened in (io.open, os.open):
        try: found.append(opened(path, os.O_RDONLY) if opened is os.open else opened(path))
        except OSError: pass
for path in ('/packages/evil.py', '/packages/new.py', '/packages'):
    for wish in (lambda: open(path, 'w'), lambda: os.remove(path), lambda: os.rename(path, path + '2'),
                 lambda: os.mkdir(path + '3')):
        try: found.append(wish())
        except OSError: pass
";
    let directory = tempfile::tempdir().map_err(text)?;
    let outside = tempfile::NamedTempFile::new().map_err(text)?;
    let canary = format!("CANARY = {:?}\n", outside.path());
    fs::write(directory.path().join("evil.py"), canary + EVIL).map_err(text)?;
    let policy = computing()?.with_source_rules(Profile::Standard);
    let path = directory.path().canonicalize().map_err(text)?;
    let policy = policy.with_package_directory(path).map_err(text)?;
    let (log, memory) = Log::memory();
    let sandbox = Sandbox::new(runtime(), policy).and_then(|sandbox| sandbox.with_audit(log));
    let sandbox = sandbox.map_err(text)?;
    for _ in 0..2 {
        let outcome = sandbox
            .run_blocking("import evil\nlen(evil.found)")
            .map_err(text)?;
        let found = outcome.json().get("value").cloned().unwrap_or_default();
        ensure(
            found == json!(0),
            format!(
                "a package has opened or changed something: {found}, {}",
                outcome.verdict
            ),
        )?;
    }
    let denied = memory.records().iter().any(|record| {
        let path = record.pointer("/data/path").and_then(Value::as_str);
        path == Some("/etc/passwd") && record.get("allowed") == Some(&json!(false))
    });
    ensure(denied, "the log does not tell what a package was refused")
}
