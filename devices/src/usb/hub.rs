//! `usb-hub`: a full-speed hub with eight ports (USB 2.0, chapter 11).

use super::descriptor::{IN, transfer};
use super::{Descriptors, Endpoint, Interface, Reply, Setup, Shape, Speed, Stall, UsbDevice};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "usb-hub";

/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Bus,
    about: "full-speed hub with eight ports (USB 2.0, chapter 11)",
    parents: &[],
    props: &[Prop::only("ports", &["8"]), Prop::only("port-power", &["off"])],
    bus: None,
    build: Build::Child(BusKind::Usb, |wants| {
        Ok(Child::new(Box::new(Hub::new(wants.props.text("serial"))) as Box<dyn UsbDevice>))
    }),
}];

/// How many ports it has.
pub const PORTS: u8 = 8;
/// Type of a hub's own descriptor.
const DESCRIPTOR: u8 = 0x29;

/// Requests of the class (11.24.2).
mod request {
    pub(super) const GET_STATUS: u8 = 0;
    pub(super) const CLEAR_FEATURE: u8 = 1;
    pub(super) const SET_FEATURE: u8 = 3;
    pub(super) const GET_DESCRIPTOR: u8 = 6;
}

/// Features of ports (table 11-17): those below 16 are bits of the status, the others of the changes.
mod feature {
    pub(super) const ENABLE: u16 = 1;
    pub(super) const SUSPEND: u16 = 2;
    pub(super) const RESET: u16 = 4;
    pub(super) const POWER: u16 = 8;
    pub(super) const CHANGES: core::ops::RangeInclusive<u16> = 16..=20;
}

/// Status of a port (11.24.2.7).
mod status {
    pub(super) const CONNECTION: u16 = 1;
    pub(super) const ENABLE: u16 = 1 << 1;
    pub(super) const SUSPEND: u16 = 1 << 2;
    pub(super) const RESET: u16 = 1 << 4;
    pub(super) const POWER: u16 = 1 << 8;
    pub(super) const LOW_SPEED: u16 = 1 << 9;
}

static SHAPES: &[(Speed, Shape)] = &[(
    Speed::Full,
    Shape {
        version: 0x0110,
        packet0: 8,
        attributes: 0xe0,
        power: 0,
        string: 0,
        interfaces: &[Interface {
            class: [9, 0, 0],
            string: 0,
            extra: &[],
            endpoints: &[Endpoint { address: IN | 1, transfer: transfer::INTERRUPT, packet: 2, interval: 255 }],
        }],
    },
)];

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Port {
    status: u16,
    changes: u16,
}

/// The device.
pub struct Hub {
    descriptors: Descriptors,
    ports: [Port; PORTS as usize],
    /// Ports whose devices the bus has to reset.
    resets: Vec<u8>,
}

impl Hub {
    /// A hub without devices.
    #[must_use]
    pub fn new(serial: &str) -> Hub {
        let serial = if serial.is_empty() { "314159" } else { serial }.to_owned();
        let descriptors = Descriptors {
            ids: [0x0409, 0x55aa, 0x0101],
            class: [9, 0, 0],
            names: ["QEMU", "QEMU USB Hub"],
            serial,
            strings: &[],
            shapes: SHAPES,
        };
        Hub { descriptors, ports: Hub::fresh(), resets: Vec::new() }
    }

    /// Ports of a new hub: power is not switched.
    fn fresh() -> [Port; PORTS as usize] {
        [Port { status: status::POWER, changes: 0 }; PORTS as usize]
    }

