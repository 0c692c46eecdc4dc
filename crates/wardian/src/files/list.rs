//! Listing of directories, piece by piece.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

use cap_std::fs::Dir;
use parking_lot::Mutex;
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_engine::{Entry, FileKind, OpenOptions};
use wardian_policy::{Action, GuestPath};

use super::error::Result;
use super::stat::kind;
use super::{Beneath, FileError, FileGuard, GuestTarget, Handle, Place};

/// An open listing. Holds one entry, however many there are.
pub(super) struct Listing {
    /// Never locked: the mutex makes the guard shareable between threads.
    entries: Mutex<Box<dyn Iterator<Item = io::Result<Entry>> + Send>>,
    /// The entry that did not fit.
    next: Option<Entry>,
    /// The number of the next entry.
    position: u64,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The inode of `.`, `..` and directories without a host's. Not 0, at which C
/// libraries ask again.
pub(super) const PLACEHOLDER_INODE: u64 = 1;

impl FileGuard {
    /// Lists an open directory from entry number `from` on.
    pub(super) async fn list_descriptor(
        &mut self,
        fd: u32,
        from: u64,
        bytes: usize,
    ) -> Result<Vec<Entry>> {
        let (path, listing) = match self.open.table.get_mut(&fd) {
            None => return Err(Errno::BADF.into()),
            Some(Handle::File(_)) => return Err(Errno::NOTDIR.into()),
            Some(Handle::Directory { path, listing }) => (path.clone(), listing.take()),
        };
        let listing = listing.filter(|listing| listing.can_reach(from));
        let mut listing = match listing {
            Some(listing) => listing,
            None => self.open_listing(&path).await?,
        };
        let reading = move || {
            let read = listing.read(from, bytes);
            Ok((listing, read))
        };
        // Who listed a granted directory may wait for it.
        let listed = self.perform(FileOperation::Read, &path, true, reading);
        let (listing, read) = listed.await?;
        if let Some(Handle::Directory { listing: slot, .. }) = self.open.table.get_mut(&fd) {
            *slot = Some(listing);
        }
        let read = read.map_err(Into::into);
        self.finish(FileOperation::Read, &path, read).await
    }

    /// Returns the names in a directory; `None` if there are more than `max`, or they take more
    /// than `max_bytes` together.
    pub(crate) async fn names(
        &mut self,
        target: GuestTarget,
        max: usize,
        max_bytes: usize,
    ) -> Result<Option<Vec<String>>> {
        let path = target.path.clone();
        let options = OpenOptions {
            read: true,
            directory: true,
            follow: true,
            ..OpenOptions::default()
        };
        self.open_target(target, options).await?;
        let listing = self.open_listing(&path).await?;
        let names = move || Ok(listing.names(max, max_bytes)?);
        self.perform(FileOperation::Read, &path, true, names).await
    }

    /// Lists a directory from its start. Its reading was recorded when it was opened.
    async fn open_listing(&self, path: &GuestPath) -> Result<Listing> {
        if let Some(names) = self.children_of_ancestor(path) {
            return Ok(Listing::of_names(names));
        }
        let policy = &self.authority.policy;
        let decision = policy.check_path(Action::ReadFile, path.clone());
        let Some(beneath) = self.beneath(&decision) else {
            return Err(FileError::denied(&decision, false));
        };
        let Beneath {
            place, path: at, ..
        } = beneath;
        self.perform(
            FileOperation::Read,
            path,
            place.waits(),
            move || match place {
                Place::Directory(dir) => Ok(Listing::of(&dir, &at)?),
                Place::Work(work) => Ok(Listing::new(work.list(&at)?.into_iter().map(Ok))),
            },
        )
        .await
    }
}

fn directory(name: &str) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        inode: PLACEHOLDER_INODE,
        kind: FileKind::Directory,
    }
}

