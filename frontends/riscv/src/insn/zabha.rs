//! Zabha: atomic operations on bytes and halfwords.

use super::Rv;
use super::a::amo;
use super::zacas::compare_and_swap;
use tern_core::mem::{RmwOp, Size};
use tern_decode::insns;

insns! {
    /// Atomic byte and halfword operations.
    pub static ZABHA: Group<Rv>, "zabha", width 32;
    /// Swap byte.
    amoswap_b: "amoswap.b{q:aqrl}" "00001 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Swap);
    /// Swap halfword.
    amoswap_h: "amoswap.h{q:aqrl}" "00001 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Swap);
    /// Add to byte.
    amoadd_b: "amoadd.b{q:aqrl}" "00000 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Add);
    /// Add to halfword.
    amoadd_h: "amoadd.h{q:aqrl}" "00000 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Add);
    /// Exclusive or to byte.
    amoxor_b: "amoxor.b{q:aqrl}" "00100 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Xor);
    /// Exclusive or to halfword.
    amoxor_h: "amoxor.h{q:aqrl}" "00100 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Xor);
    /// And to byte.
    amoand_b: "amoand.b{q:aqrl}" "01100 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::And);
    /// And to halfword.
    amoand_h: "amoand.h{q:aqrl}" "01100 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::And);
    /// Or to byte.
    amoor_b: "amoor.b{q:aqrl}" "01000 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Or);
    /// Or to halfword.
    amoor_h: "amoor.h{q:aqrl}" "01000 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Or);
    /// Signed minimum to byte.
    amomin_b: "amomin.b{q:aqrl}" "10000 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Min);
    /// Signed minimum to halfword.
    amomin_h: "amomin.h{q:aqrl}" "10000 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Min);
    /// Signed maximum to byte.
    amomax_b: "amomax.b{q:aqrl}" "10100 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Max);
    /// Signed maximum to halfword.
    amomax_h: "amomax.h{q:aqrl}" "10100 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Max);
    /// Unsigned minimum to byte.
    amominu_b: "amominu.b{q:aqrl}" "11000 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Minu);
    /// Unsigned minimum to halfword.
    amominu_h: "amominu.h{q:aqrl}" "11000 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Minu);
    /// Unsigned maximum to byte.
    amomaxu_b: "amomaxu.b{q:aqrl}" "11100 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B1, RmwOp::Maxu);
    /// Unsigned maximum to halfword.
    amomaxu_h: "amomaxu.h{q:aqrl}" "11100 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B2, RmwOp::Maxu);
}

insns! {
    /// With Zacas.
    pub static ZABHA_ZACAS: Group<Rv>, "zabha", width 32;
    /// Compare and swap byte.
    amocas_b: "amocas.b{q:aqrl}" "00101 qq bbbbb aaaaa 000 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| compare_and_swap(t, d, a, b, Size::B1);
    /// Compare and swap halfword.
    amocas_h: "amocas.h{q:aqrl}" "00101 qq bbbbb aaaaa 001 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| compare_and_swap(t, d, a, b, Size::B2);
}
