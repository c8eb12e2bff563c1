//! Any bytes as an ELF file: headers are read, and what they describe is mapped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use tern_linux::elf::loader::{Program, load};
use tern_linux::mm::{MemLimits, Space};
use tern_linux::paths::Paths;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("tern-fuzz-{}", std::process::id()));
    std::fs::File::create(&path).and_then(|mut f| f.write_all(bytes)).expect("a file can be written");
    let paths = Paths::default();
    let Ok(program) = Program::open(&paths, path.as_os_str().as_bytes()) else { return };
    let Ok(headers) = program.headers() else { return };
    let limits = MemLimits { address_space: 1 << 32, data: 1 << 30, stack: 8 << 20, locked: 0 };
    let mut space = Space::new(headers.isa.layout, limits);
    let _ = load(&mut space, &paths, &program, &headers);
});
