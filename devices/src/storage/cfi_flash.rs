//! Parallel NOR flash with the Intel command set (JEDEC JESD68 CFI, command set 0001h; Intel StrataFlash J3 data sheet
//! 290667), as QEMU's boards have it under the name `cfi.pflash01`.
//!
//! A bank is one or more chips side by side, each of which has a state of its own and sees its own lane of every access.
//! Programming and erasing are done when the command is.  Block locks are volatile and open at power-up.
//!
//! The contents are a block of memory that the guest reads directly while all chips are in array mode; snapshots save it
//! with the machine's memory, not with the device.  Changes go to the medium at once and are flushed when the guest
//! returns a chip to array mode, which ends every driver's operation.

use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tern_core::backend::{Block, BlockError};
use tern_core::device::{Device, Kit, Window};
use tern_core::mem::Size;
use tern_core::mem::space::{AddressSpace, RamBlock, Region};
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "cfi-flash",
    aliases: &["cfi.pflash01", "pflash"],
    class: Class::Storage,
    about: "CFI parallel NOR flash, Intel command set (JESD68; StrataFlash J3)",
    sample: |bench: &mut Bench| {
        let geometry = Geometry { sectors: 4, sector: 0x4_0000, chips: 2, width: 2 };
        let (kit, array) = (bench.kit("cfi-flash"), bench.flash(geometry.size()));
        Box::new(CfiFlash::new(kit, geometry, array, None).expect("without a medium nothing can be wrong with it"))
    },
};

/// Bytes of a chip's write buffer: 2^11 (CFI offset 2Ah).
const BUFFER_SHIFT: u32 = 11;
const BUFFER: u32 = 1 << BUFFER_SHIFT;
/// Identifier codes of a 28F128J3.
const MANUFACTURER: u8 = 0x89;
const DEVICE: u8 = 0x18;

/// Commands (table 4 of the data sheet).
mod command {
    pub(super) const READ_ARRAY: u8 = 0xff;
    pub(super) const READ_ID: u8 = 0x90;
    pub(super) const QUERY: u8 = 0x98;
    pub(super) const READ_STATUS: u8 = 0x70;
    pub(super) const CLEAR_STATUS: u8 = 0x50;
    pub(super) const WRITE_BUFFER: u8 = 0xe8;
    pub(super) const PROGRAM: u8 = 0x40;
    pub(super) const PROGRAM_TOO: u8 = 0x10;
    pub(super) const ERASE: u8 = 0x20;
    pub(super) const CONFIRM: u8 = 0xd0;
    pub(super) const SUSPEND: u8 = 0xb0;
    pub(super) const CONFIGURE: u8 = 0xb8;
    pub(super) const LOCK: u8 = 0x60;
    pub(super) const SET_LOCK: u8 = 0x01;
    /// What resets flash of the other command set: drivers try it on everything.
    pub(super) const RESET_AMD: u8 = 0xf0;
}

/// The status register (table 16).
mod status {
    pub(super) const LOCKED: u8 = 2;
    pub(super) const PROGRAM: u8 = 0x10;
    pub(super) const ERASE: u8 = 0x20;
    /// Both together: commands in a wrong order.
    pub(super) const SEQUENCE: u8 = PROGRAM | ERASE;
    pub(super) const READY: u8 = 0x80;
    /// What sticks until it is cleared.
    pub(super) const ERRORS: u8 = LOCKED | SEQUENCE;
}

registers! {
    static REGS: CfiFlash, "cfi-flash", sizes [1, 2, 4, 8];
    0x00 area 0x1_0000_0000 ARRAY, "JESD68 2", read |d, at, size| d.load_bytes(at, size),
        write |d, at, size, v| d.store_bytes(at, size, v);
}

/// How a bank is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Erase blocks of the bank.
    pub sectors: u32,
    /// Bytes of one, all chips together: a power of two.
    pub sector: u32,
    /// Chips side by side: 1, 2 or 4.
    pub chips: u32,
    /// Width of a chip in bytes: 1 or 2.
    pub width: u32,
}

