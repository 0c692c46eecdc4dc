//! Builds the guest, snapshots it, precompiles it.
//!
//! The guest is a workspace of its own, so that its lock file and profile are its own. It is
//! built by a nested cargo into `target/guest`, beside `target/release` and `target/debug`:
//! all host profiles share one guest, and cargo rebuilds it only when it has changed. The
//! result is kept under the hash of what it was made from.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build script talks to cargo on standard output"
)]

mod compile;
mod guest;
mod overlay;
mod progress;
mod snapshot;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::error::Context;
use wasmtime::{Result, format_err};

use crate::progress::Progress;

fn main() -> Result<()> {
    let manifest = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let root = manifest
        .ancestors()
        .nth(2)
        .context("this crate lies in crates/")?;
    for watched in [
        "Cargo.lock",
        "crates/wardian-abi",
        "crates/wardian-guest/build",
        "crates/wardian-meter",
        "crates/wardian-overlay",
        "guest",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }

    let triple = env("TARGET")?;
    let target = target_directory(Path::new(&env("OUT_DIR")?), &triple)?.join("guest");
    fs::create_dir_all(&target)?;
    let progress = Progress::new(&target);

    let built = guest::build(&root.join("guest"), &target, &progress)?;
    let read =
        |wasm: &Path| fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()));
    let wasm = read(&built.python)?;
    let engine = compile::engine(&triple)?;
    let kept = target.join(format!("python-{:.16}", fingerprint(&wasm, &engine)));

    let [unmetered, module, image, code] = [
        "unmetered.wasm",
        "python.wasm",
        "python.image",
        "python.cwasm",
    ]
    .map(|name| kept.join(name));
    if !code.is_file() {
        progress.say("taking a snapshot of the running interpreter (about 10 s)");
        let snapshot = snapshot::take(&wasm)?;
        progress.say("compiling it to machine code (about 20 s)");
        let metered = metered(&snapshot.module)?;
        let compiled = engine.precompile_module(&metered)?;
        fs::create_dir_all(&kept)?;
        // For `tests/fuel`, which measures what metering costs.
        write_whole(&unmetered, &snapshot.module)?;
        write_whole(&module, &metered)?;
        write_whole(&image, &snapshot.image)?;
        // Last, because it is what tells that all is there.
        write_whole(&code, &compiled)?;
        progress.finish();
    }
    // Compiled in a moment. It runs in the memory of the Python guest, hence is as large.
    let hostile = snapshot::in_memory_of(&read(&built.hostile)?, &read(&module)?)?;
    let hostile_code = PathBuf::from(env("OUT_DIR")?).join("hostile.cwasm");
    let hostile = metered(&hostile)?;
    write_whole(&hostile_code, &engine.precompile_module(&hostile)?)?;
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_HOSTILE={}",
        hostile_code.display()
    );

    for (name, path) in [("MODULE", &module), ("IMAGE", &image), ("CODE", &code)] {
        println!("cargo:rustc-env=WARDIAN_GUEST_{name}={}", path.display());
        let hash = sha256(&fs::read(path)?);
        println!("cargo:rustc-env=WARDIAN_GUEST_{name}_SHA256={hash}");
    }
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_RUSTPYTHON={}",
        locked_version(&root.join("guest/Cargo.lock"), "rustpython-vm")?
    );
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_WASMTIME={}",
        locked_version(&root.join("Cargo.lock"), "wasmtime")?
    );
    Ok(())
}

/// The guest, counting its fuel; as it is in a build in which wasmtime counts.
fn metered(wasm: &[u8]) -> Result<Vec<u8>> {
    if cfg!(feature = "wasmtime-fuel") {
        return Ok(wasm.to_vec());
    }
    let failed = |error| format_err!("cannot meter the guest: {error:#}");
    let metered = wardian_meter::meter(wasm).map_err(failed)?;
    wardian_meter::verify(&metered.module).map_err(failed)?;
    Ok(metered.module)
}

fn env(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("cargo sets {name}"))
}

/// Cargo's target directory. `out` is `TARGET/release/build/wardian-guest-HASH/out`, with the
/// triple before the profile where one was asked for.
fn target_directory(out: &Path, triple: &str) -> Result<PathBuf> {
    let profiles = out
        .ancestors()
        .nth(4)
        .context("OUT_DIR lies in the target directory")?;
    let for_triple = profiles.file_name().is_some_and(|name| name == triple);
    let target = if for_triple {
        profiles.parent()
    } else {
        Some(profiles)
    };
    Ok(target
        .context("the target directory has a parent")?
        .to_owned())
}

/// Hashes everything that the artifact is made from: the guest, the snapshot's making, wasmtime and its settings.
fn fingerprint(wasm: &[u8], engine: &wasmtime::Engine) -> String {
    use std::hash::{Hash, Hasher};
    let mut compatibility = std::hash::DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let mut hash = Sha256::new();
    hash.update(wasm);
    hash.update(include_bytes!("snapshot.rs"));
    hash.update(include_bytes!("compile.rs"));
    hash.update(wardian_meter::SOURCE);
    hash.update(compatibility.finish().to_le_bytes());
    hex(&hash.finalize())
}

/// The version of a package in a lock file.
fn locked_version(lock: &Path, package: &str) -> Result<String> {
    let text = fs::read_to_string(lock)?;
    let version = text
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, after)| after.split_once('"'));
    let (version, _) = version.with_context(|| format!("{} names {package}", lock.display()))?;
    Ok(version.to_owned())
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that nobody ever sees half of it, two builds at once included.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
