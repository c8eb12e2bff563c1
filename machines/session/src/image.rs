//! A static ELF executable from assembled code, so that tests and small programs need no linker.
//!
//! Symbols of the source steer it: `_start` is the entry (else the first byte); from `_data` on, a multiple of the page
//! size, memory is writable and no longer code (without it everything is writable and executable); `_end`, beyond the
//! last byte, leaves zeroed memory up to there.

use crate::isa::Isa;
use core::fmt;
use std::collections::BTreeMap;
use tern_core::mem::{Endian, PAGE_SIZE};
use tern_decode::Image;

/// Where code lies unless another base is wanted; the first page holds the headers.
pub const BASE: u64 = 0x1_0000;

/// Why an image cannot be an executable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageError {
    /// The base is no multiple of the page size.
    Base(u64),
    /// `_data` is no multiple of the page size within the image.
    Data(i64),
    /// `_end` lies before the last byte or beyond the address space.
    End(i64),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Base(v) => write!(f, "base {v:#x} is no multiple of {PAGE_SIZE:#x}"),
            ImageError::Data(v) => write!(f, "`_data` at {v:#x} is no multiple of {PAGE_SIZE:#x} within the code"),
            ImageError::End(v) => write!(f, "`_end` at {v:#x} is not behind the code"),
        }
    }
}

impl core::error::Error for ImageError {}

/// Writes numbers in the file's byte order and word size.
struct Writer {
    bytes: Vec<u8>,
    is64: bool,
    endian: Endian,
}

impl Writer {
    fn num(&mut self, value: u64, size: usize) {
        match self.endian {
            Endian::Little => self.bytes.extend_from_slice(&value.to_le_bytes()[..size]),
            Endian::Big => self.bytes.extend_from_slice(&value.to_be_bytes()[8 - size..]),
        }
    }
    fn half(&mut self, value: u16) {
        self.num(value.into(), 2);
    }
    fn word(&mut self, value: u32) {
        self.num(value.into(), 4);
    }
    /// An address, offset or size.
    fn long(&mut self, value: u64) {
        self.num(value, if self.is64 { 8 } else { 4 });
    }
}

/// A part of the image: offset in it, bytes in the file, bytes in memory, `p_flags`.
struct Segment {
    at: usize,
    filesz: usize,
    memsz: u64,
    flags: u32,
}

/// `PF_X`, `PF_W`, `PF_R`.
const X: u32 = 1;
const W: u32 = 2;
const R: u32 = 4;

fn segments(image: &Image, base: u64) -> Result<Vec<Segment>, ImageError> {
    let len = image.bytes.len();
    let end = match image.symbols.get("_end") {
        Some(&end) => (end.cast_unsigned().checked_sub(base))
            .filter(|&size| size >= len as u64 && size < 1 << 40)
            .ok_or(ImageError::End(end))?,
        None => len as u64,
    };
    let Some(&data) = image.symbols.get("_data") else {
        return Ok(vec![Segment { at: 0, filesz: len, memsz: end, flags: R | W | X }]);
    };
    let at = (data.cast_unsigned().checked_sub(base))
        .filter(|&at| at <= len as u64 && at % PAGE_SIZE == 0)
        .ok_or(ImageError::Data(data))?;
    let code = Segment { at: 0, filesz: at as usize, memsz: at, flags: R | X };
    let data = Segment { at: at as usize, filesz: len - at as usize, memsz: end - at, flags: R | W };
    Ok(vec![code, data])
}

