//! Instructions, operations, exits, blocks.

use super::Ty;
use crate::mem::MemOp;
use bumpalo::collections::Vec as BumpVec;
use smallvec::SmallVec;

/// Position of an instruction in its block, standing for its value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ref(pub u32);

impl Ref {
    /// No value.
    pub const NONE: Ref = Ref(u32::MAX);

    /// `Some(self)` unless it is [`Ref::NONE`].
    #[must_use]
    pub fn some(self) -> Option<Ref> {
        (self != Ref::NONE).then_some(self)
    }

    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! define_ops {
    ( binary { $($(#[$bm:meta])* $b:ident $bf:ident ($ba:ident, $bb:ident) = $be:expr;)* }
      compare { $($(#[$cm:meta])* $c:ident $cf:ident ($ca:ident, $cb:ident) = $ce:expr;)* }
      unary { $($(#[$um:meta])* $u:ident $uf:ident ($ua:ident) = $ue:expr;)* }
      convert { $($(#[$vm:meta])* $v:ident $vf:ident ($va:ident: $vt:ident $vti:ty) -> $vr:ident $vri:ty = $ve:expr;)* } ) => {
        /// An operation.  The pure integer ones come from [`super::ops`], the rest is listed here with what it does.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Op {
            $($(#[$bm])* $b,)*
            $($(#[$cm])* $c,)*
            $($(#[$um])* $u,)*
            $($(#[$vm])* $v,)*
            /// The constant `imm`.
            Const,
            /// `args[0]` (Bool) chooses `args[1]` or `args[2]`.
            Select,
            /// A Bool as an integer, 0 or 1.
            BoolInt,
            /// The value of slot `imm`.
            Get,
            /// Slot `imm` becomes `args[0]`.
            Set,
            /// The value of local `imm`, a variable of this block that may cross labels.
            GetLocal,
            /// Local `imm` becomes `args[0]`.
            SetLocal,
            /// Load from `args[0]`; `imm` is a [`MemOp`] and displacement, see [`Inst::mem`].
            Load,
            /// Store `args[1]` at `args[0]`; `imm` as for `Load`.
            Store,
            /// Atomic read-modify-write at `args[0]` with operand `args[1]`; gives the old value; `imm`: memop, op << 16.
            Rmw,
            /// Atomic compare (`args[1]`) and swap (`args[2]`) at `args[0]`; gives the old value; `imm`: memop.
            Cas,
            /// Faults as a store to `args[0]` would, and stores nothing; `imm` as for `Load`.  For instructions that store
            /// more than once: all their bytes are probed before the first is written.
            Probe,
            /// Memory barrier.
            Fence,
            /// Helper `imm & 0xffff` of the frontend, with payload `imm >> 16` and up to three arguments.
            Helper,
            /// The number of instructions retired before the current one.
            Icount,
            /// A guest instruction begins; `imm` is its address.  No branch skips it.
            Insn,
            /// Leaves to address `imm` if `args[0]`; the current instruction has retired.
            ExitIf,
            /// Traps with cause `imm` and value `args[1]` if `args[0]`; the current instruction has not retired.
            TrapIf,
            /// Goes to label `imm` if `args[0]`.
            BrIf,
            /// Goes to label `imm`.
            Br,
            /// Label `imm` is here.
            Bind,
            /// Sum, difference, product, quotient, IEEE remainder; attributes in `imm`, see [`super::fp::FpAttr`].
            FAdd,
            /// Difference.
            FSub,
            /// Product.
            FMul,
            /// Quotient.
            FDiv,
            /// Minimum by the rule in `kind`.
            FMin,
            /// Maximum by the rule in `kind`.
            FMax,
            /// Square root.
            FSqrt,
            /// Rounded to an integer in the same format; `kind` 1 raises inexact.
            FRint,
            /// Fused `args[0] * args[1] + args[2]`.
            FMulAdd,
            /// Quiet equality.
            FEq,
            /// Signalling less than.
            FLt,
            /// Signalling less than or equal.
            FLe,
            /// Quiet less than.
            FLtQuiet,
            /// Quiet less than or equal.
            FLeQuiet,
            /// Class bits in the RISC-V order.
            FClass,
            /// To the format in `kind`.
            FCvt,
            /// To signed 32-bit; `kind` is the out-of-range style.
            FToS32,
            /// To unsigned 32-bit.
            FToU32,
            /// To signed 64-bit.
            FToS64,
            /// To unsigned 64-bit.
            FToU64,
            /// To signed 32-bit modulo 2^32, truncating (RISC-V `fcvtmod.w.d`).
            FToModS32,
            /// From signed 32-bit.
            FFromS32,
            /// From unsigned 32-bit.
            FFromU32,
            /// From signed 64-bit.
            FFromS64,
            /// From unsigned 64-bit.
            FFromU64,
        }

        impl Op {
            /// The pure binary operations.
            pub const BINARY: &[Op] = &[$(Op::$b),*];
            /// The comparisons.
            pub const COMPARE: &[Op] = &[$(Op::$c),*];
            /// The pure unary operations.
            pub const UNARY: &[Op] = &[$(Op::$u),*];
            /// The conversions.
            pub const CONVERT: &[Op] = &[$(Op::$v),*];
            /// Every other operation.
            pub const OTHER: &[Op] = &[
                Op::Const, Op::Select, Op::BoolInt, Op::Get, Op::Set, Op::GetLocal, Op::SetLocal, Op::Load, Op::Store,
                Op::Rmw, Op::Cas, Op::Probe, Op::Fence, Op::Helper, Op::Icount, Op::Insn, Op::ExitIf, Op::TrapIf, Op::BrIf, Op::Br,
                Op::Bind, Op::FAdd, Op::FSub, Op::FMul, Op::FDiv, Op::FMin, Op::FMax, Op::FSqrt, Op::FRint, Op::FMulAdd,
                Op::FEq, Op::FLt, Op::FLe, Op::FLtQuiet, Op::FLeQuiet, Op::FClass, Op::FCvt, Op::FToS32, Op::FToU32,
                Op::FToS64, Op::FToU64, Op::FToModS32, Op::FFromS32, Op::FFromU32, Op::FFromS64, Op::FFromU64,
            ];

            /// Name in the text form.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Op::$b => stringify!($bf),)*
                    $(Op::$c => stringify!($cf),)*
                    $(Op::$u => stringify!($uf),)*
                    $(Op::$v => stringify!($vf),)*
                    Op::Const => "const", Op::Select => "select", Op::BoolInt => "bool_int", Op::Get => "get",
                    Op::Set => "set", Op::GetLocal => "get_local", Op::SetLocal => "set_local", Op::Load => "load",
                    Op::Store => "store", Op::Rmw => "rmw", Op::Cas => "cas", Op::Probe => "probe", Op::Fence => "fence",
                    Op::Helper => "helper", Op::Icount => "icount", Op::Insn => "insn", Op::ExitIf => "exit_if",
                    Op::TrapIf => "trap_if", Op::BrIf => "br_if", Op::Br => "br", Op::Bind => "bind",
                    Op::FAdd => "fadd", Op::FSub => "fsub", Op::FMul => "fmul", Op::FDiv => "fdiv", Op::FMin => "fmin",
                    Op::FMax => "fmax", Op::FSqrt => "fsqrt", Op::FRint => "frint", Op::FMulAdd => "fmuladd",
                    Op::FEq => "feq", Op::FLt => "flt", Op::FLe => "fle", Op::FLtQuiet => "fltq", Op::FLeQuiet => "fleq",
                    Op::FClass => "fclass", Op::FCvt => "fcvt", Op::FToS32 => "ftos32", Op::FToU32 => "ftou32",
                    Op::FToS64 => "ftos64", Op::FToU64 => "ftou64", Op::FToModS32 => "ftomods32",
                    Op::FFromS32 => "ffroms32", Op::FFromU32 => "ffromu32", Op::FFromS64 => "ffroms64",
                    Op::FFromU64 => "ffromu64",
                }
            }

            /// The operation with this name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Op> {
                [Op::BINARY, Op::COMPARE, Op::UNARY, Op::CONVERT, Op::OTHER]
                    .into_iter().flatten().copied().find(|op| op.name() == name)
            }
        }

        /// Meaning of a binary operation or comparison on values of type `ty` (`I32` or `I64`; a Bool counts as `I64`).
        #[must_use]
        pub fn eval2(op: Op, ty: Ty, x: u64, y: u64) -> u64 {
            match op {
                $(Op::$b => if ty == Ty::I32 {
                    #[allow(dead_code, reason = "not every row needs every width")]
                    { type T = u32; type S = i32; type W = u64; type SW = i64;
                      let ($ba, $bb) = (x as T, y as T); <u64 as From<T>>::from($be) }
                } else {
                    #[allow(dead_code, clippy::unnecessary_cast, reason = "not every row needs every width")]
                    { type T = u64; type S = i64; type W = u128; type SW = i128;
                      let ($ba, $bb) = (x as T, y as T); $be }
                },)*
                $(Op::$c => u64::from(if ty == Ty::I32 {
                    #[allow(dead_code, reason = "not every row is signed")]
                    { type S = i32; let ($ca, $cb) = (x as u32, y as u32); $ce }
                } else {
                    #[allow(dead_code, reason = "not every row is signed")]
                    { type S = i64; let ($ca, $cb) = (x, y); $ce }
                }),)*
                _ => 0,
            }
        }

        /// Meaning of a unary operation on a value of type `ty`.
        #[must_use]
        pub fn eval1(op: Op, ty: Ty, x: u64) -> u64 {
            match op {
                $(Op::$u => if ty == Ty::I32 {
                    #[allow(dead_code, clippy::cast_lossless, reason = "not every row is signed")]
                    { type T = u32; type S = i32; let $ua = x as T; <u64 as From<T>>::from($ue) }
                } else {
                    #[allow(dead_code, clippy::unnecessary_cast, reason = "not every row is signed")]
                    { type T = u64; type S = i64; let $ua = x as T; $ue }
                },)*
                _ => 0,
            }
        }

        /// Meaning of a conversion.
        #[must_use]
        pub fn eval_convert(op: Op, x: u64) -> u64 {
            match op {
                $(Op::$v => {
                    #[allow(clippy::unnecessary_cast, reason = "rows differ in width")]
                    let $va = x as $vti;
                    u64::from($ve)
                })*
                _ => 0,
            }
        }

        /// Result and operand types of a conversion.
        #[must_use]
        pub fn convert_types(op: Op) -> Option<(Ty, Ty)> {
            match op {
                $(Op::$v => Some((Ty::$vr, Ty::$vt)),)*
                _ => None,
            }
        }
    };
}
crate::with_pure_ops!(define_ops);

impl Op {
    /// Is it a pure binary operation with a result of the operands' type?
    #[must_use]
    pub fn is_binary(self) -> bool {
        (self as u8) < Op::COMPARE[0] as u8
    }

    /// Is it a comparison?
    #[must_use]
    pub fn is_compare(self) -> bool {
        self as u8 >= Op::COMPARE[0] as u8 && (self as u8) < Op::UNARY[0] as u8
    }

    /// Is it a pure unary operation with a result of the operand's type?
    #[must_use]
    pub fn is_unary(self) -> bool {
        self as u8 >= Op::UNARY[0] as u8 && (self as u8) < Op::CONVERT[0] as u8
    }

    /// Is it a conversion between types?
    #[must_use]
    pub fn is_convert(self) -> bool {
        self as u8 >= Op::CONVERT[0] as u8 && (self as u8) < Op::Const as u8
    }

    /// Is it a floating-point operation?
    #[must_use]
    pub fn is_fp(self) -> bool {
        self as u8 >= Op::FAdd as u8
    }

    /// Has it no effect but its value, so that it may go if nobody uses it?
    #[must_use]
    pub fn is_pure(self) -> bool {
        PROPERTIES[self as usize] & PURE != 0
    }

    /// May the state be observed at this operation (fault, exit, trap, label, helper), so that slots must be complete?
    #[must_use]
    pub fn observes(self) -> bool {
        PROPERTIES[self as usize] & OBSERVES != 0
    }

    /// Does the order of the operands not matter?
    #[must_use]
    pub fn commutes(self) -> bool {
        use Op::{
            Add, And, Clmul, Clmulh, Eq, Maxs, Maxu, Mins, Minu, Mul, Mulhs, Mulhu, Ne, Or, TestClear, TestSet, Xnor,
            Xor,
        };
        matches!(
            self,
            Add | And
                | Or
                | Xor
                | Xnor
                | Mul
                | Mulhu
                | Mulhs
                | Mins
                | Maxs
                | Minu
                | Maxu
                | Clmul
                | Clmulh
                | Eq
                | Ne
                | TestSet
                | TestClear
        )
    }

    /// The comparison that holds exactly when this one does not, and whether its operands are swapped.
    #[must_use]
    pub fn inverse(self) -> Option<(Op, bool)> {
        Some(match self {
            Op::Eq => (Op::Ne, false),
            Op::Ne => (Op::Eq, false),
            Op::Lts => (Op::Les, true),
            Op::Les => (Op::Lts, true),
            Op::Ltu => (Op::Leu, true),
            Op::Leu => (Op::Ltu, true),
            Op::TestSet => (Op::TestClear, false),
            Op::TestClear => (Op::TestSet, false),
            _ => return None,
        })
    }
}

/// See [`Op::is_pure`].
const PURE: u8 = 1;
/// See [`Op::observes`].
const OBSERVES: u8 = 2;

/// Properties of operations by number: a look-up is what translation can afford for each operation.
const PROPERTIES: [u8; 256] = {
    use Op::{Bind, Br, BrIf, Cas, ExitIf, GetLocal, Helper, Icount, Load, Probe, Rmw, Store, TrapIf};
    const fn add(table: &mut [u8; 256], list: &[Op], property: u8) {
        let mut i = 0;
        while i < list.len() {
            table[list[i] as usize] |= property;
            i += 1;
        }
    }
    let mut table = [0; 256];
    let mut i = 0;
    while i <= Op::Get as usize {
        table[i] = PURE;
        i += 1;
    }
    add(&mut table, &[GetLocal, Icount], PURE);
    add(&mut table, &[Load, Store, Rmw, Cas, Probe, Helper, ExitIf, TrapIf, BrIf, Br, Bind], OBSERVES);
    table
};

/// One operation with its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Type of the result; of the operands where there is no result; comparisons: of the operands.
    pub ty: Ty,
    /// Operands; unused ones are [`Ref::NONE`].
    pub args: [Ref; 3],
    /// Constant part, see [`Op`].
    pub imm: u64,
}

impl Inst {
    /// Memory attributes and displacement of `Load`, `Store`; attributes of `Rmw`, `Cas`.
    #[must_use]
    pub fn mem(&self) -> (MemOp, i32) {
        (MemOp::unpack(self.imm as u16), (self.imm >> 32) as i32)
    }

    /// Packs memory attributes, an extra number (the atomic operation) and a displacement.
    #[must_use]
    pub fn mem_imm(op: MemOp, extra: u8, disp: i32) -> u64 {
        u64::from(op.pack()) | u64::from(extra) << 16 | u64::from(disp as u32) << 32
    }

    /// Type of the value that it defines, if it defines one.
    #[must_use]
    pub fn result(&self) -> Option<Ty> {
        match self.op {
            op if op.is_compare() => Some(Ty::Bool),
            Op::Set
            | Op::SetLocal
            | Op::Store
            | Op::Probe
            | Op::Fence
            | Op::Insn
            | Op::ExitIf
            | Op::TrapIf
            | Op::BrIf
            | Op::Br
            | Op::Bind => None,
            Op::FEq | Op::FLt | Op::FLe | Op::FLtQuiet | Op::FLeQuiet => Some(Ty::Bool),
            _ => Some(self.ty),
        }
    }

    /// The operands that are there.
    pub fn operands(&self) -> impl Iterator<Item = Ref> + '_ {
        self.args.iter().copied().filter(|r| *r != Ref::NONE)
    }
}

/// What kind of jump an indirect exit is.  Hints may be ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// Any jump.
    Jump,
    /// A call that returns to this address.
    Call(u64),
    /// A return.
    Return,
}

/// How a block ends.  The dumbest correct implementation of each is in its doc.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Set pc, look the next block up.
    Goto(u64),
    /// As `Goto(target)`; the hint says that a return to the second address is likely.
    Call(u64, u64),
    /// If the Bool holds go to the first address, else to the second.
    Branch(Ref, u64, u64),
    /// Set pc to the value, look the next block up.
    Indirect(Ref, Hint),
    /// Set pc to this address (after the system call instruction, which has retired) and hand control back.
    Syscall(u64),
    /// pc stays at the current instruction, which has not retired; hand control back with cause and value.
    Trap(u32, Ref),
    /// Set pc to this address and hand control to the engine, which looks at everything afresh (mode, pending work).
    Resync(u64),
    /// Set pc to this address and stop the CPU until something happens.
    Halt(u64),
    /// Set pc to this address and let other CPUs run first.
    Yield(u64),
}

impl Exit {
    /// The value that it uses.
    #[must_use]
    pub fn operand(&self) -> Option<Ref> {
        match *self {
            Exit::Branch(r, ..) | Exit::Indirect(r, _) | Exit::Trap(_, r) => r.some(),
            _ => None,
        }
    }
}

/// Everything that translation read besides the code bytes themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BlockKey {
    /// Guest virtual address of the first instruction.
    pub pc: u64,
    /// The frontend's packed mode word.
    pub mode: u32,
}

/// A finished block.  Its text form is in [`super::text`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block<'a> {
    /// Its key.
    pub key: BlockKey,
    /// Its operations.
    pub insts: BumpVec<'a, Inst>,
    /// Its end.
    pub exit: Exit,
    /// Number of guest instructions (of [`Op::Insn`] markers).
    pub insns: u32,
    /// Number of locals.
    pub locals: u32,
    /// Number of labels.
    pub labels: u32,
    /// Physical pages that the code came from.
    pub pages: SmallVec<[u64; 2]>,
}
