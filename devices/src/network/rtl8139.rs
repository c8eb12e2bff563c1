//! Realtek RTL8139C+ Fast Ethernet controller (RTL8139C+ data sheet, rev. 1.6): the four descriptors and the receive ring
//! of the RTL8139, and the descriptor rings with offloads of C+ mode.

use super::chip::{self, Base, Card, Chip, ETHERNET, SUBSYSTEM, crc, crc_msb, is_broadcast, is_multicast};
use super::microwire::Eeprom;
use crate::model::Model;
use crate::pci::{BarKind, Identity};
use crate::virtio::net::offload::{self, TCP, UDP};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

const NAME: &str = "rtl8139";
/// Its row in the list of models.
pub static MODELS: &[Model] = &[chip::model(NAME, "Realtek RTL8139C+ Fast Ethernet card", |kit, wants| {
    let identity =
        Identity { vendor: 0x10ec, device: 0x8139, revision: REVISION, class: ETHERNET, subsystem: Some(SUBSYSTEM) };
    let bars = [(0, BarKind::Io, 0x100), (1, BarKind::Memory32, 0x100)];
    let base = Base::new(NAME, kit, wants, identity, &bars)?;
    let state = State::new(base.mac);
    Ok(Card::boxed(Rtl8139 { base, s: state }))
})];

/// Revisions from 0x20 on have C+ mode.
const REVISION: u8 = 0x20;
/// One tick of the timer, a PCI clock of 33 MHz, in nanoseconds.
const TICK: u64 = 30;
/// Event: the timer.
const TIMER: u32 = 0;
/// Event: goes on sending.
const SEND: u32 = 1;
/// Most descriptors of a ring in C+ mode (9.2.1).
const RING: u32 = 64;
/// Longest frame that the receive ring has room for at any time, with its header and checksum.
const USUAL: u32 = 1544;

/// Bits of the command register (6.4).
mod cmd {
    pub(super) const EMPTY: u8 = 1;
    pub(super) const TX: u8 = 4;
    pub(super) const RX: u8 = 8;
    pub(super) const RESET: u8 = 0x10;
}

/// Interrupts (6.7).
mod int {
    pub(super) const RX_OK: u16 = 1;
    pub(super) const TX_OK: u16 = 4;
    pub(super) const OVERFLOW: u16 = 0x10;
    pub(super) const LINK: u16 = 0x20;
    pub(super) const TIMEOUT: u16 = 0x4000;
    pub(super) const SYSTEM_ERROR: u16 = 0x8000;
    pub(super) const ALL: u16 = 0xe1ff;
}

/// Bits of a transmit status (6.3).
mod tsd {
    pub(super) const OWN: u32 = 0x2000;
    pub(super) const UNDERRUN: u32 = 0x4000;
    pub(super) const OK: u32 = 0x8000;
    pub(super) const ABORTED: u32 = 0x4000_0000;
}

/// Bits of the receive configuration (6.9).
mod rcr {
    pub(super) const ALL: u32 = 1;
    pub(super) const MINE: u32 = 2;
    pub(super) const MULTICAST: u32 = 4;
    pub(super) const BROADCAST: u32 = 8;
    pub(super) const NO_WRAP: u32 = 0x80;
}

/// Bits of the C+ command register (6.26).
mod cpcr {
    pub(super) const TX: u16 = 1;
    pub(super) const RX: u16 = 2;
    pub(super) const RX_CHECKSUM: u16 = 0x20;
    pub(super) const RX_VLAN: u16 = 0x40;
    pub(super) const ALL: u16 = 0x007b;
}

/// Bits of the first word of a descriptor in C+ mode (9.2).
mod desc {
    pub(super) const OWN: u32 = 1 << 31;
    pub(super) const END: u32 = 1 << 30;
    pub(super) const FIRST: u32 = 1 << 29;
    pub(super) const LAST: u32 = 1 << 28;
    pub(super) const LARGE: u32 = 1 << 27;
    pub(super) const IP: u32 = 1 << 18;
    pub(super) const UDP: u32 = 1 << 17;
    pub(super) const TCP: u32 = 1 << 16;
    /// Sent: errors.
    pub(super) const ERRORS: u32 = 0x02f0_0000;
    /// Second word: send with a tag.
    pub(super) const TAG: u32 = 1 << 17;
    /// Second word: a tag was taken out.
    pub(super) const TAGGED: u32 = 1 << 16;
    /// Received: multicast, mine, broadcast.
    pub(super) const MULTICAST: u32 = 1 << 26;
    pub(super) const MINE: u32 = 1 << 25;
    pub(super) const BROADCAST: u32 = 1 << 24;
}

