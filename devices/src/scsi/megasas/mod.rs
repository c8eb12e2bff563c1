//! MegaRAID SAS controllers: `megasas` (LSI SAS1078) and `megasas-gen2` (LSI SAS2108), with the firmware's message frames
//! (MFI).  There is no public manual: registers and structures are those that Linux's megaraid_sas driver knows.
//!
//! Every unit is a physical drive whose number is its target; unit 0 of each target is also a logical drive with the same
//! number.  With `use_jbod` there are no logical drives.

mod dcmd;
mod events;
mod frame;

use super::bus::BusState;
use super::{Bus, Limits};
use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props, Wants};
use crate::pci::config::{ConfigState, command};
use crate::pci::msi::MsixState;
use crate::pci::{Bar, BarKind, Config, Identity, Msi, Msix, PciFunction};
use events::Log;
use frame::{Replies, Waiting};
use serde::{Deserialize, Serialize};
use tern_core::device::{Kit, RegisterSet};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

/// Vendor ID: LSI Logic.
const VENDOR: u16 = 0x1000;
/// Class: RAID controller.
const CLASS: u32 = 0x01_0400;
/// Message-signalled interrupts: vectors, and where their table and pending bits are.
const VECTORS: u16 = 15;
const TABLE: u32 = 0x2000;
const PENDING: u32 = 0x3800;
/// The base address of queues, which nothing uses.
const QUEUE_BAR: u8 = 3;
/// Bytes of a frame in front of its scatter list, and limits of both.
const PASS_FRAME: u64 = 48;
const FRAME: core::ops::RangeInclusive<u64> = 64..=128;
/// Most commands at once.
const MOST_CMDS: u64 = 2048;

/// What the firmware says in the scratch pad.
mod firmware {
    pub(super) const READY: u32 = 0xb000_0000;
    pub(super) const OPERATIONAL: u32 = 0xc000_0000;
    pub(super) const FAULT: u32 = 0xf000_0000;
    /// There is MSI-X.
    pub(super) const MSIX: u32 = 0x0400_0000;
}

/// Bits of the inbound doorbell.
mod doorbell {
    pub(super) const ABORT: u64 = 0x01;
    pub(super) const READY: u64 = 0x02;
    pub(super) const STOP: u64 = 0x20;
}

/// Bits of the diagnostic register, and what unlocks it.
const DIAG_WRITABLE: u32 = 0x80;
const DIAG_RESET: u64 = 0x04;
const UNLOCK: [u64; 6] = [0x00, 0x04, 0x0b, 0x02, 0x07, 0x0d];

/// Results of frames.
mod status {
    pub(super) const OK: u8 = 0x00;
    pub(super) const INVALID_CMD: u8 = 0x01;
    pub(super) const INVALID_DCMD: u8 = 0x02;
    pub(super) const INVALID_PARAMETER: u8 = 0x03;
    pub(super) const ABORT_NOT_POSSIBLE: u8 = 0x05;
    pub(super) const DEVICE_NOT_FOUND: u8 = 0x0c;
    pub(super) const FLUSH_FAILED: u8 = 0x15;
    pub(super) const MEMORY_NOT_AVAILABLE: u8 = 0x20;
    pub(super) const NOT_FOUND: u8 = 0x23;
    pub(super) const SCSI_DONE_WITH_ERROR: u8 = 0x2d;
    pub(super) const SCSI_IO_FAILED: u8 = 0x2e;
}

/// What tells the two apart.
#[derive(PartialEq, Eq, Debug)]
struct Kind {
    name: &'static str,
    product: &'static str,
    version: &'static str,
    device: u16,
    subsystem: u16,
    ports_bar: u8,
    memory_bar: u8,
    /// What the outbound status says when there are replies.
    replied: u32,
    express: bool,
}

static GEN1: Kind = Kind {
    name: "megasas",
    product: "LSI MegaRAID SAS 8708EM2",
    version: "1.70",
    device: 0x0060,
    subsystem: 0x1013,
    ports_bar: 2,
    memory_bar: 0,
    replied: 0x8000_0001,
    express: false,
};

