//! The house rules: which room may import which, where `unsafe` may stand, what every file looks like.
//!
//! DESIGN section 3 fixes the rooms and the direction of imports; STYLE 9, 14, 15 and 24 the rest.

use std::path::{Path, PathBuf};

/// Step of a room in the order of imports: a room imports lower steps only.  The rooms of step 0 may use each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// `core` and the rooms inside it.
    Core,
    /// Frontends, tiers, devices, host.
    Parts,
    /// The session.
    Session,
    /// Boards and Linux processes.
    Worlds,
    /// Control surfaces.
    Control,
    /// The binary.
    Tern,
    /// Conformance, which sees all.
    Conformance,
}

/// The rooms with one name each.
const ROOMS: [(&str, Step); 13] = [
    ("core", Step::Core),
    ("core/decode", Step::Core),
    ("core/softfloat", Step::Core),
    ("interp", Step::Parts),
    ("jit", Step::Parts),
    ("devices", Step::Parts),
    ("machines/host", Step::Parts),
    ("machines/session", Step::Session),
    ("machines/board", Step::Worlds),
    ("machines/linux", Step::Worlds),
    ("machines/control", Step::Control),
    ("machines/tern", Step::Tern),
    ("conformance", Step::Conformance),
];

/// Step of the room in this folder of the workspace; `None` if there is no such room.
#[must_use]
pub fn step(room: &str) -> Option<Step> {
    if let Some((_, step)) = ROOMS.iter().find(|(name, _)| *name == room) {
        return Some(*step);
    }
    let isa = room.strip_prefix("frontends/")?;
    (!isa.is_empty() && !isa.contains('/')).then_some(Step::Parts)
}

/// Name of the package in this room.
#[must_use]
pub fn package(room: &str) -> String {
    match room.rsplit('/').next().unwrap_or(room) {
        "tern" => "tern".to_owned(),
        last => format!("tern-{last}"),
    }
}

/// A package of the workspace as `cargo metadata` describes it.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, from the root of the workspace.
    pub room: String,
    /// The folders of the workspace packages that it depends on, in any way: normal, build, dev.
    pub imports: Vec<String>,
}

/// What is wrong with the packages and their imports.
#[must_use]
pub fn imports(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for p in packages {
        let Some(from) = step(&p.room) else {
            wrong.push(format!("{}: DESIGN section 3 has no such room", p.room));
            continue;
        };
        if p.name != package(&p.room) {
            wrong.push(format!("{}: the package is called {}, not {}", p.room, p.name, package(&p.room)));
        }
        for import in &p.imports {
            let allowed = match step(import) {
                Some(Step::Core) if from == Step::Core => true,
                Some(to) => to < from,
                None => false,
            };
            if !allowed {
                wrong.push(format!("{} imports {import}", p.room));
            }
        }
    }
    wrong
}

/// Where `unsafe` may stand, and why.  A name that ends in `/` is a folder.
pub const UNSAFE: [(&str, &str); 11] = [
    ("core/src/mem/span.rs", "raw host memory behind guest pages"),
    ("core/src/mem/flat.rs", "hands out spans of its own memory"),
    ("core/src/mem/ram.rs", "allocates guest RAM"),
    ("interp/src/dispatch/", "handlers follow raw pointers into the code area"),
    ("interp/src/body/", "what handlers do: slots and guest pages through raw pointers"),
    ("interp/src/cx.rs", "the context begins as zeros from the system; TLB entries as guest pages"),
    ("interp/src/engine.rs", "calls the dispatcher"),
    ("jit/src/code/", "executable memory"),
    ("machines/host/src/map/", "host mappings"),
    ("machines/host/src/signal/", "host signals"),
    ("machines/host/src/sys/", "system calls"),
];

/// Why `unsafe` may stand in this file, if it may.
#[must_use]
pub fn unsafe_reason(file: &str) -> Option<&'static str> {
    let here = |place: &str| if place.ends_with('/') { file.starts_with(place) } else { file == place };
    UNSAFE.iter().find(|(place, _)| here(place)).map(|(_, why)| *why)
}

/// Most lines of a Rust file.
pub const MOST_LINES: usize = 900;

/// Files that tools write, which may be longer, and the tools.
pub const GENERATED: [(&str, &str); 1] = [("interp/src/fused/list.rs", "interp/examples/fuse.rs")];

/// Calls that mark unfinished or forgotten work.
const BANNED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// A source file with its path from the root of the workspace.
#[derive(Clone, Debug)]
pub struct Source {
    /// `/`-separated path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is wrong with one file.
#[must_use]
pub fn source(file: &Source) -> Vec<String> {
    let Source { path, text } = file;
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES && !GENERATED.iter().any(|(g, _)| g == path) {
        wrong.push(format!("{path}: {lines} lines; {MOST_LINES} are the most"));
    }
    if !text.starts_with("//!") {
        wrong.push(format!("{path}: the first line must say what the file is (//!)"));
    }
    let code = strip(text);
    for (i, line) in code.lines().enumerate() {
        if has_word(line, "unsafe") && unsafe_reason(path).is_none() {
            wrong.push(format!("{path}:{}: unsafe has no place here", i + 1));
        }
        for call in BANNED {
            if line.contains(call) && has_word(line, call.trim_end_matches('!')) {
                wrong.push(format!("{path}:{}: {call}", i + 1));
            }
        }
    }
    wrong
}

/// Does the file contain `unsafe` code?
#[must_use]
pub fn has_unsafe(file: &Source) -> bool {
    strip(&file.text).lines().any(|l| has_word(l, "unsafe"))
}

/// What is wrong with a crate, given all its files: whether its root forbids `unsafe` exactly if it has none.
#[must_use]
pub fn forbids(root: &Source, files: &[Source]) -> Vec<String> {
    let uses = files.iter().any(has_unsafe);
    let forbids = root.text.contains("#![forbid(unsafe_code)]");
    if uses || forbids { Vec::new() } else { vec![format!("{}: no unsafe code, so forbid it", root.path)] }
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part);
        !before && !after
    })
}

/// A text without comments, strings and characters; lines stay where they are.
#[must_use]
pub fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = token(rest, out.chars().next_back());
        match len {
            Some(len) => {
                out.extend(rest[..len].chars().filter(|c| *c == '\n'));
                rest = &rest[len..];
                // What stood on both sides must not grow together.
                out.push(' ');
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// Length of the comment, string or character that `text` begins with, if it does.
fn token(text: &str, before: Option<char>) -> Option<usize> {
    let end = |from: usize, close: &str| text[from..].find(close).map_or(text.len(), |n| from + n + close.len());
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(end(2, "*/"));
    }
    let fresh = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r')).filter(|_| fresh);
    if let Some(body) = raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if body[hashes..].starts_with('"') {
            let open = text.len() - body.len() + hashes + 1;
            return Some(end(open, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // A character, not a lifetime: 'x' or an escape.
    let mut chars = text.chars();
    if chars.next() == Some('\'') {
        let (first, second) = (chars.next(), chars.next());
        if first == Some('\\') || second == Some('\'') {
            return Some(quoted(text, '\''));
        }
    }
    None
}

/// Length of a quoted text with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Every Rust file under `dir`, with paths from `root`; build output is left out.
///
/// # Errors
/// Names the folder or file that cannot be read.
pub fn sources(root: &Path, dir: &Path) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        for entry in entries {
            let path: PathBuf = entry.map_err(|e| format!("{}: {e}", dir.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                found.push(Source { path: relative(root, &path), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// A path from the root of the workspace, `/`-separated.
#[must_use]
pub fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
