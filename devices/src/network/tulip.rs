//! DEC (later Intel) 21143 "tulip" Fast Ethernet controller (21143 PCI/CardBus 10/100-Mb/s Ethernet LAN Controller Hardware
//! Reference Manual, order 278074): descriptor rings and chains, setup frames, serial ROM, and a PHY behind MII.

mod srom;

use super::chip::{self, Base, Card, Chip, ETHERNET, crc, is_broadcast, is_multicast};
use super::microwire::Eeprom;
use crate::model::Model;
use crate::pci::{BarKind, Identity};
use serde::{Deserialize, Serialize};
use srom::Mii;
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

const NAME: &str = "tulip";
/// Its row in the list of models.
pub static MODELS: &[Model] = &[chip::model(NAME, "DEC 21143 Fast Ethernet card (tulip)", |kit, wants| {
    let identity =
        Identity { vendor: 0x1011, device: 0x0019, revision: 0, class: ETHERNET, subsystem: Some(srom::SUBSYSTEM) };
    let bars = [(0, BarKind::Io, 0x80), (1, BarKind::Memory32, 0x80)];
    let base = Base::new(NAME, kit, wants, identity, &bars)?;
    let s = State::new(Eeprom::new(srom::words(base.mac)));
    Ok(Card::boxed(Tulip { base, s }))
})];

/// Events: goes on sending; the timer.
const SEND: u32 = 0;
const TIMER: u32 = 1;
/// The timer's unit on MII at 100 Mbit/s, in nanoseconds (3.2.2.11).
const TIMER_UNIT: u64 = 81_920;
const SROM_WORDS: usize = 64;

/// Bits of CSR0.
const CSR0_RESET: u32 = 1;
const CSR0_BIG_ENDIAN: u32 = 1 << 20;

/// Bits of CSR5.
mod csr5 {
    pub(super) const TI: u32 = 1 << 0;
    pub(super) const TPS: u32 = 1 << 1;
    pub(super) const TU: u32 = 1 << 2;
    pub(super) const LNP_ANC: u32 = 1 << 4;
    pub(super) const RI: u32 = 1 << 6;
    pub(super) const RU: u32 = 1 << 7;
    pub(super) const RPS: u32 = 1 << 8;
    pub(super) const GTE: u32 = 1 << 11;
    pub(super) const LNF: u32 = 1 << 12;
    pub(super) const FBE: u32 = 1 << 13;
    pub(super) const AIS: u32 = 1 << 15;
    pub(super) const NIS: u32 = 1 << 16;
    /// What ones clear.
    pub(super) const CLEAR: u32 = 0x0c01_ffff;
    /// What the summaries sum up.
    pub(super) const NORMAL: u32 = 0x0000_4845;
    pub(super) const ABNORMAL: u32 = 0x0c00_37ba;
    pub(super) const RESET: u32 = 0xf000_0000;
}

/// Bits of CSR6.
mod csr6 {
    pub(super) const RX: u32 = 1 << 1;
    pub(super) const PROMISCUOUS: u32 = 1 << 6;
    pub(super) const ALL_MULTICAST: u32 = 1 << 7;
    pub(super) const LOOPBACK: u32 = 3 << 10;
    pub(super) const TX: u32 = 1 << 13;
    pub(super) const ALL: u32 = 1 << 30;
    pub(super) const RESET: u32 = 0x3200_0040;
}

/// Bits of descriptors (4.2).
mod desc {
    pub(super) const OWN: u32 = 1 << 31;
    /// Second word: ends the ring; the second address is that of the next descriptor.
    pub(super) const END: u32 = 1 << 25;
    pub(super) const CHAINED: u32 = 1 << 24;
    /// Sending, second word.
    pub(super) const INTERRUPT: u32 = 1 << 31;
    pub(super) const TX_LAST: u32 = 1 << 30;
    pub(super) const TX_FIRST: u32 = 1 << 29;
    pub(super) const SETUP: u32 = 1 << 27;
    /// Sending, first word: no carrier, with its summary.
    pub(super) const NO_CARRIER: u32 = 1 << 10 | 1 << 15;
    /// Receiving, first word.
    pub(super) const FILTER_FAIL: u32 = 1 << 30;
    pub(super) const MULTICAST: u32 = 1 << 10;
    pub(super) const RX_FIRST: u32 = 1 << 9;
    pub(super) const RX_LAST: u32 = 1 << 8;
    pub(super) const TOO_LONG: u32 = 1 << 7;
    pub(super) const ETHERNET: u32 = 1 << 5;
}

