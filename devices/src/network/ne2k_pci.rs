//! NE2000 on PCI: Realtek RTL8029AS (data sheet of 1997) with the registers of National's DP8390D, 32 KiB of memory for
//! frames, and a data port of 8, 16 or 32 bits.

use super::chip::{self, Base, Card, Chip, ETHERNET, SUBSYSTEM, crc, crc_msb, is_broadcast, is_multicast};
use crate::model::Model;
use crate::pci::{BarKind, Identity};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

const NAME: &str = "ne2k_pci";
/// Its row in the list of models.
pub static MODELS: &[Model] = &[chip::model(NAME, "Realtek RTL8029 Ethernet card (NE2000)", |kit, wants| {
    let identity = Identity { vendor: 0x10ec, device: 0x8029, revision: 0, class: ETHERNET, subsystem: Some(SUBSYSTEM) };
    let base = Base::new(NAME, kit, wants, identity, &[(0, BarKind::Io, 0x100)])?;
    let state = State::new(base.mac);
    Ok(Card::boxed(Ne2k { base, s: state }))
})];

/// Pages of 256 bytes that are memory: from this one on, so many.
const FIRST_PAGE: usize = 0x40;
const PAGES: usize = 0x80;
const PAGE: usize = 256;
/// Pages that the longest usual frame takes, with its header and checksum.
const USUAL: usize = 6;

/// Bits of the command register.
mod cr {
    pub(super) const STOP: u8 = 0x01;
    pub(super) const TRANSMIT: u8 = 0x04;
    /// Remote DMA: read, write, send packet, abort.
    pub(super) const DMA: u8 = 0x38;
    pub(super) const READ: u8 = 0x08;
    pub(super) const WRITE: u8 = 0x10;
    pub(super) const SEND: u8 = 0x18;
}

/// Interrupts.
mod isr {
    pub(super) const RX: u8 = 0x01;
    pub(super) const TX: u8 = 0x02;
    pub(super) const TX_ERROR: u8 = 0x08;
    pub(super) const OVERFLOW: u8 = 0x10;
    pub(super) const REMOTE_DONE: u8 = 0x40;
    pub(super) const RESET: u8 = 0x80;
}

/// Receive configuration.
mod rcr {
    pub(super) const BROADCAST: u8 = 0x04;
    pub(super) const MULTICAST: u8 = 0x08;
    pub(super) const PROMISCUOUS: u8 = 0x10;
    pub(super) const MONITOR: u8 = 0x20;
}

/// Status of a received frame: good; for a group.
const RSR_GOOD: u8 = 0x01;
const RSR_GROUP: u8 = 0x20;
/// Status of a sent frame: good; no carrier.
const TSR_GOOD: u8 = 0x01;
const TSR_CARRIER: u8 = 0x10;

#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// The address PROM, every byte twice as the bus of 16 bits shows it.
    prom: [u8; 32],
    /// Memory by pages; those that nothing has been written to are empty.
    memory: Vec<Vec<u8>>,
    cr: u8,
    start: u8,
    stop: u8,
    boundary: u8,
    current: u8,
    tsr: u8,
    tx_page: u8,
    tx_count: u16,
    isr: u8,
    imr: u8,
    rsr: u8,
    rcr: u8,
    tcr: u8,
    dcr: u8,
    missed: u8,
    /// Remote DMA: where, and how much is left.
    remote: u16,
    remote_count: u16,
    physical: [u8; 6],
    multicast: [u8; 8],
}

impl State {
    fn new(mac: [u8; 6]) -> State {
        let mut prom = [0; 32];
        for (n, byte) in mac.into_iter().chain([0; 8]).chain([0x57, 0x57]).enumerate() {
            prom[2 * n..2 * n + 2].fill(byte);
        }
        State {
            prom,
            memory: vec![Vec::new(); PAGES],
            cr: 0x21,
            start: 0,
            stop: 0,
            boundary: 0,
            current: 0,
            tsr: 0,
            tx_page: 0,
            tx_count: 0,
            isr: isr::RESET,
            imr: 0,
            rsr: 0,
            rcr: 0,
            tcr: 0,
            dcr: 0,
            missed: 0,
            remote: 0,
            remote_count: 0,
            physical: mac,
            multicast: [0; 8],
        }
    }

