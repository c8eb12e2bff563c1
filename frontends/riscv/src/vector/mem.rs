//! Loads and stores (chapter 7).

use super::{Group, R, V, Whole, family, whole};
use crate::state::{VL, VSTART};
use tern_core::frontend::HelperExit;
use tern_core::ir::eval::{load, store};
use tern_core::mem::{MemFault, MemOp, Size};

family! {
    /// [`V::scalar`] is the base address, [`V::scalar2`] the stride.
    Memory int V_MEMORY (Whole) by whole;
    Unit = |v| { let step = step(v); segments(v, move |_, i| i.wrapping_mul(step), false) };
    FirstFault = |v| { let step = step(v); segments(v, move |_, i| i.wrapping_mul(step), true) };
    Strided = |v| segments(v, |v, i| i.wrapping_mul(v.scalar2), false);
    Indexed = indexed;
    WholeRegisters = whole_registers;
    Mask = mask;
}

/// log2 of the width in bits that the width field names; decoding admits these four alone.
fn width(v: &V<'_, '_>) -> u32 {
    match v.funct3() {
        0 => 3,
        5 => 4,
        6 => 5,
        _ => 6,
    }
}

/// Bytes from one segment to the next.
fn step(v: &V<'_, '_>) -> u64 {
    u64::from(v.nf() + 1) << (width(v) - 3)
}

/// An access to consecutive fields.
struct Fields {
    first: Group,
    count: u32,
    op: MemOp,
}

impl Fields {
    /// The fields in groups like `first`, checked.
    fn new(v: &V<'_, '_>, first: Group) -> R<Fields> {
        let count = v.nf() + 1;
        let registers = count * first.registers();
        v.require(registers <= 8 && first.reg + registers <= 32)?;
        if !v.is_store() {
            v.spares_mask(first)?;
        }
        Ok(Fields { first, count, op: op_of(v, first.eew) })
    }

    /// Segment `i` at `addr`.
    fn transfer(&self, v: &mut V<'_, '_>, i: u64, addr: u64) -> Result<(), MemFault> {
        let bytes = u64::from(self.first.eew / 8);
        for field in 0..self.count {
            let reg = self.first.reg + field * self.first.registers();
            element(v, self.op, addr.wrapping_add(u64::from(field) * bytes), (reg, i, self.first.eew))?;
        }
        Ok(())
    }
}

fn op_of(v: &V<'_, '_>, eew: u32) -> MemOp {
    MemOp::le(Size::from_log2((eew / 8).trailing_zeros() as u8)).addr32(v.unit.rv32)
}

/// One element: register, index, width.
fn element(v: &mut V<'_, '_>, op: MemOp, addr: u64, (reg, i, eew): (u32, u64, u32)) -> Result<(), MemFault> {
    let addr = op.effective(addr);
    if v.is_store() {
        let value = v.get(reg, i, eew);
        store(&mut v.cx.memory(), op, addr, value)
    } else {
        let value = load(&mut v.cx.memory(), op, addr)?;
        v.set(reg, i, eew, value);
        Ok(())
    }
}

/// The instruction faults at element `i`, where it can be resumed.
fn fault_at(v: &mut V<'_, '_>, i: u64, fault: MemFault) -> HelperExit {
    v.cx.state.set(VSTART, i);
    HelperExit::Fault(fault)
}

/// Unit-stride and strided segments; `offset` of segment `i` from the base.
fn segments(v: &mut V<'_, '_>, offset: impl Fn(&V<'_, '_>, u64) -> u64, first_only: bool) -> R<u64> {
    v.configured()?;
    let scale = width(v) as i32 - v.sew.trailing_zeros() as i32;
    let fields = Fields::new(v, v.group(v.vd(), scale)?)?;
    for i in v.vstart..v.vl {
        if !v.active(i) {
            continue;
        }
        let addr = v.scalar.wrapping_add(offset(v, i));
        match fields.transfer(v, i, addr) {
            Ok(()) => {}
            // Section 7.7: only element 0 may fault; later ones shorten the vector.
            Err(_) if first_only && i > 0 => {
                v.cx.state.set(VL, i);
                break;
            }
            Err(fault) => return Err(fault_at(v, i, fault)),
        }
    }
    v.complete(0)
}

fn indexed(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    let scale = width(v) as i32 - v.sew.trailing_zeros() as i32;
    let (data, by) = (v.group(v.vd(), 0)?, v.group(v.vs2(), scale)?);
    let fields = Fields::new(v, data)?;
    if !v.is_store() {
        v.overlap(data, by)?;
        if fields.count > 1 {
            let others = (0..fields.count).map(|n| Group { reg: data.reg + n * data.registers(), ..data });
            others.into_iter().try_for_each(|d| v.apart(d, by))?;
        }
    }
    for i in v.vstart..v.vl {
        if v.active(i) {
            let addr = v.scalar.wrapping_add(v.get(by.reg, i, by.eew));
            fields.transfer(v, i, addr).map_err(|fault| fault_at(v, i, fault))?;
        }
    }
    v.complete(0)
}

/// A run of bytes or wider elements whatever `vtype` says.
fn run(v: &mut V<'_, '_>, eew: u32, count: u64) -> R<u64> {
    let (op, reg, bytes) = (op_of(v, eew), v.vd(), u64::from(eew / 8));
    for i in v.vstart..count {
        let addr = v.scalar.wrapping_add(i * bytes);
        element(v, op, addr, (reg, i, eew)).map_err(|fault| fault_at(v, i, fault))?;
    }
    v.complete(0)
}

/// Section 7.9.
fn whole_registers(v: &mut V<'_, '_>) -> R<u64> {
    let (eew, registers) = (1 << width(v), v.nf() + 1);
    v.require(v.vd().is_multiple_of(registers) && eew <= u32::from(v.unit.elen))?;
    run(v, eew, u64::from(registers) * u64::from(v.unit.vlen / eew))
}

/// `vlm.v`, `vsm.v`: the bytes of a mask.
fn mask(v: &mut V<'_, '_>) -> R<u64> {
    v.configured()?;
    run(v, 8, v.vl.div_ceil(8))
}
