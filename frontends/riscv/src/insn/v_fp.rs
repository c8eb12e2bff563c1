//! Vector floating-point arithmetic (V specification, chapter 13).

use super::Rv;
use super::vector::{by_f, by_vector};
use crate::vector::fp::{Accumulate, Binary, Compare, Unary, Widen, WidenFirst};
use crate::vector::fpcvt::Convert;
use tern_decode::insns;

insns! {
    /// Operands and results of one width, and comparisons.
    pub static V_FP: Group<Rv>, "v", width 32;
    /// Sum.
    vfadd_vv: "vfadd.vv" "000000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Add);
    /// Sum.
    vfadd_vf: "vfadd.vf" "000000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Add, a);
    /// Difference.
    vfsub_vv: "vfsub.vv" "000010 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sub);
    /// Difference.
    vfsub_vf: "vfsub.vf" "000010 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Sub, a);
    /// Reverse difference.
    vfrsub_vf: "vfrsub.vf" "100111 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Rsub, a);
    /// Product.
    vfmul_vv: "vfmul.vv" "100100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Mul);
    /// Product.
    vfmul_vf: "vfmul.vf" "100100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Mul, a);
    /// Quotient.
    vfdiv_vv: "vfdiv.vv" "100000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Div);
    /// Quotient.
    vfdiv_vf: "vfdiv.vf" "100000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Div, a);
    /// Reverse quotient.
    vfrdiv_vf: "vfrdiv.vf" "100001 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Rdiv, a);
    /// Minimum number.
    vfmin_vv: "vfmin.vv" "000100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Min);
    /// Minimum number.
    vfmin_vf: "vfmin.vf" "000100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Min, a);
    /// Maximum number.
    vfmax_vv: "vfmax.vv" "000110 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Max);
    /// Maximum number.
    vfmax_vf: "vfmax.vf" "000110 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Max, a);
    /// Sign of the second operand.
    vfsgnj_vv: "vfsgnj.vv" "001000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sgnj);
    /// Sign of the second operand.
    vfsgnj_vf: "vfsgnj.vf" "001000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Sgnj, a);
    /// Opposite sign of the second operand.
    vfsgnjn_vv: "vfsgnjn.vv" "001001 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sgnjn);
    /// Opposite sign of the second operand.
    vfsgnjn_vf: "vfsgnjn.vf" "001001 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Sgnjn, a);
    /// Product of the signs.
    vfsgnjx_vv: "vfsgnjx.vv" "001010 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sgnjx);
    /// Product of the signs.
    vfsgnjx_vf: "vfsgnjx.vf" "001010 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Binary::Sgnjx, a);
    /// `d * a + b`.
    vfmadd_vv: "vfmadd.vv" "101000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Madd);
    /// `d * a + b`.
    vfmadd_vf: "vfmadd.vf" "101000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Madd, a);
    /// `-(d * a) - b`.
    vfnmadd_vv: "vfnmadd.vv" "101001 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmadd);
    /// `-(d * a) - b`.
    vfnmadd_vf: "vfnmadd.vf" "101001 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Nmadd, a);
    /// `d * a - b`.
    vfmsub_vv: "vfmsub.vv" "101010 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Msub);
    /// `d * a - b`.
    vfmsub_vf: "vfmsub.vf" "101010 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Msub, a);
    /// `-(d * a) + b`.
    vfnmsub_vv: "vfnmsub.vv" "101011 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmsub);
    /// `-(d * a) + b`.
    vfnmsub_vf: "vfnmsub.vf" "101011 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Nmsub, a);
    /// `a * b + d`.
    vfmacc_vv: "vfmacc.vv" "101100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Macc);
    /// `a * b + d`.
    vfmacc_vf: "vfmacc.vf" "101100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Macc, a);
    /// `-(a * b) - d`.
    vfnmacc_vv: "vfnmacc.vv" "101101 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmacc);
    /// `-(a * b) - d`.
    vfnmacc_vf: "vfnmacc.vf" "101101 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Nmacc, a);
    /// `a * b - d`.
    vfmsac_vv: "vfmsac.vv" "101110 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Msac);
    /// `a * b - d`.
    vfmsac_vf: "vfmsac.vf" "101110 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Msac, a);
    /// `-(a * b) + d`.
    vfnmsac_vv: "vfnmsac.vv" "101111 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmsac);
    /// `-(a * b) + d`.
    vfnmsac_vf: "vfnmsac.vf" "101111 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Accumulate::Nmsac, a);
    /// Square root.
    vfsqrt_v: "vfsqrt.v" "010011 m bbbbb 00000 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Unary::Sqrt);
    /// Estimate of the reciprocal root.
    vfrsqrt7_v: "vfrsqrt7.v" "010011 m bbbbb 00100 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Unary::Rsqrt7);
    /// Estimate of the reciprocal.
    vfrec7_v: "vfrec7.v" "010011 m bbbbb 00101 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Unary::Rec7);
    /// Class.
    vfclass_v: "vfclass.v" "010011 m bbbbb 10000 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Unary::Class);
    /// Equal.
    vmfeq_vv: "vmfeq.vv" "011000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Eq);
    /// Equal.
    vmfeq_vf: "vmfeq.vf" "011000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Eq, a);
    /// Less or equal.
    vmfle_vv: "vmfle.vv" "011001 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Le);
    /// Less or equal.
    vmfle_vf: "vmfle.vf" "011001 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Le, a);
    /// Less.
    vmflt_vv: "vmflt.vv" "011011 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Lt);
    /// Less.
    vmflt_vf: "vmflt.vf" "011011 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Lt, a);
    /// Not equal.
    vmfne_vv: "vmfne.vv" "011100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Ne);
    /// Not equal.
    vmfne_vf: "vmfne.vf" "011100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Ne, a);
    /// Greater.
    vmfgt_vf: "vmfgt.vf" "011101 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Gt, a);
    /// Greater or equal.
    vmfge_vf: "vmfge.vf" "011111 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Compare::Ge, a);

    vfneg_v: "vfneg.v" "{d}, {a}" -> "vfsgnjn.vv {d}, {a}, {a}";
    vfabs_v: "vfabs.v" "{d}, {a}" -> "vfsgnjx.vv {d}, {a}, {a}";
}

