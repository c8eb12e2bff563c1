//! Backends as the host has them, by name, and the world outside that they make up: terminals, networks, signals, time.
//!
//! A [`Host`] is made from a configuration; control surfaces add to it and take away while the machine runs.

pub mod blocks;
pub mod chars;
mod links;
pub mod nets;
pub mod objects;
mod snapshots;
mod vhosts;

use crate::backends::{Backends, User};
use crate::config::{BoardConfig, Chardev, Folder, Fsdev, Netdev, Tpmdev};
use blocks::Blocks;
use chars::Chars;
use links::Links;
use nets::Nets;
use objects::Objects;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use tern_core::backend::fs::{FileSystem, XATTR_LIMIT};
use tern_core::backend::{Block, CharSink, Entropy, Memory, NetSink, Peers, Tpm, VhostUser};
use tern_core::mem::space::HostMemory;
use tern_devices::bench::Synth;
use tern_host::clock;
use tern_host::console::{self, ConsoleEvent};
use tern_host::entropy::Seeded;
use tern_host::wait::{Interest, Poller};
use tern_session::machine::disk::Disk;
use tern_session::machine::{Control, Outside, Tape};
use vhosts::Vhosts;

/// All backends of a machine; clones are handles to the same.
#[derive(Clone)]
pub struct Host(Rc<RefCell<World>>);

/// What a machine is connected to.
pub struct World {
    /// Media.
    pub blocks: Blocks,
    /// Character devices.
    pub chars: Chars,
    /// Network backends.
    pub nets: Nets,
    /// vhost-user processes.
    vhosts: Vhosts,
    /// TPM emulators and ivshmem servers.
    links: Links,
    /// TPMs.
    pub tpmdevs: BTreeMap<String, Tpmdev>,
    /// Objects that users made.
    pub objects: Objects,
    /// Shared folders.
    pub fsdevs: BTreeMap<String, Fsdev>,
    /// What is recorded or replayed, and the media of such a machine.
    tape: Tape,
    packed: bool,
    quiet: Rc<Cell<bool>>,
    disks: Vec<(String, Disk)>,
    seed: Option<u64>,
    macs: u8,
    poller: Poller,
    watched: Vec<u64>,
    /// Descriptors of others that end a wait when they become readable.
    others: Vec<i32>,
    /// What a migration waits for, and how long at most, in nanoseconds.
    migration: (Vec<(i32, Interest)>, Option<u64>),
    controls: VecDeque<Control>,
    /// Gets one line about what cannot be done.
    tell: Rc<dyn Fn(&str)>,
}

impl Host {
    /// The backends that a configuration names.  `tell` gets lines for the user.
    ///
    /// # Errors
    /// One that cannot be used, in one line.
    pub fn new(config: &BoardConfig, tell: Rc<dyn Fn(&str)>) -> Result<Host, String> {
        Host::with_media(config, true, tell)
    }

    /// The same, of a machine that comes from another process, which still has what the machine may write.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn incoming(config: &BoardConfig, tell: Rc<dyn Fn(&str)>) -> Result<Host, String> {
        Host::with_media(config, false, tell)
    }

    fn with_media(config: &BoardConfig, active: bool, tell: Rc<dyn Fn(&str)>) -> Result<Host, String> {
        let mut world = World {
            blocks: Blocks::default(),
            chars: Chars::default(),
            nets: Nets::default(),
            vhosts: Vhosts::default(),
            links: Links::default(),
            tpmdevs: BTreeMap::new(),
            objects: Objects::default(),
            fsdevs: BTreeMap::new(),
            tape: Tape::None,
            packed: false,
            quiet: Rc::default(),
            disks: Vec::new(),
            seed: config.seed,
            macs: 0,
            poller: Poller::new().map_err(|e| e.to_string())?,
            watched: Vec::new(),
            others: Vec::new(),
            migration: (Vec::new(), None),
            controls: VecDeque::new(),
            tell,
        };
        world.blocks.set_active(active);
        console::catch_signals().map_err(|e| e.to_string())?;
        for object in &config.objects {
            world.objects.add(object.clone())?;
        }
        for chardev in &config.chardevs {
            if let Some(note) = world.add_chardev(chardev)? {
                (world.tell)(&note);
            }
        }
        for netdev in &config.netdevs {
            world.add_netdev(netdev)?;
        }
        for tpmdev in &config.tpmdevs {
            world.tpmdevs.insert(tpmdev.id.clone(), tpmdev.clone());
        }
        for fsdev in &config.fsdevs {
            world.fsdevs.insert(fsdev.id.clone(), fsdev.clone());
        }
        for medium in &config.drives {
            world.blocks.add(medium)?;
        }
        Ok(Host(Rc::new(RefCell::new(world))))
    }

    /// The machine that is built with it is recorded or replayed; `packed`: its log has all that was read of media.
    pub fn set_tape(&self, tape: Tape, packed: bool) {
        let mut world = self.world();
        (world.tape, world.packed) = (tape, packed);
    }

    /// The world itself, for as long as nothing else looks at it.
    #[must_use]
    pub fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

