//! Builds `guest/` to wasm with a nested cargo.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Progress;
use crate::{overlay, tree};

pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Names another profile of `guest/Cargo.toml`, for working on the guest itself.
const PROFILE: &str = "WARDIAN_GUEST_PROFILE";

/// The variables starting with `CARGO_` that are inherited: where crates come from. The
/// rest describes the outer build and would leak into this one.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
];

/// Builds one of the guests in `root`, if it has changed, and returns its wasm.
pub(crate) fn build(
    root: &Path,
    work: &Path,
    package: &str,
    progress: &Progress,
) -> Result<PathBuf> {
    ensure_target(progress)?;
    println!("cargo:rerun-if-env-changed={PROFILE}");
    let profile = std::env::var(PROFILE).unwrap_or_else(|_| "release".to_owned());
    let file = format!("{}.wasm", package.replace('-', "_"));
    let wasm = work.join(TARGET).join(&profile).join(file);
    let is_first = !wasm.is_file();
    if is_first {
        progress.say(&format!(
            "building {package} for {TARGET} (Python takes about 6 minutes on 2 cores, once; log: {})",
            progress.log_path().display()
        ));
    }
    let tree = tree::link(&root.join("guest"), work)?;
    let mended = overlay::apply(&tree)?;
    let mut cargo = nested("CARGO")?;
    cargo
        .current_dir(&tree)
        .args([
            "build",
            "--locked",
            "--config",
            &mended,
            "--package",
            package,
            "--profile",
            &profile,
            "--target",
            TARGET,
        ])
        // Ruff's crates ask for a newer rustc than they need.
        .arg("--ignore-rust-version")
        .arg("--target-dir")
        .arg(work)
        .env("CARGO_ENCODED_RUSTFLAGS", remap_flags(root, work, &tree)?);
    let log = progress.log()?;
    let status = cargo
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()?;
    if !status.success() {
        bail!("{package} did not build:\n{}", tail(progress.log_path()));
    }
    if is_first {
        progress.finish();
    }
    Ok(wasm)
}

/// Paths of this machine don't belong into the artifact, where a script could read them.
fn remap_flags(root: &Path, work: &Path, tree: &Path) -> Result<OsString> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    let mut flags = OsString::new();
    // The last that fits is taken.
    for (path, name) in [
        (cargo_home.as_path(), "/cargo"),
        (root, "/wardian"),
        (work, "/target"),
        (tree, "/wardian/guest"),
    ] {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

/// Installs the wasm target with rustup if this toolchain lacks it.
fn ensure_target(progress: &Progress) -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    progress.say(&format!("installing the Rust target {TARGET} with rustup"));
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).stdin(Stdio::null());
    let installed = rustup.output();
    if installed.is_ok_and(|output| output.status.success()) && has_target()? {
        progress.say(&format!("installed the Rust target {TARGET}"));
        return Ok(());
    }
    bail!(
        "Wardian's Python guest needs the Rust target {TARGET}, which is not installed and could \
         not be installed. Run this once, then build again:\n\n    rustup target add {TARGET}\n"
    )
}

/// Returns whether this toolchain has a standard library for the wasm target.
fn has_target() -> Result<bool> {
    let mut rustc = nested("RUSTC")?;
    let output = rustc
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success() && Path::new(&directory).is_dir())
}

/// The program that cargo names in `variable`, without the outer build's settings.
pub(crate) fn nested(variable: &str) -> Result<Command> {
    let program = std::env::var_os(variable).with_context(|| format!("cargo sets {variable}"))?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if describes_outer_build(&name) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn describes_outer_build(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let kept = KEPT.iter().any(|prefix| name.starts_with(prefix));
    (name.starts_with("CARGO_") && !kept)
        || matches!(
            &*name,
            "RUSTFLAGS" | "RUSTDOCFLAGS" | "RUSTC_WORKSPACE_WRAPPER"
        )
}

fn tail(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(40)..);
    last.unwrap_or_default().join("\n")
}
