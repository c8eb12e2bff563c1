//! The extension table: one row per extension, and the CPU models built from it.

use crate::insn::{Rv, a, c, d, f, m, rv_i, zicsr};
use tern_decode::Group;

/// One extension.
pub(super) struct Ext {
    /// Lower-case name as in ISA strings.
    pub(super) name: &'static str,
    /// What it is, for `tern list`.
    pub(super) about: &'static str,
    /// Extensions that it includes or depends on, separated by blanks.
    pub(super) implies: &'static str,
    /// Switching it off switches off everything that it implies.
    pub(super) umbrella: bool,
    /// XLEN on which alone it exists; 0: any.
    pub(super) xlen: u8,
    /// Bit in `RISCV_HWPROBE_KEY_IMA_EXT_0` (Linux `Documentation/arch/riscv/hwprobe.rst`).
    pub(super) hwprobe: Option<u8>,
    /// Known by name only.
    pub(super) planned: bool,
    /// Instructions.
    pub(super) groups: &'static [&'static Group<Rv>],
    /// Instructions of RV32 only.
    pub(super) rv32: &'static [&'static Group<Rv>],
    /// Instructions of RV64 only.
    pub(super) rv64: &'static [&'static Group<Rv>],
}

const fn ext(name: &'static str, about: &'static str) -> Ext {
    Ext {
        name,
        about,
        implies: "",
        umbrella: false,
        xlen: 0,
        hwprobe: None,
        planned: false,
        groups: &[],
        rv32: &[],
        rv64: &[],
    }
}

impl Ext {
    const fn implies(self, implies: &'static str) -> Ext {
        Ext { implies, ..self }
    }
    const fn umbrella(self, parts: &'static str) -> Ext {
        Ext { implies: parts, umbrella: true, ..self }
    }
    const fn only(self, xlen: u8) -> Ext {
        Ext { xlen, ..self }
    }
    const fn hwprobe(self, bit: u8) -> Ext {
        Ext { hwprobe: Some(bit), ..self }
    }
    const fn planned(self) -> Ext {
        Ext { planned: true, ..self }
    }
    const fn groups(self, groups: &'static [&'static Group<Rv>]) -> Ext {
        Ext { groups, ..self }
    }
    const fn rv32(self, rv32: &'static [&'static Group<Rv>]) -> Ext {
        Ext { rv32, ..self }
    }
    const fn rv64(self, rv64: &'static [&'static Group<Rv>]) -> Ext {
        Ext { rv64, ..self }
    }
}

/// All extensions, at most 128.
pub(super) static EXTENSIONS: &[Ext] = &[
    ext("i", "base integer instructions").groups(&[&rv_i::RV_I]).rv32(&[&rv_i::RV32_I]).rv64(&[&rv_i::RV64_I]),
    ext("m", "multiplication and division").umbrella("zmmul").groups(&[&m::M]).rv64(&[&m::M64]),
    ext("a", "atomics").umbrella("zaamo zalrsc"),
    ext("f", "binary32").implies("zicsr").groups(&[&f::F]).rv64(&[&f::F64]),
    ext("d", "binary64").implies("f").groups(&[&d::DOUBLE]).rv64(&[&d::DOUBLE64]),
    ext("c", "compressed instructions").umbrella("zca").hwprobe(1),
    ext("v", "vectors").planned().hwprobe(2),
    ext("h", "hypervisor").planned(),
    ext("zmmul", "multiplication").groups(&[&m::ZMMUL]).rv64(&[&m::ZMMUL64]),
    ext("zaamo", "atomic memory operations").hwprobe(56).groups(&[&a::ZAAMO]).rv64(&[&a::ZAAMO64]),
    ext("zalrsc", "load-reserved, store-conditional").hwprobe(57).groups(&[&a::ZALRSC]).rv64(&[&a::ZALRSC64]),
    ext("zca", "compressed integer instructions").hwprobe(43).groups(&[&c::ZCA]).rv32(&[&c::ZCA32]).rv64(&[&c::ZCA64]),
    ext("zcd", "compressed binary64 loads and stores").implies("zca d").hwprobe(45).groups(&[&c::ZCD]),
    ext("zcf", "compressed binary32 loads and stores").implies("zca f").only(32).hwprobe(46).groups(&[&c::ZCF]),
    ext("zicntr", "base counters").implies("zicsr").hwprobe(50),
    ext("zicsr", "control and status registers").groups(&[&zicsr::ZICSR]),
    ext("zifencei", "instruction fetch fence").groups(&[&rv_i::ZIFENCEI]),
];

/// A CPU model.
pub(super) struct Model {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// 32 or 64.
    pub(super) xlen: u8,
    /// Its extensions; `*`: everything that is implemented.
    pub(super) exts: &'static str,
}

/// What QEMU's generic CPUs have by default.
const GENERIC: &str = "i m a f d c zicsr zifencei zicntr";

/// All models; the first is the default for its XLEN.
pub(super) static MODELS: &[Model] = &[
    Model { name: "max", about: "RV64 with everything that is implemented", xlen: 64, exts: "*" },
    Model { name: "max32", about: "RV32 with everything that is implemented", xlen: 32, exts: "*" },
    Model { name: "rv64", about: "generic RV64", xlen: 64, exts: GENERIC },
    Model { name: "rv32", about: "generic RV32", xlen: 32, exts: GENERIC },
    Model { name: "rv64i", about: "bare RV64I", xlen: 64, exts: "i" },
    Model { name: "rv32i", about: "bare RV32I", xlen: 32, exts: "i" },
];
