//! Maps the guest into memory: its code in place, its memory image copy-on-write. The one place
//! with `unsafe`.
//!
//! Both are bytes of this executable. The kernel has mapped them already, shared with every
//! other process that runs the same file, so nothing is read, copied or written to start. (A
//! sealed memory file would cost a copy of 80 MB and as much memory in every process, a cache on
//! disk a directory to write to and to trust.) Only what was linked in can be loaded; there is
//! no path by which other bytes could be.
//!
//! wasmtime's pooling allocator can't be given an image that is a part of a file. So memories
//! come from a [`MemoryCreator`] here, which keeps a few of them mapped for the next run.

#![expect(
    unsafe_code,
    reason = "machine code is trusted because this executable carries it; memory is mapped by hand"
)]

mod contents;
mod image;
mod pagemap;
mod pool;
mod saved;
mod stacks;

pub use contents::{FrozenMemory, MemoryWriter, PAGE_BYTES, Pages};
pub use image::MemoryImage;
pub use saved::SavedMemory;
pub(crate) use saved::lend;
pub(crate) use stacks::Stacks;

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wardian_guest::CODE;
use wasmtime::{CustomCodeMemory, Engine, LinearMemory, MemoryCreator, MemoryType, Module};

use self::saved::{MappedRanges, Resting, Slot};

/// The most pages written by a run that are restored in place: 2 MiB. Writing to one that is there
/// costs no page fault; a short script writes to some 130.
const KEPT_PAGES: usize = 512;

/// One of the guests that are linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestKind {
    /// RustPython.
    Python,
    /// An adversarial guest, which makes the system calls that its source names: for testing what
    /// stands between guests and the host.
    #[cfg(feature = "hostile")]
    Hostile,
}

/// Makes a module of a guest's code.
///
/// At most one of each may exist in a process: wasmtime registers code by its address.
pub(crate) fn load(engine: &Engine, guest: GuestKind) -> wasmtime::Result<Module> {
    let code = match guest {
        GuestKind::Python => CODE,
        #[cfg(feature = "hostile")]
        GuestKind::Hostile => wardian_guest::HOSTILE,
    };
    // SAFETY: the bytes are what wasmtime's `precompile_module` returned in the build script of
    // `wardian-guest`. They are static, and in a mapping that is never writable.
    unsafe { Module::deserialize_raw(engine, NonNull::from(code)) }
}

/// Makes the code executable where it stands.
pub(crate) struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, code: *const u8, len: usize) -> wasmtime::Result<()> {
        let flags = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: the pages hold the guest's code and, because the code's section is aligned to
        // pages on both ends, nothing else. They stay readable and do not become writable.
        unsafe { mprotect(code.cast_mut().cast(), len, flags) }?;
        Ok(())
    }

    fn unpublish_executable(&self, _code: *const u8, _len: usize) -> wasmtime::Result<()> {
        // The code is part of the executable and stays as it is until the process ends.
        Ok(())
    }
}

/// Makes memories that start as the linked image, or as another that is lent.
pub(crate) struct Memories {
    linked: MemoryImage,
    shared: Arc<Shared>,
}

/// Counters and switches of all memories.
pub(crate) struct MemoryStatistics(Arc<Shared>);

impl MemoryStatistics {
    /// Counts the pages that were restored in place.
    pub(crate) fn pages_restored(&self) -> u64 {
        self.0.restored.load(Ordering::Relaxed)
    }

    /// Compares each memory with its image, byte by byte, before a run has it, from here on.
    pub(crate) fn verify(&self) {
        self.0.verified.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Shared {
    /// The count of pages restored in place.
    restored: AtomicU64,
    /// Set if memories are compared with their images before they are handed out.
    verified: AtomicBool,
}

impl Memories {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::of(MemoryImage::linked()?))
    }

    fn of(linked: MemoryImage) -> Self {
        Self {
            linked,
            shared: Arc::default(),
        }
    }

    pub(crate) fn statistics(&self) -> MemoryStatistics {
        MemoryStatistics(self.shared.clone())
    }
}

