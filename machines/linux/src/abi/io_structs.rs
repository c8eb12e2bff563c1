//! Guest structs of descriptors, sockets, terminals and IPC, as the kernel's uapi headers declare them.

use super::{Arr, Long, ULong};
use crate::guest_struct;

guest_struct! {
    /// `struct epoll_event` where it is not packed (everywhere but x86).
    EpollEvent { events: u32, data: u64, }

    /// `struct inotify_event` without its name.
    InotifyEvent { wd: i32, mask: u32, cookie: u32, len: u32, }

    /// `struct signalfd_siginfo` (linux/signalfd.h), the same for every guest.
    SignalfdSiginfo {
        signo: u32, errno: i32, code: i32, pid: u32, uid: u32, fd: i32, tid: u32, band: u32, overrun: u32, trapno: u32,
        status: i32, int: i32, ptr: u64, utime: u64, stime: u64, addr: u64, addr_lsb: u16, pad2: u16, syscall: i32,
        call_addr: u64, arch: u32, pad: Arr<u8, 28>,
    }

    /// The last argument of `pselect6`: the address of a signal set and its size.
    SigmaskArg { mask: ULong, size: ULong, }

    /// `struct user_msghdr` (linux/socket.h).
    Msghdr { name: ULong, namelen: i32, iov: ULong, iovlen: ULong, control: ULong, controllen: ULong, flags: u32, }

    /// `struct mmsghdr`.
    Mmsghdr { hdr: Msghdr, len: u32, }

    /// `struct cmsghdr`.
    Cmsghdr { len: ULong, level: i32, kind: i32, }

    /// `struct ucred`.
    Ucred { pid: i32, uid: u32, gid: u32, }

    /// `struct linger`.
    Linger { onoff: i32, linger: i32, }

    /// `struct timeval` with 64-bit fields, as `SO_RCVTIMEO_NEW` and the new timestamps have it.
    Timeval64 { sec: i64, usec: i64, }

    /// `struct termios` of the kernel (asm-generic/termbits.h).
    Termios { iflag: u32, oflag: u32, cflag: u32, lflag: u32, line: u8, cc: Arr<u8, 19>, }

    /// `struct termios2`.
    Termios2 {
        iflag: u32, oflag: u32, cflag: u32, lflag: u32, line: u8, cc: Arr<u8, 19>, ispeed: u32, ospeed: u32,
    }

    /// `struct termio` (asm-generic/termios.h).
    Termio { iflag: u16, oflag: u16, cflag: u16, lflag: u16, line: u8, cc: Arr<u8, 8>, }

    /// `struct ifconf`.
    Ifconf { len: i32, buf: ULong, }

    /// `struct sembuf`.
    Sembuf { num: u16, op: i16, flg: i16, }

    /// `struct mq_attr`.
    MqAttr { flags: Long, maxmsg: Long, msgsize: Long, curmsgs: Long, reserved: Arr<Long, 4>, }

    /// `struct ipc64_perm` (asm-generic/ipcbuf.h).
    IpcPerm {
        key: i32, uid: u32, gid: u32, cuid: u32, cgid: u32, mode: u32, seq: u16, pad2: u16, unused1: ULong,
        unused2: ULong,
    }

    /// `struct shmid64_ds` of 64-bit guests (asm-generic/shmbuf.h).
    ShmidDs64 {
        perm: IpcPerm, segsz: u64, atime: i64, dtime: i64, ctime: i64, cpid: i32, lpid: i32, nattch: u64, unused4: u64,
        unused5: u64,
    }

    /// `struct shmid64_ds` of 32-bit guests.
    ShmidDs32 {
        perm: IpcPerm, segsz: u32, atime: u32, atime_high: u32, dtime: u32, dtime_high: u32, ctime: u32,
        ctime_high: u32, cpid: i32, lpid: i32, nattch: u32, unused4: u32, unused5: u32,
    }

    /// `struct shminfo64`.
    Shminfo { max: ULong, min: ULong, mni: ULong, seg: ULong, all: ULong, unused: Arr<ULong, 4>, }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Abi, Field, Word};
    use tern_core::mem::Endian;

    const LE64: Abi = Abi { word: Word::W64, endian: Endian::Little, align64: 8 };
    const LE32: Abi = Abi { word: Word::W32, endian: Endian::Little, align64: 8 };

    #[test]
    fn sizes_are_the_kernels() {
        let sizes = |abi| {
            [
                EpollEvent::size(abi),
                SignalfdSiginfo::size(abi),
                Msghdr::size(abi),
                Cmsghdr::size(abi),
                Termios::size(abi),
            ]
        };
        assert_eq!(sizes(LE64), [16, 128, 56, 16, 36]);
        assert_eq!(sizes(LE32), [16, 128, 28, 12, 36]);
        assert_eq!((ShmidDs64::size(LE64), ShmidDs32::size(LE32)), (112, 84));
        assert_eq!((IpcPerm::size(LE64), IpcPerm::size(LE32)), (48, 36));
        assert_eq!((Mmsghdr::size(LE64), Mmsghdr::size(LE32)), (64, 32));
        assert_eq!((Termios2::size(LE64), Termio::size(LE64)), (44, 18));
    }
}
