//! F: binary32.

use super::Rv;
use super::fp::{self, Fused, S, Sign};
use tern_core::ir::Op;
use tern_decode::insns;

insns! {
    /// binary32.
    pub static F: Group<Rv>, "f", width 32;
    /// Load.
    flw "iiiiiiiiiiii aaaaa 010 ddddd 0000111" asm "{d:f}, {i:simm}({a:x})" => |t, d, a, i| fp::load::<S>(t, d, a, i);
    /// Store.
    fsw "iiiiiii bbbbb aaaaa 010 iiiii 0100111" asm "{b:f}, {i:store}({a:x})"
        => |t, b, a, i| fp::store::<S>(t, b, a, i);
    /// `a * b + c`, rounded once.
    fmadd_s: "fmadd.s" "ccccc 00 bbbbb aaaaa rrr ddddd 1000011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<S>(t, Fused::Madd, [d, a, b, c], r);
    /// `a * b - c`, rounded once.
    fmsub_s: "fmsub.s" "ccccc 00 bbbbb aaaaa rrr ddddd 1000111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<S>(t, Fused::Msub, [d, a, b, c], r);
    /// `-(a * b) + c`, rounded once.
    fnmsub_s: "fnmsub.s" "ccccc 00 bbbbb aaaaa rrr ddddd 1001011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<S>(t, Fused::Nmsub, [d, a, b, c], r);
    /// `-(a * b) - c`, rounded once.
    fnmadd_s: "fnmadd.s" "ccccc 00 bbbbb aaaaa rrr ddddd 1001111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<S>(t, Fused::Nmadd, [d, a, b, c], r);
    /// Sum.
    fadd_s: "fadd.s" "0000000 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<S>(t, Op::FAdd, d, a, b, r);
    /// Difference.
    fsub_s: "fsub.s" "0000100 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<S>(t, Op::FSub, d, a, b, r);
    /// Product.
    fmul_s: "fmul.s" "0001000 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<S>(t, Op::FMul, d, a, b, r);
    /// Quotient.
    fdiv_s: "fdiv.s" "0001100 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<S>(t, Op::FDiv, d, a, b, r);
    /// Square root.
    fsqrt_s: "fsqrt.s" "0101100 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<S>(t, Op::FSqrt, 0, d, a, r);
    /// Sign of `b`.
    fsgnj_s: "fsgnj.s" "0010000 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<S>(t, Sign::Copy, d, a, b);
    /// Opposite sign of `b`.
    fsgnjn_s: "fsgnjn.s" "0010000 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<S>(t, Sign::Not, d, a, b);
    /// Product of the signs.
    fsgnjx_s: "fsgnjx.s" "0010000 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<S>(t, Sign::Xor, d, a, b);
    /// Minimum number.
    fmin_s: "fmin.s" "0010100 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<S>(t, Op::FMin, 0, d, a, b);
    /// Maximum number.
    fmax_s: "fmax.s" "0010100 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<S>(t, Op::FMax, 0, d, a, b);
    /// Equal, quiet.
    feq_s: "feq.s" "1010000 bbbbb aaaaa 010 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<S>(t, Op::FEq, d, a, b);
    /// Less than, signalling.
    flt_s: "flt.s" "1010000 bbbbb aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<S>(t, Op::FLt, d, a, b);
    /// Less than or equal, signalling.
    fle_s: "fle.s" "1010000 bbbbb aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<S>(t, Op::FLe, d, a, b);
    /// Class.
    fclass_s: "fclass.s" "1110000 00000 aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| fp::classify::<S>(t, d, a);
    /// To signed 32 bits.
    fcvt_w_s: "fcvt.w.s" "1100000 00000 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<S>(t, Op::FToS32, d, a, r);
    /// To unsigned 32 bits.
    fcvt_wu_s: "fcvt.wu.s" "1100000 00001 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<S>(t, Op::FToU32, d, a, r);
    /// From signed 32 bits.
    fcvt_s_w: "fcvt.s.w" "1101000 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_word::<S>(t, Op::FFromS32, d, a, r);
    /// From unsigned 32 bits.
    fcvt_s_wu: "fcvt.s.wu" "1101000 00001 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_word::<S>(t, Op::FFromU32, d, a, r);
    /// Move the low 32 bits to an integer register, sign-extended.
    fmv_x_w: "fmv.x.w" "1110000 00000 aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| { let v = t.f64(a); let v = t.b.trunc(v); t.set_w(d, v) };
    /// Move the low 32 bits from an integer register.
    fmv_w_x: "fmv.w.x" "1111000 00000 aaaaa 000 ddddd 1010011" asm "{d:f}, {a:x}"
        => |t, d, a| { let v = t.w(a); t.set_f32(d, v) };

    fmv_s: "fmv.s" "{d}, {a}" = "fsgnj.s {d}, {a}, {a}";
    fneg_s: "fneg.s" "{d}, {a}" = "fsgnjn.s {d}, {a}, {a}";
    fabs_s: "fabs.s" "{d}, {a}" = "fsgnjx.s {d}, {a}, {a}";
    fgt_s: "fgt.s" "{d}, {a}, {b}" -> "flt.s {d}, {b}, {a}";
    fge_s: "fge.s" "{d}, {a}, {b}" -> "fle.s {d}, {b}, {a}";
}

insns! {
    /// binary32 and 64-bit integers.
    pub static F64: Group<Rv>, "f", width 32;
    /// To signed 64 bits.
    fcvt_l_s: "fcvt.l.s" "1100000 00010 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<S>(t, Op::FToS64, d, a, r);
    /// To unsigned 64 bits.
    fcvt_lu_s: "fcvt.lu.s" "1100000 00011 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<S>(t, Op::FToU64, d, a, r);
    /// From signed 64 bits.
    fcvt_s_l: "fcvt.s.l" "1101000 00010 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<S>(t, Op::FFromS64, d, a, r);
    /// From unsigned 64 bits.
    fcvt_s_lu: "fcvt.s.lu" "1101000 00011 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<S>(t, Op::FFromU64, d, a, r);
}
