//! The extension table: one row per extension, and the CPU models built from it.

use super::{Machine, Paging};
use crate::insn::{
    Rv, a, c, cbo, d, f, hints, m, rv_i, v_bits, v_config, v_crypto, v_fixed, v_fp, v_int, v_mask, v_mem, v_perm,
    v_reduce, ventana, zabha, zacas, zba, zbb, zbc, zbk, zbs, zcb, zfa, zfh, zicond, zicsr, zk,
};
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
    /// Not among what CPUs have unless they are asked for it.
    pub(super) optional: bool,
    /// Instructions.
    pub(super) groups: &'static [&'static Group<Rv>],
    /// Instructions of RV32 only.
    pub(super) rv32: &'static [&'static Group<Rv>],
    /// Instructions of RV64 only.
    pub(super) rv64: &'static [&'static Group<Rv>],
    /// Instructions that need a second extension, and an XLEN (0: any).
    pub(super) with: &'static [With],
}

/// Second extension, XLEN (0: any), instructions.
pub(super) type With = (&'static str, u8, &'static Group<Rv>);

const fn ext(name: &'static str, about: &'static str) -> Ext {
    Ext {
        name,
        about,
        implies: "",
        umbrella: false,
        xlen: 0,
        hwprobe: None,
        planned: false,
        optional: false,
        groups: &[],
        rv32: &[],
        rv64: &[],
        with: &[],
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
    const fn optional(self) -> Ext {
        Ext { optional: true, ..self }
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
    const fn with(self, with: &'static [With]) -> Ext {
        Ext { with, ..self }
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
    ext("b", "bit manipulation").umbrella("zba zbb zbs"),
    ext("v", "vectors").implies("zve64d zvl128b").optional().hwprobe(2),
    ext("h", "hypervisor").optional(),
    ext("ssccptr", "page tables in main memory").optional(),
    ext("sscounterenw", "counter enables that can be written").optional(),
    ext("sstvala", "trap values of all faults").optional(),
    ext("sstvecd", "direct trap vectors").optional(),
    ext("smaia", "advanced interrupts of machine mode").implies("ssaia").optional(),
    ext("smcntrpmf", "counting by privilege").optional(),
    ext("smepmp", "more physical memory protection").optional(),
    ext("smstateen", "state enables").implies("ssstateen").optional(),
    ext("ssaia", "advanced interrupts of supervisor mode").optional(),
    ext("ssstateen", "state enables of supervisor mode").optional(),
    ext("sstc", "supervisor timer").optional(),
    ext("supm", "pointer masking").planned(),
    ext("svade", "page tables whose accessed and dirty bits fault").optional(),
    ext("svadu", "page tables whose accessed and dirty bits are set").optional(),
    ext("svbare", "no translation is a choice").optional(),
    ext("svinval", "fences of translation in parts").optional(),
    ext("svnapot", "pages of 64 KiB").only(64).optional(),
    ext("svpbmt", "memory types in page tables").only(64).optional(),
    ext("svvptc", "page tables that become valid are seen soon").optional(),
    ext("xventanacondops", "conditional operations of Ventana")
        .only(64)
        .optional()
        .groups(&[&ventana::XVENTANACONDOPS]),
    ext("za128rs", "reservation sets of at most 128 bytes"),
    ext("za64rs", "reservation sets of at most 64 bytes"),
    ext("zaamo", "atomic memory operations").hwprobe(56).groups(&[&a::ZAAMO]).rv64(&[&a::ZAAMO64]),
    ext("zabha", "atomic bytes and halfwords").implies("zaamo").hwprobe(58).groups(&[&zabha::ZABHA]).with(&[(
        "zacas",
        0,
        &zabha::ZABHA_ZACAS,
    )]),
    ext("zacas", "compare and swap")
        .implies("zaamo")
        .hwprobe(34)
        .groups(&[&zacas::ZACAS])
        .rv32(&[&zacas::ZACAS32])
        .rv64(&[&zacas::ZACAS64]),
    ext("zalrsc", "load-reserved, store-conditional").hwprobe(57).groups(&[&a::ZALRSC]).rv64(&[&a::ZALRSC64]),
    ext("zawrs", "wait on reservation set").implies("zalrsc").hwprobe(48).groups(&[&hints::ZAWRS]),
    ext("zba", "address generation").hwprobe(3).groups(&[&zba::ZBA]).rv64(&[&zba::ZBA64]),
    ext("zbb", "basic bit manipulation")
        .hwprobe(4)
        .groups(&[&zbb::ZBB_ZBKB, &zbb::ZBB])
        .rv32(&[&zbb::ZBB_ZBKB32, &zbb::ZBB32])
        .rv64(&[&zbb::ZBB_ZBKB64, &zbb::ZBB64]),
    ext("zbc", "carry-less multiplication").hwprobe(7).groups(&[&zbc::ZBC_ZBKC, &zbc::ZBC]),
    ext("zbkb", "bit manipulation for cryptography")
        .hwprobe(8)
        .groups(&[&zbb::ZBB_ZBKB, &zbk::ZBKB])
        .rv32(&[&zbb::ZBB_ZBKB32, &zbk::ZBKB32])
        .rv64(&[&zbb::ZBB_ZBKB64, &zbk::ZBKB64]),
    ext("zbkc", "carry-less multiplication for cryptography").hwprobe(9).groups(&[&zbc::ZBC_ZBKC]),
    ext("zbkx", "crossbar permutations").hwprobe(10).groups(&[&zbk::ZBKX]),
    ext("zbs", "single-bit operations").hwprobe(5).groups(&[&zbs::ZBS]).rv32(&[&zbs::ZBS32]).rv64(&[&zbs::ZBS64]),
    ext("zca", "compressed integer instructions").hwprobe(43).groups(&[&c::ZCA]).rv32(&[&c::ZCA32]).rv64(&[&c::ZCA64]),
    ext("zcb", "more compressed instructions").implies("zca").hwprobe(44).groups(&[&zcb::ZCB]).with(&[
        ("zba", 64, &zcb::ZCB_ZBA64),
        ("zbb", 0, &zcb::ZCB_ZBB),
        ("zmmul", 0, &zcb::ZCB_ZMMUL),
    ]),
    ext("zcd", "compressed binary64 loads and stores").implies("zca d").hwprobe(45).groups(&[&c::ZCD]),
    ext("zcf", "compressed binary32 loads and stores").implies("zca f").only(32).hwprobe(46).groups(&[&c::ZCF]),
    ext("zcmop", "compressed may-be operations").implies("zca").hwprobe(47).groups(&[&hints::ZCMOP]),
    ext("zfa", "additional floating-point instructions").implies("f").hwprobe(32).groups(&[&zfa::ZFA]).with(&[
        ("d", 0, &zfa::ZFA_D),
        ("d", 32, &zfa::ZFA_D32),
        ("zfh", 0, &zfa::ZFA_H),
    ]),
    ext("zfbfmin", "bfloat16 conversions").implies("f").hwprobe(52).groups(&[&zfh::HALF_MOVES, &zfh::ZFBFMIN]),
    ext("zfh", "binary16").implies("zfhmin").hwprobe(27).groups(&[&zfh::ZFH]).rv64(&[&zfh::ZFH64]),
    ext("zfhmin", "binary16 conversions").implies("f").hwprobe(28).groups(&[&zfh::HALF_MOVES, &zfh::ZFHMIN]).with(&[(
        "d",
        0,
        &zfh::ZFHMIN_D,
    )]),
    ext("zic64b", "cache blocks of 64 bytes"),
    ext("zicbom", "cache-block management").hwprobe(55).groups(&[&cbo::ZICBOM]),
    ext("zicbop", "cache-block prefetch").hwprobe(60).groups(&[&cbo::ZICBOP]),
    ext("zicboz", "cache-block zero").hwprobe(6).groups(&[&cbo::ZICBOZ]),
    ext("ziccamoa", "main memory supports atomics").implies("zaamo"),
    ext("ziccif", "main memory supports instruction fetch"),
    ext("zicclsm", "main memory supports misaligned accesses"),
    ext("ziccrse", "main memory supports eventual success of sc").implies("zalrsc"),
    ext("zicntr", "base counters").implies("zicsr").hwprobe(50),
    ext("zicond", "conditional zero").hwprobe(35).groups(&[&zicond::ZICOND]),
    ext("zicsr", "control and status registers").groups(&[&zicsr::ZICSR]),
    ext("zifencei", "instruction fetch fence").groups(&[&rv_i::ZIFENCEI]),
    ext("zihintntl", "non-temporal locality hints").hwprobe(29).groups(&[&hints::ZIHINTNTL]),
    ext("zihintpause", "pause hint").hwprobe(36).groups(&[&hints::ZIHINTPAUSE]),
    ext("zihpm", "performance counters").implies("zicsr").hwprobe(51),
    ext("zimop", "may-be operations").hwprobe(42).groups(&[&hints::ZIMOP]),
    ext("zk", "NIST algorithms and entropy").planned(),
    ext("zkn", "NIST algorithms").umbrella("zbkb zbkc zbkx zknd zkne zknh"),
    ext("zknd", "AES decryption").hwprobe(11).rv32(&[&zk::ZKND32]).rv64(&[&zk::ZKND64, &zk::ZKNE_ZKND64]),
    ext("zkne", "AES encryption").hwprobe(12).rv32(&[&zk::ZKNE32]).rv64(&[&zk::ZKNE64, &zk::ZKNE_ZKND64]),
    ext("zknh", "SHA-2").hwprobe(13).groups(&[&zk::ZKNH]).rv32(&[&zk::ZKNH32]).rv64(&[&zk::ZKNH64]),
    ext("zks", "ShangMi algorithms").umbrella("zbkb zbkc zbkx zksed zksh"),
    ext("zksed", "SM4").hwprobe(14).groups(&[&zk::ZKSED]),
    ext("zksh", "SM3").hwprobe(15).groups(&[&zk::ZKSH]),
    ext("zkr", "entropy source").planned(),
    ext("zkt", "timing that does not depend on data").hwprobe(16),
    ext("zmmul", "multiplication").groups(&[&m::ZMMUL]).rv64(&[&m::ZMMUL64]),
    ext("zvbb", "vector bit manipulation").implies("zvkb").optional().hwprobe(17).groups(&[&v_bits::ZVBB]),
    ext("zvbc", "vector carry-less multiplication").implies("zve64x").optional().hwprobe(18).groups(&[&v_bits::ZVBC]),
    ext("zvkb", "vector bit manipulation for cryptography")
        .implies("zve32x")
        .optional()
        .hwprobe(19)
        .groups(&[&v_bits::ZVKB]),
    ext("zvkg", "vector GHASH").implies("zve32x").optional().hwprobe(20).groups(&[&v_crypto::ZVKG]),
    ext("zvkn", "vector NIST algorithms").implies("zvkned zvknhb zvkb zvkt").optional(),
    ext("zvknc", "vector NIST algorithms and carry-less multiplication").implies("zvkn zvbc").optional(),
    ext("zvkned", "vector AES").implies("zve32x").optional().hwprobe(21).groups(&[&v_crypto::ZVKNED]),
    ext("zvkng", "vector NIST algorithms and GHASH").implies("zvkn zvkg").optional(),
    ext("zvknha", "vector SHA-256").implies("zve32x").optional().hwprobe(22).groups(&[&v_crypto::ZVKNH]),
    ext("zvknhb", "vector SHA-256 and SHA-512").implies("zve64x").optional().hwprobe(23).groups(&[&v_crypto::ZVKNH]),
    ext("zvks", "vector ShangMi algorithms").implies("zvksed zvksh zvkb zvkt").optional(),
    ext("zvksc", "vector ShangMi algorithms and carry-less multiplication").implies("zvks zvbc").optional(),
    ext("zvksed", "vector SM4").implies("zve32x").optional().hwprobe(24).groups(&[&v_crypto::ZVKSED]),
    ext("zvksg", "vector ShangMi algorithms and GHASH").implies("zvks zvkg").optional(),
    ext("zvksh", "vector SM3").implies("zve32x").optional().hwprobe(25).groups(&[&v_crypto::ZVKSH]),
    ext("zvkt", "vector timing that does not depend on data").implies("zve32x").optional().hwprobe(26),
    ext("zve32f", "vectors of 32-bit elements and binary32").implies("zve32x f").optional().hwprobe(38).groups(&[
        &v_fp::V_FP,
        &v_fp::V_FP_WIDE,
        &v_fp::V_FP_FORMATS,
        &v_reduce::V_REDUCE_FP,
        &v_perm::V_PERM_FP,
    ]),
    ext("zve32x", "vectors of 32-bit elements").implies("zicsr zvl32b").optional().hwprobe(37).groups(&[
        &v_config::V_CONFIG,
        &v_mem::V_LOAD,
        &v_mem::V_STORE,
        &v_int::V_INT,
        &v_int::V_INT_WIDE,
        &v_int::V_INT_MASK,
        &v_fixed::V_FIXED,
        &v_reduce::V_REDUCE,
        &v_mask::V_MASK,
        &v_perm::V_PERM,
    ]),
    ext("zve64d", "vectors of 64-bit elements and binary64").implies("zve64f d").optional().hwprobe(41),
    ext("zve64f", "vectors of 64-bit elements and binary32").implies("zve64x zve32f").optional().hwprobe(40),
    ext("zve64x", "vectors of 64-bit elements").implies("zve32x zvl64b").optional().hwprobe(39),
    ext("zvfh", "vectors of binary16").implies("zvfhmin zfhmin").optional().hwprobe(30),
    ext("zvfhmin", "vector binary16 conversions").implies("zve32f").optional().hwprobe(31),
    ext("zvl1024b", "vector registers of at least 1024 bits").implies("zvl512b").optional(),
    ext("zvl128b", "vector registers of at least 128 bits").implies("zvl64b").optional(),
    ext("zvl256b", "vector registers of at least 256 bits").implies("zvl128b").optional(),
    ext("zvl32b", "vector registers of at least 32 bits").optional(),
    ext("zvl512b", "vector registers of at least 512 bits").implies("zvl256b").optional(),
    ext("zvl64b", "vector registers of at least 64 bits").implies("zvl32b").optional(),
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
    /// What it has besides in a machine.
    pub(super) machine: &'static str,
    /// The rest of a machine's CPU.
    pub(super) unit: Machine,
}

/// A machine's CPU whose largest page tables are these, and which says nothing about itself.
const fn paged(paging: Paging) -> Machine {
    Machine { paging, ..Machine::DEFAULT }
}

/// What the generic CPUs have in a machine.
const GENERIC_MACHINE: &str = "h sstc svadu svvptc";
/// What the largest have.
const MAX_MACHINE: &str = "h smcntrpmf smepmp smstateen ssccptr sscounterenw sstc sstvala sstvecd svadu svbare svinval \
    svvptc";
/// With page tables of RV64.
const MAX_MACHINE64: &str = "h smcntrpmf smepmp smstateen ssccptr sscounterenw sstc sstvala sstvecd svadu svbare \
    svinval svnapot svpbmt svvptc";

/// What QEMU's generic CPUs have by default.
const GENERIC: &str =
    "i m a f d c b zawrs zbc zfa zicbom zicbop zicboz zicntr zihpm zicsr zifencei zihintntl zihintpause";

/// What programs of the 2022 profiles may use.
const RVA22: &str = "i m a f d c b za64rs zfhmin zic64b zicbom zicbop zicboz ziccamoa ziccif zicclsm ziccrse zicntr zicsr \
            zihintpause zihpm zkt";

/// What the cores of SiFive's U series have; counters are there, if only by their firmware.
const SIFIVE_U: &str = "i m a f d c zicntr zicsr zifencei zihpm";

/// All models.  Profiles are those of the RISC-V Profiles manual, with their mandatory extensions.
pub(super) static MODELS: &[Model] = &[
    Model {
        name: "max",
        about: "RV64 with everything that is implemented",
        xlen: 64,
        exts: "*",
        machine: MAX_MACHINE64,
        unit: Machine::DEFAULT,
    },
    Model {
        name: "max32",
        about: "RV32 with everything that is implemented",
        xlen: 32,
        exts: "*",
        machine: MAX_MACHINE,
        unit: Machine::DEFAULT,
    },
    Model {
        name: "rv64",
        about: "generic RV64",
        xlen: 64,
        exts: GENERIC,
        machine: GENERIC_MACHINE,
        unit: Machine::DEFAULT,
    },
    Model {
        name: "rv32",
        about: "generic RV32",
        xlen: 32,
        exts: GENERIC,
        machine: GENERIC_MACHINE,
        unit: Machine::DEFAULT,
    },
    Model { name: "rv64i", about: "bare RV64I", xlen: 64, exts: "i", machine: "", unit: Machine::DEFAULT },
    Model { name: "rv32i", about: "bare RV32I", xlen: 32, exts: "i", machine: "", unit: Machine::DEFAULT },
    Model {
        name: "rva20u64",
        about: "profile RVA20U64",
        xlen: 64,
        exts: "i m a f d c za128rs ziccamoa ziccif zicclsm ziccrse zicntr zicsr",
        machine: "",
        unit: Machine::DEFAULT,
    },
    Model { name: "rva22u64", about: "profile RVA22U64", xlen: 64, exts: RVA22, machine: "", unit: Machine::DEFAULT },
    Model {
        name: "rva22s64",
        about: "profile RVA22S64",
        xlen: 64,
        exts: RVA22,
        machine: "ssccptr sscounterenw sstvala sstvecd svade svbare svinval svpbmt",
        unit: Machine::DEFAULT,
    },
    Model {
        name: "rva23u64",
        about: "profile RVA23U64",
        xlen: 64,
        exts: "i m a f d c b v supm za64rs zawrs zcb zcmop zfa zfhmin zic64b zicbom zicbop zicboz ziccamoa ziccif \
            zicclsm ziccrse zicntr zicond zicsr zihintntl zihintpause zihpm zimop zkt zvbb zvfhmin zvkt",
        machine: "",
        unit: Machine::DEFAULT,
    },
    Model {
        name: "sifive-u54",
        about: "SiFive U54, with the registers of privileged architecture 1.12",
        xlen: 64,
        exts: SIFIVE_U,
        machine: "svade",
        unit: paged(Paging::Sv39),
    },
    Model {
        name: "sifive-u34",
        about: "SiFive's U series with 32 bits, with the registers of privileged architecture 1.12",
        xlen: 32,
        exts: SIFIVE_U,
        machine: "svade",
        unit: paged(Paging::Sv39),
    },
    Model {
        name: "shakti-c",
        about: "SHAKTI C, with the registers of privileged architecture 1.12",
        xlen: 64,
        exts: SIFIVE_U,
        machine: "",
        unit: paged(Paging::Sv39),
    },
    Model {
        name: "xiangshan-nanhu",
        about: "XiangShan Nanhu",
        xlen: 64,
        exts: "i m a f d c b zbc zbkb zbkc zbkx zicntr zicsr zifencei zihpm zknd zkne zknh zksed zksh",
        machine: "svinval",
        unit: paged(Paging::Sv39),
    },
    Model {
        name: "veyron-v1",
        about: "Ventana Veyron V1, without Sscofpmf: performance counters stand still",
        xlen: 64,
        exts: "i m a f d c xventanacondops zba zbb zbc zbs zicbom zicboz zicntr zicsr zifencei zihpm",
        machine: "h smaia smstateen sstc svinval svnapot svpbmt",
        unit: Machine { ids: [0x61f, 0x8000_0000_0001_0000, 0x111], ..paged(Paging::Sv48) },
    },
];
