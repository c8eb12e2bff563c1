//! Signals of the guest: what is pending, and what happens before a thread returns to guest code.
//!
//! The scheduler calls [`collect`] between slices, [`interrupts`] to see whether a blocked thread must run, [`deliver`]
//! before guest code runs, and [`force`] for a fault.  [`info`]: `siginfo_t`; [`host`]: signals of the host's process.
//! Frames belong to the ISA ([`crate::isa::SignalFrame`]), system calls to `sys/signal.rs`.
//!
//! A signal for the process is taken by its main thread unless that blocks it, else by the first thread that does not.
//! Signals between the process's own threads (the C library's 32 and 33 among them) never go through the host.

pub mod host;
pub mod info;

pub use info::{SI_KERNEL, SI_QUEUE, SI_TIMER, SI_TKILL, SI_USER, SigInfo};

use crate::abi::Errno;
use crate::cx::Cx;
use crate::isa::{FrameIn, Handler};
use crate::process::{ExitStatus, Process};
use crate::record;
use crate::record::item::{Ending, Signal, What};
use crate::sched::{Interrupted, complete};
use crate::thread::{RunState, Thread, Tid};
use std::collections::VecDeque;

/// Signals that cannot be blocked, caught or ignored: `SIGKILL` and `SIGSTOP`.
pub const UNBLOCKABLE: u64 = 1 << 8 | 1 << 18;
/// `SIGCHLD`.
pub const SIGCHLD: i32 = 17;
/// Broken pipe.
pub const SIGPIPE: i32 = 13;
/// `SIGSEGV`.
pub const SIGSEGV: i32 = 11;
/// `SIGCONT`.
const SIGCONT: i32 = 18;
/// `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`.
const STOPS: u64 = 0xf << 18;
/// Signals of faults, which are delivered first (`SYNCHRONOUS_MASK`).
const SYNCHRONOUS: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 30;
/// The first real-time signal: from here on signals queue.
pub const SIGRTMIN: i32 = 32;
/// Real-time signals that may wait in one queue; a hostile guest must not fill our memory (`RLIMIT_SIGPENDING`).
const QUEUE_MAX: usize = 16384;

/// Handler: the default action.
pub const SIG_DFL: u64 = 0;
/// Handler: nothing.
pub const SIG_IGN: u64 = 1;

/// `SA_NOCLDSTOP`.
pub const SA_NOCLDSTOP: u64 = 1;
/// `SA_NOCLDWAIT`.
pub const SA_NOCLDWAIT: u64 = 2;
/// `SA_ONSTACK`.
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// `SA_RESTART`.
pub const SA_RESTART: u64 = 0x1000_0000;
/// `SA_NODEFER`.
pub const SA_NODEFER: u64 = 0x4000_0000;
/// `SA_RESETHAND`.
pub const SA_RESETHAND: u64 = 0x8000_0000;

/// `SS_ONSTACK`.
pub const SS_ONSTACK: u32 = 1;
/// `SS_DISABLE`.
pub const SS_DISABLE: u32 = 2;
/// `SS_AUTODISARM`.
pub const SS_AUTODISARM: u32 = 1 << 31;

/// What `rt_sigaction` sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Action {
    /// [`SIG_DFL`], [`SIG_IGN`] or an address.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

/// The alternate stack of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct AltStack {
    /// Lowest address.
    pub sp: u64,
    /// `SS_*` as they were set.
    pub flags: u32,
    /// Bytes; zero for none.
    pub size: u64,
}

impl Default for AltStack {
    fn default() -> AltStack {
        AltStack { sp: 0, flags: SS_DISABLE, size: 0 }
    }
}

impl AltStack {
    /// Is `sp` on it?  (One that disarms itself is never in use.)
    #[must_use]
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && sp > self.sp && sp - self.sp <= self.size
    }

    /// The flags that `sigaltstack` reports for this stack pointer.
    #[must_use]
    pub fn reported_flags(&self, sp: u64) -> u32 {
        match (self.size, self.holds(sp)) {
            (0, _) => SS_DISABLE,
            (_, true) => SS_ONSTACK,
            _ => self.flags & SS_AUTODISARM,
        }
    }
}

