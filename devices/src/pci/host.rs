//! The generic PCI Express host bridge: all configuration spaces in one window (ECAM, PCI Express Base 4.0, 7.2.2; device
//! tree binding `pci-host-ecam-generic`), four interrupt lines, and the tree of functions.
//!
//! Window 0 is ECAM; the others are what base address registers decode ([`PciHost::decodes`]), which the bridge moves to
//! bus addresses: the board gives each a region in the container of its address space.

mod slots;

use super::bridge::Header;
use super::config::{Bar, BarKind};
use super::port::{Numbers, RootPort};
use super::upstream::{Shared, Way};
use super::{ATTENTION, Config, PciFunction};
use crate::bench::Bench;
use crate::catalogue::{Class, Part};
use core::fmt;
use std::rc::Rc;
use tern_core::device::{Device, IrqLine, Kit, Reporter, Window};
use tern_core::mem::Size;
use tern_core::registers;
use serde::{Deserialize, Serialize};
use tern_core::snapshot::{self, StateError};

/// The part's row.
pub static PART: Part = Part {
    name: "gpex-pcihost",
    aliases: &[],
    class: Class::Bus,
    about: "generic PCI Express host bridge with ECAM, 256 buses, bridges, root ports",
    sample: |bench: &mut Bench| {
        let mut host = PciHost::new(bench.kit("gpex-pcihost"), core::array::from_fn(|_| bench.line()));
        let report = Reporter::new("bridge", |_, _| {});
        let numbers = Numbers { port: 1, slot: 1 };
        let port = host.add(None, None, report.clone(), |kit| Box::new(RootPort::new(kit, numbers, true)));
        if let Ok(port) = port {
            let bridge = host.add(Some(port), None, report, |kit| Box::new(Header::pci_bridge(kit)));
            debug_assert!(bridge.is_ok());
        }
        Box::new(host)
    },
};

/// Size of the ECAM window: 256 buses of 32 devices of 8 functions of 4 KiB.
pub const ECAM_SIZE: u64 = 256 << 20;
/// Most functions of a host bridge: their numbers go into ports and event tokens.
const MAX_FUNCTIONS: usize = 4096;

registers! {
    static ECAM: PciHost, "gpex-pcihost", sizes [1, 2, 4, 8];
    0 area 0x1000_0000 ECAM, "PCI Express 7.2.2", read |d, at, size| d.read_ecam(at, size),
        write |d, at, size, v| d.write_ecam(at, size, v);
}

/// Why a function cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PciError {
    /// There is a function in this place: device, function.
    Taken(u8, u8),
    /// Every place of the bus is taken.
    Full,
    /// There is no such place: device, function.
    Place(u8, u8),
    /// What it is to be behind is not a bridge.
    NoBridge(usize),
    /// This function is not behind a port whose functions come and go while the machine runs.
    NoHotplug(usize),
    /// Function 0 of this device, of this type, is there: the guest would never look for others.
    Exposed(u8, &'static str),
    /// There is no such function.
    Gone(usize),
    /// The guest is at work with the slot.
    Busy,
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PciError::Taken(device, function) => write!(f, "PCI slot {device:x}.{function} is taken"),
            PciError::Full => f.write_str("the PCI bus is full"),
            PciError::Place(device, function) => write!(f, "this PCI bus has no slot {device:x}.{function}"),
            PciError::NoBridge(n) => write!(f, "PCI function {n} is not a bridge"),
            PciError::NoHotplug(n) => write!(f, "PCI function {n} does not come or go while the machine runs"),
            PciError::Exposed(device, kind) => write!(
                f,
                "PCI: slot {device} function 0 already occupied by {kind}, new func cannot be exposed to guest."
            ),
            PciError::Gone(n) => write!(f, "there is no PCI function {n}"),
            PciError::Busy => f.write_str("Hot-unplug failed: guest is busy (power indicator blinking)"),
        }
    }
}

impl core::error::Error for PciError {}

impl From<PciError> for String {
    fn from(error: PciError) -> String {
        error.to_string()
    }
}

