//! A process as a subject.

use super::{Debug, image, is_stopped, let_go, part, resume};
use crate::engine::Engine;
use crate::mm::vma::HiddenFd;
use crate::paths::Last;
use crate::process::{ExitStatus, Process};
use crate::sched::{self, Turn};
use crate::signal;
use crate::thread::{RunState, Tid};
use std::ffi::CString;
use std::rc::Rc;
use tern_core::frontend::{Frontend, HelperCx};
use tern_core::state::{Slot, State};
use tern_core::stops::Stops;
use tern_core::system::Flush;
use tern_host::sys;
use tern_session::debug::{FileStat, Files, Library, Part, Resume, Subject, Thread, Why};

/// Most files that a debugger has open at a time.
const MOST_FILES: usize = 256;

/// A process under a debugger.
pub struct Debugged<'a> {
    process: &'a mut Process,
    engine: &'a mut dyn Engine,
    frontend: Rc<dyn Frontend>,
    turn: Turn,
    current: Tid,
    ended: Option<ExitStatus>,
    files: Vec<Option<HiddenFd>>,
}

impl<'a> Debugged<'a> {
    /// A process that has been loaded and has not run; `fd` is the connection.
    pub fn new(
        process: &'a mut Process,
        engine: &'a mut dyn Engine,
        frontend: Rc<dyn Frontend>,
        fd: i32,
    ) -> Debugged<'a> {
        process.debug = Some(Box::new(Debug::new(fd)));
        process.waits_in_kernel = false;
        signal::host::start(process);
        let current = process.pid;
        Debugged { process, engine, frontend, turn: Turn::default(), current, ended: None, files: Vec::new() }
    }

    /// The process has executed this program: what the debugger is told.
    #[must_use]
    pub fn executed(&self) -> Why {
        Why::Executed(self.process.pid as u64, self.program())
    }

    /// The main thread.
    #[must_use]
    pub fn pid(&self) -> Thread {
        self.process.pid as u64
    }

    /// How the process has ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.ended
    }

    /// Lets go of the process, which runs to its end.
    pub fn go_on(self) -> ExitStatus {
        self.engine.set_stops(&Stops::default());
        let_go(self.process);
        self.process.waits_in_kernel = true;
        drop(self.files);
        match self.ended {
            Some(status) => status,
            None => sched::go_on(self.process, self.engine, self.turn),
        }
    }

    fn program(&self) -> Vec<u8> {
        self.process.paths.guest_view(&self.process.image.exe)
    }

    fn thread(&self, thread: Thread) -> Option<&crate::thread::Thread> {
        self.process.threads.get(&Tid::try_from(thread).ok()?)
    }

    fn fd(&self, fd: u32) -> Result<i32, i32> {
        self.files.get(fd as usize).and_then(Option::as_ref).map(|f| f.0).ok_or(9)
    }
}

fn why(status: ExitStatus) -> Why {
    match status {
        ExitStatus::Code(code) => Why::Exited(code),
        ExitStatus::Signal(signo) => Why::Killed(signo),
    }
}

