//! TEWS TPCI200: a carrier of four IndustryPack modules behind a PLX PCI 9030 (TPCI200 user manual; PCI 9030 data book,
//! chapter 10).  Input of a module's port p in slot s is port 8s + p here.

use crate::catalogue::Class;
use crate::model::{Build, BusKind, Child, Model, Props};
use crate::pci::config::{ConfigState, reg};
use crate::pci::{Bar, BarKind, Config, Identity, PciFunction};
use serde::{Deserialize, Serialize};
use tern_core::device::{Kit, Reporter};
use tern_core::mem::Size;
use tern_core::registers;
use tern_core::snapshot::{self, StateError, check};

const NAME: &str = "tpci200";

/// The device's row.
pub static MODELS: &[Model] = &[Model {
    name: NAME,
    aliases: &[],
    class: Class::Bus,
    about: "TEWS TPCI200 carrier of four IndustryPack modules",
    parents: &[],
    props: &[],
    bus: Some(BusKind::Ipack),
    build: Build::Pci(|kit, _| Ok(Box::new(Carrier::new(kit)))),
}];

/// The address spaces of a module (ANSI/VITA 4, IndustryPack).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Registers, 128 bytes.
    Io,
    /// Identification, 64 bytes.
    Id,
    /// Interrupt vectors, 64 bytes.
    Interrupt,
    /// Memory by halfwords, 8 MiB.
    Memory16,
    /// Memory by bytes, 4 MiB.
    Memory8,
}

/// A module.  Addresses are bytes of a little-endian view of its 16-bit bus: bits 7 to 0 are at even addresses.
pub trait IndustryPack {
    /// A load of a byte or a halfword.
    fn read(&mut self, space: Space, at: u32, report: &Reporter) -> u16;

    /// A store.
    fn write(&mut self, space: Space, at: u32, value: u16, report: &Reporter);

    /// The levels of its two interrupts.
    fn interrupts(&self) -> [bool; 2];

    /// See [`tern_core::device::Device::room`].
    fn room(&mut self, port: u32) -> usize {
        let _ = port;
        0
    }

    /// See [`tern_core::device::Device::receive`].
    fn receive(&mut self, port: u32, data: &[u8]) {
        let _ = (port, data);
    }

    /// Back to the state of a new module.
    fn reset(&mut self);

    /// Its state.
    ///
    /// # Errors
    /// A state that cannot be encoded.
    fn save(&self) -> Result<Vec<u8>, StateError>;

    /// Takes a saved state on.
    ///
    /// # Errors
    /// A state that is not one of this module; it is then as before.
    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError>;
}

const SLOTS: usize = 4;
/// Ports of a slot.
const PORTS: u32 = 8;

/// Control of a slot: interrupt if a module does not answer; interrupt n counts by its edges; it is let through.
const CONTROL_TIMEOUT: u16 = 0x04;
const CONTROL_EDGE: u16 = 0x10;
const CONTROL_ENABLE: u16 = 0x40;
const CONTROL: u16 = 0xff;
/// Status: slot 0 has not answered.
const STATUS_TIMEOUT: u16 = 0x1000;

/// The local configuration registers as the board's serial EEPROM sets them: offset, value.
const LOCAL: [(u64, u32); 18] = [
    // Ranges of the local address spaces, and where they are.
    (0x00, 0x0fff_ff00),
    (0x04, 0x0fff_fc00),
    (0x08, 0x0e00_0000),
    (0x0c, 0x0f00_0000),
    (0x14, 0x0800_0001),
    (0x18, 0x0400_0001),
    (0x1c, 0x0000_0001),
    (0x20, 0x0200_0001),
    // Their bus regions.
    (0x28, 0xd441_60a0),
    (0x2c, 0x1441_20a2),
    (0x30, 0x1441_20a2),
    (0x34, 0x1401_20a2),
    // Chip selects.
    (0x3c, 0x0800_0081),
    (0x40, 0x0400_0201),
    (0x44, 0x0100_0001),
    (0x48, 0x0280_0001),
    // Interrupts; serial EEPROM, direct slave, initialization; then only the general purpose pins follow.
    (0x4c, 0x0000_0041),
    (0x50, 0x007a_4000),
];
/// The general purpose pins.
const PINS: (u64, u32) = (0x54, 0x0224_9252);
/// The byte with a space's byte order in bit 0: those of spaces 0 to 2 are four apart.
const ORDER: u64 = 0x2b;
const SPACES: usize = 3;

