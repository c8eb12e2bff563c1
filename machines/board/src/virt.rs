//! RISC-V `virt`: the part list, with the memory map and interrupts of QEMU's board of that name (QEMU documentation, "'virt'
//! Generic Virtual Platform"; device trees that QEMU writes with `-machine dumpdtb`).

use crate::config::{Aia, BoardConfig};
use crate::part::{Kind, Part, Parts, Range};

/// Most harts.
pub const MAX_CPUS: u32 = 512;
/// Most guest interrupt files of a hart.
pub const MAX_GUESTS: u8 = 7;
/// Slots for memory-mapped virtio devices.
pub const VIRTIO_SLOTS: u32 = 8;

/// Sources of the wired interrupt controller.
const SOURCES: u32 = 96;
/// Identities of an interrupt file.
const MSI_IDS: u32 = 255;

const DRAM: u64 = 0x8000_0000;
const PAGE: u64 = 0x1000;
const GIB: u64 = 1 << 30;

/// The parts of a board that is configured like this.
#[must_use]
pub fn parts(config: &BoardConfig, is64: bool) -> Parts {
    let options = config.options;
    let mut list = vec![
        Part::new(Kind::Rom, Range::new(0x1000, 0xf000)),
        Part::new(Kind::Test, Range::new(0x10_0000, 0x1000)),
        Part::new(Kind::Rtc, Range::new(0x10_1000, 0x1000)).irq(11),
    ];
    list.extend(timers(options.aia, options.aclint));
    list.push(Part::new(Kind::PlatformBus, Range::new(0x400_0000, 0x200_0000)));
    list.extend(controllers(options.aia, config.smp.cpus, options.aia_guests));
    list.push(Part::new(Kind::Uart, Range::new(0x1000_0000, 0x100)).irq(10));
    for slot in 0..VIRTIO_SLOTS {
        let at = Range::new(0x1000_1000 + u64::from(slot) * PAGE, PAGE);
        list.push(Part::new(Kind::Virtio(slot), at).irq(1 + slot));
    }
    list.push(Part::new(Kind::FwCfg, Range::new(0x1010_0000, 0x18)));
    let bank = |n: u64| Range::new(0x2000_0000 + n * 0x200_0000, 0x200_0000);
    list.push(Part { at: vec![bank(0), bank(1)], ..Part::new(Kind::Flash, bank(0)) });
    list.push(pcie(config.memory, is64));
    list.push(Part::new(Kind::Ram, Range::new(DRAM, config.memory)));
    Parts { list, aia: options.aia, sources: SOURCES, msi_ids: MSI_IDS, guests: options.aia_guests.into() }
}

/// Timers and software interrupts.
fn timers(aia: Aia, aclint: bool) -> Vec<Part> {
    match (aclint, aia) {
        (false, _) => vec![Part::new(Kind::Clint, Range::new(0x200_0000, 0x1_0000))],
        // Messages to interrupt files take the place of software interrupts.
        (true, Aia::AplicImsic) => vec![Part::new(Kind::Mtimer, Range::new(0x200_0000, 0x8000))],
        (true, _) => vec![
            Part::new(Kind::Mswi, Range::new(0x200_0000, 0x4000)),
            Part::new(Kind::Mtimer, Range::new(0x200_4000, 0xc000)),
            Part::new(Kind::Sswi, Range::new(0x2f0_0000, 0x4000)),
        ],
    }
}

/// Interrupt controllers.
fn controllers(aia: Aia, cpus: u32, guests: u8) -> Vec<Part> {
    let cpus = u64::from(cpus);
    // A machine-level and a supervisor-level context for as many harts as there may be.
    let plic = Range::new(0xc00_0000, 0x20_0000 + 2 * u64::from(MAX_CPUS) * PAGE);
    let domain = |base| Range::new(base, 0x4000 + 32 * u64::from(MAX_CPUS));
    let pages = (u64::from(guests) + 1).next_power_of_two();
    let mut list = match aia {
        Aia::None => return vec![Part::new(Kind::Plic, plic)],
        Aia::Aplic | Aia::AplicImsic => {
            let at = vec![domain(0xc00_0000), domain(0xd00_0000)];
            vec![Part { kind: Kind::Aplic, at, irqs: Vec::new() }]
        }
    };
    if aia == Aia::AplicImsic {
        list.push(Part::new(Kind::ImsicM, Range::new(0x2400_0000, cpus * PAGE)));
        list.push(Part::new(Kind::ImsicS, Range::new(0x2800_0000, cpus * pages * PAGE)));
    }
    list
}

fn pcie(memory: u64, is64: bool) -> Part {
    let high = if is64 {
        // The first multiple of its size after RAM.
        Range::new((DRAM + memory).next_multiple_of(16 * GIB), 16 * GIB)
    } else {
        Range::new(0x3_0000_0000, 4 * GIB)
    };
    let ecam = Range::new(0x3000_0000, 0x1000_0000);
    let (pio, low) = (Range::new(0x300_0000, 0x1_0000), Range::new(0x4000_0000, 0x4000_0000));
    Part { kind: Kind::Pcie, at: vec![ecam, pio, low, high], irqs: vec![32, 33, 34, 35] }
}
