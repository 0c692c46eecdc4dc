//! What takes more than one question: opening, listing, links, two paths at once.

use std::sync::Arc;

use wardian_policy::{Access, Action, GuestPath};
use wasmtime_wasi::p1::types::{Errno, Fd, Fdflags, Lookupflags, Oflags, Rights};

use super::listing::Listing;
use super::operation::{self, Opened, Opening, Room, Times};
use super::{Asked, FileGuard, Open, OpenFile, ROOT, Result, Target, blocking};
use crate::FileOperation;

impl FileGuard {
    pub(super) fn room(&self) -> Room {
        let quota = &self.session.quota;
        Room {
            file_bytes: quota.file_bytes,
            written: quota.written.clone(),
        }
    }

    pub(super) fn is_preopened(&self, fd: Fd) -> bool {
        u32::from(fd) == ROOT && self.open.contains_key(&ROOT)
    }

    pub(super) fn path(&self, fd: u32) -> Result<GuestPath> {
        match self.open.get(&fd) {
            Some(Open::Directory { path, .. }) => Ok(path.clone()),
            Some(Open::File(file)) => Ok(file.path.clone()),
            None => Err(Errno::Badf.into()),
        }
    }

    pub(super) async fn open(
        &mut self,
        asked: Asked,
        lookup: Lookupflags,
        oflags: Oflags,
        rights: Rights,
        flags: Fdflags,
    ) -> Result<u32> {
        let Asked { path, directory } = asked;
        let create = oflags.contains(Oflags::CREAT);
        let truncate = oflags.contains(Oflags::TRUNC);
        let write = rights.contains(Rights::FD_WRITE);
        let changes = write || create || truncate;
        let read = rights.contains(Rights::FD_READ) || !changes;
        if !changes && self.grants.leading_from(&path).is_some() {
            let fd = self.descriptor(FileOperation::Read, &path).await?;
            self.open.insert(fd, Open::directory(path));
            return Ok(fd);
        }
        let (operation, actions): (_, &[_]) = match (read, changes) {
            (true, true) => (FileOperation::Write, &[Action::ReadFile, Action::WriteFile]),
            (false, true) => (FileOperation::Write, &[Action::WriteFile]),
            (_, false) => (FileOperation::Read, &[Action::ReadFile]),
        };
        let target = self.permit(operation, &path, actions).await?;
        // Before anything is created or cut.
        let fd = self.descriptor(operation, &path).await?;
        let append = flags.contains(Fdflags::APPEND) && write;
        let opening = Opening {
            read,
            write: changes,
            append,
            create,
            exclusive: oflags.contains(Oflags::EXCL),
            truncate,
            directory: directory || oflags.contains(Oflags::DIRECTORY),
            follow: lookup.contains(Lookupflags::SYMLINK_FOLLOW),
            file_bytes: self.session.quota.file_bytes,
        };
        let Target {
            dir,
            path: beneath,
            device,
        } = target;
        let created = self.session.quota.created.clone();
        let opened = blocking(move || operation::open(&dir, &beneath, opening, &created)).await?;
        let open = match self.done(operation, &path, opened).await? {
            Opened::Directory => Open::directory(path),
            Opened::File(file) => {
                let mut access = Access::empty();
                access.set(Access::READ, read);
                access.set(Access::WRITE, write);
                Open::File(Arc::new(OpenFile {
                    file,
                    path,
                    access,
                    append,
                    device,
                }))
            }
        };
        self.open.insert(fd, open);
        Ok(fd)
    }

    /// Lists a directory from its start. That it may be read was recorded when it was opened.
    pub(super) async fn list(&mut self, path: &GuestPath) -> Result<Listing> {
        if let Some(names) = self.grants.leading_from(path) {
            return Ok(Listing::of_names(names));
        }
        let policy = self.policy.clone();
        let decision = policy.check_path(Action::ReadFile, path.clone());
        let Target {
            dir, path: beneath, ..
        } = self.target(&decision).ok_or(Errno::Acces)?;
        let listing = blocking(move || Listing::of(&dir, &beneath)).await?;
        self.done(FileOperation::Read, path, listing).await
    }

    pub(super) async fn set_times(
        &mut self,
        path: &GuestPath,
        times: Times,
        follow: bool,
    ) -> Result<()> {
        let operation = FileOperation::SetTimes;
        let Target {
            dir, path: beneath, ..
        } = self.permit(operation, path, &[Action::WriteFile]).await?;
        let set = blocking(move || operation::set_times(&dir, &beneath, times, follow)).await?;
        self.done(operation, path, set).await
    }

    /// Where a link leads, if that is in the same granted directory. Where else one leads is a
    /// path of the host's.
    pub(super) async fn read_link(&mut self, path: &GuestPath) -> Result<String> {
        let operation = FileOperation::ReadLink;
        let Target {
            dir, path: beneath, ..
        } = self.permit(operation, path, &[Action::ReadFile]).await?;
        let of = beneath.clone();
        let link = blocking(move || operation::read_link(&dir, &beneath)).await?;
        let link = self.done(operation, path, link).await?;
        let link = link
            .into_os_string()
            .into_string()
            .map_err(|_| Errno::Ilseq)?;
        if !stays_inside(&of.to_string_lossy(), &link) {
            let reason = "the link leads out of the granted directory";
            self.session
                .stopped(operation, path, reason, &self.policy)
                .await?;
            return Err(Errno::Acces.into());
        }
        Ok(link)
    }

    /// May something be moved or linked from one path to another? Only within one granted
    /// directory: they are as if on different disks, for which programs are prepared.
    pub(super) async fn permit_two(
        &mut self,
        operation: FileOperation,
        from: &GuestPath,
        to: &GuestPath,
    ) -> Result<[Target; 2]> {
        let policy = self.policy.clone();
        let decisions = [from, to].map(|path| policy.check_path(Action::WriteFile, path.clone()));
        let [source, target] = decisions.each_ref().map(|decision| self.target(decision));
        let apart = matches!((&source, &target), (Some(a), Some(b)) if a.device != b.device);
        let [first, second] = &decisions;
        let deciding = if first.allowed() { second } else { first };
        self.session
            .between(operation, [from, to], deciding, apart)
            .await?;
        let (Some(source), Some(target)) = (source, target) else {
            return Err(Errno::Acces.into());
        };
        if apart {
            return Err(Errno::Xdev.into());
        }
        if source.is_root() || target.is_root() {
            return Err(Errno::Busy.into());
        }
        Ok([source, target])
    }
}

/// Does the text of a link at `path` name nothing outside of the directory that `path` is
/// relative to, not even on the way?
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
