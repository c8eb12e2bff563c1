//! The CSR table: number, name, condition, and what a read and a write do.  One row gives access checks, both bodies and
//! the names that assembler and disassembler use.

use crate::helper;
use crate::state::{VCSR, VL, VSTART, VTYPE};
use crate::translate::{Tr, X};
use tern_core::ir::I64;
use tern_core::state::Slot;

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
}

/// One control and status register.
pub struct Csr {
    /// Address; bits 11:10 both set: read-only; bits 9:8: least privilege.
    pub number: u16,
    /// The manual's name.
    pub name: &'static str,
    /// When it exists.
    pub needs: Needs,
    /// Its value.
    pub read: fn(&mut Tr<'_>) -> X,
    /// Sets it; ignored for read-only registers.
    pub write: fn(&mut Tr<'_>, X),
}

impl Csr {
    /// Does every write trap?
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.number >> 10 == 3
    }

    /// The register with this number, if this CPU has it.
    #[must_use]
    pub fn find(t: &Tr<'_>, number: i64) -> Option<&'static Csr> {
        let at = TABLE.binary_search_by_key(&number, |row| i64::from(row.number)).ok()?;
        let row = &TABLE[at];
        let has = match row.needs {
            Needs::F => t.cpu.csr_f,
            Needs::Counters => t.cpu.csr_counters,
            Needs::CounterHalves => t.cpu.csr_counters && t.cpu.rv32,
            Needs::V => t.cpu.vector.vlen > 0,
        };
        has.then_some(row)
    }
}

macro_rules! csrs {
    ($($(#[$doc:meta])* $number:literal $name:ident $needs:ident read $read:expr, write $write:expr;)*) => {
        /// All registers, by number.
        pub static TABLE: &[Csr] = &[
            $(Csr { number: $number, name: stringify!($name), needs: Needs::$needs, read: $read, write: $write }),*
        ];
        /// Names and numbers for the operand kind.
        pub(super) const NAMES: &str = concat!($(stringify!($name), "=", $number, " "),*);
    };
}

csrs! {
    /// Accrued exceptions.
    0x001 fflags F read fflags, write set_fflags;
    /// Dynamic rounding mode.
    0x002 frm F read frm, write set_frm;
    /// Both of them.
    0x003 fcsr F read fcsr, write set_fcsr;
    /// Vector start position.
    0x008 vstart V read |t| t.b.get(VSTART), write set_vstart;
    /// Fixed-point saturation flag.
    0x009 vxsat V read |t| field(t, VCSR, 0, 1), write |t, v| set_field(t, VCSR, 0, 1, v);
    /// Fixed-point rounding mode.
    0x00a vxrm V read |t| field(t, VCSR, 1, 3), write |t, v| set_field(t, VCSR, 1, 3, v);
    /// Both of them.
    0x00f vcsr V read |t| t.b.get(VCSR), write |t, v| set_field(t, VCSR, 0, 7, v);
    /// Cycles: one per instruction.
    0xc00 cycle Counters read instret, write ignore;
    /// Ticks of the 10 MHz time base.
    0xc01 time Counters read time, write ignore;
    /// Instructions retired.
    0xc02 instret Counters read instret, write ignore;
    /// Vector length.
    0xc20 vl V read |t| t.b.get(VL), write ignore;
    /// Vector type.
    0xc21 vtype V read |t| t.b.get(VTYPE), write ignore;
    /// Bytes in a vector register.
    0xc22 vlenb V read |t| { let n = u64::from(t.cpu.vector.vlen / 8); t.b.iconst(n) }, write ignore;
    /// Upper half of cycle.
    0xc80 cycleh CounterHalves read |t| { let v = instret(t); high(t, v) }, write ignore;
    /// Upper half of time.
    0xc81 timeh CounterHalves read |t| { let v = time(t); high(t, v) }, write ignore;
    /// Upper half of instret.
    0xc82 instreth CounterHalves read |t| { let v = instret(t); high(t, v) }, write ignore;
}

fn ignore(_: &mut Tr<'_>, _: X) {}

fn high(t: &mut Tr<'_>, v: X) -> X {
    t.b.shri(v, 32)
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
}

fn set_vstart(t: &mut Tr<'_>, v: X) {
    // As many bits as the largest element index needs: VLMAX = 8 * VLEN / 8.
    let mask = u64::from(t.cpu.vector.vlen.max(1)) - 1;
    let v = t.b.andi(v, mask);
    t.b.set(VSTART, v);
}

fn fflags(t: &mut Tr<'_>) -> X {
    field(t, Slot::fp_flags(0), 0, 0x1f)
}

fn set_fflags(t: &mut Tr<'_>, v: X) {
    let v = t.b.andi(v, 0x1f);
    t.b.set(Slot::fp_flags(0), v);
}

fn frm(t: &mut Tr<'_>) -> X {
    field(t, Slot::fp_control(0), 0, 7)
}

/// Sets frm; unless it is plain that it stays valid, the block ends so that its mode is looked at again.
fn set_frm(t: &mut Tr<'_>, v: X) {
    let v = t.b.andi(v, 7);
    t.b.set(Slot::fp_control(0), v);
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

fn instret(t: &mut Tr<'_>) -> X {
    t.b.icount()
}

fn time(t: &mut Tr<'_>) -> X {
    t.b.helper(helper::TIME, 0, &[], false)
}
