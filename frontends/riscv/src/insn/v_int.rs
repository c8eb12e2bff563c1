//! Vector integer arithmetic (V specification, chapter 11): one width, widening, narrowing; comparisons, carries, merges.

use super::Rv;
use super::vector::{by_constant, by_vector, by_x};
use crate::vector::int::{Accumulate, Binary, Carry, CarryOut, Compare, Extend, High, Narrow, Widen, WidenFirst};
use crate::vector::perm::Permute;
use tern_decode::insns;

insns! {
    /// Operands and results of one width.
    pub static V_INT: Group<Rv>, "v", width 32;
    /// Sum.
    vadd_vv: "vadd.vv" "000000 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Add);
    /// Sum.
    vadd_vx: "vadd.vx" "000000 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Add, a);
    /// Sum.
    vadd_vi: "vadd.vi" "000000 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Add, i);
    /// Difference.
    vsub_vv: "vsub.vv" "000010 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sub);
    /// Difference.
    vsub_vx: "vsub.vx" "000010 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Sub, a);
    /// Reverse difference.
    vrsub_vx: "vrsub.vx" "000011 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Rsub, a);
    /// Reverse difference.
    vrsub_vi: "vrsub.vi" "000011 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Rsub, i);
    /// Unsigned minimum.
    vminu_vv: "vminu.vv" "000100 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Minu);
    /// Unsigned minimum.
    vminu_vx: "vminu.vx" "000100 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Minu, a);
    /// Signed minimum.
    vmin_vv: "vmin.vv" "000101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Min);
    /// Signed minimum.
    vmin_vx: "vmin.vx" "000101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Min, a);
    /// Unsigned maximum.
    vmaxu_vv: "vmaxu.vv" "000110 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Maxu);
    /// Unsigned maximum.
    vmaxu_vx: "vmaxu.vx" "000110 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Maxu, a);
    /// Signed maximum.
    vmax_vv: "vmax.vv" "000111 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Max);
    /// Signed maximum.
    vmax_vx: "vmax.vx" "000111 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Max, a);
    /// And.
    vand_vv: "vand.vv" "001001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::And);
    /// And.
    vand_vx: "vand.vx" "001001 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::And, a);
    /// And.
    vand_vi: "vand.vi" "001001 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::And, i);
    /// Or.
    vor_vv: "vor.vv" "001010 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Or);
    /// Or.
    vor_vx: "vor.vx" "001010 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Or, a);
    /// Or.
    vor_vi: "vor.vi" "001010 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Or, i);
    /// Exclusive or.
    vxor_vv: "vxor.vv" "001011 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Xor);
    /// Exclusive or.
    vxor_vx: "vxor.vx" "001011 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Xor, a);
    /// Exclusive or.
    vxor_vi: "vxor.vi" "001011 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Xor, i);
    /// Shift left.
    vsll_vv: "vsll.vv" "100101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sll);
    /// Shift left.
    vsll_vx: "vsll.vx" "100101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Sll, a);
    /// Shift left.
    vsll_vi: "vsll.vi" "100101 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Sll, i);
    /// Logical shift right.
    vsrl_vv: "vsrl.vv" "101000 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Srl);
    /// Logical shift right.
    vsrl_vx: "vsrl.vx" "101000 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Srl, a);
    /// Logical shift right.
    vsrl_vi: "vsrl.vi" "101000 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Srl, i);
    /// Arithmetic shift right.
    vsra_vv: "vsra.vv" "101001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Sra);
    /// Arithmetic shift right.
    vsra_vx: "vsra.vx" "101001 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Sra, a);
    /// Arithmetic shift right.
    vsra_vi: "vsra.vi" "101001 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Binary::Sra, i);
    /// Unsigned quotient.
    vdivu_vv: "vdivu.vv" "100000 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Divu);
    /// Unsigned quotient.
    vdivu_vx: "vdivu.vx" "100000 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Divu, a);
    /// Signed quotient.
    vdiv_vv: "vdiv.vv" "100001 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Div);
    /// Signed quotient.
    vdiv_vx: "vdiv.vx" "100001 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Div, a);
    /// Unsigned remainder.
    vremu_vv: "vremu.vv" "100010 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Remu);
    /// Unsigned remainder.
    vremu_vx: "vremu.vx" "100010 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Remu, a);
    /// Signed remainder.
    vrem_vv: "vrem.vv" "100011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Rem);
    /// Signed remainder.
    vrem_vx: "vrem.vx" "100011 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Rem, a);
    /// Low half of the product.
    vmul_vv: "vmul.vv" "100101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Mul);
    /// Low half of the product.
    vmul_vx: "vmul.vx" "100101 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Mul, a);
    /// High half of the unsigned product.
    vmulhu_vv: "vmulhu.vv" "100100 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, High::Mulhu);
    /// High half of the unsigned product.
    vmulhu_vx: "vmulhu.vx" "100100 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, High::Mulhu, a);
    /// High half of the product of signed and unsigned.
    vmulhsu_vv: "vmulhsu.vv" "100110 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, High::Mulhsu);
    /// High half of the product of signed and unsigned.
    vmulhsu_vx: "vmulhsu.vx" "100110 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, High::Mulhsu, a);
    /// High half of the signed product.
    vmulh_vv: "vmulh.vv" "100111 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, High::Mulh);
    /// High half of the signed product.
    vmulh_vx: "vmulh.vx" "100111 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, High::Mulh, a);
    /// `d * a + b`.
    vmadd_vv: "vmadd.vv" "101001 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Madd);
    /// `d * a + b`.
    vmadd_vx: "vmadd.vx" "101001 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Accumulate::Madd, a);
    /// `b - d * a`.
    vnmsub_vv: "vnmsub.vv" "101011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmsub);
    /// `b - d * a`.
    vnmsub_vx: "vnmsub.vx" "101011 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Accumulate::Nmsub, a);
    /// `d + a * b`.
    vmacc_vv: "vmacc.vv" "101101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Macc);
    /// `d + a * b`.
    vmacc_vx: "vmacc.vx" "101101 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Accumulate::Macc, a);
    /// `d - a * b`.
    vnmsac_vv: "vnmsac.vv" "101111 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Accumulate::Nmsac);
    /// `d - a * b`.
    vnmsac_vx: "vnmsac.vx" "101111 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Accumulate::Nmsac, a);

    vneg_v: "vneg.v" "{d}, {b}" -> "vrsub.vx {d}, {b}, zero";
    vnot_v: "vnot.v" "{d}, {b}" -> "vxor.vi {d}, {b}, -1";
}

