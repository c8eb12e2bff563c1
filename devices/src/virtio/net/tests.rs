//! Tests of the network card by a driver's side.

use tern_core::device::Device as _;
use super::super::testing::Driver;
use super::*;
use tern_core::mem::Size;

const ALL: u64 = feature::CSUM
    | feature::HOST_TSO4
    | feature::GUEST_CSUM
    | feature::CTRL_GUEST_OFFLOADS
    | feature::MRG_RXBUF
    | feature::STATUS
    | feature::GUEST_ANNOUNCE
    | feature::CTRL_VQ
    | feature::CTRL_RX
    | feature::CTRL_RX_EXTRA
    | feature::CTRL_VLAN
    | feature::CTRL_MAC_ADDR;

fn driver(features: u64, pairs: u16) -> Driver {
    Driver::split(features, |bench| Box::new(Net::new(bench.net(), Config { pairs, ..Config::default() })))
}

/// A byte of the configuration space.
fn config(driver: &mut Driver, at: u64) -> u64 {
    driver.device.read(0, 0x100 + at, Size::B1)
}

/// All chains that the device has returned: how much it wrote, and where.
fn used(driver: &mut Driver, queue: u16) -> Vec<(u32, Vec<u8>)> {
    core::iter::from_fn(|| driver.done(queue).map(|done| (done.len, done.data))).collect()
}

fn lengths(driver: &mut Driver, queue: u16) -> Vec<u32> {
    used(driver, queue).iter().map(|done| done.0).collect()
}

/// A header as drivers write it.
fn header(flags: u8, gso_type: u8, gso_size: u16, start: u16, offset: u16) -> Vec<u8> {
    let halves = [54, gso_size, start, offset, 0].map(u16::to_le_bytes).concat();
    [vec![flags, gso_type], halves].concat()
}

fn sent(driver: &Driver) -> Vec<Vec<u8>> {
    driver.bench.frames.take()
}

fn send(driver: &mut Driver, header: &[u8], frame: &[u8]) {
    driver.ask(1, &[header, frame], &[]);
}

fn lend(driver: &mut Driver, queue: u16, len: usize) {
    driver.add(queue, &[], &[len], false);
}

/// Has the last queue obey a command.
fn command(driver: &mut Driver, bytes: &[u8]) -> u8 {
    let pairs = if driver.features & feature::MQ != 0 { config(driver, 8) as u16 } else { 1 };
    driver.ask(2 * pairs, &[&bytes[..2], &bytes[2..]], &[1]).data[0]
}

#[test]
fn frames_go_out_complete() {
    let mut driver = driver(ALL, 1);
    let frame = offload::sample(17, b"ping");
    send(&mut driver, &header(0, 0, 0, 0, 0), &frame);
    assert_eq!(sent(&driver), vec![frame.clone()]);
    driver.ask(1, &[&[&header(1, 0, 0, 34, 6)[..], &frame[..20]].concat(), &frame[20..]], &[]);
    let done = sent(&driver);
    // The sum that the driver leaves was zero, so this is no valid one, but it is there.
    assert!(done[0] != frame && done[0].len() == frame.len());
    let large = offload::sample(6, &[7; 3000]);
    send(&mut driver, &header(1, 1, 1460, 34, 16), &large);
    let pieces = sent(&driver);
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1514, 134]);
    assert!(pieces.iter().all(|piece| offload::checksum_is_valid(piece)));
    assert_eq!((driver.bench.guest_errors(), driver.is_broken()), (0, false));
}

#[test]
fn nonsense_is_counted_and_not_sent() {
    let mut driver = driver(ALL & !feature::HOST_TSO4, 1);
    let frame = offload::sample(6, &[1; 100]);
    driver.ask(1, &[b"short"], &[]);
    send(&mut driver, &header(0, 0, 0, 0, 0), b"tiny");
    send(&mut driver, &header(0, 0, 0, 0, 0), &vec![0; 0x1_1001]);
    send(&mut driver, &header(1, 0, 0, 150, 16), &frame);
    send(&mut driver, &header(1, 1, 50, 34, 16), &frame);
    send(&mut driver, &header(1, 0x33, 50, 34, 16), &frame);
    assert_eq!((sent(&driver).len(), driver.bench.guest_errors(), driver.is_broken()), (0, 6, false));
}