    fn port(&mut self, number: u8) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(number.checked_sub(1)?))
    }

    /// A device of this speed has come to a port, or has gone from it.
    pub fn attach(&mut self, number: u8, speed: Option<Speed>) {
        let Some(port) = self.port(number) else { return };
        if speed.is_none() && port.status & status::ENABLE != 0 {
            port.changes |= status::ENABLE;
        }
        port.status &= status::POWER;
        port.changes |= status::CONNECTION;
        if let Some(speed) = speed {
            port.status |= status::CONNECTION | if speed == Speed::Low { status::LOW_SPEED } else { 0 };
        }
    }

    /// Does a port let packets through?
    #[must_use]
    pub fn passes(&self, number: u8) -> bool {
        let port = usize::from(number).checked_sub(1).and_then(|n| self.ports.get(n));
        port.is_some_and(|port| port.status & (status::ENABLE | status::SUSPEND) == status::ENABLE)
    }

    /// Takes the ports whose devices are to be reset.
    pub fn resets(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.resets)
    }

    fn set(&mut self, number: u8, feature: u16) -> Result<(), Stall> {
        let port = self.port(number).ok_or(Stall)?;
        let connected = port.status & status::CONNECTION != 0;
        match feature {
            feature::RESET if connected => {
                port.status = port.status & !status::SUSPEND | status::ENABLE;
                port.changes |= status::RESET;
                self.resets.push(number);
            }
            feature::SUSPEND if port.status & status::ENABLE != 0 => port.status |= status::SUSPEND,
            feature::RESET | feature::SUSPEND | feature::POWER => {}
            _ => return Err(Stall),
        }
        Ok(())
    }

    fn clear(&mut self, number: u8, feature: u16) -> Result<(), Stall> {
        let port = self.port(number).ok_or(Stall)?;
        match feature {
            feature::ENABLE => port.status &= !(status::ENABLE | status::SUSPEND),
            feature::SUSPEND => {
                if port.status & status::SUSPEND != 0 {
                    port.changes |= status::SUSPEND;
                }
                port.status &= !status::SUSPEND;
            }
            feature if feature::CHANGES.contains(&feature) => port.changes &= !(1 << (feature - 16)),
            feature::POWER => {}
            _ => return Err(Stall),
        }
        Ok(())
    }

    /// Bit n is set if something has changed at port n.
    fn changed_ports(&self) -> u16 {
        let ports = (1..).zip(&self.ports).filter(|(_, port)| port.changes != 0);
        ports.fold(0, |bits, (n, _)| bits | 1 << n)
    }
}

impl UsbDevice for Hub {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stall> {
        let number = setup.index as u8;
        match (setup.kind, setup.request) {
            // The hub's own descriptor: individual power switching is not there, nor overcurrent protection.
            (0xa0, request::GET_DESCRIPTOR) if (setup.value >> 8) as u8 == DESCRIPTOR || setup.value == 0 => {
                data.extend([11, DESCRIPTOR, PORTS, 0x12, 0, 1, 0, 0, 0, 0xff, 0xff]);
            }
            (0xa0, request::GET_STATUS) => data.extend([0; 4]),
            (0x20, request::CLEAR_FEATURE | request::SET_FEATURE) if setup.value < 2 => {}
            (0xa3, request::GET_STATUS) => {
                let port = *self.port(number).ok_or(Stall)?;
                data.extend(port.status.to_le_bytes());
                data.extend(port.changes.to_le_bytes());
            }
            (0x23, request::SET_FEATURE) => self.set(number, setup.value)?,
            (0x23, request::CLEAR_FEATURE) => self.clear(number, setup.value)?,
            _ => return Err(Stall),
        }
        Ok(())
    }

    fn input(&mut self, _now: u64, _endpoint: u8, buf: &mut [u8]) -> Reply {
        let bits = self.changed_ports();
        if bits == 0 {
            return Reply::Nak;
        }
        // Some drivers give one byte: then only seven ports can be told of.
        let n = buf.len().min(2);
        buf[..n].copy_from_slice(&bits.to_le_bytes()[..n]);
        Reply::Done(n)
    }

    fn hub(&self) -> Option<&Hub> {
        Some(self)
    }

    fn hub_mut(&mut self) -> Option<&mut Hub> {
        Some(self)
    }

    fn reset(&mut self) {
        self.ports = Hub::fresh();
        self.resets.clear();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &self.ports)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let ports: [Port; PORTS as usize] = snapshot::load(NAME, 1, bytes)?;
        let known = status::CONNECTION | status::ENABLE | status::SUSPEND | status::POWER | status::LOW_SPEED;
        let good = ports.iter().all(|port| port.status & !known == 0 && port.changes >> 5 == 0);
        check(good, "ports", || "a status that no port has".to_owned())?;
        self.ports = ports;
        Ok(())
    }
}
