//! The log: items that can be switched on, their names here and in QEMU's `-d`, and the sink that gets whole lines.

use core::fmt;
use std::rc::Rc;

/// A set of log items.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Items(u32);

macro_rules! items {
    ($($(#[$doc:meta])* $id:ident = $bit:literal, $name:literal, $qemu:expr, $about:literal;)*) => {
        impl Items {
            $($(#[$doc])* pub const $id: Items = Items(1 << $bit);)*
        }
        /// Every item.
        pub const ALL: &[Item] = &[$(Item { item: Items::$id, name: $name, qemu: $qemu, about: $about },)*];
    };
}

/// An item's names.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The item.
    pub item: Items,
    /// Name for `--log`.
    pub name: &'static str,
    /// Names of QEMU's `-d` that mean it, besides its own.
    pub qemu: &'static [&'static str],
    /// What it logs.
    pub about: &'static str,
}

items! {
    /// Guest instructions.
    IN_ASM = 0, "in_asm", &[], "guest instructions of each new block";
    /// IR.
    IR = 1, "ir", &["op", "op_opt", "op_ind"], "the block's IR after the optimiser";
    /// Bytecode.
    BYTECODE = 2, "bytecode", &["out_asm"], "the block's bytecode";
    /// Blocks as they run.
    EXEC = 3, "exec", &[], "each block that is entered (long)";
    /// Registers as blocks run.
    CPU = 4, "cpu", &["fpu"], "registers before each block (very long)";
    /// Traps, faults, system calls.
    INT = 5, "int", &[], "traps, faults and system calls of the CPUs";
    /// Work that is missing.
    UNIMP = 6, "unimp", &[], "what the guest asked for and tern has not built";
    /// Guest mistakes.
    GUEST_ERRORS = 7, "guest_errors", &[], "what the guest did wrong";
    /// System calls.
    STRACE = 8, "strace", &[], "system calls with arguments and results";
    /// The memory map.
    PAGE = 9, "page", &[], "the guest's memory map when it starts";
    /// Links between blocks.
    NOCHAIN = 10, "nochain", &[], "do not link blocks (exec and cpu imply it)";
}

/// Names of QEMU's that have no meaning here and are accepted without effect.
const IGNORED: &[&str] = &["mmu", "pcall", "cpu_reset", "tid", "plugin", "vpu"];

impl Items {
    /// No item.
    pub const NONE: Items = Items(0);

    /// Does it have all of `other`?
    #[must_use]
    pub const fn has(self, other: Items) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Items) -> Items {
        Items(self.0 | other.0)
    }

    /// Reads a list as `--log` and `-d` take it: names separated by commas.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn parse(text: &str) -> Result<Items, String> {
        let mut items = Items::NONE;
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match ALL.iter().find(|i| i.name == name || i.qemu.contains(&name)) {
                Some(row) => items = items.with(row.item),
                None if name == "all" => items = ALL.iter().fold(items, |all, i| all.with(i.item)),
                None if IGNORED.contains(&name) => {}
                None => return Err(name.to_owned()),
            }
        }
        Ok(items)
    }

    /// The list of names that [`Items::parse`] takes back to this set.
    #[must_use]
    pub fn names(self) -> String {
        let names: Vec<&str> = ALL.iter().filter(|i| self.has(i.item)).map(|i| i.name).collect();
        names.join(",")
    }
}

/// Takes whole lines, with their ends.
pub type Sink = Rc<dyn Fn(&str)>;

/// Wanted items and where their lines go.
#[derive(Clone)]
pub struct Log {
    items: Items,
    sink: Sink,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.items.names()).finish()
    }
}

impl Log {
    /// A log of these items.
    #[must_use]
    pub fn new(items: Items, sink: Sink) -> Log {
        Log { items, sink }
    }

    /// Is this item wanted?
    #[must_use]
    pub fn wants(&self, item: Items) -> bool {
        self.items.has(item)
    }

    /// Writes a line, or a text of several lines, if its item is wanted.
    pub fn write(&self, item: Items, text: fmt::Arguments<'_>) {
        if self.wants(item) {
            let mut line = text.to_string();
            if !line.ends_with('\n') {
                line.push('\n');
            }
            (self.sink)(&line);
        }
    }

    /// Writes a line of the item with this name; a name that is no item is not logged.
    pub fn write_named(&self, name: &str, text: fmt::Arguments<'_>) {
        if let Some(row) = ALL.iter().find(|i| i.name == name) {
            self.write(row.item, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;

    #[test]
    fn names_of_both_worlds() {
        assert_eq!(Items::parse("in_asm,op,out_asm").unwrap(), Items::IN_ASM.with(Items::IR).with(Items::BYTECODE));
        assert_eq!(Items::parse("").unwrap(), Items::NONE);
        assert_eq!(Items::parse("int, bogus"), Err("bogus".to_owned()));
        assert_eq!(Items::parse("cpu_reset").unwrap(), Items::NONE);
        for row in ALL {
            assert_eq!(Items::parse(row.name).unwrap(), row.item);
            assert_eq!(row.item.names(), row.name);
        }
        let all = Items::parse("all").unwrap();
        assert_eq!(Items::parse(&all.names()).unwrap(), all);
    }

    #[test]
    fn only_wanted_lines_arrive() {
        let lines = Rc::new(RefCell::new(String::new()));
        let sink = Rc::clone(&lines);
        let log = Log::new(Items::INT, Rc::new(move |line| sink.borrow_mut().push_str(line)));
        log.write(Items::INT, format_args!("a"));
        log.write(Items::EXEC, format_args!("b"));
        log.write_named("int", format_args!("c\n"));
        log.write_named("strace", format_args!("d"));
        assert_eq!(*lines.borrow(), "a\nc\n");
    }
}
