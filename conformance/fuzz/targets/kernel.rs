//! Any bytes as a kernel, firmware or initrd: what is accepted lies in RAM.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tern_board::load::{self, Target};

fuzz_target!(|bytes: &[u8]| {
    let base = 0x8000_0000;
    for is64 in [true, false] {
        let target = Target {
            elf_machine: 243,
            uimage_arch: 26,
            is64,
            ram_base: base,
            ram_size: 64 << 20,
            free: base + (2 << 20),
        };
        let _ = load::ramdisk(bytes.to_vec(), &target);
        let Ok(image) = load::program(bytes.to_vec(), &target) else { continue };
        for part in &image.parts {
            assert!(target.holds(part.addr, part.len), "{part:?}");
            assert!(part.bytes.end <= image.payload.len() && part.bytes.len() as u64 <= part.len, "{part:?}");
        }
    }
});
