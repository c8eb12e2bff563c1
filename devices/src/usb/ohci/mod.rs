//! `pci-ohci`: an OHCI host controller (Open Host Controller Interface 1.0a).
//!
//! While it is operational, the clock calls at every frame: periodic, control and bulk lists are then served, a bounded
//! number of packets each.  Isochronous transfers, legacy emulation and an ownership change are not built.

mod lists;
mod regs;
mod root;

use super::{Bus, BusState, Speed};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props};
use crate::pci::config::ConfigState;
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "pci-ohci";

/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Bus,
    about: "USB 1 host controller (OHCI 1.0a) without isochronous transfers",
    parents: &[],
    props: &[
        Prop::only("masterbus", &[""]),
        Prop::new("num-ports", PropKind::Number(32, 3), "ports, 1 to 15"),
        Prop::only("firstport", &["0"]),
    ],
    bus: Some(BusKind::Usb),
    build: Build::Pci(|kit, wants| {
        let ports = wants.props.number("num-ports");
        match u8::try_from(ports) {
            Ok(ports @ 1..=MOST_PORTS) => Ok(Box::new(Ohci::new(kit, ports))),
            _ => Err(format!("num-ports must be 1 to {MOST_PORTS}")),
        }
    }),
}];

/// Most ports of a root hub.
const MOST_PORTS: u8 = 15;
/// Length of a frame in nanoseconds.
const FRAME_NS: u64 = 1_000_000;
static SPEEDS: &[Speed] = &[Speed::Low, Speed::Full];

/// What is saved of the controller itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    control: u32,
    command: u32,
    status: u32,
    enable: u32,
    area: u32,
    periodic: u32,
    control_head: u32,
    control_current: u32,
    bulk_head: u32,
    bulk_current: u32,
    done: u32,
    /// Frames until the queue of done transfers is handed over; 7: there is none.
    delay: u8,
    interval: u32,
    number: u16,
    /// When the current frame began.
    frame: u64,
    periodic_start: u32,
    threshold: u32,
    hub_a: u32,
    hub_b: u32,
    ports: Vec<u32>,
}

impl State {
    fn new(ports: u8) -> State {
        State {
            control: 0,
            command: 0,
            status: 0,
            enable: 0,
            area: 0,
            periodic: 0,
            control_head: 0,
            control_current: 0,
            bulk_head: 0,
            bulk_current: 0,
            done: 0,
            delay: lists::NO_DELAY,
            interval: regs::INTERVAL,
            number: 0,
            frame: 0,
            periodic_start: 0,
            threshold: regs::THRESHOLD,
            hub_a: regs::HUB_A | u32::from(ports),
            hub_b: 0,
            ports: vec![root::NEW; usize::from(ports)],
        }
    }
}

/// The controller.
pub struct Ohci {
    kit: Kit,
    config: Config,
    bus: Bus,
    state: State,
}

impl Ohci {
    /// With these many ports.
    #[must_use]
    pub fn new(kit: Kit, ports: u8) -> Ohci {
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x106b, device: 0x003f, revision: 0, class: 0x0c_0310, subsystem });
        config.set_pin(1);
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: 256 });
        config.seal();
        let bus = Bus::new(vec![SPEEDS; usize::from(ports)]);
        Ohci { kit, config, bus, state: State::new(ports) }
    }

    fn operational(&self) -> bool {
        self.state.control >> 6 & 3 == 2
    }

    fn raise(&mut self, reasons: u32) {
        self.state.status |= reasons;
        self.pin();
    }

    fn pin(&mut self) {
        let State { enable, status, .. } = self.state;
        self.config.set_intx(enable & regs::interrupt::MASTER != 0 && enable & status != 0);
    }

    /// A frame begins.
    fn begin(&mut self, at: u64) {
        self.state.frame = at;
        self.kit.clock.schedule(0, at.saturating_add(FRAME_NS));
    }

    fn moved(&mut self) {
        for port in self.bus.moved() {
            self.look(usize::from(port) - 1);
        }
    }
}

impl PciFunction for Ohci {
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
        regs::REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        regs::REGS.write(self, &report, offset, size, value);
        self.pin();
    }

    fn event(&mut self, _token: u32) {
        if self.operational() {
            self.begin(self.kit.clock.now());
            self.serve();
        }
    }

    fn room(&mut self, port: u32) -> usize {
        self.bus.room(port)
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        // The next frame asks.
        self.bus.receive(port, data);
        if let Some(root) = self.bus.root_of(port).filter(|_| self.bus.wakes(port)) {
            self.wake(usize::from(root) - 1);
        }
    }

    fn changed(&mut self, port: u32) {
        self.bus.changed(port);
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
        self.kit.clock.cancel_all();
        self.config.reset();
        self.state = State::new(self.state.ports.len() as u8);
        self.bus.reset();
        (0..self.state.ports.len()).for_each(|n| self.look(n));
        self.pin();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(self.config.save(), &self.state, self.bus.save()?))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state, bus): (ConfigState, State, BusState) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        let ports = state.ports.len();
        check(ports == self.state.ports.len(), "ports", || ports.to_string())?;
        check(state.delay <= lists::NO_DELAY, "delay", || state.delay.to_string())?;
        self.bus.load(bus)?;
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