// SAFETY: a memory has the reservation and the guards that it is asked for. It is not filled with
// zeros, as the trait wants: wasmtime would then write the module's data segments, and the Python
// module's data is the image. (The hostile module has segments, which wasmtime writes over it.)
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let capacity = reserved.unwrap_or(minimum);
        let lent = saved::take_next();
        let image = lent.as_ref().and_then(|lent| lent.contents.image.as_ref());
        let image = image.unwrap_or(&self.linked);
        let minimum = minimum.max(image.bytes().len());
        let fits = |known: &Reservation| known.is(minimum, capacity, guard);
        let verified = self.shared.verified.load(Ordering::Relaxed);
        let slot = lent.as_ref().and_then(|lent| lent.slot.clone());
        if let Some(lent) = &lent
            && let Some(Resting {
                reservation,
                size,
                kept,
            }) = slot.as_ref().and_then(|slot| slot.take())
        {
            if !fits(&reservation) {
                return Err("a saved memory is for another guest".to_owned());
            }
            if verified
                && let Some(at) = lent
                    .contents
                    .difference(&reservation, size)
                    .map_err(unmapped)?
            {
                return Err(format!("memory differs from what was kept at byte {at}"));
            }
            return Ok(Box::new(ImageMemory {
                image: image.clone(),
                reservation: Some(reservation),
                size,
                kept,
                shared: self.shared.clone(),
                slot,
            }));
        }
        let mut reservation = match image.pool().take().filter(fits) {
            Some(reservation) => reservation,
            None => Reservation::new(image, minimum, capacity, guard).map_err(|error| {
                format!(
                    "cannot map memory for a run, which takes 4 GiB of address space: \
                                          {error}; see `ulimit -v`"
                )
            })?,
        };
        if verified && let Some(at) = reservation.difference(image.bytes()) {
            return Err(format!("memory differs from its image at byte {at}"));
        }
        let (size, kept) = match &lent {
            Some(lent) => lent.contents.put_into(&mut reservation).map_err(unmapped)?,
            None => (reservation.minimum, Vec::new()),
        };
        Ok(Box::new(ImageMemory {
            image: image.clone(),
            reservation: Some(reservation),
            size,
            kept,
            shared: self.shared.clone(),
            slot,
        }))
    }
}

/// The error of a memory that can't be what was kept.
fn unmapped(error: io::Error) -> String {
    format!("cannot map the memory of a session: {error}")
}

/// Address space for one memory, of which the first part can be used.
///
/// ```text
/// | guard | image, copy-on-write | zeros | not accessible ... | guard |
///         ^ base                         ^ size               ^ capacity
/// ```
struct Reservation {
    start: NonNull<c_void>,
    len: usize,
    base: NonNull<u8>,
    minimum: usize,
    capacity: usize,
    mapped: MappedRanges,
}

// SAFETY: it is a range of addresses that nothing else refers to; whose thread unmaps it does
// not matter.
unsafe impl Send for Reservation {}
// SAFETY: as above; through a shared reference it only tells its addresses.
unsafe impl Sync for Reservation {}

