//! Zbb: basic bit manipulation.  What it shares with Zbkb is in groups of its own.

use super::{Rv, xlen1, xlen2, xlen2i};
use tern_core::ir::Builder;
use tern_decode::insns;

insns! {
    /// In Zbb and Zbkb.
    pub static ZBB_ZBKB: Group<Rv>, "zbb|zbkb", width 32;
    /// And with complement.
    andn "0100000 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2(d, a, b, Builder::andn);
    /// Or with complement.
    orn "0100000 bbbbb aaaaa 110 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::orn);
    /// Complement of exclusive or.
    xnor "0100000 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2(d, a, b, Builder::xnor);
    /// Rotate left.
    rol "0110000 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, rotl);
    /// Rotate right.
    ror "0110000 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, rotr);
}

insns! {
    /// In Zbb and Zbkb on RV32.
    pub static ZBB_ZBKB32: Group<Rv>, "zbb|zbkb", width 32;
    /// Rotate right by a constant.
    rori "0110000 sssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, rotr);
    /// Reverse the order of bytes.
    rev8 "011010011000 aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| t.op1w(d, a, Builder::bswap);
}

insns! {
    /// In Zbb and Zbkb on RV64.
    pub static ZBB_ZBKB64: Group<Rv>, "zbb|zbkb", width 32;
    /// Rotate right by a constant.
    rori "011000 ssssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::rotr);
    /// Reverse the order of bytes.
    rev8 "011010111000 aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| t.op1(d, a, Builder::bswap);
    /// Rotate left, 32 bits.
    rolw "0110000 bbbbb aaaaa 001 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::rotl);
    /// Rotate right, 32 bits.
    rorw "0110000 bbbbb aaaaa 101 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::rotr);
    /// Rotate right by a constant, 32 bits.
    roriw "0110000 sssss aaaaa 101 ddddd 0011011" asm "{d:x}, {a:x}, {s:sh5}"
        => |t, d, a, s| t.op2iw(d, a, s, Builder::rotr);
}

insns! {
    /// Common to RV32 and RV64.
    pub static ZBB: Group<Rv>, "zbb", width 32;
    /// Count leading zeros.
    clz "0110000 00000 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| xlen1!(t, d, a, clz);
    /// Count trailing zeros.
    ctz "0110000 00001 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| xlen1!(t, d, a, ctz);
    /// Count ones.
    cpop "0110000 00010 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| xlen1!(t, d, a, popcnt);
    /// Sign-extend byte.
    sext_b: "sext.b" "0110000 00100 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| t.op1(d, a, Builder::sext8);
    /// Sign-extend halfword.
    sext_h: "sext.h" "0110000 00101 aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| t.op1(d, a, Builder::sext16);
    /// Signed minimum.
    min "0000101 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::mins);
    /// Unsigned minimum.
    minu "0000101 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2(d, a, b, Builder::minu);
    /// Signed maximum.
    max "0000101 bbbbb aaaaa 110 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2(d, a, b, Builder::maxs);
    /// Unsigned maximum.
    maxu "0000101 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2(d, a, b, Builder::maxu);
    /// Or of the bits of each byte.
    orc_b: "orc.b" "001010000111 aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}" => |t, d, a| xlen1!(t, d, a, orcb);
}

insns! {
    /// Only on RV32.
    pub static ZBB32: Group<Rv>, "zbb", width 32;
    /// Zero-extend halfword.
    zext_h: "zext.h" "0000100 00000 aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}" => |t, d, a| t.op1(d, a, Builder::zext16);
}

insns! {
    /// Only on RV64.
    pub static ZBB64: Group<Rv>, "zbb", width 32;
    /// Zero-extend halfword.
    zext_h: "zext.h" "0000100 00000 aaaaa 100 ddddd 0111011" asm "{d:x}, {a:x}" => |t, d, a| t.op1(d, a, Builder::zext16);
    /// Count leading zeros, 32 bits.
    clzw "0110000 00000 aaaaa 001 ddddd 0011011" asm "{d:x}, {a:x}" => |t, d, a| t.op1w(d, a, Builder::clz);
    /// Count trailing zeros, 32 bits.
    ctzw "0110000 00001 aaaaa 001 ddddd 0011011" asm "{d:x}, {a:x}" => |t, d, a| t.op1w(d, a, Builder::ctz);
    /// Count ones, 32 bits.
    cpopw "0110000 00010 aaaaa 001 ddddd 0011011" asm "{d:x}, {a:x}" => |t, d, a| t.op1w(d, a, Builder::popcnt);
}
