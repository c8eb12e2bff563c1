//! What lies in memory when a RISC-V board is switched on, and where: firmware, kernel, first root file system, device tree,
//! and the first instructions, placed as QEMU places them (QEMU documentation, "RISC-V System emulator").

use crate::bios::{self, Chosen};
use crate::config::{Bios, BoardConfig};
use crate::error::BoardError;
use crate::fdt::Tree;
use crate::load::{self, Image, LoadError, Part, Symbols, Target};
use crate::part::Range;
use std::path::{Path, PathBuf};
use tern_core::device::Bus;
use tern_core::mem::space::AddressSpace;

const MIB: u64 = 1 << 20;
/// Kernels begin at multiples of what a leaf of the second level of page tables maps.
const ALIGN: [u64; 2] = [4 * MIB, 2 * MIB];
/// Where the built-in SBI lets kernels begin: after what firmware of others takes, which kernels are linked for.
const BUILTIN: u64 = 2 * MIB;
/// 32-bit boards keep the device tree below this address.
const LIMIT_32: u64 = 3072 * MIB;
/// Biggest device tree file.
const MAX_DTB: u64 = 16 * MIB;

/// What goes into memory from a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    role: &'static str,
    path: PathBuf,
    target: Target,
    /// Until memory is loaded for the first time.
    image: Option<Image>,
    parts: Vec<Part>,
    digest: u64,
}

/// 64-bit FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

impl Piece {
    fn open(role: &'static str, path: &Path, target: Target) -> Result<(Piece, Image), BoardError> {
        let image = Piece::read(role, path, target)?;
        let (parts, digest) = (image.parts.clone(), digest(&image.payload));
        let piece = Piece { role, path: path.to_owned(), target, image: Some(image.clone()), parts, digest };
        Ok((piece, image))
    }

    fn read(role: &'static str, path: &Path, target: Target) -> Result<Image, BoardError> {
        let limit = if role == INITRD { target.ram_size.min(MAX_INITRD) } else { target.limit() };
        let bytes = tern_host::file::read_limited(path, limit);
        let bytes = bytes.map_err(|e| BoardError::file(role, path, e))?;
        let image = if role == INITRD { ramdisk(bytes, &target) } else { load::program(bytes, &target) };
        image.map_err(|e| BoardError::file(role, path, e))
    }

    /// Puts it into memory: at first what has been read already, later the file again, which must still be the same.
    fn store(&mut self, memory: &dyn Bus) -> Result<(), BoardError> {
        let image = match self.image.take() {
            Some(image) => image,
            None => Piece::read(self.role, &self.path, self.target)?,
        };
        if image.parts != self.parts || digest(&image.payload) != self.digest {
            return Err(BoardError::file(self.role, &self.path, "changed since the machine was switched on"));
        }
        image.store(memory).map_err(|e| BoardError::file(self.role, &self.path, e))
    }
}

const INITRD: &str = "initrd";
/// Most bytes of an initrd: it is held in the host's memory whole, however big the guest's is.
const MAX_INITRD: u64 = 4 << 30;

fn ramdisk(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    let bytes = load::ramdisk(bytes, target)?;
    load::flat("initrd", target.free, bytes, target)
}

/// How the first hart begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// At the reset vector, in machine mode.
    Reset,
    /// In supervisor mode at this address: the built-in SBI has started.
    Supervisor(u64),
    /// Never: no program is there.
    Nothing,
}

/// All that is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// From files.
    pub pieces: Vec<Piece>,
    /// What people should know.
    pub notes: Vec<String>,
    /// How the first hart begins.
    pub first: First,
    /// Symbols that the board asks for.
    pub symbols: Symbols,
    /// Where the initrd is.
    pub initrd: Option<Range>,
    /// Where machine mode begins.
    start: u64,
    /// What firmware starts; 0 if there is nothing.
    next: u64,
    /// Where the programs and the initrd end; 0 if there is nothing for the device tree to keep clear of.
    end: u64,
}

/// Where things are, and what is there beside files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// RAM.
    pub ram: Range,
    /// The first flash bank, if it has contents.
    pub flash: Option<u64>,
    /// Are harts 64-bit?
    pub is64: bool,
}

