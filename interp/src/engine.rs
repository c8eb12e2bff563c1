//! The engine: virtual CPUs of one address space, their translations, the run loop.

use crate::body::slow::Watch;
use crate::cache::{Cache, ExitKind, Place, TrapValue};
use crate::context::Contexts;
use crate::cx::{Cx, Leave};
use crate::dispatch::{self, Dispatch};
use crate::lower::Lowerer;
use crate::profile::{Count, Profile};
use crate::word::Word;
use bumpalo::Bump;
use smallvec::SmallVec;
use std::rc::Rc;
use tern_core::engine::{Platform, Stop};
use tern_core::frontend::{Fetch, Frontend, Limits, Side};
use tern_core::ir::{BlockKey, Builder, eval, opt};
use tern_core::mem::{Access, GuestMemory, MemFault, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
use tern_core::state::{Role, Slot, SlotDesc, State};
use tern_core::stops::{Stops, Touched};
use tern_core::system::{Flush, System, Virtual};

/// Most guest instructions in a block.
const MAX_INSNS: u32 = 64;

/// Runs that make a block hot.  Measured with a start of python3 (millions of host instructions, all told): never 2024,
/// 64 1738, 256 1647, 512 1617, 1024 1613; a translation costs what a thousand runs of a hot block save.
/// Dearer for the same start: cold blocks that go on past branches (8 or 16 instructions, 3 to 4 %) or follow direct jumps
/// (5 %); returns inlined behind a guard (0.5 %, and nothing gained on kernels).
const HOT: u32 = 512;
/// Highest count of a cold block.
const MAX_COUNT: u32 = i32::MAX as u32;

/// A virtual CPU of an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CpuId(usize);

/// What the engine can tell about its work; see [`Options::log`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogItem {
    /// Guest instructions of a new translation.
    InAsm = 1,
    /// Its IR after the passes.
    Ir = 2,
    /// Its words.
    Bytecode = 4,
    /// Every block that is entered (links are not made then).
    Exec = 8,
    /// The registers before each block (links are not made then).
    Cpu = 16,
}

/// Where log text goes.
pub type LogSink = Rc<dyn Fn(LogItem, core::fmt::Arguments<'_>)>;

/// How an engine works; none of it changes a result.
#[derive(Clone)]
pub struct Options {
    /// The dispatcher.
    pub dispatch: Dispatch,
    /// Size of the translation cache in words.
    pub cache_words: usize,
    /// Most guest instructions in a block, 1 to 64.
    pub block_insns: u32,
    /// How often a block runs before it is translated again, longer and along the path that was taken most; 0 does that at
    /// once, `None` never.
    pub hot: Option<u32>,
    /// Blocks that follow each other are linked.
    pub chain: bool,
    /// What is counted; see [`Engine::counted`].
    pub count: Count,
    /// Log items wanted (an or of [`LogItem`]s) and where they go.
    pub log: Option<(u32, LogSink)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dispatch: Dispatch::best(),
            cache_words: 1 << 22,
            block_insns: MAX_INSNS,
            hot: Some(HOT),
            chain: true,
            count: Count::Nothing,
            log: None,
        }
    }
}

/// Counters.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Blocks translated.
    pub blocks: u64,
    /// Those that were translated again because they had become hot.
    pub hot: u64,
    /// Guest instructions translated.
    pub insns: u64,
    /// Words made.
    pub words: u64,
    /// Times the whole cache was given up.
    pub flushes: u64,
    /// Pages whose translations were given up.
    pub invalidations: u64,
    /// Instructions run by the evaluator (ends of exact runs, stores into the running block).
    pub evaluated: u64,
}

struct Cpu {
    cx: Box<Cx>,
    contexts: Contexts,
    icount: u64,
    /// Position and pc at which a breakpoint has been reported, or is to be passed: it does not stop there again.
    passed: Option<(u64, u64)>,
}

