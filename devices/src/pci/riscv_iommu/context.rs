//! Device and process contexts in memory, and what follows from them for an access (chapter 2).

use super::{BARE, Core, DDTP_MODE, OFF, PPN};
use tern_core::device::iommu::Stretch;

/// An access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Access {
    /// `device_id`, 24 bits.
    pub(super) device: u32,
    /// `process_id`, 20 bits, of accesses that have one.
    pub(super) process: Option<u32>,
    pub(super) addr: u64,
    pub(super) write: bool,
}

/// Why an access goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// As the fault queue numbers it (3.2).
    pub(super) cause: u16,
    /// `iotval2`: the guest physical address of a guest page fault, and in bit 0 whether the access was the walk's own.
    pub(super) guest: u64,
    /// Does the fault queue hear of it?
    pub(super) reported: bool,
}

impl Fault {
    pub(super) fn new(cause: u16) -> Fault {
        Fault { cause, guest: 0, reported: true }
    }
}

/// Causes (3.2).
mod cause {
    pub(super) const DISALLOWED: u16 = 256;
    pub(super) const DDT_LOAD: u16 = 257;
    pub(super) const DDT_INVALID: u16 = 258;
    pub(super) const DDT_WRONG: u16 = 259;
    pub(super) const TYPE_DISALLOWED: u16 = 260;
    pub(super) const MSI_LOAD: u16 = 261;
    pub(super) const MSI_INVALID: u16 = 262;
    pub(super) const MSI_WRONG: u16 = 263;
    pub(super) const PDT_LOAD: u16 = 265;
    pub(super) const PDT_INVALID: u16 = 266;
    pub(super) const PDT_WRONG: u16 = 267;
}

/// Bits of a device context's translation control (2.1.3.1).
mod tc {
    pub(super) const VALID: u64 = 1;
    pub(super) const NO_FAULTS: u64 = 1 << 4;
    pub(super) const PROCESSES: u64 = 1 << 5;
    pub(super) const DEFAULT_PROCESS: u64 = 1 << 9;
    /// All that can be set here: without ATS, page requests, updates of A and D, big-endian and 32-bit tables.
    pub(super) const KNOWN: u64 = VALID | NO_FAULTS | PROCESSES | DEFAULT_PROCESS;
}

/// Page number of an address translation and protection field, and its mode.
pub(super) const ATP_PPN: u64 = 0x0000_0fff_ffff_ffff;
pub(super) const fn atp_mode(atp: u64) -> u64 {
    atp >> 60
}
/// Reserved bits of `iosatp` and `pdtp`: between page number and mode.
const ATP_RESERVED: u64 = 0x0fff_f000_0000_0000;

/// A device context (2.1.3).
#[derive(Clone, Copy, Default)]
struct Device {
    tc: u64,
    iohgatp: u64,
    fsc: u64,
    msiptp: u64,
    msi_mask: u64,
    msi_pattern: u64,
}

/// Is `mode` one of Sv39, Sv48, Sv57 (or of the second stage's), or none?
fn paging(mode: u64, there: bool) -> bool {
    mode == 0 || there && (8..=10).contains(&mode)
}

impl Core {
    fn load<const N: usize>(&self, at: u64, cause: u16) -> Result<[u64; N], Fault> {
        let mut words = [0; N];
        for (n, word) in words.iter_mut().enumerate() {
            let bytes = self.dma.array(at.wrapping_add(8 * n as u64)).map_err(|_| Fault::new(cause))?;
            *word = u64::from_le_bytes(bytes);
        }
        Ok(words)
    }

    /// Where an access goes (2.3).
    pub(super) fn find(&self, ddtp: u64, access: Access) -> Result<Stretch, Fault> {
        match ddtp & DDTP_MODE {
            OFF => return Err(Fault::new(cause::DISALLOWED)),
            BARE => return Ok(Stretch { addr: access.addr, len: u64::MAX }),
            _ => {}
        }
        let device = self.device(ddtp, access.device)?;
        self.translated(&device, access).map_err(|fault| {
            // A device whose faults are not wanted; those of its directory are reported all the same.
            Fault { reported: device.tc & tc::NO_FAULTS == 0, ..fault }
        })
    }

    /// The device context (2.3.1).
    fn device(&self, ddtp: u64, id: u32) -> Result<Device, Fault> {
        let extended = self.options.msi;
        // How many bits of the device's number each level takes, the lowest first.
        let (bits, size): ([u32; 3], u64) = if extended { ([6, 9, 9], 64) } else { ([7, 9, 8], 32) };
        let levels = (ddtp & DDTP_MODE) as usize - 1;
        if u64::from(id) >> bits[..levels].iter().sum::<u32>() != 0 {
            return Err(Fault::new(cause::TYPE_DISALLOWED));
        }
        let mut table = (ddtp & PPN) << 2;
        for level in (1..levels).rev() {
            let index = id >> bits[..level].iter().sum::<u32>() & ((1 << bits[level]) - 1);
            table = self.directory(table, index, [cause::DDT_LOAD, cause::DDT_INVALID, cause::DDT_WRONG])?;
        }
        let at = table.wrapping_add(u64::from(id & ((1 << bits[0]) - 1)) * size);
        let [tc, iohgatp, ta, fsc] = self.load(at, cause::DDT_LOAD)?;
        let mut device = Device { tc, iohgatp, fsc, ..Device::default() };
        let mut reserved = ta & !0xffff_f000;
        if extended {
            let [msiptp, mask, pattern, rest] = self.load(at.wrapping_add(32), cause::DDT_LOAD)?;
            (device.msiptp, device.msi_mask, device.msi_pattern) = (msiptp, mask, pattern);
            reserved |= rest | (mask | pattern) >> 52 | msiptp & ATP_RESERVED;
        }
        if tc & tc::VALID == 0 {
            return Err(Fault::new(cause::DDT_INVALID));
        }
        if reserved == 0 && self.makes_sense(&device) { Ok(device) } else { Err(Fault::new(cause::DDT_WRONG)) }
    }

