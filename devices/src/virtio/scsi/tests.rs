//! Tests of virtio-scsi, as its driver uses it.

use super::super::testing::Driver;
use super::*;
use crate::bench::{Bench, MemoryDisk};
use crate::scsi::disk::{self, Disk};
use crate::scsi::Unit;
use tern_core::device::Device;

const DISK: usize = 1 << 20;

fn config() -> Config {
    Config { queues: 2, queue_size: 64, seg_max: 62, max_sectors: 0xffff, cmd_per_lun: 128, hotplug: true, param_change: true }
}

fn disk(cd: bool) -> Box<dyn Unit> {
    let bytes = (0..DISK).map(|n| (n / 512 + n) as u8).collect();
    let medium = Box::new(MemoryDisk { bytes, read_only: false });
    let block_size = if cd { 2048 } else { 512 };
    Box::new(Disk::new(Some(medium), disk::Config { cd, block_size, removable: cd, ..disk::Config::default() }))
}

fn adapter(places: &[(i32, i32)]) -> impl FnOnce(&mut Bench) -> Box<dyn VirtioDevice> {
    let mut scsi = Scsi::new(config());
    for (target, lun) in places {
        scsi.bus.add(disk(*lun == 5), 0, *target, *lun).unwrap();
    }
    move |_| Box::new(scsi)
}

/// How a request ended: response, status, residual, sense data, data.
type Answer = (u8, u8, u32, Vec<u8>, Vec<u8>);

fn ask(d: &mut Driver, lun: [u8; 4], cdb: &[u8], out: &[u8], room: usize) -> Answer {
    let mut request = lun.to_vec();
    request.resize(19, 0);
    request.extend(cdb);
    request.resize(19 + 32, 0);
    let mut lent = vec![&request[..]];
    lent.extend((!out.is_empty()).then_some(out));
    let mut back = vec![108];
    back.extend((room > 0).then_some(room));
    let done = d.ask(2, &lent, &back);
    let (response, data) = done.data.split_at(108);
    let word = |at: usize| u32::from_le_bytes(response[at..at + 4].try_into().unwrap());
    let sense = response[12..12 + word(0) as usize].to_vec();
    let data = data[..(done.len as usize).saturating_sub(108).min(data.len())].to_vec();
    (response[11], response[10], word(4), sense, data)
}

#[test]
fn commands_reach_their_units() {
    for mut d in [Driver::split(u64::MAX >> 16, adapter(&[(1, 0)])), Driver::packed(u64::MAX >> 16, adapter(&[(1, 0)]))] {
        let here = [1, 1, 0, 0];
        let (response, status, _, sense, _) = ask(&mut d, here, &[0], &[], 0);
        assert_eq!((response, status), (0, 2));
        assert_eq!((sense.len(), sense[0], sense[2], sense[12], sense[13]), (18, 0x70, 6, 0x29, 0));
        assert_eq!(ask(&mut d, here, &[0], &[], 0), (0, 0, 0, vec![], vec![]));
        let data: Vec<u8> = (0..1024).map(|n| (n * 3) as u8).collect();
        assert_eq!(ask(&mut d, here, &[0x2a, 0, 0, 0, 0, 7, 0, 0, 2, 0], &data, 0).1, 0);
        assert_eq!(ask(&mut d, here, &[0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0], &[], 1024), (0, 0, 0, vec![], data));
        // Less than there is room for: the rest is residual.
        let (response, status, left, _, data) = ask(&mut d, here, &[0x25], &[], 100);
        assert_eq!((response, status, left, data.len()), (0, 0, 92, 8));
        // More than there is room for.
        assert_eq!(ask(&mut d, here, &[0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0], &[], 1000).0, 1);
        assert_eq!(ask(&mut d, here, &[0x28, 0, 0, 0, 0, 7, 0, 0, 2, 0], &[0; 1024], 0).0, 1);
        assert_eq!(ask(&mut d, here, &[0x2a, 0, 0, 0, 0, 7, 0, 0, 2, 0], &[0; 1024], 1024).0, 9);
        assert_eq!(ask(&mut d, [1, 2, 0, 0], &[0], &[], 0).0, 3);
        assert_eq!(ask(&mut d, [2, 1, 0, 0], &[0], &[], 0).0, 3);
        let (response, status, _, sense, _) = ask(&mut d, [1, 1, 0x40, 9], &[0], &[], 0);
        assert_eq!((response, status, sense[12]), (0, 2, 0x25));
        assert!(!d.is_broken());
        d.add(2, &[&[1; 20]], &[108], false);
        d.kick(2);
        assert!(d.is_broken());
    }
}

