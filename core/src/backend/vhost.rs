//! vhost-user: another process runs a device's queues, in memory that it shares with the machine.  (The vhost-user protocol
//! of QEMU's documentation, "Vhost-user Protocol")
//!
//! The device negotiates features with the driver and says where its rings are; the other process works on them by itself.
//! What it has to say comes in at the device's port as [`VhostEvent`]s.

use crate::mem::space::HostMemory;
use std::rc::Rc;

/// A stretch of the machine's memory.
#[derive(Clone)]
pub struct SharedRange {
    /// Its guest physical address.
    pub addr: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The memory that it shows.
    pub memory: Rc<dyn HostMemory>,
    /// Where in that memory it begins.
    pub offset: u64,
}

/// A ring that the other process is to run.  Addresses are guest physical.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VhostRing {
    /// The queue's number in the device, which is its number in the protocol.
    pub queue: u16,
    /// Entries.
    pub size: u16,
    /// Descriptors.
    pub desc: u64,
    /// The driver's area.
    pub driver: u64,
    /// The device's area.
    pub device: u64,
    /// Index of the next available entry.
    pub base: u16,
    /// Does it run from the beginning?
    pub enabled: bool,
}

/// What the other process says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VhostEvent {
    /// Buffers of this queue are used, and the driver wants to hear of it.
    Used(u16),
    /// The other process is there: rings that should run are to be started.
    Up,
    /// It is gone, and no ring runs.
    Down,
}

impl VhostEvent {
    /// Bytes of an event as input.
    pub const SIZE: usize = 2;

    /// As input of a device.
    #[must_use]
    pub fn bytes(self) -> [u8; Self::SIZE] {
        match self {
            VhostEvent::Used(queue) => queue.min(0xfffd),
            VhostEvent::Up => 0xffff,
            VhostEvent::Down => 0xfffe,
        }
        .to_le_bytes()
    }

    /// The events in input of a device.
    pub fn all(data: &[u8]) -> impl Iterator<Item = VhostEvent> + '_ {
        data.as_chunks::<{ Self::SIZE }>().0.iter().map(|bytes| match u16::from_le_bytes(*bytes) {
            0xffff => VhostEvent::Up,
            0xfffe => VhostEvent::Down,
            queue => VhostEvent::Used(queue),
        })
    }
}

/// The other process.  It may come and go.  Errors are one line.
pub trait VhostUser {
    /// Is it there?
    fn connected(&self) -> bool;

    /// The features of the device type and of rings that it offers, as virtio's bits.  They stay what they were when it was
    /// there first; one that comes back with less of what is in use is sent away.
    fn features(&self) -> u64;

    /// Most queues that it runs; 0: it has not said.
    fn queues(&self) -> u16;

    /// Reads its configuration space from the start.
    ///
    /// # Errors
    /// It has none, or does not answer.
    fn read_config(&mut self, config: &mut [u8]) -> Result<(), String>;

    /// The driver writes to the configuration space.
    ///
    /// # Errors
    /// As [`VhostUser::read_config`].
    fn write_config(&mut self, offset: u32, data: &[u8]) -> Result<(), String>;

    /// The link's largest packet in bytes, as far as it wants to know.
    fn set_mtu(&mut self, mtu: u16) {
        let _ = mtu;
    }

    /// Announces a network address in the guest's place, if it can.
    fn announce(&mut self, mac: [u8; 6]) {
        let _ = mac;
    }

    /// Starts rings, with the features that were agreed on.
    ///
    /// # Errors
    /// Memory that cannot be shared, or it does not answer.
    fn start(&mut self, features: u64, memory: &[SharedRange], rings: &[VhostRing]) -> Result<(), String>;

    /// Lets a ring that was started run, or holds it.
    fn enable(&mut self, queue: u16, on: bool);

    /// The driver has put buffers into this queue.
    fn kick(&mut self, queue: u16);

    /// Stops all rings; what is in work is finished first.
    fn stop(&mut self);

    /// The device's state was loaded: if the process is there, this is said again by [`VhostEvent::Up`].
    fn renew(&mut self);
}
