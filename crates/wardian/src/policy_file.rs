//! Reads policy files from disk, with the files that they extend.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use wardian_policy::{Base, FILE_BYTES, Policy, Problems, Source};

use crate::files::{home, real};

/// The most files that extend each other in a row.
const MAX_DEPTH: usize = 8;

/// A reason for which a policy can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file can't be read.
    #[error("cannot read the policy {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// The reason.
        reason: String,
    },
    /// The file holds mistakes.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// Loads a policy from a TOML file.
///
/// # Errors
///
/// [`PolicyError`] with everything that is wrong with it.
///
/// # Security
///
/// Whoever can write the file, or one that it extends, decides what scripts may do.
pub fn load_policy(file: impl AsRef<Path>) -> Result<Policy, PolicyError> {
    let file = file.as_ref();
    let source = source(file, file).map_err(|reason| PolicyError::Unreadable {
        file: file.display().to_string(),
        reason,
    })?;
    Ok(parse(&source, &[])?)
}

/// Parses a policy, which the files in `children` extend, each the one after it.
fn parse(source: &Source, children: &[&Path]) -> Result<Policy, Problems> {
    let chain: Vec<&Path> = children
        .iter()
        .copied()
        .chain(source.path.as_deref())
        .collect();
    Policy::parse_with(source, |base| {
        if chain.len() > MAX_DEPTH {
            let reason = format!("more than {MAX_DEPTH} files extend each other");
            return Err(Base::Unreadable(reason));
        }
        // Named as the file names it: relative to where that file is.
        let directory = source.file.parent().unwrap_or(Path::new(""));
        let canonical = source.path.as_deref().and_then(Path::parent);
        let shown = canonical
            .and_then(|canonical| base.strip_prefix(canonical).ok())
            .map_or_else(|| base.to_owned(), |relative| directory.join(relative));
        let source = self::source(base, &shown).map_err(|reason| {
            Base::Unreadable(format!("cannot read {}: {reason}", shown.display()))
        })?;
        if source
            .path
            .as_deref()
            .is_some_and(|path| chain.contains(&path))
        {
            let reason = format!("{} is extended by itself", shown.display());
            return Err(Base::Unreadable(reason));
        }
        parse(&source, &chain).map_err(Base::Problems)
    })
}

fn source(file: &Path, shown: &Path) -> Result<Source, String> {
    let explain = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    let path = file.canonicalize().map_err(explain)?;
    // Whoever can change a link on the way decides as well.
    let given = std::path::absolute(file).map_err(explain)?;
    // A pipe would block, and a device never end.
    if !path.metadata().map_err(explain)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let open = File::open(&path).map_err(explain)?;
    // One byte more than is allowed shows that there are too many.
    open.take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(explain)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("byte {at} is not part of a UTF-8 character")
    })?;
    Ok(Source {
        file: shown.into(),
        text: text.into(),
        path: Some(path),
        given: Some(given),
        home: home(),
        resolve: real,
    })
}
