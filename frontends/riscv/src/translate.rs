//! The translator: what row bodies work on, and the loop that builds superblocks.

use crate::state::{f, x};
use crate::trap;
use crate::vector::Unit;
use tern_core::frontend::{Fetch, Limits, Side};
use tern_core::ir::fp::Round;
use tern_core::ir::{Bool, Builder, Exit, Hint, I32, I64, Val};
use tern_core::mem::{MemFault, MemOp, PAGE_MASK, PAGE_SIZE, Size};
use tern_core::state::{Slot, State};
use tern_decode::Decoder;
use tern_softfloat::Rm;

/// What bodies need to know about the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// RV32.
    pub rv32: bool,
    /// Instructions may begin at any even address (some compressed extension is there).
    pub ialign16: bool,
    /// Block of `cbo.zero` in bytes, a power of two from 8 to 4096.
    pub cboz_bytes: u16,
    /// The vector unit.
    pub vector: Unit,
    /// The floating-point CSRs are there.
    pub csr_f: bool,
    /// The counters of Zicntr are there.
    pub csr_counters: bool,
}

/// The mode word of a block.  Bits 8 and up are kept for privilege, FS, VS and vtype.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode(u32);

impl Mode {
    /// The dynamic rounding mode is reserved, so that instructions that use it are illegal.
    const BAD_FRM: u32 = 1;

    /// Of a state.
    #[must_use]
    pub fn of(state: &State) -> Mode {
        Mode(if state.get(Slot::fp_control(0)) & 7 > 4 { Mode::BAD_FRM } else { 0 })
    }

    /// As [`tern_core::ir::BlockKey`] carries it.
    #[must_use]
    pub fn word(self) -> u32 {
        self.0
    }
}

/// Calls that are followed into one block, one inside the other.
const MAX_DEPTH: u32 = 4;

/// One block being translated.  Bodies read registers, write IR, and say by the builder's exit or by [`Tr::next`] where
/// control goes.
pub struct Tr<'a> {
    /// The block.
    pub b: Builder<'a>,
    /// Address of the current instruction.
    pub pc: u64,
    /// Address of the instruction that follows in this block.
    pub next: u64,
    /// Bits of the current instruction.
    pub word: u64,
    /// The CPU.
    pub cpu: Cpu,
    mode: Mode,
    follow: bool,
    depth: u32,
    resync: bool,
    /// The conditional branch that the current instruction is: condition and target.
    fork: Option<(Val<Bool>, u64)>,
}

/// Value of an integer register or address.
pub type X = Val<I64>;

impl<'a> Tr<'a> {
    // Registers.

    /// Integer register `n`.
    pub fn x(&mut self, n: i64) -> X {
        if n == 0 { self.b.iconst(0) } else { self.b.get(x(n as u8)) }
    }

    /// The low half of integer register `n`.
    pub fn w(&mut self, n: i64) -> Val<I32> {
        let v = self.x(n);
        self.b.trunc(v)
    }

    /// Sets integer register `n`; on RV32 the low half counts.
    pub fn set_x(&mut self, n: i64, v: X) {
        let v = if self.cpu.rv32 && n != 0 { self.b.sext_low(v) } else { v };
        self.put_x(n, v);
    }

    /// Sets integer register `n` to a value that is already sign-extended from XLEN bits.
    pub fn put_x(&mut self, n: i64, v: X) {
        if n != 0 {
            self.b.set(x(n as u8), v);
        }
    }

    /// Sets integer register `n` to a sign-extended 32-bit value.
    pub fn set_w(&mut self, n: i64, v: Val<I32>) {
        if n != 0 {
            let v = self.b.sext32(v);
            self.put_x(n, v);
        }
    }

    /// Sets integer register `n` to 0 or 1.
    pub fn set_bool(&mut self, n: i64, v: Val<Bool>) {
        if n != 0 {
            let v = self.b.bool_int(v);
            self.put_x(n, v);
        }
    }

    /// All 64 bits of floating-point register `n`.
    pub fn f64(&mut self, n: i64) -> X {
        self.b.get(f(n as u8))
    }

    /// Floating-point register `n` as binary32: the default NaN unless it is NaN-boxed.
    pub fn f32(&mut self, n: i64) -> Val<I32> {
        let v = self.f64(n);
        self.b.unbox32(v)
    }

    /// Floating-point register `n` as a 16-bit format: the default NaN `nan` unless it is NaN-boxed.
    pub fn f16(&mut self, n: i64, nan: u32) -> Val<I32> {
        let v = self.f64(n);
        let least = self.b.iconst(0xffff_ffff_ffff_0000);
        let boxed = self.b.leu(least, v);
        let low = self.b.trunc(v);
        let nan = self.b.iconst(u64::from(nan));
        self.b.select(boxed, low, nan)
    }

