//! Builds the guests, or takes Python from `WARDIAN_GUEST`.
//!
//! The guest is a workspace of its own, so that its lock file and profile are its own. It is built
//! by a nested cargo into `target/guest`, beside `target/release` and `target/debug`: all host
//! profiles share one guest, and cargo rebuilds it only when it has changed.
//!
//! This is apart from what is made of the guest (`wardian-guest`), so that it can run beside the
//! building of the compiler that the other needs.

#![expect(
    clippy::print_stdout,
    reason = "a build script talks to cargo on standard output"
)]

#[expect(unreachable_pub, reason = "the library has it, too")]
mod files;
mod guest;
#[expect(unreachable_pub, reason = "the library has it, too")]
mod lock;
mod overlay;
#[expect(unreachable_pub, reason = "the library has it, too")]
mod progress;
mod sources;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files::write_whole;
use crate::progress::Progress;
use crate::sources::Sources;

/// Names a file to take Python from.
const PREBUILT: &str = "WARDIAN_GUEST";

fn main() -> Result<()> {
    let manifest = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let work = target_directory(Path::new(&env("OUT_DIR")?), &env("TARGET")?)?.join("guest");
    fs::create_dir_all(&work)?;
    let progress = Progress::new(&work);
    println!("cargo:rerun-if-env-changed={PREBUILT}");

    let root = manifest.ancestors().nth(2);
    let root = root.filter(|root| root.join("guest/Cargo.toml").is_file());
    let sources = match root {
        Some(root) => Sources::read(root)?,
        None => Sources::recorded(&manifest)?,
    };
    let python = match (std::env::var_os(PREBUILT), root) {
        (Some(file), _) => take(Path::new(&file), &sources.sha256)?,
        (None, Some(root)) => {
            let built = guest::build(root, &work, "wardian-python", &progress)?;
            // For others to take.
            let marked = sources::marked(&fs::read(&built)?, &sources.sha256);
            write_whole(&work.join("python.wasm"), &marked)?;
            built
        }
        (None, None) => bail!(
            "the sources of Python for Wardian are not in this package: set {PREBUILT} to the path of a \
             python.wasm that was built from them (target/guest/python.wasm in a clone of Wardian {})",
            env("CARGO_PKG_VERSION")?
        ),
    };
    println!("cargo:rustc-env=WARDIAN_GUEST_PYTHON={}", python.display());
    if cfg!(feature = "hostile") {
        let root = root.context("the adversarial guest is built from Wardian's sources alone")?;
        let hostile = guest::build(root, &work, "wardian-hostile", &progress)?;
        println!(
            "cargo:rustc-env=WARDIAN_GUEST_HOSTILE={}",
            hostile.display()
        );
    }
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_SOURCES_SHA256={}",
        sources.sha256
    );
    println!(
        "cargo:rustc-env=WARDIAN_GUEST_RUSTPYTHON={}",
        sources.rustpython
    );
    println!("cargo:rustc-env=WARDIAN_GUEST_WORK={}", work.display());
    Ok(())
}

/// Checks that the file `prebuilt` is of these sources.
fn take(prebuilt: &Path, sources: &str) -> Result<PathBuf> {
    println!("cargo:rerun-if-changed={}", prebuilt.display());
    let name = format!("{PREBUILT}={}", prebuilt.display());
    let wasm = fs::read(prebuilt).with_context(|| format!("{name} can't be read"))?;
    match sources::of(&wasm) {
        Some(of) if of == sources => Ok(prebuilt.canonicalize()?),
        Some(of) => {
            bail!("{name} was built from other sources ({of:.16}…, these are {sources:.16}…)")
        }
        None => bail!("{name} is not a python.wasm of Wardian"),
    }
}

fn env(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("cargo sets {name}"))
}

/// Cargo's target directory. `out` is `TARGET/release/build/NAME-HASH/out`, with the triple before
/// the profile where one was asked for.
fn target_directory(out: &Path, triple: &str) -> Result<PathBuf> {
    let profiles = out.ancestors().nth(4);
    let profiles = profiles.context("OUT_DIR lies in the target directory")?;
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
