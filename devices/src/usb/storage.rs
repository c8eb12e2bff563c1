//! `usb-storage`: a SCSI disk behind USB (Mass Storage Class Bulk-Only Transport 1.0).

use super::descriptor::{FIRST_STRING, IN, transfer};
use super::{Descriptors, Endpoint, Interface, Reply, Setup, Shape, Speed, Stall, UsbDevice};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Wants};
use crate::scsi::disk::{Config, Disk};
use crate::scsi::bus::BusState;
use crate::scsi::{Address, Bus, Direction, Limits, Local, Status};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "usb-storage";

/// Its row in the list of models.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Storage,
    about: "USB disk (Bulk-Only Transport 1.0, SPC-4, SBC-3)",
    parents: &["usb-storage-dev"],
    props: &[
        Prop::new("drive", PropKind::Drive, "the medium"),
        Prop::new("removable", PropKind::Bool(false), "is the medium removable"),
        Prop::only("logical_block_size", &["512", "0"]),
        Prop::only("physical_block_size", &["512", "0"]),
        Prop::only("bootindex", &["*"]),
        Prop::only("backend_defaults", &["auto", "off"]),
        Prop::only("share-rw", &["off"]),
        Prop::only("werror", &["auto", "report", "enospc"]),
        Prop::only("rerror", &["auto", "report"]),
        Prop::only("commandlog", &["off"]),
    ],
    bus: None,
    build: Build::Child(BusKind::Usb, build),
}];

/// Most bytes of one command.
const MOST_DATA: u32 = 32 << 20;
/// Longest serial number that the unit takes too.
const MOST_SERIAL: usize = 20;
/// The only unit.
const UNIT: Address = Address { channel: 0, target: 0, lun: 0 };

/// Command block wrapper (5.1): its length and signature.
const CBW: usize = 31;
const CBW_SIGNATURE: [u8; 4] = *b"USBC";
/// Command status wrapper (5.2).
const CSW: usize = 13;
const CSW_SIGNATURE: [u8; 4] = *b"USBS";
/// Its status.
const PASSED: u8 = 0;
const FAILED: u8 = 1;
const PHASE_ERROR: u8 = 2;
/// Requests of the class (3.1, 3.2).
const RESET: u8 = 0xff;
const GET_MAX_LUN: u8 = 0xfe;

/// SCSI transparent commands, bulk-only.
const fn interface(endpoints: &'static [Endpoint]) -> Interface {
    Interface { class: [8, 6, 0x50], string: 0, extra: &[], endpoints }
}

/// One endpoint each way.
const fn bulk(packet: u16) -> [Endpoint; 2] {
    let (transfer, interval) = (transfer::BULK, 0);
    [Endpoint { address: IN | 1, transfer, packet, interval }, Endpoint { address: 2, transfer, packet, interval }]
}

const fn shape(version: u16, packet0: u8, string: u8, interfaces: &'static [Interface]) -> Shape {
    Shape { version, packet0, attributes: 0xc0, power: 0, string: FIRST_STRING + string, interfaces }
}

static FULL_ENDPOINTS: [Endpoint; 2] = bulk(64);
static HIGH_ENDPOINTS: [Endpoint; 2] = bulk(512);
static SUPER_ENDPOINTS: [Endpoint; 2] = bulk(1024);
static FULL: [Interface; 1] = [interface(&FULL_ENDPOINTS)];
static HIGH: [Interface; 1] = [interface(&HIGH_ENDPOINTS)];
static SUPER: [Interface; 1] = [interface(&SUPER_ENDPOINTS)];

static SHAPES: &[(Speed, Shape)] = &[
    (Speed::Full, shape(0x0200, 8, 0, &FULL)),
    (Speed::High, shape(0x0200, 64, 1, &HIGH)),
    (Speed::Super, shape(0x0300, 9, 2, &SUPER)),
];

