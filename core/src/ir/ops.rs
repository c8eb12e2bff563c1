//! The one table of IR operations.
//!
//! A row gives the name, the builder method, the operands and the meaning as a Rust expression over unsigned integers.  In
//! an expression `T` is `u32` or `u64`, `S` its signed twin, `W` and `SW` the integers of twice the width.  Operations are
//! total: where a machine's own rule differs (division by zero, oversized shift counts) the frontend selects around them.
//!
//! From the rows come: the [`Op`](super::Op) enum and its names, builder methods, the constant folder and evaluator
//! ([`eval2`](super::eval2), [`eval1`](super::eval1)), and, through [`with_pure_ops`](crate::with_pure_ops), every bytecode variant and
//! handler of the interpreter and every operand generator of the tests.
//!
//! Name grammar: `add`; signedness suffix `s`/`u` where it matters (`divs`, `ltu`); width suffix only in conversions.

/// Calls `$cb! { $($pre)* binary {..} compare {..} unary {..} convert {..} }` with all pure integer rows.
#[macro_export]
macro_rules! with_pure_ops {
    ($cb:path $(, $($pre:tt)*)?) => { $cb! { $($($pre)*)?
binary {
    /// Sum.
    Add add (a, b) = a.wrapping_add(b);
    /// Difference.
    Sub sub (a, b) = a.wrapping_sub(b);
    /// Bitwise and.
    And and (a, b) = a & b;
    /// Bitwise or.
    Or or (a, b) = a | b;
    /// Bitwise exclusive or.
    Xor xor (a, b) = a ^ b;
    /// Bits of `a` that are not in `b`.
    Andn andn (a, b) = a & !b;
    /// `a` or the complement of `b`.
    Orn orn (a, b) = a | !b;
    /// Complement of the exclusive or.
    Xnor xnor (a, b) = !(a ^ b);
    /// Shift left; the count is taken modulo the width.
    Shl shl (a, b) = a.wrapping_shl(b as u32);
    /// Logical shift right; the count is taken modulo the width.
    Shr shr (a, b) = a.wrapping_shr(b as u32);
    /// Arithmetic shift right; the count is taken modulo the width.
    Sar sar (a, b) = (a as S).wrapping_shr(b as u32) as T;
    /// Rotate left; the count is taken modulo the width.
    Rotl rotl (a, b) = a.rotate_left((b as u32) % T::BITS);
    /// Rotate right; the count is taken modulo the width.
    Rotr rotr (a, b) = a.rotate_right((b as u32) % T::BITS);
    /// Low half of the product.
    Mul mul (a, b) = a.wrapping_mul(b);
    /// High half of the unsigned product.
    Mulhu mulhu (a, b) = ((a as W * b as W) >> T::BITS) as T;
    /// High half of the signed product.
    Mulhs mulhs (a, b) = ((a as S as SW * b as S as SW) >> T::BITS) as T;
    /// High half of the product of signed `a` and unsigned `b`.
    Mulhsu mulhsu (a, b) = ((a as S as SW).wrapping_mul(b as W as SW) >> T::BITS) as T;
    /// Unsigned quotient; all ones if `b` is zero.
    Divu divu (a, b) = if b == 0 { T::MAX } else { a / b };
    /// Signed quotient, truncated; all ones if `b` is zero, `a` on overflow.
    Divs divs (a, b) = if b == 0 { T::MAX } else { (a as S).wrapping_div(b as S) as T };
    /// Unsigned remainder; `a` if `b` is zero.
    Remu remu (a, b) = if b == 0 { a } else { a % b };
    /// Signed remainder with `a`'s sign; `a` if `b` is zero, 0 on overflow.
    Rems rems (a, b) = if b == 0 { a } else { (a as S).wrapping_rem(b as S) as T };
    /// Signed minimum.
    Mins mins (a, b) = (a as S).min(b as S) as T;
    /// Signed maximum.
    Maxs maxs (a, b) = (a as S).max(b as S) as T;
    /// Unsigned minimum.
    Minu minu (a, b) = a.min(b);
    /// Unsigned maximum.
    Maxu maxu (a, b) = a.max(b);
    /// Low half of the carry-less product.
    Clmul clmul (a, b) = $crate::ir::bits::clmul(a as u64, b as u64) as T;
    /// High half of the carry-less product.
    Clmulh clmulh (a, b) = ($crate::ir::bits::clmul(a as u64, b as u64) >> T::BITS) as T;
    /// Bit `b` (modulo the width) of `a`.
    Bext bext (a, b) = a.wrapping_shr(b as u32) & 1;
    /// `a` with bit `b` (modulo the width) set.
    Bset bset (a, b) = a | (1 as T).wrapping_shl(b as u32);
    /// `a` with bit `b` (modulo the width) cleared.
    Bclr bclr (a, b) = a & !(1 as T).wrapping_shl(b as u32);
    /// `a` with bit `b` (modulo the width) inverted.
    Binv binv (a, b) = a ^ (1 as T).wrapping_shl(b as u32);
    /// `a << 1`, plus `b`.
    Sh1add sh1add (a, b) = a.wrapping_shl(1).wrapping_add(b);
    /// `a << 2`, plus `b`.
    Sh2add sh2add (a, b) = a.wrapping_shl(2).wrapping_add(b);
    /// `a << 3`, plus `b`.
    Sh3add sh3add (a, b) = a.wrapping_shl(3).wrapping_add(b);
    /// Each nibble of `b` selects a nibble of `a`; an index past the end gives 0.
    Xperm4 xperm4 (a, b) = $crate::ir::bits::xperm(a as u64, b as u64, 4, T::BITS) as T;
    /// Each byte of `b` selects a byte of `a`; an index past the end gives 0.
    Xperm8 xperm8 (a, b) = $crate::ir::bits::xperm(a as u64, b as u64, 8, T::BITS) as T;
    /// Bit field of `a`: `b` is `position | length << 8`; zero-extended.
    Extractu extractu (a, b) = $crate::ir::bits::extract(a as u64, b as u64) as T;
    /// Bit field of `a`: `b` is `position | length << 8`; sign-extended.
    Extracts extracts (a, b) = $crate::ir::bits::extract_signed(a as u64, b as u64) as T;
}
compare {
    /// Equal.
    Eq eq (a, b) = a == b;
    /// Not equal.
    Ne ne (a, b) = a != b;
    /// Signed less than.
    Lts lts (a, b) = (a as S) < (b as S);
    /// Signed less than or equal.
    Les les (a, b) = (a as S) <= (b as S);
    /// Unsigned less than.
    Ltu ltu (a, b) = a < b;
    /// Unsigned less than or equal.
    Leu leu (a, b) = a <= b;
    /// Some common bit is set.
    TestSet test_set (a, b) = a & b != 0;
    /// No common bit is set.
    TestClear test_clear (a, b) = a & b == 0;
}
unary {
    /// Two's complement negation.
    Neg neg (a) = a.wrapping_neg();
    /// Complement.
    Not not (a) = !a;
    /// Leading zeros; the width for 0.
    Clz clz (a) = a.leading_zeros() as T;
    /// Trailing zeros; the width for 0.
    Ctz ctz (a) = a.trailing_zeros() as T;
    /// Number of ones.
    Popcnt popcnt (a) = a.count_ones() as T;
    /// Bytes in reverse order.
    Bswap bswap (a) = a.swap_bytes();
    /// Bits in reverse order.
    Bitrev bitrev (a) = a.reverse_bits();
    /// Bits of each byte in reverse order.
    Brev8 brev8 (a) = a.reverse_bits().swap_bytes();
    /// Each byte that is not zero becomes all ones.
    Orcb orcb (a) = $crate::ir::bits::orcb(a as u64) as T;
    /// Low 8 bits, zero-extended.
    Zext8 zext8 (a) = a as u8 as T;
    /// Low 8 bits, sign-extended.
    Sext8 sext8 (a) = a as i8 as S as T;
    /// Low 16 bits, zero-extended.
    Zext16 zext16 (a) = a as u16 as T;
    /// Low 16 bits, sign-extended.
    Sext16 sext16 (a) = a as i16 as S as T;
}
convert {
    /// I32 to I64, zero-extended.
    Zext32 zext32 (a: I32 u32) -> I64 u64 = u64::from(a);
    /// I32 to I64, sign-extended.
    Sext32 sext32 (a: I32 u32) -> I64 u64 = a as i32 as i64 as u64;
    /// I32 to I64, upper half all ones (a NaN-boxed value).
    Oext32 oext32 (a: I32 u32) -> I64 u64 = u64::from(a) | 0xffff_ffff_0000_0000;
    /// The low half of a NaN-boxed value; the quiet NaN if the upper half is not all ones.
    Unbox32 unbox32 (a: I64 u64) -> I32 u32 = if a >> 32 == 0xffff_ffff { a as u32 } else { 0x7fc0_0000 };
    /// Low half of an I64.
    Trunc trunc (a: I64 u64) -> I32 u32 = a as u32;
}
    } };
}
