//! Replays the log of a process: no host, no time, nothing but the log and the files that it names.

use super::checkpoint::{self, Files, Place};
use super::files::{Changed, Opened};
use super::item::{Call, Ending, Extra, FileRef, Item, KIND, Program, Setup, Start, VERSION, What, Write};
use super::outputs::Outputs;
use super::{Loadable, Script};
use crate::config::{Config, CpuModel};
use crate::cx::{Cx, Outcome};
use crate::elf::{LoadError, loader};
use crate::engine::Engine;
use crate::isa::Isa;
use crate::mm::map::FileSource;
use crate::mm::vma::HiddenFd;
use crate::mm::{Clock, Space};
use crate::process::{ExitStatus, Process};
use crate::sched;
use crate::signal::{self, SIG_IGN, SigInfo};
use crate::start;
use crate::table::{Class, Entry};
use crate::thread::Tid;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tern_core::codec;
use tern_core::engine::Stop;
use tern_session::record::{Cursor, LogError, Reader, Why};

/// How much further than to a call an engine may run.
const SLACK: u64 = 256;

/// A log of a process.
pub type Log = Reader<Item>;

/// What is wrong with a replay.
#[derive(Debug)]
pub enum ReplayError {
    /// The log.
    Log(LogError),
    /// The log's header, in words.
    Setup(String),
    /// A file that the process mapped.
    File {
        /// Its path.
        path: Vec<u8>,
        /// What.
        what: Changed,
    },
    /// The program cannot be loaded.
    Load(LoadError),
    /// The guest does something else than in the recording.
    Divergence(Box<Divergence>),
}

/// The first difference between a run and its replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The thread that runs.
    pub tid: Tid,
    /// Instructions that the process has retired.
    pub at: u64,
    /// Instructions that the thread has retired.
    pub thread_at: u64,
    /// Where the thread is.
    pub pc: u64,
    /// What the log has.
    pub expected: String,
    /// What the guest did.
    pub found: String,
}

impl core::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ReplayError::Log(e) => e.fmt(f),
            ReplayError::Setup(text) => f.write_str(text),
            ReplayError::Load(e) => e.fmt(f),
            ReplayError::File { path, what } => {
                let path = String::from_utf8_lossy(path);
                match what {
                    Changed::Os(e) => write!(f, "{path}: {e}; it was there when this was recorded"),
                    Changed::Contents => write!(f, "{path} has changed since the recording"),
                    Changed::Missing => write!(f, "the log lacks contents of {path}"),
                    Changed::Log(e) => e.fmt(f),
                }
            }
            ReplayError::Divergence(d) => {
                let Divergence { tid, at, thread_at, pc, expected, found } = &**d;
                write!(
                    f,
                    "the replay diverges at position {at} (thread {tid}, its instruction {thread_at}, pc {pc:#x}): \
                     expected {expected}, found {found}"
                )
            }
        }
    }
}

impl core::error::Error for ReplayError {}

impl From<LogError> for ReplayError {
    fn from(e: LogError) -> ReplayError {
        ReplayError::Log(e)
    }
}

impl From<LoadError> for ReplayError {
    fn from(e: LoadError) -> ReplayError {
        ReplayError::Load(e)
    }
}

/// Why a replay stopped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stopped {
    /// The wanted position is reached.
    Limit,
    /// The process has ended.
    Exit(ExitStatus),
    /// The process went on as something that is not in the log.
    Left(String),
    /// The log ends here without the process's end: the recorder was killed.
    Cut,
}

/// What the guest wrote to a descriptor that it had inherited: 1 or 2, and the bytes.
pub type Sink = Box<dyn FnMut(u8, &[u8])>;

/// Makes the CPU and the engine that a log needs.
pub type Maker<'a> = &'a mut dyn FnMut(&Setup) -> Result<(CpuModel, Box<dyn Engine>), String>;