fn build(wants: &mut Wants<'_>) -> Result<Child, String> {
    let drive = wants.drive("drive", 0)?;
    let serial = wants.props.text("serial");
    let removable = wants.props.bool("removable");
    if !drive.present() && !removable {
        return Err("Device needs media, but drive is empty".to_owned());
    }
    if serial.len() > MOST_SERIAL {
        return Err(format!("The serial number can't be longer than {MOST_SERIAL} characters"));
    }
    let (id, max_io) = (serial.to_owned(), u64::from(MOST_DATA));
    let config = Config { serial: id.clone(), device_id: id, removable, max_io, ..Config::default() };
    Ok(Child::new(Box::new(UsbStorage::new(Disk::new(Some(drive), config), serial)?) as Box<dyn UsbDevice>))
}

/// What the device waits for (5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Phase {
    Command,
    DataOut,
    DataIn,
    Status,
    /// A wrapper was not valid: only a reset helps (6.6.1).
    Broken,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    phase: Phase,
    tag: u32,
    cdb: Vec<u8>,
    /// Bytes that the host still wants to move.
    left: u32,
    residue: u32,
    status: u8,
    /// What has come from the host, or goes to it.
    data: Vec<u8>,
    /// How much of it has gone.
    at: u32,
}

impl State {
    fn new() -> State {
        let (phase, data, cdb) = (Phase::Command, Vec::new(), Vec::new());
        State { phase, tag: 0, cdb, left: 0, residue: 0, status: PASSED, data, at: 0 }
    }
}

/// The device.
pub struct UsbStorage {
    descriptors: Descriptors,
    bus: Bus,
    state: State,
}

impl UsbStorage {
    /// Around this disk.
    ///
    /// # Errors
    /// None that could happen: the disk is alone on its bus.
    pub fn new(disk: Disk, serial: &str) -> Result<UsbStorage, String> {
        let mut bus = Bus::new(Limits { channel: 0, target: 0, lun: 0, autosense: false });
        bus.add(Box::new(disk), 0, 0, 0)?;
        let descriptors = Descriptors {
            ids: [0x46f4, 1, 0],
            class: [0; 3],
            names: ["QEMU", "QEMU USB HARDDRIVE"],
            serial: if serial.is_empty() { "1" } else { serial }.to_owned(),
            strings: &["Full speed config (usb 1.1)", "High speed config (usb 2.0)", "Super speed config (usb 3.0)"],
            shapes: SHAPES,
        };
        Ok(UsbStorage { descriptors, bus, state: State::new() })
    }

