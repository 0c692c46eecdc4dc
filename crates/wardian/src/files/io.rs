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
        if let Some(read) = read_cached(&open.file, bytes, position) {
            return Ok(read);
        }
        let file = open.clone();
        let reading = move || Ok(read(&file.file, bytes, position)?);
        self.perform(FileOperation::Read, &open.path, reading).await
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
        self.perform(FileOperation::Write, &open.path, writing)
            .await
    }

    pub(super) async fn set_size_of(&self, fd: u32, bytes: u64) -> Result<()> {
        let open = self.file_for(fd, Access::WRITE)?;
        let (file, room) = (open.clone(), self.room());
        let setting = move || set_size(&file.file, bytes, &room);
        self.perform(FileOperation::Write, &open.path, setting)
            .await
    }

    /// Moves the position, which waits for nothing.
    pub(super) async fn seek_descriptor(&self, fd: u32, to: SeekFrom) -> Result<u64> {
        let open = self.file(fd)?;
        let position = seek(&open.file, to).map_err(Failure::Io);
        self.finish(FileOperation::Stat, &open.path, position).await
    }

    pub(super) async fn sync_descriptor(&self, fd: u32) -> Result<()> {
        let open = self.file(fd)?;
        let file = open.clone();
        let syncing = move || Ok(file.file.sync_all()?);
        self.perform(FileOperation::Write, &open.path, syncing)
            .await
    }

    /// Returns the size of an open file.
    pub(crate) async fn size_of(&self, open: &Arc<OpenFile>) -> Result<u64> {
        let file = open.clone();
        let look = move || Ok(file.file.metadata()?.len());
        self.perform(FileOperation::Read, &open.path, look).await
    }

    /// Reads an open file from its position to its end, which is at most `size` bytes from its
    /// start.
    pub(crate) async fn read_to_end(&self, open: Arc<OpenFile>, size: u64) -> Result<Vec<u8>> {
        let path = open.path.clone();
        self.perform(FileOperation::Read, &path, move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            loop {
                let piece = read(&open.file, IO_BYTES, Position::Current)?;
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
        let (path, room) = (open.path.clone(), self.room());
        let position = if open.append {
            Position::End
        } else {
            Position::Current
        };
        self.perform(FileOperation::Write, &path, move || {
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
        (&self.file).stream_position().ok()
    }

    /// Moves the position back to where it was.
    pub(crate) fn restore_position(&self, position: u64) {
        // It was at this place before.
        let _ = (&self.file).seek(SeekFrom::Start(position));
    }
}

/// Reads what the kernel has at hand; waits for nothing.
fn read_cached(file: &File, bytes: usize, position: Position) -> Option<Vec<u8>> {
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

fn read(mut file: &File, bytes: usize, position: Position) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes.min(IO_BYTES)];
    let read = match position {
        Position::At(offset) => file.read_at(&mut buffer, offset)?,
        Position::Current | Position::End => file.read(&mut buffer)?,
    };
    buffer.truncate(read);
    Ok(buffer)
}

/// Writes as much as there is room for, at least a byte, and returns how much that was. A hole that
/// this leaves in the file counts as written too.
fn write(
    mut file: &File,
    bytes: &[u8],
    position: Position,
    room: &Room,
) -> std::result::Result<usize, Failure> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let size = file.metadata()?.len();
    let start = match position {
        Position::Current => file.stream_position()?,
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
    let written = match position {
        Position::At(offset) => file.write_at(bytes, offset),
        Position::Current | Position::End => file.write(bytes),
    };
    let counted = |written: &usize| hole.saturating_add(*written as u64);
    taken.settle(written.as_ref().map_or(0, counted));
    Ok(written?)
}

/// Cuts a file, or makes it longer with zeros.
fn set_size(file: &File, size: u64, room: &Room) -> std::result::Result<(), Failure> {
    let growth = size.saturating_sub(file.metadata()?.len());
    if growth > 0 && size > room.max_file_bytes {
        return Err(Failure::Limit(Limit::FileSize));
    }
    let taken = room.written.take(growth, growth);
    let taken = taken.ok_or(Failure::Limit(Limit::BytesWritten))?;
    let set = file.set_len(size);
    taken.settle(if set.is_ok() { growth } else { 0 });
    Ok(set?)
}

pub(super) fn seek(mut file: &File, to: SeekFrom) -> io::Result<u64> {
    file.seek(to)
}
