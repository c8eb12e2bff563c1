//! Emission of operations: homes, operand variants, words.

use super::plan::{Form, Upper, boxed};
use super::{Home, Lowerer, NEVER, TooComplex};
use crate::body::float::{BOXED, from, host_code};
use crate::body::int::width;
use crate::body::{memory, variant};
use crate::cx::{FP_CONTROL, FP_FLAGS};
use crate::dispatch::code;
use crate::word::Word;
use tern_core::ir::fp::FpAttr;
use tern_core::ir::{Block, Inst, Op, Ref, Ty};
use tern_core::mem::{Endian, MemOp};
use tern_core::state::NEAR;

/// An operand as a word can take it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    Acc,
    Slot(u8),
    Imm(i32),
}

impl Lowerer {
    #[inline]
    pub(super) fn inst(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        if inst.op == Op::Insn {
            self.begun += 1;
            self.pc = inst.imm;
            return Ok(());
        }
        let value = &mut self.values[at as usize];
        value.root = Ref(at);
        match value.form {
            Form::Own => {}
            Form::Alias => {
                self.values[at as usize].root = self.root(inst.args[0]);
                return Ok(());
            }
            Form::Deferred => return Ok(()),
        }
        match inst.op {
            Op::Const | Op::Fence => Ok(()),
            op if op.is_binary() => self.binary(block, at, inst, self.result_width(at, inst.ty), code::binary),
            op if op.is_compare() => self.binary(block, at, inst, width_of(inst.ty), code::compare),
            op if op.is_unary() => {
                let width = self.result_width(at, inst.ty);
                self.unary(block, at, inst.args[0], |acc| code::unary(inst.op, width, acc))
            }
            Op::Sext32 => match self.folded_sext(block, inst).copied() {
                Some(inner) => self.binary(block, at, &inner, width::SX, code::binary),
                None => self.unary(block, at, inst.args[0], |acc| code::convert(Op::Sext32, acc)),
            },
            op if op.is_convert() => self.unary(block, at, inst.args[0], |acc| code::convert(op, acc)),
            op if op.is_fp() => self.float(block, at, inst),
            Op::Select => self.select(block, at, inst),
            Op::Get => self.get(block, at, inst),
            Op::Set => self.set(block, at, inst),
            Op::GetLocal => {
                let d = self.dest(block, at)?;
                let local = self.locals[inst.imm as usize];
                self.push(Word::rrr(code::MOV, d, local, 0));
                self.note(Ref(at));
                Ok(())
            }
            Op::SetLocal => {
                let local = self.locals[inst.imm as usize];
                self.copy_to(block, at, inst.args[0], local)
            }
            Op::Load => self.load(block, at, inst),
            Op::Store => self.store(block, at, inst),
            Op::Probe => self.probe(block, at, inst),
            Op::Rmw | Op::Cas => self.atomic(block, at, inst),
            Op::Helper => self.helper(block, at, inst),
            Op::Icount => {
                let d = self.dest(block, at)?;
                let n = self.begun.saturating_sub(1) as i32;
                self.push(Word::imm(code::ICOUNT, d, 0, n));
                self.note(Ref(at));
                Ok(())
            }
            _ => self.control(block, at, inst),
        }
    }

    fn result_width(&self, at: u32, ty: Ty) -> u8 {
        if self.values[at as usize].upper == Upper::Sign { width::SX } else { width_of(ty) }
    }

    // Homes.

    pub(super) fn alloc(&mut self) -> Result<u8, TooComplex> {
        if let Some(t) = self.free.pop() {
            return Ok(t);
        }
        let t = u8::try_from(self.fresh).map_err(|_| TooComplex)?;
        self.fresh += 1;
        Ok(t)
    }

    /// Frees the temporaries of the values that the instruction at `at` reads for the last time.
    pub(super) fn release(&mut self, block: &Block<'_>, at: u32) {
        if self.free.len() == self.fresh as usize - self.first_temp as usize {
            // No temporary is in use.
            return;
        }
        let inst = &block.insts[at as usize];
        if let Some(inner) = self.folded_sext(block, inst) {
            return inner.operands().for_each(|r| self.release_value(block, r, at));
        }
        if inst.op.is_fp()
            && let Some(args) = boxed(block, inst)
        {
            return args.iter().filter_map(|r| r.some()).for_each(|r| self.release_value(block, r, at));
        }
        for r in inst.operands() {
            if self.values[r.index()].form == Form::Deferred {
                block.insts[r.index()].operands().for_each(|r| self.release_value(block, r, at));
            } else {
                self.release_value(block, r, at);
            }
        }
    }

