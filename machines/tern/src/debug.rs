//! `tern debug`: looks at a recording, forwards and back, without gdb.

use crate::failure::Failure;
use crate::{machine, tape};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _, stdin, stdout};
use std::path::PathBuf;
use tern_control::hmp;
use tern_control::run::{CHECKPOINTS, RunOptions, TapeOption};
use tern_control::vm::Vm;
use tern_core::stops::{Stops, Watchpoint};
use tern_session::debug::Why;
use tern_session::machine::DebugStop;
use tern_session::timeline::Gone;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Answers are JSON objects, one a line
    #[arg(long)]
    json: bool,
    /// A command to begin with; several are done in order, and then those of the standard input
    #[arg(short = 'e', long = "execute", value_name = "COMMAND")]
    commands: Vec<String>,
    /// MiB for checkpoints
    #[arg(long, value_name = "MIB", default_value_t = CHECKPOINTS >> 20)]
    checkpoints: usize,
}

/// A command: its names, its arguments, what it does.
struct Row {
    names: &'static [&'static str],
    arguments: &'static str,
    about: &'static str,
    run: fn(&mut Session, &[&str]) -> Result<Value, String>,
}

static ROWS: &[Row] = &[
    Row { names: &["help", "h", "?"], arguments: "", about: "this list", run: |_, _| Ok(help()) },
    Row { names: &["position", "pos"], arguments: "", about: "where the replay is", run: |s, _| Ok(s.place()) },
    Row { names: &["seek"], arguments: "POS", about: "go to a position", run: Session::seek },
    Row { names: &["step", "s"], arguments: "[N]", about: "go on by N instructions", run: Session::step },
    Row { names: &["back", "b"], arguments: "[N]", about: "go back by N instructions", run: Session::back },
    Row { names: &["break"], arguments: "ADDR", about: "stop before the instruction there", run: Session::add_break },
    Row {
        names: &["watch"],
        arguments: "ADDR [LEN [r|w|rw]]",
        about: "stop before accesses to memory there",
        run: Session::add_watch,
    },
    Row { names: &["delete"], arguments: "", about: "forget breakpoints and watchpoints", run: Session::delete },
    Row { names: &["continue", "c"], arguments: "[POS]", about: "go on to a stop, POS or the end", run: Session::go },
    Row {
        names: &["reverse", "rc"],
        arguments: "",
        about: "go back to a stop or the beginning",
        run: Session::reverse,
    },
    Row {
        names: &["last-write"],
        arguments: "ADDR [LEN]",
        about: "go back to before the instruction that wrote there last",
        run: Session::last_write,
    },
    Row { names: &["cpu"], arguments: "[N]", about: "which CPU is looked at", run: Session::cpu },
    Row { names: &["registers", "r"], arguments: "", about: "its registers", run: Session::registers },
    Row { names: &["memory", "m"], arguments: "ADDR LEN", about: "memory as the CPU sees it", run: Session::memory },
    Row { names: &["disassemble", "d"], arguments: "[ADDR [N]]", about: "instructions", run: Session::disassemble },
    Row { names: &["digest"], arguments: "", about: "a number that tells states apart", run: Session::digest },
    Row { names: &["monitor"], arguments: "COMMAND", about: "a command of QEMU's monitor", run: Session::monitor },
    Row { names: &["checkpoints"], arguments: "", about: "how many there are", run: Session::checkpoints },
];

fn help() -> Value {
    let line = |row: &Row| format!("{:<12} {:<22} {}", row.names.join(" "), row.arguments, row.about);
    let lines: Vec<String> = ROWS.iter().map(line).chain(["quit".to_owned()]).collect();
    json!({ "text": lines.join("\n") })
}

/// A number as people write it: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}`: a number is wanted"))
}

fn argument(words: &[&str], n: usize, what: &str) -> Result<u64, String> {
    words.get(n).ok_or_else(|| format!("{what} is wanted")).and_then(|word| number(word))
}

/// An argument that may be left out.
fn optional(words: &[&str], n: usize, without: u64) -> Result<u64, String> {
    words.get(n).map_or(Ok(without), |word| number(word))
}

/// Most bytes of memory and instructions that are shown at once.
const MOST_BYTES: u64 = 1 << 20;
const MOST_LINES: u64 = 10_000;

struct Session {
    vm: Vm,
    breaks: Vec<u64>,
    watches: Vec<Watchpoint>,
    cpu: usize,
}

impl Session {
    fn place(&self) -> Value {
        let machine = &self.vm.board.machine;
        let pc = machine.state(self.cpu).map(tern_core::state::State::pc);
        json!({ "position": machine.retired(), "stops": machine.at().stops, "time-ns": machine.time(), "cpu": self.cpu, "pc": pc })
    }

