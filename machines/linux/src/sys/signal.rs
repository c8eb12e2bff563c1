//! Signals: actions, masks, sending, waiting, `rt_sigreturn`.

use crate::abi::Errno;
use crate::abi::process_flags::SigHow;
use crate::abi::process_structs::{Sigaction, SiginfoBytes, SignalSet, Sigset, StackT};
use crate::abi::structs::{Timespec, Timespec64};
use crate::args::{Const, Fd, In, InOpt, Out, OutOpt, Pid, Sig, Size, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::sched::{Interrupted, Wait};
use crate::signal::{self, Action, AltStack, SigInfo, UNBLOCKABLE, bit};
use crate::thread::Tid;
use tern_host::sys;

/// Bytes of a signal set.
const SET: u64 = 8;
/// `MINSIGSTKSZ` (asm-generic/signal.h).
const MIN_STACK: u64 = 2048;

fn set_size(size: Size) -> Result<(), Errno> {
    if size.0 == SET { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A signal that can be sent; zero only checks.
fn sendable(sig: Sig) -> Result<i32, Errno> {
    if (0..=64).contains(&sig.0) { Ok(sig.0) } else { Err(Errno::EINVAL) }
}

/// `rt_sigaction(2)`.
pub fn rt_sigaction(cx: &mut Cx<'_>, sig: Sig, act: InOpt<Sigaction>, old: OutOpt<Sigaction>, size: Size) -> SysResult {
    set_size(size)?;
    let signo = sig.0;
    if !(1..=64).contains(&signo) || (act.0.is_some() && bit(signo) & UNBLOCKABLE != 0) {
        return Err(Errno::EINVAL.into());
    }
    let index = signo as usize - 1;
    let before = cx.process.signals.actions[index];
    if let Some(a) = act.0 {
        let action = Action { handler: a.handler, flags: a.flags, mask: a.mask.0 & !UNBLOCKABLE };
        cx.process.signals.actions[index] = action;
        signal::host::apply(cx.process, signo);
        if cx.process.signals.ignores(signo) {
            signal::flush(cx.process, signo);
        }
    }
    let out = Sigaction { handler: before.handler, flags: before.flags, mask: SignalSet(before.mask) };
    cx.write_opt(old.0, &out)?;
    Ok(0)
}

/// `rt_sigprocmask(2)`.
pub fn rt_sigprocmask(
    cx: &mut Cx<'_>,
    how: Const<SigHow>,
    set: InOpt<Sigset>,
    old: OutOpt<Sigset>,
    size: Size,
) -> SysResult {
    set_size(size)?;
    let before = cx.thread().signals.mask;
    if let Some(SignalSet(set)) = set.0 {
        let mask = match u64::from(how.0) {
            SigHow::SIG_BLOCK => before | set,
            SigHow::SIG_UNBLOCK => before & !set,
            SigHow::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        cx.thread().signals.mask = mask & !UNBLOCKABLE;
    }
    cx.write_opt(old.0, &SignalSet(before))?;
    Ok(0)
}

/// `rt_sigpending(2)`.
pub fn rt_sigpending(cx: &mut Cx<'_>, set: Out<Sigset>, size: Size) -> SysResult {
    if size.0 > SET {
        return Err(Errno::EINVAL.into());
    }
    let tid = cx.tid;
    let process = &*cx.process;
    let Some(thread) = process.threads.get(&tid) else { return Err(Errno::ESRCH.into()) };
    let queued = thread.signals.pending.iter().chain(&process.signals.pending);
    let pending = queued.fold(signal::host::pending_in_kernel(), |acc, s| acc | bit(s.signo));
    let bytes = SignalSet(pending & thread.signals.mask);
    let abi = cx.abi();
    let bytes = <Sigset as crate::abi::Field>::to_bytes(&bytes, abi);
    cx.put_bytes(set.0.addr, &bytes[..size.0 as usize])?;
    Ok(0)
}

/// `rt_sigsuspend(2)`.
pub fn rt_sigsuspend(cx: &mut Cx<'_>, set: In<Sigset>, size: Size) -> SysResult {
    set_size(size)?;
    cx.temporary_mask(set.0.0);
    Err(Outcome::Block(Wait::default().interrupted(Interrupted::NoHandler)))
}

/// `rt_sigtimedwait(2)`.
pub fn rt_sigtimedwait(
    cx: &mut Cx<'_>,
    set: In<Sigset>,
    info: OutOpt<SiginfoBytes>,
    timeout: InOpt<Timespec>,
    size: Size,
) -> SysResult {
    set_size(size)?;
    let timeout = timeout.0.map(|t| super::time::span(t.sec, t.nsec)).transpose()?;
    timed_wait(cx, set.0.0, info, timeout)
}

/// `rt_sigtimedwait(2)` with 64-bit times.
pub fn rt_sigtimedwait_time64(
    cx: &mut Cx<'_>,
    set: In<Sigset>,
    info: OutOpt<SiginfoBytes>,
    timeout: InOpt<Timespec64>,
    size: Size,
) -> SysResult {
    set_size(size)?;
    let timeout = timeout.0.map(|t| super::time::span(t.sec, t.nsec)).transpose()?;
    timed_wait(cx, set.0.0, info, timeout)
}

fn timed_wait(cx: &mut Cx<'_>, set: u64, out: OutOpt<SiginfoBytes>, timeout: Option<u64>) -> SysResult {
    let set = set & !UNBLOCKABLE;
    let now = cx.process.now_ns();
    let deadline = cx.deadline(|| timeout.map(|t| now.saturating_add(t)));
    if tern_host::signal::pending() {
        signal::collect(cx.process);
    }
    let wanted = |s: &SigInfo| set & bit(s.signo) != 0;
    let own = signal::take(&mut cx.thread().signals.pending, wanted);
    let found = own.or_else(|| signal::take(&mut cx.process.signals.pending, wanted));
    if let Some(info) = found {
        let bytes = SiginfoBytes { bytes: info.encode(cx.abi()) };
        cx.write_opt(out.0, &bytes)?;
        return Ok(info.signo as u64);
    }
    if cx.expired() {
        return Err(Errno::EAGAIN.into());
    }
    Err(Outcome::Block(Wait { deadline, signals: set, interrupted: Interrupted::Never, ..Wait::default() }))
}

/// The caller as a sender.
fn sender(cx: &Cx<'_>, signo: i32, code: i32) -> Result<SigInfo, Errno> {
    Ok(SigInfo::sent(signo, code, cx.process.pid, sys::cred::getresuid()?.real))
}

/// Hands a signal for this process to it.
fn send_here(cx: &mut Cx<'_>, info: SigInfo) -> SysResult {
    if bit(info.signo) & UNBLOCKABLE != 0 {
        // Nobody but the host's kernel can do these.
        sys::proc::kill(cx.process.pid, signal::host::to_host(info.signo))?;
    } else if info.signo != 0 {
        signal::send(cx.process, info);
    }
    Ok(0)
}

/// `kill(2)`.
pub fn kill(cx: &mut Cx<'_>, pid: Pid, sig: Sig) -> SysResult {
    let signo = sendable(sig)?;
    if pid.0 == cx.process.pid {
        let info = sender(cx, signo, signal::SI_USER)?;
        return send_here(cx, info);
    }
    if pid.0 > 0 && cx.process.threads.contains_key(&pid.0) {
        // A thread's number names its process, as on Linux.
        let info = sender(cx, signo, signal::SI_USER)?;
        return send_here(cx, info);
    }
    let target = if pid.0 > 0 { crate::thread::process_of(pid.0) } else { pid.0 };
    sys::proc::kill(target, signal::host::to_host(signo))?;
    Ok(0)
}

/// Sends to a thread of this process or of another one; `pid` is checked if it is given.
fn send_to_thread(cx: &mut Cx<'_>, pid: Option<Tid>, tid: Tid, info: SigInfo) -> SysResult {
    let own = cx.process.threads.contains_key(&tid) && pid.is_none_or(|p| p == cx.process.pid);
    if own && bit(info.signo) & UNBLOCKABLE == 0 {
        if info.signo != 0 {
            signal::send_to(cx.process, tid, info)?;
        }
        return Ok(0);
    }
    let process = if own { cx.process.pid } else { crate::thread::process_of(tid) };
    if pid.is_some_and(|p| p != process) || (!own && process == cx.process.pid) {
        return Err(Errno::ESRCH.into());
    }
    // Another process's threads all run on its one host thread, so the process gets it.
    let number = signal::host::to_host(info.signo);
    match info.code {
        signal::SI_TKILL | signal::SI_USER.. => sys::proc::tgkill(process, process, number)?,
        code => tern_host::signal::queue(process, None, number, code, info.value)?,
    }
    Ok(0)
}

/// `tkill(2)`.
pub fn tkill(cx: &mut Cx<'_>, tid: Pid, sig: Sig) -> SysResult {
    let signo = sendable(sig)?;
    if tid.0 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = sender(cx, signo, signal::SI_TKILL)?;
    send_to_thread(cx, None, tid.0, info)
}

/// `tgkill(2)`.
pub fn tgkill(cx: &mut Cx<'_>, pid: Pid, tid: Pid, sig: Sig) -> SysResult {
    let signo = sendable(sig)?;
    if tid.0 <= 0 || pid.0 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = sender(cx, signo, signal::SI_TKILL)?;
    send_to_thread(cx, Some(pid.0), tid.0, info)
}

/// The siginfo that a guest queues; only a process that sends to itself may pretend to be the kernel.
fn queued(cx: &Cx<'_>, sig: Sig, info: &SiginfoBytes, own: bool) -> Result<SigInfo, Errno> {
    let signo = sendable(sig)?;
    let info = SigInfo { signo, ..SigInfo::decode(&info.bytes, cx.abi()) };
    if (info.code >= 0 || info.code == signal::SI_TKILL) && !own {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// `rt_sigqueueinfo(2)`.
pub fn rt_sigqueueinfo(cx: &mut Cx<'_>, pid: Pid, sig: Sig, info: In<SiginfoBytes>) -> SysResult {
    let own = pid.0 == cx.process.pid || cx.process.threads.contains_key(&pid.0);
    let info = queued(cx, sig, &info.0, own)?;
    if own {
        return send_here(cx, info);
    }
    let number = signal::host::to_host(info.signo);
    tern_host::signal::queue(crate::thread::process_of(pid.0), None, number, info.code, info.value)?;
    Ok(0)
}

/// `rt_tgsigqueueinfo(2)`.
pub fn rt_tgsigqueueinfo(cx: &mut Cx<'_>, pid: Pid, tid: Pid, sig: Sig, info: In<SiginfoBytes>) -> SysResult {
    if tid.0 <= 0 || pid.0 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = queued(cx, sig, &info.0, pid.0 == cx.process.pid)?;
    send_to_thread(cx, Some(pid.0), tid.0, info)
}

/// `pidfd_send_signal(2)`.
pub fn pidfd_send_signal(cx: &mut Cx<'_>, fd: Fd, sig: Sig, info: InOpt<SiginfoBytes>, flags: Uint) -> SysResult {
    let signo = sendable(sig)?;
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    if let Some(info) = info.0 {
        let info = SigInfo::decode(&info.bytes, cx.abi());
        if info.signo != signo {
            return Err(Errno::EINVAL.into());
        }
        cx.unimplemented(format_args!("pidfd_send_signal with a siginfo"));
        return Err(Errno::ENOSYS.into());
    }
    sys::proc::pidfd_send_signal(fd.0, signal::host::to_host(signo))?;
    Ok(0)
}

/// `rt_sigreturn(2)`.
pub fn rt_sigreturn(cx: &mut Cx<'_>) -> SysResult {
    let (abi, isa) = (cx.abi(), cx.isa());
    let sp_slot = cx.process.registers.sp;
    let sp = abi.word_of(cx.state().get(sp_slot));
    let cpu = cx.thread().cpu;
    let process = &mut *cx.process;
    let state = cx.engine.state_mut(cpu);
    let restored = isa.signal.restore(&mut process.mem, sp, state, &process.model.layout, abi);
    match restored {
        Ok(restored) => {
            let sp = abi.word_of(state.get(sp_slot));
            let signals = &mut cx.thread().signals;
            signals.mask = restored.mask & !UNBLOCKABLE;
            // A stack that cannot be set is left alone (`restore_altstack`).
            let _ = set_alt(&mut signals.alt, restored.alt, sp, 0);
        }
        Err(_) => {
            cx.process.mem.events.guest_error(format_args!("rt_sigreturn with a bad frame at {sp:#x}"));
            signal::force(cx, SigInfo { signo: signal::SIGSEGV, code: signal::SI_KERNEL, ..SigInfo::default() });
        }
    }
    Err(Outcome::NoReturn)
}

fn set_alt(current: &mut AltStack, new: AltStack, sp: u64, min: u64) -> Result<(), Errno> {
    if current.holds(sp) {
        return Err(Errno::EPERM);
    }
    match new.flags & !signal::SS_AUTODISARM {
        signal::SS_DISABLE => *current = AltStack { flags: new.flags, ..AltStack::default() },
        0 | signal::SS_ONSTACK if new == *current => {}
        0 | signal::SS_ONSTACK if new.size < min => return Err(Errno::ENOMEM),
        0 | signal::SS_ONSTACK => *current = new,
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// `sigaltstack(2)`.
pub fn sigaltstack(cx: &mut Cx<'_>, stack: InOpt<StackT>, old: OutOpt<StackT>) -> SysResult {
    let abi = cx.abi();
    let sp_slot = cx.process.registers.sp;
    let sp = abi.word_of(cx.state().get(sp_slot));
    let before = cx.thread().signals.alt;
    if let Some(new) = stack.0 {
        let new = AltStack { sp: new.sp, flags: new.flags as u32, size: new.size };
        set_alt(&mut cx.thread().signals.alt, new, sp, MIN_STACK)?;
    }
    let flags = before.reported_flags(sp) | before.flags & signal::SS_AUTODISARM;
    cx.write_opt(old.0, &StackT { sp: before.sp, flags: flags as i32, size: before.size })?;
    Ok(0)
}

/// `restart_syscall(2)`: calls that wait go on by themselves, so a guest that asks for it has nothing to restart.
pub fn restart_syscall(_cx: &mut Cx<'_>) -> SysResult {
    Err(Errno::EINTR.into())
}
