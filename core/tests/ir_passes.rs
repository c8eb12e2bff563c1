//! The folding builder and the passes keep the meaning of blocks, also where they stop half-way.
#![forbid(unsafe_code)]

mod common;

use bumpalo::Bump;
use common::{KEY, plan, run, same};
use tern_core::bare::{BareGuest, HELPERS};
use tern_core::engine::Stop;
use tern_core::ir::fp::FpAttr;
use tern_core::ir::verify::verify;
use tern_core::ir::{Block, Bool, Builder, Exit, I32, I64, Inst, IntTy, Label, Local, Op, Ref, Ty, Val, opt, random};
use tern_core::mem::RmwOp;
use tern_core::state::Slot;

/// A value of the block that is being built.
#[derive(Clone, Copy)]
enum Any {
    W(Val<I32>),
    X(Val<I64>),
    B(Val<Bool>),
}

impl Any {
    fn w(self) -> Val<I32> {
        let Any::W(v) = self else { panic!("an I32 was promised") };
        v
    }
    fn x(self) -> Val<I64> {
        let Any::X(v) = self else { panic!("an I64 was promised") };
        v
    }
    fn b(self) -> Val<Bool> {
        let Any::B(v) = self else { panic!("a Bool was promised") };
        v
    }
    fn raw(self) -> Ref {
        match self {
            Any::W(v) => v.raw(),
            Any::X(v) => v.raw(),
            Any::B(v) => v.raw(),
        }
    }
}

impl From<Any> for Val<I32> {
    fn from(v: Any) -> Val<I32> {
        v.w()
    }
}
impl From<Any> for Val<I64> {
    fn from(v: Any) -> Val<I64> {
        v.x()
    }
}
impl From<Val<I32>> for Any {
    fn from(v: Val<I32>) -> Any {
        Any::W(v)
    }
}
impl From<Val<I64>> for Any {
    fn from(v: Val<I64>) -> Any {
        Any::X(v)
    }
}

#[derive(Clone, Copy)]
enum AnyLocal {
    W(Local<I32>),
    X(Local<I64>),
    B(Local<Bool>),
}

