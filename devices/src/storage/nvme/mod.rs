//! NVM Express controllers (NVM Express 1.4, and its PCI Express transport) and their namespaces: `nvme` and `nvme-ns`.
//!
//! `regs` has the registers, `queue` takes commands out of the submission queues and puts completions into the others,
//! `admin` with `identify`, `features` and `log` serves the admin queue, `io` the others, on a `namespace` each;
//! `reach` is the memory that commands name.

mod admin;
mod command;
mod features;
mod identify;
mod io;
mod log;
mod namespace;
mod queue;
mod reach;
mod regs;
mod status;
#[cfg(test)]
mod tests;

use crate::Class;
use crate::model::{Build, BusKind, Child, Model, Prop, PropKind, Props, Wants};
use crate::pci::config::{ConfigState, command as pci_command};
use crate::pci::msi::MsixState;
use crate::pci::{Bar, BarKind, Config, Identity, Msix, PciFunction};
use features::Features;
use log::Logs;
use namespace::{Namespace, NsState};
use queue::{Completion, Submission};
use reach::Reach;
use regs::Registers;
use serde::{Deserialize, Serialize};
use tern_core::device::Kit;
use tern_core::mem::Size;
use tern_core::snapshot::{self, StateError, check};

/// Their rows in the list of models.
pub static MODELS: &[Model] = &[
    Model {
        name: NAME,
        aliases: &[],
        class: Class::Storage,
        about: "NVM Express controller (NVM Express 1.4)",
        parents: &[],
        props: &[
            Prop::new("drive", PropKind::Drive, "the medium of namespace 1"),
            Prop::new("serial", PropKind::Text(""), "serial number; needed"),
            Prop::new("max_ioqpairs", PropKind::Number(32, 64), "pairs of I/O queues"),
            Prop::new("msix_qsize", PropKind::Number(16, 65), "interrupt vectors"),
            Prop::new("mqes", PropKind::Number(16, 0x7ff), "entries of a queue, less one"),
            Prop::new("mdts", PropKind::Number(8, 7), "largest transfer: a power of two of 4 KiB pages"),
            Prop::new("aerl", PropKind::Number(8, 3), "outstanding asynchronous event requests, less one"),
            Prop::new("aer_max_queued", PropKind::Number(32, 64), "events kept for the host"),
            Prop::new("cmb_size_mb", PropKind::Number(32, 0), "size of the controller memory buffer in MiB"),
            Prop::new("pmrdev", PropKind::Link("memory-backend"), "the persistent memory region"),
            Prop::new("use-intel-id", PropKind::Bool(false), "call itself an Intel device"),
            Prop::new("logical_block_size", PropKind::Size(512), "block size of namespace 1 in bytes"),
            Prop::only("physical_block_size", &["0", "512"]),
            Prop::only("num_queues", &["0"]),
            Prop::only("legacy-cmb", &["off"]),
            Prop::only("ioeventfd", &["off"]),
            Prop::only("dbcs", &["off"]),
            Prop::only("msix-exclusive-bar", &["off"]),
            Prop::only("sriov_max_vfs", &["0"]),
            Prop::only("spdm_port", &["0"]),
            Prop::only("ctratt.mem", &["off"]),
            Prop::only("share-rw", &["off"]),
            Prop::only("write-cache", &["auto", "on"]),
            Prop::only("bootindex", &["*"]),
        ],
        bus: Some(BusKind::Nvme),
        build: Build::Pci(|kit, wants| Ok(Box::new(Nvme::build(kit, wants)?))),
    },
    Model {
        name: "nvme-ns",
        aliases: &[],
        class: Class::Storage,
        about: "namespace of an NVM Express controller",
        parents: &[],
        props: &[
            Prop::new("drive", PropKind::Drive, "the medium"),
            Prop::new("nsid", PropKind::Number(32, 0), "its number; 0: the first that is free"),
            Prop::new("uuid", PropKind::Text(""), "its UUID"),
            Prop::new("nguid", PropKind::Text(""), "its globally unique identifier, 16 bytes in hexadecimal"),
            Prop::new("eui64", PropKind::Number(64, 0), "its extended unique identifier"),
            Prop::new("logical_block_size", PropKind::Size(512), "block size in bytes"),
            Prop::only("physical_block_size", &["0", "512"]),
            Prop::only("detached", &["off"]),
            Prop::only("ms", &["0"]),
            Prop::only("pi", &["0"]),
            Prop::only("mssrl", &["128"]),
            Prop::only("mcl", &["128"]),
            Prop::only("msrc", &["127"]),
            Prop::only("zoned", &["off"]),
            Prop::only("eui64-default", &["off"]),
            Prop::only("share-rw", &["off"]),
            Prop::only("write-cache", &["auto", "on"]),
            Prop::only("bootindex", &["*"]),
        ],
        bus: None,
        build: Build::Child(BusKind::Nvme, |wants| Ok(Child::new(Namespace::child(wants)?))),
    },
];

