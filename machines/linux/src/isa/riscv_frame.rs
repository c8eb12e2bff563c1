//! Signal frames of riscv: `struct rt_sigframe` (arch/riscv/kernel/signal.c, uapi/asm/{ucontext,sigcontext,ptrace}.h).
//!
//! siginfo, then ucontext: flags, link, stack, mask, padding to 1024 mask bits, and at the next multiple of 16 the
//! registers (pc, x1 to x31) and the floating-point area of 528 bytes at the next multiple of 16.  The last 12 bytes of
//! that area are a reserved word and the header of the first extension record: V's, whose data follow the ucontext, or
//! the end mark.

use super::{FrameIn, Handler, Restored, SignalFrame};
use crate::abi::process_structs::{SignalSet, Sigset, StackT};
use crate::abi::{Abi, Errno, Field, ULong};
use crate::mm::Space;
use crate::sched::RegisterSlots;
use crate::signal::AltStack;
use crate::signal::info::SIGINFO_SIZE;
use tern_core::state::{Role, Slot, State, StateLayout};

/// Bytes of `union __riscv_fp_state`: 32 registers of 16 bytes, fcsr, padding.
const FP_SIZE: usize = 528;
/// Bytes of `struct __riscv_ctx_hdr`.
const HEADER: usize = 8;
/// Where the header lies in the floating-point area.
const HEADER_AT: usize = FP_SIZE - HEADER;
/// `RISCV_V_MAGIC`.
const V_MAGIC: u32 = 0x5346_5457;
/// `END_MAGIC`.
const END_MAGIC: u32 = 0;

/// The frames of both word sizes.
pub(super) struct Frames;

/// Where the parts of a frame lie, in bytes from its start.
struct Parts {
    link: usize,
    stack: usize,
    mask: usize,
    regs: usize,
    fp: usize,
    end: usize,
}

fn parts(abi: Abi) -> Parts {
    let word = abi.word_bytes();
    let link = SIGINFO_SIZE + word;
    let stack = link + word;
    let mask = stack + StackT::size(abi);
    // 1024 bits for the mask and what may become of it.
    let regs = (mask + 128).next_multiple_of(16);
    let fp = (regs + 32 * word).next_multiple_of(16);
    Parts { link, stack, mask, regs, fp, end: fp + FP_SIZE }
}

/// The slots of the V extension.
struct Vector {
    /// vstart, vl, vtype, vcsr.
    control: [Slot; 4],
    /// Bytes of a register.
    vlenb: usize,
}

impl Vector {
    /// `None` if the CPU has no V.
    fn of(layout: &StateLayout) -> Option<Vector> {
        let slot = |name| layout.by_name(name).map(|r| r.slot);
        let control = [slot("vstart")?, slot("vl")?, slot("vtype")?, slot("vcsr")?];
        let words = layout.rows().iter().filter(|r| matches!(r.role, Role::Vector(0, _))).count();
        (words > 0).then_some(Vector { control, vlenb: words * 8 })
    }

    /// Bytes of `struct __sc_riscv_v_state`: five words and a pointer, aligned to 16.
    fn state_size(abi: Abi) -> usize {
        (6 * abi.word_bytes()).next_multiple_of(16)
    }

    /// Bytes of the record with its header.
    fn record(&self, abi: Abi) -> usize {
        HEADER + Vector::state_size(abi) + 32 * self.vlenb
    }
}

fn put<T: Field>(bytes: &mut [u8], at: usize, value: &T::Value, abi: Abi) {
    T::put(value, &mut bytes[at..at + T::size(abi)], abi);
}

fn get<T: Field>(bytes: &[u8], at: usize, abi: Abi) -> T::Value {
    T::get(&bytes[at..at + T::size(abi)], abi)
}

/// The slots of pc, x1 to x31 in the order of `struct user_regs_struct`.
fn integer_slots(layout: &StateLayout) -> impl Iterator<Item = Option<Slot>> {
    let x = (1..32).map(|n| layout.by_role(Role::Gpr(n)).map(|r| r.slot));
    core::iter::once(Some(Slot::PC)).chain(x)
}

impl SignalFrame for Frames {
    fn size(&self, layout: &StateLayout, abi: Abi) -> u64 {
        let extra = Vector::of(layout).map_or(0, |v| v.record(abi) + HEADER);
        (parts(abi).end + extra).next_multiple_of(16) as u64
    }

