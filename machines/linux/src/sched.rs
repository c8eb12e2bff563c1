//! The scheduler: guest threads run round-robin in slices on one host thread; who waits, waits in one `ppoll`.

use crate::abi::Errno;
use crate::cx::{Cx, Outcome, SysResult};
use crate::engine::Engine;
use crate::process::{ExitStatus, Process};
use crate::record;
use crate::record::item::What;
use crate::signal::{self, SigInfo};
use crate::strace;
use crate::table::Entry;
use crate::thread::{RunState, Tid};
use smallvec::SmallVec;
use tern_core::engine::Stop;
use tern_core::mem::{FaultKind, MemFault};
use tern_core::state::StateLayout;
use tern_host::sys;
use tern_host::sys::wait::PollFd;

/// How a signal handler that runs meanwhile changes a call (the kernel's restart codes).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interrupted {
    /// Restarted if the handler has `SA_RESTART`, else `EINTR` (`-ERESTARTSYS`).
    #[default]
    Restart,
    /// Restarted if no handler ran, else `EINTR` (`-ERESTARTNOHAND`): poll, select, pause.
    NoHandler,
    /// Restarted by `restart_syscall` with the remaining time if no handler ran (`-ERESTART_RESTARTBLOCK`): nanosleep.
    Block,
    /// Always `EINTR`.
    Never,
    /// Always restarted (`-ERESTARTNOINTR`).
    Always,
    /// Signals wait until the call ends (a parent in `vfork`).
    Uninterruptible,
}

/// What a futex is known by: the host memory that all who see the futex share, or the guest address in this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FutexKey {
    /// Private memory: the guest address.
    Private(u64),
    /// Shared memory: device, inode and position, or for shared anonymous memory the host address.
    Shared(u64, u64, u64),
}

/// What a blocked call waits for: any of these.  A futex's waker makes the thread ready by itself.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// A descriptor is ready for events (`POLL*`).
    pub fds: SmallVec<[(i32, i16); 2]>,
    /// The host's monotonic clock has reached this many nanoseconds.
    pub deadline: Option<u64>,
    /// A child has changed its state: the number of such events that had been seen before the call looked.
    pub child: Option<u64>,
    /// One of these signals comes although it is blocked (`rt_sigtimedwait`).
    pub signals: u64,
    /// What a handler that runs meanwhile does to the call.
    pub interrupted: Interrupted,
}

impl Wait {
    /// For a descriptor.
    #[must_use]
    pub fn fd(fd: i32, events: i16) -> Wait {
        Wait { fds: SmallVec::from_slice(&[(fd, events)]), ..Wait::default() }
    }

    /// For a point in time.
    #[must_use]
    pub fn until(deadline: Option<u64>) -> Wait {
        Wait { deadline, ..Wait::default() }
    }

    /// The same with another reaction to handlers.
    #[must_use]
    pub fn interrupted(self, interrupted: Interrupted) -> Wait {
        Wait { interrupted, ..self }
    }
}

/// Is a descriptor ready now, or not one that can be asked?
#[must_use]
pub fn ready(fd: i32, events: i16) -> bool {
    let mut fds = [PollFd { fd, events, revents: 0 }];
    !matches!(sys::wait::ppoll(&mut fds, Some(sys::Time::default()), None), Ok(0))
}

/// Does a descriptor not block?
#[must_use]
pub fn nonblocking(fd: i32) -> bool {
    sys::file::fcntl(fd, sys::host::F_GETFL, 0).is_ok_and(|flags| flags & sys::host::O_NONBLOCK != 0)
}

/// Would a call that needs `events` wait?  Not on a non-blocking descriptor, and not on one that is not open for it,
/// which the call is to report.
#[must_use]
pub fn can_block(fd: i32, events: i16) -> bool {
    use sys::host::{F_GETFL, O_ACCMODE, O_NONBLOCK, O_PATH, O_RDONLY, O_WRONLY, POLLIN, POLLOUT};
    let Ok(flags) = sys::file::fcntl(fd, F_GETFL, 0) else { return false };
    let mode = flags & O_ACCMODE;
    let closed = (events & POLLOUT != 0 && mode == O_RDONLY) || (events & POLLIN != 0 && mode == O_WRONLY);
    flags & (O_NONBLOCK | O_PATH) == 0 && !closed
}

