//! Receiving (82576 datasheet, 7.1): filters, queues, legacy and advanced descriptors, header splitting.

use super::super::mac::{Flow, rctl, rfctl, rx};
use super::super::packet::{HEADER, Network, Packet, SHORTEST, TCP, UDP, check_sequence};
use super::super::ring::Ring;
use super::super::segment::strip_tag;
use super::super::stats::at;
use super::irq::cause;
use super::{ENABLE, Igb, QUEUES};
use crate::network::intel::{FULL_FRAME, field};
use crate::virtio::net::offload::be16;
use serde::{Deserialize, Serialize};

/// Longest frame of Ethernet with a tag, and longest that the card can take, without check sequence.
const LONGEST: usize = 1518;
const LONGEST_LONG: usize = 16380;
/// Descriptor types of the split and replication register.
const TYPE: u32 = 7 << 25;
const LEGACY: u32 = 0;
const SPLIT: u32 = 2 << 25;
const SPLIT_ALWAYS: u32 = 5 << 25;
/// EtherType filters: on, with a queue.
const ETQF_ON: u32 = 1 << 26;
const ETQF_QUEUE: u32 = 1 << 31;
/// Further status: the identification field is valid; the header is longer than its buffer.
const IPIDV: u32 = 1 << 9;
const HBO: u32 = 1 << 23;
/// The header was split off.
const SPH: u32 = 1 << 31;
/// Multiple receive queues: spread by hash; bit 0 are pools of virtual machines.
const MRQC_MODE: u32 = 7;
const MRQC_RSS: u32 = 2;

/// A queue.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Rx {
    pub(super) ring: Ring,
    /// Descriptor control.
    pub(super) control: u32,
    /// Split and replication control.
    pub(super) srrctl: u32,
    /// Frames dropped for want of buffers.
    pub(super) drops: u32,
}

/// What a frame's last descriptor says of it.
struct Facts {
    status: u32,
    kind: u32,
    second: u32,
    sum: u16,
    tag: u16,
    /// Length of the headers that can be split off.
    header: usize,
}

impl Igb {
    /// Sizes of a queue's header and packet buffers.
    fn buffers(&self, queue: usize) -> (usize, usize) {
        let srrctl = self.s.rx[queue].srrctl;
        let packet = (srrctl & 0x7f) as usize * 1024;
        let header = (srrctl >> 8 & 0xf) as usize * 64;
        (header, if packet == 0 { self.s.mac.buffer() } else { packet })
    }

    /// Is there a frame's room in some queue?
    pub(super) fn has_room(&self) -> bool {
        let fits = |queue: usize| {
            let rx = &self.s.rx[queue];
            rx.control & ENABLE != 0 && rx.ring.ready() as usize * self.buffers(queue).1 >= FULL_FRAME
        };
        self.s.mac.rctl & rctl::EN != 0 && self.is_master() && (0..QUEUES).any(fits)
    }

    /// Does what is sent come back in?
    pub(super) fn loops(&self) -> bool {
        self.s.mac.rctl & rctl::LBM != 0 || self.s.mac.phy.loopback()
    }

    pub(super) fn take_drops(&mut self, queue: usize) -> u64 {
        u64::from(core::mem::take(&mut self.s.rx[queue].drops))
    }

