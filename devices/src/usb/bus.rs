//! A USB bus: devices at their places behind root ports and hubs, and packets to and from them.

use super::control::Link;
use super::hub::{self, Hub};
use super::{Reply, Speed, UsbDevice};
use crate::model::{Child, Props};
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{StateError, check};

/// Most devices of a bus, as addresses go.
const MOST_DEVICES: u32 = 127;
/// Most ports from the root to a device (USB 2.0, 4.1.1): five hubs between them.
const MOST_TIERS: usize = 6;
/// Speeds of a hub's ports.
const HUB_SPEEDS: &[Speed] = &[Speed::Low, Speed::Full];

struct Slot {
    number: u32,
    /// The root port, and the ports of hubs behind it, all counted from 1.
    path: Vec<u8>,
    link: Link,
    device: Box<dyn UsbDevice>,
}

impl Slot {
    fn reset(&mut self) {
        self.link = Link::new(self.link.speed);
        self.device.reset();
    }
}

/// What is saved of a bus: for each device its place, what the bus keeps, and its own state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BusState(Vec<(Vec<u8>, Link, Vec<u8>)>);

/// A bus.
pub struct Bus {
    /// Speeds of each root port.
    ports: Vec<&'static [Speed]>,
    slots: Vec<Slot>,
    /// Root ports where something has come or gone.
    moved: Vec<u8>,
}

impl Bus {
    /// A bus without devices, with root ports of these speeds.
    #[must_use]
    pub fn new(ports: Vec<&'static [Speed]>) -> Bus {
        Bus { ports, slots: Vec::new(), moved: Vec::new() }
    }

