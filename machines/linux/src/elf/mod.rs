//! ELF programs: headers, loading, the initial stack, the vDSO.

pub mod loader;
pub mod stack;
pub mod vdso;

#[cfg(test)]
pub(crate) mod tests;

use crate::abi::{Abi, Arr, Errno, Field, ULong, Word};
use crate::guest_struct;
use crate::isa::{self, Isa};
use core::fmt;
use tern_core::mem::Endian;

guest_struct! {
    /// `Elf32_Ehdr` and `Elf64_Ehdr`.
    Ehdr {
        ident: Arr<u8, 16>, kind: u16, machine: u16, version: u32, entry: ULong, phoff: ULong, shoff: ULong, flags: u32,
        ehsize: u16, phentsize: u16, phnum: u16, shentsize: u16, shnum: u16, shstrndx: u16,
    }

    /// `Elf64_Phdr`.
    Phdr64 {
        kind: u32, flags: u32, offset: u64, vaddr: u64, paddr: u64, filesz: u64, memsz: u64, align: u64,
    }

    /// `Elf32_Phdr`.
    Phdr32 {
        kind: u32, offset: u32, vaddr: u32, paddr: u32, filesz: u32, memsz: u32, flags: u32, align: u32,
    }
}

/// Loadable segment.
pub const PT_LOAD: u32 = 1;
/// Dynamic linking information.
pub const PT_DYNAMIC: u32 = 2;
/// Path of the program interpreter.
pub const PT_INTERP: u32 = 3;
/// Protection of the stack.
pub const PT_GNU_STACK: u32 = 0x6474_e551;
/// Executable.
pub const ET_EXEC: u16 = 2;
/// Shared object or position-independent executable.
pub const ET_DYN: u16 = 3;

/// Most bytes of program headers (fs/binfmt_elf.c).
const PHDRS_MAX: u64 = 65536;

/// Why a program could not be loaded: which file, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadError {
    /// The file.
    pub path: Vec<u8>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The system said no.
    Os(Errno),
    /// It is a directory, a device or the like.
    NotAFile,
    /// No execute permission.
    NotExecutable,
    /// Neither ELF nor a script.
    NotAProgram,
    /// The file ends too early.
    Truncated {
        /// In what.
        what: &'static str,
    },
    /// A header is wrong.
    Malformed {
        /// How.
        what: &'static str,
    },
    /// Not an executable or shared object (`e_type`).
    Kind(u16),
    /// No guest of tern's: machine, 64-bit, big-endian.
    Machine(u16, bool, bool),
    /// Of another ISA than the program that it belongs to.
    OtherIsa(&'static str),
    /// The ISA cannot run this variant (`e_flags`).
    Flags(u32),
    /// Two segments overlap.
    Overlap(u64),
    /// A segment lies outside the guest's address space.
    OutOfRange(u64),
    /// The program interpreter that the program names does not exist or cannot be read.
    Interpreter(Vec<u8>, Errno),
    /// Arguments and environment are too long.
    ArgumentsTooLong,
    /// Scripts call scripts too deeply, or in a circle.
    ScriptDepth,
    /// The CPU model lacks a register that the ISA's calling convention names.
    CpuModel,
}

impl LoadError {
    pub(crate) fn new(path: &[u8], reason: Reason) -> LoadError {
        LoadError { path: path.to_vec(), reason }
    }

    /// The exit status that a shell gives: 127 if there is no such program, else 126.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self.reason {
            Reason::Os(Errno::ENOENT | Errno::ENOTDIR) | Reason::Interpreter(_, Errno::ENOENT | Errno::ENOTDIR) => 127,
            _ => 126,
        }
    }

    /// The error that execve gives.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match &self.reason {
            Reason::Os(e) | Reason::Interpreter(_, e) => *e,
            Reason::NotAFile | Reason::NotExecutable => Errno::EACCES,
            Reason::ArgumentsTooLong => Errno::E2BIG,
            Reason::ScriptDepth => Errno::ELOOP,
            Reason::OutOfRange(_) => Errno::ENOMEM,
            _ => Errno::ENOEXEC,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", String::from_utf8_lossy(&self.path))?;
        match &self.reason {
            Reason::Os(e) => write!(f, "{e}"),
            Reason::NotAFile => f.write_str("is not a regular file"),
            Reason::NotExecutable => f.write_str("Permission denied (not executable)"),
            Reason::NotAProgram => f.write_str("is neither an ELF program nor a script"),
            Reason::Truncated { what } => write!(f, "is truncated: {what}"),
            Reason::Malformed { what } => write!(f, "is malformed: {what}"),
            Reason::Kind(kind) => write!(f, "is not a program (ELF type {kind})"),
            Reason::Machine(m, is64, big) => {
                let (bits, order) = (if *is64 { 64 } else { 32 }, if *big { "big" } else { "little" });
                write!(f, "is for a machine that tern does not run (ELF machine {m}, {bits}-bit, {order}-endian)")
            }
            Reason::OtherIsa(name) => write!(f, "is for {name}, unlike the program"),
            Reason::Flags(flags) => write!(f, "needs a CPU variant that tern does not have (ELF flags {flags:#x})"),
            Reason::Overlap(addr) => write!(f, "has overlapping segments at {addr:#x}"),
            Reason::OutOfRange(addr) => write!(f, "does not fit the guest's address space at {addr:#x}"),
            Reason::Interpreter(path, e) => write!(f, "needs {}: {e}", String::from_utf8_lossy(path)),
            Reason::ArgumentsTooLong => f.write_str("Argument list too long"),
            Reason::ScriptDepth => f.write_str("Too many levels of script interpreters"),
            Reason::CpuModel => f.write_str("the CPU model lacks a register of the calling convention"),
        }
    }
}

