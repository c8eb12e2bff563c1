//! Privileged instructions: returns, `wfi`, and the fences of address translation (Svinval too).

use super::Rv;
use super::csr_gate::{forbid, refuse};
use crate::helper;
use crate::privileged::{M, S, U, hstatus, status};
use crate::state::{HSTATUS, MSTATUS};
use crate::translate::Tr;
use crate::trap::{self, ILLEGAL, VIRTUAL_INSN};
use tern_core::ir::{Exit, I64};
use tern_decode::insns;

fn mret(t: &mut Tr<'_>) {
    if t.mode.privilege() == M { t.trap(trap::MRET, 0) } else { refuse(t, false) }
}

fn sret(t: &mut Tr<'_>) {
    match (t.mode.privilege(), t.mode.guest()) {
        (U, guest) => return refuse(t, guest),
        (S, true) => forbid(t, HSTATUS, hstatus::VTSR, VIRTUAL_INSN),
        (S, false) => forbid(t, MSTATUS, status::TSR, ILLEGAL),
        _ => {}
    }
    t.trap(trap::SRET, 0);
}

/// Waiting below M can be forbidden; U does not wait at all where there is S.
fn wfi(t: &mut Tr<'_>) {
    let (privilege, guest) = (t.mode.privilege(), t.mode.guest());
    if privilege != M {
        if privilege == U && !guest {
            return refuse(t, false);
        }
        forbid(t, MSTATUS, status::TW, ILLEGAL);
        if guest && privilege == U {
            return refuse(t, true);
        }
        if guest {
            forbid(t, HSTATUS, hstatus::VTW, VIRTUAL_INSN);
        }
    }
    let next = t.next;
    t.b.exit(Exit::Halt(next));
}

/// May this mode order its own translations?  Else a trap is set.
fn may_fence(t: &mut Tr<'_>) -> bool {
    match (t.mode.privilege(), t.mode.guest()) {
        (U, guest) => refuse(t, guest),
        (S, true) => forbid(t, HSTATUS, hstatus::VTVM, VIRTUAL_INSN),
        (S, false) => forbid(t, MSTATUS, status::TVM, ILLEGAL),
        _ => {}
    }
    !t.b.ended()
}

/// Forgets the page of register `a`, or everything with `x0`.
pub(super) fn forget(t: &mut Tr<'_>, a: i64) {
    let addr = t.x(a);
    let addr = if t.cpu.rv32 { t.b.zext_low(addr) } else { addr };
    t.b.helper::<I64>(helper::FORGET, u64::from(a != 0), &[addr.raw()], true);
    t.resync();
}

fn fence(t: &mut Tr<'_>, a: i64) {
    if may_fence(t) {
        forget(t, a);
    }
}

/// The two halves of an invalidation need no order of their own here: each `sinval.vma` takes effect at once.
fn order(t: &mut Tr<'_>) {
    if t.mode.privilege() == U {
        refuse(t, t.mode.guest());
    }
}

insns! {
    /// Privileged instructions.
    pub static SYSTEM: Group<Rv>, "system", width 32;
    /// Return from a machine trap.
    mret "0011000 00010 00000 000 00000 1110011" asm "" => |t| mret(t);
    /// Return from a supervisor trap.
    sret "0001000 00010 00000 000 00000 1110011" asm "" => |t| sret(t);
    /// Wait for interrupt.
    wfi "0001000 00101 00000 000 00000 1110011" asm "" => |t| wfi(t);
    /// Order page table stores before translations.
    sfence_vma: "sfence.vma" "0001001 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t, a| fence(t, a);

    sfence_all: "sfence.vma" "" = "sfence.vma zero, zero";
    sfence_page: "sfence.vma" "{a}" = "sfence.vma {a}, zero";
}

insns! {
    /// Fences in parts.
    pub static SVINVAL: Group<Rv>, "svinval", width 32;
    /// Forget translations.
    sinval_vma: "sinval.vma" "0001011 bbbbb aaaaa 000 00000 1110011" asm "{a:x}, {b:x}" => |t, a| fence(t, a);
    /// Page table stores come before.
    sfence_w_inval: "sfence.w.inval" "0001100 00000 00000 000 00000 1110011" asm "" => |t| order(t);
    /// Translations come after.
    sfence_inval_ir: "sfence.inval.ir" "0001100 00001 00000 000 00000 1110011" asm "" => |t| order(t);
}
