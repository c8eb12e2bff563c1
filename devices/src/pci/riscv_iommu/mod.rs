//! The RISC-V IOMMU as a PCI function (RISC-V IOMMU Architecture Specification 1.0): device directories of one to three
//! levels, process directories, both stages of translation, MSI page tables in basic mode, command and fault queues.
//!
//! Nothing is cached, so invalidations have nothing to do.  Capabilities that are not there: ATS and page requests (their
//! queue can be set up and stays empty), memory-resident interrupt files, performance counters, updates of A and D bits,
//! 32-bit modes.

mod context;
mod queues;
mod stage;
#[cfg(test)]
mod tests;

use super::config::{Bar, BarKind, ConfigState};
use super::msi::MsixState;
use super::{ATTENTION, Config, Identity, Msix, PciFunction};
use crate::catalogue::Class;
use crate::model::{Build, Model, Prop, PropKind};
use context::Access;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use tern_core::device::iommu::{Iommu, Stretch};
use tern_core::device::{BusError, Dma, Kit};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "riscv-iommu-pci";

/// The row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Misc,
    about: "RISC-V IOMMU 1.0",
    parents: &[],
    props: &[
        Prop::new("vendor-id", PropKind::Number(16, 0x1b36), "PCI vendor ID"),
        Prop::new("device-id", PropKind::Number(16, 0x0014), "PCI device ID"),
        Prop::new("revision", PropKind::Number(8, 1), "PCI revision"),
        Prop::new("intremap", PropKind::Bool(true), "MSI page tables"),
        Prop::new("off", PropKind::Bool(true), "no access is let through before the driver says so"),
        Prop::new("s-stage", PropKind::Bool(true), "first-stage translation"),
        Prop::new("g-stage", PropKind::Bool(true), "second-stage translation"),
        Prop::only("ats", &["off"]),
        Prop::only("hpm-counters", &["0"]),
        Prop::only("version", &["16"]),
        // What is not cached needs no limit.
        Prop::only("ioatc-limit", &["*"]),
    ],
    bus: None,
    build: Build::Pci(|kit, wants| {
        let number = |name: &str| wants.props.number(name);
        let on = |name: &str| wants.props.bool(name);
        let identity = Identity {
            vendor: number("vendor-id") as u16,
            device: number("device-id") as u16,
            revision: number("revision") as u8,
            class: 0x08_0600,
            subsystem: Some((number("vendor-id") as u16, number("device-id") as u16)),
        };
        let options = Options { msi: on("intremap"), off: on("off"), first: on("s-stage"), second: on("g-stage") };
        Ok(Box::new(RiscvIommu::new(kit, identity, options)))
    }),
}];

/// What it can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Options {
    /// MSI page tables, and with them device contexts of 64 bytes.
    msi: bool,
    /// `ddtp` is Off after reset, not Bare.
    off: bool,
    first: bool,
    second: bool,
}

/// Capabilities (5.3): version 1.0, debugging, 56-bit physical addresses, process IDs of 8, 17 and 20 bits; and those of
/// [`Options`]: Sv39, Sv48, Sv57, their second stages, flat MSI page tables.
const CAP_ALWAYS: u64 = 0x10 | 1 << 31 | 56 << 32 | 7 << 38;
const CAP_FIRST: u64 = 7 << 9;
const CAP_SECOND: u64 = 7 << 17;
const CAP_MSI: u64 = 1 << 22;

/// Modes of `ddtp` (5.5).
const OFF: u64 = 0;
const BARE: u64 = 1;
const LEVELS_3: u64 = 4;
/// Fields of `ddtp` and of queue bases: page number; mode, or size.
const PPN: u64 = 0x003f_ffff_ffff_fc00;
const DDTP_MODE: u64 = 0xf;
const LOG2_SIZE: u64 = 0x1f;

/// Vectors: four causes', and one that stays silent, as in QEMU.
const VECTORS: u16 = 5;
/// Bits of `icvec` that can be set.
const ICVEC: u64 = 0x3333;
/// Where the MSI-X table and its pending bits are.
const TABLE_AT: u64 = 0x300;
const PENDING_AT: u64 = 0x400;
const SIZE: u64 = 0x1000;
/// Token of the event by which a long command queue goes on.
const GO_ON: u32 = 0;
/// Bits of `tr_req_ctl` (5.25).
const GO: u64 = 1;
const NO_WRITE: u64 = 1 << 3;
const TR_CTL: u64 = 0xffff_ff00_ffff_f00f | 1 << 32;

/// What is saved of the registers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct State {
    ddtp: u64,
    command: Queue,
    fault: Queue,
    page: Queue,
    /// Interrupt pending status.
    ipsr: u32,
    icvec: u64,
    tr_iova: u64,
    tr_ctl: u64,
    tr_response: u64,
    /// Causes whose interrupt has to be sent.
    unsent: u32,
}