registers! {
    static LOCAL_CONFIG: Carrier, "tpci200_mmio", sizes [1, 2, 4];
    0 area 0x80 LOCAL_CONFIG, "PCI 9030 10.3", read |d, at, size| d.local(at, size), write |d, at, size, v| d.set_local(at, size, v);
}

registers! {
    static INTERFACE: Carrier, "tpci200_las0", sizes [2];
    0x00 REVISION 2 ro reset 0, "IP interface", read |_, _| 0;
    0x02 [4; 2] CONTROL 2 rw reset 0, "IP interface", read |d, n| u64::from(d.state.control[n as usize]),
        write |d, n, v| d.state.control[n as usize] = v as u16 & CONTROL;
    0x0a RESET 2 rw reset 0, "IP interface", read |_, _| 0, write |d, _, _| d.reset_register();
    0x0c STATUS 2 rw reset 0, "IP interface", read |d, _| u64::from(d.status()), write |d, _, v| d.acknowledge(v as u16);
}

registers! {
    static MODULES: Carrier, "tpci200_las1", sizes [1, 2];
    0 area 0x400 IO_ID_INT, "IP spaces", read |d, at, size| d.read_space(1, at, size), write |d, at, size, v| d.write_space(1, at, size, v);
}

registers! {
    static MEMORY16: Carrier, "tpci200_las2", sizes [1, 2];
    0 area 0x200_0000 MEMORY16, "IP spaces", read |d, at, size| d.read_space(2, at, size), write |d, at, size, v| d.write_space(2, at, size, v);
}

registers! {
    static MEMORY8: Carrier, "tpci200_las3", sizes [1];
    0 area 0x100_0000 MEMORY8, "IP spaces", read |d, at, size| d.read_space(3, at, size), write |d, at, size, v| d.write_space(3, at, size, v);
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    /// Spaces whose bytes are swapped.
    big_endian: [bool; SPACES],
    control: [u16; SLOTS],
    /// Edges that have been seen, as in the status register; and modules that have not answered.
    latched: u16,
    /// Levels of the modules' interrupts, as in the status register.
    levels: u16,
}

/// The device.
pub struct Carrier {
    kit: Kit,
    config: Config,
    modules: [Option<Box<dyn IndustryPack>>; SLOTS],
    state: State,
}

/// Where in a module an address of local space `las` is: slot, space, address.
fn place(las: u8, at: u64) -> (usize, Space, u32) {
    match las {
        1 => {
            let (space, mask) = match at >> 6 & 3 {
                2 => (Space::Id, 0x3f),
                3 => (Space::Interrupt, 0x3f),
                _ => (Space::Io, 0x7f),
            };
            ((at >> 8) as usize % SLOTS, space, at as u32 & mask)
        }
        2 => ((at >> 23) as usize % SLOTS, Space::Memory16, at as u32 & 0x7f_ffff),
        _ => ((at >> 22) as usize % SLOTS, Space::Memory8, at as u32 & 0x3f_ffff),
    }
}

impl Carrier {
    /// A new one without modules.
    #[must_use]
    pub fn new(kit: Kit) -> Carrier {
        let subsystem = Some((0x1498, 0x300a));
        let mut config =
            Config::new(Identity { vendor: 0x1498, device: 0x30c8, revision: 0, class: 0x06_8000, subsystem });
        // Fast back-to-back, medium DEVSEL timing.
        config.put(reg::STATUS, &[0x80, 0x02]);
        config.set_pin(1);
        let sizes = [0x80, 0x80, 0x100, 0x400, 32 << 20, 16 << 20];
        for (number, size) in (0..).zip(sizes) {
            let kind = if number == 1 { BarKind::Io } else { BarKind::Memory32 };
            config.add_bar(Bar { number, kind, size });
        }
        config.seal();
        Carrier { kit, config, modules: Default::default(), state: State::default() }
    }

    fn local(&self, at: u64, size: Size) -> u64 {
        (0..size.bytes()).rev().fold(0, |value, n| value << 8 | u64::from(self.local_byte(at + n)))
    }

