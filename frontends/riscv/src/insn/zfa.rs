//! Zfa: additional floating-point instructions.

use super::Rv;
use super::fp::{self, D, Format, H, S};
use crate::translate::Tr;
use tern_core::ir::fp::{Fmt, FpAttr, Round};
use tern_core::ir::{I32, I64, Op};
use tern_decode::insns;
use tern_softfloat::{self as sf, Env, Rm, Style};

/// Values of `fli` as binary64 (table "Immediate values loaded by the FLI instructions"); number 1, the smallest normal
/// number, depends on the format.
const CONSTANTS: [f64; 32] = [
    -1.0,
    0.0,
    1.0 / 65536.0,
    1.0 / 32768.0,
    1.0 / 256.0,
    1.0 / 128.0,
    0.0625,
    0.125,
    0.25,
    0.3125,
    0.375,
    0.4375,
    0.5,
    0.625,
    0.75,
    0.875,
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.5,
    3.0,
    4.0,
    8.0,
    16.0,
    128.0,
    256.0,
    32768.0,
    65536.0,
    f64::INFINITY,
    f64::NAN,
];

/// The bits of constant `i` in a format.  Conversion is exact but for 65536 in binary16, which is infinity there.
fn constant(fmt: Fmt, i: usize) -> u64 {
    use sf::Format as _;
    let bits = CONSTANTS[i].to_bits();
    let mut env = Env::new(Style::RISCV);
    match (fmt, i) {
        (Fmt::F16, 1) => u64::from(sf::F16::MIN_NORMAL),
        (Fmt::F32, 1) => u64::from(sf::F32::MIN_NORMAL),
        (Fmt::F64, 1) => sf::F64::MIN_NORMAL,
        (Fmt::F16 | Fmt::Bf16, _) => u64::from(sf::convert::<sf::F64, sf::F16>(bits, &mut env)),
        (Fmt::F32, _) => u64::from(sf::convert::<sf::F64, sf::F32>(bits, &mut env)),
        (Fmt::F64, _) => sf::convert::<sf::F64, sf::F64>(bits, &mut env),
    }
}

fn load_constant<F: Format>(t: &mut Tr<'_>, d: i64, i: i64) {
    let v = t.b.iconst(constant(F::FMT, (i & 31) as usize));
    F::write(t, d, v);
}

insns! {
    /// binary32.
    pub static ZFA: Group<Rv>, "zfa", width 32;
    /// Load a constant.
    fli_s: "fli.s" "1111000 00001 iiiii 000 ddddd 1010011" asm "{d:f}, {i:fli}"
        => |t, d, i| load_constant::<S>(t, d, i);
    /// Minimum; NaNs propagate.
    fminm_s: "fminm.s" "0010100 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<S>(t, Op::FMin, 2, d, a, b);
    /// Maximum; NaNs propagate.
    fmaxm_s: "fmaxm.s" "0010100 bbbbb aaaaa 011 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<S>(t, Op::FMax, 2, d, a, b);
    /// Round to an integer.
    fround_s: "fround.s" "0100000 00100 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<S>(t, Op::FRint, 0, d, a, r);
    /// Round to an integer and raise inexact.
    froundnx_s: "froundnx.s" "0100000 00101 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<S>(t, Op::FRint, 1, d, a, r);
    /// Less than or equal, quiet.
    fleq_s: "fleq.s" "1010000 bbbbb aaaaa 100 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<S>(t, Op::FLeQuiet, d, a, b);
    /// Less than, quiet.
    fltq_s: "fltq.s" "1010000 bbbbb aaaaa 101 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<S>(t, Op::FLtQuiet, d, a, b);
}

