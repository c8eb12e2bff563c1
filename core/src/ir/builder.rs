//! The typed builder.  It folds constants, forwards slots and folds address sums as it goes, so that most blocks need few
//! passes afterwards.

use super::fp::{Fmt, FpAttr};
use super::{
    Block, BlockKey, Bool, Exit, Hint, I32, I64, Inst, IntTy, Op, Ref, Ty, Val, ValTy, eval_convert, eval1, eval2,
};
use crate::mem::{MemOp, RmwOp};
use crate::state::{NEAR, Slot};
use bumpalo::{Bump, collections::Vec as BumpVec};
use smallvec::SmallVec;

/// A label inside a block; see [`Builder::bind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(u32);

/// A local variable of the block.
#[derive(Clone, Copy, Debug)]
pub struct Local<T>(u32, core::marker::PhantomData<T>);

/// Builds one block in an arena.
pub struct Builder<'a> {
    arena: &'a Bump,
    key: BlockKey,
    insts: BumpVec<'a, Inst>,
    /// The slot that each sum was last set to; all ones, or past the end, if none.
    set_to: BumpVec<'a, u32>,
    exit: Option<Exit>,
    /// Operations and guest instructions up to the exit; what comes after is dropped.
    end: (usize, u32),
    /// Labels that some branch goes to and that are not bound yet.
    open: SmallVec<[Label; 8]>,
    insns: u32,
    locals: u32,
    labels: u32,
    pages: SmallVec<[u64; 2]>,
    /// What each near slot holds; empty in a builder that has been taken.
    known: &'a mut [Ref],
    known_far: SmallVec<[(Slot, Ref); 8]>,
}

