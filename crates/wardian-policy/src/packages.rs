//! The packages that scripts can import, beside Python's standard library.

use std::path::{Path, PathBuf};

/// Wheels and directories of Python code, which scripts can import and read.
///
/// Their code runs as the script does, with no more rights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    pub(crate) wheels: Vec<Wheel>,
    pub(crate) directories: Vec<PathBuf>,
}

/// A wheel: a package as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wheel {
    pub(crate) file: PathBuf,
    pub(crate) sha256: String,
}

/// A wheel that can't be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WheelError {
    /// The file's path is not absolute.
    #[error("{} is not absolute", .0.display())]
    Relative(PathBuf),
    /// The hash is none.
    #[error("{0:?} is no SHA-256: 64 hexadecimal digits")]
    Hash(String),
}

impl Wheel {
    /// A wheel in this file of the host, whose bytes have this SHA-256, in hex.
    ///
    /// # Errors
    ///
    /// [`WheelError`] if the path is not absolute, or the hash is none.
    pub fn new(file: impl Into<PathBuf>, sha256: &str) -> Result<Self, WheelError> {
        let file = file.into();
        if !file.is_absolute() {
            return Err(WheelError::Relative(file));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(WheelError::Hash(sha256.to_owned()));
        }
        let sha256 = sha256.to_lowercase();
        Ok(Self { file, sha256 })
    }

    /// Returns the file on the host.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the SHA-256 of its bytes, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Packages {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.wheels.is_empty() && self.directories.is_empty()
    }

    /// The wheels, in the order of the policy.
    pub fn wheels(&self) -> &[Wheel] {
        &self.wheels
    }

    /// The directories of the host, in the order of the policy. What lies in one is read when a
    /// sandbox is made.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Every file and directory of the host that is read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.wheels.iter().map(Wheel::file);
        files.chain(self.directories.iter().map(PathBuf::as_path))
    }
}
