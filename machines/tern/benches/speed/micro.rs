//! Micro-benchmarks: the interpreter's engine on small RV64 programs in flat memory, without an operating system.

use crate::figures::{median, table};
use crate::programs::{CODE, DATA, PROGRAMS, Program, cold};
use anyhow::{anyhow, ensure};
use serde_json::{Value, json};
use std::rc::Rc;
use tern_core::bare::BareMachine;
use tern_core::engine::{Event, Platform, Stop};
use tern_core::mem::{Access, FlatMemory, GuestMemory, MemFault, PageRef};
use tern_host::clock;
use tern_interp::{Count, CpuId, Dispatch, Engine, Options};
use tern_riscv::{Features, Riscv};

/// Code and data in two stretches of RAM.
struct Memory {
    code: BareMachine,
    data: FlatMemory,
}

impl Memory {
    fn new(code: &[u8]) -> anyhow::Result<Memory> {
        let mut machine = BareMachine::new(CODE, code.len().div_ceil(4096));
        let memory: &mut dyn GuestMemory = &mut machine;
        memory.write(CODE, code, 0).map_err(|f| anyhow!("{f:?}"))?;
        Ok(Memory { code: machine, data: FlatMemory::new(DATA, 16) })
    }
}

impl GuestMemory for Memory {
    fn page(&mut self, addr: u64, access: Access, mode: u8) -> Result<PageRef, MemFault> {
        if addr >= DATA { self.data.page(addr, access, mode) } else { self.code.page(addr, access, mode) }
    }

    fn generation(&self) -> u64 {
        self.code.generation()
    }

    fn set_code(&mut self, phys: u64, code: bool) {
        self.code.set_code(phys, code);
    }

    fn take_invalidated(&mut self, pages: &mut Vec<u64>) {
        self.code.take_invalidated(pages);
    }
}

impl Platform for Memory {
    fn time_ns(&mut self, icount: u64) -> u64 {
        icount
    }

    fn event(&mut self, event: Event, text: core::fmt::Arguments<'_>) {
        self.code.event(event, text);
    }
}

/// A new engine at the start of the code.
struct Run {
    engine: Engine,
    cpu: CpuId,
    memory: Memory,
}

/// How much one run did.
struct Done {
    insns: u64,
    ns: f64,
}

impl Run {
    fn new(code: &[u8], options: Options) -> anyhow::Result<Run> {
        let mut engine = Engine::new(Rc::new(Riscv::new(Features::default_for(64))), options);
        let cpu = engine.add_cpu();
        Ok(Run { engine, cpu, memory: Memory::new(code)? })
    }

    /// From the start of the code to the `ecall`.
    fn once(&mut self) -> anyhow::Result<Done> {
        self.engine.state_mut(self.cpu).set_pc(CODE);
        let (begin, before) = (now(), self.engine.icount(self.cpu));
        let stop = self.engine.run(self.cpu, &mut self.memory, u64::MAX);
        let ns = now() - begin;
        ensure!(stop == Stop::Syscall, "the program ended with {stop:?}");
        Ok(Done { insns: self.engine.icount(self.cpu) - before, ns })
    }
}

/// Processor time in nanoseconds; wall time where the host has no better clock.
fn now() -> f64 {
    clock::cpu_ns().unwrap_or_else(clock::monotonic_ns) as f64
}

fn assemble(source: &str) -> anyhow::Result<Vec<u8>> {
    let guest = Riscv::new(Features::default_for(64));
    guest.assembler().assemble(source, CODE).map_err(|e| anyhow!("{e}"))
}

fn dispatchers() -> Vec<(&'static str, Dispatch)> {
    [("tail", Dispatch::Tail), ("loop", Dispatch::Loop)].into_iter().filter(|(_, d)| d.available()).collect()
}

