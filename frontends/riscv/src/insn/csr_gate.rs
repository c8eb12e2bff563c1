//! Who may reach a CSR, and the supervisor registers that are so hot that they are IR.
//!
//! What the mode word tells is settled when a block is translated; what registers tell (TVM, counter enables, state
//! enables) is looked at when it runs.

use super::csr::{Change, Kind};
use crate::privileged::{M, S, U, Unit, envcfg, hstatus, irq, stateen, status};
use crate::state::{
    HCOUNTEREN, HENVCFG, HSTATEEN0, HSTATUS, HVICTL, MCOUNTEREN, MENVCFG, MIDELEG, MIE, MIP, MSTATEEN0, MSTATUS,
    SCOUNTEREN, STATEEN_REST,
};
use crate::translate::{Tr, UnitState, X};
use crate::trap::{ILLEGAL, VIRTUAL_INSN};
use tern_core::ir::I64;
use tern_core::state::Slot;

/// In a guest the supervisor's registers are the guest's own.
pub(super) fn redirect(t: &Tr<'_>, number: u16) -> u16 {
    if !(t.cpu.privileged.machine() && t.mode.guest()) {
        return number;
    }
    match number {
        0x100 | 0x104 | 0x105 | 0x140..=0x144 | 0x14d | 0x150 | 0x151 | 0x15c | 0x15d | 0x180 | 0xdb0 => number + 0x100,
        _ => number,
    }
}

/// Traps with `cause` if bits of a register are not all set.
pub(super) fn require(t: &mut Tr<'_>, slot: Slot, bits: u64, cause: u32) {
    if t.b.ended() {
        return;
    }
    let value = t.b.get::<I64>(slot);
    let have = t.b.andi(value, bits);
    let bits = t.b.iconst(bits);
    let lacks = t.b.ne(have, bits);
    let word = t.b.iconst(t.word);
    t.b.trap_if(lacks, cause, word);
}

/// Traps with `cause` if bits of a register are all clear.
pub(super) fn require_any(t: &mut Tr<'_>, slot: Slot, bits: u64, cause: u32) {
    if t.b.ended() {
        return;
    }
    let value = t.b.get::<I64>(slot);
    let bits = t.b.iconst(bits);
    let lacks = t.b.test_clear(value, bits);
    let word = t.b.iconst(t.word);
    t.b.trap_if(lacks, cause, word);
}

/// Traps with `cause` if a bit of a register is set.
pub(super) fn forbid(t: &mut Tr<'_>, slot: Slot, bit: u64, cause: u32) {
    if t.b.ended() {
        return;
    }
    let value = t.b.get::<I64>(slot);
    let bit = t.b.iconst(bit);
    let set = t.b.test_set(value, bit);
    let word = t.b.iconst(t.word);
    t.b.trap_if(set, cause, word);
}

/// Traps as an instruction that the guest's hypervisor could execute, or as an illegal one.
pub(super) fn refuse(t: &mut Tr<'_>, as_virtual: bool) {
    let word = t.word;
    t.trap(if as_virtual { VIRTUAL_INSN } else { ILLEGAL }, word);
}

/// Sets a trap unless the current mode may reach register `number`, as the instruction names it.
pub(super) fn check(t: &mut Tr<'_>, number: u16) {
    if !t.cpu.privileged.machine() {
        return;
    }
    let (privilege, guest) = (t.mode.privilege(), t.mode.guest());
    let least = u64::from(number >> 8 & 3);
    // Registers of the hypervisor are for M and HS.
    let enough = if least == 2 { privilege == M || privilege == S && !guest } else { privilege >= least };
    if !enough {
        return refuse(t, guest && least < M);
    }
    match number {
        0x001..=0x003 if t.mode.float() == UnitState::Off => t.illegal(),
        0x008..=0x00f | 0xc20..=0xc22 if t.mode.vector() == UnitState::Off => t.illegal(),
        0xc00..=0xc1f | 0xc80..=0xc9f => counter(t, number & 31),
        _ if privilege == M => {}
        0x180 if guest => forbid(t, HSTATUS, hstatus::VTVM, VIRTUAL_INSN),
        0x180 | 0x680 => forbid(t, MSTATUS, status::TVM, ILLEGAL),
        0x104 | 0x144 if guest => virtual_interrupts(t),
        0x14d | 0x15d | 0x24d | 0x25d => timer(t, number < 0x200),
        _ => enabled(t, number),
    }
}

fn counter(t: &mut Tr<'_>, n: u16) {
    let (privilege, guest) = (t.mode.privilege(), t.mode.guest());
    let bit = 1 << n;
    if privilege != M {
        require(t, MCOUNTEREN, bit, ILLEGAL);
    }
    if guest {
        require(t, HCOUNTEREN, bit, VIRTUAL_INSN);
    }
    if privilege == U {
        require(t, SCOUNTEREN, bit, if guest { VIRTUAL_INSN } else { ILLEGAL });
    }
}

/// `stimecmp` and, with `own` false, `vstimecmp`.
fn timer(t: &mut Tr<'_>, own: bool) {
    require(t, MCOUNTEREN, 2, ILLEGAL);
    require(t, MENVCFG, envcfg::STCE, ILLEGAL);
    if t.mode.guest() && own {
        require(t, HCOUNTEREN, 2, VIRTUAL_INSN);
        require(t, HENVCFG, envcfg::STCE, VIRTUAL_INSN);
        virtual_interrupts(t);
    }
}

