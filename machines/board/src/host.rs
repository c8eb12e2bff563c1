//! Backends as the host has them, and the world outside that they make up: terminals, networks, signals, time.

use crate::backends::{Backends, Port};
use crate::config::{Char, Drive, Link, Net, Share};
use std::collections::VecDeque;
use std::path::Path;
use tern_core::backend::fs::FileSystem;
use tern_core::backend::{Block, CharSink, Entropy, NetSink};
use tern_host::chardev::{Chardev, Source, Spec};
use tern_host::clock;
use tern_host::console::ConsoleEvent;
use tern_host::entropy::{FromFile, Host, Seeded};
use tern_host::image::{self, Cache, Format};
use tern_host::net::{self, pcap::Dump};
use tern_host::wait::{Interest, Poller};
use tern_session::machine::{Control, Outside};

/// Most bytes of input that wait for a device; more stays with the host.
const BACKLOG: usize = 1 << 16;
/// Bytes of a frame that a dump keeps.
const SNAP: usize = 65_536;

/// A cable that is not plugged in.
struct Unplugged;

impl NetSink for Unplugged {
    fn send(&mut self, _frame: &[u8]) {}
}

/// The host's backends.
pub struct HostBackends {
    world: World,
    seed: Option<u64>,
    /// Standard input and output have been given away.
    stdio: bool,
}

impl HostBackends {
    /// Backends of a machine whose randomness has this seed, or is the host's.  `tell` gets lines for the user.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn new(seed: Option<u64>, tell: Box<dyn FnMut(&str)>) -> std::io::Result<HostBackends> {
        Ok(HostBackends { world: World::new(tell)?, seed, stdio: false })
    }

    /// The world that they make up.
    #[must_use]
    pub fn into_world(self) -> World {
        self.world
    }
}

impl Backends for HostBackends {
    fn disk(&mut self, drive: &Drive) -> Result<Box<dyn Block>, String> {
        let format = match drive.format.as_deref() {
            None => None,
            Some(name) => Some(Format::by_name(name).ok_or_else(|| {
                format!("{}: unknown image format `{name}` (raw and qcow2 are known)", drive.file.display())
            })?),
        };
        let cache = match drive.cache.as_deref() {
            None => Cache::default(),
            Some(name) => {
                Cache::by_name(name).ok_or_else(|| format!("{}: unknown cache mode `{name}`", drive.file.display()))?
            }
        };
        let options = image::Options {
            format,
            cache,
            read_only: drive.read_only,
            discard: drive.discard,
            snapshot: drive.snapshot.then_some(image::Snapshot::Memory),
            ..image::Options::default()
        };
        image::open(&drive.file, &options).map_err(|e| e.to_string())
    }

    fn chars(&mut self, what: &Char, port: Port) -> Result<Box<dyn CharSink>, String> {
        let spec = match what {
            Char::Null => Spec::Null,
            Char::File(path) => Spec::File { path: path.clone(), append: false, input: None },
            Char::Stdio(monitor) => Spec::Stdio { escapes: *monitor, signals: !*monitor },
            Char::Other(text) => Spec::parse(text).map_err(|e| e.to_string())?,
        };
        if matches!(spec, Spec::Stdio { .. }) && core::mem::replace(&mut self.stdio, true) {
            return Err("standard input and output can be given to one device only".into());
        }
        let Chardev { sink, source, note, .. } = spec.open().map_err(|e| e.to_string())?;
        if let Some(note) = note {
            (self.world.tell)(&note);
        }
        let (device, port) = (port.device, port.port);
        let open = !matches!(spec, Spec::Null | Spec::File { .. });
        self.world.terminals.push(Terminal { device, port, source, waiting: VecDeque::new(), open });
        Ok(sink)
    }

    fn net(&mut self, net: &Net, port: Port) -> Result<Box<dyn NetSink>, String> {
        let text = match &net.link {
            Link::None => return Ok(Box::new(Unplugged)),
            Link::User(options) => [&["user".to_owned()], &options[..]].concat().join(","),
            Link::Tap(name) => format!("tap,ifname={name}"),
            Link::Socket(options) => [&["socket".to_owned()], &options[..]].concat().join(","),
        };
        let mut link = net::open(&text).map_err(|e| e.to_string())?;
        if let Some(path) = &net.dump {
            link = Box::new(Dump::create(link, path, SNAP).map_err(|e| e.to_string())?);
        }
        let link = net::Port::new(link);
        let sink = link.sink();
        self.world.cables.push(Cable { device: port.device, port: port.port, link });
        Ok(sink)
    }

    #[cfg(target_os = "linux")]
    fn share(&mut self, share: &Share) -> Result<Box<dyn FileSystem>, String> {
        use tern_host::share::{self, Security};
        let (path, model) = (share.path.display(), &share.security_model);
        let security = Security::by_name(model).ok_or_else(|| format!("{path}: unknown security model `{model}`"))?;
        let options = share::Options { root: share.path.clone(), read_only: share.read_only, security };
        Ok(Box::new(share::Share::new(&options).map_err(|e| format!("{path}: {e}"))?))
    }

