//! PCI Express root ports with a slot that functions come to and go from while the machine runs (PCI Express Base 4.0, 6.7,
//! 7.5.3).

use super::bridge::VENDOR_EMULATED;
use super::config::{Config, ConfigState, ID_EXPRESS, Identity};
use super::{Msi, PciFunction};
use crate::Class;
use crate::model::{Build, BusKind, Model, Prop, PropKind};
use tern_core::device::{Kit, Messenger, Reporter};
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError};

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: "pcie-root-port",
    aliases: &[],
    class: Class::Bus,
    about: "PCI Express root port with a hot-plug slot (PCI Express Base 4.0, 6.7, 7.5.3)",
    parents: &["pcie-root-port-base", "pcie-slot", "pcie-port", "base-pci-bridge"],
    props: &[
        Prop::new("port", PropKind::Number(8, 0), "port number"),
        Prop::new("chassis", PropKind::Number(8, 0), "chassis number"),
        Prop::new("slot", PropKind::Number(16, 0), "slot number"),
        Prop::new("hotplug", PropKind::Bool(true), "may functions come and go while the machine runs"),
        Prop::only("power_controller_present", &["on"]),
    ],
    bus: Some(BusKind::Pci),
    build: Build::Pci(|kit, wants| {
        let (port, slot) = (wants.props.number("port") as u8, wants.props.number("slot") as u16);
        Ok(Box::new(RootPort::new(kit, Numbers { port, slot }, wants.props.bool("hotplug"))))
    }),
}];

/// Registers of the PCI Express capability, from its begin (7.5.3).
mod at {
    pub(super) const LINK_CONTROL: usize = 0x10;
    pub(super) const LINK_STATUS: usize = 0x12;
    pub(super) const SLOT_CONTROL: usize = 0x18;
    pub(super) const SLOT_STATUS: usize = 0x1a;
}

/// Slot capabilities (7.5.3.9): attention button, power controller, both indicators; commands are completed at once, and
/// say so.
const SLOT_CAPABLE: u32 = 0x1b;
/// Slot capabilities: functions come and go.
const HOT_PLUG: u32 = 0x40;
/// Link control: the link is disabled.
const LINK_DISABLE: u16 = 0x10;
/// Link status: the data link layer is active.
const LINK_ACTIVE: u16 = 0x2000;

/// Bits of slot control (7.5.3.10).
mod control {
    /// Enables of the events that have the same bit in the status: button, presence, command.
    pub(super) const EVENTS: u16 = 0x19;
    pub(super) const INTERRUPT: u16 = 0x20;
    pub(super) const ATTENTION_OFF: u16 = 0xc0;
    pub(super) const POWER_LIGHT: u16 = 0x300;
    pub(super) const POWER_LIGHT_ON: u16 = 0x100;
    pub(super) const POWER_LIGHT_BLINKS: u16 = 0x200;
    pub(super) const POWER_OFF: u16 = 0x400;
    pub(super) const LINK: u16 = 0x1000;
    /// What software sets.
    pub(super) const WRITABLE: u16 = 0x17f9;
    /// As it is without anything in the slot: no power, no light.
    pub(super) const EMPTY: u16 = POWER_OFF | POWER_LIGHT | ATTENTION_OFF;
    /// As it is with something in the slot: power, and its light.
    pub(super) const FULL: u16 = POWER_LIGHT_ON | ATTENTION_OFF;
}

/// Bits of slot status (7.5.3.11).
mod status {
    pub(super) const BUTTON: u16 = 1;
    pub(super) const PRESENCE_CHANGED: u16 = 8;
    pub(super) const COMMAND: u16 = 0x10;
    pub(super) const PRESENT: u16 = 0x40;
    pub(super) const LINK_CHANGED: u16 = 0x100;
    /// What software clears.
    pub(super) const EVENTS: u16 = BUTTON | PRESENCE_CHANGED | COMMAND | LINK_CHANGED;
}

/// The slot of a port: a handle, all of its state lies in the port's configuration space.  Whoever changes it from outside
/// tells the port by [`SLOT`].
#[derive(Clone, Copy)]
pub struct Slot {
    /// The PCI Express capability.
    at: usize,
    /// May functions come and go?
    hotplug: bool,
}

