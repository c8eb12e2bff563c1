//! Slow paths: TLB misses, atomics, helpers, floats beyond host arithmetic.  They may call anything and fault.

use super::float::{ATTR_MASK, BOXED, fill, unbox};
use super::memory::{ADDR32, BIG, SIGNED};
use super::{Slow, slot};
use crate::cx::{Cx, Leave};
use crate::dispatch::code;
use crate::word::Word;
use tern_core::engine::{Event, Platform};
use tern_core::frontend::{HelperCx, HelperExit};
use tern_core::ir::{Op, eval, fp, fpfast};
use tern_core::mem::{
    Access, Endian, FaultKind, GuestMemory, MemFault, MemOp, PAGE_MASK, PAGE_SIZE, PageFlags, PageRef, RmwOp, Size,
};
use tern_core::state::Slot;
use tern_core::stops::{Stops, Touched};
use tern_core::system::{Careful, Flush, System, Virtual};

/// The memory attributes that kind `K` stands for.
pub(crate) const fn memop(k: u8) -> MemOp {
    MemOp {
        size: Size::from_log2(k & 3),
        signed: k & SIGNED != 0,
        endian: if k & BIG != 0 { Endian::Big } else { Endian::Little },
        aligned: false,
        addr32: k & ADDR32 != 0,
        mode: 0,
    }
}

/// The platform with the interpreter's own duties around it: stores into pages with translated code are noticed, and
/// accesses to watched memory.
pub(crate) struct Watch<'a> {
    pub(crate) platform: &'a mut dyn Platform,
    pub(crate) dirty: &'a mut Vec<u64>,
    /// What is watched, if anything is.
    pub(crate) stops: Option<&'a Stops>,
    /// Watched memory is not to be accessed now.
    pub(crate) refuse: bool,
    /// The first access to watched memory; its pc is for the caller to know.
    pub(crate) touched: Option<Touched>,
}

impl GuestMemory for Watch<'_> {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        let page = self.platform.page(addr, access, mode)?;
        if access == Access::Store && page.flags.has(PageFlags::CODE) && !self.dirty.contains(&page.phys) {
            self.dirty.push(page.phys);
        }
        Ok(page)
    }
    fn generation(&self) -> u64 {
        self.platform.generation()
    }
    fn set_code(&mut self, phys: u64, code: bool) {
        self.platform.set_code(phys, code);
    }
    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.platform.take_invalidated(pages);
    }
    fn touch(&mut self, addr: u64, size: u64, access: Access) -> Result<(), MemFault> {
        if let Some(addr) = self.stops.and_then(|s| s.touched(addr, size, access)) {
            self.touched.get_or_insert(Touched { pc: 0, addr, write: access == Access::Store });
            if self.refuse {
                return Err(MemFault { addr, access, kind: FaultKind::Bus });
            }
        }
        self.platform.touch(addr, size, access)
    }
    fn device_load(&mut self, addr: u64, mode: u8, size: Size) -> Result<u64, MemFault> {
        self.platform.device_load(addr, mode, size)
    }
    fn device_store(&mut self, addr: u64, mode: u8, size: Size, value: u64) -> Result<(), MemFault> {
        self.platform.device_store(addr, mode, size, value)
    }
}

impl Platform for Watch<'_> {
    fn time_ns(&mut self, icount: u64) -> u64 {
        self.platform.time_ns(icount)
    }
    fn event(&mut self, event: Event, text: core::fmt::Arguments<'_>) {
        self.platform.event(event, text);
    }
    fn set_timer(&mut self, timer: u32, at_ns: Option<u64>) {
        self.platform.set_timer(timer, at_ns);
    }
    fn cpu_register(&mut self, register: u32, write: Option<(u64, u64)>) -> Option<u64> {
        self.platform.cpu_register(register, write)
    }
}

/// The platform of the current run.
fn platform(cx: &Cx) -> &'static mut dyn Platform {
    match cx.platform {
        // SAFETY: set by the engine for the time of a run from a `&mut` that it holds; slow paths run one at a time and
        // do not keep the reference.
        Some(p) => unsafe { &mut *p },
        None => unreachable!("handlers run only inside Engine::run"),
    }
}

