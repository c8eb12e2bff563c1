//! RISC-V's machine time: the counter MTIME and a compare register MTIMECMP per hart, as the ACLINT's MTIMER and the
//! SiFive CLINT have them (ACLINT specification, chapter 2).

use core::num::NonZero;
use serde::{Deserialize, Serialize};
use tern_core::device::{IrqLine, Kit};
use tern_core::snapshot::{self, StateError};

/// MTIME's frequency on QEMU's boards, in Hz.
pub const TIMEBASE: NonZero<u32> = NonZero::new(10_000_000).unwrap();

const NS_PER_S: u128 = 1_000_000_000;

/// What is saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MtimeState {
    /// MTIME minus the ticks of guest time, modulo 2^64.
    offset: u64,
    /// MTIMECMP of each hart.
    compare: Vec<u64>,
}

/// The counter and its compare registers.
///
/// MTIME runs with guest time, so it begins at zero when the machine is switched on.  MTIMECMP is unspecified after reset;
/// here it is the greatest number, so that no interrupt is pending before software asks for one.
pub struct Mtime {
    kit: Kit,
    lines: Vec<IrqLine>,
    frequency: NonZero<u32>,
    state: MtimeState,
}

impl Mtime {
    /// A counter of `frequency` Hz; line n is hart n's machine timer interrupt (MTIP).  The event tokens of `kit`'s clock
    /// are the numbers of the lines.
    #[must_use]
    pub fn new(kit: Kit, frequency: NonZero<u32>, lines: Vec<IrqLine>) -> Mtime {
        let state = MtimeState { offset: 0, compare: vec![u64::MAX; lines.len()] };
        Mtime { kit, lines, frequency, state }
    }

    /// Ticks of guest time.
    fn ticks(&self) -> u64 {
        (u128::from(self.kit.clock.now()) * u128::from(self.frequency.get()) / NS_PER_S) as u64
    }

    /// MTIME.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.ticks().wrapping_add(self.state.offset)
    }

    /// Sets MTIME.
    pub fn set_time(&mut self, value: u64) {
        self.state.offset = value.wrapping_sub(self.ticks());
        (0..self.lines.len()).for_each(|hart| self.update(hart));
    }

    /// MTIMECMP of a hart; a hart that is not there is a guest error and reads as zero.
    pub fn compare(&mut self, hart: u64) -> u64 {
        self.place(hart).map_or(0, |n| self.state.compare[n])
    }

    /// Sets MTIMECMP of a hart.
    pub fn set_compare(&mut self, hart: u64, value: u64) {
        if let Some(n) = self.place(hart) {
            self.state.compare[n] = value;
            self.update(n);
        }
    }

    fn place(&self, hart: u64) -> Option<usize> {
        let here = hart < self.lines.len() as u64;
        if !here {
            self.kit.report.guest_error(format_args!("MTIMECMP of hart {hart}, which is not there"));
        }
        here.then_some(hart as usize)
    }

    /// Drives a hart's line, and asks to be called when it changes: when MTIME reaches MTIMECMP, or wraps to zero.
    fn update(&self, hart: usize) {
        let (time, compare) = (self.time(), self.state.compare[hart]);
        let high = time >= compare;
        self.lines[hart].set(high);
        let goal = if high { 0 } else { compare };
        let wait = goal.wrapping_sub(time);
        let at = if high && compare == 0 { None } else { self.when(u128::from(self.ticks()) + u128::from(wait)) };
        match at {
            Some(at) => self.kit.clock.schedule(hart as u32, at),
            None => self.kit.clock.cancel(hart as u32),
        }
    }

    /// The first nanosecond of a tick, unless guest time ends before.
    fn when(&self, tick: u128) -> Option<u64> {
        u64::try_from((tick * NS_PER_S).div_ceil(u128::from(self.frequency.get()))).ok()
    }

    /// Event `token` is due.
    pub fn event(&mut self, token: u32) {
        if (token as usize) < self.lines.len() {
            self.update(token as usize);
        }
    }

    /// Back to the state of a new one.
    pub fn reset(&mut self) {
        self.state.offset = 0;
        self.state.compare.fill(u64::MAX);
        for (hart, line) in self.lines.iter().enumerate() {
            line.set(false);
            self.kit.clock.cancel(hart as u32);
        }
    }

    /// The state to save.
    #[must_use]
    pub fn state(&self) -> &MtimeState {
        &self.state
    }

    /// Refuses a saved state that does not fit.
    ///
    /// # Errors
    /// [`StateError::Field`].
    pub fn check(&self, state: &MtimeState) -> Result<(), StateError> {
        let (saved, here) = (state.compare.len(), self.lines.len());
        snapshot::check(saved == here, "compare", || format!("{saved} harts, this device has {here}"))
    }

    /// Takes a saved state on that has been checked.
    pub fn restore(&mut self, state: MtimeState) {
        self.state = state;
    }
}
