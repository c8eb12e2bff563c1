//! Physical memory protection (privileged manual, "Physical Memory Protection"; Smepmp).

use crate::privileged::{M, Unit};
use crate::state::{MSECCFG, pmpaddr, pmpcfg};
use tern_core::mem::{Access, PAGE_MASK};
use tern_core::state::State;

/// Reads allowed.
pub(crate) const R: u64 = 1;
/// Writes allowed.
pub(crate) const W: u64 = 2;
/// Execution allowed.
pub(crate) const X: u64 = 4;
/// Locked.
pub(crate) const L: u64 = 0x80;
/// How addresses match: off, top of range, four bytes, a power of two.
const MATCH: u64 = 0x18;

/// Machine mode may use only what its rules allow.
pub(crate) const MML: u64 = 1;
/// Machine mode may not use what no rule allows.
pub(crate) const MMWP: u64 = 2;
/// Locks can be opened.
pub(crate) const RLB: u64 = 4;

/// Bits of an address register that count: physical addresses have 56 bits, 34 on RV32.
pub(crate) const fn address_mask(unit: Unit) -> u64 {
    if unit.rv32() { u32::MAX as u64 } else { (1 << 54) - 1 }
}

/// What the answer for an access is, and whether it is the same for its whole page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) whole_page: bool,
}

/// Configuration of entry `n`.
pub(crate) fn config(state: &State, unit: Unit, n: u32) -> u64 {
    state.get(pmpcfg(n / 8, unit.vlen())) >> (8 * (n % 8)) & 0xff
}

/// First and last byte of entry `n`; `None`: it matches nothing.
fn range(state: &State, unit: Unit, n: u32, config: u64) -> Option<(u64, u64)> {
    let address = state.get(pmpaddr(n, unit.vlen()));
    match config & MATCH {
        0x08 => {
            let from = if n == 0 { 0 } else { state.get(pmpaddr(n - 1, unit.vlen())) };
            (from < address).then(|| (from << 2, (address << 2) - 1))
        }
        0x10 => Some((address << 2, address << 2 | 3)),
        0x18 => {
            let ones = address ^ (address.wrapping_add(1));
            Some(((address & !ones) << 2, (address | ones) << 2 | 3))
        }
        _ => None,
    }
}

/// What the entry grants to machine mode, and to the others.
fn grants(config: u64, mml: bool, machine: bool) -> u64 {
    let (rwx, locked) = (config & (R | W | X), config & L != 0);
    if !mml {
        return if machine && !locked { R | W | X } else { rwx };
    }
    // Smepmp, table "mseccfg.MML": W without R is shared memory.
    match (rwx & (R | W) == W, locked) {
        (true, false) if rwx & X == 0 => R | if machine { W } else { 0 },
        (true, false) => R | W,
        (true, true) if rwx & X == 0 => X,
        (true, true) => X | if machine { R } else { 0 },
        (false, true) if rwx == R | W | X => R,
        (false, _) if locked == machine => rwx,
        _ => 0,
    }
}

/// May `privilege` make this access at a physical address?
pub(crate) fn check(state: &State, unit: Unit, addr: u64, access: Access, privilege: u64) -> Verdict {
    let needs = match access {
        Access::Load => R,
        Access::Store => W,
        Access::Fetch => X,
    };
    let machine = privilege == M;
    let security = state.get(MSECCFG);
    let (first, last) = (addr & !PAGE_MASK, addr | PAGE_MASK);
    let mut whole_page = true;
    for n in 0..unit.pmp() {
        let config = config(state, unit, n);
        let Some((from, to)) = range(state, unit, n, config) else { continue };
        if from > last || to < first {
            continue;
        }
        whole_page &= from <= first && to >= last;
        if (from..=to).contains(&addr) {
            let allowed = grants(config, security & MML != 0, machine) & needs != 0;
            return Verdict { allowed, whole_page };
        }
    }
    let allowed = match machine {
        true => security & MMWP == 0 && (security & MML == 0 || access != Access::Fetch),
        false => unit.pmp() == 0,
    };
    Verdict { allowed, whole_page }
}

/// May software write the configuration of entry `n`?
pub(crate) fn writable(state: &State, unit: Unit, n: u32) -> bool {
    config(state, unit, n) & L == 0 || state.get(MSECCFG) & RLB != 0
}

/// May software write the address of entry `n`?  The next entry's lock holds it too if that is a top of range.
pub(crate) fn address_writable(state: &State, unit: Unit, n: u32) -> bool {
    let next = if n + 1 < unit.pmp() { config(state, unit, n + 1) } else { 0 };
    let held = next & L != 0 && next & MATCH == 0x08 && state.get(MSECCFG) & RLB == 0;
    writable(state, unit, n) && !held
}

/// What a configuration becomes when software writes `new` over `old`.
pub(crate) fn legalize(state: &State, old: u64, new: u64) -> u64 {
    let new = new & (L | MATCH | R | W | X);
    let security = state.get(MSECCFG);
    if security & MML == 0 {
        // Reserved: W without R.
        return if new & (R | W) == W { new & !W } else { new };
    }
    // With MML no rule that machine mode could execute from may be added unless locks can be opened.
    let shared = new & (R | W) == W;
    let executes = new & L != 0 && new & X != 0 && new & (R | W | X) != R | W | X || new & L != 0 && shared;
    if executes && security & RLB == 0 { old } else { new }
}