    fn local_byte(&self, at: u64) -> u8 {
        let word = LOCAL.iter().chain([&PINS]).find(|(offset, _)| *offset == at & !3).map_or(0, |(_, word)| *word);
        let order = Carrier::order(at).is_some_and(|space| self.state.big_endian[space]);
        (word >> (8 * (at & 3))) as u8 | u8::from(order)
    }

    /// The space whose byte order this byte of the local configuration has.
    fn order(at: u64) -> Option<usize> {
        let space = at.checked_sub(ORDER)?;
        (space.is_multiple_of(4) && space / 4 < SPACES as u64).then_some((space / 4) as usize)
    }

    fn set_local(&mut self, at: u64, size: Size, value: u64) {
        for (at, byte) in (at..).zip(value.to_le_bytes()).take(size.bytes() as usize) {
            let mut changed = self.local_byte(at) ^ byte;
            if let Some(space) = Carrier::order(at) {
                self.state.big_endian[space] = byte & 1 != 0;
                changed &= !1;
            }
            if changed != 0 {
                self.kit.report.unimplemented(format_args!("local configuration byte {at:#x} stays as it is"));
            }
        }
    }

    fn reset_register(&mut self) {
        self.kit.report.unimplemented(format_args!("modules are reset with the carrier only"));
    }

    /// Bits of the status register whose interrupts count by edges.
    fn edges(&self) -> u16 {
        self.bits(CONTROL_EDGE)
    }

    /// Bits of the status register for a control bit of the modules' interrupts.
    fn bits(&self, control: u16) -> u16 {
        let of = |n: usize| ((self.state.control[n] / control) & 3) << (2 * n);
        (0..SLOTS).map(of).sum()
    }

    fn status(&self) -> u16 {
        let edges = self.edges();
        self.state.latched & (edges | 0xf000) | self.state.levels & !edges & self.bits(CONTROL_ENABLE)
    }

    fn acknowledge(&mut self, status: u16) {
        self.state.latched &= !status;
    }

    /// After anything: looks at the modules' interrupts, and drives the pin.
    fn update(&mut self) {
        let levels = self.modules.iter().enumerate().map(|(n, module)| {
            let [a, b] = module.as_ref().map_or([false; 2], |m| m.interrupts());
            (u16::from(a) | u16::from(b) << 1) << (2 * n)
        });
        let levels = levels.sum();
        let before = core::mem::replace(&mut self.state.levels, levels);
        self.state.latched |= levels & !before & self.edges() & self.bits(CONTROL_ENABLE);
        let status = self.status();
        let timeout =
            (0..SLOTS).any(|n| self.state.control[n] & CONTROL_TIMEOUT != 0 && status & STATUS_TIMEOUT << n != 0);
        self.config.set_intx(status & 0xff != 0 || timeout);
    }

    fn is_swapped(&self, las: u8) -> bool {
        self.state.big_endian.get(usize::from(las)).copied().unwrap_or(false)
    }

    /// The module that an access reaches, its space and address there.
    fn reach(&mut self, las: u8, at: u64, size: Size) -> Option<(&mut Box<dyn IndustryPack>, Space, u32)> {
        let at = if self.is_swapped(las) && size == Size::B1 { at ^ 1 } else { at };
        if size == Size::B2 && at & 1 != 0 {
            self.kit.report.guest_error(format_args!("halfword at odd address {at:#x}"));
            return None;
        }
        let (slot, space, at) = place(las, at);
        match &mut self.modules[slot] {
            Some(module) => Some((module, space, at)),
            None => {
                self.state.latched |= STATUS_TIMEOUT << slot;
                None
            }
        }
    }

    fn read_space(&mut self, las: u8, at: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let value = self.reach(las, at, size).map_or(0, |(module, space, at)| module.read(space, at, &report));
        u64::from(if self.is_swapped(las) && size == Size::B2 { value.swap_bytes() } else { value })
    }

    fn write_space(&mut self, las: u8, at: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        let value = value as u16;
        let value = if self.is_swapped(las) && size == Size::B2 { value.swap_bytes() } else { value };
        if let Some((module, space, at)) = self.reach(las, at, size) {
            module.write(space, at, value, &report);
        }
    }

