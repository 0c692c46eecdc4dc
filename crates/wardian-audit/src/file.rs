//! A log in a file, to which several processes may write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::record::unseal;
use crate::{Head, Sink};

/// When what was written has to be on the disk, and not only with the kernel. A process that is
/// killed loses nothing either way; a machine that loses power may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sync {
    /// After every record.
    Always,
    /// Before a tool does what it was called for, and when a run has ended.
    #[default]
    BeforeTools,
    /// When the kernel thinks fit.
    Never,
}

/// How long a record waits for another process that is writing to the same file.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The longest line there can be.
pub(crate) const LINE_BYTES: u64 = 1 << 20;

/// A log in a file: only ever appended to, created for its owner alone (0600).
///
/// Several processes can write to one file; a lock on it keeps each record whole and the chain
/// one. It stays the same file when it is renamed; if it is removed, recording fails.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    /// How long the file was when this sink last looked.
    end: u64,
    sync: Sync,
}

impl FileSink {
    /// Opens a log, or creates it.
    ///
    /// # Errors
    ///
    /// If that fails; if the file is a symbolic link or no regular file; if others may write to
    /// it; if its last line is not a whole record, so that nothing can be added to the chain.
    pub fn open(path: impl AsRef<Path>, sync: Sync) -> io::Result<Self> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
                refused("it is a symbolic link; name the file itself")
            }
            Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
                refused("it is not a regular file")
            }
            _ => error,
        })?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(refused("it is not a regular file"));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refused("others may write to it; `chmod 600` it first"));
        }
        // Where the chain stands is read before the first record; whether it can be, now.
        let mut sink = Self {
            file,
            end: u64::MAX,
            sync,
        };
        let checked = sink.lock().and_then(|()| sink.last());
        sink.unlock();
        checked?;
        Ok(sink)
    }

    fn lock(&self) -> io::Result<()> {
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let why = format!("another process has locked it for {LOCK_WAIT:?}");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn unlock(&self) {
        // It can only fail for a descriptor that is none.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }

    /// Where the chain in the file stands.
    fn last(&mut self) -> io::Result<Head> {
        let end = self.file.metadata()?.len();
        let start = end.saturating_sub(LINE_BYTES);
        let mut tail = Vec::new();
        self.file.seek(SeekFrom::Start(start))?;
        (&self.file).take(LINE_BYTES).read_to_end(&mut tail)?;
        if tail.is_empty() {
            return Ok(Head::default());
        }
        let ends = |byte: &u8| *byte == b'\n';
        let before = tail.len().checked_sub(1).and_then(|last| tail.get(..last));
        let line = before
            .and_then(|before| tail.get(before.iter().rposition(ends).map_or(0, |at| at + 1)..));
        let record = line
            .and_then(|line| str::from_utf8(line).ok())
            .ok_or("it is not text")
            .and_then(unseal);
        match record {
            Ok(record) => Ok(Head {
                records: record.seq + 1,
                hash: record.hash,
            }),
            Err(why) => Err(refused(&format!(
                "its last line can't be added to: {why}; move the file away to start another"
            ))),
        }
    }

    fn add(&mut self, line: &str, durable: bool) -> io::Result<()> {
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // A part of a line would be the end of the chain.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end += line.len() as u64;
        if self.sync == Sync::Always || (durable && self.sync == Sync::BeforeTools) {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn head(&mut self) -> io::Result<Option<Head>> {
        self.lock()?;
        let mut look = || {
            let found = self.file.metadata()?;
            if found.nlink() == 0 {
                return Err(refused("the file was removed"));
            }
            if found.len() == self.end {
                return Ok(None);
            }
            let head = self.last()?;
            self.end = found.len();
            Ok(Some(head))
        };
        let head = look();
        if head.is_err() {
            self.unlock();
        }
        head
    }

    fn append(&mut self, line: &str, durable: bool) -> io::Result<()> {
        let added = self.add(line, durable);
        self.unlock();
        added
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
