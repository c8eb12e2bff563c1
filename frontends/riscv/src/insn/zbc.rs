//! Zbc and Zbkc: carry-less multiplication.

use super::{Rv, xlen2};
use crate::translate::Tr;
use tern_core::ir::{Builder, IntTy, Val};
use tern_decode::insns;

/// Bits `2 * width - 2` to `width - 1` of the product.
fn reversed<T: IntTy>(b: &mut Builder<'_>, x: Val<T>, y: Val<T>) -> Val<T> {
    let (high, low) = (b.clmulh(x, y), b.clmul(x, y));
    let high = b.shli(high, 1);
    let top = b.shri(low, T::TY.mask().count_ones() - 1);
    b.or(high, top)
}

fn clmulr(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    if t.cpu.rv32 { t.op2w(d, a, b, reversed) } else { t.op2(d, a, b, reversed) }
}

insns! {
    /// In Zbc and Zbkc.
    pub static ZBC_ZBKC: Group<Rv>, "zbc|zbkc", width 32;
    /// Low half of the carry-less product.
    clmul "0000101 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, clmul);
    /// High half of the carry-less product.
    clmulh "0000101 bbbbb aaaaa 011 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, clmulh);
}

insns! {
    /// Only in Zbc.
    pub static ZBC: Group<Rv>, "zbc", width 32;
    /// Carry-less product, reversed.
    clmulr "0000101 bbbbb aaaaa 010 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| clmulr(t, d, a, b);
}
