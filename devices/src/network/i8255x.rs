//! Intel 82557, 82558, 82559, 82550, 82551, 82562 and 82801 Fast Ethernet controllers (Intel 8255x 10/100 Mbps Ethernet
//! Controller Family, Open Source Software Developer Manual 1.3): one chip in many revisions.

use super::chip::{self, Base, Builder, Card, Chip, ETHERNET, SUBSYSTEM, crc, crc_msb, is_broadcast, is_multicast};
use super::microwire::Eeprom;
use crate::model::Model;
use crate::pci::{BarKind, Identity};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

/// A revision of the chip.
struct Variant {
    name: &'static str,
    device: u16,
    revision: u8,
    subsystem: (u16, u16),
    /// Most bytes of statistics, without the word that says they are complete.
    statistics: u32,
    /// Extended transmit blocks, power management: the 82558 and later.
    extended: bool,
}

macro_rules! variants {
    ($($name:literal, $about:literal, $device:literal, $revision:literal, $subsystem:expr, $statistics:literal, $extended:literal;)*) => {
        /// Their rows in the list of models.
        pub static MODELS: &[Model] = &[$(chip::model($name, $about, {
            static VARIANT: Variant = Variant {
                name: $name,
                device: $device,
                revision: $revision,
                subsystem: $subsystem,
                statistics: $statistics,
                extended: $extended,
            };
            let build: Builder = |kit, wants| I8255x::build(&VARIANT, kit, wants);
            build
        })),*];
    };
}

variants! {
    "i82550", "Intel 82550 Ethernet card", 0x1209, 0x0e, SUBSYSTEM, 80, true;
    "i82551", "Intel 82551 Ethernet card", 0x1209, 0x0f, SUBSYSTEM, 80, true;
    "i82557a", "Intel 82557A Ethernet card", 0x1229, 0x01, SUBSYSTEM, 64, false;
    "i82557b", "Intel 82557B Ethernet card", 0x1229, 0x02, SUBSYSTEM, 64, false;
    "i82557c", "Intel 82557C Ethernet card", 0x1229, 0x03, SUBSYSTEM, 64, false;
    "i82558a", "Intel 82558A Ethernet card", 0x1229, 0x04, SUBSYSTEM, 76, true;
    "i82558b", "Intel 82558B Ethernet card", 0x1229, 0x05, SUBSYSTEM, 76, true;
    "i82559a", "Intel 82559A Ethernet card", 0x1229, 0x06, SUBSYSTEM, 80, true;
    "i82559b", "Intel 82559B Ethernet card", 0x1229, 0x07, SUBSYSTEM, 80, true;
    "i82559c", "Intel 82559C Ethernet card", 0x1229, 0x0c, (0x8086, 0x0040), 80, true;
    "i82559er", "Intel 82559ER Ethernet card", 0x1209, 0x09, SUBSYSTEM, 80, true;
    "i82562", "Intel 82562 Ethernet card", 0x1209, 0x0e, SUBSYSTEM, 80, true;
    "i82801", "Intel 82801 Ethernet card (ICH)", 0x2449, 0x03, SUBSYSTEM, 80, true;
}

/// Event: the command unit goes on.
const WORK: u32 = 0;
const EEPROM_WORDS: usize = 64;
/// Bytes of the configure command that mean something.
const CONFIGURATION: usize = 22;
/// Bytes of a dump of the chip.
const DUMP: usize = 596;
/// Most bytes of a frame that is sent.
const MOST: usize = 2600;

/// Interrupts: bits of the acknowledge register (6.3.2).
mod ack {
    pub(super) const COMMAND: u8 = 0x80;
    pub(super) const FRAME: u8 = 0x40;
    pub(super) const CU_LEFT: u8 = 0x20;
    pub(super) const RU_LEFT: u8 = 0x10;
    pub(super) const MDI: u8 = 0x08;
    pub(super) const SOFTWARE: u8 = 0x04;
    pub(super) const FLOW: u8 = 0x01;
}

