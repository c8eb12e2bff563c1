//! Descriptors: what a device says it is (USB 2.0, 9.5 and 9.6; USB 3.2, 9.6).

use super::Speed;

/// Types of descriptors (USB 2.0, table 9-5; USB 3.2, table 9-6).
pub mod kind {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const DEVICE: u8 = 1;
    pub const CONFIGURATION: u8 = 2;
    pub const STRING: u8 = 3;
    pub const INTERFACE: u8 = 4;
    pub const ENDPOINT: u8 = 5;
    pub const QUALIFIER: u8 = 6;
    pub const OTHER_SPEED: u8 = 7;
    pub const BOS: u8 = 15;
    pub const CAPABILITY: u8 = 16;
    pub const COMPANION: u8 = 48;
}

/// Types of endpoints, as in `bmAttributes` (USB 2.0, table 9-13).
pub mod transfer {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const BULK: u8 = 2;
    pub const INTERRUPT: u8 = 3;
}

/// An endpoint is one that the host reads.
pub const IN: u8 = 0x80;
/// Indices of the strings that every device has.
const MANUFACTURER: u8 = 1;
const PRODUCT: u8 = 2;
const SERIAL: u8 = 3;
/// Index of the first string of the device's own.
pub const FIRST_STRING: u8 = 4;
/// The language of all strings: English (United States).
const LANGUAGE: u16 = 0x0409;

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Number, and [`IN`] if the host reads it.
    pub address: u8,
    /// Its type: see [`transfer`].
    pub transfer: u8,
    /// Most bytes of a packet.
    pub packet: u16,
    /// How often it is polled, in the speed's unit.
    pub interval: u8,
}

/// An interface; none has alternate settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Class, subclass and protocol.
    pub class: [u8; 3],
    /// Index of its string, or 0.
    pub string: u8,
    /// The class's own descriptors.
    pub extra: &'static [u8],
    /// Its endpoints.
    pub endpoints: &'static [Endpoint],
}

/// What a device looks like at a speed: it has one configuration, number 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Version of the standard, in BCD.
    pub version: u16,
    /// Most bytes of a packet of the control pipe; at super speed, the exponent.
    pub packet0: u8,
    /// `bmAttributes` of the configuration.
    pub attributes: u8,
    /// Most power, in the standard's unit.
    pub power: u8,
    /// Index of the configuration's string, or 0.
    pub string: u8,
    /// Its interfaces, numbered from 0.
    pub interfaces: &'static [Interface],
}

impl Shape {
    /// The endpoint with this address.
    #[must_use]
    pub fn endpoint(&self, address: u8) -> Option<&Endpoint> {
        self.interfaces.iter().flat_map(|i| i.endpoints).find(|e| e.address == address)
    }
}

/// What a device says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Descriptors {
    /// Vendor, product and release.
    pub ids: [u16; 3],
    /// Class, subclass and protocol; zeros: the interfaces say.
    pub class: [u8; 3],
    /// Manufacturer and product.
    pub names: [&'static str; 2],
    /// Its serial number.
    pub serial: String,
    /// More strings, from [`FIRST_STRING`] on.
    pub strings: &'static [&'static str],
    /// What it looks like at each speed that it has.
    pub shapes: &'static [(Speed, Shape)],
}

