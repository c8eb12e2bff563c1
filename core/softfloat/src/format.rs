//! Floating-point formats as marker types: field widths, containers and well-known encodings.

use core::fmt::Debug;

mod sealed {
    pub trait Sealed {}
}

/// A binary interchange or extended format (IEEE 754-2019 clause 3.4, 3.7). Bits above `WIDTH` in the container are
/// ignored on input and zero on output.
pub trait Format: sealed::Sealed + Copy + Debug + 'static {
    /// Unsigned integer that holds the encoding.
    type Bits: Copy + Eq + Debug;

    /// Name for messages and tests.
    const NAME: &'static str;
    /// Width of the encoding in bits.
    const WIDTH: u32;
    /// Width of the exponent field.
    const EXP_BITS: u32;
    /// Width of the fraction field, without an explicit integer bit.
    const FRAC_BITS: u32;
    /// How the integer bit of the significand is encoded.
    const INTEGER_BIT: IntegerBit = IntegerBit::Hidden;

    /// Significand precision in bits, with the integer bit.
    const PRECISION: u32 = Self::FRAC_BITS + 1;
    /// Exponent bias, which is also the largest exponent.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// Smallest exponent of a normal number.
    const EMIN: i32 = match Self::INTEGER_BIT {
        IntegerBit::Any => -Self::BIAS,
        _ => 1 - Self::BIAS,
    };
    /// All-ones exponent field.
    const EXP_ONES: u32 = (1 << Self::EXP_BITS) - 1;

    /// Positive infinity.
    const INFINITY: Self::Bits;
    /// The positive quiet NaN with only the quiet bit set (IEEE 754-2008 meaning of that bit).
    const QUIET_NAN: Self::Bits;
    /// Largest finite value.
    const MAX: Self::Bits;
    /// Smallest positive normal value.
    const MIN_NORMAL: Self::Bits;
    /// Negative zero, which is the sign bit.
    const NEG_ZERO: Self::Bits;

    /// The encoding widened to `u128`.
    fn to_u128(bits: Self::Bits) -> u128;
    /// The low `WIDTH` bits of `raw` as an encoding.
    fn from_u128(raw: u128) -> Self::Bits;
}

/// How a format encodes the integer bit of the significand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntegerBit {
    /// Hidden, as in the interchange formats.
    Hidden,
    /// Explicit; normal numbers, infinities and NaNs without it are unsupported encodings (x87).
    Required,
    /// Explicit and free: such encodings are numbers, and exponent field 0 has a weight of its own (68881).
    Any,
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $bits:ty, $width:expr, $exp:expr, $frac:expr, $int:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name;

        impl sealed::Sealed for $name {}

        impl Format for $name {
            type Bits = $bits;
            const NAME: &'static str = stringify!($name);
            const WIDTH: u32 = $width;
            const EXP_BITS: u32 = $exp;
            const FRAC_BITS: u32 = $frac;
            const INTEGER_BIT: IntegerBit = IntegerBit::$int;

            const INFINITY: $bits = match Self::INTEGER_BIT {
                IntegerBit::Required => ((1 << $exp) - 1) << ($width - 1 - $exp) | 1 << $frac,
                _ => ((1 << $exp) - 1) << ($width - 1 - $exp),
            };
            const QUIET_NAN: $bits = match Self::INTEGER_BIT {
                IntegerBit::Hidden => Self::INFINITY | 1 << ($frac - 1),
                _ => Self::INFINITY | 3 << ($frac - 1),
            };
            const MAX: $bits = match Self::INTEGER_BIT {
                IntegerBit::Hidden => Self::INFINITY - 1,
                _ => (((1 << $exp) - 2) << ($width - 1 - $exp)) | ((1 << $frac) - 1) | 1 << $frac,
            };
            const MIN_NORMAL: $bits = match Self::INTEGER_BIT {
                IntegerBit::Hidden => 1 << $frac,
                IntegerBit::Required => 1 << ($width - 1 - $exp) | 1 << $frac,
                IntegerBit::Any => 1 << $frac,
            };
            const NEG_ZERO: $bits = 1 << ($width - 1);

            #[inline]
            fn to_u128(bits: $bits) -> u128 {
                u128::from(bits)
            }

            #[inline]
            fn from_u128(raw: u128) -> $bits {
                (raw & (u128::MAX >> (128 - $width))) as $bits
            }
        }
    )*};
}

formats! {
    /// binary16.
    F16: u16, 16, 5, 10, Hidden;
    /// bfloat16: binary32 with a 7-bit fraction.
    BF16: u16, 16, 8, 7, Hidden;
    /// binary32.
    F32: u32, 32, 8, 23, Hidden;
    /// binary64.
    F64: u64, 64, 11, 52, Hidden;
    /// The 80-bit double extended format of x87 (Intel SDM volume 1, section 4.2.2) in the low bits of a `u128`.
    X87: u128, 80, 15, 63, Required;
    /// The extended format of the 68881 and 68040 (M68000 Family Programmer's Reference Manual, section 1.6) without
    /// its 16 padding bits: 80 bits in the low bits of a `u128`. It differs from [`X87`] in the weight of exponent
    /// field 0 and in giving a value to every encoding.
    M68kX: u128, 80, 15, 63, Any;
    /// binary128.
    F128: u128, 128, 15, 112, Hidden;
}