/// The part's name in states.
const NAME: &str = "nvme";
/// Most pairs of I/O queues.
const MAX_PAIRS: u64 = 1024;
/// Smallest page, the unit of transfers' limits, in bytes.
const MIN_PAGE: u64 = 4096;
/// Largest controller memory buffer in MiB.
const MAX_CMB: u64 = 1024;
/// Base address registers.
const BAR_REGISTERS: u8 = 0;
const BAR_CMB: u8 = 2;
const BAR_PMR: u8 = 4;
/// Event: there are commands left to serve.
const EVENT_WORK: u32 = 0;

/// What a controller is made with.
#[derive(Clone, Debug)]
struct Options {
    serial: String,
    pairs: u16,
    vectors: u16,
    mqes: u16,
    mdts: u8,
    aerl: u8,
    max_queued: usize,
    intel: bool,
}

impl Options {
    fn new(props: &Props) -> Result<Options, String> {
        let number = |name: &str, range: core::ops::RangeInclusive<u64>| {
            let n = props.number(name);
            let (from, to) = (range.start(), range.end());
            if range.contains(&n) { Ok(n) } else { Err(format!("{name} property must be from {from} to {to}")) }
        };
        let serial = props.text("serial").to_owned();
        if serial.is_empty() {
            return Err("serial property not set".to_owned());
        }
        Ok(Options {
            serial,
            pairs: number("max_ioqpairs", 1..=MAX_PAIRS)? as u16,
            vectors: number("msix_qsize", 1..=u64::from(crate::pci::msi::MAX_VECTORS))? as u16,
            mqes: number("mqes", 1..=0xffff)? as u16,
            mdts: number("mdts", 1..=9)? as u8,
            aerl: number("aerl", 0..=0xff)? as u8,
            max_queued: number("aer_max_queued", 0..=1024)? as usize,
            intel: props.bool("use-intel-id"),
        })
    }

    /// Most bytes of a transfer.
    fn limit(&self) -> u64 {
        MIN_PAGE << self.mdts
    }
}

/// Where in the first base address what lies: behind the registers and doorbells, in pages of their own.
#[derive(Clone, Copy, Debug)]
struct Layout {
    table: u64,
    pending: u64,
    size: u64,
}

