//! tern-riscv: the RISC-V guest, RV32 and RV64 in one crate.
//!
//! * [`state`]: the slots of a CPU; [`features`]: ISA strings, `-cpu` models, extensions.
//! * [`translate`]: the translator that row bodies work on.
//! * [`privileged`]: what the privileged architecture of a CPU is; [`system`]: how machines use it; [`trap`]: causes.
//! * [`vector`]: what vector instructions do.
//! * [`asm`]: what RISC-V adds to the assembler.
//! * [`insn`]: the instruction tables, one file per chapter of the manual.
//!
//! # Adding an instruction
//! Write its row and body into the chapter's `insns!` table in `insn/`: the encoding as the manual prints it, the
//! assembly syntax of GNU objdump `-M no-aliases`, and a body over [`translate::Tr`].  Nothing else changes.
//!
//! # Adding an extension
//! Write `insn/<name>.rs` with its groups and add one row to the table in [`features`].  Vectors go to `insn/v_*.rs`;
//! their registers and CSRs are in [`state`] and [`insn::csr`] already, and the row `v` is marked as planned until then.
#![forbid(unsafe_code)]

mod access;
mod aia;
pub mod asm;
mod crypto;
pub mod csr;
pub mod features;
mod hash;
mod helper;
pub mod insn;
mod interrupt;
mod large;
mod mmu;
mod pmp;
pub mod privileged;
pub mod state;
pub mod system;
pub mod translate;
pub mod trap;
pub mod vector;

pub use features::{FeatureError, Features};
pub use helper::TIMEBASE_HZ;
pub use insn::Rv;

use system::Privileged;
use tern_core::frontend::{Fetch, Frontend, Helper, HelperCx, Limits};
use tern_core::ir::Builder;
use tern_core::mem::MemFault;
use tern_core::state::{State, StateLayout};
use tern_core::system::System;
use tern_decode::{Assembler, Decoder, Disassembler};
use translate::{Cpu, Mode};

/// A RISC-V CPU with fixed features.
pub struct Riscv {
    features: Features,
    cpu: Cpu,
    layout: StateLayout,
    disassembler: Disassembler<Rv>,
    system: Option<Privileged>,
}

impl Riscv {
    /// A CPU with these features.
    #[must_use]
    pub fn new(features: Features) -> Riscv {
        let disassembler = Disassembler::new(&features.groups()).address_bits(u32::from(features.xlen()));
        let layout = state::layout(features.shape());
        Riscv { cpu: features.cpu(), layout, disassembler, features, system: None }
    }

    /// The CPU of a machine, with M, S and U modes: `ecall` is a trap, and so is all that privilege forbids.
    #[must_use]
    pub fn machine(features: Features) -> Riscv {
        let disassembler = Disassembler::new(&features.machine_groups()).address_bits(u32::from(features.xlen()));
        let layout = state::machine_layout(features.shape(), features.ids());
        let cpu = Cpu { privileged: features.privileged(), ..features.cpu() };
        let system = Some(Privileged::new(cpu, layout.clone()));
        Riscv { cpu, layout, disassembler, features, system }
    }

    /// Its privileged side, if it has one.
    #[must_use]
    pub fn privileged(&self) -> Option<&Privileged> {
        self.system.as_ref()
    }

    /// Its features.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Its instruction decoder.
    #[must_use]
    pub fn decoder(&self) -> &Decoder<Rv> {
        self.disassembler.decoder()
    }

    /// An assembler for its instructions.
    #[must_use]
    pub fn assembler(&self) -> Assembler {
        let xlen = self.features.xlen();
        let dialect = asm::RiscvAsm::for_xlen(xlen);
        let groups = if self.system.is_some() { self.features.machine_groups() } else { self.features.groups() };
        Assembler::new(&groups).dialect(dialect).address_bits(u32::from(xlen))
    }
}

impl Frontend for Riscv {
    fn layout(&self) -> &StateLayout {
        &self.layout
    }

    fn helpers(&self) -> &'static [Helper] {
        helper::HELPERS
    }

    fn mode(&self, state: &State) -> u32 {
        Mode::of(state, self.cpu.privileged).word()
    }

    fn translate(&self, fetch: &mut dyn Fetch, b: &mut Builder<'_>, limits: Limits) -> Result<u64, MemFault> {
        translate::block(self.decoder(), self.cpu, fetch, b, limits)
    }

    fn system(&self) -> Option<&dyn System> {
        self.system.as_ref().map(|system| system as &dyn System)
    }

    fn control_registers(&self) -> Vec<(u32, &'static str)> {
        insn::csr::Csr::list(self.cpu)
    }

    fn control_register(&self, cx: &mut HelperCx<'_>, number: u32, write: Option<u64>) -> Option<u64> {
        access::control_register(cx, self.cpu, &self.layout, number, write)
    }

    fn disassemble(&self, bytes: &[u8], pc: u64, _mode: u32) -> Option<(String, usize)> {
        let low = u64::from(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]));
        let (word, len) = if low & 3 == 3 {
            (low | u64::from(u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?])) << 16, 4)
        } else {
            (low, 2)
        };
        let text = match self.disassembler.disasm(word, pc) {
            Some((text, _)) => text,
            None if len == 2 => format!(".2byte {word:#06x}"),
            None => format!(".4byte {word:#010x}"),
        };
        Some((text, len))
    }
}
