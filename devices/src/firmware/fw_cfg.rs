//! fw_cfg: named blobs that a board hands to firmware and kernels (QEMU's `docs/specs/fw_cfg.rst`; Linux binding
//! `qemu,fw-cfg-mmio`), memory-mapped, with the DMA interface.

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use tern_core::device::{BusError, Device, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "fw-cfg",
    aliases: &["fw_cfg", "fw_cfg_mem"],
    class: Class::Firmware,
    about: "fw_cfg: configuration blobs for firmware, with DMA (QEMU docs/specs/fw_cfg)",
    sample: |bench: &mut Bench| {
        let mut device = FwCfg::new(bench.kit("fw-cfg"));
        let items = [
            device.add_bytes(key::NB_CPUS, 4u16.to_le_bytes()),
            device.add_file("etc/sample", *b"sample"),
            device.add_writable_file("etc/written", [0; 8]),
        ];
        assert!(items.iter().all(Result::is_ok), "the sample's items fit");
        Box::new(device)
    },
};

/// Keys of items that have no name ("Selector (Control) Register", and QEMU's `qemu_fw_cfg.h`).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod key {
    pub const SIGNATURE: u16 = 0x00;
    pub const ID: u16 = 0x01;
    pub const UUID: u16 = 0x02;
    pub const RAM_SIZE: u16 = 0x03;
    pub const NOGRAPHIC: u16 = 0x04;
    pub const NB_CPUS: u16 = 0x05;
    pub const MACHINE_ID: u16 = 0x06;
    pub const KERNEL_ADDR: u16 = 0x07;
    pub const KERNEL_SIZE: u16 = 0x08;
    pub const KERNEL_CMDLINE: u16 = 0x09;
    pub const INITRD_ADDR: u16 = 0x0a;
    pub const INITRD_SIZE: u16 = 0x0b;
    pub const BOOT_DEVICE: u16 = 0x0c;
    pub const NUMA: u16 = 0x0d;
    pub const BOOT_MENU: u16 = 0x0e;
    pub const MAX_CPUS: u16 = 0x0f;
    pub const KERNEL_ENTRY: u16 = 0x10;
    pub const KERNEL_DATA: u16 = 0x11;
    pub const INITRD_DATA: u16 = 0x12;
    pub const CMDLINE_ADDR: u16 = 0x13;
    pub const CMDLINE_SIZE: u16 = 0x14;
    pub const CMDLINE_DATA: u16 = 0x15;
    pub const SETUP_ADDR: u16 = 0x16;
    pub const SETUP_SIZE: u16 = 0x17;
    pub const SETUP_DATA: u16 = 0x18;
    pub const FILE_DIR: u16 = 0x19;
    pub const FILE_FIRST: u16 = 0x20;
    /// Items of the architecture carry this bit.
    pub const ARCH_LOCAL: u16 = 0x8000;
    /// A legacy bit that selects the same item.
    pub const WRITE_CHANNEL: u16 = 0x4000;
}

/// Bits of the control word of a DMA descriptor ("Guest-side DMA Interface").
mod control {
    pub(super) const ERROR: u32 = 1;
    pub(super) const READ: u32 = 2;
    pub(super) const SKIP: u32 = 4;
    pub(super) const SELECT: u32 = 8;
    pub(super) const WRITE: u32 = 0x10;
}

const SIGNATURE: &[u8; 4] = b"QEMU";
const DMA_SIGNATURE: &[u8; 8] = b"QEMU CFG";
/// Traditional interface and DMA.
const FEATURES: u32 = 3;
/// Longest name in bytes; a zero byte follows it in the directory.
const NAME: usize = 55;
const FILES: usize = (key::WRITE_CHANNEL - key::FILE_FIRST) as usize;

registers! {
    static REGS: FwCfg, "fw-cfg", sizes [1, 2, 4, 8];
    0x00 area 8 DATA, "Data Register", read |d, at, size| d.read_data(at, size), write |d, at, _, _| d.write_data(at);
    0x08 SELECTOR 2 wo, "Selector (Control) Register", write |d, _, v| d.select((v as u16).swap_bytes());
    0x10 area 8 DMA, "Guest-side DMA Interface", read |_, at, size| bytes_at(DMA_SIGNATURE, at as usize, size),
        write |d, at, size, v| d.write_address(at, size, v);
}

