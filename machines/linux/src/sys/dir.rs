//! Directories and names: listing, the current directory, links, creation, removal, modes, owners, times.
//!
//! What creates or removes a name works on the host's path; what looks one up goes through the sysroot.

use crate::abi::flags::{AT_ROWS, At, Rename, to_host};
use crate::abi::structs::{Timespec, Timespec64};
use crate::abi::{Errno, Field};
use crate::args::{DirFd, Fd, Flags, Hex, Id, InArr, Mode, OutBuf, Path, PathOpt, Ptr, Size};
use crate::cx::{Cx, SysResult};
use crate::guest_struct;
use crate::paths::Last;
use crate::procfs::{self, View};
use crate::sys::locate;
use tern_host::sys;
use tern_host::sys::file::Dirents;

guest_struct! {
    /// The head of `struct linux_dirent64`.
    DirentHead { ino: u64, off: i64, reclen: u16, }
}

/// Bytes before the name of an entry.
const HEAD: usize = 19;

/// `getdents64(2)`.
pub fn getdents64(cx: &mut Cx<'_>, fd: Fd, buf: Ptr, len: Size) -> SysResult {
    let mut raw = vec![0; len.0.min(1 << 20) as usize];
    let n = sys::file::getdents64(fd.0, &mut raw)?;
    let abi = cx.abi();
    let mut out = Vec::with_capacity(n);
    for entry in Dirents::new(&raw[..n]) {
        let start = out.len();
        let reclen = (HEAD + entry.name.len() + 1).next_multiple_of(8);
        let head = DirentHead { ino: entry.ino, off: entry.off, reclen: reclen as u16 };
        out.extend_from_slice(&DirentHead::to_bytes(&head, abi)[..18]);
        out.push(entry.kind);
        out.extend_from_slice(entry.name);
        out.resize(start + reclen, 0);
    }
    cx.put_bytes(buf.0, &out)?;
    Ok(out.len() as u64)
}

/// `getcwd(2)`.
pub fn getcwd(cx: &mut Cx<'_>, buf: OutBuf, len: Size) -> SysResult {
    let mut path = vec![0; crate::cx::PATH_MAX];
    let n = sys::fs::getcwd(&mut path)?;
    if n as u64 > len.0 {
        return Err(Errno::ERANGE.into());
    }
    cx.put_bytes(buf.0, &path[..n])?;
    Ok(n as u64)
}

/// `chdir(2)`: the host's directory, or the sysroot's if the host has none of that name.
pub fn chdir(cx: &mut Cx<'_>, path: Path) -> SysResult {
    match sys::fs::chdir(&path.0) {
        Err(sys::Errno::ENOENT | sys::Errno::ENOTDIR) => sys::fs::chdir(&locate(cx, sys::CWD, &path.0, Last::Follow))?,
        other => other?,
    }
    Ok(0)
}

/// `fchdir(2)`.
pub fn fchdir(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    sys::fs::fchdir(fd.0)?;
    Ok(0)
}

/// `chroot(2)`.
pub fn chroot(cx: &mut Cx<'_>, path: Path) -> SysResult {
    sys::fs::chroot(&locate(cx, sys::CWD, &path.0, Last::Follow))?;
    Ok(0)
}

/// `readlinkat(2)`.
pub fn readlinkat(cx: &mut Cx<'_>, dir: DirFd, path: Path, buf: OutBuf, len: Size) -> SysResult {
    let size = i32::try_from(len.0 as u32).ok().filter(|n| *n > 0).ok_or(Errno::EINVAL)? as usize;
    let mut target = if let Some(View::Exe) = procfs::view(cx.process, dir.0, &path.0) {
        cx.process.paths.guest_view(&cx.process.image.exe)
    } else {
        let mut target = vec![0; crate::cx::PATH_MAX];
        let path = locate(cx, dir.0, &path.0, Last::Keep);
        let n = sys::fs::readlinkat(dir.0, &path, &mut target)?;
        target.truncate(n);
        target
    };
    target.truncate(size);
    cx.put_bytes(buf.0, &target)?;
    Ok(target.len() as u64)
}

/// `mkdirat(2)`.
pub fn mkdirat(_cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Mode) -> SysResult {
    sys::fs::mkdirat(dir.0, &path.0, mode.0)?;
    Ok(0)
}