/// A window of a base address register.
struct Decoder {
    bar: Bar,
    mapped: Option<u64>,
}

struct Entry {
    /// The bridge that it is behind.
    parent: Option<usize>,
    device: u8,
    function: u8,
    /// The function; none: it has been taken off the bus.
    part: Option<Box<dyn PciFunction>>,
    /// The first of its windows.
    window: u32,
    decoders: Vec<Decoder>,
    /// The line that it asserts.
    line: Option<u8>,
    way: Rc<Way>,
}

impl Entry {
    fn config(&self) -> Option<&Config> {
        self.part.as_ref().map(|part| part.config())
    }
}

/// What is saved of a function, or of the place of one that is gone.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// How many windows it has.
    windows: u8,
    state: Option<Vec<u8>>,
}

/// Version of the state.
const VERSION: u32 = 2;
/// Most windows of a function.
const MAX_WINDOWS: u8 = 6;

/// The host bridge.
pub struct PciHost {
    kit: Kit,
    lines: [IrqLine; 4],
    entries: Vec<Entry>,
    windows: u32,
    /// The IOMMU that functions are behind.
    iommu: Shared,
    /// Functions that have gone by themselves since somebody asked.
    ejected: Vec<usize>,
}

impl PciHost {
    /// A host bridge whose first bus has its own function as device 0.  Pin p (0 is INTA) of device d drives line
    /// (d + p) mod 4.
    #[must_use]
    pub fn new(kit: Kit, lines: [IrqLine; 4]) -> PciHost {
        let mut host = PciHost::bare(kit, lines);
        let report = host.kit.report.clone();
        let own = host.add(None, Some((0, 0)), report, |kit| Box::new(Header::host(kit)));
        debug_assert_eq!(own, Ok(0));
        host
    }

    /// A host bridge whose first bus is empty.
    #[must_use]
    pub fn bare(kit: Kit, lines: [IrqLine; 4]) -> PciHost {
        PciHost { kit, lines, entries: Vec::new(), windows: 1, iommu: Shared::default(), ejected: Vec::new() }
    }

    /// Adds a function, behind bridge `parent` or to the first bus, at (device, function) or in the first free device; its
    /// number.  Clock, memory and messages of the kit that `build` gets are the function's own.
    ///
    /// # Errors
    /// [`PciError`].
    pub fn add(
        &mut self,
        parent: Option<usize>,
        place: Option<(u8, u8)>,
        report: Reporter,
        build: impl FnOnce(Kit) -> Box<dyn PciFunction>,
    ) -> Result<usize, PciError> {
        self.try_add(parent, place, report, |kit| Ok(build(kit)))
    }

    /// As [`PciHost::add`] of a function that may not let itself be built.
    ///
    /// # Errors
    /// [`PciError`], or what `build` says.
    pub fn try_add<E: From<PciError>>(
        &mut self,
        parent: Option<usize>,
        place: Option<(u8, u8)>,
        report: Reporter,
        build: impl FnOnce(Kit) -> Result<Box<dyn PciFunction>, E>,
    ) -> Result<usize, E> {
        let at = self.place(parent, place)?;
        let number = self.insert(parent, at, report, build)?;
        if let Some((port, slot)) = self.slot_of(number).filter(|_| at.1 == 0) {
            self.with_function(port, |p| slot.settle(p.config_mut(), true));
        }
        Ok(number)
    }

