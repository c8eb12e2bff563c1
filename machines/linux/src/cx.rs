//! What a syscall handler works on, and what it answers.

use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::engine::Engine;
use crate::isa::Isa;
use crate::mm::Space;
use crate::process::Process;
use crate::record::recorder::Way;
use crate::sched::Wait;
use crate::thread::{Thread, Tid};
use std::ffi::CString;
use tern_core::state::State;

/// Longest path with its terminator (linux/limits.h).
pub const PATH_MAX: usize = 4096;
/// Most bytes that one read or write moves (`MAX_RW_COUNT`).
pub const MAX_RW: u64 = 0x7fff_f000;

/// Why a handler did not return a value.
#[derive(Debug)]
pub enum Outcome {
    /// The guest sees this error.
    Err(Errno),
    /// The condition does not hold yet: other threads run, and the call is issued again when it may hold.
    Block(Wait),
    /// Registers are already as they must be, or the thread is gone (sigreturn, exec, exit).
    NoReturn,
    /// The call is issued again at once, after signals have been delivered (`-ERESTARTNOINTR`).
    Restart,
}

impl From<Errno> for Outcome {
    fn from(e: Errno) -> Outcome {
        Outcome::Err(e)
    }
}

impl From<tern_host::sys::Errno> for Outcome {
    fn from(e: tern_host::sys::Errno) -> Outcome {
        Outcome::Err(e.into())
    }
}

impl From<tern_core::mem::MemFault> for Outcome {
    fn from(_: tern_core::mem::MemFault) -> Outcome {
        Outcome::Err(Errno::EFAULT)
    }
}

/// A handler's answer.
pub type SysResult = Result<u64, Outcome>;

/// The context of a syscall: the process, the engine that runs its CPUs, and the calling thread.
pub struct Cx<'a> {
    /// The process.
    pub process: &'a mut Process,
    /// The engine.
    pub engine: &'a mut dyn Engine,
    /// The calling thread.
    pub tid: Tid,
}

impl Cx<'_> {
    /// Word size and byte order of the guest.
    #[must_use]
    pub fn abi(&self) -> Abi {
        self.process.isa.abi
    }

    /// The guest's ISA.
    #[must_use]
    pub fn isa(&self) -> &'static Isa {
        self.process.isa
    }

    /// Guest memory.
    pub fn mem(&mut self) -> &mut Space {
        &mut self.process.mem
    }

    /// The calling thread.
    ///
    /// # Panics
    /// If the thread is gone, which a running handler's thread is not.
    pub fn thread(&mut self) -> &mut Thread {
        self.process.threads.get_mut(&self.tid).expect("the calling thread lives while its handler runs")
    }

    /// The calling thread's CPU.
    pub fn state(&mut self) -> &mut State {
        let cpu = self.thread().cpu;
        self.engine.state_mut(cpu)
    }

    /// Reads a datum.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read<T: Field>(&mut self, ptr: GuestPtr<T>) -> Result<T::Value, Errno> {
        let abi = self.abi();
        self.mem().get::<T>(ptr, abi)
    }

    /// Writes a datum.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write<T: Field>(&mut self, ptr: GuestPtr<T>, value: &T::Value) -> Result<(), Errno> {
        let abi = self.abi();
        self.mem().put::<T>(ptr, value, abi)
    }

    /// Writes a datum unless the pointer is null.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_opt<T: Field>(&mut self, ptr: Option<GuestPtr<T>>, value: &T::Value) -> Result<(), Errno> {
        ptr.map_or(Ok(()), |ptr| self.write(ptr, value))
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// `EFAULT`; nothing is allocated for memory that the guest does not have.
    pub fn bytes(&mut self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        self.mem().bytes(addr, len)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// `EFAULT`; bytes before the fault have been written.
    pub fn put_bytes(&mut self, addr: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.mem().put_bytes(addr, bytes)
    }

    /// Reads a NUL-terminated path.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG`.
    pub fn path(&mut self, addr: u64) -> Result<CString, Errno> {
        self.mem().cstr(addr, PATH_MAX).map_err(|e| if e == Errno::E2BIG { Errno::ENAMETOOLONG } else { e })
    }

    /// The deadline of this call: computed when it is first issued, remembered while it blocks and is issued again.
    /// In nanoseconds of the host's monotonic clock.
    pub fn deadline(&mut self, compute: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let call = &mut self.thread().call;
        if !call.deadline_set {
            call.deadline = compute();
            call.deadline_set = true;
        }
        call.deadline
    }

    /// Has the deadline of this call passed?
    pub fn expired(&mut self) -> bool {
        let deadline = self.thread().call.deadline;
        deadline.is_some_and(|d| d <= self.process.now_ns())
    }

    /// Blocks unless `fd` is ready for `events` (`POLLIN`, `POLLOUT`) or does not block.  Errors of the descriptor are
    /// left to the call that follows.
    ///
    /// # Errors
    /// [`Outcome::Block`]; `EAGAIN` when a socket's time limit is over.
    pub fn wait_fd(&mut self, fd: i32, events: i16) -> Result<(), Outcome> {
        if crate::sched::ready(fd, events) || !crate::sched::can_block(fd, events) {
            return Ok(());
        }
        Err(crate::sys::socket::block(self, fd, events, Errno::EAGAIN))
    }

    /// May this call wait in the host's kernel?  Only where nobody but the host's signals can want the scheduler meanwhile.
    pub fn waits_in_kernel(&mut self) -> bool {
        let process = &mut *self.process;
        process.waits_in_kernel
            && process.recorder.is_none()
            && process.threads.len() == 1
            && !self.signalled()
            && crate::timers::next_deadline(self.process).is_none()
            && tern_host::signal::can_block()
    }

    /// If the run is recorded: how a transfer can be made without the log being written first.
    pub fn way(&mut self, fd: i32) -> Way {
        match &mut self.process.recorder {
            Some(recorder) if self.process.threads.len() == 1 => recorder.way(fd),
            _ => Way::Wait,
        }
    }

    /// A signal waits for the thread: if the call cannot finish, it will be interrupted.  A call that has something to
    /// show for itself (bytes moved, the time left) shows it now.
    pub fn signalled(&mut self) -> bool {
        self.thread().call.signalled
    }

    /// Replaces the mask until the call ends or a handler runs (`ppoll`, `pselect6`, `epoll_pwait`, `rt_sigsuspend`).
    /// Issuing the call again changes nothing.
    pub fn temporary_mask(&mut self, mask: u64) {
        let signals = &mut self.thread().signals;
        if signals.saved_mask.is_none() {
            signals.saved_mask = Some(signals.mask);
            signals.mask = mask & !crate::signal::UNBLOCKABLE;
        }
    }

    /// Counts and logs something that tern has not built and that an argument asked for.
    pub fn unimplemented(&mut self, what: core::fmt::Arguments<'_>) {
        self.process.mem.events.unimplemented(what);
    }
}
