//! Replaces single items of a crate's sources.
//!
//! An [`Overlay`] is a folder of [`Replacement`]s, one file each, which holds our code for one or
//! more items of a pinned crate. Its head, in doc comments, says which:
//!
//! ```text
//! //! Crate: rustpython-codegen 0.6.0
//! //! File: src/ir.rs
//! //! Item: float_div_mod = 0123456789abcdef
//! //! Item: Frame::execute / Instruction::Nop { .. } = 0123456789abcdef
//! //! Test: tests/python/float_floor_division.py
//! //!
//! //! Reason: what is wrong without it.
//! //!
//! //! Upstream: the report that the crate's authors could get.
//! ```
//!
//! An item is named as it would be in the crate: `function`, `module::function`, `Type::method`,
//! `<Type as Trait>::method`, `invoked_macro!`; with `/ PATTERN`, the one arm of a `match` in that
//! function which has this pattern. With `, kept as NAME`, the original stays beside ours under
//! another name, so that ours can leave to it what it gets right. The number is the start of the
//! SHA-256 of what it replaces, so that nothing but what was read is ever replaced.
//!
//! The code is Rust that stands as it would in the crate: a method in an `impl` of its type, an arm
//! in a `match` in its function. What else there is at the top of the file goes beside the item,
//! and what else is in the `impl` goes before the method. A file without a line `Item` replaces
//! nothing: its code is added at the end of the crate's file.

#![forbid(unsafe_code)]

mod find;
mod head;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::find::Found;
pub use crate::head::{Head, Target};

/// A folder of replacements.
#[derive(Debug)]
pub struct Overlay {
    replacements: Vec<Replacement>,
}

/// A file of an overlay: our code for some items of a crate's file.
#[derive(Debug)]
pub struct Replacement {
    /// Path of the file.
    pub file: PathBuf,
    /// Items that are replaced, and why.
    pub head: Head,
    code: String,
}

/// A range of bytes of a source, and what takes its place.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

impl Overlay {
    /// Reads every `.rs` file below `directory`.
    ///
    /// # Errors
    ///
    /// If a file can't be read, or its head is not as it should be.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut replacements = Vec::new();
        for file in files(directory)? {
            if file.extension().is_some_and(|extension| extension == "rs") {
                let code = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                let head = Head::parse(&code).with_context(|| file.display().to_string())?;
                replacements.push(Replacement { file, head, code });
            }
        }
        Ok(Self { replacements })
    }

    /// The replacements, by the name of their file.
    pub fn replacements(&self) -> &[Replacement] {
        &self.replacements
    }

    /// The names of the crates of which something is replaced, each with its version.
    pub fn crates(&self) -> BTreeSet<(&str, &str)> {
        let heads = self
            .replacements
            .iter()
            .map(|replacement| &replacement.head);
        heads.map(|head| (&*head.krate, &*head.version)).collect()
    }

    /// Copies the sources of a crate from one directory to another, with its items replaced. What
    /// already stands there as it should is not touched, so that cargo does not build it again.
    ///
    /// # Errors
    ///
    /// If an item is not there, or not what it was when its replacement was written; if a file
    /// can't be read or written.
    pub fn apply(&self, krate: &str, from: &Path, to: &Path) -> Result<()> {
        let mut edited: BTreeMap<PathBuf, (String, Vec<Edit>)> = BTreeMap::new();
        for replacement in &self.replacements {
            if replacement.head.krate != krate {
                continue;
            }
            let path = from.join(&replacement.head.path);
            if !edited.contains_key(&path) {
                let source = fs::read_to_string(&path).with_context(|| {
                    format!(
                        "{}: cannot read {}",
                        replacement.file.display(),
                        path.display()
                    )
                })?;
                edited.insert(path.clone(), (source, Vec::new()));
            }
            if let Some((source, edits)) = edited.get_mut(&path) {
                edits.extend(replacement.edits(source)?);
            }
        }
        let mut kept = BTreeSet::new();
        for file in files(from)? {
            let content = match edited.remove(&file) {
                Some((source, edits)) => apply(&source, edits)?.into_bytes(),
                None => fs::read(&file)?,
            };
            let target = to.join(file.strip_prefix(from)?);
            if fs::read(&target).ok().as_ref() != Some(&content) {
                fs::create_dir_all(target.parent().context("a file has a directory")?)?;
                fs::write(&target, content)
                    .with_context(|| format!("cannot write {}", target.display()))?;
            }
            kept.insert(target);
        }
        for stale in files(to)? {
            if !kept.contains(&stale) {
                fs::remove_file(stale)?;
            }
        }
        Ok(())
    }
}