/// A process that is replayed.
pub struct Replay {
    pub(super) process: Process,
    pub(super) engine: Box<dyn Engine>,
    pub(super) logs: Logs,
    pub(super) current: Tid,
    opened: Opened,
    /// Files that were mapped, and what they are known by.
    pub(super) files: Files,
    pub(super) outputs: Outputs,
    sink: Option<Sink>,
    pub(super) stopped: Option<Stopped>,
    check: bool,
}

/// The logs of a process's ancestors, the first one's first, and its own.
pub(super) struct Logs {
    list: Vec<One>,
    /// The one that is read.
    index: usize,
    /// The next item, its position.
    next: Option<(Item, u64)>,
    /// Where it is.
    cursor: Cursor,
    /// The position of the item before.
    last: u64,
    /// Items taken so far.
    taken: u64,
    /// The process becomes this one when the call that it is in ends.
    becoming: Option<Tid>,
}

/// One of several logs.
struct One {
    log: Log,
    /// The how many-th child of the one before it has this log, and its number.
    fork: u64,
    pid: Tid,
    /// Its first item.
    begin: Cursor,
}

impl One {
    fn new(log: Log, fork: u64, pid: Tid) -> One {
        One { begin: log.cursor(), log, fork, pid }
    }
}

impl Logs {
    fn new(list: Vec<One>) -> Result<Logs, ReplayError> {
        let first = list.first().ok_or_else(|| ReplayError::Setup("no log".to_owned()))?;
        let cursor = first.log.cursor();
        Ok(Logs { list, index: 0, next: None, cursor, last: 0, taken: 0, becoming: None })
    }

    fn log(&mut self) -> &mut Log {
        &mut self.list[self.index].log
    }

