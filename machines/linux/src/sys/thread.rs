//! Threads and the creation of processes: clone, exit, and what the C library registers per thread.

use crate::abi::process_flags::{Clone, Membarrier};
use crate::abi::process_structs::CloneArgs;
use crate::abi::{Errno, Field, GuestPtr, ULong};
use crate::args::{Const, Flags, Int, Out, Pid, Ptr, Size, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::process::ExitStatus;
use crate::record;
use crate::sched::{Interrupted, Wait};
use crate::signal::{self, Action, AltStack, SIG_DFL, SIG_IGN, ThreadSignals};
use crate::thread::{self, Thread, Tid};
use crate::vfork;
use tern_host::sys;

/// Flags that make namespaces.
const NAMESPACES: u64 = Clone::CLONE_NEWNS
    | Clone::CLONE_NEWCGROUP
    | Clone::CLONE_NEWUTS
    | Clone::CLONE_NEWIPC
    | Clone::CLONE_NEWUSER
    | Clone::CLONE_NEWPID
    | Clone::CLONE_NEWNET
    | 0x80;
/// What threads of one process always share.
const SHARED_BY_THREADS: u64 = Clone::CLONE_VM | Clone::CLONE_SIGHAND | Clone::CLONE_FS | Clone::CLONE_FILES;

/// What `clone` or `clone3` asks for.
#[derive(Clone, Copy, Debug)]
struct Request {
    flags: u64,
    exit_signal: i32,
    /// The new stack pointer; zero for the parent's.
    sp: u64,
    tls: u64,
    parent_tid: u64,
    child_tid: u64,
    pidfd: u64,
}

impl Request {
    fn has(&self, flag: u64) -> bool {
        self.flags & flag == flag
    }
}

/// `clone(2)` with the arguments in the order of `CONFIG_CLONE_BACKWARDS`.
pub fn clone(cx: &mut Cx<'_>, flags: Flags<Clone>, stack: Ptr, parent_tid: Ptr, tls: Ptr, child_tid: Ptr) -> SysResult {
    let flags = flags.0 & 0xffff_ffff;
    if flags & Clone::CLONE_PIDFD != 0 && flags & (Clone::CLONE_PARENT_SETTID | Clone::CLONE_DETACHED) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = Request {
        flags: flags & !0xff,
        exit_signal: (flags & 0xff) as i32,
        sp: stack.0,
        tls: tls.0,
        parent_tid: parent_tid.0,
        child_tid: child_tid.0,
        pidfd: parent_tid.0,
    };
    start(cx, &request)
}

/// Size of the first version of `struct clone_args`, and the largest that is looked at.
const CLONE_ARGS: (u64, u64) = (64, 4096);

/// `clone3(2)`.
pub fn clone3(cx: &mut Cx<'_>, args: Ptr, size: Size) -> SysResult {
    if size.0 < CLONE_ARGS.0 {
        return Err(Errno::EINVAL.into());
    }
    if size.0 > CLONE_ARGS.1 {
        return Err(Errno::E2BIG.into());
    }
    let abi = cx.abi();
    let known = CloneArgs::size(abi);
    let mut bytes = cx.bytes(args.0, size.0)?;
    if bytes.iter().skip(known).any(|b| *b != 0) {
        return Err(Errno::E2BIG.into());
    }
    bytes.resize(known, 0);
    let a = CloneArgs::get(&bytes, abi);
    let bad_flags = a.flags & (0x7f | Clone::CLONE_DETACHED) != 0 || a.flags >> 34 != 0;
    if bad_flags || a.exit_signal > 64 || (a.stack == 0) != (a.stack_size == 0) {
        return Err(Errno::EINVAL.into());
    }
    if a.flags & (Clone::CLONE_THREAD | Clone::CLONE_PARENT) != 0 && a.exit_signal != 0 {
        return Err(Errno::EINVAL.into());
    }
    if a.set_tid_size != 0 || a.flags & Clone::CLONE_INTO_CGROUP != 0 {
        cx.unimplemented(format_args!("clone3 with set_tid or a cgroup"));
        return Err(Errno::EPERM.into());
    }
    let request = Request {
        flags: a.flags,
        exit_signal: a.exit_signal as i32,
        sp: a.stack.wrapping_add(a.stack_size),
        tls: a.tls,
        parent_tid: a.parent_tid,
        child_tid: a.child_tid,
        pidfd: a.pidfd,
    };
    start(cx, &request)
}

fn check(r: &Request) -> Result<(), Errno> {
    let newns = r.flags & (Clone::CLONE_NEWNS | Clone::CLONE_NEWUSER) != 0 && r.has(Clone::CLONE_FS);
    let thread = r.has(Clone::CLONE_THREAD) && !r.has(Clone::CLONE_SIGHAND);
    let sighand = r.has(Clone::CLONE_SIGHAND) && (!r.has(Clone::CLONE_VM) || r.has(Clone::CLONE_CLEAR_SIGHAND));
    let pidfd = r.has(Clone::CLONE_PIDFD | Clone::CLONE_THREAD);
    if newns || thread || sighand || pidfd { Err(Errno::EINVAL) } else { Ok(()) }
}

fn start(cx: &mut Cx<'_>, r: &Request) -> SysResult {
    if cx.thread().vfork.is_some() {
        return wait_for_child(cx);
    }
    check(r)?;
    if r.flags & NAMESPACES != 0 {
        cx.unimplemented(format_args!("clone into new namespaces"));
        return Err(Errno::EPERM.into());
    }
    if r.has(Clone::CLONE_THREAD) {
        if !r.has(SHARED_BY_THREADS) || r.has(Clone::CLONE_VFORK) {
            cx.unimplemented(format_args!("threads that do not share everything"));
            return Err(Errno::EINVAL.into());
        }
        return new_thread(cx, r);
    }
    let shares = Clone::CLONE_FS | Clone::CLONE_FILES | Clone::CLONE_SIGHAND | Clone::CLONE_PARENT | Clone::CLONE_IO;
    let vm = r.has(Clone::CLONE_VM) && !r.has(Clone::CLONE_VFORK);
    if vm || r.flags & shares & !Clone::CLONE_IO != 0 {
        cx.unimplemented(format_args!("processes that share memory, files or handlers"));
        return Err(Errno::EINVAL.into());
    }
    new_process(cx, r)
}

/// The registers of a new thread or process.
fn set_registers(cx: &mut Cx<'_>, cpu: crate::engine::CpuId, r: &Request) {
    let regs = cx.process.registers;
    let word = |v: u64| if cx.process.isa.abi.is64() { v } else { v as u32 as i32 as i64 as u64 };
    let state = cx.engine.state_mut(cpu);
    if r.sp != 0 {
        state.set(regs.sp, word(r.sp));
    }
    if r.has(Clone::CLONE_SETTLS) {
        state.set(regs.tp, word(r.tls));
    }
    state.set(regs.result, 0);
}

fn new_thread(cx: &mut Cx<'_>, r: &Request) -> SysResult {
    let tid = match &cx.process.script {
        Some(script) => script.result.and_then(|tid| Tid::try_from(tid).ok()).filter(|tid| *tid > 0),
        None => thread::new_tid(cx.process),
    };
    let tid = tid.filter(|tid| !cx.process.threads.contains_key(tid)).ok_or(Errno::EAGAIN)?;
    if r.has(Clone::CLONE_PARENT_SETTID) {
        cx.write::<i32>(GuestPtr::new(r.parent_tid), &tid)?;
    }
    let state = cx.state().clone();
    let cpu = cx.engine.add_cpu();
    *cx.engine.state_mut(cpu) = state;
    set_registers(cx, cpu, r);
    let parent = cx.thread();
    let mut new = Thread::new(tid, cpu);
    new.name = parent.name.clone();
    let mask = parent.signals.saved_mask.unwrap_or(parent.signals.mask);
    new.signals = ThreadSignals { mask, ..ThreadSignals::default() };
    if r.has(Clone::CLONE_CHILD_CLEARTID) {
        new.clear_child_tid = r.child_tid;
    }
    cx.process.threads.insert(tid, new);
    if r.has(Clone::CLONE_CHILD_SETTID) {
        // A bad address is the new thread's problem, and the kernel does not tell it either.
        let _ = cx.write::<i32>(GuestPtr::new(r.child_tid), &tid);
    }
    Ok(tid as u64)
}

fn new_process(cx: &mut Cx<'_>, r: &Request) -> SysResult {
    if let Some(script) = &cx.process.script {
        return replay_process(cx, r, script.child, script.result);
    }
    let pipe = if r.has(Clone::CLONE_VFORK) { Some(vfork::pipe()?) } else { None };
    let fork = crate::debug::Fork::begin(cx.process, pipe.is_some())?;
    let recording = record::recorder::before_fork(cx.process, cx.tid);
    let pid = sys::proc::fork()?;
    if pid == 0 {
        // A process that runs has a number.
        let pid = sys::proc::getpid().unwrap_or(cx.process.pid);
        become_child(cx, r, pid, pipe.map(|(_, write)| vfork::Child::new(write)));
        if let Some(recording) = recording {
            record::recorder::in_child(cx.process, recording);
        }
        fork.in_child(cx.process);
        return Ok(0);
    }
    fork.in_parent(cx.process, cx.tid, pid);
    if r.exit_signal != signal::SIGCHLD {
        cx.process.children.insert(pid, r.exit_signal);
    }
    if r.has(Clone::CLONE_PARENT_SETTID) {
        cx.write::<i32>(GuestPtr::new(r.parent_tid), &pid)?;
    }
    if r.has(Clone::CLONE_PIDFD) {
        let fd = sys::proc::pidfd_open(pid, 0)?;
        cx.write::<i32>(GuestPtr::new(r.pidfd), &fd)?;
    }
    let Some((read, write)) = pipe else { return Ok(pid as u64) };
    drop(write);
    cx.thread().vfork = Some(vfork::Parent::new(pid, read));
    wait_for_child(cx)
}

/// What a replay does about a new process: it goes on as the parent, who has all of it in the log, or as the child.
fn replay_process(cx: &mut Cx<'_>, r: &Request, child: Option<Tid>, result: Option<i64>) -> SysResult {
    match (child, result) {
        (Some(pid), _) => {
            become_child(cx, r, pid, None);
            Ok(0)
        }
        (None, Some(pid)) => Ok(pid as u64),
        (None, None) => Err(Errno::EAGAIN.into()),
    }
}

/// A parent in `vfork`.
fn wait_for_child(cx: &mut Cx<'_>) -> SysResult {
    let Some(mut parent) = cx.thread().vfork.take() else { return Err(Errno::EAGAIN.into()) };
    if parent.receive() {
        parent.apply(cx.process);
        crate::debug::vfork_done(cx.process, cx.tid);
        return Ok(parent.pid as u64);
    }
    let wait = Wait::fd(parent.fd(), sys::host::POLLIN).interrupted(Interrupted::Uninterruptible);
    cx.thread().vfork = Some(parent);
    Err(Outcome::Block(wait))
}

/// The child of a fork: it has the calling thread only, under its own number.
fn become_child(cx: &mut Cx<'_>, r: &Request, pid: Tid, vfork: Option<vfork::Child>) {
    let others: Vec<Tid> = cx.process.threads.keys().copied().filter(|t| *t != cx.tid).collect();
    for tid in others {
        if let Some(gone) = cx.process.threads.remove(&tid) {
            cx.engine.remove_cpu(gone.cpu);
        }
    }
    let process = &mut *cx.process;
    if let Some(mut own) = process.threads.remove(&cx.tid) {
        own.tid = pid;
        own.signals.pending.clear();
        own.robust_list = (0, 0);
        own.clear_child_tid = if r.has(Clone::CLONE_CHILD_CLEARTID) { r.child_tid } else { 0 };
        if r.has(Clone::CLONE_VM) && !r.has(Clone::CLONE_VFORK) {
            own.signals.alt = AltStack::default();
        }
        process.threads.insert(pid, own);
    }
    cx.tid = pid;
    process.pid = pid;
    process.last_thread = 0;
    process.signals.pending.clear();
    process.futexes.clear();
    process.timers = crate::timers::Timers::default();
    process.children.clear();
    process.main_status = None;
    process.child_events = 0;
    if r.has(Clone::CLONE_CLEAR_SIGHAND) {
        for action in process.signals.actions.iter_mut().filter(|a| a.handler != SIG_IGN) {
            *action = Action { handler: SIG_DFL, ..Action::default() };
        }
    }
    process.mem.forked();
    process.vfork = vfork;
    if process.vfork.is_some() && r.has(Clone::CLONE_VM) {
        process.mem.track_writes();
    }
    let cpu = cx.thread().cpu;
    set_registers(cx, cpu, r);
    if r.has(Clone::CLONE_CHILD_SETTID) {
        let _ = cx.write::<i32>(GuestPtr::new(r.child_tid), &pid);
    }
}

/// `set_tid_address(2)`.
pub fn set_tid_address(cx: &mut Cx<'_>, addr: Ptr) -> SysResult {
    cx.thread().clear_child_tid = addr.0;
    Ok(cx.tid as u64)
}

/// `set_robust_list(2)`.
pub fn set_robust_list(cx: &mut Cx<'_>, head: Ptr, len: Size) -> SysResult {
    if len.0 != 3 * cx.abi().word_bytes() as u64 {
        return Err(Errno::EINVAL.into());
    }
    cx.thread().robust_list = (head.0, len.0);
    Ok(0)
}

/// `get_robust_list(2)`.
pub fn get_robust_list(cx: &mut Cx<'_>, pid: Pid, head: Out<ULong>, len: Out<ULong>) -> SysResult {
    let tid = if pid.0 == 0 { cx.tid } else { pid.0 };
    let size = 3 * cx.abi().word_bytes() as u64;
    let list = cx.process.threads.get(&tid).map(|t| t.robust_list.0);
    // Other processes' lists are theirs: ptrace would be needed.
    let list = list.ok_or(if sys::proc::kill(tid, 0).is_ok() { Errno::EPERM } else { Errno::ESRCH })?;
    cx.write(head.0, &list)?;
    cx.write(len.0, &size)?;
    Ok(0)
}

/// `gettid(2)`.
pub fn gettid(cx: &mut Cx<'_>) -> SysResult {
    Ok(cx.tid as u64)
}

/// `exit(2)`: ends the thread, with the last one the process.
pub fn exit(cx: &mut Cx<'_>, status: Int) -> SysResult {
    let code = status.0 as u8;
    let main = cx.tid == cx.process.pid;
    if cx.process.threads.len() == 1 {
        let code = if main { code } else { cx.process.main_status.unwrap_or(code) };
        cx.process.exit = Some(ExitStatus::Code(code));
        return Err(Outcome::NoReturn);
    }
    if main {
        cx.process.main_status = Some(code);
    }
    if cx.process.script.is_none() {
        thread::ends(cx.process, cx.tid);
    }
    if let Some(gone) = cx.process.threads.remove(&cx.tid) {
        cx.engine.remove_cpu(gone.cpu);
    }
    Err(Outcome::NoReturn)
}

/// `exit_group(2)`.
pub fn exit_group(cx: &mut Cx<'_>, status: Int) -> SysResult {
    cx.process.exit = Some(ExitStatus::Code(status.0 as u8));
    Err(Outcome::NoReturn)
}

/// `rseq(2)`: refused, as by a kernel without it; C libraries do without.
pub fn rseq(_cx: &mut Cx<'_>, _area: Ptr, _len: Uint, _flags: Uint, _signature: Uint) -> SysResult {
    Err(Errno::ENOSYS.into())
}

/// `membarrier(2)`: the threads of a process take turns on one host thread, so that private barriers hold at any time;
/// global ones are the host's.
pub fn membarrier(cx: &mut Cx<'_>, command: Const<Membarrier>, flags: Uint, cpu: Int) -> SysResult {
    let private = Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED
        | Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
        | Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
        | Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
    let _ = (cx, cpu);
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let command = u64::from(command.0);
    match command {
        Membarrier::MEMBARRIER_CMD_QUERY => {
            let global = sys::proc::membarrier(0, 0, 0).unwrap_or(0) as u64 & 7;
            Ok(global | private)
        }
        c if c.count_ones() == 1 && c & private != 0 => Ok(0),
        1 | 2 | 4 => Ok(sys::proc::membarrier(command as i32, 0, 0)? as u64),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// `unshare(2)`: a process with one thread shares nothing that it could give up but its namespaces.
pub fn unshare(cx: &mut Cx<'_>, flags: Flags<Clone>) -> SysResult {
    let own = Clone::CLONE_FS | Clone::CLONE_FILES | Clone::CLONE_SYSVSEM;
    let alone = own | Clone::CLONE_THREAD | Clone::CLONE_SIGHAND | Clone::CLONE_VM;
    if flags.0 & NAMESPACES != 0 {
        cx.unimplemented(format_args!("unshare of namespaces"));
        return Err(Errno::EPERM.into());
    }
    if flags.0 & !alone != 0 || (cx.process.threads.len() > 1 && flags.0 != 0) {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}
