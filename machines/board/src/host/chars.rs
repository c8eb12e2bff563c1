//! Character devices: terminals, sockets, files, and who has them: devices, or monitors.

use crate::backends::{Port, User};
use crate::config::{Chardev, Setup, Spec};
use std::collections::{BTreeMap, VecDeque};
use tern_core::backend::CharSink;
use tern_host::chardev::{Change, Chardev as Ends, Descriptor, Descriptors, Handle, Source};
use tern_host::console::ConsoleEvent;
use tern_host::wait::Interest;

/// Most bytes of input that wait for whoever has a character device; more stays with the host.
const BACKLOG: usize = 1 << 16;

/// Who has a character device.
enum Holder {
    Device(User),
    /// A monitor, or qtest: whoever calls [`Chars::read`].
    Surface,
    /// A backend that speaks over the connection itself.
    Backend,
}

/// What the rest of the world must hear of.
pub(super) enum Event {
    /// The user ends the run.
    Quit,
    /// A line for the user.
    Tell(&'static str),
}

/// A character device.
pub struct Node {
    handle: Handle,
    source: Box<dyn Source>,
    waiting: VecDeque<u8>,
    /// Descriptors that came along.
    fds: Vec<Descriptor>,
    /// Can anything ever come?
    live: bool,
    setup: Setup,
    /// Those that have it; of a multiplexed one, the one that `focus` counts has the input.
    holders: Vec<Holder>,
    focus: usize,
    /// Connections that have come about or ended, for whoever has it.
    changes: Vec<Change>,
    /// The user has called for the monitor.
    entered: bool,
}

impl Node {
    /// What it is and what it is connected to, as `query-chardev` shows it.
    #[must_use]
    pub fn shown(&self) -> String {
        self.handle.info()
    }

    /// What it was made of.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its other end.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Does anybody have it?
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.holders.is_empty()
    }

    fn focused(&self) -> Option<&Holder> {
        self.holders.get(self.focus)
    }

    fn is_surface(&self) -> bool {
        matches!(self.focused(), Some(Holder::Surface))
    }
}

/// All character devices.
#[derive(Default)]
pub struct Chars {
    nodes: BTreeMap<String, Node>,
    /// Standard input and output have been given away.
    stdio: bool,
}

impl Chars {
    /// Adds one; what the user should know about it.
    ///
    /// # Errors
    /// A name that is taken, something that cannot be opened.
    pub fn add(&mut self, chardev: &Chardev, descriptors: &mut Descriptors) -> Result<Option<String>, String> {
        if self.nodes.contains_key(&chardev.id) {
            return Err(format!("Duplicate ID '{}' for chardev", chardev.id));
        }
        let setup = &chardev.setup;
        let is_stdio = matches!(setup.spec, Spec::Stdio { .. });
        if is_stdio && self.stdio {
            return Err("cannot use stdio by multiple character devices".to_owned());
        }
        let Ends { source, note, handle, .. } = setup.open(descriptors).map_err(|e| e.to_string())?;
        self.stdio |= is_stdio;
        let live = !matches!(setup.spec, Spec::Null | Spec::File { input: None, .. } | Spec::Ring { .. });
        let node = Node {
            handle,
            source,
            waiting: VecDeque::new(),
            fds: Vec::new(),
            live,
            setup: setup.clone(),
            holders: Vec::new(),
            focus: 0,
            changes: Vec::new(),
            entered: false,
        };
        self.nodes.insert(chardev.id.clone(), node);
        Ok(note)
    }

    /// Removes one that nobody has.
    ///
    /// # Errors
    /// There is none, or somebody has it.
    pub fn remove(&mut self, id: &str) -> Result<(), String> {
        let node = self.nodes.get(id).ok_or_else(|| format!("Chardev '{id}' not found"))?;
        if node.is_used() {
            return Err(format!("Chardev '{id}' is busy"));
        }
        self.nodes.remove(id);
        Ok(())
    }