    #[cfg(not(target_os = "linux"))]
    fn share(&mut self, share: &Share) -> Result<Box<dyn FileSystem>, String> {
        Err(format!("{}: folders can be shared on Linux only", share.path.display()))
    }

    fn entropy(&mut self, file: Option<&Path>) -> Result<Box<dyn Entropy>, String> {
        Ok(match (file, self.seed) {
            (_, Some(seed)) => Box::new(Seeded::new(seed)),
            (Some(path), None) => Box::new(FromFile::open(path).map_err(|e| format!("{}: {e}", path.display()))?),
            (None, None) => Box::new(Host),
        })
    }

    fn wall_clock_ns(&mut self) -> u64 {
        u64::try_from(clock::realtime_ns()).unwrap_or(0)
    }
}

struct Terminal {
    device: u32,
    port: u32,
    source: Box<dyn Source>,
    waiting: VecDeque<u8>,
    open: bool,
}

struct Cable {
    device: u32,
    port: u32,
    link: net::Port,
}

/// What a machine is connected to.
pub struct World {
    terminals: Vec<Terminal>,
    cables: Vec<Cable>,
    poller: Poller,
    watched: Vec<u64>,
    controls: VecDeque<Control>,
    /// Gets one line about what cannot be done.
    tell: Box<dyn FnMut(&str)>,
}

impl World {
    fn new(tell: Box<dyn FnMut(&str)>) -> std::io::Result<World> {
        Ok(World {
            terminals: Vec::new(),
            cables: Vec::new(),
            poller: Poller::new()?,
            watched: Vec::new(),
            controls: VecDeque::new(),
            tell,
        })
    }

    fn look_at_terminals(&mut self) {
        for terminal in &mut self.terminals {
            if terminal.waiting.len() >= BACKLOG {
                continue;
            }
            for event in terminal.source.poll() {
                match event {
                    ConsoleEvent::Bytes(bytes) => terminal.waiting.extend(bytes),
                    ConsoleEvent::Quit | ConsoleEvent::Signal(_) => self.controls.push_back(Control::Quit),
                    ConsoleEvent::Closed => terminal.open = false,
                    ConsoleEvent::Monitor => (self.tell)("there is no monitor yet"),
                    ConsoleEvent::Break => (self.tell)("a break cannot be sent yet"),
                    ConsoleEvent::Sync => (self.tell)("disks hold nothing back: what is flushed is saved"),
                }
            }
        }
    }
}

impl Outside for World {
    fn now(&mut self) -> u64 {
        clock::monotonic_ns()
    }

    fn poll(&mut self) {
        self.look_at_terminals();
        let now = clock::monotonic_ns();
        for cable in &self.cables {
            cable.link.link().poll(now);
        }
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        for token in self.watched.drain(..) {
            self.poller.forget(token);
        }
        let mut timeout = timeout_ns.unwrap_or(u64::MAX);
        for terminal in &self.terminals {
            if terminal.waiting.len() < BACKLOG {
                for fd in terminal.source.fds() {
                    self.poller.watch(fd as u64, fd, Interest::READ);
                    self.watched.push(fd as u64);
                }
            }
            if let Some(again) = terminal.source.again() {
                timeout = timeout.min(again);
            }
        }
        let now = clock::monotonic_ns();
        let mut fds = Vec::new();
        for cable in &self.cables {
            let link = cable.link.link();
            link.poll_fds(&mut fds);
            if let Some(at) = link.deadline() {
                timeout = timeout.min(at.saturating_sub(now));
            }
        }
        for (fd, interest) in fds {
            self.poller.watch(fd as u64, fd, interest);
            self.watched.push(fd as u64);
        }
        let limit = (timeout != u64::MAX).then_some(timeout);
        if let Err(e) = self.poller.wait(limit) {
            (self.tell)(&format!("cannot wait for input: {e}"));
            self.controls.push_back(Control::Quit);
        }
    }

    fn ports(&self) -> Vec<(u32, u32)> {
        let terminals = self.terminals.iter().map(|t| (t.device, t.port));
        terminals.chain(self.cables.iter().map(|c| (c.device, c.port))).collect()
    }

    fn take(&mut self, device: u32, port: u32, room: usize) -> Option<Vec<u8>> {
        let here = |d, p| (d, p) == (device, port);
        if let Some(t) = self.terminals.iter_mut().find(|t| here(t.device, t.port)) {
            let n = t.waiting.len().min(room);
            return (n > 0).then(|| t.waiting.drain(..n).collect());
        }
        let cable = self.cables.iter().find(|c| here(c.device, c.port))?;
        cable.link.link().next_frame()
    }

    fn control(&mut self) -> Option<Control> {
        self.controls.pop_front()
    }

    fn alive(&self) -> bool {
        !self.cables.is_empty() || self.terminals.iter().any(|t| t.open || !t.waiting.is_empty())
    }
}
