//! Zicbom, Zicboz, Zicbop: cache-block management, zeroing and prefetch.
//!
//! Caches do not show in tern, so management only checks access.  Programs may use all of it; on machines `menvcfg` and its
//! like decide.

use super::Rv;
use crate::helper;
use crate::privileged::{M, U, envcfg};
use crate::state::{HENVCFG, MENVCFG, SENVCFG};
use crate::translate::Tr;
use crate::trap::{ILLEGAL, VIRTUAL_INSN};
use tern_core::ir::I64;
use tern_core::mem::Size;
use tern_decode::insns;

/// Traps unless the environments of the modes above allow it: all of `bits` in `menvcfg`, and in `henvcfg` and
/// `senvcfg` where they apply.  `any`: some of them are enough.
fn allowed(t: &mut Tr<'_>, bits: u64, any: bool) {
    let (privilege, guest) = (t.mode.privilege(), t.mode.guest());
    if !t.cpu.privileged.machine() || privilege == M {
        return;
    }
    let lacks = if guest { VIRTUAL_INSN } else { ILLEGAL };
    let mut check = |slot, cause| {
        if any {
            super::csr_gate::require_any(t, slot, bits, cause)
        } else {
            super::csr_gate::require(t, slot, bits, cause)
        }
    };
    check(MENVCFG, ILLEGAL);
    if guest {
        check(HENVCFG, VIRTUAL_INSN);
    }
    if privilege == U {
        check(SENVCFG, lacks);
    }
}

fn manage(t: &mut Tr<'_>, a: i64, bits: u64) {
    allowed(t, bits, bits == envcfg::CBIE);
    if t.b.ended() {
        return;
    }
    let addr = t.x(a);
    let addr = if t.cpu.rv32 { t.b.zext_low(addr) } else { addr };
    t.b.helper::<I64>(helper::CBO_CHECK, 0, &[addr.raw()], false);
}

/// Zeroes the block with doubleword stores; it lies in one page, so only the first can fault.
fn zero(t: &mut Tr<'_>, a: i64) {
    allowed(t, envcfg::CBZE, false);
    if t.b.ended() {
        return;
    }
    let bytes = t.cpu.cboz_bytes;
    let op = t.mem(Size::B8);
    let addr = t.x(a);
    let block = t.b.andi(addr, !(u64::from(bytes) - 1));
    let zero = t.b.iconst::<I64>(0);
    for offset in (0..i32::from(bytes)).step_by(8) {
        t.b.store(op, block, offset, zero);
    }
}

insns! {
    /// Cache-block management.
    pub static ZICBOM: Group<Rv>, "zicbom", width 32;
    /// Invalidate.
    cbo_inval: "cbo.inval" "000000000000 aaaaa 010 00000 0001111" asm "({a:x})"
        => |t, a| manage(t, a, envcfg::CBIE);
    /// Write back.
    cbo_clean: "cbo.clean" "000000000001 aaaaa 010 00000 0001111" asm "({a:x})"
        => |t, a| manage(t, a, envcfg::CBCFE);
    /// Write back and invalidate.
    cbo_flush: "cbo.flush" "000000000010 aaaaa 010 00000 0001111" asm "({a:x})"
        => |t, a| manage(t, a, envcfg::CBCFE);
}

insns! {
    /// Cache-block zero.
    pub static ZICBOZ: Group<Rv>, "zicboz", width 32;
    /// Zero a block.
    cbo_zero: "cbo.zero" "000000000100 aaaaa 010 00000 0001111" asm "({a:x})" => |t, a| zero(t, a);
}

insns! {
    /// Prefetches: hints in the space of `ori` to `x0`.
    pub static ZICBOP: Group<Rv>, "zicbop", width 32;
    /// For execution.
    prefetch_i: "prefetch.i" "iiiiiii 00000 aaaaa 110 00000 0010011" asm "{i:pfimm}({a:x})" => |_t| {};
    /// For reading.
    prefetch_r: "prefetch.r" "iiiiiii 00001 aaaaa 110 00000 0010011" asm "{i:pfimm}({a:x})" => |_t| {};
    /// For writing.
    prefetch_w: "prefetch.w" "iiiiiii 00011 aaaaa 110 00000 0010011" asm "{i:pfimm}({a:x})" => |_t| {};
}
