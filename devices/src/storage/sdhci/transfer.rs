//! Transfers of an SD host controller: by the buffer register, SDMA, and ADMA2 (SD Host Controller 3.00, 1.4, 1.5, 1.13).

use super::regs::{
    ERR_ADMA, ERR_DATA_TIMEOUT, GAP_STOP, INT_DATA, INT_DMA, INT_GAP, INT_ROOM, INT_TRANSFER, MODE_AUTO_12, MODE_COUNT,
    MODE_DMA, MODE_MULTI, MODE_READ, Phase,
};
use super::{EVENT_TRANSFER, Sdhci};
use crate::pci::config::command;
use tern_core::mem::Size;

/// Most bytes and descriptors of a transfer before the guest runs on for [`PAUSE`] ns.
const BATCH: usize = 1 << 20;
const DESCRIPTORS: usize = 64;
const PAUSE: u64 = 1000;

/// ADMA errors (2.2.30): length mismatch; the state: fetching a descriptor, transferring.
const ADMA_LENGTH: u8 = 1 << 2;
const ADMA_FETCH: u8 = 1;
const ADMA_TRANSFER: u8 = 3;

/// Attributes of a descriptor (1.13.4): valid, end, interrupt; nothing, transfer, link.
const VALID: u16 = 1;
const END: u16 = 1 << 1;
const INTERRUPT: u16 = 1 << 2;
const ACTION: u16 = 3 << 4;
const ACTION_TRANSFER: u16 = 2 << 4;
const ACTION_LINK: u16 = 3 << 4;

/// A descriptor.
struct Descriptor {
    attributes: u16,
    len: usize,
    address: u64,
    /// Where the next one is.
    next: u64,
}

impl Sdhci {
    fn is_reading(&self) -> bool {
        self.regs.mode & MODE_READ != 0
    }

    fn uses_dma(&self) -> bool {
        self.regs.mode & MODE_DMA != 0
    }

    /// Begins the transfer of a command.
    pub(super) fn start(&mut self) {
        if self.regs.mode & (MODE_MULTI | MODE_COUNT) == MODE_MULTI | MODE_COUNT && self.regs.count == 0 {
            return self.regs.raise(INT_TRANSFER);
        }
        let ready = self.card.as_ref().is_some_and(|c| if self.is_reading() { c.is_sending() } else { c.is_receiving() });
        if !ready {
            // The card has refused: no data comes.
            return self.regs.raise(ERR_DATA_TIMEOUT);
        }
        self.regs.phase = Phase::Moving;
        self.regs.at = 0;
        let len = self.regs.block_len();
        self.regs.buffer.clear();
        self.regs.buffer.resize(len, 0);
        self.go_on();
    }

    /// A transfer that moves, at the begin of a block.
    pub(super) fn go_on(&mut self) {
        if self.uses_dma() {
            return self.transfer();
        }
        if self.is_reading() {
            self.fill();
            self.regs.raise(INT_DATA);
        } else {
            self.regs.raise(INT_ROOM);
        }
    }

    /// A block from the card.
    fn fill(&mut self) {
        if let Some(card) = &mut self.card {
            card.take(&mut self.regs.buffer);
        }
    }

    /// A block has been moved: counts it; is there another one?
    fn block_done(&mut self) -> bool {
        self.regs.at = 0;
        if !self.is_reading()
            && let Some(card) = &mut self.card
        {
            card.put(&self.regs.buffer);
        }
        let counted = self.regs.mode & MODE_COUNT != 0;
        if counted && self.regs.mode & MODE_MULTI != 0 {
            self.regs.count = self.regs.count.saturating_sub(1);
        }
        if self.regs.mode & MODE_MULTI == 0 || (counted && self.regs.count == 0) {
            self.finish();
            return false;
        }
        if self.regs.gap & GAP_STOP != 0 {
            self.regs.phase = Phase::Gap;
            self.regs.raise(INT_GAP | INT_TRANSFER);
            return false;
        }
        true
    }

    /// The transfer is complete.
    fn finish(&mut self) {
        let auto = self.regs.mode & (MODE_MULTI | MODE_AUTO_12 << 1 | MODE_AUTO_12) == MODE_MULTI | MODE_AUTO_12;
        self.regs.stop();
        if auto {
            self.auto_stop();
        }
        self.regs.raise(INT_TRANSFER);
    }

    /// Is the buffer register usable?
    fn buffered(&self, reading: bool) -> bool {
        let usable = self.regs.phase == Phase::Moving && !self.uses_dma() && self.is_reading() == reading;
        if !usable {
            self.kit.report.guest_error(format_args!("the buffer is accessed while nothing is in it"));
        }
        usable
    }

    pub(super) fn read_buffer(&mut self, size: Size) -> u64 {
        let mut value = 0;
        if !self.buffered(true) {
            return 0;
        }
        for n in 0..size.bytes() {
            let byte = self.regs.buffer.get(self.regs.at as usize).copied().unwrap_or(0);
            value |= u64::from(byte) << (8 * n);
            self.regs.at += 1;
            if self.regs.at as usize >= self.regs.buffer.len() {
                if self.block_done() {
                    self.go_on();
                }
                break;
            }
        }
        value
    }

