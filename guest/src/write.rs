//! libc's `write`, in pieces that the host takes.
//!
//! The host copies at most some megabytes in one system call, so that no script decides how much
//! memory it uses. A longer write would be an `OSError`; Python would not try again with less,
//! since it trusts `write` to do what it can.

use std::ffi::{c_int, c_void};

/// The longest piece, in bytes.
const PIECE: usize = 1 << 20;

#[repr(C)]
struct Piece {
    start: *const u8,
    len: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_write(fd: c_int, pieces: *const Piece, count: usize, written: *mut usize) -> u16;
}

/// Writes `len` bytes from `start`, or as many as it can: that number, or -1 and an `errno` if
/// it is none.
///
/// # Safety
///
/// As libc's: there are `len` bytes at `start`.
// SAFETY: the linker takes this one and leaves libc's out of the guest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, start: *const c_void, len: usize) -> isize {
    let mut done = 0;
    loop {
        // SAFETY: `done <= len`, so the piece lies in the caller's bytes.
        let piece = unsafe {
            Piece {
                start: start.cast::<u8>().add(done),
                len: PIECE.min(len - done),
            }
        };
        let mut written = 0;
        // SAFETY: both pointers are to this function's own variables.
        let errno = unsafe { fd_write(fd, &raw const piece, 1, &raw mut written) };
        done += written;
        if errno != 0 && done == 0 {
            // SAFETY: it points to the one thread's errno.
            unsafe { *libc::__errno_location() = errno.into() };
            return -1;
        }
        if errno != 0 || written == 0 || done == len {
            return done.cast_signed();
        }
    }
}
