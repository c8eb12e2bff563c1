//! AMD Am79C970A PCnet-PCI II Ethernet controller (AMD publication 19436): CSRs and BCRs by words or double words, 16-bit
//! and 32-bit initialisation blocks and descriptors.

use super::chip::{self, Base, Card, Chip, ETHERNET, crc, is_broadcast, is_multicast};
use crate::model::Model;
use crate::pci::{BarKind, Identity};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

const NAME: &str = "pcnet";
/// Its row in the list of models.
pub static MODELS: &[Model] = &[chip::model(NAME, "AMD PCnet-PCI II Ethernet card (Am79C970A)", |kit, wants| {
    let identity =
        Identity { vendor: 0x1022, device: 0x2000, revision: 0x10, class: ETHERNET, subsystem: Some((0, 0)) };
    let bars = [(0, BarKind::Io, 0x20), (1, BarKind::Memory32, 0x20)];
    let mut base = Base::new(NAME, kit, wants, identity, &bars)?;
    // Fast back-to-back, medium timing; least grant and greatest latency.
    base.config.put(0x06, &[0x80, 0x02]);
    base.config.put(0x3e, &[0x06, 0xff]);
    let state = State::new(base.mac);
    Ok(Card::boxed(Pcnet { base, s: state }))
})];

/// Event: looks at the transmit ring, as it does every 65536 clocks of the bus.
const POLL: u32 = 0;
const POLL_NS: u64 = 65536 * 30;

/// Bits of CSR0.
mod csr0 {
    pub(super) const INIT: u16 = 0x0001;
    pub(super) const STRT: u16 = 0x0002;
    pub(super) const STOP: u16 = 0x0004;
    pub(super) const TDMD: u16 = 0x0008;
    pub(super) const TXON: u16 = 0x0010;
    pub(super) const RXON: u16 = 0x0020;
    pub(super) const INEA: u16 = 0x0040;
    pub(super) const INTR: u16 = 0x0080;
    pub(super) const IDON: u16 = 0x0100;
    pub(super) const TINT: u16 = 0x0200;
    pub(super) const RINT: u16 = 0x0400;
    pub(super) const MERR: u16 = 0x0800;
    pub(super) const MISS: u16 = 0x1000;
    pub(super) const CERR: u16 = 0x2000;
    pub(super) const ERR: u16 = 0x8000;
    /// What ones clear.
    pub(super) const CLEAR: u16 = 0x7f00;
    /// What asks for an interrupt, unless CSR3 masks it.
    pub(super) const ASK: u16 = 0x5f00;
}

/// Bits of CSR4, CSR5 and CSR15.
const CSR4_CLEAR: u16 = 0x026a;
const CSR4_UINT: u16 = 0x0040;
const CSR4_UINTCMD: u16 = 0x0080;
const CSR4_TXSTRT: u16 = 0x0008;
const CSR4_DPOLL: u16 = 0x1000;
const CSR5_CLEAR: u16 = 0x0a90;
const CSR5_SUSPEND: u16 = 0x0001;
const CSR5_LTINTEN: u16 = 0x4000;
const CSR5_TOKINTD: u16 = 0x8000;
const CSR15_NO_RX: u16 = 0x0001;
const CSR15_NO_TX: u16 = 0x0002;
const CSR15_LOOP: u16 = 0x0004;
const CSR15_NO_FCS: u16 = 0x0008;
const CSR15_NO_MINE: u16 = 0x2000;
const CSR15_NO_BROADCAST: u16 = 0x4000;
const CSR15_PROMISCUOUS: u16 = 0x8000;
/// BCR18: double words; BCR20: software style; BCR2: the address PROM may be written.
const DWIO: u16 = 0x0080;
const APROMWE: u16 = 0x0100;

