//! A replay that can go back.

use super::{RunState, Vm};
use crate::run::OnWatchdog;
use tern_core::stops::Stops;
use tern_session::debug::{Cpus, Why};
use tern_session::machine::Ended;
use tern_session::machine::disk::Disk;
use tern_session::timeline::{Back, Gone, Surroundings, Timeline};

impl Vm {
    /// From now on the replay can go back; checkpoints may take `budget` bytes.
    ///
    /// # Errors
    /// This is no replay, or the machine's state cannot be saved.
    pub fn begin_timeline(&mut self, budget: usize) -> Result<(), String> {
        let disks: Vec<Disk> = self.host.world().disks().iter().map(|(_, disk)| disk.clone()).collect();
        let quiet = self.host.world().quiet();
        let watchdog = self.options.actions.watchdog == OnWatchdog::Reset;
        let ends = move |ended| match ended {
            Ended::Reset | Ended::RecordedReset => true,
            Ended::Watchdog => watchdog,
            _ => false,
        };
        let around = Surroundings { disks, quiet, ends: Box::new(ends) };
        let timeline = Timeline::new(&self.board.machine, around, budget).map_err(|e| e.to_string())?;
        self.timeline = Some(timeline);
        Ok(())
    }

    /// Can it go back?
    #[must_use]
    pub fn reverses(&self) -> bool {
        self.timeline.is_some()
    }

    /// Checkpoints, and the bytes that they take.
    #[must_use]
    pub fn checkpoints(&self) -> (usize, usize) {
        self.timeline.as_ref().map_or((0, 0), |timeline| (timeline.count(), timeline.used()))
    }

    /// Where a turn has to end for a checkpoint.
    pub(super) fn next_checkpoint(&self) -> u64 {
        self.timeline.as_ref().map_or(u64::MAX, |timeline| timeline.next(&self.board.machine))
    }

    /// A turn has ended: there may be a checkpoint to make.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        match &mut self.timeline {
            Some(timeline) => timeline.note(&self.board.machine).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// The recorded run is over.  If the replay can go back, it only stands.
    pub(super) fn stands_at_end(&mut self) -> bool {
        if self.timeline.is_none() || self.options.gdb.is_none() {
            return false;
        }
        self.at_end = true;
        self.stop_as(RunState::Debug);
        true
    }

    /// Has the replay come to its end since this was asked last?
    pub fn take_at_end(&mut self) -> bool {
        core::mem::take(&mut self.at_end)
    }

    fn travel<T>(
        &mut self,
        f: impl FnOnce(&mut Timeline, &mut tern_session::Machine) -> Result<T, tern_session::timeline::TimelineError>,
    ) -> Result<T, String> {
        let timeline = self.timeline.as_mut().ok_or("only a replay can go back")?;
        f(timeline, &mut self.board.machine).map_err(|e| e.to_string())
    }

    /// Goes to the position at which so many instructions have retired.
    ///
    /// # Errors
    /// This is no replay, or it ends before.
    pub fn seek(&mut self, retired: u64) -> Result<(), String> {
        self.travel(|timeline, machine| timeline.seek(machine, retired))
    }

    /// Goes on to one of these stops, or until so many instructions have retired.
    ///
    /// # Errors
    /// This is no replay.
    pub fn go(&mut self, stops: &Stops, until: u64) -> Result<Gone, String> {
        self.travel(|timeline, machine| timeline.go(machine, stops, until))
    }

    /// Goes back by one instruction.
    ///
    /// # Errors
    /// This is no replay.
    pub fn reverse_step(&mut self) -> Result<Why, String> {
        let moved = self.travel(|timeline, machine| timeline.reverse_step(machine))?;
        Ok(if moved { Why::Step(self.board.machine.last_cpu() as u64 + 1) } else { Why::Begin })
    }

    /// Goes back to the last of these stops.
    ///
    /// # Errors
    /// This is no replay.
    pub fn reverse_continue(&mut self, stops: &Stops) -> Result<Why, String> {
        let back = self.travel(|timeline, machine| timeline.reverse_continue(machine, stops, &mut || false))?;
        Ok(match back {
            Back::Stop(stop) => Cpus::why(stop),
            Back::Begin => Why::Begin,
            Back::Interrupted => Why::Interrupted,
        })
    }
}
