//! The registers of a hart that the built-in SBI reads and writes, found by name in its layout.

use tern_core::state::{Role, Slot, State, StateLayout};

/// Numbers of control registers.
const SSTATUS_IN_MSTATUS: u32 = 0x300;
const SATP: u32 = 0x180;
const MEDELEG: u32 = 0x302;
const MIDELEG: u32 = 0x303;
const SCOUNTEREN: u32 = 0x106;
const MCOUNTEREN: u32 = 0x306;
const MENVCFG: u32 = 0x30a;
const MSTATEEN0: u32 = 0x30c;
const PMPCFG0: u32 = 0x3a0;
const PMPADDR0: u32 = 0x3b0;
const STIMECMP: u32 = 0x14d;
const VENDOR_ARCH_IMP: [u32; 3] = [0xf11, 0xf12, 0xf13];

/// `mip.SSIP`.
const SSIP: u64 = 1 << 1;
/// `mstatus.SIE`.
const SIE: u64 = 1 << 1;
/// Exceptions that S handles itself: all but its own calls; those that only H has.
const EXCEPTIONS: u64 = 0xb1ff;
const EXCEPTIONS_H: u64 = 0xf0_0400;
/// Interrupts of S; those that only H, Sscofpmf have.
const INTERRUPTS: u64 = 0x222;
const INTERRUPTS_H: u64 = 0x1444;
const INTERRUPT_LCOF: u64 = 1 << 13;
/// `cycle`, `time`, `instret`.
const COUNTERS: u64 = 7;
/// A PMP entry for all addresses, which may be read, written, executed.
const PMP_ALL: u64 = 0x1f;

/// Bits of `menvcfg` by the extensions that have them.
const ENVIRONMENT: [(&str, u64); 5] =
    [("_zicbom", 0x70), ("_zicboz", 1 << 7), ("_svpbmt", 1 << 62), ("_sstc", 1 << 63), ("_svadu", 1 << 61)];
/// Bits of `mstateen0` that Smstateen and the extensions it guards have: C excluded, which standard software does not use.
const STATEEN: u64 = 1 << 63 | 1 << 62 | 1 << 60 | 1 << 59 | 1 << 58;

/// Where the registers are.
pub(super) struct Regs {
    a: [Slot; 8],
    privilege: Option<Slot>,
    status: Option<Slot>,
    satp: Option<Slot>,
    /// Interrupts that software made pending, by number.
    software: Option<Slot>,
    stimecmp: Option<Slot>,
    /// Vendor, architecture, implementation.
    ids: [Option<Slot>; 3],
    /// What a hart begins with.
    begin: Vec<(Slot, u64)>,
    is64: bool,
}

impl Regs {
    pub(super) fn new(layout: &StateLayout, isa: &str) -> Regs {
        let control = |number| layout.by_role(Role::Control(number)).map(|row| row.slot);
        let has = |extension: &str| isa.contains(extension);
        let single = isa.split('_').next().unwrap_or_default();
        let hypervisor = single.get(4..).is_some_and(|letters| letters.contains('h'));
        let or_h = |plain: u64, h: u64| if hypervisor { plain | h } else { plain };
        let counters = if has("_sscofpmf") { INTERRUPT_LCOF } else { 0 };
        // With Svade too, S says which it wants, and Svade is how it begins.
        let environment = ENVIRONMENT.iter().filter(|(name, _)| has(name) && !(*name == "_svadu" && has("_svade")));
        let rows = [
            (MEDELEG, or_h(EXCEPTIONS, EXCEPTIONS_H)),
            (MIDELEG, or_h(INTERRUPTS, INTERRUPTS_H) | counters),
            (MCOUNTEREN, 0xffff_ffff),
            // Kernels without a PMU driver leave this as it is, and let programs read the time.
            (SCOUNTEREN, COUNTERS),
            (MENVCFG, environment.fold(0, |all, (_, bit)| all | bit)),
            (MSTATEEN0, if has("_smstateen") { STATEEN } else { 0 }),
            (PMPADDR0, if single.starts_with("rv32") { 0xffff_ffff } else { (1 << 54) - 1 }),
            (PMPCFG0, PMP_ALL),
        ];
        let begin = rows.into_iter().filter_map(|(number, value)| control(number).map(|slot| (slot, value))).collect();
        let gpr = |n| layout.by_role(Role::Gpr(n)).map_or(Slot::PC, |row| row.slot);
        Regs {
            a: [10, 11, 12, 13, 14, 15, 16, 17].map(gpr),
            privilege: layout.by_name("priv").map(|row| row.slot),
            status: control(SSTATUS_IN_MSTATUS),
            satp: control(SATP),
            software: layout.by_name("soft").map(|row| row.slot),
            stimecmp: control(STIMECMP).filter(|_| has("_sstc")),
            ids: VENDOR_ARCH_IMP.map(control),
            begin,
            is64: layout.by_role(Role::Gpr(10)).is_some_and(|row| row.bits == 64),
        }
    }

