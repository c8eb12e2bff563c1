//! Files: opening, positions, status.

use crate::abi::flags::{AT_ROWS, Access, At, OPEN_ROWS, Open, Whence, to_host};
use crate::abi::structs::{self, Statfs, Statfs64, Statx, StatxTimestamp};
use crate::abi::{Abi, Errno};
use crate::args::{Const, DirFd, Fd, Flags, Hex, In, Int, Mode, Off, Out, Path, Size, Slong};
use crate::cx::{Cx, Outcome, SysResult};
use crate::paths::Last;
use crate::procfs::{self, View};
use crate::sys::locate;
use std::ffi::CStr;
use tern_host::sys;
use tern_host::sys::host;

/// `openat(2)`.
pub fn openat(cx: &mut Cx<'_>, dir: DirFd, path: Path, flags: Flags<Open>, mode: Mode) -> SysResult {
    // open(2) ignores flags that it does not know.
    let (host_flags, _) = to_host(OPEN_ROWS, flags.0 & 0xffff_ffff);
    open(cx, dir.0, &path.0, flags.0, |path| sys::file::openat(dir.0, path, host_flags, mode.0 & 0o7777))
}

/// Opens through the views of `/proc` and the sysroot.
fn open(
    cx: &mut Cx<'_>,
    dir: i32,
    path: &CStr,
    flags: u64,
    call: impl Fn(&CStr) -> Result<i32, sys::Errno>,
) -> SysResult {
    let reads = flags & 3 == Open::O_RDONLY && flags & Open::O_PATH == 0;
    if reads
        && let Some(View::Text(what)) = procfs::view(cx.process, dir, path)
        && let Some(bytes) = procfs::text(cx.process, &what)
    {
        return procfs::open_text(&bytes, flags & Open::O_CLOEXEC != 0);
    }
    let exclusive = flags & Open::O_CREAT != 0 && flags & Open::O_EXCL != 0;
    let last = if flags & Open::O_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    let host_path = if exclusive { path.to_owned() } else { locate(cx, dir, path, last) };
    // A FIFO without O_NONBLOCK waits for the other end.
    match tern_host::signal::blocking(|| call(&host_path)) {
        Ok(fd) => Ok(fd as u64),
        Err(sys::Errno::EINTR) => Err(Outcome::Restart),
        Err(e) => Err(e.into()),
    }
}

/// `openat2(2)`; look-ups with `RESOLVE_*` flags go to the host as they are, without the sysroot.
pub fn openat2(cx: &mut Cx<'_>, dir: DirFd, path: Path, how: In<structs::OpenHow>, size: Size) -> SysResult {
    if size.0 < 24 {
        return Err(Errno::EINVAL.into());
    }
    if size.0 > 24 {
        // Unknown fields must be zero, which only their absence proves here.
        return Err(Errno::E2BIG.into());
    }
    let how = how.0;
    let (flags, left) = to_host(OPEN_ROWS, how.flags);
    if left != 0 || how.mode & !0o7777 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let call = |path: &CStr| sys::file::openat2(dir.0, path, flags as u64, how.mode, how.resolve);
    if how.resolve != 0 { Ok(call(&path.0)? as u64) } else { open(cx, dir.0, &path.0, how.flags, call) }
}

/// `close(2)`.
pub fn close(_cx: &mut Cx<'_>, fd: Fd) -> SysResult {
    if fd.0 >= crate::mm::map::HIDDEN_FD_MIN {
        return Err(Errno::EBADF.into());
    }
    sys::file::close(fd.0)?;
    Ok(0)
}

/// `lseek(2)`.
pub fn lseek(_cx: &mut Cx<'_>, fd: Fd, offset: Slong, whence: Const<Whence>) -> SysResult {
    Ok(sys::file::lseek(fd.0, offset.0, whence.0 as i32)? as u64)
}

/// `_llseek(2)`.
pub fn llseek(cx: &mut Cx<'_>, fd: Fd, high: Size, low: Size, result: Out<i64>, whence: Const<Whence>) -> SysResult {
    let at = sys::file::lseek(fd.0, (high.0 << 32 | low.0 & 0xffff_ffff) as i64, whence.0 as i32)?;
    cx.write(result.0, &at)?;
    Ok(0)
}

