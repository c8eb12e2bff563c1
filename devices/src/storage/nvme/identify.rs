//! Identify (NVM Express 1.4, 5.15): what the controller and its namespaces are.

use super::admin::BROADCAST;
use super::command::Command;
use super::log;
use super::namespace::{FORMATS, MAX, Namespace};
use super::regs::VERSION;
use super::status::{Answer, Status};
use super::{MIN_PAGE, Nvme};

/// Length of the answer.
const LEN: usize = 4096;
/// What the controller calls itself, as QEMU's users know it.
const MODEL: &str = "QEMU NVMe Ctrl";

/// Sets bytes of an answer.
fn put(data: &mut [u8; LEN], at: usize, bytes: &[u8]) {
    data[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Sets a text, filled up with spaces.
fn put_text(data: &mut [u8; LEN], at: usize, len: usize, text: &str) {
    let printable = text.bytes().map(|b| if (0x20..0x7f).contains(&b) { b } else { b' ' });
    let filled = printable.chain(core::iter::repeat(b' '));
    data[at..at + len].iter_mut().zip(filled).for_each(|(to, from)| *to = from);
}

/// What all namespaces of the controller have in common (figure 245).
fn common() -> [u8; LEN] {
    let mut data = [0; LEN];
    // Optimal sizes of writes are in the I/O command's units; number of formats, less one.
    data[25] = FORMATS.len() as u8 - 1;
    // Deallocated blocks read as zero, and write-zeroes may deallocate.
    data[33] = 0x09;
    // Copy: 128 blocks of a range, 128 in all, 128 ranges.
    put(&mut data, 74, &128u16.to_le_bytes());
    put(&mut data, 76, &128u32.to_le_bytes());
    data[80] = 127;
    for (n, shift) in FORMATS.iter().enumerate() {
        put(&mut data, 128 + 4 * n, &(u32::from(*shift) << 16).to_le_bytes());
    }
    data
}

impl Nvme {
    pub(super) fn identify(&mut self, c: &Command) -> Result<Answer, Status> {
        let data = match c.dword(10) & 0xff {
            0x00 | 0x11 => self.identify_namespace(c.nsid())?,
            0x01 => self.identify_controller(),
            0x02 | 0x10 => self.list(c.nsid())?,
            0x03 => self.descriptors(c.nsid())?,
            0x06 if c.dword(11) >> 24 == 0 => self.identify_command_set(),
            0x12 => {
                self.active(c.nsid())?;
                controllers(c.dword(10) >> 16)
            }
            0x13 => controllers(c.dword(10) >> 16),
            _ => return Err(Status::INVALID_FIELD),
        };
        self.answer(c, &data, LEN)
    }

    /// Figure 247.
    fn identify_controller(&self) -> [u8; LEN] {
        let mut data = [0; LEN];
        let [vendor, subsystem] = [self.config.half(0), self.config.half(0x2c)];
        put(&mut data, 0, &vendor.to_le_bytes());
        put(&mut data, 2, &subsystem.to_le_bytes());
        put_text(&mut data, 4, 20, &self.options.serial);
        put_text(&mut data, 24, 40, MODEL);
        put_text(&mut data, 64, 8, log::FIRMWARE);
        // Arbitration burst; IEEE OUI; largest transfer; version.
        data[72] = 6;
        put(&mut data, 73, if self.options.intel { &[0xb3, 0x02, 0x00] } else { &[0x00, 0x54, 0x52] });
        data[77] = self.options.mdts;
        put(&mut data, 80, &VERSION.to_le_bytes());
        // Events: namespaces.  An I/O controller.
        put(&mut data, 92, &(1u32 << 8).to_le_bytes());
        data[111] = 1;
        // Commands: format.  Aborts, event requests.  One firmware slot, which is read-only.
        put(&mut data, 256, &2u16.to_le_bytes());
        data[258] = 3;
        data[259] = self.options.aerl;
        data[260] = 1 << 1 | 1;
        // Logs: effects of commands, offsets in logs; entries of the error log, less one.
        data[261] = 1 << 1 | 1 << 2;
        data[262] = log::ERRORS as u8 - 1;
        put(&mut data, 266, &log::WARNING.to_le_bytes());
        put(&mut data, 268, &log::CRITICAL.to_le_bytes());
        // Entries of queues: 64 and 16 bytes.
        data[512] = 0x66;
        data[513] = 0x44;
        put(&mut data, 516, &MAX.to_le_bytes());
        // Compare, dataset management, write zeroes, timestamp, verify, copy.
        let optional: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8;
        put(&mut data, 520, &optional.to_le_bytes());
        // Format reaches one namespace; a write cache that can be flushed for all namespaces at once; copy format 0.
        data[525] = 1 | 3 << 1;
        data[534] = 1;
        // SGLs without alignment, with bit buckets, and longer than the data.
        put(&mut data, 536, &(1u32 | 1 << 16 | 1 << 18).to_le_bytes());
        let name = format!("nqn.2019-08.org.qemu:{}", self.options.serial);
        data[768..1023].iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        // Power state 0: 25 W, in 16 us and out 4 us.
        put(&mut data, 2048, &0x9c4u16.to_le_bytes());
        put(&mut data, 2052, &0x10u32.to_le_bytes());
        put(&mut data, 2056, &0x04u32.to_le_bytes());
        data
    }

    /// Limits of the NVM command set (NVM Command Set 1.0, 4.1.5.4): verify reads no more than a transfer.
    fn identify_command_set(&self) -> [u8; LEN] {
        let mut data = [0; LEN];
        data[0] = self.options.mdts;
        data
    }

    /// Figure 245; of an inactive namespace, zeros.
    fn identify_namespace(&self, nsid: u32) -> Result<[u8; LEN], Status> {
        if nsid == BROADCAST {
            return Ok(common());
        }
        let ns: &Namespace = match self.active(nsid) {
            Ok(at) => &self.namespaces[at],
            Err(Status::INVALID_FIELD) => return Ok([0; LEN]),
            Err(status) => return Err(status),
        };
        let mut data = common();
        for at in [0, 8, 16] {
            put(&mut data, at, &ns.blocks().to_le_bytes());
        }
        // Granularities of writing and deallocating are given: 4 KiB.
        data[24] = 1 << 4;
        data[26] = ns.state.format;
        let granularity = (MIN_PAGE >> ns.shift()).max(1) as u16 - 1;
        for at in [64, 66, 68, 70, 72] {
            put(&mut data, at, &granularity.to_le_bytes());
        }
        data[99] = u8::from(ns.read_only());
        put(&mut data, 104, &ns.nguid);
        put(&mut data, 120, &ns.eui64.to_be_bytes());
        Ok(data)
    }

    /// Active namespaces after `nsid` (5.15.2.2).
    fn list(&self, nsid: u32) -> Result<[u8; LEN], Status> {
        if nsid >= BROADCAST - 1 {
            return Err(Status::INVALID_NAMESPACE);
        }
        let mut data = [0; LEN];
        let after = self.namespaces.iter().map(|ns| ns.state.nsid).filter(|n| *n > nsid);
        for (slot, n) in data.as_chunks_mut().0.iter_mut().zip(after) {
            *slot = n.to_le_bytes();
        }
        Ok(data)
    }

    /// What identifies a namespace (5.15.2.3); one that nobody named has its number.
    fn descriptors(&self, nsid: u32) -> Result<[u8; LEN], Status> {
        let ns = &self.namespaces[self.active(nsid)?];
        let mut list = Vec::new();
        let mut add = |kind: u8, id: &[u8]| {
            list.extend([kind, id.len() as u8, 0, 0]);
            list.extend(id);
        };
        if ns.eui64 != 0 {
            add(1, &ns.eui64.to_be_bytes());
        }
        if ns.nguid != [0; 16] {
            add(2, &ns.nguid);
        }
        if let Some(uuid) = ns.uuid {
            add(3, &uuid);
        }
        // Its command set: NVM.
        add(4, &[0]);
        let mut data = [0; LEN];
        put(&mut data, 0, &list);
        Ok(data)
    }
}

/// The controllers from `first` on: number 0 is the only one.
fn controllers(first: u32) -> [u8; LEN] {
    let mut data = [0; LEN];
    data[0] = u8::from(first == 0);
    data
}
