//! The queues of vmxnet3: rings of descriptors whose generation bit says whose they are, and rings of completions.

use super::chip::{self, Base, is_broadcast, is_multicast};
use crate::virtio::net::offload::{self, TCP};
use serde::{Deserialize, Serialize};

/// Length of a queue's descriptor in the table that driver and card share.
pub(super) const QUEUE_SIZE: u64 = 256;
/// Where its counters are.
pub(super) const STATISTICS: u64 = 88;
/// Length of every cell of every ring.
const CELL: u64 = 16;
/// Most cells of a ring, and of a ring of received completions.
const CELLS: u32 = 4096;
const RX_COMPLETIONS: u32 = 8192;
/// Longest frame, before it is cut.
const LONGEST: usize = 0x1_1000;

/// Counters: large packets and their bytes; unicast, multicast, broadcast and their bytes; two kinds of losses.
pub(super) type Statistics = [u64; 10];
const ERROR: usize = 8;
/// Sending: discarded.  Receiving: what cannot be received is an error, having no buffers comes before it.
const NO_BUFFER: usize = 8;
const RX_ERROR: usize = 9;

/// Counts a frame.
fn count(statistics: &mut Statistics, frame: &[u8]) {
    let n = match () {
        () if is_broadcast(frame) => 6,
        () if is_multicast(frame) => 4,
        () => 2,
    };
    statistics[n] = statistics[n].wrapping_add(1);
    statistics[n + 1] = statistics[n + 1].wrapping_add(frame.len() as u64);
}

/// The tag of a frame that has one.
pub(super) fn tag(frame: &[u8]) -> Option<u16> {
    match frame.get(12..16) {
        Some([0x81, 0x00, high, low]) => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// A ring, and where the card is in it.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Ring {
    at: u64,
    size: u32,
    next: u32,
    generation: bool,
}

impl Ring {
    fn new(at: u64, size: u32, most: u32) -> Ring {
        Ring { at, size: size.min(most), next: 0, generation: true }
    }

    fn is_possible(&self) -> bool {
        self.size <= RX_COMPLETIONS && (self.next < self.size || self.next == 0)
    }

    /// The next cell's address.
    fn cell(&self) -> u64 {
        self.at.wrapping_add(CELL * u64::from(self.next))
    }

    fn advance(&mut self) {
        self.next += 1;
        if self.next >= self.size {
            (self.next, self.generation) = (0, !self.generation);
        }
    }

    /// The next cell, if there is a ring.
    fn peek(&self, base: &Base) -> Option<[u32; 4]> {
        if self.size == 0 { None } else { base.words(self.cell()) }
    }

    /// Zeroes its cells, as completions of no generation.
    fn clear(&self, base: &Base) {
        let zeros = [0; CELL as usize * 64];
        let mut left = CELL * u64::from(self.size);
        let mut at = self.at;
        while left > 0 {
            let n = left.min(zeros.len() as u64);
            if !base.store(at, &zeros[..n as usize]) {
                return;
            }
            (at, left) = (at.wrapping_add(n), left - n);
        }
    }

    /// Writes a completion, the word with the generation last.
    fn complete(&mut self, base: &Base, mut words: [u32; 4]) -> bool {
        words[3] |= u32::from(self.generation) << 31;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let good = self.size > 0
            && base.store(self.cell(), &bytes[..12])
            && base.store(self.cell().wrapping_add(12), &bytes[12..]);
        self.advance();
        good
    }
}

/// The part of a queue's descriptor that both kinds have: three rings, their sizes, and the interrupt.
struct Table {
    rings: [u64; 3],
    sizes: [u32; 3],
    line: u8,
}

impl Table {
    fn read(base: &Base, at: u64) -> Option<Table> {
        let long = |n: u64| {
            let [low, high] = base.words(at.wrapping_add(n))?;
            Some(u64::from(high) << 32 | u64::from(low))
        };
        let rings = [long(16)?, long(24)?, long(32)?];
        let sizes = base.words(at.wrapping_add(56))?;
        let [line] = base.fetch(at.wrapping_add(72))?;
        Some(Table { rings, sizes, line })
    }
}

/// What came of looking at a transmit queue.
pub(super) struct Outcome {
    /// There are completions.
    pub(super) completed: bool,
    /// There may be more to send.
    pub(super) more: bool,
}

/// A queue of frames to send.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TxQueue {
    pub(super) at: u64,
    ring: Ring,
    completions: Ring,
    pub(super) line: u8,
    pub(super) statistics: Statistics,
    /// What is there of the frame, and the flags of its first descriptor; `None`: it is given up.
    frame: Option<Vec<u8>>,
    head: Option<[u32; 2]>,
}

