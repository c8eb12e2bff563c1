//! Tests of the bus.

use super::super::{Command, Local, Moves, Task};
use super::*;

/// A unit that counts what it is asked.
#[derive(Default)]
struct Counter {
    asked: u64,
    attentions: Vec<Sense>,
}

static ROWS: &[Command<Counter>] = &[
    Command { op: 0x00, action: None, moves: Moves::Nothing, medium: false, run: Counter::count },
    Command { op: 0x12, action: None, moves: Moves::In(3, 2), medium: false, run: Counter::count },
];

impl Counter {
    fn count(&mut self, task: &mut Task<'_>) -> Result<(), Failure> {
        self.asked += 1;
        task.answer(&self.asked.to_le_bytes())
    }
}

impl Unit for Counter {
    fn kind(&self) -> &'static str {
        "counter"
    }
    fn peripheral(&self) -> u8 {
        peripheral::DISK
    }
    fn block_size(&self) -> u32 {
        512
    }
    fn blocks(&self) -> u64 {
        0
    }
    fn expected(&self, cdb: &Cdb) -> Expected {
        Command::find(ROWS, cdb).map_or(Expected::NOTHING, |row| row.moves.expected(cdb, 512))
    }
    fn execute(&mut self, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        let row = Command::find(ROWS, cdb)?;
        let expected = row.moves.expected(cdb, 512);
        (row.run)(self, &mut Task { cdb: *cdb, data, expected })
    }
    fn changed(&mut self) -> Vec<Sense> {
        core::mem::take(&mut self.attentions)
    }
    fn reset(&mut self) {
        self.asked = 0;
    }
    fn save(&self) -> Result<Vec<u8>, StateError> {
        Ok(self.asked.to_le_bytes().to_vec())
    }
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let asked = bytes.try_into().map(u64::from_le_bytes);
        check(asked.is_ok_and(|n| n < 1000), "asked", || format!("{bytes:?}"))?;
        self.asked = asked.unwrap_or(0);
        Ok(())
    }
}

fn bus(autosense: bool, places: &[(i32, i32)]) -> Bus {
    let mut bus = Bus::new(Limits { channel: 0, target: 7, lun: 300, autosense });
    for (target, lun) in places {
        bus.add(Box::new(Counter::default()), 0, *target, *lun).unwrap();
    }
    bus
}

fn ask(bus: &mut Bus, address: Address, cdb: &[u8]) -> (Option<Outcome>, Vec<u8>) {
    let mut data = Local::new(&[], 4096);
    let outcome = bus.execute(address, cdb, &mut data);
    (outcome, data.answer)
}

const READY: [u8; 6] = [0; 6];
const SENSE: [u8; 6] = [3, 0, 0, 0, 252, 0];
const LUNS: [u8; 12] = [0xa0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0];

#[test]
fn units_find_their_places() {
    let mut bus = bus(true, &[(-1, -1), (-1, -1), (5, -1), (5, -1), (-1, 3), (2, 300)]);
    let places: Vec<(u16, u16)> = bus.units().map(|(at, _)| (at.target, at.lun)).collect();
    assert_eq!(places, [(0, 0), (0, 3), (1, 0), (2, 300), (5, 0), (5, 1)]);
    let mut add = |channel, target, lun| bus.add(Box::new(Counter::default()), channel, target, lun);
    assert_eq!(add(0, 5, 1), Err("lun already used".to_owned()));
    assert!(add(1, 0, 1).is_err() && add(0, 8, 0).is_err() && add(0, 0, 301).is_err() && add(0, i32::MAX, 0).is_err());
    let number = add(0, 7, 7).unwrap();
    assert_eq!(bus.remove(number), Ok(Address::new(7, 7)));
    assert!(bus.remove(number).is_err() && !bus.has_target(Address::new(7, 0)));
    assert_eq!(bus.add(Box::new(Counter::default()), 0, 7, 0), Ok(number));
}

#[test]
fn attentions_come_first_and_once() {
    let mut bus = bus(true, &[(0, 0), (0, 1)]);
    let here = Address::new(0, 0);
    assert!(ask(&mut bus, here, &[0x12, 0, 0, 0, 8, 0]).0 == Some(Outcome::GOOD), "INQUIRY ends no attention");
    assert_eq!(ask(&mut bus, here, &READY).0, Some(Outcome::check(Sense::RESET)));
    assert_eq!(ask(&mut bus, here, &READY).0, Some(Outcome::GOOD));
    bus.luns_changed(Address::new(0, 1));
    assert_eq!(ask(&mut bus, here, &READY).0, Some(Outcome::check(Sense::LUNS_CHANGED)));
    bus.luns_changed(Address::new(0, 1));
    let (outcome, luns) = ask(&mut bus, here, &LUNS);
    assert_eq!((outcome, &luns[..4], luns.len()), (Some(Outcome::GOOD), &[0, 0, 0, 16][..], 24));
    assert_eq!(luns[17], 1);
    assert_eq!(ask(&mut bus, here, &READY).0, Some(Outcome::GOOD), "the list was read");
    // What is asked for is told as data.
    bus.reset_unit(here);
    let (outcome, sense) = ask(&mut bus, here, &SENSE);
    assert_eq!((outcome, &sense[..], sense.len()), (Some(Outcome::GOOD), &Sense::RESET.fixed()[..], 18));
    assert_eq!(ask(&mut bus, here, &SENSE).1[2], 0);
    // They do not pile up.
    bus.slots[0].unit = Box::new(Counter { asked: 0, attentions: (0..20).map(|n| Sense::RESET.at(n)).collect() });
    assert_eq!(bus.changed(0).map(|(at, list)| (at, list.len())), Some((here, 20)));
    assert_eq!(bus.slots[0].kept.attentions.len(), MOST_ATTENTIONS);
    assert!(bus.changed(77).is_none());
}

