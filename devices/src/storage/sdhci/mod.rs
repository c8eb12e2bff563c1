//! SD host controllers (SD Host Controller Simplified Specification 3.00) behind PCI, `sdhci-pci`, with one slot for a
//! card.
//!
//! `regs` has the registers and gives the card its commands, `transfer` moves the data that follows.

mod regs;
#[cfg(test)]
mod tests;
mod transfer;

use super::sd::{Card, CardState};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props, Wants};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use regs::{REGISTERS, Registers};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};

/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Storage,
    about: "SD host controller with SDMA and ADMA2 (SD Host Controller 3.00)",
    parents: &[],
    props: &[
        Prop::new("sd-spec-version", PropKind::Number(8, 2), "version of the specification: 2 or 3"),
        Prop::new("capareg", PropKind::Number(64, CAPABILITIES), "capabilities register"),
        Prop::new("maxcurr", PropKind::Number(64, 0), "maximum current capabilities register"),
        Prop::only("uhs", &["0"]),
        Prop::only("vendor", &["0"]),
    ],
    bus: Some(BusKind::Sd),
    build: Build::Pci(|kit, wants| Ok(Box::new(Sdhci::build(kit, wants)?))),
}];

/// The part's name in states.
const NAME: &str = "sdhci-pci";
/// Capabilities: 52 MHz clocks, blocks of 512 bytes, ADMA2, high speed, SDMA, 3.3 and 1.8 V.
const CAPABILITIES: u64 = 0x0578_34b4;
/// Length of the registers.
const LEN: u64 = 0x100;
/// Event: a transfer goes on.
const EVENT_TRANSFER: u32 = 0;

/// What is saved.
#[derive(Serialize, Deserialize)]
struct State {
    config: ConfigState,
    regs: Registers,
    card: Option<CardState>,
}

/// A controller.
pub struct Sdhci {
    kit: Kit,
    config: Config,
    version: u8,
    capabilities: u64,
    currents: u64,
    regs: Registers,
    card: Option<Card>,
}

impl Sdhci {
    fn build(kit: Kit, wants: &mut Wants<'_>) -> Result<Sdhci, String> {
        let version = wants.props.number("sd-spec-version");
        if !(2..=3).contains(&version) {
            return Err("Only Spec v2/v3 are supported".to_owned());
        }
        let capabilities = wants.props.number("capareg");
        if capabilities >> 16 & 3 == 3 {
            return Err("block size can be 512, 1024 or 2048 only".to_owned());
        }
        let subsystem = Some((0x1af4, 0x1100));
        // Standard host with DMA.  No capabilities: offset 0x40 is the slot information (C.3.3), one slot behind the first
        // base address.
        let identity = Identity { vendor: 0x1b36, device: 0x0007, revision: 0, class: 0x08_0501, subsystem };
        let mut config = Config::new(identity);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: LEN });
        config.set_pin(1);
        config.seal();
        let (version, currents) = (version as u8, wants.props.number("maxcurr"));
        Ok(Sdhci { kit, config, version, capabilities, currents, regs: Registers::default(), card: None })
    }

    /// The largest block in bytes.
    fn max_block(&self) -> u16 {
        512 << (self.capabilities >> 16 & 3)
    }

    /// Is a card in the slot?
    fn inserted(&self) -> bool {
        self.card.as_ref().is_some_and(Card::inserted)
    }

    fn update_pin(&mut self) {
        let level = self.regs.is_signalling();
        self.config.set_intx(level);
    }

    /// A card has come or gone (3.1).
    fn card_changed(&mut self) {
        self.kit.clock.cancel(EVENT_TRANSFER);
        self.regs.card_changed(self.inserted());
        self.update_pin();
    }
}

impl PciFunction for Sdhci {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let value = REGISTERS.read(self, &report, offset, size);
        // A read of the buffer may have been the last.
        self.update_pin();
        value
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGISTERS.write(self, &report, offset, size, value);
        self.update_pin();
    }

    fn event(&mut self, token: u32) {
        if token == EVENT_TRANSFER {
            self.transfer();
            self.update_pin();
        }
    }

    fn changed(&mut self, _port: u32) {
        let before = self.inserted();
        if self.card.as_mut().is_some_and(Card::look) {
            // Another card in one move: it goes, and comes.
            if before && self.inserted() {
                self.regs.card_changed(false);
            }
            self.card_changed();
        }
    }

    fn plug(&mut self, _props: &Props, child: Child) -> Result<u32, String> {
        if self.card.is_some() {
            return Err("the slot has a card".to_owned());
        }
        self.card = Some(child.take()?);
        self.card_changed();
        Ok(0)
    }

    fn unplug(&mut self, _child: u32) -> Result<(), String> {
        self.card.take().ok_or("the slot is empty")?;
        self.card_changed();
        Ok(())
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(EVENT_TRANSFER);
        self.regs = Registers::default();
        self.card.iter_mut().for_each(Card::reset);
        self.config.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let card = self.card.as_ref().map(Card::save);
        snapshot::save(NAME, 1, &State { config: self.config.save(), regs: self.regs.clone(), card })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&state.config)?;
        state.regs.check(self.max_block())?;
        match (&self.card, &state.card) {
            (Some(card), Some(state)) => card.check(state)?,
            (here, saved) => {
                let same = here.is_some() == saved.is_some();
                check(same, "SD card", || "there is one here or there, not in both".to_owned())?;
            }
        }
        self.config.load(state.config);
        self.regs = state.regs;
        if let (Some(card), Some(state)) = (&mut self.card, state.card) {
            card.load(state);
        }
        Ok(())
    }
}