static GEN2: Kind = Kind {
    name: "megasas-gen2",
    product: "LSI MegaRAID SAS 9260-8i",
    version: "1.80",
    device: 0x0079,
    subsystem: 0x9261,
    ports_bar: 0,
    memory_bar: 1,
    replied: 0x0000_0001,
    express: true,
};

/// Declares the properties, with the default of `max_cmds`.
macro_rules! props {
    ($commands:literal) => {
        &[
            Prop::new("max_sge", PropKind::Number(32, 80), "elements of a scatter list"),
            Prop::new("max_cmds", PropKind::Number(32, $commands), "commands at once"),
            Prop::new("hba_serial", PropKind::Text("QEMU123456"), "serial number"),
            Prop::new("sas_address", PropKind::Number(64, 0), "SAS address; 0: a local one"),
            Prop::new("use_jbod", PropKind::Bool(false), "show drives as they are"),
            Prop::new("msi", PropKind::Choice(&["auto", "on", "off"]), "MSI"),
            Prop::new("msix", PropKind::Choice(&["auto", "on", "off"]), "MSI-X"),
        ]
    };
}

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: GEN1.name,
        aliases: &[],
        class: Class::Storage,
        about: "LSI MegaRAID SAS 1078 controller",
        parents: &["megasas-base"],
        props: props!(1000),
        bus: Some(BusKind::Scsi),
        build: Build::Pci(|kit, wants| Ok(Box::new(Megasas::new(kit, Setup::new(&GEN1, wants)?)))),
    },
    Model {
        name: GEN2.name,
        aliases: &[],
        class: Class::Storage,
        about: "LSI MegaRAID SAS 2108 controller",
        parents: &["megasas-base"],
        props: props!(1008),
        bus: Some(BusKind::Scsi),
        build: Build::Pci(|kit, wants| Ok(Box::new(Megasas::new(kit, Setup::new(&GEN2, wants)?)))),
    },
];

/// How it is set up.
struct Setup {
    kind: &'static Kind,
    max_sge: u16,
    max_cmds: u32,
    serial: String,
    sas_address: u64,
    jbod: bool,
    msi: bool,
    msix: bool,
    /// Seconds since 1970 when the machine began.
    epoch: u64,
}

impl Setup {
    fn new(kind: &'static Kind, wants: &mut Wants<'_>) -> Result<Setup, String> {
        let props = wants.props;
        let max_cmds = props.number("max_cmds").min(MOST_CMDS);
        if max_cmds == 0 {
            return Err("max_cmds property must not be 0".to_owned());
        }
        let frame = (props.number("max_sge") + PASS_FRAME).clamp(*FRAME.start(), *FRAME.end());
        let sas_address = match props.number("sas_address") {
            // NAA: locally assigned.
            0 => 0x352_5400 << 36,
            address => address,
        };
        Ok(Setup {
            kind,
            max_sge: (frame - PASS_FRAME) as u16,
            max_cmds: max_cmds as u32,
            serial: props.text("hba_serial").to_owned(),
            sas_address,
            jbod: props.bool("use_jbod"),
            msi: props.text("msi") != "off",
            msix: props.text("msix") != "off",
            epoch: wants.backends.wall_clock_ns() / 1_000_000_000,
        })
    }
}

