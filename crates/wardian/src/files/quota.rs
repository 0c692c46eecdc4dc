//! How much of the file system a run has used, and may still use.

use wardian_policy::{Limit, Limits};

/// Counts what a run writes and creates.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) file_bytes: u64,
    pub(crate) open_files: usize,
    bytes_written: u64,
    bytes_allowed: u64,
    files_created: u64,
    files_allowed: u64,
}

impl Quota {
    pub(crate) fn new(limits: &Limits) -> Self {
        let most = |limit| limits.get(limit).or_max();
        Self {
            file_bytes: most(Limit::FileSize),
            open_files: usize::try_from(most(Limit::OpenFiles)).unwrap_or(usize::MAX),
            bytes_written: 0,
            bytes_allowed: most(Limit::BytesWritten),
            files_created: 0,
            files_allowed: most(Limit::FilesCreated),
        }
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    pub(crate) fn files_created(&self) -> u64 {
        self.files_created
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_allowed.saturating_sub(self.bytes_written)
    }

    pub(crate) fn files_left(&self) -> bool {
        self.files_created < self.files_allowed
    }

    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.bytes_written = self.bytes_written.saturating_add(bytes);
    }

    pub(crate) fn created(&mut self) {
        self.files_created = self.files_created.saturating_add(1);
    }
}
