//! Zcb: more compressed instructions.

use super::{Rv, xlen2};
use crate::translate::Tr;
use tern_core::ir::Builder;
use tern_core::mem::Size;
use tern_decode::insns;

insns! {
    /// Those that need nothing but Zca.
    pub static ZCB: Group<Rv>, "zcb", width 16;
    /// Load byte, unsigned.
    c_lbu: "c.lbu" "100 000 aaa ii ddd 00" asm "{d:xc}, {i:clb}({a:xc})" => |t, d, a, i| t.load(d, a, i, Size::B1, false);
    /// Load halfword, unsigned.
    c_lhu: "c.lhu" "100 001 aaa 0 i ddd 00" asm "{d:xc}, {i:clh}({a:xc})"
        => |t, d, a, i| t.load(d, a, i, Size::B2, false);
    /// Load halfword.
    c_lh: "c.lh" "100 001 aaa 1 i ddd 00" asm "{d:xc}, {i:clh}({a:xc})" => |t, d, a, i| t.load(d, a, i, Size::B2, true);
    /// Store byte.
    c_sb: "c.sb" "100 010 aaa ii bbb 00" asm "{b:xc}, {i:clb}({a:xc})" => |t, b, a, i| t.store(b, a, i, Size::B1);
    /// Store halfword.
    c_sh: "c.sh" "100 011 aaa 0 i bbb 00" asm "{b:xc}, {i:clh}({a:xc})" => |t, b, a, i| t.store(b, a, i, Size::B2);
    /// Zero-extend byte.
    c_zext_b: "c.zext.b" "100 111 ddd 11 000 01" asm "{d:xc}" => |t, d| t.op1(d, d, Builder::zext8);
    /// Complement.
    c_not: "c.not" "100 111 ddd 11 101 01" asm "{d:xc}" => |t, d| t.op1(d, d, Builder::not);
}

insns! {
    /// With Zbb.
    pub static ZCB_ZBB: Group<Rv>, "zcb", width 16;
    /// Sign-extend byte.
    c_sext_b: "c.sext.b" "100 111 ddd 11 001 01" asm "{d:xc}" => |t, d| t.op1(d, d, Builder::sext8);
    /// Zero-extend halfword.
    c_zext_h: "c.zext.h" "100 111 ddd 11 010 01" asm "{d:xc}" => |t, d| t.op1(d, d, Builder::zext16);
    /// Sign-extend halfword.
    c_sext_h: "c.sext.h" "100 111 ddd 11 011 01" asm "{d:xc}" => |t, d| t.op1(d, d, Builder::sext16);
}

fn zext_w(t: &mut Tr<'_>, d: i64) {
    let v = t.w(d);
    let v = t.b.zext32(v);
    t.put_x(d, v);
}

insns! {
    /// With Zba on RV64.
    pub static ZCB_ZBA64: Group<Rv>, "zcb", width 16;
    /// Zero-extend word.
    c_zext_w: "c.zext.w" "100 111 ddd 11 100 01" asm "{d:xc}" => |t, d| zext_w(t, d);
}

insns! {
    /// With Zmmul.
    pub static ZCB_ZMMUL: Group<Rv>, "zcb", width 16;
    /// Low half of the product.
    c_mul: "c.mul" "100 111 ddd 10 bbb 01" asm "{d:xc}, {b:xc}" => |t, d, b| xlen2!(t, d, d, b, mul);
}
