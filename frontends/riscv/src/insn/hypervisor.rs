//! H: fences of the guest's translations, and access to its memory.

use super::Rv;
use super::csr_gate::{forbid, refuse};
use super::system::forget;
use crate::helper;
use crate::mmu::{AS_GUEST, AS_GUEST_FETCH};
use crate::privileged::{S, U, hstatus, status};
use crate::state::{HSTATUS, MSTATUS};
use crate::translate::{Tr, X};
use crate::trap::ILLEGAL;
use tern_core::ir::I64;
use tern_core::mem::{MemOp, Size};
use tern_decode::insns;

/// For the hypervisor; `physical`: of guest physical addresses, which TVM holds back.
fn fence(t: &mut Tr<'_>, physical: bool) {
    if t.mode.guest() || t.mode.privilege() == U {
        return refuse(t, t.mode.guest());
    }
    if physical && t.mode.privilege() == S {
        forbid(t, MSTATUS, status::TVM, ILLEGAL);
    }
    if !t.b.ended() {
        // What was cached is not kept by guest, or by guest physical address.
        forget(t, 0);
    }
}

/// May this mode reach a guest's memory?  Else a trap is set.
fn may_reach(t: &mut Tr<'_>) -> bool {
    if t.mode.guest() {
        refuse(t, true);
    } else if t.mode.privilege() == U {
        super::csr_gate::require(t, HSTATUS, hstatus::HU, ILLEGAL);
    }
    !t.b.ended()
}

fn reach(t: &mut Tr<'_>, op: MemOp, store: bool, a: i64, v: X) -> X {
    let op = op.addr32(t.cpu.rv32);
    let addr = t.x(a);
    t.b.helper(helper::GUEST_ACCESS, u64::from(op.pack()) | u64::from(store) << 16, &[addr.raw(), v.raw()], true)
}

fn load(t: &mut Tr<'_>, d: i64, a: i64, size: Size, signed: bool, mode: u8) {
    if may_reach(t) {
        let none = t.b.iconst::<I64>(0);
        let v = reach(t, MemOp { signed, ..MemOp::le(size).mode(mode) }, false, a, none);
        t.put_x(d, v);
    }
}

fn store(t: &mut Tr<'_>, b: i64, a: i64, size: Size) {
    if may_reach(t) {
        let v = t.x(b);
        reach(t, MemOp::le(size).mode(AS_GUEST), true, a, v);
    }
}

insns! {
    /// Common to RV32 and RV64.
    pub static HYPERVISOR: Group<Rv>, "h", width 32;
    /// Forget the guest's first-stage translations.
    hfence_vvma: "hfence.vvma" "0010001 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t| fence(t, false);
    /// Forget second-stage translations.
    hfence_gvma: "hfence.gvma" "0110001 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t| fence(t, true);
    /// Load byte.
    hlv_b: "hlv.b" "0110000 00000 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B1, true, AS_GUEST);
    /// Load byte, unsigned.
    hlv_bu: "hlv.bu" "0110000 00001 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B1, false, AS_GUEST);
    /// Load halfword.
    hlv_h: "hlv.h" "0110010 00000 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B2, true, AS_GUEST);
    /// Load halfword, unsigned.
    hlv_hu: "hlv.hu" "0110010 00001 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B2, false, AS_GUEST);
    /// Load code halfword.
    hlvx_hu: "hlvx.hu" "0110010 00011 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B2, false, AS_GUEST_FETCH);
    /// Load word.
    hlv_w: "hlv.w" "0110100 00000 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B4, true, AS_GUEST);
    /// Load code word.
    hlvx_wu: "hlvx.wu" "0110100 00011 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| { let signed = t.cpu.rv32; load(t, d, a, Size::B4, signed, AS_GUEST_FETCH) };
    /// Store byte.
    hsv_b: "hsv.b" "0110001 bbbbb aaaaa 100 00000 1110011" asm "{b:x}, ({a:x})" => |t, b, a| store(t, b, a, Size::B1);
    /// Store halfword.
    hsv_h: "hsv.h" "0110011 bbbbb aaaaa 100 00000 1110011" asm "{b:x}, ({a:x})" => |t, b, a| store(t, b, a, Size::B2);
    /// Store word.
    hsv_w: "hsv.w" "0110101 bbbbb aaaaa 100 00000 1110011" asm "{b:x}, ({a:x})" => |t, b, a| store(t, b, a, Size::B4);

    hfence_vvma_all: "hfence.vvma" "" = "hfence.vvma zero, zero";
    hfence_gvma_all: "hfence.gvma" "" = "hfence.gvma zero, zero";
}

insns! {
    /// Only on RV64.
    pub static HYPERVISOR64: Group<Rv>, "h", width 32;
    /// Load word, unsigned.
    hlv_wu: "hlv.wu" "0110100 00001 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B4, false, AS_GUEST);
    /// Load doubleword.
    hlv_d: "hlv.d" "0110110 00000 aaaaa 100 ddddd 1110011" asm "{d:x}, ({a:x})"
        => |t, d, a| load(t, d, a, Size::B8, false, AS_GUEST);
    /// Store doubleword.
    hsv_d: "hsv.d" "0110111 bbbbb aaaaa 100 00000 1110011" asm "{b:x}, ({a:x})" => |t, b, a| store(t, b, a, Size::B8);
}

insns! {
    /// With Svinval.
    pub static SVINVAL_H: Group<Rv>, "svinval", width 32;
    /// Forget the guest's first-stage translations.
    hinval_vvma: "hinval.vvma" "0010011 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t| fence(t, false);
    /// Forget second-stage translations.
    hinval_gvma: "hinval.gvma" "0110011 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t| fence(t, true);
}