/// Up to eight bytes from `at` on, as a load of them sees them; zeros follow the end.
fn bytes_at(bytes: &[u8], at: usize, size: Size) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take(size.bytes() as usize).enumerate().fold(0, |sum, (n, byte)| sum | u64::from(*byte) << (8 * n))
}

/// Why an item is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemError {
    /// The key is taken, belongs to a file, or is no key.
    Key(u16),
    /// The name is taken, empty, longer than 55 bytes, or has a zero byte.
    Name(String),
    /// The item has 4 GiB or more.
    Size(u64),
    /// There is no key left for another file.
    Full,
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItemError::Key(key) => write!(f, "fw_cfg key {key:#x} is taken or reserved"),
            ItemError::Name(name) => write!(f, "fw_cfg name `{name}` is taken, empty, or longer than {NAME} bytes"),
            ItemError::Size(size) => write!(f, "fw_cfg item of {size} bytes: the limit is 4 GiB"),
            ItemError::Full => f.write_str("fw_cfg has no room for another file"),
        }
    }
}

impl core::error::Error for ItemError {}

struct File {
    name: String,
    bytes: Rc<[u8]>,
    writable: bool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    selected: u16,
    offset: u32,
    /// High half of the descriptor's address, until the low half is written.
    dma_high: u32,
    /// Files that the guest has written to.
    written: BTreeMap<String, Vec<u8>>,
}

/// The device.
pub struct FwCfg {
    kit: Kit,
    /// Items without a name.
    items: BTreeMap<u16, Rc<[u8]>>,
    /// By name; the nth has key `FILE_FIRST` + n.
    files: Vec<File>,
    state: State,
}

impl FwCfg {
    /// One with nothing but its signature, features, and an empty directory.
    #[must_use]
    pub fn new(kit: Kit) -> FwCfg {
        let fixed: [(u16, Rc<[u8]>); 2] =
            [(key::SIGNATURE, Rc::from(*SIGNATURE)), (key::ID, Rc::from(FEATURES.to_le_bytes()))];
        let mut device = FwCfg { kit, items: BTreeMap::from(fixed), files: Vec::new(), state: State::default() };
        device.make_directory();
        device
    }

    /// Adds an item that is known by its key (numbers are little-endian by convention).
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn add_bytes(&mut self, key: u16, bytes: impl Into<Rc<[u8]>>) -> Result<(), ItemError> {
        let bytes = bytes.into();
        let own = key & !key::ARCH_LOCAL;
        let reserved = own & key::WRITE_CHANNEL != 0 || key >= key::FILE_FIRST && key & key::ARCH_LOCAL == 0;
        if reserved || self.items.contains_key(&key) {
            return Err(ItemError::Key(key));
        }
        check_size(&bytes)?;
        self.items.insert(key, bytes);
        Ok(())
    }

    /// Adds a file.  Files are ordered by name, so that the keys of others may change: add all before the machine runs.
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn add_file(&mut self, name: &str, bytes: impl Into<Rc<[u8]>>) -> Result<(), ItemError> {
        self.add(name, bytes.into(), false)
    }

    /// Adds a file that the guest may write to, within its size.
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn add_writable_file(&mut self, name: &str, bytes: impl Into<Rc<[u8]>>) -> Result<(), ItemError> {
        self.add(name, bytes.into(), true)
    }

    fn add(&mut self, name: &str, bytes: Rc<[u8]>, writable: bool) -> Result<(), ItemError> {
        let place = self.files.binary_search_by(|file| file.name.as_str().cmp(name));
        let (Err(place), 1..=NAME, false) = (place, name.len(), name.contains('\0')) else {
            return Err(ItemError::Name(name.to_owned()));
        };
        if self.files.len() >= FILES {
            return Err(ItemError::Full);
        }
        check_size(&bytes)?;
        self.files.insert(place, File { name: name.to_owned(), bytes, writable });
        self.make_directory();
        Ok(())
    }

