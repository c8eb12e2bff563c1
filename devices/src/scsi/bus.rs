//! A SCSI bus: units at their addresses, and what targets answer for them (SAM-5 4.6 to 4.8, 5.14; SPC-4 6.33).

use super::sense::{Sense, Status};
use super::task::{Cdb, Data, Direction, Expected, Failure};
use super::{Unit, peripheral};
use crate::model::{Child, Props};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tern_core::snapshot::{StateError, check};

/// Operation codes that the bus itself looks at.
mod op {
    pub(super) const REQUEST_SENSE: u8 = 0x03;
    pub(super) const INQUIRY: u8 = 0x12;
    pub(super) const GET_CONFIGURATION: u8 = 0x46;
    pub(super) const GET_EVENT_STATUS: u8 = 0x4a;
    pub(super) const REPORT_LUNS: u8 = 0xa0;
}

/// The well-known unit that answers REPORT LUNS (SPC-4 8.2), as [`Address::lun`].
pub const WELL_KNOWN_REPORT_LUNS: u16 = 0xc101;
/// Largest number of an ordinary unit: flat space addressing has 14 bits.
pub const MAX_LUN: u16 = 0x3fff;
/// Most unit attentions that wait at one unit; a later one replaces the last.
const MOST_ATTENTIONS: usize = 4;
/// Most units: ports of their media are numbered like they are, and the controller has some for messages.
const MOST_UNITS: u32 = 0xf0;

/// Where a unit is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Address {
    /// Channel of the controller.
    pub channel: u16,
    /// Target.
    pub target: u16,
    /// Logical unit number, or [`WELL_KNOWN_REPORT_LUNS`].
    pub lun: u16,
}

impl Address {
    /// A unit of channel 0.
    #[must_use]
    pub fn new(target: u16, lun: u16) -> Address {
        Address { channel: 0, target, lun }
    }

    fn same_target(self, other: Address) -> bool {
        (self.channel, self.target) == (other.channel, other.target)
    }
}

/// The number in the first level of an eight-byte logical unit number (SAM-5 4.7.7): peripheral device, flat space or
/// well-known addressing.
#[must_use]
pub fn parse_lun(first: u8, second: u8) -> Option<u16> {
    match first >> 6 {
        0 if first == 0 => Some(u16::from(second)),
        1 => Some(u16::from(first & 0x3f) << 8 | u16::from(second)),
        3 if first == 0xc1 => Some(0xc100 | u16::from(second)),
        _ => None,
    }
}

/// A logical unit number as REPORT LUNS lists it.
#[must_use]
pub fn encode_lun(lun: u16) -> [u8; 8] {
    let [high, low] = lun.to_be_bytes();
    let high = if (256..=MAX_LUN).contains(&lun) { high | 0x40 } else { high };
    [high, low, 0, 0, 0, 0, 0, 0]
}

/// What a controller can address, and how it hands over sense data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest channel.
    pub channel: u16,
    /// Largest target.
    pub target: u16,
    /// Largest logical unit number.
    pub lun: u16,
    /// Does sense data go to the initiator together with the status?  Else the unit keeps it for REQUEST SENSE.
    pub autosense: bool,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its status.
    pub status: Status,
    /// Sense data, if the status says so.
    pub sense: Option<Sense>,
    /// Buffers could not be reached: the status means nothing.
    pub fault: bool,
}

impl Outcome {
    const GOOD: Outcome = Outcome { status: Status::Good, sense: None, fault: false };

    fn check(sense: Sense) -> Outcome {
        Outcome { status: Status::CheckCondition, sense: Some(sense), fault: false }
    }
}

/// What is kept for a unit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Kept {
    attentions: VecDeque<Sense>,
    /// For REQUEST SENSE, if sense data does not go with the status.
    sense: Option<Sense>,
}

impl Kept {
    fn new() -> Kept {
        Kept { attentions: VecDeque::from([Sense::RESET]), sense: None }
    }

    fn attention(&mut self, sense: Sense) {
        if self.attentions.contains(&sense) {
            return;
        }
        if self.attentions.len() == MOST_ATTENTIONS {
            self.attentions.pop_back();
        }
        self.attentions.push_back(sense);
    }
}

struct Slot {
    number: u32,
    address: Address,
    unit: Box<dyn Unit>,
    kept: Kept,
}

