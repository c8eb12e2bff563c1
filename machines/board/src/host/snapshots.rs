//! All media together: their snapshots, and their going to another process and coming back.

use super::blocks::{Blocks, Node, open};
use crate::config::{Content, Drive};
use tern_core::backend::{Block, BlockError, SnapshotInfo, Snapshots};
use tern_host::clock;

/// A medium that another process has for now.
struct Away {
    size: u64,
    read_only: bool,
    /// What can be seen of it meanwhile, for those who look at it while they are built.
    look: Option<Box<dyn Block>>,
}

impl Away {
    fn error<T>(&self) -> Result<T, BlockError> {
        Err(BlockError::Io("the medium is with another machine".to_owned()))
    }
}

impl Block for Away {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        match &mut self.look {
            Some(look) => look.read(offset, buf),
            None => self.error(),
        }
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        self.error()
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        self.error()
    }

    fn discard(&mut self, _: u64, _: u64) -> Result<(), BlockError> {
        self.error()
    }

    fn write_zeroes(&mut self, _: u64, _: u64, _: bool) -> Result<(), BlockError> {
        self.error()
    }
}

/// Does its contents change in a file that another process may want?
fn shared(drive: &Drive) -> bool {
    matches!(drive.content, Content::File(_)) && !drive.read_only && !drive.snapshot
}

/// Opens an image, or only finds out its size if it is not to be used yet.
pub(super) fn open_as(drive: &Drive, active: bool) -> Result<Box<dyn Block>, String> {
    if active || !shared(drive) {
        return open(drive, false);
    }
    let look = Drive { read_only: true, ..drive.clone() };
    let look = open(&look, true)?;
    Ok(Box::new(Away { size: look.size(), read_only: false, look: Some(look) }))
}

impl Blocks {
    /// The nodes that snapshots of the machine are about: these, or all that the machine may write and that outlive it.
    ///
    /// # Errors
    /// There is no such node, or one cannot have snapshots.
    pub fn snapshot_nodes(&self, wanted: Option<&[String]>) -> Result<Vec<String>, String> {
        let nodes: Vec<String> = match wanted {
            Some([]) => return Err("At least one device is required for snapshot".to_owned()),
            Some(names) => names.to_vec(),
            None => self.tops().filter(|(_, n)| shared(&n.drive)).map(|(name, _)| name.to_owned()).collect(),
        };
        for name in &nodes {
            let node = self.node(name).ok_or_else(|| format!("No block device node '{name}'"))?;
            if node.image().borrow_mut().snapshots().is_none() {
                let shown = self.shown(name);
                return Err(format!("Device '{shown}' is writable but does not support snapshots"));
            }
        }
        Ok(nodes)
    }

    /// The node that has the machine's state: this one, or the first.
    ///
    /// # Errors
    /// There is none.
    pub fn state_node(&self, nodes: &[String], wanted: Option<&str>) -> Result<String, String> {
        match wanted {
            None => nodes.first().cloned().ok_or_else(|| "no block device can store vmstate for snapshot".to_owned()),
            Some(name) if nodes.iter().any(|node| node == name) => Ok(name.to_owned()),
            Some(name) => Err(format!("vmstate block device '{name}' does not exist")),
        }
    }

    /// The snapshots of a node.
    ///
    /// # Errors
    /// In one line.
    pub fn snapshots_of(&self, node: &str) -> Result<Vec<SnapshotInfo>, String> {
        self.with(node, |s| s.list())
    }

    /// Makes a snapshot of all these nodes; `keeper` has the machine's state.
    ///
    /// # Errors
    /// In one line; none of the nodes has the snapshot then.
    pub fn create_snapshot(
        &self,
        nodes: &[String],
        (keeper, state): (&str, &[u8]),
        info: &SnapshotInfo,
    ) -> Result<(), String> {
        let date_ns = u64::try_from(clock::realtime_ns()).unwrap_or(0);
        let info = SnapshotInfo { date_ns, ..info.clone() };
        for (n, node) in nodes.iter().enumerate() {
            let state = if node == keeper { state } else { &[] };
            if let Err(why) = self.with(node, |s| s.create(&info, state)) {
                let _ = self.delete_snapshot(&nodes[..n], &info.name);
                let shown = self.shown(node);
                return Err(format!("Could not create snapshot '{}' on '{shown}': {why}", info.name));
            }
        }
        Ok(())
    }

    /// The machine's state in a snapshot of this name.
    ///
    /// # Errors
    /// In one line.
    pub fn snapshot_state(&self, nodes: &[String], keeper: &str, name: &str) -> Result<Vec<u8>, String> {
        for node in nodes {
            if self.named(node, name)?.is_none() {
                return Err(format!("Snapshot '{name}' does not exist in one or more devices"));
            }
        }
        match self.named(keeper, name)? {
            None => Err("Snapshot can not be found".to_owned()),
            Some(info) if info.state_size == 0 => {
                Err("This is a disk-only snapshot. Revert to it  offline using qemu-img".to_owned())
            }
            Some(info) => self.with(keeper, |s| s.state(&info.id)),
        }
    }