impl core::error::Error for LoadError {}

/// A program header of either class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`: execute 1, write 2, read 4.
    pub flags: u32,
    /// Position in the file.
    pub offset: u64,
    /// Address.
    pub vaddr: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Bytes in memory.
    pub memsz: u64,
    /// Alignment.
    pub align: u64,
}

/// The headers of an ELF file.
#[derive(Clone, Debug)]
pub struct Headers {
    /// The guest.
    pub isa: &'static Isa,
    /// The ELF header.
    pub ehdr: Ehdr,
    /// The program headers.
    pub segments: Vec<Segment>,
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads at a position; short at the end of the file.
pub type ReadAt<'a> = dyn FnMut(u64, &mut [u8]) -> Result<usize, Errno> + 'a;

fn exact(read: &mut ReadAt<'_>, at: u64, len: usize, what: &'static str) -> Result<Vec<u8>, Reason> {
    let mut buf = vec![0; len];
    let mut done = 0;
    while done < len {
        match read(at.saturating_add(done as u64), &mut buf[done..]).map_err(Reason::Os)? {
            0 => return Err(Reason::Truncated { what }),
            n => done += n.min(len - done),
        }
    }
    Ok(buf)
}

/// Reads and checks the headers of an ELF file of `size` bytes.
///
/// # Errors
/// What is wrong.
pub fn headers(read: &mut ReadAt<'_>, size: u64) -> Result<Headers, Reason> {
    const MAGIC: &[u8] = b"\x7fELF";
    if size < MAGIC.len() as u64 || exact(read, 0, MAGIC.len(), "the ELF identification")? != MAGIC {
        return Err(Reason::NotAProgram);
    }
    let ident = exact(read, 0, 16, "the ELF identification")?;
    let word = match ident[4] {
        1 => Word::W32,
        2 => Word::W64,
        _ => return Err(Reason::Malformed { what: "the ELF class" }),
    };
    let endian = match ident[5] {
        1 => Endian::Little,
        2 => Endian::Big,
        _ => return Err(Reason::Malformed { what: "the ELF byte order" }),
    };
    let abi = Abi { word, endian, align64: 8 };
    let ehdr = Ehdr::get(&exact(read, 0, Ehdr::size(abi), "the ELF header")?, abi);
    let machine = Reason::Machine(ehdr.machine, abi.is64(), endian == Endian::Big);
    let isa = isa::by_elf(abi.is64(), endian, ehdr.machine).ok_or(machine)?;
    if ehdr.kind != ET_EXEC && ehdr.kind != ET_DYN {
        return Err(Reason::Kind(ehdr.kind));
    }
    if !(isa.flags_ok)(ehdr.flags) {
        return Err(Reason::Flags(ehdr.flags));
    }
    let entry = if abi.is64() { Phdr64::size(abi) } else { Phdr32::size(abi) };
    let bytes = u64::from(ehdr.phnum) * entry as u64;
    if usize::from(ehdr.phentsize) != entry {
        return Err(Reason::Malformed { what: "the size of a program header" });
    }
    if bytes == 0 || bytes > PHDRS_MAX {
        return Err(Reason::Malformed { what: "the number of program headers" });
    }
    let raw = exact(read, ehdr.phoff, bytes as usize, "the program headers")?;
    let segments: Vec<Segment> = raw.chunks_exact(entry).map(|c| segment(c, abi)).collect();
    check(&segments, size, isa)?;
    Ok(Headers { isa, ehdr, segments })
}

fn segment(bytes: &[u8], abi: Abi) -> Segment {
    if abi.is64() {
        let p = Phdr64::get(bytes, abi);
        let Phdr64 { kind, flags, offset, vaddr, filesz, memsz, align, .. } = p;
        Segment { kind, flags, offset, vaddr, filesz, memsz, align }
    } else {
        let p = Phdr32::get(bytes, abi);
        let wide = |v: u32| u64::from(v);
        Segment {
            kind: p.kind,
            flags: p.flags,
            offset: wide(p.offset),
            vaddr: wide(p.vaddr),
            filesz: wide(p.filesz),
            memsz: wide(p.memsz),
            align: wide(p.align),
        }
    }
}

/// Checks the loadable segments: inside the file, inside the address space, in step with pages, disjoint.
fn check(segments: &[Segment], size: u64, isa: &Isa) -> Result<(), Reason> {
    let mut loads: Vec<&Segment> = segments.iter().filter(|s| s.kind == PT_LOAD && s.memsz > 0).collect();
    if loads.is_empty() {
        return Err(Reason::Malformed { what: "there is no loadable segment" });
    }
    for s in &loads {
        if s.filesz > s.memsz {
            return Err(Reason::Malformed { what: "a segment is larger in the file than in memory" });
        }
        if s.offset.checked_add(s.filesz).is_none_or(|end| end > size) {
            return Err(Reason::Truncated { what: "a segment lies behind the end" });
        }
        if s.filesz > 0 && (s.offset ^ s.vaddr) & tern_core::mem::PAGE_MASK != 0 {
            return Err(Reason::Malformed { what: "a segment's address and position differ within a page" });
        }
        if s.vaddr.checked_add(s.memsz).is_none_or(|end| end > isa.layout.task_size) {
            return Err(Reason::OutOfRange(s.vaddr));
        }
    }
    loads.sort_by_key(|s| s.vaddr);
    match loads.windows(2).find(|w| w[0].vaddr + w[0].memsz > w[1].vaddr) {
        Some(w) => Err(Reason::Overlap(w[1].vaddr)),
        None => Ok(()),
    }
}
