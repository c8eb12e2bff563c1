//! Tests of disks and CD-ROMs.

use super::*;
use crate::bench::MemoryDisk;
use crate::scsi::Local;
use crate::scsi::task::Fault;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tern_core::backend::BlockError;

/// What a test and its drive share.
#[derive(Default)]
struct Shared {
    flushes: Cell<u32>,
    fails: Cell<bool>,
    absent: Cell<bool>,
    open: Cell<bool>,
    request: Cell<Option<bool>>,
    told: RefCell<Vec<String>>,
    bytes: RefCell<Vec<u8>>,
    read_only: Cell<bool>,
}

/// A drive whose medium and tray the test moves.
struct Drive(Rc<Shared>);

impl Drive {
    fn with<T>(
        &self,
        f: impl FnOnce(&mut MemoryDisk) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        if self.0.fails.get() {
            return Err(BlockError::Io("broken".into()));
        }
        let mut disk = MemoryDisk { bytes: self.0.bytes.take(), read_only: self.0.read_only.get() };
        let result = f(&mut disk);
        self.0.bytes.replace(disk.bytes);
        result
    }
}

impl Block for Drive {
    fn size(&self) -> u64 {
        self.0.bytes.borrow().len() as u64
    }
    fn read_only(&self) -> bool {
        self.0.read_only.get()
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        self.with(|disk| disk.read(offset, buf))
    }
    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.with(|disk| disk.write(offset, buf))
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        self.0.flushes.set(self.0.flushes.get() + 1);
        Ok(())
    }
    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.with(|disk| disk.write_zeroes(offset, len, true))
    }
    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        self.with(|disk| disk.write_zeroes(offset, len, unmap))
    }
    fn present(&self) -> bool {
        !self.0.absent.get()
    }
    fn tray_open(&self) -> bool {
        self.0.open.get()
    }
    fn tray(&mut self, open: bool, by_guest: bool) {
        self.0.open.set(open);
        self.0.told.borrow_mut().push(format!("tray {open} {by_guest}"));
    }
    fn lock(&mut self, locked: bool) {
        self.0.told.borrow_mut().push(format!("lock {locked}"));
    }
    fn eject_request(&mut self) -> Option<bool> {
        self.0.request.take()
    }
}

fn unit(size: usize, config: Config) -> (Disk, Rc<Shared>) {
    let shared = Rc::new(Shared::default());
    shared.bytes.replace((0..size).map(|n| (n / 512 + n) as u8).collect());
    (Disk::new(Some(Box::new(Drive(shared.clone()))), config), shared)
}

fn hd() -> (Disk, Rc<Shared>) {
    unit(1 << 20, Config::default())
}

fn cd(blocks: usize) -> (Disk, Rc<Shared>) {
    unit(blocks * 2048, Config { cd: true, block_size: 2048, removable: true, discard_granularity: 0, ..Config::default() })
}

fn run(disk: &mut Disk, cdb: &[u8], out: &[u8]) -> Result<Vec<u8>, Sense> {
    let mut data = Local::new(out, 4 << 20);
    let mut bytes = cdb.to_vec();
    bytes.resize(16, 0);
    let cdb = Cdb::new(&bytes).ok_or(Sense::INVALID_OPCODE)?;
    match disk.execute(&cdb, &mut data) {
        Ok(()) => Ok(data.answer),
        Err(Failure::Sense(sense)) => Err(sense),
        Err(Failure::Fault(Fault)) => panic!("local buffers do not fail"),
    }
}

/// READ and WRITE of all sizes.
fn cdb(op: u8, flags: u8, lba: u64, count: u32) -> Vec<u8> {
    match op >> 5 {
        0 => vec![op, (lba >> 16) as u8, (lba >> 8) as u8, lba as u8, count as u8, 0],
        4 => [&[op, flags][..], &lba.to_be_bytes(), &count.to_be_bytes(), &[0, 0]].concat(),
        5 => [&[op, flags][..], &(lba as u32).to_be_bytes(), &count.to_be_bytes(), &[0, 0]].concat(),
        _ => [&[op, flags][..], &(lba as u32).to_be_bytes(), &[0], &(count as u16).to_be_bytes(), &[0]].concat(),
    }
}

