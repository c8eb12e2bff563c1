//! Guest structs by chapter, as the kernel's uapi headers declare them.  One row each; see [`crate::guest_struct`].

use super::{Arr, Long, ULong};
use crate::guest_struct;

guest_struct! {
    /// `struct timespec` with words (time.h).
    Timespec { sec: Long, nsec: Long, }

    /// `struct __kernel_timespec`, 64 bits everywhere.
    Timespec64 { sec: i64, nsec: i64, }

    /// `struct timeval` with words.
    Timeval { sec: Long, usec: Long, }

    /// `struct itimerval`.
    Itimerval { interval: Timeval, value: Timeval, }

    /// `struct itimerspec` with words.
    Itimerspec { interval: Timespec, value: Timespec, }

    /// `struct __kernel_itimerspec`.
    Itimerspec64 { interval: Timespec64, value: Timespec64, }

    /// `struct timezone`.
    Timezone { minuteswest: i32, dsttime: i32, }

    /// `struct stat` of asm-generic/stat.h (64-bit guests; 32-bit ones without the old calls have only statx).
    Stat {
        dev: ULong, ino: ULong, mode: u32, nlink: u32, uid: u32, gid: u32, rdev: ULong, pad1: ULong, size: Long,
        blksize: i32, pad2: i32, blocks: Long, atime: Long, atime_nsec: ULong, mtime: Long, mtime_nsec: ULong,
        ctime: Long, ctime_nsec: ULong, unused: Arr<u32, 2>,
    }

    /// `struct statx_timestamp`.
    StatxTimestamp { sec: i64, nsec: u32, reserved: i32, }

    /// `struct statx` (linux/stat.h), the same for every guest.
    Statx {
        mask: u32, blksize: u32, attributes: u64, nlink: u32, uid: u32, gid: u32, mode: u16, spare0: u16, ino: u64,
        size: u64, blocks: u64, attributes_mask: u64, atime: StatxTimestamp, btime: StatxTimestamp,
        ctime: StatxTimestamp, mtime: StatxTimestamp, rdev_major: u32, rdev_minor: u32, dev_major: u32, dev_minor: u32,
        mnt_id: u64, spare2: u64, spare3: Arr<u64, 12>,
    }

    /// `struct statfs` with words (asm-generic/statfs.h).
    Statfs {
        kind: Long, bsize: Long, blocks: ULong, bfree: ULong, bavail: ULong, files: ULong, ffree: ULong,
        fsid: Arr<i32, 2>, namelen: Long, frsize: Long, flags: Long, spare: Arr<Long, 4>,
    }

    /// `struct statfs64` of 32-bit guests.
    Statfs64 {
        kind: u32, bsize: u32, blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64, fsid: Arr<i32, 2>,
        namelen: u32, frsize: u32, flags: u32, spare: Arr<u32, 4>,
    }

    /// `struct iovec`.
    Iovec { base: ULong, len: ULong, }

    /// `struct flock` with words (asm-generic/fcntl.h); on 64-bit guests also `flock64`.
    Flock { kind: i16, whence: i16, start: Long, len: Long, pid: i32, }

    /// `struct flock64` of 32-bit guests.
    Flock64 { kind: i16, whence: i16, start: i64, len: i64, pid: i32, }

    /// `struct f_owner_ex`.
    FOwnerEx { kind: i32, pid: i32, }

    /// `struct open_how` (linux/openat2.h).
    OpenHow { flags: u64, mode: u64, resolve: u64, }

    /// `struct new_utsname`.
    Utsname {
        sysname: Arr<u8, 65>, nodename: Arr<u8, 65>, release: Arr<u8, 65>, version: Arr<u8, 65>,
        machine: Arr<u8, 65>, domainname: Arr<u8, 65>,
    }

    /// `struct sysinfo` without its tail padding (linux/sysinfo.h).
    Sysinfo {
        uptime: Long, loads: Arr<ULong, 3>, totalram: ULong, freeram: ULong, sharedram: ULong, bufferram: ULong,
        totalswap: ULong, freeswap: ULong, procs: u16, pad: u16, totalhigh: ULong, freehigh: ULong, mem_unit: u32,
    }

    /// `struct rlimit` with words.
    Rlimit { cur: ULong, max: ULong, }

    /// `struct rlimit64`.
    Rlimit64 { cur: u64, max: u64, }

    /// `struct rusage`.
    Rusage {
        utime: Timeval, stime: Timeval, maxrss: Long, ixrss: Long, idrss: Long, isrss: Long, minflt: Long, majflt: Long,
        nswap: Long, inblock: Long, oublock: Long, msgsnd: Long, msgrcv: Long, nsignals: Long, nvcsw: Long, nivcsw: Long,
    }

    /// `struct tms`.
    Tms { utime: Long, stime: Long, cutime: Long, cstime: Long, }

    /// `struct riscv_hwprobe` (asm/hwprobe.h).
    RiscvHwprobe { key: i64, value: u64, }

    /// `struct winsize` (asm-generic/termios.h).
    Winsize { row: u16, col: u16, xpixel: u16, ypixel: u16, }

    /// `struct pollfd`.
    Pollfd { fd: i32, events: i16, revents: i16, }
}
