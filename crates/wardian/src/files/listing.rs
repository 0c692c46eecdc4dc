//! The entries of a directory, as they are asked for piece by piece.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

use cap_std::fs::Dir;
use wasmtime_wasi::p1::types::Filetype;

use super::stat::filetype;

/// The size of an entry without its name.
const HEAD_BYTES: usize = 24;

/// An open listing. Holds one entry, however many there are.
pub(super) struct Listing {
    entries: Box<dyn Iterator<Item = io::Result<Entry>> + Send>,
    /// The entry that did not fit, and how many come before it.
    next: Option<Entry>,
    position: u64,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

struct Entry {
    name: Vec<u8>,
    inode: u64,
    kind: Filetype,
}

/// What `.`, `..` and directories without a host's say is their inode. Not 0, at which C
/// libraries ask again.
const INODE: u64 = 1;

impl Entry {
    fn directory(name: &str) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            inode: INODE,
            kind: Filetype::Directory,
        }
    }

    /// Writes itself behind `buffer`; `next` is the number of the entry after it.
    fn write(&self, next: u64, buffer: &mut Vec<u8>) {
        let name_bytes = u32::try_from(self.name.len()).unwrap_or(u32::MAX);
        buffer.extend(next.to_le_bytes());
        buffer.extend(self.inode.to_le_bytes());
        buffer.extend(name_bytes.to_le_bytes());
        buffer.extend([self.kind as u8, 0, 0, 0]);
        buffer.extend(&self.name);
    }
}

impl Listing {
    /// Of a directory beneath a granted one.
    pub(super) fn of(dir: &Dir, path: &Path) -> io::Result<Self> {
        let entries = dir.read_dir(path)?.map(|entry| {
            let entry = entry?;
            Ok(Entry {
                kind: filetype(entry.file_type()?),
                inode: entry.ino(),
                name: entry.file_name().into_vec(),
            })
        });
        Ok(Self::new(entries))
    }

    /// Of a directory that only leads to granted ones.
    pub(super) fn of_names(names: Vec<String>) -> Self {
        let entries = names.into_iter().map(|name| Ok(Entry::directory(&name)));
        Self::new(entries)
    }

    fn new(entries: impl Iterator<Item = io::Result<Entry>> + Send + 'static) -> Self {
        let dots = [".", ".."].map(|name| Ok(Entry::directory(name)));
        Self {
            entries: Box::new(dots.into_iter().chain(entries)),
            next: None,
            position: 0,
        }
    }

    /// The names of its entries, without `.` and `..`, as far as they are text; `None` if there are more than `most`, or
    /// they take more than `bytes`.
    pub(super) fn names(self, most: usize, bytes: usize) -> io::Result<Option<Vec<String>>> {
        let (mut names, mut left) = (Vec::new(), bytes);
        for entry in self.entries.skip(2) {
            let Ok(name) = String::from_utf8(entry?.name) else {
                continue;
            };
            let Some(rest) = left.checked_sub(name.len()).filter(|_| names.len() < most) else {
                return Ok(None);
            };
            left = rest;
            names.push(name);
        }
        Ok(Some(names))
    }

    /// Can it go on at the entry with this number, or has it to be opened again?
    pub(super) fn can_reach(&self, cookie: u64) -> bool {
        cookie >= self.position
    }

    /// Fills `bytes` bytes with entries from number `cookie` on. Fewer mean that these were the
    /// last; the last entry of a full buffer may be cut.
    pub(super) fn read(&mut self, cookie: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(bytes.min(64 << 10) + HEAD_BYTES);
        while buffer.len() < bytes {
            let entry = match self.next.take() {
                Some(entry) => entry,
                None => match self.entries.next() {
                    Some(entry) => entry?,
                    None => break,
                },
            };
            if self.position >= cookie {
                entry.write(self.position + 1, &mut buffer);
                if buffer.len() > bytes {
                    // It will be asked for again.
                    self.next = Some(entry);
                    break;
                }
            }
            self.position += 1;
        }
        buffer.truncate(bytes);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(buffer: &[u8]) -> Vec<(u64, String)> {
        let mut rest = buffer;
        let mut names = Vec::new();
        while rest.len() >= HEAD_BYTES {
            let next = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let len = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
            let Some(name) = rest.get(HEAD_BYTES..HEAD_BYTES + len) else {
                break;
            };
            names.push((next, String::from_utf8(name.to_vec()).unwrap()));
            rest = &rest[HEAD_BYTES + len..];
        }
        names
    }

    #[test]
    fn a_listing_comes_in_pieces_of_any_size() {
        let all: Vec<_> = (0..20).map(|i| format!("file-{i}")).collect();
        for piece in [40, 64, 100, 4096] {
            let mut listing = Listing::of_names(all.clone());
            let (mut cookie, mut seen) = (0, Vec::new());
            loop {
                assert!(listing.can_reach(cookie));
                let buffer = listing.read(cookie, piece).unwrap();
                for (next, name) in names(&buffer) {
                    cookie = next;
                    seen.push(name);
                }
                if buffer.len() < piece {
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
        let first = listing.read(0, 4096).unwrap();
        assert_eq!(names(&first).len(), 4);
        assert!(!listing.can_reach(2));
        assert!(listing.read(4, 4096).unwrap().is_empty());
        assert!(listing.read(u64::MAX, 4096).unwrap().is_empty());
    }
}
