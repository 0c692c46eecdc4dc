//! Wheels: archives whose every name, size and link is checked before it is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use wardian_policy::is_identifier;
use zip::ZipArchive;

/// The endings of files with native code.
const NATIVE: [&str; 6] = [".so", ".pyd", ".dll", ".dylib", ".a", ".o"];

/// A wheel in pure Python, unpacked.
pub(super) struct Wheel {
    /// Its files, by their paths.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The modules that it makes importable.
    pub(super) modules: BTreeSet<String>,
    /// The name of its distribution, in normal form.
    pub(super) distribution: String,
    /// The distributions that it always needs, in normal form.
    pub(super) requires: Vec<String>,
}

impl Wheel {
    /// Unpacks a wheel of this file name, with at most these bytes and files.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, to follow its name.
    pub(super) fn read(
        name: &str,
        bytes: &[u8],
        max_bytes: u64,
        max_files: u64,
    ) -> Result<Self, String> {
        let broken = |error: zip::result::ZipError| format!("is no wheel: {error}");
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if archive.has_duplicate_names() {
            return Err("is no wheel: a name stands in it twice".to_owned());
        }
        if archive.len() as u64 > max_files {
            return Err(format!("has more than {max_files} files"));
        }
        let mut files = BTreeMap::new();
        let mut left = max_bytes;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(broken)?;
            let path = entry.name().map_err(broken)?.into_owned();
            check_path(&path)?;
            if entry.is_symlink() {
                return Err(format!("has {path:?}, which is a link"));
            }
            if entry.is_dir() {
                continue;
            }
            check_pure(&path)?;
            let mut unpacked = Vec::new();
            // One byte more than is allowed shows that there are too many, whatever it says it has.
            let read = entry.by_ref().take(left + 1).read_to_end(&mut unpacked);
            read.map_err(|error| format!("is no wheel: {path:?}: {error}"))?;
            left = left
                .checked_sub(unpacked.len() as u64)
                .ok_or_else(|| format!("takes more than {max_bytes} bytes, unpacked"))?;
            if let Some(path) = installed(&path)
                && files.insert(path.to_owned(), unpacked).is_some()
            {
                return Err(format!("is no wheel: {path:?} stands in it twice"));
            }
        }
        check_tags(name)?;
        let is_metadata = |path: &&String| {
            let parts = path.split_once('/');
            parts.is_some_and(|(directory, file)| {
                directory.ends_with(".dist-info") && file == "METADATA"
            })
        };
        let metadata = files.keys().find(is_metadata);
        let metadata = metadata.and_then(|path| files.get(path));
        let metadata = metadata.ok_or("is no wheel: it has no METADATA")?;
        let metadata = String::from_utf8_lossy(metadata);
        let field = |name: &str| {
            let lines = metadata.lines().take_while(|line| !line.is_empty());
            let fields = lines.filter_map(|line| line.split_once(": "));
            let name = name.to_owned();
            fields.filter_map(move |(key, value)| (key == name).then_some(value))
        };
        let distribution = field("Name").next().ok_or("is no wheel: it has no name")?;
        Ok(Self {
            modules: files.keys().filter_map(|path| module(path)).collect(),
            distribution: normal(distribution),
            // With a marker, it depends on where one is.
            requires: field("Requires-Dist")
                .filter(|wanted| !wanted.contains(';'))
                .map(|wanted| {
                    let end = |char: char| !char.is_alphanumeric() && !"-_.".contains(char);
                    normal(wanted.split(end).next().unwrap_or_default())
                })
                .collect(),
            files,
        })
    }
}

/// Refuses names that lead out, or are read in two ways.
fn check_path(path: &str) -> Result<(), String> {
    let parts = path.strip_suffix('/').unwrap_or(path).split('/');
    let leads_out = |part: &str| matches!(part, "" | "." | "..");
    if parts.into_iter().any(leads_out) || path.contains(['\\', '\0', ':']) {
        return Err(format!("has {path:?}, which is no path that stays in it"));
    }
    Ok(())
}

/// Refuses files with native code: nothing here could load them.
pub(super) fn check_pure(path: &str) -> Result<(), String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_native = NATIVE.iter().any(|end| name.ends_with(end)) || name.contains(".so.");
    if is_native {
        return Err(format!(
            "has native code, {path:?}, and packages here are in pure Python"
        ));
    }
    Ok(())
}

/// Refuses wheels for one kind of machine.
fn check_tags(name: &str) -> Result<(), String> {
    let stem = name.strip_suffix(".whl");
    let stem = stem.ok_or("is no wheel: its name does not end with .whl")?;
    let mut tags = stem.rsplit('-');
    let tags = (tags.next(), tags.next(), tags.next());
    match tags {
        (Some("any"), Some("none"), Some(python)) if python.split('.').any(|tag| tag == "py3") => {
            Ok(())
        }
        _ => Err(
            "is for one kind of machine or of Python: one that fits is called …-py3-none-any.whl"
                .to_owned(),
        ),
    }
}

/// Returns the path under which a file of a wheel is found; `None` for what is no part of a
/// library: commands, headers, data for other directories, compiled Python.
fn installed(path: &str) -> Option<&str> {
    if path.ends_with(".pyc") {
        return None;
    }
    let Some((directory, rest)) = path.split_once('/') else {
        return Some(path);
    };
    if !directory.ends_with(".data") {
        return Some(path);
    }
    let (scheme, rest) = rest.split_once('/')?;
    matches!(scheme, "purelib" | "platlib").then_some(rest)
}

/// Returns the module that a file makes importable, as far as its first dot.
pub(super) fn module(path: &str) -> Option<String> {
    let name = path.strip_suffix(".py")?;
    let top = name.split('/').next()?;
    is_identifier(top).then(|| top.to_owned())
}

/// Returns the distribution that a file tells of.
pub(super) fn distribution(path: &str) -> Option<String> {
    let (directory, _) = path.split_once('/')?;
    let name = directory.strip_suffix(".dist-info")?;
    Some(normal(name.split('-').next()?))
}

/// Returns a distribution's name in normal form: `Foo.Bar_baz` is `foo-bar-baz`.
pub(super) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for path in ["a/b.py", "a/", "a.dist-info/METADATA", "ä/x.py"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "", "/a", "../a", "a/../b", "a//b", "a/./b", "..", "a\\b", "c:x", "a\0",
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn libraries_are_installed_and_commands_are_not() {
        for (path, place) in [
            ("a/b.py", Some("a/b.py")),
            ("a.py", Some("a.py")),
            ("x-1.data/purelib/a.py", Some("a.py")),
            ("x-1.data/scripts/run", None),
            ("x-1.data/odd", None),
            ("a/__pycache__/b.cpython-314.pyc", None),
        ] {
            assert_eq!(installed(path), place, "{path}");
        }
        assert_eq!(normal("Foo.Bar__baz"), "foo-bar-baz");
        assert_eq!(module("a/b/c.py"), Some("a".to_owned()));
        assert_eq!(module("a-1.dist-info/RECORD"), None);
    }
}
