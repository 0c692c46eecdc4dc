//! The state of an image, from which runs start.

use std::sync::Arc;

use wardian_engine::{FrozenMemory, MemoryImage};

use crate::files::WorkFiles;

/// The state that runs and sessions start from, instead of an interpreter that has run nothing.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) memory: Arc<MemoryImage>,
    /// The working directory, of which every run has a copy of its own.
    pub(crate) work: Option<WorkFiles>,
    /// SHA-256 of the image, for records.
    pub(crate) sha256: String,
}

impl Start {
    pub(crate) fn contents(&self) -> FrozenMemory {
        FrozenMemory::of(&self.memory)
    }

    pub(crate) fn work(&self) -> Option<WorkFiles> {
        self.work.as_ref().map(WorkFiles::fork)
    }
}