#[test]
fn received_frames_are_spread_over_buffers() {
    let mut driver = driver(ALL, 1);
    assert_eq!(driver.device.room(0), 0);
    let frame = offload::sample(17, b"no checksum");
    driver.device.receive(0, &frame);
    [20, 20, 100].iter().for_each(|len| lend(&mut driver, 0, *len));
    assert_eq!(driver.device.room(0), 1);
    driver.device.receive(0, &frame);
    let done = used(&mut driver, 0);
    assert_eq!(done.iter().map(|done| done.0).collect::<Vec<_>>(), [20, 20, 25]);
    let bytes: Vec<u8> = done.iter().flat_map(|(len, data)| data[..*len as usize].to_vec()).collect();
    assert_eq!((&bytes[..12], &bytes[12..]), (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0][..], &frame[..]));
    // Not enough for another one: what there is stays with the device.
    lend(&mut driver, 0, 30);
    driver.device.receive(0, &frame);
    assert_eq!(lengths(&mut driver, 0), []);
    lend(&mut driver, 0, 50);
    driver.device.receive(0, &frame);
    assert_eq!(lengths(&mut driver, 0), [30, 35]);
    assert_eq!((driver.bench.guest_errors(), driver.is_broken()), (0, false));
}

#[test]
fn without_merging_a_buffer_holds_a_frame() {
    let mut driver = driver(feature::CTRL_VQ, 1);
    let frame = offload::sample(17, b"x");
    [40, 60].iter().for_each(|len| lend(&mut driver, 0, *len));
    driver.device.receive(0, &frame);
    assert_eq!((lengths(&mut driver, 0), driver.bench.guest_errors()), (vec![], 1));
    driver.device.receive(0, &frame[..28]);
    driver.device.receive(0, &frame);
    let done = used(&mut driver, 0);
    assert_eq!((done[0].0, done[1].0, &done[1].1[10..12]), (40, 55, &[1, 0][..]));
}