impl Geometry {
    /// Bytes of the bank.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.sectors as u64 * self.sector as u64
    }

    /// Bytes from one word of a chip to its next.
    fn stride(self) -> u32 {
        self.chips * self.width
    }

    fn check(self, block: &RamBlock) -> Result<(), FlashError> {
        let buffers = u64::from(BUFFER) * u64::from(self.chips.max(1));
        let shape = matches!(self.chips, 1 | 2 | 4)
            && matches!(self.width, 1 | 2)
            && self.sector.is_power_of_two()
            && u64::from(self.sector) >= buffers
            && (1..=0x1_0000).contains(&self.sectors)
            && self.size() < 1 << 32;
        if shape && block.size() == self.size() { Ok(()) } else { Err(FlashError::Geometry(self)) }
    }

    /// The chip's answer to a query, by word ("CFI query", JESD68 section 2; values as of QEMU's chips).
    fn query(self, word: u32) -> u8 {
        let block = self.sector / self.chips;
        let (size_shift, blocks) = ((u64::from(block) * u64::from(self.sectors)).max(1).ilog2(), self.sectors - 1);
        match word {
            0x10..=0x12 => b"QRY"[word as usize - 0x10],
            // Command set 1, extended table at 31h, no alternates.
            0x13 => 1,
            0x15 => 0x31,
            // Supply of 4.5 to 5.5 V.
            0x1b => 0x45,
            0x1c => 0x55,
            // Typical times: 2^7 us a word, 2^7 us a buffer, 2^10 ms a block; at most 2^4 times as long.
            0x1f | 0x20 => 7,
            0x21 => 10,
            0x23..=0x25 => 4,
            0x27 => size_shift as u8,
            0x28 => if self.width == 1 { 0 } else { 2 },
            0x2a => BUFFER_SHIFT as u8,
            // One region of equal blocks.
            0x2c => 1,
            0x2d => blocks as u8,
            0x2e => (blocks >> 8) as u8,
            0x2f => (block >> 8) as u8,
            0x30 => (block >> 16) as u8,
            0x31..=0x35 => b"PRI10"[word as usize - 0x31],
            // Instant individual block locking, of which the lock bit can be read.
            0x36 => 0x20,
            0x3b => 1,
            0x3d => 0x50,
            0x3f => 1,
            _ => 0,
        }
    }
}

/// Why a bank cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlashError {
    /// No bank is made like this, or the memory has another size.
    Geometry(Geometry),
    /// The medium has another size: wanted, found.
    Size(u64, u64),
    /// The medium cannot be read.
    Medium(BlockError),
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlashError::Geometry(g) => write!(f, "flash: {g:?} is no possible bank for its memory"),
            FlashError::Size(wanted, found) => write!(f, "flash needs an image of {wanted} bytes, this one has {found}"),
            FlashError::Medium(e) => write!(f, "flash image: {e}"),
        }
    }
}

impl core::error::Error for FlashError {}

/// The memory of a bank, and its region, which the guest reads directly or not.
#[derive(Clone)]
pub struct Array {
    /// The memory.
    pub block: RamBlock,
    /// Where the region is.
    pub space: AddressSpace,
    /// A ROM device ([`AddressSpace::rom_device`]) over the memory.
    pub region: Region,
}

/// What a chip answers to reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mode {
    Array,
    Status,
    Id,
    Query,
}

/// What a chip takes the next write for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Expect {
    Command,
    Data,
    EraseConfirm,
    LockConfirm,
    Configuration,
    BufferCount,
    /// So many words more.
    BufferData(u16),
    BufferConfirm,
}

/// A word to be programmed: its number in the chip, data, and which bits were written.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Word {
    number: u32,
    data: u16,
    mask: u16,
}

