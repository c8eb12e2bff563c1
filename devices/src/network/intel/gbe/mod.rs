//! The 8254x family (8254x manual) and the 82574 (82574 datasheet): one queue and a pin, or two queues and MSI-X.

mod irq;
mod regs;
mod rx;
mod tx;

use super::mac::{COMMON, Mac, SCALING, Spec};
use super::phy::NEGOTIATION;
use super::ring::Ring;
use super::{UP, power_and_errors};
use crate::model::Wants;
use crate::pci::config::{ConfigState, command};
use crate::pci::msi::MsixState;
use crate::pci::{Bar, BarKind, Config, Identity, Msi, Msix, PciFunction};
use irq::{Irq, VECTORS, cause};
pub(super) use regs::{ROWS_82574, ROWS_8254X};
use serde::{Deserialize, Serialize};
use tern_core::backend::NetSink;
use tern_core::device::{Kit, RegisterSet};
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};
use tx::Tx;

/// Device control (8254x manual, 13.4.1).
const CTRL_RST: u32 = 1 << 26;
const VME: u32 = 1 << 30;
const CTRL_PHY_RST: u32 = 1 << 31;
/// Device status (82574 datasheet, 10.2.2.2): the PHY was reset.
const STATUS_PHYRA: u32 = 1 << 10;
/// Registers behind the first base address, and size of the flash that is not there.
const REGISTERS: u64 = 0x2_0000;

/// Events.
mod token {
    pub(super) const ITR: u32 = 0;
    pub(super) const EITR: u32 = 1;
    pub(super) const RDTR: u32 = 8;
    pub(super) const RADV: u32 = 9;
    pub(super) const TIDV: u32 = 10;
    pub(super) const TADV: u32 = 11;
    pub(super) const LINK: u32 = 12;
    pub(super) const TX: u32 = 16;
}

/// A model.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) device: u16,
    pub(super) revision: u8,
    pub(super) spec: Spec,
    /// Receive and transmit queues; those with two have MSI-X.
    pub(super) queues: usize,
    /// Bits of the EEPROM control register that say what it is like.
    pub(super) eecd: u32,
    pub(super) microwire: bool,
    /// Device control after reset.
    pub(super) ctrl: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    mac: Mac,
    irq: Irq,
    rx: Vec<Ring>,
    tx: Vec<Tx>,
    eerd: u32,
    eewr: u32,
    phy_was_reset: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    config: ConfigState,
    msix: Option<MsixState>,
    state: State,
}

/// The card.
pub(super) struct Gbe {
    kind: &'static Kind,
    kit: Kit,
    link: Box<dyn NetSink>,
    address: [u8; 6],
    config: Config,
    msi: Option<Msi>,
    msix: Option<Msix>,
    s: State,
}