    /// Frees the temporary of a value that is read at `at`, if that is its last use.
    fn release_value(&mut self, block: &Block<'_>, r: Ref, at: u32) {
        let root = self.root(r);
        let value = &mut self.values[root.index()];
        if let Home::Temp(t) = value.home
            && value.last <= at
        {
            value.home = Home::None;
            self.free.push(t);
            if block.insts[root.index()].op == Op::Const {
                self.consts.retain(|c| *c != root);
            }
        }
    }

    /// The slot that the value defined at `at` is computed into; frees operands that die here first.
    fn dest(&mut self, block: &Block<'_>, at: u32) -> Result<u8, TooComplex> {
        self.release(block, at);
        if let Some(slot) = self.direct(block, at) {
            self.values[at as usize].home = Home::Slot(slot);
            let cell = &mut self.busy[usize::from(slot)];
            *cell = (*cell).max(self.values[at as usize].last);
            return Ok(slot);
        }
        let t = self.alloc()?;
        if self.values[at as usize].last == 0 {
            // Nobody reads it.
            self.free.push(t);
        } else {
            self.values[at as usize].home = Home::Temp(t);
        }
        Ok(t)
    }

    /// The slot that the value is set to, if it may be computed there right away: nobody reads, writes or observes the
    /// slot in between, no other value lives in it, and the value is not needed after the slot's next change.
    fn direct(&self, block: &Block<'_>, at: u32) -> Option<u8> {
        let set = self.values[at as usize].set_at;
        if set == NEVER {
            return None;
        }
        let touched = self.values[set as usize].touched;
        if touched != NEVER && touched > at || self.values[at as usize].observed < set {
            return None;
        }
        // A floating-point operation writes its flags slot after its result.
        let slot = block.insts[set as usize].imm as usize;
        if matches!(slot, FP_FLAGS | FP_CONTROL)
            || self.busy[slot] > at
            || self.values[set as usize].kill < self.values[at as usize].last
        {
            return None;
        }
        Some(slot as u8)
    }

    /// The slot of a value; a constant gets a temporary.
    pub(super) fn slot_of(&mut self, block: &Block<'_>, r: Ref) -> Result<u8, TooComplex> {
        let r = self.root(r);
        if let Some(s) = self.values[r.index()].home.slot() {
            return Ok(s);
        }
        let inst = &block.insts[r.index()];
        debug_assert_eq!(inst.op, Op::Const, "a value without a home is a constant");
        let t = self.alloc()?;
        self.constant(t, inst.imm, inst.ty);
        self.values[r.index()].home = Home::Temp(t);
        self.consts.push(r);
        self.note(r);
        Ok(t)
    }

    /// Puts a constant into a slot.
    fn constant(&mut self, slot: u8, value: u64, ty: Ty) {
        let value = if ty == Ty::I32 { value as i32 as i64 as u64 } else { value };
        match i32::try_from(value as i64) {
            Ok(imm) => {
                self.push(Word::imm(code::IMM, slot, 0, imm));
            }
            Err(_) => {
                let word = self.push(Word::imm(code::LITERAL, slot, 0, 0));
                self.literals.push((word, value));
            }
        }
    }

    /// An operand in its cheapest form; `imm` says whether an immediate will do.
    fn operand(&mut self, block: &Block<'_>, r: Ref, imm: bool) -> Result<Operand, TooComplex> {
        let root = self.root(r);
        if self.acc == Some(root) {
            return Ok(Operand::Acc);
        }
        if imm && let Some(value) = self.immediate(block, root) {
            return Ok(Operand::Imm(value));
        }
        self.slot_of(block, r).map(|s| if self.acc == Some(root) { Operand::Acc } else { Operand::Slot(s) })
    }

    /// The value as a sign-extended 32-bit immediate.
    pub(super) fn immediate(&self, block: &Block<'_>, root: Ref) -> Option<i32> {
        let inst = &block.insts[root.index()];
        match (inst.op, inst.ty) {
            (Op::Const, Ty::I32) => Some(inst.imm as i32),
            (Op::Const, _) => i32::try_from(inst.imm as i64).ok(),
            _ => None,
        }
    }

