//! vhost-user, this side of it: a process at the other end of a local socket that runs the queues of a virtio device.
//! (QEMU, docs/interop/vhost-user.rst)
//!
//! Addresses of rings are told as guest physical ones, which is why each region of memory says that it lies at its guest
//! physical address here too.  Whoever waits for the machine's outside polls [`Process::poll`] and waits for
//! [`Process::fds`].
//!
//! Not built: what the process asks of this side by itself (the backend channel: configuration that changes, memory that
//! it brings along), logs of what it writes (live migration), rings in flight that outlive it, packed rings, IOTLBs, more
//! than 8 regions, and switching it to postcopy.

mod link;
mod wire;

use crate::chardev::Handle;
use crate::sys::file::{self, Owned};
use crate::sys::host;
use link::Link;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tern_core::backend::{SharedRange, VhostEvent, VhostRing, VhostUser};
use wire::{PROTOCOL_FEATURES, REGIONS, Request, longs, protocol, words};

/// How long a machine that is being built waits for a process that is to come, or to come back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between looks meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// Status bits (virtio 1.2, 2.1): acknowledged and a driver there, features settled, driver ready.
const STATUS_DRIVER: u64 = 1 | 2 | 8;
const STATUS_READY: u64 = 4;
/// What an eventfd takes and gives.
const ONE: [u8; 8] = if cfg!(target_endian = "big") { [0, 0, 0, 0, 0, 0, 0, 1] } else { [1, 0, 0, 0, 0, 0, 0, 0] };

/// A ring that runs.
struct Running {
    queue: u16,
    kick: Owned,
    call: Owned,
}

/// The process, as far as it is there.
struct Peer {
    link: Link,
    protocol: u64,
}

struct Shared {
    line: Handle,
    peer: Option<Peer>,
    /// What the first connection offered; none was there yet.
    offered: Option<u64>,
    /// What is in use since a start: who comes back with less is sent away.
    needed: u64,
    queues: u16,
    rings: Vec<Running>,
    events: VecDeque<VhostEvent>,
    /// What the last process that was sent away did.
    trouble: Option<String>,
}

/// A process that runs queues; clones are handles to the same.
#[derive(Clone)]
pub struct Process(Rc<RefCell<Shared>>);

fn eventfd() -> Result<Owned, String> {
    let fd = file::eventfd2(0, host::EFD_CLOEXEC | host::EFD_NONBLOCK);
    fd.map(Owned).map_err(|e| std::io::Error::from(e).to_string())
}

impl Process {
    /// The process at the other end of a character device, which is this one's alone from now on.  It is waited for, if it
    /// can come; one that goes away at once may come back.  It must be able to run `queues` queues (pairs, if it is a network).
    ///
    /// # Errors
    /// A character device that is no local socket; nobody comes, or somebody who cannot do it.
    pub fn open(line: Handle, queues: u16) -> Result<Process, String> {
        if !line.lend() {
            return Err(format!("{}: vhost-user wants a socket", line.info()));
        }
        let mut shared = Shared {
            line,
            peer: None,
            offered: None,
            needed: 0,
            queues: 0,
            rings: Vec::new(),
            events: VecDeque::new(),
            trouble: None,
        };
        let begin = Instant::now();
        loop {
            shared.seek();
            if shared.peer.is_some() {
                break;
            }
            if begin.elapsed() > PATIENCE || !shared.line.may_come() {
                let why = shared.trouble.take().unwrap_or_else(|| "nobody is there".to_owned());
                return Err(format!("vhost-user: {}: {why}", shared.line.info()));
            }
            std::thread::sleep(LOOK);
        }
        let most = shared.queues.max(1);
        if queues > most {
            return Err(format!("vhost-user: {queues} queues, but the backend has {most} at most"));
        }
        // What it says about being there now is known.
        shared.events.clear();
        Ok(Process(Rc::new(RefCell::new(shared))))
    }

    /// The device's view.
    #[must_use]
    pub fn device(&self) -> Box<dyn VhostUser> {
        Box::new(self.clone())
    }

    /// Looks at the process and its rings; a line about one that had to be sent away.
    #[must_use]
    pub fn poll(&self) -> Option<String> {
        let mut shared = self.0.borrow_mut();
        let shared = &mut *shared;
        if shared.peer.as_ref().is_some_and(|peer| peer.link.is_over()) {
            shared.lose(None);
        }
        shared.seek();
        for ring in &shared.rings {
            // At most one event of a ring waits, so that their number is bounded.
            let event = VhostEvent::Used(ring.queue);
            if file::read(ring.call.0, &mut [0; 8]).is_ok() && !shared.events.contains(&event) {
                shared.events.push_back(event);
            }
        }
        shared.trouble.take()
    }

    /// Adds the descriptors that make [`Process::poll`] worth calling, the character device's apart.
    pub fn fds(&self, list: &mut Vec<i32>) {
        let shared = self.0.borrow();
        list.extend(shared.peer.iter().map(|peer| peer.link.fd()));
        list.extend(shared.rings.iter().map(|ring| ring.call.0));
    }

