//! Interrupts: what is pending, what is enabled, which comes first; timers.

use crate::aia;
use crate::helper::TICK_NS;
use crate::privileged::{M, S, U, Unit, envcfg, hstatus, irq, status};
use crate::state::{
    HENVCFG, HGEIE, HGEIP, HIDELEG, HSTATUS, HTIMEDELTA, HVIP, LINES, MENVCFG, MIDELEG, MIE, MIP, MSTATUS, PRIVILEGE,
    SOFT, STIMECMP, VIRTUAL, VSSTATUS, VSTIMECMP,
};
use tern_core::engine::Platform;
use tern_core::state::State;

/// Most urgent first (privileged manual, "Machine Interrupt Registers"; AIA, "Default priorities").
const ORDER: [u32; 10] =
    [irq::MEI, irq::MSI, irq::MTI, irq::SEI, irq::SSI, irq::STI, irq::SGEI, irq::VSEI, irq::VSSI, irq::VSTI];

/// The most urgent of these.
pub(crate) fn first(pending: u64) -> Option<u32> {
    ORDER.into_iter().find(|n| pending >> n & 1 != 0)
}

/// Does the supervisor's timer raise STIP, so that software cannot?
pub(crate) fn has_timer(state: &State, unit: Unit) -> bool {
    unit.has(Unit::SSTC) && state.get(MENVCFG) & envcfg::STCE != 0
}

/// Does the guest's?
pub(crate) fn has_guest_timer(state: &State, unit: Unit) -> bool {
    has_timer(state, unit) && state.get(HENVCFG) & envcfg::STCE != 0
}

/// Works out `mip` after something that it depends on has changed.
pub(crate) fn refresh(state: &mut State, unit: Unit) {
    let lines = state.get(LINES);
    // Firmware outside of the guest drives the supervisor's timer by its input.
    let mut pending = lines & (irq::M_MASK | 1 << irq::SEI | 1 << irq::STI) | state.get(SOFT);
    if has_timer(state, unit) {
        pending = pending & !(1 << irq::STI) | lines & 1 << irq::STI;
    }
    if unit.hypervisor() {
        pending |= state.get(HVIP) & irq::VS_MASK;
        if has_guest_timer(state, unit) {
            pending |= lines & 1 << irq::VSTI;
        }
        let files = state.get(HGEIP);
        let file = state.get(HSTATUS) >> hstatus::VGEIN_SHIFT & hstatus::GEILEN;
        pending |= (files >> file & 1) << irq::VSEI;
        pending |= u64::from(files & state.get(HGEIE) != 0) << irq::SGEI;
    }
    state.set(MIP, pending);
}

/// Sets an input; see [`tern_core::system::System::set_line`].
pub(crate) fn set_line(state: &mut State, unit: Unit, line: u32, level: bool) {
    let slot = if line < 64 { LINES } else { HGEIP };
    let bit = 1 << (line & 63);
    let old = state.get(slot);
    // There is no guest interrupt file 0.
    if line == irq::GUEST_FILE || line >= 128 {
        return;
    }
    state.set(slot, if level { old | bit } else { old & !bit });
    if line == irq::SSI && level {
        // A rising edge makes it pending, and software takes it back (ACLINT specification, "SSWI Device").
        state.set(SOFT, state.get(SOFT) | bit);
    }
    refresh(state, unit);
}

/// What is pending and enabled, whatever privilege it goes to.
pub(crate) fn enabled(state: &State) -> u64 {
    state.get(MIP) & state.get(MIE)
}

/// The interrupt to take now, the privilege it goes to, and whether it goes to VS.
pub(crate) fn next(state: &State) -> Option<(u32, u64, bool)> {
    let pending = enabled(state);
    let (privilege, guest) = (state.get(PRIVILEGE), state.get(VIRTUAL) != 0);
    let injected = guest && aia::injected(state);
    if pending == 0 && !injected {
        return None;
    }
    let (machine, supervisor) = (state.get(MSTATUS), state.get(MIDELEG));
    if (privilege != M || machine & status::MIE != 0)
        && let Some(n) = first(pending & !supervisor)
    {
        return Some((n, M, false));
    }
    if privilege == M {
        return None;
    }
    let pending = pending & supervisor;
    let to_guest = state.get(HIDELEG);
    if (guest || privilege == U || machine & status::SIE != 0)
        && let Some(n) = first(pending & !to_guest)
    {
        return Some((n, S, false));
    }
    if guest && (privilege == U || state.get(VSSTATUS) & status::SIE != 0) {
        let n = if injected {
            // Handlers in VS are told the number below.
            Some((aia::guest_top(state) >> 16) as u32 + 1).filter(|n| *n > 1)
        } else {
            first(pending & to_guest)
        };
        return n.map(|n| (n, S, true));
    }
    None
}

/// When the time base reaches `ticks`; `None`: never.
fn due(ticks: u64) -> Option<u64> {
    ticks.checked_mul(TICK_NS)
}

/// Sets a line's level to whether its timer is due, and asks the platform to raise it if it is not.
fn program(state: &mut State, platform: &mut dyn Platform, line: u32, at: Option<u64>, now: u64) {
    let past = at.is_some_and(|at| now >= at);
    let bit = 1 << line;
    let old = state.get(LINES);
    state.set(LINES, if past { old | bit } else { old & !bit });
    platform.set_timer(line, at);
}

/// Sets both timers anew.
pub(crate) fn timers(state: &mut State, platform: &mut dyn Platform, unit: Unit, icount: u64) {
    let now = platform.time_ns(icount);
    let at = if has_timer(state, unit) { due(state.get(STIMECMP)) } else { None };
    program(state, platform, irq::STI, at, now);
    if unit.hypervisor() {
        let at = if has_guest_timer(state, unit) { guest_deadline(state, now) } else { None };
        program(state, platform, irq::VSTI, at, now);
    }
    refresh(state, unit);
}

/// When the guest's timer is due, in host time: its time is ours plus `htimedelta`, modulo 2^64.
fn guest_deadline(state: &State, now: u64) -> Option<u64> {
    let (compare, delta) = (state.get(VSTIMECMP), state.get(HTIMEDELTA));
    let ticks = now / TICK_NS;
    let guest = ticks.wrapping_add(delta);
    if guest >= compare { Some(now) } else { due(ticks.checked_add(compare - guest)?) }
}