insns! {
    /// Results wider or narrower than operands, and conversions of integers.
    pub static V_FP_WIDE: Group<Rv>, "v", width 32;
    /// Sum.
    vfwadd_vv: "vfwadd.vv" "110000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Add);
    /// Sum.
    vfwadd_vf: "vfwadd.vf" "110000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Widen::Add, a);
    /// Difference.
    vfwsub_vv: "vfwsub.vv" "110010 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Sub);
    /// Difference.
    vfwsub_vf: "vfwsub.vf" "110010 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Widen::Sub, a);
    /// Product.
    vfwmul_vv: "vfwmul.vv" "111000 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Mul);
    /// Product.
    vfwmul_vf: "vfwmul.vf" "111000 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, Widen::Mul, a);
    /// Sum with a wide operand.
    vfwadd_wv: "vfwadd.wv" "110100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Add);
    /// Sum with a wide operand.
    vfwadd_wf: "vfwadd.wf" "110100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, WidenFirst::Add, a);
    /// Difference with a wide operand.
    vfwsub_wv: "vfwsub.wv" "110110 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Sub);
    /// Difference with a wide operand.
    vfwsub_wf: "vfwsub.wf" "110110 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {b:v}, {a:f}{m:vm}"
        => |t, a| by_f(t, WidenFirst::Sub, a);
    /// `a * b + d`.
    vfwmacc_vv: "vfwmacc.vv" "111100 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Macc);
    /// `a * b + d`.
    vfwmacc_vf: "vfwmacc.vf" "111100 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Widen::Macc, a);
    /// `-(a * b) - d`.
    vfwnmacc_vv: "vfwnmacc.vv" "111101 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Nmacc);
    /// `-(a * b) - d`.
    vfwnmacc_vf: "vfwnmacc.vf" "111101 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Widen::Nmacc, a);
    /// `a * b - d`.
    vfwmsac_vv: "vfwmsac.vv" "111110 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Msac);
    /// `a * b - d`.
    vfwmsac_vf: "vfwmsac.vf" "111110 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Widen::Msac, a);
    /// `-(a * b) + d`.
    vfwnmsac_vv: "vfwnmsac.vv" "111111 m bbbbb aaaaa 001 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Nmsac);
    /// `-(a * b) + d`.
    vfwnmsac_vf: "vfwnmsac.vf" "111111 m bbbbb aaaaa 101 ddddd 1010111" asm "{d:v}, {a:f}, {b:v}{m:vm}"
        => |t, a| by_f(t, Widen::Nmsac, a);
    /// To unsigned integer.
    vfcvt_xu_f_v: "vfcvt.xu.f.v" "010010 m bbbbb 00000 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::XuF);
    /// To signed integer.
    vfcvt_x_f_v: "vfcvt.x.f.v" "010010 m bbbbb 00001 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::XF);
    /// From unsigned integer.
    vfcvt_f_xu_v: "vfcvt.f.xu.v" "010010 m bbbbb 00010 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::FXu);
    /// From signed integer.
    vfcvt_f_x_v: "vfcvt.f.x.v" "010010 m bbbbb 00011 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::FX);
    /// To unsigned integer, truncated.
    vfcvt_rtz_xu_f_v: "vfcvt.rtz.xu.f.v" "010010 m bbbbb 00110 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::RtzXuF);
    /// To signed integer, truncated.
    vfcvt_rtz_x_f_v: "vfcvt.rtz.x.f.v" "010010 m bbbbb 00111 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::RtzXF);
    /// To unsigned integer twice as wide.
    vfwcvt_xu_f_v: "vfwcvt.xu.f.v" "010010 m bbbbb 01000 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenXuF);
    /// To signed integer twice as wide.
    vfwcvt_x_f_v: "vfwcvt.x.f.v" "010010 m bbbbb 01001 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenXF);
    /// From unsigned integer half as wide.
    vfwcvt_f_xu_v: "vfwcvt.f.xu.v" "010010 m bbbbb 01010 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenFXu);
    /// From signed integer half as wide.
    vfwcvt_f_x_v: "vfwcvt.f.x.v" "010010 m bbbbb 01011 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenFX);
    /// To unsigned integer twice as wide, truncated.
    vfwcvt_rtz_xu_f_v: "vfwcvt.rtz.xu.f.v" "010010 m bbbbb 01110 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenRtzXuF);
    /// To signed integer twice as wide, truncated.
    vfwcvt_rtz_x_f_v: "vfwcvt.rtz.x.f.v" "010010 m bbbbb 01111 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenRtzXF);
    /// To unsigned integer half as wide.
    vfncvt_xu_f_w: "vfncvt.xu.f.w" "010010 m bbbbb 10000 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowXuF);
    /// To signed integer half as wide.
    vfncvt_x_f_w: "vfncvt.x.f.w" "010010 m bbbbb 10001 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowXF);
    /// From unsigned integer twice as wide.
    vfncvt_f_xu_w: "vfncvt.f.xu.w" "010010 m bbbbb 10010 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowFXu);
    /// From signed integer twice as wide.
    vfncvt_f_x_w: "vfncvt.f.x.w" "010010 m bbbbb 10011 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowFX);
    /// To the narrower format, rounded to odd.
    vfncvt_rod_f_f_w: "vfncvt.rod.f.f.w" "010010 m bbbbb 10101 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowRodFF);
    /// To unsigned integer half as wide, truncated.
    vfncvt_rtz_xu_f_w: "vfncvt.rtz.xu.f.w" "010010 m bbbbb 10110 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowRtzXuF);
    /// To signed integer half as wide, truncated.
    vfncvt_rtz_x_f_w: "vfncvt.rtz.x.f.w" "010010 m bbbbb 10111 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowRtzXF);
}

insns! {
    /// Conversions between formats, which Zvfhmin has too.
    pub static V_FP_FORMATS: Group<Rv>, "v|zvfhmin", width 32;
    /// To the wider format.
    vfwcvt_f_f_v: "vfwcvt.f.f.v" "010010 m bbbbb 01100 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::WidenFF);
    /// To the narrower format.
    vfncvt_f_f_w: "vfncvt.f.f.w" "010010 m bbbbb 10100 001 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Convert::NarrowFF);
}
