//! What stands behind the devices of a board: whoever builds one hands it in.

use crate::config::{Char, Drive, Net, Share};
use std::path::Path;
use tern_core::backend::fs::FileSystem;
use tern_core::backend::{Block, CharSink, Entropy, NetSink};

/// Where input for a device enters: see [`tern_session::machine::Outside::ports`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Port {
    /// The device's number in its machine.
    pub device: u32,
    /// The backend's number in its device.
    pub port: u32,
}

/// Makes backends.  Errors are one line that names what could not be used.
pub trait Backends {
    /// A disk's or flash bank's medium.
    ///
    /// # Errors
    /// See the trait.
    fn disk(&mut self, drive: &Drive) -> Result<Box<dyn Block>, String>;

    /// What stands behind a serial port, console or debug port; what it has to say goes to `port`.
    ///
    /// # Errors
    /// See the trait.
    fn chars(&mut self, what: &Char, port: Port) -> Result<Box<dyn CharSink>, String>;

    /// What a network device is connected to; frames for it go to `port`.
    ///
    /// # Errors
    /// See the trait.
    fn net(&mut self, net: &Net, port: Port) -> Result<Box<dyn NetSink>, String>;

    /// A shared folder.
    ///
    /// # Errors
    /// See the trait.
    fn share(&mut self, share: &Share) -> Result<Box<dyn FileSystem>, String>;

    /// Random bytes: of this file, or the best there are.
    ///
    /// # Errors
    /// See the trait.
    fn entropy(&mut self, file: Option<&Path>) -> Result<Box<dyn Entropy>, String>;

    /// Nanoseconds since 1970 on the host.
    fn wall_clock_ns(&mut self) -> u64;
}
