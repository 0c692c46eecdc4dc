//! What a script is told of a file, and of what went wrong.

use std::io;

use cap_std::fs::{FileType, FileTypeExt, Metadata, MetadataExt};
use rustix::io::Errno as Os;
use wasmtime_wasi::p1::types::{Errno, Filestat, Filetype};

pub(super) fn filetype(kind: FileType) -> Filetype {
    if kind.is_file() {
        Filetype::RegularFile
    } else if kind.is_dir() {
        Filetype::Directory
    } else if kind.is_symlink() {
        Filetype::SymbolicLink
    } else if kind.is_block_device() {
        Filetype::BlockDevice
    } else if kind.is_char_device() {
        Filetype::CharacterDevice
    } else {
        Filetype::Unknown
    }
}

/// The device is the grant's number, not the host's; the inode is the host's, so that a script
/// can tell whether two names are one file.
pub(super) fn filestat(data: &Metadata, device: u64) -> Filestat {
    Filestat {
        dev: device,
        ino: data.ino(),
        filetype: filetype(data.file_type()),
        nlink: data.nlink(),
        size: data.len(),
        atim: nanos(data.atime(), data.atime_nsec()),
        mtim: nanos(data.mtime(), data.mtime_nsec()),
        ctim: nanos(data.ctime(), data.ctime_nsec()),
    }
}

/// Of a directory that only leads to granted ones.
pub(super) fn of_leading_directory() -> Filestat {
    Filestat {
        dev: 0,
        ino: 1,
        filetype: Filetype::Directory,
        nlink: 1,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    }
}

/// A time in nanoseconds since 1970; what can't be said in them is 1970, or the last that can.
fn nanos(seconds: i64, nanos: i64) -> u64 {
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

/// The number of an error. No text of the host's goes to the guest.
pub(super) fn errno(error: &io::Error) -> Errno {
    let Some(os) = Os::from_io_error(error) else {
        return match error.kind() {
            io::ErrorKind::NotFound => Errno::Noent,
            io::ErrorKind::PermissionDenied => Errno::Acces,
            io::ErrorKind::AlreadyExists => Errno::Exist,
            io::ErrorKind::InvalidInput => Errno::Inval,
            _ => Errno::Io,
        };
    };
    match os {
        Os::ACCESS => Errno::Acces,
        Os::AGAIN => Errno::Again,
        Os::BADF => Errno::Badf,
        Os::BUSY => Errno::Busy,
        Os::DQUOT => Errno::Dquot,
        Os::EXIST => Errno::Exist,
        Os::FBIG => Errno::Fbig,
        Os::ILSEQ => Errno::Ilseq,
        Os::INTR => Errno::Intr,
        Os::INVAL => Errno::Inval,
        Os::ISDIR => Errno::Isdir,
        Os::LOOP => Errno::Loop,
        Os::MFILE | Os::NFILE => Errno::Mfile,
        Os::MLINK => Errno::Mlink,
        Os::NAMETOOLONG => Errno::Nametoolong,
        Os::NOENT => Errno::Noent,
        Os::NOMEM => Errno::Nomem,
        Os::NOSPC => Errno::Nospc,
        Os::NOTDIR => Errno::Notdir,
        Os::NOTEMPTY => Errno::Notempty,
        Os::NOTSUP => Errno::Notsup,
        Os::NXIO => Errno::Nxio,
        Os::OVERFLOW => Errno::Overflow,
        Os::PERM => Errno::Perm,
        Os::ROFS => Errno::Rofs,
        Os::SPIPE => Errno::Spipe,
        Os::TXTBSY => Errno::Txtbsy,
        Os::XDEV => Errno::Xdev,
        _ => Errno::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn any_time_of_the_host_can_be_told() {
        assert_eq!(nanos(1, 5), 1_000_000_005);
        assert_eq!(nanos(-1, 999_999_999), 0);
        assert_eq!(nanos(i64::MIN, 0), 0);
        assert_eq!(nanos(i64::MAX, 999_999_999), u64::MAX);
    }
}
