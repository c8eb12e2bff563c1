//! Frames, lists of endpoints, and transfer descriptors (OHCI 1.0a, chapters 4 and 6).

use super::Ohci;
use super::regs::{command, control, interrupt};
use crate::pci::config;
use crate::usb::Reply;
use tern_core::device::BusError;

/// No queue of done transfers waits.
pub(super) const NO_DELAY: u8 = 7;
/// Most endpoints of a list, and most packets, that a frame serves.
const MOST_ENDPOINTS: usize = 64;
const MOST_PACKETS: usize = 256;
/// The communication area: interrupt table, frame number, done queue (4.4).
const AREA_FRAME: u32 = 0x80;
const AREA_DONE: u32 = 0x84;
/// Condition codes (4.3.3).
mod condition {
    pub(super) const NONE: u32 = 0;
    pub(super) const STALL: u32 = 4;
    pub(super) const NOT_RESPONDING: u32 = 5;
    pub(super) const OVERRUN: u32 = 8;
    pub(super) const UNDERRUN: u32 = 9;
}

/// Directions of packets, as transfer descriptors have them.
const SETUP: u32 = 0;
const OUT: u32 = 1;
const IN: u32 = 2;

/// An endpoint descriptor (4.2): its words.
struct Endpoint {
    at: u32,
    control: u32,
    tail: u32,
    head: u32,
    next: u32,
}

impl Endpoint {
    fn halted(&self) -> bool {
        self.head & 1 != 0
    }

    fn idle(&self) -> bool {
        self.halted() || self.control & 1 << 14 != 0 || self.head & !0xf == self.tail & !0xf
    }

    fn isochronous(&self) -> bool {
        self.control & 1 << 15 != 0
    }

    fn packet(&self) -> u32 {
        (self.control >> 16 & 0x7ff).max(1)
    }
}

/// A general transfer descriptor (4.3.1): its words.
struct Transfer {
    at: u32,
    control: u32,
    buffer: u32,
    next: u32,
    end: u32,
}

impl Transfer {
    /// Bytes that are left; a buffer lies in at most two pages.
    fn left(&self) -> u32 {
        match self.buffer {
            0 => 0,
            from if from & !0xfff == self.end & !0xfff => (self.end & 0xfff).wrapping_sub(from & 0xfff).wrapping_add(1),
            from => 0x1000 - (from & 0xfff) + (self.end & 0xfff) + 1,
        }
    }

    /// Address and length of the parts of the next `len` bytes.
    fn parts(&self, len: u32) -> [(u64, usize); 2] {
        let first = len.min(0x1000 - (self.buffer & 0xfff));
        [(u64::from(self.buffer), first as usize), (u64::from(self.end & !0xfff), (len - first) as usize)]
    }

    /// `len` bytes have been moved.
    fn advance(&mut self, len: u32) {
        let into = (self.buffer & 0xfff) + len;
        self.buffer = if into >= 0x1000 { (self.end & !0xfff) + (into - 0x1000) } else { self.buffer + len };
    }

    fn rounds(&self) -> bool {
        self.control & 1 << 18 != 0
    }
}

/// What came of a packet.
enum Step {
    /// More of the same transfer.
    More,
    /// The transfer is over.
    Retired,
    /// The device has nothing to say.
    Waits,
}

impl Ohci {
    fn words<const N: usize>(&self, addr: u32) -> Result<[u32; N], BusError> {
        let mut words = [0; N];
        for (n, word) in (0..).zip(&mut words) {
            *word = u32::from_le_bytes(self.kit.dma.array(u64::from(addr) + 4 * n)?);
        }
        Ok(words)
    }

    fn put(&self, addr: u32, word: u32) -> Result<(), BusError> {
        self.kit.dma.write(u64::from(addr), &word.to_le_bytes())
    }

