//! Media: nodes that hold images, and the drives that devices see, whose node can change while the machine runs.

use super::snapshots::{open_as, send_away};
use crate::backends::{Port, User, VIRTIO_INSIDE};
use crate::config::{Content, Drive, Medium};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tern_core::backend::{Block, BlockError};
use tern_host::image::{self, Cache, Format};

/// An image that is open.
pub(super) type Image = Rc<RefCell<Box<dyn Block>>>;

/// What a drive has done, in requests and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "names of the figures")]
pub struct Counts {
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    pub write_bytes: u64,
    pub flushes: u64,
    pub discards: u64,
    pub discard_bytes: u64,
    pub failed: u64,
}

/// What a device's end of a drive is connected to.
#[derive(Default)]
struct Slot {
    image: RefCell<Option<Image>>,
    counts: Cell<Counts>,
    /// The tray is open, and whether the guest keeps it shut.
    open: Cell<bool>,
    locked: Cell<bool>,
    /// The guest has moved the tray, and nobody has been told.
    moved: Cell<bool>,
    /// The user wants the medium; true: whatever the lock says.
    eject: Cell<Option<bool>>,
}

impl Slot {
    fn image(&self) -> Result<Image, BlockError> {
        self.image.borrow().clone().ok_or_else(|| BlockError::Io("there is no medium".to_owned()))
    }

    fn count<T>(&self, result: Result<T, BlockError>, f: impl FnOnce(&mut Counts)) -> Result<T, BlockError> {
        let mut counts = self.counts.get();
        if result.is_ok() {
            f(&mut counts)
        } else {
            counts.failed += 1
        }
        self.counts.set(counts);
        result
    }
}

/// A drive as its device has it.
struct Handle(Rc<Slot>);

impl Block for Handle {
    fn size(&self) -> u64 {
        self.0.image().map_or(0, |image| image.borrow().size())
    }

    fn read_only(&self) -> bool {
        self.0.image().is_ok_and(|image| image.borrow().read_only())
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        let result = self.0.image()?.borrow_mut().read(offset, buf);
        self.0.count(result, |c| (c.reads, c.read_bytes) = (c.reads + 1, c.read_bytes + buf.len() as u64))
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        let result = self.0.image()?.borrow_mut().write(offset, buf);
        self.0.count(result, |c| (c.writes, c.write_bytes) = (c.writes + 1, c.write_bytes + buf.len() as u64))
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let result = self.0.image()?.borrow_mut().flush();
        self.0.count(result, |c| c.flushes += 1)
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        let result = self.0.image()?.borrow_mut().discard(offset, len);
        self.0.count(result, |c| (c.discards, c.discard_bytes) = (c.discards + 1, c.discard_bytes + len))
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, unmap: bool) -> Result<(), BlockError> {
        let result = self.0.image()?.borrow_mut().write_zeroes(offset, len, unmap);
        self.0.count(result, |c| (c.writes, c.write_bytes) = (c.writes + 1, c.write_bytes + len))
    }

    fn present(&self) -> bool {
        self.0.image.borrow().is_some()
    }

    fn tray_open(&self) -> bool {
        self.0.open.get()
    }

    fn tray(&mut self, open: bool, by_guest: bool) {
        self.0.open.set(open);
        if by_guest {
            self.0.moved.set(true);
        }
    }

    fn lock(&mut self, locked: bool) {
        self.0.locked.set(locked);
    }

    fn eject_request(&mut self) -> Option<bool> {
        self.0.eject.take()
    }
}

/// Bytes that read as zeros, whatever is written.
struct Null {
    size: u64,
    read_only: bool,
}

impl Null {
    fn inside(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size);
        end.map(|_| ()).ok_or(BlockError::OutOfRange)
    }
}

impl Block for Null {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        buf.fill(0);
        self.inside(offset, buf.len() as u64)
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> Result<(), BlockError> {
        self.inside(offset, buf.len() as u64)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&mut self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.inside(offset, len)
    }

    fn write_zeroes(&mut self, offset: u64, len: u64, _unmap: bool) -> Result<(), BlockError> {
        self.inside(offset, len)
    }
}

