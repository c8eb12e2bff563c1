//! Registers and doorbells (NVM Express 1.4, 3.1), and the controller's own memories.

use super::queue::{Completion, Submission};
use super::{MIN_PAGE, Nvme};
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;

/// Where the doorbells begin.
pub(super) const DOORBELLS: u64 = 0x1000;
/// Version 1.4.
pub(super) const VERSION: u32 = 0x0001_0400;

/// Controller configuration: enabled.
const CC_EN: u32 = 1;
/// Controller configuration: shutdown notification.
const CC_SHN: u32 = 3 << 14;
/// Controller status: ready, fatal, shutdown complete.
const CSTS_RDY: u32 = 1;
const CSTS_CFS: u32 = 2;
const CSTS_SHST_DONE: u32 = 2 << 2;
const CSTS_SHST: u32 = 3 << 2;
/// Memory space controls: registers are on (CMB), and commands may name the memory.
const CMB_CRE: u64 = 1;
const CMB_CMSE: u64 = 2;
const PMR_CMSE: u32 = 2;
/// Where in the address registers the address is.
const BASE: u64 = !0xfff;

/// What the host has written, and the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Registers {
    /// Vectors that the pin does not tell of.
    pub(super) intms: u32,
    pub(super) cc: u32,
    pub(super) csts: u32,
    aqa: u32,
    asq: u64,
    acq: u64,
    cmbmsc: u64,
    pmrctl: u32,
    pmrmscl: u32,
    pmrmscu: u32,
}

registers! {
    static REGISTERS: Nvme, "nvme", sizes [4, 8];
    0x00 CAP 8 ro, "3.1.1", read |d, _| d.capabilities();
    0x08 VS 4 ro, "3.1.2", read |_, _| u64::from(VERSION);
    0x0c INTMS 4 rw reset 0, "3.1.3", read |d, _| u64::from(d.regs.intms), write |d, _, v| d.mask(d.regs.intms | v as u32);
    0x10 INTMC 4 rw reset 0, "3.1.4", read |d, _| u64::from(d.regs.intms), write |d, _, v| d.mask(d.regs.intms & !(v as u32));
    0x14 CC 4 rw reset 0, "3.1.5", read |d, _| u64::from(d.regs.cc), write |d, _, v| d.configure(v as u32);
    0x1c CSTS 4 rw reset 0, "3.1.6", read |d, _| u64::from(d.regs.csts), write |_, _, _| {};
    0x20 NSSR 4 rw reset 0, "3.1.7", read |_, _| 0, write |_, _, _| {};
    0x24 AQA 4 rw reset 0, "3.1.8", read |d, _| u64::from(d.regs.aqa), write |d, _, v| d.regs.aqa = v as u32 & 0x0fff_0fff;
    0x28 ASQ 8 rw reset 0, "3.1.9", read |d, _| d.regs.asq, write |d, _, v| d.regs.asq = v & BASE;
    0x30 ACQ 8 rw reset 0, "3.1.10", read |d, _| d.regs.acq, write |d, _, v| d.regs.acq = v & BASE;
    0x38 CMBLOC 4 ro, "3.1.11", read |d, _| if d.cmb_registers() { u64::from(super::BAR_CMB) } else { 0 };
    0x3c CMBSZ 4 ro, "3.1.12", read |d, _| d.cmb_size();
    0x40 BPINFO 4 ro reset 0, "3.1.13", read |_, _| 0;
    0x44 BPRSEL 4 rw reset 0, "3.1.14", read |_, _| 0, write |_, _, _| {};
    0x48 BPMBL 8 rw reset 0, "3.1.15", read |_, _| 0, write |_, _, _| {};
    0x50 CMBMSC 8 rw reset 0, "3.1.16", read |d, _| d.regs.cmbmsc, write |d, _, v| d.control_cmb(v);
    0x58 CMBSTS 4 ro, "3.1.17", read |d, _| u64::from(d.cmb_overflows());
    0xe00 PMRCAP 4 ro, "3.1.18", read |d, _| d.pmr_capabilities();
    0xe04 PMRCTL 4 rw reset 0, "3.1.19", read |d, _| u64::from(d.regs.pmrctl), write |d, _, v| d.control_pmr(v as u32);
    0xe08 PMRSTS 4 ro, "3.1.20", read |d, _| d.pmr_status();
    0xe0c PMREBS 4 ro reset 0, "3.1.21", read |_, _| 0;
    0xe10 PMRSWTP 4 ro reset 0, "3.1.22", read |_, _| 0;
    0xe14 PMRMSCL 4 rw reset 0, "3.1.23", read |d, _| u64::from(d.regs.pmrmscl), write |d, _, v| d.place_pmr(v as u32, d.regs.pmrmscu);
    0xe18 PMRMSCU 4 rw reset 0, "3.1.23", read |d, _| u64::from(d.regs.pmrmscu), write |d, _, v| d.place_pmr(d.regs.pmrmscl, v as u32);
}