/// Bits of a descriptor's status.
mod md {
    pub(super) const OWN: u16 = 0x8000;
    pub(super) const ERR: u16 = 0x4000;
    pub(super) const ADD_FCS: u16 = 0x2000;
    pub(super) const LTINT: u16 = 0x1000;
    pub(super) const STP: u16 = 0x0200;
    pub(super) const ENP: u16 = 0x0100;
    pub(super) const OFLO: u16 = 0x1000;
    pub(super) const CRC: u16 = 0x0800;
    pub(super) const BUFF: u16 = 0x0400;
    /// Received: mine, by hash, broadcast.
    pub(super) const PAM: u16 = 0x0040;
    pub(super) const LAFM: u16 = 0x0020;
    pub(super) const BAM: u16 = 0x0010;
    /// Third word of a transmit descriptor.
    pub(super) const TX_BUFF: u32 = 1 << 31;
    pub(super) const TX_UFLO: u32 = 1 << 30;
    pub(super) const TX_LCAR: u32 = 1 << 27;
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    prom: [u8; 16],
    csr: Vec<u16>,
    bcr: Vec<u16>,
    rap: u8,
    /// Rings, and the next descriptor of each.
    rx_ring: u32,
    tx_ring: u32,
    rx_index: u16,
    tx_index: u16,
    /// What is there of the frame that is sent; `None`: no frame has begun.
    frame: Option<Vec<u8>>,
    /// Its first descriptor.
    first: u16,
    add_fcs: bool,
}

impl State {
    fn new(mac: [u8; 6]) -> State {
        let mut prom = [0; 16];
        prom[..6].copy_from_slice(&mac);
        // Hardware ID, and the letters that AMD's drivers look for.
        (prom[9], prom[14], prom[15]) = (0x11, 0x57, 0x57);
        let sum: u16 = prom.iter().map(|byte| u16::from(*byte)).sum();
        prom[12..14].copy_from_slice(&sum.to_le_bytes());
        let mut bcr = vec![0; 32];
        for (n, value) in [
            (0, 0x0005),
            (1, 0x0005),
            (2, 0x0002),
            (4, 0x00c0),
            (5, 0x0084),
            (6, 0x0088),
            (7, 0x0090),
            (18, 0x9001),
            (19, 0x0002),
            (20, 0x0200),
            (22, 0xff06),
        ] {
            bcr[n] = value;
        }
        let (csr, frame) = (vec![0; 128], None);
        let (rap, rx_ring, tx_ring, rx_index, tx_index, first) = (0, 0, 0, 0, 0, 0);
        let mut state =
            State { prom, csr, bcr, rap, rx_ring, tx_ring, rx_index, tx_index, frame, first, add_fcs: false };
        state.soft_reset();
        state
    }

    /// S_RESET (reading the reset register).
    fn soft_reset(&mut self) {
        (self.rx_ring, self.tx_ring, self.rap, self.rx_index, self.tx_index) = (0, 0, 0, 0, 0);
        self.frame = None;
        self.bcr[18] &= !DWIO;
        let mode = self.csr[15] & 0x21c4;
        for n in [5, 6, 8, 9, 10, 11, 94, 112, 114, 122, 124] {
            self.csr[n] = 0;
        }
        for n in 0..3 {
            self.csr[12 + n] = u16::from_le_bytes([self.prom[2 * n], self.prom[2 * n + 1]]);
        }
        for (n, value) in [
            (0, csr0::STOP),
            (3, 0),
            (4, 0x0115),
            (15, mode),
            (76, 1),
            (78, 1),
            (80, 0x1410),
            // Part 2621: Am79C970A.
            (88, 0x1003),
            (89, 0x0262),
            (100, 0x0200),
            (103, 0x0105),
        ] {
            self.csr[n] = value;
        }
    }

    fn style(&self) -> u16 {
        self.bcr[20] & 0xff
    }

    fn is_32_bit(&self) -> bool {
        self.bcr[20] & 0x0100 != 0
    }

    /// An address of 32 bits; in the 16-bit style, a register has the upper eight.
    fn address(&self, low: u32) -> u64 {
        u64::from(if self.is_32_bit() { low } else { low | u32::from(self.csr[2] & 0xff00) << 16 })
    }

    fn lengths(&self) -> (u16, u16) {
        (self.csr[76].max(1), self.csr[78].max(1))
    }

