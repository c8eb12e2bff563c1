//! Message frames: what drivers hand to the firmware, and its answers (`struct megasas_header` and its kin in Linux's
//! megaraid_sas.h; there is no public manual).

use super::Megasas;
use super::dcmd;
use super::events::Wanted;
use super::status;
use crate::scsi::{Address, Direction, Scatter, Sense};
use serde::{Deserialize, Serialize};

/// Commands of frames.
mod command {
    pub(super) const INIT: u8 = 0;
    pub(super) const LD_READ: u8 = 1;
    pub(super) const LD_WRITE: u8 = 2;
    pub(super) const LD_SCSI: u8 = 3;
    pub(super) const PD_SCSI: u8 = 4;
    pub(super) const DCMD: u8 = 5;
    pub(super) const ABORT: u8 = 6;
}

/// Flags of frames.
mod flag {
    pub(super) const DONT_POST: u16 = 0x01;
    pub(super) const SGL64: u16 = 0x02;
    pub(super) const SENSE64: u16 = 0x04;
    pub(super) const IEEE_SGL: u16 = 0x20;
}

/// Length of a frame without the scatter list's tail.
const LEN: usize = 64;
/// Where fields are: status and SCSI status, sense length.
const CMD_STATUS: u64 = 2;
const SENSE_LEN_AT: u64 = 1;
/// Where scatter lists begin.
const IO_SGL: u64 = 40;
const PASS_SGL: u64 = 48;
/// Most elements of a scatter list.
const MOST_SGE: u8 = 128;
/// SCSI status CHECK CONDITION.
const CHECK_CONDITION: u8 = 2;
/// Logical drives.
pub(super) const MOST_LD: u16 = 64;
/// Contexts in the reply queue have 64 bits, in the flags of the queues' description.
const CONTEXT64: u32 = 2;

/// A frame that has been read.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    addr: u64,
    bytes: [u8; LEN],
}

/// What is needed to complete a frame later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    addr: u64,
    context: u64,
    post: bool,
    buffer: (u64, u32),
    pub(super) wanted: Wanted,
}

/// Queue of replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Replies {
    addr: u64,
    producer: u64,
    /// Entries, not 0.
    len: u32,
    head: u32,
    context64: bool,
}

impl Replies {
    /// Can it be so?
    pub(super) fn is_sane(&self) -> bool {
        self.len != 0 && self.head < self.len
    }
}

impl Frame {
    fn byte(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    pub(super) fn word(&self, at: usize) -> u32 {
        u32::from(self.half(at)) | u32::from(self.half(at + 2)) << 16
    }

    fn long(&self, at: usize) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32
    }

    fn context(&self) -> u64 {
        self.long(8)
    }

    fn flags(&self) -> u16 {
        self.half(16)
    }

    /// Word `n` of a direct command's mailbox.
    pub(super) fn mailbox(&self, n: usize) -> u32 {
        self.word(28 + 4 * n)
    }
}

impl Megasas {
    /// The driver has put a frame at `addr`.
    pub(super) fn frame(&mut self, addr: u64) {
        let Ok(bytes) = self.kit.dma.array::<LEN>(addr) else {
            return self.kit.report.guest_error(format_args!("no memory for a frame at {addr:#x}"));
        };
        let frame = Frame { addr, bytes };
        let result = match frame.byte(0) {
            command::INIT => self.initialize(&frame),
            command::LD_READ | command::LD_WRITE => self.logical_io(&frame),
            command::LD_SCSI | command::PD_SCSI => self.pass(&frame),
            command::DCMD => return self.direct(&frame),
            command::ABORT => self.abort(&frame),
            other => {
                self.kit.report.unimplemented(format_args!("frame with command {other:#x}"));
                status::INVALID_CMD
            }
        };
        self.complete(&frame, result);
    }

    /// Writes the result and tells the driver.
    fn complete(&mut self, frame: &Frame, result: u8) {
        self.write(frame.addr + CMD_STATUS, &[result]);
        if frame.flags() & flag::DONT_POST == 0 {
            self.post(frame.context());
        }
    }

    fn write(&self, addr: u64, bytes: &[u8]) {
        if let Err(e) = self.kit.dma.write(addr, bytes) {
            self.kit.report.guest_error(format_args!("answer: {e}"));
        }
    }

