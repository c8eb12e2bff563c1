//! virtio-scsi: a host bus adapter (virtio 1.2, 5.6).

use super::{Broken, Chain, Cx, Kind, VirtioDevice};
use crate::model::{BusKind, Child, Prop, PropKind, Props};
use crate::scsi::bus::{BusState, MAX_LUN, encode_lun, parse_lun};
use crate::scsi::{Address, Bus, Data, Direction, Fault, Limits, Sense, peripheral};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{self, StateError, check};
use tern_core::time::Clock;

crate::virtio_part! {
    8, "virtio-scsi", [], Storage, class 0x01_0000, legacy 0x1004,
    "virtio SCSI host bus adapter: multi-queue, hotplug, task management",
    [
        Prop::new("num_queues", PropKind::Number(32, AUTO), "request queues"),
        Prop::new("virtqueue_size", PropKind::Number(32, 256), "entries of a queue"),
        Prop::new("seg_max_adjust", PropKind::Bool(true), "segments of a request follow the size of a queue"),
        Prop::new("max_sectors", PropKind::Number(32, 0xffff), "most sectors of a request"),
        Prop::new("cmd_per_lun", PropKind::Number(32, 128), "most commands at once of a unit"),
        Prop::new("hotplug", PropKind::Bool(true), "tell of units that come and go"),
        Prop::new("param_change", PropKind::Bool(true), "tell of media that change their size"),
        // Which thread of the host serves the device changes nothing that a guest could see.
        Prop::only("iothread", &["*"]),
    ],
    Some(BusKind::Scsi), |wants| {
        let props = wants.props;
        let number = |name: &str| u32::try_from(props.number(name)).unwrap_or(u32::MAX);
        let queues = match props.number("num_queues") {
            AUTO => 1,
            n => n,
        };
        if !(1..=MOST_QUEUES).contains(&queues) {
            return Err(format!("num_queues property must be from 1 to {MOST_QUEUES}"));
        }
        let size = props.number("virtqueue_size");
        if !size.is_power_of_two() || !(4..=1024).contains(&size) {
            return Err("virtqueue_size property must be a power of two from 4 to 1024".to_owned());
        }
        Ok(Box::new(Scsi::new(Config {
            queues: queues as u16,
            queue_size: size as u16,
            seg_max: if props.bool("seg_max_adjust") { size as u32 - 2 } else { 126 },
            max_sectors: number("max_sectors"),
            cmd_per_lun: number("cmd_per_lun"),
            hotplug: props.bool("hotplug"),
            param_change: props.bool("param_change"),
        })))
    }
}

/// As many request queues as the machine has CPUs: one, for the machine is not known here.
const AUTO: u64 = u32::MAX as u64;
/// Most request queues.
const MOST_QUEUES: u64 = 256;

/// Feature bits (5.6.3).
const HOTPLUG: u64 = 1 << 1;
const CHANGE: u64 = 1 << 2;

/// Queues (5.6.2); those of requests follow.
const CONTROL: u16 = 0;
const EVENTS: u16 = 1;
const REQUESTS: u16 = 2;

/// Length of a request in front of its command descriptor block.
const REQUEST: usize = 19;
/// Length of a response in front of its sense data.
const RESPONSE: u64 = 12;
/// Length of an event.
const EVENT: usize = 16;
/// Sizes of sense data and command descriptor blocks that no driver has changed.
const SENSE_SIZE: u32 = 96;
const CDB_SIZE: u32 = 32;
/// Where they are in the configuration space.
const SENSE_SIZE_AT: usize = 20;
const CDB_SIZE_AT: usize = 24;

/// What the device says of a request (5.6.6.1) or of task management (5.6.6.2).
mod response {
    pub(super) const OK: u8 = 0;
    pub(super) const OVERRUN: u8 = 1;
    pub(super) const BAD_TARGET: u8 = 3;
    pub(super) const FAILURE: u8 = 9;
    pub(super) const FUNCTION_REJECTED: u8 = 11;
    pub(super) const INCORRECT_LUN: u8 = 12;
}

/// Types of control requests, and of task management (5.6.6.2).
mod control {
    pub(super) const TASK_MANAGEMENT: u32 = 0;
    pub(super) const QUERY_EVENTS: u32 = 1;
    pub(super) const SUBSCRIBE_EVENTS: u32 = 2;
    pub(super) const CLEAR_ACA: u32 = 2;
    pub(super) const NEXUS_RESET: u32 = 4;
    pub(super) const UNIT_RESET: u32 = 5;
    /// The last that there is.
    pub(super) const QUERY_TASK_SET: u32 = 7;
}