macro_rules! pure_dispatch {
    ( binary { $($(#[$bm:meta])* $b:ident $bf:ident ($ba:ident, $bb:ident) = $be:expr;)* }
      compare { $($(#[$cm:meta])* $c:ident $cf:ident ($ca:ident, $cb:ident) = $ce:expr;)* }
      unary { $($(#[$um:meta])* $u:ident $uf:ident ($ua:ident) = $ue:expr;)* }
      convert { $($(#[$vm:meta])* $v:ident $vf:ident ($va:ident: $vt:ident $vti:ty) -> $vr:ident $vri:ty = $ve:expr;)* } ) => {
        fn binary<T: IntTy>(b: &mut Builder<'_>, op: Op, x: Val<T>, y: Val<T>) -> Val<T> {
            match op { $(Op::$b => b.$bf(x, y),)* _ => unreachable!("{op:?} is not binary") }
        }
        fn compare<T: IntTy>(b: &mut Builder<'_>, op: Op, x: Val<T>, y: Val<T>) -> Val<Bool> {
            match op { $(Op::$c => b.$cf(x, y),)* _ => unreachable!("{op:?} is not a comparison") }
        }
        fn unary<T: IntTy>(b: &mut Builder<'_>, op: Op, x: Val<T>) -> Val<T> {
            match op { $(Op::$u => b.$uf(x),)* _ => unreachable!("{op:?} is not unary") }
        }
        fn convert(b: &mut Builder<'_>, op: Op, x: Any) -> Any {
            match op { $(Op::$v => b.$vf(<Val<$vt>>::from(x)).into(),)* _ => unreachable!("{op:?} is no conversion") }
        }
    };
}
tern_core::with_pure_ops!(pure_dispatch);

/// Builds a block again, operation by operation, through the builder's typed methods.
struct Rebuild<'a> {
    b: Builder<'a>,
    map: Vec<Option<Any>>,
    labels: Vec<Label>,
    locals: Vec<AnyLocal>,
}

fn rebuild<'a>(arena: &'a Bump, from: &Block<'_>) -> Block<'a> {
    let mut b = Builder::new(arena, from.key);
    for page in &from.pages {
        b.page(*page);
    }
    let labels = (0..from.labels).map(|_| b.label()).collect();
    let ty_of = |n: u32| {
        let sets = |i: &&Inst| matches!(i.op, Op::SetLocal) && i.imm == u64::from(n);
        from.insts.iter().find(sets).map_or(Ty::I64, |i| i.ty)
    };
    let locals = (0..from.locals)
        .map(|n| match ty_of(n) {
            Ty::I32 => AnyLocal::W(b.local()),
            Ty::I64 => AnyLocal::X(b.local()),
            Ty::Bool => AnyLocal::B(b.local()),
        })
        .collect();
    let mut r = Rebuild { b, map: Vec::new(), labels, locals };
    for inst in &from.insts {
        let v = r.inst(inst);
        r.map.push(v);
    }
    let exit = match from.exit {
        Exit::Branch(c, t, e) => Exit::Branch(r.arg(c).raw(), t, e),
        Exit::Indirect(v, hint) => Exit::Indirect(r.arg(v).raw(), hint),
        Exit::Trap(cause, v) if v != Ref::NONE => Exit::Trap(cause, r.arg(v).raw()),
        other => other,
    };
    r.b.exit(exit);
    r.b.finish(0)
}

impl Rebuild<'_> {
    fn arg(&self, r: Ref) -> Any {
        self.map[r.index()].expect("operands are defined")
    }

    fn inst(&mut self, inst: &Inst) -> Option<Any> {
        let op = inst.op;
        if op.is_fp() {
            return Some(self.floating(inst));
        }
        if op.is_binary() || op.is_compare() || op.is_unary() || op.is_convert() {
            return Some(self.pure(inst));
        }
        let [x, y, _] = inst.args;
        match op {
            Op::ExitIf => self.b.exit_if(self.arg(x).b(), inst.imm),
            Op::TrapIf => self.b.trap_if(self.arg(x).b(), inst.imm as u32, self.arg(y).x()),
            Op::BrIf => self.b.br_if(self.arg(x).b(), self.labels[inst.imm as usize]),
            Op::Br => self.b.br(self.labels[inst.imm as usize]),
            Op::Bind => self.b.bind(self.labels[inst.imm as usize]),
            Op::Insn => self.b.insn(inst.imm),
            Op::Fence => self.b.fence(),
            Op::Probe => self.b.probe(inst.mem().0, self.arg(x).x(), inst.mem().1),
            Op::Store => match (self.arg(y), inst.mem()) {
                (Any::W(v), (m, disp)) => self.b.store(m, self.arg(x).x(), disp, v),
                (Any::X(v), (m, disp)) => self.b.store(m, self.arg(x).x(), disp, v),
                (Any::B(_), _) => panic!("a Bool cannot be stored"),
            },
            Op::Set => match self.arg(x) {
                Any::W(v) => self.b.set(Slot(inst.imm as u32), v),
                Any::X(v) => self.b.set(Slot(inst.imm as u32), v),
                Any::B(v) => self.b.set(Slot(inst.imm as u32), v),
            },
            Op::SetLocal => match (self.arg(x), self.locals[inst.imm as usize]) {
                (Any::W(v), AnyLocal::W(l)) => self.b.set_local(l, v),
                (Any::X(v), AnyLocal::X(l)) => self.b.set_local(l, v),
                (Any::B(v), AnyLocal::B(l)) => self.b.set_local(l, v),
                _ => panic!("a local has one type"),
            },
            _ => return Some(self.value(inst)),
        }
        None
    }

    /// Operations with a result that the pure table does not hold.
    fn value(&mut self, inst: &Inst) -> Any {
        let [x, y, z] = inst.args;
        let slot = Slot(inst.imm as u32);
        let mem = inst.mem();
        match (inst.op, inst.ty) {
            (Op::Const, Ty::I32) => Any::W(self.b.iconst(inst.imm)),
            (Op::Const, Ty::I64) => Any::X(self.b.iconst(inst.imm)),
            (Op::Const, Ty::Bool) => Any::B(self.b.iconst(inst.imm)),
            (Op::Get, Ty::I32) => Any::W(self.b.get(slot)),
            (Op::Get, Ty::I64) => Any::X(self.b.get(slot)),
            (Op::Get, Ty::Bool) => Any::B(self.b.get(slot)),
            (Op::Select, _) => match (self.arg(x).b(), self.arg(y), self.arg(z)) {
                (c, Any::W(y), Any::W(z)) => Any::W(self.b.select(c, y, z)),
                (c, Any::X(y), Any::X(z)) => Any::X(self.b.select(c, y, z)),
                (c, Any::B(y), Any::B(z)) => Any::B(self.b.select(c, y, z)),
                _ => panic!("both sides have one type"),
            },
            (Op::BoolInt, Ty::I32) => Any::W(self.b.bool_int(self.arg(x).b())),
            (Op::BoolInt, _) => Any::X(self.b.bool_int(self.arg(x).b())),
            (Op::GetLocal, _) => match self.locals[inst.imm as usize] {
                AnyLocal::W(l) => Any::W(self.b.get_local(l)),
                AnyLocal::X(l) => Any::X(self.b.get_local(l)),
                AnyLocal::B(l) => Any::B(self.b.get_local(l)),
            },
            (Op::Load, Ty::I32) => Any::W(self.b.load(mem.0, self.arg(x).x(), mem.1)),
            (Op::Load, _) => Any::X(self.b.load(mem.0, self.arg(x).x(), mem.1)),
            (Op::Rmw, ty) => {
                let rmw = RmwOp::ALL[(inst.imm >> 16 & 0xff) as usize];
                let addr = self.arg(x).x();
                if ty == Ty::I32 {
                    Any::W(self.b.rmw(mem.0, rmw, addr, self.arg(y).w()))
                } else {
                    Any::X(self.b.rmw(mem.0, rmw, addr, self.arg(y).x()))
                }
            }
            (Op::Cas, Ty::I32) => Any::W(self.b.cas(mem.0, self.arg(x).x(), self.arg(y).w(), self.arg(z).w())),
            (Op::Cas, _) => Any::X(self.b.cas(mem.0, self.arg(x).x(), self.arg(y).x(), self.arg(z).x())),
            (Op::Helper, ty) => {
                let args: Vec<Ref> = inst.operands().map(|r| self.arg(r).raw()).collect();
                let (index, payload) = (inst.imm as u16, inst.imm >> 16);
                let writes = HELPERS[usize::from(index)].writes;
                match ty {
                    Ty::I32 => Any::W(self.b.helper(index, payload, &args, writes)),
                    Ty::I64 => Any::X(self.b.helper(index, payload, &args, writes)),
                    Ty::Bool => Any::B(self.b.helper(index, payload, &args, writes)),
                }
            }
            (Op::Icount, _) => Any::X(self.b.icount()),
            (op, _) => panic!("{op:?} has no result"),
        }
    }

    fn pure(&mut self, inst: &Inst) -> Any {
        let (op, x) = (inst.op, self.arg(inst.args[0]));
        let b = &mut self.b;
        if op.is_unary() {
            return match x {
                Any::W(x) => Any::W(unary(b, op, x)),
                Any::X(x) => Any::X(unary(b, op, x)),
                Any::B(_) => panic!("no unary operation takes a Bool"),
            };
        }
        if op.is_convert() {
            return convert(b, op, x);
        }
        let y = self.map[inst.args[1].index()].expect("operands are defined");
        match (x, y) {
            (Any::W(x), Any::W(y)) if op.is_compare() => Any::B(compare(b, op, x, y)),
            (Any::X(x), Any::X(y)) if op.is_compare() => Any::B(compare(b, op, x, y)),
            (Any::W(x), Any::W(y)) => Any::W(binary(b, op, x, y)),
            (Any::X(x), Any::X(y)) => Any::X(binary(b, op, x, y)),
            (Any::B(x), Any::B(y)) => Any::B(match op {
                Op::And => b.and_bool(x, y),
                Op::Or => b.or_bool(x, y),
                // The complement has a rule of its own in the builder.
                _ if b.as_const(y) == Some(1) => b.not_bool(x),
                _ => b.xor_bool(x, y),
            }),
            _ => panic!("operands have one type"),
        }
    }

    fn floating(&mut self, inst: &Inst) -> Any {
        let attr = FpAttr::unpack(inst.imm as u32);
        let (op, b) = (inst.op, &mut self.b);
        let args: Vec<Any> = inst.operands().map(|r| self.map[r.index()].expect("operands are defined")).collect();
        match (op, inst.ty, args.as_slice()) {
            (Op::FMulAdd, _, [Any::W(x), Any::W(y), Any::W(z)]) => Any::W(b.fp_mul_add(attr, *x, *y, *z)),
            (Op::FMulAdd, _, [x, y, z]) => Any::X(b.fp_mul_add(attr, x.x(), y.x(), z.x())),
            (Op::FEq | Op::FLt | Op::FLe | Op::FLtQuiet | Op::FLeQuiet, _, [x, y]) => Any::B(match (*x, *y) {
                (Any::W(x), Any::W(y)) => b.fp_compare(op, attr, x, y),
                (x, y) => b.fp_compare(op, attr, x.x(), y.x()),
            }),
            (_, _, [Any::W(x), Any::W(y)]) => Any::W(b.fp2(op, attr, *x, *y)),
            (_, _, [x, y]) => Any::X(b.fp2(op, attr, x.x(), y.x())),
            (Op::FSqrt | Op::FRint, _, [Any::W(x)]) => Any::W(b.fp1(op, attr, *x)),
            (Op::FSqrt | Op::FRint, _, [x]) => Any::X(b.fp1(op, attr, x.x())),
            (_, Ty::I32, [Any::W(x)]) => Any::W(b.fp_convert(op, attr, *x)),
            (_, Ty::I32, [x]) => Any::W(b.fp_convert(op, attr, x.x())),
            (_, _, [Any::W(x)]) => Any::X(b.fp_convert(op, attr, *x)),
            (_, _, [x]) => Any::X(b.fp_convert(op, attr, x.x())),
            _ => panic!("{op:?} has another number of operands"),
        }
    }
}

/// Counts of how blocks ended, to see that the tests reach what they are about.
#[derive(Default)]
struct Ends {
    faults: u32,
    traps: u32,
    early: u32,
    normal: u32,
}

impl Ends {
    fn count(&mut self, o: &common::Outcome, block: &Block<'_>) {
        match o.end.stop {
            Some(Stop::Fault(_)) => self.faults += 1,
            Some(Stop::Trap { .. }) => self.traps += 1,
            _ if o.end.retired < block.insns => self.early += 1,
            _ => self.normal += 1,
        }
    }

    fn all_kinds(&self) {
        let least = self.faults.min(self.traps).min(self.early).min(self.normal);
        assert!(least > 100, "{} faults, {} traps, {} early, {}", self.faults, self.traps, self.early, self.normal);
    }
}

#[test]
fn folding_builder_keeps_meaning() {
    let guest = BareGuest::new();
    let mut ends = Ends::default();
    let (mut before, mut after) = (0, 0);
    for seed in 0..6000 {
        let faults = seed & 1 == 0;
        let arena = Bump::new();
        let raw = random::block(&arena, &plan(&guest, faults), KEY, &mut random::splitmix(seed));
        let folded = rebuild(&arena, &raw);
        let layout = Some(tern_core::frontend::Frontend::layout(&guest));
        verify(&folded, layout).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{raw}\nbecame\n{folded}"));
        let a = run(&raw, &guest, faults, seed);
        let b = run(&folded, &guest, faults, seed);
        same(&a, &b, &guest, &format_args!("seed {seed}\n{}\nbecame\n{}", raw.text(layout), folded.text(layout)));
        ends.count(&a, &raw);
        let real = |b: &Block<'_>| b.insts.iter().filter(|i| i.op != Op::Const).count();
        before += real(&raw);
        after += real(&folded);
    }
    ends.all_kinds();
    assert!(after * 100 < before * 95, "the builder folds too little: {before} to {after}");
}

#[test]
fn passes_keep_meaning_and_precise_state() {
    let guest = BareGuest::new();
    let mut ends = Ends::default();
    let mut removed = 0;
    for seed in 0..6000 {
        let faults = seed & 3 != 0;
        let arena = Bump::new();
        let raw = random::block(&arena, &plan(&guest, faults), KEY, &mut random::splitmix(!seed));
        let mut optimised = raw.clone();
        opt::run(&mut optimised);
        let a = run(&raw, &guest, faults, seed);
        let b = run(&optimised, &guest, faults, seed);
        same(&a, &b, &guest, &format_args!("seed {seed}\n{raw}\nbecame\n{optimised}"));
        ends.count(&a, &raw);
        removed += raw.insts.iter().zip(&optimised.insts).filter(|(a, b)| a.op == Op::Set && b.op != Op::Set).count();
    }
    ends.all_kinds();
    assert!(removed > 500, "only {removed} dead stores were found");
}

#[test]
fn nothing_runs_after_the_exit() {
    let guest = BareGuest::new();
    let arena = Bump::new();
    let mut b = Builder::new(&arena, KEY);
    b.insn(0x1000);
    let always = b.iconst::<Bool>(1);
    b.exit_if(always, 0x2000);
    b.insn(0x1004);
    let one = b.iconst::<I64>(1);
    b.set(Slot::FIRST, one);
    let block = b.finish(0x1008);
    assert_eq!((block.exit, block.insns), (Exit::Goto(0x2000), 1));
    assert!(block.insts.iter().all(|i| i.op != Op::Set));
    let o = run(&block, &guest, false, 3);
    assert_eq!((o.state.pc(), o.end.retired), (0x2000, 1));
}

#[test]
fn a_constant_exit_on_one_arm_does_not_end_the_block() {
    let guest = BareGuest::new();
    let arena = Bump::new();
    let mut b = Builder::new(&arena, KEY);
    b.insn(0x1000);
    let skip = b.label();
    let x0 = b.get::<I64>(Slot::FIRST);
    let odd = b.andi(x0, 1);
    let odd = b.is_nonzero(odd);
    b.br_if(odd, skip);
    let always = b.iconst::<Bool>(1);
    b.exit_if(always, 0x2000);
    b.bind(skip);
    let block = b.finish(0x1004);
    verify(&block, None).unwrap();
    let ends: std::collections::BTreeSet<u64> =
        (0..64).map(|seed| run(&block, &guest, false, seed).state.pc()).collect();
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [0x1004, 0x2000]);
}

/// Each idiom on its own: it becomes the one operation, and means what it meant.
#[test]
fn idioms_become_one_operation() {
    type Make = fn(&mut Builder<'_>, Val<I64>, Val<I64>) -> Val<I64>;
    fn shifts(b: &mut Builder<'_>, x: Val<I64>, left: u32, right: u32, signed: bool) -> Val<I64> {
        let up = b.shli(x, left);
        if signed { b.sari(up, right) } else { b.shri(up, right) }
    }
    fn rotate32(b: &mut Builder<'_>, x: Val<I64>, n: u32, swapped: bool) -> Val<I64> {
        let (low, again) = (b.trunc(x), b.trunc(x));
        let (left, right) = (b.shli(low, n), b.shri(again, 32 - n));
        let (left, right) = (b.sext32(left), b.sext32(right));
        if swapped { b.or(right, left) } else { b.xor(left, right) }
    }
    fn rotate64(b: &mut Builder<'_>, x: Val<I64>, n: u32) -> Val<I64> {
        let (right, left) = (b.shri(x, 64 - n), b.shli(x, n));
        b.or(right, left)
    }
    fn scaled(b: &mut Builder<'_>, x: Val<I64>, y: Val<I64>, n: u32) -> Val<I64> {
        let x = b.shli(x, n);
        if n == 2 { b.add(y, x) } else { b.add(x, y) }
    }
    let rows: &[(Op, Make)] = &[
        (Op::Sh1add, |b, x, y| scaled(b, x, y, 1)),
        (Op::Sh2add, |b, x, y| scaled(b, x, y, 2)),
        (Op::Sh3add, |b, x, y| scaled(b, x, y, 3)),
        (Op::Rotl, |b, x, _| rotate64(b, x, 13)),
        (Op::Rotl, |b, x, _| rotate32(b, x, 7, false)),
        (Op::Rotl, |b, x, _| rotate32(b, x, 31, true)),
        (Op::Zext8, |b, x, _| shifts(b, x, 56, 56, false)),
        (Op::Sext8, |b, x, _| shifts(b, x, 56, 56, true)),
        (Op::Zext16, |b, x, _| shifts(b, x, 48, 48, false)),
        (Op::Sext16, |b, x, _| shifts(b, x, 48, 48, true)),
        (Op::Zext32, |b, x, _| shifts(b, x, 32, 32, false)),
        (Op::Sext32, |b, x, _| shifts(b, x, 32, 32, true)),
        (Op::Sh3add, |b, x, y| {
            let index = shifts(b, x, 32, 29, false);
            b.add(y, index)
        }),
        (Op::Zext32, |b, x, _| shifts(b, x, 32, 25, false)),
        (Op::Sext16, |b, x, _| {
            let low = b.trunc(x);
            let up = b.shli(low, 16);
            let down = b.sari(up, 16);
            b.sext32(down)
        }),
        // What looks alike and is none.
        (Op::Shr, |b, x, _| shifts(b, x, 8, 16, false)),
        (Op::Shr, |b, x, _| shifts(b, x, 70, 70, false)),
        (Op::Or, |b, x, y| {
            let (left, right) = (b.shli(x, 13), b.shri(y, 51));
            b.or(left, right)
        }),
        (Op::Or, |b, x, _| {
            let (left, right) = (b.shli(x, 13), b.shri(x, 50));
            b.or(left, right)
        }),
        (Op::Add, |b, x, y| scaled(b, x, y, 4)),
    ];
    let guest = BareGuest::new();
    let layout = tern_core::frontend::Frontend::layout(&guest);
    let slots: Vec<Slot> = layout.rows().iter().map(|r| r.slot).filter(|s| s.0 > 16).take(3).collect();
    for (n, (op, make)) in rows.iter().enumerate() {
        let arena = Bump::new();
        let build = || {
            let mut b = Builder::new(&arena, KEY);
            b.insn(KEY.pc);
            let (x, y) = (b.get::<I64>(slots[0]), b.get::<I64>(slots[1]));
            let value = make(&mut b, x, y);
            b.set(slots[2], value);
            b.exit(Exit::Goto(KEY.pc + 4));
            b.finish(KEY.pc + 4)
        };
        let (raw, mut folded) = (build(), build());
        opt::run(&mut folded);
        verify(&folded, Some(layout)).unwrap_or_else(|e| panic!("row {n}: {e}"));
        let has = |op: Op| folded.insts.iter().any(|i| i.op == op);
        assert!(has(*op), "row {n} has no {op:?}:\n{}", folded.text(Some(layout)));
        // Scaled by more than the additions do, an index keeps its shift.
        let kept = matches!(op, Op::Shr | Op::Or | Op::Add) || n == 13;
        assert_eq!(has(Op::Shl), kept, "row {n}:\n{}", folded.text(Some(layout)));
        for seed in 0..40 {
            let (a, b) = (run(&raw, &guest, false, seed), run(&folded, &guest, false, seed));
            same(&a, &b, &guest, &format_args!("row {n}, seed {seed}\n{}", folded.text(Some(layout))));
        }
    }
}
