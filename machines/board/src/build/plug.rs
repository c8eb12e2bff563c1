//! Devices that come to a board, before it is switched on or while it runs, and go again.

use super::Board;
use crate::backends::{Backends, ForDevice, Port, VIRTIO_INSIDE};
use crate::config::DeviceConfig;
use crate::part::Kind;
use tern_core::device::Sink;
use tern_devices::model::{self, Build, BusKind, Child, PropKind, Props, Type, Value, Via, Wants};
use tern_devices::pci::PciHost;
use tern_devices::pci::host::PciError;
use tern_devices::virtio::pci::Interface;
use tern_devices::virtio::{Options, VirtioMmio, VirtioPci};

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// This function of the PCI host bridge.
    Pci(usize),
    /// This slot for memory-mapped virtio devices.
    Slot(usize),
    /// A child of the device with this serial number, with its number there.
    Child(u32, u32),
    /// A device of the machine, on the platform bus.
    System(u32),
}

/// A device that has come to a board.
#[derive(Clone, Debug)]
pub struct Plugged {
    /// What tells it from all others, also from those that are gone.
    pub serial: u32,
    /// As it was asked for.
    pub config: DeviceConfig,
    /// Where it is among objects: `/machine/peripheral/ID`.
    pub path: String,
    /// Its type's name.
    pub name: &'static str,
    /// Its properties.
    pub props: Props,
    /// Where it is.
    pub place: Place,
    /// Did it come to a running machine?
    pub hotplugged: bool,
    /// The guest has been asked to let it go; until this guest time it is not asked again.
    pub leaving: Option<u64>,
}

impl Plugged {
    /// Where the virtio device that a PCI function holds is among objects.
    #[must_use]
    pub fn virtio_inside(&self) -> Option<String> {
        let kind = self.kind()?;
        let inside = kind.via == Via::Pci && matches!(kind.model.build, Build::Virtio(..));
        inside.then(|| format!("{}/{VIRTIO_INSIDE}", self.path))
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Option<Type> {
        model::find(self.name)
    }

    /// The name of the bus that it has for others: its own name for bridges, else with `.0` behind it.
    #[must_use]
    pub fn bus(&self) -> Option<(BusKind, String)> {
        let kind = self.kind()?.model.bus?;
        let name = match (&self.config.id, kind) {
            (Some(id), BusKind::Pci) => id.clone(),
            (Some(id), _) => format!("{id}.0"),
            (None, _) => format!("{}.{}", kind.name().to_lowercase(), self.serial),
        };
        Some((kind, name))
    }
}

/// A device that is about to come.
struct Coming<'a> {
    kind: &'a Type,
    config: &'a DeviceConfig,
    props: &'a Props,
    path: &'a str,
}

impl Board {
    /// The devices that have come, in the order in which they came.
    #[must_use]
    pub fn plugged(&self) -> &[Plugged] {
        &self.plugged
    }