/// A status as `struct stat` has it.
#[must_use]
pub fn stat_of(s: &sys::fs::Stat, abi: Abi) -> structs::Stat {
    let dev = |(major, minor)| u64::from(sys::fs::dev(major, minor));
    structs::Stat {
        dev: dev(s.dev),
        ino: abi.word_of(s.ino),
        mode: s.mode,
        nlink: s.nlink,
        uid: s.uid,
        gid: s.gid,
        rdev: dev(s.rdev),
        pad1: 0,
        size: s.size as i64,
        blksize: s.blksize as i32,
        pad2: 0,
        blocks: s.blocks as i64,
        atime: s.atime.sec,
        atime_nsec: s.atime.nsec as u64,
        mtime: s.mtime.sec,
        mtime_nsec: s.mtime.nsec as u64,
        ctime: s.ctime.sec,
        ctime_nsec: s.ctime.nsec as u64,
        unused: [0; 2],
    }
}

/// `fstat(2)`.
pub fn fstat(cx: &mut Cx<'_>, fd: Fd, stat: Out<structs::Stat>) -> SysResult {
    let s = sys::fs::fstat(fd.0)?;
    let abi = cx.abi();
    cx.write(stat.0, &stat_of(&s, abi))?;
    Ok(0)
}

/// `*at` flags for the host.
fn at_flags(flags: u64, known: u64) -> Result<i32, Errno> {
    let (host, left) = to_host(AT_ROWS, flags & 0xffff_ffff);
    if left != 0 || flags & 0xffff_ffff & !known != 0 { Err(Errno::EINVAL) } else { Ok(host) }
}

/// Does a look-up with these flags follow a last link?
fn last(flags: u64) -> Last {
    if flags & At::AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow }
}

/// `newfstatat(2)`.
pub fn newfstatat(cx: &mut Cx<'_>, dir: DirFd, path: Path, stat: Out<structs::Stat>, flags: Flags<At>) -> SysResult {
    let known = At::AT_SYMLINK_NOFOLLOW
        | At::AT_NO_AUTOMOUNT
        | At::AT_EMPTY_PATH
        | At::AT_STATX_DONT_SYNC
        | At::AT_STATX_FORCE_SYNC;
    let host_flags = at_flags(flags.0, known)?;
    let path = locate(cx, dir.0, &path.0, last(flags.0));
    let s = sys::fs::fstatat(dir.0, &path, host_flags)?;
    let abi = cx.abi();
    cx.write(stat.0, &stat_of(&s, abi))?;
    Ok(0)
}

/// `statx(2)`.
pub fn statx(cx: &mut Cx<'_>, dir: DirFd, path: Path, flags: Flags<At>, mask: Hex, out: Out<Statx>) -> SysResult {
    let known = At::AT_SYMLINK_NOFOLLOW
        | At::AT_NO_AUTOMOUNT
        | At::AT_EMPTY_PATH
        | At::AT_STATX_DONT_SYNC
        | At::AT_STATX_FORCE_SYNC;
    let host_flags = at_flags(flags.0, known)?;
    let path = locate(cx, dir.0, &path.0, last(flags.0));
    let s = sys::fs::statx(dir.0, &path, host_flags, mask.0)?;
    let time = |t: sys::Time| StatxTimestamp { sec: t.sec, nsec: t.nsec as u32, reserved: 0 };
    let x = Statx {
        mask: s.mask,
        blksize: s.blksize,
        attributes: s.attributes,
        nlink: s.nlink,
        uid: s.uid,
        gid: s.gid,
        mode: s.mode as u16,
        spare0: 0,
        ino: s.ino,
        size: s.size,
        blocks: s.blocks,
        attributes_mask: s.attributes_mask,
        atime: time(s.atime),
        btime: time(s.btime),
        ctime: time(s.ctime),
        mtime: time(s.mtime),
        rdev_major: s.rdev.0,
        rdev_minor: s.rdev.1,
        dev_major: s.dev.0,
        dev_minor: s.dev.1,
        mnt_id: s.mnt_id,
        spare2: 0,
        spare3: [0; 12],
    };
    cx.write(out.0, &x)?;
    Ok(0)
}

