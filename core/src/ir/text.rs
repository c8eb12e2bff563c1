//! The text form of a block.  The grammar is at the head of [`super::parse`], which reads it back.
//!
//! A value is named after its position (`v12` is operation 12), so the text of a verified block holds everything that the
//! block holds.  A constant that stands right before its only user is written into the user's line.

use super::fp::{Fmt, FpAttr, Round};
use super::signature::{Operand, fixed_type, operands};
use super::{Block, Exit, Hint, Inst, Op, Ref, Ty};
use crate::mem::{Endian, MemOp, RmwOp};
use crate::state::{Slot, StateLayout};
use core::fmt::{Display, Formatter, Result, Write};
use tern_softfloat::Rm;

/// A block with the layout whose names its slots are printed by; see [`Block::text`].
pub struct Text<'a> {
    block: &'a Block<'a>,
    layout: Option<&'a StateLayout>,
}

impl<'a> Block<'a> {
    /// The text form, with slots named by `layout`; without it they are numbered.
    #[must_use]
    pub fn text(&'a self, layout: Option<&'a StateLayout>) -> Text<'a> {
        Text { block: self, layout }
    }
}

impl Display for Block<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.text(None).fmt(f)
    }
}

impl Display for Ty {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Ty::I32 => "i32",
            Ty::I64 => "i64",
            Ty::Bool => "bool",
        })
    }
}

/// Name of a format in the text form.
#[must_use]
pub fn fmt_name(fmt: Fmt) -> &'static str {
    match fmt {
        Fmt::F16 => "f16",
        Fmt::Bf16 => "bf16",
        Fmt::F32 => "f32",
        Fmt::F64 => "f64",
    }
}

/// Name of a rounding mode in the text form.
#[must_use]
pub fn rm_name(rm: Rm) -> &'static str {
    match rm {
        Rm::Rne => "rne",
        Rm::Rtz => "rtz",
        Rm::Rdn => "rdn",
        Rm::Rup => "rup",
        Rm::Rmm => "rmm",
        Rm::Odd => "odd",
    }
}

/// Name of an atomic operation in the text form.
#[must_use]
pub fn rmw_name(op: RmwOp) -> &'static str {
    match op {
        RmwOp::Swap => "swap",
        RmwOp::Add => "add",
        RmwOp::And => "and",
        RmwOp::Or => "or",
        RmwOp::Xor => "xor",
        RmwOp::Min => "min",
        RmwOp::Max => "max",
        RmwOp::Minu => "minu",
        RmwOp::Maxu => "maxu",
    }
}

/// For each operation: is it a constant that its only user's line shows?
///
/// The parser makes an inline constant right before its user, in the order of the operands, so only constants that
/// already stand like this may go inline.
fn inline_constants(block: &Block<'_>) -> Vec<bool> {
    let mut uses = vec![0u32; block.insts.len()];
    let refs = block.insts.iter().flat_map(Inst::operands).chain(block.exit.operand());
    for r in refs {
        if let Some(n) = uses.get_mut(r.index()) {
            *n += 1;
        }
    }
    let alone = |r: Ref| block.insts.get(r.index()).is_some_and(|i| i.op == Op::Const) && uses[r.index()] == 1;
    let mut inline = vec![false; block.insts.len()];
    for (at, inst) in block.insts.iter().enumerate() {
        let constants: Vec<Ref> = inst.operands().filter(|r| alone(*r)).collect();
        // The longest tail of them that ends right before the user would need the others not to be inline; all or none
        // keeps the order plain.
        let first = at.wrapping_sub(constants.len());
        if constants.iter().enumerate().all(|(i, r)| r.index() == first.wrapping_add(i)) {
            for r in constants {
                inline[r.index()] = true;
            }
        }
    }
    inline
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let b = self.block;
        write!(f, "block pc={:#x} mode={:#x}", b.key.pc, b.key.mode)?;
        if b.locals != 0 {
            write!(f, " locals={}", b.locals)?;
        }
        if b.labels != 0 {
            write!(f, " labels={}", b.labels)?;
        }
        for (i, page) in b.pages.iter().enumerate() {
            write!(f, "{}{page:#x}", if i == 0 { " pages=" } else { "," })?;
        }
        f.write_str(" {\n")?;
        let line = Line { text: self, inline: inline_constants(b) };
        for (at, inst) in b.insts.iter().enumerate() {
            if !line.inline[at] {
                line.inst(f, at, inst)?;
            }
        }
        f.write_str("} ")?;
        exit(f, &b.exit)
    }
}

