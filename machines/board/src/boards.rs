//! The list of boards: one row each.

use crate::config::{Aia, BoardConfig};
use crate::error::BoardError;
use crate::load::Symbols;
use crate::part::Parts;
use crate::{none, spike, virt};

/// A board.
pub struct BoardRow {
    /// ISA and board.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Its ISA's name.
    pub isa: &'static str,
    /// Most CPUs.
    pub max_cpus: u32,
    /// `model` and `compatible` of its device tree.
    pub tree_names: [&'static str; 2],
    /// Its parts as configured; symbols are those of the programs that are loaded.
    pub parts: fn(&BoardConfig, &Symbols) -> Parts,
    /// What it cannot be configured with, in one line.
    refuses: fn(&BoardConfig) -> Option<String>,
}

const NONE_ABOUT: &str = "an empty machine, for questions to a monitor";
const VIRT_ABOUT: &str = "QEMU's generic RISC-V machine: virtio, PCI Express, PLIC or AIA";
const SPIKE_ABOUT: &str = "the RISC-V ISA simulator's machine: CLINT and HTIF, for conformance programs";
const VIRT_TREE: [&str; 2] = ["riscv-virtio,qemu", "riscv-virtio"];
const SPIKE_TREE: [&str; 2] = ["ucbbar,spike-bare,qemu", "ucbbar,spike-bare-dev"];

/// Every board that this build has.
pub static BOARDS: &[BoardRow] = &[
    #[cfg(feature = "riscv64")]
    BoardRow {
        name: "riscv64/none",
        about: NONE_ABOUT,
        isa: "riscv64",
        max_cpus: 1,
        tree_names: ["none", "none"],
        parts: none::parts,
        refuses: none_refuses,
    },
    #[cfg(feature = "riscv64")]
    BoardRow {
        name: "riscv64/virt",
        about: VIRT_ABOUT,
        isa: "riscv64",
        max_cpus: virt::MAX_CPUS,
        tree_names: VIRT_TREE,
        parts: |config, _| virt::parts(config, true),
        refuses: virt_refuses,
    },
    #[cfg(feature = "riscv64")]
    BoardRow {
        name: "riscv64/spike",
        about: SPIKE_ABOUT,
        isa: "riscv64",
        max_cpus: spike::MAX_CPUS,
        tree_names: SPIKE_TREE,
        parts: spike::parts,
        refuses: spike_refuses,
    },
    #[cfg(feature = "riscv32")]
    BoardRow {
        name: "riscv32/none",
        about: NONE_ABOUT,
        isa: "riscv32",
        max_cpus: 1,
        tree_names: ["none", "none"],
        parts: none::parts,
        refuses: none_refuses,
    },
    #[cfg(feature = "riscv32")]
    BoardRow {
        name: "riscv32/virt",
        about: VIRT_ABOUT,
        isa: "riscv32",
        max_cpus: virt::MAX_CPUS,
        tree_names: VIRT_TREE,
        parts: |config, _| virt::parts(config, false),
        refuses: |config| virt_refuses(config).or_else(|| too_big_for_32_bits(config)),
    },
    #[cfg(feature = "riscv32")]
    BoardRow {
        name: "riscv32/spike",
        about: SPIKE_ABOUT,
        isa: "riscv32",
        max_cpus: spike::MAX_CPUS,
        tree_names: SPIKE_TREE,
        parts: spike::parts,
        refuses: |config| spike_refuses(config).or_else(|| too_big_for_32_bits(config)),
    },
];

fn virt_refuses(config: &BoardConfig) -> Option<String> {
    let options = config.options;
    if options.aia_guests > virt::MAX_GUESTS {
        return Some(format!("aia-guests={}: at most {}", options.aia_guests, virt::MAX_GUESTS));
    }
    (options.aia_guests != 0 && options.aia != Aia::AplicImsic)
        .then(|| "aia-guests: only with aia=aplic-imsic".to_owned())
}

fn none_refuses(config: &BoardConfig) -> Option<String> {
    let programs = config.kernel.is_some() || config.flash.iter().any(Option::is_some) || !config.fw_cfg.is_empty();
    programs.then(|| "the board none starts no program and has no flash".to_owned())
}

fn spike_refuses(config: &BoardConfig) -> Option<String> {
    if config.flash.iter().flatten().count() + config.fw_cfg.len() != 0 {
        return Some("the board spike has no flash and no fw_cfg".to_owned());
    }
    let options = config.options;
    let plain = options.aia == Aia::None && options.aia_guests == 0 && !options.aclint;
    (!plain).then(|| "the board spike has no aia and no aclint".to_owned())
}

/// RV32's page tables reach 16 GiB of physical addresses, of which other things have 6.
fn too_big_for_32_bits(config: &BoardConfig) -> Option<String> {
    (config.memory > 10 << 30).then(|| "a 32-bit board has at most 10 GiB of RAM".to_owned())
}

/// Most RAM: more than any host has, and little enough that no sum of addresses overflows.
const MAX_MEMORY: u64 = 1 << 44;
/// RAM comes in pages.
const PAGE: u64 = 4096;

/// The row of the board that is configured, if it can be configured like that.
///
/// # Errors
/// A board that is not there, or is not like that.
pub(crate) fn find(config: &BoardConfig) -> Result<&'static BoardRow, BoardError> {
    let row = BOARDS.iter().find(|b| b.name == config.board);
    let row = row.ok_or_else(|| BoardError::Unknown(config.board.clone()))?;
    let refuse = |why: String| Err(BoardError::Config(why));
    let cpus = config.smp.cpus;
    if cpus == 0 || cpus > row.max_cpus {
        return refuse(format!("{cpus} CPUs: {} has 1 to {}", row.name, row.max_cpus));
    }
    let none = row.name.ends_with("/none");
    if config.memory == 0 && !none || config.memory > MAX_MEMORY || !config.memory.is_multiple_of(PAGE) {
        return refuse(format!("{} bytes of RAM: a multiple of 4096 up to 16 TiB", config.memory));
    }
    if config.initrd.is_some() && config.kernel.is_none() {
        return refuse("an initrd without a kernel".to_owned());
    }
    if !config.append.is_empty() && config.kernel.is_none() && config.dtb.is_none() {
        return refuse("a command line without a kernel".to_owned());
    }
    (row.refuses)(config).map_or(Ok(row), refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bios, BoardOptions, Smp};