    fn byte(&self, at: u16) -> u8 {
        let (page, inside) = (usize::from(at) / PAGE, usize::from(at) % PAGE);
        match page.checked_sub(FIRST_PAGE) {
            Some(n) if n < PAGES => self.memory[n].get(inside).copied().unwrap_or(0),
            _ => self.prom.get(usize::from(at)).copied().unwrap_or(0xff),
        }
    }

    fn set_byte(&mut self, at: u16, value: u8) {
        let (page, inside) = (usize::from(at) / PAGE, usize::from(at) % PAGE);
        if let Some(page) = page.checked_sub(FIRST_PAGE).and_then(|n| self.memory.get_mut(n)) {
            page.resize(PAGE, 0);
            page[inside] = value;
        }
    }

    /// Where the remote DMA is behind `n` bytes: the ring's end leads to its begin.
    fn next_remote(&self, n: u16) -> u16 {
        let next = self.remote.wrapping_add(n);
        if next == u16::from(self.stop) << 8 { u16::from(self.start) << 8 } else { next }
    }

    /// First page and number of pages of the receive ring, if it lies in memory and the card is in it.
    fn ring(&self) -> Option<(usize, usize)> {
        let (start, stop, current) = (usize::from(self.start), usize::from(self.stop), usize::from(self.current));
        let inside = FIRST_PAGE <= start && stop <= FIRST_PAGE + PAGES && (start..stop).contains(&current);
        inside.then(|| (start, stop - start))
    }

    /// Pages of the ring that are free.
    fn free(&self) -> usize {
        let Some((_, len)) = self.ring() else { return 0 };
        let (current, boundary) = (usize::from(self.current), usize::from(self.boundary));
        if current < boundary { boundary - current } else { len.saturating_sub(current - boundary) }
    }
}

/// The card.
struct Ne2k {
    base: Base,
    s: State,
}

registers! {
    static REGS: Ne2k, "ne2k_pci", sizes [1, 2, 4];
    0x00 CR 1 rw reset 0x21, "DP8390D 10.2", read |d, _| u64::from(d.s.cr), write |d, _, v| d.command(v as u8);
    0x01 [15; 1] PAGED 1 rw, "DP8390D 10.1", read |d, i| u64::from(d.read_paged(i as u8 + 1)),
        write |d, i, v| d.write_paged(i as u8 + 1, v as u8);
    0x10 area 8 DATA, "RTL8029 5.1", read |d, _, size| d.read_data(size), write |d, _, size, v| d.write_data(size, v);
    0x18 [8; 1] RESET 1 rw, "RTL8029 5.1", read |d, _| d.reset_port(), write |_, _, _| {};
}

impl Ne2k {
    /// Reading the reset port resets the controller; its memory stays.
    fn reset_port(&mut self) -> u64 {
        let memory = core::mem::take(&mut self.s.memory);
        self.s = State { memory, ..State::new(self.base.mac) };
        0
    }

    fn command(&mut self, value: u8) {
        self.s.cr = value & !cr::TRANSMIT;
        if value & cr::STOP != 0 {
            self.s.isr |= isr::RESET;
            return;
        }
        self.s.isr &= !isr::RESET;
        match value & cr::DMA {
            cr::READ | cr::WRITE if self.s.remote_count == 0 => self.s.isr |= isr::REMOTE_DONE,
            cr::SEND => self.base.kit.report.unimplemented(format_args!("remote DMA of the next frame")),
            _ => {}
        }
        if value & cr::TRANSMIT != 0 {
            self.transmit();
        }
    }

