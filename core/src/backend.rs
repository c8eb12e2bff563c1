//! What stands behind a device: the traits that the host room implements.  Everything that a backend tells a guest is an
//! input (I1): it enters at a position, through the session.

pub mod fs;
pub mod vhost;

pub use fs::FileSystem;
pub use vhost::{SharedRange, VhostEvent, VhostRing, VhostUser};

use core::fmt;
use std::rc::Rc;

/// Where a serial port, a console or a debug port writes to.  Output never blocks the guest: what cannot be written at
/// once is kept by the backend.
pub trait CharSink {
    /// Takes bytes.
    fn write(&mut self, bytes: &[u8]);
}

/// Where a network device sends frames.
pub trait NetSink {
    /// Takes one Ethernet frame without preamble and checksum.
    fn send(&mut self, frame: &[u8]);

    /// The process that is to run a virtio device's data queues in place of `send`, and how many pairs of them; given out
    /// once.
    fn vhost(&mut self) -> Option<(Box<dyn VhostUser>, u16)> {
        None
    }
}

/// How the samples of a stream of sound lie in memory: frames of `channels` samples, each of 8 bits (unsigned) or 16 bits
/// (signed, little-endian).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioFormat {
    /// Frames in a second.
    pub rate: u32,
    /// Samples of a frame.
    pub channels: u8,
    /// Bits of a sample: 8 or 16.
    pub bits: u8,
}

impl AudioFormat {
    /// Bytes of a frame.
    #[must_use]
    pub fn frame(&self) -> usize {
        usize::from(self.channels) * usize::from(self.bits / 8)
    }
}

/// Where a sound card plays to and records from.  Frames come at the pace of guest time.
pub trait Audio {
    /// Plays whole frames on the card's stream number `stream`.
    fn play(&mut self, stream: u32, format: AudioFormat, frames: &[u8]) {
        let _ = (stream, format, frames);
    }

    /// Records whole frames from the card's stream number `stream`: silence, if there is nothing to be heard.
    fn record(&mut self, stream: u32, format: AudioFormat, frames: &mut [u8]) {
        let _ = stream;
        frames.fill(if format.bits == 8 { 0x80 } else { 0 });
    }
}

/// Random bytes.
pub trait Entropy {
    /// Fills `buf`; the number of bytes that are there now, 0 to all of them.
    fn fill(&mut self, buf: &mut [u8]) -> usize;

    /// Bytes given out so far, where they follow from a seed; else 0.
    fn position(&self) -> u64 {
        0
    }

    /// Goes on after `position` bytes, as if they had been given out; without a seed that means nothing.
    fn seek(&mut self, position: u64) {
        let _ = position;
    }
}