impl Descriptors {
    /// What it looks like at `speed`.
    #[must_use]
    pub fn shape(&self, speed: Speed) -> Option<&'static Shape> {
        self.shapes.iter().find(|(own, _)| *own == speed).map(|(_, shape)| shape)
    }

    /// The fastest of its speeds that `port` has too.
    #[must_use]
    pub fn fastest(&self, port: &[Speed]) -> Option<Speed> {
        self.shapes.iter().map(|(speed, _)| *speed).filter(|speed| port.contains(speed)).max()
    }

    /// The descriptor of type `kind` with number `index`, at `speed`.
    #[must_use]
    pub fn find(&self, speed: Speed, kind: u8, index: u8) -> Option<Vec<u8>> {
        let shape = self.shape(speed)?;
        let other = match speed {
            Speed::Full => self.shape(Speed::High),
            Speed::High => self.shape(Speed::Full),
            _ => None,
        };
        match (kind, index) {
            (kind::DEVICE, 0) => Some(self.device(shape)),
            (kind::CONFIGURATION, 0) => Some(configuration(shape, kind::CONFIGURATION, speed)),
            (kind::STRING, index) => self.string(index),
            (kind::QUALIFIER, 0) => other.map(|other| self.qualifier(other)),
            (kind::OTHER_SPEED, 0) => other.map(|other| configuration(other, kind::OTHER_SPEED, speed)),
            (kind::BOS, 0) if speed == Speed::Super => Some(self.bos()),
            _ => None,
        }
    }

    fn device(&self, shape: &Shape) -> Vec<u8> {
        let mut bytes = vec![18, kind::DEVICE];
        bytes.extend(shape.version.to_le_bytes());
        bytes.extend(self.class);
        bytes.push(shape.packet0);
        bytes.extend(self.ids.iter().flat_map(|id| id.to_le_bytes()));
        let serial = if self.serial.is_empty() { 0 } else { SERIAL };
        bytes.extend([MANUFACTURER, PRODUCT, serial, 1]);
        bytes
    }

    /// What the device is at its other speed.
    fn qualifier(&self, other: &Shape) -> Vec<u8> {
        let mut bytes = vec![10, kind::QUALIFIER];
        bytes.extend(other.version.to_le_bytes());
        bytes.extend(self.class);
        bytes.extend([other.packet0, 1, 0]);
        bytes
    }

    fn string(&self, index: u8) -> Option<Vec<u8>> {
        let text = match index {
            0 => return Some([&[4, kind::STRING][..], &LANGUAGE.to_le_bytes()].concat()),
            MANUFACTURER => self.names[0],
            PRODUCT => self.names[1],
            SERIAL if !self.serial.is_empty() => &self.serial,
            _ => self.strings.get(usize::from(index.checked_sub(FIRST_STRING)?))?,
        };
        // A descriptor has room for 126 units.
        let units: Vec<u8> = text.encode_utf16().take(126).flat_map(u16::to_le_bytes).collect();
        Some([&[units.len() as u8 + 2, kind::STRING][..], &units].concat())
    }

    /// Binary object store: USB 2.0 extension and super speed (USB 3.2, 9.6.2).
    fn bos(&self) -> Vec<u8> {
        let has = |speed| u8::from(self.shape(speed).is_some());
        let speeds = has(Speed::Low) | has(Speed::Full) << 1 | has(Speed::High) << 2 | 1 << 3;
        let mut bytes = vec![5, kind::BOS, 22, 0, 2];
        // Link power management is not there.
        bytes.extend([7, kind::CAPABILITY, 2, 0, 0, 0, 0]);
        // All functions work at full speed; leaving U1 and U2 takes 10 and 32 microseconds.
        bytes.extend([10, kind::CAPABILITY, 3, 0, speeds, 0, 1, 10, 32, 0]);
        bytes
    }
}

/// A configuration with its interfaces and endpoints.
fn configuration(shape: &Shape, kind: u8, speed: Speed) -> Vec<u8> {
    let mut bytes = vec![9, kind, 0, 0, shape.interfaces.len() as u8, 1, shape.string];
    bytes.extend([shape.attributes, shape.power]);
    for (number, interface) in (0..).zip(shape.interfaces) {
        bytes.extend([9, kind::INTERFACE, number, 0, interface.endpoints.len() as u8]);
        bytes.extend(interface.class);
        bytes.push(interface.string);
        bytes.extend(interface.extra);
        for endpoint in interface.endpoints {
            bytes.extend([7, kind::ENDPOINT, endpoint.address, endpoint.transfer]);
            bytes.extend(endpoint.packet.to_le_bytes());
            bytes.push(endpoint.interval);
            if speed == Speed::Super {
                let burst = if endpoint.transfer == transfer::BULK { 15 } else { 0 };
                let interval = if endpoint.transfer == transfer::BULK { 0 } else { endpoint.packet };
                bytes.extend([6, kind::COMPANION, burst, 0]);
                bytes.extend(interval.to_le_bytes());
            }
        }
    }
    let total = (bytes.len() as u16).to_le_bytes();
    bytes[2..4].copy_from_slice(&total);
    bytes
}
