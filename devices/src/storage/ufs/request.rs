//! Requests to a UFS device: descriptors in the host's memory, the UPIUs that they point to, and their data (UFSHCI 4.0, 6;
//! JESD220F, 10).

use super::mcq::ENTRY;
use super::regs::{INT_FATAL, INT_TASK, INT_TRANSFER};
use super::unit::{report_luns, well_known};
use super::{EVENT_WORK, Ufs};
use crate::scsi::{Cdb, Data, Failure, Scatter, Sense};

/// Most requests served at a time; the others wait until the guest has run on for [`PAUSE`] ns.
const BATCH: u32 = 16;
const PAUSE: u64 = 1000;
/// Most bytes of a request's data.
pub(super) const MOST: u64 = 8 << 20;
/// Length of a UPIU without its data segment.
const UPIU: usize = 32;
/// Length of a descriptor of a task management request.
const TASK: usize = 80;
/// Entries of a table of data that are read at once, and their length.
const ENTRIES: usize = 256;
const DATA_ENTRY: usize = 16;

/// Overall command status (UFSHCI 4.0, 6.1.1).
pub(super) mod ocs {
    pub(crate) const SUCCESS: u8 = 0x0;
    pub(crate) const INVALID_TABLE: u8 = 0x1;
    pub(crate) const INVALID_DATA: u8 = 0x2;
    pub(crate) const FATAL: u8 = 0x7;
}

/// Transactions (JESD220F, 10.5.2).
mod transaction {
    pub(super) const NOP_OUT: u8 = 0x00;
    pub(super) const COMMAND: u8 = 0x01;
    pub(super) const QUERY: u8 = 0x16;
    /// What is added for the answer.
    pub(super) const ANSWER: u8 = 0x20;
}

/// Flags of a command: the host has data, wants data; and of a response: less data than expected.
const FLAG_WRITE: u8 = 0x20;
const FLAG_READ: u8 = 0x40;
const UNDERFLOW: u8 = 0x20;
/// The operation code that the device answers for all its units.
const REPORT_LUNS: u8 = 0xa0;

/// A transfer request.
pub(super) struct Request {
    /// Where its UPIUs and its table of data are.
    base: u64,
    response_len: usize,
    response_at: u64,
    table_len: usize,
    table_at: u64,
    pub(super) upiu: [u8; UPIU],
}

/// Two bytes, little-endian.
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes, little-endian.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}

/// Four bytes, big-endian, as UPIUs have them.
pub(super) fn big(bytes: &[u8], at: usize) -> u32 {
    word(bytes, at).swap_bytes()
}

impl Request {
    /// What a descriptor says; the UPIU comes later.
    fn new(descriptor: &[u8; ENTRY as usize]) -> Request {
        let base = u64::from(word(descriptor, 20)) << 32 | u64::from(word(descriptor, 16) & !0x7f);
        let offset = |at: usize| base.wrapping_add(4 * u64::from(half(descriptor, at)));
        Request {
            base,
            response_len: 4 * usize::from(half(descriptor, 24)),
            response_at: offset(26),
            table_len: usize::from(half(descriptor, 28)),
            table_at: offset(30),
            upiu: [0; UPIU],
        }
    }

    /// The answer's UPIU: the request's header with another transaction, and this response and status.
    pub(super) fn answer(&self, flags: u8, response: u8, status: u8, data: &[u8]) -> Vec<u8> {
        let mut answer = vec![0; UPIU];
        answer[..12].copy_from_slice(&self.upiu[..12]);
        answer[0] = self.upiu[0] + transaction::ANSWER;
        (answer[1], answer[6], answer[7], answer[8], answer[9]) = (flags, response, status, 0, 0);
        answer[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
        answer.extend(data);
        answer
    }
}

impl Ufs {
    /// Serves what the host has asked for, but only so much.
    pub(super) fn work(&mut self) {
        let mut left = BATCH;
        while self.is_master() && self.regs.link {
            let slot = self.regs.run.then(|| self.regs.doorbell.trailing_zeros()).filter(|slot| *slot < self.slots);
            let ready: Vec<usize> = (0..self.queues.len()).filter(|n| self.has_work(*n)).collect();
            if slot.is_none() && ready.is_empty() {
                break;
            }
            if left == 0 {
                self.kit.clock.schedule(EVENT_WORK, self.kit.clock.now().saturating_add(PAUSE));
                break;
            }
            left -= 1;
            if let Some(slot) = slot {
                self.serve_slot(slot);
            }
            ready.into_iter().for_each(|n| self.serve_queue(n));
        }
        self.completed();
    }

