//! What a debugger sees of a machine or a process, and what it can do to it.
//!
//! * [`Subject`]: a machine (its CPUs are threads) or a process.  Whoever can go back in time implements the reverse methods.
//! * [`gdb`]: gdb's remote protocol over a subject.
//!
//! Debugging changes nothing but what it is told to change: a subject that was stopped goes on as if it had not been.

pub mod gdb;
mod machine;

pub use machine::{Cpus, Holder};

use tern_core::frontend::Frontend;
use tern_core::state::{Slot, State};
use tern_core::stops::{Stops, Touched};

/// A thread's number, from 1 on.
pub type Thread = u64;

/// How a subject is to go on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Resume {
    /// The thread that is to stop when it has retired one instruction or taken a trap.
    pub step: Option<Thread>,
    /// Only this thread may run, where the subject can arrange that; machines and processes keep to their schedule, so that
    /// others run too if their turn comes first.
    pub only: Option<Thread>,
    /// Signals that threads get before they go on (asm-generic numbers).
    pub signals: Vec<(Thread, i32)>,
    /// Signals that are delivered without stopping (bit n for number n + 1).
    pub pass: u64,
    /// Stop when the process forks, when a child of `vfork` lets go of its parent's memory, when a program is executed.
    pub events: Events,
    /// What a new program needs to go on with the session ([`gdb::Server::resumed`]).
    pub session: String,
}

/// Events of a process that stop it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Events {
    /// `fork`.
    pub fork: bool,
    /// `vfork`.
    pub vfork: bool,
    /// `execve`.
    pub exec: bool,
}

/// Why a subject has stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// There is a breakpoint before the thread's next instruction.
    Breakpoint(Thread),
    /// The thread's last instruction touched watched memory.
    Watch(Thread, Touched),
    /// The thread has made its step.
    Step(Thread),
    /// Somebody interrupted it.
    Interrupted,
    /// A signal is about to be delivered to a thread (asm-generic number); it is, if the thread goes on with it.
    Signal(Thread, i32),
    /// The process has ended by `exit_group` with this status, or the machine has come to its end.
    Exited(u8),
    /// The process has been ended by this signal.
    Killed(i32),
    /// The thread has forked; the child stands before its first instruction until [`Subject::part`] says what becomes of it.
    Forked {
        /// The parent's thread.
        thread: Thread,
        /// The child's process.
        child: u64,
        /// The child has its parent's memory, and the thread waits.
        vfork: bool,
    },
    /// The child of the thread's `vfork` has let go of the memory.
    VforkDone(Thread),
    /// The process has executed a program and stands before its first instruction.
    Executed(Thread, Vec<u8>),
    /// This is a child that has forked off, and goes its own way.
    Left,
    /// This is a child that has forked off, and is what is debugged from now on; it stands where it began.
    Followed,
    /// There is nothing before this position.
    Begin,
    /// There is nothing after this position.
    End,
}

/// The subject cannot do that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsupported;

/// What becomes of parent and child after a fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The child goes its own way; the parent is debugged.
    KeepParent,
    /// The parent goes its own way; the child is debugged.
    KeepChild,
}

/// What the debugger's host knows about a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(missing_docs, reason = "the names are those of stat(2)")]
pub struct FileStat {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: i64,
}

/// Files as the guest sees them, to be read.  Errors are asm-generic numbers.
pub trait Files {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Why not.
    fn open(&mut self, path: &[u8]) -> Result<u32, i32>;
    /// Closes it.
    ///
    /// # Errors
    /// There is no such file.
    fn close(&mut self, fd: u32) -> Result<(), i32>;
    /// Reads at a position; 0 bytes at the end.
    ///
    /// # Errors
    /// Why not.
    fn pread(&mut self, fd: u32, offset: u64, buf: &mut [u8]) -> Result<usize, i32>;
    /// What it is.
    ///
    /// # Errors
    /// Why not.
    fn fstat(&mut self, fd: u32) -> Result<FileStat, i32>;
    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// Why not.
    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>, i32>;
}

/// A machine or a process, stopped.
pub trait Subject {
    /// The ISA's name: `riscv64`.
    fn isa(&self) -> &str;

    /// The ISA.
    fn frontend(&self) -> &dyn Frontend;

    /// The process's number.
    fn process(&self) -> u64 {
        1
    }