    pub(super) fn is64(&self) -> bool {
        self.is64
    }

    /// All bits of a register.
    pub(super) fn mask(&self) -> u64 {
        if self.is64 { u64::MAX } else { 0xffff_ffff }
    }

    /// The instruction after a call, which has four bytes.
    pub(super) fn next_pc(&self, pc: u64) -> u64 {
        pc.wrapping_add(4) & self.mask()
    }

    /// What is called: extension, function, arguments.
    pub(super) fn call(&self, state: &State) -> (u64, u64, [u64; 6]) {
        let a = self.a.map(|slot| state.get(slot) & self.mask());
        (a[7], a[6], [a[0], a[1], a[2], a[3], a[4], a[5]])
    }

    /// RV32 holds registers sign-extended.
    fn put(&self, state: &mut State, n: usize, value: u64) {
        let value = if self.is64 { value } else { value as u32 as i32 as i64 as u64 };
        state.set(self.a[n], value);
    }

    pub(super) fn answer(&self, state: &mut State, error: u64, value: u64) {
        self.put(state, 0, error);
        self.put(state, 1, value);
    }

    pub(super) fn answer_legacy(&self, state: &mut State, value: u64) {
        self.put(state, 0, value);
    }

    fn set(state: &mut State, slot: Option<Slot>, value: u64) {
        if let Some(slot) = slot {
            state.set(slot, value);
        }
    }

    /// From the reset state to the beginning of S.
    pub(super) fn enter_supervisor(&self, state: &mut State) {
        for (slot, value) in &self.begin {
            state.set(*slot, *value);
        }
        Regs::set(state, self.privilege, 1);
        // Until S sets its timer it is not due.
        Regs::set(state, self.stimecmp, u64::MAX);
    }

    /// A suspended hart loses its state and goes on at `pc` (HSM, table 6).
    pub(super) fn resume_at(&self, state: &mut State, pc: u64, hart: u64, opaque: u64) {
        state.set_pc(pc);
        self.answer(state, hart, opaque);
        Regs::set(state, self.satp, 0);
        if let Some(status) = self.status {
            state.set(status, state.get(status) & !SIE);
        }
    }

    /// Sets or clears the supervisor software interrupt; was it pending?
    pub(super) fn set_software(&self, state: &mut State, pending: bool) -> bool {
        let Some(slot) = self.software else { return false };
        let old = state.get(slot);
        state.set(slot, if pending { old | SSIP } else { old & !SSIP });
        old & SSIP != 0
    }

    pub(super) fn set_stimecmp(&self, state: &mut State, value: u64) {
        Regs::set(state, self.stimecmp, value);
    }

    /// `mvendorid`, `marchid` or `mimpid`; 0 where the CPU has none to show.
    pub(super) fn id(&self, state: &State, n: usize) -> u64 {
        self.ids[n].map_or(0, |slot| state.get(slot))
    }
}
