//! What the vector chapters share: a body names an operation of [`crate::vector`] and says where its scalar comes from.

use crate::translate::{Tr, X};
use crate::vector::Operation;
use crate::vector::config::Config;
use crate::vector::mem::Memory;
use tern_core::ir::{I64, Ref};

/// Calls the operation's helper with up to two scalars.  `None`: the instruction is illegal, and a trap is set.
fn call<O: Operation>(t: &mut Tr<'_>, operation: O, scalars: [X; 2]) -> Option<X> {
    if O::FLOAT && !t.frm_valid() {
        t.illegal();
        return None;
    }
    let unit = t.b.iconst::<I64>(t.cpu.vector.pack());
    let args: [Ref; 3] = [scalars[0].raw(), scalars[1].raw(), unit.raw()];
    let payload = t.word | u64::from(operation.number()) << 32;
    Some(t.b.helper::<I64>(O::HELPER, payload, &args, true))
}

fn with<O: Operation>(t: &mut Tr<'_>, operation: O, scalar: X) -> Option<X> {
    let none = t.b.iconst(0);
    call(t, operation, [scalar, none])
}

/// All operands are vectors.
pub(super) fn by_vector<O: Operation>(t: &mut Tr<'_>, operation: O) {
    let none = t.b.iconst(0);
    with(t, operation, none);
}

/// The second operand is an integer register.
pub(super) fn by_x<O: Operation>(t: &mut Tr<'_>, operation: O, a: i64) {
    let a = t.x(a);
    with(t, operation, a);
}

/// The second operand is a constant.
pub(super) fn by_constant<O: Operation>(t: &mut Tr<'_>, operation: O, i: i64) {
    let i = t.b.sconst(i);
    with(t, operation, i);
}

/// The second operand is a floating-point register.
pub(super) fn by_f<O: Operation>(t: &mut Tr<'_>, operation: O, a: i64) {
    let a = t.f64(a);
    with(t, operation, a);
}

/// The result goes to an integer register.
pub(super) fn to_x<O: Operation>(t: &mut Tr<'_>, operation: O, d: i64) {
    let none = t.b.iconst(0);
    if let Some(v) = with(t, operation, none) {
        t.set_x(d, v);
    }
}

/// The result goes to a floating-point register.
pub(super) fn to_f<O: Operation>(t: &mut Tr<'_>, operation: O, d: i64) {
    let none = t.b.iconst(0);
    if let Some(v) = with(t, operation, none) {
        t.set_f64(d, v);
    }
}

/// A load or store at `a`, at distances of `b`.
pub(super) fn memory(t: &mut Tr<'_>, operation: Memory, a: i64, b: Option<i64>) {
    let base = t.x(a);
    let stride = match b {
        Some(b) => t.x(b),
        None => t.b.iconst(0),
    };
    call(t, operation, [base, stride]);
}

/// A new configuration; the new length goes to `d`.
pub(super) fn configure(t: &mut Tr<'_>, d: i64, operation: Config, wanted: X, vtype: X) {
    if let Some(vl) = call(t, operation, [wanted, vtype]) {
        t.set_x(d, vl);
    }
}

/// The same with the wanted length in register `a`: with `x0`, the longest, or what it is if `d` is `x0` too.
pub(super) fn configure_by_register(t: &mut Tr<'_>, d: i64, a: i64, vtype: X) {
    let operation = match (d, a) {
        (0, 0) => Config::Keep,
        (_, 0) => Config::Longest,
        _ => Config::Set,
    };
    let wanted = t.x(a);
    configure(t, d, operation, wanted, vtype);
}