/// Runs the process to its end.
pub fn run(process: &mut Process, engine: &mut dyn Engine) -> ExitStatus {
    signal::host::start(process);
    record::begin(process);
    go_on(process, engine, Turn::default())
}

/// Whose turn it is.
#[derive(Clone, Copy, Default, Debug)]
pub struct Turn {
    /// The thread that had the last one.
    pub last: Tid,
    /// The thread whose turn was cut off, and the position at which it is to end.
    pub unfinished: Option<(Tid, u64)>,
}

/// Runs a process that has run before to its end.
pub fn go_on(process: &mut Process, engine: &mut dyn Engine, mut whose: Turn) -> ExitStatus {
    loop {
        if let Some(status) = turn(process, engine, &mut whose) {
            return status;
        }
    }
}

/// Looks at what has happened, and gives a thread its turn; how the process has ended, if it has.
pub fn turn(process: &mut Process, engine: &mut dyn Engine, whose: &mut Turn) -> Option<ExitStatus> {
    let unfinished = whose.unfinished.take().filter(|(tid, _)| process.threads.contains_key(tid));
    if let Some((tid, end)) = unfinished {
        whose.unfinished = slice(&mut Cx { process, engine, tid }, Some(end));
    } else {
        if tern_host::signal::pending() {
            signal::collect(process);
        }
        crate::timers::expire(process);
        if wake(process, false) {
            let ready = process.threads.values().filter(|t| matches!(t.run, RunState::Ready)).map(|t| t.tid);
            let ready: SmallVec<[Tid; 8]> = ready.collect();
            if let Some(tid) = process.turns.next(&ready) {
                whose.last = tid;
                whose.unfinished = slice(&mut Cx { process, engine, tid }, None);
            }
        } else {
            wake(process, true);
        }
    }
    let status = process.exit?;
    record::end(process, engine, status);
    crate::thread::process_ends(process);
    Some(status)
}

/// Makes blocked threads ready whose condition may hold; with `idle` it waits until there is one (or a host signal).
/// Says whether any thread is ready.
fn wake(process: &mut Process, idle: bool) -> bool {
    crate::sys::signalfd::refresh(process);
    let mut fds: Vec<PollFd> = Vec::new();
    let mut owners: Vec<Tid> = Vec::new();
    let mut deadline: Option<u64> = crate::timers::next_deadline(process);
    let mut woken: SmallVec<[Tid; 4]> = SmallVec::new();
    let mut any_ready = false;
    for thread in process.threads.values() {
        let RunState::Blocked(wait) = &thread.run else {
            any_ready = true;
            continue;
        };
        let child = wait.child.is_some_and(|seen| seen != process.child_events);
        let wanted = |s: &SigInfo| wait.signals & signal::bit(s.signo) != 0;
        let wanted = thread.signals.pending.iter().chain(&process.signals.pending).any(wanted);
        if child || wanted || signal::interrupts(process, thread) {
            woken.push(thread.tid);
        }
        if let Some(d) = wait.deadline {
            deadline = Some(deadline.map_or(d, |old| old.min(d)));
        }
        for (fd, events) in &wait.fds {
            fds.push(PollFd { fd: *fd, events: *events, revents: 0 });
            owners.push(thread.tid);
        }
    }
    if let Some(debug) = &process.debug {
        // Somebody may want to interrupt.
        fds.push(PollFd { fd: debug.fd, events: sys::host::POLLIN, revents: 0 });
        owners.push(0);
    }
    let block = idle && woken.is_empty() && !any_ready;
    if block {
        record::waits(process);
    }
    if block || !fds.is_empty() {
        poll(&mut fds, deadline, block);
        woken.extend(fds.iter().zip(&owners).filter(|(f, _)| f.revents != 0).map(|(_, tid)| *tid));
    }
    let now = deadline.map(|_| tern_host::clock::monotonic_ns());
    for thread in process.threads.values_mut() {
        if let RunState::Blocked(wait) = &thread.run {
            let late = wait.deadline.zip(now).is_some_and(|(d, now)| d <= now);
            if late || woken.contains(&thread.tid) {
                thread.run = RunState::Ready;
            }
        }
    }
    any_ready || process.threads.values().any(|t| matches!(t.run, RunState::Ready))
}