    // Operations.

    fn binary(
        &mut self,
        block: &Block<'_>,
        at: u32,
        inst: &Inst,
        width: u8,
        code: fn(Op, u8, u8) -> u16,
    ) -> Result<(), TooComplex> {
        let (x, y) = (inst.args[0], inst.args[1]);
        let (v, a, b) = self.pair(block, x, y)?;
        let d = self.dest(block, at)?;
        let code = code(inst.op, width, v);
        match b {
            Operand::Imm(imm) => self.push(Word::imm(code, d, a, imm)),
            Operand::Slot(b) => self.push(Word::rrr(code, d, a, b)),
            Operand::Acc => self.push(Word::rrr(code, d, a, 0)),
        };
        self.note(Ref(at));
        Ok(())
    }

    /// Two operands as variant, slot of the first (0 if it is the accumulator) and second operand.
    pub(super) fn pair(&mut self, block: &Block<'_>, x: Ref, y: Ref) -> Result<(u8, u8, Operand), TooComplex> {
        let (v, a, b) = self.plain_pair(block, x, y)?;
        Ok((self.previous(v, x, Some(y)), a, b))
    }

    /// The variant that takes the result before the last where an operand is that.
    pub(super) fn previous(&self, v: u8, x: Ref, y: Option<Ref>) -> u8 {
        let before = |r: Ref| self.before == Some(self.root(r));
        match v {
            variant::SS if before(x) => variant::PS,
            variant::SI if before(x) => variant::PI,
            variant::SA if before(x) => variant::PA,
            variant::SS if y.is_some_and(before) => variant::SP,
            variant::AS if y.is_some_and(before) => variant::AP,
            v => v,
        }
    }

    /// The same with at most one operand that is no slot.
    fn plain_pair(&mut self, block: &Block<'_>, x: Ref, y: Ref) -> Result<(u8, u8, Operand), TooComplex> {
        let ry = self.root(y);
        let imm = if self.acc == Some(ry) { None } else { self.immediate(block, ry) };
        // A constant first operand may need a word, which takes the accumulator; so it goes first.
        if self.values[self.root(x).index()].home == Home::None {
            self.slot_of(block, x)?;
        }
        if let Some(imm) = imm {
            return Ok(match self.operand(block, x, false)? {
                Operand::Slot(a) => (variant::SI, a, Operand::Imm(imm)),
                _ => (variant::AI, 0, Operand::Imm(imm)),
            });
        }
        let b = self.operand(block, y, false)?;
        if self.acc == Some(self.root(x)) {
            let slot = self.slot_of(block, y)?;
            return Ok((variant::AS, 0, Operand::Slot(slot)));
        }
        let a = self.slot_of(block, x)?;
        Ok(match b {
            Operand::Acc => (variant::SA, a, Operand::Acc),
            b => (variant::SS, a, b),
        })
    }

    fn unary(&mut self, block: &Block<'_>, at: u32, arg: Ref, code: impl Fn(bool) -> u16) -> Result<(), TooComplex> {
        let a = self.operand(block, arg, false)?;
        let d = self.dest(block, at)?;
        let word = match a {
            Operand::Slot(a) => Word::rrr(code(false), d, a, 0),
            _ => Word::rrr(code(true), d, 0, 0),
        };
        self.push(word);
        self.note(Ref(at));
        Ok(())
    }

    fn select(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let b = self.slot_of(block, inst.args[1])?;
        let c = self.slot_of(block, inst.args[2])?;
        let (code, a) = match self.operand(block, inst.args[0], false)? {
            Operand::Slot(a) => (code::SELECT, a),
            _ => (code::SELECT_A, 0),
        };
        let d = self.dest(block, at)?;
        self.push(Word::rrrr(code, d, a, b, c, 0));
        self.note(Ref(at));
        Ok(())
    }