impl Listing {
    /// Lists a directory beneath a granted one.
    fn of(dir: &Dir, path: &Path) -> io::Result<Self> {
        let entries = dir.read_dir(path)?.map(|entry| {
            let entry = entry?;
            Ok(Entry {
                kind: kind(entry.file_type()?),
                inode: entry.ino(),
                name: entry.file_name().into_vec(),
            })
        });
        Ok(Self::new(entries))
    }

    /// Lists a directory that only leads to granted ones.
    fn of_names(names: Vec<String>) -> Self {
        Self::new(names.into_iter().map(|name| Ok(directory(&name))))
    }

    fn new(entries: impl Iterator<Item = io::Result<Entry>> + Send + 'static) -> Self {
        let dots = [".", ".."].map(|name| Ok(directory(name)));
        Self {
            entries: Mutex::new(Box::new(dots.into_iter().chain(entries))),
            next: None,
            position: 0,
        }
    }

    /// Returns the names of the entries, without `.` and `..`, as far as they are text; `None` if
    /// there are more than `max`, or they take more than `max_bytes`.
    fn names(self, max: usize, max_bytes: usize) -> io::Result<Option<Vec<String>>> {
        let (mut names, mut left) = (Vec::new(), max_bytes);
        for entry in self.entries.into_inner().skip(2) {
            let Ok(name) = String::from_utf8(entry?.name) else {
                continue;
            };
            let Some(rest) = left.checked_sub(name.len()).filter(|_| names.len() < max) else {
                return Ok(None);
            };
            left = rest;
            names.push(name);
        }
        Ok(Some(names))
    }

    /// Returns whether it can go on at entry number `from`; else it has to be opened again.
    fn can_reach(&self, from: u64) -> bool {
        from >= self.position
    }

    /// Returns entries from number `from` on, until they take more than `bytes` bytes. The one that
    /// goes over is returned again by the next call.
    fn read(&mut self, from: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let (mut entries, mut taken) = (Vec::new(), 0);
        while taken < bytes {
            let entry = match self.next.take() {
                Some(entry) => entry,
                None => match self.entries.get_mut().next() {
                    Some(entry) => entry?,
                    None => break,
                },
            };
            if self.position >= from {
                taken += Entry::HEAD_BYTES + entry.name.len();
                if taken > bytes {
                    self.next = Some(entry.clone());
                    entries.push(entry);
                    break;
                }
                entries.push(entry);
            }
            self.position += 1;
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that fit into a buffer whole.
    fn whole(entries: Vec<Entry>, mut bytes: usize) -> Vec<String> {
        let fits = |entry: &Entry| {
            let rest = bytes.checked_sub(Entry::HEAD_BYTES + entry.name.len());
            bytes = rest.unwrap_or_default();
            rest.is_some()
        };
        let names = entries.into_iter().take_while(fits);
        names
            .map(|entry| String::from_utf8(entry.name).unwrap())
            .collect()
    }

    #[test]
    fn a_listing_comes_in_pieces_of_any_size() {
        let all: Vec<_> = (0..20).map(|i| format!("file-{i}")).collect();
        for piece in [40, 64, 100, 4096] {
            let mut listing = Listing::of_names(all.clone());
            let mut seen = Vec::new();
            loop {
                let from = seen.len() as u64;
                assert!(listing.can_reach(from));
                let entries = listing.read(from, piece).unwrap();
                let bytes = entries
                    .iter()
                    .map(|entry| entry.name.len() + Entry::HEAD_BYTES);
                let is_last = bytes.sum::<usize>() < piece;
                seen.extend(whole(entries, piece));
                if is_last {
                    break;
                }
            }
            assert_eq!(seen[..2], [".", ".."]);
            assert_eq!(seen[2..], all, "{piece}");
        }
    }

    #[test]
    fn a_listing_goes_forward_only() {
        let mut listing = Listing::of_names(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(listing.read(0, 4096).unwrap().len(), 4);
        assert!(!listing.can_reach(2));
        assert!(listing.read(4, 4096).unwrap().is_empty());
        assert!(listing.read(u64::MAX, 4096).unwrap().is_empty());
    }
}
