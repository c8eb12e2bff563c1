//! The IOMMU's queues in memory: commands (chapter 3.1), faults (3.2), page requests (3.3), and their interrupts.

use super::context::{Access, Fault};
use super::{Core, GO_ON, LOG2_SIZE, PPN, Queue, RiscvIommu, State};
use tern_core::snapshot::{StateError, check};

/// Bits of the queues' control and status registers (5.15 to 5.17).
const ENABLE: u32 = 1;
const INTERRUPT: u32 = 2;
const MEMORY_FAULT: u32 = 1 << 8;
/// Of fault and page request queues; the command queue's is a timeout, which never happens.
const OVERFLOW: u32 = 1 << 9;
const ILLEGAL: u32 = 1 << 10;
const FENCE: u32 = 1 << 11;
const ON: u32 = 1 << 16;
/// What ends a command queue's work, and what else interrupts.
const COMMAND_ERRORS: u32 = MEMORY_FAULT | OVERFLOW | ILLEGAL;
const COMMAND_STATUS: u32 = COMMAND_ERRORS | FENCE;
const RECORD_ERRORS: u32 = MEMORY_FAULT | OVERFLOW;

/// Bits of `ipsr`, and numbers of fields of `icvec`.
const CIP: u32 = 1;
const FIP: u32 = 2;
const PIP: u32 = 8;

/// Bytes of a command and of a fault record.
const COMMAND: u64 = 16;
const RECORD: u64 = 32;
/// Commands done before others get to run, and after how many nanoseconds it goes on.
const AT_ONCE: u32 = 1024;
const PAUSE: u64 = 1000;

impl Queue {
    /// Entries less one.
    fn mask(&self) -> u32 {
        ((2u64 << (self.base & LOG2_SIZE)) - 1) as u32
    }

    /// Where entry `index` of `len` bytes is: queues are aligned to their size (5.6).
    fn at(&self, index: u32, len: u64) -> u64 {
        let size = len.wrapping_mul(u64::from(self.mask()) + 1);
        let base = (self.base & PPN) << 2;
        (base & !(size - 1)).wrapping_add(len * u64::from(index & self.mask()))
    }

    fn set_base(&mut self, value: u64) {
        self.base = value & (PPN | LOG2_SIZE);
    }

    pub(super) fn check(&self) -> Result<(), StateError> {
        let good = self.base & !(PPN | LOG2_SIZE) == 0 && self.head <= self.mask() && self.tail <= self.mask();
        check(good, "queue", || format!("{self:x?}"))
    }
}

impl State {
    /// Sets pending bits for what the queues say, and `news` as well.
    fn interrupts(&mut self, news: u32) {
        let mut now = news;
        for (queue, status, bit) in [
            (&self.command, COMMAND_STATUS, CIP),
            (&self.fault, RECORD_ERRORS, FIP),
            (&self.page, RECORD_ERRORS, PIP),
        ] {
            if queue.csr & INTERRUPT != 0 && queue.csr & status != 0 {
                now |= bit;
            }
        }
        self.unsent |= now & !self.ipsr;
        self.ipsr |= now;
    }
}

impl RiscvIommu {
    pub(super) fn set_base(&mut self, queue: fn(&mut State) -> &mut Queue, value: u64) {
        let mut state = self.core.state.borrow_mut();
        let queue = queue(&mut state);
        if queue.csr & ON != 0 {
            return self.kit.report.guest_error(format_args!("base of a queue that is on"));
        }
        queue.set_base(value);
        queue.head &= queue.mask();
        queue.tail &= queue.mask();
    }

    pub(super) fn set_head(&mut self, queue: fn(&mut State) -> &mut Queue, value: u32) {
        let mut state = self.core.state.borrow_mut();
        let queue = queue(&mut state);
        queue.head = value & queue.mask();
    }

    pub(super) fn set_command_tail(&mut self, value: u32) {
        {
            let queue = &mut self.core.state.borrow_mut().command;
            queue.tail = value & queue.mask();
        }
        self.run_commands();
    }

    /// Fault and page request queues: switching one on empties it.
    pub(super) fn set_csr(&mut self, queue: fn(&mut State) -> &mut Queue, value: u32) {
        let mut state = self.core.state.borrow_mut();
        let queue = queue(&mut state);
        let before = queue.csr;
        queue.csr = value & (ENABLE | INTERRUPT) | before & RECORD_ERRORS & !value;
        if value & ENABLE != 0 {
            queue.csr |= ON;
            if before & ON == 0 {
                queue.tail = 0;
                queue.csr &= !RECORD_ERRORS;
            }
        }
        state.interrupts(0);
    }