insns! {
    /// With D: binary64.
    pub static ZFA_D: Group<Rv>, "zfa", width 32;
    /// Load a constant.
    fli_d: "fli.d" "1111001 00001 iiiii 000 ddddd 1010011" asm "{d:f}, {i:fli}"
        => |t, d, i| load_constant::<D>(t, d, i);
    /// Minimum; NaNs propagate.
    fminm_d: "fminm.d" "0010101 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<D>(t, Op::FMin, 2, d, a, b);
    /// Maximum; NaNs propagate.
    fmaxm_d: "fmaxm.d" "0010101 bbbbb aaaaa 011 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<D>(t, Op::FMax, 2, d, a, b);
    /// Round to an integer.
    fround_d: "fround.d" "0100001 00100 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<D>(t, Op::FRint, 0, d, a, r);
    /// Round to an integer and raise inexact.
    froundnx_d: "froundnx.d" "0100001 00101 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<D>(t, Op::FRint, 1, d, a, r);
    /// Less than or equal, quiet.
    fleq_d: "fleq.d" "1010001 bbbbb aaaaa 100 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<D>(t, Op::FLeQuiet, d, a, b);
    /// Less than, quiet.
    fltq_d: "fltq.d" "1010001 bbbbb aaaaa 101 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<D>(t, Op::FLtQuiet, d, a, b);
    /// To signed 32 bits modulo 2^32.
    fcvtmod_w_d: "fcvtmod.w.d" "1100001 01000 aaaaa 001 ddddd 1010011" asm "{d:x}, {a:f}, rtz"
        => |t, d, a| {
            let v = t.f64(a);
            let attr = FpAttr::new(Fmt::F64).round(Round::Static(Rm::Rtz));
            let v = t.b.fp_convert::<I64, I32>(Op::FToModS32, attr, v);
            t.set_w(d, v)
        };
}

insns! {
    /// With D on RV32: halves of binary64.
    pub static ZFA_D32: Group<Rv>, "zfa", width 32;
    /// Move the upper half to an integer register.
    fmvh_x_d: "fmvh.x.d" "1110001 00001 aaaaa 000 ddddd 1010011" asm "{d:x}, {a:f}"
        => |t, d, a| { let v = t.f64(a); let v = t.b.sari(v, 32); t.put_x(d, v) };
    /// Join two integer registers, the lower half first.
    fmvp_d_x: "fmvp.d.x" "1011001 bbbbb aaaaa 000 ddddd 1010011" asm "{d:f}, {a:x}, {b:x}"
        => |t, d, a, b| {
            let (low, high) = (t.w(a), t.x(b));
            let (low, high) = (t.b.zext32(low), t.b.shli(high, 32));
            let v = t.b.or(low, high);
            t.set_f64(d, v)
        };
}

insns! {
    /// With Zfh: binary16.
    pub static ZFA_H: Group<Rv>, "zfa", width 32;
    /// Load a constant.
    fli_h: "fli.h" "1111010 00001 iiiii 000 ddddd 1010011" asm "{d:f}, {i:fli}"
        => |t, d, i| load_constant::<H>(t, d, i);
    /// Minimum; NaNs propagate.
    fminm_h: "fminm.h" "0010110 bbbbb aaaaa 010 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<H>(t, Op::FMin, 2, d, a, b);
    /// Maximum; NaNs propagate.
    fmaxm_h: "fmaxm.h" "0010110 bbbbb aaaaa 011 ddddd 1010011" asm "{d:f}, {a:f}, {b:f}"
        => |t, d, a, b| fp::minmax::<H>(t, Op::FMax, 2, d, a, b);
    /// Round to an integer.
    fround_h: "fround.h" "0100010 00100 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<H>(t, Op::FRint, 0, d, a, r);
    /// Round to an integer and raise inexact.
    froundnx_h: "froundnx.h" "0100010 00101 aaaaa rrr ddddd 1010011" asm "{d:f}, {a:f}{r:rm}"
        => |t, d, a, r| fp::unary::<H>(t, Op::FRint, 1, d, a, r);
    /// Less than or equal, quiet.
    fleq_h: "fleq.h" "1010010 bbbbb aaaaa 100 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<H>(t, Op::FLeQuiet, d, a, b);
    /// Less than, quiet.
    fltq_h: "fltq.h" "1010010 bbbbb aaaaa 101 ddddd 1010011" asm "{d:x}, {a:f}, {b:f}"
        => |t, d, a, b| fp::compare::<H>(t, Op::FLtQuiet, d, a, b);
}
