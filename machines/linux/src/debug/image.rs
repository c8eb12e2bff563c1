//! What a debugger wants to know of a process's program and libraries, found as the dynamic linker left it in memory.

use crate::abi::{GuestPtr, ULong};
use crate::process::Process;
use tern_session::debug::Library;

/// Keys of the auxiliary vector (linux/auxvec.h).
mod at {
    pub(super) const PHDR: u64 = 3;
    pub(super) const PHENT: u64 = 4;
    pub(super) const PHNUM: u64 = 5;
}

/// Types of program headers, and the tag of the debugger's entry (ELF gABI).
const PT_DYNAMIC: u32 = 2;
const PT_PHDR: u32 = 6;
const DT_DEBUG: u64 = 21;

/// Most entries of a list that are looked at: what a guest writes there may be anything.
const MOST: u64 = 4096;
/// Longest path.
const PATH: usize = 4096;

fn word(process: &mut Process, addr: u64) -> Option<u64> {
    let abi = process.isa.abi;
    process.mem.get::<ULong>(GuestPtr::new(addr), abi).ok()
}

fn aux(process: &Process, key: u64) -> Option<u64> {
    let abi = process.isa.abi;
    let mut pairs = process.image.auxv.chunks_exact(2 * abi.word_bytes());
    let number = |bytes: &[u8]| {
        let one = |n: u64, b: &u8| n << 8 | u64::from(*b);
        match abi.endian {
            tern_core::mem::Endian::Little => bytes.iter().rev().fold(0, one),
            tern_core::mem::Endian::Big => bytes.iter().fold(0, one),
        }
    };
    pairs.find_map(|pair| {
        let (k, value) = pair.split_at(abi.word_bytes());
        (number(k) == key).then(|| number(value))
    })
}

/// The virtual address in the program header of a type.
fn header(process: &mut Process, kind: u32) -> Option<u64> {
    let abi = process.isa.abi;
    let (table, size, n) = (aux(process, at::PHDR)?, aux(process, at::PHENT)?, aux(process, at::PHNUM)?);
    let vaddr = if abi.is64() { 16 } else { 8 };
    (0..n.min(MOST)).find_map(|i| {
        let entry = table.wrapping_add(i.wrapping_mul(size));
        let found = process.mem.get::<u32>(GuestPtr::new(entry), abi).ok()?;
        if found == kind { word(process, entry.wrapping_add(vaddr)) } else { None }
    })
}

/// By how much the program has been moved.
pub(super) fn offset(process: &mut Process) -> Option<u64> {
    let table = aux(process, at::PHDR)?;
    // A program without the entry is where it was linked to.
    Some(header(process, PT_PHDR).map_or(0, |vaddr| table.wrapping_sub(vaddr)))
}

/// The list of the dynamic linker, the program first; empty before it has made one.
pub(super) fn libraries(process: &mut Process) -> Option<Vec<Library>> {
    let size = process.isa.abi.word_bytes() as u64;
    let offset = offset(process)?;
    let dynamic = header(process, PT_DYNAMIC)?.wrapping_add(offset);
    let debug = (0..MOST).find_map(|i| {
        let entry = dynamic.wrapping_add(2 * size * i);
        match word(process, entry) {
            Some(DT_DEBUG) => Some(word(process, entry.wrapping_add(size))),
            Some(0) | None => Some(None),
            Some(_) => None,
        }
    })??;
    let mut list = Vec::new();
    let mut map = if debug == 0 { 0 } else { word(process, debug.wrapping_add(size))? };
    while map != 0 && (list.len() as u64) < MOST {
        let mut field = |n: u64| word(process, map.wrapping_add(n * size));
        let (Some(moved), Some(name), Some(dynamic), Some(next)) = (field(0), field(1), field(2), field(3)) else {
            break;
        };
        let name = process.mem.cstr(name, PATH).map(std::ffi::CString::into_bytes).unwrap_or_default();
        list.push(Library { name, map, offset: moved, dynamic });
        map = next;
    }
    Some(list)
}
