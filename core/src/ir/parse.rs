//! Reads the text form of a block.
//!
//! ```text
//! block    = "block" "pc=" NUM "mode=" NUM [ "locals=" NUM ] [ "labels=" NUM ] [ "pages=" NUM { "," NUM } ] "{"
//!            { line } "}" exit
//! line     = [ NAME ":" type "=" ] operation
//! type     = "i32" | "i64" | "bool"
//! value    = NAME                 a value defined on an earlier line
//!          | NUM [ ":" type ]     a constant, made right before the line; the type only where the line does not imply it
//! slot     = NAME of the layout | "%" NUM
//!
//! operation, with the pure ones of the op table by their names:
//!   const NUM                                get slot                    set slot, value
//!   add value, value   (any binary one)      get_local tN                set_local tN, value
//!   neg value          (any unary one)       bool_int value              select value, value, value
//!   zext32 value       (any conversion)      icount                      fence
//!   ltu.TYPE value, value   (any comparison; TYPE is that of the operands)
//!   load MEM [value±NUM]                     store MEM [value±NUM], value
//!   rmw.RMW MEM [value], value               cas MEM [value], expected, new
//!   helper NUM(value, ...) [ "payload" NUM ] insn NUM
//!   exit_if value -> NUM                     trap_if value -> CAUSE, value
//!   br_if value -> LN                        br -> LN                    bind LN
//!   fadd FP value, value   (any floating-point operation; fcvt FP is followed by ".FMT", the format of the result)
//!   MEM = ".s" or ".u" BYTES [ ".be" ] [ ".al" ] [ ".a32" ] [ ".mN" ]
//!         sign, size, big-endian, faults if misaligned, address modulo 2^32, MMU mode
//!   RMW = swap add and or xor min max minu maxu
//!   FP  = ".f16" | ".bf16" | ".f32" | ".f64"  [ ".kN" ] [ ".rne" | ".rtz" | ".rdn" | ".rup" | ".rmm" | ".odd" ] [ ".eN" ]
//!         format, kind, static rounding (else dynamic), environment
//!
//! exit = "goto" NUM | "call" NUM "ret" NUM | "branch" value "->" NUM "," NUM | "jump" value | "jump_call" value "ret" NUM
//!      | "jump_return" value | "syscall" NUM | "trap" CAUSE [ "," value ] | "resync" NUM | "halt" NUM
//! ```
//!
//! A semicolon begins a comment.  Numbers are decimal or `0x` hexadecimal, with a sign and underscores if wanted.
//! `locals=` and `labels=` default to what is used.  What is read is verified.

use super::fp::{Fmt, FpAttr, Round};
use super::signature::{Operand, fixed_type, operands};
use super::text::{fmt_name, rm_name, rmw_name};
use super::verify::{VerifyError, verify};
use super::{Block, BlockKey, Exit, Hint, Inst, Op, Ref, Ty};
use crate::mem::{Endian, MemOp, RmwOp, Size};
use crate::state::{Slot, StateLayout};
use bumpalo::{Bump, collections::Vec as BumpVec};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use tern_softfloat::Rm;

/// Locals and labels that a text may claim.
const MOST: u32 = 1 << 16;

/// Why a text is not a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl core::error::Error for ParseError {}

type Parsed<T> = Result<T, String>;

