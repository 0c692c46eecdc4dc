//! The head of a replacement.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

/// The head of a replacement: what is replaced, and why.
#[derive(Debug, Default)]
pub struct Head {
    /// Name of the crate.
    pub krate: String,
    /// Version of the crate that was read.
    pub version: String,
    /// Path of the file in the crate.
    pub path: PathBuf,
    /// Items of that file that are replaced; without any, the code is added at the file's end.
    pub targets: Vec<Target>,
    /// Path of the test that fails without it, from the repository's root.
    pub test: PathBuf,
    /// The fault without it.
    pub reason: String,
    /// Report that the crate's authors could get.
    pub upstream: String,
}

/// An item that is replaced.
#[derive(Debug)]
pub struct Target {
    /// Path of the item in its file.
    pub item: String,
    /// Pattern of the arm, if it is one arm of a `match` in that item.
    pub arm: Option<String>,
    /// Name under which the original stays beside ours, to be called from it.
    pub kept_as: Option<String>,
    /// Start of the SHA-256 of what is replaced.
    pub sha256: String,
}

impl Head {
    /// Reads the doc comments at the start of a file.
    pub(crate) fn parse(code: &str) -> Result<Self> {
        let mut fields: Vec<(&str, String)> = Vec::new();
        for line in code.lines() {
            let Some(line) = line.strip_prefix("//!") else {
                break;
            };
            let field = FIELDS.iter().find_map(|name| {
                let value = line
                    .strip_prefix(' ')?
                    .strip_prefix(name)?
                    .strip_prefix(": ")?;
                Some((*name, value.to_owned()))
            });
            match (field, fields.last_mut()) {
                (Some(field), _) => fields.push(field),
                (None, Some((_, value))) => {
                    value.push('\n');
                    value.push_str(line.strip_prefix(' ').unwrap_or(line));
                }
                (None, None) => bail!("the head starts with `//! Crate: NAME VERSION`"),
            }
        }
        let mut head = Self::default();
        for (name, value) in fields {
            let value = value.trim().to_owned();
            match name {
                "Crate" => {
                    let (krate, version) = value.split_once(' ').context("Crate: NAME VERSION")?;
                    (head.krate, head.version) = (krate.to_owned(), version.to_owned());
                }
                "File" => head.path = value.into(),
                "Item" => head.targets.push(Target::parse(&value)?),
                "Test" => head.test = value.into(),
                "Reason" => head.reason = value,
                _ => head.upstream = value,
            }
        }
        for (name, is_missing) in [
            ("Crate", head.krate.is_empty()),
            ("File", head.path.as_os_str().is_empty()),
            ("Test", head.test.as_os_str().is_empty()),
            ("Reason", head.reason.is_empty()),
            ("Upstream", head.upstream.is_empty()),
        ] {
            ensure!(!is_missing, "the head has no line `//! {name}: …`");
        }
        Ok(head)
    }
}

const FIELDS: [&str; 6] = ["Crate", "File", "Item", "Test", "Reason", "Upstream"];

impl Target {
    fn parse(text: &str) -> Result<Self> {
        let (name, sha256) = text.rsplit_once(" = ").context(
            "Item: NAME = HASH, or NAME / PATTERN = HASH, or NAME, kept as OTHER = HASH",
        )?;
        let (name, kept_as) = split(name, ", kept as ");
        let (item, arm) = split(name, " / ");
        ensure!(
            kept_as.is_none() || arm.is_none(),
            "only a function can be kept, not an arm"
        );
        Ok(Self {
            item: item.to_owned(),
            arm,
            kept_as,
            sha256: sha256.to_owned(),
        })
    }

    /// The item as messages name it.
    pub(crate) fn name(item: &str, arm: Option<&str>) -> String {
        match arm {
            Some(arm) => format!("the arm `{arm}` of `{item}`"),
            None => format!("`{item}`"),
        }
    }
}

fn split<'t>(text: &'t str, separator: &str) -> (&'t str, Option<String>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after.to_owned())),
        None => (text, None),
    }
}