/// `e_machine` of RISC-V.
const EM_RISCV: u16 = 243;
/// Architecture number of RISC-V in U-Boot images.
const IH_ARCH_RISCV: u8 = 26;

impl Boot {
    /// Nothing is loaded.
    #[must_use]
    pub fn nothing() -> Boot {
        Boot {
            pieces: Vec::new(),
            notes: Vec::new(),
            first: First::Nothing,
            symbols: Symbols::new(),
            initrd: None,
            start: 0,
            next: 0,
            end: 0,
        }
    }

    /// Reads the files that the configuration names, and finds places for what is in them.
    ///
    /// # Errors
    /// A file that is missing or broken, or does not fit.
    pub fn read(config: &BoardConfig, site: &Site) -> Result<Boot, BoardError> {
        let target = Target {
            elf_machine: EM_RISCV,
            uimage_arch: IH_ARCH_RISCV,
            is64: site.is64,
            ram_base: site.ram.base,
            ram_size: site.ram.size,
            free: site.ram.base,
        };
        let mut boot = Boot {
            pieces: Vec::new(),
            notes: Vec::new(),
            first: First::Reset,
            symbols: Symbols::new(),
            initrd: None,
            start: site.ram.base,
            next: 0,
            end: 0,
        };
        let chosen = bios::choose(&config.bios, site.is64)?;
        let below = boot.firmware(&chosen, site, target)?;
        let align = ALIGN[usize::from(site.is64)];
        let free = below.checked_next_multiple_of(align).unwrap_or(u64::MAX);
        if let Some(kernel) = &config.kernel
            && boot.next == 0
        {
            boot.kernel(kernel, config, &chosen, Target { free, ..target })?;
        }
        if let Chosen::Builtin(_) = chosen {
            if boot.next == 0 && config.bios == Bios::Builtin {
                return Err(BoardError::Config("tern's own SBI has nothing to start: no kernel is given".to_owned()));
            }
            boot.first = if boot.next == 0 { First::Reset } else { First::Supervisor(boot.next) };
        }
        Ok(boot)
    }

    /// What runs first; where it ends.
    fn firmware(&mut self, chosen: &Chosen, site: &Site, target: Target) -> Result<u64, BoardError> {
        let mut below = site.ram.base;
        match chosen {
            Chosen::File(path) => {
                let (piece, image) = Piece::open("firmware", path, target)?;
                self.pieces.push(piece);
                self.start = image.entry;
                below = image.high;
                self.symbols.extend(image.symbols);
            }
            Chosen::Builtin(note) => {
                self.notes.extend(note.clone());
                below += BUILTIN;
            }
            Chosen::Nothing => {}
        }
        match (site.flash, chosen) {
            (Some(flash), Chosen::Nothing) => self.start = flash,
            // What is in flash is for supervisor mode, and finds the kernel by fw_cfg.
            (Some(flash), _) => self.next = flash,
            (None, _) => {}
        }
        Ok(below)
    }

    fn kernel(&mut self, path: &Path, config: &BoardConfig, chosen: &Chosen, target: Target) -> Result<(), BoardError> {
        let (piece, image) = Piece::open("kernel", path, target)?;
        self.pieces.push(piece);
        // As QEMU, firmware enters an ELF kernel at its lowest address: some have another entry for other boot loaders.
        let elf = image.kind == load::ELF;
        self.next = if elf { image.low } else { image.entry };
        if *chosen == Chosen::Nothing && !(image.low..image.high).contains(&self.start) {
            self.start = image.entry;
        }
        self.end = image.high;
        if let Some(initrd) = &config.initrd {
            self.ramdisk(initrd, &image, target)?;
        }
        self.symbols.extend(image.symbols);
        Ok(())
    }