/// Signals of one thread.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    /// Blocked signals: bit n for signal n + 1.
    pub mask: u64,
    /// The mask that a call has replaced until it ends or a handler runs (`rt_sigsuspend`, `ppoll`).
    pub saved_mask: Option<u64>,
    /// Sent to this thread and not delivered yet.
    pub pending: VecDeque<SigInfo>,
    /// The alternate stack.
    pub alt: AltStack,
}

/// Signals of the process.
#[derive(Debug)]
pub struct ProcessSignals {
    /// Sent to the process and not delivered yet.
    pub pending: VecDeque<SigInfo>,
    /// What to do, by number less one.
    pub actions: [Action; 64],
    /// The terminal's signals that the host blocks now, in guest numbers.
    pub host_blocked: u64,
}

impl Default for ProcessSignals {
    fn default() -> ProcessSignals {
        ProcessSignals { pending: VecDeque::new(), actions: [Action::default(); 64], host_blocked: 0 }
    }
}

impl ProcessSignals {
    /// What to do about a signal.
    #[must_use]
    pub fn action(&self, signo: i32) -> Action {
        let index = usize::try_from(signo - 1).unwrap_or(usize::MAX);
        self.actions.get(index).copied().unwrap_or_default()
    }

    fn set_action(&mut self, signo: i32, action: Action) {
        if let Some(to) = usize::try_from(signo - 1).ok().and_then(|n| self.actions.get_mut(n)) {
            *to = action;
        }
    }

    /// Would the signal do nothing if it were delivered?
    #[must_use]
    pub fn ignores(&self, signo: i32) -> bool {
        match self.action(signo).handler {
            SIG_IGN => true,
            SIG_DFL => matches!(default_action(signo), DefaultAction::Ignore | DefaultAction::Continue),
            _ => false,
        }
    }

    /// Are children reaped without anybody waiting for them?
    #[must_use]
    pub fn reaps_children(&self) -> bool {
        let action = self.action(SIGCHLD);
        action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0
    }
}

/// What a signal does without a handler (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Continues a stopped process.
    Continue,
}

/// The default action of a signal.
#[must_use]
pub fn default_action(signo: i32) -> DefaultAction {
    match signo {
        17 | 23 | 28 => DefaultAction::Ignore,
        18 => DefaultAction::Continue,
        19..=22 => DefaultAction::Stop,
        _ => DefaultAction::Terminate,
    }
}

/// The mask bit of a signal.
#[must_use]
pub fn bit(signo: i32) -> u64 {
    if (1..=64).contains(&signo) { 1 << (signo - 1) } else { 0 }
}

/// Moves the signals that tern caught from the host to the process.
pub fn collect(process: &mut Process) {
    while let Some(info) = tern_host::signal::take() {
        let info = host::translate(&info);
        // The host's word about a pipe that the guest found broken: the call has sent the guest's own signal already.
        if info.signo == SIGPIPE && info.code == SI_USER && info.pid == process.pid {
            continue;
        }
        if info.signo == SIGCHLD && info.code > 0 {
            child_changed(process, info);
        } else {
            send(process, info);
        }
    }
}

/// A child ended, stopped or continued.
fn child_changed(process: &mut Process, info: SigInfo) {
    /// `CLD_TRAPPED`; stopped and continued follow.
    const TRAPPED: i32 = 4;
    process.child_events += 1;
    let action = process.signals.action(SIGCHLD);
    let ended = info.code < TRAPPED;
    if !ended && action.flags & SA_NOCLDSTOP != 0 {
        return;
    }
    let exit_signal = if ended { process.children.remove(&info.pid) } else { None };
    if process.signals.reaps_children() {
        crate::sys::wait::reap(process);
    }
    match exit_signal {
        Some(0) => {}
        Some(signo) => send(process, SigInfo { signo, ..info }),
        None => send(process, info),
    }
}

