//! Traps: causes (privileged manual, "Machine Cause Register"), entering handlers, returning from them.

use crate::mmu;
use crate::privileged::{M, S, U, Unit, hstatus, status};
use crate::state::{
    CYCLE_OFFSET, HEDELEG, HSTATUS, HTINST, HTVAL, INSTRET_OFFSET, MCAUSE, MCOUNTINHIBIT, MEDELEG, MEPC, MSTATUS,
    MTINST, MTVAL, MTVAL2, MTVEC, NO_RESERVATION, PRIVILEGE, RES_ADDR, SCAUSE, SEPC, STVAL, STVEC, VIRTUAL, VSCAUSE,
    VSEPC, VSSTATUS, VSTVAL, VSTVEC,
};
use tern_core::engine::{Platform, Stop};
use tern_core::mem::{Access, FaultKind, MemFault};
use tern_core::state::{Slot, State};

/// Jump to an address that is not a multiple of the instruction alignment; value: the target.
pub const INSN_MISALIGNED: u32 = 0;
/// Fetch from where nothing may be fetched.
pub const INSN_ACCESS: u32 = 1;
/// Illegal instruction; value: its bits.
pub const ILLEGAL: u32 = 2;
/// `ebreak`; value: its address.
pub const BREAKPOINT: u32 = 3;
/// Misaligned load; value: the address.
pub const LOAD_MISALIGNED: u32 = 4;
/// Load from where nothing may be loaded.
pub const LOAD_ACCESS: u32 = 5;
/// Misaligned store or atomic; value: the address.
pub const STORE_MISALIGNED: u32 = 6;
/// Store where nothing may be stored.
pub const STORE_ACCESS: u32 = 7;
/// `ecall` from U; from S, VS and M: 9, 10, 11.
pub const ECALL_U: u32 = 8;
/// `ecall` from VS.
pub const ECALL_VS: u32 = 10;
/// Fetch page fault; of loads: 13, of stores: 15.
pub const INSN_PAGE: u32 = 12;
/// Load page fault.
pub const LOAD_PAGE: u32 = 13;
/// Store page fault.
pub const STORE_PAGE: u32 = 15;
/// Fetch guest-page fault.
pub const INSN_GUEST_PAGE: u32 = 20;
/// Load guest-page fault.
pub const LOAD_GUEST_PAGE: u32 = 21;
/// What a guest may not do, and its hypervisor may; value: the instruction's bits.
pub const VIRTUAL_INSN: u32 = 22;
/// Store guest-page fault.
pub const STORE_GUEST_PAGE: u32 = 23;

/// Not a cause of the manual: `mret`.  Returns end their block as traps do, because they go anywhere in any mode.
pub const MRET: u32 = 0x100;
/// `sret`, as [`MRET`].
pub const SRET: u32 = 0x101;

/// Exceptions that S can be given, and those that VS can be given of them.
pub(crate) const fn delegable(unit: Unit) -> u64 {
    let base = 0xb3ff | 1 << ECALL_U;
    if unit.hypervisor() { base | 1 << ECALL_VS | 0xf << INSN_GUEST_PAGE } else { base & !(1 << ECALL_VS) }
}

/// What a hypervisor can give to VS.
pub(crate) const GUEST_DELEGABLE: u64 = 0xb1ff;

/// What a handler is told.
#[derive(Clone, Copy, Default)]
struct Report {
    cause: u64,
    interrupt: bool,
    value: u64,
    /// The value is a guest virtual address.
    gva: bool,
    /// Guest physical address, shifted right by 2.
    guest_physical: u64,
    instruction: u64,
}

/// The cause of a fault.
pub(crate) fn cause_of(fault: MemFault) -> u32 {
    let by = |fetch, load, store| match fault.access {
        Access::Fetch => fetch,
        Access::Load => load,
        Access::Store => store,
    };
    match fault.kind {
        FaultKind::Arch(cause) => cause & 0xff,
        FaultKind::Misaligned => by(INSN_MISALIGNED, LOAD_MISALIGNED, STORE_MISALIGNED),
        FaultKind::Unmapped | FaultKind::Permission | FaultKind::Bus => by(INSN_ACCESS, LOAD_ACCESS, STORE_ACCESS),
    }
}