    /// The device with this name or path.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Plugged> {
        self.plugged.iter().find(|p| p.config.id.as_deref() == Some(name) || p.path == name)
    }

    /// The address-space port of port `port` of a device.
    #[must_use]
    pub fn port_of(&self, plugged: &Plugged, port: u32) -> Option<Port> {
        Some(match plugged.place {
            Place::Pci(function) => Port { device: self.bridge.as_ref()?.device, port: PciHost::port(function, port) },
            Place::Slot(slot) => Port { device: *self.slots.get(slot)?, port },
            Place::Child(parent, _) => {
                return self.port_of(self.plugged.iter().find(|p| p.serial == parent)?, port);
            }
            Place::System(device) => Port { device, port },
        })
    }

    /// The devices on buses of this kind, each with its number there and in the words of its bus; `None`: there is no such
    /// bus.
    pub fn children(&mut self, kind: BusKind) -> Option<Vec<(u32, Plugged, String)>> {
        let owners = self.plugged.iter().filter(|p| p.bus().is_some_and(|(own, _)| own == kind));
        let owners: Vec<(u32, Place)> = owners.map(|p| (p.serial, p.place)).collect();
        if owners.is_empty() {
            return None;
        }
        let mut all = Vec::new();
        for (serial, place) in owners {
            let on = |p: &&Plugged| matches!(p.place, Place::Child(parent, _) if parent == serial);
            for child in self.plugged.iter().filter(on).cloned().collect::<Vec<_>>() {
                let (Place::Child(_, number), Place::Pci(function)) = (child.place, place) else { continue };
                let words = self.pci().and_then(|host| host.with_function(function, |p| p.describe(number))).flatten();
                all.push((number, child, words.unwrap_or_default()));
            }
        }
        Some(all)
    }

    /// The properties of a new device: defaults, values for all of its type, its own.
    fn props(&self, kind: &Type, config: &DeviceConfig) -> Result<Props, String> {
        let mut props = kind.defaults();
        let types = || core::iter::once(kind.name()).chain(kind.model.parents.iter().copied());
        let bus = kind.bus().device_type();
        let globals = self.globals.iter().filter(|(t, ..)| types().any(|own| own == t) || t == bus || t == "device");
        for (_, name, text) in globals {
            if let Some(prop) = props.declared(name).copied() {
                props.set(name, prop.parse(text)?);
            }
        }
        for (name, text) in &config.props {
            let prop = props.declared(name).copied();
            let prop = prop.ok_or_else(|| format!("Property '{}.{name}' not found", kind.name()))?;
            props.set(name, prop.parse(text)?);
        }
        Ok(props)
    }

    /// Adds a device.
    ///
    /// # Errors
    /// One that is not known, a property that is not so, a bus that is not there or full, a backend that is not there.
    pub fn plug(&mut self, config: &DeviceConfig, backends: &mut dyn Backends) -> Result<(), String> {
        let kind = model::find(&config.driver);
        let kind = kind.ok_or_else(|| format!("'{}' is not a valid device model name", config.driver))?;
        if let Some(id) =
            config.id.as_deref().filter(|id| self.plugged.iter().any(|p| p.config.id.as_deref() == Some(id)))
        {
            return Err(format!("Duplicate device ID '{id}'"));
        }
        let mut props = self.props(&kind, config)?;
        let macs: Vec<&str> =
            props.iter().filter(|(p, v)| p.kind == PropKind::Mac && v.is_none()).map(|(p, _)| p.name).collect();
        for name in macs {
            props.set(name, Value::Mac(backends.mac()));
        }
        let path = match &config.id {
            Some(id) => format!("/machine/peripheral/{id}"),
            None => format!("/machine/peripheral-anon/device[{}]", self.nameless),
        };
        let coming = Coming { kind: &kind, config, props: &props, path: &path };
        let placed = match (kind.model.build, kind.via) {
            (Build::Pci(_), _) | (_, Via::Pci) => self.plug_pci(&coming, backends),
            (Build::Virtio(..), _) => self.plug_slot(&coming, backends),
            (Build::Child(..), _) => self.plug_child(&coming, backends),
            (Build::System(..), _) => self.plug_system(&coming, backends),
        };
        let place = placed.inspect_err(|_| backends.release(&path))?;
        let serial = self.plugged.last().map_or(0, |p| p.serial + 1);
        self.nameless += u32::from(config.id.is_none());
        let (config, name) = (config.clone(), kind.name());
        self.plugged.push(Plugged { serial, config, path, name, props, place, hotplugged: self.live, leaving: None });
        self.machine.refresh_ports();
        Ok(())
    }

    /// Lets a device go, and all that is behind it: a PCI function when the guest has switched off its slot
    /// ([`Board::take_ejected`]), or at once if it is off; others at once, whatever the guest does with them.  The paths of
    /// all that went.
    ///
    /// # Errors
    /// There is none, it cannot go, or is about to.
    pub fn unplug(&mut self, name: &str, backends: &mut dyn Backends) -> Result<Vec<String>, String> {
        let found = self.find(name).ok_or_else(|| format!("Device '{name}' not found"))?;
        let (serial, place) = (found.serial, found.place);
        match place {
            Place::Pci(function) => return self.ask_to_go(serial, function, backends),
            Place::Child(parent, child) => self.with_parent(parent, |p| p.unplug(child))?,
            Place::Slot(_) => return Err("Bus 'virtio-mmio-bus' does not support hotplugging".to_owned()),
            Place::System(_) => return Err("Bus 'main-system-bus' does not support hotplugging".to_owned()),
        }
        self.machine.settle();
        let mut gone = Vec::new();
        self.forget(serial, backends, &mut gone);
        self.machine.refresh_ports();
        Ok(gone)
    }

    /// Asks the guest to let a PCI function go.
    fn ask_to_go(&mut self, serial: u32, function: usize, backends: &mut dyn Backends) -> Result<Vec<String>, String> {
        let now = self.machine.time();
        let bus = self.function_parent(function).and_then(|p| p.bus()).map_or("pcie.0".to_owned(), |(_, bus)| bus);
        let Some(at) = self.plugged.iter().position(|p| p.serial == serial) else { return Ok(Vec::new()) };
        if self.plugged[at].leaving.is_some_and(|until| until > now) {
            let name = self.plugged[at].config.id.as_deref().unwrap_or(&self.plugged[at].path);
            return Err(format!("Device {name} is already in the process of unplug"));
        }
        let host = self.pci().ok_or_else(|| "this machine has no PCI bus".to_owned())?;
        host.ask_to_go(function).map_err(|e| match e {
            PciError::NoHotplug(_) => format!("Bus '{bus}' does not support hotplugging"),
            e => e.to_string(),
        })?;
        self.machine.settle();
        self.plugged[at].leaving = Some(now.saturating_add(PATIENCE_NS));
        Ok(self.take_ejected(backends))
    }

    /// Devices that have gone since the last call because the guest let them: their paths.
    pub fn take_ejected(&mut self, backends: &mut dyn Backends) -> Vec<String> {
        let mut gone = Vec::new();
        let ejected = self.pci().map(PciHost::take_ejected).unwrap_or_default();
        for function in ejected {
            let found = self.plugged.iter().find(|p| p.place == Place::Pci(function));
            if let Some(serial) = found.map(|p| p.serial) {
                self.forget(serial, backends, &mut gone);
            }
        }
        if !gone.is_empty() {
            self.machine.refresh_ports();
        }
        gone
    }

    /// A device is gone, and with it the devices on its bus.
    fn forget(&mut self, serial: u32, backends: &mut dyn Backends, gone: &mut Vec<String>) {
        let on = |p: &Plugged| matches!(p.place, Place::Child(parent, _) if parent == serial);
        let children: Vec<u32> = self.plugged.iter().filter(|p| on(p)).map(|p| p.serial).collect();
        for child in children {
            self.forget(child, backends, gone);
        }
        if let Some(at) = self.plugged.iter().position(|p| p.serial == serial) {
            let path = self.plugged.remove(at).path;
            backends.release(&path);
            gone.push(path);
        }
    }

    /// The bridge that a function is behind, among what has come.
    fn function_parent(&self, function: usize) -> Option<&Plugged> {
        let bridge = self.bridge.as_ref()?;
        let host = self.machine.devices().find(|(n, ..)| *n == bridge.device)?.2;
        let host = (host as &dyn core::any::Any).downcast_ref::<PciHost>()?;
        let parent = host.place_of(function)?.0?;
        self.plugged.iter().find(|p| p.place == Place::Pci(parent))
    }

    /// A bus of the kind: the named one, or the first.
    fn bus(&self, kind: BusKind, name: Option<&str>) -> Result<Option<&Plugged>, String> {
        let fits = |p: &&Plugged| {
            let Some((k, bus)) = p.bus() else { return false };
            k == kind && name.is_none_or(|name| name == bus || bus.strip_suffix(".0") == Some(name))
        };
        match (self.plugged.iter().find(fits), name) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(name)) => Err(format!("Bus '{name}' not found")),
            (None, None) => Ok(None),
        }
    }

    fn plug_pci(&mut self, coming: &Coming<'_>, backends: &mut dyn Backends) -> Result<Place, String> {
        let Coming { kind, config, props, path } = *coming;
        let root = matches!(config.bus.as_deref(), None | Some("pcie.0" | "pci.0" | "pcie" | "pci"));
        let parent = match root {
            true => None,
            false => self.bus(BusKind::Pci, config.bus.as_deref())?.and_then(|p| match p.place {
                Place::Pci(function) => Some(function),
                _ => None,
            }),
        };
        let takes = |host: &mut PciHost| parent.is_some_and(|port| host.takes_hotplug(port));
        if self.live && !self.pci().is_some_and(takes) {
            let bus = config.bus.as_deref().filter(|_| !root).unwrap_or("pcie.0");
            return Err(format!("Bus '{bus}' does not support hotplugging"));
        }
        self.check_chassis(kind, props)?;
        let place = address(props.text("addr"))?;
        let device = self.bridge.as_ref().ok_or_else(|| "No 'PCI' bus found for device".to_owned())?.device;
        let (build, virtio) = match kind.model.build {
            Build::Pci(build) => (Some(build), None),
            Build::Virtio(_, build) => (None, Some(build)),
            _ => (None, None),
        };
        let number = self.pci().map_or(0, |host| host.next_number());
        let port = move |port: u32| PciHost::port(number, port);
        let mut backends = ForDevice { all: backends, path, device, port };
        let interface = match config.driver.ends_with("-non-transitional") || props_say_modern(kind, props, parent) {
            true => Interface::Modern,
            false => Interface::Transitional,
        };
        let name = config.id.clone().unwrap_or_else(|| format!("{}{number}", kind.name()));
        let mut wants = Wants::new(props, &mut backends);
        let function = self.add_function(parent, place, &name, |kit| match (build, virtio) {
            (Some(build), _) => build(kit, &mut wants),
            (_, Some(build)) => Ok(Box::new(VirtioPci::new(kit, build(&mut wants)?, options(props), interface))),
            _ => Err("this device is no PCI function".to_owned()),
        })?;
        Ok(Place::Pci(function))
    }

    /// Slots of ports are told apart by the chassis that they are in, and their number there.
    fn check_chassis(&self, kind: &Type, props: &Props) -> Result<(), String> {
        if props.declared("chassis").is_none() {
            return Ok(());
        }
        let numbers = |props: &Props| (props.number("chassis"), props.number("slot"));
        let same = |p: &Plugged| p.name == kind.name() && numbers(&p.props) == numbers(props);
        if self.plugged.iter().any(same) {
            return Err("Can't add chassis slot, error -16".to_owned());
        }
        Ok(())
    }

    fn plug_slot(&mut self, coming: &Coming<'_>, backends: &mut dyn Backends) -> Result<Place, String> {
        let Coming { kind, config, props, path } = *coming;
        if self.live {
            return Err("Bus 'virtio-mmio-bus' does not support hotplugging".to_owned());
        }
        let taken = |slot: &usize| self.plugged.iter().any(|p| p.place == Place::Slot(*slot));
        let slot = match config.bus.as_deref() {
            // The last one first, as in QEMU.
            None => (0..self.slots.len()).rev().find(|slot| !taken(slot)),
            Some(bus) => {
                let n = bus.strip_prefix("virtio-mmio-bus.").and_then(|n| n.parse::<usize>().ok());
                let n = n.filter(|n| *n < self.slots.len()).ok_or_else(|| format!("Bus '{bus}' not found"))?;
                if taken(&n) {
                    return Err(format!("Bus '{bus}' is full"));
                }
                Some(n)
            }
        };
        let slot = slot.ok_or_else(|| format!("No free 'virtio-bus' bus found for device '{}'", kind.name()))?;
        let Build::Virtio(_, build) = kind.model.build else { return Err("this is no virtio device".to_owned()) };
        let device = self.slots[slot];
        let mut backends = ForDevice { all: backends, path, device, port: |port| port };
        let inside = build(&mut Wants::new(props, &mut backends))?;
        let place: Option<&mut VirtioMmio> = self.machine.device_as(device);
        place.ok_or_else(|| "the slot is not there".to_owned())?.insert(inside, options(props))?;
        Ok(Place::Slot(slot))
    }

    fn plug_child(&mut self, coming: &Coming<'_>, backends: &mut dyn Backends) -> Result<Place, String> {
        let Coming { kind, config, props, path } = *coming;
        let Build::Child(bus, build) = kind.model.build else { return Err("this device has no bus".to_owned()) };
        let parent = self.bus(bus, config.bus.as_deref())?;
        let parent = parent.ok_or_else(|| format!("No '{}' bus found for device '{}'", bus.name(), kind.name()))?;
        let serial = parent.serial;
        let at = self.port_of(parent, 0).ok_or_else(|| "the bus is not there".to_owned())?;
        let mut own = ForDevice { all: &mut *backends, path, device: at.device, port: |port| at.port + port };
        let child = build(&mut Wants::new(props, &mut own))?;
        let number = self.with_parent(serial, |p| p.plug(props, child))?;
        // The parent's ports from n on are those of its child n.
        backends.moved(path, number);
        self.machine.settle();
        Ok(Place::Child(serial, number))
    }

    fn plug_system(&mut self, coming: &Coming<'_>, backends: &mut dyn Backends) -> Result<Place, String> {
        let Coming { kind, config, props, path } = *coming;
        if self.live {
            return Err("Bus 'main-system-bus' does not support hotplugging".to_owned());
        }
        let Build::System(platform, build) = kind.model.build else { return Err("this device has a bus".to_owned()) };
        let bus = self.parts.find(Kind::PlatformBus).map(|p| p.range());
        let bus = bus.ok_or_else(|| format!("Device {} can not be dynamically instantiated", kind.name()))?;
        let name = config.id.clone().unwrap_or_else(|| format!("{}{}", kind.name(), self.nameless));
        let mut places = self.platform;
        let at = places.take(platform, bus.size).ok_or("the platform bus is full")?;
        let place = self.machine.place(&name);
        let number = place.number;
        let sink = |n: u32| self.controller.map_or(Sink::Open, |device| Sink::Device { device, pin: at.irq + n });
        let wires = (0..platform.lines).map(|n| self.machine.line(sink(n))).collect();
        let mut backends = ForDevice { all: backends, path, device: number, port: |port| port };
        let device = build(place.kit, wires, &mut Wants::new(props, &mut backends))?;
        let region = self.space.device(platform.node, platform.window, number, 0).map_err(|e| e.to_string())?;
        self.space.add(self.space.root(), region, bus.base + at.offset, 0).map_err(|e| e.to_string())?;
        self.platform = places;
        self.machine.install(number, &name, device);
        Ok(Place::System(number))
    }

    /// Calls the device with this serial number as the owner of a bus.
    fn with_parent<T>(
        &mut self,
        serial: u32,
        f: impl FnOnce(&mut dyn Parent) -> Result<T, String>,
    ) -> Result<T, String> {
        let gone = || "the bus is gone".to_owned();
        let place = self.plugged.iter().find(|p| p.serial == serial).ok_or_else(gone)?.place;
        match place {
            Place::Pci(function) => {
                let host = self.pci().ok_or_else(gone)?;
                host.with_function(function, |p| f(&mut Function(p))).ok_or_else(gone)?
            }
            Place::Slot(slot) => {
                let number = self.slots[slot];
                f(self.machine.device_as::<VirtioMmio>(number).ok_or_else(gone)?)
            }
            Place::Child(..) | Place::System(_) => Err("this device has no bus".to_owned()),
        }
    }
}

