//! The vector unit (V 1.0): one helper per family of instructions.  A row of the tables names its operation; the family's
//! helper checks what `vtype` makes of the operands, walks the elements, and applies the operation to each.
//!
//! Registers are far slots, so that a group of registers is one run of bits and an element is found from the register's
//! number, its index and its width alone.  Tail and masked-off elements are left undisturbed, which both agnostic policies
//! allow.  Section numbers are those of the V specification 1.0.

pub(crate) mod config;
pub(crate) mod crypto;
pub(crate) mod fp;
pub(crate) mod fpcvt;
pub(crate) mod int;
pub(crate) mod mask;
pub(crate) mod mem;
pub(crate) mod perm;
pub(crate) mod reduce;

use crate::state::{VL, VSTART, VTYPE};
use crate::trap;
use tern_core::frontend::{HelperCx, HelperExit};

/// What a helper gives.
pub(crate) type R<T> = Result<T, HelperExit>;

/// What is built into a CPU's vector unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unit {
    /// Width of a register in bits; 0: no vector unit.
    pub vlen: u32,
    /// Widest element in bits, 32 or 64.
    pub elen: u8,
    /// Floating-point element widths, by [`Unit::F16`] and its like.
    pub fp: u8,
    /// All of V: high products of 64-bit elements are there, which Zve64* lacks (section 18.2).
    pub full: bool,
    /// XLEN is 32.
    pub rv32: bool,
    /// SHA-512, which Zvknha lacks (Zvknhb).
    pub sha512: bool,
}

impl Unit {
    /// binary16 arithmetic (Zvfh).
    pub const F16: u8 = 1;
    /// binary32 arithmetic.
    pub const F32: u8 = 2;
    /// binary64 arithmetic.
    pub const F64: u8 = 4;
    /// Conversions between binary16 and binary32 (Zvfhmin).
    pub const F16_CONVERT: u8 = 8;

    /// As a constant argument of helpers.
    #[must_use]
    pub const fn pack(self) -> u64 {
        self.vlen as u64
            | (self.elen as u64) << 32
            | (self.fp as u64) << 40
            | (self.full as u64) << 48
            | (self.rv32 as u64) << 49
            | (self.sha512 as u64) << 50
    }

    /// The inverse of [`Unit::pack`].
    #[must_use]
    pub const fn unpack(bits: u64) -> Unit {
        Unit {
            vlen: bits as u32,
            elen: (bits >> 32) as u8,
            fp: (bits >> 40) as u8,
            full: bits >> 48 & 1 != 0,
            rv32: bits >> 49 & 1 != 0,
            sha512: bits >> 50 & 1 != 0,
        }
    }
}

/// An operation of some family, as rows name it.
pub(crate) trait Operation: Copy {
    /// The family's helper.
    const HELPER: u16;
    /// The family computes with floating-point numbers, so an invalid `frm` makes it illegal (section 13).
    const FLOAT: bool;
    /// Which of the family.
    fn number(self) -> u16;
}

