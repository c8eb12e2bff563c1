//! HMP: the monitor for people (QEMU documentation, "QEMU Monitor").  Commands are rows; most of them put into words what
//! functions of [`Vm`] and commands of QMP do.
//!
//! * `table`: the commands; `info`: what `info` shows; `machine`, `memory`, `devices`, `block`: their handlers.
//! * [`expr`]: expressions with registers; [`editor`]: the line that is being typed.
//!
//! To add a command: a row of `table`; something to show: a row of `info`.

mod block;
mod devices;
pub mod editor;
pub mod expr;
mod info;
mod machine;
mod memory;
mod table;

use crate::qmp::command::{Answer, Error};
use crate::qmp::commands;
use crate::surface::Surface;
use crate::vm::Vm;
use editor::{Editor, Typed};
use serde_json::{Map, Value};
use tern_core::backend::CharSink;

/// What a handler gets besides the machine: the words behind the command's name, and all of it as it was typed.
pub(crate) struct Args<'a> {
    /// The words; a quoted one is one.
    pub(crate) words: Vec<String>,
    /// Everything behind the name.
    pub(crate) rest: &'a str,
}

impl Args<'_> {
    /// Word `n`, which must be there.
    pub(crate) fn need(&self, n: usize, what: &str) -> Result<&str> {
        self.words.get(n).map(String::as_str).ok_or_else(|| format!("{what} is missing (see help)"))
    }

    /// Word `n`.
    pub(crate) fn get(&self, n: usize) -> Option<&str> {
        self.words.get(n).map(String::as_str)
    }
}

/// What a command prints, or why it did nothing.
pub(crate) type Result<T> = core::result::Result<T, String>;
/// A command's code.
pub(crate) type Run = fn(&mut Vm, &Args<'_>) -> Result<String>;

/// A command, or something to show.
pub(crate) struct Row {
    /// Its names, with `|` between them.
    pub(crate) names: &'static str,
    /// Its arguments, for the help.
    pub(crate) args: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// Its code.
    pub(crate) run: Run,
}

pub(crate) const fn row(names: &'static str, args: &'static str, about: &'static str, run: Run) -> Row {
    Row { names, args, about, run }
}

fn find<'a>(rows: &'a [Row], name: &str) -> Option<&'a Row> {
    rows.iter().find(|r| r.names.split('|').any(|n| n == name))
}

/// Splits at blanks; double quotes hold a word together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any || !word.is_empty() {
                    words.push(core::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Runs a command line; what it prints.
pub fn run(vm: &mut Vm, line: &str) -> String {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return String::new();
    }
    // `x/8i`: a format may stand right behind the name.
    let end = line.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let Some(row) = find(table::ROWS, name) else { return format!("unknown command: '{name}'\n") };
    let rest = rest.trim();
    match (row.run)(vm, &Args { words: words(rest), rest }) {
        Ok(text) => text,
        Err(why) => format!("Error: {why}\n"),
    }
}

/// What `info` shows.
fn show(vm: &mut Vm, args: &Args<'_>) -> Result<String> {
    let Some(name) = args.get(0) else { return help(vm, &Args { words: vec!["info".to_owned()], rest: "info" }) };
    let row = find(info::ROWS, name).ok_or_else(|| format!("unknown command: 'info {name}'"))?;
    let rest = args.rest.strip_prefix(name).unwrap_or_default().trim();
    (row.run)(vm, &Args { words: words(rest), rest })
}

fn help(_: &mut Vm, args: &Args<'_>) -> Result<String> {
    let line = |prefix: &str, row: &Row| {
        let left = format!("{prefix}{} {}", row.names, row.args);
        format!("{} -- {}\n", left.trim_end(), row.about)
    };
    let sorted = |rows: &'static [Row]| {
        let mut rows: Vec<&Row> = rows.iter().collect();
        rows.sort_by_key(|r| r.names);
        rows
    };
    match args.get(0) {
        None => Ok(sorted(table::ROWS).into_iter().map(|r| line("", r)).collect()),
        Some("info") => match args.get(1) {
            None => Ok(sorted(info::ROWS).into_iter().map(|r| line("info ", r)).collect()),
            Some(name) => find(info::ROWS, name)
                .map(|r| line("info ", r))
                .ok_or_else(|| format!("unknown command: 'info {name}'")),
        },
        Some(name) => find(table::ROWS, name).map(|r| line("", r)).ok_or_else(|| format!("unknown command: '{name}'")),
    }
}