/// `mknodat(2)`.
pub fn mknodat(_cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Mode, dev: Hex) -> SysResult {
    sys::fs::mknodat(dir.0, &path.0, mode.0, dev.0)?;
    Ok(0)
}

/// `*at` flags for the host; those outside `known` are errors.
fn at_flags(flags: u64, known: u64) -> Result<i32, Errno> {
    let flags = flags & 0xffff_ffff;
    if flags & !known != 0 { Err(Errno::EINVAL) } else { Ok(to_host(AT_ROWS, flags).0) }
}

/// `unlinkat(2)`.
pub fn unlinkat(_cx: &mut Cx<'_>, dir: DirFd, path: Path, flags: Flags<At>) -> SysResult {
    sys::fs::unlinkat(dir.0, &path.0, at_flags(flags.0, At::AT_REMOVEDIR)?)?;
    Ok(0)
}

/// `symlinkat(2)`.
pub fn symlinkat(_cx: &mut Cx<'_>, target: Path, dir: DirFd, path: Path) -> SysResult {
    sys::fs::symlinkat(&target.0, dir.0, &path.0)?;
    Ok(0)
}

/// `linkat(2)`.
pub fn linkat(_cx: &mut Cx<'_>, olddir: DirFd, old: Path, newdir: DirFd, new: Path, flags: Flags<At>) -> SysResult {
    let flags = at_flags(flags.0, At::AT_SYMLINK_FOLLOW | At::AT_EMPTY_PATH)?;
    sys::fs::linkat(olddir.0, &old.0, newdir.0, &new.0, flags)?;
    Ok(0)
}

/// `renameat2(2)`.
pub fn renameat2(
    _cx: &mut Cx<'_>,
    olddir: DirFd,
    old: Path,
    newdir: DirFd,
    new: Path,
    flags: Flags<Rename>,
) -> SysResult {
    sys::fs::renameat2(olddir.0, &old.0, newdir.0, &new.0, flags.0 as u32)?;
    Ok(0)
}

/// `umask(2)`.
pub fn umask(_cx: &mut Cx<'_>, mask: Mode) -> SysResult {
    Ok(u64::from(sys::fs::umask(mask.0)?))
}

/// `fchmod(2)`.
pub fn fchmod(_cx: &mut Cx<'_>, fd: Fd, mode: Mode) -> SysResult {
    sys::fs::fchmod(fd.0, mode.0)?;
    Ok(0)
}

/// `fchmodat(2)`.
pub fn fchmodat(cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Mode) -> SysResult {
    sys::fs::fchmodat(dir.0, &locate(cx, dir.0, &path.0, Last::Follow), mode.0)?;
    Ok(0)
}

/// `fchmodat2(2)`.
pub fn fchmodat2(cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Mode, flags: Flags<At>) -> SysResult {
    let host = at_flags(flags.0, At::AT_SYMLINK_NOFOLLOW | At::AT_EMPTY_PATH)?;
    if host == 0 {
        return fchmodat(cx, dir, path, mode);
    }
    sys::fs::fchmodat2(dir.0, &locate(cx, dir.0, &path.0, last(flags.0)), mode.0, host)?;
    Ok(0)
}

fn last(flags: u64) -> Last {
    if flags & At::AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow }
}

/// `fchown(2)`.
pub fn fchown(_cx: &mut Cx<'_>, fd: Fd, uid: Id, gid: Id) -> SysResult {
    sys::fs::fchown(fd.0, uid.0, gid.0)?;
    Ok(0)
}

/// `fchownat(2)`.
pub fn fchownat(cx: &mut Cx<'_>, dir: DirFd, path: Path, uid: Id, gid: Id, flags: Flags<At>) -> SysResult {
    let host = at_flags(flags.0, At::AT_SYMLINK_NOFOLLOW | At::AT_EMPTY_PATH)?;
    sys::fs::fchownat(dir.0, &locate(cx, dir.0, &path.0, last(flags.0)), uid.0, gid.0, host)?;
    Ok(0)
}

/// `utimensat(2)`.
pub fn utimensat(cx: &mut Cx<'_>, dir: DirFd, path: PathOpt, times: InArr<Timespec>, flags: Flags<At>) -> SysResult {
    let times = pair(cx, &times)?.map(|t| t.map(|t| sys::Time { sec: t.sec, nsec: t.nsec }));
    set_times(cx, dir.0, &path, times, flags.0)
}

