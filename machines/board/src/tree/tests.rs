//! The trees of the boards, against what QEMU 7.2 and 10.0 say with `-machine dumpdtb`, written down by hand.

use super::*;
use crate::config::{BoardConfig, BoardOptions};
use crate::{spike, virt};

fn facts(smp: Smp) -> Facts {
    let isa = "rv64imafdch_zicbom_zicbop_zicboz_zicsr_sstc".to_owned();
    let names = ["riscv-virtio,qemu", "riscv-virtio"];
    Facts {
        names,
        smp,
        isa,
        mmu: Some("riscv,sv57"),
        cache_blocks: [64; 3],
        supervised: false,
        seed: [7; 32],
        iommu: None,
        platform: Vec::new(),
    }
}

fn virt_tree(smp: Smp, options: BoardOptions, supervised: bool) -> Tree {
    let config = BoardConfig { smp, options, memory: 0x800_0000, ..BoardConfig::new("riscv64/virt") };
    tree(&virt::parts(&config, true), &Facts { supervised, ..facts(smp) })
}

fn options(aia: Aia, aclint: bool, aia_guests: u8) -> BoardOptions {
    BoardOptions { aia, aclint, aia_guests, ..BoardOptions::default() }
}

fn cpus(n: u32) -> Smp {
    Smp { cpus: n, sockets: 1, cores: n, threads: 1 }
}

/// Source text of a node, without its name, one property a word group.
fn node(tree: &Tree, path: &str) -> String {
    let node = tree.root.find(path).unwrap_or_else(|| panic!("{path} in {}", tree.text()));
    let text =
        Tree { root: Node { children: Vec::new(), name: String::new(), ..node.clone() }, ..Tree::default() }.text();
    let lines: Vec<&str> = text.lines().skip(3).map(str::trim).filter(|l| *l != "};").collect();
    lines.join(" ")
}

