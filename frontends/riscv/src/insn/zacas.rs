//! Zacas: atomic compare and swap.

use super::Rv;
use crate::translate::{Tr, X};
use tern_core::ir::I64;
use tern_core::mem::{RmwOp, Size};
use tern_decode::insns;

/// If `memory[a]` is `d` it becomes `b`; `d` becomes what it was.
pub(super) fn compare_and_swap(t: &mut Tr<'_>, d: i64, a: i64, b: i64, size: Size) {
    let op = t.mem(size).signed().aligned();
    let (addr, expected, new) = (t.x(a), t.x(d), t.x(b));
    let old = t.b.cas(op, addr, expected, new);
    t.put_x(d, old);
}

/// The second register of a pair; that of `x0` is `x0`.
fn second(n: i64) -> i64 {
    if n == 0 { 0 } else { n + 1 }
}

/// A pair of RV32 registers as one value.
fn joined(t: &mut Tr<'_>, n: i64) -> X {
    let (low, high) = (t.w(n), t.x(second(n)));
    let (low, high) = (t.b.zext32(low), t.b.shli(high, 32));
    t.b.or(low, high)
}

/// `amocas.d` on RV32: register pairs.
fn pair_of_words(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    let op = t.mem(Size::B8).aligned();
    let (addr, expected, new) = (t.x(a), joined(t, d), joined(t, b));
    let old = t.b.cas(op, addr, expected, new);
    let high = t.b.sari(old, 32);
    t.set_x(d, old);
    t.put_x(second(d), high);
}

/// `amocas.q`.  Both halves lie in one aligned block, so what the first access permits the others do too.  It is one
/// step for everything on this host thread; other processes that share the page can see the halves apart.
fn pair_of_doublewords(t: &mut Tr<'_>, d: i64, a: i64, b: i64) {
    let op = t.mem(Size::B8);
    let addr = t.x(a);
    t.check_alignment(addr, 16);
    if t.b.ended() {
        return;
    }
    // Adding nothing asks for the permission to store, as the instruction does even if it does not.
    let zero = t.b.iconst::<I64>(0);
    let low = t.b.rmw(op.aligned(), RmwOp::Add, addr, zero);
    let high = t.b.load::<I64>(op, addr, 8);
    let (expect_low, expect_high) = (t.x(d), t.x(second(d)));
    let (new_low, new_high) = (t.x(b), t.x(second(b)));
    let (same_low, same_high) = (t.b.eq(low, expect_low), t.b.eq(high, expect_high));
    let same = t.b.and_bool(same_low, same_high);
    let (new_low, new_high) = (t.b.select(same, new_low, low), t.b.select(same, new_high, high));
    t.b.store(op, addr, 0, new_low);
    t.b.store(op, addr, 8, new_high);
    t.put_x(d, low);
    t.put_x(second(d), high);
}

insns! {
    /// Common to RV32 and RV64.
    pub static ZACAS: Group<Rv>, "zacas", width 32;
    /// Compare and swap word.
    amocas_w: "amocas.w{q:aqrl}" "00101 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| compare_and_swap(t, d, a, b, Size::B4);
}

insns! {
    /// Only on RV32.
    pub static ZACAS32: Group<Rv>, "zacas", width 32;
    /// Compare and swap doubleword.
    amocas_d: "amocas.d{q:aqrl}" "00101 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:xeven}, {b:xeven}, ({a:x})"
        => |t, d, a, b| pair_of_words(t, d, a, b);
}

insns! {
    /// Only on RV64.
    pub static ZACAS64: Group<Rv>, "zacas", width 32;
    /// Compare and swap doubleword.
    amocas_d: "amocas.d{q:aqrl}" "00101 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| compare_and_swap(t, d, a, b, Size::B8);
    /// Compare and swap quadword.
    amocas_q: "amocas.q{q:aqrl}" "00101 qq bbbbb aaaaa 100 ddddd 0101111" asm "{d:xeven}, {b:xeven}, ({a:x})"
        => |t, d, a, b| pair_of_doublewords(t, d, a, b);
}