    /// Input for the device, in at most `room` bytes.
    #[must_use]
    pub fn take(&self, room: usize) -> Option<Vec<u8>> {
        let mut shared = self.0.borrow_mut();
        let n = shared.events.len().min(room / VhostEvent::SIZE);
        (n > 0).then(|| shared.events.drain(..n).flat_map(VhostEvent::bytes).collect())
    }
}

impl Shared {
    /// Greets a process that has come.
    fn seek(&mut self) {
        if self.peer.is_some() {
            return;
        }
        self.line.seek();
        let Some(socket) = self.line.connection() else { return };
        let greeted = Link::new(socket).map_err(|e| e.to_string()).and_then(|link| self.greet(link));
        match greeted {
            Ok(peer) => {
                self.peer = Some(peer);
                self.events.push_back(VhostEvent::Up);
            }
            Err(e) => {
                self.trouble = Some(e);
                self.line.disconnect();
            }
        }
    }

    fn greet(&mut self, mut link: Link) -> Result<Peer, String> {
        let offered = link.number(Request::GetFeatures)?;
        let mut common = 0;
        if offered & PROTOCOL_FEATURES != 0 {
            common = link.number(Request::GetProtocolFeatures)? & protocol::ALL;
            link.tell(Request::SetProtocolFeatures, &longs(&[common]), &[])?;
        }
        if common & protocol::MQ != 0 {
            let queues = link.number(Request::GetQueueNum)?;
            self.queues = u16::try_from(queues).unwrap_or(u16::MAX);
        }
        link.tell(Request::SetOwner, &[], &[])?;
        let missing = self.needed & !offered;
        if missing != 0 {
            return Err(format!("the backend came back without the features {missing:#x}, which are in use"));
        }
        self.offered.get_or_insert(offered);
        Ok(Peer { link, protocol: common })
    }

    /// The process is gone, or cannot be talked to.
    fn lose(&mut self, why: Option<String>) {
        self.trouble = why.or(self.trouble.take());
        self.rings.clear();
        if self.peer.take().is_some() {
            self.line.disconnect();
            // Whatever else it has said is of no use any more.
            self.events.clear();
            self.events.push_back(VhostEvent::Down);
        }
    }

    /// Talks to the process if it is there; an error ends the connection.
    fn with<T>(&mut self, f: impl FnOnce(&mut Peer, &mut Vec<Running>) -> Result<T, String>) -> Result<T, String> {
        let peer = self.peer.as_mut().ok_or_else(|| "the backend is not there".to_owned())?;
        let result = f(peer, &mut self.rings);
        if let Err(e) = &result {
            self.lose(Some(e.clone()));
        }
        result
    }
}

impl Peer {
    fn can(&self, feature: u64) -> bool {
        self.protocol & feature == feature
    }

    fn share(&mut self, memory: &[SharedRange]) -> Result<(), String> {
        let mut payload = words(&[memory.len() as u32, 0]);
        let mut fds = Vec::new();
        for range in memory {
            let (fd, offset) = range.memory.file().ok_or_else(|| "memory that is no file".to_owned())?;
            payload.extend(longs(&[range.addr, range.size, range.addr, offset.saturating_add(range.offset)]));
            fds.push(fd);
        }
        if self.can(protocol::REPLY_ACK) {
            self.link.confirm(Request::SetMemTable, &payload, &fds)
        } else {
            self.link.tell(Request::SetMemTable, &payload, &fds)
        }
    }

    fn ring(&mut self, ring: &VhostRing) -> Result<Running, String> {
        let (queue, link) = (u32::from(ring.queue), &mut self.link);
        let (kick, call) = (eventfd()?, eventfd()?);
        link.tell(Request::SetVringNum, &words(&[queue, u32::from(ring.size)]), &[])?;
        link.tell(Request::SetVringBase, &words(&[queue, u32::from(ring.base)]), &[])?;
        let mut addresses = words(&[queue, 0]);
        addresses.extend(longs(&[ring.desc, ring.device, ring.driver, 0]));
        link.tell(Request::SetVringAddr, &addresses, &[])?;
        link.tell(Request::SetVringCall, &longs(&[u64::from(queue)]), &[call.0])?;
        // The ring starts with this one.
        link.tell(Request::SetVringKick, &longs(&[u64::from(queue)]), &[kick.0])?;
        Ok(Running { queue: ring.queue, kick, call })
    }

    fn enable(&mut self, queue: u16, on: bool) -> Result<(), String> {
        self.link.tell(Request::SetVringEnable, &words(&[u32::from(queue), u32::from(on)]), &[])
    }

    fn stop(&mut self, rings: &mut Vec<Running>, has_enable: bool) -> Result<(), String> {
        for ring in &*rings {
            if has_enable {
                self.enable(ring.queue, false)?;
            }
        }
        for ring in rings.drain(..) {
            self.link.ask(Request::GetVringBase, &words(&[u32::from(ring.queue), 0]))?;
        }
        if self.can(protocol::STATUS) {
            self.link.tell(Request::SetStatus, &longs(&[0]), &[])?;
        }
        Ok(())
    }
}

impl VhostUser for Process {
    fn connected(&self) -> bool {
        self.0.borrow().peer.is_some()
    }