    /// Serves a frame.
    pub(super) fn serve(&mut self) {
        if !self.config.enabled(config::command::MASTER) {
            return self.kit.report.guest_error(format_args!("frames without bus mastering"));
        }
        if let Err(error) = self.frame() {
            // It stops until it is reset (6.5.7).
            self.kit.report.guest_error(format_args!("{error}"));
            self.state.control = self.state.control & !(3 << 6) | 3 << 6;
            self.kit.clock.cancel(0);
            self.raise(interrupt::ERROR);
        }
    }

    fn frame(&mut self) -> Result<(), BusError> {
        let before = self.state.number;
        self.state.number = before.wrapping_add(1);
        self.put(self.state.area.wrapping_add(AREA_FRAME), self.state.number.into())?;
        if (before ^ self.state.number) & 0x8000 != 0 {
            self.raise(interrupt::OVERFLOW);
        }
        let mut packets = MOST_PACKETS;
        if self.state.control & control::PERIODIC != 0 {
            let slot = u32::from(self.state.number & 31);
            let [head] = self.words(self.state.area.wrapping_add(4 * slot))?;
            self.walk(head, &mut packets)?;
        }
        let filled = command::CONTROL_FILLED;
        if self.state.control & control::CONTROL != 0 && self.state.command & filled != 0 {
            let some = self.walk(self.state.control_head, &mut packets)?;
            self.state.command = self.state.command & !filled | if some { filled } else { 0 };
        }
        let filled = command::BULK_FILLED;
        if self.state.control & control::BULK != 0 && self.state.command & filled != 0 {
            let some = self.walk(self.state.bulk_head, &mut packets)?;
            self.state.command = self.state.command & !filled | if some { filled } else { 0 };
        }
        self.hand_over()?;
        self.raise(interrupt::FRAME);
        Ok(())
    }

    /// Hands the queue of done transfers over, when it is time and the driver has taken the last one (4.4.1).
    fn hand_over(&mut self) -> Result<(), BusError> {
        if self.state.delay < NO_DELAY && self.state.delay > 0 {
            self.state.delay -= 1;
        }
        if self.state.delay != 0 || self.state.done == 0 || self.state.status & interrupt::DONE != 0 {
            return Ok(());
        }
        let more = u32::from(self.state.status & self.state.enable != 0);
        self.put(self.state.area.wrapping_add(AREA_DONE), self.state.done | more)?;
        (self.state.done, self.state.delay) = (0, NO_DELAY);
        self.raise(interrupt::DONE);
        Ok(())
    }

    /// Serves a list of endpoints; had any something to do?
    fn walk(&mut self, head: u32, packets: &mut usize) -> Result<bool, BusError> {
        let mut at = head & !0xf;
        let mut some = false;
        for _ in 0..MOST_ENDPOINTS {
            if at == 0 {
                break;
            }
            let [control, tail, head, next] = self.words(at)?;
            let mut endpoint = Endpoint { at, control, tail, head, next: next & !0xf };
            if !endpoint.idle() {
                some = true;
                self.endpoint(&mut endpoint, packets)?;
            }
            at = endpoint.next;
        }
        Ok(some)
    }

    fn endpoint(&mut self, endpoint: &mut Endpoint, packets: &mut usize) -> Result<(), BusError> {
        if endpoint.isochronous() {
            self.kit.report.unimplemented(format_args!("isochronous transfers are not built"));
            return Ok(());
        }
        while !endpoint.idle() && *packets > 0 {
            *packets -= 1;
            let at = endpoint.head & !0xf;
            let [control, buffer, next, end] = self.words(at)?;
            let mut transfer = Transfer { at, control, buffer, next: next & !0xf, end };
            match self.packet(endpoint, &mut transfer)? {
                Step::More => {
                    self.put(at, transfer.control)?;
                    self.put(at.wrapping_add(4), transfer.buffer)?;
                }
                Step::Waits => break,
                Step::Retired => self.retire(endpoint, &transfer)?,
            }
        }
        Ok(())
    }

