//! Open files: reading, writing, positions, locks, descriptors, directory entries, notification.

use super::host;
use super::kernel::unified;
use super::{Errno, Fd, In, KSigset, OutOpt, Pos, cvt, cvt_len, cvt0, native, syscalls};
use core::ffi::{CStr, c_void};
use std::io::{IoSlice, IoSliceMut};
use tern_core::mem::HostSpan;

/// `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

syscalls! {
    fn raw_openat(dir: Fd, path: &CStr, flags: i32, mode: u32) -> Fd = libc::SYS_openat;
    fn raw_openat2(dir: Fd, path: &CStr, how: In<'_, OpenHow>, size: usize) -> Fd = unified(437);
    /// `close(2)`.
    pub fn close(fd: Fd) -> () = libc::SYS_close;
    /// `close_range(2)` (Linux 5.9).
    pub fn close_range(first: u32, last: u32, flags: u32) -> () = unified(436);
    /// `read(2)`.
    pub fn read(fd: Fd, buf: &mut [u8]) -> usize = libc::SYS_read;
    /// `write(2)`.
    pub fn write(fd: Fd, buf: &[u8]) -> usize = libc::SYS_write;
    /// `readv(2)`.
    pub fn readv(fd: Fd, iov: &mut [IoSliceMut<'_>]) -> usize = libc::SYS_readv;
    /// `writev(2)`.
    pub fn writev(fd: Fd, iov: &[IoSlice<'_>]) -> usize = libc::SYS_writev;
    fn readv_guest(fd: Fd, iov: &[Stretch]) -> usize = libc::SYS_readv;
    fn writev_guest(fd: Fd, iov: &[Stretch]) -> usize = libc::SYS_writev;
    fn preadv2_guest(fd: Fd, iov: &[Stretch], pos: Pos, flags: i32) -> usize = libc::SYS_preadv2;
    fn pwritev2_guest(fd: Fd, iov: &[Stretch], pos: Pos, flags: i32) -> usize = libc::SYS_pwritev2;
    fn preadv_guest(fd: Fd, iov: &[Stretch], pos: Pos) -> usize = libc::SYS_preadv;
    fn pwritev_guest(fd: Fd, iov: &[Stretch], pos: Pos) -> usize = libc::SYS_pwritev;
    fn raw_preadv2(fd: Fd, iov: &mut [IoSliceMut<'_>], pos: Pos, flags: i32) -> usize = libc::SYS_preadv2;
    fn raw_pwritev2(fd: Fd, iov: &[IoSlice<'_>], pos: Pos, flags: i32) -> usize = libc::SYS_pwritev2;
    fn raw_preadv(fd: Fd, iov: &mut [IoSliceMut<'_>], pos: Pos) -> usize = libc::SYS_preadv;
    fn raw_pwritev(fd: Fd, iov: &[IoSlice<'_>], pos: Pos) -> usize = libc::SYS_pwritev;
    /// `fsync(2)`.
    pub fn fsync(fd: Fd) -> () = libc::SYS_fsync;
    /// `fdatasync(2)`.
    pub fn fdatasync(fd: Fd) -> () = libc::SYS_fdatasync;
    /// `syncfs(2)`.
    pub fn syncfs(fd: Fd) -> () = libc::SYS_syncfs;
    /// `sync(2)`.
    pub fn sync() -> () = libc::SYS_sync;
    /// `getdents64(2)`: whole entries in the kernel's form, for [`Dirents`].
    pub fn getdents64(fd: Fd, buf: &mut [u8]) -> usize = libc::SYS_getdents64;
    /// `dup(2)`.
    pub fn dup(fd: Fd) -> Fd = libc::SYS_dup;
    /// `dup3(2)`.
    pub fn dup3(old: Fd, new: Fd, flags: i32) -> Fd = libc::SYS_dup3;
    /// `flock(2)`.
    pub fn flock(fd: Fd, operation: i32) -> () = libc::SYS_flock;
    /// `eventfd2(2)`.
    pub fn eventfd2(value: u32, flags: i32) -> Fd = libc::SYS_eventfd2;
    /// `memfd_create(2)`.
    pub fn memfd_create(name: &CStr, flags: u32) -> Fd = libc::SYS_memfd_create;
    /// `inotify_init1(2)`.
    pub fn inotify_init1(flags: i32) -> Fd = libc::SYS_inotify_init1;
    /// `inotify_add_watch(2)`.
    pub fn inotify_add_watch(fd: Fd, path: &CStr, mask: u32) -> i32 = libc::SYS_inotify_add_watch;
    /// `inotify_rm_watch(2)`.
    pub fn inotify_rm_watch(fd: Fd, watch: i32) -> () = libc::SYS_inotify_rm_watch;
    fn raw_copy_range(fin: Fd, offin: OutOpt<'_, i64>, fout: Fd, offout: OutOpt<'_, i64>, len: usize, flags: u32) -> usize = libc::SYS_copy_file_range;
    fn raw_splice(fin: Fd, offin: OutOpt<'_, i64>, fout: Fd, offout: OutOpt<'_, i64>, len: usize, flags: u32) -> usize = libc::SYS_splice;
    /// `tee(2)`.
    pub fn tee(fin: Fd, fout: Fd, len: usize, flags: u32) -> usize = libc::SYS_tee;
    fn raw_signalfd(fd: Fd, mask: In<'_, KSigset>, size: usize, flags: i32) -> Fd = libc::SYS_signalfd4;
}

/// A descriptor of tern's own, closed when it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Owned(pub Fd);

impl Drop for Owned {
    fn drop(&mut self) {
        // Whatever the answer, the descriptor is gone.
        let _ = close(self.0);
    }
}

/// `openat(2)`, always with large-file support.
///
/// # Errors
/// The kernel's errno.
pub fn openat(dir: Fd, path: &CStr, flags: i32, mode: u32) -> Result<Fd, Errno> {
    raw_openat(dir, path, flags | libc::O_LARGEFILE, mode)
}

/// `openat2(2)` (Linux 5.6), always with large-file support unless `O_PATH` is asked for.
///
/// # Errors
/// The kernel's errno; `ENOSYS` on older kernels.
pub fn openat2(dir: Fd, path: &CStr, flags: u64, mode: u64, resolve: u64) -> Result<Fd, Errno> {
    let large = if flags & libc::O_PATH as u64 == 0 { libc::O_LARGEFILE as u64 } else { 0 };
    let how = OpenHow { flags: flags | large, mode, resolve };
    raw_openat2(dir, path, In(&how), size_of::<OpenHow>())
}

/// `pread64(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn pread(fd: Fd, buf: &mut [u8], pos: i64) -> Result<usize, Errno> {
    // SAFETY: pointer and length are those of `buf`, borrowed for the call.
    cvt_len(unsafe { libc::pread64(fd, buf.as_mut_ptr().cast::<c_void>(), buf.len(), pos) })
}

/// `pwrite64(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn pwrite(fd: Fd, buf: &[u8], pos: i64) -> Result<usize, Errno> {
    // SAFETY: pointer and length are those of `buf`, borrowed for the call.
    cvt_len(unsafe { libc::pwrite64(fd, buf.as_ptr().cast::<c_void>(), buf.len(), pos) })
}

/// `preadv(2)`, or `preadv2(2)` if there are flags (`RWF_*`); position -1 with flags is the file's own.
///
/// # Errors
/// The kernel's errno.
pub fn preadv(fd: Fd, iov: &mut [IoSliceMut<'_>], pos: i64, flags: i32) -> Result<usize, Errno> {
    if flags == 0 && pos != -1 { raw_preadv(fd, iov, Pos(pos)) } else { raw_preadv2(fd, iov, Pos(pos), flags) }
}

/// `pwritev(2)`, or `pwritev2(2)` if there are flags (`RWF_*`); position -1 with flags is the file's own.
///
/// # Errors
/// The kernel's errno.
pub fn pwritev(fd: Fd, iov: &[IoSlice<'_>], pos: i64, flags: i32) -> Result<usize, Errno> {
    if flags == 0 && pos != -1 { raw_pwritev(fd, iov, Pos(pos)) } else { raw_pwritev2(fd, iov, Pos(pos), flags) }
}

/// Most elements of an array of buffers (`UIO_MAXIOV`).
const STRETCHES: usize = 1024;

/// Guest memory as the kernel takes it (`struct iovec`).
#[repr(transparent)]
pub(super) struct Stretch(libc::iovec);

/// Guest memory for one call, neighbours joined.
fn stretches(spans: &[HostSpan]) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for span in spans {
        let base = span.as_ptr().cast::<c_void>();
        match list.last_mut() {
            Some(Stretch(last)) if last.iov_base as usize + last.iov_len == base as usize => last.iov_len += span.len(),
            _ => list.push(Stretch(libc::iovec { iov_base: base, iov_len: span.len() })),
        }
    }
    list
}

/// The one span of a call that needs no array.
fn single(spans: &[HostSpan]) -> Option<HostSpan> {
    match spans {
        [] => Some(HostSpan::EMPTY),
        [span] => Some(*span),
        _ => None,
    }
}

/// Reads into guest memory that was resolved for stores: `read(2)` for position -1 without flags, else `pread64(2)` and its
/// kin.
///
/// # Errors
/// The kernel's errno.
pub fn read_guest(fd: Fd, spans: &[HostSpan], pos: i64, flags: i32) -> Result<usize, Errno> {
    if let (Some(span), 0) = (single(spans), flags) {
        let (ptr, len) = (span.as_ptr().cast::<c_void>(), span.len());
        // SAFETY: who made the span vouches for memory that may be written; only the kernel touches it here.
        return cvt_len(unsafe { if pos == -1 { libc::read(fd, ptr, len) } else { libc::pread64(fd, ptr, len, pos) } });
    }
    let list = stretches(spans);
    if list.len() > STRETCHES {
        let mut buf = vec![0; spans.iter().map(|s| s.len()).sum()];
        let n = preadv(fd, &mut [IoSliceMut::new(&mut buf)], pos, flags)?;
        let mut rest = &buf[..n];
        for span in spans {
            let (head, tail) = rest.split_at(rest.len().min(span.len()));
            let _ = span.write(0, head);
            rest = tail;
        }
        return Ok(n);
    }
    match (pos, flags) {
        (-1, 0) => readv_guest(fd, &list),
        (_, 0) => preadv_guest(fd, &list, Pos(pos)),
        _ => preadv2_guest(fd, &list, Pos(pos), flags),
    }
}

/// Writes guest memory: `write(2)` for position -1 without flags, else `pwrite64(2)` and its kin.
///
/// # Errors
/// The kernel's errno.
pub fn write_guest(fd: Fd, spans: &[HostSpan], pos: i64, flags: i32) -> Result<usize, Errno> {
    if let (Some(span), 0) = (single(spans), flags) {
        let (ptr, len) = (span.as_ptr().cast::<c_void>(), span.len());
        // SAFETY: who made the span vouches for memory that may be read; only the kernel touches it here.
        return cvt_len(unsafe {
            if pos == -1 { libc::write(fd, ptr, len) } else { libc::pwrite64(fd, ptr, len, pos) }
        });
    }
    let list = stretches(spans);
    if list.len() > STRETCHES {
        let mut buf = vec![0; spans.iter().map(|s| s.len()).sum()];
        let mut rest = &mut buf[..];
        for span in spans {
            let (head, tail) = rest.split_at_mut(span.len());
            let _ = span.read(0, head);
            rest = tail;
        }
        return pwritev(fd, &[IoSlice::new(&buf)], pos, flags);
    }
    match (pos, flags) {
        (-1, 0) => writev_guest(fd, &list),
        (_, 0) => pwritev_guest(fd, &list, Pos(pos)),
        _ => pwritev2_guest(fd, &list, Pos(pos), flags),
    }
}

/// `lseek(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn lseek(fd: Fd, offset: i64, whence: i32) -> Result<i64, Errno> {
    // SAFETY: no pointers.
    cvt(unsafe { libc::lseek64(fd, offset, whence) })
}

/// `ftruncate(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn ftruncate(fd: Fd, len: i64) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt0(unsafe { libc::ftruncate64(fd, len) })
}

/// `truncate(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn truncate(path: &CStr, len: i64) -> Result<(), Errno> {
    // SAFETY: a NUL-terminated string, borrowed for the call.
    cvt0(unsafe { libc::truncate64(path.as_ptr(), len) })
}

/// `fallocate(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn fallocate(fd: Fd, mode: i32, offset: i64, len: i64) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt0(unsafe { libc::fallocate64(fd, mode, offset, len) })
}

/// `sync_file_range(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn sync_file_range(fd: Fd, offset: i64, len: i64, flags: u32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt0(unsafe { libc::sync_file_range(fd, offset, len, flags) })
}

/// `fadvise64(2)`; `advice` is a `POSIX_FADV_*` of the host.
///
/// # Errors
/// The kernel's errno.
pub fn fadvise(fd: Fd, offset: i64, len: i64, advice: i32) -> Result<(), Errno> {
    // SAFETY: no pointers.
    match unsafe { libc::posix_fadvise64(fd, offset, len, advice) } {
        0 => Ok(()),
        e => Err(Errno(e)),
    }
}

/// `readahead(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn readahead(fd: Fd, offset: i64, count: usize) -> Result<(), Errno> {
    // SAFETY: no pointers.
    cvt_len(unsafe { libc::readahead(fd, offset, count) }).map(|_| ())
}

/// `sendfile(2)`: `offset` is read and updated instead of the file's position.
///
/// # Errors
/// The kernel's errno.
pub fn sendfile(out: Fd, input: Fd, offset: Option<&mut i64>, count: usize) -> Result<usize, Errno> {
    let offset = offset.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: null or a live `i64`, which is what off64_t is on every host.
    cvt_len(unsafe { libc::sendfile64(out, input, offset, count) })
}

/// One end of [`copy_file_range`] or [`splice`]: the descriptor, and a position to use and update instead of its own.
pub type End<'a> = (Fd, Option<&'a mut i64>);

/// `copy_file_range(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn copy_file_range(from: End<'_>, to: End<'_>, len: usize, flags: u32) -> Result<usize, Errno> {
    raw_copy_range(from.0, OutOpt(from.1), to.0, OutOpt(to.1), len, flags)
}

/// `splice(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn splice(from: End<'_>, to: End<'_>, len: usize, flags: u32) -> Result<usize, Errno> {
    raw_splice(from.0, OutOpt(from.1), to.0, OutOpt(to.1), len, flags)
}

/// `pipe2(2)`: the reading and the writing end.
///
/// # Errors
/// The kernel's errno.
pub fn pipe2(flags: i32) -> Result<(Fd, Fd), Errno> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    cvt0(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    Ok((ends[0], ends[1]))
}

/// `signalfd4(2)`: bit `n` of the mask is signal `n + 1`; descriptor -1 makes a new one.
///
/// # Errors
/// The kernel's errno.
pub fn signalfd4(fd: Fd, mask: u64, flags: i32) -> Result<Fd, Errno> {
    raw_signalfd(fd, In(&mask.into()), KSigset::SIZE, flags)
}

/// `fcntl(2)` for the commands whose argument is a number.
///
/// # Errors
/// The kernel's errno; `EINVAL` for a command with a pointer, which has its own function here or none.
pub fn fcntl(fd: Fd, command: i32, arg: i32) -> Result<i32, Errno> {
    match command {
        libc::F_DUPFD
        | libc::F_DUPFD_CLOEXEC
        | libc::F_GETFD
        | libc::F_SETFD
        | libc::F_GETFL
        | libc::F_SETFL
        | libc::F_SETOWN
        | libc::F_GETOWN
        | host::F_SETSIG
        | host::F_GETSIG
        | libc::F_SETLEASE
        | libc::F_GETLEASE
        | libc::F_NOTIFY
        | libc::F_SETPIPE_SZ
        | libc::F_GETPIPE_SZ
        | libc::F_ADD_SEALS
        | libc::F_GET_SEALS => {}
        _ => return Err(Errno::EINVAL),
    }
    // SAFETY: the commands above take a number or nothing.
    cvt(unsafe { libc::fcntl(fd, command, arg) })
}

/// A record lock (`struct flock`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lock {
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK` of the host.
    pub kind: i16,
    /// `SEEK_SET`, `SEEK_CUR` or `SEEK_END`.
    pub whence: i16,
    /// First byte.
    pub start: i64,
    /// Length; zero to the end of the file.
    pub len: i64,
    /// The process that holds it (set by [`LockOp::Get`]).
    pub pid: i32,
}

/// What [`lock`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockOp {
    /// `F_GETLK`: would it be granted?
    Get,
    /// `F_SETLK`.
    Set,
    /// `F_SETLKW`: wait for it.
    SetWait,
    /// `F_OFD_GETLK`.
    OfdGet,
    /// `F_OFD_SETLK`.
    OfdSet,
    /// `F_OFD_SETLKW`.
    OfdSetWait,
}

/// The commands that take `struct flock64` (asm-generic/fcntl.h; 32-bit hosts number them apart from the old ones).
#[cfg(target_pointer_width = "64")]
const LOCKS: [i32; 3] = [libc::F_GETLK, libc::F_SETLK, libc::F_SETLKW];
#[cfg(all(not(target_pointer_width = "64"), any(target_arch = "mips", target_arch = "mips32r6")))]
const LOCKS: [i32; 3] = [33, 34, 35];
#[cfg(all(not(target_pointer_width = "64"), not(any(target_arch = "mips", target_arch = "mips32r6"))))]
const LOCKS: [i32; 3] = [12, 13, 14];

/// Record locks. The answer of the `Get` forms is in `lock`.
///
/// # Errors
/// The kernel's errno.
pub fn lock(fd: Fd, op: LockOp, lock: &mut Lock) -> Result<(), Errno> {
    let command = match op {
        LockOp::Get => LOCKS[0],
        LockOp::Set => LOCKS[1],
        LockOp::SetWait => LOCKS[2],
        LockOp::OfdGet => libc::F_OFD_GETLK,
        LockOp::OfdSet => libc::F_OFD_SETLK,
        LockOp::OfdSetWait => libc::F_OFD_SETLKW,
    };
    // SAFETY: all-zero bytes are a valid `flock64` (integers only).
    let mut raw: libc::flock64 = unsafe { core::mem::zeroed() };
    raw.l_type = lock.kind;
    raw.l_whence = lock.whence;
    raw.l_start = lock.start;
    raw.l_len = lock.len;
    raw.l_pid = lock.pid;
    // SAFETY: these commands read and write one `flock64`.
    cvt0(unsafe { libc::fcntl(fd, command, &raw mut raw) })?;
    *lock = Lock { kind: raw.l_type, whence: raw.l_whence, start: raw.l_start, len: raw.l_len, pid: raw.l_pid };
    Ok(())
}

/// One entry of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirent<'a> {
    /// Inode number.
    pub ino: u64,
    /// Where the next entry starts, for `lseek`.
    pub off: i64,
    /// `DT_*`, equal on every architecture.
    pub kind: u8,
    /// Name without terminator.
    pub name: &'a [u8],
}

/// The entries in what [`getdents64`] wrote.
#[derive(Clone, Debug)]
pub struct Dirents<'a>(&'a [u8]);

impl<'a> Dirents<'a> {
    /// Reads the entries in `buf`, the part that was filled.
    #[must_use]
    pub fn new(buf: &'a [u8]) -> Dirents<'a> {
        Dirents(buf)
    }
}

impl<'a> Iterator for Dirents<'a> {
    type Item = Dirent<'a>;

    fn next(&mut self) -> Option<Dirent<'a>> {
        const HEAD: usize = 19;
        let len = usize::from(native::u16(self.0, 16));
        if len <= HEAD || len > self.0.len() {
            return None;
        }
        let (entry, rest) = self.0.split_at(len);
        self.0 = rest;
        let name = &entry[HEAD..];
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        Some(Dirent { ino: native::u64(entry, 0), off: native::i64(entry, 8), kind: entry[18], name: &name[..end] })
    }
}
