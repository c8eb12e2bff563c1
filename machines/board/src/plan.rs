//! A machine as it will be: the parts of its board, what lies in its memory, its device tree.

use crate::boards::{self, BoardRow};
use crate::boot::{Boot, First, Site};
use crate::config::{Aia, BoardConfig};
use crate::error::BoardError;
use crate::fdt::Tree;
use crate::load::Symbols;
use crate::part::{Kind, Parts};
use crate::platform;
use crate::tree::{self, Facts, Iommu};
use tern_core::backend::Entropy;
use tern_session::isa::{self, Cpu};

/// A machine as it will be.
pub struct Plan {
    /// Its board.
    pub row: &'static BoardRow,
    /// Its CPUs.
    pub cpu: Cpu,
    /// Its parts.
    pub parts: Parts,
    /// What lies in memory.
    pub boot: Boot,
    /// The device tree.
    pub tree: Tree,
    /// Where the device tree lies.
    pub dtb_at: u64,
    /// Are its CPUs 64-bit?
    pub is64: bool,
}

/// The CPU that the configuration names; with interrupt files it has what reaches them.
fn cpu(row: &BoardRow, config: &BoardConfig) -> Result<Cpu, BoardError> {
    let isa = isa::by_name(row.isa).ok_or_else(|| BoardError::Unknown(config.board.clone()))?;
    let spec = config.cpu.as_deref().unwrap_or(isa.default_cpu);
    let mut all = spec.to_owned();
    if config.options.aia == Aia::AplicImsic {
        let named = |extension: &str| spec.split(',').skip(1).any(|word| word.contains(extension));
        for extension in ["smaia", "ssaia"].into_iter().filter(|e| !named(e)) {
            all.push_str(&format!(",{extension}=on"));
        }
    }
    isa.machine(Some(&all)).map_err(|e| BoardError::Config(e.to_string().replace(&all, spec)))
}

impl Plan {
    /// Plans the machine, and reads the files that go into its memory.
    ///
    /// # Errors
    /// A configuration that the board cannot have, a file that cannot be used.
    pub fn new(config: &BoardConfig, entropy: &mut dyn Entropy) -> Result<Plan, BoardError> {
        let row = boards::find(config)?;
        let cpu = cpu(row, config)?;
        let is64 = cpu.isa_string.starts_with("rv64");
        let before = (row.parts)(config, &Symbols::new());
        if before.find(Kind::Rom).is_none() {
            // Nothing ever starts here.
            return Ok(Plan { row, cpu, parts: before, boot: Boot::nothing(), tree: Tree::default(), dtb_at: 0, is64 });
        }
        let flash = before.find(Kind::Flash).filter(|_| config.flash[0].is_some()).map(|p| p.range().base);
        let site = Site { ram: before.range(Kind::Ram), flash, is64 };
        let boot = Boot::read(config, &site)?;
        let parts = (row.parts)(config, &boot.symbols);
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let facts = Facts {
            names: row.tree_names,
            smp: config.smp,
            isa: cpu.isa_string.clone(),
            mmu: cpu.mmu,
            cache_blocks: cpu.cache_blocks,
            supervised: boot.first != First::Reset,
            seed,
            iommu: Iommu::find(&config.devices),
            platform: platform::places(&config.devices, parts.find(Kind::PlatformBus).map_or(0, |p| p.range().size)),
        };
        let tree = boot.tree(config, || tree::tree(&parts, &facts))?;
        let dtb_at = boot.tree_at(&site, roomy(&tree, &boot).len() as u64)?;
        Ok(Plan { row, cpu, parts, boot, tree, dtb_at, is64 })
    }

    /// The device tree as it lies in memory.
    #[must_use]
    pub fn dtb(&self) -> Vec<u8> {
        roomy(&self.tree, &self.boot)
    }
}

/// Room for properties that later programs add in place, where no firmware image makes some: U-Boot takes it for granted.
const ROOM: usize = 0x2000;

/// The tree with room at its end.
fn roomy(tree: &Tree, boot: &Boot) -> Vec<u8> {
    let mut blob = tree.blob();
    if matches!(boot.first, First::Supervisor(_)) {
        blob.resize(blob.len() + ROOM, 0);
        // Field `totalsize` (Devicetree Specification, section 5.2).
        let total = (blob.len() as u32).to_be_bytes();
        blob[4..8].copy_from_slice(&total);
    }
    blob
}