#[derive(Clone, Serialize, Deserialize)]
struct Chip {
    mode: Mode,
    expect: Expect,
    status: u8,
    /// Locked blocks.
    locked: BTreeSet<u32>,
    buffer: Vec<Word>,
}

impl Chip {
    fn new() -> Chip {
        let (mode, expect) = (Mode::Array, Expect::Command);
        Chip { mode, expect, status: 0, locked: BTreeSet::new(), buffer: Vec::new() }
    }

    /// An operation has ended: the chip shows how.
    fn done(&mut self, result: Result<(), u8>) {
        (self.mode, self.expect) = (Mode::Status, Expect::Command);
        self.buffer.clear();
        self.status |= result.err().unwrap_or(0);
    }
}

/// The device.
pub struct CfiFlash {
    kit: Kit,
    geometry: Geometry,
    array: Array,
    medium: Option<Box<dyn Block>>,
    /// The medium was written and not flushed since.
    unflushed: bool,
    chips: Vec<Chip>,
}

impl CfiFlash {
    /// A new bank with the contents of `medium`, or without one with what is in its memory.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn new(
        kit: Kit,
        geometry: Geometry,
        array: Array,
        medium: Option<Box<dyn Block>>,
    ) -> Result<CfiFlash, FlashError> {
        geometry.check(&array.block)?;
        let chips = vec![Chip::new(); geometry.chips as usize];
        let mut device = CfiFlash { kit, geometry, array, medium, unflushed: false, chips };
        device.fill()?;
        Ok(device)
    }

    /// Copies the medium into the memory, except for zeros, which are there already.
    fn fill(&mut self) -> Result<(), FlashError> {
        let Some(medium) = &mut self.medium else { return Ok(()) };
        let size = self.geometry.size();
        if medium.size() != size {
            return Err(FlashError::Size(size, medium.size()));
        }
        let mut buf = vec![0; 0x1_0000];
        let mut at = 0;
        while at < size {
            let n = (size - at).min(buf.len() as u64) as usize;
            medium.read(at, &mut buf[..n]).map_err(FlashError::Medium)?;
            if buf[..n].iter().any(|byte| *byte != 0) && !self.array.block.write(at, &buf[..n]) {
                return Err(FlashError::Geometry(self.geometry));
            }
            at += n as u64;
        }
        Ok(())
    }

    /// Reads go to the memory while every chip shows it.
    fn show(&self) {
        let direct = self.chips.iter().all(|chip| chip.mode == Mode::Array);
        self.array.space.set_direct(self.array.region, direct);
    }

    /// Number of the block that a chip's word is in.
    fn block_of(&self, word: u32) -> u32 {
        (u64::from(word) * u64::from(self.geometry.stride()) / u64::from(self.geometry.sector)) as u32
    }

    /// One byte as chip and access see it.
    fn load_byte(&self, at: u64) -> u8 {
        let g = self.geometry;
        let (lane, word) = ((at as u32 / g.width) % g.chips, at as u32 / g.stride());
        let (chip, high) = (&self.chips[lane as usize], !(at as u32).is_multiple_of(g.width));
        let value = match chip.mode {
            Mode::Array => {
                let mut byte = [0];
                let _ = self.array.block.read(at, &mut byte);
                return byte[0];
            }
            Mode::Status => chip.status | status::READY,
            Mode::Query => g.query(word),
            // Codes and lock bits are repeated in every block ("Read Identifier Codes").
            Mode::Id => match (word % (g.sector / g.stride())) & 0xff {
                0 => MANUFACTURER,
                1 => DEVICE,
                2 => u8::from(chip.locked.contains(&self.block_of(word))),
                _ => 0,
            },
        };
        if high { 0 } else { value }
    }

    fn inside(&self, at: u64, size: Size) -> bool {
        let inside = at < self.geometry.size() && size.bytes() <= self.geometry.size() - at;
        if !inside {
            self.kit.report.guest_error(format_args!("{}-byte access at {at:#x}, beyond the end", size.bytes()));
        }
        inside
    }

    fn load_bytes(&mut self, at: u64, size: Size) -> u64 {
        if !self.inside(at, size) {
            return 0;
        }
        (0..size.bytes()).fold(0, |sum, n| sum | u64::from(self.load_byte(at + n)) << (8 * n))
    }

    fn store_bytes(&mut self, at: u64, size: Size, value: u64) {
        if !self.inside(at, size) {
            return;
        }
        let g = self.geometry;
        let mut done = 0;
        while done < size.bytes() {
            let place = (at + done) as u32;
            let (lane, word, skip) = ((place / g.width) % g.chips, place / g.stride(), place % g.width);
            let bytes = u64::from(g.width - skip).min(size.bytes() - done);
            let mask = ((1u32 << (8 * bytes)) - 1) << (8 * skip);
            let data = ((value >> (8 * done)) as u32) << (8 * skip) & mask;
            self.store_word(lane as usize, Word { number: word, data: data as u16, mask: mask as u16 });
            done += bytes;
        }
        self.show();
    }

    /// One write to one chip.
    fn store_word(&mut self, lane: usize, word: Word) {
        let code = (word.mask & 0xff == 0xff).then_some(word.data as u8);
        match self.chips[lane].expect {
            // Drivers that look for narrower chips write to high bytes, where no commands are: that is no mistake.
            Expect::Command => {
                if let Some(code) = code {
                    self.command(lane, code);
                }
            }
            Expect::Data => {
                let result = self.program(lane, &[word]);
                self.chips[lane].done(result);
            }
            Expect::EraseConfirm => self.confirm(lane, code, command::CONFIRM, |d| d.erase(lane, word.number)),
            Expect::LockConfirm => {
                let (lock, block) = (code == Some(command::SET_LOCK), self.block_of(word.number));
                let wanted = if lock { command::SET_LOCK } else { command::CONFIRM };
                self.confirm(lane, code, wanted, |d| {
                    let locked = &mut d.chips[lane].locked;
                    let _ = if lock { locked.insert(block) } else { locked.remove(&block) };
                    Ok(())
                });
            }
            // How the status pin behaves, which leads nowhere.
            Expect::Configuration => self.chips[lane].done(Ok(())),
            Expect::BufferCount => {
                let words = (BUFFER / self.geometry.width) as u16;
                if word.data < words {
                    self.chips[lane].expect = Expect::BufferData(word.data + 1);
                } else {
                    self.wrong(lane, "count", word.data);
                }
            }
            Expect::BufferData(left) => self.fill_buffer(lane, word, left),
            Expect::BufferConfirm => {
                let words = core::mem::take(&mut self.chips[lane].buffer);
                self.confirm(lane, code, command::CONFIRM, |d| d.program(lane, &words));
            }
        }
    }

    fn command(&mut self, lane: usize, code: u8) {
        let setup = |mode, expect| (mode, expect);
        let (mode, expect) = match code {
            command::READ_ARRAY | command::RESET_AMD => {
                self.flush(lane);
                setup(Mode::Array, Expect::Command)
            }
            command::READ_ID => setup(Mode::Id, Expect::Command),
            command::QUERY => setup(Mode::Query, Expect::Command),
            // Nothing takes long enough to be suspended or resumed.
            command::READ_STATUS | command::SUSPEND | command::CONFIRM => setup(Mode::Status, Expect::Command),
            command::CLEAR_STATUS => {
                self.chips[lane].status = 0;
                setup(Mode::Array, Expect::Command)
            }
            command::PROGRAM | command::PROGRAM_TOO => setup(Mode::Status, Expect::Data),
            command::ERASE => setup(Mode::Status, Expect::EraseConfirm),
            command::LOCK => setup(Mode::Status, Expect::LockConfirm),
            command::CONFIGURE => setup(Mode::Status, Expect::Configuration),
            command::WRITE_BUFFER => setup(Mode::Status, Expect::BufferCount),
            _ => {
                self.kit.report.guest_error(format_args!("unknown command {code:#x}"));
                setup(Mode::Array, Expect::Command)
            }
        };
        (self.chips[lane].mode, self.chips[lane].expect) = (mode, expect);
    }

    /// Does `what` if the second write of a sequence is the one that it wants.
    fn confirm(&mut self, lane: usize, code: Option<u8>, wanted: u8, what: impl FnOnce(&mut Self) -> Result<(), u8>) {
        if code == Some(wanted) {
            let result = what(self);
            self.chips[lane].done(result);
        } else {
            self.wrong(lane, "confirmation", code.unwrap_or(0).into());
            if code == Some(command::READ_ARRAY) {
                self.command(lane, command::READ_ARRAY);
            }
        }
    }

    /// The guest has written something else than its command asked for.
    fn wrong(&mut self, lane: usize, what: &str, value: u16) {
        self.kit.report.guest_error(format_args!("unexpected {what} {value:#x}"));
        self.chips[lane].done(Err(status::SEQUENCE));
    }

    fn fill_buffer(&mut self, lane: usize, word: Word, left: u16) {
        let page = BUFFER / self.geometry.width;
        let chip = &mut self.chips[lane];
        if chip.buffer.first().is_some_and(|first| first.number / page != word.number / page) {
            return self.wrong(lane, "word outside of the buffer", word.data);
        }
        chip.buffer.push(word);
        chip.expect = if left > 1 { Expect::BufferData(left - 1) } else { Expect::BufferConfirm };
    }

    /// Clears the bits that are zero in `words`, which lie in one block.
    fn program(&mut self, lane: usize, words: &[Word]) -> Result<(), u8> {
        let g = self.geometry;
        let first = words.iter().map(|word| word.number).min().unwrap_or(0);
        let last = words.iter().map(|word| word.number).max().unwrap_or(0);
        let (start, len) = (u64::from(first) * u64::from(g.stride()), (last - first + 1) * g.stride());
        self.change(lane, first, (start, len), status::PROGRAM, |bytes| {
            for word in words {
                let at = ((word.number - first) * g.stride() + lane as u32 * g.width) as usize;
                let bits = (word.data | !word.mask).to_le_bytes();
                for (byte, bits) in bytes[at..at + g.width as usize].iter_mut().zip(bits) {
                    *byte &= bits;
                }
            }
        })
    }

    /// Sets all bits of the block that holds `word`.
    fn erase(&mut self, lane: usize, word: u32) -> Result<(), u8> {
        let g = self.geometry;
        let start = u64::from(self.block_of(word)) * u64::from(g.sector);
        self.change(lane, word, (start, g.sector), status::ERASE, |bytes| {
            for own in bytes.chunks_exact_mut(g.width as usize).skip(lane).step_by(g.chips as usize) {
                own.fill(0xff);
            }
        })
    }

    /// Changes bytes of the block that holds `word`, on the medium and in memory; `error` if that fails.
    fn change(
        &mut self,
        lane: usize,
        word: u32,
        (start, len): (u64, u32),
        error: u8,
        what: impl FnOnce(&mut [u8]),
    ) -> Result<(), u8> {
        let fixed = self.medium.as_ref().is_some_and(|medium| medium.read_only());
        if fixed || self.chips[lane].locked.contains(&self.block_of(word)) {
            return Err(error | status::LOCKED);
        }
        let mut bytes = vec![0; len as usize];
        if !self.array.block.read(start, &mut bytes) {
            return Err(error);
        }
        what(&mut bytes);
        if let Some(medium) = &mut self.medium {
            medium.write(start, &bytes).map_err(|_| error)?;
            self.unflushed = true;
        }
        if self.array.block.write(start, &bytes) { Ok(()) } else { Err(error) }
    }

    fn flush(&mut self, lane: usize) {
        let Some(medium) = self.medium.as_mut().filter(|_| self.unflushed) else { return };
        if medium.flush().is_err() {
            self.chips[lane].status |= status::PROGRAM;
        }
        self.unflushed = false;
    }

    fn check_chip(&self, chip: &Chip) -> Result<(), StateError> {
        let (words, sectors) = (BUFFER / self.geometry.width, self.geometry.sectors);
        snapshot::check(chip.status & !status::ERRORS == 0, "status", || format!("bits {:#x}", chip.status))?;
        let beyond = chip.locked.iter().find(|block| **block >= sectors);
        snapshot::check(beyond.is_none(), "locked", || format!("block {beyond:?} of {sectors}"))?;
        let wait = if let Expect::BufferData(left) = chip.expect { left.into() } else { 0 };
        let filling = matches!(chip.expect, Expect::BufferData(1..) | Expect::BufferConfirm) || chip.buffer.is_empty();
        let fits = filling && chip.buffer.len() + wait as usize <= words as usize;
        snapshot::check(fits, "buffer", || format!("{} words while {:?}", chip.buffer.len(), chip.expect))?;
        let page = chip.buffer.first().map_or(0, |word| word.number / words);
        let limit = (self.geometry.size() / u64::from(self.geometry.stride())) as u32;
        let stray = chip.buffer.iter().find(|word| word.number / words != page || word.number >= limit);
        snapshot::check(stray.is_none(), "buffer", || format!("a word for {:#x}", stray.map_or(0, |word| word.number)))
    }
}

