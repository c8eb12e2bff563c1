//! What a path leads to when it is executed: a guest program, a script, a program of the host; and execve.

use crate::abi::Errno;
use crate::config::Config;
use crate::cx::{Cx, Outcome};
use crate::elf::loader::Program;
use crate::elf::{Headers, LoadError, Reason};
use crate::mm::map::HIDDEN_FD_MIN;
use crate::paths::Paths;
use crate::process::{ExitStatus, Process};
use crate::record::{self, item::Extra};
use crate::signal::{Action, AltStack, SIG_DFL, SIG_IGN, ThreadSignals};
use crate::start::{self, Facts};
use crate::thread::Thread;
use std::ffi::CString;
use std::rc::Rc;
use tern_host::sys;

/// Scripts that scripts may lead to (fs/exec.c).
const SCRIPT_DEPTH: usize = 5;
/// How much of a script's first line counts (`BINPRM_BUF_SIZE`).
const SCRIPT_LINE: usize = 256;

/// `e_machine` of the host, 64-bit, big-endian; `None` for a host that has none of these.
#[must_use]
pub fn host_machine() -> Option<(u16, bool, bool)> {
    let machine = match std::env::consts::ARCH {
        "x86" => 3,
        "x86_64" => 62,
        "arm" => 40,
        "aarch64" => 183,
        "riscv32" | "riscv64" => 243,
        "powerpc" => 20,
        "powerpc64" => 21,
        "s390x" => 22,
        "mips" | "mips64" => 8,
        "sparc64" => 43,
        "loongarch64" => 258,
        "m68k" => 4,
        _ => return None,
    };
    Some((machine, cfg!(target_pointer_width = "64"), cfg!(target_endian = "big")))
}

/// What is to be run.
pub enum Target {
    /// A program of a guest that tern knows.
    Guest(Box<Guest>),
    /// A program or script of the host.
    Host,
}

/// A guest program.
pub struct Guest {
    /// The open file.
    pub program: Program,
    /// Its headers.
    pub headers: Headers,
    /// Its path, as the guest or a script named it.
    pub path: Vec<u8>,
    /// The arguments, with those that scripts add.
    pub argv: Vec<Vec<u8>>,
}

/// Finds out what a path leads to.
///
/// # Errors
/// It cannot be executed: which file, and why.
pub fn resolve(paths: &Paths, path: &[u8], argv: &[Vec<u8>]) -> Result<Target, LoadError> {
    let mut path = path.to_vec();
    let mut argv = argv.to_vec();
    for _ in 0..=SCRIPT_DEPTH {
        let program = Program::open(paths, &path)?;
        let mut head = [0; SCRIPT_LINE];
        let n = program.read_at(0, &mut head).map_err(|e| LoadError::new(&path, Reason::Os(e)))?;
        if let Some((interpreter, argument)) = script(&head[..n]) {
            // The interpreter's path, the optional argument and the script's path replace argv[0] (fs/binfmt_script.c).
            let mut new = vec![interpreter.clone()];
            new.extend(argument);
            new.push(path);
            new.extend(argv.into_iter().skip(1));
            (path, argv) = (interpreter, new);
            continue;
        }
        return match program.headers() {
            Ok(headers) => Ok(Target::Guest(Box::new(Guest { program, headers, path, argv }))),
            Err(LoadError { reason: Reason::Machine(m, is64, big), .. }) if host_machine() == Some((m, is64, big)) => {
                Ok(Target::Host)
            }
            Err(e) => Err(e),
        };
    }
    Err(LoadError::new(&path, Reason::ScriptDepth))
}

/// The interpreter and argument in a script's first line.
#[must_use]
pub fn script(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|b| *b == b'\n' || *b == 0).next().unwrap_or(line);
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = line.iter().position(|b| !blank(b))?;
    let end = line.iter().rposition(|b| !blank(b))? + 1;
    let line = &line[start..end];
    let stop = line.iter().position(blank).unwrap_or(line.len());
    let rest = &line[stop..];
    let argument = rest.iter().position(|b| !blank(b)).map(|at| rest[at..].to_vec());
    Some((line[..stop].to_vec(), argument))
}