/// Version bits of the transmit configuration: an RTL8139C+.
const VERSION: u32 = 0x7480_0000;
/// Bits of the transmit configuration that are written.
const TCR_WRITE: u32 = 0x0307_07f0;
const TCR_LOOPBACK: u32 = 0x0006_0000;
/// The PHY's registers (6.20 to 6.24): link partner and own abilities, status without the link.
const ABILITIES: u16 = 0x05e1;
const BMSR: u16 = 0x7829;
const BMSR_LINK: u16 = 4;
/// Of the control register: negotiation, speed and duplex mode stay; reset and restart are done at once.
const BMCR_WRITE: u16 = 0x3100;

/// Counters for the driver (6.3.1), in the order and with the widths they are dumped in.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Tally {
    tx_ok: u64,
    rx_ok: u64,
    tx_error: u64,
    rx_error: u32,
    missed: u16,
    rx_mine: u64,
    rx_broadcast: u64,
    rx_multicast: u32,
}

impl Tally {
    fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (at, value) in [
            (0, self.tx_ok),
            (8, self.rx_ok),
            (16, self.tx_error),
            (24, u64::from(self.rx_error) | u64::from(self.missed) << 32),
            // Alignment errors and collisions do not happen here.
            (40, self.rx_mine),
            (48, self.rx_broadcast),
            (56, u64::from(self.rx_multicast)),
        ] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    id: [u8; 8],
    multicast: [u8; 8],
    /// Transmit status; in C+ mode the first two are the address of the counters' dump.
    tx_status: [u32; 4],
    /// Buffers; in C+ mode addresses of the rings for normal and high priority.
    tx_addr: [u32; 4],
    tx_next: u8,
    rx_buffer: u32,
    /// What the driver has read up to, and the card written up to.
    rx_read: u32,
    rx_write: u32,
    command: u8,
    status: u16,
    mask: u16,
    tcr: u32,
    rcr: u32,
    missed: u32,
    eeprom_command: u8,
    /// CONFIG0, 1, 3, 4, 5.
    config: [u8; 5],
    halted: bool,
    multiple: u16,
    bmcr: u16,
    anar: u16,
    cplus: bool,
    cpcr: u16,
    rx_ring: [u32; 2],
    tx_index: u32,
    rx_index: u32,
    threshold: u8,
    /// When the timer was zero.
    timer_base: u64,
    timer_at: u32,
    tally: Tally,
    eeprom: Eeprom,
    /// What is there of the frame that is sent.
    frame: Vec<u8>,
}

impl State {
    fn new(mac: [u8; 6]) -> State {
        let mut words = vec![0; 64];
        (words[0], words[1], words[2]) = (0x8129, 0x10ec, 0x8139);
        for (n, pair) in mac.as_chunks::<2>().0.iter().enumerate() {
            words[7 + n] = u16::from_le_bytes(*pair);
        }
        State::after_reset(mac, Eeprom::new(words), 0)
    }

    /// After power-up, or after the driver's reset at time `now`: the address comes from the EEPROM, whatever is in that
    /// now.
    fn after_reset(mac: [u8; 6], eeprom: Eeprom, now: u64) -> State {
        let mut id = [0; 8];
        id[..6].copy_from_slice(&mac);
        State {
            id,
            multicast: [0; 8],
            tx_status: [tsd::OWN; 4],
            tx_addr: [0; 4],
            tx_next: 0,
            rx_buffer: 0,
            rx_read: 0,
            rx_write: 0,
            command: 0,
            status: 0,
            mask: 0,
            tcr: VERSION,
            rcr: 0,
            missed: 0,
            eeprom_command: 0,
            config: [0, 0x0c, 0x01, 0, 0],
            halted: false,
            multiple: 0,
            bmcr: 0x1000,
            anar: ABILITIES,
            cplus: false,
            cpcr: 0,
            rx_ring: [0; 2],
            tx_index: 0,
            rx_index: 0,
            threshold: 0,
            timer_base: now,
            timer_at: 0,
            tally: Tally::default(),
            eeprom,
            frame: Vec::new(),
        }
    }

