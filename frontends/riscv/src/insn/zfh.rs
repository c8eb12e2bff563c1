//! Zfh, Zfhmin and Zfbfmin: binary16, and conversions of bfloat16.

use super::Rv;
use super::fp::{self, B, D, Fused, H, S, Sign};
use tern_core::ir::Op;
use tern_decode::insns;

insns! {
    /// In Zfhmin and Zfbfmin: moves of 16-bit values.
    pub static HALF_MOVES: Group<Rv>, "zfhmin|zfbfmin", width 32;
    /// Load.
    flh "iiiiiiiiiiii aaaaa 001 ddddd 0000111" asm "{d:f}, {i:simm}({a:x})" => |t, d, a, i| fp::load::<H>(t, d, a, i);
    /// Store.
    fsh "iiiiiii bbbbb aaaaa 001 iiiii 0100111" asm "{b:f}, {i:store}({a:x})"
        => |t, b, a, i| fp::store::<H>(t, b, a, i);
    /// Move the low 16 bits to an integer register, sign-extended.
    fmv_x_h: "fmv.x.h" "1110010 00000 aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| { let v = t.f64(a); let v = t.b.sext16(v); t.put_x(d, v) };
    /// Move the low 16 bits from an integer register.
    fmv_h_x: "fmv.h.x" "1111010 00000 aaaaa 000 ddddd 1010011" asm "{d:f}, {a:x}"
        => |t, d, a| { let v = t.w(a); t.set_f16(d, v) };
}

insns! {
    /// Conversions between binary16 and binary32.
    pub static ZFHMIN: Group<Rv>, "zfhmin", width 32;
    /// From binary16 to binary32.
    fcvt_s_h: "fcvt.s.h" "0100000 00010 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rmx}"
        => |t, d, a, r| fp::convert::<H, S>(t, d, a, r);
    /// From binary32 to binary16.
    fcvt_h_s: "fcvt.h.s" "0100010 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::convert::<S, H>(t, d, a, r);
}

insns! {
    /// Conversions between binary16 and binary64, with D.
    pub static ZFHMIN_D: Group<Rv>, "zfhmin", width 32;
    /// From binary16 to binary64.
    fcvt_d_h: "fcvt.d.h" "0100001 00010 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rmx}"
        => |t, d, a, r| fp::convert::<H, D>(t, d, a, r);
    /// From binary64 to binary16.
    fcvt_h_d: "fcvt.h.d" "0100010 00001 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::convert::<D, H>(t, d, a, r);
}

insns! {
    /// Conversions between bfloat16 and binary32.
    pub static ZFBFMIN: Group<Rv>, "zfbfmin", width 32;
    /// From bfloat16 to binary32.
    fcvt_s_bf16: "fcvt.s.bf16" "0100000 00110 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rmx}"
        => |t, d, a, r| fp::convert::<B, S>(t, d, a, r);
    /// From binary32 to bfloat16.
    fcvt_bf16_s: "fcvt.bf16.s" "0100010 01000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::convert::<S, B>(t, d, a, r);
}