/// The privileged side of the current run's guest.
fn system(cx: &Cx) -> Option<&'static dyn System> {
    // SAFETY: set by the engine for the time of a run from the frontend that it holds; references to it are not kept.
    cx.system.map(|s| unsafe { &*s })
}

/// What is watched, if anything is.
fn stops(cx: &Cx) -> Option<&'static Stops> {
    // SAFETY: set by the engine for the time of a run from the set that it holds; references to it are not kept.
    cx.stops.map(|s| unsafe { &*s })
}

/// Would this access touch watched memory?  Then its instruction must run alone.
fn is_watched(cx: &Cx, op: MemOp, addr: u64, access: Access) -> bool {
    op.mode == 0 && stops(cx).is_some_and(|s| s.touched(addr, op.size.bytes(), access).is_some())
}

/// Memory as the guest's instructions see it; `platform` is that of the run, or something around it.
fn memory<'a>(cx: &'a Cx, platform: &'a mut dyn Platform) -> Virtual<'a> {
    Virtual { system: system(cx), state: &cx.state, platform }
}

/// Resolves a page for an access of the guest.
fn page(cx: &Cx, addr: u64, access: Access, mode: u8) -> Result<PageRef, Miss> {
    let mut page = memory(cx, platform(cx)).page(addr, access, mode).map_err(Miss::Fault)?;
    if stops(cx).is_some_and(|s| s.watches_page(addr)) {
        page.flags = page.flags.with(PageFlags::SLOW);
    }
    if page.flags.has(PageFlags::DEVICE) { Err(Miss::Alone) } else { Ok(page) }
}

/// Does an access by the general path, if it reaches no device.
fn general<T>(cx: &Cx, access: impl FnOnce(&mut dyn Platform) -> Result<T, MemFault>) -> Result<T, Miss> {
    let mut careful = Careful::new(platform(cx), true);
    let result = access(&mut memory(cx, &mut careful));
    if careful.refused() { Err(Miss::Alone) } else { result.map_err(Miss::Fault) }
}

/// Why an access is not done.
enum Miss {
    /// The guest's fault.
    Fault(MemFault),
    /// The instruction must run alone.
    Alone,
}

fn miss(cx: &mut Cx, pc: *const Word, miss: Miss) -> Option<u64> {
    match miss {
        Miss::Fault(fault) => {
            cx.fault = Some(fault);
            leave(cx, pc, Leave::Fault)
        }
        Miss::Alone => leave(cx, pc, Leave::Alone),
    }
}

fn leave(cx: &mut Cx, pc: *const Word, why: Leave) -> Option<u64> {
    cx.leave = why;
    cx.pc = pc;
    None
}

/// After stores by general means: gives up translations of the pages written to, and entries of changed mappings.
fn settle(cx: &mut Cx) {
    if !cx.dirty_code.is_empty() {
        let pages = core::mem::take(&mut cx.dirty_code);
        // SAFETY: the engine set the cache for the time of the run; nobody else holds a reference to it now.
        let cache = unsafe { &mut *cx.cache };
        for phys in pages {
            cache.invalidate(phys, platform(cx));
        }
        cx.flush_jumps();
    }
    if platform(cx).generation() != cx.generation {
        cx.generation = platform(cx).generation();
        cx.flush_tlb();
    }
}

/// A load that missed the TLB, at `Cx::addr`.
pub(crate) struct LoadSlow<const K: u8>;

impl<const K: u8> Slow for LoadSlow<K> {
    #[inline(never)]
    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, _budget: i64) -> Option<u64> {
        let addr = cx.addr;
        match load(cx, memop(K), addr) {
            Ok(value) => {
                // SAFETY: `pc` is the word that missed.
                cx.state.near[usize::from(unsafe { *pc }.d())] = value;
                Some(value)
            }
            Err(f) => miss(cx, pc, f),
        }
    }
}

