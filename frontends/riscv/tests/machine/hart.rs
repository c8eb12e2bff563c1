//! One hart with RAM at 0x8000_0000 and nothing else, run block by block by the reference evaluator.  There are no caches
//! of any kind, so flushes are only recorded.

use bumpalo::Bump;
use std::collections::BTreeMap;
use tern_core::engine::{Event, Platform, Stop};
use tern_core::frontend::{Fetch, Frontend, HelperCx, Limits};
use tern_core::ir::Builder;
use tern_core::ir::eval::eval_block;
use tern_core::ir::opt;
use tern_core::ir::verify::verify;
use tern_core::mem::{Access, FlatMemory, GuestMemory, MemFault, PageRef};
use tern_core::state::State;
use tern_core::system::{Flush, Reset, Virtual};
use tern_riscv::{Features, Riscv};

/// Where RAM begins.
pub(crate) const RAM: u64 = 0x8000_0000;
/// Where programs tell that they are done.
pub(crate) const DONE: u64 = RAM + 0x8000;

/// RAM, a clock of 100 ns per instruction, timers, and CPU registers of devices.
pub(crate) struct Board {
    pub(crate) ram: FlatMemory,
    pub(crate) timers: BTreeMap<u32, u64>,
    /// Registers that answer, with what was written last.
    pub(crate) registers: BTreeMap<u32, u64>,
}

impl GuestMemory for Board {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        self.ram.page(addr, access, mode)
    }
    fn generation(&self) -> u64 {
        self.ram.generation()
    }
    fn set_code(&mut self, phys: u64, code: bool) {
        self.ram.set_code(phys, code);
    }
    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.ram.take_invalidated(pages);
    }
}

impl Platform for Board {
    fn time_ns(&mut self, icount: u64) -> u64 {
        icount * 100
    }
    fn event(&mut self, _: Event, _: core::fmt::Arguments<'_>) {}
    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        self.timers.remove(&timer);
        self.timers.extend(at_ns.map(|at| (timer, at)));
    }
    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        let place = self.registers.get_mut(&register)?;
        let old = *place;
        if let Some((value, mask)) = write {
            *place = old & !mask | value & mask;
        }
        Some(old)
    }
}

struct Code<'a>(Virtual<'a>);

impl Fetch for Code<'_> {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let memory: &mut dyn GuestMemory = &mut self.0;
        memory.read(addr, buf, Access::Fetch, 0)
    }
}

/// The hart.
pub(crate) struct Hart {
    pub(crate) cpu: Riscv,
    pub(crate) state: State,
    pub(crate) board: Board,
    pub(crate) retired: u64,
    /// What the last helper asked to be forgotten.
    pub(crate) flush: Flush,
    /// Traps and interrupts taken.
    pub(crate) traps: u64,
    pub(crate) limits: Limits,
}

impl Hart {
    /// A hart in reset, with some pages of RAM.
    pub(crate) fn new(features: &Features, pages: usize) -> Hart {
        let cpu = Riscv::machine(features.clone());
        let state = State::new(cpu.layout());
        let board = Board { ram: FlatMemory::new(RAM, pages), timers: BTreeMap::new(), registers: BTreeMap::new() };
        let limits = Limits { insns: 64, follow: true, one_page: true };
        let mut hart = Hart { cpu, state, board, retired: 0, flush: Flush::None, traps: 0, limits };
        let reset = Reset { id: 0, pc: RAM, args: [0; 3] };
        hart.cpu.system().expect("machines have one").reset(&mut hart.state, reset);
        hart
    }

    /// Writes physical memory.
    pub(crate) fn write(&mut self, addr: u64, bytes: &[u8]) {
        let memory: &mut dyn GuestMemory = &mut self.board;
        memory.write(addr, bytes, 0).expect("tests write where memory is");
    }

    /// Reads a doubleword of physical memory.
    pub(crate) fn read(&mut self, addr: u64) -> u64 {
        let mut raw = [0; 8];
        let memory: &mut dyn GuestMemory = &mut self.board;
        memory.read(addr, &mut raw, Access::Load, 0).expect("tests read where memory is");
        u64::from_le_bytes(raw)
    }