    /// The next item and its position; `None` at the end of what is good.
    fn peek(&mut self) -> Result<Option<(&Item, u64)>, ReplayError> {
        if self.next.is_none() {
            self.cursor = self.log().cursor();
            let item = match self.log().next_item() {
                Ok(Some(item)) => item,
                // A recorder that was killed while it wrote.
                Ok(None) | Err(LogError { why: Why::Cut, .. }) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            let Some(at) = self.last.checked_add(item.after) else {
                return Err(ReplayError::Setup(format!("an item of the log is {} instructions away", item.after)));
            };
            self.next = Some((item, at));
        }
        Ok(self.next.as_ref().map(|(item, at)| (item, *at)))
    }

    /// Takes the item that was looked at.
    fn take(&mut self) -> Result<Option<What>, ReplayError> {
        let Some((item, at)) = self.next.take() else { return Ok(None) };
        self.last = at;
        self.taken += 1;
        if let What::Fork(n) = &item.what
            && let Some(child) = self.list.get_mut(self.index + 1).filter(|child| child.fork == *n)
        {
            child.log.seek(child.begin)?;
            self.becoming = Some(child.pid);
            self.index += 1;
        }
        self.cursor = self.log().cursor();
        Ok(Some(item.what))
    }

    /// Is the next item about the call that the running thread is in by then?
    fn next_is_in_call(&self) -> bool {
        let in_call = |item: &Item| match &item.what {
            What::Call(_) | What::Writes(_) | What::Fork(_) => true,
            What::Signal(signal) => signal.call != Ending::None,
            _ => false,
        };
        self.next.as_ref().is_some_and(|(item, _)| in_call(item))
    }

    /// Is the log that is read the process's own?
    fn is_last(&self) -> bool {
        self.index + 1 == self.list.len()
    }

    /// Where the next item is.
    pub(super) fn place(&self) -> Place {
        let Logs { index, cursor, last, taken, becoming, .. } = *self;
        Place { log: index as u64, cursor, last, taken, becoming }
    }

    /// Goes to a place.
    pub(super) fn go(&mut self, place: &Place) -> Result<(), ReplayError> {
        let index = usize::try_from(place.log).ok().filter(|index| *index < self.list.len());
        let index = index.ok_or_else(|| ReplayError::Setup("this checkpoint is of another log".to_owned()))?;
        self.list[index].log.seek(place.cursor)?;
        self.next = None;
        (self.index, self.cursor, self.last) = (index, place.cursor, place.last);
        (self.taken, self.becoming) = (place.taken, place.becoming);
        Ok(())
    }
}

/// The setup of a log.
///
/// # Errors
/// It is not the log of a process, or of another version.
pub fn setup(log: &Log) -> Result<Setup, ReplayError> {
    let header = log.header();
    if header.kind != KIND {
        return Err(ReplayError::Setup(format!("this is the log of a {}, not of a process", header.kind)));
    }
    let setup: Setup = codec::decode(&header.setup)
        .map_err(|e| ReplayError::Setup(format!("the header of this log (tern {}) is not good: {e}", header.tern)))?;
    match setup.version {
        VERSION => Ok(setup),
        n => Err(ReplayError::Setup(format!(
            "a log of tern {} with events of version {n}; this tern reads version {VERSION}",
            header.tern
        ))),
    }
}

impl Replay {
    /// Begins a replay.  `logs` are the log and those of its parents, the child's first.
    ///
    /// # Errors
    /// A log is not good, or a file is not what it was.
    pub fn new(logs: Vec<Log>, make: Maker<'_>) -> Result<Replay, ReplayError> {
        let mut list = Vec::new();
        let mut logs = logs.into_iter();
        let mut log = logs.next().ok_or_else(|| ReplayError::Setup("no log".to_owned()))?;
        let mut first = setup(&log)?;
        while let Some(parent) = first.parent.take() {
            let next = logs.next().ok_or_else(|| ReplayError::Setup("the parent's log is wanted, too".to_owned()))?;
            if next.header().id != parent.id {
                let name = String::from_utf8_lossy(&parent.log).into_owned();
                return Err(ReplayError::Setup(format!("{name} is not the log that this process's parent wrote")));
            }
            list.push(One::new(log, parent.fork, first.pid));
            (first, log) = (setup(&next)?, next);
        }
        list.push(One::new(log, 0, first.pid));
        list.reverse();
        let isa = crate::isa::by_name(&first.isa)
            .ok_or_else(|| ReplayError::Setup(format!("a log of {}, which this tern does not know", first.isa)))?;
        let (model, engine) = make(&first).map_err(ReplayError::Setup)?;
        let mut logs = Logs::new(list)?;
        let start = match logs.peek()? {
            Some((Item { what: What::Start(_), .. }, 0)) => logs.take()?,
            _ => None,
        };
        let Some(What::Start(start)) = start else {
            return Err(ReplayError::Setup("the log has no beginning: nothing had run".to_owned()));
        };
        let (mut opened, mut files) = (Opened::default(), Files::new());
        let loadable = loadable(start.program.clone(), &mut opened, &mut files, logs.log())?;
        let process = begin(&first, isa, model, loadable)?;
        let mut replay = Replay {
            current: process.pid,
            process,
            engine,
            logs,
            opened,
            files,
            outputs: Outputs::default(),
            sink: None,
            stopped: None,
            check: true,
        };
        replay.first_thread(&start);
        Ok(replay)
    }

    fn first_thread(&mut self, start: &Start) {
        start::first_thread(&mut self.process, &mut *self.engine);
        for signo in (1..=64).filter(|s| start.ignored & signal::bit(*s) != 0) {
            self.process.signals.actions[signo as usize - 1].handler = SIG_IGN;
        }
        if let Some(thread) = self.process.threads.get_mut(&self.current) {
            thread.signals.mask = start.mask;
        }
    }

    /// Hands what the guest writes to descriptors 1 and 2 to `sink`.
    pub fn set_sink(&mut self, sink: Option<Sink>) {
        self.sink = sink;
    }

    /// Compares digests, or does not.
    pub fn set_check(&mut self, check: bool) {
        self.check = check;
    }

    /// Instructions that all threads have retired.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.process.retired
    }

    /// The process: its threads, memory and tables.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The thread that runs.
    #[must_use]
    pub fn current(&self) -> Tid {
        self.current
    }

