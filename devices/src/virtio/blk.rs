//! virtio-blk: a disk (virtio 1.2, 5.2).

use super::{Broken, Chain, Cx, VirtioDevice};
use crate::model::{Prop, PropKind};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use tern_core::backend::{Block, BlockError};
use tern_core::snapshot::{self, StateError, check};
use tern_core::time::Clock;

crate::virtio_part! {
    2, "virtio-blk", [], Storage, class 0x01_0000, legacy 0x1001,
    "virtio disk: multi-queue, discard, write-zeroes, durable flush",
    [
        Prop::new("drive", PropKind::Drive, "the medium"),
        Prop::new("serial", PropKind::Text(""), "what the guest reads as its serial number"),
        Prop::new("num-queues", PropKind::Number(16, 1), "request queues"),
        Prop::new("queue-size", PropKind::Number(16, 256), "entries of a queue"),
        Prop::new("logical_block_size", PropKind::Size(512), "logical block size in bytes"),
        Prop::new("discard", PropKind::Bool(true), "offer discard"),
        Prop::only("physical_block_size", &["0", "512"]),
        Prop::only("bootindex", &["*"]),
        Prop::only("write-zeroes", &["on"]),
        Prop::only("config-wce", &["on"]),
        Prop::only("scsi", &["off"]),
        Prop::only("share-rw", &["off"]),
        Prop::only("write-cache", &["auto", "on"]),
        Prop::only("werror", &["auto", "report", "enospc"]),
        Prop::only("rerror", &["auto", "report"]),
    ],
    None, |wants| {
        let props = wants.props;
        let config = Config {
            serial: props.text("serial").to_owned(),
            queues: u16::try_from(props.number("num-queues")).unwrap_or(u16::MAX),
            queue_size: u16::try_from(props.number("queue-size")).unwrap_or(u16::MAX),
            block_size: u32::try_from(props.number("logical_block_size")).unwrap_or(u32::MAX),
            discard: props.bool("discard"),
        };
        if !(1..=256).contains(&config.queues) {
            return Err("num-queues property must be from 1 to 256".to_owned());
        }
        if !config.queue_size.is_power_of_two() || !(4..=1024).contains(&config.queue_size) {
            return Err("queue-size property must be a power of two from 4 to 1024".to_owned());
        }
        if !config.block_size.is_power_of_two() || !(512..=32768).contains(&config.block_size) {
            return Err("logical_block_size property must be a power of two from 512 to 32768".to_owned());
        }
        Ok(Box::new(Blk::new(wants.drive("drive", 0)?, config)))
    }
}

/// Feature bits (5.2.3).
const SEG_MAX: u64 = 1 << 2;
const GEOMETRY: u64 = 1 << 4;
const RO: u64 = 1 << 5;
const BLK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const CONFIG_WCE: u64 = 1 << 11;
const MQ: u64 = 1 << 12;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Request types (5.2.6).
const T_IN: u32 = 0;
const T_OUT: u32 = 1;
const T_FLUSH: u32 = 4;
const T_GET_ID: u32 = 8;
const T_DISCARD: u32 = 11;
const T_WRITE_ZEROES: u32 = 13;

/// Unit of sector numbers in bytes, whatever the block size.
const SECTOR: u64 = 512;
/// Length of the configuration space.
const CONFIG_LEN: usize = 60;
/// Offset of `writeback` in it.
const WRITEBACK_AT: u32 = 32;
/// Most sectors of one discard or write-zeroes segment.
const MAX_RANGE: u32 = 1 << 22;
/// Bytes moved at once between medium and guest memory: what fits into a second-level cache.
const PIECE: usize = 256 << 10;
/// Length of the identification string.
const ID_LEN: usize = 20;

/// What the disk looks like to the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Serial number; the guest sees 20 bytes.
    pub serial: String,
    /// Request queues, 1 to 256.
    pub queues: u16,
    /// Entries of each queue, a power of two.
    pub queue_size: u16,
    /// Logical block size in bytes, a power of two, 512 to 32768.
    pub block_size: u32,
    /// Is discard offered?
    pub discard: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config { serial: String::new(), queues: 1, queue_size: 256, block_size: 512, discard: true }
    }
}

