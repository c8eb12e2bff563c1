//! Names and values of the flags that syscall arguments carry (asm-generic values), for strace and for translation.
//!
//! A [`Names`] set prints; where the host's numbers may differ, [`to_host`] and [`from_host`] translate by row.

use tern_host::sys::host;

/// A named set of flag bits or constants.
pub trait Names {
    /// Value and symbol.  For flags, a zero value is what prints when no bit is set.
    const NAMES: &'static [(u64, &'static str)];
    /// A field inside the flags that holds a number instead of bits (the access mode of `open`); its names come from the
    /// same table.
    const FIELD: u64 = 0;
}

macro_rules! names {
    ($($(#[$m:meta])* $set:ident $([field $field:expr])? { $($name:ident = $value:expr,)* })*) => {$(
        $(#[$m])*
        #[derive(Clone, Copy, Debug)]
        pub struct $set;
        #[allow(missing_docs, reason = "the kernel's names")]
        impl $set {
            $(pub const $name: u64 = $value;)*
        }
        impl $crate::abi::flags::Names for $set {
            const NAMES: &'static [(u64, &'static str)] = &[$(($value, stringify!($name)),)*];
            $(const FIELD: u64 = $field;)?
        }
    )*};
}
pub(crate) use names;

names! {
    /// `open` flags (asm-generic/fcntl.h).
    Open [field 3] {
        O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_NOCTTY = 0o400, O_TRUNC = 0o1000,
        O_APPEND = 0o2000, O_NONBLOCK = 0o4000, O_SYNC = 0o4010000, O_DSYNC = 0o10000, O_ASYNC = 0o20000,
        O_DIRECT = 0o40000, O_LARGEFILE = 0o100000, O_TMPFILE = 0o20200000, O_DIRECTORY = 0o200000,
        O_NOFOLLOW = 0o400000, O_NOATIME = 0o1000000, O_CLOEXEC = 0o2000000, O_PATH = 0o10000000,
    }
    /// `*at` flags (linux/fcntl.h).
    At {
        AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400, AT_NO_AUTOMOUNT = 0x800,
        AT_EMPTY_PATH = 0x1000, AT_STATX_FORCE_SYNC = 0x2000, AT_STATX_DONT_SYNC = 0x4000,
    }
    /// Access modes of `access`.
    Access { F_OK = 0, X_OK = 1, W_OK = 2, R_OK = 4, }
    /// `lseek`.
    Whence { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4, }
    /// Protection of mappings.
    Prot {
        PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_SEM = 8, PROT_GROWSDOWN = 0x0100_0000,
        PROT_GROWSUP = 0x0200_0000,
    }
    /// Kinds and flags of `mmap`.
    Map [field 0xf] {
        MAP_FILE = 0, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_SHARED_VALIDATE = 3, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
        MAP_GROWSDOWN = 0x100, MAP_DENYWRITE = 0x800, MAP_EXECUTABLE = 0x1000, MAP_LOCKED = 0x2000,
        MAP_NORESERVE = 0x4000, MAP_POPULATE = 0x8000, MAP_NONBLOCK = 0x10000, MAP_STACK = 0x20000,
        MAP_HUGETLB = 0x40000, MAP_SYNC = 0x80000, MAP_FIXED_NOREPLACE = 0x10_0000, MAP_UNINITIALIZED = 0x400_0000,
    }
    /// `mremap`.
    Mremap { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4, }
    /// `msync`.
    Msync { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4, }
    /// `mlockall`.
    Mlockall { MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4, }
    /// `mlock2`.
    Mlock2 { MLOCK_ONFAULT = 1, }
    /// Advice of `madvise`.
    Madvise {
        MADV_NORMAL = 0, MADV_RANDOM = 1, MADV_SEQUENTIAL = 2, MADV_WILLNEED = 3, MADV_DONTNEED = 4, MADV_FREE = 8,
        MADV_REMOVE = 9, MADV_DONTFORK = 10, MADV_DOFORK = 11, MADV_MERGEABLE = 12, MADV_UNMERGEABLE = 13,
        MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_DONTDUMP = 16, MADV_DODUMP = 17, MADV_WIPEONFORK = 18,
        MADV_KEEPONFORK = 19, MADV_COLD = 20, MADV_PAGEOUT = 21, MADV_POPULATE_READ = 22, MADV_POPULATE_WRITE = 23,
        MADV_DONTNEED_LOCKED = 24, MADV_COLLAPSE = 25, MADV_HWPOISON = 100, MADV_SOFT_OFFLINE = 101,
        MADV_GUARD_INSTALL = 102, MADV_GUARD_REMOVE = 103,
    }
    /// `fcntl` commands; 32-bit guests have the `64` locks besides.
    Fcntl {
        F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_GETLK = 5, F_SETLK = 6, F_SETLKW = 7,
        F_SETOWN = 8, F_GETOWN = 9, F_SETSIG = 10, F_GETSIG = 11, F_GETLK64 = 12, F_SETLK64 = 13, F_SETLKW64 = 14,
        F_SETOWN_EX = 15, F_GETOWN_EX = 16, F_OFD_GETLK = 36, F_OFD_SETLK = 37, F_OFD_SETLKW = 38, F_SETLEASE = 1024,
        F_GETLEASE = 1025, F_NOTIFY = 1026, F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033, F_GET_SEALS = 1034,
    }
    /// `getrandom`.
    Getrandom { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4, }
    /// Resources of `prlimit64` (asm-generic/resource.h).
    Resource {
        RLIMIT_CPU = 0, RLIMIT_FSIZE = 1, RLIMIT_DATA = 2, RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_RSS = 5,
        RLIMIT_NPROC = 6, RLIMIT_NOFILE = 7, RLIMIT_MEMLOCK = 8, RLIMIT_AS = 9, RLIMIT_LOCKS = 10,
        RLIMIT_SIGPENDING = 11, RLIMIT_MSGQUEUE = 12, RLIMIT_NICE = 13, RLIMIT_RTPRIO = 14, RLIMIT_RTTIME = 15,
    }
    /// `prctl` options.
    Prctl {
        PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_GET_UNALIGN = 5,
        PR_SET_UNALIGN = 6, PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS = 8, PR_GET_TIMING = 13, PR_SET_TIMING = 14,
        PR_SET_NAME = 15, PR_GET_NAME = 16, PR_GET_SECCOMP = 21, PR_SET_SECCOMP = 22, PR_CAPBSET_READ = 23,
        PR_CAPBSET_DROP = 24, PR_GET_TSC = 25, PR_SET_TSC = 26, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS = 28,
        PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK = 30, PR_SET_MM = 35, PR_SET_CHILD_SUBREAPER = 36,
        PR_GET_CHILD_SUBREAPER = 37, PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39, PR_GET_TID_ADDRESS = 40,
        PR_SET_THP_DISABLE = 41, PR_GET_THP_DISABLE = 42, PR_CAP_AMBIENT = 47, PR_RISCV_V_SET_CONTROL = 69,
        PR_RISCV_V_GET_CONTROL = 70, PR_RISCV_SET_ICACHE_FLUSH_CTX = 71, PR_SET_VMA = 0x5356_4d41,
        PR_SET_PTRACER = 0x5961_6d61,
    }
    /// `close_range`.
    CloseRange { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4, }
    /// `renameat2`.
    Rename { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2, RENAME_WHITEOUT = 4, }
    /// `flock`.
    FlockOp { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8, }
    /// Signal numbers are a set of their own, [`crate::isa::signal_name`]; these are `memfd_create`'s.
    Memfd { MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_NOEXEC_SEAL = 8, MFD_EXEC = 16, }
}

