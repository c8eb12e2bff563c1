//! Statistics registers (8254x manual, 13.7; 82574 datasheet, 10.2.7): one word each, cleared by reading, that stay at
//! their highest value.

use super::filter::{Cast, cast};
use serde::{Deserialize, Serialize};

/// Words from offset 0x4000 on.
pub(super) const WORDS: usize = 74;
/// Where they begin.
const BASE: u32 = 0x4000;

/// Offsets of registers.
pub(super) mod at {
    #![allow(missing_docs, reason = "the manual's names")]
    pub(in super::super) const MPC: u32 = 0x4010;
    pub(in super::super) const PRC64: u32 = 0x405c;
    pub(in super::super) const GPRC: u32 = 0x4074;
    pub(in super::super) const BPRC: u32 = 0x4078;
    pub(in super::super) const MPRC: u32 = 0x407c;
    pub(in super::super) const GPTC: u32 = 0x4080;
    pub(in super::super) const GORCL: u32 = 0x4088;
    pub(in super::super) const GOTCL: u32 = 0x4090;
    pub(in super::super) const RNBC: u32 = 0x40a0;
    pub(in super::super) const ROC: u32 = 0x40ac;
    pub(in super::super) const TORL: u32 = 0x40c0;
    pub(in super::super) const TOTL: u32 = 0x40c8;
    pub(in super::super) const TPR: u32 = 0x40d0;
    pub(in super::super) const TPT: u32 = 0x40d4;
    pub(in super::super) const PTC64: u32 = 0x40d8;
    pub(in super::super) const MPTC: u32 = 0x40f0;
    pub(in super::super) const BPTC: u32 = 0x40f4;
    pub(in super::super) const TSCTC: u32 = 0x40f8;
    pub(in super::super) const IAC: u32 = 0x4100;
}

/// The counters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Stats(Vec<u32>);

impl Stats {
    pub(super) fn new() -> Stats {
        Stats(vec![0; WORDS])
    }

    /// Can it be so?
    pub(super) fn fits(&self) -> bool {
        self.0.len() == WORDS
    }

    fn word(&mut self, offset: u32) -> &mut u32 {
        &mut self.0[((offset - BASE) / 4) as usize]
    }

    /// Counts one.
    pub(super) fn count(&mut self, offset: u32) {
        let word = self.word(offset);
        *word = word.saturating_add(1);
    }

    /// Adds to a counter of 64 bits.
    fn add_wide(&mut self, offset: u32, n: u64) {
        let value = u64::from(*self.word(offset + 4)) << 32 | u64::from(*self.word(offset));
        let value = value.saturating_add(n);
        *self.word(offset) = value as u32;
        *self.word(offset + 4) = (value >> 32) as u32;
    }

    /// Counts a frame of `len` bytes without check sequence in the counters by size that begin at `offset`.
    fn count_size(&mut self, offset: u32, len: usize) {
        let class = match len + 4 {
            0..=64 => 0,
            65..=127 => 1,
            128..=255 => 2,
            256..=511 => 3,
            512..=1023 => 4,
            _ => 5,
        };
        self.count(offset + 4 * class);
    }

    /// A frame was received.
    pub(super) fn received(&mut self, frame: &[u8]) {
        self.count_size(at::PRC64, frame.len());
        self.count(at::TPR);
        self.count(at::GPRC);
        self.add_wide(at::TORL, frame.len() as u64 + 4);
        self.add_wide(at::GORCL, frame.len() as u64 + 4);
        match cast(frame) {
            Cast::Broadcast => self.count(at::BPRC),
            Cast::Multicast => self.count(at::MPRC),
            Cast::Unicast => {}
        }
    }

    /// A frame was sent.
    pub(super) fn sent(&mut self, frame: &[u8]) {
        self.count_size(at::PTC64, frame.len());
        self.count(at::TPT);
        self.count(at::GPTC);
        self.add_wide(at::TOTL, frame.len() as u64 + 4);
        self.add_wide(at::GOTCL, frame.len() as u64 + 4);
        match cast(frame) {
            Cast::Broadcast => self.count(at::BPTC),
            Cast::Multicast => self.count(at::MPTC),
            Cast::Unicast => {}
        }
    }

    /// The driver reads register number `n`, which clears it: a wide one when its upper half is read.
    pub(super) fn take(&mut self, n: u64) -> u64 {
        let offset = BASE + 4 * n as u32;
        let low = [at::GORCL, at::GOTCL, at::TORL, at::TOTL];
        let value = *self.word(offset);
        if !low.contains(&offset) {
            *self.word(offset) = 0;
        }
        if low.iter().any(|low| low + 4 == offset) {
            *self.word(offset - 4) = 0;
        }
        u64::from(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_count_and_are_cleared_by_reading() {
        let mut s = Stats::new();
        let frame = [&[0xff; 6][..], &[0; 54]].concat();
        s.received(&frame);
        s.received(&[2; 1514]);
        let mut take = |offset: u32| s.take(u64::from((offset - BASE) / 4));
        assert_eq!((take(at::PRC64), take(at::PRC64 + 20), take(at::BPRC), take(at::BPRC)), (1, 1, 1, 0));
        assert_eq!((take(at::GORCL), take(at::GORCL), take(at::GORCL + 4), take(at::GORCL)), (1582, 1582, 0, 0));
        *s.word(at::GOTCL) = u32::MAX;
        *s.word(at::TPT) = u32::MAX;
        s.sent(&frame);
        assert_eq!((*s.word(at::GOTCL), *s.word(at::GOTCL + 4), *s.word(at::TPT)), (63, 1, u32::MAX));
    }
}
