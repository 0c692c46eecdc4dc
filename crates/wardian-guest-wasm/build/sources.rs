//! The identity of the guest's sources, which a built guest carries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::lock::locked_version;

/// Everything that the guest is built from, below the root of the repository.
const SOURCES: &[&str] = &[
    "crates/wardian-abi",
    "crates/wardian-overlay/src",
    "crates/wardian-wasi-imports",
    "guest",
];

/// The file of this crate that has the identity where these sources are not at hand: in a package.
/// A test holds it to them.
const RECORD: &str = "sources.json";

/// The start of the custom section with the hash: its kind, its size, the size of its name, its
/// name.
const SECTION: &[u8] = b"\0\x50\x0fwardian-sources";
const HASH_BYTES: usize = 64;

/// The identity of the sources.
pub(crate) struct Sources {
    /// SHA-256 of all of them, names included, in hex.
    pub(crate) sha256: String,
    /// The version of RustPython that they pin.
    pub(crate) rustpython: String,
}

impl Sources {
    /// Looks at the sources below `root`, and tells cargo to.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        Ok(Self {
            sha256: hash(root)?,
            rustpython: locked_version(&root.join("guest/Cargo.lock"), "rustpython-vm")
                .context("guest/Cargo.lock names no rustpython-vm")?,
        })
    }

    /// Returns what the package of the crate in `manifest` carries.
    pub(crate) fn recorded(manifest: &Path) -> Result<Self> {
        let text = fs::read_to_string(manifest.join(RECORD));
        let text = text.with_context(|| format!("{RECORD} is missing in this package"))?;
        let record: BTreeMap<String, String> = serde_json::from_str(&text)?;
        let value = |key: &str| {
            let value = record.get(key).cloned();
            value.with_context(|| format!("{RECORD} has no {key}"))
        };
        Ok(Self {
            sha256: value("sha256")?,
            rustpython: value("rustpython")?,
        })
    }
}

fn hash(root: &Path) -> Result<String> {
    let mut text = String::new();
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
        for file in files(&root.join(source))? {
            let content =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.strip_prefix(root)?.display();
            text += &format!("{} {name}\n", wardian_abi::sha256(content));
        }
    }
    Ok(wardian_abi::sha256(text))
}

/// Returns the module, with the hash as a custom section at its end.
pub(crate) fn marked(wasm: &[u8], hash: &str) -> Vec<u8> {
    [wasm, SECTION, hash.as_bytes()].concat()
}

/// Returns the hash at the end of a module.
pub(crate) fn of(wasm: &[u8]) -> Option<&str> {
    let (rest, hash) = wasm.split_at_checked(wasm.len().checked_sub(HASH_BYTES)?)?;
    let is_hash = hash.iter().all(u8::is_ascii_hexdigit);
    (rest.ends_with(SECTION) && is_hash).then(|| str::from_utf8(hash).ok())?
}

/// Lists the files beneath a directory, sorted. Links are not followed, and a build's own directory
/// is left out.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != "target" {
            files.extend(self::files(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}
