//! Registers of an SD host controller (SD Host Controller 3.00, 2), and commands.

use super::{EVENT_TRANSFER, Sdhci};
use crate::storage::sd::Response;
use serde::{Deserialize, Serialize};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{StateError, check};

/// Transfer mode (2.2.5).
pub(super) const MODE_DMA: u16 = 1;
pub(super) const MODE_COUNT: u16 = 1 << 1;
pub(super) const MODE_AUTO_12: u16 = 1 << 2;
const MODE_AUTO_23: u16 = 2 << 2;
const MODE_AUTO: u16 = 3 << 2;
pub(super) const MODE_READ: u16 = 1 << 4;
pub(super) const MODE_MULTI: u16 = 1 << 5;
/// Command (2.2.6): has data, aborts.
const COMMAND_DATA: u16 = 1 << 5;
const COMMAND_ABORT: u16 = 3 << 6;
/// Interrupts (2.2.17): command and transfer complete, DMA, room, data, insertion, removal.
pub(super) const INT_COMMAND: u32 = 1;
pub(super) const INT_TRANSFER: u32 = 1 << 1;
pub(super) const INT_GAP: u32 = 1 << 2;
pub(super) const INT_DMA: u32 = 1 << 3;
pub(super) const INT_ROOM: u32 = 1 << 4;
pub(super) const INT_DATA: u32 = 1 << 5;
const INT_INSERTED: u32 = 1 << 6;
const INT_REMOVED: u32 = 1 << 7;
/// Some error: the bits of the upper half.
const INT_ERROR: u32 = 1 << 15;
/// Errors (2.2.18), in the upper half: command and data timeout, automatic command, ADMA.
const ERR_COMMAND_TIMEOUT: u32 = 1 << 16;
pub(super) const ERR_DATA_TIMEOUT: u32 = 1 << 20;
const ERR_AUTO: u32 = 1 << 24;
pub(super) const ERR_ADMA: u32 = 1 << 25;
/// Interrupts and errors that there are.
const INT_ALL: u32 = 0x03ff_01ff;
/// Errors of automatic commands (2.2.23): not executed, timeout.
const AUTO_TIMEOUT: u16 = 1 << 1;
/// Power control (2.2.12) is on.
const POWER_ON: u8 = 1;
/// Clock control (2.2.15): internal clock on, stable; card's clock on.
const CLOCK_INTERNAL: u16 = 1;
const CLOCK_STABLE: u16 = 1 << 1;
const CLOCK_CARD: u16 = 1 << 2;
/// Block gap control (2.2.13): stop, go on.
pub(super) const GAP_STOP: u8 = 1;
const GAP_CONTINUE: u8 = 2;

/// What a transfer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// It moves data.
    Moving,
    /// The host has stopped it between blocks.
    Gap,
}

/// The registers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Registers {
    /// SDMA address, and argument of automatic CMD23.
    pub(super) address: u32,
    /// Block size, and boundary of SDMA buffers in bits 14 to 12.
    pub(super) block: u16,
    pub(super) count: u16,
    argument: u32,
    pub(super) mode: u16,
    command: u16,
    response: [u32; 4],
    pub(super) control: u8,
    power: u8,
    pub(super) gap: u8,
    wake: u8,
    clock: u16,
    timeout: u8,
    /// Interrupt and error status.
    pub(super) status: u32,
    enable: u32,
    signal: u32,
    auto_error: u16,
    control2: u16,
    pub(super) adma_error: u8,
    pub(super) adma: u64,
    pub(super) phase: Phase,
    /// A block on its way, and how much of it has been moved.
    pub(super) buffer: Vec<u8>,
    pub(super) at: u32,
}

impl Registers {
    pub(super) fn check(&self, max: u16) -> Result<(), StateError> {
        let (len, at) = (self.buffer.len(), self.at as usize);
        let good = len <= usize::from(max) && at <= len && (self.phase == Phase::Idle || at < len);
        check(good, "block", || format!("{at} of {len} bytes"))?;
        check(self.block & 0xfff <= max, "block size", || format!("{:#x}", self.block))?;
        check(self.status & !(INT_ALL | INT_ERROR) == 0, "interrupts", || format!("{:#x}", self.status))
    }

    /// The length of a block in bytes.
    pub(super) fn block_len(&self) -> usize {
        usize::from(self.block & 0xfff)
    }

    /// Sets interrupts and errors that the host has enabled.
    pub(super) fn raise(&mut self, bits: u32) {
        self.status |= bits & self.enable;
        self.sum_errors();
    }