/// A node: an image.
pub struct Node {
    /// What it is and how it was opened.
    pub drive: Drive,
    image: Image,
}

impl Node {
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.image.borrow().size()
    }

    /// Sees that all that was written is on the medium.
    ///
    /// # Errors
    /// See [`Block::flush`].
    pub fn flush(&self) -> Result<(), BlockError> {
        self.image.borrow_mut().flush()
    }

    /// The name of the format's driver.
    #[must_use]
    pub fn driver(&self) -> &str {
        match &self.drive.content {
            Content::Null(_) => "null-co",
            Content::File(_) => self.drive.format.as_deref().unwrap_or("raw"),
        }
    }
}

/// A drive: the end of a device.
pub struct Backend {
    /// Its name; empty: it has only its device.
    pub id: String,
    /// The node that is in it.
    pub node: Option<String>,
    /// The device that has it.
    pub user: Option<User>,
    slot: Rc<Slot>,
}

impl Backend {
    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.slot.counts.get()
    }

    /// Is its tray open, and does the guest keep it shut?
    #[must_use]
    pub fn tray(&self) -> (bool, bool) {
        (self.slot.open.get(), self.slot.locked.get())
    }

    /// Opens or closes its tray.
    pub fn set_tray(&self, open: bool) {
        self.slot.open.set(open);
    }

    /// Asks its device for the medium; `force`: whatever the guest's lock says.  The device must hear of it.
    pub fn request_eject(&self, force: bool) {
        self.slot.eject.set(Some(force));
    }

    /// Has the guest moved the tray since this was asked last?
    #[must_use]
    pub fn take_moved(&self) -> bool {
        self.slot.moved.take()
    }
}

/// All media.
#[derive(Default)]
pub struct Blocks {
    nodes: BTreeMap<String, Node>,
    backends: Vec<Backend>,
    /// Nodes without a name so far.
    unnamed: u32,
    /// Another process has what the machine may write.
    away: bool,
}