impl Device for CfiFlash {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: self.array.block.name().into(), size: self.geometry.size() }]
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
        self.chips.fill(Chip::new());
        self.show();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.chips)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let chips: Vec<Chip> = snapshot::load(PART.name, 1, bytes)?;
        let (saved, here) = (chips.len(), self.chips.len());
        snapshot::check(saved == here, "chips", || format!("{saved}, this bank has {here}"))?;
        chips.iter().try_for_each(|chip| self.check_chip(chip))?;
        self.chips = chips;
        self.show();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;
    use tern_core::mem::Access;

    const GEOMETRY: Geometry = Geometry { sectors: 4, sector: 0x4_0000, chips: 2, width: 2 };
    const SECTOR: u64 = 0x4_0000;

    /// A medium that can be looked at while the device has it.
    #[derive(Default)]
    struct Shared {
        bytes: Vec<u8>,
        flushes: usize,
        fixed: bool,
    }

    struct Medium(Rc<RefCell<Shared>>);

    impl Block for Medium {
        fn size(&self) -> u64 {
            self.0.borrow().bytes.len() as u64
        }

        fn read_only(&self) -> bool {
            self.0.borrow().fixed
        }

        fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
            buf.copy_from_slice(&self.0.borrow().bytes[offset as usize..][..buf.len()]);
            Ok(())
        }

        fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
            self.0.borrow_mut().bytes[offset as usize..][..buf.len()].copy_from_slice(buf);
            Ok(())
        }

        fn flush(&mut self) -> Result<(), BlockError> {
            self.0.borrow_mut().flushes += 1;
            Ok(())
        }

        fn discard(&mut self, _offset: u64, _len: u64) -> Result<(), BlockError> {
            Err(BlockError::Unsupported)
        }

        fn write_zeroes(&mut self, _offset: u64, _len: u64, _unmap: bool) -> Result<(), BlockError> {
            Err(BlockError::Unsupported)
        }
    }

    fn flash(bench: &mut Bench) -> (CfiFlash, Rc<RefCell<Shared>>) {
        let bytes = (0..GEOMETRY.size()).map(|n| n as u8).collect();
        let shared = Rc::new(RefCell::new(Shared { bytes, ..Shared::default() }));
        let (kit, array) = (bench.kit("cfi-flash"), bench.flash(GEOMETRY.size()));
        (CfiFlash::new(kit, GEOMETRY, array, Some(Box::new(Medium(shared.clone())))).unwrap(), shared)
    }

    fn get(d: &mut CfiFlash, at: u64) -> u32 {
        d.read(0, at, Size::B4) as u32
    }

    fn put(d: &mut CfiFlash, at: u64, values: &[u32]) {
        for value in values {
            d.write(0, at, Size::B4, (*value).into());
        }
    }

    fn is_direct(d: &CfiFlash) -> bool {
        let addr = d.array.space.clone().page(0, Access::Load).unwrap();
        !addr.span.is_empty()
    }

    #[test]
    fn chips_identify_themselves_and_answer_queries() {
        let mut bench = Bench::new();
        let (mut d, _) = flash(&mut bench);
        assert_eq!((get(&mut d, 4), is_direct(&d)), (0x0706_0504, true));
        put(&mut d, 0x154, &[0x0098_0098]);
        let qry: Vec<u32> = (0x10..0x13).map(|n| get(&mut d, 4 * n)).collect();
        assert_eq!((qry, is_direct(&d)), (vec![0x51_0051, 0x52_0052, 0x59_0059], false));
        // 512 KiB a chip, four blocks of 128 KiB, buffers of 2 KiB.
        let table: Vec<u32> = (0x27..0x31).map(|n| get(&mut d, 4 * n) & 0xffff).collect();
        assert_eq!(table, [19, 2, 0, 11, 0, 1, 3, 0, 0, 2]);
        put(&mut d, 0, &[0x90_0090]);
        assert_eq!((get(&mut d, 0), get(&mut d, 4), get(&mut d, SECTOR + 8)), (0x89_0089, 0x18_0018, 0));
        put(&mut d, 0, &[0xff_00ff]);
        assert_eq!((get(&mut d, 4), is_direct(&d), bench.guest_errors()), (0x0706_0504, true, 0));
    }

    #[test]
    fn programming_clears_bits_and_erasing_sets_them() {
        let mut bench = Bench::new();
        let (mut d, medium) = flash(&mut bench);
        put(&mut d, 0x104, &[0x40_0040, 0xf0f0_ffff]);
        assert_eq!(get(&mut d, 0), 0x80_0080);
        assert_eq!(medium.borrow().flushes, 0);
        put(&mut d, 0, &[0xff_00ff]);
        assert_eq!((get(&mut d, 0x104), medium.borrow().flushes), (0x0000_0504, 1));
        assert_eq!(medium.borrow().bytes[0x104..0x109], [4, 5, 0, 0, 8]);
        put(&mut d, SECTOR + 0x200, &[0x20_0020, 0xd0_00d0, 0xff_00ff]);
        assert_eq!((get(&mut d, SECTOR - 4), get(&mut d, SECTOR), get(&mut d, 2 * SECTOR)), (0xfffe_fdfc, u32::MAX, 0x0302_0100));
        assert!(medium.borrow().bytes[SECTOR as usize..2 * SECTOR as usize].iter().all(|byte| *byte == 0xff));
        assert_eq!(bench.guest_errors(), 0);
    }

    #[test]
    fn each_chip_keeps_to_its_lane() {
        let mut bench = Bench::new();
        let (mut d, _) = flash(&mut bench);
        d.write(0, 2, Size::B2, 0x70);
        assert_eq!((get(&mut d, 4), is_direct(&d)), (0x0080_0504, false));
        d.write(0, 2, Size::B2, 0xff);
        d.write(0, 0, Size::B2, 0x20);
        d.write(0, 0, Size::B2, 0xd0);
        d.write(0, 0, Size::B1, 0xff);
        assert_eq!((get(&mut d, 4), is_direct(&d)), (0x0706_ffff, true));
        d.write(0, 1, Size::B1, 0x70);
        assert_eq!((bench.guest_errors(), is_direct(&d)), (0, true));
    }

    #[test]
    fn buffers_are_written_at_once_and_within_their_bounds() {
        let mut bench = Bench::new();
        let (mut d, medium) = flash(&mut bench);
        put(&mut d, 0, &[0x20_0020, 0xd0_00d0, 0xe8_00e8]);
        assert_eq!(get(&mut d, 0), 0x80_0080);
        put(&mut d, 0, &[0x1_0001]);
        put(&mut d, 0x20, &[0x1111_2222]);
        put(&mut d, 0x24, &[0x3333_4444]);
        assert_eq!(medium.borrow().bytes[0x20], 0xff);
        put(&mut d, 0, &[0xd0_00d0, 0xff_00ff]);
        assert_eq!((get(&mut d, 0x20), get(&mut d, 0x24), get(&mut d, 0x28)), (0x1111_2222, 0x3333_4444, u32::MAX));
        // Too long, out of the buffer, not confirmed.
        put(&mut d, 0, &[0xe8_00e8, 1024 << 16 | 1024]);
        assert_eq!((get(&mut d, 0), bench.guest_errors()), (0xb0_00b0, 2));
        put(&mut d, 0, &[0x50_0050, 0xe8_00e8, 0x1_0001, 0]);
        put(&mut d, 0x1000, &[0]);
        assert_eq!((get(&mut d, 0), bench.guest_errors()), (0xb0_00b0, 4));
        put(&mut d, 0, &[0x50_0050, 0xe8_00e8, 0, 0, 0x1_0001]);
        assert_eq!((get(&mut d, 0), bench.guest_errors()), (0xb0_00b0, 6));
        put(&mut d, 0, &[0x50_0050, 0x20_0020, 0xff_00ff]);
        assert_eq!((get(&mut d, 0), bench.guest_errors()), (u32::MAX, 8));
    }

    #[test]
    fn locked_blocks_and_fixed_media_stay_as_they_are() {
        let mut bench = Bench::new();
        let (mut d, medium) = flash(&mut bench);
        put(&mut d, SECTOR, &[0x60_0060, 0x01_0001, 0x90_0090]);
        assert_eq!((get(&mut d, 8), get(&mut d, SECTOR + 8)), (0, 0x1_0001));
        put(&mut d, SECTOR + 4, &[0x40_0040, 0]);
        assert_eq!(get(&mut d, 0), 0x92_0092);
        put(&mut d, SECTOR, &[0x50_0050, 0x60_0060, 0xd0_00d0, 0x20_0020, 0xd0_00d0]);
        assert_eq!(get(&mut d, 0), 0x80_0080);
        medium.borrow_mut().fixed = true;
        put(&mut d, 0, &[0x20_0020, 0xd0_00d0]);
        assert_eq!(get(&mut d, 0), 0xa2_00a2);
        put(&mut d, 0, &[0xff_00ff]);
        assert_eq!((get(&mut d, 4), get(&mut d, SECTOR + 4), bench.guest_errors()), (0x0706_0504, u32::MAX, 0));
    }

    #[test]
    fn banks_that_cannot_be_are_refused() {
        let mut bench = Bench::new();
        let (kit, array) = (bench.kit("cfi-flash"), bench.flash(GEOMETRY.size()));
        let make = |geometry, medium| CfiFlash::new(kit.clone(), geometry, array.clone(), medium).err();
        let odd = Geometry { chips: 3, ..GEOMETRY };
        assert_eq!(make(odd, None), Some(FlashError::Geometry(odd)));
        let small = Geometry { sectors: 2, ..GEOMETRY };
        assert_eq!(make(small, None), Some(FlashError::Geometry(small)));
        assert_eq!(make(GEOMETRY, Some(bench.disk(512))), Some(FlashError::Size(GEOMETRY.size(), 512)));
        assert!(make(GEOMETRY, Some(bench.disk(GEOMETRY.size() as usize))).is_none());
    }
}
