//! RISC-V advanced platform-level interrupt controller (APLIC; Advanced Interrupt Architecture 1.0, chapter 4): wired
//! interrupts for a tree of interrupt domains, each of which signals harts directly or forwards by MSI.

use super::bits::{Bits, bit, set_bit};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "aplic",
    aliases: &["riscv.aplic"],
    class: Class::Interrupt,
    about: "RISC-V APLIC: wired interrupts for harts or as MSIs, by domains",
    sample: |bench: &mut Bench| {
        let machine = DomainConfig::machine((0..2).map(|_| bench.line()).collect());
        let supervisor = DomainConfig::supervisor(0, (0..2).map(|_| bench.line()).collect());
        let config = AplicConfig { domains: vec![machine, supervisor], ..AplicConfig::default() };
        Box::new(Aplic::new(bench.kit("aplic"), config))
    },
};

/// Most sources that there can be (1 to this number).
pub const MAX_SOURCES: u32 = 1023;
/// Offset of the interrupt delivery control structure of hart index 0.
pub const IDC_BASE: u64 = 0x4000;
/// From one of them to the next.
pub const IDC_STRIDE: u64 = 0x20;

/// An interrupt domain.
#[derive(Clone)]
pub struct DomainConfig {
    /// At machine level; otherwise at supervisor level.
    pub machine: bool,
    /// The domain's parent, as an index less than its own; `None` for the root, which is domain 0.  The children of a
    /// domain are numbered (Child Index) in their order.
    pub parent: Option<usize>,
    /// In direct delivery mode: line n is the external interrupt of the hart with index n.
    pub lines: Vec<IrqLine>,
}

impl DomainConfig {
    /// A machine-level root.
    #[must_use]
    pub fn machine(lines: Vec<IrqLine>) -> DomainConfig {
        DomainConfig { machine: true, parent: None, lines }
    }

    /// A supervisor-level domain below `parent`.
    #[must_use]
    pub fn supervisor(parent: usize, lines: Vec<IrqLine>) -> DomainConfig {
        DomainConfig { machine: false, parent: Some(parent), lines }
    }
}

/// What differs from one APLIC to another.
#[derive(Clone)]
pub struct AplicConfig {
    /// Sources 1 to this number exist; at most [`MAX_SOURCES`].
    pub sources: u32,
    /// IPRIOLEN, bits of a priority number: 1 to 8.
    pub priority_bits: u32,
    /// MSI delivery mode (`domaincfg.DM` is read-only one), otherwise direct delivery mode (read-only zero).
    pub msi: bool,
    /// The domains, root first; domain n has window n.
    pub domains: Vec<DomainConfig>,
    /// Size of each window in bytes.
    pub size: u64,
}

impl Default for AplicConfig {
    /// As on QEMU's `virt`, without domains.
    fn default() -> AplicConfig {
        AplicConfig { sources: 96, priority_bits: 3, msi: false, domains: Vec::new(), size: 0x8000 }
    }
}