/// A pair of guest and host values.
pub type Row = (u64, i32);

/// Translates flags: bits without a row are dropped and returned second.
#[must_use]
pub fn to_host(rows: &[Row], guest: u64) -> (i32, u64) {
    let mut left = guest;
    let mut out = 0;
    for (g, h) in rows {
        if *g != 0 && guest & g == *g {
            out |= h;
            left &= !g;
        }
    }
    (out, left)
}

/// Translates flags back; host bits without a row are dropped.
#[must_use]
pub fn from_host(rows: &[Row], flags: i32) -> u64 {
    rows.iter().filter(|(_, h)| *h != 0 && flags & h == *h).fold(0, |acc, (g, _)| acc | g)
}

/// `open` flags, guest and host; multi-bit ones first.
pub const OPEN_ROWS: &[Row] = &[
    (Open::O_WRONLY, host::O_WRONLY),
    (Open::O_RDWR, host::O_RDWR),
    (Open::O_SYNC, host::O_SYNC),
    (Open::O_TMPFILE, host::O_TMPFILE),
    (Open::O_CREAT, host::O_CREAT),
    (Open::O_EXCL, host::O_EXCL),
    (Open::O_NOCTTY, host::O_NOCTTY),
    (Open::O_TRUNC, host::O_TRUNC),
    (Open::O_APPEND, host::O_APPEND),
    (Open::O_NONBLOCK, host::O_NONBLOCK),
    (Open::O_DSYNC, host::O_DSYNC),
    (Open::O_ASYNC, host::O_ASYNC),
    (Open::O_DIRECT, host::O_DIRECT),
    (Open::O_LARGEFILE, host::O_LARGEFILE),
    (Open::O_DIRECTORY, host::O_DIRECTORY),
    (Open::O_NOFOLLOW, host::O_NOFOLLOW),
    (Open::O_NOATIME, host::O_NOATIME),
    (Open::O_CLOEXEC, host::O_CLOEXEC),
    (Open::O_PATH, host::O_PATH),
];

/// `*at` flags, guest and host.
pub const AT_ROWS: &[Row] = &[
    (At::AT_SYMLINK_NOFOLLOW, host::AT_SYMLINK_NOFOLLOW),
    (At::AT_REMOVEDIR, host::AT_REMOVEDIR),
    (At::AT_SYMLINK_FOLLOW, host::AT_SYMLINK_FOLLOW),
    (At::AT_NO_AUTOMOUNT, host::AT_NO_AUTOMOUNT),
    (At::AT_EMPTY_PATH, host::AT_EMPTY_PATH),
    (At::AT_STATX_FORCE_SYNC, 0x2000),
    (At::AT_STATX_DONT_SYNC, 0x4000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_survive_the_round_trip() {
        for (_, name) in Open::NAMES.iter().filter(|(v, _)| *v != 0 && *v != Open::O_LARGEFILE) {
            let value = Open::NAMES.iter().find(|(_, n)| n == name).map(|(v, _)| *v).expect("just seen");
            let (h, left) = to_host(OPEN_ROWS, value);
            assert_eq!(left, 0, "{name}");
            assert_eq!(from_host(OPEN_ROWS, h) & value, value, "{name}");
        }
    }

    #[test]
    fn unknown_bits_are_reported() {
        assert_eq!(to_host(AT_ROWS, 0x8000_0100), (host::AT_SYMLINK_NOFOLLOW, 0x8000_0000));
    }
}