    fn transmit(&mut self) {
        let (from, len) = (usize::from(self.s.tx_page) * PAGE, usize::from(self.s.tx_count));
        if from < FIRST_PAGE * PAGE || from + len > (FIRST_PAGE + PAGES) * PAGE {
            self.base.kit.report.guest_error(format_args!("{len} bytes at {from:#x} to be sent"));
            self.s.isr |= isr::TX_ERROR;
            return;
        }
        let frame: Vec<u8> = (from..from + len).map(|at| self.s.byte(at as u16)).collect();
        self.s.tsr = TSR_GOOD | if self.base.link { 0 } else { TSR_CARRIER };
        self.s.isr |= isr::TX;
        // In loopback nothing reaches the wire, or memory.
        if self.s.tcr & 0x06 == 0 {
            self.base.send(&frame);
        }
    }

    fn read_paged(&mut self, n: u8) -> u8 {
        let s = &mut self.s;
        match (s.cr >> 6, n) {
            (0, 0x03) => s.boundary,
            (0, 0x04) => s.tsr,
            (0, 0x07) => s.isr,
            (0, 0x08) => s.remote as u8,
            (0, 0x09) => (s.remote >> 8) as u8,
            // Which chip this is.
            (0, 0x0a) => 0x50,
            (0, 0x0b) => 0x43,
            (0, 0x0c) => s.rsr,
            (0, 0x0f) => core::mem::take(&mut s.missed),
            (1, 0x01..=0x06) => s.physical[usize::from(n) - 1],
            (1, 0x07) => s.current,
            (1, 0x08..) => s.multicast[usize::from(n) - 8],
            (2, 0x01) => s.start,
            (2, 0x02) => s.stop,
            (2, 0x04) => s.tx_page,
            (2, 0x0c) => s.rcr | 0xc0,
            (2, 0x0d) => s.tcr | 0xe0,
            (2, 0x0e) => s.dcr | 0x80,
            (2, 0x0f) => s.imr | 0x80,
            // 10BASE-T, full duplex.
            (3, 0x05 | 0x06) => 0x40,
            _ => 0,
        }
    }

    fn write_paged(&mut self, n: u8, value: u8) {
        let s = &mut self.s;
        let low = |word: u16| word & 0xff00 | u16::from(value);
        let high = |word: u16| word & 0x00ff | u16::from(value) << 8;
        match (s.cr >> 6, n) {
            (0, 0x01) => s.start = value,
            (0, 0x02) => s.stop = value,
            (0, 0x03) => s.boundary = value,
            (0, 0x04) => s.tx_page = value,
            (0, 0x05) => s.tx_count = low(s.tx_count),
            (0, 0x06) => s.tx_count = high(s.tx_count),
            (0, 0x07) => s.isr &= !(value & 0x7f),
            (0, 0x08) => s.remote = low(s.remote),
            (0, 0x09) => s.remote = high(s.remote),
            (0, 0x0a) => s.remote_count = low(s.remote_count),
            (0, 0x0b) => s.remote_count = high(s.remote_count),
            (0, 0x0c) => s.rcr = value & 0x3f,
            (0, 0x0d) => s.tcr = value & 0x1f,
            (0, 0x0e) => s.dcr = value & 0x7f,
            (0, 0x0f) => s.imr = value & 0x7f,
            (1, 0x01..=0x06) => s.physical[usize::from(n) - 1] = value,
            (1, 0x07) => s.current = value,
            (1, 0x08..) => s.multicast[usize::from(n) - 8] = value,
            _ => {}
        }
    }

    /// How far one access to the data port goes: words count as such however many of their bytes are asked for.
    fn step(&self, size: Size) -> u16 {
        match size {
            Size::B4 | Size::B8 => 4,
            _ if self.s.dcr & 1 != 0 => 2,
            _ => 1,
        }
    }

    fn advance(&mut self, step: u16) {
        self.s.remote = self.s.next_remote(step);
        self.s.remote_count = self.s.remote_count.saturating_sub(step);
        if self.s.remote_count == 0 {
            self.s.isr |= isr::REMOTE_DONE;
        }
    }