/// What a setup frame says (4.2.3).
#[derive(Clone, Serialize, Deserialize)]
struct Filter {
    /// Bit 0: hash; bit 1: the other way round for perfect filtering, and hash for all addresses.
    kind: u8,
    addresses: Vec<[u8; 6]>,
    hash: Vec<u16>,
}

/// What happens with an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Match,
    /// Only because everything passes.
    Passed,
    Dropped,
}

impl Filter {
    fn new() -> Filter {
        Filter { kind: 0, addresses: Vec::new(), hash: vec![0; 32] }
    }

    /// From the 192 bytes of a setup frame: two of each four bytes count.
    fn from_setup(kind: u8, bytes: &[u8; 192]) -> Filter {
        let half = |n: usize| [bytes[4 * n], bytes[4 * n + 1]];
        let address = |n: usize| {
            let [a, b] = half(n);
            let [c, d] = half(n + 1);
            let [e, f] = half(n + 2);
            [a, b, c, d, e, f]
        };
        let is_hash = kind & 1 != 0;
        let addresses = if is_hash { vec![address(39)] } else { (0..16).map(|n| address(3 * n)).collect() };
        let hash = if is_hash { (0..32).map(|n| u16::from_le_bytes(half(n))).collect() } else { vec![0; 32] };
        Filter { kind, addresses, hash }
    }

