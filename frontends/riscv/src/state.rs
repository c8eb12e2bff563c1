//! The slots of a RISC-V CPU.

use tern_core::ir::Ty;
use tern_core::state::{LayoutBuilder, NEAR, Role, Slot, StateLayout};
use tern_softfloat::Style;

/// ABI names of the integer registers (RISC-V calling convention, table 1).
pub(crate) const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2",
    "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// ABI names of the floating-point registers.
const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// Integer register `n`, 1 to 31; `x0` has no slot.  RV32 holds registers sign-extended from 32 bits.
#[must_use]
pub const fn x(n: u8) -> Slot {
    Slot(Slot::FIRST.0 + n as u32 - 1)
}

/// Address of the reservation that `lr` made, or [`NO_RESERVATION`].
pub const RES_ADDR: Slot = Slot(Slot::FIRST.0 + 31);
/// The value that `lr` saw.
pub const RES_VAL: Slot = Slot(Slot::FIRST.0 + 32);
/// What [`RES_ADDR`] holds without a reservation; no aligned address equals it.
pub const NO_RESERVATION: u64 = u64::MAX;

/// Floating-point register `n`, 0 to 31.  Narrower values are NaN-boxed to 64 bits, whatever FLEN is.
#[must_use]
pub const fn f(n: u8) -> Slot {
    Slot(Slot::FIRST.0 + 33 + n as u32)
}

/// Vector length.
pub const VL: Slot = Slot(Slot::FIRST.0 + 65);
/// Vector type; reset has `vill` set.
pub const VTYPE: Slot = Slot(Slot::FIRST.0 + 66);
/// Index of the first element of a resumed vector instruction.
pub const VSTART: Slot = Slot(Slot::FIRST.0 + 67);
/// Fixed-point rounding mode and saturation flag, as the CSR `vcsr` packs them.
pub const VCSR: Slot = Slot(Slot::FIRST.0 + 68);

/// Word `word` (64 bits, least significant first) of vector register `n` when registers have `vlen` bits.
#[must_use]
pub const fn v(n: u8, word: u16, vlen: u32) -> Slot {
    Slot(NEAR as u32 + n as u32 * (vlen / 64) + word as u32)
}

/// What a layout depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// 32 or 64.
    pub xlen: u8,
    /// Width of the floating-point registers: 0, 32 or 64.
    pub flen: u8,
    /// Width of the vector registers, a power of two from 64 on; 0 without them.
    pub vlen: u32,
}

/// The layout of a CPU of this shape.
#[must_use]
pub fn layout(shape: Shape) -> StateLayout {
    let mut b = integer(shape);
    if shape.flen == 0 && shape.vlen == 0 {
        return b.finish();
    }
    for (n, name) in (0u8..).zip(F_NAMES) {
        b.near(name, Ty::I64, shape.flen.max(32), Role::Fpr(n));
    }
    if shape.vlen == 0 {
        return b.finish();
    }
    vector_csrs(&mut b, shape);
    vector_registers(&mut b, shape);
    b.finish()
}

/// The slots that every CPU has.
fn integer(shape: Shape) -> LayoutBuilder {
    let mut b = LayoutBuilder::new(shape.xlen, &[Style::RISCV]);
    for (n, name) in (1u8..).zip(&X_NAMES[1..]) {
        b.near(*name, Ty::I64, shape.xlen, Role::Gpr(n));
    }
    b.near("res_addr", Ty::I64, 64, Role::Hidden);
    b.reset(NO_RESERVATION);
    b.near("res_val", Ty::I64, 64, Role::Hidden);
    b
}

fn vector_csrs(b: &mut LayoutBuilder, shape: Shape) {
    b.near("vl", Ty::I64, shape.xlen, Role::Control(0xc20));
    b.near("vtype", Ty::I64, shape.xlen, Role::Control(0xc21));
    b.reset(1 << (shape.xlen - 1));
    b.near("vstart", Ty::I64, shape.xlen, Role::Control(0x008));
    b.near("vcsr", Ty::I64, 3, Role::Control(0x00f));
}

fn vector_registers(b: &mut LayoutBuilder, shape: Shape) {
    for n in 0..32 {
        for word in 0..(shape.vlen / 64) as u16 {
            b.far(format!("v{n}_{word}"), Ty::I64, 64, Role::Vector(n, word));
        }
    }
}