/// Reads one block into `arena`.
///
/// # Errors
/// The first line that is not understood, or whose operation the verifier refuses.
pub fn parse_block<'a>(arena: &'a Bump, text: &str, layout: Option<&StateLayout>) -> Result<Block<'a>, ParseError> {
    let mut parser = Parser {
        layout,
        names: BTreeMap::new(),
        insts: BumpVec::new_in(arena),
        lines: Vec::new(),
        line: 0,
        locals: 0,
        labels: 0,
    };
    let mut head = None;
    let mut exit = None;
    for (i, raw) in text.lines().enumerate() {
        parser.line = i + 1;
        let line = raw.split(';').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let step = match (&head, &exit) {
            (None, _) => Head::read(line).map(|h| head = Some(h)),
            (Some(_), None) if line.starts_with('}') => parser.exit(line).map(|e| exit = Some(e)),
            (Some(_), None) => parser.operation(line),
            (Some(_), Some(_)) => Err("something follows the exit".into()),
        };
        step.map_err(|reason| ParseError { line: i + 1, reason })?;
    }
    let end = |reason: &str| ParseError { line: parser.line.max(1), reason: reason.into() };
    let head = head.ok_or_else(|| end("there is no block"))?;
    let exit = exit.ok_or_else(|| end("the block has no exit"))?;
    let (lines, last) = (core::mem::take(&mut parser.lines), parser.line);
    let block = Block {
        key: head.key,
        insns: parser.insts.iter().filter(|i| i.op == Op::Insn).count() as u32,
        locals: head.locals.unwrap_or(parser.locals),
        labels: head.labels.unwrap_or(parser.labels),
        insts: parser.insts,
        exit,
        pages: head.pages,
    };
    let refused = |e: VerifyError| ParseError { line: lines.get(e.at).copied().unwrap_or(last), reason: e.to_string() };
    verify(&block, layout).map_err(refused)?;
    Ok(block)
}

struct Head {
    key: BlockKey,
    locals: Option<u32>,
    labels: Option<u32>,
    pages: SmallVec<[u64; 2]>,
}

impl Head {
    fn read(line: &str) -> Parsed<Head> {
        let wrong = || "expected: block pc=N mode=N {".to_owned();
        let inner = line.strip_prefix("block ").and_then(|l| l.strip_suffix('{')).ok_or_else(wrong)?;
        let (mut pc, mut mode, mut locals, mut labels) = (None, None, None, None);
        let mut pages = SmallVec::new();
        for item in inner.split_whitespace() {
            let (key, value) = item.split_once('=').ok_or_else(wrong)?;
            match key {
                "pc" => pc = Some(number(value)?),
                "mode" => mode = Some(narrow(number(value)?)?),
                "locals" => locals = Some(few(number(value)?)?),
                "labels" => labels = Some(few(number(value)?)?),
                "pages" => {
                    for page in value.split(',') {
                        pages.push(number(page)?);
                    }
                }
                _ => return Err(format!("a block has no {key}")),
            }
        }
        let key = BlockKey { pc: pc.ok_or_else(wrong)?, mode: mode.ok_or_else(wrong)? };
        Ok(Head { key, locals, labels, pages })
    }
}

/// Reads a number as the text form writes it.
///
/// # Errors
/// Says that it is none, or does not fit 64 bits.
pub fn number(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let (minus, digits) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.as_str()),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16),
        _ if digits.starts_with('+') => return Err(format!("{text} is not a number")),
        _ => digits.parse(),
    };
    match value {
        Ok(v) if !minus => Ok(v),
        Ok(v) if v <= 1 << 63 => Ok(v.wrapping_neg()),
        _ => Err(format!("{text} is not a number of 64 bits")),
    }
}

fn narrow(value: u64) -> Parsed<u32> {
    u32::try_from(value).map_err(|_| format!("{value:#x} does not fit 32 bits"))
}

fn few(value: u64) -> Parsed<u32> {
    u32::try_from(value).ok().filter(|n| *n <= MOST).ok_or_else(|| format!("{value} is more than {MOST}"))
}

fn type_of(name: &str) -> Option<Ty> {
    [Ty::I32, Ty::I64, Ty::Bool].into_iter().find(|ty| ty.to_string() == name)
}

