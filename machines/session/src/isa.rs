//! The list of guest ISAs: one row each.

use crate::ident::Ident;
use core::fmt;
use std::rc::Rc;
use tern_core::frontend::Frontend;
#[cfg(any(feature = "riscv32", feature = "riscv64"))]
use tern_core::mem::Endian;
use tern_decode::Assembler;

/// A frontend with fixed features.
#[derive(Clone)]
pub struct Cpu {
    /// Translator, layout, disassembler.
    pub frontend: Rc<dyn Frontend>,
    /// Its extensions as the ISA writes them (`rv64imafdc_zba_zbb`).
    pub isa_string: String,
    /// `AT_HWCAP` and `AT_HWCAP2` of Linux programs.
    pub hwcap: [u64; 2],
    /// Pairs of key and value that Linux's probing system call gives, where the ISA has one (`riscv_hwprobe`).
    pub probe: Vec<(i64, u64)>,
    /// What the device tree of a machine says about its page tables (`mmu-type` of RISC-V).
    pub mmu: Option<&'static str>,
    /// Sizes in bytes of the blocks that the device tree of a machine names, 0 for those that are not there (RISC-V:
    /// `cbom`, `cbop`, `cboz`).
    pub cache_blocks: [u32; 3],
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cpu").field(&self.isa_string).finish()
    }
}

/// A guest ISA.
pub struct Isa {
    /// Name on command lines (`riscv64`); QEMU's suffix of `qemu-`.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Machine, class and byte order in ELF headers.
    pub elf: Ident,
    /// `e_flags` of files that tern makes.
    pub elf_flags: u32,
    /// What `--cpu` is without the option.
    pub default_cpu: &'static str,
    /// Names and descriptions of the CPU models.
    pub models: fn() -> Vec<(&'static str, &'static str)>,
    /// Names and descriptions of what can be switched in a CPU's specification.
    pub properties: fn() -> Vec<(&'static str, &'static str)>,
    make: fn(&str) -> Result<Cpu, String>,
    machine: fn(&str) -> Result<Cpu, String>,
    assemble: fn(&str) -> Result<Assembler, String>,
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Isa").field(&self.name).finish()
    }
}

/// A CPU specification that an ISA refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CpuError {
    /// The ISA.
    pub isa: &'static str,
    /// The specification.
    pub cpu: String,
    /// Why, in one line.
    pub reason: String,
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--cpu {}: {}", self.cpu, self.reason)
    }
}

impl core::error::Error for CpuError {}

impl Isa {
    /// The CPU of a specification, the default one without.
    ///
    /// # Errors
    /// A specification that names no CPU of this ISA.
    pub fn cpu(&self, spec: Option<&str>) -> Result<Cpu, CpuError> {
        let spec = spec.unwrap_or(self.default_cpu);
        (self.make)(spec).map_err(|reason| self.refuse(spec, reason))
    }

    /// The CPU of a machine, with its privileged side.
    ///
    /// # Errors
    /// As [`Isa::cpu`].
    pub fn machine(&self, spec: Option<&str>) -> Result<Cpu, CpuError> {
        let spec = spec.unwrap_or(self.default_cpu);
        (self.machine)(spec).map_err(|reason| self.refuse(spec, reason))
    }

    /// The assembler for the instructions that such a CPU has.
    ///
    /// # Errors
    /// As [`Isa::cpu`].
    pub fn assembler(&self, spec: Option<&str>) -> Result<Assembler, CpuError> {
        let spec = spec.unwrap_or(self.default_cpu);
        (self.assemble)(spec).map_err(|reason| self.refuse(spec, reason))
    }

    fn refuse(&self, spec: &str, reason: String) -> CpuError {
        CpuError { isa: self.name, cpu: spec.to_owned(), reason }
    }
}

/// Every guest ISA that this build has.
pub static ALL: &[Isa] = &[
    #[cfg(feature = "riscv32")]
    Isa {
        name: "riscv32",
        aliases: &["rv32"],
        elf: Ident { machine: 243, is64: false, endian: Endian::Little },
        elf_flags: riscv::FLAGS,
        default_cpu: "max32",
        models: || riscv::models(32),
        properties: riscv::properties,
        make: |spec| riscv::cpu(32, spec),
        machine: |spec| riscv::machine(32, spec),
        assemble: |spec| riscv::assembler(32, spec),
    },
    #[cfg(feature = "riscv64")]
    Isa {
        name: "riscv64",
        aliases: &["rv64"],
        elf: Ident { machine: 243, is64: true, endian: Endian::Little },
        elf_flags: riscv::FLAGS,
        default_cpu: "max",
        models: || riscv::models(64),
        properties: riscv::properties,
        make: |spec| riscv::cpu(64, spec),
        machine: |spec| riscv::machine(64, spec),
        assemble: |spec| riscv::assembler(64, spec),
    },
];

/// The ISA with this name or alias.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Isa> {
    ALL.iter().find(|i| i.name == name || i.aliases.contains(&name))
}