    /// The module behind a port, and its own number of it.
    fn behind(&mut self, port: u32) -> Option<(&mut Box<dyn IndustryPack>, u32)> {
        let module = self.modules.get_mut((port / PORTS) as usize)?.as_mut()?;
        Some((module, port % PORTS))
    }
}

impl PciFunction for Carrier {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    fn read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        let report = self.kit.report.clone();
        let value = match bar {
            0 | 1 => LOCAL_CONFIG.read(self, &report, offset, size),
            2 => {
                let value = INTERFACE.read(self, &report, offset, size);
                if self.is_swapped(0) { u64::from((value as u16).swap_bytes()) } else { value }
            }
            3 => MODULES.read(self, &report, offset, size),
            4 => MEMORY16.read(self, &report, offset, size),
            _ => MEMORY8.read(self, &report, offset, size),
        };
        self.update();
        value
    }

    fn write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        let report = self.kit.report.clone();
        match bar {
            0 | 1 => LOCAL_CONFIG.write(self, &report, offset, size, value),
            2 => {
                let value = if self.is_swapped(0) { u64::from((value as u16).swap_bytes()) } else { value };
                INTERFACE.write(self, &report, offset, size, value);
            }
            3 => MODULES.write(self, &report, offset, size, value),
            4 => MEMORY16.write(self, &report, offset, size, value),
            _ => MEMORY8.write(self, &report, offset, size, value),
        }
        self.update();
    }

    fn room(&mut self, port: u32) -> usize {
        self.behind(port).map_or(0, |(module, port)| module.room(port))
    }

    fn receive(&mut self, port: u32, data: &[u8]) {
        if let Some((module, port)) = self.behind(port) {
            module.receive(port, data);
        }
        self.update();
    }

    fn plug(&mut self, props: &Props, child: Child) -> Result<u32, String> {
        let module: Box<dyn IndustryPack> = child.take()?;
        let slot = match usize::try_from(props.signed("slot")) {
            Ok(slot) => slot,
            Err(_) => self.modules.iter().position(Option::is_none).unwrap_or(SLOTS),
        };
        match self.modules.get_mut(slot) {
            None => Err(format!("Only {SLOTS} slots available.")),
            Some(Some(_)) => Err(format!("slot {slot} is taken")),
            Some(place) => {
                *place = Some(module);
                Ok(slot as u32 * PORTS)
            }
        }
    }

    fn unplug(&mut self, child: u32) -> Result<(), String> {
        let place = self.modules.get_mut((child / PORTS) as usize).filter(|place| place.is_some());
        *place.ok_or("there is no such module")? = None;
        self.update();
        Ok(())
    }

    fn reset(&mut self) {
        self.config.reset();
        self.modules.iter_mut().flatten().for_each(|module| module.reset());
        self.state = State::default();
    }

    fn save(&self) -> Result<Vec<u8>, StateError> {
        let modules: Vec<Option<Vec<u8>>> =
            self.modules.iter().map(|module| module.as_ref().map(|m| m.save()).transpose()).collect::<Result<_, _>>()?;
        snapshot::save(NAME, 1, &(self.config.save(), &self.state, modules))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (config, state, modules): (ConfigState, State, Vec<Option<Vec<u8>>>) = snapshot::load(NAME, 1, bytes)?;
        self.config.check(&config)?;
        let same = self.modules.iter().map(Option::is_some).eq(modules.iter().map(Option::is_some));
        check(same, "modules", || "in other slots than here".into())?;
        check(state.control.iter().all(|c| c & !CONTROL == 0), "control", || format!("{:#x?}", state.control))?;
        check(state.levels & 0xff00 == 0 && state.latched & 0x0f00 == 0, "status", || {
            format!("{:#x} {:#x}", state.levels, state.latched)
        })?;
        let before: Vec<Vec<u8>> = self.modules.iter().flatten().map(|m| m.save()).collect::<Result<_, _>>()?;
        let mut all = self.modules.iter_mut().flatten().zip(modules.iter().flatten());
        if let Err(error) = all.try_for_each(|(module, bytes)| module.load(bytes)) {
            for (module, bytes) in self.modules.iter_mut().flatten().zip(&before) {
                module.load(bytes)?;
            }
            return Err(error);
        }
        self.config.load(config);
        self.state = state;
        Ok(())
    }
}
