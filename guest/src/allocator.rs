//! Memory for small objects, of which Python makes many: free lists by size, before the C library's
//! allocator.
//!
//! Small blocks are cut from chunks and never go back: an instance is gone after one script. What
//! was freed last is used first, so that a script writes to few pages.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

/// Sizes are rounded up to a multiple of this, in bytes, and blocks are aligned to it.
const STEP: usize = 16;

/// The count of free lists: for blocks of up to 512 bytes.
const CLASSES: usize = 32;

/// The bytes that are asked of the C library when small blocks have run out.
const CHUNK: usize = 32 << 10;

/// The most free blocks, and pages of memory, that are put in order.
const MOST_FREE: usize = 1 << 18;
const MOST_PAGES: usize = 1 << 14;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Small {
    free: [None; CLASSES],
    next: ptr::null_mut(),
    left: 0,
}));

struct Allocator(UnsafeCell<Small>);

// SAFETY: the guest has one thread.
unsafe impl Sync for Allocator {}

struct Small {
    /// The first free block of each size. It holds the address of the one after it.
    free: [Option<NonNull<Free>>; CLASSES],
    /// The rest of the last chunk: its start and its length.
    next: *mut u8,
    left: usize,
}

struct Free(Option<NonNull<Free>>);

/// Returns the list for blocks of `layout`; `None` if they are not small.
fn class(layout: &Layout) -> Option<usize> {
    let class = layout.size().checked_sub(1)? / STEP;
    (class < CLASSES && layout.align() <= STEP).then_some(class)
}

impl Small {
    /// A block that was free, or one that is new; null if there is no memory.
    fn take(&mut self, class: usize) -> *mut u8 {
        let Some(list) = self.free.get_mut(class) else {
            return ptr::null_mut();
        };
        if let Some(block) = *list {
            // SAFETY: what is in a list is a block of its size that nobody has, and starts with the
            // next one.
            *list = unsafe { block.as_ref() }.0;
            return block.as_ptr().cast();
        }
        self.cut((class + 1) * STEP)
    }

    /// A block of `size` bytes from a chunk.
    #[cold]
    fn cut(&mut self, size: usize) -> *mut u8 {
        if self.left < size {
            // SAFETY: the layout is not empty, and a power of two.
            let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK, STEP)) };
            if chunk.is_null() {
                return chunk;
            }
            (self.next, self.left) = (chunk, CHUNK);
        }
        let block = self.next;
        // SAFETY: from `next` on there are `left` bytes of a chunk, which are at least `size`.
        self.next = unsafe { block.add(size) };
        self.left -= size;
        block
    }

    fn give(&mut self, class: usize, block: *mut u8) {
        if let (Some(list), Some(block)) = (self.free.get_mut(class), NonNull::new(block.cast())) {
            // SAFETY: the block is at least as large as an address, aligned, and nobody's any more.
            unsafe { block.write(Free(*list)) };
            *list = Some(block);
        }
    }
}

/// Puts free blocks in such an order that those to come are from few pages: from the pages with the
/// most room first, which blocks of all sizes have in common.
pub(crate) fn gather() {
    let mut blocks: Vec<(usize, NonNull<Free>)> = Vec::with_capacity(MOST_FREE);
    let mut room: Vec<usize> = vec![0; MOST_PAGES];
    // SAFETY: there is one thread, and nothing is allocated below.
    let small = unsafe { &mut *ALLOCATOR.0.get() };
    for (class, list) in small.free.iter_mut().enumerate() {
        while let Some(block) = *list
            && blocks.len() < MOST_FREE
        {
            // SAFETY: what is in a list is a free block, and starts with the next one.
            *list = unsafe { block.as_ref() }.0;
            if let Some(room) = room.get_mut(page(block)) {
                *room += (class + 1) * STEP;
            }
            blocks.push((class, block));
        }
    }
    // The last to be given is the first to be taken.
    blocks.sort_unstable_by_key(|(_, block)| {
        let page = page(*block);
        (room.get(page).copied(), page, block.addr())
    });
    for (class, block) in blocks {
        small.give(class, block.as_ptr().cast());
    }
}

/// Writes zeros over everything that is free. The memory should not be able to grow meanwhile: all
/// that the C library then gives is what was freed before.
pub(crate) fn scrub() {
    // SAFETY: there is one thread, and nothing is allocated here while the reference is there.
    let small = unsafe { &mut *ALLOCATOR.0.get() };
    for (class, list) in small.free.iter().enumerate() {
        let mut next = *list;
        while let Some(block) = next {
            // SAFETY: what is in a list is a free block of its size, and starts with the next one.
            unsafe {
                next = block.as_ref().0;
                let link = size_of::<Free>();
                zero(
                    block.as_ptr().cast::<u8>().add(link),
                    (class + 1) * STEP - link,
                );
            }
        }
    }
    // SAFETY: from `next` on there are `left` bytes of a chunk.
    unsafe { zero(small.next, small.left) };
    scrub_large();
}

