//! Which pages of a private mapping have been written to, as the kernel's page tables know it: `PAGEMAP_SCAN`, since
//! Linux 6.7.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

/// Where a process looks at its own page tables.
const PAGEMAP: &str = "/proc/self/pagemap";

/// It opened, and by which process: a descriptor goes on to mean that, also in one that was forked from it.
static OPENED: OnceLock<(Process, File)> = OnceLock::new();

/// A process: its number, and the namespace in which it has that.
type Process = (u32, u64);

fn this_process() -> io::Result<Process> {
    let namespace = std::fs::metadata("/proc/self/ns/pid")?.ino();
    Ok((std::process::id(), namespace))
}

/// Categories of pages, by `linux/fs.h`.
const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;

/// How many regions a scan finds at most.
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

// SAFETY: the opcode is that of `PAGEMAP_SCAN`, which takes this struct, and writes to it and to the `vec_len`
// regions at `vec`. It returns how many of them it has written.
unsafe impl Ioctl for Scan {
    type Output = Found;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Self>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, scan: *mut c_void) -> rustix::io::Result<Found> {
        // SAFETY: it is the pointer to this struct.
        let scan = unsafe { &*scan.cast::<Self>() };
        let regions = usize::try_from(out).map_err(|_| rustix::io::Errno::INVAL)?;
        Ok(Found {
            regions,
            all: scan.walk_end == scan.end,
        })
    }
}

/// What a scan has found.
struct Found {
    /// How many regions it has written.
    regions: usize,
    /// Whether it has come to the range's end.
    all: bool,
}

/// The pages in a range of addresses that hold what was written to them, and not what the mapping's file has; `None` if
/// there are more than `most`, or in very many places. Pages of zeros are among them: the kernel may have merged pages
/// that hold nothing else with its zero page (KSM), whatever the file has there.
pub(super) fn written(range: Range<usize>, most: usize) -> io::Result<Option<Vec<Range<usize>>>> {
    let this = this_process()?;
    if OPENED.get().is_none() {
        // Somebody else may have been first.
        let _ = OPENED.set((this, File::open(PAGEMAP)?));
    }
    let anew;
    let pagemap = match OPENED.get() {
        Some((process, pagemap)) if *process == this => pagemap,
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
        max_pages: most as u64 + 1,
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
    let ranges: Vec<_> = ranges.collect();
    let bytes: usize = ranges.iter().map(Range::len).sum();
    let few = found.all && bytes <= most * rustix::param::page_size();
    Ok(few.then_some(ranges))
}