    /// Takes nodes back to a snapshot.
    ///
    /// # Errors
    /// In one line; nodes before the one at fault have been taken back.
    pub fn apply_snapshot(&self, nodes: &[String], name: &str) -> Result<(), String> {
        for node in nodes {
            let found = self.named(node, name)?;
            let info = found.ok_or_else(|| format!("Snapshot '{name}' does not exist in one or more devices"))?;
            let failed = |why| format!("Could not load snapshot '{name}' on '{}': {why}", self.shown(node));
            self.with(node, |s| s.apply(&info.id)).map_err(failed)?;
        }
        Ok(())
    }

    /// Forgets a snapshot in all nodes that have it; false: none has.
    ///
    /// # Errors
    /// In one line.
    pub fn delete_snapshot(&self, nodes: &[String], name: &str) -> Result<bool, String> {
        let mut any = false;
        for node in nodes {
            let Some(info) = self.named(node, name)? else { continue };
            let failed = |why| format!("Could not delete snapshot '{name}' on '{}': {why}", self.shown(node));
            self.with(node, |s| s.delete(&info.id)).map_err(failed)?;
            any = true;
        }
        Ok(any)
    }

    /// Does one of these nodes have a snapshot of this name?
    ///
    /// # Errors
    /// In one line.
    pub fn has_snapshot(&self, nodes: &[String], name: &str) -> Result<bool, String> {
        nodes.iter().try_fold(false, |any, node| Ok(any || self.named(node, name)?.is_some()))
    }

    fn named(&self, node: &str, name: &str) -> Result<Option<SnapshotInfo>, String> {
        Ok(self.snapshots_of(node)?.into_iter().find(|s| s.name == name))
    }

    fn with<T>(&self, name: &str, f: impl FnOnce(&mut dyn Snapshots) -> Result<T, BlockError>) -> Result<T, String> {
        let node = self.node(name).ok_or_else(|| format!("No block device node '{name}'"))?;
        let mut image = node.image().borrow_mut();
        let snapshots = image.snapshots().ok_or_else(|| BlockError::Unsupported.to_string())?;
        f(snapshots).map_err(|e| e.to_string())
    }

    /// What people call a node: the drive that it is in, or its own name.
    fn shown<'a>(&'a self, node: &'a str) -> &'a str {
        let drive = self.backends().iter().find(|b| b.node.as_deref() == Some(node));
        drive.map_or(node, |b| if b.id.is_empty() { node } else { &b.id })
    }

    /// Can all that the machine writes go to another process?
    ///
    /// # Errors
    /// Something is nowhere but in this one.
    pub fn may_be_released(&self) -> Result<(), String> {
        match self.nodes().find(|(_, n)| n.drive.snapshot && !n.drive.read_only) {
            None => Ok(()),
            Some((name, _)) => {
                let shown = self.shown(name);
                Err(format!("Device '{shown}' keeps what is written to it in this process (snapshot=on)"))
            }
        }
    }

    /// Lets go of all that the machine may write, so that another process can have it.
    ///
    /// # Errors
    /// Something that was written cannot be brought to its medium, or is nowhere but in this process; then nothing is let go.
    pub fn release_media(&mut self) -> Result<(), String> {
        self.may_be_released()?;
        for (_, node) in self.tops().filter(|(_, n)| shared(&n.drive)) {
            node.flush().map_err(|e| e.to_string())?;
        }
        for (_, node) in self.tops().filter(|(_, n)| shared(&n.drive)) {
            send_away(node);
        }
        self.set_active(false);
        Ok(())
    }

    /// Takes all that the machine may write.
    ///
    /// # Errors
    /// Another process has it; then nothing is taken.
    pub fn take_media(&mut self) -> Result<(), String> {
        if self.is_active() {
            return Ok(());
        }
        let mut taken: Vec<&Node> = Vec::new();
        for (_, node) in self.tops().filter(|(_, n)| shared(&n.drive)) {
            match open(&node.drive, false) {
                Ok(image) => *node.image().borrow_mut() = image,
                Err(why) => {
                    taken.into_iter().for_each(send_away);
                    return Err(why);
                }
            }
            taken.push(node);
        }
        self.set_active(true);
        Ok(())
    }
}

pub(super) fn send_away(node: &Node) {
    let mut image = node.image().borrow_mut();
    let away = Away { size: image.size(), read_only: image.read_only(), look: None };
    *image = Box::new(away);
}