/// As [`scrub`], for what the C library has. Once turns the order of its free blocks round, so it is
/// done twice: what is free in the image is then as it was there.
fn scrub_large() {
    take_and_give_back();
    take_and_give_back();
}

/// Takes all blocks that the C library has, clears them, and gives them back.
fn take_and_give_back() {
    let mut taken: Option<NonNull<Free>> = None;
    // From the largest block that there can be down to the smallest.
    for size in (3..31).rev().map(|bits| 1 << bits) {
        // SAFETY: the layout is not empty, and a power of two.
        let layout = unsafe { Layout::from_size_align_unchecked(size, 8) };
        // SAFETY: as above.
        while let Some(block) = NonNull::new(unsafe { System.alloc(layout) }) {
            // SAFETY: the block is as large as the C library says, and nobody else's.
            unsafe {
                zero(block.as_ptr(), malloc_usable_size(block.as_ptr()));
                let block = block.cast();
                block.write(Free(taken));
                taken = Some(block);
            }
        }
    }
    while let Some(block) = taken {
        // SAFETY: the blocks were taken above, and are linked. The C library does not ask for the
        // layout.
        unsafe {
            taken = block.as_ref().0;
            block
                .as_ptr()
                .cast::<u8>()
                .write_bytes(0, size_of::<Free>());
            System.dealloc(block.as_ptr().cast(), Layout::new::<Free>());
        }
    }
}

/// Writes zeros over `len` bytes at `start`. Does not write to pages that hold nothing else.
///
/// # Safety
///
/// The bytes are there, and nothing refers to them.
pub(crate) unsafe fn zero(start: *mut u8, len: usize) {
    const PAGE: usize = 1 << 12;
    let mut done = 0;
    while done < len {
        // As far as the page goes.
        let part = (PAGE - (start.addr() + done) % PAGE).min(len - done);
        // SAFETY: by the caller's promise.
        unsafe {
            let at = start.add(done);
            let (first, words, last) = std::slice::from_raw_parts(at, part).align_to::<u64>();
            let is_zero = first.iter().chain(last).all(|byte| *byte == 0)
                && words.iter().all(|word| *word == 0);
            if !is_zero {
                at.write_bytes(0, part);
            }
        }
        done += part;
    }
}

/// Returns the page, of 4 KiB, that a block is in.
fn page(block: NonNull<Free>) -> usize {
    block.addr().get() >> 12
}

unsafe extern "C" {
    fn malloc_usable_size(block: *mut u8) -> usize;
}

/// Changes the size of a block of the C library's. One that grows by little gets some room, so that
/// what is appended to piece by piece is not copied for every piece.
///
/// # Safety
///
/// As for [`GlobalAlloc::realloc`].
unsafe fn grow(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    let grown = size.saturating_sub(layout.size());
    if grown == 0 || grown > layout.size() / 8 {
        // SAFETY: by the caller's promise.
        return unsafe { System.realloc(block, layout, size) };
    }
    // SAFETY: the block is the C library's, which tells how much of it is there.
    if size <= unsafe { malloc_usable_size(block) } {
        return block;
    }
    // SAFETY: by the caller's promise; nothing is that large that an eighth more is not a size.
    let roomy = unsafe { System.realloc(block, layout, size + size / 8) };
    if !roomy.is_null() {
        return roomy;
    }
    // SAFETY: the block is as it was.
    unsafe { System.realloc(block, layout, size) }
}

// SAFETY: a block comes from where its layout says, and goes back there: small ones are cut from
// chunks, apart from each other, large enough and aligned; the others are the C library's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(&layout) {
            // SAFETY: there is one thread, and `take` calls nothing that allocates here.
            Some(class) => unsafe { &mut *self.0.get() }.take(class),
            // SAFETY: by the caller's promise.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(&layout) {
            // SAFETY: as above.
            Some(class) => unsafe { &mut *self.0.get() }.give(class, block),
            // SAFETY: by the caller's promise.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(&layout).is_none() {
            // What is new from the host is zero already. SAFETY: by the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: by the caller's promise.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block is that large.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, is a layout's.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(&layout), class(&wanted)) {
            // SAFETY: by the caller's promise.
            (None, None) => unsafe { grow(block, layout, size) },
            (old, new) if old == new => block,
            _ => {
                // SAFETY: by the caller's promise; the new block is another one, and both are as
                // large as what is copied.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}