/// What a drive has done, in requests and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Discards and write-zeroes.
    pub discards: u64,
    /// Requests that failed, whoever is to blame.
    pub errors: u64,
}

/// A handle to the counters of a drive.
#[derive(Clone, Default)]
pub struct Statistics(Rc<Cell<Counts>>);

impl Statistics {
    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.get()
    }

    fn add(&self, f: impl FnOnce(&mut Counts)) {
        let mut counts = self.0.get();
        f(&mut counts);
        self.0.set(counts);
    }
}

/// How a request ends (5.2.6): the status byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

impl From<BlockError> for Status {
    fn from(e: BlockError) -> Status {
        if e == BlockError::Unsupported { Status::Unsupported } else { Status::IoError }
    }
}

/// Why a request ended early.
enum Stop {
    Status(Status),
    Broken(Broken),
}

impl From<Broken> for Stop {
    fn from(e: Broken) -> Stop {
        Stop::Broken(e)
    }
}

impl From<BlockError> for Stop {
    fn from(e: BlockError) -> Stop {
        Stop::Status(e.into())
    }
}

/// The device.
pub struct Blk {
    disk: Box<dyn Block>,
    config: Config,
    /// Size of the medium in sectors.
    capacity: u64,
    /// `writeback` of the configuration space.
    writeback: bool,
    statistics: Statistics,
    piece: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct State {
    writeback: bool,
    capacity: u64,
}

impl Blk {
    /// A drive with `disk` in it.  Values of `config` that no disk has are brought into range.
    #[must_use]
    pub fn new(disk: Box<dyn Block>, config: Config) -> Blk {
        let config = Config {
            queues: config.queues.clamp(1, 256),
            queue_size: config.queue_size.clamp(4, 1024).next_power_of_two(),
            block_size: config.block_size.clamp(512, 32768).next_power_of_two(),
            ..config
        };
        let capacity = disk.size() / SECTOR;
        let statistics = Statistics::default();
        Blk { disk, config, capacity, writeback: true, statistics, piece: Vec::new() }
    }

    /// Its counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics.clone()
    }

    /// Is a write done only when it is durable?
    fn write_through(&self, cx: &Cx<'_>) -> bool {
        if cx.has(CONFIG_WCE) { !self.writeback } else { !cx.has(FLUSH) }
    }

    /// Serves one request; how many bytes of the chain are valid.
    fn request(&mut self, cx: &mut Cx<'_>, chain: &mut Chain) -> Result<u64, Broken> {
        let Some(last) = chain.writable().checked_sub(1) else {
            return Err(cx.broken(format_args!("request without room for its status")));
        };
        let Some(header) = cx.array::<16>(chain)? else {
            return Err(cx.broken(format_args!("request without a whole header")));
        };
        let [kind @ .., _, _, _, _, _, _, _, _, _, _, _, _] = header;
        let [.., a, b, c, d, e, f, g, h] = header;
        let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let result = match u32::from_le_bytes(kind) {
            T_IN => self.read(cx, chain, sector, last),
            T_OUT => self.write(cx, chain, sector),
            T_FLUSH => self.flush(),
            T_GET_ID => self.identify(cx, chain, last),
            T_DISCARD if cx.has(DISCARD) => self.ranges(cx, chain, false),
            T_WRITE_ZEROES if cx.has(WRITE_ZEROES) => self.ranges(cx, chain, true),
            other => {
                cx.kit.report.guest_error(format_args!("unknown request type {other:#x}"));
                Err(Stop::Status(Status::Unsupported))
            }
        };
        let status = match result {
            Ok(()) => Status::Ok,
            Err(Stop::Status(status)) => status,
            Err(Stop::Broken(broken)) => return Err(broken),
        };
        if status != Status::Ok {
            self.statistics.add(|c| c.errors += 1);
        }
        cx.write_at(chain, last, &[status as u8])?;
        // The status lies behind the room for data: it counts as written only if that is full, or if it is all there is.
        Ok(if chain.written() == last { last + 1 } else { chain.written().max(1) })
    }