    /// Puts a context into the queue of replies, and interrupts.
    fn post(&mut self, context: u64) {
        let Some(mut replies) = self.state.replies else { return };
        let context = context.to_le_bytes();
        let size = if replies.context64 { 8 } else { 4 };
        self.write(replies.addr.wrapping_add(u64::from(replies.head) * size as u64), &context[..size]);
        replies.head = (replies.head + 1) % replies.len;
        self.write(replies.producer, &replies.head.to_le_bytes());
        self.state.replies = Some(replies);
        self.interrupt();
    }

    /// INIT: the driver describes its queues.
    fn initialize(&mut self, frame: &Frame) -> u8 {
        if self.state.replies.is_some() {
            return status::OK;
        }
        let Ok(info) = self.kit.dma.array::<32>(frame.long(24)) else { return status::MEMORY_NOT_AVAILABLE };
        let info = Frame { addr: 0, bytes: core::array::from_fn(|n| info.get(n).copied().unwrap_or(0)) };
        let len = info.word(4) & 0xffff;
        if len == 0 || len > self.setup.max_cmds + 1 {
            self.kit.report.guest_error(format_args!("a queue of {len} replies"));
            return status::INVALID_PARAMETER;
        }
        let producer = info.long(16);
        let head = self.kit.dma.array(producer).map_or(0, u32::from_le_bytes) % len;
        let context64 = info.word(0) & CONTEXT64 != 0;
        self.state.replies = Some(Replies { addr: info.long(8), producer, len, head, context64 });
        self.state.firmware = super::firmware::OPERATIONAL;
        status::OK
    }

    /// One element of the scatter list at `at`: address and length.
    fn element(&self, frame: &Frame, at: u64, n: u8) -> Option<(u64, u32)> {
        let dma = &self.kit.dma;
        let long = |b: [u8; 16]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        let word = |b: [u8; 16], at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let mut bytes = [0; 16];
        let wide = frame.flags() & (flag::SGL64 | flag::IEEE_SGL) != 0;
        let len: usize = match frame.flags() {
            flags if flags & flag::IEEE_SGL != 0 => 16,
            _ if wide => 12,
            _ => 8,
        };
        dma.read(frame.addr.wrapping_add(at + len as u64 * u64::from(n)), &mut bytes[..len]).ok()?;
        Some(if wide { (long(bytes), word(bytes, 8)) } else { (u64::from(word(bytes, 0)), word(bytes, 4)) })
    }

    /// The scatter list at `at`.
    fn list(&self, frame: &Frame, at: u64) -> Option<Vec<(u64, u64)>> {
        let count = frame.byte(7);
        if count > MOST_SGE {
            return None;
        }
        (0..count).map(|n| self.element(frame, at, n).map(|(addr, len)| (addr, u64::from(len)))).collect()
    }

    /// Writes status and sense data of a SCSI command; the frame's status that follows.
    fn sense(&self, frame: &Frame, scsi: u8, sense: Option<Sense>) -> u8 {
        if let Some(sense) = sense {
            let bytes = sense.fixed();
            let len = bytes.len().min(usize::from(frame.byte(1)));
            let high = if frame.flags() & flag::SENSE64 != 0 { u64::from(frame.word(28)) << 32 } else { 0 };
            self.write(high | u64::from(frame.word(24)), &bytes[..len]);
            self.write(frame.addr + SENSE_LEN_AT, &[len as u8]);
        }
        self.write(frame.addr + CMD_STATUS + 1, &[scsi]);
        if scsi == 0 { status::OK } else { status::SCSI_DONE_WITH_ERROR }
    }

    /// Sends a command to a unit.
    fn command(&mut self, frame: &Frame, address: Address, cdb: &[u8], sgl: u64, limit: u64) -> u8 {
        if !self.bus.has_target(address) {
            return status::DEVICE_NOT_FOUND;
        }
        let Some(list) = self.list(frame, sgl) else {
            self.kit.report.guest_error(format_args!("a scatter list of {} elements", frame.byte(7)));
            return self.sense(frame, CHECK_CONDITION, Some(Sense::DATA_PHASE));
        };
        let out = self.bus.expected(address, cdb).direction == Direction::Out;
        let dma = self.kit.dma.clone();
        let mut data = Scatter::new(&dma, list, out, limit);
        match self.bus.execute(address, cdb, &mut data) {
            None => status::DEVICE_NOT_FOUND,
            Some(outcome) if outcome.fault => {
                self.kit.report.guest_error(format_args!("no memory behind a scatter list"));
                self.sense(frame, CHECK_CONDITION, Some(Sense::DATA_PHASE))
            }
            Some(outcome) => self.sense(frame, outcome.status as u8, outcome.sense),
        }
    }

