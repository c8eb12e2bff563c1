//! Zicsr: access to control and status registers.

use super::Rv;
use super::csr::Csr;
use crate::translate::{Tr, X};
use tern_decode::insns;

/// What the instruction does with the old value and its operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    Set,
    Clear,
}

/// `operand` is `None` where the manual says that nothing is written (`csrrs`, `csrrc` with `x0` or 0).
fn access(t: &mut Tr<'_>, d: i64, number: i64, access: Access, operand: Option<X>) {
    let Some(csr) = Csr::find(t, number) else { return t.illegal() };
    if operand.is_some() && csr.read_only() {
        return t.illegal();
    }
    // csrrw with rd = x0 does not read.
    let old = (access != Access::Write || d != 0).then(|| (csr.read)(t));
    if let Some(operand) = operand {
        let new = match (access, old) {
            (Access::Set, Some(old)) => t.b.or(old, operand),
            (Access::Clear, Some(old)) => t.b.andn(old, operand),
            _ => operand,
        };
        (csr.write)(t, new);
    }
    if let Some(old) = old {
        t.set_x(d, old);
    }
    t.resync_if_wanted();
}

/// By register: `csrrs` and `csrrc` with `x0` do not write.
fn by_register(t: &mut Tr<'_>, d: i64, c: i64, a: i64, kind: Access) {
    let operand = (kind == Access::Write || a != 0).then(|| t.x(a));
    access(t, d, c, kind, operand);
}

/// By five-bit constant.
fn by_constant(t: &mut Tr<'_>, d: i64, c: i64, i: i64, kind: Access) {
    let operand = (kind == Access::Write || i != 0).then(|| t.b.sconst(i));
    access(t, d, c, kind, operand);
}

insns! {
    /// CSR instructions.
    pub static ZICSR: Group<Rv>, "zicsr", width 32;
    /// Read and write.
    csrrw "cccccccccccc aaaaa 001 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Access::Write);
    /// Read and set bits.
    csrrs "cccccccccccc aaaaa 010 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Access::Set);
    /// Read and clear bits.
    csrrc "cccccccccccc aaaaa 011 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Access::Clear);
    /// Read and write a constant.
    csrrwi "cccccccccccc iiiii 101 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Access::Write);
    /// Read and set constant bits.
    csrrsi "cccccccccccc iiiii 110 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Access::Set);
    /// Read and clear constant bits.
    csrrci "cccccccccccc iiiii 111 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Access::Clear);

    csrr  "{d}, {c}" = "csrrs {d}, {c}, zero";
    csrw  "{c}, {a}" = "csrrw zero, {c}, {a}";
    csrs  "{c}, {a}" = "csrrs zero, {c}, {a}";
    csrc  "{c}, {a}" = "csrrc zero, {c}, {a}";
    csrwi "{c}, {i}" = "csrrwi zero, {c}, {i}";
    csrsi "{c}, {i}" = "csrrsi zero, {c}, {i}";
    csrci "{c}, {i}" = "csrrci zero, {c}, {i}";
    frcsr   "{d}" -> "csrrs {d}, fcsr, zero";
    fscsr   "{d}, {a}" -> "csrrw {d}, fcsr, {a}";
    fscsr_: "fscsr" "{a}" -> "csrrw zero, fcsr, {a}";
    frrm    "{d}" -> "csrrs {d}, frm, zero";
    fsrm    "{d}, {a}" -> "csrrw {d}, frm, {a}";
    fsrm_: "fsrm" "{a}" -> "csrrw zero, frm, {a}";
    fsrmi   "{d}, {i}" -> "csrrwi {d}, frm, {i}";
    fsrmi_: "fsrmi" "{i}" -> "csrrwi zero, frm, {i}";
    frflags "{d}" -> "csrrs {d}, fflags, zero";
    fsflags "{d}, {a}" -> "csrrw {d}, fflags, {a}";
    fsflags_: "fsflags" "{a}" -> "csrrw zero, fflags, {a}";
    fsflagsi "{d}, {i}" -> "csrrwi {d}, fflags, {i}";
    rdcycle   "{d}" -> "csrrs {d}, cycle, zero";
    rdtime    "{d}" -> "csrrs {d}, time, zero";
    rdinstret "{d}" -> "csrrs {d}, instret, zero";
}
