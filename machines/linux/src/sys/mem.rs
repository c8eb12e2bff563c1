//! Memory: mmap and its family.

use crate::abi::Errno;
use crate::abi::flags::{Madvise, Map, Mlock2, Mlockall, Mremap, Msync, Prot};
use crate::args::{Const, Flags, Int, OutBuf, Ptr, Size};
use crate::cx::{Cx, SysResult};
use crate::mm::map::{FileSource, Request};
use crate::mm::page_up;
use crate::mm::vma::{FileId, HiddenFd, Name, Perm};
use crate::record::files::Wanted;
use crate::record::item::Extra;
use std::rc::Rc;
use tern_host::sys;

/// `brk(2)`: the new end, or the old one.
pub fn brk(cx: &mut Cx<'_>, addr: Ptr) -> SysResult {
    Ok(if addr.0 == 0 { cx.mem().brk_area().1 } else { cx.mem().set_brk(addr.0) })
}

/// The `PROT_*` bits that every mapping may have.
const PROT_KNOWN: u64 = Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC | Prot::PROT_SEM;

/// Flags without an effect on what the guest sees.
const MAP_HINTS: u64 = Map::MAP_DENYWRITE
    | Map::MAP_EXECUTABLE
    | Map::MAP_NORESERVE
    | Map::MAP_STACK
    | Map::MAP_POPULATE
    | Map::MAP_NONBLOCK
    | Map::MAP_UNINITIALIZED;

/// `mmap(2)`.
pub fn mmap(
    cx: &mut Cx<'_>,
    addr: Ptr,
    len: Size,
    prot: Flags<Prot>,
    flags: Flags<Map>,
    fd: Int,
    offset: Size,
) -> SysResult {
    if !offset.0.is_multiple_of(tern_core::mem::PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    map(cx, (addr.0, len.0), prot.0, flags.0, fd.0, offset.0)
}

/// `mmap2(2)`: the position in pages of 4096 bytes.
pub fn mmap2(
    cx: &mut Cx<'_>,
    addr: Ptr,
    len: Size,
    prot: Flags<Prot>,
    flags: Flags<Map>,
    fd: Int,
    pages: Size,
) -> SysResult {
    map(cx, (addr.0, len.0), prot.0, flags.0, fd.0, pages.0 << tern_core::mem::PAGE_SHIFT)
}

fn map(cx: &mut Cx<'_>, range: (u64, u64), prot: u64, flags: u64, fd: i32, offset: u64) -> SysResult {
    let (addr, len) = range;
    let kind = flags & 0xf;
    let shared = match kind {
        Map::MAP_SHARED | Map::MAP_SHARED_VALIDATE => true,
        Map::MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL.into()),
    };
    let known = 0xf
        | Map::MAP_FIXED
        | Map::MAP_FIXED_NOREPLACE
        | Map::MAP_ANONYMOUS
        | Map::MAP_GROWSDOWN
        | Map::MAP_LOCKED
        | MAP_HINTS;
    if kind == Map::MAP_SHARED_VALIDATE && flags & !known != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if flags & Map::MAP_HUGETLB != 0 {
        // As on a machine with no huge pages set aside.
        return Err(Errno::ENOMEM.into());
    }
    let perm = Perm::from_prot(prot);
    let file = match flags & Map::MAP_ANONYMOUS {
        0 => Some(recorded(cx, fd, (offset, len), shared, perm.write)?),
        _ => None,
    };
    let (file, _copy) = file.unzip();
    if flags & Map::MAP_GROWSDOWN != 0 && (file.is_some() || shared) {
        return Err(Errno::EINVAL.into());
    }
    let at = cx.mem().mmap(&Request { addr, len, perm, flags, shared, file, name: Name::Anon })?;
    Ok(at)
}

/// The file behind a descriptor, for a mapping: in a replay the one of the recording, and in a recording a copy, if it could
/// change.
fn recorded(
    cx: &mut Cx<'_>,
    fd: i32,
    part: (u64, u64),
    shared: bool,
    writes: bool,
) -> Result<(FileSource, Option<HiddenFd>), Errno> {
    if cx.mem().is_replaying() {
        let file = cx.mem().recorded_file.take().ok_or(Errno::ENODEV)?;
        return Ok((FileSource { offset: part.0, ..file }, None));
    }
    let mut file = source(fd, part.0, shared && writes)?;
    let Some(recorder) = &mut cx.process.recorder else { return Ok((file, None)) };
    let range = (part.0, part.0.saturating_add(page_up(part.1).unwrap_or(part.1)));
    let id = Rc::clone(&file.id);
    let wanted = Wanted { fd, path: &id.path, range, writable: file.writable, shared };
    let (reference, copy) = recorder.file(&wanted)?;
    recorder.set_extra(Extra::Map(reference));
    if let Some(copy) = &copy {
        file.fd = copy.0;
    }
    Ok((file, copy))
}

/// The file behind a descriptor, for a mapping.
fn source(fd: i32, offset: u64, needs_write: bool) -> Result<FileSource, Errno> {
    let stat = sys::fs::fstat(fd)?;
    let flags = sys::file::fcntl(fd, sys::host::F_GETFL, 0)?;
    if flags & sys::host::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let mode = flags & sys::host::O_ACCMODE;
    let writable = mode == sys::host::O_RDWR;
    if mode == sys::host::O_WRONLY || (needs_write && !writable) {
        return Err(Errno::EACCES);
    }
    let kind = stat.mode & 0o170_000;
    if kind == 0o040_000 || kind == 0o010_000 || kind == 0o140_000 {
        return Err(Errno::ENODEV);
    }
    let size = (kind == 0o100_000).then_some(stat.size);
    let id = Rc::new(FileId { path: fd_path(fd), dev: stat.dev, ino: stat.ino, recorded: 0 });
    Ok(FileSource { fd, offset, writable, id, size })
}

