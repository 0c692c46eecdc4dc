//! What is done beneath a granted directory, once it is allowed. Blocks.
//!
//! Paths here are relative, normalised and hold no `..`; cap-std resolves them beneath the
//! directory's handle, symbolic links included. That this has worked is checked once more, by
//! asking the kernel where what was opened really is, and what is changed is changed by its last
//! name in a directory that has been checked so. Nothing here is opened that is not a regular
//! file or a directory, and nothing waits for another process.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, SystemTimeSpec};
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, Metadata, OpenOptions, OpenOptionsExt};
use cap_std::time::SystemTime as CapSystemTime;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use wardian_policy::Limit;

use crate::meter::Meter;

/// The most that one call reads or writes.
pub(super) const IO_BYTES: usize = 1 << 20;

/// What new files and directories may be: the owner's, and readable for the group, as far as
/// the umask of the host allows.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Why something that was allowed is not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The system's answer.
    Io(io::Error),
    /// A limit of the run.
    Limit(Limit),
    /// It is no regular file and no directory.
    Special,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Checks that what was opened beneath `dir` is beneath it, whatever has resolved the path.
fn check_beneath(dir: &Dir, opened: &impl AsFd) -> io::Result<()> {
    let [outer, inner] = [real_path(dir)?, real_path(opened)?];
    match inner.starts_with(outer) {
        true => Ok(()),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// Where the kernel says that this is.
pub(crate) fn real_path(opened: &impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))
}

/// The directory in which `path` is to be changed, and the name in it.
fn parent<'p>(dir: &Dir, path: &'p Path) -> io::Result<(Dir, &'p OsStr)> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => dir.open_dir(parent)?,
        _ => dir.try_clone()?,
    };
    check_beneath(dir, &parent)?;
    Ok((parent, name))
}

/// How a file is to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) read: bool,
    /// To change anything: to append, create or truncate as well.
    pub(super) write: bool,
    pub(super) append: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) directory: bool,
    pub(super) follow: bool,
    /// The largest file that can be opened for reading.
    pub(super) file_bytes: u64,
}

/// What was opened.
pub(super) enum Opened {
    Directory,
    File(File),
}

/// Creates one more file, directory or link, if the run may.
pub(super) fn counted<T>(
    created: &Meter,
    create: impl FnOnce() -> io::Result<T>,
) -> Result<T, Failure> {
    let taken = created.take(1, 1);
    let taken = taken.ok_or(Failure::Limit(Limit::FilesCreated))?;
    let done = create();
    taken.settle(u64::from(done.is_ok()));
    Ok(done?)
}

/// Opens a file, which counts if it is created, or finds that it is a directory.
pub(super) fn open(
    dir: &Dir,
    path: &Path,
    opening: Opening,
    created: &Meter,
) -> Result<Opened, Failure> {
    let found = match stat(dir, path, opening.follow) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && opening.create => None,
        found => Some(found?),
    };
    let mut options = OpenOptions::new();
    options
        .read(opening.read)
        .write(opening.write && !opening.append)
        .append(opening.append)
        .mode(FILE_MODE)
        // In case that it has become a pipe or a terminal since.
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    let Some(found) = found else {
        if opening.directory {
            return Err(Errno::ISDIR.into());
        }
        options.create_new(true).follow(FollowSymlinks::No);
        let file = counted(created, || {
            let (parent, name) = parent(dir, path)?;
            Ok(parent.open_with(name, &options)?.into_std())
        });
        return file.map(Opened::File);
    };
    if opening.create && opening.exclusive {
        return Err(Errno::EXIST.into());
    }
    if found.is_dir() {
        return match opening.write {
            true => Err(Errno::ISDIR.into()),
            false => Ok(Opened::Directory),
        };
    }
    if opening.directory {
        return Err(Errno::NOTDIR.into());
    }
    if found.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    if !found.is_file() {
        return Err(Failure::Special);
    }
    options.follow(match opening.follow {
        true => FollowSymlinks::Yes,
        false => FollowSymlinks::No,
    });
    let file = dir.open_with(path, &options)?.into_std();
    check_beneath(dir, &file)?;
    let opened = file.metadata()?;
    if !opened.is_file() {
        return Err(Failure::Special);
    }
    if opening.truncate {
        file.set_len(0)?;
    } else if opening.read && opened.len() > opening.file_bytes {
        return Err(Failure::Limit(Limit::FileSize));
    }
    Ok(Opened::File(file))
}

/// Where in a file to read or write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// At its position, which moves on.
    Current,
    At(u64),
    /// At its end.
    End,
}

/// What [`read`] would return, if the kernel has it at hand; waits for nothing.
pub(super) fn read_at_hand(file: &File, bytes: usize, place: Place) -> Option<Vec<u8>> {
    let offset = match place {
        Place::At(offset) => offset,
        // The position, as -1.
        Place::Current | Place::End => u64::MAX,
    };
    let mut buffer = vec![0; bytes.min(IO_BYTES)];
    let slices = &mut [io::IoSliceMut::new(&mut buffer)];
    let read = preadv2(file, slices, offset, ReadWriteFlags::NOWAIT).ok()?;
    buffer.truncate(read);
    Some(buffer)
}

pub(super) fn read(mut file: &File, bytes: usize, place: Place) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes.min(IO_BYTES)];
    let read = match place {
        Place::At(offset) => file.read_at(&mut buffer, offset)?,
        Place::Current | Place::End => file.read(&mut buffer)?,
    };
    buffer.truncate(read);
    Ok(buffer)
}