    fn features(&self) -> u64 {
        self.0.borrow().offered.unwrap_or(0) & !PROTOCOL_FEATURES
    }

    fn queues(&self) -> u16 {
        self.0.borrow().queues
    }

    fn read_config(&mut self, config: &mut [u8]) -> Result<(), String> {
        let size = config.len() as u32;
        self.0.borrow_mut().with(|peer, _| {
            if !peer.can(protocol::CONFIG) {
                return Err("the backend has no configuration space".to_owned());
            }
            let mut payload = words(&[0, size, 0]);
            payload.resize(12 + config.len(), 0);
            let answer = peer.link.ask(Request::GetConfig, &payload)?;
            match answer.get(12..) {
                Some(bytes) if bytes.len() == config.len() => config.copy_from_slice(bytes),
                _ => {
                    return Err(format!(
                        "a configuration space of {} bytes, not {size}",
                        answer.len().saturating_sub(12)
                    ));
                }
            }
            Ok(())
        })
    }

    fn write_config(&mut self, offset: u32, data: &[u8]) -> Result<(), String> {
        self.0.borrow_mut().with(|peer, _| {
            if !peer.can(protocol::CONFIG) {
                return Err("the backend has no configuration space".to_owned());
            }
            let mut payload = words(&[offset, data.len() as u32, 0]);
            payload.extend_from_slice(data);
            peer.link.tell(Request::SetConfig, &payload, &[])
        })
    }

    fn set_mtu(&mut self, mtu: u16) {
        // A process that is gone is told about elsewhere.
        let _ = self.0.borrow_mut().with(|peer, _| match peer.can(protocol::NET_MTU) {
            true => peer.link.tell(Request::NetSetMtu, &longs(&[u64::from(mtu)]), &[]),
            false => Ok(()),
        });
    }

    fn announce(&mut self, mac: [u8; 6]) {
        // As in `set_mtu`.
        let _ = self.0.borrow_mut().with(|peer, _| {
            let [a, b, c, d, e, f] = mac;
            let payload = [a, b, c, d, e, f, 0, 0];
            if peer.can(protocol::RARP) { peer.link.tell(Request::SendRarp, &payload, &[]) } else { Ok(()) }
        });
    }

    fn start(&mut self, features: u64, memory: &[SharedRange], rings: &[VhostRing]) -> Result<(), String> {
        if memory.is_empty() {
            return Err("the machine has no memory that can be shared (memory-backend-memfd, share=on)".to_owned());
        }
        if memory.len() > REGIONS {
            return Err(format!("{} regions of memory, at most {REGIONS} can be shared", memory.len()));
        }
        let mut shared = self.0.borrow_mut();
        let extra = shared.offered.unwrap_or(0) & PROTOCOL_FEATURES;
        shared.needed = features | extra;
        shared.with(|peer, running| {
            peer.stop(running, extra != 0)?;
            peer.link.tell(Request::SetFeatures, &longs(&[features | extra]), &[])?;
            if peer.can(protocol::STATUS) {
                peer.link.tell(Request::SetStatus, &longs(&[STATUS_DRIVER]), &[])?;
                if peer.link.number(Request::GetStatus)? & STATUS_DRIVER != STATUS_DRIVER {
                    return Err(format!("the backend refused the features {features:#x}"));
                }
            }
            peer.share(memory)?;
            for ring in rings {
                running.push(peer.ring(ring)?);
            }
            if peer.can(protocol::STATUS) {
                peer.link.tell(Request::SetStatus, &longs(&[STATUS_DRIVER | STATUS_READY]), &[])?;
            }
            // Without protocol features all rings run.
            if extra != 0 {
                rings.iter().try_for_each(|ring| peer.enable(ring.queue, ring.enabled))?;
            }
            Ok(())
        })
    }

    fn enable(&mut self, queue: u16, on: bool) {
        let mut shared = self.0.borrow_mut();
        if shared.offered.unwrap_or(0) & PROTOCOL_FEATURES != 0 && shared.rings.iter().any(|ring| ring.queue == queue) {
            // As in `set_mtu`.
            let _ = shared.with(|peer, _| peer.enable(queue, on));
        }
    }

    fn kick(&mut self, queue: u16) {
        if let Some(ring) = self.0.borrow().rings.iter().find(|ring| ring.queue == queue) {
            // A full counter says the same.
            let _ = file::write(ring.kick.0, &ONE);
        }
    }

    fn stop(&mut self) {
        let mut shared = self.0.borrow_mut();
        let has_enable = shared.offered.unwrap_or(0) & PROTOCOL_FEATURES != 0;
        if shared.peer.is_some() {
            // As in `set_mtu`.
            let _ = shared.with(|peer, rings| peer.stop(rings, has_enable));
        }
        shared.events.retain(|event| !matches!(event, VhostEvent::Used(_)));
    }

    fn renew(&mut self) {
        let mut shared = self.0.borrow_mut();
        let event = if shared.peer.is_some() { VhostEvent::Up } else { VhostEvent::Down };
        shared.events.clear();
        shared.events.push_back(event);
    }
}
