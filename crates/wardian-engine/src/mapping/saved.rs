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
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap};
use wardian_guest::IMAGE;

use super::{KEPT_PAGES, Reservation, pagemap};

/// The unit in which memory is mapped from the memory file: 32 KiB, so that a memory of 2 GiB,
/// which is the most that a policy allows, takes half of the 65,530 mappings that a process may
/// have at worst.
const BLOCK: usize = 32 << 10;

/// The unit in which WebAssembly has memory.
const WASM_PAGE: usize = 64 << 10;

/// The most files that the blocks of one memory are in when it is frozen.
const FILES: usize = 8;

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

/// A memory that is asked for by an instance.
pub(super) struct Lent {
    pub(super) slot: Arc<Slot>,
    pub(super) contents: FrozenMemory,
}

thread_local! {
    /// The memory that is for the next instance of this thread.
    static NEXT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

/// Takes the memory that is for the instance that asks.
pub(super) fn take_next() -> Option<Lent> {
    NEXT.take()
}

/// The contents of a memory at one moment, which nothing changes any more. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct FrozenMemory {
    /// The files of the blocks that differ from the image, by their numbers. Others are as in the
    /// image, or zeros. A block has the same place in its file as in memory.
    blocks: Arc<BTreeMap<usize, Arc<File>>>,
    /// The size in bytes; `None` for that of the image's memory.
    size: Option<usize>,
}

/// The bytes of a page in what [`FrozenMemory::pages`] lists: those of WebAssembly's are larger.
pub const PAGE_BYTES: usize = 4 << 10;

impl FrozenMemory {
    /// Returns the size in bytes; 0 if nothing was ever committed.
    pub fn size(&self) -> usize {
        self.size.unwrap_or_default()
    }

    /// Returns the bytes of the host's memory that it takes.
    pub fn host_bytes(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// Returns a cursor over the pages that differ from the image, in order: over the differences,
    /// which are mostly zeros where little was changed.
    pub fn pages(&self) -> Pages {
        Pages {
            contents: self.clone(),
            next_block: 0,
            block: Vec::with_capacity(BLOCK),
            start: 0,
            next: 0,
        }
    }

    /// The ranges of bytes that are in one file each, with the file.
    fn ranges(&self) -> Vec<(usize, usize, &Arc<File>)> {
        let mut ranges: Vec<(usize, usize, &Arc<File>)> = Vec::new();
        for (number, file) in self.blocks.iter() {
            let (start, end) = (number * BLOCK, self.size().min((number + 1) * BLOCK));
            match ranges.last_mut() {
                Some((_, last, of)) if *last == start && Arc::ptr_eq(of, file) => *last = end,
                _ => ranges.push((start, end, file)),
            }
        }
        ranges
    }

    /// Puts the contents into a fresh memory. Returns its size.
    pub(super) fn map_into(&self, fresh: &Reservation) -> io::Result<usize> {
        let size = self.size.unwrap_or(fresh.minimum);
        if size < fresh.minimum || size > fresh.capacity {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: nothing becomes inaccessible.
        unsafe { fresh.protect(fresh.minimum, size, access) }?;
        for (start, end, file) in self.ranges() {
            fresh.map(start, end, file)?;
        }
        Ok(size)
    }

    /// Returns the position of the first byte that differs in `memory`, which no instance has.
    pub(super) fn difference(
        &self,
        memory: &Reservation,
        size: usize,
    ) -> io::Result<Option<usize>> {
        if size != self.size.unwrap_or(memory.minimum) {
            return Ok(Some(size));
        }
        let mut expected = vec![0; BLOCK];
        for start in (0..size).step_by(BLOCK) {
            let len = BLOCK.min(size - start);
            // SAFETY: the bytes are within the memory, and no instance has it.
            let bytes = unsafe { memory.bytes(start, start + len) };
            let differs = match self.blocks.get(&(start / BLOCK)) {
                Some(file) => {
                    let expected = expected.get_mut(..len).unwrap_or_default();
                    file.read_exact_at(expected, start as u64)?;
                    bytes != expected
                }
                None => !is_as_in_image(start, bytes),
            };
            if differs {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }
}

/// A cursor over the pages of a memory that differ from the image: over each one's bytes, XOR those
/// of the image.
#[derive(Debug)]
pub struct Pages {
    contents: FrozenMemory,
    /// The least number that the next block can have.
    next_block: usize,
    /// The bytes of the block that was read last, and the position of its start.
    block: Vec<u8>,
    start: usize,
    /// The place in it of the next page.
    next: usize,
}

impl Pages {
    /// Returns the number and the difference of the next page; `None` after the last.
    ///
    /// # Errors
    ///
    /// If the memory file can't be read.
    pub fn next_page(&mut self) -> io::Result<Option<(u32, &[u8])>> {
        loop {
            while self.next < self.block.len() {
                let range = self.next..self.next + PAGE_BYTES;
                let at = self.start + self.next;
                self.next = range.end;
                let page = self.block.get(range.clone()).unwrap_or_default();
                if !is_as_in_image(at, page) {
                    let number = u32::try_from(at / PAGE_BYTES).map_err(io::Error::other)?;
                    let page = self.block.get_mut(range).unwrap_or_default();
                    xor_image(at, page);
                    return Ok(Some((number, page)));
                }
            }
            let blocks = &self.contents.blocks;
            let Some((number, file)) = blocks.range(self.next_block..).next() else {
                return Ok(None);
            };
            (self.next_block, self.start, self.next) = (number + 1, number * BLOCK, 0);
            let len = self.contents.size().saturating_sub(self.start).min(BLOCK);
            self.block.resize(len, 0);
            file.read_exact_at(&mut self.block, self.start as u64)?;
        }
    }
}

/// Returns whether the image has these bytes at `at`, and zeros beyond its end.
fn is_as_in_image(at: usize, bytes: &[u8]) -> bool {
    let image = image_from(at, bytes.len());
    let (first, rest) = bytes.split_at(image.len());
    first == image && rest.iter().all(|byte| *byte == 0)
}

/// Makes of bytes at `at` their difference from the image, or the other way round.
fn xor_image(at: usize, bytes: &mut [u8]) {
    let image = image_from(at, bytes.len());
    for (byte, of_image) in bytes.iter_mut().zip(image) {
        *byte ^= of_image;
    }
}

/// The image's bytes from `at` on, at most `len`.
fn image_from(at: usize, len: usize) -> &'static [u8] {
    let end = IMAGE.len().min(at.saturating_add(len));
    IMAGE.get(at..end).unwrap_or_default()
}

/// Makes the contents of a memory page by page.
#[derive(Debug)]
pub struct MemoryWriter {
    file: File,
    blocks: BTreeSet<usize>,
    size: usize,
}

impl MemoryWriter {
    /// A memory of `size` bytes, as in the image as far as that goes.
    ///
    /// # Errors
    ///
    /// If the host has no memory file for it, or no guest has a memory of this size.
    pub fn new(size: usize) -> io::Result<Self> {
        if !size.is_multiple_of(WASM_PAGE) || size < IMAGE.len() || size > u32::MAX as usize + 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("no memory has {size} bytes"),
            ));
        }
        let file = new_file()?;
        file.set_len(size as u64)?;
        Ok(Self {
            file,
            blocks: BTreeSet::new(),
            size,
        })
    }