    fn passes(&self, address: &[u8]) -> bool {
        let hash = crc(address) as usize & 0x1ff;
        let in_hash = self.hash[hash / 16] >> (hash % 16) & 1 != 0;
        let listed = self.addresses.iter().any(|a| a == address);
        match self.kind {
            0 => listed,
            1 if is_multicast(address) => in_hash,
            1 => listed,
            2 => !listed,
            _ => in_hash,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    csr: [u32; 16],
    /// The next descriptors.
    rx_at: u32,
    tx_at: u32,
    tx_running: bool,
    rx_running: bool,
    filter: Filter,
    /// What is there of the frame that is sent; `None`: no frame has begun.
    frame: Option<Vec<u8>>,
    missed: u16,
    eeprom: Eeprom,
    mii: Mii,
}

impl State {
    fn new(eeprom: Eeprom) -> State {
        let mut csr = [0; 16];
        for (n, value) in [
            (0, 0xfe00_0000),
            (6, csr6::RESET),
            (7, 0xf3fe_0000),
            (9, 0xfff4_83ff),
            (11, 0xfffe_0000),
            (13, 0xffff_0000),
            (14, 0xffff_ffff),
            (15, 0x8ff0_0000),
        ] {
            csr[n] = value;
        }
        State {
            csr,
            rx_at: 0,
            tx_at: 0,
            tx_running: false,
            rx_running: false,
            filter: Filter::new(),
            frame: None,
            missed: 0,
            eeprom,
            mii: Mii::default(),
        }
    }

    /// CSR5 with its summaries.
    fn status(&self) -> u32 {
        let (status, asked) = (self.csr[5], self.csr[5] & self.csr[7]);
        let normal = if asked & csr5::NORMAL != 0 { csr5::NIS } else { 0 };
        let abnormal = if asked & csr5::ABNORMAL != 0 { csr5::AIS } else { 0 };
        // Running, waiting for a frame; suspended, as the ring is empty whenever the guest looks.
        let rx = if self.rx_running { 3 << 17 } else { 0 };
        let tx = if self.tx_running { 6 << 20 } else { 0 };
        csr5::RESET | status | normal | abnormal | rx | tx
    }
}

/// A descriptor.
struct Descriptor {
    at: u32,
    status: u32,
    control: u32,
    buffers: [(u64, usize); 2],
    next: u32,
}

/// The card.
struct Tulip {
    base: Base,
    s: State,
}

registers! {
    static REGS: Tulip, "tulip", sizes [1, 2, 4];
    0x00 CSR0 4 rw reset 0xfe00_0000, "3.2.2.1", read |d, _| u64::from(d.s.csr[0]), write |d, _, v| d.set_bus(v as u32);
    0x08 CSR1 4 wo, "3.2.2.2", write |d, _, _| d.send_all();
    0x10 CSR2 4 wo, "3.2.2.3", write |_, _, _| {};
    0x18 CSR3 4 rw, "3.2.2.4", read |d, _| u64::from(d.s.csr[3]), write |d, _, v| d.set_list(3, v as u32);
    0x20 CSR4 4 rw, "3.2.2.4", read |d, _| u64::from(d.s.csr[4]), write |d, _, v| d.set_list(4, v as u32);
    0x28 area 4 CSR5, "3.2.2.5", read |d, at, _| u64::from(d.s.status()) >> (8 * at),
        write |d, at, size, v| d.s.csr[5] &= !(((v & size.mask()) << (8 * at)) as u32 & csr5::CLEAR);
    0x30 CSR6 4 rw reset 0x3200_0040, "3.2.2.6", read |d, _| u64::from(d.s.csr[6]), write |d, _, v| d.set_mode(v as u32);
    0x38 CSR7 4 rw reset 0xf3fe_0000, "3.2.2.7", read |d, _| u64::from(d.s.csr[7]),
        write |d, _, v| d.s.csr[7] = v as u32 & 0x0c01_ffff | 0xf000_0000;
    0x40 area 4 CSR8, "3.2.2.8", read |d, _, _| u64::from(core::mem::take(&mut d.s.missed)), write |_, _, _, _| {};
    0x48 CSR9 4 rw, "3.2.2.9", read |d, _| d.serial(), write |d, _, v| d.set_serial(v as u32);
    0x50 CSR10 4 rw reset 0, "3.2.2.10", read |d, _| u64::from(d.s.csr[10]), write |d, _, v| d.s.csr[10] = v as u32;
    0x58 CSR11 4 rw reset 0xfffe_0000, "3.2.2.11", read |d, _| u64::from(d.s.csr[11]),
        write |d, _, v| d.set_timer(v as u32);
    0x60 CSR12 4 rw, "3.2.2.12", read |d, _| d.sia(), write |_, _, _| {};
    0x68 [3; 8] SIA 4 rw, "3.2.2.13", read |d, i| u64::from(d.s.csr[13 + i as usize]),
        write |d, i, v| d.s.csr[13 + i as usize] = v as u32;
}

impl Tulip {
    fn set_bus(&mut self, value: u32) {
        if value & CSR0_RESET != 0 {
            self.cancel();
            self.s = State { mii: self.s.mii.clone(), ..State::new(self.s.eeprom.clone()) };
        } else {
            self.s.csr[0] = value;
        }
    }

    fn cancel(&self) {
        self.base.kit.clock.cancel(SEND);
        self.base.kit.clock.cancel(TIMER);
    }

    fn set_list(&mut self, n: usize, value: u32) {
        self.s.csr[n] = value & !3;
        if n == 3 {
            self.s.rx_at = value & !3;
        } else {
            self.s.tx_at = value & !3;
            self.s.frame = None;
        }
    }

    fn set_mode(&mut self, value: u32) {
        self.s.csr[6] = value;
        let (rx, tx) = (value & csr6::RX != 0, value & csr6::TX != 0);
        if self.s.rx_running && !rx {
            self.s.csr[5] |= csr5::RPS;
        }
        if self.s.tx_running && !tx {
            self.s.csr[5] |= csr5::TPS;
            self.s.frame = None;
        }
        (self.s.rx_running, self.s.tx_running) = (rx, tx);
        self.send_all();
    }

    /// CSR9: the serial ROM's pins while it is selected, and the PHY's data.
    fn serial(&self) -> u64 {
        let selected = self.s.csr[9] & 1 << 11 != 0;
        let rom = if selected { u32::from(self.s.eeprom.output()) << 3 } else { self.s.csr[9] & 8 };
        u64::from(self.s.csr[9] & !(8 | 1 << 19) | rom | u32::from(self.s.mii.output()) << 19)
    }

    fn set_serial(&mut self, value: u32) {
        self.s.csr[9] = value & 0x000f_ffff;
        if value & 1 << 11 != 0 {
            self.s.eeprom.drive(value & 1 != 0, value & 2 != 0, value & 4 != 0);
        } else {
            self.s.eeprom.drive(false, false, false);
        }
        // While the PHY drives it, the pin is pulled up from this side.
        self.s.mii.drive(value & 1 << 16 != 0, value & (1 << 17 | 1 << 18) != 0, self.base.link);
    }

    fn set_timer(&mut self, value: u32) {
        self.s.csr[11] = value;
        let clock = &self.base.kit.clock;
        match u64::from(value & 0xffff) {
            0 => clock.cancel(TIMER),
            units => clock.schedule(TIMER, clock.now().saturating_add(units * TIMER_UNIT)),
        }
    }

    /// CSR12: negotiation is complete, with what the partner can do; without a link, both speeds fail.
    fn sia(&self) -> u64 {
        if self.base.link { u64::from(srom::PARTNER) << 16 | 1 << 15 | 5 << 12 } else { 0x6 }
    }

    fn descriptor(&self, at: u32, ring: u32) -> Option<Descriptor> {
        let mut words: [u32; 4] = self.base.words(u64::from(at))?;
        if self.s.csr[0] & CSR0_BIG_ENDIAN != 0 {
            words = words.map(u32::swap_bytes);
        }
        let [status, control, first, second] = words;
        let len = |shift: u32| (control >> shift & 0x7ff) as usize;
        let chained = control & desc::CHAINED != 0;
        let skip = 16 + (self.s.csr[0] >> 2 & 0x1f) * 4;
        let next = if control & desc::END != 0 {
            ring
        } else if chained {
            second & !3
        } else {
            at.wrapping_add(skip)
        };
        let buffers = [(u64::from(first), len(0)), (u64::from(second), if chained { 0 } else { len(11) })];
        Some(Descriptor { at, status, control, buffers, next })
    }

    fn set_status(&mut self, d: &Descriptor, status: u32) -> bool {
        let bytes = if self.s.csr[0] & CSR0_BIG_ENDIAN != 0 { status.to_be_bytes() } else { status.to_le_bytes() };
        self.base.store(u64::from(d.at), &bytes)
    }

    /// No memory answers: the card stops.
    fn bus_error(&mut self) {
        self.s.csr[5] |= csr5::FBE;
        (self.s.tx_running, self.s.rx_running, self.s.frame) = (false, false, None);
        self.s.csr[6] &= !(csr6::TX | csr6::RX);
    }

    fn send_all(&mut self) {
        for _ in 0..chip::BUDGET {
            if !self.s.tx_running {
                return;
            }
            let Some(d) = self.descriptor(self.s.tx_at, self.s.csr[4]) else { return self.bus_error() };
            if d.status & desc::OWN == 0 {
                self.s.csr[5] |= csr5::TU;
                return;
            }
            let status = if d.control & desc::SETUP != 0 { self.set_up(&d) } else { self.send(&d) };
            let Some(status) = status else { return self.bus_error() };
            if !self.set_status(&d, status) {
                return self.bus_error();
            }
            self.s.tx_at = d.next;
            if d.control & desc::INTERRUPT != 0 {
                self.s.csr[5] |= csr5::TI;
            }
        }
        self.base.pause(SEND);
    }

    /// A setup frame: the filter's new addresses.
    fn set_up(&mut self, d: &Descriptor) -> Option<u32> {
        let kind = (d.control >> 22 & 1 | d.control >> 27 & 2) as u8;
        let (at, len) = d.buffers[0];
        // Without a buffer, only the kind of filtering is new.
        if len == 0 {
            self.s.filter.kind = kind;
        } else {
            self.s.filter = Filter::from_setup(kind, &self.base.fetch(at)?);
        }
        Some(0x7fff_ffff)
    }

    fn send(&mut self, d: &Descriptor) -> Option<u32> {
        if d.control & desc::TX_FIRST != 0 {
            self.s.frame = Some(Vec::new());
        }
        let Some(frame) = &mut self.s.frame else {
            self.base.kit.report.guest_error(format_args!("a frame without a first descriptor"));
            return Some(0);
        };
        for (at, len) in d.buffers {
            let have = frame.len();
            frame.resize((have + len).min(chip::LONGEST), 0);
            if !self.base.load(at, &mut frame[have..]) {
                return None;
            }
        }
        if d.control & desc::TX_LAST == 0 {
            return Some(0);
        }
        let frame = self.s.frame.take()?;
        if self.s.csr[6] & csr6::LOOPBACK != 0 {
            if self.ready() {
                chip::receive(self, &frame);
            }
            return Some(0);
        }
        self.base.send(&frame);
        Some(if self.base.link { 0 } else { desc::NO_CARRIER })
    }

    fn filter(&self, frame: &[u8]) -> Verdict {
        let mode = self.s.csr[6];
        if is_broadcast(frame) || self.s.filter.passes(&frame[..6]) {
            Verdict::Match
        } else if mode & (csr6::PROMISCUOUS | csr6::ALL) != 0 {
            Verdict::Passed
        } else if mode & csr6::ALL_MULTICAST != 0 && is_multicast(frame) {
            Verdict::Match
        } else {
            Verdict::Dropped
        }
    }

    /// The descriptors that `len` bytes take, if they are the card's.
    fn gather(&self, len: usize) -> Option<Vec<Descriptor>> {
        let (mut list, mut at, mut room) = (Vec::new(), self.s.rx_at, 0);
        while room < len && list.len() < chip::BUDGET {
            let d = self.descriptor(at, self.s.csr[3])?;
            // A ring of too few descriptors comes round to its begin.
            if d.status & desc::OWN == 0 || list.iter().any(|other: &Descriptor| other.at == at) {
                return None;
            }
            room += d.buffers[0].1 + d.buffers[1].1;
            at = d.next;
            list.push(d);
        }
        (room >= len).then_some(list)
    }

    fn fill(&mut self, list: &[Descriptor], bytes: &[u8], status: u32) -> bool {
        let mut rest = bytes;
        for (n, d) in list.iter().enumerate() {
            for (at, len) in d.buffers {
                let (part, more) = rest.split_at(rest.len().min(len));
                if !part.is_empty() && !self.base.store(at, part) {
                    return false;
                }
                rest = more;
            }
            let first = if n == 0 { desc::RX_FIRST } else { 0 };
            let last = if n + 1 == list.len() { status } else { 0 };
            if !self.set_status(d, first | last) {
                return false;
            }
            self.s.rx_at = d.next;
        }
        true
    }
}

impl Chip for Tulip {
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
        self.cancel();
        State::new(Eeprom::new(srom::words(self.base.mac)))
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        s.eeprom.check(SROM_WORDS)?;
        s.mii.check()?;
        let (addresses, hash) = (s.filter.addresses.len(), s.filter.hash.len());
        let good = addresses <= 16 && hash == 32 && s.filter.kind < 4;
        check(good, "filter", || format!("{addresses} addresses, {hash} words"))?;
        let len = s.frame.as_ref().map_or(0, Vec::len);
        check(len <= chip::LONGEST, "frame", || format!("{len} bytes"))
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.base.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.base.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        match token {
            SEND => self.send_all(),
            TIMER => {
                self.s.csr[5] |= csr5::GTE;
                // It goes on if it is to.
                if self.s.csr[11] & 0x1_0000 != 0 {
                    self.set_timer(self.s.csr[11]);
                }
            }
            _ => {}
        }
    }

    fn ready(&self) -> bool {
        let owned = || self.descriptor(self.s.rx_at, self.s.csr[3]).is_none_or(|d| d.status & desc::OWN != 0);
        !self.s.rx_running || owned()
    }

    fn deliver(&mut self, frame: &[u8]) {
        let verdict = self.filter(frame);
        if !self.s.rx_running || verdict == Verdict::Dropped || frame.len() + 4 > 0x3fff {
            return;
        }
        if self.descriptor(self.s.rx_at, self.s.csr[3]).is_none() {
            return self.bus_error();
        }
        let mut bytes = frame.to_vec();
        bytes.extend((!crc(frame)).to_le_bytes());
        let Some(list) = self.gather(bytes.len()) else {
            self.s.csr[5] |= csr5::RU;
            self.s.missed = self.s.missed.saturating_add(1);
            return;
        };
        let mut status = desc::RX_LAST | (bytes.len() as u32) << 16;
        status |= if verdict == Verdict::Passed { desc::FILTER_FAIL } else { 0 };
        status |= if is_multicast(frame) { desc::MULTICAST } else { 0 };
        status |= if bytes.len() > 1518 { desc::TOO_LONG } else { 0 };
        status |= if u16::from_be_bytes([frame[12], frame[13]]) > 1500 { desc::ETHERNET } else { 0 };
        if self.fill(&list, &bytes, status) {
            self.s.csr[5] |= csr5::RI;
        } else {
            self.bus_error();
        }
    }

    fn link_changed(&mut self) {
        self.s.csr[5] |= if self.base.link { csr5::LNP_ANC } else { csr5::LNF };
    }

    fn asks(&self) -> bool {
        self.s.status() & self.s.csr[7] & (csr5::NIS | csr5::AIS) != 0
    }
}

#[cfg(test)]
mod tests;