fn exit(f: &mut Formatter<'_>, exit: &Exit) -> Result {
    match *exit {
        Exit::Goto(pc) => writeln!(f, "goto {pc:#x}"),
        Exit::Call(pc, ret) => writeln!(f, "call {pc:#x} ret {ret:#x}"),
        Exit::Branch(r, taken, next) => writeln!(f, "branch v{} -> {taken:#x}, {next:#x}", r.0),
        Exit::Indirect(r, Hint::Jump) => writeln!(f, "jump v{}", r.0),
        Exit::Indirect(r, Hint::Call(ret)) => writeln!(f, "jump_call v{} ret {ret:#x}", r.0),
        Exit::Indirect(r, Hint::Return) => writeln!(f, "jump_return v{}", r.0),
        Exit::Syscall(pc) => writeln!(f, "syscall {pc:#x}"),
        Exit::Trap(cause, Ref::NONE) => writeln!(f, "trap {cause}"),
        Exit::Trap(cause, r) => writeln!(f, "trap {cause}, v{}", r.0),
        Exit::Resync(pc) => writeln!(f, "resync {pc:#x}"),
        Exit::Halt(pc) => writeln!(f, "halt {pc:#x}"),
        Exit::Yield(pc) => writeln!(f, "yield {pc:#x}"),
    }
}

struct Line<'a> {
    text: &'a Text<'a>,
    inline: Vec<bool>,
}