/// Adds to a queue as the kernel does: a standard signal that waits already is not added again.
fn enqueue(queue: &mut VecDeque<SigInfo>, info: SigInfo) {
    if info.signo < SIGRTMIN && queue.iter().any(|s| s.signo == info.signo) {
        return;
    }
    if queue.len() < QUEUE_MAX {
        queue.push_back(info);
    }
}

/// Stop signals and `SIGCONT` cancel each other (`prepare_signal`).
fn cancel_opposites(process: &mut Process, signo: i32) {
    let drop = match signo {
        SIGCONT => STOPS,
        s if STOPS & bit(s) != 0 => bit(SIGCONT),
        _ => return,
    };
    process.signals.pending.retain(|s| bit(s.signo) & drop == 0);
    for thread in process.threads.values_mut() {
        thread.signals.pending.retain(|s| bit(s.signo) & drop == 0);
    }
}

/// Sends a signal to the process.
pub fn send(process: &mut Process, info: SigInfo) {
    cancel_opposites(process, info.signo);
    let main = process.threads.get(&process.pid).or_else(|| process.threads.values().next());
    let kept = main.is_some_and(|t| (t.signals.mask | t.signals.saved_mask.unwrap_or(0)) & bit(info.signo) != 0);
    if kept || awaited(process, info.signo) || !process.signals.ignores(info.signo) {
        enqueue(&mut process.signals.pending, info);
    }
}

/// Does a thread wait for this signal in `rt_sigtimedwait`?
fn awaited(process: &Process, signo: i32) -> bool {
    process.threads.values().any(|t| matches!(&t.run, RunState::Blocked(w) if w.signals & bit(signo) != 0))
}

/// Sends a signal to a thread of the process.
///
/// # Errors
/// `ESRCH` if there is no such thread.
pub fn send_to(process: &mut Process, tid: Tid, info: SigInfo) -> Result<(), Errno> {
    cancel_opposites(process, info.signo);
    let ignored = process.signals.ignores(info.signo) && !awaited(process, info.signo);
    let thread = process.threads.get_mut(&tid).ok_or(Errno::ESRCH)?;
    if !ignored || thread.signals.mask & bit(info.signo) != 0 {
        enqueue(&mut thread.signals.pending, info);
    }
    Ok(())
}

/// The thread that takes a signal for the process.
fn taker(process: &Process, signo: i32) -> Option<Tid> {
    let takes = |t: &&Thread| t.signals.mask & bit(signo) == 0;
    let main = process.threads.get(&process.pid).filter(takes);
    main.or_else(|| process.threads.values().find(takes)).map(|t| t.tid)
}

/// Must a blocked thread run because of a signal?
#[must_use]
pub fn interrupts(process: &Process, thread: &Thread) -> bool {
    if matches!(&thread.run, RunState::Blocked(w) if w.interrupted == Interrupted::Uninterruptible) {
        return false;
    }
    thread.signals.pending.iter().any(|s| thread.signals.mask & bit(s.signo) == 0)
        || process.signals.pending.iter().any(|s| taker(process, s.signo) == Some(thread.tid))
}

/// Drops pending signals that are now ignored, as setting such an action does.
pub fn flush(process: &mut Process, signo: i32) {
    process.signals.pending.retain(|s| s.signo != signo);
    for thread in process.threads.values_mut() {
        thread.signals.pending.retain(|s| s.signo != signo);
    }
}

/// Takes the next signal out of a queue: faults first, then the lowest number, then the oldest.
pub fn take(queue: &mut VecDeque<SigInfo>, wanted: impl Fn(&SigInfo) -> bool) -> Option<SigInfo> {
    let order = |s: &SigInfo| (SYNCHRONOUS & bit(s.signo) == 0, s.signo);
    let candidates = queue.iter().enumerate().filter(|(_, s)| wanted(s));
    let (at, _) = candidates.min_by_key(|(at, s)| (order(s), *at))?;
    queue.remove(at)
}

