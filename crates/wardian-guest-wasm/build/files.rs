//! Files that several builds at once may write.

use std::path::Path;
use std::{fs, io};

/// Writes a file so that nobody ever sees half of it, two builds at once included; not at all if it
/// has these bytes.
///
/// # Errors
///
/// As of the system.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path))
}
