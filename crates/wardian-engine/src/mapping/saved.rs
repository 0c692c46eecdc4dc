//! Memory that lasts from one instance to the next: what its instances have written is in a memory
//! file, of which the pages are mapped copy-on-write over those of the image.
//!
//! ```text
//! | image's file | memory file | image's file | memory file | zeros | not accessible ...
//! ```
//!
//! An instance writes to copies of its own. To [commit](SavedMemory::commit) is to move these pages
//! to the memory file, to [discard](SavedMemory::discard) is to drop them. Both take time by the
//! pages that the instance has written, however large the memory is.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap};

use super::{Reservation, pagemap};

/// The unit in which memory is mapped from the memory file: 64 KiB, so that a memory of 4 GiB stays
/// within the 65,530 mappings that a process may have.
const BLOCK: usize = 64 << 10;

/// A memory at rest, and its size in bytes.
type Resting = (Reservation, usize);

/// The place of a memory while no instance has it.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Resting>>);

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").finish_non_exhaustive()
    }
}

impl Slot {
    pub(super) fn take(&self) -> Option<Resting> {
        self.0.lock().take()
    }

    pub(super) fn put(&self, resting: Resting) {
        *self.0.lock() = Some(resting);
    }
}

thread_local! {
    /// The slot that the next memory of this thread is for.
    static NEXT: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// Takes the slot that a memory that is asked for is for.
pub(super) fn take_next() -> Option<Arc<Slot>> {
    NEXT.take()
}

/// The memory of instances that follow one another.
#[derive(Debug)]
pub struct SavedMemory {
    slot: Arc<Slot>,
    file: File,
    /// The blocks that are in the file, by their numbers. Others are as in the image, or zeros.
    blocks: BTreeSet<usize>,
    /// The size in bytes, as it was committed; `None` before the first commit.
    size: Option<usize>,
}

impl SavedMemory {
    /// A memory that is as in the guest's snapshot.
    ///
    /// # Errors
    ///
    /// If the host has no memory file for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slot: Arc::default(),
            file: memfd_create("wardian-session", MemfdFlags::CLOEXEC)?.into(),
            blocks: BTreeSet::new(),
            size: None,
        })
    }

    /// Calls `instantiate`, and gives the memory that it asks for on this thread the contents of
    /// this one.
    pub(crate) fn lend<T>(&self, instantiate: impl FnOnce() -> T) -> T {
        /// Drop guard: the next memory of this thread is nobody's, also after a panic.
        struct Lent;
        impl Drop for Lent {
            fn drop(&mut self) {
                NEXT.set(None);
            }
        }
        NEXT.set(Some(self.slot.clone()));
        let _lent = Lent;
        instantiate()
    }

    /// Returns the size in bytes; 0 before the first commit.
    pub fn size(&self) -> usize {
        self.size.unwrap_or_default()
    }

    /// Keeps what the last instance has written. Returns the count of pages.
    ///
    /// # Errors
    ///
    /// If the host has no memory for it. The memory is then of no use any more.
    pub fn commit(&mut self) -> io::Result<usize> {
        let (reservation, size) = self.slot.take().ok_or(io::ErrorKind::NotFound)?;
        self.file.set_len(size as u64)?;
        let mut bytes = 0;
        let whole = reservation.range(size);
        // Where the kernel does not say what was written to, all of it counts.
        let written = pagemap::all_written(whole.clone()).unwrap_or_else(|_| vec![whole]);
        for written in written {
            bytes += written.len();
            let start = reservation.base.as_ptr().addr();
            let mut from = written.start - start;
            let to = written.end - start;
            while from < to {
                let block = from / BLOCK;
                let end = to.min((block + 1) * BLOCK);
                if self.blocks.contains(&block) {
                    self.write(&reservation, from, end)?;
                    reservation.forget(from, end)?;
                } else {
                    let [first, last] = [block * BLOCK, size.min((block + 1) * BLOCK)];
                    self.write(&reservation, first, last)?;
                    reservation.map(first, last, &self.file)?;
                    self.blocks.insert(block);
                }
                from = end;
            }
        }
        self.size = Some(size);
        self.slot.put((reservation, size));
        Ok(bytes / rustix::param::page_size())
    }

    /// Writes the bytes from `from` to `to` to the file.
    fn write(&self, reservation: &Reservation, from: usize, to: usize) -> io::Result<()> {
        // SAFETY: the bytes are within the memory, and no instance has it.
        let bytes = unsafe {
            let at = reservation.base.as_ptr().add(from);
            std::slice::from_raw_parts(at, to - from)
        };
        self.file.write_all_at(bytes, from as u64)
    }

    /// Drops what the last instance has written: the memory is as it was committed.
    ///
    /// # Errors
    ///
    /// If the kernel refuses. The memory is then of no use any more.
    pub fn discard(&mut self) -> io::Result<()> {
        let Some((reservation, size)) = self.slot.take() else {
            return Ok(());
        };
        let committed = self.size.unwrap_or(reservation.minimum);
        reservation.forget(0, size)?;
        // SAFETY: no instance has the memory, so nothing refers to what becomes inaccessible.
        unsafe { reservation.protect(committed, size, MprotectFlags::empty()) }?;
        self.slot.put((reservation, committed));
        Ok(())
    }
}