    /// Writes a page, of which this is the difference from the image.
    ///
    /// # Errors
    ///
    /// If it is beyond the end or no page, or the host has no memory for it.
    pub fn write(&mut self, page: u32, difference: &[u8]) -> io::Result<()> {
        let at = page as usize * PAGE_BYTES;
        let mut bytes = [0; PAGE_BYTES];
        if at >= self.size || difference.len() != bytes.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the memory has no page {page} of {} bytes",
                    difference.len()
                ),
            ));
        }
        bytes.copy_from_slice(difference);
        xor_image(at, &mut bytes);
        let block = at / BLOCK;
        if self.blocks.insert(block) {
            let start = block * BLOCK;
            self.file
                .write_all_at(image_from(start, BLOCK), start as u64)?;
        }
        self.file.write_all_at(&bytes, at as u64)
    }

    /// Returns the memory.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to seal the file.
    pub fn finish(self) -> io::Result<FrozenMemory> {
        seal(&self.file)?;
        let file = Arc::new(self.file);
        let blocks = self.blocks.into_iter().map(|block| (block, file.clone()));
        Ok(FrozenMemory {
            blocks: Arc::new(blocks.collect()),
            size: Some(self.size),
        })
    }
}

/// Makes a memory file.
fn new_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("wardian-session", flags)?.into())
}

/// Keeps everybody from changing a file.
fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(fcntl_add_seals(file, seals)?)
}

