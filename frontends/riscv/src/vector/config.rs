//! `vsetvli`, `vsetivli`, `vsetvl` (chapter 6).

use super::{R, V, Whole, family, whole};
use crate::state::{VL, VTYPE};

family! {
    /// Configuration: [`V::scalar`] is the wanted length, [`V::scalar2`] the new `vtype`; the result is the new length.
    Config int V_CONFIG (Whole) by whole;
    /// The wanted length is given.
    Set = |v| configure(v, v.scalar);
    /// The longest.
    Longest = |v| configure(v, u64::MAX);
    /// As it is.
    Keep = |v| configure(v, v.vl);
}

fn configure(v: &mut V<'_, '_>, wanted: u64) -> R<u64> {
    let narrow = |value: u64| if v.unit.rv32 { value & 0xffff_ffff } else { value };
    let (wanted, vtype) = (narrow(wanted), narrow(v.scalar2));
    let sew = 8u32 << (vtype >> 3 & 7);
    let lmul = super::sext(vtype & 7, 3) as i32;
    let widest = u32::from(v.unit.elen) >> (-lmul).max(0);
    let (vl, vtype) = if vtype >> 8 != 0 || lmul == -4 || sew > widest {
        // vill, all other bits clear.
        (0, if v.unit.rv32 { i32::MIN as u64 } else { 1 << 63 })
    } else {
        (v.sew, v.lmul) = (sew, lmul);
        (wanted.min(v.vlmax()), vtype)
    };
    v.cx.state.set(VL, vl);
    v.cx.state.set(VTYPE, vtype);
    v.complete(vl)
}