insns! {
    /// Results wider or narrower than operands.
    pub static V_INT_WIDE: Group<Rv>, "v", width 32;
    /// Unsigned sum.
    vwaddu_vv: "vwaddu.vv" "110000 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Addu);
    /// Unsigned sum.
    vwaddu_vx: "vwaddu.vx" "110000 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Addu, a);
    /// Signed sum.
    vwadd_vv: "vwadd.vv" "110001 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Add);
    /// Signed sum.
    vwadd_vx: "vwadd.vx" "110001 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Add, a);
    /// Unsigned difference.
    vwsubu_vv: "vwsubu.vv" "110010 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Subu);
    /// Unsigned difference.
    vwsubu_vx: "vwsubu.vx" "110010 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Subu, a);
    /// Signed difference.
    vwsub_vv: "vwsub.vv" "110011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Sub);
    /// Signed difference.
    vwsub_vx: "vwsub.vx" "110011 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Sub, a);
    /// Unsigned sum with a wide operand.
    vwaddu_wv: "vwaddu.wv" "110100 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Addu);
    /// Unsigned sum with a wide operand.
    vwaddu_wx: "vwaddu.wx" "110100 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, WidenFirst::Addu, a);
    /// Signed sum with a wide operand.
    vwadd_wv: "vwadd.wv" "110101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Add);
    /// Signed sum with a wide operand.
    vwadd_wx: "vwadd.wx" "110101 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, WidenFirst::Add, a);
    /// Unsigned difference with a wide operand.
    vwsubu_wv: "vwsubu.wv" "110110 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Subu);
    /// Unsigned difference with a wide operand.
    vwsubu_wx: "vwsubu.wx" "110110 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, WidenFirst::Subu, a);
    /// Signed difference with a wide operand.
    vwsub_wv: "vwsub.wv" "110111 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, WidenFirst::Sub);
    /// Signed difference with a wide operand.
    vwsub_wx: "vwsub.wx" "110111 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, WidenFirst::Sub, a);
    /// Unsigned product.
    vwmulu_vv: "vwmulu.vv" "111000 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Mulu);
    /// Unsigned product.
    vwmulu_vx: "vwmulu.vx" "111000 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Mulu, a);
    /// Product of signed and unsigned.
    vwmulsu_vv: "vwmulsu.vv" "111010 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Mulsu);
    /// Product of signed and unsigned.
    vwmulsu_vx: "vwmulsu.vx" "111010 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Mulsu, a);
    /// Signed product.
    vwmul_vv: "vwmul.vv" "111011 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Mul);
    /// Signed product.
    vwmul_vx: "vwmul.vx" "111011 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Mul, a);
    /// Unsigned product added.
    vwmaccu_vv: "vwmaccu.vv" "111100 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Maccu);
    /// Unsigned product added.
    vwmaccu_vx: "vwmaccu.vx" "111100 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Widen::Maccu, a);
    /// Signed product added.
    vwmacc_vv: "vwmacc.vv" "111101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Macc);
    /// Signed product added.
    vwmacc_vx: "vwmacc.vx" "111101 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Widen::Macc, a);
    /// Product of unsigned scalar and signed vector added.
    vwmaccus_vx: "vwmaccus.vx" "111110 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Widen::Maccus, a);
    /// Product of signed and unsigned vector added.
    vwmaccsu_vv: "vwmaccsu.vv" "111111 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {a:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Widen::Maccsu);
    /// Product of signed and unsigned vector added.
    vwmaccsu_vx: "vwmaccsu.vx" "111111 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {a:x}, {b:v}{m:vm}"
        => |t, a| by_x(t, Widen::Maccsu, a);
    /// Logical shift right.
    vnsrl_wv: "vnsrl.wv" "101100 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Narrow::Srl);
    /// Logical shift right.
    vnsrl_wx: "vnsrl.wx" "101100 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Narrow::Srl, a);
    /// Logical shift right.
    vnsrl_wi: "vnsrl.wi" "101100 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Narrow::Srl, i);
    /// Arithmetic shift right.
    vnsra_wv: "vnsra.wv" "101101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Narrow::Sra);
    /// Arithmetic shift right.
    vnsra_wx: "vnsra.wx" "101101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Narrow::Sra, a);
    /// Arithmetic shift right.
    vnsra_wi: "vnsra.wi" "101101 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Narrow::Sra, i);
    /// Zero extension from 1/8 of the width.
    vzext_vf8: "vzext.vf8" "010010 m bbbbb 00010 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Zero8);
    /// Sign extension from 1/8 of the width.
    vsext_vf8: "vsext.vf8" "010010 m bbbbb 00011 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Sign8);
    /// Zero extension from 1/4 of the width.
    vzext_vf4: "vzext.vf4" "010010 m bbbbb 00100 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Zero4);
    /// Sign extension from 1/4 of the width.
    vsext_vf4: "vsext.vf4" "010010 m bbbbb 00101 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Sign4);
    /// Zero extension from 1/2 of the width.
    vzext_vf2: "vzext.vf2" "010010 m bbbbb 00110 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Zero2);
    /// Sign extension from 1/2 of the width.
    vsext_vf2: "vsext.vf2" "010010 m bbbbb 00111 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, Extend::Sign2);

    vwcvt_x_x_v: "vwcvt.x.x.v" "{d}, {b}" -> "vwadd.vx {d}, {b}, zero";
    vwcvtu_x_x_v: "vwcvtu.x.x.v" "{d}, {b}" -> "vwaddu.vx {d}, {b}, zero";
    vncvt_x_x_w: "vncvt.x.x.w" "{d}, {b}" -> "vnsrl.wx {d}, {b}, zero";
}