    fn asks(&self) -> bool {
        let (c0, c3, c4, c5) = (self.csr[0], self.csr[3], self.csr[4], self.csr[5]);
        let ask = c0 & !c3 & csr0::ASK != 0 || (c4 >> 1 & !c4) & 0x0115 != 0 || (c5 >> 1 & c5) & 0x0048 != 0;
        c0 & csr0::INEA != 0 && (ask || c4 & CSR4_UINT != 0) || (c5 >> 1 & c5) & 0x0500 != 0
    }
}

/// A descriptor.
struct Entry {
    at: u64,
    buffer: u64,
    len: usize,
    status: u16,
    misc: u32,
}

/// The card.
struct Pcnet {
    base: Base,
    s: State,
}

registers! {
    static REGS: Pcnet, "pcnet", sizes [1, 2, 4];
    0x00 area 16 APROM, "address PROM", read |d, at, size| d.read_prom(at, size),
        write |d, at, size, v| d.write_prom(at, size, v);
    0x10 area 16 REGISTERS, "I/O resources", read |d, at, size| d.read_port(at, size),
        write |d, at, size, v| d.write_port(at, size, v);
}

/// A register among the ports.
#[derive(Clone, Copy)]
enum Port {
    Rdp,
    Rap,
    Reset,
    Bdp,
}

impl Pcnet {
    fn wide(&self) -> bool {
        self.s.bcr[18] & DWIO != 0
    }

    fn read_prom(&self, at: u64, size: Size) -> u64 {
        let prom = &self.s.prom;
        (0..size.bytes()).rev().fold(0, |v, n| v << 8 | prom.get((at + n) as usize).map_or(0, |b| u64::from(*b)))
    }

    fn write_prom(&mut self, at: u64, size: Size, value: u64) {
        if self.s.bcr[2] & APROMWE == 0 {
            return self.base.kit.report.guest_error(format_args!("address PROM written while it is locked"));
        }
        for (n, byte) in value.to_le_bytes().iter().take(size.bytes() as usize).enumerate() {
            if let Some(place) = self.s.prom.get_mut(at as usize + n) {
                *place = *byte;
            }
        }
    }

    /// The register at a port, in words or double words.
    fn port(&self, at: u64, size: Size) -> Option<Port> {
        let step = if self.wide() { Size::B4 } else { Size::B2 };
        let port = [Port::Rdp, Port::Rap, Port::Reset, Port::Bdp].get((at / step.bytes()) as usize).copied();
        let port = port.filter(|_| size == step && at.is_multiple_of(step.bytes()));
        if port.is_none() {
            self.base.kit.report.guest_error(format_args!("{}-byte access to port {:#x}", size.bytes(), 0x10 + at));
        }
        port
    }

    fn read_port(&mut self, at: u64, size: Size) -> u64 {
        match self.port(at, size) {
            Some(Port::Rdp) => self.read_csr(self.s.rap),
            Some(Port::Rap) => u64::from(self.s.rap),
            Some(Port::Reset) => {
                self.base.kit.clock.cancel(POLL);
                self.s.soft_reset();
                0
            }
            Some(Port::Bdp) => u64::from(self.read_bcr(self.s.rap)),
            None => size.mask(),
        }
    }

    fn write_port(&mut self, at: u64, size: Size, value: u64) {
        if !self.wide() && at == 0 && size == Size::B4 {
            self.s.bcr[18] |= DWIO;
            return;
        }
        match self.port(at, size) {
            Some(Port::Rdp) => self.write_csr(self.s.rap, value as u16),
            Some(Port::Rap) => self.s.rap = value as u8 & 0x7f,
            Some(Port::Bdp) => self.write_bcr(self.s.rap, value as u16),
            Some(Port::Reset) | None => {}
        }
    }