/// What is saved of a bus: for each unit its address, what the bus keeps, and its own state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BusState(Vec<(Address, Kept, Vec<u8>)>);

/// A bus.
pub struct Bus {
    limits: Limits,
    slots: Vec<Slot>,
}

impl Bus {
    /// A bus without units.
    #[must_use]
    pub fn new(limits: Limits) -> Bus {
        Bus { limits, slots: Vec::new() }
    }

    /// Adds the unit in `child` where the properties `channel`, `scsi-id` and `lun` say, or where there is room; its number.
    /// Media of unit n call [`Bus::changed`] with n.
    ///
    /// # Errors
    /// It is not a unit, or the address is taken or not there.
    pub fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let unit: Box<dyn Unit> = child.take()?;
        self.add(unit, props.number("channel"), props.signed("scsi-id"), props.signed("lun"))
    }

    /// Adds a unit; negative numbers stand for a place that is free.
    ///
    /// # Errors
    /// The address is taken or not there.
    pub fn add(&mut self, unit: Box<dyn Unit>, channel: u64, target: i32, lun: i32) -> Result<u32, String> {
        let channel = u16::try_from(channel).ok().filter(|n| *n <= self.limits.channel);
        let channel = channel.ok_or("bad scsi channel id")?;
        let within = |n: i32, most: u16, what: &str| match u16::try_from(n) {
            _ if n < 0 => Ok(None),
            Ok(n) if n <= most => Ok(Some(n)),
            _ => Err(format!("bad scsi device {what}: {n}")),
        };
        let target = within(target, self.limits.target, "id")?;
        let lun = within(lun, self.limits.lun, "lun")?;
        let free = |target, lun| {
            let address = Address { channel, target, lun };
            self.slots.iter().all(|slot| slot.address != address).then_some(address)
        };
        let address = match (target, lun) {
            (None, lun) => (0..=self.limits.target).find_map(|n| free(n, lun.unwrap_or(0))).ok_or("no free target")?,
            (Some(target), None) => (0..=self.limits.lun).find_map(|n| free(target, n)).ok_or("no free lun")?,
            (Some(target), Some(lun)) => free(target, lun).ok_or("lun already used")?,
        };
        let free = |n: &u32| self.slots.iter().all(|slot| slot.number != *n);
        let number = (0..MOST_UNITS).find(free).ok_or("too many units")?;
        let at = self.slots.partition_point(|slot| slot.address < address);
        self.slots.insert(at, Slot { number, address, unit, kept: Kept::new() });
        Ok(number)
    }

    /// Takes a unit off; where it was.
    ///
    /// # Errors
    /// There is no unit with this number.
    pub fn remove(&mut self, number: u32) -> Result<Address, String> {
        let at = self.slots.iter().position(|slot| slot.number == number);
        let at = at.ok_or_else(|| format!("there is no unit {number}"))?;
        Ok(self.slots.remove(at).address)
    }

    /// The list of units at the target of `address` has changed while the guest was looking.
    pub fn luns_changed(&mut self, address: Address) {
        for slot in self.slots.iter_mut().filter(|slot| slot.address.same_target(address) && slot.address != address) {
            slot.kept.attention(Sense::LUNS_CHANGED);
        }
    }

    /// Something about the medium of unit `number` has changed; where that unit is, and the unit attentions that follow.
    pub fn changed(&mut self, number: u32) -> Option<(Address, Vec<Sense>)> {
        let slot = self.slots.iter_mut().find(|slot| slot.number == number)?;
        let attentions = slot.unit.changed();
        attentions.iter().for_each(|sense| slot.kept.attention(*sense));
        Some((slot.address, attentions))
    }

    /// The units, by address.
    pub fn units(&self) -> impl Iterator<Item = (Address, &dyn Unit)> {
        self.slots.iter().map(|slot| (slot.address, &*slot.unit))
    }

    /// The unit at `address`.
    #[must_use]
    pub fn unit(&self, address: Address) -> Option<&dyn Unit> {
        self.units().find(|(at, _)| *at == address).map(|(_, unit)| unit)
    }

    /// The unit at `address`, for the controller's own use: unit attentions stay.
    pub fn unit_mut(&mut self, address: Address) -> Option<&mut (dyn Unit + 'static)> {
        self.slots.iter_mut().find(|slot| slot.address == address).map(|slot| &mut *slot.unit)
    }

    /// Where unit `number` is.
    #[must_use]
    pub fn address(&self, number: u32) -> Option<Address> {
        self.slots.iter().find(|slot| slot.number == number).map(|slot| slot.address)
    }

    /// Is there a target, with any unit?
    #[must_use]
    pub fn has_target(&self, address: Address) -> bool {
        self.slots.iter().any(|slot| slot.address.same_target(address))
    }

    /// What a command to `address` says that it moves.
    #[must_use]
    pub fn expected(&self, address: Address, cdb: &[u8]) -> Expected {
        let Some(cdb) = Cdb::new(cdb) else { return Expected::NOTHING };
        let (at, len) = match cdb.op() {
            op::REPORT_LUNS => (6, 4),
            op::REQUEST_SENSE => (4, 1),
            op::INQUIRY => (3, 2),
            _ => return self.unit(address).map_or(Expected::NOTHING, |unit| unit.expected(&cdb)),
        };
        match cdb.field(at, len) {
            0 => Expected::NOTHING,
            bytes => Expected { direction: Direction::In, bytes },
        }
    }

    /// Executes a command; `None`: there is no such target.
    pub fn execute(&mut self, address: Address, cdb: &[u8], data: &mut dyn Data) -> Option<Outcome> {
        if !self.has_target(address) {
            return None;
        }
        let Some(cdb) = Cdb::new(cdb) else { return Some(Outcome::check(Sense::INVALID_OPCODE)) };
        let result = match self.slots.iter().position(|slot| slot.address == address) {
            Some(at) => self.ask(at, &cdb, data),
            None => self.absent(address, &cdb, data),
        };
        let outcome = match result {
            Ok(()) => Outcome::GOOD,
            Err(Failure::Sense(sense)) => Outcome::check(sense),
            Err(Failure::Fault(_)) => Outcome { fault: true, ..Outcome::GOOD },
        };
        let autosense = self.limits.autosense;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.address == address) {
            slot.kept.sense = outcome.sense.filter(|_| !autosense);
        }
        Some(outcome)
    }

    /// A command to a unit that is there.
    fn ask(&mut self, at: usize, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        let slot = &mut self.slots[at];
        match cdb.op() {
            op::REPORT_LUNS => return self.report_luns(self.slots[at].address, cdb, data),
            op::REQUEST_SENSE => {
                let kept = slot.kept.sense.take();
                let sense = kept.or_else(|| slot.kept.attentions.pop_front()).unwrap_or(Sense::NONE);
                return give_sense(sense, cdb, data);
            }
            // These neither report attentions nor end them (SPC-4 6.6.1, MMC-6 6.6.1 and 6.7.1).
            op::INQUIRY | op::GET_CONFIGURATION | op::GET_EVENT_STATUS => {}
            _ => {
                if let Some(sense) = slot.kept.attentions.pop_front() {
                    return Err(sense.into());
                }
            }
        }
        slot.unit.execute(cdb, data)
    }

    /// A command to a unit that is not there, of a target that is (SAM-5 5.11, SPC-4 6.6.1).
    fn absent(&mut self, address: Address, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        let known = address.lun == WELL_KNOWN_REPORT_LUNS;
        match cdb.op() {
            op::REPORT_LUNS if address.lun == 0 || known => self.report_luns(address, cdb, data),
            op::REQUEST_SENSE if known => give_sense(Sense::NONE, cdb, data),
            op::REQUEST_SENSE => give_sense(Sense::LUN_NOT_SUPPORTED, cdb, data),
            0x00 if known => Ok(()),
            op::INQUIRY => {
                let answer = if cdb.byte(1) & 1 != 0 {
                    if cdb.byte(2) != 0 || !known {
                        return Err(Sense::INVALID_FIELD.into());
                    }
                    vec![0x1e, 0, 0, 1, 0]
                } else if cdb.byte(2) != 0 {
                    return Err(Sense::INVALID_FIELD.into());
                } else {
                    // A well-known unit; a place where a unit could be; one where none can be.
                    inquiry_of_nothing(match address.lun {
                        _ if known => 0x1e,
                        0 => 0x20 | peripheral::NONE,
                        _ => 0x60 | peripheral::NONE,
                    })
                };
                let room = cdb.field(3, 2) as usize;
                data.write(&answer[..answer.len().min(room)])?;
                Ok(())
            }
            _ if known => Err(Sense::INVALID_OPCODE.into()),
            _ => Err(Sense::LUN_NOT_SUPPORTED.into()),
        }
    }

    fn report_luns(&mut self, address: Address, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        let (select, room) = (cdb.byte(2), cdb.field(6, 4));
        if room < 16 {
            return Err(Sense::INVALID_FIELD.into());
        }
        let mut luns = Vec::new();
        match select {
            0 | 2 => {
                // LUN 0 is always listed: it is where initiators ask.
                luns.extend([0; 8]);
                let here = self.slots.iter().filter(|s| s.address.same_target(address) && s.address.lun != 0);
                here.for_each(|slot| luns.extend(encode_lun(slot.address.lun)));
            }
            1 => {}
            _ => return Err(Sense::INVALID_FIELD.into()),
        }
        if select != 0 {
            luns.extend(encode_lun(WELL_KNOWN_REPORT_LUNS));
        }
        let mut answer = (luns.len() as u32).to_be_bytes().to_vec();
        answer.extend([0; 4]);
        answer.extend(luns);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        data.write(&answer[..answer.len().min(room)])?;
        for slot in self.slots.iter_mut().filter(|slot| slot.address.same_target(address)) {
            slot.kept.attentions.retain(|sense| *sense != Sense::LUNS_CHANGED);
        }
        Ok(())
    }

    /// Resets one unit.
    pub fn reset_unit(&mut self, address: Address) {
        self.reset_where(|slot| slot.address == address);
    }

    /// Resets all units of a target.
    pub fn reset_target(&mut self, address: Address) {
        self.reset_where(|slot| slot.address.same_target(address));
    }

    /// Back to the state of a new bus with the same units.
    pub fn reset(&mut self) {
        self.reset_where(|_| true);
    }

    fn reset_where(&mut self, which: impl Fn(&Slot) -> bool) {
        for slot in self.slots.iter_mut().filter(|slot| which(slot)) {
            slot.unit.reset();
            slot.kept = Kept::new();
        }
    }

    /// The controller takes all unit attentions itself.
    pub fn clear_attentions(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.kept.attentions.clear());
    }

    /// What is saved.
    ///
    /// # Errors
    /// A unit's.
    pub fn save(&self) -> Result<BusState, StateError> {
        let all = self.slots.iter().map(|slot| Ok((slot.address, slot.kept.clone(), slot.unit.save()?)));
        Ok(BusState(all.collect::<Result<_, StateError>>()?))
    }

    /// Takes a saved state on.
    ///
    /// # Errors
    /// Other units, or a unit's; the bus is then as before.
    pub fn load(&mut self, state: BusState) -> Result<(), StateError> {
        let (saved, here) = (state.0.len(), self.slots.len());
        check(saved == here, "units", || format!("{saved} units, this bus has {here}"))?;
        for (slot, (address, kept, _)) in self.slots.iter().zip(&state.0) {
            check(slot.address == *address, "address", || format!("a unit at {address:?}"))?;
            let waiting = kept.attentions.len();
            check(waiting <= MOST_ATTENTIONS, "attentions", || format!("{waiting} unit attentions"))?;
        }
        let before = self.save()?;
        for at in 0..self.slots.len() {
            if let Err(e) = self.slots[at].unit.load(&state.0[at].2) {
                for (slot, old) in self.slots.iter_mut().zip(&before.0).take(at) {
                    slot.unit.load(&old.2)?;
                }
                return Err(e);
            }
        }
        for (slot, (_, kept, _)) in self.slots.iter_mut().zip(state.0) {
            slot.kept = kept;
        }
        Ok(())
    }
}

/// Answers REQUEST SENSE (SPC-4 6.39).
fn give_sense(sense: Sense, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
    let bytes = if cdb.byte(1) & 1 != 0 { sense.descriptor() } else { sense.fixed().to_vec() };
    let room = usize::from(cdb.byte(4));
    data.write(&bytes[..bytes.len().min(room)])?;
    Ok(())
}

/// Standard inquiry data of a target without the unit that was asked.
fn inquiry_of_nothing(first: u8) -> Vec<u8> {
    let mut bytes = vec![first, 0, 5, 0x12, 31, 0, 0, 0x02];
    bytes.extend(b"QEMU    QEMU TARGET     2.5+");
    bytes
}

#[cfg(test)]
mod tests;
