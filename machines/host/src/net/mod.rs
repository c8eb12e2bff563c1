//! Network backends: what a guest's network device is plugged into.
//!
//! A [`Link`] takes the guest's Ethernet frames and has frames for it.  [`Port`] shares one between the device, which
//! sees a [`NetSink`], and the machine's loop, which waits for [`Link::poll_fds`] and [`Link::deadline`], calls
//! [`Link::poll`] and hands [`Link::next_frame`] to the device as inputs.  Links stack: [`pcap::Dump`] wraps any other.
//!
//! [`open`] reads the text of `-netdev`, [`open_with`] also lets it use what the backends of a machine share
//! ([`Commons`]).  To add a backend, write its file and its row there.

pub(crate) mod address;
mod descriptors;
#[cfg(unix)]
pub mod dgram;
#[cfg(unix)]
pub(crate) mod endpoint;
pub mod hub;
pub mod pcap;
#[cfg(unix)]
pub mod socket;
#[cfg(target_os = "linux")]
pub mod tap;
#[cfg(unix)]
pub mod user;

mod options;

#[cfg(unix)]
pub(crate) use address::resolve;
pub use address::{Address, Inet};
pub use descriptors::{Descriptor, Descriptors};
pub use options::Options;

use crate::wait::Interest;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use hub::Hub;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tern_core::backend::NetSink;

/// The longest frame that a link takes or gives: an Ethernet header and the longest IP packet.
pub const MAX_FRAME: usize = 14 + 65_535;

/// Why a backend cannot be had, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetError(String);

impl NetError {
    /// An error with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> NetError {
        NetError(text.into())
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for NetError {}

/// What went through a link, in frames (or, where the backend speaks of datagrams, those).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames of the guest.
    pub from_guest: u64,
    /// Frames for the guest, when they were queued.
    pub to_guest: u64,
    /// Frames that are not what their headers say.
    pub malformed: u64,
    /// IP fragments, which are dropped.
    pub fragments: u64,
    /// Frames of protocols or to addresses that nobody here serves.
    pub unserved: u64,
    /// What the rules (`restrict`) or the host forbid.
    pub refused: u64,
    /// What was dropped because a queue was full or a datagram too long.
    pub overflow: u64,
}

/// What has become of a link's peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// A stream is connected (QEMU's `NETDEV_STREAM_CONNECTED`): to whom, or where the peer came in.
    Connected(Address),
    /// A stream's peer is gone (`NETDEV_STREAM_DISCONNECTED`).
    Disconnected,
}

/// What a link can do that has ports of the host leading into the guest.
pub trait Forwarding {
    /// Adds a rule, `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport` (`hostfwd_add`).
    ///
    /// # Errors
    /// A wrong rule, or a port that the host does not give, in one line.
    fn add_forward(&mut self, rule: &str) -> Result<(), NetError>;

    /// Removes the rule of `[tcp|udp]:[hostaddr]:hostport` (`hostfwd_remove`); false if there is none.  Connections that
    /// it let in stay.
    ///
    /// # Errors
    /// A wrong text.
    fn remove_forward(&mut self, rule: &str) -> Result<bool, NetError>;

    /// The table of rules and connections, a line each, with its head (`info usernet`).
    fn connections(&self) -> String;
}

/// One end of a cable; the guest has the other.
pub trait Link: Send {
    /// Takes a frame of the guest's.  It never blocks; what cannot be forwarded is dropped and counted.
    fn send(&mut self, frame: &[u8]);

    /// The next frame for the guest.  The caller asks only when the device has room: backpressure reaches the sender.
    fn next_frame(&mut self) -> Option<Vec<u8>>;

    /// Looks at the host's side.  `now_ns` is the host's monotonic time in nanoseconds.
    fn poll(&mut self, now_ns: u64);

    /// Adds the descriptors that make [`Link::poll`] worth calling.
    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>);

    /// When [`Link::poll`] must be called at the latest, on the clock of its argument.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Is the cable plugged in?
    fn carrier(&self) -> bool {
        true
    }

    /// What went through.
    fn counts(&self) -> Counts;

    /// What `info network` says of it, after its type.
    fn info(&self) -> String {
        String::new()
    }

    /// What has become of its peer since the last call, in order.
    fn events(&mut self) -> Vec<LinkEvent> {
        Vec::new()
    }

    /// The link's ports that lead into the guest, if it has such.
    fn forwarding(&mut self) -> Option<&mut dyn Forwarding> {
        None
    }
}

/// A link that the device and the machine's loop share.
#[derive(Clone)]
pub struct Port {
    link: Arc<Mutex<Box<dyn Link>>>,
    up: Arc<AtomicBool>,
}

impl Port {
    /// Shares a link.
    #[must_use]
    pub fn new(link: Box<dyn Link>) -> Port {
        let up = Arc::new(AtomicBool::new(true));
        let cable = Cable { inner: link, up: Arc::clone(&up), dropped: 0 };
        Port { link: Arc::new(Mutex::new(Box::new(cable))), up }
    }

    /// Pulls the cable out (`set_link ID off`), or plugs it in: meanwhile frames of both directions are dropped.
    pub fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// Is the cable plugged in?  Not whether there is a peer, which [`Link::carrier`] tells.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// The link, for the machine's loop.  The guard is not to be held while a device runs, which sends through
    /// [`Port::sink`], nor beside another one.
    pub fn link(&self) -> MutexGuard<'_, Box<dyn Link>> {
        // A panic elsewhere is reported there; a link's queues stay usable.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the device sends to.
    #[must_use]
    pub fn sink(&self) -> Box<dyn NetSink + Send> {
        Box::new(Sink(self.clone()))
    }
}