    /// A thread's registers.
    #[must_use]
    pub fn state(&self, tid: Tid) -> Option<&tern_core::state::State> {
        self.process.threads.get(&tid).map(|thread| self.engine.state(thread.cpu))
    }

    /// Guest memory.
    pub fn memory(&mut self) -> &mut Space {
        &mut self.process.mem
    }

    /// The digests of registers and memory.
    pub fn digest(&mut self) -> (u64, u64) {
        (super::registers(&self.process, &*self.engine), self.process.mem.digest())
    }

    /// Bytes that the guest wrote to its output by calls whose data does not pass through its memory.
    #[must_use]
    pub fn unseen_output(&self) -> u64 {
        self.outputs.unseen
    }

    /// How the replay has ended, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// Runs to a position: when it stops there, everything that the log has at that position has happened.
    ///
    /// # Errors
    /// The log is not good, or the guest does not do what it has.
    pub fn run(&mut self, until: u64) -> Result<Stopped, ReplayError> {
        loop {
            if let Some(stopped) = &self.stopped {
                return Ok(stopped.clone());
            }
            let now = self.process.retired;
            let Some((_, at)) = self.logs.peek()? else {
                self.stopped = Some(Stopped::Cut);
                continue;
            };
            if at > now {
                if now >= until {
                    return Ok(Stopped::Limit);
                }
                let slack = if at <= until && self.logs.next_is_in_call() { SLACK } else { 0 };
                self.advance(at.min(until) - now, slack)?;
            } else if let Some(what) = self.logs.take()? {
                self.apply(what)?;
            }
        }
    }