    fn read_data(&mut self, size: Size) -> u64 {
        let step = self.step(size);
        let at = if step > 1 { self.s.remote & !1 } else { self.s.remote };
        let value = (0..step).rev().fold(0, |v, n| v << 8 | u64::from(self.s.byte(at.wrapping_add(n))));
        self.advance(step);
        value
    }

    fn write_data(&mut self, size: Size, value: u64) {
        if self.s.remote_count == 0 {
            return self.base.kit.report.guest_error(format_args!("data port written without remote DMA"));
        }
        let step = self.step(size);
        let at = if step > 1 { self.s.remote & !1 } else { self.s.remote };
        for (n, byte) in value.to_le_bytes().into_iter().take(usize::from(step)).enumerate() {
            self.s.set_byte(at.wrapping_add(n as u16), byte);
        }
        self.advance(step);
    }

    fn accepts(&self, frame: &[u8]) -> bool {
        let rcr = self.s.rcr;
        if is_broadcast(frame) {
            rcr & (rcr::BROADCAST | rcr::PROMISCUOUS) != 0
        } else if is_multicast(frame) {
            let hash = crc_msb(&frame[..6]) >> 26;
            let hit = self.s.multicast[hash as usize / 8] >> (hash % 8) & 1 != 0;
            rcr & rcr::MULTICAST != 0 && (hit || rcr & rcr::PROMISCUOUS != 0)
        } else {
            rcr & rcr::PROMISCUOUS != 0 || frame[..6] == self.s.physical
        }
    }

    fn receiving(&self) -> bool {
        self.s.cr & cr::STOP == 0 && self.s.rcr & rcr::MONITOR == 0
    }
}

impl Chip for Ne2k {
    type State = State;

    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn state(&self) -> &State {
        &self.s
    }

    fn set_state(&mut self, state: State) {
        self.s = state;
    }