/// Runs all micro-benchmarks and prints them.
pub(crate) fn run(runs: u32) -> anyhow::Result<Value> {
    let dispatchers = dispatchers();
    if dispatchers.len() == 1 {
        println!("micro: this build has only loop dispatch");
    }
    let mut rows = vec![vec!["micro".to_owned(), "instructions".to_owned(), "words/insn".to_owned()]];
    for (name, _) in &dispatchers {
        rows[0].extend([format!("{name} ns/insn"), format!("{name} Mwords/s")]);
    }
    rows[0].push("what".to_owned());
    let mut out = Vec::new();
    for program in &PROGRAMS {
        let (row, value) = measure(program, &dispatchers, runs)?;
        rows.push(row);
        out.push(value);
    }
    print!("{}", table(&rows));
    Ok(json!({ "programs": out, "translation": translation(runs)?, "engine_start_us": start(runs)? }))
}

/// Measures one program; its row and its JSON.
fn measure(program: &Program, all: &[(&str, Dispatch)], runs: u32) -> anyhow::Result<(Vec<String>, Value)> {
    let code = assemble(&program.source(1))?;
    let mut times = vec![Vec::new(); all.len()];
    let mut insns = 0;
    for _ in 0..runs {
        for ((_, dispatch), times) in all.iter().zip(&mut times) {
            let done = Run::new(&code, Options { dispatch: *dispatch, ..Options::default() })?.once()?;
            insns = done.insns;
            times.push(done.ns / done.insns as f64);
        }
    }
    let density = words_per_insn(program)?;
    let mut row = vec![program.name.to_owned(), insns.to_string(), format!("{density:.3}")];
    let mut value = json!({ "name": program.name, "instructions": insns, "words_per_insn": density });
    for ((name, _), times) in all.iter().zip(&mut times) {
        let ns = median(times);
        let rate = density / ns * 1e3;
        row.extend([format!("{ns:.3}"), format!("{rate:.0}")]);
        value[name] = json!({ "ns_per_insn": ns, "mwords_per_s": rate });
    }
    row.push(program.what.to_owned());
    Ok((row, value))
}

/// Words that run for each guest instruction, fused or not, counted over a shorter run.
fn words_per_insn(program: &Program) -> anyhow::Result<f64> {
    let mut run = Run::new(&assemble(&program.source(10))?, Options { count: Count::Words, ..Options::default() })?;
    let done = run.once()?;
    Ok(run.engine.counted(run.cpu) as f64 / done.insns as f64)
}

/// Speed of translation: the first run of code that runs once, less the second run of the same.
fn translation(runs: u32) -> anyhow::Result<Value> {
    const COPIES: usize = 16;
    let unit = assemble(&cold(4096))?;
    let mut code = assemble(&format!("    li s1, {DATA}\n"))?;
    (0..COPIES).for_each(|_| code.extend_from_slice(&unit));
    code.extend(assemble("    ecall\n")?);
    let (mut rates, mut words) = (Vec::new(), 0.0);
    for _ in 0..runs {
        let mut run = Run::new(&code, Options::default())?;
        let first = run.once()?;
        let stats = run.engine.stats();
        let warm = run.once()?;
        rates.push(stats.insns as f64 / (first.ns - warm.ns).max(1.0) * 1e3);
        words = stats.words as f64 / stats.insns as f64;
    }
    let rate = median(&mut rates);
    println!("translation: {rate:.2} M guest instructions/s, {words:.3} words for each");
    Ok(json!({ "minsns_per_s": rate, "words_per_insn": words }))
}

/// Start-up of an engine: frontend, engine, one CPU, one instruction, and the end of it all; in microseconds.
fn start(runs: u32) -> anyhow::Result<Value> {
    let code = assemble("    ecall\n")?;
    let mut times = Vec::new();
    for _ in 0..runs.max(3) * 10 {
        let begin = now();
        Run::new(&code, Options::default())?.once()?;
        times.push((now() - begin) / 1e3);
    }
    let us = median(&mut times);
    println!("engine: {us:.0} us from nothing to the end of its first instruction");
    Ok(json!(us))
}