impl Nvme {
    fn capabilities(&self) -> u64 {
        // Queues are contiguous; ready within 7.5 s; the NVM command set; pages of 4 to 64 KiB.
        let fixed = 1 << 16 | 0xf << 24 | 1 << 37 | 4 << 52;
        let cmb = u64::from(!self.reach.cmb.is_empty()) << 57;
        let pmr = u64::from(self.reach.pmr.is_some()) << 56;
        u64::from(self.options.mqes) | fixed | pmr | cmb
    }

    /// The size of the host's pages.
    pub(super) fn page(&self) -> u64 {
        MIN_PAGE << (self.regs.cc >> 7 & 0xf).min(4)
    }

    /// The exponents of the entries' sizes that the host has set: submission and completion queues.
    pub(super) fn entry_sizes(&self) -> (u32, u32) {
        (self.regs.cc >> 16 & 0xf, self.regs.cc >> 20 & 0xf)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.regs.csts & (CSTS_RDY | CSTS_CFS) == CSTS_RDY
    }

    /// Something has happened after which only a reset helps (9.1).
    pub(super) fn fatal(&mut self) {
        self.regs.csts |= CSTS_CFS;
    }

    fn mask(&mut self, lines: u32) {
        self.regs.intms = lines;
        self.update_pin();
    }

    fn configure(&mut self, cc: u32) {
        let before = core::mem::replace(&mut self.regs.cc, cc);
        match (before & CC_SHN != 0, cc & CC_SHN != 0) {
            (false, true) => {
                self.flush_all();
                self.regs.csts = self.regs.csts & !CSTS_SHST | CSTS_SHST_DONE;
            }
            (true, false) => self.regs.csts &= !CSTS_SHST,
            _ => {}
        }
        match (before & CC_EN != 0, cc & CC_EN != 0) {
            (false, true) => self.regs.csts = if self.start() { CSTS_RDY } else { CSTS_CFS },
            (true, false) => {
                self.flush_all();
                self.regs.csts = 0;
                self.regs.intms = 0;
                self.controller_reset();
            }
            _ => {}
        }
    }

    /// Makes the admin queues (7.6.1).
    fn start(&mut self) -> bool {
        let Registers { cc, aqa, asq, acq, .. } = self.regs;
        let (entries, completions) = ((aqa & 0xfff) + 1, (aqa >> 16 & 0xfff) + 1);
        let aligned = |base: u64| base != 0 && base & (self.page() - 1) == 0;
        // Memory page size 64 KiB at most; command set NVM (0) or all (6), or only the admin queue (7).
        let known = cc >> 7 & 0xf <= 4 && matches!(cc >> 4 & 7, 0 | 6 | 7);
        if !known || entries < 2 || completions < 2 || !aligned(asq) || !aligned(acq) {
            self.kit.report.guest_error(format_args!(
                "cannot start: configuration {cc:#x}, admin queues {aqa:#x} at {asq:#x} and {acq:#x}"
            ));
            return false;
        }
        self.submissions[0] = Some(Submission::new(asq, entries, 0));
        self.completions[0] = Some(Completion::new(acq, completions, Some(0)));
        true
    }

    fn flush_all(&mut self) {
        for ns in &mut self.namespaces {
            if let Err(status) = ns.flush() {
                let nsid = ns.state.nsid;
                self.kit.report.guest_error(format_args!("namespace {nsid}: flush failed with {:#x}", status.0));
            }
        }
    }

    pub(super) fn read_registers(&mut self, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let vectors = u64::from(self.options.vectors);
        if offset < DOORBELLS {
            REGISTERS.read(self, &report, offset, size)
        } else if (self.layout.table..self.layout.table + 16 * vectors).contains(&offset) {
            self.msix.read(offset - self.layout.table, size)
        } else if (self.layout.pending..self.layout.pending + vectors.div_ceil(8).next_multiple_of(8)).contains(&offset) {
            self.msix.pending(offset - self.layout.pending, size)
        } else {
            report.guest_error(format_args!("{}-byte load at {offset:#x}: there is nothing to read", size.bytes()));
            0
        }
    }

    pub(super) fn write_registers(&mut self, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        let table = self.layout.table;
        if offset < DOORBELLS {
            REGISTERS.write(self, &report, offset, size, value);
        } else if offset < DOORBELLS + 8 * self.completions.len() as u64 {
            if size == Size::B4 && offset.is_multiple_of(4) {
                self.doorbell((offset - DOORBELLS) / 4, value as u32);
            } else {
                report.guest_error(format_args!("{}-byte store to doorbell at {offset:#x}", size.bytes()));
            }
        } else if (table..table + 16 * u64::from(self.options.vectors)).contains(&offset) {
            self.msix.write(&report, offset - table, size, value);
            self.msix.written(&self.config, &self.kit.messenger);
        } else {
            report.guest_error(format_args!("{}-byte store at {offset:#x}: there is nothing there", size.bytes()));
        }
    }

    fn cmb_registers(&self) -> bool {
        !self.reach.cmb.is_empty() && self.regs.cmbmsc & CMB_CRE != 0
    }

