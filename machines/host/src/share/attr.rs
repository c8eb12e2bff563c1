//! Status of shared files: from the kernel's structures, and changes to it.

use super::owner::Owners;
use super::{Place, error, retry};
use crate::sys::{CWD, Time, file, fs, host, time};
use std::ffi::CString;
use tern_core::backend::fs::{Attr, FsError, FsResult, SetAttr, SetTime, Stamp, StatFs};

fn stamp(t: Time) -> Stamp {
    Stamp { sec: t.sec, nsec: t.nsec as u32 }
}

pub(super) fn from_stat(s: &fs::Stat, ino: u64) -> Attr {
    Attr {
        ino,
        mode: s.mode,
        nlink: u64::from(s.nlink),
        uid: s.uid,
        gid: s.gid,
        rdev: s.rdev,
        size: s.size,
        blksize: u64::from(s.blksize),
        blocks: s.blocks,
        atime: stamp(s.atime),
        mtime: stamp(s.mtime),
        ctime: stamp(s.ctime),
    }
}

pub(super) fn from_statfs(s: &fs::Statfs) -> StatFs {
    StatFs {
        kind: s.kind as u32,
        bsize: u32::try_from(s.bsize).unwrap_or(4096),
        blocks: s.blocks,
        bfree: s.bfree,
        bavail: s.bavail,
        files: s.files,
        ffree: s.ffree,
        fsid: u64::from(s.fsid[0].cast_unsigned()) | u64::from(s.fsid[1].cast_unsigned()) << 32,
        namelen: u32::try_from(s.namelen).unwrap_or(255),
    }
}

/// Changes a file's status in the order of the kernel: size, owner, permissions, times. A change of owner clears set-user-ID,
/// so permissions come later; sizes touch times, so these come last.
pub(super) fn set(place: &Place, owners: &Owners, set: &SetAttr) -> FsResult<()> {
    if let Some(size) = set.size {
        let size = i64::try_from(size).map_err(|_| FsError::EFBIG)?;
        let fd = place.open(host::O_WRONLY | host::O_NONBLOCK, 0).map_err(error)?;
        retry(|| file::ftruncate(fd.0, size)).map_err(error)?;
    }
    if set.uid.is_some() || set.gid.is_some() {
        owners.change_owner(place, set.uid, set.gid)?;
    }
    if let Some(mode) = set.mode {
        owners.change_mode(place, mode & 0o7777)?;
    }
    if set.atime.is_some() || set.mtime.is_some() {
        let one = |t: Option<SetTime>| match t {
            None => Time { sec: 0, nsec: host::UTIME_OMIT },
            Some(SetTime::Now) => Time { sec: 0, nsec: host::UTIME_NOW },
            Some(SetTime::At(at)) => Time { sec: at.sec, nsec: i64::from(at.nsec) },
        };
        let times = Some([one(set.atime), one(set.mtime)]);
        time::utimensat(place.dir(), Some(&place.name), times, place.flags()).map_err(error)?;
    }
    Ok(())
}

/// `chmod(2)` of the file itself, never of what it links to.
pub(super) fn chmod(place: &Place, mode: u32) -> FsResult<()> {
    let fd = place.open(host::O_PATH, 0).map_err(error)?;
    let path = CString::new(format!("/proc/self/fd/{}", fd.0)).map_err(|_| FsError::EINVAL)?;
    fs::fchmodat(CWD, &path, mode).map_err(error)
}