    /// A SCSI command for a logical or physical drive.
    fn pass(&mut self, frame: &Frame) -> u8 {
        let (target, lun) = (u16::from(frame.byte(4)), u16::from(frame.byte(5)));
        let logical = frame.byte(0) == command::LD_SCSI;
        if logical && (target >= MOST_LD || lun != 0 || self.setup.jbod) {
            return status::DEVICE_NOT_FOUND;
        }
        let len = usize::from(frame.byte(6));
        if !(1..=16).contains(&len) {
            return self.sense(frame, CHECK_CONDITION, Some(Sense::INVALID_OPCODE));
        }
        let mut cdb = [0; 16];
        cdb[..len].copy_from_slice(&frame.bytes[32..32 + len]);
        self.command(frame, Address::new(target, lun), &cdb[..len], PASS_SGL, u64::from(frame.word(20)))
    }

    /// Reads or writes blocks of a logical drive.
    fn logical_io(&mut self, frame: &Frame) -> u8 {
        let address = Address::new(u16::from(frame.byte(4)), 0);
        if address.target >= MOST_LD || self.setup.jbod || self.bus.unit(address).is_none() {
            return status::DEVICE_NOT_FOUND;
        }
        let mut cdb = [0; 16];
        cdb[0] = if frame.byte(0) == command::LD_WRITE { 0x8a } else { 0x88 };
        // The driver hands flags of the command on: DPO and FUA.
        cdb[1] = frame.byte(5) & 0x18;
        let lba = u64::from(frame.word(36)) << 32 | u64::from(frame.word(32));
        cdb[2..10].copy_from_slice(&lba.to_be_bytes());
        cdb[10..14].copy_from_slice(&frame.word(20).to_be_bytes());
        self.command(frame, address, &cdb, IO_SGL, u64::MAX)
    }

    /// A command for the firmware itself.
    fn direct(&mut self, frame: &Frame) {
        let buffer = match frame.byte(7) {
            0 => Some((0, 0)),
            1 => self.element(frame, IO_SGL, 0),
            _ => None,
        };
        let Some(buffer) = buffer else { return self.complete(frame, status::MEMORY_NOT_AVAILABLE) };
        let answer = self.run(&dcmd::Request { frame, opcode: frame.word(24), room: buffer.1 });
        let result = match answer {
            dcmd::Answer::Data(bytes) => {
                let len = bytes.len().min(buffer.1 as usize);
                self.write(buffer.0, &bytes[..len]);
                status::OK
            }
            dcmd::Answer::Status(result) => result,
            dcmd::Answer::Waits(wanted) => {
                let post = frame.flags() & flag::DONT_POST == 0;
                let old = self.state.waiting.replace(Waiting {
                    addr: frame.addr,
                    context: frame.context(),
                    post,
                    buffer,
                    wanted,
                });
                if let Some(old) = old {
                    self.finish(old, status::SCSI_IO_FAILED);
                }
                return self.deliver();
            }
        };
        self.complete(frame, result);
    }

    /// Ends the command that waits for an event.
    fn finish(&mut self, waiting: Waiting, result: u8) {
        self.write(waiting.addr.wrapping_add(CMD_STATUS), &[result]);
        if waiting.post {
            self.post(waiting.context);
        }
    }

    /// Hands the next event to whoever waits for it.
    pub(super) fn deliver(&mut self) {
        let Some(waiting) = self.state.waiting else { return };
        let Some(event) = self.state.log.wanted(waiting.wanted).next() else { return };
        let bytes = event.bytes();
        let len = bytes.len().min(waiting.buffer.1 as usize);
        self.write(waiting.buffer.0, &bytes[..len]);
        self.state.waiting = None;
        self.finish(waiting, status::OK);
    }

    /// ABORT: only a command that waits for an event can be found still.
    fn abort(&mut self, frame: &Frame) -> u8 {
        let (context, addr) = (frame.long(24), frame.long(32));
        let wide = self.state.replies.is_some_and(|replies| replies.context64);
        let mask = if wide { u64::MAX } else { u64::from(u32::MAX) };
        match self.state.waiting {
            Some(waiting) if waiting.addr == addr => {
                if (waiting.context ^ context) & mask != 0 {
                    return status::ABORT_NOT_POSSIBLE;
                }
                self.state.waiting = None;
                self.finish(waiting, status::SCSI_IO_FAILED);
                status::OK
            }
            _ => status::OK,
        }
    }
}