impl Gbe {
    pub(super) fn build(
        kind: &'static Kind,
        kit: Kit,
        wants: &mut Wants<'_>,
        subsystem: (u16, u16),
    ) -> Result<Gbe, String> {
        let (link, address) = (wants.netdev("netdev", 0)?, wants.mac("mac"));
        let mut config = Config::new(Identity {
            vendor: super::VENDOR,
            device: kind.device,
            revision: kind.revision,
            class: 0x02_0000,
            subsystem: Some(subsystem),
        });
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: REGISTERS });
        let (mut msi, mut msix) = (None, None);
        if kind.queues > 1 {
            config.add_bar(Bar { number: 1, kind: BarKind::Memory32, size: REGISTERS });
            config.add_bar(Bar { number: 2, kind: BarKind::Io, size: 32 });
            config.add_bar(Bar { number: 3, kind: BarKind::Memory32, size: super::MSIX_SIZE });
            msix = Some(Msix::placed(&mut config, VECTORS as u16, (3, 0), (3, super::MSIX_PENDING as u32)));
            msi = Some(Msi::new(&mut config));
            power_and_errors(&mut config, address, false);
        } else {
            config.add_bar(Bar { number: 1, kind: BarKind::Io, size: 64 });
        }
        config.seal();
        let s = Gbe::new_state(kind, address, true);
        Ok(Gbe { kind, kit, link, address, config, msi, msix, s })
    }

    fn new_state(kind: &Kind, address: [u8; 6], cable: bool) -> State {
        let mut mac = Mac::new(&kind.spec, address, cable);
        mac.ctrl = kind.ctrl;
        State {
            mac,
            irq: Irq::default(),
            rx: vec![Ring::default(); kind.queues],
            tx: vec![Tx::default(); kind.queues],
            eerd: if kind.queues > 1 { 2 } else { 0x10 },
            eewr: 2,
            phy_was_reset: false,
        }
    }

    /// May the card use memory?
    fn is_master(&self) -> bool {
        self.config.enabled(command::MASTER)
    }

    /// Back to the state after power-on, except for what the driver's own reset leaves alone.
    fn reset_card(&mut self) {
        let new = Gbe::new_state(self.kind, self.address, self.s.mac.cable);
        let old = core::mem::replace(&mut self.s, new);
        self.s.mac.eeprom = old.mac.eeprom;
        self.s.mac.eeprom.reset();
        self.s.mac.port = old.mac.port;
        self.cancel_all();
        self.drive();
    }

    fn cancel_all(&self) {
        (0..token::TX + self.s.tx.len() as u32).for_each(|token| self.kit.clock.cancel(token));
    }

    fn set_ctrl(&mut self, value: u32) {
        if value & CTRL_RST != 0 {
            return self.reset_card();
        }
        self.s.mac.ctrl = value & !CTRL_PHY_RST;
        if value & CTRL_PHY_RST != 0 {
            let (model, cable) = (self.kind.spec.phy, self.s.mac.cable);
            self.s.mac.phy = super::phy::Phy::new(model, cable);
            self.s.phy_was_reset = true;
        }
    }

    fn status(&self) -> u32 {
        self.s.mac.status() | if self.s.phy_was_reset && self.kind.queues > 1 { STATUS_PHYRA } else { 0 }
    }

    fn set_status(&mut self, value: u32) {
        self.s.phy_was_reset &= value & STATUS_PHYRA != 0;
    }

    fn set_ctrl_ext(&mut self, value: u32) {
        // Checks of speed and resets of the EEPROM clear themselves.
        self.s.mac.ctrl_ext = value & !0x3000;
    }

    /// The EEPROM is read by the register: its layout is another one since the 82574.
    fn set_eerd(&mut self, value: u32) {
        let (shift, mask, done) = if self.kind.queues > 1 { (2, 0x3fff, 2) } else { (8, 0xff, 0x10) };
        let at = value >> shift & mask;
        let word = if value & 1 != 0 { self.s.mac.eeprom.word(at) } else { None };
        self.s.eerd = at << shift | word.map_or(0, |word| u32::from(word) << 16) | if value & 1 != 0 { done } else { 0 };
    }

    fn set_eewr(&mut self, value: u32) {
        if value & 1 != 0 {
            self.s.mac.eeprom.set_word(value >> 2 & 0x3fff, (value >> 16) as u16);
        }
        self.s.eewr = value & 0xfffc | 2;
    }

    fn set_mdic(&mut self, value: u32) {
        let done = self.s.mac.phy.write_mdic(self.kind.spec.phy, value);
        if let Some(number) = done.unknown {
            self.kit.report.unimplemented(format_args!("PHY register {number}"));
        }
        if done.restart {
            self.negotiate();
        }
        if done.interrupt {
            self.raise(cause::MDAC);
        }
    }

    /// Auto-negotiation begins: the link is down until it is done.
    fn negotiate(&mut self) {
        self.set_link(false, false);
        self.kit.clock.schedule(token::LINK, self.kit.clock.now().saturating_add(NEGOTIATION));
    }

    fn set_link(&mut self, up: bool, negotiated: bool) {
        let was = self.s.mac.phy.link();
        self.s.mac.phy.set_link(self.kind.spec.phy, up, negotiated);
        if was != up {
            self.raise(cause::LSC);
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
        self.s.mac.time.read_low(self.kit.clock.now(), self.kind.spec.tick)
    }

    fn set_time(&mut self, upper: bool, value: u32) {
        self.s.mac.time.set(self.kit.clock.now(), self.kind.spec.tick, upper, value);
    }

    fn set_increment(&mut self, value: u32) {
        self.s.mac.time.set_increment(self.kit.clock.now(), self.kind.spec.tick, value);
    }

    fn kept(&self) -> &'static RegisterSet<super::kept::Kept> {
        if self.kind.queues > 1 { &regs::KEPT_82574 } else { &regs::KEPT_8254X }
    }

    fn load_register(&mut self, offset: u64, size: Size) -> u64 {
        let (at, report) = (regs::place(offset), self.kit.report.clone());
        let more = self.kind.queues > 1;
        if COMMON.covers(at) {
            COMMON.read(&mut self.s.mac, &report, at, size)
        } else if more && SCALING.covers(at) {
            SCALING.read(&mut self.s.mac, &report, at, size)
        } else if more && regs::MORE.covers(at) {
            regs::MORE.read(self, &report, at, size)
        } else if self.kept().covers(at) {
            self.kept().read(&mut self.s.mac.kept, &report, at, size)
        } else {
            regs::BASE.read(self, &report, at, size)
        }
    }

    fn store_register(&mut self, offset: u64, size: Size, value: u64) {
        let (at, report) = (regs::place(offset), self.kit.report.clone());
        let more = self.kind.queues > 1;
        if COMMON.covers(at) {
            COMMON.write(&mut self.s.mac, &report, at, size, value);
        } else if more && SCALING.covers(at) {
            SCALING.write(&mut self.s.mac, &report, at, size, value);
        } else if more && regs::MORE.covers(at) {
            regs::MORE.write(self, &report, at, size, value);
        } else if self.kept().covers(at) {
            self.kept().write(&mut self.s.mac.kept, &report, at, size, value);
        } else {
            regs::BASE.write(self, &report, at, size, value);
        }
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        if let Some(msix) = &mut self.msix {
            msix.write(&self.kit.report, at, size, value);
            msix.written(&self.config, &self.kit.messenger);
        }
    }

    fn nothing(&self, offset: u64) {
        self.kit.report.guest_error(format_args!("access to {offset:#x} of the flash, which is not there"));
    }
}

