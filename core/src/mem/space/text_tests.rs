//! Tests of maps as text, against what QEMU 7.2 prints for its RISC-V `virt` machine.

use super::*;

fn virt() -> AddressSpace {
    let s = AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}));
    let root = s.root();
    let rom = s.block("riscv_virt_board.mrom", 0xf000).unwrap();
    s.add(root, s.rom(&rom), 0x1000, 0).unwrap();
    let ioports = s.open_bus("gpex_ioport_window", 0x1_0000).unwrap();
    s.add(root, ioports, 0x300_0000, 0).unwrap();
    let io = s.container("gpex_ioport", 0x1_0000).unwrap();
    s.add(ioports, io, 0, 0).unwrap();
    let uart = s.device("serial", 8, 0, 0).unwrap();
    s.add(root, uart, 0x1000_0000, 0).unwrap();
    let flash = s.block("virt.flash0", 0x200_0000).unwrap();
    s.add(root, s.rom_device(&flash, 1, 0), 0x2000_0000, 0).unwrap();
    let ecam = s.device("pcie-mmcfg-mmio", 0x1000_0000, 2, 0).unwrap();
    let ecam = s.alias("pcie-ecam", ecam, 0, 0x1000_0000).unwrap();
    s.add(root, ecam, 0x3000_0000, 0).unwrap();
    let window = s.container_of_all("gpex_mmio_window");
    let open = s.open_bus("gpex_mmio", u64::MAX).unwrap();
    s.add(window, open, 0, 0).unwrap();
    let mmio = s.alias("pcie-mmio", window, 0x4000_0000, 0x4000_0000).unwrap();
    s.add(root, mmio, 0x4000_0000, 0).unwrap();
    let ram = s.block("riscv_virt_board.ram", 0x1000_0000).unwrap();
    s.add(root, s.ram(&ram), 0x8000_0000, 0).unwrap();
    let _ = s.view("cpu-memory-0", root);
    let _ = s.view("gpex-root", s.container_of_all("bus master container"));
    s
}

const TREE: &str = "\
address-space: cpu-memory-0
address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
    0000000000001000-000000000000ffff (prio 0, rom): riscv_virt_board.mrom
    0000000003000000-000000000300ffff (prio 0, i/o): gpex_ioport_window
      0000000003000000-000000000300ffff (prio 0, i/o): gpex_ioport
    0000000010000000-0000000010000007 (prio 0, i/o): serial
    0000000020000000-0000000021ffffff (prio 0, romd): virt.flash0
    0000000030000000-000000003fffffff (prio 0, i/o): alias pcie-ecam @pcie-mmcfg-mmio 0000000000000000-000000000fffffff
    0000000040000000-000000007fffffff (prio 0, i/o): alias pcie-mmio @gpex_mmio_window 0000000040000000-000000007fffffff
    0000000080000000-000000008fffffff (prio 0, ram): riscv_virt_board.ram

address-space: gpex-root
  0000000000000000-ffffffffffffffff (prio 0, i/o): bus master container

memory-region: pcie-mmcfg-mmio
  0000000000000000-000000000fffffff (prio 0, i/o): pcie-mmcfg-mmio

memory-region: gpex_mmio_window
  0000000000000000-ffffffffffffffff (prio 0, i/o): gpex_mmio_window
    0000000000000000-fffffffffffffffe (prio 0, i/o): gpex_mmio

";

const FLAT: &str = "\
FlatView #0
 AS \"memory\", root: system
 AS \"cpu-memory-0\", root: system
 Root memory region: system
  0000000000001000-000000000000ffff (prio 0, rom): riscv_virt_board.mrom
  0000000003000000-000000000300ffff (prio 0, i/o): gpex_ioport_window
  0000000010000000-0000000010000007 (prio 0, i/o): serial
  0000000020000000-0000000021ffffff (prio 0, romd): virt.flash0
  0000000030000000-000000003fffffff (prio 0, i/o): pcie-mmcfg-mmio
  0000000040000000-000000007fffffff (prio 0, i/o): gpex_mmio @0000000040000000
  0000000080000000-000000008fffffff (prio 0, ram): riscv_virt_board.ram

FlatView #1
 AS \"gpex-root\", root: bus master container
 Root memory region: (none)
  No rendered FlatView

";

#[test]
#[cfg_attr(miri, ignore = "hundreds of megabytes")]
fn maps_are_printed_as_qemu_prints_them() {
    let s = virt();
    assert_eq!(s.tree_text(false), TREE);
    assert_eq!(s.flat_text(), FLAT);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of megabytes")]
fn what_is_switched_is_printed_so() {
    let s = virt();
    let find = |name: &str| Region(s.shared.tree.borrow().nodes.iter().position(|n| n.name == name).unwrap() as u32);
    s.set_enabled(find("serial"), false);
    s.set_direct(find("virt.flash0"), false);
    s.set_offset(find("pcie-mmio"), u64::MAX - 0xff);
    assert!(!s.tree_text(false).contains("serial"));
    let text = s.tree_text(true);
    assert!(text.contains("    0000000010000000-0000000010000007 (prio 0, i/o): serial [disabled]\n"), "{text}");
    assert!(text.contains("    0000000020000000-0000000021ffffff (prio 0, i/o): virt.flash0\n"), "{text}");
    assert!(text.contains("[DETECTED OVERFLOW!]     ffffffffffffff00-000000003ffffeff (prio 0, i/o): alias"), "{text}");
    assert!(s.flat_text().contains("  ffffffffffffff00-ffffffffffffffff (prio 0, i/o): gpex_mmio @0000000040000000\n"));
}