impl World {
    /// While this is set, nothing of what a replayed guest says is heard.
    #[must_use]
    pub fn quiet(&self) -> Rc<Cell<bool>> {
        self.quiet.clone()
    }

    /// The media of a machine that is recorded or replayed, by their drives' names.
    #[must_use]
    pub fn disks(&self) -> &[(String, Disk)] {
        &self.disks
    }

    /// Gives the user a line.
    pub fn tell(&mut self, text: &str) {
        (self.tell)(text);
    }

    /// Makes the run end, as by a signal.
    pub fn request(&mut self, control: Control) {
        self.controls.push_back(control);
    }

    /// These descriptors end a wait when something can be read from them, and are looked at by whoever gave them.
    pub fn set_others(&mut self, fds: Vec<i32>) {
        self.others = fds;
    }

    /// What a migration waits for: these end a wait, which lasts at most so many nanoseconds.
    pub fn set_migration(&mut self, fds: Vec<(i32, Interest)>, longest_ns: Option<u64>) {
        self.migration = (fds, longest_ns);
    }

    /// Adds a character device; what the user should know about it.
    ///
    /// # Errors
    /// A name that is taken, something that cannot be opened.
    pub fn add_chardev(&mut self, chardev: &Chardev) -> Result<Option<String>, String> {
        self.chars.add(chardev, &mut self.nets.commons.descriptors)
    }

    /// Adds a network backend.
    ///
    /// # Errors
    /// A name that is taken, something that cannot be opened.
    pub fn add_netdev(&mut self, netdev: &Netdev) -> Result<(), String> {
        self.nets.add(netdev)?;
        let added = match self.nets.vhost_user(&netdev.id) {
            Some(Ok((chardev, pairs))) => self.vhosts.open(&chardev, pairs, &mut self.chars),
            Some(Err(e)) => Err(e),
            None => Ok(()),
        };
        added.inspect_err(|_| {
            // It was added just now.
            let _ = self.nets.remove(&netdev.id);
        })
    }

    /// Removes a network backend; a device that was plugged in hears nothing any more.
    ///
    /// # Errors
    /// There is none.
    pub fn remove_netdev(&mut self, id: &str) -> Result<(), String> {
        let vhost = self.nets.vhost_user(id);
        self.nets.remove(id)?;
        if let Some(Ok((chardev, _))) = vhost {
            self.vhosts.close(&chardev, &mut self.chars);
        }
        Ok(())
    }

    fn poll(&mut self) {
        for event in self.chars.poll() {
            match event {
                chars::Event::Quit => self.controls.push_back(Control::Quit),
                chars::Event::Tell(text) => (self.tell)(text),
            }
        }
        if console::take_signals().iter().any(|e| matches!(e, ConsoleEvent::Signal(_))) {
            self.controls.push_back(Control::Quit);
        }
        self.nets.poll(clock::monotonic_ns());
        self.links.poll();
        for line in self.vhosts.poll() {
            (self.tell)(&line);
        }
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        for token in self.watched.drain(..) {
            self.poller.forget(token);
        }
        let mut fds: Vec<(i32, Interest)> = self.others.iter().map(|fd| (*fd, Interest::READ)).collect();
        let mut timeout = timeout_ns.unwrap_or(u64::MAX);
        fds.extend_from_slice(&self.migration.0);
        timeout = timeout.min(self.migration.1.unwrap_or(u64::MAX));
        timeout = timeout.min(self.chars.watch(&mut fds));
        timeout = timeout.min(self.nets.watch(&mut fds, clock::monotonic_ns()));
        self.vhosts.watch(&mut fds);
        let mut links = Vec::new();
        self.links.watch(&mut links);
        fds.extend(links.into_iter().map(|fd| (fd, Interest::READ)));
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
}

impl Outside for Host {
    fn now(&mut self) -> u64 {
        clock::monotonic_ns()
    }