impl Slot {
    fn new(config: &mut Config, numbers: Numbers, hotplug: bool) -> Slot {
        let mut body = [0; 58];
        // Version 2, root port, with a slot.
        body[0..2].copy_from_slice(&0x0142u16.to_le_bytes());
        // Link capabilities: 2.5 GT/s, one lane, reports the link's state; number of the port.
        body[10..14].copy_from_slice(&(0x0010_0011 | u32::from(numbers.port) << 24).to_le_bytes());
        // Link status: the same, down.
        body[16..18].copy_from_slice(&0x0011u16.to_le_bytes());
        // The slot's number has 13 bits.
        let slot = SLOT_CAPABLE | if hotplug { HOT_PLUG } else { 0 } | u32::from(numbers.slot) << 19;
        body[18..22].copy_from_slice(&slot.to_le_bytes());
        let at = config.add_capability(ID_EXPRESS, &body);
        // Device control, link control but for the order to retrain, which is done at once, root control; device and root
        // status are cleared by ones, and never set here.
        config.writable(at + 8, &[0xff, 0x7f]);
        config.writable(at + at::LINK_CONTROL, &[0xdb, 0x0f]);
        config.volatile(at + at::LINK_STATUS, &LINK_ACTIVE.to_le_bytes());
        config.writable(at + at::SLOT_CONTROL, &control::WRITABLE.to_le_bytes());
        config.clearable(at + at::SLOT_STATUS, &status::EVENTS.to_le_bytes());
        config.volatile(at + at::SLOT_STATUS, &(status::EVENTS | status::PRESENT).to_le_bytes());
        config.writable(at + 28, &[0x1f]);
        let slot = Slot { at, hotplug };
        slot.settle(config, false);
        slot
    }

    /// May functions come and go while the machine runs?
    #[must_use]
    pub fn hotplug(self) -> bool {
        self.hotplug
    }

    fn control(self, config: &Config) -> u16 {
        config.half(self.at + at::SLOT_CONTROL)
    }

    fn status(self, config: &Config) -> u16 {
        config.half(self.at + at::SLOT_STATUS)
    }

    fn raise(self, config: &mut Config, events: u16) {
        let status = self.status(config) | events;
        config.put(self.at + at::SLOT_STATUS, &status.to_le_bytes());
    }

    /// Is something in the slot?
    #[must_use]
    pub fn is_full(self, config: &Config) -> bool {
        self.status(config) & status::PRESENT != 0
    }

    /// Is power off, and its light too?  Then what is in the slot may be taken.
    #[must_use]
    pub fn is_off(self, config: &Config) -> bool {
        let off = control::POWER_OFF | control::POWER_LIGHT;
        self.control(config) & off == off
    }

    /// Does the power light blink?  Then the guest is at work with the slot.
    #[must_use]
    pub fn is_busy(self, config: &Config) -> bool {
        self.control(config) & control::POWER_LIGHT == control::POWER_LIGHT_BLINKS
    }

    /// Is the link up?  Else functions behind the port are not there for the guest.
    #[must_use]
    pub fn link(self, config: &Config) -> bool {
        config.half(self.at + at::LINK_STATUS) & LINK_ACTIVE != 0
    }

    /// The link goes up with presence and power, and down with one of them; has it changed?
    fn train(self, config: &mut Config) -> bool {
        let disabled = config.half(self.at + at::LINK_CONTROL) & LINK_DISABLE != 0;
        let up = self.is_full(config) && self.control(config) & control::POWER_OFF == 0 && !disabled;
        let before = config.half(self.at + at::LINK_STATUS);
        let now = if up { before | LINK_ACTIVE } else { before & !LINK_ACTIVE };
        config.put(self.at + at::LINK_STATUS, &now.to_le_bytes());
        before != now
    }

    /// As after reset with an empty or full slot: no events.
    pub fn settle(self, config: &mut Config, full: bool) {
        let (control, status) = if full { (control::FULL, status::PRESENT) } else { (control::EMPTY, 0) };
        config.put(self.at + at::SLOT_CONTROL, &control.to_le_bytes());
        config.put(self.at + at::SLOT_STATUS, &status.to_le_bytes());
        self.train(config);
    }

    /// Something is put into the slot, and the attention button pressed so that the guest switches power on.
    pub fn fill(self, config: &mut Config) {
        self.raise(config, status::PRESENT | status::PRESENCE_CHANGED | status::BUTTON);
        if self.train(config) {
            self.raise(config, status::LINK_CHANGED);
        }
    }

