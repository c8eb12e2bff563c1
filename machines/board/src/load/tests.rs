//! Tests of the loaders.

use super::*;
use flate2::{Compression, Crc, read::GzEncoder};

const RAM: u64 = 0x8000_0000;

fn target() -> Target {
    let free = RAM + 0x20_0000;
    Target { elf_machine: 243, uimage_arch: 26, is64: true, ram_base: RAM, ram_size: 16 << 20, free }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

/// Little-endian fields at their offsets.
fn image(len: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, value) in fields {
        bytes[*at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

fn linux(pe: bool) -> Vec<u8> {
    let start: &[u8] = if pe { b"MZ" } else { b"\x13\0" };
    image(0x1000, &[(0, start), (16, &0x8000u64.to_le_bytes()), (48, b"RISCV\0\0\0"), (56, b"RSC\x05")])
}

fn elf(segments: &[(u64, u64, u64, u64)]) -> Vec<u8> {
    let mut bytes = image(
        0x1000,
        &[
            (0, b"\x7fELF\x02\x01\x01"),
            (16, &[2, 0, 243, 0, 1]),
            (24, &(RAM + 8).to_le_bytes()),
            (32, &64u64.to_le_bytes()),
            (52, &[64, 0, 56, 0, segments.len() as u8, 0, 64, 0]),
        ],
    );
    for (n, (offset, addr, filesz, memsz)) in segments.iter().enumerate() {
        let at = 64 + 56 * n;
        bytes[at] = 1;
        for (k, value) in [(8, *offset), (16, u64::MAX), (24, *addr), (32, *filesz), (40, *memsz)] {
            bytes[at + k..at + k + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

fn uimage(kind: u8, compression: u8, data: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum()
    };
    let word = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    let mut head = image(
        64,
        &[
            (0, &uimage::MAGIC),
            (12, &word(data.len())),
            (16, &word(RAM as usize + 0x1000)),
            (20, &word(RAM as usize + 0x1004)),
            (24, &crc(data).to_be_bytes()),
            (28, &[5, 26, kind, compression]),
        ],
    );
    let sum = crc(&head).to_be_bytes();
    head[4..8].copy_from_slice(&sum);
    [head, data.to_vec()].concat()
}

fn text(bytes: Vec<u8>) -> String {
    program(bytes, &target()).unwrap_err().to_string()
}

#[test]
fn linux_images_go_where_there_is_room() {
    for (pe, kind) in [(false, "Linux image"), (true, "Linux image with EFI stub")] {
        for bytes in [linux(pe), gzip(&linux(pe))] {
            let image = program(bytes, &target()).unwrap();
            let free = target().free;
            assert_eq!((image.kind, image.low, image.high, image.entry), (kind, free, free + 0x8000, free));
            assert_eq!(image.parts, [Part { addr: free, bytes: 0..0x1000, len: 0x1000 }]);
            assert_eq!(image.payload, linux(pe));
        }
    }
}

#[test]
fn zboot_kernels_are_unpacked() {
    let packed = gzip(&linux(true));
    let len = (packed.len() as u32).to_le_bytes();
    let fields: [(usize, &[u8]); 5] = [(0, b"MZ"), (4, b"zimg"), (8, &[64]), (12, &len), (24, b"gzip")];
    let bytes = [image(64, &fields), packed].concat();
    assert_eq!(program(bytes.clone(), &target()).unwrap().payload, linux(true));
    assert_eq!(text(bytes[..100].to_vec()), "broken file: EFI zboot payload that the file does not have");
    let other = [&bytes[..24], b"zstd22\0", &bytes[31..]].concat();
    assert_eq!(text(other), "an EFI zboot kernel packed with zstd22; tern unpacks gzip only");
}

#[test]
fn elf_programs_go_to_their_physical_addresses() {
    let bytes = elf(&[(0x100, RAM, 0x10, 0x20), (0x200, RAM + 0x2000, 8, 8), (0, RAM, 0, 0)]);
    let image = program(bytes, &target()).unwrap();
    assert_eq!((image.low, image.high, image.entry), (RAM, RAM + 0x2008, RAM + 8));
    let parts =
        [Part { addr: RAM, bytes: 0x100..0x110, len: 0x20 }, Part { addr: RAM + 0x2000, bytes: 0x200..0x208, len: 8 }];
    assert_eq!(image.parts, parts);
}

#[test]
fn elf_programs_that_run_anywhere_go_where_there_is_room() {
    let mut bytes = elf(&[(0x100, 0, 0x10, 0x20), (0x200, 0x4000, 8, 8)]);
    bytes[16] = 3;
    bytes[24..32].copy_from_slice(&4u64.to_le_bytes());
    let image = program(bytes, &target()).unwrap();
    let free = target().free;
    assert_eq!((image.low, image.high, image.entry), (free, free + 0x4008, free + 4));
    let mut placed = elf(&[(0x100, RAM, 0x10, 0x20)]);
    placed[16] = 3;
    assert_eq!(program(placed, &target()).unwrap().low, RAM);
    let mut far = elf(&[(0x100, 0, 1, 1), (0x100, 1 << 40, 1, 1)]);
    far[16] = 3;
    assert!(text(far).contains("outside of RAM"));
}

#[test]
fn elf_programs_that_do_not_fit_are_refused() {
    let outside = "ELF segment at 0xffffffff80000000, 0x20 bytes, lies outside of RAM (0x80000000 to 0x81000000)";
    assert_eq!(text(elf(&[(0, 0xffff_ffff_8000_0000, 0x10, 0x20)])), outside);
    assert!(text(elf(&[(0, RAM, 0, u64::MAX)])).contains("outside of RAM"));
    assert!(text(elf(&[(0, u64::MAX, 0, 2)])).contains("outside of RAM"));
    let short = "broken file: ELF segment with bytes that the file does not have";
    assert_eq!(text(elf(&[(0xff8, RAM, 0x10, 0x20)])), short);
    assert_eq!(text(elf(&[(u64::MAX, RAM, 0x10, 0x20)])), short);
    assert_eq!(text(elf(&[(0, RAM, 0x20, 0x10)])), short);
    assert_eq!(text(elf(&[])), "broken file: ELF file without anything to load");
    let twice = "broken file: ELF segments that are together bigger than RAM";
    assert_eq!(text(elf(&[(0, RAM, 0, 16 << 20), (0, RAM, 0, 8)])), twice);
    let mut arm = elf(&[(0, RAM, 1, 1)]);
    arm[18] = 183;
    assert_eq!(text(arm), "is for another machine: AArch64");
    let mut far = elf(&[(0, RAM, 1, 1)]);
    far[32..40].fill(0xff);
    assert_eq!(text(far), "broken file: ELF program headers");
}

#[test]
fn uimages_say_where_they_go() {
    for (compression, data) in [(0, b"hello".to_vec()), (1, gzip(b"hello"))] {
        let image = program(uimage(2, compression, &data), &target()).unwrap();
        assert_eq!((image.low, image.high, image.entry), (RAM + 0x1000, RAM + 0x1005, RAM + 0x1004));
        assert_eq!(image.payload, b"hello");
    }
    let anywhere = program(uimage(14, 0, b"hello"), &target()).unwrap();
    assert_eq!(anywhere.low, target().free);
    assert_eq!(text(uimage(2, 2, b"x")), "a U-Boot image packed with bzip2; tern unpacks gzip only");
    assert_eq!(text(uimage(2, 99, b"x")), "a U-Boot image packed with an unknown method; tern unpacks gzip only");
    assert_eq!(text(uimage(5, 0, b"x")), "a U-Boot image of type 5, not a kernel");
    assert_eq!(text(uimage(2, 1, b"x")), "broken file: gzip data of the U-Boot image");
    assert_eq!(text(uimage(2, 0, b"")), "the file is empty");
    let good = uimage(2, 0, b"hello");
    assert_eq!(text(good[..68].to_vec()), "broken file: U-Boot image that ends too early");
    assert_eq!(text(good[..60].to_vec()), "broken file: U-Boot image header");
    for (at, what) in [(40, "checksum of the U-Boot image header"), (66, "checksum of the U-Boot image's data")] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(text(bad), format!("broken file: {what}"));
    }
}

#[test]
fn ramdisks() {
    assert_eq!(ramdisk(b"070701".to_vec(), &target()).unwrap(), b"070701");
    assert_eq!(ramdisk(uimage(3, 1, b"packed"), &target()).unwrap(), b"packed");
    assert!(ramdisk(uimage(2, 0, b"x"), &target()).is_err());
    assert_eq!(ramdisk(Vec::new(), &target()), Err(LoadError::Empty));
}

#[test]
fn other_files() {
    let image = program(b"\x13\0\0\0".to_vec(), &target()).unwrap();
    assert_eq!((image.kind, image.low, image.high), ("raw binary", target().free, target().free + 4));
    assert_eq!(text(Vec::new()), "the file is empty");
    assert_eq!(text(gzip(b"")), "the file is empty");
    assert!(text(gzip(&linux(false))[..70].to_vec()).starts_with("cannot be unpacked: "));
    assert_eq!(text(gzip(&vec![0; 17 << 20])), "unpacked it is bigger than 16777216 bytes");
    assert!(text(vec![1; 15 << 20]).starts_with("raw binary at 0x80200000, 0xf00000 bytes, lies outside of RAM"));
    assert_eq!(text(image_of(b"ARM\x64")), "is for another machine: a Linux kernel for arm64");
    assert!(text(image_of(b"none")).starts_with("an EFI program that is no Linux kernel"));
    let mut big_endian = linux(false);
    big_endian[24] = 1;
    assert_eq!(text(big_endian), "is for another machine: a big-endian Linux kernel");
    let mut huge = linux(false);
    huge[16..24].fill(0xff);
    assert!(text(huge).contains("outside of RAM"));
}

fn image_of(magic: &[u8; 4]) -> Vec<u8> {
    image(64, &[(0, b"MZ"), (56, magic)])
}

#[test]
fn damaged_files_do_no_harm() {
    let seeds = [linux(true), elf(&[(0x100, RAM, 0x10, 0x20)]), uimage(2, 1, &gzip(b"hello")), gzip(&linux(false))];
    for seed in seeds {
        for at in 0..seed.len().min(200) {
            for bit in 0..8 {
                let mut bytes = seed.clone();
                bytes[at] ^= 1 << bit;
                if let Ok(image) = program(bytes, &target()) {
                    for part in &image.parts {
                        assert!(target().holds(part.addr, part.len) && part.bytes.end <= image.payload.len());
                        assert!(part.bytes.len() as u64 <= part.len);
                    }
                }
            }
        }
    }
}