    fn read_csr(&self, n: u8) -> u64 {
        let csr = &self.s.csr;
        let (rx, tx) = self.s.lengths();
        let half = |address: u64, n: u8| address >> (16 * (n & 1)) & 0xffff;
        match n {
            0 => {
                let error = if csr[0] & 0x7800 != 0 { csr0::ERR } else { 0 };
                u64::from(csr[0] | error | if self.s.asks() { csr0::INTR } else { 0 })
            }
            16 | 17 => u64::from(csr[usize::from(n) - 15]),
            28 | 29 => half(self.entry_address(false, self.s.rx_index), n),
            34 | 35 => half(self.entry_address(true, self.s.tx_index), n),
            58 => u64::from(self.s.bcr[20]),
            72 => u64::from(rx.saturating_sub(self.s.rx_index)),
            74 => u64::from(tx.saturating_sub(self.s.tx_index)),
            88 => u64::from(csr[88]) | u64::from(csr[89]) << 16,
            _ => u64::from(csr[usize::from(n)]),
        }
    }

    fn write_csr(&mut self, n: u8, value: u16) {
        let csr = &mut self.s.csr;
        let stopped = csr[0] & csr0::STOP != 0 || csr[5] & CSR5_SUSPEND != 0;
        match n {
            0 => self.control(value),
            3 => {
                csr[3] = value;
                if value & 4 != 0 {
                    self.base.kit.report.unimplemented(format_args!("byte swap"));
                }
            }
            4 => {
                csr[4] = value & !(CSR4_CLEAR | CSR4_UINTCMD) | csr[4] & CSR4_CLEAR & !value;
                if value & CSR4_UINTCMD != 0 && csr[0] & csr0::INEA != 0 {
                    csr[4] |= CSR4_UINT;
                }
                self.watch();
            }
            5 => {
                csr[5] = value & !CSR5_CLEAR | csr[5] & CSR5_CLEAR & !value;
                self.watch();
            }
            16 | 17 => csr[usize::from(n) - 15] = value,
            58 => self.write_bcr(20, value),
            76 | 78 => {
                csr[usize::from(n)] = if value == 0 { 512 } else { value };
                (self.s.rx_index, self.s.tx_index) = (0, 0);
            }
            112 if !stopped => {}
            1 | 2 | 8..=15 | 18..=27 | 30..=33 | 36..=47 | 112 => csr[usize::from(n)] = value,
            _ => {}
        }
    }

    fn read_bcr(&self, n: u8) -> u16 {
        let value = self.s.bcr.get(usize::from(n)).copied().unwrap_or(0);
        match n {
            // A LED says that the link is up, if that is among what it says.
            4..=7 => value & 0x7fff | if self.base.link && value & 0x40 != 0 { 0x8000 } else { 0 },
            _ => value,
        }
    }

    fn write_bcr(&mut self, n: u8, value: u16) {
        match n {
            20 => {
                if self.s.csr[0] & csr0::STOP == 0 && self.s.csr[5] & CSR5_SUSPEND == 0 {
                    return self.base.kit.report.guest_error(format_args!("software style changed while it runs"));
                }
                let size = match value & 0xff {
                    0 => 0x0200,
                    1 => 0x0100,
                    2 | 3 => 0x0300,
                    style => {
                        self.base.kit.report.guest_error(format_args!("software style {style:#x}"));
                        self.s.bcr[20] = 0x0200;
                        return;
                    }
                };
                self.s.bcr[20] = value & 0xfcff | size;
            }
            2 | 4..=7 | 9 | 18 | 19 | 22 => self.s.bcr[usize::from(n)] = value,
            _ => {}
        }
    }

    fn control(&mut self, value: u16) {
        let csr = &mut self.s.csr;
        csr[0] &= !(value & csr0::CLEAR);
        csr[0] = csr[0] & !csr0::INEA | value & (csr0::INEA | csr0::TDMD);
        if value & csr0::STOP != 0 {
            csr[0] = csr0::STOP;
            csr[4] &= !0x02c2;
            csr[5] &= !0x0011;
            self.s.frame = None;
            return self.base.kit.clock.cancel(POLL);
        }
        if value & csr0::INIT != 0 && csr[0] & csr0::INIT == 0 {
            self.initialise();
        }
        let csr = &mut self.s.csr;
        if value & csr0::STRT != 0 && csr[0] & csr0::STRT == 0 {
            csr[0] |= if csr[15] & CSR15_NO_TX == 0 { csr0::TXON } else { 0 };
            csr[0] |= if csr[15] & CSR15_NO_RX == 0 { csr0::RXON } else { 0 };
            csr[0] = csr[0] & !csr0::STOP | csr0::STRT;
        }
        self.watch();
        if self.s.csr[0] & csr0::TDMD != 0 {
            self.transmit();
        }
    }