    /// Moves one packet.
    fn packet(&mut self, endpoint: &Endpoint, transfer: &mut Transfer) -> Result<Step, BusError> {
        let direction = match endpoint.control >> 11 & 3 {
            0 | 3 => transfer.control >> 19 & 3,
            own => own,
        };
        let (left, number) = (transfer.left(), (endpoint.control >> 7 & 0xf) as u8);
        let want = left.min(endpoint.packet());
        let ports = self.state.ports.clone();
        let address = (endpoint.control & 0x7f) as u8;
        let device = self.bus.addressed(address, |root| Ohci::passes(&ports, root));
        let Some(device) = device else { return Ok(fail(transfer, condition::NOT_RESPONDING)) };
        let mut buf = vec![0; want as usize];
        let parts = transfer.parts(want);
        let split = parts[0].1;
        if direction != IN {
            self.kit.dma.read(parts[0].0, &mut buf[..split])?;
            self.kit.dma.read(parts[1].0, &mut buf[split..])?;
        }
        let reply = match direction {
            SETUP => match buf.as_array::<8>() {
                Some(bytes) => self.bus.setup(device, *bytes),
                None => Reply::Gone,
            },
            OUT => self.bus.output(device, number, &buf),
            IN => self.bus.input(self.kit.clock.now(), device, number, &mut buf),
            _ => Reply::Gone,
        };
        let moved = match reply {
            Reply::Done(moved) => moved.min(want as usize),
            Reply::Nak => return Ok(Step::Waits),
            Reply::Stall => return Ok(fail(transfer, condition::STALL)),
            Reply::Babble => return Ok(fail(transfer, condition::OVERRUN)),
            Reply::Gone => return Ok(fail(transfer, condition::NOT_RESPONDING)),
        };
        if direction == IN {
            self.kit.dma.write(parts[0].0, &buf[..split.min(moved)])?;
            self.kit.dma.write(parts[1].0, &buf[split.min(moved)..moved])?;
        }
        // Toggles are the driver's to see; packets are never lost here.
        let toggle = if transfer.control & 1 << 25 != 0 { transfer.control >> 24 & 1 } else { endpoint.head >> 1 & 1 };
        transfer.control = transfer.control & !(7 << 24 | 3 << 26) | (2 | (toggle ^ 1)) << 24;
        if moved as u32 == left {
            transfer.buffer = 0;
            transfer.control &= !(0xf << 28);
            return Ok(Step::Retired);
        }
        transfer.advance(moved as u32);
        if (moved as u32) < endpoint.packet() {
            let code = if transfer.rounds() { condition::NONE } else { condition::UNDERRUN };
            return Ok(fail(transfer, code));
        }
        Ok(Step::More)
    }

    /// A transfer is over: it leaves its endpoint for the queue of done ones (4.3.1.3.5).
    fn retire(&mut self, endpoint: &mut Endpoint, transfer: &Transfer) -> Result<(), BusError> {
        let failed = transfer.control >> 28 != condition::NONE;
        let toggle = if transfer.control & 1 << 25 != 0 { transfer.control >> 24 } else { endpoint.head >> 1 } & 1;
        endpoint.head = transfer.next | toggle << 1 | u32::from(failed);
        self.put(transfer.at, transfer.control)?;
        self.put(transfer.at.wrapping_add(4), transfer.buffer)?;
        self.put(transfer.at.wrapping_add(8), self.state.done)?;
        self.put(endpoint.at.wrapping_add(8), endpoint.head)?;
        self.state.done = transfer.at;
        let delay = if failed { 0 } else { (transfer.control >> 21 & 7) as u8 };
        self.state.delay = self.state.delay.min(delay);
        Ok(())
    }
}

/// A transfer ends with this condition code.
fn fail(transfer: &mut Transfer, code: u32) -> Step {
    transfer.control = transfer.control & !(0xf << 28) | code << 28;
    Step::Retired
}
