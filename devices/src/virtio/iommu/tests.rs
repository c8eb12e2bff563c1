//! virtio-iommu as its driver sees it, and what functions behind it reach.

use super::*;
use crate::virtio::testing::Driver;
use tern_core::device::Device as _;
use tern_core::mem::Size;

/// A device with endpoints 0, 8 and 0x100, and a table to translate by.
fn driver(reserved: Vec<Reserved>) -> (Driver, Rc<Table>) {
    let device = VirtioIommu::new(true, u64::MAX, reserved);
    let table = device.table.clone();
    table.requesters(&[0, 8, 0x100]);
    (Driver::split(!0, |_| Box::new(device)), table)
}

fn ask(d: &mut Driver, request: &[u8]) -> u8 {
    let done = d.ask(0, &[request], &[4]);
    assert_eq!((done.len, &done.data[1..]), (4, &[0; 3][..]));
    done.data[0]
}

fn words(kind: u8, fields: &[u32]) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], &fields.iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<_>>()].concat()
}

fn attach(d: &mut Driver, domain: u32, endpoint: u32) -> u8 {
    ask(d, &words(1, &[domain, endpoint, 0, 0]))
}

fn detach(d: &mut Driver, domain: u32, endpoint: u32) -> u8 {
    ask(d, &words(2, &[domain, endpoint, 0, 0]))
}

fn map(d: &mut Driver, domain: u32, first: u64, last: u64, to: u64, flags: u32) -> u8 {
    let mut request = words(3, &[domain]);
    [first, last, to].iter().for_each(|f| request.extend(f.to_le_bytes()));
    request.extend(flags.to_le_bytes());
    ask(d, &request)
}

fn unmap(d: &mut Driver, domain: u32, first: u64, last: u64) -> u8 {
    let mut request = words(4, &[domain]);
    [first, last].iter().for_each(|f| request.extend(f.to_le_bytes()));
    request.extend([0; 4]);
    ask(d, &request)
}

#[test]
fn endpoints_come_and_go() {
    let (mut d, table) = driver(Vec::new());
    assert_eq!((attach(&mut d, 0, 0), attach(&mut d, 0, 444), detach(&mut d, 0, 1)), (0, 6, 6));
    assert_eq!((attach(&mut d, 1, 0), detach(&mut d, 0, 0), detach(&mut d, 1, 0)), (0, 4, 0));
    assert_eq!(attach(&mut d, 1, 0x1_0000), 6);
    // A domain for bypass is no other.
    assert_eq!((ask(&mut d, &words(1, &[2, 8, 1, 0])), attach(&mut d, 2, 0)), (0, 4));
    assert_eq!((map(&mut d, 2, 0, 9, 0, 1), ask(&mut d, &words(1, &[2, 8, 2, 0]))), (4, 4));
    assert_eq!(table.translate(8, 77, true).map(|s| s.addr), Ok(77));
    assert_eq!((ask(&mut d, &words(9, &[])), ask(&mut d, &[1, 0, 0, 0, 5])), (2, 4));
    assert!(!d.is_broken());
    d.ask(0, &[&words(1, &[1, 0, 0, 0])], &[4]);
    let saved = d.device.save().unwrap();
    d.device.load(&saved).unwrap();
    assert_eq!(detach(&mut d, 1, 0), 0);
    d.add(0, &[&[1]], &[3], false);
    d.kick(0);
    assert!(d.is_broken(), "there must be room for a status");
}