impl PciFunction for Gbe {
    fn kind(&self) -> &'static str {
        self.kind.name
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        if let Some(msi) = &self.msi {
            msi.written(&mut self.config, &self.kit.messenger);
        }
        if let Some(msix) = &mut self.msix {
            msix.written(&self.config, &self.kit.messenger);
        }
        self.drive();
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        match (bar, self.kind.queues > 1) {
            (0, _) => self.load_register(offset, size),
            (2, true) | (1, false) => regs::PORTS.read(self, &report, offset, size),
            (3, true) => regs::TABLE.read(self, &report, offset, size),
            _ => {
                self.nothing(offset);
                0
            }
        }
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        match (bar, self.kind.queues > 1) {
            (0, _) => self.store_register(offset, size, value),
            (2, true) | (1, false) => regs::PORTS.write(self, &report, offset, size, value),
            (3, true) => regs::TABLE.write(self, &report, offset, size, value),
            _ => self.nothing(offset),
        }
    }

    fn event(&mut self, number: u32) {
        match number {
            token::RDTR | token::RADV | token::TIDV | token::TADV => self.raise(0),
            token::LINK if self.s.mac.cable => self.set_link(true, true),
            token::LINK => {}
            token::ITR..token::RDTR if number < token::EITR + VECTORS as u32 => self.opened(number),
            _ => {
                let queue = number.wrapping_sub(token::TX) as usize;
                if queue < self.s.tx.len() {
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
        self.s = Gbe::new_state(self.kind, self.address, self.s.mac.cable);
        self.cancel_all();
        self.config.reset();
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let (config, msix) = (self.config.save(), self.msix.as_ref().map(Msix::save));
        snapshot::save(self.kind.name, 1, &Saved { config, msix, state: self.s.clone() })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let saved: Saved = snapshot::load(self.kind.name, 1, bytes)?;
        let s = &saved.state;
        self.config.check(&saved.config)?;
        check(saved.msix.is_some() == self.msix.is_some(), "MSI-X", || "there or not".to_owned())?;
        self.s.mac.check(&self.kind.spec, &s.mac)?;
        let queues = (s.rx.len(), s.tx.len()) == (self.kind.queues, self.kind.queues);
        let good = queues && s.rx.iter().all(Ring::fits) && s.tx.iter().all(Tx::fits);
        check(good, "queues", || "of another card".to_owned())?;
        check(s.irq.fits(), "interrupts", || "more than there are".to_owned())?;
        check(u64::from(s.mac.port) < REGISTERS, "port", || format!("{:#x}", s.mac.port))?;
        if let (Some(msix), Some(state)) = (&mut self.msix, saved.msix) {
            msix.check(&state)?;
            msix.load(state);
        }
        self.config.load(saved.config);
        self.s = saved.state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
