//! `tern pack`: a log together with all that was used of files and media, for somebody who has nothing else.

use crate::failure::Failure;
use crate::tape::{Log, bad};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tern_board::backends::{Port, User};
use tern_board::config::{Chardev, Spec};
use tern_board::host::Host;
use tern_control::record::{contents, replayed};
use tern_core::backend::Block;
use tern_core::codec;
use tern_session::machine::disk::STRETCH;
use tern_session::machine::tape::Item;
use tern_session::record::{Hash, Header, Writer};

/// Options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The log
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// The packed log
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Packs a log.
pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let output = std::path::absolute(&args.output)?;
    let file = std::path::absolute(&args.log)?;
    pack(&file, &output).map_err(|text| Failure::bare(1, text))?;
    Ok(0)
}

fn pack(file: &Path, output: &Path) -> Result<(), String> {
    let mut log = Log::open(file)?;
    if log.setup.packed {
        return Err(bad(file, "it is packed already"));
    }
    if same(file, output) {
        return Err(bad(output, "a log cannot be packed into itself"));
    }
    let (mut config, _) = log.machine()?;
    let nothing = |_: &Chardev| Some(Spec::Null);
    replayed(&mut config, &log.setup, &nothing)?;
    let host = Host::new(&config, Rc::new(|_| {}))?;
    let mut setup = log.setup.clone();
    setup.packed = true;
    let header = Header { setup: codec::encode(&setup).map_err(|e| bad(file, e))?, ..log.header.clone() };
    let out = File::create(output).map_err(|e| bad(output, e))?;
    let mut writer = Writer::new(Box::new(out), &header).map_err(|e| bad(output, e))?;
    for used in &setup.files {
        let bytes = fs::read(&used.path).map_err(|e| bad(Path::new(&used.path), e))?;
        if Hash::of(&bytes) != used.hash {
            return Err(bad(Path::new(&used.path), "it has changed since the recording"));
        }
        writer.blob(&bytes).map_err(|e| bad(output, e))?;
    }
    let mut media = Media { host, open: BTreeMap::new() };
    while let Some(item) = log.reader.next().map_err(|e| bad(file, e))? {
        if let Item::Image(drive, n, hash) = &item {
            let bytes = media.stretch(drive, *n)?;
            if Hash::of(&bytes) != *hash {
                return Err(format!(
                    "drive {drive} has changed since the recording, at byte {}",
                    n.saturating_mul(STRETCH)
                ));
            }
            writer.blob(&bytes).map_err(|e| bad(output, e))?;
        }
        writer.push(&item).map_err(|e| bad(output, e))?;
    }
    if log.reader.ended() { writer.end() } else { writer.flush() }.map_err(|e| bad(output, e))?;
    let (size, _) = contents(output)?;
    println!("{}: {size} bytes", output.display());
    Ok(())
}

/// Are these the same file?
fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(a), Ok(b)) if a == b)
}

/// The media of the recorded machine.
struct Media {
    host: Host,
    open: BTreeMap<String, Box<dyn Block>>,
}

impl Media {
    fn stretch(&mut self, drive: &str, n: u64) -> Result<Vec<u8>, String> {
        if !self.open.contains_key(drive) {
            let user = User { path: drive.to_owned(), port: Port { device: 0, port: 0 } };
            let block = self.host.world().blocks.attach(drive, user)?;
            self.open.insert(drive.to_owned(), block);
        }
        let block = self.open.get_mut(drive).ok_or_else(|| format!("there is no drive {drive}"))?;
        let at = n.checked_mul(STRETCH).filter(|at| *at < block.size());
        let at = at.ok_or_else(|| format!("drive {drive} has no stretch {n}"))?;
        let mut bytes = vec![0; (block.size() - at).min(STRETCH) as usize];
        block.read(at, &mut bytes).map_err(|e| format!("drive {drive}: {e}"))?;
        Ok(bytes)
    }
}
