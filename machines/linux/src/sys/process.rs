//! Processes: groups and sessions, programs, pidfds.

use crate::abi::flags::At;
use crate::abi::process_flags::{Kcmp, Pidfd};
use crate::abi::{Errno, GuestPtr, ULong};
use crate::args::{Const, DirFd, Fd, Flags, Path, Pid, Ptr, Size, Slong, Strings, Uint};
use crate::cx::{Cx, Outcome, SysResult};
use crate::thread::{self, Tid};
use crate::{exec, record, signal, vfork};
use tern_host::sys;

/// Longest argument or environment string (`MAX_ARG_STRLEN`, 32 pages).
const STRING_MAX: usize = 32 * 4096;
/// Bytes of all of them at least and at most (fs/exec.c: a quarter of the stack, three quarters of 8 MiB).
const TOTAL: (u64, u64) = (128 << 10, 6 << 20);

/// The process that a guest's number means: its own threads mean itself.
fn process_number(cx: &Cx<'_>, pid: Tid) -> Tid {
    if cx.process.threads.contains_key(&pid) { cx.process.pid } else { pid }
}

/// Reads a null-terminated array of strings; a null array is empty.
fn strings(cx: &mut Cx<'_>, list: Strings, left: &mut u64) -> Result<Vec<Vec<u8>>, Errno> {
    let mut out = Vec::new();
    let abi = cx.abi();
    if list.0 == 0 {
        return Ok(out);
    }
    for n in 0.. {
        let ptr = cx.read(GuestPtr::<ULong>::new(list.0).at(n, abi))?;
        if ptr == 0 {
            break;
        }
        let text = cx.mem().cstr(ptr, STRING_MAX)?.into_bytes();
        let size = text.len() as u64 + 1 + abi.word_bytes() as u64;
        *left = left.checked_sub(size).ok_or(Errno::E2BIG)?;
        out.push(text);
    }
    Ok(out)
}

/// `execve(2)`.
pub fn execve(cx: &mut Cx<'_>, path: Path, argv: Strings, envp: Strings) -> SysResult {
    run_program(cx, path.0.as_bytes(), argv, envp)
}

/// `execveat(2)`.
pub fn execveat(cx: &mut Cx<'_>, dir: DirFd, path: Path, argv: Strings, envp: Strings, flags: Flags<At>) -> SysResult {
    if flags.0 & !(At::AT_EMPTY_PATH | At::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = path.0.as_bytes();
    if name.is_empty() && flags.0 & At::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT.into());
    }
    let full = if name.starts_with(b"/") || (dir.0 == sys::CWD && !name.is_empty()) {
        name.to_vec()
    } else {
        let flags = sys::file::fcntl(dir.0, sys::host::F_GETFD, 0)?;
        let mut base = super::mem::fd_path(dir.0);
        if name.is_empty() && (base.is_empty() || base.ends_with(b" (deleted)") || base.starts_with(b"/memfd:")) {
            if flags & sys::host::FD_CLOEXEC != 0 {
                // It is gone when tern runs again; Linux has the same trouble with scripts.
                return Err(Errno::ENOENT.into());
            }
            base = format!("/proc/self/fd/{}", dir.0).into_bytes();
        }
        if !name.is_empty() {
            base.push(b'/');
            base.extend_from_slice(name);
        }
        base
    };
    if flags.0 & At::AT_SYMLINK_NOFOLLOW != 0 {
        let c = std::ffi::CString::new(full.clone()).map_err(|_| Errno::ENOENT)?;
        let host = cx.process.paths.lookup(&c, crate::paths::Last::Keep);
        if sys::fs::readlinkat(sys::CWD, &host, &mut [0]).is_ok() {
            return Err(Errno::ELOOP.into());
        }
    }
    run_program(cx, &full, argv, envp)
}

