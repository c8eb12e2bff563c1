//! A card on a bench, for the tests of this class.

use crate::bench::{Bench, RAM};
use crate::model;
use tern_core::device::{Device, Dma, Signal};
use tern_core::mem::Size;

/// A frame to the card's address.
pub(super) const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// A card with memory around it.
pub(super) struct Rig {
    pub(super) bench: Bench,
    pub(super) card: Box<dyn Device>,
    pub(super) dma: Dma,
    level: bool,
}

impl Rig {
    /// With the card of this name, its base addresses and bus mastering on.
    pub(super) fn new(name: &str) -> Rig {
        let mut bench = Bench::new();
        let card = model::find(name).unwrap().sample(&mut bench);
        let dma = bench.dma();
        let mut rig = Rig { bench, card, dma, level: false };
        rig.card.write(0, 4, Size::B2, 7);
        rig
    }

    /// A load from the n-th of its base addresses (from 1).
    pub(super) fn read(&mut self, window: u32, at: u64, size: Size) -> u64 {
        self.card.read(window, at, size)
    }

    /// A store.
    pub(super) fn write(&mut self, window: u32, at: u64, size: Size, value: u64) {
        self.card.write(window, at, size, value);
    }

    /// Is the interrupt pin asserted?
    pub(super) fn irq(&mut self) -> bool {
        for signal in self.bench.signals() {
            if let Signal::Level(_, level) = signal {
                self.level = level;
            }
        }
        self.level
    }

    /// Puts words into memory, at an offset in it.
    pub(super) fn put(&self, at: u64, words: &[u32]) {
        for (n, word) in words.iter().enumerate() {
            self.dma.write(RAM + at + 4 * n as u64, &word.to_le_bytes()).unwrap();
        }
    }

    /// Words from memory.
    pub(super) fn get<const N: usize>(&self, at: u64) -> [u32; N] {
        core::array::from_fn(|n| u32::from_le_bytes(self.dma.array(RAM + at + 4 * n as u64).unwrap()))
    }

    /// Bytes from memory.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.dma.read(RAM + at, &mut bytes).unwrap();
        bytes
    }

    /// Puts bytes into memory.
    pub(super) fn fill(&self, at: u64, bytes: &[u8]) {
        self.dma.write(RAM + at, bytes).unwrap();
    }

    /// Hands a frame over; false if there is no room.
    pub(super) fn receive(&mut self, frame: &[u8]) -> bool {
        let room = self.card.room(0) > 0;
        if room {
            self.card.receive(0, frame);
        }
        room
    }

    /// Frames sent since the last call.
    pub(super) fn sent(&mut self) -> Vec<Vec<u8>> {
        self.bench.frames.take()
    }

    /// Lets so many nanoseconds pass.
    pub(super) fn wait(&mut self, ns: u64) {
        let now = self.bench.queue.now() + ns;
        self.bench.advance(&mut *self.card, 0, now);
    }
}

/// A frame with this destination and length.
pub(super) fn frame(to: [u8; 6], len: usize) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame.extend((frame.len()..len).map(|n| n as u8));
    frame
}
