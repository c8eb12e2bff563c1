//! Receiving (8254x manual, 3.2; 82574 datasheet, 7.1): legacy, extended and packet-split descriptors.

use super::super::mac::{Flow, rctl, rfctl, rx};
use super::super::packet::{HEADER, Network, Packet, SHORTEST, check_sequence};
use super::super::ring::DESCRIPTOR;
use super::super::segment::strip_tag;
use super::super::stats::at;
use super::irq::cause;
use super::{Gbe, VME};
use crate::network::intel::{FULL_FRAME, field};

/// Longest frames without check sequence: those of Ethernet with a tag, and all that the card can take.
const LONGEST: usize = 1518;
const LONGEST_LONG: usize = 16380;
/// Receive control: packet-split descriptors.
const DTYP: u32 = 3 << 10;
const DTYP_SPLIT: u32 = 1 << 10;
/// Further status of extended descriptors.
const IPIDV: u32 = 1 << 9;
const ACK: u32 = 1 << 15;
/// Header status: the header was split off.
const HDRSP: u16 = 1 << 15;

/// How the descriptors look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Legacy,
    Extended,
    Split,
}

/// What a frame's descriptors say of it.
struct Facts {
    status: u32,
    /// First and second word of extended descriptors.
    words: (u32, u32),
    sum: u16,
    tag: u16,
    /// Length of the headers that can be split off.
    header: usize,
}

impl Gbe {
    fn format(&self) -> Format {
        match (self.s.mac.rfctl & rfctl::EXTEN != 0, self.s.mac.rctl & DTYP == DTYP_SPLIT) {
            (false, _) => Format::Legacy,
            (true, false) => Format::Extended,
            (true, true) => Format::Split,
        }
    }

    /// Sizes of a descriptor's buffers.
    fn buffers(&self, format: Format) -> Vec<usize> {
        if format != Format::Split {
            return vec![self.s.mac.buffer()];
        }
        let split = self.s.mac.kept.get(0x2170) as usize;
        let pages = [8, 16, 24].map(|shift| (split >> shift & 0x3f) * 1024);
        [&[(split & 0x7f) * 128][..], &pages].concat()
    }

    /// Is there a frame's room in some queue?
    pub(super) fn has_room(&self) -> bool {
        let format = self.format();
        let size: usize = self.buffers(format).iter().sum();
        let fits = |ready: u32| ready as usize / units(format) * size >= FULL_FRAME;
        self.s.mac.rctl & rctl::EN != 0 && self.is_master() && self.s.rx.iter().any(|ring| fits(ring.ready()))
    }

    /// Does what is sent come back in?
    pub(super) fn loops(&self) -> bool {
        self.s.mac.rctl & rctl::LBM != 0 || self.s.mac.phy.loopback()
    }

    /// A frame has come.
    pub(super) fn accept(&mut self, frame: &[u8]) {
        if self.s.mac.rctl & rctl::EN == 0 || !self.is_master() || frame.len() < HEADER {
            return;
        }
        let mut frame = frame.to_vec();
        frame.resize(frame.len().max(SHORTEST), 0);
        let longest = if self.s.mac.rctl & rctl::LPE != 0 { LONGEST_LONG } else { LONGEST };
        if frame.len() > LONGEST_LONG || !self.s.mac.passes(&frame, longest) {
            return;
        }
        let whole = frame.clone();
        let tag = if self.s.mac.ctrl & VME != 0 { strip_tag(&mut frame, self.s.mac.vet()) } else { None };
        let packet = Packet::of(&frame, self.s.mac.vet());
        let format = self.format();
        let scaled = self.kind.queues > 1 && self.s.mac.mrqc & 3 == 1 && self.s.mac.hash_wanted();
        let flow = (scaled && format != Format::Legacy).then(|| self.s.mac.flow(&frame, &packet));
        let queue = flow.map_or(0, |flow| usize::from(flow.entry >> 7));
        let facts = self.facts(&frame, &packet, tag, flow);
        if self.s.mac.rctl & rctl::SECRC == 0 {
            frame.extend(check_sequence(&whole));
        }
        let before = self.s.rx[queue].ready();
        if self.deliver(queue, format, &frame, &facts) {
            self.s.mac.stats.received(&whole);
            self.received(self.queue_cause(queue, false) | self.threshold(queue, before));
        } else {
            self.s.mac.stats.count(at::MPC);
            self.s.mac.stats.count(at::RNBC);
            self.raise(cause::RXO);
        }
    }

    fn facts(&self, frame: &[u8], p: &Packet, tag: Option<u16>, flow: Option<Flow>) -> Facts {
        let mac = &self.s.mac;
        let mut status = rx::DD | rx::EOP | mac.sums(frame, p) | if tag.is_some() { rx::VP } else { 0 };
        let sum = mac.packet_sum(frame);
        let mut words = (0, u32::from(sum) << 16);
        match (flow, p.id(frame)) {
            (Some(flow), _) => words = (flow.kind | u32::from(flow.entry >> 7) << 8, flow.hash),
            (None, Some(id)) if !mac.hash_wanted() => {
                status |= IPIDV;
                words.1 |= u32::from(id);
            }
            _ => {}
        }
        if self.s.mac.rfctl & rfctl::EXTEN != 0 {
            let hidden = p.network == Network::V6 && mac.rfctl & rfctl::IPV6_DIS != 0;
            let kind = match (p.network, p.has_ports()) {
                _ if hidden => 0,
                (Network::Other, _) => 0,
                (Network::V4, false) => 1,
                (Network::V4, true) => 2,
                (Network::V6, false) => 5,
                (Network::V6, true) => 6,
            };
            status |= kind << 16 | if p.is_ack(frame) { ACK } else { 0 };
        }
        let header = if p.has_ports() { p.payload } else { 0 };
        Facts { status, words, sum, tag: tag.unwrap_or(0), header }
    }

