//! Zicsr: access to control and status registers.

use super::Rv;
use super::csr::{Change, Kind, access};
use crate::translate::Tr;
use tern_decode::insns;

/// By register: `csrrs` and `csrrc` with `x0` do not write.
fn by_register(t: &mut Tr<'_>, d: i64, c: i64, a: i64, kind: Kind) {
    let change = (kind == Kind::Write || a != 0).then(|| Change { kind, operand: t.x(a) });
    access(t, d, c, change);
}

/// By five-bit constant; with 0 `csrrs` and `csrrc` do not write.
fn by_constant(t: &mut Tr<'_>, d: i64, c: i64, i: i64, kind: Kind) {
    let change = (kind == Kind::Write || i != 0).then(|| Change { kind, operand: t.b.sconst(i) });
    access(t, d, c, change);
}

insns! {
    /// CSR instructions.
    pub static ZICSR: Group<Rv>, "zicsr", width 32;
    /// Read and write.
    csrrw "cccccccccccc aaaaa 001 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Kind::Write);
    /// Read and set bits.
    csrrs "cccccccccccc aaaaa 010 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Kind::Set);
    /// Read and clear bits.
    csrrc "cccccccccccc aaaaa 011 ddddd 1110011" asm "{d:x}, {c:csr}, {a:x}"
        => |t, d, c, a| by_register(t, d, c, a, Kind::Clear);
    /// Read and write a constant.
    csrrwi "cccccccccccc iiiii 101 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Kind::Write);
    /// Read and set constant bits.
    csrrsi "cccccccccccc iiiii 110 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Kind::Set);
    /// Read and clear constant bits.
    csrrci "cccccccccccc iiiii 111 ddddd 1110011" asm "{d:x}, {c:csr}, {i:zimm}"
        => |t, d, c, i| by_constant(t, d, c, i, Kind::Clear);

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
