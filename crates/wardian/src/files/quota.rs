//! How much of the file system a run has used, and may still use.

use wardian_policy::{Limit, Limits};

use crate::meter::Meter;

/// Counts what a run writes and creates, itself or through tools.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) file_bytes: u64,
    pub(crate) open_files: usize,
    /// Bytes written to files, and bytes by which they grew.
    pub(crate) written: Meter,
    /// Files, directories and links.
    pub(crate) created: Meter,
}

impl Quota {
    pub(crate) fn new(limits: &Limits) -> Self {
        let max = |limit| limits.get(limit).or_max();
        Self {
            file_bytes: max(Limit::FileSize),
            open_files: usize::try_from(max(Limit::OpenFiles)).unwrap_or(usize::MAX),
            written: Meter::new(max(Limit::BytesWritten)),
            created: Meter::new(max(Limit::FilesCreated)),
        }
    }
}
