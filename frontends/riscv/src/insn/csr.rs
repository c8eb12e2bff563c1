//! The CSR table: number, name, condition, and what a read and a write do.  One row gives access checks, both bodies and
//! the names that assembler and disassembler use.

use super::csr_gate;
use crate::aia;
use crate::csr::{self, Part, Raw, Slow};
use crate::helper;
use crate::privileged::{Unit, letter};
use crate::state::{
    MCAUSE, MEPC, MSCRATCH, MTVAL, MTVEC, SCAUSE, SCOUNTEREN, SEPC, SISELECT, SSCRATCH, STVAL, STVEC, VCSR, VL, VSTART,
    VTYPE,
};
use crate::translate::{Cpu, Tr, X};
use tern_core::ir::I64;
use tern_core::state::Slot;

pub(crate) use crate::csr::{menvcfg_mask, stateen_mask};

/// What a CPU must have for a CSR to exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Floating-point registers.
    F,
    /// Zicntr.
    Counters,
    /// Zicntr on RV32, where counters come in halves.
    CounterHalves,
    /// Vector registers.
    V,
    /// All of these of [`Unit`].
    Has(u64),
}

impl Needs {
    const M: Needs = Needs::Has(Unit::MACHINE);
    const M32: Needs = Needs::Has(Unit::MACHINE | Unit::RV32);
    const S: Needs = Needs::Has(letter('s'));
    const SSTC: Needs = Needs::Has(Unit::SSTC);
    const SSTC32: Needs = Needs::Has(Unit::SSTC | Unit::RV32);
    const STATEEN: Needs = Needs::Has(Unit::SMSTATEEN);
    const STATEEN32: Needs = Needs::Has(Unit::SMSTATEEN | Unit::RV32);
    const SSAIA: Needs = Needs::Has(Unit::SSAIA);
    const SSAIA32: Needs = Needs::Has(Unit::SSAIA | Unit::RV32);
    const SMAIA: Needs = Needs::Has(Unit::SMAIA);
    const SMAIA32: Needs = Needs::Has(Unit::SMAIA | Unit::RV32);
    const H: Needs = Needs::Has(letter('h'));
    const H32: Needs = Needs::Has(letter('h') | Unit::RV32);
    const HSTC: Needs = Needs::Has(letter('h') | Unit::SSTC);
    const HSTC32: Needs = Needs::Has(letter('h') | Unit::SSTC | Unit::RV32);
    const HAIA: Needs = Needs::Has(letter('h') | Unit::SSAIA);
    const HAIA32: Needs = Needs::Has(letter('h') | Unit::SSAIA | Unit::RV32);
    const HSTATEEN: Needs = Needs::Has(letter('h') | Unit::SMSTATEEN);
    const HSTATEEN32: Needs = Needs::Has(letter('h') | Unit::SMSTATEEN | Unit::RV32);
    const HPM: Needs = Needs::Has(Unit::MACHINE | Unit::ZIHPM);
    const HPM32: Needs = Needs::Has(Unit::MACHINE | Unit::ZIHPM | Unit::RV32);
    const CNTRPMF: Needs = Needs::Has(Unit::SMCNTRPMF);
    const CNTRPMF32: Needs = Needs::Has(Unit::SMCNTRPMF | Unit::RV32);
    const SMEPMP: Needs = Needs::Has(Unit::MACHINE | Unit::SMEPMP);
    const SMEPMP32: Needs = Needs::Has(Unit::MACHINE | Unit::SMEPMP | Unit::RV32);
}

/// What a CSR instruction does with the old value and its operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing.
    Read = 0,
    /// The operand replaces it.
    Write = 1,
    /// Its bits are set.
    Set = 2,
    /// Its bits are cleared.
    Clear = 3,
}

/// A write: what kind, and its operand.
#[derive(Clone, Copy)]
pub struct Change {
    /// What it does.
    pub kind: Kind,
    /// With what.
    pub operand: X,
}