    /// Puts a new function where there is room for it.
    fn insert<E: From<PciError>>(
        &mut self,
        parent: Option<usize>,
        (device, function): (u8, u8),
        report: Reporter,
        build: impl FnOnce(Kit) -> Result<Box<dyn PciFunction>, E>,
    ) -> Result<usize, E> {
        let number = self.entries.len();
        let kit = Kit { clock: self.kit.clock.part(number as u16 + 1), report, ..self.kit.clone() };
        let (way, kit) = Way::new(kit, &self.iommu);
        let mut part = build(kit)?;
        way.direct.set(!part.behind_iommu());
        if let Some(iommu) = part.iommu() {
            way.exempt.set(true);
            *self.iommu.borrow_mut() = Some(iommu);
        }
        for other in self.entries.iter_mut().filter(|e| e.parent == parent && e.device == device) {
            let Some(other) = &mut other.part else { continue };
            other.config_mut().set_multifunction();
            part.config_mut().set_multifunction();
        }
        let decoders: Vec<Decoder> =
            part.config().bars().iter().map(|bar| Decoder { bar: *bar, mapped: None }).collect();
        let window = self.windows;
        self.windows += decoders.len() as u32;
        let part = Some(part);
        self.entries.push(Entry { parent, device, function, part, window, decoders, line: None, way });
        self.name_requesters();
        Ok(number)
    }

    /// The place for a new function: the wanted one, or the first free one.
    fn place(&self, parent: Option<usize>, place: Option<(u8, u8)>) -> Result<(u8, u8), PciError> {
        let bridge = |n: usize| self.function(n).ok_or(n);
        let devices = match parent.map(bridge).transpose() {
            Ok(None) => 32,
            Ok(Some(part)) if part.slot().is_some() => 1,
            Ok(Some(part)) if part.config().is_bridge() => 32,
            Ok(Some(_)) => return Err(PciError::NoBridge(parent.unwrap_or(0))),
            Err(n) => return Err(PciError::NoBridge(n)),
        };
        let taken = |device: u8| self.entries.iter().any(|e| e.parent == parent && e.device == device && e.part.is_some());
        let (device, function) = match place {
            Some(place) => place,
            None => ((0..devices).find(|d| !taken(*d)).ok_or(PciError::Full)?, 0),
        };
        if device >= devices || function >= 8 || self.entries.len() == MAX_FUNCTIONS {
            return Err(PciError::Place(device, function));
        }
        if self.find(parent, device, function).is_some() {
            return Err(PciError::Taken(device, function));
        }
        Ok((device, function))
    }

    /// The number that the next function gets.
    #[must_use]
    pub fn next_number(&self) -> usize {
        self.entries.len()
    }

    /// Where its mistakes are counted.
    #[must_use]
    pub fn report(&self) -> Reporter {
        self.kit.report.clone()
    }

    /// Takes function `number` off the bus; its number is not used again.
    fn remove(&mut self, number: usize) {
        self.drop_part(number);
        self.remap();
        self.lines(number);
        self.kit.clock.part(number as u16 + 1).cancel_all();
    }