#[test]
fn all_sizes_of_reads_and_writes_move_the_same_blocks() {
    let (mut disk, shared) = hd();
    for (n, (write, read)) in [(0x0a, 0x08), (0x2a, 0x28), (0xaa, 0xa8), (0x8a, 0x88), (0x2e, 0x28)].iter().enumerate() {
        let data = vec![n as u8 + 1; 1536];
        assert_eq!(run(&mut disk, &cdb(*write, 0, 5, 3), &data), Ok(vec![]));
        assert_eq!(run(&mut disk, &cdb(*read, 0, 5, 3), &[]), Ok(data));
    }
    assert_eq!(shared.flushes.take(), 1, "WRITE AND VERIFY is durable");
    // Six bytes: 0 stands for 256 blocks.
    assert_eq!(run(&mut disk, &[8, 0, 0, 0, 0, 0], &[]).unwrap().len(), 256 * 512);
    assert_eq!(run(&mut disk, &cdb(0x28, 0, 0, 0), &[]), Ok(vec![]));
    // More than a piece.
    let big: Vec<u8> = (0..700 << 10).map(|n| (n >> 9) as u8).collect();
    assert_eq!(run(&mut disk, &cdb(0x2a, 8, 1, 1400), &big), Ok(vec![]));
    assert_eq!(shared.flushes.take(), 1, "FUA");
    assert_eq!(run(&mut disk, &cdb(0x28, 0, 1, 1400), &[]), Ok(big));
}

#[test]
fn what_is_off_the_medium_or_wrong_fails_and_changes_nothing() {
    let (mut disk, shared) = hd();
    let before = shared.bytes.borrow().clone();
    for (lba, count) in [(2048, 1), (2047, 2), (u64::MAX, 1), (1 << 40, 0), (0, u32::MAX)] {
        assert_eq!(run(&mut disk, &cdb(0x88, 0, lba, count), &[]), Err(Sense::LBA_OUT_OF_RANGE.at(lba)));
        assert_eq!(run(&mut disk, &cdb(0x8a, 0, lba, count), &[1; 512]), Err(Sense::LBA_OUT_OF_RANGE.at(lba)));
        assert!(run(&mut disk, &cdb(0x8f, 0, lba, count), &[]).is_err());
    }
    assert_eq!(run(&mut disk, &cdb(0x28, 0x20, 0, 1), &[]), Err(Sense::INVALID_FIELD), "no protection information");
    assert_eq!(run(&mut disk, &cdb(0x2a, 0, 0, 1), &[1; 511]), Err(Sense::DATA_PHASE));
    assert_eq!(run(&mut disk, &[0xff], &[]).unwrap_err().asc, 0x20);
    assert_eq!(run(&mut disk, &cdb(0x9e, 0x12, 0, 0), &[]), Err(Sense::INVALID_FIELD));
    assert_eq!(run(&mut disk, &cdb(0x2f, 2, 0, 1), &before[..512]), Ok(vec![]));
    let mut other = before[..1024].to_vec();
    other[700] ^= 1;
    assert_eq!(run(&mut disk, &cdb(0x2f, 2, 0, 2), &other), Err(Sense::MISCOMPARE.at(700)));
    shared.fails.set(true);
    assert_eq!(run(&mut disk, &cdb(0x28, 0, 9, 1), &[]), Err(Sense::READ_ERROR.at(9)));
    assert_eq!(run(&mut disk, &cdb(0x2a, 0, 9, 1), &[0; 512]), Err(Sense::WRITE_ERROR.at(9)));
    shared.fails.set(false);
    shared.read_only.set(true);
    assert_eq!(run(&mut disk, &cdb(0x2a, 0, 9, 1), &[0; 512]), Err(Sense::WRITE_PROTECTED));
    assert_eq!(run(&mut disk, &[0x1a, 0, 0x3f, 0, 255, 0], &[]).unwrap()[2] & 0x80, 0x80);
    assert!(*shared.bytes.borrow() == before);
}