/// What software of a machine sees of a privileged CPU: one row per slot after those of every CPU, its constant, name, and
/// CSR number (0: software has no name for it).
macro_rules! privileged_slots {
    ($($(#[$doc:meta])* $const:ident $name:literal $number:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the manual's names")]
        enum Place { $($const),* }
        $($(#[$doc])* pub const $const: Slot = Slot(Slot::FIRST.0 + 69 + Place::$const as u32);)*
        const PRIVILEGED: &[(&str, u32)] = &[$(($name, $number)),*];
    };
}

privileged_slots! {
    /// Privilege: 0 U, 1 S, 3 M; see [`crate::privileged`].
    PRIVILEGE "priv" 0;
    /// The virtualization mode V.
    VIRTUAL "virt" 0;
    /// `mstatus` as RV64 has it, without the bits that follow from others (SD, SXL, UXL).
    MSTATUS "mstatus" 0x300;
    /// Levels of the interrupt inputs, by bit of `mip`.
    LINES "lines" 0;
    /// Interrupts that software made pending, by bit of `mip`.
    SOFT "soft" 0;
    /// What `mip` reads as.
    MIP "mip" 0x344;
    /// Interrupt enables.
    MIE "mie" 0x304;
    /// Interrupt delegation.
    MIDELEG "mideleg" 0x303;
    /// Exception delegation.
    MEDELEG "medeleg" 0x302;
    /// Machine trap vector.
    MTVEC "mtvec" 0x305;
    /// Machine scratch register.
    MSCRATCH "mscratch" 0x340;
    /// Where the machine trap came from.
    MEPC "mepc" 0x341;
    /// Why it came.
    MCAUSE "mcause" 0x342;
    /// What goes with it.
    MTVAL "mtval" 0x343;
    /// Supervisor trap vector.
    STVEC "stvec" 0x105;
    /// Supervisor scratch register.
    SSCRATCH "sscratch" 0x140;
    /// Where the supervisor trap came from.
    SEPC "sepc" 0x141;
    /// Why it came.
    SCAUSE "scause" 0x142;
    /// What goes with it.
    STVAL "stval" 0x143;
    /// Address translation and protection.
    SATP "satp" 0x180;
    /// Supervisor timer.
    STIMECMP "stimecmp" 0x14d;
    /// Counters that S may read.
    MCOUNTEREN "mcounteren" 0x306;
    /// Counters that U may read.
    SCOUNTEREN "scounteren" 0x106;
    /// Counters that stand still.
    MCOUNTINHIBIT "mcountinhibit" 0x320;
    /// What `mcycle` is ahead of the instructions counted; its value while it stands still.
    CYCLE_OFFSET "cycle_offset" 0;
    /// The same of `minstret`.
    INSTRET_OFFSET "instret_offset" 0;
    /// Environment of S and below.
    MENVCFG "menvcfg" 0x30a;
    /// Environment of U.
    SENVCFG "senvcfg" 0x10a;
    /// Security configuration.
    MSECCFG "mseccfg" 0x747;
    /// Hypervisor status.
    HSTATUS "hstatus" 0x600;
    /// Exceptions delegated to VS.
    HEDELEG "hedeleg" 0x602;
    /// Interrupts delegated to VS.
    HIDELEG "hideleg" 0x603;
    /// Virtual interrupts.
    HVIP "hvip" 0x645;
    /// Counters that VS may read.
    HCOUNTEREN "hcounteren" 0x606;
    /// Guest external interrupts that count.
    HGEIE "hgeie" 0x607;
    /// Guest external interrupts that are pending.
    HGEIP "hgeip" 0xe12;
    /// Environment of VS and below.
    HENVCFG "henvcfg" 0x60a;
    /// Guest physical address of the hypervisor trap, shifted.
    HTVAL "htval" 0x643;
    /// Instruction of the hypervisor trap.
    HTINST "htinst" 0x64a;
    /// Guest physical address of the machine trap, shifted.
    MTVAL2 "mtval2" 0x34b;
    /// Instruction of the machine trap.
    MTINST "mtinst" 0x34a;
    /// Translation of guest physical addresses.
    HGATP "hgatp" 0x680;
    /// What the guest's time is ahead.
    HTIMEDELTA "htimedelta" 0x605;
    /// Virtual interrupt control.
    HVICTL "hvictl" 0x609;
    /// The guest's `sstatus`.
    VSSTATUS "vsstatus" 0x200;
    /// The guest's trap vector.
    VSTVEC "vstvec" 0x205;
    /// The guest's scratch register.
    VSSCRATCH "vsscratch" 0x240;
    /// Where the guest's trap came from.
    VSEPC "vsepc" 0x241;
    /// Why it came.
    VSCAUSE "vscause" 0x242;
    /// What goes with it.
    VSTVAL "vstval" 0x243;
    /// The guest's translation.
    VSATP "vsatp" 0x280;
    /// The guest's timer.
    VSTIMECMP "vstimecmp" 0x24d;
    /// Which register `mireg` is.
    MISELECT "miselect" 0x350;
    /// Which register `sireg` is.
    SISELECT "siselect" 0x150;
    /// Which register `vsireg` is.
    VSISELECT "vsiselect" 0x250;
    /// State that modes below M may use.
    MSTATEEN0 "mstateen0" 0x30c;
    /// State that a guest may use.
    HSTATEEN0 "hstateen0" 0x60c;
    /// Bit 63 of `mstateen1` to 3 and `hstateen1` to 3, at bits 1 to 3 and 5 to 7.
    STATEEN_REST "stateen_rest" 0;
    /// Number of the hart.
    MHARTID "mhartid" 0xf14;
    /// Who made it.
    MVENDORID "mvendorid" 0xf11;
    /// What it is.
    MARCHID "marchid" 0xf12;
    /// Which version of that.
    MIMPID "mimpid" 0xf13;
}

/// The slot that holds all of this CSR, if there is one.
pub(crate) fn by_csr(number: u16) -> Option<Slot> {
    let at = PRIVILEGED.iter().position(|(_, n)| *n == u32::from(number))?;
    Some(Slot(PRIVILEGE.0 + at as u32))
}

/// `pmpaddr0` to `pmpaddr63` of a machine's CPU whose vector registers have `vlen` bits.
#[must_use]
pub const fn pmpaddr(n: u32, vlen: u32) -> Slot {
    Slot(NEAR as u32 + vlen / 2 + n)
}

/// Eight PMP configurations each, as RV64's `pmpcfg0`, `pmpcfg2` and so on have them.
#[must_use]
pub const fn pmpcfg(eight: u32, vlen: u32) -> Slot {
    Slot(NEAR as u32 + vlen / 2 + 64 + eight)
}

/// The layout of a machine's CPU of this shape, with its `mvendorid`, `marchid` and `mimpid`.
#[must_use]
pub fn machine_layout(shape: Shape, ids: [u64; 3]) -> StateLayout {
    let mut b = integer(shape);
    let unless = |absent: bool, role: Role| if absent { Role::Hidden } else { role };
    for (n, name) in (0u8..).zip(F_NAMES) {
        b.near(name, Ty::I64, shape.flen.max(32), unless(shape.flen == 0, Role::Fpr(n)));
    }
    vector_csrs(&mut b, shape);
    for (name, number) in PRIVILEGED {
        b.near(*name, Ty::I64, 64, if *number == 0 { Role::Hidden } else { Role::Control(*number) });
        match *name {
            "priv" => b.reset(3),
            "mvendorid" => b.reset(ids[0]),
            "marchid" => b.reset(ids[1]),
            "mimpid" => b.reset(ids[2]),
            _ => {}
        }
    }
    vector_registers(&mut b, shape);
    for n in 0..64 {
        b.far(format!("pmpaddr{n}"), Ty::I64, 64, Role::Control(0x3b0 + n));
    }
    for n in 0..8 {
        b.far(format!("pmpcfg{}", 2 * n), Ty::I64, 64, Role::Control(0x3a0 + 2 * n));
    }
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileged_slots_are_where_the_layout_puts_them() {
        for vlen in [0, 256] {
            let layout = machine_layout(Shape { xlen: 64, flen: 64, vlen }, [0; 3]);
            for (name, slot) in [
                ("ft11", f(31)),
                ("vcsr", VCSR),
                ("priv", PRIVILEGE),
                ("satp", SATP),
                ("mhartid", MHARTID),
                ("mimpid", MIMPID),
                ("pmpaddr0", pmpaddr(0, vlen)),
                ("pmpcfg14", pmpcfg(7, vlen)),
            ] {
                assert_eq!(layout.by_name(name).map(|r| r.slot), Some(slot), "{name}");
            }
        }
    }

    #[test]
    fn slots_are_where_the_layout_puts_them() {
        let layout = layout(Shape { xlen: 64, flen: 64, vlen: 1024 });
        for (name, slot) in [
            ("ra", x(1)),
            ("t6", x(31)),
            ("res_addr", RES_ADDR),
            ("res_val", RES_VAL),
            ("ft0", f(0)),
            ("ft11", f(31)),
            ("vl", VL),
            ("vtype", VTYPE),
            ("vstart", VSTART),
            ("vcsr", VCSR),
            ("v0_0", v(0, 0, 1024)),
            ("v31_15", v(31, 15, 1024)),
        ] {
            assert_eq!(layout.by_name(name).map(|r| r.slot), Some(slot), "{name}");
        }
        assert_eq!(layout.far_len(), 32 * 16);
    }

    #[test]
    fn a_plain_integer_cpu_has_no_other_registers() {
        let layout = layout(Shape { xlen: 32, flen: 0, vlen: 0 });
        assert!(layout.by_name("ft0").is_none() && layout.by_name("vl").is_none());
        assert_eq!(layout.by_name("a0").map(|r| r.bits), Some(32));
    }
}