registers! {
    static REGS: Aplic, "aplic", sizes [4];
    0x401c [16384; 32] CLAIMI 4 ro reset 0, "4.8.1.5", read |d, n| d.claim(n);
    0x4000 [16384; 32] IDELIVERY 4 rw reset 0, "4.8.1.1", read |d, n| d.idc(n, |idc| u64::from(idc.delivery)),
        write |d, n, v| d.set_idc(n, |idc, _| idc.delivery = v & 1 != 0);
    0x4004 [16384; 32] IFORCE 4 rw reset 0, "4.8.1.2", read |d, n| d.idc(n, |idc| u64::from(idc.force)),
        write |d, n, v| d.set_idc(n, |idc, _| idc.force = v & 1 != 0);
    0x4008 [16384; 32] ITHRESHOLD 4 rw reset 0, "4.8.1.3", read |d, n| d.idc(n, |idc| u64::from(idc.threshold)),
        write |d, n, v| d.set_idc(n, |idc, mask| idc.threshold = v as u32 & mask);
    0x4018 [16384; 32] TOPI 4 ro reset 0, "4.8.1.4", read |d, n| d.topi(n);
    0x0000 DOMAINCFG 4 rw reset 0x8000_0000, "4.5.1", read |d, _| d.domaincfg(), write |d, _, v| d.set_domaincfg(v);
    0x0004 [1023; 4] SOURCECFG 4 rw reset 0, "4.5.2", read |d, i| u64::from(d.sourcecfg(d.here, i as u32 + 1)),
        write |d, i, v| d.set_sourcecfg(i as u32 + 1, v as u32);
    0x1bc0 MMSIADDRCFG 4 rw reset 0, "4.5.3", read |d, _| d.msi_config(0), write |d, _, v| d.set_msi_config(0, v);
    0x1bc4 MMSIADDRCFGH 4 rw reset 0, "4.5.3", read |d, _| d.msi_config(1), write |d, _, v| d.set_msi_config(1, v);
    0x1bc8 SMSIADDRCFG 4 rw reset 0, "4.5.4", read |d, _| d.msi_config(2), write |d, _, v| d.set_msi_config(2, v);
    0x1bcc SMSIADDRCFGH 4 rw reset 0, "4.5.4", read |d, _| d.msi_config(3), write |d, _, v| d.set_msi_config(3, v);
    0x1c00 [32; 4] SETIP 4 rw reset 0, "4.5.5", read |d, k| d.pending_word(k),
        write |d, k, v| d.each(k, v, Aplic::set_pending);
    0x1cdc SETIPNUM 4 rw reset 0, "4.5.6", read |_, _| 0, write |d, _, v| d.one(v, Aplic::set_pending);
    0x1d00 [32; 4] IN_CLRIP 4 rw, "4.5.7", read |d, k| d.input_word(k),
        write |d, k, v| d.each(k, v, Aplic::clear_pending);
    0x1ddc CLRIPNUM 4 rw reset 0, "4.5.8", read |_, _| 0, write |d, _, v| d.one(v, Aplic::clear_pending);
    0x1e00 [32; 4] SETIE 4 rw reset 0, "4.5.9", read |d, k| d.enabled_word(k),
        write |d, k, v| d.each(k, v, |d, i| d.set_enabled(i, true));
    0x1edc SETIENUM 4 rw reset 0, "4.5.10", read |_, _| 0, write |d, _, v| d.one(v, |d, i| d.set_enabled(i, true));
    0x1f00 [32; 4] CLRIE 4 rw reset 0, "4.5.11", read |_, _| 0,
        write |d, k, v| d.each(k, v, |d, i| d.set_enabled(i, false));
    0x1fdc CLRIENUM 4 rw reset 0, "4.5.12", read |_, _| 0, write |d, _, v| d.one(v, |d, i| d.set_enabled(i, false));
    0x2000 SETIPNUM_LE 4 rw reset 0, "4.5.13", read |_, _| 0, write |d, _, v| d.one(v, Aplic::set_pending);
    0x2004 SETIPNUM_BE 4 rw reset 0, "4.5.14", read |_, _| 0,
        write |d, _, v| d.one(u64::from((v as u32).swap_bytes()), Aplic::set_pending);
    0x3000 GENMSI 4 rw reset 0, "4.5.15", read |d, _| u64::from(d.domain().genmsi),
        write |d, _, v| d.generate(v as u32);
    0x3004 [1023; 4] TARGET 4 rw reset 0, "4.5.16", read |d, i| d.target(i as u32 + 1),
        write |d, i, v| d.set_target(i as u32 + 1, v as u32);
}

/// `sourcecfg.D`: delegated to the child whose index is in the bits below.
const DELEGATE: u32 = 1 << 10;
/// `mmsiaddrcfgh.L`: the four MSI address registers are locked.
const LOCK: u32 = 1 << 31;
/// The bits that `mmsiaddrcfg`, `mmsiaddrcfgh`, `smsiaddrcfg` and `smsiaddrcfgh` have.
const MSI_CONFIG_BITS: [u32; 4] = [0xffff_ffff, 0x9f77_ffff, 0xffff_ffff, 0x0070_0fff];

