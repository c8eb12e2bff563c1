//! Sending (8254x manual, 3.3 to 3.5; 82574 datasheet, 7.2): legacy, context and data descriptors.

use super::super::ring::Ring;
use super::super::segment::{Large, Sum, cut};
use super::super::stats::at;
use super::irq::cause;
use super::{Gbe, VME, token};
use crate::network::intel::{BUDGET, MOST_FRAME, PAUSE, field};
use serde::{Deserialize, Serialize};

/// Transmit control: on.
pub(super) const TCTL_EN: u32 = 1 << 1;

/// Commands of descriptors, in their third word.
mod command {
    /// Type of an extended descriptor: data, not context.
    pub(super) const DATA: u32 = 1 << 20;
    pub(super) const EOP: u32 = 1 << 24;
    /// Legacy: insert a checksum.  Data and context: a large segment.
    pub(super) const IC: u32 = 1 << 26;
    pub(super) const TSE: u32 = 1 << 26;
    pub(super) const RS: u32 = 1 << 27;
    pub(super) const RPS: u32 = 1 << 28;
    pub(super) const DEXT: u32 = 1 << 29;
    pub(super) const VLE: u32 = 1 << 30;
    pub(super) const IDE: u32 = 1 << 31;
    /// Context: the packet is TCP, is IPv4.
    pub(super) const TCP: u32 = 1 << 24;
    pub(super) const IP: u32 = 1 << 25;
}

/// Options of a data descriptor: insert checksums.
const IXSM: u8 = 1;
const TXSM: u8 = 2;
/// Status: done.
const DD: u32 = 1;
/// Vector allocation: every write-back interrupts, whether asked for or not.
const EVERY: u32 = 1 << 31;

/// A context descriptor (8254x manual, 3.3.6).
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Context {
    ip: (u8, u8, u16),
    l4: (u8, u8, u16),
    header: u8,
    mss: u16,
    tcp: bool,
    v4: bool,
}

impl Context {
    fn new(bytes: &[u8; 16]) -> Context {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let command = field(bytes, 8);
        Context {
            ip: (bytes[0], bytes[1], half(2)),
            l4: (bytes[4], bytes[5], half(6)),
            header: bytes[13],
            mss: half(14),
            tcp: command & command::TCP != 0,
            v4: command & command::IP != 0,
        }
    }

    fn sum((start, at, end): (u8, u8, u16)) -> Sum {
        Sum { start: start.into(), at: at.into(), end: end.into() }
    }

    fn ip_sum(&self, options: u8) -> Option<Sum> {
        (options & IXSM != 0).then(|| Context::sum(self.ip))
    }

    fn l4_sum(&self, options: u8) -> Option<Sum> {
        (options & TXSM != 0).then(|| Context::sum(self.l4))
    }

    fn large(&self, options: u8) -> Large {
        Large {
            ip: self.ip.0.into(),
            v6: !self.v4,
            l4: self.l4.0.into(),
            tcp: self.tcp,
            header: self.header.into(),
            mss: self.mss.into(),
            ip_sum: self.ip_sum(options),
            l4_sum: self.l4_sum(options),
        }
    }
}

/// A queue.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Tx {
    pub(super) ring: Ring,
    /// The contexts of frames and of large segments.
    plain: Context,
    large: Context,
    packet: Pending,
}

/// The packet that is being put together.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Pending {
    bytes: Vec<u8>,
    begun: bool,
    options: u8,
    segmented: bool,
    /// Legacy: where a checksum begins and goes.
    sum: Option<(u8, u8)>,
    tag: Option<u16>,
    /// It cannot be sent.
    bad: bool,
}

impl Tx {
    /// Can it be so?
    pub(super) fn fits(&self) -> bool {
        self.ring.fits() && self.packet.bytes.len() <= MOST_FRAME
    }
}

impl Gbe {
    pub(super) fn set_tctl(&mut self, value: u32) {
        self.s.mac.tctl = value;
        (0..self.s.tx.len()).for_each(|queue| self.transmit(queue));
    }

    pub(super) fn set_tdt(&mut self, queue: usize, value: u32) {
        self.s.tx[queue].ring.tail = value & 0xffff;
        self.transmit(queue);
    }