    /// Takes on what the initialisation block says.
    fn initialise(&mut self) {
        let wide = self.s.is_32_bit();
        let at = self.s.address(u32::from(self.s.csr[1]) | u32::from(self.s.csr[2]) << 16);
        let mut block = [0; 28];
        if !self.base.load(at, &mut block[..if wide { 28 } else { 24 }]) {
            self.s.csr[0] |= csr0::MERR;
            return;
        }
        let half = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let (physical, logical, rings) = if wide { (4, 12, 20) } else { (2, 8, 16) };
        let (rx, tx) = (word(rings), word(rings + 4));
        let (rx_log, tx_log) =
            if wide { (block[2] >> 4, block[3] >> 4) } else { ((rx >> 29) as u8, (tx >> 29) as u8) };
        let mask = if wide { u32::MAX } else { 0x00ff_ffff };
        self.s.rx_ring = self.s.address(rx & mask) as u32;
        self.s.tx_ring = self.s.address(tx & mask) as u32;
        (self.s.rx_index, self.s.tx_index, self.s.frame) = (0, 0, None);
        let csr = &mut self.s.csr;
        csr[76] = 1 << rx_log.min(9);
        csr[78] = 1 << tx_log.min(9);
        csr[6] = u16::from(tx_log) << 12 | u16::from(rx_log) << 8;
        csr[15] = half(0);
        for n in 0..4 {
            csr[8 + n] = half(logical + 2 * n);
        }
        for n in 0..3 {
            csr[12 + n] = half(physical + 2 * n);
        }
        csr[0] = csr[0] & !csr0::STOP | csr0::INIT | csr0::IDON;
    }

    fn entry_address(&self, transmit: bool, index: u16) -> u64 {
        let ring = if transmit { self.s.tx_ring } else { self.s.rx_ring };
        let size = if self.s.style() == 0 { 8 } else { 16 };
        u64::from(ring.wrapping_add(size * u32::from(index)))
    }

    fn entry(&self, transmit: bool, index: u16) -> Option<Entry> {
        let at = self.entry_address(transmit, index);
        let (buffer, len, status, misc) = match self.s.style() {
            0 => {
                let [low, high] = self.base.words(at)?;
                let misc = if transmit { high & 0xffff_0000 } else { high >> 16 };
                (low & 0x00ff_ffff, high, (low >> 16 & 0xff00) as u16, misc)
            }
            3 => {
                let [misc, flags, buffer] = self.base.words(at)?;
                (buffer, flags, (flags >> 16) as u16, misc)
            }
            _ => {
                let [buffer, flags, misc] = self.base.words(at)?;
                (buffer, flags, (flags >> 16) as u16, misc)
            }
        };
        let len = 4096 - (len & 0x0fff) as usize;
        Some(Entry { at, buffer: self.s.address(buffer), len, status, misc })
    }

    /// Gives a descriptor back: the word with the owner last.
    fn give_back(&mut self, entry: &Entry, transmit: bool) -> bool {
        let [low, high] = [entry.misc as u16, (entry.misc >> 16) as u16].map(u16::to_le_bytes);
        let status = entry.status.to_le_bytes();
        let store = |at: u64, bytes: &[u8]| self.base.store(entry.at + at, bytes);
        let good = match self.s.style() {
            0 => store(6, if transmit { &high } else { &low }) && store(3, &status[1..]),
            3 => store(0, &entry.misc.to_le_bytes()) && store(6, &status),
            _ => store(8, &entry.misc.to_le_bytes()) && store(6, &status),
        };
        if !good {
            self.s.csr[0] |= csr0::MERR;
        }
        good
    }

