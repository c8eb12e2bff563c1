//! `usb-serial`: a serial port like FTDI's FT232BM (FTDI D2XX and the requests of Linux' `ftdi_sio.h`).

use super::descriptor::{IN, transfer};
use super::{Descriptors, Endpoint, Interface, Reply, Setup, Shape, Speed, Stall, UsbDevice};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::backend::CharSink;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "usb-serial";

/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Serial,
    about: "serial port (FTDI FT232BM); rates and formats change nothing",
    parents: &["usb-serial-dev"],
    props: &[Prop::new("chardev", PropKind::Chardev, "where it is connected to"), Prop::only("always-plugged", &["on"])],
    bus: None,
    build: Build::Child(BusKind::Usb, |wants| {
        let sink = wants.chardev("chardev", 0)?;
        Ok(Child::new(Box::new(Serial::new(sink, wants.props.text("serial"))) as Box<dyn UsbDevice>))
    }),
}];

/// Most bytes of a packet; each to the host begins with two bytes of status.
const PACKET: usize = 64;
const STATUS: usize = 2;
/// Most bytes that wait for the host.
const MOST: usize = 384;

/// Requests.
mod request {
    pub(super) const RESET: u8 = 0;
    pub(super) const MODEM_CONTROL: u8 = 1;
    pub(super) const FLOW_CONTROL: u8 = 2;
    pub(super) const BAUD_RATE: u8 = 3;
    pub(super) const FORMAT: u8 = 4;
    pub(super) const MODEM_STATUS: u8 = 5;
    pub(super) const EVENT_CHARACTER: u8 = 6;
    pub(super) const ERROR_CHARACTER: u8 = 7;
    pub(super) const SET_LATENCY: u8 = 9;
    pub(super) const GET_LATENCY: u8 = 10;
}

/// Modem status: CTS, DSR and carrier; line status: the transmitter is empty.
const MODEM: u8 = 0xb1;
const LINE: u8 = 0x60;
/// The latency timer of a new device, in milliseconds.
const LATENCY: u8 = 16;
/// What a reset forgets: everything, or what waits for the host.
const RESET_ALL: u16 = 0;
const RESET_RECEIVE: u16 = 1;

static SHAPES: &[(Speed, Shape)] = &[(
    Speed::Full,
    Shape {
        version: 0x0200,
        packet0: 8,
        attributes: 0x80,
        power: 50,
        string: 0,
        interfaces: &[Interface {
            class: [0xff, 0xff, 0xff],
            string: 0,
            extra: &[],
            endpoints: &[
                Endpoint { address: IN | 1, transfer: transfer::BULK, packet: PACKET as u16, interval: 0 },
                Endpoint { address: 2, transfer: transfer::BULK, packet: PACKET as u16, interval: 0 },
            ],
        }],
    },
)];

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    waiting: VecDeque<u8>,
    latency: u8,
}

impl State {
    fn new() -> State {
        State { waiting: VecDeque::new(), latency: LATENCY }
    }
}

/// The device.
struct Serial {
    descriptors: Descriptors,
    sink: Box<dyn CharSink>,
    state: State,
}

impl Serial {
    fn new(sink: Box<dyn CharSink>, serial: &str) -> Serial {
        let descriptors = Descriptors {
            ids: [0x0403, 0x6001, 0x0400],
            class: [0; 3],
            names: ["QEMU", "QEMU USB SERIAL"],
            serial: if serial.is_empty() { "1" } else { serial }.to_owned(),
            strings: &[],
            shapes: SHAPES,
        };
        Serial { descriptors, sink, state: State::new() }
    }
}

impl UsbDevice for Serial {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stall> {
        match (setup.kind, setup.request) {
            (0x40, request::RESET) => match setup.value {
                RESET_ALL => self.state = State::new(),
                RESET_RECEIVE => self.state.waiting.clear(),
                _ => {}
            },
            // The line is always there, however fast and in whatever format.
            (
                0x40,
                request::MODEM_CONTROL
                | request::FLOW_CONTROL
                | request::BAUD_RATE
                | request::FORMAT
                | request::EVENT_CHARACTER
                | request::ERROR_CHARACTER,
            ) => {}
            (0x40, request::SET_LATENCY) => self.state.latency = setup.value as u8,
            (0xc0, request::GET_LATENCY) => data.push(self.state.latency),
            (0xc0, request::MODEM_STATUS) => data.extend([MODEM, LINE]),
            _ => return Err(Stall),
        }
        Ok(())
    }

    fn input(&mut self, _now: u64, _endpoint: u8, buf: &mut [u8]) -> Reply {
        if self.state.waiting.is_empty() || buf.len() <= STATUS {
            return Reply::Nak;
        }
        let mut done = 0;
        for packet in buf.chunks_mut(PACKET).filter(|packet| packet.len() > STATUS) {
            if self.state.waiting.is_empty() {
                break;
            }
            let n = (packet.len() - STATUS).min(self.state.waiting.len());
            packet[..STATUS].copy_from_slice(&[MODEM, LINE]);
            packet[STATUS..].iter_mut().zip(self.state.waiting.drain(..n)).for_each(|(to, byte)| *to = byte);
            done += STATUS + n;
        }
        Reply::Done(done)
    }

    fn output(&mut self, _endpoint: u8, data: &[u8]) -> Reply {
        self.sink.write(data);
        Reply::Done(data.len())
    }

    fn room(&self) -> usize {
        MOST - self.state.waiting.len()
    }

    fn receive(&mut self, data: &[u8]) {
        let room = self.room();
        self.state.waiting.extend(data.iter().take(room));
    }

    fn reset(&mut self) {
        self.state = State::new();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        check(state.waiting.len() <= MOST, "waiting", || format!("{} bytes", state.waiting.len()))?;
        self.state = state;
        Ok(())
    }
}