fn load(cx: &mut Cx, op: MemOp, addr: u64) -> Result<u64, Miss> {
    if is_watched(cx, op, addr, Access::Load) {
        return Err(Miss::Alone);
    }
    if op.mode == 0 && (addr & PAGE_MASK) + op.size.bytes() <= PAGE_SIZE {
        let span = match cx.known_load(addr, op.size.bytes()) {
            Some(span) => Some(span),
            None => {
                let page = page(cx, addr, Access::Load, 0)?;
                cx.remember_load(addr, &page);
                page.flags.cacheable(Access::Load).then_some(page.span)
            }
        };
        if let Some(raw) = span.and_then(|span| span.load((addr & PAGE_MASK) as usize, op.size)) {
            return Ok(op.decode(raw));
        }
    }
    general(cx, |memory| eval::load(memory, op, addr))
}

/// A store that missed the TLB, at `Cx::addr` of `Cx::value`.
pub(crate) struct StoreSlow<const K: u8>;

impl<const K: u8> Slow for StoreSlow<K> {
    #[inline(never)]
    unsafe fn run(cx: &mut Cx, pc: *const Word, acc: u64, _budget: i64) -> Option<u64> {
        let (addr, value) = (cx.addr, cx.value);
        store(cx, pc, memop(K), addr, value).map(|()| acc)
    }
}

fn store(cx: &mut Cx, pc: *const Word, op: MemOp, addr: u64, value: u64) -> Option<()> {
    if is_watched(cx, op, addr, Access::Store) {
        leave(cx, pc, Leave::Alone);
        return None;
    }
    let last = op.effective(addr.wrapping_add(op.size.bytes() - 1));
    for at in [addr, last] {
        if at == last && (addr ^ last) & !PAGE_MASK == 0 && at != addr {
            break;
        }
        match page(cx, at, Access::Store, op.mode) {
            Err(Miss::Fault(f)) => {
                let addr = if at == addr { addr } else { last & !PAGE_MASK };
                miss(cx, pc, Miss::Fault(MemFault { addr, ..f }));
                return None;
            }
            Err(Miss::Alone) => {
                leave(cx, pc, Leave::Alone);
                return None;
            }
            Ok(page) if page.flags.has(PageFlags::CODE) => {
                if owns(cx, pc, page.phys) {
                    leave(cx, pc, Leave::Alone);
                    return None;
                }
                cx.dirty_code.push(page.phys);
            }
            Ok(page) => {
                if op.mode == 0 {
                    cx.remember_store(at, &page);
                }
            }
        }
    }
    if !cx.dirty_code.is_empty() {
        settle(cx);
    }
    match general(cx, |memory| eval::store(memory, op, addr, value)) {
        Ok(()) => Some(()),
        Err(f) => {
            miss(cx, pc, f);
            None
        }
    }
}

/// Does the block that `pc` is in have code on physical page `phys`?
fn owns(cx: &Cx, pc: *const Word, phys: u64) -> bool {
    // SAFETY: as in `settle`.
    unsafe { &*cx.cache }.block_at(pc).is_some_and(|b| b.pages.contains(&phys))
}

/// General load: attributes in the literal after the word (memop, displacement).
pub(crate) struct LoadGeneral;

impl Slow for LoadGeneral {
    const CODE: u16 = code::LOAD_GENERAL;
    const WORDS: usize = 2;
    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is a general load; its literal follows.
        let (w, literal) = unsafe { (*pc, (*pc.add(1)).number()) };
        let (op, addr) = general_address(cx, w.a(), literal);
        let aligned = check_aligned(op, addr, Access::Load);
        match aligned.and_then(|()| load(cx, op, addr)) {
            Ok(value) => {
                cx.state.near[usize::from(w.d())] = value;
                Some(value)
            }
            Err(f) => miss(cx, pc, f),
        }
    }
}

fn general_address(cx: &mut Cx, base: u8, literal: u64) -> (MemOp, u64) {
    let op = MemOp::unpack(literal as u16);
    // SAFETY: `cx` is the context.
    let base = unsafe { slot(cx, base) };
    (op, op.effective(base.wrapping_add((literal as i64 >> 32) as u64)))
}

fn check_aligned(op: MemOp, addr: u64, access: Access) -> Result<(), Miss> {
    if op.aligned && addr & (op.size.bytes() - 1) != 0 {
        return Err(Miss::Fault(MemFault { addr, access, kind: FaultKind::Misaligned }));
    }
    Ok(())
}

/// General store.
pub(crate) struct StoreGeneral;