/// The memory of instances that follow one another.
#[derive(Debug, Default)]
pub struct SavedMemory {
    slot: Arc<Slot>,
    /// The contents that were committed.
    contents: FrozenMemory,
    /// The file for what is committed next; `None` until there is something.
    own: Option<Arc<File>>,
    /// The blocks that are mapped from that file.
    mapped: BTreeSet<usize>,
    /// The ranges of bytes that hold what is in the files without being mapped from them: pages
    /// that were written, and stay where they are.
    kept: Vec<Range<usize>>,
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
        /// Drop guard: the next memory of this thread is nobody's, also after a panic.
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) {
                NEXT.set(None);
            }
        }
        NEXT.set(Some(Lent {
            slot: self.slot.clone(),
            contents: self.contents.clone(),
        }));
        let _guard = Guard;
        instantiate()
    }

    /// Returns what was committed.
    pub fn contents(&self) -> &FrozenMemory {
        &self.contents
    }

    /// Returns the bytes of the host's memory that this takes if it is committed now, if those are
    /// more than `allowed`.
    pub fn exceeds(&self, allowed: usize) -> Option<usize> {
        let slot = self.slot.0.lock();
        let (reservation, size) = slot.as_ref()?;
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

    /// Keeps what the last instance has written. Returns the count of pages that were written to
    /// the file.
    ///
    /// # Errors
    ///
    /// If the host has no memory for it. The memory is then of no use any more.
    pub fn commit(&mut self) -> io::Result<usize> {
        let (reservation, size) = self.slot.take().ok_or(io::ErrorKind::NotFound)?;
        let own = match &self.own {
            Some(own) => own.clone(),
            None => {
                self.mapped.clear();
                self.own.insert(Arc::new(new_file()?)).clone()
            }
        };
        own.set_len(size as u64)?;
        let blocks = Arc::make_mut(&mut self.contents.blocks);
        let start = reservation.base.as_ptr().addr();
        let whole = reservation.range(size);
        let few = pagemap::written(whole.clone(), KEPT_PAGES).ok().flatten();
        let are_few = few.is_some();
        // Where the kernel does not say what was written to, all of it counts.
        let written = few
            .or_else(|| pagemap::all_written(whole.clone()).ok())
            .unwrap_or_else(|| vec![whole]);
        let mut bytes = 0;
        self.kept.clear();
        for written in written {
            bytes += written.len();
            let written = written.start - start..written.end - start;
            let mut from = written.start;
            while from < written.end {
                let block = from / BLOCK;
                let end = written.end.min((block + 1) * BLOCK);
                let [first, last] = [block * BLOCK, size.min((block + 1) * BLOCK)];
                let is_own = blocks
                    .get(&block)
                    .is_some_and(|file| Arc::ptr_eq(file, &own));
                let is_mapped = is_own && self.mapped.contains(&block);
                if is_own && (are_few || is_mapped) {
                    reservation.write(from, end, &own)?;
                } else {
                    reservation.write(first, last, &own)?;
                    blocks.insert(block, own.clone());
                }
                // Few pages stay where they are; the rest of their block is as in the file that it
                // is mapped from.
                if is_mapped && !are_few {
                    reservation.forget(from, end)?;
                } else if !are_few {
                    reservation.map(first, last, &own)?;
                    self.mapped.insert(block);
                }
                from = end;
            }
            if are_few {
                self.kept.push(written);
            }
        }
        self.contents.size = Some(size);
        self.slot.put((reservation, size));
        Ok(bytes / rustix::param::page_size())
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
        let committed = self.contents.size.unwrap_or(reservation.minimum);
        reservation.forget(0, size)?;
        // SAFETY: no instance has the memory, so nothing refers to what becomes inaccessible.
        unsafe { reservation.protect(committed, size, MprotectFlags::empty()) }?;
        for kept in &self.kept {
            for from in kept.clone().step_by(PAGE_BYTES) {
                let file = self.contents.blocks.get(&(from / BLOCK));
                let file = file.ok_or(io::ErrorKind::NotFound)?;
                reservation.read(from, kept.end.min(from + PAGE_BYTES), file)?;
            }
        }
        self.slot.put((reservation, committed));
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
            seal(&own)?;
        }
        Ok(self.contents.clone())
    }

    /// Goes on in one file with everything.
    fn copy(&mut self) -> io::Result<FrozenMemory> {
        let mut copy = MemoryWriter::new(self.contents.size())?;
        let mut pages = self.contents.pages();
        while let Some((number, page)) = pages.next_page()? {
            copy.write(number, page)?;
        }
        // What is mapped is of the files before.
        drop(self.slot.take());
        self.kept.clear();
        (self.contents, self.own) = (copy.finish()?, None);
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
    unsafe fn bytes(&self, from: usize, to: usize) -> &[u8] {
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(from), to - from) }
    }

    /// Writes the bytes from `from` to `to` to the same place in `file`.
    fn write(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
        // SAFETY: the bytes are within the memory, which no instance has.
        file.write_all_at(unsafe { self.bytes(from, to) }, from as u64)
    }

    /// Reads the bytes from `from` to `to` from the same place in `file`.
    fn read(&self, from: usize, to: usize, file: &File) -> io::Result<()> {
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
    use super::super::tests::{bytes, memory};
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
            memories.0.pool.all().len() <= 1,
            "a saved memory goes to nobody else"
        );
    }

    /// A commit takes time by what was written, not by what there is. A few pages that were written
    /// are written again: they stay where they are.
    #[test]
    fn a_commit_moves_the_pages_that_were_written() {
        let memories = Memories::new().unwrap();
        let mut saved = SavedMemory::default();
        let page = rustix::param::page_size();
        for (pages, moved) in [
            (2_000, 2_000),
            (1, 1),
            (0, 1),
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

    #[test]
    fn a_memory_of_another_size_is_none() {
        for size in [0, BLOCK, IMAGE.len() + 1, usize::MAX - BLOCK + 1] {
            assert!(MemoryWriter::new(size).is_err(), "{size}");
        }
        let size = IMAGE.len().next_multiple_of(WASM_PAGE);
        let mut writer = MemoryWriter::new(size).unwrap();
        let beyond = u32::try_from(size / PAGE_BYTES).unwrap();
        assert!(writer.write(beyond, &[0; PAGE_BYTES]).is_err());
        assert!(writer.write(u32::MAX, &[0; PAGE_BYTES]).is_err());
        writer.write(beyond - 1, &[1; PAGE_BYTES]).unwrap();
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
