//! The advanced interrupt architecture (Smaia, Ssaia): top interrupts, and the way to the interrupt files.
//!
//! The files (IMSIC) are devices.  A CPU reaches its own through [`tern_core::engine::Platform::cpu_register`], under the
//! number `file << 16 | which`:
//!
//! * `file`: 3 is machine level, 1 supervisor level, 0x10 + n guest file n;
//! * `which`: 0x1000 + i for the register that `*iselect` = i selects (0x70 `eidelivery`, 0x72 `eithreshold`, 0x80 on
//!   `eip`, 0xc0 on `eie`), 0x2000 for `*topei`, where any write claims.
//!
//! All bytes of the `iprio` arrays are read-only zero, so priorities are the default ones and IPRIO is always 1.

use crate::csr::{R, Reach};
use crate::insn::csr::Kind;
use crate::interrupt;
use crate::privileged::{hstatus, irq};
use crate::state::{HIDELEG, HSTATUS, HVICTL, MIDELEG, MIE, MIP, MISELECT, SISELECT, VIRTUAL, VSISELECT};
use tern_core::frontend::HelperExit;
use tern_core::state::State;

const MACHINE: u32 = 3;
const SUPERVISOR: u32 = 1;
const GUEST: u32 = 0x10;
const INDIRECT: u32 = 0x1000;
const TOP: u32 = 0x2000;

/// Value and mask for [`tern_core::engine::Platform::cpu_register`].
fn change(kind: Kind, operand: u64, xlen_mask: u64) -> Option<(u64, u64)> {
    match kind {
        Kind::Read => None,
        Kind::Write => Some((operand & xlen_mask, xlen_mask)),
        Kind::Set => Some((xlen_mask, operand & xlen_mask)),
        Kind::Clear => Some((0, operand & xlen_mask)),
    }
}

fn external(r: &mut Reach<'_, '_>, register: u32, kind: Kind, operand: u64) -> R<u64> {
    let mask = if r.unit.rv32() { 0xffff_ffff } else { u64::MAX };
    let refused = refusal(r);
    r.cx.platform.cpu_register(register, change(kind, operand, mask)).ok_or(refused)
}

/// The trap for a register that is not there: the guest's hypervisor could provide it.
fn refusal(r: &Reach<'_, '_>) -> HelperExit {
    if r.cx.state.get(VIRTUAL) != 0 { r.virtual_instruction() } else { r.illegal() }
}

/// What `mireg` and `sireg` reach.
fn indirect(r: &mut Reach<'_, '_>, file: u32, select: u64, kind: Kind, operand: u64) -> R<u64> {
    // On RV64 odd numbers are the upper halves of even ones.
    let odd = !r.unit.rv32() && select & 1 == 1;
    match select {
        0x30..=0x3f if !odd && file < GUEST => Ok(0),
        0x70..=0x7f => external(r, file << 16 | INDIRECT | select as u32, kind, operand),
        0x80..=0xff if !odd => external(r, file << 16 | INDIRECT | select as u32, kind, operand),
        _ => Err(refusal(r)),
    }
}

pub(crate) fn mireg(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    let select = r.cx.state.get(MISELECT);
    indirect(r, MACHINE, select, kind, operand)
}

pub(crate) fn sireg(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    let select = r.cx.state.get(SISELECT);
    indirect(r, SUPERVISOR, select, kind, operand)
}

/// The guest's interrupt file; `None`: it has none.
fn guest_file(state: &State) -> Option<u32> {
    match state.get(HSTATUS) >> hstatus::VGEIN_SHIFT & hstatus::GEILEN {
        0 => None,
        file => Some(GUEST + file as u32),
    }
}

pub(crate) fn vsireg(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    let select = r.cx.state.get(VSISELECT);
    match guest_file(r.cx.state) {
        Some(file) => indirect(r, file, select, kind, operand),
        None => Err(refusal(r)),
    }
}

pub(crate) fn mtopei(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    external(r, MACHINE << 16 | TOP, kind, operand)
}

pub(crate) fn stopei(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    external(r, SUPERVISOR << 16 | TOP, kind, operand)
}

pub(crate) fn vstopei(r: &mut Reach<'_, '_>, kind: Kind, operand: u64) -> R<u64> {
    match guest_file(r.cx.state) {
        Some(file) => external(r, file << 16 | TOP, kind, operand),
        None => Err(refusal(r)),
    }
}

/// A top interrupt register's value.
fn top(n: Option<u32>) -> u64 {
    n.map_or(0, |n| u64::from(n) << 16 | 1)
}

pub(crate) fn mtopi(r: &mut Reach<'_, '_>) -> u64 {
    let state = &r.cx.state;
    top(interrupt::first(state.get(MIP) & state.get(MIE) & !state.get(MIDELEG)))
}

pub(crate) fn stopi(r: &mut Reach<'_, '_>) -> u64 {
    let state = &r.cx.state;
    top(interrupt::first(state.get(MIP) & state.get(MIE) & state.get(MIDELEG) & !state.get(HIDELEG)))
}

pub(crate) fn vstopi(r: &mut Reach<'_, '_>) -> u64 {
    guest_top(r.cx.state)
}

/// `vstopi`: the guest's most urgent interrupt, under the numbers of S.
pub(crate) fn guest_top(state: &State) -> u64 {
    const VTI: u64 = 1 << 30;
    let pending = (state.get(MIP) & state.get(MIE) & state.get(HIDELEG) & irq::VS_MASK) >> 1;
    let control = state.get(HVICTL);
    if control & VTI == 0 {
        return top(interrupt::first(pending));
    }
    // The hypervisor injects by hand; only external interrupts still come by themselves.
    let (number, priority) = (control >> 16 & 0xfff, control & 0xff);
    if pending >> irq::SEI & 1 != 0 {
        return top(Some(irq::SEI));
    }
    if number == 0 && priority == 0 || number == u64::from(irq::SEI) {
        return 0;
    }
    // IPRIOM chooses whether the priority shows.
    number << 16 | if control & 0x100 != 0 { priority } else { 1 }
}

/// Does the hypervisor inject the guest's interrupts by `hvictl`?
pub(crate) fn injected(state: &State) -> bool {
    state.get(HVICTL) >> 30 & 1 != 0
}
