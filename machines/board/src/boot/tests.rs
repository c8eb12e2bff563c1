//! Tests of what goes where.

use super::*;
use crate::config::Bios;
use tern_core::device::Reporter;

const RAM: u64 = 0x8000_0000;

fn site(size: u64) -> Site {
    Site { ram: Range::new(RAM, size), flash: None, is64: true }
}

/// Files in a folder of this test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tern-boot-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn config(folder: &Folder) -> BoardConfig {
    BoardConfig {
        bios: Bios::File(folder.file("fw.bin", &[0x13; 0x2_0100])),
        kernel: Some(folder.file("kernel", &[0x37; 0x1234])),
        initrd: Some(folder.file("initrd", b"070701")),
        append: "console=ttyS0".to_owned(),
        ..BoardConfig::new("riscv64/virt")
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect()
}

#[test]
fn everything_is_where_qemu_puts_it() {
    let folder = Folder::new("places");
    let config = config(&folder);
    let site = site(256 * MIB);
    let mut boot = Boot::read(&config, &site).unwrap();
    assert_eq!((boot.start, boot.next, boot.first), (RAM, RAM + 2 * MIB, First::Reset));
    assert_eq!(boot.initrd, Some(Range::new(RAM + 130 * MIB, 6)));
    let tree = boot.tree(&config, Tree::default).unwrap();
    let chosen = tree.root.find("chosen").unwrap();
    assert_eq!(chosen.get("bootargs"), Some(&b"console=ttyS0\0"[..]));
    assert_eq!(chosen.get("linux,initrd-start"), Some(&0x8820_0000u64.to_be_bytes()[..]));
    assert_eq!(chosen.get("linux,initrd-end"), Some(&0x8820_0006u64.to_be_bytes()[..]));
    let dtb = tree.blob();
    let at = boot.tree_at(&site, dtb.len() as u64).unwrap();
    assert_eq!(at, RAM + 254 * MIB);
    let rom = boot.rom(at, true);
    assert_eq!(words(&rom)[3..], [RAM, at, 0x4942_534f, 2, RAM + 2 * MIB, 1, 0, 0]);
    let space = AddressSpace::new("memory", "system", Reporter::new("memory", |_, _| {}));
    let ram = space.block("ram", 256 * MIB).unwrap();
    space.add(space.root(), space.ram(&ram), RAM, 0).unwrap();
    for _ in 0..2 {
        boot.store(&space, &dtb, at).unwrap();
        let mut seen = [0; 6];
        assert!(ram.read(130 * MIB, &mut seen));
        assert_eq!(&seen, b"070701");
        assert!(ram.read(2 * MIB + 0x1232, &mut seen));
        assert_eq!(seen, [0x37, 0x37, 0, 0, 0, 0]);
        assert!(ram.read(254 * MIB, &mut seen));
        assert_eq!(seen, dtb[..6]);
        ram.zero(0, 256 * MIB);
    }
    folder.file("kernel", &[0x38; 0x1234]);
    let error = boot.store(&space, &dtb, at).unwrap_err().to_string();
    assert!(error.ends_with("kernel: changed since the machine was switched on"), "{error}");
}

#[test]
fn big_machines_have_the_initrd_at_512_mib() {
    let folder = Folder::new("big");
    let config = config(&folder);
    let boot = Boot::read(&config, &site(2048 * MIB)).unwrap();
    assert_eq!(boot.initrd.unwrap().base, RAM + 514 * MIB);
    let narrow = Site { is64: false, ..site(2048 * MIB) };
    let boot = Boot::read(&config, &narrow).unwrap();
    assert_eq!((boot.next, boot.tree_at(&narrow, 5000).unwrap()), (RAM + 4 * MIB, 3070 * MIB));
    assert_eq!(boot.rom(0, false).len(), 64);
}

#[test]
fn the_built_in_sbi_starts_the_kernel_itself() {
    let folder = Folder::new("builtin");
    let config = BoardConfig { bios: Bios::Builtin, ..config(&folder) };
    let boot = Boot::read(&config, &site(256 * MIB)).unwrap();
    assert_eq!(boot.first, First::Supervisor(RAM + 2 * MIB));
    let nothing = BoardConfig { kernel: None, ..config };
    let error = Boot::read(&nothing, &site(256 * MIB)).unwrap_err();
    assert_eq!(error.to_string(), "tern's own SBI has nothing to start: no kernel is given");
}

#[test]
fn without_firmware_the_kernel_is_first() {
    let folder = Folder::new("none");
    let config = BoardConfig { bios: Bios::None, ..config(&folder) };
    let boot = Boot::read(&config, &site(256 * MIB)).unwrap();
    assert_eq!((boot.start, boot.next), (RAM, RAM));
}

#[test]
fn flash_is_started_first_or_by_firmware() {
    let folder = Folder::new("flash");
    let flash = Site { flash: Some(0x2000_0000), ..site(256 * MIB) };
    let boot = Boot::read(&config(&folder), &flash).unwrap();
    assert_eq!((boot.start, boot.next, boot.pieces.len()), (RAM, 0x2000_0000, 1));
    let boot = Boot::read(&BoardConfig { bios: Bios::None, kernel: None, ..config(&folder) }, &flash).unwrap();
    assert_eq!((boot.start, boot.next), (0x2000_0000, 0));
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = Folder::new("misfits");
    let text = |config: &BoardConfig, size| Boot::read(config, &site(size)).unwrap_err().to_string();
    let good = config(&folder);
    assert!(text(&good, MIB).contains("raw binary at 0x80200000, 0x1234 bytes, lies outside of RAM"));
    assert!(text(&good, 0x2_0000).contains("fw.bin: file is longer than 131072 bytes"));
    let missing = BoardConfig { kernel: Some(folder.0.join("nothing")), ..good.clone() };
    assert!(text(&missing, 64 * MIB).contains("nothing: No such file"));
    let folder_as_file = BoardConfig { initrd: Some(folder.0.clone()), ..good.clone() };
    assert!(text(&folder_as_file, 64 * MIB).starts_with("initrd "));
    let site = site(4 * MIB);
    let boot = Boot::read(&BoardConfig { initrd: None, ..good.clone() }, &site).unwrap();
    let error = boot.tree_at(&site, 2 * MIB).unwrap_err().to_string();
    assert_eq!(error, "no room for the device tree after kernel and initrd in 4 MiB of RAM");
    let broken = BoardConfig { dtb: Some(folder.file("x.dtb", b"hello")), ..good };
    let error = boot.tree(&broken, Tree::default).unwrap_err().to_string();
    assert!(error.ends_with("x.dtb: not a flattened device tree"), "{error}");
}

#[cfg(feature = "riscv64")]
#[test]
fn the_reset_vector_is_code() {
    let folder = Folder::new("rom");
    let boot = Boot::read(&config(&folder), &site(256 * MIB)).unwrap();
    for (isa, load) in [("riscv64", "ld"), ("riscv32", "lw")] {
        let Some(isa) = tern_session::isa::by_name(isa) else { continue };
        let rom = boot.rom(0, load == "ld");
        let frontend = isa.cpu(None).unwrap().frontend;
        let lines: Vec<String> =
            (0..6).map(|n| frontend.disassemble(&rom[4 * n..], 0x1000 + 4 * n as u64, 0).unwrap().0).collect();
        assert_eq!(lines[0], "auipc t0, 0x0");
        assert_eq!(lines[1], "addi a2, t0, 40");
        assert_eq!(lines[3..], [format!("{load} a1, 32(t0)"), format!("{load} t0, 24(t0)"), "jr t0".to_owned()]);
    }
}
