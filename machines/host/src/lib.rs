//! tern-host: the only room that touches the operating system.
//!
//! * [`sys`] (Linux): safe wrappers over the system calls that emulating a Linux process needs.
//! * [`signal`] (Linux): signals of tern's own process as values, without lost wake-ups.
//! * [`share`] (Linux): a folder for a guest. [`image`]: disk images. [`console`]: the user's terminal as a serial
//!   console. [`chardev`]: other ends of serial ports. [`wait`]: waiting for input.
//! * [`channel`]: streams between processes.
//! * [`net`]: what network devices are plugged into: user-mode NAT, tap, sockets, dumps.
//! * [`tpm`] (Linux): TPMs that swtpm emulates. [`ivshmem`] (Linux): servers of memory that machines share. [`vhost`]
//!   (Linux): processes that run the queues of virtio devices.
//! * [`map`]: host memory behind guest pages. [`clock`], [`entropy`], [`tty`], [`mod@file`], [`slow`]: what their names say.
//!
//! Nothing of the host's leaves by value: structures are neutral (`u64`, `i64`, named fields), whatever the word size,
//! byte order or C library of the host. *Numbers* that Linux defines per architecture (errno, flags, signal and ioctl
//! numbers) are the host's; [`sys::host`] names them so that a caller can translate.
//!
//! `unsafe` lives in `sys`, `map` and `signal` only. To add a system call whose arguments are integers, strings, byte
//! buffers and fixed structures, add one row to the `syscalls!` table of its chapter.
//!
//! On other systems than Linux the crate offers what std does: `map` on the heap, clocks, entropy, files.

pub mod channel;
pub mod chardev;
pub mod clock;
pub mod console;
pub mod entropy;
pub mod file;
pub mod image;
#[cfg(target_os = "linux")]
pub mod ivshmem;
pub mod map;
pub mod net;
#[cfg(target_os = "linux")]
pub mod share;
#[cfg(target_os = "linux")]
pub mod signal;
pub mod slow;
#[cfg(target_os = "linux")]
pub mod sys;
#[cfg(target_os = "linux")]
pub mod tpm;
pub mod tty;
#[cfg(target_os = "linux")]
pub mod vhost;
pub mod wait;
