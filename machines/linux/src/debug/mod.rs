//! A process under a debugger: what its scheduler asks and tells.
//!
//! * [`Debugged`] is the process as a [`tern_session::debug::Subject`]; [`Peer`] a connection.
//! * Without a debugger ([`crate::process::Process::debug`] is `None`) nothing here costs anything but a look.

mod image;
mod peer;
mod subject;

pub use peer::Peer;
pub use subject::Debugged;

use crate::abi::Errno;
use crate::cx::Cx;
use crate::mm::vma::HiddenFd;
use crate::process::Process;
use crate::signal::{SI_USER, SigInfo, bit};
use crate::thread::Tid;
use crate::vfork;
use std::ffi::CString;
use tern_core::engine::Stop;
use tern_host::sys;
use tern_session::debug::{Events, Part, Resume, Why};

/// Signals that a debugger gives nobody a say in: `SIGKILL`.
const NEVER_HELD: u64 = 1 << 8;
/// `SIGINT` and `SIGTRAP`, which are for debuggers.
const DEBUGGERS: u64 = 1 << 1 | 1 << 4;

/// What a process knows of its debugger.
#[derive(Debug, Default)]
pub struct Debug {
    /// The connection, to be watched while all threads wait.
    pub fd: i32,
    /// Why it has stopped, until somebody asks.
    stop: Option<Why>,
    /// The thread that is to make one step.
    step: Option<Tid>,
    /// Signals that do not stop.
    pass: u64,
    events: Events,
    /// What a new program needs to go on with the session.
    session: String,
    /// The signal that has stopped it.
    held: Option<(Tid, SigInfo)>,
    /// Signals that do not stop this time.
    allowed: Vec<(Tid, i32)>,
    /// A child that waits to hear what becomes of it.
    child: Option<(Tid, HiddenFd)>,
}

impl Debug {
    /// With the connection `fd`.
    #[must_use]
    pub fn new(fd: i32) -> Debug {
        Debug { fd, ..Debug::default() }
    }

    fn tell(&mut self, why: Why) {
        self.stop.get_or_insert(why);
    }
}

/// Has the debugger stopped the process?
pub(crate) fn is_stopped(process: &Process) -> bool {
    process.debug.as_ref().is_some_and(|d| d.stop.is_some())
}

/// Is a thread to make one step?
pub(crate) fn steps(process: &Process, tid: Tid) -> bool {
    process.debug.as_ref().is_some_and(|d| d.step == Some(tid))
}

/// Notes why the engine has stopped.
pub(crate) fn note(cx: &mut Cx<'_>, stop: Stop) {
    let tid = cx.tid as u64;
    let Some(debug) = &mut cx.process.debug else { return };
    match stop {
        Stop::Breakpoint => debug.tell(Why::Breakpoint(tid)),
        Stop::Watch(touched) => debug.tell(Why::Watch(tid, touched)),
        _ => {}
    }
}

/// After a piece of the current thread's turn: has it made its step?
pub(crate) fn settle(cx: &mut Cx<'_>) {
    let tid = cx.tid;
    if !steps(cx.process, tid) {
        return;
    }
    let (busy, other) = match cx.process.threads.get(&tid) {
        // A system call is one instruction, however long it takes.
        Some(thread) => (thread.call.active, tid),
        None => (false, cx.process.threads.keys().next().copied().unwrap_or(tid)),
    };
    let Some(debug) = cx.process.debug.as_mut().filter(|_| !busy) else { return };
    debug.step = None;
    debug.tell(Why::Step(other as u64));
}

/// Does the debugger want to be asked before a signal is delivered to the current thread?
pub(crate) fn holds(cx: &mut Cx<'_>, info: SigInfo) -> bool {
    let tid = cx.tid;
    let Some(debug) = &mut cx.process.debug else { return false };
    if let Some(at) = debug.allowed.iter().position(|a| *a == (tid, info.signo)) {
        debug.allowed.remove(at);
        return false;
    }
    if (debug.pass | NEVER_HELD) & bit(info.signo) != 0 {
        return false;
    }
    debug.held = Some((tid, info));
    debug.tell(Why::Signal(tid as u64, info.signo));
    true
}

/// The child of a thread's `vfork` has let go of the memory.
pub(crate) fn vfork_done(process: &mut Process, tid: Tid) {
    if let Some(debug) = process.debug.as_mut().filter(|d| d.events.vfork) {
        debug.tell(Why::VforkDone(tid as u64));
    }
}