#[test]
fn virt_has_qemus_nodes() {
    let tree = virt_tree(cpus(1), BoardOptions::default(), false);
    let plic =
        u32::from_be_bytes(*tree.root.find("soc/plic@c000000").unwrap().get("phandle").unwrap().first_chunk().unwrap());
    let intc = 2;
    let test = tree.root.find("soc/test@100000").unwrap().get("phandle").unwrap()[3];
    let expected = [
        ("", "#address-cells = <0x2>; #size-cells = <0x2>; model = \"riscv-virtio,qemu\"; compatible = \"riscv-virtio\";".to_owned()),
        ("memory@80000000", "reg = <0x0 0x80000000 0x0 0x8000000>; device_type = \"memory\";".to_owned()),
        ("fw-cfg@10100000", "reg = <0x0 0x10100000 0x0 0x18>; compatible = \"qemu,fw-cfg-mmio\"; dma-coherent;".to_owned()),
        (
            "flash@20000000",
            "reg = <0x0 0x20000000 0x0 0x2000000 0x0 0x22000000 0x0 0x2000000>; compatible = \"cfi-flash\"; bank-width = <0x4>;".to_owned(),
        ),
        ("poweroff", format!("compatible = \"syscon-poweroff\"; value = <0x5555>; offset = <0x0>; regmap = <{test:#x}>;")),
        ("reboot", format!("compatible = \"syscon-reboot\"; value = <0x7777>; offset = <0x0>; regmap = <{test:#x}>;")),
        (
            "platform-bus@4000000",
            format!("compatible = \"qemu,platform\", \"simple-bus\"; #address-cells = <0x1>; #size-cells = <0x1>; \
                ranges = <0x0 0x0 0x4000000 0x2000000>; interrupt-parent = <{plic:#x}>;"),
        ),
        (
            "chosen",
            format!("rng-seed = <{}>; stdout-path = \"/soc/serial@10000000\";", ["0x7070707"; 8].join(" ")),
        ),
        ("aliases", "serial0 = \"/soc/serial@10000000\";".to_owned()),
        ("cpus", "#address-cells = <0x1>; #size-cells = <0x0>; timebase-frequency = <0x989680>;".to_owned()),
        (
            "cpus/cpu@0",
            "device_type = \"cpu\"; reg = <0x0>; status = \"okay\"; compatible = \"riscv\"; \
             riscv,isa = \"rv64imafdch_zicbom_zicbop_zicboz_zicsr_sstc\"; riscv,isa-base = \"rv64i\"; \
             riscv,isa-extensions = \"i\", \"m\", \"a\", \"f\", \"d\", \"c\", \"h\", \"zicbom\", \"zicbop\", \"zicboz\", \"zicsr\", \"sstc\"; \
             mmu-type = \"riscv,sv57\"; riscv,cbom-block-size = <0x40>; riscv,cbop-block-size = <0x40>; \
             riscv,cboz-block-size = <0x40>; phandle = <0x1>;"
                .to_owned(),
        ),
        (
            "cpus/cpu@0/interrupt-controller",
            format!("compatible = \"riscv,cpu-intc\"; interrupt-controller; #interrupt-cells = <0x1>; phandle = <{intc:#x}>;"),
        ),
        ("cpus/cpu-map/cluster0/core0", "cpu = <0x1>;".to_owned()),
        ("soc", "#address-cells = <0x2>; #size-cells = <0x2>; compatible = \"simple-bus\"; ranges;".to_owned()),
        (
            "soc/rtc@101000",
            format!("reg = <0x0 0x101000 0x0 0x1000>; compatible = \"google,goldfish-rtc\"; interrupts = <0xb>; interrupt-parent = <{plic:#x}>;"),
        ),
        (
            "soc/serial@10000000",
            format!("reg = <0x0 0x10000000 0x0 0x100>; compatible = \"ns16550a\"; interrupts = <0xa>; \
                interrupt-parent = <{plic:#x}>; clock-frequency = <0x384000>;"),
        ),
        (
            "soc/test@100000",
            format!("reg = <0x0 0x100000 0x0 0x1000>; compatible = \"sifive,test1\", \"sifive,test0\", \"syscon\"; phandle = <{test:#x}>;"),
        ),
        (
            "soc/virtio_mmio@10001000",
            format!("reg = <0x0 0x10001000 0x0 0x1000>; compatible = \"virtio,mmio\"; interrupts = <0x1>; interrupt-parent = <{plic:#x}>;"),
        ),
        (
            "soc/virtio_mmio@10008000",
            format!("reg = <0x0 0x10008000 0x0 0x1000>; compatible = \"virtio,mmio\"; interrupts = <0x8>; interrupt-parent = <{plic:#x}>;"),
        ),
        (
            "soc/plic@c000000",
            format!("reg = <0x0 0xc000000 0x0 0x600000>; compatible = \"sifive,plic-1.0.0\", \"riscv,plic0\"; interrupt-controller; \
                #interrupt-cells = <0x1>; #address-cells = <0x0>; interrupts-extended = <{intc:#x} 0xb {intc:#x} 0x9>; \
                riscv,ndev = <0x5f>; phandle = <{plic:#x}>;"),
        ),
        (
            "soc/clint@2000000",
            format!("reg = <0x0 0x2000000 0x0 0x10000>; compatible = \"sifive,clint0\", \"riscv,clint0\"; \
                interrupts-extended = <{intc:#x} 0x3 {intc:#x} 0x7>;"),
        ),
    ];
    for (path, text) in expected {
        assert_eq!(node(&tree, path), text, "{path}");
    }
    assert_eq!(tree.root.find("soc").unwrap().children.len(), 14);
}

