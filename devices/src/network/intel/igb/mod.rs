//! The 82576 (82576 datasheet): sixteen queue pairs, MSI-X with 25 vectors.  Its virtual functions are not built: the
//! capability for them is absent.

mod irq;
mod regs;
mod rx;
mod tx;

use super::mac::{COMMON, Mac, SCALING, Spec};
use super::phy::{IGP3, NEGOTIATION, Phy};
use super::{RESET_FUNCTION, UP, power_and_errors};
use crate::model::Wants;
use crate::pci::config::{ConfigState, command};
use crate::pci::msi::MsixState;
use crate::pci::{Bar, BarKind, Config, Identity, Msi, Msix, PciFunction};
use irq::{Irq, VECTORS, cause};
use rx::Rx;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tern_core::backend::NetSink;
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};
use tx::Tx;

/// Queue pairs.
const QUEUES: usize = 16;
/// Descriptor control: the queue is on.
const ENABLE: u32 = 1 << 25;
/// EEPROM control: read at power-on, 256 words.
const EECD: u32 = 1 << 9 | 2 << 11;
/// Device control (82576 datasheet, 8.2.1).
const CTRL_RST: u32 = 1 << 26;
const VME: u32 = 1 << 30;
const CTRL_PHY_RST: u32 = 1 << 31;
/// After reset: full duplex, link reset, 1000 Mb/s, wake-up.
const CTRL_NEW: u32 = 0x0010_0209;
/// Device status (82576 datasheet, 8.2.2).
const STATUS_PHYRA: u32 = 1 << 10;
const STATUS_PF_RST_DONE: u32 = 1 << 21;
/// Registers behind the first base address, and size of the flash that is not there.
const REGISTERS: u64 = 0x2_0000;
/// The name.
const NAME: &str = "igb";
/// Most registers of arrays that only keep what is written.
const EXTRA: usize = 512;
/// Filters of addresses and ports: on.
const FTQF_QUEUE_ENABLE: u64 = 1 << 8;

/// Events: one for each vector's throttle comes first.
mod token {
    pub(super) const LINK: u32 = 32;
    pub(super) const TX: u32 = 64;
}

static SPEC: Spec = Spec {
    phy: &IGP3,
    eeprom: (256, WORDS),
    kept: regs::ROWS,
    addresses: 24,
    address_mask: 0x83ff_ffff,
    rxcsum: 0x300,
    tick: 16,
};

/// Contents of the EEPROM: settings, part number, initial control words, identifiers; no other address.
static WORDS: super::eeprom::Words = &[
    (3, 0x0400),
    (5, 0x2010),
    (8, 0x1040),
    (9, 0xffff),
    (10, 0x402b),
    (11, 0x0000),
    (12, 0x8086),
    (13, 0x10c9),
    (15, 0x7040),
    (17, 0x10c9),
    (20, 0x0000),
    (22, 0x6000),
    (36, 0x0000),
];

#[derive(Clone, Serialize, Deserialize)]
struct State {
    mac: Mac,
    irq: Irq,
    rx: Vec<Rx>,
    tx: Vec<Tx>,
    /// Registers of arrays that only keep what is written, as far as they are not 0.
    extra: BTreeMap<u32, u32>,
    eerd: u32,
    phy_was_reset: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    config: ConfigState,
    msix: MsixState,
    state: State,
}

/// The card.
pub(super) struct Igb {
    kit: Kit,
    link: Box<dyn NetSink>,
    address: [u8; 6],
    config: Config,
    msi: Msi,
    msix: Msix,
    /// Where device control is in the configuration space, if it resets the function.
    control: Option<usize>,
    s: State,
}

