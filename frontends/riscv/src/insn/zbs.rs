//! Zbs: single-bit operations.

use super::{Rv, xlen2, xlen2i};
use tern_core::ir::Builder;
use tern_decode::insns;

insns! {
    /// By register.
    pub static ZBS: Group<Rv>, "zbs", width 32;
    /// Clear bit.
    bclr "0100100 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, bclr);
    /// Extract bit.
    bext "0100100 bbbbb aaaaa 101 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, bext);
    /// Invert bit.
    binv "0110100 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, binv);
    /// Set bit.
    bset "0010100 bbbbb aaaaa 001 ddddd 0110011" asm "{d:x}, {a:x}, {b:x}" => |t, d, a, b| xlen2!(t, d, a, b, bset);
}

insns! {
    /// By constant on RV32.
    pub static ZBS32: Group<Rv>, "zbs", width 32;
    /// Clear bit.
    bclri "0100100 sssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, bclr);
    /// Extract bit.
    bexti "0100100 sssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, bext);
    /// Invert bit.
    binvi "0110100 sssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, binv);
    /// Set bit.
    bseti "0010100 sssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh5}" => |t, d, a, s| xlen2i!(t, d, a, s, bset);
}

insns! {
    /// By constant on RV64.
    pub static ZBS64: Group<Rv>, "zbs", width 32;
    /// Clear bit.
    bclri "010010 ssssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::bclr);
    /// Extract bit.
    bexti "010010 ssssss aaaaa 101 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::bext);
    /// Invert bit.
    binvi "011010 ssssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::binv);
    /// Set bit.
    bseti "001010 ssssss aaaaa 001 ddddd 0010011" asm "{d:x}, {a:x}, {s:sh6}"
        => |t, d, a, s| t.op2i(d, a, s, Builder::bset);
}
