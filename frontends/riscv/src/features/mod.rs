//! Which extensions a CPU has: ISA strings, QEMU-style `-cpu` arguments, and what software is told about them.
//!
//! A specification is `BASE[,KEY[=VALUE]]...` where BASE is a model (`rv64`, `max`, `rva22u64`) or an ISA string
//! (`rv64gc_zba_zbb`), KEY an extension (VALUE `true`, `on`, `false`, `off`; none means on) or one of the numbers `vlen`,
//! `elen`, `cbom_blocksize`, `cbop_blocksize`, `cboz_blocksize`, and of machines `num-pmp-regions`, `mvendorid`, `marchid`,
//! `mimpid` (these also in hexadecimal, after `0x`).

mod parse;
mod table;

use crate::insn::{Rv, hypervisor, system};
use crate::privileged::{Unit, letter};
use crate::state::Shape;
use crate::translate::Cpu;
use crate::vector;
use core::fmt;
use table::{EXTENSIONS, Ext, MODELS};
use tern_decode::Group;

/// Why a specification is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeatureError {
    /// No such model, and no ISA string either.
    UnknownModel(String),
    /// No such extension or property.
    Unknown(String),
    /// A property's value is not understood: property, value, what it takes.
    BadValue(String, String, &'static str),
    /// The extension is known but not built.
    NotImplemented(&'static str),
    /// The first extension needs the second, which is switched off.
    Needs(&'static str, &'static str),
    /// The base integer instructions are switched off.
    NoBase,
    /// The extension exists only for another XLEN.
    WrongXlen(&'static str, u8),
    /// The ISA string cannot be read from this part on.
    BadIsaString(String, String),
}

impl fmt::Display for FeatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeatureError::UnknownModel(name) => {
                write!(f, "unknown RISC-V CPU `{name}`: neither a model nor an ISA string such as rv64gc_zba")
            }
            FeatureError::Unknown(name) => write!(f, "unknown RISC-V extension or CPU property `{name}`"),
            FeatureError::BadValue(key, value, takes) => write!(f, "CPU property `{key}` takes {takes}, not `{value}`"),
            FeatureError::NotImplemented(name) => write!(f, "RISC-V extension `{name}` is not implemented"),
            FeatureError::Needs(ext, needs) => {
                write!(f, "RISC-V extension `{ext}` needs `{needs}`, which is switched off")
            }
            FeatureError::NoBase => f.write_str("a RISC-V CPU needs the base extension `i`"),
            FeatureError::WrongXlen(ext, xlen) => write!(f, "RISC-V extension `{ext}` exists only on RV{xlen}"),
            FeatureError::BadIsaString(all, rest) => write!(f, "cannot read `{rest}` in RISC-V ISA string `{all}`"),
        }
    }
}

impl core::error::Error for FeatureError {}

/// A set of extensions, by index in the table.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Set(u128);

impl Set {
    fn has(self, index: usize) -> bool {
        self.0 >> index & 1 != 0
    }
    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }
    fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }
    fn meets(self, other: Set) -> bool {
        self.0 & other.0 != 0
    }
    fn iter(self) -> impl Iterator<Item = usize> {
        (0..EXTENSIONS.len()).filter(move |&i| self.has(i))
    }
}

fn index_of(name: &str) -> Option<usize> {
    EXTENSIONS.iter().position(|e| e.name == name)
}

/// Indices of the names in a blank-separated list of the tables.  A test sees to it that all names exist.
fn list(names: &str) -> Set {
    let mut set = Set::default();
    names.split_whitespace().filter_map(index_of).for_each(|i| set.insert(i));
    set
}

/// The set and all that its members imply.
fn closure(mut set: Set) -> Set {
    loop {
        let before = set;
        before.iter().for_each(|i| set.0 |= list(EXTENSIONS[i].implies).0);
        if set == before {
            return set;
        }
    }
}

/// Features of one CPU: XLEN, a consistent set of extensions, and sizes.
#[derive(Clone, PartialEq, Eq)]
pub struct Features {
    xlen: u8,
    set: Set,
    sizes: Sizes,
    machine: Machine,
}