/// The source mode of a source that is active in a domain (table 4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Detached,
    Edge { inverted: bool },
    Level { inverted: bool },
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Idc {
    delivery: bool,
    force: bool,
    threshold: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Domain {
    /// `domaincfg.IE`.
    enable: bool,
    sourcecfg: Vec<u32>,
    target: Vec<u32>,
    pending: Bits,
    enabled: Bits,
    genmsi: u32,
    idc: Vec<Idc>,
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// Levels of the wires.
    input: Bits,
    /// The root's `mmsiaddrcfg`, `mmsiaddrcfgh`, `smsiaddrcfg` and `smsiaddrcfgh`.
    msi_config: [u32; 4],
    domains: Vec<Domain>,
}

fn initial(config: &AplicConfig) -> State {
    let bits = vec![0; config.sources as usize / 32 + 1];
    let per_source = vec![0; config.sources as usize + 1];
    let domain = |domain: &DomainConfig| Domain {
        enable: false,
        sourcecfg: per_source.clone(),
        // In direct mode a priority number is never zero.
        target: vec![u32::from(!config.msi); per_source.len()],
        pending: bits.clone(),
        enabled: bits.clone(),
        genmsi: 0,
        idc: vec![Idc::default(); domain.lines.len()],
    };
    let domains = config.domains.iter().map(domain).collect();
    State { input: bits.clone(), msi_config: [0; 4], domains }
}

/// The device.  Pin n is source n.
pub struct Aplic {
    kit: Kit,
    config: AplicConfig,
    /// The domain whose window is being accessed.
    here: usize,
    state: State,
}

impl Aplic {
    /// A new one.  In MSI delivery mode the lines of domains are not used, and there are no IDC structures.
    ///
    /// # Panics
    /// If the domains are no tree, root first.
    #[must_use]
    pub fn new(kit: Kit, mut config: AplicConfig) -> Aplic {
        let below = |(n, domain): (usize, &DomainConfig)| domain.parent.map_or(n == 0, |parent| parent < n);
        assert!(config.domains.iter().enumerate().all(below), "the domains are a tree, root first");
        config.sources = config.sources.min(MAX_SOURCES);
        config.priority_bits = config.priority_bits.clamp(1, 8);
        if config.msi {
            config.domains.iter_mut().for_each(|domain| domain.lines.clear());
        }
        let state = initial(&config);
        Aplic { kit, config, here: 0, state }
    }

    fn domain(&mut self) -> &mut Domain {
        &mut self.state.domains[self.here]
    }

    fn priority_mask(&self) -> u32 {
        (1 << self.config.priority_bits) - 1
    }

    /// The number of a domain's child with this index.
    fn child(&self, domain: usize, index: u32) -> Option<usize> {
        let children = self.config.domains.iter().enumerate().filter(|(_, config)| config.parent == Some(domain));
        children.map(|(n, _)| n).nth(index as usize)
    }

    /// Is the source implemented in the domain, which below the root means: delegated to it?
    fn present(&self, domain: usize, source: u32) -> bool {
        if !(1..=self.config.sources).contains(&source) {
            return false;
        }
        let Some(parent) = self.config.domains[domain].parent else { return true };
        let cfg = self.state.domains[parent].sourcecfg[source as usize];
        cfg & DELEGATE != 0 && self.child(parent, cfg & 0x3ff) == Some(domain)
    }

    fn sourcecfg(&self, domain: usize, source: u32) -> u32 {
        self.state.domains[domain].sourcecfg.get(source as usize).copied().unwrap_or(0)
    }

    /// `None`: the source is inactive in the domain.
    fn mode(&self, domain: usize, source: u32) -> Option<Mode> {
        match self.sourcecfg(domain, source) {
            1 => Some(Mode::Detached),
            sm @ 4..=5 => Some(Mode::Edge { inverted: sm == 5 }),
            sm @ 6..=7 => Some(Mode::Level { inverted: sm == 7 }),
            _ => None,
        }
    }

    /// The rectified input value (section 4.5.2).
    fn rectified(&self, domain: usize, source: u32) -> bool {
        match self.mode(domain, source) {
            Some(Mode::Edge { inverted } | Mode::Level { inverted }) => bit(&self.state.input, source) != inverted,
            Some(Mode::Detached) | None => false,
        }
    }

    fn domaincfg(&self) -> u64 {
        0x8000_0000 | u64::from(self.state.domains[self.here].enable) << 8 | u64::from(self.config.msi) << 2
    }

    fn set_domaincfg(&mut self, value: u64) {
        self.domain().enable = value >> 8 & 1 != 0;
        self.deliver_all(self.here);
    }

    fn set_sourcecfg(&mut self, source: u32, value: u32) {
        let domain = self.here;
        if !self.present(domain, source) {
            return;
        }
        let old = self.sourcecfg(domain, source);
        let new = match (value & DELEGATE != 0, value & 7) {
            (true, _) if self.child(domain, 0).is_none() => 0,
            (true, _) => value & (DELEGATE | 0x3ff),
            (false, 2..=3) => 0,
            (false, mode) => mode,
        };
        if old & DELEGATE != 0
            && new != old
            && let Some(child) = self.child(domain, old & 0x3ff)
        {
            self.withdraw(child, source);
        }
        self.state.domains[domain].sourcecfg[source as usize] = new;
        let rectified = self.rectified(domain, source);
        let mode = self.mode(domain, source);
        let slot = &mut self.state.domains[domain];
        match mode {
            None => {
                set_bit(&mut slot.pending, source, false);
                set_bit(&mut slot.enabled, source, false);
            }
            Some(Mode::Level { .. }) => set_bit(&mut slot.pending, source, rectified),
            Some(Mode::Detached | Mode::Edge { .. }) => {}
        }
        self.deliver_all(domain);
    }

    /// A source is no longer delegated to a domain, where it now is not implemented.
    fn withdraw(&mut self, domain: usize, source: u32) {
        let cfg = self.sourcecfg(domain, source);
        if let Some(child) = (cfg & DELEGATE != 0).then(|| self.child(domain, cfg & 0x3ff)).flatten() {
            self.withdraw(child, source);
        }
        let slot = &mut self.state.domains[domain];
        set_bit(&mut slot.pending, source, false);
        set_bit(&mut slot.enabled, source, false);
        slot.sourcecfg[source as usize] = 0;
        self.deliver_all(domain);
    }

    /// Has the domain whose window is accessed the MSI address registers?  Only a machine-level root has them.
    fn has_msi_config(&self) -> bool {
        self.config.msi && self.here == 0 && self.config.domains[0].machine
    }

    fn msi_config(&self, n: usize) -> u64 {
        if self.has_msi_config() { u64::from(self.state.msi_config[n]) } else { 0 }
    }

    fn set_msi_config(&mut self, n: usize, value: u64) {
        if self.has_msi_config() && self.state.msi_config[1] & LOCK == 0 {
            self.state.msi_config[n] = value as u32 & MSI_CONFIG_BITS[n];
        }
    }

    fn pending_word(&self, k: u64) -> u64 {
        self.state.domains[self.here].pending.get(k as usize).map_or(0, |word| u64::from(*word))
    }

    fn enabled_word(&self, k: u64) -> u64 {
        self.state.domains[self.here].enabled.get(k as usize).map_or(0, |word| u64::from(*word))
    }

    fn input_word(&self, k: u64) -> u64 {
        let rectified = |n: &u32| self.rectified(self.here, 32 * k as u32 + n);
        (0..32).filter(rectified).fold(0, |word, n| word | 1 << n)
    }

    /// Does `act` for the sources whose bits are set in word `k` of a bit array.
    fn each(&mut self, k: u64, value: u64, act: fn(&mut Aplic, u32)) {
        (0..32).filter(|n| value >> n & 1 != 0).for_each(|n| act(self, 32 * k as u32 + n));
        self.deliver_all(self.here);
    }

    /// Does `act` for the source with this number.
    fn one(&mut self, number: u64, act: fn(&mut Aplic, u32)) {
        act(self, number as u32);
        self.deliver_all(self.here);
    }

    /// Software sets the pending bit, where that is possible (section 4.7).
    fn set_pending(&mut self, source: u32) {
        let possible = match self.mode(self.here, source) {
            None => false,
            Some(Mode::Detached | Mode::Edge { .. }) => true,
            Some(Mode::Level { .. }) => self.config.msi && self.rectified(self.here, source),
        };
        if possible {
            set_bit(&mut self.domain().pending, source, true);
        }
    }

    /// Software or a claim clears the pending bit, where that is possible (section 4.7).
    fn clear_pending(&mut self, source: u32) {
        let mode = self.mode(self.here, source);
        if self.config.msi || !matches!(mode, Some(Mode::Level { .. })) {
            set_bit(&mut self.domain().pending, source, false);
        }
    }

    fn set_enabled(&mut self, source: u32, value: bool) {
        if self.mode(self.here, source).is_some() {
            set_bit(&mut self.domain().enabled, source, value);
        }
    }

    /// Zero while the source is inactive.  The values that it gets when it becomes active are unspecified: here they
    /// are those that were written last.
    fn target(&self, source: u32) -> u64 {
        let active = self.mode(self.here, source).is_some();
        if active { u64::from(self.state.domains[self.here].target[source as usize]) } else { 0 }
    }

    fn set_target(&mut self, source: u32, value: u32) {
        if !self.present(self.here, source) {
            return;
        }
        let priority = (value & self.priority_mask()).max(1);
        let new = match (self.config.msi, self.config.domains[self.here].machine) {
            (false, _) => value & 0xfffc_0000 | priority,
            (true, true) => value & 0xfffc_07ff,
            (true, false) => value & 0xffff_f7ff,
        };
        self.domain().target[source as usize] = new;
        self.deliver_all(self.here);
    }

    /// An extempore MSI (section 4.5.15).  It has left when the write is over, so Busy always reads as zero.
    fn generate(&mut self, value: u32) {
        if self.config.msi {
            self.domain().genmsi = value & 0xfffc_07ff;
            self.send(self.here, value & 0xfffc_07ff);
        }
    }

    /// Sends an MSI to the address that belongs to a `target` (section 4.9.1).
    fn send(&self, domain: usize, target: u32) {
        if !self.config.domains[0].machine {
            return self.kit.report.unimplemented(format_args!("MSIs of an APLIC without machine level"));
        }
        let (hart, guest) = (u64::from(target >> 18), u64::from(target >> 12 & 0x3f));
        let [low, high, supervisor_low, supervisor_high] = self.state.msi_config;
        let field = |shift: u32, width: u32| high >> shift & ((1 << width) - 1);
        let (lhxw, hhxw, hhxs) = (field(12, 4), field(16, 3), field(24, 5));
        let (base_low, base_high) =
            if self.config.domains[domain].machine { (low, high) } else { (supervisor_low, supervisor_high) };
        let base = u64::from(base_high & 0xfff) << 32 | u64::from(base_low);
        let lhxs = base_high >> 20 & 7;
        let group = hart >> lhxw & ((1 << hhxw) - 1);
        let hart = hart & ((1 << lhxw) - 1);
        let page = base | group << (hhxs + 12) | hart << lhxs | guest;
        self.kit.messenger.message((page & ((1 << 44) - 1)) << 12, target & 0x7ff);
    }

    /// The pending and enabled sources of a domain, in order.
    fn waiting(&self, domain: usize) -> impl Iterator<Item = u32> + '_ {
        let slot = &self.state.domains[domain];
        slot.pending.iter().zip(&slot.enabled).enumerate().flat_map(|(n, (pending, enabled))| {
            let mut both = pending & enabled;
            core::iter::from_fn(move || {
                let n = 32 * n as u32 + both.checked_ilog2().map(|_| both.trailing_zeros())?;
                both &= both - 1;
                Some(n)
            })
        })
    }

    /// Forwards what is pending and enabled in a domain, or drives its lines.
    fn deliver_all(&mut self, domain: usize) {
        if !self.config.msi {
            return (0..self.config.domains[domain].lines.len()).for_each(|hart| self.drive(domain, hart));
        }
        if self.state.domains[domain].enable {
            let ready: Vec<u32> = self.waiting(domain).collect();
            for source in ready {
                let slot = &mut self.state.domains[domain];
                set_bit(&mut slot.pending, source, false);
                let target = slot.target[source as usize];
                self.send(domain, target);
            }
        }
    }

    /// Drives a hart's line (section 4.8.2).
    fn drive(&self, domain: usize, hart: usize) {
        let slot = &self.state.domains[domain];
        let idc = &slot.idc[hart];
        let level = slot.enable && idc.delivery && (idc.force || self.top(domain, hart).is_some());
        self.config.domains[domain].lines[hart].set(level);
    }

    /// The most urgent of the pending and enabled sources that target a hart and pass its threshold: number, priority.
    fn top(&self, domain: usize, hart: usize) -> Option<(u32, u32)> {
        let slot = &self.state.domains[domain];
        let threshold = slot.idc[hart].threshold;
        let mine = self.waiting(domain).map(|source| (source, slot.target[source as usize]));
        let mine = mine.filter(|(_, target)| (target >> 18) as usize == hart).map(|(n, target)| (n, target & 0xff));
        mine.filter(|(_, priority)| threshold == 0 || *priority < threshold).min_by_key(|(_, priority)| *priority)
    }

    /// Index of an IDC structure, which a guest may have made up.
    fn idc_place(&self, hart: u64) -> Option<usize> {
        let here = hart < self.state.domains[self.here].idc.len() as u64;
        if !here {
            self.kit.report.guest_error(format_args!("IDC structure {hart}, which is not there"));
        }
        here.then_some(hart as usize)
    }

    fn idc(&self, hart: u64, value: fn(&Idc) -> u64) -> u64 {
        self.idc_place(hart).map_or(0, |n| value(&self.state.domains[self.here].idc[n]))
    }

    fn set_idc(&mut self, hart: u64, set: impl FnOnce(&mut Idc, u32)) {
        if let Some(n) = self.idc_place(hart) {
            let mask = self.priority_mask();
            set(&mut self.domain().idc[n], mask);
            self.drive(self.here, n);
        }
    }

    fn topi(&self, hart: u64) -> u64 {
        let top = self.idc_place(hart).and_then(|n| self.top(self.here, n));
        top.map_or(0, |(source, priority)| u64::from(source << 16 | priority))
    }

    fn claim(&mut self, hart: u64) -> u64 {
        let Some(n) = self.idc_place(hart) else { return 0 };
        let top = self.top(self.here, n);
        match top {
            Some((source, _)) => self.clear_pending(source),
            None => self.domain().idc[n].force = false,
        }
        self.drive(self.here, n);
        top.map_or(0, |(source, priority)| u64::from(source << 16 | priority))
    }

    /// Is it a value that `target` can have?
    fn is_target(&self, target: u32) -> bool {
        if self.config.msi {
            target & 1 << 11 == 0
        } else {
            target & 0x0003_ff00 == 0 && (1..=self.priority_mask()).contains(&(target & 0xff))
        }
    }

    /// Is a saved domain one that this device can be in?
    fn fits(&self, domain: &Domain, like: &Domain) -> bool {
        let bits = [&domain.pending, &domain.enabled];
        bits.iter().all(|bits| bits.len() == like.pending.len())
            && domain.sourcecfg.len() == like.sourcecfg.len()
            && domain.target.len() == like.target.len()
            && domain.target.iter().all(|target| self.is_target(*target))
            && domain.idc.len() == like.idc.len()
            && domain.idc.iter().all(|idc| idc.threshold & !self.priority_mask() == 0)
            && (0..like.sourcecfg.len()).all(|n| {
                let (cfg, n) = (domain.sourcecfg[n], n as u32);
                let active = matches!(cfg, 1 | 4..=7);
                let delegated = cfg & DELEGATE != 0 && cfg & !(DELEGATE | 0x3ff) == 0;
                let idle = !bits.iter().any(|bits| bit(bits, n));
                (n != 0 || cfg == 0) && (active || (idle && (cfg == 0 || delegated)))
            })
            && (like.sourcecfg.len()..32 * like.pending.len()).all(|n| !bits.iter().any(|bits| bit(bits, n as u32)))
    }
}

