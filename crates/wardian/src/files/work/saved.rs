//! The files of a working directory as a snapshot has them.

use std::io::Read;

use serde::{Deserialize, Serialize};
use wardian_policy::{GuestPath, Limit};

use super::super::error::Failure;
use super::WorkFiles;
use super::tree::{FileTimes, Node};

/// A file or a directory, as a snapshot has it. Its bytes stand elsewhere, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedWork {
    /// Its path for scripts.
    pub(crate) path: String,
    /// The time of its last change, in nanoseconds since 1970.
    modified: u64,
    /// The count of its bytes; `None` for a directory.
    pub(crate) bytes: Option<u64>,
}

/// A reason for which saved files can't be had again.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The list is none of files, or its bytes are others.
    Damaged(String),
    /// There is no room for them under the policy.
    NoRoom {
        limit: Limit,
        /// The amount that is allowed.
        allowed: u64,
    },
}

impl WorkFiles {
    /// Returns all files and directories, and the bytes of the files one after the other. A file of
    /// two names is two.
    pub(crate) fn save(&self) -> (Vec<SavedWork>, Vec<u8>) {
        let tree = self.tree.lock();
        let (mut saved, mut all) = (Vec::new(), Vec::new());
        for (path, node) in &tree.nodes {
            if tree.is_root(path) {
                continue;
            }
            let (modified, bytes) = match node {
                Node::Directory { times, .. } => (times.modified, None),
                Node::File(inode) => {
                    let state = inode.state();
                    all.extend(state.content.read(0, usize::MAX));
                    (state.times.modified, Some(state.content.len()))
                }
            };
            saved.push(SavedWork {
                path: path.clone(),
                modified,
                bytes,
            });
        }
        (saved, all)
    }

    /// Puts saved files into an empty working directory. Nothing in the list is believed.
    pub(crate) fn load(&self, saved: &[SavedWork], mut bytes: impl Read) -> Result<(), LoadError> {
        let mut tree = self.tree.lock();
        let budget = tree.budget().clone();
        for SavedWork {
            path,
            modified,
            bytes: len,
        } in saved
        {
            let wrong = |why: &str| LoadError::Damaged(format!("{path:?} {why}"));
            let failed = |failure| match failure {
                Failure::Limit(limit) => LoadError::NoRoom {
                    limit,
                    allowed: budget.allowed(limit),
                },
                Failure::Io(error) => wrong(&format!("can't be there: {error}")),
                Failure::Special => wrong("is no file"),
            };
            let is_normal = GuestPath::new(path).is_ok_and(|normal| normal.as_str() == path);
            if !is_normal {
                return Err(wrong("is no path of a working directory"));
            }
            let Some(len) = len else {
                tree.create_directory(path).map_err(failed)?;
                if let Some(Node::Directory { times, .. }) = tree.nodes.get_mut(path) {
                    *times = FileTimes::at(*modified);
                }
                continue;
            };
            let inode = tree.create_file(path).map_err(failed)?;
            // As much as there is room for, and no more than the list says.
            let (mut piece, mut at) = (vec![0; PIECE], 0);
            while at < *len {
                let rest = usize::try_from(len - at).unwrap_or(PIECE).min(PIECE);
                let piece = piece.get_mut(..rest).unwrap_or_default();
                bytes
                    .read_exact(piece)
                    .map_err(|error| wrong(&format!("has too few bytes: {error}")))?;
                inode.write(at, piece).map_err(failed)?;
                at += rest as u64;
            }
            inode.set_modified(*modified);
        }
        match bytes.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(LoadError::Damaged("it has bytes of no file".to_owned())),
        }
    }
}

/// The bytes that are read at once.
const PIECE: usize = 64 << 10;