/// Events, and reasons of transport resets (5.6.6.3).
mod event {
    pub(super) const MISSED: u32 = 1 << 31;
    pub(super) const NONE: u32 = 0;
    pub(super) const TRANSPORT_RESET: u32 = 1;
    pub(super) const PARAM_CHANGE: u32 = 3;
    pub(super) const RESCAN: u32 = 1;
    pub(super) const REMOVED: u32 = 2;
}

/// What the adapter looks like to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Request queues, 1 to 256.
    pub queues: u16,
    /// Entries of each queue, a power of two.
    pub queue_size: u16,
    /// Most segments of a request.
    pub seg_max: u32,
    /// Most sectors of a request.
    pub max_sectors: u32,
    /// Most commands at once of a unit.
    pub cmd_per_lun: u32,
    /// Are units announced that come and go?
    pub hotplug: bool,
    /// Are media announced that change their size?
    pub param_change: bool,
}

/// What is saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    sense_size: u32,
    cdb_size: u32,
    /// Events were lost because there were no buffers.
    missed: bool,
}

impl State {
    const NEW: State = State { sense_size: SENSE_SIZE, cdb_size: CDB_SIZE, missed: false };

    fn is_sane(&self) -> bool {
        self.sense_size < 1 << 16 && self.cdb_size < 256
    }
}

/// The device.
pub struct Scsi {
    config: Config,
    bus: Bus,
    state: State,
    /// Units that have come (true) or gone since the transport was told.
    moved: Vec<(Address, bool)>,
}

/// A chain's buffers behind request and response.
struct Lent<'a, 'b> {
    cx: &'a mut Cx<'b>,
    chain: &'a mut Chain,
    broken: Option<Broken>,
}

impl Lent<'_, '_> {
    fn moved(&mut self, result: Result<usize, Broken>) -> Result<usize, Fault> {
        result.map_err(|broken| {
            self.broken = Some(broken);
            Fault
        })
    }
}

impl Data for Lent<'_, '_> {
    fn out_left(&self) -> u64 {
        self.chain.readable()
    }

    fn in_left(&self) -> u64 {
        self.chain.writable()
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        let result = self.cx.read(self.chain, buf);
        self.moved(result)
    }

    fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        let result = self.cx.write(self.chain, buf);
        self.moved(result)
    }
}

/// The target of the only channel, and its unit, that eight bytes name (5.6.6.1).
fn parse_address(lun: [u8; 8]) -> Option<Address> {
    let [1, target, first, second, ..] = lun else { return None };
    parse_lun(first, second).map(|lun| Address::new(u16::from(target), lun))
}

impl Scsi {
    /// An adapter without units.
    #[must_use]
    pub fn new(config: Config) -> Scsi {
        let limits = Limits { channel: 0, target: 255, lun: MAX_LUN, autosense: true };
        Scsi { config, bus: Bus::new(limits), state: State::NEW, moved: Vec::new() }
    }

    /// Serves one request; how many bytes of the chain are valid.
    fn request(&mut self, cx: &mut Cx<'_>, chain: &mut Chain) -> Result<u64, Broken> {
        let (cdb_size, answer) = (self.state.cdb_size as usize, RESPONSE + u64::from(self.state.sense_size));
        let mut request = vec![0; REQUEST + cdb_size];
        if cx.read(chain, &mut request)? < request.len() || chain.writable() < answer {
            return Err(cx.broken(format_args!("request without a whole header or room for a response")));
        }
        // Data-in follows the response, which is written last.
        chain.wrote(answer);
        let (out, room) = (chain.readable(), chain.writable());
        let [a, b, c, d, e, f, g, h, ..] = request[..] else { return Ok(0) };
        let cdb = &request[REQUEST..];
        let total = if out > 0 { out } else { room };
        let mut response = [0; RESPONSE as usize];
        let mut sense = Vec::new();
        let refused = if out > 0 && room > 0 {
            cx.kit.report.guest_error(format_args!("a command with data in both directions"));
            Some(response::FAILURE)
        } else {
            None
        };
        let address = parse_address([a, b, c, d, e, f, g, h]);
        let status = match (refused, address) {
            (Some(refused), _) => refused,
            (None, None) => response::BAD_TARGET,
            (None, Some(address)) => self.command(cx, chain, address, cdb, &mut response, &mut sense)?,
        };
        let moved = (out - chain.readable()) + (room - chain.writable());
        let left = if status == response::OK { total - moved } else { 0 };
        response[4..8].copy_from_slice(&u32::try_from(left).unwrap_or(u32::MAX).to_le_bytes());
        response[11] = status;
        cx.write_at(chain, 0, &response)?;
        cx.write_at(chain, RESPONSE, &sense)?;
        Ok(answer + (room - chain.writable()))
    }