    fn rx_size(&self) -> u32 {
        0x2000 << (self.rcr >> 11 & 3)
    }

    /// How much of the receive ring is free; all of it if nothing is unread.
    fn rx_free(&self) -> u32 {
        match self.rx_read.wrapping_sub(self.rx_write) & (self.rx_size() - 1) {
            0 => self.rx_size(),
            free => free,
        }
    }

    fn transmit_summary(&self) -> u16 {
        let bits = [(tsd::OWN, 0), (tsd::ABORTED, 4), (tsd::UNDERRUN, 8), (tsd::OK, 12)];
        let of = |n: usize| bits.iter().filter(move |b| self.tx_status[n] & b.0 != 0).map(move |b| 1 << (b.1 + n));
        (0..4).flat_map(of).fold(0, |all, bit: u16| all | bit)
    }
}

/// The card.
struct Rtl8139 {
    base: Base,
    s: State,
}

registers! {
    static REGS: Rtl8139, "rtl8139", sizes [1, 2, 4];
    0x00 [8; 1] IDR 1 rw, "6.1", read |d, i| u64::from(d.s.id[i as usize]),
        write |d, i, v| if i < 6 { d.s.id[i as usize] = v as u8 };
    0x08 [8; 1] MAR 1 rw, "6.2", read |d, i| u64::from(d.s.multicast[i as usize]),
        write |d, i, v| d.s.multicast[i as usize] = v as u8;
    0x10 [4; 4] TSD 4 rw, "6.3", read |d, i| u64::from(d.s.tx_status[i as usize]),
        write |d, i, v| d.set_tx_status(i as usize, v as u32);
    0x20 [4; 4] TSAD 4 rw, "6.4", read |d, i| u64::from(d.s.tx_addr[i as usize]),
        write |d, i, v| d.set_tx_addr(i as usize, v as u32);
    0x30 RBSTART 4 rw reset 0, "6.5", read |d, _| u64::from(d.s.rx_buffer), write |d, _, v| d.s.rx_buffer = v as u32;
    0x34 ERBCR 2 ro reset 0, "6.5", read |_, _| 0;
    0x36 ERSR 1 ro reset 0, "6.6", read |_, _| 0;
    0x37 CR 1 rw, "6.6", read |d, _| d.command(), write |d, _, v| d.set_command(v as u8);
    0x38 CAPR 2 rw reset 0xfff0, "6.7", read |d, _| u64::from(d.s.rx_read.wrapping_sub(16) as u16),
        write |d, _, v| d.s.rx_read = (v as u32).wrapping_add(16) & (d.s.rx_size() - 1);
    0x3a CBR 2 ro reset 0, "6.7", read |d, _| u64::from(d.s.rx_write as u16);
    0x3c IMR 2 rw reset 0, "6.7", read |d, _| u64::from(d.s.mask), write |d, _, v| d.s.mask = v as u16 & int::ALL;
    0x3e [2; 1] ISR 1 rw reset 0, "6.7", read |d, i| u64::from(d.s.status >> (8 * i)),
        write |d, i, v| d.s.status &= !((v as u16) << (8 * i));
    0x40 TCR 4 rw reset 0x7480_0000, "6.8", read |d, _| u64::from(d.s.tcr),
        write |d, _, v| d.s.tcr = VERSION | v as u32 & TCR_WRITE;
    0x44 RCR 4 rw reset 0, "6.9", read |d, _| u64::from(d.s.rcr), write |d, _, v| d.set_receive(v as u32);
    0x48 TCTR 4 rw, "6.10", read |d, _| d.timer(), write |d, _, _| d.restart_timer();
    0x4c MPC 4 rw reset 0, "6.11", read |d, _| u64::from(d.s.missed), write |d, _, _| d.s.missed = 0;
    0x50 CR9346 1 rw reset 0, "6.12", read |d, _| d.eeprom(), write |d, _, v| d.set_eeprom(v as u8);
    0x51 [2; 1] CONFIG0 1 rw, "6.13", read |d, i| u64::from(d.s.config[i as usize]),
        write |d, i, v| d.set_config(i as usize, v as u8);
    0x54 TIMERINT 4 rw reset 0, "6.15", read |d, _| u64::from(d.s.timer_at), write |d, _, v| d.set_timer_at(v as u32);
    0x58 MSR 1 rw, "6.16", read |d, _| 0xd0 | if d.base.link { 0 } else { 4 }, write |_, _, _| {};
    0x59 [2; 1] CONFIG3 1 rw, "6.17", read |d, i| u64::from(d.s.config[2 + i as usize]),
        write |d, i, v| d.set_config(2 + i as usize, v as u8);
    0x5b HLTCLK 1 rw, "6.19", read |_, _| 0, write |d, _, v| d.halt(v as u8);
    0x5c MULINT 2 rw reset 0, "6.19", read |d, _| u64::from(d.s.multiple),
        write |d, _, v| d.s.multiple = v as u16 & 0x0fff;
    0x5e RERID 1 ro reset 0x20, "6.19", read |_, _| u64::from(REVISION);
    0x5f reserved 1 ro reset 0, "6", read |_, _| 0;
    0x60 TSADSTATUS 2 ro, "6.19", read |d, _| u64::from(d.s.transmit_summary());
    0x62 BMCR 2 rw reset 0x1000, "6.20", read |d, _| u64::from(d.s.bmcr),
        write |d, _, v| d.set_bmcr(v as u16);
    0x64 BMSR 2 ro, "6.21", read |d, _| u64::from(BMSR | if d.base.link { BMSR_LINK } else { 0 });
    0x66 ANAR 2 rw reset 0x05e1, "6.22", read |d, _| u64::from(d.s.anar), write |d, _, v| d.s.anar = v as u16;
    0x68 ANLPAR 2 ro, "6.23", read |d, _| if d.base.link { u64::from(ABILITIES) } else { 0 };
    0x6a ANER 2 ro reset 1, "6.24", read |_, _| 1;
    0x6c DIS 2 ro reset 0, "6.24", read |_, _| 0;
    0x6e FCSC 2 ro reset 0, "6.24", read |_, _| 0;
    0x70 NWAYTR 2 rw reset 0, "6.24", read |_, _| 0, write |_, _, _| {};
    0x72 REC 2 ro reset 0, "6.24", read |_, _| 0;
    0x74 CSCR 2 rw, "6.24", read |d, _| 0x0340 | if d.base.link { 8 } else { 0 }, write |_, _, _| {};
    0x76 reserved 2 ro reset 0, "6", read |_, _| 0;
    // What tunes the transceiver is taken and means nothing here.
    0x78 PHY1_PARM 4 rw reset 0, "6.24", read |_, _| 0, write |_, _, _| {};
    0x7c TW_PARM 4 rw reset 0, "6.24", read |_, _| 0, write |_, _, _| {};
    // Wake-up frames: nothing here sleeps.
    0x80 [84; 1] WAKE 1 rw reset 0, "6.25", read |_, _| 0, write |_, _, _| {};
    0xd4 FLASH 4 rw reset 0, "6.25", read |_, _| 0, write |_, _, _| {};
    0xd8 CONFIG5 1 rw reset 0, "6.25", read |d, _| u64::from(d.s.config[4]), write |d, _, v| d.s.config[4] = v as u8 & 0x7f;
    0xd9 TPPOLL 1 wo, "6.26", write |d, _, v| d.poll(v as u8);
    0xda RMS 2 rw reset 0, "6.26", read |_, _| 0, write |_, _, _| {};
    0xdc reserved 4 ro reset 0, "6", read |_, _| 0;
    0xe0 CPCR 2 rw reset 0, "6.26", read |d, _| u64::from(d.s.cpcr), write |d, _, v| d.set_cplus(v as u16);
    0xe2 INTRMITIGATE 2 rw reset 0, "6.26", read |_, _| 0, write |_, _, _| {};
    0xe4 [2; 4] RDSAR 4 rw reset 0, "6.27", read |d, i| u64::from(d.s.rx_ring[i as usize]),
        write |d, i, v| d.set_rx_ring(i as usize, v as u32);
    0xec ETTHR 1 rw reset 0, "6.28", read |d, _| u64::from(d.s.threshold), write |d, _, v| d.s.threshold = v as u8 & 0x3f;
    0xed [3; 1] reserved 1 ro reset 0, "6", read |_, _| 0;
    0xf0 [4; 4] FUNCTION 4 rw reset 0, "6.29", read |_, _| 0, write |_, _, _| {};
}

