//! Hints and may-be operations: Zihintpause, Zihintntl, Zawrs, Zimop, Zcmop.
//!
//! Hint encodings need no rows to be legal: they spell ordinary instructions that write `x0`.  The rows here name them.

use super::Rv;
use crate::translate::Tr;
use tern_core::ir::I64;
use tern_decode::insns;

/// A may-be operation that no extension has defined: `d` becomes 0.
fn may_be(t: &mut Tr<'_>, d: i64) {
    let zero = t.b.iconst::<I64>(0);
    t.put_x(d, zero);
}

insns! {
    /// Pause.
    pub static ZIHINTPAUSE: Group<Rv>, "zihintpause", width 32;
    /// A spin loop is going on.
    pause "0000 0001 0000 00000 000 00000 0001111" asm "" => |t| t.spin();
}

insns! {
    /// Non-temporal locality of the access that follows.
    pub static ZIHINTNTL: Group<Rv>, "zihintntl", width 32;
    /// Beyond the innermost private cache.
    ntl_p1: "ntl.p1" "0000000 00010 00000 000 00000 0110011" asm "" => |_t| {};
    /// Beyond all private caches.
    ntl_pall: "ntl.pall" "0000000 00011 00000 000 00000 0110011" asm "" => |_t| {};
    /// Beyond the innermost shared cache.
    ntl_s1: "ntl.s1" "0000000 00100 00000 000 00000 0110011" asm "" => |_t| {};
    /// Beyond all caches.
    ntl_all: "ntl.all" "0000000 00101 00000 000 00000 0110011" asm "" => |_t| {};
}

insns! {
    /// Wait on reservation set.  Waiting may end for any reason, so it ends at once.
    pub static ZAWRS: Group<Rv>, "zawrs", width 32;
    /// Without time limit.
    wrs_nto: "wrs.nto" "000000001101 00000 000 00000 1110011" asm "" => |_t| {};
    /// With a short time limit.
    wrs_sto: "wrs.sto" "000000011101 00000 000 00000 1110011" asm "" => |_t| {};
}

insns! {
    /// May-be operations.
    pub static ZIMOP: Group<Rv>, "zimop", width 32;
    /// With one operand.
    mop_r: "mop.r.{n}" "1 n 00 nn 0111 nn aaaaa 100 ddddd 1110011" asm "{d:x}, {a:x}" => |t, d| may_be(t, d);
    /// With two operands.
    mop_rr: "mop.rr.{n}" "1 n 00 nn 1 bbbbb aaaaa 100 ddddd 1110011" asm "{d:x}, {a:x}, {b:x}" => |t, d| may_be(t, d);
}

insns! {
    /// Compressed may-be operations, which write nothing.
    pub static ZCMOP: Group<Rv>, "zcmop", width 16;
    /// Numbered 1, 3 to 15.
    c_mop: "c.mop.{n:odd}" "011 0 0 nnn 1 00000 01" asm "" => |_t| {};
}