    /// A command block wrapper.
    fn command(&mut self, wrapper: &[u8]) -> Reply {
        let valid = wrapper.len() == CBW && wrapper.starts_with(&CBW_SIGNATURE);
        let meaningful = valid && wrapper[13] & 0x0f == 0 && (1..=16).contains(&(wrapper[14] & 0x1f));
        if !meaningful {
            self.state = State { phase: Phase::Broken, ..State::new() };
            return Reply::Stall;
        }
        let word = |at: usize| wrapper[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let len = usize::from(wrapper[14] & 0x1f);
        self.state = State { tag: word(4), left: word(8), cdb: wrapper[15..15 + len].to_vec(), ..State::new() };
        self.state.residue = self.state.left;
        let reads = wrapper[12] & IN != 0;
        if self.state.left > 0 && !reads {
            self.state.phase = Phase::DataOut;
        } else {
            self.execute(reads);
            self.state.phase = if self.state.left > 0 { Phase::DataIn } else { Phase::Status };
        }
        Reply::Done(wrapper.len())
    }

    /// Executes the command: what the host sends is there, what it reads is there afterwards.
    fn execute(&mut self, reads: bool) {
        let state = &mut self.state;
        let total = state.left.max(state.data.len() as u32);
        let expected = self.bus.expected(UNIT, &state.cdb).direction;
        let wrong = if reads { Direction::Out } else { Direction::In };
        if total > 0 && expected == wrong {
            (state.status, state.residue) = (PHASE_ERROR, total);
            state.data.clear();
            return;
        }
        let room = if reads { state.left.min(MOST_DATA) as usize } else { 0 };
        let mut data = Local::new(&state.data, room);
        let outcome = self.bus.execute(UNIT, &state.cdb, &mut data);
        let taken = if reads { data.answer.len() } else { state.data.len() - crate::scsi::Data::out_left(&data) as usize };
        state.data = data.answer;
        state.residue = total.saturating_sub(taken as u32);
        state.status = if outcome.is_some_and(|o| o.status == Status::Good && !o.fault) { PASSED } else { FAILED };
    }

    /// Data from the host.
    fn take(&mut self, data: &[u8]) -> Reply {
        let state = &mut self.state;
        if data.len() as u64 > u64::from(state.left) {
            // More than was announced (6.7.3).
            state.phase = Phase::Broken;
            return Reply::Stall;
        }
        state.left -= data.len() as u32;
        if state.residue > MOST_DATA {
            // More than the unit says that it takes.
            state.status = PHASE_ERROR;
        } else {
            state.data.extend(data);
        }
        if state.left == 0 {
            if state.status == PASSED {
                self.execute(false);
            }
            self.state.phase = Phase::Status;
        }
        Reply::Done(data.len())
    }

    /// Data to the host: what there is, then zeros, which the residue tells (6.7.2).
    fn give(&mut self, buf: &mut [u8]) -> Reply {
        let state = &mut self.state;
        let n = buf.len().min(state.left as usize);
        let rest = state.data.get(state.at as usize..).unwrap_or_default();
        let real = rest.len().min(n);
        buf[..real].copy_from_slice(&rest[..real]);
        buf[real..n].fill(0);
        state.at += real as u32;
        state.left -= n as u32;
        if state.left == 0 {
            state.phase = Phase::Status;
            state.data = Vec::new();
            state.at = 0;
        }
        Reply::Done(n)
    }

    /// The command status wrapper.
    fn finish(&mut self, buf: &mut [u8]) -> Reply {
        let Some(to) = buf.get_mut(..CSW) else { return Reply::Babble };
        to[..4].copy_from_slice(&CSW_SIGNATURE);
        to[4..8].copy_from_slice(&self.state.tag.to_le_bytes());
        to[8..12].copy_from_slice(&self.state.residue.to_le_bytes());
        to[12] = self.state.status;
        self.state = State::new();
        Reply::Done(CSW)
    }
}

impl UsbDevice for UsbStorage {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stall> {
        match (setup.kind, setup.request) {
            (0x21, RESET) => self.state = State::new(),
            (0xa1, GET_MAX_LUN) => data.push(0),
            _ => return Err(Stall),
        }
        Ok(())
    }

    fn input(&mut self, _now: u64, _endpoint: u8, buf: &mut [u8]) -> Reply {
        match self.state.phase {
            Phase::Command | Phase::DataOut => Reply::Nak,
            Phase::DataIn => self.give(buf),
            Phase::Status => self.finish(buf),
            Phase::Broken => Reply::Stall,
        }
    }

    fn output(&mut self, _endpoint: u8, data: &[u8]) -> Reply {
        match self.state.phase {
            Phase::Command => self.command(data),
            Phase::DataOut => self.take(data),
            Phase::DataIn | Phase::Status => Reply::Nak,
            Phase::Broken => Reply::Stall,
        }
    }

    fn changed(&mut self) {
        let _ = self.bus.changed(0);
    }

    fn reset(&mut self) {
        self.bus.reset();
        self.state = State::new();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(NAME, 1, &(&self.state, self.bus.save()?))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (state, bus): (State, BusState) = snapshot::load(NAME, 1, bytes)?;
        check(state.cdb.len() <= 16, "cdb", || format!("{} bytes", state.cdb.len()))?;
        let len = state.data.len();
        check(len <= MOST_DATA as usize && state.at as usize <= len, "data", || format!("{len} bytes"))?;
        let grows = state.phase == Phase::DataOut && u64::from(state.left) + len as u64 > u64::from(state.residue);
        check(!grows, "left", || format!("{} bytes", state.left))?;
        check((state.phase == Phase::DataIn) <= (state.left > 0), "left", || "no data follow".to_owned())?;
        self.bus.load(bus)?;
        self.state = state;
        Ok(())
    }
}
