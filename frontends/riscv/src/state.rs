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
    let mut b = LayoutBuilder::new(shape.xlen, &[Style::RISCV]);
    for (n, name) in (1u8..).zip(&X_NAMES[1..]) {
        b.near(*name, Ty::I64, shape.xlen, Role::Gpr(n));
    }
    b.near("res_addr", Ty::I64, 64, Role::Hidden);
    b.reset(NO_RESERVATION);
    b.near("res_val", Ty::I64, 64, Role::Hidden);
    if shape.flen == 0 && shape.vlen == 0 {
        return b.finish();
    }
    for (n, name) in (0u8..).zip(F_NAMES) {
        b.near(name, Ty::I64, shape.flen.max(32), Role::Fpr(n));
    }
    if shape.vlen == 0 {
        return b.finish();
    }
    b.near("vl", Ty::I64, shape.xlen, Role::Control(0xc20));
    b.near("vtype", Ty::I64, shape.xlen, Role::Control(0xc21));
    b.reset(1 << (shape.xlen - 1));
    b.near("vstart", Ty::I64, shape.xlen, Role::Control(0x008));
    b.near("vcsr", Ty::I64, 3, Role::Control(0x00f));
    for n in 0..32 {
        for word in 0..(shape.vlen / 64) as u16 {
            b.far(format!("v{n}_{word}"), Ty::I64, 64, Role::Vector(n, word));
        }
    }
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

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