#[test]
fn sense_data_waits_where_it_does_not_go_along() {
    let mut bus = bus(false, &[(0, 0)]);
    let here = Address::new(0, 0);
    ask(&mut bus, here, &READY);
    assert_eq!(ask(&mut bus, here, &SENSE).1[12], 0x29);
    assert_eq!(ask(&mut bus, here, &[0x99; 16]).0.unwrap().sense, Some(Sense::INVALID_OPCODE));
    assert_eq!(ask(&mut bus, here, &[3, 1, 0, 0, 252, 0]).1, [0x72, 5, 0x20, 0, 0, 0, 0, 0]);
    ask(&mut bus, here, &[0x99; 16]);
    ask(&mut bus, here, &READY);
    assert_eq!(ask(&mut bus, here, &SENSE).1[2], 0, "the next command ends it");
}

#[test]
fn units_that_are_not_there_answer_as_targets_do() {
    let mut bus = bus(true, &[(3, 2), (3, 256)]);
    let target = Address::new(3, 0);
    assert_eq!(ask(&mut bus, Address::new(1, 0), &READY).0, None);
    let refused = Some(Outcome::check(Sense::LUN_NOT_SUPPORTED));
    assert_eq!(ask(&mut bus, target, &READY).0, refused);
    assert_eq!(ask(&mut bus, Address::new(3, 9), &READY).0, refused);
    assert_eq!(ask(&mut bus, target, &[0x12, 0, 0, 0, 36, 0]).1[0], 0x3f);
    assert_eq!(ask(&mut bus, Address::new(3, 9), &[0x12, 0, 0, 0, 1, 0]).1, [0x7f]);
    assert_eq!(ask(&mut bus, Address::new(3, 9), &SENSE).1[12], 0x25);
    let (outcome, luns) = ask(&mut bus, target, &LUNS);
    assert_eq!((outcome, luns.len()), (Some(Outcome::GOOD), 8 + 24));
    assert_eq!((luns[17], &luns[24..26]), (2, &[0x41, 0x00][..]));
    assert_eq!((parse_lun(0x41, 0), parse_lun(0, 2), parse_lun(0x80, 0)), (Some(256), Some(2), None));
    let well_known = Address::new(3, WELL_KNOWN_REPORT_LUNS);
    let all = [&[0xa0, 0, 2][..], &LUNS[3..]].concat();
    assert_eq!(ask(&mut bus, well_known, &all).1[32..34], [0xc1, 0x01]);
    assert_eq!(ask(&mut bus, well_known, &READY).0, Some(Outcome::GOOD));
    assert_eq!(ask(&mut bus, well_known, &[0x28; 10]).0.unwrap().sense, Some(Sense::INVALID_OPCODE));
    let short = [&LUNS[..8], &[0, 15, 0, 0]].concat();
    assert_eq!(ask(&mut bus, target, &short).0.unwrap().sense, Some(Sense::INVALID_FIELD));
    assert_eq!(ask(&mut bus, target, &[]).0.unwrap().sense, Some(Sense::INVALID_OPCODE));
    assert_eq!(ask(&mut bus, target, &[0x28, 0, 0]).0.unwrap().sense, Some(Sense::INVALID_OPCODE));
}

#[test]
fn states_are_of_these_units_or_refused() {
    let mut one = bus(true, &[(0, 0), (1, 0)]);
    (0..3).for_each(|_| drop(ask(&mut one, Address::new(1, 0), &READY)));
    let saved = one.save().unwrap();
    let mut other = bus(true, &[(0, 0), (1, 0)]);
    other.load(saved.clone()).unwrap();
    assert_eq!(other.save().unwrap(), saved);
    assert!(bus(true, &[(0, 0), (2, 0)]).load(saved.clone()).is_err());
    assert!(bus(true, &[(0, 0)]).load(saved.clone()).is_err());
    let mut bad = saved.clone();
    bad.0[0].2 = 5u64.to_le_bytes().to_vec();
    bad.0[1].2 = 5000u64.to_le_bytes().to_vec();
    assert!(other.load(bad).is_err());
    assert_eq!(other.save().unwrap(), saved, "as before");
    let mut many = saved.clone();
    many.0[0].1.attentions = VecDeque::from([Sense::NONE; 5]);
    assert!(other.load(many).is_err());
    other.reset();
    assert_eq!(other.save().unwrap(), bus(true, &[(0, 0), (1, 0)]).save().unwrap());
}