/// Runs the virtual CPUs of one address space.
pub struct Engine {
    frontend: Rc<dyn Frontend>,
    options: Options,
    cache: Cache,
    lowerer: Lowerer,
    arena: Bump,
    cpus: Vec<Option<Cpu>>,
    /// CPUs that were taken away, for new ones.
    spare: Vec<Cpu>,
    stats: Stats,
    invalidated: Vec<u64>,
    stops: Rc<Stops>,
    /// Translations know other breakpoints.
    stale: bool,
}

impl Engine {
    /// An engine without CPUs.
    #[must_use]
    pub fn new(frontend: Rc<dyn Frontend>, mut options: Options) -> Engine {
        if options.count != Count::Nothing {
            options.dispatch = Dispatch::Loop;
        }
        let paged = frontend.system().is_some();
        Engine {
            frontend,
            cache: Cache::new(options.cache_words),
            lowerer: Lowerer::new(matches!(options.count, Count::Nothing | Count::Dispatches), paged),
            options,
            arena: Bump::new(),
            cpus: Vec::new(),
            spare: Vec::new(),
            stats: Stats::default(),
            invalidated: Vec::new(),
            stops: Rc::default(),
            stale: false,
        }
    }

    /// A new CPU in its reset state.
    pub fn add_cpu(&mut self) -> CpuId {
        let layout = self.frontend.layout();
        let state = State::new(layout);
        let mut cpu = match self.spare.pop() {
            Some(mut cpu) => {
                cpu.cx.renew(state);
                cpu.contexts = Contexts::default();
                Cpu { icount: 0, passed: None, ..cpu }
            }
            None => {
                let cx = Cx::new(state, *layout.styles(), self.frontend.helpers());
                Cpu { cx, contexts: Contexts::default(), icount: 0, passed: None }
            }
        };
        cpu.cx.profile = Profile::new(self.options.count);
        match self.cpus.iter().position(Option::is_none) {
            Some(i) => {
                self.cpus[i] = Some(cpu);
                CpuId(i)
            }
            None => {
                self.cpus.push(Some(cpu));
                CpuId(self.cpus.len() - 1)
            }
        }
    }

    /// Takes a CPU away.
    pub fn remove_cpu(&mut self, id: CpuId) {
        /// Contexts that are kept.
        const SPARE_MOST: usize = 16;
        if let Some(cpu) = self.cpus.get_mut(id.0).and_then(Option::take)
            && self.spare.len() < SPARE_MOST
        {
            self.spare.push(cpu);
        }
    }

    fn cpu(&self, id: CpuId) -> &Cpu {
        self.cpus.get(id.0).and_then(Option::as_ref).expect("a CpuId is used only while its CPU is there")
    }

    fn cpu_mut(&mut self, id: CpuId) -> &mut Cpu {
        self.cpus.get_mut(id.0).and_then(Option::as_mut).expect("a CpuId is used only while its CPU is there")
    }

    /// A CPU's state.
    #[must_use]
    pub fn state(&self, id: CpuId) -> &State {
        &self.cpu(id).cx.state
    }

    /// A CPU's state, to change.
    pub fn state_mut(&mut self, id: CpuId) -> &mut State {
        &mut self.cpu_mut(id).cx.state
    }

    /// Guest instructions that a CPU has retired.
    #[must_use]
    pub fn icount(&self, id: CpuId) -> u64 {
        self.cpu(id).icount
    }

    /// Sets the number of guest instructions that a CPU has retired: it goes on from a saved state.
    pub fn set_icount(&mut self, id: CpuId, icount: u64) {
        let cpu = self.cpu_mut(id);
        // It is somewhere else now: what it has passed counts no more.
        (cpu.icount, cpu.passed) = (icount, None);
    }

    /// Lets a CPU forget about address translation before it runs again.
    pub fn forget_later(&mut self, id: CpuId, flush: Flush) {
        let cx = &mut self.cpu_mut(id).cx;
        cx.flush = cx.flush.and(flush);
    }

