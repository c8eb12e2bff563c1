//! The instruction tables, one file per chapter of the manual, and the operand kinds that their rows use.

pub mod a;
pub mod c;
pub mod cbo;
pub mod csr;
mod csr_gate;
pub mod d;
pub mod f;
mod fp;
pub mod hints;
pub mod hypervisor;
pub mod m;
pub mod rv_i;
pub mod system;
pub mod v_bits;
pub mod v_config;
pub mod v_crypto;
pub mod v_fixed;
pub mod v_fp;
pub mod v_int;
pub mod v_mask;
pub mod v_mem;
pub mod v_perm;
pub mod v_reduce;
mod vector;
pub mod ventana;
pub mod zabha;
pub mod zacas;
pub mod zba;
pub mod zbb;
pub mod zbc;
pub mod zbk;
pub mod zbs;
pub mod zcb;
pub mod zfa;
pub mod zfh;
pub mod zicond;
pub mod zicsr;
pub mod zk;

use crate::translate::Tr;
use tern_decode::{Family, kinds};

/// Ties the RISC-V tables together.
#[derive(Debug)]
pub struct Rv;

impl Family for Rv {
    type Tr<'a> = Tr<'a>;
    type Ret = ();
    const KINDS: &'static [tern_decode::Kind] = KINDS;
}

const X: &str = "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6";
const F: &str = "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 \
    fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11";

kinds! {
    /// How operands are encoded, printed and read.
    pub KINDS;
    x      = reg(5) names(X) alias "x0..x31 fp=8";
    xeven  = reg(5) names "zero - sp - tp - t1 - s0 - a0 - a2 - a4 - a6 - s2 - s4 - s6 - s8 - s10 - t3 - t5 -";
    xc     = reg(3) names(X) alias "x0..x31 fp=8" plus 8;
    f      = reg(5) names(F) alias "f0..f31";
    fc     = reg(3) names(F) alias "f0..f31" plus 8;
    simm   = signed(12);
    store  = signed bits "11:5|4:0";
    bimm   = signed bits "12|10:5|4:1|11" pcrel;
    jimm   = signed bits "20|10:1|11|19:12" pcrel;
    uimm20 = unsigned(20) hex;
    sh5    = unsigned(5) hex;
    sh6    = unsigned(6) hex;
    zimm   = unsigned(5);
    csr    = unsigned(12) names(csr::NAMES) hex;
    fence  = named(4) names "unknown w r rw o ow or orw i iw ir irw io iow ior iorw";
    aqrl   = named(2) names "|.rl|.aq|.aqrl";
    rm     = named(3) names ", rne|, rtz|, rdn|, rup|, rmm|-|-|";
    rmx    = named(3) names "|, rtz|, rdn|, rup|, rmm|-|-|, dyn";

    fli    = named(5) names "-1.0 min 1.52587890625e-05 3.0517578125e-05 0.00390625 0.0078125 0.0625 0.125 0.25 0.3125 \
        0.375 0.4375 0.5 0.625 0.75 0.875 1.0 1.25 1.5 1.75 2.0 2.5 3.0 4.0 8.0 16.0 128.0 256.0 32768.0 65536.0 inf nan";
    pfimm  = signed bits "11:5";
    rnum   = named(4) names "0 1 2 3 4 5 6 7 8 9 10";
    odd    = unsigned(3) map(odd_value, odd_field);

    v      = reg(5) names "v0..v31";
    vm     = named(1) names ", v0.t|";
    vsimm  = signed(5);
    vuimm  = unsigned(5);
    vuimm6 = unsigned(6);
    vsew   = named(3) names "e8 e16 e32 e64 - - - -";
    vlmul  = named(3) names "m1 m2 m4 m8 - mf8 mf4 mf2";
    vta    = named(1) names "tu ta";
    vma    = named(1) names "mu ma";
    vtypei = unsigned(11) hex;
    vtypei10 = unsigned(10) hex;
    seg    = named(3) names "|seg2|seg3|seg4|seg5|seg6|seg7|seg8";
    nreg   = named(3) names "1 2 - 4 - - - 8";

    ci     = signed bits "5|4:0";
    csh6   = unsigned(6) hex;
    clui   = unsigned(6) hex map(clui_value, clui_field);
    ci16sp = signed bits "9|4|6|8:7|5";
    ci4spn = unsigned bits "5:4|9:6|2|3";
    clwsp  = unsigned bits "5|4:2|7:6";
    cldsp  = unsigned bits "5|4:3|8:6";
    cswsp  = unsigned bits "5:2|7:6";
    csdsp  = unsigned bits "5:3|8:6";
    clw    = unsigned bits "5:3|2|6";
    cld    = unsigned bits "5:3|7:6";
    clb    = unsigned bits "0|1";
    clh    = unsigned bits "1";
    cj     = signed bits "11|4|9:8|10|6|7|3:1|5" pcrel;
    cb     = signed bits "8|4:3|7:6|2:1|5" pcrel;
}

/// `c.lui` shows its immediate as `lui` would: 20 bits, sign-extended from 6.
fn clui_value(raw: u64) -> i64 {
    ((raw << 58).cast_signed() >> 58) & 0xf_ffff
}

fn clui_field(value: i64) -> Option<u64> {
    let raw = value.cast_unsigned() & 0x3f;
    (clui_value(raw) == value).then_some(raw)
}

/// `c.mop` has odd numbers.
fn odd_value(raw: u64) -> i64 {
    (raw << 1 | 1).cast_signed()
}

fn odd_field(value: i64) -> Option<u64> {
    (value & 1 == 1).then_some(value.cast_unsigned() >> 1)
}

/// `d = a op b` in XLEN bits: the 32-bit operation, sign-extended, on RV32.
macro_rules! xlen2 {
    ($t:ident, $d:ident, $a:ident, $b:ident, $op:ident) => {
        if $t.cpu.rv32 {
            $t.op2w($d, $a, $b, tern_core::ir::Builder::$op)
        } else {
            $t.op2($d, $a, $b, tern_core::ir::Builder::$op)
        }
    };
}
pub(crate) use xlen2;

/// `d = a op constant` in XLEN bits.
macro_rules! xlen2i {
    ($t:ident, $d:expr, $a:expr, $i:expr, $op:ident) => {
        if $t.cpu.rv32 {
            $t.op2iw($d, $a, $i, tern_core::ir::Builder::$op)
        } else {
            $t.op2i($d, $a, $i, tern_core::ir::Builder::$op)
        }
    };
}
pub(crate) use xlen2i;

/// `d = op a` in XLEN bits.
macro_rules! xlen1 {
    ($t:ident, $d:ident, $a:ident, $op:ident) => {
        if $t.cpu.rv32 {
            $t.op1w($d, $a, tern_core::ir::Builder::$op)
        } else {
            $t.op1($d, $a, tern_core::ir::Builder::$op)
        }
    };
}
pub(crate) use xlen1;