impl TxQueue {
    /// The queue that is described at `at`.
    pub(super) fn read(base: &Base, at: u64) -> Option<TxQueue> {
        let t = Table::read(base, at)?;
        let completions = Ring::new(t.rings[2], t.sizes[2], CELLS);
        completions.clear(base);
        // The driver may hold frames back until it has so many.
        let _ = base.store(at.wrapping_add(4), &1u32.to_le_bytes());
        let ring = Ring::new(t.rings[0], t.sizes[0], CELLS);
        let frame = Some(Vec::new());
        Some(TxQueue { at, ring, completions, line: t.line, statistics: [0; 10], frame, head: None })
    }

    pub(super) fn is_possible(&self) -> bool {
        let short = self.frame.as_ref().is_none_or(|frame| frame.len() <= LONGEST);
        self.ring.is_possible() && self.completions.is_possible() && short
    }

    /// Sends what is there.
    pub(super) fn run(&mut self, base: &mut Base) -> Outcome {
        let mut completed = false;
        for _ in 0..chip::BUDGET {
            let Some([low, high, a, b]) = self.ring.peek(base).filter(|w| (w[2] >> 14 & 1 != 0) == self.ring.generation)
            else {
                return Outcome { completed, more: false };
            };
            let index = self.ring.next;
            self.ring.advance();
            self.add(base, u64::from(high) << 32 | u64::from(low), a);
            let head = *self.head.get_or_insert([a, b]);
            if b >> 12 & 1 == 0 {
                continue;
            }
            match self.frame.take().filter(|frame| frame.len() >= 14) {
                Some(frame) => self.send(base, frame, head),
                None => self.statistics[ERROR] = self.statistics[ERROR].wrapping_add(1),
            }
            (self.frame, self.head) = (Some(Vec::new()), None);
            self.completions.complete(base, [index & 0xfff, 0, 0, 0]);
            completed = true;
        }
        Outcome { completed, more: true }
    }

    /// Adds a buffer to the frame.
    fn add(&mut self, base: &Base, at: u64, flags: u32) {
        let Some(frame) = &mut self.frame else { return };
        // Zero stands for the most that the field has no room for.
        let len = match flags as usize & 0x3fff {
            0 => 0x4000,
            len => len,
        };
        let have = frame.len();
        let fits = have + len <= LONGEST;
        frame.resize(if fits { have + len } else { have }, 0);
        if !fits || !base.load(at, &mut frame[have..]) {
            self.frame = None;
        }
    }

    /// Does what the first descriptor leaves to the card, and sends.
    fn send(&mut self, base: &mut Base, mut frame: Vec<u8>, [a, b]: [u32; 2]) {
        let (value, start) = ((a >> 18) as usize, b as usize & 0x3ff);
        let mode = b >> 10 & 3;
        let mut good = true;
        if mode == 2 {
            // The driver has left the sum of the pseudo header where the checksum goes.
            good = value >= start && offload::complete_checksum(&mut frame, start, value - start);
        }
        if b >> 15 & 1 != 0 {
            let [high, low] = ((b >> 16) as u16).to_be_bytes();
            frame.splice(12..12, [0x81, 0x00, high, low]);
        }
        if mode == 3 {
            let mut pieces = Vec::new();
            good = offload::segment_tcp(&frame, value as u16, |piece| pieces.push(piece.to_vec())).is_ok();
            for piece in pieces.iter().filter(|_| good) {
                self.statistics[0] = self.statistics[0].wrapping_add(1);
                self.statistics[1] = self.statistics[1].wrapping_add(piece.len() as u64);
                base.send(piece);
            }
        } else if good {
            base.send(&frame);
        }
        if good {
            count(&mut self.statistics, &frame);
        } else {
            base.kit.report.guest_error(format_args!("a frame that does not fit its offloads"));
            self.statistics[ERROR] = self.statistics[ERROR].wrapping_add(1);
        }
    }
}

/// How frames are received.
#[derive(Default)]
pub(super) struct Receiving {
    /// Tags are taken out.
    pub(super) strip: bool,
    /// Checksums are checked.
    pub(super) check: bool,
    /// A frame that is longer than a head's buffer goes on in bodies, not in heads.
    pub(super) compound: bool,
    /// Most buffers of a frame.
    pub(super) most_pieces: usize,
    /// Number of receive queues.
    pub(super) queues: u32,
}

/// A buffer for a piece of a frame.
pub(super) struct Piece {
    ring: usize,
    index: u32,
    at: u64,
    len: usize,
}

/// Buffers for a frame, and the rings as they are behind them.
pub(super) struct Plan {
    pieces: Vec<Piece>,
    rings: [Ring; 2],
}

/// A queue of received frames.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RxQueue {
    pub(super) at: u64,
    rings: [Ring; 2],
    completions: Ring,
    pub(super) line: u8,
    pub(super) statistics: Statistics,
}

