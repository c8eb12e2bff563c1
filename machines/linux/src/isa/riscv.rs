//! riscv64 and riscv32: numbers, registers, traps, capabilities, trampoline.

use super::numbers::{GENERIC, GENERIC32, GENERIC64, Numbers};
use super::{Isa, RegisterRoles, TrapSignal};
use crate::abi::{Abi, Word};
use crate::mm::Layout;
use tern_core::mem::Endian;
use tern_core::state::Role;

/// Calls of riscv only (asm/unistd.h).
const OWN: Numbers = &[(258, "riscv_hwprobe"), (259, "riscv_flush_icache")];

/// The calling convention of system calls: a7, a0 to a5, a0 (arch/riscv/include/asm/syscall.h).
const REGS: RegisterRoles = RegisterRoles {
    number: Role::Gpr(17),
    args: [Role::Gpr(10), Role::Gpr(11), Role::Gpr(12), Role::Gpr(13), Role::Gpr(14), Role::Gpr(15)],
    result: Role::Gpr(10),
    sp: Role::Gpr(2),
    tp: Role::Gpr(4),
    ra: Role::Gpr(1),
};

fn numbers64() -> Box<dyn Iterator<Item = (usize, &'static str)>> {
    Box::new(GENERIC.iter().chain(GENERIC64).chain(OWN).copied())
}

fn numbers32() -> Box<dyn Iterator<Item = (usize, &'static str)>> {
    // riscv32 keeps no futex, wait4 or other call with 32-bit times.
    Box::new(GENERIC.iter().chain(GENERIC32).chain(OWN).copied())
}

/// Signal numbers and codes that traps raise (asm-generic/siginfo.h).
mod sig {
    pub(super) const ILL: i32 = 4;
    pub(super) const TRAP: i32 = 5;
    pub(super) const BUS: i32 = 7;
    pub(super) const SEGV: i32 = 11;
    pub(super) const ILL_ILLOPC: i32 = 1;
    pub(super) const BUS_ADRALN: i32 = 1;
    pub(super) const TRAP_BRKPT: i32 = 1;
    pub(super) const SEGV_ACCERR: i32 = 2;
}

/// Exception codes of the privileged architecture (table of mcause) to signals (arch/riscv/kernel/traps.c).
fn trap_signal(cause: u32) -> Option<TrapSignal> {
    let (signo, code, at_pc) = match cause {
        0 | 4 | 6 => (sig::BUS, sig::BUS_ADRALN, false),
        1 | 5 | 7 => (sig::SEGV, sig::SEGV_ACCERR, false),
        2 => (sig::ILL, sig::ILL_ILLOPC, true),
        3 => (sig::TRAP, sig::TRAP_BRKPT, true),
        _ => return None,
    };
    Some(TrapSignal { signo, code, at_pc })
}

/// Single-letter extensions of an ISA string (`rv64imafdc_zba_...`).
fn letters(isa: &str) -> &str {
    let base = isa.trim_start_matches("rv64").trim_start_matches("rv32");
    base.split(['_', ',']).next().unwrap_or("")
}

/// Does an ISA string name a single-letter extension?  `g` is `imafd`.
pub fn has_letter(isa: &str, letter: char) -> bool {
    letters(isa).contains(letter) || ("imafd".contains(letter) && letters(isa).contains('g'))
}

/// `li a7, 139; ecall` (arch/riscv/kernel/vdso/rt_sigreturn.S).
fn trampoline() -> Vec<u8> {
    [0x08b0_0893u32, 0x0000_0073].iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Bytes that a signal frame takes (arch/riscv/kernel/signal.c): siginfo, ucontext with the FP state, and with V the
/// extension header, `__riscv_v_ext_state` and 32 registers.
fn min_sigstack(isa: &str) -> u64 {
    let base = 128 + 960;
    let vector = if has_letter(isa, 'v') { 8 + 48 + 32 * vlen_bytes(isa) } else { 0 };
    (base + vector as u64).next_multiple_of(16)
}

/// VLEN in bytes from the largest `zvl*b` of an ISA string; 16 if there is none, as V demands.
pub fn vlen_bytes(isa: &str) -> usize {
    let sizes = isa.split('_').filter_map(|e| e.strip_prefix("zvl")?.strip_suffix('b')?.parse::<usize>().ok());
    sizes.max().unwrap_or(128).clamp(128, 65536) / 8
}

fn cpuinfo(isa: &str, cpus: u64) -> String {
    let mmu = if isa.starts_with("rv32") { "sv32" } else { "sv39" };
    let one = |n: u64| {
        format!(
            "processor\t: {n}\nhart\t\t: {n}\nisa\t\t: {isa}\nmmu\t\t: {mmu}\nuarch\t\t: tern\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\nmimpid\t\t: 0x0\nhart isa\t: {isa}\n\n"
        )
    };
    (0..cpus).map(one).collect()
}

/// RV32E code (EF_RISCV_RVE) needs another register file.
fn flags_ok(flags: u32) -> bool {
    flags & 0x8 == 0
}

/// What both have in common, with the 64-bit values.
const RISCV: Isa = Isa {
    name: "riscv64",
    abi: Abi { word: Word::W64, endian: Endian::Little, align64: 8 },
    machine: 243,
    uname_machine: "riscv64",
    platform: None,
    regs: REGS,
    numbers: numbers64,
    pair_align: false,
    layout: Layout { task_size: 0x40_0000_0000, pie_base: 0x2a_aaaa_a000 },
    trap_signal,
    syscall_len: 4,
    signal: &super::riscv_frame::Frames,
    trampoline,
    trampoline_symbol: "__vdso_rt_sigreturn",
    min_sigstack,
    cpuinfo,
    flags_ok,
    errno: |e| e.0,
};

/// riscv64.
pub static RISCV64: Isa = RISCV;

/// riscv32: time64 calls only.
pub static RISCV32: Isa = Isa {
    name: "riscv32",
    abi: Abi { word: Word::W32, endian: Endian::Little, align64: 8 },
    uname_machine: "riscv32",
    numbers: numbers32,
    layout: Layout { task_size: 0x8000_0000, pie_base: 0x5555_5000 },
    ..RISCV
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_widths() {
        let find = |isa: &Isa, nr| isa.syscalls().find(|(n, _)| *n == nr).map(|(_, name)| name);
        assert_eq!(find(&RISCV64, 222), Some("mmap"));
        assert_eq!(find(&RISCV32, 222), Some("mmap2"));
        assert_eq!(find(&RISCV64, 79), Some("newfstatat"));
        assert_eq!(find(&RISCV32, 79), None);
        assert_eq!(find(&RISCV32, 403), Some("clock_gettime64"));
        assert_eq!(find(&RISCV32, 98), None, "no 32-bit futex");
        assert_eq!(find(&RISCV64, 462), Some("mseal"));
        for isa in super::super::ALL {
            let mut seen = std::collections::BTreeSet::new();
            assert!(isa.syscalls().all(|(nr, _)| seen.insert(nr)), "{} lists a number twice", isa.name);
        }
    }

    #[test]
    fn capabilities_come_from_the_isa_string() {
        assert!(has_letter("rv64gc_zba_zbb", 'd') && has_letter("rv64gc", 'c') && !has_letter("rv64imac_zfd", 'f'));
        assert!(has_letter("rv64imafdcv_zvl256b", 'v') && !has_letter("rv64gc_v", 'v'));
        assert_eq!(vlen_bytes("rv64imafdcv_zvl128b_zvl256b"), 32);
    }
}