    /// Executes a command: fills status and sense data in.
    fn command(
        &mut self,
        cx: &mut Cx<'_>,
        chain: &mut Chain,
        address: Address,
        cdb: &[u8],
        response: &mut [u8; RESPONSE as usize],
        sense: &mut Vec<u8>,
    ) -> Result<u8, Broken> {
        if !self.bus.has_target(address) {
            return Ok(response::BAD_TARGET);
        }
        let expected = self.bus.expected(address, cdb);
        let there = match expected.direction {
            Direction::None => u64::MAX,
            Direction::Out => chain.readable(),
            Direction::In => chain.writable(),
        };
        if expected.bytes > there {
            return Ok(response::OVERRUN);
        }
        let mut lent = Lent { cx, chain, broken: None };
        let outcome = self.bus.execute(address, cdb, &mut lent);
        if let Some(broken) = lent.broken {
            return Err(broken);
        }
        let Some(outcome) = outcome else { return Ok(response::BAD_TARGET) };
        response[10] = outcome.status as u8;
        if let Some(data) = outcome.sense {
            sense.extend(data.fixed().iter().take(self.state.sense_size as usize));
            response[..4].copy_from_slice(&(sense.len() as u32).to_le_bytes());
        }
        Ok(response::OK)
    }

    /// Serves one control request (5.6.6.2).
    fn control(&mut self, cx: &mut Cx<'_>, chain: &mut Chain) -> Result<(), Broken> {
        let short = |cx: &mut Cx<'_>| cx.broken(format_args!("control request or response that is too short"));
        let Some(kind) = cx.array::<4>(chain)? else { return Err(short(cx)) };
        match u32::from_le_bytes(kind) {
            control::TASK_MANAGEMENT => {
                let Some(request) = cx.array::<20>(chain)? else { return Err(short(cx)) };
                if chain.writable() < 1 {
                    return Err(short(cx));
                }
                let [s0, s1, s2, s3, a, b, c, d, e, f, g, h, ..] = request;
                let subtype = u32::from_le_bytes([s0, s1, s2, s3]);
                let result = self.manage(subtype, parse_address([a, b, c, d, e, f, g, h]));
                cx.write(chain, &[result])?;
            }
            control::QUERY_EVENTS | control::SUBSCRIBE_EVENTS => {
                if cx.array::<12>(chain)?.is_none() || chain.writable() < 5 {
                    return Err(short(cx));
                }
                // Units are polled for their events: none is sent by itself.
                cx.write(chain, &[0, 0, 0, 0, response::OK])?;
            }
            other => cx.kit.report.guest_error(format_args!("control request of type {other:#x}")),
        }
        Ok(())
    }

    /// Task management.  Commands are done when they have been taken: there are no tasks to be found or aborted.
    fn manage(&mut self, subtype: u32, address: Option<Address>) -> u8 {
        let there = address.filter(|address| self.bus.has_target(*address));
        if subtype > control::QUERY_TASK_SET || subtype == control::CLEAR_ACA {
            return response::FUNCTION_REJECTED;
        }
        let Some(address) = there else {
            let nobody = subtype == control::NEXUS_RESET && address.is_some();
            return if nobody { response::OK } else { response::BAD_TARGET };
        };
        if subtype == control::NEXUS_RESET {
            self.bus.reset_target(address);
            return response::OK;
        }
        if self.bus.unit(address).is_none() {
            return response::INCORRECT_LUN;
        }
        if subtype == control::UNIT_RESET {
            self.bus.reset_unit(address);
        }
        response::OK
    }