impl Layout {
    fn new(options: &Options) -> Layout {
        let doorbells = regs::DOORBELLS + 8 * (u64::from(options.pairs) + 1);
        let table = doorbells.next_multiple_of(MIN_PAGE);
        let pending = (table + 16 * u64::from(options.vectors)).next_multiple_of(MIN_PAGE);
        Layout { table, pending, size: (pending + MIN_PAGE).next_power_of_two() }
    }
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct State {
    config: ConfigState,
    msix: MsixState,
    regs: Registers,
    submissions: Vec<Option<Submission>>,
    completions: Vec<Option<Completion>>,
    features: Features,
    logs: Logs,
    cmb: Vec<u8>,
    namespaces: Vec<NsState>,
}

/// A controller.
pub struct Nvme {
    kit: Kit,
    options: Options,
    layout: Layout,
    config: Config,
    msix: Msix,
    regs: Registers,
    reach: Reach,
    /// The submission queues; the first is the admin queue.
    submissions: Vec<Option<Submission>>,
    completions: Vec<Option<Completion>>,
    features: Features,
    logs: Logs,
    /// In the order of their numbers.
    namespaces: Vec<Namespace>,
}

impl Nvme {
    fn build(kit: Kit, wants: &mut Wants<'_>) -> Result<Nvme, String> {
        let options = Options::new(wants.props)?;
        let cmb = wants.props.number("cmb_size_mb");
        if cmb > MAX_CMB || !(cmb == 0 || cmb.is_power_of_two()) {
            return Err(format!("cmb_size_mb property must be a power of two up to {MAX_CMB}"));
        }
        let pmr = wants.memory("pmrdev")?;
        if pmr.as_ref().is_some_and(|pmr| !pmr.size().is_power_of_two()) {
            return Err("pmr backend size needs to be power of 2 in size".to_owned());
        }
        let own = wants.optional_drive("drive", 0)?.map(|disk| Namespace::new(disk, wants.props)).transpose()?;

        let (vendor, device) = if options.intel { (0x8086, 0x5845) } else { (0x1b36, 0x0010) };
        let subsystem = Some((0x1af4, 0x1100));
        let mut config = Config::new(Identity { vendor, device, revision: 2, class: 0x01_0802, subsystem });
        let layout = Layout::new(&options);
        let bar = |number, size| Bar { number, kind: BarKind::Memory64, size };
        config.add_bar(bar(BAR_REGISTERS, layout.size));
        if cmb != 0 {
            config.add_bar(bar(BAR_CMB, cmb << 20));
        }
        if let Some(pmr) = &pmr {
            config.add_bar(bar(BAR_PMR, pmr.size().max(16)));
        }
        config.set_pin(1);
        config.add_express();
        let table = (BAR_REGISTERS, layout.table as u32);
        let msix = Msix::placed(&mut config, options.vectors, table, (BAR_REGISTERS, layout.pending as u32));
        config.seal();

        let queues = usize::from(options.pairs) + 1;
        let mut nvme = Nvme {
            reach: Reach::new(kit.dma.clone(), (cmb as usize) << 20, pmr),
            regs: Registers::default(),
            submissions: vec![None; queues],
            completions: vec![None; queues],
            features: Features::new(queues),
            logs: Logs::default(),
            namespaces: Vec::new(),
            kit,
            options,
            layout,
            config,
            msix,
        };
        nvme.namespaces.extend(own.map(|mut ns| {
            ns.state.nsid = 1;
            ns
        }));
        Ok(nvme)
    }

    /// Where in the list a namespace is, or where it would be.
    fn find(&self, nsid: u32) -> Result<usize, usize> {
        self.namespaces.binary_search_by_key(&nsid, |ns| ns.state.nsid)
    }

    /// Queues, requests, features and logs as after reset of the controller (7.3.2): the admin queue's registers, what
    /// controls the controller's memory, and errors and statistics stay.
    fn controller_reset(&mut self) {
        self.submissions.fill(None);
        self.completions.fill(None);
        self.features = Features::new(self.completions.len());
        self.logs.controller_reset();
        self.kit.clock.cancel(EVENT_WORK);
        for ns in &mut self.namespaces {
            ns.state.recovery = 0;
        }
        self.update_pin();
    }

    /// The pin: a completion queue that wants interrupts has entries, and the host has not masked its vector (7.5.1).
    fn update_pin(&mut self) {
        let wanting = |cq: &&Completion| cq.interrupts && cq.head != cq.tail && cq.vector < 32;
        let lines = self.completions.iter().flatten().filter(wanting).fold(0, |lines, cq| lines | 1 << cq.vector);
        let level = lines & !self.regs.intms != 0 && !self.msix.enabled(&self.config);
        self.config.set_intx(level);
    }

    /// May the controller touch memory?
    fn is_master(&self) -> bool {
        self.config.enabled(pci_command::MASTER)
    }