impl Replacement {
    /// The edits of `source`, the crate's file, that put our items in.
    fn edits(&self, source: &str) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let [theirs, ours] = [source, &self.code].map(syn::parse_file);
        let theirs = theirs.with_context(|| format!("{} is not Rust", self.head.path.display()))?;
        let ours = ours.with_context(|| format!("{} is not Rust", self.file.display()))?;
        let mut used = Vec::new();
        for Target {
            item,
            arm,
            kept_as,
            sha256,
        } in &self.head.targets
        {
            let name = Target::name(item, arm.as_deref());
            let Head {
                krate,
                version,
                path,
                ..
            } = &self.head;
            let found = find::find(&theirs, item, arm.as_deref()).with_context(|| {
                format!(
                    "{}: replaces {name}, which {krate} {version} does not have in {}",
                    self.file.display(),
                    path.display()
                )
            })?;
            let original = text(source, &found)?;
            let hash = sha256_start(original);
            ensure!(
                hash == *sha256,
                "{}: replaces {name} of {krate} {version} as it was with the hash {sha256}, and it is {hash} now. \
                 Read what changed in {}, mend the replacement or delete it, and then write this hash",
                self.file.display(),
                path.display(),
            );
            let own = find::find(&ours, item, arm.as_deref())
                .with_context(|| format!("{}: has no {name}", self.file.display()))?;
            let text = text(&self.code, &own)?.to_owned();
            match (kept_as, &found.signature) {
                (None, _) => edits.push(Edit {
                    start: found.start,
                    end: found.end,
                    text,
                }),
                (Some(kept_as), Some((signature, name))) => {
                    edits.push(Edit {
                        start: found.start,
                        end: *signature,
                        text: format!("{text}\n\n"),
                    });
                    edits.push(Edit {
                        start: name.start,
                        end: name.end,
                        text: kept_as.clone(),
                    });
                }
                (Some(_), None) => bail!("{}: {name} is no function", self.file.display()),
            }
            used.push((own, found));
        }
        if self.head.targets.is_empty() {
            for item in &ours.items {
                let text = text(&self.code, &Found::of(item))?;
                edits.push(Edit {
                    start: source.len(),
                    end: source.len(),
                    text: format!("\n{text}\n"),
                });
            }
        }
        for (helper, beside) in find::helpers(&ours.items, &used) {
            edits.push(Edit {
                start: beside,
                end: beside,
                text: format!("{}\n\n", text(&self.code, &helper)?),
            });
        }
        Ok(edits)
    }
}

fn text<'s>(source: &'s str, found: &Found) -> Result<&'s str> {
    source
        .get(found.start..found.end)
        .context("an item lies in its file")
}

/// Puts edits into a source.
fn apply(source: &str, mut edits: Vec<Edit>) -> Result<String> {
    // What is put in before an item comes before what takes its place.
    edits.sort_by_key(|edit| (edit.start, edit.end));
    let (mut result, mut done) = (String::with_capacity(source.len()), 0);
    for Edit { start, end, text } in edits {
        let Some(between) = source.get(done..start) else {
            bail!("two replacements of the same item");
        };
        result.push_str(between);
        result.push_str(&text);
        done = end;
    }
    result.push_str(
        source
            .get(done..)
            .context("the last edit lies in the file")?,
    );
    Ok(result)
}

/// The start of the SHA-256 of an item's text, as heads have it.
fn sha256_start(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(text);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Every file below a directory, sorted; none if there is no such directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
