//! `tern demo`: the guest program whose source is in `guest/demo.s`, assembled on the spot.

use crate::launch::{self, Launch};
use crate::list::isa_named;
use anyhow::Context;
use std::collections::BTreeMap;
use tern_host::sys::{file, host};
use tern_session::image;

const SOURCE: &str = include_str!("../guest/demo.s");
/// The ISA that it is written for.
const ISA: &str = "riscv64";

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the program's source instead of running it
    #[arg(long)]
    source: bool,
}

/// Runs the demonstration.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    if args.source {
        return crate::failure::print(SOURCE);
    }
    let mut launch = Launch::new(in_memory(&executable()?)?.into(), Vec::new());
    launch.argv0 = Some("demo".into());
    launch.figures = true;
    launch::run(launch)
}

/// A path that names `bytes` as long as this process lives.
fn in_memory(bytes: &[u8]) -> anyhow::Result<String> {
    let fd = file::memfd_create(c"tern-demo", host::MFD_CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[file::write(fd, rest)?..];
    }
    Ok(format!("/proc/self/fd/{fd}"))
}

/// The program as an ELF file.
fn executable() -> anyhow::Result<Vec<u8>> {
    let isa = isa_named(ISA)?;
    let image = isa.assembler(None)?.assemble_image(SOURCE, image::BASE, &BTreeMap::new()).context("guest/demo.s")?;
    Ok(image::executable(isa, &image, image::BASE)?)
}