    fn cx(&mut self) -> Cx<'_> {
        Cx { process: &mut self.process, engine: &mut *self.engine, tid: self.current }
    }

    fn divergence(&self, expected: impl Into<String>, found: impl Into<String>) -> ReplayError {
        let thread = self.process.threads.get(&self.current);
        ReplayError::Divergence(Box::new(Divergence {
            tid: self.current,
            at: self.process.retired,
            thread_at: thread.map_or(0, |t| t.retired),
            pc: thread.map_or(0, |t| self.engine.state(t.cpu).pc()),
            expected: expected.into(),
            found: found.into(),
        }))
    }

    /// The next item in words.
    fn next_item(&self) -> String {
        match &self.logs.next {
            None => "the end of the log".to_owned(),
            Some((item, at)) => format!("{} at position {at}", super::list::words(&self.process.table, &item.what)),
        }
    }

    /// Runs the current thread for so many instructions, none of which the log has an item for.
    /// They end with a call if there is `slack`: the engine is fast up to there only if it may run further.
    fn advance(&mut self, insns: u64, slack: u64) -> Result<(), ReplayError> {
        let Some(thread) = self.process.threads.get(&self.current) else {
            let next = self.next_item();
            return Err(self.divergence(next, "a thread that has ended"));
        };
        if thread.call.active {
            let call = super::list::call(&self.process.table, thread.call.nr, &thread.call.args);
            let next = self.next_item();
            return Err(self.divergence(next, format!("{call}, which has not ended")));
        }
        if let Some(info) = thread.signals.pending.front() {
            let found = format!("signal {}", info.signo);
            let next = self.next_item();
            return Err(self.divergence(next, found));
        }
        let end = self.process.retired + insns;
        while self.process.retired < end {
            let left = (end - self.process.retired).saturating_add(slack);
            let mut cx = self.cx();
            let stop = sched::run_cpu(&mut cx, left);
            match stop {
                // Nobody has set stops here.
                Stop::Limit | Stop::Resync | Stop::Halt | Stop::Yield | Stop::Breakpoint | Stop::Watch(_) => {}
                Stop::Syscall => {
                    sched::enter(&mut cx);
                    break;
                }
                Stop::Trap { .. } | Stop::Fault(_) => {
                    let info = sched::stop_signal(&mut cx, stop).unwrap_or_default();
                    let next = self.next_item();
                    return Err(self.divergence(next, format!("a fault, {}", super::list::signal(&info))));
                }
            }
        }
        let beyond = self.process.retired.saturating_sub(end);
        if beyond > 0 {
            // The engine ran on a little, but this is where the call should have been.
            self.process.retired -= beyond;
            if let Some(thread) = self.process.threads.get_mut(&self.current) {
                thread.retired -= beyond;
            }
            let next = self.next_item();
            return Err(self.divergence(next, format!("no call; the pc is that of {beyond} instructions later")));
        }
        Ok(())
    }

    /// Does what the log has here.
    fn apply(&mut self, what: What) -> Result<(), ReplayError> {
        match what {
            What::Start(_) => Err(self.divergence("an event", "another beginning of the process")),
            What::Thread(tid) => {
                if !self.process.threads.contains_key(&tid) {
                    return Err(self.divergence(format!("thread {tid}"), "no such thread"));
                }
                self.current = tid;
                Ok(())
            }
            What::Fork(_) => Ok(()),
            What::Writes(writes) => {
                self.in_call(|| "a call that writes memory".to_owned())?;
                self.write(&writes)
            }
            What::Call(call) => self.call(call),
            What::Fault(info) => self.fault(info),
            What::Signal(s) => self.signal(s.info, s.temporary_mask, s.call),
            What::Registers(digest) => self.compare_registers(digest),
            What::State(registers, memory) => self.compare((registers, memory)),
            What::Exit(exit) => {
                self.compare(exit.digest)?;
                if self.process.exit.is_some_and(|status| status != exit.status) {
                    let found = format!("{:?}", self.process.exit);
                    return Err(self.divergence(format!("{:?}", exit.status), found));
                }
                if self.logs.peek()?.is_some() {
                    let next = self.next_item();
                    return Err(self.divergence("nothing after the end of the process", next));
                }
                self.stopped = Some(Stopped::Exit(exit.status));
                Ok(())
            }
        }
    }

    fn compare_registers(&mut self, digest: u64) -> Result<(), ReplayError> {
        let found = super::registers(&self.process, &*self.engine);
        if !self.check || found == digest {
            return Ok(());
        }
        Err(self.divergence(format!("registers with digest {digest:016x}"), format!("{found:016x}")))
    }

    fn compare(&mut self, digest: (u64, u64)) -> Result<(), ReplayError> {
        if !self.check {
            return Ok(());
        }
        self.compare_registers(digest.0)?;
        let found = self.process.mem.digest();
        if found == digest.1 {
            return Ok(());
        }
        Err(self.divergence(format!("memory with digest {:016x}", digest.1), format!("{found:016x}")))
    }

    /// Is the current thread in a call?  Its number and arguments.
    fn in_call(&self, expected: impl FnOnce() -> String) -> Result<(u64, crate::args::RawArgs), ReplayError> {
        match self.process.threads.get(&self.current) {
            Some(thread) if thread.call.active => Ok((thread.call.nr, thread.call.args)),
            Some(_) => Err(self.divergence(expected(), "no call")),
            None => Err(self.divergence(expected(), "a thread that has ended")),
        }
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), ReplayError> {
        for write in writes {
            if self.process.mem.put_recorded(write.addr, &write.bytes).is_err() {
                let n = write.bytes.len();
                return Err(self.divergence(format!("{n} bytes written at {:#x}", write.addr), "no memory there"));
            }
        }
        Ok(())
    }

    fn call(&mut self, call: Call) -> Result<(), ReplayError> {
        let table = Rc::clone(&self.process.table);
        let (nr, args) = self.in_call(|| super::list::call(&table, call.nr, &call.args))?;
        let registers = super::list::registers(&table, nr);
        if nr != call.nr || super::used(&args, registers) != call.args {
            let expected = super::list::call(&table, call.nr, &call.args);
            return Err(self.divergence(expected, super::list::call(&table, nr, &args)));
        }
        let entry = table.get(nr);
        let Call { result, writes, grown, extra, .. } = call;
        if let Some(Extra::Left(what)) = extra.as_deref() {
            self.stopped = Some(Stopped::Left(what.clone()));
            return Ok(());
        }
        for addr in grown {
            self.process.mem.grow_as_recorded(addr);
        }
        let runs = match entry {
            Entry::Known(row) => match row.class {
                Class::Run => Some(row),
                Class::RunIf(is) => is(&self.process, &args).then_some(row),
                Class::Result => None,
            },
            _ => None,
        };
        if let Entry::Known(row) = entry {
            self.output(row.name, &args, result);
        }
        let Some(row) = runs else {
            self.write(&writes)?;
            return self.finish(result);
        };
        self.prepare(result, extra.map(|e| *e))?;
        self.process.mem.begin_journal();
        let mut cx = self.cx();
        let got = (row.run)(&mut cx, &args);
        let tid = cx.tid;
        let _ = self.process.mem.end_journal();
        self.current = tid;
        self.write(&writes)?;
        self.compare_result(row.name, result, &got)?;
        self.finish(result)
    }

    /// Gets ready what a call needs that runs again.
    fn prepare(&mut self, result: Option<i64>, extra: Option<Extra>) -> Result<(), ReplayError> {
        let mut script = Script { result, ..Script::default() };
        self.process.mem.recorded_file = None;
        match extra {
            Some(Extra::Map(file)) => {
                let fd = self.open(&file)?;
                let id = checkpoint::number(&mut self.files, &file);
                let (writable, size) = (file.writable, file.size);
                self.process.mem.recorded_file = Some(FileSource { fd: fd.0, offset: 0, writable, id, size });
            }
            Some(Extra::Exec(program)) => {
                script.program = Some(loadable(program, &mut self.opened, &mut self.files, self.logs.log())?);
            }
            Some(Extra::Left(_)) | None => {}
        }
        script.child = self.logs.becoming.take();
        self.process.script = Some(Box::new(script));
        Ok(())
    }

    /// A descriptor of a file of the recording.
    pub(super) fn open(&mut self, file: &FileRef) -> Result<Rc<HiddenFd>, ReplayError> {
        open(&mut self.opened, self.logs.log(), file)
    }

    fn compare_result(&self, name: &str, logged: Option<i64>, got: &Result<u64, Outcome>) -> Result<(), ReplayError> {
        let failed = |value: i64| (-4095..0).contains(&value);
        let narrow =
            |value: u64| if self.process.isa.abi.is64() { value as i64 } else { i64::from(value as u32 as i32) };
        let same = match (logged, got) {
            (Some(logged), Ok(value)) => narrow(*value) == logged,
            (Some(logged), Err(Outcome::Err(_))) => failed(logged),
            (None, Err(Outcome::NoReturn)) => true,
            _ => false,
        };
        if same {
            return Ok(());
        }
        let expected = logged.map_or_else(|| "no return".to_owned(), |value| format!("result {value:#x}"));
        Err(self.divergence(format!("{name} with {expected}"), format!("{got:x?}")))
    }

    /// Ends the thread's call.
    fn finish(&mut self, result: Option<i64>) -> Result<(), ReplayError> {
        if self.process.exit.is_some() || !self.process.threads.contains_key(&self.current) {
            return Ok(());
        }
        let mut cx = self.cx();
        sched::end_call(&mut cx);
        match result {
            Some(value) => sched::complete(&mut cx, value as u64),
            None => cx.thread().call.active = false,
        }
        Ok(())
    }

    /// What the call did to the inherited descriptors.
    fn output(&mut self, name: &str, args: &crate::args::RawArgs, result: Option<i64>) {
        let abi = self.process.isa.abi;
        let Some(n) = result.and_then(|n| u64::try_from(n).ok()) else {
            if name.starts_with("execve") && result.is_none() {
                self.outputs.exec();
            }
            return;
        };
        let Some((stream, parts)) = self.outputs.call(name, args, n, abi, &mut self.process.mem) else { return };
        // What an ancestor wrote is the matter of its own log.
        if let Some(sink) = self.sink.as_mut().filter(|_| self.logs.is_last()) {
            for (addr, len) in parts {
                if let Ok(bytes) = self.process.mem.bytes(addr, len) {
                    sink(stream, &bytes);
                }
            }
        }
    }

    fn fault(&mut self, expected: SigInfo) -> Result<(), ReplayError> {
        let mut cx = self.cx();
        if cx.process.threads.get(&cx.tid).is_none_or(|t| t.call.active) {
            return Err(self.divergence(super::list::signal(&expected), "a thread that does not run"));
        }
        let before = cx.process.retired;
        let stop = loop {
            let stop = sched::run_cpu(&mut cx, 1);
            if stop != Stop::Resync || cx.process.retired != before {
                break stop;
            }
        };
        let found = sched::stop_signal(&mut cx, stop);
        if found != Some(expected) {
            let found = found.map_or_else(|| "an instruction that does not".to_owned(), |s| super::list::signal(&s));
            return Err(self.divergence(format!("a fault, {}", super::list::signal(&expected)), found));
        }
        signal::force(&mut cx, expected);
        Ok(())
    }

    fn signal(&mut self, info: SigInfo, temporary: Option<u64>, call: Ending) -> Result<(), ReplayError> {
        let in_call = self.process.threads.get(&self.current).map(|t| t.call.active);
        if in_call.is_none() || (call != Ending::None && in_call != Some(true)) {
            return Err(self.divergence(super::list::signal(&info), "a thread that is not in a call"));
        }
        let mut cx = self.cx();
        let signals = &mut cx.thread().signals;
        if let Some(at) = signals.pending.iter().position(|s| *s == info) {
            signals.pending.remove(at);
        }
        if let Some(mask) = temporary {
            if signals.saved_mask.is_none() {
                signals.saved_mask = Some(signals.mask);
            }
            signals.mask = mask;
        }
        // Nothing of the host is to be reached.
        cx.process.script.get_or_insert_default();
        signal::deliver_one(&mut cx, info, call);
        if cx.process.exit.is_none() {
            signal::delivered(&mut cx);
        }
        Ok(())
    }
}