    fn build(&self, frame: &FrameIn<'_>) -> Vec<u8> {
        let (abi, layout, state) = (frame.abi, frame.layout, frame.state);
        let p = parts(abi);
        let mut bytes = vec![0; self.size(layout, abi) as usize];
        bytes[..SIGINFO_SIZE].copy_from_slice(&frame.info);
        put::<ULong>(&mut bytes, p.link, &0, abi);
        let stack = StackT { sp: frame.alt.sp, flags: frame.alt.flags as i32, size: frame.alt.size };
        put::<StackT>(&mut bytes, p.stack, &stack, abi);
        put::<Sigset>(&mut bytes, p.mask, &SignalSet(frame.mask), abi);
        for (n, slot) in integer_slots(layout).enumerate() {
            let value = slot.map_or(0, |s| state.get(s));
            put::<ULong>(&mut bytes, p.regs + n * abi.word_bytes(), &value, abi);
        }
        save_fp(&mut bytes[p.fp..], layout, state, abi);
        if let Some(v) = Vector::of(layout) {
            put::<u32>(&mut bytes, p.fp + HEADER_AT, &V_MAGIC, abi);
            put::<u32>(&mut bytes, p.fp + HEADER_AT + 4, &(v.record(abi) as u32), abi);
            save_vector(&mut bytes[p.end..], &v, frame.addr + p.end as u64, frame);
        }
        bytes
    }

    fn enter(&self, state: &mut State, layout: &StateLayout, regs: &RegisterSlots, abi: Abi, handler: &Handler) {
        let word = |v: u64| if abi.is64() { v } else { v as u32 as i32 as i64 as u64 };
        state.set_pc(abi.word_of(handler.pc));
        state.set(regs.ra, word(handler.trampoline));
        state.set(regs.sp, word(handler.frame));
        state.set(regs.args[0], handler.signo as u64);
        state.set(regs.args[1], word(handler.frame));
        state.set(regs.args[2], word(handler.frame + SIGINFO_SIZE as u64));
        drop_reservation(state, layout);
    }

    fn restore(
        &self,
        mem: &mut Space,
        sp: u64,
        state: &mut State,
        layout: &StateLayout,
        abi: Abi,
    ) -> Result<Restored, Errno> {
        let p = parts(abi);
        if !sp.is_multiple_of(abi.word_bytes() as u64) {
            return Err(Errno::EFAULT);
        }
        let bytes = mem.bytes(sp, p.end as u64)?;
        let mask = get::<Sigset>(&bytes, p.mask, abi).0;
        let stack = get::<StackT>(&bytes, p.stack, abi);
        for (n, slot) in integer_slots(layout).enumerate() {
            let value = get::<ULong>(&bytes, p.regs + n * abi.word_bytes(), abi);
            match slot {
                Some(Slot::PC) => state.set_pc(value & !1),
                Some(slot) if abi.is64() => state.set(slot, value),
                Some(slot) => state.set(slot, value as u32 as i32 as i64 as u64),
                None => {}
            }
        }
        let fp = &bytes[p.fp..];
        restore_fp(fp, state, layout, abi);
        if get::<u32>(fp, HEADER_AT - 4, abi) != 0 {
            return Err(Errno::EINVAL);
        }
        let header = (get::<u32>(fp, HEADER_AT, abi), get::<u32>(fp, HEADER_AT + 4, abi));
        restore_extensions(mem, header, sp + p.end as u64, state, layout, abi)?;
        drop_reservation(state, layout);
        Ok(Restored { mask, alt: AltStack { sp: stack.sp, flags: stack.flags as u32, size: stack.size } })
    }
}

/// A trap ends the reservation of a load-reserved.
fn drop_reservation(state: &mut State, layout: &StateLayout) {
    if let Some(row) = layout.by_name("res_addr") {
        state.set(row.slot, row.reset);
    }
}

/// Bytes of a floating-point register in the frame: D's area on CPUs with D, else F's.
fn fp_width(layout: &StateLayout) -> Option<usize> {
    layout.by_role(Role::Fpr(0)).map(|r| if r.bits > 32 { 8 } else { 4 })
}

