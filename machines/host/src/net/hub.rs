//! Hubs: what one port sends, all others hear (QEMU's `-netdev hubport`).
//!
//! A port is either a [`HubPort`], a link that a device is plugged into, or another backend that is attached to the hub
//! (`netdev=ID`).  Attached backends are looked at whenever a [`HubPort`] is, or by [`Hub::poll`].

use super::{Counts, Link, Port};
use crate::wait::Interest;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// Frames that wait at a port; more are dropped.
const QUEUE: usize = 256;

/// A hub.
#[derive(Clone)]
pub struct Hub(Arc<Mutex<State>>);

struct State {
    id: i32,
    /// Ports that there ever were: the next one's number.
    made: u64,
    ports: Vec<Outlet>,
}

/// What is at a port.
struct Outlet {
    key: u64,
    name: String,
    end: End,
    counts: Counts,
}

enum End {
    /// Frames for the one who asks.
    Queue(VecDeque<Vec<u8>>),
    Backend(Port),
}

impl Outlet {
    fn full(&self) -> bool {
        matches!(&self.end, End::Queue(queue) if queue.len() >= QUEUE)
    }
}

impl State {
    fn add(&mut self, name: Option<&str>, end: End) -> u64 {
        let key = self.made;
        self.made += 1;
        let name = name.map_or_else(|| format!("hub{}port{key}", self.id), str::to_owned);
        self.ports.push(Outlet { key, name, end, counts: Counts::default() });
        key
    }

    /// Queues a frame at every port but one; the backends to send it to are returned, with their ports.
    fn queue(&mut self, from: u64, frame: &[u8]) -> Vec<(u64, Port)> {
        for port in self.ports.iter_mut().filter(|p| p.key != from) {
            match &mut port.end {
                End::Queue(queue) if queue.len() < QUEUE => {
                    queue.push_back(frame.to_vec());
                    port.counts.to_guest += 1;
                }
                End::Queue(_) => port.counts.overflow += 1,
                End::Backend(_) => {}
            }
        }
        self.backends().filter(|(key, _)| *key != from).map(|(key, port)| (key, port.clone())).collect()
    }

    /// Does everybody but this port have no room?
    fn full(&self, but: u64) -> bool {
        self.ports.iter().all(|p| p.key == but || p.full())
    }

    fn backends(&self) -> impl Iterator<Item = (u64, &Port)> {
        self.ports.iter().filter_map(|p| match &p.end {
            End::Backend(port) => Some((p.key, port)),
            End::Queue(_) => None,
        })
    }
}

/// A backend's link, unless somebody is just using it: hubs that are attached to each other in a ring would wait for
/// themselves.
fn try_link(port: &Port) -> Option<MutexGuard<'_, Box<dyn Link>>> {
    match port.link.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(e)) => Some(e.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Hub {
    /// A hub without ports.
    #[must_use]
    pub fn new(id: i32) -> Hub {
        Hub(Arc::new(Mutex::new(State { id, made: 0, ports: Vec::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new port, named `hubNportM` without a name; it is unplugged when it is dropped.
    #[must_use]
    pub fn port(&self, name: Option<&str>) -> HubPort {
        let key = self.state().add(name, End::Queue(VecDeque::new()));
        HubPort { hub: self.clone(), key }
    }

    /// Plugs a backend into a new port.
    pub fn attach(&self, name: Option<&str>, backend: Port) {
        self.state().add(name, End::Backend(backend));
    }

    /// Takes a port away, whatever is plugged into it; false if there is none of this name.
    pub fn detach(&self, name: &str) -> bool {
        let mut state = self.state();
        let before = state.ports.len();
        state.ports.retain(|p| p.name != name);
        state.ports.len() != before
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.state().id
    }

    /// The names of its ports, the newest first as QEMU lists them.
    #[must_use]
    pub fn ports(&self) -> Vec<String> {
        self.state().ports.iter().rev().map(|p| p.name.clone()).collect()
    }

    /// Looks at the backends that are attached.
    pub fn poll(&self, now_ns: u64) {
        for (key, backend) in self.backends() {
            if let Some(mut link) = try_link(&backend) {
                link.poll(now_ns);
            }
            for _ in 0..QUEUE {
                // As long as anybody can take it: who cannot does not hold the others up.
                if self.state().full(key) {
                    break;
                }
                let Some(frame) = try_link(&backend).and_then(|mut link| link.next_frame()) else { break };
                self.spread(key, &frame);
            }
        }
    }

    /// Brings a frame to every port but one.  The hub is not locked while backends take it: one may lead back here.
    fn spread(&self, from: u64, frame: &[u8]) {
        let backends = self.state().queue(from, frame);
        for (_, backend) in backends {
            if let Some(mut link) = try_link(&backend) {
                link.send(frame);
            }
        }
    }

    fn backends(&self) -> Vec<(u64, Port)> {
        self.state().backends().map(|(key, port)| (key, port.clone())).collect()
    }
}

/// A port of a hub, as the link of a device.
pub struct HubPort {
    hub: Hub,
    key: u64,
}

impl HubPort {
    /// Does something with what is at our port, if it is still there.
    fn at<T>(&self, act: impl FnOnce(&mut Outlet) -> T) -> Option<T> {
        self.hub.state().ports.iter_mut().find(|p| p.key == self.key).map(act)
    }
}

impl Drop for HubPort {
    fn drop(&mut self) {
        self.hub.state().ports.retain(|p| p.key != self.key);
    }
}

impl Link for HubPort {
    fn send(&mut self, frame: &[u8]) {
        if self.at(|p| p.counts.from_guest += 1).is_some() {
            self.hub.spread(self.key, frame);
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.at(|p| match &mut p.end {
            End::Queue(queue) => queue.pop_front(),
            End::Backend(_) => None,
        })?
    }

    fn poll(&mut self, now_ns: u64) {
        self.hub.poll(now_ns);
    }

    fn poll_fds(&self, list: &mut Vec<(i32, Interest)>) {
        for (_, backend) in self.hub.backends() {
            if let Some(link) = try_link(&backend) {
                link.poll_fds(list);
            }
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.hub.backends().iter().filter_map(|(_, b)| try_link(b)?.deadline()).min()
    }

    fn carrier(&self) -> bool {
        self.at(|_| ()).is_some()
    }

    fn counts(&self) -> Counts {
        self.at(|p| p.counts).unwrap_or_default()
    }
}