/// The path that the host knows a descriptor's file by; empty if it has none.
pub fn fd_path(fd: i32) -> Vec<u8> {
    let mut buf = vec![0; crate::cx::PATH_MAX];
    let link = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    match sys::fs::readlinkat(sys::CWD, &link, &mut buf) {
        Ok(n) => {
            buf.truncate(n);
            buf
        }
        Err(_) => Vec::new(),
    }
}

/// `munmap(2)`.
pub fn munmap(cx: &mut Cx<'_>, addr: Ptr, len: Size) -> SysResult {
    cx.mem().munmap(addr.0, len.0)?;
    Ok(0)
}

/// `mprotect(2)`.
pub fn mprotect(cx: &mut Cx<'_>, addr: Ptr, len: Size, prot: Flags<Prot>) -> SysResult {
    let growth = Prot::PROT_GROWSDOWN | Prot::PROT_GROWSUP;
    if prot.0 & !(PROT_KNOWN | growth) != 0 || prot.0 & growth == growth {
        return Err(Errno::EINVAL.into());
    }
    if prot.0 & Prot::PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL.into());
    }
    let down = prot.0 & Prot::PROT_GROWSDOWN != 0;
    cx.mem().mprotect(addr.0, len.0, Perm::from_prot(prot.0), down)?;
    Ok(0)
}

/// `pkey_mprotect(2)`: no guest has protection keys, so only "no key" is valid.
pub fn pkey_mprotect(cx: &mut Cx<'_>, addr: Ptr, len: Size, prot: Flags<Prot>, key: Int) -> SysResult {
    if key.0 != -1 {
        return Err(Errno::EINVAL.into());
    }
    mprotect(cx, addr, len, prot)
}

/// `mremap(2)`.
pub fn mremap(cx: &mut Cx<'_>, addr: Ptr, old: Size, new: Size, flags: Flags<Mremap>, to: Ptr) -> SysResult {
    let moved = cx.mem().mremap(addr.0, old.0, new.0, flags.0, to.0);
    if let Some((file, fd)) = cx.mem().reopened.take()
        && let Some(recorder) = &mut cx.process.recorder
    {
        let range = (file.offset, u64::MAX);
        let wanted = Wanted { fd: fd.0, path: &file.id.path, range, writable: file.writable, shared: true };
        let (reference, _) = recorder.file(&wanted)?;
        recorder.set_extra(Extra::Map(reference));
    }
    Ok(moved?)
}

/// `madvise(2)`.
pub fn madvise(cx: &mut Cx<'_>, addr: Ptr, len: Size, advice: Const<Madvise>) -> SysResult {
    cx.mem().madvise(addr.0, len.0, u64::from(advice.0))?;
    Ok(0)
}

/// `msync(2)`.
pub fn msync(cx: &mut Cx<'_>, addr: Ptr, len: Size, flags: Flags<Msync>) -> SysResult {
    cx.mem().msync(addr.0, len.0, flags.0)?;
    Ok(0)
}

/// `mincore(2)`.
pub fn mincore(cx: &mut Cx<'_>, addr: Ptr, len: Size, vec: OutBuf) -> SysResult {
    let bytes = cx.mem().mincore(addr.0, len.0)?;
    cx.put_bytes(vec.0, &bytes)?;
    Ok(0)
}

/// `mlock(2)`.
pub fn mlock(cx: &mut Cx<'_>, addr: Ptr, len: Size) -> SysResult {
    cx.mem().mlock(addr.0, len.0, true)?;
    Ok(0)
}

/// `mlock2(2)`.
pub fn mlock2(cx: &mut Cx<'_>, addr: Ptr, len: Size, flags: Flags<Mlock2>) -> SysResult {
    if flags.0 & !Mlock2::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL.into());
    }
    mlock(cx, addr, len)
}

/// `munlock(2)`.
pub fn munlock(cx: &mut Cx<'_>, addr: Ptr, len: Size) -> SysResult {
    cx.mem().mlock(addr.0, len.0, false)?;
    Ok(0)
}

/// `mlockall(2)`.
pub fn mlockall(cx: &mut Cx<'_>, flags: Flags<Mlockall>) -> SysResult {
    let known = Mlockall::MCL_CURRENT | Mlockall::MCL_FUTURE | Mlockall::MCL_ONFAULT;
    if flags.0 == 0 || flags.0 & !known != 0 || flags.0 == Mlockall::MCL_ONFAULT {
        return Err(Errno::EINVAL.into());
    }
    let lock = (flags.0 & Mlockall::MCL_CURRENT != 0, flags.0 & Mlockall::MCL_FUTURE != 0);
    cx.mem().mlockall(Some(lock))?;
    Ok(0)
}

/// `munlockall(2)`.
pub fn munlockall(cx: &mut Cx<'_>) -> SysResult {
    cx.mem().mlockall(None)?;
    Ok(0)
}

/// `riscv_flush_icache(2)`: stores to code invalidate it at once, so there is nothing left to do but to check the flags.
pub fn flush_icache(_cx: &mut Cx<'_>, _start: Ptr, _end: Ptr, flags: Size) -> SysResult {
    if flags.0 & !1 != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}