impl Igb {
    pub(super) fn build(kit: Kit, wants: &mut Wants<'_>) -> Result<Igb, String> {
        let (link, address) = (wants.netdev("netdev", 0)?, wants.mac("mac"));
        let mut config = Config::new(Identity {
            vendor: super::VENDOR,
            device: 0x10c9,
            revision: 1,
            class: 0x02_0000,
            subsystem: Some(super::SUBSYSTEM),
        });
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: REGISTERS });
        config.add_bar(Bar { number: 1, kind: BarKind::Memory32, size: REGISTERS });
        config.add_bar(Bar { number: 2, kind: BarKind::Io, size: 32 });
        config.add_bar(Bar { number: 3, kind: BarKind::Memory64, size: super::MSIX_SIZE });
        let msix = Msix::placed(&mut config, VECTORS as u16, (3, 0), (3, super::MSIX_PENDING as u32));
        let msi = Msi::new(&mut config);
        let flr = wants.props.bool("x-pcie-flr-init");
        let control = power_and_errors(&mut config, address, flr);
        config.seal();
        let s = Igb::new_state(address, true);
        Ok(Igb { kit, link, address, config, msi, msix, control: flr.then_some(control), s })
    }

    fn new_state(address: [u8; 6], cable: bool) -> State {
        let mut mac = Mac::new(&SPEC, address, cable);
        mac.ctrl = CTRL_NEW;
        // Short frames are padded; collision thresholds.
        mac.tctl = 0xa404_00f8;
        let mut s = State {
            mac,
            irq: Irq::default(),
            rx: vec![Rx { control: 1 << 16, ..Rx::default() }; QUEUES],
            tx: vec![Tx::default(); QUEUES],
            extra: BTreeMap::new(),
            eerd: 2,
            phy_was_reset: true,
        };
        // The first pair is on, so that drivers that know of one queue need not know how.
        s.rx[0].control |= ENABLE;
        s.tx[0].control |= ENABLE;
        s
    }

    /// May the card use memory?
    fn is_master(&self) -> bool {
        self.config.enabled(command::MASTER)
    }

    /// Back to the state after power-on, except for what the driver's own reset leaves alone.
    fn reset_card(&mut self) {
        let new = Igb::new_state(self.address, self.s.mac.cable);
        let old = core::mem::replace(&mut self.s, new);
        self.s.mac.eeprom = old.mac.eeprom;
        self.s.mac.eeprom.reset();
        self.s.mac.port = old.mac.port;
        self.cancel_all();
        self.drive();
    }

    fn cancel_all(&self) {
        (0..token::TX + QUEUES as u32).for_each(|token| self.kit.clock.cancel(token));
    }

    fn set_ctrl(&mut self, value: u32) {
        if value & CTRL_RST != 0 {
            return self.reset_card();
        }
        self.s.mac.ctrl = value & !CTRL_PHY_RST;
        if value & CTRL_PHY_RST != 0 {
            self.s.mac.phy = Phy::new(&IGP3, self.s.mac.cable);
            self.s.phy_was_reset = true;
        }
    }

    fn status(&self) -> u32 {
        self.s.mac.status() | STATUS_PF_RST_DONE | if self.s.phy_was_reset { STATUS_PHYRA } else { 0 }
    }

    fn set_status(&mut self, value: u32) {
        self.s.phy_was_reset &= value & STATUS_PHYRA != 0;
    }

    fn set_eerd(&mut self, value: u32) {
        let at = value >> 2 & 0x3fff;
        let word = if value & 1 != 0 { self.s.mac.eeprom.word(at) } else { None };
        self.s.eerd = at << 2 | word.map_or(0, |word| u32::from(word) << 16) | (value & 1) << 1;
    }

    fn set_mdic(&mut self, value: u32) {
        let done = self.s.mac.phy.write_mdic(&IGP3, value);
        if let Some(number) = done.unknown {
            self.kit.report.unimplemented(format_args!("PHY register {number}"));
        }
        if done.restart {
            self.negotiate();
        }
        if done.interrupt {
            self.raise(cause::MDAC, 0);
        }
    }

    /// Auto-negotiation begins: the link is down until it is done.
    fn negotiate(&mut self) {
        self.set_link(false, false);
        self.kit.clock.schedule(token::LINK, self.kit.clock.now().saturating_add(NEGOTIATION));
    }

    fn set_link(&mut self, up: bool, negotiated: bool) {
        let was = self.s.mac.phy.link();
        self.s.mac.phy.set_link(&IGP3, up, negotiated);
        if was != up {
            self.raise(cause::LSC, 0);
        }
    }

    /// The cable is plugged in or pulled.
    fn plug_cable(&mut self, up: bool) {
        self.s.mac.cable = up;
        self.kit.clock.cancel(token::LINK);
        if !up {
            self.set_link(false, false);
        } else if self.s.mac.phy.negotiates() {
            self.negotiate();
        } else {
            self.set_link(true, false);
        }
    }

    fn read_time(&mut self) -> u64 {
        self.s.mac.time.read_low(self.kit.clock.now(), SPEC.tick)
    }

    fn set_time(&mut self, upper: bool, value: u32) {
        self.s.mac.time.set(self.kit.clock.now(), SPEC.tick, upper, value);
    }

    fn set_increment(&mut self, value: u32) {
        self.s.mac.time.set_increment(self.kit.clock.now(), SPEC.tick, value);
    }

    /// A register of an array that only keeps what is written.
    fn extra(&self, offset: u64) -> u64 {
        self.s.extra.get(&(offset as u32)).copied().unwrap_or(0).into()
    }

    fn set_extra(&mut self, offset: u64, value: u64) {
        match value as u32 {
            0 => drop(self.s.extra.remove(&(offset as u32))),
            value => drop(self.s.extra.insert(offset as u32, value)),
        }
    }

    fn set_tuple_filter(&mut self, n: u64, value: u64) {
        if value & FTQF_QUEUE_ENABLE != 0 {
            self.kit.report.unimplemented(format_args!("filter {n} of addresses and ports"));
        }
        self.set_extra(0x59e0 + 4 * n, value);
    }

    fn load_register(&mut self, offset: u64, size: Size) -> u64 {
        let (at, report) = (regs::place(offset), self.kit.report.clone());
        if COMMON.covers(at) {
            COMMON.read(&mut self.s.mac, &report, at, size)
        } else if SCALING.covers(at) {
            SCALING.read(&mut self.s.mac, &report, at, size)
        } else if regs::CONTROL.covers(at) {
            regs::CONTROL.read(self, &report, at, size)
        } else if regs::KEPT.covers(at) {
            regs::KEPT.read(&mut self.s.mac.kept, &report, at, size)
        } else {
            regs::ARRAYS.read(self, &report, at, size)
        }
    }

    fn store_register(&mut self, offset: u64, size: Size, value: u64) {
        let (at, report) = (regs::place(offset), self.kit.report.clone());
        if COMMON.covers(at) {
            COMMON.write(&mut self.s.mac, &report, at, size, value);
        } else if SCALING.covers(at) {
            SCALING.write(&mut self.s.mac, &report, at, size, value);
        } else if regs::CONTROL.covers(at) {
            regs::CONTROL.write(self, &report, at, size, value);
        } else if regs::KEPT.covers(at) {
            regs::KEPT.write(&mut self.s.mac.kept, &report, at, size, value);
        } else {
            regs::ARRAYS.write(self, &report, at, size, value);
        }
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        self.msix.write(&self.kit.report, at, size, value);
        self.msix.written(&self.config, &self.kit.messenger);
    }

    fn nothing(&self, offset: u64) {
        self.kit.report.guest_error(format_args!("access to {offset:#x} of the flash, which is not there"));
    }
}

