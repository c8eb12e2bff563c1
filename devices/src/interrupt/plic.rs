//! RISC-V platform-level interrupt controller (PLIC specification 1.0.0; SiFive's `sifive,plic-1.0.0`).

use super::bits::{Bits, bit, set_bit};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use serde::{Deserialize, Serialize};
use tern_core::device::{Device, IrqLine, Kit, Window};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "sifive-plic",
    aliases: &["riscv.sifive.plic", "plic"],
    class: Class::Interrupt,
    about: "RISC-V PLIC: wired interrupts with priorities, claimed by contexts",
    sample: |bench: &mut Bench| {
        let contexts = (0..4).map(|_| bench.line()).collect();
        let config = PlicConfig { edges: vec![5, 95], ..PlicConfig::default() };
        Box::new(Plic::new(bench.kit("sifive-plic"), &config, contexts))
    },
};

/// Most sources that there can be (1 to this number).
pub const MAX_SOURCES: u32 = 1023;
/// Most contexts that there can be.
pub const MAX_CONTEXTS: usize = 15872;
/// Offset of the first context's threshold register.
pub const CONTEXT_BASE: u64 = 0x20_0000;
/// From one context's threshold register to the next one's.
pub const CONTEXT_STRIDE: u64 = 0x1000;

/// What differs from one PLIC to another.
#[derive(Clone, Debug)]
pub struct PlicConfig {
    /// Sources 1 to this number exist (`riscv,ndev`); at most [`MAX_SOURCES`].
    pub sources: u32,
    /// The bits of a priority or threshold that can be set.
    pub priority_mask: u32,
    /// Sources with edge-triggered gateways; the others are level-triggered.
    pub edges: Vec<u32>,
    /// Size of the window in bytes.
    pub size: u64,
}

impl Default for PlicConfig {
    /// As on QEMU's `virt` (512 harts of two contexts each).
    fn default() -> PlicConfig {
        let size = CONTEXT_BASE + 1024 * CONTEXT_STRIDE;
        PlicConfig { sources: 95, priority_mask: 7, edges: Vec::new(), size }
    }
}

registers! {
    static REGS: Plic, "sifive-plic", sizes [4];
    0x20_0004 [15872; 0x1000] CLAIM 4 rw, "Interrupt Claim Process, Interrupt Completion", read |d, c| d.claim(c),
        write |d, c, v| d.complete(c, v);
    0x20_0000 [15872; 0x1000] THRESHOLD 4 rw reset 0, "Priority Thresholds", read |d, c| d.threshold(c),
        write |d, c, v| d.set_threshold(c, v);
    0x00_2000 area 0x1f_0000 ENABLE, "Interrupt Enables", read |d, at, _| d.enables(at),
        write |d, at, _, v| d.set_enables(at, v);
    0x00_1000 [32; 4] PENDING 4 ro reset 0, "Interrupt Pending Bits", read |d, n| d.pending(n);
    0x00_0000 [1024; 4] PRIORITY 4 rw reset 0, "Interrupt Priorities", read |d, n| d.priority(n),
        write |d, n, v| d.set_priority(n, v);
}

#[derive(Clone, Serialize, Deserialize)]
struct State {
    priority: Vec<u32>,
    /// Requests that the core has, not yet claimed (IP).
    pending: Bits,
    /// Sources whose gateway waits for completion: it has forwarded a request.
    waiting: Bits,
    /// Levels of the wires.
    input: Bits,
    /// Edges that came while the gateway was waiting.
    edge: Bits,
    contexts: Vec<Context>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Context {
    threshold: u32,
    enable: Bits,
}

/// The device.  Pin n is source n.
pub struct Plic {
    kit: Kit,
    sources: u32,
    priority_mask: u32,
    size: u64,
    /// Which gateways are edge-triggered.
    edges: Bits,
    lines: Vec<IrqLine>,
    state: State,
}

fn initial(sources: u32, contexts: usize) -> State {
    let words = sources as usize / 32 + 1;
    let bits = vec![0; words];
    State {
        priority: vec![0; sources as usize + 1],
        pending: bits.clone(),
        waiting: bits.clone(),
        input: bits.clone(),
        edge: bits.clone(),
        contexts: vec![Context { threshold: 0, enable: bits }; contexts],
    }
}

impl Plic {
    /// A new one; line n is the external interrupt of context n.  Sources beyond [`MAX_SOURCES`] and contexts beyond
    /// [`MAX_CONTEXTS`] do not exist.
    #[must_use]
    pub fn new(kit: Kit, config: &PlicConfig, mut lines: Vec<IrqLine>) -> Plic {
        lines.truncate(MAX_CONTEXTS);
        let sources = config.sources.min(MAX_SOURCES);
        let mut edges = vec![0; sources as usize / 32 + 1];
        config.edges.iter().for_each(|n| set_bit(&mut edges, *n, true));
        let state = initial(sources, lines.len());
        Plic { kit, sources, priority_mask: config.priority_mask, size: config.size, edges, lines, state }
    }

