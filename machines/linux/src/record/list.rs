//! Items of a log in words.

use super::item::{Call, Ending, Extra, Item, What};
use crate::args::RawArgs;
use crate::signal::SigInfo;
use crate::table::{Entry, Table};

/// A number as people like it.
fn number(value: u64) -> String {
    match value as i64 {
        small @ -4096..0x1_0000 => small.to_string(),
        _ => format!("{value:#x}"),
    }
}

/// The name of a call.
#[must_use]
pub fn name(table: &Table, nr: u64) -> String {
    match table.get(nr) {
        Entry::Known(row) => row.name.to_owned(),
        Entry::Named(name) => name.to_owned(),
        Entry::Unknown => format!("syscall_{nr}"),
    }
}

/// How many registers a call takes arguments from.
#[must_use]
pub fn registers(table: &Table, nr: u64) -> usize {
    match table.get(nr) {
        Entry::Known(row) => row.registers,
        _ => 6,
    }
}

/// A call with its arguments.
#[must_use]
pub fn call(table: &Table, nr: u64, args: &RawArgs) -> String {
    let args: Vec<String> = args.iter().take(registers(table, nr)).map(|arg| number(*arg)).collect();
    format!("{}({})", name(table, nr), args.join(", "))
}

/// A signal.
#[must_use]
pub fn signal(info: &SigInfo) -> String {
    let name = crate::isa::signal_name(info.signo).map_or_else(|| format!("signal {}", info.signo), str::to_owned);
    match info.addr {
        0 => format!("{name} (code {})", info.code),
        addr => format!("{name} (code {}, address {addr:#x})", info.code),
    }
}

fn ended(table: &Table, c: &Call) -> String {
    let result = match c.result {
        Some(value) => number(value as u64),
        None => "?".to_owned(),
    };
    let bytes: usize = c.writes.iter().map(|w| w.bytes.len()).sum();
    let wrote = if bytes > 0 { format!(", {bytes} bytes written") } else { String::new() };
    let extra = match c.extra.as_deref() {
        Some(Extra::Map(file)) => format!(", maps {}", String::from_utf8_lossy(&file.path)),
        Some(Extra::Exec(program)) => format!(", executes {}", String::from_utf8_lossy(&program.path)),
        Some(Extra::Left(what)) => format!(", goes on as {what}"),
        None => String::new(),
    };
    format!("{} = {result}{wrote}{extra}", call(table, c.nr, &c.args))
}

/// An event.
#[must_use]
pub fn words(table: &Table, what: &What) -> String {
    match what {
        What::Start(start) => format!("start of {}", String::from_utf8_lossy(&start.program.execfn)),
        What::Thread(tid) => format!("thread {tid} runs"),
        What::Call(c) => ended(table, c),
        What::Writes(writes) => {
            let bytes: usize = writes.iter().map(|w| w.bytes.len()).sum();
            format!("the call writes {bytes} bytes and goes on")
        }
        What::Fork(n) => format!("fork of child {n}"),
        What::Fault(info) => format!("fault, {}", signal(info)),
        What::Signal(s) => {
            let call = match s.call {
                Ending::None => String::new(),
                Ending::Value(value) => format!(", the call returns {value}"),
                Ending::Again => ", the call is made again".to_owned(),
            };
            format!("{} is delivered{call}", signal(&s.info))
        }
        What::Registers(digest) => format!("registers {digest:016x}"),
        What::State(registers, memory) => format!("registers {registers:016x}, memory {memory:016x}"),
        What::Exit(exit) => format!("exit, {:?}", exit.status),
    }
}

/// The kind of an event, for counts and programs.
#[must_use]
pub fn kind(what: &What) -> &'static str {
    match what {
        What::Start(_) => "start",
        What::Thread(_) => "thread",
        What::Call(_) => "call",
        What::Writes(_) => "writes",
        What::Fork(_) => "fork",
        What::Fault(_) => "fault",
        What::Signal(_) => "signal",
        What::Registers(_) => "registers",
        What::State(..) => "state",
        What::Exit(_) => "exit",
    }
}

/// Where the items of a log are: each with its position and thread.
#[derive(Clone, Debug)]
pub struct Walk {
    at: u64,
    tid: crate::thread::Tid,
}

impl Walk {
    /// From the beginning of a log of this process.
    #[must_use]
    pub fn new(setup: &super::item::Setup) -> Walk {
        Walk { at: setup.parent.as_ref().map_or(0, |parent| parent.at), tid: setup.pid }
    }

    /// Position and thread of the next item.
    pub fn step(&mut self, item: &Item) -> (u64, crate::thread::Tid) {
        self.at = self.at.saturating_add(item.after);
        if let What::Thread(tid) = &item.what {
            self.tid = *tid;
        }
        (self.at, self.tid)
    }
}