/// What is left of a line.
struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    /// A name or number, as far as it goes; empty if there is none.
    fn word(&mut self) -> &'t str {
        let text = self.0.trim_start();
        let sign = usize::from(text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit()));
        let more = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '%');
        let end = text[sign..].find(|c| !more(c)).map_or(text.len(), |n| n + sign);
        self.0 = &text[end..];
        &text[..end]
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected {token} before \"{}\"", self.0.trim())) }
    }

    fn number(&mut self) -> Parsed<u64> {
        number(self.word())
    }

    fn end(&self) -> Parsed<()> {
        match self.0.trim() {
            "" => Ok(()),
            rest => Err(format!("\"{rest}\" is too much")),
        }
    }
}

struct Parser<'t, 'a, 'l> {
    layout: Option<&'l StateLayout>,
    names: BTreeMap<&'t str, Ref>,
    insts: BumpVec<'a, Inst>,
    /// The line of each instruction.
    lines: Vec<usize>,
    line: usize,
    locals: u32,
    labels: u32,
}

impl<'t> Parser<'t, '_, '_> {
    fn push(&mut self, inst: Inst) -> Ref {
        let r = Ref(self.insts.len() as u32);
        self.insts.push(inst);
        self.lines.push(self.line);
        r
    }

    fn operation(&mut self, line: &'t str) -> Parsed<()> {
        let mut c = Cursor(line);
        let mut word = c.word();
        let mut result = None;
        if c.eat(":") {
            let ty = c.word();
            result = Some((word, type_of(ty).ok_or_else(|| format!("there is no type {ty}"))?));
            c.expect("=")?;
            word = c.word();
        }
        let mut parts = word.split('.');
        let name = parts.next().unwrap_or_default();
        let op = Op::by_name(name).ok_or_else(|| format!("there is no operation {name}"))?;
        let suffixes: SmallVec<[&str; 8]> = parts.collect();
        let (ty, imm) = attributes(op, &suffixes, result.map(|(_, ty)| ty))?;
        let inst = self.operands(op, ty, imm, &mut c)?;
        c.end()?;
        match (inst.result(), result) {
            (None, None) => {
                self.push(inst);
            }
            (Some(ty), Some((name, given))) if ty == given => {
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                    return Err(format!("\"{name}\" is not a name"));
                }
                let r = self.push(inst);
                if self.names.insert(name, r).is_some() {
                    return Err(format!("{name} is defined twice"));
                }
            }
            (Some(ty), Some(_)) => return Err(format!("its result is of type {ty}")),
            (Some(ty), None) => return Err(format!("its result, of type {ty}, needs a name")),
            (None, Some(_)) => return Err("it has no result".into()),
        }
        Ok(())
    }

    /// Reads what follows the name.  `ty` is `None` where an operand decides it.
    fn operands(&mut self, op: Op, ty: Option<Ty>, imm: u64, c: &mut Cursor<'t>) -> Parsed<Inst> {
        let mut inst = Inst { op, ty: ty.unwrap_or(Ty::I64), args: [Ref::NONE; 3], imm };
        match op {
            Op::Const => inst.imm = constant(c.word(), inst.ty)?,
            Op::Insn => inst.imm = c.number()?,
            Op::Get => inst.imm = self.slot(c)?.0,
            Op::Set => {
                let (slot, declared) = self.slot(c)?;
                inst.imm = slot;
                self.stored(&mut inst, 0, declared, c)?;
            }
            Op::GetLocal => inst.imm = self.local(c)?,
            Op::SetLocal => {
                inst.imm = self.local(c)?;
                self.stored(&mut inst, 0, None, c)?;
            }
            Op::Load | Op::Probe => self.address(&mut inst, c)?,
            Op::Store => {
                self.address(&mut inst, c)?;
                self.stored(&mut inst, 1, None, c)?;
            }
            Op::Rmw | Op::Cas => {
                self.address(&mut inst, c)?;
                for arg in 1..=if op == Op::Cas { 2 } else { 1 } {
                    c.expect(",")?;
                    inst.args[arg] = self.value(c, Some(inst.ty))?;
                }
            }
            Op::Helper => self.helper(&mut inst, c)?,
            Op::ExitIf | Op::TrapIf | Op::BrIf => {
                inst.args[0] = self.value(c, Some(Ty::Bool))?;
                self.target(&mut inst, c)?;
            }
            Op::Br => self.target(&mut inst, c)?,
            Op::Bind => inst.imm = self.label(c)?,
            _ => self.plain(&mut inst, c)?,
        }
        Ok(inst)
    }

    /// Operands in order, separated by commas.
    fn plain(&mut self, inst: &mut Inst, c: &mut Cursor<'t>) -> Parsed<()> {
        for (i, wanted) in operands(inst).into_iter().enumerate() {
            if let Operand::Is(ty) = wanted {
                if i != 0 {
                    c.expect(",")?;
                }
                inst.args[i] = self.value(c, Some(ty))?;
            }
        }
        Ok(())
    }

    /// The value that a store of some kind stores; it gives the operation its type.
    fn stored(&mut self, inst: &mut Inst, arg: usize, implied: Option<Ty>, c: &mut Cursor<'t>) -> Parsed<()> {
        c.expect(",")?;
        let r = self.value(c, implied)?;
        inst.args[arg] = r;
        inst.ty = self.insts[r.index()].result().unwrap_or(Ty::I64);
        Ok(())
    }

    fn target(&mut self, inst: &mut Inst, c: &mut Cursor<'t>) -> Parsed<()> {
        c.expect("->")?;
        match inst.op {
            Op::ExitIf => inst.imm = c.number()?,
            Op::TrapIf => {
                inst.imm = u64::from(narrow(c.number()?)?);
                c.expect(",")?;
                inst.args[1] = self.value(c, Some(Ty::I64))?;
            }
            _ => inst.imm = self.label(c)?,
        }
        Ok(())
    }

    fn value(&mut self, c: &mut Cursor<'t>, implied: Option<Ty>) -> Parsed<Ref> {
        let word = c.word();
        if word.is_empty() {
            return Err("an operand is missing".into());
        }
        if !word.starts_with(|ch: char| ch.is_ascii_digit() || ch == '-') {
            return self.names.get(word).copied().ok_or_else(|| format!("{word} is not defined"));
        }
        let explicit = if c.eat(":") {
            let name = c.word();
            Some(type_of(name).ok_or_else(|| format!("there is no type {name}"))?)
        } else {
            None
        };
        let ty = explicit.or(implied).ok_or_else(|| format!("the constant {word} needs a type"))?;
        let imm = constant(word, ty)?;
        Ok(self.push(Inst { op: Op::Const, ty, args: [Ref::NONE; 3], imm }))
    }

    fn slot(&mut self, c: &mut Cursor<'t>) -> Parsed<(u64, Option<Ty>)> {
        let word = c.word();
        if let Some(digits) = word.strip_prefix('%') {
            let n = narrow(number(digits)?)?;
            return Ok((u64::from(n), self.layout.and_then(|l| l.by_slot(Slot(n))).map(|row| row.ty)));
        }
        match self.layout.and_then(|l| l.by_name(word)) {
            Some(row) => Ok((u64::from(row.slot.0), Some(row.ty))),
            None => Err(format!("there is no slot {word}")),
        }
    }

    fn numbered(c: &mut Cursor<'t>, letter: char) -> Parsed<u32> {
        let word = c.word();
        match word.strip_prefix(letter).map(number) {
            Some(Ok(n)) if n < u64::from(MOST) => Ok(n as u32),
            _ => Err(format!("expected {letter} and a number, not \"{word}\"")),
        }
    }

    fn local(&mut self, c: &mut Cursor<'t>) -> Parsed<u64> {
        let n = Self::numbered(c, 't')?;
        self.locals = self.locals.max(n + 1);
        Ok(u64::from(n))
    }

    fn label(&mut self, c: &mut Cursor<'t>) -> Parsed<u64> {
        let n = Self::numbered(c, 'L')?;
        self.labels = self.labels.max(n + 1);
        Ok(u64::from(n))
    }

    fn address(&mut self, inst: &mut Inst, c: &mut Cursor<'t>) -> Parsed<()> {
        c.expect("[")?;
        inst.args[0] = self.value(c, Some(Ty::I64))?;
        let disp = match c.eat("+") {
            true => Some(c.number()?),
            false if c.0.trim_start().starts_with('-') => Some(c.number()?),
            false => None,
        };
        if let Some(disp) = disp {
            let disp = i32::try_from(disp as i64).map_err(|_| "a displacement has 32 bits".to_owned())?;
            inst.imm |= u64::from(disp as u32) << 32;
        }
        c.expect("]")
    }

    fn helper(&mut self, inst: &mut Inst, c: &mut Cursor<'t>) -> Parsed<()> {
        let index = u16::try_from(c.number()?).map_err(|_| "a helper's number has 16 bits".to_owned())?;
        c.expect("(")?;
        let mut count = 0;
        while !c.eat(")") {
            if count != 0 {
                c.expect(",")?;
            }
            let r = self.value(c, None)?;
            *inst.args.get_mut(count).ok_or("a helper has at most three arguments")? = r;
            count += 1;
        }
        let payload = if c.eat("payload") { c.number()? } else { 0 };
        if payload >> 48 != 0 {
            return Err("a payload has 48 bits".into());
        }
        inst.imm = u64::from(index) | payload << 16;
        Ok(())
    }

    fn exit(&mut self, line: &'t str) -> Parsed<Exit> {
        let mut c = Cursor(line);
        c.expect("}")?;
        let exit = match c.word() {
            "goto" => Exit::Goto(c.number()?),
            "call" => Exit::Call(c.number()?, Self::ret(&mut c)?),
            "branch" => {
                let r = self.value(&mut c, Some(Ty::Bool))?;
                c.expect("->")?;
                let taken = c.number()?;
                c.expect(",")?;
                Exit::Branch(r, taken, c.number()?)
            }
            "jump" => Exit::Indirect(self.value(&mut c, Some(Ty::I64))?, Hint::Jump),
            "jump_call" => Exit::Indirect(self.value(&mut c, Some(Ty::I64))?, Hint::Call(Self::ret(&mut c)?)),
            "jump_return" => Exit::Indirect(self.value(&mut c, Some(Ty::I64))?, Hint::Return),
            "syscall" => Exit::Syscall(c.number()?),
            "trap" => {
                let cause = narrow(c.number()?)?;
                Exit::Trap(cause, if c.eat(",") { self.value(&mut c, Some(Ty::I64))? } else { Ref::NONE })
            }
            "resync" => Exit::Resync(c.number()?),
            "halt" => Exit::Halt(c.number()?),
            "yield" => Exit::Yield(c.number()?),
            other => return Err(format!("there is no exit \"{other}\"")),
        };
        c.end()?;
        Ok(exit)
    }

    fn ret(c: &mut Cursor<'t>) -> Parsed<u64> {
        c.expect("ret")?;
        c.number()
    }
}

