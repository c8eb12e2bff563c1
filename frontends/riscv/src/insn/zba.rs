//! Zba: address generation.

use super::{Rv, xlen2};
use crate::translate::{Tr, X};
use tern_core::ir::Builder;
use tern_decode::insns;

insns! {
    /// Shift and add.
    pub static ZBA: Group<Rv>, "zba", width 32;
    /// `(a << 1) + b`.
    sh1add "0010000 bbbbb aaaaa 010 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, sh1add);
    /// `(a << 2) + b`.
    sh2add "0010000 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, sh2add);
    /// `(a << 3) + b`.
    sh3add "0010000 bbbbb aaaaa 110 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, sh3add);
}

/// `d = f(zero-extended low a, b)`.
fn unsigned_word<'a>(t: &mut Tr<'a>, d: i64, a: i64, b: i64, f: impl FnOnce(&mut Builder<'a>, X, X) -> X) {
    let (a, b) = (t.w(a), t.x(b));
    let a = t.b.zext32(a);
    let v = f(&mut t.b, a, b);
    t.put_x(d, v);
}

insns! {
    /// With a zero-extended word.
    pub static ZBA64: Group<Rv>, "zba", width 32;
    /// `zext(a) + b`.
    add_uw: "add.uw" "0000100 bbbbb aaaaa 000 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| unsigned_word(t, d, a, b, Builder::add);
    /// `(zext(a) << 1) + b`.
    sh1add_uw: "sh1add.uw" "0010000 bbbbb aaaaa 010 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| unsigned_word(t, d, a, b, Builder::sh1add);
    /// `(zext(a) << 2) + b`.
    sh2add_uw: "sh2add.uw" "0010000 bbbbb aaaaa 100 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| unsigned_word(t, d, a, b, Builder::sh2add);
    /// `(zext(a) << 3) + b`.
    sh3add_uw: "sh3add.uw" "0010000 bbbbb aaaaa 110 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| unsigned_word(t, d, a, b, Builder::sh3add);
    /// `zext(a) << constant`.
    slli_uw: "slli.uw" "000010 ssssss aaaaa 001 ddddd 0011011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| { let v = t.w(a); let v = t.b.zext32(v); let v = t.b.shli(v, s as u32); t.put_x(d, v) };

    zext_w: "zext.w" "{d}, {a}" = "add.uw {d}, {a}, zero";
}