/// How a register is reached.
pub enum How {
    /// By IR: its value, and setting it to a new one.
    Ir(fn(&mut Tr<'_>) -> X, fn(&mut Tr<'_>, X, Change)),
    /// By a helper, which reads and writes.  Writes end the block.
    Slow(Slow),
    /// By a helper that does all of it in one step.  Writes end the block.
    Raw(Raw),
}

/// One control and status register, or a run of equal ones.
pub struct Csr {
    /// Address; bits 11:10 both set: read-only; bits 9:8: least privilege.
    pub number: u16,
    /// That of the last of the run.
    pub last: u16,
    /// The manual's name.
    pub name: &'static str,
    /// When it exists.
    pub needs: Needs,
    /// What access does.
    pub how: How,
}

impl Csr {
    /// The row with this number.
    pub(crate) fn row(number: u16) -> Option<&'static Csr> {
        let at = TABLE.partition_point(|row| row.last < number);
        TABLE.get(at).filter(|row| row.number <= number)
    }

    /// The register with this number, if this CPU has it.
    #[must_use]
    pub fn find(t: &Tr<'_>, number: u16) -> Option<&'static Csr> {
        Csr::of(t.cpu, number)
    }

    fn of(cpu: Cpu, number: u16) -> Option<&'static Csr> {
        let row = Csr::row(number)?;
        let has = match row.needs {
            Needs::F => cpu.csr_f,
            Needs::Counters => cpu.csr_counters,
            Needs::CounterHalves => cpu.csr_counters && cpu.rv32,
            Needs::V => cpu.vector.vlen > 0,
            Needs::Has(bits) => cpu.privileged.has(bits),
        };
        has.then_some(row)
    }

    /// The registers that a CPU has: number and name, by number.
    pub(crate) fn list(cpu: Cpu) -> Vec<(u32, &'static str)> {
        let names = NAMES.split(' ').filter_map(|entry| {
            let (name, number) = entry.split_once('=')?;
            let number = match number.strip_prefix("0x") {
                Some(hex) => u16::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            Csr::of(cpu, number).map(|_| (u32::from(number), name))
        });
        let mut list: Vec<_> = names.collect();
        list.sort_unstable();
        list.dedup_by_key(|(number, _)| *number);
        list
    }
}

/// Does every write trap?
#[must_use]
pub fn read_only(number: u16) -> bool {
    number >> 10 == 3
}

/// Reads, writes, or both; `d` gets the old value.
pub(super) fn access(t: &mut Tr<'_>, d: i64, number: i64, change: Option<Change>) {
    let named = number as u16;
    let number = csr_gate::redirect(t, named);
    let Some(csr) = Csr::find(t, number) else { return t.illegal() };
    if change.is_some() && read_only(number) {
        return t.illegal();
    }
    csr_gate::check(t, named);
    if t.b.ended() {
        return;
    }
    match (&csr.how, change) {
        (How::Ir(read, _), None) => {
            let old = read(t);
            t.set_x(d, old);
        }
        (How::Ir(read, write), Some(change)) => {
            // csrrw with rd = x0 does not read.
            let old = (change.kind != Kind::Write || d != 0).then(|| read(t));
            let new = match (change.kind, old) {
                (Kind::Set, Some(old)) => t.b.or(old, change.operand),
                (Kind::Clear, Some(old)) => t.b.andn(old, change.operand),
                _ => change.operand,
            };
            write(t, new, change);
            if let Some(old) = old {
                t.set_x(d, old);
            }
        }
        (How::Slow(_) | How::Raw(_), change) => {
            let old = by_helper(t, number, change);
            t.set_x(d, old);
            if change.is_some() {
                t.want_resync();
            }
        }
    }
    t.resync_if_wanted();
}

/// Reads register `number`, writes it too if there is something to write, whatever the current mode may do; the value that
/// it had, and in the block, the write.  `None`: there is no such register, or it cannot be written.
pub(crate) fn any_mode(t: &mut Tr<'_>, number: u16, write: Option<u64>) -> Option<X> {
    let csr = Csr::find(t, number)?;
    if write.is_some() && read_only(number) {
        return None;
    }
    let change = write.map(|value| Change { kind: Kind::Write, operand: t.b.iconst(value) });
    match &csr.how {
        How::Ir(read, write) => {
            let old = read(t);
            if let Some(change) = change {
                write(t, change.operand, change);
            }
            Some(old)
        }
        How::Slow(_) | How::Raw(_) => Some(call(t, number, change, csr::OUTSIDE)),
    }
}