/// What a write may use.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// The largest that a file can become.
    pub(super) file_bytes: u64,
    /// The bytes that the run may write.
    pub(super) written: Meter,
}

/// Writes as much as there is room for, at least a byte, and returns how much that was. A hole that this leaves in the
/// file counts as written too.
pub(super) fn write(
    mut file: &File,
    bytes: &[u8],
    place: Place,
    room: &Room,
) -> Result<usize, Failure> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let size = file.metadata()?.len();
    let start = match place {
        Place::Current => file.stream_position()?,
        Place::At(offset) => offset,
        Place::End => size,
    };
    let hole = start.saturating_sub(size);
    let fits = room.file_bytes.saturating_sub(start);
    if fits == 0 {
        return Err(Failure::Limit(Limit::FileSize));
    }
    let least = hole.saturating_add(1);
    let most = hole.saturating_add(fits.min(bytes.len() as u64));
    let taken = room.written.take(least, most);
    let taken = taken.ok_or(Failure::Limit(Limit::BytesWritten))?;
    let fits = usize::try_from(taken.amount() - hole).unwrap_or(usize::MAX);
    let bytes = bytes.get(..fits).unwrap_or(bytes);
    let written = match place {
        Place::At(offset) => file.write_at(bytes, offset),
        Place::Current | Place::End => file.write(bytes),
    };
    let counted = |written: &usize| hole.saturating_add(*written as u64);
    taken.settle(written.as_ref().map_or(0, counted));
    Ok(written?)
}

/// Cuts a file, or makes it longer with zeros.
pub(super) fn set_size(file: &File, size: u64, room: &Room) -> Result<(), Failure> {
    let growth = size.saturating_sub(file.metadata()?.len());
    if growth > 0 && size > room.file_bytes {
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

pub(super) fn stat(dir: &Dir, path: &Path, follow: bool) -> io::Result<Metadata> {
    match follow {
        true => dir.metadata(path),
        false => dir.symlink_metadata(path),
    }
}

pub(super) fn make_directory(dir: &Dir, path: &Path) -> io::Result<()> {
    let (parent, name) = parent(dir, path)?;
    let mut builder = DirBuilder::new();
    builder.mode(DIRECTORY_MODE);
    parent.create_dir_with(name, &builder)
}

pub(super) fn remove_directory(dir: &Dir, path: &Path) -> io::Result<()> {
    let (parent, name) = parent(dir, path)?;
    parent.remove_dir(name)
}

/// Removes a file or a symbolic link, never what it leads to. `directory`: the path ended with a
/// slash, which only a directory's may.
pub(super) fn remove_file(dir: &Dir, path: &Path, directory: bool) -> io::Result<()> {
    let (parent, name) = parent(dir, path)?;
    if directory {
        let found = parent.symlink_metadata(name)?;
        let error = if found.is_dir() {
            Errno::ISDIR
        } else {
            Errno::NOTDIR
        };
        return Err(error.into());
    }
    parent.remove_file(name)
}

/// Renames within one directory's tree. `directory` as for [`remove_file`], of either path.
pub(super) fn rename(dir: &Dir, from: &Path, to: &Path, directory: bool) -> io::Result<()> {
    let [(from, old), (to, new)] = [parent(dir, from)?, parent(dir, to)?];
    if directory && !from.symlink_metadata(old)?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    from.rename(old, &to, new)
}

/// Links within one directory's tree. A symbolic link is linked itself.
pub(super) fn link(dir: &Dir, from: &Path, to: &Path) -> io::Result<()> {
    let [(from, old), (to, new)] = [parent(dir, from)?, parent(dir, to)?];
    from.hard_link(old, &to, new)
}

pub(super) fn read_link(dir: &Dir, path: &Path) -> io::Result<PathBuf> {
    let (parent, name) = parent(dir, path)?;
    parent.read_link_contents(name)
}

/// New times; `None` leaves one as it is.
pub(super) type Times = [Option<SystemTime>; 2];

pub(super) fn set_times(dir: &Dir, path: &Path, times: Times, follow: bool) -> io::Result<()> {
    let spec = |time: Option<SystemTime>| {
        time.map(|time| SystemTimeSpec::Absolute(CapSystemTime::from_std(time)))
    };
    let [accessed, modified] = times.map(spec);
    if path == Path::new(".") {
        return dir.set_times(path, accessed, modified);
    }
    let (parent, name) = parent(dir, path)?;
    match follow && parent.symlink_metadata(name)?.is_symlink() {
        true => dir.set_times(path, accessed, modified),
        false => parent.set_symlink_times(name, accessed, modified),
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    /// What would happen if the layer below resolved a path wrongly.
    #[test]
    fn what_is_elsewhere_is_seen_to_be() {
        let world = tempfile::tempdir().unwrap();
        for name in ["granted/sub", "granted-not", "outside"] {
            std::fs::create_dir_all(world.path().join(name)).unwrap();
        }
        let open = |name: &str| {
            Dir::open_ambient_dir(world.path().join(name), ambient_authority()).unwrap()
        };
        let granted = open("granted");
        for (name, beneath) in [
            ("granted", true),
            ("granted/sub", true),
            ("granted-not", false),
            ("outside", false),
            (".", false),
        ] {
            assert_eq!(
                check_beneath(&granted, &open(name)).is_ok(),
                beneath,
                "{name}"
            );
        }
        std::fs::write(world.path().join("outside/file"), "").unwrap();
        let file = File::open(world.path().join("outside/file")).unwrap();
        let error = check_beneath(&granted, &file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