    fn poll(&mut self) {
        self.world().poll();
    }

    fn wait(&mut self, timeout_ns: Option<u64>) {
        self.world().wait(timeout_ns);
    }

    fn ports(&self) -> Vec<(u32, u32)> {
        let world = self.world();
        let ports =
            world.chars.ports().chain(world.nets.ports()).chain(world.vhosts.ports()).chain(world.links.ports());
        ports.map(|port| (port.device, port.port)).collect()
    }

    fn take(&mut self, device: u32, port: u32, room: usize) -> Option<Vec<u8>> {
        let port = crate::Port { device, port };
        let mut world = self.world();
        let input = world.chars.take(port, room).or_else(|| world.vhosts.take(port, room));
        let input = input.or_else(|| world.links.take(port, room));
        input.or_else(|| world.nets.take(port))
    }

    fn control(&mut self) -> Option<Control> {
        let mut world = self.world();
        world.controls.pop_front().or_else(|| world.chars.wants_attention().then_some(Control::Attend))
    }

    fn alive(&self) -> bool {
        let world = self.world();
        world.nets.is_used() || world.vhosts.is_used() || world.links.is_used() || world.chars.is_alive()
    }
}

/// An end for output that may be told to be quiet.
struct Quiet {
    sink: Box<dyn CharSink>,
    quiet: Rc<Cell<bool>>,
}

impl CharSink for Quiet {
    fn write(&mut self, bytes: &[u8]) {
        if !self.quiet.get() {
            self.sink.write(bytes);
        }
    }
}

impl Backends for Host {
    fn drive(&mut self, name: &str, user: User) -> Result<Box<dyn Block>, String> {
        let mut world = self.world();
        let block = world.blocks.attach(name, user)?;
        if matches!(world.tape, Tape::None) {
            return Ok(block);
        }
        let disk = match (&world.tape, world.packed) {
            (Tape::Replay(player), true) => Disk::packed(name, block.size(), block.read_only(), player.clone()),
            (tape, _) => Disk::new(name, block, tape.clone()),
        };
        world.disks.push((name.to_owned(), disk.clone()));
        Ok(Box::new(disk))
    }

    fn chardev(&mut self, name: &str, user: User) -> Result<Box<dyn CharSink>, String> {
        let mut world = self.world();
        let sink = world.chars.attach(name, user)?;
        Ok(match world.tape {
            Tape::Replay(_) => Box::new(Quiet { sink, quiet: world.quiet() }),
            _ => sink,
        })
    }

    fn netdev(&mut self, name: &str, user: User) -> Result<Box<dyn NetSink>, String> {
        let mut world = self.world();
        let sink = world.nets.attach(name, user.clone())?;
        match world.nets.vhost_user(name) {
            Some(vhost) => {
                let (chardev, pairs) = vhost?;
                Ok(Box::new(vhosts::Queues::new(sink, world.vhosts.attach(&chardev, user)?, pairs)))
            }
            None => Ok(sink),
        }
    }

    fn vhost_user(&mut self, chardev: &str, user: User, queues: u16) -> Result<Box<dyn VhostUser>, String> {
        let mut world = self.world();
        let World { vhosts, chars, .. } = &mut *world;
        vhosts.open(chardev, queues, chars)?;
        vhosts.attach(chardev, user)
    }