    /// What is in a file now.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let n = self.files.binary_search_by(|file| file.name.as_str().cmp(name)).ok()?;
        Some(self.contents(&self.files[n]))
    }

    fn contents<'a>(&'a self, file: &'a File) -> &'a [u8] {
        self.state.written.get(&file.name).map_or(&file.bytes, Vec::as_slice)
    }

    /// "File Directory (Key 0x0019)".
    fn make_directory(&mut self) {
        let mut bytes = (self.files.len() as u32).to_be_bytes().to_vec();
        for (n, file) in self.files.iter().enumerate() {
            bytes.extend_from_slice(&(file.bytes.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&(key::FILE_FIRST + n as u16).to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
            let mut name = [0; NAME + 1];
            name[..file.name.len()].copy_from_slice(file.name.as_bytes());
            bytes.extend_from_slice(&name);
        }
        self.items.insert(key::FILE_DIR, bytes.into());
    }

    fn selected_file(&self) -> Option<&File> {
        self.files.get(usize::from(self.state.selected.checked_sub(key::FILE_FIRST)?))
    }

    /// What is left of the selected item.
    fn rest(&self) -> &[u8] {
        let item = match self.items.get(&self.state.selected) {
            Some(item) => item,
            None => self.selected_file().map_or(&[][..], |file| self.contents(file)),
        };
        item.get(self.state.offset as usize..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.state.offset += bytes.min(self.rest().len()) as u32;
    }

    fn select(&mut self, key: u16) {
        self.state.selected = key & !key::WRITE_CHANNEL;
        self.state.offset = 0;
    }

    /// The register keeps the order of the item's bytes, whatever the size of the access.
    fn read_data(&mut self, at: u64, size: Size) -> u64 {
        if at != 0 {
            self.kit.report.guest_error(format_args!("read of the data register at {at:#x}"));
            return 0;
        }
        let value = bytes_at(self.rest(), 0, size);
        self.advance(size.bytes() as usize);
        value
    }

    fn write_data(&mut self, at: u64) {
        self.kit.report.guest_error(format_args!("write to the data register at {at:#x}: only DMA writes"));
    }

    fn write_address(&mut self, at: u64, size: Size, value: u64) {
        match (at, size) {
            (0, Size::B8) => self.transfer(value.swap_bytes()),
            (0, Size::B4) => self.state.dma_high = (value as u32).swap_bytes(),
            (4, Size::B4) => {
                let low = (value as u32).swap_bytes();
                self.transfer(u64::from(self.state.dma_high) << 32 | u64::from(low));
            }
            _ => {
                let bytes = size.bytes();
                self.kit.report.guest_error(format_args!("{bytes}-byte write to the DMA address at {at}"));
            }
        }
    }

    /// Does what the descriptor at `at` says, and writes the result into its control word.
    fn transfer(&mut self, at: u64) {
        self.state.dma_high = 0;
        let result = match self.kit.dma.array::<16>(at) {
            Ok(descriptor) => self.command(descriptor),
            Err(e) => {
                self.kit.report.guest_error(format_args!("DMA descriptor: {e}"));
                control::ERROR
            }
        };
        if let Err(e) = self.kit.dma.write(at, &result.to_be_bytes()) {
            self.kit.report.guest_error(format_args!("result of DMA: {e}"));
        }
    }

    fn command(&mut self, descriptor: [u8; 16]) -> u32 {
        let word = |n: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| descriptor[4 * n + byte]));
        let (command, length) = (word(0), word(1));
        let address = u64::from(word(2)) << 32 | u64::from(word(3));
        if command & control::SELECT != 0 {
            self.select((command >> 16) as u16);
        }
        if command & control::READ != 0 {
            if let Err(e) = self.read_out(address, length as usize) {
                self.kit.report.guest_error(format_args!("DMA read: {e}"));
                return control::ERROR;
            }
            self.advance(length as usize);
        } else if command & control::WRITE != 0 {
            if !self.write_in(address, length as usize) {
                return control::ERROR;
            }
            self.advance(length as usize);
        } else if command & control::SKIP != 0 {
            self.advance(length as usize);
        }
        0
    }

    /// Copies the item to memory, and zeros after its end.
    fn read_out(&self, address: u64, length: usize) -> Result<(), BusError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let rest = self.rest();
        let mut done = rest.len().min(length);
        self.kit.dma.write(address, &rest[..done])?;
        while done < length {
            let n = ZEROS.len().min(length - done);
            let at = address.checked_add(done as u64).ok_or(BusError { addr: address })?;
            self.kit.dma.write(at, &ZEROS[..n])?;
            done += n;
        }
        Ok(())
    }

    /// Copies memory into the selected file; false and nothing done if that may not be.
    fn write_in(&mut self, address: u64, length: usize) -> bool {
        let fits = length <= self.rest().len();
        let file = self.selected_file().filter(|file| file.writable && fits);
        let Some((name, mut contents)) = file.map(|file| (file.name.clone(), self.contents(file).to_vec())) else {
            let (key, offset) = (self.state.selected, self.state.offset);
            self.kit.report.guest_error(format_args!("DMA write of {length} bytes to {offset:#x} of item {key:#x}"));
            return false;
        };
        let from = self.state.offset as usize;
        if let Err(e) = self.kit.dma.read(address, &mut contents[from..from + length]) {
            self.kit.report.guest_error(format_args!("DMA write: {e}"));
            return false;
        }
        self.state.written.insert(name, contents);
        true
    }
}

