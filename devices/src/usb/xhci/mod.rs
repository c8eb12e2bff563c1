//! `qemu-xhci` and `nec-usb-xhci`: xHCI host controllers (eXtensible Host Controller Interface 1.1).
//!
//! Transfers are done while the guest waits at the doorbell; endpoints whose devices have nothing to say are asked again by
//! the clock at their interval, and when a device gets input.  A transfer descriptor begins when all of it is in the ring.
//! Isochronous endpoints, streams, and virtual functions are not built.

mod commands;
mod events;
mod ports;
mod regs;
mod ring;
mod slots;
mod transfers;

use super::{Bus, BusState, Speed};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props, Wants};
use crate::pci::config::{ConfigState, command};
use crate::pci::msi::MsixState;
use crate::pci::{Bar, BarKind, Config, Identity, Msi, Msix, PciFunction};
use events::Interrupter;
use serde::{Deserialize, Serialize};
use slots::Slot;
use tern_core::device::{BusError, Kit};
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};

/// What is different between the models.
struct Profile {
    name: &'static str,
    identity: Identity,
    /// Does it know NEC's own commands?
    nec: bool,
}

const SUBSYSTEM: Option<(u16, u16)> = Some((0x1af4, 0x1100));

static QEMU: Profile = Profile {
    name: "qemu-xhci",
    identity: Identity { vendor: 0x1b36, device: 0x000d, revision: 1, class: 0x0c_0330, subsystem: SUBSYSTEM },
    nec: false,
};

static NEC: Profile = Profile {
    name: "nec-usb-xhci",
    identity: Identity { vendor: 0x1033, device: 0x0194, revision: 3, class: 0x0c_0330, subsystem: SUBSYSTEM },
    nec: true,
};

/// Most interrupters, slots, and ports of each kind.
const MOST_INTERRUPTERS: u64 = 16;
const MOST_SLOTS: u64 = 64;
const MOST_PORTS: u64 = 15;

static QEMU_PROPS: &[Prop] = &[
    Prop::new("p2", PropKind::Number(32, 4), "USB 2 ports"),
    Prop::new("p3", PropKind::Number(32, 4), "USB 3 ports"),
    Prop::new("msi", PropKind::Choice(&["auto", "on", "off"]), "does it have MSI"),
    Prop::new("msix", PropKind::Choice(&["auto", "on", "off"]), "does it have MSI-X"),
    Prop::only("streams", &["off"]),
    Prop::only("conditional-intr-mapping", &["off"]),
];

static NEC_PROPS: &[Prop] = &[
    QEMU_PROPS[0],
    QEMU_PROPS[1],
    QEMU_PROPS[2],
    QEMU_PROPS[3],
    QEMU_PROPS[4],
    QEMU_PROPS[5],
    Prop::new("intrs", PropKind::Number(32, MOST_INTERRUPTERS), "interrupters, 1 to 16"),
    Prop::new("slots", PropKind::Number(32, MOST_SLOTS), "device slots, 1 to 64"),
];

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: QEMU.name,
        aliases: &[],
        class: Class::Bus,
        about: "USB 3 host controller (xHCI 1.1) without isochronous transfers and streams",
        parents: &["pci-xhci"],
        props: QEMU_PROPS,
        bus: Some(BusKind::Usb),
        build: Build::Pci(|kit, wants| Ok(Box::new(Xhci::build(kit, wants, &QEMU)?))),
    },
    Model {
        name: NEC.name,
        aliases: &[],
        class: Class::Bus,
        about: "NEC uPD720200 USB 3 host controller (xHCI 1.1) without isochronous transfers and streams",
        parents: &["pci-xhci"],
        props: NEC_PROPS,
        bus: Some(BusKind::Usb),
        build: Build::Pci(|kit, wants| Ok(Box::new(Xhci::build(kit, wants, &NEC)?))),
    },
];

/// Its window: registers, MSI-X table, pending bits.
const WINDOW: u64 = 0x4000;
const MSIX_TABLE: u64 = 0x3000;
const MSIX_PENDING: u64 = 0x3800;
/// Release number of the standard, and frame length adjustment, in the configuration space (5.2.3, 5.2.4).
const RELEASE: usize = 0x60;

/// Events of the clock.
mod token {
    /// Endpoints and the command ring are looked at again.
    pub(super) const WORK: u32 = 0;
    /// The microframe counter wraps.
    pub(super) const WRAP: u32 = 1;
    /// Interrupter n may interrupt again.
    pub(super) const MODERATION: u32 = 0x100;
}

