//! Which thread runs next, and for how many instructions.
//!
//! Round-robin in equal slices, unless a seed draws both.  All is a function of the seed and of which threads are ready.

use crate::thread::Tid;

/// Instructions in a slice while there are several threads: short enough that they seem to run together.
const SHARED: u64 = 100_000;
/// Instructions in a slice of a lone thread: how long a host signal may go unnoticed.
const ALONE: u64 = 1_000_000;
/// Longest drawn slice.
const LONGEST: u64 = 100_000;
/// A thread that has fallen behind is left out for at most this many turns.
const STARVED: u64 = 64;

/// How turns are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Slices of half to one and a half of the usual length, any thread next.
    Seeded,
    /// Slices of 1 to 100000 instructions, most of them short, threads with priorities that change: to provoke races.
    Chaos,
}

/// The order of turns.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    last: Tid,
    drawn: Option<Drawn>,
}

#[derive(Clone, Debug)]
struct Drawn {
    mode: Mode,
    state: u64,
    /// The thread that is left out, and for how many turns yet.
    behind: (Tid, u64),
}

impl Drawn {
    /// The next number of the sequence (splitmix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn length(&mut self) -> u64 {
        match self.mode {
            Mode::Seeded => SHARED / 2 + self.below(SHARED),
            Mode::Chaos => {
                // Each order of magnitude is as likely as another.
                let most = [10, 100, 1000, 10_000, LONGEST][self.below(5) as usize];
                1 + self.below(most)
            }
        }
    }

    fn choose(&mut self, ready: &[Tid]) -> Option<Tid> {
        if self.mode == Mode::Chaos && ready.len() > 1 {
            if self.behind.1 == 0 && self.below(8) == 0 {
                self.behind = (ready[self.below(ready.len() as u64) as usize], self.below(STARVED));
            }
            self.behind.1 = self.behind.1.saturating_sub(1);
            if self.behind.1 > 0 {
                let others: Vec<Tid> = ready.iter().copied().filter(|tid| *tid != self.behind.0).collect();
                return others.get(self.below(others.len() as u64) as usize).copied();
            }
        }
        ready.get(self.below(ready.len() as u64) as usize).copied()
    }
}

impl Turns {
    /// Turns that a seed draws.
    #[must_use]
    pub fn drawn(mode: Mode, seed: u64) -> Turns {
        Turns { last: 0, drawn: Some(Drawn { mode, state: seed, behind: (0, 0) }) }
    }

    /// The thread whose turn it is, of those that are ready, in order of their numbers.
    pub fn next(&mut self, ready: &[Tid]) -> Option<Tid> {
        let next = match &mut self.drawn {
            Some(drawn) => drawn.choose(ready),
            None => ready.iter().find(|tid| **tid > self.last).or_else(|| ready.first()).copied(),
        };
        self.last = next.unwrap_or(self.last);
        next
    }

    /// How many instructions its slice has.
    pub fn length(&mut self, alone: bool) -> u64 {
        match &mut self.drawn {
            _ if alone => ALONE,
            Some(drawn) => drawn.length(),
            None => SHARED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_robin_goes_round() {
        let mut turns = Turns::default();
        let order: Vec<Tid> = (0..5).filter_map(|_| turns.next(&[3, 5, 9])).collect();
        assert_eq!(order, [3, 5, 9, 3, 5]);
        assert_eq!((turns.next(&[]), turns.next(&[7])), (None, Some(7)));
        assert_eq!((turns.length(true), turns.length(false)), (ALONE, SHARED));
    }

    #[test]
    fn a_seed_gives_the_same_turns_and_chaos_is_within_its_limits() {
        for mode in [Mode::Seeded, Mode::Chaos] {
            let draw = |seed| {
                let mut turns = Turns::drawn(mode, seed);
                (0..2000).map(|_| (turns.next(&[3, 5, 9]), turns.length(false))).collect::<Vec<_>>()
            };
            let (one, two) = (draw(1), draw(2));
            assert_eq!(one, draw(1));
            assert_ne!(one, two);
            assert!(one.iter().all(|(tid, len)| tid.is_some() && (1..=150_000).contains(len)));
            for tid in [3, 5, 9] {
                assert!(one.iter().any(|(next, _)| *next == Some(tid)), "{mode:?}: {tid} never runs");
            }
        }
        let mut chaos = Turns::drawn(Mode::Chaos, 7);
        let lengths: Vec<u64> = (0..2000).map(|_| chaos.length(false)).collect();
        assert!(lengths.iter().any(|n| *n <= 3) && lengths.iter().any(|n| *n > 50_000));
    }
}
