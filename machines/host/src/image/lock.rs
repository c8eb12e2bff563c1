//! Locks on images, as QEMU takes them: open-file-description locks on single bytes, one for each permission.
//!
//! Byte `100 + p` is locked (shared) by whoever uses permission `p`, byte `200 + p` by whoever does not let others use it.
//! Permissions: 0 consistent read, 1 write, 3 resize (QEMU's manual, "Disk image file locking").

use super::ImageError;
use std::fs::File;
use std::path::Path;

/// Locks an image for reading, or for writing. The lock goes with the open file.
///
/// File systems without locks leave an image unlocked, as QEMU does.
///
/// # Errors
/// [`ImageError::Locked`] if another process (or another opening in this one) uses it otherwise.
#[cfg(target_os = "linux")]
pub fn acquire(file: &File, path: &Path, writing: bool) -> Result<(), ImageError> {
    use crate::sys::file::{Lock, LockOp, lock};
    use crate::sys::{Errno, host};
    use std::os::fd::AsRawFd;

    const USED: i64 = 100;
    const REFUSED: i64 = 200;
    const WRITE: i64 = 1;
    const RESIZE: i64 = 3;
    let used: &[i64] = if writing { &[0, WRITE, RESIZE] } else { &[0] };
    let refused = [WRITE, RESIZE];
    let byte = |kind, start| Lock { kind, whence: host::SEEK_SET as i16, start, len: 1, pid: 0 };
    let locked = || ImageError::Locked { path: path.to_owned(), writing };
    let fd = file.as_raw_fd();
    for start in used.iter().map(|p| USED + p).chain(refused.iter().map(|p| REFUSED + p)) {
        match lock(fd, LockOp::OfdSet, &mut byte(host::F_RDLCK, start)) {
            Ok(()) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Err(locked()),
            Err(_) => return Ok(()),
        }
    }
    for start in used.iter().map(|p| REFUSED + p).chain(refused.iter().map(|p| USED + p)) {
        let mut probe = byte(host::F_WRLCK, start);
        if lock(fd, LockOp::OfdGet, &mut probe).is_ok() && probe.kind != host::F_UNLCK {
            return Err(locked());
        }
    }
    Ok(())
}

/// Locks an image for reading, or for writing, with the one lock that std has. The lock goes with the open file.
///
/// # Errors
/// [`ImageError::Locked`] if another process uses it otherwise.
#[cfg(not(target_os = "linux"))]
pub fn acquire(file: &File, path: &Path, writing: bool) -> Result<(), ImageError> {
    use std::fs::TryLockError;
    match if writing { file.try_lock() } else { file.try_lock_shared() } {
        Err(TryLockError::WouldBlock) => Err(ImageError::Locked { path: path.to_owned(), writing }),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
