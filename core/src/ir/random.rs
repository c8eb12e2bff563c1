//! Random blocks and states that tests of the tiers run.  Every block verifies, ends, and touches memory where the
//! [`Plan`] says.
//!
//! Everything is derived from the caller's source of random numbers, so that a seed reproduces a block.

use super::fp::{Fmt, FpAttr, Round};
use super::signature::{Operand, fixed_type, fp_kinds, operands};
use super::{Block, BlockKey, Exit, Hint, Inst, Op, Ref, Ty, convert_types};
use crate::frontend::Helper;
use crate::mem::{Endian, MemOp, RmwOp, Size};
use crate::state::{FP_DAZ, FP_DEFAULT_NAN, FP_FTZ, Role, Slot, SlotDesc, State, StateLayout};
use bumpalo::{Bump, collections::Vec as BumpVec};
use smallvec::SmallVec;
use tern_softfloat::Rm;

/// What random blocks consist of.
pub struct Plan<'a> {
    /// Slots they use (all but pc and, for writing, hidden ones other than the floating-point environments').
    pub layout: &'a StateLayout,
    /// Helpers they call; may be empty.
    pub helpers: &'a [Helper],
    /// Start of the memory they access; below 2^31.
    pub base: u64,
    /// Its length, a power of two.  Accesses begin inside and end at most [`OVERHANG`] bytes behind it.
    pub len: u64,
    /// About how many operations a block has.
    pub ops: usize,
    /// Some addresses are not confined to the window, so that accesses fault.
    pub faults: bool,
    /// Floating-point operations.
    pub fp: bool,
    /// Branches, conditional exits and traps.
    pub control: bool,
}

/// How far accesses may reach beyond the window of a [`Plan`].
pub const OVERHANG: u64 = 64;

/// A source of random numbers.
pub type Source<'a> = dyn FnMut() -> u64 + 'a;

/// A splitmix64 generator: good enough for tests, the same everywhere.
pub fn splitmix(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Values where arithmetic goes wrong: limits of all widths, small numbers, floating-point landmarks.
const EDGES: [u64; 32] = [
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    33,
    63,
    64,
    u64::MAX,
    u64::MAX - 1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x3f80_0000,
    0x7fc0_0000,
    0x7f80_0001,
    0x0080_0000,
    0x3ff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x0010_0000_0000_0000,
];

/// A random number; half of the time one that is close to an edge.
pub fn number(next: &mut Source<'_>) -> u64 {
    let dice = next();
    let edge = EDGES[(dice >> 8) as usize % EDGES.len()];
    match dice & 7 {
        0..=2 => edge,
        3 => edge.wrapping_neg(),
        4 => next() & 0xff,
        5 => next() as i32 as i64 as u64,
        _ => next(),
    }
}

fn below(next: &mut Source<'_>, n: usize) -> usize {
    (next() % n.max(1) as u64) as usize
}

/// A state with random values in the slots that software can name, and valid floating-point environments.
pub fn state(layout: &StateLayout, next: &mut Source<'_>) -> State {
    let mut state = State::new(layout);
    for row in layout.rows().iter().filter(|r| r.slot != Slot::PC) {
        match slot_constant(row.slot, next) {
            Some(value) => state.set(row.slot, value),
            None if row.role != Role::Hidden => state.set(row.slot, number(next) & row.mask() & row.ty.mask()),
            None => {}
        }
    }
    state
}

/// A valid value for a slot of a floating-point environment; `None` for other slots.
fn slot_constant(slot: Slot, next: &mut Source<'_>) -> Option<u64> {
    let env = (0..4).find(|env| slot == Slot::fp_flags(*env) || slot == Slot::fp_control(*env))?;
    let dice = next();
    Some(if slot == Slot::fp_flags(env) {
        dice & 0x3f
    } else {
        let modes = if dice >> 16 & 3 == 0 { FP_FTZ | FP_DAZ | FP_DEFAULT_NAN } else { 0 };
        (dice % 5) | (dice & modes)
    })
}

/// A random block that begins at `key`.
#[must_use]
pub fn block<'a>(arena: &'a Bump, plan: &Plan<'_>, key: BlockKey, next: &mut Source<'_>) -> Block<'a> {
    let mut g = Generator {
        plan,
        next,
        insts: BumpVec::new_in(arena),
        values: Vec::new(),
        pc: key.pc,
        insns: 0,
        locals: Vec::new(),
        open: Vec::new(),
        labels: 0,
    };
    g.insn();
    while g.insts.len() < plan.ops {
        g.operation();
    }
    while let Some(label) = g.open.pop() {
        g.bind(label);
    }
    let exit = g.exit();
    Block {
        key,
        insns: g.insns,
        locals: g.locals.len() as u32,
        labels: g.labels,
        insts: g.insts,
        exit,
        pages: SmallVec::from_slice(&[key.pc >> crate::mem::PAGE_SHIFT]),
    }
}

