//! The traits through which a guest reaches its host. What is not here is absent.
//!
//! The engine decides nothing: an implementation answers for policy, limits and records.

use std::error::Error;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::time::{Duration, Instant, SystemTime};

use rand::Rng as _;
use wardian_abi::Display;

/// Everything that a guest can reach.
pub trait Host: Send + 'static {
    /// Its files.
    type Files: Filesystem;
    /// Its tools.
    type Tools: ToolCalls;
    /// Its clocks and its randomness.
    type Entropy: Entropy;

    /// Returns the files.
    fn files(&mut self) -> &mut Self::Files;

    /// Returns the tools; `None` if there are none to call.
    fn tools(&mut self) -> Option<&mut Self::Tools>;

    /// Returns clocks and randomness.
    fn entropy(&mut self) -> &mut Self::Entropy;

    /// Shows something.
    fn show(&mut self, display: Display) -> impl Future<Output = ()> + Send;
}

/// A reason of the host to end a run.
pub type StopCause = Box<dyn Error + Send + Sync>;

/// A reason for which an operation on a file was not done.
#[derive(Debug)]
pub enum FileError {
    /// The guest gets the error's number. No text of the host's goes to the guest.
    Io(io::Error),
    /// The run ends.
    Stop(StopCause),
}

/// The descriptor of the guest's root directory, the first after the standard streams: where C
/// libraries look for the directories that they were given.
pub const ROOT: u32 = 3;

/// The most bytes that one call reads or writes.
pub const IO_BYTES: usize = 1 << 20;

/// Something that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A directory.
    Directory,
    /// A regular file.
    File(FileAccess),
}

/// The access that a file was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileAccess {
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
    /// Writes go to its end.
    pub append: bool,
}

/// The way in which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// To write at its end, wherever the position is.
    pub append: bool,
    /// Create it if it is not there.
    pub create: bool,
    /// Fail if it is there, with `create`.
    pub exclusive: bool,
    /// Make it empty.
    pub truncate: bool,
    /// Fail if it is no directory.
    pub directory: bool,
    /// Follow a symbolic link.
    pub follow: bool,
}

/// The kind of an entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A pipe, a socket.
    Other,
}

/// The properties of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// A number for the file system, no device number of the host's.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// The kind.
    pub kind: FileKind,
    /// The count of hard links.
    pub links: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// The time of the last access, in nanoseconds since 1970.
    pub accessed: u64,
    /// The time of the last change of the contents, in nanoseconds since 1970.
    pub modified: u64,
    /// The time of the last change of the properties, in nanoseconds since 1970.
    pub changed: u64,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, in any encoding.
    pub name: Vec<u8>,
    /// The inode; never 0, at which C libraries ask again.
    pub inode: u64,
    /// The kind.
    pub kind: FileKind,
}

impl Entry {
    /// The bytes that an entry takes beside its name.
    pub const HEAD_BYTES: usize = 24;
}

/// A position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The file's own, which moves on.
    Current,
    /// A fixed one.
    At(u64),
    /// The end.
    End,
}

/// New times of access and of change; `None` leaves one as it is.
pub type Times = [Option<SystemTime>; 2];

/// Files of a guest: one tree, with a table of what is open.
///
/// A path is text as the guest gave it, relative to a directory of the table, absolute if it begins
/// with `/`. A descriptor or a path can be anything: an implementation fails with `EBADF`,
/// `ENOTDIR`, `EINVAL`.
pub trait Filesystem: Send {
    /// Its errors.
    type Error: Into<FileError> + Send;

    /// Returns the kind of what is open at a descriptor.
    ///
    /// # Errors
    ///
    /// `EBADF` if nothing is.
    fn kind(&self, fd: u32) -> Result<Open, Self::Error>;

    /// Closes a descriptor.
    ///
    /// # Errors
    ///
    /// `EBADF` if nothing is open at it.
    fn close(&mut self, fd: u32) -> Result<(), Self::Error>;

    /// Returns the position of an open file. Waits for nothing.
    ///
    /// # Errors
    ///
    /// As the host's `lseek`.
    fn position(&self, fd: u32) -> Result<u64, Self::Error>;

    /// Opens a file or a directory. Returns its descriptor.
    fn open(
        &mut self,
        dir: u32,
        path: &str,
        options: OpenOptions,
    ) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// Reads up to `bytes` bytes, at most [`IO_BYTES`]; none at the end.
    fn read(
        &mut self,
        fd: u32,
        bytes: usize,
        position: Position,
    ) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;

