//! The header in front of every frame in a network queue (virtio 1.2, 5.1.6).

/// The checksum has to be completed.
pub(super) const F_NEEDS_CSUM: u8 = 1;
/// The checksum has been checked.
pub(super) const F_DATA_VALID: u8 = 2;
/// No large segment.
pub(super) const GSO_NONE: u8 = 0;
/// A large TCP segment over IPv4.
pub(super) const GSO_TCPV4: u8 = 1;
/// A large TCP segment over IPv6.
pub(super) const GSO_TCPV6: u8 = 4;
/// A large UDP datagram that becomes several.
pub(super) const GSO_UDP_L4: u8 = 5;
/// The TCP segment has the ECN bit.
pub(super) const GSO_ECN: u8 = 0x80;

/// Length with the number of buffers.
pub(super) const LONG: usize = 12;
/// Length without: legacy drivers that do not merge buffers.
pub(super) const SHORT: usize = 10;

/// The header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Header {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    pub(super) gso_size: u16,
    pub(super) csum_start: u16,
    pub(super) csum_offset: u16,
}

impl Header {
    /// From its bytes; the length of the headers that the driver tells is a hint that nobody needs.
    pub(super) fn new(b: &[u8; SHORT]) -> Header {
        let half = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
        Header { flags: b[0], gso_type: b[1], gso_size: half(4), csum_start: half(6), csum_offset: half(8) }
    }

    /// What is in front of a received frame that takes `buffers` buffers.
    pub(super) fn received(valid: bool, buffers: u16) -> [u8; LONG] {
        let mut bytes = [0; LONG];
        bytes[0] = if valid { F_DATA_VALID } else { 0 };
        bytes[SHORT..].copy_from_slice(&buffers.to_le_bytes());
        bytes
    }
}