/// A queue's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Queue {
    base: u64,
    head: u32,
    tail: u32,
    csr: u32,
}

/// What translates: shared with the ways of functions to memory.
struct Core {
    dma: Dma,
    options: Options,
    state: RefCell<State>,
}

impl Core {
    fn fresh(options: Options) -> State {
        State { ddtp: if options.off { OFF } else { BARE }, ..State::default() }
    }

    fn capabilities(&self) -> u64 {
        let bits = |on: bool, bits: u64| if on { bits } else { 0 };
        let Options { msi, first, second, .. } = self.options;
        CAP_ALWAYS | bits(first, CAP_FIRST) | bits(second, CAP_SECOND) | bits(msi, CAP_MSI)
    }
}

impl Iommu for Core {
    fn translate(&self, requester: u16, addr: u64, write: bool) -> Result<Stretch, BusError> {
        let access = Access { device: requester.into(), process: None, addr, write };
        let ddtp = self.state.borrow().ddtp;
        self.find(ddtp, access).map_err(|fault| {
            if fault.reported {
                self.record(access, fault);
            }
            BusError { addr }
        })
    }

    fn wants_attention(&self) -> bool {
        self.state.borrow().unsent != 0
    }
}

/// The function.
struct RiscvIommu {
    kit: Kit,
    config: Config,
    msix: Msix,
    core: Rc<Core>,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    config: ConfigState,
    msix: MsixState,
    state: State,
}

registers! {
    static REGISTERS: RiscvIommu, "riscv-iommu-pci", sizes [1, 2, 4, 8];
    0x000 capabilities 8 ro, "5.3", read |d, _| d.core.capabilities();
    // Little-endian, message-signalled, no 32-bit guests: nothing can be set.
    0x008 fctl 4 rw reset 0, "5.4", read |_, _| 0, write |_, _, _| {};
    0x010 ddtp 8 rw, "5.5", read |d, _| d.core.state.borrow().ddtp, write |d, _, v| d.set_ddtp(v);
    0x018 cqb 8 rw reset 0, "5.6", read |d, _| d.core.state.borrow().command.base, write |d, _, v| d.set_base(|s| &mut s.command, v);
    0x020 cqh 4 ro reset 0, "5.7", read |d, _| d.core.state.borrow().command.head.into();
    0x024 cqt 4 rw reset 0, "5.8", read |d, _| d.core.state.borrow().command.tail.into(), write |d, _, v| d.set_command_tail(v as u32);
    0x028 fqb 8 rw reset 0, "5.9", read |d, _| d.core.state.borrow().fault.base, write |d, _, v| d.set_base(|s| &mut s.fault, v);
    0x030 fqh 4 rw reset 0, "5.10", read |d, _| d.core.state.borrow().fault.head.into(), write |d, _, v| d.set_head(|s| &mut s.fault, v as u32);
    0x034 fqt 4 ro reset 0, "5.11", read |d, _| d.core.state.borrow().fault.tail.into();
    0x038 pqb 8 rw reset 0, "5.12", read |d, _| d.core.state.borrow().page.base, write |d, _, v| d.set_base(|s| &mut s.page, v);
    0x040 pqh 4 rw reset 0, "5.13", read |d, _| d.core.state.borrow().page.head.into(), write |d, _, v| d.set_head(|s| &mut s.page, v as u32);
    0x044 pqt 4 ro reset 0, "5.14", read |d, _| d.core.state.borrow().page.tail.into();
    0x048 cqcsr 4 rw reset 0, "5.15", read |d, _| d.core.state.borrow().command.csr.into(), write |d, _, v| d.set_command_csr(v as u32);
    0x04c fqcsr 4 rw reset 0, "5.16", read |d, _| d.core.state.borrow().fault.csr.into(), write |d, _, v| d.set_csr(|s| &mut s.fault, v as u32);
    0x050 pqcsr 4 rw reset 0, "5.17", read |d, _| d.core.state.borrow().page.csr.into(), write |d, _, v| d.set_csr(|s| &mut s.page, v as u32);
    0x054 ipsr 4 rw reset 0, "5.18", read |d, _| d.core.state.borrow().ipsr.into(), write |d, _, v| d.clear_pending(v as u32);
    // Counters that are not there read as zero.
    0x058 iocountovf 4 ro reset 0, "5.19", read |_, _| 0;
    0x05c iocountinh 4 rw reset 0, "5.20", read |_, _| 0, write |_, _, _| {};
    0x060 [63; 8] iohpm 8 rw reset 0, "5.21", read |_, _| 0, write |_, _, _| {};
    0x258 tr_req_iova 8 rw reset 0, "5.24", read |d, _| d.core.state.borrow().tr_iova,
        write |d, _, v| d.core.state.borrow_mut().tr_iova = v & !0xfff;
    0x260 tr_req_ctl 8 rw reset 0, "5.25", read |d, _| d.core.state.borrow().tr_ctl, write |d, _, v| d.look_up(v);
    0x268 tr_response 8 ro reset 0, "5.26", read |d, _| d.core.state.borrow().tr_response;
    0x2f8 icvec 8 rw reset 0, "5.27", read |d, _| d.core.state.borrow().icvec,
        write |d, _, v| d.core.state.borrow_mut().icvec = v & ICVEC;
    0x300 area 0x100 msi_cfg_tbl, "5.28", read |d, at, size| d.msix.read(at, size), write |d, at, size, v| d.write_table(at, size, v);
    0x400 area 0x100 msi_pending, "PCI 6.8.2", read |d, at, size| d.msix.pending(at, size),
        write |d, at, _, _| d.kit.report.guest_error(format_args!("store to pending bits at {at:#x}"));
}