registers! {
    static REGS: Megasas, "megasas", sizes [4, 8];
    0x0018 OMSG0 4 ro, "MFI", read |d, _| d.scratch_pad();
    0x0020 IDB 4 rw reset 0, "MFI", read |_, _| 0, write |d, _, v| d.ring(v);
    0x0030 OSTS 4 ro reset 0, "MFI", read |d, _| d.outbound_status();
    0x0034 OMSK 4 rw reset 0xffff_ffff, "MFI", read |d, _| u64::from(d.state.mask), write |d, _, v| d.set_mask(v);
    0x0040 IQP 4 wo, "MFI", write |d, _, v| d.queue(0, v);
    0x00a0 ODCR0 4 rw reset 0, "MFI", read |d, _| u64::from(d.state.replied), write |d, _, _| d.acknowledge();
    0x00b0 OSP0 4 ro, "MFI", read |d, _| d.scratch_pad();
    0x00b4 OSP1 4 ro reset 15, "MFI", read |_, _| u64::from(VECTORS);
    0x00c0 IQPL 4 wo, "MFI", write |d, _, v| d.queue(d.state.frame_high, v);
    0x00c4 IQPH 4 wo, "MFI", write |d, _, v| d.state.frame_high = v as u32;
    0x00f8 DIAG 4 rw reset 0, "MFI", read |d, _| u64::from(d.state.diag), write |d, _, v| d.diagnose(v);
    0x00fc SEQ 4 wo, "MFI", write |d, _, v| d.unlock(v);
    0x2000 area 0xf0 MSIX_TABLE, "PCI 6.8.2", read |d, at, size| d.read_table(at, size),
        write |d, at, size, v| d.write_table(at, size, v);
    0x3800 area 8 MSIX_PBA, "PCI 6.8.2", read |d, at, size| d.msix.as_ref().map_or(0, |m| m.pending(at, size)),
        write |d, _, _, _| d.kit.report.guest_error(format_args!("store to the pending bits of MSI-X"));
}

/// What is saved of the firmware.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    firmware: u32,
    mask: u32,
    /// There are replies that the driver has not acknowledged.
    replied: bool,
    frame_high: u32,
    diag: u32,
    /// How many words have unlocked the diagnostic register.
    unlocked: u8,
    replies: Option<Replies>,
    waiting: Option<Waiting>,
    log: Log,
}