    fn tpm(&mut self, name: &str, user: User) -> Result<Box<dyn Tpm>, String> {
        let mut world = self.world();
        let World { tpmdevs, links, chars, tell, .. } = &mut *world;
        let tpmdev = tpmdevs.get(name).ok_or_else(|| format!("Property 'tpmdev' can't find value '{name}'"))?;
        links.tpm(&tpmdev.chardev, user, chars, tell.clone())
    }

    fn peers(&mut self, chardev: &str, user: User, vectors: u16) -> Result<Box<dyn Peers>, String> {
        let mut world = self.world();
        let World { links, chars, .. } = &mut *world;
        links.peers(chardev, user, chars, vectors)
    }

    fn folder(&mut self, fsdev: &str) -> Result<Box<dyn FileSystem>, String> {
        let folder = self.world().fsdevs.get(fsdev).cloned();
        let fsdev = folder.ok_or_else(|| format!("there is no fsdev '{fsdev}'"))?;
        share(&fsdev)
    }

    fn entropy(&mut self, object: Option<&str>) -> Result<Box<dyn Entropy>, String> {
        let world = self.world();
        match (object, world.seed) {
            (_, Some(seed)) => Ok(Box::new(Seeded::new(seed))),
            (object, None) => world.objects.entropy(object),
        }
    }

    fn ram(&mut self, object: Option<&str>, size: u64) -> Result<Rc<dyn HostMemory>, String> {
        self.world().objects.ram(object, size)
    }

    fn memory(&mut self, object: &str) -> Result<Rc<dyn Memory>, String> {
        self.world().objects.memory(object)
    }

    fn mac(&mut self) -> [u8; 6] {
        let mut world = self.world();
        let n = world.macs;
        world.macs = n.wrapping_add(1);
        [0x52, 0x54, 0x00, 0x12, 0x34, 0x56u8.wrapping_add(n)]
    }

    fn wall_clock_ns(&mut self) -> u64 {
        u64::try_from(clock::realtime_ns()).unwrap_or(0)
    }

    fn moved(&mut self, path: &str, by: u32) {
        let mut world = self.world();
        let World { blocks, chars, nets, vhosts, links, .. } = &mut *world;
        let users = blocks.users().chain(chars.users()).chain(nets.users()).chain(vhosts.users());
        let users = users.chain(links.users());
        users.filter(|user| user.path == path).for_each(|user| user.port.port += by);
    }

    fn release(&mut self, path: &str) {
        let mut world = self.world();
        world.blocks.release(path);
        world.chars.release(path);
        world.nets.release(path);
        let World { chars, vhosts, nets, links, .. } = &mut *world;
        links.release(path, chars);
        vhosts.release(path, chars, |chardev| nets.holds(chardev));
    }
}

/// What a folder's name stands for; `max_xattr` is how many attributes may be in transfer, 0: any number.
fn share(fsdev: &Fsdev) -> Result<Box<dyn FileSystem>, String> {
    let limit = match fsdev.options.iter().find(|(name, _)| name == "max_xattr") {
        Some((_, text)) => text.parse().map_err(|_| format!("Parameter 'max_xattr' expects a number, not '{text}'"))?,
        None => XATTR_LIMIT,
    };
    let limit = (limit != 0).then_some(limit);
    match &fsdev.folder {
        Folder::Synth => Ok(Box::new(Synth::new(limit))),
        Folder::Local { path, read_only, security_model } => local(path, *read_only, security_model, limit),
    }
}

#[cfg(target_os = "linux")]
fn local(path: &Path, read_only: bool, security: &str, limit: Option<u32>) -> Result<Box<dyn FileSystem>, String> {
    use tern_host::share::{Options, Security, Share};
    let shown = path.display();
    let security =
        Security::by_name(security).ok_or_else(|| format!("{shown}: unknown security model `{security}`"))?;
    let options = Options { root: path.to_owned(), read_only, security };
    let share = Share::new(&options).map_err(|e| format!("{shown}: {e}"))?;
    Ok(Box::new(share.limit_xattrs(limit)))
}

#[cfg(not(target_os = "linux"))]
fn local(path: &Path, _read_only: bool, _security: &str, _limit: Option<u32>) -> Result<Box<dyn FileSystem>, String> {
    Err(format!("{}: folders can be shared on Linux only", path.display()))
}