/// Replaces the program of a process that is recorded, in this very process, so that the log goes on.
///
/// # Errors
/// Nothing: once the old program is gone there is no way back, and the process dies if the new one cannot be loaded.
#[must_use]
pub fn in_place(cx: &mut Cx<'_>, mut guest: Box<Guest>, execfn: Vec<u8>, env: Vec<Vec<u8>>) -> Outcome {
    let Ok(facts) = Facts::of_host(execfn, env.clone()) else { return Errno::EAGAIN.into() };
    let config =
        Config { program: facts.execfn.clone(), argv: guest.argv.clone(), env, ..Config::clone(&cx.process.config) };
    replace_program(cx, config);
    let mut recorder = cx.process.recorder.take();
    let loaded = start::load_guest(cx.process, &mut guest, facts, recorder.as_deref_mut());
    cx.process.recorder = recorder;
    // Its descriptor is one of those that are closed.
    drop(guest);
    close_on_exec();
    match loaded {
        Ok(program) => {
            if let Some(recorder) = &mut cx.process.recorder {
                recorder.set_extra(Extra::Exec(program));
            }
            begin(cx);
        }
        Err(e) => {
            cx.process.lost_recording = Some(e.to_string());
            cx.process.exit = Some(ExitStatus::Signal(9));
        }
    }
    Outcome::NoReturn
}

/// Does in a replay what [`in_place`] did.
///
/// # Errors
/// The program cannot be loaded.
pub fn replay(cx: &mut Cx<'_>, recorded: record::Loadable) -> Result<(), LoadError> {
    let record::Loadable { program, files } = recorded;
    let config = Config {
        program: program.execfn.clone(),
        argv: program.argv.clone(),
        env: program.env.clone(),
        ..Config::clone(&cx.process.config)
    };
    replace_program(cx, config);
    load_recorded(cx.process, program, files)?;
    begin(cx);
    Ok(())
}

/// Loads a recorded program into the process's empty memory.
///
/// # Errors
/// It cannot be loaded.
pub fn load_recorded(
    process: &mut Process,
    program: record::item::Program,
    files: Vec<Program>,
) -> Result<(), LoadError> {
    let record::item::Program { path, execfn, argv, env, random, uid, gid, .. } = program;
    let missing = || LoadError::new(&execfn, Reason::Os(Errno::ENOENT));
    let mut files = files.into_iter();
    let file = files.next().ok_or_else(missing)?;
    let headers = file.headers()?;
    if !core::ptr::eq(headers.isa, process.isa) {
        return Err(LoadError::new(&path, Reason::OtherIsa(headers.isa.name)));
    }
    let ids = |(real, effective)| sys::cred::Ids { real, effective, saved: effective };
    let guest = Guest { program: file, headers, path, argv };
    let facts = Facts { execfn: execfn.clone(), env, random, uid: ids(uid), gid: ids(gid) };
    start::load_image(process, &guest, &facts, &mut |_| files.next().ok_or_else(missing))
}

/// What is left of a process when its program goes.
fn replace_program(cx: &mut Cx<'_>, config: Config) {
    let process = &mut *cx.process;
    let own = process.threads.remove(&cx.tid);
    for gone in
        core::mem::take(&mut process.threads).into_values().chain(own.as_ref().map(|t| Thread::new(t.tid, t.cpu)))
    {
        cx.engine.remove_cpu(gone.cpu);
    }
    let mut thread = Thread::new(process.pid, cx.engine.add_cpu());
    if let Some(own) = own {
        thread.signals = ThreadSignals { saved_mask: None, alt: AltStack::default(), ..own.signals };
        thread.retired = own.retired;
    }
    thread.name = start::comm(&config.program);
    process.threads.insert(process.pid, thread);
    cx.tid = process.pid;
    process.config = Rc::new(config);
    process.mem.renew();
    process.vfork = None;
    process.last_thread = 0;
    process.futexes.clear();
    process.timers = crate::timers::Timers::default();
    process.main_status = None;
    for signo in 1..=64 {
        let action = process.signals.action(signo);
        let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
        process.signals.actions[signo as usize - 1] = Action { handler, ..Action::default() };
        crate::signal::host::apply(process, signo);
    }
}