    fn check(&self, state: &State) -> Result<(), StateError> {
        self.config.check(&state.config)?;
        self.msix.check(&state.msix)?;
        let (saved, here) = (state.cmb.len(), self.reach.cmb.len());
        check(saved == here, "controller memory buffer", || format!("{saved} bytes, not {here}"))?;
        let queues = self.completions.len();
        let same = state.submissions.len() == queues && state.completions.len() == queues;
        check(same, "queues", || format!("{}, not {queues}", state.submissions.len()))?;
        for cq in state.completions.iter().flatten() {
            cq.check(self.options.vectors)?;
        }
        for sq in state.submissions.iter().flatten() {
            let known = state.completions.get(usize::from(sq.cq)).is_some_and(Option::is_some);
            check(known, "queues", || format!("there is no completion queue {}", sq.cq))?;
            sq.check()?;
        }
        state.features.check(queues)?;
        state.logs.check(&self.options)?;
        let (saved, here) = (state.namespaces.len(), self.namespaces.len());
        check(saved == here, "namespaces", || format!("{saved}, not {here}"))?;
        self.namespaces.iter().zip(&state.namespaces).try_for_each(|(ns, state)| ns.check(state))
    }
}

impl PciFunction for Nvme {
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
        self.update_pin();
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        match bar {
            BAR_CMB => self.read_cmb(offset, size),
            BAR_PMR => self.read_pmr(offset, size),
            _ => self.read_registers(offset, size),
        }
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        match bar {
            BAR_CMB => self.write_cmb(offset, size, value),
            BAR_PMR => self.write_pmr(offset, size, value),
            _ => self.write_registers(offset, size, value),
        }
    }

    fn event(&mut self, token: u32) {
        if token == EVENT_WORK {
            self.work();
        }
    }

    fn changed(&mut self, _port: u32) {
        for n in 0..self.namespaces.len() {
            if self.namespaces[n].look() {
                self.namespace_changed(self.namespaces[n].state.nsid);
            }
        }
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let mut ns: Namespace = child.take()?;
        let wanted = props.number("nsid");
        let nsid = match u32::try_from(wanted) {
            Ok(0) => (1..=namespace::MAX).find(|n| self.find(*n).is_err()).ok_or("no free namespace id")?,
            Ok(n) if n <= namespace::MAX => n,
            _ => return Err(format!("invalid namespace id (must be between 0 and {})", namespace::MAX)),
        };
        let Err(at) = self.find(nsid) else { return Err(format!("namespace id '{nsid}' already allocated")) };
        ns.state.nsid = nsid;
        self.namespaces.insert(at, ns);
        self.namespace_changed(nsid);
        Ok(nsid)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let at = self.find(child).map_err(|_| format!("there is no namespace {child}"))?;
        self.namespaces.remove(at);
        self.namespace_changed(child);
        Ok(())
    }

    fn reset(&mut self) {
        self.regs = Registers::default();
        self.controller_reset();
        self.logs = Logs::default();
        self.namespaces.iter_mut().for_each(Namespace::reset);
        self.reach.cmb.fill(0);
        self.place_memory();
        self.msix.reset();
        self.config.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = State {
            config: self.config.save(),
            msix: self.msix.save(),
            regs: self.regs,
            submissions: self.submissions.clone(),
            completions: self.completions.clone(),
            features: self.features.clone(),
            logs: self.logs.clone(),
            cmb: self.reach.cmb.clone(),
            namespaces: self.namespaces.iter().map(|ns| ns.state.clone()).collect(),
        };
        snapshot::save(NAME, 1, &state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(NAME, 1, bytes)?;
        self.check(&state)?;
        self.config.load(state.config);
        self.msix.load(state.msix);
        self.regs = state.regs;
        self.submissions = state.submissions;
        self.completions = state.completions;
        self.features = state.features;
        self.logs = state.logs;
        self.reach.cmb = state.cmb;
        for (ns, state) in self.namespaces.iter_mut().zip(state.namespaces) {
            ns.state = state;
        }
        self.place_memory();
        Ok(())
    }
}