    /// Sets all 64 bits of floating-point register `n`.
    pub fn set_f64(&mut self, n: i64, v: X) {
        self.b.set(f(n as u8), v);
    }

    /// Sets floating-point register `n` to a NaN-boxed 32-bit value.
    pub fn set_f32(&mut self, n: i64, v: Val<I32>) {
        let v = self.b.oext32(v);
        self.set_f64(n, v);
    }

    /// Sets floating-point register `n` to a NaN-boxed 16-bit value.
    pub fn set_f16(&mut self, n: i64, v: Val<I32>) {
        let ones = self.b.iconst(0xffff_0000);
        let v = self.b.or(v, ones);
        self.set_f32(n, v);
    }

    // Shapes that many instructions share.

    /// `d = f(a, b)`; operands and result are sign-extended from XLEN bits.
    pub fn op2(&mut self, d: i64, a: i64, b: i64, f: impl FnOnce(&mut Builder<'a>, X, X) -> X) {
        let (a, b) = (self.x(a), self.x(b));
        let v = f(&mut self.b, a, b);
        self.put_x(d, v);
    }

    /// `d = f(a, constant)`; as [`Tr::op2`].
    pub fn op2i(&mut self, d: i64, a: i64, i: i64, f: impl FnOnce(&mut Builder<'a>, X, X) -> X) {
        let (a, i) = (self.x(a), self.b.sconst(i));
        let v = f(&mut self.b, a, i);
        self.put_x(d, v);
    }

    /// `d = sign-extended f(low a, low b)`.
    pub fn op2w(&mut self, d: i64, a: i64, b: i64, f: impl FnOnce(&mut Builder<'a>, Val<I32>, Val<I32>) -> Val<I32>) {
        let (a, b) = (self.w(a), self.w(b));
        let v = f(&mut self.b, a, b);
        self.set_w(d, v);
    }

    /// `d = sign-extended f(low a, constant)`.
    pub fn op2iw(&mut self, d: i64, a: i64, i: i64, f: impl FnOnce(&mut Builder<'a>, Val<I32>, Val<I32>) -> Val<I32>) {
        let (a, i) = (self.w(a), self.b.sconst(i));
        let v = f(&mut self.b, a, i);
        self.set_w(d, v);
    }

    /// `d = f(a)`; as [`Tr::op2`].
    pub fn op1(&mut self, d: i64, a: i64, f: impl FnOnce(&mut Builder<'a>, X) -> X) {
        let a = self.x(a);
        let v = f(&mut self.b, a);
        self.put_x(d, v);
    }

    /// `d = sign-extended f(low a)`.
    pub fn op1w(&mut self, d: i64, a: i64, f: impl FnOnce(&mut Builder<'a>, Val<I32>) -> Val<I32>) {
        let a = self.w(a);
        let v = f(&mut self.b, a);
        self.set_w(d, v);
    }

    /// `d = f(a, b) ? 1 : 0`.
    pub fn test2(&mut self, d: i64, a: i64, b: i64, f: impl FnOnce(&mut Builder<'a>, X, X) -> Val<Bool>) {
        let (a, b) = (self.x(a), self.x(b));
        let v = f(&mut self.b, a, b);
        self.set_bool(d, v);
    }

    /// `d = f(a, constant) ? 1 : 0`.
    pub fn test2i(&mut self, d: i64, a: i64, i: i64, f: impl FnOnce(&mut Builder<'a>, X, X) -> Val<Bool>) {
        let (a, i) = (self.x(a), self.b.sconst(i));
        let v = f(&mut self.b, a, i);
        self.set_bool(d, v);
    }

    // Memory.

    /// A plain little-endian access of this CPU.
    #[must_use]
    pub fn mem(&self, size: Size) -> MemOp {
        MemOp::le(size).addr32(self.cpu.rv32)
    }

    /// `d = memory[a + i]`, zero- or sign-extended.
    pub fn load(&mut self, d: i64, a: i64, i: i64, size: Size, signed: bool) {
        let op = MemOp { signed, ..self.mem(size) };
        let base = self.x(a);
        let v = self.b.load(op, base, i as i32);
        self.put_x(d, v);
    }

    /// `memory[a + i] = b`.
    pub fn store(&mut self, b: i64, a: i64, i: i64, size: Size) {
        let op = self.mem(size);
        let (base, v) = (self.x(a), self.x(b));
        self.b.store(op, base, i as i32, v);
    }

    /// Traps as a misaligned store unless `addr` is a multiple of `bytes`.  Check [`Builder::ended`] afterwards.
    pub fn check_alignment(&mut self, addr: X, bytes: u64) {
        let low = self.b.iconst(bytes - 1);
        let misaligned = self.b.test_set(addr, low);
        self.b.trap_if(misaligned, trap::STORE_MISALIGNED, addr);
    }

    // Control.

    /// An address in this CPU's space.
    #[must_use]
    pub fn address(&self, v: u64) -> u64 {
        if self.cpu.rv32 { v & 0xffff_ffff } else { v }
    }

    /// The address `offset` from the current instruction.
    #[must_use]
    pub fn target(&self, offset: i64) -> u64 {
        self.address(self.pc.wrapping_add(offset as u64))
    }

    /// An address as a register holds it.
    fn link_value(&mut self, v: u64) -> X {
        self.b.iconst(if self.cpu.rv32 { v as i32 as u64 } else { v })
    }

    /// Register `d` becomes the address `offset` from the current instruction.
    pub fn set_pcrel(&mut self, d: i64, offset: i64) {
        let v = self.link_value(self.target(offset));
        self.put_x(d, v);
    }

    /// Ends the block with a trap at the current instruction.
    pub fn trap(&mut self, cause: u32, value: u64) {
        let value = self.b.iconst::<I64>(value);
        self.b.exit(Exit::Trap(cause, value.raw()));
    }

    /// The current instruction is illegal.
    pub fn illegal(&mut self) {
        self.trap(trap::ILLEGAL, self.word);
    }

    /// Leaves the block for the engine, which looks at everything afresh before the next instruction.
    pub fn resync(&mut self) {
        self.b.exit(Exit::Resync(self.next));
    }

    /// Asks for [`Tr::resync`] when the current instruction is complete.
    pub fn want_resync(&mut self) {
        self.resync = true;
    }

    /// Grants it; the current instruction is complete.
    pub fn resync_if_wanted(&mut self) {
        if self.resync {
            self.resync();
        }
    }

    fn misaligned(&self, target: u64) -> bool {
        target & if self.cpu.ialign16 { 1 } else { 3 } != 0
    }

    /// Branches by `offset` if `cond`.
    pub fn branch(&mut self, cond: Val<Bool>, offset: i64) {
        let target = self.target(offset);
        if self.misaligned(target) {
            let value = self.b.iconst(target);
            self.b.trap_if(cond, trap::INSN_MISALIGNED, value);
        } else {
            self.fork = Some((cond, target));
        }
    }

    /// Writes the branch of the current instruction, which is complete otherwise, and goes on at one side of it.
    fn follow_branch(&mut self, cond: Val<Bool>, target: u64, side: Side) {
        match side {
            Side::Next => self.b.exit_if(cond, target),
            Side::Taken if !self.b.has_insn(target) => {
                let not = self.b.not_bool(cond);
                self.b.exit_if(not, self.next);
                self.next = target;
            }
            // A loop is not unrolled: it ends here, or has a block of its own.
            Side::Taken | Side::Neither => self.b.exit(Exit::Branch(cond.raw(), target, self.next)),
        }
    }

    /// Jumps to a known address and links in `d`.
    pub fn jump(&mut self, d: i64, target: u64) {
        if self.misaligned(target) {
            return self.trap(trap::INSN_MISALIGNED, target);
        }
        let back = self.next;
        let link = self.link_value(back);
        self.put_x(d, link);
        if is_link(d) {
            if self.follow && self.depth < MAX_DEPTH && target != self.b.key().pc {
                self.depth += 1;
                self.next = target;
            } else {
                self.b.exit(Exit::Call(target, back));
            }
        } else if self.follow && !self.b.has_insn(target) {
            self.next = target;
        } else {
            self.b.exit(Exit::Goto(target));
        }
    }

    /// `jalr`: jumps to `a + i` with bit 0 cleared and links in `d`.  Hints follow the table "Return-address stack
    /// prediction hints" of the unprivileged manual.
    pub fn jump_register(&mut self, d: i64, a: i64, i: i64) {
        let base = self.x(a);
        let sum = self.b.addi(base, i);
        let mask = if self.cpu.rv32 { 0xffff_fffe } else { !1 };
        let target = self.b.andi(sum, mask);
        let returns = is_link(a) && !is_link(d);
        if let Some(known) = self.b.as_const(target) {
            if returns && self.follow && self.depth > 0 && !self.misaligned(known) {
                let link = self.link_value(self.next);
                self.put_x(d, link);
                self.depth -= 1;
                self.next = known;
                return;
            }
            return self.jump(d, known);
        }
        if !self.cpu.ialign16 {
            let two = self.b.iconst(2);
            let odd = self.b.test_set(target, two);
            self.b.trap_if(odd, trap::INSN_MISALIGNED, target);
        }
        let back = self.next;
        let link = self.link_value(back);
        self.put_x(d, link);
        let hint = match (is_link(d), returns) {
            (true, _) => Hint::Call(back),
            (_, true) => Hint::Return,
            _ => Hint::Jump,
        };
        self.b.exit(Exit::Indirect(target.raw(), hint));
    }

    // Floating point.

    /// Is the dynamic rounding mode valid?
    #[must_use]
    pub fn frm_valid(&self) -> bool {
        self.mode.0 & Mode::BAD_FRM == 0
    }

    /// The rounding source for the instruction's `rm` field.  `None`: the instruction is illegal, and a trap is set.
    pub fn round(&mut self, rm: i64) -> Option<Round> {
        match Rm::from_bits(rm as u8) {
            Some(rm) if rm != Rm::Odd => Some(Round::Static(rm)),
            _ if rm == 7 && self.frm_valid() => Some(Round::Dynamic),
            _ => {
                self.illegal();
                None
            }
        }
    }
}

/// Is it a link register of the calling convention, `ra` or `t0`?
fn is_link(n: i64) -> bool {
    n == 1 || n == 5
}

/// Code bytes of the page that is being translated, read in pieces.
struct Window {
    start: u64,
    len: usize,
    bytes: [u8; 64],
}

impl Window {
    /// The 16 bits at `pc`, which is even.
    fn parcel(&mut self, fetch: &mut dyn Fetch, pc: u64) -> Result<u64, MemFault> {
        let from = pc.wrapping_sub(self.start);
        let inside = pc >= self.start && from.checked_add(2).is_some_and(|end| end <= self.len as u64);
        let mut at = from as usize;
        if !inside {
            let len = (PAGE_SIZE - (pc & PAGE_MASK)).min(self.bytes.len() as u64) as usize;
            self.len = 0;
            fetch.fetch(pc, &mut self.bytes[..len])?;
            (self.start, self.len, at) = (pc, len, 0);
        }
        Ok(u64::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])))
    }

    /// The instruction at `pc` and its length, if the window shows both and perhaps more.
    #[inline]
    fn inside(&self, pc: u64) -> Option<(u64, u64)> {
        let at = pc.wrapping_sub(self.start);
        if at.saturating_add(4) > self.len as u64 {
            return None;
        }
        let word = u64::from(u32::from_le_bytes(*self.bytes.get(at as usize..)?.first_chunk()?));
        Some(if word & 3 == 3 { (word, 4) } else { (word & 0xffff, 2) })
    }

    /// The instruction at `pc` and its length.
    fn insn(&mut self, fetch: &mut dyn Fetch, pc: u64, rv32: bool) -> Result<(u64, u64), MemFault> {
        let low = self.parcel(fetch, pc)?;
        if low & 3 != 3 {
            return Ok((low, 2));
        }
        let mut after = pc.wrapping_add(2);
        if rv32 {
            after &= 0xffff_ffff;
        }
        Ok((low | self.parcel(fetch, after)? << 16, 4))
    }
}

/// Translates one superblock into `b`; see [`tern_core::frontend::Frontend::translate`].
pub(crate) fn block(
    decoder: &Decoder<crate::Rv>,
    cpu: Cpu,
    fetch: &mut dyn Fetch,
    b: &mut Builder<'_>,
    limits: Limits,
) -> Result<u64, MemFault> {
    let key = b.key();
    let mut window = Window { start: 0, len: 0, bytes: [0; 64] };
    let mut insn = window.insn(fetch, key.pc, cpu.rv32)?;
    let mut t = Tr {
        b: b.take(),
        pc: key.pc,
        next: key.pc,
        word: 0,
        cpu,
        mode: Mode(key.mode),
        follow: limits.follow,
        depth: 0,
        resync: false,
        fork: None,
    };
    loop {
        let (word, len) = insn;
        t.pc = t.next;
        t.next = t.address(t.pc.wrapping_add(len));
        t.word = word;
        t.b.insn(t.pc);
        match decoder.decode(word) {
            Some(row) => row.translate(&mut t, word),
            None => t.illegal(),
        }
        if let Some((cond, target)) = t.fork.take() {
            let side = fetch.side(target, t.next);
            t.follow_branch(cond, target, side);
        }
        if t.b.ended() || t.b.insns() >= limits.insns {
            break;
        }
        insn = match window.inside(t.next) {
            Some(insn) => insn,
            None => match window.insn(fetch, t.next, cpu.rv32) {
                Ok(insn) => insn,
                Err(_) => break,
            },
        };
    }
    let next = t.next;
    *b = t.b;
    Ok(next)
}
