//! RISC-V incoming MSI controller (IMSIC; Advanced Interrupt Architecture 1.0, chapter 3): the interrupt files of one
//! privilege level for all harts of a machine.
//!
//! Software reaches an interrupt file's registers through its hart's CSRs; those accesses arrive as
//! [`tern_core::device::Device::cpu_register`].  A register's number is `privilege << 16 | what`, where privilege is 3 for machine level, 1 for
//! supervisor level and 0x10 + n for guest interrupt file n, and what is `0x1000 | iselect` for `*ireg` and 0x2000 for
//! `*topei`, which a write claims.  An even `eip`/`eie` register reads as 64 bits, of which RV32 takes the lower half, an odd
//! one as the upper 32 of them (RV64's exception for odd ones is the CPU's business).

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "imsic",
    aliases: &["riscv.imsic"],
    class: Class::Interrupt,
    about: "RISC-V IMSIC: message-signalled interrupts of each hart, one privilege level",
    sample: |bench: &mut Bench| {
        let lines = (0..3).map(|_| (0..3).map(|_| bench.line()).collect()).collect();
        let config = ImsicConfig { machine: false, ids: 127, guests: 2, groups: vec![2, 1] };
        Box::new(Imsic::new(bench.kit("imsic"), config, lines))
    },
};

/// Size of an interrupt file's page in bytes.
pub const PAGE: u64 = 0x1000;
/// Most identities that a file can have.
pub const MAX_IDS: u32 = 2047;
/// Most guest interrupt files that a hart can have.
pub const MAX_GUESTS: u32 = 63;

/// `*iselect` of `eidelivery`.
const EIDELIVERY: u32 = 0x70;
/// `*iselect` of `eithreshold`.
const EITHRESHOLD: u32 = 0x72;

/// What differs from one IMSIC to another.
#[derive(Clone, Debug)]
pub struct ImsicConfig {
    /// At machine level; otherwise at supervisor level.
    pub machine: bool,
    /// Identities 1 to this number exist: a multiple of 64 less one, 63 to [`MAX_IDS`].
    pub ids: u32,
    /// Guest interrupt files of each hart (GEILEN), at most [`MAX_GUESTS`]; none at machine level.
    pub guests: u32,
    /// Harts of each group, in order; group n has window n.  Each hart has a power of two of pages there.
    pub groups: Vec<usize>,
}

impl ImsicConfig {
    /// Bits of an address that select a guest file, above the page: a hart's pages are 2^this.
    #[must_use]
    pub fn guest_bits(&self) -> u32 {
        (self.guests + 1).next_power_of_two().trailing_zeros()
    }
}

registers! {
    static REGS: Imsic, "imsic", sizes [4];
    0x000 [4194304; 0x1000] SETEIPNUM_LE 4 rw reset 0, "3.5", read |d, page| d.nothing(page),
        write |d, page, v| d.message(page, v as u32);
    0x004 [4194304; 0x1000] SETEIPNUM_BE 4 rw reset 0, "3.5", read |d, page| d.nothing(page),
        write |d, page, v| d.message(page, (v as u32).swap_bytes());
}

/// An interrupt file.
#[derive(Clone, Serialize, Deserialize)]
struct File {
    delivery: bool,
    threshold: u32,
    pending: Vec<u64>,
    enabled: Vec<u64>,
}

impl File {
    fn new(ids: u32) -> File {
        let bits = vec![0; ids as usize / 64 + 1];
        File { delivery: false, threshold: 0, pending: bits.clone(), enabled: bits }
    }

    /// The identity that `*topei` reports, or 0.
    fn top(&self) -> u32 {
        let both = self.pending.iter().zip(&self.enabled).map(|(pending, enabled)| pending & enabled);
        let first = both.enumerate().find(|(_, both)| *both != 0);
        let id = first.map_or(0, |(n, both)| 64 * n as u32 + both.trailing_zeros());
        if self.threshold != 0 && id >= self.threshold { 0 } else { id }
    }
}

/// The device.
pub struct Imsic {
    kit: Kit,
    config: ImsicConfig,
    /// Lines of each hart: its own external interrupt, then those of its guest files.
    lines: Vec<Vec<IrqLine>>,
    /// The group whose window is being accessed.
    here: usize,
    /// Files of each hart.
    files: Vec<Vec<File>>,
}

