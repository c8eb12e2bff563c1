//! Going to any position of a replay: checkpoints on the way, and re-execution from the nearest one.
//!
//! A checkpoint holds the machine's state, its memory (pages that do not differ are shared between checkpoints), what its
//! media hold, and the place in the log.  Checkpoints are made at an interval, and when they take more than the budget, the
//! one is dropped whose loss costs least: so they are dense near where the replay is, and thin far away.

mod memory;
mod reverse;

pub use reverse::{Back, Gone};

use crate::machine::disk::{Contents, Disk};
use crate::machine::tape::Place;
use crate::machine::{Ended, Machine, SnapshotError};
use crate::record::Cursor;
use core::fmt;
use memory::{Image, Total};
use std::cell::Cell;
use std::rc::Rc;

/// Instructions between two checkpoints, at first.
const INTERVAL: u64 = 20_000_000;
/// Instructions before a position at which a checkpoint is made on the way there: those who step back stay near.
const NEAR: u64 = 1_000_000;
/// Most checkpoints.
const MOST: usize = 1000;

/// Why a position cannot be reached.
#[derive(Debug)]
pub enum TimelineError {
    /// The machine is not being replayed.
    NoLog,
    /// The replay ended before: here.
    Ended(Place),
    /// A state cannot be saved, or taken on.
    State(SnapshotError),
    /// The log cannot be read.
    Log(String),
}

impl fmt::Display for TimelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimelineError::NoLog => f.write_str("only a replay can go back"),
            TimelineError::Ended(at) => write!(f, "the recording ends at {at}"),
            TimelineError::State(e) => write!(f, "checkpoint: {e}"),
            TimelineError::Log(e) => f.write_str(e),
        }
    }
}

impl core::error::Error for TimelineError {}

impl From<SnapshotError> for TimelineError {
    fn from(e: SnapshotError) -> TimelineError {
        TimelineError::State(e)
    }
}

struct Checkpoint {
    at: Place,
    state: Vec<u8>,
    memory: Image,
    disks: Vec<Contents>,
    cursor: Cursor,
}

/// The checkpoints of a replay.
pub struct Timeline {
    checkpoints: Vec<Checkpoint>,
    /// What memory held at the last checkpoint that was made or gone back to.
    memory: Image,
    total: Total,
    budget: usize,
    disks: Vec<Disk>,
    ends: Ends,
    /// The farthest that the replay has been: before it, nothing of what the guest says is new.
    farthest: u64,
    quiet: Rc<Cell<bool>>,
}

/// What a timeline must know of the machine's surroundings.
pub struct Surroundings {
    /// Its media.
    pub disks: Vec<Disk>,
    /// Set while the machine does what it has done before.
    pub quiet: Rc<Cell<bool>>,
    /// Which ends of a run reset the machine.
    pub ends: Ends,
}

/// Does this end of a run reset the machine?
pub type Ends = Box<dyn Fn(Ended) -> bool>;

impl Timeline {
    /// Of a machine that is about to begin a replay; checkpoints may take `budget` bytes.
    ///
    /// # Errors
    /// It is no replay, or its state cannot be saved.
    pub fn new(machine: &Machine, around: Surroundings, budget: usize) -> Result<Timeline, TimelineError> {
        let (memory, total) = (Image::default(), Total::default());
        let Surroundings { disks, quiet, ends } = around;
        let checkpoints = Vec::new();
        let mut timeline = Timeline { checkpoints, memory, total, budget, disks, ends, farthest: 0, quiet };
        timeline.add(machine)?;
        Ok(timeline)
    }

    /// Where the replay is to stop next, for a checkpoint.
    #[must_use]
    pub fn next(&self, machine: &Machine) -> u64 {
        let retired = machine.retired();
        let after = self.checkpoints.partition_point(|c| c.at.retired <= retired);
        let from = after.checked_sub(1).map_or(0, |n| self.checkpoints[n].at.retired);
        // Never so dense that they are thinned out at once.
        let interval = INTERVAL.max(retired / (MOST as u64 / 4));
        let next = from.saturating_add(interval);
        let next = if next > retired { next } else { retired.saturating_add(interval) };
        if self.farthest > retired { next.min(self.farthest) } else { next }
    }

    /// The machine has come here, or has gone back to here.
    fn arrived(&mut self, machine: &Machine) {
        self.farthest = self.farthest.max(machine.retired());
        self.quiet.set(machine.retired() < self.farthest);
    }

    /// Makes a checkpoint here, if there is none near before.
    ///
    /// # Errors
    /// The state cannot be saved.
    pub fn note(&mut self, machine: &Machine) -> Result<(), TimelineError> {
        self.arrived(machine);
        let at = machine.at();
        let after = self.checkpoints.partition_point(|c| c.at <= at);
        let near = after.checked_sub(1).is_some_and(|n| at.retired - self.checkpoints[n].at.retired < NEAR / 2);
        if near { Ok(()) } else { self.add(machine) }
    }

