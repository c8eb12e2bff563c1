//! A test bench for devices: memory, time, wires and counters, and no machine around them.

use crate::storage::cfi_flash::Array;
mod backends;
mod folder;
mod synth;

pub use backends::BenchBackends;
pub use folder::Folder;
pub use synth::Synth;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tern_core::backend::{Block, BlockError, CharSink, Entropy, FileSystem, NetSink};
use tern_core::device::{Bus, BusError, Device, Dma, IrqLine, Kit, Mapper, Reporter, Signal, Sink, Wires};
use tern_core::engine::Event;
use tern_core::mem::space::AddressSpace;
use tern_core::mem::{Access, FlatMemory, GuestMemory, HostSpan, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use tern_core::time::{Clock, EventQueue, Owner};

/// Where the bench's RAM begins.
pub const RAM: u64 = 0x8000_0000;
/// Its size in bytes.
pub const RAM_SIZE: u64 = 1 << 20;

/// Windows that a device has mapped: (device, window) and where.
type Mapped = Vec<((u32, u32), Option<u64>)>;

struct TestBus {
    ram: RefCell<FlatMemory>,
    mapped: RefCell<Mapped>,
}

impl TestBus {
    fn pieces(&self, addr: u64, len: u64, write: bool, mut f: impl FnMut(HostSpan, usize)) -> Result<(), BusError> {
        let access = if write { Access::Store } else { Access::Load };
        let mut done = 0;
        while done < len {
            let at = addr.wrapping_add(done);
            let page = self.ram.borrow_mut().page(at, access, 0).map_err(|_| BusError { addr: at })?;
            let n = (PAGE_SIZE - (at & PAGE_MASK)).min(len - done) as usize;
            let part = page.span.sub((at & PAGE_MASK) as usize, n).ok_or(BusError { addr: at })?;
            f(part, done as usize);
            done += n as u64;
        }
        Ok(())
    }
}

impl Bus for TestBus {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.pieces(addr, buf.len() as u64, false, |part, at| {
            let _ = part.read(0, &mut buf[at..at + part.len()]);
        })
    }

    fn write(&self, addr: u64, buf: &[u8]) -> Result<(), BusError> {
        self.pieces(addr, buf.len() as u64, true, |part, at| {
            let _ = part.write(0, &buf[at..at + part.len()]);
        })
    }

    fn span(&self, addr: u64, len: u64, write: bool) -> Result<HostSpan, BusError> {
        let len = len.min(PAGE_SIZE - (addr & PAGE_MASK));
        let mut span = HostSpan::EMPTY;
        self.pieces(addr, len, write, |part, _| span = part)?;
        Ok(span)
    }

    fn map(&self, device: u32, window: u32, addr: Option<u64>) {
        self.mapped.borrow_mut().push(((device, window), addr));
    }
}

/// What the bench counts.
#[derive(Default)]
struct Counts {
    guest_errors: Cell<u64>,
    unimplemented: Cell<u64>,
}

/// The bench.
pub struct Bench {
    bus: Rc<TestBus>,
    /// Time and events.
    pub queue: EventQueue,
    /// Wires.
    pub wires: Wires,
    counts: Rc<Counts>,
    devices: u32,
    lines: u32,
    /// What devices wrote to [`Bench::chars`].
    pub output: Rc<RefCell<Vec<u8>>>,
    /// What devices sent to [`Bench::net`].
    pub frames: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench::new()
    }
}

impl Bench {
    /// A bench with [`RAM_SIZE`] bytes of zeroed RAM at [`RAM`].
    #[must_use]
    pub fn new() -> Bench {
        let ram = FlatMemory::new(RAM, (RAM_SIZE >> PAGE_SHIFT) as usize);
        Bench {
            bus: Rc::new(TestBus { ram: RefCell::new(ram), mapped: RefCell::default() }),
            queue: EventQueue::new(),
            wires: Wires::new(),
            counts: Rc::default(),
            devices: 0,
            lines: 0,
            output: Rc::default(),
            frames: Rc::default(),
        }
    }

    /// The kit of the next device: numbers count from 0.
    pub fn kit(&mut self, name: &str) -> Kit {
        let device = self.devices;
        self.devices += 1;
        let counts = self.counts.clone();
        let report = Reporter::new(name, move |event, _| {
            let cell = if event == Event::GuestError { &counts.guest_errors } else { &counts.unimplemented };
            cell.set(cell.get() + 1);
        });
        Kit {
            clock: Clock::new(self.queue.clone(), Owner::Device(device)),
            dma: self.dma(),
            messenger: self.wires.messenger(),
            mapper: Mapper::new(self.bus.clone(), device),
            report,
        }
    }

