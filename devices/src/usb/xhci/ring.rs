//! Transfer request blocks, and the rings that they are in (xHCI 1.1, 4.9 and 6.4).

use super::Xhci;
use tern_core::device::BusError;

/// Types of blocks (table 6-91).
pub(super) mod kind {
    pub(in super::super) const NORMAL: u32 = 1;
    pub(in super::super) const SETUP: u32 = 2;
    pub(in super::super) const DATA: u32 = 3;
    pub(in super::super) const STATUS: u32 = 4;
    pub(in super::super) const ISOCH: u32 = 5;
    pub(in super::super) const LINK: u32 = 6;
    pub(in super::super) const EVENT_DATA: u32 = 7;
    pub(in super::super) const NO_OP: u32 = 8;
    pub(in super::super) const TRANSFER: u32 = 32;
    pub(in super::super) const COMMAND: u32 = 33;
    pub(in super::super) const PORT: u32 = 34;
    pub(in super::super) const WRAP: u32 = 39;
}

/// Completion codes (table 6-90).
pub(super) mod code {
    pub(in super::super) const SUCCESS: u32 = 1;
    pub(in super::super) const BABBLE: u32 = 3;
    pub(in super::super) const TRANSACTION: u32 = 4;
    pub(in super::super) const TRB: u32 = 5;
    pub(in super::super) const STALL: u32 = 6;
    pub(in super::super) const RESOURCE: u32 = 7;
    pub(in super::super) const NO_SLOTS: u32 = 9;
    pub(in super::super) const NO_SLOT: u32 = 11;
    pub(in super::super) const NO_ENDPOINT: u32 = 12;
    pub(in super::super) const SHORT: u32 = 13;
    pub(in super::super) const PARAMETER: u32 = 17;
    pub(in super::super) const STATE: u32 = 19;
    pub(in super::super) const RING_STOPPED: u32 = 24;
    pub(in super::super) const STOPPED: u32 = 26;
}

/// Length of a block in bytes.
pub(super) const LEN: u64 = 16;
/// Most blocks that are fetched for one transfer descriptor or command.
const MOST: usize = 2048;

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trb {
    pub(super) parameter: u64,
    pub(super) status: u32,
    pub(super) control: u32,
}

impl Trb {
    pub(super) fn kind(&self) -> u32 {
        self.control >> 10 & 0x3f
    }

    /// Bits of the control word: cycle, toggle cycle, interrupt on short packet, chain, interrupt on completion, immediate
    /// data, block event interrupt, direction.
    pub(super) fn cycle(&self) -> bool {
        self.control & 1 != 0
    }

    pub(super) fn toggles(&self) -> bool {
        self.control & 2 != 0
    }

    pub(super) fn on_short(&self) -> bool {
        self.control & 4 != 0
    }

    pub(super) fn chained(&self) -> bool {
        self.control & 0x10 != 0
    }

    pub(super) fn on_completion(&self) -> bool {
        self.control & 0x20 != 0
    }

    pub(super) fn immediate(&self) -> bool {
        self.control & 0x40 != 0
    }

    pub(super) fn quiet(&self) -> bool {
        self.control & 0x200 != 0
    }

    pub(super) fn reads(&self) -> bool {
        self.control & 0x1_0000 != 0
    }

    /// The interrupter for its events.
    pub(super) fn interrupter(&self) -> u32 {
        self.status >> 22
    }

    /// Bytes that it moves.
    pub(super) fn len(&self) -> u32 {
        match self.kind() {
            kind::NORMAL | kind::DATA | kind::ISOCH => self.status & 0x1_ffff,
            _ => 0,
        }
    }
}

/// A place in a ring: an address, and the cycle bit of blocks that are there.
pub(super) type Place = (u64, bool);

/// A transfer descriptor: chained blocks and their addresses; what follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Td {
    pub(super) blocks: Vec<(u64, Trb)>,
    pub(super) next: Place,
}

impl Td {
    pub(super) fn total(&self) -> u32 {
        self.blocks.iter().fold(0, |sum, (_, trb)| sum + trb.len())
    }

    /// Calls `f` with the parts of memory behind bytes `at..at + len`: address and length; immediate data have none.
    pub(super) fn parts(
        &self,
        at: u32,
        len: usize,
        mut f: impl FnMut(Option<u64>, &Trb, usize, core::ops::Range<usize>) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let (from, to) = (u64::from(at), u64::from(at) + len as u64);
        let mut start = 0;
        for (_, trb) in &self.blocks {
            let end = start + u64::from(trb.len());
            let (low, high) = (from.max(start), to.min(end));
            if low < high {
                let inside = low - start;
                let addr = (!trb.immediate()).then(|| trb.parameter.wrapping_add(inside));
                f(addr, trb, inside as usize, (low - from) as usize..(high - from) as usize)?;
            }
            start = end;
        }
        Ok(())
    }
}

/// What is at a place of a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nothing that is complete.
    Nothing,
    Td(Td),
    /// Blocks without an end.
    Endless,
}

impl Xhci {
    fn trb(&self, addr: u64) -> Result<Trb, BusError> {
        let [low, high, status, control] = self.words(addr)?;
        Ok(Trb { parameter: u64::from(high) << 32 | u64::from(low), status, control })
    }

    /// The transfer descriptor, or the command, at a place.
    pub(super) fn fetch(&self, place: Place) -> Result<Found, BusError> {
        let (mut at, mut cycle) = place;
        let mut blocks = Vec::new();
        for _ in 0..MOST {
            let trb = self.trb(at)?;
            if trb.cycle() != cycle {
                return Ok(Found::Nothing);
            }
            if trb.kind() == kind::LINK {
                cycle ^= trb.toggles();
                at = trb.parameter & !0xf;
                continue;
            }
            blocks.push((at, trb));
            at = at.wrapping_add(LEN);
            if !trb.chained() {
                return Ok(Found::Td(Td { blocks, next: (at, cycle) }));
            }
        }
        Ok(Found::Endless)
    }
}