    fn new_state(&self) -> State {
        State::new(self.base.mac)
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        let good = s.memory.len() == PAGES && s.memory.iter().all(|page| page.is_empty() || page.len() == PAGE);
        check(good, "memory", || "not the pages that there are".into())
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.base.kit.report.clone();
        chip::read(&REGS, self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.base.kit.report.clone();
        chip::write(&REGS, self, &report, offset, size, value);
    }

    fn event(&mut self, _token: u32) {}

    fn ready(&self) -> bool {
        !self.receiving() || self.s.ring().is_none() || self.s.free() > USUAL
    }

    /// Puts a frame into the ring, behind a header: status, page of the next frame, length.
    fn deliver(&mut self, frame: &[u8]) {
        if !self.receiving() || !self.accepts(frame) {
            return;
        }
        let Some((start, len)) = self.s.ring() else { return };
        let pages = (frame.len() + 8).div_ceil(PAGE);
        if pages >= self.s.free() {
            self.s.isr |= isr::OVERFLOW;
            self.s.missed = self.s.missed.saturating_add(1);
            return;
        }
        let first = usize::from(self.s.current) - start;
        let next = (start + (first + pages) % len) as u8;
        self.s.rsr = RSR_GOOD | if is_multicast(frame) { RSR_GROUP } else { 0 };
        let [low, high] = (frame.len() as u16 + 4).to_le_bytes();
        let header = [self.s.rsr, next, low, high];
        let fcs = (!crc(frame)).to_le_bytes();
        for (n, byte) in header.iter().chain(frame).chain(&fcs).enumerate() {
            let at = start * PAGE + (first * PAGE + n) % (len * PAGE);
            self.s.set_byte(at as u16, *byte);
        }
        self.s.current = next;
        self.s.isr |= isr::RX;
    }

    fn asks(&self) -> bool {
        self.s.isr & self.s.imr & 0x7f != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MAC, Rig, frame};
    use super::*;
    use Size::{B1, B2, B4};

    fn out(r: &mut Rig, list: &[(u64, u64)]) {
        list.iter().for_each(|(at, value)| r.write(1, *at, B1, *value));
    }

    /// As ne2k-pci does it: reset, PROM, ring from page 0x4c to 0x80, transmit page 0x40.
    fn started() -> Rig {
        let mut r = Rig::new(NAME);
        r.read(1, 0x1f, B1);
        assert_eq!(r.read(1, 7, B1), 0x80);
        out(&mut r, &[(0, 0x21), (14, 0x49), (10, 32), (11, 0), (8, 0), (9, 0), (0, 0x0a)]);
        let mac: Vec<u64> = (0..6).map(|_| r.read(1, 0x10, B1)).collect();
        assert_eq!(mac, MAC.map(u64::from));
        out(&mut r, &[(0, 0x21), (1, 0x4c), (2, 0x80), (3, 0x4c), (4, 0x40), (12, 0x04), (15, 0x3f), (7, 0xff)]);
        out(&mut r, &[(0, 0x61), (7, 0x4d), (0, 0x22), (13, 0)]);
        r
    }

    #[test]
    fn frames_go_through_memory() {
        let mut r = started();
        let sent = frame([9; 6], 61);
        out(&mut r, &[(10, 62), (11, 0), (8, 0), (9, 0x40), (0, 0x12)]);
        for pair in sent.chunks(2) {
            let value = u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 8;
            r.write(1, 0x10, B2, value);
        }
        assert_eq!(r.read(1, 7, B1), 0x40);
        out(&mut r, &[(7, 0x40), (5, 61), (6, 0), (0, 0x26)]);
        assert_eq!((r.sent(), r.read(1, 0, B1), r.read(1, 4, B1)), (vec![sent], 0x22, 1));
        assert!(r.irq());
        out(&mut r, &[(7, 2)]);
        assert!(!r.irq());
        let input = frame(MAC, 600);
        assert!(r.receive(&input) && r.receive(&frame([8; 6], 600)) && r.irq());
        out(&mut r, &[(10, 0x5c), (11, 0x02), (8, 0), (9, 0x4d), (0, 0x0a)]);
        assert_eq!(r.read(1, 0x10, B4), 604 << 16 | 0x50 << 8 | 1);
        let got: Vec<u8> = (0..150).flat_map(|_| (r.read(1, 0x10, B4) as u32).to_le_bytes()).collect();
        assert_eq!(got, input);
        // The ring wraps, and stops in front of the boundary.
        let count = (0..100).take_while(|_| r.receive(&frame([0xff; 6], 1000))).count();
        out(&mut r, &[(0, 0x62)]);
        assert_eq!((count, r.read(1, 7, B1)), (11, 0x50 + 44));
        out(&mut r, &[(0, 0x22), (3, 0x70)]);
        assert!(r.receive(&frame([0xff; 6], 1000)));
    }

    #[test]
    fn rings_and_buffers_outside_of_memory_do_no_harm() {
        let mut r = started();
        out(&mut r, &[(4, 0xbf), (5, 0xff), (6, 0xff), (0, 0x26)]);
        assert_eq!((r.read(1, 7, B1), r.sent().len(), r.bench.guest_errors()), (8, 0, 1));
        for (start, stop, current) in [(0, 0xff, 9), (0x4c, 0x4d, 0x4c), (0x80, 0x4c, 0x60), (0xff, 0xff, 0xff)] {
            out(&mut r, &[(0, 0x22), (1, start), (2, stop), (0, 0x62), (7, current), (0, 0x22)]);
            let _ = r.receive(&frame(MAC, 1514));
            r.card.receive(0, &frame(MAC, 1514));
        }
        out(&mut r, &[(10, 0xff), (11, 0xff), (8, 0xff), (9, 0xff), (0, 0x12)]);
        for _ in 0..10 {
            r.write(1, 0x10, B4, 0xffff_ffff);
            r.read(1, 0x10, B4);
        }
    }
}