#[test]
fn sizes_of_requests_and_responses_are_chosen() {
    let mut d = Driver::split(u64::MAX >> 16, adapter(&[(0, 0)]));
    d.device.write(0, 0x100 + 20, tern_core::mem::Size::B4, 14);
    d.device.write(0, 0x100 + 24, tern_core::mem::Size::B4, 6);
    let mut request = vec![1, 0, 0, 0];
    request.resize(19 + 6, 0);
    let done = d.ask(2, &[&request], &[12 + 14]);
    assert_eq!((done.data[0], done.data[10], done.data[24]), (14, 2, 0x29));
    assert_eq!(d.bench.guest_errors(), 0);
    d.device.write(0, 0x100 + 4, tern_core::mem::Size::B4, 6);
    assert_eq!((d.bench.guest_errors(), d.is_broken()), (1, false));
    d.device.write(0, 0x100 + 24, tern_core::mem::Size::B4, 256);
    assert!(d.is_broken());
}

fn manage(d: &mut Driver, subtype: u32, lun: [u8; 4]) -> u8 {
    let mut request = [&[0; 4][..], &subtype.to_le_bytes(), &lun].concat();
    request.resize(24, 0);
    d.ask(0, &[&request], &[1]).data[0]
}

#[test]
fn tasks_and_units_are_managed() {
    let mut d = Driver::split(u64::MAX >> 16, adapter(&[(0, 0), (0, 1)]));
    let ready = |d: &mut Driver, lun: u8| ask(d, [1, 0, 0, lun], &[0], &[], 0).1;
    assert_eq!([ready(&mut d, 0), ready(&mut d, 0), ready(&mut d, 1), ready(&mut d, 1)], [2, 0, 2, 0]);
    for subtype in [0, 1, 3, 6, 7] {
        assert_eq!(manage(&mut d, subtype, [1, 0, 0, 0]), 0);
        assert_eq!((manage(&mut d, subtype, [1, 0, 0, 9]), manage(&mut d, subtype, [1, 3, 0, 0])), (12, 3));
    }
    assert_eq!((manage(&mut d, 2, [1, 0, 0, 0]), manage(&mut d, 99, [1, 0, 0, 0])), (11, 11));
    assert_eq!(manage(&mut d, 5, [1, 0, 0, 1]), 0);
    assert_eq!([ready(&mut d, 0), ready(&mut d, 1), ready(&mut d, 1)], [0, 2, 0]);
    assert_eq!(manage(&mut d, 4, [1, 0, 0, 0]), 0);
    assert_eq!([ready(&mut d, 0), ready(&mut d, 1)], [2, 2]);
    assert_eq!(d.ask(0, &[&[1, 0, 0, 0], &[0; 12]], &[5]).data, [0; 5]);
    assert_eq!((d.bench.guest_errors(), d.is_broken()), (0, false));
    d.add(0, &[&[0; 20]], &[1], false);
    d.kick(0);
    assert!(d.is_broken());
}