insns! {
    /// Masks as operands and results, and moves.
    pub static V_INT_MASK: Group<Rv>, "v", width 32;
    /// Equal.
    vmseq_vv: "vmseq.vv" "011000 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Eq);
    /// Equal.
    vmseq_vx: "vmseq.vx" "011000 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Eq, a);
    /// Equal.
    vmseq_vi: "vmseq.vi" "011000 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Eq, i);
    /// Not equal.
    vmsne_vv: "vmsne.vv" "011001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Ne);
    /// Not equal.
    vmsne_vx: "vmsne.vx" "011001 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Ne, a);
    /// Not equal.
    vmsne_vi: "vmsne.vi" "011001 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Ne, i);
    /// Unsigned less.
    vmsltu_vv: "vmsltu.vv" "011010 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Ltu);
    /// Unsigned less.
    vmsltu_vx: "vmsltu.vx" "011010 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Ltu, a);
    /// Signed less.
    vmslt_vv: "vmslt.vv" "011011 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Lt);
    /// Signed less.
    vmslt_vx: "vmslt.vx" "011011 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Lt, a);
    /// Unsigned less or equal.
    vmsleu_vv: "vmsleu.vv" "011100 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Leu);
    /// Unsigned less or equal.
    vmsleu_vx: "vmsleu.vx" "011100 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Leu, a);
    /// Unsigned less or equal.
    vmsleu_vi: "vmsleu.vi" "011100 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Leu, i);
    /// Signed less or equal.
    vmsle_vv: "vmsle.vv" "011101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Compare::Le);
    /// Signed less or equal.
    vmsle_vx: "vmsle.vx" "011101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Le, a);
    /// Signed less or equal.
    vmsle_vi: "vmsle.vi" "011101 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Le, i);
    /// Unsigned greater.
    vmsgtu_vx: "vmsgtu.vx" "011110 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Gtu, a);
    /// Unsigned greater.
    vmsgtu_vi: "vmsgtu.vi" "011110 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Gtu, i);
    /// Signed greater.
    vmsgt_vx: "vmsgt.vx" "011111 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Compare::Gt, a);
    /// Signed greater.
    vmsgt_vi: "vmsgt.vi" "011111 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}{m:vm}"
        => |t, i| by_constant(t, Compare::Gt, i);
    /// Sum with carry.
    vadc_vvm: "vadc.vvm" "010000 0 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}, v0"
        => |t| by_vector(t, Carry::Adc);
    /// Sum with carry.
    vadc_vxm: "vadc.vxm" "010000 0 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}, v0"
        => |t, a| by_x(t, Carry::Adc, a);
    /// Sum with carry.
    vadc_vim: "vadc.vim" "010000 0 bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}, v0"
        => |t, i| by_constant(t, Carry::Adc, i);
    /// Difference with borrow.
    vsbc_vvm: "vsbc.vvm" "010010 0 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}, v0"
        => |t| by_vector(t, Carry::Sbc);
    /// Difference with borrow.
    vsbc_vxm: "vsbc.vxm" "010010 0 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}, v0"
        => |t, a| by_x(t, Carry::Sbc, a);
    /// Carry of a sum with carry.
    vmadc_vvm: "vmadc.vvm" "010001 0 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}, v0"
        => |t| by_vector(t, CarryOut::Adc);
    /// Carry of a sum with carry.
    vmadc_vxm: "vmadc.vxm" "010001 0 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}, v0"
        => |t, a| by_x(t, CarryOut::Adc, a);
    /// Carry of a sum with carry.
    vmadc_vim: "vmadc.vim" "010001 0 bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}, v0"
        => |t, i| by_constant(t, CarryOut::Adc, i);
    /// Carry of a sum.
    vmadc_vv: "vmadc.vv" "010001 1 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, CarryOut::Adc);
    /// Carry of a sum.
    vmadc_vx: "vmadc.vx" "010001 1 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}"
        => |t, a| by_x(t, CarryOut::Adc, a);
    /// Carry of a sum.
    vmadc_vi: "vmadc.vi" "010001 1 bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}"
        => |t, i| by_constant(t, CarryOut::Adc, i);
    /// Borrow of a difference with borrow.
    vmsbc_vvm: "vmsbc.vvm" "010011 0 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}, v0"
        => |t| by_vector(t, CarryOut::Sbc);
    /// Borrow of a difference with borrow.
    vmsbc_vxm: "vmsbc.vxm" "010011 0 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}, v0"
        => |t, a| by_x(t, CarryOut::Sbc, a);
    /// Borrow of a difference.
    vmsbc_vv: "vmsbc.vv" "010011 1 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}"
        => |t| by_vector(t, CarryOut::Sbc);
    /// Borrow of a difference.
    vmsbc_vx: "vmsbc.vx" "010011 1 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}"
        => |t, a| by_x(t, CarryOut::Sbc, a);
    /// The second operand where the mask is set.
    vmerge_vvm: "vmerge.vvm" "010111 0 bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}, v0"
        => |t| by_vector(t, Permute::Merge);
    /// The second operand where the mask is set.
    vmerge_vxm: "vmerge.vxm" "010111 0 bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}, v0"
        => |t, a| by_x(t, Permute::Merge, a);
    /// The second operand where the mask is set.
    vmerge_vim: "vmerge.vim" "010111 0 bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vsimm}, v0"
        => |t, i| by_constant(t, Permute::Merge, i);
    /// Copy.
    vmv_v_v: "vmv.v.v" "010111 1 00000 aaaaa 000 ddddd 1010111" asm "{d:v}, {a:v}" => |t| by_vector(t, Permute::Splat);
    /// Copies of a register.
    vmv_v_x: "vmv.v.x" "010111 1 00000 aaaaa 100 ddddd 1010111" asm "{d:v}, {a:x}" => |t, a| by_x(t, Permute::Splat, a);
    /// Copies of a constant.
    vmv_v_i: "vmv.v.i" "010111 1 00000 iiiii 011 ddddd 1010111" asm "{d:v}, {i:vsimm}"
        => |t, i| by_constant(t, Permute::Splat, i);
}