    /// A frame has come.
    pub(super) fn accept(&mut self, frame: &[u8]) {
        if self.s.mac.rctl & rctl::EN == 0 || !self.is_master() || frame.len() < HEADER {
            return;
        }
        let mut frame = frame.to_vec();
        frame.resize(frame.len().max(SHORTEST), 0);
        let most = (self.s.mac.kept.get(0x5004) as usize).saturating_sub(4);
        let longest = if self.s.mac.rctl & rctl::LPE != 0 { most } else { LONGEST };
        if frame.len() > LONGEST_LONG || !self.s.mac.passes(&frame, longest) {
            return;
        }
        if self.s.mac.mrqc & 1 != 0 {
            self.kit.report.unimplemented(format_args!("pools of virtual machines: all frames go to the first queues"));
        }
        let whole = frame.clone();
        let tag = if self.strips() { strip_tag(&mut frame, self.s.mac.vet()) } else { None };
        let packet = Packet::of(&frame, self.s.mac.vet());
        let scaled = self.s.mac.mrqc & MRQC_MODE == MRQC_RSS && self.s.mac.hash_wanted();
        let flow = scaled.then(|| self.s.mac.flow(&frame, &packet));
        let filter = self.ether_filter(&whole);
        let queue = match filter {
            Some((_, Some(queue))) => queue,
            _ => flow.map_or(0, |flow| usize::from(flow.entry & 0xf)),
        };
        let facts = self.facts(&frame, &packet, tag, flow, filter.map(|(n, _)| n));
        if self.s.mac.rctl & rctl::SECRC == 0 {
            frame.extend(check_sequence(&whole));
        }
        let before = self.s.rx[queue].ring.ready();
        if self.s.rx[queue].control & ENABLE != 0 && self.deliver(queue, &frame, &facts) {
            self.s.mac.stats.received(&whole);
            let few = self.s.rx[queue].ring.count() >> (1 + (self.s.mac.rctl >> 8 & 3));
            let crossed = before > few && self.s.rx[queue].ring.ready() <= few;
            let threshold = if crossed { cause::RXDMT0 } else { 0 };
            self.raise(cause::RXDW | threshold, self.queue_cause(queue, false));
        } else {
            let rx = &mut self.s.rx[queue];
            rx.drops = (rx.drops + 1).min(0xfff);
            self.s.mac.stats.count(at::MPC);
            self.s.mac.stats.count(at::RNBC);
            self.raise(cause::RXO, 0);
        }
    }

    /// The filter that knows the frame's EtherType, and the queue that it names.
    fn ether_filter(&self, frame: &[u8]) -> Option<(u32, Option<usize>)> {
        let kind = u32::from(be16(frame, 12)?);
        (0..8u32).find_map(|n| {
            let value = self.extra(u64::from(0x5cb0 + 4 * n)) as u32;
            let queue = (value & ETQF_QUEUE != 0).then_some((value >> 16 & 7) as usize);
            (value & ETQF_ON != 0 && value & 0xffff == kind).then_some((n, queue))
        })
    }

    fn facts(&self, frame: &[u8], p: &Packet, tag: Option<u16>, flow: Option<Flow>, filter: Option<u32>) -> Facts {
        let mac = &self.s.mac;
        let mut status = rx::DD | rx::EOP | mac.sums(frame, p) | if tag.is_some() { rx::VP } else { 0 };
        let sum = mac.packet_sum(frame);
        let mut second = u32::from(sum) << 16;
        match (flow, p.id(frame)) {
            (Some(flow), _) => second = flow.hash,
            (None, Some(id)) if !mac.hash_wanted() => {
                status |= IPIDV;
                second |= u32::from(id);
            }
            _ => {}
        }
        let network = match p.network {
            Network::V4 => 1,
            Network::V6 if mac.rfctl & rfctl::IPV6_DIS != 0 => 0,
            Network::V6 if p.extended => 8,
            Network::V6 => 4,
            Network::Other => 0,
        };
        let transport = match (p.has_ports(), p.protocol) {
            (true, TCP) => 1 << 4,
            (true, UDP) => 1 << 5,
            _ => 0,
        };
        let kind = filter.map_or(network | transport, |n| 1 << 11 | n);
        let header = if p.network == Network::Other { 0 } else { p.payload };
        Facts { status, kind: flow.map_or(0, |flow| flow.kind) | kind << 4, second, sum, tag: tag.unwrap_or(0), header }
    }

