//! Message-signalled interrupts of a function: MSI and MSI-X (PCI Local Bus 3.0, 6.8).

use super::config::{Config, command};
use serde::{Deserialize, Serialize};
use tern_core::device::{Messenger, Reporter};
use tern_core::mem::Size;
use tern_core::snapshot::{StateError, check};

/// Capability IDs.
const ID_MSI: u8 = 0x05;
const ID_MSIX: u8 = 0x11;
/// Length of an MSI-X table entry.
const ENTRY: usize = 16;
/// Most MSI-X vectors of a function.
pub const MAX_VECTORS: u16 = 2048;
/// Where the pending bits lie in the table's memory.
pub const PBA: u64 = 0x8000;
/// Size of the memory that holds table and pending bits.
pub const MSIX_SIZE: u64 = 0x1_0000;

/// MSI with one vector, 64-bit addresses, and a mask bit.
pub struct Msi {
    at: usize,
}

impl Msi {
    /// Adds the capability.
    pub fn new(config: &mut Config) -> Msi {
        // 64-bit and maskable, one vector.
        let mut body = [0; 22];
        body[0] = 0x80;
        body[1] = 0x01;
        let at = config.add_capability(ID_MSI, &body);
        config.writable(at + 2, &[0x71, 0]);
        config.writable(at + 4, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        config.writable(at + 16, &[1]);
        config.volatile(at + 20, &[1]);
        Msi { at }
    }

    /// Is it on?  Then the pin is silent.
    #[must_use]
    pub fn enabled(&self, config: &Config) -> bool {
        config.half(self.at + 2) & 1 != 0
    }

    /// Sends the interrupt, or keeps it pending while it is masked.
    pub fn notify(&self, config: &mut Config, messenger: &Messenger) {
        if !self.enabled(config) || !config.enabled(command::MASTER) {
            return;
        }
        if config.word(self.at + 16) & 1 != 0 {
            config.put(self.at + 20, &[1]);
            return;
        }
        let addr = u64::from(config.word(self.at + 8)) << 32 | u64::from(config.word(self.at + 4));
        messenger.message(addr, u32::from(config.half(self.at + 12)));
    }

    /// The guest has written the configuration space: what is pending and no longer masked goes out.
    pub fn written(&self, config: &mut Config, messenger: &Messenger) {
        if config.word(self.at + 20) & 1 != 0 && config.word(self.at + 16) & 1 == 0 {
            config.put(self.at + 20, &[0]);
            self.notify(config, messenger);
        }
    }
}

/// What is saved of MSI-X.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MsixState {
    table: Vec<u8>,
    pending: Vec<bool>,
}

/// MSI-X: a table of messages, in memory behind a base address.
pub struct Msix {
    at: usize,
    state: MsixState,
}

impl Msix {
    /// Adds the capability: `vectors` (1 to [`MAX_VECTORS`]) behind base address `bar`, of [`MSIX_SIZE`] bytes.
    pub fn new(config: &mut Config, vectors: u16, bar: u8) -> Msix {
        Msix::placed(config, vectors, (bar, 0), (bar, PBA as u32))
    }

    /// Adds the capability, with the table and the pending bits at these offsets behind these base addresses: whoever
    /// decodes those hands accesses on with offsets from the table's begin, and from that of the pending bits.
    pub fn placed(config: &mut Config, vectors: u16, table: (u8, u32), pending: (u8, u32)) -> Msix {
        let vectors = vectors.clamp(1, MAX_VECTORS);
        let mut body = (vectors - 1).to_le_bytes().to_vec();
        body.extend((table.1 | u32::from(table.0)).to_le_bytes());
        body.extend((pending.1 | u32::from(pending.0)).to_le_bytes());
        let at = config.add_capability(ID_MSIX, &body);
        config.writable(at + 3, &[0xc0]);
        Msix { at, state: Msix::fresh(usize::from(vectors)) }
    }

    /// All masked, none pending.
    fn fresh(vectors: usize) -> MsixState {
        let mut table = vec![0; ENTRY * vectors];
        table.iter_mut().skip(12).step_by(ENTRY).for_each(|control| *control = 1);
        MsixState { table, pending: vec![false; vectors] }
    }

