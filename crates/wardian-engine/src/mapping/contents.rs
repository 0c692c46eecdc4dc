//! The contents of memories that no instance has: frozen, listed by pages, made of pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::MprotectFlags;
use wardian_guest::IMAGE;

use super::{MemoryImage, Reservation};

/// The unit in which memory is mapped from memory files. A page that differs takes the others of
/// its block along.
pub(super) const BLOCK: usize = 8 << 10;

/// The unit in which WebAssembly has memory.
pub(super) const WASM_PAGE: usize = 64 << 10;

/// The contents of a memory at one moment, which nothing changes any more. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct FrozenMemory {
    /// The image that it is beside; `None` for the linked one.
    pub(super) image: Option<MemoryImage>,
    /// The files of the blocks that differ from the image, by their numbers. Others are as in the
    /// image, or zeros. A block has the same place in its file as in memory.
    pub(super) blocks: Arc<BTreeMap<usize, Arc<File>>>,
    /// The size in bytes; `None` for that of the image's memory.
    pub(super) size: Option<usize>,
}

/// The bytes of a page in what [`FrozenMemory::pages`] lists: those of WebAssembly's are larger.
pub const PAGE_BYTES: usize = 4 << 10;

impl FrozenMemory {
    /// The contents of an image, as they are.
    pub fn of(image: &MemoryImage) -> Self {
        Self {
            image: Some(image.clone()),
            blocks: Arc::default(),
            size: Some(image.bytes().len()),
        }
    }

    /// Returns the size in bytes; 0 if nothing was ever committed.
    pub fn size(&self) -> usize {
        self.size.unwrap_or_default()
    }

    /// Returns the bytes of the host's memory that it takes, beside the image.
    pub fn host_bytes(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// Returns a cursor over the pages that differ from the linked image, in order: over the
    /// differences, which are mostly zeros where little was changed.
    pub fn pages(&self) -> Pages {
        Pages {
            contents: self.clone(),
            next_block: 0,
            block: Vec::with_capacity(BLOCK),
            start: 0,
            next: 0,
        }
    }

    /// Writes everything to the same place in `file`.
    pub(super) fn write_to(&self, file: &File) -> io::Result<()> {
        file.write_all_at(self.image_bytes(), 0)?;
        self.copy_blocks(file)
    }

    /// Writes what is beside the image to the same place in `file`.
    pub(super) fn copy_blocks(&self, file: &File) -> io::Result<()> {
        let mut block = Vec::new();
        for (number, from) in self.blocks.iter() {
            let start = number * BLOCK;
            block.resize(BLOCK.min(self.size() - start), 0);
            from.read_exact_at(&mut block, start as u64)?;
            file.write_all_at(&block, start as u64)?;
        }
        Ok(())
    }

    /// Returns the number of the first block from `number` on that can differ from the linked
    /// image.
    fn block_from(&self, number: usize) -> Option<usize> {
        let is_beside = self.image.is_some() && number * BLOCK < self.size();
        let own = || Some(*self.blocks.range(number..).next()?.0);
        is_beside.then_some(number).or_else(own)
    }

    /// Reads a block into zeros.
    fn read_block(&self, number: usize, into: &mut [u8]) -> io::Result<()> {
        let start = number * BLOCK;
        match self.blocks.get(&number) {
            Some(file) => file.read_exact_at(into, start as u64)?,
            None => {
                let image = bytes_from(self.image_bytes(), start, into.len());
                into.iter_mut()
                    .zip(image)
                    .for_each(|(byte, of_image)| *byte = *of_image);
            }
        }
        Ok(())
    }

    fn image_bytes(&self) -> &[u8] {
        self.image.as_ref().map_or(IMAGE, MemoryImage::bytes)
    }

    /// The ranges of bytes that are in one file each, with the file.
    pub(super) fn ranges(&self) -> Vec<(usize, usize, &Arc<File>)> {
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

    /// Puts the contents into a fresh memory. Returns its size, and the ranges of bytes that are
    /// not mapped but copied.
    pub(super) fn put_into(
        &self,
        fresh: &mut Reservation,
    ) -> io::Result<(usize, Vec<Range<usize>>)> {
        let size = self.size.unwrap_or(fresh.minimum);
        if size < fresh.minimum || size > fresh.capacity {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: nothing becomes inaccessible.
        unsafe { fresh.protect(fresh.minimum, size, access) }?;
        let ranges = self.ranges();
        if fresh.mapped.try_set(ranges.len()) {
            for (start, end, file) in ranges {
                fresh.map(start, end, file)?;
            }
            return Ok((size, Vec::new()));
        }
        for (start, end, file) in &ranges {
            fresh.read(*start, *end, file)?;
        }
        Ok((
            size,
            ranges
                .into_iter()
                .map(|(start, end, _)| start..end)
                .collect(),
        ))
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
                None => !is_as_in(self.image_bytes(), start, bytes),
            };
            if differs {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }
}

/// A cursor over the pages of a memory that differ from the linked image: over each one's bytes,
/// XOR those of the image.
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
                if !is_as_in(IMAGE, at, page) {
                    let number = u32::try_from(at / PAGE_BYTES).map_err(io::Error::other)?;
                    let page = self.block.get_mut(range).unwrap_or_default();
                    xor_image(at, page);
                    return Ok(Some((number, page)));
                }
            }
            let Some(number) = self.contents.block_from(self.next_block) else {
                return Ok(None);
            };
            (self.next_block, self.start, self.next) = (number + 1, number * BLOCK, 0);
            let len = self.contents.size().saturating_sub(self.start).min(BLOCK);
            self.block.clear();
            self.block.resize(len, 0);
            self.contents.read_block(number, &mut self.block)?;
        }
    }
}

/// Returns whether an image has these bytes at `at`, and zeros beyond its end.
fn is_as_in(image: &[u8], at: usize, bytes: &[u8]) -> bool {
    let image = bytes_from(image, at, bytes.len());
    let (first, rest) = bytes.split_at(image.len());
    first == image && rest.iter().all(|byte| *byte == 0)
}

/// Makes of bytes at `at` their difference from the linked image, or the other way round.
fn xor_image(at: usize, bytes: &mut [u8]) {
    let image = bytes_from(IMAGE, at, bytes.len());
    for (byte, of_image) in bytes.iter_mut().zip(image) {
        *byte ^= of_image;
    }
}

/// An image's bytes from `at` on, at most `len`.
fn bytes_from(image: &[u8], at: usize, len: usize) -> &[u8] {
    let end = image.len().min(at.saturating_add(len));
    image.get(at..end).unwrap_or_default()
}

/// Makes the contents of a memory page by page.
#[derive(Debug)]
pub struct MemoryWriter {
    file: File,
    blocks: BTreeSet<usize>,
    size: usize,
}

impl MemoryWriter {
    /// A memory of `size` bytes, as in the linked image as far as that goes.
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

    /// Writes a page, of which this is the difference from the linked image.
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
                .write_all_at(bytes_from(IMAGE, start, BLOCK), start as u64)?;
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
            image: None,
            blocks: Arc::new(blocks.collect()),
            size: Some(self.size),
        })
    }
}

/// Makes a memory file.
pub(super) fn new_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("wardian-memory", flags)?.into())
}

/// Keeps everybody from changing a file.
pub(super) fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(fcntl_add_seals(file, seals)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