    fn text(change: impl FnOnce(&mut BoardConfig)) -> String {
        let mut config = BoardConfig { bios: Bios::None, ..BoardConfig::new("riscv64/virt") };
        change(&mut config);
        find(&config).map_or_else(|e| e.to_string(), |row| row.name.to_owned())
    }

    #[cfg(all(feature = "riscv32", feature = "riscv64"))]
    #[test]
    fn boards_know_what_they_can_be() {
        assert_eq!(text(|_| {}), "riscv64/virt");
        assert_eq!(text(|c| c.board = "arm64/virt".into()), "no board is called `arm64/virt`; see tern list boards");
        let many = Smp { cpus: 513, sockets: 1, cores: 513, threads: 1 };
        assert_eq!(text(|c| c.smp = many), "513 CPUs: riscv64/virt has 1 to 512");
        assert_eq!(text(|c| c.memory = 100), "100 bytes of RAM: a multiple of 4096 up to 16 TiB");
        assert_eq!(text(|c| c.initrd = Some("x".into())), "an initrd without a kernel");
        assert_eq!(text(|c| c.append = "x".into()), "a command line without a kernel");
        let guests = |aia, aia_guests| BoardOptions { aia, aia_guests, ..BoardOptions::default() };
        assert_eq!(text(|c| c.options = guests(Aia::AplicImsic, 8)), "aia-guests=8: at most 7");
        assert_eq!(text(|c| c.options = guests(Aia::Aplic, 1)), "aia-guests: only with aia=aplic-imsic");
        let big = |c: &mut BoardConfig| (c.board, c.memory) = ("riscv32/virt".into(), 11 << 30);
        assert_eq!(text(big), "a 32-bit board has at most 10 GiB of RAM");
        let spike = |c: &mut BoardConfig| (c.board, c.flash[0]) = ("riscv64/spike".into(), Some("x".into()));
        assert_eq!(text(spike), "the board spike has no flash and no fw_cfg");
    }
}