    /// Has the frame used up the descriptors down to where the driver wants to hear of it?
    fn threshold(&self, queue: usize, before: u32) -> u32 {
        let ring = &self.s.rx[queue];
        let few = ring.count() >> (1 + (self.s.mac.rctl >> 8 & 3));
        let crossed = before > few && ring.ready() <= few;
        if crossed && self.queue_cause(queue, false) == cause::RXT0 { cause::RXDMT0 } else { 0 }
    }

    /// Puts a frame into buffers of a queue; false if there are not enough.
    fn deliver(&mut self, queue: usize, format: Format, frame: &[u8], facts: &Facts) -> bool {
        let sizes = self.buffers(format);
        let units = units(format) as u32;
        let mut available = self.s.rx[queue].ready() / units;
        if (available as usize).saturating_mul(sizes.iter().sum()) < frame.len() {
            return false;
        }
        let mut rest = frame;
        while !rest.is_empty() && available > 0 {
            let at = self.s.rx[queue].at_head();
            let first = rest.len() == frame.len();
            let done = match format {
                Format::Split => self.fill_split(at, &sizes, &mut rest, facts, first),
                _ => self.fill(at, format, sizes[0], &mut rest, facts),
            };
            if !done {
                self.kit.report.guest_error(format_args!("receive descriptor at {at:#x} or its buffer: no memory"));
                return false;
            }
            self.s.rx[queue].advance(units);
            available -= 1;
        }
        rest.is_empty()
    }

    /// Writes the next part of `rest` to a buffer of `size` bytes; its length.
    fn put(&self, addr: u64, size: usize, rest: &mut &[u8]) -> Option<u16> {
        let (part, more) = rest.split_at(rest.len().min(size));
        self.kit.dma.write(addr, part).ok()?;
        *rest = more;
        Some(part.len() as u16)
    }

    /// Fills the buffer of a legacy or extended descriptor, and writes the descriptor back.
    fn fill(&mut self, at: u64, format: Format, size: usize, rest: &mut &[u8], facts: &Facts) -> bool {
        let Ok(mut bytes) = self.kit.dma.array::<16>(at) else { return false };
        let addr = u64::from(field(&bytes, 4)) << 32 | u64::from(field(&bytes, 0));
        // A descriptor without buffer is passed over.
        let len = if addr == 0 { Some(0) } else { self.put(addr, size, rest) };
        let Some(len) = len else { return false };
        let last = rest.is_empty();
        let (status, tag) = if last { (facts.status, facts.tag) } else { (rx::DD, 0) };
        if format == Format::Legacy {
            bytes[8..10].copy_from_slice(&len.to_le_bytes());
            bytes[10..12].copy_from_slice(&(if last { facts.sum } else { 0 }).to_le_bytes());
            bytes[12] = status as u8;
            bytes[13] = (status >> 24) as u8;
        } else {
            let words = if last { facts.words } else { (0, 0) };
            bytes[0..4].copy_from_slice(&words.0.to_le_bytes());
            bytes[4..8].copy_from_slice(&words.1.to_le_bytes());
            bytes[8..12].copy_from_slice(&status.to_le_bytes());
            bytes[12..14].copy_from_slice(&len.to_le_bytes());
        }
        bytes[14..16].copy_from_slice(&tag.to_le_bytes());
        self.kit.dma.write(at, &bytes).is_ok()
    }

    /// Fills the four buffers of a packet-split descriptor: headers in the first, if they fit there.
    fn fill_split(&mut self, at: u64, sizes: &[usize], rest: &mut &[u8], facts: &Facts, first: bool) -> bool {
        let Ok(old) = self.kit.dma.array::<32>(at) else { return false };
        let split = first && (1..=sizes[0]).contains(&facts.header) && facts.header <= rest.len();
        let mut lens = [0u16; 4];
        for (n, size) in sizes.iter().enumerate() {
            let size = if n == 0 && split { facts.header } else { *size };
            let addr = u64::from(field(&old, 8 * n + 4)) << 32 | u64::from(field(&old, 8 * n));
            if rest.is_empty() || size == 0 {
                continue;
            }
            let Some(len) = self.put(addr, size, rest) else { return false };
            lens[n] = len;
        }
        if lens == [0; 4] {
            return false;
        }
        let last = rest.is_empty();
        let (status, words, tag) = if last { (facts.status, facts.words, facts.tag) } else { (rx::DD, (0, 0), 0) };
        let header = if split { facts.header as u16 | HDRSP } else { 0 };
        let mut bytes = Vec::with_capacity(32);
        bytes.extend(words.0.to_le_bytes());
        bytes.extend(words.1.to_le_bytes());
        bytes.extend(status.to_le_bytes());
        for half in [lens[0], tag, header, lens[1], lens[2], lens[3]] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.resize(32, 0);
        self.kit.dma.write(at, &bytes).is_ok()
    }
}

/// How many places of 16 bytes a descriptor takes in its ring.
fn units(format: Format) -> usize {
    if format == Format::Split { 32 / DESCRIPTOR as usize } else { 1 }
}
