//! Prints syscalls as strace does, from the rows of the table.

use crate::abi::flags::Names;
use crate::abi::{Abi, Errno, Field, GuestPtr};
use crate::args::{Arg, RawArgs};
use crate::cx::Outcome;
use crate::mm::Space;
use crate::table::Row;
use core::fmt;
use core::fmt::Write as _;

/// Bytes of a string that print.
const STRING_MAX: u64 = 32;
/// Elements of an array that print.
const ARRAY_MAX: u64 = 16;

/// Which part of a call is being printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Arguments up to the first one that the call writes.
    Entry,
    /// The rest.
    Exit,
}

/// A printer of arguments and results.
pub struct Show<'a> {
    out: String,
    mem: &'a mut Space,
    /// The guest's ABI.
    pub abi: Abi,
    part: Part,
    index: usize,
    after_out: bool,
    result: Option<u64>,
}

impl<'a> Show<'a> {
    fn new(mem: &'a mut Space, abi: Abi, part: Part, result: Option<u64>) -> Show<'a> {
        Show { out: String::new(), mem, abi, part, index: 0, after_out: false, result }
    }

    /// The call's result if it succeeded; `None` before the call and after a failure.
    #[must_use]
    pub fn result(&self) -> Option<u64> {
        self.result
    }

    /// Appends text.
    pub fn put(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(text);
    }

    /// A datum of guest memory, if it is there.
    pub fn read<T: Field>(&mut self, addr: u64) -> Option<T::Value> {
        let abi = self.abi;
        self.mem.get::<T>(GuestPtr::new(addr), abi).ok()
    }

    /// Bytes of guest memory, if they are there.
    pub fn memory(&mut self, addr: u64, len: u64) -> Option<Vec<u8>> {
        self.mem.bytes(addr, len).ok()
    }

    /// Prints one argument if it belongs to this part.
    pub fn arg<T: Arg>(&mut self, raw: u64, len: Option<u64>) {
        self.after_out |= T::OUT;
        if self.after_out == (self.part == Part::Exit) {
            if self.index > 0 {
                self.out.push_str(", ");
            }
            T::show(self, raw, len);
        }
        self.index += 1;
    }

    /// An address, or NULL.
    pub fn addr(&mut self, addr: u64) {
        if addr == 0 { self.out.push_str("NULL") } else { self.put(format_args!("{addr:#x}")) }
    }

    /// A directory's descriptor.
    pub fn dirfd(&mut self, fd: i32) {
        if fd == -100 { self.out.push_str("AT_FDCWD") } else { self.put(format_args!("{fd}")) }
    }

    /// A signal's name.
    pub fn signal(&mut self, sig: i32) {
        match crate::isa::signal_name(sig) {
            Some(name) => self.out.push_str(name),
            None if (32..=64).contains(&sig) => self.put(format_args!("SIGRT_{}", sig - 32)),
            None => self.put(format_args!("{sig}")),
        }
    }

    /// Flags by name.
    pub fn flags<N: Names>(&mut self, value: u64) {
        let mut left = value;
        let mut first = true;
        let push = |out: &mut String, text: &str, first: &mut bool| {
            if !*first {
                out.push('|');
            }
            out.push_str(text);
            *first = false;
        };
        if N::FIELD != 0 {
            let field = left & N::FIELD;
            if let Some((_, name)) = N::NAMES.iter().find(|(v, _)| *v == field) {
                push(&mut self.out, name, &mut first);
                left &= !N::FIELD;
            }
        }
        for (bits, name) in N::NAMES.iter().filter(|(v, _)| *v & !N::FIELD != 0 && v & N::FIELD == 0) {
            if left & bits == *bits {
                push(&mut self.out, name, &mut first);
                left &= !bits;
            }
        }
        if left != 0 {
            push(&mut self.out, &format!("{left:#x}"), &mut first);
        }
        if first {
            let zero = N::NAMES.iter().find(|(v, _)| *v == 0).map_or("0", |(_, n)| n);
            self.out.push_str(zero);
        }
    }

    /// A constant by name.
    pub fn constant<N: Names>(&mut self, value: u32) {
        match N::NAMES.iter().find(|(v, _)| *v == u64::from(value)) {
            Some((_, name)) => self.out.push_str(name),
            None => self.put(format_args!("{value:#x}")),
        }
    }

    /// Bytes as a quoted string, shortened.
    pub fn bytes(&mut self, addr: u64, len: u64) {
        match self.mem.bytes(addr, len.min(STRING_MAX)) {
            Ok(bytes) => self.quoted(&bytes, len > STRING_MAX),
            Err(_) => self.addr(addr),
        }
    }

    /// A NUL-terminated string.
    pub fn cstr(&mut self, addr: u64) {
        match self.mem.cstr(addr, crate::cx::PATH_MAX) {
            Ok(text) => self.quoted(text.as_bytes(), false),
            Err(_) => self.addr(addr),
        }
    }

    /// A quoted string with C escapes.
    pub fn quoted(&mut self, bytes: &[u8], cut: bool) {
        self.out.push('"');
        for (i, b) in bytes.iter().enumerate() {
            match b {
                b'\n' => self.out.push_str("\\n"),
                b'\t' => self.out.push_str("\\t"),
                b'\r' => self.out.push_str("\\r"),
                0x0b => self.out.push_str("\\v"),
                0x0c => self.out.push_str("\\f"),
                b'"' | b'\\' => {
                    self.out.push('\\');
                    self.out.push(char::from(*b));
                }
                0x20..=0x7e => self.out.push(char::from(*b)),
                _ => {
                    let digit_follows = bytes.get(i + 1).is_some_and(u8::is_ascii_digit);
                    if digit_follows { self.put(format_args!("\\{b:03o}")) } else { self.put(format_args!("\\{b:o}")) }
                }
            }
        }
        self.out.push_str(if cut { "\"..." } else { "\"" });
    }

    /// A structure.
    pub fn datum<T: Field>(&mut self, addr: u64) {
        let abi = self.abi;
        match (addr, self.mem.get::<T>(GuestPtr::new(addr), abi)) {
            (0, _) | (_, Err(_)) => self.addr(addr),
            (_, Ok(value)) => self.value(&value),
        }
    }

    /// A value: the `Debug` form without the type's name, as strace writes structures.
    fn value<V: fmt::Debug>(&mut self, value: &V) {
        let text = format!("{value:?}");
        let start = text.find('{').filter(|_| text.starts_with(|c: char| c.is_ascii_uppercase())).unwrap_or(0);
        let body = text[start..].replace("{ ", "{").replace(" }", "}").replace(": ", "=");
        self.out.push_str(&body);
    }

    /// An array of structures.
    pub fn array<T: Field>(&mut self, addr: u64, count: u64) {
        if addr == 0 {
            self.addr(addr);
            return;
        }
        self.out.push('[');
        for i in 0..count.min(ARRAY_MAX) {
            if i > 0 {
                self.out.push_str(", ");
            }
            self.datum::<T>(GuestPtr::<T>::new(addr).at(i, self.abi).addr);
        }
        self.out.push_str(if count > ARRAY_MAX { ", ...]" } else { "]" });
    }

    /// A null-terminated array of strings.
    pub fn strings(&mut self, addr: u64) {
        if addr == 0 {
            self.addr(addr);
            return;
        }
        self.out.push('[');
        for i in 0..=ARRAY_MAX {
            let at = GuestPtr::<crate::abi::ULong>::new(addr).at(i, self.abi);
            let ptr = match self.mem.get(at, self.abi) {
                Ok(0) | Err(_) => break,
                Ok(ptr) => ptr,
            };
            if i > 0 {
                self.out.push_str(", ");
            }
            if i == ARRAY_MAX {
                self.out.push_str("...");
            } else {
                self.cstr(ptr);
            }
        }
        self.out.push(']');
    }
}

/// The text of a call before it is made: its name and the arguments that it does not write.
#[must_use]
pub fn entry(mem: &mut Space, isa: &crate::isa::Isa, row: &Row, args: &RawArgs) -> String {
    let mut s = Show::new(mem, isa.abi, Part::Entry, None);
    (row.show)(&mut s, args, isa.pair_align);
    format!("{}({}", row.name, s.out)
}

/// The text that follows: the other arguments and the result.
#[must_use]
pub fn exit(
    mem: &mut Space,
    isa: &crate::isa::Isa,
    row: &Row,
    args: &RawArgs,
    result: &Result<u64, Outcome>,
) -> String {
    let mut s = Show::new(mem, isa.abi, Part::Exit, result.as_ref().ok().copied());
    (row.show)(&mut s, args, isa.pair_align);
    s.out.push_str(") = ");
    match result {
        Ok(value) => (row.show_ret)(&mut s, *value),
        Err(Outcome::Err(e)) => s.put(format_args!("-1 {}", error(*e))),
        Err(Outcome::Block(_) | Outcome::NoReturn | Outcome::Restart) => s.out.push('?'),
    }
    s.out
}

/// An error as strace prints it: symbol and text.
#[must_use]
pub fn error(e: Errno) -> String {
    format!("{e:?} ({e})")
}
