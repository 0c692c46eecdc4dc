//! The pages of snapshots: packed, unpacked, and what one has beside another.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use wardian_engine::{PAGE_BYTES, Pages};

use super::SnapshotError;
use super::form::Packed;

/// The bytes of a page with its number.
const RECORD: usize = 4 + PAGE_BYTES;

/// The most memory that unpacking takes beside the pages, in bytes: the frame's window.
pub(super) const WINDOW: u64 = 8 << 20;

/// The most bytes of memory that a guest has.
const ADDRESSES: u64 = 1 << 32;

/// Pages in the order of their numbers.
pub(super) trait PageSource {
    /// Returns the number and the bytes of the next page; `None` after the last.
    fn next_page(&mut self) -> Result<Option<(u32, &[u8])>, SnapshotError>;
}

impl PageSource for Pages {
    fn next_page(&mut self) -> Result<Option<(u32, &[u8])>, SnapshotError> {
        Ok(Self::next_page(self)?)
    }
}

/// Packs pages. Returns the frame, and their count.
pub(super) fn pack(pages: impl PageSource) -> Result<(Vec<u8>, u32), SnapshotError> {
    let mut records = Records {
        pages,
        count: 0,
        record: Vec::with_capacity(RECORD),
        read: 0,
        failed: None,
    };
    let frame = compress_to_vec(&mut records, CompressionLevel::Fastest);
    match records.failed {
        Some(error) => Err(error),
        None => Ok((frame, records.count)),
    }
}

/// Pages as the bytes of a frame.
struct Records<P> {
    pages: P,
    count: u32,
    record: Vec<u8>,
    /// The bytes of the record that were read.
    read: usize,
    /// The error that has ended it: the compressor has no place for one.
    failed: Option<SnapshotError>,
}

impl<P: PageSource> Read for &mut Records<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.record.len() {
            match self.pages.next_page() {
                Ok(Some((number, page))) => {
                    self.record.clear();
                    self.record.extend(number.to_le_bytes());
                    self.record.extend(page);
                    (self.read, self.count) = (0, self.count + 1);
                }
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error);
                    return Ok(0);
                }
            }
        }
        let rest = self.record.get(self.read..).unwrap_or_default();
        let len = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..len), rest.get(..len)) {
            into.copy_from_slice(rest);
        }
        self.read += len;
        Ok(len)
    }
}

/// The pages of a frame: as many as the head states and within its memory, in order.
pub(super) struct Unpacked<'p> {
    decoder: StreamingDecoder<&'p [u8], ruzstd::decoding::FrameDecoder>,
    /// The count of pages that are still to come.
    left: u32,
    /// The least number that the next page can have.
    next: u32,
    /// The least number that no page can have.
    end: u64,
    record: [u8; RECORD],
}

impl<'p> Unpacked<'p> {
    pub(super) fn new(packed: &'p Packed) -> Result<Self, SnapshotError> {
        let decoder = StreamingDecoder::new_with_max_window_size(packed.frame(), WINDOW)
            .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        Ok(Self {
            decoder,
            left: packed.head.pages,
            next: 0,
            end: if packed.head.since.is_some() {
                // The other one's memory may be larger.
                ADDRESSES
            } else {
                packed.head.memory_bytes
            } / PAGE_BYTES as u64,
            record: [0; RECORD],
        })
    }
}

impl PageSource for Unpacked<'_> {
    fn next_page(&mut self) -> Result<Option<(u32, &[u8])>, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
        if self.left == 0 {
            return match self.decoder.read(&mut [0]) {
                Ok(0) => Ok(None),
                _ => Err(damaged("it has more pages than it says")),
            };
        }
        self.left -= 1;
        self.decoder
            .read_exact(&mut self.record)
            .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        let (number, page) = self
            .record
            .split_first_chunk()
            .ok_or_else(|| damaged("a page"))?;
        let number = u32::from_le_bytes(*number);
        if number < self.next {
            return Err(damaged("its pages are not in order"));
        }
        if u64::from(number) >= self.end {
            return Err(damaged("a page is beyond the end of its memory"));
        }
        self.next = number.saturating_add(1);
        Ok(Some((number, page)))
    }
}

/// The pages in which two memories differ: over the differences. That of a memory and of its
/// difference from another is the other.
pub(super) struct Differences<'p> {
    sides: [Side<'p>; 2],
    page: [u8; PAGE_BYTES],
}

/// One of two memories, with its next page.
struct Side<'p> {
    pages: Unpacked<'p>,
    number: Option<u32>,
    page: [u8; PAGE_BYTES],
}

impl<'p> Side<'p> {
    fn new(packed: &'p Packed) -> Result<Self, SnapshotError> {
        let mut side = Self {
            pages: Unpacked::new(packed)?,
            number: None,
            page: [0; PAGE_BYTES],
        };
        side.advance()?;
        Ok(side)
    }

    fn advance(&mut self) -> Result<(), SnapshotError> {
        self.number = None;
        if let Some((number, page)) = self.pages.next_page()? {
            self.page.copy_from_slice(page);
            self.number = Some(number);
        }
        Ok(())
    }
}

impl<'p> Differences<'p> {
    pub(super) fn new(one: &'p Packed, other: &'p Packed) -> Result<Self, SnapshotError> {
        Ok(Self {
            sides: [Side::new(one)?, Side::new(other)?],
            page: [0; PAGE_BYTES],
        })
    }
}

impl PageSource for Differences<'_> {
    fn next_page(&mut self) -> Result<Option<(u32, &[u8])>, SnapshotError> {
        while let Some(number) = self.sides.iter().filter_map(|side| side.number).min() {
            self.page.fill(0);
            for side in &mut self.sides {
                if side.number == Some(number) {
                    let bytes = self.page.iter_mut().zip(&side.page);
                    bytes.for_each(|(byte, of_side)| *byte ^= of_side);
                    side.advance()?;
                }
            }
            if self.page.iter().any(|byte| *byte != 0) {
                return Ok(Some((number, &self.page)));
            }
        }
        Ok(None)
    }
}