impl Reservation {
    /// The addresses of the first `size` bytes.
    fn range(&self, size: usize) -> std::ops::Range<usize> {
        let start = self.base.as_ptr().addr();
        start..start + size
    }

    /// Drops what was written from `from` to `to`: there is again what the files have.
    fn forget(&self, from: usize, to: usize) -> io::Result<()> {
        // SAFETY: the range lies within the memory, which no instance has.
        unsafe {
            let at = self.base.as_ptr().add(from);
            madvise(at.cast(), to - from, Advice::LinuxDontNeed)?;
        }
        Ok(())
    }

    /// Maps the bytes of `file` from `from` to `to` over those of the memory.
    fn map(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the range lies within the memory, which no instance has.
        unsafe {
            let at = self.base.as_ptr().add(from);
            mmap(at.cast(), to - from, access, flags, file, from as u64)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use rand::{Rng as _, RngExt as _, SeedableRng as _};

    use super::super::Memories;
    use super::super::tests::{WASM_PAGE, bytes, memory};
    use super::*;

    /// A memory is what its last commit left, whatever was written since, and is written to again.
    #[test]
    fn a_commit_stays_and_what_is_discarded_is_gone() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::new().unwrap();
        let mut model = bytes(&mut *memory(&memories)).to_vec();
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        for round in 0..60 {
            let mut memory = saved.lend(|| memory(&memories));
            assert!(bytes(&mut *memory) == model, "round {round}");
            let mut changed = model.clone();
            if rng.random_ratio(1, 3) {
                let size = model.len() + rng.random_range(1..20) * WASM_PAGE;
                memory.grow_to(size).unwrap();
                changed.resize(size, 0);
            }
            for _ in 0..rng.random_range(0..200) {
                let len = rng.random_range(1..9_000_usize).min(changed.len());
                let at = rng.random_range(0..=changed.len() - len);
                let text = &mut bytes(&mut *memory)[at..at + len];
                rng.fill_bytes(text);
                changed[at..at + len].copy_from_slice(text);
            }
            drop(memory);
            if rng.random_ratio(2, 3) {
                saved.commit().unwrap();
                model = changed;
                assert_eq!(saved.size(), model.len());
            } else {
                saved.discard().unwrap();
            }
        }
        assert!(saved.blocks.len() * BLOCK > 1 << 20);
        assert!(
            memories.0.pool.all().len() <= 1,
            "a saved memory goes to nobody else"
        );
    }

    /// A commit takes time by what was written, not by what there is.
    #[test]
    fn a_commit_moves_the_pages_that_were_written() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::new().unwrap();
        let page = rustix::param::page_size();
        for (pages, moved) in [(2_000, 2_000), (1, 1), (0, 0), (3, 3)] {
            let mut memory = saved.lend(|| memory(&memories));
            let bytes = bytes(&mut *memory);
            for at in 0..pages {
                bytes[at * page] ^= 1;
            }
            drop(memory);
            assert_eq!(saved.commit().unwrap(), moved);
        }
    }

    /// A memory that no instance had has nothing to keep.
    #[test]
    fn there_is_nothing_to_commit_before_an_instance_was_there() {
        let mut saved = SavedMemory::new().unwrap();
        assert!(saved.commit().is_err());
        saved.discard().unwrap();
    }

    #[test]
    fn another_memory_of_the_thread_is_fresh() {
        let memories = Memories::new().unwrap();
        let saved = SavedMemory::new().unwrap();
        bytes(&mut *saved.lend(|| memory(&memories)))[0] ^= 1;
        let image = wardian_guest::IMAGE;
        assert!(bytes(&mut *memory(&memories)).starts_with(image));
        saved.lend(|| ());
        let lending = AssertUnwindSafe(|| saved.lend(|| assert!(saved.size() > 0)));
        let panicked = std::panic::catch_unwind(lending);
        assert!(panicked.is_err());
        assert!(bytes(&mut *memory(&memories)).starts_with(image));
    }
}
