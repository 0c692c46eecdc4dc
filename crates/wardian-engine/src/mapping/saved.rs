//! Memory that lasts from one instance to the next: what its instances have written is in memory
//! files, of which the pages are mapped copy-on-write over those of the image.
//!
//! ```text
//! | image's file | memory file | image's file | memory file | zeros | not accessible ...
//! ```
//!
//! An instance writes to copies of its own. To [commit](SavedMemory::commit) is to write these
//! pages to a memory file, to [discard](SavedMemory::discard) is to drop them. Both take time by
//! the pages that the instance has written, however large the memory is. Where they are few, they
//! stay where they are too, so that the next instance does not have to fault them in.
//!
//! To [freeze](SavedMemory::freeze) is to give the file to whoever goes on from there: it is
//! sealed, and what is committed later goes to another one. So a fork copies nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, munmap};

use super::contents::{BLOCK, FrozenMemory, PAGE_BYTES, new_file, seal};
use super::{KEPT_PAGES, MemoryImage, Reservation, pagemap};

/// The most files that the blocks of one memory are in when it is frozen.
const FILES: usize = 8;

/// The most ranges that are mapped from memory files in this process: a quarter of the 65,530
/// mappings that a process may have, because each splits what it lies in. Beyond, pages are copied.
const MOST_RANGES: usize = 16 << 10;

/// The ranges that are mapped from memory files.
static RANGES: AtomicUsize = AtomicUsize::new(0);

/// The count of ranges of one memory that are mapped from memory files. Drop guard: they are
/// others' afterwards.
#[derive(Default)]
pub(super) struct MappedRanges(usize);

impl MappedRanges {
    /// Changes the count, if there is room for so many.
    pub(super) fn try_set(&mut self, count: usize) -> bool {
        let counted = RANGES.try_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
            let all = all - self.0 + count;
            (count <= self.0 || all <= MOST_RANGES).then_some(all)
        });
        if counted.is_ok() {
            self.0 = count;
        }
        counted.is_ok()
    }
}

impl Drop for MappedRanges {
    fn drop(&mut self) {
        self.try_set(0);
    }
}

/// A memory at rest.
pub(super) struct Resting {
    pub(super) reservation: Reservation,
    /// The size in bytes.
    pub(super) size: usize,
    /// The ranges of bytes that hold what is in the files without being mapped from them: pages
    /// that were written, and stay where they are.
    pub(super) kept: Vec<Range<usize>>,
}

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

/// A memory that is asked for by an instance.
pub(super) struct Lent {
    /// The place where it goes afterwards, if it lasts.
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) contents: FrozenMemory,
}

thread_local! {
    /// The memory that is for the next instance of this thread.
    static NEXT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

impl Lent {
    /// Calls `instantiate`, and gives this to the memory that it asks for on this thread.
    fn while_asked<T>(self, instantiate: impl FnOnce() -> T) -> T {
        /// Drop guard: the next memory of this thread is nobody's, also after a panic.
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) {
                NEXT.set(None);
            }
        }
        NEXT.set(Some(self));
        let _guard = Guard;
        instantiate()
    }
}

/// Calls `instantiate`, and lets the memory that it asks for on this thread start as `image`.
pub(crate) fn lend<T>(image: &MemoryImage, instantiate: impl FnOnce() -> T) -> T {
    let lent = Lent {
        slot: None,
        contents: FrozenMemory::of(image),
    };
    lent.while_asked(instantiate)
}

/// Takes the memory that is for the instance that asks.
pub(super) fn take_next() -> Option<Lent> {
    NEXT.take()
}

/// The memory file of one memory, which it alone writes to, as bytes too: to bring them up to date
/// takes no system call.
#[derive(Debug)]
struct OwnFile {
    file: Arc<File>,
    /// Shared with the file, and as long.
    bytes: NonNull<c_void>,
    len: usize,
}

// SAFETY: nothing else refers to the mapping; whose thread writes to it does not matter.
unsafe impl Send for OwnFile {}
// SAFETY: as above; through a shared reference it only tells its file.
unsafe impl Sync for OwnFile {}

impl OwnFile {
    fn new(len: usize) -> io::Result<Self> {
        let file = new_file()?;
        let bytes = Self::map(&file, len)?;
        Ok(Self {
            file: Arc::new(file),
            bytes,
            len,
        })
    }

