//! The reference evaluator: the plainest correct way to run a block.  Tests compare every tier with it.

use super::fp::{FpAttr, env_of, eval_fp};
use super::{Block, Exit, Op, Ref, Ty, eval_convert, eval1, eval2};
use crate::engine::{Platform, Stop};
use crate::frontend::{Frontend, Helper, HelperCx, HelperExit};
use crate::mem::{Access, FaultKind, HostSpan, MemFault, MemOp, PAGE_MASK, PAGE_SIZE, PageFlags, RmwOp, Size};
use crate::state::{Slot, State};
use crate::system::{Careful, Flush, System, Virtual};

/// How a block ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvalEnd {
    /// `None`: go on at pc.  pc is set in every case.
    pub stop: Option<Stop>,
    /// Guest instructions retired.
    pub retired: u32,
    /// What is to be forgotten about address translation.
    pub flush: Flush,
    /// The instruction reached a device, so that whatever that signalled is to be looked at.
    pub device: bool,
}

/// Runs a block from its beginning; `icount` is the position at which it begins.  Devices are reached by a block's first
/// instruction only, so that they see exact positions: a block ends before any other that would, and after that one.
pub fn eval_block(
    block: &Block<'_>,
    frontend: &dyn Frontend,
    state: &mut State,
    platform: &mut dyn Platform,
    icount: u64,
) -> EvalEnd {
    let mut machine = Machine {
        values: vec![0; block.insts.len()],
        locals: vec![0; block.locals as usize],
        helpers: frontend.helpers(),
        system: frontend.system(),
        flush: Flush::None,
        device: false,
        styles: *frontend.layout().styles(),
        state,
        platform,
        icount,
        begun: 0,
        pc: block.key.pc,
    };
    machine.run(block)
}

struct Machine<'a> {
    values: Vec<u64>,
    locals: Vec<u64>,
    helpers: &'static [Helper],
    system: Option<&'a dyn System>,
    flush: Flush,
    device: bool,
    styles: [tern_softfloat::Style; 4],
    state: &'a mut State,
    platform: &'a mut dyn Platform,
    icount: u64,
    /// Instructions begun; all but the current one have retired.
    begun: u32,
    pc: u64,
}

/// What an instruction did to control.
enum Flow {
    Next(u64),
    Label(u64),
    Leave(u64),
    Stop(Stop),
}

