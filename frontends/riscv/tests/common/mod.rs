//! Assembles a few lines, runs them through the reference evaluator, and looks at the state afterwards.

use bumpalo::Bump;
use tern_core::engine::{Event, Platform, Stop};
use tern_core::frontend::{Fetch, Frontend, Limits};
use tern_core::ir::Builder;
use tern_core::ir::eval::eval_block;
use tern_core::ir::opt;
use tern_core::ir::verify::verify;
use tern_core::mem::{Access, FlatMemory, GuestMemory, MemFault, PageRef, Size};
use tern_core::state::State;
use tern_riscv::{Features, Riscv};

/// Where programs and the data page lie.
pub(crate) const CODE: u64 = 0x1_0000;
/// Two pages of data; the page after them is read-only, the one after that unmapped.
pub(crate) const DATA: u64 = CODE + 0x1000;

/// Flat memory and a clock that stands at 1 ms plus 100 ns per instruction.
pub(crate) struct Board(pub(crate) FlatMemory);

impl GuestMemory for Board {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        self.0.page(addr, access, mode)
    }
    fn generation(&self) -> u64 {
        self.0.generation()
    }
    fn set_code(&mut self, phys: u64, code: bool) {
        self.0.set_code(phys, code);
    }
    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.0.take_invalidated(pages);
    }
    fn device_load(&mut self, addr: u64, mode: u8, size: Size) -> Result<u64, MemFault> {
        self.0.device_load(addr, mode, size)
    }
    fn device_store(&mut self, addr: u64, mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        self.0.device_store(addr, mode, size, value)
    }
}

impl Platform for Board {
    fn time_ns(&mut self, icount: u64) -> u64 {
        1_000_000 + icount * 100
    }
    fn event(&mut self, _: Event, _: core::fmt::Arguments<'_>) {}
}

struct Code<'a>(&'a mut dyn GuestMemory);

impl Fetch for Code<'_> {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        self.0.read(addr, buf, Access::Fetch, 0)
    }
}

/// One CPU with its memory.
pub(crate) struct Machine {
    pub(crate) cpu: Riscv,
    pub(crate) state: State,
    pub(crate) board: Board,
    pub(crate) retired: u64,
}

impl Machine {
    /// A reset CPU; pc at [`CODE`].
    pub(crate) fn new(features: &Features) -> Machine {
        let cpu = Riscv::new(features.clone());
        let mut state = State::new(cpu.layout());
        state.set_pc(CODE);
        let mut memory = FlatMemory::new(CODE, 4);
        memory.protect(DATA + 0x2000, true);
        Machine { cpu, state, board: Board(memory), retired: 0 }
    }

    /// Puts code at [`CODE`].
    pub(crate) fn assemble(&mut self, source: &str) {
        let assembler = self.cpu.assembler();
        let bytes = assembler.assemble(source, CODE).unwrap_or_else(|e| panic!("{e} in {source}"));
        self.write(CODE, &bytes);
    }

    /// Writes memory.
    pub(crate) fn write(&mut self, addr: u64, bytes: &[u8]) {
        let memory: &mut dyn GuestMemory = &mut self.board;
        memory.write(addr, bytes, 0).expect("tests write where memory is");
    }

    /// Reads a doubleword.
    pub(crate) fn read(&mut self, addr: u64) -> u64 {
        let mut raw = [0; 8];
        let memory: &mut dyn GuestMemory = &mut self.board;
        memory.read(addr, &mut raw, Access::Load, 0).expect("tests read where memory is");
        u64::from_le_bytes(raw)
    }

    /// Runs until something other than the next block happens.
    ///
    /// Blocks are verified; with `passes` the optimiser's passes run before the evaluator.
    pub(crate) fn run(&mut self, limits: Limits, passes: bool) -> Stop {
        for _ in 0..100_000 {
            let arena = Bump::new();
            let mut b = Builder::new(&arena, self.cpu.key(&self.state));
            let mut block = match self.cpu.translate(&mut Code(&mut self.board), &mut b, limits) {
                Ok(next) => b.finish(next),
                Err(fault) => return Stop::Fault(fault),
            };
            verify(&block, Some(self.cpu.layout())).unwrap_or_else(|e| panic!("{e}"));
            if passes {
                opt::run(&mut block);
            }
            let end = eval_block(&block, &self.cpu, &mut self.state, &mut self.board, self.retired);
            self.retired += u64::from(end.retired);
            match end.stop {
                None | Some(Stop::Resync) => {}
                Some(stop) => return stop,
            }
        }
        panic!("the program does not end");
    }
}
