//! The vDSO: one page with a small ELF image that holds the signal trampoline, built for the guest's class and order.
//!
//! C libraries look functions up in it by symbol; unwinders and gdb recognise the trampoline by its code and symbol.

use super::{ET_DYN, Ehdr, PT_DYNAMIC, PT_LOAD, Phdr32, Phdr64};
use crate::abi::{Abi, Errno, Field, ULong};
use crate::guest_struct;
use crate::isa::Isa;
use crate::mm::Space;
use crate::mm::map::Request;
use crate::mm::vma::{Name, Perm};
use tern_core::mem::{Endian, PAGE_SIZE};

guest_struct! {
    /// `Elf64_Sym`.
    Sym64 { name: u32, info: u8, other: u8, shndx: u16, value: u64, size: u64, }
    /// `Elf32_Sym`.
    Sym32 { name: u32, value: u32, size: u32, info: u8, other: u8, shndx: u16, }
    /// `Elf32_Dyn` and `Elf64_Dyn`.
    Dyn { tag: ULong, value: ULong, }
    /// `Elf32_Verdef` and `Elf64_Verdef`.
    Verdef { version: u16, flags: u16, ndx: u16, cnt: u16, hash: u32, aux: u32, next: u32, }
    /// `Elf32_Verdaux` and `Elf64_Verdaux`.
    Verdaux { name: u32, next: u32, }
}

/// The version that riscv's vDSO gives its symbols (arch/riscv/kernel/vdso/vdso.lds.S).
const VERSION: &str = "LINUX_4.15";
/// Entries of the dynamic section.
const DYNAMIC: usize = 10;
const SONAME: &str = "linux-vdso.so.1";

/// The System V hash of a symbol's name (gABI, "Hash Table").
#[must_use]
pub fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |h, b| {
        let h = (h << 4).wrapping_add(u32::from(b));
        let high = h & 0xf000_0000;
        (h ^ high >> 24) & !high
    })
}

/// A vDSO image and where the trampoline is in it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The bytes, at most a page.
    pub bytes: Vec<u8>,
    /// Offset of the trampoline.
    pub trampoline: u64,
}

fn put<T: Field>(out: &mut [u8], at: usize, value: &T::Value, abi: Abi) {
    T::put(value, &mut out[at..at + T::size(abi)], abi);
}

/// Builds the image for an ISA.
#[must_use]
pub fn image(isa: &Isa) -> Image {
    let abi = isa.abi;
    let code = (isa.trampoline)();
    let names = [isa.trampoline_symbol, VERSION, SONAME];
    let mut strtab = vec![0u8];
    let offsets = names.map(|n| {
        let at = strtab.len() as u32;
        strtab.extend_from_slice(n.as_bytes());
        strtab.push(0);
        at
    });
    let (phent, syment) =
        if abi.is64() { (Phdr64::size(abi), Sym64::size(abi)) } else { (Phdr32::size(abi), Sym32::size(abi)) };
    let mut at = Ehdr::size(abi);
    let mut area = |len: usize| {
        let start = at.next_multiple_of(16);
        at = start + len;
        start
    };
    let phdrs = area(2 * phent);
    let symtab = area(2 * syment);
    let hash = area(6 * 4);
    let strings = area(strtab.len());
    let versym = area(4);
    let verdef = area(2 * (Verdef::size(abi) + Verdaux::size(abi)));
    let dynamic = area(DYNAMIC * Dyn::size(abi));
    let text = area(code.len());
    let total = at;
    let mut out = vec![0; total];
    ehdr(&mut out, isa, phdrs, phent);
    segment(&mut out, abi, phdrs, (PT_LOAD, 5), (0, total as u64, PAGE_SIZE));
    segment(&mut out, abi, phdrs + phent, (PT_DYNAMIC, 4), (dynamic as u64, (DYNAMIC * Dyn::size(abi)) as u64, 8));
    // A defined function in the text (the section number only has to be none of the reserved ones).
    let function = (text as u64, code.len() as u64, 0x12, 1);
    symbol(&mut out, abi, symtab + syment, offsets[0], function);
    // One bucket whose chain is symbol 1.
    for (i, word) in [1u32, 2, 1, 0, 0].iter().enumerate() {
        put::<u32>(&mut out, hash + 4 * i, word, abi);
    }
    out[strings..strings + strtab.len()].copy_from_slice(&strtab);
    put::<u16>(&mut out, versym, &0, abi);
    put::<u16>(&mut out, versym + 2, &2, abi);
    versions(&mut out, abi, verdef, &offsets);
    let entries: [(u64, u64); DYNAMIC] = [
        (4, hash as u64),
        (5, strings as u64),
        (6, symtab as u64),
        (10, strtab.len() as u64),
        (11, syment as u64),
        (14, u64::from(offsets[2])),
        (0x6fff_fff0, versym as u64),
        (0x6fff_fffc, verdef as u64),
        (0x6fff_fffd, 2),
        (0, 0),
    ];
    let size = Dyn::size(abi);
    for (i, (tag, value)) in entries.iter().enumerate() {
        put::<Dyn>(&mut out, dynamic + i * size, &Dyn { tag: *tag, value: *value }, abi);
    }
    out[text..].copy_from_slice(&code);
    Image { bytes: out, trampoline: text as u64 }
}