fn initial(config: &ImsicConfig, harts: usize) -> Vec<Vec<File>> {
    vec![vec![File::new(config.ids); config.guests as usize + 1]; harts]
}

impl Imsic {
    /// A new one.  `lines` are those of each hart, of all groups in order: MEI or SEI, and a guest external interrupt for
    /// each guest file.
    ///
    /// # Panics
    /// If `config` is none that an IMSIC can have, or there are not as many lines.
    #[must_use]
    pub fn new(kit: Kit, config: ImsicConfig, lines: Vec<Vec<IrqLine>>) -> Imsic {
        assert!(config.ids % 64 == 63 && config.ids <= MAX_IDS, "{} identities", config.ids);
        assert!(config.guests <= if config.machine { 0 } else { MAX_GUESTS }, "{} guest files", config.guests);
        assert_eq!(config.groups.iter().sum::<usize>(), lines.len(), "lines of each hart");
        assert!(lines.iter().all(|hart| hart.len() == config.guests as usize + 1), "a line for each file");
        let files = initial(&config, lines.len());
        Imsic { kit, config, lines, here: 0, files }
    }

    /// Hart and file of a page of the window that is being accessed.
    fn page(&self, page: u64) -> Option<(usize, usize)> {
        let bits = self.config.guest_bits();
        let (hart, file) = (page >> bits, (page & ((1 << bits) - 1)) as usize);
        let harts = self.config.groups.get(self.here).copied().unwrap_or(0);
        let here = hart < harts as u64 && file <= self.config.guests as usize;
        if !here {
            self.kit.report.guest_error(format_args!("access to page {page}, which has no interrupt file"));
        }
        let before: usize = self.config.groups.iter().take(self.here).sum();
        here.then_some((before + hart as usize, file))
    }

    fn nothing(&self, page: u64) -> u64 {
        self.page(page).map_or(0, |_| 0)
    }

    /// A message makes an identity pending.
    fn message(&mut self, page: u64, id: u32) {
        let Some((hart, file)) = self.page(page) else { return };
        if !(1..=self.config.ids).contains(&id) {
            return self.kit.report.guest_error(format_args!("message {id:#x} is no interrupt identity"));
        }
        self.files[hart][file].pending[id as usize / 64] |= 1 << (id % 64);
        self.drive(hart, file);
    }

    fn drive(&self, hart: usize, file: usize) {
        let state = &self.files[hart][file];
        self.lines[hart][file].set(state.delivery && state.top() != 0);
    }

    /// The interrupt file of a hart that belongs to a privilege number.
    fn file(&self, privilege: u32) -> Option<usize> {
        match privilege {
            3 if self.config.machine => Some(0),
            1 if !self.config.machine => Some(0),
            0x11..=0x4f if privilege - 0x10 <= self.config.guests => Some((privilege - 0x10) as usize),
            _ => None,
        }
    }

    /// `*topei` (section 3.10).
    fn topei(&mut self, hart: usize, file: usize, claim: bool) -> u64 {
        let state = &mut self.files[hart][file];
        let id = state.top();
        if claim && id != 0 {
            state.pending[id as usize / 64] &= !(1 << (id % 64));
            self.drive(hart, file);
        }
        u64::from(id << 16 | id)
    }

    /// A register that `*iselect` selects (section 3.9).
    fn indirect(&mut self, hart: usize, file: usize, select: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let state = &mut self.files[hart][file];
        let merge = |old: u64| write.map_or(old, |(value, mask)| old & !mask | value & mask);
        let old = match select {
            EIDELIVERY => {
                let old = u64::from(state.delivery);
                state.delivery = merge(old) & 1 != 0;
                old
            }
            EITHRESHOLD => {
                let old = u64::from(state.threshold);
                state.threshold = merge(old) as u32 & self.config.ids;
                old
            }
            0x80..=0xff => {
                let bits = if select < 0xc0 { &mut state.pending } else { &mut state.enabled };
                let (n, odd) = ((select as usize & 0x3f) / 2, select & 1);
                bits.get_mut(n).map_or(0, |slot| {
                    let old = *slot >> (32 * odd);
                    let low = *slot & ((1 << (32 * odd)) - 1);
                    // There is no identity 0.
                    *slot = (merge(old) << (32 * odd) | low) & !u64::from(n == 0);
                    old
                })
            }
            // Reserved: read-only zero.
            0x71 | 0x73..=0x7f => 0,
            _ => return None,
        };
        if write.is_some() {
            self.drive(hart, file);
        }
        Some(old)
    }
}

