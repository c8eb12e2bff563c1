//! How sample clocks follow guest time.

use serde::{Deserialize, Serialize};

const SECOND: u128 = 1_000_000_000;

/// A sample clock that runs: when it began, and the frames that have been moved since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    since: u64,
    moved: u64,
}

impl Pace {
    /// Begins now.
    pub(super) fn from(now: u64) -> Pace {
        Pace { since: now, moved: 0 }
    }

    /// The frames that are due now at `rate` frames in a second; they count as moved.
    pub(super) fn take(&mut self, now: u64, rate: u32) -> u64 {
        let passed = u128::from(now.saturating_sub(self.since));
        let all = u64::try_from(passed * u128::from(rate) / SECOND).unwrap_or(u64::MAX);
        let due = all.saturating_sub(self.moved);
        self.moved = all;
        due
    }

    /// When `frames` more frames will be due.
    pub(super) fn when(&self, rate: u32, frames: u64) -> u64 {
        let all = u128::from(self.moved) + u128::from(frames);
        let passed = (all * SECOND).div_ceil(u128::from(rate.max(1)));
        u64::try_from(u128::from(self.since) + passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_frame_is_lost_or_early() {
        let mut pace = Pace::from(1000);
        assert_eq!(pace.take(1000, 44_100), 0);
        let mut moved = 0;
        while moved < 44_100 {
            let at = pace.when(44_100, 7);
            assert_eq!((pace.take(at - 1, 44_100), pace.take(at, 44_100)), (6, 1));
            moved += 7;
        }
        assert_eq!((moved, pace.when(44_100, 0)), (44_100, 1_000_001_000));
        let mut damaged = Pace { since: u64::MAX, moved: u64::MAX };
        assert_eq!((damaged.when(1, u64::MAX), damaged.take(0, u32::MAX)), (u64::MAX, 0));
    }
}
