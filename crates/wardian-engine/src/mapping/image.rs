//! Images: what memories start as. The one that is linked in, and those that are made of it.

use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use procfs::process::{MMapPath, Process};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use wardian_guest::IMAGE;

use super::Reservation;
use super::contents::{FrozenMemory, new_file, seal};
use super::pool::Pool;

/// The contents that memories start with, mapped once and shared by all of them, copy-on-write.
/// Clones are the same image.
#[derive(Clone)]
pub struct MemoryImage(Arc<Inner>);

struct Inner {
    /// A file that holds the image.
    file: OwnedFd,
    /// The image's place in the file, in bytes.
    offset: u64,
    bytes: Bytes,
    /// Memories that are as in the image.
    pool: Pool<Reservation>,
}

/// The image, to be read.
enum Bytes {
    /// A part of this executable.
    Linked,
    /// A mapping of the file, for reading only.
    Mapped(NonNull<c_void>, usize),
}

// SAFETY: nothing writes to the mapping, whose file is sealed; whose thread unmaps it does not
// matter.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Self::Mapped(start, len) = self {
            // SAFETY: the mapping is this image's, and goes with it. Nothing could be done about a
            // failure.
            let _ = unsafe { munmap(start.as_ptr(), *len) };
        }
    }
}

impl fmt::Debug for MemoryImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryImage")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl MemoryImage {
    fn new(file: OwnedFd, offset: u64, bytes: Bytes) -> Self {
        Self(Arc::new(Inner {
            file,
            offset,
            bytes,
            pool: Pool::default(),
        }))
    }

    /// The image that is linked in: of an interpreter that has run nothing.
    pub(super) fn linked() -> io::Result<Self> {
        let (file, offset) = match own_file() {
            Some(found) => found,
            None => (copy(|file| file.write_all_at(IMAGE, 0))?, 0),
        };
        Ok(Self::new(file, offset, Bytes::Linked))
    }

    /// An image of these contents. Takes as much memory of the host's as they have, once.
    ///
    /// # Errors
    ///
    /// If the host has no memory for it.
    pub fn of(contents: &FrozenMemory) -> io::Result<Self> {
        let len = contents.size();
        let file = copy(|file| {
            file.set_len(len as u64)?;
            contents.write_to(file)
        })?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self::new(file, 0, Bytes::Mapped(start, len)))
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes().len()
    }

    /// Returns its bytes. Memory beyond them is zeros at first.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0.bytes {
            Bytes::Linked => IMAGE,
            // SAFETY: the mapping lasts as long as the image, and nothing writes to it.
            Bytes::Mapped(start, len) => unsafe {
                std::slice::from_raw_parts(start.as_ptr().cast(), *len)
            },
        }
    }

    pub(super) fn pool(&self) -> &Pool<Reservation> {
        &self.0.pool
    }

    /// Maps it at `at`, copy-on-write.
    ///
    /// # Safety
    ///
    /// Nothing refers to what is there, which is a mapping of at least its length.
    pub(super) unsafe fn map(&self, at: *mut c_void) -> io::Result<()> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let over = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: by the caller's promise.
        unsafe {
            mmap(
                at,
                self.bytes().len(),
                access,
                over,
                &self.0.file,
                self.0.offset,
            )
        }?;
        Ok(())
    }
}

/// The file that the linked image was mapped from, if it is still to be had.
fn own_file() -> Option<(OwnedFd, u64)> {
    let start = IMAGE.as_ptr().addr() as u64;
    let end = start + IMAGE.len() as u64;
    let maps = Process::myself().ok()?.maps().ok()?;
    let map = maps
        .into_iter()
        .find(|map| map.address.0 <= start && end <= map.address.1)?;
    let offset = map.offset + (start - map.address.0);
    let MMapPath::Path(path) = map.pathname else {
        return None;
    };
    // The link survives a replaced executable; the path is for when this is a library.
    [PathBuf::from("/proc/self/exe"), path]
        .iter()
        .find_map(|path| {
            let file = File::open(path).ok()?;
            let same = file.metadata().ok()?.ino() == map.inode && holds_image(&file, offset)?;
            same.then(|| (file.into(), offset))
        })
}

