//! Control and status registers that a helper reads and writes: their WARL rules and side effects.  The table that names
//! these functions is in [`crate::insn::csr`].

use crate::insn::csr::{Csr, How, Kind};
use crate::interrupt;
use crate::pmp;
use crate::privileged::{Unit, envcfg, hstatus as hs, irq, letter, stateen, status};
use crate::state::{
    CYCLE_OFFSET, HENVCFG, HGATP, HGEIE, HIDELEG, HSTATEEN0, HSTATUS, HTIMEDELTA, HVICTL, HVIP, INSTRET_OFFSET,
    MCOUNTINHIBIT, MEDELEG, MENVCFG, MIDELEG, MIE, MIP, MSECCFG, MSTATEEN0, MSTATUS, SATP, SENVCFG, SOFT, STATEEN_REST,
    STIMECMP, VSATP, VSSTATUS, VSTIMECMP, by_csr,
};
use crate::{mmu, trap};
use tern_core::frontend::{HelperCx, HelperExit};
use tern_core::state::Slot;
use tern_core::system::Flush;

/// What a helper gives.
pub(crate) type R<T> = Result<T, HelperExit>;

/// Reads a register: all of it, whatever half the number names.
pub type Read = fn(&mut Reach<'_, '_>) -> u64;
/// Sets it.
pub type Write = fn(&mut Reach<'_, '_>, u64);
/// Reads it, and changes it if the kind says so; the old value.
pub type Raw = fn(&mut Reach<'_, '_>, Kind, u64) -> R<u64>;

/// Which bits of a register a number reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// XLEN bits, and there are no more.
    Xlen,
    /// The low half on RV32, all of it on RV64.
    Low,
    /// The high half; only on RV32.
    High,
}

/// A register by its two functions.
pub struct Slow {
    /// What the number reaches.
    pub part: Part,
    /// Reads.
    pub read: Read,
    /// Writes.
    pub write: Write,
}

/// A register being reached.
pub struct Reach<'a, 'b> {
    /// The CPU.
    pub(crate) cx: &'a mut HelperCx<'b>,
    /// What it has.
    pub(crate) unit: Unit,
    /// The register, by the number of its low half.
    pub(crate) number: u16,
    word: u64,
    /// Instructions that retire with the access: 1, or none if it is made from outside.
    retires: u64,
}

/// In the helper's payload: the access is not an instruction's.
pub(crate) const OUTSIDE: u64 = 1 << 14;

impl Reach<'_, '_> {
    fn get(&self, slot: Slot) -> u64 {
        self.cx.state.get(slot)
    }

    fn set(&mut self, slot: Slot, value: u64) {
        self.cx.state.set(slot, value);
    }

    /// Sets the bits of `mask`.
    fn set_fields(&mut self, slot: Slot, mask: u64, value: u64) {
        let old = self.get(slot);
        self.set(slot, old & !mask | value & mask);
    }

    fn slot(&self) -> Slot {
        by_csr(self.number).unwrap_or(Slot::PC)
    }

    /// The illegal instruction trap.
    pub(crate) fn illegal(&self) -> HelperExit {
        HelperExit::Trap { cause: trap::ILLEGAL, value: self.word }
    }

    /// The virtual instruction trap.
    pub(crate) fn virtual_instruction(&self) -> HelperExit {
        HelperExit::Trap { cause: trap::VIRTUAL_INSN, value: self.word }
    }

    fn refresh(&mut self) {
        interrupt::refresh(self.cx.state, self.unit);
    }

    fn timers(&mut self) {
        interrupt::timers(self.cx.state, self.cx.platform, self.unit, self.cx.icount);
    }
}

/// What a write makes of the old value.
fn changed(kind: Kind, old: u64, operand: u64) -> u64 {
    match kind {
        Kind::Read => old,
        Kind::Write => operand,
        Kind::Set => old | operand,
        Kind::Clear => old & !operand,
    }
}

