//! Native stacks for runs, kept for runs to come: mapping one anew costs a run three system calls
//! and its page faults.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{StackCreator, StackMemory};

use super::pool::Pool;

/// The part of a stack that stays in memory with it. Few runs use more.
const MAX_POOLED_BYTES: usize = 64 << 10;

/// Makes stacks, and takes them back.
#[derive(Default)]
pub(crate) struct Stacks(Arc<Pool<Mapping>>);

// SAFETY: a stack is whole pages with a guard page below, and is zero or holds what an earlier
// run's native code left: wasmtime asks for zeros where it needs them, which it does not with this
// engine's settings.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let fits = |mapping: &Mapping| mapping.stack().len() == size && !zeroed;
        let mapping = match self.0.take().filter(fits) {
            Some(mapping) => mapping,
            None => Mapping::new(size)?,
        };
        Ok(Box::new(Stack {
            mapping: Some(mapping),
            pool: self.0.clone(),
        }))
    }
}

/// Addresses for one stack.
///
/// ```text
/// | guard page | stack, which grows downwards |
/// ^ start                                     ^ top
/// ```
struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: it is a range of addresses that nothing else refers to; whose thread unmaps it does not
// matter.
unsafe impl Send for Mapping {}
// SAFETY: as above; through a shared reference it only tells its addresses.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let len = guard + size.next_multiple_of(guard);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags) }?;
        let mapping = Self {
            start: NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?,
            len,
        };
        // SAFETY: the range is the new mapping without its first page, and nothing refers to it
        // yet.
        unsafe {
            let access = MprotectFlags::READ | MprotectFlags::WRITE;
            mprotect(start.byte_add(guard), len - guard, access)?;
        }
        Ok(mapping)
    }

    /// The stack without its guard.
    fn stack(&self) -> Range<usize> {
        let start = self.start.as_ptr().addr();
        start + rustix::param::page_size()..start + self.len
    }

    /// Gives back what a deep run has used.
    fn shrink(&self) -> io::Result<()> {
        let guard = rustix::param::page_size();
        let deep = self.stack().len().saturating_sub(MAX_POOLED_BYTES);
        // SAFETY: the run is over, so nothing refers to the stack. The range lies within it.
        unsafe {
            let from = self.start.as_ptr().byte_add(guard);
            madvise(from, deep, Advice::LinuxDontNeed)?;
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and goes with it. An error would mean that the range
        // is not a mapping; there is nothing to be done about it.
        let _ = unsafe { munmap(self.start.as_ptr(), self.len) };
    }
}

/// The stack of one run.
struct Stack {
    /// Always there, until it is dropped.
    mapping: Option<Mapping>,
    pool: Arc<Pool<Mapping>>,
}

impl Stack {
    fn mapping(&self) -> Range<usize> {
        self.mapping.as_ref().map_or(0..0, Mapping::stack)
    }

    fn start(&self) -> *mut u8 {
        let start = self.mapping.as_ref().map(|mapping| mapping.start.as_ptr());
        start.unwrap_or(ptr::null_mut()).cast()
    }
}

// SAFETY: the addresses are those of the mapping, which stays while this does.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.start()
            .wrapping_add(rustix::param::page_size() + self.mapping().len())
    }

    fn range(&self) -> Range<usize> {
        self.mapping()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.start()..self.start().wrapping_add(rustix::param::page_size())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take() else {
            return;
        };
        if mapping.shrink().is_ok() {
            self.pool.put(mapping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    #[test]
    fn a_stack_can_be_written_from_its_top_to_its_guard_and_is_used_again() {
        let stacks = Stacks::default();
        for _ in 0..3 {
            let stack = stacks.new_stack(SIZE, false).unwrap();
            let range = stack.range();
            assert_eq!(range.len(), SIZE);
            assert_eq!(stack.top().addr(), range.end);
            assert_eq!(stack.guard_range().end.addr(), range.start);
            // SAFETY: the range is the stack, which is this test's.
            unsafe { ptr::write_bytes(stack.top().sub(SIZE), 0x5a, SIZE) };
        }
        assert_eq!(stacks.0.all().len(), 1);
        let deep = stacks.new_stack(SIZE, false).unwrap();
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(deep.top().sub(SIZE), SIZE) };
        assert!(
            bytes[..SIZE - MAX_POOLED_BYTES]
                .iter()
                .all(|byte| *byte == 0)
        );
    }

    #[test]
    fn a_stack_of_another_size_or_of_zeros_is_new() {
        let stacks = Stacks::default();
        for (size, zeroed) in [(SIZE, false), (2 * SIZE, false), (2 * SIZE, true)] {
            let stack = stacks.new_stack(size, zeroed).unwrap();
            assert_eq!(stack.range().len(), size);
            // SAFETY: the range is the stack, which is this test's.
            unsafe {
                assert_eq!(*stack.top().sub(1), 0);
                *stack.top().sub(1) = 1;
            }
        }
    }
}