    /// Where `len` bytes from `sector` on lie.
    fn range(&self, cx: &Cx<'_>, sector: u64, len: u64) -> Result<u64, Stop> {
        let sectors = len / SECTOR;
        let inside = sector.checked_add(sectors).is_some_and(|end| end <= self.capacity);
        if !inside || !len.is_multiple_of(u64::from(self.config.block_size)) {
            cx.kit.report.guest_error(format_args!(
                "{len} bytes at sector {sector:#x} of a medium of {:#x} sectors",
                self.capacity
            ));
            return Err(Stop::Status(Status::IoError));
        }
        Ok(sector * SECTOR)
    }

    fn read(&mut self, cx: &mut Cx<'_>, chain: &mut Chain, sector: u64, len: u64) -> Result<(), Stop> {
        let mut at = self.range(cx, sector, len)?;
        let mut left = len;
        self.piece.resize(PIECE, 0);
        while left > 0 {
            let piece = &mut self.piece[..left.min(PIECE as u64) as usize];
            self.disk.read(at, piece)?;
            cx.write(chain, piece)?;
            at += piece.len() as u64;
            left -= piece.len() as u64;
        }
        self.statistics.add(|c| (c.reads, c.read_bytes) = (c.reads + 1, c.read_bytes + len));
        Ok(())
    }

    fn write(&mut self, cx: &mut Cx<'_>, chain: &mut Chain, sector: u64) -> Result<(), Stop> {
        let len = chain.readable();
        let mut at = self.range(cx, sector, len)?;
        if self.disk.read_only() {
            return Err(BlockError::ReadOnly.into());
        }
        self.piece.resize(PIECE, 0);
        while chain.readable() > 0 {
            let n = cx.read(chain, &mut self.piece)?;
            self.disk.write(at, &self.piece[..n])?;
            at += n as u64;
        }
        if self.write_through(cx) {
            self.disk.flush()?;
        }
        self.statistics.add(|c| (c.writes, c.written_bytes) = (c.writes + 1, c.written_bytes + len));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.disk.flush()?;
        self.statistics.add(|c| c.flushes += 1);
        Ok(())
    }

    fn identify(&self, cx: &mut Cx<'_>, chain: &mut Chain, room: u64) -> Result<(), Stop> {
        let mut id = [0; ID_LEN];
        let serial = self.config.serial.as_bytes();
        let n = serial.len().min(ID_LEN);
        id[..n].copy_from_slice(&serial[..n]);
        cx.write(chain, &id[..room.min(ID_LEN as u64) as usize])?;
        Ok(())
    }

    /// Discard, or with `zero` write-zeroes: one segment.
    fn ranges(&mut self, cx: &mut Cx<'_>, chain: &mut Chain, zero: bool) -> Result<(), Stop> {
        let len = chain.readable();
        let Some(segment) = cx.array::<16>(chain)?.filter(|_| len == 16) else {
            cx.kit.report.guest_error(format_args!("{len} bytes of discard segments, not one segment"));
            return Err(Stop::Status(Status::IoError));
        };
        let [a, b, c, d, e, f, g, h, n0, n1, n2, n3, f0, f1, f2, f3] = segment;
        let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
        let flags = u32::from_le_bytes([f0, f1, f2, f3]);
        if flags & !u32::from(zero) != 0 {
            cx.kit.report.guest_error(format_args!("flags {flags:#x} of a segment"));
            return Err(Stop::Status(Status::Unsupported));
        }
        if sectors > MAX_RANGE {
            cx.kit.report.guest_error(format_args!("segment of {sectors} sectors"));
            return Err(Stop::Status(Status::IoError));
        }
        let len = u64::from(sectors) * SECTOR;
        let at = self.range(cx, sector, len)?;
        if self.disk.read_only() {
            return Err(BlockError::ReadOnly.into());
        }
        if zero {
            self.disk.write_zeroes(at, len, flags & 1 != 0)?;
        } else {
            self.disk.discard(at, len)?;
        }
        if self.write_through(cx) {
            self.disk.flush()?;
        }
        self.statistics.add(|c| c.discards += 1);
        Ok(())
    }
}

