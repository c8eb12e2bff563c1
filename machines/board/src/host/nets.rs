//! Network backends, and the devices that are plugged into them.

use crate::backends::{Port, User};
use crate::config::Netdev;
use std::collections::BTreeMap;
use tern_core::backend::NetSink;
use tern_host::net::{self, Commons, Counts, Link, LinkEvent, NetError, Options, pcap::Dump};
use tern_host::wait::Interest;

/// Bytes of a frame that a dump keeps.
const SNAP: usize = 65_536;
/// Most queue pairs of a vhost-user backend.
const MOST_PAIRS: u16 = 64;

/// A network backend.
pub struct Cable {
    /// What it is, with its options.
    pub spec: String,
    /// The device that is plugged in.
    pub user: Option<User>,
    link: net::Port,
}

impl Cable {
    /// Its host side.
    #[must_use]
    pub fn link(&self) -> &net::Port {
        &self.link
    }

    /// Its kind: `user`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.spec.split(',').next().unwrap_or_default()
    }
}

/// The character device and the number of queue pairs that `vhost-user,chardev=NAME` names.
fn vhost_user(spec: &str) -> Result<(String, u16), String> {
    let options = Options::parse(spec).map_err(|e| e.to_string())?;
    options.only(&["chardev", "vhostforce", "queues"]).map_err(|e| e.to_string())?;
    let chardev = options.get("chardev").ok_or_else(|| "Parameter 'chardev' is missing".to_owned())?;
    let queues = options.get("queues").map_or(Some(1), |text| text.parse().ok());
    let queues = queues.filter(|n| (1..=MOST_PAIRS).contains(n));
    let queues = queues.ok_or_else(|| format!("vhost-user number of queues must be in range [1, {MOST_PAIRS}]"))?;
    Ok((chardev.to_owned(), queues))
}

/// The link whose frames a vhost-user process moves: a card that is no virtio device has no use of it.
struct Elsewhere;

impl Link for Elsewhere {
    fn send(&mut self, _frame: &[u8]) {}

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn poll(&mut self, _now_ns: u64) {}

    fn poll_fds(&self, _list: &mut Vec<(i32, Interest)>) {}

    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// All network backends.
#[derive(Default)]
pub struct Nets {
    cables: BTreeMap<String, Cable>,
    /// What backends share: hubs, descriptors by name.
    pub commons: Commons,
}

impl Nets {
    /// Adds one.
    ///
    /// # Errors
    /// A name that is taken, something that cannot be opened.
    pub fn add(&mut self, netdev: &Netdev) -> Result<(), String> {
        if self.cables.contains_key(&netdev.id) {
            return Err(format!("Duplicate ID '{}' for netdev", netdev.id));
        }
        let options = Options::parse(&format!("{},id={}", netdev.spec, netdev.id)).map_err(|e| e.to_string())?;
        let link = match (options.kind(), options.get("netdev")) {
            ("hubport", Some(other)) => {
                let hub = options.get("hubid").and_then(|id| id.parse().ok());
                let hub = hub.ok_or_else(|| "Parameter 'hubid' is missing".to_owned())?;
                let cable = self.cables.get(other).ok_or_else(|| format!("there is no netdev '{other}'"))?;
                self.commons.hub(hub).attach(Some(&netdev.id), cable.link.clone());
                net::open_with(
                    &Options::parse(&format!("hubport,hubid={hub}")).map_err(|e| e.to_string())?,
                    &mut self.commons,
                )
            }
            ("vhost-user", _) => {
                vhost_user(&netdev.spec).map_err(NetError::new).map(|_| -> Box<dyn Link> { Box::new(Elsewhere) })
            }
            _ => net::open_with(&options, &mut self.commons),
        };
        let mut link = link.map_err(|e| e.to_string())?;
        if let Some(path) = &netdev.dump {
            link = Box::new(Dump::create(link, path, SNAP).map_err(|e| e.to_string())?);
        }
        self.cables
            .insert(netdev.id.clone(), Cable { spec: netdev.spec.clone(), user: None, link: net::Port::new(link) });
        Ok(())
    }

    /// Removes one; a device that was plugged in hears nothing any more.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&mut self, id: &str) -> Result<(), String> {
        self.cables.remove(id).map(|_| ()).ok_or_else(|| format!("Device '{id}' not found"))
    }

    /// The character device and the queue pairs of a backend whose frames a vhost-user process moves.
    pub(super) fn vhost_user(&self, id: &str) -> Option<Result<(String, u16), String>> {
        let cable = self.cables.get(id).filter(|cable| cable.kind() == "vhost-user")?;
        Some(vhost_user(&cable.spec))
    }

    /// Does a backend have this character device for a vhost-user process?
    pub(super) fn holds(&self, chardev: &str) -> bool {
        let has = |c: &Cable| c.kind() == "vhost-user" && vhost_user(&c.spec).is_ok_and(|(name, _)| name == chardev);
        self.cables.values().any(has)
    }

    /// All of them, by name.
    pub fn cables(&self) -> impl Iterator<Item = (&str, &Cable)> {
        self.cables.iter().map(|(id, cable)| (id.as_str(), cable))
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Cable> {
        self.cables.get(id)
    }

    /// What has become of the peers of links since the last call.
    pub fn take_events(&self) -> Vec<(String, LinkEvent)> {
        let mut events = Vec::new();
        for (id, cable) in &self.cables {
            events.extend(cable.link.link().events().into_iter().map(|e| (id.clone(), e)));
        }
        events
    }

    pub(super) fn attach(&mut self, id: &str, user: User) -> Result<Box<dyn NetSink>, String> {
        let cable = self.cables.get_mut(id).ok_or_else(|| format!("there is no netdev '{id}'"))?;
        if cable.user.is_some() {
            return Err(format!("netdev '{id}' is already in use"));
        }
        cable.user = Some(user);
        Ok(cable.link.sink())
    }

    pub(super) fn users(&mut self) -> impl Iterator<Item = &mut User> {
        self.cables.values_mut().filter_map(|c| c.user.as_mut())
    }

    pub(super) fn release(&mut self, path: &str) {
        for cable in self.cables.values_mut() {
            if cable.user.as_ref().is_some_and(|u| u.path == path) {
                cable.user = None;
            }
        }
    }

    pub(super) fn poll(&self, now: u64) {
        for cable in self.cables.values() {
            cable.link.link().poll(now);
        }
    }

    pub(super) fn watch(&self, fds: &mut Vec<(i32, Interest)>, now: u64) -> u64 {
        let mut timeout = u64::MAX;
        for cable in self.cables.values() {
            let link = cable.link.link();
            link.poll_fds(fds);
            timeout = timeout.min(link.deadline().map_or(u64::MAX, |at| at.saturating_sub(now)));
        }
        timeout
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.cables.values().filter_map(|c| c.user.as_ref()).map(|u| u.port)
    }

    pub(super) fn take(&mut self, port: Port) -> Option<Vec<u8>> {
        let cable = self.cables.values().find(|c| c.user.as_ref().is_some_and(|u| u.port == port))?;
        cable.link.link().next_frame()
    }

    pub(super) fn is_used(&self) -> bool {
        self.cables.values().any(|c| c.user.is_some())
    }
}