fn ehdr(out: &mut [u8], isa: &Isa, phdrs: usize, phent: usize) {
    let abi = isa.abi;
    let mut ident = [0; 16];
    ident[..4].copy_from_slice(b"\x7fELF");
    ident[4] = if abi.is64() { 2 } else { 1 };
    ident[5] = if abi.endian == Endian::Little { 1 } else { 2 };
    ident[6] = 1;
    let header = Ehdr {
        ident,
        kind: ET_DYN,
        machine: isa.machine,
        version: 1,
        entry: 0,
        phoff: phdrs as u64,
        shoff: 0,
        flags: 0,
        ehsize: Ehdr::size(abi) as u16,
        phentsize: phent as u16,
        phnum: 2,
        shentsize: 0,
        shnum: 0,
        shstrndx: 0,
    };
    put::<Ehdr>(out, 0, &header, abi);
}

fn segment(out: &mut [u8], abi: Abi, at: usize, kind: (u32, u32), place: (u64, u64, u64)) {
    let ((kind, flags), (offset, len, align)) = (kind, place);
    if abi.is64() {
        let p = Phdr64 { kind, flags, offset, vaddr: offset, paddr: offset, filesz: len, memsz: len, align };
        put::<Phdr64>(out, at, &p, abi);
    } else {
        let (offset, len, align) = (offset as u32, len as u32, align as u32);
        let p = Phdr32 { kind, offset, vaddr: offset, paddr: offset, filesz: len, memsz: len, flags, align };
        put::<Phdr32>(out, at, &p, abi);
    }
}

fn symbol(out: &mut [u8], abi: Abi, at: usize, name: u32, what: (u64, u64, u8, u16)) {
    let (value, size, info, shndx) = what;
    if abi.is64() {
        put::<Sym64>(out, at, &Sym64 { name, info, other: 0, shndx, value, size }, abi);
    } else {
        let (value, size) = (value as u32, size as u32);
        put::<Sym32>(out, at, &Sym32 { name, value, size, info, other: 0, shndx }, abi);
    }
}

/// The base definition (the soname) and the one version.
fn versions(out: &mut [u8], abi: Abi, at: usize, names: &[u32; 3]) {
    let (head, aux) = (Verdef::size(abi), Verdaux::size(abi));
    let step = (head + aux) as u32;
    let rows = [(1, 1, SONAME, names[2], step), (0, 2, VERSION, names[1], 0)];
    for (i, (flags, ndx, text, name, next)) in rows.into_iter().enumerate() {
        let start = at + i * step as usize;
        let def = Verdef { version: 1, flags, ndx, cnt: 1, hash: elf_hash(text), aux: head as u32, next };
        put::<Verdef>(out, start, &def, abi);
        put::<Verdaux>(out, start + head, &Verdaux { name, next: 0 }, abi);
    }
}

/// Maps the vDSO; returns its address and the trampoline's.
///
/// # Errors
/// `ENOMEM`.
pub fn map(space: &mut Space, isa: &Isa) -> Result<(u64, u64), Errno> {
    let image = image(isa);
    let request =
        Request { addr: 0, len: PAGE_SIZE, perm: Perm::RW, flags: 0, shared: false, file: None, name: Name::Vdso };
    let at = space.mmap(&request)?;
    space.put_bytes(at, &image.bytes)?;
    space.mprotect(at, PAGE_SIZE, Perm::RX, false)?;
    Ok((at, at + image.trampoline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_an_elf_file_that_our_own_loader_accepts() {
        for isa in crate::isa::ALL {
            let image = image(isa);
            assert!(image.bytes.len() <= PAGE_SIZE as usize);
            let read = &mut |at: u64, buf: &mut [u8]| {
                let from = &image.bytes[(at as usize).min(image.bytes.len())..];
                let n = from.len().min(buf.len());
                buf[..n].copy_from_slice(&from[..n]);
                Ok(n)
            };
            let headers = crate::elf::headers(read, image.bytes.len() as u64).expect("well-formed");
            assert_eq!(headers.segments.len(), 2);
            let code = &image.bytes[image.trampoline as usize..];
            assert_eq!(code, (isa.trampoline)());
        }
    }

    #[test]
    fn hashes_follow_the_gabi() {
        assert_eq!(elf_hash("LINUX_2.6"), 0x03ae_75f6, "as every x86 vDSO has it");
        assert_eq!(elf_hash(""), 0);
    }
}