impl VirtioDevice for Blk {
    fn kind(&self) -> &'static super::Kind {
        &KIND
    }

    fn features(&self) -> u64 {
        let always = SEG_MAX | GEOMETRY | BLK_SIZE | FLUSH | TOPOLOGY | CONFIG_WCE;
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        let writable = !self.disk.read_only();
        always
            | bit(!writable, RO)
            | bit(self.config.queues > 1, MQ)
            | bit(writable && self.config.discard, DISCARD)
            | bit(writable, WRITE_ZEROES)
    }

    fn queues(&self) -> Vec<u16> {
        vec![self.config.queue_size; usize::from(self.config.queues)]
    }

    fn config(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CONFIG_LEN);
        let mut put = |field: &[u8]| bytes.extend_from_slice(field);
        put(&self.capacity.to_le_bytes());
        put(&0u32.to_le_bytes());
        // A request has a header and a status besides its segments.
        put(&u32::from(self.config.queue_size - 2).to_le_bytes());
        let cylinders = (self.capacity / (16 * 63)).min(16383) as u16;
        put(&cylinders.to_le_bytes());
        put(&[16, 63]);
        put(&self.config.block_size.to_le_bytes());
        // Topology: one logical block is one physical one and the smallest sensible I/O; no optimal size.
        put(&[0, 0, 1, 0, 0, 0, 0, 0]);
        put(&[u8::from(self.writeback), 0]);
        put(&self.config.queues.to_le_bytes());
        let alignment = self.config.block_size / SECTOR as u32;
        for field in [MAX_RANGE, 1, alignment, MAX_RANGE, 1] {
            put(&field.to_le_bytes());
        }
        put(&[1, 0, 0, 0]);
        bytes
    }

    fn write_config(&mut self, cx: &mut Cx<'_>, offset: u32, data: &[u8]) {
        match data {
            [value @ (0 | 1)] if offset == WRITEBACK_AT && cx.has(CONFIG_WCE) => {
                self.writeback = *value == 1;
                // What was written under the old rule is made durable under the new one.
                if !self.writeback && self.disk.flush().is_err() {
                    self.statistics.add(|c| c.errors += 1);
                }
            }
            _ => cx.kit.report.guest_error(format_args!("write of {data:02x?} to configuration at {offset:#x}")),
        }
    }

    fn notify(&mut self, cx: &mut Cx<'_>, queue: u16) -> Result<(), Broken> {
        while let Some(mut chain) = cx.pop(queue)? {
            let len = self.request(cx, &mut chain)?;
            cx.push_len(queue, &chain, len);
        }
        Ok(())
    }

    fn changed(&mut self, cx: &mut Cx<'_>, _port: u32) {
        let capacity = self.disk.size() / SECTOR;
        if capacity != self.capacity {
            self.capacity = capacity;
            cx.config_changed();
        }
    }

    fn reset(&mut self, _clock: &Clock) {
        self.writeback = true;
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(KIND.mmio, 1, &State { writeback: self.writeback, capacity: self.capacity })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(KIND.mmio, 1, bytes)?;
        let here = self.capacity;
        check(state.capacity == here, "capacity", || format!("{} sectors, this disk has {here}", state.capacity))?;
        self.writeback = state.writeback;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tern_core::device::Device as _;
    use super::super::testing::Driver;
    use crate::bench::Bench;
    use super::*;
    use crate::bench::MemoryDisk;
    use tern_core::mem::Size;

    const DISK: usize = 1 << 19;

    fn disk(read_only: bool) -> impl FnOnce(&mut Bench) -> Box<dyn VirtioDevice> {
        let bytes = (0..DISK).map(|n| (n / 512 + n) as u8).collect();
        let config = Config { serial: "tern-disk".into(), queues: 3, ..Config::default() };
        move |_| Box::new(Blk::new(Box::new(MemoryDisk { bytes, read_only }), config))
    }

    fn header(kind: u32, sector: u64) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
    }

    fn read(d: &mut Driver, queue: u16, sector: u64, cuts: &[usize]) -> (u8, Vec<u8>) {
        let mut back = cuts.to_vec();
        back.push(1);
        let mut data = d.ask(queue, &[&header(T_IN, sector)], &back).data;
        let status = data.pop().unwrap();
        (status, data)
    }

    #[test]
    fn what_is_written_is_read_however_it_is_cut() {
        for mut d in [Driver::split(u64::MAX >> 16, disk(false)), Driver::packed(u64::MAX >> 16, disk(false))] {
            let data: Vec<u8> = (0..2048).map(|n| (n * 7) as u8).collect();
            let (a, b) = data.split_at(513);
            let done = d.ask(1, &[&header(T_OUT, 9), a, b], &[1]);
            assert_eq!((done.data, done.len), (vec![0], 1));
            assert_eq!(read(&mut d, 2, 9, &[1, 1000, 1047]), (0, data.clone()));
            // Header and data in one buffer, data and status in one buffer.
            let all = [&header(T_OUT, 1)[..], &data].concat();
            assert_eq!(d.ask(0, &[&all[..5], &all[5..]], &[1]).data, [0]);
            let done = d.ask(0, &[&header(T_IN, 1)], &[2049]);
            assert_eq!((&done.data[..2048], done.data[2048], done.len), (&data[..], 0, 2049));
            // Larger than a piece.
            assert_eq!(d.ask(0, &[&header(T_OUT, 0), &[0x5a; 300 << 10]], &[1]).data, [0]);
            assert_eq!(read(&mut d, 0, 0, &[300 << 10]), (0, vec![0x5a; 300 << 10]));
            assert_eq!(d.bench.guest_errors(), 0);
        }
    }

    #[test]
    fn requests_off_the_medium_fail_and_touch_nothing() {
        let mut d = Driver::split(u64::MAX >> 16, disk(false));
        let last = DISK as u64 / 512;
        for (sector, len) in [(last, 512), (last - 1, 1024), (u64::MAX, 512), (1 << 55, 512), (0, 511)] {
            assert_eq!(read(&mut d, 0, sector, &[len]).0, 1, "{sector:#x} {len}");
            assert_eq!(d.ask(0, &[&header(T_OUT, sector), &vec![1; len]], &[1]).data, [1]);
        }
        assert_eq!(d.bench.guest_errors(), 10);
        assert_eq!(read(&mut d, 0, last - 1, &[512]).0, 0);
        assert_eq!(read(&mut d, 0, last, &[]).0, 0, "nothing, at the very end");
        assert_eq!(d.ask(0, &[&header(99, 0)], &[1]).data, [2]);
        assert!(!d.is_broken());
        d.add(0, &[&header(T_IN, 0)[..15]], &[1], false);
        d.kick(0);
        assert!(d.is_broken());
    }

    #[test]
    fn discards_zeroes_flushes_and_names() {
        let mut d = Driver::split(u64::MAX >> 16, disk(false));
        let segment = |sector: u64, n: u32, flags: u32| {
            [&sector.to_le_bytes()[..], &n.to_le_bytes(), &flags.to_le_bytes()].concat()
        };
        let mut range = |kind, s: Vec<u8>| d.ask(0, &[&header(kind, 0), &s], &[1]).data[0];
        assert_eq!(range(T_WRITE_ZEROES, segment(2, 3, 1)), 0);
        assert_eq!(range(T_DISCARD, segment(5, 1, 0)), 0);
        assert_eq!(range(T_DISCARD, segment(5, 1, 1)), 2);
        assert_eq!(range(T_WRITE_ZEROES, segment(5, 1, 2)), 2);
        assert_eq!(range(T_WRITE_ZEROES, segment(DISK as u64 / 512 - 1, 2, 0)), 1);
        assert_eq!(range(T_WRITE_ZEROES, segment(0, u32::MAX, 0)), 1);
        assert_eq!(range(T_WRITE_ZEROES, vec![0; 15]), 1);
        assert_eq!(read(&mut d, 0, 2, &[1536]), (0, vec![0; 1536]));
        assert_ne!(read(&mut d, 0, 1, &[512]).1, vec![0; 512]);
        assert_eq!(d.ask(0, &[&header(T_FLUSH, 0)], &[1]).data, [0]);
        let id = d.ask(0, &[&header(T_GET_ID, 0)], &[20, 1]).data;
        assert_eq!((&id[..10], id[20]), (&b"tern-disk\0"[..], 0));
        assert_eq!(d.ask(0, &[&header(T_GET_ID, 0)], &[4, 1]).data, *b"tern\0");
    }

    #[test]
    fn read_only_media_are_not_written() {
        let mut d = Driver::split(u64::MAX >> 16, disk(true));
        assert_eq!(d.features & (RO | DISCARD | WRITE_ZEROES), RO);
        let before = read(&mut d, 0, 0, &[512]);
        assert_eq!(d.ask(0, &[&header(T_OUT, 0), &[9; 512]], &[1]).data, [1]);
        assert_eq!(d.ask(0, &[&header(T_DISCARD, 0), &[0; 16]], &[1]).data, [2]);
        assert_eq!(read(&mut d, 0, 0, &[512]), before);
    }

    /// A medium that counts flushes, and fails when told.
    struct Watched(MemoryDisk, Rc<Cell<u32>>, Rc<Cell<bool>>);

    impl Block for Watched {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_only(&self) -> bool {
            false
        }
        fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
            if self.2.get() { Err(BlockError::Io("broken".into())) } else { self.0.read(offset, buf) }
        }
        fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
            if self.2.get() { Err(BlockError::NoSpace) } else { self.0.write(offset, buf) }
        }
        fn flush(&mut self) -> Result<(), BlockError> {
            self.1.set(self.1.get() + 1);
            Ok(())
        }
        fn discard(&mut self, _: u64, _: u64) -> Result<(), BlockError> {
            Err(BlockError::Unsupported)
        }
        fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
            self.0.write_zeroes(offset, len, unmap)
        }
    }

    #[test]
    fn caching_is_what_was_agreed_on_and_failures_are_told() {
        let (flushes, fails) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let make = |wanted: u64| {
            let medium = MemoryDisk { bytes: vec![0; DISK], read_only: false };
            let disk = Box::new(Watched(medium, flushes.clone(), fails.clone()));
            let blk = Blk::new(disk, Config::default());
            let statistics = blk.statistics();
            (Driver::split(wanted, |_| Box::new(blk)), statistics)
        };
        let write = |d: &mut Driver| d.ask(0, &[&header(T_OUT, 0), &[1; 512]], &[1]).data[0];
        // A driver that cannot flush gets durable writes.
        let (mut d, _) = make(0);
        assert_eq!((write(&mut d), flushes.take()), (0, 1));
        // One that can flush does it itself.
        let (mut d, _) = make(FLUSH);
        assert_eq!((write(&mut d), flushes.take()), (0, 0));
        // One that may choose, chooses.
        let (mut d, statistics) = make(FLUSH | CONFIG_WCE | DISCARD);
        assert_eq!((write(&mut d), flushes.take()), (0, 0));
        d.device.write(0, 0x100 + 32, Size::B1, 0);
        assert_eq!(flushes.take(), 1);
        assert_eq!((write(&mut d), flushes.take(), d.device.read(0, 0x120, Size::B1)), (0, 1, 0));
        d.device.write(0, 0x100 + 32, Size::B1, 2);
        assert_eq!(d.bench.guest_errors(), 1);
        assert_eq!(d.ask(0, &[&header(T_DISCARD, 0), &[0; 16]], &[1]).data, [2]);
        fails.set(true);
        assert_eq!((write(&mut d), read(&mut d, 0, 0, &[512]).0), (1, 1));
        let counts = statistics.counts();
        assert_eq!((counts.writes, counts.written_bytes, counts.errors), (2, 1024, 3));
    }

    #[test]
    fn the_configuration_space_is_laid_out_as_specified() {
        let mut d = Driver::split(u64::MAX >> 16, disk(false));
        let mut at = |offset: u64, size| d.device.read(0, 0x100 + offset, size);
        assert_eq!((at(0, Size::B8), at(12, Size::B4)), (DISK as u64 / 512, 254));
        assert_eq!((at(20, Size::B4), at(32, Size::B1), at(34, Size::B2)), (512, 1, 3));
        assert_eq!((at(36, Size::B4), at(40, Size::B4), at(44, Size::B4)), (u64::from(MAX_RANGE), 1, 1));
        assert_eq!((at(48, Size::B4), at(52, Size::B4), at(56, Size::B4)), (u64::from(MAX_RANGE), 1, 1));
        assert_eq!((at(58, Size::B2), d.bench.guest_errors()), (0, 0));
    }
}