#[test]
fn virt_has_qemus_pci() {
    let tree = virt_tree(cpus(1), BoardOptions::default(), false);
    let plic = tree.root.find("soc/plic@c000000").unwrap().get("phandle").unwrap()[3];
    let rows = [
        (0, [0x20, 0x21, 0x22, 0x23]),
        (0x800, [0x21, 0x22, 0x23, 0x20]),
        (0x1000, [0x22, 0x23, 0x20, 0x21]),
        (0x1800, [0x23, 0x20, 0x21, 0x22]),
    ];
    let map: Vec<String> = rows
        .iter()
        .flat_map(|(slot, irqs)| {
            (1..).zip(irqs).map(move |(pin, irq)| format!("{slot:#x} 0x0 0x0 {pin:#x} {plic:#x} {irq:#x}"))
        })
        .collect();
    let expected = format!(
        "reg = <0x0 0x30000000 0x0 0x10000000>; compatible = \"pci-host-ecam-generic\"; device_type = \"pci\"; dma-coherent; \
         #address-cells = <0x3>; #size-cells = <0x2>; #interrupt-cells = <0x1>; bus-range = <0x0 0xff>; linux,pci-domain = <0x0>; \
         ranges = <0x1000000 0x0 0x0 0x0 0x3000000 0x0 0x10000 0x2000000 0x0 0x40000000 0x0 0x40000000 0x0 0x40000000 \
         0x3000000 0x4 0x0 0x4 0x0 0x4 0x0>; interrupt-map = <{}>; interrupt-map-mask = <0x1800 0x0 0x0 0x7>;",
        map.join(" ")
    );
    assert_eq!(node(&tree, "soc/pci@30000000"), expected);
}

#[test]
fn the_window_above_4_gib_follows_ram() {
    let high = |memory, is64| {
        let config = BoardConfig { memory, ..BoardConfig::new("riscv64/virt") };
        virt::parts(&config, is64).find(Kind::Pcie).unwrap().at[3]
    };
    assert_eq!(high(1 << 30, true), Range::new(16 << 30, 16 << 30));
    assert_eq!(high(14 << 30, true), Range::new(16 << 30, 16 << 30));
    assert_eq!(high((14 << 30) + 1, true), Range::new(32 << 30, 16 << 30));
    assert_eq!(high(1 << 30, false), Range::new(0x3_0000_0000, 4 << 30));
}

fn cells(tree: &Tree, path: &str, name: &str) -> Vec<u32> {
    let value =
        tree.root.find(path).unwrap_or_else(|| panic!("{path}")).get(name).unwrap_or_else(|| panic!("{path} {name}"));
    value.as_chunks::<4>().0.iter().map(|c| u32::from_be_bytes(*c)).collect()
}

#[test]
fn messages_take_the_place_of_wires() {
    let tree = virt_tree(cpus(2), options(Aia::AplicImsic, false, 3), false);
    let intc = |n| cells(&tree, &format!("cpus/cpu@{n}/interrupt-controller"), "phandle")[0];
    let (m, s) = ("soc/interrupt-controller@24000000", "soc/interrupt-controller@28000000");
    assert_eq!(cells(&tree, m, "reg"), [0, 0x2400_0000, 0, 0x2000]);
    assert_eq!(cells(&tree, s, "reg"), [0, 0x2800_0000, 0, 0x8000]);
    assert_eq!(cells(&tree, m, "interrupts-extended"), [intc(0), 11, intc(1), 11]);
    assert_eq!(cells(&tree, s, "interrupts-extended"), [intc(0), 9, intc(1), 9]);
    assert_eq!((cells(&tree, s, "riscv,num-ids"), cells(&tree, s, "riscv,guest-index-bits")), (vec![255], vec![2]));
    assert!(tree.root.find(m).unwrap().get("riscv,guest-index-bits").is_none());
    let (root, child) = ("soc/interrupt-controller@c000000", "soc/interrupt-controller@d000000");
    let handle = cells(&tree, child, "phandle")[0];
    assert_eq!(cells(&tree, root, "msi-parent"), cells(&tree, m, "phandle"));
    assert_eq!(cells(&tree, child, "msi-parent"), cells(&tree, s, "phandle"));
    assert_eq!(cells(&tree, root, "riscv,delegation"), [handle, 1, 96]);
    assert_eq!(cells(&tree, root, "riscv,children"), [handle]);
    assert_eq!(cells(&tree, child, "riscv,num-sources"), [96]);
    assert_eq!(cells(&tree, child, "reg"), [0, 0xd00_0000, 0, 0x8000]);
    assert_eq!(cells(&tree, "soc/serial@10000000", "interrupts"), [10, 4]);
    assert_eq!(cells(&tree, "soc/serial@10000000", "interrupt-parent"), [handle]);
    assert_eq!(cells(&tree, "soc/pci@30000000", "msi-parent"), cells(&tree, s, "phandle"));
    assert_eq!(cells(&tree, "soc/pci@30000000", "interrupt-map")[..7], [0, 0, 0, 1, handle, 32, 4]);
    assert!(tree.root.find("soc/plic@c000000").is_none());
}