/// What is saved of the controller itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    command: u32,
    status: u32,
    notification: u32,
    /// Command ring: what is fetched next, its cycle bit, and whether it runs.
    ring: u64,
    cycle: bool,
    fetching: bool,
    contexts: u64,
    configure: u32,
    /// When the microframe counter was zero.
    started: u64,
    ports: Vec<u32>,
    interrupters: Vec<Interrupter>,
    slots: Vec<Slot>,
}

/// How many there are of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counts {
    usb2: u8,
    usb3: u8,
    interrupters: u16,
    slots: u8,
}

impl State {
    fn new(counts: Counts) -> State {
        State {
            command: 0,
            status: regs::status::HALTED,
            notification: 0,
            ring: 0,
            cycle: false,
            fetching: false,
            contexts: 0,
            configure: 0,
            started: 0,
            ports: vec![ports::NEW; usize::from(counts.usb2 + counts.usb3)],
            interrupters: (0..counts.interrupters).map(|_| Interrupter::new()).collect(),
            slots: (0..counts.slots).map(|_| Slot::default()).collect(),
        }
    }
}

/// A controller.
pub struct Xhci {
    kit: Kit,
    profile: &'static Profile,
    config: Config,
    msi: Option<Msi>,
    msix: Option<Msix>,
    counts: Counts,
    bus: Bus,
    state: State,
}

/// Speeds of a root port that has both connectors, or one.
static BOTH: &[Speed] = &[Speed::Low, Speed::Full, Speed::High, Speed::Super];
static USB2: &[Speed] = &[Speed::Low, Speed::Full, Speed::High];
static USB3: &[Speed] = &[Speed::Super];

impl Xhci {
    fn build(kit: Kit, wants: &mut Wants<'_>, profile: &'static Profile) -> Result<Xhci, String> {
        let number = |name: &str, least: u64, most: u64| {
            let n = wants.props.number(name);
            (least..=most).contains(&n).then_some(n).ok_or_else(|| format!("{name} must be {least} to {most}"))
        };
        let (usb2, usb3) = (number("p2", 0, MOST_PORTS)?, number("p3", 0, MOST_PORTS)?);
        if usb2 + usb3 == 0 {
            return Err("a controller needs ports".to_owned());
        }
        let (interrupters, slots) = match profile.nec {
            true => (number("intrs", 1, MOST_INTERRUPTERS)?, number("slots", 1, MOST_SLOTS)?),
            false => (MOST_INTERRUPTERS, MOST_SLOTS),
        };
        let counts =
            Counts { usb2: usb2 as u8, usb3: usb3 as u8, interrupters: interrupters as u16, slots: slots as u8 };
        // The first has no MSI unless it must.
        let msi = match wants.props.text("msi") {
            "auto" => profile.nec,
            other => other == "on",
        };
        Ok(Xhci::new(kit, profile, counts, msi, wants.props.text("msix") != "off"))
    }

    fn new(kit: Kit, profile: &'static Profile, counts: Counts, msi: bool, msix: bool) -> Xhci {
        let mut config = Config::new(profile.identity);
        config.set_pin(1);
        config.put(RELEASE, &[0x30, 0x20]);
        config.reserve(RELEASE + 4);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory64, size: WINDOW });
        let places = ((0, MSIX_TABLE as u32), (0, MSIX_PENDING as u32));
        let msix = msix.then(|| Msix::placed(&mut config, counts.interrupters, places.0, places.1));
        let msi = msi.then(|| Msi::new(&mut config));
        config.add_express();
        config.seal();
        let port = |n: u8| match (n < counts.usb2, n < counts.usb3) {
            (true, true) => BOTH,
            (true, false) => USB2,
            _ => USB3,
        };
        let bus = Bus::new((0..counts.usb2.max(counts.usb3)).map(port).collect());
        Xhci { kit, profile, config, msi, msix, counts, bus, state: State::new(counts) }
    }

    /// As after a reset of the controller: devices stay plugged.
    fn restart(&mut self) {
        self.kit.clock.cancel_all();
        self.state = State::new(self.counts);
        self.bus.reset();
        (0..self.state.ports.len()).for_each(|n| self.look(n));
        self.pin();
    }

    fn running(&self) -> bool {
        self.state.command & regs::cmd::RUN != 0 && self.state.status & regs::status::HALTED == 0
    }

    /// Memory did not answer: the controller stops (4.10.2.6).
    fn guard(&mut self, done: Result<(), BusError>) {
        if let Err(error) = done {
            self.kit.report.guest_error(format_args!("{error}"));
            self.state.status |= regs::status::HOST_ERROR | regs::status::HALTED;
            self.state.command &= !regs::cmd::RUN;
        }
    }

    /// Can it reach memory?
    fn master(&self) -> bool {
        self.config.enabled(command::MASTER)
    }

    fn words<const N: usize>(&self, addr: u64) -> Result<[u32; N], BusError> {
        let mut bytes = vec![0; 4 * N];
        self.kit.dma.read(addr, &mut bytes)?;
        let word = |n: usize| bytes[4 * n..4 * n + 4].iter().rev().fold(0, |word, b| word << 8 | u32::from(*b));
        Ok(core::array::from_fn(word))
    }

    fn write_words(&self, addr: u64, words: &[u32]) -> Result<(), BusError> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.kit.dma.write(addr, &bytes)
    }

    fn in_msix(&self, offset: u64, size: Size) -> bool {
        self.msix.is_some() && (MSIX_TABLE..WINDOW).contains(&offset) && offset + size.bytes() <= WINDOW
    }

    /// Registers are words; some drivers move two at once.
    fn halves(offset: u64, size: Size) -> bool {
        size == Size::B8 && offset.is_multiple_of(8) && offset < MSIX_TABLE
    }
}