impl RxQueue {
    /// The queue that is described at `at`.
    pub(super) fn read(base: &Base, at: u64) -> Option<RxQueue> {
        let t = Table::read(base, at)?;
        let rings = [0, 1].map(|n| Ring::new(t.rings[n], t.sizes[n], CELLS));
        let completions = Ring::new(t.rings[2], t.sizes[2], RX_COMPLETIONS);
        completions.clear(base);
        Some(RxQueue { at, rings, completions, line: t.line, statistics: [0; 10] })
    }

    pub(super) fn is_possible(&self) -> bool {
        self.rings.iter().all(Ring::is_possible) && self.completions.is_possible()
    }

    /// The next buffer of a ring, if it is the card's: it, and whether it is a body.
    fn next(base: &Base, rings: &[Ring; 2], ring: usize) -> Option<(Piece, bool)> {
        let r = &rings[ring];
        let [low, high, flags, _] = r.peek(base).filter(|w| (w[2] >> 31 != 0) == r.generation)?;
        let (at, len) = (u64::from(high) << 32 | u64::from(low), flags as usize & 0x3fff);
        Some((Piece { ring, index: r.next, at, len }, flags >> 14 & 1 != 0))
    }

    /// Buffers for `len` bytes, if they are there.
    pub(super) fn plan(&self, base: &Base, len: usize, how: &Receiving) -> Option<Plan> {
        let (mut rings, mut pieces, mut room) = (self.rings, Vec::<Piece>::new(), 0);
        // Bodies in front of a head are passed over, at most all of them.
        for _ in 0..2 * CELLS {
            if room >= len || pieces.len() >= how.most_pieces {
                break;
            }
            let head = pieces.is_empty() || !how.compound;
            let first = RxQueue::next(base, &rings, 0);
            let piece = match first {
                Some((piece, body)) if head != body => piece,
                Some(_) if head => {
                    rings[0].advance();
                    continue;
                }
                None if head => return None,
                _ => RxQueue::next(base, &rings, 1)?.0,
            };
            rings[piece.ring].advance();
            room += piece.len;
            pieces.push(piece);
        }
        (room >= len).then_some(Plan { pieces, rings })
    }

    /// Puts a frame into buffers, and says so.
    pub(super) fn take(&mut self, base: &Base, frame: &[u8], how: &Receiving) {
        let stripped = tag(frame).filter(|_| how.strip);
        let mut bytes = frame.to_vec();
        if stripped.is_some() {
            bytes.drain(12..16);
        }
        let Some(plan) = self.plan(base, bytes.len(), how) else {
            self.statistics[NO_BUFFER] = self.statistics[NO_BUFFER].wrapping_add(1);
            return;
        };
        let (mut rest, last, mut good) = (&bytes[..], plan.pieces.len() - 1, true);
        for (n, piece) in plan.pieces.iter().enumerate() {
            let (part, more) = rest.split_at(rest.len().min(piece.len));
            good &= base.store(piece.at, part);
            let mut words = [piece.index, 0, part.len() as u32, 3 << 24];
            words[0] |= (how.queues * piece.ring as u32) << 16;
            words[0] |= if n == 0 { 1 << 15 } else { 0 };
            if n == last {
                words[0] |= 1 << 14;
                words[2] |= if good { 0 } else { 1 << 14 };
                words[2] |= stripped.map_or(0, |tag| 1 << 15 | u32::from(tag) << 16);
                let checked = if how.check { verdict(&bytes) } else { None };
                words[0] |= if checked.is_none() { 1 << 30 } else { 0 };
                words[3] |= checked.unwrap_or(0);
            }
            good &= self.completions.complete(base, words);
            rest = more;
        }
        self.rings = plan.rings;
        if good {
            count(&mut self.statistics, &bytes);
        } else {
            base.kit.report.guest_error(format_args!("a receive buffer is not in memory"));
            self.statistics[RX_ERROR] = self.statistics[RX_ERROR].wrapping_add(1);
        }
    }
}

/// What a completion says of a packet whose checksums are right: IPv4 or IPv6, TCP or UDP, and that they are.
fn verdict(frame: &[u8]) -> Option<u32> {
    if !offload::checksum_is_valid(frame) {
        return None;
    }
    let ip = if tag(frame).is_some() { 18 } else { 14 };
    let (kind, protocol) = if frame.get(ip)? >> 4 == 4 { (1 << 21, ip + 9) } else { (1 << 20, ip + 6) };
    let transport = if *frame.get(protocol)? == TCP { 1 << 18 } else { 1 << 17 };
    Some(kind | transport | 1 << 23 | 1 << 19 | 1 << 16)
}
