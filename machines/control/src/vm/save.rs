//! Snapshots in files.

use super::{RunState, Vm};
use std::fs;
use std::path::{Path, PathBuf};
use tern_host::file::read_limited;

/// Room for all of a snapshot but the RAM, in bytes: device state, flash, translations of names.
const SNAPSHOT_EXTRA: u64 = 1 << 30;

/// A snapshot of a machine with so much RAM, in bytes.
///
/// # Errors
/// A file that cannot be read, in one line.
pub fn read_snapshot(path: &Path, ram: u64) -> Result<Vec<u8>, String> {
    let limit = ram.saturating_add(ram / 8).saturating_add(SNAPSHOT_EXTRA);
    read_limited(path, limit).map_err(|e| format!("{}: {e}", path.display()))
}

/// Sees that a snapshot can be written, while nothing is lost yet if it cannot.
///
/// # Errors
/// In one line.
pub fn writable(path: &Path) -> Result<(), String> {
    let part = partial(path);
    fs::File::create(&part).map_err(|e| format!("{}: {e}", part.display()))?;
    fs::remove_file(&part).map_err(|e| format!("{}: {e}", part.display()))
}

/// The file that becomes this one when it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

/// A snapshot in the images.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its name.
    pub tag: String,
    /// Bytes of the machine's state.
    pub size: u64,
    /// Instructions that had retired.
    pub retired: u64,
}

const NO_IMAGES: &str = "snapshots in images are not built yet (tern boot --save writes files)";

impl Vm {
    /// Saves the machine and its disks under a name, in the images.
    ///
    /// # Errors
    /// In one line.
    pub fn save_image(&mut self, _tag: &str) -> Result<(), String> {
        Err(NO_IMAGES.to_owned())
    }

    /// Takes machine and disks back to what was saved under a name.
    ///
    /// # Errors
    /// In one line.
    pub fn load_image(&mut self, _tag: &str) -> Result<(), String> {
        Err(NO_IMAGES.to_owned())
    }

    /// Forgets what was saved under a name.
    ///
    /// # Errors
    /// In one line.
    pub fn delete_image(&mut self, _tag: &str) -> Result<(), String> {
        Err(NO_IMAGES.to_owned())
    }

    /// What was saved.
    ///
    /// # Errors
    /// In one line.
    pub fn images(&self) -> Result<Vec<Image>, String> {
        Ok(Vec::new())
    }

    /// Writes a snapshot; a file of that name stays as it is until the new one is whole.
    ///
    /// # Errors
    /// In one line.
    pub fn save_file(&self, path: &Path) -> Result<(), String> {
        let bytes = self.board.machine.save().map_err(|e| e.to_string())?;
        let part = partial(path);
        fs::write(&part, bytes).map_err(|e| format!("{}: {e}", part.display()))?;
        fs::rename(&part, path).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Stops the machine and writes its state to a file, for another one to go on with; the state's size in bytes.
    ///
    /// # Errors
    /// In one line; the machine then goes on if it did before.
    pub fn migrate_to(&mut self, path: &Path) -> Result<u64, String> {
        let running = self.is_running();
        self.stop_as(RunState::FinishMigrate);
        let result = self.save_file(path).and_then(|()| fs::metadata(path).map_err(|e| e.to_string()));
        match result {
            Ok(meta) => {
                self.set_status(RunState::Postmigrate);
                Ok(meta.len())
            }
            Err(why) => {
                self.set_status(RunState::Paused);
                if running {
                    self.cont()?;
                }
                Err(why)
            }
        }
    }

    /// Takes on the state that another machine has written to a file, and goes on unless it is to wait.
    ///
    /// # Errors
    /// In one line; the machine is then as after power-on, and goes on waiting.
    pub fn migrate_from(&mut self, path: &Path) -> Result<(), String> {
        let bytes = read_snapshot(path, self.config.memory)?;
        if let Err(why) = self.board.machine.load(&bytes) {
            self.board.power_on().map_err(|e| e.to_string())?;
            return Err(why.to_string());
        }
        self.set_status(RunState::Paused);
        if self.options.paused { Ok(()) } else { self.cont() }
    }
}