/// A constant of a type, signed or unsigned.
fn constant(word: &str, ty: Ty) -> Parsed<u64> {
    let value = number(word)?;
    let signed = value as i64;
    let fits = match ty {
        Ty::I64 => true,
        Ty::I32 if word.starts_with('-') => signed >= i64::from(i32::MIN),
        Ty::I32 | Ty::Bool => value <= ty.mask(),
    };
    if fits { Ok(value & ty.mask()) } else { Err(format!("{word} does not fit {ty}")) }
}

/// The type, where it does not come from an operand, and the attributes that the suffixes of an operation's name say.
fn attributes(op: Op, suffixes: &[&str], result: Option<Ty>) -> Parsed<(Option<Ty>, u64)> {
    if op.is_compare() {
        return match suffixes {
            [name] => Ok((Some(type_of(name).ok_or_else(|| format!("there is no type {name}"))?), 0)),
            _ => Err("a comparison names the type of its operands".into()),
        };
    }
    if op.is_fp() {
        let attr = fp_attributes(op, suffixes)?;
        let compare = matches!(op, Op::FEq | Op::FLt | Op::FLe | Op::FLtQuiet | Op::FLeQuiet);
        let ty = if compare { Some(attr.fmt.ty()) } else { result };
        return Ok((ty, u64::from(attr.pack())));
    }
    let ty = fixed_type(op).or(result);
    match (op, suffixes) {
        (Op::Load | Op::Store | Op::Cas | Op::Probe, _) => Ok((ty, u64::from(memory_attributes(suffixes)?.pack()))),
        (Op::Rmw, [name, rest @ ..]) => {
            let rmw = RmwOp::ALL.into_iter().find(|op| rmw_name(*op) == *name);
            let rmw = rmw.ok_or_else(|| format!("there is no atomic operation {name}"))?;
            Ok((ty, Inst::mem_imm(memory_attributes(rest)?, rmw as u8, 0)))
        }
        (Op::Rmw, []) => Err("which atomic operation?".into()),
        (_, []) => Ok((ty, 0)),
        (_, [first, ..]) => Err(format!("{} has no attribute {first}", op.name())),
    }
}