/// A family: its operations by name, what each is, and what runs them.  `int`/`float` as in [`Operation::FLOAT`].
macro_rules! family {
    ($(#[$doc:meta])* $name:ident $kind:ident $helper:ident ($ty:ty) by $run:expr; $($(#[$about:meta])* $op:ident = $f:expr;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(u16)]
        pub(crate) enum $name { $($(#[$about])* $op),* }

        impl $name {
            const TABLE: &'static [$ty] = &[$($f),*];

            /// The family's helper.
            pub(crate) fn call(
                cx: &mut tern_core::frontend::HelperCx<'_>,
                args: [u64; 3],
                payload: u64,
            ) -> $crate::vector::R<u64> {
                let mut v = $crate::vector::V::new(cx, args, payload);
                let operation = Self::TABLE[usize::from(v.op) % Self::TABLE.len()];
                let run: fn(&mut $crate::vector::V<'_, '_>, $ty) -> $crate::vector::R<u64> = $run;
                run(&mut v, operation)
            }
        }

        impl $crate::vector::Operation for $name {
            const HELPER: u16 = $crate::helper::$helper;
            const FLOAT: bool = $crate::vector::family!(@ $kind);
            fn number(self) -> u16 {
                self as u16
            }
        }
    };
    (@ int) => { false };
    (@ float) => { true };
}
pub(crate) use family;

/// An operation that is a whole instruction.
pub(crate) type Whole = fn(&mut V<'_, '_>) -> R<u64>;

/// Runs it.
pub(crate) fn whole(v: &mut V<'_, '_>, f: Whole) -> R<u64> {
    f(v)
}

/// The low `bits` bits, 1 to 64.
pub(crate) const fn ones(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// `v`'s low `bits` bits, sign-extended.
pub(crate) const fn sext(v: u64, bits: u32) -> i64 {
    (v << (64 - bits)) as i64 >> (64 - bits)
}

/// One instruction at work.
pub(crate) struct V<'a, 'b> {
    pub(crate) cx: &'a mut HelperCx<'b>,
    pub(crate) unit: Unit,
    word: u32,
    pub(crate) op: u16,
    /// The scalar operand, or the base address.
    pub(crate) scalar: u64,
    /// A second one.
    pub(crate) scalar2: u64,
    /// Element width in bits.
    pub(crate) sew: u32,
    /// log2 of the group's registers, -3 to 3.
    pub(crate) lmul: i32,
    pub(crate) vl: u64,
    pub(crate) vstart: u64,
    vill: bool,
}

/// A register group: its first register, log2 of its registers, and its element width in bits (1 for masks).
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) reg: u32,
    pub(crate) emul: i32,
    pub(crate) eew: u32,
}

impl Group {
    fn registers(self) -> u32 {
        1 << self.emul.max(0)
    }
    fn overlaps(self, other: Group) -> bool {
        self.reg < other.reg + other.registers() && other.reg < self.reg + self.registers()
    }
}

impl<'a, 'b> V<'a, 'b> {
    pub(crate) fn new(cx: &'a mut HelperCx<'b>, args: [u64; 3], payload: u64) -> V<'a, 'b> {
        let vtype = cx.state.get(VTYPE);
        let lmul = sext(vtype & 7, 3) as i32;
        let unit = Unit::unpack(args[2]);
        let sew = 8 << (vtype >> 3 & 3);
        // The instructions below make no other invalid type, but a debugger or a snapshot might.
        let vill = vtype >> 5 & !6 != 0 || lmul == -4 || sew > u32::from(unit.elen);
        V {
            unit,
            word: payload as u32,
            op: (payload >> 32) as u16,
            scalar: args[0],
            scalar2: args[1],
            sew,
            lmul,
            vl: cx.state.get(VL).min(u64::from(unit.vlen)),
            vstart: cx.state.get(VSTART),
            vill,
            cx,
        }
    }

    // Fields of the word.

    pub(crate) fn vd(&self) -> u32 {
        self.word >> 7 & 31
    }
    pub(crate) fn vs1(&self) -> u32 {
        self.word >> 15 & 31
    }
    pub(crate) fn vs2(&self) -> u32 {
        self.word >> 20 & 31
    }
    /// The width field of loads and stores, the category of arithmetic.
    pub(crate) fn funct3(&self) -> u32 {
        self.word >> 12 & 7
    }
    pub(crate) fn nf(&self) -> u32 {
        self.word >> 29
    }
    pub(crate) fn is_store(&self) -> bool {
        self.word & 0x7f == 0x27
    }
    pub(crate) fn masked(&self) -> bool {
        self.word >> 25 & 1 == 0
    }
    /// Does the second operand come from a vector?
    pub(crate) fn vector_operand(&self) -> bool {
        self.funct3() <= 2
    }

    // Checks.

    /// The illegal instruction trap.
    pub(crate) fn illegal(&self) -> HelperExit {
        HelperExit::Trap { cause: trap::ILLEGAL, value: u64::from(self.word) }
    }

    /// Illegal unless `ok`.
    pub(crate) fn require(&self, ok: bool) -> R<()> {
        if ok { Ok(()) } else { Err(self.illegal()) }
    }

    /// `vtype` must be valid (section 3.4.4).
    pub(crate) fn configured(&self) -> R<()> {
        self.require(!self.vill)
    }

    /// The instruction cannot be resumed in the middle.
    pub(crate) fn starts_at_zero(&self) -> R<()> {
        self.require(self.vstart == 0)
    }

    /// A group of elements as wide as `vtype` says, times 2 to the power `scale`.
    pub(crate) fn group(&self, reg: u32, scale: i32) -> R<Group> {
        let eew = if scale < 0 { self.sew >> -scale } else { self.sew << scale };
        let emul = self.lmul + scale;
        self.require((8..=u32::from(self.unit.elen)).contains(&eew) && (-3..=3).contains(&emul))?;
        let group = Group { reg, emul, eew };
        self.require(reg.is_multiple_of(group.registers()))?;
        Ok(group)
    }

    /// A mask register.
    pub(crate) fn mask(&self, reg: u32) -> Group {
        Group { reg, emul: 0, eew: 1 }
    }

    /// A masked instruction must not write its mask, unless it writes a mask (section 5.3).
    pub(crate) fn spares_mask(&self, d: Group) -> R<()> {
        self.require(!self.masked() || d.reg != 0)
    }

    /// Destination and source may overlap only as section 5.2 says.
    pub(crate) fn overlap(&self, d: Group, s: Group) -> R<()> {
        let fine = !d.overlaps(s)
            || d.eew == s.eew
            || (d.eew < s.eew && d.reg == s.reg)
            || (d.eew > s.eew && s.emul >= 0 && d.reg + d.registers() == s.reg + s.registers());
        self.require(fine)
    }

    /// They may not overlap at all.
    pub(crate) fn apart(&self, d: Group, s: Group) -> R<()> {
        self.require(!d.overlaps(s))
    }

    // Elements.

    /// Elements that a register group can hold.
    pub(crate) fn vlmax(&self) -> u64 {
        let per = u64::from(self.unit.vlen / self.sew);
        if self.lmul < 0 { per >> -self.lmul } else { per << self.lmul }
    }

    fn place(&self, reg: u32, i: u64, eew: u32) -> (usize, u32) {
        let bit = u64::from(reg) * u64::from(self.unit.vlen) + i * u64::from(eew);
        ((bit >> 6) as usize, (bit & 63) as u32)
    }

    /// Element `i` of width `eew` (a power of two up to 64) of the group at `reg`, zero-extended.
    pub(crate) fn get(&self, reg: u32, i: u64, eew: u32) -> u64 {
        let (at, shift) = self.place(reg, i, eew);
        self.cx.state.far.get(at).map_or(0, |word| word >> shift & ones(eew))
    }

    /// Sets it.
    pub(crate) fn set(&mut self, reg: u32, i: u64, eew: u32, value: u64) {
        let (at, shift) = self.place(reg, i, eew);
        if let Some(word) = self.cx.state.far.get_mut(at) {
            *word = *word & !(ones(eew) << shift) | (value & ones(eew)) << shift;
        }
    }

    /// Is element `i` to be computed?
    pub(crate) fn active(&self, i: u64) -> bool {
        !self.masked() || self.get(0, i, 1) != 0
    }

    /// The second operand of element `i`: of the vector, or the scalar.
    pub(crate) fn second(&self, i: u64, eew: u32) -> u64 {
        if self.vector_operand() { self.get(self.vs1(), i, eew) } else { self.scalar & ones(eew) }
    }

    /// Does something with every active element of the body, and completes the instruction.
    pub(crate) fn each(&mut self, mut f: impl FnMut(&mut Self, u64)) -> R<u64> {
        for i in self.vstart..self.vl {
            if self.active(i) {
                f(self, i);
            }
        }
        self.complete(0)
    }

    /// The instruction is complete and gives `value`.
    pub(crate) fn complete(&mut self, value: u64) -> R<u64> {
        self.cx.state.set(VSTART, 0);
        Ok(value)
    }
}