impl Device for Aplic {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        let name = |domain: &DomainConfig| if domain.machine { "riscv.aplic.m" } else { "riscv.aplic.s" };
        self.config.domains.iter().map(|d| Window { name: name(d).into(), size: self.config.size }).collect()
    }

    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        self.here = window as usize;
        if self.here < self.state.domains.len() { REGS.read(self, &report, offset, size) } else { 0 }
    }

    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        self.here = window as usize;
        if self.here < self.state.domains.len() {
            REGS.write(self, &report, offset, size, value);
        }
    }

    fn pin(&mut self, pin: u32, level: bool) {
        if !(1..=self.config.sources).contains(&pin) || bit(&self.state.input, pin) == level {
            return;
        }
        set_bit(&mut self.state.input, pin, level);
        // A source is active in one domain at most: a domain that has delegated it is not.
        let Some(domain) = (0..self.state.domains.len()).find(|n| self.mode(*n, pin).is_some()) else { return };
        let (mode, rectified) = (self.mode(domain, pin), self.rectified(domain, pin));
        let slot = &mut self.state.domains[domain];
        match mode {
            Some(Mode::Edge { .. }) if rectified => set_bit(&mut slot.pending, pin, true),
            Some(Mode::Level { .. }) => set_bit(&mut slot.pending, pin, rectified),
            _ => return,
        }
        let hart = (slot.target[pin as usize] >> 18) as usize;
        if self.config.msi {
            self.deliver_all(domain);
        } else if hart < slot.idc.len() {
            self.drive(domain, hart);
        }
    }

    fn reset(&mut self) {
        self.state = initial(&self.config);
        self.here = 0;
        self.config.domains.iter().flat_map(|domain| &domain.lines).for_each(|line| line.set(false));
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        let like = initial(&self.config);
        let inputs = state.input.len() == like.input.len();
        snapshot::check(inputs, "input", || format!("not {} sources", self.config.sources))?;
        let config = state.msi_config.iter().zip(MSI_CONFIG_BITS).all(|(value, bits)| value & !bits == 0);
        snapshot::check(config, "msi_config", || "reserved bits are set".into())?;
        let domains = state.domains.len() == like.domains.len()
            && state.domains.iter().zip(&like.domains).all(|(domain, like)| self.fits(domain, like));
        snapshot::check(domains, "domains", || "not the domains of this device".into())?;
        let before = core::mem::replace(&mut self.state, state);
        let domains = 0..self.state.domains.len();
        let owned = |n: usize, source: u32| self.sourcecfg(n, source) == 0 || self.present(n, source);
        let owned = domains.into_iter().all(|n| (1..=self.config.sources).all(|source| owned(n, source)));
        let checked = snapshot::check(owned, "sourcecfg", || "a source is active where it is not delegated to".into());
        if checked.is_err() {
            self.state = before;
        }
        checked
    }
}

#[cfg(test)]
mod tests;