impl Reservation {
    fn new(image: &MemoryImage, minimum: usize, capacity: usize, guard: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let len = guard
            .checked_mul(2)
            .and_then(|guards| capacity.checked_add(guards))
            .ok_or_else(too_large)?;
        let len_of_image = image.bytes().len();
        if len_of_image > minimum || minimum > capacity {
            return Err(too_large());
        }
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags) }?;
        // SAFETY: `guard` lies within the mapping, which is not at address 0.
        let base = unsafe { start.byte_add(guard) };
        let reservation = Self {
            start: NonNull::new(start).ok_or_else(too_large)?,
            len,
            base: NonNull::new(base.cast()).ok_or_else(too_large)?,
            minimum,
            capacity,
            mapped: MappedRanges::default(),
        };
        // SAFETY: the range lies in the new mapping, which nothing refers to yet.
        unsafe {
            image.map(base)?;
            let access = MprotectFlags::READ | MprotectFlags::WRITE;
            reservation.protect(len_of_image, minimum, access)?;
        }
        Ok(reservation)
    }

    /// Returns whether it is what was asked for: two modules may differ.
    fn is(&self, minimum: usize, capacity: usize, guard: usize) -> bool {
        let len = capacity.checked_add(2 * guard);
        (self.minimum, self.capacity, Some(self.len)) == (minimum, capacity, len)
    }

    /// Changes the access to the bytes from `from` to `to`.
    ///
    /// # Safety
    ///
    /// Nothing refers to what becomes inaccessible.
    unsafe fn protect(&self, from: usize, to: usize, flags: MprotectFlags) -> io::Result<()> {
        if from < to {
            // SAFETY: the range lies within the mapping, by `from < to <= capacity`.
            unsafe { mprotect(self.base.as_ptr().add(from).cast(), to - from, flags) }?;
        }
        Ok(())
    }

    /// Makes the memory what it was at first, after a run has grown it to `size`. Returns the count
    /// of pages that were restored in place.
    fn reset(&self, image: &[u8], size: usize) -> io::Result<usize> {
        // Where the kernel does not say what was written to, all of it goes.
        let (kept, restored) = match self.restore(image) {
            Ok(Some(pages)) => (self.minimum, pages),
            Ok(None) | Err(_) => (0, 0),
        };
        // SAFETY: the run is over, so nothing refers to the memory. What was written to it is
        // dropped: the image's part is the file's again, the rest is zero.
        unsafe {
            if kept < size {
                let from = self.base.as_ptr().add(kept);
                madvise(from.cast(), size - kept, Advice::LinuxDontNeed)?;
            }
            self.protect(self.minimum, size, MprotectFlags::empty())?;
        }
        Ok(restored)
    }

    /// Writes the image over the pages that a run has written to, which saves the next run the
    /// faults on them. Returns their count; `None` if they are too many to restore.
    fn restore(&self, image: &[u8]) -> io::Result<Option<usize>> {
        let start = self.base.as_ptr().addr();
        let Some(written) = pagemap::written(start..start + self.minimum, KEPT_PAGES)? else {
            return Ok(None);
        };
        let bytes: usize = written.iter().map(ExactSizeIterator::len).sum();
        let pages = bytes / rustix::param::page_size();
        for range in written {
            let (from, to) = (range.start - start, range.end - start);
            // Beyond the image are zeros.
            let image = image.get(from..to.min(image.len())).unwrap_or_default();
            // SAFETY: the run is over, so nothing refers to the memory. The range lies within it,
            // by what was asked for, and can be written to; the image lies elsewhere.
            unsafe {
                let at = self.base.as_ptr().add(from);
                ptr::copy_nonoverlapping(image.as_ptr(), at, image.len());
                ptr::write_bytes(at.add(image.len()), 0, to - from - image.len());
            }
        }
        Ok(Some(pages))
    }

    /// Returns the position of the first byte that differs from a new memory.
    fn difference(&self, image: &[u8]) -> Option<usize> {
        // SAFETY: the range can be read, and nothing writes to it: no run has it.
        let bytes = unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.minimum) };
        let (first, zeros) = bytes.split_at_checked(image.len())?;
        if first == image && zeros.iter().all(|byte| *byte == 0) {
            return None;
        }
        let new = image.iter().chain(std::iter::repeat(&0));
        bytes.iter().zip(new).position(|(is, new)| is != new)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the mapping is this reservation's, and goes with it. An error would mean that
        // the range is not a mapping; there is nothing to be done about it.
        let _ = unsafe { munmap(self.start.as_ptr(), self.len) };
    }
}

/// The memory of one instance.
struct ImageMemory {
    /// The image that it started as.
    image: MemoryImage,
    /// Always there, until it is dropped.
    reservation: Option<Reservation>,
    size: usize,
    /// As in [`Resting`].
    kept: Vec<Range<usize>>,
    shared: Arc<Shared>,
    /// The place where it goes afterwards, if it lasts.
    slot: Option<Arc<Slot>>,
}