impl Blocks {
    /// Is what the machine may write with this process?
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.away
    }

    pub(super) fn set_active(&mut self, active: bool) {
        self.away = !active;
    }

    /// Name, size and read-only flag of what is in drives.
    #[must_use]
    pub fn media(&self) -> Vec<(String, u64, bool)> {
        let node = |b: &Backend| self.nodes.get(b.node.as_ref()?);
        let one = |b: &Backend| node(b).map(|n| (b.id.clone(), n.size(), n.drive.read_only));
        self.backends.iter().filter_map(one).collect()
    }

    /// Adds a medium as a configuration has it.
    ///
    /// # Errors
    /// A name that is taken, an image that cannot be opened.
    pub fn add(&mut self, medium: &Medium) -> Result<(), String> {
        if !medium.id.is_empty() && self.find(&medium.id).is_some() {
            return Err(format!("Duplicate ID '{}' for drive", medium.id));
        }
        let node = match &medium.drive {
            Some(drive) => Some(self.add_node(&medium.node, drive)?),
            None => None,
        };
        if !medium.id.is_empty() {
            self.insert(medium.id.clone(), node, None);
        }
        Ok(())
    }

    /// Opens an image as a node; an empty name: the next unused one.  Its name.
    ///
    /// # Errors
    /// A name that is taken, an image that cannot be opened.
    pub fn add_node(&mut self, name: &str, drive: &Drive) -> Result<String, String> {
        let name = if name.is_empty() {
            self.unnamed += 1;
            format!("#block{:03}", self.unnamed)
        } else {
            name.to_owned()
        };
        if self.nodes.contains_key(&name) || self.find(&name).is_some() {
            return Err(format!("Duplicate nodes with node-name='{name}'"));
        }
        if let Some(below) = &drive.over {
            let node = self.nodes.get(below);
            let node = node.ok_or_else(|| format!("Cannot find device='' nor node-name='{below}'"))?;
            if let Some(user) = self.user_of(below) {
                return Err(format!("Node '{below}' is in use by {user}"));
            }
            send_away(node);
        }
        match open_as(drive, !self.away) {
            Ok(image) => {
                self.nodes.insert(name.clone(), Node { drive: drive.clone(), image: Rc::new(RefCell::new(image)) });
                Ok(name)
            }
            Err(why) => {
                self.give_back(drive.over.as_deref())?;
                Err(why)
            }
        }
    }

    /// Who has a node: a drive, or the node of a format.
    fn user_of(&self, name: &str) -> Option<String> {
        let over = self.nodes.iter().find(|(_, n)| n.drive.over.as_deref() == Some(name));
        let over = over.map(|(upper, _)| format!("'{upper}', as its 'file'"));
        over.or_else(|| self.backends.iter().any(|b| b.node.as_deref() == Some(name)).then(|| "a drive".to_owned()))
    }

    /// A node whose format is gone is one to be used again.
    fn give_back(&self, below: Option<&str>) -> Result<(), String> {
        if let Some(node) = below.and_then(|name| self.nodes.get(name)) {
            *node.image.borrow_mut() = open_as(&node.drive, !self.away)?;
        }
        Ok(())
    }

    /// Nodes that are no other node's `file`.
    pub(super) fn tops(&self) -> impl Iterator<Item = (&str, &Node)> {
        let below = |name: &str| self.nodes.values().any(|n| n.drive.over.as_deref() == Some(name));
        self.nodes().filter(move |(name, _)| !below(name))
    }

    /// Closes a node.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn remove_node(&mut self, name: &str) -> Result<(), String> {
        if !self.nodes.contains_key(name) {
            return Err(format!("Failed to find node with node-name='{name}'"));
        }
        if self.nodes.values().any(|n| n.drive.over.as_deref() == Some(name)) {
            return Err(format!("Node '{name}' is busy: node is used as 'file' of another"));
        }
        if self.backends.iter().any(|b| b.node.as_deref() == Some(name)) {
            return Err(format!("Node {name} is in use"));
        }
        let node = self.nodes.remove(name);
        self.give_back(node.and_then(|n| n.drive.over).as_deref())
    }

    /// The nodes by their names.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// A node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The drives, in the order in which they were made.
    #[must_use]
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The drive with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Backend> {
        self.backends.iter().find(|b| !id.is_empty() && b.id == id)
    }

    /// The drive with this name, or of the device with this name or path.
    #[must_use]
    pub fn drive_of(&self, name: &str) -> Option<&Backend> {
        let name = name.strip_suffix(VIRTIO_INSIDE).and_then(|n| n.strip_suffix('/')).unwrap_or(name);
        let of_device = |b: &&Backend| {
            let path = b.user.as_ref().map_or("", |u| u.path.as_str());
            path == name || path.strip_prefix("/machine/peripheral/") == Some(name)
        };
        self.find(name).or_else(|| self.backends.iter().find(of_device))
    }

    fn insert(&mut self, id: String, node: Option<String>, user: Option<User>) -> Rc<Slot> {
        let slot = Rc::new(Slot::default());
        *slot.image.borrow_mut() = node.as_ref().and_then(|name| self.nodes.get(name)).map(|n| n.image.clone());
        self.backends.push(Backend { id, node, user, slot: slot.clone() });
        slot
    }

    /// Gives a medium to a device.
    ///
    /// # Errors
    /// There is none of this name, or somebody has it.
    pub fn attach(&mut self, name: &str, user: User) -> Result<Box<dyn Block>, String> {
        if let Some(backend) = self.backends.iter_mut().find(|b| b.id == name && !name.is_empty()) {
            if backend.user.is_some() {
                return Err(format!("Drive '{name}' is already in use by another device"));
            }
            backend.user = Some(user);
            return Ok(Box::new(Handle(backend.slot.clone())));
        }
        if !self.nodes.contains_key(name) {
            return Err(format!("there is no drive '{name}'"));
        }
        if let Some(user) = self.user_of(name) {
            return Err(match user.as_str() {
                "a drive" => format!("node '{name}' is already in use by another device"),
                _ => format!("Node '{name}' is in use by {user}"),
            });
        }
        Ok(Box::new(Handle(self.insert(String::new(), Some(name.to_owned()), Some(user)))))
    }

    /// Puts a node into a drive, or takes out what is there; the port of the device that must hear of it.
    ///
    /// # Errors
    /// There is no such drive or node, or the node is in use.
    pub fn change(&mut self, drive: &str, node: Option<&str>) -> Result<Option<Port>, String> {
        let image = match node {
            None => None,
            Some(name) => {
                let found =
                    self.nodes.get(name).ok_or_else(|| format!("Failed to find node with node-name='{name}'"))?;
                if self.backends.iter().any(|b| b.node.as_deref() == Some(name)) {
                    return Err(format!("Node '{name}' is already in use"));
                }
                Some(found.image.clone())
            }
        };
        let at = self.drive_of(drive).map(|b| Rc::as_ptr(&b.slot));
        let found = self.backends.iter_mut().find(|b| Some(Rc::as_ptr(&b.slot)) == at);
        let backend = found.ok_or_else(|| format!("Device '{drive}' not found"))?;
        backend.node = node.map(str::to_owned);
        *backend.slot.image.borrow_mut() = image;
        Ok(backend.user.as_ref().map(|u| u.port))
    }

    pub(super) fn users(&mut self) -> impl Iterator<Item = &mut User> {
        self.backends.iter_mut().filter_map(|b| b.user.as_mut())
    }

    /// Gives the medium of a drive or node another size in bytes; the port of the device that must hear of it.
    ///
    /// # Errors
    /// There is no such drive or node, or it keeps its size.
    pub fn resize(&mut self, name: &str, size: u64) -> Result<Option<Port>, String> {
        let backend = self.drive_of(name).or_else(|| self.backends.iter().find(|b| b.node.as_deref() == Some(name)));
        let node = backend.map_or(Some(name), |b| b.node.as_deref());
        let node = node.and_then(|name| self.nodes.get(name));
        let node = node.ok_or_else(|| format!("Cannot find device='{name}' nor node-name='{name}'"))?;
        node.image.borrow_mut().resize(size).map_err(|e| e.to_string())?;
        Ok(backend.and_then(|b| b.user.as_ref()).map(|u| u.port))
    }

    /// The device with this path is gone.
    pub(super) fn release(&mut self, path: &str) {
        for backend in &mut self.backends {
            if backend.user.as_ref().is_some_and(|u| u.path == path) {
                backend.user = None;
            }
        }
        self.backends.retain(|b| b.user.is_some() || !b.id.is_empty());
    }

    /// Removes a drive that no device has, with its node.
    ///
    /// # Errors
    /// There is none, or a device has it.
    pub fn remove(&mut self, id: &str) -> Result<(), String> {
        let at = self.backends.iter().position(|b| b.id == id && !id.is_empty());
        let at = at.ok_or_else(|| format!("Device '{id}' not found"))?;
        if self.backends[at].user.is_some() {
            return Err(format!("Drive '{id}' is in use"));
        }
        let backend = self.backends.remove(at);
        let node = backend.node.and_then(|node| self.nodes.remove(&node));
        self.give_back(node.and_then(|n| n.drive.over).as_deref())
    }
}

/// Opens an image; `unlocked`: whoever uses it.
pub(super) fn open(drive: &Drive, unlocked: bool) -> Result<Box<dyn Block>, String> {
    let path: &Path = match &drive.content {
        Content::Null(size) => return Ok(Box::new(Null { size: *size, read_only: drive.read_only })),
        Content::File(path) => path,
    };
    let shown = path.display();
    let format = match drive.format.as_deref() {
        None => None,
        Some(name) => Some(
            Format::by_name(name)
                .ok_or_else(|| format!("{shown}: unknown image format `{name}` (raw and qcow2 are known)"))?,
        ),
    };
    let cache = match drive.cache.as_deref() {
        None => Cache::default(),
        Some(name) => Cache::by_name(name).ok_or_else(|| format!("{shown}: unknown cache mode `{name}`"))?,
    };
    let options = image::Options {
        format,
        cache,
        read_only: drive.read_only,
        discard: drive.discard,
        snapshot: drive.snapshot.then_some(image::Snapshot::Memory),
        unlocked,
    };
    image::open(path, &options).map_err(|e| e.to_string())
}
