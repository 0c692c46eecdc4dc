//! The form of a snapshot in bytes.
//!
//! ```text
//! | "WARDSNAP" | version | length | head as JSON | 2 lengths | pages | working directory | seal |
//! ```
//!
//! Numbers are little-endian: the version and the head's length 32 bits, the other lengths 64.
//! Pages are in a zstd frame, and so are the bytes of the files in the working directory, one
//! after the other, unless there are none. Each page is its number (32 bits) and its 4 KiB, XOR
//! those of a fresh interpreter's, in order. The seal is the SHA-256 of everything before it, or
//! its HMAC-SHA256. The frame of a snapshot that holds the changes since another one is XOR the
//! other's.
//!
//! Nothing is believed: every length and every number is checked before it is used, and nothing is
//! unpacked beyond the count of pages that the head states.

use std::io;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wardian_engine::{FrozenMemory, MemoryWriter, PAGE_BYTES, artifacts};
use wardian_policy::CanonicalPolicy;

use super::super::budget::Times;
use super::super::{ImagePackage, SessionUsage};
use super::SnapshotError;
use super::pages::{Differences, PageSource, Unpacked, WINDOW, pack};
use crate::files::{LoadError, SavedHandle, SavedWork, WorkFiles};

const MAGIC: &[u8; 8] = b"WARDSNAP";

/// The version of the form.
const VERSION: u32 = 4;

/// The length of the seal, in bytes.
const SEAL: usize = 32;

/// The most bytes that a head has.
const HEAD_BYTES: usize = 8 << 20;

/// The most bytes that a snapshot has: more than the most memory that a policy allows.
pub(super) const MAX_BYTES: u64 = (2 << 30) + (128 << 20);

/// The bytes of a page.
pub(super) const PAGE: u64 = PAGE_BYTES as u64;

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
    /// The files and directories in the working directory.
    pub(super) work: Vec<SavedWork>,
    /// The size of the memory; 0 for that of the image.
    pub(super) memory_bytes: u64,
    /// The count of pages in the frame.
    pub(super) pages: u32,
    /// Set if it is an image.
    pub(super) image: Option<ImageHead>,
    pub(super) is_signed: bool,
    /// Set if the frame has only what has changed.
    pub(super) since: Option<Since>,
}

/// The things that an image was built with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ImageHead {
    pub(in super::super) packages: Vec<ImagePackage>,
    /// SHA-256 of the script that has set it up.
    pub(in super::super) setup_sha256: Option<String>,
}

/// A snapshot as what has changed since another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// SHA-256 of the other one.
    base: String,
    /// SHA-256 of the whole of this one.
    whole: String,
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
    /// The pages, in a zstd frame.
    frame: Arc<Vec<u8>>,
    /// The bytes of the working directory's files, in a zstd frame.
    work: Arc<Vec<u8>>,
}

impl Packed {
    /// Packs `memory`, and the bytes of the working directory's files. Counts the pages for the
    /// head.
    pub(super) fn new(
        mut head: Head,
        memory: &FrozenMemory,
        work: &[u8],
    ) -> Result<Self, SnapshotError> {
        let (frame, count) = pack(memory.pages())?;
        head.pages = count;
        let work = if work.is_empty() {
            Vec::new()
        } else {
            compress_to_vec(work, CompressionLevel::Fastest)
        };
        Ok(Self::of(head, frame.into(), work.into()))
    }

    fn of(head: Head, frame: Arc<Vec<u8>>, work: Arc<Vec<u8>>) -> Self {
        let mut packed = Self {
            head,
            sha256: String::new(),
            frame,
            work,
        };
        let preamble = packed.preamble(false);
        packed.sha256 = hex(&packed.seal(&preamble, None));
        packed
    }

    /// The same memory with another head.
    pub(super) fn with_head(&self, head: Head) -> Self {
        Self::of(head, self.frame.clone(), self.work.clone())
    }

    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Leaves out everything that is as in `base`.
    pub(super) fn since(&self, base: &Self) -> Result<Self, SnapshotError> {
        let (frame, pages) = pack(Differences::new(base, self)?)?;
        let since = Some(Since {
            base: base.sha256.clone(),
            whole: self.sha256.clone(),
        });
        let head = Head {
            pages,
            since,
            ..self.head.clone()
        };
        Ok(Self::of(head, frame.into(), self.work.clone()))
    }

