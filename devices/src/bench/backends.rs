//! Backends of a test bench: whatever a property names is there.

use super::{Bench, Counting, Folder, Frames, MemoryDisk, Output};
use crate::model::Backends;
use std::cell::RefCell;
use std::rc::Rc;
use tern_core::backend::{Block, CharSink, Entropy, FileSystem, Memory, NetSink, Peers, SharedRange, Tpm, TpmVersion};
use tern_core::backend::{VhostRing, VhostUser};

/// Size of a bench's disks in bytes.
const DISK: usize = 1 << 20;
/// Size of a bench's memory objects in bytes.
const MEMORY: usize = 16 << 10;

/// A memory object.
struct Cells(RefCell<Vec<u8>>);

impl Memory for Cells {
    fn size(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn read(&self, offset: u64, buf: &mut [u8]) {
        let cells = self.0.borrow();
        let from = cells.iter().skip(offset as usize).chain(core::iter::repeat(&0));
        buf.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }

    fn write(&self, offset: u64, buf: &[u8]) {
        let mut cells = self.0.borrow_mut();
        cells.iter_mut().skip(offset as usize).zip(buf).for_each(|(to, from)| *to = *from);
    }
}

/// Peer 1 of machines that are not there.
struct Alone(Rc<dyn Memory>);

impl Peers for Alone {
    fn id(&self) -> u16 {
        1
    }

    fn memory(&self) -> Rc<dyn Memory> {
        self.0.clone()
    }

    fn ring(&mut self, _peer: u16, _vector: u16) {}
}

/// A TPM 2.0 that never answers by itself.
struct SilentTpm;

impl Tpm for SilentTpm {
    fn version(&self) -> TpmVersion {
        TpmVersion::V2_0
    }

    fn buffer_size(&self) -> usize {
        4096
    }

    fn start(&mut self) {}

    fn established(&mut self) -> bool {
        false
    }

    fn reset_established(&mut self, _locality: u8) {}

    fn submit(&mut self, _locality: u8, _command: &[u8]) {}

    fn cancel(&mut self) {}
}

/// A vhost-user process that offers everything and never does anything.
struct SilentProcess;

impl VhostUser for SilentProcess {
    fn connected(&self) -> bool {
        true
    }

    fn features(&self) -> u64 {
        u64::MAX
    }

    fn queues(&self) -> u16 {
        256
    }

    fn read_config(&mut self, config: &mut [u8]) -> Result<(), String> {
        config.fill(0);
        Ok(())
    }

    fn write_config(&mut self, _offset: u32, _data: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn start(&mut self, _: u64, _: &[SharedRange], _: &[VhostRing]) -> Result<(), String> {
        Ok(())
    }

    fn enable(&mut self, _queue: u16, _on: bool) {}

    fn kick(&mut self, _queue: u16) {}

    fn stop(&mut self) {}

    fn renew(&mut self) {}
}

/// A bench's backends: zeroed disks of 1 MiB, and the bench's sinks.
pub struct BenchBackends {
    output: Rc<RefCell<Vec<u8>>>,
    frames: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl BenchBackends {
    /// Those of `bench`.
    #[must_use]
    pub fn new(bench: &Bench) -> BenchBackends {
        BenchBackends { output: bench.output.clone(), frames: bench.frames.clone() }
    }
}

impl Backends for BenchBackends {
    fn drive(&mut self, _name: &str, _port: u32) -> Result<Box<dyn Block>, String> {
        Ok(Box::new(MemoryDisk { bytes: vec![0; DISK], read_only: false }))
    }

    fn netdev(&mut self, _name: &str, _port: u32) -> Result<Box<dyn NetSink>, String> {
        Ok(Box::new(Frames(self.frames.clone())))
    }

    fn chardev(&mut self, _name: &str, _port: u32) -> Result<Box<dyn CharSink>, String> {
        Ok(Box::new(Output(self.output.clone())))
    }

    fn entropy(&mut self, _object: Option<&str>) -> Result<Box<dyn Entropy>, String> {
        Ok(Box::new(Counting(0)))
    }

    fn folder(&mut self, _fsdev: &str) -> Result<Box<dyn FileSystem>, String> {
        Ok(Box::new(Folder::new()))
    }

    fn memory(&mut self, _object: &str) -> Result<Rc<dyn Memory>, String> {
        Ok(Rc::new(Cells(RefCell::new(vec![0; MEMORY]))))
    }

    fn peers(&mut self, chardev: &str, _port: u32, _vectors: u16) -> Result<Box<dyn Peers>, String> {
        Ok(Box::new(Alone(self.memory(chardev)?)))
    }

    fn tpm(&mut self, _name: &str, _port: u32) -> Result<Box<dyn Tpm>, String> {
        Ok(Box::new(SilentTpm))
    }

    fn vhost_user(&mut self, _chardev: &str, _port: u32, _queues: u16) -> Result<Box<dyn VhostUser>, String> {
        Ok(Box::new(SilentProcess))
    }

    fn mac(&mut self) -> [u8; 6] {
        [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]
    }

    fn wall_clock_ns(&mut self) -> u64 {
        1_000_000_000_000_000_000
    }
}