    fn exists(&self, source: u32) -> bool {
        (1..=self.sources).contains(&source)
    }

    /// Index of a context, which a guest may have made up.
    fn context(&self, context: u64) -> Option<usize> {
        let here = context < self.lines.len() as u64;
        if !here {
            self.kit.report.guest_error(format_args!("context {context}, which is not there"));
        }
        here.then_some(context as usize)
    }

    fn priority(&self, source: u64) -> u64 {
        self.state.priority.get(source as usize).map_or(0, |p| u64::from(*p))
    }

    fn set_priority(&mut self, source: u64, value: u64) {
        if !self.exists(source as u32) {
            return self.kit.report.guest_error(format_args!("priority of source {source}, which is not there"));
        }
        self.state.priority[source as usize] = value as u32 & self.priority_mask;
        self.update(source as u32);
    }

    fn pending(&self, word: u64) -> u64 {
        self.state.pending.get(word as usize).map_or(0, |w| u64::from(*w))
    }

    /// Context and word of an offset into the enable bits.
    fn enable_place(&self, at: u64) -> Option<(usize, usize)> {
        if !at.is_multiple_of(4) {
            self.kit.report.guest_error(format_args!("misaligned access to the enable bits at {at:#x}"));
            return None;
        }
        Some((self.context(at / 0x80)?, (at % 0x80 / 4) as usize))
    }

    fn enables(&self, at: u64) -> u64 {
        let Some((context, word)) = self.enable_place(at) else { return 0 };
        self.state.contexts[context].enable.get(word).map_or(0, |w| u64::from(*w))
    }

    fn set_enables(&mut self, at: u64, value: u64) {
        let Some((context, word)) = self.enable_place(at) else { return };
        // Bits of sources that do not exist are tied to zero.
        let first = 32 * word as u32;
        let mask = (0..32).filter(|n| self.exists(first + n)).fold(0, |mask, n| mask | 1 << n);
        if let Some(slot) = self.state.contexts[context].enable.get_mut(word) {
            *slot = value as u32 & mask;
            self.drive(context);
        }
    }

    fn threshold(&self, context: u64) -> u64 {
        self.context(context).map_or(0, |n| u64::from(self.state.contexts[n].threshold))
    }

    fn set_threshold(&mut self, context: u64, value: u64) {
        if let Some(n) = self.context(context) {
            self.state.contexts[n].threshold = value as u32 & self.priority_mask;
            self.drive(n);
        }
    }

    /// The source that a context would claim: of those pending and enabled the one with the highest priority, which is
    /// not 0 ("never interrupt"); the lowest number among equals.
    fn best(&self, context: usize) -> Option<(u32, u32)> {
        let mut best: Option<(u32, u32)> = None;
        let enable = &self.state.contexts[context].enable;
        for (n, (pending, enabled)) in self.state.pending.iter().zip(enable).enumerate() {
            let mut both = pending & enabled;
            while both != 0 {
                let source = 32 * n as u32 + both.trailing_zeros();
                both &= both - 1;
                let priority = self.state.priority.get(source as usize).copied().unwrap_or(0);
                if priority > best.map_or(0, |b| b.1) {
                    best = Some((source, priority));
                }
            }
        }
        best
    }

    /// "Interrupt Claim Process": the threshold has no part in a claim.
    fn claim(&mut self, context: u64) -> u64 {
        let Some(context) = self.context(context) else { return 0 };
        let Some((source, _)) = self.best(context) else { return 0 };
        set_bit(&mut self.state.pending, source, false);
        self.update(source);
        u64::from(source)
    }

    /// "Interrupt Completion": the number of a source that is not enabled for the context is ignored.
    fn complete(&mut self, context: u64, value: u64) {
        let Some(context) = self.context(context) else { return };
        let source = value as u32;
        if !bit(&self.state.contexts[context].enable, source) {
            return self.kit.report.guest_error(format_args!("completion of source {source}, which is not enabled"));
        }
        // A request that nobody has claimed is still the one that the gateway waits for.
        if bit(&self.state.waiting, source) && !bit(&self.state.pending, source) {
            set_bit(&mut self.state.waiting, source, false);
            let again = if bit(&self.edges, source) { &self.state.edge } else { &self.state.input };
            if bit(again, source) {
                self.forward(source);
            }
        }
    }

    /// The gateway hands a request to the core.
    fn forward(&mut self, source: u32) {
        set_bit(&mut self.state.edge, source, false);
        set_bit(&mut self.state.waiting, source, true);
        set_bit(&mut self.state.pending, source, true);
        self.update(source);
    }