impl Subject for Debugged<'_> {
    fn isa(&self) -> &str {
        self.process.isa.name
    }

    fn frontend(&self) -> &dyn Frontend {
        &*self.frontend
    }

    fn process(&self) -> u64 {
        self.process.pid as u64
    }

    fn threads(&self) -> Vec<Thread> {
        self.process.threads.keys().map(|tid| *tid as u64).collect()
    }

    fn describe(&self, thread: Thread) -> String {
        let Some(thread) = self.thread(thread) else { return String::new() };
        let name = String::from_utf8_lossy(&thread.name);
        match &thread.run {
            RunState::Ready => name.into_owned(),
            RunState::Blocked(_) => format!("{name} (in system call {})", thread.call.nr),
        }
    }

    fn current(&self) -> Thread {
        let there = self.process.threads.contains_key(&self.current);
        let first = || self.process.threads.keys().next().copied().unwrap_or(self.process.pid);
        (if there { self.current } else { first() }) as u64
    }

    fn state(&self, thread: Thread) -> Option<&State> {
        self.thread(thread).map(|t| self.engine.state(t.cpu))
    }

    fn set_slot(&mut self, thread: Thread, slot: Slot, value: u64) -> bool {
        let Some(cpu) = self.thread(thread).map(|t| t.cpu) else { return false };
        self.engine.state_mut(cpu).set(slot, value);
        true
    }

    fn control(&mut self, thread: Thread, number: u32, write: Option<u64>) -> Option<u64> {
        let cpu = self.thread(thread)?.cpu;
        let icount = self.engine.icount(cpu);
        let state = self.engine.state_mut(cpu);
        let mut cx = HelperCx { state, platform: &mut self.process.mem, system: None, flush: Flush::None, icount };
        self.frontend.control_register(&mut cx, number, write)
    }

    fn read(&mut self, _thread: Thread, addr: u64, buf: &mut [u8]) -> usize {
        self.process.mem.peek(addr, buf)
    }

    fn write(&mut self, _thread: Thread, addr: u64, bytes: &[u8]) -> usize {
        self.process.mem.poke(addr, bytes)
    }

    fn position(&self) -> u64 {
        self.engine.total_icount()
    }

    fn run(&mut self, stops: &Stops, how: &Resume, interrupt: &mut dyn FnMut() -> bool) -> Why {
        if let Some(status) = self.ended {
            return why(status);
        }
        // A step is one instruction, which nothing but its end stops; what stops all others may come back at once.
        if how.step.is_none() {
            self.engine.set_stops(stops);
        }
        let current = self.current();
        for thread in [Some(current), how.step].into_iter().flatten() {
            if let Some(cpu) = self.thread(thread).map(|t| t.cpu) {
                self.engine.pass(cpu);
            }
        }
        resume(self.process, how);
        loop {
            let status = sched::turn(self.process, self.engine, &mut self.turn);
            if let Some(status) = status {
                self.ended = Some(status);
                return why(status);
            }
            if is_stopped(self.process)
                && let Some(stop) = self.process.debug.as_mut().and_then(|d| d.stop.take())
            {
                self.current = match &stop {
                    Why::Breakpoint(t) | Why::Watch(t, _) | Why::Step(t) | Why::Signal(t, _) | Why::VforkDone(t) => {
                        *t as Tid
                    }
                    Why::Forked { thread, .. } => *thread as Tid,
                    _ => self.turn.last,
                };
                return stop;
            }
            if interrupt() {
                self.current = self.turn.last;
                return Why::Interrupted;
            }
        }
    }

    fn auxv(&self) -> Option<Vec<u8>> {
        Some(self.process.image.auxv.clone())
    }

    fn siginfo(&self, thread: Thread) -> Option<Vec<u8>> {
        let (tid, info) = self.process.debug.as_ref()?.held?;
        (tid as Thread == thread).then(|| info.encode(self.process.isa.abi).to_vec())
    }

    fn exec_file(&self) -> Option<Vec<u8>> {
        Some(self.program())
    }

    fn offset(&mut self) -> Option<u64> {
        image::offset(self.process)
    }

    fn libraries(&mut self) -> Option<Vec<Library>> {
        image::libraries(self.process)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(self)
    }

    fn tells_events(&self) -> bool {
        true
    }

    fn part(&mut self, child: u64, what: Part) -> bool {
        part(self.process, child as Tid, what)
    }

    fn kill(&mut self) {
        let status = ExitStatus::Signal(9);
        self.process.exit = Some(status);
        crate::thread::process_ends(self.process);
        self.ended = Some(status);
    }
}

impl Files for Debugged<'_> {
    fn open(&mut self, path: &[u8]) -> Result<u32, i32> {
        let path = CString::new(path).map_err(|_| 2)?;
        let host = self.process.paths.lookup(&path, Last::Follow);
        let flags = sys::host::O_RDONLY | sys::host::O_CLOEXEC | sys::host::O_NONBLOCK | sys::host::O_NOCTTY;
        let fd = HiddenFd(sys::file::openat(sys::CWD, &host, flags, 0).map_err(|e| e.0)?);
        let fd = crate::mm::map::hide(fd.0).map_err(|_| 24)?;
        let free = self.files.iter().position(Option::is_none);
        match free {
            Some(at) => {
                self.files[at] = Some(fd);
                Ok(at as u32)
            }
            None if self.files.len() < MOST_FILES => {
                self.files.push(Some(fd));
                Ok(self.files.len() as u32 - 1)
            }
            None => Err(24),
        }
    }

    fn close(&mut self, fd: u32) -> Result<(), i32> {
        self.files.get_mut(fd as usize).and_then(Option::take).map(|_| ()).ok_or(9)
    }

    fn pread(&mut self, fd: u32, offset: u64, buf: &mut [u8]) -> Result<usize, i32> {
        let at = i64::try_from(offset).map_err(|_| 22)?;
        sys::file::pread(self.fd(fd)?, buf, at).map_err(|e| e.0)
    }

    fn fstat(&mut self, fd: u32) -> Result<FileStat, i32> {
        let s = sys::fs::fstat(self.fd(fd)?).map_err(|e| e.0)?;
        Ok(FileStat {
            dev: u64::from(s.dev.0) << 32 | u64::from(s.dev.1),
            ino: s.ino,
            mode: s.mode,
            nlink: u64::from(s.nlink),
            uid: s.uid,
            gid: s.gid,
            size: s.size,
            mtime: s.mtime.sec,
        })
    }

    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>, i32> {
        let path = CString::new(path).map_err(|_| 2)?;
        let host = self.process.paths.lookup(&path, Last::Keep);
        let mut buf = vec![0; 4096];
        let n = sys::fs::readlinkat(sys::CWD, &host, &mut buf).map_err(|e| e.0)?;
        buf.truncate(n);
        Ok(buf)
    }
}