    /// The same, and why it is there.
    fn stopped(&mut self, why: &str) -> Value {
        self.cpu = self.vm.board.machine.last_cpu();
        let mut place = self.place();
        place["stop"] = json!(why);
        place
    }

    fn stops(&self) -> Stops {
        Stops::new(self.breaks.clone(), self.watches.clone()).before_access()
    }

    fn seek(&mut self, words: &[&str]) -> Result<Value, String> {
        self.vm.seek(argument(words, 0, "a position")?)?;
        Ok(self.stopped("position"))
    }

    fn step(&mut self, words: &[&str]) -> Result<Value, String> {
        let to = self.vm.board.machine.retired().saturating_add(optional(words, 0, 1)?);
        self.vm.seek(to)?;
        Ok(self.stopped("step"))
    }

    fn back(&mut self, words: &[&str]) -> Result<Value, String> {
        let to = self.vm.board.machine.retired().saturating_sub(optional(words, 0, 1)?);
        self.vm.seek(to)?;
        Ok(self.stopped("step"))
    }

    fn add_break(&mut self, words: &[&str]) -> Result<Value, String> {
        self.breaks.push(argument(words, 0, "an address")?);
        Ok(json!({ "breakpoints": self.breaks }))
    }

    fn add_watch(&mut self, words: &[&str]) -> Result<Value, String> {
        let (addr, len) = (argument(words, 0, "an address")?, optional(words, 1, 8)?);
        let kind = words.get(2).copied().unwrap_or("w");
        if !matches!(kind, "r" | "w" | "rw") {
            return Err(format!("`{kind}`: r, w or rw is wanted"));
        }
        self.watches.push(Watchpoint { addr, len, read: kind.contains('r'), write: kind.contains('w') });
        Ok(json!({ "watchpoints": self.watches.len() }))
    }

    fn delete(&mut self, _: &[&str]) -> Result<Value, String> {
        self.breaks.clear();
        self.watches.clear();
        Ok(json!({}))
    }

    fn go(&mut self, words: &[&str]) -> Result<Value, String> {
        let until = optional(words, 0, u64::MAX)?;
        let why = match self.vm.go(&self.stops(), until)? {
            Gone::Stop(DebugStop::Breakpoint { .. }) => "breakpoint",
            Gone::Stop(DebugStop::Watch { .. }) => "watchpoint",
            Gone::Stop(DebugStop::Step { .. }) => "step",
            Gone::Limit => "position",
            Gone::Ended(_) => "end",
        };
        Ok(self.stopped(why))
    }

    fn reverse_to(&mut self, stops: &Stops) -> Result<Value, String> {
        let why = match self.vm.reverse_continue(stops)? {
            Why::Breakpoint(_) => "breakpoint",
            Why::Watch(..) => "watchpoint",
            Why::Begin => "beginning",
            _ => "interrupted",
        };
        Ok(self.stopped(why))
    }

    fn reverse(&mut self, _: &[&str]) -> Result<Value, String> {
        self.reverse_to(&self.stops())
    }

    fn last_write(&mut self, words: &[&str]) -> Result<Value, String> {
        let (addr, len) = (argument(words, 0, "an address")?, optional(words, 1, 8)?);
        let watch = Watchpoint { addr, len, read: false, write: true };
        self.reverse_to(&Stops::new(Vec::new(), vec![watch]).before_access())
    }

    fn cpu(&mut self, words: &[&str]) -> Result<Value, String> {
        let n = optional(words, 0, self.cpu as u64)?;
        let n = usize::try_from(n).ok().filter(|n| *n < self.vm.board.machine.cpus());
        self.cpu = n.ok_or("there is no such CPU")?;
        Ok(self.place())
    }

    fn registers(&mut self, _: &[&str]) -> Result<Value, String> {
        let machine = &self.vm.board.machine;
        let state = machine.state(self.cpu).ok_or("there is no such CPU")?;
        let rows = machine.frontend().layout().rows().iter();
        let all = rows.map(|row| (row.name.clone(), json!(format!("{:#x}", state.get(row.slot)))));
        Ok(Value::Object(all.collect()))
    }

    fn memory(&mut self, words: &[&str]) -> Result<Value, String> {
        let (addr, len) = (argument(words, 0, "an address")?, argument(words, 1, "a length")?);
        if len > MOST_BYTES {
            return Err(format!("at most {MOST_BYTES} bytes at once"));
        }
        let mut bytes = vec![0; len as usize];
        let got = self.vm.board.machine.read_debug(self.cpu, addr, &mut bytes);
        let hex: String = bytes[..got].iter().map(|b| format!("{b:02x}")).collect();
        Ok(json!({ "address": addr, "length": got, "bytes": hex }))
    }