    /// Gives the file this length, and maps it.
    fn map(file: &File, len: usize) -> io::Result<NonNull<c_void>> {
        file.set_len(len as u64)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let bytes = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, file, 0) }?;
        NonNull::new(bytes).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn resize(&mut self, len: usize) -> io::Result<()> {
        if len != self.len {
            let bytes = Self::map(&self.file, len)?;
            self.unmap();
            (self.bytes, self.len) = (bytes, len);
        }
        Ok(())
    }

    fn unmap(&self) {
        // SAFETY: nothing refers to the mapping, which is this file's alone. Nothing could be done
        // about a failure.
        let _ = unsafe { munmap(self.bytes.as_ptr(), self.len) };
    }

    /// Brings the bytes from `from` on up to date. The file has to have pages there already: that
    /// it can't get one would end this process. Returns the count of bytes of pages that differed.
    fn update(&mut self, from: usize, bytes: &[u8]) -> io::Result<usize> {
        if from + bytes.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: the range lies within the mapping, and nothing else refers to it.
        let own = unsafe {
            let at = self.bytes.as_ptr().cast::<u8>().add(from);
            std::slice::from_raw_parts_mut(at, bytes.len())
        };
        let mut updated = 0;
        for (own, page) in own.chunks_mut(PAGE_BYTES).zip(bytes.chunks(PAGE_BYTES)) {
            if own != page {
                own.copy_from_slice(page);
                updated += page.len();
            }
        }
        Ok(updated)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        self.unmap();
    }
}

/// The memory of instances that follow one another.
#[derive(Debug, Default)]
pub struct SavedMemory {
    slot: Arc<Slot>,
    /// The contents that were committed.
    contents: FrozenMemory,
    /// The file for what is committed next; `None` until there is something.
    own: Option<OwnFile>,
    /// The blocks that are mapped from that file.
    mapped: BTreeSet<usize>,
}

impl SavedMemory {
    /// A memory that starts with these contents.
    pub fn new(contents: FrozenMemory) -> Self {
        Self {
            slot: Arc::default(),
            contents,
            ..Self::default()
        }
    }

    /// Calls `instantiate`, and gives the memory that it asks for on this thread the contents of
    /// this one.
    pub(crate) fn lend<T>(&self, instantiate: impl FnOnce() -> T) -> T {
        let lent = Lent {
            slot: Some(self.slot.clone()),
            contents: self.contents.clone(),
        };
        lent.while_asked(instantiate)
    }

    /// Returns what was committed.
    pub fn contents(&self) -> &FrozenMemory {
        &self.contents
    }

    /// Returns the bytes of the host's memory that this takes if it is committed now, if those are
    /// more than `allowed`.
    pub fn exceeds(&self, allowed: usize) -> Option<usize> {
        let slot = self.slot.0.lock();
        let Resting {
            reservation, size, ..
        } = slot.as_ref()?;
        // It never takes more than all of it.
        if *size <= allowed {
            return None;
        }
        let whole = reservation.range(*size);
        let written = pagemap::all_written(whole.clone()).unwrap_or_else(|_| vec![whole]);
        let start = reservation.base.as_ptr().addr();
        let mut blocks: BTreeSet<_> = self.contents.blocks.keys().copied().collect();
        for written in written {
            blocks.extend((written.start - start) / BLOCK..(written.end - start).div_ceil(BLOCK));
        }
        Some(blocks.len() * BLOCK).filter(|bytes| *bytes > allowed)
    }

    /// Keeps what the last instance has written. Returns the count of pages in which the file has
    /// changed.
    ///
    /// # Errors
    ///
    /// If the host has no memory for it. The memory is then of no use any more.
    pub fn commit(&mut self) -> io::Result<usize> {
        let Resting {
            mut reservation,
            size,
            ..
        } = self.slot.take().ok_or(io::ErrorKind::NotFound)?;
        let own = match &mut self.own {
            Some(own) => own,
            None => {
                self.mapped.clear();
                self.own.insert(OwnFile::new(size)?)
            }
        };
        own.resize(size)?;
        let start = reservation.base.as_ptr().addr();
        let whole = reservation.range(size);
        let few = pagemap::written(whole.clone(), KEPT_PAGES).ok().flatten();
        let mut stays = few.is_some();
        // Where the kernel does not say what was written to, all of it counts.
        let written = few
            .or_else(|| pagemap::all_written(whole.clone()).ok())
            .unwrap_or_else(|| vec![whole]);
        let ranges = self.contents.ranges().len() + written.len();
        stays = stays || !reservation.mapped.try_set(ranges);
        let blocks = Arc::make_mut(&mut self.contents.blocks);
        let (mut bytes, mut kept) = (0, Vec::new());
        for written in written {
            let written = written.start - start..written.end - start;
            let mut from = written.start;
            while from < written.end {
                let block = from / BLOCK;
                let end = written.end.min((block + 1) * BLOCK);
                let [first, last] = [block * BLOCK, size.min((block + 1) * BLOCK)];
                let is_own = blocks
                    .get(&block)
                    .is_some_and(|file| Arc::ptr_eq(file, &own.file));
                let is_mapped = is_own && self.mapped.contains(&block);
                if is_own && (stays || is_mapped) {
                    // SAFETY: the bytes are within the memory, which no instance has.
                    bytes += own.update(from, unsafe { reservation.bytes(from, end) })?;
                } else {
                    reservation.write(first, last, &own.file)?;
                    blocks.insert(block, own.file.clone());
                    bytes += end - from;
                }
                // Where pages stay, the rest of their block is as in the file it is mapped from.
                if is_mapped && !stays {
                    reservation.forget(from, end)?;
                } else if !stays {
                    reservation.map(first, last, &own.file)?;
                    self.mapped.insert(block);
                }
                from = end;
            }
            if stays {
                kept.push(written);
            }
        }
        self.contents.size = Some(size);
        if !stays {
            // Those beside each other are one.
            reservation.mapped.try_set(self.contents.ranges().len());
        }
        self.slot.put(Resting {
            reservation,
            size,
            kept,
        });
        Ok(bytes / rustix::param::page_size())
    }