fn memory_attributes(suffixes: &[&str]) -> Parsed<MemOp> {
    let wrong = |what: &str| format!("there is no memory attribute {what}");
    let (size, rest) = suffixes.split_first().ok_or("an access has a sign and a size, such as .u4")?;
    let (signed, bytes) = match size.split_at_checked(1) {
        Some(("s", bytes)) => (true, bytes),
        Some(("u", bytes)) => (false, bytes),
        _ => return Err(wrong(size)),
    };
    let size = [Size::B1, Size::B2, Size::B4, Size::B8]
        .into_iter()
        .find(|s| s.bytes().to_string() == bytes)
        .ok_or_else(|| wrong(size))?;
    let mut op = MemOp { signed, ..MemOp::le(size) };
    for suffix in rest {
        match (*suffix, suffix.strip_prefix('m').map(number)) {
            ("be", _) => op.endian = Endian::Big,
            ("al", _) => op.aligned = true,
            ("a32", _) => op.addr32 = true,
            (_, Some(Ok(mode @ 0..16))) => op.mode = mode as u8,
            _ => return Err(wrong(suffix)),
        }
    }
    Ok(op)
}

fn fp_attributes(op: Op, suffixes: &[&str]) -> Parsed<FpAttr> {
    let format = |name: &str| {
        let fmt = [Fmt::F16, Fmt::Bf16, Fmt::F32, Fmt::F64].into_iter().find(|f| fmt_name(*f) == name);
        fmt.ok_or_else(|| format!("there is no format {name}"))
    };
    let (first, mut rest) = suffixes.split_first().ok_or("a floating-point operation has a format")?;
    let mut attr = FpAttr::new(format(first)?);
    if op == Op::FCvt {
        let (to, after) = rest.split_first().ok_or("fcvt has two formats")?;
        attr.kind = format(to)? as u8;
        rest = after;
    }
    for suffix in rest {
        let rm = Rm::ALL.into_iter().find(|rm| rm_name(*rm) == *suffix);
        match (rm, suffix.split_at_checked(1).map(|(letter, n)| (letter, number(n)))) {
            (Some(rm), _) => attr.round = Round::Static(rm),
            (None, Some(("k", Ok(kind @ 0..64)))) if op != Op::FCvt => attr.kind = kind as u8,
            (None, Some(("e", Ok(env @ 0..4)))) => attr.env = env as u8,
            _ => return Err(format!("there is no floating-point attribute {suffix}")),
        }
    }
    Ok(attr)
}
