//! `tern disasm`: prints programs and raw code as assembly.

use crate::asm::{address, read};
use crate::failure::{Failure, NOT_EXECUTABLE, USAGE};
use crate::list::isa_named;
use anyhow::Context;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags, SegmentFlags};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use tern_core::frontend::Frontend;
use tern_session::ident::{Start, start};
use tern_session::isa;

/// Largest file in bytes.
const FILE_MAX: u64 = 1 << 32;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file is bare code, no ELF file
    #[arg(long, requires = "isa")]
    raw: bool,
    /// The guest ISA of raw code (see `tern list isas`)
    #[arg(long)]
    isa: Option<String>,
    /// CPU model or ISA string whose instructions are known
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
    /// Address of the first byte of raw code
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "0")]
    base: u64,
    /// Begin at this address
    #[arg(long, value_name = "ADDR", value_parser = address)]
    start: Option<u64>,
    /// End before this address
    #[arg(long, value_name = "ADDR", value_parser = address)]
    stop: Option<u64>,
    /// The file; - is standard input
    file: PathBuf,
}

/// A stretch of code.
struct Part<'a> {
    name: String,
    base: u64,
    bytes: &'a [u8],
}

/// Labels by address.
type Labels = BTreeMap<u64, Vec<String>>;

/// Disassembles.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let file = args.file.display().to_string();
    let bytes = read(&args.file, FILE_MAX)?;
    let refuse = |reason: &str| Failure::new(NOT_EXECUTABLE, format!("{file}: {reason}"));
    let isa = match (&args.isa, start(&bytes)) {
        (Some(name), _) => isa_named(name)?,
        (None, Start::Elf(ident)) => {
            isa::by_ident(ident).ok_or_else(|| refuse(&format!("{ident} program; this tern has {}", isa::names())))?
        }
        (None, Start::BrokenElf) => return Err(refuse("truncated or damaged ELF header").into()),
        (None, _) => return Err(refuse("no ELF file; raw code needs --raw --isa ISA").into()),
    };
    let cpu = isa.cpu(args.cpu.as_deref()).map_err(|e| Failure::new(USAGE, e.to_string()))?;
    let mut labels = Labels::new();
    let parts = if args.raw {
        vec![Part { name: String::new(), base: args.base, bytes: &bytes }]
    } else {
        elf(&bytes, &mut labels).with_context(|| file)?
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for part in &parts {
        print(&mut out, &*cpu.frontend, part, &labels, args)?;
    }
    out.flush()?;
    Ok(0)
}

/// The executable sections of an ELF file, or its executable segments if it has no sections.
fn elf<'a>(bytes: &'a [u8], labels: &mut Labels) -> anyhow::Result<Vec<Part<'a>>> {
    const SHF_EXECINSTR: u64 = 4;
    const PF_X: u32 = 1;
    let file = object::File::parse(bytes)?;
    let mut parts = Vec::new();
    for section in file.sections() {
        if matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & SHF_EXECINSTR != 0) {
            let name = section.name().unwrap_or("?").to_owned();
            parts.push(Part { name, base: section.address(), bytes: section.data()? });
        }
    }
    if parts.is_empty() {
        for segment in file.segments() {
            if matches!(segment.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags.0 & PF_X != 0) {
                parts.push(Part { name: "segment".to_owned(), base: segment.address(), bytes: segment.data()? });
            }
        }
    }
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let Ok(name) = symbol.name() else { continue };
        // `$x` and `$d` tell code from data to linkers; `.L` names are the compiler's.
        if symbol.is_definition() && !name.is_empty() && !name.starts_with(['$', '.']) {
            let names = labels.entry(symbol.address()).or_default();
            if !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
    }
    Ok(parts)
}

fn print(
    out: &mut impl Write,
    frontend: &dyn Frontend,
    part: &Part<'_>,
    labels: &Labels,
    args: &Args,
) -> anyhow::Result<()> {
    let end = part.base.saturating_add(part.bytes.len() as u64);
    let (from, to) = (args.start.unwrap_or(0).max(part.base), args.stop.unwrap_or(u64::MAX).min(end));
    if from >= to {
        return Ok(());
    }
    if !part.name.is_empty() {
        writeln!(out, "\nDisassembly of {}:", part.name)?;
    }
    let mut pc = from;
    while pc < to {
        for name in labels.get(&pc).into_iter().flatten() {
            writeln!(out, "\n{pc:016x} <{name}>:")?;
        }
        let rest = &part.bytes[(pc - part.base) as usize..];
        let (text, len) = match frontend.disassemble(rest, pc, 0) {
            Some((text, len)) if len > 0 && len <= rest.len() => (text, len),
            _ => (format!(".byte {:#04x}", rest[0]), 1),
        };
        // The bytes in memory order; most significant first within an instruction would depend on the ISA.
        let bytes: Vec<String> = rest[..len].iter().map(|b| format!("{b:02x}")).collect();
        writeln!(out, "{pc:8x}:  {:12} {text}{}", bytes.join(" "), target(&text, labels))?;
        pc = pc.saturating_add(len as u64);
    }
    Ok(())
}

/// The label that an instruction's last operand names, with its offset.
fn target(text: &str, labels: &Labels) -> String {
    let last = text.rsplit([' ', ',', '\t']).next().unwrap_or("");
    let Some(addr) = last.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
        return String::new();
    };
    match labels.range(..=addr).next_back() {
        Some((&at, names)) if addr - at < 1 << 20 && addr >= 4096 => match addr - at {
            0 => format!(" <{}>", names[0]),
            offset => format!(" <{}+{offset:#x}>", names[0]),
        },
        _ => String::new(),
    }
}