    /// Drops a function, with its backends.
    fn drop_part(&mut self, number: usize) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        entry.part = None;
        if entry.way.exempt.replace(false) {
            *self.iommu.borrow_mut() = None;
        }
    }

    /// Calls function `number`, if there is one.
    pub fn with_function<T>(&mut self, number: usize, f: impl FnOnce(&mut dyn PciFunction) -> T) -> Option<T> {
        let value = f(&mut **self.entries.get_mut(number)?.part.as_mut()?);
        self.lines(number);
        Some(value)
    }

    /// Where function `number` is: the bridge that it is behind, device, function.
    #[must_use]
    pub fn place_of(&self, number: usize) -> Option<(Option<usize>, u8, u8)> {
        self.entries.get(number).filter(|e| e.part.is_some()).map(|e| (e.parent, e.device, e.function))
    }

    /// The numbers of all functions.
    pub fn functions(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter(|(_, e)| e.part.is_some()).map(|(n, _)| n)
    }

    /// Function `number`.
    #[must_use]
    pub fn function(&self, number: usize) -> Option<&dyn PciFunction> {
        self.entries.get(number)?.part.as_deref()
    }

    /// What window `window` (1 and up) decodes: the kind of addresses.
    #[must_use]
    pub fn decodes(&self, window: u32) -> Option<BarKind> {
        self.decoder(window).map(|(entry, n)| self.entries[entry].decoders[n].bar.kind)
    }

    /// The port of the whole device that is port `port` (below 256) of function `function`.
    #[must_use]
    pub fn port(function: usize, port: u32) -> u32 {
        (function as u32 + 1) << 8 | port & 0xff
    }

    /// Function and base address register behind a window.
    fn decoder(&self, window: u32) -> Option<(usize, usize)> {
        let entry = self.entries.partition_point(|e| e.window <= window).checked_sub(1)?;
        let from = |entry: usize| window.checked_sub(self.entries.get(entry)?.window).map(|n| n as usize);
        // Functions without windows share the number of the next one's first.
        let n = from(entry)?;
        (n < self.entries[entry].decoders.len()).then_some((entry, n))
    }

    fn find(&self, parent: Option<usize>, device: u8, function: u8) -> Option<usize> {
        let place = (parent, device, function);
        self.entries.iter().position(|e| e.part.is_some() && (e.parent, e.device, e.function) == place)
    }

    /// The function at a place in ECAM, as the bridges' bus numbers have it; with the offset in its space.
    fn route(&self, at: u64) -> Option<(usize, usize)> {
        let bus = (at >> 20) as u8;
        let mut parent = None;
        let mut own = 0;
        while bus != own {
            let bridge = self.entries.iter().position(|e| {
                let Some(c) = e.config().filter(|c| e.parent == parent && c.is_bridge()) else { return false };
                let [_, low, high, _] = c.word(super::config::reg::PRIMARY).to_le_bytes();
                low > own && (low..=high).contains(&bus)
            })?;
            parent = Some(bridge);
            let bridge = self.function(bridge).filter(|b| is_open(*b))?;
            own = bridge.config().byte_at(super::config::reg::SECONDARY);
        }
        let entry = self.find(parent, (at >> 15 & 31) as u8, (at >> 12 & 7) as u8)?;
        Some((entry, (at & 0xfff) as usize))
    }

    fn read_ecam(&mut self, at: u64, size: Size) -> u64 {
        // Nobody answers: all ones, as probing expects.
        let Some((entry, offset)) = self.route(at) else { return u64::MAX };
        self.with(entry, |f| f.read_config(offset, size))
    }

    fn write_ecam(&mut self, at: u64, size: Size, value: u64) {
        let Some((entry, offset)) = self.route(at) else { return };
        let before = self.slot_state(entry);
        self.with(entry, |f| f.write_config(offset, size, value));
        self.slot_written(entry, before);
        self.remap();
        self.lines(entry);
    }

    /// Where a function's base address register decodes on the first bus.
    fn address(&self, entry: &Entry, bar: &Bar) -> Option<u64> {
        let base = entry.config()?.address(bar)?;
        let mut parent = entry.parent;
        while let Some(bridge) = parent.and_then(|n| self.entries.get(n)) {
            let part = bridge.part.as_deref()?;
            if !is_open(part) || !part.config().forwards(bar.kind, base, bar.size) {
                return None;
            }
            parent = bridge.parent;
        }
        Some(base)
    }

    /// What all windows' addresses are now.
    fn addresses(&self) -> Vec<Vec<Option<u64>>> {
        let entry = |e: &Entry| e.decoders.iter().map(|d| self.address(e, &d.bar)).collect();
        self.entries.iter().map(entry).collect()
    }

    /// Functions are known to an IOMMU by their bus numbers, which bridges give.
    fn name_requesters(&self) {
        for e in &self.entries {
            let bridge = e.parent.and_then(|n| self.config(n));
            let bus = bridge.map_or(0, |c| c.byte_at(super::config::reg::SECONDARY));
            e.way.requester.set(u16::from(bus) << 8 | u16::from(e.device) << 3 | u16::from(e.function));
        }
        if let Some(iommu) = &*self.iommu.borrow() {
            let behind = self.entries.iter().filter(|e| e.part.is_some() && !e.way.exempt.get());
            iommu.requesters(&behind.map(|e| e.way.requester.get()).collect::<Vec<_>>());
        }
    }

    /// Lets an IOMMU say what it found wrong with accesses of function `entry`.
    fn attend(&mut self, entry: usize) {
        let wants = self.iommu.borrow().as_ref().is_some_and(|iommu| iommu.wants_attention());
        let at = if wants { self.entries.iter().position(|e| e.way.exempt.get()) } else { None };
        if let Some(at) = at.filter(|at| *at != entry) {
            self.with(at, |f| f.changed(ATTENTION));
        }
    }

    /// Moves windows to where they decode now: first away, then there, so that they do not meet on the way.
    fn remap(&mut self) {
        self.name_requesters();
        let addresses = self.addresses();
        for there in [false, true] {
            for (entry, addresses) in self.entries.iter_mut().zip(&addresses) {
                for (n, (decoder, new)) in entry.decoders.iter_mut().zip(addresses).enumerate() {
                    if decoder.mapped != *new && (there || decoder.mapped.is_some()) {
                        decoder.mapped = if there { *new } else { None };
                        self.kit.mapper.map(entry.window + n as u32, decoder.mapped);
                    }
                }
            }
        }
    }

    /// The line that a function asserts: pins turn by the device's number at every bus (PCI-to-PCI Bridge 1.2, 9.1).
    fn line_of(&self, entry: usize) -> Option<u8> {
        let mut pin = self.config(entry)?.intx()?;
        let mut at = Some(entry);
        while let Some(e) = at.and_then(|n| self.entries.get(n)) {
            pin = (pin + e.device) % 4;
            at = e.parent;
        }
        Some(pin)
    }

    /// Drives the lines after a call of function `entry`.
    fn lines(&mut self, entry: usize) {
        let line = self.line_of(entry);
        let before = core::mem::replace(&mut self.entries[entry].line, line);
        for n in [before, line].into_iter().flatten().filter(|_| before != line) {
            let level = self.entries.iter().any(|e| e.line == Some(n));
            self.lines[usize::from(n & 3)].set(level);
        }
        self.attend(entry);
    }

    /// Calls a function, if there is one of this number.
    fn with<T: Default>(&mut self, entry: usize, f: impl FnOnce(&mut dyn PciFunction) -> T) -> T {
        self.with_function(entry, f).unwrap_or_default()
    }

    /// Function and port behind a port of the whole device.
    fn split_port(port: u32) -> (usize, u32) {
        ((port >> 8).checked_sub(1).map_or(usize::MAX, |n| n as usize), port & 0xff)
    }

    /// The configuration space of function `number`.
    #[must_use]
    pub fn config(&self, number: usize) -> Option<&Config> {
        self.entries.get(number)?.config()
    }
}