fn run_program(cx: &mut Cx<'_>, path: &[u8], argv: Strings, envp: Strings) -> SysResult {
    if cx.process.script.is_some() {
        return replay_program(cx);
    }
    let mut left = (cx.process.rlimits.stack.soft / 4).clamp(TOTAL.0, TOTAL.1);
    let argv = strings(cx, argv, &mut left)?;
    let env = strings(cx, envp, &mut left)?;
    // What would fail fails now, while nothing has been given up.
    let target = exec::resolve(&cx.process.paths, path, &argv).map_err(|e| e.errno())?;
    let tids: Vec<Tid> = cx.process.threads.keys().copied().collect();
    for tid in tids {
        let waiting = cx.process.threads.get(&tid).is_some_and(|t| t.call.queued);
        if !waiting {
            thread::release_futexes(cx.process, tid);
        }
    }
    vfork::report(cx.process);
    if cx.process.recorder.is_some() {
        match target {
            exec::Target::Guest(guest) if core::ptr::eq(guest.headers.isa, cx.process.isa) => {
                return Err(exec::in_place(cx, guest, path.to_vec(), env));
            }
            exec::Target::Guest(guest) => record::leaves(cx, format!("a {} program", guest.headers.isa.name)),
            exec::Target::Host => record::leaves(cx, "a program of the host".to_owned()),
        }
    }
    let mask = cx.thread().signals.mask;
    signal::host::before_exec(cx.process, cx.tid, mask);
    let error = exec::replace(cx, path, &argv, &env);
    signal::host::after_failed_exec(cx.process, cx.tid);
    Err(error.into())
}

/// Executes what the log says, unless it could not be.
fn replay_program(cx: &mut Cx<'_>) -> SysResult {
    let program = cx.process.script.as_mut().and_then(|script| script.program.take());
    let program = program.ok_or(Errno::ENOEXEC)?;
    exec::replay(cx, program).map_err(|e| e.errno())?;
    Err(Outcome::NoReturn)
}

/// `getpgid(2)`.
pub fn getpgid(cx: &mut Cx<'_>, pid: Pid) -> SysResult {
    Ok(sys::proc::getpgid(process_number(cx, pid.0))? as u64)
}

/// `setpgid(2)`.
pub fn setpgid(_cx: &mut Cx<'_>, pid: Pid, group: Pid) -> SysResult {
    sys::proc::setpgid(pid.0, group.0)?;
    Ok(0)
}

/// `getsid(2)`.
pub fn getsid(cx: &mut Cx<'_>, pid: Pid) -> SysResult {
    Ok(sys::proc::getsid(process_number(cx, pid.0))? as u64)
}

/// `setsid(2)`.
pub fn setsid(_cx: &mut Cx<'_>) -> SysResult {
    Ok(sys::proc::setsid()? as u64)
}

/// `pidfd_open(2)`.
pub fn pidfd_open(cx: &mut Cx<'_>, pid: Pid, flags: Flags<Pidfd>) -> SysResult {
    if flags.0 & !Pidfd::PIDFD_NONBLOCK != 0 {
        if flags.0 & Pidfd::PIDFD_THREAD != 0 {
            cx.unimplemented(format_args!("pidfd_open of a thread"));
        }
        return Err(Errno::EINVAL.into());
    }
    let nonblock = if flags.0 & Pidfd::PIDFD_NONBLOCK != 0 { sys::host::O_NONBLOCK as u32 } else { 0 };
    Ok(sys::proc::pidfd_open(pid.0, nonblock)? as u64)
}

/// `ptrace(2)`: nobody may.
pub fn ptrace(cx: &mut Cx<'_>, request: Slong, _pid: Pid, _addr: Ptr, _data: Ptr) -> SysResult {
    cx.unimplemented(format_args!("ptrace request {}", request.0));
    Err(Errno::EPERM.into())
}

/// `kcmp(2)` inside this process, whose threads share everything; descriptors are the same if they are one number.
pub fn kcmp(cx: &mut Cx<'_>, a: Pid, b: Pid, kind: Const<Kcmp>, x: Size, y: Size) -> SysResult {
    let own = |cx: &Cx<'_>, pid: Pid| cx.process.threads.contains_key(&pid.0) || pid.0 == cx.process.pid;
    if kind.0 > 6 {
        return Err(Errno::EINVAL.into());
    }
    if !own(cx, a) || !own(cx, b) || (u64::from(kind.0) == Kcmp::KCMP_FILE && x.0 != y.0) {
        cx.unimplemented(format_args!("kcmp of other processes or descriptors"));
        return Err(Errno::ENOSYS.into());
    }
    Ok(0)
}

/// `setns(2)`: other namespaces are not for guests.
pub fn setns(cx: &mut Cx<'_>, _fd: Fd, _kind: Uint) -> SysResult {
    cx.unimplemented(format_args!("setns"));
    Err(Errno::EPERM.into())
}
