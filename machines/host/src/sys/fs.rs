//! Names and metadata: the `*at` family, status, ownership, the current directory.

use super::kernel::unified;
use super::{Errno, Fd, Out, Time, cvt0, syscalls};
use core::ffi::CStr;

syscalls! {
    fn raw_statx(dir: Fd, path: &CStr, flags: i32, mask: u32, stat: Out<'_, KStatx>) -> () = libc::SYS_statx;
    fn raw_faccessat(dir: Fd, path: &CStr, mode: i32) -> () = libc::SYS_faccessat;
    fn raw_faccessat2(dir: Fd, path: &CStr, mode: i32, flags: i32) -> () = unified(439);
    /// `readlinkat(2)`: the length, without terminator.
    pub fn readlinkat(dir: Fd, path: &CStr, buf: &mut [u8]) -> usize = libc::SYS_readlinkat;
    /// `symlinkat(2)`.
    pub fn symlinkat(target: &CStr, dir: Fd, path: &CStr) -> () = libc::SYS_symlinkat;
    /// `linkat(2)`.
    pub fn linkat(old_dir: Fd, old: &CStr, new_dir: Fd, new: &CStr, flags: i32) -> () = libc::SYS_linkat;
    /// `unlinkat(2)`.
    pub fn unlinkat(dir: Fd, path: &CStr, flags: i32) -> () = libc::SYS_unlinkat;
    /// `renameat2(2)`.
    pub fn renameat2(old_dir: Fd, old: &CStr, new_dir: Fd, new: &CStr, flags: u32) -> () = libc::SYS_renameat2;
    /// `mkdirat(2)`.
    pub fn mkdirat(dir: Fd, path: &CStr, mode: u32) -> () = libc::SYS_mkdirat;
    /// `mknodat(2)`; the device number as the kernel encodes it, see [`dev`].
    pub fn mknodat(dir: Fd, path: &CStr, mode: u32, dev: u32) -> () = libc::SYS_mknodat;
    /// `fchmod(2)`.
    pub fn fchmod(fd: Fd, mode: u32) -> () = libc::SYS_fchmod;
    /// `fchmodat(2)`, which follows links and has no flags.
    pub fn fchmodat(dir: Fd, path: &CStr, mode: u32) -> () = libc::SYS_fchmodat;
    /// `fchmodat2(2)` (Linux 6.6).
    pub fn fchmodat2(dir: Fd, path: &CStr, mode: u32, flags: i32) -> () = unified(452);
    /// `fchownat(2)`; -1 (all bits set) leaves an owner as it is.
    pub fn fchownat(dir: Fd, path: &CStr, uid: u32, gid: u32, flags: i32) -> () = libc::SYS_fchownat;
    /// `getcwd(2)`: the length with terminator.
    pub fn getcwd(buf: &mut [u8]) -> usize = libc::SYS_getcwd;
    /// `chdir(2)`.
    pub fn chdir(path: &CStr) -> () = libc::SYS_chdir;
    /// `fchdir(2)`.
    pub fn fchdir(fd: Fd) -> () = libc::SYS_fchdir;
    /// `chroot(2)`.
    pub fn chroot(path: &CStr) -> () = libc::SYS_chroot;
    /// `umask(2)`: the previous mask.
    pub fn umask(mask: u32) -> u32 = libc::SYS_umask;
}

/// `fchown(2)`; -1 (all bits set) leaves an owner as it is.
///
/// # Errors
/// The kernel's errno.
pub fn fchown(fd: Fd, uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: no pointers. (Not a row: 32-bit hosts have an old call with 16-bit owners under the plain number.)
    cvt0(unsafe { libc::fchown(fd, uid, gid) })
}

/// `faccessat(2)`, or `faccessat2(2)` (Linux 5.8) if there are flags.
///
/// # Errors
/// The kernel's errno.
pub fn faccessat(dir: Fd, path: &CStr, mode: i32, flags: i32) -> Result<(), Errno> {
    if flags == 0 { raw_faccessat(dir, path, mode) } else { raw_faccessat2(dir, path, mode, flags) }
}

/// A device number in the kernel's 32-bit form (`new_encode_dev`), as [`mknodat`] takes it.
#[must_use]
pub const fn dev(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12)
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KStatxTime {
    sec: i64,
    nsec: u32,
    reserved: i32,
}

impl From<KStatxTime> for Time {
    fn from(t: KStatxTime) -> Time {
        Time { sec: t.sec, nsec: i64::from(t.nsec) }
    }
}

/// `struct statx` (linux/stat.h), the same on every architecture.
#[repr(C)]
#[derive(Default)]
struct KStatx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    spare0: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    atime: KStatxTime,
    btime: KStatxTime,
    ctime: KStatxTime,
    mtime: KStatxTime,
    rdev_major: u32,
    rdev_minor: u32,
    dev_major: u32,
    dev_minor: u32,
    mnt_id: u64,
    spare: [u64; 13],
}