/// Memory that an object of the machine owns and devices show to the guest: it outlives them, and others may share it.
/// Offsets are below its size; what reaches beyond reads as zero and is not written.
pub trait Memory {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset` on.
    fn read(&self, offset: u64, buf: &mut [u8]);

    /// Writes `buf` from `offset` on.
    fn write(&self, offset: u64, buf: &[u8]);
}

/// Machines that share memory, and ring each other: an ivshmem server behind the device.  Interrupts come in at the device's
/// port, as numbers of vectors, two bytes each, the low one first.
pub trait Peers {
    /// This machine's number among them.
    fn id(&self) -> u16;

    /// What they share.
    fn memory(&self) -> Rc<dyn Memory>;

    /// Interrupts vector `vector` of peer `peer`, if there are such.
    fn ring(&mut self, peer: u16, vector: u16);
}

/// What a TPM follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TpmVersion {
    /// TPM Main Specification 1.2.
    V1_2,
    /// TPM Library 2.0.
    V2_0,
}

/// A Trusted Platform Module.  It answers each command with one response, which comes in at the device's port.
pub trait Tpm {
    /// What it follows.
    fn version(&self) -> TpmVersion;

    /// Largest command and response that it takes and gives, in bytes.
    fn buffer_size(&self) -> usize;

    /// The machine has been switched on or reset: so is the TPM.
    fn start(&mut self);

    /// Has a measured launch been established?
    fn established(&mut self) -> bool;

    /// Locality `locality` takes that back.
    fn reset_established(&mut self, locality: u8);

    /// Executes a command of a locality.
    fn submit(&mut self, locality: u8, command: &[u8]);

    /// Gives up the command that is being executed: its response comes soon.
    fn cancel(&mut self);
}

/// Why a block operation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BlockError {
    /// Outside of the medium.
    OutOfRange,
    /// The medium may not be written.
    ReadOnly,
    /// The host has no room left.
    NoSpace,
    /// The backend cannot do this.
    Unsupported,
    /// Anything else, in one line.
    Io(String),
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::OutOfRange => f.write_str("access beyond the end of the medium"),
            BlockError::ReadOnly => f.write_str("the medium is read-only"),
            BlockError::NoSpace => f.write_str("no space left on the host"),
            BlockError::Unsupported => f.write_str("the backend cannot do this"),
            BlockError::Io(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for BlockError {}

/// A snapshot inside of a medium.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotInfo {
    /// What tells it from the others of its medium.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Bytes of the machine's state that is with it; 0: none is.
    pub state_size: u64,
    /// When it was made, in nanoseconds since 1970.
    pub date_ns: u64,
    /// Guest time, in nanoseconds.
    pub clock_ns: u64,
    /// Instructions that had retired, if that is known.
    pub icount: Option<u64>,
}

/// Snapshots inside of a medium: of its contents, and of the machine that used it.
pub trait Snapshots {
    /// All of them, in the order of the medium.
    ///
    /// # Errors
    /// [`BlockError`].
    fn list(&mut self) -> Result<Vec<SnapshotInfo>, BlockError>;

    /// Makes one of what is there now, together with a machine's state (empty: none).  Its `id` is chosen by the medium, its
    /// `state_size` is the state's.
    ///
    /// # Errors
    /// [`BlockError`]; the medium is then as before.
    fn create(&mut self, info: &SnapshotInfo, state: &[u8]) -> Result<(), BlockError>;

    /// The machine's state that is with the one with this `id`.
    ///
    /// # Errors
    /// [`BlockError`].
    fn state(&mut self, id: &str) -> Result<Vec<u8>, BlockError>;

    /// Takes the medium's contents, and its size, back to those of the one with this `id`.
    ///
    /// # Errors
    /// [`BlockError`].
    fn apply(&mut self, id: &str) -> Result<(), BlockError>;

    /// Forgets the one with this `id`.
    ///
    /// # Errors
    /// [`BlockError`].
    fn delete(&mut self, id: &str) -> Result<(), BlockError>;
}

/// A disk's medium.  Offsets and lengths are bytes, any value; an operation is done when it returns.
pub trait Block {
    /// Size of the medium in bytes.
    fn size(&self) -> u64;

    /// May it not be written?
    fn read_only(&self) -> bool;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`BlockError`]; the contents of `buf` are then undefined.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError>;

    /// Writes `buf` from `offset` on.
    ///
    /// # Errors
    /// [`BlockError`]; any part may have been written.
    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError>;

    /// Returns when all earlier writes survive the loss of the host's power.
    ///
    /// # Errors
    /// [`BlockError`].
    fn flush(&mut self) -> Result<(), BlockError>;

    /// The guest no longer needs these bytes; they may read as anything that they were, or zero.
    ///
    /// # Errors
    /// [`BlockError`].
    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError>;

    /// These bytes become zero; with `unmap` their space may be given back.
    ///
    /// # Errors
    /// [`BlockError`].
    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError>;

    /// Gives the medium another size in bytes, a multiple of 512; what is beyond a smaller one is lost.
    ///
    /// # Errors
    /// [`BlockError`].
    fn resize(&mut self, size: u64) -> Result<(), BlockError> {
        let _ = size;
        Err(BlockError::Unsupported)
    }

    /// Its snapshots, if it can have some and may be written.
    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        None
    }

    /// Is there a medium in the drive, wherever its tray is?
    fn present(&self) -> bool {
        true
    }

    /// Is the tray open, as host and guest have moved it?
    fn tray_open(&self) -> bool {
        false
    }

    /// The drive has opened or closed its tray; because the guest said so, or with the drive's reset.
    fn tray(&mut self, open: bool, by_guest: bool) {
        let _ = (open, by_guest);
    }

    /// The guest has locked or unlocked the tray.
    fn lock(&mut self, locked: bool) {
        let _ = locked;
    }

    /// Has the user asked for the medium since this was asked last?  `Some(true)`: the lock does not count.
    fn eject_request(&mut self) -> Option<bool> {
        None
    }
}
