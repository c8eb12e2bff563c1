//! Registers as gdb knows them: the target description, from the state layout and the ISA's row here.

use super::super::{Subject, Thread};
use core::fmt::Write as _;
use tern_core::frontend::Frontend;
use tern_core::state::{Role, Slot, StateLayout};

/// How gdb names an ISA and numbers its registers.
struct Naming {
    /// The name in the list of ISAs.
    isa: &'static str,
    /// gdb's architecture.
    architecture: &'static str,
    /// The feature of general registers and the pc.
    cpu: &'static str,
    /// Name of general register 0 where it has no slot since it is always zero.
    zero: Option<&'static str>,
    /// The feature of floating-point registers, and the number of the first.
    fpu: (&'static str, usize),
    /// The feature of control registers, and what is added to their numbers.
    control: (&'static str, usize),
    /// The feature of vector registers, and the number of the first.
    vector: (&'static str, usize),
    /// A register by which gdb sees and sets the privilege: its feature, name, slot's name, number.
    privilege: (&'static str, &'static str, &'static str, usize),
    /// gdb expects that watchpoints stop before the access, and makes a step to see what it did.
    before: bool,
    /// The role of the stack pointer, and of the register of return addresses.
    pointers: [(Role, &'static str); 2],
}

/// gdb manual, "RISC-V Features"; register numbers are those of gdb's `riscv-tdep.h`.
const fn riscv(isa: &'static str, architecture: &'static str) -> Naming {
    Naming {
        isa,
        architecture,
        cpu: "org.gnu.gdb.riscv.cpu",
        zero: Some("zero"),
        fpu: ("org.gnu.gdb.riscv.fpu", 33),
        control: ("org.gnu.gdb.riscv.csr", 65),
        vector: ("org.gnu.gdb.riscv.vector", 4162),
        privilege: ("org.gnu.gdb.riscv.virtual", "priv", "priv", 4161),
        before: true,
        pointers: [(Role::Gpr(2), "data_ptr"), (Role::Gpr(1), "code_ptr")],
    }
}

static NAMINGS: &[Naming] = &[riscv("riscv64", "riscv:rv64"), riscv("riscv32", "riscv:rv32")];

/// Where a register's value is.
#[derive(Clone, Debug)]
enum Place {
    /// It is always zero.
    Zero,
    /// In a slot.
    Slot(Slot),
    /// In several, least significant word first.
    Words(Vec<Slot>),
    /// A control register of this number.
    Control(u32),
}

/// A register.
#[derive(Clone, Debug)]
struct Register {
    name: String,
    number: usize,
    bits: u32,
    /// gdb's type.
    kind: String,
    feature: &'static str,
    place: Place,
    /// It is one of those that `g` shows.
    general: bool,
}

impl Register {
    fn bytes(&self) -> usize {
        self.bits.div_ceil(8) as usize
    }
}

/// All registers of a subject, and their description.
pub(super) struct Registers {
    list: Vec<Register>,
    /// The description, as XML.
    pub(super) xml: String,
    /// Watchpoints stop before the access.
    pub(super) before: bool,
}

impl Registers {
    /// Those of an ISA; `None`: gdb's names of it are not known here.
    pub(super) fn new(isa: &str, frontend: &dyn Frontend) -> Option<Registers> {
        let naming = NAMINGS.iter().find(|n| n.isa == isa)?;
        let mut list = general(naming, frontend.layout());
        list.extend(vectors(naming, frontend.layout()));
        list.extend(controls(naming, frontend));
        let (feature, name, slot, number) = naming.privilege;
        if let Some(row) = frontend.layout().by_name(slot).filter(|_| frontend.system().is_some()) {
            let (kind, place) = ("int".to_owned(), Place::Slot(row.slot));
            list.push(Register { name: name.to_owned(), number, bits: 32, kind, feature, place, general: false });
        }
        list.sort_by_key(|r| r.number);
        let xml = describe(naming, &list);
        Some(Registers { list, xml, before: naming.before })
    }

    fn find(&self, number: usize) -> Option<&Register> {
        self.list.binary_search_by_key(&number, |r| r.number).ok().map(|at| &self.list[at])
    }

    /// A register's bytes in the guest's order; `None`: there is none.
    pub(super) fn read(&self, subject: &mut dyn Subject, thread: Thread, number: usize) -> Option<Vec<u8>> {
        let register = self.find(number)?;
        let words: Vec<u64> = match &register.place {
            Place::Zero => vec![0],
            Place::Slot(slot) => vec![subject.state(thread)?.get(*slot)],
            Place::Words(slots) => {
                let state = subject.state(thread)?;
                slots.iter().map(|slot| state.get(*slot)).collect()
            }
            Place::Control(number) => vec![subject.control(thread, *number, None)?],
        };
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.truncate(register.bytes());
        Some(bytes)
    }

    /// Sets a register; false: there is none, or it cannot be set.
    pub(super) fn write(&self, subject: &mut dyn Subject, thread: Thread, number: usize, bytes: &[u8]) -> bool {
        let Some(register) = self.find(number) else { return false };
        if bytes.len() != register.bytes() {
            return false;
        }
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |value, b| value << 8 | u64::from(*b));
        match &register.place {
            Place::Zero => true,
            Place::Slot(slot) => subject.set_slot(thread, *slot, held(register, word(bytes))),
            Place::Words(slots) => {
                slots.iter().zip(bytes.chunks(8)).all(|(slot, chunk)| subject.set_slot(thread, *slot, word(chunk)))
            }
            Place::Control(number) => subject.control(thread, *number, Some(word(bytes))).is_some(),
        }
    }

    /// The general registers' bytes; those that cannot be read are `None`s.
    pub(super) fn read_all(&self, subject: &mut dyn Subject, thread: Thread) -> Vec<Option<u8>> {
        let mut all = Vec::new();
        for register in self.list.iter().filter(|r| r.general) {
            match self.read(subject, thread, register.number) {
                Some(bytes) => all.extend(bytes.into_iter().map(Some)),
                None => all.extend(core::iter::repeat_n(None, register.bytes())),
            }
        }
        all
    }

    /// Sets the general registers that `bytes` has; false: it ends inside of one.
    pub(super) fn write_all(&self, subject: &mut dyn Subject, thread: Thread, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        for register in self.list.iter().filter(|r| r.general) {
            if rest.is_empty() {
                break;
            }
            let Some((mine, others)) = rest.split_at_checked(register.bytes()) else { return false };
            if !self.write(subject, thread, register.number, mine) {
                return false;
            }
            rest = others;
        }
        true
    }
}

/// What a slot holds for a value of a register: narrower ones are held as the layout's ISA has them.
fn held(register: &Register, value: u64) -> u64 {
    let is_pc = matches!(register.place, Place::Slot(Slot::PC));
    match (register.kind.as_str(), register.bits) {
        // NaN-boxed.
        ("ieee_single", _) => value | 0xffff_ffff << 32,
        // Sign-extended, but for the pc.
        ("int" | "data_ptr" | "code_ptr", 32) if register.general && !is_pc => value as u32 as i32 as i64 as u64,
        _ => value,
    }
}

fn general(naming: &Naming, layout: &StateLayout) -> Vec<Register> {
    let mut list = Vec::new();
    let width = layout.by_slot(Slot::PC).map_or(64, |row| u32::from(row.bits));
    if let Some(zero) = naming.zero {
        let (name, kind) = (zero.to_owned(), "int".to_owned());
        let feature = naming.cpu;
        list.push(Register { name, number: 0, bits: width, kind, feature, place: Place::Zero, general: true });
    }
    for row in layout.rows() {
        let pointer = naming.pointers.iter().find(|(role, _)| *role == row.role).map(|(_, kind)| *kind);
        let (number, feature, kind) = match row.role {
            Role::Gpr(n) => (usize::from(n), naming.cpu, pointer.unwrap_or("int")),
            Role::Pc => (naming.fpu.1 - 1, naming.cpu, "code_ptr"),
            Role::Fpr(n) => {
                let kind = if row.bits == 32 { "ieee_single" } else { "ieee_double" };
                (naming.fpu.1 + usize::from(n), naming.fpu.0, kind)
            }
            _ => continue,
        };
        list.push(Register {
            name: row.name.clone(),
            number,
            bits: u32::from(row.bits),
            kind: kind.to_owned(),
            feature,
            place: Place::Slot(row.slot),
            general: true,
        });
    }
    list
}

fn vectors(naming: &Naming, layout: &StateLayout) -> Vec<Register> {
    let mut words: Vec<(u8, u16, Slot)> = Vec::new();
    for row in layout.rows() {
        if let Role::Vector(n, word) = row.role {
            words.push((n, word, row.slot));
        }
    }
    words.sort_unstable_by_key(|(n, word, _)| (*n, *word));
    let one = |group: &[(u8, u16, Slot)]| Register {
        name: format!("v{}", group[0].0),
        number: naming.vector.1 + usize::from(group[0].0),
        bits: group.len() as u32 * 64,
        kind: "vector".to_owned(),
        feature: naming.vector.0,
        place: Place::Words(group.iter().map(|(.., slot)| *slot).collect()),
        general: false,
    };
    words.chunk_by(|a, b| a.0 == b.0).map(one).collect()
}

fn controls(naming: &Naming, frontend: &dyn Frontend) -> Vec<Register> {
    let width = frontend.layout().by_slot(Slot::PC).map_or(64, |row| u32::from(row.bits));
    let one = |(number, name): (u32, &str)| Register {
        name: name.to_owned(),
        number: naming.control.1 + number as usize,
        bits: width,
        kind: "int".to_owned(),
        feature: naming.control.0,
        place: Place::Control(number),
        general: false,
    };
    frontend.control_registers().into_iter().map(one).collect()
}

/// The description (gdb manual, "Target Description Format").
fn describe(naming: &Naming, list: &[Register]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n\
         <architecture>{}</architecture>\n",
        naming.architecture
    );
    let mut features: Vec<&str> = Vec::new();
    for register in list {
        if !features.contains(&register.feature) {
            features.push(register.feature);
        }
    }
    for feature in features {
        // Writing to a string cannot fail.
        let _ = writeln!(xml, "<feature name=\"{feature}\">");
        let mine = || list.iter().filter(|r| r.feature == feature);
        if let Some(vector) = mine().find(|r| r.kind == "vector") {
            xml += &vector_types(vector.bits);
        }
        for register in mine() {
            let Register { name, bits, number, kind, .. } = register;
            let _ = writeln!(xml, "<reg name=\"{name}\" bitsize=\"{bits}\" regnum=\"{number}\" type=\"{kind}\"/>");
        }
        xml += "</feature>\n";
    }
    xml + "</target>\n"
}

/// The types of a vector register of so many bits: a union of its readings.
fn vector_types(bits: u32) -> String {
    let kinds =
        [("q", "uint128", 128), ("l", "uint64", 64), ("w", "uint32", 32), ("s", "uint16", 16), ("b", "uint8", 8)];
    let kinds = || kinds.iter().filter(|(.., size)| *size <= bits);
    let mut xml = String::new();
    for (id, kind, size) in kinds() {
        let _ = writeln!(xml, "<vector id=\"v_{id}\" type=\"{kind}\" count=\"{}\"/>", bits / size);
    }
    xml += "<union id=\"vector\">\n";
    for (id, ..) in kinds() {
        let _ = writeln!(xml, "<field name=\"{id}\" type=\"v_{id}\"/>");
    }
    xml + "</union>\n"
}