    /// The slot is empty now.
    pub fn empty(self, config: &mut Config) {
        let status = self.status(config) & !status::PRESENT | status::PRESENCE_CHANGED;
        config.put(self.at + at::SLOT_STATUS, &status.to_le_bytes());
        if self.train(config) {
            self.raise(config, status::LINK_CHANGED);
        }
    }

    /// The attention button is pressed.
    pub fn press(self, config: &mut Config) {
        self.raise(config, status::BUTTON);
    }

    /// Nobody is to hear of a button that was pressed.
    pub fn release(self, config: &mut Config) {
        let status = self.status(config) & !status::BUTTON;
        config.put(self.at + at::SLOT_STATUS, &status.to_le_bytes());
    }

    /// The guest has written `size` bytes at `at`: any write to slot control is a command, done at once (6.7.3.2).
    fn written(self, config: &mut Config, at: usize, size: Size) {
        let touches = |from: usize| at < from + 2 && from < at + size.bytes() as usize;
        if self.train(config) {
            self.raise(config, status::LINK_CHANGED);
        }
        if touches(self.at + at::SLOT_CONTROL) {
            self.raise(config, status::COMMAND);
        }
    }

    /// Is there an event whose interrupt is enabled (6.7.3.4)?
    fn calls(self, config: &Config) -> bool {
        let (control, status) = (self.control(config), self.status(config));
        let link = control & control::LINK != 0 && status & status::LINK_CHANGED != 0;
        control & control::INTERRUPT != 0 && (control & status & control::EVENTS != 0 || link)
    }
}

/// The port of [`PciFunction::changed`] by which a port hears that its slot has changed.
pub const SLOT: u32 = 0xf3;

/// Numbers that a port shows.
#[derive(Clone, Copy, Default)]
pub struct Numbers {
    /// Of the port.
    pub port: u8,
    /// Of its slot; the low 13 bits.
    pub slot: u16,
}

/// A root port.
pub struct RootPort {
    config: Config,
    msi: Msi,
    slot: Slot,
    /// The slot has called for an interrupt.
    called: bool,
    messenger: Messenger,
    report: Reporter,
}

impl RootPort {
    /// One with an empty slot.
    #[must_use]
    pub fn new(kit: Kit, numbers: Numbers, hotplug: bool) -> RootPort {
        let identity =
            Identity { vendor: VENDOR_EMULATED, device: 0x000c, revision: 0, class: 0x06_0400, subsystem: None };
        let mut config = Config::new(identity);
        config.set_pin(1);
        let slot = Slot::new(&mut config, numbers, hotplug);
        let msi = Msi::new(&mut config);
        config.seal();
        RootPort { config, msi, slot, called: false, messenger: kit.messenger, report: kit.report }
    }

    /// Sends the interrupt when the slot begins to call for it; the pin follows its calls.
    fn update(&mut self) {
        let before = core::mem::replace(&mut self.called, self.slot.calls(&self.config));
        let message = self.msi.enabled(&self.config);
        self.config.set_intx(self.called && !message);
        if message && self.called && !before {
            self.msi.notify(&mut self.config, &self.messenger);
        }
    }
}

impl PciFunction for RootPort {
    fn kind(&self) -> &'static str {
        "pcie-root-port"
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn slot(&self) -> Option<Slot> {
        Some(self.slot)
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        self.slot.written(&mut self.config, at, size);
        self.msi.written(&mut self.config, &self.messenger);
        self.update();
    }

    fn read(&mut self, bar: u8, offset: u64, _size: Size) -> u64 {
        self.report.guest_error(format_args!("load at {offset:#x} behind base address {bar}, which is not there"));
        0
    }

    fn write(&mut self, bar: u8, offset: u64, _size: Size, _value: u64) {
        self.report.guest_error(format_args!("store at {offset:#x} behind base address {bar}, which is not there"));
    }

    fn changed(&mut self, port: u32) {
        if port == SLOT {
            self.update();
        }
    }

    fn reset(&mut self) {
        let full = self.slot.is_full(&self.config);
        self.config.reset();
        self.slot.settle(&mut self.config, full);
        self.called = false;
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(self.kind(), 2, &self.config.save())
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: ConfigState = snapshot::load(self.kind(), 2, bytes)?;
        self.config.check(&state)?;
        self.config.load(state);
        self.called = self.slot.calls(&self.config);
        Ok(())
    }
}