impl Slow for StoreGeneral {
    const CODE: u16 = code::STORE_GENERAL;
    const WORDS: usize = 2;
    unsafe fn run(cx: &mut Cx, pc: *const Word, acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is a general store; its literal follows.
        let (w, literal) = unsafe { (*pc, (*pc.add(1)).number()) };
        let (op, addr) = general_address(cx, w.a(), literal);
        if let Err(f) = check_aligned(op, addr, Access::Store) {
            return miss(cx, pc, f);
        }
        let value = cx.state.near[usize::from(w.d())];
        store(cx, pc, op, addr, value).map(|()| acc)
    }
}

/// General probe: faults as a store would.
pub(crate) struct Probe;

impl Slow for Probe {
    const WORDS: usize = 2;
    const CODE: u16 = code::PROBE;

    unsafe fn run(cx: &mut Cx, pc: *const Word, acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is a probe; its literal follows.
        let (w, literal) = unsafe { (*pc, (*pc.add(1)).number()) };
        let (op, addr) = general_address(cx, w.a(), literal);
        if is_watched(cx, op, addr, Access::Store) {
            return leave(cx, pc, Leave::Alone);
        }
        match general(cx, |memory| eval::probe(memory, op, addr)) {
            Ok(()) => Some(acc),
            Err(f) => miss(cx, pc, f),
        }
    }
}

/// Atomic read-modify-write: d = old, a = address, b = operand; the literal holds memop and operation.
pub(crate) struct Rmw;

impl Slow for Rmw {
    const CODE: u16 = code::RMW;
    const WORDS: usize = 2;
    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is an atomic word; its literal follows.
        let (w, literal) = unsafe { (*pc, (*pc.add(1)).number()) };
        let (op, addr) = general_address(cx, w.a(), literal);
        let operand = cx.state.near[usize::from(w.b())];
        let rmw = RmwOp::ALL[(literal >> 16 & 0xff) as usize % RmwOp::ALL.len()];
        atomic(cx, pc, op, addr, |old| Some(rmw.apply(op.size, old, operand)))
    }
}

/// Compare and swap: d = old, a = address, b = expected, c = new.
pub(crate) struct Cas;

impl Slow for Cas {
    const CODE: u16 = code::CAS;
    const WORDS: usize = 2;
    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is an atomic word; its literal follows.
        let (w, literal) = unsafe { (*pc, (*pc.add(1)).number()) };
        let (op, addr) = general_address(cx, w.a(), literal);
        let (expected, new) = (cx.state.near[usize::from(w.b())], cx.state.near[usize::from(w.c())]);
        atomic(cx, pc, op, addr, |old| (old == expected & op.size.mask()).then_some(new))
    }
}

fn atomic(cx: &mut Cx, pc: *const Word, op: MemOp, addr: u64, new: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    if is_watched(cx, op, addr, Access::Load) || is_watched(cx, op, addr, Access::Store) {
        return leave(cx, pc, Leave::Alone);
    }
    let aligned = addr & (op.size.bytes() - 1) == 0;
    let known = if aligned && op.mode == 0 { cx.known_store(addr, op.size.bytes()) } else { None };
    let old = match known {
        Some(span) => eval::atomic_in(span, op, addr, new).map_err(Miss::Fault),
        None => {
            if let Ok(page) = page(cx, addr, Access::Store, op.mode) {
                if page.flags.has(PageFlags::CODE) {
                    cx.dirty_code.push(page.phys);
                    settle(cx);
                } else if op.mode == 0 {
                    cx.remember_store(addr, &page);
                }
            }
            general(cx, |memory| eval::atomic(memory, op, addr, new))
        }
    };
    match old {
        Ok(old) => {
            // SAFETY: `pc` is an atomic word.
            cx.state.near[usize::from(unsafe { *pc }.d())] = old;
            Some(old)
        }
        Err(f) => miss(cx, pc, f),
    }
}

/// A helper: d = result, a, b, c = arguments, x16 = index; the literals are the payload with the number of instructions
/// retired before it in this block (payload << 16 | n), and the guest pc.
pub(crate) struct Helper;