/// The ISA that runs such ELF files.
#[must_use]
pub fn by_ident(ident: Ident) -> Option<&'static Isa> {
    ALL.iter().find(|i| i.elf == ident)
}

/// The names of all ISAs, for messages.
#[must_use]
pub fn names() -> String {
    let names: Vec<&str> = ALL.iter().map(|i| i.name).collect();
    if names.is_empty() { "no guest ISA".to_owned() } else { names.join(", ") }
}

#[cfg(any(feature = "riscv32", feature = "riscv64"))]
mod riscv {
    use super::Cpu;
    use std::rc::Rc;
    use tern_decode::Assembler;
    use tern_riscv::{FeatureError, Features, Riscv};

    /// `EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE`.
    pub(super) const FLAGS: u32 = 5;

    /// Reads a specification, for programs or for machines.
    type Read = fn(&str) -> Result<Features, FeatureError>;

    /// QEMU's generic model `any` has been renamed to `max` there; both names mean everything that is built.
    fn features(xlen: u8, spec: &str, read: Read) -> Result<Features, String> {
        let (base, rest) = spec.split_once(',').map_or((spec, None), |(b, r)| (b, Some(r)));
        let base = match (base, xlen) {
            ("any" | "max", 32) => "max32",
            ("any", _) => "max",
            (base, _) => base,
        };
        let spec = rest.map_or_else(|| base.to_owned(), |rest| format!("{base},{rest}"));
        let features = read(&spec).map_err(|e| e.to_string())?;
        if features.xlen() != xlen {
            return Err(format!("this is a CPU with {} bits, the program has {xlen}", features.xlen()));
        }
        Ok(features)
    }

    pub(super) fn cpu(xlen: u8, spec: &str) -> Result<Cpu, String> {
        Ok(with(features(xlen, spec, str::parse)?, Riscv::new))
    }

    pub(super) fn machine(xlen: u8, spec: &str) -> Result<Cpu, String> {
        Ok(with(features(xlen, spec, Features::for_machine)?, Riscv::machine))
    }

    fn with(features: Features, make: fn(Features) -> Riscv) -> Cpu {
        let isa_string = features.isa_string();
        let (hwcap, probe) = ([features.hwcap(), 0], features.hwprobe());
        let (mmu, cache_blocks) = (features.mmu_type(), features.cache_blocks());
        Cpu { frontend: Rc::new(make(features)), isa_string, hwcap, probe, mmu, cache_blocks }
    }

    pub(super) fn assembler(xlen: u8, spec: &str) -> Result<Assembler, String> {
        Ok(Riscv::new(features(xlen, spec, str::parse)?).assembler())
    }

    pub(super) fn models(xlen: u8) -> Vec<(&'static str, &'static str)> {
        let fits = |name: &str| name.parse::<Features>().is_ok_and(|f| f.xlen() == xlen);
        Features::models().filter(|(name, _)| fits(name)).collect()
    }

    pub(super) fn properties() -> Vec<(&'static str, &'static str)> {
        Features::extensions().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identities_are_unique_and_defaults_exist() {
        for (n, isa) in ALL.iter().enumerate() {
            assert_eq!(ALL.iter().position(|i| i.elf == isa.elf), Some(n), "{}", isa.name);
            for name in isa.aliases.iter().chain([&isa.name]) {
                assert!(core::ptr::eq(by_name(name).unwrap(), isa), "{name}");
            }
            assert!(isa.cpu(None).is_ok() && isa.assembler(None).is_ok(), "{}", isa.name);
            let machine = isa.machine(None).unwrap();
            assert!(machine.frontend.system().is_some() && machine.mmu.is_some(), "{}", isa.name);
            for (model, _) in (isa.models)() {
                isa.cpu(Some(model)).unwrap();
            }
            assert!(!(isa.models)().is_empty() && !(isa.properties)().is_empty());
        }
    }

    #[cfg(all(feature = "riscv32", feature = "riscv64"))]
    #[test]
    fn a_cpu_of_another_width_is_refused() {
        let error = by_name("riscv64").unwrap().cpu(Some("rv32gc")).unwrap_err();
        assert_eq!(error.to_string(), "--cpu rv32gc: this is a CPU with 32 bits, the program has 64");
        assert!(by_name("riscv64").unwrap().cpu(Some("nonsense")).is_err());
        assert!(by_name("riscv32").unwrap().cpu(Some("any")).is_ok());
    }

    #[cfg(feature = "riscv64")]
    #[test]
    fn what_is_assembled_is_disassembled() {
        let isa = by_name("riscv64").unwrap();
        let code = isa.assembler(None).unwrap().assemble("li a0, 5\nmv a1, a0\necall", 0x1000).unwrap();
        let frontend = isa.cpu(None).unwrap().frontend;
        let mut at = 0;
        let mut lines = Vec::new();
        while let Some((line, len)) = frontend.disassemble(&code[at..], 0x1000 + at as u64, 0) {
            lines.push(line);
            at += len;
        }
        assert_eq!(lines, ["li a0, 5", "mv a1, a0", "ecall"]);
    }
}