    /// All of them, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(id, node)| (id.as_str(), node))
    }

    /// The one with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    fn hold(&mut self, id: &str, holder: Holder) -> Result<Box<dyn CharSink>, String> {
        let node = self.nodes.get_mut(id).ok_or_else(|| format!("there is no chardev '{id}'"))?;
        if node.is_used() && !node.setup.mux {
            return Err(format!("chardev '{id}' is already in use"));
        }
        node.holders.push(holder);
        // Devices have the input until somebody asks for a monitor.
        let first = node.holders.iter().position(|h| matches!(h, Holder::Device(_)));
        node.focus = first.unwrap_or(0);
        Ok(node.handle.sink())
    }

    /// Gives one to a device.
    pub(super) fn attach(&mut self, id: &str, user: User) -> Result<Box<dyn CharSink>, String> {
        self.hold(id, Holder::Device(user))
    }

    /// Gives one to a monitor or the like, which calls [`Chars::read`].
    ///
    /// # Errors
    /// There is none, or somebody has it.
    pub fn attach_surface(&mut self, id: &str) -> Result<Box<dyn CharSink>, String> {
        self.hold(id, Holder::Surface)
    }

    /// Gives one to a backend that speaks over its connection itself, until [`Chars::give_back`].
    pub(super) fn take_over(&mut self, id: &str) -> Result<Handle, String> {
        let node = self.nodes.get(id).ok_or_else(|| format!("chardev \"{id}\" not found"))?;
        if node.is_used() {
            return Err(format!("chardev '{id}' is already in use"));
        }
        let handle = node.handle.clone();
        self.hold(id, Holder::Backend)?;
        Ok(handle)
    }

    /// Takes one back that had been given to a backend.
    pub(super) fn give_back(&mut self, id: &str) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.holders.retain(|h| !matches!(h, Holder::Backend));
        }
    }

    /// What has come for the monitor or the like that has this one.
    pub fn read(&mut self, id: &str) -> Vec<u8> {
        match self.nodes.get_mut(id) {
            Some(node) if node.is_surface() => node.waiting.drain(..).collect(),
            _ => Vec::new(),
        }
    }

    /// Has the user called for the monitor that has this one since this was asked last?
    pub fn take_entered(&mut self, id: &str) -> bool {
        self.nodes.get_mut(id).is_some_and(|node| core::mem::take(&mut node.entered))
    }

    /// Connections that have come about or ended for the monitor or the like that has this one.
    pub fn changes(&mut self, id: &str) -> Vec<Change> {
        self.nodes.get_mut(id).map_or(Vec::new(), |node| core::mem::take(&mut node.changes))
    }

    /// Descriptors that came along with what the monitor that has this one has read.
    pub fn take_fds(&mut self, id: &str) -> Vec<Descriptor> {
        self.nodes.get_mut(id).map_or(Vec::new(), |node| core::mem::take(&mut node.fds))
    }

    /// Lets a monitor go.
    pub fn release_surface(&mut self, id: &str) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.holders.retain(|h| !matches!(h, Holder::Surface));
            node.focus = 0;
        }
    }

    /// Gives the input to the next one that has it, as the user's escape key does.
    pub fn next_focus(&mut self, id: &str) {
        if let Some(node) = self.nodes.get_mut(id).filter(|n| !n.holders.is_empty()) {
            node.focus = (node.focus + 1) % node.holders.len();
        }
    }

    /// Does a monitor have something to read?
    pub(super) fn wants_attention(&self) -> bool {
        self.nodes.values().any(|n| n.is_surface() && (n.entered || !n.waiting.is_empty() || !n.changes.is_empty()))
    }

    pub(super) fn users(&mut self) -> impl Iterator<Item = &mut User> {
        self.nodes.values_mut().flat_map(|n| &mut n.holders).filter_map(|h| match h {
            Holder::Device(user) => Some(user),
            Holder::Surface | Holder::Backend => None,
        })
    }

    pub(super) fn release(&mut self, path: &str) {
        for node in self.nodes.values_mut() {
            node.holders.retain(|h| !matches!(h, Holder::Device(user) if user.path == path));
            node.focus = 0;
        }
    }

    pub(super) fn poll(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for node in self.nodes.values_mut() {
            if node.waiting.len() >= BACKLOG {
                continue;
            }
            for event in node.source.poll() {
                match event {
                    ConsoleEvent::Bytes(bytes) => node.waiting.extend(bytes),
                    ConsoleEvent::Quit | ConsoleEvent::Signal(_) => events.push(Event::Quit),
                    ConsoleEvent::Closed => node.live = false,
                    ConsoleEvent::Monitor if node.holders.len() > 1 => {
                        node.focus = (node.focus + 1) % node.holders.len();
                        node.entered = node.is_surface();
                    }
                    ConsoleEvent::Monitor => events.push(Event::Tell("there is no monitor on this terminal")),
                    ConsoleEvent::Break => events.push(Event::Tell("serial ports here have no break line")),
                    ConsoleEvent::Sync => events.push(Event::Tell("disks hold nothing back: what is flushed is saved")),
                }
            }
            let fds = node.source.take_fds();
            let changes = node.source.changes();
            if node.is_surface() {
                node.fds.extend(fds);
                node.changes.extend(changes);
            }
        }
        events
    }

    pub(super) fn watch(&self, fds: &mut Vec<(i32, Interest)>) -> u64 {
        let mut timeout = u64::MAX;
        for node in self.nodes.values().filter(|n| n.waiting.len() < BACKLOG) {
            fds.extend(node.source.fds().into_iter().map(|fd| (fd, Interest::READ)));
            timeout = timeout.min(node.source.again().unwrap_or(u64::MAX));
        }
        timeout
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.nodes.values().flat_map(|n| &n.holders).filter_map(|h| match h {
            Holder::Device(user) => Some(user.port),
            Holder::Surface | Holder::Backend => None,
        })
    }

    pub(super) fn take(&mut self, port: Port, room: usize) -> Option<Vec<u8>> {
        let has = |n: &&mut Node| matches!(n.focused(), Some(Holder::Device(user)) if user.port == port);
        let node = self.nodes.values_mut().find(has)?;
        let n = node.waiting.len().min(room);
        (n > 0).then(|| node.waiting.drain(..n).collect())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.nodes.values().any(|n| n.live || !n.waiting.is_empty())
    }
}