/// The next signal for the current thread.
fn next(cx: &mut Cx<'_>) -> Option<SigInfo> {
    let tid = cx.tid;
    let thread = cx.process.threads.get_mut(&tid)?;
    let mask = thread.signals.mask;
    if let Some(info) = take(&mut thread.signals.pending, |s| mask & bit(s.signo) == 0) {
        return Some(info);
    }
    if cx.process.signals.pending.is_empty() {
        return None;
    }
    let mine = cx.process.signals.pending.iter().filter(|s| taker(cx.process, s.signo) == Some(tid));
    let mine = mine.fold(0, |acc, s| acc | bit(s.signo));
    take(&mut cx.process.signals.pending, |s| mine & bit(s.signo) != 0)
}

/// Delivers what is pending before the thread returns to guest code; a call that it is in ends or is restarted if a
/// handler is to run.
pub fn deliver(cx: &mut Cx<'_>) {
    while cx.process.exit.is_none() {
        let Some(info) = next(cx) else { break };
        if crate::debug::holds(cx, info) {
            break;
        }
        let call = ending(cx, info.signo);
        let signals = &cx.thread().signals;
        let temporary_mask = signals.saved_mask.map(|_| signals.mask);
        let tid = cx.tid;
        record::push(cx.process, tid, What::Signal(Box::new(Signal { info, temporary_mask, call })));
        deliver_one(cx, info, call);
    }
    delivered(cx);
}

/// Does what a signal does.
pub fn deliver_one(cx: &mut Cx<'_>, info: SigInfo, call: Ending) {
    let action = cx.process.signals.action(info.signo);
    match action.handler {
        SIG_IGN => {}
        SIG_DFL => take_default(cx, info),
        _ => {
            interrupt(cx, call);
            handle(cx, action, info);
        }
    }
}

/// After the signals: a mask that was set until one came is gone.
pub fn delivered(cx: &mut Cx<'_>) {
    let thread = cx.thread();
    if !thread.call.active
        && let Some(mask) = thread.signals.saved_mask.take()
    {
        thread.signals.mask = mask;
    }
}

fn take_default(cx: &mut Cx<'_>, info: SigInfo) {
    match default_action(info.signo) {
        DefaultAction::Terminate => cx.process.exit = Some(ExitStatus::Signal(info.signo)),
        DefaultAction::Stop if cx.process.script.is_some() => {}
        DefaultAction::Stop => {
            // Returns when the process is continued; an orphaned group is not stopped, as the kernel decides.
            let _ = tern_host::signal::raise_default(host::to_host(info.signo));
            host::apply(cx.process, info.signo);
        }
        DefaultAction::Ignore | DefaultAction::Continue => {}
    }
}

/// What becomes of the call that the thread is in when this signal is delivered: it ends with what it has done so far or
/// with `EINTR`, or the guest will issue it again.
fn ending(cx: &mut Cx<'_>, signo: i32) -> Ending {
    let action = cx.process.signals.action(signo);
    let call = &cx.thread().call;
    if !call.active || matches!(action.handler, SIG_IGN | SIG_DFL) {
        return Ending::None;
    }
    let again = match call.interrupted {
        Interrupted::Always => true,
        Interrupted::Restart => action.flags & SA_RESTART != 0,
        Interrupted::NoHandler | Interrupted::Block | Interrupted::Never | Interrupted::Uninterruptible => false,
    };
    match call.done {
        0 if again => Ending::Again,
        0 => Ending::Value(-i64::from((cx.isa().errno)(Errno::EINTR))),
        done => Ending::Value(done as i64),
    }
}

