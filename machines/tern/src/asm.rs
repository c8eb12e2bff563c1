//! `tern asm`: assembles a source file with the instruction tables.

use crate::failure::{Failure, NOT_FOUND, USAGE, plain};
use crate::list::isa_named;
use anyhow::{Context, anyhow};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tern_session::image;

/// Largest source in bytes.
const SOURCE_MAX: u64 = 1 << 26;

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The guest ISA (see `tern list isas`)
    #[arg(long)]
    isa: String,
    /// CPU model or ISA string whose instructions are allowed
    #[arg(long, value_name = "ISA")]
    cpu: Option<String>,
    /// Address of the first byte
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "0x10000")]
    base: u64,
    /// Write the bare bytes instead of a static ELF executable
    #[arg(long)]
    raw: bool,
    /// The result; - is standard output
    #[arg(short, value_name = "OUT")]
    output: PathBuf,
    /// The source; - is standard input
    file: PathBuf,
}

/// Assembles.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let isa = isa_named(&args.isa)?;
    let assembler = isa.assembler(args.cpu.as_deref()).map_err(|e| Failure::new(USAGE, e.to_string()))?;
    let source =
        String::from_utf8(read(&args.file, SOURCE_MAX)?).map_err(|_| anyhow!("{}: not UTF-8", args.file.display()))?;
    let image = assembler
        .assemble_image(&source, args.base, &BTreeMap::new())
        .with_context(|| args.file.display().to_string())?;
    let bytes = if args.raw {
        image.bytes
    } else {
        image::executable(isa, &image, args.base).with_context(|| args.file.display().to_string())?
    };
    write(&args.output, &bytes, !args.raw).with_context(|| args.output.display().to_string())?;
    Ok(0)
}

/// An address on the command line.
pub(crate) fn address(text: &str) -> Result<u64, String> {
    crate::run::number(text).ok_or_else(|| "a number is wanted, with 0x before a hexadecimal one".to_owned())
}

/// Reads a file, or standard input if it is called `-`.
pub(crate) fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let path = if path.as_os_str() == OsStr::new("-") { Path::new("/dev/stdin") } else { path };
    tern_host::file::read_limited(path, limit).map_err(|e| {
        let status = match &e {
            tern_host::file::ReadError::Io(e) if e.kind() == std::io::ErrorKind::NotFound => NOT_FOUND,
            _ => 1,
        };
        Failure::new(status, format!("{}: {}", path.display(), plain(&e.to_string()))).into()
    })
}

fn write(path: &Path, bytes: &[u8], executable: bool) -> std::io::Result<()> {
    if path.as_os_str() == OsStr::new("-") {
        return std::io::stdout().write_all(bytes);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(if executable { 0o777 } else { 0o666 });
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    let mode = file.metadata()?.permissions().mode();
    if executable && mode & 0o111 == 0 {
        // The file was there already; whoever may read it may run it.
        file.set_permissions(std::fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
    }
    Ok(())
}
