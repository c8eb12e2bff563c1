//! What an ELF file says it is: machine, class and byte order, from the first 20 bytes.

use tern_core::mem::Endian;

/// Machine, class and byte order of an ELF file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ident {
    /// `e_machine`.
    pub machine: u16,
    /// `ELFCLASS64`.
    pub is64: bool,
    /// `EI_DATA`.
    pub endian: Endian,
}

/// What the start of a file shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Nothing at all.
    Empty,
    /// A script with an interpreter line.
    Script,
    /// An ELF file.
    Elf(Ident),
    /// An ELF file that ends, or says nonsense, in its first 20 bytes.
    BrokenElf,
    /// Anything else.
    Other,
}

/// What the first bytes of a file show; 20 are enough.
#[must_use]
pub fn start(bytes: &[u8]) -> Start {
    match bytes {
        [] => Start::Empty,
        [b'#', b'!', ..] => Start::Script,
        [0x7f, b'E', b'L', b'F', rest @ ..] => ident(rest).map_or(Start::BrokenElf, Start::Elf),
        _ => Start::Other,
    }
}

/// From what follows the magic number.
fn ident(rest: &[u8]) -> Option<Ident> {
    let is64 = match rest.first()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let machine = [*rest.get(14)?, *rest.get(15)?];
    let (endian, machine) = match rest.get(1)? {
        1 => (Endian::Little, u16::from_le_bytes(machine)),
        2 => (Endian::Big, u16::from_be_bytes(machine)),
        _ => return None,
    };
    Some(Ident { machine, is64, endian })
}

/// Names of machines by class, as people say them; an empty name says that there is none of that class.
const MACHINES: &[(u16, &str, &str)] = &[
    (2, "SPARC", ""),
    (3, "x86", ""),
    (4, "68k", ""),
    (8, "MIPS", "MIPS64"),
    (15, "PA-RISC", "PA-RISC 64"),
    (18, "SPARC V8+", ""),
    (20, "PowerPC", ""),
    (21, "", "PowerPC64"),
    (22, "S/390", "s390x"),
    (40, "Arm", ""),
    (42, "SuperH", ""),
    (43, "", "SPARC V9"),
    (62, "x32", "x86-64"),
    (92, "OpenRISC", ""),
    (94, "Xtensa", ""),
    (106, "Blackfin", ""),
    (164, "Hexagon", ""),
    (183, "AArch64 ILP32", "AArch64"),
    (189, "MicroBlaze", ""),
    (243, "riscv32", "riscv64"),
    (247, "", "BPF"),
    (252, "C-SKY", ""),
    (258, "LoongArch32", "LoongArch64"),
    (0x9026, "", "Alpha"),
];

impl core::fmt::Display for Ident {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let row = MACHINES.iter().find(|m| m.0 == self.machine);
        let name = row.map_or("", |m| if self.is64 { m.2 } else { m.1 });
        // Where both byte orders are common, the rarer one is said.
        let order = match (self.machine, self.endian) {
            (8, Endian::Little) | (21, Endian::Little) => " little-endian",
            (40 | 183 | 243, Endian::Big) => " big-endian",
            _ => "",
        };
        if name.is_empty() {
            let (bits, order) = (if self.is64 { 64 } else { 32 }, self.endian);
            return write!(f, "machine {} ({bits}-bit, {order:?}-endian)", self.machine);
        }
        write!(f, "{name}{order}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, data: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut h = vec![0x7f, b'E', b'L', b'F', class, data, 1];
        h.resize(18, 0);
        h.extend(machine);
        h
    }

    #[test]
    fn starts() {
        assert_eq!(start(b""), Start::Empty);
        assert_eq!(start(b"#!/bin/sh\n"), Start::Script);
        assert_eq!(start(b"hello"), Start::Other);
        assert_eq!(start(b"\x7fELF"), Start::BrokenElf);
        assert_eq!(start(&header(3, 1, [62, 0])), Start::BrokenElf);
        assert_eq!(start(&header(2, 0, [62, 0])), Start::BrokenElf);
        assert_eq!(start(&header(2, 1, [62, 0])[..19]), Start::BrokenElf);
        let amd64 = Ident { machine: 62, is64: true, endian: Endian::Little };
        assert_eq!(start(&header(2, 1, [62, 0])), Start::Elf(amd64));
        assert_eq!(start(&header(2, 2, [0, 22])), Start::Elf(Ident { machine: 22, is64: true, endian: Endian::Big }));
    }

    #[test]
    fn descriptions() {
        let text = |machine, is64, endian| Ident { machine, is64, endian }.to_string();
        assert_eq!(text(62, true, Endian::Little), "x86-64");
        assert_eq!(text(21, true, Endian::Little), "PowerPC64 little-endian");
        assert_eq!(text(243, false, Endian::Little), "riscv32");
        assert_eq!(text(999, false, Endian::Big), "machine 999 (32-bit, Big-endian)");
    }
}
