//! The default control pipe and the standard requests of a device (USB 2.0, 5.5, 8.5.3 and 9.4; USB 3.2, 9.4).

use super::descriptor::{IN, Shape};
use super::{Reply, Speed, Stall, UsbDevice};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Standard requests.
mod request {
    pub(super) const GET_STATUS: u8 = 0;
    pub(super) const CLEAR_FEATURE: u8 = 1;
    pub(super) const SET_FEATURE: u8 = 3;
    pub(super) const SET_ADDRESS: u8 = 5;
    pub(super) const GET_DESCRIPTOR: u8 = 6;
    pub(super) const GET_CONFIGURATION: u8 = 8;
    pub(super) const SET_CONFIGURATION: u8 = 9;
    pub(super) const GET_INTERFACE: u8 = 10;
    pub(super) const SET_INTERFACE: u8 = 11;
    pub(super) const SET_SEL: u8 = 0x30;
    pub(super) const SET_ISOCH_DELAY: u8 = 0x31;
}

/// Features of a device and of an endpoint.
const REMOTE_WAKEUP: u16 = 1;
const ENDPOINT_HALT: u16 = 0;
/// U1, U2 and latency tolerance messages at super speed.
const LINK_FEATURES: core::ops::RangeInclusive<u16> = 48..=50;
/// A configuration's attribute: the device has power of its own.
const SELF_POWERED: u8 = 0x40;

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Setup {
    /// `bmRequestType`: bit 7 if the host reads, type in bits 6 and 5, recipient in bits 4 to 0.
    pub kind: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`.
    pub length: u16,
}

impl Setup {
    /// The request in a packet.
    #[must_use]
    pub fn parse(bytes: [u8; 8]) -> Setup {
        let [kind, request, a, b, c, d, e, f] = bytes;
        let half = |low, high| u16::from_le_bytes([low, high]);
        Setup { kind, request, value: half(a, b), index: half(c, d), length: half(e, f) }
    }

    /// Does the host read?
    #[must_use]
    pub fn reads(&self) -> bool {
        self.kind & IN != 0
    }
}

/// Where a control transfer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
enum Stage {
    #[default]
    Idle,
    /// The answer is read; an empty packet out ends it.
    Reads,
    /// Data is taken.
    Writes,
    /// An empty packet in ends it.
    Status,
    Stalled,
}

/// What the bus keeps of a device: its side of the standard.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) speed: Speed,
    pub(super) address: u8,
    configured: bool,
    pub(super) wakeup: bool,
    /// Halted endpoints: bit n is endpoint n out, bit 16 + n endpoint n in.
    halted: u32,
    stage: Stage,
    setup: Setup,
    data: Vec<u8>,
    at: u32,
}

impl Link {
    pub(super) fn new(speed: Speed) -> Link {
        let (stage, setup) = (Stage::Idle, Setup::default());
        Link { speed, address: 0, configured: false, wakeup: false, halted: 0, stage, setup, data: Vec::new(), at: 0 }
    }

    pub(super) fn check(&self, speed: Speed) -> Result<(), StateError> {
        check(self.speed == speed, "speed", || format!("{:?}", self.speed))?;
        check(self.address < 128, "address", || self.address.to_string())?;
        let len = self.data.len();
        check(len <= usize::from(self.setup.length), "data", || format!("{len} bytes"))?;
        check(self.at as usize <= len, "at", || format!("{} of {len}", self.at))
    }

    fn bit(address: u8) -> u32 {
        1 << (u32::from(address & 15) + if address & IN != 0 { 16 } else { 0 })
    }

    fn shape(&self, device: &dyn UsbDevice) -> Option<&'static Shape> {
        device.descriptors().shape(self.speed)
    }

    /// A setup packet.
    pub(super) fn setup(&mut self, device: &mut dyn UsbDevice, bytes: [u8; 8]) -> Reply {
        self.setup = Setup::parse(bytes);
        self.data.clear();
        self.at = 0;
        self.stage = match (self.setup.reads(), self.setup.length) {
            (false, 1..) => Stage::Writes,
            (reads, _) => match self.answer(device) {
                Ok(()) if reads => Stage::Reads,
                Ok(()) => Stage::Status,
                Err(Stall) => Stage::Stalled,
            },
        };
        Reply::Done(8)
    }

    /// Executes the request.
    fn answer(&mut self, device: &mut dyn UsbDevice) -> Result<(), Stall> {
        let setup = self.setup;
        if let Some(answer) = self.standard(device, &setup) {
            let answer = answer?;
            if setup.reads() {
                self.data = answer;
            }
        } else {
            device.control(&setup, &mut self.data)?;
        }
        self.data.truncate(usize::from(setup.length));
        Ok(())
    }

    /// Bytes of the control pipe to the host.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Reply {
        match self.stage {
            Stage::Reads => {
                let rest = &self.data[self.at as usize..];
                let n = rest.len().min(buf.len());
                buf[..n].copy_from_slice(&rest[..n]);
                self.at += n as u32;
                Reply::Done(n)
            }
            Stage::Status => {
                self.stage = Stage::Idle;
                if (self.setup.kind, self.setup.request) == (0, request::SET_ADDRESS) {
                    self.address = self.setup.value as u8 & 0x7f;
                }
                Reply::Done(0)
            }
            Stage::Idle | Stage::Writes | Stage::Stalled => {
                self.stage = Stage::Stalled;
                Reply::Stall
            }
        }
    }

    /// Bytes of the control pipe from the host.
    pub(super) fn write(&mut self, device: &mut dyn UsbDevice, data: &[u8]) -> Reply {
        let most = usize::from(self.setup.length);
        match self.stage {
            Stage::Reads if data.is_empty() => self.stage = Stage::Idle,
            Stage::Writes if self.data.len() + data.len() <= most => {
                self.data.extend(data);
                if self.data.len() == most {
                    self.stage = if self.answer(device).is_ok() { Stage::Status } else { Stage::Stalled };
                }
            }
            _ => {
                self.stage = Stage::Stalled;
                return Reply::Stall;
            }
        }
        Reply::Done(data.len())
    }

    /// May packets go to or come from this endpoint?
    pub(super) fn open(&self, device: &dyn UsbDevice, address: u8) -> bool {
        let there = self.shape(device).is_some_and(|shape| shape.endpoint(address).is_some());
        there && self.configured && self.halted & Link::bit(address) == 0
    }

    pub(super) fn halt(&mut self, address: u8) {
        self.halted |= Link::bit(address);
    }

    /// The answer to a standard request; `None`: the device's own matter.
    fn standard(&mut self, device: &mut dyn UsbDevice, setup: &Setup) -> Option<Result<Vec<u8>, Stall>> {
        let shape = self.shape(device)?;
        let value = setup.value;
        let interfaces = if self.configured { shape.interfaces.len() as u16 } else { 0 };
        let endpoint = (setup.index as u8) & 0x8f;
        let known = endpoint & 15 == 0 || shape.endpoint(endpoint).is_some();
        let done = |good: bool| Some(if good { Ok(Vec::new()) } else { Err(Stall) });
        match (setup.kind, setup.request) {
            (0x80, request::GET_STATUS) => {
                let powered = u8::from(shape.attributes & SELF_POWERED != 0);
                Some(Ok(vec![powered | u8::from(self.wakeup) << 1, 0]))
            }
            (0x81, request::GET_STATUS) if setup.index < interfaces => Some(Ok(vec![0, 0])),
            (0x82, request::GET_STATUS) if known => Some(Ok(vec![u8::from(self.halted & Link::bit(endpoint) != 0), 0])),
            (0x00, request::CLEAR_FEATURE | request::SET_FEATURE) => {
                if value == REMOTE_WAKEUP {
                    self.wakeup = setup.request == request::SET_FEATURE;
                }
                let link = self.speed == Speed::Super && LINK_FEATURES.contains(&value);
                done(value == REMOTE_WAKEUP || link)
            }
            // Suspending a function changes nothing.
            (0x01, request::CLEAR_FEATURE | request::SET_FEATURE) => {
                done(self.speed == Speed::Super && value == 0 && setup.index & 0xff < interfaces)
            }
            (0x02, request::CLEAR_FEATURE) if known && value == ENDPOINT_HALT => {
                self.halted &= !Link::bit(endpoint);
                done(true)
            }
            (0x02, request::SET_FEATURE) if known && value == ENDPOINT_HALT => {
                self.halt(endpoint);
                done(true)
            }
            (0x00, request::SET_ADDRESS) => done(value < 128),
            (0x80, request::GET_DESCRIPTOR) => {
                let [index, kind] = value.to_le_bytes();
                let found = device.descriptors().find(self.speed, kind, index);
                // Hubs and others have some of their own.
                found.map(Ok)
            }
            (0x80, request::GET_CONFIGURATION) => Some(Ok(vec![u8::from(self.configured)])),
            (0x00, request::SET_CONFIGURATION) if value < 2 => {
                (self.configured, self.halted) = (value == 1, 0);
                done(true)
            }
            (0x81, request::GET_INTERFACE) if setup.index < interfaces => Some(Ok(vec![0])),
            (0x01, request::SET_INTERFACE) if setup.index < interfaces && value == 0 => {
                let own = &shape.interfaces[usize::from(setup.index)];
                own.endpoints.iter().for_each(|e| self.halted &= !Link::bit(e.address));
                done(true)
            }
            (0x00, request::SET_SEL | request::SET_ISOCH_DELAY) => done(self.speed == Speed::Super),
            _ => None,
        }
    }
}