/// A descriptor of C+ mode.
struct Descriptor {
    at: u64,
    flags: u32,
    tag: u32,
    buffer: u64,
}

impl Rtl8139 {
    fn command(&self) -> u64 {
        let empty = self.s.rx_read == self.s.rx_write;
        u64::from(self.s.command | if empty { cmd::EMPTY } else { 0 })
    }

    fn set_command(&mut self, value: u8) {
        if value & cmd::RESET != 0 {
            self.soft_reset();
        }
        let begins = value & !self.s.command;
        self.s.command = value & (cmd::TX | cmd::RX);
        if begins & cmd::RX != 0 {
            self.s.rx_index = 0;
        }
        if begins & cmd::TX != 0 {
            self.s.tx_index = 0;
            self.send_all();
        }
    }

    /// The driver's reset (6.6): addresses, the EEPROM and what it configures stay.
    fn soft_reset(&mut self) {
        let now = self.base.kit.clock.now();
        let fresh = State::after_reset(self.base.mac, self.s.eeprom.clone(), now);
        let old = core::mem::replace(&mut self.s, fresh);
        self.s.id = old.id;
        self.s.multicast = old.multicast;
        self.s.config = old.config;
        self.s.eeprom_command = old.eeprom_command;
        self.base.kit.clock.cancel(TIMER);
    }

