//! Waiting for children.

use crate::abi::Errno;
use crate::abi::process_flags::{IdType, WaitFlags};
use crate::abi::process_structs::SiginfoBytes;
use crate::abi::structs::Rusage;
use crate::args::{Const, Flags, OutOpt, Pid};
use crate::cx::{Cx, Outcome, SysResult};
use crate::process::Process;
use crate::sched::Wait;
use crate::signal::host::from_host;
use crate::signal::{SIGCHLD, SigInfo};
use tern_host::sys;

/// Linux clones of any kind are children of the host all the same.
const KINDS: u64 = WaitFlags::__WNOTHREAD | WaitFlags::__WALL | WaitFlags::__WCLONE;

/// A wait status with the guest's signal numbers.
fn status_from_host(status: i32) -> i32 {
    match status & 0x7f {
        0 | 0x7f if status == 0xffff => status,
        0x7f => 0x7f | from_host(status >> 8 & 0xff) << 8,
        0 => status,
        signo => status & !0x7f | from_host(signo),
    }
}

/// Takes in children that have ended, for a process that ignores them.
pub fn reap(_process: &mut Process) {
    let options = (WaitFlags::WEXITED | WaitFlags::WNOHANG) as i32;
    while sys::proc::waitid(sys::host::P_ALL, 0, options).is_ok_and(|w| w.pid != 0) {}
}

/// Asks about children: without `WNOHANG` in the host's kernel if the process may wait there, and if that is interrupted
/// or may not be, without waiting.
fn ask<T>(cx: &mut Cx<'_>, options: u64, call: impl Fn(i32) -> Result<T, sys::Errno>) -> Result<T, sys::Errno> {
    let options = options & !KINDS;
    if options & WaitFlags::WNOHANG == 0 && cx.waits_in_kernel() {
        match tern_host::signal::blocking(|| call(options as i32)) {
            Err(sys::Errno::EINTR) => {}
            result => return result,
        }
    }
    call((options | WaitFlags::WNOHANG) as i32)
}

/// Blocks until a child changes; `seen` is the number of changes before the caller looked.
fn block<T>(seen: u64) -> Result<T, Outcome> {
    Err(Outcome::Block(Wait { child: Some(seen), ..Wait::default() }))
}

/// `wait4(2)`.
pub fn wait4(
    cx: &mut Cx<'_>,
    pid: Pid,
    status: OutOpt<i32>,
    options: Flags<WaitFlags>,
    usage: OutOpt<Rusage>,
) -> SysResult {
    let options = options.0 & 0xffff_ffff;
    let known = WaitFlags::WNOHANG | WaitFlags::WUNTRACED | WaitFlags::WCONTINUED | KINDS;
    if options & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    loop {
        let seen = cx.process.child_events;
        let w = ask(cx, options, |options| sys::proc::wait4(pid.0, options))?;
        if w.pid == 0 {
            if options & WaitFlags::WNOHANG != 0 {
                return Ok(0);
            }
            return block(seen);
        }
        let ended = w.status & 0x7f != 0x7f;
        if ended && cx.process.signals.reaps_children() {
            continue;
        }
        cx.write_opt(status.0, &status_from_host(w.status))?;
        cx.write_opt(usage.0, &super::info::rusage_of(&w.usage))?;
        return Ok(w.pid as u64);
    }
}

/// `waitid(2)`.
pub fn waitid(
    cx: &mut Cx<'_>,
    kind: Const<IdType>,
    id: Pid,
    info: OutOpt<SiginfoBytes>,
    options: Flags<WaitFlags>,
    usage: OutOpt<Rusage>,
) -> SysResult {
    let options = options.0 & 0xffff_ffff;
    let events = WaitFlags::WEXITED | WaitFlags::WUNTRACED | WaitFlags::WCONTINUED;
    let known = events | WaitFlags::WNOHANG | WaitFlags::WNOWAIT | KINDS;
    if options & !known != 0 || options & events == 0 || kind.0 > 3 {
        return Err(Errno::EINVAL.into());
    }
    loop {
        let seen = cx.process.child_events;
        let w = ask(cx, options, |options| sys::proc::waitid(kind.0 as i32, id.0, options))?;
        if w.pid == 0 && options & WaitFlags::WNOHANG == 0 {
            return block(seen);
        }
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED.
        let ended = (1..=3).contains(&w.code);
        if ended && options & WaitFlags::WNOWAIT == 0 && cx.process.signals.reaps_children() {
            continue;
        }
        let found = if w.pid == 0 {
            SigInfo::default()
        } else {
            let status = if w.code == 1 { w.status } else { from_host(w.status) };
            SigInfo { signo: SIGCHLD, code: w.code, pid: w.pid, uid: w.uid, status, ..SigInfo::default() }
        };
        let bytes = SiginfoBytes { bytes: found.encode(cx.abi()) };
        cx.write_opt(info.0, &bytes)?;
        if w.pid != 0 {
            cx.write_opt(usage.0, &super::info::rusage_of(&w.usage))?;
        }
        return Ok(0);
    }
}