impl RiscvIommu {
    fn new(kit: Kit, identity: Identity, options: Options) -> RiscvIommu {
        let mut config = Config::new(identity);
        config.add_express();
        config.add_bar(Bar { number: 0, kind: BarKind::Memory64, size: SIZE });
        let msix = Msix::placed(&mut config, VECTORS, (0, TABLE_AT as u32), (0, PENDING_AT as u32));
        config.seal();
        let core = Rc::new(Core { dma: kit.dma.clone(), options, state: RefCell::new(Core::fresh(options)) });
        RiscvIommu { kit, config, msix, core }
    }

    /// A mode that there is not leaves the register as it was.
    fn set_ddtp(&mut self, value: u64) {
        let mode = value & DDTP_MODE;
        if mode > LEVELS_3 {
            return self.kit.report.guest_error(format_args!("ddtp mode {mode}"));
        }
        self.core.state.borrow_mut().ddtp = value & (PPN | DDTP_MODE);
    }

    /// Looks a translation up for a debugger (5.25).
    fn look_up(&mut self, value: u64) {
        let ctl = value & TR_CTL;
        let (ddtp, iova) = {
            let mut state = self.core.state.borrow_mut();
            // It is done before the driver can look.
            state.tr_ctl = ctl & !GO;
            (state.ddtp, state.tr_iova)
        };
        if ctl & GO == 0 {
            return;
        }
        let process = (ctl >> 32 & 1 != 0).then_some((ctl >> 12 & 0xf_ffff) as u32);
        let device = (ctl >> 40) as u32;
        let access = Access { device, process, addr: iova, write: ctl & NO_WRITE == 0 };
        let response = self.core.find(ddtp, access).map_or(1, |to| to.addr >> 12 << 10);
        self.core.state.borrow_mut().tr_response = response;
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        self.msix.write(&self.kit.report, at, size, value);
        self.msix.written(&self.config, &self.kit.messenger);
    }

    /// Sends the interrupts that are due.
    fn signal(&mut self) {
        let (unsent, icvec) = {
            let mut state = self.core.state.borrow_mut();
            (core::mem::take(&mut state.unsent), state.icvec)
        };
        for cause in (0..4).filter(|cause| unsent >> cause & 1 != 0) {
            self.msix.notify(&self.config, &self.kit.messenger, (icvec >> (4 * cause) & 0xf) as u16);
        }
    }
}

impl PciFunction for RiscvIommu {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        self.msix.written(&self.config, &self.kit.messenger);
    }

    fn read(&mut self, _bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGISTERS.read(self, &report, offset, size)
    }

    fn write(&mut self, _bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGISTERS.write(self, &report, offset, size, value);
        self.signal();
    }

    fn event(&mut self, _token: u32) {
        self.run_commands();
        self.signal();
    }

    fn changed(&mut self, port: u32) {
        if port == ATTENTION {
            self.signal();
        }
    }

    fn iommu(&self) -> Option<Rc<dyn Iommu>> {
        Some(self.core.clone())
    }

    fn reset(&mut self) {
        self.kit.clock.cancel(GO_ON);
        self.config.reset();
        self.msix.reset();
        *self.core.state.borrow_mut() = Core::fresh(self.core.options);
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = self.core.state.borrow().clone();
        snapshot::save(NAME, 1, &Snapshot { config: self.config.save(), msix: self.msix.save(), state })
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let Snapshot { config, msix, state } = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        self.msix.check(&msix)?;
        let mode = state.ddtp & DDTP_MODE;
        check(state.ddtp & !(PPN | DDTP_MODE) == 0 && mode <= LEVELS_3, "ddtp", || format!("{:#x}", state.ddtp))?;
        for queue in [&state.command, &state.fault, &state.page] {
            queue.check()?;
        }
        check(state.icvec & !ICVEC == 0, "icvec", || format!("{:#x}", state.icvec))?;
        self.config.load(config);
        self.msix.load(msix);
        *self.core.state.borrow_mut() = state;
        Ok(())
    }
}