    /// The ISA.
    #[must_use]
    pub fn frontend(&self) -> &Rc<dyn Frontend> {
        &self.frontend
    }

    /// Counters so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { flushes: self.cache.flushes, invalidations: self.cache.invalidations, ..self.stats }
    }

    /// What [`Options::count`] wants: dispatches, or words, that a CPU has run.
    #[must_use]
    pub fn counted(&self, id: CpuId) -> u64 {
        self.cpu(id).cx.profile.as_ref().map_or(0, |p| p.words())
    }

    /// With [`Count::Sequences`]: the sequences of consecutive words that a CPU has run, by the names of their bodies, with
    /// their counts.  This is what the list of fused sequences is made from.
    #[must_use]
    pub fn sequences(&self, id: CpuId) -> Vec<(Vec<&'static str>, u64)> {
        self.cpu(id).cx.profile.as_ref().map(|p| p.sequences()).unwrap_or_default()
    }

    /// From now on these stop the CPUs.
    pub fn set_stops(&mut self, stops: &Stops) {
        if *self.stops == *stops {
            return;
        }
        self.stale |= self.stops.breakpoints() != stops.breakpoints();
        if self.stops.watchpoints() != stops.watchpoints() {
            // Whether it stops before accesses is looked at when there is one.
            // Here what it is in, later what else it knows.
            for cpu in self.cpus.iter_mut().flatten() {
                cpu.cx.flush_tlb();
                cpu.cx.flush = Flush::All;
            }
            self.spare.clear();
        }
        self.stops = Rc::new(stops.clone());
    }

    /// What stops the CPUs.
    #[must_use]
    pub fn stops(&self) -> &Stops {
        &self.stops
    }

    /// A breakpoint where the CPU stands does not stop it this time.
    pub fn pass(&mut self, id: CpuId) {
        let cpu = self.cpu_mut(id);
        cpu.passed = Some((cpu.icount, cpu.cx.state.pc()));
    }

    /// Runs a CPU for exactly `insns` instructions, unless something stops it before.
    pub fn run(&mut self, id: CpuId, platform: &mut dyn Platform, insns: u64) -> Stop {
        let mut cpu =
            self.cpus.get_mut(id.0).and_then(Option::take).expect("a CpuId is used only while its CPU is there");
        let limit = cpu.icount.saturating_add(insns);
        let stop = self.run_cpu(&mut cpu, platform, limit);
        self.cpus[id.0] = Some(cpu);
        stop
    }

    fn run_cpu(&mut self, cpu: &mut Cpu, platform: &mut dyn Platform, limit: u64) -> Stop {
        loop {
            self.synchronise(cpu, platform);
            let remaining = limit - cpu.icount;
            if remaining == 0 {
                return Stop::Limit;
            }
            let here = (cpu.icount, cpu.cx.state.pc());
            let stop = if self.stops.breaks_at(here.1) {
                if cpu.passed != Some(here) {
                    cpu.passed = Some(here);
                    return Stop::Breakpoint;
                }
                // No block may begin here: others would be linked to it.
                self.evaluate(cpu, platform, 1)
            } else if remaining <= u64::from(MAX_INSNS) {
                self.evaluate(cpu, platform, remaining as u32)
            } else {
                let budget = (remaining - u64::from(MAX_INSNS)).min(i64::MAX as u64 >> 1);
                self.interpret(cpu, platform, budget as i64)
            };
            if let Some(stop) = stop {
                return stop;
            }
        }
    }

    /// Follows what happened to memory and translations since this CPU ran.
    fn synchronise(&mut self, cpu: &mut Cpu, platform: &mut dyn Platform) {
        if core::mem::take(&mut self.stale) {
            self.cache.flush(platform);
        }
        self.forget(cpu);
        if cpu.cx.generation != platform.generation() {
            platform.take_invalidated(&mut self.invalidated);
            for phys in self.invalidated.drain(..) {
                self.cache.invalidate(phys, platform);
            }
            cpu.cx.generation = platform.generation();
            cpu.cx.flush_tlb();
        }
        self.follow_cache(cpu);
    }

    /// Forgets what translations made stale: jumps to blocks that are gone, pages that became code.
    fn follow_cache(&mut self, cpu: &mut Cpu) {
        if cpu.cx.epoch != self.cache.epoch {
            cpu.cx.epoch = self.cache.epoch;
            cpu.cx.flush_jumps();
        }
        if cpu.cx.code_epoch != self.cache.code_epoch {
            cpu.cx.code_epoch = self.cache.code_epoch;
            cpu.cx.flush_tlb_store();
        }
    }

    /// Runs translated blocks until the budget is used up (`None`) or something stops the CPU.
    fn interpret(&mut self, cpu: &mut Cpu, platform: &mut dyn Platform, budget: i64) -> Option<Stop> {
        let key = self.frontend.key(&cpu.cx.state);
        let mode = key.mode;
        let mut block = match self.block(cpu, key, platform) {
            Ok(Some(block)) => block,
            Ok(None) => return self.evaluate(cpu, platform, 1),
            Err(fault) => return Some(Stop::Fault(fault)),
        };
        self.follow_cache(cpu);
        cpu.cx.horizon = cpu.icount + budget as u64;
        cpu.cx.budget = budget;
        self.log_entry(cpu, block);
        loop {
            let entry = self.cache.entry(block);
            self.enter(cpu, platform, entry);
            // Where to go on, after a jump or an unlinked exit.
            let (pc, exit) = match cpu.cx.leave {
                Leave::Exit => {
                    let rec = self.cache.exits[cpu.cx.exit as usize];
                    if rec.kind != ExitKind::Goto {
                        return Some(self.stop(cpu, rec.kind, rec.pc, i64::from(rec.n)));
                    }
                    (rec.pc, Some((cpu.cx.exit, rec.near)))
                }
                Leave::Indirect => (cpu.cx.target, None),
                Leave::Budget => {
                    let pc = self.cache.target_pc(cpu.cx.pc).expect("budget runs out on a branch target");
                    return self.pause(cpu, pc);
                }
                Leave::Fault => {
                    let fault = cpu.cx.fault.take().expect("a fault is noted before leaving");
                    self.at_point(cpu);
                    return Some(Stop::Fault(fault));
                }
                Leave::Trap => {
                    self.at_point(cpu);
                    let (cause, value) = cpu.cx.trap;
                    return Some(Stop::Trap { cause, value });
                }
                Leave::Hot => {
                    let place = self.cache.place_at(cpu.cx.pc).expect("words belong to blocks");
                    self.heat(cpu, place, platform);
                    (place.0.pc, None)
                }
                Leave::Alone => {
                    self.at_point(cpu);
                    return self.evaluate(cpu, platform, 1);
                }
            };
            if cpu.cx.budget < 0 {
                return self.pause(cpu, pc);
            }
            if self.stops.breaks_at(pc) {
                self.pause(cpu, pc);
                cpu.passed = Some((cpu.icount, pc));
                return Some(Stop::Breakpoint);
            }
            let flushes = self.cache.flushes;
            block = match self.block(cpu, BlockKey { pc, mode }, platform) {
                Ok(Some(block)) => block,
                Ok(None) => return self.pause(cpu, pc),
                Err(fault) => {
                    self.pause(cpu, pc);
                    return Some(Stop::Fault(fault));
                }
            };
            self.follow_cache(cpu);
            // A cold block that becomes hot had not begun yet.
            if cpu.cx.leave != Leave::Hot {
                self.log_entry(cpu, block);
            }
            if self.cache.flushes == flushes {
                match exit {
                    _ if !self.options.chain || self.logs(LogItem::Exec) || self.logs(LogItem::Cpu) => {}
                    Some((exit, true)) if !self.paged() || self.cache.second_page(block).is_none() => {
                        self.cache.link(exit, block);
                    }
                    _ => {
                        let word = self.cache.entry(block);
                        cpu.cx.remember_jump(pc, word);
                    }
                }
            }
        }
    }

    /// Calls the dispatcher.
    fn enter(&mut self, cpu: &mut Cpu, platform: &mut dyn Platform, entry: *const Word) {
        let budget = cpu.cx.budget;
        // SAFETY: only the lifetime is erased; the pointer is taken back below, before `platform` ends.
        let raw = unsafe { core::mem::transmute::<*mut (dyn Platform + '_), *mut (dyn Platform + 'static)>(platform) };
        cpu.cx.platform = Some(raw);
        cpu.cx.cache = &raw mut self.cache;
        // SAFETY: as for the platform; the frontend outlives the run.
        cpu.cx.system = self
            .frontend
            .system()
            .map(|s| unsafe { core::mem::transmute::<*const (dyn System + '_), *const (dyn System + 'static)>(s) });
        cpu.cx.stops = (!self.stops.watchpoints().is_empty()).then_some(&raw const *self.stops);
        // SAFETY: `entry` is the start of a live block, platform and cache are set and not used by anybody else until the
        // dispatcher returns.
        unsafe { dispatch::run(self.options.dispatch, &raw mut *cpu.cx, entry, budget) };
        cpu.cx.platform = None;
        cpu.cx.system = None;
        cpu.cx.stops = None;
        cpu.cx.cache = core::ptr::null_mut();
    }

    fn logs(&self, item: LogItem) -> bool {
        self.options.log.as_ref().is_some_and(|(items, _)| items & item as u32 != 0)
    }

    fn log_entry(&self, cpu: &Cpu, block: u32) {
        let Some((items, log)) = &self.options.log else { return };
        let block = &self.cache.blocks[block as usize];
        if items & LogItem::Exec as u32 != 0 {
            log(LogItem::Exec, format_args!("{:#x}", block.key.pc));
        }
        if items & LogItem::Cpu as u32 != 0 {
            let mut text = format!(" pc       {:016x}", block.key.pc);
            let named = |r: &&SlotDesc| r.slot != Slot::PC && r.role != Role::Hidden;
            for (n, row) in self.frontend.layout().rows().iter().filter(named).enumerate() {
                let gap = if n % 4 == 0 { '\n' } else { ' ' };
                text += &format!("{gap} {:8} {:016x}", row.name, cpu.cx.state.get(row.slot) & row.mask());
            }
            log(LogItem::Cpu, format_args!("{text}"));
        }
    }

    /// Writes pc and position after a run that ended between instructions.
    fn pause(&mut self, cpu: &mut Cpu, pc: u64) -> Option<Stop> {
        cpu.cx.state.set_pc(pc);
        cpu.icount = cpu.cx.horizon.wrapping_sub(cpu.cx.budget as u64);
        None
    }

    /// Writes pc and position after a run that ended at an observable word.
    fn at_point(&mut self, cpu: &mut Cpu) {
        let (pc, n) = self.cache.point_at(cpu.cx.pc).expect("words that can leave have points");
        cpu.cx.budget -= i64::from(n);
        self.pause(cpu, pc);
    }

    fn stop(&mut self, cpu: &mut Cpu, kind: ExitKind, pc: u64, n: i64) -> Stop {
        cpu.cx.budget -= n;
        self.pause(cpu, pc);
        match kind {
            ExitKind::Syscall => Stop::Syscall,
            ExitKind::Halt => Stop::Halt,
            ExitKind::Yield => Stop::Yield,
            ExitKind::Goto | ExitKind::Resync => Stop::Resync,
            ExitKind::Trap(cause, value) => {
                let value = match value {
                    TrapValue::Const(v) => v,
                    TrapValue::Slot(s) => cpu.cx.state.near[usize::from(s)],
                };
                Stop::Trap { cause, value }
            }
        }
    }

    /// Runs at most `insns` instructions with the reference evaluator.
    fn evaluate(&mut self, cpu: &mut Cpu, platform: &mut dyn Platform, insns: u32) -> Option<Stop> {
        let key = self.frontend.key(&cpu.cx.state);
        self.arena.reset();
        let memory = Virtual { system: self.frontend.system(), state: &cpu.cx.state, platform };
        let stops = (!self.stops.watchpoints().is_empty()).then(|| self.stops.clone());
        // Whoever touches watched memory does it alone.
        let insns = if stops.is_some() { 1 } else { insns };
        let mut fetch = Pages::new(memory, self.frontend.fetch_mode(key.mode), Path::Straight, &self.stops);
        let mut builder = Builder::new(&self.arena, key);
        let limits = Limits { insns, follow: true, one_page: self.paged() };
        let next = match self.frontend.translate(&mut fetch, &mut builder, limits) {
            Ok(next) => next,
            Err(fault) => return Some(Stop::Fault(fault)),
        };
        let block = builder.finish(next);
        let mut dirty = Vec::new();
        platform.at(cpu.icount);
        let stops = stops.as_deref();
        let here = (cpu.icount, key.pc);
        let early = stops.is_some_and(Stops::is_before_access);
        let refuse = early && cpu.passed != Some(here);
        let untouched = refuse.then(|| cpu.cx.state.clone());
        let mut watch = Watch { platform, dirty: &mut dirty, stops, refuse, touched: None };
        let end = eval::eval_block(&block, &*self.frontend, &mut cpu.cx.state, &mut watch, cpu.icount);
        cpu.icount += u64::from(end.retired);
        self.stats.evaluated += u64::from(end.retired);
        let touched = watch.touched;
        for phys in dirty {
            self.cache.invalidate(phys, platform);
        }
        cpu.cx.flush = cpu.cx.flush.and(end.flush);
        let watched = touched.map(|t| Stop::Watch(Touched { pc: key.pc, ..t }));
        if let Some(state) = untouched.filter(|_| watched.is_some()) {
            // What was refused had no effect, whatever the instruction made of it.
            cpu.icount = here.0;
            cpu.cx.state.near = state.near;
            cpu.cx.state.far = state.far;
            cpu.passed = Some(here);
            return watched;
        }
        match end.stop {
            None | Some(Stop::Resync) if end.retired > 0 && !early && watched.is_some() => watched,
            None if end.device => Some(Stop::Resync),
            stop => stop,
        }
    }

    /// The block of a key, translated if need be; `None`: its first instruction alone needs more temporaries than there
    /// are, and only the evaluator can run it.
    fn block(&mut self, cpu: &mut Cpu, key: BlockKey, platform: &mut dyn Platform) -> Result<Option<u32>, MemFault> {
        let phys = if self.paged() { self.code_page(cpu, key, key.pc, platform)? } else { 0 };
        if let Some(block) = self.cache.find((key, phys)) {
            match self.cache.second_page(block) {
                Some(second) if self.paged() => {
                    let after = (key.pc | PAGE_MASK).wrapping_add(1);
                    if self.code_page(cpu, key, after, platform)? == second {
                        return Ok(Some(block));
                    }
                    self.cache.retire(block);
                }
                _ => return Ok(Some(block)),
            }
        }
        let count = self.options.hot.filter(|n| *n > 0 && self.options.block_insns > 1);
        self.translate_some(cpu, (key, phys), platform, count.map(|n| n.min(MAX_COUNT)))
    }

    /// Does the guest translate addresses?
    fn paged(&self) -> bool {
        self.lowerer.paged()
    }

    /// The physical page number of the code at `addr`.
    fn code_page(&self, cpu: &mut Cpu, key: BlockKey, addr: u64, platform: &mut dyn Platform) -> Result<u64, MemFault> {
        let vpn = addr >> PAGE_SHIFT;
        if let Some(phys) = cpu.cx.code_page(vpn) {
            return Ok(phys);
        }
        let mode = self.frontend.fetch_mode(key.mode);
        let mut memory = Virtual { system: self.frontend.system(), state: &cpu.cx.state, platform };
        let page = memory.page(addr, Access::Fetch, mode)?;
        if page.flags.cacheable(Access::Fetch) {
            cpu.cx.remember_code_page(vpn, page.phys);
        }
        Ok(page.phys)
    }

    /// Forgets what helpers asked for, in all contexts, and changes to the context that the CPU is in now.
    fn forget(&mut self, cpu: &mut Cpu) {
        let Some(system) = self.frontend.system() else { return };
        match core::mem::take(&mut cpu.cx.flush) {
            Flush::None => {}
            flush => cpu.contexts.flush(&mut cpu.cx, flush),
        }
        let key = (self.frontend.mode(&cpu.cx.state), system.space(&cpu.cx.state));
        cpu.contexts.select(&mut cpu.cx, key);
    }

    /// Translates a block again that has become hot.  If that cannot be done now, it stays as it is.
    fn heat(&mut self, cpu: &Cpu, place: Place, platform: &mut dyn Platform) {
        let Some(old) = self.cache.find(place).filter(|b| self.cache.is_cold(*b)) else { return };
        let flushes = self.cache.flushes;
        match self.translate_some(cpu, place, platform, None) {
            _ if self.cache.flushes != flushes => {}
            Ok(Some(new)) => {
                self.cache.replace(old, new);
                self.stats.hot += 1;
            }
            Ok(None) | Err(_) => self.cache.keep_cold(old),
        }
    }

    /// Translates a block, cold if it gets a `count`, as long as can be.
    fn translate_some(
        &mut self,
        cpu: &Cpu,
        place: Place,
        platform: &mut dyn Platform,
        count: Option<u32>,
    ) -> Result<Option<u32>, MemFault> {
        let mut insns = self.options.block_insns.clamp(1, MAX_INSNS);
        loop {
            match self.translate(cpu, place, platform, insns, count)? {
                None if insns > 1 => insns /= 2,
                block => return Ok(block),
            }
        }
    }

    /// Translates a block; `None`: it needs too many temporaries.
    fn translate(
        &mut self,
        cpu: &Cpu,
        place: Place,
        platform: &mut dyn Platform,
        insns: u32,
        count: Option<u32>,
    ) -> Result<Option<u32>, MemFault> {
        self.arena.reset();
        let key = place.0;
        let path = match (count, self.options.hot) {
            (Some(_), _) => Path::None,
            (None, None | Some(0)) => Path::Straight,
            (None, Some(_)) => Path::Hot(&self.cache, place),
        };
        let memory = Virtual { system: self.frontend.system(), state: &cpu.cx.state, platform };
        let mut fetch = Pages::new(memory, self.frontend.fetch_mode(key.mode), path, &self.stops);
        let mut builder = Builder::new(&self.arena, key);
        let limits = Limits { insns, follow: count.is_none(), one_page: self.paged() };
        let next = self.frontend.translate(&mut fetch, &mut builder, limits)?;
        for page in &fetch.pages {
            builder.page(page.1);
        }
        let mut block = builder.finish(next);
        opt::run(&mut block);
        if self.lowerer.lower(&block, self.frontend.layout(), count).is_err() {
            return Ok(None);
        }
        let words = self.lowerer.out.words.len();
        if words > self.cache.capacity() / 4 && insns > 1 {
            return Ok(None);
        }
        if !self.cache.has_room(words) {
            self.cache.flush(platform);
        }
        self.stats.blocks += 1;
        self.stats.insns += u64::from(block.insns);
        self.stats.words += self.lowerer.out.words.len() as u64;
        let id = self.cache.insert(place, count, block.pages.clone(), &self.lowerer.out, platform);
        self.log_block(id, &block, &cpu.cx.state, platform);
        Ok(Some(id))
    }

    fn log_block(&self, id: u32, block: &tern_core::ir::Block<'_>, state: &State, platform: &mut dyn Platform) {
        let Some((items, log)) = &self.options.log else { return };
        let mut memory = Virtual { system: self.frontend.system(), state, platform };
        if items & LogItem::InAsm as u32 != 0 {
            log(LogItem::InAsm, format_args!("----------------\nIN: "));
            for inst in block.insts.iter().filter(|i| i.op == tern_core::ir::Op::Insn) {
                let mut bytes = [0; 16];
                let mut n = 0;
                while n < bytes.len() && platform_read(&mut memory, inst.imm + n as u64, &mut bytes[n..n + 2]) {
                    n += 2;
                }
                if let Some((text, _)) = self.frontend.disassemble(&bytes[..n], inst.imm, block.key.mode) {
                    log(LogItem::InAsm, format_args!("{:#010x}:  {text}", inst.imm));
                }
            }
        }
        if items & LogItem::Ir as u32 != 0 {
            log(LogItem::Ir, format_args!("{block:#?}"));
        }
        if items & LogItem::Bytecode as u32 != 0 {
            log(LogItem::Bytecode, format_args!("block {:#x}, {} instructions", block.key.pc, block.insns));
            for (i, w) in self.cache.words_of(id).iter().enumerate() {
                let name = dispatch::TABLE.names.get(usize::from(w.code())).copied().unwrap_or("literal");
                log(LogItem::Bytecode, format_args!("{i:4}: {:016x}  {name}", w.number()));
            }
        }
    }
}