/// The helper: payload is number, kind, [`OUTSIDE`] and the instruction's bits; arguments are the operand and the [`Unit`].
pub(crate) fn access(cx: &mut HelperCx<'_>, args: [u64; 3], payload: u64) -> R<u64> {
    let number = payload as u16 & 0xfff;
    let kind = match payload >> 12 & 3 {
        0 => Kind::Read,
        1 => Kind::Write,
        2 => Kind::Set,
        _ => Kind::Clear,
    };
    let unit = Unit::unpack(args[1]);
    let mut reach = Reach { cx, unit, number, word: payload >> 16, retires: u64::from(payload & OUTSIDE == 0) };
    match Csr::row(number).map(|row| &row.how) {
        Some(How::Raw(raw)) => raw(&mut reach, kind, args[0]),
        Some(How::Slow(slow)) => Ok(slow_access(&mut reach, slow, kind, args[0])),
        _ => Err(reach.illegal()),
    }
}

fn slow_access(r: &mut Reach<'_, '_>, slow: &Slow, kind: Kind, operand: u64) -> u64 {
    let low = |v: u64| v & 0xffff_ffff;
    if slow.part == Part::High {
        // Halves are 0x10 apart, those of counters 0x80.
        r.number -= if r.number >= 0xb80 { 0x80 } else { 0x10 };
    }
    let all = (slow.read)(r);
    let old = if slow.part == Part::High { all >> 32 } else { all };
    if kind != Kind::Read {
        let new = changed(kind, old, operand);
        let new = match (slow.part, r.unit.rv32()) {
            (Part::High, _) => low(new) << 32 | low(all),
            (Part::Low, true) => all & !0xffff_ffff | low(new),
            (Part::Xlen, true) => new as i32 as u64,
            (_, false) => new,
        };
        (slow.write)(r, new);
    }
    old
}

// Registers that hold what is written.

pub(crate) fn slot(r: &mut Reach<'_, '_>) -> u64 {
    r.get(r.slot())
}

pub(crate) fn set_slot(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), v);
}

pub(crate) fn ignore(_: &mut Reach<'_, '_>, _: u64) {}

pub(crate) fn set_vector(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), v & !2);
}

pub(crate) fn set_pc(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), r.unit.xlen(v & if r.unit.has(Unit::IALIGN16) { !1 } else { !3 }));
}

/// Counter enables: all 32 exist if the performance counters do.
pub(crate) fn set_counteren(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), v & 0xffff_ffff);
}

/// Indirect selectors.
pub(crate) fn set_select(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), v & 0xffff_ffff);
}

// Machine.

pub(crate) fn misa(r: &mut Reach<'_, '_>) -> u64 {
    let shown: u64 = "abcdefhimsuv".chars().map(letter).sum();
    let length = if r.unit.rv32() { 1 << 30 } else { 2 << 62 };
    r.unit.letters() & shown | length
}

/// The summary bit of a status register.
fn dirty(r: &Reach<'_, '_>, v: u64) -> u64 {
    let any = v & status::FS == status::FS || v & status::VS == status::VS;
    let bit = if r.unit.rv32() { 1 << 31 } else { 1 << 63 };
    if any { bit } else { 0 }
}

/// FS and VS, as far as the units are there.
fn unit_fields(r: &Reach<'_, '_>) -> u64 {
    let float = if r.unit.has(letter('f')) { status::FS } else { 0 };
    float | if r.unit.vlen() > 0 { status::VS } else { 0 }
}

pub(crate) fn mstatus(r: &mut Reach<'_, '_>) -> u64 {
    let v = r.get(MSTATUS);
    v | dirty(r, v) | if r.unit.rv32() { 0 } else { status::XLENS }
}

pub(crate) fn set_mstatus(r: &mut Reach<'_, '_>, v: u64) {
    let mut fields = status::SIE
        | status::MIE
        | status::SPIE
        | status::MPIE
        | status::SPP
        | status::MPP
        | status::MPRV
        | status::SUM
        | status::MXR
        | status::TVM
        | status::TW
        | status::TSR
        | unit_fields(r);
    if r.unit.hypervisor() {
        fields |= status::GVA | status::MPV;
    }
    if (v & status::MPP) >> status::MPP_SHIFT == 2 {
        fields &= !status::MPP;
    }
    r.set_fields(MSTATUS, fields, v);
}