/// See [`tern_core::system::System::exception`].
pub(crate) fn exception(state: &mut State, physical: &mut dyn Platform, unit: Unit, stop: Stop) {
    match stop {
        Stop::Trap { cause: MRET, .. } => return mret(state, unit),
        Stop::Trap { cause: SRET, .. } => return sret(state, unit),
        _ => {}
    }
    let report = match stop {
        Stop::Trap { cause, value } => Report {
            cause: u64::from(cause),
            value,
            gva: [INSN_MISALIGNED, BREAKPOINT, LOAD_MISALIGNED, STORE_MISALIGNED].contains(&cause)
                && state.get(VIRTUAL) != 0,
            ..Report::default()
        },
        Stop::Fault(fault) => fault_report(state, physical, unit, fault),
        Stop::Syscall => {
            state.set_pc(state.pc().wrapping_sub(4));
            Report { cause: u64::from(ecall_cause(state)), ..Report::default() }
        }
        Stop::Limit | Stop::Halt | Stop::Resync | Stop::Yield | Stop::Breakpoint | Stop::Watch(_) => return,
    };
    let delegated = |slot| report.cause < 64 && state.get(slot) >> report.cause & 1 != 0;
    let guest = state.get(VIRTUAL) != 0;
    if state.get(PRIVILEGE) == M || !delegated(MEDELEG) {
        enter_machine(state, unit, report);
    } else if guest && delegated(HEDELEG) {
        enter_guest(state, unit, report);
    } else {
        enter_supervisor(state, unit, report);
    }
}

/// The cause of `ecall` in this mode.
fn ecall_cause(state: &State) -> u32 {
    match (state.get(PRIVILEGE), state.get(VIRTUAL)) {
        (S, 1) => ECALL_VS,
        (privilege, _) => ECALL_U + privilege as u32,
    }
}

fn fault_report(state: &State, physical: &mut dyn Platform, unit: Unit, fault: MemFault) -> Report {
    let cause = cause_of(fault);
    let mode = match fault.kind {
        FaultKind::Arch(bits) => (bits >> 8) as u8,
        _ => 0,
    };
    let mut report = Report {
        cause: u64::from(cause),
        value: unit.xlen(fault.addr),
        gva: mmu::is_guest_access(state, fault.access, mode),
        ..Report::default()
    };
    if [INSN_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE].contains(&cause) {
        // Nothing has changed since, so the same walk fails at the same place.
        if let Err(mmu::Fault { guest: Some(guest), .. }) =
            mmu::translate(state, physical, unit, fault.addr, fault.access, mode)
        {
            report.guest_physical = guest.addr >> 2;
            report.instruction = guest.pseudo_instruction(unit);
        }
    }
    report
}

/// Enters the handler of interrupt `n` at a privilege, in VS if `guest`.
pub(crate) fn interrupt(state: &mut State, unit: Unit, n: u32, privilege: u64, guest: bool) {
    // VS sees its interrupts under the numbers of S.
    let cause = if guest { n - 1 } else { n };
    let report = Report { cause: u64::from(cause), interrupt: true, ..Report::default() };
    match (privilege, guest) {
        (M, _) => enter_machine(state, unit, report),
        (_, true) => enter_guest(state, unit, report),
        _ => enter_supervisor(state, unit, report),
    }
}

/// A cause register's value.
fn cause_bits(unit: Unit, report: Report) -> u64 {
    let interrupt = if unit.rv32() { i32::MIN as u64 } else { 1 << 63 };
    if report.interrupt { interrupt | report.cause } else { report.cause }
}

/// Goes to the handler, in privilege `privilege`.
fn jump(state: &mut State, unit: Unit, vector: Slot, report: Report, privilege: u64, guest: bool) {
    let vector = state.get(vector);
    let mut pc = vector & !3;
    if vector & 3 == 1 && report.interrupt {
        pc = pc.wrapping_add(4 * report.cause);
    }
    state.set_pc(pc & unit.pc_mask());
    state.set(PRIVILEGE, privilege);
    state.set(VIRTUAL, u64::from(guest));
    state.set(RES_ADDR, NO_RESERVATION);
}

/// `bits` with `set` set if `on`, else clear.
const fn with(bits: u64, set: u64, on: bool) -> u64 {
    if on { bits | set } else { bits & !set }
}

