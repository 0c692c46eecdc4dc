//! Reading and writing of open files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{ReadWriteFlags, preadv2};
use wardian_audit::FileOperation;
use wardian_engine::{IO_BYTES, Position};
use wardian_policy::{Access, Limit};

use super::error::{Failure, Result};
use super::work::WorkFile;
use super::{FileGuard, OpenFile};
use crate::ledger::Meter;

/// The room that a write may use.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// The largest size that a file can get.
    max_file_bytes: u64,
    /// The bytes that the run may write.
    written: Meter,
}

impl FileGuard {
    pub(super) fn room(&self) -> Room {
        let meters = &self.context.meters;
        Room {
            max_file_bytes: meters.max_file_bytes,
            written: meters.written.clone(),
        }
    }

    pub(super) async fn read_descriptor(
        &self,
        fd: u32,
        bytes: usize,
        position: Position,
    ) -> Result<Vec<u8>> {
        let open = self.file_for(fd, Access::READ)?;
        if let Some(read) = open.file.read_cached(bytes, position) {
            return Ok(read);
        }
        let file = open.clone();
        let reading = move || Ok(file.file.read(bytes, position)?);
        self.perform(FileOperation::Read, &open.path, true, reading)
            .await
    }

    pub(super) async fn write_descriptor(
        &self,
        fd: u32,
        bytes: Vec<u8>,
        position: Position,
    ) -> Result<usize> {
        let open = self.file_for(fd, Access::WRITE)?;
        let (file, room) = (open.clone(), self.room());
        let writing = move || write(&file.file, &bytes, position, &room);
        self.perform(FileOperation::Write, &open.path, open.file.waits(), writing)
            .await
    }

    pub(super) async fn set_size_of(&self, fd: u32, bytes: u64) -> Result<()> {
        let open = self.file_for(fd, Access::WRITE)?;
        let (file, room) = (open.clone(), self.room());
        let setting = move || set_size(&file.file, bytes, &room);
        self.perform(FileOperation::Write, &open.path, open.file.waits(), setting)
            .await
    }

    /// Moves the position, which waits for nothing.
    pub(super) async fn seek_descriptor(&self, fd: u32, to: SeekFrom) -> Result<u64> {
        let open = self.file(fd)?;
        let position = open.file.seek(to).map_err(Failure::Io);
        self.finish(FileOperation::Stat, &open.path, position).await
    }

    pub(super) async fn sync_descriptor(&self, fd: u32) -> Result<()> {
        let open = self.file(fd)?;
        let file = open.clone();
        let syncing = move || Ok(file.file.sync()?);
        self.perform(FileOperation::Write, &open.path, open.file.waits(), syncing)
            .await
    }

    /// Returns the size of an open file.
    pub(crate) async fn size_of(&self, open: &Arc<OpenFile>) -> Result<u64> {
        let file = open.clone();
        let look = move || Ok(file.file.len()?);
        self.perform(FileOperation::Read, &open.path, open.file.waits(), look)
            .await
    }

    /// Reads an open file from its position to its end, which is at most `size` bytes from its
    /// start.
    pub(crate) async fn read_to_end(&self, open: Arc<OpenFile>, size: u64) -> Result<Vec<u8>> {
        let (path, waits) = (open.path.clone(), open.file.waits());
        self.perform(FileOperation::Read, &path, waits, move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            loop {
                let piece = open.file.read(IO_BYTES, Position::Current)?;
                if piece.is_empty() {
                    return Ok(bytes);
                }
                bytes.extend(piece);
                // It has grown since it was opened.
                if bytes.len() as u64 > size {
                    return Err(Failure::Limit(Limit::FileSize));
                }
            }
        })
        .await
    }

    /// Writes all of `bytes` to an open file. Returns their count.
    pub(crate) async fn write_all(&self, open: Arc<OpenFile>, bytes: Vec<u8>) -> Result<u64> {
        let (path, waits, room) = (open.path.clone(), open.file.waits(), self.room());
        let position = if open.append {
            Position::End
        } else {
            Position::Current
        };
        self.perform(FileOperation::Write, &path, waits, move || {
            let mut written = 0;
            while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
                written += write(&open.file, rest, position, &room)?;
            }
            Ok(written as u64)
        })
        .await
    }
}

impl OpenFile {
    /// Returns the position, which waits for nothing; `None` if there is none.
    pub(crate) fn position(&self) -> Option<u64> {
        self.file.seek(SeekFrom::Current(0)).ok()
    }

    /// Moves the position back to where it was.
    pub(crate) fn restore_position(&self, position: u64) {
        // It was at this place before.
        let _ = self.file.seek(SeekFrom::Start(position));
    }
}