fn check_size(bytes: &[u8]) -> Result<(), ItemError> {
    if u32::try_from(bytes.len()).is_ok() { Ok(()) } else { Err(ItemError::Size(bytes.len() as u64)) }
}

impl Device for FwCfg {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "fw_cfg".into(), size: 0x18 }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn reset(&mut self) {
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        for (name, contents) in &state.written {
            let mut files = self.files.iter().filter(|file| file.writable && file.name == *name);
            let fits = files.next().is_some_and(|file| file.bytes.len() == contents.len());
            snapshot::check(fits, "written", || format!("no writable file {name} of {} bytes", contents.len()))?;
        }
        let before = core::mem::replace(&mut self.state, state);
        // An offset within the item, or at its end, keeps the sums of `advance` small.
        let offset = self.state.offset;
        self.state.offset = 0;
        let len = self.rest().len();
        self.state.offset = offset;
        let inside = snapshot::check(offset as usize <= len, "offset", || format!("{offset} of {len}"));
        if inside.is_err() {
            self.state = before;
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::RAM;

    fn device(bench: &mut Bench) -> FwCfg {
        let mut d = FwCfg::new(bench.kit("fw-cfg"));
        d.add_file("opt/b", *b"0123456789").unwrap();
        d.add_writable_file("etc/a", [7; 4]).unwrap();
        d.add_bytes(key::NB_CPUS, 4u16.to_le_bytes()).unwrap();
        d
    }

    fn select(d: &mut FwCfg, key: u16) {
        d.write(0, 8, Size::B2, key.swap_bytes().into());
    }

    /// Runs a descriptor with this control word, length and address; its control word afterwards.
    fn run(bench: &Bench, d: &mut FwCfg, command: u32, length: u32, address: u64) -> u32 {
        let descriptor = u128::from(command) << 96 | u128::from(length) << 64 | u128::from(address);
        bench.dma().write(RAM, &descriptor.to_be_bytes()).unwrap();
        d.write(0, 0x10, Size::B4, u64::from(((RAM >> 32) as u32).swap_bytes()));
        d.write(0, 0x14, Size::B4, u64::from((RAM as u32).swap_bytes()));
        u32::from_be_bytes(bench.dma().array(RAM).unwrap())
    }

    #[test]
    fn the_data_register_keeps_the_order_of_bytes() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(d.read(0, 0, Size::B4), u32::from_le_bytes(*b"QEMU").into());
        assert_eq!(d.read(0, 0, Size::B8), 0);
        select(&mut d, key::ID);
        assert_eq!((d.read(0, 0, Size::B1), d.read(0, 0, Size::B1)), (3, 0));
        select(&mut d, key::WRITE_CHANNEL | (key::FILE_FIRST + 1));
        assert_eq!(d.read(0, 0, Size::B8), u64::from_le_bytes(*b"01234567"));
        assert_eq!((d.read(0, 0, Size::B4), d.read(0, 0, Size::B1)), (0x3938, 0));
        select(&mut d, 0x7777);
        assert_eq!(d.read(0, 0, Size::B8), 0);
        assert_eq!(d.read(0, 0x10, Size::B8), u64::from_le_bytes(*b"QEMU CFG"));
        assert_eq!((d.read(0, 0x14, Size::B4), bench.guest_errors()), (u32::from_le_bytes(*b" CFG").into(), 0));
        assert_eq!((d.read(0, 1, Size::B1), bench.guest_errors()), (0, 1));
    }