    fn get(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        if self.values[at as usize].last == 0 {
            return Ok(());
        }
        let slot = inst.imm as usize;
        if slot >= NEAR {
            let d = self.dest(block, at)?;
            self.push(Word::imm(code::GET_FAR, d, 0, (slot - NEAR) as i32));
            self.note(Ref(at));
            return Ok(());
        }
        if self.values[at as usize].kill < self.values[at as usize].last {
            // The slot changes while the value is still needed.
            let d = self.dest(block, at)?;
            self.push(Word::rrr(code::MOV, d, slot as u8, 0));
            self.note(Ref(at));
        } else {
            self.values[at as usize].home = Home::Slot(slot as u8);
            self.busy[slot] = self.busy[slot].max(self.values[at as usize].last);
        }
        Ok(())
    }

    fn set(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let slot = inst.imm as usize;
        let root = self.root(inst.args[0]);
        if slot >= NEAR {
            let a = self.slot_of(block, root)?;
            self.push(Word::imm(code::SET_FAR, 0, a, (slot - NEAR) as i32));
            self.release(block, at);
            return Ok(());
        }
        if self.values[root.index()].home == Home::Slot(slot as u8) {
            return Ok(());
        }
        if matches!(slot, FP_FLAGS | FP_CONTROL) {
            let a = self.slot_of(block, root)?;
            self.push(Word::rrr(code::SET_ENV, slot as u8, a, 0));
            self.note(root);
            self.release(block, at);
            return Ok(());
        }
        self.copy_to(block, at, root, slot as u8)
    }

    /// Copies a value to a slot that is not its home.
    fn copy_to(&mut self, block: &Block<'_>, at: u32, value: Ref, slot: u8) -> Result<(), TooComplex> {
        let root = self.root(value);
        let inst = &block.insts[root.index()];
        if inst.op == Op::Const && self.values[root.index()].home == Home::None {
            self.constant(slot, inst.imm, inst.ty);
        } else {
            let word = match self.operand(block, root, false)? {
                Operand::Slot(a) => Word::rrr(code::MOV, slot, a, 0),
                _ => Word::rrr(code::MOV_A, slot, 0, 0),
            };
            self.push(word);
        }
        self.note(root);
        self.release(block, at);
        Ok(())
    }

    // Memory.

    fn load(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let (op, disp) = inst.mem();
        let Some(kind) = kind_of(op) else {
            let a = self.slot_of(block, inst.args[0])?;
            let d = self.dest(block, at)?;
            self.point();
            self.push(Word::rrr(code::LOAD_GENERAL, d, a, 0));
            self.push_literal(inst.imm);
            self.note(Ref(at));
            return Ok(());
        };
        let base = self.operand(block, inst.args[0], false)?;
        let before = self.before == Some(self.root(inst.args[0]));
        let d = self.dest(block, at)?;
        self.point();
        let word = match base {
            Operand::Slot(a) if before => Word::imm(code::load(kind, memory::base::BEFORE), d, a, disp),
            Operand::Slot(a) => Word::imm(code::load(kind, memory::base::SLOT), d, a, disp),
            _ => Word::imm(code::load(kind, memory::base::LAST), d, 0, disp),
        };
        self.push(word);
        self.note(Ref(at));
        Ok(())
    }

    fn store(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        use memory::store_variant::{AP, AS, AZ, PA, PS, PZ, SA, SP, SS, SZ};
        let (op, disp) = inst.mem();
        let (base, value) = (self.root(inst.args[0]), self.root(inst.args[1]));
        let Some(kind) = kind_of(MemOp { signed: false, ..op }) else {
            let (d, a) = (self.slot_of(block, value)?, self.slot_of(block, base)?);
            self.point();
            self.push(Word::rrr(code::STORE_GENERAL, d, a, 0));
            self.push_literal(inst.imm);
            self.release(block, at);
            return Ok(());
        };
        let zero = self.immediate(block, value) == Some(0);
        if !zero && self.values[value.index()].home == Home::None {
            self.slot_of(block, value)?;
        }
        let (v, d, a) = match (self.operand(block, base, false)?, zero) {
            (Operand::Slot(a), true) => (SZ, 0, a),
            (_, true) => (AZ, 0, 0),
            (Operand::Slot(a), false) if self.acc == Some(value) => (SA, 0, a),
            (Operand::Slot(a), false) => (SS, self.slot_of(block, value)?, a),
            (_, false) => (AS, self.slot_of(block, value)?, 0),
        };
        let v = match v {
            SS if self.before == Some(base) => PS,
            SA if self.before == Some(base) => PA,
            SZ if self.before == Some(base) => PZ,
            SS if self.before == Some(value) => SP,
            AS if self.before == Some(value) => AP,
            v => v,
        };
        self.point();
        self.push(Word::imm(code::store(kind, v), d, a, disp));
        self.release(block, at);
        Ok(())
    }