/// A descriptor of a file of the recording.
fn open(opened: &mut Opened, log: &mut Log, file: &FileRef) -> Result<Rc<HiddenFd>, ReplayError> {
    let result = opened.open(file, &mut |hash| log.blob(hash));
    result.map_err(|what| match what {
        Changed::Log(e) => ReplayError::Log(e),
        what => ReplayError::File { path: file.path.clone(), what },
    })
}

/// A recorded program with its files.
fn loadable(program: Program, opened: &mut Opened, known: &mut Files, log: &mut Log) -> Result<Loadable, ReplayError> {
    let mut files = Vec::new();
    for file in &program.files {
        let fd = open(opened, log, file)?;
        let own = crate::mm::map::hide(fd.0)
            .map_err(|e| ReplayError::File { path: file.path.clone(), what: Changed::Os(e) })?;
        let id = checkpoint::number(known, file);
        files.push(loader::Program::recorded(own, program.path.clone(), &id, file.size.unwrap_or(0)));
    }
    Ok(Loadable { program, files })
}

/// The process as it begins.
fn begin(setup: &Setup, isa: &'static Isa, model: CpuModel, loadable: Loadable) -> Result<Process, ReplayError> {
    if setup.shift >= 64 {
        return Err(ReplayError::Setup(format!("the log's instructions last 2^{} nanoseconds", setup.shift)));
    }
    let Loadable { program, files } = loadable;
    let mut config = Config::new(program.path.clone(), program.argv.clone(), program.env.clone());
    config.program.clone_from(&program.execfn);
    config.reserved_va = setup.reserved_va;
    config.clock = Clock::Icount { shift: setup.shift };
    let blank = start::blank(isa, model, &config, setup.pid, setup.limits);
    let mut process = blank.ok_or_else(|| ReplayError::Setup("this CPU is not the recording's".to_owned()))?;
    process.mem.track_pages();
    process.mem.set_replaying();
    process.script = Some(Box::default());
    crate::exec::load_recorded(&mut process, program, files)?;
    Ok(process)
}