macro_rules! builder_methods {
    ( binary { $($(#[$bm:meta])* $b:ident $bf:ident ($ba:ident, $bb:ident) = $be:expr;)* }
      compare { $($(#[$cm:meta])* $c:ident $cf:ident ($ca:ident, $cb:ident) = $ce:expr;)* }
      unary { $($(#[$um:meta])* $u:ident $uf:ident ($ua:ident) = $ue:expr;)* }
      convert { $($(#[$vm:meta])* $v:ident $vf:ident ($va:ident: $vt:ident $vti:ty) -> $vr:ident $vri:ty = $ve:expr;)* } ) => {
        impl Builder<'_> {
            $($(#[$bm])* pub fn $bf<T: IntTy>(&mut self, $ba: Val<T>, $bb: Val<T>) -> Val<T> {
                Val::new(self.binary(Op::$b, T::TY, $ba.id, $bb.id))
            })*
            $($(#[$cm])* pub fn $cf<T: IntTy>(&mut self, $ca: Val<T>, $cb: Val<T>) -> Val<Bool> {
                Val::new(self.binary(Op::$c, T::TY, $ca.id, $cb.id))
            })*
            $($(#[$um])* pub fn $uf<T: IntTy>(&mut self, $ua: Val<T>) -> Val<T> {
                Val::new(self.unary(Op::$u, T::TY, $ua.id))
            })*
            $($(#[$vm])* pub fn $vf(&mut self, $va: Val<$vt>) -> Val<$vr> {
                Val::new(self.convert(Op::$v, Ty::$vr, $va.id))
            })*
        }
    };
}
crate::with_pure_ops!(builder_methods);

impl<'a> Builder<'a> {
    /// An empty block in `arena`.
    #[must_use]
    pub fn new(arena: &'a Bump, key: BlockKey) -> Builder<'a> {
        Builder {
            arena,
            key,
            insts: BumpVec::with_capacity_in(256, arena),
            set_to: BumpVec::with_capacity_in(256, arena),
            exit: None,
            end: (0, 0),
            open: SmallVec::new(),
            insns: 0,
            locals: 0,
            labels: 0,
            pages: SmallVec::new(),
            known: arena.alloc([Ref::NONE; NEAR]),
            known_far: SmallVec::new(),
        }
    }

    /// Moves the block under construction out, for translators that own their builder; one that knows nothing stays behind.
    #[must_use]
    pub fn take(&mut self) -> Builder<'a> {
        let empty = Builder {
            arena: self.arena,
            key: self.key,
            insts: BumpVec::new_in(self.arena),
            set_to: BumpVec::new_in(self.arena),
            exit: None,
            end: (0, 0),
            open: SmallVec::new(),
            insns: 0,
            locals: 0,
            labels: 0,
            pages: SmallVec::new(),
            known: &mut [],
            known_far: SmallVec::new(),
        };
        core::mem::replace(self, empty)
    }

    /// The key of the block.
    #[must_use]
    pub fn key(&self) -> BlockKey {
        self.key
    }

    /// The arena that holds the block.
    #[must_use]
    pub fn arena(&self) -> &'a Bump {
        self.arena
    }

    /// Guest instructions begun so far.
    #[must_use]
    pub fn insns(&self) -> u32 {
        self.insns
    }

    /// Operations so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.insts.len()
    }

    /// Is there no operation yet?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.insts.is_empty()
    }

    /// Has an exit been set?
    #[must_use]
    pub fn ended(&self) -> bool {
        self.exit.is_some()
    }

    /// Notes that code came from physical page `phys`.
    pub fn page(&mut self, phys: u64) {
        if !self.pages.contains(&phys) {
            self.pages.push(phys);
        }
    }

    #[inline]
    fn push(&mut self, op: Op, ty: Ty, args: [Ref; 3], imm: u64) -> Ref {
        let id = Ref(self.insts.len() as u32);
        self.insts.push(Inst { op, ty, args, imm });
        id
    }

    /// Appends any instruction; for the text form and random generators, which know what they do.
    pub fn raw(&mut self, inst: Inst) -> Ref {
        if matches!(inst.op, Op::Insn) {
            self.insns += 1;
        }
        self.forget();
        self.push(inst.op, inst.ty, inst.args, inst.imm)
    }

    // Constants and arithmetic.

    /// A constant; only the low bits of the type count.
    pub fn iconst<T: ValTy>(&mut self, value: u64) -> Val<T> {
        Val::new(self.constant(T::TY, value))
    }

    /// A constant from a signed number.
    pub fn sconst<T: ValTy>(&mut self, value: i64) -> Val<T> {
        self.iconst(value as u64)
    }

    #[inline]
    fn constant(&mut self, ty: Ty, value: u64) -> Ref {
        self.push(Op::Const, ty, [Ref::NONE; 3], value & ty.mask())
    }

    /// The value, if it is a constant.
    #[must_use]
    pub fn as_const<T: ValTy>(&self, v: Val<T>) -> Option<u64> {
        self.const_of(v.id)
    }

    #[inline]
    fn const_of(&self, r: Ref) -> Option<u64> {
        let inst = &self.insts[r.index()];
        (inst.op == Op::Const).then_some(inst.imm)
    }

    fn binary(&mut self, op: Op, ty: Ty, mut a: Ref, mut b: Ref) -> Ref {
        let result = if op.is_compare() { Ty::Bool } else { ty };
        let (mut ca, mut cb) = (self.const_of(a), self.const_of(b));
        if let (Some(x), Some(y)) = (ca, cb) {
            return self.constant(result, eval2(op, ty, x, y));
        }
        if ca.is_some() && op.commutes() {
            (a, b, ca, cb) = (b, a, cb, ca);
        }
        if let Some(r) = self.identity(op, ty, a, b, ca, cb) {
            return r;
        }
        // (x + c1) + c2 = x + (c1 + c2), so that chains of pointer steps stay short.
        if op == Op::Add
            && let Some(y) = cb
        {
            let inner = self.insts[a.index()];
            if inner.op == Op::Add
                && !self.resident(a)
                && let Some(x) = self.const_of(inner.args[1])
            {
                let sum = self.constant(ty, x.wrapping_add(y));
                return self.binary(Op::Add, ty, inner.args[0], sum);
            }
        }
        self.push(op, ty, [a, b, Ref::NONE], 0)
    }

    /// Is the sum what some slot holds now?  Then it is at hand, and what it was computed from may be gone.
    fn resident(&self, r: Ref) -> bool {
        self.set_to.get(r.index()).is_some_and(|slot| *slot != u32::MAX && self.known(Slot(*slot)) == Some(r))
    }

    /// Results that need no operation.
    fn identity(&mut self, op: Op, ty: Ty, a: Ref, b: Ref, ca: Option<u64>, cb: Option<u64>) -> Option<Ref> {
        let ones = ty.mask();
        match (op, ca, cb) {
            (
                Op::Add | Op::Sub | Op::Or | Op::Xor | Op::Andn | Op::Shl | Op::Shr | Op::Sar | Op::Rotl | Op::Rotr,
                _,
                Some(0),
            ) => Some(a),
            (Op::Sub, _, Some(c)) => {
                let minus = self.constant(ty, c.wrapping_neg());
                Some(self.binary(Op::Add, ty, a, minus))
            }
            (Op::And, _, Some(0)) | (Op::Mul, _, Some(0)) => Some(self.constant(ty, 0)),
            (Op::And, _, Some(c)) if c == ones => Some(a),
            (Op::Mul | Op::Divu | Op::Divs, _, Some(1)) => Some(a),
            (Op::Xor | Op::Sub, ..) if a == b => Some(self.constant(ty, 0)),
            (Op::And | Op::Or, ..) if a == b => Some(a),
            (Op::Eq | Op::Les | Op::Leu, ..) if a == b => Some(self.constant(Ty::Bool, 1)),
            (Op::Ne | Op::Lts | Op::Ltu, ..) if a == b => Some(self.constant(Ty::Bool, 0)),
            (Op::Ltu, Some(0), _) => {
                // 0 < x is x != 0, and a constant belongs on the right.
                Some(self.binary(Op::Ne, ty, b, a))
            }
            _ => None,
        }
    }

    fn unary(&mut self, op: Op, ty: Ty, a: Ref) -> Ref {
        match self.const_of(a) {
            Some(x) => self.constant(ty, eval1(op, ty, x)),
            None => self.push(op, ty, [a, Ref::NONE, Ref::NONE], 0),
        }
    }

    fn convert(&mut self, op: Op, ty: Ty, a: Ref) -> Ref {
        if let Some(x) = self.const_of(a) {
            return self.constant(ty, eval_convert(op, x));
        }
        let inner = self.insts[a.index()];
        match (op, inner.op) {
            (Op::Trunc, Op::Zext32 | Op::Sext32 | Op::Oext32) | (Op::Unbox32, Op::Oext32) => return inner.args[0],
            _ => {}
        }
        self.push(op, ty, [a, Ref::NONE, Ref::NONE], 0)
    }

    /// `a + constant`.
    pub fn addi<T: IntTy>(&mut self, a: Val<T>, value: i64) -> Val<T> {
        let c = self.sconst(value);
        self.add(a, c)
    }

    /// `a & constant`.
    pub fn andi<T: IntTy>(&mut self, a: Val<T>, value: u64) -> Val<T> {
        let c = self.iconst(value);
        self.and(a, c)
    }

    /// `a << n`.
    pub fn shli<T: IntTy>(&mut self, a: Val<T>, n: u32) -> Val<T> {
        let c = self.iconst(u64::from(n));
        self.shl(a, c)
    }

    /// `a >> n`, logical.
    pub fn shri<T: IntTy>(&mut self, a: Val<T>, n: u32) -> Val<T> {
        let c = self.iconst(u64::from(n));
        self.shr(a, c)
    }

    /// `a >> n`, arithmetic.
    pub fn sari<T: IntTy>(&mut self, a: Val<T>, n: u32) -> Val<T> {
        let c = self.iconst(u64::from(n));
        self.sar(a, c)
    }

    /// The low 32 bits of a 64-bit value, sign-extended to 64.
    pub fn sext_low(&mut self, a: Val<I64>) -> Val<I64> {
        let low = self.trunc(a);
        self.sext32(low)
    }

    /// The low 32 bits of a 64-bit value, zero-extended to 64.
    pub fn zext_low(&mut self, a: Val<I64>) -> Val<I64> {
        let low = self.trunc(a);
        self.zext32(low)
    }

    /// A Bool as 0 or 1.
    pub fn bool_int<T: IntTy>(&mut self, a: Val<Bool>) -> Val<T> {
        match self.const_of(a.id) {
            Some(x) => self.iconst(x),
            None => Val::new(self.push(Op::BoolInt, T::TY, [a.id, Ref::NONE, Ref::NONE], 0)),
        }
    }

    /// The opposite Bool.
    pub fn not_bool(&mut self, a: Val<Bool>) -> Val<Bool> {
        let inst = self.insts[a.id.index()];
        if let Some((op, swap)) = inst.op.inverse() {
            let (x, y) = if swap { (inst.args[1], inst.args[0]) } else { (inst.args[0], inst.args[1]) };
            return Val::new(self.binary(op, inst.ty, x, y));
        }
        let one = self.constant(Ty::Bool, 1);
        Val::new(self.binary(Op::Xor, Ty::Bool, a.id, one))
    }

    /// Both.
    pub fn and_bool(&mut self, a: Val<Bool>, b: Val<Bool>) -> Val<Bool> {
        Val::new(self.binary(Op::And, Ty::Bool, a.id, b.id))
    }

    /// Either.
    pub fn or_bool(&mut self, a: Val<Bool>, b: Val<Bool>) -> Val<Bool> {
        Val::new(self.binary(Op::Or, Ty::Bool, a.id, b.id))
    }

    /// Exactly one.
    pub fn xor_bool(&mut self, a: Val<Bool>, b: Val<Bool>) -> Val<Bool> {
        Val::new(self.binary(Op::Xor, Ty::Bool, a.id, b.id))
    }

    /// Is it zero?
    pub fn is_zero<T: IntTy>(&mut self, a: Val<T>) -> Val<Bool> {
        let zero = self.iconst(0);
        self.eq(a, zero)
    }

    /// Is it not zero?
    pub fn is_nonzero<T: IntTy>(&mut self, a: Val<T>) -> Val<Bool> {
        let zero = self.iconst(0);
        self.ne(a, zero)
    }

    /// `a` if `cond`, else `b`.
    pub fn select<T: ValTy>(&mut self, cond: Val<Bool>, a: Val<T>, b: Val<T>) -> Val<T> {
        match self.const_of(cond.id) {
            Some(0) => b,
            Some(_) => a,
            None if a.id == b.id => a,
            None => Val::new(self.push(Op::Select, T::TY, [cond.id, a.id, b.id], 0)),
        }
    }

    // Slots and locals.

    #[inline]
    fn known(&self, slot: Slot) -> Option<Ref> {
        match self.known.get(slot.0 as usize) {
            Some(r) => r.some(),
            None => self.known_far.iter().find(|(s, _)| *s == slot).and_then(|(_, r)| r.some()),
        }
    }

    #[inline]
    fn learn(&mut self, slot: Slot, r: Ref) {
        match self.known.get_mut(slot.0 as usize) {
            Some(cell) => *cell = r,
            None => match self.known_far.iter_mut().find(|(s, _)| *s == slot) {
                Some(pair) => pair.1 = r,
                None => self.known_far.push((slot, r)),
            },
        }
    }

    /// Forgets what slots hold: after a label, or after something wrote state behind the builder's back.
    fn forget(&mut self) {
        self.known.fill(Ref::NONE);
        self.known_far.clear();
    }

    /// The value of a slot.
    pub fn get<T: ValTy>(&mut self, slot: Slot) -> Val<T> {
        if let Some(r) = self.known(slot)
            && self.insts[r.index()].result() == Some(T::TY)
        {
            return Val::new(r);
        }
        let r = self.push(Op::Get, T::TY, [Ref::NONE; 3], u64::from(slot.0));
        self.learn(slot, r);
        Val::new(r)
    }

    /// Sets a slot.
    pub fn set<T: ValTy>(&mut self, slot: Slot, v: Val<T>) {
        if self.known(slot) == Some(v.id) {
            return;
        }
        self.push(Op::Set, T::TY, [v.id, Ref::NONE, Ref::NONE], u64::from(slot.0));
        if self.insts[v.id.index()].op == Op::Add {
            self.set_to.resize(self.set_to.len().max(v.id.index() + 1), u32::MAX);
            self.set_to[v.id.index()] = slot.0;
        }
        self.learn(slot, v.id);
    }

    /// A new local variable; it must be set before it is read.
    pub fn local<T: ValTy>(&mut self) -> Local<T> {
        self.locals += 1;
        Local(self.locals - 1, core::marker::PhantomData)
    }

    /// Reads a local.
    pub fn get_local<T: ValTy>(&mut self, local: Local<T>) -> Val<T> {
        Val::new(self.push(Op::GetLocal, T::TY, [Ref::NONE; 3], u64::from(local.0)))
    }

    /// Writes a local.
    pub fn set_local<T: ValTy>(&mut self, local: Local<T>, v: Val<T>) {
        self.push(Op::SetLocal, T::TY, [v.id, Ref::NONE, Ref::NONE], u64::from(local.0));
    }

    // Memory.

    /// Splits an address into base and displacement, so that sums need no operation of their own.
    fn fold_address(&self, addr: Ref, disp: i64) -> (Ref, i32) {
        let mut base = addr;
        let mut total = disp;
        let inst = self.insts[addr.index()];
        if inst.op == Op::Add
            && !self.resident(addr)
            && let Some(c) = self.const_of(inst.args[1])
            && i32::try_from((c as i64).wrapping_add(disp)).is_ok()
        {
            base = inst.args[0];
            total = (c as i64).wrapping_add(disp);
        }
        (base, total as i32)
    }

    /// Loads; `I32` results take sizes up to 4 bytes.
    pub fn load<T: IntTy>(&mut self, op: MemOp, addr: Val<I64>, disp: i32) -> Val<T> {
        let (base, disp) = self.fold_address(addr.id, i64::from(disp));
        Val::new(self.push(Op::Load, T::TY, [base, Ref::NONE, Ref::NONE], Inst::mem_imm(op, 0, disp)))
    }

    /// Stores the low bytes of a value.
    pub fn store<T: IntTy>(&mut self, op: MemOp, addr: Val<I64>, disp: i32, v: Val<T>) {
        let (base, disp) = self.fold_address(addr.id, i64::from(disp));
        self.push(Op::Store, T::TY, [base, v.id, Ref::NONE], Inst::mem_imm(op, 0, disp));
    }

    /// Atomic read-modify-write; gives the old value, extended as the memop says.
    pub fn rmw<T: IntTy>(&mut self, op: MemOp, rmw: RmwOp, addr: Val<I64>, v: Val<T>) -> Val<T> {
        Val::new(self.push(Op::Rmw, T::TY, [addr.id, v.id, Ref::NONE], Inst::mem_imm(op, rmw as u8, 0)))
    }

    /// Atomic compare and swap; gives the old value, extended as the memop says.
    pub fn cas<T: IntTy>(&mut self, op: MemOp, addr: Val<I64>, expected: Val<T>, new: Val<T>) -> Val<T> {
        Val::new(self.push(Op::Cas, T::TY, [addr.id, expected.id, new.id], Inst::mem_imm(op, 0, 0)))
    }

    /// Faults as a store there would, and stores nothing.
    pub fn probe(&mut self, op: MemOp, addr: Val<I64>, disp: i32) {
        let (base, disp) = self.fold_address(addr.id, i64::from(disp));
        self.push(Op::Probe, Ty::I64, [base, Ref::NONE, Ref::NONE], Inst::mem_imm(op, 0, disp));
    }

    /// Memory barrier.
    pub fn fence(&mut self) {
        self.push(Op::Fence, Ty::I64, [Ref::NONE; 3], 0);
    }

    // Helpers, time.

    /// Calls helper `index` with a constant payload (48 bits) and up to three arguments.  `writes` says whether the helper
    /// may change slots.
    pub fn helper<T: ValTy>(&mut self, index: u16, payload: u64, args: &[Ref], writes: bool) -> Val<T> {
        let mut all = [Ref::NONE; 3];
        for (to, from) in all.iter_mut().zip(args) {
            *to = *from;
        }
        let r = self.push(Op::Helper, T::TY, all, u64::from(index) | payload << 16);
        if writes {
            self.forget();
        }
        Val::new(r)
    }

    /// The number of guest instructions retired before the current one.
    pub fn icount(&mut self) -> Val<I64> {
        Val::new(self.push(Op::Icount, Ty::I64, [Ref::NONE; 3], 0))
    }

    // Guest instructions, control flow.

    /// A guest instruction begins.
    #[inline]
    pub fn insn(&mut self, pc: u64) {
        self.insns += 1;
        self.push(Op::Insn, Ty::I64, [Ref::NONE; 3], pc);
    }

    /// Is the instruction at `pc` in the block?
    #[must_use]
    pub fn has_insn(&self, pc: u64) -> bool {
        self.insts.iter().any(|i| i.op == Op::Insn && i.imm == pc)
    }

    /// Leaves the block to `pc` if `cond`; the current instruction has then retired.
    pub fn exit_if(&mut self, cond: Val<Bool>, pc: u64) {
        match self.const_of(cond.id) {
            Some(0) => {}
            // On one arm of a branch the block does not end here.
            Some(_) if self.open.is_empty() => self.exit(Exit::Goto(pc)),
            _ => {
                self.push(Op::ExitIf, Ty::Bool, [cond.id, Ref::NONE, Ref::NONE], pc);
            }
        }
    }

    /// Traps if `cond`; the current instruction has then not retired.
    pub fn trap_if(&mut self, cond: Val<Bool>, cause: u32, value: Val<I64>) {
        match self.const_of(cond.id) {
            Some(0) => {}
            Some(_) if self.open.is_empty() => self.exit(Exit::Trap(cause, value.id)),
            _ => {
                self.push(Op::TrapIf, Ty::Bool, [cond.id, value.id, Ref::NONE], u64::from(cause));
            }
        }
    }

    /// A new label; bind it later, once.
    pub fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    fn opens(&mut self, label: Label) {
        if !self.open.contains(&label) {
            self.open.push(label);
        }
    }

    /// Goes forward to `label` if `cond`.
    pub fn br_if(&mut self, cond: Val<Bool>, label: Label) {
        self.opens(label);
        self.push(Op::BrIf, Ty::Bool, [cond.id, Ref::NONE, Ref::NONE], u64::from(label.0));
    }

    /// Goes forward to `label`.
    pub fn br(&mut self, label: Label) {
        self.opens(label);
        self.push(Op::Br, Ty::Bool, [Ref::NONE; 3], u64::from(label.0));
        self.forget();
    }

    /// Puts `label` here.  Values made before it must not be used after it, unless they were made before every branch to it.
    pub fn bind(&mut self, label: Label) {
        self.open.retain(|l| *l != label);
        self.push(Op::Bind, Ty::Bool, [Ref::NONE; 3], u64::from(label.0));
        self.forget();
    }

    /// Ends the block.  What is built after it is ignored, so every label that is branched to must be bound before.
    pub fn exit(&mut self, exit: Exit) {
        if self.exit.is_none() {
            // A branch on a constant, or to one place, is a goto.
            let exit = match exit {
                Exit::Branch(c, t, e) => match self.const_of(c) {
                    Some(0) => Exit::Goto(e),
                    Some(_) => Exit::Goto(t),
                    None if t == e => Exit::Goto(t),
                    None => exit,
                },
                Exit::Indirect(r, hint) => match (self.const_of(r), hint) {
                    (Some(pc), Hint::Call(ret)) => Exit::Call(pc, ret),
                    (Some(pc), _) => Exit::Goto(pc),
                    (None, _) => exit,
                },
                _ => exit,
            };
            self.exit = Some(exit);
            self.end = (self.insts.len(), self.insns);
        }
    }

    /// The finished block.  A block without an exit goes on at `next`.
    #[must_use]
    pub fn finish(mut self, next: u64) -> Block<'a> {
        self.exit(Exit::Goto(next));
        let (len, insns) = self.end;
        self.insts.truncate(len);
        Block {
            key: self.key,
            insts: self.insts,
            exit: self.exit.unwrap_or(Exit::Goto(next)),
            insns,
            locals: self.locals,
            labels: self.labels,
            pages: self.pages,
        }
    }

    // Floating point.

    fn fp(&mut self, op: Op, ty: Ty, args: [Ref; 3], attr: FpAttr) -> Ref {
        self.forget_flags(attr.env);
        self.push(op, ty, args, u64::from(attr.pack()))
    }

    /// The flags slot changes under every floating-point operation.
    fn forget_flags(&mut self, env: u8) {
        self.learn(Slot::fp_flags(env), Ref::NONE);
    }

    /// A two-operand operation: `FAdd FSub FMul FDiv FMin FMax`.  `T` must be the format's type.
    pub fn fp2<T: IntTy>(&mut self, op: Op, attr: FpAttr, a: Val<T>, b: Val<T>) -> Val<T> {
        Val::new(self.fp(op, T::TY, [a.id, b.id, Ref::NONE], attr))
    }

    /// `FSqrt`, `FRint`.
    pub fn fp1<T: IntTy>(&mut self, op: Op, attr: FpAttr, a: Val<T>) -> Val<T> {
        Val::new(self.fp(op, T::TY, [a.id, Ref::NONE, Ref::NONE], attr))
    }

    /// Fused multiply-add.
    pub fn fp_mul_add<T: IntTy>(&mut self, attr: FpAttr, a: Val<T>, b: Val<T>, c: Val<T>) -> Val<T> {
        Val::new(self.fp(Op::FMulAdd, T::TY, [a.id, b.id, c.id], attr))
    }

    /// A comparison: `FEq FLt FLe FLtQuiet FLeQuiet`.
    pub fn fp_compare<T: IntTy>(&mut self, op: Op, attr: FpAttr, a: Val<T>, b: Val<T>) -> Val<Bool> {
        Val::new(self.fp(op, T::TY, [a.id, b.id, Ref::NONE], attr))
    }

    /// A conversion or classification whose result type differs: `FCvt FTo* FFrom* FClass FToModS32`.
    pub fn fp_convert<A: IntTy, R: IntTy>(&mut self, op: Op, attr: FpAttr, a: Val<A>) -> Val<R> {
        Val::new(self.fp(op, R::TY, [a.id, Ref::NONE, Ref::NONE], attr))
    }

    /// `FCvt` between formats.
    pub fn fp_format<A: IntTy, R: IntTy>(&mut self, attr: FpAttr, to: Fmt, a: Val<A>) -> Val<R> {
        self.fp_convert(Op::FCvt, attr.kind(to as u8), a)
    }
}