    /// Puts a program into memory.
    pub(crate) fn assemble(&mut self, source: &str, at: u64) {
        let assembler = self.cpu.assembler();
        let bytes = assembler.assemble(source, at).unwrap_or_else(|e| panic!("{e} in {source}"));
        self.write(at, &bytes);
    }

    /// The slot with this name.
    pub(crate) fn get(&self, name: &str) -> u64 {
        let row = self.cpu.layout().by_name(name).unwrap_or_else(|| panic!("no register {name}"));
        self.state.get(row.slot)
    }

    /// Reads or writes a register from outside; `flush` is what is to be forgotten.
    pub(crate) fn control(&mut self, number: u32, write: Option<u64>) -> Option<u64> {
        let system = self.cpu.system().expect("machines have one");
        let (state, platform) = (&mut self.state, &mut self.board);
        let mut cx = HelperCx { state, platform, system: Some(system), flush: Flush::None, icount: self.retired };
        let value = system.control_register(&mut cx, number, write);
        self.flush = cx.flush;
        value
    }

    /// What page tables map: address, physical address, size, rights.
    pub(crate) fn mappings(&mut self) -> Vec<(u64, u64, u64, String)> {
        let system = self.cpu.system().expect("machines have one");
        let list = system.mappings(&self.state, &mut self.board).expect("this frontend lists them");
        list.into_iter().map(|m| (m.virt, m.phys, m.size, m.rights)).collect()
    }

    /// Raises the lines of timers that are due.
    fn tick(&mut self) {
        let now = self.board.time_ns(self.retired);
        let due: Vec<u32> = self.board.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.board.timers.remove(&timer);
            self.cpu.system().expect("machines have one").set_line(&mut self.state, timer, true);
        }
    }

    /// Runs one block, or enters a handler; why the block stopped.
    pub(crate) fn step(&mut self) -> Option<Stop> {
        self.tick();
        let system = self.cpu.system().expect("machines have one");
        if system.interrupt(&mut self.state).is_some() {
            self.traps += 1;
        }
        let arena = Bump::new();
        let mut b = Builder::new(&arena, self.cpu.key(&self.state));
        if std::env::var("TRACE").is_ok() {
            eprintln!("pc {:#x} mode {:#x}", self.state.pc(), self.cpu.mode(&self.state));
        }
        let memory = Virtual { system: Some(system), state: &self.state, platform: &mut self.board };
        let stop = match self.cpu.translate(&mut Code(memory), &mut b, self.limits) {
            Ok(next) => {
                let mut block = b.finish(next);
                verify(&block, Some(self.cpu.layout())).unwrap_or_else(|e| panic!("{e}"));
                opt::run(&mut block);
                let end = eval_block(&block, &self.cpu, &mut self.state, &mut self.board, self.retired);
                self.retired += u64::from(end.retired);
                self.flush = end.flush;
                end.stop
            }
            Err(fault) => Some(Stop::Fault(fault)),
        };
        if let Some(stop @ (Stop::Trap { .. } | Stop::Fault(_) | Stop::Syscall)) = stop {
            self.traps += 1;
            if std::env::var("TRACE").is_ok() {
                eprintln!("{stop:?}");
            }
            system.exception(&mut self.state, &mut self.board, stop);
        }
        stop
    }

    /// Puts a program at the start of RAM and runs it until it writes to [`DONE`]; what it wrote.
    pub(crate) fn run(&mut self, source: &str) -> u64 {
        self.assemble(source, RAM);
        self.until_written(DONE)
    }

    /// Runs until the program writes to the doubleword at `at`; what it wrote.
    pub(crate) fn until_written(&mut self, at: u64) -> u64 {
        for _ in 0..2_000_000 {
            let stop = self.step();
            let value = self.read(at);
            if value != 0 {
                return value;
            }
            if stop == Some(Stop::Halt) && !self.cpu.system().expect("machines have one").wakes(&self.state) {
                // Nothing else can happen until the next timer.
                let next = self.board.timers.values().min().unwrap_or_else(|| panic!("the hart waits for ever"));
                self.retired = self.retired.max(next.div_ceil(100));
            }
        }
        panic!("the program does not end; pc {:#x}", self.state.pc());
    }
}