/// A handler is about to run while the thread is in a call.
fn interrupt(cx: &mut Cx<'_>, call: Ending) {
    if call == Ending::None {
        return;
    }
    let len = cx.isa().syscall_len;
    crate::futex::forget(cx.process, cx.tid);
    match call {
        Ending::None => {}
        Ending::Value(value) => {
            if value < 0 {
                crate::sched::trace_interrupted(cx);
            }
            complete(cx, value as u64);
        }
        Ending::Again => {
            // The registers still hold the arguments.
            let pc = cx.state().pc();
            cx.state().set_pc(pc.wrapping_sub(len));
            let thread = cx.thread();
            thread.call.active = false;
            if let Some(mask) = thread.signals.saved_mask.take() {
                thread.signals.mask = mask;
            }
        }
    }
    cx.thread().run = RunState::Ready;
}

/// Makes the thread run a handler next.
fn handle(cx: &mut Cx<'_>, action: Action, info: SigInfo) {
    if action.flags & SA_RESETHAND != 0 {
        cx.process.signals.set_action(info.signo, Action { handler: SIG_DFL, ..action });
    }
    if push_frame(cx, action, info).is_err() {
        if info.signo == SIGSEGV {
            cx.process.signals.set_action(SIGSEGV, Action { handler: SIG_DFL, ..action });
        }
        force(cx, SigInfo { signo: SIGSEGV, code: SI_KERNEL, ..SigInfo::default() });
        return;
    }
    let signals = &mut cx.thread().signals;
    signals.saved_mask = None;
    signals.mask |= action.mask & !UNBLOCKABLE;
    if action.flags & SA_NODEFER == 0 {
        signals.mask |= bit(info.signo);
    }
    if signals.alt.flags & SS_AUTODISARM != 0 {
        signals.alt = AltStack::default();
    }
}

/// Writes the frame and sets the registers for the handler.
fn push_frame(cx: &mut Cx<'_>, action: Action, info: SigInfo) -> Result<(), Errno> {
    let (abi, isa) = (cx.abi(), cx.isa());
    let signals = &cx.thread().signals;
    let (alt, mask) = (signals.alt, signals.saved_mask.unwrap_or(signals.mask));
    let sp_slot = cx.process.registers.sp;
    let old_sp = abi.word_of(cx.state().get(sp_slot));
    let wants_alt = action.flags & SA_ONSTACK != 0 && alt.size != 0 && !alt.holds(old_sp);
    let top = if wants_alt { alt.sp.wrapping_add(alt.size) } else { old_sp };
    let size = isa.signal.size(&cx.process.model.layout, abi);
    let addr = abi.word_of(top.wrapping_sub(size)) & !15;
    if alt.holds(old_sp) && !alt.holds(top.wrapping_sub(size)) {
        // It would run over the end of the alternate stack.
        return Err(Errno::EFAULT);
    }
    let cpu = cx.thread().cpu;
    let process = &mut *cx.process;
    let layout = &process.model.layout;
    let frame = FrameIn { addr, abi, alt, mask, info: info.encode(abi), layout, state: cx.engine.state(cpu) };
    let bytes = isa.signal.build(&frame);
    process.mem.put_bytes(addr, &bytes)?;
    let handler = Handler { pc: action.handler, signo: info.signo, frame: addr, trampoline: process.image.trampoline };
    isa.signal.enter(cx.engine.state_mut(cpu), &process.model.layout, &process.registers, abi, &handler);
    Ok(())
}

/// Raises a signal that the thread itself caused and cannot ignore or block (`force_sig_info`).
pub fn force(cx: &mut Cx<'_>, info: SigInfo) {
    let action = cx.process.signals.action(info.signo);
    let signals = &mut cx.thread().signals;
    let blocked = signals.mask & bit(info.signo) != 0;
    signals.mask &= !bit(info.signo);
    signals.pending.retain(|s| s.signo != info.signo);
    signals.pending.push_front(info);
    if blocked || action.handler == SIG_IGN {
        cx.process.signals.set_action(info.signo, Action { handler: SIG_DFL, ..action });
        host::apply(cx.process, info.signo);
    }
}

#[cfg(test)]
mod tests;