impl Machine<'_> {
    fn value(&self, r: Ref) -> u64 {
        if r == Ref::NONE { 0 } else { self.values[r.index()] }
    }

    fn run(&mut self, block: &Block<'_>) -> EvalEnd {
        let mut at = 0;
        while let Some(inst) = block.insts.get(at) {
            match self.step(inst) {
                Flow::Next(v) => self.values[at] = v & inst.result().map_or(0, Ty::mask),
                Flow::Leave(pc) => return self.leave(pc, None, self.begun),
                Flow::Stop(stop) => return self.leave(self.pc, Some(stop), self.begun.saturating_sub(1)),
                Flow::Label(label) => {
                    // Forward only: the verifier has seen to it that the label is ahead.
                    at += block.insts[at..].iter().position(|i| i.op == Op::Bind && i.imm == label).unwrap_or(0);
                }
            }
            at += 1;
        }
        self.end(&block.exit)
    }

    fn leave(&mut self, pc: u64, stop: Option<Stop>, retired: u32) -> EvalEnd {
        self.state.set(Slot::PC, pc);
        EvalEnd { stop, retired, flush: self.flush, device: self.device }
    }

    fn end(&mut self, exit: &Exit) -> EvalEnd {
        match *exit {
            Exit::Goto(pc) | Exit::Call(pc, _) => self.leave(pc, None, self.begun),
            Exit::Branch(cond, taken, next) => {
                let pc = if self.value(cond) & 1 != 0 { taken } else { next };
                self.leave(pc, None, self.begun)
            }
            Exit::Indirect(target, _) => self.leave(self.value(target), None, self.begun),
            Exit::Syscall(pc) => self.leave(pc, Some(Stop::Syscall), self.begun),
            Exit::Trap(cause, value) => {
                let value = self.value(value);
                self.leave(self.pc, Some(Stop::Trap { cause, value }), self.begun.saturating_sub(1))
            }
            Exit::Resync(pc) => self.leave(pc, Some(Stop::Resync), self.begun),
            Exit::Halt(pc) => self.leave(pc, Some(Stop::Halt), self.begun),
            Exit::Yield(pc) => self.leave(pc, Some(Stop::Yield), self.begun),
        }
    }

    fn step(&mut self, inst: &super::Inst) -> Flow {
        let [a, b, c] = inst.args.map(|r| self.value(r));
        let op = inst.op;
        Flow::Next(match op {
            _ if op.is_binary() || op.is_compare() => eval2(op, inst.ty, a, b),
            _ if op.is_unary() => eval1(op, inst.ty, a),
            _ if op.is_convert() => eval_convert(op, a),
            _ if op.is_fp() => {
                let attr = FpAttr::unpack(inst.imm as u32);
                let mut env = env_of(self.state, &self.styles, attr);
                let value = eval_fp(op, attr, [a, b, c], &mut env);
                self.state.set(Slot::fp_flags(attr.env), u64::from(env.flags.0));
                value
            }
            Op::Const => inst.imm,
            Op::Select => {
                if a & 1 != 0 {
                    b
                } else {
                    c
                }
            }
            Op::BoolInt => a & 1,
            Op::Get => self.state.get(Slot(inst.imm as u32)),
            Op::Set => {
                self.state.set(Slot(inst.imm as u32), a & inst.ty.mask());
                0
            }
            Op::GetLocal => self.locals[inst.imm as usize],
            Op::SetLocal => {
                self.locals[inst.imm as usize] = a;
                0
            }
            Op::Load | Op::Store | Op::Rmw | Op::Cas | Op::Probe => match self.memory(inst, [a, b, c]) {
                Ok(v) => v,
                Err(None) => return self.before(),
                Err(Some(fault)) => return Flow::Stop(Stop::Fault(fault)),
            },
            Op::Helper => match self.helper(inst, [a, b, c]) {
                Ok(v) => v,
                Err(None) => return self.before(),
                Err(Some(HelperExit::Fault(fault))) => return Flow::Stop(Stop::Fault(fault)),
                Err(Some(HelperExit::Trap { cause, value })) => return Flow::Stop(Stop::Trap { cause, value }),
            },
            Op::Icount => self.icount + u64::from(self.begun.saturating_sub(1)),
            Op::Insn if self.device => return Flow::Leave(inst.imm),
            Op::Insn => {
                self.begun += 1;
                self.pc = inst.imm;
                0
            }
            Op::ExitIf if a & 1 != 0 => return Flow::Leave(inst.imm),
            Op::TrapIf if a & 1 != 0 => return Flow::Stop(Stop::Trap { cause: inst.imm as u32, value: b }),
            Op::Br => return Flow::Label(inst.imm),
            Op::BrIf if a & 1 != 0 => return Flow::Label(inst.imm),
            _ => 0,
        })
    }

    /// Leaves before the current instruction, which has done nothing yet.
    fn before(&mut self) -> Flow {
        self.begun -= 1;
        Flow::Leave(self.pc)
    }

    /// `Err(None)`: it reaches a device, and is not the block's first instruction.
    fn helper(&mut self, inst: &super::Inst, args: [u64; 3]) -> Result<u64, Option<HelperExit>> {
        let helper = self.helpers[(inst.imm & 0xffff) as usize];
        // A helper sees pc as any other slot.
        self.state.set(Slot::PC, self.pc);
        let icount = self.icount + u64::from(self.begun.saturating_sub(1));
        let mut careful = Careful::new(self.platform, self.begun > 1);
        let mut cx =
            HelperCx { state: self.state, platform: &mut careful, system: self.system, icount, flush: Flush::None };
        let result = (helper.call)(&mut cx, args, inst.imm >> 16);
        self.flush = self.flush.and(cx.flush);
        match careful.refused() {
            true => Err(None),
            false => {
                self.device |= careful.reached();
                result.map_err(Some)
            }
        }
    }

    /// `Err(None)` as for helpers.
    fn memory(&mut self, inst: &super::Inst, args: [u64; 3]) -> Result<u64, Option<MemFault>> {
        let mut careful = Careful::new(self.platform, self.begun > 1);
        let mut memory = Virtual { system: self.system, state: self.state, platform: &mut careful };
        let result = access(&mut memory, inst, args);
        if careful.refused() {
            return Err(None);
        }
        self.device |= careful.reached();
        result.map_err(Some)
    }
}

/// The access that `inst` makes.
fn access(memory: &mut dyn Platform, inst: &super::Inst, [a, b, c]: [u64; 3]) -> Result<u64, MemFault> {
    let (op, disp) = inst.mem();
    let addr = op.effective(a.wrapping_add(i64::from(disp) as u64));
    match inst.op {
        Op::Load => load(memory, op, addr),
        Op::Store => store(memory, op, addr, b).map(|()| 0),
        Op::Probe => probe(memory, op, addr).map(|()| 0),
        Op::Rmw => {
            let rmw = RmwOp::ALL[(inst.imm >> 16 & 0xff) as usize % RmwOp::ALL.len()];
            atomic(memory, op, addr, |old| Some(rmw.apply(op.size, old, b)))
        }
        _ => atomic(memory, op, addr, |old| (old == b & op.size.mask()).then_some(c)),
    }
}

fn check(op: MemOp, addr: u64, access: Access) -> Result<(), MemFault> {
    if op.aligned && addr & (op.size.bytes() - 1) != 0 {
        return Err(MemFault { addr, access, kind: FaultKind::Misaligned });
    }
    Ok(())
}

/// Tells whoever watches of an access in the current address space.
fn touch(platform: &mut dyn Platform, op: MemOp, addr: u64, access: Access) -> Result<(), MemFault> {
    if op.mode == 0 { platform.touch(addr, op.size.bytes(), access) } else { Ok(()) }
}

