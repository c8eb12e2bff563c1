//! The floating-point environment: exception flags, rounding modes and what an operation runs under.

use core::ops::{BitAnd, BitOr, BitOrAssign, Not};

use crate::style::Style;

/// Accrued exception flags. The five IEEE 754-2019 clause 7 flags sit at the positions of RISC-V `fflags`
/// (unprivileged ISA, "Floating-Point Control and Status Register"); `DN` is the denormal-operand flag of x86 and Arm.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Inexact (clause 7.6).
    pub const NX: Flags = Flags(1);
    /// Underflow (clause 7.5): tiny and inexact, or flushed to zero.
    pub const UF: Flags = Flags(2);
    /// Overflow (clause 7.4).
    pub const OF: Flags = Flags(4);
    /// Division by zero (clause 7.3).
    pub const DZ: Flags = Flags(8);
    /// Invalid operation (clause 7.2).
    pub const NV: Flags = Flags(16);
    /// A denormal operand was used (x86 `DE`) or flushed to zero (Arm `IDC`); see [`DenormalFlag`](crate::DenormalFlag).
    pub const DN: Flags = Flags(32);

    /// True when every flag of `other` is set.
    #[inline]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when no flag is set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sets every flag of `other`.
    #[inline]
    pub const fn raise(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitOr for Flags {
    type Output = Flags;
    #[inline]
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    #[inline]
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    #[inline]
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    #[inline]
    fn not(self) -> Flags {
        Flags(!self.0 & 0x3f)
    }
}

/// Rounding-direction attribute (IEEE 754-2019 clause 4.3). 0 to 4 are the encodings of RISC-V `frm`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Rm {
    /// To nearest, ties to even.
    #[default]
    Rne = 0,
    /// Towards zero.
    Rtz = 1,
    /// Towards negative infinity.
    Rdn = 2,
    /// Towards positive infinity.
    Rup = 3,
    /// To nearest, ties away from zero (max magnitude).
    Rmm = 4,
    /// To odd: truncate, then set the last place when inexact. Overflow gives the largest finite value
    /// (Arm `FPRounding_ODD`, Power `xsaddqpo`, RISC-V `vfncvt.rod`).
    Odd = 5,
}

impl Rm {
    /// Every rounding mode, in encoding order.
    pub const ALL: [Rm; 6] = [Rm::Rne, Rm::Rtz, Rm::Rdn, Rm::Rup, Rm::Rmm, Rm::Odd];

    /// The mode with this encoding, or `None` above 5.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Rm> {
        match bits {
            0 => Some(Rm::Rne),
            1 => Some(Rm::Rtz),
            2 => Some(Rm::Rdn),
            3 => Some(Rm::Rup),
            4 => Some(Rm::Rmm),
            5 => Some(Rm::Odd),
            _ => None,
        }
    }
}

/// What an operation runs under: rounding mode, accrued flags (operations only ever set them) and the ISA's style.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Env {
    /// Rounding mode of operations that round to the format.
    pub rm: Rm,
    /// Accrued flags.
    pub flags: Flags,
    /// NaN, tininess and flush rules of the guest ISA.
    pub style: Style,
}

impl Env {
    /// An environment with `style`, round to nearest even and no flag set.
    pub const fn new(style: Style) -> Env {
        Env { rm: Rm::Rne, flags: Flags::NONE, style }
    }

    /// The same with rounding mode `rm`.
    pub const fn with_rm(style: Style, rm: Rm) -> Env {
        Env { rm, flags: Flags::NONE, style }
    }

    #[inline]
    pub(crate) const fn raise(&mut self, flags: Flags) {
        self.flags.raise(flags);
    }
}