    fn set_receive(&mut self, value: u32) {
        let old = core::mem::replace(&mut self.s.rcr, value & !0xf0fc_0040);
        if (old ^ self.s.rcr) >> 11 & 3 != 0 {
            (self.s.rx_read, self.s.rx_write) = (0, 0);
        }
    }

    fn eeprom(&self) -> u64 {
        let programming = self.s.eeprom_command >> 6 == 2;
        u64::from(self.s.eeprom_command | u8::from(programming && self.s.eeprom.output()))
    }

    fn set_eeprom(&mut self, value: u8) {
        let mode = value >> 6;
        self.s.eeprom_command = value & 0xce;
        self.s.eeprom.drive(mode == 2 && value & 8 != 0, value & 4 != 0, value & 2 != 0);
        if mode == 1 {
            // Everything is loaded from the EEPROM, as after power-up.
            let words = self.s.eeprom.words();
            let mut mac = [0; 6];
            for (n, byte) in mac.iter_mut().enumerate() {
                *byte = words[7 + n / 2].to_le_bytes()[n % 2];
            }
            let now = self.base.kit.clock.now();
            self.s = State::after_reset(mac, self.s.eeprom.clone(), now);
            self.base.kit.clock.cancel(TIMER);
        }
    }

    fn set_config(&mut self, n: usize, value: u8) {
        if self.s.eeprom_command >> 6 != 3 {
            return self.base.kit.report.guest_error(format_args!("configuration register {n} is locked"));
        }
        let mask = [0x07, 0xf3, 0x70, 0xf5, 0x7f][n];
        self.s.config[n] = self.s.config[n] & !mask | value & mask;
    }

    fn halt(&mut self, value: u8) {
        match value {
            b'R' => self.s.halted = false,
            b'H' => self.s.halted = true,
            _ => {}
        }
    }

    fn set_bmcr(&mut self, value: u16) {
        if value & 0x8000 != 0 {
            (self.s.bmcr, self.s.anar) = (0x1000, ABILITIES);
        } else {
            self.s.bmcr = value & BMCR_WRITE;
        }
    }

    fn timer(&self) -> u64 {
        (self.base.kit.clock.now().saturating_sub(self.s.timer_base) / TICK) & 0xffff_ffff
    }

    fn restart_timer(&mut self) {
        self.s.timer_base = self.base.kit.clock.now();
        self.schedule_timer();
    }

    fn set_timer_at(&mut self, value: u32) {
        self.s.timer_at = value;
        self.schedule_timer();
    }

    /// The timer reaches its value once each time that it goes round.
    fn schedule_timer(&mut self) {
        let clock = &self.base.kit.clock;
        if self.s.timer_at == 0 {
            return clock.cancel(TIMER);
        }
        const ROUND: u64 = TICK << 32;
        let now = clock.now();
        let begin = now - now.saturating_sub(self.s.timer_base) % ROUND;
        let at = begin.saturating_add(u64::from(self.s.timer_at) * TICK);
        clock.schedule(TIMER, if at <= now { at.saturating_add(ROUND) } else { at });
    }

