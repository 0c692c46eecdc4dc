//! The form of a snapshot in bytes.
//!
//! ```text
//! | "WARDSNAP" | version | length, head as JSON | length, pages in a zstd frame | seal |
//! ```
//!
//! Numbers are little-endian: the version and the head's length 32 bits, the frame's length 64.
//! In the frame, each page is its number (32 bits) and its 4 KiB, XOR those of a fresh
//! interpreter's, in order. The seal is the SHA-256 of everything before it, or its HMAC-SHA256.
//!
//! Nothing is believed: every length and every number is checked before it is used, and nothing is
//! unpacked beyond the count of pages that the head states.

use std::io::{self, Read};

use hmac::{Hmac, KeyInit, Mac};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wardian_engine::{FrozenMemory, MemoryWriter, PAGE_BYTES, Pages, artifacts};
use wardian_policy::CanonicalPolicy;

use super::super::SessionUsage;
use super::super::budget::Times;
use super::SnapshotError;
use crate::files::SavedHandle;

const MAGIC: &[u8; 8] = b"WARDSNAP";

/// The version of the form.
const VERSION: u32 = 1;

/// The length of the seal, in bytes.
const SEAL: usize = 32;

/// The most bytes that a head has.
const HEAD_BYTES: usize = 8 << 20;

/// The most bytes that a snapshot has: more than the most memory that a policy allows.
pub(super) const MAX_BYTES: u64 = (2 << 30) + (128 << 20);

/// The bytes of a page.
pub(super) const PAGE: u64 = PAGE_BYTES as u64;

/// The bytes of a page in the frame.
const RECORD: usize = 4 + PAGE_BYTES;

/// The most memory that unpacking takes beside the pages, in bytes: the frame's window.
const WINDOW: u64 = 8 << 20;

/// The build that reads and writes: memory means something only to the interpreter that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Build {
    wardian: String,
    image_sha256: String,
}

impl Build {
    pub(super) fn this() -> Self {
        Self {
            wardian: env!("CARGO_PKG_VERSION").to_owned(),
            image_sha256: artifacts::IMAGE_SHA256.to_owned(),
        }
    }

    /// Returns version and hash for people.
    fn name(&self) -> String {
        let hash: String = self.image_sha256.chars().take(12).collect();
        let version: String = self.wardian.chars().take(40).collect();
        format!("{version} (interpreter {hash})")
    }
}

/// Everything but the memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) build: Build,
    /// The id of the session.
    pub(super) session: String,
    /// SHA-256 of the snapshot before.
    pub(super) parent: Option<String>,
    pub(super) policy: CanonicalPolicy,
    /// Set if randomness begins with the next call.
    pub(super) begins: bool,
    pub(super) usage: SessionUsage,
    pub(super) times: Times,
    pub(super) files: Vec<SavedHandle>,
    /// The size of the memory; 0 for that of the image.
    pub(super) memory_bytes: u64,
    /// The count of pages in the frame.
    pub(super) pages: u32,
    pub(super) is_signed: bool,
}

/// A part of a head that every version has: to say who has written it.
#[derive(Deserialize)]
struct HeadOfAny {
    build: Build,
}

/// A snapshot whose memory is packed.
pub(super) struct Packed {
    pub(super) head: Head,
    pub(super) sha256: String,
    /// The zstd frame.
    frame: Vec<u8>,
}

impl Packed {
    /// Packs `memory`. Counts the pages for the head.
    pub(super) fn new(mut head: Head, memory: &FrozenMemory) -> Result<Self, SnapshotError> {
        let mut records = Records {
            pages: memory.pages(),
            count: 0,
            record: Vec::with_capacity(RECORD),
            read: 0,
            failed: None,
        };
        let frame = compress_to_vec(&mut records, CompressionLevel::Fastest);
        if let Some(error) = records.failed {
            return Err(error.into());
        }
        head.pages = records.count;
        Ok(Self::of(head, frame))
    }

    fn of(head: Head, frame: Vec<u8>) -> Self {
        let mut packed = Self {
            head,
            sha256: String::new(),
            frame,
        };
        packed.sha256 = hex(&Sha256::digest(packed.unsealed()));
        packed
    }

    /// The same memory with another head.
    pub(super) fn with_head(&self, head: Head) -> Self {
        Self::of(head, self.frame.clone())
    }

    /// Everything before the seal.
    fn unsealed(&self) -> Vec<u8> {
        // Texts, numbers, and maps with text for keys.
        let head = serde_json::to_vec(&self.head).unwrap_or_default();
        let mut bytes = Vec::with_capacity(head.len() + self.frame.len() + 64);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((head.len() as u32).to_le_bytes());
        bytes.extend(head);
        bytes.extend((self.frame.len() as u64).to_le_bytes());
        bytes.extend(&self.frame);
        bytes
    }