/// A label that branches go to and that is not bound yet.
struct Open {
    label: u32,
    /// Position of the first branch.
    first: usize,
    /// Locals set on every branch.
    set: Vec<bool>,
}

struct Generator<'g, 'a> {
    plan: &'g Plan<'g>,
    next: &'g mut Source<'g>,
    insts: BumpVec<'a, Inst>,
    /// Values that may be used here.
    values: Vec<(Ref, Ty)>,
    pc: u64,
    insns: u32,
    /// Type of each local and whether it is set here.
    locals: Vec<(Ty, bool)>,
    open: Vec<Open>,
    labels: u32,
}

impl Generator<'_, '_> {
    fn below(&mut self, n: usize) -> usize {
        below(self.next, n)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn push(&mut self, op: Op, ty: Ty, args: [Ref; 3], imm: u64) -> Ref {
        let r = Ref(self.insts.len() as u32);
        let inst = Inst { op, ty, args, imm };
        self.insts.push(inst);
        if let Some(ty) = inst.result() {
            self.values.push((r, ty));
        }
        r
    }

    fn constant(&mut self, ty: Ty, value: u64) -> Ref {
        self.push(Op::Const, ty, [Ref::NONE; 3], value & ty.mask())
    }

    fn ty(&mut self) -> Ty {
        [Ty::I32, Ty::I64, Ty::I64, Ty::Bool][self.below(4)]
    }

    fn int_ty(&mut self) -> Ty {
        if self.chance(2) { Ty::I32 } else { Ty::I64 }
    }

    /// A usable value of a type; mostly a recent one, sometimes a new constant or slot.
    fn value(&mut self, ty: Ty) -> Ref {
        let found: Vec<Ref> = self.values.iter().filter(|(_, t)| *t == ty).map(|(r, _)| *r).collect();
        if found.is_empty() || self.chance(5) {
            let slot = if self.chance(2) { self.slot(ty) } else { None };
            return match slot {
                Some(slot) => self.push(Op::Get, ty, [Ref::NONE; 3], u64::from(slot.0)),
                None => {
                    let value = number(self.next);
                    self.constant(ty, value)
                }
            };
        }
        let recent = found.len() - 1 - self.below(found.len().min(6));
        let at = if self.chance(3) { self.below(found.len()) } else { recent };
        found[at]
    }

    /// A slot of a type that software can name.
    fn slot(&mut self, ty: Ty) -> Option<Slot> {
        let named = |r: &&SlotDesc| r.ty == ty && r.role != Role::Hidden && r.slot != Slot::PC;
        let rows: Vec<Slot> = self.plan.layout.rows().iter().filter(named).map(|r| r.slot).collect();
        if rows.is_empty() { None } else { Some(rows[self.below(rows.len())]) }
    }

    fn insn(&mut self) {
        while let Some(label) = self.open.pop() {
            self.bind(label);
        }
        self.push(Op::Insn, Ty::I64, [Ref::NONE; 3], self.pc);
        self.pc = self.pc.wrapping_add(4);
        self.insns += 1;
    }

    fn operation(&mut self) {
        match self.below(32) {
            0..=11 => self.pure(),
            12..=15 => self.set(),
            16..=17 => self.local(),
            18..=21 => self.memory(),
            22 => self.atomic(),
            23..=25 if self.plan.fp => self.floating(),
            26..=27 if self.plan.control => self.control(),
            28 => self.helper(),
            29 => {
                self.push(Op::Icount, Ty::I64, [Ref::NONE; 3], 0);
            }
            30 => {
                self.push(Op::Fence, Ty::I64, [Ref::NONE; 3], 0);
            }
            _ => self.insn(),
        }
    }

    /// A pure operation.
    fn pure(&mut self) {
        let lists = [Op::BINARY, Op::BINARY, Op::COMPARE, Op::UNARY, Op::CONVERT, &[Op::Select, Op::BoolInt, Op::And]];
        let list = lists[self.below(lists.len())];
        let op = list[self.below(list.len())];
        let ty = match (convert_types(op), op) {
            (Some((to, _)), _) => to,
            (_, Op::Select | Op::And | Op::Or | Op::Xor) => self.ty(),
            _ => self.int_ty(),
        };
        self.with_operands(op, ty, 0);
    }

    /// Appends an operation with operands as its signature wants them.
    fn with_operands(&mut self, op: Op, ty: Ty, imm: u64) -> Ref {
        let mut inst = Inst { op, ty: fixed_type(op).unwrap_or(ty), args: [Ref::NONE; 3], imm };
        for (i, wanted) in operands(&inst).into_iter().enumerate() {
            if let Operand::Is(ty) = wanted {
                inst.args[i] = self.value(ty);
            }
        }
        self.push(op, inst.ty, inst.args, imm)
    }

    fn set(&mut self) {
        let rows = self.plan.layout.rows();
        // Often the slot of the last store again, so that stores die.
        let last = self.insts.iter().rev().find(|i| i.op == Op::Set).map(|i| Slot(i.imm as u32));
        let again = if self.chance(3) { last.and_then(|slot| self.plan.layout.by_slot(slot)) } else { None };
        let row = again.unwrap_or(&rows[self.below(rows.len())]);
        let v = match slot_constant(row.slot, self.next) {
            Some(value) => self.constant(row.ty, value),
            None if row.role == Role::Hidden || row.slot == Slot::PC => return,
            None => self.value(row.ty),
        };
        self.push(Op::Set, row.ty, [v, Ref::NONE, Ref::NONE], u64::from(row.slot.0));
    }

    fn local(&mut self) {
        let set: Vec<usize> = (0..self.locals.len()).filter(|n| self.locals[*n].1).collect();
        if !set.is_empty() && self.chance(2) {
            let n = set[self.below(set.len())];
            self.push(Op::GetLocal, self.locals[n].0, [Ref::NONE; 3], n as u64);
            return;
        }
        let n = self.below(self.locals.len() + 1);
        if n == self.locals.len() {
            let ty = self.ty();
            self.locals.push((ty, false));
        }
        let ty = self.locals[n].0;
        let v = self.value(ty);
        self.locals[n].1 = true;
        self.push(Op::SetLocal, ty, [v, Ref::NONE, Ref::NONE], n as u64);
    }

    /// Attributes of an access to a value of type `ty`, and an address for it.
    fn access(&mut self, ty: Ty, atomic: bool) -> (MemOp, Ref) {
        let sizes = [Size::B1, Size::B2, Size::B4, Size::B8];
        let size = sizes[self.below(if ty == Ty::I32 { 3 } else { 4 })];
        let wild = self.plan.faults && self.chance(6);
        let op = MemOp {
            size,
            signed: self.chance(2),
            endian: if self.chance(3) { Endian::Big } else { Endian::Little },
            aligned: self.chance(4),
            addr32: self.chance(4),
            mode: self.below(16) as u8,
        };
        let any = self.value(Ty::I64);
        if wild {
            return (op, any);
        }
        let mut mask = self.plan.len - 1;
        if atomic || op.aligned && !self.plan.faults {
            mask &= !(size.bytes() - 1);
        }
        let mask = self.constant(Ty::I64, mask);
        let offset = self.push(Op::And, Ty::I64, [any, mask, Ref::NONE], 0);
        // A 32-bit address has nothing to say about the upper half.
        let high = if op.addr32 { number(self.next) << 32 } else { 0 };
        let base = self.constant(Ty::I64, self.plan.base | high);
        (op, self.push(Op::Add, Ty::I64, [offset, base, Ref::NONE], 0))
    }

    fn memory(&mut self) {
        let ty = self.int_ty();
        let (op, addr) = self.access(ty, false);
        // Up to three elements on: an aligned access stays aligned.
        let disp = (self.below(4) as u64 * op.size.bytes()) as i32;
        let imm = Inst::mem_imm(op, 0, disp);
        if self.chance(8) {
            self.push(Op::Probe, Ty::I64, [addr, Ref::NONE, Ref::NONE], imm);
        } else if self.chance(2) {
            self.push(Op::Load, ty, [addr, Ref::NONE, Ref::NONE], imm);
        } else {
            let v = self.value(ty);
            self.push(Op::Store, ty, [addr, v, Ref::NONE], imm);
        }
    }

    fn atomic(&mut self) {
        let ty = self.int_ty();
        let (op, addr) = self.access(ty, true);
        let v = self.value(ty);
        if self.chance(2) {
            let expected = self.value(ty);
            self.push(Op::Cas, ty, [addr, expected, v], Inst::mem_imm(op, 0, 0));
        } else {
            let rmw = RmwOp::ALL[self.below(RmwOp::ALL.len())];
            self.push(Op::Rmw, ty, [addr, v, Ref::NONE], Inst::mem_imm(op, rmw as u8, 0));
        }
    }

    fn floating(&mut self) {
        let first = Op::OTHER.iter().position(|op| op.is_fp()).unwrap_or(0);
        let ops = &Op::OTHER[first..];
        let op = ops[self.below(ops.len())];
        let kind = match fp_kinds(op) {
            64 => 0,
            kinds => self.below(usize::from(kinds)) as u8,
        };
        let rm = self.below(Rm::ALL.len() + 3);
        let round = Rm::ALL.get(rm).map_or(Round::Dynamic, |rm| Round::Static(*rm));
        let envs = (0..4).filter(|env| self.plan.layout.by_slot(Slot::fp_flags(*env)).is_some()).count();
        if envs == 0 {
            return;
        }
        let attr = FpAttr { fmt: Fmt::from_bits(self.below(4) as u32), env: self.below(envs) as u8, round, kind };
        let ty = match op {
            Op::FClass => self.int_ty(),
            Op::FCvt => Fmt::from_bits(u32::from(kind)).ty(),
            Op::FToS32 | Op::FToU32 | Op::FToModS32 => Ty::I32,
            Op::FToS64 | Op::FToU64 => Ty::I64,
            _ => attr.fmt.ty(),
        };
        self.with_operands(op, ty, u64::from(attr.pack()));
    }

    fn helper(&mut self) {
        if self.plan.helpers.is_empty() {
            return;
        }
        let index = self.below(self.plan.helpers.len());
        if self.plan.helpers[index].faults && !self.plan.faults {
            return;
        }
        let mut args = [Ref::NONE; 3];
        let count = self.below(4);
        for arg in &mut args[..count] {
            // Helpers do not know the types of their arguments, and half of an I32 is not defined.
            let ty = if self.chance(4) { Ty::Bool } else { Ty::I64 };
            *arg = self.value(ty);
        }
        let ty = self.int_ty();
        let payload = self.below(1 << 20) as u64;
        self.push(Op::Helper, ty, args, index as u64 | payload << 16);
    }

    fn control(&mut self) {
        match self.below(6) {
            0 => {
                let imm = self.pc.wrapping_add(self.below(64) as u64 * 4);
                self.with_operands(Op::ExitIf, Ty::Bool, imm);
            }
            1 => {
                let cause = self.below(16) as u64;
                self.with_operands(Op::TrapIf, Ty::Bool, cause);
            }
            2..=3 => self.branch(),
            _ => {
                if !self.open.is_empty() {
                    let at = self.below(self.open.len());
                    let label = self.open.swap_remove(at);
                    self.bind(label);
                }
            }
        }
    }

    fn branch(&mut self) {
        let at = self.below(self.open.len() + 1);
        let always = !self.open.is_empty() && self.chance(4);
        let cond = if always { Ref::NONE } else { self.value(Ty::Bool) };
        let set: Vec<bool> = self.locals.iter().map(|(_, set)| *set).collect();
        if at == self.open.len() {
            self.open.push(Open { label: self.labels, first: self.insts.len(), set });
            self.labels += 1;
        } else {
            let there = &mut self.open[at].set;
            // Locals that came later were not set on the earlier branches.
            there.truncate(set.len());
            for (a, b) in there.iter_mut().zip(&set) {
                *a &= *b;
            }
        }
        let label = u64::from(self.open[at].label);
        if always {
            self.push(Op::Br, Ty::Bool, [Ref::NONE; 3], label);
            // What follows is reached through a label only.
            let other = self.below(self.open.len());
            let other = self.open.swap_remove(other);
            self.bind(other);
        } else {
            self.push(Op::BrIf, Ty::Bool, [cond, Ref::NONE, Ref::NONE], label);
        }
    }

    fn bind(&mut self, open: Open) {
        self.values.retain(|(r, _)| r.index() < open.first);
        for (n, local) in self.locals.iter_mut().enumerate() {
            local.1 &= open.set.get(n).copied().unwrap_or(false);
        }
        self.push(Op::Bind, Ty::Bool, [Ref::NONE; 3], u64::from(open.label));
    }

    fn exit(&mut self) -> Exit {
        let (pc, other) = (self.pc, self.pc.wrapping_add(0x100));
        match self.below(12) {
            0 => Exit::Call(other, pc),
            1..=2 => Exit::Branch(self.value(Ty::Bool), other, pc),
            3 => Exit::Indirect(self.value(Ty::I64), Hint::Jump),
            4 => Exit::Indirect(self.value(Ty::I64), Hint::Call(pc)),
            5 => Exit::Indirect(self.value(Ty::I64), Hint::Return),
            6 => Exit::Syscall(pc),
            7 => {
                let value = if self.chance(3) { Ref::NONE } else { self.value(Ty::I64) };
                Exit::Trap(self.below(16) as u32, value)
            }
            8 => Exit::Resync(pc),
            9 => Exit::Halt(pc),
            10 => Exit::Yield(pc),
            _ => Exit::Goto(pc),
        }
    }
}