pub(crate) fn set_medeleg(r: &mut Reach<'_, '_>, v: u64) {
    r.set(MEDELEG, v & trap::delegable(r.unit));
}

pub(crate) fn set_mideleg(r: &mut Reach<'_, '_>, v: u64) {
    let fixed = if r.unit.hypervisor() { irq::H_MASK } else { 0 };
    r.set(MIDELEG, v & irq::S_MASK | fixed);
}

/// The interrupts that a CPU has.
fn interrupts(unit: Unit) -> u64 {
    irq::M_MASK | irq::S_MASK | if unit.hypervisor() { irq::H_MASK } else { 0 }
}

pub(crate) fn set_mie(r: &mut Reach<'_, '_>, v: u64) {
    r.set(MIE, v & interrupts(r.unit));
}

/// Software reads SEIP as the input or its own bit, and changes only the latter.
pub(crate) fn mip(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    let old = r.get(MIP);
    if kind != Kind::Read {
        let own = r.get(SOFT) & 1 << irq::SEI;
        let base = old & !(1 << irq::SEI) | own;
        let new = changed(kind, base, operand);
        set_soft(r, new);
        if r.unit.hypervisor() {
            r.set_fields(HVIP, 1 << irq::VSSI, new);
        }
        r.refresh();
    }
    Ok(old)
}

/// The bits of `mip` that software writes.
fn set_soft(r: &mut Reach<'_, '_>, v: u64) {
    let timer = if interrupt::has_timer(r.cx.state, r.unit) { 0 } else { 1 << irq::STI };
    r.set_fields(SOFT, 1 << irq::SSI | 1 << irq::SEI | timer, v);
}

/// With `mvien` clear, its bits are those that software wrote to `mip`.
pub(crate) fn mvip(r: &mut Reach<'_, '_>) -> u64 {
    r.get(SOFT)
}

pub(crate) fn set_mvip(r: &mut Reach<'_, '_>, v: u64) {
    set_soft(r, v);
    r.refresh();
}

/// The fields of `menvcfg`.
pub(crate) fn menvcfg_mask(unit: Unit) -> u64 {
    let with = |has: u64, bits: u64| if unit.has(has) { bits } else { 0 };
    envcfg::FIOM
        | with(Unit::ZICBOM, envcfg::CBIE | envcfg::CBCFE)
        | with(Unit::ZICBOZ, envcfg::CBZE)
        | with(Unit::SVADU, envcfg::ADUE)
        | with(Unit::SVPBMT, envcfg::PBMTE)
        | with(Unit::SSTC, envcfg::STCE)
}

/// CBIE has no meaning 2.
fn legal_envcfg(v: u64) -> u64 {
    if v & envcfg::CBIE == 2 << 4 { v & !envcfg::CBIE } else { v }
}

pub(crate) fn set_menvcfg(r: &mut Reach<'_, '_>, v: u64) {
    r.set(MENVCFG, legal_envcfg(v & menvcfg_mask(r.unit)));
    r.cx.flush = Flush::All;
    r.timers();
}

pub(crate) fn senvcfg(r: &mut Reach<'_, '_>) -> u64 {
    r.get(SENVCFG)
}

pub(crate) fn set_senvcfg(r: &mut Reach<'_, '_>, v: u64) {
    r.set(SENVCFG, legal_envcfg(v & menvcfg_mask(r.unit) & 0xff));
}

/// `mstateen0` and its like, as a mask: what there is to enable.
pub(crate) fn stateen_mask(unit: Unit) -> u64 {
    let aia = if unit.has(Unit::SSAIA) { stateen::CSRIND | stateen::AIA | stateen::IMSIC } else { 0 };
    stateen::SE | stateen::ENVCFG | aia
}

pub(crate) fn mstateen(r: &mut Reach<'_, '_>) -> u64 {
    match r.number & 3 {
        0 => r.get(MSTATEEN0),
        n => r.get(STATEEN_REST) >> n << 63,
    }
}