/// Makes a static executable for `isa` of code that was assembled at `base`.
///
/// # Errors
/// Symbols or a base that make no sense.
pub fn executable(isa: &Isa, image: &Image, base: u64) -> Result<Vec<u8>, ImageError> {
    if !base.is_multiple_of(PAGE_SIZE) {
        return Err(ImageError::Base(base));
    }
    let segments = segments(image, base)?;
    let is64 = isa.elf.is64;
    let mut w = Writer { bytes: Vec::new(), is64, endian: isa.elf.endian };
    let (ehsize, phsize, shsize) = if is64 { (64, 56, 64) } else { (52, 32, 40) };
    let start = PAGE_SIZE as usize;
    let tail = tail(isa, image, &segments, base);
    let strings_at = (start + image.bytes.len()) as u64;
    let symbols_at = (strings_at + tail.strings.len() as u64).next_multiple_of(8);
    let sections_at = symbols_at + tail.symbols.len() as u64;

    let data = if isa.elf.endian == Endian::Little { 1 } else { 2 };
    w.bytes.extend_from_slice(&[0x7f, b'E', b'L', b'F', if is64 { 2 } else { 1 }, data, 1, 0]);
    w.bytes.resize(16, 0);
    w.half(2);
    w.half(isa.elf.machine);
    w.word(1);
    w.long(image.symbols.get("_start").map_or(base, |v| v.cast_unsigned()));
    w.long(ehsize);
    w.long(sections_at);
    w.word(isa.elf_flags);
    w.half(ehsize as u16);
    w.half(phsize);
    w.half(segments.len() as u16);
    w.half(shsize);
    w.half(tail.sections.len() as u16);
    w.half(1);
    for s in &segments {
        program_header(&mut w, s, base, start);
    }
    w.bytes.resize(start, 0);
    w.bytes.extend_from_slice(&image.bytes);
    w.bytes.extend_from_slice(&tail.strings);
    w.bytes.resize(symbols_at as usize, 0);
    w.bytes.extend_from_slice(&tail.symbols);
    for s in &tail.sections {
        s.write(&mut w, strings_at, symbols_at, start as u64);
    }
    Ok(w.bytes)
}

fn program_header(w: &mut Writer, s: &Segment, base: u64, start: usize) {
    let (offset, addr) = ((start + s.at) as u64, base + s.at as u64);
    w.word(1);
    if w.is64 {
        w.word(s.flags);
    }
    for v in [offset, addr, addr, s.filesz as u64, s.memsz] {
        w.long(v);
    }
    if !w.is64 {
        w.word(s.flags);
    }
    w.long(PAGE_SIZE);
}

/// What a section header's offset counts from.
#[derive(Default)]
enum From {
    #[default]
    Nothing,
    Strings,
    Symbols,
    Code,
}

#[derive(Default)]
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    addr: u64,
    from: From,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    entry: u64,
}

impl Section {
    fn write(&self, w: &mut Writer, strings: u64, symbols: u64, code: u64) {
        let start = match self.from {
            From::Nothing => 0,
            From::Strings => strings,
            From::Symbols => symbols,
            From::Code => code,
        };
        w.word(self.name);
        w.word(self.kind);
        w.long(self.flags);
        w.long(self.addr);
        w.long(start + self.offset);
        w.long(self.size);
        w.word(self.link);
        w.word(self.info);
        w.long(1);
        w.long(self.entry);
    }
}

/// What follows the code.
struct Tail {
    strings: Vec<u8>,
    symbols: Vec<u8>,
    sections: Vec<Section>,
}

