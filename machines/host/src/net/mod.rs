//! Network backends: what a guest's network device is plugged into.
//!
//! A [`Link`] takes the guest's Ethernet frames and has frames for it.  [`Port`] shares one between the device, which
//! sees a [`NetSink`], and the machine's loop, which waits for [`Link::poll_fds`] and [`Link::deadline`], calls
//! [`Link::poll`] and hands [`Link::next_frame`] to the device as inputs.  Links stack: [`pcap::Dump`] wraps any other.
//!
//! [`open`] reads the text of `-netdev`.  To add a backend, write its file and its row in [`open`].

pub mod pcap;
#[cfg(unix)]
pub mod socket;
#[cfg(target_os = "linux")]
pub mod tap;
#[cfg(unix)]
pub mod user;

mod options;

pub use options::Options;

use crate::wait::Interest;
use core::fmt;
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
}

/// A link that the device and the machine's loop share.
#[derive(Clone)]
pub struct Port(Arc<Mutex<Box<dyn Link>>>);

impl Port {
    /// Shares a link.
    #[must_use]
    pub fn new(link: Box<dyn Link>) -> Port {
        Port(Arc::new(Mutex::new(link)))
    }

    /// The link, for the machine's loop.  The guard is not to be held while a device runs, which sends through
    /// [`Port::sink`], nor beside another one.
    pub fn link(&self) -> MutexGuard<'_, Box<dyn Link>> {
        // A panic elsewhere is reported there; a link's queues stay usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Opens the backend that a `-netdev` text names: `user`, `tap`, `socket`, `stream`, each with its options
/// (`user,hostfwd=tcp::2222-:22`).  The identifier (`id=`) is the caller's and is ignored here.
///
/// # Errors
/// What is wrong with the text, or why the host cannot do it.
pub fn open(text: &str) -> Result<Box<dyn Link>, NetError> {
    let options = Options::parse(text)?;
    match options.kind() {
        #[cfg(unix)]
        "user" => Ok(Box::new(user::UserNet::new(user::UserOptions::from_options(&options)?)?)),
        #[cfg(target_os = "linux")]
        "tap" => Ok(Box::new(tap::Tap::open(&options)?)),
        #[cfg(unix)]
        "socket" => socket::open_socket(&options),
        #[cfg(unix)]
        "stream" => socket::open_stream(&options),
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