fn save_fp(area: &mut [u8], layout: &StateLayout, state: &State, abi: Abi) {
    let Some(width) = fp_width(layout) else { return };
    for n in 0..32u8 {
        let value = layout.by_role(Role::Fpr(n)).map_or(0, |r| state.get(r.slot));
        let at = usize::from(n) * width;
        if width == 8 { put::<u64>(area, at, &value, abi) } else { put::<u32>(area, at, &(value as u32), abi) }
    }
    // The flags are kept in the order of fflags (NX lowest), rounding modes by RISC-V's numbers.
    let fcsr = (state.get(Slot::fp_flags(0)) & 0x1f) | (state.get(Slot::fp_control(0)) & 7) << 5;
    put::<u32>(area, 32 * width, &(fcsr as u32), abi);
}

fn restore_fp(area: &[u8], state: &mut State, layout: &StateLayout, abi: Abi) {
    let Some(width) = fp_width(layout) else { return };
    for n in 0..32u8 {
        let Some(row) = layout.by_role(Role::Fpr(n)) else { continue };
        let at = usize::from(n) * width;
        // Narrower registers are NaN-boxed in their slots.
        let boxed = 0xffff_ffff_0000_0000;
        let value = if width == 8 { get::<u64>(area, at, abi) } else { boxed | u64::from(get::<u32>(area, at, abi)) };
        state.set(row.slot, value);
    }
    let fcsr = u64::from(get::<u32>(area, 32 * width, abi));
    state.set(Slot::fp_flags(0), fcsr & 0x1f);
    let control = state.get(Slot::fp_control(0));
    state.set(Slot::fp_control(0), control & !7 | fcsr >> 5 & 7);
}

/// Writes `__riscv_v_ext_state`, the registers and the end mark at `out`, which will lie at `addr`.
fn save_vector(out: &mut [u8], v: &Vector, addr: u64, frame: &FrameIn<'_>) {
    let (abi, word) = (frame.abi, frame.abi.word_bytes());
    for (n, slot) in v.control.iter().enumerate() {
        put::<ULong>(out, n * word, &frame.state.get(*slot), abi);
    }
    let data = Vector::state_size(abi);
    put::<ULong>(out, 4 * word, &(v.vlenb as u64), abi);
    put::<ULong>(out, 5 * word, &(addr + data as u64), abi);
    for row in frame.layout.rows() {
        if let Role::Vector(n, m) = row.role {
            let at = data + usize::from(n) * v.vlenb + usize::from(m) * 8;
            put::<u64>(out, at, &frame.state.get(row.slot), abi);
        }
    }
}

/// Walks the extension records from the first one's header on; its data lie at `at`.
fn restore_extensions(
    mem: &mut Space,
    mut header: (u32, u32),
    mut at: u64,
    state: &mut State,
    layout: &StateLayout,
    abi: Abi,
) -> Result<(), Errno> {
    let mut vector = Vector::of(layout);
    loop {
        match header {
            (END_MAGIC, 0) => return Ok(()),
            (V_MAGIC, size) => {
                let v = vector.take().filter(|v| v.record(abi) == size as usize).ok_or(Errno::EINVAL)?;
                restore_vector(mem, at, &v, state, layout, abi)?;
                at += (v.record(abi) - HEADER) as u64;
            }
            _ => return Err(Errno::EINVAL),
        }
        let next = mem.bytes(at, HEADER as u64)?;
        header = (get::<u32>(&next, 0, abi), get::<u32>(&next, 4, abi));
        at += HEADER as u64;
    }
}

fn restore_vector(
    mem: &mut Space,
    at: u64,
    v: &Vector,
    state: &mut State,
    layout: &StateLayout,
    abi: Abi,
) -> Result<(), Errno> {
    let word = abi.word_bytes();
    let head = mem.bytes(at, Vector::state_size(abi) as u64)?;
    for (n, slot) in v.control.iter().enumerate() {
        state.set(*slot, get::<ULong>(&head, n * word, abi));
    }
    let data = mem.bytes(get::<ULong>(&head, 5 * word, abi), 32 * v.vlenb as u64)?;
    for row in layout.rows() {
        if let Role::Vector(n, m) = row.role {
            state.set(row.slot, get::<u64>(&data, usize::from(n) * v.vlenb + usize::from(m) * 8, abi));
        }
    }
    Ok(())
}