    #[test]
    fn the_directory_is_sorted_by_name() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(run(&bench, &mut d, u32::from(key::FILE_DIR) << 16 | 0xa, 4 + 3 * 64, RAM + 0x100), 0);
        let dir: [u8; 4 + 3 * 64] = bench.dma().array(RAM + 0x100).unwrap();
        assert_eq!((&dir[..4], &dir[4..12], &dir[12..18]), (&[0, 0, 0, 2][..], &[0, 0, 0, 4, 0, 0x20, 0, 0][..], &b"etc/a\0"[..]));
        assert_eq!((&dir[68..76], &dir[76..82]), (&[0, 0, 0, 10, 0, 0x21, 0, 0][..], &b"opt/b\0"[..]));
        assert_eq!(dir[4 + 2 * 64..], [0; 64]);
    }

    #[test]
    fn dma_reads_skips_and_writes() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        bench.dma().write(RAM + 0x200, &[0xee; 16]).unwrap();
        assert_eq!(run(&bench, &mut d, 0x21 << 16 | 0xc, 3, 0), 0);
        assert_eq!(run(&bench, &mut d, 2, 9, RAM + 0x200), 0);
        assert_eq!(&bench.dma().array::<10>(RAM + 0x200).unwrap(), b"3456789\0\0\xee");
        assert_eq!(run(&bench, &mut d, 0x20 << 16 | 0x18, 4, RAM + 0x200), 0);
        assert_eq!((d.file("etc/a"), d.file("opt/b")), (Some(&b"3456"[..]), Some(&b"0123456789"[..])));
        let saved = d.save().unwrap();
        d.reset();
        assert_eq!(d.file("etc/a"), Some(&[7; 4][..]));
        d.load(&saved).unwrap();
        assert_eq!((d.file("etc/a"), bench.guest_errors()), (Some(&b"3456"[..]), 0));
    }

    #[test]
    fn mistakes_set_the_error_bit() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(run(&bench, &mut d, 0x20 << 16 | 0x18, 5, RAM), 1);
        assert_eq!(run(&bench, &mut d, 0x21 << 16 | 0x18, 1, RAM), 1);
        assert_eq!(run(&bench, &mut d, 0x20 << 16 | 0x18, 4, 0x10), 1);
        assert_eq!(run(&bench, &mut d, 0x21 << 16 | 0xa, 4, 0x10), 1);
        assert_eq!(run(&bench, &mut d, 0x21 << 16 | 0xa, u32::MAX, RAM + 0x1000), 1);
        assert_eq!(run(&bench, &mut d, 0x21 << 16 | 0xa, u32::MAX, u64::MAX - 20), 1);
        assert_eq!(bench.guest_errors(), 6);
        d.write(0, 0x10, Size::B8, 0x1000u64.swap_bytes());
        d.write(0, 0x10, Size::B2, 0);
        assert_eq!(bench.guest_errors(), 9);
        assert_eq!(d.file("etc/a"), Some(&[7; 4][..]));
    }

    #[test]
    fn items_that_cannot_be_are_refused() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        assert_eq!(d.add_file("etc/a", []), Err(ItemError::Name("etc/a".into())));
        assert!(d.add_file(&"n".repeat(56), []).is_err() && d.add_file("", []).is_err());
        assert!(d.add_file(&"n".repeat(55), []).is_ok());
        assert_eq!(d.add_bytes(key::NB_CPUS, []), Err(ItemError::Key(key::NB_CPUS)));
        assert!(d.add_bytes(key::FILE_FIRST, []).is_err() && d.add_bytes(0x4002, []).is_err());
        assert!(d.add_bytes(key::ARCH_LOCAL | 0x20, *b"e820").is_ok());
        select(&mut d, 0x8020);
        assert_eq!(d.read(0, 0, Size::B4), u32::from_le_bytes(*b"e820").into());
    }
}
