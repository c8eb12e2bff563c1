//! Guest idioms: shifts that only serve an addition, a rotation, a bit field or an index become one operation.
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

/// `x << n >> m`: low bits, extended; for n = 32 and less m also shifted, which is how compilers scale an unsigned index.
fn field(block: &mut Block<'_>, uses: &[u8], at: usize, inst: &Inst) {
    let from = inst.args[0];
    let Some(right) = amount(block, inst, inst.op) else { return };
    let Some(inner) = only(block, uses, from) else { return };
    let Some(left) = amount(block, &inner, Op::Shl) else { return };
    if left != right {
        if inst.op == Op::Shr && left == 32 && right < 32 {
            scaled_index(block, uses, at, inst, 32 - right);
        }
        return;
    }
    let bits: u64 = if inst.ty == Ty::I32 { 32 } else { 64 };
    // An amount beyond the width counts modulo the width; no frontend writes one.
    let op = match (bits.saturating_sub(right), inst.op == Op::Sar) {
        (8, false) => Op::Zext8,
        (8, true) => Op::Sext8,
        (16, false) => Op::Zext16,
        (16, true) => Op::Sext16,
        (32, signed) if bits == 64 => {
            block.insts[from.index()] = Inst { op: Op::Trunc, ty: Ty::I32, args: inner_only(&inner), imm: 0 };
            let op = if signed { Op::Sext32 } else { Op::Zext32 };
            block.insts[at] = Inst { op, args: [from, Ref::NONE, Ref::NONE], ..*inst };
            return;
        }
        _ => return,
    };
    block.insts[at] = Inst { op, args: inner_only(&inner), ..*inst };
    forget(block, from);
}

/// The first operand alone.
fn inner_only(inst: &Inst) -> [Ref; 3] {
    [inst.args[0], Ref::NONE, Ref::NONE]
}

/// `x << 32 >> 32 - n` becomes `zext32(x) << n`, in the places of the two shifts and of the first one's amount, if that
/// has no other use and stands between `x` and its shift (a constant, unlike what takes its place, may cross a label).
fn scaled_index(block: &mut Block<'_>, uses: &[u8], at: usize, inst: &Inst, n: u64) {
    let shifted = inst.args[0];
    let [x, by, _] = block.insts[shifted.index()].args;
    let amount = inst.args[1];
    if uses[by.index()] != 1 || uses[amount.index()] != 1 || x > by || by.0 + 1 != shifted.0 {
        return;
    }
    let one = |op, ty, arg| Inst { op, ty, args: [arg, Ref::NONE, Ref::NONE], imm: 0 };
    block.insts[by.index()] = one(Op::Trunc, Ty::I32, x);
    block.insts[shifted.index()] = one(Op::Zext32, Ty::I64, by);
    block.insts[amount.index()].imm = n;
    block.insts[at] = Inst { op: Op::Shl, ..*inst };
}

/// Leaves a constant where a value was that nobody uses any more.
fn forget(block: &mut Block<'_>, r: Ref) {
    block.insts[r.index()] = Inst { op: Op::Const, ty: Ty::I64, args: [Ref::NONE; 3], imm: 0 };
}
