//! Makes of the guest what runs: an image of its memory with the interpreter up, and machine code.
//!
//! The result is kept in the target directory under the hash of what it was made from.

#![expect(
    clippy::print_stdout,
    reason = "a build script talks to cargo on standard output"
)]

mod compile;
mod snapshot;

use std::fs;
use std::path::Path;

use wardian_guest_wasm::files::write_whole;
use wardian_guest_wasm::lock::locked_version;
use wardian_guest_wasm::progress::Progress;
use wasmtime::error::Context;
use wasmtime::{Result, format_err};

/// The variable that has everything made twice, and the build fail if the two differ. `.ci/run`
/// sets it.
const TWICE: &str = "WARDIAN_GUEST_TWICE";

fn main() -> Result<()> {
    for watched in ["build", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    println!("cargo:rerun-if-changed={}", wardian_guest_wasm::PYTHON);
    for (name, value) in [
        ("RUSTPYTHON", wardian_guest_wasm::RUSTPYTHON_VERSION),
        ("SOURCES_SHA256", wardian_guest_wasm::SOURCES_SHA256),
    ] {
        println!("cargo:rustc-env=WARDIAN_GUEST_{name}={value}");
    }
    let triple = env("TARGET")?;
    let work = Path::new(wardian_guest_wasm::WORK_DIRECTORY);
    let progress = Progress::new(work);
    let wasm = read(Path::new(wardian_guest_wasm::PYTHON))?;
    let engine = compile::engine(&triple)?;
    let kept = work.join(format!("python-{:.16}", fingerprint(&wasm, &engine)));

    let [unmetered, module, image, code] = [
        "unmetered.wasm",
        "python.wasm",
        "python.image",
        "python.cwasm",
    ]
    .map(|name| kept.join(name));
    if !code.is_file() {
        let made = Artifacts::make(&wasm, &engine, &progress)?;
        if std::env::var_os(TWICE).is_some() && Artifacts::make(&wasm, &engine, &progress)? != made
        {
            return Err(format_err!(
                "two different guests were made of the same wasm"
            ));
        }
        fs::create_dir_all(&kept)?;
        // For `bench/fuel`, which measures what metering costs.
        write_whole(&unmetered, &made.snapshot.module)?;
        write_whole(&module, &made.metered)?;
        write_whole(&image, &made.snapshot.image)?;
        // Last, because it is what tells that all is there.
        write_whole(&code, &made.compiled)?;
        progress.finish();
    }
    #[cfg(feature = "hostile")]
    {
        // Compiled in a moment. It runs in the memory of the Python guest, hence is as large.
        let hostile = read(Path::new(wardian_guest_wasm::HOSTILE))?;
        let hostile = metered(&snapshot::in_memory_of(&hostile, &read(&module)?)?)?;
        let code = Path::new(&env("OUT_DIR")?).join("hostile.cwasm");
        write_whole(&code, &engine.precompile_module(&hostile)?)?;
        println!("cargo:rustc-env=WARDIAN_GUEST_HOSTILE={}", code.display());
    }

    for (name, path) in [("MODULE", &module), ("IMAGE", &image), ("CODE", &code)] {
        println!("cargo:rustc-env=WARDIAN_GUEST_{name}={}", path.display());
        let hash = wardian_abi::sha256(fs::read(path)?);
        println!("cargo:rustc-env=WARDIAN_GUEST_{name}_SHA256={hash}");
    }
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_WASMTIME={}",
        wasmtime_version()?
    );
    Ok(())
}

/// Everything that is made of the guest.
#[derive(PartialEq)]
struct Artifacts {
    snapshot: snapshot::Snapshot,
    metered: Vec<u8>,
    compiled: Vec<u8>,
}

impl Artifacts {
    fn make(wasm: &[u8], engine: &wasmtime::Engine, progress: &Progress) -> Result<Self> {
        progress.say("taking a snapshot of the running interpreter (about 10 s)");
        let snapshot = snapshot::take(wasm)?;
        progress.say("compiling it to machine code (about 20 s)");
        let metered = metered(&snapshot.module)?;
        let compiled = engine.precompile_module(&metered)?;
        Ok(Self {
            snapshot,
            metered,
            compiled,
        })
    }
}

/// The version of wasmtime, from the lock file of this workspace, or of the one in which this is a
/// package.
fn wasmtime_version() -> Result<String> {
    let (manifest, out) = (env("CARGO_MANIFEST_DIR")?, env("OUT_DIR")?);
    let mut directories = [Path::new(&manifest), Path::new(&out)]
        .into_iter()
        .flat_map(Path::ancestors);
    let version = directories.find_map(|directory| {
        let lock = directory.join("Cargo.lock");
        let version = locked_version(&lock, "wasmtime")?;
        println!("cargo:rerun-if-changed={}", lock.display());
        Some(version)
    });
    version.context("no Cargo.lock above this package or its target directory has wasmtime")
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
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

/// Hashes everything that the artifact is made from: the guest, the snapshot's making, wasmtime and
/// its settings.
fn fingerprint(wasm: &[u8], engine: &wasmtime::Engine) -> String {
    use std::hash::{Hash, Hasher};
    let mut compatibility = std::hash::DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    wardian_abi::sha256(
        [
            wasm,
            include_bytes!("snapshot.rs"),
            include_bytes!("compile.rs"),
            wardian_meter::SOURCE.as_bytes(),
            &compatibility.finish().to_le_bytes(),
        ]
        .concat(),
    )
}