/// The largest page tables of a machine's CPU; the smaller ones of its XLEN are there too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Paging {
    Bare,
    Sv39,
    Sv48,
    Sv57,
}

/// Properties that matter only to machines, by QEMU's names `mmu`, `sv39`, `sv48`, `sv57`, `pmp`, `num-pmp-regions`,
/// `mvendorid`, `marchid`, `mimpid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Machine {
    paging: Paging,
    pmp: u32,
    /// What the last three read as; 0: nothing that is registered.
    ids: [u64; 3],
}

impl Machine {
    const DEFAULT: Machine = Machine { paging: Paging::Sv57, pmp: Machine::PMP, ids: [0; 3] };
    /// Entries unless it is said otherwise.
    const PMP: u32 = 16;
}

/// Numbers that go with extensions, in bits (`vlen`, `elen`; 0: what the extensions demand) and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sizes {
    vlen: u32,
    elen: u32,
    cbom: u32,
    cbop: u32,
    cboz: u32,
}

impl Sizes {
    const DEFAULT: Sizes = Sizes { vlen: 0, elen: 0, cbom: 64, cbop: 64, cboz: 64 };
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.isa_string(), self.sizes)
    }
}

impl core::str::FromStr for Features {
    type Err = FeatureError;

    fn from_str(text: &str) -> Result<Features, FeatureError> {
        parse::features(text, false)
    }
}

impl Features {
    /// What Linux programs of this XLEN (32 or 64) run on unless told otherwise: everything that is implemented but
    /// vectors.
    #[must_use]
    pub fn default_for(xlen: u8) -> Features {
        Features { xlen, set: everything(xlen), sizes: Sizes::DEFAULT, machine: Machine::DEFAULT }
    }

    /// The CPU of a machine: as parsed, but models have their privileged extensions too.
    ///
    /// # Errors
    /// As for parsing.
    pub fn for_machine(text: &str) -> Result<Features, FeatureError> {
        parse::features(text, true)
    }

    /// 32 or 64.
    #[must_use]
    pub fn xlen(&self) -> u8 {
        self.xlen
    }