#[test]
fn wired_aplic_and_aclint() {
    let tree = virt_tree(cpus(2), options(Aia::Aplic, true, 0), false);
    let intc = |n| cells(&tree, &format!("cpus/cpu@{n}/interrupt-controller"), "phandle")[0];
    let harts = |line| vec![intc(0), line, intc(1), line];
    assert_eq!(cells(&tree, "soc/interrupt-controller@c000000", "interrupts-extended"), harts(11));
    assert_eq!(cells(&tree, "soc/interrupt-controller@d000000", "interrupts-extended"), harts(9));
    assert_eq!(cells(&tree, "soc/mswi@2000000", "interrupts-extended"), harts(3));
    assert_eq!(cells(&tree, "soc/mswi@2000000", "reg"), [0, 0x200_0000, 0, 0x4000]);
    assert_eq!(cells(&tree, "soc/mtimer@2004000", "interrupts-extended"), harts(7));
    assert_eq!(cells(&tree, "soc/mtimer@2004000", "reg"), [0, 0x200_bff8, 0, 0x4008, 0, 0x200_4000, 0, 0x7ff8]);
    assert_eq!(cells(&tree, "soc/sswi@2f00000", "interrupts-extended"), harts(1));
    assert!(tree.root.find("soc/clint@2000000").is_none());
    let tree = virt_tree(cpus(1), options(Aia::AplicImsic, true, 0), false);
    assert_eq!(cells(&tree, "soc/mtimer@2000000", "reg"), [0, 0x200_7ff8, 0, 8, 0, 0x200_0000, 0, 0x7ff8]);
    assert!(tree.root.find("soc/mswi@2000000").is_none() && tree.root.find("soc/sswi@2f00000").is_none());
}

#[test]
fn the_built_in_sbi_keeps_machine_mode_to_itself() {
    let tree = virt_tree(cpus(1), BoardOptions::default(), true);
    assert_eq!(cells(&tree, "soc/plic@c000000", "interrupts-extended"), [2, u32::MAX, 2, 9]);
    assert_eq!(tree.root.find("soc/clint@2000000").unwrap().get("status"), Some(&b"disabled\0"[..]));
    let tree = virt_tree(cpus(1), options(Aia::AplicImsic, false, 0), true);
    for (path, disabled) in [("c000000", true), ("d000000", false), ("24000000", true), ("28000000", false)] {
        let status = tree.root.find(&format!("soc/interrupt-controller@{path}")).unwrap().get("status");
        assert_eq!(status.is_some(), disabled, "{path}");
    }
}

#[test]
fn topology() {
    let tree = virt_tree(Smp { cpus: 8, sockets: 2, cores: 2, threads: 2 }, BoardOptions::default(), false);
    let cpu = |n| cells(&tree, &format!("cpus/cpu@{n}"), "phandle");
    assert_eq!(cells(&tree, "cpus/cpu-map/socket0/cluster0/core0/thread1", "cpu"), cpu(1));
    assert_eq!(cells(&tree, "cpus/cpu-map/socket1/cluster0/core1/thread0", "cpu"), cpu(6));
    let tree = virt_tree(cpus(12), BoardOptions::default(), false);
    assert_eq!(cells(&tree, "cpus/cpu-map/cluster0/core11", "cpu"), cells(&tree, "cpus/cpu@b", "phandle"));
    assert_eq!(cells(&tree, "soc/plic@c000000", "interrupts-extended").len(), 48);
}

