//! A (Zalrsc and Zaamo): load-reserved, store-conditional, and atomic memory operations.

use super::Rv;
use crate::state::{NO_RESERVATION, RES_ADDR, RES_VAL};
use crate::translate::Tr;
use tern_core::ir::I64;
use tern_core::mem::{RmwOp, Size};
use tern_decode::insns;

/// Loads and notes the reservation.
fn load_reserved(t: &mut Tr<'_>, d: i64, a: i64, size: Size) {
    let op = t.mem(size).signed().aligned();
    let addr = t.x(a);
    let v = t.b.load::<I64>(op, addr, 0);
    t.b.set(RES_ADDR, addr);
    t.b.set(RES_VAL, v);
    t.put_x(d, v);
}

/// Stores if the reservation is for this address and memory still holds what `lr` saw; drops the reservation.
fn store_conditional(t: &mut Tr<'_>, d: i64, a: i64, b: i64, size: Size) {
    let op = t.mem(size).signed().aligned();
    let addr = t.x(a);
    t.check_alignment(addr, size.bytes());
    if t.b.ended() {
        return;
    }
    let failed = t.b.local::<I64>();
    let done = t.b.label();
    let one = t.b.iconst(1);
    t.b.set_local(failed, one);
    let reserved = t.b.get::<I64>(RES_ADDR);
    let differs = t.b.ne(addr, reserved);
    t.b.br_if(differs, done);
    let (seen, new) = (t.b.get::<I64>(RES_VAL), t.x(b));
    let old = t.b.cas(op, addr, seen, new);
    let changed = if size == Size::B4 {
        let (old, seen) = (t.b.trunc(old), t.b.trunc(seen));
        t.b.ne(old, seen)
    } else {
        t.b.ne(old, seen)
    };
    let changed = t.b.bool_int(changed);
    t.b.set_local(failed, changed);
    t.b.bind(done);
    let none = t.b.iconst::<I64>(NO_RESERVATION);
    t.b.set(RES_ADDR, none);
    let failed = t.b.get_local(failed);
    t.put_x(d, failed);
}

/// `d = memory[a]; memory[a] = d op b`, atomically.
pub(super) fn amo(t: &mut Tr<'_>, d: i64, a: i64, b: i64, size: Size, op: RmwOp) {
    let mem = t.mem(size).signed().aligned();
    let (addr, v) = (t.x(a), t.x(b));
    let old = t.b.rmw::<I64>(mem, op, addr, v);
    t.put_x(d, old);
}

insns! {
    /// Load-reserved and store-conditional words.
    pub static ZALRSC: Group<Rv>, "zalrsc", width 32;
    /// Load-reserved word.
    lr_w: "lr.w{q:aqrl}" "00010 qq 00000 aaaaa 010 ddddd 0101111" asm "{d:x}, ({a:x})"
        => |t, d, a| load_reserved(t, d, a, Size::B4);
    /// Store-conditional word.
    sc_w: "sc.w{q:aqrl}" "00011 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| store_conditional(t, d, a, b, Size::B4);
}

insns! {
    /// Load-reserved and store-conditional doublewords.
    pub static ZALRSC64: Group<Rv>, "zalrsc", width 32;
    /// Load-reserved doubleword.
    lr_d: "lr.d{q:aqrl}" "00010 qq 00000 aaaaa 011 ddddd 0101111" asm "{d:x}, ({a:x})"
        => |t, d, a| load_reserved(t, d, a, Size::B8);
    /// Store-conditional doubleword.
    sc_d: "sc.d{q:aqrl}" "00011 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| store_conditional(t, d, a, b, Size::B8);
}

insns! {
    /// Atomic word operations.
    pub static ZAAMO: Group<Rv>, "zaamo", width 32;
    /// Swap word.
    amoswap_w: "amoswap.w{q:aqrl}" "00001 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Swap);
    /// Add to word.
    amoadd_w: "amoadd.w{q:aqrl}" "00000 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Add);
    /// Exclusive or to word.
    amoxor_w: "amoxor.w{q:aqrl}" "00100 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Xor);
    /// And to word.
    amoand_w: "amoand.w{q:aqrl}" "01100 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::And);
    /// Or to word.
    amoor_w: "amoor.w{q:aqrl}" "01000 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Or);
    /// Signed minimum to word.
    amomin_w: "amomin.w{q:aqrl}" "10000 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Min);
    /// Signed maximum to word.
    amomax_w: "amomax.w{q:aqrl}" "10100 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Max);
    /// Unsigned minimum to word.
    amominu_w: "amominu.w{q:aqrl}" "11000 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Minu);
    /// Unsigned maximum to word.
    amomaxu_w: "amomaxu.w{q:aqrl}" "11100 qq bbbbb aaaaa 010 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B4, RmwOp::Maxu);
}

insns! {
    /// Atomic doubleword operations.
    pub static ZAAMO64: Group<Rv>, "zaamo", width 32;
    /// Swap doubleword.
    amoswap_d: "amoswap.d{q:aqrl}" "00001 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Swap);
    /// Add to doubleword.
    amoadd_d: "amoadd.d{q:aqrl}" "00000 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Add);
    /// Exclusive or to doubleword.
    amoxor_d: "amoxor.d{q:aqrl}" "00100 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Xor);
    /// And to doubleword.
    amoand_d: "amoand.d{q:aqrl}" "01100 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::And);
    /// Or to doubleword.
    amoor_d: "amoor.d{q:aqrl}" "01000 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Or);
    /// Signed minimum to doubleword.
    amomin_d: "amomin.d{q:aqrl}" "10000 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Min);
    /// Signed maximum to doubleword.
    amomax_d: "amomax.d{q:aqrl}" "10100 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Max);
    /// Unsigned minimum to doubleword.
    amominu_d: "amominu.d{q:aqrl}" "11000 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Minu);
    /// Unsigned maximum to doubleword.
    amomaxu_d: "amomaxu.d{q:aqrl}" "11100 qq bbbbb aaaaa 011 ddddd 0101111" asm "{d:x}, {b:x}, ({a:x})"
        => |t, d, a, b| amo(t, d, a, b, Size::B8, RmwOp::Maxu);
}
