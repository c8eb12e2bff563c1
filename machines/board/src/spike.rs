//! RISC-V `spike`: harts, CLINT, RAM, and the host-target interface by which conformance programs say how they ended (QEMU
//! documentation, "Spike machine"; the interface is that of the riscv-isa-sim repository).

use crate::config::{Aia, BoardConfig};
use crate::load::Symbols;
use crate::part::{Kind, Part, Parts, Range};

/// Most harts.
pub const MAX_CPUS: u32 = 8;

/// The parts; the host-target interface lies where the program's symbols `tohost` and `fromhost` are, if it has them.
#[must_use]
pub fn parts(config: &BoardConfig, symbols: &Symbols) -> Parts {
    let own = (&0x100_0000, &0x100_0008);
    let (tohost, fromhost) = symbols.get("tohost").zip(symbols.get("fromhost")).unwrap_or(own);
    let (tohost, fromhost) = (*tohost, *fromhost);
    let list = vec![
        Part::new(Kind::Rom, Range::new(0x1000, 0xf000)),
        // Of parts in one place the later one is seen: the interface lies in RAM.
        Part::new(Kind::Ram, Range::new(0x8000_0000, config.memory)),
        Part { kind: Kind::Htif, at: vec![Range::new(tohost, 8), Range::new(fromhost, 8)], irqs: Vec::new() },
        Part::new(Kind::Clint, Range::new(0x200_0000, 0x1_0000)),
    ];
    Parts { list, aia: Aia::None, sources: 0, msi_ids: 0, guests: 0 }
}
