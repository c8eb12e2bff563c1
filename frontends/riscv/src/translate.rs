//! The translator: what row bodies work on, and the loop that builds superblocks.

use crate::mmu;
use crate::privileged::{M, S, Unit as Privileged, status};
use crate::state::{MSTATUS, PRIVILEGE, VIRTUAL, VSSTATUS, f, x};
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
    /// The privileged architecture, on the CPU of a machine.
    pub privileged: Privileged,
}

/// Whether instructions of a unit may run, and whether its state is known to be changed: fields FS and VS of `sstatus`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitState {
    /// They are illegal.
    Off,
    /// One that changes the unit's state says so in `sstatus`.
    Clean,
    /// It has been said.
    Dirty,
}

/// The mode word of a block: all that translation reads of the state.  Zero on CPUs that only run programs, but for bit 0.
///
/// | bits | |
/// |---|---|
/// | 0 | the dynamic rounding mode is reserved |
/// | 9:8, 10 | privilege, V |
/// | 12:11, 14:13 | state of the floating-point and vector units |
/// | 16:15, 17 | privilege and V of loads and stores |
/// | 18, 19, 20 | SUM, MXR and the MXR that holds for both stages, as far as loads and stores depend on them |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode(u32);

impl Mode {
    /// The dynamic rounding mode is reserved, so that instructions that use it are illegal.
    const BAD_FRM: u32 = 1;
    const PRIVILEGE_SHIFT: u32 = 8;
    const VIRTUAL_SHIFT: u32 = 10;
    const FS_SHIFT: u32 = 11;
    const VS_SHIFT: u32 = 13;
    const DATA_SHIFT: u32 = 15;
    const DATA_VIRTUAL_SHIFT: u32 = 17;
    const SUM: u32 = 1 << 18;
    const MXR: u32 = 1 << 19;
    const MXR_BOTH: u32 = 1 << 20;

    /// Of a state.
    #[must_use]
    pub fn of(state: &State, privileged: Privileged) -> Mode {
        let frm = if state.get(Slot::fp_control(0)) & 7 > 4 { Mode::BAD_FRM } else { 0 };
        if privileged.machine() { Mode(frm | Mode::of_machine(state)) } else { Mode(frm) }
    }

    fn of_machine(state: &State) -> u32 {
        let (machine, guest) = (state.get(MSTATUS), state.get(VSSTATUS));
        let inside = state.get(VIRTUAL) != 0;
        let class = |shift: u32| {
            let (outer, inner) = (machine >> shift & 3, if inside { guest >> shift & 3 } else { 3 });
            match (outer, inner) {
                (0, _) | (_, 0) => 0,
                (3, 3) => 2,
                _ => 1,
            }
        };
        let data = mmu::data_actor(state);
        let mut bits = (state.get(PRIVILEGE) as u32) << Mode::PRIVILEGE_SHIFT
            | u32::from(inside) << Mode::VIRTUAL_SHIFT
            | class(status::FS_SHIFT) << Mode::FS_SHIFT
            | class(status::VS_SHIFT) << Mode::VS_SHIFT
            | (data.privilege as u32) << Mode::DATA_SHIFT
            | u32::from(data.guest) << Mode::DATA_VIRTUAL_SHIFT;
        if data.privilege == M {
            return bits;
        }
        let own = if data.guest { guest } else { machine };
        if data.privilege == S && own & status::SUM != 0 {
            bits |= Mode::SUM;
        }
        if own & status::MXR != 0 {
            bits |= Mode::MXR;
        }
        if machine & status::MXR != 0 {
            bits |= Mode::MXR_BOTH;
        }
        bits
    }

    /// As [`tern_core::ir::BlockKey`] carries it.
    #[must_use]
    pub fn word(self) -> u32 {
        self.0
    }

    /// Privilege of the code.
    #[must_use]
    pub fn privilege(self) -> u64 {
        u64::from(self.0 >> Mode::PRIVILEGE_SHIFT & 3)
    }

    /// Does it run in a guest?
    #[must_use]
    pub fn guest(self) -> bool {
        self.0 >> Mode::VIRTUAL_SHIFT & 1 != 0
    }

    fn unit(self, shift: u32) -> UnitState {
        match self.0 >> shift & 3 {
            0 => UnitState::Off,
            1 => UnitState::Clean,
            _ => UnitState::Dirty,
        }
    }

    /// The floating-point unit.
    #[must_use]
    pub fn float(self) -> UnitState {
        self.unit(Mode::FS_SHIFT)
    }