    /// The initrd goes half-way up RAM, or 512 MiB: far from where the kernel unpacks itself.
    fn ramdisk(&mut self, path: &Path, kernel: &Image, target: Target) -> Result<(), BoardError> {
        let half = (target.ram_size / 2).min(512 * MIB);
        let free = (kernel.low + half).max(kernel.high.next_multiple_of(2 * MIB));
        let (piece, image) = Piece::open(INITRD, path, Target { free, ..target })?;
        self.initrd = Some(Range::new(image.low, image.high - image.low));
        self.end = image.high;
        self.pieces.push(piece);
        Ok(())
    }

    /// The machine's device tree with what the kernel wants to know of this boot: the board's own, or the user's.
    ///
    /// # Errors
    /// A broken file.
    pub fn tree(&self, config: &BoardConfig, own: impl FnOnce() -> Tree) -> Result<Tree, BoardError> {
        let mut tree = match &config.dtb {
            None => own(),
            Some(path) => {
                let bytes = tern_host::file::read_limited(path, MAX_DTB);
                let bytes = bytes.map_err(|e| BoardError::file("device tree", path, e))?;
                Tree::parse(&bytes).map_err(|e| BoardError::file("device tree", path, e))?
            }
        };
        let chosen = tree.root.child("chosen");
        if !config.append.is_empty() {
            chosen.string("bootargs", &config.append);
        }
        if let Some(initrd) = self.initrd {
            chosen.wide("linux,initrd-start", &[initrd.base]).wide("linux,initrd-end", &[initrd.end()]);
        }
        Ok(tree)
    }

    /// Where a device tree of this size goes: at the end of RAM.
    ///
    /// # Errors
    /// No room.
    pub fn tree_at(&self, site: &Site, size: u64) -> Result<u64, BoardError> {
        let end = site.ram.end();
        let end = if site.is64 || site.ram.base >= LIMIT_32 { end } else { end.min(LIMIT_32) };
        let at = end.checked_sub(size).map(|at| at & !(2 * MIB - 1)).filter(|at| *at >= self.end.max(site.ram.base));
        at.ok_or_else(|| {
            let size = site.ram.size / MIB;
            BoardError::NoRoom(format!("no room for the device tree after kernel and initrd in {size} MiB of RAM"))
        })
    }

    /// The contents of the reset vector's ROM at `rom`.
    #[must_use]
    pub fn rom(&self, dtb: u64, is64: bool) -> Vec<u8> {
        // Each hart: a0 its number, a1 the device tree, a2 what OpenSBI's fw_dynamic wants to know.
        const BEFORE: [u32; 3] = [
            0x0000_0297, // auipc t0, 0
            0x0282_8613, // addi a2, t0, 40
            0xf140_2573, // csrr a0, mhartid
        ];
        const LOADS: [[u32; 2]; 2] = [
            [0x0202_a583, 0x0182_a283], // lw a1, 32(t0); lw t0, 24(t0)
            [0x0202_b583, 0x0182_b283], // ld a1, 32(t0); ld t0, 24(t0)
        ];
        const JUMP: u32 = 0x0002_8067; // jr t0
        let code = BEFORE.iter().chain(&LOADS[usize::from(is64)]).chain([&JUMP]);
        let code = code.flat_map(|word| word.to_le_bytes());
        let places = [self.start, dtb].into_iter().flat_map(u64::to_le_bytes);
        // OpenSBI, include/sbi/fw_dynamic.h: magic, version, next address, next mode (S), options, boot hart.
        let info = [0x4942_534f, 2, self.next, 1, 0, 0];
        let width = if is64 { 8 } else { 4 };
        let info = info.iter().flat_map(|field: &u64| field.to_le_bytes().into_iter().take(width));
        code.chain(places).chain(info).collect()
    }

    /// Puts everything into memory, the device tree too.
    ///
    /// # Errors
    /// A file that has changed since.
    pub fn store(&mut self, space: &AddressSpace, dtb: &[u8], dtb_at: u64) -> Result<(), BoardError> {
        if self.first == First::Nothing {
            return Ok(());
        }
        for piece in &mut self.pieces {
            piece.store(space)?;
        }
        let stored = Bus::write(space, dtb_at, dtb);
        stored.map_err(|e| BoardError::NoRoom(format!("device tree: {e}")))
    }
}

#[cfg(test)]
mod tests;