    /// Can a device context be so?  (2.1.4)
    fn makes_sense(&self, device: &Device) -> bool {
        let Device { tc, iohgatp, fsc, msiptp, .. } = *device;
        let mode = atp_mode(fsc);
        let first = if tc & tc::PROCESSES != 0 { mode <= 3 } else { paging(mode, self.options.first) };
        let second = paging(atp_mode(iohgatp), self.options.second);
        let aligned = atp_mode(iohgatp) == 0 || iohgatp & 3 == 0;
        let default = tc & tc::DEFAULT_PROCESS == 0 || tc & tc::PROCESSES != 0;
        tc & !tc::KNOWN == 0 && fsc & ATP_RESERVED == 0 && first && second && aligned && default && atp_mode(msiptp) <= 1
    }

    /// The table that an entry of a directory points at; `causes`: of loading it, of one that is not valid, of a wrong one.
    fn directory(&self, table: u64, index: u32, causes: [u16; 3]) -> Result<u64, Fault> {
        let [load, invalid, wrong] = causes;
        let [entry] = self.load(table.wrapping_add(8 * u64::from(index)), load)?;
        if entry & 1 == 0 {
            return Err(Fault::new(invalid));
        }
        if entry & !(PPN | 1) != 0 {
            return Err(Fault::new(wrong));
        }
        Ok((entry & PPN) << 2)
    }

    /// The first stage's root for an access (2.2, 2.3.2): that of its process, or of the device.
    fn first_stage(&self, device: &Device, access: Access) -> Result<u64, Fault> {
        let tagged = access.process;
        if device.tc & tc::PROCESSES == 0 {
            return if tagged.is_some() { Err(Fault::new(cause::TYPE_DISALLOWED)) } else { Ok(device.fsc) };
        }
        let process = match tagged {
            Some(process) => process,
            None if device.tc & tc::DEFAULT_PROCESS != 0 => 0,
            None => return Ok(0),
        };
        let levels = atp_mode(device.fsc) as u32;
        let bits = [8, 9, 3];
        match levels {
            0 => return Ok(0),
            1..=3 if process >> bits[..levels as usize].iter().sum::<u32>() == 0 => {}
            _ => return Err(Fault::new(cause::TYPE_DISALLOWED)),
        }
        let causes = [cause::PDT_LOAD, cause::PDT_INVALID, cause::PDT_WRONG];
        let mut table = (device.fsc & ATP_PPN) << 12;
        for level in (1..levels as usize).rev() {
            table = self.own(device, table, access)?;
            let index = process >> bits[..level].iter().sum::<u32>() & ((1 << bits[level]) - 1);
            table = self.directory(table, index, causes)?;
        }
        let table = self.own(device, table, access)?;
        let at = table.wrapping_add(16 * u64::from(process & 0xff));
        let [ta, fsc] = self.load(at, cause::PDT_LOAD)?;
        if ta & 1 == 0 {
            return Err(Fault::new(cause::PDT_INVALID));
        }
        // V, ENS, SUM and the process's soft ID.
        let known = ta & !0xffff_f007 == 0 && fsc & ATP_RESERVED == 0;
        if known && paging(atp_mode(fsc), self.options.first) { Ok(fsc) } else { Err(Fault::new(cause::PDT_WRONG)) }
    }

    /// Where a table of the guest's is.
    fn own(&self, device: &Device, at: u64, access: Access) -> Result<u64, Fault> {
        self.second_stage(device.iohgatp, at, false, access.write, true)
    }

    fn translated(&self, device: &Device, access: Access) -> Result<Stretch, Fault> {
        let first = self.first_stage(device, access)?;
        let guest = if atp_mode(first) == 0 {
            access.addr
        } else {
            self.walk_first(first, device.iohgatp, access.addr, access.write)?
        };
        let bare = atp_mode(first) == 0 && atp_mode(device.iohgatp) == 0 && atp_mode(device.msiptp) == 0;
        let len = if bare { u64::MAX } else { 0x1000 - (access.addr & 0xfff) };
        if let Some(addr) = self.message_page(device, guest)? {
            return Ok(Stretch { addr, len });
        }
        let addr = self.second_stage(device.iohgatp, guest, access.write, access.write, false)?;
        Ok(Stretch { addr, len })
    }

    /// Where an address of an interrupt file goes, if it is one (2.3.3).
    fn message_page(&self, device: &Device, guest: u64) -> Result<Option<u64>, Fault> {
        let (page, mask) = (guest >> 12, device.msi_mask);
        if atp_mode(device.msiptp) == 0 || (page ^ device.msi_pattern) & !mask != 0 {
            return Ok(None);
        }
        // The bits under the mask, pushed together.
        let bits = (0..52).filter(|bit| mask >> bit & 1 != 0);
        let index = bits.enumerate().fold(0u64, |index, (n, bit)| index | (page >> bit & 1) << n);
        let table = (device.msiptp & ATP_PPN) << 12;
        let [entry, second] = self.load(table.wrapping_add(index.wrapping_mul(16)), cause::MSI_LOAD)?;
        if entry & 1 == 0 {
            return Err(Fault::new(cause::MSI_INVALID));
        }
        // Basic mode, and no bits that mean nothing in it.
        if entry & !(PPN | 7) != 0 || entry >> 1 & 3 != 3 || second != 0 {
            return Err(Fault::new(cause::MSI_WRONG));
        }
        Ok(Some((entry & PPN) << 2 | guest & 0xfff))
    }
}