const _: () = assert!(size_of::<KStatx>() == 256);

/// The status of a file, with everything that `statx(2)` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    /// Which fields are valid (`STATX_*`, equal on every architecture).
    pub mask: u32,
    /// Preferred block size in bytes.
    pub blksize: u32,
    /// `STATX_ATTR_*`.
    pub attributes: u64,
    /// Which attributes the file system supports.
    pub attributes_mask: u64,
    /// Number of links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permissions (`S_IF*`, equal on every architecture).
    pub mode: u32,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last modification of the contents.
    pub mtime: Time,
    /// Last change of the status.
    pub ctime: Time,
    /// Creation, if known.
    pub btime: Time,
    /// For a device file: major and minor number.
    pub rdev: (u32, u32),
    /// The file system's device: major and minor number.
    pub dev: (u32, u32),
    /// Mount identity, if known.
    pub mnt_id: u64,
}

/// `statx(2)`; with an empty path and `AT_EMPTY_PATH` it is `fstat`.
///
/// # Errors
/// The kernel's errno.
pub fn statx(dir: Fd, path: &CStr, flags: i32, mask: u32) -> Result<Stat, Errno> {
    let mut k = KStatx::default();
    raw_statx(dir, path, flags, mask, Out(&mut k))?;
    Ok(Stat {
        mask: k.mask,
        blksize: k.blksize,
        attributes: k.attributes,
        attributes_mask: k.attributes_mask,
        nlink: k.nlink,
        uid: k.uid,
        gid: k.gid,
        mode: u32::from(k.mode),
        ino: k.ino,
        size: k.size,
        blocks: k.blocks,
        atime: k.atime.into(),
        mtime: k.mtime.into(),
        ctime: k.ctime.into(),
        btime: k.btime.into(),
        rdev: (k.rdev_major, k.rdev_minor),
        dev: (k.dev_major, k.dev_minor),
        mnt_id: k.mnt_id,
    })
}

/// What the `stat` family needs (`STATX_BASIC_STATS`).
pub const BASIC_STATS: u32 = 0x7ff;

/// `fstat(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn fstat(fd: Fd) -> Result<Stat, Errno> {
    statx(fd, c"", libc::AT_EMPTY_PATH, BASIC_STATS)
}

/// `newfstatat(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn fstatat(dir: Fd, path: &CStr, flags: i32) -> Result<Stat, Errno> {
    statx(dir, path, flags, BASIC_STATS)
}

/// The status of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statfs {
    /// Magic number of its type.
    pub kind: u64,
    /// Optimal transfer size in bytes.
    pub bsize: u64,
    /// Size in units of `bsize`.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for ordinary users.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Identity.
    pub fsid: [i32; 2],
    /// Longest name in bytes.
    pub namelen: u64,
    /// Fragment size in bytes.
    pub frsize: u64,
    /// Mount flags (`ST_*`).
    pub flags: u64,
}

fn neutral(raw: &libc::statfs64) -> Statfs {
    // SAFETY: `fsid_t` is two 32-bit integers on every Linux host (posix_types.h); its fields are private in libc.
    let fsid = unsafe { core::ptr::from_ref(&raw.f_fsid).cast::<[i32; 2]>().read_unaligned() };
    Statfs {
        kind: raw.f_type as u64,
        bsize: raw.f_bsize as u64,
        blocks: raw.f_blocks as u64,
        bfree: raw.f_bfree as u64,
        bavail: raw.f_bavail as u64,
        files: raw.f_files as u64,
        ffree: raw.f_ffree as u64,
        fsid,
        namelen: raw.f_namelen as u64,
        frsize: raw.f_frsize as u64,
        flags: raw.f_flags as u64,
    }
}

/// `statfs(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn statfs(path: &CStr) -> Result<Statfs, Errno> {
    // SAFETY: all-zero bytes are a valid `statfs64` (integers only); the call gets a live string and structure.
    let mut raw: libc::statfs64 = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    cvt0(unsafe { libc::statfs64(path.as_ptr(), &raw mut raw) })?;
    Ok(neutral(&raw))
}

/// `fstatfs(2)`.
///
/// # Errors
/// The kernel's errno.
pub fn fstatfs(fd: Fd) -> Result<Statfs, Errno> {
    // SAFETY: all-zero bytes are a valid `statfs64` (integers only).
    let mut raw: libc::statfs64 = unsafe { core::mem::zeroed() };
    // SAFETY: the call gets a live structure of its type.
    cvt0(unsafe { libc::fstatfs64(fd, &raw mut raw) })?;
    Ok(neutral(&raw))
}