/// The new program's first instruction is next.
fn begin(cx: &mut Cx<'_>) {
    let cpu = cx.thread().cpu;
    start::set_start(cx.process, cx.engine.state_mut(cpu));
}

/// Closes the guest's descriptors that are not for other programs.
fn close_on_exec() {
    use tern_host::sys::host::{F_GETFD, FD_CLOEXEC, O_CLOEXEC, O_DIRECTORY, O_RDONLY};
    let Ok(dir) = sys::file::openat(sys::CWD, c"/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) else { return };
    let mut open: Vec<i32> = Vec::new();
    let mut buf = vec![0; 4096];
    while let Ok(n @ 1..) = sys::file::getdents64(dir, &mut buf) {
        let names = sys::file::Dirents::new(&buf[..n]).map(|entry| entry.name.to_vec());
        open.extend(names.filter_map(|name| str::from_utf8(&name).ok()?.parse::<i32>().ok()));
    }
    for fd in open.into_iter().filter(|fd| *fd < HIDDEN_FD_MIN) {
        if fd == dir || sys::file::fcntl(fd, F_GETFD, 0).is_ok_and(|flags| flags & FD_CLOEXEC != 0) {
            let _ = sys::file::close(fd);
        }
    }
}

fn cstrings(list: &[Vec<u8>]) -> Result<Vec<CString>, Errno> {
    list.iter().map(|s| CString::new(s.as_slice()).map_err(|_| Errno::EINVAL)).collect()
}

/// Replaces this process by the program at a guest path; returns only if it cannot.
///
/// A guest program is run by tern again, with the same options and the guest's environment.  A host program is the
/// host's to run.
#[must_use]
pub fn replace(cx: &mut Cx<'_>, path: &[u8], argv: &[Vec<u8>], env: &[Vec<u8>]) -> Errno {
    match try_replace(cx, path, argv, env) {
        Ok(never) => match never {},
        Err(e) => e,
    }
}

fn try_replace(
    cx: &mut Cx<'_>,
    path: &[u8],
    argv: &[Vec<u8>],
    env: &[Vec<u8>],
) -> Result<core::convert::Infallible, Errno> {
    let target = resolve(&cx.process.paths, path, argv).map_err(|e| e.errno())?;
    let env = cstrings(env)?;
    match target {
        Target::Host => {
            let name = CString::new(path).map_err(|_| Errno::ENOENT)?;
            let host = cx.process.paths.lookup(&name, crate::paths::Last::Follow);
            Err(sys::proc::execve(&host, &cstrings(argv)?, &env).into())
        }
        Target::Guest(guest) => {
            drop(guest);
            if cx.process.config.reexec.is_empty() {
                return Err(Errno::ENOEXEC);
            }
            let mut args = cx.process.config.reexec.clone();
            // A guest without argv[0] gets an empty one (fs/exec.c).
            let argv = if argv.is_empty() { vec![CString::default()] } else { cstrings(argv)? };
            let session = crate::debug::keep_session(cx.process);
            if let Some(option) = &session {
                // The last one ends the options.
                args.insert(args.len() - 1, option.clone());
            }
            args.push(argv[0].clone());
            args.push(CString::new(path).map_err(|_| Errno::ENOENT)?);
            args.extend(argv.into_iter().skip(1));
            let error = sys::proc::execve(c"/proc/self/exe", &args, &env);
            if session.is_some() {
                crate::debug::end_session(cx.process);
            }
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(String, Option<String>)> {
        let text = |b: Vec<u8>| String::from_utf8(b).expect("utf-8");
        script(line.as_bytes()).map(|(i, a)| (text(i), a.map(text)))
    }

    #[test]
    fn first_lines_of_scripts() {
        let some = |i: &str, a: Option<&str>| Some((i.to_owned(), a.map(str::to_owned)));
        assert_eq!(parse("#!/bin/sh\nexit"), some("/bin/sh", None));
        assert_eq!(parse("#! /usr/bin/env  python3 -u \nx"), some("/usr/bin/env", Some("python3 -u")));
        assert_eq!(parse("#!/bin/sh"), some("/bin/sh", None), "no newline");
        assert_eq!(parse("#!  \n"), None);
        assert_eq!(parse("\x7fELF"), None);
    }
}