impl PciFunction for Igb {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        let reset = |control: usize| match control.checked_sub(at) {
            Some(below) if below + 2 <= size.bytes() as usize => value >> (8 * below) & RESET_FUNCTION != 0,
            None if at == control + 1 => value << 8 & RESET_FUNCTION != 0,
            _ => false,
        };
        if self.control.is_some_and(reset) {
            return self.reset();
        }
        self.config.write(at, size, value);
        self.msi.written(&mut self.config, &self.kit.messenger);
        self.msix.written(&self.config, &self.kit.messenger);
        self.drive();
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        match bar {
            0 => self.load_register(offset, size),
            2 => regs::PORTS.read(self, &report, offset, size),
            3 => regs::TABLE.read(self, &report, offset, size),
            _ => {
                self.nothing(offset);
                0
            }
        }
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        match bar {
            0 => self.store_register(offset, size, value),
            2 => regs::PORTS.write(self, &report, offset, size, value),
            3 => regs::TABLE.write(self, &report, offset, size, value),
            _ => self.nothing(offset),
        }
    }

    fn event(&mut self, number: u32) {
        match number {
            token::LINK if self.s.mac.cable => self.set_link(true, true),
            0..token::LINK if (number as usize) < VECTORS => self.opened(number as usize),
            _ => {
                let queue = number.wrapping_sub(token::TX) as usize;
                if queue < QUEUES {
                    self.transmit(queue);
                }
            }
        }
    }

    fn room(&mut self, port: u32) -> usize {
        let open = self.s.mac.phy.link() && !self.loops() && self.has_room();
        usize::from(port == super::CONTROL_PORT || port == 0 && open)
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        match port {
            0 if self.s.mac.phy.link() && !self.loops() => self.accept(data),
            super::CONTROL_PORT if !data.is_empty() => self.plug_cable(data[0] == UP),
            _ => {}
        }
    }

    /// The cable stays plugged in or not, whatever the guest does.
    fn reset(&mut self) {
        self.s = Igb::new_state(self.address, self.s.mac.cable);
        self.cancel_all();
        self.config.reset();
        self.msix.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let (config, msix) = (self.config.save(), self.msix.save());
        snapshot::save(NAME, 1, &Saved { config, msix, state: self.s.clone() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved = snapshot::load(NAME, 1, bytes)?;
        let s = &saved.state;
        self.config.check(&saved.config)?;
        self.msix.check(&saved.msix)?;
        self.s.mac.check(&SPEC, &s.mac)?;
        let queues = (s.rx.len(), s.tx.len()) == (QUEUES, QUEUES);
        let good = queues && s.rx.iter().all(|rx| rx.ring.fits() && rx.drops <= 0xfff) && s.tx.iter().all(Tx::fits);
        check(good, "queues", || "of another card".to_owned())?;
        check(s.irq.fits(), "interrupts", || "more than there are".to_owned())?;
        check(u64::from(s.mac.port) < REGISTERS, "port", || format!("{:#x}", s.mac.port))?;
        let known = s.extra.len() <= EXTRA && s.extra.iter().all(|(at, value)| regs::ARRAYS.covers(u64::from(*at)) && *value != 0);
        check(known, "arrays", || "registers that are not there".to_owned())?;
        self.config.load(saved.config);
        self.msix.load(saved.msix);
        self.s = saved.state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