    pub(super) fn to_bytes(&self, key: Option<&[u8]>) -> Vec<u8> {
        let is_signed = key.is_some();
        let head = Head {
            is_signed,
            ..self.head.clone()
        };
        let mut bytes = Self {
            head,
            sha256: String::new(),
            frame: self.frame.clone(),
        }
        .unsealed();
        match key {
            Some(key) => {
                let seal = mac(key, &bytes).finalize().into_bytes();
                bytes.extend(seal);
            }
            None => {
                let seal = Sha256::digest(&bytes);
                bytes.extend(seal);
            }
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8], key: Option<&[u8]>) -> Result<Self, SnapshotError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::NotOne)?;
        let short = |expected: usize| SnapshotError::Length {
            bytes: bytes.len() as u64,
            expected: expected as u64,
        };
        let version = u32::from_le_bytes(*take(&mut rest).ok_or(short(16))?);
        let head_len = u32::from_le_bytes(*take(&mut rest).ok_or(short(16))?) as usize;
        if head_len > HEAD_BYTES {
            return Err(SnapshotError::Damaged(format!(
                "a head of {head_len} bytes"
            )));
        }
        let (head, mut rest) = rest
            .split_at_checked(head_len)
            .ok_or(short(bytes.len() - rest.len() + head_len))?;
        // The writer is told first: nobody else's form has to be understood.
        let of_any: HeadOfAny = serde_json::from_slice(head)
            .map_err(|error| SnapshotError::Damaged(format!("its head: {error}")))?;
        if of_any.build != Build::this() || version != VERSION {
            return Err(SnapshotError::Build {
                wrote: of_any.build.name(),
                reads: Build::this().name(),
            });
        }
        let head: Head = serde_json::from_slice(head)
            .map_err(|error| SnapshotError::Damaged(format!("its head: {error}")))?;
        let frame_len = u64::from_le_bytes(*take(&mut rest).ok_or(short(bytes.len() + 8))?);
        let expected = (bytes.len() - rest.len() + SEAL) as u64;
        let expected = expected.saturating_add(frame_len);
        if expected != bytes.len() as u64 {
            return Err(SnapshotError::Length {
                bytes: bytes.len() as u64,
                expected,
            });
        }
        let (sealed, seal) = bytes.split_at(bytes.len() - SEAL);
        check_seal(sealed, seal, head.is_signed, key)?;
        let frame = rest.get(..rest.len() - SEAL).unwrap_or_default().to_vec();
        let head = Head {
            is_signed: false,
            ..head
        };
        Ok(Self::of(head, frame))
    }

    /// Unpacks the memory: as many pages as the head states, and no more.
    pub(super) fn unpack(&self) -> Result<FrozenMemory, SnapshotError> {
        if self.head.memory_bytes == 0 && self.head.pages == 0 {
            return Ok(FrozenMemory::default());
        }
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => SnapshotError::Damaged(error.to_string()),
            // The host has no room.
            _ => SnapshotError::Io(error),
        };
        let size = usize::try_from(self.head.memory_bytes).unwrap_or(usize::MAX);
        let mut writer = MemoryWriter::new(size).map_err(damaged)?;
        self.each_page(|page, bytes| writer.write(page, bytes).map_err(damaged))?;
        Ok(writer.finish()?)
    }

    /// Calls `each` with every page.
    fn each_page(
        &self,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
        let mut frame = self.frame.as_slice();
        let mut decoder = StreamingDecoder::new_with_max_window_size(&mut frame, WINDOW)
            .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        let mut record = [0; RECORD];
        let mut next = 0;
        for _ in 0..self.head.pages {
            decoder
                .read_exact(&mut record)
                .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
            let (number, page) = record
                .split_first_chunk()
                .ok_or_else(|| damaged("a page"))?;
            let number = u32::from_le_bytes(*number);
            if number < next {
                return Err(damaged("its pages are not in order"));
            }
            next = number.saturating_add(1);
            each(number, page)?;
        }
        match decoder.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(damaged("it has more pages than it says")),
        }
    }
}

/// Lists the numbers of pages in which two memories differ.
pub(super) fn changed_pages(one: &Packed, other: &Packed) -> Result<Vec<u32>, SnapshotError> {
    let mut hashes = std::collections::BTreeMap::new();
    let hash = |page: &[u8]| -> [u8; 32] { Sha256::digest(page).into() };
    one.each_page(|number, page| {
        hashes.insert(number, hash(page));
        Ok(())
    })?;
    let mut changed = Vec::new();
    other.each_page(|number, page| {
        if hashes.remove(&number) != Some(hash(page)) {
            changed.push(number);
        }
        Ok(())
    })?;
    changed.extend(hashes.into_keys());
    changed.sort_unstable();
    Ok(changed)
}

/// Takes the first bytes off.
fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

fn check_seal(
    sealed: &[u8],
    seal: &[u8],
    is_signed: bool,
    key: Option<&[u8]>,
) -> Result<(), SnapshotError> {
    match (is_signed, key) {
        (true, Some(key)) => mac(key, sealed).verify_slice(seal).map_err(|_| {
            SnapshotError::Signature("it is not that of this key, or something was changed")
        }),
        (true, None) => Err(SnapshotError::Signature(
            "there is one, and no key to check it",
        )),
        (false, Some(_)) => Err(SnapshotError::Signature("there is none")),
        (false, None) if Sha256::digest(sealed).as_slice() == seal => Ok(()),
        (false, None) => Err(SnapshotError::Damaged("its hash is another".to_owned())),
    }
}

fn mac(key: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the pages of a memory as records.
struct Records {
    pages: Pages,
    count: u32,
    record: Vec<u8>,
    /// The bytes of the record that were read.
    read: usize,
    /// The error that has ended it: the compressor has no place for one.
    failed: Option<io::Error>,
}

impl Read for &mut Records {
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