/// States of the command unit.
mod cu {
    pub(super) const IDLE: u8 = 0;
    pub(super) const SUSPENDED: u8 = 1;
    pub(super) const ACTIVE: u8 = 2;
}

/// States of the receive unit.
mod ru {
    pub(super) const IDLE: u8 = 0;
    pub(super) const SUSPENDED: u8 = 1;
    pub(super) const NO_RESOURCES: u8 = 2;
    pub(super) const READY: u8 = 4;
}

/// Bits of a block's command and status words (6.4.2).
mod cb {
    pub(super) const LAST: u16 = 0x8000;
    pub(super) const SUSPEND: u16 = 0x4000;
    pub(super) const INTERRUPT: u16 = 0x2000;
    pub(super) const NO_CRC: u16 = 0x0010;
    pub(super) const COMPLETE: u16 = 0x8000;
    pub(super) const OK: u16 = 0x2000;
    /// Received: no room for all of it; matched nothing; not to this card alone.
    pub(super) const NO_ROOM: u16 = 0x0200;
    pub(super) const NO_MATCH: u16 = 0x0004;
    pub(super) const GROUP: u16 = 0x0002;
}

/// The PHY's address, and its registers as they are after reset: an Intel 82555.
const PHY: u32 = 1;
const PHY_RESET: [u16; 7] = [0x3000, 0x7829, 0x02a8, 0x0154, 0x05e1, 0x41e1, 0x0001];

#[derive(Clone, Serialize, Deserialize)]
struct State {
    cu: u8,
    ru: u8,
    ack: u8,
    mask: u8,
    pointer: u32,
    port: u32,
    flow: [u8; 3],
    control: u8,
    mdi: u32,
    phy: [u16; 32],
    eeprom: Eeprom,
    eeprom_pins: u16,
    cu_base: u32,
    cu_offset: u32,
    ru_base: u32,
    ru_offset: u32,
    statistics_at: u32,
    sent: u32,
    received: u32,
    no_resources: u32,
    mac: [u8; 6],
    hash: [u8; 8],
    configuration: [u8; CONFIGURATION],
}

impl State {
    fn new(mac: [u8; 6], variant: &Variant) -> State {
        let mut words = vec![0u16; EEPROM_WORDS];
        for (n, pair) in mac.as_chunks::<2>().0.iter().enumerate() {
            words[n] = u16::from_le_bytes(*pair);
        }
        // A valid signature; the 82557B and C have a revision there.
        words[5] = if matches!(variant.revision, 2 | 3) && variant.device == 0x1229 { 0x0100 } else { 0x4000 };
        words[6] = PHY as u16;
        let sum = words.iter().fold(0u16, |sum, word| sum.wrapping_add(*word));
        words[EEPROM_WORDS - 1] = 0xbabau16.wrapping_sub(sum);
        let mut configuration = [0; CONFIGURATION];
        // Standard transmit blocks and statistics.
        configuration[6] = 0x30;
        let mut phy = [0; 32];
        phy[..7].copy_from_slice(&PHY_RESET);
        State {
            cu: cu::IDLE,
            ru: ru::IDLE,
            ack: 0,
            mask: 0,
            pointer: 0,
            port: 0,
            flow: [0; 3],
            control: 0,
            mdi: PHY << 21,
            phy,
            eeprom: Eeprom::new(words),
            eeprom_pins: 0,
            cu_base: 0,
            cu_offset: 0,
            ru_base: 0,
            ru_offset: 0,
            statistics_at: 0,
            sent: 0,
            received: 0,
            no_resources: 0,
            mac,
            hash: [0; 8],
            configuration,
        }
    }

    fn promiscuous(&self) -> bool {
        self.configuration[15] & 0x01 != 0
    }