    fn disassemble(&mut self, words: &[&str]) -> Result<Value, String> {
        let pc = self.vm.board.machine.state(self.cpu).map_or(0, tern_core::state::State::pc);
        let (addr, n) = (optional(words, 0, pc)?, optional(words, 1, 10)?.min(MOST_LINES));
        self.vm.current_cpu = self.cpu;
        Ok(json!({ "text": hmp::run(&mut self.vm, &format!("x/{n}i {addr:#x}")).trim_end() }))
    }

    fn digest(&mut self, _: &[&str]) -> Result<Value, String> {
        let digest = self.vm.board.machine.digest().map_err(|e| e.to_string())?;
        Ok(json!({ "position": self.vm.board.machine.retired(), "digest": format!("{digest:016x}") }))
    }

    fn monitor(&mut self, words: &[&str]) -> Result<Value, String> {
        self.vm.current_cpu = self.cpu;
        Ok(json!({ "text": hmp::run(&mut self.vm, &words.join(" ")).trim_end() }))
    }

    fn checkpoints(&mut self, _: &[&str]) -> Result<Value, String> {
        let (count, bytes) = self.vm.checkpoints();
        Ok(json!({ "checkpoints": count, "bytes": bytes }))
    }

    /// Does what a line says; `None`: it ends the session.
    fn line(&mut self, line: &str) -> Option<Result<Value, String>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, rest) = words.split_first()?;
        if matches!(*name, "quit" | "q" | "exit") {
            return None;
        }
        let row = ROWS.iter().find(|row| row.names.contains(name));
        Some(match row {
            Some(row) => (row.run)(self, rest),
            None => Err(format!("`{name}`: there is no such command; help lists them")),
        })
    }
}

/// An answer for people.
fn plain(answer: &Value) -> String {
    let one = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(n) => n.as_u64().map_or_else(|| n.to_string(), |n| format!("{n} ({n:#x})")),
        other => other.to_string(),
    };
    match answer {
        Value::Object(all) if all.len() == 1 && all.contains_key("text") => one(&all["text"]),
        Value::Object(all) => all.iter().map(|(k, v)| format!("{k}: {}", one(v))).collect::<Vec<_>>().join("\n"),
        other => one(other),
    }
}

/// Debugs; status 1 if a command of `--execute` failed.
pub(crate) fn run(args: Args) -> anyhow::Result<u8> {
    let fail = |text: String| Failure::bare(1, text);
    let file = std::path::absolute(&args.log)?;
    let log = tape::Log::open(&file).map_err(fail)?;
    let (config, recorded) = log.machine().map_err(fail)?;
    let mut options = RunOptions::new("tern");
    (options.actions, options.paused) = (recorded.actions, true);
    options.tape = TapeOption::Replay { file, output: false, checkpoints: Some(args.checkpoints << 20) };
    let made = machine::make(&config, &options).map_err(fail)?;
    let mut made = made.ok_or_else(|| fail("this machine only writes its device tree".to_owned()))?;
    let vm = made.vm.take().ok_or_else(|| fail("the machine is gone".to_owned()))?;
    let mut session = Session { vm, breaks: Vec::new(), watches: Vec::new(), cpu: 0 };
    let mut failed = false;
    let mut answer = |session: &mut Session, line: &str| -> anyhow::Result<bool> {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return Ok(true);
        }
        let Some(result) = session.line(line) else { return Ok(false) };
        failed |= result.is_err();
        let text = match (result, args.json) {
            (Ok(value), true) => value.to_string(),
            (Ok(value), false) => plain(&value),
            (Err(why), true) => json!({ "error": why }).to_string(),
            (Err(why), false) => why,
        };
        if !text.is_empty() {
            writeln!(stdout(), "{text}")?;
        }
        Ok(true)
    };
    for line in &args.commands {
        if !answer(&mut session, line)? {
            return Ok(0);
        }
    }
    let lines = Lines { prompt: stdin().is_terminal() && !args.json };
    for line in lines {
        if !answer(&mut session, &line?)? {
            break;
        }
    }
    Ok(u8::from(failed))
}

/// Lines of the standard input.
struct Lines {
    prompt: bool,
}

impl Iterator for Lines {
    type Item = std::io::Result<String>;

    fn next(&mut self) -> Option<std::io::Result<String>> {
        if self.prompt {
            // A terminal that takes nothing gives nothing either.
            let _ = write!(stdout(), "(tern) ").and_then(|()| stdout().flush());
        }
        let mut line = String::new();
        match stdin().lock().read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(e) => Some(Err(e)),
        }
    }
}