    /// Is there a request in this queue, and room for its completion?
    fn has_work(&self, n: usize) -> bool {
        let Some(queue) = self.queues.get(n).filter(|queue| queue.has_request()) else { return false };
        self.queues.get(queue.completes_in()).is_some_and(|queue| queue.is_usable() && !queue.is_full())
    }

    fn no_memory(&mut self, what: &str, at: u64) {
        self.kit.report.guest_error(format_args!("no memory for {what} at {at:#x}"));
        self.regs.status |= INT_FATAL;
    }

    /// The request of a slot.
    fn serve_slot(&mut self, slot: u32) {
        self.regs.doorbell &= !(1 << slot);
        let at = self.regs.requests.wrapping_add(u64::from(slot * ENTRY));
        let Ok(descriptor) = self.kit.dma.array(at) else { return self.no_memory("a request", at) };
        let status = self.execute(&mut Request::new(&descriptor));
        if self.kit.dma.write(at.wrapping_add(8), &u32::from(status).to_le_bytes()).is_err() {
            return self.no_memory("a status", at);
        }
        self.regs.completed |= 1 << slot;
        // The host wants to hear of it, or has to.
        if status != ocs::SUCCESS || descriptor[3] & 1 != 0 {
            self.regs.status |= INT_TRANSFER;
        }
    }

    /// The next request of a queue, which has work.
    fn serve_queue(&mut self, n: usize) {
        if !self.has_work(n) {
            return;
        }
        let queue = &mut self.queues[n];
        let (at, target) = (queue.take(), queue.completes_in());
        let Ok(descriptor) = self.kit.dma.array(at) else { return self.no_memory("a request", at) };
        let mut request = Request::new(&descriptor);
        let status = self.execute(&mut request);
        let mut entry = [0; ENTRY as usize];
        entry[..8].copy_from_slice(&(request.base | n as u64).to_le_bytes());
        entry[8..16].copy_from_slice(&descriptor[24..32]);
        entry[16] = status;
        let Some(queue) = self.queues.get_mut(target) else { return };
        let at = queue.place();
        if self.kit.dma.write(at, &entry).is_err() {
            self.no_memory("a completion", at);
        }
    }

    /// Executes a request and writes its answer; how it ended.
    fn execute(&mut self, request: &mut Request) -> u8 {
        if self.kit.dma.read(request.base, &mut request.upiu).is_err() {
            self.kit.report.guest_error(format_args!("no UPIU at {:#x}", request.base));
            return ocs::FATAL;
        }
        let (status, answer) = match request.upiu[0] & 0x3f {
            transaction::NOP_OUT => (ocs::SUCCESS, request.answer(0, 0, 0, &[])),
            transaction::COMMAND => self.command(request),
            transaction::QUERY => self.query(request),
            other => {
                self.kit.report.guest_error(format_args!("transaction {other:#x}"));
                return ocs::INVALID_TABLE;
            }
        };
        let len = answer.len().min(request.response_len);
        if self.kit.dma.write(request.response_at, &answer[..len]).is_err() {
            self.kit.report.guest_error(format_args!("no memory for an answer at {:#x}", request.response_at));
            return ocs::FATAL;
        }
        status
    }

    /// Where up to `len` bytes of data are: address and length of each piece.
    fn pieces(&self, request: &Request, len: u64) -> Option<Vec<(u64, u64)>> {
        let (mut pieces, mut left, mut seen) = (Vec::new(), len, 0);
        while left > 0 && seen < request.table_len {
            let n = ENTRIES.min(request.table_len - seen);
            let mut raw = vec![0; DATA_ENTRY * n];
            self.kit.dma.read(request.table_at.wrapping_add((DATA_ENTRY * seen) as u64), &mut raw).ok()?;
            for entry in raw.as_chunks::<DATA_ENTRY>().0 {
                let address = u64::from(word(entry, 4)) << 32 | u64::from(word(entry, 0));
                let n = left.min(u64::from(word(entry, 12) & 0x3_ffff) + 1);
                pieces.push((address, n));
                left -= n;
            }
            seen += n;
        }
        Some(pieces)
    }