/// The bytes of an open file, and the position in them.
#[derive(Debug)]
pub(super) enum Body {
    /// On the host.
    Host(File),
    /// In a working directory.
    Work(WorkFile),
}

impl Body {
    /// Returns whether reading and writing can wait for a disk.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    /// The file, if it is in a working directory.
    pub(super) fn work(&self) -> Option<&WorkFile> {
        match self {
            Self::Host(_) => None,
            Self::Work(file) => Some(file),
        }
    }

    fn len(&self) -> io::Result<u64> {
        match self {
            Self::Host(file) => Ok(file.metadata()?.len()),
            Self::Work(file) => Ok(file.len()),
        }
    }

    pub(super) fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Host(file) => (&mut &*file).seek(to),
            Self::Work(file) => file.seek(to),
        }
    }

    /// Reads what is at hand; waits for nothing.
    fn read_cached(&self, bytes: usize, position: Position) -> Option<Vec<u8>> {
        let file = match self {
            Self::Host(file) => file,
            Self::Work(file) => return Some(file.read(bytes.min(IO_BYTES), position)),
        };
        let offset = match position {
            Position::At(offset) => offset,
            // The position, as -1.
            Position::Current | Position::End => u64::MAX,
        };
        let mut buffer = vec![0; bytes.min(IO_BYTES)];
        let slices = &mut [io::IoSliceMut::new(&mut buffer)];
        let read = preadv2(file, slices, offset, ReadWriteFlags::NOWAIT).ok()?;
        buffer.truncate(read);
        Some(buffer)
    }

    fn read(&self, bytes: usize, position: Position) -> io::Result<Vec<u8>> {
        let mut file = match self {
            Self::Host(file) => file,
            Self::Work(file) => return Ok(file.read(bytes.min(IO_BYTES), position)),
        };
        let mut buffer = vec![0; bytes.min(IO_BYTES)];
        let read = match position {
            Position::At(offset) => file.read_at(&mut buffer, offset)?,
            Position::Current | Position::End => file.read(&mut buffer)?,
        };
        buffer.truncate(read);
        Ok(buffer)
    }

    fn write(&self, bytes: &[u8], position: Position) -> std::result::Result<usize, Failure> {
        let mut file = match self {
            Self::Host(file) => file,
            Self::Work(file) => return file.write(bytes, position),
        };
        Ok(match position {
            Position::At(offset) => file.write_at(bytes, offset)?,
            Position::Current | Position::End => file.write(bytes)?,
        })
    }

    fn set_len(&self, len: u64) -> std::result::Result<(), Failure> {
        match self {
            Self::Host(file) => Ok(file.set_len(len)?),
            Self::Work(file) => file.set_len(len),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self {
            Self::Host(file) => file.sync_all(),
            Self::Work(_) => Ok(()),
        }
    }
}

/// Writes as much as there is room for, at least a byte, and returns how much that was. A hole that
/// this leaves in the file counts as written too.
fn write(
    file: &Body,
    bytes: &[u8],
    position: Position,
    room: &Room,
) -> std::result::Result<usize, Failure> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let size = file.len()?;
    let start = match position {
        Position::Current => file.seek(SeekFrom::Current(0))?,
        Position::At(offset) => offset,
        Position::End => size,
    };
    let hole = start.saturating_sub(size);
    let fits = room.max_file_bytes.saturating_sub(start);
    if fits == 0 {
        return Err(Failure::Limit(Limit::FileSize));
    }
    let min = hole.saturating_add(1);
    let max = hole.saturating_add(fits.min(bytes.len() as u64));
    let taken = room.written.take(min, max);
    let taken = taken.ok_or(Failure::Limit(Limit::BytesWritten))?;
    let fits = usize::try_from(taken.amount() - hole).unwrap_or(usize::MAX);
    let bytes = bytes.get(..fits).unwrap_or(bytes);
    let written = file.write(bytes, position);
    let counted = |written: &usize| hole.saturating_add(*written as u64);
    taken.settle(written.as_ref().map_or(0, counted));
    written
}

/// Cuts a file, or makes it longer with zeros.
fn set_size(file: &Body, size: u64, room: &Room) -> std::result::Result<(), Failure> {
    let growth = size.saturating_sub(file.len()?);
    if growth > 0 && size > room.max_file_bytes {
        return Err(Failure::Limit(Limit::FileSize));
    }
    let taken = room.written.take(growth, growth);
    let taken = taken.ok_or(Failure::Limit(Limit::BytesWritten))?;
    let set = file.set_len(size);
    taken.settle(if set.is_ok() { growth } else { 0 });
    set
}