#[test]
fn valid_checksums_are_vouched_for_until_the_driver_switches_that_off() {
    let mut driver = driver(ALL, 1);
    let mut frame = Vec::new();
    let segment = Header { gso_type: header::GSO_TCPV4, gso_size: 1000, ..Header::default() };
    offload::segment(&offload::sample(6, b"data"), &segment, |piece| frame = piece.to_vec()).unwrap();
    let flags = |driver: &mut Driver, frame: &[u8]| {
        lend(driver, 0, 200);
        driver.device.receive(0, frame);
        used(driver, 0)[0].1[0]
    };
    assert_eq!(flags(&mut driver, &frame), 2);
    let mut bad = frame.clone();
    bad[55] ^= 1;
    assert_eq!(flags(&mut driver, &bad), 0);
    assert_eq!(command(&mut driver, &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 0);
    assert_eq!(flags(&mut driver, &frame), 0);
    assert_eq!((command(&mut driver, &[5, 0, 2, 1, 0, 0, 0, 0, 0, 0]), driver.bench.guest_errors()), (1, 1));
}

#[test]
fn the_driver_chooses_what_it_receives() {
    let mut driver = driver(ALL, 1);
    let frame = offload::sample(17, b"x");
    let passes = |driver: &mut Driver, to: [u8; 6]| {
        lend(driver, 0, 200);
        driver.device.receive(0, &[&to[..], &frame[6..]].concat());
        used(driver, 0).len() == 1
    };
    let (mac, other, group) = ([0x52, 0x54, 0, 0x12, 0x34, 0x56], [2, 0, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 7]);
    assert!(passes(&mut driver, other));
    assert_eq!(command(&mut driver, &[0, 0, 0]), 0);
    assert!(passes(&mut driver, mac) && !passes(&mut driver, other) && !passes(&mut driver, group));
    let tables = [&[1, 0, 0, 0, 0, 0][..], &[1, 0, 0, 0], &group].concat();
    assert_eq!(command(&mut driver, &tables), 0);
    assert!(!passes(&mut driver, other) && passes(&mut driver, group));
    let many = [&[1, 0, 65, 0, 0, 0][..], &[9; 65 * 6], &[0; 4]].concat();
    assert_eq!(command(&mut driver, &many), 0);
    assert!(passes(&mut driver, other) && !passes(&mut driver, group));
    assert_eq!(command(&mut driver, &[&[1, 1][..], &other].concat()), 0);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|at| config(&mut driver, at) as u8), other);
    assert_eq!((command(&mut driver, &[0, 5, 1]), passes(&mut driver, [0xff; 6])), (0, false));
    assert_eq!((command(&mut driver, &[2, 0, 5, 0]), command(&mut driver, &[2, 1, 5, 0])), (0, 0));
    let saved = driver.device.save().unwrap();
    driver.device.reset();
    driver.device.load(&saved).unwrap();
    assert_eq!((driver.device.save().unwrap(), driver.bench.guest_errors()), (saved, 0));
    for wrong in [&[0, 6, 1][..], &[1, 0, 2, 0, 0, 0, 9], &[2, 0, 0, 0x10], &[4, 0, 1, 0], &[9, 9, 9], &[1, 1, 5]] {
        assert_eq!(command(&mut driver, wrong), 1, "{wrong:?}");
    }
    assert_eq!(driver.bench.guest_errors(), 6);
}

#[test]
fn the_link_goes_down_and_the_guest_announces_itself() {
    let mut driver = driver(ALL, 1);
    let tell = |driver: &mut Driver, what| {
        driver.device.receive(CONTROL_PORT, &[what]);
        config(driver, 6)
    };
    assert_eq!((tell(&mut driver, link::DOWN), driver.interrupts()), (0, 3));
    send(&mut driver, &header(0, 0, 0, 0, 0), &offload::sample(17, b""));
    assert!(sent(&driver).is_empty());
    assert_eq!((tell(&mut driver, link::UP), tell(&mut driver, link::ANNOUNCE)), (1, 3));
    assert_eq!((command(&mut driver, &[3, 0, 0]), config(&mut driver, 6)), (0, 1));
}

#[test]
fn flows_come_back_on_the_pair_they_were_sent_on() {
    let mut driver = driver(ALL | feature::MQ, 4);
    assert_eq!(config(&mut driver, 8), 4);
    assert_eq!((command(&mut driver, &[4, 0, 5, 0]), command(&mut driver, &[4, 0, 3, 0])), (1, 0));
    let frame = offload::sample(6, b"query");
    driver.ask(5, &[&header(0, 0, 0, 0, 0), &frame], &[]);
    let mut answer = frame;
    let (from, to) = (answer[26..30].to_vec(), answer[30..34].to_vec());
    answer.splice(26..34, [to, from].concat());
    let ports = [answer[36..38].to_vec(), answer[34..36].to_vec()].concat();
    answer.splice(34..38, ports);
    assert_eq!(driver.device.room(0), 0);
    for queue in [0, 2, 4] {
        lend(&mut driver, queue, 200);
    }
    assert_eq!(driver.device.room(0), 1);
    driver.device.receive(0, &answer);
    assert_eq!([0, 2, 4].map(|queue| used(&mut driver, queue).len()), [0, 0, 1]);
    assert_eq!(command(&mut driver, &[4, 0, 1, 0]), 0);
    driver.device.receive(0, &answer);
    assert_eq!([0, 2, 4].map(|queue| used(&mut driver, queue).len()), [1, 0, 0]);
}
