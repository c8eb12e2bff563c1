//! Logs that are good, and logs that are not.

use super::*;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::{self, Cursor as Bytes, Write};
use std::rc::Rc;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Item {
    Number(u64),
    Data(Vec<u8>),
    Blob(Hash),
}

#[derive(Clone, Default)]
struct File(Rc<RefCell<Vec<u8>>>, Option<usize>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.0.borrow_mut();
        if self.1.is_some_and(|most| file.len() + bytes.len() > most) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header(id: u8) -> Header {
    let (kind, title) = ("machine".to_owned(), "tern boot".to_owned());
    Header { id: [id; 16], tern: "0.1.0".to_owned(), kind, title, date_ns: 5, setup: vec![1, 2, 3] }
}

fn item(n: u64) -> Item {
    if n.is_multiple_of(7) { Item::Data(vec![n as u8; n as usize % 300]) } else { Item::Number(n) }
}

/// A log of 1000 items in some frames, and of a blob.
fn log(id: u8) -> Vec<u8> {
    let file = File::default();
    let mut writer = Writer::new(Box::new(file.clone()), &header(id)).unwrap();
    for n in 0..1000 {
        writer.push(&item(n)).unwrap();
        if n % 100 == 99 {
            writer.flush().unwrap();
        }
        if n == 500 {
            let hash = writer.blob(&[9; 10_000]).unwrap();
            assert_eq!(writer.blob(&[9; 10_000]).unwrap(), hash);
            writer.push(&Item::Blob(hash)).unwrap();
        }
    }
    writer.end().unwrap();
    assert_eq!(writer.size(), (file.0.borrow().len() as u64, 1001));
    file.0.take()
}

fn read(bytes: &[u8]) -> (Vec<Item>, Result<bool, LogError>) {
    let mut reader = match Reader::new(Box::new(Bytes::new(bytes.to_vec()))) {
        Ok(reader) => reader,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let mut items = Vec::new();
    loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, Ok(reader.ended())),
            Err(e) => return (items, Err(e)),
        }
    }
}

#[test]
fn what_was_written_is_read() {
    let bytes = log(1);
    let mut reader = Reader::<Item>::new(Box::new(Bytes::new(bytes))).unwrap();
    assert_eq!(reader.header(), &header(1));
    let mut marks = Vec::new();
    let mut blob = None;
    for n in 0..1001u64 {
        marks.push(reader.cursor());
        match reader.next_item().unwrap().unwrap() {
            Item::Blob(hash) => blob = Some((n, hash)),
            other => assert_eq!(other, item(if blob.is_some() { n - 1 } else { n })),
        }
    }
    assert_eq!((reader.next_item().unwrap(), reader.ended()), (None, true));
    let (at, hash) = blob.unwrap();
    assert_eq!((at, reader.blob(&hash).unwrap()), (501, Some(vec![9; 10_000])));
    assert_eq!(reader.blob(&Hash([0; 32])).unwrap(), None);
    for n in [0, 99, 100, 500, 777, 3] {
        reader.seek(marks[n as usize]).unwrap();
        assert_eq!(reader.cursor(), marks[n as usize]);
        assert_eq!(reader.next_item().unwrap(), Some(item(if n > 501 { n - 1 } else { n })));
    }
}

#[test]
fn a_log_that_is_cut_anywhere_gives_a_good_prefix() {
    let bytes = log(1);
    let (all, end) = read(&bytes);
    assert!(end.unwrap());
    for cut in (0..bytes.len()).step_by(37).chain([bytes.len() - 1]) {
        let (items, end) = read(&bytes[..cut]);
        assert!(all.starts_with(&items), "cut at {cut}");
        assert!(matches!(end, Ok(false) | Err(LogError { why: Why::Cut | Why::NotALog, .. })), "cut at {cut}: {end:?}");
    }
}

#[test]
fn damage_is_named_by_its_frame() {
    let bytes = log(1);
    let (all, _) = read(&bytes);
    for at in (0..bytes.len()).step_by(11) {
        for change in [1, 0x80] {
            let mut bad = bytes.clone();
            bad[at] ^= change;
            let (items, end) = read(&bad);
            assert!(all.starts_with(&items), "byte {at}");
            let e = end.expect_err("damage is noticed");
            assert!(e.at <= at as u64 || at < 12, "byte {at}: {e}");
        }
    }
}

/// Where frames begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![12];
    while let Some(head) = bytes.get(*starts.last().unwrap()..).filter(|rest| rest.len() >= 9) {
        let len = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
        starts.push(starts.last().unwrap() + 9 + len);
    }
    starts
}

#[test]
fn frames_in_another_order_or_of_another_log_are_noticed() {
    let (bytes, other) = (log(1), log(2));
    let at = frames(&bytes);
    let (one, two) = (&bytes[at[2]..at[3]], &bytes[at[3]..at[4]]);
    let swapped = [&bytes[..at[2]], two, one, &bytes[at[4]..]].concat();
    let mixed = [&bytes[..at[2]], &other[at[2]..at[3]], &bytes[at[3]..]].concat();
    let missing = [&bytes[..at[2]], two, &bytes[at[4]..]].concat();
    for bad in [swapped, mixed, missing] {
        let (items, end) = read(&bad);
        assert_eq!(items.len(), 100);
        assert!(matches!(end, Err(LogError { frame: 2, why: Why::Checksum, .. })));
    }
}

#[test]
fn what_is_no_log_says_so() {
    for bad in [&b""[..], b"ternlo", b"#!/bin/sh\necho hello\n", &[0; 100]] {
        assert!(matches!(read(bad).1, Err(LogError { why: Why::NotALog, .. })));
    }
    let mut newer = log(1);
    newer[8] = 9;
    assert_eq!(read(&newer).1.unwrap_err().to_string(), "a log of format 9; this tern reads format 1");
}

#[test]
fn a_full_disk_is_an_error_and_the_prefix_is_good() {
    let whole = log(1);
    let file = File(Rc::default(), Some(whole.len() / 2));
    let mut writer = Writer::new(Box::new(file.clone()), &header(1)).unwrap();
    let failed = (0..1000).find_map(|n| writer.push(&item(n)).and_then(|()| writer.flush()).err());
    assert!(matches!(failed, Some(LogError { why: Why::Io(_), .. })));
    let (items, end) = read(&file.0.borrow());
    assert!(!items.is_empty() && !end.unwrap());
    assert!(items.iter().zip(0..).all(|(got, n)| *got == item(n)));
}