// SAFETY: the base does not move, and `byte_size` bytes from it are accessible.
unsafe impl LinearMemory for ImageMemory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.reservation
            .as_ref()
            .map_or(0, |reservation| reservation.capacity)
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        match &self.reservation {
            Some(reservation) if size <= reservation.capacity => {
                // SAFETY: nothing becomes inaccessible.
                unsafe {
                    reservation.protect(self.size, size, MprotectFlags::READ | MprotectFlags::WRITE)
                }?;
                self.size = size;
                Ok(())
            }
            _ => Err(wasmtime::Error::msg(
                "memory can't grow beyond its reservation",
            )),
        }
    }

    fn as_ptr(&self) -> *mut u8 {
        self.reservation
            .as_ref()
            .map_or(ptr::null_mut(), |reservation| reservation.base.as_ptr())
    }
}

impl Drop for ImageMemory {
    fn drop(&mut self) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        if let Some(slot) = &self.slot {
            slot.put(Resting {
                reservation,
                size: self.size,
                kept: std::mem::take(&mut self.kept),
            });
        } else if let Ok(restored) = reservation.reset(self.image.bytes(), self.size) {
            self.shared
                .restored
                .fetch_add(restored as u64, Ordering::Relaxed);
            self.image.pool().put(reservation);
        }
    }
}

#[cfg(test)]
mod tests {
    use wardian_guest::IMAGE;

    use super::*;

    pub(super) const WASM_PAGE: usize = 64 << 10;
    const RESERVED: usize = 4 << 30;
    const GUARD: usize = 32 << 20;