fn statfs_of(s: &sys::fs::Statfs) -> Statfs {
    Statfs {
        kind: s.kind as i64,
        bsize: s.bsize as i64,
        blocks: s.blocks,
        bfree: s.bfree,
        bavail: s.bavail,
        files: s.files,
        ffree: s.ffree,
        fsid: s.fsid,
        namelen: s.namelen as i64,
        frsize: s.frsize as i64,
        flags: s.flags as i64,
        spare: [0; 4],
    }
}

/// `statfs(2)`.
pub fn statfs(cx: &mut Cx<'_>, path: Path, buf: Out<Statfs>) -> SysResult {
    let path = locate(cx, sys::CWD, &path.0, Last::Follow);
    cx.write(buf.0, &statfs_of(&sys::fs::statfs(&path)?))?;
    Ok(0)
}

/// `fstatfs(2)`.
pub fn fstatfs(cx: &mut Cx<'_>, fd: Fd, buf: Out<Statfs>) -> SysResult {
    cx.write(buf.0, &statfs_of(&sys::fs::fstatfs(fd.0)?))?;
    Ok(0)
}

fn put_statfs64(cx: &mut Cx<'_>, size: Size, buf: Out<Statfs64>, s: &sys::fs::Statfs) -> SysResult {
    let abi = cx.abi();
    if size.0 != <Statfs64 as crate::abi::Field>::size(abi) as u64 {
        return Err(Errno::EINVAL.into());
    }
    let value = Statfs64 {
        kind: s.kind as u32,
        bsize: s.bsize as u32,
        blocks: s.blocks,
        bfree: s.bfree,
        bavail: s.bavail,
        files: s.files,
        ffree: s.ffree,
        fsid: s.fsid,
        namelen: s.namelen as u32,
        frsize: s.frsize as u32,
        flags: s.flags as u32,
        spare: [0; 4],
    };
    cx.write(buf.0, &value)?;
    Ok(0)
}

/// `statfs64(2)`.
pub fn statfs64(cx: &mut Cx<'_>, path: Path, size: Size, buf: Out<Statfs64>) -> SysResult {
    let path = locate(cx, sys::CWD, &path.0, Last::Follow);
    put_statfs64(cx, size, buf, &sys::fs::statfs(&path)?)
}

/// `fstatfs64(2)`.
pub fn fstatfs64(cx: &mut Cx<'_>, fd: Fd, size: Size, buf: Out<Statfs64>) -> SysResult {
    put_statfs64(cx, size, buf, &sys::fs::fstatfs(fd.0)?)
}

/// `faccessat(2)`.
pub fn faccessat(cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Flags<Access>) -> SysResult {
    access(cx, dir.0, &path.0, mode.0, 0)
}

/// `AT_EACCESS`, which shares its number with `AT_REMOVEDIR`.
const AT_EACCESS: u64 = 0x200;

/// `faccessat2(2)`.
pub fn faccessat2(cx: &mut Cx<'_>, dir: DirFd, path: Path, mode: Flags<Access>, flags: Int) -> SysResult {
    access(cx, dir.0, &path.0, mode.0, u64::from(flags.0 as u32))
}

fn access(cx: &mut Cx<'_>, dir: i32, path: &CStr, mode: u64, flags: u64) -> SysResult {
    let mut host_flags = at_flags(flags & !AT_EACCESS, At::AT_SYMLINK_NOFOLLOW | At::AT_EMPTY_PATH)?;
    if flags & AT_EACCESS != 0 {
        host_flags |= host::AT_EACCESS;
    }
    let mode = i32::try_from(mode & 0xffff_ffff).map_err(|_| Errno::EINVAL)?;
    let path = locate(cx, dir, path, last(flags));
    sys::fs::faccessat(dir, &path, mode, host_flags)?;
    Ok(0)
}