/// Runs a command of QMP.
pub(crate) fn qmp(vm: &mut Vm, name: &str, arguments: Value) -> Result<Value> {
    let all = commands::ALL.iter().copied().flatten();
    let command = all.into_iter().find(|c| c.name == name).ok_or_else(|| format!("'{name}' is not built"))?;
    let arguments = match arguments {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    match (command.run)(vm, arguments) {
        Ok(Answer::Now(value)) => Ok(value),
        Ok(Answer::Later(mut later)) => loop {
            match later(vm) {
                Some(result) => return result.map_err(|e| e.text),
                None => vm.board.machine.wait(Some(5_000_000)),
            }
        },
        Err(Error { text, .. }) => Err(text),
    }
}

/// A command of QMP that only says whether it worked.
pub(crate) fn quiet(vm: &mut Vm, name: &str, arguments: Value) -> Result<String> {
    qmp(vm, name, arguments).map(|_| String::new())
}

/// The names that may complete what has been typed.
#[must_use]
pub fn complete(vm: &Vm, line: &str) -> Vec<String> {
    let all =
        |rows: &[Row]| -> Vec<String> { rows.iter().flat_map(|r| r.names.split('|')).map(str::to_owned).collect() };
    let typed = words(line);
    let fresh = line.ends_with(char::is_whitespace);
    let (word, before) = match (fresh, typed.split_last()) {
        (false, Some((last, before))) => (last.clone(), before.to_vec()),
        _ => (String::new(), typed.clone()),
    };
    let names = match before.first().map(String::as_str) {
        None => all(table::ROWS),
        Some("info") => all(info::ROWS),
        Some("help" | "?") => all(table::ROWS),
        Some("device_add") => tern_devices::model::types().map(|t| t.name().to_owned()).collect(),
        Some("device_del") => vm.board.plugged().iter().filter_map(|p| p.config.id.clone()).collect(),
        Some("netdev_del" | "set_link") => vm.host.world().nets.cables().map(|(id, _)| id.to_owned()).collect(),
        Some("object_del") => vm.host.world().objects.iter().map(|(id, _)| id.to_owned()).collect(),
        Some("chardev-remove" | "chardev-change" | "chardev-send-break") => {
            vm.host.world().chars.nodes().map(|(id, _)| id.to_owned()).collect()
        }
        Some("eject" | "change" | "block_resize" | "drive_del") => {
            vm.host.world().blocks.backends().iter().map(|b| b.id.clone()).filter(|id| !id.is_empty()).collect()
        }
        Some(_) => Vec::new(),
    };
    let mut names: Vec<String> = names.into_iter().filter(|n| n.starts_with(&word)).collect();
    names.sort();
    names.dedup();
    names
}

/// A monitor on a character device.
pub struct HumanMonitor {
    id: String,
    sink: Box<dyn CharSink>,
    editor: Editor,
}

const PROMPT: &str = "(qemu) ";

impl HumanMonitor {
    /// On this character device.
    ///
    /// # Errors
    /// One that is not there, or in use.
    pub fn new(vm: &Vm, id: &str) -> core::result::Result<HumanMonitor, String> {
        let mut world = vm.host.world();
        let sink = world.chars.attach_surface(id)?;
        let shared = world.chars.find(id).is_some_and(|node| node.setup().mux);
        drop(world);
        let mut monitor = HumanMonitor { id: id.to_owned(), sink, editor: Editor::default() };
        // On a shared terminal the guest's output comes first.
        if !shared {
            monitor.greet();
        }
        Ok(monitor)
    }

    fn greet(&mut self) {
        let like = crate::qemu::LIKE;
        self.sink.write(format!("QEMU {like} monitor - type 'help' for more information\r\n{PROMPT}").as_bytes());
    }
}

impl Surface for HumanMonitor {
    fn attend(&mut self, vm: &mut Vm) -> core::result::Result<(), String> {
        let (bytes, entered) = {
            let mut world = vm.host.world();
            (world.chars.read(&self.id), world.chars.take_entered(&self.id))
        };
        if entered {
            self.greet();
        }
        for byte in bytes {
            let mut echo = Vec::new();
            match self.editor.key(byte, &mut echo) {
                Typed::Nothing => {}
                Typed::Line(line) => {
                    self.sink.write(&echo);
                    echo.clear();
                    let text = run(vm, &line).replace('\n', "\r\n");
                    echo.extend(text.as_bytes());
                    echo.extend(PROMPT.as_bytes());
                }
                Typed::Complete => {
                    let names = complete(vm, self.editor.before_cursor());
                    self.editor.complete(&names, PROMPT, &mut echo);
                }
            }
            self.sink.write(&echo);
        }
        Ok(())
    }
}
