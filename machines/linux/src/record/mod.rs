//! Recording a process and replaying it.
//!
//! What a guest can see of the world outside comes in at few places, and these are what a log has:
//!
//! * **System calls.**  A row of the table says what a replay does ([`crate::table::Class`]).  Most calls are not made again:
//!   the log has the result and what was written to memory, which the address space notes by itself
//!   ([`crate::mm::pages::Journal`]).  Calls that change what tern keeps of the process run again and get what they need of
//!   the host from the log; their result is compared.
//! * **Turns.**  Threads take turns on one host thread, so a run's schedule is the list of positions at which another
//!   thread goes on.  A call that blocks has no item; its end has one.  Futexes need no queues in a replay.
//! * **Signals**, where they are delivered; faults, where they are raised.
//! * **Files** that are mapped or executed: by hash if nobody is likely to change them, else their contents ([`files`]).
//!
//! A position is the number of instructions that all threads of the process have retired.  Items carry the distance from
//! the one before, so that a replay runs exactly as far and finds anything out of place at once.
//!
//! A fork's child has its own log, whose header names the parent's; `execve` of a program of the same ISA stays in its log.
//!
//! # What cannot be replayed
//! Memory that other processes write (shared writable mappings) is the process's own in a replay; what others wrote to it is
//! not there.  Recording says so when a process forks with such memory.  A program of the host or of another ISA that is
//! executed ends the log.

pub mod checkpoint;
pub mod files;
pub mod item;
pub mod list;
mod outputs;
pub mod recorder;
pub mod replay;

pub use recorder::{Options, RecordError, Recorder};

use crate::args::RawArgs;
use crate::cx::{Cx, Outcome, SysResult};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::mm::pages::Journal;
use crate::process::{ExitStatus, Process};
use crate::thread::Tid;
use item::{Bytes, Call, Exit, Extra, What, Write};

/// What the log says about the call that a replay runs again.
#[derive(Debug, Default)]
pub struct Script {
    /// What it returned.
    pub result: Option<i64>,
    /// What else it needs.
    pub extra: Option<Extra>,
    /// A program to execute, with its files.
    pub program: Option<Loadable>,
    /// The replay goes on as the child that the call makes, under this number.
    pub child: Option<Tid>,
}

/// A recorded program with its files open.
#[derive(Debug)]
pub struct Loadable {
    /// What it is.
    pub program: item::Program,
    /// The program's file, and its interpreter's.
    pub files: Vec<crate::elf::loader::Program>,
}

/// Bytes of memory that go into one item; more are spread over several.
const ITEM_BYTES: usize = 1 << 20;

/// Appends an event of a thread to the log, if there is one.
pub fn push(process: &mut Process, tid: Tid, what: What) {
    let at = process.retired;
    let Some(recorder) = &mut process.recorder else { return };
    recorder.push(at, tid, what);
    if recorder.failed().is_some() {
        process.exit = Some(ExitStatus::Code(1));
    }
}

/// A thread is about to run.
#[inline]
pub fn runs(process: &mut Process, tid: Tid) {
    if let Some(recorder) = &mut process.recorder {
        recorder.turn(process.retired, tid);
    }
}

/// A thread has run: digests that are due, and what waits too long is written.
pub fn ran(process: &mut Process, engine: &dyn Engine) {
    let Some(recorder) = &mut process.recorder else { return };
    recorder.tick(process.retired);
    if !recorder.wants_registers(process.retired) {
        return;
    }
    let begin = tern_host::clock::monotonic_ns();
    let full = recorder.wants_state(process.retired, begin);
    let tid = recorder.current();
    let registers = registers(process, engine);
    if full {
        let memory = process.mem.digest();
        push(process, tid, What::State(registers, memory));
        if let Some(recorder) = &mut process.recorder {
            recorder.state_took(process.retired, begin);
        }
    } else {
        push(process, tid, What::Registers(registers));
    }
}

/// The host is about to block for an unknown time.
pub fn waits(process: &mut Process) {
    if let Some(recorder) = &mut process.recorder {
        recorder.flush();
    }
}

/// The digest of what every thread has in its registers, and of its mask.
#[must_use]
pub fn registers(process: &Process, engine: &dyn Engine) -> u64 {
    let mut digest = Digest::new();
    for (tid, thread) in &process.threads {
        digest.word(*tid as u64);
        digest.word(u64::from(thread.call.active));
        digest.word(thread.signals.saved_mask.unwrap_or(thread.signals.mask));
        let state = engine.state(thread.cpu);
        for row in process.model.layout.rows() {
            digest.word(state.get(row.slot) & row.mask());
        }
    }
    digest.finish()
}

