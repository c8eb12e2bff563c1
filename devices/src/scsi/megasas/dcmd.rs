//! Direct commands to the firmware: what it says of itself and its drives.

use super::events::{self, Wanted};
use super::frame::{Frame, MOST_LD};
use super::{Megasas, firmware, status};
use crate::scsi::{Address, Local, Unit};

/// A command.
pub(super) struct Request<'a> {
    pub(super) frame: &'a Frame,
    pub(super) opcode: u32,
    /// Length of its buffer in bytes.
    pub(super) room: u32,
}

impl Request<'_> {
    /// The number of a drive in the mailbox.
    fn drive(&self) -> u16 {
        self.frame.mailbox(0) as u16
    }
}

/// How it ends.
pub(super) enum Answer {
    /// Well, with these bytes.
    Data(Vec<u8>),
    /// With this status.
    Status(u8),
    /// It waits for an event.
    Waits(Wanted),
}

/// A row of the list of commands.
struct Row {
    opcode: u32,
    /// The least that its buffer must hold.
    least: u32,
    run: fn(&mut Megasas, &Request<'_>) -> Answer,
}

const fn row(opcode: u32, least: u32, run: fn(&mut Megasas, &Request<'_>) -> Answer) -> Row {
    Row { opcode, least, run }
}

/// All commands that are built.
static ROWS: &[Row] = &[
    row(0x0101_0000, 2048, Megasas::controller_info),
    row(0x0102_0100, 64, |_, _| Answer::Data(properties().0)),
    // Properties are what they are: rates of what never happens here.
    row(0x0102_0200, 64, |_, _| Answer::Status(status::OK)),
    row(0x0104_0100, 20, Megasas::event_info),
    row(0x0104_0300, 8, Megasas::event_get),
    row(0x0104_0500, events::LEN as u32, |_, r| Answer::Waits(Wanted::new(r.frame.mailbox(0), r.frame.mailbox(1)))),
    row(0x0105_0000, 0, Megasas::shutdown),
    row(0x0106_0000, 0, Megasas::shutdown),
    row(0x0108_0101, 8, |d, _| Answer::Data(d.time().to_le_bytes().to_vec())),
    row(0x010c_0100, 64, Megasas::bios_data),
    row(0x010e_0201, 64, Megasas::defaults),
    row(0x0110_1000, 0, Megasas::flush),
    row(0x0201_0000, 32, |d, r| d.physical_list(r, true)),
    row(0x0201_0100, 32, Megasas::physical_query),
    row(0x0202_0000, 512, Megasas::physical_info),
    row(0x0301_0000, 8, Megasas::logical_list),
    row(0x0301_0100, 12, Megasas::logical_query),
    row(0x0302_0000, 384, Megasas::logical_info),
    row(0x0401_0000, 32, Megasas::configuration),
    row(0x0801_0200, 0, Megasas::reset_drive),
];

/// A structure of the firmware's: fields at offsets.
struct Record(Vec<u8>);

impl Record {
    fn new(len: usize) -> Record {
        Record(vec![0; len])
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Record {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// A text, cut to `len` bytes.
    fn text(self, at: usize, text: &str, len: usize) -> Record {
        let bytes = text.as_bytes();
        self.put(at, &bytes[..bytes.len().min(len)])
    }

    fn half(self, at: usize, value: u16) -> Record {
        self.put(at, &value.to_le_bytes())
    }

    fn word(self, at: usize, value: u32) -> Record {
        self.put(at, &value.to_le_bytes())
    }

    fn long(self, at: usize, value: u64) -> Record {
        self.put(at, &value.to_le_bytes())
    }
}

/// The controller's properties: intervals, throttling, rates in percent.
fn properties() -> Record {
    Record::new(64)
        .half(2, 300)
        .half(4, 16)
        .half(6, 50)
        .put(8, &[30; 5])
        .put(13, &[4, 2, 6])
        .put(21, &[15])
        .half(22, 1440)
        .put(25, &[1])
}

/// The SAS address of a drive: what SATA drives of real controllers show.
fn sas_address(target: u16) -> u64 {
    0x1221 << 48 | u64::from(target) << 24
}

/// Size of a unit in sectors of 512 bytes, in which the firmware counts.
fn sectors(unit: &dyn Unit) -> u64 {
    unit.blocks().saturating_mul(u64::from(unit.block_size()) / 512)
}

impl Megasas {
    /// Executes a direct command.
    pub(super) fn run(&mut self, request: &Request<'_>) -> Answer {
        match ROWS.iter().find(|row| row.opcode == request.opcode) {
            Some(row) if request.room < row.least => {
                let (opcode, room) = (request.opcode, request.room);
                self.kit.report.guest_error(format_args!("{room} bytes for the answer to command {opcode:#x}"));
                Answer::Status(status::INVALID_PARAMETER)
            }
            Some(row) => (row.run)(self, request),
            None => {
                self.kit.report.unimplemented(format_args!("firmware command {:#x}", request.opcode));
                Answer::Status(status::INVALID_DCMD)
            }
        }
    }

    /// The targets, with their first units.
    fn targets(&self) -> impl Iterator<Item = (u16, &dyn Unit)> {
        let mut last = None;
        self.bus.units().filter_map(move |(address, unit)| {
            let first = last.replace(address.target) != Some(address.target);
            first.then_some((address.target, unit))
        })
    }

    /// The logical drives: one for each target's unit 0, unless drives are shown as they are.
    fn logical(&self) -> impl Iterator<Item = (u16, &dyn Unit)> {
        let jbod = self.setup.jbod;
        self.bus.units().filter(move |(at, _)| !jbod && at.lun == 0 && at.target < MOST_LD).map(|(at, u)| (at.target, u))
    }

    fn controller_info(&mut self, _: &Request<'_>) -> Answer {
        let setup = &self.setup;
        let (physical, logical) = (self.targets().count() as u16, self.logical().count() as u16);
        let mut record = Record::new(2048)
            // PCI identity; PCI Express in front, SAS behind.
            .half(0, super::VENDOR)
            .half(2, setup.kind.device)
            .half(4, super::VENDOR)
            .half(6, setup.kind.subsystem)
            .put(32, &[2])
            .put(104, &[2])
            .put(111, &[8])
            // One component of firmware.
            .word(180, 1)
            .text(184, "APP", 8)
            .text(192, setup.kind.version, 32)
            // Arms, spans, arrays, logical drives.
            .put(1340, &[32, 8, 128, MOST_LD as u8])
            .text(1344, setup.kind.product, 80)
            .text(1424, &setup.serial, 32)
            // NVRAM, memory, flash; commands, elements of scatter lists, sectors.
            .word(1456, 0x34)
            .half(1464, setup.max_cmds as u16)
            .half(1466, setup.max_sge)
            .word(1468, 0xffff)
            .half(1472, logical)
            .half(1478, physical)
            .half(1480, physical)
            .half(1486, 32)
            .half(1488, 512)
            .half(1490, 16)
            .half(1498, setup.max_sge)
            // RAID 0; operations on the adapter and on logical drives; strips of 4 KiB to 32 MiB.
            .word(1500, 1)
            .word(1504, 0x3001)
            .word(1508, 0x1f)
            .put(1512, &[3, 16])
            // Drives can be forced online and offline, and mixed.
            .word(1516, 3)
            .word(1520, 0xb)
            .put(1536, &properties().0)
            // Drives without RAID are known.
            .word(1536 + 32, 1 << 13)
            .text(1600, setup.kind.version, 96);
        for (n, (target, _)) in self.targets().take(8).enumerate() {
            record = record.long(112 + 8 * n, sas_address(target));
        }
        Answer::Data(record.0)
    }

    fn event_info(&mut self, _: &Request<'_>) -> Answer {
        let log = &self.state.log;
        let record = Record::new(20).word(0, log.newest).word(4, log.oldest()).word(12, log.shutdown).word(16, log.boot);
        Answer::Data(record.0)
    }

    /// The events from a sequence number on, as many as there is room for.
    fn event_get(&mut self, request: &Request<'_>) -> Answer {
        let wanted = Wanted::new(request.frame.mailbox(0), request.frame.mailbox(1));
        let room = (request.room as usize - 8) / events::LEN;
        let list: Vec<u8> = self.state.log.wanted(wanted).take(room).flat_map(|event| event.bytes()).collect();
        if list.is_empty() {
            return Answer::Status(status::NOT_FOUND);
        }
        let count = (list.len() / events::LEN) as u32;
        Answer::Data([&count.to_le_bytes()[..], &[0; 4], &list].concat())
    }

    fn shutdown(&mut self, _: &Request<'_>) -> Answer {
        self.state.firmware = firmware::READY;
        self.state.log.shutdown = self.state.log.newest;
        self.flush_all()
    }

    fn flush(&mut self, _: &Request<'_>) -> Answer {
        self.flush_all()
    }

    /// Makes durable what all drives hold in their caches.
    fn flush_all(&mut self) -> Answer {
        let all: Vec<Address> = self.bus.units().map(|(address, _)| address).collect();
        let mut result = status::OK;
        for address in all {
            let Some(unit) = self.bus.unit_mut(address) else { continue };
            let present = unit.blocks() > 0;
            let flush = crate::scsi::Cdb::new(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            if let Some(cdb) = flush.filter(|_| present)
                && unit.execute(&cdb, &mut Local::default()).is_err()
            {
                result = status::FLUSH_FAILED;
            }
        }
        Answer::Status(result)
    }

    fn bios_data(&mut self, _: &Request<'_>) -> Answer {
        // Goes on after errors, and says so.
        Answer::Data(Record::new(64).put(3, &[1, 1, 0, u8::from(self.setup.jbod)]).0)
    }

    fn defaults(&mut self, _: &Request<'_>) -> Answer {
        let record = Record::new(64).long(0, self.setup.sas_address).put(9, &[30, 3, 4]);
        // Drives may be mixed, and are mapped and listed directly; no tools before boot, no clusters.
        let on = [24, 25, 28, 31, 32, 34, 38, 40];
        Answer::Data(on.iter().fold(record, |record, at| record.put(*at, &[1])).0)
    }

    /// Physical drives; `all`, or only those that the host sees as they are.
    fn physical_list(&mut self, request: &Request<'_>, all: bool) -> Answer {
        let most = if all { (request.room as usize - 8) / 24 } else { 0 };
        let mut list = Vec::new();
        let mut count = 0u32;
        for (target, unit) in self.targets().take(most.min(240)) {
            let entry = Record::new(24)
                .half(0, target)
                .half(2, 0xffff)
                .put(5, &[target as u8, unit.peripheral(), 1])
                .long(8, sas_address(target));
            list.extend(entry.0);
            count += 1;
        }
        let head = Record::new(8).word(0, 8 + list.len() as u32).word(4, count);
        Answer::Data([head.0, list].concat())
    }

    fn physical_query(&mut self, request: &Request<'_>) -> Answer {
        // Any drive, or those that are exposed to the host.
        let all = request.frame.mailbox(0) as u8 == 0 || self.setup.jbod;
        self.physical_list(request, all)
    }

    /// What a unit answers to INQUIRY, for `page` or for the standard data.
    fn inquire(&mut self, address: Address, page: Option<u8>, len: u8) -> Vec<u8> {
        let cdb = [0x12, u8::from(page.is_some()), page.unwrap_or(0), 0, len, 0];
        let mut data = Local::new(&[], usize::from(len));
        let done = self.bus.execute(address, &cdb, &mut data);
        if done.is_some_and(|outcome| outcome.sense.is_none()) { data.answer } else { vec![0x7f] }
    }

    fn physical_info(&mut self, request: &Request<'_>) -> Answer {
        let target = request.drive();
        let found = self.bus.units().map(|(address, _)| address).find(|address| address.target == target);
        let Some(address) = found else { return Answer::Status(status::DEVICE_NOT_FOUND) };
        let (inquiry, identity) = (self.inquire(address, None, 96), self.inquire(address, Some(0x83), 64));
        let Some(unit) = self.bus.unit(address) else { return Answer::Status(status::DEVICE_NOT_FOUND) };
        let size = sectors(unit);
        // Shown as it is, or part of a logical drive.
        let state = if self.setup.jbod { 0x40 } else { 0x18 };
        let record = Record::new(512)
            .half(0, target)
            .put(4, &inquiry)
            .put(100, &identity)
            .put(165, &[unit.peripheral(), 1, 1])
            .half(184, state)
            .put(187, &[1])
            // In a logical drive, SAS.
            .half(188, 0x2002)
            .put(192, &[1])
            .long(200, sas_address(target))
            .long(232, size)
            .long(240, size)
            .long(248, size)
            .half(256, 0xffff)
            .put(259, &[target as u8]);
        Answer::Data(record.0)
    }

    fn logical_list(&mut self, request: &Request<'_>) -> Answer {
        let room = (request.room as usize - 8) / 16;
        let mut list = Vec::new();
        for (target, unit) in self.logical().take(room) {
            // Optimal.
            list.extend(Record::new(16).put(0, &[target as u8]).put(4, &[3]).long(8, sectors(unit)).0);
        }
        let head = Record::new(8).word(0, (list.len() / 16) as u32);
        Answer::Data([head.0, list].concat())
    }

    fn logical_query(&mut self, request: &Request<'_>) -> Answer {
        // All, or those that are exposed to the host.
        let known = request.frame.mailbox(0) as u8 <= 1;
        let room = if known { request.room as usize - 11 } else { 0 };
        let list: Vec<u8> = self.logical().take(room).map(|(target, _)| target as u8).collect();
        let head = Record::new(11).word(0, 11 + list.len() as u32).word(4, list.len() as u32);
        Answer::Data([head.0, list].concat())
    }

    /// How a logical drive is made of a physical one.
    fn logical_config(target: u16, size: u64) -> Record {
        Record::new(256)
            .put(0, &[target as u8])
            // Read ahead, adaptively; default and current.
            .put(20, &[0x0c, 0, 0, 0x0c])
            // Strips of 4 KiB, one drive, one span, optimal, consistent.
            .put(32 + 3, &[3, 1, 1, 3, 0, 1])
            .long(64 + 8, size)
            .half(64 + 16, target)
    }

    fn logical_info(&mut self, request: &Request<'_>) -> Answer {
        let target = request.drive();
        let Some(size) = self.logical().find(|(t, _)| *t == target).map(|(_, unit)| sectors(unit)) else {
            return Answer::Status(status::DEVICE_NOT_FOUND);
        };
        let identity = self.inquire(Address::new(target, 0), Some(0x83), 64);
        let config = Megasas::logical_config(target, size);
        Answer::Data(Record::new(384).put(0, &config.0).long(256, size).put(304, &identity).0)
    }

    /// The whole configuration: for each logical drive an array of one physical drive.
    fn configuration(&mut self, _: &Request<'_>) -> Answer {
        let (mut arrays, mut drives) = (Vec::new(), Vec::new());
        for (target, unit) in self.logical() {
            let size = sectors(unit);
            let mut array = Record::new(288).long(0, size).put(8, &[1]).half(10, target);
            for n in 0..32 {
                let (id, state, slot) = if n == 0 { (target, 0x18, target as u8) } else { (0xffff, 0, 0xff) };
                let at = 32 + 8 * n;
                array = array.half(at, id).half(at + 4, state).put(at + 6, &[0xff, slot]);
            }
            arrays.extend(array.0);
            drives.extend(Megasas::logical_config(target, size).0);
        }
        let count = (drives.len() / 256) as u16;
        let head = Record::new(32)
            .word(0, (32 + arrays.len() + drives.len()) as u32)
            .half(4, count)
            .half(6, 288)
            .half(8, count)
            .half(10, 256)
            .half(14, 40);
        Answer::Data([head.0, arrays, drives].concat())
    }

    fn reset_drive(&mut self, request: &Request<'_>) -> Answer {
        self.bus.reset_target(Address::new(request.drive(), 0));
        Answer::Status(status::OK)
    }
}
