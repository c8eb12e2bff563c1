//! The syscall table: rows by chapter, and their look-up by number.
//!
//! To add a syscall: one row in its chapter's file here (name as in the kernel, typed arguments, how the result prints,
//! the handler), and the handler in `sys/<chapter>.rs` if the call is irregular.  The number comes from the ISA's list by
//! name.  From the row come argument fetch and strace.

mod cred;
mod dir;
mod fd;
mod file;
mod futex;
mod info;
mod io;
mod ipc;
mod mem;
mod mount;
mod notify;
mod poll;
mod process;
mod sched;
mod signal;
mod socket;
mod thread;
mod time;
mod tty;
mod xattr;

use crate::args::RawArgs;
use crate::cx::{Cx, SysResult};
use crate::isa::Isa;
use crate::process::Process;
use crate::strace::Show;
use core::cell::OnceCell;

/// What a replay does about a call.
#[derive(Clone, Copy)]
pub enum Class {
    /// It does what the log says: the result, and what was written to memory.
    Result,
    /// Its code runs again, since it changes what tern keeps of the process; what it needs of the host is in the log.
    Run,
    /// The one or the other.
    RunIf(fn(&Process, &RawArgs) -> bool),
}

/// One system call.
pub struct Row {
    /// The kernel's name.
    pub name: &'static str,
    /// Fetches the arguments and runs the handler.
    pub run: fn(&mut Cx<'_>, &RawArgs) -> SysResult,
    /// What a replay does.
    pub class: Class,
    /// Registers that its arguments take, at most.
    pub registers: usize,
    /// Prints the arguments.
    pub show: fn(&mut Show<'_>, &RawArgs, bool),
    /// Prints the result.
    pub show_ret: fn(&mut Show<'_>, u64),
}

/// Declares a chapter of the table as `pub(super) const ROWS`.
///
/// `name(arg: Type, buf: Type[len], len: Type) -> Ret = handler;`  An argument in brackets is the length of the one
/// before it.  The handler takes the context and the arguments in order.  After it may stand `, run` or
/// `, run_if(condition)`: what a replay does about the call, see [`Class`].
#[macro_export]
macro_rules! syscalls {
    ($($(#[$m:meta])* $name:ident ($($arg:ident: $ty:ty $([$len:ident])?),* $(,)?) -> $ret:ty = $handler:path $(, $class:ident $(($when:path))?)?;)*) => {
        $(
            $(#[$m])*
            #[allow(non_snake_case, unused_variables, unused_mut, reason = "rows without arguments")]
            mod $name {
                use super::*;
                pub(super) fn run(cx: &mut $crate::cx::Cx<'_>, args: &$crate::args::RawArgs) -> $crate::cx::SysResult {
                    let mut regs = $crate::args::Regs::new(args, cx.abi(), cx.isa().pair_align);
                    $(let $arg = regs.take(<$ty as $crate::args::Arg>::WIDE);)*
                    $(let $arg = <$ty as $crate::args::Arg>::fetch(cx, $arg)?;)*
                    $handler(cx $(, $arg)*)
                }
                pub(super) fn show(s: &mut $crate::strace::Show<'_>, args: &$crate::args::RawArgs, pair_align: bool) {
                    let mut regs = $crate::args::Regs::new(args, s.abi, pair_align);
                    $(let $arg = regs.take(<$ty as $crate::args::Arg>::WIDE);)*
                    $(s.arg::<$ty>($arg, $crate::syscalls!(@len $($len)?));)*
                }
            }
        )*
        /// The rows of this chapter.
        pub(super) const ROWS: &[$crate::table::Row] = &[$($crate::table::Row {
            name: stringify!($name),
            run: $name::run,
            class: $crate::syscalls!(@class $($class $(($when))?)?),
            registers: 0 $(+ 1 + <$ty as $crate::args::Arg>::WIDE as usize)*,
            show: $name::show,
            show_ret: <$ret as $crate::args::Ret>::show,
        },)*];
    };
    (@class) => { $crate::table::Class::Result };
    (@class run) => { $crate::table::Class::Run };
    (@class run_if($when:path)) => { $crate::table::Class::RunIf($when) };
    (@len) => { None };
    (@len $len:ident) => { Some($len) };
}

/// Every chapter.
const CHAPTERS: &[&[Row]] = &[
    cred::ROWS,
    dir::ROWS,
    fd::ROWS,
    file::ROWS,
    futex::ROWS,
    info::ROWS,
    io::ROWS,
    ipc::ROWS,
    mem::ROWS,
    mount::ROWS,
    notify::ROWS,
    poll::ROWS,
    process::ROWS,
    sched::ROWS,
    signal::ROWS,
    socket::ROWS,
    thread::ROWS,
    time::ROWS,
    tty::ROWS,
    xattr::ROWS,
];

/// What the process's ISA calls a number.
#[derive(Clone, Copy)]
pub enum Entry {
    /// Nothing: the kernel does not know it either.
    Unknown,
    /// A call that Linux has and tern has not.
    Named(&'static str),
    /// A call with a row.
    Known(&'static Row),
}

/// The table of one ISA, indexed by number.
pub struct Table {
    names: Vec<Option<&'static str>>,
    /// Rows are looked up by name when they are first asked for; a program makes few different calls.
    entries: Vec<OnceCell<Entry>>,
}

impl Table {
    /// Joins the ISA's numbers with the rows.
    #[must_use]
    pub fn new(isa: &Isa) -> Table {
        let mut names = Vec::new();
        for (nr, name) in isa.syscalls() {
            if names.len() <= nr {
                names.resize(nr + 1, None);
            }
            names[nr] = Some(name);
        }
        Table { entries: vec![OnceCell::new(); names.len()], names }
    }

    /// The entry of a number.
    #[must_use]
    pub fn get(&self, nr: u64) -> Entry {
        let Some((nr, entry)) = usize::try_from(nr).ok().and_then(|nr| Some((nr, self.entries.get(nr)?))) else {
            return Entry::Unknown;
        };
        *entry.get_or_init(|| match self.names[nr] {
            None => Entry::Unknown,
            Some(name) => row(name).map_or(Entry::Named(name), Entry::Known),
        })
    }
}

/// The row with this name.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    CHAPTERS.iter().flat_map(|c| c.iter()).find(|r| r.name == name)
}

/// Every row, for reports.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    CHAPTERS.iter().flat_map(|c| c.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_number_on_some_isa_and_is_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for row in rows() {
            assert!(seen.insert(row.name), "{} has two rows", row.name);
            let known = crate::isa::ALL.iter().any(|isa| isa.syscalls().any(|(_, n)| n == row.name));
            assert!(known, "{} has no number on any ISA", row.name);
        }
    }
}