    fn add(&mut self, machine: &Machine) -> Result<(), TimelineError> {
        let player = machine.tape().player().ok_or(TimelineError::NoLog)?;
        let at = machine.at();
        self.memory.update(machine.space(), &self.total);
        let checkpoint = Checkpoint {
            at,
            state: machine.save_state()?,
            memory: self.memory.clone(),
            disks: self.disks.iter().map(Disk::contents).collect(),
            cursor: player.cursor(),
        };
        let place = self.checkpoints.partition_point(|c| c.at < at);
        self.checkpoints.insert(place, checkpoint);
        self.thin(at);
        Ok(())
    }

    /// Drops checkpoints until they fit: each time the one whose loss makes the smallest gap for its distance.  The first
    /// one stays, and so does the last one before `here`.
    fn thin(&mut self, here: Place) {
        while self.checkpoints.len() > 2 && (self.used() > self.budget || self.checkpoints.len() > MOST) {
            let keep = self.checkpoints.partition_point(|c| c.at <= here).saturating_sub(1);
            let cost = |n: usize| {
                let at = |n: usize| self.checkpoints.get(n).map(|c| c.at.retired);
                let (before, own) = (at(n - 1).unwrap_or(0), at(n).unwrap_or(0));
                let gap = at(n + 1).unwrap_or(own) - before;
                gap as f64 / (own.abs_diff(here.retired) as f64 + NEAR as f64)
            };
            let candidates = (1..self.checkpoints.len()).filter(|n| *n != keep);
            let Some(least) = candidates.min_by(|a, b| cost(*a).total_cmp(&cost(*b))) else { return };
            self.checkpoints.remove(least);
        }
    }

    /// Bytes that the checkpoints take.
    #[must_use]
    pub fn used(&self) -> usize {
        self.total.get() + self.checkpoints.iter().map(|c| c.state.len()).sum::<usize>()
    }

    /// How many checkpoints there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.checkpoints.len()
    }

    /// Where the checkpoints are, in order.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = Place> + '_ {
        self.checkpoints.iter().map(|c| c.at)
    }

    /// Takes the machine to the last checkpoint that is not after `retired` instructions.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn restore(&mut self, machine: &mut Machine, retired: u64) -> Result<(), TimelineError> {
        let player = machine.tape().player().ok_or(TimelineError::NoLog)?.clone();
        let n = self.checkpoints.partition_point(|c| c.at.retired <= retired).saturating_sub(1);
        let checkpoint = &self.checkpoints[n];
        // What was written since is not in the image yet.
        self.memory.update(machine.space(), &self.total);
        self.memory.restore(machine.space(), &checkpoint.memory);
        machine.load_state(&checkpoint.state)?;
        for (disk, contents) in self.disks.iter().zip(&checkpoint.disks) {
            disk.set_contents(contents.clone());
        }
        player.seek(checkpoint.cursor).map_err(|e| TimelineError::Log(e.to_string()))?;
        self.arrived(machine);
        Ok(())
    }

    /// Takes the machine to the position at which `retired` instructions have retired, forwards or back.
    ///
    /// # Errors
    /// The recording ends before, or cannot be read.
    pub fn seek(&mut self, machine: &mut Machine, retired: u64) -> Result<(), TimelineError> {
        let here = machine.retired();
        let best = self.checkpoints.partition_point(|c| c.at.retired <= retired).saturating_sub(1);
        if here > retired || self.checkpoints[best].at.retired > here {
            self.restore(machine, retired)?;
        }
        self.forward(machine, retired)
    }

    fn resets(&self, ended: Ended) -> bool {
        (self.ends)(ended)
    }

    /// Does the run go on after this?
    fn goes_on(ended: Ended) -> bool {
        matches!(
            ended,
            Ended::Limit | Ended::Attend | Ended::Pause | Ended::CrashLoaded | Ended::Watchdog | Ended::Debug
        )
    }

    /// Runs on to a position, and makes checkpoints on the way.
    fn forward(&mut self, machine: &mut Machine, retired: u64) -> Result<(), TimelineError> {
        while machine.retired() < retired {
            let near = retired.saturating_sub(NEAR);
            let stop = if machine.retired() < near { self.next(machine).min(near) } else { retired };
            let ended = machine.run(stop);
            self.arrived(machine);
            match ended {
                Ended::Limit => {
                    if stop < retired {
                        self.note(machine)?;
                    }
                }
                ended if self.resets(ended) => machine.power_on(),
                ended if Timeline::goes_on(ended) => {}
                _ if machine.retired() >= retired => {}
                _ => return Err(TimelineError::Ended(machine.at())),
            }
        }
        Ok(())
    }
}
