//! Network backends, and the devices that are plugged into them.

use crate::backends::{Port, User};
use crate::config::Netdev;
use std::collections::BTreeMap;
use tern_core::backend::NetSink;
use tern_host::net::{self, Commons, LinkEvent, Options, pcap::Dump};
use tern_host::wait::Interest;

/// Bytes of a frame that a dump keeps.
const SNAP: usize = 65_536;

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