impl State {
    fn new() -> State {
        State {
            firmware: firmware::READY,
            mask: u32::MAX,
            replied: false,
            frame_high: 0,
            diag: 0,
            unlocked: 0,
            replies: None,
            waiting: None,
            log: Log::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    config: ConfigState,
    msix: Option<MsixState>,
    state: State,
    bus: BusState,
}

/// A controller.
pub struct Megasas {
    kit: Kit,
    setup: Setup,
    config: Config,
    msi: Option<Msi>,
    msix: Option<Msix>,
    bus: Bus,
    state: State,
}

impl Megasas {
    fn new(kit: Kit, setup: Setup) -> Megasas {
        let kind = setup.kind;
        let subsystem = Some((VENDOR, kind.subsystem));
        let mut config =
            Config::new(Identity { vendor: VENDOR, device: kind.device, revision: 0, class: CLASS, subsystem });
        config.set_pin(1);
        config.add_bar(Bar { number: kind.ports_bar, kind: BarKind::Io, size: 256 });
        config.add_bar(Bar { number: kind.memory_bar, kind: BarKind::Memory64, size: 0x4000 });
        config.add_bar(Bar { number: QUEUE_BAR, kind: BarKind::Memory64, size: 0x4_0000 });
        let msi = setup.msi.then(|| Msi::new(&mut config));
        let bar = kind.memory_bar;
        let msix = setup.msix.then(|| Msix::placed(&mut config, VECTORS, (bar, TABLE), (bar, PENDING)));
        if kind.express {
            config.add_express();
        }
        config.seal();
        let limits = Limits { channel: 0, target: frame::MOST_LD, lun: 255, autosense: true };
        Megasas { kit, setup, config, msi, msix, bus: Bus::new(limits), state: State::new() }
    }

    fn seconds(&self) -> u32 {
        (self.kit.clock.now() / 1_000_000_000) as u32
    }

    /// Date and time as the firmware tells it: year, month from 0 on, day, hour, minute, second.
    fn time(&self) -> u64 {
        let now = self.setup.epoch.wrapping_add(u64::from(self.seconds()));
        let (mut days, second) = (now / 86400, now % 86400);
        let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let mut year = 1970;
        // A clock of 64 bits of nanoseconds ends in 2554.
        while days >= 365 + u64::from(leap(year)) {
            days -= 365 + u64::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        for len in lengths {
            if days < len {
                break;
            }
            days -= len;
            month += 1;
        }
        let time = ((second % 60) << 48) | ((second / 60 % 60) << 40) | ((second / 3600) << 32);
        time | (days + 1) << 24 | month << 16 | year
    }

    fn scratch_pad(&mut self) -> u64 {
        let msix = if self.msix.is_some() { firmware::MSIX } else { 0 };
        u64::from(self.state.firmware | msix | u32::from(self.setup.max_sge) << 16 | self.setup.max_cmds)
    }

    fn outbound_status(&mut self) -> u64 {
        if self.state.replied && self.unmasked() { u64::from(self.setup.kind.replied) } else { 0 }
    }

    fn unmasked(&self) -> bool {
        self.setup.kind.replied & !self.state.mask != 0
    }

    fn set_mask(&mut self, value: u64) {
        self.state.mask = value as u32;
        self.drive();
    }

    fn acknowledge(&mut self) {
        self.state.replied = false;
        self.drive();
    }

    /// The pin, unless messages are on.
    fn drive(&mut self) {
        let messages = self.msi.as_ref().is_some_and(|msi| msi.enabled(&self.config))
            || self.msix.as_ref().is_some_and(|msix| msix.enabled(&self.config));
        self.config.set_intx(self.state.replied && self.unmasked() && !messages);
    }

    /// There is a reply.
    fn interrupt(&mut self) {
        self.state.replied = true;
        if self.unmasked() {
            let messenger = &self.kit.messenger;
            match (&mut self.msix, &self.msi) {
                (Some(msix), _) if msix.enabled(&self.config) => msix.notify(&self.config, messenger, 0),
                (_, Some(msi)) => msi.notify(&mut self.config, messenger),
                _ => {}
            }
        }
        self.drive();
    }

    /// The inbound doorbell.
    fn ring(&mut self, value: u64) {
        if value & doorbell::ABORT != 0 {
            self.state.waiting = None;
        }
        if value & doorbell::READY != 0 {
            self.soft_reset();
        }
        if value & doorbell::STOP != 0 {
            self.state.firmware = firmware::FAULT;
        }
    }

    /// The firmware starts again.  It takes the unit attentions of power-on itself: firmware that boots from drives does not
    /// look at them.
    fn soft_reset(&mut self) {
        if self.state.firmware == firmware::READY {
            self.bus.clear_attentions();
        }
        let log = core::mem::replace(&mut self.state.log, Log::new());
        self.state = State { log, ..State::new() };
        let seconds = self.seconds();
        self.state.log.started(seconds);
        self.drive();
    }

    /// A frame's address: bits 4 to 1 say how many frames follow it, which its scatter list says too.
    fn queue(&mut self, high: u32, low: u64) {
        self.state.frame_high = 0;
        if !self.config.enabled(command::MASTER) {
            return self.kit.report.guest_error(format_args!("a frame while the function may not reach memory"));
        }
        if self.state.firmware == firmware::FAULT {
            return self.kit.report.guest_error(format_args!("a frame while the firmware is stopped"));
        }
        self.frame(u64::from(high) << 32 | low & 0xffff_ffe0);
    }

    fn unlock(&mut self, value: u64) {
        if UNLOCK.get(usize::from(self.state.unlocked)) == Some(&value) {
            self.state.unlocked += 1;
            if usize::from(self.state.unlocked) == UNLOCK.len() {
                self.state.unlocked = 0;
                self.state.diag = DIAG_WRITABLE;
            }
        } else {
            (self.state.unlocked, self.state.diag) = (0, 0);
        }
    }

    fn diagnose(&mut self, value: u64) {
        if self.state.diag & DIAG_WRITABLE == 0 {
            return self.kit.report.guest_error(format_args!("diagnostic register written while it is locked"));
        }
        if value & DIAG_RESET != 0 {
            self.soft_reset();
        }
    }

    fn read_table(&mut self, at: u64, size: Size) -> u64 {
        self.msix.as_ref().map_or(0, |msix| msix.read(at, size))
    }

    fn write_table(&mut self, at: u64, size: Size, value: u64) {
        let Some(msix) = &mut self.msix else { return };
        msix.write(&self.kit.report, at, size, value);
        msix.written(&self.config, &self.kit.messenger);
    }

    /// A drive has come or gone.
    fn moved(&mut self, target: u16, here: bool) {
        let ((code, _), locale) = match (self.setup.jbod, here) {
            (true, true) => (events::PD_INSERTED, events::LOCALE_PD),
            (true, false) => (events::PD_REMOVED, events::LOCALE_PD),
            (false, true) => (events::LD_CREATED, events::LOCALE_LD),
            (false, false) => (events::LD_DELETED, events::LOCALE_LD),
        };
        let seconds = self.seconds();
        self.state.log.add(seconds, code, locale, Some(target));
        self.deliver();
    }

    /// Which registers an access reaches: ports are the first of them.
    fn registers(&self, bar: u8) -> Option<&'static RegisterSet<Megasas>> {
        [self.setup.kind.ports_bar, self.setup.kind.memory_bar].contains(&bar).then_some(&REGS)
    }
}

impl PciFunction for Megasas {
    fn kind(&self) -> &'static str {
        self.setup.kind.name
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn write_config(&mut self, at: usize, size: Size, value: u64) {
        self.config.write(at, size, value);
        if let Some(msix) = &mut self.msix {
            msix.written(&self.config, &self.kit.messenger);
        }
        if let Some(msi) = &self.msi {
            msi.written(&mut self.config, &self.kit.messenger);
        }
        self.drive();
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        match self.registers(bar) {
            Some(registers) => registers.read(self, &report, offset, size),
            None => {
                report.guest_error(format_args!("load at {offset:#x} of the queue window, where nothing is"));
                0
            }
        }
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        match self.registers(bar) {
            Some(registers) => registers.write(self, &report, offset, size, value),
            None => report.guest_error(format_args!("store at {offset:#x} of the queue window, where nothing is")),
        }
    }

    fn changed(&mut self, port: u32) {
        // Drivers hear of it by the unit's attention.
        self.bus.changed(port);
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let number = self.bus.plug(props, child)?;
        if self.state.firmware != firmware::OPERATIONAL {
            self.bus.clear_attentions();
        } else if let Some(address) = self.bus.address(number) {
            self.moved(address.target, true);
        }
        Ok(number)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let address = self.bus.remove(child)?;
        if self.state.firmware == firmware::OPERATIONAL {
            self.moved(address.target, false);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.config.reset();
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
        self.bus.reset();
        self.bus.clear_attentions();
        self.state = State::new();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = Snapshot {
            config: self.config.save(),
            msix: self.msix.as_ref().map(Msix::save),
            state: self.state.clone(),
            bus: self.bus.save()?,
        };
        snapshot::save(self.kind(), 1, &state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let Snapshot { config, msix, state, bus } = snapshot::load(self.kind(), 1, bytes)?;
        self.config.check(&config)?;
        match (&self.msix, &msix) {
            (Some(here), Some(saved)) => here.check(saved)?,
            (here, saved) => check(here.is_none() == saved.is_none(), "msix", || "one has MSI-X".to_owned())?,
        }
        let known = [firmware::READY, firmware::OPERATIONAL, firmware::FAULT].contains(&state.firmware);
        check(known, "firmware", || format!("{:#x}", state.firmware))?;
        check(state.replies.is_none_or(|r| r.is_sane()), "replies", || "a queue without that place".to_owned())?;
        check(usize::from(state.unlocked) < UNLOCK.len(), "unlocked", || format!("{}", state.unlocked))?;
        check([0, DIAG_WRITABLE].contains(&state.diag), "diag", || format!("{:#x}", state.diag))?;
        check(state.log.is_sane(), "log", || "too many events".to_owned())?;
        self.bus.load(bus)?;
        self.config.load(config);
        if let (Some(here), Some(saved)) = (&mut self.msix, msix) {
            here.load(saved);
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