    /// Drops what the last instance has written: the memory is as it was committed.
    ///
    /// # Errors
    ///
    /// If the kernel refuses. The memory is then of no use any more.
    pub fn discard(&mut self) -> io::Result<()> {
        let Some(Resting {
            reservation,
            size,
            kept,
        }) = self.slot.take()
        else {
            return Ok(());
        };
        let committed = self.contents.size.unwrap_or(reservation.minimum);
        reservation.forget(0, size)?;
        // SAFETY: no instance has the memory, so nothing refers to what becomes inaccessible.
        unsafe { reservation.protect(committed, size, MprotectFlags::empty()) }?;
        for range in &kept {
            for from in range.clone().step_by(PAGE_BYTES) {
                let file = self.contents.blocks.get(&(from / BLOCK));
                let file = file.ok_or(io::ErrorKind::NotFound)?;
                reservation.read(from, range.end.min(from + PAGE_BYTES), file)?;
            }
        }
        self.slot.put(Resting {
            reservation,
            size: committed,
            kept,
        });
        Ok(())
    }

    /// Returns the contents for others to go on with. They share the pages.
    ///
    /// # Errors
    ///
    /// If the kernel refuses. Nothing has changed then.
    pub fn freeze(&mut self) -> io::Result<FrozenMemory> {
        // What a file holds stays as long as one of its blocks is in use.
        let files: BTreeSet<_> = self.contents.blocks.values().map(Arc::as_ptr).collect();
        if files.len() > FILES {
            return self.copy();
        }
        if let Some(own) = self.own.take() {
            let file = own.file.clone();
            // What can be written to can't be sealed.
            drop(own);
            seal(&file)?;
        }
        Ok(self.contents.clone())
    }

    /// Goes on in one file with everything that is beside the image.
    fn copy(&mut self) -> io::Result<FrozenMemory> {
        let file = new_file()?;
        file.set_len(self.contents.size() as u64)?;
        self.contents.copy_blocks(&file)?;
        seal(&file)?;
        let file = Arc::new(file);
        let blocks = self.contents.blocks.keys();
        let blocks = blocks.map(|number| (*number, file.clone())).collect();
        // What is mapped is of the files before.
        drop(self.slot.take());
        (self.contents.blocks, self.own) = (Arc::new(blocks), None);
        Ok(self.contents.clone())
    }
}

impl Reservation {
    /// The addresses of the first `size` bytes.
    fn range(&self, size: usize) -> Range<usize> {
        let start = self.base.as_ptr().addr();
        start..start + size
    }