    /// Size in MiB; queues, lists and data of both directions may lie there.
    fn cmb_size(&self) -> u64 {
        if !self.cmb_registers() {
            return 0;
        }
        (self.reach.cmb.len() as u64 >> 20) << 12 | 2 << 8 | 0x1f
    }

    fn cmb_overflows(&self) -> bool {
        let (base, size) = (self.regs.cmbmsc & BASE, self.reach.cmb.len() as u64);
        self.regs.cmbmsc & CMB_CMSE != 0 && base.checked_add(size).is_none()
    }

    fn control_cmb(&mut self, value: u64) {
        if !self.reach.cmb.is_empty() {
            self.regs.cmbmsc = value & (BASE | CMB_CRE | CMB_CMSE);
            self.place_memory();
        }
    }

    /// Behind base address 4; power failures: a read of the status makes earlier writes durable; commands may name it.
    fn pmr_capabilities(&self) -> u64 {
        if self.reach.pmr.is_none() {
            return 0;
        }
        1 << 3 | 1 << 4 | u64::from(super::BAR_PMR) << 5 | 2 << 10 | 1 << 24
    }

    fn pmr_overflows(&self) -> bool {
        let size = self.reach.pmr.as_ref().map_or(0, |pmr| pmr.size());
        self.regs.pmrmscl & PMR_CMSE != 0 && self.pmr_base().checked_add(size).is_none()
    }

    fn pmr_base(&self) -> u64 {
        (u64::from(self.regs.pmrmscu) << 32 | u64::from(self.regs.pmrmscl)) & BASE
    }

    fn pmr_enabled(&self) -> bool {
        self.reach.pmr.is_some() && self.regs.pmrctl & 1 != 0
    }

    fn pmr_status(&self) -> u64 {
        if self.reach.pmr.is_none() {
            return 0;
        }
        u64::from(self.pmr_overflows()) << 12 | u64::from(!self.pmr_enabled()) << 8
    }

    fn control_pmr(&mut self, value: u32) {
        if self.reach.pmr.is_some() {
            self.regs.pmrctl = value & 1;
            self.place_memory();
        }
    }

    fn place_pmr(&mut self, low: u32, high: u32) {
        if self.reach.pmr.is_some() {
            self.regs.pmrmscl = low & (BASE as u32 | PMR_CMSE);
            self.regs.pmrmscu = high;
            self.place_memory();
        }
    }

    /// Where commands find the controller's memories follows from registers.
    pub(super) fn place_memory(&mut self) {
        let both = CMB_CRE | CMB_CMSE;
        let cmb = self.regs.cmbmsc & both == both && !self.cmb_overflows();
        self.reach.cmb_at = cmb.then_some(self.regs.cmbmsc & BASE);
        let pmr = self.pmr_enabled() && self.regs.pmrmscl & PMR_CMSE != 0 && !self.pmr_overflows();
        self.reach.pmr_at = pmr.then(|| self.pmr_base());
    }

    /// The bytes of the controller memory buffer that an access means, if all are there.
    fn cells(&mut self, offset: u64, size: Size) -> Option<&mut [u8]> {
        let from = usize::try_from(offset).ok()?;
        let cells = self.reach.cmb.get_mut(from..from.checked_add(size.bytes() as usize)?);
        if cells.is_none() {
            self.kit.report.guest_error(format_args!("access beyond the controller memory buffer at {offset:#x}"));
        }
        cells
    }

    pub(super) fn read_cmb(&mut self, offset: u64, size: Size) -> u64 {
        let cells = self.cells(offset, size).unwrap_or_default();
        cells.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    pub(super) fn write_cmb(&mut self, offset: u64, size: Size, value: u64) {
        let cells = self.cells(offset, size).unwrap_or_default();
        cells.iter_mut().zip(value.to_le_bytes()).for_each(|(cell, byte)| *cell = byte);
    }

    /// Is the persistent memory region on, and the access inside?
    fn reaches_pmr(&self, offset: u64, size: Size) -> bool {
        let len = self.reach.pmr.as_ref().map_or(0, |pmr| pmr.size());
        let inside = offset.checked_add(size.bytes()).is_some_and(|end| end <= len);
        if !inside || !self.pmr_enabled() {
            self.kit.report.guest_error(format_args!("access to no persistent memory at {offset:#x}"));
        }
        inside && self.pmr_enabled()
    }

    pub(super) fn read_pmr(&mut self, offset: u64, size: Size) -> u64 {
        let mut bytes = [0; 8];
        if self.reaches_pmr(offset, size)
            && let Some(pmr) = &self.reach.pmr
        {
            pmr.read(offset, &mut bytes[..size.bytes() as usize]);
        }
        u64::from_le_bytes(bytes)
    }

    pub(super) fn write_pmr(&mut self, offset: u64, size: Size, value: u64) {
        if self.reaches_pmr(offset, size)
            && let Some(pmr) = &self.reach.pmr
        {
            pmr.write(offset, &value.to_le_bytes()[..size.bytes() as usize]);
        }
    }
}
