//! `tern pack` of a recorded Linux program: its log with the files that it mapped and executed.

use crate::failure::Failure;
use crate::replay_process::{failed, open};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tern_linux::record::item::{Contents, Item};
use tern_linux::record::replay::setup;
use tern_session::record::{Hash, Writer};

/// Packs the log.  A child's parents are packed by themselves; they keep their names.
pub(crate) fn run(path: &Path, output: &Path) -> Result<(), Failure> {
    let mut log = open(path)?;
    setup(&log).map_err(|e| failed(path, e))?;
    let here = std::fs::canonicalize(path).map_err(|e| failed(path, e))?;
    if std::fs::canonicalize(output).is_ok_and(|there| there == here) {
        return Err(failed(output, "a log cannot be packed into itself"));
    }
    let file = File::create(output).map_err(|e| failed(output, e))?;
    let mut writer: Writer<Item> = Writer::new(Box::new(file), log.header()).map_err(|e| failed(output, e))?;
    let mut there = BTreeSet::new();
    while let Some(item) = log.next_item().map_err(|e| failed(path, e))? {
        for file in item.files() {
            match &file.contents {
                Contents::Whole(hash) if there.insert(*hash) => {
                    let bytes = match log.blob(hash).map_err(|e| failed(path, e))? {
                        Some(bytes) => bytes,
                        None => contents(&file.path, hash)?,
                    };
                    writer.blob(&bytes).map_err(|e| failed(output, e))?;
                }
                Contents::Whole(_) => {}
                Contents::Pieces(pieces) => {
                    for (_, hash) in pieces {
                        let bytes = log.blob(hash).map_err(|e| failed(path, e))?;
                        let bytes = bytes.ok_or_else(|| failed(path, "it lacks contents that it refers to"))?;
                        writer.blob(&bytes).map_err(|e| failed(output, e))?;
                    }
                }
            }
        }
        writer.push(&item).map_err(|e| failed(output, e))?;
    }
    let end = if log.ended() { writer.end() } else { writer.flush() };
    end.map_err(|e| failed(output, e))
}

/// A file that has not changed.
fn contents(path: &[u8], hash: &Hash) -> Result<Vec<u8>, Failure> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let bytes = std::fs::read(path).map_err(|e| failed(path, e))?;
    if Hash::of(&bytes) == *hash { Ok(bytes) } else { Err(failed(path, "it has changed since the recording")) }
}