/// Reads code for the log; false at the end of what can be read.
fn platform_read(platform: &mut dyn Platform, addr: u64, buf: &mut [u8]) -> bool {
    match platform.page(addr, Access::Fetch, 0) {
        Ok(page) => page.span.read((addr & PAGE_MASK) as usize, buf),
        Err(_) => false,
    }
}

/// Which side of a conditional branch a block follows.
enum Path<'a> {
    /// None: it ends there.
    None,
    /// What comes next.
    Straight,
    /// The side that has run more often, by the blocks with the mode word of this one, and on its page.
    Hot(&'a Cache, Place),
}

/// Code bytes for the translator, and the pages that they came from.
struct Pages<'a> {
    memory: Virtual<'a>,
    /// Virtual page number, physical page, contents.
    pages: SmallVec<[(u64, u64, tern_core::mem::HostSpan); 2]>,
    mode: u8,
    path: Path<'a>,
    stops: &'a Stops,
}

impl<'a> Pages<'a> {
    fn new(memory: Virtual<'a>, mode: u8, path: Path<'a>, stops: &'a Stops) -> Pages<'a> {
        Pages { memory, pages: SmallVec::new(), mode, path, stops }
    }
}

impl Fetch for Pages<'_> {
    fn fetch(&mut self, addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
        let mut done = 0;
        while done < buf.len() {
            let at = addr.wrapping_add(done as u64);
            let vpn = at >> PAGE_SHIFT;
            let span = match self.pages.iter().rev().find(|p| p.0 == vpn) {
                Some(p) => p.2,
                None => {
                    let page = self.memory.page(at, Access::Fetch, self.mode)?;
                    self.pages.push((vpn, page.phys, page.span));
                    page.span
                }
            };
            let offset = (at & PAGE_MASK) as usize;
            let n = (buf.len() - done).min(PAGE_SIZE as usize - offset);
            if !span.read(offset, &mut buf[done..done + n]) {
                let kind = tern_core::mem::FaultKind::Bus;
                return Err(MemFault { addr: at, access: Access::Fetch, kind });
            }
            done += n;
        }
        Ok(())
    }

    fn begins_block(&mut self, pc: u64) -> bool {
        self.stops.breaks_at(pc)
    }

    fn side(&mut self, taken: u64, next: u64) -> Side {
        match self.path {
            Path::None => Side::Neither,
            Path::Straight => Side::Next,
            Path::Hot(cache, (key, phys)) => {
                let heat = |pc| cache.heat((BlockKey { pc, ..key }, phys));
                if heat(taken) > heat(next) { Side::Taken } else { Side::Next }
            }
        }
    }
}