#[test]
fn mappings_are_removed_whole_or_not_at_all() {
    let (mut d, _) = driver(Vec::new());
    assert_eq!((attach(&mut d, 1, 0), map(&mut d, 0, 0, 0xfff, 0xa1000, 1)), (0, 6));
    assert_eq!((map(&mut d, 1, 0, 0xfff, 0xa1000, 1), map(&mut d, 1, 0, 0xffff, 0xb1000, 1)), (0, 4));
    assert_eq!((unmap(&mut d, 4, 0x10, 0xfff), unmap(&mut d, 1, 0x10, 0xfff), unmap(&mut d, 1, 0, 0x1000)), (6, 5, 0));
    assert_eq!(unmap(&mut d, 1, 0, 4), 0, "nothing is there");
    assert_eq!((map(&mut d, 1, 0, 4, 0, 1), map(&mut d, 1, 10, 14, 0, 1)), (0, 0));
    assert_eq!((unmap(&mut d, 1, 0, 12), map(&mut d, 1, 0, 4, 0, 1)), (5, 4), "all stayed");
    assert_eq!((unmap(&mut d, 1, 0, 14), map(&mut d, 1, 0, 14, 0, 1)), (0, 0));
    assert_eq!((map(&mut d, 1, 30, 20, 0, 1), map(&mut d, 1, 20, 30, 0, 8)), (4, 4));
    assert_eq!(map(&mut d, 1, 0x1000, 0x1fff, u64::MAX - 5, 1), 5, "it would wrap around");
}

#[test]
fn accesses_are_translated_and_faults_reported() {
    let (mut d, table) = driver(vec![
        Reserved { first: 0x5000, last: 0x5fff, msi: true },
        Reserved { first: 0x6000, last: 0x6fff, msi: false },
    ]);
    let to = |at: u64, write: bool| table.translate(8, at, write).map(|s| (s.addr, s.len)).ok();
    assert_eq!(to(0x1234, true).map(|s| s.0), Some(0x1234), "bypass");
    assert_eq!(attach(&mut d, 7, 8), 0);
    map(&mut d, 7, 0x1000, 0x2fff, 0x9_0000, 1);
    map(&mut d, 7, 0x3000, 0x3fff, 0xa_0000, 3);
    assert_eq!(to(0x1ff8, false), Some((0x9_0ff8, 0x1008)));
    assert_eq!(to(0x3ff8, true), Some((0xa_0ff8, 8)));
    assert_eq!((to(0x5010, true).map(|s| s.0), table.wants_attention()), (Some(0x5010), false));
    assert_eq!([to(0x1000, true), to(0x6010, true), to(0x5010, false), to(0xfff, false)], [None; 4]);
    d.device.write(0, 0x100 + 36, Size::B1, 0);
    assert!(table.translate(0x100, 0x42, false).is_err(), "no domain and no bypass");
    assert!(table.wants_attention());
    (0..3).for_each(|_| d.add(1, &[], &[24], false));
    d.device.changed(ATTENTION);
    let faults: Vec<Vec<u8>> = core::iter::from_fn(|| d.done(1).map(|done| done.data)).collect();
    assert_eq!(faults.len(), 3);
    assert_eq!(faults[0], [2, 0, 0, 0, 2, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
    assert_eq!((faults[1][17], faults[2][4], faults[2][17]), (0x60, 1, 0x50));
    // More buffers, and the rest.
    (0..4).for_each(|_| d.add(1, &[], &[24], false));
    d.kick(1);
    let rest: Vec<(u8, u8)> = core::iter::from_fn(|| d.done(1).map(|done| (done.data[0], done.data[9]))).collect();
    assert_eq!((rest, table.wants_attention()), (vec![(2, 0), (1, 1)], false));
    // Faults without end are forgotten.
    (0..1000).for_each(|n| assert!(table.translate(0, n, false).is_err()));
    let saved = d.device.save().unwrap();
    d.device.load(&saved).unwrap();
    let probe = d.ask(0, &[&words(5, &[8]), &[0; 64]], &[512, 4]);
    assert_eq!((probe.len, &probe.data[..6], probe.data[512]), (516, &[1, 0, 20, 0, 1, 0][..], 0));
    assert_eq!((&probe.data[24..29], probe.data[48]), (&[1, 0, 20, 0, 0][..], 0));
    assert_eq!(d.ask(0, &[&words(5, &[9]), &[0; 64]], &[512, 4]).data[512], 6);
}

#[test]
fn regions_have_a_form() {
    assert_eq!(region("0x1000:0x1fff:1"), Ok(Reserved { first: 0x1000, last: 0x1fff, msi: true }));
    for wrong in ["", "1:2", "2:1:0", "1:2:3", "x:2:0", "1:2:0:0"] {
        assert!(region(wrong).is_err(), "{wrong}");
    }
}
