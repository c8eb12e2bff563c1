//! A submission queue entry (NVM Express 1.4, 4.2).

/// Length of an entry in bytes.
pub(super) const LEN: usize = 64;

/// A command.
#[derive(Clone, Copy)]
pub(super) struct Command(pub(super) [u8; LEN]);

impl Command {
    /// Dword `n`, 0 to 15.
    pub(super) fn dword(&self, n: usize) -> u32 {
        let at = 4 * (n & 15);
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// Dwords `n` and `n + 1`.
    pub(super) fn pair(&self, n: usize) -> u64 {
        u64::from(self.dword(n + 1)) << 32 | u64::from(self.dword(n))
    }

    pub(super) fn opcode(&self) -> u8 {
        self.0[0]
    }

    /// Which way the data pointer points: 0 PRP, 1 and 2 SGL.
    pub(super) fn psdt(&self) -> u8 {
        self.0[1] >> 6
    }

    /// Is it a half of a fused operation?
    pub(super) fn fused(&self) -> bool {
        self.0[1] & 3 != 0
    }

    pub(super) fn cid(&self) -> u16 {
        self.dword(0).to_le_bytes().last_chunk().map_or(0, |b| u16::from_le_bytes(*b))
    }

    pub(super) fn nsid(&self) -> u32 {
        self.dword(1)
    }

    pub(super) fn prp1(&self) -> u64 {
        self.pair(6)
    }

    pub(super) fn prp2(&self) -> u64 {
        self.pair(8)
    }

    /// The descriptor in the data pointer.
    pub(super) fn sgl(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[24..40]);
        bytes
    }
}
