//! The privileged side of a machine's CPU, as engines and machines see it.

use crate::large::LargePages;
use crate::privileged::{M, S, Unit, envcfg, irq, letter, status};
use crate::state::{
    HENVCFG, LINES, MCOUNTEREN, MEDELEG, MENVCFG, MHARTID, MIDELEG, MSTATEEN0, MSTATUS, PRIVILEGE, SCOUNTEREN,
    STATEEN_REST, STIMECMP, VSTIMECMP, pmpaddr, pmpcfg, x,
};
use crate::translate::Cpu;
use crate::{access, interrupt, mmu, trap};
use tern_core::engine::{Platform, Stop};
use tern_core::frontend::HelperCx;
use tern_core::mem::{Access, MemFault, PAGE_SHIFT};
use tern_core::state::{State, StateLayout};
use tern_core::system::{Flush, Mapped, Mapping, Reset, System};

/// M, S and U modes of one CPU model.
///
/// Interrupt lines are bits of `mip` ([`irq`]); line 64 + n is guest interrupt file n.  Timers are lines 5 (`stimecmp`)
/// and 6 (`vstimecmp`).
#[derive(Clone, Debug)]
pub struct Privileged {
    cpu: Cpu,
    unit: Unit,
    layout: StateLayout,
    large: LargePages,
}

impl Privileged {
    /// The privileged side of a CPU with this layout.
    #[must_use]
    pub fn new(cpu: Cpu, layout: StateLayout) -> Privileged {
        Privileged { cpu, unit: cpu.privileged, layout, large: LargePages::default() }
    }

    /// What it has.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Puts a CPU that has been reset into S-mode as a firmware of its own would leave it: all that S can handle is
    /// delegated, all memory is open, counters and optional features are allowed.  For machines without a firmware, whose
    /// SBI is built in.
    pub fn enter_supervisor(&self, state: &mut State, pc: u64) {
        let unit = self.unit;
        // ecall from S, and misaligned accesses of instructions that demand alignment, stay with the firmware.
        state.set(MEDELEG, trap::delegable(unit) & !(1 << 9) & !(1 << 10) | u64::from(unit.hypervisor()) << 10);
        state.set(MIDELEG, irq::S_MASK | if unit.hypervisor() { irq::H_MASK } else { 0 });
        if unit.pmp() > 0 {
            state.set(pmpaddr(0, unit.vlen()), u64::MAX >> 10);
            state.set(pmpcfg(0, unit.vlen()), 0x1f);
        }
        state.set(MCOUNTEREN, 7);
        state.set(SCOUNTEREN, 7);
        state.set(MENVCFG, self.environment());
        if unit.has(Unit::SMSTATEEN) {
            state.set(MSTATEEN0, crate::insn::csr::stateen_mask(unit));
            state.set(STATEEN_REST, 0xe);
        }
        state.set(PRIVILEGE, S);
        state.set_pc(pc);
    }

    /// All of `menvcfg`, but for the updates of page tables that Svade names.
    fn environment(&self) -> u64 {
        let all = crate::insn::csr::menvcfg_mask(self.unit);
        let faults = if self.unit.has(Unit::SVADE) { envcfg::ADUE } else { 0 };
        all & !faults & !envcfg::FIOM
    }
}

impl System for Privileged {
    fn walk(
        &self,
        state: &State,
        physical: &mut dyn Platform,
        addr: u64,
        access: Access,
        mode: u8,
    ) -> Result<Mapping, MemFault> {
        let found = mmu::walk(state, physical, self.unit, addr, access, mode)?;
        if found.span > PAGE_SHIFT {
            self.large.note(state.get(MHARTID), addr, found.span);
        }
        Ok(found.mapping)
    }

    fn space(&self, state: &State) -> u64 {
        mmu::space(state)
    }

    fn forget(&self, state: &State, addr: Option<u64>) -> Flush {
        let hart = state.get(MHARTID);
        match addr {
            Some(addr) if !self.large.may_hold(hart, addr) => Flush::Page(addr),
            _ => {
                self.large.clear(hart);
                Flush::All
            }
        }
    }

    fn exception(&self, state: &mut State, physical: &mut dyn Platform, stop: Stop) {
        trap::exception(state, physical, self.unit, stop);
    }

    fn set_line(&self, state: &mut State, line: u32, level: bool) {
        interrupt::set_line(state, self.unit, line, level);
    }

    fn interrupt(&self, state: &mut State) -> Option<u64> {
        let (n, privilege, guest) = interrupt::next(state)?;
        trap::interrupt(state, self.unit, n, privilege, guest);
        Some(u64::from(n))
    }

    fn wakes(&self, state: &State) -> bool {
        interrupt::enabled(state) != 0
    }

    /// Any register that the CPU has, whether or not its unit is switched on; see `access`.
    fn control_register(&self, cx: &mut HelperCx<'_>, number: u32, write: Option<u64>) -> Option<u64> {
        access::control_register(cx, self.cpu, &self.layout, number, write)
    }

    fn mappings(&self, state: &State, physical: &mut dyn Platform) -> Option<Vec<Mapped>> {
        Some(mmu::mappings(state, physical, self.unit))
    }

    /// Privileged manual, "Reset"; devices hold the interrupt lines where they are.
    fn reset(&self, state: &mut State, reset: Reset) {
        let unit = self.unit;
        let (lines, files) = (state.get(LINES), state.get(crate::state::HGEIP));
        *state = State::new(&self.layout);
        state.set(PRIVILEGE, M);
        state.set(MHARTID, reset.id);
        state.set(LINES, lines);
        state.set(crate::state::HGEIP, files);
        state.set(STIMECMP, u64::MAX);
        state.set(VSTIMECMP, u64::MAX);
        let update = unit.has(Unit::SVADU) && !unit.has(Unit::SVADE);
        state.set(MENVCFG, if update { envcfg::ADUE } else { 0 });
        state.set(HENVCFG, if update && unit.has(letter('h')) { envcfg::ADUE } else { 0 });
        state.set(MIDELEG, if unit.has(letter('h')) { irq::H_MASK } else { 0 });
        state.set(MSTATUS, state.get(MSTATUS) & !(status::MIE | status::MPRV));
        for (n, arg) in (10u8..).zip(reset.args) {
            state.set(x(n), arg);
        }
        state.set_pc(reset.pc & unit.pc_mask());
        interrupt::refresh(state, unit);
    }
}