fn enter_machine(state: &mut State, unit: Unit, report: Report) {
    let (privilege, guest) = (state.get(PRIVILEGE), state.get(VIRTUAL) != 0);
    state.set(MEPC, unit.xlen(state.pc()));
    state.set(MCAUSE, cause_bits(unit, report));
    state.set(MTVAL, report.value);
    let old = state.get(MSTATUS);
    let mut new = with(old, status::MPIE, old & status::MIE != 0) & !(status::MIE | status::MPP);
    new |= privilege << status::MPP_SHIFT;
    if unit.hypervisor() {
        new = with(with(new, status::MPV, guest), status::GVA, report.gva);
        state.set(MTVAL2, report.guest_physical);
        state.set(MTINST, report.instruction);
    }
    state.set(MSTATUS, new);
    jump(state, unit, MTVEC, report, M, false);
}

/// `sstatus` or `vsstatus` after a trap from `privilege`.
fn supervisor_status(old: u64, privilege: u64) -> u64 {
    let new = with(old, status::SPIE, old & status::SIE != 0) & !status::SIE;
    with(new, status::SPP, privilege != U)
}

fn enter_supervisor(state: &mut State, unit: Unit, report: Report) {
    let (privilege, guest) = (state.get(PRIVILEGE), state.get(VIRTUAL) != 0);
    state.set(SEPC, unit.xlen(state.pc()));
    state.set(SCAUSE, cause_bits(unit, report));
    state.set(STVAL, report.value);
    state.set(MSTATUS, supervisor_status(state.get(MSTATUS), privilege));
    if unit.hypervisor() {
        let mut new = with(state.get(HSTATUS), hstatus::SPV, guest);
        if guest {
            new = with(new, hstatus::SPVP, privilege != U);
        }
        state.set(HSTATUS, with(new, hstatus::GVA, report.gva));
        state.set(HTVAL, report.guest_physical);
        state.set(HTINST, report.instruction);
    }
    jump(state, unit, STVEC, report, S, false);
}

fn enter_guest(state: &mut State, unit: Unit, report: Report) {
    state.set(VSEPC, unit.xlen(state.pc()));
    state.set(VSCAUSE, cause_bits(unit, report));
    state.set(VSTVAL, report.value);
    state.set(VSSTATUS, supervisor_status(state.get(VSSTATUS), state.get(PRIVILEGE)));
    jump(state, unit, VSTVEC, report, S, true);
}

/// The return instruction ends its block as a trap does, so nobody has counted it.
fn count_return(state: &mut State) {
    let inhibited = state.get(MCOUNTINHIBIT);
    for (bit, slot) in [(0, CYCLE_OFFSET), (2, INSTRET_OFFSET)] {
        if inhibited >> bit & 1 == 0 {
            state.set(slot, state.get(slot).wrapping_add(1));
        }
    }
}

fn resume(state: &mut State, unit: Unit, pc: Slot, privilege: u64, guest: bool) {
    state.set_pc(state.get(pc) & unit.pc_mask());
    state.set(PRIVILEGE, privilege);
    state.set(VIRTUAL, u64::from(guest));
    state.set(RES_ADDR, NO_RESERVATION);
    count_return(state);
}

fn mret(state: &mut State, unit: Unit) {
    let old = state.get(MSTATUS);
    let privilege = (old & status::MPP) >> status::MPP_SHIFT;
    let guest = old & status::MPV != 0 && privilege != M;
    let mut new = with(old, status::MIE, old & status::MPIE != 0) | status::MPIE;
    new &= !(status::MPP | status::MPV);
    if privilege != M {
        new &= !status::MPRV;
    }
    state.set(MSTATUS, new);
    resume(state, unit, MEPC, privilege, guest);
}

fn sret(state: &mut State, unit: Unit) {
    let inside = state.get(VIRTUAL) != 0;
    let slot = if inside { VSSTATUS } else { MSTATUS };
    let old = state.get(slot);
    let privilege = if old & status::SPP != 0 { S } else { U };
    let mut new = with(old, status::SIE, old & status::SPIE != 0) | status::SPIE;
    new &= !(status::SPP | status::MPRV);
    state.set(slot, new);
    let mut guest = inside;
    if !inside && unit.hypervisor() {
        let old = state.get(HSTATUS);
        guest = old & hstatus::SPV != 0;
        state.set(HSTATUS, old & !hstatus::SPV);
    }
    resume(state, unit, if inside { VSEPC } else { SEPC }, privilege, guest);
}
