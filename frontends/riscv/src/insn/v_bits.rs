//! Vector bit manipulation and carry-less multiplication: Zvkb, Zvbb and Zvbc (vector cryptography manual, chapters
//! "Zvbb", "Zvbc" and "Zvkb").

use super::Rv;
use super::vector::{by_constant, by_vector, by_x};
use crate::vector::int::{Binary, CarryLess, One, Widen};
use tern_decode::insns;

insns! {
    /// What Zvbb and Zvkb share.
    pub static ZVKB: Group<Rv>, "zvbb|zvkb", width 32;
    /// `b & !a`.
    vandn_vv: "vandn.vv" "000001 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Andn);
    /// `b & !a`.
    vandn_vx: "vandn.vx" "000001 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Andn, a);
    /// Bits of each byte reversed.
    vbrev8_v: "vbrev8.v" "010010 m bbbbb 01000 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Brev8);
    /// Bytes reversed.
    vrev8_v: "vrev8.v" "010010 m bbbbb 01001 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Rev8);
    /// Rotated left.
    vrol_vv: "vrol.vv" "010101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Rol);
    /// Rotated left.
    vrol_vx: "vrol.vx" "010101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Rol, a);
    /// Rotated right.
    vror_vv: "vror.vv" "010100 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Binary::Ror);
    /// Rotated right.
    vror_vx: "vror.vx" "010100 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Binary::Ror, a);
    /// Rotated right.
    vror_vi: "vror.vi" "01010 i m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm6}{m:vm}"
        => |t, i| by_constant(t, Binary::Ror, i);
}

insns! {
    /// What Zvbb has beyond Zvkb.
    pub static ZVBB: Group<Rv>, "zvbb", width 32;
    /// Bits reversed.
    vbrev_v: "vbrev.v" "010010 m bbbbb 01010 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Brev);
    /// Leading zeros.
    vclz_v: "vclz.v" "010010 m bbbbb 01100 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Clz);
    /// Trailing zeros.
    vctz_v: "vctz.v" "010010 m bbbbb 01101 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Ctz);
    /// Bits set.
    vcpop_v: "vcpop.v" "010010 m bbbbb 01110 010 ddddd 1010111" asm "{d:v}, {b:v}{m:vm}"
        => |t| by_vector(t, One::Cpop);
    /// Shift left, twice as wide.
    vwsll_vv: "vwsll.vv" "110101 m bbbbb aaaaa 000 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, Widen::Sll);
    /// Shift left, twice as wide.
    vwsll_vx: "vwsll.vx" "110101 m bbbbb aaaaa 100 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, Widen::Sll, a);
    /// Shift left, twice as wide.
    vwsll_vi: "vwsll.vi" "110101 m bbbbb iiiii 011 ddddd 1010111" asm "{d:v}, {b:v}, {i:vuimm}{m:vm}"
        => |t, i| by_constant(t, Widen::Sll, i);
}

insns! {
    /// Carry-less multiplication of 64-bit elements.
    pub static ZVBC: Group<Rv>, "zvbc", width 32;
    /// Low half of the carry-less product.
    vclmul_vv: "vclmul.vv" "001100 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, CarryLess::Low);
    /// Low half of the carry-less product.
    vclmul_vx: "vclmul.vx" "001100 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, CarryLess::Low, a);
    /// High half of the carry-less product.
    vclmulh_vv: "vclmulh.vv" "001101 m bbbbb aaaaa 010 ddddd 1010111" asm "{d:v}, {b:v}, {a:v}{m:vm}"
        => |t| by_vector(t, CarryLess::High);
    /// High half of the carry-less product.
    vclmulh_vx: "vclmulh.vx" "001101 m bbbbb aaaaa 110 ddddd 1010111" asm "{d:v}, {b:v}, {a:x}{m:vm}"
        => |t, a| by_x(t, CarryLess::High, a);
}