/// Does `file` hold the image's first and last page where they should be?
fn holds_image(file: &File, offset: u64) -> Option<bool> {
    let page = rustix::param::page_size();
    for at in [0, IMAGE.len().checked_sub(page)?] {
        let mut bytes = vec![0; page];
        file.read_exact_at(&mut bytes, offset + at as u64).ok()?;
        if IMAGE.get(at..at + page)? != bytes {
            return Some(false);
        }
    }
    Some(true)
}

/// A memory file that `write` has written to, and nobody can from here on.
fn copy(write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<OwnedFd> {
    let file = new_file()?;
    write(&file)?;
    seal(&file)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::super::Memories;
    use super::super::saved::{SavedMemory, lend};
    use super::super::tests::{WASM_PAGE, bytes, check, memory};
    use super::*;

    #[test]
    fn a_memory_starts_as_the_image_whatever_was_in_it_before() {
        let (file, offset) = own_file().expect("tests run from a file");
        check(&Memories::of(MemoryImage::new(file, offset, Bytes::Linked)));
    }

    #[test]
    fn so_it_does_from_a_sealed_copy() {
        let sealed = || copy(|file| file.write_all_at(IMAGE, 0)).unwrap();
        check(&Memories::of(MemoryImage::new(sealed(), 0, Bytes::Linked)));
        let file = File::from(sealed());
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
    }

    /// A memory starts as an image of contents, whatever was in it before, and is used again for
    /// that image only. What lasts from one instance to the next is beside the image.
    #[test]
    fn memories_start_as_an_image_of_contents() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::default();
        let mut first = saved.lend(|| memory(&memories));
        let grown = first.byte_size() + 5 * WASM_PAGE;
        first.grow_to(grown).unwrap();
        let own = bytes(&mut *first);
        for at in [0, 9_000, IMAGE.len() - 1, grown - 70_000, grown - 1] {
            own[at] ^= 0x5a;
        }
        let model = own.to_vec();
        drop(first);
        saved.commit().unwrap();
        let image = MemoryImage::of(&saved.freeze().unwrap()).unwrap();
        assert!(image.bytes() == model);
        for round in 0..4 {
            let mut memory = lend(&image, || memory(&memories));
            assert!(bytes(&mut *memory) == model, "round {round}");
            bytes(&mut *memory)[round * 100_000..][..5_000 * round].fill(7);
            memory.grow_to(grown + WASM_PAGE).unwrap();
            assert!(bytes(&mut *memory)[grown..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(image.pool().all().len(), 1, "it is used again");
        assert!(bytes(&mut *memory(&memories)).starts_with(IMAGE));

        let mut session = SavedMemory::new(FrozenMemory::of(&image));
        for round in 1..4 {
            let mut memory = session.lend(|| memory(&memories));
            bytes(&mut *memory)[grown - 1] = round;
            drop(memory);
            session.commit().unwrap();
        }
        assert!(
            session.contents().host_bytes() < 100_000,
            "what differs from the image"
        );
        let mut changed = session.lend(|| memory(&memories));
        bytes(&mut *changed).fill(9);
        drop(changed);
        session.discard().unwrap();
        let mut expected = model.clone();
        expected[grown - 1] = 3;
        let frozen = session.freeze().unwrap();
        for contents in [
            frozen.clone(),
            FrozenMemory::of(&MemoryImage::of(&frozen).unwrap()),
        ] {
            let saved = SavedMemory::new(contents.clone());
            assert!(bytes(&mut *saved.lend(|| memory(&memories))) == expected);
            // As pages, they are whole without the image.
            let mut copy = super::super::MemoryWriter::new(contents.size()).unwrap();
            let mut pages = contents.pages();
            while let Some((number, page)) = pages.next_page().unwrap() {
                copy.write(number, page).unwrap();
            }
            let copy = SavedMemory::new(copy.finish().unwrap());
            assert!(bytes(&mut *copy.lend(|| memory(&memories))) == expected);
        }
    }
}