/// `truncate(2)`.
pub fn truncate(cx: &mut Cx<'_>, path: Path, len: Slong) -> SysResult {
    truncate64(cx, path, Off(len.0))
}

/// `ftruncate(2)`.
pub fn ftruncate(cx: &mut Cx<'_>, fd: Fd, len: Slong) -> SysResult {
    ftruncate64(cx, fd, Off(len.0))
}

/// `truncate64(2)`.
pub fn truncate64(cx: &mut Cx<'_>, path: Path, len: Off) -> SysResult {
    let path = locate(cx, sys::CWD, &path.0, Last::Follow);
    sys::file::truncate(&path, len.0)?;
    Ok(0)
}

/// `ftruncate64(2)`.
pub fn ftruncate64(_cx: &mut Cx<'_>, fd: Fd, len: Off) -> SysResult {
    sys::file::ftruncate(fd.0, len.0)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::abi::Errno;
    use crate::abi::GuestPtr;
    use crate::abi::structs::{Stat, Statx};
    use crate::isa::riscv::RISCV64;
    use crate::testing::{Fixture, SCRATCH};

    const CWD: u64 = -100i64 as u64;

    fn put(f: &mut Fixture, text: &str) -> u64 {
        f.cx().put_bytes(SCRATCH, text.as_bytes()).expect("scratch");
        f.cx().put_bytes(SCRATCH + text.len() as u64, &[0]).expect("scratch");
        SCRATCH
    }

    #[test]
    fn files_are_created_written_and_looked_at() {
        let mut f = Fixture::new(&RISCV64);
        let path = std::env::temp_dir().join(format!("tern-linux-file-{}", std::process::id()));
        let name = put(&mut f, path.to_str().expect("utf-8"));
        let fd = f.call("openat", [CWD, name, 0o102 | 0o1000, 0o640, 0, 0]).expect("no wait").expect("created");
        assert_eq!(f.call("write", [fd, name, 4, 0, 0, 0]), Some(Ok(4)));
        assert_eq!(f.call("lseek", [fd, 1, 0, 0, 0, 0]), Some(Ok(1)));
        assert_eq!(f.call("fstat", [fd, SCRATCH + 0x800, 0, 0, 0, 0]), Some(Ok(0)));
        let stat = f.cx().read(GuestPtr::<Stat>::new(SCRATCH + 0x800)).expect("written");
        assert_eq!((stat.size, stat.mode & 0o170_000, stat.nlink), (4, 0o100_000, 1));
        assert_eq!(f.call("statx", [CWD, name, 0, 0x7ff, SCRATCH + 0x800, 0]), Some(Ok(0)));
        let x = f.cx().read(GuestPtr::<Statx>::new(SCRATCH + 0x800)).expect("written");
        assert_eq!((x.size, x.ino), (4, stat.ino));
        assert_eq!(f.call("ftruncate", [fd, 2, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("faccessat", [CWD, name, 4, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("newfstatat", [CWD, name, SCRATCH + 0x800, 0x8000_0000, 0, 0]), Some(Err(Errno::EINVAL)));
        assert_eq!(f.call("openat", [CWD, name, 0o300, 0o600, 0, 0]), Some(Err(Errno::EEXIST)));
        assert_eq!(f.call("openat", [CWD, 8, 0, 0, 0, 0]), Some(Err(Errno::EFAULT)));
        assert_eq!(f.call("unlinkat", [CWD, name, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("openat", [CWD, name, 0, 0, 0, 0]), Some(Err(Errno::ENOENT)));
        assert_eq!(f.call("close", [fd, 0, 0, 0, 0, 0]), Some(Ok(0)));
        assert_eq!(f.call("close", [fd, 0, 0, 0, 0, 0]), Some(Err(Errno::EBADF)));
    }

    #[test]
    fn the_struct_sizes_are_the_kernels() {
        use crate::abi::Field;
        use crate::abi::structs::{Statfs, Statfs64};
        let (a64, a32) = (RISCV64.abi, crate::isa::riscv::RISCV32.abi);
        assert_eq!((Stat::size(a64), Statx::size(a32), Statfs::size(a64), Statfs64::size(a32)), (128, 256, 120, 88));
    }
}