/// How long a guest may take to let a device go before it is asked again (QEMU's figure), in nanoseconds of guest time.
const PATIENCE_NS: u64 = 5_000_000_000;

/// The owner of a bus.
trait Parent {
    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String>;
    fn unplug(&mut self, child: u32) -> Result<(), String>;
}

struct Function<'a>(&'a mut dyn tern_devices::pci::PciFunction);

impl Parent for Function<'_> {
    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        self.0.plug(props, child)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        self.0.unplug(child)
    }
}

impl Parent for VirtioMmio {
    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        VirtioMmio::plug(self, props, child)
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        VirtioMmio::unplug(self, child)
    }
}

/// `addr=`: device and function, both hexadecimal as people write PCI addresses; empty: the first free one.
pub(crate) fn address(text: &str) -> Result<Option<(u8, u8)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = |text: &str, limit: u8| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        u8::from_str_radix(digits, 16).ok().filter(|n| *n < limit)
    };
    let (device, function) = text.split_once('.').unwrap_or((text, "0"));
    match number(device, 32).zip(number(function, 8)) {
        Some(place) => Ok(Some(place)),
        None => Err(format!("Property 'addr' doesn't take value '{text}'")),
    }
}

/// What the transport of a virtio device offers.
fn options(props: &Props) -> Options {
    Options {
        packed: props.bool("packed"),
        indirect: props.bool("indirect_desc"),
        platform: props.bool("iommu_platform"),
        event_idx: props.bool("event_idx"),
        queue_reset: props.bool("queue_reset"),
    }
}

/// Has a virtio function no legacy interface?  By itself it has none behind a PCI Express port.
fn props_say_modern(kind: &Type, props: &Props, parent: Option<usize>) -> bool {
    if kind.via != Via::Pci {
        return false;
    }
    match props.get("disable-legacy") {
        Some(Value::Text(text)) if text == "on" => true,
        Some(Value::Text(text)) if text == "off" => false,
        _ => parent.is_some(),
    }
}
