//! How much of the file system a run has used, and may still use.

use std::sync::atomic::{AtomicU64, Ordering};

use wardian_policy::{Limit, Limits};

/// Counts what a run writes and creates, itself or through tools.
#[derive(Debug)]
pub(crate) struct Quota {
    pub(crate) file_bytes: u64,
    pub(crate) open_files: usize,
    bytes_written: AtomicU64,
    bytes_allowed: u64,
    files_created: AtomicU64,
    files_allowed: u64,
}

impl Quota {
    pub(crate) fn new(limits: &Limits) -> Self {
        let most = |limit| limits.get(limit).or_max();
        Self {
            file_bytes: most(Limit::FileSize),
            open_files: usize::try_from(most(Limit::OpenFiles)).unwrap_or(usize::MAX),
            bytes_written: AtomicU64::new(0),
            bytes_allowed: most(Limit::BytesWritten),
            files_created: AtomicU64::new(0),
            files_allowed: most(Limit::FilesCreated),
        }
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub(crate) fn files_created(&self) -> u64 {
        self.files_created.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_allowed.saturating_sub(self.bytes_written())
    }

    pub(crate) fn files_left(&self) -> bool {
        self.files_created() < self.files_allowed
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn created(&self) {
        self.files_created.fetch_add(1, Ordering::Relaxed);
    }
}
