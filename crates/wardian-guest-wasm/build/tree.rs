//! The tree that the nested cargo builds: everything that the guest is made of, beneath one root.
//!
//! Cargo names a crate by its path below the root of its workspace, and by its whole path if it
//! lies elsewhere, and the order of functions in the module depends on these names. So `guest/` is
//! linked into the target directory, where the mended crates are (`guest/abi` is a link for the
//! same reason): the same sources then give the same bytes wherever they lie.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The directory for mended crates in a tree.
pub(crate) const MENDED: &str = "mended";

/// Makes the tree of `guest` in `work`.
pub(crate) fn link(guest: &Path, work: &Path) -> Result<PathBuf> {
    let tree = work.join("tree");
    fs::create_dir_all(tree.join(MENDED))?;
    for entry in fs::read_dir(guest)? {
        let entry = entry?;
        let link = tree.join(entry.file_name());
        if fs::read_link(&link).is_ok_and(|target| target == entry.path()) {
            continue;
        }
        let _ = fs::remove_file(&link);
        symlink(entry.path(), &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    // A link to what has gone is not a part of the guest any more.
    for entry in fs::read_dir(&tree)? {
        let path = entry?.path();
        if path.is_symlink() && !path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(tree)
}
