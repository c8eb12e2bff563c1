//! Sending (82576 datasheet, 7.2): legacy and advanced descriptors, two contexts to a queue.

use super::super::packet::crc32c;
use super::super::ring::Ring;
use super::super::segment::{Large, Sum, cut};
use super::super::stats::at;
use super::irq::cause;
use super::{ENABLE, Igb, VME, token};
use crate::network::intel::{BUDGET, MOST_FRAME, PAUSE, field};
use serde::{Deserialize, Serialize};

/// Transmit control: on.
const TCTL_EN: u32 = 1 << 1;

/// Commands of descriptors, in their third word.
mod command {
    /// Types of advanced descriptors.
    pub(super) const TYPE: u32 = 0xf << 20;
    pub(super) const CONTEXT: u32 = 2 << 20;
    pub(super) const DATA: u32 = 3 << 20;
    pub(super) const EOP: u32 = 1 << 24;
    /// Legacy: insert a checksum.
    pub(super) const IC: u32 = 1 << 26;
    pub(super) const RS: u32 = 1 << 27;
    pub(super) const DEXT: u32 = 1 << 29;
    pub(super) const VLE: u32 = 1 << 30;
    pub(super) const TSE: u32 = 1 << 31;
}

/// Options of an advanced data descriptor, in its fourth word: insert checksums.
const IXSM: u32 = 1 << 8;
const TXSM: u32 = 1 << 9;
/// Context: the packet is IPv4; its protocol, of which there is UDP too.
const IPV4: u32 = 1 << 10;
const L4T: u32 = 3 << 11;
const L4T_TCP: u32 = 1 << 11;
const L4T_SCTP: u32 = 2 << 11;
/// Status: done.
const DD: u32 = 1;

/// A context descriptor (82576 datasheet, 7.2.2.2): lengths and tag, commands, segment size and lengths.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Context {
    lengths: u32,
    commands: u32,
    sizes: u32,
}

impl Context {
    /// Offset of the IP header.
    fn ip(&self) -> usize {
        (self.lengths >> 9 & 0x7f) as usize
    }

    /// Offset of what follows it.
    fn l4(&self) -> usize {
        self.ip() + (self.lengths & 0x1ff) as usize
    }

    fn tag(&self) -> u16 {
        (self.lengths >> 16) as u16
    }

    fn is_sctp(&self) -> bool {
        self.commands & L4T == L4T_SCTP
    }

    fn ip_sum(&self, options: u32) -> Option<Sum> {
        let wanted = options & IXSM != 0 && self.l4() > self.ip();
        wanted.then(|| Sum { start: self.ip(), at: self.ip() + 10, end: self.l4() - 1 })
    }

    fn l4_sum(&self, options: u32) -> Option<Sum> {
        let field = if self.commands & L4T == L4T_TCP { 16 } else { 6 };
        let wanted = options & TXSM != 0 && !self.is_sctp();
        wanted.then(|| Sum { start: self.l4(), at: self.l4() + field, end: 0 })
    }

    fn large(&self, options: u32) -> Large {
        Large {
            ip: self.ip(),
            v6: self.commands & IPV4 == 0,
            l4: self.l4(),
            tcp: self.commands & L4T == L4T_TCP,
            header: self.l4() + (self.sizes >> 8 & 0xff) as usize,
            mss: (self.sizes >> 16) as usize,
            ip_sum: self.ip_sum(options),
            l4_sum: self.l4_sum(options),
        }
    }
}

/// A queue.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Tx {
    pub(super) ring: Ring,
    /// Descriptor control.
    pub(super) control: u32,
    /// Where the head is written to, if bit 0 is set.
    pub(super) head: u64,
    contexts: [Context; 2],
    packet: Pending,
}

/// The packet that is being put together.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Pending {
    bytes: Vec<u8>,
    begun: bool,
    /// Command and options of its first descriptor.
    command: u32,
    options: u32,
    /// Legacy: where a checksum begins and goes; tag.
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

impl Igb {
    pub(super) fn set_tctl(&mut self, value: u32) {
        self.s.mac.tctl = value;
        (0..self.s.tx.len()).for_each(|queue| self.transmit(queue));
    }

    pub(super) fn set_tdt(&mut self, queue: usize, value: u32) {
        self.s.tx[queue].ring.tail = value & 0xffff;
        self.transmit(queue);
    }

    pub(super) fn set_txdctl(&mut self, queue: usize, value: u32) {
        self.s.tx[queue].control = value & 0x021f_1f1f;
        self.transmit(queue);
    }

    pub(super) fn set_head_place(&mut self, queue: usize, upper: bool, value: u64) {
        let head = &mut self.s.tx[queue].head;
        *head = if upper { *head & 0xffff_ffff | value << 32 } else { *head & !0xffff_ffff | value & 0xffff_fffd };
    }