    fn set_tx_status(&mut self, n: usize, value: u32) {
        if self.s.cplus {
            self.s.tx_status[n] = value;
            if n == 0 && value & 8 != 0 {
                let at = u64::from(value & !0x3f) | u64::from(self.s.tx_status[1]) << 32;
                let _ = self.base.store(at, &self.s.tally.bytes());
                self.s.tx_status[0] &= !8;
            }
            return;
        }
        self.s.tx_status[n] = value & 0x003f_3fff;
        self.send_all();
    }

    fn set_tx_addr(&mut self, n: usize, value: u32) {
        self.s.tx_addr[n] = value;
        if n < 2 {
            self.s.tx_index = 0;
        }
    }

    fn set_rx_ring(&mut self, n: usize, value: u32) {
        self.s.rx_ring[n] = value;
        self.s.rx_index = 0;
    }

    fn set_cplus(&mut self, value: u16) {
        self.s.cplus = true;
        self.s.cpcr = value & cpcr::ALL;
    }

    fn poll(&mut self, value: u8) {
        if value & 0x40 != 0 {
            self.send_rings();
        }
        if value & 0x80 != 0 {
            self.base.kit.report.unimplemented(format_args!("ring for high priority"));
        }
    }

    /// Sends what the four descriptors hold, in their order.
    fn send_all(&mut self) {
        while !self.s.cplus && self.s.command & cmd::TX != 0 {
            let n = usize::from(self.s.tx_next);
            let status = self.s.tx_status[n];
            if status & tsd::OWN != 0 {
                return;
            }
            let mut frame = vec![0; (status & 0x1fff) as usize];
            self.s.tx_next = (self.s.tx_next + 1) % 4;
            if self.base.load(u64::from(self.s.tx_addr[n]), &mut frame) {
                self.s.tx_status[n] |= tsd::OWN | tsd::OK;
                self.s.status |= int::TX_OK;
                self.put_on_wire(&frame);
            } else {
                self.s.tx_status[n] |= tsd::OWN | tsd::ABORTED;
                self.s.status |= int::SYSTEM_ERROR;
            }
        }
    }

    fn put_on_wire(&mut self, frame: &[u8]) {
        self.s.tally.tx_ok = self.s.tally.tx_ok.wrapping_add(1);
        if self.s.tcr & TCR_LOOPBACK != TCR_LOOPBACK {
            self.base.send(frame);
        } else if self.ready() {
            chip::receive(self, frame);
        }
    }

    fn descriptor(&self, ring: [u32; 2], index: u32) -> Option<Descriptor> {
        let at = (u64::from(ring[1]) << 32 | u64::from(ring[0])).wrapping_add(16 * u64::from(index));
        let [flags, tag, low, high] = self.base.words(at)?;
        Some(Descriptor { at, flags, tag, buffer: u64::from(high) << 32 | u64::from(low) })
    }

    /// Sends what the ring for normal priority holds.
    fn send_rings(&mut self) {
        if self.s.command & cmd::TX == 0 || self.s.cpcr & cpcr::TX == 0 {
            return;
        }
        for _ in 0..chip::BUDGET {
            let ring = [self.s.tx_addr[0], self.s.tx_addr[1]];
            let Some(d) = self.descriptor(ring, self.s.tx_index) else {
                self.s.status |= int::SYSTEM_ERROR;
                return;
            };
            if d.flags & desc::OWN == 0 {
                return;
            }
            if d.flags & desc::FIRST != 0 {
                self.s.frame.clear();
            }
            let have = self.s.frame.len();
            let len = ((d.flags & 0xffff) as usize).min(chip::LONGEST - have);
            self.s.frame.resize(have + len, 0);
            let good = self.base.load(d.buffer, &mut self.s.frame[have..])
                && self.base.store(d.at, &(d.flags & !(desc::OWN | desc::ERRORS)).to_le_bytes());
            if !good {
                self.s.status |= int::SYSTEM_ERROR;
                return;
            }
            self.s.tx_index = if d.flags & desc::END != 0 { 0 } else { (self.s.tx_index + 1) % RING };
            if d.flags & desc::LAST != 0 {
                let frame = core::mem::take(&mut self.s.frame);
                self.send_offloaded(frame, d.flags, d.tag);
                self.s.status |= int::TX_OK;
            }
        }
        self.base.pause(SEND);
    }

