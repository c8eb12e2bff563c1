//! Any bytes as RISC-V code: decoded, disassembled, translated, and the IR verified.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tern_core::frontend::{Fetch, Frontend, Limits};
use tern_core::ir::{BlockKey, Builder, opt, verify};
use tern_core::mem::{Access, FaultKind, MemFault};
use tern_riscv::{Features, Riscv};

/// Where the code lies.
const BASE: u64 = 0x1000;

struct Code<'a>(&'a [u8]);

impl Fetch for Code<'_> {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let from = usize::try_from(addr.wrapping_sub(BASE)).unwrap_or(usize::MAX);
        let fault = MemFault { addr, access: Access::Fetch, kind: FaultKind::Unmapped };
        let bytes = from.checked_add(buf.len()).and_then(|end| self.0.get(from..end)).ok_or(fault)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    static CPUS: LazyLock<[Features; 2]> = LazyLock::new(|| [64, 32].map(Features::default_for));
    for features in &*CPUS {
        let cpu = Riscv::new(features.clone());
        let _ = cpu.disassemble(bytes, BASE, 0);
        let arena = bumpalo::Bump::new();
        let mut b = Builder::new(&arena, BlockKey { pc: BASE, mode: 0 });
        if let Ok(next) = cpu.translate(&mut Code(bytes), &mut b, Limits { insns: 64, follow: true, one_page: false }) {
            let mut block = b.finish(next);
            verify::verify(&block, Some(cpu.layout())).expect("translators build well-formed blocks");
            opt::run(&mut block);
        }
    }
});