    /// The whole, if this is what has changed since `base`.
    pub(super) fn whole(self, base: Option<&Self>) -> Result<Self, SnapshotError> {
        let Some(since) = self.head.since.clone() else {
            return Ok(self);
        };
        let base = base
            .filter(|base| base.sha256 == since.base)
            .ok_or(SnapshotError::Base { sha256: since.base })?;
        let (frame, pages) = pack(Differences::new(base, &self)?)?;
        let head = Head {
            pages,
            since: None,
            ..self.head.clone()
        };
        let whole = Self::of(head, frame.into(), self.work.clone());
        if whole.sha256 == since.whole {
            Ok(whole)
        } else {
            Err(SnapshotError::Damaged("its hash is another".to_owned()))
        }
    }

    pub(super) fn to_bytes(&self, key: Option<&[u8]>) -> Vec<u8> {
        let preamble = self.preamble(key.is_some());
        let seal = self.seal(&preamble, key);
        [&preamble, self.frame(), &self.work, &seal].concat()
    }

    /// Everything before the frames.
    fn preamble(&self, is_signed: bool) -> Vec<u8> {
        let head = Head {
            is_signed,
            ..self.head.clone()
        };
        // Texts, numbers, and maps with text for keys.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut bytes = Vec::with_capacity(head.len() + 32);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((head.len() as u32).to_le_bytes());
        bytes.extend(head);
        bytes.extend((self.frame.len() as u64).to_le_bytes());
        bytes.extend((self.work.len() as u64).to_le_bytes());
        bytes
    }

    fn seal(&self, preamble: &[u8], key: Option<&[u8]>) -> [u8; SEAL] {
        match key {
            Some(key) => mac(key, preamble)
                .chain_update(self.frame())
                .chain_update(&*self.work)
                .finalize()
                .into_bytes()
                .into(),
            None => Sha256::new_with_prefix(preamble)
                .chain_update(self.frame())
                .chain_update(&*self.work)
                .finalize()
                .into(),
        }
    }

    /// Puts the files into an empty working directory.
    pub(super) fn load_work(&self, work: &WorkFiles) -> Result<(), SnapshotError> {
        let damaged = |error: &dyn std::fmt::Display| SnapshotError::Damaged(error.to_string());
        let saved = &self.head.work;
        let loaded = if self.work.is_empty() {
            work.load(saved, io::empty())
        } else {
            let decoder = StreamingDecoder::new_with_max_window_size(&**self.work, WINDOW)
                .map_err(|error| damaged(&error))?;
            work.load(saved, decoder)
        };
        loaded.map_err(|error| match error {
            LoadError::Damaged(why) => SnapshotError::Damaged(why),
            LoadError::NoRoom { limit, allowed } => SnapshotError::Memory {
                bytes: saved.iter().filter_map(|file| file.bytes).sum(),
                limit,
                allowed,
            },
        })
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
        let mut length = || take(&mut rest).map(|bytes| u64::from_le_bytes(*bytes));
        let lengths = length().zip(length());
        let (frame_len, work_len) = lengths.ok_or(short(bytes.len() + 16))?;
        let expected = (bytes.len() - rest.len() + SEAL) as u64;
        let expected = expected.saturating_add(frame_len).saturating_add(work_len);
        if expected != bytes.len() as u64 {
            return Err(SnapshotError::Length {
                bytes: bytes.len() as u64,
                expected,
            });
        }
        let (sealed, seal) = bytes.split_at(bytes.len() - SEAL);
        check_seal(sealed, seal, head.is_signed, key)?;
        // Both are within what is there, which was checked.
        let frames = rest.get(..rest.len() - SEAL).unwrap_or_default();
        let (frame, work) = frames.split_at(frame_len as usize);
        let head = Head {
            is_signed: false,
            ..head
        };
        Ok(Self::of(head, frame.to_vec().into(), work.to_vec().into()))
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
        let mut pages = Unpacked::new(self)?;
        while let Some((page, bytes)) = pages.next_page()? {
            writer.write(page, bytes).map_err(damaged)?;
        }
        Ok(writer.finish()?)
    }
}

/// Lists the numbers of pages in which two memories differ.
pub(super) fn changed_pages(one: &Packed, other: &Packed) -> Result<Vec<u32>, SnapshotError> {
    let mut differences = Differences::new(one, other)?;
    let mut changed = Vec::new();
    while let Some((number, _)) = differences.next_page()? {
        changed.push(number);
    }
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
