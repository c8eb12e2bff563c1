//! Snapshots: in files of their own, and in the images of disks.

use super::{RunState, Vm};
use std::fs;
use std::path::{Path, PathBuf};
use tern_core::backend::SnapshotInfo;
use tern_host::clock;
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
    fs::File::create(&part).map_err(|e| format!("{}: {e}", path.display()))?;
    fs::remove_file(&part).map_err(|e| format!("{}: {e}", path.display()))
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

/// Which nodes a snapshot is about: which has the machine's state, and all of them.  None: those that there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nodes<'a> {
    /// The node with the machine's state.
    pub keeper: Option<&'a str>,
    /// All of them.
    pub all: Option<&'a [String]>,
}

impl Vm {
    /// Saves the machine and its disks under a name, in the images; an older snapshot of that name goes.  No name: one that
    /// tells the time.
    ///
    /// # Errors
    /// In one line.
    pub fn save_image(&mut self, tag: &str) -> Result<(), String> {
        if tag.is_empty() {
            let seconds = u64::try_from(clock::realtime_ns()).unwrap_or(0) / 1_000_000_000;
            return self.save_in(&format!("vm-{seconds}"), Nodes::default(), false);
        }
        self.save_in(tag, Nodes::default(), true)
    }

    /// Takes machine and disks back to what was saved under a name.
    ///
    /// # Errors
    /// In one line.
    pub fn load_image(&mut self, tag: &str) -> Result<(), String> {
        self.load_from(tag, Nodes::default())
    }

    /// Forgets what was saved under a name.
    ///
    /// # Errors
    /// In one line.
    pub fn delete_image(&mut self, tag: &str) -> Result<(), String> {
        self.delete_in(tag, None)
    }

    /// Saves machine and disks in these nodes; `replace`: in place of an older snapshot of this name.
    ///
    /// # Errors
    /// In one line.
    pub fn save_in(&mut self, tag: &str, nodes: Nodes<'_>, replace: bool) -> Result<(), String> {
        self.may_snapshot()?;
        let (all, keeper) = {
            let blocks = &self.host.world().blocks;
            let all = blocks.snapshot_nodes(nodes.all)?;
            if !replace && blocks.has_snapshot(&all, tag)? {
                return Err(format!("Snapshot '{tag}' already exists in one or more devices"));
            }
            let keeper = blocks.state_node(&all, nodes.keeper)?;
            (all, keeper)
        };
        let before = self.status();
        self.stop_as(RunState::SaveVm);
        let result = self.written_to(tag, &all, &keeper);
        self.back_to(before)?;
        result
    }

    fn written_to(&mut self, tag: &str, all: &[String], keeper: &str) -> Result<(), String> {
        let machine = &self.board.machine;
        let state = machine.save().map_err(|e| e.to_string())?;
        let info = SnapshotInfo {
            name: tag.to_owned(),
            clock_ns: machine.time(),
            icount: Some(machine.retired()),
            ..SnapshotInfo::default()
        };
        let blocks = &self.host.world().blocks;
        blocks.delete_snapshot(all, tag)?;
        blocks.create_snapshot(all, (keeper, &state), &info)
    }

    /// Takes machine and disks back to what was saved in these nodes.
    ///
    /// # Errors
    /// In one line; unless a disk is at fault, the machine then goes on as before.
    pub fn load_from(&mut self, tag: &str, nodes: Nodes<'_>) -> Result<(), String> {
        self.may_change()?;
        self.may_snapshot()?;
        let (all, state) = {
            let blocks = &self.host.world().blocks;
            let all = blocks.snapshot_nodes(nodes.all)?;
            let keeper = blocks.state_node(&all, nodes.keeper)?;
            let state = blocks.snapshot_state(&all, &keeper, tag)?;
            (all, state)
        };
        let before = self.status();
        self.stop_as(RunState::RestoreVm);
        let old = self.board.machine.save().map_err(|e| e.to_string());
        let result = old.and_then(|old| {
            let machine = &mut self.board.machine;
            let loaded = machine.load(&state).map_err(|e| e.to_string());
            if loaded.is_err() {
                machine.load(&old).map_err(|e| e.to_string())?;
            }
            loaded
        });
        if let Err(why) = result {
            self.back_to(before)?;
            return Err(format!("Error while loading VM state: {why}"));
        }
        // A machine whose disks are of another time must not run.
        let applied = self.host.world().blocks.apply_snapshot(&all, tag);
        if applied.is_err() {
            self.set_status(RunState::InternalError);
            return applied;
        }
        let ended = matches!(before, RunState::Shutdown | RunState::GuestPanicked | RunState::InternalError);
        self.back_to(if ended { RunState::Paused } else { before })
    }

    /// Forgets a snapshot in these nodes, or all.
    ///
    /// # Errors
    /// In one line.
    pub fn delete_in(&mut self, tag: &str, nodes: Option<&[String]>) -> Result<(), String> {
        self.may_snapshot()?;
        let blocks = &self.host.world().blocks;
        let all = blocks.snapshot_nodes(nodes)?;
        blocks.delete_snapshot(&all, tag).map(|_| ())
    }

    /// Begins with a snapshot in the images.
    ///
    /// # Errors
    /// In one line.
    pub fn begin_with_image(&mut self, tag: &str) -> Result<(), String> {
        self.may_change()?;
        let (all, state) = {
            let blocks = &self.host.world().blocks;
            let all = blocks.snapshot_nodes(None)?;
            let keeper = blocks.state_node(&all, None)?;
            let state = blocks.snapshot_state(&all, &keeper, tag)?;
            (all, state)
        };
        self.board.machine.load(&state).map_err(|e| format!("Error while loading VM state: {e}"))?;
        self.host.world().blocks.apply_snapshot(&all, tag)
    }

    /// The snapshots that all disks have, and that have a machine's state.
    ///
    /// # Errors
    /// In one line.
    pub fn images(&self) -> Result<Vec<Image>, String> {
        let blocks = &self.host.world().blocks;
        let all = blocks.snapshot_nodes(None)?;
        let Some(keeper) = all.first() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for info in blocks.snapshots_of(keeper)? {
            let everywhere = all.iter().try_fold(true, |yes, node| {
                Ok::<_, String>(yes && blocks.has_snapshot(core::slice::from_ref(node), &info.name)?)
            })?;
            if everywhere {
                let retired = info.icount.unwrap_or(0);
                found.push(Image { tag: info.name, size: info.state_size, retired });
            }
        }
        Ok(found)
    }

    /// Is the machine with this process, all of it?
    fn may_snapshot(&self) -> Result<(), String> {
        if self.status() == RunState::Inmigrate || !self.host.world().blocks.is_active() {
            return Err("The machine is with another process".to_owned());
        }
        if self.is_migrating() {
            return Err("There's a migration process in progress".to_owned());
        }
        Ok(())
    }

    /// Goes on as before a snapshot.
    fn back_to(&mut self, before: RunState) -> Result<(), String> {
        match before {
            RunState::Running => {
                self.set_status(RunState::Paused);
                self.cont()
            }
            other => {
                self.set_status(other);
                Ok(())
            }
        }
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
}
