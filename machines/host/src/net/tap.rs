//! A link that is a network interface of the host (Linux, Documentation/networking/tuntap.rst).

use super::descriptors::Descriptors;
use super::{Counts, Link, MAX_FRAME, NetError, Options};
use crate::sys::ioctl::{tun_interface, tun_set_interface};
use crate::sys::{Errno, file::fcntl, host};
use crate::wait::Interest;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Frames that wait for the guest.
const QUEUE: usize = 256;
/// Longest name of an interface, with the zero that ends it (`IFNAMSIZ`).
const NAME: usize = 16;

/// The longest virtio header (`struct virtio_net_hdr_v1_hash`), in bytes.
const MAX_HEADER: usize = 20;

/// An interface of the host.
pub struct Tap {
    file: File,
    name: String,
    info: String,
    /// Bytes of the virtio header before each frame, zeros ours.
    header: usize,
    queue: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
    counts: Counts,
}

impl Tap {
    /// As [`Tap::open_with`], without descriptors that have names.
    ///
    /// # Errors
    /// As [`Tap::open_with`].
    pub fn open(options: &Options) -> Result<Tap, NetError> {
        Tap::open_with(options, &mut Descriptors::default())
    }

    /// Opens `tap,ifname=NAME`; without a name the host invents one. Scripts are not run: the interface is configured by
    /// whoever made it.  `tap,fd=N` takes one over that somebody else has opened.
    ///
    /// # Errors
    /// A wrong option, or why the host refuses.
    pub fn open_with(options: &Options, fds: &mut Descriptors) -> Result<Tap, NetError> {
        options.only(&["ifname", "script", "downscript", "vnet_hdr", "vhost", "queues", "fd"])?;
        for (name, off) in
            [("script", "no"), ("downscript", "no"), ("vnet_hdr", "off"), ("vhost", "off"), ("queues", "1")]
        {
            if options.get(name).is_some_and(|v| v != off) {
                return Err(options.error(name, &format!("tern has built only '{off}'")));
            }
        }
        if let Some(text) = options.get("fd") {
            if options.iter().any(|(name, _)| matches!(name, "ifname" | "script" | "downscript")) {
                return Err(options.error("fd", "makes no sense with ifname, script or downscript"));
            }
            return Tap::given(options, text, fds);
        }
        let wish = options.get("ifname").unwrap_or("");
        if wish.len() >= NAME || wish.bytes().any(|b| b == 0 || b == b'/' || b.is_ascii_whitespace()) {
            return Err(options.error("ifname", "no name of an interface"));
        }
        let refused = |what: &str, e: std::io::Error| {
            let hint = match e.kind() {
                ErrorKind::PermissionDenied => {
                    "; make it first: ip tuntap add dev NAME mode tap user YOU, then ip link set NAME up"
                }
                ErrorKind::NotFound => "; the kernel's tun module is not there",
                ErrorKind::ResourceBusy => "; another program has it open",
                _ => "",
            };
            NetError::new(format!("netdev tap: {what}: {e}{hint}"))
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(|e| refused("/dev/net/tun", e))?;
        let name = tun_set_interface(file.as_raw_fd(), wish).map_err(|e| refused(wish, e.into()))?;
        let info = format!("ifname={name},script=no,downscript=no");
        Ok(Tap::new(file, name, info, 0))
    }

    fn given(options: &Options, text: &str, fds: &mut Descriptors) -> Result<Tap, NetError> {
        let file = File::from(fds.take(text).map_err(|e| options.error("fd", &e))?);
        let refused = |e: Errno| options.error("fd", &format!("{text} is no open tap device: {e}"));
        let found = tun_interface(file.as_raw_fd()).map_err(refused)?;
        if !found.ethernet || !found.bare || found.header > MAX_HEADER {
            return Err(options.error("fd", "wants a device for Ethernet frames without packet information"));
        }
        let flags = fcntl(file.as_raw_fd(), host::F_GETFL, 0).map_err(refused)?;
        fcntl(file.as_raw_fd(), host::F_SETFL, flags | host::O_NONBLOCK).map_err(refused)?;
        Ok(Tap::new(file, found.name, format!("fd={text}"), found.header))
    }

    fn new(file: File, name: String, info: String, header: usize) -> Tap {
        let buffer = vec![0; header + MAX_FRAME];
        Tap { file, name, info, header, queue: VecDeque::new(), buffer, counts: Counts::default() }
    }

    /// The interface's name on the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Link for Tap {
    fn send(&mut self, frame: &[u8]) {
        self.counts.from_guest += 1;
        // A full queue, or an interface that is down.
        let head = [0; MAX_HEADER];
        let parts = [IoSlice::new(&head[..self.header]), IoSlice::new(frame)];
        if frame.len() > MAX_FRAME || self.file.write_vectored(&parts).is_err() {
            self.counts.overflow += 1;
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    fn poll(&mut self, _now_ns: u64) {
        while self.queue.len() < QUEUE {
            match self.file.read(&mut self.buffer) {
                Ok(len) if len > self.header => {
                    self.counts.to_guest += 1;
                    self.queue.push_back(self.buffer[self.header..len].to_vec());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        if self.queue.len() < QUEUE {
            list.push((self.file.as_raw_fd(), Interest::READ));
        }
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn info(&self) -> String {
        self.info.clone()
    }
}