    fn sum_errors(&mut self) {
        let error = self.status >> 16 != 0;
        self.status = self.status & !INT_ERROR | if error { INT_ERROR } else { 0 };
    }

    pub(super) fn is_signalling(&self) -> bool {
        let wake = u32::from(self.wake & 6) << 5;
        self.status & (self.signal | wake) != 0
    }

    /// No transfer any more.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Idle;
        self.at = 0;
        self.buffer.clear();
    }

    /// A card is there now, or not any more.
    pub(super) fn card_changed(&mut self, inserted: bool) {
        self.stop();
        if !inserted {
            self.power &= !POWER_ON;
            self.clock &= !CLOCK_CARD;
        }
        self.raise(if inserted { INT_INSERTED } else { INT_REMOVED });
    }
}

/// The part of a word that an access at byte `at` reads.
fn part(word: u32, at: u64) -> u64 {
    u64::from(word) >> (8 * at)
}

/// A word after a store of `size` at byte `at`; the bits that it covers, and whether it covers the byte `upper`.
fn merge(word: u32, at: u64, size: Size, value: u64) -> (u32, u32) {
    let mask = (size.mask() << (8 * at)) as u32;
    (word & !mask | (value << (8 * at)) as u32 & mask, mask)
}

/// Two halves as a word.
fn halves(low: u16, high: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

registers! {
    // Areas are words whose halves and bytes are registers of their own: hosts access them so and so.
    pub(super) static REGISTERS: Sdhci, "sdhci", sizes [1, 2, 4, 8];
    0x00 ADDRESS 4 rw reset 0, "2.2.1", read |d, _| u64::from(d.regs.address), write |d, _, v| d.set_address(v as u32);
    0x04 area 4 BLOCK, "2.2.2", read |d, at, _| part(halves(d.regs.block, d.regs.count), at),
        write |d, at, size, v| d.set_block(merge(halves(d.regs.block, d.regs.count), at, size, v).0);
    0x08 ARGUMENT 4 rw reset 0, "2.2.4", read |d, _| u64::from(d.regs.argument), write |d, _, v| d.regs.argument = v as u32;
    0x0c area 4 COMMAND, "2.2.5", read |d, at, _| part(halves(d.regs.mode, d.regs.command), at),
        write |d, at, size, v| d.set_command(merge(halves(d.regs.mode, d.regs.command), at, size, v));
    0x10 [4; 4] RESPONSE 4 ro reset 0, "2.2.7", read |d, i| u64::from(d.regs.response[i as usize & 3]);
    0x20 area 4 BUFFER, "2.2.8", read |d, _, size| d.read_buffer(size), write |d, _, size, v| d.write_buffer(size, v);
    0x24 PRESENT 4 ro, "2.2.9", read |d, _| u64::from(d.present());
    0x28 area 4 HOST, "2.2.10", read |d, at, _| part(d.host(), at),
        write |d, at, size, v| d.set_host(merge(d.host(), at, size, v));
    0x2c area 4 CLOCK, "2.2.14", read |d, at, _| part(halves(d.regs.clock, u16::from(d.regs.timeout)), at),
        write |d, at, size, v| d.set_clock(merge(halves(d.regs.clock, u16::from(d.regs.timeout)), at, size, v));
    0x30 area 4 STATUS, "2.2.17", read |d, at, _| part(d.regs.status, at),
        write |d, at, size, v| d.clear(merge(0, at, size, v).0);
    0x34 area 4 ENABLE, "2.2.19", read |d, at, _| part(d.regs.enable, at),
        write |d, at, size, v| d.enable(merge(d.regs.enable, at, size, v).0);
    0x38 area 4 SIGNAL, "2.2.21", read |d, at, _| part(d.regs.signal, at),
        write |d, at, size, v| d.regs.signal = merge(d.regs.signal, at, size, v).0 & INT_ALL;
    0x3c area 4 CONTROL2, "2.2.23", read |d, at, _| part(halves(d.regs.auto_error, d.regs.control2), at),
        write |d, at, size, v| d.set_control2(merge(halves(d.regs.auto_error, d.regs.control2), at, size, v).0);
    0x40 CAPABILITIES 8 ro, "2.2.26", read |d, _| d.capabilities;
    0x48 CURRENTS 8 ro, "2.2.27", read |d, _| d.currents;
    0x50 area 4 FORCE, "2.2.28", read |_, _, _| 0, write |d, at, size, v| d.force(merge(0, at, size, v).0);
    0x54 ADMAERR 4 rw reset 0, "2.2.30", read |d, _| u64::from(d.regs.adma_error), write |d, _, v| d.regs.adma_error = v as u8 & 7;
    0x58 ADMA 8 rw reset 0, "2.2.31", read |d, _| d.regs.adma, write |d, _, v| d.regs.adma = v;
    0x60 [8; 2] PRESET 2 ro reset 0, "2.2.32", read |_, _| 0;
    0xfc area 4 SLOT, "2.2.34", read |d, at, _| part(halves(u16::from(d.regs.is_signalling()), d.version()), at),
        write |_, _, _, _| {};
}

impl Sdhci {
    /// The vendor's version, and the specification's less one.
    fn version(&self) -> u16 {
        0x2400 | u16::from(self.version - 1)
    }

    /// The state now (2.2.9): inhibited commands, the lines, the buffer, the card.
    fn present(&self) -> u32 {
        let r = &self.regs;
        let (moving, reading) = (r.phase == Phase::Moving, r.mode & MODE_READ != 0);
        let buffered = moving && r.mode & MODE_DMA == 0;
        let bit = |on: bool, n: u32| u32::from(on) << n;
        let active = bit(r.phase != Phase::Idle, 1) | bit(moving, 2);
        let way = bit(moving && !reading, 8) | bit(moving && reading, 9);
        let buffer = bit(buffered && !reading, 10) | bit(buffered && reading, 11);
        let inserted = self.inserted();
        let writable = !self.card.as_ref().is_some_and(crate::storage::sd::Card::read_only);
        // Stable; its pins; all lines are high.
        let card = bit(inserted, 16) | 1 << 17 | bit(inserted, 18) | bit(writable, 19) | 0x1f << 20;
        active | way | buffer | card
    }

    /// The host goes on with SDMA at another address.
    fn set_address(&mut self, address: u32) {
        self.regs.address = address;
        let dma = self.regs.mode & MODE_DMA != 0 && self.regs.control & 0x18 == 0;
        if self.regs.phase == Phase::Moving && dma {
            self.transfer();
        }
    }

    fn set_block(&mut self, value: u32) {
        if self.regs.phase != Phase::Idle {
            return self.kit.report.guest_error(format_args!("block size and count written during a transfer"));
        }
        let (block, max) = (value as u16 & 0x7fff, self.max_block());
        if block & 0xfff > max {
            self.kit.report.guest_error(format_args!("blocks of {} bytes", block & 0xfff));
        }
        self.regs.block = block & 0x7000 | (block & 0xfff).min(max);
        self.regs.count = (value >> 16) as u16;
    }

    fn set_command(&mut self, (value, mask): (u32, u32)) {
        if self.regs.phase == Phase::Idle {
            let auto_23 = if self.version >= 3 { 0x3f } else { 0x37 };
            let dma = if self.capabilities >> 22 & 1 != 0 { MODE_DMA } else { 0 };
            self.regs.mode = value as u16 & (auto_23 & !MODE_DMA | dma);
        }
        self.regs.command = (value >> 16) as u16 & 0x3ffb;
        if mask >> 24 != 0 {
            self.issue();
        }
    }

    /// Gives the card the command (3.7).
    fn issue(&mut self) {
        let command = self.regs.command;
        let on = CLOCK_INTERNAL | CLOCK_STABLE | CLOCK_CARD;
        if self.regs.clock & on != on || self.regs.power & POWER_ON == 0 {
            return self.kit.report.guest_error(format_args!("command {command:#x} to a card without power or clock"));
        }
        let abort = command & COMMAND_ABORT == COMMAND_ABORT || command >> 8 == 12;
        let data = command & COMMAND_DATA != 0;
        let busy = self.regs.phase != Phase::Idle && (data || command & 3 == 3);
        if busy && !abort {
            return self.kit.report.guest_error(format_args!("command {command:#x} during a transfer"));
        }
        if abort {
            self.kit.clock.cancel(EVENT_TRANSFER);
            self.regs.stop();
        }
        if data && self.regs.mode & MODE_AUTO == MODE_AUTO_23 && self.card_command(23, self.regs.address).is_none() {
            self.regs.auto_error |= AUTO_TIMEOUT;
            return self.regs.raise(ERR_AUTO);
        }
        let response = self.card_command((command >> 8) as u8 & 0x3f, self.regs.argument);
        let expected = command & 3;
        match response {
            Some(words) if expected == 1 => self.regs.response = words,
            Some(words) if expected != 0 => self.regs.response[0] = words[0],
            None if expected != 0 => return self.regs.raise(ERR_COMMAND_TIMEOUT),
            _ => {}
        }
        self.regs.raise(INT_COMMAND);
        if data && self.regs.block_len() > 0 {
            self.start();
        } else if expected == 3 {
            self.regs.raise(INT_TRANSFER);
        }
    }

    /// A command to the card; its response as in the registers (2.2.7), if there is one.
    pub(super) fn card_command(&mut self, index: u8, argument: u32) -> Option<[u32; 4]> {
        match self.card.as_mut()?.command(index, argument) {
            Response::None => None,
            Response::Short(word) => Some([word, 0, 0, 0]),
            Response::Long(bytes) => {
                // Without the CRC.
                let all = u128::from_be_bytes(bytes) >> 8;
                Some([0, 32, 64, 96].map(|shift| (all >> shift) as u32))
            }
        }
    }

    /// The automatic CMD12 after the last block; its response is in the last register.
    pub(super) fn auto_stop(&mut self) {
        match self.card_command(12, 0) {
            Some(words) => self.regs.response[3] = words[0],
            None => {
                self.regs.auto_error |= AUTO_TIMEOUT;
                self.regs.raise(ERR_AUTO);
            }
        }
    }

    fn host(&self) -> u32 {
        u32::from_le_bytes([self.regs.control, self.regs.power, self.regs.gap, self.regs.wake])
    }

    /// Host control 1, power, block gap, wake-up.
    fn set_host(&mut self, (value, mask): (u32, u32)) {
        let [control, mut power, gap, wake] = value.to_le_bytes();
        // Power comes on at a voltage that there is: 3.3, 3.0 or 1.8 V, bits 24 to 26 of the capabilities.
        let voltage = u32::from(power >> 1 & 7);
        if voltage < 5 || self.capabilities >> (31 - voltage) & 1 == 0 || !self.inserted() {
            power &= !POWER_ON;
        }
        (self.regs.control, self.regs.power, self.regs.wake) = (control, power & 0xf, wake & 7);
        self.regs.gap = gap & 0xd;
        if mask >> 16 & 0xff != 0 && gap & GAP_CONTINUE != 0 && gap & GAP_STOP == 0 && self.regs.phase == Phase::Gap {
            self.regs.phase = Phase::Moving;
            self.go_on();
        }
    }

    /// Clock, timeout, software reset.
    fn set_clock(&mut self, (value, mask): (u32, u32)) {
        let stable = if value as u16 & CLOCK_INTERNAL != 0 { CLOCK_STABLE } else { 0 };
        self.regs.clock = value as u16 & !CLOCK_STABLE | stable;
        let [.., timeout, reset] = value.to_le_bytes();
        self.regs.timeout = timeout & 0xf;
        if mask >> 24 == 0 {
            return;
        }
        if reset & 1 != 0 {
            self.kit.clock.cancel(EVENT_TRANSFER);
            self.regs = Registers::default();
        }
        if reset & 2 != 0 {
            self.regs.status &= !INT_COMMAND;
        }
        if reset & 4 != 0 {
            self.kit.clock.cancel(EVENT_TRANSFER);
            self.regs.stop();
            self.regs.gap = 0;
            self.regs.status &= !(INT_TRANSFER | INT_GAP | INT_DMA | INT_ROOM | INT_DATA);
        }
    }

    fn clear(&mut self, bits: u32) {
        self.regs.status &= !(bits & INT_ALL);
        self.regs.sum_errors();
    }

    fn enable(&mut self, bits: u32) {
        self.regs.enable = bits & INT_ALL;
        self.regs.status &= self.regs.enable;
        self.regs.sum_errors();
    }

    /// Errors of automatic commands are read only; host control 2 exists from version 3 on: no UHS modes, no tuning.
    fn set_control2(&mut self, value: u32) {
        let control2 = (value >> 16) as u16;
        if self.version >= 3 {
            self.regs.control2 = control2 & 0x8000;
        }
        if control2 & 0x7fff != 0 {
            self.kit.report.unimplemented(format_args!("host control 2: {control2:#x}"));
        }
    }

    /// Errors by hand, for tests of drivers.
    fn force(&mut self, bits: u32) {
        self.regs.auto_error |= bits as u16 & 0x9f;
        let auto = if bits as u16 & 0x9f != 0 { ERR_AUTO } else { 0 };
        self.regs.raise(bits & 0xffff_0000 & INT_ALL | auto);
    }
}
