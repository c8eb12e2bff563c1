//! Zicond: conditional zero.

use super::Rv;
use crate::translate::Tr;
use tern_core::ir::I64;
use tern_decode::insns;

/// `d = b is zero (or is not) ? 0 : a`.
pub(super) fn conditional_zero(t: &mut Tr<'_>, d: i64, a: i64, b: i64, if_zero: bool) {
    let (a, b) = (t.x(a), t.x(b));
    let cond = if if_zero { t.b.is_zero(b) } else { t.b.is_nonzero(b) };
    let zero = t.b.iconst::<I64>(0);
    let v = t.b.select(cond, zero, a);
    t.put_x(d, v);
}

insns! {
    /// Conditional zero.
    pub static ZICOND: Group<Rv>, "zicond", width 32;
    /// Zero if the condition is zero.
    czero_eqz: "czero.eqz" "0000111 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| conditional_zero(t, d, a, b, true);
    /// Zero if the condition is not zero.
    czero_nez: "czero.nez" "0000111 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| conditional_zero(t, d, a, b, false);
}
