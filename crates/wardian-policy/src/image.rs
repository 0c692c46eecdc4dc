//! The image that scripts start from.

use std::path::{Path, PathBuf};

use crate::GrantError;

/// The file of an image: of an interpreter in which packages are imported and a setup has run.
///
/// What is in it runs as the script does, with no more rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    pub(crate) file: PathBuf,
    pub(crate) setup: Option<PathBuf>,
}

impl ImageFile {
    /// An image in this file of the host.
    ///
    /// # Errors
    ///
    /// [`GrantError::Relative`] if the path is not absolute.
    pub fn new(file: impl Into<PathBuf>) -> Result<Self, GrantError> {
        let file = absolute(file.into())?;
        Ok(Self { file, setup: None })
    }

    /// The same image, which is stale if this file is not the script that has set it up.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_setup(self, setup: impl Into<PathBuf>) -> Result<Self, GrantError> {
        let setup = Some(absolute(setup.into())?);
        Ok(Self { setup, ..self })
    }

    /// Returns the file on the host.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the script that has to have set it up, on the host.
    pub fn setup(&self) -> Option<&Path> {
        self.setup.as_deref()
    }
}

fn absolute(file: PathBuf) -> Result<PathBuf, GrantError> {
    if file.is_absolute() {
        Ok(file)
    } else {
        Err(GrantError::Relative(file))
    }
}
