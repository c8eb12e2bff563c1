//! The tiers that run IR.

use bumpalo::Bump;
use std::rc::Rc;
use tern_core::bare::{BareGuest, BareMachine};
use tern_core::engine::Stop;
use tern_core::frontend::{Fetch, Frontend, Helper, Limits};
use tern_core::ir::eval::eval_block;
use tern_core::ir::{Block, BlockKey, Bool, Builder, Exit, Inst, opt};
use tern_core::mem::{Access, FaultKind, MemFault};
use tern_core::state::{State, StateLayout};
use tern_interp::{Dispatch, Engine, Options};

/// How a block ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// What stopped it; `None`: it went on at pc.
    pub stop: Option<Stop>,
    /// Guest instructions retired.
    pub retired: u64,
}

/// Something that runs blocks.
pub trait Tier {
    /// Its name in test files.
    fn name(&self) -> &'static str;

    /// Why this build or host does not have it, if it does not.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Runs a block of a [`BareGuest`] once, at position 0.  `state.pc()` is right afterwards.
    fn run(&self, block: &Block<'_>, state: &mut State, machine: &mut BareMachine) -> End;
}

/// Every tier there is.
#[must_use]
pub fn all() -> Vec<Box<dyn Tier>> {
    vec![
        Box::new(Evaluator { passes: false }),
        Box::new(Evaluator { passes: true }),
        Box::new(Interpreter { name: "loop", dispatch: Dispatch::Loop, hot: Some(0) }),
        Box::new(Interpreter { name: "tail", dispatch: Dispatch::Tail, hot: Some(0) }),
        Box::new(Interpreter { name: "cold", dispatch: Dispatch::best(), hot: Some(1) }),
    ]
}

/// The reference evaluator, before or after the optimiser's passes.
struct Evaluator {
    passes: bool,
}

impl Tier for Evaluator {
    fn name(&self) -> &'static str {
        if self.passes { "opt" } else { "eval" }
    }

    fn run(&self, block: &Block<'_>, state: &mut State, machine: &mut BareMachine) -> End {
        let mut block = block.clone();
        if self.passes {
            opt::run(&mut block);
        }
        let end = eval_block(&block, &BareGuest::new(), state, machine, 0);
        End { stop: end.stop, retired: u64::from(end.retired) }
    }
}

/// The interpreter: a dispatcher, and whether it starts with cold blocks.
struct Interpreter {
    name: &'static str,
    dispatch: Dispatch,
    hot: Option<u32>,
}

impl Tier for Interpreter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn missing(&self) -> Option<&'static str> {
        (!self.dispatch.available()).then_some("needs an optimised build")
    }

    fn run(&self, block: &Block<'_>, state: &mut State, machine: &mut BareMachine) -> End {
        let guest = Scripted {
            bare: BareGuest::new(),
            key: block.key,
            insts: block.insts.to_vec(),
            exit: block.exit,
            insns: block.insns,
            locals: block.locals,
            labels: block.labels,
        };
        let mut engine =
            Engine::new(Rc::new(guest), Options { dispatch: self.dispatch, hot: self.hot, ..Options::default() });
        let cpu = engine.add_cpu();
        *engine.state_mut(cpu) = state.clone();
        engine.state_mut(cpu).set_pc(block.key.pc);
        // So many that the engine does not leave the last ones to the evaluator.
        let stop = engine.run(cpu, machine, 1 << 40);
        *state = engine.state(cpu).clone();
        let evaluated = engine.stats().evaluated;
        assert_eq!(evaluated, 0, "the evaluator ran {evaluated} instructions in the interpreter's place");
        let end = Stop::Fault(OUTSIDE.at(state.pc()));
        End { stop: (stop != end).then_some(stop), retired: engine.icount(cpu) }
    }
}

/// The fetch fault of every address but the block's: how the interpreter tells where the block went.
struct Outside(u32);

/// A kind of fault that no test makes otherwise.
const OUTSIDE: Outside = Outside(0x7e57);

impl Outside {
    fn at(&self, addr: u64) -> MemFault {
        MemFault { addr, access: Access::Fetch, kind: FaultKind::Arch(self.0) }
    }
}

/// A guest whose only code is one block of IR.
struct Scripted {
    bare: BareGuest,
    key: BlockKey,
    insts: Vec<Inst>,
    exit: Exit,
    insns: u32,
    locals: u32,
    labels: u32,
}

impl Frontend for Scripted {
    fn layout(&self) -> &StateLayout {
        self.bare.layout()
    }

    fn helpers(&self) -> &'static [Helper] {
        self.bare.helpers()
    }

    fn mode(&self, _: &State) -> u32 {
        self.key.mode
    }

    fn translate(&self, _: &mut dyn Fetch, b: &mut Builder<'_>, limits: Limits) -> Result<u64, MemFault> {
        if b.key() != self.key {
            return Err(OUTSIDE.at(b.key().pc));
        }
        assert!(self.insns <= limits.insns, "the block needs too many temporaries, or is too long");
        for _ in 0..self.labels {
            b.label();
        }
        for _ in 0..self.locals {
            b.local::<Bool>();
        }
        for inst in &self.insts {
            b.raw(*inst);
        }
        b.exit(self.exit);
        Ok(self.key.pc)
    }

    fn disassemble(&self, bytes: &[u8], pc: u64, mode: u32) -> Option<(String, usize)> {
        self.bare.disassemble(bytes, pc, mode)
    }
}

/// The tier with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Tier>> {
    all().into_iter().find(|t| t.name() == name)
}

/// Reads a block for use with tiers.
///
/// # Errors
/// Line and reason.
pub fn block<'a>(arena: &'a Bump, text: &str) -> Result<Block<'a>, String> {
    let guest = BareGuest::new();
    tern_core::ir::parse::parse_block(arena, text, Some(guest.layout())).map_err(|e| e.to_string())
}
