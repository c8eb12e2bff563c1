//! Conversions between floating-point numbers and integers, and between formats (sections 13.17 to 13.19).

use super::fp::{Floats, check_float, format_of};
use super::{R, Unit, V, family, sext};
use Number::{F, S, U};
use tern_core::ir::Op;
use tern_core::ir::fp::FpAttr;
use tern_core::ir::fpfast::eval_fp_host;
use tern_softfloat::{Env, F16, F32, F64, IntFormat, IntStyle, Rm, to_int};

/// What an element is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// A floating-point number.
    F,
    /// A signed integer.
    S,
    /// An unsigned integer.
    U,
}

/// From, to, log2 of the source's and of the destination's width over that of `vtype`, a rounding mode of its own.
type Conversion = (Number, Number, i32, i32, Option<Rm>);

family! {
    /// All conversions.
    Convert float V_FLOAT_CONVERT (Conversion) by convert;
    XuF = (F, U, 0, 0, None);
    XF = (F, S, 0, 0, None);
    FXu = (U, F, 0, 0, None);
    FX = (S, F, 0, 0, None);
    RtzXuF = (F, U, 0, 0, Some(Rm::Rtz));
    RtzXF = (F, S, 0, 0, Some(Rm::Rtz));
    WidenXuF = (F, U, 0, 1, None);
    WidenXF = (F, S, 0, 1, None);
    WidenFXu = (U, F, 0, 1, None);
    WidenFX = (S, F, 0, 1, None);
    WidenFF = (F, F, 0, 1, None);
    WidenRtzXuF = (F, U, 0, 1, Some(Rm::Rtz));
    WidenRtzXF = (F, S, 0, 1, Some(Rm::Rtz));
    NarrowXuF = (F, U, 1, 0, None);
    NarrowXF = (F, S, 1, 0, None);
    NarrowFXu = (U, F, 1, 0, None);
    NarrowFX = (S, F, 1, 0, None);
    NarrowFF = (F, F, 1, 0, None);
    NarrowRodFF = (F, F, 1, 0, Some(Rm::Odd));
    NarrowRtzXuF = (F, U, 1, 0, Some(Rm::Rtz));
    NarrowRtzXF = (F, S, 1, 0, Some(Rm::Rtz));
}

fn convert(v: &mut V<'_, '_>, (from, to, scale_a, scale_d, rm): Conversion) -> R<u64> {
    v.configured()?;
    let (bits_a, bits_d) = (v.sew << scale_a, v.sew << scale_d);
    let half = from == F && to == F && bits_a.min(bits_d) == 16 && rm.is_none();
    for (number, bits) in [(from, bits_a), (to, bits_d)] {
        // Zvfhmin has the two conversions between binary16 and binary32, nothing else.
        if number == F && !(half && v.unit.fp & Unit::F16_CONVERT != 0) {
            check_float(v, bits)?;
        }
    }
    let (d, a) = (v.group(v.vd(), scale_d)?, v.group(v.vs2(), scale_a)?);
    v.spares_mask(d)?;
    v.overlap(d, a)?;
    let mut f = Floats::of(v, if from == F { bits_a } else { bits_d });
    f.env.rm = rm.unwrap_or(f.env.rm);
    let end = v.each(|v, i| {
        let raw = v.get(a.reg, i, a.eew);
        let value = match (from, to) {
            (F, F) => {
                let attr = FpAttr::new(f.fmt).kind(format_of(d.eew) as u8);
                eval_fp_host(Op::FCvt, attr, [raw, 0, 0], &mut f.env)
            }
            (F, _) => integer(raw, a.eew, d.eew, to == S, &mut f.env),
            (S, _) => f.op(Op::FFromS64, sext(raw, a.eew) as u64, 0, 0),
            (U, _) => f.op(Op::FFromU64, raw, 0, 0),
        };
        v.set(d.reg, i, d.eew, value);
    });
    f.note(v);
    end
}

/// The number of width `from` as an integer of width `bits`.
fn integer(raw: u64, from: u32, bits: u32, signed: bool, env: &mut Env) -> u64 {
    let (rm, to, style) = (env.rm, IntFormat { bits, signed, fraction: 0 }, IntStyle::RiscV);
    match from {
        16 => to_int::<F16>(raw as u16, rm, to, style, env),
        32 => to_int::<F32>(raw as u32, rm, to, style, env),
        _ => to_int::<F64>(raw, rm, to, style, env),
    }
}