    fn in_hash(&self, address: &[u8]) -> bool {
        let n = hash(address);
        self.hash[n / 8] >> (n % 8) & 1 != 0
    }
}

/// The bit of the multicast hash that an address has: bits 7 to 2 of its CRC.
fn hash(address: &[u8]) -> usize {
    (crc_msb(address) >> 2 & 0x3f) as usize
}

/// The card.
struct I8255x {
    base: Base,
    variant: &'static Variant,
    s: State,
}

registers! {
    static REGS: I8255x, "i8255x", sizes [1, 2, 4];
    0x00 SCB_STATUS 1 rw reset 0, "6.3.2.1", read |d, _| u64::from(d.s.cu << 6 | d.s.ru << 2), write |_, _, _| {};
    0x01 SCB_ACK 1 rw reset 0, "6.3.2.1", read |d, _| u64::from(d.s.ack), write |d, _, v| d.s.ack &= !(v as u8);
    0x02 SCB_COMMAND 1 rw reset 0, "6.3.2.2", read |_, _| 0, write |d, _, v| d.command(v as u8);
    0x03 SCB_MASK 1 rw reset 0, "6.3.2.2", read |d, _| u64::from(d.s.mask), write |d, _, v| d.set_mask(v as u8);
    0x04 SCB_POINTER 4 rw reset 0, "6.3.2.3", read |d, _| u64::from(d.s.pointer),
        write |d, _, v| d.s.pointer = v as u32;
    0x08 area 4 PORT, "6.3.3", read |_, _, _| 0, write |d, at, size, v| d.write_port(at, size, v);
    0x0c FLASH_CONTROL 2 rw reset 0, "6.3.4", read |_, _| 0, write |_, _, _| {};
    0x0e EEPROM_CONTROL 2 rw, "6.3.4.1", read |d, _| d.eeprom(), write |d, _, v| d.set_eeprom(v as u16);
    0x10 area 4 MDI, "6.3.5", read |d, at, _| u64::from(d.s.mdi | 1 << 28) >> (8 * at),
        write |d, at, size, v| d.write_mdi(at, size, v);
    0x14 RX_BYTES 4 ro reset 0, "6.3.6", read |_, _| 0;
    0x18 [3; 1] FLOW 1 rw reset 0, "6.3.7", read |d, i| u64::from(d.s.flow[i as usize]),
        write |d, i, v| d.s.flow[i as usize] = v as u8;
    0x1b PMDR 1 rw reset 0, "6.3.8", read |_, _| 0, write |_, _, _| {};
    0x1c GENERAL_CONTROL 1 rw reset 0, "6.3.9", read |d, _| u64::from(d.s.control),
        write |d, _, v| d.s.control = v as u8;
    // 100 Mbit/s, full duplex, link.
    0x1d GENERAL_STATUS 1 ro, "6.3.10", read |d, _| 6 | u64::from(d.base.link);
    0x1e reserved 2 ro reset 0, "6.3", read |_, _| 0;
    // Function event registers of CardBus.
    0x20 [32; 1] FUNCTION 1 rw reset 0, "6.3", read |_, _| 0, write |_, _, _| {};
}

registers! {
    static ROM: I8255x, "i8255x-flash", sizes [1, 2, 4];
    // No flash chip: nobody drives the bus.
    0x0 area 0x2_0000 FLASH, "4.4", read |_, _, _| u64::MAX, write |_, _, _, _| {};
}

/// A word of four bytes after a store to a part of it, and whether its last byte was among them.
fn merge(word: u32, at: u64, size: Size, value: u64) -> (u32, bool) {
    let mask = (size.mask() << (8 * at)) as u32;
    (word & !mask | (value << (8 * at)) as u32 & mask, at + size.bytes() >= 4)
}

