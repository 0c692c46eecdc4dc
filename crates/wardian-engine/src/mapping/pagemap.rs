//! The pages of a private mapping that have been written to, as the kernel's page tables know them:
//! `PAGEMAP_SCAN`, since Linux 6.7.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The file of a process's own page tables.
const PAGEMAP: &str = "/proc/self/pagemap";

/// It opened, and the mark of the process that did: the descriptor goes on to mean that one, also
/// in what is forked from it.
static OPENED: OnceLock<(Mark, File)> = OnceLock::new();

/// A byte of this process that is 0 in every process that is forked from it, whatever their
/// numbers.
struct Mark(&'static AtomicBool);

impl Mark {
    fn set() -> io::Result<Self> {
        let len = rustix::param::page_size();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, to which nothing refers.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }?;
        // SAFETY: the mapping is as long, and holds nothing yet.
        unsafe { madvise(page, len, Advice::LinuxWipeOnFork) }?;
        // SAFETY: it stays for good, and zeros are a value of this type.
        let mark = Self(unsafe { &*page.cast() });
        mark.0.store(true, Ordering::Relaxed);
        Ok(mark)
    }

    fn is_ours(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Categories of pages, by `linux/fs.h`.
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;

/// The most regions that a scan finds.
const REGIONS: usize = 512;

/// `struct page_region`.
#[repr(C)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

// SAFETY: the opcode is that of `PAGEMAP_SCAN`, which takes this struct, and writes to it and to
// the `vec_len` regions at `vec`. It returns how many of them it has written.
unsafe impl Ioctl for Scan {
    type Output = PageRegion;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Self>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(
        out: IoctlOutput,
        scan: *mut c_void,
    ) -> rustix::io::Result<PageRegion> {
        // SAFETY: it is the pointer to this struct.
        let scan = unsafe { &*scan.cast::<Self>() };
        let regions = usize::try_from(out).map_err(|_| rustix::io::Errno::INVAL)?;
        Ok(PageRegion {
            regions,
            walk_end: scan.walk_end as usize,
        })
    }
}

/// The result of a scan.
struct PageRegion {
    /// The count of regions that it has written.
    regions: usize,
    /// The address that it has come to.
    walk_end: usize,
}

/// The pages in a range of addresses that hold what was written to them, and not what the mapping's
/// file has; `None` if there are more than `most`, or in very many places. Pages of zeros are among
/// them: the kernel may have merged pages that hold nothing else with its zero page (KSM), whatever
/// the file has there.
pub(super) fn written(range: Range<usize>, most: usize) -> io::Result<Option<Vec<Range<usize>>>> {
    let end = range.end;
    let (ranges, scanned) = scan(range, most as u64 + 1)?;
    let bytes: usize = ranges.iter().map(Range::len).sum();
    let few = scanned == end && bytes <= most * rustix::param::page_size();
    Ok(few.then_some(ranges))
}

/// As [`written`], however many they are.
pub(super) fn all_written(range: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    let mut all = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let (ranges, scanned) = scan(start..range.end, 0)?;
        all.extend(ranges);
        start = scanned;
    }
    Ok(all)
}

/// Scans a range of addresses for pages that were written to, until it has found `max_pages` of
/// them, unless that is 0, or very many places. Returns the address that it came to, too.
fn scan(range: Range<usize>, max_pages: u64) -> io::Result<(Vec<Range<usize>>, usize)> {
    if OPENED.get().is_none() {
        // Somebody else may have been first.
        let _ = OPENED.set((Mark::set()?, File::open(PAGEMAP)?));
    }
    let anew;
    let pagemap = match OPENED.get() {
        Some((mark, pagemap)) if mark.is_ours() => pagemap,
        _ => {
            anew = File::open(PAGEMAP)?;
            &anew
        }
    };
    let mut regions = [const { MaybeUninit::<Region>::uninit() }; REGIONS];
    let scan = Scan {
        size: size_of::<Scan>() as u64,
        start: range.start as u64,
        end: range.end as u64,
        vec: regions.as_mut_ptr().expose_provenance() as u64,
        vec_len: REGIONS as u64,
        max_pages,
        category_inverted: FILE,
        category_mask: FILE,
        category_anyof_mask: PRESENT | SWAPPED,
        return_mask: PRESENT,
        ..Scan::default()
    };
    // SAFETY: `vec` and `vec_len` are those of an array that is there.
    let found = unsafe { ioctl(pagemap, scan) }?;
    let regions = regions.get(..found.regions).unwrap_or_default();
    let ranges = regions.iter().map(|region| {
        // SAFETY: the kernel has written so many of them.
        let region = unsafe { region.assume_init_ref() };
        region.start as usize..region.end as usize
    });
    Ok((ranges.collect(), found.walk_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// REVIEW A 27: process numbers tell processes apart within a namespace only.
    #[test]
    fn a_27_a_forked_process_knows_that_it_is_another() {
        let mark = Mark::set().unwrap();
        assert!(mark.is_ours());
        // SAFETY: the child does nothing that another thread could have left locked.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: it ends the child.
            unsafe { libc::_exit(i32::from(mark.is_ours())) };
        }
        let mut status = -1;
        // SAFETY: `status` is there to be written to.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert!(mark.is_ours());
    }
}