/// Sets what a debugger wants before the process goes on.
fn resume(process: &mut Process, resume: &Resume) {
    let Some(mut debug) = process.debug.take() else { return };
    debug.stop = None;
    debug.step = resume.step.map(|t| t as Tid);
    (debug.pass, debug.events) = (resume.pass, resume.events);
    debug.session.clone_from(&resume.session);
    debug.allowed.clear();
    let held = debug.held.take();
    for (thread, signo) in &resume.signals {
        let tid = *thread as Tid;
        let same = held.filter(|(t, info)| (*t, info.signo) == (tid, *signo)).map(|(_, info)| info);
        let made = SigInfo { signo: *signo, code: SI_USER, pid: process.pid, ..SigInfo::default() };
        debug.allowed.push((tid, *signo));
        again(process, tid, same.unwrap_or(made));
    }
    process.debug = Some(debug);
}

/// Makes a signal pending for a thread, before all others.
fn again(process: &mut Process, tid: Tid, info: SigInfo) {
    if let Some(thread) = process.threads.get_mut(&tid) {
        thread.signals.pending.retain(|s| s.signo != info.signo || s.signo >= crate::signal::SIGRTMIN);
        thread.signals.pending.push_front(info);
    }
}

/// The debugger lets go: a signal that it holds is delivered, unless it is a debugger's own.
fn let_go(process: &mut Process) {
    if let Some((tid, info)) = process.debug.take().and_then(|d| d.held)
        && bit(info.signo) & DEBUGGERS == 0
    {
        again(process, tid, info);
    }
}

/// A fork, while the debugger may want to hear of it.
pub(crate) struct Fork {
    /// By which the child hears what becomes of it.
    pipe: Option<(HiddenFd, HiddenFd)>,
    vfork: bool,
}

/// What a child reads that is debugged from now on.
const FOLLOW: u8 = b'c';

impl Fork {
    /// Before it.
    pub(crate) fn begin(process: &Process, vfork: bool) -> Result<Fork, Errno> {
        let wanted = process.debug.as_ref().is_some_and(|d| if vfork { d.events.vfork } else { d.events.fork });
        let pipe = if wanted { Some(vfork::pipe()?) } else { None };
        Ok(Fork { pipe, vfork })
    }

    /// In the parent, which stops.
    pub(crate) fn in_parent(self, process: &mut Process, tid: Tid, child: Tid) {
        let Some(((_, write), debug)) = self.pipe.zip(process.debug.as_mut()) else { return };
        debug.child = Some((child, write));
        debug.tell(Why::Forked { thread: tid as u64, child: child as u64, vfork: self.vfork });
    }

    /// In the child: waits until it is said what becomes of it.
    pub(crate) fn in_child(self, process: &mut Process) {
        let follows = self.pipe.is_some_and(|(read, write)| {
            drop(write);
            waits(&read)
        });
        if let Some(debug) = &mut process.debug {
            // The signals and steps were the parent's.
            **debug = Debug { fd: debug.fd, ..Debug::default() };
            debug.tell(if follows { Why::Followed } else { Why::Left });
        }
    }
}

/// Is the child to be debugged?  Not if its parent is gone.
fn waits(read: &HiddenFd) -> bool {
    let mut byte = [0];
    // The pipe is one that does not block.
    let _ = sys::file::fcntl(read.0, sys::host::F_SETFL, 0);
    loop {
        match sys::file::read(read.0, &mut byte) {
            Ok(1) => return byte[0] == FOLLOW,
            Err(sys::Errno::EINTR) => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// Tells a child that waits what becomes of it; false: it is not the one.
fn part(process: &mut Process, child: Tid, part: Part) -> bool {
    let waiting = process.debug.as_mut().and_then(|d| d.child.take_if(|(pid, _)| *pid == child));
    let Some((_, write)) = waiting else { return false };
    let byte = if part == Part::KeepChild { FOLLOW } else { b'p' };
    // A child that is gone need not be told.
    let _ = sys::file::write(write.0, &[byte]);
    true
}

/// The option by which the next program goes on with the session, whose connection it gets.
pub(crate) fn keep_session(process: &Process) -> Option<CString> {
    let debug = process.debug.as_ref()?;
    sys::file::fcntl(debug.fd, sys::host::F_SETFD, 0).ok()?;
    CString::new(format!("--gdb-session={},{}", debug.fd, debug.session)).ok()
}

/// It could not be executed: the connection is closed to others again.
pub(crate) fn end_session(process: &Process) {
    if let Some(debug) = &process.debug {
        // It is a descriptor of ours.
        let _ = sys::file::fcntl(debug.fd, sys::host::F_SETFD, sys::host::FD_CLOEXEC);
    }
}