    /// Number of vectors.
    #[must_use]
    pub fn vectors(&self) -> u16 {
        self.state.pending.len() as u16
    }

    /// Is it on?  Then the pin is silent.
    #[must_use]
    pub fn enabled(&self, config: &Config) -> bool {
        config.half(self.at + 2) & 0x8000 != 0
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.state.table.get(at..at + 4).unwrap_or(&[0; 4]);
        bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
    }

    fn masked(&self, config: &Config, vector: usize) -> bool {
        config.half(self.at + 2) & 0x4000 != 0 || self.word(ENTRY * vector + 12) & 1 != 0
    }

    /// Sends vector `vector`, or keeps it pending while it is masked.
    pub fn notify(&mut self, config: &Config, messenger: &Messenger, vector: u16) {
        let vector = usize::from(vector);
        if !self.enabled(config) || vector >= self.state.pending.len() {
            return;
        }
        if self.masked(config, vector) {
            self.state.pending[vector] = true;
        } else if config.enabled(command::MASTER) {
            let at = ENTRY * vector;
            let addr = u64::from(self.word(at + 4)) << 32 | u64::from(self.word(at));
            messenger.message(addr, self.word(at + 8));
        }
    }

    /// Forgets that vector `vector` is pending: some functions let the driver do that.
    pub fn clear_pending(&mut self, vector: u16) {
        if let Some(pending) = self.state.pending.get_mut(usize::from(vector)) {
            *pending = false;
        }
    }

    /// Sends what is pending and no longer masked: the guest has written the configuration space or the table.
    pub fn written(&mut self, config: &Config, messenger: &Messenger) {
        if !self.enabled(config) {
            return;
        }
        for vector in 0..self.state.pending.len() {
            if self.state.pending[vector] && !self.masked(config, vector) {
                self.state.pending[vector] = false;
                self.notify(config, messenger, vector as u16);
            }
        }
    }

    /// A load from the table, or from behind it, which reads as zero.
    #[must_use]
    pub fn read(&self, offset: u64, size: Size) -> u64 {
        let byte = |n: u64| self.state.table.get((offset + n) as usize).copied().unwrap_or(0);
        (0..size.bytes()).rev().fold(0, |value, n| value << 8 | u64::from(byte(n)))
    }

    /// A store to the table.
    pub fn write(&mut self, report: &Reporter, offset: u64, size: Size, value: u64) {
        let len = self.state.table.len() as u64;
        if offset + size.bytes() > len {
            return report.guest_error(format_args!("store behind the MSI-X table at {offset:#x}"));
        }
        for (n, byte) in value.to_le_bytes().iter().take(size.bytes() as usize).enumerate() {
            let at = offset as usize + n;
            // Of the vector control word, only the mask bit exists; messages are aligned words.
            self.state.table[at] = match at % ENTRY {
                0 => byte & !3,
                12 => byte & 1,
                13..16 => 0,
                _ => *byte,
            };
        }
    }

    /// A load from the pending bits.
    #[must_use]
    pub fn pending(&self, offset: u64, size: Size) -> u64 {
        let bit = |n: u64| self.state.pending.get((8 * offset + n) as usize).copied().unwrap_or(false);
        (0..8 * size.bytes()).rev().fold(0, |value, n| value << 1 | u64::from(bit(n)))
    }

    /// As after reset.
    pub fn reset(&mut self) {
        self.state = Msix::fresh(self.state.pending.len());
    }

    /// What is saved.
    #[must_use]
    pub fn save(&self) -> MsixState {
        self.state.clone()
    }

    /// Can it be so?
    ///
    /// # Errors
    /// Another number of vectors.
    pub fn check(&self, state: &MsixState) -> Result<(), StateError> {
        let (table, pending) = (self.state.table.len(), self.state.pending.len());
        check(state.table.len() == table, "MSI-X table", || format!("{} bytes, not {table}", state.table.len()))?;
        check(state.pending.len() == pending, "MSI-X vectors", || format!("{}, not {pending}", state.pending.len()))
    }

    /// Takes on what [`Msix::check`] has found good.
    pub fn load(&mut self, state: MsixState) {
        self.state = state;
    }
}