/// Runs a call's handler and logs what it did.
pub fn issue(cx: &mut Cx<'_>, registers: usize, handler: impl FnOnce(&mut Cx<'_>) -> SysResult) -> SysResult {
    if cx.process.recorder.is_none() {
        return handler(cx);
    }
    let (tid, nr, args, pid) = (cx.tid, cx.thread().call.nr, cx.thread().call.args, cx.process.pid);
    cx.process.mem.begin_journal();
    let result = handler(cx);
    let journal = cx.process.mem.end_journal();
    let at = cx.process.retired;
    let Some(recorder) = &mut cx.process.recorder else { return result };
    recorder.tick(at);
    let extra = recorder.take_extra().map(Box::new);
    // In the child of a fork.
    let tid = if cx.process.pid == pid { tid } else { cx.tid };
    let (writes, grown) = contents(cx.process, tid, journal);
    let value = match &result {
        Ok(value) => Some(*value),
        Err(Outcome::Err(e)) => Some((-i64::from((cx.isa().errno)(*e))) as u64),
        Err(Outcome::NoReturn) => None,
        Err(Outcome::Block(_) | Outcome::Restart) => {
            if !writes.is_empty() {
                push(cx.process, tid, What::Writes(writes));
            }
            return result;
        }
    };
    let is64 = cx.abi().is64();
    let result_value = value.map(|v| if is64 { v as i64 } else { i64::from(v as u32 as i32) });
    let args = used(&args, registers);
    push(cx.process, tid, What::Call(Call { nr, args, result: result_value, writes, grown, extra }));
    if let Some(recorder) = &mut cx.process.recorder {
        recorder.goes_on_as(cx.tid);
    }
    result
}

/// The first `registers` arguments.
#[must_use]
pub fn used(args: &RawArgs, registers: usize) -> RawArgs {
    core::array::from_fn(|n| if n < registers { args[n] } else { 0 })
}

/// What the journal's stretches hold now; what is too much for one item goes ahead.
fn contents(process: &mut Process, tid: Tid, journal: Journal) -> (Vec<Write>, Vec<u64>) {
    let Journal { mut writes, grown } = journal;
    if writes.len() > 1 {
        merge(&mut writes);
    }
    let mut list = Vec::new();
    let mut size = 0;
    for (addr, len) in writes {
        let mut done = 0;
        while done < len {
            let n = (len - done).min(ITEM_BYTES as u64);
            let mut bytes = vec![0; n as usize];
            // What the call has written is mapped, unless the call has unmapped it again.
            if process.mem.peek(addr + done, &mut bytes) == bytes.len() {
                list.push(Write { addr: addr + done, bytes: Bytes(bytes) });
            }
            done += n;
            size += n as usize;
            if size >= ITEM_BYTES {
                push(process, tid, What::Writes(core::mem::take(&mut list)));
                size = 0;
            }
        }
    }
    (list, grown)
}

/// Joins stretches that overlap or touch.
fn merge(writes: &mut Vec<(u64, u64)>) {
    writes.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for &(addr, len) in &*writes {
        match merged.last_mut() {
            Some((start, had)) if addr <= start.saturating_add(*had) => {
                *had = (*had).max((addr - *start).saturating_add(len));
            }
            _ => merged.push((addr, len)),
        }
    }
    *writes = merged;
}

/// The process begins: its initial state is complete.
pub fn begin(process: &mut Process) {
    let Some(program) = process.recorder.as_mut().and_then(|r| r.take_program()) else { return };
    let ignored = (1..=64).filter(|s| process.signals.action(*s).handler == crate::signal::SIG_IGN);
    let ignored = ignored.fold(0, |bits, s| bits | crate::signal::bit(s));
    let tid = process.pid;
    let mask = process.threads.get(&tid).map_or(0, |t| t.signals.mask);
    if let Some(recorder) = &mut process.recorder {
        recorder.goes_on_as(tid);
    }
    push(process, tid, What::Start(Box::new(item::Start { program, mask, ignored })));
}

/// The process ends.
pub fn end(process: &mut Process, engine: &dyn Engine, status: ExitStatus) {
    if process.recorder.as_ref().is_none_or(|r| r.failed().is_some()) {
        return;
    }
    let digest = (registers(process, engine), process.mem.digest());
    let tid = process.recorder.as_ref().map_or(process.pid, |r| r.current());
    push(process, tid, What::Exit(Exit { status, digest }));
    if let Some(recorder) = &mut process.recorder {
        recorder.end();
    }
}

/// The process is going to be something that cannot be recorded: the log ends with the call that does it.
pub fn leaves(cx: &mut Cx<'_>, as_what: String) {
    let (tid, nr, args) = (cx.tid, cx.thread().call.nr, cx.thread().call.args);
    let extra = Some(Box::new(Extra::Left(as_what)));
    let call = Call { nr, args, result: None, writes: Vec::new(), grown: Vec::new(), extra };
    push(cx.process, tid, What::Call(call));
    if let Some(mut recorder) = cx.process.recorder.take() {
        recorder.end();
    }
}