/// Polls all descriptors; if it may block, until the deadline or a host signal, without losing one.
fn poll(fds: &mut [PollFd], deadline: Option<u64>, block: bool) {
    if !block {
        // Nothing ready and an error mean the same here: the calls are issued again later.
        let _ = sys::wait::ppoll(fds, Some(sys::Time::default()), None);
        return;
    }
    tern_host::signal::with_blocked(|mask| {
        if tern_host::signal::pending() {
            return;
        }
        let timeout = deadline.map(|d| {
            let left = d.saturating_sub(tern_host::clock::monotonic_ns());
            sys::Time::from_nanos(i64::try_from(left).unwrap_or(i64::MAX))
        });
        // EINTR is a caught signal, which the caller collects.
        let _ = sys::wait::ppoll(fds, timeout, Some(mask));
    });
}

/// Runs one thread until its slice is over (at position `end`, if it is the rest of one), it blocks, or it is gone.  If a
/// debugger cuts it off: whose it is, and where it is to end.
fn slice(cx: &mut Cx<'_>, end: Option<u64>) -> Option<(Tid, u64)> {
    let alone = cx.process.threads.len() == 1;
    let cpu = cx.thread().cpu;
    let end = match end {
        Some(end) => end,
        None => cx.engine.icount(cpu).saturating_add(cx.process.turns.length(alone)),
    };
    loop {
        if tern_host::signal::pending() {
            signal::collect(cx.process);
        }
        let thread = cx.thread();
        let (active, mask) = (thread.call.active, thread.signals.mask);
        let quiet = thread.signals.pending.is_empty() && thread.signals.saved_mask.is_none();
        signal::host::mirror_mask(cx.process, mask);
        if active {
            issue_again(cx);
        } else {
            if !(quiet && cx.process.signals.pending.is_empty()) {
                signal::deliver(cx);
                if crate::debug::is_stopped(cx.process) {
                    return Some((cx.tid, end));
                }
                if !runs(cx) {
                    return None;
                }
            }
            let left = end.saturating_sub(cx.engine.icount(cpu));
            if left == 0 {
                return None;
            }
            let left = if crate::debug::steps(cx.process, cx.tid) { 1 } else { left };
            let stop = run_cpu(cx, left);
            crate::debug::note(cx, stop);
            handle(cx, stop);
            record::ran(cx.process, cx.engine);
        }
        crate::debug::settle(cx);
        let stopped = crate::debug::is_stopped(cx.process);
        let thread = cx.process.threads.get_mut(&cx.tid)?;
        let ready = matches!(thread.run, RunState::Ready) && !core::mem::take(&mut thread.yielded);
        if !ready || cx.process.exit.is_some() {
            return None;
        }
        if stopped {
            return Some((cx.tid, end));
        }
    }
}

/// Runs the thread's CPU for at most `insns` instructions, and counts them.
pub fn run_cpu(cx: &mut Cx<'_>, insns: u64) -> Stop {
    let (cpu, tid) = (cx.thread().cpu, cx.tid);
    let before = cx.engine.icount(cpu);
    cx.process.mem.icount_base = cx.process.retired.wrapping_sub(before);
    record::runs(cx.process, tid);
    let stop = cx.engine.run(cpu, &mut cx.process.mem, insns);
    let ran = cx.engine.icount(cpu).wrapping_sub(before);
    cx.process.retired = cx.process.retired.wrapping_add(ran);
    let thread = cx.thread();
    thread.retired = thread.retired.wrapping_add(ran);
    stop
}

/// Issues a call that goes on; if it still cannot finish and a signal is there for the thread, the signal is delivered.
fn issue_again(cx: &mut Cx<'_>) {
    let signalled = cx.process.threads.get(&cx.tid).is_some_and(|t| signal::interrupts(cx.process, t))
        && cx.thread().call.interrupted != Interrupted::Uninterruptible;
    cx.thread().call.signalled = signalled;
    issue(cx);
    let Some(thread) = cx.process.threads.get_mut(&cx.tid) else { return };
    if signalled && thread.call.active && cx.process.exit.is_none() {
        let run = core::mem::replace(&mut thread.run, RunState::Ready);
        signal::deliver(cx);
        // Nobody handled it (the process was stopped and continued, say): the call goes on.
        if let Some(thread) = cx.process.threads.get_mut(&cx.tid).filter(|t| t.call.active) {
            thread.run = run;
        }
    }
}

/// Is the thread still there and ready, and the process alive?
fn runs(cx: &mut Cx<'_>) -> bool {
    let ready = cx.process.threads.get(&cx.tid).is_some_and(|t| matches!(t.run, RunState::Ready));
    cx.process.exit.is_none() && ready
}

