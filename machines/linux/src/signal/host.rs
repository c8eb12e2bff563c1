//! Signals of the host's process that stand for the guest's.
//!
//! Every signal that the guest does not ignore is caught, so that it can wait while the guest blocks it; what the guest
//! ignores the host ignores too, so that programs inherit it.  `SIGCHLD` is always caught: it tells of children.  While
//! the current thread blocks `SIGTTIN` or `SIGTTOU`, so does the host, because the terminal driver asks.

use super::{SI_TKILL, SI_USER, SIG_IGN, SigInfo, bit};
use crate::process::Process;
use crate::thread::Tid;
use tern_host::signal as host_signal;
use tern_host::signal::Disposition;
use tern_host::sys::host;

/// Numbers that differ on some hosts (mips, sparc, alpha), guest first; all others are equal everywhere.
const ROWS: &[(i32, i32)] = &[
    (7, host::SIGBUS),
    (10, host::SIGUSR1),
    (12, host::SIGUSR2),
    (17, host::SIGCHLD),
    (18, host::SIGCONT),
    (19, host::SIGSTOP),
    (20, host::SIGTSTP),
    (21, host::SIGTTIN),
    (22, host::SIGTTOU),
    (23, URG),
    (24, host::SIGXCPU),
    (25, host::SIGXFSZ),
    (26, host::SIGVTALRM),
    (27, host::SIGPROF),
    (28, host::SIGWINCH),
    (29, host::SIGIO),
    (30, host::SIGPWR),
    (31, host::SIGSYS),
];

/// `SIGURG`: its row follows from the one place that is left over where numbers differ.
const URG: i32 = if host::SIGIO == 29 { 23 } else { 21 };

/// The host's number of a guest signal.
#[must_use]
pub fn to_host(signo: i32) -> i32 {
    ROWS.iter().find(|(g, _)| *g == signo).map_or(signo, |(_, h)| *h)
}

/// The guest's number of a host signal.
#[must_use]
pub fn from_host(signo: i32) -> i32 {
    ROWS.iter().find(|(_, h)| *h == signo).map_or(signo, |(g, _)| *g)
}

/// A set of guest signals in the host's numbers.
#[must_use]
pub fn mask_to_host(mask: u64) -> u64 {
    (1..=64).filter(|s| mask & bit(*s) != 0).fold(0, |acc, s| acc | bit(to_host(s)))
}

/// A set of host signals in the guest's numbers.
#[must_use]
pub fn mask_from_host(mask: u64) -> u64 {
    (1..=64).filter(|s| mask & bit(*s) != 0).fold(0, |acc, s| acc | bit(from_host(s)))
}

/// Signals that the host process cannot catch, or that C libraries keep for themselves.
fn is_own(signo: i32) -> bool {
    matches!(signo, 9 | 19 | 32 | 33)
}

/// The signals that the terminal driver looks up in the mask.
const TTY_SIGNALS: u64 = 1 << 20 | 1 << 21;

/// Takes over dispositions and mask from the parent, and catches what is not ignored.
pub fn start(process: &mut Process) {
    for signo in (1..=64).filter(|s| !is_own(*s)) {
        if host_signal::take_over(to_host(signo)) == Ok(Disposition::Ignore) {
            process.signals.actions[signo as usize - 1].handler = SIG_IGN;
            apply(process, signo);
        }
    }
    let mask = mask_from_host(host_signal::mask().unwrap_or(0));
    if let Some(thread) = process.threads.get_mut(&process.pid) {
        thread.signals.mask = mask & !super::UNBLOCKABLE;
    }
    // What was pending in the kernel arrives now and waits in tern.
    let _ = host_signal::set_mask(0);
}

/// Makes the host's disposition follow the guest's.
pub fn apply(process: &Process, signo: i32) {
    if is_own(signo) || process.script.is_some() {
        return;
    }
    let ignored = process.signals.action(signo).handler == SIG_IGN && signo != super::SIGCHLD;
    let number = to_host(signo);
    // The numbers are valid, so that neither can fail.
    let _ = if ignored { host_signal::ignore(number) } else { host_signal::catch(number) };
}

/// Lets the host block the terminal's signals while the thread that runs does.
#[inline]
pub fn mirror_mask(process: &mut Process, mask: u64) {
    let wanted = mask & TTY_SIGNALS;
    if wanted != process.signals.host_blocked {
        process.signals.host_blocked = wanted;
        let _ = host_signal::set_mask(mask_to_host(wanted));
    }
}

/// Guest signals that are blocked and pending in the host's kernel.
#[must_use]
pub fn pending_in_kernel() -> u64 {
    mask_from_host(host_signal::sigpending().unwrap_or(0))
}

/// What the host said, in the guest's numbers.
#[must_use]
pub fn translate(info: &host_signal::SigInfo) -> SigInfo {
    let signo = from_host(info.signo);
    let killed = signo == super::SIGCHLD && (2..=6).contains(&info.code);
    SigInfo {
        signo,
        code: info.code,
        errno: info.errno,
        addr: info.addr,
        pid: info.pid,
        uid: info.uid,
        status: if killed { from_host(info.status) } else { info.status },
        value: info.value,
        utime: info.utime,
        stime: info.stime,
        band: info.band,
        fd: info.fd,
        timer: info.timer,
        overrun: info.overrun,
        syscall: info.syscall,
    }
}

/// Before the host's `execve`: the mask becomes the guest's, ignored signals are ignored, and signals that wait in tern
/// wait in the kernel, so that the new program finds everything as Linux leaves it.
pub fn before_exec(process: &mut Process, tid: Tid, mask: u64) {
    let _ = host_signal::set_mask(mask_to_host(mask));
    let sigchld = process.signals.action(super::SIGCHLD).handler == SIG_IGN;
    if sigchld {
        let _ = host_signal::ignore(host::SIGCHLD);
    }
    let blocked = |s: &&SigInfo| mask & bit(s.signo) != 0 && !is_own(s.signo);
    let own = process.threads.get(&tid).into_iter().flat_map(|t| &t.signals.pending);
    for info in process.signals.pending.iter().chain(own).filter(blocked) {
        let number = to_host(info.signo);
        let _ = match info.code {
            SI_TKILL | SI_USER.. => tern_host::sys::proc::kill(process.pid, number),
            code => host_signal::queue(process.pid, None, number, code, info.value),
        };
    }
}

/// After an `execve` that failed: everything as before.
pub fn after_failed_exec(process: &mut Process, tid: Tid) {
    process.signals.host_blocked = 0;
    // Those that were handed to the kernel come back through the handlers; others were not blocked or are tern's own.
    let kept = |s: &SigInfo| is_own(s.signo);
    process.signals.pending.retain(kept);
    if let Some(thread) = process.threads.get_mut(&tid) {
        thread.signals.pending.retain(kept);
    }
    apply(process, super::SIGCHLD);
    let _ = host_signal::set_mask(0);
}