insns! {
    /// binary16.
    pub static ZFH: Group<Rv>, "zfh", width 32;
    /// `a * b + c`, rounded once.
    fmadd_h: "fmadd.h" "ccccc 10 bbbbb aaaaa rrr ddddd 1000011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<H>(t, Fused::Madd, [d, a, b, c], r);
    /// `a * b - c`, rounded once.
    fmsub_h: "fmsub.h" "ccccc 10 bbbbb aaaaa rrr ddddd 1000111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<H>(t, Fused::Msub, [d, a, b, c], r);
    /// `-(a * b) + c`, rounded once.
    fnmsub_h: "fnmsub.h" "ccccc 10 bbbbb aaaaa rrr ddddd 1001011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<H>(t, Fused::Nmsub, [d, a, b, c], r);
    /// `-(a * b) - c`, rounded once.
    fnmadd_h: "fnmadd.h" "ccccc 10 bbbbb aaaaa rrr ddddd 1001111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<H>(t, Fused::Nmadd, [d, a, b, c], r);
    /// Sum.
    fadd_h: "fadd.h" "0000010 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<H>(t, Op::FAdd, d, a, b, r);
    /// Difference.
    fsub_h: "fsub.h" "0000110 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<H>(t, Op::FSub, d, a, b, r);
    /// Product.
    fmul_h: "fmul.h" "0001010 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<H>(t, Op::FMul, d, a, b, r);
    /// Quotient.
    fdiv_h: "fdiv.h" "0001110 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<H>(t, Op::FDiv, d, a, b, r);
    /// Square root.
    fsqrt_h: "fsqrt.h" "0101110 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<H>(t, Op::FSqrt, 0, d, a, r);
    /// Sign of `b`.
    fsgnj_h: "fsgnj.h" "0010010 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<H>(t, Sign::Copy, d, a, b);
    /// Opposite sign of `b`.
    fsgnjn_h: "fsgnjn.h" "0010010 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<H>(t, Sign::Not, d, a, b);
    /// Product of the signs.
    fsgnjx_h: "fsgnjx.h" "0010010 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<H>(t, Sign::Xor, d, a, b);
    /// Minimum number.
    fmin_h: "fmin.h" "0010110 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<H>(t, Op::FMin, 0, d, a, b);
    /// Maximum number.
    fmax_h: "fmax.h" "0010110 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<H>(t, Op::FMax, 0, d, a, b);
    /// Equal, quiet.
    feq_h: "feq.h" "1010010 bbbbb aaaaa 010 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<H>(t, Op::FEq, d, a, b);
    /// Less than, signalling.
    flt_h: "flt.h" "1010010 bbbbb aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<H>(t, Op::FLt, d, a, b);
    /// Less than or equal, signalling.
    fle_h: "fle.h" "1010010 bbbbb aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<H>(t, Op::FLe, d, a, b);
    /// Class.
    fclass_h: "fclass.h" "1110010 00000 aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| fp::classify::<H>(t, d, a);
    /// To signed 32 bits.
    fcvt_w_h: "fcvt.w.h" "1100010 00000 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<H>(t, Op::FToS32, d, a, r);
    /// To unsigned 32 bits.
    fcvt_wu_h: "fcvt.wu.h" "1100010 00001 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<H>(t, Op::FToU32, d, a, r);
    /// From signed 32 bits.
    fcvt_h_w: "fcvt.h.w" "1101010 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_word::<H>(t, Op::FFromS32, d, a, r);
    /// From unsigned 32 bits.
    fcvt_h_wu: "fcvt.h.wu" "1101010 00001 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_word::<H>(t, Op::FFromU32, d, a, r);

    fmv_h: "fmv.h" "{d}, {a}" = "fsgnj.h {d}, {a}, {a}";
    fneg_h: "fneg.h" "{d}, {a}" = "fsgnjn.h {d}, {a}, {a}";
    fabs_h: "fabs.h" "{d}, {a}" = "fsgnjx.h {d}, {a}, {a}";
    fgt_h: "fgt.h" "{d}, {a}, {b}" -> "flt.h {d}, {b}, {a}";
    fge_h: "fge.h" "{d}, {a}, {b}" -> "fle.h {d}, {b}, {a}";
}

insns! {
    /// binary16 and 64-bit integers.
    pub static ZFH64: Group<Rv>, "zfh", width 32;
    /// To signed 64 bits.
    fcvt_l_h: "fcvt.l.h" "1100010 00010 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<H>(t, Op::FToS64, d, a, r);
    /// To unsigned 64 bits.
    fcvt_lu_h: "fcvt.lu.h" "1100010 00011 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<H>(t, Op::FToU64, d, a, r);
    /// From signed 64 bits.
    fcvt_h_l: "fcvt.h.l" "1101010 00010 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<H>(t, Op::FFromS64, d, a, r);
    /// From unsigned 64 bits.
    fcvt_h_lu: "fcvt.h.lu" "1101010 00011 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<H>(t, Op::FFromU64, d, a, r);
}
