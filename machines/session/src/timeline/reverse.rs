//! Going back: by an instruction, or to what would have stopped the machine last.

use super::{Timeline, TimelineError};
use crate::machine::{DebugStop, Ended, Machine};
use tern_core::stops::Stops;

/// Instructions between two questions whether somebody wants to interrupt.
const PIECE: u64 = 20_000_000;

/// Where going back has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Back {
    /// This stops it.
    Stop(DebugStop),
    /// There is nothing before.
    Begin,
    /// Somebody wanted it; the machine is where it was.
    Interrupted,
}

/// Where going on has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// This stops it.
    Stop(DebugStop),
    /// The position has been reached.
    Limit,
    /// The run ends.
    Ended(Ended),
}

/// What a stretch of the run has met.
enum Met {
    /// So many stops, the last one of which was this, after so many instructions.
    Stops(usize, Option<(u64, DebugStop)>),
    Interrupted,
}

impl Timeline {
    /// Goes on until something of `stops` stops it, or `until` instructions have retired.  A breakpoint where it stands does
    /// not stop it.
    ///
    /// # Errors
    /// A checkpoint cannot be made.
    pub fn go(&mut self, machine: &mut Machine, stops: &Stops, until: u64) -> Result<Gone, TimelineError> {
        machine.set_stops(stops);
        machine.pass(machine.last_cpu());
        let gone = self.going(machine, until);
        machine.set_stops(&Stops::default());
        gone
    }

    fn going(&mut self, machine: &mut Machine, until: u64) -> Result<Gone, TimelineError> {
        while machine.retired() < until {
            let ended = machine.run(self.next(machine).min(until));
            self.arrived(machine);
            if let Some(stop) = machine.take_debug_stop() {
                return Ok(Gone::Stop(stop));
            }
            if self.resets(ended) {
                machine.power_on();
            } else if ended == Ended::Limit {
                self.note(machine)?;
            } else if !Timeline::goes_on(ended) {
                return Ok(Gone::Ended(ended));
            }
        }
        Ok(Gone::Limit)
    }

    /// Goes back by one instruction, whichever CPU executed it; false: there is none before.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn reverse_step(&mut self, machine: &mut Machine) -> Result<bool, TimelineError> {
        let Some(before) = machine.retired().checked_sub(1) else { return Ok(false) };
        self.seek(machine, before)?;
        Ok(true)
    }

    /// Goes back to the last of `stops` before here: to where a breakpoint's instruction is about to be executed, or to
    /// before the instruction that touched watched memory.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn reverse_continue(
        &mut self,
        machine: &mut Machine,
        stops: &Stops,
        interrupt: &mut dyn FnMut() -> bool,
    ) -> Result<Back, TimelineError> {
        let now = machine.retired();
        let found = self.search(machine, now, stops, interrupt);
        machine.set_stops(&Stops::default());
        // What the machine has met on the way is no news.
        let _ = machine.take_debug_stop();
        let back = found?;
        match back {
            Back::Begin => self.restore(machine, 0)?,
            Back::Interrupted => self.seek(machine, now)?,
            Back::Stop(_) => {}
        }
        Ok(back)
    }

    fn search(
        &mut self,
        machine: &mut Machine,
        now: u64,
        stops: &Stops,
        interrupt: &mut dyn FnMut() -> bool,
    ) -> Result<Back, TimelineError> {
        let mut end = now;
        let starts: Vec<u64> = self.places().rev().map(|at| at.retired).filter(|at| *at < now).collect();
        for start in starts {
            self.restore(machine, start)?;
            let (count, last) = match self.meet(machine, (end, now), stops, usize::MAX, interrupt) {
                Met::Interrupted => return Ok(Back::Interrupted),
                Met::Stops(count, last) => (count, last),
            };
            if let Some((at, stop)) = last {
                if matches!(stop, DebugStop::Watch { .. }) && !stops.is_before_access() {
                    machine.set_stops(&Stops::default());
                    self.seek(machine, at.saturating_sub(1))?;
                    return Ok(Back::Stop(stop));
                }
                // Once more, and no further.
                self.restore(machine, start)?;
                self.meet(machine, (end, now), stops, count, &mut || false);
                return Ok(Back::Stop(stop));
            }
            end = start;
        }
        Ok(Back::Begin)
    }

    /// Runs to `end`, or to the stop with number `most`; a breakpoint at `now`, where the search began, does not count.
    fn meet(
        &mut self,
        machine: &mut Machine,
        (end, now): (u64, u64),
        stops: &Stops,
        most: usize,
        interrupt: &mut dyn FnMut() -> bool,
    ) -> Met {
        machine.set_stops(stops);
        let early = stops.is_before_access();
        let (mut count, mut last) = (0, None);
        while count < most {
            let ended = machine.run(machine.retired().saturating_add(PIECE).min(end));
            let at = machine.retired();
            if let Some(stop) = machine.take_debug_stop() {
                let counts = match stop {
                    DebugStop::Breakpoint { .. } => at < now,
                    DebugStop::Watch { .. } if early => at < now,
                    DebugStop::Watch { .. } => at <= now,
                    DebugStop::Step { .. } => false,
                };
                if counts {
                    (count, last) = (count + 1, Some((at, stop)));
                }
                if count == most || (at >= end && !early && matches!(stop, DebugStop::Watch { .. })) {
                    break;
                }
                if let DebugStop::Breakpoint { cpu } | DebugStop::Watch { cpu, .. } = stop {
                    machine.pass(cpu);
                }
                continue;
            }
            if self.resets(ended) {
                machine.power_on();
            } else if at >= end || !Timeline::goes_on(ended) {
                break;
            }
            if interrupt() {
                return Met::Interrupted;
            }
        }
        Met::Stops(count, last)
    }
}
