//! What a device that is being built asks for: its properties, and the backends that they name.

use super::Props;
use std::rc::Rc;
use tern_core::backend::{Audio, Block, CharSink, Entropy, FileSystem, Memory, NetSink, Peers, Tpm, VhostUser};

/// Makes the backends that properties name.  `port` is what the device calls the backend (0 to 0xef; 0xf0 to 0xff are for
/// control messages of the device's own): input enters at `Device::receive` and `PciFunction::receive` with that number.
/// Errors are one line.
pub trait Backends {
    /// A medium.  Its owner may change it later: the device then hears of it by `changed(port)`.
    ///
    /// # Errors
    /// See the trait.
    fn drive(&mut self, name: &str, port: u32) -> Result<Box<dyn Block>, String>;

    /// A network.
    ///
    /// # Errors
    /// See the trait.
    fn netdev(&mut self, name: &str, port: u32) -> Result<Box<dyn NetSink>, String>;

    /// A character device.
    ///
    /// # Errors
    /// See the trait.
    fn chardev(&mut self, name: &str, port: u32) -> Result<Box<dyn CharSink>, String>;

    /// Sound: of this `-audiodev`, or silence.
    ///
    /// # Errors
    /// See the trait.
    fn audio(&mut self, name: &str, port: u32) -> Result<Box<dyn Audio>, String> {
        let _ = (name, port);
        Ok(Box::new(Nothing))
    }

    /// Random bytes: of this object, or the best there are.
    ///
    /// # Errors
    /// See the trait.
    fn entropy(&mut self, object: Option<&str>) -> Result<Box<dyn Entropy>, String>;

    /// A shared folder.
    ///
    /// # Errors
    /// See the trait.
    fn folder(&mut self, fsdev: &str) -> Result<Box<dyn FileSystem>, String>;

    /// The memory of this object.
    ///
    /// # Errors
    /// See the trait.
    fn memory(&mut self, object: &str) -> Result<Rc<dyn Memory>, String> {
        Err(format!("{object}: there are no memory backends"))
    }

    /// The ivshmem server behind this character device, for a device with `vectors` interrupt vectors that come in at `port`.
    ///
    /// # Errors
    /// See the trait.
    fn peers(&mut self, chardev: &str, port: u32, vectors: u16) -> Result<Box<dyn Peers>, String> {
        let _ = (port, vectors);
        Err(format!("{chardev}: there are no ivshmem servers"))
    }

    /// The TPM of this `-tpmdev`, whose responses come in at `port`.
    ///
    /// # Errors
    /// See the trait.
    fn tpm(&mut self, name: &str, port: u32) -> Result<Box<dyn Tpm>, String> {
        let _ = port;
        Err(format!("{name}: there are no TPMs"))
    }

    /// The process at the other end of this character device, which must be able to run `queues` queues; events come in at `port`.
    ///
    /// # Errors
    /// See the trait.
    fn vhost_user(&mut self, chardev: &str, port: u32, queues: u16) -> Result<Box<dyn VhostUser>, String> {
        let _ = (port, queues);
        Err(format!("{chardev}: there are no vhost-user backends"))
    }

    /// The address of the next network device that has none of its own.
    fn mac(&mut self) -> [u8; 6];

    /// Nanoseconds since 1970 on the host, for clocks that begin with it.
    fn wall_clock_ns(&mut self) -> u64;
}

/// What a device that is being built asks for.
pub struct Wants<'a> {
    /// Its properties.
    pub props: &'a Props,
    /// The backends by their names.
    pub backends: &'a mut dyn Backends,
}

impl<'a> Wants<'a> {
    /// With these.
    pub fn new(props: &'a Props, backends: &'a mut dyn Backends) -> Wants<'a> {
        Wants { props, backends }
    }

    fn named(&self, prop: &str) -> Option<&'a str> {
        Some(self.props.text(prop)).filter(|name| !name.is_empty())
    }

    /// The medium that property `prop` names, which must be set.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn drive(&mut self, prop: &str, port: u32) -> Result<Box<dyn Block>, String> {
        let name = self.named(prop).ok_or_else(|| format!("{prop} property not set"))?;
        self.backends.drive(name, port)
    }

    /// The medium that property `prop` names, if it is set: a drive for removable media may begin empty.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn optional_drive(&mut self, prop: &str, port: u32) -> Result<Option<Box<dyn Block>>, String> {
        self.named(prop).map(|name| self.backends.drive(name, port)).transpose()
    }

    /// The network that property `prop` names, or a cable that is not plugged in.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn netdev(&mut self, prop: &str, port: u32) -> Result<Box<dyn NetSink>, String> {
        match self.named(prop) {
            Some(name) => self.backends.netdev(name, port),
            None => Ok(Box::new(Nothing)),
        }
    }

    /// The Ethernet address that property `prop` gives, or the machine's next.
    pub fn mac(&mut self, prop: &str) -> [u8; 6] {
        self.props.mac(prop).unwrap_or_else(|| self.backends.mac())
    }

    /// The character device that property `prop` names, or nothing.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn chardev(&mut self, prop: &str, port: u32) -> Result<Box<dyn CharSink>, String> {
        match self.named(prop) {
            Some(name) => self.backends.chardev(name, port),
            None => Ok(Box::new(Nothing)),
        }
    }

    /// The sound that property `prop` names, or silence.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn audio(&mut self, prop: &str, port: u32) -> Result<Box<dyn Audio>, String> {
        match self.named(prop) {
            Some(name) => self.backends.audio(name, port),
            None => Ok(Box::new(Nothing)),
        }
    }

    /// Random bytes of the object that property `prop` names, or the best there are.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn entropy(&mut self, prop: &str) -> Result<Box<dyn Entropy>, String> {
        self.backends.entropy(self.named(prop))
    }

    /// The memory of the object that property `prop` names, if it is set.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn memory(&mut self, prop: &str) -> Result<Option<Rc<dyn Memory>>, String> {
        self.named(prop).map(|name| self.backends.memory(name)).transpose()
    }

    /// The ivshmem server behind the character device that property `prop` names, which must be set.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn peers(&mut self, prop: &str, port: u32, vectors: u16) -> Result<Box<dyn Peers>, String> {
        let name = self.named(prop).ok_or("You must specify a 'chardev'")?;
        self.backends.peers(name, port, vectors)
    }

    /// The TPM that property `prop` names, which must be set.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn tpm(&mut self, prop: &str, port: u32) -> Result<Box<dyn Tpm>, String> {
        let name = self.named(prop).ok_or_else(|| format!("'{prop}' property is required"))?;
        self.backends.tpm(name, port)
    }

    /// The vhost-user process at the character device that property `prop` names, which must be set.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn vhost_user(&mut self, prop: &str, port: u32, queues: u16) -> Result<Box<dyn VhostUser>, String> {
        let name = self.named(prop).ok_or_else(|| "chardev is mandatory".to_owned())?;
        self.backends.vhost_user(name, port, queues)
    }

    /// The folder that property `prop` names, which must be set.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn folder(&mut self, prop: &str) -> Result<Box<dyn FileSystem>, String> {
        let name = self.named(prop).ok_or_else(|| format!("{prop} property not set"))?;
        self.backends.folder(name)
    }
}

/// What nothing is connected to.
struct Nothing;

impl NetSink for Nothing {
    fn send(&mut self, _frame: &[u8]) {}
}

impl Audio for Nothing {}

impl CharSink for Nothing {
    fn write(&mut self, _bytes: &[u8]) {}
}