    /// The vector unit.
    #[must_use]
    pub fn vector(self) -> UnitState {
        self.unit(Mode::VS_SHIFT)
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
    /// What translation knows of the state.
    pub mode: Mode,
    follow: bool,
    /// The block stays in the page that begins here.
    page: Option<u64>,
    depth: u32,
    /// The block ends after the current instruction, for the engine to look at everything afresh; unless this holds.
    resync: Option<Option<Val<Bool>>>,
    /// The conditional branch that the current instruction is: condition and target.
    fork: Option<(Val<Bool>, u64)>,
}

/// Value of an integer register or address.
pub type X = Val<I64>;

impl<'a> Tr<'a> {
    /// At the beginning of a block.
    pub(crate) fn new(b: Builder<'a>, cpu: Cpu, limits: Limits) -> Tr<'a> {
        let key = b.key();
        Tr {
            b,
            pc: key.pc,
            next: key.pc,
            word: 0,
            cpu,
            mode: Mode(key.mode),
            follow: limits.follow,
            page: limits.one_page.then_some(key.pc & !PAGE_MASK),
            depth: 0,
            resync: None,
            fork: None,
        }
    }

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

    /// In a machine, lets other CPUs run: this one spins.
    pub fn spin(&mut self) {
        if self.cpu.privileged.machine() {
            self.b.exit(Exit::Yield(self.next));
        }
    }

    /// Asks for [`Tr::resync`] when the current instruction is complete.
    pub fn want_resync(&mut self) {
        self.resync = Some(None);
    }

    /// The same, unless `quiet`: then the engine goes on as after any block.
    pub fn want_resync_unless(&mut self, quiet: Val<Bool>) {
        self.resync = Some(Some(quiet));
    }

    /// Grants it; the current instruction is complete.
    pub fn resync_if_wanted(&mut self) {
        let Some(quiet) = self.resync.take() else { return };
        if let Some(quiet) = quiet {
            let next = self.next;
            self.b.exit_if(quiet, next);
        }
        self.resync();
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

    /// May the block go on at `pc`?
    fn in_page(&self, pc: u64) -> bool {
        self.page.is_none_or(|page| pc & !PAGE_MASK == page)
    }

    /// Writes the branch of the current instruction, which is complete otherwise, and goes on at one side of it.
    fn follow_branch(&mut self, cond: Val<Bool>, target: u64, side: Side) {
        match side {
            Side::Next => self.b.exit_if(cond, target),
            Side::Taken if self.in_page(target) && !self.b.has_insn(target) => {
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
            if self.follow && self.depth < MAX_DEPTH && self.in_page(target) && target != self.b.key().pc {
                self.depth += 1;
                self.next = target;
            } else {
                self.b.exit(Exit::Call(target, back));
            }
        } else if self.follow && self.in_page(target) && !self.b.has_insn(target) {
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

    // Privilege.

    /// Sets bits of the current mode's `sstatus`, and of `mstatus` too.
    fn mark_dirty(&mut self, bits: u64) {
        let slots: &[Slot] = if self.mode.guest() { &[MSTATUS, VSSTATUS] } else { &[MSTATUS] };
        for slot in slots {
            let old = self.b.get::<I64>(*slot);
            let bits = self.b.iconst(bits);
            let new = self.b.or(old, bits);
            self.b.set(*slot, new);
        }
        self.want_resync();
    }

    /// Notes that floating-point state changes; the instruction is not done before [`Tr::resync_if_wanted`].
    pub fn float_changes(&mut self) {
        if self.cpu.privileged.machine() && self.mode.float() == UnitState::Clean {
            self.mark_dirty(status::FS);
        }
    }

    /// The same of vector state.
    pub fn vector_changes(&mut self) {
        if self.cpu.privileged.machine() && self.mode.vector() == UnitState::Clean {
            self.mark_dirty(status::VS);
        }
    }

    /// Translates an instruction of a unit only if that is on, and says when its state changes.
    fn guarded(&mut self, word: u64, body: impl FnOnce(&mut Self)) {
        let uses = Uses::of(word, self.cpu.rv32);
        let off = |used: bool, state: UnitState| used && state == UnitState::Off;
        if off(uses.float, self.mode.float()) || off(uses.vector, self.mode.vector()) {
            return self.illegal();
        }
        // A vector instruction that faults in its midst has changed elements.
        if uses.vector {
            self.vector_changes();
        }
        body(self);
        if uses.float && !uses.keeps_float && !self.b.ended() {
            self.float_changes();
        }
        if (uses.float || uses.vector) && !self.b.ended() {
            self.resync_if_wanted();
        }
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

/// Which units an instruction needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Uses {
    float: bool,
    /// It changes nothing of the floating-point unit.
    keeps_float: bool,
    vector: bool,
}

impl Uses {
    /// By opcode; words that no row has may get any answer.
    fn of(word: u64, rv32: bool) -> Uses {
        let funct3 = word >> 12 & 7;
        let float = |keeps_float| Uses { float: true, keeps_float, vector: false };
        let vector = Uses { float: false, keeps_float: false, vector: true };
        if word & 3 != 3 {
            let (quadrant, funct3) = (word & 3, word >> 13 & 7);
            return match (quadrant, funct3) {
                (0 | 2, 1) => float(false),
                (0 | 2, 5) => float(true),
                (0 | 2, 3) if rv32 => float(false),
                (0 | 2, 7) if rv32 => float(true),
                _ => Uses::default(),
            };
        }
        match word & 0x7f {
            // Widths of scalars are 1 to 4.
            0x07 if (1..=4).contains(&funct3) => float(false),
            0x27 if (1..=4).contains(&funct3) => float(true),
            0x07 | 0x27 | 0x77 => vector,
            0x43 | 0x47 | 0x4b | 0x4f | 0x53 => float(false),
            // OPFVV and OPFVF compute with floating-point numbers.
            0x57 => Uses { float: funct3 == 1 || funct3 == 5, ..vector },
            _ => Uses::default(),
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

    /// Is the instruction at `pc` of 16 bits?
    fn short(&mut self, fetch: &mut dyn Fetch, pc: u64) -> bool {
        self.parcel(fetch, pc).is_ok_and(|low| low & 3 != 3)
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
    let mut t = Tr::new(b.take(), cpu, limits);
    loop {
        let (word, len) = insn;
        t.pc = t.next;
        t.next = t.address(t.pc.wrapping_add(len));
        t.word = word;
        t.b.insn(t.pc);
        match decoder.decode(word) {
            Some(row) if cpu.privileged.machine() => t.guarded(word, |t| row.translate(t, word)),
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
        if !t.in_page(t.next) || fetch.begins_block(t.next) {
            break;
        }
        insn = match window.inside(t.next) {
            Some(insn) => insn,
            // Its second half may lie in the next page.
            None if limits.one_page && t.next & PAGE_MASK == PAGE_SIZE - 2 && !window.short(fetch, t.next) => break,
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
