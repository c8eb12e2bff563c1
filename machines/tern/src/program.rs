//! What kind of program a file is, before anything is loaded.

use crate::failure::{Failure, NOT_EXECUTABLE, NOT_FOUND, plain};
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use tern_linux::paths::{Last, Paths};
use tern_session::Isa;
use tern_session::ident::{Ident, Start, start};
use tern_session::isa;

/// Scripts that name scripts, as deep as Linux follows them (`bprm` recursion in fs/exec.c).
const MAX_SCRIPTS: usize = 5;
/// Longest interpreter line (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;

/// A program that some ISA of this build runs.
#[derive(Debug)]
pub(crate) struct Program {
    /// The ELF file: the program itself, or the interpreter of a script.
    pub(crate) path: OsString,
    /// Arguments between `argv[0]` and the user's: what the interpreter lines of scripts add.
    pub(crate) inserted: Vec<OsString>,
    /// Whose program it is.
    pub(crate) isa: &'static Isa,
}

/// Why a file is no program for this build; the words are for people.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The system does not open it.
    Io(OsString, io::Error),
    /// It cannot be run.
    Not(OsString, String),
}

impl Problem {
    /// As a shell reports it.
    pub(crate) fn failure(&self) -> Failure {
        let status = match self {
            Problem::Io(_, e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        };
        Failure::new(status, format!("{}: {}", self.file().to_string_lossy(), self.reason()))
    }

    /// The file.
    pub(crate) fn file(&self) -> &OsStr {
        match self {
            Problem::Io(file, _) | Problem::Not(file, _) => file,
        }
    }

    /// The reason alone.
    pub(crate) fn reason(&self) -> String {
        match self {
            Problem::Io(_, e) => plain(&e.to_string()),
            Problem::Not(_, reason) => reason.clone(),
        }
    }
}

/// Finds out what runs `program`; interpreters of scripts are looked up in the sysroot.
pub(crate) fn identify(program: &OsStr, sysroot: Option<&OsStr>) -> Result<Program, Problem> {
    let paths = Paths::new(sysroot.map(OsStr::as_bytes));
    let mut path = program.to_owned();
    let mut inserted = Vec::new();
    for _ in 0..=MAX_SCRIPTS {
        let head = head(&path)?;
        let not = |reason: String| Err(Problem::Not(path.clone(), reason));
        let ident = match start(&head) {
            Start::Elf(ident) => ident,
            Start::Script => {
                let Some((interpreter, argument)) = script(&head) else {
                    return not("the script's first line names no interpreter".to_owned());
                };
                inserted.splice(0..0, argument.into_iter().chain([path]));
                path = found(&paths, interpreter);
                continue;
            }
            Start::Empty => return not("empty file".to_owned()),
            Start::BrokenElf => return not("truncated or damaged ELF header".to_owned()),
            Start::Other => return not("no ELF file, and no script with a #! line".to_owned()),
        };
        return match isa::by_ident(ident) {
            Some(isa) => Ok(Program { path, inserted, isa }),
            None => not(foreign(ident)),
        };
    }
    Err(Problem::Not(program.to_owned(), "scripts that name scripts, too deep".to_owned()))
}

fn foreign(ident: Ident) -> String {
    format!("{ident} program; this tern runs {}", isa::names())
}

fn found(paths: &Paths, interpreter: OsString) -> OsString {
    match CString::new(interpreter.as_bytes()) {
        Ok(name) => OsString::from_vec(paths.lookup(&name, Last::Follow).into_bytes()),
        Err(_) => interpreter,
    }
}

/// The first bytes of a file that may be run.
fn head(path: &OsStr) -> Result<Vec<u8>, Problem> {
    let io = |e| Problem::Io(path.to_owned(), e);
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let kind = std::fs::metadata(path).map_err(io)?;
    if kind.is_dir() {
        return Err(Problem::Io(path.to_owned(), ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(Problem::Not(path.to_owned(), "not a regular file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let mut head = Vec::new();
    file.take(LINE as u64).read_to_end(&mut head).map_err(io)?;
    Ok(head)
}

/// Interpreter and argument of a `#!` line (fs/binfmt_script.c: one argument, with blanks inside).
fn script(head: &[u8]) -> Option<(OsString, Option<OsString>)> {
    let end = head.iter().position(|&b| b == b'\n').unwrap_or(head.len());
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let line = trim(head.get(2..end)?, blank);
    let stop = line.iter().position(blank).unwrap_or(line.len());
    let (name, argument) = line.split_at(stop);
    let argument = trim(argument, blank);
    let own = |b: &[u8]| OsString::from_vec(b.to_vec());
    (!name.is_empty()).then(|| (own(name), (!argument.is_empty()).then(|| own(argument))))
}

fn trim(bytes: &[u8], blank: impl Fn(&u8) -> bool) -> &[u8] {
    let Some(first) = bytes.iter().position(|b| !blank(b)) else { return &[] };
    let last = bytes.iter().rposition(|b| !blank(b)).unwrap_or(first);
    &bytes[first..=last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreter_lines() {
        let read = |line: &str| script(line.as_bytes()).map(|(i, a)| (i.into_string().unwrap(), a));
        assert_eq!(read("#!/bin/sh\nx"), Some(("/bin/sh".to_owned(), None)));
        assert_eq!(read("#! /bin/env  python3 -u \n"), Some(("/bin/env".to_owned(), Some("python3 -u".into()))));
        assert_eq!(read("#!/bin/sh"), Some(("/bin/sh".to_owned(), None)));
        assert_eq!(read("#!  \n/bin/sh"), None);
        assert_eq!(read("#!"), None);
    }
}