pub(crate) fn set_mstateen(r: &mut Reach<'_, '_>, v: u64) {
    match r.number & 3 {
        0 => r.set(MSTATEEN0, v & stateen_mask(r.unit)),
        n => r.set_fields(STATEEN_REST, 1 << n, v >> 63 << n),
    }
}

/// Counters run, or stand still at the offset.
pub(crate) fn counter(r: &mut Reach<'_, '_>) -> u64 {
    let (bit, offset) = counter_place(r.number);
    let offset = r.get(offset);
    if r.get(MCOUNTINHIBIT) >> bit & 1 != 0 { offset } else { r.cx.icount.wrapping_add(offset) }
}

fn counter_place(number: u16) -> (u32, Slot) {
    if number == 0xb00 { (0, CYCLE_OFFSET) } else { (2, INSTRET_OFFSET) }
}

/// The instruction that writes a counter does not count.
pub(crate) fn set_counter(r: &mut Reach<'_, '_>, v: u64) {
    let (bit, offset) = counter_place(r.number);
    let runs = r.get(MCOUNTINHIBIT) >> bit & 1 == 0;
    let v = if runs { v.wrapping_sub(r.cx.icount + r.retires) } else { v };
    r.set(offset, v);
}

pub(crate) fn set_mcountinhibit(r: &mut Reach<'_, '_>, v: u64) {
    let (old, new, now) = (r.get(MCOUNTINHIBIT), v & 5, r.cx.icount);
    let after = now + r.retires;
    for (bit, offset) in [(0, CYCLE_OFFSET), (2, INSTRET_OFFSET)] {
        let value = r.get(offset);
        match (old >> bit & 1, new >> bit & 1) {
            (0, 1) => r.set(offset, value.wrapping_add(now)),
            (1, 0) => r.set(offset, value.wrapping_sub(after)),
            _ => {}
        }
    }
    r.set(MCOUNTINHIBIT, new);
}

/// MML and MMWP stay once they are set; RLB cannot be set while an entry is locked.
pub(crate) fn set_mseccfg(r: &mut Reach<'_, '_>, v: u64) {
    let old = r.get(MSECCFG);
    let locked = (0..r.unit.pmp()).any(|n| pmp::config(r.cx.state, r.unit, n) & pmp::L != 0);
    let sticky = old & (pmp::MML | pmp::MMWP);
    let rlb = if old & pmp::RLB == 0 && locked { 0 } else { v & pmp::RLB };
    r.set(MSECCFG, sticky | v & (pmp::MML | pmp::MMWP) | rlb);
    r.cx.flush = Flush::All;
}

/// The configurations that one register holds: eight on RV64, where odd registers do not exist, four on RV32.
pub(crate) fn pmpcfg(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    let n = u32::from(r.number & 15);
    if !r.unit.rv32() && n % 2 == 1 || r.unit.pmp() == 0 {
        return Err(r.illegal());
    }
    let place = crate::state::pmpcfg(n / 2, r.unit.vlen());
    let shift = 32 * (n % 2);
    let all = r.get(place);
    let old = all >> shift;
    if kind == Kind::Read {
        return Ok(old);
    }
    let new = changed(kind, old, operand);
    let entries = if r.unit.rv32() { 4 } else { 8 };
    let mut result = all;
    for i in 0..entries {
        let (entry, at) = (4 * n + i, shift + 8 * i);
        if entry < r.unit.pmp() && pmp::writable(r.cx.state, r.unit, entry) {
            let config = pmp::legalize(r.cx.state, all >> at & 0xff, new >> (8 * i) & 0xff);
            result = result & !(0xff << at) | config << at;
        }
    }
    r.set(place, result);
    r.cx.flush = Flush::All;
    Ok(old)
}

pub(crate) fn pmpaddr(r: &mut Reach<'_, '_>) -> u64 {
    r.get(crate::state::pmpaddr(u32::from(r.number - 0x3b0), r.unit.vlen()))
}

