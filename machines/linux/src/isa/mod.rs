//! What differs between guest ISAs, one file each.  To add one: a file with its [`Isa`] row, and a line in [`ALL`].

pub mod numbers;
pub mod riscv;
mod riscv_frame;

use crate::abi::{Abi, Errno};
use crate::mm::{Layout, Space};
use crate::sched::RegisterSlots;
use crate::signal::AltStack;
use crate::signal::info::SIGINFO_SIZE;
use tern_core::state::{Role, State, StateLayout};

/// A signal that a trap raises: its number and `si_code`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSignal {
    /// Signal number.
    pub signo: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr` is the pc (else it is the trap's value).
    pub at_pc: bool,
}

/// Which registers mean what to the kernel, as roles of the state layout.
#[derive(Clone, Copy, Debug)]
pub struct RegisterRoles {
    /// System call number.
    pub number: Role,
    /// Arguments.
    pub args: [Role; 6],
    /// Result; an error is a small negative number.
    pub result: Role,
    /// Stack pointer.
    pub sp: Role,
    /// Thread pointer.
    pub tp: Role,
    /// Return address, where a signal handler finds its trampoline.
    pub ra: Role,
}

/// One guest ISA as Linux sees it.
pub struct Isa {
    /// Name on command lines (`riscv64`).
    pub name: &'static str,
    /// Data layout.
    pub abi: Abi,
    /// `e_machine`.
    pub machine: u16,
    /// What `uname -m` says.
    pub uname_machine: &'static str,
    /// `AT_PLATFORM`, if the kernel passes one.
    pub platform: Option<&'static str>,
    /// Registers.
    pub regs: RegisterRoles,
    /// The syscall numbers.
    pub numbers: fn() -> Box<dyn Iterator<Item = (usize, &'static str)>>,
    /// 64-bit arguments start at an even register in 32-bit code.
    pub pair_align: bool,
    /// Where things go.
    pub layout: Layout,
    /// The signal of a trap cause of the frontend; `None` for one that user code cannot cause.
    pub trap_signal: fn(u32) -> Option<TrapSignal>,
    /// Bytes that the system call instruction has.
    pub syscall_len: u64,
    /// Signal frames.
    pub signal: &'static dyn SignalFrame,
    /// The code of the signal trampoline: `rt_sigreturn`.
    pub trampoline: fn() -> Vec<u8>,
    /// Name of the trampoline's symbol in the vDSO.
    pub trampoline_symbol: &'static str,
    /// Smallest signal stack (`AT_MINSIGSTKSZ`) for the ISA string.
    pub min_sigstack: fn(&str) -> u64,
    /// The text of `/proc/cpuinfo` for the ISA string and a number of processors.
    pub cpuinfo: fn(&str, u64) -> String,
    /// Is this ELF's `e_flags` one that the ISA can run?
    pub flags_ok: fn(u32) -> bool,
    /// An error's number in this guest.
    pub errno: fn(Errno) -> u16,
}

impl Isa {
    /// The syscalls: number and name.
    pub fn syscalls(&self) -> impl Iterator<Item = (usize, &'static str)> {
        (self.numbers)()
    }
}

/// Every guest ISA.
pub static ALL: &[&Isa] = &[&riscv::RISCV64, &riscv::RISCV32];

/// The ISA of an ELF file's class, byte order and machine.
#[must_use]
pub fn by_elf(is64: bool, endian: tern_core::mem::Endian, machine: u16) -> Option<&'static Isa> {
    ALL.iter().copied().find(|i| i.machine == machine && i.abi.is64() == is64 && i.abi.endian == endian)
}

/// The ISA with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Isa> {
    ALL.iter().copied().find(|i| i.name == name)
}

/// Names of the signals in asm-generic numbering; index is the number.
const SIGNALS: [&str; 32] = [
    "0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal's symbol; `None` for a real-time signal or no signal.
#[must_use]
pub fn signal_name(signo: i32) -> Option<&'static str> {
    usize::try_from(signo).ok().and_then(|n| SIGNALS.get(n)).copied()
}

/// What a signal frame is made from.
pub struct FrameIn<'a> {
    /// Where it will lie.
    pub addr: u64,
    /// The guest's ABI.
    pub abi: Abi,
    /// The alternate stack, for `uc_stack`.
    pub alt: AltStack,
    /// The mask to restore.
    pub mask: u64,
    /// `siginfo_t`.
    pub info: [u8; SIGINFO_SIZE],
    /// The CPU's slots by name.
    pub layout: &'a StateLayout,
    /// Their values.
    pub state: &'a State,
}

/// How a handler is entered.
pub struct Handler {
    /// Its address.
    pub pc: u64,
    /// The signal.
    pub signo: i32,
    /// The frame's address.
    pub frame: u64,
    /// The code that calls `rt_sigreturn`.
    pub trampoline: u64,
}

/// What `rt_sigreturn` puts back besides registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Blocked signals.
    pub mask: u64,
    /// The alternate stack.
    pub alt: AltStack,
}

/// The layout of signal frames.
pub trait SignalFrame: Sync {
    /// Bytes of a frame, a multiple of the stack's alignment.
    fn size(&self, layout: &StateLayout, abi: Abi) -> u64;

    /// The bytes of a frame.
    fn build(&self, frame: &FrameIn<'_>) -> Vec<u8>;

    /// Sets the registers for a handler.
    fn enter(&self, state: &mut State, layout: &StateLayout, regs: &RegisterSlots, abi: Abi, handler: &Handler);

    /// Restores the registers from the frame at the stack pointer `sp`.
    ///
    /// # Errors
    /// `EFAULT` and `EINVAL` for a bad frame; registers may have been restored in part, as on Linux.
    fn restore(
        &self,
        mem: &mut Space,
        sp: u64,
        state: &mut State,
        layout: &StateLayout,
        abi: Abi,
    ) -> Result<Restored, Errno>;
}
