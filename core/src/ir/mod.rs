//! The typed intermediate representation.
//!
//! A [`Block`] is a straight list of [`Inst`]s, each defining at most one value, referred to by position ([`Ref`]).  It
//! begins at a guest address, contains one [`Op::Insn`] marker per guest instruction, may leave early ([`Op::ExitIf`],
//! [`Op::TrapIf`]) and ends in one [`Exit`].  Control flow inside is forward only ([`Op::BrIf`], [`Op::Br`],
//! [`Op::Bind`]); values do not cross a [`Op::Bind`], slots and locals do.
//!
//! **Precise state (I2).**  At every operation for which [`Op::observes`] holds, all slots must be what the architecture
//! says they are before the current instruction: frontends order effects so, passes keep it so.

pub mod bits;
mod builder;
pub mod eval;
pub mod fp;
pub mod fpfast;
mod inst;
pub mod ops;
pub mod opt;
pub mod parse;
pub mod random;
pub mod signature;
pub mod text;
pub mod verify;

pub use builder::{Builder, Label, Local};
pub use inst::{Block, BlockKey, Exit, Hint, Inst, Op, Ref, convert_types, eval_convert, eval1, eval2};

use core::marker::PhantomData;

/// Type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Ty {
    /// 32 bits.  In a slot or host register the upper half is not defined.
    I32,
    /// 64 bits; also guest addresses.
    I64,
    /// 0 or 1.
    Bool,
}

impl Ty {
    /// The bits of a slot that are defined for this type.
    #[must_use]
    pub const fn mask(self) -> u64 {
        match self {
            Ty::I32 => 0xffff_ffff,
            Ty::I64 => u64::MAX,
            Ty::Bool => 1,
        }
    }
}

/// Marker of [`Ty::I32`].
#[derive(Clone, Copy, Debug)]
pub struct I32;
/// Marker of [`Ty::I64`].
#[derive(Clone, Copy, Debug)]
pub struct I64;
/// Marker of [`Ty::Bool`].
#[derive(Clone, Copy, Debug)]
pub struct Bool;

/// A type marker.
pub trait ValTy: Copy {
    /// The type.
    const TY: Ty;
}
/// A marker of an integer type that arithmetic works on.
pub trait IntTy: ValTy {}

impl ValTy for I32 {
    const TY: Ty = Ty::I32;
}
impl ValTy for I64 {
    const TY: Ty = Ty::I64;
}
impl ValTy for Bool {
    const TY: Ty = Ty::Bool;
}
impl IntTy for I32 {}
impl IntTy for I64 {}

/// A typed value of the block that is being built.  Mixing widths does not compile.
#[derive(Clone, Copy, Debug)]
pub struct Val<T> {
    pub(crate) id: Ref,
    ty: PhantomData<T>,
}

impl<T: ValTy> Val<T> {
    pub(crate) const fn new(id: Ref) -> Val<T> {
        Val { id, ty: PhantomData }
    }

    /// The untyped reference.
    #[must_use]
    pub const fn raw(self) -> Ref {
        self.id
    }
}
