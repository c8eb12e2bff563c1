//! Guest idioms: shifts that only serve an addition, a rotation or a bit field become one operation.
//!
//! Only a value that nobody else wants is folded, so nothing is computed twice; what it was is left as a constant, which
//! costs nothing.

use crate::ir::{Block, Inst, Op, Ref, Ty};

/// Rewrites the idioms of a block.  `uses` counts the uses of each value.
pub(super) fn run(block: &mut Block<'_>, uses: &[u8]) {
    for at in 0..block.insts.len() {
        let inst = block.insts[at];
        match inst.op {
            Op::Add => shifted_add(block, uses, at, &inst),
            Op::Or | Op::Xor if inst.ty == Ty::I32 || inst.ty == Ty::I64 => rotate(block, uses, at, &inst),
            Op::Shr | Op::Sar => field(block, uses, at, &inst),
            _ => {}
        }
    }
}

/// The instruction of a value that has this one use.
fn only(block: &Block<'_>, uses: &[u8], r: Ref) -> Option<Inst> {
    (uses[r.index()] == 1).then(|| block.insts[r.index()])
}

/// The constant amount of a shift of this kind.
fn amount(block: &Block<'_>, inst: &Inst, op: Op) -> Option<u64> {
    if inst.op != op {
        return None;
    }
    let by = &block.insts[inst.args[1].index()];
    (by.op == Op::Const).then_some(by.imm)
}

/// `(x << n) + y` for n up to 3.
fn shifted_add(block: &mut Block<'_>, uses: &[u8], at: usize, inst: &Inst) {
    for (shifted, other) in [(inst.args[0], inst.args[1]), (inst.args[1], inst.args[0])] {
        let Some(inner) = only(block, uses, shifted) else { continue };
        let op = match amount(block, &inner, Op::Shl) {
            Some(1) => Op::Sh1add,
            Some(2) => Op::Sh2add,
            Some(3) => Op::Sh3add,
            _ => continue,
        };
        block.insts[at] = Inst { op, args: [inner.args[0], other, Ref::NONE], ..*inst };
        forget(block, shifted);
        return;
    }
}

/// `(x << n) | (x >> w - n)`, also of two 32-bit halves that are sign-extended before they meet.
fn rotate(block: &mut Block<'_>, uses: &[u8], at: usize, inst: &Inst) {
    let (a, b) = (inst.args[0], inst.args[1]);
    let (Some(x), Some(y)) = (only(block, uses, a), only(block, uses, b)) else { return };
    if x.op == Op::Sext32 && y.op == Op::Sext32 {
        let (Some(p), Some(q)) = (only(block, uses, x.args[0]), only(block, uses, y.args[0])) else { return };
        if let Some(rotation) = rotation(block, &p, &q).or_else(|| rotation(block, &q, &p)) {
            let later = a.max(b);
            for r in [x.args[0], y.args[0], a.min(b)] {
                forget(block, r);
            }
            block.insts[later.index()] = rotation;
            block.insts[at] = Inst { op: Op::Sext32, ty: x.ty, args: [later, Ref::NONE, Ref::NONE], imm: 0 };
        }
    } else if let Some(rotation) = rotation(block, &x, &y).or_else(|| rotation(block, &y, &x)) {
        forget(block, a);
        forget(block, b);
        block.insts[at] = rotation;
    }
}

/// The rotation that a left and a right shift make together.
fn rotation(block: &Block<'_>, left: &Inst, right: &Inst) -> Option<Inst> {
    let (n, m) = (amount(block, left, Op::Shl)?, amount(block, right, Op::Shr)?);
    let bits = if left.ty == Ty::I32 { 32 } else { 64 };
    let same = left.ty == right.ty && source(block, left.args[0]) == source(block, right.args[0]);
    (same && n > 0 && n < bits && n + m == bits).then_some(Inst { op: Op::Rotl, ..*left })
}

/// What a value is the low half of, or the value.
fn source(block: &Block<'_>, r: Ref) -> Ref {
    let inst = &block.insts[r.index()];
    if inst.op == Op::Trunc { inst.args[0] } else { r }
}

/// `x << n >> n`: the low bits, zero- or sign-extended.
fn field(block: &mut Block<'_>, uses: &[u8], at: usize, inst: &Inst) {
    let Some(right) = amount(block, inst, inst.op) else { return };
    let Some(inner) = only(block, uses, inst.args[0]) else { return };
    if inst.ty != Ty::I64 || amount(block, &inner, Op::Shl) != Some(right) {
        return;
    }
    let unary = |op, arg| Inst { op, ty: Ty::I64, args: [arg, Ref::NONE, Ref::NONE], imm: 0 };
    let signed = inst.op == Op::Sar;
    block.insts[at] = match (right, signed) {
        (56, false) => unary(Op::Zext8, inner.args[0]),
        (56, true) => unary(Op::Sext8, inner.args[0]),
        (48, false) => unary(Op::Zext16, inner.args[0]),
        (48, true) => unary(Op::Sext16, inner.args[0]),
        (32, _) => {
            block.insts[inst.args[0].index()] = Inst { ty: Ty::I32, ..unary(Op::Trunc, inner.args[0]) };
            unary(if signed { Op::Sext32 } else { Op::Zext32 }, inst.args[0])
        }
        _ => return,
    };
    if right != 32 {
        forget(block, inst.args[0]);
    }
}

/// Leaves a constant where a value was that nobody uses any more.
fn forget(block: &mut Block<'_>, r: Ref) {
    block.insts[r.index()] = Inst { op: Op::Const, ty: Ty::I64, args: [Ref::NONE; 3], imm: 0 };
}