    /// Drives a context's line.
    fn drive(&self, context: usize) {
        let threshold = self.state.contexts[context].threshold;
        self.lines[context].set(self.best(context).is_some_and(|(_, priority)| priority > threshold));
    }

    /// Something about a source has changed: drives the lines of the contexts that it is enabled for.
    fn update(&self, source: u32) {
        let enabled = self.state.contexts.iter().enumerate().filter(|(_, context)| bit(&context.enable, source));
        enabled.for_each(|(context, _)| self.drive(context));
    }
}

impl Device for Plic {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        vec![Window { name: "riscv.sifive.plic".into(), size: self.size }]
    }

    fn read(&mut self, _window: u32, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        REGS.read(self, &report, offset, size)
    }

    fn write(&mut self, _window: u32, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        REGS.write(self, &report, offset, size, value);
    }

    fn pin(&mut self, pin: u32, level: bool) {
        if !self.exists(pin) || bit(&self.state.input, pin) == level {
            return;
        }
        set_bit(&mut self.state.input, pin, level);
        if level && !bit(&self.state.waiting, pin) {
            self.forward(pin);
        } else if level {
            set_bit(&mut self.state.edge, pin, bit(&self.edges, pin));
        }
    }

    fn reset(&mut self) {
        self.state = initial(self.sources, self.lines.len());
        self.lines.iter().for_each(|line| line.set(false));
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        snapshot::save(PART.name, 1, &self.state)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let state: State = snapshot::load(PART.name, 1, bytes)?;
        let like = initial(self.sources, self.lines.len());
        let words = like.pending.len();
        let sized = [&state.pending, &state.waiting, &state.input, &state.edge].iter().all(|bits| bits.len() == words);
        let contexts = state.contexts.len() == like.contexts.len()
            && state.contexts.iter().all(|c| c.enable.len() == words && c.threshold & !self.priority_mask == 0);
        let priorities = state.priority.len() == like.priority.len()
            && state.priority[0] == 0
            && state.priority.iter().all(|p| p & !self.priority_mask == 0);
        let known = |bits: &Bits| (0..32 * words as u32).all(|n| self.exists(n) || !bit(bits, n));
        snapshot::check(sized, "pending", || format!("not {} sources", self.sources))?;
        snapshot::check(contexts, "contexts", || format!("not {} contexts of this device", self.lines.len()))?;
        snapshot::check(priorities, "priority", || format!("not {} priorities of this device", self.sources))?;
        let every = [&state.pending, &state.waiting, &state.input, &state.edge];
        let all = every.into_iter().chain(state.contexts.iter().map(|c| &c.enable)).all(known);
        snapshot::check(all, "sources", || "bits of sources that are not there".into())?;
        let requests = state.pending.iter().zip(&state.waiting).all(|(pending, waiting)| pending & !waiting == 0);
        snapshot::check(requests, "waiting", || "requests that no gateway made".into())?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_core::device::{Signal, Sink};

    const CLAIM: u64 = 0x20_0004;

    /// A PLIC with two contexts; sources 1 to 95 have priority 1, 40 and 41 have 3, source 5 has an edge-triggered
    /// gateway; all are enabled in context 0.
    fn device(bench: &mut Bench) -> Plic {
        let lines = vec![bench.line(), bench.line()];
        let config = PlicConfig { edges: vec![5], ..PlicConfig::default() };
        let mut d = Plic::new(bench.kit("plic"), &config, lines);
        (1..96).for_each(|n| d.write(0, 4 * n, Size::B4, if n / 2 == 20 { 3 } else { 1 }));
        (0..3).for_each(|n| d.write(0, 0x2000 + 4 * n, Size::B4, 0xffff_ffff));
        d
    }

    fn level(line: u32, level: bool) -> Signal {
        Signal::Level(Sink::Cpu { cpu: 0, line }, level)
    }

    #[test]
    fn registers_hold_what_exists() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 4, Size::B4, 0xffff_ffff);
        d.write(0, 0x20_1000, Size::B4, 0xffff_fff9);
        assert_eq!((d.read(0, 4, Size::B4), d.read(0, 0x20_1000, Size::B4)), (7, 1));
        assert_eq!((d.read(0, 0x2000, Size::B4), d.read(0, 0x2008, Size::B4)), (0xffff_fffe, 0xffff_ffff));
        assert_eq!((d.read(0, 0x2080, Size::B4), d.read(0, 0x200c, Size::B4)), (0, 0));
        assert_eq!(bench.guest_errors(), 0);
        d.write(0, 0, Size::B4, 1);
        d.write(0, 4 * 96, Size::B4, 1);
        d.write(0, 0x2100, Size::B4, 1);
        d.write(0, 0x1000, Size::B4, 1);
        d.write(0, 0x20_2000, Size::B4, 1);
        assert_eq!((d.read(0, 0, Size::B4), d.read(0, 0x20_2004, Size::B4), bench.guest_errors()), (0, 0, 6));
    }

    #[test]
    fn highest_priority_first_then_lowest_number() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        [7, 41, 3, 40].into_iter().for_each(|n| d.pin(n, true));
        assert_eq!((d.read(0, 0x1000, Size::B4), d.read(0, 0x1004, Size::B4)), (0x88, 0x300));
        assert_eq!([(); 5].map(|()| d.read(0, CLAIM, Size::B4)), [40, 41, 3, 7, 0]);
        assert_eq!((d.read(0, 0x1000, Size::B4), d.read(0, 0x1004, Size::B4)), (0, 0));
        assert_eq!(bench.signals(), [level(0, true), level(0, false)]);
    }

    #[test]
    fn the_threshold_masks_notifications_but_not_claims() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0x20_0000, Size::B4, 1);
        d.pin(3, true);
        assert!(bench.signals().is_empty());
        d.pin(40, true);
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, true)], 40));
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, false)], 3));
    }

    #[test]
    fn priority_0_never_interrupts() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 4 * 3, Size::B4, 0);
        d.pin(3, true);
        assert_eq!((d.read(0, 0x1000, Size::B4), d.read(0, CLAIM, Size::B4), bench.signals()), (8, 0, vec![]));
        d.write(0, 4 * 3, Size::B4, 1);
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, true)], 3));
    }

    #[test]
    fn a_level_is_requested_again_after_completion_while_it_lasts() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.pin(3, true);
        assert_eq!(d.read(0, CLAIM, Size::B4), 3);
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, true), level(0, false)], 0));
        d.write(0, CLAIM, Size::B4, 3);
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, true)], 3));
        d.pin(3, false);
        d.write(0, CLAIM, Size::B4, 3);
        assert_eq!((bench.signals(), d.read(0, CLAIM, Size::B4)), (vec![level(0, false)], 0));
        // A request cannot be retracted.
        d.pin(3, true);
        d.pin(3, false);
        assert_eq!(d.read(0, CLAIM, Size::B4), 3);
    }

    #[test]
    fn edges_are_kept_until_completion_and_levels_are_not() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        for n in [3, 5] {
            d.pin(n, true);
            d.pin(n, false);
        }
        assert_eq!([(); 3].map(|()| d.read(0, CLAIM, Size::B4)), [3, 5, 0]);
        for n in [3, 5] {
            d.pin(n, true);
            d.pin(n, false);
        }
        assert_eq!(d.read(0, CLAIM, Size::B4), 0);
        [3, 5].into_iter().for_each(|n| d.write(0, CLAIM, Size::B4, n));
        assert_eq!([(); 2].map(|()| d.read(0, CLAIM, Size::B4)), [5, 0]);
        d.pin(5, true);
        d.write(0, CLAIM, Size::B4, 5);
        assert_eq!([(); 2].map(|()| d.read(0, CLAIM, Size::B4)), [5, 0]);
        d.write(0, CLAIM, Size::B4, 5);
        assert_eq!(d.read(0, CLAIM, Size::B4), 0);
    }

    #[test]
    fn completion_counts_only_where_the_source_is_enabled() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.pin(3, true);
        assert_eq!(d.read(0, CLAIM, Size::B4), 3);
        d.write(0, CLAIM + 0x1000, Size::B4, 3);
        d.write(0, CLAIM, Size::B4, 0);
        d.write(0, CLAIM, Size::B4, 0xffff_ffff);
        assert_eq!((d.read(0, CLAIM, Size::B4), bench.guest_errors()), (0, 3));
        // Another context than the one that claimed may complete.
        d.write(0, 0x2080, Size::B4, 8);
        d.write(0, CLAIM + 0x1000, Size::B4, 3);
        assert_eq!(d.read(0, CLAIM + 0x1000, Size::B4), 3);
    }

    #[test]
    fn all_enabled_contexts_are_notified_and_one_claims() {
        let mut bench = Bench::new();
        let mut d = device(&mut bench);
        d.write(0, 0x2080, Size::B4, 8);
        d.pin(3, true);
        assert_eq!(bench.signals(), [level(0, true), level(1, true)]);
        assert_eq!((d.read(0, CLAIM + 0x1000, Size::B4), d.read(0, CLAIM, Size::B4)), (3, 0));
        assert_eq!(bench.signals(), [level(0, false), level(1, false)]);
        [0, 96, 5000].into_iter().for_each(|n| d.pin(n, true));
        assert_eq!(d.read(0, CLAIM, Size::B4), 0);
    }
}