/// The device's view of a [`Port`].
struct Sink(Port);

impl NetSink for Sink {
    fn send(&mut self, frame: &[u8]) {
        self.0.link().send(frame);
    }
}

/// Frames that one look drops while the cable is pulled out.
const DROPS: usize = 1024;

/// A link whose cable can be pulled out.
struct Cable {
    inner: Box<dyn Link>,
    up: Arc<AtomicBool>,
    /// Frames of the guest's that were dropped meanwhile.
    dropped: u64,
}

impl Cable {
    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

impl Link for Cable {
    fn send(&mut self, frame: &[u8]) {
        if self.is_up() {
            self.inner.send(frame);
        } else {
            self.dropped += 1;
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        if self.is_up() { self.inner.next_frame() } else { None }
    }

    fn poll(&mut self, now_ns: u64) {
        self.inner.poll(now_ns);
        if !self.is_up() {
            for _ in 0..DROPS {
                if self.inner.next_frame().is_none() {
                    break;
                }
            }
        }
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        self.inner.poll_fds(list);
    }

    fn deadline(&self) -> Option<u64> {
        self.inner.deadline()
    }

    fn carrier(&self) -> bool {
        self.is_up() && self.inner.carrier()
    }

    fn counts(&self) -> Counts {
        let counts = self.inner.counts();
        Counts { from_guest: counts.from_guest + self.dropped, refused: counts.refused + self.dropped, ..counts }
    }

    fn info(&self) -> String {
        self.inner.info()
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        self.inner.events()
    }

    fn forwarding(&mut self) -> Option<&mut dyn Forwarding> {
        self.inner.forwarding()
    }
}

/// What the backends of one machine share.
#[derive(Default)]
pub struct Commons {
    /// Descriptors that were handed over by name.
    pub descriptors: Descriptors,
    hubs: BTreeMap<i32, Hub>,
}

impl Commons {
    /// The hub with a number; a new one if there is none.
    pub fn hub(&mut self, id: i32) -> Hub {
        self.hubs.entry(id).or_insert_with(|| Hub::new(id)).clone()
    }

    /// All hubs, by number.
    pub fn hubs(&self) -> impl Iterator<Item = &Hub> {
        self.hubs.values()
    }
}

/// As [`open_with`], alone in the world.
///
/// # Errors
/// As [`open_with`].
pub fn open(text: &str) -> Result<Box<dyn Link>, NetError> {
    open_with(&Options::parse(text)?, &mut Commons::default())
}

/// Opens the backend that a `-netdev` text names: `user`, `tap`, `socket`, `stream`, `dgram`, `hubport`, each with its
/// options (`user,hostfwd=tcp::2222-:22`).  The identifier (`id=`) names a hub's port and is ignored elsewhere.  A hub's
/// port with `netdev=` is made by [`Hub::attach`], by whoever knows the other backend.
///
/// # Errors
/// What is wrong with the text, or why the host cannot do it.
pub fn open_with(options: &Options, commons: &mut Commons) -> Result<Box<dyn Link>, NetError> {
    match options.kind() {
        #[cfg(unix)]
        "user" => Ok(Box::new(user::UserNet::new(user::UserOptions::from_options(options)?)?)),
        #[cfg(target_os = "linux")]
        "tap" => Ok(Box::new(tap::Tap::open_with(options, &mut commons.descriptors)?)),
        #[cfg(unix)]
        "socket" => socket::open_socket(options, &mut commons.descriptors),
        #[cfg(unix)]
        "stream" => socket::open_stream(options, &mut commons.descriptors),
        #[cfg(unix)]
        "dgram" => dgram::open_dgram(options, &mut commons.descriptors),
        "hubport" => {
            options.only(&["hubid"])?;
            let id = options.get("hubid").and_then(|text| text.parse().ok());
            let id = id.ok_or_else(|| options.error("hubid", "wants a number"))?;
            Ok(Box::new(commons.hub(id).port(options.get("id"))))
        }
        kind => Err(NetError(format!("netdev {kind}: tern has no such network backend on this host"))),
    }
}

/// Which of these descriptors are ready, in order; all of them where the host cannot tell.
#[cfg(unix)]
fn ready(list: &[(i32, Interest)]) -> Vec<i32> {
    if list.is_empty() {
        return Vec::new();
    }
    #[cfg(target_os = "linux")]
    {
        use crate::sys::wait::{PollFd, ppoll};
        let events = |i: &Interest| (if i.read { libc::POLLIN } else { 0 }) | (if i.write { libc::POLLOUT } else { 0 });
        let mut fds: Vec<PollFd> =
            list.iter().map(|(fd, i)| PollFd { fd: *fd, events: events(i), revents: 0 }).collect();
        if ppoll(&mut fds, Some(crate::sys::Time::default()), None).is_ok() {
            let mut ready: Vec<i32> = fds.iter().filter(|p| p.revents != 0).map(|p| p.fd).collect();
            ready.sort_unstable();
            return ready;
        }
    }
    let mut all: Vec<i32> = list.iter().map(|(fd, _)| *fd).collect();
    all.sort_unstable();
    all
}