    pub(super) fn write_buffer(&mut self, size: Size, value: u64) {
        if !self.buffered(false) {
            return;
        }
        for byte in value.to_le_bytes().into_iter().take(size.bytes() as usize) {
            if let Some(cell) = self.regs.buffer.get_mut(self.regs.at as usize) {
                *cell = byte;
            }
            self.regs.at += 1;
            if self.regs.at as usize >= self.regs.buffer.len() {
                if self.block_done() {
                    self.go_on();
                }
                break;
            }
        }
    }

    /// Moves data by DMA, as long as there is some, but not too much at a time.
    pub(super) fn transfer(&mut self) {
        if self.regs.phase != Phase::Moving || !self.uses_dma() {
            return;
        }
        match self.regs.control >> 3 & 3 {
            0 => self.sdma(),
            2 => self.adma(false),
            3 => self.adma(true),
            _ => {
                self.kit.report.unimplemented(format_args!("ADMA1, which version 2 has dropped"));
                self.fail(ERR_ADMA);
            }
        }
    }

    /// An error ends the transfer.
    fn fail(&mut self, error: u32) {
        self.regs.stop();
        self.regs.raise(error);
    }

    /// Moves up to `len` bytes between memory and card; how many, or `None` if there is no memory.
    fn stream(&mut self, address: u64, len: usize) -> Option<usize> {
        if !self.config.enabled(command::MASTER) {
            return None;
        }
        let mut done = 0;
        while done < len && self.regs.phase == Phase::Moving {
            let (at, all) = (self.regs.at as usize, self.regs.buffer.len());
            if self.is_reading() && at == 0 {
                self.fill();
            }
            let n = (all - at).min(len - done);
            let part = &mut self.regs.buffer[at..at + n];
            let to = address.wrapping_add(done as u64);
            let moved = if self.regs.mode & MODE_READ != 0 {
                self.kit.dma.write(to, part)
            } else {
                self.kit.dma.read(to, part)
            };
            moved.ok()?;
            done += n;
            self.regs.at += n as u32;
            if at + n == all {
                self.block_done();
            }
        }
        Some(done)
    }

    /// One stretch of memory, up to the next multiple of the boundary: there the host is asked (1.4.2).
    fn sdma(&mut self) {
        let boundary = 0x1000u32 << (self.regs.block >> 12 & 7);
        let len = boundary - self.regs.address % boundary;
        let Some(done) = self.stream(u64::from(self.regs.address), len as usize) else {
            let address = self.regs.address;
            self.kit.report.guest_error(format_args!("SDMA at {address:#x}: no memory"));
            return self.fail(ERR_DATA_TIMEOUT);
        };
        self.regs.address = self.regs.address.wrapping_add(done as u32);
        if self.regs.phase == Phase::Moving {
            self.regs.raise(INT_DMA);
        }
    }

    /// A descriptor of 32 or 64-bit addresses.
    fn descriptor(&self, wide: bool) -> Option<Descriptor> {
        let at = self.regs.adma;
        let [a, b, c, d, e, f, g, h] = self.kit.dma.array(at).ok()?;
        let high = if wide { u32::from_le_bytes(self.kit.dma.array(at.wrapping_add(8)).ok()?) } else { 0 };
        let len = usize::from(u16::from_le_bytes([c, d]));
        Some(Descriptor {
            attributes: u16::from_le_bytes([a, b]),
            len: if len == 0 { 0x1_0000 } else { len },
            address: u64::from(high) << 32 | u64::from(u32::from_le_bytes([e, f, g, h])),
            next: at.wrapping_add(if wide { 12 } else { 8 }),
        })
    }

    fn adma(&mut self, wide: bool) {
        let mut moved = 0;
        for _ in 0..DESCRIPTORS {
            let descriptor = self.descriptor(wide).filter(|d| d.attributes & VALID != 0);
            let Some(d) = descriptor.filter(|_| self.config.enabled(command::MASTER)) else {
                self.kit.report.guest_error(format_args!("no ADMA descriptor at {:#x}", self.regs.adma));
                self.regs.adma_error = ADMA_FETCH;
                return self.fail(ERR_ADMA);
            };
            self.regs.adma = if d.attributes & ACTION == ACTION_LINK { d.address } else { d.next };
            if d.attributes & ACTION == ACTION_TRANSFER {
                let Some(done) = self.stream(d.address, d.len) else {
                    self.kit.report.guest_error(format_args!("ADMA at {:#x}: no memory", d.address));
                    self.regs.adma_error = ADMA_TRANSFER;
                    return self.fail(ERR_ADMA);
                };
                moved += done;
            }
            if d.attributes & INTERRUPT != 0 {
                self.regs.raise(INT_DMA);
            }
            if self.regs.phase != Phase::Moving {
                return;
            }
            if d.attributes & END != 0 {
                // The descriptors are at their end, and the blocks are not.
                self.regs.adma_error = ADMA_LENGTH | ADMA_TRANSFER;
                return self.fail(ERR_ADMA);
            }
            if moved >= BATCH {
                break;
            }
        }
        self.kit.clock.schedule(EVENT_TRANSFER, self.kit.clock.now().saturating_add(PAUSE));
    }
}