    /// Tells the driver of something, or remembers that it could not be told.
    fn send(&mut self, cx: &mut Cx<'_>, kind: u32, address: Address, reason: u32) -> Result<(), Broken> {
        let Some(mut chain) = cx.pop(EVENTS)? else {
            self.state.missed = true;
            return Ok(());
        };
        if chain.writable() < EVENT as u64 {
            return Err(cx.broken(format_args!("a buffer of {} bytes for events", chain.writable())));
        }
        let missed = core::mem::take(&mut self.state.missed);
        let mut bytes = (kind | if missed { event::MISSED } else { 0 }).to_le_bytes().to_vec();
        if kind == event::NONE {
            bytes.extend([0; 8]);
        } else {
            // Encoded as REPORT LUNS does.
            let lun = encode_lun(address.lun);
            bytes.extend([1, address.target as u8, lun[0], lun[1], 0, 0, 0, 0]);
        }
        bytes.extend(reason.to_le_bytes());
        cx.write(&mut chain, &bytes)?;
        cx.push(EVENTS, &chain);
        Ok(())
    }
}

impl VirtioDevice for Scsi {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        bit(self.config.hotplug, HOTPLUG) | bit(self.config.param_change, CHANGE)
    }

    fn queues(&self) -> Vec<u16> {
        vec![self.config.queue_size; usize::from(REQUESTS + self.config.queues)]
    }

    fn config(&self) -> Vec<u8> {
        let Config { queues, seg_max, max_sectors, cmd_per_lun, .. } = self.config;
        let State { sense_size, cdb_size, .. } = self.state;
        let words = [u32::from(queues), seg_max, max_sectors, cmd_per_lun, EVENT as u32, sense_size, cdb_size];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // Channel, target, unit.
        bytes.extend(0u16.to_le_bytes());
        bytes.extend(255u16.to_le_bytes());
        bytes.extend(u32::from(MAX_LUN).to_le_bytes());
        bytes
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        let mut bytes = self.config();
        let (at, end) = (offset as usize, offset as usize + data.len());
        let inside = SENSE_SIZE_AT <= at && end <= CDB_SIZE_AT + 4;
        if !inside {
            return cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}"));
        }
        bytes[at..end].copy_from_slice(data);
        let word = |at: usize| bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let state = State { sense_size: word(SENSE_SIZE_AT), cdb_size: word(CDB_SIZE_AT), ..self.state.clone() };
        if state.is_sane() {
            self.state = state;
        } else {
            let _ = cx.broken(format_args!("sense size {}, CDB size {}", state.sense_size, state.cdb_size));
        }
    }

    fn activate(&mut self, _cx: &mut Cx<'_>) {
        self.moved.clear();
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        match queue {
            CONTROL => {
                while let Some(mut chain) = cx.pop(CONTROL)? {
                    self.control(cx, &mut chain)?;
                    cx.push(CONTROL, &chain);
                }
                Ok(())
            }
            EVENTS if self.state.missed => self.send(cx, event::NONE, Address::default(), 0),
            EVENTS => Ok(()),
            _ => {
                while let Some(mut chain) = cx.pop(queue)? {
                    let len = self.request(cx, &mut chain)?;
                    cx.push_len(queue, &chain, len);
                }
                Ok(())
            }
        }
    }

    fn changed(&mut self, cx: &mut Cx<'_>, port: u32) {
        let Some((address, attentions)) = self.bus.changed(port) else { return };
        let disk = self.bus.unit(address).is_some_and(|unit| unit.peripheral() == peripheral::DISK);
        if !disk || !cx.has(CHANGE) || !cx.live() {
            return;
        }
        for Sense { asc, ascq, .. } in attentions {
            let reason = u32::from(asc) | u32::from(ascq) << 8;
            if self.send(cx, event::PARAM_CHANGE, address, reason).is_err() {
                break;
            }
        }
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let number = self.bus.plug(props, child)?;
        self.moved.extend(self.bus.address(number).map(|address| (address, true)));
        Ok(number)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let address = self.bus.remove(child)?;
        self.moved.push((address, false));
        Ok(())
    }

    fn plugged(&mut self, cx: &mut Cx<'_>) -> Result<(), Broken> {
        for (address, here) in core::mem::take(&mut self.moved) {
            if cx.has(HOTPLUG) && cx.live() {
                self.bus.luns_changed(address);
                let reason = if here { event::RESCAN } else { event::REMOVED };
                self.send(cx, event::TRANSPORT_RESET, address, reason)?;
            }
        }
        Ok(())
    }

    fn reset(&mut self, _clock: &Clock) {
        self.bus.reset();
        self.state = State::NEW;
        self.moved.clear();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &(&self.state, self.bus.save()?))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (state, bus): (State, BusState) = snapshot::load(KIND.mmio, 1, bytes)?;
        check(state.is_sane(), "cdb_size", || format!("{}, sense size {}", state.cdb_size, state.sense_size))?;
        self.bus.load(bus)?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
