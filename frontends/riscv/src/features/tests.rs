//! Tests of feature parsing.

use super::*;

fn isa(spec: &str) -> String {
    spec.parse::<Features>().unwrap_or_else(|e| panic!("{spec}: {e}")).isa_string()
}

fn error(spec: &str) -> String {
    match spec.parse::<Features>() {
        Ok(features) => panic!("{spec} gives {features:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn the_table_is_sound() {
    assert!(EXTENSIONS.len() <= 128);
    for (i, e) in EXTENSIONS.iter().enumerate() {
        assert_eq!(index_of(e.name), Some(i), "{} is there twice", e.name);
        assert!(e.name.len() == 1 || e.name.starts_with(['z', 's', 'x']), "{}", e.name);
        let others = e.with.iter().map(|w| w.0).chain(e.implies.split_whitespace());
        others.for_each(|n| assert!(index_of(n).is_some(), "{} names {n}", e.name));
        let bits = EXTENSIONS.iter().filter(|o| e.hwprobe.is_some() && o.hwprobe == e.hwprobe);
        assert!(bits.count() <= 1, "{}: hwprobe bit", e.name);
    }
    for model in MODELS.iter().filter(|m| m.exts != "*") {
        model
            .exts
            .split_whitespace()
            .chain(model.machine.split_whitespace())
            .for_each(|n| assert!(index_of(n).is_some(), "{} names {n}", model.name));
    }
}

#[test]
fn isa_strings_are_read_and_made_canonical() {
    assert_eq!(isa("rv64i"), "rv64i");
    assert_eq!(isa("rv32imac"), "rv32imac_zmmul_zaamo_zalrsc_zca");
    assert_eq!(isa("rv64gc"), "rv64imafdc_zicsr_zifencei_zmmul_zaamo_zalrsc_zca_zcd");
    assert_eq!(isa("rv32gc"), "rv32imafdc_zicsr_zifencei_zmmul_zaamo_zalrsc_zca_zcd_zcf");
    assert_eq!(isa("RV64IMAFDC_Zicsr_Zifencei"), isa("rv64gc"));
    assert_eq!(isa("rv64g_c"), isa("rv64gc"));
    assert_eq!(isa("rv64i2p1m2p0a2f2d2c2_zicsr2p0_zifencei2"), isa("rv64gc"));
    assert_eq!(isa("rv64izba1p0_zbb"), "rv64i_zba_zbb");
    assert_eq!(isa("rv64ib"), "rv64ib_zba_zbb_zbs");
    assert_eq!(isa("rv64i_zkn"), "rv64i_zbkb_zbkc_zbkx_zkn_zknd_zkne_zknh");
    assert_eq!(isa("rv64i_zfh"), "rv64if_zicsr_zfh_zfhmin");
    assert_eq!(isa("rv64i_zacas"), "rv64i_zaamo_zacas");
    for xlen in [32, 64] {
        let all = Features::default_for(xlen);
        assert_eq!(isa(&all.isa_string()), all.isa_string());
    }
}

#[test]
fn properties_switch_extensions() {
    assert_eq!(isa("rv64,v=off,zba=true"), isa("rv64"));
    assert_eq!(isa("rv64i,m=on,zba,+zbb"), "rv64im_zmmul_zba_zbb");
    assert_eq!(isa("rv64gc,c=off"), "rv64imafd_zicsr_zifencei_zmmul_zaamo_zalrsc");
    assert_eq!(isa("rv64gc,c=off,c=on"), isa("rv64gc"));
    assert_eq!(isa("rv64i,g=true,c"), isa("rv64gc"));
    assert_eq!(isa("max"), Features::default_for(64).isa_string());
    assert_eq!(isa("max32"), Features::default_for(32).isa_string());
    // What stands on something that is switched off goes with it.
    let no_d: Features = "max,d=false".parse().unwrap();
    assert!(no_d.has("f") && no_d.has("zfh") && no_d.has("zca") && !no_d.has("d") && !no_d.has("zcd"));
    let no_f: Features = "rv64,f=off".parse().unwrap();
    assert!(!no_f.has("f") && !no_f.has("d") && !no_f.has("zfa") && no_f.has("zicsr"));
    let no_c: Features = "max,-c".parse().unwrap();
    assert!(["c", "zca", "zcb", "zcd", "zcmop"].iter().all(|e| !no_c.has(e)));
    let no_b: Features = "rv64,b=off".parse().unwrap();
    assert!(!no_b.has("zba") && !no_b.has("zbb") && !no_b.has("zbs") && no_b.has("zbc"));
    let all_but_one: Features = "max,zba=off".parse().unwrap();
    assert!(!all_but_one.has("zba") && !all_but_one.has("b") && all_but_one.has("zbb"));
}

#[test]
fn contradictions_and_nonsense_are_refused_in_one_line() {
    assert_eq!(error("rv64,d=on,f=off"), "RISC-V extension `d` needs `f`, which is switched off");
    assert_eq!(error("rv64gc,f=off"), "RISC-V extension `d` needs `f`, which is switched off");
    assert_eq!(error("rv64gc,i=off"), "a RISC-V CPU needs the base extension `i`");
    assert_eq!(error("rv64gc,zcd=off"), "RISC-V extension `c` needs `zcd`, which is switched off");
    assert_eq!(error("rv64gc_zcf"), "RISC-V extension `zcf` exists only on RV32");
    assert_eq!(error("rv64,zkr=on"), "RISC-V extension `zkr` is not implemented");
    assert_eq!(error("rv64,num-pmp-regions=17"), "CPU property `num-pmp-regions` takes 0, 16 or 64, not `17`");
    assert_eq!(error("rv32,svpbmt=on"), "RISC-V extension `svpbmt` exists only on RV64");
    assert_eq!(error("rv64,v=on,vlen=64"), "CPU property `vlen` takes what Zvl*b allow, not `64`");
    assert_eq!(error("rv64,v=on,elen=32"), "CPU property `elen` takes what Zve* allow, not `32`");
    assert_eq!(error("rv32e"), "RISC-V extension `e` is not implemented");
    assert_eq!(error("rv64,zfoo=off"), "unknown RISC-V extension or CPU property `zfoo`");
    assert_eq!(error("rv64,zba=perhaps"), "CPU property `zba` takes on or off, not `perhaps`");
    assert_eq!(error("rv64,vlen=100"), "CPU property `vlen` takes a power of two from 64 to 65536, not `100`");
    assert_eq!(
        error("rv64,mvendorid=0x100000000"),
        "CPU property `mvendorid` takes a number of 32 bits, not `0x100000000`"
    );
    assert_eq!(error("rv64,marchid=x"), "CPU property `marchid` takes a number of 64 bits, not `x`");
    assert_eq!(error("rv32,mimpid=-1"), "CPU property `mimpid` takes a number of 32 bits, not `-1`");
    assert_eq!(error("rv32i_xventanacondops"), "RISC-V extension `xventanacondops` exists only on RV64");
    assert_eq!(error("rv64gc_zfoo"), "cannot read `zfoo` in RISC-V ISA string `rv64gc_zfoo`");
    assert_eq!(error("rv64mc"), "cannot read `mc` in RISC-V ISA string `rv64mc`");
    assert_eq!(error("rv64_zba"), "cannot read `_zba` in RISC-V ISA string `rv64_zba`");
    assert_eq!(error("rv64gc_"), "cannot read `_` in RISC-V ISA string `rv64gc_`");
    assert_eq!(error("rv64i\u{fc}"), "cannot read `\u{fc}` in RISC-V ISA string `rv64i\u{fc}`");
    let unknown = "unknown RISC-V CPU `cortex-a57`: neither a model nor an ISA string such as rv64gc_zba";
    assert_eq!(error("cortex-a57"), unknown);
    assert!(error("").starts_with("unknown RISC-V CPU"));
    assert!(error("rv128gc").starts_with("unknown RISC-V CPU"));
}

#[test]
fn programs_are_told_what_there_is() {
    let cpu: Features = "rv64gc_zba_zicboz,cboz_blocksize=128".parse().unwrap();
    assert_eq!(cpu.hwcap(), 0x112d);
    let value = |key| cpu.hwprobe().iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    assert_eq!(value(3), Some(1), "base behaviour IMA");
    let ext = 1 | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 43 | 1 << 45 | 1 << 56 | 1 << 57;
    assert_eq!(value(4), Some(ext));
    assert_eq!(value(6), Some(128));
    assert_eq!(value(12), Some(0), "no zicbom");
    let bare: Features = "rv64i".parse().unwrap();
    assert_eq!((bare.hwcap(), bare.hwprobe()[3]), (1 << 8, (3, 0)));
}

#[test]
fn vector_cryptography_comes_in_sets() {
    let all: Features = "rv64i,zvknc,zvksg".parse().unwrap();
    let parts = "zvkned zvknhb zvkb zvkt zvbc zvksed zvksh zvkg zvkn zvks zve64x";
    assert!(parts.split(' ').all(|e| all.has(e)) && !all.has("zvknha") && !all.has("zvkng") && !all.has("zve64f"));
    assert!(all.vector().sha512);
    let ext = all.hwprobe().iter().find(|(k, _)| *k == 4).map_or(0, |(_, v)| *v);
    assert_eq!(ext >> 17 & 0x3ff, 0b11_1101_1110, "Zvbc, Zvkb, Zvkg, Zvkned, Zvknhb, Zvksed, Zvksh, Zvkt");
    let small: Features = "rv64i_zvknha_zvks".parse().unwrap();
    assert!(small.has("zve32x") && !small.has("zve64x") && !small.vector().sha512);
    let without: Features = "rv64i,zvkn,zvkned,zvkn=off".parse().unwrap();
    assert!(without.has("zvkned") && without.has("zve32x") && !without.has("zvknhb"));
    assert_eq!(error("rv64i,zvkn,zvkned=off"), "RISC-V extension `zvkn` needs `zvkned`, which is switched off");
}

#[test]
fn models_are_listed_if_they_can_be_had() {
    let names: Vec<_> = Features::models().map(|(name, _)| name).collect();
    assert!(names.contains(&"rva22u64") && names.contains(&"max32") && !names.contains(&"rva23u64"));
    let cpu: Features = "rva22u64".parse().unwrap();
    assert!(["zba", "zicbom", "zfhmin", "zihpm"].iter().all(|e| cpu.has(e)) && !cpu.has("zifencei"));
    assert!(Features::extensions().any(|(name, _)| name == "zacas"));
    assert!(Features::extensions().all(|(name, _)| name != "zkr"));
}

#[test]
fn machines_have_more() {
    let machine = |spec: &str| Features::for_machine(spec).unwrap_or_else(|e| panic!("{spec}: {e}"));
    assert!(machine("rv64").isa_string().starts_with("rv64imafdcbh_"));
    assert!(machine("rv64").isa_string().ends_with("_sstc_svadu_svvptc"));
    assert!(!isa("rv64").contains("sstc") && !machine("rv64gc").has("h"));
    assert!(machine("max").has("svnapot") && !machine("max32").has("svnapot") && machine("max32").has("smstateen"));
    assert!(machine("rva22s64").has("svpbmt"));
    let unit = |spec: &str| machine(spec).privileged();
    let modes = Unit::SV39 | Unit::SV48 | Unit::SV57;
    assert!(unit("rv64").has(modes) && unit("rv32").has(Unit::SV32) && !unit("rv32").any(modes));
    assert!(unit("rv64,sv57=off").has(Unit::SV48) && !unit("rv64,sv57=off").has(Unit::SV57));
    assert!(unit("rv64,sv48=off").has(Unit::SV39) && !unit("rv64,sv48=off").any(Unit::SV48 | Unit::SV57));
    assert!(!unit("rv64,mmu=off").any(modes));
    assert_eq!([unit("rv64").pmp(), unit("rv64,pmp=off").pmp(), unit("rv64,num-pmp-regions=64").pmp()], [16, 0, 64]);
    let types = ["rv64", "rv64,sv57=off", "rv32", "rv64,mmu=off"].map(|spec| machine(spec).mmu_type());
    assert_eq!(types, [Some("riscv,sv57"), Some("riscv,sv48"), Some("riscv,sv32"), None]);
    assert_eq!(machine("rv64,zicbom=off").cache_blocks(), [0, 64, 64]);
}

#[test]
fn cores_that_exist_are_what_they_are() {
    let machine = |spec: &str| Features::for_machine(spec).unwrap_or_else(|e| panic!("{spec}: {e}"));
    let veyron = machine("veyron-v1");
    assert_eq!(veyron.ids(), [0x61f, 0x8000_0000_0001_0000, 0x111]);
    assert_eq!(veyron.mmu_type(), Some("riscv,sv48"));
    assert!(["h", "smaia", "ssaia", "smstateen", "sstc", "svpbmt", "zbc", "zicboz"].iter().all(|e| veyron.has(e)));
    assert!(veyron.isa_string().ends_with("_xventanacondops") && !veyron.has("v") && !veyron.has("zicond"));
    assert_eq!(isa(&veyron.isa_string()), veyron.isa_string());
    assert!(!machine("max").has("xventanacondops"));
    let rest = ["sifive-u54", "shakti-c", "xiangshan-nanhu", "sifive-u34"];
    assert_eq!(
        rest.map(|spec| machine(spec).mmu_type().unwrap_or_default()),
        ["riscv,sv39", "riscv,sv39", "riscv,sv39", "riscv,sv32"]
    );
    assert_eq!(machine("rv32,marchid=0x80000001").ids(), [0, 0xffff_ffff_8000_0001, 0]);
}

#[test]
fn shapes_follow_features() {
    let shape = |spec: &str| spec.parse::<Features>().unwrap().shape();
    assert_eq!(shape("rv64gc"), Shape { xlen: 64, flen: 64, vlen: 0 });
    assert_eq!(shape("rv32if"), Shape { xlen: 32, flen: 32, vlen: 0 });
    assert_eq!(shape("rv32i"), Shape { xlen: 32, flen: 0, vlen: 0 });
}