    /// Puts a frame into buffers of a queue; false if there are not enough.
    fn deliver(&mut self, queue: usize, frame: &[u8], facts: &Facts) -> bool {
        let (header, packet) = self.buffers(queue);
        let mut available = self.s.rx[queue].ring.ready();
        if (available as usize).saturating_mul(packet) < frame.len() {
            return false;
        }
        let kind = self.s.rx[queue].srrctl & TYPE;
        let mut rest = frame;
        while !rest.is_empty() && available > 0 {
            let at = self.s.rx[queue].ring.at_head();
            let first = rest.len() == frame.len();
            let split = match kind {
                SPLIT | SPLIT_ALWAYS if first => Igb::split(kind, header, frame.len(), facts),
                _ => Split::default(),
            };
            if self.fill(at, kind, packet, split, &mut rest, facts).is_none() {
                self.kit.report.guest_error(format_args!("receive descriptor at {at:#x} or its buffer: no memory"));
                return false;
            }
            self.s.rx[queue].ring.advance(1);
            available -= 1;
        }
        rest.is_empty()
    }

    /// How a frame of `len` bytes is divided between the first header buffer, of `size` bytes, and the packet buffers.
    fn split(kind: u32, size: usize, len: usize, facts: &Facts) -> Split {
        let fits = (1..=size).contains(&facts.header);
        let said = (facts.header as u32 & 0x3ff) << 21;
        if kind == SPLIT_ALWAYS && len <= size {
            return Split { len, info: (len as u32 & 0x3ff) << 21, status: 0 };
        }
        match (fits, facts.header, kind) {
            (true, header, _) => Split { len: header, info: SPH | said, status: 0 },
            (false, 0, SPLIT_ALWAYS) => Split { len: size.min(len), info: (size as u32 & 0x3ff) << 21, status: 0 },
            (false, 0, _) => Split::default(),
            (false, _, SPLIT_ALWAYS) => Split { len: size.min(len), info: SPH | said, status: HBO },
            (false, ..) => Split { len: 0, info: SPH | said, status: HBO },
        }
    }

    /// Fills the buffers of a descriptor, and writes it back; `None`: no memory is there.
    fn fill(&self, at: u64, kind: u32, size: usize, split: Split, rest: &mut &[u8], facts: &Facts) -> Option<()> {
        let mut bytes = self.kit.dma.array::<16>(at).ok()?;
        let address = |at: usize| u64::from(field(&bytes, at + 4)) << 32 | u64::from(field(&bytes, at));
        let (head, more) = rest.split_at(split.len);
        if !head.is_empty() {
            // The lowest bit of the address is for the driver.
            self.kit.dma.write(address(8) & !1, head).ok()?;
        }
        let (part, more) = more.split_at(more.len().min(size));
        self.kit.dma.write(address(0), part).ok()?;
        *rest = more;
        let last = rest.is_empty();
        let (status, tag) = if last { (facts.status | split.status, facts.tag) } else { (rx::DD | split.status, 0) };
        if kind == LEGACY {
            bytes[8..10].copy_from_slice(&(part.len() as u16).to_le_bytes());
            bytes[10..12].copy_from_slice(&(if last { facts.sum } else { 0 }).to_le_bytes());
            bytes[12] = status as u8;
            bytes[13] = (status >> 24) as u8;
        } else {
            let (first, second) = if last { (facts.kind, facts.second) } else { (0, 0) };
            bytes[0..4].copy_from_slice(&(first | split.info).to_le_bytes());
            bytes[4..8].copy_from_slice(&second.to_le_bytes());
            bytes[8..12].copy_from_slice(&status.to_le_bytes());
            bytes[12..14].copy_from_slice(&(part.len() as u16).to_le_bytes());
        }
        bytes[14..16].copy_from_slice(&tag.to_le_bytes());
        self.kit.dma.write(at, &bytes).ok()
    }
}

/// What goes into a header buffer, and what the descriptor says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Split {
    len: usize,
    info: u32,
    status: u32,
}