impl Line<'_> {
    fn inst(&self, f: &mut Formatter<'_>, at: usize, inst: &Inst) -> Result {
        f.write_str("  ")?;
        if let Some(ty) = inst.result() {
            write!(f, "v{at}:{ty} = ")?;
        }
        f.write_str(inst.op.name())?;
        self.suffixes(f, inst)?;
        self.rest(f, inst)?;
        f.write_char('\n')
    }

    /// Attributes that follow the name.
    fn suffixes(&self, f: &mut Formatter<'_>, inst: &Inst) -> Result {
        match inst.op {
            op if op.is_compare() => write!(f, ".{}", inst.ty),
            op if op.is_fp() => fp_suffixes(f, op, FpAttr::unpack(inst.imm as u32)),
            Op::Rmw => {
                let rmw = RmwOp::ALL[(inst.imm >> 16 & 0xff) as usize % RmwOp::ALL.len()];
                write!(f, ".{}", rmw_name(rmw))?;
                memory_suffixes(f, inst.mem().0)
            }
            Op::Load | Op::Store | Op::Cas | Op::Probe => memory_suffixes(f, inst.mem().0),
            _ => Ok(()),
        }
    }

    fn rest(&self, f: &mut Formatter<'_>, inst: &Inst) -> Result {
        let [a, b, c] = inst.args;
        match inst.op {
            Op::Const => write!(f, " {}", Number(inst.imm, inst.ty)),
            Op::Get => write!(f, " {}", self.slot(inst)),
            Op::Set => write!(f, " {}, {}", self.slot(inst), self.value(a, None)),
            Op::GetLocal => write!(f, " t{}", inst.imm),
            Op::SetLocal => write!(f, " t{}, {}", inst.imm, self.value(a, None)),
            Op::Load | Op::Probe => self.address(f, inst),
            Op::Store => {
                self.address(f, inst)?;
                write!(f, ", {}", self.value(b, None))
            }
            Op::Rmw => {
                self.address(f, inst)?;
                write!(f, ", {}", self.value(b, Some(inst.ty)))
            }
            Op::Cas => {
                self.address(f, inst)?;
                write!(f, ", {}, {}", self.value(b, Some(inst.ty)), self.value(c, Some(inst.ty)))
            }
            Op::Helper => self.helper(f, inst),
            Op::Insn => write!(f, " {:#x}", inst.imm),
            Op::ExitIf => write!(f, " {} -> {:#x}", self.value(a, Some(Ty::Bool)), inst.imm),
            Op::TrapIf => {
                write!(f, " {} -> {}, {}", self.value(a, Some(Ty::Bool)), inst.imm, self.value(b, Some(Ty::I64)))
            }
            Op::BrIf => write!(f, " {} -> L{}", self.value(a, Some(Ty::Bool)), inst.imm),
            Op::Br => write!(f, " -> L{}", inst.imm),
            Op::Bind => write!(f, " L{}", inst.imm),
            op if fixed_type(op).is_some() => Ok(()),
            _ => {
                let mut lead = " ";
                for (r, wanted) in inst.args.iter().zip(operands(inst)) {
                    if let (Some(r), Operand::Is(ty)) = (r.some(), wanted) {
                        write!(f, "{lead}{}", self.value(r, Some(ty)))?;
                        lead = ", ";
                    }
                }
                Ok(())
            }
        }
    }

    fn helper(&self, f: &mut Formatter<'_>, inst: &Inst) -> Result {
        write!(f, " {}(", inst.imm & 0xffff)?;
        for (i, r) in inst.operands().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, self.value(r, None))?;
        }
        f.write_char(')')?;
        match inst.imm >> 16 {
            0 => Ok(()),
            payload => write!(f, " payload {payload:#x}"),
        }
    }

    fn address(&self, f: &mut Formatter<'_>, inst: &Inst) -> Result {
        let (base, disp) = (self.value(inst.args[0], Some(Ty::I64)), inst.mem().1);
        match disp {
            0 => write!(f, " [{base}]"),
            _ => write!(f, " [{base}{disp:+}]"),
        }
    }

    fn slot(&self, inst: &Inst) -> impl Display {
        let row = u32::try_from(inst.imm).ok().and_then(|n| self.text.layout?.by_slot(Slot(n)));
        row.map_or_else(|| format!("%{}", inst.imm), |row| row.name.clone())
    }

    /// An operand.  `implied`: the type that the rest of the line gives it, which a constant then need not show.
    fn value(&self, r: Ref, implied: Option<Ty>) -> String {
        match self.text.block.insts.get(r.index()) {
            Some(c) if self.inline[r.index()] => match implied {
                Some(_) => Number(c.imm, c.ty).to_string(),
                None => format!("{}:{}", Number(c.imm, c.ty), c.ty),
            },
            _ => format!("v{}", r.0),
        }
    }
}

/// A constant: small ones in decimal with their sign, the rest in hexadecimal.
struct Number(u64, Ty);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let signed = match self.1 {
            Ty::I32 => i64::from(self.0 as u32 as i32),
            Ty::I64 | Ty::Bool => self.0 as i64,
        };
        if (-4096..4096).contains(&signed) { write!(f, "{signed}") } else { write!(f, "{:#x}", self.0) }
    }
}

fn memory_suffixes(f: &mut Formatter<'_>, op: MemOp) -> Result {
    write!(f, ".{}{}", if op.signed { 's' } else { 'u' }, op.size.bytes())?;
    if op.endian == Endian::Big {
        f.write_str(".be")?;
    }
    if op.aligned {
        f.write_str(".al")?;
    }
    if op.addr32 {
        f.write_str(".a32")?;
    }
    if op.mode != 0 {
        write!(f, ".m{}", op.mode)?;
    }
    Ok(())
}

fn fp_suffixes(f: &mut Formatter<'_>, op: Op, attr: FpAttr) -> Result {
    write!(f, ".{}", fmt_name(attr.fmt))?;
    if op == Op::FCvt {
        write!(f, ".{}", fmt_name(Fmt::from_bits(u32::from(attr.kind))))?;
    } else if attr.kind != 0 {
        write!(f, ".k{}", attr.kind)?;
    }
    // The result's type is on the line; FP comparisons have the type of their format.
    if let Round::Static(rm) = attr.round {
        write!(f, ".{}", rm_name(rm))?;
    }
    if attr.env != 0 {
        write!(f, ".e{}", attr.env)?;
    }
    Ok(())
}