impl Device for PciHost {
    fn kind(&self) -> &'static str {
        PART.name
    }

    fn windows(&self) -> Vec<Window> {
        let mut windows = vec![Window { name: "pcie-ecam".into(), size: ECAM_SIZE }];
        for e in &self.entries {
            let name = |d: &Decoder| {
                let kind = e.part.as_ref().map_or("gone", |part| part.kind());
                format!("{kind}-{:x}.{}-bar{}", e.device, e.function, d.bar.number)
            };
            windows.extend(e.decoders.iter().map(|d| Window { name: name(d), size: d.bar.size }));
        }
        windows
    }

    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64 {
        if window == 0 {
            let report = self.kit.report.clone();
            return ECAM.read(self, &report, offset, size);
        }
        let Some((entry, n)) = self.decoder(window) else { return 0 };
        let bar = self.entries[entry].decoders[n].bar.number;
        self.with(entry, |f| f.read(bar, offset, size))
    }

    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64) {
        if window == 0 {
            let report = self.kit.report.clone();
            return ECAM.write(self, &report, offset, size, value);
        }
        let Some((entry, n)) = self.decoder(window) else { return };
        let bar = self.entries[entry].decoders[n].bar.number;
        self.with(entry, |f| f.write(bar, offset, size, value));
    }

    fn event(&mut self, token: u32) {
        let entry = (token >> 16).checked_sub(1).map_or(usize::MAX, |n| n as usize);
        self.with(entry, |f| f.event(token & 0xffff));
    }

    fn room(&mut self, port: u32) -> usize {
        let (entry, port) = PciHost::split_port(port);
        self.with(entry, |f| f.room(port))
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        let (entry, port) = PciHost::split_port(port);
        self.with(entry, |f| f.receive(port, data));
    }

    fn changed(&mut self, port: u32) {
        let (entry, port) = PciHost::split_port(port);
        self.with(entry, |f| f.changed(port));
    }

    fn reset(&mut self) {
        for entry in &mut self.entries {
            if let Some(part) = &mut entry.part {
                part.reset();
            }
            entry.line = None;
        }
        self.remap();
        self.lines.iter().for_each(|line| line.set(false));
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let entry = |e: &Entry| {
            let state = e.part.as_ref().map(|part| part.save()).transpose()?;
            Ok(Saved { windows: e.decoders.len() as u8, state })
        };
        let functions: Vec<Saved> = self.entries.iter().map(entry).collect::<Result<_, StateError>>()?;
        snapshot::save(PART.name, VERSION, &functions)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let functions: Vec<Saved> = snapshot::load(PART.name, VERSION, bytes)?;
        self.check_places(&functions)?;
        let state = |e: &Entry| e.part.as_ref().map(|part| part.save()).transpose();
        let before: Vec<Option<Vec<u8>>> = self.entries.iter().map(state).collect::<Result<_, _>>()?;
        let result = self.load_functions(functions.iter().map(|f| f.state.as_deref()));
        let result = result.and_then(|()| self.check_slots(&functions));
        match result {
            Ok(()) => self.follow(&functions),
            Err(_) => self.load_functions(before.iter().map(Option::as_deref))?,
        }
        self.name_requesters();
        // The map and the lines come back by themselves: only what is known of them has to.
        let addresses = self.addresses();
        for (entry, addresses) in self.entries.iter_mut().zip(addresses) {
            for (decoder, mapped) in entry.decoders.iter_mut().zip(addresses) {
                decoder.mapped = mapped;
            }
        }
        for n in 0..self.entries.len() {
            self.entries[n].line = self.line_of(n);
        }
        result
    }
}