    /// Does what the descriptor leaves to the card (9.2.1), and sends.
    fn send_offloaded(&mut self, mut frame: Vec<u8>, flags: u32, tag: u32) {
        if tag & desc::TAG != 0 && frame.len() >= 12 {
            let [low, high, ..] = tag.to_le_bytes();
            frame.splice(12..12, [0x81, 0x00, low, high]);
        }
        if flags & desc::LARGE != 0 {
            let mut pieces = Vec::new();
            let most = (flags >> 16 & 0x7ff) as u16;
            match offload::segment_tcp(&frame, most, |piece| pieces.push(piece.to_vec())) {
                Ok(()) => pieces.iter().for_each(|piece| self.put_on_wire(piece)),
                Err(e) => self.base.kit.report.guest_error(format_args!("large segment: {}", e.0)),
            }
            return;
        }
        for (bit, protocol) in [(desc::TCP, TCP), (desc::UDP, UDP)] {
            if flags & bit != 0 {
                let _ = offload::fill_checksum(&mut frame, protocol);
            }
        }
        if flags & desc::IP != 0 {
            let _ = offload::fill_ip_checksum(&mut frame);
        }
        self.put_on_wire(&frame);
    }

    /// Whom the frame is for, as bits of a descriptor of C+ mode; `None`: not for this card.
    fn filter(&mut self, frame: &[u8]) -> Option<u32> {
        let rcr = self.s.rcr;
        let (kind, accepted) = if is_broadcast(frame) {
            (desc::BROADCAST, rcr & rcr::BROADCAST != 0)
        } else if is_multicast(frame) {
            let hash = crc_msb(&frame[..6]) >> 26;
            let hit = self.s.multicast[hash as usize / 8] >> (hash % 8) & 1 != 0;
            (desc::MULTICAST, rcr & rcr::MULTICAST != 0 && hit)
        } else if frame[..6] == self.s.id[..6] {
            (desc::MINE, rcr & rcr::MINE != 0)
        } else {
            (0, false)
        };
        (accepted || rcr & rcr::ALL != 0).then_some(kind)
    }

    /// There was no room for a frame.
    fn overflow(&mut self) {
        self.s.status |= int::OVERFLOW;
        self.s.missed = (self.s.missed + 1) & 0xff_ffff;
        self.s.tally.missed = self.s.tally.missed.wrapping_add(1);
        self.s.tally.rx_error = self.s.tally.rx_error.wrapping_add(1);
    }

    /// Writes to the receive ring (8.1).
    fn store_ring(&mut self, bytes: &[u8]) -> bool {
        let (at, size) = (self.s.rx_write, self.s.rx_size());
        let room = if self.s.rcr & rcr::NO_WRAP != 0 && size < 0x1_0000 { bytes.len() } else { (size - at) as usize };
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        let base = u64::from(self.s.rx_buffer);
        self.base.store(base + u64::from(at), first) && self.base.store(base, rest)
    }

    fn deliver_ring(&mut self, frame: &[u8], kind: u32) {
        let len = frame.len() as u32 + 4;
        let taken = (len + 4).next_multiple_of(4);
        if taken >= self.s.rx_free() {
            return self.overflow();
        }
        // Multicast, mine, broadcast are three bits in both formats.
        let status = 1 | kind >> 11 & 0xe000 | len << 16;
        let mut bytes = status.to_le_bytes().to_vec();
        bytes.extend_from_slice(frame);
        bytes.extend((!crc(frame)).to_le_bytes());
        if !self.store_ring(&bytes) {
            self.s.status |= int::SYSTEM_ERROR;
            return;
        }
        self.s.rx_write = (self.s.rx_write + taken) & (self.s.rx_size() - 1);
        self.s.status |= int::RX_OK;
    }

    /// The descriptors of C+ mode that `len` bytes take, if they are there.
    fn gather(&self, len: usize) -> Option<Vec<Descriptor>> {
        let (mut list, mut index, mut room) = (Vec::new(), self.s.rx_index, 0);
        while room < len && list.len() < RING as usize {
            let d = self.descriptor(self.s.rx_ring, index).filter(|d| d.flags & desc::OWN != 0)?;
            room += (d.flags & 0x1fff) as usize;
            index = if d.flags & desc::END != 0 { 0 } else { (index + 1) % RING };
            list.push(d);
        }
        (room >= len).then_some(list)
    }

