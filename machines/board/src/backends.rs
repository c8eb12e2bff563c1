//! What stands behind the devices of a board: whoever builds one hands it in.

use std::rc::Rc;
use tern_core::backend::fs::FileSystem;
use tern_core::backend::{Block, CharSink, Entropy, Memory, NetSink, Peers, Tpm, VhostUser};
use tern_core::mem::space::HostMemory;
use tern_devices::model;

/// The last part of the path of a virtio device that a PCI function holds.
pub(crate) const VIRTIO_INSIDE: &str = "virtio-backend";

/// Where input for a device enters: see [`tern_session::machine::Outside::ports`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Port {
    /// The device's number in its machine.
    pub device: u32,
    /// The backend's number in its device.
    pub port: u32,
}

/// Who asks for a backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The device's path or name: `/machine/peripheral/disk0`.
    pub path: String,
    /// Where its input enters.
    pub port: Port,
}

/// Finds backends by their names.  Errors are one line that names what could not be used.
pub trait Backends {
    /// A medium.
    ///
    /// # Errors
    /// See the trait.
    fn drive(&mut self, name: &str, user: User) -> Result<Box<dyn Block>, String>;

    /// What stands behind a serial port, console or debug port; what it has to say goes to the user's port.
    ///
    /// # Errors
    /// See the trait.
    fn chardev(&mut self, name: &str, user: User) -> Result<Box<dyn CharSink>, String>;

    /// What a network device is connected to; frames for it go to the user's port.
    ///
    /// # Errors
    /// See the trait.
    fn netdev(&mut self, name: &str, user: User) -> Result<Box<dyn NetSink>, String>;

    /// A shared folder.
    ///
    /// # Errors
    /// See the trait.
    fn folder(&mut self, fsdev: &str) -> Result<Box<dyn FileSystem>, String>;

    /// Random bytes: of this object, or the best there are.
    ///
    /// # Errors
    /// See the trait.
    fn entropy(&mut self, object: Option<&str>) -> Result<Box<dyn Entropy>, String>;

    /// The memory of a memory object, or new memory of this size.
    ///
    /// # Errors
    /// See the trait.
    fn ram(&mut self, object: Option<&str>, size: u64) -> Result<Rc<dyn HostMemory>, String>;

    /// The memory of a memory object, for a device that shows it.
    ///
    /// # Errors
    /// See the trait.
    fn memory(&mut self, object: &str) -> Result<Rc<dyn Memory>, String> {
        Err(format!("{object}: there are no memory objects"))
    }

    /// A TPM, whose responses come in at the user's port.
    ///
    /// # Errors
    /// See the trait.
    fn tpm(&mut self, name: &str, user: User) -> Result<Box<dyn Tpm>, String> {
        let _ = user;
        Err(format!("{name}: there are no TPMs"))
    }

    /// The ivshmem server at a character device, for a device with these many interrupt vectors, which come in at the
    /// user's port.
    ///
    /// # Errors
    /// See the trait.
    fn peers(&mut self, chardev: &str, user: User, vectors: u16) -> Result<Box<dyn Peers>, String> {
        let _ = (user, vectors);
        Err(format!("{chardev}: there are no ivshmem servers"))
    }

    /// The vhost-user process at a character device, able to run `queues` queues; what it says goes to the user's port.
    ///
    /// # Errors
    /// See the trait.
    fn vhost_user(&mut self, chardev: &str, user: User, queues: u16) -> Result<Box<dyn VhostUser>, String> {
        let _ = (user, queues);
        Err(format!("{chardev}: there are no vhost-user backends"))
    }

    /// The address of the next network device that has none of its own.
    fn mac(&mut self) -> [u8; 6];

    /// Nanoseconds since 1970 on the host.
    fn wall_clock_ns(&mut self) -> u64;

    /// The ports at which input for the device that has been called so enters are `by` higher from now on.
    fn moved(&mut self, path: &str, by: u32);

    /// The device that has been called so is gone: what it used is free again.
    fn release(&mut self, path: &str);
}

/// The backends as one device that is being built sees them.
pub(crate) struct ForDevice<'a, P: Fn(u32) -> u32> {
    pub(crate) all: &'a mut dyn Backends,
    /// The device's path.
    pub(crate) path: &'a str,
    /// Its number in the machine.
    pub(crate) device: u32,
    /// What the machine's device calls a port of this one.
    pub(crate) port: P,
}

impl<P: Fn(u32) -> u32> ForDevice<'_, P> {
    fn user(&self, port: u32) -> User {
        User { path: self.path.to_owned(), port: Port { device: self.device, port: (self.port)(port) } }
    }
}

impl<P: Fn(u32) -> u32> model::Backends for ForDevice<'_, P> {
    fn drive(&mut self, name: &str, port: u32) -> Result<Box<dyn Block>, String> {
        self.all.drive(name, self.user(port))
    }

    fn netdev(&mut self, name: &str, port: u32) -> Result<Box<dyn NetSink>, String> {
        self.all.netdev(name, self.user(port))
    }

    fn chardev(&mut self, name: &str, port: u32) -> Result<Box<dyn CharSink>, String> {
        self.all.chardev(name, self.user(port))
    }

    fn entropy(&mut self, object: Option<&str>) -> Result<Box<dyn Entropy>, String> {
        self.all.entropy(object)
    }

    fn folder(&mut self, fsdev: &str) -> Result<Box<dyn FileSystem>, String> {
        self.all.folder(fsdev)
    }

    fn memory(&mut self, object: &str) -> Result<Rc<dyn Memory>, String> {
        self.all.memory(object)
    }

    fn tpm(&mut self, name: &str, port: u32) -> Result<Box<dyn Tpm>, String> {
        self.all.tpm(name, self.user(port))
    }

    fn peers(&mut self, chardev: &str, port: u32, vectors: u16) -> Result<Box<dyn Peers>, String> {
        self.all.peers(chardev, self.user(port), vectors)
    }

    fn vhost_user(&mut self, chardev: &str, port: u32, queues: u16) -> Result<Box<dyn VhostUser>, String> {
        self.all.vhost_user(chardev, self.user(port), queues)
    }

    fn mac(&mut self) -> [u8; 6] {
        self.all.mac()
    }

    fn wall_clock_ns(&mut self) -> u64 {
        self.all.wall_clock_ns()
    }
}
