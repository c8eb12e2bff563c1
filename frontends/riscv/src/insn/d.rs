//! D: binary64.

use super::Rv;
use super::fp::{self, D, Fused, S, Sign};
use tern_core::ir::Op;
use tern_decode::insns;

insns! {
    /// binary64.
    pub static DOUBLE: Group<Rv>, "d", width 32;
    /// Load.
    fld "iiiiiiiiiiii aaaaa 011 ddddd 0000111" asm "{d:f}, {i:simm}({a:x})" => |t, d, a, i| fp::load::<D>(t, d, a, i);
    /// Store.
    fsd "iiiiiii bbbbb aaaaa 011 iiiii 0100111" asm "{b:f}, {i:store}({a:x})"
        => |t, b, a, i| fp::store::<D>(t, b, a, i);
    /// `a * b + c`, rounded once.
    fmadd_d: "fmadd.d" "ccccc 01 bbbbb aaaaa rrr ddddd 1000011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<D>(t, Fused::Madd, [d, a, b, c], r);
    /// `a * b - c`, rounded once.
    fmsub_d: "fmsub.d" "ccccc 01 bbbbb aaaaa rrr ddddd 1000111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<D>(t, Fused::Msub, [d, a, b, c], r);
    /// `-(a * b) + c`, rounded once.
    fnmsub_d: "fnmsub.d" "ccccc 01 bbbbb aaaaa rrr ddddd 1001011" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<D>(t, Fused::Nmsub, [d, a, b, c], r);
    /// `-(a * b) - c`, rounded once.
    fnmadd_d: "fnmadd.d" "ccccc 01 bbbbb aaaaa rrr ddddd 1001111" asm "{d:f}, {a:f}, {b:f}, {c:f}{r:rm}"
        => |t, d, a, b, c, r| fp::fused::<D>(t, Fused::Nmadd, [d, a, b, c], r);
    /// Sum.
    fadd_d: "fadd.d" "0000001 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<D>(t, Op::FAdd, d, a, b, r);
    /// Difference.
    fsub_d: "fsub.d" "0000101 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<D>(t, Op::FSub, d, a, b, r);
    /// Product.
    fmul_d: "fmul.d" "0001001 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<D>(t, Op::FMul, d, a, b, r);
    /// Quotient.
    fdiv_d: "fdiv.d" "0001101 bbbbb aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}, {b:f}{r:rm}"
        => |t, d, a, b, r| fp::arith::<D>(t, Op::FDiv, d, a, b, r);
    /// Square root.
    fsqrt_d: "fsqrt.d" "0101101 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<D>(t, Op::FSqrt, 0, d, a, r);
    /// Sign of `b`.
    fsgnj_d: "fsgnj.d" "0010001 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<D>(t, Sign::Copy, d, a, b);
    /// Opposite sign of `b`.
    fsgnjn_d: "fsgnjn.d" "0010001 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<D>(t, Sign::Not, d, a, b);
    /// Product of the signs.
    fsgnjx_d: "fsgnjx.d" "0010001 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::inject::<D>(t, Sign::Xor, d, a, b);
    /// Minimum number.
    fmin_d: "fmin.d" "0010101 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<D>(t, Op::FMin, 0, d, a, b);
    /// Maximum number.
    fmax_d: "fmax.d" "0010101 bbbbb aaaaa 001 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<D>(t, Op::FMax, 0, d, a, b);
    /// Equal, quiet.
    feq_d: "feq.d" "1010001 bbbbb aaaaa 010 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<D>(t, Op::FEq, d, a, b);
    /// Less than, signalling.
    flt_d: "flt.d" "1010001 bbbbb aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<D>(t, Op::FLt, d, a, b);
    /// Less than or equal, signalling.
    fle_d: "fle.d" "1010001 bbbbb aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<D>(t, Op::FLe, d, a, b);
    /// Class.
    fclass_d: "fclass.d" "1110001 00000 aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| fp::classify::<D>(t, d, a);
    /// To signed 32 bits.
    fcvt_w_d: "fcvt.w.d" "1100001 00000 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<D>(t, Op::FToS32, d, a, r);
    /// To unsigned 32 bits.
    fcvt_wu_d: "fcvt.wu.d" "1100001 00001 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_word::<D>(t, Op::FToU32, d, a, r);
    /// From signed 32 bits.
    fcvt_d_w: "fcvt.d.w" "1101001 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rmx}"
        => |t, d, a, r| fp::from_word::<D>(t, Op::FFromS32, d, a, r);
    /// From unsigned 32 bits.
    fcvt_d_wu: "fcvt.d.wu" "1101001 00001 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rmx}"
        => |t, d, a, r| fp::from_word::<D>(t, Op::FFromU32, d, a, r);
    /// From binary64 to binary32.
    fcvt_s_d: "fcvt.s.d" "0100000 00001 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::convert::<D, S>(t, d, a, r);
    /// From binary32 to binary64.
    fcvt_d_s: "fcvt.d.s" "0100001 00000 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rmx}"
        => |t, d, a, r| fp::convert::<S, D>(t, d, a, r);

    fmv_d: "fmv.d" "{d}, {a}" = "fsgnj.d {d}, {a}, {a}";
    fneg_d: "fneg.d" "{d}, {a}" = "fsgnjn.d {d}, {a}, {a}";
    fabs_d: "fabs.d" "{d}, {a}" = "fsgnjx.d {d}, {a}, {a}";
    fgt_d: "fgt.d" "{d}, {a}, {b}" -> "flt.d {d}, {b}, {a}";
    fge_d: "fge.d" "{d}, {a}, {b}" -> "fle.d {d}, {b}, {a}";
}

insns! {
    /// binary64 and 64-bit integers.
    pub static DOUBLE64: Group<Rv>, "d", width 32;
    /// To signed 64 bits.
    fcvt_l_d: "fcvt.l.d" "1100001 00010 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<D>(t, Op::FToS64, d, a, r);
    /// To unsigned 64 bits.
    fcvt_lu_d: "fcvt.lu.d" "1100001 00011 aaaaa rrr ddddd 1010011" asm "{d:x}, {a:f}{r:rm}"
        => |t, d, a, r| fp::to_long::<D>(t, Op::FToU64, d, a, r);
    /// From signed 64 bits.
    fcvt_d_l: "fcvt.d.l" "1101001 00010 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<D>(t, Op::FFromS64, d, a, r);
    /// From unsigned 64 bits.
    fcvt_d_lu: "fcvt.d.lu" "1101001 00011 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:x}{r:rm}"
        => |t, d, a, r| fp::from_long::<D>(t, Op::FFromU64, d, a, r);
    /// Move to an integer register.
    fmv_x_d: "fmv.x.d" "1110001 00000 aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| { let v = t.f64(a); t.put_x(d, v) };
    /// Move from an integer register.
    fmv_d_x: "fmv.d.x" "1111001 00000 aaaaa 000 ddddd 1010011" asm "{d:f}, {a:x}"
        => |t, d, a| { let v = t.x(a); t.set_f64(d, v) };
}