    /// Looks at the transmit ring from time to time, unless the driver says when.
    fn watch(&mut self) {
        let (on, by_itself) = (self.s.csr[0] & csr0::TXON != 0, self.s.csr[4] & CSR4_DPOLL == 0);
        let clock = &self.base.kit.clock;
        if on && by_itself {
            clock.schedule(POLL, clock.now().saturating_add(POLL_NS));
        } else {
            clock.cancel(POLL);
        }
    }

    fn transmit(&mut self) {
        self.s.csr[0] &= !csr0::TDMD;
        let length = self.s.lengths().1;
        for _ in 0..length.min(chip::BUDGET as u16) {
            if self.s.csr[0] & csr0::TXON == 0 || self.s.csr[5] & CSR5_SUSPEND != 0 {
                return;
            }
            let Some(mut entry) = self.entry(true, self.s.tx_index) else {
                self.s.csr[0] |= csr0::MERR;
                return;
            };
            if entry.status & md::OWN == 0 {
                return self.underflow();
            }
            if entry.status & md::STP != 0 {
                self.s.frame = Some(Vec::new());
                self.s.first = self.s.tx_index;
                self.s.add_fcs = entry.status & md::ADD_FCS != 0;
            }
            self.add_piece(&mut entry);
            entry.status &= !md::OWN;
            if !self.give_back(&entry, true) {
                return;
            }
            self.s.tx_index = (self.s.tx_index + 1) % length;
            if entry.status & md::ENP != 0 {
                if let Some(frame) = self.s.frame.take() {
                    self.send(&frame);
                    self.s.csr[4] |= CSR4_TXSTRT;
                }
                let wanted = self.s.csr[5] & CSR5_LTINTEN != 0 && entry.status & md::LTINT != 0;
                if self.s.csr[5] & CSR5_TOKINTD == 0 || wanted {
                    self.s.csr[0] |= csr0::TINT;
                }
            }
        }
        self.base.pause(POLL);
    }

    /// Adds a descriptor's buffer to the frame, or says in the descriptor why not.
    fn add_piece(&mut self, entry: &mut Entry) {
        let looped = self.s.csr[15] & CSR15_LOOP != 0;
        if !self.base.link && !looped {
            entry.misc |= md::TX_LCAR;
            entry.status |= md::ERR;
            self.s.csr[0] |= csr0::CERR;
            self.s.frame = None;
            return;
        }
        let Some(frame) = &mut self.s.frame else { return };
        let have = frame.len();
        frame.resize((have + entry.len).min(chip::LONGEST), 0);
        if !self.base.load(entry.buffer, &mut frame[have..]) {
            self.s.csr[0] |= csr0::MERR;
            self.s.frame = None;
        }
    }

    /// The ring ends inside of a frame.
    fn underflow(&mut self) {
        if self.s.frame.take().is_none() {
            return;
        }
        if let Some(mut entry) = self.entry(true, self.s.first) {
            entry.misc |= md::TX_BUFF | md::TX_UFLO;
            entry.status = entry.status & !md::OWN | md::ERR;
            self.give_back(&entry, true);
        }
        // Without DXSUFLO, the transmitter stops.
        if self.s.csr[3] & 0x0040 == 0 {
            self.s.csr[0] &= !csr0::TXON;
        }
        self.s.csr[0] |= csr0::TINT;
    }

    fn send(&mut self, frame: &[u8]) {
        if self.s.csr[15] & CSR15_LOOP == 0 {
            return self.base.send(frame);
        }
        if self.s.csr[15] & CSR15_NO_FCS == 0 || self.s.add_fcs || frame.len() < chip::SHORTEST + 4 {
            let mut whole = frame.to_vec();
            whole.extend((!crc(frame)).to_le_bytes());
            self.receive(&whole);
        } else {
            self.receive(frame);
        }
    }

