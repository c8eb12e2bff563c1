//! `siginfo_t` as a neutral structure (asm-generic/siginfo.h).

use super::queue::WORDS;
use crate::sys::{Errno, native};

/// What came with a signal. Fields that its kind does not have are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SigInfo {
    /// The signal, as the host numbers it.
    pub signo: i32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_code`.
    pub code: i32,
    /// Sender or child.
    pub pid: i32,
    /// The sender's or child's real user.
    pub uid: u32,
    /// Exit status or signal of a child.
    pub status: i32,
    /// The child's time in user mode, in clock ticks.
    pub utime: i64,
    /// The child's time in the kernel, in clock ticks.
    pub stime: i64,
    /// `si_value`.
    pub value: u64,
    /// Address of a fault, of the host.
    pub addr: u64,
    /// `si_band` of `SIGIO`.
    pub band: i64,
    /// Descriptor of `SIGIO`.
    pub fd: i32,
    /// Kernel identity of the timer.
    pub timer: i32,
    /// Missed expiries of the timer.
    pub overrun: i32,
    /// System call number of `SIGSYS`.
    pub syscall: i32,
}

const MIPS: bool =
    cfg!(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6"));
/// Offsets in bytes; MIPS swaps code and errno.
const ERRNO: usize = if MIPS { 8 } else { 4 };
const CODE: usize = if MIPS { 4 } else { 8 };
const LONG: usize = size_of::<usize>();
/// The union is aligned as a pointer.
const UNION: usize = if LONG == 8 { 16 } else { 12 };

impl SigInfo {
    /// Reads what the kernel wrote.
    pub(crate) fn from_kernel(raw: &[u8; 128]) -> SigInfo {
        let at = |offset: usize| native::i32(raw, UNION + offset);
        let pointer = |offset: usize| native::usize(raw, UNION + offset) as u64;
        let long = |offset: usize| native::isize(raw, UNION + offset) as i64;
        let head = SigInfo {
            signo: native::i32(raw, 0),
            errno: native::i32(raw, ERRNO),
            code: native::i32(raw, CODE),
            ..SigInfo::default()
        };
        match (head.signo, head.code) {
            (_, libc::SI_TIMER) => SigInfo { timer: at(0), overrun: at(4), value: pointer(8), ..head },
            (_, libc::SI_SIGIO) | (libc::SIGIO, 1..) => SigInfo { band: long(0), fd: at(LONG), ..head },
            (_, ..=0) => SigInfo { pid: at(0), uid: at(4) as u32, value: pointer(8), ..head },
            (libc::SIGCHLD, _) => SigInfo {
                pid: at(0),
                uid: at(4) as u32,
                status: at(8),
                utime: long(8 + LONG.max(4)),
                stime: long(8 + LONG.max(4) + LONG),
                ..head
            },
            (libc::SIGSYS, _) => SigInfo { addr: pointer(0), syscall: at(LONG), ..head },
            (signo, _) if super::is_fault(signo) => SigInfo { addr: pointer(0), ..head },
            _ => head,
        }
    }
}

/// The bytes of a siginfo that was copied as words.
#[allow(clippy::disallowed_methods, reason = "the words were copied from memory in the host's order")]
pub(super) fn bytes(words: &[u32; WORDS]) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// `si_code`.
pub(super) fn code(words: &[u32; WORDS]) -> i32 {
    words[CODE / 4] as i32
}

/// `si_value` of a timer or a queued signal, its low half where it is wider.
pub(super) fn value_low(words: &[u32; WORDS]) -> u32 {
    let low = if cfg!(target_endian = "big") { LONG / 4 - 1 } else { 0 };
    words[(UNION + 8) / 4 + low]
}

/// A siginfo to send, aligned for the kernel.
#[allow(clippy::disallowed_methods, reason = "the kernel of the host reads these bytes")]
pub(super) fn queued(signo: i32, code: i32, value: u64) -> Result<[u64; 16], Errno> {
    let mut raw = [0u8; 128];
    let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &signo.to_ne_bytes());
    put(CODE, &code.to_ne_bytes());
    put(UNION, &crate::sys::proc::getpid()?.to_ne_bytes());
    put(UNION + 4, &crate::sys::cred::getresuid()?.real.to_ne_bytes());
    put(UNION + 8, &(value as usize).to_ne_bytes());
    let mut words = [0; 16];
    for (word, chunk) in words.iter_mut().zip(raw.chunks_exact(8)) {
        *word = native::u64(chunk, 0);
    }
    Ok(words)
}