    /// The bytes from `from` to `to`.
    ///
    /// # Safety
    ///
    /// They are within the memory, and no instance has it as long as the bytes are referred to.
    pub(super) unsafe fn bytes(&self, from: usize, to: usize) -> &[u8] {
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(from), to - from) }
    }

    /// Writes the bytes from `from` to `to` to the same place in `file`.
    fn write(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
        // SAFETY: the bytes are within the memory, which no instance has.
        file.write_all_at(unsafe { self.bytes(from, to) }, from as u64)
    }

    /// Reads the bytes from `from` to `to` from the same place in `file`.
    pub(super) fn read(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
        // SAFETY: the bytes are within the memory, which no instance has.
        let bytes = unsafe {
            let at = self.base.as_ptr().add(from);
            std::slice::from_raw_parts_mut(at, to - from)
        };
        file.read_exact_at(bytes, from as u64)
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
    pub(super) fn map(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
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

    use super::super::contents::WASM_PAGE;
    use super::super::tests::{bytes, memory};
    use super::super::{Memories, MemoryWriter};
    use super::*;

    /// A memory is what its last commit left, whatever was written since, and is written to again.
    #[test]
    fn a_commit_stays_and_what_is_discarded_is_gone() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::default();
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
                assert_eq!(saved.contents().size(), model.len());
            } else {
                saved.discard().unwrap();
            }
        }
        assert!(saved.contents().host_bytes() > 1 << 20);
        assert!(
            memories.linked.pool().all().len() <= 1,
            "a saved memory goes to nobody else"
        );
    }

    /// A commit takes time by what was written, not by what there is.
    #[test]
    fn a_commit_moves_the_pages_that_were_written() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::default();
        let page = rustix::param::page_size();
        for (pages, moved) in [
            (2_000, 2_000),
            (1, 1),
            (0, 0),
            (3, 3),
            (1_999, 1_999),
            (0, 0),
        ] {
            let mut memory = saved.lend(|| memory(&memories));
            let bytes = bytes(&mut *memory);
            for at in 0..pages {
                bytes[at * page] ^= 1;
            }
            drop(memory);
            assert_eq!(saved.commit().unwrap(), moved);
        }
    }

    /// Frozen contents stay, whoever goes on from it, however often.
    #[test]
    fn forks_go_their_own_ways() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::default();
        let mut frozen: Vec<(FrozenMemory, Vec<u8>)> = Vec::new();
        let mut rng = rand::rngs::StdRng::seed_from_u64(3);
        for round in 0..40 {
            let mut memory = saved.lend(|| memory(&memories));
            let len = memory.byte_size();
            let own = bytes(&mut *memory);
            for _ in 0..20 {
                let at = rng.random_range(0..len - 5_000);
                rng.fill_bytes(&mut own[at..at + 5_000]);
            }
            let model = own.to_vec();
            drop(memory);
            saved.commit().unwrap();
            frozen.push((saved.freeze().unwrap(), model));
            let files: BTreeSet<_> = saved.contents().blocks.values().map(Arc::as_ptr).collect();
            assert!(files.len() <= FILES + 1, "round {round}");
            if rng.random_ratio(1, 4) {
                let from = rng.random_range(0..frozen.len());
                saved = SavedMemory::new(frozen[from].0.clone());
            }
        }
        for (contents, model) in &frozen {
            let fork = SavedMemory::new(contents.clone());
            assert!(bytes(&mut *fork.lend(|| memory(&memories))) == model);
            // And as pages, to another place.
            let mut copy = MemoryWriter::new(contents.size()).unwrap();
            let mut pages = contents.pages();
            while let Some((number, page)) = pages.next_page().unwrap() {
                copy.write(number, page).unwrap();
            }
            let copy = SavedMemory::new(copy.finish().unwrap());
            assert!(bytes(&mut *copy.lend(|| memory(&memories))) == model);
        }
    }

    /// Pages are copied, and everything else is the same, when a process has no room for mappings.
    #[test]
    fn many_pages_apart_take_no_mappings() {
        let memories = Memories::new().unwrap();
        let start = wardian_guest::IMAGE.len().next_multiple_of(WASM_PAGE);
        let places = || (0..MOST_RANGES + 2_000).map(|n| start + n * 2 * BLOCK);
        let size = (start + (MOST_RANGES + 2_000) * 2 * BLOCK).next_multiple_of(WASM_PAGE);
        let go_on = |saved: &SavedMemory, expected: u8, value: u8| {
            let mut memory = saved.lend(|| memory(&memories));
            memory.grow_to(size).unwrap();
            let own = bytes(&mut *memory);
            assert!(places().all(|at| own[at] == expected));
            places().for_each(|at| own[at] = value);
        };
        let mut saved = SavedMemory::default();
        go_on(&saved, 0, 1);
        saved.commit().unwrap();
        let fork = SavedMemory::new(saved.freeze().unwrap());
        go_on(&saved, 1, 2);
        saved.discard().unwrap();
        go_on(&saved, 1, 3);
        saved.commit().unwrap();
        go_on(&saved, 3, 4);
        go_on(&fork, 1, 5);
        assert!(RANGES.load(Ordering::Relaxed) <= MOST_RANGES);
    }

    /// A memory that no instance had has nothing to keep.
    #[test]
    fn there_is_nothing_to_commit_before_an_instance_was_there() {
        let mut saved = SavedMemory::default();
        assert!(saved.commit().is_err());
        saved.discard().unwrap();
    }

    #[test]
    fn another_memory_of_the_thread_is_fresh() {
        let memories = Memories::new().unwrap();
        let saved = SavedMemory::default();
        bytes(&mut *saved.lend(|| memory(&memories)))[0] ^= 1;
        let image = wardian_guest::IMAGE;
        assert!(bytes(&mut *memory(&memories)).starts_with(image));
        saved.lend(|| ());
        let lending = AssertUnwindSafe(|| saved.lend(|| panic!()));
        let panicked = std::panic::catch_unwind(lending);
        assert!(panicked.is_err());
        assert!(bytes(&mut *memory(&memories)).starts_with(image));
    }
}