fn handle(cx: &mut Cx<'_>, stop: Stop) {
    match stop {
        Stop::Limit | Stop::Resync | Stop::Halt | Stop::Yield | Stop::Breakpoint | Stop::Watch(_) => {}
        Stop::Syscall => {
            enter(cx);
            issue(cx);
        }
        Stop::Trap { .. } | Stop::Fault(_) => {
            if let Some(info) = stop_signal(cx, stop) {
                let tid = cx.tid;
                record::push(cx.process, tid, What::Fault(info));
                signal::force(cx, info);
            }
        }
    }
}

/// The signal that a trap or fault raises.
pub fn stop_signal(cx: &mut Cx<'_>, stop: Stop) -> Option<SigInfo> {
    match stop {
        Stop::Trap { cause, value } => {
            let pc = cx.state().pc();
            let Some(t) = (cx.isa().trap_signal)(cause) else {
                cx.process.mem.events.unimplemented(format_args!("trap cause {cause}"));
                return Some(SigInfo { signo: 4, code: 1, addr: pc, ..SigInfo::default() });
            };
            let addr = if t.at_pc { pc } else { value };
            Some(SigInfo { signo: t.signo, code: t.code, addr, ..SigInfo::default() })
        }
        Stop::Fault(fault) => Some(fault_signal(fault)),
        _ => None,
    }
}

/// The signal of a bad access (arch/riscv/mm/fault.c; the codes are asm-generic).
#[must_use]
pub fn fault_signal(fault: MemFault) -> SigInfo {
    let (signo, code) = match fault.kind {
        FaultKind::Unmapped => (11, 1),
        FaultKind::Permission | FaultKind::Arch(_) => (11, 2),
        FaultKind::Bus => (7, 2),
        FaultKind::Misaligned => (7, 1),
    };
    SigInfo { signo, code, addr: fault.addr, ..SigInfo::default() }
}

/// Notes the call that the guest has made.
pub fn enter(cx: &mut Cx<'_>) {
    let process = &mut *cx.process;
    let Some(thread) = process.threads.get_mut(&cx.tid) else { return };
    let state = cx.engine.state(thread.cpu);
    let regs = &process.registers;
    let args = regs.args.map(|slot| state.get(slot));
    // RV32 holds registers sign-extended.
    let nr = process.isa.abi.word_of(state.get(regs.number));
    thread.call = crate::thread::Call { active: true, nr, args, ..Default::default() };
    if process.config.strace
        && let Entry::Known(row) = process.table.get(thread.call.nr)
    {
        thread.call.text = Some(strace::entry(&mut process.mem, process.isa, row, &args));
    }
}

/// Issues the thread's call, for the first time or again.
pub fn issue(cx: &mut Cx<'_>) {
    let call = &cx.thread().call;
    let (nr, args) = (call.nr, call.args);
    let entry = cx.process.table.get(nr);
    if cx.process.config.strace
        && let Entry::Known(row) = entry
        && ["execve", "execveat", "exit", "exit_group", "rt_sigreturn"].contains(&row.name)
        && let Some(text) = cx.thread().call.text.clone()
    {
        log_call(cx.process, cx.tid, &format!("{text}) = ?"));
    }
    let registers = if let Entry::Known(row) = entry { row.registers } else { args.len() };
    if let (Entry::Known(row), Some(recorder)) = (entry, &mut cx.process.recorder)
        && ["close", "close_range", "dup3", "execve", "execveat"].contains(&row.name)
    {
        recorder.forget_descriptors();
    }
    let result = record::issue(cx, registers, |cx| match entry {
        Entry::Known(row) => (row.run)(cx, &args),
        Entry::Named(name) => {
            cx.process.mem.events.unimplemented(format_args!("system call {name}"));
            Err(Outcome::Err(Errno::ENOSYS))
        }
        Entry::Unknown => {
            cx.process.mem.events.unimplemented(format_args!("system call number {nr}"));
            Err(Outcome::Err(Errno::ENOSYS))
        }
    });
    finish(cx, entry, result);
}