    fn probe(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let a = self.slot_of(block, inst.args[0])?;
        self.point();
        self.push(Word::rrr(code::PROBE, 0, a, 0));
        self.push_literal(inst.imm);
        self.release(block, at);
        Ok(())
    }

    fn atomic(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let a = self.slot_of(block, inst.args[0])?;
        let b = self.slot_of(block, inst.args[1])?;
        let c = if inst.op == Op::Cas { self.slot_of(block, inst.args[2])? } else { 0 };
        let d = self.dest(block, at)?;
        self.point();
        let code = if inst.op == Op::Cas { code::CAS } else { code::RMW };
        self.push(Word::rrrr(code, d, a, b, c, 0));
        self.push_literal(inst.imm);
        self.note(Ref(at));
        Ok(())
    }

    fn helper(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let mut args = [0; 3];
        let mut zero = None;
        for (to, r) in args.iter_mut().zip(inst.args) {
            *to = match (r, zero) {
                (Ref::NONE, Some(slot)) => slot,
                // Arguments that are missing are zero.
                (Ref::NONE, None) => {
                    let slot = self.alloc()?;
                    self.constant(slot, 0, Ty::I64);
                    *zero.insert(slot)
                }
                (r, _) => self.slot_of(block, r)?,
            };
        }
        // A helper that writes state must not find its result's slot changed under it; so it gets a temporary.
        self.release(block, at);
        let d = self.alloc()?;
        self.free.extend(zero);
        if self.values[at as usize].last == 0 {
            self.free.push(d);
        } else {
            self.values[at as usize].home = Home::Temp(d);
        }
        self.point();
        let n = u64::from(self.begun.saturating_sub(1));
        self.push(Word::rrrr(code::HELPER, d, args[0], args[1], args[2], inst.imm as u16));
        self.push_literal(inst.imm >> 16 << 16 | n);
        self.push_literal(self.pc);
        self.note(Ref(at));
        Ok(())
    }

    // Floating point.

    fn float(&mut self, block: &Block<'_>, at: u32, inst: &Inst) -> Result<(), TooComplex> {
        let attr = FpAttr::unpack(inst.imm as u32);
        let boxed = boxed(block, inst);
        let mut roots = [None; 3];
        let mut args = [0; 3];
        for ((to, root), r) in args.iter_mut().zip(&mut roots).zip(boxed.unwrap_or(inst.args)) {
            if r != Ref::NONE {
                *to = self.slot_of(block, r)?;
                *root = Some(self.root(r));
            }
        }
        // Constants have their words now, so the accumulator stays what it is.
        let last = roots.map(|r| r.is_some() && r == self.acc);
        let v = match (last, inst.op) {
            ([true, true, _], op) if op != Op::FMulAdd => from::AB,
            ([true, ..], _) => from::A,
            ([_, true, _], _) => from::B,
            ([_, _, true], _) => from::C,
            _ => from::SLOTS,
        };
        let d = self.dest(block, at)?;
        let host = if self.softfloat[usize::from(attr.env & 3)] {
            None
        } else {
            host_code(inst.op, attr, boxed.is_some(), self.fma, v)
        };
        let x16 = attr.pack() as u16 | if boxed.is_some() { BOXED } else { 0 };
        self.push(Word::rrrr(host.unwrap_or(code::float(inst.op)), d, args[0], args[1], args[2], x16));
        self.note(Ref(at));
        Ok(())
    }
}

/// The width parameter of an operation's type.
pub(super) fn width_of(ty: Ty) -> u8 {
    if ty == Ty::I32 { width::W32 } else { width::W64 }
}

/// The kind of a load or store that has a fast path.
fn kind_of(op: MemOp) -> Option<u8> {
    if op.aligned || op.mode != 0 {
        return None;
    }
    let mut kind = op.size as u8;
    if op.signed {
        kind |= memory::SIGNED;
    }
    if op.endian == Endian::Big {
        kind |= memory::BIG;
    }
    if op.addr32 {
        kind |= memory::ADDR32;
    }
    Some(kind)
}
