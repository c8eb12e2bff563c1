//! Processes: creation, waiting, identity, limits, usage, the system's own description.

use super::kernel::{KRusage, unified};
use super::{Errno, Fd, InOpt, Out, OutOpt, Time, cvt, cvt0, syscalls};
use core::ffi::{CStr, c_char};
use std::ffi::CString;

syscalls! {
    /// `getpid(2)`.
    pub fn getpid() -> i32 = libc::SYS_getpid;
    /// `getppid(2)`.
    pub fn getppid() -> i32 = libc::SYS_getppid;
    /// `gettid(2)`.
    pub fn gettid() -> i32 = libc::SYS_gettid;
    /// `getpgid(2)`.
    pub fn getpgid(pid: i32) -> i32 = libc::SYS_getpgid;
    /// `setpgid(2)`.
    pub fn setpgid(pid: i32, group: i32) -> () = libc::SYS_setpgid;
    /// `getsid(2)`.
    pub fn getsid(pid: i32) -> i32 = libc::SYS_getsid;
    /// `setsid(2)`.
    pub fn setsid() -> i32 = libc::SYS_setsid;
    /// `kill(2)`.
    pub fn kill(pid: i32, signal: i32) -> () = libc::SYS_kill;
    /// `tkill(2)`.
    pub fn tkill(tid: i32, signal: i32) -> () = libc::SYS_tkill;
    /// `tgkill(2)`.
    pub fn tgkill(pid: i32, tid: i32, signal: i32) -> () = libc::SYS_tgkill;
    /// `pidfd_open(2)` (Linux 5.3).
    pub fn pidfd_open(pid: i32, flags: u32) -> Fd = unified(434);
    fn raw_pidfd_signal(fd: Fd, signal: i32, info: usize, flags: u32) -> () = unified(424);
    /// `getrandom(2)`.
    pub fn getrandom(buf: &mut [u8], flags: u32) -> usize = libc::SYS_getrandom;
    /// `sethostname(2)`.
    pub fn sethostname(name: &[u8]) -> () = libc::SYS_sethostname;
    /// `setdomainname(2)`.
    pub fn setdomainname(name: &[u8]) -> () = libc::SYS_setdomainname;
    /// `personality(2)`: the previous one; all bits set only asks.
    pub fn personality(persona: u32) -> u32 = libc::SYS_personality;
    /// `membarrier(2)`.
    pub fn membarrier(command: i32, flags: u32, cpu: i32) -> i32 = libc::SYS_membarrier;
    fn raw_prlimit(pid: i32, resource: i32, new: InOpt<'_, [u64; 2]>, old: OutOpt<'_, [u64; 2]>) -> () = libc::SYS_prlimit64;
    fn raw_wait4(pid: i32, status: Out<'_, i32>, options: i32, usage: Out<'_, KRusage>) -> i32 = libc::SYS_wait4;
    fn raw_waitid(kind: i32, id: i32, info: Out<'_, SigInfoBytes>, options: i32, usage: Out<'_, KRusage>) -> () = libc::SYS_waitid;
    fn raw_getrusage(who: i32, usage: Out<'_, KRusage>) -> () = libc::SYS_getrusage;
    fn raw_prctl(option: i32, a: usize, b: usize, c: usize, d: usize) -> i32 = libc::SYS_prctl;
    fn raw_prctl_name(option: i32, name: Out<'_, [u8; 16]>) -> () = libc::SYS_prctl;
    fn raw_prctl_get(option: i32, value: Out<'_, i32>) -> () = libc::SYS_prctl;
}

/// A `siginfo_t` as the kernel wrote it.
#[repr(C, align(8))]
struct SigInfoBytes([u8; 128]);

/// `fork(2)`: zero in the child.
///
/// Signals that were caught but not yet taken stay with the parent.
///
/// The child has only the calling thread. If the process had others, what they held locked stays locked in the child;
/// that is no memory error, but the caller should fork from a process with one thread or touch little in the child.
///
/// # Errors
/// `EAGAIN`, `ENOMEM`.
pub fn fork() -> Result<i32, Errno> {
    crate::signal::with_blocked(|_| {
        // SAFETY: the child continues with a copy of all memory of this thread, under the C library's fork handlers, so
        // every value stays as valid as it was.
        let pid = cvt(unsafe { libc::fork() })?;
        if pid == 0 {
            crate::signal::forked();
        }
        Ok(pid)
    })
}

/// Calls `last` when the process ends by `exit` (the end of `main`, `std::process::exit`).
///
/// # Errors
/// `ENOMEM`.
pub fn at_exit(last: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: a function that stays where it is; it is safe to call.
    if unsafe { libc::atexit(last) } == 0 { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// `_exit(2)` of the whole process, at once: nothing is flushed, no destructor runs.
pub fn exit_group(status: i32) -> ! {
    // SAFETY: no pointers; does not return.
    unsafe { libc::_exit(status) }
}

/// `execve(2)`; returns only if it fails.
#[must_use]
pub fn execve(path: &CStr, argv: &[CString], envp: &[CString]) -> Errno {
    execveat(super::CWD, path, argv, envp, 0)
}

/// `execveat(2)`; returns only if it fails.
#[must_use]
pub fn execveat(dir: Fd, path: &CStr, argv: &[CString], envp: &[CString], flags: i32) -> Errno {
    let table = |list: &[CString]| -> Vec<*const c_char> {
        list.iter().map(|s| s.as_ptr()).chain(core::iter::once(core::ptr::null())).collect()
    };
    let (argv, envp) = (table(argv), table(envp));
    // SAFETY: NUL-terminated strings in null-terminated tables, all alive during the call.
    unsafe { libc::syscall(libc::SYS_execveat, dir, path.as_ptr(), argv.as_ptr(), envp.as_ptr(), flags) };
    Errno::last()
}

/// Resources that a process or its children used (`getrusage(2)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rusage {
    /// Time in user mode.
    pub utime: Time,
    /// Time in the kernel.
    pub stime: Time,
    /// Largest resident set in KiB.
    pub maxrss: i64,
    /// `ru_ixrss`, `ru_idrss`, `ru_isrss`: not maintained by Linux.
    pub integrals: [i64; 3],
    /// Page faults without I/O.
    pub minflt: i64,
    /// Page faults with I/O.
    pub majflt: i64,
    /// Swaps; not maintained by Linux.
    pub nswap: i64,
    /// Blocks read.
    pub inblock: i64,
    /// Blocks written.
    pub oublock: i64,
    /// `ru_msgsnd`, `ru_msgrcv`, `ru_nsignals`: not maintained by Linux.
    pub messages: [i64; 3],
    /// Voluntary context switches.
    pub nvcsw: i64,
    /// Involuntary context switches.
    pub nivcsw: i64,
}

impl From<KRusage> for Rusage {
    fn from(k: KRusage) -> Rusage {
        let r = k.rest.map(|v| v as i64);
        Rusage {
            utime: k.utime.into(),
            stime: k.stime.into(),
            maxrss: r[0],
            integrals: [r[1], r[2], r[3]],
            minflt: r[4],
            majflt: r[5],
            nswap: r[6],
            inblock: r[7],
            oublock: r[8],
            messages: [r[9], r[10], r[11]],
            nvcsw: r[12],
            nivcsw: r[13],
        }
    }
}

/// `getrusage(2)`.
///
/// # Errors
/// `EINVAL` for an unknown `who`.
pub fn getrusage(who: i32) -> Result<Rusage, Errno> {
    let mut usage = KRusage::default();
    raw_getrusage(who, Out(&mut usage))?;
    Ok(usage.into())
}

/// What [`wait4`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waited {
    /// The child; zero if `WNOHANG` found none ready.
    pub pid: i32,
    /// The status as `wait(2)` encodes it, equal on every architecture but for the signal numbers in it.
    pub status: i32,
    /// What the child used.
    pub usage: Rusage,
}

/// `wait4(2)`.
///
/// # Errors
/// `ECHILD`, `EINTR`, `EINVAL`.
pub fn wait4(pid: i32, options: i32) -> Result<Waited, Errno> {
    let mut status = 0;
    let mut usage = KRusage::default();
    let pid = raw_wait4(pid, Out(&mut status), options, Out(&mut usage))?;
    Ok(Waited { pid, status, usage: usage.into() })
}

/// What [`waitid`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitInfo {
    /// The child; zero if `WNOHANG` found none ready.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
    /// Exit status or signal.
    pub status: i32,
    /// `CLD_*`, equal on every architecture.
    pub code: i32,
    /// What the child used.
    pub usage: Rusage,
}

/// `waitid(2)`: `kind` is `P_ALL`, `P_PID`, `P_PGID` or `P_PIDFD`.
///
/// # Errors
/// `ECHILD`, `EINTR`, `EINVAL`.
pub fn waitid(kind: i32, id: i32, options: i32) -> Result<WaitInfo, Errno> {
    let mut raw = SigInfoBytes([0; 128]);
    let mut usage = KRusage::default();
    raw_waitid(kind, id, Out(&mut raw), options, Out(&mut usage))?;
    let info = crate::signal::SigInfo::from_kernel(&raw.0);
    Ok(WaitInfo { pid: info.pid, uid: info.uid, status: info.status, code: info.code, usage: usage.into() })
}

/// `pidfd_send_signal(2)` without a siginfo (Linux 5.1).
///
/// # Errors
/// The kernel's errno.
pub fn pidfd_send_signal(fd: Fd, signal: i32) -> Result<(), Errno> {
    raw_pidfd_signal(fd, signal, 0, 0)
}

/// A resource limit; all bits set means none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// The limit in force.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// `prlimit64(2)`: sets a limit if there is one to set, and returns the previous one. `resource` is the host's.
///
/// # Errors
/// The kernel's errno.
pub fn prlimit(pid: i32, resource: i32, new: Option<Limit>) -> Result<Limit, Errno> {
    let new = new.map(|l| [l.soft, l.hard]);
    let mut old = [0; 2];
    raw_prlimit(pid, resource, InOpt(new.as_ref()), OutOpt(Some(&mut old)))?;
    Ok(Limit { soft: old[0], hard: old[1] })
}

/// CPU times of this process and of its waited-for children, in clock ticks (`times(2)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// In user mode.
    pub utime: u64,
    /// In the kernel.
    pub stime: u64,
    /// Children, in user mode.
    pub cutime: u64,
    /// Children, in the kernel.
    pub cstime: u64,
    /// Ticks since an arbitrary moment.
    pub elapsed: u64,
}

/// `times(2)`. A tick is 1/[`clock_ticks`] seconds.
#[must_use]
pub fn times() -> Times {
    // SAFETY: all-zero bytes are a valid `tms`, and the call fills a live one.
    let mut t: libc::tms = unsafe { core::mem::zeroed() };
    // SAFETY: as above. The return value may look like -1 and is still no error (the pointer is good).
    let elapsed = unsafe { libc::times(&raw mut t) };
    Times {
        utime: t.tms_utime as u64,
        stime: t.tms_stime as u64,
        cutime: t.tms_cutime as u64,
        cstime: t.tms_cstime as u64,
        elapsed: elapsed as u64,
    }
}

/// Clock ticks per second (`_SC_CLK_TCK`).
#[must_use]
pub fn clock_ticks() -> u64 {
    // SAFETY: no pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100)
}

/// Processors that are online.
#[must_use]
pub fn cpus_online() -> u64 {
    // SAFETY: no pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

/// The `prctl(2)` options that take and return only numbers and act on this process without touching its memory.
const PRCTL_NUMBERS: &[i32] = &[
    libc::PR_SET_PDEATHSIG,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_DUMPABLE,
    libc::PR_GET_KEEPCAPS,
    libc::PR_SET_KEEPCAPS,
    libc::PR_CAPBSET_READ,
    libc::PR_CAPBSET_DROP,
    libc::PR_GET_SECUREBITS,
    libc::PR_SET_SECUREBITS,
    libc::PR_GET_TIMERSLACK,
    libc::PR_SET_TIMERSLACK,
    libc::PR_SET_CHILD_SUBREAPER,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_SET_THP_DISABLE,
    libc::PR_GET_THP_DISABLE,
    libc::PR_CAP_AMBIENT,
];

/// `prctl(2)` for options that take and return numbers (options are equal on every architecture).
///
/// # Errors
/// The kernel's errno; `EINVAL` for an option outside that set.
pub fn prctl(option: i32, args: [u64; 4]) -> Result<i32, Errno> {
    if !PRCTL_NUMBERS.contains(&option) {
        return Err(Errno::EINVAL);
    }
    let [a, b, c, d] = args.map(|v| v as usize);
    raw_prctl(option, a, b, c, d)
}

/// `prctl(2)` for the two options that store an `int`: `PR_GET_PDEATHSIG`, `PR_GET_CHILD_SUBREAPER`.
///
/// # Errors
/// `EINVAL` for another option.
pub fn prctl_get(option: i32) -> Result<i32, Errno> {
    if option != libc::PR_GET_PDEATHSIG && option != libc::PR_GET_CHILD_SUBREAPER {
        return Err(Errno::EINVAL);
    }
    let mut value = 0;
    raw_prctl_get(option, Out(&mut value))?;
    Ok(value)
}

/// `PR_SET_NAME`: the calling thread's name, cut to 15 bytes.
///
/// # Errors
/// The kernel's errno.
pub fn set_thread_name(name: &[u8]) -> Result<(), Errno> {
    let mut buf = [0; 16];
    let n = name.len().min(15);
    buf[..n].copy_from_slice(&name[..n]);
    raw_prctl_name(libc::PR_SET_NAME, Out(&mut buf))
}

/// `PR_GET_NAME`: the calling thread's name, padded with zeros.
///
/// # Errors
/// The kernel's errno.
pub fn thread_name() -> Result<[u8; 16], Errno> {
    let mut buf = [0; 16];
    raw_prctl_name(libc::PR_GET_NAME, Out(&mut buf))?;
    Ok(buf)
}

/// What `uname(2)` says, without terminators.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uname {
    /// Operating system.
    pub sysname: Vec<u8>,
    /// Host name.
    pub nodename: Vec<u8>,
    /// Kernel release.
    pub release: Vec<u8>,
    /// Kernel version.
    pub version: Vec<u8>,
    /// Architecture of the host.
    pub machine: Vec<u8>,
    /// NIS domain.
    pub domainname: Vec<u8>,
}

syscalls! {
    fn raw_uname(names: Out<'_, [[u8; 65]; 6]>) -> () = libc::SYS_uname;
}

/// `uname(2)` of the host.
///
/// # Errors
/// None in practice.
pub fn uname() -> Result<Uname, Errno> {
    let mut raw = [[0u8; 65]; 6];
    raw_uname(Out(&mut raw))?;
    let field = |i: usize| raw[i].iter().copied().take_while(|b| *b != 0).collect();
    Ok(Uname {
        sysname: field(0),
        nodename: field(1),
        release: field(2),
        version: field(3),
        machine: field(4),
        domainname: field(5),
    })
}

/// What `sysinfo(2)` says; sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sysinfo {
    /// Seconds since boot.
    pub uptime: i64,
    /// Load averages of 1, 5 and 15 minutes, scaled by 65536.
    pub loads: [u64; 3],
    /// Usable memory.
    pub totalram: u64,
    /// Free memory.
    pub freeram: u64,
    /// Memory in shared segments.
    pub sharedram: u64,
    /// Memory in buffers.
    pub bufferram: u64,
    /// Swap space.
    pub totalswap: u64,
    /// Free swap space.
    pub freeswap: u64,
    /// Threads in the system.
    pub procs: u16,
}

/// `sysinfo(2)`.
///
/// # Errors
/// None in practice.
pub fn sysinfo() -> Result<Sysinfo, Errno> {
    // SAFETY: all-zero bytes are a valid `sysinfo` (integers only).
    let mut s: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: a live structure of its type.
    cvt0(unsafe { libc::sysinfo(&raw mut s) })?;
    let unit = (s.mem_unit as u64).max(1);
    let size = |v: u64| v.saturating_mul(unit);
    Ok(Sysinfo {
        uptime: s.uptime as i64,
        loads: s.loads.map(|l| l as u64),
        totalram: size(s.totalram as u64),
        freeram: size(s.freeram as u64),
        sharedram: size(s.sharedram as u64),
        bufferram: size(s.bufferram as u64),
        totalswap: size(s.totalswap as u64),
        freeswap: size(s.freeswap as u64),
        procs: s.procs,
    })
}