    /// Sends what a queue holds; if that is a lot, the rest a moment later.
    pub(super) fn transmit(&mut self, queue: usize) {
        if self.s.mac.tctl & TCTL_EN == 0 || !self.is_master() {
            return;
        }
        if self.s.tx[queue].ring.is_broken() {
            return self.kit.report.guest_error(format_args!("transmit ring {queue}: head or tail outside"));
        }
        let (mut causes, mut delay, mut any) = (0, true, false);
        let mut budget = BUDGET;
        while self.s.tx[queue].ring.ready() > 0 {
            if budget == 0 {
                self.kit.clock.schedule(token::TX + queue as u32, self.kit.clock.now().saturating_add(PAUSE));
                break;
            }
            let at = self.s.tx[queue].ring.at_head();
            let Ok(bytes) = self.kit.dma.array::<16>(at) else {
                self.kit.report.guest_error(format_args!("transmit descriptor at {at:#x}, where no memory is"));
                break;
            };
            budget = budget.saturating_sub(self.descriptor(queue, &bytes) + 16);
            let command = field(&bytes, 8);
            let every = self.s.irq.ivar & EVERY != 0;
            if command & (command::RS | command::RPS) != 0 || every {
                let status = field(&bytes, 12) | DD;
                // Where the descriptor was read, its status can be written.
                let _ = self.kit.dma.write(at.wrapping_add(12), &status.to_le_bytes());
                causes |= self.queue_cause(queue, true);
                delay &= command & command::IDE != 0;
            }
            self.s.tx[queue].ring.advance(1);
            any = true;
        }
        if any && self.s.tx[queue].ring.ready() == 0 {
            causes |= cause::TXQE;
        }
        if causes != 0 {
            self.sent(causes, delay);
        }
    }

    /// Does what a descriptor says; how many bytes that moved.
    fn descriptor(&mut self, queue: usize, bytes: &[u8; 16]) -> usize {
        let (command, upper) = (field(bytes, 8), field(bytes, 12));
        let tx = &mut self.s.tx[queue];
        let extended = command & command::DEXT != 0;
        if extended && command & command::DATA == 0 {
            let context = Context::new(bytes);
            *(if command & command::TSE != 0 { &mut tx.large } else { &mut tx.plain }) = context;
            return 0;
        }
        let packet = &mut tx.packet;
        if !packet.begun {
            packet.begun = true;
            packet.options = if extended { (upper >> 8) as u8 } else { 0 };
            packet.segmented = extended && command & command::TSE != 0;
        }
        if !extended && command & command::IC != 0 {
            packet.sum = Some(((upper >> 8) as u8, (command >> 16) as u8));
        }
        if command & command::VLE != 0 {
            packet.tag = Some((upper >> 16) as u16);
        }
        let len = (command & if extended { 0xf_ffff } else { 0xffff }) as usize;
        let from = packet.bytes.len();
        if from + len > MOST_FRAME {
            packet.bad = true;
        } else if !packet.bad {
            packet.bytes.resize(from + len, 0);
            let at = u64::from(upper_address(bytes)) << 32 | u64::from(field(bytes, 0));
            if self.kit.dma.read(at, &mut packet.bytes[from..]).is_err() {
                packet.bad = true;
            }
        }
        if command & command::EOP == 0 { len } else { len + self.finish(queue) }
    }

    /// The packet is whole: completes it, or cuts it, and sends it; how many bytes that were.
    fn finish(&mut self, queue: usize) -> usize {
        let tx = &mut self.s.tx[queue];
        let mut packet = core::mem::take(&mut tx.packet);
        let (plain, large) = (tx.plain, tx.large);
        if packet.bad {
            self.kit.report.guest_error(format_args!("a packet that is too long, or where no memory is"));
            return 0;
        }
        let tag = packet.tag.filter(|_| self.s.mac.ctrl & VME != 0);
        if packet.segmented {
            let mut sent = 0;
            match cut(&packet.bytes, &large.large(packet.options), |piece| sent += self.emit(piece, tag)) {
                Ok(_) => self.s.mac.stats.count(at::TSCTC),
                Err(e) => self.kit.report.guest_error(format_args!("large segment: {e}")),
            }
            return sent;
        }
        let legacy = packet.sum.map(|(start, at)| Sum { start: start.into(), at: at.into(), end: 0 });
        let sums = [plain.l4_sum(packet.options), plain.ip_sum(packet.options), legacy];
        if !sums.into_iter().flatten().all(|sum| sum.insert(&mut packet.bytes)) {
            self.kit.report.guest_error(format_args!("a checksum outside of the packet"));
            return 0;
        }
        self.emit(&mut packet.bytes, tag)
    }

    /// Puts a frame on the wire, or back into the card if that is looped; its length.
    fn emit(&mut self, frame: &mut Vec<u8>, tag: Option<u16>) -> usize {
        let len = self.s.mac.finish(frame, tag);
        if len == 0 {
            return 0;
        }
        if self.loops() {
            self.accept(frame);
        } else if self.s.mac.cable {
            self.link.send(frame);
        }
        len
    }
}

/// The upper half of a descriptor's buffer address.
fn upper_address(bytes: &[u8; 16]) -> u32 {
    field(bytes, 4)
}