pub(crate) fn set_pmpaddr(r: &mut Reach<'_, '_>, v: u64) {
    let n = u32::from(r.number - 0x3b0);
    if n < r.unit.pmp() && pmp::address_writable(r.cx.state, r.unit, n) {
        r.set(crate::state::pmpaddr(n, r.unit.vlen()), v & pmp::address_mask(r.unit));
        r.cx.flush = Flush::All;
    }
}

// Supervisor.

pub(crate) fn sip(r: &mut Reach<'_, '_>) -> u64 {
    r.get(MIP) & r.get(MIDELEG) & !irq::H_MASK
}

pub(crate) fn set_sip(r: &mut Reach<'_, '_>, v: u64) {
    let mask = r.get(MIDELEG) & 1 << irq::SSI;
    r.set_fields(SOFT, mask, v);
    r.refresh();
}

pub(crate) fn stimecmp(r: &mut Reach<'_, '_>) -> u64 {
    r.get(STIMECMP)
}

pub(crate) fn set_stimecmp(r: &mut Reach<'_, '_>, v: u64) {
    r.set(STIMECMP, v);
    r.timers();
}

/// An unsupported mode leaves all of the register as it was.
fn legal_atp(r: &Reach<'_, '_>, v: u64) -> Option<u64> {
    let v = if r.unit.rv32() { v & 0xffff_ffff } else { v };
    mmu::has_mode(r.unit, v).then_some(v)
}

pub(crate) fn satp(r: &mut Reach<'_, '_>) -> u64 {
    r.get(SATP)
}

pub(crate) fn set_satp(r: &mut Reach<'_, '_>, v: u64) {
    if let Some(v) = legal_atp(r, v) {
        r.set(SATP, v);
    }
}

// Hypervisor and guest.

pub(crate) fn vsstatus(r: &mut Reach<'_, '_>) -> u64 {
    let v = r.get(VSSTATUS);
    v | dirty(r, v) | if r.unit.rv32() { 0 } else { status::UXL }
}

pub(crate) fn set_vsstatus(r: &mut Reach<'_, '_>, v: u64) {
    let fields = status::SIE | status::SPIE | status::SPP | status::SUM | status::MXR | unit_fields(r);
    r.set_fields(VSSTATUS, fields, v);
}

/// The guest's interrupts, one bit below the hypervisor's.
fn guest_interrupts(r: &Reach<'_, '_>) -> u64 {
    r.get(HIDELEG) & irq::VS_MASK
}

pub(crate) fn vsie(r: &mut Reach<'_, '_>) -> u64 {
    (r.get(MIE) & guest_interrupts(r)) >> 1
}

pub(crate) fn set_vsie(r: &mut Reach<'_, '_>, v: u64) {
    let mask = guest_interrupts(r);
    r.set_fields(MIE, mask, v << 1);
}

pub(crate) fn vsip(r: &mut Reach<'_, '_>) -> u64 {
    (r.get(MIP) & guest_interrupts(r)) >> 1
}

pub(crate) fn set_vsip(r: &mut Reach<'_, '_>, v: u64) {
    let mask = guest_interrupts(r) & 1 << irq::VSSI;
    r.set_fields(HVIP, mask, v << 1);
    r.refresh();
}

pub(crate) fn set_vstimecmp(r: &mut Reach<'_, '_>, v: u64) {
    r.set(VSTIMECMP, v);
    r.timers();
}

pub(crate) fn set_htimedelta(r: &mut Reach<'_, '_>, v: u64) {
    r.set(HTIMEDELTA, v);
    r.timers();
}

pub(crate) fn set_vsatp(r: &mut Reach<'_, '_>, v: u64) {
    if let Some(v) = legal_atp(r, v) {
        r.set(VSATP, v);
    }
}

/// The root table has 16 KiB; VMIDs have 14 bits, 7 on RV32.
pub(crate) fn set_hgatp(r: &mut Reach<'_, '_>, v: u64) {
    if let Some(v) = legal_atp(r, v) {
        let mask = if r.unit.rv32() { 0x9fff_fffc } else { !0x3000_0000_0000_0003 | 0xf << 60 };
        r.set(HGATP, v & mask & if r.unit.rv32() { u64::MAX } else { !(3 << 58) });
    }
}