#[test]
fn phandles_are_unique() {
    for aia in [Aia::None, Aia::Aplic, Aia::AplicImsic] {
        let tree = virt_tree(cpus(4), options(aia, true, 1), false);
        let mut handles = Vec::new();
        let mut stack = vec![&tree.root];
        while let Some(node) = stack.pop() {
            handles.extend(node.get("phandle").map(<[u8]>::to_vec));
            stack.extend(&node.children);
        }
        let all = handles.len();
        handles.sort_unstable();
        handles.dedup();
        assert_eq!(handles.len(), all);
        assert_eq!(Tree::parse(&tree.blob()), Ok(tree));
    }
}

#[test]
fn spike_has_qemus_nodes() {
    let config = BoardConfig { memory: 0x800_0000, ..BoardConfig::new("riscv64/spike") };
    let names = ["ucbbar,spike-bare,qemu", "ucbbar,spike-bare-dev"];
    let tree = tree(&spike::parts(&config, &crate::load::Symbols::new()), &Facts { names, ..facts(cpus(1)) });
    assert_eq!(node(&tree, "htif"), "compatible = \"ucb,htif0\"; reg = <0x0 0x1000000 0x0 0x1000>;");
    assert!(node(&tree, "chosen").ends_with("stdout-path = \"/htif\";"));
    assert!(tree.root.find("soc/clint@2000000").is_some());
    assert!(node(&tree, "").ends_with("compatible = \"ucbbar,spike-bare-dev\";"));
}

#[test]
fn an_iommu_translates_for_all_but_itself() {
    let device = |driver: &str, addr: &str| {
        let device = crate::config::DeviceConfig::new(driver);
        if addr.is_empty() { device } else { device.with("addr", addr) }
    };
    let found = |list: &[(&str, &str)]| Iommu::find(&list.iter().map(|(d, a)| device(d, a)).collect::<Vec<_>>());
    assert_eq!(found(&[("virtio-blk-pci", ""), ("virtio-rng-device", "")]), None);
    let described = |list: &[(&str, &str)]| {
        let config = BoardConfig::new("riscv64/virt");
        let facts = Facts { iommu: found(list), ..facts(cpus(1)) };
        let tree = tree(&virt::parts(&config, true), &facts);
        (cells(&tree, "soc/pci@30000000", "iommu-map"), tree)
    };
    let (map, tree) = described(&[("virtio-blk-pci", ""), ("virtio-rng-pci", "1"), ("riscv-iommu-pci", "")]);
    let handle = map[1];
    assert_eq!(map, [0, handle, 0, 0x10, 0x11, handle, 0x11, 0xffef]);
    let node = node(&tree, "soc/pci@30000000/iommu@10");
    assert!(node.starts_with("compatible = \"riscv,pci-iommu\"; reg = <0x1000 0x0 0x0 0x0 0x0>;"), "{node}");
    let (map, tree) = described(&[("virtio-iommu-pci", "4")]);
    assert_eq!((map[3], tree.root.find("soc/pci@30000000/virtio_iommu@4,0").is_some()), (0x20, true));
}

/// As QEMU describes a TPM (docs/specs/tpm.rst; Linux, Documentation/devicetree/bindings/tpm/tcg,tpm-tis-mmio.yaml).
#[test]
fn devices_of_the_platform_bus_are_described() {
    let list = ["tpm-tis-device", "virtio-rng-pci", "tpm-tis-device"].map(crate::config::DeviceConfig::new);
    let places = crate::platform::places(&list, 0x200_0000);
    let config = BoardConfig::new("riscv64/virt");
    let tree = tree(&virt::parts(&config, true), &Facts { platform: places, ..facts(cpus(1)) });
    let node = |name: &str| {
        let node = tree.root.find(&format!("platform-bus@4000000/{name}")).unwrap();
        (node.get("reg").unwrap().to_vec(), node.get("interrupts").unwrap()[3])
    };
    assert_eq!(node("tpm_tis@0"), (vec![0, 0, 0, 0, 0, 0, 0x50, 0], 64));
    assert_eq!(node("tpm_tis@8000"), (vec![0, 0, 0x80, 0, 0, 0, 0x50, 0], 65));
}