#[test]
fn blocks_are_unmapped_and_filled() {
    let (mut disk, shared) = unit(1 << 20, Config { block_size: 4096, physical_block_size: 4096, ..Config::default() });
    let unmap = |ranges: &[(u64, u32)]| {
        let len = 16 * ranges.len() as u16;
        let mut list = [(len + 6).to_be_bytes(), len.to_be_bytes(), [0; 2], [0; 2]].concat();
        for (lba, count) in ranges {
            list.extend(lba.to_be_bytes());
            list.extend(count.to_be_bytes());
            list.extend([0; 4]);
        }
        list
    };
    let command = |list: &[u8]| [&[0x42, 0, 0, 0, 0, 0, 0][..], &(list.len() as u16).to_be_bytes(), &[0]].concat();
    let list = unmap(&[(2, 3), (255, 1)]);
    assert_eq!(run(&mut disk, &command(&list), &list), Ok(vec![]));
    let zeroes = |from: usize, to: usize| shared.bytes.borrow()[4096 * from..4096 * to].iter().all(|byte| *byte == 0);
    assert!(zeroes(2, 5) && zeroes(255, 256) && !zeroes(5, 6) && !zeroes(1, 2));
    let off = unmap(&[(255, 2)]);
    assert_eq!(run(&mut disk, &command(&off), &off), Err(Sense::LBA_OUT_OF_RANGE.at(255)));
    for n in 1..list.len() {
        assert_eq!(run(&mut disk, &command(&list[..n]), &list[..n]), Err(Sense::PARAMETER_LIST_LENGTH), "{n} bytes");
    }
    assert_eq!(run(&mut disk, &command(&[]), &[]), Ok(vec![]));
    // The same block again and again; zeroes; zeroes without data.
    assert_eq!(run(&mut disk, &cdb(0x41, 0, 10, 200), &[7; 4096]), Ok(vec![]));
    assert!(shared.bytes.borrow()[4096 * 10..4096 * 210].iter().all(|byte| *byte == 7));
    assert_eq!(run(&mut disk, &cdb(0x93, 8, 10, 2), &[0; 4096]), Ok(vec![]));
    assert_eq!(run(&mut disk, &cdb(0x93, 9, 20, 2), &[]), Ok(vec![]));
    assert!(zeroes(10, 12) && zeroes(20, 22) && !zeroes(12, 20));
    for (flags, lba, count) in [(0, 0, 0), (2, 0, 1), (0x10, 0, 1), (0, 200, 100)] {
        assert!(run(&mut disk, &cdb(0x93, flags, lba, count), &[1; 4096]).is_err());
    }
    let answer = run(&mut disk, &[&[0x9e, 0x10][..], &[0; 8], &[0, 0, 0, 32]].concat(), &[]).unwrap();
    assert_eq!((&answer[4..12], answer[14], answer.len()), (&[0, 0, 0, 255, 0, 0, 16, 0][..], 0x80, 32));
    assert_eq!(run(&mut disk, &[0x25], &[]).unwrap(), [0, 0, 0, 255, 0, 0, 16, 0]);
}