impl I8255x {
    fn build(
        variant: &'static Variant,
        kit: tern_core::device::Kit,
        wants: &mut crate::model::Wants<'_>,
    ) -> Result<Box<dyn crate::pci::PciFunction>, String> {
        let Variant { name, device, revision, subsystem, .. } = *variant;
        let identity = Identity { vendor: 0x8086, device, revision, class: ETHERNET, subsystem: Some(subsystem) };
        let bars = [(0, BarKind::Memory32, 0x1000), (1, BarKind::Io, 0x40), (2, BarKind::Memory32, 0x2_0000)];
        let mut base = Base::new(name, kit, wants, identity, &bars)?;
        // Fast back-to-back, medium timing; latency timer, least grant, greatest latency.
        base.config.put(0x06, &[0x80, 0x02]);
        base.config.put(0x0d, &[0x20]);
        base.config.put(0x3e, &[0x08, 0x18]);
        if variant.extended {
            // Power management 1.0: D1, D2, PME from all states.
            let at = base.config.add_capability(1, &[0x21, 0x7e, 0, 0, 0, 0]);
            base.config.writable(at + 4, &[0x03, 0x1f]);
        }
        let s = State::new(base.mac, variant);
        Ok(Card::boxed(I8255x { base, variant, s }))
    }

    fn set_mask(&mut self, value: u8) {
        self.s.mask = value & !2;
        if value & 2 != 0 {
            self.s.ack |= ack::SOFTWARE;
        }
    }

    fn eeprom(&self) -> u64 {
        u64::from(self.s.eeprom_pins & !8 | u16::from(self.s.eeprom.output()) << 3)
    }

    fn set_eeprom(&mut self, value: u16) {
        self.s.eeprom_pins = value & 0xff;
        self.s.eeprom.drive(value & 2 != 0, value & 1 != 0, value & 4 != 0);
    }

