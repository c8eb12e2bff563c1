//! Names and values of the constants that calls on descriptors, sockets and IPC carry (asm-generic values).

use super::flags::names;

names! {
    /// `preadv2`, `pwritev2` (linux/fs.h).
    Rwf {
        RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 0x10, RWF_NOAPPEND = 0x20,
        RWF_ATOMIC = 0x40,
    }
    /// `splice`, `tee`, `vmsplice`.
    Splice { SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2, SPLICE_F_MORE = 4, SPLICE_F_GIFT = 8, }
    /// `fallocate` (linux/falloc.h).
    Falloc {
        FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2, FALLOC_FL_NO_HIDE_STALE = 4, FALLOC_FL_COLLAPSE_RANGE = 8,
        FALLOC_FL_ZERO_RANGE = 0x10, FALLOC_FL_INSERT_RANGE = 0x20, FALLOC_FL_UNSHARE_RANGE = 0x40,
    }
    /// `fadvise64`.
    Fadvise {
        POSIX_FADV_NORMAL = 0, POSIX_FADV_RANDOM = 1, POSIX_FADV_SEQUENTIAL = 2, POSIX_FADV_WILLNEED = 3,
        POSIX_FADV_DONTNEED = 4, POSIX_FADV_NOREUSE = 5,
    }
    /// `sync_file_range`.
    SyncRange { SYNC_FILE_RANGE_WAIT_BEFORE = 1, SYNC_FILE_RANGE_WRITE = 2, SYNC_FILE_RANGE_WAIT_AFTER = 4, }
    /// `pipe2`, `dup3`.
    PipeFlags { O_NONBLOCK = 0o4000, O_DIRECT = 0o40000, O_CLOEXEC = 0o2000000, }
    /// `eventfd2`.
    Eventfd { EFD_SEMAPHORE = 1, EFD_NONBLOCK = 0o4000, EFD_CLOEXEC = 0o2000000, }
    /// `signalfd4`.
    Signalfd { SFD_NONBLOCK = 0o4000, SFD_CLOEXEC = 0o2000000, }
    /// `timerfd_create`.
    TimerfdCreate { TFD_NONBLOCK = 0o4000, TFD_CLOEXEC = 0o2000000, }
    /// `timerfd_settime`.
    TimerfdSet { TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2, }
    /// `epoll_create1`.
    EpollCreate { EPOLL_CLOEXEC = 0o2000000, }
    /// `epoll_ctl`.
    EpollOp { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3, }
    /// Events of `epoll` (linux/eventpoll.h).
    EpollEvents {
        EPOLLIN = 1, EPOLLPRI = 2, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 0x10, EPOLLRDNORM = 0x40, EPOLLRDBAND = 0x80,
        EPOLLWRNORM = 0x100, EPOLLWRBAND = 0x200, EPOLLMSG = 0x400, EPOLLRDHUP = 0x2000, EPOLLEXCLUSIVE = 0x1000_0000,
        EPOLLWAKEUP = 0x2000_0000, EPOLLONESHOT = 0x4000_0000, EPOLLET = 0x8000_0000,
    }
    /// Events of `poll`.
    PollEvents {
        POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 0x10, POLLNVAL = 0x20, POLLRDNORM = 0x40,
        POLLRDBAND = 0x80, POLLWRNORM = 0x100, POLLWRBAND = 0x200, POLLRDHUP = 0x2000,
    }
    /// `inotify_init1`.
    InotifyInit { IN_NONBLOCK = 0o4000, IN_CLOEXEC = 0o2000000, }
    /// Events and flags of `inotify` (linux/inotify.h).
    Inotify {
        IN_ACCESS = 1, IN_MODIFY = 2, IN_ATTRIB = 4, IN_CLOSE_WRITE = 8, IN_CLOSE_NOWRITE = 0x10, IN_OPEN = 0x20,
        IN_MOVED_FROM = 0x40, IN_MOVED_TO = 0x80, IN_CREATE = 0x100, IN_DELETE = 0x200, IN_DELETE_SELF = 0x400,
        IN_MOVE_SELF = 0x800, IN_UNMOUNT = 0x2000, IN_Q_OVERFLOW = 0x4000, IN_IGNORED = 0x8000, IN_ONLYDIR = 0x0100_0000,
        IN_DONT_FOLLOW = 0x0200_0000, IN_EXCL_UNLINK = 0x0400_0000, IN_MASK_CREATE = 0x1000_0000,
        IN_MASK_ADD = 0x2000_0000, IN_ISDIR = 0x4000_0000, IN_ONESHOT = 0x8000_0000,
    }
    /// Clocks (linux/time.h).
    Clock {
        CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_THREAD_CPUTIME_ID = 3,
        CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5, CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7,
        CLOCK_REALTIME_ALARM = 8, CLOCK_BOOTTIME_ALARM = 9, CLOCK_TAI = 11,
    }
    /// Address families (linux/socket.h), the same on every architecture.
    Family {
        AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_AX25 = 3, AF_IPX = 4, AF_APPLETALK = 5, AF_X25 = 9, AF_INET6 = 10,
        AF_KEY = 15, AF_NETLINK = 16, AF_PACKET = 17, AF_RDS = 21, AF_PPPOX = 24, AF_CAN = 29, AF_TIPC = 30,
        AF_BLUETOOTH = 31, AF_ALG = 38, AF_VSOCK = 40, AF_QIPCRTR = 42, AF_XDP = 44,
    }
    /// Types of sockets and the flags beside them (asm-generic/socket.h, linux/net.h).
    SockType [field 0xf] {
        SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5, SOCK_DCCP = 6, SOCK_PACKET = 10,
        SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000,
    }
    /// `accept4`.
    AcceptFlags { SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000, }
    /// `shutdown`.
    Shut { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2, }
    /// Flags of messages (linux/socket.h), the same on every architecture.
    Msg {
        MSG_OOB = 1, MSG_PEEK = 2, MSG_DONTROUTE = 4, MSG_CTRUNC = 8, MSG_PROBE = 0x10, MSG_TRUNC = 0x20,
        MSG_DONTWAIT = 0x40, MSG_EOR = 0x80, MSG_WAITALL = 0x100, MSG_FIN = 0x200, MSG_SYN = 0x400, MSG_CONFIRM = 0x800,
        MSG_RST = 0x1000, MSG_ERRQUEUE = 0x2000, MSG_NOSIGNAL = 0x4000, MSG_MORE = 0x8000, MSG_WAITFORONE = 0x10000,
        MSG_BATCH = 0x40000, MSG_ZEROCOPY = 0x400_0000, MSG_FASTOPEN = 0x2000_0000, MSG_CMSG_CLOEXEC = 0x4000_0000,
    }
    /// Levels of socket options.
    SockLevel {
        SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_ICMPV6 = 58, SOL_RAW = 255,
        SOL_PACKET = 263, SOL_NETLINK = 270,
    }
    /// Options of level `SOL_SOCKET` (asm-generic/socket.h).
    SockOpt {
        SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5, SO_BROADCAST = 6, SO_SNDBUF = 7,
        SO_RCVBUF = 8, SO_KEEPALIVE = 9, SO_OOBINLINE = 10, SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13,
        SO_BSDCOMPAT = 14, SO_REUSEPORT = 15, SO_PASSCRED = 16, SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19,
        SO_RCVTIMEO_OLD = 20, SO_SNDTIMEO_OLD = 21, SO_BINDTODEVICE = 25, SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27,
        SO_PEERNAME = 28, SO_TIMESTAMP_OLD = 29, SO_ACCEPTCONN = 30, SO_PEERSEC = 31, SO_SNDBUFFORCE = 32,
        SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_TIMESTAMPNS_OLD = 35, SO_MARK = 36, SO_TIMESTAMPING_OLD = 37,
        SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_WIFI_STATUS = 41, SO_PEEK_OFF = 42, SO_NOFCS = 43,
        SO_LOCK_FILTER = 44, SO_SELECT_ERR_QUEUE = 45, SO_BUSY_POLL = 46, SO_MAX_PACING_RATE = 47, SO_BPF_EXTENSIONS = 48,
        SO_INCOMING_CPU = 49, SO_ATTACH_BPF = 50, SO_ATTACH_REUSEPORT_CBPF = 51, SO_ATTACH_REUSEPORT_EBPF = 52,
        SO_CNX_ADVICE = 53, SO_MEMINFO = 55, SO_INCOMING_NAPI_ID = 56, SO_COOKIE = 57, SO_PEERGROUPS = 59,
        SO_ZEROCOPY = 60, SO_TXTIME = 61, SO_BINDTOIFINDEX = 62, SO_TIMESTAMP_NEW = 63, SO_TIMESTAMPNS_NEW = 64,
        SO_TIMESTAMPING_NEW = 65, SO_RCVTIMEO_NEW = 66, SO_SNDTIMEO_NEW = 67,
    }
    /// `setxattr`.
    Xattr { XATTR_CREATE = 1, XATTR_REPLACE = 2, }
    /// `mount` (linux/mount.h).
    Mount {
        MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_SYNCHRONOUS = 0x10, MS_REMOUNT = 0x20,
        MS_MANDLOCK = 0x40, MS_DIRSYNC = 0x80, MS_NOATIME = 0x400, MS_NODIRATIME = 0x800, MS_BIND = 0x1000,
        MS_MOVE = 0x2000, MS_REC = 0x4000, MS_SILENT = 0x8000, MS_PRIVATE = 0x4_0000, MS_SLAVE = 0x8_0000,
        MS_SHARED = 0x10_0000, MS_RELATIME = 0x20_0000, MS_STRICTATIME = 0x100_0000,
    }
    /// `umount2`.
    Umount { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8, }
    /// Flags of `shmget`, `semget`, `msgget` beside the permission bits (linux/ipc.h, linux/shm.h).
    IpcGet { IPC_CREAT = 0o1000, IPC_EXCL = 0o2000, SHM_HUGETLB = 0o4000, SHM_NORESERVE = 0o10000, }
    /// Flags of `semop`, `msgsnd`, `msgrcv`.
    IpcOp { IPC_NOWAIT = 0o4000, MSG_NOERROR = 0o10000, MSG_EXCEPT = 0o20000, MSG_COPY = 0o40000, }
    /// Commands of `shmctl`, `semctl`, `msgctl`.
    IpcCtl {
        IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, IPC_INFO = 3, SHM_LOCK = 11, SHM_UNLOCK = 12, SHM_STAT = 13,
        SHM_INFO = 14, SHM_STAT_ANY = 15,
    }
    /// `shmat`.
    Shmat { SHM_RDONLY = 0o10000, SHM_RND = 0o20000, SHM_REMAP = 0o40000, SHM_EXEC = 0o100000, }
}