    fn deliver_descriptors(&mut self, frame: &[u8], kind: u32) {
        let mut bytes = frame.to_vec();
        bytes.extend((!crc(frame)).to_le_bytes());
        let mut tag = 0;
        if self.s.cpcr & cpcr::RX_VLAN != 0 && frame[12..14] == [0x81, 0] {
            tag = desc::TAGGED | u32::from(u16::from_le_bytes([frame[14], frame[15]]));
            bytes.drain(12..16);
        }
        let Some(list) = self.gather(bytes.len()) else { return self.overflow() };
        let mut status = kind;
        if self.s.cpcr & cpcr::RX_CHECKSUM != 0 && frame[12..14] == [8, 0] && offload::checksum_is_valid(frame) {
            // What was checked: TCP or UDP; all other packets are left to the driver.
            status |= if frame[23] == TCP { 1 << 16 } else { 2 << 16 };
        }
        let (total, mut rest) = (bytes.len(), &bytes[..]);
        for (n, d) in list.iter().enumerate() {
            let (part, more) = rest.split_at(rest.len().min((d.flags & 0x1fff) as usize));
            let mut flags = d.flags & desc::END | status;
            flags |= if n == 0 { desc::FIRST } else { 0 };
            flags |= if more.is_empty() { desc::LAST | total as u32 & 0x1fff } else { part.len() as u32 };
            let good = self.base.store(d.buffer, part)
                && self.base.store(d.at + 4, &tag.to_le_bytes())
                && self.base.store(d.at, &flags.to_le_bytes());
            if !good {
                self.s.status |= int::SYSTEM_ERROR;
                return;
            }
            self.s.rx_index = if d.flags & desc::END != 0 { 0 } else { (self.s.rx_index + 1) % RING };
            rest = more;
        }
        self.s.status |= int::RX_OK;
    }

    fn receives_descriptors(&self) -> bool {
        self.s.cpcr & cpcr::RX != 0
    }
}

impl Chip for Rtl8139 {
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
        self.base.kit.clock.cancel(TIMER);
        self.base.kit.clock.cancel(SEND);
        State::new(self.base.mac)
    }

    fn check(&self, s: &State) -> Result<(), StateError> {
        s.eeprom.check(64)?;
        check(s.tx_next < 4 && s.tx_index < RING && s.rx_index < RING, "descriptors", || "beyond the end".into())?;
        let size = s.rx_size();
        check(s.rx_read < size && s.rx_write < size, "receive ring", || format!("{} {}", s.rx_read, s.rx_write))?;
        check(s.frame.len() <= chip::LONGEST, "frame", || format!("{} bytes", s.frame.len()))
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.base.kit.report.clone();
        chip::read(&REGS, self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.base.kit.report.clone();
        chip::write(&REGS, self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        match token {
            TIMER if !self.s.halted => {
                self.s.status |= int::TIMEOUT;
                self.schedule_timer();
            }
            SEND => self.send_rings(),
            _ => {}
        }
    }

    fn ready(&self) -> bool {
        if self.s.halted || self.s.command & cmd::RX == 0 {
            return true;
        }
        if self.receives_descriptors() {
            // A driver may switch the receiver on before it says where the ring is.
            let owned = self.descriptor(self.s.rx_ring, self.s.rx_index).is_some_and(|d| d.flags & desc::OWN != 0);
            return self.s.rx_ring == [0; 2] || owned;
        }
        self.s.rx_free() > USUAL
    }

    fn deliver(&mut self, frame: &[u8]) {
        if self.s.halted || self.s.command & cmd::RX == 0 {
            return;
        }
        let Some(kind) = self.filter(frame) else { return };
        let before = self.s.status;
        self.s.status &= !int::RX_OK;
        if !self.receives_descriptors() {
            self.deliver_ring(frame, kind);
        } else if self.s.rx_ring != [0; 2] {
            self.deliver_descriptors(frame, kind);
        }
        let tally = &mut self.s.tally;
        if self.s.status & int::RX_OK != 0 {
            tally.rx_ok = tally.rx_ok.wrapping_add(1);
            match kind {
                desc::BROADCAST => tally.rx_broadcast = tally.rx_broadcast.wrapping_add(1),
                desc::MULTICAST => tally.rx_multicast = tally.rx_multicast.wrapping_add(1),
                _ => tally.rx_mine = tally.rx_mine.wrapping_add(1),
            }
        }
        self.s.status |= before & int::RX_OK;
    }

    fn link_changed(&mut self) {
        self.s.status |= int::LINK;
    }

    fn asks(&self) -> bool {
        self.s.status & self.s.mask != 0
    }
}

#[cfg(test)]
mod tests;