    /// Writes bytes, at least one of them unless there are none. Returns how many.
    fn write(
        &mut self,
        fd: u32,
        bytes: Vec<u8>,
        position: Position,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Moves the position of a file. Returns where it is.
    fn seek(
        &mut self,
        fd: u32,
        to: SeekFrom,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Cuts a file, or makes it longer with zeros.
    fn set_size(
        &mut self,
        fd: u32,
        bytes: u64,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Waits until a file is on the disk.
    fn sync(&mut self, fd: u32) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lists an open directory from entry number `from` on, until the entries take more than
    /// `bytes` bytes; fewer are the last.
    fn list(
        &mut self,
        fd: u32,
        from: u64,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, Self::Error>> + Send;

    /// Returns the properties of what is open.
    fn stat_open(&mut self, fd: u32) -> impl Future<Output = Result<Stat, Self::Error>> + Send;

    /// Returns the properties of what a path leads to.
    fn stat(
        &mut self,
        dir: u32,
        path: &str,
        follow: bool,
    ) -> impl Future<Output = Result<Stat, Self::Error>> + Send;

    /// Sets the times of what is open.
    fn set_times_open(
        &mut self,
        fd: u32,
        times: Times,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Sets the times of what a path leads to.
    fn set_times(
        &mut self,
        dir: u32,
        path: &str,
        times: Times,
        follow: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Creates a directory.
    fn create_directory(
        &mut self,
        dir: u32,
        path: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes an empty directory.
    fn remove_directory(
        &mut self,
        dir: u32,
        path: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes a file or a symbolic link.
    fn remove_file(
        &mut self,
        dir: u32,
        path: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Renames a file or a directory.
    fn rename(
        &mut self,
        from: (u32, &str),
        to: (u32, &str),
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a hard link to a file.
    fn link(
        &mut self,
        from: (u32, &str),
        to: (u32, &str),
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a symbolic link at `path`.
    fn symlink(
        &mut self,
        dir: u32,
        path: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns the path that a symbolic link holds.
    fn read_link(
        &mut self,
        dir: u32,
        path: &str,
    ) -> impl Future<Output = Result<String, Self::Error>> + Send;
}

/// Calls of tools by a guest. Several are in flight at once, each with a number from 1.
pub trait ToolCalls: Send {
    /// Returns the most bytes that the JSON of a call takes.
    fn max_call_bytes(&self) -> usize;

    /// Starts a call. Returns its number; 0 if the guest has to wait for another one first.
    ///
    /// # Errors
    ///
    /// [`Malformed`](wardian_abi::Malformed) if the bytes are no call; any other reason to end the
    /// run.
    fn start(&mut self, call: CallRequest) -> impl Future<Output = Result<u32, StopCause>> + Send;

    /// Waits for the end of a call, of any for number 0. Returns its number, and keeps its reply
    /// for [`take`](Self::take); `None` if there is no such call.
    ///
    /// # Errors
    ///
    /// A reason to end the run.
    fn wait(&mut self, number: u32) -> impl Future<Output = Result<Option<u32>, StopCause>> + Send;

    /// Returns the length of the reply that was waited for, in bytes.
    fn reply_bytes(&self) -> usize;

    /// Returns the reply that was waited for last; nothing if it was taken before.
    fn take(&mut self) -> Vec<u8>;

    /// Notes that the script has ended: calls from here on are denied.
    fn close(&mut self);
}

/// A call, as the guest has asked for it.
#[derive(Debug)]
pub enum CallRequest {
    /// JSON of a [`ToolCall`](wardian_abi::ToolCall), or anything else.
    Json(Vec<u8>),
    /// More bytes than [`max_call_bytes`](ToolCalls::max_call_bytes), which were not read.
    TooLong(usize),
}

/// Clocks and randomness: what makes two runs of the same script differ.
pub trait Entropy: Send {
    /// Returns the time of day.
    fn now(&mut self) -> SystemTime;

    /// Returns the time since the instance was made.
    fn elapsed(&mut self) -> Duration;

    /// Fills a buffer with random bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// If the host has none.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

/// The clocks and the random numbers of the machine.
#[derive(Debug)]
pub struct SystemEntropy(Instant);

impl Default for SystemEntropy {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Entropy for SystemEntropy {
    fn now(&mut self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&mut self) -> Duration {
        self.0.elapsed()
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        // The thread's own generator, which the kernel seeds: no system call for each read.
        rand::rng().fill_bytes(buffer);
        Ok(())
    }
}