    pub(super) fn memory(memories: &Memories) -> Box<dyn LinearMemory> {
        let minimum = IMAGE.len().next_multiple_of(WASM_PAGE);
        let pages = u32::try_from(minimum / WASM_PAGE).unwrap();
        let r#type = MemoryType::new(pages, None);
        memories
            .new_memory(r#type, minimum, None, Some(RESERVED), GUARD)
            .unwrap()
    }

    pub(super) fn bytes(memory: &mut dyn LinearMemory) -> &mut [u8] {
        // SAFETY: the memory is this test's, and `byte_size` bytes of it are accessible.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    /// The same whether the image comes from this executable's file or from a copy.
    pub(super) fn check(memories: &Memories) {
        for _ in 0..3 {
            let mut memory = memory(memories);
            let minimum = memory.byte_size();
            assert_eq!(memory.byte_capacity(), RESERVED);
            assert!(bytes(&mut *memory).starts_with(IMAGE));
            assert!(
                bytes(&mut *memory)[IMAGE.len()..]
                    .iter()
                    .all(|byte| *byte == 0)
            );
            bytes(&mut *memory).fill(0xaa);
            memory.grow_to(minimum + 3 * WASM_PAGE).unwrap();
            assert!(bytes(&mut *memory)[minimum..].iter().all(|byte| *byte == 0));
            bytes(&mut *memory)[minimum..].fill(0xbb);
            assert!(memory.grow_to(RESERVED + WASM_PAGE).is_err());
        }
        let pool = memories.linked.pool().all();
        assert_eq!(pool.len(), 1, "it is used again");
    }

    /// REVIEW A 27: KSM merges pages that hold nothing but zeros with the kernel's page of zeros.
    #[test]
    fn a_27_pages_of_zeros_in_the_image_are_restored() {
        let page = rustix::param::page_size();
        let memories = Memories::new().unwrap();
        let memory = memory(&memories);
        let at = 3 * page;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let over = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the page lies in the memory, to which nothing else refers. It is read, so that it
        // is there.
        let zero = unsafe {
            let at = memory.as_ptr().add(at);
            mmap_anonymous(at.cast(), page, access, over).unwrap();
            at.read_volatile()
        };
        assert_eq!(zero, 0);
        drop(memory);
        let pool = memories.linked.pool().all();
        assert_eq!((pool.len(), pool[0].difference(IMAGE)), (1, None));
    }

    /// REVIEW A 27.
    #[test]
    fn a_27_a_memory_is_used_again_only_for_what_it_fits() {
        let memories = Memories::new().unwrap();
        drop(memory(&memories));
        let minimum = IMAGE.len().next_multiple_of(WASM_PAGE);
        let pool = memories.linked.pool().all();
        assert!(pool[0].is(minimum, RESERVED, GUARD));
        assert!(!pool[0].is(minimum + WASM_PAGE, RESERVED, GUARD));
        assert!(!pool[0].is(minimum, RESERVED / 2, GUARD));
        assert!(!pool[0].is(minimum, RESERVED, 2 * GUARD));
    }

    #[test]
    fn verify_finds_a_memory_that_is_not_as_new() {
        let memories = Memories::new().unwrap();
        drop(memory(&memories));
        for at in [0, IMAGE.len() - 1, IMAGE.len(), IMAGE.len() + WASM_PAGE] {
            let memory = memory(&memories);
            let (start, minimum) = (memory.as_ptr(), memory.byte_size());
            drop(memory);
            let pool = memories.linked.pool().all();
            assert_eq!(pool[0].difference(IMAGE), None);
            if at < minimum {
                // SAFETY: the memory is kept, and nobody else has it.
                unsafe { *start.add(at) ^= 1 };
                assert_eq!(pool[0].difference(IMAGE), Some(at));
                // SAFETY: as above.
                unsafe { *start.add(at) ^= 1 };
            }
        }
    }

    /// Nothing stays of a run, whether its pages are restored or not: few and many of them, in the
    /// image, in the zeros beyond it, at its edge, at its ends.
    #[test]
    fn nothing_stays_in_pages_that_are_kept() {
        let page = rustix::param::page_size();
        let memories = Memories::new().unwrap();
        let mut at = 1_usize;
        for (round, pages) in [0, 1, 130, 2, 511, 512, 513, 3, 2_000, 130, 130, 1]
            .into_iter()
            .enumerate()
        {
            let mut memory = memory(&memories);
            let minimum = memory.byte_size();
            let bytes = bytes(&mut *memory);
            let (image, zeros) = bytes.split_at(IMAGE.len());
            assert!(image == IMAGE, "round {round}");
            assert!(zeros.iter().all(|byte| *byte == 0), "round {round}");
            for _ in 0..pages {
                // A sequence that visits pages all over the place.
                at = (at * 1_103 + 12_345) % (minimum / page);
                bytes[at * page..][..page].fill(0x5a);
            }
            for edge in [0, IMAGE.len() - 1, IMAGE.len(), minimum - 1] {
                if let Some(byte) = bytes.get_mut(edge) {
                    *byte = 0xa5;
                }
            }
            if round % 3 == 0 {
                memory.grow_to(minimum + WASM_PAGE).unwrap();
            }
        }
        assert_eq!(memories.linked.pool().all().len(), 1, "it is used again");
    }

    /// The kernel says what was written to, and no more: else the pages would not be worth keeping.
    #[test]
    fn few_pages_are_restored_and_not_dropped() {
        let page = rustix::param::page_size();
        let memories = Memories::new().unwrap();
        let mut memory = memory(&memories);
        let start = memory.as_ptr().addr();
        let range = start..start + memory.byte_size();
        assert_eq!(pagemap::written(range.clone(), 512).unwrap(), Some(vec![]));
        let all = bytes(&mut *memory);
        assert!(all.starts_with(IMAGE), "reading is not writing");
        let zeros = IMAGE.len();
        for at in [0, 5 * page, 6 * page, zeros - 1] {
            all[at] = 1;
        }
        let found = pagemap::written(range.clone(), 512).unwrap().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.start - start, found.end - start))
            .collect();
        let expected = [(0, page), (5 * page, 7 * page), (zeros - page, zeros)];
        assert_eq!(found, expected);
        assert_eq!(pagemap::written(range, 3).unwrap(), None, "too many");
    }

    #[test]
    fn two_memories_share_nothing() {
        let memories = Memories::new().unwrap();
        let [mut one, mut two] = [memory(&memories), memory(&memories)];
        bytes(&mut *one).fill(0xaa);
        assert!(bytes(&mut *two).starts_with(IMAGE));
    }
}
