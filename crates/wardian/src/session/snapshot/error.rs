//! The reasons for which there is no snapshot, or no session of one.

use wardian_policy::Limit;

/// A reason for which a snapshot can't be made, read, or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are no snapshot at all.
    #[error("this is no snapshot of a session: it does not begin as one")]
    NotOne,
    /// It ends too early, or goes on after its end.
    #[error(
        "the snapshot has {bytes} bytes, and should have {expected}: it was cut, or something was added"
    )]
    Length {
        /// Its length in bytes.
        bytes: u64,
        /// The length that it says it has.
        expected: u64,
    },
    /// It was changed, or is not what the writer has written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
    /// Another build has written it.
    #[error(
        "wardian {wrote} has written the snapshot, and this is {reads}: only the same build reads it"
    )]
    Build {
        /// The version and the hash of the build that has written it.
        wrote: String,
        /// Those of this build.
        reads: String,
    },
    /// It holds only what has changed since another one, which was not given.
    #[error(
        "the snapshot holds only what has changed since the one of SHA-256 {sha256}: read it with that one"
    )]
    Base {
        /// The SHA-256 of the other one.
        sha256: String,
    },
    /// It has no signature, or not that of the key.
    #[error("the snapshot's signature: {0}")]
    Signature(&'static str),
    /// The policy grants more than the one that it was made under.
    #[error(
        "the policy grants more than the one that the snapshot was made under ({}); if that is meant, allow it in \
         the session's options (`allow_wider_policy`)",
        wider.join("; ")
    )]
    Wider {
        /// The grants that are new, in a few words each.
        wider: Vec<String>,
    },
    /// It has more memory than the policy allows.
    #[error(
        "the snapshot has {bytes} bytes of memory, and {limit} allows {allowed}; raise it in the policy"
    )]
    Memory {
        /// The memory that it has, in bytes.
        bytes: u64,
        /// The limit.
        limit: Limit,
        /// The bytes that are allowed.
        allowed: u64,
    },
    /// A file that is open in the session can't be opened again.
    #[error("{path}, which is open in the session, can't be opened again: {reason}")]
    File {
        /// Its path for scripts.
        path: String,
        /// The reason.
        reason: String,
    },
    /// It is no image: it was not made by [`Image::build`](super::super::Image::build).
    #[error("this is a snapshot of a session, and no image; `wardian image build` makes one")]
    NoImage,
    /// The image was built with other packages, or by another setup.
    #[error(
        "the image is stale: {}; build it again: `wardian image build --policy POLICY`",
        changes.join(", ")
    )]
    Stale {
        /// The changes since it was built.
        changes: Vec<String>,
    },
    /// The setup of an image did not complete.
    #[error("the setup did not complete, so that no image is made: {reason}")]
    Setup {
        /// The exception, or the verdict.
        reason: String,
    },
    /// The setup of an image has left a file open.
    #[error("the setup has left {path} open, so that no image is made: close it there")]
    LeftOpen {
        /// Its path for scripts.
        path: String,
    },
    /// The guest did not clear its free memory.
    #[error("the session's free memory can't be cleared, so that no snapshot is made: {reason}")]
    NotCleared {
        /// The verdict on the attempt.
        reason: String,
    },
    /// The host could not read or write.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