impl PciFunction for Xhci {
    fn kind(&self) -> &'static str {
        self.profile.name
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
        self.pin();
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        if self.in_msix(offset, size) {
            return match &self.msix {
                Some(msix) if offset < MSIX_PENDING => msix.read(offset - MSIX_TABLE, size),
                Some(msix) => msix.pending(offset - MSIX_PENDING, size),
                None => 0,
            };
        }
        if Xhci::halves(offset, size) {
            let low = regs::REGS.read(self, &report, offset, Size::B4);
            return low | regs::REGS.read(self, &report, offset + 4, Size::B4) << 32;
        }
        regs::REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        if self.in_msix(offset, size) {
            if let Some(msix) = self.msix.as_mut().filter(|_| offset < MSIX_PENDING) {
                msix.write(&report, offset - MSIX_TABLE, size, value);
                msix.written(&self.config, &self.kit.messenger);
            }
            return;
        }
        if Xhci::halves(offset, size) {
            regs::REGS.write(self, &report, offset, Size::B4, value & 0xffff_ffff);
            return regs::REGS.write(self, &report, offset + 4, Size::B4, value >> 32);
        }
        regs::REGS.write(self, &report, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        match token {
            token::WORK => self.work(),
            token::WRAP => self.wrapped(),
            _ => self.interrupt(token.wrapping_sub(token::MODERATION) as usize),
        }
    }

    fn room(&mut self, port: u32) -> usize {
        self.bus.room(port)
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        self.bus.receive(port, data);
        self.wake(port);
        self.ask_again();
    }

    fn changed(&mut self, port: u32) {
        self.bus.changed(port);
        self.ask_again();
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let number = self.bus.plug(props, child)?;
        self.moved();
        Ok(number)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        self.bus.unplug(child)?;
        self.moved();
        Ok(())
    }

    fn describe(&self, child: u32) -> Option<String> {
        self.bus.describe(child)
    }

    fn reset(&mut self) {
        self.config.reset();
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
        self.restart();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let msix = self.msix.as_ref().map(Msix::save);
        snapshot::save(self.profile.name, 1, &(self.config.save(), msix, &self.state, self.bus.save()?))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, msix, state, bus): (ConfigState, Option<MsixState>, State, BusState) =
            snapshot::load(self.profile.name, 1, bytes)?;
        self.config.check(&config)?;
        check(msix.is_some() == self.msix.is_some(), "msix", || "it is there or not".to_owned())?;
        if let (Some(own), Some(msix)) = (&self.msix, &msix) {
            own.check(msix)?;
        }
        let own = &self.state;
        check(state.ports.len() == own.ports.len(), "ports", || state.ports.len().to_string())?;
        let n = state.interrupters.len();
        check(n == own.interrupters.len(), "interrupters", || n.to_string())?;
        check(state.slots.len() == own.slots.len(), "slots", || state.slots.len().to_string())?;
        state.interrupters.iter().try_for_each(Interrupter::check)?;
        state.slots.iter().try_for_each(Slot::check)?;
        self.bus.load(bus)?;
        self.config.load(config);
        if let (Some(own), Some(msix)) = (&mut self.msix, msix) {
            own.load(msix);
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