    /// The port: resets, self-test, dump.
    fn write_port(&mut self, at: u64, size: Size, value: u64) {
        let (port, whole) = merge(self.s.port, at, size, value);
        self.s.port = port;
        if !whole {
            return;
        }
        let address = u64::from(port & !0xf);
        match port & 0xf {
            0 => {
                self.base.kit.clock.cancel(WORK);
                let eeprom = self.s.eeprom.clone();
                self.s = State { eeprom, ..State::new(self.base.mac, self.variant) };
            }
            1 => {
                // Signature, and no errors.
                let _ = self.base.store(address, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
            }
            2 => {
                self.base.kit.clock.cancel(WORK);
                (self.s.cu, self.s.ru, self.s.ack) = (cu::IDLE, ru::IDLE, 0);
            }
            3 => {
                self.dump(address);
            }
            other => self.base.kit.report.guest_error(format_args!("port function {other}")),
        }
    }

    /// Writes what the chip is configured to; the rest of a dump is internal, and zero here.
    fn dump(&self, address: u64) -> bool {
        let mut bytes = [0; DUMP];
        bytes[..CONFIGURATION].copy_from_slice(&self.s.configuration);
        bytes[39..45].copy_from_slice(&self.s.mac);
        self.base.store(address, &bytes)
    }

    /// A cycle on the PHY's bus; it takes no time.
    fn write_mdi(&mut self, at: u64, size: Size, value: u64) {
        let (mdi, whole) = merge(self.s.mdi, at, size, value);
        self.s.mdi = mdi & !(1 << 28);
        if !whole {
            return;
        }
        let (register, phy, opcode) = (mdi as usize >> 16 & 0x1f, mdi >> 21 & 0x1f, mdi >> 26 & 3);
        let data = match opcode {
            2 if phy == PHY => self.phy(register),
            2 => 0xffff,
            1 => {
                if phy == PHY {
                    self.set_phy(register, mdi as u16);
                }
                mdi as u16
            }
            _ => {
                self.base.kit.report.guest_error(format_args!("MDI opcode {opcode}"));
                0
            }
        };
        self.s.mdi = self.s.mdi & 0xffff_0000 | u32::from(data);
        if mdi >> 29 & 1 != 0 {
            self.s.ack |= ack::MDI;
        }
    }

    fn phy(&self, register: usize) -> u16 {
        match (register, self.base.link) {
            (1, true) => self.s.phy[1] | 4,
            (5, false) => 0,
            // Auxiliary status: 100 Mbit/s, full duplex.
            (16, _) => 0x0003,
            _ => self.s.phy[register],
        }
    }

    fn set_phy(&mut self, register: usize, value: u16) {
        match register {
            0 if value & 0x8000 != 0 => self.s.phy[..7].copy_from_slice(&PHY_RESET),
            // Negotiation begins and ends at once.
            0 => self.s.phy[0] = value & !0x0200,
            1..=3 | 5 | 6 => {}
            _ => self.s.phy[register] = value,
        }
    }

    fn command(&mut self, value: u8) {
        match value & 0x0f {
            0 => {}
            1 => {
                self.s.ru_offset = self.s.pointer;
                self.s.ru = ru::READY;
                self.look_ahead();
            }
            2 => {
                self.s.ru = ru::READY;
                self.look_ahead();
            }
            4 => {
                if self.s.ru == ru::READY {
                    self.s.ack |= ack::RU_LEFT;
                }
                self.s.ru = ru::IDLE;
            }
            6 => self.s.ru_base = self.s.pointer,
            other => self.base.kit.report.unimplemented(format_args!("receive unit command {other}")),
        }
        match value >> 4 {
            0 => {}
            1 => {
                self.s.cu_offset = self.s.pointer;
                self.run();
            }
            // What still runs goes on anyway.
            2 | 0xa if self.s.cu == cu::ACTIVE => {}
            2 | 0xa => self.run(),
            4 => self.s.statistics_at = self.s.pointer & !3,
            5 => self.dump_statistics(0xa005),
            6 => self.s.cu_base = self.s.pointer,
            7 => {
                self.dump_statistics(0xa007);
                (self.s.sent, self.s.received, self.s.no_resources) = (0, 0, 0);
            }
            other => self.base.kit.report.unimplemented(format_args!("command unit command {other}")),
        }
    }

    /// Writes the counters, as many as the revision has and the driver has configured, and the word behind them.
    fn dump_statistics(&mut self, done: u32) {
        let mode = self.s.configuration[6];
        let wanted = if mode & 0x04 != 0 {
            80
        } else if mode & 0x20 == 0 {
            76
        } else {
            64
        };
        let len = self.variant.statistics.min(wanted);
        let mut bytes = [0; 84];
        for (at, value) in [(0, self.s.sent), (36, self.s.received), (48, self.s.no_resources), (len as usize, done)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if !self.base.store(u64::from(self.s.statistics_at), &bytes[..len as usize + 4]) {
            self.base.kit.report.guest_error(format_args!("no memory for statistics"));
        }
    }

    /// Runs the list of blocks until one ends it.
    fn run(&mut self) {
        self.s.cu = cu::ACTIVE;
        for _ in 0..chip::BUDGET {
            let at = u64::from(self.s.cu_base.wrapping_add(self.s.cu_offset));
            let Some([head, link]) = self.base.words(at) else {
                self.base.kit.report.guest_error(format_args!("no block at {at:#x}"));
                self.s.cu = cu::IDLE;
                self.s.ack |= ack::CU_LEFT;
                return;
            };
            let command = (head >> 16) as u16;
            let ok = self.act(at, command);
            let status = cb::COMPLETE | if ok { cb::OK } else { 0 };
            let _ = self.base.store(at, &status.to_le_bytes());
            self.s.cu_offset = link;
            if command & cb::INTERRUPT != 0 {
                self.s.ack |= ack::COMMAND;
            }
            if command & (cb::LAST | cb::SUSPEND) != 0 {
                self.s.cu = if command & cb::LAST != 0 { cu::IDLE } else { cu::SUSPENDED };
                self.s.ack |= ack::CU_LEFT;
                return;
            }
        }
        self.base.pause(WORK);
    }

    /// Does what a block says; did it work?
    fn act(&mut self, at: u64, command: u16) -> bool {
        match command & 7 {
            0 | 7 => true,
            1 => self.base.fetch(at + 8).map(|mac| self.s.mac = mac).is_some(),
            2 => self.configure(at + 8),
            3 => self.set_multicast(at + 8),
            4 => self.send(at, command & cb::NO_CRC != 0),
            5 => {
                // It would change how interrupts are bundled, which is nothing that a driver depends on.
                self.base.kit.report.unimplemented(format_args!("microcode"));
                true
            }
            _ => self.base.words::<1>(at + 8).is_some_and(|[to]| self.dump(u64::from(to))),
        }
    }

    fn configure(&mut self, at: u64) -> bool {
        let Some([count]) = self.base.fetch::<1>(at) else { return false };
        let mut bytes = self.s.configuration;
        let good = self.base.load(at, &mut bytes[..usize::from(count & 0x3f).min(CONFIGURATION)]);
        if good {
            self.s.configuration = bytes;
        }
        good
    }

    fn set_multicast(&mut self, at: u64) -> bool {
        let Some(count) = self.base.fetch(at).map(|bytes| u16::from_le_bytes(bytes) & 0x3fff) else { return false };
        let mut list = vec![0; usize::from(count)];
        self.s.hash = [0; 8];
        let good = self.base.load(at + 2, &mut list);
        for address in list.as_chunks::<6>().0.iter().filter(|_| good) {
            let n = hash(address);
            self.s.hash[n / 8] |= 1 << (n % 8);
        }
        good
    }

    /// Sends a frame: bytes behind the block, and buffers of an array (6.4.2.5).
    fn send(&mut self, at: u64, has_crc: bool) -> bool {
        let Some([array, counts]) = self.base.words(at + 8) else { return false };
        let mut frame = vec![0; (counts as usize & 0x3fff).min(MOST)];
        let mut good = self.base.load(at + 16, &mut frame);
        if array != u32::MAX {
            let extended = self.variant.extended && self.s.configuration[6] & 0x10 == 0;
            for n in 0..u64::from(counts >> 24) {
                // In an extended block, the first two are in the block itself.
                let buffer = match (extended, n) {
                    (true, 0 | 1) => at + 16 + 8 * n,
                    (true, _) => u64::from(array) + 8 * (n - 2),
                    (false, _) => u64::from(array) + 8 * n,
                };
                let Some([address, flags]) = self.base.words(buffer) else { return false };
                let have = frame.len();
                frame.resize((have + (flags as usize & 0x7fff)).min(MOST), 0);
                good &= self.base.load(u64::from(address), &mut frame[have..]);
                if flags & 0x1_0000 != 0 {
                    break;
                }
            }
        }
        if has_crc {
            frame.truncate(frame.len().saturating_sub(4));
        }
        if good {
            self.s.sent = self.s.sent.wrapping_add(1);
            // Byte 10 loops frames back, inside or in the PHY.
            if self.s.configuration[10] & 0xc0 == 0 {
                self.base.send(&frame);
            } else if self.s.ru == ru::READY {
                chip::receive(self, &frame);
            }
        }
        good
    }

    /// Status bits for a frame that this card takes.
    fn filter(&self, frame: &[u8]) -> Option<u16> {
        let c = &self.s.configuration;
        let (kind, passes) = if frame[..6] == self.s.mac {
            (0, true)
        } else if is_broadcast(frame) {
            (cb::GROUP, c[15] & 0x02 == 0)
        } else if is_multicast(frame) {
            (cb::GROUP, c[21] & 0x08 != 0 || self.s.in_hash(&frame[..6]))
        } else {
            (0, c[20] & 0x40 != 0 && self.s.in_hash(&frame[..6]))
        };
        match (passes, self.s.promiscuous()) {
            (true, _) => Some(kind),
            (false, true) => Some(kind | cb::NO_MATCH),
            (false, false) => None,
        }
    }

    /// The address of the next receive descriptor.
    fn descriptor(&self) -> u64 {
        u64::from(self.s.ru_base.wrapping_add(self.s.ru_offset))
    }

    /// A descriptor without room that ends the list is never written: the unit leaves in front of it.
    fn look_ahead(&mut self) {
        let Some([head, _, _, size]) = self.base.words(self.descriptor()) else { return };
        if (head >> 16) as u16 & cb::LAST != 0 && size >> 16 & 0x3fff == 0 {
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.s.ru = ru::NO_RESOURCES;
        self.s.ack |= ack::RU_LEFT;
    }
}

impl Chip for I8255x {
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
        self.base.kit.clock.cancel(WORK);
        State::new(self.base.mac, self.variant)
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        s.eeprom.check(EEPROM_WORDS)?;
        let (cu, ru) = (s.cu, s.ru);
        let good = cu <= cu::ACTIVE && matches!(ru, ru::IDLE | ru::SUSPENDED | ru::NO_RESOURCES | ru::READY);
        check(good, "units", || format!("{cu} and {ru}"))
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.base.kit.report.clone();
        chip::read(if bar == 2 { &ROM } else { &REGS }, self, &report, offset, size)
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.base.kit.report.clone();
        chip::write(if bar == 2 { &ROM } else { &REGS }, self, &report, offset, size, value);
    }

    fn event(&mut self, _token: u32) {
        if self.s.cu == cu::ACTIVE {
            self.run();
        }
    }

    fn ready(&self) -> bool {
        matches!(self.s.ru, ru::IDLE | ru::READY)
    }

    fn deliver(&mut self, frame: &[u8]) {
        let long = frame.len() > 1518 && self.s.configuration[18] & 0x08 == 0;
        let Some(kind) = self.filter(frame).filter(|_| self.s.ru == ru::READY && !long) else { return };
        let at = self.descriptor();
        let mut bytes = frame.to_vec();
        if self.s.configuration[18] & 0x04 != 0 {
            bytes.extend((!crc(frame)).to_le_bytes());
        }
        let words = self.base.words(at);
        let Some([head, link, _, size]) = words.filter(|w: &[u32; 4]| w[3] >> 16 & 0x3fff != 0) else {
            self.s.no_resources = self.s.no_resources.wrapping_add(1);
            return self.leave();
        };
        let room = (size >> 16 & 0x3fff) as usize;
        let fits = bytes.len() <= room;
        bytes.truncate(room);
        let status = cb::COMPLETE | kind | if fits { cb::OK } else { cb::NO_ROOM };
        let good = self.base.store(at + 16, &bytes)
            && self.base.store(at + 12, &(bytes.len() as u16 | 0xc000).to_le_bytes())
            && self.base.store(at, &status.to_le_bytes());
        if !good {
            self.base.kit.report.guest_error(format_args!("no receive buffer at {at:#x}"));
            return self.leave();
        }
        self.s.received = self.s.received.wrapping_add(1);
        self.s.ack |= ack::FRAME;
        self.s.ru_offset = link;
        match (head >> 16) as u16 & (cb::LAST | cb::SUSPEND) {
            0 => self.look_ahead(),
            cb::SUSPEND => {
                self.s.ru = ru::SUSPENDED;
                self.s.ack |= ack::RU_LEFT;
            }
            _ => self.leave(),
        }
    }

    /// Bit 0 masks all interrupts; the others have masks of their own.
    fn asks(&self) -> bool {
        let (ack, mask) = (self.s.ack, self.s.mask);
        let masked = mask & 0xf0 | if mask & 4 != 0 { ack::FLOW } else { 0 };
        mask & 1 == 0 && ack & !masked != 0
    }
}

#[cfg(test)]
mod tests;