/// Loads as `op` says; the general path, which every tier's slow path uses.
///
/// # Errors
/// The guest's fault.
pub fn load(platform: &mut dyn Platform, op: MemOp, addr: u64) -> Result<u64, MemFault> {
    check(op, addr, Access::Load)?;
    let n = op.size.bytes();
    if (addr & PAGE_MASK) + n > PAGE_SIZE {
        let mut raw = [0; 8];
        for (i, byte) in raw[..n as usize].iter_mut().enumerate() {
            *byte = load(
                platform,
                MemOp { size: Size::B1, signed: false, ..op },
                op.effective(addr.wrapping_add(i as u64)),
            )? as u8;
        }
        return Ok(op.decode(u64::from_le_bytes(raw)));
    }
    let page = platform.page(addr, Access::Load, op.mode)?;
    touch(platform, op, addr, Access::Load)?;
    if page.flags.has(PageFlags::DEVICE) {
        return platform.device_load(addr, op.mode, op.size).map(|raw| op.decode(raw));
    }
    let raw = page.span.load((addr & PAGE_MASK) as usize, op.size);
    raw.map(|raw| op.decode(raw)).ok_or(MemFault { addr, access: Access::Load, kind: FaultKind::Bus })
}

/// Finds out whether a store as `op` says would fault.
///
/// # Errors
/// The guest's fault.
pub fn probe(platform: &mut dyn Platform, op: MemOp, addr: u64) -> Result<(), MemFault> {
    check(op, addr, Access::Store)?;
    platform.page(addr, Access::Store, op.mode)?;
    let last = op.effective(addr.wrapping_add(op.size.bytes() - 1));
    if (addr ^ last) & !PAGE_MASK != 0 {
        platform.page(last, Access::Store, op.mode).map_err(|f| MemFault { addr: last & !PAGE_MASK, ..f })?;
    }
    Ok(())
}

/// Stores as `op` says; nothing is written if any byte faults.
///
/// # Errors
/// The guest's fault.
pub fn store(platform: &mut dyn Platform, op: MemOp, addr: u64, value: u64) -> Result<(), MemFault> {
    probe(platform, op, addr)?;
    let n = op.size.bytes();
    let raw = op.encode(value).to_le_bytes();
    if (addr & PAGE_MASK) + n > PAGE_SIZE {
        for (i, byte) in raw[..n as usize].iter().enumerate() {
            let at = op.effective(addr.wrapping_add(i as u64));
            let one = MemOp { size: Size::B1, endian: crate::mem::Endian::Little, ..op };
            store(platform, one, at, u64::from(*byte))?;
        }
        return Ok(());
    }
    let page = platform.page(addr, Access::Store, op.mode)?;
    touch(platform, op, addr, Access::Store)?;
    if page.flags.has(PageFlags::DEVICE) {
        return platform.device_store(addr, op.mode, op.size, op.encode(value));
    }
    if page.span.write((addr & PAGE_MASK) as usize, &raw[..n as usize]) {
        Ok(())
    } else {
        Err(MemFault { addr, access: Access::Store, kind: FaultKind::Bus })
    }
}

/// Atomically replaces the value at `addr` by what `new` makes of it (`None`: leave it); gives the old one.  An access
/// that crosses a page is a misalignment fault, as on real machines.
///
/// # Errors
/// The guest's fault.
pub fn atomic(
    platform: &mut dyn Platform,
    op: MemOp,
    addr: u64,
    new: impl Fn(u64) -> Option<u64>,
) -> Result<u64, MemFault> {
    check(op, addr, Access::Store)?;
    let n = op.size.bytes();
    if (addr & PAGE_MASK) + n > PAGE_SIZE {
        return Err(MemFault { addr, access: Access::Store, kind: FaultKind::Misaligned });
    }
    let page = platform.page(addr, Access::Store, op.mode)?;
    touch(platform, op, addr, Access::Load)?;
    touch(platform, op, addr, Access::Store)?;
    if page.flags.has(PageFlags::DEVICE) {
        let plain = MemOp { signed: false, ..op };
        let old = plain.decode(platform.device_load(addr, op.mode, op.size)?);
        if let Some(value) = new(old) {
            platform.device_store(addr, op.mode, op.size, op.encode(value))?;
        }
        return Ok(op.decode(op.encode(old)));
    }
    atomic_in(page.span, op, addr, new)
}

/// What [`atomic`] does once the page that holds `addr` is resolved for stores and no device; `addr` is aligned as `op`
/// demands.
///
/// # Errors
/// A bus error if `span` is not a whole page.
pub fn atomic_in(span: HostSpan, op: MemOp, addr: u64, new: impl Fn(u64) -> Option<u64>) -> Result<u64, MemFault> {
    let plain = MemOp { signed: false, ..op };
    let fault = MemFault { addr, access: Access::Store, kind: FaultKind::Bus };
    let offset = (addr & PAGE_MASK) as usize;
    let mut raw = span.load(offset, op.size).ok_or(fault)?;
    loop {
        let Some(value) = new(plain.decode(raw)) else { return Ok(op.decode(raw)) };
        let seen = span.compare_exchange(offset, op.size, raw, op.encode(value)).ok_or(fault)?;
        if seen == raw {
            return Ok(op.decode(raw));
        }
        raw = seen;
    }
}
