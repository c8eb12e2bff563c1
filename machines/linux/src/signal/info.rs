//! What comes with a signal, and `siginfo_t` as the guest sees it (asm-generic/siginfo.h).

use crate::abi::{Abi, Field, Long, ULong};

/// Sent by `kill`.
pub const SI_USER: i32 = 0;
/// Sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// Sent by `sigqueue`.
pub const SI_QUEUE: i32 = -1;
/// Expiry of a POSIX timer.
pub const SI_TIMER: i32 = -2;
/// Sent by `tkill` or `tgkill`.
pub const SI_TKILL: i32 = -6;

/// Bytes of a `siginfo_t`.
pub const SIGINFO_SIZE: usize = 128;

/// What the guest learns about a signal.  Fields that its kind does not have are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct SigInfo {
    /// Number.
    pub signo: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_addr` of a fault, `si_call_addr` of `SIGSYS`.
    pub addr: u64,
    /// Sender or child.
    pub pid: i32,
    /// Sender's or child's user.
    pub uid: u32,
    /// `si_status` of a child.
    pub status: i32,
    /// `si_value` as a pointer.
    pub value: u64,
    /// The child's time in user mode, in clock ticks.
    pub utime: i64,
    /// The child's time in the kernel, in clock ticks.
    pub stime: i64,
    /// `si_band` of `SIGIO`.
    pub band: i64,
    /// `si_fd` of `SIGIO`.
    pub fd: i32,
    /// `si_timerid`.
    pub timer: i32,
    /// `si_overrun`.
    pub overrun: i32,
    /// `si_syscall` of `SIGSYS`.
    pub syscall: i32,
}

/// Which member of the union a signal uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Fault,
    Timer,
    Poll,
    Child,
    Syscall,
    Sender,
    Nothing,
}

/// The kernel's `siginfo_layout`.
fn shape(signo: i32, code: i32) -> Shape {
    match (signo, code) {
        (_, SI_TIMER) => Shape::Timer,
        (_, -5) | (29, 1..=6) => Shape::Poll,
        (_, ..=0) => Shape::Sender,
        (_, SI_KERNEL) => Shape::Nothing,
        (17, _) => Shape::Child,
        (31, _) => Shape::Syscall,
        (4 | 5 | 7 | 8 | 11, _) => Shape::Fault,
        _ => Shape::Nothing,
    }
}

/// Walks the union.
struct Union<'a> {
    bytes: &'a mut [u8; SIGINFO_SIZE],
    at: usize,
    abi: Abi,
}

impl Union<'_> {
    fn range<T: Field>(&mut self) -> core::ops::Range<usize> {
        let start = self.at.next_multiple_of(T::align(self.abi).max(1));
        self.at = start + T::size(self.abi);
        start..self.at
    }
    fn put<T: Field>(&mut self, value: &T::Value) {
        let range = self.range::<T>();
        T::put(value, &mut self.bytes[range], self.abi);
    }
    fn get<T: Field>(&mut self) -> T::Value {
        let range = self.range::<T>();
        T::get(&self.bytes[range], self.abi)
    }
}

impl SigInfo {
    /// A signal sent by `kill` and its like: code and sender.
    #[must_use]
    pub fn sent(signo: i32, code: i32, pid: i32, uid: u32) -> SigInfo {
        SigInfo { signo, code, pid, uid, ..SigInfo::default() }
    }

    /// The guest's `siginfo_t`.
    #[must_use]
    pub fn encode(&self, abi: Abi) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        let mut u = Union { bytes: &mut bytes, at: 0, abi };
        u.put::<i32>(&self.signo);
        u.put::<i32>(&self.errno);
        u.put::<i32>(&self.code);
        u.at = u.at.next_multiple_of(abi.word_bytes());
        match shape(self.signo, self.code) {
            Shape::Fault => u.put::<ULong>(&self.addr),
            Shape::Timer => {
                u.put::<i32>(&self.timer);
                u.put::<i32>(&self.overrun);
                u.put::<ULong>(&self.value);
            }
            Shape::Poll => {
                u.put::<Long>(&self.band);
                u.put::<i32>(&self.fd);
            }
            Shape::Child => {
                u.put::<i32>(&self.pid);
                u.put::<u32>(&self.uid);
                u.put::<i32>(&self.status);
                u.put::<Long>(&self.utime);
                u.put::<Long>(&self.stime);
            }
            Shape::Syscall => {
                u.put::<ULong>(&self.addr);
                u.put::<i32>(&self.syscall);
            }
            Shape::Sender => {
                u.put::<i32>(&self.pid);
                u.put::<u32>(&self.uid);
                u.put::<ULong>(&self.value);
            }
            Shape::Nothing => {}
        }
        bytes
    }

    /// From a guest's `siginfo_t`, as `rt_sigqueueinfo` gets it.
    #[must_use]
    pub fn decode(bytes: &[u8; SIGINFO_SIZE], abi: Abi) -> SigInfo {
        let mut copy = *bytes;
        let mut u = Union { bytes: &mut copy, at: 0, abi };
        let head = SigInfo { signo: u.get::<i32>(), errno: u.get::<i32>(), code: u.get::<i32>(), ..SigInfo::default() };
        u.at = u.at.next_multiple_of(abi.word_bytes());
        match shape(head.signo, head.code) {
            Shape::Fault => SigInfo { addr: u.get::<ULong>(), ..head },
            Shape::Timer => SigInfo { timer: u.get::<i32>(), overrun: u.get::<i32>(), value: u.get::<ULong>(), ..head },
            Shape::Poll => SigInfo { band: u.get::<Long>(), fd: u.get::<i32>(), ..head },
            Shape::Child => SigInfo {
                pid: u.get::<i32>(),
                uid: u.get::<u32>(),
                status: u.get::<i32>(),
                utime: u.get::<Long>(),
                stime: u.get::<Long>(),
                ..head
            },
            Shape::Syscall => SigInfo { addr: u.get::<ULong>(), syscall: u.get::<i32>(), ..head },
            Shape::Sender => SigInfo { pid: u.get::<i32>(), uid: u.get::<u32>(), value: u.get::<ULong>(), ..head },
            Shape::Nothing => head,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_signal_has_its_value_where_both_word_sizes_expect_it() {
        let info = SigInfo { signo: 34, code: SI_QUEUE, pid: 7, uid: 8, value: 0x1234, ..SigInfo::default() };
        let b64 = info.encode(crate::isa::riscv::RISCV64.abi);
        assert_eq!((b64[16], b64[20], b64[24], b64[25]), (7, 8, 0x34, 0x12));
        let b32 = info.encode(crate::isa::riscv::RISCV32.abi);
        assert_eq!((b32[12], b32[16], b32[20], b32[21]), (7, 8, 0x34, 0x12));
        assert_eq!(SigInfo::decode(&b64, crate::isa::riscv::RISCV64.abi), info);
        assert_eq!(SigInfo::decode(&b32, crate::isa::riscv::RISCV32.abi), info);
    }

    #[test]
    fn a_child_s_times_are_words() {
        let info = SigInfo { signo: 17, code: 1, pid: 7, status: 3, utime: 5, stime: 6, ..SigInfo::default() };
        let b64 = info.encode(crate::isa::riscv::RISCV64.abi);
        assert_eq!((b64[24], b64[32], b64[40]), (3, 5, 6));
        let b32 = info.encode(crate::isa::riscv::RISCV32.abi);
        assert_eq!((b32[20], b32[24], b32[28]), (3, 5, 6));
    }
}
