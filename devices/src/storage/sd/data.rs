//! The data of a card: blocks in and out, protection, erasure (SD Physical Layer 3.01, 4.3).

use super::{BLOCK, Card, Data, GROUP, Mode, STANDARD, registers, status};

/// Byte of the CSD that can be written, and the bits of temporary and permanent protection in it.
const CSD_WRITABLE: usize = 14;
const CSD_MASK: u8 = 0xfc;
const CSD_PROTECTED: u8 = 0x30;

impl Card {
    /// The transfer is over.
    pub(super) fn stop(&mut self) {
        let s = &mut self.state;
        s.data.clear();
        (s.at, s.count) = (0, 0);
        s.mode = Mode::Transfer;
    }

    /// Is there data for the host?
    pub(crate) fn is_sending(&self) -> bool {
        self.state.mode == Mode::Sending
    }

    /// Does the card wait for data?
    pub(crate) fn is_receiving(&self) -> bool {
        self.state.mode == Mode::Receiving
    }

    /// The host takes data; without any, the lines are high.
    pub(crate) fn take(&mut self, mut buf: &mut [u8]) {
        while !buf.is_empty() && self.is_sending() {
            let s = &mut self.state;
            let rest = s.data.get(s.at as usize..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            let (now, later) = buf.split_at_mut(n);
            now.copy_from_slice(&rest[..n]);
            s.at += n as u32;
            buf = later;
            if s.at as usize >= s.data.len() {
                self.next_sent();
            }
        }
        buf.fill(0xff);
    }

    /// A block has been taken: the next one, or the end.
    fn next_sent(&mut self) {
        let Data::Blocks { many: true } = self.state.what else { return self.stop() };
        if self.is_last() {
            return self.stop();
        }
        self.state.address += self.state.data.len() as u64;
        self.load_block();
    }

    /// Counts a block of a transfer whose length the host has said; was it the last?
    fn is_last(&mut self) -> bool {
        let counted = self.state.count > 0;
        self.state.count = self.state.count.saturating_sub(1);
        counted && self.state.count == 0
    }

    /// The host hands data over.
    pub(crate) fn put(&mut self, mut buf: &[u8]) {
        while !buf.is_empty() && self.is_receiving() {
            let s = &mut self.state;
            let rest = s.data.get_mut(s.at as usize..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            let (now, later) = buf.split_at(n);
            rest[..n].copy_from_slice(now);
            s.at += n as u32;
            buf = later;
            if s.at as usize >= s.data.len() {
                self.block_received();
            }
        }
    }

    fn block_received(&mut self) {
        let Data::Blocks { many } = self.state.what else {
            self.program();
            return self.stop();
        };
        self.store_block();
        if !many || self.is_last() {
            return self.stop();
        }
        self.state.address += self.state.data.len() as u64;
        self.state.at = 0;
        if !self.fits(self.state.address, self.state.data.len()) {
            self.state.status |= status::OUT_OF_RANGE;
        }
    }

    fn fits(&self, address: u64, len: usize) -> bool {
        address.checked_add(len as u64).is_some_and(|end| end <= self.state.bytes)
    }

    pub(super) fn start_read(&mut self, arg: u32, many: bool) {
        let (address, len) = (self.address(arg), self.block_len());
        if !self.fits(address, len) {
            self.state.status |= status::ADDRESS_ERROR;
            return;
        }
        self.state.what = Data::Blocks { many };
        self.state.address = address;
        self.state.mode = Mode::Sending;
        self.load_block();
    }

    /// Gets the block at the address ready; behind the end of the medium there is nothing.
    fn load_block(&mut self) {
        let len = self.block_len();
        self.state.data.resize(len, 0);
        self.state.at = 0;
        if !self.fits(self.state.address, len) {
            self.state.address = self.state.bytes;
            self.state.status |= status::OUT_OF_RANGE;
            self.state.data.fill(0);
            return;
        }
        let Some(disk) = &mut self.disk else { return };
        if disk.read(self.state.address, &mut self.state.data).is_err() {
            self.state.data.fill(0);
            self.state.status |= status::ERROR;
        }
    }

    pub(super) fn start_write(&mut self, arg: u32, many: bool) {
        let (address, len) = (self.address(arg), self.block_len());
        if !self.fits(address, len) {
            self.state.status |= status::ADDRESS_ERROR;
            return;
        }
        self.state.what = Data::Blocks { many };
        self.state.address = address;
        self.state.written = 0;
        self.receive(len);
    }

    fn receive(&mut self, len: usize) {
        self.state.data = vec![0; len];
        self.state.at = 0;
        self.state.mode = Mode::Receiving;
    }

    /// Is a stretch protected by its group, or with the whole card?
    fn is_protected(&self, address: u64) -> bool {
        let group = self.state.protected.get((address / GROUP) as usize).copied().unwrap_or(false);
        group || self.read_only() || self.state.csd[CSD_WRITABLE] & CSD_PROTECTED != 0
    }

    fn store_block(&mut self) {
        if !self.fits(self.state.address, self.state.data.len()) {
            self.state.address = self.state.bytes;
            return;
        }
        if self.is_protected(self.state.address) {
            self.state.status |= status::WP_VIOLATION;
            return;
        }
        let Some(disk) = &mut self.disk else { return };
        if disk.write(self.state.address, &self.state.data).is_err() {
            self.state.status |= status::ERROR;
        } else {
            self.state.written = self.state.written.wrapping_add(1);
        }
    }

    /// Sends a register as data.
    pub(super) fn send_register(&mut self, data: &[u8]) {
        self.state.what = Data::Register;
        self.state.data = data[..data.len().min(BLOCK)].to_vec();
        self.state.at = 0;
        self.state.mode = Mode::Sending;
    }

    /// Receives a new CSD.
    pub(super) fn receive_register(&mut self) {
        self.state.what = Data::Register;
        self.receive(16);
    }

    /// The received CSD: only its last byte may be another one, and permanent protection stays (5.3).
    fn program(&mut self) {
        let csd = self.state.csd;
        let same = self.state.data.iter().zip(&csd).take(CSD_WRITABLE).all(|(new, old)| new == old);
        let new = self.state.data.get(CSD_WRITABLE).copied().unwrap_or(0);
        let permanent = csd[CSD_WRITABLE] & 0x20;
        if !same || new & permanent != permanent {
            self.state.status |= status::CSD_OVERWRITE;
            return;
        }
        let mut changed = csd;
        changed[CSD_WRITABLE] = csd[CSD_WRITABLE] & !CSD_MASK | new & CSD_MASK;
        self.state.csd = registers::sealed(changed);
    }

    /// Protects a group, or frees it.
    pub(super) fn protect(&mut self, arg: u32, on: bool) {
        match self.state.protected.get_mut((u64::from(arg) / GROUP) as usize) {
            Some(group) => *group = on,
            None => self.state.status |= status::ADDRESS_ERROR,
        }
    }

    /// Sends 32 bits, the lowest for the group with this address.
    pub(super) fn send_protection(&mut self, arg: u32) {
        if u64::from(arg) >= self.state.bytes {
            self.state.status |= status::ADDRESS_ERROR;
            return;
        }
        let first = (u64::from(arg) / GROUP) as usize;
        let groups = self.state.protected.iter().skip(first).take(32);
        let bits = groups.enumerate().fold(0u32, |bits, (n, on)| bits | u32::from(*on) << n);
        self.send_register(&bits.to_be_bytes());
    }

    /// Erases what has been named: zeros are left (SCR), where nothing protects it.
    pub(super) fn erase(&mut self) {
        let (Some(first), Some(last)) = core::mem::take(&mut self.state.erase) else {
            self.state.status |= status::ERASE_SEQ_ERROR;
            return;
        };
        let block = BLOCK as u64;
        let (start, end) = (self.address(first) / block * block, self.address(last) / block * block + block);
        if start >= end || end > self.state.bytes {
            self.state.status |= if end > self.state.bytes { status::OUT_OF_RANGE } else { status::ERASE_PARAM };
            return;
        }
        // Only standard capacity cards have groups: a large card is erased at once.
        let step = if self.state.bytes > STANDARD { end } else { GROUP };
        let mut at = start;
        while at < end {
            let next = (at / step + 1).saturating_mul(step).min(end);
            if self.is_protected(at) {
                self.state.status |= status::WP_ERASE_SKIP;
            } else if let Some(disk) = &mut self.disk
                && disk.write_zeroes(at, next - at, true).is_err()
            {
                self.state.status |= status::ERROR;
            }
            at = next;
        }
    }
}
