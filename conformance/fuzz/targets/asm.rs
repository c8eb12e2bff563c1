//! Any text as RISC-V assembly: bytes or an error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tern_riscv::{Features, Riscv};

fuzz_target!(|text: &str| {
    static FEATURES: LazyLock<Features> = LazyLock::new(|| Features::default_for(64));
    let cpu = Riscv::new(FEATURES.clone());
    let _ = cpu.assembler().assemble(text, 0x1000);
});
