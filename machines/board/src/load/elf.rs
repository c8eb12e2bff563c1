//! ELF programs by their physical addresses.

use super::{Image, LoadError, Part, Target};
use object::LittleEndian;
use object::elf::{ET_DYN, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use std::collections::BTreeMap;

/// How ELF files begin.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";

/// What such images are called.
pub const ELF: &str = "ELF program";

/// Symbols that boards ask for: those of HTIF, and of the architectural tests' signature.
const WANTED: [&str; 4] = ["tohost", "fromhost", "begin_signature", "end_signature"];

/// Addresses of symbols by name.
pub type Symbols = BTreeMap<&'static str, u64>;

pub(super) fn load(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    let ident = match tern_session::ident::start(&bytes) {
        tern_session::ident::Start::Elf(ident) => ident,
        _ => return Err(LoadError::Broken("ELF header")),
    };
    let little = ident.endian == tern_core::mem::Endian::Little;
    if ident.machine != target.elf_machine || ident.is64 != target.is64 || !little {
        return Err(LoadError::Foreign(ident.to_string()));
    }
    if target.is64 {
        read::<FileHeader64<LittleEndian>>(bytes, target)
    } else {
        read::<FileHeader32<LittleEndian>>(bytes, target)
    }
}

fn read<H: FileHeader<Endian = LittleEndian>>(bytes: Vec<u8>, target: &Target) -> Result<Image, LoadError> {
    let mut image = Image {
        kind: ELF,
        payload: Vec::new(),
        parts: Vec::new(),
        low: u64::MAX,
        high: 0,
        entry: 0,
        symbols: Symbols::new(),
    };
    scan::<H>(&bytes, target, &mut image)?;
    image.payload = bytes;
    Ok(image)
}

fn scan<H: FileHeader<Endian = LittleEndian>>(
    bytes: &[u8],
    target: &Target,
    image: &mut Image,
) -> Result<(), LoadError> {
    let le = LittleEndian;
    let header = H::parse(bytes).map_err(|_| LoadError::Broken("ELF header"))?;
    let segments = header.program_headers(le, bytes).map_err(|_| LoadError::Broken("ELF program headers"))?;
    let loaded = || segments.iter().filter(|s| s.p_type(le) == PT_LOAD && s.p_memsz(le).into() != 0);
    let lowest = loaded().map(|s| s.p_paddr(le).into()).min().unwrap_or(0);
    let bias = if header.e_type(le) == ET_DYN { bias(lowest, target) } else { 0 };
    let mut total = 0u64;
    for segment in loaded() {
        let (addr, len): (u64, u64) = (segment.p_paddr(le).into().wrapping_add(bias), segment.p_memsz(le).into());
        let (from, size): (u64, u64) = (segment.p_offset(le).into(), segment.p_filesz(le).into());
        target.check("ELF segment", addr, len)?;
        let end = from.checked_add(size).filter(|end| *end <= bytes.len() as u64 && size <= len);
        let end = end.ok_or(LoadError::Broken("ELF segment with bytes that the file does not have"))?;
        total = total.saturating_add(len);
        if total > target.ram_size {
            return Err(LoadError::Broken("ELF segments that are together bigger than RAM"));
        }
        image.parts.push(Part { addr, bytes: from as usize..end as usize, len });
        image.low = image.low.min(addr);
        image.high = image.high.max(addr + len);
    }
    if image.parts.is_empty() {
        return Err(LoadError::Broken("ELF file without anything to load"));
    }
    image.entry = header.e_entry(le).into().wrapping_add(bias);
    image.symbols = symbols(header, bytes, bias);
    Ok(())
}

/// What is added to the addresses of a program that runs anywhere: it goes to the free place unless it says one in RAM, as
/// OpenSBI's `fw_dynamic.elf`, which begins at 0.
fn bias(lowest: u64, target: &Target) -> u64 {
    if target.holds(lowest, 1) { 0 } else { target.free.wrapping_sub(lowest) }
}

/// The wanted symbols; a file may have no or a broken table of them and still be a program.
fn symbols<H: FileHeader<Endian = LittleEndian>>(header: &H, bytes: &[u8], bias: u64) -> Symbols {
    let le = LittleEndian;
    let mut found = Symbols::new();
    let Ok(sections) = header.sections(le, bytes) else { return found };
    for (index, section) in sections.enumerate() {
        if section.sh_type(le) != object::elf::SHT_SYMTAB {
            continue;
        }
        let Ok(Some(table)) = section.symbols(le, bytes, &sections, index) else { continue };
        for symbol in table.iter() {
            let name = symbol.name(le, table.strings()).unwrap_or_default();
            if let Some(wanted) = WANTED.iter().find(|w| w.as_bytes() == name) {
                found.insert(wanted, symbol.st_value(le).into().wrapping_add(bias));
            }
        }
    }
    found
}
