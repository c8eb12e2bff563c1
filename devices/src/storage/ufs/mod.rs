//! UFS: host controllers behind PCI (`ufs`, UFSHCI 4.0 = JEDEC JESD223E) with the device behind them (JESD220F), and its
//! logical units (`ufs-lu`).
//!
//! `regs` has the controller's registers, `mcq` its multiple queues, `request` takes requests, `query` answers what
//! is asked of the device, [`unit`] has the logical units.

mod mcq;
mod query;
mod regs;
mod request;
#[cfg(test)]
mod tests;
mod unit;

use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props, Wants};
use crate::pci::config::{ConfigState, command};
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use mcq::Queue;
use query::Device;
use regs::{REGISTERS, Registers};
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};
use unit::{Logical, LogicalState};

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: NAME,
        aliases: &[],
        class: Class::Storage,
        about: "UFS host controller and device, doorbells and multiple queues (UFSHCI 4.0, UFS 4.0)",
        parents: &[],
        props: &[
            Prop::new("serial", PropKind::Text(""), "the device's serial number"),
            Prop::new("nutrs", PropKind::Number(8, 32), "slots for transfer requests"),
            Prop::new("nutmrs", PropKind::Number(8, 8), "slots for task management requests"),
            Prop::new("mcq", PropKind::Bool(false), "multiple queues"),
            Prop::new("mcq-maxq", PropKind::Number(8, 2), "how many"),
        ],
        bus: Some(BusKind::Ufs),
        build: Build::Pci(|kit, wants| Ok(Box::new(Ufs::build(kit, wants)?))),
    },
    Model {
        name: "ufs-lu",
        aliases: &[],
        class: Class::Storage,
        about: "logical unit of a UFS device",
        parents: &[],
        props: &[
            Prop::new("drive", PropKind::Drive, "the medium"),
            Prop::new("lun", PropKind::Number(8, 0), "its number, 0 to 31"),
        ],
        bus: None,
        build: Build::Child(BusKind::Ufs, |wants| Ok(Child::new(Logical::new(wants.drive("drive", 0)?)))),
    },
];

/// The part's name in states.
const NAME: &str = "ufs";
/// Most slots, queues and logical units.
const MAX_SLOTS: u64 = 32;
const MAX_TASKS: u64 = 8;
const MAX_QUEUES: u64 = 31;
const MAX_UNITS: u64 = 32;
/// Length of the registers.
const LEN: u64 = 0x2000;
/// Event: there are requests left.
const EVENT_WORK: u32 = 0;

/// What is saved.
#[derive(Serialize, Deserialize)]
struct State {
    config: ConfigState,
    regs: Registers,
    queues: Vec<Queue>,
    device: Device,
    units: Vec<(u8, LogicalState)>,
}

/// A controller with its device.
pub struct Ufs {
    kit: Kit,
    serial: String,
    slots: u32,
    tasks: u32,
    config: Config,
    regs: Registers,
    /// Empty: the controller has none.
    queues: Vec<Queue>,
    device: Device,
    /// In the order of their numbers.
    units: Vec<(u8, Logical)>,
}

impl Ufs {
    fn build(kit: Kit, wants: &mut Wants<'_>) -> Result<Ufs, String> {
        let number = |name: &str, max: u64| match wants.props.number(name) {
            n if (1..=max).contains(&n) => Ok(n as u32),
            _ => Err(format!("{name} must be from 1 to {max}")),
        };
        let (slots, tasks) = (number("nutrs", MAX_SLOTS)?, number("nutmrs", MAX_TASKS)?);
        let queues = number("mcq-maxq", MAX_QUEUES)? as usize;
        let queues = vec![Queue::default(); if wants.props.bool("mcq") { queues } else { 0 }];
        let subsystem = Some((0x1af4, 0x1100));
        let mut config =
            Config::new(Identity { vendor: 0x1b36, device: 0x0013, revision: 0, class: 0x01_0901, subsystem });
        config.add_bar(Bar { number: 0, kind: BarKind::Memory32, size: LEN });
        config.set_pin(1);
        config.add_express();
        config.seal();
        let serial = wants.props.text("serial").to_owned();
        let (regs, device) = (Registers::default(), Device::default());
        Ok(Ufs { kit, serial, slots, tasks, config, regs, queues, device, units: Vec::new() })
    }

    fn find(&self, lun: u8) -> Result<usize, usize> {
        self.units.binary_search_by_key(&lun, |(n, _)| *n)
    }

    fn update_pin(&mut self) {
        let level = self.regs.is_signalling();
        self.config.set_intx(level);
    }

    /// May the controller touch memory?
    fn is_master(&self) -> bool {
        self.config.enabled(command::MASTER)
    }

    fn save_units(&self) -> Result<Vec<(u8, LogicalState)>, StateError> {
        self.units.iter().map(|(lun, unit)| Ok((*lun, unit.save()?))).collect()
    }

    fn load_units(&mut self, states: &[(u8, LogicalState)]) -> Result<(), StateError> {
        self.units.iter_mut().zip(states).try_for_each(|((_, unit), (_, state))| unit.load(state))
    }

    /// As after reset of the controller: requests are gone (UFSHCI 4.0, 7.1).
    fn controller_reset(&mut self) {
        self.kit.clock.cancel(EVENT_WORK);
        self.regs = Registers::default();
        self.queues.fill(Queue::default());
        self.update_pin();
    }
}

impl PciFunction for Ufs {
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
        REGISTERS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGISTERS.write(self, &report, offset, size, value);
        self.update_pin();
    }

    fn event(&mut self, token: u32) {
        if token == EVENT_WORK {
            self.work();
            self.update_pin();
        }
    }

    fn changed(&mut self, _port: u32) {
        self.units.iter_mut().for_each(|(_, unit)| unit.look());
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let unit: Logical = child.take()?;
        let lun = props.number("lun");
        if lun >= MAX_UNITS {
            return Err(format!("lun must be between 0 and {}", MAX_UNITS - 1));
        }
        let Err(at) = self.find(lun as u8) else { return Err(format!("ufs logical unit {lun} already exists.")) };
        self.units.insert(at, (lun as u8, unit));
        Ok(lun as u32)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let at = u8::try_from(child).ok().and_then(|lun| self.find(lun).ok());
        self.units.remove(at.ok_or_else(|| format!("there is no logical unit {child}"))?);
        Ok(())
    }

    fn reset(&mut self) {
        self.controller_reset();
        self.device = Device::default();
        self.units.iter_mut().for_each(|(_, unit)| unit.reset());
        self.config.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = State {
            config: self.config.save(),
            regs: self.regs.clone(),
            queues: self.queues.clone(),
            device: self.device.clone(),
            units: self.save_units()?,
        };
        snapshot::save(NAME, 1, &state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&state.config)?;
        state.regs.check()?;
        let (saved, here) = (state.queues.len(), self.queues.len());
        check(saved == here, "queues", || format!("{saved}, not {here}"))?;
        state.queues.iter().try_for_each(|queue| queue.check(here))?;
        let same = self.units.iter().map(|(lun, _)| lun).eq(state.units.iter().map(|(lun, _)| lun));
        check(same, "logical units", || "other ones".to_owned())?;
        let before = self.save_units()?;
        if let Err(e) = self.load_units(&state.units) {
            self.load_units(&before)?;
            return Err(e);
        }
        self.config.load(state.config);
        self.regs = state.regs;
        self.queues = state.queues;
        self.device = state.device;
        Ok(())
    }
}
