//! A log in a file, to which several processes may write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::record::{Record, unseal};
use crate::{Draft, Head, Sink};

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

/// The longest wait of a record for another process that is writing to the same file.
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
    path: PathBuf,
    /// The head of the chain when this sink last looked.
    head: Head,
    /// The last line's start and end then, in bytes.
    last: Range<u64>,
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
        let path = std::path::absolute(path)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
                refusal("it is a symbolic link; name the file itself")
            }
            Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
                refusal("it is not a regular file")
            }
            _ => error,
        })?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(refusal("it is not a regular file"));
        }
        if found.mode() & 0o022 != 0 {
            return Err(refusal("others may write to it; `chmod 600` it first"));
        }
        let mut sink = Self {
            file,
            path,
            head: Head::default(),
            last: 0..0,
            sync,
        };
        sink.locked(Self::look)?;
        Ok(sink)
    }

    fn locked<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        self.lock()?;
        let done = work(self);
        // It can only fail for a descriptor that is none.
        let _ = flock(&self.file, FlockOperation::Unlock);
        done
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

    /// Finds where the chain stands, if another process has moved it.
    fn look(&mut self) -> io::Result<()> {
        let found = self.file.metadata()?;
        if found.nlink() == 0 {
            return Err(refusal("the file was removed"));
        }
        let end = found.len();
        if end == self.last.end {
            return Ok(());
        }
        if !self.ends_with_head(self.last.clone())? {
            return Err(refusal(
                "records that this process has written are no longer in it; move the file away to start another",
            ));
        }
        if end == 0 {
            return Ok(());
        }
        let start = end.saturating_sub(LINE_BYTES);
        let tail = self.read(start..end)?;
        let (at, record) = last_record(&tail).map_err(|why| {
            refusal(&format!(
                "its last line can't be added to: {why}; move the file away to start another"
            ))
        })?;
        self.head = Head {
            records: record.seq + 1,
            hash: record.hash,
        };
        self.last = start + at as u64..end;
        Ok(())
    }

    /// Returns whether the line that was last is still there.
    fn ends_with_head(&self, last: Range<u64>) -> io::Result<bool> {
        if last.is_empty() {
            return Ok(true);
        }
        let line = match self.read(last) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            line => line?,
        };
        let record = last_record(&line);
        Ok(record.is_ok_and(|(_, record)| record.hash == self.head.hash))
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    fn write(&mut self, line: &str, durable: bool) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        if self.sync == Sync::Always || (durable && self.sync == Sync::BeforeTools) {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// The record in the last line of a log, and where that line starts.
fn last_record(tail: &[u8]) -> Result<(usize, Record), &'static str> {
    let before = tail.strip_suffix(b"\n").unwrap_or(tail);
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |at| at + 1);
    let line = tail.get(start..).unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| "it is not text")?;
    Ok((start, unseal(line)?))
}

impl Sink for FileSink {
    fn append(&mut self, draft: &Draft<'_>) -> io::Result<()> {
        self.locked(|sink| {
            sink.look()?;
            let (line, next) = draft.line(&sink.head)?;
            let start = sink.last.end;
            if let Err(error) = sink.write(&line, draft.is_durable()) {
                // What is not on the disk is not in the chain. If it can't be taken out, the next
                // record follows it.
                let _ = sink.file.set_len(start);
                return Err(error);
            }
            sink.head = next;
            sink.last = start..start + line.len() as u64;
            Ok(())
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

fn refusal(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