    pub(super) fn set_command_csr(&mut self, value: u32) {
        {
            let mut state = self.core.state.borrow_mut();
            let queue = &mut state.command;
            let before = queue.csr;
            queue.csr = value & (ENABLE | INTERRUPT) | before & COMMAND_STATUS & !value;
            if value & ENABLE != 0 {
                queue.csr |= ON;
                if before & ON == 0 {
                    queue.head = 0;
                    queue.csr &= !COMMAND_STATUS;
                }
            }
            state.interrupts(0);
        }
        self.run_commands();
    }

    /// Pending bits that are written as one go; what is still so comes back.
    pub(super) fn clear_pending(&mut self, value: u32) {
        let mut state = self.core.state.borrow_mut();
        state.ipsr &= !value;
        state.interrupts(0);
    }

    /// Does commands until there are no more, or one is wrong.
    pub(super) fn run_commands(&mut self) {
        for _ in 0..AT_ONCE {
            let queue = self.core.state.borrow().command;
            if queue.csr & ON == 0 || queue.csr & COMMAND_ERRORS != 0 || queue.head == queue.tail {
                return;
            }
            let error = match self.core.dma.array::<16>(queue.at(queue.head, COMMAND)) {
                Ok(bytes) => self.command(bytes).err(),
                Err(_) => Some(MEMORY_FAULT),
            };
            let mut state = self.core.state.borrow_mut();
            match error {
                Some(error) => state.command.csr |= error,
                None => state.command.head = (queue.head + 1) & queue.mask(),
            }
            state.interrupts(0);
        }
        let clock = &self.kit.clock;
        clock.schedule(GO_ON, clock.now().saturating_add(PAUSE));
    }

    /// Does one command; the error bit that it sets.
    fn command(&self, bytes: [u8; 16]) -> Result<(), u32> {
        let [a, b, c, d, e, f, g, h, second @ ..] = bytes;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let second = u64::from_le_bytes(second);
        let (address_valid, data) = (first >> 10 & 1 != 0, (first >> 32) as u32);
        match (first & 0x7f, first >> 7 & 7) {
            // IOTINVAL.VMA and .GVMA, IODIR.INVAL_DDT and, with a device, .INVAL_PDT: nothing is cached.
            (1, 0 | 1) | (3, 0) => Ok(()),
            (3, 1) if first >> 33 & 1 != 0 => Ok(()),
            // IOFENCE.C: everything before is done.  Wired interrupts there are none.
            (2, 0) if first >> 11 & 1 == 0 => {
                if address_valid {
                    self.core.dma.write(second << 2, &data.to_le_bytes()).map_err(|_| MEMORY_FAULT)?;
                }
                Ok(())
            }
            (opcode, function) => {
                self.kit.report.guest_error(format_args!("command {opcode}, function {function}: {first:#x} {second:#x}"));
                Err(ILLEGAL)
            }
        }
    }
}

impl Core {
    /// Puts a fault into the fault queue (3.2).
    pub(super) fn record(&self, access: Access, fault: Fault) {
        let mut state = self.state.borrow_mut();
        let queue = &mut state.fault;
        if queue.csr & ON == 0 || queue.csr & RECORD_ERRORS != 0 {
            return;
        }
        let next = (queue.tail + 1) & queue.mask();
        if next == queue.head {
            queue.csr |= OVERFLOW;
            return state.interrupts(0);
        }
        // Untranslated reads and writes.
        let kind = if access.write { 3 } else { 2 };
        let process = access.process.map_or(0, |p| u64::from(p) << 12 | 1 << 32);
        let header = u64::from(fault.cause) | process | kind << 34 | u64::from(access.device) << 40;
        let mut record = [0; RECORD as usize];
        for (at, word) in [(0, header), (16, access.addr), (24, fault.guest)] {
            record[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        if self.dma.write(queue.at(queue.tail, RECORD), &record).is_err() {
            queue.csr |= MEMORY_FAULT;
            return state.interrupts(0);
        }
        queue.tail = next;
        let news = if queue.csr & INTERRUPT != 0 { FIP } else { 0 };
        state.interrupts(news);
    }
}