    /// Adds the device in `child` where the property `port` says (`2`, `1.4` behind a hub), or where there is room; its
    /// number.  When only one place is left, a hub of the bus's own goes there first, as in QEMU.
    ///
    /// # Errors
    /// It is no device, or there is no place for it.
    pub fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let device: Box<dyn UsbDevice> = child.take()?;
        let text = props.text("port");
        let path = if text.is_empty() {
            let free = self.free(&*device);
            if device.hub().is_none() && free.len() == 1 && free[0].len() < MOST_TIERS {
                self.add(Box::new(Hub::new("")), free[0].clone())?;
            }
            self.free(&*device).into_iter().next().ok_or("no free port on the USB bus")?
        } else {
            parse(text).ok_or_else(|| format!("bad USB port {text}"))?
        };
        self.add(device, path)
    }

    /// Adds a device at a place.
    fn add(&mut self, device: Box<dyn UsbDevice>, path: Vec<u8>) -> Result<u32, String> {
        let place = text(&path);
        let speeds = self.speeds(&path).ok_or_else(|| format!("usb port {place} (bus usb) not found"))?;
        if self.at(&path).is_some() {
            return Err(format!("usb port {place} (bus usb) not found (in use?)"));
        }
        let speed = device.descriptors().fastest(speeds);
        let speed = speed.ok_or_else(|| format!("the device is too fast for USB port {place}"))?;
        let free = |n: &u32| self.slots.iter().all(|slot| slot.number != *n);
        let number = (0..MOST_DEVICES).find(free).ok_or("too many USB devices")?;
        let at = self.slots.partition_point(|slot| slot.path < path);
        self.slots.insert(at, Slot { number, path: path.clone(), link: Link::new(speed), device });
        self.tell(&path, Some(speed));
        Ok(number)
    }

    /// Takes a device off.
    ///
    /// # Errors
    /// There is no such device, or others are plugged into it.
    pub fn unplug(&mut self, number: u32) -> Result<(), String> {
        let at = self.slots.iter().position(|slot| slot.number == number);
        let at = at.ok_or_else(|| format!("there is no USB device {number}"))?;
        let path = self.slots[at].path.clone();
        if self.slots.iter().any(|slot| slot.path.len() > path.len() && slot.path.starts_with(&path)) {
            return Err("devices are plugged into this hub".to_owned());
        }
        self.slots.remove(at);
        self.tell(&path, None);
        Ok(())
    }

    /// Tells the hub, or remembers for the controller, that something has come to a port or gone from it.
    fn tell(&mut self, path: &[u8], speed: Option<Speed>) {
        match path.split_last() {
            Some((port, [])) => self.moved.push(*port),
            Some((port, hub)) => {
                if let Some(hub) = self.at(hub).and_then(|at| self.slots[at].device.hub_mut()) {
                    hub.attach(*port, speed);
                }
            }
            None => {}
        }
    }

    /// Takes the root ports where something has come or gone.
    pub fn moved(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.moved)
    }

    /// Places where `device` could go, those nearest to the root first.
    fn free(&self, device: &dyn UsbDevice) -> Vec<Vec<u8>> {
        let roots = (1..=self.ports.len() as u8).map(|port| vec![port]);
        let hubs = self.slots.iter().filter(|slot| slot.device.hub().is_some() && slot.path.len() < MOST_TIERS);
        let behind = hubs.flat_map(|hub| (1..=hub::PORTS).map(move |port| [&hub.path[..], &[port]].concat()));
        let fits = |path: &Vec<u8>| {
            let speeds = self.speeds(path).unwrap_or_default();
            self.at(path).is_none() && device.descriptors().fastest(speeds).is_some()
        };
        roots.chain(behind).filter(fits).collect()
    }

    /// Speeds of the port at a place, if there is one.
    fn speeds(&self, path: &[u8]) -> Option<&'static [Speed]> {
        match path.split_last()? {
            (port, []) => self.ports.get(usize::from(port.checked_sub(1)?)).copied(),
            (port, hub) => {
                let there = self.slots[self.at(hub)?].device.hub().is_some();
                (there && (1..=hub::PORTS).contains(port) && path.len() <= MOST_TIERS).then_some(HUB_SPEEDS)
            }
        }
    }

    fn at(&self, path: &[u8]) -> Option<usize> {
        self.slots.iter().position(|slot| slot.path == path)
    }

    /// How fast the device at a root port is, if there is one.
    #[must_use]
    pub fn speed(&self, port: u8) -> Option<Speed> {
        self.at(&[port]).map(|at| self.slots[at].link.speed)
    }

    /// The device at a place, if all hubs on the way let packets through.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        let through = |tiers: usize| {
            let hub = self.at(&path[..tiers]).and_then(|at| self.slots[at].device.hub());
            hub.is_some_and(|hub| hub.passes(path[tiers]))
        };
        (1..path.len()).all(through).then(|| self.at(path)).flatten()
    }

    /// The device with this address behind a root port that lets packets through.
    #[must_use]
    pub fn addressed(&self, address: u8, passes: impl Fn(u8) -> bool) -> Option<usize> {
        let mut found = self.slots.iter().filter(|slot| slot.link.address == address && passes(slot.path[0]));
        found.find_map(|slot| self.find(&slot.path))
    }

    /// The root port that device `number` is behind.
    #[must_use]
    pub fn root_of(&self, number: u32) -> Option<u8> {
        self.slots.iter().find(|slot| slot.number == number).map(|slot| slot.path[0])
    }

    /// Device `number` in words: its port, speed and product.
    #[must_use]
    pub fn describe(&self, number: u32) -> Option<String> {
        let slot = self.slots.iter().find(|slot| slot.number == number)?;
        let speed = match slot.link.speed {
            Speed::Low => "1.5",
            Speed::Full => "12",
            Speed::High => "480",
            Speed::Super => "5000",
        };
        let [_, product] = slot.device.descriptors().names;
        Some(format!("Port {}, Speed {speed} Mb/s, Product {product}", text(&slot.path)))
    }

    /// May device `number` wake the host?
    #[must_use]
    pub fn wakes(&self, number: u32) -> bool {
        self.slots.iter().any(|slot| slot.number == number && slot.link.wakeup)
    }

    /// Resets the device at a root port, as the port does.
    pub fn reset_port(&mut self, port: u8) {
        self.reset_at(&[port]);
    }

    fn reset_at(&mut self, path: &[u8]) {
        if let Some(at) = self.at(path) {
            self.slots[at].reset();
            self.reconnect(at);
        }
    }

    /// A hub that is new looks what is plugged into it.
    fn reconnect(&mut self, at: usize) {
        let path = self.slots[at].path.clone();
        if self.slots[at].device.hub().is_none() {
            return;
        }
        for port in 1..=hub::PORTS {
            let below = self.at(&[&path[..], &[port]].concat());
            let speed = below.map(|below| self.slots[below].link.speed);
            if let Some(hub) = self.slots[at].device.hub_mut().filter(|_| speed.is_some()) {
                hub.attach(port, speed);
            }
        }
    }

    /// Gives the device `at` (from [`Bus::find`]) an address, as a controller does that does this itself.
    pub fn set_address(&mut self, at: usize, address: u8) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.link.address = address & 0x7f;
        }
    }

    /// A setup packet to the device `at`.
    pub fn setup(&mut self, at: usize, bytes: [u8; 8]) -> Reply {
        let Some(slot) = self.slots.get_mut(at) else { return Reply::Gone };
        let reply = slot.link.setup(&mut *slot.device, bytes);
        self.settle(at);
        reply
    }

    /// Fills `buf` from an endpoint of the device `at`, at guest time `now`.
    pub fn input(&mut self, now: u64, at: usize, endpoint: u8, buf: &mut [u8]) -> Reply {
        let Some(slot) = self.slots.get_mut(at) else { return Reply::Gone };
        let number = endpoint & 15;
        if number == 0 {
            return slot.link.read(buf);
        }
        let address = number | super::descriptor::IN;
        if !slot.link.open(&*slot.device, address) {
            return Reply::Stall;
        }
        let reply = match slot.device.input(now, number, buf) {
            Reply::Done(n) if n > buf.len() => Reply::Babble,
            reply => reply,
        };
        if reply == Reply::Stall {
            slot.link.halt(address);
        }
        reply
    }

    /// Hands data to an endpoint of the device `at`.
    pub fn output(&mut self, at: usize, endpoint: u8, data: &[u8]) -> Reply {
        let Some(slot) = self.slots.get_mut(at) else { return Reply::Gone };
        let number = endpoint & 15;
        if number == 0 {
            let reply = slot.link.write(&mut *slot.device, data);
            self.settle(at);
            return reply;
        }
        if !slot.link.open(&*slot.device, number) {
            return Reply::Stall;
        }
        let reply = slot.device.output(number, data);
        if reply == Reply::Stall {
            slot.link.halt(number);
        }
        reply
    }

    /// Does what a hub has been asked to do with its ports.
    fn settle(&mut self, at: usize) {
        let ports = self.slots[at].device.hub_mut().map(Hub::resets).unwrap_or_default();
        let path = self.slots[at].path.clone();
        for port in ports {
            self.reset_at(&[&path[..], &[port]].concat());
        }
    }

    fn numbered(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.number == number)
    }

    /// How much the backend of device `number` may hand over.
    #[must_use]
    pub fn room(&self, number: u32) -> usize {
        self.slots.iter().find(|slot| slot.number == number).map_or(0, |slot| slot.device.room())
    }

    /// The backend of device `number` hands over bytes.
    pub fn receive(&mut self, number: u32, data: &[u8]) {
        if let Some(slot) = self.numbered(number) {
            slot.device.receive(data);
        }
    }

    /// Something about the backend of device `number` has changed.
    pub fn changed(&mut self, number: u32) {
        if let Some(slot) = self.numbered(number) {
            slot.device.changed();
        }
    }

    /// Back to the state of a new bus with the same devices.
    pub fn reset(&mut self) {
        self.slots.iter_mut().for_each(Slot::reset);
        (0..self.slots.len()).for_each(|at| self.reconnect(at));
        self.moved.clear();
    }

    /// What is saved.
    ///
    /// # Errors
    /// A device's.
    pub fn save(&self) -> Result<BusState, StateError> {
        let all = self.slots.iter().map(|slot| Ok((slot.path.clone(), slot.link.clone(), slot.device.save()?)));
        Ok(BusState(all.collect::<Result<_, StateError>>()?))
    }

    /// Takes a saved state on.
    ///
    /// # Errors
    /// Other devices, or a device's; the bus is then as before.
    pub fn load(&mut self, state: BusState) -> Result<(), StateError> {
        let (saved, here) = (state.0.len(), self.slots.len());
        check(saved == here, "devices", || format!("{saved} devices, this bus has {here}"))?;
        for (slot, (path, link, _)) in self.slots.iter().zip(&state.0) {
            check(slot.path == *path, "port", || format!("a device at {}", text(path)))?;
            link.check(slot.link.speed)?;
        }
        let before = self.save()?;
        for at in 0..here {
            if let Err(e) = self.slots[at].device.load(&state.0[at].2) {
                for (slot, old) in self.slots.iter_mut().zip(&before.0).take(at) {
                    slot.device.load(&old.2)?;
                }
                return Err(e);
            }
        }
        for (slot, (_, link, _)) in self.slots.iter_mut().zip(state.0) {
            slot.link = link;
        }
        Ok(())
    }
}

/// The place that a text names.
fn parse(text: &str) -> Option<Vec<u8>> {
    text.split('.').map(|n| n.parse::<u8>().ok().filter(|n| *n > 0)).collect()
}

/// A place as people write it.
fn text(path: &[u8]) -> String {
    path.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}