    /// Its threads, at least one as long as it lives, in order.
    fn threads(&self) -> Vec<Thread>;

    /// A thread's name and what it does, for people.
    fn describe(&self, thread: Thread) -> String;

    /// The thread that stopped last, or would run next.
    fn current(&self) -> Thread;

    /// A thread's slots; `None`: there is no such thread.
    fn state(&self, thread: Thread) -> Option<&State>;

    /// Changes a slot of a thread; false: there is no such thread.
    fn set_slot(&mut self, thread: Thread, slot: Slot, value: u64) -> bool;

    /// Reads a control register, or writes it; the value that it had.  `None`: there is none, or it cannot be written.
    fn control(&mut self, thread: Thread, number: u32, write: Option<u64>) -> Option<u64>;

    /// Copies memory out as a thread sees it; how many bytes there are.
    fn read(&mut self, thread: Thread, addr: u64, buf: &mut [u8]) -> usize;

    /// Copies memory in, whatever the thread may do itself; how many bytes could be written.
    fn write(&mut self, thread: Thread, addr: u64, bytes: &[u8]) -> usize;

    /// Copies physical memory out; `None`: there is none of its own.
    fn read_physical(&mut self, addr: u64, buf: &mut [u8]) -> Option<usize> {
        let _ = (addr, buf);
        None
    }

    /// Copies physical memory in.
    fn write_physical(&mut self, addr: u64, bytes: &[u8]) -> Option<usize> {
        let _ = (addr, bytes);
        None
    }

    /// Instructions retired so far.
    fn position(&self) -> u64;

    /// Goes on until something stops it; `interrupt` is asked often whether somebody wants that.  A breakpoint where the
    /// thread stands that stopped last, or that is to step, does not stop it.
    fn run(&mut self, stops: &Stops, resume: &Resume, interrupt: &mut dyn FnMut() -> bool) -> Why;

    /// Can it go back in time?
    fn reverses(&self) -> bool {
        false
    }

    /// Goes back to before the last instruction of a thread.
    ///
    /// # Errors
    /// It cannot go back.
    fn reverse_step(&mut self, thread: Thread) -> Result<Why, Unsupported> {
        let _ = thread;
        Err(Unsupported)
    }

    /// Goes back to the last point at which something would have stopped it, or to the beginning.
    ///
    /// # Errors
    /// It cannot go back.
    fn reverse_continue(&mut self, stops: &Stops, interrupt: &mut dyn FnMut() -> bool) -> Result<Why, Unsupported> {
        let _ = (stops, interrupt);
        Err(Unsupported)
    }

    /// Does what a line of the debugger's `monitor` asks for; `None`: it has no such command.
    fn monitor(&mut self, line: &str) -> Option<String> {
        let _ = line;
        None
    }

    /// The auxiliary vector of a process.
    fn auxv(&self) -> Option<Vec<u8>> {
        None
    }

    /// The `siginfo_t` of the signal that has stopped a thread, as the guest has it.
    fn siginfo(&self, thread: Thread) -> Option<Vec<u8>> {
        let _ = thread;
        None
    }

    /// The program of a process, as the guest names it.
    fn exec_file(&self) -> Option<Vec<u8>> {
        None
    }

    /// By how much the program of a process has been moved.
    fn offset(&mut self) -> Option<u64> {
        None
    }

    /// The shared libraries of a process: the address of the list's head (`r_debug`'s link map, 0 if unknown), and each.
    fn libraries(&mut self) -> Option<Vec<Library>> {
        None
    }

    /// Files as the guest sees them.
    fn files(&mut self) -> Option<&mut dyn Files> {
        None
    }

    /// Can it tell of forks and executed programs?
    fn tells_events(&self) -> bool {
        false
    }

    /// Says what becomes of both sides of a fork; false: there is no such child.
    fn part(&mut self, child: u64, part: Part) -> bool {
        let _ = (child, part);
        false
    }

    /// Ends it.
    fn kill(&mut self);
}

/// A shared library of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    /// Its path.
    pub name: Vec<u8>,
    /// Address of its entry in the dynamic linker's list.
    pub map: u64,
    /// By how much it has been moved.
    pub offset: u64,
    /// Address of its dynamic section.
    pub dynamic: u64,
}