    /// Is the extension with this lower-case name on?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        index_of(name).is_some_and(|i| self.set.has(i))
    }

    fn enabled(&self) -> impl Iterator<Item = &'static Ext> {
        self.set.iter().map(|i| &EXTENSIONS[i])
    }

    /// The instruction tables.
    #[must_use]
    pub fn groups(&self) -> Vec<&'static Group<Rv>> {
        let width = |e: &'static Ext| if self.xlen == 32 { e.rv32 } else { e.rv64 };
        let with = |e: &'static Ext| {
            let there = e.with.iter().filter(|(ext, xlen, _)| self.has(ext) && [0, self.xlen].contains(xlen));
            there.map(|(_, _, group)| group)
        };
        let mut groups: Vec<&'static Group<Rv>> = Vec::new();
        for group in self.enabled().flat_map(|e| e.groups.iter().chain(width(e)).chain(with(e))) {
            // Some groups belong to two extensions.
            if !groups.iter().any(|g| core::ptr::eq(*g, *group)) {
                groups.push(group);
            }
        }
        groups
    }

    /// What the state layout depends on.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let flen = if self.has("d") {
            64
        } else if self.has("f") {
            32
        } else {
            0
        };
        Shape { xlen: self.xlen, flen, vlen: self.vlen() }
    }

    /// Vector register width in bits, 0 without vectors.
    #[must_use]
    pub fn vlen(&self) -> u32 {
        match (self.has("zve32x"), self.sizes.vlen) {
            (false, _) => 0,
            (true, 0) => self.least_vlen().max(128),
            (true, vlen) => vlen,
        }
    }

    /// What Zvl*b demand.
    fn least_vlen(&self) -> u32 {
        let named = self.enabled().filter_map(|e| e.name.strip_prefix("zvl")?.strip_suffix('b')?.parse().ok());
        named.max().unwrap_or(0)
    }

    /// Widest vector element in bits.
    fn elen(&self) -> u8 {
        if self.has("zve64x") { 64 } else { 32 }
    }

    /// The vector unit.
    fn vector(&self) -> vector::Unit {
        use vector::Unit;
        let fp = [("zve32f", Unit::F32), ("zve64d", Unit::F64), ("zvfh", Unit::F16), ("zvfhmin", Unit::F16_CONVERT)];
        Unit {
            vlen: self.vlen(),
            elen: self.elen(),
            fp: fp.iter().filter(|(ext, _)| self.has(ext)).fold(0, |bits, (_, bit)| bits | bit),
            full: self.has("v"),
            rv32: self.xlen == 32,
            sha512: self.has("zvknhb"),
        }
    }

    pub(crate) fn cpu(&self) -> Cpu {
        Cpu {
            rv32: self.xlen == 32,
            ialign16: self.has("zca"),
            cboz_bytes: self.sizes.cboz as u16,
            vector: self.vector(),
            csr_f: self.has("f"),
            csr_counters: self.has("zicntr"),
            privileged: Unit::default(),
        }
    }

    /// The instruction tables of a machine's CPU.
    #[must_use]
    pub fn machine_groups(&self) -> Vec<&'static Group<Rv>> {
        let mut groups = self.groups();
        groups.push(&system::SYSTEM);
        if self.has("h") {
            groups.push(&hypervisor::HYPERVISOR);
            if self.xlen == 64 {
                groups.push(&hypervisor::HYPERVISOR64);
            }
        }
        if self.has("svinval") {
            groups.push(&system::SVINVAL);
            if self.has("h") {
                groups.push(&hypervisor::SVINVAL_H);
            }
        }
        groups
    }

    /// The privileged architecture of a machine's CPU.
    #[must_use]
    pub fn privileged(&self) -> Unit {
        const BITS: &[(&str, u64)] = &[
            ("sstc", Unit::SSTC),
            ("svadu", Unit::SVADU),
            ("svade", Unit::SVADE),
            ("svnapot", Unit::SVNAPOT),
            ("svpbmt", Unit::SVPBMT),
            ("smstateen", Unit::SMSTATEEN),
            ("smaia", Unit::SMAIA),
            ("ssaia", Unit::SSAIA),
            ("smepmp", Unit::SMEPMP),
            ("smcntrpmf", Unit::SMCNTRPMF),
            ("zicbom", Unit::ZICBOM),
            ("zicboz", Unit::ZICBOZ),
            ("zicntr", Unit::ZICNTR),
            ("zihpm", Unit::ZIHPM),
            ("zca", Unit::IALIGN16),
        ];
        let mut bits = Unit::MACHINE | letter('s') | letter('u');
        bits |= BITS.iter().filter(|(name, _)| self.has(name)).fold(0, |all, (_, bit)| all | bit);
        bits |= self.enabled().filter(|e| e.name.len() == 1).fold(0, |all, e| all | 1 << (e.name.as_bytes()[0] - b'a'));
        if self.xlen == 32 {
            bits |= Unit::RV32;
        }
        bits |= match (self.xlen, self.machine.paging) {
            (_, Paging::Bare) => 0,
            (32, _) => Unit::SV32,
            (_, Paging::Sv39) => Unit::SV39,
            (_, Paging::Sv48) => Unit::SV39 | Unit::SV48,
            (_, Paging::Sv57) => Unit::SV39 | Unit::SV48 | Unit::SV57,
        };
        Unit::new(bits, self.machine.pmp, self.vlen())
    }

    /// `mvendorid`, `marchid` and `mimpid` of a machine's CPU, as slots hold them.
    #[must_use]
    pub fn ids(&self) -> [u64; 3] {
        self.machine.ids.map(|id| if self.xlen == 32 { id as i32 as u64 } else { id })
    }

    /// The device tree's `mmu-type`; `None`: there is no translation.
    #[must_use]
    pub fn mmu_type(&self) -> Option<&'static str> {
        Some(match (self.xlen, self.machine.paging) {
            (_, Paging::Bare) => return None,
            (32, _) => "riscv,sv32",
            (_, Paging::Sv39) => "riscv,sv39",
            (_, Paging::Sv48) => "riscv,sv48",
            (_, Paging::Sv57) => "riscv,sv57",
        })
    }

    /// Block sizes of `cbo.clean`, prefetches and `cbo.zero` in bytes, for the device tree; 0: there are none.
    #[must_use]
    pub fn cache_blocks(&self) -> [u32; 3] {
        let size = |ext: &str, bytes: u32| if self.has(ext) { bytes } else { 0 };
        [size("zicbom", self.sizes.cbom), size("zicbop", self.sizes.cbop), size("zicboz", self.sizes.cboz)]
    }

    /// The canonical ISA string: single letters, then the rest by category and alphabet (unprivileged manual, "ISA
    /// Extension Naming Conventions").
    #[must_use]
    pub fn isa_string(&self) -> String {
        const ORDER: &str = "imafdqlcbkjtpvh";
        let rank = |c: Option<char>| c.and_then(|c| ORDER.find(c)).unwrap_or(ORDER.len());
        let mut names: Vec<&str> = self.enabled().map(|e| e.name).collect();
        names.sort_by_key(|n| {
            let mut chars = n.chars();
            let first = chars.next();
            match first {
                _ if n.len() == 1 => (0, rank(first), ""),
                Some('s') => (2, 0, *n),
                Some('x') => (3, 0, *n),
                _ => (1, rank(chars.next()), *n),
            }
        });
        let mut out = format!("rv{}", self.xlen);
        for name in names {
            if name.len() > 1 {
                out.push('_');
            }
            out.push_str(name);
        }
        out
    }

    /// The auxiliary vector's `AT_HWCAP`: one bit per single-letter extension that Linux reports.
    #[must_use]
    pub fn hwcap(&self) -> u64 {
        let letters = self.enabled().filter(|e| e.name.len() == 1 && "imafdcv".contains(e.name));
        letters.flat_map(|e| e.name.bytes()).fold(0, |bits, c| bits | 1 << (c - b'a'))
    }

    /// Pairs of `riscv_hwprobe` keys and values that depend on the CPU alone (Linux
    /// `Documentation/arch/riscv/hwprobe.rst`); other keys are the caller's.
    #[must_use]
    pub fn hwprobe(&self) -> Vec<(i64, u64)> {
        let mut ext = self.enabled().filter_map(|e| e.hwprobe).fold(0, |bits, b| bits | 1u64 << b);
        if self.has("d") {
            // RISCV_HWPROBE_IMA_FD: both F and D.
            ext |= 1;
        }
        let base = u64::from(["i", "m", "a"].iter().all(|e| self.has(e)));
        let size = |ext: &str, bytes: u32| if self.has(ext) { u64::from(bytes) } else { 0 };
        const FAST: u64 = 3;
        vec![
            (0, 0),
            (1, 0),
            (2, 0),
            (3, base),
            (4, ext),
            (5, FAST),
            (6, size("zicboz", self.sizes.cboz)),
            (8, crate::TIMEBASE_HZ),
            (9, FAST),
            (12, size("zicbom", self.sizes.cbom)),
            (15, size("zicbop", self.sizes.cbop)),
        ]
    }

    /// Names and descriptions of all models that can be chosen.
    pub fn models() -> impl Iterator<Item = (&'static str, &'static str)> {
        MODELS.iter().filter(|m| m.name.parse::<Features>().is_ok()).map(|m| (m.name, m.about))
    }

    /// Names and descriptions of all implemented extensions.
    pub fn extensions() -> impl Iterator<Item = (&'static str, &'static str)> {
        EXTENSIONS.iter().filter(|e| !e.planned).map(|e| (e.name, e.about))
    }
}

/// Every implemented extension of this XLEN that is not optional.
fn everything(xlen: u8) -> Set {
    let mut set = Set::default();
    for (i, e) in EXTENSIONS.iter().enumerate() {
        if !e.planned && !e.optional && (e.xlen == 0 || e.xlen == xlen) {
            set.insert(i);
        }
    }
    set
}

#[cfg(test)]
mod tests;