/// Puts the result where the guest finds it, or notes that the call goes on.
fn finish(cx: &mut Cx<'_>, entry: Entry, result: SysResult) {
    if cx.process.exit.is_some() || !cx.process.threads.contains_key(&cx.tid) {
        return;
    }
    if cx.process.config.strace {
        trace(cx, entry, &result);
    }
    let value = match result {
        Ok(value) => value,
        Err(Outcome::Err(e)) => (-i64::from((cx.isa().errno)(e))) as u64,
        Err(Outcome::Block(wait)) => {
            let thread = cx.thread();
            thread.call.active = true;
            thread.call.interrupted = wait.interrupted;
            thread.run = RunState::Blocked(wait);
            return;
        }
        Err(Outcome::NoReturn) => {
            end_call(cx);
            cx.thread().call.active = false;
            return;
        }
        Err(Outcome::Restart) => {
            cx.thread().call.active = true;
            cx.thread().call.interrupted = Interrupted::Always;
            return;
        }
    };
    end_call(cx);
    complete(cx, value);
}

/// A call has ended by itself: the mask that it had replaced comes back, and nobody will wake it.
pub fn end_call(cx: &mut Cx<'_>) {
    let thread = cx.thread();
    if let Some(mask) = thread.signals.saved_mask.take() {
        thread.signals.mask = mask;
    }
    if thread.call.queued {
        crate::futex::forget(cx.process, cx.tid);
    }
}

/// strace's line of a call that a signal ended.
pub fn trace_interrupted(cx: &mut Cx<'_>) {
    let nr = cx.thread().call.nr;
    let entry = cx.process.table.get(nr);
    if cx.process.config.strace {
        trace(cx, entry, &Err(Outcome::Err(Errno::EINTR)));
    }
}

/// Ends the thread's call with a value in its result register.
pub fn complete(cx: &mut Cx<'_>, value: u64) {
    let slot = cx.process.registers.result;
    // A 32-bit guest's registers are held sign-extended.
    let value = if cx.abi().is64() { value } else { value as u32 as i32 as i64 as u64 };
    let thread = cx.thread();
    thread.call.active = false;
    let cpu = thread.cpu;
    cx.engine.state_mut(cpu).set(slot, value);
}

fn trace(cx: &mut Cx<'_>, entry: Entry, result: &SysResult) {
    if matches!(result, Err(Outcome::Block(_) | Outcome::Restart | Outcome::NoReturn)) {
        return;
    }
    let call = &mut cx.thread().call;
    let (nr, args, text) = (call.nr, call.args, call.text.take());
    let line = match entry {
        Entry::Known(row) => {
            let process = &mut *cx.process;
            text.unwrap_or_default() + &strace::exit(&mut process.mem, process.isa, row, &args, result)
        }
        Entry::Named(name) => {
            format!("{name}({:#x}, {:#x}, {:#x}, ...) = -1 {}", args[0], args[1], args[2], strace::error(Errno::ENOSYS))
        }
        Entry::Unknown => {
            format!("syscall_{nr:#x}({:#x}, {:#x}, ...) = -1 {}", args[0], args[1], strace::error(Errno::ENOSYS))
        }
    };
    log_call(cx.process, cx.tid, &line);
}

fn log_call(process: &mut Process, tid: Tid, line: &str) {
    process.mem.events.log("strace", format_args!("{tid} {line}"));
}

/// The slots of the registers that the kernel looks at.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSlots {
    /// System call number.
    pub number: tern_core::state::Slot,
    /// Arguments.
    pub args: [tern_core::state::Slot; 6],
    /// Result.
    pub result: tern_core::state::Slot,
    /// Stack pointer.
    pub sp: tern_core::state::Slot,
    /// Thread pointer.
    pub tp: tern_core::state::Slot,
    /// Return address.
    pub ra: tern_core::state::Slot,
}

impl RegisterSlots {
    /// Looks the roles up in a layout; `None` if the layout lacks one.
    #[must_use]
    pub fn new(isa: &crate::isa::Isa, layout: &StateLayout) -> Option<RegisterSlots> {
        let slot = |role| layout.by_role(role).map(|row| row.slot);
        let mut args = [tern_core::state::Slot::PC; 6];
        for (to, role) in args.iter_mut().zip(isa.regs.args) {
            *to = slot(role)?;
        }
        let regs = &isa.regs;
        Some(RegisterSlots {
            number: slot(regs.number)?,
            args,
            result: slot(regs.result)?,
            sp: slot(regs.sp)?,
            tp: slot(regs.tp)?,
            ra: slot(regs.ra)?,
        })
    }
}
