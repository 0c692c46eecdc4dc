//! Versions of packages, from lock files.

use std::fs;
use std::path::Path;

/// Returns the version of a package in a lock file, if that is there and has it.
pub fn locked_version(lock: &Path, package: &str) -> Option<String> {
    let text = fs::read_to_string(lock).ok()?;
    let (_, after) = text.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    let (version, _) = after.split_once('"')?;
    Some(version.to_owned())
}