    /// Sends what a queue holds; if that is a lot, the rest a moment later.
    pub(super) fn transmit(&mut self, queue: usize) {
        let on = self.s.mac.tctl & TCTL_EN != 0 && self.s.tx[queue].control & ENABLE != 0;
        if !on || !self.is_master() {
            return;
        }
        if self.s.tx[queue].ring.is_broken() {
            return self.kit.report.guest_error(format_args!("transmit ring {queue}: head or tail outside"));
        }
        let mut reported = false;
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
            self.s.tx[queue].ring.advance(1);
            if field(&bytes, 8) & command::RS != 0 {
                self.report_done(queue, at, field(&bytes, 12));
                reported = true;
            }
        }
        if reported {
            self.raise(cause::TXDW, self.queue_cause(queue, true));
        }
    }

    /// Says that a descriptor is done: in its status, or by writing the head.
    fn report_done(&self, queue: usize, at: u64, status: u32) {
        let tx = &self.s.tx[queue];
        let written = if tx.head & 1 != 0 {
            self.kit.dma.write(tx.head & !3, &tx.ring.head.to_le_bytes())
        } else {
            self.kit.dma.write(at.wrapping_add(12), &(status | DD).to_le_bytes())
        };
        if written.is_err() {
            self.kit.report.guest_error(format_args!("transmit ring {queue}: its state goes where no memory is"));
        }
    }

    /// Does what a descriptor says; how many bytes that moved.
    fn descriptor(&mut self, queue: usize, bytes: &[u8; 16]) -> usize {
        let (command, options) = (field(bytes, 8), field(bytes, 12));
        let advanced = command & command::DEXT != 0;
        let tx = &mut self.s.tx[queue];
        match command & command::TYPE {
            _ if !advanced => {}
            command::DATA => {}
            command::CONTEXT => {
                let context = Context { lengths: field(bytes, 0), commands: command, sizes: options };
                tx.contexts[(options >> 4 & 1) as usize] = context;
                return 0;
            }
            other => {
                self.kit.report.guest_error(format_args!("transmit descriptor of type {:#x}", other >> 20));
                return 0;
            }
        }
        let packet = &mut tx.packet;
        if !packet.begun {
            packet.begun = true;
            (packet.command, packet.options) = if advanced { (command, options) } else { (0, 0) };
        }
        if !advanced && command & command::IC != 0 {
            packet.sum = Some(((options >> 8) as u8, (command >> 16) as u8));
        }
        if !advanced && command & command::VLE != 0 {
            packet.tag = Some((options >> 16) as u16);
        }
        let (from, len) = (packet.bytes.len(), (command & 0xffff) as usize);
        if from + len > MOST_FRAME {
            packet.bad = true;
        } else if !packet.bad {
            packet.bytes.resize(from + len, 0);
            let at = u64::from(field(bytes, 4)) << 32 | u64::from(field(bytes, 0));
            packet.bad = self.kit.dma.read(at, &mut packet.bytes[from..]).is_err();
        }
        if command & command::EOP == 0 { len } else { len + self.finish(queue) }
    }

    /// The packet is whole: completes it, or cuts it, and sends it; how many bytes that were.
    fn finish(&mut self, queue: usize) -> usize {
        let tx = &mut self.s.tx[queue];
        let mut packet = core::mem::take(&mut tx.packet);
        let (command, options) = (packet.command, packet.options);
        let context = tx.contexts[(options >> 4 & 1) as usize];
        if packet.bad {
            self.kit.report.guest_error(format_args!("a packet that is too long, or where no memory is"));
            return 0;
        }
        let tag = if command & command::VLE != 0 { Some(context.tag()) } else { packet.tag };
        if command & command::TSE != 0 {
            let mut sent = 0;
            match cut(&packet.bytes, &context.large(options), |piece| sent += self.emit(piece, tag)) {
                Ok(_) => self.s.mac.stats.count(at::TSCTC),
                Err(e) => self.kit.report.guest_error(format_args!("large segment: {e}")),
            }
            return sent;
        }
        let legacy = packet.sum.map(|(start, at)| Sum { start: start.into(), at: at.into(), end: 0 });
        let sums = [context.l4_sum(options), context.ip_sum(options), legacy];
        let mut good = sums.into_iter().flatten().all(|sum| sum.insert(&mut packet.bytes));
        if options & TXSM != 0 && context.is_sctp() {
            good &= insert_crc32c(&mut packet.bytes, context.l4());
        }
        if !good {
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

    /// Is VLAN tags' stripping on?
    pub(super) fn strips(&self) -> bool {
        self.s.mac.ctrl & VME != 0
    }
}

/// Inserts the checksum of the SCTP packet at `l4` (RFC 9260, appendix A).  False: it is not in the frame.
fn insert_crc32c(frame: &mut [u8], l4: usize) -> bool {
    let Some(place) = frame.get_mut(l4 + 8..l4 + 12) else { return false };
    place.fill(0);
    let value = crc32c(&frame[l4..]);
    frame[l4 + 8..l4 + 12].copy_from_slice(&value.to_le_bytes());
    true
}