fn tail(isa: &Isa, image: &Image, segments: &[Segment], base: u64) -> Tail {
    let mut strings = vec![0];
    let mut name = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let mut symbols = Writer { bytes: Vec::new(), is64: isa.elf.is64, endian: isa.elf.endian };
    let entry: u64 = if isa.elf.is64 { 24 } else { 16 };
    symbols.bytes.resize(entry as usize, 0);
    let mut section_names = BTreeMap::new();
    for text in [".text", ".data", ".symtab", ".strtab"] {
        section_names.insert(text, name(text));
    }
    for (symbol, &value) in &image.symbols {
        let at = name(symbol);
        let value = value.cast_unsigned();
        let offset = value.wrapping_sub(base);
        let place = segments.iter().position(|s| offset >= s.at as u64 && offset - (s.at as u64) < s.memsz);
        // Section indices: 0 none, 1 strings, 2 symbols, then one for each segment; 0xfff1 is an absolute value.
        let section = place.map_or(0xfff1, |n| 3 + n as u16);
        write_symbol(&mut symbols, at, value, section);
    }
    let count = symbols.bytes.len() as u64 / entry;
    let (strtab, symtab) = (section_names[".strtab"], section_names[".symtab"]);
    let string_table =
        Section { name: strtab, kind: 3, from: From::Strings, size: strings.len() as u64, ..Section::default() };
    let size = count * entry;
    // All symbols are global but the first.
    let symbol_table =
        Section { name: symtab, kind: 2, from: From::Symbols, size, link: 1, info: 1, entry, ..Section::default() };
    let mut sections = vec![Section::default(), string_table, symbol_table];
    for s in segments {
        let text = if s.flags & X != 0 { ".text" } else { ".data" };
        // SHF_ALLOC, with SHF_WRITE and SHF_EXECINSTR as the segment has them.
        let flags = 2 | u64::from(s.flags & W != 0) | u64::from(s.flags & X != 0) << 2;
        sections.push(Section {
            name: section_names[text],
            kind: 1,
            flags,
            addr: base + s.at as u64,
            from: From::Code,
            offset: s.at as u64,
            size: s.filesz as u64,
            ..Section::default()
        });
    }
    Tail { strings, symbols: symbols.bytes, sections }
}

fn write_symbol(w: &mut Writer, name: u32, value: u64, section: u16) {
    /// `STB_GLOBAL << 4 | STT_NOTYPE`.
    const INFO: u8 = 0x10;
    w.word(name);
    if w.is64 {
        w.bytes.extend_from_slice(&[INFO, 0]);
        w.half(section);
        w.long(value);
        w.long(0);
    } else {
        w.long(value);
        w.long(0);
        w.bytes.extend_from_slice(&[INFO, 0]);
        w.half(section);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Start, start};

    fn image(bytes: usize, symbols: &[(&str, i64)]) -> Image {
        Image { bytes: vec![0x13; bytes], symbols: symbols.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect() }
    }

    fn word(elf: &[u8], at: usize, size: usize) -> u64 {
        elf[at..at + size].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
    }

    #[test]
    fn one_or_two_segments() {
        for isa in crate::isa::ALL {
            let elf = executable(isa, &image(12, &[("_start", 0x1_0004)]), BASE).unwrap();
            assert_eq!(start(&elf), Start::Elf(isa.elf));
            let long = if isa.elf.is64 { 8 } else { 4 };
            assert_eq!(word(&elf, 24, long), 0x1_0004, "entry");
            let phnum = if isa.elf.is64 { 56 } else { 44 };
            assert_eq!(word(&elf, phnum, 2), 1);
            let two = image(0x1008, &[("_data", 0x1_1000), ("_end", 0x1_9000)]);
            let elf = executable(isa, &two, BASE).unwrap();
            assert_eq!(word(&elf, phnum, 2), 2);
            assert_eq!(word(&elf, 24, long), BASE, "entry without _start");
            if isa.elf.is64 {
                // Second program header: flags, offset, address, sizes.
                let at = 64 + 56;
                assert_eq!(word(&elf, at + 4, 4), 6);
                assert_eq!([8, 16, 32, 40].map(|o| word(&elf, at + o, 8)), [0x2000, 0x1_1000, 8, 0x8000]);
            }
        }
    }

    #[test]
    fn senseless_symbols_are_refused() {
        let Some(isa) = crate::isa::ALL.first() else { return };
        let make = |symbols| executable(isa, &image(16, symbols), BASE);
        assert_eq!(make(&[("_data", 0x1_0008)]), Err(ImageError::Data(0x1_0008)));
        assert_eq!(make(&[("_data", -4096)]), Err(ImageError::Data(-4096)));
        assert_eq!(make(&[("_end", 0x1_000f)]), Err(ImageError::End(0x1_000f)));
        assert_eq!(make(&[("_end", -1)]), Err(ImageError::End(-1)));
        assert_eq!(executable(isa, &image(1, &[]), 12), Err(ImageError::Base(12)));
    }
}
