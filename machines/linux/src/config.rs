//! What a run is configured by.

use crate::mm::Clock;
use std::ffi::CString;
use tern_core::state::StateLayout;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Path of the program, as the host or the guest would give it.
    pub program: Vec<u8>,
    /// `argv`, with `argv[0]`.
    pub argv: Vec<Vec<u8>>,
    /// The environment: `KEY=VALUE`.
    pub env: Vec<Vec<u8>>,
    /// Directory in which absolute guest paths are looked up first.
    pub sysroot: Option<Vec<u8>>,
    /// Print system calls through the log hook (kind `strace`).
    pub strace: bool,
    /// Size of the main stack in bytes (`-s`); else `RLIMIT_STACK`.
    pub stack_size: Option<u64>,
    /// End of the guest's address space (`-R`); else the ISA's.
    pub reserved_va: Option<u64>,
    /// What `uname -r` says (`-r`); else [`DEFAULT_RELEASE`].
    pub release: Option<Vec<u8>>,
    /// Where guest time comes from.
    pub clock: Clock,
    /// How tern runs itself again for `execve` of a guest program: the arguments before those that say which.  tern-linux
    /// appends `argv[0]`, the program's path and the other arguments, so the last one here is an option such as
    /// `--argv0` whose value comes next.  Empty: `execve` of guest programs fails with `ENOEXEC`.
    pub reexec: Vec<CString>,
}

/// What `uname -r` says by default: the kernel whose calls this room follows.
pub const DEFAULT_RELEASE: &str = "6.12.0";

impl Config {
    /// A configuration that runs `program` with `argv` and `env`.
    #[must_use]
    pub fn new(program: impl Into<Vec<u8>>, argv: Vec<Vec<u8>>, env: Vec<Vec<u8>>) -> Config {
        Config {
            program: program.into(),
            argv,
            env,
            sysroot: None,
            strace: false,
            stack_size: None,
            reserved_va: None,
            release: None,
            clock: Clock::Host,
            reexec: Vec::new(),
        }
    }
}

/// The CPU that the guest runs on.
#[derive(Clone, Debug)]
pub struct CpuModel {
    /// Its slots.
    pub layout: StateLayout,
    /// Its extensions, as the ISA writes them (`rv64imafdc_zba_zbb`).
    pub isa_string: String,
    /// `AT_HWCAP` and `AT_HWCAP2`.
    pub hwcap: [u64; 2],
    /// What `riscv_hwprobe` answers: keys and values that depend on the CPU alone.
    pub probe: Vec<(i64, u64)>,
}