/// Units come and go while a driver runs; the transports do this.
#[test]
fn events_tell_of_units_and_media_or_are_missed() {
    let scsi = Scsi::new(config());
    let mut bench = Bench::new();
    let (kit, line) = (bench.kit("virtio-scsi-device"), bench.line());
    let mut slot = super::super::VirtioMmio::new(kit, line, Box::new(scsi), super::super::Options::default(), false);
    let mut props = Props::defaults(crate::model::find("scsi-hd").unwrap().props());
    props.set("scsi-id", crate::model::Value::Signed(3));
    props.set("lun", crate::model::Value::Signed(300));
    let child = || Child::new(disk(false));
    let number = slot.plug(&props, child()).unwrap();
    assert!(slot.plug(&props, child()).is_err());
    slot.unplug(number).unwrap();
    assert!(slot.unplug(number).is_err());

    let mut d = Driver::split(u64::MAX >> 16, |_| Box::new(Plugger(Scsi::new(config()))));
    let event = |d: &mut Driver| d.done(1).map(|done| done.data);
    // No buffers: events are lost, and that is told as soon as there are.
    d.device.changed(COME);
    d.add(1, &[], &[16], false);
    d.kick(1);
    assert_eq!(event(&mut d).unwrap()[..4], [0, 0, 0, 0x80]);
    (0..4).for_each(|_| d.add(1, &[], &[16], false));
    d.kick(1);
    assert_eq!(event(&mut d), None);
    d.device.changed(GO);
    assert_eq!(event(&mut d).unwrap(), [1, 0, 0, 0, 1, 3, 0x41, 0x2c, 0, 0, 0, 0, 2, 0, 0, 0]);
    d.device.changed(COME);
    assert_eq!(event(&mut d).unwrap(), [1, 0, 0, 0, 1, 3, 0x41, 0x2c, 0, 0, 0, 0, 1, 0, 0, 0]);
    d.device.changed(0);
    assert_eq!(event(&mut d), None, "the medium is as it was");
    let all = d.features;
    d.start(all & !(HOTPLUG | CHANGE));
    d.device.changed(GO);
    assert_eq!(event(&mut d), None, "a driver that did not ask");
    d.start(all);
    d.add(1, &[], &[15], false);
    d.device.changed(COME);
    assert!(d.is_broken());
}

const COME: u32 = 0xf0;
const GO: u32 = 0xf1;

/// An adapter whose units come and go with backend messages.
struct Plugger(Scsi);

impl VirtioDevice for Plugger {
    fn kind(&self) -> &'static Kind {
        self.0.kind()
    }
    fn features(&self) -> u64 {
        self.0.features()
    }
    fn queues(&self) -> Vec<u16> {
        self.0.queues()
    }
    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        self.0.notify(cx, queue)
    }
    fn changed(&mut self, cx: &mut Cx<'_>, port: u32) {
        match port {
            COME => {
                self.0.bus.add(disk(false), 0, 3, 300).unwrap();
                self.0.moved.push((Address::new(3, 300), true));
                let _ = self.0.plugged(cx);
            }
            GO => {
                self.0.unplug(0).unwrap();
                let _ = self.0.plugged(cx);
            }
            _ => self.0.changed(cx, port),
        }
    }
    fn reset(&mut self, clock: &Clock) {
        self.0.reset(clock);
    }
    fn save(&self) -> Result<Vec<u8>, StateError> {
        self.0.save()
    }
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.0.load(bytes)
    }
}

#[test]
fn the_configuration_space_and_saved_states_are_right() {
    let scsi = Scsi::new(config());
    let bytes = scsi.config();
    assert_eq!((bytes.len(), bytes[0], bytes[4], &bytes[16..36]), (
        36,
        2,
        62,
        &[16, 0, 0, 0, 96, 0, 0, 0, 32, 0, 0, 0, 0, 0, 255, 0, 0xff, 0x3f, 0, 0][..]
    ));
    let mut other = Scsi::new(config());
    other.state.cdb_size = 256;
    let bad = other.save().unwrap();
    assert!(other.load(&bad).is_err());
    other.load(&scsi.save().unwrap()).unwrap();
    assert_eq!(other.state, State::NEW);
    let mut with_unit = Scsi::new(config());
    with_unit.bus.add(disk(true), 0, 0, 5).unwrap();
    assert!(with_unit.load(&scsi.save().unwrap()).is_err());
}
