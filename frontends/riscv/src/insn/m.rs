//! M and Zmmul: multiplication and division.

use super::{Rv, xlen2};
use tern_core::ir::Builder;
use tern_decode::insns;

insns! {
    /// Multiplication.
    pub static ZMMUL: Group<Rv>, "zmmul", width 32;
    /// Low half of the product.
    mul "0000001 bbbbb aaaaa 000 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, mul);
    /// High half of the signed product.
    mulh "0000001 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, mulhs);
    /// High half of signed times unsigned.
    mulhsu "0000001 bbbbb aaaaa 010 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, mulhsu);
    /// High half of the unsigned product.
    mulhu "0000001 bbbbb aaaaa 011 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, mulhu);
}

insns! {
    /// Division.
    pub static M: Group<Rv>, "m", width 32;
    /// Signed quotient.
    div "0000001 bbbbb aaaaa 100 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, divs);
    /// Unsigned quotient.
    divu "0000001 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, divu);
    /// Signed remainder.
    rem "0000001 bbbbb aaaaa 110 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, rems);
    /// Unsigned remainder.
    remu "0000001 bbbbb aaaaa 111 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, remu);
}

insns! {
    /// Multiplication, 32 bits on RV64.
    pub static ZMMUL64: Group<Rv>, "zmmul", width 32;
    /// Low half of the product, 32 bits.
    mulw "0000001 bbbbb aaaaa 000 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| t.op2w(d, a, b, Builder::mul);
}

insns! {
    /// Division, 32 bits on RV64.
    pub static M64: Group<Rv>, "m", width 32;
    /// Signed quotient, 32 bits.
    divw "0000001 bbbbb aaaaa 100 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::divs);
    /// Unsigned quotient, 32 bits.
    divuw "0000001 bbbbb aaaaa 101 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::divu);
    /// Signed remainder, 32 bits.
    remw "0000001 bbbbb aaaaa 110 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::rems);
    /// Unsigned remainder, 32 bits.
    remuw "0000001 bbbbb aaaaa 111 ddddd 0111011" asm "{d:x}, {a:x}, {b:x}"
        => |t, d, a, b| t.op2w(d, a, b, Builder::remu);
}
