//! Links: hard ones within one granted directory, and the texts of symbolic ones.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_policy::Action;

use super::beneath::open_parent;
use super::create::count_created;
use super::error::Result;
use super::{FileGuard, GuestTarget, Place};

impl FileGuard {
    /// Makes a hard link. A symbolic link is linked itself.
    pub(super) async fn link_target(&self, from: GuestTarget, to: GuestTarget) -> Result<()> {
        let operation = FileOperation::Link;
        let [source, target] = self.authorize_pair(operation, &from.path, &to.path).await?;
        let created = self.context.meters.created.clone();
        let waits = source.place.waits();
        self.perform(operation, &from.path, waits, move || match source.place {
            Place::Directory(dir) => {
                count_created(&created, || Ok(link(&dir, &source.path, &target.path)?))
            }
            Place::Work(work) => work.link(&source.path, &target.path, &created),
        })
        .await
    }

    /// Denied: with links that lead anywhere, every later path would have to be doubted.
    pub(super) async fn symlink_at(&self, target: GuestTarget) -> Result<()> {
        let reason = "scripts create no symbolic links";
        let denied = self.deny_always(FileOperation::Symlink, &target.path, reason);
        Err(denied.await?)
    }

    /// Returns the text of a symbolic link, if it leads to the same granted directory. Anything
    /// else is a path of the host's.
    pub(super) async fn read_link_at(&self, target: GuestTarget) -> Result<String> {
        let (operation, path) = (FileOperation::ReadLink, target.path);
        let beneath = self
            .authorize(operation, &path, &[Action::ReadFile])
            .await?;
        let from = beneath.path.to_string_lossy().into_owned();
        let waits = beneath.place.waits();
        let link = self.perform(operation, &path, waits, move || match beneath.place {
            Place::Directory(dir) => Ok(read_link(&dir, &beneath.path)?),
            Place::Work(work) => work.read_link(&beneath.path),
        });
        let link = link.await?.into_os_string().into_string();
        let link = link.map_err(|_| Errno::ILSEQ)?;
        if !stays_inside(&from, &link) {
            let reason = "the link leads out of the granted directory";
            return Err(self.deny(operation, &path, reason).await?);
        }
        Ok(link)
    }
}

fn link(dir: &Dir, from: &Path, to: &Path) -> io::Result<()> {
    let [(from, old), (to, new)] = [open_parent(dir, from)?, open_parent(dir, to)?];
    from.hard_link(old, &to, new)
}

fn read_link(dir: &Dir, path: &Path) -> io::Result<PathBuf> {
    let (parent, name) = open_parent(dir, path)?;
    parent.read_link_contents(name)
}

/// Returns whether the text of a link at `path` names nothing outside of the directory that `path`
/// is relative to, not even on the way.
fn stays_inside(path: &str, link: &str) -> bool {
    let mut depth = path.split('/').count() - 1;
    let below = |name| {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
        true
    };
    !link.starts_with('/') && link.split('/').all(below)
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn a_link_is_followed_by_its_text() {
        for (path, link, inside) in [
            ("l", "x", true),
            ("l", "a/../x", true),
            ("l", "../x", false),
            ("l", "a/../../x", false),
            ("a/l", "../x", true),
            ("a/l", "../../x", false),
            ("a/b/l", "./../.././x", true),
            ("l", "/x", false),
            ("l", "", true),
        ] {
            assert_eq!(stays_inside(path, link), inside, "{path} {link}");
        }
    }
}