/// Is what is behind this bridge there for the guest?
fn is_open(bridge: &dyn PciFunction) -> bool {
    bridge.slot().is_none_or(|slot| slot.link(bridge.config()))
}

/// A single function on a bench, for its row in the catalogue.
pub struct Solo(PciHost);

impl Solo {
    /// The only function of a host bridge, at 00:00.0.
    pub fn sample(
        bench: &mut Bench,
        name: &str,
        build: impl FnOnce(&mut Bench, Kit) -> Box<dyn PciFunction>,
    ) -> Box<dyn Device> {
        let kit = bench.kit(name);
        let report = kit.report.clone();
        let mut host = PciHost::bare(kit, core::array::from_fn(|_| bench.line()));
        let added = host.add(None, None, report, |kit| build(bench, kit));
        debug_assert_eq!(added, Ok(0));
        Box::new(Solo(host))
    }
}

impl Device for Solo {
    fn kind(&self) -> &'static str {
        self.0.function(0).map_or(PART.name, |part| part.kind())
    }

    fn windows(&self) -> Vec<Window> {
        self.0.windows()
    }

    fn read(&mut self, window: u32, offset: u64, size: Size) -> u64 {
        self.0.read(window, offset, size)
    }

    fn write(&mut self, window: u32, offset: u64, size: Size, value: u64) {
        self.0.write(window, offset, size, value);
    }

    fn event(&mut self, token: u32) {
        self.0.event(token);
    }

    fn room(&mut self, port: u32) -> usize {
        self.0.room(PciHost::port(0, port))
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        self.0.receive(PciHost::port(0, port), data);
    }

    fn changed(&mut self, port: u32) {
        self.0.changed(PciHost::port(0, port));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        self.0.save()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.0.load(bytes)
    }
}