/// With `hvictl.VTI` the hypervisor emulates the guest's interrupt registers.
fn virtual_interrupts(t: &mut Tr<'_>) {
    if t.cpu.privileged.has(Unit::SSAIA) {
        forbid(t, HVICTL, 1 << 30, VIRTUAL_INSN);
    }
}

/// State enables of Smstateen.
fn enabled(t: &mut Tr<'_>, number: u16) {
    if !t.cpu.privileged.has(Unit::SMSTATEEN) {
        return;
    }
    let bit = match number {
        0x10a | 0x60a | 0x61a => stateen::ENVCFG,
        0x10c | 0x60c | 0x61c => stateen::SE,
        0x10d..=0x10f | 0x60d..=0x60f | 0x61d..=0x61f => return rest(t, u64::from(number & 3)),
        0x150 | 0x151 | 0x250 | 0x251 => stateen::CSRIND,
        0x15c | 0x25c => stateen::IMSIC,
        0xdb0 | 0xeb0 | 0x308 | 0x608 | 0x609 | 0x618 | 0x646 | 0x647 | 0x655..=0x657 => stateen::AIA,
        _ => return,
    };
    require(t, MSTATEEN0, bit, ILLEGAL);
    if t.mode.guest() {
        require(t, HSTATEEN0, bit, VIRTUAL_INSN);
    }
}

/// `sstateen1` to 3 and `hstateen1` to 3.
fn rest(t: &mut Tr<'_>, n: u64) {
    require(t, STATEEN_REST, 1 << n, ILLEGAL);
    if t.mode.guest() {
        require(t, STATEEN_REST, 1 << (n + 4), VIRTUAL_INSN);
    }
}

/// The fields of `mstatus` that `sstatus` shows and that can be written.
fn sstatus_fields(t: &Tr<'_>) -> u64 {
    let mut fields = status::SIE | status::SPIE | status::SPP | status::SUM | status::MXR;
    if t.cpu.csr_f {
        fields |= status::FS;
    }
    if t.cpu.vector.vlen > 0 {
        fields |= status::VS;
    }
    fields
}

/// `sstatus` outside of guests.
pub(super) fn sstatus(t: &mut Tr<'_>) -> X {
    let all = t.b.get(MSTATUS);
    let shown = t.b.andi(all, sstatus_fields(t));
    // The mode word tells whether some unit is dirty: FS and VS stay what they are within a block.
    let dirty = t.mode.float() == UnitState::Dirty || t.mode.vector() == UnitState::Dirty;
    let (summary, lengths) = if t.cpu.rv32 { (1 << 31, 0) } else { (1 << 63, status::UXL) };
    let more = t.b.iconst(lengths | if dirty { summary } else { 0 });
    t.b.or(shown, more)
}

/// Ends the block if an interrupt could be taken now that more are enabled.
fn look_for_interrupts(t: &mut Tr<'_>, enabled: X) {
    let pending = t.b.get(MIP);
    let both = t.b.and(pending, enabled);
    let none = t.b.is_zero(both);
    t.want_resync_unless(none);
}

/// Sets it.  The block goes on if only bits are cleared that translation does not depend on.
pub(super) fn set_sstatus(t: &mut Tr<'_>, new: X, change: Change) {
    const MODE: u64 = status::FS | status::VS | status::SUM | status::MXR;
    let fields = sstatus_fields(t);
    let known = if change.kind == Kind::Write { None } else { t.b.as_const(change.operand) };
    let touched = known.unwrap_or(u64::MAX) & fields;
    let old = t.b.get(MSTATUS);
    let kept = t.b.andi(old, !fields);
    let new = t.b.andi(new, fields);
    let new = t.b.or(kept, new);
    t.b.set(MSTATUS, new);
    let enables = touched & status::SIE != 0 && change.kind != Kind::Clear;
    let remodes = touched & MODE != 0;
    if !enables && !remodes {
        return;
    }
    let mut quiet = None;
    if enables {
        let (pending, enabled) = (t.b.get::<I64>(MIP), t.b.get(MIE));
        let both = t.b.and(pending, enabled);
        quiet = Some(t.b.is_zero(both));
    }
    if remodes {
        let differs = t.b.xor(old, new);
        let differs = t.b.andi(differs, MODE);
        let same = t.b.is_zero(differs);
        quiet = Some(match quiet {
            Some(quiet) => t.b.and_bool(quiet, same),
            None => same,
        });
    }
    if let Some(quiet) = quiet {
        t.want_resync_unless(quiet);
    }
}

/// Which interrupts `sie` shows.
fn delegated(t: &mut Tr<'_>) -> X {
    let delegated = t.b.get(MIDELEG);
    t.b.andi(delegated, !irq::H_MASK)
}

/// `sie` outside of guests.
pub(super) fn sie(t: &mut Tr<'_>) -> X {
    let shown = delegated(t);
    let all = t.b.get(MIE);
    t.b.and(all, shown)
}

/// Sets it.
pub(super) fn set_sie(t: &mut Tr<'_>, new: X, change: Change) {
    let shown = delegated(t);
    let old = t.b.get(MIE);
    let kept = t.b.andn(old, shown);
    let new = t.b.and(new, shown);
    let new = t.b.or(kept, new);
    t.b.set(MIE, new);
    if change.kind != Kind::Clear {
        look_for_interrupts(t, new);
    }
}