/// Access by the helper; the old value.
fn by_helper(t: &mut Tr<'_>, number: u16, change: Option<Change>) -> X {
    call(t, number, change, 0)
}

/// The call, with `flags` in the payload.
fn call(t: &mut Tr<'_>, number: u16, change: Option<Change>, flags: u64) -> X {
    let unit = t.b.iconst::<I64>(t.cpu.privileged.pack());
    let (kind, operand) = match change {
        Some(change) => (change.kind, change.operand),
        None => (Kind::Read, t.b.iconst(0)),
    };
    let payload = u64::from(number) | (kind as u64) << 12 | flags | (t.word & 0xffff_ffff) << 16;
    t.b.helper(helper::CSR, payload, &[operand.raw(), unit.raw()], true)
}

macro_rules! csrs {
    ($($(#[$doc:meta])* $number:literal $((to $last:literal $rest:literal))? $name:ident $needs:ident $how:expr;)*) => {
        /// All registers, by number.
        pub static TABLE: &[Csr] = &[
            $(Csr {
                number: $number,
                last: csrs!(@last $number $($last)?),
                name: stringify!($name),
                needs: Needs::$needs,
                how: $how,
            }),*
        ];
        /// Names and numbers for the operand kind.
        pub(super) const NAMES: &str = concat!($(stringify!($name), "=", $number, " ", $($rest, " ",)?)*);
    };
    (@last $number:literal) => { $number };
    (@last $number:literal $last:literal) => { $last };
}

/// A register of XLEN bits.
const fn xlen(read: csr::Read, write: csr::Write) -> How {
    How::Slow(Slow { part: Part::Xlen, read, write })
}

/// A register of 64 bits; RV32 reaches the low half.
const fn wide(read: csr::Read, write: csr::Write) -> How {
    How::Slow(Slow { part: Part::Low, read, write })
}

/// Its high half, on RV32.
const fn high(read: csr::Read, write: csr::Write) -> How {
    How::Slow(Slow { part: Part::High, read, write })
}

/// Nothing is in it, and nothing can be.
const ZERO: How = How::Ir(|t| t.b.iconst(0), ignore);

csrs! {
    /// Accrued exceptions.
    0x001 fflags F How::Ir(fflags, |t, v, _| set_fflags(t, v));
    /// Dynamic rounding mode.
    0x002 frm F How::Ir(frm, |t, v, _| set_frm(t, v));
    /// Both of them.
    0x003 fcsr F How::Ir(fcsr, |t, v, _| set_fcsr(t, v));
    /// Vector start position.
    0x008 vstart V How::Ir(|t| t.b.get(VSTART), |t, v, _| set_vstart(t, v));
    /// Fixed-point saturation flag.
    0x009 vxsat V How::Ir(|t| field(t, VCSR, 0, 1), |t, v, _| set_field(t, VCSR, 0, 1, v));
    /// Fixed-point rounding mode.
    0x00a vxrm V How::Ir(|t| field(t, VCSR, 1, 3), |t, v, _| set_field(t, VCSR, 1, 3, v));
    /// Both of them.
    0x00f vcsr V How::Ir(|t| t.b.get(VCSR), |t, v, _| set_field(t, VCSR, 0, 7, v));

    /// Supervisor status.
    0x100 sstatus S How::Ir(csr_gate::sstatus, csr_gate::set_sstatus);
    /// Supervisor interrupt enables.
    0x104 sie S How::Ir(csr_gate::sie, csr_gate::set_sie);
    /// Supervisor trap vector.
    0x105 stvec S How::Ir(|t| t.b.get(STVEC), |t, v, _| set_vector(t, STVEC, v));
    /// Counters that U may read.
    0x106 scounteren S How::Ir(|t| t.b.get(SCOUNTEREN), |t, v, _| set_low(t, SCOUNTEREN, v));
    /// Environment of U.
    0x10a senvcfg S xlen(csr::senvcfg, csr::set_senvcfg);
    /// State that U may use: nothing that is here depends on it.
    0x10c (to 0x10f "sstateen1..sstateen3") sstateen0 STATEEN ZERO;
    /// Upper half of sie.
    0x114 sieh SSAIA32 ZERO;
    /// Supervisor scratch register.
    0x140 sscratch S How::Ir(|t| t.b.get(SSCRATCH), |t, v, _| set_plain(t, SSCRATCH, v));
    /// Where the supervisor trap came from.
    0x141 sepc S How::Ir(|t| t.b.get(SEPC), |t, v, _| set_pc(t, SEPC, v));
    /// Why it came.
    0x142 scause S How::Ir(|t| t.b.get(SCAUSE), |t, v, _| set_plain(t, SCAUSE, v));
    /// What goes with it.
    0x143 stval S How::Ir(|t| t.b.get(STVAL), |t, v, _| set_plain(t, STVAL, v));
    /// Supervisor interrupts that are pending.
    0x144 sip S xlen(csr::sip, csr::set_sip);
    /// Supervisor timer.
    0x14d stimecmp SSTC wide(csr::stimecmp, csr::set_stimecmp);
    /// Selects what `sireg` is.
    0x150 siselect SSAIA How::Ir(|t| t.b.get(SISELECT), |t, v, _| set_low(t, SISELECT, v));
    /// What `siselect` selects.
    0x151 sireg SSAIA How::Raw(aia::sireg);
    /// Upper half of sip.
    0x154 siph SSAIA32 ZERO;
    /// Top external interrupt.
    0x15c stopei SSAIA How::Raw(aia::stopei);
    /// Upper half of stimecmp.
    0x15d stimecmph SSTC32 high(csr::stimecmp, csr::set_stimecmp);
    /// Address translation.
    0x180 satp S xlen(csr::satp, csr::set_satp);

    /// The guest's sstatus.
    0x200 vsstatus H xlen(csr::vsstatus, csr::set_vsstatus);
    /// The guest's sie.
    0x204 vsie H xlen(csr::vsie, csr::set_vsie);
    /// The guest's stvec.
    0x205 vstvec H xlen(csr::slot, csr::set_vector);
    /// The guest's sscratch.
    0x240 vsscratch H xlen(csr::slot, csr::set_slot);
    /// The guest's sepc.
    0x241 vsepc H xlen(csr::slot, csr::set_pc);
    /// The guest's scause.
    0x242 vscause H xlen(csr::slot, csr::set_slot);
    /// The guest's stval.
    0x243 vstval H xlen(csr::slot, csr::set_slot);
    /// The guest's sip.
    0x244 vsip H xlen(csr::vsip, csr::set_vsip);
    /// The guest's stimecmp.
    0x24d vstimecmp HSTC wide(csr::slot, csr::set_vstimecmp);
    /// The guest's siselect.
    0x250 vsiselect HAIA xlen(csr::slot, csr::set_select);
    /// The guest's sireg.
    0x251 vsireg HAIA How::Raw(aia::vsireg);
    /// The guest's stopei.
    0x25c vstopei HAIA How::Raw(aia::vstopei);
    /// Upper half of vstimecmp.
    0x25d vstimecmph HSTC32 high(csr::slot, csr::set_vstimecmp);
    /// The guest's satp.
    0x280 vsatp H xlen(csr::slot, csr::set_vsatp);

    /// Machine status.
    0x300 mstatus M wide(csr::mstatus, csr::set_mstatus);
    /// Extensions.
    0x301 misa M xlen(csr::misa, csr::ignore);
    /// Exceptions that S handles.
    0x302 medeleg S wide(csr::slot, csr::set_medeleg);
    /// Interrupts that S handles.
    0x303 mideleg S wide(csr::slot, csr::set_mideleg);
    /// Machine interrupt enables.
    0x304 mie M wide(csr::slot, csr::set_mie);
    /// Machine trap vector.
    0x305 mtvec M How::Ir(|t| t.b.get(MTVEC), |t, v, _| set_vector(t, MTVEC, v));
    /// Counters that S may read.
    0x306 mcounteren M xlen(csr::slot, csr::set_counteren);
    /// Interrupts that are virtual for S: none can be.
    0x308 mvien SMAIA ZERO;
    /// Their pending bits, which are those of mip.
    0x309 mvip SMAIA xlen(csr::mvip, csr::set_mvip);
    /// Environment of S and below.
    0x30a menvcfg M wide(csr::slot, csr::set_menvcfg);
    /// State that S may use.
    0x30c (to 0x30f "mstateen1..mstateen3") mstateen0 STATEEN wide(csr::mstateen, csr::set_mstateen);
    /// Upper half of mstatus.
    0x310 mstatush M32 high(csr::mstatus, csr::set_mstatus);
    /// Upper half of medeleg.
    0x312 medelegh H32 high(csr::slot, csr::set_medeleg);
    /// Upper half of mideleg.
    0x313 midelegh SMAIA32 ZERO;
    /// Upper half of mie.
    0x314 mieh SMAIA32 ZERO;
    /// Upper half of mvien.
    0x318 mvienh SMAIA32 ZERO;
    /// Upper half of mvip.
    0x319 mviph SMAIA32 ZERO;
    /// Upper half of menvcfg.
    0x31a menvcfgh M32 high(csr::slot, csr::set_menvcfg);
    /// Upper halves of mstateen.
    0x31c (to 0x31f "mstateen1h mstateen2h mstateen3h") mstateen0h STATEEN32 high(csr::mstateen, csr::set_mstateen);
    /// Counters that stand still.
    0x320 mcountinhibit M xlen(csr::slot, csr::set_mcountinhibit);
    /// Where `mcycle` does not count: it counts everywhere.
    0x321 mcyclecfg CNTRPMF ZERO;
    /// Where `minstret` does not count: it counts everywhere.
    0x322 minstretcfg CNTRPMF ZERO;
    /// Events of the performance counters: there are none.
    0x323 (to 0x33f "mhpmevent4..mhpmevent31") mhpmevent3 M ZERO;
    /// Machine scratch register.
    0x340 mscratch M How::Ir(|t| t.b.get(MSCRATCH), |t, v, _| set_plain(t, MSCRATCH, v));
    /// Where the machine trap came from.
    0x341 mepc M How::Ir(|t| t.b.get(MEPC), |t, v, _| set_pc(t, MEPC, v));
    /// Why it came.
    0x342 mcause M How::Ir(|t| t.b.get(MCAUSE), |t, v, _| set_plain(t, MCAUSE, v));
    /// What goes with it.
    0x343 mtval M How::Ir(|t| t.b.get(MTVAL), |t, v, _| set_plain(t, MTVAL, v));
    /// Interrupts that are pending.
    0x344 mip M How::Raw(csr::mip);
    /// Instruction of the machine trap.
    0x34a mtinst H xlen(csr::slot, csr::set_slot);
    /// Guest physical address of the machine trap.
    0x34b mtval2 H xlen(csr::slot, csr::set_slot);
    /// Selects what `mireg` is.
    0x350 miselect SMAIA xlen(csr::slot, csr::set_select);
    /// What `miselect` selects.
    0x351 mireg SMAIA How::Raw(aia::mireg);
    /// Upper half of mip.
    0x354 miph SMAIA32 ZERO;
    /// Top external interrupt.
    0x35c mtopei SMAIA How::Raw(aia::mtopei);
    /// PMP configurations.
    0x3a0 (to 0x3af "pmpcfg1..pmpcfg15") pmpcfg0 M How::Raw(csr::pmpcfg);
    /// PMP addresses.
    0x3b0 (to 0x3ef "pmpaddr1..pmpaddr63") pmpaddr0 M xlen(csr::pmpaddr, csr::set_pmpaddr);

    /// Hypervisor status.
    0x600 hstatus H xlen(csr::hstatus, csr::set_hstatus);
    /// Exceptions that VS handles.
    0x602 hedeleg H wide(csr::slot, csr::set_hedeleg);
    /// Interrupts that VS handles.
    0x603 hideleg H wide(csr::slot, csr::set_hideleg);
    /// Hypervisor interrupt enables.
    0x604 hie H xlen(csr::hie, csr::set_hie);
    /// What the guest's time is ahead.
    0x605 htimedelta H wide(csr::slot, csr::set_htimedelta);
    /// Counters that VS may read.
    0x606 hcounteren H xlen(csr::slot, csr::set_counteren);
    /// Guest external interrupts that count.
    0x607 hgeie H xlen(csr::slot, csr::set_hgeie);
    /// Interrupts that are virtual for VS: none can be besides its own.
    0x608 hvien HAIA ZERO;
    /// Virtual interrupt control.
    0x609 hvictl HAIA xlen(csr::slot, csr::set_hvictl);
    /// Environment of VS and below.
    0x60a henvcfg H wide(csr::henvcfg, csr::set_henvcfg);
    /// State that VS may use.
    0x60c (to 0x60f "hstateen1..hstateen3") hstateen0 HSTATEEN wide(csr::hstateen, csr::set_hstateen);
    /// Upper half of hedeleg.
    0x612 hedelegh H32 high(csr::slot, csr::set_hedeleg);
    /// Upper half of hideleg.
    0x613 hidelegh HAIA32 ZERO;
    /// Upper half of htimedelta.
    0x615 htimedeltah H32 high(csr::slot, csr::set_htimedelta);
    /// Upper half of hvien.
    0x618 hvienh HAIA32 ZERO;
    /// Upper half of henvcfg.
    0x61a henvcfgh H32 high(csr::henvcfg, csr::set_henvcfg);
    /// Upper halves of hstateen.
    0x61c (to 0x61f "hstateen1h hstateen2h hstateen3h") hstateen0h HSTATEEN32 high(csr::hstateen, csr::set_hstateen);
    /// Guest physical address of the hypervisor trap.
    0x643 htval H xlen(csr::slot, csr::set_slot);
    /// Hypervisor interrupts that are pending.
    0x644 hip H xlen(csr::hip, csr::set_hip);
    /// Virtual interrupts.
    0x645 hvip H xlen(csr::slot, csr::set_hvip);
    /// Priorities of the guest's interrupts: the default ones.
    0x646 (to 0x647 "hviprio2") hviprio1 HAIA ZERO;
    /// Instruction of the hypervisor trap.
    0x64a htinst H xlen(csr::slot, csr::set_slot);
    /// Upper half of hvip.
    0x655 hviph HAIA32 ZERO;
    /// Upper halves of hviprio.
    0x656 (to 0x657 "hviprio2h") hviprio1h HAIA32 ZERO;
    /// Translation of guest physical addresses.
    0x680 hgatp H xlen(csr::slot, csr::set_hgatp);

    /// Upper half of mcyclecfg.
    0x721 mcyclecfgh CNTRPMF32 ZERO;
    /// Upper half of minstretcfg.
    0x722 minstretcfgh CNTRPMF32 ZERO;
    /// Security configuration.
    0x747 mseccfg SMEPMP wide(csr::slot, csr::set_mseccfg);
    /// Upper half of mseccfg.
    0x757 mseccfgh SMEPMP32 ZERO;
    /// Selects a trigger: there are none.
    0x7a0 tselect M ZERO;
    /// Data of the trigger.
    0x7a1 (to 0x7a3 "tdata2..tdata3") tdata1 M ZERO;
    /// What the trigger can be: nothing.
    0x7a4 tinfo M How::Ir(|t| t.b.iconst(1), ignore);

    /// Cycles.
    0xb00 mcycle M wide(csr::counter, csr::set_counter);
    /// Instructions retired.
    0xb02 minstret M wide(csr::counter, csr::set_counter);
    /// Performance counters, which stand still.
    0xb03 (to 0xb1f "mhpmcounter4..mhpmcounter31") mhpmcounter3 M ZERO;
    /// Upper half of mcycle.
    0xb80 mcycleh M32 high(csr::counter, csr::set_counter);
    /// Upper half of minstret.
    0xb82 minstreth M32 high(csr::counter, csr::set_counter);
    /// Upper halves of the performance counters.
    0xb83 (to 0xb9f "mhpmcounter4h mhpmcounter5h mhpmcounter6h mhpmcounter7h mhpmcounter8h mhpmcounter9h mhpmcounter10h \
        mhpmcounter11h mhpmcounter12h mhpmcounter13h mhpmcounter14h mhpmcounter15h mhpmcounter16h mhpmcounter17h \
        mhpmcounter18h mhpmcounter19h mhpmcounter20h mhpmcounter21h mhpmcounter22h mhpmcounter23h mhpmcounter24h \
        mhpmcounter25h mhpmcounter26h mhpmcounter27h mhpmcounter28h mhpmcounter29h mhpmcounter30h mhpmcounter31h")         mhpmcounter3h M32 ZERO;

    /// Cycles: one per instruction.
    0xc00 cycle Counters How::Ir(|t| counter(t, 0xb00), ignore);
    /// Ticks of the 10 MHz time base.
    0xc01 time Counters How::Ir(time, ignore);
    /// Instructions retired.
    0xc02 instret Counters How::Ir(|t| counter(t, 0xb02), ignore);
    /// Performance counters.
    0xc03 (to 0xc1f "hpmcounter4..hpmcounter31") hpmcounter3 HPM ZERO;
    /// Vector length.
    0xc20 vl V How::Ir(|t| t.b.get(VL), ignore);
    /// Vector type.
    0xc21 vtype V How::Ir(|t| t.b.get(VTYPE), ignore);
    /// Bytes in a vector register.
    0xc22 vlenb V How::Ir(|t| { let n = u64::from(t.cpu.vector.vlen / 8); t.b.iconst(n) }, ignore);
    /// Upper half of cycle.
    0xc80 cycleh CounterHalves How::Ir(|t| { let v = counter(t, 0xb00); upper(t, v) }, ignore);
    /// Upper half of time.
    0xc81 timeh CounterHalves How::Ir(|t| { let v = time(t); upper(t, v) }, ignore);
    /// Upper half of instret.
    0xc82 instreth CounterHalves How::Ir(|t| { let v = counter(t, 0xb02); upper(t, v) }, ignore);
    /// Upper halves of the performance counters.
    0xc83 (to 0xc9f "hpmcounter4h hpmcounter5h hpmcounter6h hpmcounter7h hpmcounter8h hpmcounter9h hpmcounter10h \
        hpmcounter11h hpmcounter12h hpmcounter13h hpmcounter14h hpmcounter15h hpmcounter16h hpmcounter17h hpmcounter18h \
        hpmcounter19h hpmcounter20h hpmcounter21h hpmcounter22h hpmcounter23h hpmcounter24h hpmcounter25h hpmcounter26h \
        hpmcounter27h hpmcounter28h hpmcounter29h hpmcounter30h hpmcounter31h")         hpmcounter3h HPM32 ZERO;

    /// Top interrupt of S.
    0xdb0 stopi SSAIA xlen(aia::stopi, csr::ignore);
    /// Guest external interrupts.
    0xe12 hgeip H xlen(csr::slot, csr::ignore);
    /// Top interrupt of VS.
    0xeb0 vstopi HAIA xlen(aia::vstopi, csr::ignore);
    /// Who made it; 0: nobody in particular.
    0xf11 mvendorid M xlen(csr::slot, csr::ignore);
    /// What it is; 0: nothing that is registered.
    0xf12 marchid M xlen(csr::slot, csr::ignore);
    /// Which version of that.
    0xf13 mimpid M xlen(csr::slot, csr::ignore);
    /// Number of the hart.
    0xf14 mhartid M xlen(csr::slot, csr::ignore);
    /// Configuration structure: none.
    0xf15 mconfigptr M ZERO;
    /// Top interrupt of M.
    0xfb0 mtopi SMAIA xlen(aia::mtopi, csr::ignore);
}

fn ignore(_: &mut Tr<'_>, _: X, _: Change) {}

fn upper(t: &mut Tr<'_>, v: X) -> X {
    t.b.shri(v, 32)
}

/// Sets a register of XLEN bits.
fn set_plain(t: &mut Tr<'_>, slot: Slot, v: X) {
    let v = if t.cpu.rv32 { t.b.sext_low(v) } else { v };
    t.b.set(slot, v);
}

/// Sets a register of 32 bits.
fn set_low(t: &mut Tr<'_>, slot: Slot, v: X) {
    let v = t.b.zext_low(v);
    t.b.set(slot, v);
}

/// Sets a trap vector: there are two modes.
fn set_vector(t: &mut Tr<'_>, slot: Slot, v: X) {
    let v = t.b.andi(v, !2);
    set_plain(t, slot, v);
}

/// Sets an exception pc.
fn set_pc(t: &mut Tr<'_>, slot: Slot, v: X) {
    let mask = if t.cpu.ialign16 { !1 } else { !3 };
    let v = t.b.andi(v, mask);
    set_plain(t, slot, v);
}

/// `cycle` and `instret`; on machines, the machine's counter `number`.
fn counter(t: &mut Tr<'_>, number: u16) -> X {
    if t.cpu.privileged.machine() { by_helper(t, number, None) } else { t.b.icount() }
}

fn time(t: &mut Tr<'_>) -> X {
    let now = t.b.helper(helper::TIME, 0, &[], false);
    if !t.mode.guest() {
        return now;
    }
    let delta = t.b.get(crate::state::HTIMEDELTA);
    t.b.add(now, delta)
}

fn field(t: &mut Tr<'_>, slot: Slot, shift: u32, mask: u64) -> X {
    let v = t.b.get::<I64>(slot);
    let v = t.b.shri(v, shift);
    t.b.andi(v, mask)
}

fn set_field(t: &mut Tr<'_>, slot: Slot, shift: u32, mask: u64, v: X) {
    let v = t.b.andi(v, mask);
    let v = t.b.shli(v, shift);
    let old = t.b.get::<I64>(slot);
    let rest = t.b.andi(old, !(mask << shift) & 7);
    let new = t.b.or(rest, v);
    t.b.set(slot, new);
    t.vector_changes();
}

fn set_vstart(t: &mut Tr<'_>, v: X) {
    // As many bits as the largest element index needs: VLMAX = 8 * VLEN / 8.
    let mask = u64::from(t.cpu.vector.vlen.max(1)) - 1;
    let v = t.b.andi(v, mask);
    t.b.set(VSTART, v);
    t.vector_changes();
}

fn fflags(t: &mut Tr<'_>) -> X {
    field(t, Slot::fp_flags(0), 0, 0x1f)
}

fn set_fflags(t: &mut Tr<'_>, v: X) {
    let v = t.b.andi(v, 0x1f);
    t.b.set(Slot::fp_flags(0), v);
    t.float_changes();
}

fn frm(t: &mut Tr<'_>) -> X {
    field(t, Slot::fp_control(0), 0, 7)
}

/// Sets frm; unless it is plain that it stays valid, the block ends so that its mode is looked at again.
fn set_frm(t: &mut Tr<'_>, v: X) {
    let v = t.b.andi(v, 7);
    t.b.set(Slot::fp_control(0), v);
    t.float_changes();
    let stays = t.frm_valid() && t.b.as_const(v).is_some_and(|v| v <= 4);
    if !stays {
        t.want_resync();
    }
}

fn fcsr(t: &mut Tr<'_>) -> X {
    let (flags, rm) = (fflags(t), frm(t));
    let rm = t.b.shli(rm, 5);
    t.b.or(flags, rm)
}

fn set_fcsr(t: &mut Tr<'_>, v: X) {
    set_fflags(t, v);
    let rm = t.b.shri(v, 5);
    set_frm(t, rm);
}