#[test]
fn units_say_who_they_are() {
    let config = Config { serial: "s-1".into(), device_id: "id".into(), wwn: 0x5000_0000_0000_0001, ..Config::default() };
    let (mut disk, _) = unit(1 << 20, config);
    let mut vital = |page: u8| run(&mut disk, &[0x12, 1, page, 1, 0, 0], &[]);
    assert_eq!(vital(0).unwrap(), [0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    assert_eq!(vital(0x80).unwrap(), b"\0\x80\0\x03s-1");
    assert_eq!(vital(0x83).unwrap(), b"\0\x83\0\x12\x02\0\0\x02id\x01\x03\0\x08\x50\0\0\0\0\0\0\x01");
    let limits = vital(0xb0).unwrap();
    assert_eq!((limits.len(), &limits[20..32]), (64, &[0, 32, 0, 0, 0, 0, 0, 255, 0, 0, 0, 8][..]));
    assert_eq!((vital(0xb2).unwrap(), vital(0xb1).unwrap().len()), (vec![0, 0xb2, 0, 4, 0, 0xe0, 2, 0], 64));
    assert_eq!(vital(0xc0), Err(Sense::INVALID_FIELD));
    let answer = run(&mut disk, &[0x12, 0, 0, 0, 36, 0], &[]).unwrap();
    assert_eq!((&answer[..5], &answer[8..]), (&[0, 0, 5, 0x12, 91][..], &b"QEMU    QEMU HARDDISK   2.5+"[..]));
    assert_eq!(run(&mut disk, &[0x12, 0, 1, 0, 36, 0], &[]), Err(Sense::INVALID_FIELD));
    let (mut disk, _) = cd(100);
    assert_eq!(run(&mut disk, &[0x12, 1, 0, 0, 36, 0], &[]).unwrap(), [5, 0, 0, 2, 0, 0x83]);
    assert_eq!(run(&mut disk, &[0x12, 0, 0, 0, 2, 0], &[]).unwrap(), [5, 0x80]);
    assert_eq!(run(&mut disk, &[0x4d, 0, 0, 0, 0, 0, 0, 0, 9, 0], &[]).unwrap_err().asc, 0x20);
}

#[test]
fn mode_pages_are_shown_and_caching_is_chosen() {
    let (mut disk, shared) = hd();
    let answer = run(&mut disk, &[0x1a, 0, 0x08, 0, 255, 0], &[]).unwrap();
    assert_eq!((&answer[..4], answer[12], answer[13], answer[14]), (&[31, 0, 0, 8][..], 8, 18, 4));
    assert_eq!(answer[4..12], [0, 0, 8, 0, 0, 0, 2, 0]);
    let all = run(&mut disk, &[0x5a, 8, 0x3f, 0, 0, 0, 0, 4, 0, 0], &[]).unwrap();
    assert_eq!(usize::from(u16::from_be_bytes([all[0], all[1]])), all.len() - 2);
    assert_eq!(run(&mut disk, &[0x1a, 0, 0xc8, 0, 255, 0], &[]), Err(Sense::SAVING_NOT_SUPPORTED));
    assert_eq!(run(&mut disk, &[0x1a, 0, 0x2a, 0, 255, 0], &[]), Err(Sense::INVALID_FIELD));
    let select = |flags: u8, page: &[u8]| [&[0, 0, 0, 0, 8, 18, flags][..], &[0; 17], page].concat();
    let short = |list: &[u8]| [0x15, 0x10, 0, 0, list.len() as u8, 0];
    let off = select(0, &[]);
    assert_eq!(run(&mut disk, &short(&off), &off), Ok(vec![]));
    assert_eq!(shared.flushes.take(), 1);
    assert_eq!(run(&mut disk, &cdb(0x2a, 0, 0, 1), &[0; 512]), Ok(vec![]));
    assert_eq!(shared.flushes.take(), 1, "written through");
    // Whatever is wrong with a list, nothing of it counts.
    for list in [select(4, &[8, 18]), select(4, &[0x0a, 1, 1]), select(4, &[0x30, 0]), select(5, &[]), select(4, &[0x48, 0, 0, 0])] {
        assert!(run(&mut disk, &short(&list), &list).is_err());
        assert!(!disk.state.write_cache);
    }
    let on = select(4, &[]);
    assert_eq!(run(&mut disk, &short(&on), &on[..10]), Err(Sense::DATA_PHASE));
    assert_eq!(run(&mut disk, &[0x15, 0, 0, 0, 24, 0], &on), Err(Sense::INVALID_FIELD));
    let long = [&[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0][..], &on[4..]].concat();
    assert_eq!(run(&mut disk, &[0x55, 0x10, 0, 0, 0, 0, 0, 0, long.len() as u8, 0], &long), Ok(vec![]));
    assert!(disk.state.write_cache);
    let mut larger = long.clone();
    larger[14] = 4;
    let command = [0x55, 0x10, 0, 0, 0, 0, 0, 0, long.len() as u8, 0];
    assert_eq!(run(&mut disk, &command, &larger), Err(Sense::INVALID_PARAMETER), "blocks keep their size");
    let (mut disk, _) = cd(100);
    let page = run(&mut disk, &[0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0, 0], &[]).unwrap();
    assert_eq!((page[8], page[9], page[10] & 8, page.len()), (0x2a, 20, 8, 30));
}

#[test]
fn discs_are_described() {
    let (mut disk, _) = cd(1000);
    let toc = |format: u8, msf: u8| [0x43, msf, format, 0, 0, 0, 0, 0, 255, 0];
    let plain = run(&mut disk, &toc(0, 0), &[]).unwrap();
    assert_eq!(plain, [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x16, 0xaa, 0, 0, 0, 3, 0xe8]);
    // 1000 blocks behind two seconds: 15 seconds and 25 frames.
    assert_eq!(run(&mut disk, &toc(0, 2), &[]).unwrap()[16..], [0, 0, 15, 25]);
    assert_eq!(run(&mut disk, &toc(1, 0), &[]).unwrap()[..4], [0, 10, 1, 1]);
    assert_eq!(run(&mut disk, &toc(2, 2), &[]).unwrap().len(), 4 + 44);
    assert_eq!(run(&mut disk, &toc(5, 0), &[]), Err(Sense::INVALID_FIELD));
    let config = run(&mut disk, &[0x46, 0, 0, 0, 0, 0, 0, 1, 0, 0], &[]).unwrap();
    assert_eq!((config[7], u32::from_be_bytes([config[0], config[1], config[2], config[3]]) as usize), (8, config.len() - 4));
    assert_eq!(run(&mut disk, &[0x46, 2, 0, 3, 0, 0, 0, 1, 0, 0], &[]).unwrap()[8..], [0, 3, 0x0b, 4, 0x39, 0, 0, 0]);
    assert_eq!(run(&mut disk, &[0xad, 0, 0, 0, 0, 0, 0, 0, 8, 0], &[]), Err(Sense::INCOMPATIBLE_MEDIUM));
    assert_eq!(run(&mut disk, &[0xad, 0, 0, 0, 0, 0, 0, 0xff, 0, 99], &[]).unwrap().len(), 16);
    assert_eq!(run(&mut disk, &[0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0], &[]).unwrap()[..4], [0, 32, 14, 1]);
    assert_eq!(run(&mut disk, &[0x52, 1, 0, 0, 0, 1, 0, 0, 28, 0], &[]).unwrap()[24..], [0, 0, 3, 0xe8]);
    let sectors = run(&mut disk, &[0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x10, 0, 0], &[]).unwrap();
    assert_eq!(Ok(sectors), run(&mut disk, &cdb(0x28, 0, 9, 2), &[]));
    assert_eq!(run(&mut disk, &[0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0xf8, 0, 0], &[]), Err(Sense::INVALID_FIELD));
    assert_eq!(run(&mut disk, &cdb(0x2a, 0, 0, 1), &[0; 2048]), Err(Sense::WRITE_PROTECTED));
    disk.state.blocks = 400_000;
    assert_eq!(run(&mut disk, &[0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0], &[]).unwrap()[7], 0x10);
    let dvd = run(&mut disk, &[0xad, 0, 0, 0, 0, 0, 0, 0, 9, 0], &[]).unwrap();
    assert_eq!((dvd.len(), &dvd[8..16]), (2052, &[0, 3, 0, 0, 0, 9, 0x1a, 0x7f][..]));
}

#[test]
fn trays_move_for_both_sides() {
    let (mut disk, shared) = cd(100);
    let event = |disk: &mut Disk| run(disk, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0], &[]).unwrap()[4..6].to_vec();
    let told = || shared.told.take().join(", ");
    assert_eq!(event(&mut disk), [0, 2]);
    // The guest locks: it cannot eject, but the user may ask.
    assert_eq!(run(&mut disk, &[0x1e, 0, 0, 0, 1, 0], &[]), Ok(vec![]));
    assert_eq!(disk.get("locked"), Some(Value::Bool(true)));
    assert_eq!(run(&mut disk, &[0x1b, 0, 0, 0, 2, 0], &[]), Err(Sense::REMOVAL_PREVENTED));
    shared.request.set(Some(false));
    assert_eq!((disk.changed(), told()), (vec![], "lock true".to_owned()));
    assert_eq!((event(&mut disk), event(&mut disk)), (vec![1, 2], vec![0, 2]));
    assert_eq!(run(&mut disk, &[0x1e, 0, 0, 0, 0, 0], &[]), Ok(vec![]));
    assert_eq!(run(&mut disk, &[0x1b, 0, 0, 0, 2, 0], &[]), Ok(vec![]));
    assert_eq!((told(), disk.get("tray-open")), ("lock false, tray true true".to_owned(), Some(Value::Bool(true))));
    assert_eq!(run(&mut disk, &[0], &[]), Err(Sense::NO_MEDIUM_TRAY_OPEN));
    assert_eq!(run(&mut disk, &[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], &[]).unwrap()[1], 0x10);
    // The user puts another disc in.
    shared.bytes.replace(vec![1; 7 * 2048]);
    assert!(disk.changed().is_empty());
    shared.open.set(false);
    assert_eq!(disk.changed(), [Sense::MEDIUM_CHANGED]);
    assert_eq!((event(&mut disk), run(&mut disk, &[0x25], &[]).unwrap()[3]), (vec![2, 2], 6));
    // One disc for another at once, then none.
    assert_eq!(disk.changed(), [Sense::MEDIUM_REMOVED, Sense::MEDIUM_CHANGED]);
    shared.absent.set(true);
    assert_eq!(disk.changed(), [Sense::MEDIUM_REMOVED]);
    assert_eq!(run(&mut disk, &cdb(0x28, 0, 0, 1), &[]), Err(Sense::NO_MEDIUM_TRAY_CLOSED));
    assert_eq!(event(&mut disk), [0, 0]);
    // By force.
    run(&mut disk, &[0x1e, 0, 0, 0, 1, 0], &[]).unwrap();
    shared.request.set(Some(true));
    disk.changed();
    assert_eq!((told(), disk.get("locked")), ("lock true, lock false".to_owned(), Some(Value::Bool(false))));
    // A drive that nothing is connected to.
    let mut empty = Disk::new(None, disk.config.clone());
    assert_eq!(run(&mut empty, &[0], &[]), Err(Sense::NO_MEDIUM_TRAY_CLOSED));
    assert_eq!(run(&mut empty, &[0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0], &[]).unwrap()[7], 0);
}

#[test]
fn states_belong_to_their_media_and_resets_are_complete() {
    let (mut disk, shared) = cd(100);
    let new = disk.save().unwrap();
    run(&mut disk, &[0x1b, 0, 0, 0, 2, 0], &[]).unwrap();
    run(&mut disk, &[0x1e, 0, 0, 0, 1, 0], &[]).unwrap();
    let saved = disk.save().unwrap();
    let (mut other, _) = cd(100);
    other.load(&saved).unwrap();
    assert_eq!((other.save().unwrap(), other.get("tray-open")), (saved.clone(), Some(Value::Bool(true))));
    disk.reset();
    assert_eq!((disk.save().unwrap(), shared.open.get()), (new, false));
    assert!(cd(101).0.load(&saved).is_err() && hd().0.load(&saved).is_err());
    // A disk has no tray.
    let (mut disk, _) = hd();
    disk.state.locked = true;
    let odd = disk.save().unwrap();
    assert!(hd().0.load(&odd).is_err());
    // It grows.
    let (mut grown, shared) = hd();
    shared.bytes.borrow_mut().resize(2 << 20, 0);
    assert!(run(&mut grown, &cdb(0x28, 0, 3000, 1), &[]).is_err());
    assert_eq!((grown.changed(), grown.changed()), (vec![Sense::CAPACITY_CHANGED], vec![]));
    assert!(run(&mut grown, &cdb(0x28, 0, 3000, 1), &[]).is_ok());
}

#[test]
fn no_command_hangs_or_panics() {
    let mut random = 0x1234_5678_9abc_def1u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for mut disk in [hd().0, cd(300).0, Disk::new(None, Config { cd: true, removable: true, ..Config::default() })] {
        let rows: Vec<u8> = disk.rows().iter().map(|row| row.op).collect();
        for _ in 0..20_000 {
            let mut cdb = [0u8; 16];
            cdb.iter_mut().for_each(|byte| *byte = (next() >> (next() % 64)) as u8);
            if !next().is_multiple_of(8) {
                cdb[0] = rows[next() as usize % rows.len()];
            }
            let out: Vec<u8> = (0..next() % 64).map(|_| (next() >> (next() % 64)) as u8).collect();
            let _ = run(&mut disk, &cdb, &out);
        }
    }
}