pub(crate) fn hstatus(r: &mut Reach<'_, '_>) -> u64 {
    r.get(HSTATUS) | if r.unit.rv32() { 0 } else { hs::VSXL }
}

pub(crate) fn set_hstatus(r: &mut Reach<'_, '_>, v: u64) {
    let mut fields = hs::GVA | hs::SPV | hs::SPVP | hs::HU | hs::VTVM | hs::VTW | hs::VTSR;
    if r.unit.has(Unit::SSAIA) {
        fields |= hs::GEILEN << hs::VGEIN_SHIFT;
    }
    r.set_fields(HSTATUS, fields, v);
    r.refresh();
}

pub(crate) fn set_hedeleg(r: &mut Reach<'_, '_>, v: u64) {
    r.set(r.slot(), v & trap::GUEST_DELEGABLE);
}

pub(crate) fn set_hideleg(r: &mut Reach<'_, '_>, v: u64) {
    r.set(HIDELEG, v & irq::VS_MASK);
}

pub(crate) fn hie(r: &mut Reach<'_, '_>) -> u64 {
    r.get(MIE) & irq::H_MASK
}

pub(crate) fn set_hie(r: &mut Reach<'_, '_>, v: u64) {
    r.set_fields(MIE, irq::H_MASK, v);
}

pub(crate) fn hip(r: &mut Reach<'_, '_>) -> u64 {
    r.get(MIP) & irq::H_MASK
}

pub(crate) fn set_hip(r: &mut Reach<'_, '_>, v: u64) {
    r.set_fields(HVIP, 1 << irq::VSSI, v);
    r.refresh();
}

pub(crate) fn set_hvip(r: &mut Reach<'_, '_>, v: u64) {
    r.set(HVIP, v & irq::VS_MASK);
    r.refresh();
}

pub(crate) fn set_hgeie(r: &mut Reach<'_, '_>, v: u64) {
    let files = if r.unit.has(Unit::SSAIA) { !1 } else { 0 };
    r.set(HGEIE, v & files & if r.unit.rv32() { 0xffff_ffff } else { u64::MAX });
    r.refresh();
}

/// Bits of `hvictl`: VTI, IID, DPR, IPRIOM, IPRIO.
pub(crate) fn set_hvictl(r: &mut Reach<'_, '_>, v: u64) {
    r.set(HVICTL, v & (1 << 30 | 0xfff << 16 | 0x3ff));
}

/// What `menvcfg` denies reads as zero.
pub(crate) fn henvcfg(r: &mut Reach<'_, '_>) -> u64 {
    r.get(HENVCFG) & henvcfg_mask(r)
}

fn henvcfg_mask(r: &Reach<'_, '_>) -> u64 {
    let shared = envcfg::ADUE | envcfg::PBMTE | envcfg::STCE;
    menvcfg_mask(r.unit) & (r.get(MENVCFG) | !shared)
}

pub(crate) fn set_henvcfg(r: &mut Reach<'_, '_>, v: u64) {
    let mask = henvcfg_mask(r);
    r.set_fields(HENVCFG, mask, legal_envcfg(v));
    r.cx.flush = Flush::All;
    r.timers();
}

/// What `mstateen` denies reads as zero.
pub(crate) fn hstateen(r: &mut Reach<'_, '_>) -> u64 {
    match r.number & 3 {
        0 => r.get(HSTATEEN0) & r.get(MSTATEEN0),
        n => (r.get(STATEEN_REST) >> (n + 4) & r.get(STATEEN_REST) >> n) << 63,
    }
}

pub(crate) fn set_hstateen(r: &mut Reach<'_, '_>, v: u64) {
    match r.number & 3 {
        0 => {
            let mask = r.get(MSTATEEN0);
            r.set_fields(HSTATEEN0, mask, v);
        }
        n => {
            let mask = r.get(STATEEN_REST) >> n & 1;
            r.set_fields(STATEEN_REST, mask << (n + 4), v >> 63 << (n + 4));
        }
    }
}
