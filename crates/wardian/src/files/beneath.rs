//! Resolution beneath a granted directory.
//!
//! Paths here are relative, normalised and hold no `..`; cap-std resolves them beneath the
//! directory's handle, symbolic links included. That this has worked is checked once more, by
//! asking the kernel where what was opened really is, and what is changed is changed by its last
//! name in a directory that has been checked so.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::io::Errno;

/// Checks that what was opened beneath `dir` is beneath it, whatever has resolved the path.
pub(super) fn check_beneath(dir: &Dir, opened: &impl AsFd) -> io::Result<()> {
    let [outer, inner] = [real_path(dir)?, real_path(opened)?];
    if !inner.starts_with(outer) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Returns whether cap-std or [`check_beneath`] has found that a path would leave the directory;
/// every other error comes from the system.
pub(super) fn leads_outside(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.kind() == io::ErrorKind::PermissionDenied
}

/// Asks the kernel where an open file or directory is.
pub(super) fn real_path(opened: &impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))
}

/// Opens the directory in which `path` is to be changed. Returns it with the name in it.
pub(super) fn open_parent<'p>(dir: &Dir, path: &'p Path) -> io::Result<(Dir, &'p OsStr)> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => dir.open_dir(parent)?,
        _ => dir.try_clone()?,
    };
    check_beneath(dir, &parent)?;
    Ok((parent, name))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use cap_std::ambient_authority;

    use super::*;

    /// The layer below resolves a path wrongly.
    #[test]
    fn a_file_outside_of_the_directory_is_noticed() {
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
        assert!(leads_outside(&error));
    }
}