    /// Whom a frame is for; `None`: not for this card.
    fn filter(&self, frame: &[u8]) -> Option<u16> {
        let csr = &self.s.csr;
        let mine = (0..3).all(|n| csr[12 + n].to_le_bytes() == frame[2 * n..2 * n + 2]);
        let hash = crc(&frame[..6]) >> 26;
        let hit = csr[8 + hash as usize / 16] >> (hash % 16) & 1 != 0;
        let (kind, passes) = if is_broadcast(frame) {
            (md::BAM, csr[15] & CSR15_NO_BROADCAST == 0)
        } else if is_multicast(frame) {
            (md::LAFM, hit)
        } else {
            (md::PAM, mine && csr[15] & CSR15_NO_MINE == 0)
        };
        match (csr[15] & CSR15_PROMISCUOUS != 0, passes) {
            (true, _) => Some(0),
            (false, passes) => passes.then_some(kind),
        }
    }

    fn receiving(&self) -> bool {
        let csr = &self.s.csr;
        csr[0] & csr0::RXON != 0 && csr[0] & csr0::STOP == 0 && csr[5] & CSR5_SUSPEND == 0
    }

    /// Takes a frame with its checksum.
    fn receive(&mut self, frame: &[u8]) {
        let Some(kind) = self.filter(frame).filter(|_| self.receiving()) else { return };
        let (data, fcs) = frame.split_at(frame.len() - 4);
        let damaged = fcs != (!crc(data)).to_le_bytes();
        let (length, mut rest) = (self.s.lengths().0, frame);
        let mut begin = md::STP;
        for _ in 0..length {
            let index = self.s.rx_index;
            let Some(mut entry) = self.entry(false, index).filter(|e| e.status & md::OWN != 0) else {
                self.s.csr[0] |= csr0::MISS;
                self.s.csr[112] = self.s.csr[112].wrapping_add(1);
                return;
            };
            let (part, more) = rest.split_at(rest.len().min(entry.len));
            let next = (index + 1) % length;
            let last = more.is_empty();
            let full = !last && self.entry(false, next).is_none_or(|e| e.status & md::OWN == 0 || next == index);
            entry.status = entry.status & 0x008f & !md::OWN | begin;
            if last {
                entry.status |= md::ENP | kind | if damaged { md::CRC | md::ERR } else { 0 };
                entry.misc = entry.misc & 0xffff_f000 | frame.len() as u32 & 0x0fff;
            } else if full {
                entry.status |= md::OFLO | md::BUFF | md::ERR;
            }
            let good = self.base.store(entry.buffer, part) && self.give_back(&entry, false);
            if !good {
                self.s.csr[0] |= csr0::MERR;
                return;
            }
            self.s.rx_index = next;
            if last || full {
                self.s.csr[0] |= csr0::RINT;
                return;
            }
            (rest, begin) = (more, 0);
        }
    }
}

impl Chip for Pcnet {
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
        self.base.kit.clock.cancel(POLL);
        State::new(self.base.mac)
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        let (csr, bcr) = (s.csr.len(), s.bcr.len());
        check(csr == 128 && bcr == 32 && s.rap < 128, "registers", || format!("{csr} and {bcr}"))?;
        let (rx, tx) = s.lengths();
        let good = s.rx_index < rx && s.tx_index < tx;
        check(good, "descriptors", || format!("{} of {rx}, {} of {tx}", s.rx_index, s.tx_index))?;
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

    fn event(&mut self, _token: u32) {
        self.watch();
        self.transmit();
    }

    fn ready(&self) -> bool {
        let looped = self.s.csr[15] & CSR15_LOOP != 0;
        !self.receiving() || looped || self.entry(false, self.s.rx_index).is_none_or(|e| e.status & md::OWN != 0)
    }

    fn deliver(&mut self, frame: &[u8]) {
        // The message count has 12 bits.
        if self.s.csr[15] & CSR15_LOOP != 0 || frame.len() > 4091 {
            return;
        }
        let mut whole = frame.to_vec();
        whole.extend((!crc(frame)).to_le_bytes());
        self.receive(&whole);
    }

    fn asks(&self) -> bool {
        self.s.asks()
    }
}

#[cfg(test)]
mod tests;
