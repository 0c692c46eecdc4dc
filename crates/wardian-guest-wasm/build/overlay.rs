//! Mends the interpreter's crates by `guest/overlay`, before they are built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wardian_overlay::Overlay;

use crate::guest::{TARGET, nested};
use crate::tree::MENDED;

/// Writes the mended crates into the tree: the argument of cargo by which they are built in place
/// of the registry's.
///
/// They are `paths` overrides: cargo holds them to the dependencies that the lock file has, and
/// leaves the file as it is.
pub(crate) fn apply(tree: &Path) -> Result<String> {
    let overlay = Overlay::read(&tree.join("overlay"))?;
    let mut paths = Vec::new();
    if !overlay.replacements().is_empty() {
        let packages = packages(tree)?;
        for (name, version) in overlay.crates() {
            let source = directory(&packages, name, version)?;
            let mended = tree.join(MENDED).join(name);
            overlay.apply(name, &source, &mended)?;
            paths.push(mended.to_string_lossy().into_owned());
        }
    }
    Ok(format!("paths={}", Value::from(paths)))
}

/// The packages of the guest's lock file, whose sources cargo has fetched and verified.
fn packages(tree: &Path) -> Result<Vec<Value>> {
    let mut cargo = nested("CARGO")?;
    let output = cargo
        .current_dir(tree)
        .args(["metadata", "--locked", "--format-version=1"])
        .args(["--filter-platform", TARGET])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let mut metadata: Value = serde_json::from_slice(&output.stdout)
        .context("cargo can't list the packages of the guest: its message is above")?;
    match metadata.get_mut("packages").map(Value::take) {
        Some(Value::Array(packages)) => Ok(packages),
        _ => bail!("cargo metadata lists no packages"),
    }
}

/// The directory of a package's sources.
fn directory(packages: &[Value], name: &str, version: &str) -> Result<PathBuf> {
    let text =
        |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let package = packages
        .iter()
        .find(|package| text(package, "name").as_deref() == Some(name))
        .with_context(|| {
            format!("guest/overlay mends {name}, which guest/Cargo.lock does not have")
        })?;
    let locked = text(package, "version").unwrap_or_default();
    if locked != version {
        bail!(
            "guest/overlay mends {name} {version}, and guest/Cargo.lock has {locked}: see which items are still wrong \
             there, and delete or update their replacements"
        );
    }
    let manifest = text(package, "manifest_path").context("a package has a manifest")?;
    let directory = Path::new(&manifest)
        .parent()
        .context("a manifest lies in a directory")?;
    Ok(directory.to_owned())
}