impl Device for Imsic {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        let name = if self.config.machine { "riscv.imsic.m" } else { "riscv.imsic.s" };
        let size = |harts: &usize| (*harts as u64) * (PAGE << self.config.guest_bits());
        self.config.groups.iter().map(|harts| Window { name: name.into(), size: size(harts) }).collect()
    }

    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        self.here = window as usize;
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        self.here = window as usize;
        REGS.write(self, &report, offset, size, value);
    }

    fn cpu_register(&mut self, cpu: u32, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let hart = cpu as usize;
        let file = self.file(register >> 16).filter(|_| hart < self.files.len())?;
        match register & 0xffff {
            0x2000 => Some(self.topei(hart, file, write.is_some())),
            what @ 0x1000..=0x10ff => self.indirect(hart, file, what & 0xff, write),
            _ => None,
        }
    }

    fn reset(&mut self) {
        self.files = initial(&self.config, self.lines.len());
        self.here = 0;
        self.lines.iter().flatten().for_each(|line| line.set(false));
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.files)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let files: Vec<Vec<File>> = snapshot::load(PART.name, 1, bytes)?;
        let (harts, per_hart) = (self.lines.len(), self.config.guests as usize + 1);
        let counts = files.len() == harts && files.iter().all(|hart| hart.len() == per_hart);
        snapshot::check(counts, "files", || format!("not {harts} harts of {per_hart} interrupt files"))?;
        let words = self.config.ids as usize / 64 + 1;
        let bits = |bits: &Vec<u64>| bits.len() == words && bits[0] & 1 == 0;
        let fit = files.iter().flatten().all(|f| bits(&f.pending) && bits(&f.enabled));
        snapshot::check(fit, "pending", || format!("not {} identities", self.config.ids))?;
        let thresholds = files.iter().flatten().all(|f| f.threshold <= self.config.ids);
        snapshot::check(thresholds, "threshold", || "no interrupt identity".into())?;
        self.files = files;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    const TOPEI: u32 = 0x2000;
    const ALL: u64 = u64::MAX;

    /// Supervisor level of three harts in two groups with two guest files each: 4 pages a hart; line 3 h + f is file f of
    /// hart h.
    fn device(bench: &mut Bench) -> Imsic {
        let lines = (0..3).map(|_| (0..3).map(|_| bench.line()).collect()).collect();
        Imsic::new(bench.kit("imsic"), ImsicConfig { machine: false, ids: 127, guests: 2, groups: vec![2, 1] }, lines)
    }

    fn select(privilege: u32, iselect: u32) -> u32 {
        privilege << 16 | 0x1000 | iselect
    }

    fn level(line: u32, level: bool) -> Signal {
        Signal::Level(Sink::Cpu { cpu: 0, line }, level)
    }

    /// Enables delivery and all identities of a file.
    fn enable(d: &mut Imsic, cpu: u32, privilege: u32) {
        for iselect in [EIDELIVERY, 0xc0, 0xc2] {
            d.cpu_register(cpu, select(privilege, iselect), Some((ALL, ALL))).unwrap();
        }
    }

    #[test]
    fn a_message_interrupts_its_file_and_is_claimed_by_topei() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        enable(&mut d, 1, 1);
        d.write(0, 0x4000, Size::B4, 100);
        d.write(0, 0x4004, Size::B4, 0x0500_0000);
        assert_eq!((d.read(0, 0x4000, Size::B4), bench.signals()), (0, vec![level(3, true)]));
        let topei = 1 << 16 | TOPEI;
        assert_eq!(d.cpu_register(1, topei, None), Some(5 << 16 | 5));
        assert_eq!(d.cpu_register(1, topei, Some((0, 0))), Some(5 << 16 | 5));
        assert_eq!(d.cpu_register(1, topei, Some((0, ALL))), Some(100 << 16 | 100));
        assert_eq!((d.cpu_register(1, topei, Some((0, ALL))), bench.signals()), (Some(0), vec![level(3, false)]));
        assert_eq!((d.cpu_register(0, topei, None), bench.guest_errors()), (Some(0), 0));
    }

    #[test]
    fn each_page_is_a_file() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(d.windows().iter().map(|w| w.size).collect::<Vec<_>>(), [0x8000, 0x4000]);
        for (cpu, privilege) in [(0, 0x12), (2, 1), (2, 0x11)] {
            enable(&mut d, cpu, privilege);
        }
        d.write(0, 0x2000, Size::B4, 1);
        d.write(1, 0x0000, Size::B4, 2);
        d.write(1, 0x1000, Size::B4, 3);
        assert_eq!(bench.signals(), [level(2, true), level(6, true), level(7, true)]);
        assert_eq!(d.cpu_register(0, 0x12 << 16 | TOPEI, None), Some(0x1_0001));
        assert_eq!(d.cpu_register(2, 1 << 16 | TOPEI, None), Some(0x2_0002));
        assert_eq!(d.cpu_register(2, 0x11 << 16 | TOPEI, None), Some(0x3_0003));
        // The fourth page of a hart, a hart that is not there, identities that are not there.
        for (window, offset, id) in [(0, 0x3000, 1), (1, 0x4000, 1), (0, 0, 0), (0, 0, 128), (0, 8, 1)] {
            d.write(window, offset, Size::B4, id);
        }
        assert_eq!((bench.guest_errors(), bench.signals()), (5, vec![]));
    }

    #[test]
    fn identities_from_the_threshold_on_wait() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        enable(&mut d, 0, 1);
        let threshold = select(1, EITHRESHOLD);
        assert_eq!(d.cpu_register(0, threshold, Some((70, 0xff))), Some(0));
        d.write(0, 0, Size::B4, 70);
        assert_eq!((d.cpu_register(0, 1 << 16 | TOPEI, Some((0, 0))), bench.signals()), (Some(0), vec![]));
        assert_eq!((d.cpu_register(0, threshold, Some((1, 1))), bench.signals()), (Some(70), vec![level(0, true)]));
        assert_eq!(d.cpu_register(0, threshold, Some((0, ALL))), Some(71));
        d.cpu_register(0, select(1, EIDELIVERY), Some((0, 1)));
        assert_eq!(bench.signals(), [level(0, false)]);
    }

    #[test]
    fn registers_are_64_bits_or_their_halves() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        let mut access = |iselect: u32, write| d.cpu_register(0, select(1, iselect), write);
        assert_eq!(access(0x80, Some((ALL, ALL))), Some(0));
        assert_eq!(access(0x80, Some((0, 0xff00))), Some(ALL - 1));
        assert_eq!(access(0x80, Some((0, 1 << 40))), Some(ALL - 0xff01));
        assert_eq!(access(0x81, Some((0, 1))), Some(0xffff_feff));
        assert_eq!(access(0x81, Some((ALL, 0xf))), Some(0xffff_fefe));
        assert_eq!(access(0x80, None), Some(0xffff_feff_ffff_00fe));
        assert_eq!(access(0xc3, Some((0x8000_0000, ALL))), Some(0));
        assert_eq!((access(0xc2, None), access(0xc3, None)), (Some(1 << 63), Some(0x8000_0000)));
        // Identities, registers and files that are not there.
        assert_eq!((access(0x84, Some((ALL, ALL))), access(0x84, None)), (Some(0), Some(0)));
        assert_eq!((access(0x71, Some((ALL, ALL))), access(0x7f, None), access(0x6f, None)), (Some(0), Some(0), None));
        assert_eq!(access(EIDELIVERY, Some((0x4000_0000, ALL))), Some(0));
        assert_eq!(access(EIDELIVERY, None), Some(0));
        for register in [select(3, EIDELIVERY), select(0x10, EIDELIVERY), select(0x13, EIDELIVERY), 1 << 16 | 0x2001] {
            assert_eq!(d.cpu_register(0, register, None), None, "{register:#x}");
        }
        assert_eq!(d.cpu_register(3, select(1, EIDELIVERY), None), None);
    }
}