    /// Access to the bench's RAM.
    #[must_use]
    pub fn dma(&self) -> Dma {
        Dma::new(self.bus.clone())
    }

    /// The next line: it ends at input n of CPU 0, n counting from 0.
    pub fn line(&mut self) -> IrqLine {
        let line = self.lines;
        self.lines += 1;
        self.wires.line(Sink::Cpu { cpu: 0, line })
    }

    /// A sink whose bytes appear in [`Bench::output`].
    #[must_use]
    pub fn chars(&self) -> Box<dyn CharSink> {
        Box::new(Output(self.output.clone()))
    }

    /// A sink whose frames appear in [`Bench::frames`].
    #[must_use]
    pub fn net(&self) -> Box<dyn NetSink> {
        Box::new(Frames(self.frames.clone()))
    }

    /// Bytes that count up from 0.
    #[must_use]
    pub fn entropy(&self) -> Box<dyn Entropy> {
        Box::new(Counting(0))
    }

    /// A zeroed disk of `size` bytes.
    #[must_use]
    pub fn disk(&self, size: usize) -> Box<dyn Block> {
        Box::new(MemoryDisk { bytes: vec![0; size], read_only: false })
    }

    /// An empty folder.
    #[must_use]
    pub fn folder(&self) -> Box<dyn FileSystem> {
        Box::new(Folder::new())
    }

    /// Zeroed memory of `size` bytes for a flash bank, at address 0 of an address space of its own.
    ///
    /// # Panics
    /// If the host does not have so much.
    #[must_use]
    pub fn flash(&self, size: u64) -> Array {
        let space = AddressSpace::new("flash", "flash", Reporter::new("flash", |_, _| {}));
        let block = space.block("flash0", size).expect("the host has memory for a flash bank");
        let region = space.rom_device(&block, 0, 0);
        space.add(space.root(), region, 0, 0).expect("nothing else is there");
        Array { block, space, region }
    }

    /// Takes all signals that devices have given.
    pub fn signals(&mut self) -> Vec<Signal> {
        core::iter::from_fn(|| self.wires.take()).collect()
    }

    /// Takes all window moves that devices have made.
    pub fn maps(&mut self) -> Vec<((u32, u32), Option<u64>)> {
        self.bus.mapped.take()
    }

    /// Lets time pass until `now`, and calls `device` (number `number`) for its events.
    pub fn advance(&mut self, device: &mut dyn Device, number: u32, now: u64) {
        while let Some(due) = self.queue.pop(now) {
            self.queue.set_now(due.at);
            if due.owner == Owner::Device(number) {
                device.event(due.token);
            }
        }
        self.queue.set_now(now);
    }

    /// Guest mistakes counted.
    #[must_use]
    pub fn guest_errors(&self) -> u64 {
        self.counts.guest_errors.get()
    }

    /// Missing features counted.
    #[must_use]
    pub fn unimplemented(&self) -> u64 {
        self.counts.unimplemented.get()
    }
}

struct Output(Rc<RefCell<Vec<u8>>>);

impl CharSink for Output {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

struct Frames(Rc<RefCell<Vec<Vec<u8>>>>);

impl NetSink for Frames {
    fn send(&mut self, frame: &[u8]) {
        self.0.borrow_mut().push(frame.to_vec());
    }
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, buf: &mut [u8]) -> usize {
        for byte in buf.iter_mut() {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        buf.len()
    }
}

/// A disk in memory.
pub struct MemoryDisk {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// May it not be written?
    pub read_only: bool,
}

impl MemoryDisk {
    fn range(&self, offset: u64, len: u64) -> Result<core::ops::Range<usize>, BlockError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.bytes.len() as u64);
        end.map(|end| offset as usize..end as usize).ok_or(BlockError::OutOfRange)
    }

    fn part(&mut self, offset: u64, len: u64) -> Result<&mut [u8], BlockError> {
        let range = self.range(offset, len)?;
        if self.read_only { Err(BlockError::ReadOnly) } else { Ok(&mut self.bytes[range]) }
    }
}

impl Block for MemoryDisk {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        let range = self.range(offset, buf.len() as u64)?;
        buf.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.part(offset, buf.len() as u64)?.copy_from_slice(buf);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.part(offset, len).map(|_| ())
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        self.part(offset, len)?.fill(0);
        Ok(())
    }
}