    /// A SCSI command.
    fn command(&mut self, request: &Request) -> (u8, Vec<u8>) {
        let (flags, lun) = (request.upiu[1], request.upiu[2]);
        let expected = big(&request.upiu, 12);
        let limit = if flags & (FLAG_WRITE | FLAG_READ) == 0 { 0 } else { MOST.min(u64::from(expected)) };
        let Some(pieces) = self.pieces(request, limit) else {
            self.kit.report.guest_error(format_args!("the table of a command's data is in no memory"));
            return (ocs::INVALID_DATA, request.answer(0, 1, 0, &[]));
        };
        let dma = self.kit.dma.clone();
        let mut data = Scatter::new(&dma, pieces, flags & FLAG_WRITE != 0, limit);
        let result = match Cdb::new(&request.upiu[16..32]) {
            Some(cdb) => self.scsi(lun, &cdb, &mut data),
            None => Err(Sense::INVALID_OPCODE.into()),
        };
        match result {
            Err(Failure::Fault(_)) => {
                self.kit.report.guest_error(format_args!("the data of a command is in no memory"));
                (ocs::INVALID_DATA, request.answer(0, 1, 0, &[]))
            }
            Err(Failure::Sense(sense)) => (ocs::SUCCESS, Ufs::response(request, expected, data.moved(), Some(sense))),
            Ok(()) => (ocs::SUCCESS, Ufs::response(request, expected, data.moved(), None)),
        }
    }

    /// The response UPIU of a SCSI command: residue, status, sense data (10.7.2).
    fn response(request: &Request, expected: u32, moved: u64, sense: Option<Sense>) -> Vec<u8> {
        let left = u64::from(expected).saturating_sub(moved) as u32;
        let flags = if left > 0 { UNDERFLOW } else { 0 };
        let (failed, status) = if sense.is_some() { (1, 2) } else { (0, 0) };
        let data = sense.map(|sense| [&18u16.to_be_bytes()[..], &sense.fixed()].concat()).unwrap_or_default();
        let mut answer = request.answer(flags, failed, status, &data);
        answer[12..16].copy_from_slice(&left.to_be_bytes());
        answer[16..UPIU].fill(0);
        answer
    }

    /// Hands a command to a logical unit, or to a well-known one.
    fn scsi(&mut self, lun: u8, cdb: &Cdb, data: &mut dyn Data) -> Result<(), Failure> {
        if cdb.op() == REPORT_LUNS {
            let luns: Vec<u8> = self.units.iter().map(|(lun, _)| *lun).collect();
            return report_luns(cdb, &luns, data);
        }
        match self.find(lun) {
            Ok(at) => self.units[at].1.execute(cdb, data),
            Err(_) => well_known(lun, cdb, data),
        }
    }

    /// A task management request (10.7.7): no request is left of which it could be, except for attentions.
    pub(super) fn task(&mut self, slot: u32) {
        let at = self.regs.task_list.wrapping_add(u64::from(slot) * TASK as u64);
        let Ok(mut descriptor) = self.kit.dma.array::<TASK>(at) else { return self.no_memory("a task", at) };
        let (lun, function) = (descriptor[18], descriptor[21]);
        let result: u32 = match (function, self.find(lun)) {
            (0x01 | 0x02 | 0x04 | 0x80 | 0x81, _) if lun & 0x80 != 0 => 0x00,
            (0x01 | 0x02 | 0x04 | 0x80 | 0x81, Ok(_)) => 0x00,
            (0x08, Ok(unit)) => {
                self.units[unit].1.attention();
                0x00
            }
            (0x01 | 0x02 | 0x04 | 0x08 | 0x80 | 0x81, Err(_)) => 0x09,
            _ => 0x04,
        };
        descriptor[8..12].fill(0);
        let header: [u8; 12] = core::array::from_fn(|n| descriptor[16 + n]);
        descriptor[48..60].copy_from_slice(&header);
        descriptor[48] = 0x24;
        (descriptor[49], descriptor[54], descriptor[58], descriptor[59]) = (0, 0, 0, 0);
        descriptor[60..64].copy_from_slice(&result.to_be_bytes());
        if self.kit.dma.write(at, &descriptor).is_err() {
            return self.no_memory("a task", at);
        }
        self.regs.status |= INT_TASK;
    }
}