/// `utimensat_time64(2)`.
pub fn utimensat_time64(
    cx: &mut Cx<'_>,
    dir: DirFd,
    path: PathOpt,
    times: InArr<Timespec64>,
    flags: Flags<At>,
) -> SysResult {
    let times = pair(cx, &times)?.map(|t| t.map(|t| sys::Time { sec: t.sec, nsec: t.nsec }));
    set_times(cx, dir.0, &path, times, flags.0)
}

fn pair<T: Field>(cx: &mut Cx<'_>, times: &InArr<T>) -> Result<Option<[T::Value; 2]>, Errno> {
    if times.0.is_null() {
        return Ok(None);
    }
    Ok(times.get(cx, 2)?.try_into().ok())
}

/// `UTIME_NOW` and `UTIME_OMIT` (linux/stat.h), as every guest has them.
const UTIME_NOW: i64 = (1 << 30) - 1;
const UTIME_OMIT: i64 = (1 << 30) - 2;

fn set_times(cx: &mut Cx<'_>, dir: i32, path: &PathOpt, times: Option<[sys::Time; 2]>, flags: u64) -> SysResult {
    let host = at_flags(flags, At::AT_SYMLINK_NOFOLLOW | At::AT_EMPTY_PATH)?;
    let valid = |t: &sys::Time| matches!(t.nsec, UTIME_NOW | UTIME_OMIT | 0..1_000_000_000);
    if times.as_ref().is_some_and(|t| !t.iter().all(valid)) {
        return Err(Errno::EINVAL.into());
    }
    let times = times.map(|t| {
        t.map(|t| match t.nsec {
            UTIME_NOW => sys::Time { nsec: sys::host::UTIME_NOW, ..t },
            UTIME_OMIT => sys::Time { nsec: sys::host::UTIME_OMIT, ..t },
            _ => t,
        })
    });
    let path = path.0.as_ref().map(|p| locate(cx, dir, p, last(flags)));
    sys::time::utimensat(dir, path.as_deref(), times, host)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::abi::Errno;
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    const CWD: u64 = -100i64 as u64;

    #[test]
    fn directories_are_listed_in_the_guests_layout() {
        let dir = std::env::temp_dir().join(format!("tern-linux-dir-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("sub")).expect("directory");
        std::os::unix::fs::symlink("target", dir.join("link")).expect("link");
        let mut f = Fixture::new(&RISCV64);
        let mut put = |text: &str| {
            let name = std::ffi::CString::new(text).expect("no NUL");
            f.cx().put_bytes(SCRATCH, name.as_bytes_with_nul()).expect("scratch");
        };
        put(dir.to_str().expect("utf-8"));
        let fd = f.call("openat", [CWD, SCRATCH, 0o200_000, 0, 0, 0]).expect("no wait").expect("opened");
        let n = f.call("getdents64", [fd, SCRATCH + 0x400, 0x400, 0, 0, 0]).expect("no wait").expect("listed");
        let raw = f.cx().bytes(SCRATCH + 0x400, n).expect("written");
        let mut names = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            let len = usize::from(u16::from_le_bytes([raw[at + 16], raw[at + 17]]));
            let name = raw[at + 19..at + len].split(|b| *b == 0).next().expect("a name");
            names.push((String::from_utf8_lossy(name).into_owned(), raw[at + 18]));
            at += len;
        }
        names.sort();
        assert_eq!(names, [(".".into(), 4), ("..".into(), 4), ("link".into(), 10), ("sub".into(), 4)]);
        assert_eq!(f.call("getdents64", [fd, SCRATCH + 0x400, 8, 0, 0, 0]), Some(Ok(0)), "the end");
        f.cx().put_bytes(SCRATCH, b"link\0").expect("scratch");
        assert_eq!(f.call("readlinkat", [fd, SCRATCH, SCRATCH + 0x400, 4, 0, 0]), Some(Ok(4)), "cut");
        assert_eq!(f.cx().bytes(SCRATCH + 0x400, 4), Ok(b"targ".to_vec()));
        assert_eq!(f.call("readlinkat", [fd, SCRATCH, SCRATCH + 0x400, 0, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("unlinkat", [fd, SCRATCH, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("utimensat", [fd, 0, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("getcwd", [SCRATCH, 1, 0, 0, 0, 0]), Some(Err(Errno::ERANGE)));
        assert_eq!(f.call("close", [fd, 0, 0, 0, 0, 0]), Some(Ok(0)));
        std::fs::remove_dir_all(dir).expect("directory");
    }
}