impl Slow for Helper {
    const CODE: u16 = code::HELPER;
    const WORDS: usize = 3;
    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, budget: i64) -> Option<u64> {
        // SAFETY: `pc` is a helper word; two literals follow.
        let (w, payload, guest_pc) = unsafe { (*pc, (*pc.add(1)).number(), (*pc.add(2)).number()) };
        let helper = cx.helpers[usize::from(w.x16())];
        let near = &cx.state.near;
        let args = [near[usize::from(w.a())], near[usize::from(w.b())], near[usize::from(w.c())]];
        let icount = cx.horizon.wrapping_sub(budget as u64).wrapping_add(payload & 0xffff);
        cx.state.set(Slot::PC, guest_pc);
        let mut dirty = core::mem::take(&mut cx.dirty_code);
        let system = system(cx);
        let stops = stops(cx);
        // A helper that was refused memory may have noted how far it got.
        let before = stops.map(|_| cx.state.clone());
        let mut watch = Watch { platform: platform(cx), dirty: &mut dirty, stops, refuse: true, touched: None };
        let mut careful = Careful::new(&mut watch, system.is_some());
        let mut hcx = HelperCx { state: &mut cx.state, platform: &mut careful, system, icount, flush: Flush::None };
        let result = (helper.call)(&mut hcx, args, payload >> 16);
        let flush = hcx.flush;
        let refused = careful.refused();
        let watched = watch.touched.is_some();
        let refused = refused | watched;
        cx.flush = cx.flush.and(flush);
        cx.dirty_code = dirty;
        if let Some(before) = before.filter(|_| watched) {
            cx.state.near = before.near;
            cx.state.far = before.far;
        }
        settle(cx);
        cx.settle_fp();
        match result {
            _ if refused => leave(cx, pc, Leave::Alone),
            Ok(value) => {
                cx.state.near[usize::from(w.d())] = value;
                Some(value)
            }
            Err(HelperExit::Fault(f)) => miss(cx, pc, Miss::Fault(f)),
            Err(HelperExit::Trap { cause, value }) => {
                cx.trap = (cause, value);
                leave(cx, pc, Leave::Trap)
            }
        }
    }
}

/// A word that is nothing but its slow path.
pub(crate) struct Only<S>(core::marker::PhantomData<S>);

impl<S: Slow> Only<S> {
    const SLOW: crate::dispatch::SlowPath = crate::dispatch::SlowPath::of::<S>();
}

impl<S: Slow> super::Coded for Only<S> {
    const CODE: u16 = S::CODE;
}

impl<S: Slow> super::Body for Only<S> {
    #[inline(always)]
    unsafe fn run(_cx: *mut Cx, _regs: &mut super::Regs) -> super::Step {
        super::Step::Slow(&Self::SLOW)
    }
}

/// Floating-point operation number `O` in softfloat: d = result, a, b, c = operands, attributes in x16.
pub(crate) struct FloatSlow<const O: u8>;

/// The operation with this discriminant.
pub(crate) const fn op(number: u8) -> Op {
    let mut i = 0;
    while Op::OTHER[i] as u8 != number {
        i += 1;
    }
    Op::OTHER[i]
}

impl<const O: u8> Slow for FloatSlow<O> {
    const CODE: u16 = code::float(op(O));

    unsafe fn run(cx: &mut Cx, pc: *const Word, _acc: u64, _budget: i64) -> Option<u64> {
        // SAFETY: `pc` is a floating-point word.
        Some(float(cx, const { op(O) }, unsafe { *pc }))
    }
}

fn float(cx: &mut Cx, op: Op, w: Word) -> u64 {
    let attr = fp::FpAttr::unpack(u32::from(w.x16() & ATTR_MASK));
    let mut env = fp::env_of(&cx.state, &cx.styles, attr);
    let near = &cx.state.near;
    let mut args = [near[usize::from(w.a())], near[usize::from(w.b())], near[usize::from(w.c())]];
    if w.x16() & BOXED != 0 {
        args = args.map(unbox);
    }
    let value = fill(op, attr, fpfast::eval_fp_host(op, attr, args, &mut env));
    cx.state.set(Slot::fp_flags(attr.env), u64::from(env.flags.0));
    cx.state.near[usize::from(w.d())] = value;
    cx.settle_fp();
    value
}
